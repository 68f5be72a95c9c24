//! Merging, splitting and undoing.

use super::*;

const DIM: usize = 16;

/// Ada and Bob, and three whom nobody has named (3, 4, 5). The exemplar with 1 at `n` is of the time `n`.
fn gallery() -> Gallery {
    let limits = Limits {
        visit_gap: std::time::Duration::ZERO,
        ..Limits::default()
    };
    let mut gallery = Gallery::in_memory(SPACE, DIM)
        .and_then(|gallery| gallery.with_device(DEVICE))
        .and_then(|gallery| gallery.with_limits(limits))
        .unwrap();
    gallery.enroll("ada", &hot(DIM, 1), &origin(1)).unwrap();
    gallery.enroll("bob", &hot(DIM, 2), &origin(2)).unwrap();
    for at in 3..6 {
        gallery
            .new_identity(&hot(DIM, at), &origin(at as u64))
            .unwrap();
    }
    for (identity, at) in [(1, 6), (3, 7), (3, 8)] {
        see(&mut gallery, identity, at);
    }
    gallery
}

fn see(gallery: &mut Gallery, identity: u64, at: usize) {
    let observed = gallery.observe(identity, &hot(DIM, at), &origin(at as u64));
    assert!(observed.unwrap().kept);
}

/// Everybody: their name, the times of their exemplars, visits, when they were enrolled and last seen, other names.
type Person = (String, Vec<u64>, u64, u64, u64, Vec<String>);

fn everybody(gallery: &mut Gallery) -> Vec<Person> {
    let all: Vec<Summary> = gallery.list().collect();
    all.into_iter()
        .map(|summary| {
            let (again, origins) = gallery.show(&summary.name).unwrap();
            assert_eq!(again, summary);
            let mut times: Vec<u64> = origins.iter().map(|origin| origin.time).collect();
            times.sort_unstable();
            for &time in &times {
                let found = gallery.search(&hot(DIM, time as usize)).unwrap().unwrap();
                assert_eq!(found.best.identity, summary.identity, "{time}");
            }
            let Summary {
                name,
                visits,
                enrolled,
                last_seen,
                aliases,
                ..
            } = summary;
            (name, times, visits, enrolled, last_seen, aliases)
        })
        .collect()
}

fn person(gallery: &mut Gallery, name: &str) -> Person {
    let all = everybody(gallery);
    all.into_iter().find(|person| person.0 == name).unwrap()
}

#[test]
fn a_merged_identity_has_what_both_had_and_both_names() {
    let mut gallery = gallery();
    let before = everybody(&mut gallery);
    let merged = gallery.merge("person-7f3a91c2-000003", "ada").unwrap();
    assert_eq!(merged.exemplars, 5);
    let alias = "person-7f3a91c2-000003".to_owned();
    let wanted = (
        "ada".into(),
        vec![1, 3, 6, 7, 8],
        5,
        1,
        8,
        vec![alias.clone()],
    );
    assert_eq!(person(&mut gallery, "ada"), wanted);
    assert_eq!(gallery.show(&alias).unwrap().0.name, "ada");
    assert_eq!(gallery.len(), 4);
    // More images of the other name go to the same person.
    assert_eq!(gallery.enroll(&alias, &hot(DIM, 9), &origin(9)).unwrap(), 1);

    let undone = gallery.undo().unwrap();
    let wanted = Undone {
        change: Change::Merge,
        identity: "ada".into(),
        other: alias,
    };
    assert_eq!(undone, wanted);
    // What came after the merge stays with whom it came to.
    let ada = ("ada".into(), vec![1, 6, 9], 2, 1, 9, vec![]);
    assert_eq!(person(&mut gallery, "ada"), ada);
    assert_eq!(everybody(&mut gallery)[1..], before[1..]);
}

#[test]
fn merges_are_undone_in_reverse() {
    let mut gallery = gallery();
    let mut states = vec![everybody(&mut gallery)];
    for (from, into) in [("4", "3"), ("3", "5"), ("5", "bob"), ("bob", "ada")] {
        gallery.merge(from, into).unwrap();
        states.push(everybody(&mut gallery));
    }
    let aliases = &states[4][0].5;
    let wanted = [
        "bob",
        "person-7f3a91c2-000003",
        "person-7f3a91c2-000004",
        "person-7f3a91c2-000005",
    ];
    assert_eq!(aliases, &wanted);
    while let Some(state) = states.pop() {
        assert_eq!(everybody(&mut gallery), state);
        assert_eq!(gallery.undo().is_err(), states.is_empty());
    }
}

