//! Files that PyTorch has written (`fixtures/pth.py`), and such that mean harm.

use std::path::{Path, PathBuf};

use trainer::import;
use trainer::weights::WeightFile;

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pth");
    folder.join(format!("{name}.pth"))
}

fn weights(name: &str) -> WeightFile {
    let source = import::open(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    source.weights().unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[track_caller]
fn assert_tensor(weights: &WeightFile, name: &str, shape: &[usize], wanted: &[f32]) {
    let tensor = &weights.tensors[name];
    assert_eq!(tensor.shape(), shape, "{name}");
    assert_eq!(tensor.as_f32(), Some(wanted), "{name}");
}

#[test]
fn views_come_out_as_what_they_show() {
    let files = ["plain", "protocol4", "legacy", "deflated", "big_endian"];
    for file in files {
        let w = weights(file);
        assert_eq!(w.tensors.len(), 10, "{file}");
        let whole: Vec<f32> = (0..24_u8).map(f32::from).collect();
        assert_tensor(&w, "whole", &[4, 6], &whole);
        assert_tensor(&w, "again", &[4, 6], &whole);
        let turned: Vec<f32> = (0..24).map(|i| whole[i % 4 * 6 + i / 4]).collect();
        assert_tensor(&w, "transposed", &[6, 4], &turned);
        assert_tensor(&w, "column", &[4], &[1.0, 7.0, 13.0, 19.0]);
        assert_tensor(&w, "stepped", &[2, 2], &[6.0, 9.0, 18.0, 21.0]);
        assert_tensor(&w, "expanded", &[3, 2], &[2.0, 3.0, 2.0, 3.0, 2.0, 3.0]);
        let permuted: Vec<f32> = (0..24)
            .map(|i| whole[i % 6 / 3 * 12 + i % 3 * 4 + i / 6])
            .collect();
        assert_tensor(&w, "permuted", &[4, 2, 3], &permuted);
        assert_tensor(&w, "scalar", &[], &[5.0]);
        assert_tensor(&w, "empty", &[0, 3], &[]);
        assert_eq!(w.tensors["count"].as_i64(), Some(&[7][..]), "{file}");
    }
}

#[test]
fn every_type_of_element_is_widened() {
    for file in ["types", "types_legacy"] {
        let w = weights(file);
        for name in ["half", "brain", "parameter"] {
            assert_tensor(&w, name, &[2, 2], &[0.0, 1.0, 2.0, 3.0]);
        }
        assert_tensor(&w, "double", &[2, 2], &[0.0, 0.5, 1.0, 1.5]);
        assert_tensor(&w, "buffer", &[3], &[0.0, 1.0, 2.0]);
        assert_eq!(w.tensors["long"].as_i64(), Some(&[1, -2][..]));
        let listed = import::open(&fixture(file)).unwrap().list();
        let types: Vec<_> = listed.iter().map(|l| l.dtype.as_str()).collect();
        let wanted = ["f16", "bf16", "f64", "i64", "bool", "f32", "f32"];
        assert_eq!(types, wanted, "{file}");
    }
}

#[test]
fn weights_are_found_where_they_lie() {
    let source = import::open(&fixture("nested")).unwrap();
    let w = source.weights().unwrap();
    let names: Vec<_> = w.tensors.keys().collect();
    assert_eq!(
        names,
        ["module.bn1.num_batches_tracked", "module.conv1.weight"]
    );
    let beside: Vec<_> = source.skipped().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(beside, ["epoch", "mAP", "args", "optimizer"]);
    for file in ["module", "module_legacy"] {
        let w = weights(file);
        assert_tensor(&w, "fc.weight", &[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_tensor(&w, "fc.bias", &[3], &[0.0, 1.0, 2.0]);
        assert_tensor(&w, "bn.running_var", &[3], &[1.0; 3]);
        assert_eq!(w.tensors.len(), 7, "{file}");
    }
}

#[test]
fn commands_are_never_run() {
    let marker = "import_has_run_a_command";
    let w = weights("command");
    assert_tensor(&w, "w", &[2], &[0.0, 1.0]);
    let source = import::open(&fixture("command_in_weights")).unwrap();
    assert_eq!(source.weights().unwrap().tensors.len(), 1);
    let [import::SkippedObject { name, reason, .. }] = source.skipped() else {
        panic!("{:?}", source.skipped())
    };
    assert_eq!(name, "evil");
    assert!(reason.ends_with("an object of posix.system"), "{reason}");
    let error = import::open(&fixture("command_only")).unwrap_err();
    assert!(error.to_string().contains("posix.system"), "{error}");
    assert!(!Path::new(marker).exists());
}

#[test]
fn broken_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let plain = std::fs::read(fixture("plain")).unwrap();
    let legacy = std::fs::read(fixture("legacy")).unwrap();
    let truncated = folder.path().join("truncated.pth");
    let legacy_cut = folder.path().join("legacy_cut.pth");
    let text = folder.path().join("text.pth");
    let empty = folder.path().join("empty.pth");
    std::fs::write(&truncated, &plain[..plain.len() / 2]).unwrap();
    std::fs::write(&legacy_cut, &legacy[..legacy.len() - 1]).unwrap();
    std::fs::write(&text, "<html>404</html>").unwrap();
    std::fs::write(&empty, "").unwrap();
    for (path, wanted) in [
        (fixture("storage_lost"), "data/0"),
        (
            fixture("storage_short"),
            "storage `0` has 92 bytes, its tensors need 96",
        ),
        (fixture("no_weights"), "no weights in it, but epoch, name"),
        (
            fixture("pickle"),
            "a pickle that torch.save has not written",
        ),
        (truncated, "the zip cannot be read"),
        (legacy_cut, "it ends within storage"),
        (text, "neither .pth nor .safetensors, and not ONNX"),
        (empty, "neither .pth nor .safetensors, and not ONNX"),
    ] {
        let read = import::open(&path).and_then(|source| source.weights());
        let error = read.expect_err(wanted).to_string();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(error.contains(wanted) && error.contains(name), "{error}");
    }
}

/// Every cut and many flipped bits: an error or some tensors, never a panic.
#[test]
fn no_damage_makes_it_panic() {
    for file in ["types", "types_legacy", "module_legacy"] {
        let bytes = std::fs::read(fixture(file)).unwrap();
        for end in 0..bytes.len() {
            let _ = import::pth_from_bytes(bytes[..end].to_vec());
        }
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            let _ = import::pth_from_bytes(bytes);
        }
    }
}

/// A file of the form before torch 1.6 around the pickle of `object`, with storage `s` of 4 f32.
fn legacy(object: &[u8]) -> Vec<u8> {
    let magic =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    let keys = b".\x80\x02]X\x01\0\0\0sa.";
    let storage = [&4_u64.to_le_bytes()[..], &[0; 16]].concat();
    [magic, &b"\x80\x02"[..], object, keys, &storage].concat()
}

fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [b"X", &length[..], text.as_bytes()].concat()
}

/// A tensor that says that storage `s` has `len` elements.
fn tensor(len: u8, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let numbers = |numbers: &[i64]| {
        let long = |n: &i64| [&b"\x8a\x08"[..], &n.to_le_bytes()].concat();
        let all: Vec<u8> = numbers.iter().flat_map(long).collect();
        [b"(", &all[..], b"t"].concat()
    };
    let (storage, key, device) = (text("storage"), text("s"), text("cpu"));
    let head = b"ctorch._utils\n_rebuild_tensor_v2\n((";
    let class = b"ctorch\nFloatStorage\n";
    let (shape, strides) = (numbers(shape), numbers(strides));
    let parts: [&[u8]; 10] = [
        head,
        &storage,
        class,
        &key,
        &device,
        b"K",
        &[len],
        b"NtQK\0",
        &shape,
        &strides,
    ];
    [&parts.concat()[..], b"\x89)tR"].concat()
}

/// A dictionary of `items`.
fn dictionary(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items = items
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()]);
    [&b"}("[..], &items.collect::<Vec<_>>().concat(), b"u"].concat()
}

