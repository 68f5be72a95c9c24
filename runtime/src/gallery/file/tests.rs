//! Links are followed once or refused, a file that is replaced is not taken for the gallery, and reading writes nothing.

use std::os::unix::fs::{MetadataExt, symlink};

use super::*;
use crate::gallery::tests::{SPACE, hot, origin};
use crate::gallery::{Gallery, GalleryView, PruneRules};

const DIM: usize = 8;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

fn create(path: &Path) -> Gallery {
    Gallery::create_or_open(path, SPACE, DIM).unwrap()
}

/// A gallery of Ada and of somebody without a name, who was seen in 1970.
fn gallery(path: &Path) -> Gallery {
    let mut gallery = create(path);
    gallery.enroll("ada", &hot(DIM, 1), &origin(1)).unwrap();
    gallery.new_identity(&hot(DIM, 2), &origin(1)).unwrap();
    gallery
}

fn names(path: &Path) -> Vec<String> {
    let gallery = GalleryView::inspect(path).unwrap();
    gallery.list().map(|person| person.name).collect()
}

/// Everything that writes the file anew, and how many people remain.
type Rewrite = fn(&mut Gallery);
const REWRITES: [(&str, Rewrite, usize); 4] = [
    ("forget", |g| drop(g.forget("ada").unwrap()), 1),
    (
        "prune",
        |g| {
            let keep = Some(0);
            let prune = PruneRules {
                keep,
                ..PruneRules::default()
            };
            assert_eq!(g.prune(&prune).unwrap().len(), 1);
        },
        1,
    ),
    (
        "retention",
        |g| {
            assert_eq!(g.expire(1 << 40).unwrap().len(), 1);
            g.expire((1 << 40) + 3_600_000).unwrap();
        },
        1,
    ),
    (
        "re-embed",
        |g| {
            let embed = |_: &crate::gallery::Origin| Ok(Some(hot(DIM, 5)));
            g.re_embed("other", DIM, false, embed).unwrap();
        },
        2,
    ),
];

#[test]
fn a_rewrite_through_a_symbolic_link_replaces_the_file_and_not_the_link() {
    for (name, rewrite, remain) in REWRITES {
        let folder = Folder::new();
        fs::create_dir(folder.at("real")).unwrap();
        let (real, link, chain) = (
            folder.at("real/shop"),
            folder.at("link"),
            folder.at("chain"),
        );
        symlink("real/shop", &link).unwrap();
        symlink(&link, &chain).unwrap();
        // The link leads to what is not there yet.
        drop(gallery(&chain));
        assert_eq!(names(&real).len(), 2, "{name}");
        let before = fs::metadata(&real).unwrap().ino();

        let mut gallery = Gallery::inspect(&chain).unwrap();
        rewrite(&mut gallery);
        drop(gallery);
        for link in [&link, &chain] {
            assert!(link.is_symlink(), "{name} replaced {}", link.display());
        }
        assert_ne!(fs::metadata(&real).unwrap().ino(), before, "{name}");
        assert_eq!(names(&real).len(), remain, "{name}");
        assert_eq!(names(&chain), names(&real), "{name}");
        assert_eq!(folder.names(), ["chain", "link", "real"], "{name}");
    }
}

#[test]
fn a_link_that_is_bent_while_the_gallery_is_open_bends_nothing() {
    let folder = Folder::new();
    let (real, link, other) = (folder.at("shop"), folder.at("link"), folder.at("other"));
    symlink(&real, &link).unwrap();
    let mut gallery = gallery(&link);
    fs::write(&other, "a letter").unwrap();
    fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    gallery.forget("ada").unwrap();
    drop(gallery);
    assert_eq!(names(&real).len(), 1);
    assert_eq!(fs::read(&other).unwrap(), b"a letter");
}

