//! `reid enroll`, `match` and `gallery`: who is known, and who no longer is.

use serde_json::{Value, json};

use crate::example::{Folder, crops, example};
use crate::program::{Ended, Reid, keys, reid};

/// Enrols a figure's queries under a name.
pub(crate) fn enroll(name: &str, person: usize, gallery: &std::path::Path) -> Reid {
    let mut call = reid![
        "enroll",
        name,
        "--gallery",
        gallery,
        "--model",
        example().model,
        "--json"
    ];
    for crop in crops("query", person) {
        call = call.with(crop);
    }
    call
}

/// Matches a figure's other crops.
fn matched(person: usize, gallery: &std::path::Path) -> Ended {
    let mut call = reid![
        "match",
        "--gallery",
        gallery,
        "--model",
        example().model,
        "--json"
    ];
    for crop in crops("bounding_box_test", person) {
        call = call.with(crop);
    }
    call.succeeds()
}

/// Names of the most similar identity of each query.
fn best(answers: &[Value]) -> Vec<&str> {
    answers
        .iter()
        .filter_map(|answer| answer["matches"][0]["identity"].as_str())
        .collect()
}

#[test]
fn who_was_enrolled_is_matched_and_who_is_forgotten_leaves_nothing() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    for (name, person) in [("Ada", 1), ("Bob", 3), ("Zoë", 4)] {
        let report = enroll(name, person, &gallery).succeeds().json();
        let wanted = json!(
            {"schema": 1, "identity": name, "images": 2, "already": 0, "unreadable": 0, "exemplars": 2,
             "resembles": [], "look_alikes": []}
        );
        assert_eq!(report, wanted);
    }

    for (name, person) in [("Ada", 1), ("Bob", 3), ("Zoë", 4)] {
        let answers = matched(person, &gallery).lines();
        assert_eq!(answers.len(), 6, "one line a query");
        assert_eq!(best(&answers), [name; 6]);
        for answer in &answers {
            assert_eq!(
                keys(answer),
                [
                    "identity",
                    "matches",
                    "query",
                    "schema",
                    "threshold",
                    "verdict"
                ]
            );
            let matches = answer["matches"].as_array().expect("a list");
            assert_eq!(matches.len(), 3, "everybody known, best first");
            let similarity = |at: usize| matches[at]["similarity"].as_f64().expect("a number");
            assert!(
                similarity(0) > 0.9 && similarity(0) > similarity(1) + 0.2,
                "{answer}"
            );
            assert!(similarity(1) >= similarity(2), "{answer}");
        }
    }

    let bytes = std::fs::read(&gallery).expect("the gallery can be read");
    assert!(
        contains(&bytes, "Bob"),
        "names stand in the file as they are"
    );
    let report = reid!["gallery", "forget", gallery, "Bob", "--json"]
        .succeeds()
        .json();
    assert_eq!(report["forgotten"]["name"], "Bob");
    assert_eq!(report["forgotten"]["exemplars"], 2);

    let answers = matched(3, &gallery).lines();
    assert_eq!(answers.len(), 6);
    for answer in &answers {
        let matches = answer["matches"].as_array().expect("a list");
        assert_eq!(matches.len(), 2);
        assert!(
            matches.iter().all(|known| known["identity"] != "Bob"),
            "{answer}"
        );
        assert!(
            matches[0]["similarity"].as_f64().expect("a number") < 0.7,
            "{answer}"
        );
    }
    let bytes = std::fs::read(&gallery).expect("the gallery can be read");
    assert!(!contains(&bytes, "Bob"), "the name is still in the file");
    assert!(
        !contains(&bytes, "0003_c1s1"),
        "a path is still in the file"
    );
    reid!["gallery", "show", gallery, "Bob"]
        .fails()
        .says(&["no person called 'Bob'", "shop.redb"]);
    reid!["gallery", "forget", gallery, "Bob"]
        .fails()
        .says(&["no person called 'Bob'"]);
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn list_and_show_tell_machines_and_people_the_same() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    enroll("Ada", 1, &gallery).succeeds();
    enroll("Bob", 2, &gallery).succeeds();

    let listing = reid!["gallery", "list", gallery, "--json"]
        .succeeds()
        .json();
    assert_eq!(
        keys(&listing),
        ["device", "dim", "identities", "schema", "space"]
    );
    assert_eq!(
        (&listing["schema"], &listing["dim"]),
        (&1.into(), &64.into())
    );
    assert!(
        listing["space"]
            .as_str()
            .is_some_and(|space| space.starts_with("sha256:"))
    );
    let identities = listing["identities"].as_array().expect("a list");
    let wanted = [
        "aliases",
        "enrolled",
        "exemplars",
        "identity",
        "last_seen",
        "name",
        "visits",
    ];
    assert!(
        identities.iter().all(|identity| keys(identity) == wanted),
        "{listing}"
    );
    assert_eq!(
        (&identities[0]["name"], &identities[0]["exemplars"]),
        (&"Ada".into(), &2.into())
    );
    // The second figure comes twice, with two queries each time.
    assert_eq!(
        (&identities[1]["name"], &identities[1]["exemplars"]),
        (&"Bob".into(), &4.into())
    );

    let table = reid!["gallery", "list", gallery].succeeds().stdout;
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 3);
    assert!(
        rows[0].starts_with("number") && rows[1].contains("Ada"),
        "{table}"
    );

    // By number and by name.
    for who in ["1", "Ada"] {
        let shown = reid!["gallery", "show", gallery, who, "--json"]
            .succeeds()
            .json();
        assert_eq!(shown["name"], "Ada");
        let origins = shown["origins"].as_array().expect("a list");
        assert_eq!(origins.len(), 2);
        for (origin, path) in origins.iter().zip(crops("query", 1)) {
            assert_eq!(keys(origin), ["crop", "frame", "source", "time"]);
            assert_eq!(origin["source"].as_str(), path.to_str());
        }
    }
    let text = reid!["gallery", "show", gallery, "Ada"].succeeds().stdout;
    assert!(text.contains("0001_c1s1_000000_00.jpg"), "{text}");
    let text = reid!["gallery", "forget", gallery, "1"].succeeds().stdout;
    assert_eq!(text, "Ada: forgotten, 2 exemplars removed\n");
}

