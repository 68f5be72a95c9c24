//! After warm-up, a frame of the loop allocates nothing in our own stages, events included.

#[path = "allocations/counting.rs"]
mod counting;

use std::time::Duration;

use fixtures::script::{BOX, CROP, Camera, Colours, DIM, Shot, Time};
use network::metadata::Preprocessing;
use runtime::Result;
use runtime::event::{Event, Evidence, Observation};
use runtime::gallery::Gallery;
use runtime::people::given::{Format, Given};
use runtime::people::{People, Spec};
use runtime::pipeline::{Environment, Input, Pipeline, Session, Settings, Stream};
use runtime::quality::Gates;
use runtime::sink::{JsonLines, Sink};
use runtime::track::{Numbers, TrackerSettings};
use runtime::visits::Visits;

/// Frames of the script. In each ten, a person stands in the first eight: long enough to be
/// identified, and is gone for long enough to come back.
const FRAMES: u64 = 400;

fn is_there(frame: u64) -> bool {
    frame % 10 < 8
}

/// Writes lines, and counts events.
struct Counting {
    lines: JsonLines<std::io::Sink>,
    events: usize,
}

impl Sink for Counting {
    fn observation(&mut self, seen: &Observation<'_>, evidence: &Evidence<'_>) -> Result<()> {
        self.lines.observation(seen, evidence)
    }

    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        self.events += 1;
        self.lines.event(event)
    }
}

/// Allocations of the last half of the script, and all its events.
fn allocations(people: People) -> (u64, usize) {
    // All in one second: what is written once a second is written once.
    let shot = |n: u64| Shot {
        at: Duration::from_micros(2_400 * n),
        person: is_there(n).then_some(0x50_90_C0),
    };
    let time = Time::default();
    let preprocessing = Preprocessing {
        height: CROP[0],
        width: CROP[1],
        ..Preprocessing::default()
    };
    let tracks = TrackerSettings {
        interval: Duration::ZERO,
        recheck: Duration::ZERO,
        max_gap: Duration::ZERO,
        ..TrackerSettings::new(0.9)
    };
    let settings = Settings {
        tracks,
        gates: Gates {
            min_sharpness: 0.0,
            ..Gates::default()
        },
    };
    let stream = Stream::new("script", people, DIM, &settings, &Numbers::default()).unwrap();
    // As a run keeps it: each frame looks whether a command waits for it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.redb");
    let gallery = Gallery::create_or_open_shared(path, "colours", DIM).unwrap();
    let visits = Visits::new(Duration::from_micros(6_500)).unwrap();
    let mut session = Session::new(gallery, visits);
    let mut sink = Counting {
        lines: JsonLines {
            out: std::io::sink(),
            observations: true,
        },
        events: 0,
    };
    let environment = Environment {
        preprocessing: &preprocessing,
        embedder: &mut Colours::default(),
        session: &mut session,
        sink: &mut sink,
        clock: &time,
        settings,
    };
    let input = Input::One(Box::new(Camera::new((0..FRAMES).map(shot), &time)));
    let mut pipeline = Pipeline::new(input, vec![stream], environment).unwrap();
    for _ in 0..FRAMES / 2 {
        pipeline.run_once().unwrap();
    }
    let before = counting::COUNT.get();
    for _ in 0..FRAMES / 2 {
        pipeline.run_once().unwrap();
    }
    let count = counting::COUNT.get() - before;
    drop(pipeline);
    (count, sink.events)
}

#[test]
fn given_boxes_tracks_crops_matching_and_lines_allocate_nothing() {
    let [x, y, w, h] = BOX;
    let rows: String = (0..FRAMES)
        .filter(|n| is_there(*n))
        .map(|n| format!("{n},{x},{y},{w},{h}\n"))
        .collect();
    let text = format!("frame,x,y,w,h\n{rows}");
    let given = Given::read(text.as_bytes(), "script", Format::Csv).unwrap();
    // 40 visits, each of which starts and is identified; all but the last have ended.
    assert_eq!(allocations(given.into()), (0, 3 * 40 - 1));
}

#[test]
fn motion_allocates_nothing() {
    let motion = People::open(&Spec::of("motion", &[], &[]).unwrap()).unwrap();
    assert_eq!(allocations(motion).0, 0);
}

#[test]
fn the_count_counts() {
    let before = counting::COUNT.get();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(counting::COUNT.get() - before, 1);
}
