//! What reaches a terminal or a log: nothing in files commands it, and a run does not depend on it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use fixtures::street::{Clip, HEIGHT, WIDTH, jpeg};
use network::metadata::ModelMetadata;
use serde_json::Value;

use crate::example::{
    Folder, SIGHTINGS, THRESHOLD, crops, example, metadata, run_over, write_with,
};
use crate::program::{Ended, Reid, reid};
use crate::protobuf::{self, FLOAT, floats, node, tensor};

/// A run over the example that writes a report.
fn run(report: &Path) -> Reid {
    run_over(&example().clip, &example().boxes)
        .with("--report")
        .with(report)
}

/// A device that is always full.
fn full() -> Stdio {
    let file = File::options().write(true).open("/dev/full");
    file.expect("a full device").into()
}

/// A pipe that nobody reads.
fn dead() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

/// Waits, and gives the exit code: a panic is 101.
#[track_caller]
fn code(child: Child) -> (i32, String) {
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(stderr).expect("UTF-8");
    (status.code().expect("it ends by itself"), stderr)
}

/// Whether a report is there and whole.
#[track_caller]
fn is_whole(report: &Path) {
    let page = std::fs::read_to_string(report).expect("the report is there");
    assert!(page.contains("</html>"), "{page}");
}

#[test]
fn a_stderr_that_cannot_be_written_ends_no_run() {
    for (stderr, format) in [
        (full as fn() -> Stdio, "text"),
        (full, "json"),
        (dead, "text"),
        (dead, "json"),
    ] {
        let folder = Folder::new();
        let (report, lines) = (folder.at("out.html"), folder.at("lines.jsonl"));
        let call = run(&report).with("--observations").with("--log-format");
        let mut command = call
            .with(format)
            .with("--log-level")
            .with("trace")
            .command();
        command
            .stderr(stderr())
            .stdout(File::create(&lines).expect("a file"));
        let child = command.spawn().expect("the program starts");
        assert_eq!(code(child).0, 0);
        let lines = std::fs::read_to_string(&lines).expect("the lines are there");
        let is_observation = |line: &&str| line.starts_with("{\"schema\":1,");
        assert_eq!(lines.lines().filter(is_observation).count(), SIGHTINGS);
        is_whole(&report);
    }
}

#[test]
fn a_stdout_that_cannot_be_written_still_leaves_the_report() {
    // A full disk is a failure, with lines and with the table; a reader that went away is none.
    for (stdout, json, wanted) in [
        (full as fn() -> Stdio, true, 1),
        (full, false, 1),
        (dead, true, 0),
        (dead, false, 0),
    ] {
        let folder = Folder::new();
        let report = folder.at("out.html");
        let call = run(&report);
        let call = if json { call.with("--json") } else { call };
        let mut command = call.command();
        command.stdout(stdout());
        let (found, stderr) = code(command.spawn().expect("the program starts"));
        assert_eq!(found, wanted, "{json}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        if wanted == 1 {
            assert!(last.contains("No space left on device"), "{stderr}");
        }
        is_whole(&report);
    }
}

#[test]
fn a_camera_is_watched_on_without_a_terminal() {
    let folder = Folder::new();
    let (report, lines) = (folder.at("out.html"), folder.at("lines.jsonl"));
    let mut command = run_over("-", "whole")
        .with("--fps")
        .with("4")
        .with("--observations")
        .with("--report")
        .with(&report)
        .command();
    command
        .stdin(Stdio::piped())
        .stdout(File::create(&lines).expect("a file"))
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let clip = Clip::render();
    let picture = jpeg(&clip.frames[0], WIDTH, HEIGHT).expect("a JPEG");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&picture).expect("it reads");
    // It says on what it computes; whoever has read that goes away, and then there is more to say.
    let mut stderr = child.stderr.take().expect("a pipe");
    assert!(stderr.read(&mut [0; 1]).expect("it writes") > 0);
    drop(stderr);
    let mut broken = picture.clone();
    let middle = broken.len() / 2;
    broken[middle..].fill(0);
    broken.extend(b"\xff\xd9");
    for _ in 0..5 {
        // Its reader may keep the newest alone: what is wanted is the end.
        stdin.write_all(&broken).expect("it reads");
        stdin.write_all(&picture).expect("it reads");
    }
    drop(stdin);
    let found = code(child).0;
    assert!([0, 3].contains(&found), "{found}");
    let lines = std::fs::read_to_string(&lines).expect("the lines are there");
    assert!(lines.lines().count() > 0);
    is_whole(&report);
}

