//! Whether a crop is good enough to be embedded: a frame and the boxes of its persons in, the first
//! flaw of a crop out.
//!
//! An embedding of half a person is more similar to other halves than to the whole person. Gates on
//! the edge of the frame, on overlap and on blur prevent most false matches before the network runs.

use network::preprocess::{BBox, View};
use serde::Serialize;

use crate::people::Person;
use crate::track::intersection;
use crate::{Error, Result};

/// At most as many pixels of a crop are read for its sharpness: of larger ones every second,
/// third ... row and column.
const SAMPLES: usize = 4_096;

/// The limits that a good crop keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gates {
    /// Minimum height in pixels.
    pub min_height: f32,
    /// Minimum distance to the left, right and lower edge of the frame, as a share of its width or
    /// height: a person who walks in is cut off there. At the upper edge little is cut off. Less
    /// than 0 disables the check: for cameras that never see feet.
    pub min_edge_distance: f32,
    /// Maximum width divided by height: a box of half a person is wide, and so is one of two
    /// persons.
    pub max_aspect: f32,
    /// Maximum share of a box that another box covers, 0 to 1.
    pub max_overlap: f32,
    /// Minimum [`sharpness`].
    pub min_sharpness: f32,
}

impl Default for Gates {
    /// Measured on persons of 350 to 410 pixels in a frame of 768 x 432, by the similarity of the
    /// degraded crop's embedding to the crop's own (OSNet x0.25; other persons reach 0.97 there):
    ///
    /// - `min_height` 96: shrunk to 192, 128, 96, 64, 48 pixels the mean is 0.96, 0.92, 0.90, 0.86,
    ///   0.83.
    /// - `min_sharpness` 20: crops have 160 to 601. Gaussian blur of 1 and 2 pixels leaves 25 to 69 and
    ///   6 to 12 (means 0.97 and 0.90); motion blur of 8, 12 and 24 pixels leaves a median of 54,
    ///   37 and 21 (means 0.94, 0.92 and 0.86).
    /// - `min_edge_distance` 0.03: the nine boxes nearer to the edge are of persons who walk in, most
    ///   of them cut at the legs or above.
    /// - `max_aspect` 0.65: standing persons have 0.34 to 0.52, walking ones 0.48 to 0.58, a long
    ///   step 0.70, half a person 0.61 to 1.36.
    /// - `max_overlap` 0.4 is a guess: there was one person at a time.
    fn default() -> Self {
        Self {
            min_height: 96.0,
            min_edge_distance: 0.03,
            max_aspect: 0.65,
            max_overlap: 0.4,
            min_sharpness: 20.0,
        }
    }
}

impl Gates {
    /// # Errors
    /// [`Error::Argument`] with the key of a limit that is out of its range.
    pub fn check(&self) -> Result<()> {
        const MAX: f32 = 16_384.0;
        let all = [
            ("min_height", self.min_height, 0.0..=MAX),
            ("min_edge_distance", self.min_edge_distance, -1.0..=1.0),
            ("max_aspect", self.max_aspect, 0.0..=MAX),
            ("max_overlap", self.max_overlap, 0.0..=1.0),
            ("min_sharpness", self.min_sharpness, 0.0..=f32::MAX),
        ];
        match all
            .into_iter()
            .find(|(_, found, wanted)| !wanted.contains(found))
        {
            None => Ok(()),
            Some((name, found, wanted)) => Err(Error::Argument(format!(
                "`quality.{name}` is {found}, wanted {} to {}",
                wanted.start(),
                wanted.end()
            ))),
        }
    }
}

/// Measurements of a good crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Height in pixels.
    pub height: f32,
    /// Largest share that another box covers, 0 to 1.
    pub overlap: f32,
    /// [`sharpness`].
    pub sharpness: f32,
}

