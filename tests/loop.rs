//! The loop with a scripted camera, a simulated clock and people who are colours: days pass in
//! seconds.

use std::time::Duration;

use fixtures::script::{BOX, CROP, Camera, Colours, DIM, Shot, Time};
use fixtures::street::Random;
use media::clock::CancelToken;
use media::slot::{Group, Policy, Slot};
use network::metadata::Preprocessing;
use runtime::event::{Evidence, Observation, Silent, Sink, State};
use runtime::gallery::{Gallery, GalleryLimits};
use runtime::people::People;
use runtime::people::given::{Format, Given};
use runtime::pipeline::{Input, Lane, Parts, Pipeline, Settings, Summary, Turn};
use runtime::quality::Gates;
use runtime::track::{self, Numbers};

const DAY: u64 = 24 * 3600;
const DAY_MILLIS: u64 = DAY * 1000;

/// Boxes of everybody who is in a frame of `shots`.
fn boxes(shots: &[Shot]) -> People {
    let [x, y, w, h] = BOX;
    let mut text = "frame,x,y,w,h\n".to_owned();
    for (n, _) in shots
        .iter()
        .enumerate()
        .filter(|(_, shot)| shot.person.is_some())
    {
        text.push_str(&format!("{n},{x},{y},{w},{h}\n"));
    }
    Given::read(text.as_bytes(), "script", Format::Csv)
        .expect("the boxes are right")
        .into()
}

fn settings() -> Settings {
    // Colours have no edges and stand where they stand.
    let gates = Gates {
        min_sharpness: 0.0,
        ..Gates::default()
    };
    Settings {
        tracks: track::Settings::new(0.9),
        gates,
    }
}

/// Plays `shots` to `sink`, and shows the gallery after each turn.
fn play(
    shots: &[Shot],
    gallery: &mut Gallery,
    sink: &mut dyn Sink,
    mut after: impl FnMut(&Gallery, u64),
) -> Summary {
    let time = Time::default();
    let preprocessing = Preprocessing {
        height: CROP[0],
        width: CROP[1],
        ..Preprocessing::default()
    };
    let settings = settings();
    let lane = Lane::new("script", boxes(shots), DIM, &settings, &Numbers::default());
    let script = Vec::from(shots).into_iter();
    let input = Input::One(Box::new(Camera::new(script, &time)));
    let mut embedder = Colours::default();
    // What is known is looked at between two turns, so each turn borrows the gallery anew.
    let parts = Parts {
        preprocessing: &preprocessing,
        embedder: &mut embedder,
        gallery,
        sink,
        clock: &time,
        settings,
        keep: None,
    };
    let mut pipeline = Pipeline::new(input, vec![lane.unwrap()], parts).unwrap();
    let mut turn = 0;
    while !matches!(pipeline.run_once().expect("the script plays"), Turn::Ended) {
        after(pipeline.gallery(), shots[turn].at.as_millis() as u64);
        turn += 1;
    }
    pipeline.finish().0
}

fn gallery(retention: Duration) -> Gallery {
    let limits = GalleryLimits {
        retention: Some(retention),
        ..GalleryLimits::default()
    };
    Gallery::in_memory("colours", DIM)
        .unwrap()
        .with_limits(limits)
        .unwrap()
}

/// A visit of four seconds, one frame each.
fn visit(person: u32, start: u64) -> impl Iterator<Item = Shot> {
    (0..4).map(move |n| Shot {
        at: Duration::from_secs(start + n),
        person: Some(person),
    })
}

/// What was said of each frame.
#[derive(Default)]
struct Said(Vec<(u64, Option<String>, State)>);

impl Sink for Said {
    fn emit(&mut self, seen: &Observation<'_>, _: &Evidence<'_>) -> runtime::Result<()> {
        self.0
            .push((seen.frame, seen.identity.map(str::to_owned), seen.state));
        Ok(())
    }
}

#[test]
fn a_visit_is_born_once_and_known_the_next_time() {
    let shots: Vec<Shot> = visit(0x11_22_33, 0)
        .chain(visit(0x90_50_10, 60))
        .chain(visit(0x11_22_33, 120))
        .collect();
    let mut gallery = gallery(Duration::from_secs(DAY));
    let mut said = Said::default();
    let summary = play(&shots, &mut gallery, &mut said, |_, _| {});
    let states: Vec<State> = said.0.iter().map(|(.., state)| *state).collect();
    use State::{New, Pending, Seen};
    assert_eq!(
        states[..8],
        [Pending, Pending, New, Seen, Pending, Pending, New, Seen]
    );
    // Whoever is very similar is known from the first crops.
    assert!(
        states[8..]
            .iter()
            .all(|state| matches!(state, Pending | Seen)),
        "{states:?}"
    );
    assert_eq!(states[11], Seen);
    assert_eq!(said.0[3].1, said.0[11].1);
    assert_ne!(said.0[3].1, said.0[7].1);
    assert_eq!((summary.identities.len(), gallery.len()), (2, 2));
}

