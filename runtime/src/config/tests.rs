use super::*;
use toml::Value;

fn parse(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, "reid.toml", env).map_err(|error| error.to_string())
}

#[test]
fn the_example_has_every_key_and_each_is_explained() {
    parse(EXAMPLE, &[]).unwrap();
    let all: String = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix("#:").unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    // `deny_unknown_fields` refuses a key of the example that no field holds.
    assert_eq!(parse(&all, &[]).unwrap().camera.len(), 1);
    for section in [
        "", "quality.", "tracks.", "visits.", "gallery.", "output.", "camera.",
    ] {
        let mut table = Table::new();
        settings::put(&mut table, &format!("{section}no_field"), 1.into()).unwrap();
        if section == "camera." {
            let camera = table.remove("camera").unwrap();
            table.insert("camera".to_owned(), Value::Array(vec![camera]));
        }
        let error = from(table, "test").unwrap_err().to_string();
        let (_, fields) = error.split_once("expected ").expect(section);
        // Behind the list stands where it is from.
        let fields = fields.split(" in `").next().expect("there is a first part");
        for field in fields.split('`').skip(1).step_by(2) {
            let path = format!("{section}{field}");
            let known = KEYS
                .iter()
                .any(|key| key.path == path || key.path.starts_with(&format!("{path}.")));
            assert!(known, "`{path}` is not in configs/reid.toml");
        }
    }
    for Key {
        path,
        default,
        meaning,
    } in KEYS.iter()
    {
        assert!(!default.is_empty(), "{path}: no default");
        assert!(meaning.len() > 10, "{path}: {meaning}");
    }
}

#[test]
fn defaults_and_meanings_come_from_the_comments() {
    let key = |path: &str| {
        let key = KEYS.iter().find(|key| key.path == path).expect(path);
        (key.default.as_str(), key.meaning.as_str())
    };
    let wanted = ("auto", "What computes: auto, gpu, cpu or tract");
    assert_eq!(key("device"), wanted);
    let wanted = ("chosen by the camera", "Requested width in pixels");
    assert_eq!(key("camera.width"), wanted);
    let wanted = ("unchanged", "Controls of the camera and their values");
    assert_eq!(key("camera.controls"), wanted);
}

#[test]
fn old_keys_and_variables_are_refused_with_the_new_name() {
    for (old, new) in RENAMED {
        let known = |path: &str| KEYS.iter().any(|key| key.path == path);
        assert!(known(new) && !known(old), "{old}");
        let (section, name) = old.split_once('.').unwrap();
        let error = parse(&format!("[{section}]\n{name} = 1"), &[]).unwrap_err();
        let wanted = format!("reid.toml: key `{old}` is now called `{new}`");
        assert_eq!(error, wanted);
        let (old, new) = (variable(old), variable(new));
        let error = parse("", &[(&old, "1")]).unwrap_err();
        let wanted = format!("environment: the variable `{old}` is now called `{new}`");
        assert_eq!(error, wanted);
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
