//! What becomes of a gallery when its disk fills up, its process dies or its file is damaged, on a disk in memory that can be made to fail after any byte.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use super::*;
use crate::gallery::tests::disk::Disk;
use crate::gallery::tests::{DEVICE, SPACE, hot, origin};
use crate::gallery::{Gallery, GalleryLimits, IdentitySummary, PruneRules, Sample};

pub(in crate::gallery) const DIM: usize = 32;

pub(in crate::gallery) fn open(disk: &Disk) -> Result<Gallery> {
    let stamp = Stamp {
        space: SPACE.into(),
        dim: DIM,
        tag: DEVICE,
    };
    // Everything at once, so that every change writes.
    let limits = GalleryLimits {
        flush_after: Duration::ZERO,
        max_identities: 3,
        ..GalleryLimits::default()
    };
    let storage = Storage::Disk(disk.clone(), Disk::GALLERY);
    Gallery::load(storage, Some(stamp), Access::Create)?.with_limits(limits)
}

/// A gallery of `people`, each with one exemplar, and its disk.
fn gallery(people: usize) -> (Gallery, Disk) {
    let disk = Disk::new(Vec::new());
    let mut gallery = open(&disk).unwrap();
    for person in 0..people {
        let name = format!("someone {person}");
        gallery
            .enroll(&name, &hot(DIM, person), &origin(1))
            .unwrap();
    }
    (gallery, disk)
}

/// Everything that a gallery says about itself, and about everybody who could be in it.
fn all(gallery: &Gallery) -> (Vec<IdentitySummary>, Vec<Option<(u64, f32)>>) {
    let who = |at| gallery.search(&hot(DIM, at)).unwrap();
    let answers = (0..DIM).map(|at| who(at).map(|m| (m.best.identity, m.best.similarity)));
    (gallery.list().collect(), answers.collect())
}

/// A change, its name, and the gallery that it starts from.
type Work = fn(&mut Gallery) -> Result<()>;
const CHANGES: [(&str, Work); 12] = [
    ("enrol", |g| {
        g.enroll("another", &hot(DIM, 20), &origin(2)).map(drop)
    }),
    ("new identity", |g| {
        g.new_identity(&hot(DIM, 20), &origin(2)).map(drop)
    }),
    ("observe, kept", |g| {
        g.observe(2, &hot(DIM, 21), &origin(9)).map(drop)
    }),
    ("observe, not kept", |g| {
        g.observe(2, &hot(DIM, 1), &origin(9)).map(drop)
    }),
    ("forget", |g| g.forget("someone 3").map(drop)),
    ("a frame", |g| {
        let storage = origin(9);
        let sample = |identity, embedding| Sample {
            identity,
            embedding,
            origin: &storage,
        };
        let rows = [hot(DIM, 20), hot(DIM, 21), hot(DIM, 22), hot(DIM, 0)];
        let frame = [
            sample(None, &rows[0]),
            sample(None, &rows[1]),
            sample(Some(9), &rows[2]),
            sample(Some(1), &rows[3]),
        ];
        g.record(&frame, &mut Vec::new())
    }),
    ("expire", |g| g.expire(25 * 3_600_000).map(drop)),
    ("rename", |g| g.rename("9", "eve").map(drop)),
    ("merge", |g| g.merge("9", "7").map(drop)),
    ("split", |g| g.split("7", None, |n, _| n == 1).map(drop)),
    ("undo", |g| g.undo().map(drop)),
    ("prune", |g| {
        let keep = Some(1);
        g.prune(&PruneRules {
            keep,
            ..PruneRules::default()
        })
        .map(drop)
    }),
];

/// A gallery of six whom somebody has named and two whom nobody has (7 and 9); a third one was merged into the first of those. There is room for three.
fn furnished() -> (Gallery, Disk) {
    let (mut gallery, disk) = gallery(6);
    for at in 10..13 {
        gallery.new_identity(&hot(DIM, at), &origin(1)).unwrap();
    }
    gallery.merge("8", "7").unwrap();
    (gallery, disk)
}

/// Bytes that a change writes.
fn written(work: Work) -> usize {
    let (mut gallery, disk) = furnished();
    disk.set_room(usize::MAX / 2);
    work(&mut gallery).unwrap();
    usize::MAX / 2 - disk.room()
}

