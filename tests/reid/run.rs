//! `reid run`: observations and events of the example's clip.

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
    run_over(&example().clip, boxes).with("--observations")
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
    let lines = ended.observations();
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
    ended.says(&[
        &format!("{FIGURES} persons in 10 visits: 8 new, 0 known before, 2 returns"),
        &format!("{SIGHTINGS} observations in {FRAMES} frames ("),
    ]);
}

#[test]
fn a_line_has_the_documented_keys() {
    let lines = run(&example().boxes).succeeds().observations();
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
    assert_eq!(rows.len(), 1 + FIGURES + 2, "{}", ended.stdout);
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
    let first = with_gallery().succeeds().observations();
    assert_eq!(count(&first, "new"), FIGURES);

    let second = with_gallery()
        .succeeds()
        .says(&[": 0 new, 8 known before, 10 returns"])
        .observations();
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
        "--observations"
    ]
    .succeeds()
    .observations();
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
    assert_eq!(four.succeeds().observations().len(), 4);
    // All figures are 126 pixels high.
    let all = run(&example().boxes).with("--min-height").with("126");
    assert_eq!(identities(&all.succeeds().observations()).len(), FIGURES);
    let none = run(&example().boxes)
        .with("--min-height")
        .with("126.5")
        .succeeds();
    assert_eq!(count(&none.observations(), "pending"), SIGHTINGS);
    none.says(&["passed over: 80 x box below quality.min_height"]);
}

#[test]
fn a_rate_that_is_given_replaces_that_of_the_file() {
    let lines = run(&example().boxes)
        .with("--fps")
        .with("10")
        .succeeds()
        .observations();
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
    let wanted = run(&example().boxes).succeeds().observations();
    let cases = [
        folder.file("det.txt", mot),
        folder.file("boxes.jsonl", jsonl),
        // What the program writes can be read again as boxes; events are passed over.
        folder.file("earlier.jsonl", run(&example().boxes).succeeds().stdout),
    ];
    for boxes in cases {
        let found = run(&boxes).succeeds().observations();
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
    assert_eq!(ended.observations().len(), 1);
}

#[test]
fn tracks_of_the_boxes_are_passed_on() {
    let folder = Folder::new();
    let boxes = folder.file(
        "boxes.csv",
        "id,frame,x,y,w,h\n41,0,15,21,45,126\n,1,34,22,45,126\n",
    );
    let lines = run(&boxes).succeeds().observations();
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
        "--observations"
    ]
    .succeeds()
    .observations();
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
            "--observations"
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
    // The lowest with a false positive identification rate of at most 1 % is the default.
    stated.thresholds = vec![point(0.2, 0.5), point(0.75, 0.01), point(0.9, 0.0)];
    write_with(&stated, &model);
    let lines = without(&model).succeeds().observations();
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
        "--observations"
    ]
    .succeeds_partly()
    .says(&[
        "reid: warning: skipped:",
        "clip.avi: frame 2:",
        "passed over: 1 x broken frame",
    ]);
    let frames: Vec<u64> = ended
        .observations()
        .iter()
        .filter_map(|line| line["frame"].as_u64())
        .collect();
    assert_eq!(frames.len(), SIGHTINGS - 1);
    assert_eq!(frames[..3], [0, 1, 3]);
}

/// The events of a name.
fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events
        .iter()
        .filter(|event| event["event"] == name)
        .collect()
}

