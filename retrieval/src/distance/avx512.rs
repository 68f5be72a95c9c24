//! Scalar products with AVX-512 (Skylake-X, Zen 4 and later).

use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
};

use super::product::{ProductKernel, blocked};

/// Rows of a tile. Its sums fill 24 of 32 registers.
const ROWS: usize = 12;

/// The kernel, if the processor has AVX-512 F.
pub(super) fn products() -> Option<ProductKernel> {
    is_x86_feature_detected!("avx512f").then_some(ProductKernel::new(
        "avx512",
        |left, right, dim, out| {
            // SAFETY: the closure is returned only if the processor has AVX-512 F.
            unsafe { multiply(left, right, dim, out) }
        },
    ))
}

#[target_feature(enable = "avx512f")]
fn multiply(left: &[f32], right: &[f32], dim: usize, out: &mut [f32]) {
    blocked(left, right, dim, out, |a, b| tile(a, b));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn tile(a: &[[f32; ROWS]], b: &[[f32; 32]]) -> [[f32; 32]; ROWS] {
    let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
    for (a, b) in a.iter().zip(b) {
        let (halves, _) = b.as_chunks();
        let b = [load(&halves[0]), load(&halves[1])];
        for row in 0..ROWS {
            let a = _mm512_set1_ps(a[row]);
            sums[row][0] = _mm512_fmadd_ps(a, b[0], sums[row][0]);
            sums[row][1] = _mm512_fmadd_ps(a, b[1], sums[row][1]);
        }
    }
    // SAFETY: both are 384 f32 in the same order.
    unsafe { std::mem::transmute(sums) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32; 16]) -> __m512 {
    // SAFETY: it reads the 16 elements of the array, at any alignment.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}
