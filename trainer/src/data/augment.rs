//! Augmentation of one image: flip, pad and crop, colour jitter, normalisation, random erasing.
//!
//! In: RGB bytes of the network's size. Out: the planes that the network reads. The order is that of
//! `data/transforms/build.py` of <https://github.com/michuanhaohao/reid-strong-baseline>: padding before
//! normalising (the border is black), erasing after it. Random numbers depend on seed, epoch, position
//! and step, so disabling one step does not change the others.

mod erase;
mod jitter;

use network::metadata::Preprocessing;
use network::preprocess::Normaliser;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use synth::random::Draw;

pub use erase::{Erasing, Fill};
pub use jitter::Jitter;

/// Augmentation of images. The default is that of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Probability of a mirror image, `0..=1`.
    pub flip_probability: f64,
    /// Black pixels added on each side before a piece of the original size is cut out again, in
    /// `0..=256`; the image is thus moved by at most so many pixels.
    pub pad: usize,
    /// Changes of colour.
    pub jitter: Jitter,
    /// Random erasing.
    pub erasing: Erasing,
}

impl Default for Augment {
    /// Flip 0.5, padding 10, no jitter, erasing 0.5 with the official fill.
    fn default() -> Self {
        Self {
            flip_probability: 0.5,
            pad: 10,
            jitter: Jitter::default(),
            erasing: Erasing::default(),
        }
    }
}

impl Augment {
    /// No augmentation, as in an evaluation.
    #[must_use]
    pub fn none() -> Self {
        Self {
            flip_probability: 0.0,
            pad: 0,
            jitter: Jitter {
                probability: 0.0,
                ..Jitter::default()
            },
            erasing: Erasing {
                probability: 0.0,
                ..Erasing::default()
            },
        }
    }

    /// # Errors
    /// [`Error::Argument`] naming the first setting out of its range.
    pub fn check(&self) -> Result<()> {
        const MAX_PAD: usize = 256;
        check_range("flip_probability", self.flip_probability, 0.0, 1.0)?;
        ensure!(
            self.pad <= MAX_PAD,
            "pad is {}, wanted 0 to {MAX_PAD}",
            self.pad
        );
        self.jitter.check()?;
        self.erasing.check()
    }
}

/// The position of an image in a run, which seeds its augmentation: an image that occurs twice in an
/// epoch is changed in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImagePosition {
    /// The seed of the run.
    pub seed: u64,
    /// From 0 on.
    pub epoch: u64,
    /// How many images come before this one in the epoch.
    pub index: u64,
}

impl ImagePosition {
    fn draw(self, step: AugmentStep) -> Draw {
        Draw::new(self.seed, "augment", &[self.epoch, self.index, step as u64])
    }
}

/// The steps that draw random numbers. The discriminants are part of the random sequence.
#[derive(Debug, Clone, Copy)]
enum AugmentStep {
    Flip = 0,
    Crop = 1,
    Jitter = 2,
    Erase = 3,
}

/// Changes images; the buffer between two steps is kept.
#[derive(Debug)]
pub struct Augmenter {
    augment: Augment,
    normaliser: Normaliser,
    /// Height and width of the network's input.
    size: [usize; 2],
    /// What an erased plane is filled with.
    fill: [f32; 3],
    /// RGB, `[height, width, 3]`, flipped and moved.
    moved: Vec<u8>,
}

impl Augmenter {
    /// For networks that want their input like this.
    ///
    /// # Errors
    /// As [`Augment::check`] and [`Preprocessing::check`].
    pub fn new(augment: Augment, preprocessing: &Preprocessing) -> Result<Self> {
        augment.check()?;
        Ok(Self {
            augment,
            normaliser: Normaliser::new(preprocessing)?,
            size: [preprocessing.height, preprocessing.width],
            fill: match augment.erasing.fill {
                Fill::Official => preprocessing.mean,
                Fill::Mean => [0.0; 3],
            },
            moved: Vec::new(),
        })
    }