/// Why a crop is not embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The box lies outside of the frame.
    Outside,
    /// The box is lower than [`Gates::min_height`].
    TooSmall,
    /// The edge of the frame cuts the person off.
    Truncated,
    /// The box is wider than [`Gates::max_aspect`] allows.
    TooWide,
    /// Another box covers more than [`Gates::max_overlap`].
    Occluded,
    /// The crop has less than [`Gates::min_sharpness`].
    Blurred,
}

impl Flaw {
    /// All flaws, in the order in which they are checked.
    pub const ALL: [Self; 6] = [
        Self::Outside,
        Self::TooSmall,
        Self::Truncated,
        Self::TooWide,
        Self::Occluded,
        Self::Blurred,
    ];

    /// The reason as it stands in reports.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Outside => "box outside of its frame",
            Self::TooSmall => "box below quality.min_height",
            Self::Truncated => "person cut off by the edge of the frame",
            Self::TooWide => "box wider than quality.max_aspect",
            Self::Occluded => "person covered by another",
            Self::Blurred => "blurred crop",
        }
    }
}

/// How many crops were not embedded, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Flaws([u64; Flaw::ALL.len()]);

impl Flaws {
    /// Counts `n` more crops with a flaw.
    pub fn count(&mut self, flaw: Flaw, n: u64) {
        self.0[flaw as usize] += n;
    }

    /// Adds those of another source.
    pub fn add(&mut self, other: Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own += other;
        }
    }

    /// Every flaw with its number of crops.
    pub fn iter(&self) -> impl Iterator<Item = (Flaw, u64)> {
        Flaw::ALL.into_iter().zip(self.0)
    }
}

impl Gates {
    /// Measures the crop of the person at `index`; the pixels are read last.
    ///
    /// # Errors
    /// The first [`Flaw`] in the order of [`Flaw::ALL`].
    pub fn evaluate(
        &self,
        frame: View<'_>,
        persons: &[Person],
        index: usize,
    ) -> Result<Quality, Flaw> {
        let bbox = persons[index].bbox;
        let pixels = bbox
            .clipped(frame.width(), frame.height())
            .ok_or(Flaw::Outside)?;
        let overlap = covered(persons, index);
        let flaw = if bbox.h < self.min_height {
            Some(Flaw::TooSmall)
        } else if self.truncates(bbox, frame) {
            Some(Flaw::Truncated)
        } else if bbox.w > bbox.h * self.max_aspect {
            Some(Flaw::TooWide)
        } else if overlap > self.max_overlap {
            Some(Flaw::Occluded)
        } else {
            None
        };
        if let Some(flaw) = flaw {
            return Err(flaw);
        }
        let sharpness = sharpness(frame, pixels);
        if sharpness < self.min_sharpness {
            return Err(Flaw::Blurred);
        }
        Ok(Quality {
            height: bbox.h,
            overlap,
            sharpness,
        })
    }

    fn truncates(&self, bbox: BBox, frame: View<'_>) -> bool {
        let (width, height) = (frame.width() as f32, frame.height() as f32);
        let (side, foot) = (
            width * self.min_edge_distance,
            height * self.min_edge_distance,
        );
        self.min_edge_distance >= 0.0
            && (bbox.x < side || bbox.x + bbox.w > width - side || bbox.y + bbox.h > height - foot)
    }
}

/// Largest share of a person's box that another box covers, 0 to 1.
fn covered(persons: &[Person], index: usize) -> f32 {
    let own = persons[index].bbox;
    let others = persons.iter().enumerate().filter(|(i, _)| *i != index);
    others
        .map(|(_, other)| intersection(own, other.bbox) / (own.w * own.h))
        .fold(0.0, f32::max)
}

