//! `reid run`: who is in front of the camera, again?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use fixtures::street::{Clip, VISITORS};
use retrieval::open_set::OperatingPoint;
use serde_json::Value;

use crate::example::{
    FIGURES, FRAMES, Folder, SIGHTINGS, THRESHOLD, example, metadata, run_over, write_with,
};
use crate::program::{Reid, keys, reid};

/// A run over the example's clip; `boxes` say where its figures are.
fn run(boxes: &std::path::Path) -> Reid {
    run_over(&example().clip, boxes).with("--json")
}

/// What is the same in two runs over the same figures: all but the time of day and, as each format
/// of boxes has its own, the track.
fn observations(lines: &[Value]) -> Vec<Value> {
    let mut lines = lines.to_vec();
    for line in &mut lines {
        let line = line.as_object_mut().expect("an observation");
        line.remove("time");
        line.remove("track");
        // Each gallery has a tag of its own in the names that it gives.
        let number = line["identity"].as_str().map(number);
        line.insert("identity".into(), number.into());
    }
    lines
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().expect("a text")
}

/// The number at the end of a generated name.
fn number(name: &str) -> String {
    let (_, number) = name.rsplit_once('-').expect("person-tag-number");
    number.to_owned()
}

/// Names of the identities in lines that have one.
fn identities(lines: &[Value]) -> BTreeSet<&str> {
    lines
        .iter()
        .filter_map(|line| line["identity"].as_str())
        .collect()
}

fn count(lines: &[Value], state: &str) -> usize {
    lines.iter().filter(|line| line["state"] == state).count()
}

#[test]
fn every_figure_is_one_identity_and_who_comes_back_is_seen() {
    let ended = run(&example().boxes).succeeds();
    let lines = ended.lines();
    let sightings = Clip::render().sightings;
    assert_eq!(lines.len(), sightings.len());

    let mut figures: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    let mut pending = [0; VISITORS.len()];
    for (line, sighting) in lines.iter().zip(&sightings) {
        assert_eq!(line["frame"], sighting.frame);
        assert_eq!(line["box"][0].as_f64(), Some(sighting.bbox[0] as f64));
        // Three good crops decide, so the first two of a visit are pending.
        let Some(identity) = line["identity"].as_str() else {
            assert_eq!(text(line, "state"), "pending");
            pending[sighting.visit] += 1;
            continue;
        };
        let state = if known.insert(sighting.person) {
            "new"
        } else {
            "seen"
        };
        assert_eq!(text(line, "state"), state, "{line}");
        figures.entry(identity).or_default().insert(sighting.person);
    }
    assert!(pending.iter().all(|&n| n <= 2), "{pending:?}");
    assert_eq!(figures.len(), FIGURES);
    assert!(
        figures.values().all(|people| people.len() == 1),
        "{figures:?}"
    );
    let again = VISITORS.len() - FIGURES;
    assert_eq!(again, 2, "two figures come back");

    // The table goes to stderr: stdout belongs to the lines.
    ended.says(&[&format!(
        "{FIGURES} persons in {SIGHTINGS} observations of {FRAMES} frames (8 new, 0 known before, "
    )]);
}

#[test]
fn a_line_has_the_documented_keys() {
    let lines = run(&example().boxes).succeeds().lines();
    let wanted = [
        "box",
        "frame",
        "identity",
        "runner_up",
        "schema",
        "similarity",
        "source",
        "state",
        "stream_time",
        "threshold",
        "time",
        "track",
    ];
    for line in &lines {
        assert_eq!(keys(line), wanted, "{line}");
        assert_eq!(line["schema"], 1);
        assert_eq!(
            text(line, "source"),
            example().clip.to_str().expect("UTF-8")
        );
        let time = text(line, "time");
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
        assert!((line["threshold"].as_f64().expect("a number") - 0.7).abs() < 1e-6);
        // Who is new or pending has no similarity; somebody seen has at least the threshold, where
        // the crop was embedded.
        match line["similarity"].as_f64() {
            None => assert!(!line["identity"].is_null() || text(line, "state") == "pending"),
            Some(similarity) => {
                assert_eq!(text(line, "state"), "seen");
                assert!((0.7..=1.0 + 1e-5).contains(&similarity), "{line}");
                let runner_up = line["runner_up"].as_f64();
                assert!(runner_up.is_none_or(|other| other <= similarity), "{line}");
            }
        }
    }
    // Four frames a second.
    assert_eq!(lines[3]["frame"], 3);
    assert_eq!(lines[3]["stream_time"], 0.75);
}

