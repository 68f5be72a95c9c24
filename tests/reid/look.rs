//! What tells a person about the program, a model and the device: `--help`, `bench`, `doctor`,
//! `model inspect`, exit codes and pipes.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::example::{
    Folder, SIGHTINGS, THRESHOLD, crops, example, metadata, run_over, write_with,
};
use crate::program::{Ended, keys, reid};

#[test]
fn the_help_of_every_command_has_an_example() {
    let documented = reid!["--help"].succeeds().stdout;
    for code in ["  0  ", "  1  ", "  2  ", "  3  "] {
        assert!(
            documented.contains(code),
            "exit code{code}is not documented"
        );
    }
    for command in [
        &["demo"][..],
        &["run"],
        &["embed"],
        &["match"],
        &["enroll"],
        &["eval"],
        &["bench"],
        &["doctor"],
        &["model"],
        &["model", "inspect"],
        &["gallery"],
        &["gallery", "list"],
        &["gallery", "show"],
        &["gallery", "forget"],
    ] {
        let mut call = reid![];
        for word in command {
            call = call.with(*word);
        }
        let help = call.with("--help").succeeds().stdout;
        let example = help
            .split_once("Example")
            .map(|(_, rest)| rest)
            .unwrap_or_default();
        let line = format!("  reid {}", command.join(" "));
        assert!(example.contains(&line), "no example in: {help}");
        assert!(
            documented.contains(command[0]),
            "`{}` is not listed",
            command[0]
        );
    }
}

