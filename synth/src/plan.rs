//! Which pictures a data set has: who, by which camera, in which file.

use retrieval::market;

use super::Options;
use super::palette::Side;
use crate::random::Draw;

/// A picture to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Take {
    pub(super) folder: &'static str,
    pub(super) name: String,
    /// From 0.
    pub(super) camera: usize,
    pub(super) subject: Subject,
    /// Which walk past the camera, and which picture of it.
    pub(super) track: u64,
    pub(super) shot: u64,
}

/// What is on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A person of this side, from 0.
    Person(Side, usize),
    /// A person of those tested in a box that misses them.
    Junk(usize),
    /// Nobody: a detector's mistake.
    Nobody,
}

/// Share of the pictures of a camera that see a person at all: not everybody passes everywhere.
const SEEN: f64 = 0.85;

/// Pictures of one walk past a camera, at the most; the next walk may go the other way.
const WALK: usize = 2;

/// All pictures: `learned` persons to train with, `tested` to test.
pub(super) fn takes(options: &Options, learned: usize, tested: usize) -> Vec<Take> {
    let cameras = options.cameras;
    // The last camera is kept for the test.
    let train_cameras = if cameras >= 3 { cameras - 1 } else { cameras };
    let mut takes = Vec::new();
    for person in 0..learned {
        for camera in seen_by(options, Side::Learned, person, train_cameras) {
            for (track, shot, name) in shots(options, person + 1, camera) {
                takes.push(Take {
                    folder: market::TRAIN,
                    name,
                    camera,
                    subject: Subject::Person(Side::Learned, person),
                    track,
                    shot,
                });
            }
        }
    }
    let train = takes.len();
    for person in 0..tested {
        for camera in seen_by(options, Side::Tested, person, cameras) {
            for (i, (track, shot, name)) in shots(options, learned + person + 1, camera)
                .into_iter()
                .enumerate()
            {
                takes.push(Take {
                    folder: if i == 0 {
                        market::QUERY
                    } else {
                        market::GALLERY
                    },
                    name,
                    camera,
                    subject: Subject::Person(Side::Tested, person),
                    track,
                    shot,
                });
            }
        }
    }
    let test = takes.len() - train;
    let mut draw = Draw::new(options.seed, "street plan", &[]);
    let disturbing = tested.div_ceil(6);
    let mut extra = |label: &str, number: usize, subject: Subject| {
        let camera = draw.below(cameras);
        takes.push(Take {
            folder: market::GALLERY,
            name: format!("{label}_c{}s1_{:06}_01.jpg", camera + 1, number + 1),
            camera,
            subject,
            track: 1000 + number as u64,
            shot: 0,
        });
    };
    for number in 0..test / 8 {
        let subject = match number % 5 {
            0 | 1 => Subject::Nobody,
            _ => Subject::Person(Side::Tested, tested + number % disturbing),
        };
        extra("0000", number, subject);
    }
    for number in 0..test / 20 {
        extra("-1", number, Subject::Junk(number % tested));
    }
    takes
}

/// The cameras that see a person: at least two.
fn seen_by(options: &Options, side: Side, person: usize, cameras: usize) -> Vec<usize> {
    let mut draw = Draw::new(options.seed, "street passes", &[side as u64, person as u64]);
    let mut order: Vec<usize> = (0..cameras).collect();
    draw.shuffle(&mut order);
    let mut rank = 0;
    order.retain(|_| {
        rank += 1;
        rank <= 2 || draw.chance(SEEN)
    });
    order.sort_unstable();
    order
}

/// Track, shot and name of each picture of a person by a camera.
fn shots(options: &Options, number: usize, camera: usize) -> Vec<(u64, u64, String)> {
    (0..options.per_camera)
        .map(|i| {
            let (track, shot) = (i / WALK, i % WALK);
            let start = 100 + (number * 7919 + camera * 104_729 + track * 15_485) % 90_000;
            let name = format!(
                "{number:04}_c{}s{}_{:06}_01.jpg",
                camera + 1,
                track + 1,
                start + shot * 12
            );
            (track as u64, shot as u64, name)
        })
        .collect()
}
