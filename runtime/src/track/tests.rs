//! Scripted boxes and embeddings through the whole of [`Tracks`].

use super::*;

const DIM: usize = 8;

/// A step of the tests: ten frames a second.
const STEP: Duration = Duration::from_millis(100);

fn person(x: f32, y: f32) -> Person {
    sized(x, y, 40.0, 100.0)
}

fn sized(x: f32, y: f32, w: f32, h: f32) -> Person {
    Person {
        bbox: BBox { x, y, w, h },
        score: None,
        track: None,
    }
}

fn low(person: Person) -> Person {
    Person {
        score: Some(0.2),
        ..person
    }
}

fn given(number: u64, person: Person) -> Person {
    Person {
        track: Some(number),
        ..person
    }
}

fn tracks() -> Tracks {
    Tracks::new(DIM, TrackerSettings::new(0.9), Numbers::default()).unwrap()
}

/// Numbers of the tracks of the boxes of a frame.
fn see(tracks: &mut Tracks, persons: &[Person], at: Duration) -> Vec<Option<u64>> {
    tracks.associate(&persons.iter().copied().collect(), at);
    (0..persons.len()).map(|i| tracks.number(i)).collect()
}

/// Positions of the persons whose crops are embedded: the most urgent of those whose crop is good.
fn due(tracks: &mut Tracks, good: &[bool]) -> Vec<usize> {
    let wanted = tracks.wanted().into_iter();
    let good = wanted.filter(|&index| good[index]);
    good.take(tracks.per_frame()).collect()
}

/// An embedding at `degrees` from that of somebody: their similarity is the cosine.
fn looks(who: usize, degrees: f32) -> [f32; DIM] {
    let mut embedding = [0.0; DIM];
    embedding[2 * who] = degrees.to_radians().cos();
    embedding[2 * who + 1] = degrees.to_radians().sin();
    embedding
}

fn is(identity: u64, similarity: f32) -> Option<Best> {
    Some(Best {
        identity,
        similarity,
    })
}

