use fixtures::street::{Clip, HEIGHT, Random, VISIT, WIDTH};

use super::*;

/// A furnished room with a lamp, seen by a noisy camera.
struct Room {
    size: [usize; 2],
    empty: Vec<u8>,
    /// Noise of deviation 1, longer than a frame; each frame begins elsewhere.
    noise: Vec<f32>,
    random: Random,
}

/// What a camera makes of the room.
#[derive(Clone, Copy)]
struct Look {
    /// Stream time in seconds.
    time: f64,
    gain: f32,
    /// Deviation of the noise.
    noise: f32,
    /// Height of the dark bands that a rolling shutter makes of a flickering lamp, as a share.
    bands: f32,
    /// A person in a red jacket: left, top, width, height.
    person: Option<[usize; 4]>,
}

const LOOK: Look = Look {
    time: 0.0,
    gain: 1.0,
    noise: 3.0,
    bands: 0.0,
    person: None,
};

impl Room {
    fn new(size: [usize; 2]) -> Self {
        let [width, height] = size;
        let mut random = Random::new(11);
        let mut empty = Vec::with_capacity(width * height * 3);
        for y in 0..height {
            for x in 0..width {
                // A wall, a floor, a cupboard, a window, wallpaper.
                let base = match (x * 16 / width, y * 12 / height) {
                    (1..=3, 2..=7) => [90, 60, 40],
                    (10..=13, 1..=4) => [210, 220, 235],
                    (_, 9..) => [120, 110, 100],
                    _ => [150, 150, 140],
                };
                let pattern = if (x / 4 + y / 4) % 2 == 0 { 6 } else { 0 };
                empty.extend(base.map(|v: u8| v + pattern));
            }
        }
        // Three even distributions of variance 1/3 make nearly a normal one of variance 1.
        let mut normal = || random.number() + random.number() + random.number();
        let noise = (0..width * height * 3 + 65_536).map(|_| normal()).collect();
        Self {
            size,
            empty,
            noise,
            random,
        }
    }

    fn see(&mut self, look: Look) -> Frame {
        let [width, height] = self.size;
        let mut rgb = self.empty.clone();
        if let Some([left, top, w, h]) = look.person {
            for y in top..(top + h).min(height) {
                for x in left..(left + w).min(width) {
                    let colour = match (y - top) * 8 / h {
                        0 => [220, 180, 150],
                        1..=4 => [180, 30, 40],
                        _ => [30, 30, 60],
                    };
                    rgb[(y * width + x) * 3..][..3].copy_from_slice(&colour);
                }
            }
        }
        let start = ((self.random.number() + 1.0) * 32_000.0) as usize;
        let phase = self.random.number() * 3.0;
        let rows = rgb.chunks_exact_mut(width * 3);
        for (y, (row, noise)) in rows
            .zip(self.noise[start..].chunks_exact(width * 3))
            .enumerate()
        {
            let band = look.bands * (phase + y as f32 * 9.0 / height as f32).sin();
            let gain = look.gain * (1.0 + band);
            for (value, noise) in row.iter_mut().zip(noise) {
                let seen = f32::from(*value) * gain + look.noise * noise;
                // As coarse as a JPEG makes it.
                *value = (seen / 4.0).round().clamp(0.0, 63.0) as u8 * 4;
            }
        }
        Frame {
            stream_time: Duration::from_secs_f64(look.time),
            width,
            height,
            rgb,
            ..Frame::default()
        }
    }
}

fn motion(options: MotionOptions) -> Motion {
    Motion::new(options).unwrap()
}

fn overlap(found: BBox, [x, y, w, h]: [usize; 4]) -> f32 {
    let [x, y, w, h] = [x, y, w, h].map(|v| v as f32);
    let across = (found.x + found.w).min(x + w) - found.x.max(x);
    let down = (found.y + found.h).min(y + h) - found.y.max(y);
    let both = across.max(0.0) * down.max(0.0);
    both / (found.w * found.h + w * h - both)
}

