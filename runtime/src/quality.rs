//! Whether a crop is worth embedding: a frame and the boxes of its people come in, the reason why
//! not goes out.
//!
//! An embedding of half a person resembles other halves more than the whole. Given the edge of the
//! picture, a crowd and motion, most bad matches are gone before the network has seen them.

use network::preprocess::{BBox, View};
use serde::Serialize;

use crate::people::Person;
use crate::track::intersection;
use crate::{Error, Result};

/// At most as many pixels of a crop are looked at for its sharpness: of larger ones every second,
/// third ... row and column.
const SAMPLES: usize = 4_096;

/// What a crop must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gates {
    /// The least height in pixels.
    pub height: f32,
    /// How near to the left, right and lower edge of the picture a box may end, as a share of its
    /// width or height. Who walks in is cut off there. The upper edge cuts hair at most. Less than
    /// 0 lets everybody through: for cameras that see nobody's feet.
    pub border: f32,
    /// The greatest width for a height of 1: a box of half a person is squat, and so is one of two
    /// people.
    pub squat: f32,
    /// The largest share of a box that another box may cover, 0 to 1.
    pub overlap: f32,
    /// The least [`sharpness`].
    pub sharpness: f32,
}

impl Default for Gates {
    /// Measured on people of 350 to 410 pixels in a frame of 768 x 432, by the similarity of the
    /// spoilt crop's embedding to the crop's own (OSNet x0.25, whose strangers have up to 0.97
    /// there):
    ///
    /// - `height` 96: shrunk to 192, 128, 96, 64, 48 pixels the mean is 0.96, 0.92, 0.90, 0.86,
    ///   0.83.
    /// - `sharpness` 20: crops have 160 to 601. Gaussian blur of 1 and 2 pixels leaves 25 to 69 and
    ///   6 to 12 (means 0.97 and 0.90); motion blur of 8, 12 and 24 pixels leaves a median of 54,
    ///   37 and 21 (means 0.94, 0.92 and 0.86).
    /// - `border` 0.03: the nine boxes that end nearer to the edge are of people who walk in, most
    ///   of them cut at the legs or above.
    /// - `squat` 0.65: people who stand have 0.34 to 0.52, who walk 0.48 to 0.58, a long step 0.70,
    ///   half a person 0.61 to 1.36.
    /// - `overlap` 0.4 is a guess: there was one person at a time.
    fn default() -> Self {
        Self {
            height: 96.0,
            border: 0.03,
            squat: 0.65,
            overlap: 0.4,
            sharpness: 20.0,
        }
    }
}

impl Gates {
    /// # Errors
    /// [`Error::Argument`] with a number that no crop could be compared with.
    pub fn check(&self) -> Result<()> {
        const MAX: f32 = 16_384.0;
        let all = [
            ("height", self.height, 0.0..=MAX),
            ("border", self.border, -1.0..=1.0),
            ("squat", self.squat, 0.0..=MAX),
            ("overlap", self.overlap, 0.0..=1.0),
            ("sharpness", self.sharpness, 0.0..=f32::MAX),
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

/// What is known of a good crop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Height in pixels.
    pub height: f32,
    /// Share that the other box covers which covers most, 0 to 1.
    pub overlap: f32,
    /// [`sharpness`].
    pub sharpness: f32,
}

/// Why a crop is not worth embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It lies outside of the frame.
    Outside,
    /// It is lower than it should be.
    Low,
    /// The edge of the picture cuts it.
    Cut,
    /// It is too wide for a person who stands.
    Squat,
    /// Somebody else covers too much of it.
    Covered,
    /// It is blurred.
    Blurred,
}

/// How many crops were not worth embedding, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Flaws {
    /// [`Flaw::Outside`].
    pub outside: u64,
    /// [`Flaw::Low`].
    pub low: u64,
    /// [`Flaw::Cut`].
    pub cut: u64,
    /// [`Flaw::Squat`].
    pub squat: u64,
    /// [`Flaw::Covered`].
    pub covered: u64,
    /// [`Flaw::Blurred`].
    pub blurred: u64,
}

impl Flaws {
    /// Counts one more.
    pub fn count(&mut self, flaw: Flaw) {
        *match flaw {
            Flaw::Outside => &mut self.outside,
            Flaw::Low => &mut self.low,
            Flaw::Cut => &mut self.cut,
            Flaw::Squat => &mut self.squat,
            Flaw::Covered => &mut self.covered,
            Flaw::Blurred => &mut self.blurred,
        } += 1;
    }

