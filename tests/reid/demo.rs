//! `reid demo`: the bundled model on the bundled clip.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::example::Folder;
use crate::program::{Ended, Reid, keys, reid};

fn demo(out: &Path) -> Reid {
    reid!["demo", "--out", out]
}

/// What a way of recognising people came to.
fn method<'a>(report: &'a Value, name: &str) -> &'a Value {
    let methods = report["methods"].as_array().expect("a list");
    let found = methods.iter().find(|method| method["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn count(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[test]
fn every_return_is_found_and_a_second_process_knows_everybody() {
    let folder = Folder::new();
    let out = folder.at("demo");
    let ended = demo(&out).with("--json").succeeds();
    let report = ended.json();
    assert_eq!(
        keys(&report),
        [
            "boxes",
            "counted",
            "fpir",
            "frames",
            "gallery",
            "known_before",
            "methods",
            "model",
            "notice",
            "owners",
            "page",
            "persons",
            "recognised",
            "schema",
            "seconds",
            "strays",
            "threshold",
            "visits"
        ]
    );
    assert_eq!(report["schema"], 2);
    let persons = count(&report["persons"]);
    assert!(persons >= 8, "{persons} persons");
    assert!(report["visits"].as_array().expect("a list").len() >= 14);

    let model = method(&report, "model");
    let returns = count(&model["returns"]);
    assert!(returns >= 6, "{returns} returns");
    assert_eq!(count(&model["found"]), returns, "{report}");
    assert_eq!(count(&model["false_matches"]), 0, "{report}");
    assert_eq!(model["hindsight"], false);
    let stripes = method(&report, "hsv-stripes");
    assert_eq!(stripes["hindsight"], true);
    assert!(count(&stripes["found"]) <= returns);
    let always_new = method(&report, "always-new");
    assert_eq!(always_new["missed"], model["returns"]);
    assert_eq!(always_new["threshold"], Value::Null);

    let page = std::fs::read_to_string(out.join("demo.html")).expect("a page");
    assert!(page.contains("<th>method</th>") && !page.contains("<th></th>"));
    let notice = report["notice"].as_str().expect("a text");
    assert!(notice.contains("rendered people") && page.contains(notice));
    assert!(page.find("Wrong decisions") < page.find("Right decisions"));
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert_eq!(page.matches("<article").count(), 14);

    // Another process, the same gallery.
    let again = demo(&out).with("--json").succeeds().json();
    assert_eq!(again["known_before"], report["persons"]);
    assert_eq!(again["recognised"], report["persons"], "{again}");
    assert_eq!(method(&again, "model")["newcomers"], 0);
    let gallery = reid!["gallery", "list", out.join("gallery.redb"), "--json"].succeeds();
    let known = gallery.json()["identities"].as_array().map_or(0, Vec::len);
    assert!(known as u64 >= persons, "{}", gallery.stdout);
}

#[test]
fn the_threshold_is_the_one_that_the_contract_states() {
    let folder = Folder::new();
    let out = folder.at("demo");
    let report = demo(&out)
        .with("--max-frames")
        .with("8")
        .with("--json")
        .succeeds()
        .json();
    let inspected = reid!["model", "inspect", out.join("person.onnx"), "--json"]
        .succeeds()
        .json();
    let fpir = report["fpir"].as_f64().expect("a share");
    let points = inspected["metadata"]["thresholds"].as_array();
    let points = points.unwrap_or_else(|| panic!("no thresholds in {inspected}"));
    let within = points
        .iter()
        .filter(|point| point["fpir"].as_f64().is_some_and(|found| found <= fpir));
    let least = within
        .filter_map(|point| point["threshold"].as_f64())
        .fold(f64::INFINITY, f64::min);
    let used = report["threshold"].as_f64().expect("a number");
    assert!((used - least).abs() < 1e-6, "{used}, wanted {least}");
    // Nobody's visit is over by then.
    assert_eq!(report["visits"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_person_reads_the_notice_first() {
    let folder = Folder::new();
    let Ended { stdout, .. } = demo(&folder.at("demo"))
        .with("--max-frames")
        .with("40")
        .succeeds();
    let first = stdout.lines().next().expect("a line");
    assert!(
        first.contains("only ever seen rendered people") && first.contains("mAP"),
        "{first}"
    );
    for wanted in [
        "returns found",
        "this model",
        "HSV stripes",
        "always new",
        "with hindsight",
        "false positive identification rate",
        "demo.html",
    ] {
        assert!(stdout.contains(wanted), "no `{wanted}` in: {stdout}");
    }
}

#[test]
fn people_are_found_by_their_motion_as_well() {
    let folder = Folder::new();
    let report = demo(&folder.at("demo"))
        .with("--boxes")
        .with("motion")
        .with("--max-frames")
        .with("80")
        .with("--json")
        .succeeds()
        .json();
    assert_eq!(report["boxes"], "motion");
    let visits = report["visits"].as_array().expect("a list");
    let seen = visits.iter().filter(|visit| !visit["from"].is_null());
    assert!(seen.count() >= 1, "{visits:?}");
}

#[test]
fn a_camera_says_who_comes() {
    let folder = Folder::new();
    let out = folder.at("demo");
    demo(&out).with("--max-frames").with("1").succeeds();
    // Any source of `reid run` will do for a camera.
    let clip = out.join("clip.avi");
    let ended = demo(&out)
        .with("--camera")
        .with(&clip)
        .with("--max-frames")
        .with("60")
        .succeeds();
    let lines: BTreeSet<&str> = ended.stdout.lines().collect();
    assert!(
        ended
            .stdout
            .lines()
            .next()
            .is_some_and(|first| first.contains("rendered people"))
    );
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("-000001 is new (visit 1)")),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("; no person was kept"));

    demo(&out)
        .with("--camera")
        .with("/dev/video-that-is-not-there")
        .fails()
        .says(&["video-that-is-not-there"]);
    demo(&out).with("--camera").with("--json").misuses();
}

#[cfg(feature = "tract")]
#[test]
fn a_gallery_of_another_model_is_not_written_to() {
    let folder = Folder::new();
    let out = folder.at("demo");
    std::fs::create_dir(&out).expect("a folder");
    let example = crate::example::example();
    reid!["enroll", "Ada", example.crops, "--model", example.model]
        .with("--gallery")
        .with(out.join("gallery.redb"))
        .succeeds();
    demo(&out).fails().says(&["another model", "--out"]);
}

#[test]
fn where_nothing_can_be_written_is_said() {
    let folder = Folder::new();
    let file = folder.file("file", "no folder");
    demo(&file.join("demo")).fails().says(&["file/demo"]);
    demo(&file).fails().says(&["file"]);
    // A folder takes the place of a file that has to be written.
    let out = folder.at("demo");
    std::fs::create_dir_all(out.join("clip.avi")).expect("a folder");
    demo(&out).fails().says(&["clip.avi"]);
}