    /// Fills `out`, `[3, height, width]` in the network's order of planes, from `rgb`, `[height,
    /// width, 3]`, changed as `place` has it.
    ///
    /// # Errors
    /// If one of the two has another length.
    pub fn fill(&mut self, rgb: &[u8], place: ImagePosition, out: &mut [f32]) -> Result<()> {
        let [height, width] = self.size;
        if rgb.len() != height * width * 3 {
            // The normaliser returns the error.
            return Ok(self.normaliser.fill(rgb, out)?);
        }
        let Augment {
            flip_probability,
            pad,
            jitter,
            erasing,
        } = self.augment;
        let flipped = place.draw(AugmentStep::Flip).chance(flip_probability);
        // `RandomCrop` of torchvision draws the upper edge first.
        let mut draw = place.draw(AugmentStep::Crop);
        let corner = [draw.below(2 * pad + 1), draw.below(2 * pad + 1)];
        self.moved.resize(rgb.len(), 0);
        shift(rgb, self.size, flipped, pad, corner, &mut self.moved);
        jitter.apply(&mut self.moved, &mut place.draw(AugmentStep::Jitter));
        self.normaliser.fill(&self.moved, out)?;
        if let Some([top, left, rows, columns]) =
            erasing.rectangle(self.size, &mut place.draw(AugmentStep::Erase))
        {
            for (plane, fill) in out.chunks_exact_mut(height * width).zip(self.fill) {
                for row in plane.chunks_exact_mut(width).skip(top).take(rows) {
                    row[left..left + columns].fill(fill);
                }
            }
        }
        Ok(())
    }
}

/// Mirrors `rgb` if it is to be `flipped`, puts `pad` black pixels around it, and cuts `out` of the
/// original size out of that; `corner` is its upper left one, `[y, x]`, each in `0..=2 * pad`.
fn shift(
    rgb: &[u8],
    [height, width]: [usize; 2],
    flipped: bool,
    pad: usize,
    corner: [usize; 2],
    out: &mut [u8],
) {
    let (rows, _) = rgb.as_chunks::<3>();
    let (out, _) = out.as_chunks_mut::<3>();
    // The columns of `out` that show the image, and where the first of them lies in it.
    let (start, from) = (pad.saturating_sub(corner[1]), corner[1].saturating_sub(pad));
    let start = start.min(width);
    let shown = width.saturating_sub(start.max(from));
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        let Some(row) = (y + corner[0])
            .checked_sub(pad)
            .filter(|&y| y < height)
            .map(|y| &rows[y * width..][..width])
        else {
            out.fill([0; 3]);
            continue;
        };
        out[..start].fill([0; 3]);
        out[start + shown..].fill([0; 3]);
        let out = &mut out[start..start + shown];
        if flipped {
            let mirrored = row.iter().rev().skip(from);
            for (out, pixel) in out.iter_mut().zip(mirrored) {
                *out = *pixel;
            }
        } else if shown > 0 {
            out.copy_from_slice(&row[from..from + shown]);
        }
    }
}

