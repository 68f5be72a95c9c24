//! `reid eval`: numbers that a labelled folder must give.

use serde_json::Value;

use crate::example::{Folder, crops, example};
use crate::program::{keys, reid};

/// A number of a report.
#[track_caller]
fn number(report: &Value, key: &str) -> f64 {
    report[key]
        .as_f64()
        .unwrap_or_else(|| panic!("`{key}` in {report}"))
}

#[test]
fn the_report_has_the_documented_keys_and_the_figures_are_found_again() {
    let example = example();
    let report = reid!["eval", example.crops, "--model", example.model, "--json"]
        .succeeds()
        .json();
    let wanted = [
        "gallery",
        "map",
        "minp",
        "queries",
        "rank1",
        "rank10",
        "rank5",
        "schema",
        "skipped",
        "space",
        "unreadable",
    ];
    assert_eq!(keys(&report), wanted);
    assert_eq!(report["schema"], 1);
    assert_eq!(
        (&report["queries"], &report["gallery"]),
        (&20.into(), &60.into())
    );
    assert_eq!(
        (&report["skipped"], &report["unreadable"]),
        (&0.into(), &0.into())
    );
    for (key, least) in [
        ("rank1", 0.95),
        ("rank5", 0.99),
        ("map", 0.95),
        ("minp", 0.9),
    ] {
        let share = number(&report, key);
        assert!((least..=1.0).contains(&share), "{key} is {share}");
    }
}

#[test]
fn a_label_that_is_wrong_costs_rank_and_precision() {
    let folder = Folder::new();
    // The first figure's queries under the name of the third, who stays in the gallery: no first
    // answer to them is right, and every other one is.
    for side in ["query", "bounding_box_test"] {
        for person in 1..=4 {
            for path in crops(side, person) {
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .expect("UTF-8");
                let name = match (side, person) {
                    ("query", 1) => name.replace("0001_", "0003_"),
                    _ => name.to_owned(),
                };
                let bytes = std::fs::read(&path).expect("the crop can be read");
                folder.file(&format!("{side}/{name}"), bytes);
            }
        }
    }
    let report = reid!["eval", folder.at(""), "--model", example().model, "--json"]
        .succeeds()
        .json();
    let queries = number(&report, "queries");
    let right = (queries - 2.0) / queries;
    assert!((number(&report, "rank1") - right).abs() < 1e-9, "{report}");
    assert!(number(&report, "map") < 0.95, "{report}");
}

#[test]
fn reranking_and_the_open_set_are_reported_when_asked_for() {
    let example = example();
    let report = reid![
        "eval",
        example.crops,
        "--model",
        example.model,
        "--rerank",
        "--open-set",
        "--json"
    ]
    .succeeds()
    .json();
    let reranked = &report["reranked"];
    assert_eq!(keys(reranked), ["map", "minp", "rank1", "rank10", "rank5"]);
    assert!(number(reranked, "rank1") > 0.95, "{report}");

    let open_set = &report["open_set"];
    let wanted = [
        "curve",
        "equal_error",
        "mate_searches",
        "non_mate_searches",
        "operating",
    ];
    assert_eq!(keys(open_set), wanted);
    assert_eq!(
        keys(&open_set["equal_error"]),
        ["fnir", "fpir", "threshold"]
    );
    // Twenty searches cannot measure less than 5 %.
    assert_eq!(open_set["operating"][0]["target"], 0.05);
    let curve = open_set["curve"].as_array().expect("a list");
    let [first, last] = [&curve[0], &curve[curve.len() - 1]];
    assert_eq!([number(first, "fpir"), number(first, "fnir")], [1.0, 0.0]);
    assert_eq!([number(last, "fpir"), number(last, "fnir")], [0.0, 1.0]);
}

#[test]
fn people_read_the_same_numbers_in_a_table() {
    let example = example();
    let ended = reid!["eval", example.crops, "--model", example.model].succeeds();
    let mut lines = ended.stdout.lines();
    let header = lines.next().unwrap_or_default();
    for column in ["rank-1", "rank-5", "mAP", "mINP"] {
        assert!(header.contains(column), "{header}");
    }
    let row = lines.next().unwrap_or_default();
    assert!(row.starts_with("cosine") && row.contains("100.00"), "{row}");
}

#[test]
fn a_folder_in_another_layout_is_refused_with_the_layout_wanted() {
    let folder = Folder::new();
    reid!["eval", folder.at(""), "--model", example().model]
        .fails()
        .says(&["query", "no such folder", "bounding_box_test/"]);

    let crop = std::fs::read(&crops("query", 1)[0]).expect("the crop can be read");
    folder.file("query/somebody.jpg", &crop);
    folder.file("bounding_box_test/0001_c1s1_000001_00.jpg", &crop);
    reid!["eval", folder.at(""), "--model", example().model]
        .fails()
        .says(&[
            "somebody.jpg",
            "no person and camera in its name",
            "0001_c1s1_000007_00.jpg",
        ]);
}
