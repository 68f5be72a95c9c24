//! After warm-up, a frame of the loop allocates nothing in our own stages.

#[path = "allocations/counting.rs"]
mod counting;

use std::time::Duration;

use fixtures::script::{BOX, CROP, Camera, Colours, DIM, Shot, Time};
use network::metadata::Preprocessing;
use runtime::event::JsonLines;
use runtime::gallery::Gallery;
use runtime::people::given::{Format, Given};
use runtime::people::{People, Spec};
use runtime::pipeline::{Input, Lane, Parts, Pipeline, Settings};
use runtime::quality::Gates;
use runtime::track::{self, Numbers};

/// Allocations of the last half of 200 frames in which one person stands.
fn allocations(people: People) -> u64 {
    // All in one second: what is written once a second is written once.
    let shot = |n: u64| Shot {
        at: Duration::from_millis(5 * n),
        person: Some(0x50_90_C0),
    };
    let time = Time::default();
    let preprocessing = Preprocessing {
        height: CROP[0],
        width: CROP[1],
        ..Preprocessing::default()
    };
    let tracks = track::Settings {
        interval: Duration::ZERO,
        recheck: Duration::ZERO,
        ..track::Settings::new(0.9)
    };
    let settings = Settings {
        tracks,
        gates: Gates {
            min_sharpness: 0.0,
            ..Gates::default()
        },
    };
    let lane = Lane::new("script", people, DIM, &settings, &Numbers::default()).unwrap();
    // As a run keeps it: each frame looks whether a command waits for it.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.redb");
    let mut gallery = Gallery::create_or_open_shared(path, "colours", DIM).unwrap();
    let mut sink = JsonLines(std::io::sink());
    let mut embedder = Colours::default();
    let parts = Parts {
        preprocessing: &preprocessing,
        embedder: &mut embedder,
        gallery: &mut gallery,
        sink: &mut sink,
        clock: &time,
        settings,
        keep: None,
    };
    let input = Input::One(Box::new(Camera::new((0..200u64).map(shot), &time)));
    let mut pipeline = Pipeline::new(input, vec![lane], parts).unwrap();
    for _ in 0..100 {
        pipeline.run_once().unwrap();
    }
    let before = counting::COUNT.get();
    for _ in 0..100 {
        pipeline.run_once().unwrap();
    }
    counting::COUNT.get() - before
}

#[test]
fn given_boxes_tracks_crops_matching_and_lines_allocate_nothing() {
    let [x, y, w, h] = BOX;
    let rows: String = (0..200).map(|n| format!("{n},{x},{y},{w},{h}\n")).collect();
    let text = format!("frame,x,y,w,h\n{rows}");
    let given = Given::read(text.as_bytes(), "script", Format::Csv).unwrap();
    assert_eq!(allocations(given.into()), 0);
}

#[test]
fn motion_allocates_nothing() {
    let motion = People::open(&Spec::of("motion", &[], &[]).unwrap()).unwrap();
    assert_eq!(allocations(motion), 0);
}

#[test]
fn the_count_counts() {
    let before = counting::COUNT.get();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(counting::COUNT.get() - before, 1);
}
