//! Whom a name leads to: its Unicode forms, numbers, look-alikes, and names that an older version has stored.

use super::*;

/// Four people, called as an older version would have stored them: `e` and a combining mark, the number of the first, blanks at both ends, and the sign of a number.
fn older() -> Gallery {
    let mut gallery = planar();
    for (at, name) in ["Zoe\u{308}", "1", " Ada ", "#2"].into_iter().enumerate() {
        let embedding = hot(4, at);
        let origin = origin(at as u64);
        let identity = gallery.state.next_identity;
        let record = Record::new(name.to_owned(), origin.time);
        let steps = samples::enrolment(identity, record, &embedding, &origin);
        gallery.commit(steps).unwrap();
    }
    gallery
}

fn found(gallery: &mut Gallery, who: &str) -> u64 {
    gallery.show(who).unwrap().0.identity
}

#[test]
fn a_name_is_one_name_in_every_unicode_form() {
    let (composed, decomposed) = ("Zo\u{eb}", "Zoe\u{308}");
    let mut gallery = planar();
    let first = gallery.enroll(decomposed, &at(0.0), &origin(1)).unwrap();
    assert_eq!(gallery.name(first), Some(composed));
    let again = gallery.enroll(composed, &at(20.0), &origin(2)).unwrap();
    assert_eq!((again, gallery.len(), gallery.exemplars()), (first, 1, 2));
    assert_eq!(found(&mut gallery, decomposed), first);

    // Stored by an older version, and not changed by being found.
    let mut gallery = older();
    for form in [decomposed, composed] {
        assert_eq!(found(&mut gallery, form), 1);
        assert_eq!(gallery.enroll(form, &at(0.0), &origin(9)).unwrap(), 1);
    }
    assert_eq!(gallery.name(1), Some(decomposed));
    let error = gallery.split("1", Some(composed), |at, _| at == 0);
    assert!(error.is_err());
}

#[test]
fn two_identities_in_two_forms_of_one_name_are_told_apart_by_number() {
    let (composed, decomposed) = ("\u{1ed9}", "o\u{323}\u{302}");
    let mut gallery = planar();
    for (at, name) in [composed, decomposed].into_iter().enumerate() {
        let embedding = hot(4, at);
        let origin = origin(1);
        let record = Record::new(name.to_owned(), 1);
        let steps = samples::enrolment(at as u64 + 1, record, &embedding, &origin);
        gallery.commit(steps).unwrap();
    }
    assert_eq!(found(&mut gallery, composed), 1);
    assert_eq!(found(&mut gallery, decomposed), 2);
    let other_form = "o\u{302}\u{323}";
    let error = gallery.show(other_form).unwrap_err().to_string();
    assert!(error.contains("write '#1' or '#2'"), "{error}");
    assert_eq!(found(&mut gallery, "#2"), 2);
}

#[test]
fn a_name_that_is_a_number_is_never_taken_for_another_person() {
    let mut gallery = older();
    // It names identity 2, and is the number of identity 1.
    let error = gallery.forget("1").unwrap_err().to_string();
    let wanted = "'1' is the name of identity 2 and the number of 'Zoe\u{308}': write '#2' or '#1'";
    assert_eq!(error, wanted);
    assert_eq!(gallery.len(), 4);
    for (who, identity) in [("#1", 1), ("#2", 2), ("2", 2), (" Ada ", 3), ("4", 4)] {
        assert_eq!(found(&mut gallery, who), identity, "{who}");
    }
    // More pictures of whoever has such a name, and another name for them.
    assert_eq!(gallery.enroll("1", &at(90.0), &origin(9)).unwrap(), 2);
    let bob = gallery.enroll("Bob", &hot(4, 1), &origin(9)).unwrap();
    gallery.merge("#2", "Bob").unwrap();
    assert_eq!(found(&mut gallery, "Bob"), bob);
    gallery.forget("#1").unwrap();
    // Its number has gone, and the name leads to Bob.
    assert_eq!(found(&mut gallery, "1"), bob);
}

#[test]
fn a_name_that_looks_like_a_known_one_is_noticed() {
    let mut gallery = planar();
    gallery.enroll("Ada", &at(0.0), &origin(1)).unwrap();
    gallery.enroll("Bob", &at(50.0), &origin(1)).unwrap();
    let eve = gallery.enroll("Eve", &at(90.0), &origin(1)).unwrap();
    gallery.merge("Bob", "Eve").unwrap();
    for (name, wanted) in [
        ("Ada", &[] as &[&str]),
        ("ada", &["Ada"]),
        ("\u{410}da", &["Ada"]),
        ("B\u{3bf}b", &["Bob"]),
        ("Eva", &[]),
    ] {
        assert_eq!(gallery.look_alikes(name, None).unwrap(), wanted, "{name}");
    }
    // Both are allowed, and stay two people.
    let other = gallery.enroll("\u{410}da", &at(130.0), &origin(1)).unwrap();
    assert_eq!((other, gallery.len()), (eve + 1, 3));
}

#[test]
fn an_embedding_resembles_its_person_and_the_nearest_other() {
    let mut gallery = planar();
    let seen = |gallery: &Gallery, name: &str, degrees: f32| {
        let found = gallery.resemblance(name, &at(degrees)).unwrap();
        let degrees = |found: Candidate<'_>| {
            let degrees = found.similarity.clamp(-1.0, 1.0).acos().to_degrees();
            (found.name.to_owned(), degrees.round() as u32)
        };
        (found.own.map(degrees), found.other.map(degrees))
    };
    assert_eq!(seen(&gallery, "Ada", 0.0), (None, None));
    gallery.enroll("Ada", &at(0.0), &origin(1)).unwrap();
    gallery.enroll("Ada", &at(5.0), &origin(1)).unwrap();
    gallery.enroll("Bob", &at(90.0), &origin(1)).unwrap();
    let (ada, bob) = (|d| Some(("Ada".into(), d)), |d| Some(("Bob".into(), d)));
    assert_eq!(seen(&gallery, "Ada", 10.0), (ada(5), bob(80)));
    assert_eq!(seen(&gallery, "Ada", 80.0), (ada(75), bob(10)));
    assert_eq!(seen(&gallery, "Bob", 90.0), (bob(0), ada(85)));
    assert_eq!(seen(&gallery, "Eve", 20.0), (None, ada(15)));
}