#[test]
fn a_backup_and_a_restore_through_a_symbolic_link_replace_the_file() {
    let folder = Folder::new();
    let (shop, copy, link) = (folder.at("shop"), folder.at("copy"), folder.at("link"));
    let mut gallery = gallery(&shop);
    symlink("copy", &link).unwrap();
    gallery.backup(&link, false).unwrap();
    let error = gallery.backup(&link, false).unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    gallery.forget("ada").unwrap();
    gallery.backup(&link, true).unwrap();
    assert_eq!(names(&copy).len(), 1);
    assert!(link.is_symlink());

    // A link to the gallery is the gallery.
    let own = folder.at("own");
    symlink("shop", &own).unwrap();
    let error = gallery.backup(&own, true).unwrap_err().to_string();
    assert!(error.contains("is the gallery itself"), "{error}");
    gallery.enroll("bob", &hot(DIM, 3), &origin(2)).unwrap();
    drop(gallery);

    let restored = Gallery::restore(&own, &link, false).unwrap();
    let set_aside = fs::canonicalize(folder.0.path()).unwrap();
    let set_aside = set_aside.join("shop.before-restore");
    assert_eq!(restored.replaced, Some(set_aside.clone()));
    assert!(own.is_symlink() && link.is_symlink());
    assert_eq!((names(&shop).len(), names(&set_aside).len()), (1, 2));
    assert_eq!(
        folder.names(),
        ["copy", "link", "own", "shop", "shop.before-restore"]
    );
}

#[test]
fn a_file_with_two_names_is_read_and_not_changed() {
    let folder = Folder::new();
    let (shop, second) = (folder.at("shop"), folder.at("second"));
    let (copy, third) = (folder.at("copy"), folder.at("third"));
    let mut open = gallery(&shop);
    open.backup(&copy, false).unwrap();
    drop(open);
    fs::hard_link(&shop, &second).unwrap();
    fs::hard_link(&copy, &third).unwrap();
    let before = fs::read(&shop).unwrap();
    let refused = |result: Result<()>| {
        let error = result.unwrap_err();
        let named = matches!(error, Error::GalleryLinked { links: 2, .. });
        assert!(named, "{error}");
        assert!(
            error.to_string().contains("2 names (hard links)"),
            "{error}"
        );
    };
    for path in [&shop, &second] {
        refused(Gallery::inspect(path).map(drop));
        refused(Gallery::open(path, SPACE, DIM).map(drop));
        refused(Gallery::create_or_open(path, SPACE, DIM).map(drop));
        refused(Gallery::restore(path, &copy, true).map(drop));
        assert_eq!(names(path).len(), 2);
    }
    let mut view = GalleryView::inspect(&shop).unwrap();
    refused(view.backup(&third, true));
    refused(view.backup(&second, true));
    drop(view);
    assert_eq!(fs::read(&second).unwrap(), before);
    assert_eq!(folder.names(), ["copy", "second", "shop", "third"]);

    fs::remove_file(&second).unwrap();
    Gallery::inspect(&shop).unwrap().forget("ada").unwrap();
    assert_eq!(names(&shop).len(), 1);
}

#[test]
fn a_restore_that_was_killed_before_its_last_step_is_in_nobodys_way() {
    let folder = Folder::new();
    let shop = folder.at("shop");
    drop(gallery(&shop));
    fs::hard_link(&shop, folder.at("shop.before-restore")).unwrap();
    Gallery::inspect(&shop).unwrap().forget("ada").unwrap();
    assert_eq!(names(&shop).len(), 1);
    assert_eq!(folder.names(), ["shop"]);
}

