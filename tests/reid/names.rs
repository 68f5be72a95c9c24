//! Names of people in `reid enroll` and `reid gallery`: which are refused, which are one, which mislead.

use serde_json::json;

use crate::example::{Folder, crops, example};
use crate::gallery::enroll;
use crate::program::{keys, reid};

#[test]
fn names_that_could_be_mistaken_are_refused() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    let refused = |name: &str, why: &str| {
        enroll(name, 1, &gallery).fails().says(&[why]);
    };
    let cases = [
        ("person-000009", "has the form of generated names"),
        ("person-7f3a91c2-000009", "has the form of generated names"),
        ("", "a name has 0 bytes, wanted 1 to 200"),
        (&*"a".repeat(201), "201"),
        ("a\nb", "control character U+000A at position 2"),
        ("a\u{200b}b", "invisible character U+200B at position 2"),
        ("\u{202e}bob", "invisible character U+202E at position 1"),
        ("Ada ", "begins or ends with a blank"),
        ("1", "could be taken for the number of an identity"),
    ];
    for (name, why) in cases {
        refused(name, why);
        assert!(!gallery.exists(), "an empty gallery was left");
    }
    enroll("Ada", 1, &gallery).succeeds();
    refused("1", "could be taken for the number of an identity");
    reid![
        "gallery",
        "split",
        gallery,
        "Ada",
        "--exemplars",
        "1",
        "--name",
        "1"
    ]
    .fails()
    .says(&["could be taken for the number of an identity"]);
    let listing = reid!["gallery", "list", gallery, "--json"]
        .succeeds()
        .json();
    assert_eq!(listing["identities"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_name_is_one_name_in_both_unicode_forms() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    let (composed, decomposed) = ("Zo\u{eb}", "Zoe\u{308}");
    let report = enroll(decomposed, 4, &gallery).succeeds().json();
    assert_eq!(report["identity"], composed);
    for who in [composed, decomposed, "1", "#1"] {
        let shown = reid!["gallery", "show", gallery, who, "--json"]
            .succeeds()
            .json();
        assert_eq!(shown["name"], composed);
    }
    reid!["gallery", "forget", gallery, decomposed].succeeds();
}

#[test]
fn a_picture_is_stored_once() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    enroll("Ada", 1, &gallery).succeeds();
    let again = enroll("Ada", 1, &gallery)
        .succeeds()
        .says(&["0001_c1s1_000000_00.jpg is an exemplar of 'Ada' already"])
        .json();
    assert_eq!(
        (&again["images"], &again["already"], &again["exemplars"]),
        (&0.into(), &2.into(), &2.into())
    );
    // The same picture under two names.
    let picture = folder.at("copy.jpg");
    std::fs::copy(&crops("query", 2)[0], &picture).expect("a crop can be copied");
    let report = enroll("Bob", 2, &gallery).with(&picture).succeeds().json();
    let images = crops("query", 2).len();
    assert_eq!(
        (&report["images"], &report["already"]),
        (&images.into(), &1.into())
    );
}

#[test]
fn a_picture_that_resembles_another_person_is_told() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    enroll("Ada", 1, &gallery).succeeds();
    // Other pictures of the same figure, by the threshold that was asked for.
    let other = &crops("bounding_box_test", 1)[0];
    let call = |name: &str, threshold: &str| {
        reid![
            "enroll",
            name,
            other,
            "--gallery",
            gallery,
            "--model",
            example().model,
            "--threshold",
            threshold,
            "--json"
        ]
    };
    let ended = call("Bob", "0.7").succeeds().says(&[
        "is enrolled as 'Bob' and resembles 'Ada' (0.9",
        "`reid gallery merge`",
    ]);
    let report = ended.json();
    let told = report["resembles"].as_array().expect("a list");
    assert_eq!(told.len(), 1, "{report}");
    assert_eq!(keys(&told[0]), ["identity", "image", "similarity"]);
    assert_eq!(told[0]["identity"], "Ada");
    // The very same picture, whatever the threshold.
    let report = call("Eve", "1").succeeds().json();
    assert_eq!(report["resembles"][0]["identity"], "Bob");
    // Nearer to another person than to the pictures that come with it.
    let mixed = enroll("Carl", 3, &gallery)
        .with(&crops("bounding_box_test", 1)[1])
        .succeeds()
        .json();
    let told = mixed["resembles"].as_array().expect("a list");
    assert_eq!(told.len(), 1, "{mixed}");
    assert!(
        told[0]["image"]
            .as_str()
            .is_some_and(|path| path.contains("/0001_"))
    );
    // Ada herself may resemble the others: her own next picture is hers.
    let report = enroll("Dan", 5, &gallery)
        .with("--threshold")
        .with("0.7")
        .succeeds()
        .omits("resembles")
        .json();
    assert_eq!(report["resembles"], json!([]));
    reid![
        "enroll",
        "Ada",
        other,
        "--gallery",
        gallery,
        "--model",
        example().model,
        "--threshold",
        "2"
    ]
    .misuses();
}

#[test]
fn a_name_that_looks_like_a_known_one_is_told() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    enroll("Ada", 1, &gallery).succeeds();
    let report = enroll("\u{410}da", 3, &gallery)
        .succeeds()
        .says(&["looks like 'Ada'", "character 1 is U+0410, not U+0041"])
        .json();
    assert_eq!(report["look_alikes"], json!(["Ada"]));
    // Known now: nothing to say.
    enroll("\u{410}da", 3, &gallery)
        .succeeds()
        .omits("looks like");
    let split = reid![
        "gallery",
        "split",
        gallery,
        "Ada",
        "--exemplars",
        "1",
        "--name",
        "ADA"
    ];
    split.succeeds().says(&["looks like 'Ada'"]);
}
