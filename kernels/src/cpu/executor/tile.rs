//! Products of integers, a tile at a time: some pixels by [`LANES`] filters.
//!
//! Codes and weights are multiplied in words of 32 bits that hold a few of each, and added up in i32.
//! How many, and how many pixels make a tile, is up to the instruction set.

use super::super::isa::{self, Isa, Loop};

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
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
pub(super) enum Words {
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
            _ => Self::Pairs,
        }
    }

    /// Codes in a word.
    pub(super) fn len(self) -> usize {
        4 / self.bytes()
    }

    /// Bytes of a code.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Pairs => 2,
            Self::Quads => 1,
        }
    }

    /// Up to [`Words::len`] weights; missing ones are 0.
    pub(super) fn pack(self, weights: &[i8]) -> i32 {
        let at = |i: usize| weights.get(i).copied().unwrap_or(0);
        match self {
            Self::Pairs => {
                let [[a, b], [c, d]] = [at(0), at(1)].map(|weight| i16::from(weight).to_ne_bytes());
                i32::from_ne_bytes([a, b, c, d])
            }
            Self::Quads => i32::from_ne_bytes([0, 1, 2, 3].map(|i| at(i) as u8)),
        }
    }
}

/// Plain Rust, with [`Words::Pairs`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

impl Tile<4> for Plain {
    #[inline(always)]
    fn products(self, pixels: &[[i32; 4]], filters: &[[i32; LANES]]) -> [[i32; LANES]; 4] {
        let halves = |word: i32| [word as i16, (word >> 16) as i16].map(i32::from);
        let mut sums = [[0i32; LANES]; 4];
        for (pixels, filters) in pixels.iter().zip(filters) {
            let filters = filters.map(halves);
            for (sums, &pixel) in sums.iter_mut().zip(pixels) {
                let pixel = halves(pixel);
                for (sum, filter) in sums.iter_mut().zip(&filters) {
                    let products = pixel[0] * filter[0] + pixel[1] * filter[1];
                    *sum = sum.wrapping_add(products);
                }
            }
        }
        sums
    }

    fn run<L: Loop>(self, work: L) -> L::Out {
        isa::plain(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest products there are, and every place of a word.
    #[test]
    fn tiles_multiply_and_add() {
        fn check<const R: usize>(tile: impl Tile<R>, words: Words, name: &str) {
            let depth = 37;
            let code = |k: usize, r: usize| [255, 0, (k * 31 + r * 7) % 256][(k + r) % 3];
            let weight = |k: usize, c: usize| [127, -127, (k * 13 + c) as i32 % 128][(k + c) % 3];
            let len = words.len();
            let pixels: Vec<[i32; R]> = (0..depth)
                .map(|word| {
                    std::array::from_fn(|r| {
                        let codes = (0..len).map(|i| code(word * len + i, r) as i32);
                        let bytes: Vec<u8> = match words {
                            Words::Quads => codes.map(|code| code as u8).collect(),
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
            let zero = if words == Words::Pairs { 100 } else { 0 };
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
        check(Plain, Words::Pairs, "plain");
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(tile) = avx2::Avx2::new() {
                check(tile, Words::Pairs, "avx2");
            }
            if let Some(tile) = vnni::Vnni::new() {
                check(tile, Words::Quads, "vnni");
            }
        }
    }
}
