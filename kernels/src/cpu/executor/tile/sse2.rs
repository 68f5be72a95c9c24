//! The micro-tile for every x86-64 processor: SSE2 multiplies and adds pairs of 16 bits too.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_madd_epi16, _mm_set_epi32, _mm_set1_epi32, _mm_setzero_si128,
};

use super::super::super::isa::{self, Loop};
use super::{MicroTile, NR};

/// Its sums fill 12 of 16 registers.
pub(in super::super) const MR: usize = 3;

/// SSE2 is part of x86-64.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Sse2;

impl MicroTile<MR> for Sse2 {
    #[inline(always)]
    fn products(self, pixels: &[[i32; MR]], filters: &[[i32; NR]]) -> [[i32; NR]; MR] {
        // SAFETY: every x86-64 processor has SSE2.
        unsafe { products(pixels, filters) }
    }

    fn run<L: Loop>(self, work: L) -> L::Out {
        isa::plain(work)
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn products(pixels: &[[i32; MR]], filters: &[[i32; NR]]) -> [[i32; NR]; MR] {
    let mut sums = [[_mm_setzero_si128(); NR / 4]; MR];
    for (pixels, filters) in pixels.iter().zip(filters) {
        let (quarters, _) = filters.as_chunks();
        for (sums, &pixel) in sums.iter_mut().zip(pixels) {
            let pixel = _mm_set1_epi32(pixel);
            for (sum, quarter) in sums.iter_mut().zip(quarters) {
                *sum = _mm_add_epi32(*sum, _mm_madd_epi16(pixel, load(quarter)));
            }
        }
    }
    // SAFETY: both are 48 numbers of 32 bits in the same order, and any bits are a number.
    unsafe { std::mem::transmute(sums) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(&[a, b, c, d]: &[i32; 4]) -> __m128i {
    _mm_set_epi32(d, c, b, a)
}