/// How sharp the pixels `[left, top, width, height]` of a frame are: the mean square of the
/// Laplacian of their luma, 0 to 1 040 400, larger is sharper. It is the variance of Pech-Pacheco et
/// al. (ICPR 2000) but for the mean, which is about 0, and would hide stripes that fall in step with
/// the pixels that are looked at. It falls when a picture is scaled up or its noise is filtered away:
/// a number for one camera, not for all.
#[must_use]
pub fn sharpness(frame: View<'_>, [left, top, width, height]: [usize; 4]) -> f32 {
    // The outermost pixels have neighbours outside of the crop.
    if width < 3 || height < 3 {
        return 0.0;
    }
    let step = (1..).find(|step| width * height <= SAMPLES * step * step);
    let step = step.expect("a frame has fewer pixels than that");
    let row = |y: usize| &frame.rgb()[(y * frame.width() + left) * 3..][..width * 3];
    let luma = |row: &[u8], x: usize| {
        let [r, g, b] = [0, 1, 2].map(|channel| i32::from(row[x * 3 + channel]));
        (77 * r + 150 * g + 29 * b) >> 8
    };
    let (mut count, mut squares) = (0_i64, 0_i64);
    for y in (top + 1..top + height - 1).step_by(step) {
        let (above, here, below) = (row(y - 1), row(y), row(y + 1));
        for x in (1..width - 1).step_by(step) {
            let beside = luma(here, x - 1) + luma(here, x + 1);
            let around = beside + luma(above, x) + luma(below, x);
            let laplacian = i64::from(around - 4 * luma(here, x));
            count += 1;
            squares += laplacian * laplacian;
        }
    }
    (squares as f64 / count as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 400;
    const HEIGHT: usize = 300;

    /// A checkerboard of squares, 100 and 120: its Laplacian is not 0 at their edges only.
    fn board(side: usize) -> Vec<u8> {
        (0..WIDTH * HEIGHT)
            .flat_map(|at| {
                let (x, y) = (at % WIDTH, at / WIDTH);
                let bright = (x / side + y / side).is_multiple_of(2);
                [if bright { 120 } else { 100 }; 3]
            })
            .collect()
    }

    fn person(x: f32, y: f32, w: f32, h: f32) -> Person {
        Person::at(BBox { x, y, w, h })
    }

    #[test]
    fn every_flaw_is_found() {
        let sharp = board(1);
        let flat = vec![128; WIDTH * HEIGHT * 3];
        let good = person(100.0, 50.0, 60.0, 150.0);
        type Case<'a> = (&'a str, &'a [u8], &'a [Person], Result<f32, Flaw>);
        let cases: &[Case<'_>] = &[
            ("good", &sharp, &[good], Ok(0.0)),
            (
                "outside",
                &sharp,
                &[person(500.0, 0.0, 60.0, 150.0)],
                Err(Flaw::Outside),
            ),
            (
                "no number",
                &sharp,
                &[person(f32::NAN, 0.0, 60.0, 150.0)],
                Err(Flaw::Outside),
            ),
            (
                "low",
                &sharp,
                &[person(100.0, 50.0, 25.0, 63.0)],
                Err(Flaw::TooSmall),
            ),
            (
                "at the left",
                &sharp,
                &[person(11.0, 50.0, 60.0, 150.0)],
                Err(Flaw::Truncated),
            ),
            (
                "just off the left",
                &sharp,
                &[person(12.0, 50.0, 60.0, 150.0)],
                Ok(0.0),
            ),
            (
                "at the right",
                &sharp,
                &[person(330.0, 50.0, 60.0, 150.0)],
                Err(Flaw::Truncated),
            ),
            (
                "at the foot",
                &sharp,
                &[person(100.0, 142.0, 60.0, 150.0)],
                Err(Flaw::Truncated),
            ),
            (
                "just off the foot",
                &sharp,
                &[person(100.0, 141.0, 60.0, 150.0)],
                Ok(0.0),
            ),
            (
                "at the top",
                &sharp,
                &[person(100.0, -4.0, 60.0, 150.0)],
                Ok(0.0),
            ),
            (
                "too wide",
                &sharp,
                &[person(100.0, 50.0, 100.0, 150.0)],
                Err(Flaw::TooWide),
            ),
            (
                "beside",
                &sharp,
                &[good, person(160.0, 50.0, 60.0, 150.0)],
                Ok(0.0),
            ),
            (
                "touched",
                &sharp,
                &[good, person(139.0, 50.0, 60.0, 150.0)],
                Ok(0.35),
            ),
            (
                "covered",
                &sharp,
                &[good, person(130.0, 50.0, 60.0, 150.0)],
                Err(Flaw::Occluded),
            ),
            ("twice there", &sharp, &[good, good], Err(Flaw::Occluded)),
            ("blurred", &flat, &[good], Err(Flaw::Blurred)),
        ];
        for (name, rgb, persons, wanted) in cases {
            let view = View::new(rgb, WIDTH, HEIGHT).unwrap();
            let found = Gates::default().evaluate(view, persons, 0);
            match (found, wanted) {
                (Ok(found), Ok(overlap)) => {
                    assert!((found.overlap - overlap).abs() < 1e-6, "{name}: {found:?}");
                }
                (found, wanted) => assert_eq!(found.err(), wanted.err(), "{name}"),
            }
        }
        // A camera that never sees feet.
        let view = View::new(&sharp, WIDTH, HEIGHT).unwrap();
        let gates = Gates {
            min_edge_distance: -1.0,
            ..Gates::default()
        };
        let cut = [person(100.0, 160.0, 60.0, 150.0)];
        assert!(gates.evaluate(view, &cut, 0).is_ok());
    }

    #[test]
    fn flaws_are_counted() {
        let mut flaws = Flaws::default();
        for (times, flaw) in (1..).zip(Flaw::ALL) {
            flaws.count(flaw, times - 1);
            flaws.count(flaw, 1);
        }
        let mut twice = flaws;
        twice.add(flaws);
        let wanted = Flaw::ALL.into_iter().zip([2, 4, 6, 8, 10, 12]);
        assert!(twice.iter().eq(wanted), "{twice:?}");
    }

    #[test]
    fn sharpness_of() {
        let crop = [40, 30, 100, 200];
        let cases = [
            // Each neighbour differs by 20, up here and down there: the mean is 0, the square 80^2.
            (
                "the finest board, every pixel",
                board(1),
                [40, 30, 60, 60],
                6400.0,
            ),
            ("the finest board", board(1), crop, 6400.0),
            ("nothing", vec![7; WIDTH * HEIGHT * 3], crop, 0.0),
            ("too small to have an inside", board(1), [0, 0, 2, 100], 0.0),
            ("one pixel inside", board(1), [0, 0, 3, 3], 6400.0),
            // In each 20 x 20: 4 corners with 40, 72 along the edges with 20, nothing inside.
            (
                "a coarse board",
                board(20),
                [39, 39, 42, 42],
                (4.0 * 1600.0 + 72.0 * 400.0) / 400.0,
            ),
        ];
        for (name, rgb, pixels, wanted) in cases {
            let view = View::new(&rgb, WIDTH, HEIGHT).unwrap();
            let found = sharpness(view, pixels);
            assert!(
                (found - wanted).abs() <= wanted * 1e-3,
                "{name}: {found}, wanted {wanted}"
            );
        }
        // To the very edges of the frame.
        let rgb = board(2);
        let view = View::new(&rgb, WIDTH, HEIGHT).unwrap();
        assert!(sharpness(view, [0, 0, WIDTH, HEIGHT]) > 0.0);
    }

    #[test]
    #[ignore = "a measurement"]
    fn bench_sharpness() {
        let rgb = board(3);
        let view = View::new(&rgb, WIDTH, HEIGHT).unwrap();
        let start = std::time::Instant::now();
        for left in 0..200 {
            std::hint::black_box(sharpness(view, [left, 0, 100, 300]));
        }
        println!("100 x 300: {:?}", start.elapsed() / 200);
    }
}
