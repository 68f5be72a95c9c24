//! Operators that move elements of any type and compute nothing, and broadcasting.

use super::Call;
use crate::tensor::{Data, Tensor, with_elements};

/// The shape that `a` and `b` broadcast to: aligned at the last dimension, extents of 1 stretch.
#[must_use]
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], i: usize| match (i + shape.len()).checked_sub(rank) {
        Some(i) => shape[i],
        None => 1,
    };
    (0..rank)
        .map(|i| match (extent(a, i), extent(b, i)) {
            (a, b) if a == b => Some(a),
            (1, extent) | (extent, 1) => Some(extent),
            _ => None,
        })
        .collect()
}

/// Indices of the elements of a row-major tensor that a result is made of, in the order of the result.
pub struct Walk {
    shape: Vec<usize>,
    strides: Vec<usize>,
    index: Vec<usize>,
    at: usize,
    left: usize,
}

impl Walk {
    /// The result has `shape`; one step along its dimension `i` is `strides[i]` elements of the
    /// tensor. `shape` has passed shape inference.
    pub(crate) fn new(first: usize, shape: &[usize], strides: Vec<usize>) -> Self {
        Self {
            left: if shape.contains(&0) {
                0
            } else {
                shape.iter().product()
            },
            index: vec![0; shape.len()],
            shape: shape.to_vec(),
            strides,
            at: first,
        }
    }

    /// A tensor of shape `from` broadcast to `to`.
    #[must_use]
    pub fn broadcast(from: &[usize], to: &[usize]) -> Self {
        if to.contains(&0) {
            return Self::new(0, to, vec![0; to.len()]);
        }
        let mut strides = vec![0; to.len() - from.len()];
        strides.extend(strides_of(from));
        for (stride, extent) in strides.iter_mut().rev().zip(from.iter().rev()) {
            if *extent == 1 {
                *stride = 0;
            }
        }
        Self::new(0, to, strides)
    }
}

impl Iterator for Walk {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        for i in (0..self.shape.len()).rev() {
            self.index[i] += 1;
            self.at += self.strides[i];
            if self.index[i] < self.shape[i] {
                break;
            }
            self.index[i] = 0;
            self.at -= self.strides[i] * self.shape[i];
        }
        Some(at)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// Elements from one index to the next along each dimension; `shape` has no 0 and has passed shape
/// inference, so nothing overflows.
pub(crate) fn strides_of(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The elements of `x` at the positions of `walk`.
fn gather(x: &Tensor, walk: Walk) -> Data {
    with_elements!(x.data(), |elements| {
        let gathered: Vec<_> = walk.map(|at| elements[at]).collect();
        gathered.into()
    })
}

pub(super) fn concat(call: &Call<'_>, axis: usize) -> Data {
    let repeats: usize = call.shape[..axis].iter().product();
    let mut joined = call.inputs[0].data().clone();
    macro_rules! join {
        ($($variant:ident),+) => {
            match &mut joined {
                $(Data::$variant(joined) => {
                    joined.clear();
                    for i in 0..repeats {
                        for part in call.inputs {
                            if let Data::$variant(part) = part.data() {
                                let run = part.len() / repeats;
                                joined.extend_from_slice(&part[i * run..][..run]);
                            }
                        }
                    }
                })+
            }
        };
    }
    join!(F32, I64, I32, I8, U8);
    joined
}

/// The parts of `x`, one for each of `sizes`.
pub(super) fn split(x: &Tensor, axis: usize, sizes: &[usize]) -> impl Iterator<Item = Data> {
    let mut start = 0;
    sizes.iter().map(move |&size| {
        let mut shape = x.shape().to_vec();
        shape[axis] = size;
        start += size;
        slice(x, &shape, axis, start - size, 1)
    })
}

/// The elements of a result of `shape`: every `step`th along `axis`, from `start` on.
pub(super) fn slice(x: &Tensor, shape: &[usize], axis: usize, start: usize, step: usize) -> Data {
    let mut strides = strides_of(x.shape());
    let first = start * strides[axis];
    // With one element along the axis its stride is never walked, and `step` may be anything.
    strides[axis] = match shape[axis] {
        1 => 0,
        _ => strides[axis] * step,
    };
    gather(x, Walk::new(first, shape, strides))
}

pub(super) fn pad(call: &Call<'_>, pads: &[(usize, usize)], value: f32) -> Vec<f32> {
    let (x, from) = (call.f32(0), call.inputs[0].shape());
    let mut y = vec![value; call.len()];
    if !x.is_empty() {
        let strides = strides_of(call.shape);
        let first = (pads.iter().zip(&strides)).map(|(pad, stride)| pad.0 * stride);
        let walk = Walk::new(first.sum(), from, strides.clone());
        for (at, &x) in walk.zip(x) {
            y[at] = x;
        }
    }
    y
}

pub(super) fn transpose(call: &Call<'_>, perm: &[usize]) -> Data {
    let x = call.inputs[0];
    let strides = strides_of(x.shape());
    let strides = perm.iter().map(|&axis| strides[axis]).collect();
    gather(x, Walk::new(0, call.shape, strides))
}

pub(super) fn expand(call: &Call<'_>) -> Data {
    let x = call.inputs[0];
    gather(x, Walk::broadcast(x.shape(), call.shape))
}
