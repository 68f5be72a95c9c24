//! Crops against Pillow and `OpenCV`, bit for bit. `preprocess_reference.json` is written by
//! `preprocess_reference.py`, both beside this file.

use network::metadata::{Fit, Preprocessing, Resize};
use network::preprocess::{BBox, Cropper, View};
use serde::Deserialize;

const WIDTH: usize = 97;
const HEIGHT: usize = 83;

#[derive(Deserialize)]
struct Reference {
    made_with: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    bbox: BBox,
    width: usize,
    height: usize,
    resize: Resize,
    fit: Fit,
    /// Hexadecimal, `[height, width, 3]`.
    rgb: String,
}

/// The frame of `preprocess_reference.py`: noise on the left, a ramp on the right.
fn frame() -> Vec<u8> {
    let mut rgb = Vec::with_capacity(WIDTH * HEIGHT * 3);
    for y in 0..HEIGHT as u32 {
        for x in 0..WIDTH as u32 {
            for c in 0..3 {
                let mixed = (x * 7919 + y * 104_729 + c * 1_299_709).wrapping_mul(2_654_435_761);
                let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519);
                let ramp = (x * 2 + y + c * 40) % 256;
                let noisy = (x as usize) < WIDTH / 2;
                rgb.push(if noisy { mixed >> 24 } else { ramp } as u8);
            }
        }
    }
    rgb
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| digit.to_digit(16).expect("the fixture is hexadecimal") as u8)
        .collect();
    digits
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[high, low]| high << 4 | low)
        .collect()
}

#[test]
fn crops_are_those_of_pillow_and_opencv() {
    let reference: Reference =
        serde_json::from_str(include_str!("preprocess_reference.json")).unwrap();
    let rgb = frame();
    let frame = View::new(&rgb, WIDTH, HEIGHT).unwrap();
    assert_eq!(reference.cases.len(), 72);
    for case in &reference.cases {
        let mut cropper = Cropper::new(&Preprocessing {
            width: case.width,
            height: case.height,
            resize: case.resize,
            fit: case.fit,
            ..Preprocessing::default()
        })
        .unwrap();
        let wanted = bytes(&case.rgb);
        let mut out = vec![0; wanted.len()];
        // Twice: what an earlier crop left in the buffers must not show.
        cropper.whole(frame, &mut out).unwrap();
        cropper.crop(frame, case.bbox, &mut out).unwrap();
        let differing = out.iter().zip(&wanted).filter(|(a, b)| a != b).count();
        assert_eq!(
            differing, 0,
            "samples of \"{}\", {:?}, {:?}, that are not as in {}",
            case.name, case.resize, case.fit, reference.made_with
        );
    }
}
