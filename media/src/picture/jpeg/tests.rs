//! What is refused, and that nothing panics.

use base64ct::{Base64, Encoding};
use image::ExtendedColorType;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use super::*;
use crate::picture::tests::jpeg_of;

/// The JPEG of that name of `tests/jpeg_reference.json`.
fn reference(name: &str) -> Vec<u8> {
    let all: Value =
        serde_json::from_str(include_str!("../../../tests/jpeg_reference.json")).unwrap();
    let cases = all["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["name"] == name).unwrap();
    Base64::decode_vec(case["jpeg"].as_str().unwrap()).unwrap()
}

fn refused(jpeg: &[u8]) -> String {
    let mut rgb = Vec::new();
    match decode(jpeg, &mut rgb) {
        Ok(found) => panic!("decoded to {found:?}"),
        Err(error) => error.to_string(),
    }
}

fn size_of(jpeg: &[u8]) -> Option<(usize, usize)> {
    let found = decode(jpeg, &mut Vec::new()).ok()?;
    Some((found.width, found.height))
}

/// Where the body of the first segment with that marker begins.
fn body(jpeg: &[u8], marker: u8) -> usize {
    jpeg.windows(2)
        .position(|two| two == [0xff, marker])
        .unwrap()
        + 4
}

/// Where the compressed data of the first scan begins.
fn data(jpeg: &[u8]) -> usize {
    let scan = body(jpeg, 0xda);
    scan + usize::from(jpeg[scan - 1]) - 2
}

fn with_size(jpeg: &[u8], width: u16, height: u16) -> Vec<u8> {
    let frame = jpeg
        .windows(2)
        .position(|two| matches!(two, [0xff, 0xc0 | 0xc2]))
        .unwrap();
    let mut jpeg = jpeg.to_vec();
    jpeg[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

const KINDS: [&str; 8] = [
    "4:2:0 restarts",
    "4:2:0 35 x 18",
    "4:2:0 35 x 18 progressive",
    "4:4:0 restarts",
    "grey",
    "grey progressive",
    "YCCK",
    "scan by scan 2x2 1x1 1x1",
];

#[test]
fn a_picture_that_ends_early_is_refused_with_and_without_an_end_marker() {
    for name in KINDS {
        let whole = reference(name);
        assert!(size_of(&whole).is_some(), "{name}");
        // Behind the last coefficient there is nothing but the end marker, which may be missing.
        for length in 2..whole.len() - 2 {
            let cut = &whole[..length];
            assert_eq!(size_of(cut), None, "{name} cut to {length}");
            let ended = [cut, b"\xff\xd9"].concat();
            assert_eq!(size_of(&ended), None, "{name} cut to {length} and ended");
        }
        assert!(size_of(&whole[..whole.len() - 2]).is_some(), "{name}");
    }
    let whole = reference("4:2:0 35 x 18");
    let cut = [&whole[..whole.len() - 40], b"\xff\xd9"].concat();
    assert_eq!(
        refused(&cut),
        "a damaged JPEG: its compressed data ends early, at row 16 of 18"
    );
}

#[test]
fn a_header_that_claims_another_size_is_refused() {
    for name in KINDS {
        let whole = reference(name);
        let (width, height) = size_of(&whole).unwrap();
        let (w, h) = (width as u16, height as u16);
        for (w, h) in [
            (w, h * 2),
            (w, h * 4),
            (w * 2, h),
            (w, h + 16),
            (w * 3, h * 3),
        ] {
            refused(&with_size(&whole, w, h));
        }
        // Less than there is leaves bytes over. Progressive scans have few in each.
        if !name.contains("progressive") {
            refused(&with_size(&whole, w, h.div_ceil(2) - 1));
            refused(&with_size(&whole, w.div_ceil(2) - 1, h));
        }
    }
    let whole = reference("grey");
    let error = refused(&with_size(&whole, 19, 5));
    assert!(
        error.contains("bytes of compressed data are left over"),
        "{error}"
    );
}

#[test]
fn a_size_that_the_bytes_cannot_fill_takes_no_memory() {
    for name in KINDS {
        let vast = with_size(&reference(name), 9459, 9459);
        let mut rgb = Vec::new();
        let error = decode(&vast, &mut rgb).unwrap_err().to_string();
        assert!(
            error.starts_with("a damaged JPEG: 9459 x 9459 pixels take at least"),
            "{name}: {error}"
        );
        assert_eq!(rgb.capacity(), 0, "{name}");
    }
}

#[test]
fn a_progressive_picture_without_a_scan_is_refused() {
    for name in ["4:2:0 35 x 18 progressive", "grey progressive"] {
        let whole = reference(name);
        let scans: Vec<usize> = whole
            .windows(2)
            .enumerate()
            .filter_map(|(at, two)| (two == [0xff, 0xda]).then_some(at))
            .collect();
        assert!(scans.len() > 3);
        for (at, &scan) in scans.iter().enumerate() {
            // Without those behind it.
            let fewer = [&whole[..scan], b"\xff\xd9"].concat();
            let error = refused(&fewer);
            assert!(error.contains("it ends before coefficient"), "{error}");
            // A scan twice, or without what it refines.
            let next = scans.get(at + 1).copied().unwrap_or(whole.len() - 2);
            let twice = [&whole[..next], &whole[scan..]].concat();
            if next < whole.len() - 2 {
                let error = refused(&twice);
                assert!(error.contains("out of order"), "{error}");
            }
        }
    }
}

#[test]
fn what_encoders_and_cameras_do_beside_the_rules_is_taken() {
    let whole = reference("4:2:0 35 x 18");
    let mut wanted = Vec::new();
    decode(&whole, &mut wanted).unwrap();
    let end = whole.len() - 2;
    let scan = body(&whole, 0xda) - 4;
    let cases = [
        (
            "garbage behind the end",
            [&whole[..], b"\0\0garbage"].concat(),
        ),
        (
            "zeros in place of the end",
            [&whole[..end], &[0; 8]].concat(),
        ),
        ("a byte too many", [&whole[..end], b"\x55\xff\xd9"].concat()),
        (
            "fill bytes before the end",
            [&whole[..end], b"\xff\xff\xff\xd9"].concat(),
        ),
        (
            "fill bytes before a segment",
            [&whole[..scan], b"\xff\xff", &whole[scan..]].concat(),
        ),
        (
            "a comment",
            [&whole[..scan], b"\xff\xfe\0\x03x", &whole[scan..]].concat(),
        ),
    ];
    for (name, jpeg) in cases {
        let mut rgb = Vec::new();
        decode(&jpeg, &mut rgb).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(rgb, wanted, "{name}");
    }
}

#[test]
fn what_is_not_supported_or_wrong_is_named() {
    let whole = reference("4:2:0 restarts");
    let frame = body(&whole, 0xc0);
    let scan = body(&whole, 0xda);
    let tables = body(&whole, 0xdb);
    let first = data(&whole);
    let restart = first
        + whole[first..]
            .windows(2)
            .position(|two| two == [0xff, 0xd0])
            .unwrap();
    let change = |at: usize, to: u8| {
        let mut jpeg = whole.clone();
        jpeg[at] = to;
        jpeg
    };
    let cases = [
        (change(frame, 12), "12 bits a sample"),
        (change(frame - 3, 0xc9), "arithmetic coding"),
        (change(frame - 3, 0xc3), "lossless coding"),
        (change(frame - 3, 0xc5), "hierarchical coding"),
        (change(frame - 3, 0xf5), "unexpected marker `fff5`"),
        (change(frame + 5, 2), "2 components, wanted 1, 3 or 4"),
        (
            change(frame + 10, 0x31),
            "sampling factors 2 x 2 beside 3 x 2",
        ),
        (change(frame + 7, 0x52), "sampling factors 5 x 2"),
        (change(frame + 7, 0), "sampling factors 0 x 0"),
        (change(frame + 9, 1), "two components 1"),
        (change(frame + 8, 3), "no quantisation table 3"),
        (change(tables, 5), "a broken quantisation table"),
        (change(scan + 1, 9), "a scan of an unknown component 9"),
        (change(scan + 1, 2), "a scan with component 2 twice"),
        (change(scan + 2, 0x20), "no Huffman table Dc 2"),
        (
            change(restart + 1, 0xd3),
            "marker `ffd3` in place of restart marker `ffd0`",
        ),
        (with_size(&whole, 0, 9), "0 x 9 pixels: wanted 1 to"),
        (with_size(&whole, 9, 0), "9 x 0 pixels: wanted 1 to"),
        (
            with_size(&whole, 16_385, 1),
            "16385 x 1 pixels: wanted 1 to",
        ),
        (whole[..frame].to_vec(), "it is cut off before its size"),
        (b"\xff\xd8\xff\xd9".to_vec(), "it ends before its size"),
        (
            b"\xff\xd8\xff\xd8".to_vec(),
            "another one begins before its size",
        ),
        (
            b"\xff\xd8abc".to_vec(),
            "`61` at byte 2 in place of a marker",
        ),
    ];
    for (jpeg, wanted) in cases {
        let error = refused(&jpeg);
        assert!(error.contains(wanted), "{error:?} without {wanted:?}");
    }
}

#[test]
fn a_table_of_more_codes_than_bits_have_is_refused() {
    let mut counts = [0; 16];
    counts[0] = 3;
    assert!(Table::new(Class::Ac, &counts, &[0, 1, 2]).is_err());
    counts[0] = 1;
    let table = Table::new(Class::Ac, &counts, &[0]).unwrap();
    assert_eq!(table.least, 1);
}

/// Flips, removes, repeats and overwrites bytes of a JPEG of each kind.
#[test]
fn damage_is_never_a_panic_and_never_takes_more_memory_than_the_bytes_can_fill() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut below = move |limit: usize| random.next_u32() as usize % limit;
    let (mut decoded, mut errors) = (0, 0);
    for name in KINDS {
        let whole = reference(name);
        for _ in 0..1500 {
            let mut jpeg = whole.clone();
            for _ in 0..=below(4) {
                let at = below(jpeg.len());
                match below(5) {
                    0 => jpeg[at] ^= 1 << below(8),
                    1 => jpeg[at] = below(256) as u8,
                    2 => drop(jpeg.remove(at)),
                    3 => jpeg[at] = [0, 0xff, 0x7f, 0x80, 1][below(5)],
                    _ => {
                        let end = (at + below(40)).min(jpeg.len());
                        jpeg.splice(
                            at..at,
                            whole[at.min(whole.len())..end.min(whole.len())].to_vec(),
                        );
                    }
                }
                if jpeg.len() < 4 {
                    break;
                }
            }
            let mut rgb = Vec::new();
            match decode(&jpeg, &mut rgb) {
                Ok(found) => {
                    assert_eq!(rgb.len(), found.width * found.height * 3);
                    decoded += 1;
                }
                Err(_) => errors += 1,
            }
            // A bit at least for the 64 pixels of a block.
            assert!(rgb.capacity() <= jpeg.len() * 8 * 64 * 3, "{name}");
        }
    }
    // Both happen, or the damage is of no use.
    assert!(decoded > 500 && errors > 500, "{decoded} {errors}");
}

/// `cargo test --release -p media speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn speed() {
    let (width, height) = (1280u32, 720u32);
    let pixels: Vec<u8> = (0..width * height * 3)
        .map(|at| {
            let (x, y) = (at / 3 % width, at / 3 / width);
            let wave = (x as f32 / 19.0).sin() * (y as f32 / 13.0).cos() * 90.0;
            (128.0 + wave) as u8 ^ ((x * y) >> 6 & 7) as u8
        })
        .collect();
    let jpeg = jpeg_of(&pixels, width, height, ExtendedColorType::Rgb8);
    let mut rgb = Vec::new();
    for _ in 0..5 {
        let start = std::time::Instant::now();
        for _ in 0..20 {
            decode(&jpeg, &mut rgb).unwrap();
        }
        let each = start.elapsed().as_secs_f64() / 20.0 * 1e3;
        println!("{width} x {height}, {} bytes: {each:.2} ms", jpeg.len());
    }
}
