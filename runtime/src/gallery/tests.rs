//! How a gallery answers, grows, forgets and refuses.

mod copies;
mod day;
pub(super) mod disk;
mod kill;
mod life;
mod lookup;
mod model;
mod power;
mod revision;
mod sharing;

use std::fs;
use std::path::Path;

use retrieval::scan::similarity;

use super::*;

pub(super) const SPACE: &str = "osnet_x0_25/market/v1";

/// A tag, so that generated names are known: `person-7f3a91c2-000001`.
pub(super) const DEVICE: GalleryTag = GalleryTag(0x7f3a_91c2_5d0e_4b86);

/// What only tests need.
impl Gallery {
    /// Opens a gallery that is there, of this space and dimension.
    pub fn open(path: impl Into<PathBuf>, space: &str, dim: usize) -> Result<Self> {
        let wanted = Stamp::checked(space, dim)?;
        Self::load_file(&path.into(), Some(wanted), Access::Change)
    }

    /// The same gallery with another tag, so that the names that it generates are known.
    pub fn with_tag(mut self, tag: GalleryTag) -> Result<Self> {
        self.reopen()?;
        let stamp = Stamp {
            tag,
            ..self.state.stamp.clone()
        };
        let stored = self.store_mut()?.restamp(&stamp);
        self.note_failure(stored)?;
        self.state.stamp = stamp;
        Ok(self)
    }

    /// Enrols an unknown person, and returns the number and the generated name.
    pub fn new_identity(&mut self, embedding: &[f32], origin: &Origin) -> Result<(u64, &str)> {
        let Recorded { identity, .. } = self.record_one(&Sample {
            identity: None,
            embedding,
            origin,
        })?;
        Ok((identity, &self.state.people[&identity].record.name))
    }

    fn record_one(&mut self, sample: &Sample<'_>) -> Result<Recorded> {
        let mut recorded = Vec::with_capacity(1);
        self.record(std::slice::from_ref(sample), &mut recorded)?;
        Ok(recorded[0])
    }

    /// Records one sample of an identity.
    pub fn observe(
        &mut self,
        identity: u64,
        embedding: &[f32],
        origin: &Origin,
    ) -> Result<Observed> {
        let recorded = self.record_one(&Sample {
            identity: Some(identity),
            embedding,
            origin,
        })?;
        Ok(recorded.observed)
    }
}

/// A unit vector with one element, so that two of them have nothing in common.
pub(super) fn hot(dim: usize, at: usize) -> Vec<f32> {
    let mut row = vec![0.0; dim];
    row[at] = 1.0;
    row
}

pub(super) fn origin(time: u64) -> Origin {
    Origin {
        source: "door".into(),
        frame: Some(7),
        time,
        crop: None,
    }
}

/// A unit vector in the plane of the first two of four dimensions, `degrees` from the first.
fn at(degrees: f32) -> Vec<f32> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    vec![cos, sin, 0.0, 0.0]
}

fn planar() -> Gallery {
    Gallery::in_memory(SPACE, 4)
        .unwrap()
        .with_tag(DEVICE)
        .unwrap()
}

fn limits(max_exemplars: usize, novelty: f32) -> GalleryLimits {
    GalleryLimits {
        max_exemplars,
        novelty,
        ..GalleryLimits::default()
    }
}

fn names<const K: usize>(gallery: &Gallery, embedding: &[f32]) -> Vec<String> {
    let top = gallery.top::<K>(embedding).unwrap();
    top.iter().map(|c| c.name.to_owned()).collect()
}

