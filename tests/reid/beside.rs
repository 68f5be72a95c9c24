//! Commands beside a `reid run` that has the gallery open: they wait for its next frame at most, and it follows what they change.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use fixtures::street::{Clip, HEIGHT, Sighting, WIDTH, jpeg};
use serde_json::Value;

use crate::example::{Folder, crops, example, run_over};
use crate::gallery::enroll;
use crate::live::pipe;
use crate::program::{Reid, reid};

/// Frames without a person between two visits.
const BLANK: usize = 14;

/// A run on a camera whose pictures the test sends one by one.
struct Door {
    folder: Folder,
    gallery: PathBuf,
    run: Child,
    camera: File,
    lines: Lines<BufReader<ChildStdout>>,
    pictures: std::vec::IntoIter<(Vec<u8>, bool)>,
}

impl Door {
    /// Starts a run that keeps crops, at a door through which these figures of the example will come.
    fn open(figures: &[usize]) -> Self {
        let folder = Folder::new();
        let clip = Clip::render();
        let mut boxes = "frame,x,y,w,h\n".to_owned();
        let mut pictures = Vec::new();
        for figure in figures {
            let first = clip.sightings.iter().find(|s| s.person == *figure);
            let visit = first.expect("the figure comes").visit;
            for Sighting { frame, bbox, .. } in clip.sightings.iter().filter(|s| s.visit == visit) {
                let [x, y, w, h] = bbox;
                boxes += &format!("{},{x},{y},{w},{h}\n", pictures.len());
                pictures.push((&clip.frames[*frame], true));
            }
            let blank = clip.frames.last().expect("a frame");
            pictures.extend([(blank, false); BLANK]);
        }
        let picture = |(pixels, is_person): (&Vec<u8>, bool)| {
            (jpeg(pixels, WIDTH, HEIGHT).expect("a JPEG"), is_person)
        };
        let pictures: Vec<_> = pictures.into_iter().map(picture).collect();
        let (gallery, door) = (folder.at("shop.redb"), pipe(&folder, "door.pipe"));
        let mut run = run_over(&door, folder.file("boxes.csv", boxes))
            .with("--fps=4")
            .with("--observations")
            .with("--gallery")
            .with(&gallery)
            .with("--save-crops")
            .with(folder.at("crops"))
            .command()
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let camera = File::options().write(true).open(&door).expect("a reader");
        let stdout = BufReader::new(run.stdout.take().expect("it is piped"));
        Self {
            folder,
            gallery,
            run,
            camera,
            lines: stdout.lines(),
            pictures: pictures.into_iter(),
        }
    }

    /// Sends the next `count` pictures, and returns what the run observes in them.
    fn watch(&mut self, count: usize) -> Vec<Value> {
        let mut seen = Vec::new();
        for _ in 0..count {
            let Some((picture, is_person)) = self.pictures.next() else {
                break;
            };
            self.camera.write_all(&picture).expect("it is read");
            if is_person {
                seen.push(self.observation());
            }
        }
        seen
    }

    /// The next observation; the events before it are passed over.
    fn observation(&mut self) -> Value {
        loop {
            let line = self.lines.next().expect("a line").expect("UTF-8");
            let line: Value = serde_json::from_str(&line).expect("JSON");
            if line["schema"] == 1 {
                return line;
            }
        }
    }

    /// The rest of a visit of which `sent` pictures were sent, and the blank frames behind it.
    fn finish(&mut self, sent: usize) -> Vec<Value> {
        self.watch(fixtures::street::VISIT + BLANK - sent)
    }

    fn call(&self, command: &str) -> Reid {
        reid!["gallery", command, self.gallery]
    }

    /// Ends the run as its source ends.
    fn close(mut self) -> Folder {
        drop(self.camera);
        assert!(self.run.wait().expect("a child").success());
        assert!(!self.folder.at("shop.redb.lock").exists(), "a lock is left");
        self.folder
    }
}

/// The identity of the last of some observations.
fn last(seen: &[Value]) -> &str {
    let last = seen.last().expect("a person was seen");
    last["identity"].as_str().expect("it is decided")
}

