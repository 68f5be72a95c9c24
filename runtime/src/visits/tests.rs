//! Frames of tracks and identities come in, lines of what became of the visits go out.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// One frame of a track: second, track, identity (0 for none), and what the gallery knows: visits
/// before, `N` for an identity that is enrolled by this frame, or `A` for a crop that confirms it.
type Frame = (u64, u64, u64, &'static str);

fn sight((second, track, identity, known): Frame) -> Sight {
    let at = Duration::from_secs(second);
    Sight {
        track,
        seen: SeenAt {
            source: (track / 10) as usize,
            track,
            stream_time: at,
            at,
            time: second * 1000,
        },
        first: at,
        gap: SECOND,
        decided: (identity > 0).then(|| Decided {
            identity,
            new: known == "N",
            agrees: known == "A",
            similarity: None,
            before: Before {
                visits: known.parse().unwrap_or(1),
                last_seen: 7,
            },
        }),
    }
}

fn ended(visit: &Visit) -> String {
    let who = visit.identity.map_or("?".to_owned(), |id| id.to_string());
    format!(
        "end {} {who} {}-{} x{}",
        visit.number,
        visit.first().as_secs(),
        visit.last().at.as_secs(),
        visit.observations()
    )
}

fn changed(change: &Change) -> Vec<String> {
    let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    let mut lines = Vec::new();
    if let Some(left) = change.left {
        let (from, to) = (number(left.from), number(left.to));
        let moved = number(left.moved_to);
        let withdrawn = if left.withdrawn { " withdrawn" } else { "" };
        let back = match left.correction {
            Some(c) if c.visit => format!(" -1 seen {}", c.last_seen),
            Some(c) => format!(" seen {}", c.last_seen),
            None => String::new(),
        };
        lines.push(format!(
            "change {} {from}>{to} in {moved}{withdrawn}{back}",
            left.visit
        ));
    }
    if let Some(found) = change.identified {
        let word = match (found.new, found.returning) {
            (true, _) => "new".to_owned(),
            (_, true) => format!(
                "back from {}",
                found.last_seen.map_or(0, |seen| seen.as_secs())
            ),
            _ => "first".to_owned(),
        };
        let starts = if found.starts { "start " } else { "now " };
        lines.push(format!("{starts}{} {} {word}", found.visit, found.identity));
    }
    lines
}

fn play(frames: &[Frame]) -> Vec<String> {
    let mut visits = Visits::new(5 * SECOND).unwrap();
    let mut lines = Vec::new();
    for &frame in frames {
        let now = Duration::from_secs(frame.0);
        visits.advance(now);
        while let Some(visit) = visits.take_absent(now, Duration::ZERO) {
            lines.push(ended(&visit));
        }
        let change = visits.see(&sight(frame));
        lines.extend(change.iter().flat_map(changed));
    }
    while let Some(visit) = visits.take_open() {
        lines.push(ended(&visit));
    }
    lines
}

#[test]
fn visits_of() {
    let cases: &[(&str, &[Frame], &[&str])] = &[
        ("no frame", &[], &[]),
        ("never decided", &[(0, 1, 0, ""), (1, 1, 0, "")], &[]),
        (
            "a new person",
            &[(0, 1, 0, ""), (1, 1, 4, "N"), (2, 1, 4, "1")],
            &["start 1 4 new", "end 1 4 1-2 x2"],
        ),
        (
            "hidden for less than the absence, with another track",
            &[(0, 1, 4, "N"), (4, 2, 4, "1"), (8, 3, 4, "1")],
            &["start 1 4 new", "end 1 4 0-8 x3"],
        ),
        (
            "away for exactly the absence",
            &[(0, 1, 4, "N"), (5, 2, 4, "1")],
            &[
                "start 1 4 new",
                "end 1 4 0-0 x1",
                "start 2 4 back from 0",
                "end 2 4 5-5 x1",
            ],
        ),
        (
            "another stream keeps the visit open",
            &[(0, 1, 4, "N"), (4, 11, 4, "1"), (8, 1, 4, "1")],
            &["start 1 4 new", "end 1 4 0-8 x3"],
        ),
        (
            "known from an earlier run",
            &[(9, 1, 4, "3")],
            &["start 1 4 back from 0", "end 1 4 9-9 x1"],
        ),
        (
            "enrolled from pictures and never seen",
            &[(9, 1, 4, "0")],
            &["start 1 4 first", "end 1 4 9-9 x1"],
        ),
        (
            "corrected to a new person",
            &[(0, 1, 4, "3"), (1, 1, 4, "4"), (2, 1, 5, "N")],
            &[
                "start 1 4 back from 0",
                "change 1 4>5 in 1 -1 seen 7",
                "now 1 5 new",
                "end 1 5 0-2 x3",
            ],
        ),
        (
            "the track goes over to another person, behind a gap",
            &[
                (0, 1, 4, "3"),
                (1, 1, 4, "A"),
                (2, 1, 4, "4"),
                (4, 1, 4, "4"),
                (5, 1, 5, "N"),
            ],
            &[
                "start 1 4 back from 0",
                "change 1 4>5 in 2 seen 2000",
                "start 2 5 new",
                "end 1 4 0-2 x3",
                "end 2 5 4-5 x1",
            ],
        ),
        (
            "an enrolled person is no mistake",
            &[(0, 1, 4, "N"), (1, 1, 4, "1"), (2, 1, 5, "2")],
            &[
                "start 1 4 new",
                "change 1 4>5 in 2 seen 7",
                "start 2 5 back from 0",
                "end 1 4 0-0 x1",
                "end 2 5 2-2 x1",
            ],
        ),
        (
            "taken back, then decided",
            &[(0, 1, 4, "3"), (1, 1, 0, ""), (2, 1, 5, "2")],
            &[
                "start 1 4 back from 0",
                "change 1 4>? in 1 -1 seen 7",
                "change 1 ?>5 in 1",
                "now 1 5 back from 0",
                "end 1 5 0-2 x2",
            ],
        ),
        (
            "taken back for good",
            &[(0, 1, 4, "3"), (1, 1, 0, ""), (9, 2, 4, "3")],
            &[
                "start 1 4 back from 0",
                "change 1 4>? in 1 -1 seen 7",
                "end 1 ? 0-1 x1",
                "start 2 4 back from 0",
                "end 2 4 9-9 x1",
            ],
        ),
        (
            "corrected to a person who is here already",
            &[(0, 1, 4, "N"), (0, 11, 5, "2"), (1, 11, 4, "1")],
            &[
                "start 1 4 new",
                "start 2 5 back from 0",
                "change 2 5>4 in 1 withdrawn -1 seen 7",
                "end 1 4 0-1 x3",
            ],
        ),
        (
            "one of two tracks is corrected",
            &[(2, 1, 4, "N"), (3, 11, 4, "1"), (4, 11, 5, "N")],
            &[
                "start 1 4 new",
                "change 1 4>5 in 2 seen 2000",
                "start 2 5 new",
                "end 1 4 2-2 x1",
                "end 2 5 3-4 x2",
            ],
        ),
        (
            "one of two tracks is taken back",
            &[(2, 1, 4, "N"), (3, 11, 4, "1"), (4, 11, 0, "")],
            &[
                "start 1 4 new",
                "change 1 4>? in ? seen 2000",
                "end 1 4 2-2 x1",
            ],
        ),
    ];
    for (name, frames, wanted) in cases {
        assert_eq!(play(frames), *wanted, "{name}");
    }
}

#[test]
fn rare_frames_are_no_absence() {
    let mut visits = Visits::new(5 * SECOND).unwrap();
    visits.see(&sight((0, 1, 4, "N")));
    assert!(visits.take_absent(10 * SECOND, 25 * SECOND).is_none());
    assert!(visits.take_absent(25 * SECOND, 25 * SECOND).is_some());
}

#[test]
fn more_tracks_than_are_told_apart_count_all_the_same() {
    let mut visits = Visits::new(5 * SECOND).unwrap();
    for second in 0..40 {
        visits.see(&sight((second, second, 4, "2")));
    }
    let visit = visits.take_open().unwrap();
    assert_eq!(ended(&visit), "end 1 4 0-39 x40");
    assert!(visits.take_open().is_none());
}

#[test]
fn an_identity_that_left_the_gallery_is_not_known() {
    let mut visits = Visits::new(5 * SECOND).unwrap();
    visits.see(&sight((1, 1, 4, "2")));
    assert_eq!(ended(&visits.forget(4).unwrap()), "end 1 4 1-1 x1");
    assert!(visits.forget(4).is_none());
    assert_eq!(visits.visit_of(1), None);
}

#[test]
fn a_visit_goes_to_the_identity_that_its_own_was_merged_into() {
    let mut visits = Visits::new(5 * SECOND).unwrap();
    visits.see(&sight((1, 1, 4, "2")));
    let (left, at) = visits.merge(4, 5).unwrap();
    assert_eq!(
        (left.visit, left.moved_to, left.withdrawn),
        (1, Some(1), false)
    );
    assert_eq!(at.at, SECOND);
    visits.see(&sight((2, 11, 6, "2")));
    let (left, _) = visits.merge(6, 5).unwrap();
    assert_eq!(
        (left.visit, left.moved_to, left.withdrawn),
        (2, Some(1), true)
    );
    assert_eq!(ended(&visits.take_open().unwrap()), "end 1 5 1-2 x2");
    assert!(visits.take_open().is_none() && visits.merge(5, 7).is_none());
    // The end of the last visit goes along.
    let change = visits.see(&sight((30, 1, 7, "2"))).unwrap();
    assert_eq!(changed(&change), ["start 3 7 back from 2"]);
}

#[test]
fn an_absence_out_of_range_is_refused() {
    for seconds in [0, 24 * 3600 + 1] {
        let error = Visits::new(Duration::from_secs(seconds)).unwrap_err();
        assert!(error.to_string().contains("min_absence"), "{error}");
    }
}