/// Boxes of frames come in, numbers of tracks go out, frame by frame.
#[test]
fn boxes_keep_their_tracks() {
    type Frame = (u32, Vec<Person>, Vec<Option<u64>>);
    let at = |step: u32, persons: &[Person], wanted: &[u64]| -> Frame {
        // 0 stands for none.
        let wanted = wanted.iter().map(|&n| (n > 0).then_some(n)).collect();
        (step, persons.to_vec(), wanted)
    };
    let crossing = |step: u32| {
        let x = 12.0 * step as f32;
        [person(x, 0.0), person(300.0 - x, 30.0)]
    };
    let walking = |step: u32| [person(15.0 * step as f32, 0.0)];
    let cases: Vec<(&str, Vec<Frame>)> = vec![
        (
            "people who cross each other",
            (0..26).map(|s| at(s, &crossing(s), &[1, 2])).collect(),
        ),
        (
            "in any order of the boxes",
            (0..26)
                .map(|s| {
                    let [a, b] = crossing(s);
                    match s % 2 {
                        0 => at(s, &[a, b], &[1, 2]),
                        _ => at(s, &[b, a], &[2, 1]),
                    }
                })
                .collect(),
        ),
        (
            "hidden for 20 frames, and walking on",
            (0..10)
                .chain(30..40)
                .map(|s| at(s, &walking(s), &[1]))
                .collect(),
        ),
        (
            "out of sight for too long",
            vec![
                at(0, &walking(0), &[1]),
                at(1, &walking(0), &[1]),
                at(2, &walking(0), &[1]),
                at(3, &walking(0), &[1]),
                at(34, &walking(0), &[2]),
            ],
        ),
        (
            "one comes, one leaves",
            vec![
                at(0, &[person(0.0, 0.0)], &[1]),
                at(1, &[person(0.0, 0.0), person(200.0, 0.0)], &[1, 2]),
                at(2, &[person(200.0, 0.0)], &[2]),
                at(3, &[], &[]),
            ],
        ),
        (
            "a frame a second, a step further each time",
            (0..6)
                .map(|s| at(10 * s, &[person(90.0 * s as f32, 0.0)], &[1]))
                .collect(),
        ),
        (
            "a frame each two seconds: nobody is gone for having been missed once",
            vec![
                at(0, &[person(0.0, 0.0)], &[1]),
                at(20, &[person(0.0, 0.0)], &[1]),
                at(40, &[], &[]),
                at(60, &[person(0.0, 0.0)], &[1]),
            ],
        ),
        (
            "walks in from below the picture, a frame a second",
            vec![
                at(0, &[sized(192.0, 276.0, 211.0, 155.0)], &[1]),
                at(10, &[sized(345.0, 37.0, 182.0, 381.0)], &[1]),
                at(20, &[sized(386.0, 5.0, 168.0, 367.0)], &[1]),
            ],
        ),
        (
            "nobody crosses the picture in a tenth of a second",
            vec![
                at(0, &[person(0.0, 0.0)], &[1]),
                at(1, &[person(400.0, 0.0)], &[2]),
            ],
        ),
        (
            "two boxes of one person",
            vec![
                at(0, &[person(0.0, 0.0)], &[1]),
                at(1, &[person(0.0, 0.0), person(0.0, 0.0)], &[1, 2]),
                at(2, &[person(0.0, 0.0), person(0.0, 0.0)], &[1, 2]),
            ],
        ),
        (
            "boxes of a low score continue and do not begin",
            vec![
                at(0, &[low(person(0.0, 0.0))], &[0]),
                at(1, &[person(0.0, 0.0)], &[1]),
                at(
                    2,
                    &[low(person(5.0, 0.0)), low(person(200.0, 0.0))],
                    &[1, 0],
                ),
                at(3, &[], &[]),
                // Not after a pause.
                at(4, &[low(person(5.0, 0.0))], &[0]),
                at(5, &[person(5.0, 0.0)], &[1]),
            ],
        ),
        (
            "boxes of a high score first",
            vec![
                at(0, &[person(0.0, 0.0)], &[1]),
                at(1, &[low(person(0.0, 0.0)), person(8.0, 0.0)], &[0, 1]),
            ],
        ),
        (
            "numbers that boxes bring stay, wherever the boxes are",
            vec![
                at(
                    0,
                    &[given(7, person(0.0, 0.0)), person(200.0, 0.0)],
                    &[7, 2],
                ),
                at(
                    1,
                    &[given(7, person(200.0, 0.0)), person(0.0, 0.0)],
                    &[7, 3],
                ),
                at(
                    2,
                    &[person(200.0, 0.0), given(7, low(person(0.0, 0.0)))],
                    &[2, 7],
                ),
            ],
        ),
        (
            "a number that comes twice",
            vec![at(
                0,
                &[given(7, person(0.0, 0.0)), given(7, person(5.0, 0.0))],
                &[7, 2],
            )],
        ),
        (
            "no boxes at all",
            vec![at(
                0,
                &[
                    person(f32::NAN, 0.0),
                    sized(0.0, 0.0, f32::INFINITY, 1.0),
                    sized(0.0, 0.0, 0.0, 100.0),
                    sized(0.0, 0.0, -10.0, -10.0),
                    sized(f32::MAX, 0.0, f32::MAX, 1.0),
                    given(7, person(0.0, f32::NEG_INFINITY)),
                ],
                &[0; 6],
            )],
        ),
        (
            "time that goes back ends what was",
            vec![
                at(50, &[person(0.0, 0.0)], &[1]),
                at(51, &[person(0.0, 0.0)], &[1]),
                at(0, &[person(0.0, 0.0)], &[2]),
                at(1, &[person(0.0, 0.0)], &[2]),
            ],
        ),
        (
            "time that stands still",
            (0..4).map(|_| at(3, &walking(0), &[1])).collect(),
        ),
    ];
    for (name, frames) in cases {
        let mut tracks = tracks();
        for (step, persons, wanted) in frames {
            let found = see(&mut tracks, &persons, STEP * step);
            assert_eq!(found, wanted, "{name}, step {step}");
        }
    }
}

