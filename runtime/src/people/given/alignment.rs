//! Detects boxes of a file that are one frame off: programs count frames from 0 or from 1.
//!
//! A pixel moves if it differs from both the previous and the next frame (three-frame differencing,
//! Kameda and Minoh 1996). Boxes of persons contain more movement than the rest of their own frame;
//! boxes that contain more of it in a neighbouring frame belong there. Where persons move little
//! between frames, nothing is reported.

use std::fmt;

use network::preprocess::BBox;

use super::super::{MAX_PEOPLE, Person};
use media::Frame;

/// The longest side of the reduced pictures that are compared.
const SIDE: usize = 160;

/// Frames that are kept: two on each side of the one whose boxes are compared.
const KEPT: usize = 5;

/// Minimum number of compared boxes for a verdict.
const MIN_BOXES: u64 = 20;

/// Minimum ratio of the movement in another frame to that in the own frame. Measured: 2.2 and 2.7 with
/// boxes one frame off at 1 frame a second; below 1.05 at 25, with right boxes and with wrong ones.
const MARGIN: f64 = 1.25;

/// Maximum weight of one box, in levels of brightness: a few must not decide.
const MAX_MOVEMENT: f64 = 32.0;

/// Collects how well boxes fit the frames around them.
#[derive(Debug, Default)]
pub(super) struct Alignment {
    /// Size of the frames; another size resets.
    size: [usize; 2],
    step: usize,
    /// Size of the reduced pictures.
    reduced: [usize; 2],
    /// The last frames, the newest at `(count - 1) % KEPT`.
    seen: [Seen; KEPT],
    /// Frames in a row.
    count: usize,
    last: u64,
    /// Movement inside of the boxes beyond that of the whole frame, added up: in the previous frame,
    /// in their own, in the next.
    movement: [f64; 3],
    boxes: u64,
}

/// A frame as it is compared.
#[derive(Debug, Default)]
struct Seen {
    /// Brightness, row by row.
    pixels: Vec<u8>,
    /// Left, top, right, bottom, in reduced pixels.
    boxes: heapless::Vec<[usize; 4], MAX_PEOPLE>,
}

/// Boxes fit another frame better than their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Misaligned {
    /// Whether it is the next frame; else it is the previous one.
    pub next: bool,
    /// How much movement the boxes contain there, as a multiple of that in their own frame.
    pub ratio: f64,
    /// How many boxes were compared.
    pub boxes: u64,
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { next, ratio, boxes } = self;
        let (which, hint) = match next {
            true => ("next", "are all its frame numbers one too low?"),
            false => ("previous", "does the file count frames from 1?"),
        };
        write!(
            f,
            "the boxes fit the {which} frame better than their own ({ratio:.1} times the movement inside, {boxes} boxes compared): {hint}"
        )
    }
}

impl Alignment {
    /// Adds a frame with the boxes of the file.
    pub(super) fn see(&mut self, frame: &Frame, persons: &[Person]) {
        let size = [frame.width, frame.height];
        if size.contains(&0) || frame.rgb.len() < frame.width * frame.height * 3 {
            return;
        }
        if size != self.size {
            self.size = size;
            self.step = frame.width.max(frame.height).div_ceil(SIDE);
            self.reduced = size.map(|side| side.div_ceil(self.step));
            self.count = 0;
        }
        if self.count > 0 && frame.index != self.last.wrapping_add(1) {
            self.count = 0;
        }
        self.last = frame.index;
        let seen = &mut self.seen[self.count % KEPT];
        seen.reduce(frame, self.step, self.reduced);
        seen.boxes.clear();
        for person in persons {
            if let Some(bbox) = place(person.bbox, self.step, self.reduced) {
                // As many as a frame's list of people holds.
                let _ = seen.boxes.push(bbox);
            }
        }
        self.count += 1;
        if self.count >= KEPT {
            self.compare();
        }
    }

    /// The result for the boxes so far.
    pub(super) fn verdict(&self) -> Option<Misaligned> {
        if self.boxes < MIN_BOXES {
            return None;
        }
        let [previous, own, next] = self.movement;
        let (movement, next) = if next > previous {
            (next, true)
        } else {
            (previous, false)
        };
        // Boxes in which nothing moves are compared with very little movement.
        let ratio = movement / own.max(movement * 0.01);
        (movement > 0.0 && ratio >= MARGIN).then_some(Misaligned {
            next,
            ratio,
            boxes: self.boxes,
        })
    }

    /// Scores the boxes of the frame in the middle.
    fn compare(&mut self) {
        let at = |back: usize| &self.seen[(self.count - 1 - back) % KEPT];
        let boxes = &at(2).boxes;
        if boxes.is_empty() {
            return;
        }
        let width = self.reduced[0];
        let movement = |middle: usize| {
            let [before, here, behind] = [middle + 1, middle, middle - 1].map(|i| &at(i).pixels);
            Movement {
                before,
                here,
                behind,
                width,
            }
        };
        let frames = [movement(3), movement(2), movement(1)];
        let everywhere = frames.each_ref().map(Movement::mean);
        for &bbox in boxes {
            self.boxes += 1;
            for (i, sum) in self.movement.iter_mut().enumerate() {
                let beyond = frames[i].mean_inside(bbox) - everywhere[i];
                *sum += beyond.clamp(-MAX_MOVEMENT, MAX_MOVEMENT);
            }
        }
    }
}

