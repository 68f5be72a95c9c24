//! Reductions over whole dimensions.

use super::call::Call;
use super::layout::Walk;
use crate::Result;
use crate::graph::Reduce;
use crate::tensor::Tensor;

pub(super) fn global_average(call: &Call<'_>) -> Result<Tensor> {
    call.extents::<4>(0, "x")?;
    reduce(call, Reduce::Mean, &[2, 3], true)
}

/// The mean of no element is NaN, its norm is 0.
pub(super) fn reduce(
    call: &Call<'_>,
    kind: Reduce,
    axes: &[usize],
    keep_dims: bool,
) -> Result<Tensor> {
    let (x, from) = (call.f32(0, "x")?, call.x().shape());
    call.check_axes(axes, from.len())?;
    let mut kept = from.to_vec();
    for &axis in axes {
        kept[axis] = 1;
    }
    let len = call.len(&kept)?;
    let mut sums = vec![0.0; len];
    // What is summed up for an element are the elements that it would broadcast to.
    for (&x, at) in x.iter().zip(Walk::broadcast(&kept, from)) {
        let x = f64::from(x);
        sums[at] += match kind {
            Reduce::Mean => x,
            Reduce::L2 => x * x,
        };
    }
    let count = x.len() as f64 / len as f64;
    let y: Vec<f32> = (sums.iter())
        .map(|sum| match kind {
            Reduce::Mean => (sum / count) as f32,
            Reduce::L2 => sum.sqrt() as f32,
        })
        .collect();
    let shape: Vec<usize> = (0..from.len())
        .filter(|axis| keep_dims || !axes.contains(axis))
        .map(|axis| kept[axis])
        .collect();
    Tensor::f32(shape, y)
}