#[test]
fn a_person_who_is_renamed_or_forgotten_is_so_in_the_next_frame() {
    let mut door = Door::open(&[1, 1, 2]);
    let seen = door.watch(5);
    let name = last(&seen).to_owned();
    assert!(name.ends_with("-000001"), "{name}");
    let crops = door.folder.at("crops").join(&name);
    assert_eq!(std::fs::read_dir(&crops).expect("crops").count(), 1);

    let report = door.call("rename").with(&name).with("Ada").with("--json");
    let report = report.succeeds().json();
    assert_eq!(
        (&report["renamed"], &report["to"]["name"]),
        (&name.as_str().into(), &"Ada".into())
    );
    let seen = door.finish(5);
    assert_eq!(seen.len(), 3);
    assert!(
        seen.iter().all(|seen| seen["identity"] == "Ada"),
        "{seen:?}"
    );

    // The second visit: known by the new name, then forgotten in the middle of it.
    assert_eq!(last(&door.watch(4)), "Ada");
    door.call("forget").with("Ada").succeeds();
    let seen = door.finish(4);
    assert!(
        seen.iter().all(|seen| seen["identity"] != "Ada"),
        "{seen:?}"
    );
    assert!(!seen.iter().any(|seen| seen["identity"] == name.as_str()));
    assert!(
        seen[0]["identity"].is_null(),
        "known in the next frame: {}",
        seen[0]
    );
    let left = std::fs::read_dir(&crops).map_or(0, Iterator::count);
    assert_eq!(left, 0, "crops of a forgotten person");

    // The number is not given again.
    let seen = door.finish(0);
    assert!(last(&seen) > name.as_str(), "{seen:?}");
    let gallery = door.gallery.clone();
    let _folder = door.close();
    let listing = reid!["gallery", "list", gallery, "--json"]
        .succeeds()
        .json();
    let known = listing["identities"].as_array().expect("a list");
    assert!(
        known
            .iter()
            .all(|known| known["identity"] != 1 && known["name"] != "Ada"),
        "{listing}"
    );
}

#[test]
fn persons_who_are_merged_are_one_in_the_next_frame_until_that_is_undone() {
    let mut door = Door::open(&[1, 2, 2, 2]);
    let first = last(&door.finish(0)).to_owned();
    let second = last(&door.finish(0)).to_owned();
    assert_ne!(first, second);
    assert_eq!(last(&door.watch(4)), second);
    door.call("merge").with(&second).with(&first).succeeds();
    let seen = door.finish(4);
    assert!(
        seen.iter().all(|seen| seen["identity"] == first.as_str()),
        "{seen:?}"
    );
    door.call("undo").succeeds();
    assert_eq!(last(&door.finish(0)), second);
    door.close();
}

#[test]
fn every_command_works_beside_a_run_but_those_that_replace_the_file() {
    let mut door = Door::open(&[1, 3, 1]);
    let first = last(&door.finish(0)).to_owned();
    // Enrolled now, and known when he comes.
    enroll("Bob", 3, &door.gallery).succeeds();
    assert_eq!(last(&door.finish(0)), "Bob");

    let (crop, model) = (&crops("query", 3)[0], &example().model);
    let answer = reid![
        "match",
        crop,
        "--gallery",
        door.gallery,
        "--model",
        model,
        "--threshold=0.7",
        "--json"
    ]
    .succeeds()
    .json();
    assert_eq!(answer["identity"], "Bob");
    let copy = door.folder.at("copy.redb");
    let listing = door.call("list").with("--json").succeeds().json();
    assert_eq!(listing["identities"].as_array().map(Vec::len), Some(2));
    door.call("show").with("Bob").succeeds();
    door.call("backup").with(&copy).succeeds();
    door.call("prune")
        .with("--keep=9")
        .with("--dry-run")
        .succeeds();
    door.call("prune").with("--older-than=24h").succeeds();
    door.call("split")
        .with("Bob")
        .with("--exemplars=1")
        .succeeds();
    door.call("undo").succeeds();

    let start = Instant::now();
    let gallery = door.gallery.clone();
    let run = || {
        run_over(&example().clip, &example().boxes)
            .with("--gallery")
            .with(&gallery)
    };
    run()
        .fails()
        .says(&["shop.redb is in use by another process"]);
    door.call("restore")
        .with(&copy)
        .fails()
        .says(&["shop.redb is in use"]);
    let anew = door.call("re-embed").with("--model").with(model);
    anew.fails().says(&["shop.redb is in use"]);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "it was waited for"
    );
    assert_eq!(last(&door.finish(0)), first, "the run goes on");

    // Who is killed leaves a lock file and is in no command's way.
    door.run.kill().expect("a child");
    door.run.wait().expect("a child");
    assert!(door.folder.at("shop.redb.lock").exists());
    let listing = door.call("list").with("--json").succeeds().json();
    assert_eq!(listing["identities"].as_array().map(Vec::len), Some(2));
    run().succeeds();
    assert!(!door.folder.at("shop.redb.lock").exists(), "a lock is left");
}