impl Seen {
    /// A few pixels of every square of `step` stand for it: enough to see a person move, and less than a tenth of reading all.
    fn reduce(&mut self, frame: &Frame, step: usize, [width, height]: [usize; 2]) {
        self.pixels.resize(width * height, 0);
        let half = step / 2;
        for (y, row) in self.pixels.chunks_exact_mut(width).enumerate() {
            let line = |y: usize| {
                let y = y.min(frame.height - 1);
                &frame.rgb[y * frame.width * 3..][..frame.width * 3]
            };
            let (upper, lower) = (line(y * step), line(y * step + half));
            for (x, pixel) in row.iter_mut().enumerate() {
                let left = x * step;
                let right = (left + half).min(frame.width - 1);
                // Green is most of the brightness.
                let sum = [
                    upper[left * 3 + 1],
                    upper[right * 3 + 1],
                    lower[left * 3 + 1],
                    lower[right * 3 + 1],
                ]
                .map(u16::from)
                .iter()
                .sum::<u16>();
                *pixel = (sum / 4) as u8;
            }
        }
    }
}

/// Three frames in a row.
struct Movement<'a> {
    before: &'a [u8],
    here: &'a [u8],
    behind: &'a [u8],
    width: usize,
}

impl Movement<'_> {
    fn sum(&self, pixels: std::ops::Range<usize>) -> u32 {
        let here = &self.here[pixels.clone()];
        let around = self.before[pixels.clone()].iter().zip(&self.behind[pixels]);
        here.iter()
            .zip(around)
            .map(|(&here, (&before, &behind))| {
                u32::from(here.abs_diff(before).min(here.abs_diff(behind)))
            })
            .sum()
    }

    fn mean(&self) -> f64 {
        let all = self.here.len();
        f64::from(self.sum(0..all)) / all as f64
    }

    fn mean_inside(&self, [left, top, right, bottom]: [usize; 4]) -> f64 {
        let rows = (top..bottom).map(|y| self.sum(y * self.width + left..y * self.width + right));
        f64::from(rows.sum::<u32>()) / ((right - left) * (bottom - top)) as f64
    }
}

/// A box in reduced pixels, `None` outside of the picture.
fn place(bbox: BBox, step: usize, [width, height]: [usize; 2]) -> Option<[usize; 4]> {
    let scaled = |value: f32, side: usize| (value / step as f32).round().clamp(0.0, side as f32);
    let left = scaled(bbox.x, width) as usize;
    let top = scaled(bbox.y, height) as usize;
    let right = scaled(bbox.x + bbox.w, width) as usize;
    let bottom = scaled(bbox.y + bbox.h, height) as usize;
    (left < right && top < bottom).then_some([left, top, right, bottom])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person walks over a textured floor, `stride` pixels a frame, and back. The boxes are those
    /// of the frame `shift` later.
    fn walk(stride: usize, shift: isize) -> Option<Misaligned> {
        let (width, height, person) = (320, 180, [40, 100]);
        let place = |index: isize| {
            let turn = (width - person[0]) as isize;
            let x = (index * stride as isize).rem_euclid(2 * turn);
            x.min(2 * turn - x) as usize
        };
        let mut alignment = Alignment::default();
        for index in 0..60 {
            let left = place(index as isize);
            let mut frame = Frame {
                index,
                width,
                height,
                ..Frame::default()
            };
            for at in 0..width * height {
                let (x, y) = (at % width, at / width);
                let inside =
                    (left..left + person[0]).contains(&x) && (60..60 + person[1]).contains(&y);
                let noise = (at as u64 * 31 + index * 17) % 7;
                let value = match inside {
                    true => 150 + (x - left) * 3 % 60,
                    false => 60 + (x * 7 + y * 13) % 40,
                };
                frame.rgb.extend([(value as u64 + noise) as u8; 3]);
            }
            let bbox = BBox {
                x: place(index as isize + shift) as f32,
                y: 60.0,
                w: person[0] as f32,
                h: person[1] as f32,
            };
            let person = Person {
                bbox,
                score: None,
                track: None,
            };
            alignment.see(&frame, &[person]);
        }
        alignment.verdict()
    }

    #[test]
    fn boxes_one_frame_off_are_noticed_where_people_move() {
        for stride in [2, 10, 25, 60] {
            assert_eq!(walk(stride, 0), None, "{stride}");
        }
        for stride in [25, 60] {
            let found = walk(stride, 1).unwrap();
            assert!(found.next && found.ratio > 1.5, "{stride}: {found}");
            let found = walk(stride, -1).unwrap();
            assert!(!found.next && found.ratio > 1.5, "{stride}: {found}");
        }
        // A step of a twentieth of the person: no frame fits better by much.
        assert_eq!(walk(2, 1), None);
    }

    #[test]
    fn frames_that_are_left_out_are_not_compared() {
        let mut alignment = Alignment::default();
        let bbox = BBox {
            x: 2.0,
            y: 2.0,
            w: 8.0,
            h: 8.0,
        };
        let person = Person {
            bbox,
            score: None,
            track: None,
        };
        for index in (0..200).step_by(2) {
            let frame = Frame {
                index,
                width: 16,
                height: 16,
                rgb: vec![(index % 251) as u8; 16 * 16 * 3],
                ..Frame::default()
            };
            alignment.see(&frame, &[person]);
        }
        assert_eq!(alignment.boxes, 0);
    }
}