#[test]
fn a_full_disk_changes_nothing_and_room_mends_it() {
    for (name, work) in CHANGES {
        let total = written(work);
        let mut failures = 0;
        for room in (0..total).step_by(total / 40) {
            let case = format!("{name}, {room} of {total} bytes");
            let (mut gallery, disk) = furnished();
            let before = all(&gallery);
            disk.set_room(room);
            if work(&mut gallery).is_ok() {
                // The room sufficed for all but closing the file that was replaced.
                assert_ne!(all(&open(&disk.copy()).unwrap()), before, "{case}");
                continue;
            }
            failures += 1;
            assert_eq!(all(&gallery), before, "{case}, in memory");
            let error = work(&mut gallery).expect_err("the disk is still full");
            let named = matches!(error, Error::GalleryStorage { .. } | Error::Io { .. });
            assert!(named, "{case}: {error}");
            assert_eq!(all(&gallery), before, "{case}, in memory");

            disk.set_room(usize::MAX);
            gallery.reopen().unwrap();
            if all(&gallery) == before {
                work(&mut gallery).unwrap_or_else(|e| panic!("{case}: {e}"));
            }
            let after = all(&gallery);
            assert_ne!(after, before, "{case}");
            drop(gallery);
            assert_eq!(all(&open(&disk).unwrap()), after, "{case}");
        }
        assert!(failures > 30, "{name}: {failures} failures");
    }
}

#[test]
fn a_kill_at_any_moment_loses_at_most_the_change_in_flight() {
    for (name, work) in CHANGES {
        let total = written(work);
        let (mut finished, _) = furnished();
        let before = all(&finished);
        work(&mut finished).unwrap();
        let after = all(&finished);
        for room in (0..=total).step_by(total / 60) {
            let (mut gallery, disk) = furnished();
            disk.set_room(room);
            // Whether the last bytes before the kill were needed is for the assertion to find out.
            let _ = work(&mut gallery);
            let left = disk.copy();
            let found = all(&open(&left).unwrap_or_else(|e| panic!("{name}, {room} bytes: {e}")));
            assert!(
                found == before || found == after,
                "{name}, {room} of {total} bytes"
            );
        }
    }
}

#[test]
fn a_damaged_file_is_an_error_or_an_earlier_state() {
    let mut states = Vec::new();
    for people in 0..=6 {
        states.push(all(&gallery(people).0));
    }
    let (whole, disk) = gallery(6);
    drop(whole);
    let bytes = disk.bytes(Disk::GALLERY).unwrap();
    let mut outcomes = BTreeMap::<&str, usize>::new();
    let mut check = |what: String, bytes: Vec<u8>| {
        let empty = bytes.is_empty();
        let outcome = match open(&Disk::new(bytes)) {
            Ok(found) => {
                assert!(states.contains(&all(&found)), "{what} made up a gallery");
                assert!(
                    empty || !found.is_empty(),
                    "{what} silently emptied the gallery"
                );
                "opened"
            }
            Err(Error::GalleryDamaged { .. }) => "damaged",
            Err(Error::NotAGallery { .. }) => "no gallery",
            Err(Error::Io { .. }) => "input/output",
            Err(other) => panic!("{what}: {other}"),
        };
        *outcomes.entry(outcome).or_default() += 1;
    };
    let lengths = (0..400).chain((400..bytes.len()).step_by(bytes.len() / 150));
    for length in lengths {
        check(format!("truncated to {length}"), bytes[..length].to_vec());
    }
    // The header and every page that holds something, densely; the empty rest is the same everywhere.
    let used = (0..bytes.len()).filter(|&at| at < 512 || bytes[at] != 0);
    let used: Vec<usize> = used.collect();
    for &at in used
        .iter()
        .take(512)
        .chain(used.iter().skip(512).step_by(7))
    {
        for bit in [0, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            check(format!("bit {bit} of byte {at} flipped"), flipped);
        }
    }
    println!("{outcomes:?} of {} bytes", bytes.len());
    assert!(outcomes["opened"] > 0 && outcomes["damaged"] > 0 && outcomes["no gallery"] > 0);
}