#[test]
fn without_json_the_table_is_all_there_is() {
    let example = example();
    let ended = reid![
        "run",
        example.clip,
        "--boxes",
        example.boxes,
        "--model",
        example.model,
        "--threshold",
        THRESHOLD
    ]
    .succeeds();
    let rows: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(rows.len(), 1 + FIGURES + 1, "{}", ended.stdout);
    assert!(rows[0].starts_with("identity"));
    for (n, row) in rows[1..=FIGURES].iter().enumerate() {
        assert!(row.contains(&format!("-{:06}  new  ", n + 1)), "{row}");
    }
}

#[test]
fn a_gallery_is_remembered_by_the_next_process() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    let with_gallery = || run(&example().boxes).with("--gallery").with(&gallery);
    let first = with_gallery().succeeds().lines();
    assert_eq!(count(&first, "new"), FIGURES);

    let second = with_gallery()
        .succeeds()
        .says(&["(0 new, 8 known before, "])
        .lines();
    assert_eq!(count(&second, "new"), 0);
    assert!(count(&second, "seen") >= SIGHTINGS * 3 / 4);
    for (before, after) in first.iter().zip(&second) {
        let (before, after) = (&before["identity"], &after["identity"]);
        assert!(before.is_null() || after.is_null() || before == after);
    }
    assert_eq!(identities(&first), identities(&second));
}

#[test]
fn a_source_named_twice_brings_nobody_new_the_second_time() {
    let example = example();
    let lines = reid![
        "run",
        example.clip,
        example.clip,
        "--boxes",
        example.boxes,
        "--model",
        example.model,
        "--threshold",
        THRESHOLD,
        "--json"
    ]
    .succeeds()
    .lines();
    assert_eq!(lines.len(), 2 * SIGHTINGS);
    assert_eq!(count(&lines[..SIGHTINGS], "new"), FIGURES);
    assert_eq!(count(&lines[SIGHTINGS..], "new"), 0);
    assert_eq!(identities(&lines[SIGHTINGS..]).len(), FIGURES);
    assert_eq!(
        lines[SIGHTINGS]["frame"], 0,
        "frames count from 0 in each source"
    );
}

#[test]
fn frames_and_people_can_be_bounded() {
    let four = run(&example().boxes).with("--max-frames").with("4");
    assert_eq!(four.succeeds().lines().len(), 4);
    // All figures are 126 pixels high.
    let all = run(&example().boxes).with("--min-height").with("126");
    assert_eq!(identities(&all.succeeds().lines()).len(), FIGURES);
    let none = run(&example().boxes)
        .with("--min-height")
        .with("126.5")
        .succeeds();
    assert_eq!(count(&none.lines(), "pending"), SIGHTINGS);
    none.says(&["passed over: 80 x box below quality.min_height"]);
}

#[test]
fn a_rate_that_is_given_replaces_that_of_the_file() {
    let lines = run(&example().boxes)
        .with("--fps")
        .with("10")
        .succeeds()
        .lines();
    assert_eq!(lines[3]["stream_time"], 0.3);
}

#[test]
fn every_format_of_boxes_gives_the_same_observations() {
    let folder = Folder::new();
    let (mut mot, mut jsonl) = (String::new(), String::new());
    for sighting in Clip::render().sightings {
        let (frame, [x, y, w, h]) = (sighting.frame, sighting.bbox);
        // The MOT Challenge counts frames and pixels from 1.
        let (frame1, x1, y1) = (frame + 1, x + 1, y + 1);
        writeln!(mot, "{frame1},-1,{x1},{y1},{w},{h},0.9,-1,-1,-1").expect("a text grows");
        writeln!(
            jsonl,
            r#"{{"frame":{frame},"box":[{x},{y},{w},{h}],"note":"other"}}"#
        )
        .expect("a text grows");
    }
    let wanted = run(&example().boxes).succeeds().lines();
    let cases = [
        folder.file("det.txt", mot),
        folder.file("boxes.jsonl", jsonl),
        // What the program says can be read again as boxes.
        folder.file("earlier.jsonl", run(&example().boxes).succeeds().stdout),
    ];
    for boxes in cases {
        let found = run(&boxes).succeeds().lines();
        assert_eq!(
            observations(&found),
            observations(&wanted),
            "{}",
            boxes.display()
        );
    }
}

