use super::*;
use crate::show::tests::Full;

const CROP: [u8; 16 * 32 * 3] = [90; 16 * 32 * 3];

fn run() -> Run {
    Run {
        sources: vec!["clip.avi".to_owned()],
        model: "person.onnx".to_owned(),
        space: "0123456789abcdefghij".to_owned(),
        threshold: 0.5,
        started: 1_767_323_045_678,
        live: true,
    }
}

fn seen(identity: &str, second: u64) -> Sighting<'_> {
    Sighting {
        source: "clip.avi",
        frame: second,
        stream_time: Duration::from_secs(second),
        time: 1_767_323_045_678 + second * 1000,
        identity: Some(identity),
        similarity: Some(0.75),
        runner_up: None,
        state: State::Seen,
        quality: 0.5,
    }
}

fn event(visit: u64, kind: EventKind<'_>) -> Event<'_> {
    Event {
        visit,
        track: visit,
        source: "clip.avi",
        time: std::time::SystemTime::UNIX_EPOCH,
        stream_time: Duration::ZERO,
        kind,
    }
}

fn identified(visit: u64, identity: &str) -> Event<'_> {
    let kind = EventKind::Identified {
        identity,
        new: false,
        returning: false,
        last_seen: None,
        absence: None,
        similarity: None,
        runner_up: None,
        threshold: 0.5,
    };
    event(visit, kind)
}

#[test]
fn a_person_who_was_a_mistake_loses_the_row() {
    let mut report = Report::new(run());
    for (visit, name) in [(1, "anna"), (2, "bert"), (3, "bert")] {
        observe(&mut report, &seen(name, visit));
        report.event(&identified(visit, name));
    }
    for (visit, from) in [(1, "anna"), (3, "bert")] {
        let kind = EventKind::IdentityChanged {
            from: Some(from),
            to: None,
            moved_to: Some(visit),
            withdrawn: false,
        };
        report.event(&event(visit, kind));
    }
    let page = page(&report, &Totals::default());
    assert!(!page.contains("anna"), "{page}");
    assert!(page.contains("2 times in 1 visit<"), "{page}");
}

fn page(report: &Report, totals: &Totals<'_>) -> String {
    let mut out = Vec::new();
    report.write(&mut out, totals).unwrap();
    String::from_utf8(out).unwrap()
}

fn observe(report: &mut Report, sighting: &Sighting<'_>) {
    report.observe(sighting, &CROP, 16, 32).unwrap();
}

#[test]
fn the_page_says_what_was_seen() {
    let mut report = Report::new(run());
    let newcomer = Sighting {
        similarity: None,
        runner_up: Some(("bert", 0.46)),
        state: State::New,
        ..seen("anna", 1)
    };
    observe(&mut report, &newcomer);
    for (second, similarity) in [(2, 0.9), (3, 0.7), (1000, 0.8)] {
        let again = Sighting {
            similarity: Some(similarity),
            runner_up: Some(("bert", 0.67)),
            ..seen("anna", second)
        };
        observe(&mut report, &again);
    }
    observe(&mut report, &seen("bert", 1001));
    for (visit, identity) in [(1, "anna"), (2, "anna"), (3, "bert")] {
        report.event(&identified(visit, identity));
    }
    let undecided = Sighting {
        identity: None,
        ..seen("", 5)
    };
    observe(&mut report, &undecided);
    let totals = Totals {
        visits: 3,
        returns: 1,
        persons: 2,
        new: 1,
        observations: 6,
        undecided: 1,
        frames: 1234,
        elapsed: Duration::from_secs(61),
        passed_over: &[(3, "too small person"), (0, "broken frame")],
        error: Some("the camera is <gone>"),
    };
    let page = page(&report, &totals);
    for wanted in [
        "<b>2</b> <span>persons</span>",
        "<b>1</b> <span>new</span>",
        "<b>1</b> <span>known before</span>",
        "<b>6</b> <span>observations</span>",
        "<b>1\u{202f}234</b> <span>frames</span>",
        "<dd>1:01</dd>",
        "2026-01-02 03:04:05 UTC",
        "0123456789abcdef…",
        "3 × too small person; 1 × observation without a decided identity",
        "the camera is &lt;gone&gt;",
        r#"<bdi>anna</bdi><span class="badge">new</span>"#,
        r#"<bdi>bert</bdi><span class="badge good">known</span>"#,
        "4 times in 2 visits",
        "0:01.0 <small>2026-01-02 03:04:06 UTC</small>",
        "0.80 <small>mean, least 0.70",
        // The closest: 0.70 against 0.67, not 0.50 against 0.46.
        "0.67, 0.03 away <small><bdi>bert</bdi>",
        // Of all similarities and the threshold: 0.5 to 0.9.
        "Similarities, 0.5 to 1.0",
        "<text x=\"20\" y=\"192\">0.4</text>",
        "<b>0.030</b> between them",
        "from 0:00 to 16:41",
    ] {
        assert!(page.contains(wanted), "{wanted}\n{page}");
    }
    assert!(!page.contains("broken frame"));
    // One doubt for the pair, with the crop of each.
    assert_eq!(page.matches("strip pair").count(), 1);
    assert_eq!(page.matches("class=\"dot\"").count(), 2);
}

