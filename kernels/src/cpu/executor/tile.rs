//! Micro-tiles of the integer GEMM: MR pixels by [`NR`] filters.
//!
//! Quantised values and weights are packed a few to 32 bits, multiplied, and summed in i32. How many, and
//! MR, depend on the instruction set.

use super::super::isa::{self, Isa, Loop, multiply_add};

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod sse2;
#[cfg(target_arch = "x86_64")]
pub(super) mod vnni;

/// Filters of a micro-tile.
pub(super) const NR: usize = 16;

/// Sums of products of `R` (MR) pixels by [`NR`] filters.
pub(super) trait MicroTile<const R: usize>: Copy + Sync {
    /// `sums[r][n] = sum over k of pixels[k][r] * filters[k][n]`, where an i32 packs several elements. The
    /// sums may wrap.
    fn products(self, pixels: &[[i32; R]], filters: &[[i32; NR]]) -> [[i32; NR]; R];

    /// Runs a loop around the tile, compiled for the instruction set of the tile.
    fn run<L: Loop>(self, work: L) -> L::Out;
}

/// What 32 bits hold, in the order of their bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    target_arch = "x86_64",
    allow(dead_code, reason = "x86-64 has a better tile everywhere")
)]
pub(super) enum Packing {
    /// One value less its zero point, f32, for one weight, f32.
    F32,
    /// Two values less their zero point, i16, for two weights, i16.
    I16x2,
    /// Four values, u8, for four weights, i8.
    U8x4,
}

impl Packing {
    /// The packing of the tile of an instruction set.
    pub(super) fn of(isa: Isa) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Vnni => Self::U8x4,
            #[cfg(target_arch = "x86_64")]
            Isa::Plain | Isa::Avx2 | Isa::Avx512 => Self::I16x2,
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Plain => Self::F32,
        }
    }

    /// Elements in 32 bits.
    pub(super) fn len(self) -> usize {
        4 / self.bytes()
    }

    /// Bytes of an element.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::I16x2 => 2,
            Self::U8x4 => 1,
        }
    }

    /// Up to [`Packing::len`] weights; missing ones are 0.
    pub(super) fn pack(self, weights: &[i8]) -> i32 {
        let at = |i: usize| weights.get(i).copied().unwrap_or(0);
        match self {
            Self::F32 => f32::from(at(0)).to_bits() as i32,
            Self::I16x2 => {
                let [[a, b], [c, d]] = [at(0), at(1)].map(|weight| i16::from(weight).to_ne_bytes());
                i32::from_ne_bytes([a, b, c, d])
            }
            Self::U8x4 => i32::from_ne_bytes([0, 1, 2, 3].map(|i| at(i) as u8)),
        }
    }
}

/// Plain Rust, with [`Packing::F32`]: integers below 2^24 are f32 numbers, and there every processor
/// multiplies and adds four f32 at least as fast as four i32.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    target_arch = "x86_64",
    allow(dead_code, reason = "x86-64 has a better tile everywhere")
)]
pub(super) struct Plain;

/// MR of [`Plain`].
pub(super) const MR: usize = 6;

/// The most products, of at most 255 * 127 each, whose sum is below 2^24 and so exact in f32.
const EXACT: usize = 512;

impl MicroTile<MR> for Plain {
    #[inline(always)]
    fn products(self, pixels: &[[i32; MR]], filters: &[[i32; NR]]) -> [[i32; NR]; MR] {
        let mut all = [[0i32; NR]; MR];
        for (pixels, filters) in pixels.chunks(EXACT).zip(filters.chunks(EXACT)) {
            let sums = exact_sums(pixels, filters);
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

/// As the micro-tile of the f32 GEMM; see there for the form of the loop.
#[inline(always)]
fn exact_sums(pixels: &[[i32; MR]], filters: &[[i32; NR]]) -> [[f32; NR]; MR] {
    let float = |packed: i32| f32::from_bits(packed as u32);
    let mut sums = [[0.0; NR]; MR];
    for (pixels, filters) in pixels.iter().zip(filters) {
        for i in 0..MR {
            for j in 0..NR {
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

    /// The largest products, and every element of a packing.
    #[test]
    fn tiles_multiply_and_add() {
        fn check<const R: usize>(tile: impl MicroTile<R>, packing: Packing, name: &str) {
            let depth = 1200;
            let value = |k: usize, r: usize| [255, 0, (k * 31 + r * 7) % 256][(k + r) % 3];
            let weight = |k: usize, c: usize| [127, -127, (k * 13 + c) as i32 % 128][(k + c) % 3];
            let len = packing.len();
            let pixels: Vec<[i32; R]> = (0..depth)
                .map(|packed| {
                    std::array::from_fn(|r| {
                        let values = (0..len).map(|i| value(packed * len + i, r) as i32);
                        let bytes: Vec<u8> = match packing {
                            Packing::U8x4 => values.map(|value| value as u8).collect(),
                            Packing::F32 => values
                                .flat_map(|value| (value as f32 - 100.0).to_ne_bytes())
                                .collect(),
                            Packing::I16x2 => values
                                .flat_map(|value| (value as i16 - 100).to_ne_bytes())
                                .collect(),
                        };
                        i32::from_ne_bytes(bytes.try_into().unwrap())
                    })
                })
                .collect();
            let filters: Vec<[i32; NR]> = (0..depth)
                .map(|packed| {
                    std::array::from_fn(|c| {
                        let weights: Vec<i8> = (0..len)
                            .map(|i| weight(packed * len + i, c) as i8)
                            .collect();
                        packing.pack(&weights)
                    })
                })
                .collect();
            let zero = if packing == Packing::U8x4 { 0 } else { 100 };
            let found = tile.products(&pixels, &filters);
            for (r, sums) in found.iter().enumerate() {
                for (c, &sum) in sums.iter().enumerate() {
                    let wanted: i32 = (0..depth * len)
                        .map(|k| (value(k, r) as i32 - zero) * weight(k, c))
                        .sum();
                    assert_eq!(sum, wanted, "{name}, pixel {r}, filter {c}");
                }
            }
        }
        check(Plain, Packing::F32, "plain");
        #[cfg(target_arch = "x86_64")]
        {
            check(sse2::Sse2, Packing::I16x2, "sse2");
            if let Some(tile) = avx2::Avx2::new() {
                check(tile, Packing::I16x2, "avx2");
            }
            if let Some(tile) = vnni::Vnni::new() {
                check(tile, Packing::U8x4, "vnni");
            }
        }
    }
}