#[test]
fn a_split_takes_the_exemplars_that_are_picked() {
    let mut gallery = gallery();
    let before = everybody(&mut gallery);
    let (left, new) = gallery
        .split("3", None, |position, origin| {
            position == 0 || origin.time == 8
        })
        .unwrap();
    assert_eq!((left.exemplars, new.exemplars), (1, 2));
    let name = "person-7f3a91c2-000006";
    let wanted = (name.into(), vec![3, 8], 1, 3, 8, vec![]);
    assert_eq!(person(&mut gallery, name), wanted);
    see(&mut gallery, 6, 10);
    let undone = gallery.undo().unwrap();
    assert_eq!((undone.change, &*undone.other), (Change::Split, name));
    // What came to the new identity comes back with it, and its name leads here.
    let old = "person-7f3a91c2-000003";
    let wanted = (old.into(), vec![3, 7, 8, 10], 4, 3, 10, vec![name.into()]);
    assert_eq!(person(&mut gallery, old), wanted);
    assert_eq!(gallery.len(), before.len());

    gallery.split("3", Some("eve"), |n, _| n == 0).unwrap();
    assert_eq!(person(&mut gallery, "eve").1, [3]);
    gallery.undo().unwrap();
    // A name that was given by mistake is free again.
    assert!(gallery.show("eve").is_err());
    assert_eq!(
        gallery.enroll("eve", &hot(DIM, 11), &origin(11)).unwrap(),
        8
    );
}

#[test]
fn what_cannot_be_merged_or_split_says_why() {
    let mut gallery = gallery();
    let before = everybody(&mut gallery);
    let merges = [
        ("ada", "1", "both are 'ada': nothing to merge"),
        ("ada", "3", "would expire as 'person-7f3a91c2-000003'"),
        ("eve", "ada", "no person called 'eve'"),
    ];
    for (from, into, wanted) in merges {
        let error = gallery.merge(from, into).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let splits = [
        ("3", None, 0..0, "0 of the 3 exemplars"),
        ("3", None, 0..3, "3 of the 3 exemplars"),
        ("4", None, 0..1, "1 of the 1 exemplars"),
        ("3", Some("ada"), 0..1, "'ada' is somebody already"),
        ("3", Some(""), 0..1, "a name has 0 bytes"),
        (
            "3",
            Some("person-7f3a91c2-000009"),
            0..1,
            "has the form of generated names",
        ),
    ];
    for (who, name, picked, wanted) in splits {
        let error = gallery.split(who, name, |n, _| picked.contains(&n));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let error = gallery.undo().unwrap_err().to_string();
    assert_eq!(error, "there is no merge and no split to undo");
    assert_eq!(everybody(&mut gallery), before);
}

#[test]
fn whoever_is_gone_is_gone_from_the_journal_and_the_names() {
    let mut gallery = gallery();
    gallery.merge("4", "3").unwrap();
    gallery.merge("3", "bob").unwrap();
    gallery.merge("5", "ada").unwrap();
    gallery.forget("bob").unwrap();
    assert!(gallery.show("person-7f3a91c2-000003").is_err());
    assert!(gallery.show("person-7f3a91c2-000004").is_err());
    assert_eq!(gallery.undo().unwrap().identity, "ada");
    assert!(gallery.undo().is_err());
    // The same when they expire.
    let mut gallery = self::gallery();
    gallery.merge("4", "3").unwrap();
    gallery.expire(100_000_000).unwrap();
    assert_eq!(gallery.len(), 2);
    assert!(gallery.known.journal.is_empty() && gallery.known.aliases.is_empty());
}

#[test]
fn the_last_changes_can_be_undone_and_older_ones_cannot() {
    let mut gallery = gallery();
    for _ in 0..40 {
        gallery.split("3", None, |n, _| n == 0).unwrap();
        gallery
            .merge(&gallery.list().last().unwrap().name, "3")
            .unwrap();
    }
    let undone = (0..).take_while(|_| gallery.undo().is_ok()).count();
    assert_eq!(undone, journal::DEPTH);
}
