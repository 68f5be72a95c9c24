//! Sums of images and of gated images.

use super::{Image, positions};
use crate::plan::Sum;

/// The accumulators, channels innermost. Images are given in the order in which `sum` names them.
pub(in crate::plan::reference) fn sums(
    sum: &Sum,
    products: &[[Image<'_>; 2]],
    terms: &[Image<'_>],
) -> Vec<i64> {
    let mut images = products.iter().map(|[x, _]| x).chain(terms);
    let Some(first) = images.next() else {
        return Vec::new();
    };
    let acc = |[n, i, j, c]: [usize; 4]| {
        let gated = products.iter().map(|[x, gate]| {
            // A gate of one pixel stands for all.
            let (row, column) = if gate.size[..2] == [1, 1] {
                (0, 0)
            } else {
                (i, j)
            };
            x.steps(n, i, j, c) * gate.steps(n, row, column, c)
        });
        let added = (sum.terms.iter().zip(terms))
            .map(|(term, image)| i64::from(term.multiplier) * image.steps(n, i, j, c));
        (gated.sum::<i64>() << sum.shift) + added.sum::<i64>()
    };
    positions(first.batch(), first.size).map(acc).collect()
}
