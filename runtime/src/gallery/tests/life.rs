//! Who goes and when, what a wrong clock does to it, and what waits to be stored.

use super::*;
use crate::gallery::store::tests::{DIM, open};
use crate::gallery::tests::disk::Disk;

const HOUR: u64 = 3_600_000;
/// Some day in 2026.
const NOW: u64 = 1_795_000_000_000;

fn gallery(limits: GalleryLimits) -> Gallery {
    Gallery::in_memory(SPACE, DIM)
        .and_then(|gallery| gallery.with_tag(DEVICE))
        .and_then(|gallery| gallery.with_limits(limits))
        .unwrap()
}

fn numbers(gone: &[IdentitySummary]) -> Vec<u64> {
    gone.iter().map(|summary| summary.identity).collect()
}

fn expire(gallery: &mut Gallery, now: u64) -> Vec<u64> {
    numbers(&gallery.expire(now).unwrap())
}

#[test]
fn whoever_was_not_seen_for_the_retention_goes() {
    let mut gallery = gallery(GalleryLimits::default());
    gallery.enroll("ada", &hot(DIM, 0), &origin(NOW)).unwrap();
    for at in 1..5 {
        let time = NOW + at as u64 * HOUR;
        gallery.new_identity(&hot(DIM, at), &origin(time)).unwrap();
    }
    // 2 comes again, once as an exemplar and once not.
    gallery
        .observe(2, &hot(DIM, 9), &origin(NOW + 6 * HOUR))
        .unwrap();
    gallery
        .observe(2, &hot(DIM, 1), &origin(NOW + 7 * HOUR))
        .unwrap();
    let steps: [(u64, &[u64]); 7] = [
        (24, &[]),
        (25, &[]),
        (26, &[3]),
        (27, &[4]),
        (28, &[5]),
        (31, &[2]),
        (1000, &[]),
    ];
    for (hours, wanted) in steps {
        let before = NOW + hours * HOUR - 1;
        assert_eq!(expire(&mut gallery, before), [0; 0], "before {hours} hours");
        assert_eq!(expire(&mut gallery, before + 1), wanted, "{hours} hours");
    }
    let left: Vec<String> = gallery.list().map(|summary| summary.name).collect();
    assert_eq!(left, ["ada"]);
    assert_eq!(gallery.exemplars(), 1);
}