#[test]
fn what_stands_beside_the_weights_is_trained_or_of_the_training() {
    let floats = || tensor(4, &[4], &[1]);
    let of = |value| dictionary(&[("w", value)]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("beside.pth");
    for weights in ["net_dict", "state_dict", "model"] {
        let object = dictionary(&[
            ("neck", of(of(floats()))),
            ("best_score", tensor(4, &[], &[])),
            ("optimizer", of(floats())),
            ("lr_schedulers", of(floats())),
            ("center_criterion", of(floats())),
            ("epoch", b"K\x07".to_vec()),
            (weights, of(floats())),
            ("ema", [&b"]"[..], &floats(), b"a"].concat()),
        ]);
        std::fs::write(&path, legacy(&object)).unwrap();
        let source = import::open(&path).unwrap();
        let tensors = source.weights().unwrap().tensors;
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["w"], "{weights}");
        let beside = source.skipped().iter();
        let trained = beside.clone().filter(|beside| beside.trained);
        let trained: Vec<&str> = trained.map(|beside| beside.name.as_str()).collect();
        assert_eq!(trained, ["neck", "ema"], "{weights}");
        assert_eq!(beside.count(), 7, "{weights}");
    }
}

#[test]
fn files_that_mean_harm_are_refused() {
    let named = |tensor: Vec<u8>| [&b"}"[..], &text("w"), &tensor, b"s"].concat();
    assert!(import::pth_from_bytes(legacy(&named(tensor(4, &[2, 2], &[2, 1])))).is_ok());
    let (side, far) = (1 << 14, i64::MAX);
    // Forty dictionaries, each with the one before in it twice: 2^40 tensors.
    let mut doubled = named(tensor(4, &[4], &[1]));
    for _ in 0..40 {
        doubled.extend_from_slice(b"q\x01}(");
        for key in ["a", "b"] {
            doubled.extend_from_slice(&text(key));
            doubled.extend_from_slice(b"h\x01");
        }
        doubled.push(b'u');
    }
    let mut itself = named(tensor(4, &[4], &[1]));
    itself.extend_from_slice(&[b"q\x00", &text("state_dict")[..], b"h\x00s"].concat());
    let twice = [
        &b"}("[..],
        &text("a"),
        &tensor(4, &[1], &[1]),
        &text("b"),
        &tensor(5, &[1], &[1]),
        b"u",
    ];
    let long = [
        &b"}"[..],
        &text(&"x".repeat(5000)),
        &tensor(4, &[1], &[1]),
        b"s",
    ]
    .concat();
    for (name, object, wanted) in [
        (
            "beyond the storage",
            named(tensor(4, &[5], &[1])),
            "beyond the 4 elements",
        ),
        (
            "far stride",
            named(tensor(4, &[2], &[far])),
            "beyond the 4 elements",
        ),
        (
            "overflow",
            named(tensor(4, &[3, 3], &[far, far])),
            "beyond the 4 elements",
        ),
        (
            "negative stride",
            named(tensor(4, &[2], &[-1])),
            "strides are no list of numbers",
        ),
        (
            "negative shape",
            named(tensor(4, &[-2], &[1])),
            "shape is no list of numbers",
        ),
        (
            "huge shape",
            named(tensor(4, &[far, far], &[0, 0])),
            "number of elements",
        ),
        (
            "one element a thousand times a thousand",
            named(tensor(4, &[side, side], &[0, 0])),
            "a file of this size",
        ),
        (
            "dimensions missing",
            named(tensor(4, &[2, 2], &[1])),
            "shape [2, 2], strides [1]",
        ),
        (
            "another length",
            named(tensor(5, &[2], &[1])),
            "storage `s` has 4 elements, its tensors need 5",
        ),
        (
            "two lengths",
            twice.concat(),
            "storage `s` is 4 x f32 and 5 x f32",
        ),
        ("contains itself", itself, "deep"),
        ("doubled forty times", doubled, "more than"),
        ("endless name", long, "a name of more than 1024 bytes"),
    ] {
        let error = import::pth_from_bytes(legacy(&object)).expect_err(name);
        assert!(error.contains(wanted), "{name}: {error}");
    }
}

