//! Integer products with NEON: `sdot` on cores with dotprod (Cortex-A55, A76, A78 and later), widening
//! multiplications on others (A53, A72).

use std::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vaddvq_s32, vdupq_n_s32, vget_low_s8, vld1q_s8, vmlal_high_s8,
    vmull_s8, vpadalq_s16,
};
use std::arch::{asm, is_aarch64_feature_detected};

use super::kernel::DotKernel;
use super::quantised::CacheLine;

/// The kernel, if the processor has dotprod.
pub(super) fn dotprod() -> Option<DotKernel> {
    let found = is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod");
    found.then_some(DotKernel::new("neon-dotprod", |rows, query, out| {
        // SAFETY: the closure is returned only if the processor has the features of `dots_dotprod`.
        unsafe { dots_dotprod(rows, query, out) }
    }))
}

/// The kernel, if the processor has NEON.
pub(super) fn plain() -> Option<DotKernel> {
    is_aarch64_feature_detected!("neon").then_some(DotKernel::new("neon", |rows, query, out| {
        // SAFETY: the closure is returned only if the processor has NEON.
        unsafe { dots(rows, query, out) }
    }))
}

#[target_feature(enable = "neon,dotprod")]
fn dots_dotprod(rows: &[CacheLine], query: &[CacheLine], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        // Four chains, one per quarter of a line, because of the latency of four cycles.
        let mut sums = [vdupq_n_s32(0); 4];
        for (x, q) in row.iter().zip(query) {
            let (x, q) = (load(x), load(q));
            for quarter in 0..4 {
                sums[quarter] = sdot(sums[quarter], x[quarter], q[quarter]);
            }
        }
        *out = sum(sums);
    }
}

/// No value is -128, so the sum of two products is at most 2 · 127² = 32258 and fits the 16 bits of
/// `smlal2`.
#[target_feature(enable = "neon")]
fn dots(rows: &[CacheLine], query: &[CacheLine], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        let mut sums = [vdupq_n_s32(0); 4];
        for (x, q) in row.iter().zip(query) {
            let (x, q) = (load(x), load(q));
            for quarter in 0..4 {
                let (x, q) = (x[quarter], q[quarter]);
                let pairs = vmlal_high_s8(vmull_s8(vget_low_s8(x), vget_low_s8(q)), x, q);
                sums[quarter] = vpadalq_s16(sums[quarter], pairs);
            }
        }
        *out = sum(sums);
    }
}

/// Adds the products of four bytes each to four sums. Inline assembly, because `vdotq_s32` is not stable Rust.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot(mut sums: int32x4_t, x: int8x16_t, q: int8x16_t) -> int32x4_t {
    // SAFETY: `sdot` uses the three named registers only; the caller was compiled for dotprod.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {x:v}.16b, {q:v}.16b",
            sums = inout(vreg) sums,
            x = in(vreg) x,
            q = in(vreg) q,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// The four quarters of a line.
#[inline]
#[target_feature(enable = "neon")]
fn load(line: &CacheLine) -> [int8x16_t; 4] {
    let (quarters, _) = line.0.as_chunks::<16>();
    std::array::from_fn(|quarter| {
        // SAFETY: a quarter is an array of the 16 bytes that are read.
        unsafe { vld1q_s8(quarters[quarter].as_ptr()) }
    })
}

#[inline]
#[target_feature(enable = "neon")]
fn sum([a, b, c, d]: [int32x4_t; 4]) -> i32 {
    vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d)))
}
