//! Digest and self-test of a model, and what the program does if they fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kernels::plan::Plan;
use kernels::plan::{TensorValue, run_plan};
use network::graph::Graph;
use network::metadata::{
    Calibration, METADATA_KEY, ModelMetadata, QdqLayout, Quantisation, Scheme,
};
use network::onnx::DIGEST_KEY;
use network::preprocess::Normaliser;
use network::self_test::{ChecksumRecorder, Golden, SelfTest, TestOutputs, checksum_steps};
use network::tensor::Tensor;
use serde_json::Value;

use crate::example::{Folder, crops, metadata, network, write_with};
use crate::program::{Reid, keys, reid};

/// The metadata of the example's network with a self-test, as the reference executor computes it.
fn with_self_test() -> ModelMetadata {
    let mut metadata = metadata();
    let [height, width] = fixtures::net::SIZE;
    let golden = Golden { seed: 1, count: 3 };
    let normaliser = Normaliser::new(&metadata.preprocessing).expect("it can be prepared for");
    let self_test = SelfTest::make(golden, [height, width], 0.9999, None, |crops| {
        let mut planes = vec![0.0; crops.len()];
        let each = height * width * 3;
        for (crop, planes) in crops.chunks(each).zip(planes.chunks_mut(each)) {
            normaliser.fill(crop, planes)?;
        }
        let input = Tensor::f32([golden.count, 3, height, width], planes)?;
        let rows = network::reference::run(&network(), &input)?;
        let embeddings = rows[0].as_f32().expect("embeddings are f32").to_vec();
        Ok::<_, network::Error>(TestOutputs {
            embeddings,
            sums: None,
        })
    });
    metadata.self_test = Some(self_test.expect("the network sees something"));
    metadata
}

/// Writes the example's network with metadata and digest, as an exporter does.
fn with_digest(json: &str, path: &Path) {
    let metadata = BTreeMap::from([(METADATA_KEY.to_owned(), json.to_owned())]);
    let bytes = network::onnx::write_bytes_with_digest(&network(), &metadata);
    std::fs::write(path, bytes.expect("it has a form")).expect("the model can be written");
}

/// The example's network in integers.
fn integers() -> Graph {
    let preprocessing = metadata().preprocessing;
    fixtures::quantised::quantise(&network(), &preprocessing).expect("it can be quantised")
}

/// Its metadata, with the self-test of the reference executor of plans.
fn with_integer_self_test() -> ModelMetadata {
    let mut metadata = metadata();
    let plan = Plan::new(&integers(), &metadata.preprocessing).expect("it can be planned");
    let exact = plan.exact_steps();
    let names = checksum_steps(&exact);
    let golden = Golden { seed: 1, count: 2 };
    let said = Some((0.999_999, &names[..]));
    let self_test = SelfTest::make(golden, plan.image(), 0.9, said, |crops| {
        let mut recorder =
            ChecksumRecorder::new(&exact, names.iter().map(String::as_str), golden.count)?;
        let rows = run_plan(&plan, crops, |step, value| {
            if let TensorValue::Quantised(codes) = value {
                recorder.record(step, codes);
            }
        })?;
        recorder.finish(rows.as_f32().expect("embeddings are f32").to_vec())
    });
    metadata.self_test = Some(self_test.expect("the network sees something"));
    metadata.quantisation = Some(Quantisation {
        scheme: Scheme::U8,
        layout: QdqLayout::Fused,
        exact_until: exact.last().expect("it has integers").clone(),
        calibration: Calibration {
            method: "min-max".to_owned(),
            crops: 4,
        },
        float_layers: vec!["neck".to_owned()],
    });
    metadata
}

/// Writes the example's network in integers.
fn integers_with_digest(metadata: &ModelMetadata, path: &Path) {
    let metadata = BTreeMap::from([(METADATA_KEY.to_owned(), metadata.to_json())]);
    let bytes = network::onnx::write_bytes_with_digest(&integers(), &metadata);
    std::fs::write(path, bytes.expect("it has a form")).expect("the model can be written");
}