#[test]
fn the_best_exemplar_speaks_for_an_identity() {
    let mut gallery = planar().with_limits(limits(100, 1.0)).unwrap();
    assert_eq!(gallery.search(&at(0.0)).unwrap(), None);
    let ada = gallery.enroll("ada", &at(80.0), &origin(1)).unwrap();
    let alone = gallery.search(&at(0.0)).unwrap().unwrap();
    assert_eq!((alone.best.identity, alone.runner_up), (ada, None));
    gallery.enroll("bob", &at(40.0), &origin(1)).unwrap();
    // More rows of one identity than any scan asks for.
    for degrees in 0..50 {
        let row = at(degrees as f32 / 10.0);
        assert_eq!(gallery.enroll("ada", &row, &origin(2)).unwrap(), ada);
    }
    gallery.enroll("eve", &at(60.0), &origin(1)).unwrap();
    let found = gallery.search(&at(-1.0)).unwrap().unwrap();
    assert_eq!((found.best.identity, found.best.name), (ada, "ada"));
    assert_eq!(found.best.similarity, similarity(&at(-1.0), &at(0.0)));
    let runner_up = found.runner_up.unwrap();
    assert_eq!(runner_up.name, "bob");
    assert_eq!(runner_up.similarity, similarity(&at(-1.0), &at(40.0)));
    assert_eq!(names::<1>(&gallery, &at(61.0)), ["eve"]);
    assert_eq!(names::<5>(&gallery, &at(61.0)), ["eve", "ada", "bob"]);
    assert_eq!(
        gallery.list().map(|s| s.exemplars).collect::<Vec<_>>(),
        [51, 1, 1]
    );
}

#[test]
fn ties_go_to_the_lower_number_whatever_was_removed_before() {
    let mut gallery = planar();
    for name in ["a", "b", "c"] {
        gallery.enroll(name, &at(10.0), &origin(1)).unwrap();
    }
    gallery.forget("a").unwrap();
    assert_eq!(names::<3>(&gallery, &at(0.0)), ["b", "c"]);
    assert_eq!(names::<1>(&gallery, &at(0.0)), ["b"]);
}

#[test]
fn a_visit_that_was_a_mistake_is_taken_back() {
    let mut gallery = planar();
    let (id, _) = gallery.new_identity(&at(0.0), &origin(1_000)).unwrap();
    let before = gallery.visited(id).unwrap();
    assert_eq!((before.visits, before.last_seen), (1, 1_000));
    gallery.begin_visit(id, 9_000).unwrap();
    gallery.observe(id, &at(1.0), &origin(9_000)).unwrap();
    assert_eq!(gallery.visited(id).unwrap().visits, 2);
    gallery
        .take_back_visit(id, true, before.last_seen, 9_500)
        .unwrap();
    assert_eq!(gallery.visited(id), Some(before));
    // Another track keeps the visit, and its time.
    gallery.take_back_visit(id, false, 1_500, 9_600).unwrap();
    let found = gallery.visited(id).unwrap();
    assert_eq!((found.visits, found.last_seen), (1, 1_500));

    let ada = gallery.enroll("ada", &at(90.0), &origin(7)).unwrap();
    assert_eq!(gallery.visited(ada).unwrap().visits, 0, "never seen");
    gallery.forget("ada").unwrap();
    assert_eq!(gallery.visited(ada), None);
    assert!(gallery.begin_visit(ada, 9).is_err());
}

#[test]
fn an_observation_is_kept_if_it_adds_something() {
    let mut gallery = planar();
    let (id, name) = gallery.new_identity(&at(0.0), &origin(1_000)).unwrap();
    assert_eq!((id, name), (1, "person-7f3a91c2-000001"));
    // cos 25 degrees is 0.906, cos 30 degrees 0.866. Whether a visit begins is said by the caller.
    let cases = [
        (25.0, 2_000, false, 1, false),
        (30.0, 302_000, false, 1, true),
        (30.0, 602_001, true, 2, false),
        (-30.0, 500, false, 2, true),
        (180.0, 1_000_000, true, 3, true),
    ];
    for (degrees, time, begins, visits, kept) in cases {
        if begins {
            gallery.begin_visit(id, time).unwrap();
        }
        let found = gallery.observe(id, &at(degrees), &origin(time)).unwrap();
        assert_eq!(
            found,
            Observed { visits, kept },
            "{degrees} degrees at {time}"
        );
    }
    let (summary, origins) = gallery.show("person-7f3a91c2-000001").unwrap();
    assert_eq!((summary.exemplars, summary.visits), (4, 3));
    assert_eq!((summary.enrolled, summary.last_seen), (1_000, 1_000_000));
    let times: Vec<u64> = origins.iter().map(|o| o.time).collect();
    assert_eq!(times, [1_000, 302_000, 500, 1_000_000]);
    let error = gallery
        .observe(9, &at(0.0), &origin(1))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "no person called '9' is in gallery (in memory)");
}

