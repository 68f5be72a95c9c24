//! Products of integers, a tile at a time: some pixels by [`LANES`] filters.
//!
//! Codes and weights are multiplied in words of 32 bits that hold a few of each, and added up in i32.
//! How many, and how many pixels make a tile, is up to the instruction set.

use super::super::isa::{self, Isa, Loop, multiply_add};

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod sse2;
#[cfg(target_arch = "x86_64")]
pub(super) mod vnni;

/// Filters of a tile.
pub(super) const LANES: usize = 16;

/// Sums of products of `R` pixels by [`LANES`] filters.
pub(super) trait Tile<const R: usize>: Copy + Sync {
    /// The sums over all words: each pixel's word by each filter's. The sums may wrap.
    fn products(self, pixels: &[[i32; R]], filters: &[[i32; LANES]]) -> [[i32; LANES]; R];

    /// Runs a loop around it, compiled for its instruction set: once, whatever the processor has
    /// besides.
    fn run<L: Loop>(self, work: L) -> L::Out;
}

/// What a word holds, as its bytes lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    target_arch = "x86_64",
    allow(dead_code, reason = "x86-64 has a better tile everywhere")
)]
pub(super) enum Words {
    /// A difference to the code of 0 by a weight, f32 both.
    Floats,
    /// Two differences to the code of 0, i16, by two weights, i16.
    Pairs,
    /// Four codes, u8, by four weights, i8.
    Quads,
}

impl Words {
    /// What the tile of an instruction set multiplies.
    pub(super) fn of(isa: Isa) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Vnni => Self::Quads,
            #[cfg(target_arch = "x86_64")]
            Isa::Plain | Isa::Avx2 | Isa::Avx512 => Self::Pairs,
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Plain => Self::Floats,
        }
    }

    /// Codes in a word.
    pub(super) fn len(self) -> usize {
        4 / self.bytes()
    }

    /// Bytes of a code.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Floats => 4,
            Self::Pairs => 2,
            Self::Quads => 1,
        }
    }

    /// Up to [`Words::len`] weights; missing ones are 0.
    pub(super) fn pack(self, weights: &[i8]) -> i32 {
        let at = |i: usize| weights.get(i).copied().unwrap_or(0);
        match self {
            Self::Floats => f32::from(at(0)).to_bits() as i32,
            Self::Pairs => {
                let [[a, b], [c, d]] = [at(0), at(1)].map(|weight| i16::from(weight).to_ne_bytes());
                i32::from_ne_bytes([a, b, c, d])
            }
            Self::Quads => i32::from_ne_bytes([0, 1, 2, 3].map(|i| at(i) as u8)),
        }
    }
}

/// Plain Rust, with [`Words::Floats`]: integers below 2^24 are f32 numbers, and there every processor
/// multiplies and adds four f32 at least as fast as four i32.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    target_arch = "x86_64",
    allow(dead_code, reason = "x86-64 has a better tile everywhere")
)]
pub(super) struct Plain;

/// Pixels of a tile of [`Plain`].
pub(super) const ROWS: usize = 6;

/// Words whose sum is below 2^24 whatever they are: 255 * 127 each.
const EXACT: usize = 512;

impl Tile<ROWS> for Plain {
    #[inline(always)]
    fn products(self, pixels: &[[i32; ROWS]], filters: &[[i32; LANES]]) -> [[i32; LANES]; ROWS] {
        let mut all = [[0i32; LANES]; ROWS];
        for (pixels, filters) in pixels.chunks(EXACT).zip(filters.chunks(EXACT)) {
            let sums = exact(pixels, filters);
            for (all, sums) in all.iter_mut().zip(&sums) {
                for (all, &sum) in all.iter_mut().zip(sums) {
                    *all = all.wrapping_add(sum as i32);
                }
            }
        }
        all
    }

    fn run<L: Loop>(self, work: L) -> L::Out {
        isa::plain(work)
    }
}

/// As the tile for float networks, which says why it is written like this.
#[inline(always)]
fn exact(pixels: &[[i32; ROWS]], filters: &[[i32; LANES]]) -> [[f32; LANES]; ROWS] {
    let float = |word: i32| f32::from_bits(word as u32);
    let mut sums = [[0.0; LANES]; ROWS];
    for (pixels, filters) in pixels.iter().zip(filters) {
        for i in 0..ROWS {
            for j in 0..LANES {
                let (pixel, filter) = (float(pixels[i]), float(filters[j]));
                sums[i][j] = multiply_add::<{ isa::PLAIN_FMA }>(pixel, filter, sums[i][j]);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest products there are, and every place of a word.
    #[test]
    fn tiles_multiply_and_add() {
        fn check<const R: usize>(tile: impl Tile<R>, words: Words, name: &str) {
            let depth = 1200;
            let code = |k: usize, r: usize| [255, 0, (k * 31 + r * 7) % 256][(k + r) % 3];
            let weight = |k: usize, c: usize| [127, -127, (k * 13 + c) as i32 % 128][(k + c) % 3];
            let len = words.len();
            let pixels: Vec<[i32; R]> = (0..depth)
                .map(|word| {
                    std::array::from_fn(|r| {
                        let codes = (0..len).map(|i| code(word * len + i, r) as i32);
                        let bytes: Vec<u8> = match words {
                            Words::Quads => codes.map(|code| code as u8).collect(),
                            Words::Floats => codes
                                .flat_map(|code| (code as f32 - 100.0).to_ne_bytes())
                                .collect(),
                            Words::Pairs => codes
                                .flat_map(|code| (code as i16 - 100).to_ne_bytes())
                                .collect(),
                        };
                        i32::from_ne_bytes(bytes.try_into().unwrap())
                    })
                })
                .collect();
            let filters: Vec<[i32; LANES]> = (0..depth)
                .map(|word| {
                    std::array::from_fn(|c| {
                        let weights: Vec<i8> =
                            (0..len).map(|i| weight(word * len + i, c) as i8).collect();
                        words.pack(&weights)
                    })
                })
                .collect();
            let zero = if words == Words::Quads { 0 } else { 100 };
            let found = tile.products(&pixels, &filters);
            for (r, sums) in found.iter().enumerate() {
                for (c, &sum) in sums.iter().enumerate() {
                    let wanted: i32 = (0..depth * len)
                        .map(|k| (code(k, r) as i32 - zero) * weight(k, c))
                        .sum();
                    assert_eq!(sum, wanted, "{name}, pixel {r}, filter {c}");
                }
            }
        }
        check(Plain, Words::Floats, "plain");
        #[cfg(target_arch = "x86_64")]
        {
            check(sse2::Sse2, Words::Pairs, "sse2");
            if let Some(tile) = avx2::Avx2::new() {
                check(tile, Words::Pairs, "avx2");
            }
            if let Some(tile) = vnni::Vnni::new() {
                check(tile, Words::Quads, "vnni");
            }
        }
    }
}
