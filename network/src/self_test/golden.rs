//! Golden crops: synthetic test images, drawn from a seed with the same pixels on every device.
//!
//! Whether two executors compute the same function shows on any image to which the network responds:
//! structure at every scale, all colours, black and white. No person is needed. All arithmetic is on
//! integers, so no compiler or device draws another pixel.

use serde::{Deserialize, Serialize};

use super::MAX_CROPS;
use crate::{Error, Result};

/// Seed and number of golden crops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Determines their pixels.
    pub seed: u32,
    /// How many there are, 1 to [`MAX_CROPS`].
    pub count: usize,
}

impl Golden {
    pub(super) fn check(self) -> Result<()> {
        if (1..=MAX_CROPS).contains(&self.count) {
            return Ok(());
        }
        let found = self.count;
        let reason = format!("it has {found} golden crops, wanted 1 to {MAX_CROPS}");
        Err(Error::malformed("self-test", reason))
    }

    /// All crops, RGB `[count, height, width, 3]`, for a network that reads `[height, width]`.
    ///
    /// A sample is a weighted sum (4/8, 2/8, 1/8, 1/8) of four layers of value noise, whose lattices are a
    /// quarter, a sixteenth and a sixty-fourth of the height and one pixel wide. Its distance from 128
    /// is tripled and clipped to 0..=255. In every other crop a sample below 128 becomes 0, others 255.
    #[must_use]
    pub fn crops(self, [height, width]: [usize; 2]) -> Vec<u8> {
        let mut crops = Vec::with_capacity(self.count * height * width * 3);
        for crop in 0..self.count as u64 {
            let cells = [4, 16, 64, height.max(1)].map(|parts| (height / parts).max(1) as u64);
            let name = |plane, layer| {
                let words = [u64::from(self.seed), crop, layer, plane];
                words.into_iter().fold(0, mixed)
            };
            let names = [0, 1, 2].map(|plane| [0, 1, 2, 3].map(|layer| name(plane, layer)));
            for y in 0..height as u64 {
                for x in 0..width as u64 {
                    for names in &names {
                        let layer = |index: usize| noise(names[index], cells[index], x, y);
                        let eighths = 4 * layer(0) + 2 * layer(1) + layer(2) + layer(3);
                        let sample = (3 * (eighths - 1024) / 8 + 128).clamp(0, 255) as u8;
                        crops.push(match (crop % 2, sample) {
                            (0, sample) => sample,
                            (_, 0..128) => 0,
                            _ => 255,
                        });
                    }
                }
            }
        }
        crops
    }
}

/// Value noise, 0..=255, at a pixel: values at the corners of a lattice of `cell` pixels, blended
/// linearly in 1/256.
fn noise(name: u64, cell: u64, x: u64, y: u64) -> i64 {
    let corner = |x: u64, y: u64| (mixed(mixed(name, x), y) >> 56) as i64;
    let (column, row) = (x / cell, y / cell);
    let blend = |a: i64, b: i64, part: u64| (a * (256 - part as i64) + b * part as i64) / 256;
    let (right, down) = (x % cell * 256 / cell, y % cell * 256 / cell);
    blend(
        blend(corner(column, row), corner(column + 1, row), right),
        blend(corner(column, row + 1), corner(column + 1, row + 1), right),
        down,
    )
}

/// One step of `SplitMix64` (Steele, Lea and Flood 2014) over `state` with `word` mixed in.
fn mixed(state: u64, word: u64) -> u64 {
    let z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
