use super::*;

/// A folder with empty files in it.
fn folder(paths: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in paths {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    folder
}

fn names(folder: &Path, pictures: &Pictures) -> Vec<String> {
    let name = |path: &PathBuf| path.strip_prefix(folder).unwrap().display().to_string();
    pictures.paths.iter().map(name).collect()
}

#[test]
fn kinds_in_a_sentence_are_the_kinds() {
    let listed = ENDINGS.map(|ending| format!(".{ending}")).join(", ");
    assert_eq!(WANTED, listed.replace(", .bmp", " or .bmp"));
}

#[test]
fn every_kind_is_found_and_what_else_there_is_is_counted() {
    let folder = folder(&[
        "b.JPG",
        "a.jpeg",
        "deep/er/c.jpe",
        "d.jfif",
        "e.png",
        "f.Bmp",
        "g.webp",
        "h.WEBP",
        "clip.mp4",
        "README",
        ".hidden.jpg",
        "._a.jpeg",
        ".git/x.jpg",
        "@eaDir/a.jpeg/SYNOPHOTO_THUMB_M.jpg",
        "deep/@eaDir/SYNO.jpg",
        "#recycle/gone.jpg",
        "deep/trap.jpg/y.jpg",
    ]);
    let found = Pictures::below(folder.path()).unwrap();
    let wanted = [
        "a.jpeg",
        "b.JPG",
        "d.jfif",
        "deep/er/c.jpe",
        "e.png",
        "f.Bmp",
    ];
    assert_eq!(names(folder.path(), &found), wanted);
    assert_eq!(found.passed_over.lost(), 0);
    assert_eq!(
        found.passed_over.to_string(),
        "passed over: 2 x .webp, 2 x folder @eaDir, 1 x file without an ending, 1 x .mp4, \
         1 x folder #recycle, 1 x folder trap.jpg"
    );

    // By a pattern it is the same, however deep it reaches.
    let mut offered = Pictures::default();
    for path in [
        "b.JPG",
        "deep/er/c.jpe",
        "@eaDir/a.jpeg/SYNOPHOTO_THUMB_M.jpg",
        "deep/trap.jpg/y.jpg",
        "deep/trap.jpg",
        "deep",
        "clip.mp4",
    ] {
        let path = folder.path().join(path);
        offered.offer(path, folder.path()).unwrap();
    }
    assert_eq!(names(folder.path(), &offered), ["b.JPG", "deep/er/c.jpe"]);
    assert_eq!(
        offered.passed_over.to_string(),
        "passed over: 1 x .mp4, 1 x folder @eaDir, 1 x folder trap.jpg"
    );
    // A folder that was named is wanted.
    let root = folder.path().join("deep/@eaDir");
    let mut offered = Pictures::default();
    offered.offer(root.join("SYNO.jpg"), &root).unwrap();
    assert_eq!(offered.paths.len(), 1);
}

#[cfg(unix)]
#[test]
fn pipes_and_names_that_no_list_can_hold_are_lost() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    let folder = folder(&["a.jpg", "b\nc.jpg", "d\u{1b}[31m.png", "e\u{85}.txt"]);
    let at = |name: &[u8]| folder.path().join(OsStr::from_bytes(name));
    fs::write(at(b"f\xff.jpg"), "").unwrap();
    let _socket = UnixListener::bind(at(b"g.jpg")).unwrap();
    std::os::unix::fs::symlink(at(b"g.jpg"), at(b"h.jpg")).unwrap();
    // What a link points to may be gone: reading it says so.
    std::os::unix::fs::symlink(at(b"nowhere"), at(b"i.jpg")).unwrap();

    let found = Pictures::below(folder.path()).unwrap();
    assert_eq!(names(folder.path(), &found), ["a.jpg", "i.jpg"]);
    assert_eq!(found.passed_over.lost(), 5);
    let text = found.passed_over.to_string();
    assert!(
        text.starts_with("passed over: 1 x .txt, 2 x pipe or device (the first is "),
        "{text}"
    );
    assert!(text.contains(", 3 x name that is not UTF-8 or has a control character"));
    assert!(!text.contains(char::is_control), "{text}");

    let metadata = |path: &PathBuf| fs::metadata(path).unwrap();
    for (path, lost) in [(at(b"g.jpg"), 1), (at(b"b\nc.jpg"), 1), (at(b"a.jpg"), 0)] {
        let one = Pictures::file(path.clone(), &metadata(&path));
        assert_eq!(
            (one.paths.len() as u64, one.passed_over.lost()),
            (1 - lost, lost)
        );
    }
}

#[test]
fn many_kinds_are_one_number() {
    let names: Vec<String> = (0..20).map(|i| format!("x.k{i:02}")).collect();
    let mut paths: Vec<&str> = names.iter().map(String::as_str).collect();
    paths.push("y.k19");
    let found = Pictures::below(folder(&paths).path()).unwrap();
    let text = found.passed_over.to_string();
    assert!(
        text.starts_with("passed over: 2 x .k19, 1 x .k00, ")
            && text.ends_with("12 x of other kinds"),
        "{text}"
    );
    let mut twice = found.passed_over.clone();
    twice.join(found.passed_over);
    assert!(
        twice
            .to_string()
            .starts_with("passed over: 4 x .k19, 2 x .k00, ")
    );
}

#[test]
fn a_folder_that_cannot_be_listed_is_named() {
    let folder = folder(&["a.jpg"]);
    let error = Pictures::below(&folder.path().join("none")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let error = Pictures::below(&folder.path().join("a.jpg")).unwrap_err();
    assert!(
        error.to_string().contains("a.jpg: Not a directory"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_folder_linked_into_itself_ends() {
    let folder = folder(&["a.jpg"]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
    let error = Pictures::below(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("folders deep") || error.contains("symbolic links"),
        "{error}"
    );
}
