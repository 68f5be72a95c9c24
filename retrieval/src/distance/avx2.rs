//! Scalar products with AVX2 and FMA, on every x86-64 since 2015.

use std::arch::x86_64::{
    __m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps,
};

use super::product::{ProductKernel, blocked};

/// Rows of a tile. Its sums fill 12 of 16 registers.
const ROWS: usize = 6;

/// The kernel, if the processor has AVX2 and FMA.
pub(super) fn products() -> Option<ProductKernel> {
    let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    found.then_some(ProductKernel::new("avx2", |left, right, dim, out| {
        // SAFETY: the closure is returned only if the processor has AVX2 and FMA.
        unsafe { multiply(left, right, dim, out) }
    }))
}

#[target_feature(enable = "avx2,fma")]
fn multiply(left: &[f32], right: &[f32], dim: usize, out: &mut [f32]) {
    blocked(left, right, dim, out, |a, b| tile(a, b));
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile(a: &[[f32; ROWS]], b: &[[f32; 16]]) -> [[f32; 16]; ROWS] {
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    for (a, b) in a.iter().zip(b) {
        let (halves, _) = b.as_chunks();
        let b = [load(&halves[0]), load(&halves[1])];
        for row in 0..ROWS {
            let a = _mm256_set1_ps(a[row]);
            sums[row][0] = _mm256_fmadd_ps(a, b[0], sums[row][0]);
            sums[row][1] = _mm256_fmadd_ps(a, b[1], sums[row][1]);
        }
    }
    // SAFETY: both are 96 f32 in the same order.
    unsafe { std::mem::transmute(sums) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[f32; 8]) -> __m256 {
    // SAFETY: it reads the 8 elements of the array, at any alignment.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}
