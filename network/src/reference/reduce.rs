//! Reductions over whole dimensions.

use super::{Call, Walk};
use crate::graph::Reduce;

/// The mean of no element is NaN, its norm is 0.
pub(super) fn reduce(call: &Call<'_>, kind: Reduce, axes: &[usize]) -> Vec<f32> {
    let (x, from) = (call.f32(0), call.inputs[0].shape());
    let mut kept = from.to_vec();
    for &axis in axes {
        kept[axis] = 1;
    }
    let mut sums = vec![0.0; call.len()];
    // What is summed up for an element are the elements that it would broadcast to.
    for (&x, at) in x.iter().zip(Walk::broadcast(&kept, from)) {
        let x = f64::from(x);
        sums[at] += match kind {
            Reduce::Mean => x,
            Reduce::L2 => x * x,
        };
    }
    let count = x.len() as f64 / sums.len() as f64;
    (sums.iter())
        .map(|sum| match kind {
            Reduce::Mean => (sum / count) as f32,
            Reduce::L2 => sum.sqrt() as f32,
        })
        .collect()
}