#[test]
fn what_is_passed_over_is_counted() {
    let mut tracks = tracks();
    let persons = [
        person(f32::NAN, 0.0),
        low(person(0.0, 0.0)),
        person(90.0, 0.0),
    ];
    see(&mut tracks, &persons, STEP);
    for step in 2..40 {
        see(&mut tracks, &[], STEP * step);
        if !tracks.ended().is_empty() {
            break;
        }
    }
    let wanted = Counts {
        tracks: 1,
        invalid: 1,
        low_score: 1,
        without_crop: 1,
        ..Counts::default()
    };
    assert_eq!(tracks.counts(), wanted);
    assert_eq!(tracks.ended().len(), 1);
    assert!(tracks.is_empty());
}

#[test]
fn a_full_house_keeps_whom_it_sees() {
    let mut tracks = tracks();
    let row = |y: f32| -> Vec<Person> {
        (0..MAX_PEOPLE)
            .map(|i| person(50.0 * i as f32, y))
            .collect()
    };
    let numbers = |from: u64| (from..from + 64).map(Some).collect::<Vec<_>>();
    for step in 0..50 {
        assert_eq!(see(&mut tracks, &row(step as f32), STEP * step), numbers(1));
    }
    // Others, out of everybody's reach: the house is full.
    assert_eq!(see(&mut tracks, &row(5000.0), STEP * 50), numbers(65));
    assert_eq!((tracks.len(), tracks.counts().evicted), (128, 0));
    // And others again: who was seen the longest time ago has to go.
    assert_eq!(see(&mut tracks, &row(10_000.0), STEP * 51), numbers(129));
    assert_eq!((tracks.len(), tracks.counts().evicted), (128, 64));
    let gone: Vec<u64> = tracks.ended().iter().map(|ended| ended.track).collect();
    assert_eq!(gone, (1..65).collect::<Vec<_>>());
    assert_eq!(see(&mut tracks, &row(5000.0), STEP * 52), numbers(65));
    // A jump back ends all 128 at once.
    see(&mut tracks, &row(0.0), Duration::ZERO);
    assert_eq!((tracks.ended().len(), tracks.len()), (128, 64));
}

#[test]
fn sources_share_the_numbers() {
    let numbers = Numbers::default();
    let new = || Tracks::new(DIM, TrackerSettings::new(0.5), numbers.clone()).unwrap();
    let (mut a, mut b) = (new(), new());
    assert_eq!(see(&mut a, &[person(0.0, 0.0)], STEP), [Some(1)]);
    assert_eq!(see(&mut b, &[person(0.0, 0.0)], STEP), [Some(2)]);
}

#[test]
fn settings_out_of_range_are_refused() {
    let good = TrackerSettings::new(0.5);
    let cases = [
        (
            "threshold is 1.5",
            TrackerSettings {
                threshold: 1.5,
                ..good
            },
        ),
        (
            "threshold is NaN",
            TrackerSettings {
                threshold: f32::NAN,
                ..good
            },
        ),
        (
            "crops of a decision is 0",
            TrackerSettings { crops: 0, ..good },
        ),
        (
            "crops of a decision is 9",
            TrackerSettings { crops: 9, ..good },
        ),
        (
            "contradictions is 0",
            TrackerSettings {
                contradictions: 0,
                ..good
            },
        ),
        (
            "crops of a frame is 65",
            TrackerSettings {
                per_frame: 65,
                ..good
            },
        ),
        (
            "the minimum start score is NaN, wanted a finite number",
            TrackerSettings {
                min_start_score: f32::NAN,
                ..good
            },
        ),
    ];
    for (wanted, settings) in cases {
        let error = Tracks::new(DIM, settings, Numbers::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}, wanted {wanted}");
    }
    for dim in [0, MAX_DIM + 1] {
        let error = Tracks::new(dim, good, Numbers::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("have {dim} dimensions")), "{error}");
    }
}

