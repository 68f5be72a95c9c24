//! Shape inference: element types and shapes of what an operator writes, from those of its operands.
//!
//! The rules are those of the ONNX operators. The batch stays symbolic where the operands have it.

use super::{Dim, Fact, Op};
use crate::tensor::{DType, MAX_ELEMENTS};
use crate::{Error, Result};

/// Element types and shapes of the values that `op` writes when it reads `operands`; `node` is the name
/// used in errors.
///
/// # Errors
/// [`Error::Shape`] if the number, the types, the shapes or the attributes do not fit together,
/// [`Error::Limit`] if a result has more than [`MAX_ELEMENTS`] for one image.
pub fn infer(node: &str, op: &Op, operands: Vec<Fact>) -> Result<Vec<Fact>> {
    let facts = operands;
    let rule = Rule { node, op, facts };
    let outputs = rule.outputs()?;
    for fact in &outputs {
        rule.limit(&fact.shape)?;
        rule.one_batch(&fact.shape)?;
    }
    Ok(outputs)
}

/// One application of a rule.
struct Rule<'a> {
    node: &'a str,
    op: &'a Op,
    facts: Vec<Fact>,
}

impl Rule<'_> {
    fn outputs(&self) -> Result<Vec<Fact>> {
        let op = self.op;
        self.arity()?;
        match op {
            Op::QuantizeLinear { axis } => return self.quantize(*axis),
            Op::DequantizeLinear { axis } => return self.dequantize(*axis),
            _ => self.element_types()?,
        }
        let (x, dtype) = (self.facts[0].shape.as_slice(), self.facts[0].dtype);
        let one = |shape: Vec<Dim>| Ok(vec![Fact { dtype, shape }]);
        match op {
            Op::Conv(_) => one(self.conv(x)?),
            Op::BatchNorm { .. } | Op::InstanceNorm { .. } => one(self.per_channel(x)?),
            Op::Unary(_) => one(x.to_vec()),
            Op::PRelu => {
                let shape = self.broadcast(x, &self.facts[1].shape)?;
                self.ensure(shape == x, || {
                    format!(
                        "the slope {} does not broadcast to {}",
                        show(&self.facts[1].shape),
                        show(x)
                    )
                })?;
                one(shape)
            }
            Op::Binary(_) => one(self.broadcast(x, &self.facts[1].shape)?),
            Op::Concat { axis } => one(self.concat(*axis)?),
            Op::Split { axis, sizes } => {
                let extent = self.fixed(x, *axis)?;
                self.ensure(!sizes.is_empty(), || "it writes nothing".to_owned())?;
                let total = sizes
                    .iter()
                    .try_fold(0usize, |sum, &size| sum.checked_add(size));
                self.ensure(total == Some(extent), || {
                    format!("sizes {sizes:?} do not add up to the extent {extent} of axis {axis}")
                })?;
                let part = |&size| Fact {
                    dtype,
                    shape: with(x, *axis, size),
                };
                Ok(sizes.iter().map(part).collect())
            }
            Op::Slice {
                axis,
                start,
                end,
                step,
            } => {
                let extent = self.fixed(x, *axis)?;
                self.ensure(*step >= 1 && start <= end && *end <= extent, || {
                    format!("{start}..{end} by {step} is no part of axis {axis} of extent {extent}")
                })?;
                one(with(x, *axis, (end - start).div_ceil(*step)))
            }
            Op::Pad { pads, .. } => one(self.pad(x, pads)?),
            Op::MaxPool(pool) | Op::AveragePool { pool, .. } => {
                let (n, c, h, w) = self.image(x)?;
                let too_small =
                    || self.error(format!("windows {pool:?} do not fit an image of {h} x {w}"));
                let [h, w] = pool.output_size([h, w]).ok_or_else(too_small)?;
                one(vec![n, c, Dim::Fixed(h), Dim::Fixed(w)])
            }
            Op::GlobalAveragePool => {
                let (n, c, ..) = self.image(x)?;
                one(vec![n, c, Dim::Fixed(1), Dim::Fixed(1)])
            }
            Op::Reduce {
                axes, keep_dims, ..
            } => one(self.reduce(x, axes, *keep_dims)?),
            Op::LpNormalization { axis, p } => {
                self.ensure(matches!(p, 1 | 2), || format!("p is {p}, wanted 1 or 2"))?;
                self.fixed(x, *axis)?;
                one(x.to_vec())
            }
            Op::Softmax { axis } => {
                self.fixed(x, *axis)?;
                one(x.to_vec())
            }
            Op::Gemm(_) => one(self.gemm(x)?),
            Op::MatMul => one(self.matmul(x)?),
            Op::Flatten { axis } => {
                self.ensure(*axis <= x.len(), || format!("axis {axis} of {}", show(x)))?;
                one(vec![self.product(&x[..*axis])?, self.product(&x[*axis..])?])
            }
            Op::Reshape { shape } => {
                let same = count(x) == count(shape);
                self.ensure(same, || {
                    format!("{} cannot become {}", show(x), show(shape))
                })?;
                one(shape.clone())
            }
            Op::Squeeze { axes } => {
                self.ascending(axes)?;
                for &axis in axes {
                    let extent = self.fixed(x, axis)?;
                    self.ensure(extent == 1, || {
                        format!("axis {axis} has extent {extent}, wanted 1")
                    })?;
                }
                one(x
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| !axes.contains(i))
                    .map(|(_, &dim)| dim)
                    .collect())
            }
            Op::Unsqueeze { axes } => {
                self.ascending(axes)?;
                let mut shape = x.to_vec();
                for &axis in axes {
                    self.ensure(axis <= shape.len(), || {
                        format!("axis {axis} for {}", show(x))
                    })?;
                    shape.insert(axis, Dim::Fixed(1));
                }
                one(shape)
            }
            Op::Transpose { perm } => {
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                self.ensure(sorted.iter().copied().eq(0..x.len()), || {
                    format!("perm {perm:?} for {}", show(x))
                })?;
                one(perm.iter().map(|&axis| x[axis]).collect())
            }
            Op::Expand { shape } => one(self.broadcast(x, shape)?),
            Op::QuantizeLinear { .. } | Op::DequantizeLinear { .. } => {
                unreachable!("handled above")
            }
        }
    }

    /// Number of operands, before anything looks at them.
    fn arity(&self) -> Result<()> {
        let wanted = match self.op {
            Op::Conv(_) => 2..=3,
            Op::BatchNorm { .. } => 5..=5,
            Op::InstanceNorm { .. } | Op::QuantizeLinear { .. } => 3..=3,
            Op::PRelu | Op::Binary(_) | Op::MatMul => 2..=2,
            Op::Gemm(_) | Op::DequantizeLinear { .. } => 2..=3,
            Op::Concat { .. } => 1..=usize::MAX,
            _ => 1..=1,
        };
        let found = self.facts.len();
        self.ensure(wanted.contains(&found), || {
            match (*wanted.start(), *wanted.end()) {
                (low, usize::MAX) => format!("{found} operands, wanted at least {low}"),
                (low, high) if low == high => format!("{found} operands, wanted {low}"),
                (low, high) => format!("{found} operands, wanted {low} to {high}"),
            }
        })
    }

    /// All operands have one type: any where elements are only moved, f32 where they are computed with.
    /// Sums and products of i64 are the arithmetic on shapes in files.
    fn element_types(&self) -> Result<()> {
        let first = self.facts[0].dtype;
        let fits = match self.op {
            Op::Binary(_) => matches!(first, DType::F32 | DType::I64),
            Op::Concat { .. }
            | Op::Split { .. }
            | Op::Slice { .. }
            | Op::Flatten { .. }
            | Op::Reshape { .. }
            | Op::Squeeze { .. }
            | Op::Unsqueeze { .. }
            | Op::Transpose { .. }
            | Op::Expand { .. } => true,
            _ => first == DType::F32,
        };
        let wanted = if fits { first } else { DType::F32 };
        for (i, fact) in self.facts.iter().enumerate() {
            self.ensure(fact.dtype == wanted, || {
                format!("operand {i} is {:?}, wanted {wanted:?}", fact.dtype)
            })?;
        }
        Ok(())
    }

    fn conv(&self, x: &[Dim]) -> Result<Vec<Dim>> {
        let Op::Conv(conv) = self.op else {
            unreachable!("called for Conv")
        };
        let (n, c, h, w) = self.image(x)?;
        let weight = &self.facts[1].shape;
        let Some([o, per_group, kh, kw]) = fixed_all::<4>(weight) else {
            return Err(self.error(format!(
                "weight {} is not [O, C/groups, kh, kw]",
                show(weight)
            )));
        };
        let channels = per_group.checked_mul(conv.groups);
        self.ensure(c.fixed().is_some() && channels == c.fixed(), || {
            format!(
                "{c} channels, the weight {} in {} groups wants {channels:?}",
                show(weight),
                conv.groups
            )
        })?;
        self.ensure(
            conv.groups >= 1 && o.is_multiple_of(conv.groups) && o > 0 && per_group > 0,
            || format!("{o} output channels in {} groups", conv.groups),
        )?;
        if let Some(bias) = self.facts.get(2) {
            self.ensure(bias.shape == [Dim::Fixed(o)], || {
                format!("bias {}, wanted [{o}]", show(&bias.shape))
            })?;
        }
        let too_small = || {
            self.error(format!(
                "a kernel of {kh} x {kw} with {conv:?} does not fit an image of {h} x {w}"
            ))
        };
        let [h, w] = conv.output_size([kh, kw], [h, w]).ok_or_else(too_small)?;
        Ok(vec![n, Dim::Fixed(o), Dim::Fixed(h), Dim::Fixed(w)])
    }

    fn per_channel(&self, x: &[Dim]) -> Result<Vec<Dim>> {
        // PyTorch writes a GroupNorm as an instance norm of [N, groups, elements].
        let min_rank = if matches!(self.op, Op::InstanceNorm { .. }) {
            3
        } else {
            2
        };
        self.ensure(x.len() >= min_rank, || {
            format!(
                "{} has {} dimensions, wanted at least {min_rank}",
                show(x),
                x.len()
            )
        })?;
        let channels = x[1];
        for (i, fact) in self.facts.iter().enumerate().skip(1) {
            self.ensure(fact.shape == [channels], || {
                format!("operand {i} is {}, wanted [{channels}]", show(&fact.shape))
            })?;
        }
        Ok(x.to_vec())
    }

    fn concat(&self, axis: usize) -> Result<Vec<Dim>> {
        let first = &self.facts[0].shape;
        let mut extent = 0usize;
        for fact in &self.facts {
            let own = self.fixed(&fact.shape, axis)?;
            let fits = fact.shape.len() == first.len()
                && with(&fact.shape, axis, 0) == with(first, axis, 0);
            self.ensure(fits, || {
                format!(
                    "{} and {} differ beside axis {axis}",
                    show(first),
                    show(&fact.shape)
                )
            })?;
            extent = extent.saturating_add(own);
        }
        Ok(with(first, axis, extent))
    }

    fn pad(&self, x: &[Dim], pads: &[(usize, usize)]) -> Result<Vec<Dim>> {
        self.ensure(pads.len() == x.len(), || {
            format!("{} pairs of pads for {}", pads.len(), show(x))
        })?;
        let mut shape = x.to_vec();
        for (axis, &(before, after)) in pads.iter().enumerate().filter(|(_, pads)| **pads != (0, 0))
        {
            let extent = self.fixed(x, axis)?;
            shape[axis] = Dim::Fixed(extent.saturating_add(before).saturating_add(after));
        }
        Ok(shape)
    }

    fn reduce(&self, x: &[Dim], axes: &[usize], keep_dims: bool) -> Result<Vec<Dim>> {
        self.ascending(axes)?;
        // ONNX does not define it: runtimes reduce all axes, none, or take the norm of each element.
        self.ensure(!axes.is_empty(), || "it reduces no axis".to_owned())?;
        let mut shape = x.to_vec();
        for &axis in axes {
            self.fixed(x, axis)?;
            shape[axis] = Dim::Fixed(1);
        }
        if !keep_dims {
            let kept = shape
                .iter()
                .enumerate()
                .filter(|(axis, _)| !axes.contains(axis));
            shape = kept.map(|(_, &dim)| dim).collect();
        }
        Ok(shape)
    }

    fn gemm(&self, x: &[Dim]) -> Result<Vec<Dim>> {
        let Op::Gemm(gemm) = self.op else {
            unreachable!("called for Gemm")
        };
        let b = &self.facts[1].shape;
        let (&[a0, a1], &[b0, b1]) = (x, b.as_slice()) else {
            return Err(self.error(format!("{} and {} are not both matrices", show(x), show(b))));
        };
        let (n, k) = if gemm.trans_a { (a1, a0) } else { (a0, a1) };
        let (k2, m) = if gemm.trans_b { (b1, b0) } else { (b0, b1) };
        self.ensure(k == k2 && k != Dim::Batch, || {
            format!("the inner extents {k} and {k2} differ")
        })?;
        if let Some(c) = self.facts.get(2) {
            let fits = self.broadcast(&c.shape, &[n, m])? == [n, m];
            self.ensure(fits, || {
                format!(
                    "operand 2, {}, does not broadcast to [{n}, {m}]",
                    show(&c.shape)
                )
            })?;
        }
        Ok(vec![n, m])
    }

    fn matmul(&self, a: &[Dim]) -> Result<Vec<Dim>> {
        let b = &self.facts[1].shape;
        let ([a_outer @ .., n, k], [b_outer @ .., k2, m]) = (a, b.as_slice()) else {
            return Err(self.error(format!(
                "{} and {} are not both at least matrices",
                show(a),
                show(b)
            )));
        };
        self.ensure(k == k2 && *k != Dim::Batch, || {
            format!("the inner extents {k} and {k2} differ")
        })?;
        let mut shape = self.broadcast(a_outer, b_outer)?;
        shape.extend([*n, *m]);
        Ok(shape)
    }

    fn quantize(&self, axis: usize) -> Result<Vec<Fact>> {
        let [x, scale, zero] = self.facts.as_slice() else {
            unreachable!("three operands were counted")
        };
        let f32s = x.dtype == DType::F32 && scale.dtype == DType::F32;
        self.ensure(f32s && matches!(zero.dtype, DType::U8 | DType::I8), || {
            format!(
                "x, scale, zero point are {:?}, {:?}, {:?}; wanted F32, F32, U8 or I8",
                x.dtype, scale.dtype, zero.dtype
            )
        })?;
        self.scale_fits(&x.shape, axis)?;
        Ok(vec![Fact {
            dtype: zero.dtype,
            shape: x.shape.clone(),
        }])
    }

    fn dequantize(&self, axis: usize) -> Result<Vec<Fact>> {
        let (x, scale) = (&self.facts[0], &self.facts[1]);
        let zero = self.facts.get(2).map_or(x.dtype, |zero| zero.dtype);
        let typed = matches!(x.dtype, DType::U8 | DType::I8 | DType::I32)
            && scale.dtype == DType::F32
            && zero == x.dtype;
        self.ensure(typed, || {
            format!("x, scale, zero point are {:?}, {:?}, {zero:?}; wanted U8, I8 or I32, F32, and the type of x", x.dtype, scale.dtype)
        })?;
        self.scale_fits(&x.shape, axis)?;
        Ok(vec![Fact::f32(x.shape.clone())])
    }

    /// A scale is one number, or one for each index of `axis`; the zero point has its shape.
    fn scale_fits(&self, x: &[Dim], axis: usize) -> Result<()> {
        let scale = &self.facts[1].shape;
        let per_tensor = scale.is_empty() || *scale == [Dim::Fixed(1)];
        self.ensure(
            per_tensor || (scale.len() == 1 && x.get(axis) == scale.first()),
            || format!("scale {} along axis {axis} of {}", show(scale), show(x)),
        )?;
        if let Some(zero) = self.facts.get(2) {
            self.ensure(zero.shape == *scale, || {
                format!(
                    "zero point {}, wanted the shape of the scale, {}",
                    show(&zero.shape),
                    show(scale)
                )
            })?;
        }
        Ok(())
    }

    /// NumPy broadcasting.
    fn broadcast(&self, a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>> {
        let rank = a.len().max(b.len());
        let at = |shape: &[Dim], i: usize| {
            (i + shape.len())
                .checked_sub(rank)
                .map_or(Dim::Fixed(1), |i| shape[i])
        };
        (0..rank)
            .map(|i| match (at(a, i), at(b, i)) {
                (left, right) if left == right => Ok(left),
                (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => Ok(other),
                _ => Err(self.error(format!("{} and {} do not broadcast", show(a), show(b)))),
            })
            .collect()
    }

    /// `[batch, channels, height, width]` of an image with fixed height and width.
    fn image(&self, x: &[Dim]) -> Result<(Dim, Dim, usize, usize)> {
        match *x {
            [n, c, Dim::Fixed(h), Dim::Fixed(w)] => Ok((n, c, h, w)),
            _ => Err(self.error(format!("{} is no image [N, C, H, W]", show(x)))),
        }
    }

    /// Extent of `axis`, which must exist and not be the batch.
    fn fixed(&self, x: &[Dim], axis: usize) -> Result<usize> {
        let dim = x
            .get(axis)
            .ok_or_else(|| self.error(format!("axis {axis} of {}", show(x))))?;
        dim.fixed()
            .ok_or_else(|| self.error(format!("axis {axis} of {} is the batch", show(x))))
    }

    /// Several dimensions joined into one.
    fn product(&self, dims: &[Dim]) -> Result<Dim> {
        match count(dims) {
            Some((0, product)) => Ok(Dim::Fixed(product)),
            Some((1, 1)) => Ok(Dim::Batch),
            _ => Err(self.error(format!(
                "{} cannot be joined: the batch must stay a dimension of its own",
                show(dims)
            ))),
        }
    }

    /// A hostile shape must not make an executor allocate without bound.
    fn limit(&self, shape: &[Dim]) -> Result<()> {
        let found = count(shape).map_or(u64::MAX, |(_, product)| product as u64);
        if found > MAX_ELEMENTS as u64 {
            let what = format!(
                "number of elements a crop that node `{}` ({}) writes",
                self.node,
                self.op.onnx_name()
            );
            return Err(Error::Limit {
                what,
                found,
                limit: MAX_ELEMENTS as u64,
            });
        }
        Ok(())
    }

    /// A value that has the batch twice mixes images, and grows with its square.
    fn one_batch(&self, shape: &[Dim]) -> Result<()> {
        let batches = shape.iter().filter(|dim| **dim == Dim::Batch).count();
        self.ensure(batches <= 1, || {
            format!("it writes {}, which has the batch twice", show(shape))
        })
    }

    /// Each dimension once, in order.
    fn ascending(&self, axes: &[usize]) -> Result<()> {
        let holds = axes.windows(2).all(|pair| pair[0] < pair[1]);
        self.ensure(holds, || format!("axes {axes:?} do not ascend"))
    }

    fn ensure(&self, holds: bool, reason: impl FnOnce() -> String) -> Result<()> {
        if holds {
            Ok(())
        } else {
            Err(self.error(reason()))
        }
    }

    fn error(&self, reason: String) -> Error {
        Error::Shape {
            node: self.node.to_owned(),
            op: self.op.onnx_name(),
            reason,
        }
    }
}

/// How often the batch is among `dims`, and the product of the others; none if that overflows.
fn count(dims: &[Dim]) -> Option<(usize, usize)> {
    dims.iter()
        .try_fold((0usize, 1usize), |(batches, product), dim| match dim {
            Dim::Batch => Some((batches + 1, product)),
            Dim::Fixed(extent) => Some((batches, product.checked_mul(*extent)?)),
        })
}

fn fixed_all<const N: usize>(shape: &[Dim]) -> Option<[usize; N]> {
    let fixed: Vec<usize> = shape.iter().map(|dim| dim.fixed()).collect::<Option<_>>()?;
    fixed.try_into().ok()
}

fn with(shape: &[Dim], axis: usize, extent: usize) -> Vec<Dim> {
    let mut shape = shape.to_vec();
    shape[axis] = Dim::Fixed(extent);
    shape
}

fn show(shape: &[Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(", "))
}

#[cfg(test)]
mod tests;
