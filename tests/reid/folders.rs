//! Folders as they are found: with thumbnails of a file server, videos, pipes and names that no list
//! can hold. Every command takes the same pictures and says what it passed over.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::example::{Folder, THRESHOLD, crops, example};
use crate::live::pipe;
use crate::program::{Reid, reid};

/// A crop as other kinds of files, and all that lies beside pictures.
fn folder() -> Folder {
    let folder = Folder::new();
    let jpeg = std::fs::read(&crops("query", 1)[0]).expect("the crop can be read");
    for name in [
        "a.jpg",
        "b.JPE",
        "c.jfif",
        "deep/d.jpeg",
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "trap.jpg/x.jpg",
        "clip.mp4",
        "e.webp",
        "f.webp",
    ] {
        folder.file(&format!("img/{name}"), &jpeg);
    }
    let picture = image::load_from_memory(&jpeg).expect("a JPEG").into_rgb8();
    for name in ["g.bmp", "h.png"] {
        picture
            .save(folder.at("img").join(name))
            .expect("a picture");
    }
    folder
}

/// `folder` with what should be a picture, and cannot be taken.
fn hostile() -> Folder {
    let folder = folder();
    let jpeg = std::fs::read(&crops("query", 1)[0]).expect("the crop can be read");
    folder.file("img/i\nj.jpg", &jpeg);
    let name = OsStr::from_bytes(b"k\xff.jpg");
    std::fs::write(folder.at("img").join(name), &jpeg).expect("a file");
    pipe(&folder, "img/l.jpg");
    folder
}

const TAKEN: [&str; 6] = ["a.jpg", "b.JPE", "c.jfif", "deep/d.jpeg", "g.bmp", "h.png"];
const KINDS: &str = "passed over: 2 x .webp, 1 x .mp4, 1 x folder @eaDir, 1 x folder trap.jpg";

fn embed(folder: &Folder, source: &str) -> Reid {
    let (model, out) = (&example().model, folder.at("emb.npy"));
    reid![
        "embed",
        folder.at(source),
        "--model",
        model,
        "--out",
        out,
        "--json"
    ]
}

#[test]
fn embed_takes_every_kind_and_counts_the_others() {
    let folder = folder();
    for source in ["img", "img/**/*"] {
        let report = embed(&folder, source).succeeds().says(&[KINDS]).json();
        let counts = (&report["images"], &report["unreadable"]);
        assert_eq!(counts, (&6.into(), &0.into()), "{source}");
        let list = std::fs::read_to_string(folder.at("emb.txt")).expect("a list");
        let root = format!("{}/", folder.at("img").display());
        let listed: Vec<&str> = list
            .lines()
            .map(|line| line.strip_prefix(&root).expect("below the folder"))
            .collect();
        assert_eq!(listed, TAKEN, "{source}");
    }
    // The same pixels whatever they are kept in, but for what a JPEG loses.
    let all: Vec<_> = (TAKEN.iter())
        .map(|name| folder.at("img").join(name))
        .collect();
    let mut call = reid![
        "embed",
        "--model",
        example().model,
        "--out",
        folder.at("two.npy")
    ];
    for path in &all[4..] {
        call = call.with(path);
    }
    call.succeeds();
    let rows = std::fs::read(folder.at("two.npy")).expect("a matrix");
    let (one, two) = rows[128..].split_at((rows.len() - 128) / 2);
    assert_eq!(one, two, "a BMP and a PNG of the same pixels");
}

#[test]
fn what_should_have_been_read_makes_the_work_incomplete() {
    let folder = hostile();
    let lost = [
        KINDS,
        "1 x pipe or device (the first is ",
        "2 x name that is not UTF-8 or has a control character (the first is ",
    ];
    let report = embed(&folder, "img").succeeds_partly().says(&lost).json();
    assert_eq!(
        (&report["images"], &report["unreadable"]),
        (&6.into(), &3.into())
    );
    let list = std::fs::read_to_string(folder.at("emb.txt")).expect("a list");
    assert_eq!(list.lines().count(), 6);

    // As a shell names them, one by one.
    let mut call = reid![
        "embed",
        "--model",
        example().model,
        "--out",
        folder.at("emb.npy")
    ];
    for entry in std::fs::read_dir(folder.at("img")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let ending = path.extension().and_then(OsStr::to_str);
        if !matches!(ending, Some("mp4" | "webp")) && path.to_str().is_some() && !path.is_dir() {
            call = call.with(path);
        }
    }
    let eadir = folder.at("img/@eaDir");
    call.with(eadir).succeeds_partly().says(&[
        "1 x pipe or device",
        "1 x folder @eaDir",
        "1 x name that is not UTF-8",
    ]);

    let model = &example().model;
    let whole = |source| {
        reid![
            "run",
            source,
            "--boxes",
            "whole",
            "--model",
            model,
            "--observations"
        ]
        .with(format!("--threshold={THRESHOLD}"))
    };
    let ended = whole(folder.at("img")).succeeds_partly().says(&lost);
    assert_eq!(ended.observations().len(), 6);
    let clean = self::folder();
    let ended = whole(clean.at("img")).succeeds().says(&[KINDS]);
    assert_eq!(ended.observations().len(), 6);

    let gallery = folder.at("shop.redb");
    let enrolled = reid![
        "enroll",
        "Ada",
        folder.at("img"),
        "--gallery",
        gallery,
        "--model",
        model
    ]
    .with("--json")
    .succeeds_partly()
    .says(&lost)
    .json();
    // They show one crop: a gallery may store it once.
    assert_eq!(enrolled["unreadable"], 3);
    reid![
        "match",
        folder.at("img"),
        "--gallery",
        gallery,
        "--model",
        model
    ]
    .succeeds_partly()
    .says(&lost);
}