/// Crops of one track a second apart, and what is known after each.
#[test]
fn a_track_decides() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Known {
        Pending,
        Seen(u64),
        /// Seen, and the crop says otherwise.
        Doubted(u64),
        /// With so many exemplars.
        Born(usize),
    }
    use Known::{Born, Doubted, Pending, Seen};
    let (ann, bob, nobody) = (is(1, 0.95), is(2, 0.95), is(1, 0.3));
    type Case<'a> = (&'a str, &'a [Option<Best>], &'a [Known]);
    let cases: &[Case<'_>] = &[
        (
            "known at the third",
            &[ann; 4],
            &[Pending, Pending, Seen(1), Seen(1)],
        ),
        ("an empty gallery", &[None; 3], &[Pending, Pending, Born(3)]),
        ("a stranger", &[nobody; 3], &[Pending, Pending, Born(3)]),
        (
            "a lucky match decides nothing, and its crop is no exemplar",
            &[ann, nobody, nobody],
            &[Pending, Pending, Born(2)],
        ),
        (
            "an unlucky one neither",
            &[ann, nobody, ann],
            &[Pending, Pending, Seen(1)],
        ),
        (
            "disagreement waits",
            &[ann, bob, nobody, bob, bob],
            &[Pending, Pending, Pending, Pending, Seen(2)],
        ),
        (
            "a known person who turns around stays known",
            &[ann, ann, ann, nobody, nobody, nobody, nobody],
            &[
                Pending,
                Pending,
                Seen(1),
                Doubted(1),
                Doubted(1),
                Doubted(1),
                Doubted(1),
            ],
        ),
        (
            "two contradictions are not enough",
            &[ann, ann, ann, bob, bob, ann, bob, bob, ann],
            &[
                Pending,
                Pending,
                Seen(1),
                Doubted(1),
                Doubted(1),
                Seen(1),
                Doubted(1),
                Doubted(1),
                Seen(1),
            ],
        ),
        (
            "three are",
            &[ann, ann, ann, bob, bob, bob, bob],
            &[
                Pending,
                Pending,
                Seen(1),
                Doubted(1),
                Doubted(1),
                Seen(2),
                Seen(2),
            ],
        ),
        (
            "a born one is confirmed by its own",
            &[None, None, None, is(100, 1.0), is(100, 0.2)],
            &[Pending, Pending, Born(3), Seen(100), Doubted(100)],
        ),
        (
            "a similarity that is no number is nobody's",
            &[is(1, f32::NAN); 3],
            &[Pending, Pending, Born(3)],
        ),
    ];
    for (name, crops, wanted) in cases {
        let mut tracks = tracks();
        let mut found = Vec::new();
        for (second, best) in crops.iter().enumerate() {
            see(
                &mut tracks,
                &[person(0.0, 0.0)],
                Duration::from_secs(second as u64),
            );
            found.push(match tracks.vote(0, &looks(0, second as f32), *best) {
                Decision::Pending => Pending,
                Decision::Known {
                    identity,
                    agrees: true,
                } => Seen(identity),
                Decision::Known {
                    identity,
                    agrees: false,
                } => Doubted(identity),
                Decision::Enroll { exemplars, .. } => {
                    let count = exemplars.len() / DIM;
                    // The latest ones, the oldest first.
                    let wanted: Vec<f32> = (second + 1 - count..=second)
                        .flat_map(|second| looks(0, second as f32))
                        .collect();
                    assert_eq!(exemplars, wanted, "{name}");
                    tracks.enrolled(0, 100);
                    Born(count)
                }
            });
        }
        assert_eq!(found, *wanted, "{name}");
    }
}

#[test]
fn who_was_out_of_touch_can_turn_out_a_stranger() {
    let mut tracks = tracks();
    for step in 0..3 {
        see(&mut tracks, &[person(0.0, 0.0)], STEP * step);
        tracks.vote(0, &looks(0, 0.0), is(1, 0.95));
    }
    assert_eq!(tracks.identity(0), Some(1));
    // Away for a second, then an unknown person in the same place.
    for step in 3..13 {
        see(&mut tracks, &[], STEP * step);
    }
    for step in 13..16 {
        assert_eq!(
            see(&mut tracks, &[person(0.0, 0.0)], STEP * step),
            [Some(1)]
        );
        let decision = tracks.vote(0, &looks(0, 30.0), is(1, 0.6));
        assert_eq!(
            matches!(decision, Decision::Enroll { exemplars, .. } if exemplars.len() == 3 * DIM),
            step == 15
        );
    }
    assert_eq!((tracks.identity(0), tracks.counts().reopened), (None, 1));
}

