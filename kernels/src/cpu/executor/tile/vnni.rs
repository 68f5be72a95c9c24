//! The micro-tile with AVX-512 VNNI: four products of bytes added to a sum are one instruction.

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
};

use super::super::super::isa::{self, Isa, Loop};
use super::{MicroTile, NR};

/// Enough sums to hide the latency of four cycles of an instruction.
pub(in super::super) const MR: usize = 12;

/// Proof that the processor has AVX-512 VNNI.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vnni(());

impl Vnni {
    /// None if it has not.
    pub(in super::super) fn new() -> Option<Self> {
        Isa::Vnni.is_here().then_some(Self(()))
    }
}

impl MicroTile<MR> for Vnni {
    #[inline(always)]
    fn products(self, pixels: &[[i32; MR]], filters: &[[i32; NR]]) -> [[i32; NR]; MR] {
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
fn products(pixels: &[[i32; MR]], filters: &[[i32; NR]]) -> [[i32; NR]; MR] {
    let mut sums = [_mm512_setzero_si512(); MR];
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
fn load(packed: &[i32; NR]) -> __m512i {
    // SAFETY: it reads the 16 elements of the array, at any alignment.
    unsafe { _mm512_loadu_si512(packed.as_ptr().cast()) }
}
