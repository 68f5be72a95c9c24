//! What a run can do beside its lines: a video, a page, crops, pipes, a config.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use fixtures::street::{HEIGHT, WIDTH, jpeg};
use media::{Frame, Status};
use serde_json::Value;

use crate::example::{FIGURES, FRAMES, Folder, SIGHTINGS, THRESHOLD, example, run_over};
use crate::live::pictures;
use crate::program::{Ended, PROGRAM, Reid, reid};

fn run(source: &str) -> Reid {
    run_over(source, &example().boxes).with("--observations")
}

fn clip() -> &'static str {
    example().clip.to_str().expect("UTF-8")
}

fn identities(lines: &[Value]) -> BTreeSet<&str> {
    lines
        .iter()
        .filter_map(|line| line["identity"].as_str())
        .collect()
}

/// A call that reads `bytes` from standard input.
pub(crate) fn fed(call: &Reid, bytes: Vec<u8>, code: i32) -> Ended {
    let mut child = call
        .command()
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("a pipe");
    let writer = std::thread::spawn(move || {
        // The program may have seen enough before the end.
        let _ = input.write_all(&bytes);
    });
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the pipe was fed");
    Ended::checked(format!("{call:?}, fed"), output, code)
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_writes_its_page_and_its_table() {
    let folder = Folder::new();
    let page = folder.at("out.html");
    for signal in ["-INT", "-TERM", "-HUP"] {
        let call = run("-").with("--report").with(&page);
        // Whoever runs the tests may have signals ignored, as `nohup` has.
        let mut child = Command::new("env")
            .args(["--default-signal", PROGRAM])
            .args(call.command().get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A camera that has stopped to send: the pipe stays open.
        let mut input = child.stdin.take().expect("a pipe");
        let frame = jpeg(&vec![90; WIDTH * HEIGHT * 3], WIDTH, HEIGHT).expect("a JPEG");
        for _ in 0..FRAMES {
            input.write_all(&frame).expect("it is read");
        }
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let read = lines.read_line(&mut String::new()).expect("UTF-8");
        assert_ne!(read, 0, "a person is seen");
        let kill = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(kill.expect("kill is there").success());
        let ended = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8(ended.stderr).expect("UTF-8");
        assert_eq!(ended.status.code(), Some(0), "{signal}: {stderr}");
        assert!(
            stderr.contains("observations in"),
            "{signal}: no table: {stderr}"
        );
        let html = std::fs::read_to_string(&page).expect("a page");
        assert!(html.contains("</html>"), "{signal}: the page is whole");
        std::fs::remove_file(&page).expect("the page goes");
    }
}

#[test]
fn a_video_a_page_and_crops_show_what_was_seen() {
    let folder = Folder::new();
    let (video, page, crops) = (
        folder.at("out.avi"),
        folder.at("out.html"),
        folder.at("crops"),
    );
    let gallery = folder.at("shop.redb");
    let call = || {
        run(clip())
            .with("--save-video")
            .with(&video)
            .with("--report")
            .with(&page)
            .with("--save-crops")
            .with(&crops)
            .with("--gallery")
            .with(&gallery)
    };
    let lines = call().succeeds().observations();
    let names = identities(&lines);
    assert_eq!(names.len(), FIGURES);

    let mut shown = media::open(video.to_str().expect("UTF-8"), None).expect("an AVI file");
    let mut frame = Frame::default();
    let mut frames = 0;
    while shown.read(&mut frame).expect("whole frames") == Status::Frame {
        assert_eq!((frame.width, frame.height), (WIDTH, HEIGHT));
        frames += 1;
    }
    // The clip has four frames a second, the video 25: frames stay where their time is.
    assert!(frames >= FRAMES, "{frames} frames");

    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(
        names.iter().all(|name| html.contains(*name)),
        "everybody has a row"
    );
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "nothing is fetched"
    );

    // Each identity has an exemplar whose crop was kept.
    for name in names {
        let known = reid!["gallery", "show", gallery, name, "--json"]
            .succeeds()
            .json();
        let origins = known["origins"].as_array().expect("a list").clone();
        let kept = origins.iter().filter_map(|origin| origin["crop"].as_str());
        let kept: Vec<&str> = kept.collect();
        assert!(!kept.is_empty(), "{name}: {origins:?}");
        assert!(
            kept.iter().all(|crop| crops.join(crop).is_file()),
            "{kept:?}"
        );
    }

    // A video that is there is not lost, and no reason not to watch.
    let before = std::fs::read(&video).expect("the video");
    call().succeeds().says(&["out.avi is there already"]);
    assert_eq!(std::fs::read(&video).expect("the video"), before);
    call()
        .with("--overwrite")
        .succeeds()
        .omits("is there already");
}

#[test]
fn motion_jpeg_comes_through_a_pipe_and_garbage_is_passed_over() {
    let pictures = pictures();
    // Boxes of a file are of every frame, so none is dropped.
    let lines = fed(&run("-").with("--fps").with("4"), pictures.concat(), 0).observations();
    assert_eq!(lines.len(), SIGHTINGS);
    assert_eq!(identities(&lines).len(), FIGURES);
    assert_eq!(lines[3]["stream_time"], 0.75);

    // Garbage counts as a broken frame, so it comes last here: the boxes are those of frames.
    let mut bytes = pictures.concat();
    bytes.extend(b"this is no picture");
    let ended = fed(&run("-").with("--fps").with("4"), bytes, 3).says(&["skipped"]);
    assert_eq!(identities(&ended.observations()).len(), FIGURES);

    let nothing = b"\x00\x01\x02 no video at all".repeat(50);
    fed(&run("-"), nothing, 1).says(&["-: found no JPEG before the end"]);
    fed(&run("-"), Vec::new(), 1).says(&["it is empty"]);
}

#[test]
fn a_config_says_what_flags_say_and_flags_stand_over_it() {
    let folder = Folder::new();
    let quoted = |path: &std::path::Path| format!("{:?}", path.to_str().expect("UTF-8"));
    let text = format!(
        "model = {}\nboxes = {}\nthreshold = 0.99\n[output]\nobservations = true\n\
         [[camera]]\nsource = {}\nname = \"door\"\n",
        quoted(&example().model),
        quoted(&example().boxes),
        quoted(&example().clip)
    );
    let config = folder.file("reid.toml", &text);
    let lines = reid!["run", "--config", config].succeeds().observations();
    assert_eq!(lines.len(), SIGHTINGS);
    assert_eq!(lines[0]["source"], "door");
    assert!((lines[0]["threshold"].as_f64().expect("a number") - 0.99).abs() < 1e-6);
    let lines = reid!["run", "--config", config, "--threshold", THRESHOLD]
        .succeeds()
        .observations();
    assert_eq!(identities(&lines).len(), FIGURES);

    reid!["config", "check", config].succeeds();
    assert_eq!(
        reid!["config", "check", config, "--json"].succeeds().json()["cameras"],
        1
    );
    let cases = [
        (
            "treshold = 0.5",
            "unknown key `treshold`; the nearest is `threshold`",
        ),
        (
            "[tracks]\ncrops = 99",
            "crops of a decision is 99, wanted 1 to 8",
        ),
        ("[gallery]\nmax_exemplars = 0", "max_exemplars is 0"),
        ("device = \"npu\"", "wanted auto, gpu, cpu or tract"),
        (
            "[[camera]]\nsource = \"-\"\nzones = [\"0,0 1,1\"]",
            "2 corners",
        ),
        (
            "[[camera]]\nsource = \"-\"\nformat = \"H264\"",
            "wanted MJPG, YUYV, NV12 or GREY",
        ),
    ];
    for (text, why) in cases {
        let config = folder.file("wrong.toml", text);
        reid!["config", "check", config].fails().says(&[why]);
    }
    assert!(
        reid!["config", "keys", "--json"].succeeds().json()["keys"]
            .as_array()
            .is_some()
    );
    reid!["run", "--config", folder.at("none.toml")]
        .fails()
        .says(&["none.toml", "No such file"]);
}

#[test]
fn where_people_count_can_be_said() {
    // Figures walk from left to right: their feet are in the left half at first.
    let left = run(clip())
        .with("--zone")
        .with("0,0 0.5,0 0.5,1 0,1")
        .succeeds()
        .observations();
    assert!(
        !left.is_empty() && left.len() < SIGHTINGS,
        "{} lines",
        left.len()
    );
    let middle = |line: &Value| line["box"][0].as_f64().expect("a number") + 22.5;
    assert!(left.iter().all(|line| middle(line) < WIDTH as f64 / 2.0));
}

#[test]
fn the_stages_of_the_loop_are_timed() {
    let report = reid![
        "bench",
        "--model",
        example().model,
        "--iterations",
        "3",
        "--pipeline",
        "--json"
    ]
    .succeeds()
    .json();
    let stages = report["pipeline"].as_array().expect("a list");
    let names: Vec<&str> = stages
        .iter()
        .filter_map(|stage| stage["name"].as_str())
        .collect();
    for wanted in ["cut", "network", "search", "record", "around the network"] {
        assert!(names.contains(&wanted), "{names:?}");
    }
    assert!(
        stages
            .iter()
            .all(|stage| stage["ms"].as_f64().is_some_and(|ms| ms >= 0.0))
    );
}