/// The example's network with its self-test.
fn model(folder: &Folder) -> PathBuf {
    let path = folder.at("person.onnx");
    with_digest(&with_self_test().to_json(), &path);
    path
}

/// Embeds one crop; passes are kept in the test's folder.
fn embed(model: &Path, folder: &Folder) -> Reid {
    let out = folder.at("emb.npy");
    reid![
        "embed",
        crops("query", 1)[0],
        "--model",
        model,
        "--out",
        out
    ]
    .cached_in(&folder.at("cache"))
}

#[test]
fn a_self_test_is_run_and_reported() {
    let folder = Folder::new();
    let path = model(&folder);
    let report = reid!["model", "verify", path, "--json"].succeeds().json();
    assert_eq!(
        keys(&report),
        [
            "backends",
            "digest",
            "file",
            "path",
            "reproduced",
            "schema",
            "self_test"
        ]
    );
    assert_eq!(report["reproduced"], true);
    assert_eq!(report["self_test"], true);
    let [tract] = report["backends"].as_array().expect("a list").as_slice() else {
        panic!("{report}");
    };
    assert_eq!(keys(tract), ["backend", "device", "error", "passed"]);
    assert_eq!(
        (&tract["device"], &tract["error"]),
        (&"cpu".into(), &Value::Null)
    );
    assert!(
        tract["backend"]
            .as_str()
            .is_some_and(|name| name.starts_with("tract"))
    );
    let passed = &tract["passed"];
    assert_eq!(
        keys(passed),
        ["cosine", "crops", "level", "steps", "wanted"]
    );
    assert_eq!(
        (&passed["level"], &passed["crops"]),
        (&"close".into(), &3.into())
    );
    assert!(passed["cosine"].as_f64() > Some(0.999_999), "{passed}");

    let text = reid!["model", "verify", path, "--device", "tract"]
        .succeeds()
        .stdout;
    assert!(
        text.contains("close: 3 golden crops, cosine at least 0.99999"),
        "{text}"
    );
    let text = reid!["model", "inspect", path].succeeds().stdout;
    assert!(
        text.contains("3 golden crops; floats: cosine at least 0.9999"),
        "{text}"
    );
    let report = reid!["model", "inspect", path, "--json"].succeeds().json();
    assert_eq!(report["digest"].as_str().map(str::len), Some(64));
    assert_eq!(report["metadata"]["receipt"]["golden"]["count"], 3);

    reid!["model", "verify", path, "--device", "gpu"]
        .fails()
        .says(&["this build computes on the CPU only"]);
}

#[test]
fn a_model_without_a_self_test_is_reported_as_untested() {
    let example = &crate::example::example().model;
    let ended = reid!["model", "verify", example].exits(4);
    let ended = ended.says(&["no self-test in the file", "trainer export"]);
    assert!(ended.stdout.contains("none in the file"), "{ended:?}");
    let report = reid!["model", "verify", example, "--json"].exits(4).json();
    assert_eq!(report["self_test"], false);
    assert_eq!(report["reproduced"], Value::Null);
    assert_eq!(report["backends"], serde_json::json!([]));
}