#[test]
fn walking_figures_are_found() {
    let clip = Clip::render();
    let mut motion = motion(MotionOptions::default());
    let mut frame = Frame {
        width: WIDTH,
        height: HEIGHT,
        ..Frame::default()
    };
    let mut found = Persons::new();
    // The two frames behind the first visit are empty: five seconds of them come first.
    let before = (0..20).map(|n| VISIT + n % 2);
    let (mut seen, mut shared) = (0, 0.0);
    for (n, at) in before.chain(0..clip.frames.len()).enumerate() {
        frame.stream_time = Duration::from_millis(250 * n as u64);
        frame.rgb.clone_from(&clip.frames[at]);
        assert_eq!(motion.find(&frame, &mut found), 0);
        let truth = clip.sightings.iter().find(|s| n >= 20 && s.frame == at);
        match truth {
            None => assert_eq!(found.as_slice(), [], "frame {at} is empty"),
            Some(truth) => {
                assert_eq!(found.len(), 1, "frame {at}");
                seen += 1;
                shared += overlap(found[0].bbox, truth.bbox);
            }
        }
    }
    assert_eq!(seen, clip.sightings.len());
    // The figures stand with their arms a quarter of the box from its side.
    assert!(shared / seen as f32 > 0.7, "{}", shared / seen as f32);
}

/// Shows an empty room for `seconds`, and returns frames that were watched and people found.
fn empty_room(size: [usize; 2], seconds: usize, fps: usize) -> (usize, usize) {
    let mut room = Room::new(size);
    let mut motion = motion(MotionOptions::default());
    let (mut found, mut people, mut watched) = (Persons::new(), 0, 0);
    for n in 0..seconds * fps {
        let time = n as f64 / fps as f64;
        let progress = n as f32 / (seconds * fps) as f32;
        // A lamp on 50 Hz seen at a slightly other rate, and a sunrise.
        let flicker = 0.05 * (time * 61.3).sin() as f32;
        let look = Look {
            time,
            gain: (1.0 + flicker) * (0.6 + 0.7 * progress),
            noise: 3.0 + 3.0 * (1.0 - progress),
            bands: if n / (fps * 20) % 2 == 1 { 0.03 } else { 0.0 },
            person: None,
        };
        motion.find(&room.see(look), &mut found);
        people += found.len();
        watched += usize::from(motion.state() == MotionState::Watching);
    }
    (watched, people)
}

#[test]
fn nobody_is_found_in_an_empty_room() {
    for fps in [1, 8] {
        let seconds = 90;
        let (watched, people) = empty_room([160, 120], seconds, fps);
        assert_eq!(people, 0, "{fps} frames a second");
        assert!(
            watched >= (seconds - 6) * fps,
            "{fps} frames a second: {watched}"
        );
    }
}

#[test]
#[ignore = "takes minutes: an hour of the room at 10 frames a second"]
fn nobody_is_found_in_an_empty_room_for_an_hour() {
    let (watched, people) = empty_room([320, 240], 3600, 10);
    assert_eq!((watched, people), (36_000 - 41, 0));
}

#[test]
fn settings_are_in_seconds_at_any_rate() {
    for fps in [1, 5, 25] {
        let mut room = Room::new([160, 120]);
        let options = MotionOptions {
            fade: Duration::from_secs(20),
            ..MotionOptions::default()
        };
        let mut motion = motion(options);
        let mut found = Persons::new();
        for n in 0..60 * fps {
            let time = f64::from(n) / f64::from(fps);
            // Comes after seven seconds and stands still.
            let person = (time >= 7.0).then_some([60, 20, 28, 90]);
            motion.find(
                &room.see(Look {
                    time,
                    person,
                    ..LOOK
                }),
                &mut found,
            );
            let case = format!("{fps} frames a second, {time} s");
            match time {
                ..7.0 => assert!(found.is_empty(), "{case}"),
                7.0..22.0 => {
                    assert_eq!(found.len(), 1, "{case}");
                    assert!(overlap(found[0].bbox, person.unwrap()) > 0.8, "{case}");
                }
                22.0..40.0 => {}
                _ => assert!(found.is_empty(), "{case}"),
            }
        }
    }
}

#[test]
fn the_light_is_nobody_and_hides_nobody() {
    let mut room = Room::new([160, 120]);
    let mut motion = motion(MotionOptions::default());
    let mut found = Persons::new();
    for n in 0..120 {
        let time = f64::from(n) / 4.0;
        // Exposure steps every two and a half seconds; a person passes in the second half of each.
        let gain = [1.0, 1.4, 0.7, 1.2][n as usize / 10 % 4];
        let person = (n >= 30 && n % 10 >= 5).then_some([20 + n as usize, 20, 28, 90]);
        let person = person.filter(|[left, ..]| *left < 130);
        motion.find(
            &room.see(Look {
                time,
                gain,
                person,
                ..LOOK
            }),
            &mut found,
        );
        if motion.state() == MotionState::Watching {
            assert_eq!(found.len(), usize::from(person.is_some()), "frame {n}");
        }
        assert_eq!(
            motion.state() == MotionState::Watching,
            time > 4.0,
            "frame {n}"
        );
    }
}

