//! Integer products of rows with a query. All kernels return the same integers.

use super::quantised::CacheLine;

/// Products of each row with the query: `out[r]` is the sum of the values of
/// `rows[r * query.len()..][..query.len()]` times those of `query`.
///
/// Values are in -127..=127 and a query has at most 128 lines, so each sum fits an i32, also with the
/// offset of 128 of unsigned-by-signed instructions (255 · 127 · 8192 = 2.7e8).
type Dots = fn(rows: &[CacheLine], query: &[CacheLine], out: &mut [i32]);

/// An integer product and the name of its instruction set.
#[derive(Debug, Clone, Copy)]
pub(super) struct DotKernel {
    pub(super) name: &'static str,
    dots: Dots,
}

/// Plain Rust: the reference of the tests, and the fallback.
pub(super) const PLAIN: DotKernel = DotKernel::new("plain", plain);

impl DotKernel {
    /// A product that runs on this processor.
    pub(super) const fn new(name: &'static str, dots: Dots) -> Self {
        Self { name, dots }
    }

    /// See [`Dots`].
    #[inline]
    pub(super) fn dots(self, rows: &[CacheLine], query: &[CacheLine], out: &mut [i32]) {
        assert_eq!(rows.len(), query.len() * out.len(), "one product per row");
        (self.dots)(rows, query, out);
    }
}

fn plain(rows: &[CacheLine], query: &[CacheLine], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = 0;
        for (x, q) in row.iter().zip(query) {
            // One line at a time: 64 products, which the compiler vectorises.
            let products =
                x.0.iter()
                    .zip(&q.0)
                    .map(|(&x, &q)| i32::from(x) * i32::from(q));
            *out += products.sum::<i32>();
        }
    }
}
