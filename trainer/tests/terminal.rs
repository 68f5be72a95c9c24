//! What the program says reaches a terminal as text alone, and what it does needs no terminal.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use network::tensor::Tensor;
use trainer::weights::WeightFile;

/// What a file may contain to command a terminal, to forge a line of a log, or to hide.
const POISON: &str = "a\u{1b}]0;b\u{7}\u{1b}[2K\u{9b}31m\nFORGED\r\u{202e}c\u{200b}\u{7f}";

fn trainer<S: AsRef<std::ffi::OsStr>>(folder: &Path, arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.current_dir(folder).args(arguments);
    command
}

/// Checks that output shows the poison and nothing that a terminal would obey; gives stdout.
#[track_caller]
fn shows(folder: &Path, arguments: &[&str]) -> String {
    let output = trainer(folder, arguments).output().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    let told = format!("{arguments:?}: {}\n{stdout}\n{stderr}", output.status);
    assert!(matches!(output.status.code(), Some(0..=2)), "{told}");
    for text in [&stdout, &stderr] {
        let obeyed = |letter: char| letter != '\n' && cli::is_unprintable(letter);
        assert_eq!(text.find(obeyed), None, "{told}");
        assert!(
            !text.lines().any(|line| line.starts_with("FORGED")),
            "{told}"
        );
        for line in text.lines() {
            let parts: Vec<&str> = line.split(": ").collect();
            assert!(
                !parts.windows(2).any(|two| two[0] == two[1]),
                "said twice: {told}"
            );
        }
    }
    let escaped = |text: &String| text.contains("\\u{1b}") || text.contains("\\u001b");
    assert!(escaped(&stdout) || escaped(&stderr), "{told}");
    stdout
}

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

fn dead() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

#[test]
fn files_do_not_command_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut weights = WeightFile::default();
    let tensor = Tensor::f32([2], [1.0, 2.0]).unwrap();
    weights.tensors.insert(POISON.to_owned(), tensor.clone());
    weights.tensors.insert("long".repeat(20_000), tensor);
    weights.write(&at.join("poison.safetensors")).unwrap();
    shows(at, &["import", "poison.safetensors", "--list"]);
    let json = shows(at, &["import", "poison.safetensors", "--list", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["tensors"][0]["name"], POISON, "the exact value");

    let name = format!("{POISON}.safetensors");
    std::fs::write(at.join(&name), "no weights").unwrap();
    shows(at, &["import", &name]);
    shows(at, &["import", POISON]);
    shows(at, &["export", "--weights", &name, "--out", "x.onnx"]);
    shows(at, &["import", "x.pth", "--arch", POISON]);
    shows(at, &[&format!("--{POISON}")]);
    shows(at, &["data", "check", POISON]);
    for person in [POISON, "b"] {
        let person = at.join("set").join(person);
        std::fs::create_dir_all(&person).unwrap();
        for name in ["1.png", "2.png"] {
            image::RgbImage::new(4, 8).save(person.join(name)).unwrap();
        }
        std::fs::write(person.join("broken.jpg"), "no image").unwrap();
    }
    shows(at, &["data", "check", "set", "--layout", "folders"]);
    shows(
        at,
        &["data", "check", "set", "--layout", "folders", "--json"],
    );
}

#[test]
fn an_export_needs_no_terminal() {
    for stream in [full as fn() -> Stdio, dead] {
        let folder = tempfile::tempdir().unwrap();
        let arguments = "export --weights random --arch osnet_x0_25 --size 64x32 --out x.onnx";
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let mut command = trainer(folder.path(), &arguments);
        let status = command.stdout(Stdio::null()).stderr(stream()).status();
        assert_eq!(status.unwrap().code(), Some(0));
        assert!(folder.path().join("x.onnx").exists());
    }
    let folder = tempfile::tempdir().unwrap();
    for (arguments, wanted) in [
        (&["nets"][..], 1),
        (&["nets", "--json"], 1),
        (&["--help"], 1),
        (&["import", "nowhere.pth"], 1),
        (&["import", "--unknown"], 2),
    ] {
        let mut command = trainer(folder.path(), arguments);
        let status = command.stdout(full()).stderr(full()).status();
        assert_eq!(status.unwrap().code(), Some(wanted), "{arguments:?}");
    }
}
