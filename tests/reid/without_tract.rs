//! A build without tract computes quantised networks, and says what it lacks for others.

use std::path::PathBuf;

use crate::example::{Folder, example};
use crate::program::reid;

/// A folder with the clip and the quantised network of the demo.
fn demo() -> (Folder, PathBuf) {
    let folder = Folder::new();
    let out = folder.at("demo");
    reid!["demo", "--out", out, "--max-frames", "1"].succeeds();
    (folder, out)
}

#[test]
fn a_network_in_floats_is_refused() {
    for device in ["auto", "cpu", "tract"] {
        let folder = Folder::new();
        reid!["embed", example().crops, "--model", example().model]
            .with("--out")
            .with(folder.at("embeddings.npy"))
            .with("--device")
            .with(device)
            .fails()
            .says(&["this build has no tract", "trainer export --quantize"]);
    }
}

#[test]
fn a_detector_is_refused() {
    let (_folder, out) = demo();
    let model = out.join("person.onnx");
    reid![
        "run",
        out.join("clip.avi"),
        "--model",
        model,
        "--boxes",
        "yolox.onnx"
    ]
    .fails()
    .says(&["yolox.onnx", "this build has no tract"]);
}

#[test]
fn the_doctor_and_the_receipt_name_what_is_there() {
    let doctor = reid!["doctor", "--json"].succeeds().json();
    let devices = doctor["devices"].as_array().expect("a list");
    let usable: Vec<_> = (devices.iter().filter(|device| device["usable"] == true))
        .map(|device| &device["name"])
        .collect();
    assert_eq!(usable, ["cpu (kernels int8)"]);

    let (_folder, out) = demo();
    let model = out.join("person.onnx");
    let report = reid!["model", "verify", model, "--json"].succeeds().json();
    assert_eq!(report["backends"].as_array().expect("a list").len(), 1);
}
