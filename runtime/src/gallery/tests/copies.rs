//! Copies: made, verified, brought back, made for another model; and galleries of format 1.

use redb::TableDefinition;

use super::*;

const DIM: usize = 8;

struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(|entry| name(entry.unwrap())).collect();
        names.sort();
        names
    }

    /// A gallery of two whom nobody has named, 2 merged from two, and Ada.
    fn gallery(&self) -> Gallery {
        let gallery = Gallery::create_or_open(self.file("shop"), SPACE, DIM).unwrap();
        let mut gallery = gallery.with_tag(DEVICE).unwrap();
        for at in 0..3 {
            let crop = Some(format!("{at}.jpg"));
            let origin = Origin { crop, ..origin(1) };
            gallery.new_identity(&hot(DIM, at), &origin).unwrap();
        }
        gallery.enroll("ada", &hot(DIM, 3), &origin(1)).unwrap();
        gallery.merge("3", "2").unwrap();
        gallery
    }
}

fn people(gallery: &Gallery) -> Vec<IdentitySummary> {
    gallery.list().collect()
}

#[test]
fn a_backup_is_the_gallery_and_replaces_nothing_unasked() {
    let folder = Folder::new();
    let mut gallery = folder.gallery();
    let to = folder.file("copy");
    gallery.backup(&to, false).unwrap();
    let mut copy = Gallery::open(&to, SPACE, DIM).unwrap();
    assert_eq!(people(&copy), people(&gallery));
    assert_eq!(copy.show("2").unwrap(), gallery.show("2").unwrap());
    assert_eq!(copy.tag(), DEVICE);
    copy.undo().unwrap();
    drop(copy);

    let error = gallery.backup(&to, false).unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    gallery.forget("ada").unwrap();
    gallery.backup(&to, true).unwrap();
    assert_eq!(people(&Gallery::inspect(&to).unwrap()), people(&gallery));
    let own = folder.dir.path().join(".").join("shop");
    let error = gallery.backup(&own, true).unwrap_err().to_string();
    assert!(error.contains("is the gallery itself"), "{error}");
    let nowhere = folder.file("no/folder");
    let error = gallery.backup(&nowhere, false).unwrap_err().to_string();
    assert!(error.contains("no/folder"), "{error}");
    assert_eq!(folder.names(), ["copy", "shop"]);
}

#[test]
fn a_restored_gallery_generates_names_of_its_own() {
    let folder = Folder::new();
    let mut gallery = folder.gallery();
    let (shop, copy) = (folder.file("shop"), folder.file("copy"));
    gallery.backup(&copy, false).unwrap();
    let kept = people(&gallery);
    // A name that stands in a log after the backup.
    let (number, logged) = gallery.new_identity(&hot(DIM, 5), &origin(2)).unwrap();
    let logged = logged.to_owned();
    let error = Gallery::restore(&shop, &copy, false).unwrap_err();
    assert!(matches!(error, Error::GalleryInUse { .. }), "{error}");
    drop(gallery);

    let restored = Gallery::restore(&shop, &copy, false).unwrap();
    let set_aside = folder.file("shop.before-restore");
    let wanted = Restored {
        identities: 3,
        exemplars: 4,
        replaced: Some(set_aside.clone()),
    };
    assert_eq!(restored, wanted);
    let mut gallery = Gallery::open(&shop, SPACE, DIM).unwrap();
    assert_eq!(people(&gallery), kept);
    let (again, name) = gallery.new_identity(&hot(DIM, 6), &origin(3)).unwrap();
    assert_eq!(again, number);
    assert_ne!(name, logged);
    drop(gallery);
    assert_eq!(Gallery::inspect(&set_aside).unwrap().len(), 4);

    // The one that was set aside first is not lost by a second attempt.
    let error = Gallery::restore(&shop, &copy, false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("before-restore is there already"), "{error}");
    Gallery::restore(&shop, &copy, true).unwrap();
    assert_eq!(Gallery::inspect(&set_aside).unwrap().len(), 4);
    assert_eq!(folder.names(), ["copy", "shop", "shop.before-restore"]);
}

#[test]
fn what_is_restored_is_checked_before_anything_is_replaced() {
    let folder = Folder::new();
    let mut gallery = folder.gallery();
    let (shop, copy) = (folder.file("shop"), folder.file("copy"));
    gallery.backup(&copy, false).unwrap();
    drop(gallery);
    let whole = fs::read(&copy).unwrap();
    let damages: [(&str, Vec<u8>); 3] = [
        ("nothing", Vec::new()),
        ("half", whole[..whole.len() / 2].to_vec()),
        ("text", b"identity,embedding\n".to_vec()),
    ];
    for (name, bytes) in damages {
        fs::write(&copy, bytes).unwrap();
        Gallery::restore(&shop, &copy, true).expect_err(name);
        assert_eq!(Gallery::inspect(&shop).unwrap().len(), 3, "{name}");
        assert_eq!(folder.names(), ["copy", "shop"], "{name}");
    }
    // A damaged gallery is what restoring is for, and is kept too; another file is not a gallery.
    fs::write(&copy, &whole).unwrap();
    fs::write(&shop, &whole[..whole.len() / 2]).unwrap();
    Gallery::restore(&shop, &copy, false).unwrap();
    assert_eq!(Gallery::inspect(&shop).unwrap().len(), 3);
    let damaged = fs::metadata(folder.file("shop.before-restore")).unwrap();
    assert_eq!(damaged.len(), whole.len() as u64 / 2);
    fs::write(&shop, "my thesis").unwrap();
    let error = Gallery::restore(&shop, &copy, true).unwrap_err();
    assert!(matches!(error, Error::NotAGallery { .. }), "{error}");
    assert_eq!(fs::read(&shop).unwrap(), b"my thesis");

    // Where there is none yet.
    let elsewhere = folder.file("elsewhere");
    let restored = Gallery::restore(&elsewhere, &copy, false).unwrap();
    assert_eq!((restored.identities, restored.replaced), (3, None));
}