/// The pickle of `{"w": a tensor of len f32}`, whose elements are in storage `0`.
fn pickled(len: u32) -> Vec<u8> {
    let storage = [
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
    ];
    let pickle = [
        &b"\x80\x02}"[..],
        &text("w"),
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &storage.concat(),
        b"J",
        &len.to_le_bytes(),
        b"tQK\0J",
        &len.to_le_bytes(),
        b"\x85K\x01\x85\x89)tRs.",
    ];
    pickle.concat()
}

/// An archive as PyTorch writes it (miniz, `caffe2/serialize/inline_container.cc`): elements begin at
/// multiples of 64 by padding in an extra field, sizes stand behind them as well, and between the
/// central directory and its end record there are those of zip64, whether they are needed or not.
fn archive(files: &[(String, Vec<u8>)], zip64: bool) -> Vec<u8> {
    let u16 = |value: usize| (value as u16).to_le_bytes();
    let u32 = |value: usize| (value as u32).to_le_bytes();
    let u64 = |value: usize| (value as u64).to_le_bytes();
    let (mut bytes, mut central) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let start = bytes.len();
        let crc = {
            let mut crc = !0_u32;
            for byte in content {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
                }
            }
            !crc
        };
        let padding = (64 - (start + 30 + name.len() + 4) % 64) % 64;
        let sizes = [u32(crc as usize), u32(content.len()), u32(content.len())].concat();
        let local: [&[u8]; 11] = [
            b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0",
            &[0; 12],
            &u16(name.len()),
            &u16(4 + padding),
            name.as_bytes(),
            b"FB",
            &u16(padding),
            &b"Z".repeat(padding),
            content,
            b"PK\x07\x08",
            &sizes,
        ];
        bytes.extend(local.concat());
        let entry: [&[u8]; 6] = [
            b"PK\x01\x02\0\0\0\0\x08\x08\0\0\0\0\0\0",
            &sizes,
            &u16(name.len()),
            &[0; 12],
            &u32(start),
            name.as_bytes(),
        ];
        central.extend(entry.concat());
    }
    let (at, size, count) = (bytes.len(), central.len(), files.len());
    bytes.extend(central);
    if zip64 {
        let end: [&[u8]; 8] = [
            b"PK\x06\x06",
            &u64(44),
            b"\x1e\x03\x2d\0\0\0\0\0\0\0\0\0",
            &u64(count),
            &u64(count),
            &u64(size),
            &u64(at),
            &[b"PK\x06\x07\0\0\0\0", &u64(at + size)[..], &u32(1)].concat(),
        ];
        bytes.extend(end.concat());
    }
    let counts = [u16(count), u16(count)].concat();
    let end: [&[u8]; 5] = [
        b"PK\x05\x06\0\0\0\0",
        &counts,
        &u32(size),
        &u32(at),
        b"\0\0",
    ];
    bytes.extend(end.concat());
    bytes
}

