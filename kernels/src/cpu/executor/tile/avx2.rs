//! The micro-tile with AVX2: two products of 16 bits and their sum are one instruction.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
    _mm256_setzero_si256,
};

use super::super::super::isa::{self, Isa, Loop};
use super::{MicroTile, NR};

/// Its sums fill 12 of 16 registers.
pub(in super::super) const MR: usize = 6;

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// None if it has not.
    pub(in super::super) fn new() -> Option<Self> {
        Isa::Avx2.is_here().then_some(Self(()))
    }
}

impl MicroTile<MR> for Avx2 {
    #[inline(always)]
    fn products(self, pixels: &[[i32; MR]], filters: &[[i32; NR]]) -> [[i32; NR]; MR] {
        // SAFETY: there is an `Avx2` only where the processor has AVX2.
        unsafe { products(pixels, filters) }
    }

    fn run<L: Loop>(self, work: L) -> L::Out {
        // SAFETY: as above.
        unsafe { isa::avx2(work) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn products(pixels: &[[i32; MR]], filters: &[[i32; NR]]) -> [[i32; NR]; MR] {
    let mut sums = [[_mm256_setzero_si256(); 2]; MR];
    for (pixels, filters) in pixels.iter().zip(filters) {
        let (halves, _) = filters.as_chunks();
        let filters = [load(&halves[0]), load(&halves[1])];
        for (sums, &pixel) in sums.iter_mut().zip(pixels) {
            let pixel = _mm256_set1_epi32(pixel);
            for (sum, filter) in sums.iter_mut().zip(filters) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pixel, filter));
            }
        }
    }
    // SAFETY: both are 96 numbers of 32 bits in the same order, and any bits are a number.
    unsafe { std::mem::transmute(sums) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(packed: &[i32; 8]) -> __m256i {
    // SAFETY: it reads the 8 elements of the array, at any alignment.
    unsafe { _mm256_loadu_si256(packed.as_ptr().cast()) }
}