/// Stderr of a call that embeds one picture and skips one.
fn messages(flags: &[&str], rust_log: Option<&str>) -> String {
    let folder = Folder::new();
    let broken = folder.file("broken.jpg", b"\xff\xd8\xff");
    let (crop, model) = (&crops("query", 1)[0], &example().model);
    let mut call = reid!["embed", crop, broken, "--model", model];
    for flag in flags {
        call = call.with(flag);
    }
    let mut command = call.with("--out").with(folder.at("out.npy")).command();
    command.env_remove("RUST_LOG");
    command.envs(rust_log.map(|filter| ("RUST_LOG", filter)));
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn messages_are_chosen_by_their_level() {
    let note = "reid: note: embedding on cpu";
    let skipped = "reid: warning: skipped: ";
    for (flags, rust_log, has_note, has_warning) in [
        (&[] as &[&str], None, true, true),
        (&["--log-level", "warn"], None, false, true),
        (&["--log-level", "error"], None, false, false),
        (&["--log-level", "off"], None, false, false),
        (&[], Some("warn"), false, true),
        (&[], Some("reid=error"), false, false),
        // The flag overrides the variable.
        (&["--log-level", "info"], Some("off"), true, true),
    ] {
        let stderr = messages(flags, rust_log);
        let found = (stderr.contains(note), stderr.contains(skipped));
        assert_eq!(found, (has_note, has_warning), "{flags:?}: {stderr}");
        assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
    }
    let stderr = messages(&[], Some("reid=loud"));
    let ignored = "reid: warning: RUST_LOG is ignored: ";
    assert!(
        stderr.contains(ignored) && stderr.contains(note),
        "{stderr}"
    );
}

#[test]
fn messages_are_json_if_that_is_asked_for() {
    let stderr = messages(&["--log-format", "json"], None);
    let lines: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for line in &lines {
        let known = ["level", "message", "program", "target", "timestamp"];
        assert_eq!(crate::program::keys(line), known);
        assert_eq!(line["program"], "reid");
    }
    let skipped = lines.iter().find(|line| {
        let message = line["message"].as_str().expect("a text");
        message.starts_with("skipped: ") && message.contains("broken.jpg")
    });
    assert_eq!(skipped.expect("a warning")["level"], "warn");
    // An error is the last line.
    let mut command = reid!["eval", "nowhere", "--model", example().model].command();
    command.args(["--log-format", "json"]);
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    let last: Value = serde_json::from_str(stderr.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["level"], "error", "{stderr}");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
}

#[test]
fn no_command_panics_without_a_terminal() {
    let folder = Folder::new();
    let crop = &crops("query", 1)[0];
    let calls: &[(&[&str], i32)] = &[
        (&["--help"], 1),
        (&["run", "--help"], 1),
        (&["--version"], 1),
        (&["run", "--unknown"], 2),
        (&["config", "keys"], 1),
        (&["completions", "bash"], 1),
        (&["config", "check", "none.toml", "--log-format", "json"], 1),
        (&["doctor"], 1),
        (&["doctor", "--json"], 1),
        (&["gallery", "list", "nowhere.redb"], 1),
        (
            &["model", "inspect", example().model.to_str().expect("UTF-8")],
            1,
        ),
    ];
    for (arguments, wanted) in calls {
        let arguments = arguments.iter().map(Into::into);
        let mut command = Reid::new(arguments.collect::<Vec<_>>()).command();
        command.stdout(full()).stderr(full());
        let found = code(command.spawn().expect("the program starts")).0;
        assert_eq!(found, *wanted, "{:?}", command.get_args());
    }
    let out = folder.at("out.npy");
    let broken = folder.file("broken.jpg", b"\xff\xd8\xff");
    let model = &example().model;
    for format in ["text", "json"] {
        let call = reid!["embed", crop, broken, "--model", model, "--out", out];
        let mut command = call.with("--log-format").with(format).command();
        command.stderr(full());
        assert_eq!(code(command.spawn().expect("the program starts")).0, 3);
        assert!(out.exists());
    }
}

/// What a file may contain to command a terminal, to forge a line of a log, or to hide.
const POISON: &str = "a\u{1b}]0;b\u{7}\u{1b}[2K\u{9b}31m\nFORGED\r\u{202e}c\u{200b}\u{7f}";

/// The poison as a text of TOML.
fn quoted() -> String {
    let json = serde_json::to_string(POISON).expect("a text");
    json.replace('\u{7f}', "\\u007f")
}

/// Runs a call and checks that its output shows the poison, and that it does so as escapes.
#[track_caller]
fn shows(call: &Reid) -> Ended {
    let output = call.command().output().expect("the program starts");
    let code = output.status.code().expect("it ends by itself");
    // Checks that there is nothing unprintable, whatever the program says.
    let ended = Ended::checked(format!("{call:?}"), output, code);
    assert!([0, 1, 2, 3].contains(&code), "{ended:?}");
    let Ended { stdout, stderr, .. } = &ended;
    let escapes = ["\\u{1b}", "\\u001b", "\\x1b", "\\u{202e}", "\\u202e"];
    let escaped = [stdout, stderr]
        .iter()
        .any(|text| escapes.iter().any(|escape| text.contains(escape)));
    assert!(escaped, "the poison did not get through: {ended:?}");
    for line in stdout.lines().chain(stderr.lines()) {
        assert!(!line.starts_with("FORGED"), "{ended:?}");
    }
    ended
}

/// A model whose contract is the example's, with a change.
fn model_with(folder: &Folder, name: &str, change: impl FnOnce(&mut ModelMetadata)) -> PathBuf {
    let mut metadata = metadata();
    change(&mut metadata);
    let path = folder.at(name);
    write_with(&metadata, &path);
    path
}

#[test]
fn models_do_not_command_a_terminal() {
    let folder = Folder::new();
    let inspect = |path: &Path| {
        shows(&reid!["model", "inspect", path]);
    };
    let weights = || tensor("w", &[96, 4], FLOAT, floats(96 * 4, 0.1));
    let layer = || [node("Flatten", "x > flat"), node("Gemm", "flat w > y")];
    // Names without blanks: blanks stand between names here.
    let operator = [node("Flatten", "x > flat"), node(POISON, "flat w > y")];
    inspect(&folder.file(
        "operator.onnx",
        protobuf::model(3, &operator, &[weights()], &["y"]),
    ));
    let named = [
        node("Flatten", "x > flat"),
        node("Gemm", "flat absent > y").bytes(3, POISON),
    ];
    inspect(&folder.file(
        "node.onnx",
        protobuf::model(3, &named, &[weights()], &["y"]),
    ));
    let reads = [
        node("Flatten", "x > flat"),
        node("Gemm", "flat > y").bytes(1, POISON),
    ];
    let short = tensor(POISON, &[96, 4], FLOAT, floats(95 * 4, 0.1));
    inspect(&folder.file("tensor.onnx", protobuf::model(3, &reads, &[short], &["y"])));
    inspect(&folder.file(
        "output.onnx",
        protobuf::model(3, &layer(), &[weights()], &[POISON]),
    ));

    type Change = fn(&mut ModelMetadata);
    let changes: [Change; 4] = [
        |metadata| metadata.net = Some(POISON.to_owned()),
        |metadata| metadata.space = Some(POISON.to_owned()),
        |metadata| metadata.weights.licence = Some(POISON.to_owned()),
        |metadata| metadata.weights.datasets = vec![POISON.to_owned()],
    ];
    for change in changes {
        let path = model_with(&folder, "said.onnx", change);
        shows(&reid!["model", "inspect", path]);
        let json = shows(&reid!["model", "inspect", path, "--json"]).json();
        assert!(json.to_string().contains("FORGED"), "{json}");
    }
    let path = model_with(&folder, "said.onnx", |metadata| {
        metadata.space = Some(POISON.to_owned());
    });
    let json = reid!["model", "inspect", path, "--json"].succeeds().json();
    assert_eq!(json["space"], POISON, "the exact value");

    let sidecar = folder.file("side.toml", format!("{} = 1\n", quoted()));
    let model = &example().model;
    shows(&reid!["model", "inspect", model, "--sidecar", sidecar]);
    shows(&reid!["model", "inspect", folder.file(POISON, "no model")]);
}

#[test]
fn galleries_do_not_command_a_terminal() {
    let folder = Folder::new();
    let (gallery, model) = (folder.at("shop.redb"), &example().model);
    let picture = std::fs::read(&crops("query", 1)[0]).expect("the crop can be read");
    // Names with control characters are passed over, and shown without being obeyed.
    let poisoned = folder.file(&format!("{POISON}.jpg"), &picture);
    // Other names are kept in the gallery.
    let picture = folder.file("a\u{202e}gpj\u{200b}.jpg", picture);
    let files = |call: Reid| {
        let files = [
            "--gallery".into(),
            gallery.clone(),
            "--model".into(),
            model.clone(),
        ];
        files.into_iter().fold(call, Reid::with)
    };
    files(reid!["enroll", "Ada", poisoned]).fails();
    files(reid!["enroll", "Ada", picture]).succeeds();
    shows(&reid!["gallery", "show", gallery, "Ada"]);
    let json = shows(&reid!["gallery", "show", gallery, "Ada", "--json"]).json();
    assert_eq!(
        json["origins"][0]["source"],
        picture.to_str().expect("UTF-8")
    );
    shows(&files(reid!["match", picture]));
    shows(&files(reid!["match", picture, "--json"]));
    // Whether or not such a name is taken.
    shows(&files(reid!["enroll", POISON, crops("query", 2)[0]]));
    shows(&reid!["gallery", "show", gallery, POISON]);
    shows(&reid!["gallery", "forget", gallery, POISON, "--json"]);
    shows(&reid!["gallery", "list", folder.at(POISON)]);
    shows(&reid!["gallery", "list", folder.file(POISON, "no gallery")]);
    // A gallery remembers the space of its model.
    let other = folder.at("other.redb");
    let poisoned = model_with(&folder, "poisoned.onnx", |metadata| {
        metadata.space = Some(POISON.to_owned());
    });
    let crop = &crops("query", 1)[0];
    reid![
        "enroll",
        "Ada",
        crop,
        "--gallery",
        other,
        "--model",
        poisoned
    ]
    .succeeds();
    shows(&reid!["match", crop, "--gallery", other, "--model", model,]);
    shows(&reid!["gallery", "list", other, "--json"]);
}

#[test]
fn sources_boxes_and_configs_do_not_command_a_terminal() {
    let folder = Folder::new();
    let (clip, model) = (&example().clip, &example().model);
    let run = |source: &Path, boxes: &Path| run_over(source, boxes);
    let boxes = &example().boxes;
    shows(&run(&folder.at(POISON), boxes));
    shows(&run(&folder.file(POISON, "no video"), boxes));
    shows(&run(&folder.at(&format!("*{POISON}*.jpg")), boxes));
    shows(&run(clip, &folder.at(POISON)));
    let mut codec = std::fs::read(clip).expect("the clip can be read");
    while let Some(at) = codec.windows(4).position(|four| four == b"MJPG") {
        codec[at..at + 4].copy_from_slice(b"\x1b[2\n");
    }
    shows(&run(&folder.file("codec.avi", codec), boxes));
    for (name, text) in [
        ("head.csv", format!("frame,x,y,w,h\n0,1,2,\"{POISON}\",4\n")),
        ("column.csv", format!("\"{POISON}\",x,y,w,h\n0,1,2,3,4\n")),
        (
            "mot.txt",
            format!("1,-1,{},3,4,5,1,-1,-1,-1\n", POISON.replace('\n', "")),
        ),
        (
            "rows.jsonl",
            format!("{{\"frame\": {POISON:?}}}\n").replace("\\u{", "\\u00"),
        ),
        (
            "rows.jsonl",
            "{\"frame\": 0, \"box\": \"\\u001b[2K\"}\n".to_owned(),
        ),
        (
            "names.csv",
            format!("file,x,y,w,h\n\"{}\",1,2,3,4\n", POISON.replace('\n', "")),
        ),
    ] {
        let boxes = folder.file(name, text);
        let output = run(clip, &boxes).command().output().expect("it starts");
        let code = output.status.code().expect("it ends by itself");
        let ended = Ended::checked(name.to_owned(), output, code);
        assert!(!ended.stderr.contains("\nFORGED"), "{ended:?}");
    }

    // A header of a stream.
    let mut command = run(Path::new("-"), Path::new("whole")).command();
    command.stdin(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let header = b"YUV4MPEG2 W64 H64 F25:1 C\x1b]0;x\x07\nFRAME\n";
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(header).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let ended = Ended::checked("a header".to_owned(), output, 1);
    assert!(ended.stderr.contains("\\u{1b}"), "{ended:?}");

    let quoted = quoted();
    for text in [
        format!("{quoted} = 1"),
        format!("device = {quoted}"),
        format!("[[camera]]\nsource = {quoted}\nformat = {quoted}"),
    ] {
        let config = folder.file("reid.toml", text);
        shows(&reid!["config", "check", config]);
    }
    shows(&reid!["config", "check", folder.at(POISON)]);
    let mut command = reid!["run", "clip.avi", "--model", "a.onnx"].command();
    let output = command
        .env("REID_DEVICE", POISON)
        .output()
        .expect("it starts");
    let ended = Ended::checked("a variable".to_owned(), output, 1);
    assert!(ended.stderr.contains("\\u{1b}"), "{ended:?}");

    // A camera's name, in lines, in the table and on the page.
    let page = folder.at("out.html");
    let config = format!(
        "model = {model:?}\nboxes = {boxes:?}\nthreshold = {THRESHOLD}\n\
         [[camera]]\nname = {quoted}\nsource = {clip:?}\n"
    );
    let config = folder.file("reid.toml", config);
    let json = shows(&reid![
        "run", "--config", config, "--report", page, "--json"
    ])
    .lines();
    assert_eq!(json[0]["source"], POISON);
    let page = std::fs::read_to_string(page).expect("a page");
    let hidden = |letter: char| letter != '\n' && cli::is_unprintable(letter);
    assert_eq!(page.find(hidden), None);
    assert!(page.contains("\\u{202e}"));
}

#[test]
fn arguments_and_file_names_do_not_command_a_terminal() {
    let folder = Folder::new();
    let model = &example().model;
    shows(&reid![format!("--{POISON}")]);
    shows(&reid!["run", "clip.avi", "--threads", POISON]);
    shows(&reid![POISON]);
    let out = folder.at("out.npy");
    let picture = std::fs::read(&crops("query", 1)[0]).expect("the crop can be read");
    folder.file("crops/good.jpg", &picture);
    folder.file(&format!("crops/{POISON}.jpg"), "no picture");
    shows(&reid![
        "embed",
        folder.at("crops"),
        "--model",
        model,
        "--out",
        out
    ]);
    shows(&reid![
        "embed",
        folder.at(POISON),
        "--model",
        model,
        "--out",
        out
    ]);
    shows(&reid!["eval", folder.at(POISON), "--model", model]);
}

#[test]
fn passwords_of_urls_are_shown_nowhere() {
    let folder = Folder::new();
    let example = example();
    let url = "rtsp://admin:se/cr@et-7@door:554/1?password=se-cret-8";
    let config = folder.file(
        "reid.toml",
        format!(
            "model = {:?}\nboxes = {:?}\nthreshold = {THRESHOLD}\n[[camera]]\nname = \"{url}\"\nsource = {:?}\n",
            example.model, example.boxes, example.clip
        ),
    );
    let (page, model) = (folder.at("out.html"), &example.model);
    let absent = folder.file(
        "absent.toml",
        format!("[[camera]]\nsource = \"{url}\"\nwidht = 1\n"),
    );
    let camera = folder.file("camera.toml", format!("[[camera]]\nsource = \"{url}\"\n"));
    let calls = [
        reid!["run", url, "--model", model, "--threshold", "0.5"],
        reid!["run", "--config", config, "--report", page, "--json"],
        reid!["config", "check", absent],
        reid![
            "run",
            "--config",
            camera,
            "--model",
            model,
            "--threshold",
            "0.5"
        ],
        reid![
            "embed",
            url,
            "--model",
            model,
            "--out",
            folder.at("out.npy")
        ],
        reid!["run", "x.avi", "--model", url, "--threshold", "0.5"],
        reid!["run", "x.avi", url, "--threads", url],
    ];
    for call in calls {
        let output = call.command().output().expect("the program starts");
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8(text).expect("UTF-8");
            let told = ["cr@et-7", "se-cret-8"]
                .iter()
                .any(|part| text.contains(part));
            assert!(!told, "{call:?}: {text}");
        }
    }
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("rtsp://admin:***@door:554/1?password=***"));
    assert!(!page.contains("cr@et-7") && !page.contains("se-cret-8"));
    let lines: Vec<Value> = reid!["run", "--config", config, "--json"]
        .succeeds()
        .lines();
    assert_eq!(
        lines[0]["source"],
        "rtsp://admin:***@door:554/1?password=***"
    );
}