#[test]
fn two_in_one_frame_are_two() {
    let mut tracks = tracks();
    let both = [person(0.0, 0.0), person(200.0, 0.0)];
    for step in 0..5 {
        see(&mut tracks, &both, STEP * step);
        tracks.vote(0, &looks(0, 0.0), is(1, 0.95));
        let second = tracks.vote(1, &looks(0, 1.0), is(1, 0.99));
        assert_eq!(second, Decision::Pending, "step {step}");
    }
    assert_eq!((tracks.identity(0), tracks.identity(1)), (Some(1), None));
    assert_eq!((tracks.number(0), tracks.number(1)), (Some(1), Some(2)));
    assert_eq!(tracks.counts().taken, 3);
    // The first one is gone: its slot is free, and the lost track is over.
    for step in 5..8 {
        see(&mut tracks, &both[1..], STEP * step);
        tracks.vote(0, &looks(0, 1.0), is(1, 0.99));
    }
    assert_eq!((tracks.identity(0), tracks.len()), (Some(1), 1));
    assert_eq!(tracks.number(0), Some(2));
}

#[test]
fn two_who_were_mixed_up_find_back() {
    let mut tracks = tracks();
    let both = [person(0.0, 0.0), person(200.0, 0.0)];
    for step in 0..20 {
        see(&mut tracks, &both, STEP * step);
        // After a second, each has the other's box.
        let (first, second) = if step < 10 { (1, 2) } else { (2, 1) };
        tracks.vote(0, &looks(first as usize, 0.0), is(first, 0.95));
        tracks.vote(1, &looks(second as usize, 0.0), is(second, 0.95));
        assert!(tracks.identity(0).is_none() || tracks.identity(0) != tracks.identity(1));
    }
    assert_eq!((tracks.identity(0), tracks.identity(1)), (Some(2), Some(1)));
}

#[test]
fn looks_tell_who_came_back() {
    let second = Duration::from_secs(1);
    // Somebody is seen at 0, and somebody a second later: at 110 a match by distance, at 190 a new
    // track, which is in reach of the old one another second later.
    let cases = [
        ("near, and the same", 110.0, 5.0, 1, (0, 0)),
        ("near, and somebody else", 110.0, 90.0, 2, (0, 1)),
        ("further, and the same", 190.0, 5.0, 1, (1, 0)),
        ("further, and somebody else", 190.0, 90.0, 2, (0, 0)),
        ("too far, and the same", 900.0, 5.0, 2, (0, 0)),
    ];
    for (name, x, degrees, number, counts) in cases {
        let mut tracks = tracks();
        see(&mut tracks, &[person(0.0, 0.0)], Duration::ZERO);
        tracks.vote(0, &looks(0, 0.0), None);
        for after in 1..3 {
            see(&mut tracks, &[person(x, 0.0)], second * after);
        }
        tracks.vote(0, &looks(0, degrees), None);
        assert_eq!(tracks.number(0), Some(number), "{name}");
        let Counts {
            reattached, split, ..
        } = tracks.counts();
        assert_eq!((reattached, split), counts, "{name}");
    }
}

