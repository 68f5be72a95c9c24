//! Plans a data set: which person each picture shows, by which camera, in which file.

use retrieval::market;

use super::RenderOptions;
use super::palette::Split;
use crate::random::Draw;

/// A picture to render.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedPicture {
    pub(super) folder: &'static str,
    pub(super) name: String,
    /// From 0.
    pub(super) camera: usize,
    pub(super) subject: Subject,
    /// Number of the walk past the camera, and of the picture in it.
    pub(super) track: u64,
    pub(super) shot: u64,
}

/// What a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// A person of this split, from 0.
    Person(Split, usize),
    /// A test person in a box that misses them.
    Junk(usize),
    /// No person: a detector's mistake.
    Background,
}

/// Share of the cameras beyond the first two that see a person.
const SEEN: f64 = 0.85;

/// The most pictures of one walk past a camera; the next walk may have another direction.
const WALK: usize = 2;

/// All pictures: `train` persons to train with, `test` persons to test with.
pub(super) fn pictures(options: &RenderOptions, train: usize, test: usize) -> Vec<PlannedPicture> {
    let cameras = options.cameras;
    // The last camera is for the test alone.
    let train_cameras = if cameras >= 3 { cameras - 1 } else { cameras };
    let mut pictures = Vec::new();
    for (split, persons, cameras, first) in [
        (Split::Train, train, train_cameras, 1),
        (Split::Test, test, cameras, train + 1),
    ] {
        for person in 0..persons {
            for camera in seen_by(options, split, person, cameras) {
                for shot in 0..options.per_camera {
                    let folder = match (split, shot) {
                        (Split::Train, _) => market::TRAIN,
                        (Split::Test, 0) => market::QUERY,
                        (Split::Test, _) => market::GALLERY,
                    };
                    let subject = Subject::Person(split, person);
                    pictures.push(picture(folder, subject, first + person, camera, shot));
                }
            }
        }
    }
    let test_pictures = pictures
        .iter()
        .filter(|p| p.folder != market::TRAIN)
        .count();
    let mut draw = Draw::new(options.seed, "street plan", &[]);
    let mut extra = |label: &str, number: usize, subject: Subject| {
        let camera = draw.below(cameras);
        pictures.push(PlannedPicture {
            folder: market::GALLERY,
            name: format!("{label}_c{}s1_{:06}_01.jpg", camera + 1, number + 1),
            camera,
            subject,
            track: 1000 + number as u64,
            shot: 0,
        });
    };
    for number in 0..test_pictures / 8 {
        let subject = match number % 5 {
            0 | 1 => Subject::Background,
            _ => Subject::Person(Split::Test, test + number % test.div_ceil(6)),
        };
        extra("0000", number, subject);
    }
    for number in 0..test_pictures / 20 {
        extra("-1", number, Subject::Junk(number % test));
    }
    pictures
}

/// The cameras that see a person: at least two.
fn seen_by(options: &RenderOptions, split: Split, person: usize, cameras: usize) -> Vec<usize> {
    let mut draw = Draw::new(
        options.seed,
        "street passes",
        &[split as u64, person as u64],
    );
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

/// Picture `index` of person `number` (as in its name) by a camera.
fn picture(
    folder: &'static str,
    subject: Subject,
    number: usize,
    camera: usize,
    index: usize,
) -> PlannedPicture {
    let (track, shot) = (index / WALK, index % WALK);
    let start = 100 + (number * 7919 + camera * 104_729 + track * 15_485) % 90_000;
    let frame = start + shot * 12;
    PlannedPicture {
        folder,
        name: format!(
            "{number:04}_c{}s{}_{frame:06}_01.jpg",
            camera + 1,
            track + 1
        ),
        camera,
        subject,
        track: track as u64,
        shot: shot as u64,
    }
}
