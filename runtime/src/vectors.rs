//! The state of the vector registers behind somebody else's assembly.
//!
//! A routine that uses the upper halves of x86's vector registers and does not clear them when it
//! returns leaves every SSE instruction after it waiting for halves that it does not use: plain
//! Rust for x86-64, which is all SSE, then runs at less than half its speed until somebody clears
//! them.

/// Clears the upper halves of the vector registers, where there are any: a cycle or two. To be
/// called behind libraries that bring kernels of their own.
pub(crate) fn clear_upper_halves() {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx") {
        // SAFETY: the processor has AVX.
        unsafe { zero_upper() }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
fn zero_upper() {
    std::arch::x86_64::_mm256_zeroupper();
}
