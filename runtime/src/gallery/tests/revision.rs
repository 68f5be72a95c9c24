//! Merging, splitting and undoing.

use super::*;

const DIM: usize = 16;

/// Ada and Bob, and three whom nobody has named (3, 4, 5). The exemplar with 1 at `n` is of the time `n`.
fn gallery() -> Gallery {
    let mut gallery = Gallery::in_memory(SPACE, DIM)
        .and_then(|gallery| gallery.with_tag(DEVICE))
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
    gallery.begin_visit(identity, at as u64).unwrap();
    let observed = gallery.observe(identity, &hot(DIM, at), &origin(at as u64));
    assert!(observed.unwrap().kept);
}

/// Everybody: their name, the times of their exemplars, visits, when they were enrolled and last seen, other names.
type Person = (String, Vec<u64>, u64, u64, u64, Vec<String>);

fn everybody(gallery: &mut Gallery) -> Vec<Person> {
    let all: Vec<IdentitySummary> = gallery.list().collect();
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
            let IdentitySummary {
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
        4,
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
    let ada = ("ada".into(), vec![1, 6, 9], 1, 1, 9, vec![]);
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
        (
            "3",
            Some("ada"),
            0..1,
            "'ada' is the name of a person already",
        ),
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
    assert!(gallery.state.journal.is_empty() && gallery.state.aliases.is_empty());
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

#[test]
fn a_renamed_person_is_found_by_the_new_name_and_by_a_generated_one() {
    let mut gallery = gallery();
    let generated = "person-7f3a91c2-000003";
    let error = |result: Result<IdentitySummary>| result.unwrap_err().to_string();
    let renamed = gallery.rename("3", "Zoe\u{308}").unwrap();
    assert_eq!(
        (&*renamed.name, &*renamed.aliases),
        ("Zo\u{eb}", &[generated.to_owned()][..])
    );
    assert_eq!(gallery.show(generated).unwrap().0, renamed);
    // She does not expire any more, nor makes room for others.
    assert_eq!(gallery.state.generated, 2);
    let gone = gallery.expire(1 << 50).unwrap();
    let gone: Vec<u64> = gone.iter().map(|gone| gone.identity).collect();
    assert_eq!(gone, [4, 5]);

    // A name that was given is free again.
    assert_eq!(
        gallery.rename("Zo\u{eb}", "eve").unwrap().aliases,
        [generated]
    );
    assert_eq!(
        gallery
            .enroll("Zo\u{eb}", &hot(DIM, 9), &origin(9))
            .unwrap(),
        6
    );
    // Back to the generated name: what was unknown may expire again.
    let back = gallery.rename("eve", generated).unwrap();
    assert_eq!((&*back.name, back.aliases.len()), (generated, 0));
    assert_eq!(gallery.expire(1 << 50).unwrap().len(), 1);

    let exists = error(gallery.rename("ada", "bob"));
    assert!(
        exists.contains("'bob' is the name of identity 2 already"),
        "{exists}"
    );
    assert!(exists.contains("reid gallery merge"), "{exists}");
    let same = error(gallery.rename("ada", "ada"));
    assert!(same.contains("nothing to rename"), "{same}");
    for (name, wanted) in [
        ("7", "number of an identity"),
        ("person-7f3a91c2-000009", "form of generated names"),
        ("a\u{200b}da", "invisible character"),
        ("", "0 bytes"),
    ] {
        let refused = error(gallery.rename("ada", name));
        assert!(refused.contains(wanted), "{refused}");
    }
    assert!(matches!(
        gallery.rename("nobody", "eve"),
        Err(Error::UnknownIdentity { .. })
    ));
}

#[test]
fn a_merge_whose_name_was_given_anew_is_not_undone_over_it() {
    // The name that led to the merged identity is the name of the other now.
    let mut gallery = gallery();
    gallery.merge("bob", "ada").unwrap();
    gallery.rename("ada", "bob").unwrap();
    let error = gallery.undo().unwrap_err().to_string();
    assert!(error.contains("'bob', which identity 1 has now"), "{error}");
    gallery.rename("bob", "ada").unwrap();
    gallery.undo().unwrap();
    assert_eq!(gallery.show("bob").unwrap().0.identity, 2);

    // It was free, and somebody else was enrolled under it.
    gallery.merge("bob", "ada").unwrap();
    gallery.rename("ada", "bob").unwrap();
    gallery.rename("bob", "ada").unwrap();
    gallery.enroll("bob", &hot(DIM, 10), &origin(10)).unwrap();
    assert!(gallery.undo().unwrap_err().to_string().contains("'bob'"));
    gallery.rename("bob", "another").unwrap();
    gallery.undo().unwrap();
    assert_eq!(gallery.list().count(), 6);
}