/// The folder inside an archive is called as the file was when it was saved.
#[test]
fn an_archive_is_read_whatever_the_length_of_its_root() {
    for (length, zip64) in (1..=64).flat_map(|length| [(length, true), (length, false)]) {
        let root = "a".repeat(length);
        let files = [
            ("data.pkl", pickled(3)),
            (".format_version", b"1".to_vec()),
            (".storage_alignment", b"64".to_vec()),
            ("byteorder", b"little".to_vec()),
            ("data/0", vec![0; 12]),
            ("version", b"3\n".to_vec()),
            (".data/serialization_id", b"1572819951185464".to_vec()),
        ]
        .map(|(name, content)| (format!("{root}/{name}"), content));
        let name = format!("{length} characters, zip64 {zip64}");
        let weights = import::pth_from_bytes(archive(&files, zip64));
        let weights = weights.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_tensor(&weights, "w", &[3], &[0.0; 3]);
    }
}

#[test]
fn a_zip_bomb_is_refused() {
    use std::io::Write;
    // 80 MB of zeros that take 80 kB.
    let len: u32 = 20_000_000;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("a/data.pkl", options).unwrap();
    zip.write_all(&pickled(len)).unwrap();
    zip.start_file("a/data/0", options).unwrap();
    zip.write_all(&vec![0; 4 * len as usize]).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    assert!(bytes.len() < 100_000, "{}", bytes.len());
    let error = import::pth_from_bytes(bytes).unwrap_err();
    assert!(error.contains("a file of this size may use"), "{error}");
}
