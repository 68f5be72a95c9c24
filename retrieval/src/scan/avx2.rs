//! Integer products with AVX2, on most x86-64 since 2015, and with the VNNI of small Intel processors
//! without AVX-512 (N100).

use std::arch::x86_64::{
    __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm256_abs_epi8,
    _mm256_add_epi32, _mm256_castsi256_si128, _mm256_dpbusd_avx_epi32, _mm256_extracti128_si256,
    _mm256_load_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16,
    _mm256_setzero_si256, _mm256_sign_epi8,
};

use super::kernel::DotKernel;
use super::quantised::CacheLine;

/// The kernel, if the processor has AVX2.
pub(super) fn plain() -> Option<DotKernel> {
    is_x86_feature_detected!("avx2").then_some(DotKernel::new("avx2", |rows, query, out| {
        // SAFETY: the closure is returned only if the processor has AVX2.
        unsafe { dots(rows, query, out) }
    }))
}

/// The kernel, if the processor has AVX2 and the VEX form of VNNI.
pub(super) fn vnni() -> Option<DotKernel> {
    let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni");
    found.then_some(DotKernel::new("avx-vnni", |rows, query, out| {
        // SAFETY: the closure is returned only if the processor has the features of `dots_vnni`.
        unsafe { dots_vnni(rows, query, out) }
    }))
}

/// `vpmaddubsw` multiplies unsigned by signed bytes and saturates its 16-bit sums of two. |x| times q
/// with the sign of x is x · q; no value is -128, so two products are at most 2 · 127² = 32258 and do
/// not saturate.
#[target_feature(enable = "avx2")]
fn dots(rows: &[CacheLine], query: &[CacheLine], out: &mut [i32]) {
    let ones = _mm256_set1_epi16(1);
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        let mut low = _mm256_setzero_si256();
        let mut high = _mm256_setzero_si256();
        for (x, q) in row.iter().zip(query) {
            let ([x0, x1], [q0, q1]) = (load(x), load(q));
            let pairs0 = _mm256_maddubs_epi16(_mm256_abs_epi8(x0), _mm256_sign_epi8(q0, x0));
            let pairs1 = _mm256_maddubs_epi16(_mm256_abs_epi8(x1), _mm256_sign_epi8(q1, x1));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(pairs0, ones));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(pairs1, ones));
        }
        *out = sum(_mm256_add_epi32(low, high));
    }
}

/// As [`dots`], with `vpdpbusd` in place of the two multiplications and the addition.
#[target_feature(enable = "avx2,avxvnni")]
fn dots_vnni(rows: &[CacheLine], query: &[CacheLine], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        let mut low = _mm256_setzero_si256();
        let mut high = _mm256_setzero_si256();
        for (x, q) in row.iter().zip(query) {
            let ([x0, x1], [q0, q1]) = (load(x), load(q));
            low = _mm256_dpbusd_avx_epi32(low, _mm256_abs_epi8(x0), _mm256_sign_epi8(q0, x0));
            high = _mm256_dpbusd_avx_epi32(high, _mm256_abs_epi8(x1), _mm256_sign_epi8(q1, x1));
        }
        *out = sum(_mm256_add_epi32(low, high));
    }
}

/// The two halves of a line.
#[inline]
#[target_feature(enable = "avx2")]
fn load(line: &CacheLine) -> [__m256i; 2] {
    let halves = line.0.as_ptr().cast::<__m256i>();
    // SAFETY: a `CacheLine` is 64 bytes, aligned to 64: two halves of 32, each aligned to 32.
    unsafe { [_mm256_load_si256(halves), _mm256_load_si256(halves.add(1))] }
}

/// The sum of eight i32.
#[inline]
#[target_feature(enable = "avx2")]
fn sum(eight: __m256i) -> i32 {
    let four = _mm_add_epi32(
        _mm256_castsi256_si128(eight),
        _mm256_extracti128_si256::<1>(eight),
    );
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)))
}