#[test]
fn well_formed_pages_with_wrong_records_are_damage() {
    type Forge = fn(&WriteTransaction);
    let cases: [(&str, Forge, &str); 20] = [
        (
            "format",
            |tx| stamp(tx, "format", "3"),
            "has format 3, this program reads up to 2",
        ),
        (
            "no number",
            |tx| stamp(tx, "format", "x"),
            "'format' of its stamp is 'x'",
        ),
        (
            "dimension",
            |tx| stamp(tx, "dim", "33"),
            "holds embeddings of 33 dimensions, the model makes 32",
        ),
        (
            "reused number",
            |tx| stamp(tx, "next identity", "2"),
            "identity 2 is not below the next number 2",
        ),
        (
            "last number",
            |tx| stamp(tx, "next identity", "18446744073709551615"),
            "'next identity' of its stamp is 18446744073709551615, wanted at most 9007199254740992",
        ),
        (
            "last exemplar",
            |tx| put(tx, IDENTITIES, 1, &record("someone 0", u64::MAX)),
            "the next exemplar of identity 1 is number 18446744073709551615",
        ),
        (
            "reused exemplar",
            |tx| put(tx, IDENTITIES, 1, &record("someone 0", 0)),
            "exemplar 0 of identity 1 is not below the next number 0",
        ),
        (
            "last note",
            |tx| note(tx, u64::MAX, &merged(2, 1, 1, 0)),
            "note 18446744073709551615 of its journal: its number is above",
        ),
        (
            "merged and there",
            |tx| note(tx, 1, &merged(2, 1, 1, 0)),
            "note 1 of its journal: identity 2 was merged and is still there",
        ),
        (
            "exemplar of a note",
            |tx| note(tx, 1, &merged(0, 1, u64::MAX, u64::MAX - 1)),
            "note 1 of its journal: the next exemplar of identity 0 was number 18446744073709551615",
        ),
        (
            "identity of a note",
            |tx| {
                let (from, to, moved) = (1, u64::MAX, Vec::new());
                note(tx, 1, &JournalEntry::Split { from, to, moved });
            },
            "note 1 of its journal: identity 18446744073709551615 is not below the next number 3",
        ),
        (
            "record",
            |tx| put(tx, IDENTITIES, 1, b"{}"),
            "identity 1: missing field `name`",
        ),
        (
            "same name",
            |tx| put(tx, IDENTITIES, 9, &record("someone 0", 1)),
            "two identities are called 'someone 0'",
        ),
        (
            "device",
            |tx| stamp(tx, "device", "7f3a"),
            "'device' of its stamp is '7f3a'",
        ),
        (
            "moment",
            |tx| stamp(tx, "dead pages since", "-1"),
            "'dead pages since' of its stamp is '-1'",
        ),
        (
            "alias",
            |tx| drop(tx.open_table(ALIASES).unwrap().insert("eve", 7).unwrap()),
            "the other name 'eve' of identity 7 leads nowhere",
        ),
        (
            "note",
            |tx| put(tx, JOURNAL, 1, b"{\"change\":\"theft\"}"),
            "note 1: unknown variant `theft`",
        ),
        (
            "short",
            |tx| put(tx, EMBEDDINGS, (1, 0), &[0; 127]),
            "has 127 bytes, wanted 128",
        ),
        (
            "zero",
            |tx| put(tx, EMBEDDINGS, (1, 0), &[0; 128]),
            "has length 0.000000, wanted 1",
        ),
        (
            "orphan",
            |tx| put(tx, EMBEDDINGS, (7, 0), &[0; 128]),
            "belongs to no identity (7)",
        ),
    ];
    for (name, forge, wanted) in cases {
        let (gallery, disk) = gallery(2);
        let tx = gallery.store.as_ref().unwrap().db.begin_write().unwrap();
        forge(&tx);
        tx.commit().unwrap();
        drop(gallery);
        let error = open(&disk).expect_err(name).to_string();
        assert!(error.contains(wanted), "{name}: {error}");
    }

    fn stamp(tx: &WriteTransaction, key: &str, value: &str) {
        tx.open_table(STAMP).unwrap().insert(key, value).unwrap();
    }

    fn put<'k, K: redb::Key>(
        tx: &WriteTransaction,
        table: TableDefinition<'static, K, &'static [u8]>,
        key: impl std::borrow::Borrow<K::SelfType<'k>>,
        value: &[u8],
    ) {
        tx.open_table(table).unwrap().insert(key, value).unwrap();
    }

    fn plain(name: &str, next_exemplar: u64) -> Record {
        Record {
            name: name.into(),
            enrolled: 0,
            last_seen: 0,
            visits: 0,
            next_exemplar,
        }
    }

    fn record(name: &str, next_exemplar: u64) -> Vec<u8> {
        json(&plain(name, next_exemplar))
    }

    fn note(tx: &WriteTransaction, number: u64, entry: &JournalEntry) {
        put(tx, JOURNAL, number, &json(entry));
    }

    /// A merge of an identity that had one exemplar.
    fn merged(from: u64, into: u64, next_exemplar: u64, exemplar: u64) -> JournalEntry {
        JournalEntry::Merge {
            from,
            into,
            lost: plain("gone", next_exemplar),
            before: plain("someone 0", 1),
            aliases: Vec::new(),
            moved: vec![(exemplar, 1)],
        }
    }
}

