//! Integer products with AVX-512 VNNI (Ice Lake, Zen 4 and later): one `vpdpbusd` for a whole line of codes.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_load_si512, _mm512_reduce_add_epi32,
    _mm512_set1_epi8, _mm512_setzero_si512, _mm512_xor_si512,
};

use super::codes::Line;
use super::kernel::Kernel;

/// The routine, if the processor has AVX-512 F, BW and VNNI.
pub(super) fn vnni() -> Option<Kernel> {
    let found = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni");
    found.then_some(Kernel::new("avx512-vnni", |rows, query, out| {
        // SAFETY: this closure leaves the function only where the processor has the features that `dots` is compiled for.
        unsafe { dots(rows, query, out) }
    }))
}

/// `vpdpbusd` multiplies unsigned by signed bytes: flipping the top bit of a code x gives x + 128 as an unsigned byte, and the surplus 128 · Σq is the same for all
/// rows. The padding takes no part, because the query's padding is 0.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dots(rows: &[Line], query: &[Line], out: &mut [i32]) {
    let flip = _mm512_set1_epi8(-128);
    let ones = _mm512_set1_epi8(1);
    let mut sum = _mm512_setzero_si512();
    for q in query {
        sum = _mm512_dpbusd_epi32(sum, ones, load(q));
    }
    let surplus = 128 * _mm512_reduce_add_epi32(sum);
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        // Two chains, because a product takes five cycles before the next can be added to it.
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
fn load(line: &Line) -> __m512i {
    // SAFETY: a `Line` is 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}
