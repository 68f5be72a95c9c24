//! Scalar products with NEON, on every aarch64.

use std::arch::aarch64::{float32x4_t, vdupq_n_f32, vfmaq_laneq_f32, vld1q_f32};
use std::arch::is_aarch64_feature_detected;

use super::product::{ProductKernel, blocked};

/// Rows of a tile. Its sums fill 24 of 32 registers.
const ROWS: usize = 8;

/// The kernel, if the processor has NEON.
pub(super) fn products() -> Option<ProductKernel> {
    is_aarch64_feature_detected!("neon").then_some(ProductKernel::new(
        "neon",
        |left, right, dim, out| {
            // SAFETY: the closure is returned only if the processor has NEON.
            unsafe { multiply(left, right, dim, out) }
        },
    ))
}

#[target_feature(enable = "neon")]
fn multiply(left: &[f32], right: &[f32], dim: usize, out: &mut [f32]) {
    blocked(left, right, dim, out, |a, b| tile(a, b));
}

#[inline]
#[target_feature(enable = "neon")]
fn tile(a: &[[f32; ROWS]], b: &[[f32; 12]]) -> [[f32; 12]; ROWS] {
    let mut sums = [[vdupq_n_f32(0.0); 3]; ROWS];
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a.as_chunks().0, b.as_chunks().0);
        let (low, high) = (load(&a[0]), load(&a[1]));
        for third in 0..3 {
            let b = load(&b[third]);
            sums[0][third] = vfmaq_laneq_f32::<0>(sums[0][third], b, low);
            sums[1][third] = vfmaq_laneq_f32::<1>(sums[1][third], b, low);
            sums[2][third] = vfmaq_laneq_f32::<2>(sums[2][third], b, low);
            sums[3][third] = vfmaq_laneq_f32::<3>(sums[3][third], b, low);
            sums[4][third] = vfmaq_laneq_f32::<0>(sums[4][third], b, high);
            sums[5][third] = vfmaq_laneq_f32::<1>(sums[5][third], b, high);
            sums[6][third] = vfmaq_laneq_f32::<2>(sums[6][third], b, high);
            sums[7][third] = vfmaq_laneq_f32::<3>(sums[7][third], b, high);
        }
    }
    // SAFETY: both are 96 f32 in the same order.
    unsafe { std::mem::transmute(sums) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(values: &[f32; 4]) -> float32x4_t {
    // SAFETY: it reads the 4 elements of the array.
    unsafe { vld1q_f32(values.as_ptr()) }
}
