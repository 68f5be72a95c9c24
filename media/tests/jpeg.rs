//! JPEGs to the pixels that Pillow and OpenCV make of them, byte for byte.

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    jpeg: String,
    width: usize,
    height: usize,
    /// Of the pixels, `[height, width, 3]`.
    sha256: String,
    /// The pixels.
    rgb: Option<String>,
}

#[test]
fn every_pixel_is_that_of_pillow_and_opencv() {
    let text = include_str!("jpeg_reference.json");
    let reference: Reference = serde_json::from_str(text).unwrap();
    // One buffer for all: what was there before must not matter.
    let mut rgb = Vec::new();
    let mut wrong = Vec::new();
    for case in &reference.cases {
        let jpeg = Base64::decode_vec(&case.jpeg).unwrap();
        match media::picture::decode_frame(&jpeg, &mut rgb) {
            Err(error) => wrong.push(format!("{}: {error}", case.name)),
            Ok(size) => {
                assert_eq!(size, (case.width, case.height), "{}", case.name);
                let digest = Sha256::digest(&rgb);
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                if digest != case.sha256 {
                    let first = case.rgb.as_ref().map(|wanted| {
                        let wanted = Base64::decode_vec(wanted).unwrap();
                        let at = rgb.iter().zip(&wanted).position(|(a, b)| a != b);
                        at.map(|at| (at, rgb[at], wanted[at]))
                    });
                    wrong.push(format!(
                        "{}: differs (first at, found, wanted: {first:?})",
                        case.name
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(reference.cases.len() > 150);
}