#[test]
fn more_images_of_somebody_known_are_more_exemplars() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    enroll("Ada", 1, &gallery).succeeds();
    let more = &crops("bounding_box_test", 1)[..3];
    let text = reid![
        "enroll",
        "Ada",
        more[0],
        more[1],
        more[2],
        "--gallery",
        gallery,
        "--model",
        example().model
    ]
    .succeeds()
    .stdout;
    assert_eq!(text, "Ada: 3 images enrolled, 5 exemplars in all\n");
}

#[test]
fn as_many_are_named_as_were_asked_for() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    for person in 1..=4 {
        enroll(&format!("figure {person}"), person, &gallery).succeeds();
    }
    let query = &crops("bounding_box_test", 2)[0];
    for (top, wanted) in [("1", 1), ("3", 3), ("20", 4)] {
        let answer = reid![
            "match",
            query,
            "--gallery",
            gallery,
            "--model",
            example().model,
            "--top",
            top,
            "--json"
        ]
        .succeeds()
        .json();
        assert_eq!(
            answer["matches"].as_array().map(Vec::len),
            Some(wanted),
            "--top {top}"
        );
    }
    for top in ["0", "21"] {
        reid![
            "match",
            query,
            "--gallery",
            gallery,
            "--model",
            example().model,
            "--top",
            top
        ]
        .misuses();
    }
    let text = reid![
        "match",
        query,
        "--gallery",
        gallery,
        "--model",
        example().model,
        "--top",
        "2"
    ]
    .succeeds()
    .stdout;
    assert!(
        text.contains(": figure 2 0.9") || text.contains(": figure 2 1.0"),
        "{text}"
    );
}

