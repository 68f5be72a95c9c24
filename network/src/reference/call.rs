//! One operator about to be computed: its operands, and errors that name it.

use std::ops::RangeInclusive;

use crate::graph::Op;
use crate::tensor::{self, Tensor};
use crate::{Error, Result};

/// An operator, the name of its node, and as many operands as it reads.
pub(super) struct Call<'a> {
    node: &'a str,
    op: &'static str,
    inputs: &'a [&'a Tensor],
}

impl<'a> Call<'a> {
    /// Refuses any number of `inputs` outside of `arity`.
    pub(super) fn new(
        node: &'a str,
        op: &Op,
        inputs: &'a [&'a Tensor],
        arity: RangeInclusive<usize>,
    ) -> Result<Self> {
        let op = op.onnx_name();
        let call = Self { node, op, inputs };
        if arity.contains(&inputs.len()) {
            return Ok(call);
        }
        Err(call.wrong(format!(
            "wants {} to {} operands, found {}",
            arity.start(),
            arity.end(),
            inputs.len()
        )))
    }

    /// Element types, shapes or attributes that do not fit.
    pub(super) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Shape {
            node: self.node.to_owned(),
            op: self.op,
            reason: reason.into(),
        }
    }

    /// Every operand.
    pub(super) fn inputs(&self) -> &'a [&'a Tensor] {
        self.inputs
    }

    /// An operand that the arity promises.
    pub(super) fn input(&self, index: usize) -> &'a Tensor {
        self.inputs[index]
    }

    /// The first operand.
    pub(super) fn x(&self) -> &'a Tensor {
        self.input(0)
    }

    /// The elements of an f32 operand.
    pub(super) fn f32(&self, index: usize, name: &str) -> Result<&'a [f32]> {
        let tensor = self.input(index);
        tensor
            .as_f32()
            .ok_or_else(|| self.wrong(format!("{name} must be F32, found {:?}", tensor.dtype())))
    }

    /// The extents of an operand of `RANK` dimensions.
    pub(super) fn extents<const RANK: usize>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<[usize; RANK]> {
        let shape = self.input(index).shape();
        shape.try_into().map_err(|_| {
            self.wrong(format!(
                "{name} must have {RANK} dimensions, found {shape:?}"
            ))
        })
    }

    /// The elements of an f32 operand of shape `[len]`.
    pub(super) fn vector(&self, index: usize, name: &str, len: usize) -> Result<&'a [f32]> {
        let shape = self.input(index).shape();
        if shape == [len] {
            self.f32(index, name)
        } else {
            Err(self.wrong(format!("{name} must be [{len}], found {shape:?}")))
        }
    }

    /// The extent of the first operand along `axis`.
    pub(super) fn extent_along(&self, axis: usize) -> Result<usize> {
        let shape = self.x().shape();
        shape.get(axis).copied().ok_or_else(|| {
            self.wrong(format!(
                "axis {axis} is outside of the dimensions {shape:?}"
            ))
        })
    }

    /// Number of elements of a result of `shape`, to be asked before allocating it.
    pub(super) fn len(&self, shape: &[usize]) -> Result<usize> {
        tensor::elements(shape).map_err(|error| match error {
            Error::Limit { found, limit, .. } => Error::Limit {
                what: format!(
                    "number of elements {shape:?} of node `{}` ({})",
                    self.node, self.op
                ),
                found,
                limit,
            },
            other => other,
        })
    }

    /// Refuses axes that do not ascend or are not below `rank`.
    pub(super) fn check_axes(&self, axes: &[usize], rank: usize) -> Result<()> {
        let ascending = axes.windows(2).all(|pair| pair[0] < pair[1]);
        if ascending && axes.last().is_none_or(|&last| last < rank) {
            return Ok(());
        }
        Err(self.wrong(format!(
            "axes must ascend and be below {rank}, found {axes:?}"
        )))
    }
}