#[test]
fn another_model_gets_the_same_people_from_their_crops() {
    let folder = Folder::new();
    let mut gallery = folder.gallery();
    // Ada has no crop; one of the two of 2 has been lost.
    let embed = |origin: &Origin| {
        let crop = origin.crop.as_deref().filter(|crop| *crop != "2.jpg");
        Ok(crop.map(|crop| hot(4, usize::from(crop.starts_with('1')))))
    };
    let before = people(&gallery);
    let error = gallery.re_embed("other", 4, false, embed).unwrap_err();
    let wanted = "no crop was found of 1 of 3 people, they would be lost: ada";
    assert_eq!(error.to_string(), wanted);
    let none = gallery.re_embed("other", 4, true, |_| Ok(None));
    assert!(none.unwrap_err().to_string().contains("3 of 3 people"));
    for wrong in [vec![1.0; 4], vec![1.0], Vec::new()] {
        let wrong = gallery.re_embed("other", 4, true, |_| Ok(Some(wrong.clone())));
        assert!(matches!(wrong, Err(Error::Kernels(_))));
    }
    assert_eq!((gallery.space(), people(&gallery)), (SPACE, before));

    let report = gallery.re_embed("other", 4, true, embed).unwrap();
    let wanted = ReEmbedded {
        identities: 2,
        exemplars: 2,
        missing: 2,
        lost: vec!["ada".into()],
    };
    assert_eq!(report, wanted);
    let found = gallery.search(&hot(4, 1)).unwrap().unwrap();
    assert_eq!((found.best.identity, found.best.similarity), (2, 1.0));
    drop(gallery);
    let error = Gallery::open(folder.file("shop"), SPACE, DIM).unwrap_err();
    assert!(matches!(error, Error::GallerySpace { .. }), "{error}");
    let mut gallery = Gallery::open(folder.file("shop"), "other", 4).unwrap();
    // Of the one that was merged into 2 there is nothing left that could come back.
    let error = gallery.undo().unwrap_err().to_string();
    assert!(
        error.contains("nothing is left of 'person-7f3a91c2-000003'"),
        "{error}"
    );
    let error = gallery.undo().unwrap_err().to_string();
    assert!(error.starts_with("there is no merge"), "{error}");
    assert_eq!(gallery.len(), 2);
    assert_eq!(folder.names(), ["shop"]);
}

#[test]
fn a_gallery_of_format_1_is_read_and_becomes_one_of_this_format() {
    let folder = Folder::new();
    let path = folder.file("shop");
    write_format_1(&path);
    let before = fs::read(&path).unwrap();
    let mut view = GalleryView::open(&path, SPACE, DIM).unwrap();
    assert_eq!(view.show("ada").unwrap().1, [origin(1_000)]);
    drop(view);
    assert!(
        fs::read(&path).unwrap() == before,
        "reading has upgraded it"
    );
    let mut gallery = Gallery::open(&path, SPACE, DIM).unwrap();
    let device = gallery.tag();
    let (summary, origins) = gallery.show("person-000001").unwrap();
    assert_eq!((summary.visits, summary.exemplars), (3, 1));
    assert_eq!(origins, [origin(1_000)]);
    assert_eq!(
        gallery.search(&hot(DIM, 2)).unwrap().unwrap().best.name,
        "ada"
    );
    let (number, name) = gallery.new_identity(&hot(DIM, 3), &origin(2_000)).unwrap();
    assert_eq!((number, name), (8, &*device.name(8)));
    // The old form is a generated one too.
    let hour = 3_600_000;
    assert_eq!(gallery.expire(25 * hour).unwrap().len(), 2);
    drop(gallery);
    let gallery = Gallery::open(&path, SPACE, DIM).unwrap();
    assert_eq!((gallery.tag(), gallery.len()), (device, 1));
}

/// What version 1 wrote: four tables, no device, origins without crops.
fn write_format_1(path: &Path) {
    let stamp: TableDefinition<&str, &str> = TableDefinition::new("stamp");
    let identities: TableDefinition<u64, &[u8]> = TableDefinition::new("identities");
    let db = redb::Database::create(path).unwrap();
    let tx = db.begin_write().unwrap();
    {
        let mut table = tx.open_table(stamp).unwrap();
        let keys = [
            ("format", "1"),
            ("space", SPACE),
            ("dim", "8"),
            ("next identity", "8"),
        ];
        for (key, value) in keys {
            table.insert(key, value).unwrap();
        }
        let mut table = tx.open_table(identities).unwrap();
        for (number, name) in [(1, "person-000001"), (4, "ada")] {
            let json = format!(
                r#"{{"name":"{name}","enrolled":900,"last_seen":1000,"visits":3,"next_exemplar":1}}"#
            );
            table.insert(number, json.as_bytes()).unwrap();
        }
        for (number, at) in [(1, 1), (4, 2)] {
            let values: [(&str, Vec<u8>); 2] = [
                (
                    "origins",
                    br#"{"source":"door","frame":7,"time":1000}"#.to_vec(),
                ),
                (
                    "embeddings",
                    hot(DIM, at).iter().flat_map(|x| x.to_le_bytes()).collect(),
                ),
            ];
            for (name, value) in &values {
                let table: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new(name);
                let mut table = tx.open_table(table).unwrap();
                table.insert((number, 0), value.as_slice()).unwrap();
            }
        }
    }
    tx.commit().unwrap();
}
