//! `reid config check`: whatever a run refuses of a config, it refuses too.

use crate::example::{Folder, example};
use crate::program::reid;

#[test]
fn what_a_run_refuses_the_check_refuses() {
    let folder = Folder::new();
    folder.file("film.mp4", b"\0\0\0\x20ftypisom\0\0");
    folder.file("boxes.csv", "who,where\n");
    let camera = |lines: &str| format!("[[camera]]\nsource = '/dev/video0'\n{lines}\n");
    let cases = [
        (
            "threads = 257".to_owned(),
            "threads is 257, wanted 0 to 256",
        ),
        ("batch = 0".to_owned(), "batch is 0, wanted 1 to 256"),
        ("batch = 257".to_owned(), "batch is 257, wanted 1 to 256"),
        ("device = 'npu'".to_owned(), "`device` is `npu`"),
        (
            "threshold = nan".to_owned(),
            "threshold is NaN, wanted -1 to 1",
        ),
        (
            "threshold = 1.5".to_owned(),
            "threshold is 1.5, wanted -1 to 1",
        ),
        (
            "quality.min_height = -1".to_owned(),
            "`quality.min_height` is -1, wanted 0 to 16384",
        ),
        (
            "quality.min_height = nan".to_owned(),
            "`quality.min_height` is NaN",
        ),
        (
            "quality.min_edge_distance = inf".to_owned(),
            "`quality.min_edge_distance` is inf, wanted -1 to 1",
        ),
        (
            "quality.max_aspect = nan".to_owned(),
            "`quality.max_aspect` is NaN",
        ),
        (
            "quality.max_overlap = 40".to_owned(),
            "`quality.max_overlap` is 40, wanted 0 to 1",
        ),
        (
            "quality.min_sharpness = -1".to_owned(),
            "`quality.min_sharpness` is -1, wanted 0 to",
        ),
        (
            "tracks.crops = 0".to_owned(),
            "crops of a decision is 0, wanted 1 to",
        ),
        ("tracks.min_start_score = nan".to_owned(), "score is NaN"),
        (
            "gallery.max_exemplar_similarity = nan".to_owned(),
            " is NaN, wanted -1 to 1",
        ),
        ("gallery.max_exemplars = 0".to_owned(), "max_exemplars is 0"),
        (
            camera("fps = nan"),
            "wanted 0.001 to 1000 frames per second",
        ),
        (camera("fps = -4"), "wanted 0.001 to 1000 frames per second"),
        (camera("format = 'RGB'"), "`camera.format` is `RGB`"),
        (camera("zones = ['0,0 1,nan']"), "0,0 1,nan"),
        (camera("") + &camera(""), "`/dev/video0` is named twice"),
        (
            camera("name = 'door'") + "[[camera]]\nname = 'door'\nsource = '-'\n",
            "two cameras have the `camera.name` \"door\"",
        ),
        (
            "[[camera]]\nsource = 'gopher://door/1'".to_owned(),
            "gopher",
        ),
        (
            format!("[[camera]]\nsource = {:?}", folder.at("film.mp4")),
            "MP4 or QuickTime",
        ),
        (
            format!(
                "boxes = {:?}\n[[camera]]\nsource = {:?}",
                folder.at("boxes.csv"),
                example().clip
            ),
            "boxes.csv",
        ),
    ];
    for (text, wanted) in cases {
        let config = folder.file("reid.toml", &text);
        reid!["config", "check", config].fails().says(&[wanted]);
        let mut call = reid!["run", "--config", config, "--model", example().model];
        if !text.contains("threshold") {
            call = call.with("--threshold").with("0.5");
        }
        if !text.contains("[[camera]]") {
            call = call.with(&example().clip);
        }
        call.fails().says(&[wanted]);
    }
}

#[test]
fn a_config_for_another_machine_is_possible() {
    let folder = Folder::new();
    for text in [
        "",
        "model = 'elsewhere.onnx'\n[[camera]]\nsource = '/dev/video7'\nboxes = 'elsewhere.csv'",
        "[[camera]]\nsource = 'elsewhere.avi'",
        "[[camera]]\nsource = '-'\nfps = 4\nname = 'door'\n[[camera]]\nsource = '/dev/video0'",
    ] {
        let config = folder.file("reid.toml", text);
        let ended = reid!["config", "check", config].succeeds();
        assert!(ended.stdout.contains("valid"), "{ended:?}");
    }
}

#[test]
fn keys_of_older_versions_are_refused_with_the_new_name() {
    let folder = Folder::new();
    let config = folder.file("reid.toml", "[quality]\nsquat = 0.6");
    let wanted = "key `quality.squat` is now called `quality.max_aspect`";
    reid!["config", "check", config].fails().says(&[wanted]);
    let config = folder.file("new.toml", "[quality]\nmax_aspect = 0.6");
    let mut command = reid!["config", "check", config].command();
    // In pieces, or the check that all variables of this repository are known would find it.
    command.env(format!("REID_{}", "TRACKS_SURE"), "0.4");
    let output = command.output().expect("the program starts");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        stderr.contains("is now called `REID_TRACKS_MIN_START_SCORE`"),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(1), "{stderr}");
}

#[test]
fn variables_that_stand_for_no_key_are_refused() {
    let folder = Folder::new();
    let config = folder.file("reid.toml", "");
    let model = &example().model;
    for call in [
        reid!["config", "check", config],
        reid!["run", example().clip, "--model", model],
    ] {
        let mut command = call.command();
        // In pieces, or the check that all variables of this repository are known would find it.
        command.env(format!("REID_{}", "GALERY_RETENTION"), "1h");
        let output = command.output().expect("the program starts");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("the nearest is `REID_GALLERY_RETENTION`"),
            "{stderr}"
        );
    }
    #[cfg(unix)]
    for (name, code) in [("ELSEWHERE", 0), ("REID_DEVICE", 1)] {
        use std::os::unix::ffi::OsStrExt;
        let mut command = reid!["config", "check", config].command();
        command.env(name, std::ffi::OsStr::from_bytes(b"\xff"));
        let output = command.output().expect("the program starts");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert_eq!(
            stderr.contains("REID_DEVICE: its value is not UTF-8"),
            code == 1,
            "{stderr}"
        );
    }
}

#[test]
fn a_flag_and_its_key_have_one_name() {
    // Flags of one call, and two that are named for one of what their key lists or tabulates.
    const WITHOUT_KEY: [&str; 9] = [
        "config",
        "gallery",
        "help",
        "log-format",
        "log-level",
        "max-frames",
        "overwrite",
        "resize",
        "zone",
    ];
    let keys = reid!["config", "keys", "--json"].succeeds().json();
    let keys: Vec<&str> = keys["keys"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| key["path"].as_str().expect("a text"))
        .collect();
    let help = reid!["run", "--help"].succeeds().stdout;
    let flags: Vec<&str> = help
        .lines()
        .filter_map(|line| line.trim_start().split_once("--"))
        .filter(|(before, _)| before.is_empty() || before.ends_with(", "))
        .filter_map(|(_, rest)| rest.split([' ', '=']).next())
        .collect();
    assert!(flags.contains(&"save-video"), "{flags:?}");
    for flag in flags {
        let name = flag.replace('-', "_");
        let is_key = keys.iter().any(|key| key.rsplit('.').next() == Some(&name));
        assert!(is_key != WITHOUT_KEY.contains(&flag), "--{flag}: {keys:?}");
    }
}