#[test]
fn a_clock_that_is_set_back_loses_nobody() {
    let mut shots: Vec<Shot> = visit(1 << 20, 1000).chain(visit(1 << 10, 2000)).collect();
    // Back by half an hour, in the middle of a visit.
    shots.extend(visit(1 << 20, 200).chain(visit(1 << 20, 3000)));
    let mut gallery = gallery(Duration::from_secs(3600));
    let summary = play(&shots, &mut gallery, &mut Silent, |_, _| {});
    assert_eq!(summary.identities.len(), 2);
    assert_eq!(gallery.len(), 2);
}

#[test]
fn two_sources_share_one_gallery_and_each_gets_its_turn() {
    let scripts: [Vec<Shot>; 2] = [
        visit(0x11_22_33, 0).chain(visit(0x90_50_10, 60)).collect(),
        visit(0x90_50_10, 0)
            .chain(visit(0x11_22_33, 60))
            .chain(visit(0x20_F0_50, 120))
            .collect(),
    ];
    let settings = settings();
    let numbers = Numbers::default();
    let (mut lanes, mut slots) = (Vec::new(), Vec::new());
    for (n, script) in scripts.iter().enumerate() {
        let people = boxes(script);
        lanes.push(Lane::new(&format!("{n}"), people, DIM, &settings, &numbers).unwrap());
        let camera = Camera::new(script.clone().into_iter(), &Time::default());
        slots.push(Slot::new(Box::new(camera), Policy::Every, CancelToken::default()).unwrap());
    }
    let mut gallery = gallery(Duration::from_secs(DAY));
    let mut said = Said::default();
    let preprocessing = Preprocessing {
        height: CROP[0],
        width: CROP[1],
        ..Preprocessing::default()
    };
    let parts = Parts {
        preprocessing: &preprocessing,
        embedder: &mut Colours::default(),
        gallery: &mut gallery,
        sink: &mut said,
        clock: &Time::default(),
        settings,
        keep: None,
    };
    let mut pipeline = Pipeline::new(Input::several(Group::new(slots)), lanes, parts).unwrap();
    loop {
        match pipeline.run_once().expect("the scripts play") {
            // One frame or two, as the capture threads have it.
            Turn::Worked(1 | 2) | Turn::Idle => {}
            Turn::Worked(frames) => panic!("{frames} frames of two sources"),
            Turn::Broken(error) | Turn::Away(error) => panic!("{error}"),
            Turn::Ended => break,
        }
    }
    let summary = pipeline.finish().0;
    assert_eq!(
        summary.frames,
        8 + 12,
        "no frame is lost where every one counts"
    );
    assert_eq!(summary.dropped_frames, 0);
    // Who is seen by both at first may be born twice: neither has decided when the other begins.
    let identities = summary.identities.len();
    assert!((3..=5).contains(&identities), "{identities} identities");
    assert_eq!(said.0.len(), 20);
}

/// Resident memory of this process in kB, as Linux counts it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn two_days_of_2000_visitors_stay_within_bounds_and_nobody_outstays_the_retention() {
    const VISITS: u64 = 2000;
    const GAP: u64 = DAY / VISITS;
    let mut random = Random::new(5);
    let mut people: Vec<u32> = Vec::new();
    let mut shots = Vec::new();
    for n in 0..2 * VISITS {
        // Every third visitor has been here lately.
        let again = n % 3 == 2;
        let lately = people.len().saturating_sub(300);
        let pick = ((random.number() + 1.0) / 2.0 * (people.len() - lately) as f32) as usize;
        let person = match again {
            true => people[(lately + pick).min(people.len() - 1)],
            false => {
                // Spread over all colours; 0 would be the background.
                people.push(((n as u32 + 1).wrapping_mul(0x9E_37_79)) & 0xFF_FF_FF | 1);
                people[people.len() - 1]
            }
        };
        shots.extend(visit(person, n * GAP));
    }
    let mut gallery = gallery(Duration::from_secs(DAY));
    let (mut most, mut memory) = (0, Vec::new());
    let summary = play(&shots, &mut gallery, &mut Silent, |gallery, now| {
        most = most.max(gallery.len());
        // Looking at everybody is slow: once a simulated hour is enough.
        if now % 3_600_000 < 1000 {
            let now = (1 << 40) + now;
            let oldest = gallery
                .list()
                .map(|known| known.last_seen)
                .min()
                .unwrap_or(now);
            assert!(
                now - oldest <= DAY_MILLIS + 60_000,
                "{} ms unseen",
                now - oldest
            );
            memory.extend(resident());
        }
    });
    // Two of three visitors of a day are new.
    assert!(
        (1300..=1500).contains(&most),
        "{most} identities at the most"
    );
    assert!(summary.forgotten > 1000, "{} forgotten", summary.forgotten);
    // After the first day as many go as come.
    let (day, end) = (memory[memory.len() / 2], memory[memory.len() - 1]);
    assert!(
        end < day + day / 5 + 8_000,
        "{day} kB after a day, {end} kB after two"
    );
}
