use super::*;

#[test]
fn kinds_become_panels_and_the_later_line_counts() {
    let log = "\
{\"epoch\": 1, \"loss\": {\"id\": 3.0, \"triplet\": 1.0}, \"lr\": 0.1, \"note\": \"warm\"}

{\"epoch\": 3, \"loss\": {\"id\": 9.0, \"triplet\": null}}
{\"epoch\": 2.5, \"loss\": {\"id\": 2.0}}
{\"epoch\": 3, \"loss\": {\"id\": 1.0, \"triplet\": null}, \"test\": {\"map\": 0.5}, \"empty\": null}
{\"epoch\": 4, \"loss\": {\"id";
    let points = |points: &[(f64, Option<f64>)]| points.to_vec();
    let series = |name: &str, of: &[(f64, Option<f64>)]| Series {
        name: name.to_owned(),
        points: points(of),
    };
    let panel = |name: &str, series| Panel {
        name: name.to_owned(),
        series,
    };
    let wanted = [
        panel(
            "loss",
            vec![
                series(
                    "id",
                    &[(1.0, Some(3.0)), (2.5, Some(2.0)), (3.0, Some(1.0))],
                ),
                series("triplet", &[(1.0, Some(1.0)), (3.0, None)]),
            ],
        ),
        panel("lr", vec![series("lr", &[(1.0, Some(0.1))])]),
        panel("test", vec![series("map", &[(3.0, Some(0.5))])]),
    ];
    assert_eq!(panels(log).unwrap(), wanted);
    let svg = drawn(&wanted);
    assert_eq!(svg.matches("<polyline").count(), 1, "one curve has a line");
    assert_eq!(svg.matches(">epoch</text>").count(), 3);
}

#[test]
fn what_is_no_log_is_named() {
    let cases = [
        ("", "no numbers to draw"),
        ("{\"epoch\": 1}\n", "no numbers to draw"),
        ("{\"epoch\": 1, \"loss\": null}\n", "no numbers to draw"),
        ("{\"loss\": 1}\n", "line 1 has no `epoch`"),
        ("{\"epoch\": -1, \"loss\": 1}\n", "line 1 has no `epoch`"),
        (
            "{\"epoch\": 1, \"loss\": 1}\n{\"epo\n",
            "line 2 is no record",
        ),
        ("[1]\n", "line 1 is no record"),
    ];
    for (log, wanted) in cases {
        let error = panels(log).unwrap_err();
        assert!(error.contains(wanted), "{log}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("log.jsonl");
    assert!(matches!(of_log(&missing), Err(Error::Io { .. })));
    std::fs::write(&missing, "x").unwrap();
    let error = of_log(&missing).unwrap_err().to_string();
    assert!(error.contains("log.jsonl: line 1"), "{error}");
}

#[test]
fn axes_have_room_and_round_numbers() {
    let cases: [(&str, &[f64], bool, &[&str]); 6] = [
        (
            "shares",
            &[0.1, 0.86],
            false,
            &["0", "0.2", "0.4", "0.6", "0.8"],
        ),
        (
            "rates",
            &[3.5e-6, 3.5e-4],
            true,
            &["5e-6", "1e-5", "2e-5", "5e-5", "1e-4", "2e-4"],
        ),
        (
            "one value",
            &[2.0],
            false,
            &["1.8", "1.9", "2.0", "2.1", "2.2"],
        ),
        (
            "zero",
            &[0.0],
            false,
            &["0", "0.2", "0.4", "0.6", "0.8", "1.0"],
        ),
        (
            "far from zero",
            &[100.0, 101.0],
            false,
            &["100.0", "100.5", "101.0"],
        ),
        (
            "both signs",
            &[-1.0, 1.0],
            false,
            &["-1.0", "-0.5", "0", "0.5", "1.0"],
        ),
    ];
    assert!(!room([1e-6, 1.0].into_iter(), false).1, "losses");
    for (name, values, log, wanted) in cases {
        let (range, logarithmic) = room(values.iter().copied(), log);
        assert_eq!(logarithmic, log, "{name}");
        let [low, high] = range;
        assert!(values.iter().all(|value| (low..=high).contains(value)));
        let axis = if log { Axis::logarithmic } else { Axis::new };
        let ticks = axis(range, [0.0, 1.0]).ticks(5.0).into_iter();
        let found: Vec<String> = ticks.map(|(_, label)| label).collect();
        assert_eq!(found, wanted, "{name}");
    }
}