/// # Errors
/// [`Error::Argument`] if `value` is not in `low..=high`.
fn check_range(what: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "{what} is {value}, wanted {low} to {high}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Grey pixels of these values, `[rows, 3]`.
    fn grey<const N: usize>(values: [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&v| [v; 3]).collect()
    }

    #[test]
    fn images_are_flipped_and_moved() {
        #[rustfmt::skip]
        let image = grey([
            1, 2, 3,
            4, 5, 6,
        ]);
        let cases = [
            ("nothing", false, 0, [0, 0], [1, 2, 3, 4, 5, 6]),
            ("mirrored", true, 0, [0, 0], [3, 2, 1, 6, 5, 4]),
            (
                "the middle of the padding",
                false,
                1,
                [1, 1],
                [1, 2, 3, 4, 5, 6],
            ),
            ("upper left", false, 1, [0, 0], [0, 0, 0, 0, 1, 2]),
            ("lower right", false, 1, [2, 2], [5, 6, 0, 0, 0, 0]),
            ("right, mirrored first", true, 1, [1, 2], [2, 1, 0, 5, 4, 0]),
            ("left, mirrored first", true, 1, [1, 0], [0, 3, 2, 0, 6, 5]),
            ("only padding, left", false, 5, [5, 0], [0; 6]),
            ("only padding, right", false, 5, [5, 10], [0; 6]),
            ("only padding, above", true, 5, [0, 5], [0; 6]),
            ("last row", false, 5, [6, 5], [4, 5, 6, 0, 0, 0]),
        ];
        for (name, flipped, pad, corner, wanted) in cases {
            let mut out = vec![9; image.len()];
            shift(&image, [2, 3], flipped, pad, corner, &mut out);
            assert_eq!(out, grey(wanted), "{name}");
        }
    }

    fn preprocessing() -> Preprocessing {
        Preprocessing {
            height: 16,
            width: 8,
            ..Preprocessing::default()
        }
    }

    #[test]
    fn without_chance_the_network_reads_the_image() {
        let rgb: Vec<u8> = (0..16 * 8 * 3).map(|i| (i % 251) as u8).collect();
        let (mut found, mut wanted) = (vec![0.0; rgb.len()], vec![1.0; rgb.len()]);
        let mut augmenter = Augmenter::new(Augment::none(), &preprocessing()).unwrap();
        let place = ImagePosition {
            seed: 1,
            epoch: 0,
            index: 5,
        };
        augmenter.fill(&rgb, place, &mut found).unwrap();
        let normaliser = Normaliser::new(&preprocessing()).unwrap();
        normaliser.fill(&rgb, &mut wanted).unwrap();
        assert_eq!(found, wanted);
        assert!(augmenter.fill(&rgb[1..], place, &mut found).is_err());
        assert!(augmenter.fill(&rgb, place, &mut found[1..]).is_err());
    }

    #[test]
    fn erasing_fills_the_normalised_planes() {
        let rgb = vec![200; 16 * 8 * 3];
        let mean = preprocessing().mean;
        for (fill, wanted) in [(Fill::Official, mean), (Fill::Mean, [0.0; 3])] {
            let augment = Augment {
                erasing: Erasing {
                    probability: 1.0,
                    fill,
                    ..Erasing::default()
                },
                ..Augment::none()
            };
            let mut augmenter = Augmenter::new(augment, &preprocessing()).unwrap();
            let mut out = vec![0.0; rgb.len()];
            let (seed, epoch, index) = (3, 0, 0);
            let place = ImagePosition { seed, epoch, index };
            augmenter.fill(&rgb, place, &mut out).unwrap();
            for (plane, wanted) in out.chunks_exact(16 * 8).zip(wanted) {
                let erased = plane.iter().filter(|&&v| v == wanted).count();
                let untouched = plane.iter().filter(|&&v| v == plane[0]).count();
                assert!(erased > 2 && erased + untouched >= 16 * 8, "{fill:?}");
            }
        }
    }

    #[test]
    fn chance_is_named_by_seed_epoch_and_place() {
        let rgb: Vec<u8> = (0..16 * 8 * 3).map(|i| (i * 7 % 251) as u8).collect();
        let fill = |augment, seed, epoch, index| {
            let mut augmenter = Augmenter::new(augment, &preprocessing()).unwrap();
            let mut out = vec![0.0; rgb.len()];
            let place = ImagePosition { seed, epoch, index };
            augmenter.fill(&rgb, place, &mut out).unwrap();
            out
        };
        let official = Augment::default();
        let first = fill(official, 1, 2, 3);
        assert_eq!(first, fill(official, 1, 2, 3));
        for (seed, epoch, index) in [(2, 2, 3), (1, 3, 3), (1, 2, 4)] {
            assert_ne!(first, fill(official, seed, epoch, index));
        }
        // One trick less, and the others do what they did.
        let mut plain = official;
        plain.erasing.probability = 0.0;
        let without = fill(plain, 1, 2, 3);
        let same = first.iter().zip(&without).filter(|(a, b)| a == b).count();
        assert!(same * 10 >= first.len() * 5, "{same} of {}", first.len());
    }

    #[test]
    fn settings_are_checked_and_have_the_papers_defaults() {
        let read = |text: &str| toml::from_str::<Augment>(text).map_err(|e| e.to_string());
        assert_eq!(read("").unwrap(), Augment::default());
        let text = "flip_probability = 0.25\n[erasing]\nfill = \"mean\"";
        let set = read(text).unwrap();
        assert_eq!((set.flip_probability, set.erasing.fill), (0.25, Fill::Mean));
        for text in ["flips = 1", "[erasing]\nsl = 1", "[jitter]\nx = 1"] {
            assert!(read(text).unwrap_err().contains("unknown field"), "{text}");
        }
        let cases = [
            (
                "flip_probability = 1.5",
                "flip_probability is 1.5, wanted 0 to 1",
            ),
            ("flip_probability = nan", "flip_probability is NaN"),
            ("pad = 257", "pad is 257, wanted 0 to 256"),
            ("erasing.probability = -1", "erasing.probability is -1"),
            ("erasing.area = [0.4, 0.02]", "erasing.area is 0.4 to 0.02"),
            ("erasing.area = [0.1, 1.1]", "erasing.area is 0.1 to 1.1"),
            ("erasing.aspect = 0", "erasing.aspect is 0"),
            ("erasing.aspect = 1.5", "erasing.aspect is 1.5"),
            (
                "erasing.max_attempts = 0",
                "erasing.max_attempts is 0, wanted 1 to",
            ),
            ("jitter.probability = 2", "jitter.probability is 2"),
            ("jitter.brightness = -0.1", "jitter.brightness is -0.1"),
            ("jitter.hue = 0.6", "jitter.hue is 0.6, wanted 0 to 0.5"),
        ];
        for (text, wanted) in cases {
            let error = read(text).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        Augment::none().check().unwrap();
    }
}
