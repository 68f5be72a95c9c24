use super::*;
use toml::Value;

fn parse(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, "reid.toml", env).map_err(|error| error.to_string())
}

#[test]
fn the_example_says_every_key_and_nothing_else() {
    let text = include_str!("../../../configs/reid.toml");
    // Keys that have no sensible value for everybody stand behind a `#`.
    let all: String = text
        .lines()
        .map(|line| line.strip_prefix("#:").unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    parse(text, &[]).unwrap();
    let config = parse(&all, &[]).unwrap();
    assert_eq!(config.camera.len(), 1);
    let table: Table = all.parse().unwrap();
    for key in KEYS {
        let mut at = Value::Table(table.clone());
        for part in key.path.split('.') {
            at = match &at {
                Value::Array(several) => several[0].clone(),
                other => other.clone(),
            };
            at = at
                .get(part)
                .unwrap_or_else(|| panic!("`{}` is missing", key.path))
                .clone();
        }
    }
}

#[test]
fn wrong_keys_and_values_are_named() {
    struct Case(
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let cases = [
        Case(
            "misspelt",
            "treshold = 0.5",
            &[],
            "unknown key `treshold`; the nearest is `threshold`",
        ),
        Case(
            "in a section",
            "[gallery]\nretain = '1h'",
            &[],
            "`gallery.retain`; the nearest is `gallery.ret",
        ),
        Case(
            "in a camera",
            "[[camera]]\nsource = '-'\nzone = []",
            &[],
            "the nearest is `camera.zones`",
        ),
        Case("no TOML", "threshold = ", &[], "reid.toml: line 1"),
        Case("wrong type", "threads = 'two'", &[], "expected usize"),
        Case(
            "no duration",
            "[tracks]\nmax_gap = 'soon'",
            &[],
            "wanted such as 24h",
        ),
        Case(
            "camera without source",
            "[[camera]]\nname = 'door'",
            &[],
            "source",
        ),
        Case("variable", "", &[("REID_BATCH", "many")], "REID_BATCH"),
    ];
    for Case(name, text, env, wanted) in cases {
        let error = parse(text, env).expect_err(name);
        assert!(error.contains(wanted), "{name}: {error}");
    }
}

#[test]
fn variables_stand_over_the_file() {
    let text = "threshold = 0.5\n[gallery]\nretention = '1h'";
    let env = [
        ("REID_THRESHOLD", "0.7"),
        ("REID_GALLERY_RETENTION", "2h"),
        ("REID_GALLERY_FILE", "shop.redb"),
        ("REID_OUTPUT_JSON", "true"),
        ("REID_REQUIRE", "gpu"),
    ];
    let config = parse(text, &env).unwrap();
    assert_eq!(config.threshold, Some(0.7));
    assert_eq!(config.gallery.retention, Some(Duration::from_secs(7200)));
    assert_eq!(config.gallery.file.as_deref(), Some(Path::new("shop.redb")));
    assert!(config.output.json);
}

#[test]
fn misspelt_variables_are_named_with_the_nearest() {
    for (name, nearest) in [
        ("REID_TRESHOLD", "`REID_THRESHOLD`"),
        ("REID_GALERY_RETENTION", "`REID_GALLERY_RETENTION`"),
        ("REID_OUTPUT", "`REID_OUTPUT_"),
        ("REID_CAMERA_SOURCE", "`REID_"),
        ("REID_threads", "`REID_"),
        ("REID_REQUIRED", "`REID_"),
    ] {
        let error = parse("", &[(name, "1")]).unwrap_err();
        let wanted =
            format!("environment: no key has the variable `{name}`; the nearest is {nearest}");
        assert!(error.starts_with(&wanted), "{error}");
    }
    parse(
        "",
        &[("REIDENTIFY", "1"), ("PATH", "1"), ("REID_TEST_X", "1")],
    )
    .unwrap();
}

/// Every variable that sources, scripts and checks of this repository name can be set while
/// they call `reid`.
#[test]
fn variables_of_the_repository_are_known() {
    let mut files = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")];
    let mut found = 0;
    while let Some(path) = files.pop() {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && !matches!(name, "target" | ".git" | ".libtorch" | "vendor") {
            let entries = std::fs::read_dir(&path).unwrap();
            files.extend(entries.map(|entry| entry.unwrap().path()));
        }
        let read = [".rs", ".py", ".yml", ".yaml", ".sh"];
        if path.ends_with("runtime/src/config/tests.rs")
            || !read.iter().any(|end| name.ends_with(end))
        {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for (at, _) in text.match_indices("REID_") {
            let letter = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
            let name = text[at..].split(letter).next().unwrap_or_default();
            let known = check_variable(name).is_ok() || name == "REID_";
            assert!(known, "{}: {name}", path.display());
            found += 1;
        }
    }
    assert!(found > 3, "{found}");
}

#[test]
fn camera_controls_have_names_of_their_own() {
    let text = "[[camera]]\nsource = '/dev/video0'\n[camera.controls]\nexposure_auto = 1";
    assert_eq!(
        parse(text, &[]).unwrap().camera[0].controls["exposure_auto"],
        1
    );
}
