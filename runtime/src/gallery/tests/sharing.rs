//! A gallery that is kept open is lent to others between two frames, and follows what they change.

use std::thread;
use std::time::{Duration, Instant};

use super::*;

const DIM: usize = 8;

/// A folder with a gallery of `ada` (1), `bob` (2), and an unknown person (3), that a run keeps open.
fn kept_open() -> (tempfile::TempDir, PathBuf, Gallery) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop");
    let mut gallery = Gallery::create_or_open_shared(&path, SPACE, DIM).unwrap();
    gallery.enroll("ada", &hot(DIM, 1), &with_crop(1)).unwrap();
    gallery.enroll("bob", &hot(DIM, 2), &with_crop(2)).unwrap();
    gallery.new_identity(&hot(DIM, 3), &with_crop(3)).unwrap();
    (folder, path, gallery)
}

fn with_crop(at: u64) -> Origin {
    Origin {
        crop: Some(format!("{at}.jpg")),
        ..origin(1)
    }
}

/// Goes from frame to frame while `other` is at work, and returns what it returned and who left meanwhile.
fn beside<T: Send>(
    gallery: &mut Gallery,
    other: impl FnOnce() -> T + Send,
) -> (T, Vec<IdentitySummary>) {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        let mut departed = Vec::new();
        while !other.is_finished() {
            departed.extend(gallery.expire(2).unwrap());
        }
        (other.join().unwrap(), departed)
    })
}

#[test]
fn what_others_change_is_so_in_the_next_frame() {
    let (_folder, path, mut gallery) = kept_open();
    let name = gallery.name(3).unwrap().to_owned();
    let best = |gallery: &Gallery, at| {
        let found = gallery.search(&hot(DIM, at)).unwrap().unwrap().best;
        (found.name.to_owned(), found.similarity)
    };

    let (_, departed) = beside(&mut gallery, || {
        Gallery::inspect(&path).unwrap().rename("3", "eve").unwrap()
    });
    assert_eq!(departed, []);
    assert_eq!(best(&gallery, 3), ("eve".into(), 1.0));

    // Two after another, without a frame in between for the run.
    let (merged, departed) = beside(&mut gallery, || {
        Gallery::inspect(&path)
            .unwrap()
            .merge("bob", "ada")
            .unwrap();
        Gallery::inspect(&path)
            .unwrap()
            .merge("ada", "eve")
            .unwrap()
    });
    let mut gone: Vec<u64> = departed.iter().map(|gone| gone.identity).collect();
    gone.sort_unstable();
    assert_eq!(gone, [1, 2]);
    assert_eq!(merged.identity, 3);
    assert!(
        departed
            .iter()
            .all(|gone| gallery.merged_into(gone) == Some(3))
    );
    assert_eq!(best(&gallery, 2), ("eve".into(), 1.0));
    assert_eq!(gallery.take_pending_deletions(), [""; 0], "exemplars moved");

    let (_, departed) = beside(&mut gallery, || {
        Gallery::inspect(&path).unwrap().undo().unwrap();
        Gallery::inspect(&path).unwrap().forget(&name).unwrap()
    });
    assert_eq!(departed.len(), 1);
    assert_eq!(gallery.merged_into(&departed[0]), None);
    assert_eq!(best(&gallery, 3).1, 0.0, "forgotten");
    assert_eq!(gallery.take_pending_deletions(), ["3.jpg"]);

    let (_, departed) = beside(&mut gallery, || {
        let mut enrolled = Gallery::open(&path, SPACE, DIM).unwrap();
        enrolled.enroll("zoe", &hot(DIM, 5), &origin(1)).unwrap()
    });
    assert_eq!(departed, []);
    assert_eq!(best(&gallery, 5), ("zoe".into(), 1.0));
    // The run goes on, and does not give a number twice.
    assert_eq!(gallery.new_identity(&hot(DIM, 6), &origin(2)).unwrap().0, 5);
}

#[test]
fn times_that_wait_are_stored_before_the_file_is_lent() {
    let (_folder, path, mut gallery) = kept_open();
    gallery.observe(1, &hot(DIM, 1), &origin(700)).unwrap();
    let (last_seen, _) = beside(&mut gallery, || {
        let mut view = GalleryView::inspect(&path).unwrap();
        view.show("ada").unwrap().0.last_seen
    });
    assert_eq!(last_seen, 700);
    assert_eq!(gallery.show("ada").unwrap().0.last_seen, 700);
}

