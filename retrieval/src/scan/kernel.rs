//! Which routine computes the integer products: the fastest that this processor runs. Every one gives the same integers, so the choice changes no answer.

use super::codes::Line;

/// Products of every row with the query: `out[r]` is the sum over the codes of `rows[r * query.len()..][..query.len()]` times those of `query`.
///
/// Codes are in -127..=127 and a query has at most 128 lines, so every sum fits an i32 with room for the offset of 128 that unsigned-by-signed instructions want
/// (255 · 127 · 8192 = 2.7e8).
type Dots = fn(rows: &[Line], query: &[Line], out: &mut [i32]);

/// A routine and the name of its instruction set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernel {
    pub(super) name: &'static str,
    dots: Dots,
}

/// Plain Rust: the truth that the others are compared with, and what runs where none of them does.
pub(super) const PLAIN: Kernel = Kernel::new("plain", plain);

impl Kernel {
    /// A routine that runs on this processor.
    pub(super) const fn new(name: &'static str, dots: Dots) -> Self {
        Self { name, dots }
    }

    /// See [`Dots`].
    #[inline]
    pub(super) fn dots(self, rows: &[Line], query: &[Line], out: &mut [i32]) {
        assert_eq!(rows.len(), query.len() * out.len(), "one product per row");
        (self.dots)(rows, query, out);
    }
}

fn plain(rows: &[Line], query: &[Line], out: &mut [i32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = 0;
        for (x, q) in row.iter().zip(query) {
            // One line at a time, so that the compiler sees 64 products and vectorises them.
            let products =
                x.0.iter()
                    .zip(&q.0)
                    .map(|(&x, &q)| i32::from(x) * i32::from(q));
            *out += products.sum::<i32>();
        }
    }
}
