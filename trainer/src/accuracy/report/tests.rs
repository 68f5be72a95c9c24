use std::fs;

use retrieval::open_set::{OperatingPoint, TargetPoint};
use serde_json::Value;

use super::*;
use crate::accuracy::collapse::FloatAndInt8;
use crate::accuracy::compare;
use crate::accuracy::tests::{comparison_with_drop, corner, corner_settings};

const HOSTILE: &str = "<script src=//x>\"'&</style>";

/// A report in which everything is known, with numbers that differ.
fn report() -> AccuracyReport {
    let (people, float, int8) = corner();
    let comparison = compare(&people, &float, &int8, corner_settings()).unwrap();
    let before = PrecisionCost {
        layers: 57,
        layers_float: 57,
        macs: 4_053_123_456,
        macs_float: 4_053_123_456,
        bytes: 94_012_348,
        bytes_float: 93_811_200,
    };
    let after = PrecisionCost {
        layers_float: 3,
        macs_float: 81_062_469,
        bytes: 24_871_316,
        bytes_float: 1_180_672,
        ..before
    };
    let harm = |layer: &str, loss: f64| LayerSensitivity {
        layer: layer.to_owned(),
        loss,
        cosine_min: 1.0 - 3.5 * loss,
        map_drop: loss / 7.0,
    };
    let point = |threshold: f32, fpir: f64, fnir: f64| OperatingPoint {
        threshold,
        fpir,
        fnir,
    };
    let layer = LayerReport {
        name: "layer1.0.conv1".to_owned(),
        op: "Conv".to_owned(),
        float: false,
        method: "percentile".to_owned(),
        range: Some([-0.1875, 4.2031]),
        scale: Some(0.017_218_43),
        zero: Some(11),
        histogram: Some(Bins {
            from: -0.5,
            width: 0.25,
            counts: vec![1, 0, 900, 250, 3],
            zeros: 77_777,
        }),
        mse: Some(1.234e-5),
        sqnr: Some(38.4),
        weight_sqnr: Some(43.6),
        macs: 118_013_952,
        weights: 36_864,
    };
    let kept = LayerReport {
        name: "conv1".to_owned(),
        op: layer.op.clone(),
        float: true,
        macs: layer.macs,
        weights: layer.weights,
        ..LayerReport::default()
    };
    let evaluation = Evaluation {
        collapse: Some(CollapseCheck {
            crops: 613,
            different_persons: FloatAndInt8 {
                float: 0.1234,
                int8: 0.1357,
            },
            rank: FloatAndInt8 {
                float: 41.25,
                int8: 40.75,
            },
            cosine_mean: 0.998_761,
            cosine_min: 0.971_532,
        }),
        comparison: Some(comparison),
        open_set: Some(OpenSet {
            mate_searches: 1234,
            non_mate_searches: 1240,
            operating: vec![TargetPoint {
                target: 0.01,
                point: point(0.5625, 0.0097, 0.1123),
            }],
            equal_error: point(0.5123, 0.0421, 0.0423),
            curve: vec![
                point(0.1, 1.0, 0.0),
                point(0.5, 0.05, 0.04),
                point(0.9, 0.0, 1.0),
            ],
        }),
        budget: Some(DropBudget {
            max_map_drop: 0.0035,
            kept: vec!["conv1".to_owned()],
            trials: vec![
                BudgetTrial {
                    kept: 0,
                    map_drop: comparison_with_drop(0.0123).map.drop,
                },
                BudgetTrial {
                    kept: 1,
                    map_drop: comparison_with_drop(0.0031).map.drop,
                },
            ],
        }),
        sensitivity: Some(SensitivityReport {
            crops: 256,
            layers: vec![harm("conv1", 0.0321), harm(HOSTILE, 0.000_45)],
        }),
        before,
        after,
        ..Evaluation::default()
    };
    AccuracyReport {
        command: ["trainer", "export", "--eval", "my crops", "it's"]
            .map(str::to_owned)
            .to_vec(),
        seeds: vec![("bootstrap".to_owned(), 17), ("calibration".to_owned(), 23)],
        settings: vec![("Scheme".to_owned(), HOSTILE.to_owned())],
        file_bytes: Some(24_990_001),
        layers: vec![kept, layer],
        ..AccuracyReport::new("resnet50", "out/person.onnx", evaluation)
    }
}

fn page(report: &AccuracyReport) -> String {
    report.html(|_| Crop::new(2, 4, vec![90; 24]))
}

/// The words of a page, and what is wrong with its tags.
fn parsed(page: &str) -> Result<Vec<String>, String> {
    let (mut open, mut words) = (Vec::new(), Vec::new());
    let mut rest = page.strip_prefix("<!doctype html>").ok_or("no doctype")?;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        if open.last() != Some(&"style") {
            words.extend(text.split([' ', '\n']).map(str::to_owned));
            if text.contains('>') {
                return Err(format!("a > in {text}"));
            }
        }
        let mut quote = None;
        let end = rest[at..].find(|letter| match (quote, letter) {
            (None, '>') => true,
            (None, '"') => {
                quote = Some('"');
                false
            }
            (Some('"'), '"') => {
                quote = None;
                false
            }
            _ => false,
        });
        let end = at + end.ok_or(format!("{} does not end", &rest[at..]))?;
        let tag = &rest[at + 1..end];
        let name = tag.split([' ', '\n', '/']).next().unwrap_or_default();
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Err(format!("</{closed}> does not close what is open: {open:?}"));
            }
        } else if !tag.ends_with('/') && !["meta", "img"].contains(&name) {
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    if !open.is_empty() {
        return Err(format!("never closed: {open:?}"));
    }
    Ok(words)
}