#[test]
fn a_command_line_that_is_wrong_is_exit_code_2() {
    let model = &example().model;
    for call in [
        reid![],
        reid!["walk"],
        reid!["embed", "--model", model, "--out", "a.npy"],
        reid![
            "embed", "a.jpg", "--model", model, "--out", "a.npy", "--resize", "nearest"
        ],
        reid!["bench", "--model", model, "--device", "tpu"],
        reid!["bench", "--model", model, "--iterations", "0"],
        reid!["bench", "--model", model, "--threads", "-1"],
        reid![
            "bench",
            "--model",
            model,
            "--threads",
            "18446744073709551616"
        ],
        reid![
            "run",
            "a.avi",
            "--boxes",
            "whole",
            "--model",
            model,
            "--threshold",
            "1.5"
        ],
        reid![
            "run",
            "a.avi",
            "--boxes",
            "whole",
            "--model",
            model,
            "--threshold",
            "NaN"
        ],
    ] {
        let ended = call.misuses();
        assert_eq!(ended.stdout, "");
        assert!(
            ended.stderr.contains("--help") || ended.stderr.contains("Usage:"),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn sizes_that_no_device_has_are_refused_with_what_it_has() {
    let model = &example().model;
    for (option, value, wanted) in [
        ("--batch", "0", "batch is 0, wanted 1 to 256"),
        ("--batch", "257", "batch is 257, wanted 1 to 256"),
        // One more than the limit: without one, the absurd would take the machine down.
        ("--threads", "257", "threads is 257, wanted 0 to 256"),
        ("--device", "gpu", "cannot compute on gpu: this build"),
    ] {
        reid![
            "bench",
            "--model",
            model,
            "--iterations",
            "1",
            option,
            value
        ]
        .fails()
        .says(&[wanted]);
    }
}

#[test]
fn a_bench_reports_what_it_ran_and_how_long_it_took() {
    let report = reid![
        "bench",
        "--model",
        example().model,
        "--batch",
        "2",
        "--threads",
        "1",
        "--iterations",
        "5",
        "--json"
    ]
    .succeeds()
    .says(&["embedding on cpu (tract", "1 thread"])
    .json();
    let wanted = [
        "backend",
        "batch",
        "device",
        "first_ms",
        "images_per_s",
        "iterations",
        "load_ms",
        "model",
        "ms",
        "peak_rss_mb",
        "schema",
        "self_test",
        "threads",
    ];
    assert_eq!(keys(&report), wanted);
    for (key, value) in [
        ("schema", 2),
        ("batch", 2),
        ("threads", 1),
        ("iterations", 5),
    ] {
        assert_eq!(report[key], value, "{key}");
    }
    assert_eq!(report["device"], "cpu");
    let ms = &report["ms"];
    assert_eq!(keys(ms), ["min", "p50", "p90", "p99"]);
    let times = ["min", "p50", "p90", "p99"].map(|key| ms[key].as_f64().expect("a number"));
    assert!(times[0] > 0.0 && times.is_sorted(), "{ms}");
    let rate = report["images_per_s"].as_f64().expect("a number");
    // Two crops a batch; no batch was faster than the fastest.
    assert!(rate > 0.0 && rate <= 2000.0 / times[0] * 1.01, "{report}");
    let number = |key: &str| report[key].as_f64().expect("a number");
    assert!(number("load_ms") <= number("first_ms"), "{report}");
}

#[test]
fn the_doctor_says_what_would_be_used_and_bundles_the_same() {
    let folder = Folder::new();
    let bundle = folder.at("report.json");
    let report = reid!["doctor", "--json", "--bundle", bundle]
        .succeeds()
        .json();
    let wanted = [
        "cameras",
        "cores",
        "cpu",
        "devices",
        "memory_mb",
        "scan",
        "schema",
        "target",
        "version",
        "video",
    ];
    assert_eq!(keys(&report), wanted);
    let devices = report["devices"].as_array().expect("a list");
    for device in devices {
        assert_eq!(keys(device), ["chosen", "name", "usable", "why"]);
    }
    let chosen: Vec<&Value> = devices
        .iter()
        .filter(|device| device["chosen"] == true)
        .collect();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0]["usable"], true);

    let bundled = std::fs::read(&bundle).expect("the bundle can be read");
    let bundled: Value = serde_json::from_slice(&bundled).expect("the bundle is JSON");
    assert_eq!(bundled, report);

    let text = reid!["doctor"].succeeds().stdout;
    assert!(text.contains("chosen by --device auto"), "{text}");
}

#[test]
fn an_inspection_tells_what_a_model_reads_and_what_was_assumed() {
    let example = example();
    let report = reid!["model", "inspect", example.model, "--json"]
        .succeeds()
        .json();
    let wanted = [
        "bytes",
        "digest",
        "file",
        "macs",
        "metadata",
        "nodes_folded",
        "nodes_in_file",
        "notes",
        "operators",
        "parameters",
        "path",
        "schema",
        "space",
    ];
    assert_eq!(keys(&report), wanted);
    assert_eq!(report["metadata"]["preprocessing"]["height"], 64);
    assert_eq!(report["metadata"]["embedding"]["dim"], 64);
    assert!(
        report["operators"].get("BatchNormalization").is_none(),
        "{report}"
    );
    // 32 x 16 outputs of 16 channels, 75 multiplications each.
    assert_eq!(report["macs"], 32 * 16 * 16 * 75);
    let bytes = std::fs::metadata(&example.model)
        .expect("it is there")
        .len();
    assert_eq!(report["bytes"], bytes);
    let note = report["notes"][0].as_str().unwrap_or_default();
    assert!(note.contains("does not state its pre-processing"), "{note}");

    let folder = Folder::new();
    let model = folder.at("figures.onnx");
    let mut stated = metadata();
    stated.weights.licence = Some("MIT".to_owned());
    write_with(&stated, &model);
    let text = reid!["model", "inspect", model].succeeds().stdout;
    for part in [
        "64x32, pil-bilinear",
        "64 numbers, output `embedding`, cosine",
        "MIT",
    ] {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    assert!(!text.contains("note:"), "{text}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let example = example();
    // Ten times the clip is more than a pipe holds, so the program is still writing when it closes.
    let mut call = reid![
        "run",
        "--boxes",
        example.boxes,
        "--model",
        example.model,
        "--threshold",
        THRESHOLD,
        "--json"
    ];
    for _ in 0..10 {
        call = call.with(&example.clip);
    }
    let mut child = call.command().spawn().expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a first line");
    assert!(line.starts_with("{\"schema\":2"), "{line}");
    drop(stdout);
    let output = child.wait_with_output().expect("the program ends");
    Ended::checked("run | head -1".to_owned(), output, 0).omits("pipe");
}

#[test]
fn a_full_disk_behind_stdout_or_a_file_is_told() {
    let folder = Folder::new();
    // By a link of our own, so that a program which replaced what it should write into would
    // replace the link.
    let full = folder.at("full");
    std::os::unix::fs::symlink("/dev/full", &full).expect("links can be made");
    reid!["doctor", "--bundle", full]
        .fails()
        .says(&["full: No space left on device"]);
    reid![
        "embed",
        crops("query", 1)[0],
        "--model",
        example().model,
        "--out",
        full
    ]
    .fails()
    .says(&["full: No space left on device"]);
    let link = std::fs::symlink_metadata(&full).expect("it is there");
    assert!(link.file_type().is_symlink(), "what was there was replaced");

    let example = example();
    for call in [
        reid!["doctor"],
        reid!["model", "inspect", example.model],
        run_over(&example.clip, &example.boxes).with("--json"),
    ] {
        let stdout = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device");
        let output = call
            .command()
            .stdout(stdout)
            .output()
            .expect("the program starts");
        let ended = Ended::checked(format!("{call:?} > /dev/full"), output, 1)
            .says(&["No space left on device"]);
        let told = ended.stderr.matches("No space left").count();
        assert_eq!(told, 1, "said more than once: {}", ended.stderr);
    }
}

#[test]
fn a_pipe_as_output_is_written_into() {
    let folder = Folder::new();
    let pipe = folder.at("stdout");
    std::os::unix::fs::symlink("/proc/self/fd/1", &pipe).expect("links can be made");
    let stdout = reid!["doctor", "--bundle", pipe].succeeds().stdout;
    let (bundle, text) = stdout.split_once("\n}").expect("JSON and then text");
    let report: Value = serde_json::from_str(&format!("{bundle}}}")).expect("JSON");
    assert_eq!(report["schema"], 1);
    assert!(text.contains("gallery scan"), "{text}");
}

#[test]
fn progress_and_notes_stay_off_stdout() {
    let example = example();
    let ended = reid![
        "run",
        example.clip,
        "--boxes",
        example.boxes,
        "--model",
        example.model,
        "--threshold",
        THRESHOLD,
        "--observations"
    ]
    .succeeds();
    assert_eq!(ended.observations().len(), SIGHTINGS);
    // Two notes and the table: a bar would add lines even where it cannot move the cursor.
    assert_eq!(
        ended.stderr.lines().count(),
        2 + 1 + 8 + 2,
        "{}",
        ended.stderr
    );
}
