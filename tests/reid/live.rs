//! Cameras that are watched at the same time: named pipes, into which something else writes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use fixtures::street::{Clip, HEIGHT, WIDTH, jpeg};
use serde_json::Value;

use crate::example::{FIGURES, FRAMES, Folder, SIGHTINGS, THRESHOLD, example};
use crate::program::{Ended, Reid, reid};

/// The example's clip as Motion-JPEG.
pub(crate) fn pictures() -> Vec<Vec<u8>> {
    let frames = Clip::render().frames;
    let picture = |frame: &Vec<u8>| jpeg(frame, WIDTH, HEIGHT).expect("a JPEG");
    frames.iter().map(picture).collect()
}

pub(crate) fn pipe(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.at(name);
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success(), "no pipe {name}");
    path
}

/// Writes into a pipe, `times` over, as somebody else's program does.
fn feed(pipe: &Path, bytes: &[u8], times: usize) -> thread::JoinHandle<()> {
    let (pipe, bytes) = (pipe.to_owned(), bytes.to_owned());
    thread::spawn(move || {
        let mut pipe = File::options().write(true).open(pipe).expect("a reader");
        for _ in 0..times {
            // The program may have seen enough before the end.
            if pipe.write_all(&bytes).is_err() {
                break;
            }
        }
    })
}

/// Boxes of the example for a stream that plays the clip over and over.
fn boxes(folder: &Folder, times: usize) -> PathBuf {
    let mut text = "frame,x,y,w,h\n".to_owned();
    for time in 0..times {
        for sighting in Clip::render().sightings {
            let [x, y, w, h] = sighting.bbox;
            let frame = sighting.frame + time * FRAMES;
            text += &format!("{frame},{x},{y},{w},{h}\n");
        }
    }
    folder.file("boxes.csv", text)
}

/// A config with cameras of names and sources.
fn config(folder: &Folder, boxes: &Path, cameras: &[(&str, &Path)]) -> PathBuf {
    let mut text = format!(
        "model = {:?}\nboxes = {boxes:?}\nthreshold = {THRESHOLD}\n[output]\nobservations = true\n",
        example().model
    );
    for (name, source) in cameras {
        text += &format!("[[camera]]\nname = {name:?}\nsource = {source:?}\nfps = 4\n");
    }
    folder.file("reid.toml", text)
}

fn of<'a>(lines: &'a [Value], source: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .filter(|line| line["source"] == source)
        .collect()
}

fn names(lines: &[&Value]) -> BTreeSet<String> {
    let named = lines.iter().filter_map(|line| line["identity"].as_str());
    named.map(str::to_owned).collect()
}

#[test]
fn two_live_cameras_share_a_gallery_and_the_loop() {
    let folder = Folder::new();
    let (door, yard) = (pipe(&folder, "door.pipe"), pipe(&folder, "yard.pipe"));
    let config = config(
        &folder,
        &boxes(&folder, 4),
        &[("door", &door), ("yard", &yard)],
    );
    let gallery = folder.at("shop.redb");
    let call = reid!["run", "--config", config, "--gallery", gallery];
    // The door shows four times as much, as fast as it is taken: the yard gets its turns all the
    // same.
    let bytes = pictures().concat();
    let feeders = [feed(&door, &bytes, 4), feed(&yard, &bytes, 1)];
    let ended = call.succeeds();
    let lines = ended.observations();
    for feeder in feeders {
        feeder.join().expect("the pipe was fed");
    }
    let (at_door, in_yard) = (of(&lines, "door"), of(&lines, "yard"));
    assert_eq!(at_door.len(), 4 * SIGHTINGS);
    assert_eq!(in_yard.len(), SIGHTINGS);
    assert_eq!(in_yard[3]["stream_time"], 0.75);

    // Who is seen by both is one.
    let all = names(&at_door);
    assert_eq!(all.len(), FIGURES, "{all:?}");
    assert_eq!(names(&in_yard), all);
    let known = reid!["gallery", "list", gallery, "--json"]
        .succeeds()
        .json();
    assert_eq!(known["identities"].as_array().map(Vec::len), Some(FIGURES));

    // A frame of each in turn: when the yard has been seen, of the door there is about as much.
    let last = lines.iter().rposition(|line| line["source"] == "yard");
    let before = of(&lines[..last.expect("it was seen")], "door").len();
    assert!(
        (SIGHTINGS / 2..3 * SIGHTINGS).contains(&before),
        "{before} of {} before the yard was done",
        at_door.len()
    );
}

