//! A disk that fills up while the program writes: what cannot be written is named, and what people
//! were told of somebody is kept.
//!
//! A limit on the size of files stands for the disk: a write beyond it fails like one without room,
//! and nothing but the program notices.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use media::{Frame, Status};
use serde_json::Value;

use crate::example::{FIGURES, FRAMES, Folder, SIGHTINGS, example, run_over};
use crate::program::{Ended, PROGRAM, Reid, reid};

fn run() -> Reid {
    run_over(&example().clip, &example().boxes).with("--observations")
}

/// How a call ends whose files cannot grow beyond so many bytes, a multiple of 1024.
fn output(call: &Reid, bytes: u64) -> Output {
    // Of Bash, whose blocks are 1024 bytes; those of other shells are not.
    Command::new("bash")
        .args(["-c", "trap '' XFSZ; ulimit -f $(($0 / 1024)); exec \"$@\""])
        .arg(bytes.to_string())
        .arg(PROGRAM)
        .args(call.command().get_args())
        .output()
        .expect("a shell")
}

#[track_caller]
fn limited(call: &Reid, bytes: u64, code: i32) -> Ended {
    let output = output(call, bytes);
    Ended::checked(format!("{call:?} in {bytes} bytes"), output, code)
}

fn names(lines: &[Value]) -> BTreeSet<String> {
    let named = lines.iter().filter_map(|line| line["identity"].as_str());
    named.map(str::to_owned).collect()
}

/// Names and exemplars of those in a gallery.
fn known(gallery: &Path) -> Vec<(String, u64)> {
    let list = reid!["gallery", "list", gallery, "--json"]
        .succeeds()
        .json();
    let identities = list["identities"].as_array().expect("a list");
    let known = identities.iter().map(|identity| {
        let name = identity["name"].as_str().expect("a name");
        (
            name.to_owned(),
            identity["exemplars"].as_u64().expect("a number"),
        )
    });
    known.collect()
}

#[test]
fn a_video_a_page_and_crops_without_room_leave_the_run_alone() {
    let folder = Folder::new();
    let (video, page) = (folder.at("out.avi"), folder.at("out.html"));
    let call = || {
        run()
            .with("--save-video")
            .with(&video)
            .with("--save-crops")
            .with(folder.at("crops"))
    };

    // Room for a part of the video: what is there can be played.
    let ended =
        limited(&call(), 256 << 10, 1).says(&["out.avi: the video ends after", "File too large"]);
    let lines = ended.observations();
    assert_eq!((lines.len(), names(&lines).len()), (SIGHTINGS, FIGURES));
    let told = ended.stderr.matches("the video ends").count();
    assert_eq!(
        told, 2,
        "as it happens, and as the reason: {}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("80 observations"),
        "no table: {}",
        ended.stderr
    );
    let mut shown = media::open(video.to_str().expect("UTF-8"), None).expect("an AVI file");
    let (mut frame, mut frames) = (Frame::default(), 0);
    while shown.read(&mut frame).expect("whole frames") == Status::Frame {
        frames += 1;
    }
    assert!((10..FRAMES * 6).contains(&frames), "{frames} frames");

    // Room for nothing: each is named, the page too, and everybody is recognised.
    std::fs::write(&page, "the page of yesterday").expect("there is room");
    let ended = limited(
        &call().with("--overwrite").with("--report").with(&page),
        0,
        1,
    )
    .says(&[
        "out.avi: ",
        "out.html: ",
        "crops/",
        "File too large",
        "80 observations",
    ]);
    assert_eq!(names(&ended.lines()).len(), FIGURES);
    assert_eq!(
        std::fs::read_to_string(&page).expect("it is there"),
        "the page of yesterday",
        "a page that cannot be replaced stays"
    );
    assert_eq!(folder.partials(), 0, "half a page was left");
}

#[test]
fn a_full_device_in_place_of_a_file_is_written_into_and_kept() {
    let folder = Folder::new();
    // Links of our own, so that a program which replaced what it should write into would replace
    // the link.
    let at = |name: &str| {
        let link = folder.at(name);
        symlink("/dev/full", &link).expect("links can be made");
        link
    };
    let (video, page, gallery) = (at("full.avi"), at("full.html"), folder.at("shop.redb"));
    let ended = run()
        .with("--save-video")
        .with(&video)
        .with("--overwrite")
        .with("--report")
        .with(&page)
        .with("--gallery")
        .with(&gallery)
        .fails()
        .says(&["full.avi: ", "full.html: ", "No space left on device"]);
    for link in [video, page] {
        assert!(link.is_symlink(), "{} was replaced", link.display());
    }
    let seen = names(&ended.lines());
    assert_eq!(seen.len(), FIGURES);
    let kept: BTreeSet<String> = known(&gallery).into_iter().map(|(name, _)| name).collect();
    assert_eq!(seen, kept);

    // A device is no gallery, and stays what it is.
    let device = at("full.redb");
    run()
        .with("--gallery")
        .with(&device)
        .fails()
        .says(&["full.redb"]);
    assert!(device.is_symlink(), "it was replaced");
}

#[test]
fn a_gallery_without_room_keeps_everybody_that_was_told() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    let call = || run().with("--gallery").with(&gallery);

    // No room at all: nothing that looks like a gallery is left in the way.
    limited(&call(), 4096, 1).says(&["shop.redb", "File too large"]);
    assert!(
        !gallery.exists(),
        "the beginning of a gallery is in the way"
    );

    call().succeeds();
    let whole = std::fs::metadata(&gallery).expect("it is there").len();
    let all = known(&gallery);
    std::fs::remove_file(&gallery).expect("it can be removed");

    let mut torn = 0;
    for part in [2, 3, 4, 5, 6, 7, 8, 9, 10, 11] {
        let ended = {
            let bytes = (whole * part / 12) >> 10 << 10;
            let output = output(&call(), bytes);
            let code = output.status.code().expect("it ended by itself");
            let ended = Ended::checked(format!("{part}/12"), output, code);
            match code {
                0 => ended,
                _ => {
                    torn += 1;
                    ended.says(&["shop.redb", "File too large"])
                }
            }
        };
        if !gallery.exists() {
            assert_eq!(ended.stdout, "");
            continue;
        }
        // Everybody that a line named is there.
        let kept: BTreeSet<String> = known(&gallery).into_iter().map(|(name, _)| name).collect();
        let told = names(&ended.lines());
        assert!(
            told.is_subset(&kept),
            "{part}/12: told {told:?}, kept {kept:?}"
        );
        // With room the same gallery goes on.
        call().succeeds();
        assert_eq!(known(&gallery).len(), all.len(), "{part}/12");
        std::fs::remove_file(&gallery).expect("it can be removed");
    }
    assert!(torn > 0, "the disk was never full");

    // A gallery that exists, on a disk without room for more.
    call().succeeds();
    let before = known(&gallery);
    let ended = limited(&call(), 8192, 1).says(&["shop.redb", "File too large"]);
    assert_eq!(known(&gallery), before, "{}", ended.stderr);
}
