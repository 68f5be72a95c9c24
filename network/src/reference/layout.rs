//! Operators that move elements of any type and compute nothing, and broadcasting.

use std::ops::Range;

use super::call::Call;
use crate::Result;
use crate::graph::Dim;
use crate::tensor::{DType, Data, Tensor};

/// Runs an expression over the elements of any type, and wraps what it returns in the same type.
macro_rules! for_any_type {
    ($data:expr, |$elements:ident| $body:expr) => {
        match $data {
            Data::F32($elements) => Data::F32($body),
            Data::I64($elements) => Data::I64($body),
            Data::I32($elements) => Data::I32($body),
            Data::I8($elements) => Data::I8($body),
            Data::U8($elements) => Data::U8($body),
        }
    };
}

/// An element type as a Rust type.
trait Element: Copy {
    /// The elements, if they are of this type.
    fn elements(data: &Data) -> Option<&[Self]>;
    fn data(elements: Vec<Self>) -> Data;
}

macro_rules! element {
    ($type:ty, $variant:ident) => {
        impl Element for $type {
            fn elements(data: &Data) -> Option<&[Self]> {
                match data {
                    Data::$variant(elements) => Some(elements),
                    _ => None,
                }
            }

            fn data(elements: Vec<Self>) -> Data {
                Data::$variant(elements)
            }
        }
    };
}

element!(f32, F32);
element!(i64, I64);
element!(i32, I32);
element!(i8, I8);
element!(u8, U8);

/// The shape that `a` and `b` broadcast to: aligned at the last dimension, extents of 1 stretch.
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

/// Positions in a row-major tensor that lie behind the elements of a result, in the order of the
/// result.
pub struct Walk {
    shape: Vec<usize>,
    strides: Vec<usize>,
    index: Vec<usize>,
    at: usize,
    left: usize,
}

