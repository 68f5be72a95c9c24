//! Galleries that are damaged, of another model, in use, on a full disk: an error that says what to
//! do, and nothing lost that was acknowledged.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use fixtures::street::Random;

use crate::example::{Folder, crops, example, run_over};
use crate::program::{Ended, PROGRAM, Reid, reid};

/// A run over the example's clip that remembers in `gallery`.
fn run(gallery: &Path) -> Reid {
    run_over(&example().clip, &example().boxes)
        .with("--gallery")
        .with(gallery)
        .with("--json")
}

fn list(gallery: &Path) -> Reid {
    reid!["gallery", "list", gallery, "--json"]
}

/// Checks that every command which opens a gallery refuses this one, and leaves it as it is.
#[track_caller]
fn refused(gallery: &Path, why: &[&str]) {
    let before = std::fs::read(gallery).ok();
    let (crop, model) = (&crops("query", 1)[0], &example().model);
    for call in [
        run(gallery),
        list(gallery),
        reid!["gallery", "show", gallery, "1"],
        reid!["gallery", "forget", gallery, "1"],
        reid!["match", crop, "--gallery", gallery, "--model", model],
        reid![
            "enroll",
            "Ada",
            crop,
            "--gallery",
            gallery,
            "--model",
            model
        ],
    ] {
        let ended = call.fails().says(why);
        assert_eq!(ended.stdout, "");
    }
    assert_eq!(std::fs::read(gallery).ok(), before, "the file was changed");
}

#[test]
fn a_file_that_is_no_gallery_is_refused_and_not_touched() {
    let folder = Folder::new();
    let mut random = Random::new(5);
    let noise: Vec<u8> = (0..20_000)
        .map(|_| (random.number() * 127.0) as i8 as u8)
        .collect();
    refused(
        &folder.file("noise.redb", noise),
        &["noise.redb", "is no gallery"],
    );
    refused(
        &folder.file("text.redb", "Ada, Bob\n"),
        &["text.redb", "is no gallery"],
    );
    std::fs::create_dir(folder.at("folder.redb")).expect("folders can be made");
    refused(&folder.at("folder.redb"), &["folder.redb"]);
}

#[test]
fn a_gallery_that_was_cut_or_changed_is_refused_as_damaged() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    run(&gallery).succeeds();
    let whole = std::fs::read(&gallery).expect("the gallery can be read");
    for length in [whole.len() / 2, whole.len() - 4096] {
        let cut = folder.file("cut.redb", &whole[..length]);
        refused(&cut, &["cut.redb"]);
    }
    // The embeddings of the first figure, somewhere in the middle: overwrite every page but the
    // first with noise.
    let mut changed = whole.clone();
    changed[4096..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    let changed = folder.file("changed.redb", &changed);
    refused(&changed, &["changed.redb", "damaged", "restore a copy"]);
    // The copy that was told of works.
    assert_eq!(
        list(&gallery).succeeds().json()["identities"]
            .as_array()
            .map(Vec::len),
        Some(8)
    );
}

#[test]
fn a_gallery_that_is_not_there_is_only_made_by_who_adds_to_it() {
    let folder = Folder::new();
    let gallery = folder.at("nobody.redb");
    let (crop, model) = (&crops("query", 1)[0], &example().model);
    for call in [
        list(&gallery),
        reid!["match", crop, "--gallery", gallery, "--model", model],
    ] {
        call.fails()
            .says(&["no gallery at", "nobody.redb", "enrolling"]);
    }
    assert!(!gallery.exists());
    let nowhere = folder.at("no/folder/shop.redb");
    run(&nowhere)
        .fails()
        .says(&["no/folder/shop.redb", "not found"]);
}

#[test]
fn a_gallery_of_another_space_is_refused_with_both_named() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    run(&gallery).succeeds();
    let (crop, model) = (&crops("query", 1)[0], &example().model);
    let space = |resize: &str| {
        let report = reid![
            "embed",
            crop,
            "--model",
            model,
            "--out",
            folder.at("emb.npy"),
            "--resize",
            resize,
            "--json"
        ]
        .succeeds()
        .json();
        report["space"].as_str().expect("a text").to_owned()
    };
    let (found, wanted) = (list(&gallery).succeeds().json(), space("cv-bilinear"));
    let found = found["space"].as_str().expect("a text");
    assert_ne!(found, wanted);
    let says = [
        "shop.redb",
        found,
        &wanted,
        "use the model that the gallery was made with",
    ];
    run(&gallery)
        .with("--resize")
        .with("cv-bilinear")
        .fails()
        .says(&says);
    reid![
        "match",
        crop,
        "--gallery",
        gallery,
        "--model",
        model,
        "--resize",
        "cv-bilinear"
    ]
    .fails()
    .says(&says);
    reid![
        "enroll",
        "Ada",
        crop,
        "--gallery",
        gallery,
        "--model",
        model,
        "--resize",
        "cv-bilinear"
    ]
    .fails()
    .says(&says);
}