#[test]
fn tracks_end_with_their_identity() {
    type Case<'a> = (&'a str, &'a [Option<Best>], Option<u64>, Counts);
    let cases: &[Case<'_>] = &[
        (
            "no crop",
            &[],
            None,
            Counts {
                without_crop: 1,
                ..Counts::default()
            },
        ),
        (
            "a lucky one",
            &[is(1, 0.92)],
            None,
            Counts {
                undecided: 1,
                ..Counts::default()
            },
        ),
        (
            "a clear one",
            &[is(1, 0.96)],
            None,
            Counts {
                undecided: 1,
                ..Counts::default()
            },
        ),
        (
            "two",
            &[is(1, 0.92); 2],
            None,
            Counts {
                undecided: 1,
                ..Counts::default()
            },
        ),
        (
            "unknown",
            &[None; 2],
            None,
            Counts {
                undecided: 1,
                ..Counts::default()
            },
        ),
        ("enough", &[is(1, 0.92); 3], Some(1), Counts::default()),
    ];
    for (name, crops, identity, counts) in cases {
        let mut tracks = tracks();
        see(&mut tracks, &[person(0.0, 0.0)], STEP * 5);
        for (step, best) in (6..).zip(*crops) {
            see(&mut tracks, &[person(0.0, 0.0)], STEP * step);
            tracks.vote(0, &looks(0, 0.0), *best);
        }
        let wanted = Ended {
            track: 1,
            identity: *identity,
            crops: crops.len() as u64,
            first: STEP * 5,
            last: STEP * (5 + crops.len() as u32),
        };
        assert_eq!(tracks.finish(), [wanted], "{name}");
        assert_eq!(
            tracks.counts(),
            Counts {
                tracks: 1,
                ..*counts
            },
            "{name}"
        );
        assert!(tracks.is_empty() && tracks.number(0).is_none(), "{name}");
    }
}

#[test]
fn a_released_identity_is_decided_again() {
    let mut tracks = tracks();
    for step in 0..6 {
        see(&mut tracks, &[person(0.0, 0.0)], STEP * step);
        tracks.vote(0, &looks(0, 0.0), is(if step < 3 { 1 } else { 2 }, 0.95));
        if step == 2 {
            assert_eq!(tracks.identity(0), Some(1));
            tracks.release(1);
            assert_eq!(tracks.identity(0), None);
        }
    }
    assert_eq!(tracks.identity(0), Some(2));
}

#[test]
fn keyframes_are_few() {
    // A minute of one person at ten frames a second: 3 crops to decide, 0.2 s apart, then one each
    // 2 s.
    let mut tracks = tracks();
    let mut crops = Vec::new();
    for step in 0..600 {
        see(&mut tracks, &[person(0.0, 0.0)], STEP * step);
        for index in due(&mut tracks, &[true; 8]) {
            crops.push(step);
            tracks.vote(index, &looks(0, 0.0), is(1, 0.95));
        }
    }
    assert_eq!(crops[..6], [0, 2, 4, 24, 44, 64]);
    assert_eq!((crops.len(), tracks.counts().spared), (32, 568));
}

#[test]
fn a_crowd_shares_the_budget() {
    let mut tracks = tracks();
    let crowd: Vec<Person> = (0..20).map(|i| person(60.0 * i as f32, 0.0)).collect();
    let mut good = [true; 20];
    good[3] = false;
    let mut crops = [0; 20];
    for step in 0..10 {
        see(&mut tracks, &crowd, STEP * step);
        let due = due(&mut tracks, &good);
        assert_eq!(due.len(), 8, "step {step}");
        for index in due {
            crops[index] += 1;
            tracks.vote(index, &looks(0, 0.0), None);
        }
    }
    // 80 crops for 19 people: who waits longest comes first, so everybody can be decided.
    assert_eq!((crops.iter().sum::<i32>(), crops[3]), (80, 0));
    let others = crops.iter().enumerate().filter(|(i, _)| *i != 3);
    assert!(
        others.clone().all(|(_, n)| (3..=5).contains(n)),
        "{crops:?}"
    );
}

/// Frames of the street at random.
const STREET: u32 = 1_500;

