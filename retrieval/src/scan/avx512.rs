//! Integer products with AVX-512 VNNI (Ice Lake, Zen 4 and later): one `vpdpbusd` a line.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_reduce_add_epi32,
    _mm512_set1_epi8, _mm512_setzero_si512, _mm512_xor_si512,
};

use super::kernel::DotKernel;
use super::quantised::CacheLine;

/// The kernel, if the processor has AVX-512 F, BW and VNNI.
pub(super) fn vnni() -> Option<DotKernel> {
    let found = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni");
    found.then_some(DotKernel::new("avx512-vnni", |rows, query, out| {
        // SAFETY: the closure is returned only if the processor has the features of `dots`.
        unsafe { dots(rows, query, out) }
    }))
}

/// `vpdpbusd` multiplies unsigned by signed bytes: flipping the top bit of x gives x + 128 as an unsigned
/// byte, and the surplus 128 · Σq is the same for all rows. Padding has no effect: the query's is 0.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dots(rows: &[CacheLine], query: &[CacheLine], out: &mut [i32]) {
    let flip = _mm512_set1_epi8(-128);
    let ones = _mm512_set1_epi8(1);
    let mut sum = _mm512_setzero_si512();
    for q in query {
        sum = _mm512_dpbusd_epi32(sum, ones, load(q));
    }
    let surplus = 128 * _mm512_reduce_add_epi32(sum);
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        // Two chains, because of the latency of five cycles.
        let mut even = _mm512_setzero_si512();
        let mut odd = _mm512_setzero_si512();
        let (row_pairs, row_rest) = row.as_chunks::<2>();
        let (query_pairs, query_rest) = query.as_chunks::<2>();
        for ([x0, x1], [q0, q1]) in row_pairs.iter().zip(query_pairs) {
            even = _mm512_dpbusd_epi32(even, _mm512_xor_si512(load(x0), flip), load(q0));
            odd = _mm512_dpbusd_epi32(odd, _mm512_xor_si512(load(x1), flip), load(q1));
        }
        if let ([x], [q]) = (row_rest, query_rest) {
            even = _mm512_dpbusd_epi32(even, _mm512_xor_si512(load(x), flip), load(q));
        }
        *out = _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd)) - surplus;
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &CacheLine) -> __m512i {
    // SAFETY: a `CacheLine` is 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}