#[test]
fn part_of_the_images_being_unreadable_is_told() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    let broken = folder.file("broken.jpg", b"no picture");
    let good = &crops("query", 1)[0];
    let report = reid![
        "enroll",
        "Ada",
        good,
        broken,
        "--gallery",
        gallery,
        "--model",
        example().model,
        "--json"
    ]
    .succeeds_partly()
    .says(&["reid: warning: skipped:", "broken.jpg"])
    .json();
    assert_eq!(
        (&report["images"], &report["unreadable"]),
        (&1.into(), &1.into())
    );
    reid![
        "match",
        good,
        broken,
        "--gallery",
        gallery,
        "--model",
        example().model
    ]
    .succeeds_partly()
    .says(&["broken.jpg"]);

    // Nothing to enrol makes no gallery.
    let none = folder.at("none.redb");
    reid![
        "enroll",
        "Ada",
        broken,
        "--gallery",
        none,
        "--model",
        example().model
    ]
    .fails();
    assert!(!none.exists());
}

#[test]
fn what_was_merged_or_split_by_mistake_is_undone() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    enroll("Ada", 1, &gallery).succeeds();
    enroll("Bob", 2, &gallery).succeeds();

    let merged = reid!["gallery", "merge", gallery, "Bob", "1", "--json"]
        .succeeds()
        .json();
    assert_eq!(keys(&merged), ["into", "merged", "schema"]);
    assert_eq!(merged["into"]["exemplars"], 6);
    let shown = reid!["gallery", "show", gallery, "Bob"].succeeds().stdout;
    assert!(
        shown.contains("Ada") && shown.contains("also called Bob"),
        "{shown}"
    );
    let undone = reid!["gallery", "undo", gallery, "--json"]
        .succeeds()
        .json();
    let wanted = json!({"schema": 1, "change": "merge", "identity": "Ada", "other": "Bob"});
    assert_eq!(undone, wanted);

    let split = reid![
        "gallery",
        "split",
        gallery,
        "Bob",
        "--exemplars",
        "2-3",
        "--name",
        "Eve",
        "--json"
    ]
    .succeeds()
    .json();
    assert_eq!(keys(&split), ["remaining", "schema", "split"]);
    assert_eq!(split["split"]["name"], "Eve");
    assert_eq!(split["remaining"]["exemplars"], 2);
    let text = reid!["gallery", "undo", gallery].succeeds().stdout;
    assert_eq!(text, "Eve and Bob are one again\n");
    reid!["gallery", "undo", gallery]
        .fails()
        .says(&["there is no merge and no split to undo"]);

    reid!["gallery", "merge", gallery, "Ada", "1"]
        .fails()
        .says(&["nothing to merge"]);
    reid!["gallery", "split", gallery, "Ada"].misuses();
    reid!["gallery", "split", gallery, "Ada", "--exemplars", "0"].misuses();
}

#[test]
fn a_backup_brings_back_what_was_lost() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    let copy = folder.at("monday.redb");
    enroll("Ada", 1, &gallery).succeeds();
    let report = reid!["gallery", "backup", gallery, copy, "--json"]
        .succeeds()
        .json();
    assert_eq!(keys(&report), ["exemplars", "identities", "schema", "to"]);
    assert_eq!(
        (&report["identities"], &report["exemplars"]),
        (&1.into(), &2.into())
    );
    reid!["gallery", "backup", gallery, copy]
        .fails()
        .says(&["monday.redb is there already"]);
    reid!["gallery", "backup", gallery, copy, "--force"].succeeds();

    reid!["gallery", "forget", gallery, "Ada"].succeeds();
    let report = reid!["gallery", "restore", gallery, copy, "--json"]
        .succeeds()
        .json();
    assert_eq!(report["identities"], 1);
    assert!(
        report["replaced"]
            .as_str()
            .is_some_and(|path| path.ends_with("shop.redb.before-restore"))
    );
    assert_eq!(best(&matched(1, &gallery).lines()), ["Ada"; 6]);
    std::fs::write(&copy, "not a gallery").expect("the copy can be overwritten");
    reid!["gallery", "restore", gallery, copy, "--force"]
        .fails()
        .says(&["monday.redb is no gallery"]);
    assert_eq!(best(&matched(1, &gallery).lines()), ["Ada"; 6]);
}