#[test]
fn what_a_file_of_boxes_leaves_open_is_noted() {
    let folder = Folder::new();
    let mut later = "frame,x,y,w,h\n".to_owned();
    for sighting in Clip::render().sightings {
        let (frame, [x, y, w, h]) = (sighting.frame + 1, sighting.bbox);
        writeln!(later, "{frame},{x},{y},{w},{h}").expect("a text grows");
    }
    let from_one = folder.file("from-one.csv", later);
    run(&from_one).succeeds().says(&[
        "the boxes fit the previous frame better than their own",
        "does the file count frames from 1?",
    ]);
    run(&example().boxes)
        .succeeds()
        .omits("frame better than their own");
    let gt = folder.file("gt.txt", "1,1,16,22,45,126,1,1,1\n2,1,16,22,45,126,0,1,1\n2,2,16,22,45,126,1,3,1\n2,3,16,22,0,126,1,1,1\n");
    let ended = run(&gt).succeeds().says(&[
        "1 row left out: flag 0 of the ground truth (first on line 2); ",
        "1 row left out: class 3, which is no person (first on line 3); ",
        "1 row left out: impossible box (first on line 4: w is 0, wanted more than 0)",
    ]);
    assert_eq!(ended.lines().len(), 1);
}

#[test]
fn tracks_of_the_boxes_are_passed_on() {
    let folder = Folder::new();
    let boxes = folder.file(
        "boxes.csv",
        "id,frame,x,y,w,h\n41,0,15,21,45,126\n,1,34,22,45,126\n",
    );
    let lines = run(&boxes).succeeds().lines();
    assert_eq!(lines[0]["track"], 41);
    assert!(
        lines[1]["track"].is_u64(),
        "a box without a number gets one of ours"
    );
}

#[test]
fn a_folder_of_crops_is_watched_whole() {
    let example = example();
    let lines = reid![
        "run",
        example.crops.join("query"),
        "--boxes",
        "whole",
        "--model",
        example.model,
        "--threshold",
        THRESHOLD,
        "--json"
    ]
    .succeeds()
    .lines();
    assert_eq!(lines.len(), 20);
    assert_eq!(lines[0]["box"], serde_json::json!([0.0, 0.0, 45.0, 126.0]));
    assert_eq!(identities(&lines).len(), FIGURES);
    // 25 images a second, if nobody says otherwise.
    assert_eq!(lines[1]["stream_time"], 0.04);
}

#[test]
fn a_threshold_comes_from_the_person_or_from_the_model_and_from_nowhere_else() {
    let example = example();
    let without = |model: &std::path::Path| {
        reid![
            "run",
            example.clip,
            "--boxes",
            example.boxes,
            "--model",
            model,
            "--json"
        ]
    };
    without(&example.model).fails().says(&[
        "figures.onnx",
        "states no threshold",
        "--open-set",
        "--threshold",
    ]);

    let folder = Folder::new();
    let model = folder.at("figures.onnx");
    let mut stated = metadata();
    let point = |threshold, fpir| OperatingPoint {
        threshold,
        fpir,
        fnir: 0.0,
    };
    // The lowest that lets in at most 1 % of strangers is the default.
    stated.thresholds = vec![point(0.2, 0.5), point(0.75, 0.01), point(0.9, 0.0)];
    write_with(&stated, &model);
    let lines = without(&model).succeeds().lines();
    assert_eq!(lines[0]["threshold"], 0.75);
    assert_eq!(identities(&lines).len(), FIGURES);
}

#[test]
fn a_broken_frame_is_passed_over_and_named() {
    let folder = Folder::new();
    let mut clip = std::fs::read(&example().clip).expect("the clip can be read");
    // The third picture loses its beginning, `FF D8`.
    let pictures = clip.windows(4).enumerate().filter(|(_, id)| id == b"00dc");
    let (third, _) = pictures.clone().nth(2).expect("a hundred pictures");
    clip[third + 8] = 0;
    let clip = folder.file("clip.avi", clip);
    let example = example();
    let ended = reid![
        "run",
        clip,
        "--boxes",
        example.boxes,
        "--model",
        example.model,
        "--threshold",
        THRESHOLD,
        "--json"
    ]
    .succeeds_partly()
    .says(&[
        "reid: warning: skipped:",
        "clip.avi: frame 2:",
        "passed over: 1 x broken frame",
    ]);
    let frames: Vec<u64> = ended
        .lines()
        .iter()
        .filter_map(|line| line["frame"].as_u64())
        .collect();
    assert_eq!(frames.len(), SIGHTINGS - 1);
    assert_eq!(frames[..3], [0, 1, 3]);
}