impl Walk {
    /// The result has `shape`; one step along its dimension `i` is `strides[i]` elements of the
    /// tensor. `shape` has passed [`Call::len`].
    fn new(first: usize, shape: &[usize], strides: Vec<usize>) -> Self {
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

/// Distance of neighbours along each dimension; `shape` has no 0 and has passed [`Call::len`], so
/// nothing overflows.
fn strides_of(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The elements of `x` at the positions of `walk`.
fn gather(x: &Tensor, shape: Vec<usize>, walk: Walk) -> Result<Tensor> {
    let data = for_any_type!(x.data(), |elements| walk.map(|at| elements[at]).collect());
    Tensor::new(shape, data)
}

/// A result without an element, of the type of `x`.
fn empty(x: &Tensor, shape: Vec<usize>) -> Result<Tensor> {
    Tensor::new(
        shape,
        for_any_type!(x.data(), |elements| elements[..0].to_vec()),
    )
}

pub(super) fn concat(call: &Call<'_>, axis: usize) -> Result<Tensor> {
    match call.x().dtype() {
        DType::F32 => concat_of::<f32>(call, axis),
        DType::I64 => concat_of::<i64>(call, axis),
        DType::I32 => concat_of::<i32>(call, axis),
        DType::I8 => concat_of::<i8>(call, axis),
        DType::U8 => concat_of::<u8>(call, axis),
    }
}

fn concat_of<T: Element>(call: &Call<'_>, axis: usize) -> Result<Tensor> {
    call.extent_along(axis)?;
    let mut shape = call.x().shape().to_vec();
    shape[axis] = 0;
    let mut parts = Vec::with_capacity(call.inputs().len());
    for part in call.inputs() {
        let mut fitting = part.shape().to_vec();
        if fitting.len() == shape.len() {
            fitting[axis] = shape[axis];
        }
        if fitting != shape {
            return Err(call.wrong(format!(
                "{:?} and {:?} do not join along dimension {axis}",
                call.x().shape(),
                part.shape()
            )));
        }
        shape[axis] = (shape[axis].checked_add(part.shape()[axis]))
            .ok_or_else(|| call.wrong("the joined dimension is too large"))?;
        parts.push(T::elements(part.data()).ok_or_else(|| {
            call.wrong(format!(
                "operands must be of one type, found {:?} and {:?}",
                call.x().dtype(),
                part.dtype()
            ))
        })?);
    }
    let len = call.len(&shape)?;
    if len == 0 {
        return empty(call.x(), shape);
    }

    let repeats: usize = shape[..axis].iter().product();
    let mut joined = Vec::with_capacity(len);
    for i in 0..repeats {
        for part in &parts {
            let run = part.len() / repeats;
            joined.extend_from_slice(&part[i * run..][..run]);
        }
    }
    Tensor::new(shape, T::data(joined))
}

pub(super) fn split(call: &Call<'_>, axis: usize, sizes: &[usize]) -> Result<Vec<Tensor>> {
    let extent = call.extent_along(axis)?;
    let total = sizes.iter().try_fold(0usize, |sum, &n| sum.checked_add(n));
    if total != Some(extent) {
        return Err(call.wrong(format!(
            "sizes {sizes:?} do not add up to the {extent} of dimension {axis}"
        )));
    }
    let mut start = 0;
    (sizes.iter())
        .map(|size| {
            let range = start..start + size;
            start = range.end;
            slice(call, axis, range, 1)
        })
        .collect()
}

pub(super) fn slice(
    call: &Call<'_>,
    axis: usize,
    range: Range<usize>,
    step: usize,
) -> Result<Tensor> {
    let extent = call.extent_along(axis)?;
    let Range { start, end } = range;
    if start > end || end > extent || step == 0 {
        return Err(call.wrong(format!(
            "cannot take {start}..{end} in steps of {step} from the {extent} of dimension {axis}"
        )));
    }
    let x = call.x();
    let mut shape = x.shape().to_vec();
    shape[axis] = (end - start).div_ceil(step);
    if call.len(&shape)? == 0 {
        return empty(x, shape);
    }
    let mut strides = strides_of(x.shape());
    let first = start * strides[axis];
    // With one element along the axis its stride is never walked, and `step` may be anything.
    strides[axis] = match shape[axis] {
        1 => 0,
        _ => strides[axis] * step,
    };
    let walk = Walk::new(first, &shape, strides);
    gather(x, shape, walk)
}

pub(super) fn pad(call: &Call<'_>, pads: &[(usize, usize)], value: f32) -> Result<Tensor> {
    let (x, from) = (call.f32(0, "x")?, call.x().shape());
    let shape: Option<Vec<usize>> = (from.iter().zip(pads))
        .map(|(&n, &(before, after))| n.checked_add(before)?.checked_add(after))
        .collect();
    let shape = shape
        .filter(|shape| shape.len() == pads.len() && pads.len() == from.len())
        .ok_or_else(|| call.wrong(format!("pads {pads:?} do not fit x {from:?}")))?;
    let mut y = vec![value; call.len(&shape)?];
    if !x.is_empty() {
        let strides = strides_of(&shape);
        let first = (pads.iter().zip(&strides)).map(|(pad, stride)| pad.0 * stride);
        let walk = Walk::new(first.sum(), from, strides.clone());
        for (at, &x) in walk.zip(x) {
            y[at] = x;
        }
    }
    Tensor::f32(shape, y)
}

/// The elements of x under another shape.
fn reshaped(call: &Call<'_>, shape: Vec<usize>) -> Result<Tensor> {
    let x = call.x();
    if call.len(&shape)? != x.len() {
        return Err(call.wrong(format!(
            "{:?} has {} elements, {shape:?} wants another number",
            x.shape(),
            x.len()
        )));
    }
    x.clone().reshaped(shape)
}

pub(super) fn flatten(call: &Call<'_>, axis: usize) -> Result<Tensor> {
    let shape = call.x().shape();
    if axis > shape.len() {
        return Err(call.wrong(format!(
            "axis {axis} is outside of the dimensions {shape:?}"
        )));
    }
    let (rows, columns) = shape.split_at(axis);
    reshaped(call, vec![call.len(rows)?, call.len(columns)?])
}

pub(super) fn reshape(call: &Call<'_>, shape: &[Dim], batch: Option<usize>) -> Result<Tensor> {
    reshaped(call, resolved(call, shape, batch)?)
}

pub(super) fn squeeze(call: &Call<'_>, axes: &[usize]) -> Result<Tensor> {
    let shape = call.x().shape();
    call.check_axes(axes, shape.len())?;
    if let Some(axis) = axes.iter().find(|&&axis| shape[axis] != 1) {
        return Err(call.wrong(format!("dimension {axis} of {shape:?} is not 1")));
    }
    let kept = (0..shape.len()).filter(|i| !axes.contains(i));
    reshaped(call, kept.map(|i| shape[i]).collect())
}

pub(super) fn unsqueeze(call: &Call<'_>, axes: &[usize]) -> Result<Tensor> {
    let mut shape = call.x().shape().to_vec();
    call.check_axes(axes, shape.len() + axes.len())?;
    for &axis in axes {
        shape.insert(axis, 1);
    }
    reshaped(call, shape)
}

pub(super) fn transpose(call: &Call<'_>, perm: &[usize]) -> Result<Tensor> {
    let x = call.x();
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..x.shape().len()) {
        return Err(call.wrong(format!(
            "{perm:?} does not permute the dimensions of {:?}",
            x.shape()
        )));
    }
    let shape: Vec<usize> = perm.iter().map(|&i| x.shape()[i]).collect();
    if x.is_empty() {
        return empty(x, shape);
    }
    let strides = strides_of(x.shape());
    let walk = Walk::new(0, &shape, perm.iter().map(|&i| strides[i]).collect());
    gather(x, shape, walk)
}

pub(super) fn expand(call: &Call<'_>, shape: &[Dim], batch: Option<usize>) -> Result<Tensor> {
    let x = call.x();
    let wanted = resolved(call, shape, batch)?;
    let shape = broadcast(x.shape(), &wanted)
        .ok_or_else(|| call.wrong(format!("{:?} and {wanted:?} do not broadcast", x.shape())))?;
    call.len(&shape)?;
    let walk = Walk::broadcast(x.shape(), &shape);
    gather(x, shape, walk)
}

/// `shape` with every extent known.
fn resolved(call: &Call<'_>, shape: &[Dim], batch: Option<usize>) -> Result<Vec<usize>> {
    (shape.iter())
        .map(|dim| dim.fixed().or(batch))
        .collect::<Option<_>>()
        .ok_or_else(|| call.wrong("its shape depends on the batch, which is not known here"))
}