    /// Adds those of another source.
    pub fn add(&mut self, other: Self) {
        let Self {
            outside,
            low,
            cut,
            squat,
            covered,
            blurred,
        } = other;
        self.outside += outside;
        self.low += low;
        self.cut += cut;
        self.squat += squat;
        self.covered += covered;
        self.blurred += blurred;
    }
}

impl Gates {
    /// Judges the crop of the person at `index`. Cheap questions come first; the pixels are asked
    /// last.
    ///
    /// # Errors
    /// The first [`Flaw`] in the order of their declaration.
    pub fn judge(
        &self,
        frame: View<'_>,
        persons: &[Person],
        index: usize,
    ) -> Result<Quality, Flaw> {
        let bbox = persons[index].bbox;
        let pixels = bbox
            .clipped(frame.width(), frame.height())
            .ok_or(Flaw::Outside)?;
        if bbox.h < self.height {
            return Err(Flaw::Low);
        }
        if self.cuts(bbox, frame) {
            return Err(Flaw::Cut);
        }
        if bbox.w > bbox.h * self.squat {
            return Err(Flaw::Squat);
        }
        let overlap = covered(persons, index);
        if overlap > self.overlap {
            return Err(Flaw::Covered);
        }
        let sharpness = sharpness(frame, pixels);
        if sharpness < self.sharpness {
            return Err(Flaw::Blurred);
        }
        Ok(Quality {
            height: bbox.h,
            overlap,
            sharpness,
        })
    }

    fn cuts(&self, bbox: BBox, frame: View<'_>) -> bool {
        let (width, height) = (frame.width() as f32, frame.height() as f32);
        let (side, foot) = (width * self.border, height * self.border);
        self.border >= 0.0
            && (bbox.x < side || bbox.x + bbox.w > width - side || bbox.y + bbox.h > height - foot)
    }
}

/// Share of a person's box that the other box covers which covers most, 0 to 1.
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
        Person {
            bbox: BBox { x, y, w, h },
            score: None,
            track: None,
        }
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
                Err(Flaw::Low),
            ),
            (
                "at the left",
                &sharp,
                &[person(11.0, 50.0, 60.0, 150.0)],
                Err(Flaw::Cut),
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
                Err(Flaw::Cut),
            ),
            (
                "at the foot",
                &sharp,
                &[person(100.0, 142.0, 60.0, 150.0)],
                Err(Flaw::Cut),
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
                "squat",
                &sharp,
                &[person(100.0, 50.0, 100.0, 150.0)],
                Err(Flaw::Squat),
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
                Err(Flaw::Covered),
            ),
            ("twice there", &sharp, &[good, good], Err(Flaw::Covered)),
            ("blurred", &flat, &[good], Err(Flaw::Blurred)),
        ];
        for (name, rgb, persons, wanted) in cases {
            let view = View::new(rgb, WIDTH, HEIGHT).unwrap();
            let found = Gates::default().judge(view, persons, 0);
            match (found, wanted) {
                (Ok(found), Ok(overlap)) => {
                    assert!((found.overlap - overlap).abs() < 1e-6, "{name}: {found:?}");
                }
                (found, wanted) => assert_eq!(found.err(), wanted.err(), "{name}"),
            }
        }
        // A camera that sees nobody's feet.
        let view = View::new(&sharp, WIDTH, HEIGHT).unwrap();
        let gates = Gates {
            border: -1.0,
            ..Gates::default()
        };
        let cut = [person(100.0, 160.0, 60.0, 150.0)];
        assert!(gates.judge(view, &cut, 0).is_ok());
    }

    #[test]
    fn flaws_are_counted() {
        let mut flaws = Flaws::default();
        let all = [
            Flaw::Outside,
            Flaw::Low,
            Flaw::Cut,
            Flaw::Squat,
            Flaw::Covered,
            Flaw::Blurred,
        ];
        for (times, flaw) in all.into_iter().enumerate() {
            for _ in 0..=times {
                flaws.count(flaw);
            }
        }
        let Flaws {
            outside,
            low,
            cut,
            squat,
            covered,
            blurred,
        } = flaws;
        assert_eq!(
            [outside, low, cut, squat, covered, blurred],
            [1, 2, 3, 4, 5, 6]
        );
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