/// `cargo test --release -p runtime bench_gallery -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn bench_gallery() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.gallery");
    let dim = 512;
    let mut gallery = Gallery::create_or_open(&path, SPACE, dim).unwrap();
    let start = Instant::now();
    for person in 0..200 {
        gallery
            .enroll(&format!("someone {person}"), &hot(dim, person), &origin(1))
            .unwrap();
    }
    println!("durable insert {:.2?}", start.elapsed() / 200);
    let start = Instant::now();
    for frame in 0..10_000u64 {
        let person = frame % 200;
        let storage = origin(2 + frame * 40);
        gallery
            .observe(person + 1, &hot(dim, person as usize), &storage)
            .unwrap();
    }
    println!(
        "observed, 25 a second, without a new exemplar in {:.2?}",
        start.elapsed() / 10_000
    );
    let start = Instant::now();
    for frame in 0..10_000 {
        gallery.expire(500_000 + frame).unwrap();
    }
    println!("nobody to expire {:.2?}", start.elapsed() / 10_000);
    let rows: Vec<Vec<f32>> = (0..8).map(|at| hot(dim, 300 + at)).collect();
    let storage = origin(600_000);
    let frame: Vec<Sample<'_>> = rows
        .iter()
        .map(|row| Sample {
            identity: None,
            embedding: row,
            origin: &storage,
        })
        .collect();
    let mut recorded = Vec::new();
    let start = Instant::now();
    for _ in 0..20 {
        gallery.record(&frame, &mut recorded).unwrap();
    }
    println!("8 newcomers in one frame {:.2?}", start.elapsed() / 20);

    let tx = gallery.store.as_ref().unwrap().db.begin_write().unwrap();
    {
        let mut origins = tx.open_table(ORIGINS).unwrap();
        let mut embeddings = tx.open_table(EMBEDDINGS).unwrap();
        for exemplar in 0..100_000u64 {
            let key = (exemplar / 500 + 1, exemplar % 500 + 1);
            let mut row = hot(dim, (exemplar % 512) as usize);
            row[(exemplar / 512) as usize] += 1.0;
            let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().for_each(|x| *x /= length);
            origins
                .insert(key, json(&origin(exemplar)).as_slice())
                .unwrap();
            embeddings.insert(key, bytes(&row).as_slice()).unwrap();
        }
    }
    tx.commit().unwrap();
    drop(gallery);
    println!("{} MB", fs::metadata(&path).unwrap().len() / 1_000_000);
    let start = Instant::now();
    let storage = Storage::at(&path, Access::Change).unwrap();
    let (store, _) = Store::open(storage, Access::Change, None).unwrap();
    println!("opened and checked in {:.2?}", start.elapsed());
    let start = Instant::now();
    let mut count = 0;
    store
        .read_embeddings(dim, |_, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
    println!("{count} embeddings read in {:.2?}", start.elapsed());
    drop(store);
    let start = Instant::now();
    let mut gallery = Gallery::open(&path, SPACE, dim).unwrap();
    println!(
        "{} exemplars loaded in {:.2?}",
        gallery.exemplars(),
        start.elapsed()
    );
    let start = Instant::now();
    gallery.forget("someone 7").unwrap();
    println!("forgot one of them in {:.2?}", start.elapsed());
    println!("{} MB", fs::metadata(&path).unwrap().len() / 1_000_000);
}
