//! What shows or describes persons is its owner's alone, and crops are deleted in their folder only.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use runtime::gallery::{Gallery, Origin};

use crate::example::{Folder, crops, example, run_over};
use crate::program::{Ended, PROGRAM, Reid, reid};

/// Runs a call under a umask that takes nothing away.
#[track_caller]
fn unmasked(call: &Reid) -> Ended {
    let command = call.command();
    let mut open = Command::new("sh");
    open.args(["-c", "umask 000; exec \"$@\"", "sh", PROGRAM])
        .args(command.get_args())
        .stdin(Stdio::null());
    for (key, value) in command.get_envs() {
        open.env(key, value.expect("only set"));
    }
    Ended::checked(format!("{call:?}"), open.output().expect("sh starts"), 0)
}

fn mode(path: &Path) -> u32 {
    let found = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    found.permissions().mode() & 0o777
}

/// Everything below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(below(&path));
        }
        found.push(path);
    }
    found
}

/// Checks the modes of all that is below a folder, and says how many files that are.
#[track_caller]
fn all_private(folder: &Path) -> usize {
    let found = below(folder);
    for path in &found {
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        let (mode, path) = (mode(path), path.display());
        assert_eq!(mode, wanted, "{path} has mode {mode:o}");
    }
    found.iter().filter(|path| path.is_file()).count()
}

/// A run that writes all that a run can write, into a folder that is there.
fn run(out: &Path) -> Reid {
    run_over(&example().clip, &example().boxes)
        .with("--gallery")
        .with(out.join("shop.redb"))
        .with("--save-crops")
        .with(out.join("new/crops"))
        .with("--report")
        .with(out.join("today.html"))
        .with("--save-video")
        .with(out.join("seen.avi"))
}

#[test]
fn what_shows_or_describes_persons_is_its_owners_alone() {
    let folder = Folder::new();
    let out = folder.at("out");
    fs::create_dir(&out).expect("a folder can be made");
    fs::set_permissions(&out, PermissionsExt::from_mode(0o755)).expect("it is ours");
    unmasked(&run(&out));
    let files = all_private(&out);
    assert!(files > 8, "{files} files");

    let (gallery, copy) = (out.join("shop.redb"), out.join("monday.redb"));
    unmasked(&reid!["gallery", "backup", gallery, copy]);
    unmasked(&reid!["gallery", "forget", gallery, "1"]);
    unmasked(&reid!["gallery", "restore", gallery, copy]);
    let model = &example().model;
    let crop = &crops("query", 1)[0];
    unmasked(&reid![
        "enroll",
        "Ada",
        crop,
        "--gallery",
        out.join("new.redb"),
        "--model",
        model
    ]);
    unmasked(&reid![
        "embed",
        crop,
        "--model",
        model,
        "--out",
        out.join("emb.npy")
    ]);
    unmasked(&reid![
        "demo",
        "--out",
        out.join("demo"),
        "--max-frames",
        "8"
    ]);
    // The gallery, its copy, what was there before, the new gallery, the matrix and its paths; the demo.
    assert!(all_private(&out) >= 12);
    assert_eq!(mode(&out), 0o755, "the folder was there before");
}

#[test]
fn what_an_older_version_left_open_is_closed_by_the_next_change() {
    let folder = Folder::new();
    let out = folder.at("out");
    fs::create_dir_all(out.join("new/crops")).expect("folders can be made");
    run(&out).succeeds();
    for path in below(&out) {
        let wide = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(&path, PermissionsExt::from_mode(wide)).expect("it is ours");
    }
    let again = run(&out);
    // A video is not written over.
    fs::remove_file(out.join("seen.avi")).expect("it is there");
    again.succeeds();
    for name in ["shop.redb", "today.html", "seen.avi"] {
        assert_eq!(mode(&out.join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&out.join("new/crops")), 0o755, "it was there before");
}

#[test]
fn crops_are_deleted_in_their_folder_only() {
    let folder = Folder::new();
    let out = folder.at("out");
    fs::create_dir(&out).expect("a folder can be made");
    run(&out).succeeds();
    let gallery = out.join("shop.redb");
    let kept = out.join("new/crops");
    let shown = reid!["gallery", "show", gallery, "1", "--json"]
        .succeeds()
        .json();
    let name = shown["name"].as_str().expect("a name");
    let before = below(&kept.join(name));
    assert!(!before.is_empty());

    // Somebody puts a link in the place of the person's folder.
    let elsewhere = folder.at("elsewhere");
    fs::rename(kept.join(name), &elsewhere).expect("it can be moved");
    symlink(&elsewhere, kept.join(name)).expect("links can be made");
    let files = below(&elsewhere);
    let report = reid!["gallery", "forget", gallery, "1", "--crops", kept, "--json"]
        .succeeds()
        .says(&["a crop was not deleted", "is a link, wanted a folder"])
        .json();
    assert_eq!(report["crops"]["deleted"], 0);
    assert!(report["crops"]["left"].as_u64() >= Some(1), "{report}");
    assert_eq!(below(&elsewhere), files, "a file elsewhere was deleted");

    // Where there is no link, they go.
    let shown = reid!["gallery", "show", gallery, "2", "--json"]
        .succeeds()
        .json();
    let report = reid!["gallery", "forget", gallery, "2", "--crops", kept, "--json"]
        .succeeds()
        .json();
    assert_eq!(report["crops"]["left"], 0);
    for origin in shown["origins"].as_array().expect("a list") {
        let crop = origin["crop"].as_str().expect("a path");
        assert!(!kept.join(crop).exists(), "{crop} is still there");
    }
}

#[test]
fn a_gallery_cannot_make_another_file_be_read_as_a_crop() {
    let folder = Folder::new();
    let gallery = folder.at("forged.redb");
    fs::create_dir_all(folder.at("crops/ada")).expect("folders can be made");
    fs::create_dir(folder.at("secret")).expect("folders can be made");
    fs::copy(&crops("query", 1)[0], folder.at("secret/1.jpg")).expect("a crop can be copied");
    symlink("../../secret/1.jpg", folder.at("crops/ada/1.jpg")).expect("links can be made");
    let outside = folder.at("secret/1.jpg").display().to_string();
    for (crop, why) in [
        ("../secret/1.jpg", "is no path of a crop"),
        (&outside, "is no path of a crop"),
        ("ada/1.jpg", "is a link, wanted a file"),
    ] {
        let _ = fs::remove_file(&gallery);
        let mut forged = Gallery::create_or_open(&gallery, "forged", 2).expect("a gallery");
        let origin = Origin {
            source: "door".into(),
            frame: Some(1),
            time: 1,
            crop: Some(crop.to_owned()),
        };
        forged
            .enroll("Ada", &[1.0, 0.0], &origin)
            .expect("she is enrolled");
        drop(forged);
        reid![
            "gallery",
            "re-embed",
            gallery,
            "--model",
            example().model,
            "--crops",
            folder.at("crops")
        ]
        .fails()
        .says(&[why, "no crop was found of 1 of 1 people"]);
    }
}