#[test]
fn events_are_the_visits_of_the_clip() {
    let folder = Folder::new();
    let (gallery, crops) = (folder.at("shop.redb"), folder.at("crops"));
    let call = || {
        run_over(&example().clip, &example().boxes)
            .with("--json")
            .with("--gallery")
            .with(&gallery)
            .with("--save-crops")
            .with(&crops)
    };
    let ended = call().succeeds();
    let events = ended.events();
    assert_eq!(events.len(), ended.lines().len(), "no line but events");
    let common = [
        "event",
        "schema",
        "source",
        "stream_time",
        "time",
        "track",
        "visit",
    ];
    let own: [(&str, &[&str]); 3] = [
        ("visit_started", &["first"]),
        (
            "identified",
            &[
                "absence",
                "identity",
                "last_seen",
                "new",
                "returning",
                "runner_up",
                "similarity",
                "threshold",
            ],
        ),
        (
            "visit_ended",
            &["crop", "duration", "first", "identity", "last"],
        ),
    ];
    for (name, own) in own {
        let found = named(&events, name);
        assert_eq!(found.len(), VISITORS.len(), "{name}");
        let mut wanted = [&common, own].concat();
        wanted.sort_unstable();
        for event in found {
            assert_eq!(keys(event), wanted);
        }
    }
    let identified = named(&events, "identified");
    let returns = |events: &[&Value]| events.iter().filter(|e| e["returning"] == true).count();
    assert_eq!(returns(&identified), VISITORS.len() - FIGURES);
    assert!(identified.iter().all(|e| e["new"] != e["returning"]));
    for event in &identified {
        assert_eq!(
            event["returning"] == true,
            event["absence"].as_f64() > Some(5.0)
        );
        assert_eq!(event["last_seen"].is_string(), event["absence"].is_f64());
    }
    // The best crop of each visit is there.
    for event in named(&events, "visit_ended") {
        let crop = event["crop"].as_str().expect("a path");
        assert!(crops.join(crop).is_file(), "{crop}");
        assert!(event["duration"].as_f64() > Some(1.0), "{event}");
    }

    // The gallery counts the same visits, and the next run knows them all.
    let visits = || {
        let list = reid!["gallery", "list", gallery, "--json"]
            .succeeds()
            .json();
        let known = list["identities"].as_array().expect("a list").clone();
        known
            .iter()
            .filter_map(|known| known["visits"].as_u64())
            .sum::<u64>()
    };
    assert_eq!(visits(), VISITORS.len() as u64);
    let again = call().succeeds().events();
    assert_eq!(returns(&named(&again, "identified")), VISITORS.len());
    assert_eq!(visits(), 2 * VISITORS.len() as u64);
}

#[test]
fn an_absence_longer_than_the_clip_leaves_no_return() {
    let ended = run_over(&example().clip, &example().boxes)
        .with("--json")
        .with("--min-absence")
        .with("1h")
        .succeeds()
        .says(&["8 persons in 8 visits: 8 new, 0 known before, 0 returns"]);
    assert_eq!(named(&ended.events(), "visit_ended").len(), FIGURES);
    run_over(&example().clip, &example().boxes)
        .with("--min-absence")
        .with("0s")
        .fails()
        .says(&["`visits.min_absence` is 0 s, wanted 0.001 s to 24 h"]);
}

#[test]
fn the_run_counts_the_visits_of_the_demo() {
    let folder = Folder::new();
    let out = folder.at("demo");
    let report = reid!["demo", "--out", out, "--json"].succeeds().json();
    let counted = &report["counted"];
    assert_eq!(
        (&counted["visits"], &counted["new"], &counted["returns"]),
        (&14.into(), &8.into(), &6.into())
    );
    let ended = reid![
        "run",
        out.join("clip.avi"),
        "--model",
        out.join("person.onnx"),
        "--json"
    ]
    .with("--boxes")
    .with(out.join("boxes.csv"))
    .succeeds()
    .says(&["8 persons in 14 visits: 8 new, 0 known before, 6 returns"]);
    let events = ended.events();
    let identified = named(&events, "identified");
    let count = |key: &str| identified.iter().filter(|e| e[key] == true).count();
    assert_eq!((count("new"), count("returning")), (8, 6));
    assert_eq!(named(&events, "visit_started").len(), 14);
    assert_eq!(named(&events, "visit_ended").len(), 14);
    // A track that went over to another person keeps what was proven before.
    let changed = named(&events, "identity_changed");
    assert!(
        changed
            .iter()
            .all(|e| e["withdrawn"] == false && e["moved_to"] != e["visit"])
    );
}