#[test]
fn two_processes_do_not_share_a_gallery() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    // Eleven times the clip: the first process is still at work when it is stopped.
    let mut first = run(&gallery).with("--observations");
    for _ in 0..10 {
        first = first.with(&example().clip);
    }
    let mut first = first
        .command()
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut stdout = BufReader::new(first.stdout.take().expect("it is piped"));
    let mut lines = String::new();
    stdout.read_line(&mut lines).expect("a first line");

    // A second run is refused at once; a command waits for a frame that does not come.
    let send = |signal: &str| {
        let status = Command::new("kill")
            .args([signal, &first.id().to_string()])
            .status();
        assert!(status.expect("kill is there").success());
    };
    send("-STOP");
    for second in [run(&gallery), list(&gallery)] {
        let ended = second
            .fails()
            .says(&["shop.redb is in use by another process"]);
        assert_eq!(ended.stdout, "");
    }
    send("-CONT");

    stdout.read_to_string(&mut lines).expect("the other lines");
    assert!(first.wait().expect("the program ends").success());
    let observations = lines.lines().filter(|line| line.contains("\"schema\":1,"));
    assert_eq!(observations.count(), 11 * 80, "the first has lost nothing");
    let known = list(&gallery).succeeds().json();
    assert_eq!(known["identities"].as_array().map(Vec::len), Some(8));
}

/// Runs a call whose files may not grow beyond `bytes`. What the system then answers to a write is
/// EFBIG instead of ENOSPC; both reach the program as a failed write.
fn with_files_up_to(bytes: usize, call: &Reid) -> Ended {
    let command = call.command();
    let mut limited = Command::new("sh");
    // POSIX counts in blocks of 512 bytes. The signal that comes with the error would end us.
    let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
    limited
        .args(["-c", script, &(bytes / 512).to_string(), PROGRAM])
        .args(command.get_args())
        .stdin(Stdio::null());
    let output = limited.output().expect("sh starts");
    Ended::checked(format!("{call:?} with files up to {bytes}"), output, 1)
}

#[test]
fn a_disk_too_full_for_a_gallery_is_told() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    // A new gallery takes 72 KiB.
    let ended = with_files_up_to(1 << 15, &run(&gallery)).says(&["shop.redb", "File too large"]);
    assert_eq!(ended.stdout, "");
    // What that left behind is in nobody's way.
    run(&gallery).succeeds().says(&["8 new, 0 known before"]);
}

#[test]
fn a_disk_that_fills_up_loses_nothing_that_was_acknowledged() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    // Every picture by itself, and a threshold that nobody reaches: every observation is somebody
    // new. What is kept of each holds the name of the source, here 3 KB long, so that the file soon
    // outgrows its limit.
    let example = example();
    let folder_of_example = example.clip.parent().expect("it is in a folder");
    let long = folder_of_example.join("./".repeat(1500));
    let run = |threshold: &str| {
        reid![
            "run",
            format!("{}figures.avi", long.display()),
            format!("{}crops", long.display()),
            "--boxes",
            "whole",
            "--model",
            example.model,
            "--gallery",
            gallery,
            "--observations",
            "--threshold",
            threshold
        ]
    };
    let ended = with_files_up_to(5 << 17, &run("1")).says(&[
        "shop.redb: the change was not stored",
        "File too large",
        " persons in ",
    ]);
    let lines = ended.observations();
    assert!((20..180).contains(&lines.len()), "{} lines", lines.len());

    let names = || {
        let known = list(&gallery).succeeds().json();
        let known = known["identities"].as_array().expect("a list").clone();
        let name = |known: &serde_json::Value| known["name"].as_str().map(str::to_owned);
        known.iter().filter_map(name).collect::<Vec<String>>()
    };
    let kept = names();
    let said: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["identity"].as_str())
        .collect();
    assert_eq!(kept, said, "the gallery is not what was acknowledged");

    // With room again, it goes on where it was.
    let more = run("0.99")
        .with("--max-frames")
        .with("2")
        .succeeds()
        .observations();
    assert_eq!(names()[..kept.len()], kept);
    // The first two frames came before: they are the same pictures.
    let early = &more[..2];
    assert!(
        early.iter().all(|line| line["state"] == "seen"),
        "{early:?}"
    );
}

