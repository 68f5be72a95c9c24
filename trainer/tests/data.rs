//! `trainer data check` through the program.

use std::path::Path;
use std::process::{Command, Output};

fn trainer(args: &[&str], root: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.args(["data", "check"]).arg(root).args(args);
    command.output().unwrap()
}

/// Three persons with two images each, one of them learned.
fn street() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (folder, person) in [
        ("bounding_box_train", 1),
        ("query", 2),
        ("bounding_box_test", 2),
    ] {
        std::fs::create_dir(root.path().join(folder)).unwrap();
        for camera in [1, 2] {
            let name = format!("{folder}/{person:04}_c{camera}s1_000001_00.jpg");
            let image = image::RgbImage::new(4, 8);
            image.save(root.path().join(name)).unwrap();
        }
    }
    root
}

#[test]
fn a_data_set_is_described_and_a_broken_one_fails() {
    let root = street();
    let output = trainer(&["--threads", "2"], root.path());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in ["train", "query", "gallery"] {
        let line = text.lines().find(|line| line.starts_with(part)).unwrap();
        assert!(line.contains("4 x 8"), "{line}");
    }
    assert!(
        text.contains("images by camera, query: 1: 1, 2: 1"),
        "{text}"
    );
    assert!(!text.contains("LEAK"), "{text}");

    let json = |root: &Path| {
        let output = trainer(&["--json", "--layout", "market"], root);
        let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), value)
    };
    let (code, report) = json(root.path());
    assert_eq!((code, &report["train"]["identities"]), (Some(0), &1.into()));

    let broken = root.path().join("query/0001_c1s1_000009_00.jpg");
    std::fs::write(&broken, b"\xff\xd8 and no more").unwrap();
    let (code, report) = json(root.path());
    assert_eq!((code, &report["leaked"][0]), (Some(1), &1.into()));
    let path = broken.to_str().unwrap();
    assert_eq!(report["broken"][0]["path"], path);
    let output = trainer(&[], root.path());
    let (text, error) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    assert_eq!(error, "trainer: error: 1 of 7 images cannot be decoded\n");
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.contains("LEAK: 1 person in both training and test"),
        "{text}"
    );
    assert!(text.contains(&format!("broken: {path}: ")), "{text}");
}

#[test]
fn what_is_no_data_set_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let cases: [(&[&str], i32, &str); 3] = [
        (
            &[],
            1,
            "no known layout: found nothing; wanted bounding_box_train/",
        ),
        (
            &["--layout", "pairs"],
            1,
            "layout pairs wants cam_a/ and cam_b/; found nothing",
        ),
        (
            &["--layout", "markt"],
            2,
            "[possible values: market, msmt17, cuhk03-detected, cuhk03-labeled, pairs, folders]",
        ),
    ];
    for (args, code, wanted) in cases {
        let output = trainer(args, root.path());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}