#[test]
fn a_full_identity_gives_up_its_most_redundant_exemplar() {
    let mut gallery = planar().with_limits(limits(3, 0.99)).unwrap();
    let (id, _) = gallery.new_identity(&at(0.0), &origin(0)).unwrap();
    gallery.enroll("neighbour", &at(200.0), &origin(0)).unwrap();
    // 0 and 20 are nearest each other: the older of the two goes. Then 20 and 60 are.
    let steps: [(f32, &[u64]); 4] = [
        (20.0, &[0, 20]),
        (60.0, &[0, 20, 60]),
        (120.0, &[20, 60, 120]),
        (170.0, &[60, 120, 170]),
    ];
    for (degrees, wanted) in steps {
        let kept = gallery
            .observe(id, &at(degrees), &origin(degrees as u64))
            .unwrap()
            .kept;
        assert!(kept, "{degrees}");
        let times: Vec<u64> = gallery
            .show("1")
            .unwrap()
            .1
            .iter()
            .map(|o| o.time)
            .collect();
        assert_eq!(times, wanted);
        for &time in wanted {
            let found = gallery.search(&at(time as f32)).unwrap().unwrap();
            assert_eq!(
                (found.best.identity, found.best.similarity),
                (id, 1.0),
                "{time}"
            );
        }
    }
    let zero = gallery.search(&at(0.0)).unwrap().unwrap();
    assert_eq!(zero.best.similarity, similarity(&at(0.0), &at(60.0)));
    let mut single = planar().with_limits(limits(1, 0.99)).unwrap();
    single.enroll("ada", &at(0.0), &origin(0)).unwrap();
    single.enroll("ada", &at(90.0), &origin(1)).unwrap();
    assert_eq!(single.exemplars(), 1);
}

#[test]
fn everything_is_there_after_closing_and_opening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.gallery");
    let gallery = Gallery::create_or_open(&path, SPACE, 40).unwrap();
    let mut gallery = gallery.with_tag(DEVICE).unwrap();
    for person in 0..30 {
        gallery
            .new_identity(&hot(40, person), &origin(person as u64))
            .unwrap();
    }
    gallery.observe(3, &hot(40, 33), &origin(99)).unwrap();
    gallery.forget("person-7f3a91c2-000005").unwrap();
    gallery.forget("30").unwrap();
    let before: Vec<IdentitySummary> = gallery.list().collect();
    let shown = gallery.show("3").unwrap();
    drop(gallery);

    let mut gallery = Gallery::open(&path, SPACE, 40).unwrap();
    assert_eq!(gallery.list().collect::<Vec<_>>(), before);
    assert_eq!(gallery.show("3").unwrap(), shown);
    assert_eq!((gallery.len(), gallery.exemplars()), (28, 29));
    assert_eq!(
        gallery.search(&hot(40, 33)).unwrap().unwrap().best.identity,
        3
    );
    // Number 30 was forgotten, and nobody else gets it.
    let (id, name) = gallery.new_identity(&hot(40, 39), &origin(1)).unwrap();
    assert_eq!((id, name), (31, "person-7f3a91c2-000031"));
    drop(gallery);
    let gallery = Gallery::inspect(&path).unwrap();
    assert_eq!(
        (gallery.space(), gallery.dim(), gallery.len()),
        (SPACE, 40, 29)
    );
}