#[test]
fn a_file_that_is_replaced_before_it_is_locked_is_not_the_gallery() {
    let folder = Folder::new();
    let shop = folder.at("shop");
    let mut first = gallery(&shop);
    let file = GalleryFile::at(&shop).unwrap();
    for access in [Access::Read, Access::Change] {
        // Another process has opened the file, and now this one writes it anew and ends.
        let opened = file.opened(access).unwrap();
        first.forget("ada").unwrap();
        drop(first);
        let locked = file.locked(opened, access).unwrap();
        assert!(
            locked.is_none(),
            "{access:?}: the old file was taken for the gallery"
        );
        // It opens it again.
        drop(file.open(access).unwrap());
        first = create(&shop);
        first.enroll("ada", &hot(DIM, 1), &origin(3)).unwrap();
    }
    // While the first is at it nobody else gets the new file either.
    let opened = file.opened(Access::Change).unwrap();
    first.forget("ada").unwrap();
    let locked = file.locked(opened, Access::Change);
    assert!(matches!(locked, Ok(None)), "{locked:?}");
    let locked = file.open(Access::Change);
    assert!(
        matches!(locked, Err(Error::GalleryInUse { .. })),
        "{locked:?}"
    );
}

/// Calls until the gallery is not in use.
fn patiently<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Error::GalleryInUse { .. }) => std::thread::yield_now(),
            result => return result,
        }
    }
}

#[test]
fn many_who_create_enrol_and_forget_at_once_lose_nothing() {
    let folder = Folder::new();
    let shop = folder.at("shop");
    let work = |worker: usize| {
        for round in 0..12 {
            let name = format!("{worker} {round}");
            let mut gallery = patiently(|| Gallery::create_or_open(&shop, SPACE, DIM)).unwrap();
            let row = hot(DIM, worker);
            gallery.enroll(&name, &row, &origin(1)).unwrap();
            drop(gallery);
            if round % 3 == 2 {
                let mut gallery = patiently(|| Gallery::inspect(&shop)).unwrap();
                gallery.forget(&name).unwrap();
            }
        }
    };
    std::thread::scope(|scope| {
        for worker in 0..3 {
            scope.spawn(move || work(worker));
        }
    });
    let found = names(&shop);
    for (worker, round) in (0..3).flat_map(|worker| (0..12).map(move |round| (worker, round))) {
        let is_there = found.contains(&format!("{worker} {round}"));
        assert_eq!(is_there, round % 3 != 2, "{worker} {round}");
    }
    assert_eq!(folder.names(), ["shop"]);
}

#[test]
fn the_beginning_of_a_gallery_is_in_nobodys_way() {
    let folder = Folder::new();
    let (shop, scratch) = (folder.at("shop"), folder.at("shop.rewrite"));
    drop(gallery(&folder.at("whole")));
    let whole = fs::read(folder.at("whole")).unwrap();
    fs::remove_file(folder.at("whole")).unwrap();
    // What a kill leaves of a creation: any part of a file, under the scratch name.
    for length in [0, 1, 100, 4_096, whole.len() / 2, whole.len()] {
        fs::write(&scratch, &whole[..length]).unwrap();
        let error = Gallery::inspect(&shop).unwrap_err();
        assert!(matches!(error, Error::GalleryMissing { .. }), "{error}");
        assert_eq!(create(&shop).len(), 0, "{length} bytes");
        assert_eq!(folder.names(), ["shop"], "{length} bytes");
        fs::remove_file(&shop).unwrap();
    }
    // An empty file is none.
    fs::write(&shop, "").unwrap();
    let error = Gallery::inspect(&shop).unwrap_err();
    assert!(matches!(error, Error::NotAGallery { .. }), "{error}");
    drop(gallery(&shop));
    assert_eq!(names(&shop).len(), 2);
}

#[test]
fn who_creates_a_gallery_is_not_disturbed() {
    let folder = Folder::new();
    let shop = folder.at("shop");
    let file = GalleryFile::at(&shop).unwrap();
    let creating = file.open_scratch().unwrap();
    creating.set_len(10).unwrap();
    let error = Gallery::create_or_open(&shop, SPACE, DIM).unwrap_err();
    assert!(matches!(error, Error::GalleryInUse { .. }), "{error}");
    file.discard_scratch().unwrap();
    let scratch = fs::metadata(file.scratch()).unwrap();
    assert_eq!(scratch.len(), 10, "it was emptied by another");
    drop(creating);
    assert_eq!(create(&shop).len(), 0);
}