#[test]
fn without_retention_nobody_goes() {
    let mut gallery = gallery(GalleryLimits {
        retention: None,
        ..GalleryLimits::default()
    });
    gallery.new_identity(&hot(DIM, 1), &origin(0)).unwrap();
    assert_eq!(expire(&mut gallery, u64::MAX), [0; 0]);
    assert_eq!(gallery.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_expires_nobody_and_keeps_nobody_for_ever() {
    let disk = Disk::new(Vec::new());
    let mut gallery = open(&disk).unwrap();
    gallery.new_identity(&hot(DIM, 1), &origin(NOW)).unwrap();
    let wrong = NOW + 20 * 365 * 24 * HOUR;
    gallery.new_identity(&hot(DIM, 2), &origin(wrong)).unwrap();
    gallery.new_identity(&hot(DIM, 3), &origin(wrong)).unwrap();
    // The clock is right again: 2 and 3 were seen in twenty years.
    assert_eq!(expire(&mut gallery, NOW + HOUR), [0; 0]);
    gallery
        .observe(3, &hot(DIM, 3), &origin(NOW + 20 * HOUR))
        .unwrap();
    // That it was found out is remembered.
    drop(gallery);
    let mut gallery = open(&disk).unwrap();
    assert_eq!(expire(&mut gallery, NOW + 24 * HOUR), [1]);
    assert_eq!(expire(&mut gallery, NOW + 25 * HOUR - 1), [0; 0]);
    assert_eq!(expire(&mut gallery, NOW + 25 * HOUR), [2]);
    assert_eq!(expire(&mut gallery, NOW + 44 * HOUR - 1), [0; 0]);
    assert_eq!(expire(&mut gallery, NOW + 44 * HOUR), [3]);
}

#[test]
fn a_device_that_starts_in_1970_does_not_lose_those_it_knew() {
    let disk = Disk::new(Vec::new());
    let mut gallery = open(&disk).unwrap();
    gallery.new_identity(&hot(DIM, 1), &origin(NOW)).unwrap();
    for now in [5_000, 5_040, HOUR, 23 * HOUR] {
        assert_eq!(expire(&mut gallery, now), [0; 0], "{now}");
    }
    drop(gallery);
    // The network has told the time: what the wrong clock noted means nothing any more.
    let mut gallery = open(&disk).unwrap();
    assert_eq!(expire(&mut gallery, NOW + HOUR), [0; 0]);
    assert_eq!(gallery.state.set_back, None);
    assert_eq!(expire(&mut gallery, NOW + 24 * HOUR), [1]);
    // Without the network they go one day after the start.
    gallery.new_identity(&hot(DIM, 1), &origin(NOW)).unwrap();
    assert_eq!(expire(&mut gallery, 5_000), [0; 0]);
    assert_eq!(expire(&mut gallery, 5_000 + 24 * HOUR), [2]);
}

#[test]
fn small_steps_of_the_clock_change_nothing() {
    let mut gallery = gallery(GalleryLimits::default());
    gallery.new_identity(&hot(DIM, 1), &origin(NOW)).unwrap();
    assert_eq!(expire(&mut gallery, NOW - 59_000), [0; 0]);
    assert_eq!(gallery.state.set_back, None);
    gallery
        .observe(1, &hot(DIM, 1), &origin(NOW - 59_000))
        .unwrap();
    assert_eq!(gallery.list().next().unwrap().last_seen, NOW);
}

#[test]
fn whoever_was_seen_longest_ago_makes_room() {
    let mut gallery = gallery(GalleryLimits {
        max_identities: 3,
        ..GalleryLimits::default()
    });
    // Named people do not count, and do not go.
    gallery.enroll("ada", &hot(DIM, 0), &origin(0)).unwrap();
    for at in 1..4 {
        let time = NOW + at as u64;
        gallery.new_identity(&hot(DIM, at), &origin(time)).unwrap();
    }
    gallery.observe(2, &hot(DIM, 1), &origin(NOW + 10)).unwrap();
    gallery
        .new_identity(&hot(DIM, 4), &origin(NOW + 11))
        .unwrap();
    let left = |gallery: &Gallery| gallery.list().map(|s| s.identity).collect::<Vec<_>>();
    assert_eq!(left(&gallery), [1, 2, 4, 5]);
    // Whoever is in the same frame stays, although 4 is the oldest.
    let place = origin(NOW + 12);
    let rows = [hot(DIM, 3), hot(DIM, 5), hot(DIM, 6)];
    let frame = [(Some(4), &rows[0]), (None, &rows[1]), (None, &rows[2])];
    let frame = frame.map(|(identity, embedding)| Sample {
        identity,
        embedding,
        origin: &place,
    });
    let mut recorded = Vec::new();
    gallery.record(&frame, &mut recorded).unwrap();
    assert_eq!(left(&gallery), [1, 4, 6, 7]);
    let enrolled: Vec<(u64, bool)> = recorded.iter().map(|r| (r.identity, r.enrolled)).collect();
    assert_eq!(enrolled, [(4, false), (6, true), (7, true)]);
    assert_eq!(gallery.name(7), Some("person-7f3a91c2-000007"));
    assert_eq!(gallery.next_name(), "person-7f3a91c2-000008");
    assert_eq!(expire(&mut gallery, NOW + 13), [3, 2, 5]);
    assert_eq!(expire(&mut gallery, NOW + 13), [0; 0]);
    assert_eq!(gallery.name(5), None);
}

#[test]
fn a_person_who_is_sighted_twice_in_a_frame_is_seen_twice() {
    let mut gallery = gallery(GalleryLimits::default());
    gallery.new_identity(&hot(DIM, 1), &origin(NOW)).unwrap();
    let places = [origin(NOW + 1), origin(NOW + 2)];
    let rows = [hot(DIM, 2), hot(DIM, 3)];
    let frame = [0, 1].map(|at| Sample {
        identity: Some(1),
        embedding: &rows[at],
        origin: &places[at],
    });
    let mut recorded = Vec::new();
    gallery.record(&frame, &mut recorded).unwrap();
    assert!(recorded.iter().all(|r| r.observed.kept), "{recorded:?}");
    assert_eq!(gallery.exemplars(), 3);
}

#[test]
fn a_frame_with_a_mistake_changes_nothing() {
    let mut gallery = gallery(GalleryLimits::default());
    gallery.new_identity(&hot(DIM, 1), &origin(NOW)).unwrap();
    let (place, good, bad) = (origin(NOW), hot(DIM, 2), vec![0.0; DIM]);
    let enrolled = Sample {
        identity: None,
        embedding: &good,
        origin: &place,
    };
    let wrong = [
        Sample {
            embedding: &bad,
            ..enrolled
        },
        Sample {
            identity: Some(9),
            ..enrolled
        },
    ];
    for wrong in wrong {
        let mut recorded = Vec::new();
        gallery
            .record(&[enrolled, wrong], &mut recorded)
            .unwrap_err();
        assert_eq!((gallery.len(), recorded.len()), (1, 0));
    }
}

#[test]
fn times_wait_a_second_and_everything_else_does_not() {
    let disk = Disk::new(Vec::new());
    let limits = GalleryLimits {
        flush_after: std::time::Duration::from_secs(1),
        ..GalleryLimits::default()
    };
    let mut gallery = open(&disk).unwrap().with_limits(limits).unwrap();
    for at in 1..4 {
        gallery.new_identity(&hot(DIM, at), &origin(NOW)).unwrap();
    }
    let on_disk = |disk: &Disk| -> Vec<u64> {
        let found = open(&disk.copy()).unwrap();
        found
            .list()
            .map(|summary| summary.last_seen - NOW)
            .collect()
    };
    let see = |gallery: &mut Gallery, identity: u64, after: u64| {
        let row = hot(DIM, identity as usize);
        let observed = gallery.observe(identity, &row, &origin(NOW + after));
        assert!(!observed.unwrap().kept);
    };
    see(&mut gallery, 1, 100);
    see(&mut gallery, 2, 1_099);
    assert_eq!(on_disk(&disk), [0, 0, 0]);
    assert_eq!(gallery.list().next().unwrap().last_seen, NOW + 100);
    // A second after the first of them, with the next observation.
    see(&mut gallery, 3, 1_100);
    assert_eq!(on_disk(&disk), [100, 1_099, 1_100]);
    // With the next frame, if nobody is in it.
    see(&mut gallery, 1, 2_000);
    gallery.expire(NOW + 2_999).unwrap();
    assert_eq!(on_disk(&disk)[0], 100);
    gallery.expire(NOW + 3_000).unwrap();
    assert_eq!(on_disk(&disk)[0], 2_000);
    // With the next durable change.
    see(&mut gallery, 2, 3_100);
    gallery
        .new_identity(&hot(DIM, 5), &origin(NOW + 3_200))
        .unwrap();
    assert_eq!(on_disk(&disk), [2_000, 3_100, 1_100, 3_200]);
    // When the clock has gone back.
    see(&mut gallery, 3, 4_000);
    gallery.expire(NOW + 3_000).unwrap();
    assert_eq!(on_disk(&disk)[2], 4_000);
    // When the gallery is closed.
    see(&mut gallery, 3, 5_000);
    drop(gallery);
    assert_eq!(on_disk(&disk)[2], 5_000);
}

#[test]
fn times_that_waited_survive_a_full_disk() {
    let disk = Disk::new(Vec::new());
    let mut gallery = open(&disk).unwrap();
    gallery = gallery.with_limits(GalleryLimits::default()).unwrap();
    gallery.new_identity(&hot(DIM, 1), &origin(NOW)).unwrap();
    gallery
        .observe(1, &hot(DIM, 1), &origin(NOW + 500))
        .unwrap();
    disk.set_room(0);
    let error = gallery.expire(NOW + 2_000).unwrap_err();
    assert!(matches!(error, Error::GalleryStorage { .. }), "{error}");
    disk.set_room(usize::MAX);
    gallery.expire(NOW + 2_001).unwrap();
    drop(gallery);
    let found = open(&disk).unwrap();
    assert_eq!(found.list().next().unwrap().last_seen, NOW + 500);
}

#[test]
fn an_hour_after_somebody_went_no_byte_of_them_is_left() {
    fn holds(path: &Path, row: &[f32]) -> bool {
        let bytes: Vec<u8> = row[..8].iter().flat_map(|x| x.to_le_bytes()).collect();
        let file = fs::read(path).unwrap();
        file.windows(bytes.len()).any(|window| window == bytes)
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.gallery");
    let mut gallery = Gallery::create_or_open(&path, SPACE, 64).unwrap();
    gallery.new_identity(&face(64, 1), &origin(NOW)).unwrap();
    let later = NOW + 24 * HOUR;
    gallery
        .new_identity(&face(64, 2), &origin(NOW + HOUR / 2))
        .unwrap();
    assert_eq!(expire(&mut gallery, later), [1]);
    // The reason for all this.
    assert!(holds(&path, &face(64, 1)));
    // The next hour begins with the first who went, even if the program starts anew.
    drop(gallery);
    let mut gallery = Gallery::open(&path, SPACE, 64).unwrap();
    assert_eq!(expire(&mut gallery, later + HOUR - 1), [2]);
    assert_eq!(expire(&mut gallery, later + HOUR), [0; 0]);
    assert!(!holds(&path, &face(64, 1)) && !holds(&path, &face(64, 2)));
    // Nothing is left to do, so nothing is done.
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(expire(&mut gallery, later + 3 * HOUR), [0; 0]);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
}

#[test]
fn crops_of_what_has_gone_are_named_once() {
    let mut gallery = gallery(GalleryLimits {
        max_exemplars: 2,
        max_identities: 2,
        ..GalleryLimits::default()
    });
    let crop = |n: u64| Origin {
        crop: Some(format!("{n}.jpg")),
        ..origin(NOW + n)
    };
    gallery.new_identity(&hot(DIM, 1), &crop(1)).unwrap();
    gallery.observe(1, &hot(DIM, 2), &crop(2)).unwrap();
    gallery.observe(1, &hot(DIM, 2), &crop(3)).unwrap();
    assert_eq!(gallery.take_pending_deletions(), [""; 0]);
    gallery.observe(1, &hot(DIM, 4), &crop(4)).unwrap();
    assert_eq!(gallery.take_pending_deletions(), ["1.jpg"], "replaced");
    gallery.new_identity(&hot(DIM, 5), &crop(5)).unwrap();
    gallery.new_identity(&hot(DIM, 6), &crop(6)).unwrap();
    assert_eq!(
        gallery.take_pending_deletions(),
        ["2.jpg", "4.jpg"],
        "evicted"
    );
    gallery.forget("3").unwrap();
    assert_eq!(gallery.take_pending_deletions(), ["6.jpg"], "forgotten");
    expire(&mut gallery, NOW + 25 * HOUR);
    assert_eq!(gallery.len(), 0);
    assert_eq!(gallery.take_pending_deletions(), ["5.jpg"], "expired");
    assert_eq!(gallery.take_pending_deletions(), [""; 0]);
}

#[test]
fn pruning_takes_those_whom_nobody_has_named() {
    // Number: last seen, visits. 1 has a name.
    let people = [
        (1, 0, 1),
        (2, 100, 5),
        (3, 200, 1),
        (4, 300, 2),
        (5, 400, 9),
    ];
    let cases: [(&str, PruneRules, &[u64]); 6] = [
        ("nothing", PruneRules::default(), &[]),
        (
            "older",
            PruneRules {
                seen_before: Some(300),
                ..PruneRules::default()
            },
            &[2, 3],
        ),
        (
            "keep",
            PruneRules {
                keep: Some(1),
                ..PruneRules::default()
            },
            &[2, 3, 4],
        ),
        (
            "keep more than there are",
            PruneRules {
                keep: Some(9),
                ..PruneRules::default()
            },
            &[],
        ),
        (
            "rare",
            PruneRules {
                min_visits: Some(3),
                ..PruneRules::default()
            },
            &[3, 4],
        ),
        (
            "any of them",
            PruneRules {
                seen_before: Some(150),
                min_visits: Some(2),
                keep: Some(4),
            },
            &[2, 3],
        ),
    ];
    for (name, prune, wanted) in cases {
        let mut gallery = gallery(GalleryLimits::default());
        gallery.enroll("ada", &hot(DIM, 1), &origin(0)).unwrap();
        for (number, last_seen, visits) in people.into_iter().skip(1) {
            let row = hot(DIM, number);
            for visit in (0..visits).rev() {
                let place = origin(last_seen - visit);
                if visit == visits - 1 {
                    gallery.new_identity(&row, &place).unwrap();
                } else {
                    gallery.begin_visit(number as u64, place.time).unwrap();
                    gallery.observe(number as u64, &row, &place).unwrap();
                }
            }
        }
        assert_eq!(numbers(&gallery.prunable(&prune)), wanted, "{name}");
        assert_eq!(gallery.len(), 5);
        assert_eq!(numbers(&gallery.prune(&prune).unwrap()), wanted, "{name}");
        assert_eq!(gallery.len(), 5 - wanted.len(), "{name}");
    }
}