#[test]
fn a_forgotten_identity_leaves_no_byte_in_the_file() {
    fn holds(path: &Path, bytes: &[u8]) -> bool {
        let file = fs::read(path).unwrap();
        file.windows(bytes.len()).any(|window| window == bytes)
    }
    fn face(seed: usize) -> Vec<f32> {
        let row: Vec<f32> = (0..64)
            .map(|i| ((i * 37 + seed * 101) % 257) as f32 - 128.0)
            .collect();
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / length).collect()
    }
    fn bytes(row: &[f32]) -> Vec<u8> {
        row[..8].iter().flat_map(|x| x.to_le_bytes()).collect()
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.gallery");
    let mut gallery = Gallery::create_or_open(&path, SPACE, 64).unwrap();
    for person in 0..20 {
        let name = format!("visitor number {person}");
        gallery.enroll(&name, &face(person), &origin(1)).unwrap();
    }
    gallery.observe(8, &face(100), &origin(2)).unwrap();
    let traces = [
        bytes(&face(7)),
        bytes(&face(100)),
        b"visitor number 7\"".to_vec(),
    ];
    for (number, trace) in traces.iter().enumerate() {
        assert!(holds(&path, trace), "trace {number} before");
    }
    let gone = gallery.forget("visitor number 7").unwrap();
    assert_eq!((gone.identity, gone.exemplars), (8, 2));
    for step in ["at once", "after another change", "after closing"] {
        for (number, trace) in traces.iter().enumerate() {
            assert!(!holds(&path, trace), "trace {number} {step}");
        }
        assert!(holds(&path, &bytes(&face(6))), "{step}");
        assert_ne!(gallery.search(&face(7)).unwrap().unwrap().best.identity, 8);
        match step {
            "at once" => drop(gallery.enroll("another", &face(50), &origin(3)).unwrap()),
            _ => {
                drop(gallery);
                gallery = Gallery::open(&path, SPACE, 64).unwrap();
            }
        }
    }
    assert_eq!(gallery.len(), 20);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(gallery.forget("visitor number 7").is_err());
}

#[test]
fn what_a_killed_rewrite_left_is_discarded_on_opening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.gallery");
    drop(Gallery::create_or_open(&path, SPACE, 4).unwrap());
    let left = dir.path().join("people.gallery.rewrite");
    fs::write(&left, "half a gallery").unwrap();
    drop(Gallery::open(&path, SPACE, 4).unwrap());
    assert!(!left.exists());
}

#[test]
fn what_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.gallery");
    let message = |result: Result<Gallery>| result.unwrap_err().to_string();
    let missing = message(Gallery::open(&path, SPACE, 4));
    assert!(
        missing.starts_with("no gallery at ") && !path.exists(),
        "{missing}"
    );
    let no_folder = message(Gallery::create_or_open(path.join("in/it"), SPACE, 4));
    assert!(no_folder.contains("people.gallery/in/it"), "{no_folder}");

    let gallery = Gallery::create_or_open(&path, SPACE, 4).unwrap();
    for second in [
        Gallery::open(&path, SPACE, 4),
        Gallery::create_or_open(&path, SPACE, 4),
        Gallery::inspect(&path),
    ] {
        let error = second.unwrap_err();
        assert!(matches!(error, Error::GalleryInUse { .. }), "{error}");
        assert!(error.to_string().contains("is in use by another process"));
    }
    drop(gallery);

    let space = message(Gallery::open(&path, "resnet50", 4));
    assert!(
        space.contains(SPACE) && space.contains("'resnet50'"),
        "{space}"
    );
    let dim = message(Gallery::create_or_open(&path, SPACE, 8));
    assert!(dim.contains("of 4 dimensions, the model makes 8"), "{dim}");

    fs::write(&path, "name,embedding\n").unwrap();
    let text = Gallery::create_or_open(&path, SPACE, 4).unwrap_err();
    assert!(matches!(text, Error::NotAGallery { .. }), "{text}");
    fs::write(&path, "").unwrap();
    let empty = Gallery::open(&path, SPACE, 4).unwrap_err();
    assert!(matches!(empty, Error::NotAGallery { .. }), "{empty}");
    let folder = Gallery::open(dir.path(), SPACE, 4).unwrap_err();
    assert!(matches!(folder, Error::Io { .. }), "{folder}");

    let other = dir.path().join("other.redb");
    let table: redb::TableDefinition<u64, u64> = redb::TableDefinition::new("accounts");
    let db = redb::Database::create(&other).unwrap();
    let tx = db.begin_write().unwrap();
    tx.open_table(table).unwrap().insert(1, 2).unwrap();
    tx.commit().unwrap();
    drop(db);
    for result in [
        Gallery::inspect(&other),
        Gallery::create_or_open(&other, SPACE, 4),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::NotAGallery { .. }), "{error}");
    }
}