#[test]
fn those_whom_nobody_has_named_are_pruned() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    let example = example();
    enroll("Ada", 1, &gallery).succeeds();
    reid![
        "run",
        example.clip,
        "--boxes",
        example.boxes,
        "--model",
        example.model,
        "--gallery",
        gallery,
        "--threshold",
        "0.95",
        "--max-frames",
        "40"
    ]
    .succeeds();
    let known = |gallery: &std::path::Path| {
        let listing = reid!["gallery", "list", gallery, "--json"]
            .succeeds()
            .json();
        listing["identities"].as_array().expect("a list").len()
    };
    let all = known(&gallery);
    assert!(all > 1);
    reid!["gallery", "prune", gallery].misuses();
    reid!["gallery", "prune", gallery, "--older-than", "soon"].misuses();
    let text = reid!["gallery", "prune", gallery, "--older-than", "24h"]
        .succeeds()
        .stdout;
    assert_eq!(text, format!("0 removed, {all} remain\n"));
    let report = reid![
        "gallery",
        "prune",
        gallery,
        "--keep",
        "0",
        "--dry-run",
        "--json"
    ]
    .succeeds()
    .json();
    assert_eq!(
        keys(&report),
        ["crops", "dry_run", "pruned", "remaining", "schema"]
    );
    assert_eq!(report["remaining"], 1);
    assert_eq!(known(&gallery), all);
    reid!["gallery", "prune", gallery, "--keep", "0"].succeeds();
    assert_eq!(known(&gallery), 1);
}

#[test]
fn a_gallery_is_embedded_anew_from_the_images_that_are_left() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    let model = &example().model;
    enroll("Ada", 1, &gallery).succeeds();
    let own = folder.at("bob.jpg");
    std::fs::copy(&crops("query", 2)[0], &own).expect("a crop can be copied");
    reid!["enroll", "Bob", own, "--gallery", gallery, "--model", model].succeeds();
    let report = reid!["gallery", "re-embed", gallery, "--model", model, "--json"]
        .succeeds()
        .json();
    let wanted = [
        "dim",
        "exemplars",
        "identities",
        "lost",
        "missing",
        "schema",
        "space",
    ];
    assert_eq!(keys(&report), wanted);
    assert_eq!(
        (&report["exemplars"], &report["missing"]),
        (&3.into(), &0.into())
    );
    assert_eq!(best(&matched(1, &gallery).lines()), ["Ada"; 6]);

    std::fs::remove_file(&own).expect("the copy can be removed");
    reid!["gallery", "re-embed", gallery, "--model", model]
        .fails()
        .says(&["1 of 2 people", "Bob"]);
    let text = reid![
        "gallery",
        "re-embed",
        gallery,
        "--model",
        model,
        "--drop-lost"
    ]
    .succeeds_partly()
    .stdout;
    assert!(text.contains("lost: Bob"), "{text}");
    assert_eq!(best(&matched(1, &gallery).lines()), ["Ada"; 6]);
}

#[test]
fn a_gallery_of_an_older_version_is_read_and_corrected() {
    let folder = Folder::new();
    let old = include_bytes!("../references/format2.redb");
    let gallery = folder.file("shop.redb", old);
    let list = || {
        reid!["gallery", "list", gallery, "--json"]
            .succeeds()
            .json()
    };
    let listing = list();
    assert_eq!(listing["dim"], 64);
    let known = |listing: &Value| -> Vec<(String, u64, u64)> {
        let identities = listing["identities"].as_array().expect("a list");
        let fields = |known: &Value| {
            let number = |key: &str| known[key].as_u64().expect("a number");
            let name = known["name"].as_str().expect("a name").to_owned();
            (name, number("exemplars"), number("visits"))
        };
        identities.iter().map(fields).collect()
    };
    let unknown = "person-c5ec69fd-000004";
    let wanted = [("Ada", 4, 2), ("Eve", 2, 1), (unknown, 1, 1)];
    let wanted = wanted.map(|(name, exemplars, visits)| (name.to_owned(), exemplars, visits));
    assert_eq!(known(&listing), wanted);
    assert_eq!(
        std::fs::read(&gallery).expect("a file"),
        old,
        "reading has written"
    );
    let shown = reid!["gallery", "show", gallery, unknown, "--json"]
        .succeeds()
        .json();
    let crop = shown["origins"][0]["crop"].as_str().expect("its crop");
    assert!(
        crop.starts_with(unknown) && crop.ends_with(".jpg"),
        "{crop}"
    );

    // Its journal: Eve was split from Ada, and Bob was merged into her before.
    reid!["gallery", "undo", gallery].succeeds();
    reid!["gallery", "undo", gallery].succeeds();
    let names = |listing: &Value| known(listing).into_iter().map(|k| k.0).collect::<Vec<_>>();
    assert_eq!(names(&list()), ["Ada", "Bob", unknown]);
    reid!["gallery", "rename", gallery, "#4", "Zoe"].succeeds();
    reid!["gallery", "forget", gallery, "Ada"].succeeds();
    assert_eq!(names(&list()), ["Bob", "Zoe"]);
}