/// A street at random, long enough to meet what nobody thought of. Twice the same.
#[test]
fn a_random_street_keeps_its_promises() {
    /// Tracks and identities of the boxes of a frame.
    type Frame = [Vec<Option<u64>>; 2];
    fn walk(frames: u32) -> Vec<Frame> {
        let mut state = 7_u32;
        let mut random = move |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 12) % below
        };
        let mut tracks = tracks();
        let mut places: Vec<(f32, f32, usize)> = Vec::new();
        let mut at = Duration::ZERO;
        let mut next = 0;
        let mut log = Vec::new();
        let mut ended = std::collections::BTreeSet::new();
        for frame in 0..frames {
            at = match random(500) {
                0 => Duration::from_millis(u64::from(random(1000))),
                1 => at + Duration::from_secs(u64::from(random(20))),
                _ => at + Duration::from_millis(u64::from(random(200))),
            };
            if places.len() < 64 && random(3) == 0 {
                places.push((random(900) as f32, random(400) as f32, random(4) as usize));
            }
            if !places.is_empty() && random(4) == 0 {
                let gone = random(places.len() as u32) as usize;
                places.swap_remove(gone);
            }
            for place in &mut places {
                place.0 += random(41) as f32 - 20.0;
                place.1 += random(21) as f32 - 10.0;
            }
            let persons: Persons = places
                .iter()
                .map(|&(x, y, _)| Person {
                    score: Some(random(10) as f32 / 9.0),
                    track: (random(50) == 0).then(|| 1_000_000 + u64::from(random(5))),
                    ..person(x, y)
                })
                .collect();
            tracks.associate(&persons, at);
            let good: Vec<bool> = persons.iter().map(|_| random(3) > 0).collect();
            for index in due(&mut tracks, &good) {
                assert!(good[index]);
                let who = places[index].2;
                let best = is(random(6).into(), 0.8 + random(20) as f32 / 100.0);
                if let Decision::Enroll { exemplars, .. } =
                    tracks.vote(index, &looks(who, 0.0), best)
                {
                    assert!((2 * DIM..=3 * DIM).contains(&exemplars.len()));
                    next += 1;
                    tracks.enrolled(index, 100 + next);
                }
            }
            ended.extend(
                tracks
                    .ended()
                    .iter()
                    .map(|e| e.track)
                    .filter(|&n| n < 1_000_000),
            );
            let numbers: Vec<_> = (0..persons.len()).map(|i| tracks.number(i)).collect();
            let identities: Vec<_> = (0..persons.len()).map(|i| tracks.identity(i)).collect();
            for list in [&numbers, &identities] {
                let mut known: Vec<_> = list.iter().flatten().collect();
                known.sort_unstable();
                let all = known.len();
                known.dedup();
                assert_eq!(
                    known.len(),
                    all,
                    "frame {frame}: two in a frame share {list:?}"
                );
            }
            assert!(
                numbers.iter().flatten().all(|n| !ended.contains(n)),
                "frame {frame}: an ended track is back"
            );
            assert!(tracks.len() <= CAPACITY);
            log.push([numbers, identities]);
        }
        tracks.finish();
        let counts = tracks.counts();
        // It met everything.
        assert!(
            counts.reattached > 0 && counts.split > 0 && counts.reopened > 0 && counts.evicted > 0,
            "{counts:?}"
        );
        log
    }
    let once = walk(STREET);
    assert!(once == walk(STREET));
}

/// Milliseconds a frame in the worst case: 64 boxes on a heap, all tracks lost and near.
#[test]
#[ignore = "a measurement"]
fn bench_associate() {
    for (name, distance) in [("64 boxes apart", 60.0_f32), ("64 boxes on a heap", 3.0)] {
        let mut tracks = tracks();
        let crowd = |step: u32| -> Persons {
            (0..MAX_PEOPLE as u32)
                .map(|i| {
                    person(
                        distance * (i * 7 % 64) as f32 + (step % 5) as f32,
                        (step * i % 11) as f32,
                    )
                })
                .collect()
        };
        let (mut most, start) = (Duration::ZERO, std::time::Instant::now());
        for step in 0..2_000 {
            let begun = std::time::Instant::now();
            tracks.associate(&crowd(step), STEP * step);
            most = most.max(begun.elapsed());
        }
        println!(
            "{name}: {:?} a frame, at most {most:?}, {} tracks",
            start.elapsed() / 2_000,
            tracks.len()
        );
    }
}