#[test]
fn a_backup_does_not_replace_a_gallery_that_is_in_use() {
    let folder = Folder::new();
    let (shop, other) = (folder.at("shop"), folder.at("other"));
    let mut gallery = gallery(&shop);
    let mut used = create(&other);
    let error = gallery.backup(&other, true).unwrap_err();
    assert!(matches!(error, Error::GalleryInUse { .. }), "{error}");
    used.enroll("bob", &hot(DIM, 3), &origin(2)).unwrap();
    drop(used);
    assert_eq!(names(&other), ["bob"]);
    // What is no gallery is replaced as one was told to.
    fs::write(&other, "a letter").unwrap();
    gallery.backup(&other, true).unwrap();
    assert_eq!(names(&other).len(), 2);
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_replaced() {
    let folder = Folder::new();
    let device = folder.at("device");
    symlink("/dev/null", &device).unwrap();
    let cases = [
        folder.0.path().to_owned(),
        device,
        folder.at(".."),
        PathBuf::from("/"),
    ];
    for path in cases {
        let error = Gallery::create_or_open(&path, SPACE, DIM).unwrap_err();
        assert!(
            matches!(error, Error::Io { .. }),
            "{}: {error}",
            path.display()
        );
        let error = GalleryView::inspect(&path).unwrap_err();
        assert!(
            matches!(error, Error::Io { .. }),
            "{}: {error}",
            path.display()
        );
    }
    let ring = folder.at("ring");
    symlink("ring", &ring).unwrap();
    let error = Gallery::create_or_open(&ring, SPACE, DIM)
        .unwrap_err()
        .to_string();
    assert!(error.contains("too many symbolic links"), "{error}");
    assert_eq!(folder.names(), ["device", "ring"]);
}

/// The bytes of a file and when it was changed.
fn trace(path: &Path) -> (Vec<u8>, std::time::SystemTime, u64) {
    let metadata = fs::metadata(path).unwrap();
    (
        fs::read(path).unwrap(),
        metadata.modified().unwrap(),
        metadata.ino(),
    )
}

#[test]
fn reading_writes_nothing() {
    let folder = Folder::new();
    let (shop, copy) = (folder.at("shop"), folder.at("copy"));
    let mut open = gallery(&shop);
    open.backup(&copy, false).unwrap();
    // As a kill leaves it: open, with the beginning of a rewrite beside it.
    let unclean = folder.at("unclean");
    fs::copy(&shop, &unclean).unwrap();
    fs::write(folder.at("unclean.rewrite"), "half").unwrap();
    drop(open);
    let before = [&shop, &copy, &unclean].map(|path| trace(path));
    for path in [&shop, &copy, &unclean] {
        let mut view = GalleryView::open(path, SPACE, DIM).unwrap();
        assert_eq!(view.search(&hot(DIM, 1)).unwrap().unwrap().best.name, "ada");
        assert_eq!(view.show("ada").unwrap().1, [origin(1)]);
        assert_eq!(
            view.prunable(&PruneRules {
                keep: Some(0),
                ..PruneRules::default()
            })
            .len(),
            1
        );
        // Two may read at a time; nobody may change it meanwhile.
        assert_eq!(GalleryView::inspect(path).unwrap().len(), 2);
        let error = Gallery::inspect(path).unwrap_err();
        assert!(matches!(error, Error::GalleryInUse { .. }), "{error}");
        view.backup(&folder.at("another"), true).unwrap();
        Gallery::restore(&folder.at("third"), path, true).unwrap();
    }
    assert!(
        before == [&shop, &copy, &unclean].map(|path| trace(path)),
        "reading has written"
    );
    assert!(
        folder.at("unclean.rewrite").exists(),
        "reading has tidied up"
    );
    // Who is read while it is changed is in use.
    let changing = Gallery::inspect(&shop).unwrap();
    let error = GalleryView::inspect(&shop).unwrap_err();
    assert!(matches!(error, Error::GalleryInUse { .. }), "{error}");
    drop(changing);
}