#[test]
fn a_camera_that_sends_something_else_does_not_stop_the_other() {
    let folder = Folder::new();
    let (door, yard) = (pipe(&folder, "door.pipe"), pipe(&folder, "yard.pipe"));
    let config = config(
        &folder,
        &boxes(&folder, 1),
        &[("door", &door), ("yard", &yard)],
    );
    let feeders = [
        feed(&door, b"\0\0\0\x01 this is H.264", 1),
        feed(&yard, &pictures().concat(), 1),
    ];
    let ended = reid!["run", "--config", config].succeeds_partly().says(&[
        "door.pipe",
        "it is H.264",
        "--codec mjpeg",
    ]);
    for feeder in feeders {
        feeder.join().expect("the pipe was fed");
    }
    let lines = ended.observations();
    assert_eq!(of(&lines, "yard").len(), SIGHTINGS);
    assert_eq!(of(&lines, "door").len(), 0);
}

#[test]
fn a_pipe_may_be_fed_by_the_shell() {
    let folder = Folder::new();
    let stream = folder.file("clip.mjpeg", pictures().concat());
    let example = example();
    // `<(...)` is a path below /dev, and no camera.
    let script = "exec \"$0\" run <(cat \"$1\") --boxes \"$2\" --model \"$3\" --threshold 0.7 --observations";
    let output = Command::new("bash")
        .args(["-c", script, crate::program::PROGRAM])
        .args([&stream, &example.boxes, &example.model])
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let lines = Ended::checked("<(cat)".to_owned(), output, 0).observations();
    assert_eq!(lines.len(), SIGHTINGS);
}

#[test]
fn what_is_not_there_is_told_before_the_first_is_watched() {
    let folder = Folder::new();
    let wrong = folder.at("nowhere.avi");
    let example = example();
    let run = |sources: &[&Path]| {
        let mut call = reid![
            "run",
            "--model",
            example.model,
            "--threshold",
            THRESHOLD,
            "--json"
        ];
        for source in sources {
            call = call.with(*source);
        }
        call
    };
    let boxed = |call: Reid| call.with("--boxes").with(&example.boxes);
    let gallery = folder.at("shop.redb");
    let ended = boxed(run(&[&example.clip, &wrong]))
        .with("--gallery")
        .with(&gallery)
        .fails()
        .says(&["nowhere.avi: No such file"]);
    assert_eq!(ended.stdout, "", "the first was watched");
    assert!(!gallery.exists(), "a gallery was made for nothing");

    let camera = PathBuf::from("/dev/video4095");
    let ended = boxed(run(&[&example.clip, &camera])).fails();
    assert_eq!(ended.says(&["there is no such camera"]).stdout, "");

    // The boxes of a second camera.
    let text = format!(
        "model = {:?}\nthreshold = 0.7\n[output]\njson = true\n\
         [[camera]]\nsource = {:?}\nboxes = {:?}\n[[camera]]\nsource = {1:?}\nboxes = \"no.csv\"\n",
        example.model, example.clip, example.boxes
    );
    let config = folder.file("two.toml", text);
    let ended = reid!["run", "--config", config].fails().says(&["no.csv"]);
    assert_eq!(ended.stdout, "", "the first was watched");

    let door = pipe(&folder, "door.pipe");
    boxed(run(&[&door, &door]))
        .fails()
        .says(&["door.pipe` is named twice"]);
}