#[test]
fn a_person_is_renamed_but_not_to_the_name_of_another() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    enroll("Ada", 1, &gallery).succeeds();
    enroll("Bob", 2, &gallery).succeeds();
    let rename = |from: &str, to: &str| reid!["gallery", "rename", gallery, from, to];
    let text = rename("Ada", "Zoe\u{308}").succeeds().stdout;
    assert!(text.starts_with("Ada is called Zo\u{eb} now:\n"), "{text}");
    rename("Zo\u{eb}", "Bob").fails().says(&[
        "'Bob' is the name of identity 2 already",
        "`reid gallery merge`",
    ]);
    rename("Zo\u{eb}", "7")
        .fails()
        .says(&["number of an identity"]);
    rename("nobody", "Eve")
        .fails()
        .says(&["no person called 'nobody'"]);
    // A note names those who look alike, and not the person itself.
    let report = rename("1", "B\u{43e}b").with("--json").succeeds();
    let report = report.says(&["looks like 'Bob'", "U+043E"]).json();
    assert_eq!(report["look_alikes"], json!(["Bob"]));
    assert_eq!(keys(&report), ["look_alikes", "renamed", "schema", "to"]);
    assert_eq!(
        (&report["renamed"], &report["to"]["exemplars"]),
        (&"Zo\u{eb}".into(), &2.into())
    );
    let report = rename("1", "BOB").with("--json").succeeds().json();
    assert_eq!(report["look_alikes"], json!(["Bob"]));
    // The old name is free, and the person is the same.
    rename("Bob", "Zo\u{eb}").succeeds();
    assert_eq!(best(&matched(1, &gallery).lines()), ["BOB"; 6]);
}

#[test]
fn a_query_is_the_same_person_or_unknown_by_the_threshold() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    enroll("Ada", 1, &gallery).succeeds();
    let (ada, other) = (&crops("query", 1)[0], &crops("query", 3)[0]);
    let call = |query: &std::path::Path| {
        reid![
            "match",
            query,
            "--gallery",
            gallery,
            "--model",
            example().model
        ]
    };
    let found = |query, threshold: &str| {
        let answer = call(query).with(format!("--threshold={threshold}"));
        answer.with("--json").succeeds().json()
    };
    let answer = found(ada, "0.7");
    assert_eq!(
        (&answer["verdict"], &answer["identity"]),
        (&"same person".into(), &"Ada".into())
    );
    assert_eq!(
        answer["threshold"].as_f64().map(|t| (t * 10.0).round()),
        Some(7.0)
    );
    let answer = found(other, "0.7");
    assert_eq!(
        (&answer["verdict"], &answer["identity"]),
        (&"unknown".into(), &Value::Null)
    );
    assert_eq!(
        answer["matches"][0]["identity"], "Ada",
        "the most similar one is listed"
    );
    assert_eq!(found(other, "-1")["verdict"], "same person");
    let text = call(ada).with("--threshold=0.7").succeeds().stdout;
    assert!(
        text.contains(": same person (threshold 0.700): Ada "),
        "{text}"
    );
    let text = call(other).with("--threshold=0.7").succeeds().stdout;
    assert!(text.contains(": unknown (threshold 0.700): Ada "), "{text}");

    // The example states none.
    let ended = call(ada).with("--json").succeeds();
    let ended = ended.says(&[
        "no verdict",
        "states no threshold",
        "--open-set",
        "--threshold",
    ]);
    let answer = ended.json();
    for key in ["verdict", "identity", "threshold"] {
        assert_eq!(answer[key], Value::Null, "{key}");
    }
    call(ada).with("--threshold=1.5").misuses();
}