/// Each number of a JSON value, with the path to it.
fn numbers(value: &Value, path: &str, found: &mut Vec<(String, f64)>) {
    match value {
        Value::Number(number) => found.push((path.to_owned(), number.as_f64().unwrap())),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                numbers(item, &format!("{path}.{at}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                numbers(item, &format!("{path}.{name}"), found);
            }
        }
        _ => {}
    }
}

/// Every way in which the page writes numbers.
fn written(value: f64) -> Vec<String> {
    let percent = value * 100.0;
    vec![
        format!("{}", pages::Thousands(value.abs() as u64)),
        format!("{value}"),
        format!("{percent}"),
        format!("{value:.1}"),
        format!("{value:.4}"),
        format!("{value:.6}"),
        format!("{value:.2e}"),
        format!("{value:.3e}"),
        format!("{value:.6e}"),
        format!("{percent:.2}"),
        format!("{percent:.4}"),
        format!("{percent:+.2}"),
    ]
}

#[test]
fn the_page_is_well_formed_and_holds_every_number_of_the_json() {
    let report = report();
    let page = page(&report);
    let words = parsed(&page).unwrap();
    let json: Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["schema"], SCHEMA);
    let mut all = Vec::new();
    numbers(&json, "", &mut all);
    assert!(all.len() > 100, "{}", all.len());
    // Drawn, and counted below; the version of the form is for machines.
    let drawn =
        |path: &str| path.contains(".curve.") || path.contains(".histogram.") || path == ".schema";
    let punctuation = [',', '.', ';', '(', ')', ':'];
    for (path, value) in all.iter().filter(|(path, _)| !drawn(path)) {
        // Integers as such, or a share written in one of the ways above; a value of 0.5 must not pass
        // for being written as 0.
        let ways = written(*value).into_iter().enumerate();
        let ways: Vec<String> = (ways.filter(|(at, _)| *at > 0 || value.fract() == 0.0))
            .map(|(_, way)| way)
            .collect();
        assert!(
            words
                .iter()
                .any(|word| ways.iter().any(|way| word.trim_matches(punctuation) == way)),
            "{path} = {value} is not on the page as any of {ways:?}"
        );
    }
    // Four bars, one of them wholly outside of the range; three points of each curve.
    let bars = |class: &str| {
        let path = page.split(&format!(r#"<path class="{class}" d=""#)).nth(1);
        path.map(|path| path.split('"').next().unwrap().matches('z').count())
    };
    assert_eq!([bars("own"), bars("cut")], [Some(3), Some(1)]);
    assert!(
        page.contains("-0.5 to 0.75, 1154 numbers and 77777 zeros"),
        "histogram"
    );
    let lines = page.split("<polyline").skip(1);
    let points = lines.map(|line| line.split("points=\"").nth(1).unwrap().split('"').next());
    assert!(
        points
            .clone()
            .all(|points| points.unwrap().split(' ').count() == 3)
    );
    assert_eq!(points.count(), 2);
    // A bar that stays float, and the other one.
    assert_eq!(page.matches(r#"class="bar kept""#).count(), 1);
    assert_eq!(page.matches(r#"class="bar""#).count(), 1);
    assert_eq!(page.matches("<img").count(), 6);
    for wanted in [
        "0001_c2s1_000000_00.jpg",
        r"trainer export --eval 'my crops' 'it'\''s'",
        "bootstrap 17, calibration 23",
        "1 layer stays float",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
}

#[test]
fn the_page_fetches_nothing_and_runs_nothing() {
    let page = page(&report());
    for never in [
        "<script", "http:", "https:", "src=//", "@import", "url(", "onerror",
    ] {
        let found = page.replace("&lt;script src=//x&gt;", "");
        assert!(!found.contains(never), "{never}");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn what_is_not_known_is_left_out() {
    let least = AccuracyReport::new("net", "x.onnx", Evaluation::default());
    parsed(&page(&least)).unwrap();
    for absent in [
        "Retrieval",
        "Sensitivity",
        "Layers",
        "Repeat this export",
        "NaN",
    ] {
        assert!(!page(&least).contains(absent), "{absent}");
    }
    // Without error rates the page says why, and a crop that is gone is no error.
    let mut report = report();
    let comparison = report.evaluation.comparison.as_mut().unwrap();
    (comparison.errors, comparison.no_errors) = (None, Some("too few pairs".to_owned()));
    let page = report.html(|path| Err(Error::file(path, "gone")));
    parsed(&page).unwrap();
    assert!(page.contains("Not measured: too few pairs."));
    assert_eq!(page.matches("<img").count(), 0);
    assert_eq!(page.matches("<figure>").count(), 6);
}

#[test]
fn both_forms_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("new/report");
    report().write(&inside).unwrap();
    let read = |name: &str| fs::read_to_string(inside.join(name)).unwrap();
    assert_eq!(read("report.json"), report().json());
    assert!(read("report.html").contains("resnet50"));
    // The page shows crops of persons.
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&inside), 0o700);
    for name in ["report.json", "report.html"] {
        assert_eq!(mode(&inside.join(name)), 0o600, "{name}");
    }
    let error = report().write(&inside.join("report.json")).unwrap_err();
    assert!(error.to_string().contains("report.json"), "{error}");
}