#[test]
fn another_scene_is_learnt_anew() {
    let mut rooms = [Room::new([160, 120]), Room::new([160, 120])];
    // The camera is turned: everything is elsewhere.
    rooms[1].empty.rotate_left(160 * 3 * 50 + 90);
    for pixel in rooms[1].empty.as_chunks_mut::<3>().0 {
        *pixel = [pixel[2], 255 - pixel[0], pixel[1] / 2];
    }
    let mut motion = motion(MotionOptions::default());
    let mut found = Persons::new();
    let mut states = Vec::new();
    for n in 0..60 {
        let time = f64::from(n) / 2.0;
        let room = &mut rooms[usize::from(n >= 20)];
        motion.find(&room.see(Look { time, ..LOOK }), &mut found);
        assert_eq!(found.as_slice(), [], "frame {n}");
        if states.last() != Some(&motion.state()) {
            states.push(motion.state());
        }
    }
    use MotionState::{Blind, Learning, Watching};
    assert_eq!(states, [Learning, Watching, Blind, Learning, Watching]);
}

#[test]
fn what_is_ignored_is_not_looked_at() {
    let left = Polygon::parse("0,0 0.5,0 0.5,1 0,1").unwrap();
    let options = MotionOptions {
        ignore: vec![left],
        ..MotionOptions::default()
    };
    let (mut room, mut motion) = (Room::new([160, 120]), motion(options));
    let mut found = Persons::new();
    for n in 0..20 {
        let left = if n % 2 == 0 { 20 } else { 110 };
        let person = (n >= 10).then_some([left, 20, 28, 90]);
        motion.find(
            &room.see(Look {
                time: f64::from(n),
                person,
                ..LOOK
            }),
            &mut found,
        );
        assert_eq!(
            found.len(),
            usize::from(n >= 10 && left == 110),
            "frame {n}"
        );
    }
}

#[test]
fn odd_frames_are_survived() {
    let mut motion = motion(MotionOptions::default());
    let mut found = Persons::new();
    for [width, height] in [
        [0, 0],
        [1, 1],
        [1, 500],
        [3000, 2],
        [7, 5],
        [160, 120],
        [1, 1],
    ] {
        // Time stands still, jumps ahead, and goes back.
        for seconds in [5, 5, 5, 5, 5, 999_999, 3, 7, 9, 11] {
            let frame = Frame {
                stream_time: Duration::from_secs(seconds),
                width,
                height,
                rgb: vec![(seconds * 31) as u8; width * height * 3],
                ..Frame::default()
            };
            assert_eq!(motion.find(&frame, &mut found), 0);
            assert_eq!(found.as_slice(), []);
        }
    }
}

#[test]
fn impossible_options_are_named() {
    let ok = MotionOptions::default;
    let cases = [
        (
            "learn is 7200, wanted 0 to 3600",
            MotionOptions {
                learn: Duration::from_secs(7200),
                ..ok()
            },
        ),
        (
            "fade is 0, wanted 1 to 86400",
            MotionOptions {
                fade: Duration::ZERO,
                ..ok()
            },
        ),
        (
            "contrast is NaN, wanted 1 to 50",
            MotionOptions {
                contrast: f32::NAN,
                ..ok()
            },
        ),
        (
            "largest aspect is 1, wanted 2 to 20",
            MotionOptions {
                aspect: [2.0, 1.0],
                ..ok()
            },
        ),
        (
            "fill is 1.5, wanted 0 to 1",
            MotionOptions { fill: 1.5, ..ok() },
        ),
    ];
    for (wanted, options) in cases {
        let error = Motion::new(options).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
#[ignore = "a measurement, not a check: run it in release"]
fn bench_frames() {
    for size in [[768, 432], [1280, 720], [1920, 1080]] {
        let (mut room, mut motion) = (Room::new(size), motion(MotionOptions::default()));
        let mut found = Persons::new();
        let mut fastest = Duration::MAX;
        let frames: Vec<Frame> = (0..30)
            .map(|n| {
                let person = (n % 2 == 1).then_some([
                    size[0] / 3,
                    size[1] / 8,
                    size[0] / 6,
                    size[1] * 3 / 4,
                ]);
                room.see(Look {
                    time: f64::from(n),
                    person,
                    ..LOOK
                })
            })
            .collect();
        for frame in &frames {
            let start = std::time::Instant::now();
            motion.find(frame, &mut found);
            // Learning is cheaper.
            if motion.state() == MotionState::Watching {
                fastest = fastest.min(start.elapsed());
            }
        }
        println!(
            "{} x {}: {:.2} ms at best",
            size[0],
            size[1],
            fastest.as_secs_f64() * 1e3
        );
    }
}