#[test]
fn a_gallery_keeps_its_lock_when_its_file_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("people.gallery");
    let mut gallery = Gallery::create_or_open(&path, SPACE, 4).unwrap();
    gallery.enroll("ada", &at(0.0), &origin(1)).unwrap();
    gallery.forget("ada").unwrap();
    let error = Gallery::open(&path, SPACE, 4).unwrap_err();
    assert!(matches!(error, Error::GalleryInUse { .. }), "{error}");
}

#[test]
fn bad_arguments_change_nothing() {
    let mut gallery = planar();
    let long = "x".repeat(MAX_NAME + 1);
    let names = [
        ("", "a name has 0 bytes, wanted 1 to 200"),
        (&*long, "a name has 201 bytes, wanted 1 to 200"),
        (
            "a\nb",
            "the name 'a\\u{a}b' has the control character U+000A at position 2",
        ),
        ("ada ", "begins or ends with a blank"),
        ("7", "could be taken for the number of an identity"),
        ("person-7f3a91c2-000001", "has the form of generated names"),
        ("person-000001", "has the form of generated names"),
        ("person-1234567", "has the form of generated names"),
    ];
    for (name, wanted) in names {
        let error = gallery
            .enroll(name, &at(0.0), &origin(1))
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
    for row in [vec![1.0], vec![1.0, 1.0, 0.0, 0.0], vec![f32::NAN; 4]] {
        assert!(gallery.enroll("ada", &row, &origin(1)).is_err());
        assert!(gallery.new_identity(&row, &origin(1)).is_err());
        assert!(gallery.search(&row).is_err());
    }
    let far = Origin {
        source: "x".repeat(MAX_SOURCE + 1),
        ..origin(1)
    };
    assert!(gallery.enroll("ada", &at(0.0), &far).is_err());
    assert_eq!((gallery.len(), gallery.exemplars()), (0, 0));
    // Nothing of the above used up a number.
    assert_eq!(gallery.enroll("person-1", &at(0.0), &origin(1)).unwrap(), 1);

    for wrong in [
        limits(0, 0.9),
        limits(257, 0.9),
        limits(8, 1.1),
        limits(8, f32::NAN),
    ] {
        assert!(planar().with_limits(wrong).is_err(), "{wrong:?}");
    }
    assert!(Gallery::in_memory("", 4).is_err());
    assert!(Gallery::in_memory(SPACE, 0).is_err());
    assert!(Gallery::in_memory(SPACE, 8193).is_err());
}

/// Numbers that look random and are the same in every run (`SplitMix64`).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// A unit vector that is like no other: in 64 dimensions the similarity of two of them is 0 ± 1/8.
pub(super) fn face(dim: usize, number: u64) -> Vec<f32> {
    let mut dice = Dice(number.wrapping_mul(0x2545_f491_4f6c_dd1d));
    // The sum of four uniform numbers is round enough.
    let mut element = || (0..4).map(|_| dice.roll(1 << 16) as f32).sum::<f32>() - 131_070.0;
    unit((0..dim).map(|_| element()).collect())
}

pub(super) fn unit(mut row: Vec<f32>) -> Vec<f32> {
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter_mut().for_each(|x| *x /= length);
    row
}