#[test]
fn a_full_disk_keeps_the_matrix_that_was_there() {
    let folder = Folder::new();
    let out = folder.file("emb.npy", b"what was there before");
    let query = example().crops.join("query");
    let call = reid!["embed", query, "--model", example().model, "--out", out];
    with_files_up_to(1024, &call).says(&["emb.npy", "File too large"]);
    assert_eq!(
        std::fs::read(&out).expect("it is there"),
        b"what was there before"
    );
    assert_eq!(folder.partials(), 0, "half a matrix was left");
}

#[test]
fn a_link_to_a_gallery_is_followed_and_a_second_name_is_refused() {
    let folder = Folder::new();
    let (gallery, link) = (folder.at("shop.redb"), folder.at("link.redb"));
    std::os::unix::fs::symlink("shop.redb", &link).expect("links can be made");
    run(&link).succeeds();
    let known = list(&gallery).succeeds().json();
    let name = known["identities"][0]["name"].as_str().expect("a name");
    let holds = |path: &Path| {
        let bytes = std::fs::read(path).expect("the gallery can be read");
        let mut parts = bytes.windows(name.len());
        parts.any(|part| part == name.as_bytes())
    };
    assert!(holds(&gallery));

    // A second name keeps all of the file that a rewrite replaces.
    let second = folder.at("second.redb");
    std::fs::hard_link(&gallery, &second).expect("links can be made");
    for path in [&gallery, &link, &second] {
        reid!["gallery", "forget", path, name]
            .fails()
            .says(&[".redb has 2 names (hard links)", "reid gallery backup"]);
        list(path).succeeds();
    }
    assert!(holds(&gallery) && holds(&second));
    let copy = folder.at("copy.redb");
    reid!["gallery", "backup", gallery, copy].succeeds();
    reid!["gallery", "backup", gallery, second, "--force"]
        .fails()
        .says(&["second.redb has 2 names"]);
    std::fs::remove_file(&second).expect("it is ours");

    reid!["gallery", "forget", link, name].succeeds();
    assert!(link.is_symlink(), "the link was replaced");
    assert!(!holds(&gallery), "who was forgotten is in the file");
}

/// The bytes of a file, and when it was changed.
fn trace(path: &Path) -> (Vec<u8>, std::time::SystemTime) {
    let metadata = std::fs::metadata(path).expect("it is there");
    let changed = metadata.modified().expect("it has a time");
    (std::fs::read(path).expect("it can be read"), changed)
}

#[test]
fn what_is_only_read_is_not_written_to() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let shelf = folder.at("shelf");
    std::fs::create_dir(&shelf).expect("folders can be made");
    let gallery = shelf.join("shop.redb");
    run(&gallery).succeeds();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("it is ours");
    };
    // As on a read-only disk; a user who may do everything is told apart by the traces alone.
    mode(&gallery, 0o444);
    mode(&shelf, 0o555);
    let before = trace(&gallery);
    let (copy, restored) = (folder.at("copy.redb"), folder.at("restored.redb"));
    let (crop, model) = (&crops("query", 1)[0], &example().model);
    for call in [
        list(&gallery),
        reid!["gallery", "show", gallery, "1"],
        reid!["gallery", "prune", gallery, "--keep", "0", "--dry-run"],
        reid!["match", crop, "--gallery", gallery, "--model", model],
        reid!["gallery", "backup", gallery, copy],
        reid!["gallery", "restore", restored, gallery],
    ] {
        call.succeeds();
        assert!(trace(&gallery) == before, "the gallery was written to");
    }
    let names = std::fs::read_dir(&shelf).expect("it can be listed").count();
    assert_eq!(names, 1, "something was written beside the gallery");
    mode(&shelf, 0o755);

    let before = trace(&copy);
    reid!["gallery", "restore", restored, copy].succeeds();
    list(&copy).succeeds();
    assert!(trace(&copy) == before, "the copy was written to");
}

#[test]
fn two_processes_read_a_gallery_at_a_time() {
    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    run(&gallery).succeeds();
    let reading = runtime::gallery::GalleryView::inspect(&gallery).expect("a gallery");
    list(&gallery).succeeds();
    run(&gallery)
        .fails()
        .says(&["shop.redb is in use by another process"]);
    assert_eq!(reading.len(), 8);
}

#[test]
fn what_may_not_be_read_or_written_is_told() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let gallery = folder.at("shop.redb");
    run(&gallery).succeeds();
    std::fs::set_permissions(&gallery, PermissionsExt::from_mode(0o000)).expect("it is ours");
    if std::fs::read(&gallery).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    for call in [run(&gallery), list(&gallery)] {
        call.fails().says(&["shop.redb", "Permission denied"]);
    }
}