#[test]
fn a_known_person_is_not_called_new() {
    let mut report = Report::new(run());
    // Decided before, and not compared in this frame.
    let followed = Sighting {
        similarity: None,
        runner_up: Some(("anna", 0.49)),
        ..seen("bert", 1)
    };
    observe(&mut report, &followed);
    let page = page(&report, &Totals::default());
    assert!(page.contains(r#"<bdi>bert</bdi><span class="badge good">known</span>"#));
    assert!(
        !page.contains("<b>new</b>") && !page.contains("strip pair"),
        "{page}"
    );
}

#[test]
fn the_page_fetches_nothing_and_runs_nothing() {
    let hostile = "<script src=//x>\"'&</style><img onerror=x>\0\u{202e}";
    let mut run = run();
    run.sources = vec![hostile.to_owned()];
    run.model = hostile.to_owned();
    run.space = hostile.to_owned();
    let mut report = Report::new(run);
    for second in 0..3 {
        let sighting = Sighting {
            source: hostile,
            runner_up: Some((hostile, 0.74)),
            ..seen(hostile, second)
        };
        observe(&mut report, &sighting);
    }
    let totals = Totals {
        passed_over: &[(1, hostile)],
        error: Some(hostile),
        ..Totals::default()
    };
    let page = page(&report, &totals);
    let lower = page.to_lowercase();
    for unwanted in [
        "<script",
        "onerror=x>",
        "http:",
        "https:",
        "url(",
        "@import",
        "<link",
    ] {
        assert!(!lower.contains(unwanted), "{unwanted}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
    for image in page.split("<img ").skip(1) {
        assert!(image.contains(r#" src="data:image/jpeg;base64,/9j/"#));
    }
    // No attribute can be left: quotes are where the page has put them.
    let tags = page.split("<img ").skip(1);
    assert!(
        tags.map(|tag| tag.split('>').next().unwrap())
            .all(|tag| tag.matches('"').count() == 6)
    );
}

#[test]
fn a_page_of_files_has_no_times_of_the_clock() {
    let mut report = Report::new(Run {
        live: false,
        ..run()
    });
    observe(&mut report, &seen("anna", 61));
    let page = page(&report, &Totals::default());
    assert!(page.contains("<dt>First</dt><dd>1:01</dd>"), "{page}");
    assert!(!page.contains("03:05"), "{page}");
}

#[test]
fn an_empty_run_has_a_page() {
    let page = page(&Report::new(run()), &Totals::default());
    assert!(page.contains("No person was seen."));
    assert!(page.contains("<dt>Passed over</dt><dd>nothing</dd>"));
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn a_run_without_end_stays_small() {
    let mut report = Report::new(run());
    let mut seed = 1_u32;
    let mut noise = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    // As hard to compress as crops can be, and new ones all the time.
    let crop: Vec<u8> = (0..96 * 192 * 3).map(|_| noise()).collect();
    let names: Vec<_> = (0..MAX_PEOPLE as u64 + 20)
        .map(|number| format!("person-{number:06}"))
        .collect();
    for second in [0, 1] {
        for (name, rival) in names.iter().zip(names.iter().skip(1)) {
            let sighting = Sighting {
                runner_up: Some((rival, 0.74)),
                ..seen(name, second)
            };
            // A small one, so that the test does not take long.
            report.observe(&sighting, &CROP, 16, 32).unwrap();
        }
    }
    assert_eq!(report.people.len(), MAX_PEOPLE);
    assert_eq!(report.doubts.len(), MAX_DOUBTS);
    let text = page(&report, &Totals::default());
    assert!(
        text.contains("19 more persons with 38 observations not shown."),
        "others"
    );

    // A day in the life of one of the first, and of one of the last.
    for (name, most) in [
        (&names[0], MAX_CROPS),
        (&names[MAX_PEOPLE - 1], MAX_CROPS / 2),
    ] {
        for minute in 0..1440 {
            let sighting = seen(name, 60 * minute);
            report.observe(&sighting, &crop, 96, 192).unwrap();
        }
        let thumbs = report.people[name].strip.thumbs();
        assert!(
            thumbs.len() <= most && thumbs.len() > most / 2,
            "{}",
            thumbs.len()
        );
        assert!(
            thumbs
                .iter()
                .all(|thumb| thumb.jpeg.len() <= MAX_CROP_BYTES)
        );
    }
    // What the documentation promises: so many crops of so many bytes, in base64.
    let crops = MANY * MAX_CROPS + (MAX_PEOPLE - MANY) * MAX_CROPS / 2 + 2 * MAX_DOUBTS;
    assert!(crops * MAX_CROP_BYTES * 4 / 3 < 28_000_000);
    let without = page(&report, &Totals::default()).len();
    assert!(without < 3_000_000, "{without}");
}

#[test]
fn endless_names_are_cut() {
    let endless = "é".repeat(100_000);
    let mut report = Report::new(run());
    let sighting = Sighting {
        source: &endless,
        runner_up: Some((&endless, 0.7)),
        ..seen(&endless, 0)
    };
    observe(&mut report, &sighting);
    assert_eq!(
        report.people.keys().next().unwrap().chars().count(),
        MAX_NAME
    );
    assert!(page(&report, &Totals::default()).len() < 20_000);
}

#[test]
fn a_full_disk_keeps_the_page_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.html");
    let mut report = Report::new(run());
    report.finish(&path, &Totals::default()).unwrap();
    let before = std::fs::read(&path).unwrap();
    observe(&mut report, &seen("anna", 0));
    let error = report
        .write(
            &mut Full {
                out: io::sink(),
                room: 5000,
            },
            &Totals::default(),
        )
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let nowhere = folder.path().join("no/out.html");
    assert!(report.finish(&nowhere, &Totals::default()).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    report.finish(&path, &Totals::default()).unwrap();
    assert!(std::fs::read(&path).unwrap().len() > before.len());
    let error = report.observe(&seen("anna", 0), &CROP, 16, 31).unwrap_err();
    assert!(matches!(error, crate::show::Error::Argument(_)));
}
