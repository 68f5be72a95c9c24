//! The tile with AVX-512 VNNI: four products of bytes and their sum with a fifth number are one
//! instruction.

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
};

use super::super::super::isa::{self, Isa, Loop};
use super::{LANES, Tile};

/// Pixels of a tile: sums enough to hide the four cycles that an instruction takes.
pub(in super::super) const ROWS: usize = 12;

/// Proof that the processor has AVX-512 VNNI.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vnni(());

impl Vnni {
    /// None if it has not.
    pub(in super::super) fn new() -> Option<Self> {
        Isa::Vnni.is_here().then_some(Self(()))
    }
}

impl Tile<ROWS> for Vnni {
    #[inline(always)]
    fn products(self, pixels: &[[i32; ROWS]], filters: &[[i32; LANES]]) -> [[i32; LANES]; ROWS] {
        // SAFETY: there is a `Vnni` only where the processor has AVX-512 VNNI.
        unsafe { products(pixels, filters) }
    }

    fn run<L: Loop>(self, work: L) -> L::Out {
        // SAFETY: as above.
        unsafe { isa::vnni(work) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn products(pixels: &[[i32; ROWS]], filters: &[[i32; LANES]]) -> [[i32; LANES]; ROWS] {
    let mut sums = [_mm512_setzero_si512(); ROWS];
    for (pixels, filters) in pixels.iter().zip(filters) {
        let filters = load(filters);
        for (sum, &pixel) in sums.iter_mut().zip(pixels) {
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_set1_epi32(pixel), filters);
        }
    }
    // SAFETY: both are 192 numbers of 32 bits in the same order, and any bits are a number.
    unsafe { std::mem::transmute(sums) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[i32; LANES]) -> __m512i {
    // SAFETY: it reads the 16 words of the array, at any alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}