#[test]
fn a_changed_file_is_refused_by_its_sha256() {
    let folder = Folder::new();
    let path = model(&folder);
    let whole = std::fs::read(&path).expect("the model can be read");
    let find = |text: &str| {
        let at = whole
            .windows(text.len())
            .rposition(|part| part == text.as_bytes());
        at.unwrap_or_else(|| panic!("no {text}"))
    };
    let weight = network().params()[0].tensor.as_f32().expect("f32")[5].to_le_bytes();
    let weight = whole
        .windows(4)
        .position(|part| part == weight)
        .expect("it is there");
    let digest = "the sha256 of its content is";
    for (what, at, why) in [
        ("a weight", weight, digest),
        ("a name", find("stripes"), digest),
        ("the self-test", find("\"embeddings\":[\"") + 20, digest),
        ("the bound", find("\"close\":0.9999") + 8, digest),
        (
            "the digest",
            find(DIGEST_KEY) + DIGEST_KEY.len() + 10,
            digest,
        ),
        (
            "the key of the digest",
            find(DIGEST_KEY),
            "but no digest under",
        ),
        ("the key of the metadata", find(METADATA_KEY), digest),
    ] {
        let mut changed = whole.clone();
        // Digits stay digits, letters letters.
        changed[at] ^= 1;
        let path = folder.file("changed.onnx", &changed);
        for call in [
            reid!["model", "inspect", path],
            reid!["model", "verify", path],
            embed(&path, &folder),
        ] {
            let ended = call.fails().says(&["changed.onnx"]);
            assert!(ended.stderr.contains(why), "{what}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_self_test_that_contradicts_the_metadata_is_refused() {
    let folder = Folder::new();
    let path = folder.at("person.onnx");
    let json = with_self_test().to_json();
    let row = json.find("\"embeddings\":[\"").expect("embeddings") + "\"embeddings\":[\"".len();
    // ff 7f is a half float that is no number.
    let nan = format!("{}/38{}", &json[..row], &json[row + 3..]);
    let huge = format!("{json}{}", " ".repeat(2 << 20));
    let one_more = json.replacen("\"count\":3", "\"count\":4", 1);
    let larger = json.replacen("\"count\":3", "\"count\":3000000000", 1);
    let certain = json.replacen("\"close\":0.9999", "\"close\":-1.0", 1);
    let cut = format!("{}{}", &json[..row], &json[row + 8..]);
    for (name, json, why) in [
        ("NaN", nan, "golden crop 0 has length NaN"),
        ("huge", huge, "size of the model metadata in bytes is"),
        ("one more", one_more, "3 embeddings for 4 golden crops"),
        ("a crowd", larger, "3000000000 golden crops, wanted 1 to 16"),
        ("what passes always", certain, "a cosine of at least -1"),
        ("cut", cut, "has 61 numbers, wanted 64"),
    ] {
        with_digest(&json, &path);
        for call in [reid!["model", "inspect", path], embed(&path, &folder)] {
            let ended = call.fails().says(&["person.onnx"]);
            assert!(ended.stderr.contains(why), "{name}: {}", ended.stderr);
        }
    }
}

/// A file that lost its digest and its self-test may hold any network. It runs, but not in the
/// gallery of the space that its metadata still names.
#[test]
fn a_stated_space_counts_only_in_a_file_whose_digest_holds() {
    let folder = Folder::new();
    let stated = ModelMetadata {
        space: Some("space of the shop".to_owned()),
        ..metadata()
    };
    let whole = folder.at("whole.onnx");
    write_with(&stated, &whole);
    // The same network as another tool writes it again, and another network.
    let metadata = BTreeMap::from([(METADATA_KEY.to_owned(), stated.to_json())]);
    let write = |name: &str, graph: &Graph, metadata: &BTreeMap<String, String>| {
        let path = folder.at(name);
        let bytes = network::onnx::write_bytes(graph, metadata).expect("it has a form");
        std::fs::write(&path, bytes).expect("the model can be written");
        path
    };
    let again = write("again.onnx", &network(), &metadata);
    let mut other = network();
    let (id, values) = {
        let (id, param) = other.param_ids().next().expect("it has weights");
        (id, param.tensor.as_f32().expect("f32").to_vec())
    };
    let values: Vec<f32> = values.iter().map(|value| -value).collect();
    let shape = other.tensor(id).shape().to_vec();
    let tensor = Tensor::f32(shape, values).expect("a tensor of the same shape");
    other.set_tensor(id, tensor).expect("it fits");
    let other = write("other.onnx", &other, &metadata);
    let renamed = [("old.contract".to_owned(), stated.to_json())].into();
    let renamed = write("renamed.onnx", &network(), &renamed);

    let gallery = folder.at("shop.redb");
    let crop = &crops("query", 1)[0];
    let enroll = |model: &Path| {
        reid![
            "enroll",
            "Ada",
            crop,
            "--gallery",
            gallery,
            "--model",
            model
        ]
    };
    enroll(&whole).succeeds().omits("digest");
    let space = |model: &Path| {
        let report = reid!["model", "inspect", model, "--json"].succeeds().json();
        report["space"].as_str().expect("a text").to_owned()
    };
    assert_eq!(space(&whole), "space of the shop");
    let why = [
        "reid: warning: ",
        "has model metadata, but no digest (`reid.sha256`) and no self-test",
        "`space of the shop` that it states does not count",
    ];
    for model in [&again, &other] {
        let name = model.file_name().and_then(|name| name.to_str());
        let refused = [
            "holds embeddings of space 'space of the shop'",
            &space(model),
            name.expect("a name"),
        ];
        enroll(model).fails().says(&why).says(&refused);
        let call = reid!["match", crop, "--gallery", gallery, "--model", model];
        call.fails().says(&why).says(&refused);
        // It is no worse than any other model without metadata of ours.
        embed(model, &folder).succeeds().says(&why);
    }
    enroll(&renamed)
        .fails()
        .says(&["holds embeddings of space"]);
    assert_ne!(space(&again), space(&other));
    // The space is that of the content, whatever its names and whoever wrote it.
    assert_eq!(space(&again), space(&renamed));
    let notes = reid!["model", "inspect", again].succeeds().stdout;
    assert!(notes.contains("no digest"), "{notes}");
}

/// The file is whole, and its exporter computed something else than this device does.
#[test]
fn a_backend_that_computes_something_else_is_refused() {
    let folder = Folder::new();
    let path = folder.at("person.onnx");
    let mut metadata = with_self_test();
    let self_test = metadata.self_test.as_mut().expect("a self-test");
    self_test.embeddings.swap(0, 1);
    with_digest(&metadata.to_json(), &path);
    let why = [
        "the self-test fails",
        "golden crop 0 is 0.",
        "at least 0.9999",
    ];
    embed(&path, &folder)
        .fails()
        .says(&["cannot compute on cpu: tract"])
        .says(&why);
    assert!(!folder.at("emb.npy").exists());
    let ended = reid!["model", "verify", path, "--json"].fails();
    let ended = ended.says(&["person.onnx: the self-test fails on tract"]);
    let report = ended.json();
    assert_eq!(report["reproduced"], false);
    assert_eq!(report["backends"][0]["passed"], Value::Null);
    let error = report["backends"][0]["error"].as_str().expect("an error");
    assert!(why.iter().all(|why| error.contains(why)), "{error}");
}

#[test]
fn a_pass_is_kept_for_the_file_the_backend_and_the_batch() {
    let folder = Folder::new();
    let cache = folder.at("cache");
    let path = model(&folder);
    let (fresh, kept) = (
        "self-test passed: close",
        "self-test passed, by an earlier run: close",
    );
    let call = || embed(&path, &folder).cached_in(&cache);
    call().succeeds().says(&[fresh]);
    call().succeeds().says(&[kept]);
    call().with("--batch").with("2").succeeds().says(&[fresh]);
    reid!["model", "verify", path]
        .cached_in(&cache)
        .succeeds()
        .omits("earlier run");

    // Another file of the same network.
    let mut metadata = with_self_test();
    metadata.net = Some("twin".to_owned());
    with_digest(&metadata.to_json(), &path);
    call().succeeds().says(&[fresh]);

    // What is kept of a pass is no more than that: a broken one is none.
    for entry in std::fs::read_dir(cache.join("reid/receipts")).expect("passes are kept there") {
        std::fs::write(entry.expect("an entry").path(), "{").expect("it can be written");
    }
    call().succeeds().says(&[fresh]);
    call().succeeds().says(&[kept]);

    // A cache that cannot be written.
    let nowhere = folder.file("file", b"");
    for _ in 0..2 {
        embed(&path, &folder)
            .cached_in(&nowhere)
            .succeeds()
            .says(&[fresh]);
    }
}

/// Golden crops have the network's size: how crops are scaled to it does not touch them.
#[test]
fn another_kernel_leaves_the_receipt_as_it_is() {
    let folder = Folder::new();
    let path = model(&folder);
    let call = embed(&path, &folder).with("--resize").with("cv-bilinear");
    call.succeeds().says(&["self-test passed"]);
}

#[test]
fn a_quantised_model_runs_in_its_integers() {
    let folder = Folder::new();
    let path = folder.at("int8.onnx");
    integers_with_digest(&with_integer_self_test(), &path);
    let report = reid!["model", "verify", path, "--json"].succeeds().json();
    let level = |index: usize| &report["backends"][index]["passed"]["level"];
    let name = |index: usize| {
        report["backends"][index]["backend"]
            .as_str()
            .unwrap_or_default()
    };
    assert!(name(0).starts_with("kernels int8, "), "{report}");
    assert!(name(1).starts_with("tract"), "{report}");
    assert_eq!(
        (level(0), level(1)),
        (&"exact".into(), &"close".into()),
        "{report}"
    );
    assert!(
        report["backends"][0]["passed"]["steps"].as_u64() >= Some(3),
        "{report}"
    );

    for device in ["auto", "cpu"] {
        embed(&path, &folder)
            .with("--device")
            .with(device)
            .succeeds()
            .says(&[
                "embedding on cpu (kernels int8, ",
                "self-test passed",
                "exact: 2 golden crops",
            ])
            .omits("warning");
    }
    embed(&path, &folder)
        .with("--device")
        .with("tract")
        .succeeds()
        .says(&["embedding on cpu (tract", "close: 2 golden crops"]);
    let text = reid!["model", "inspect", path].succeeds().stdout;
    for part in [
        "u8, layout fused, ranges by min-max on 4 crops",
        "float layers",
        "neck",
    ] {
        assert!(text.contains(part), "{text}");
    }

    // Recognises whom the float network recognises.
    let eval = |model: &Path| {
        let report = reid![
            "eval",
            crate::example::example().crops,
            "--model",
            model,
            "--json"
        ];
        report.succeeds().json()["map"].as_f64().expect("a number")
    };
    let float = model(&folder);
    assert!((eval(&path) - eval(&float)).abs() < 0.02);
}

/// Integers that differ are no rounding: the network is computed in floats, and that is said aloud.
#[test]
fn integers_that_differ_fall_back_to_floats_loudly() {
    let folder = Folder::new();
    let path = folder.at("int8.onnx");
    let mut metadata = with_integer_self_test();
    let self_test = metadata.self_test.as_mut().expect("a self-test");
    let steps = &mut self_test.exact.as_mut().expect("integers").steps;
    let name = steps[1].name.clone();
    steps[1].sums[1] = network::self_test::Checksum::of(b"something else");
    integers_with_digest(&metadata, &path);
    let step = format!("what step `{name}` writes for golden crop 1");
    embed(&path, &folder).succeeds().says(&[
        "reid: warning: refused kernels int8: the self-test fails",
        &step,
        "embedding on cpu (tract",
        "as kernels int8 was refused",
        "self-test passed: close",
    ]);
    let ended = reid!["model", "verify", path, "--json"].fails();
    let report = ended.says(&["the self-test fails on kernels int8"]).json();
    assert_eq!(report["backends"][0]["passed"], Value::Null);
    assert_eq!(report["backends"][1]["passed"]["level"], "close");
    reid!["model", "verify", path, "--device", "tract"].succeeds();
    reid!["model", "verify", path, "--device", "cpu"].fails();
}
