//! Signals to a run that waits for something that does not come: the first one ends it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::example::{Folder, THRESHOLD, example};
use crate::live::{pictures, pipe};
use crate::program::{PROGRAM, Reid, reid};

/// Starts a call whose signals do what they do by default, whoever runs the tests. `ignored` names
/// one that its starter has ignored.
fn start(call: &Reid, ignored: Option<&str>) -> Child {
    let mut command = Command::new("env");
    command.arg("--default-signal");
    command.args(ignored.map(|signal| format!("--ignore-signal={signal}")));
    command
        .arg(PROGRAM)
        .args(call.command().get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

fn send(signal: &str, child: &Child) {
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(kill.expect("kill is there").success());
}

/// How a program ends that was told to. One that does not is killed, so that no test waits for ever.
#[track_caller]
fn ended(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("a child");
    panic!("it does not end");
}

#[test]
fn a_model_or_a_config_that_never_comes_is_not_waited_for() {
    let folder = Folder::new();
    let example = example();
    let never = pipe(&folder, "never.onnx");
    let calls = [
        reid!["run", example.clip, "--model", never],
        reid!["run", "--config", never],
        reid!["embed", example.crops, "--model", never, "--out", "emb.npy"],
    ];
    for call in calls {
        for signal in ["-TERM", "-INT", "-HUP"] {
            let mut child = start(&call, None);
            // Comes back once the program has opened the pipe, and waits for its bytes.
            let writer = File::options().write(true).open(&never);
            send(signal, &child);
            let status = ended(&mut child);
            assert_ne!(status.code(), Some(0), "{call:?}, {signal}");
            drop(writer);
        }
    }
    // Boxes are read again for each source, which a pipe cannot be.
    let boxes = pipe(&folder, "never.csv");
    reid![
        "run",
        example.clip,
        "--boxes",
        boxes,
        "--model",
        example.model
    ]
    .with("--threshold")
    .with(THRESHOLD)
    .fails()
    .says(&["never.csv", "it is a pipe, wanted a file"]);
}

/// A run of these sources with a page, one of which shows the example's clip.
fn watching(sources: &[&Path], page: &Path) -> Reid {
    let mut call = reid!["run"];
    for source in sources {
        call = call.with(*source);
    }
    let example = example();
    call.with("--boxes")
        .with(&example.boxes)
        .with("--model")
        .with(&example.model)
        .with(format!("--threshold={THRESHOLD}"))
        .with("--observations")
        .with("--report")
        .with(page)
}

#[test]
fn a_silent_standard_input_holds_up_neither_other_sources_nor_the_end() {
    let folder = Folder::new();
    let (page, door) = (folder.at("out.html"), pipe(&folder, "door.pipe"));
    let mut child = start(&watching(&[Path::new("-"), &door], &page), None);
    // Nobody writes into it, and nobody closes it.
    let _silent = child.stdin.take();
    let mut feed = File::options().write(true).open(&door).expect("a reader");
    feed.write_all(&pictures().concat()).expect("it is read");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let read = lines.read_line(&mut String::new()).expect("UTF-8");
    assert_ne!(read, 0, "somebody is seen at the door");
    send("-TERM", &child);
    assert_eq!(ended(&mut child).code(), Some(0));
    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(html.contains("</html>"), "the page is whole");
}

#[test]
fn a_run_under_nohup_does_not_end_with_its_terminal() {
    let folder = Folder::new();
    let page = folder.at("out.html");
    let mut child = start(&watching(&[Path::new("-")], &page), Some("HUP"));
    let mut feed = child.stdin.take().expect("a pipe");
    let all = pictures();
    feed.write_all(&all[..200].concat()).expect("it is read");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    lines.read_line(&mut String::new()).expect("UTF-8");
    send("-HUP", &child);
    // What comes after the signal is watched as well.
    feed.write_all(&all[200..].concat()).expect("it is read");
    drop(feed);
    let mut text = String::new();
    lines.read_to_string(&mut text).expect("UTF-8");
    assert!(text.lines().count() > 60, "{text}");
    assert_eq!(ended(&mut child).code(), Some(0));
}