#[test]
fn many_commands_at_once_all_get_their_share() {
    let (_folder, path, mut gallery) = kept_open();
    let enroll = |worker: usize| {
        let name = format!("worker {worker}");
        for round in 0..5 {
            let mut gallery = Gallery::inspect(&path).unwrap();
            gallery
                .enroll(&name, &hot(DIM, worker), &origin(round))
                .unwrap();
            drop(gallery);
            assert!(GalleryView::inspect(&path).unwrap().len() > 3);
        }
    };
    beside(&mut gallery, || {
        thread::scope(|scope| {
            for worker in 0..4 {
                scope.spawn(move || enroll(worker));
            }
        });
    });
    gallery.expire(2).unwrap();
    assert_eq!((gallery.len(), gallery.exemplars()), (7, 3 + 20));
}

#[test]
fn a_second_run_and_what_replaces_the_file_are_refused_at_once() {
    let (folder, path, mut gallery) = kept_open();
    let copy = folder.path().join("copy");
    gallery.backup(&copy, false).unwrap();
    let start = Instant::now();
    for refused in [
        Gallery::create_or_open_shared(&path, SPACE, DIM).map(drop),
        Gallery::inspect_alone(&path).map(drop),
        Gallery::restore(&path, &copy, false).map(drop),
    ] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::GalleryInUse { .. }), "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    let lock = folder.path().join("shop.lock");
    assert!(lock.exists());
    drop(gallery);
    assert!(!lock.exists());
    // What a killed run leaves.
    fs::write(&lock, "").unwrap();
    assert_eq!(Gallery::inspect(&path).unwrap().len(), 3);
    Gallery::restore(&path, &copy, false).unwrap();
    let gallery = Gallery::create_or_open_shared(&path, SPACE, DIM).unwrap();
    assert_eq!(gallery.len(), 3);
}

#[test]
fn a_file_that_is_another_gallery_now_ends_the_run() {
    let (folder, path, mut gallery) = kept_open();
    let other = folder.path().join("other");
    drop(Gallery::create_or_open(&other, "another space", DIM).unwrap());
    let error = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let held = Gallery::inspect(&path).unwrap();
            fs::rename(&other, &path).unwrap();
            drop(held);
        });
        loop {
            if let Err(error) = gallery.expire(2) {
                other.join().unwrap();
                break error;
            }
        }
    });
    assert!(matches!(error, Error::GallerySpace { .. }), "{error}");
}

#[test]
fn a_closed_view_locks_out_no_change() {
    let (_folder, path, gallery) = kept_open();
    drop(gallery);
    let view = GalleryView::open(&path, SPACE, DIM).unwrap().closed();
    Gallery::inspect(&path).unwrap().forget("ada").unwrap();
    assert_eq!(view.len(), 3);
    drop(view);
    assert_eq!(GalleryView::inspect(&path).unwrap().len(), 2);
}

/// `cargo test --release -p runtime bench_lending -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn bench_lending() {
    for people in [10, 1_000, 10_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop");
        let dim = 512;
        let mut gallery = Gallery::create_or_open_shared(&path, SPACE, dim).unwrap();
        let limits = GalleryLimits {
            max_identities: people,
            ..GalleryLimits::default()
        };
        gallery = gallery.with_limits(limits).unwrap();
        let rows: Vec<Vec<f32>> = (0..people as u64).map(|at| face(dim, at)).collect();
        let place = with_crop(1);
        let frame: Vec<Sample<'_>> = rows
            .iter()
            .map(|embedding| Sample {
                identity: None,
                embedding,
                origin: &place,
            })
            .collect();
        gallery.record(&frame, &mut Vec::new()).unwrap();
        let start = Instant::now();
        for _ in 0..100_000 {
            gallery.expire(2).unwrap();
        }
        println!(
            "{people} people: a frame that nobody asks in: {:.2?}",
            start.elapsed() / 100_000
        );
        let mut longest = Duration::ZERO;
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                let start = Instant::now();
                for _ in 0..10 {
                    GalleryView::inspect(&path).unwrap();
                }
                start.elapsed() / 10
            });
            while !other.is_finished() {
                let start = Instant::now();
                gallery.expire(2).unwrap();
                longest = longest.max(start.elapsed());
            }
            println!(
                "a command took {:.2?}, the longest frame {longest:.2?}",
                other.join().unwrap()
            );
        });
    }
}
