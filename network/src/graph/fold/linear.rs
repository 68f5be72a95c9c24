//! Layers that an affine step can be multiplied into.

use super::Affine;
use crate::graph::{Graph, Node, Op, Operand};

/// A `Conv`, `Gemm` or product with constant weights: what a step can be multiplied into.
pub(super) struct Linear {
    /// In the order of the file, with alpha multiplied in.
    pub(super) weight: Vec<f64>,
    pub(super) shape: Vec<usize>,
    /// One for each output channel, with beta multiplied in.
    pub(super) bias: Vec<f64>,
    pub(super) matrix: Matrix,
    /// Whether it reads zeros that stand for no input.
    pub(super) padded: bool,
}

/// Where a weight's element stands in the matrix from input to output channels.
#[derive(Clone, Copy)]
pub(super) enum Matrix {
    Conv { groups: usize },
    Gemm { trans_b: bool },
}

impl Linear {
    pub(super) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let (matrix, alpha, beta, padded) = match &node.op {
            Op::Conv(conv) => (
                Matrix::Conv {
                    groups: conv.groups,
                },
                1.0,
                1.0,
                conv.pads != [0; 4],
            ),
            Op::Gemm(gemm) if !gemm.trans_a => {
                let matrix = Matrix::Gemm {
                    trans_b: gemm.trans_b,
                };
                (matrix, f64::from(gemm.alpha), f64::from(gemm.beta), false)
            }
            Op::MatMul if graph.fact(node.inputs[0]).shape.len() == 2 => {
                (Matrix::Gemm { trans_b: false }, 1.0, 1.0, false)
            }
            _ => return None,
        };
        let Operand::Value(_) = node.inputs[0] else {
            return None;
        };
        let weight = graph.constant(node.inputs[1])?;
        let shape = weight.shape().to_vec();
        let outputs = match matrix {
            Matrix::Conv { .. } | Matrix::Gemm { trans_b: true } => shape[0],
            Matrix::Gemm { trans_b: false } => *shape.get(1).filter(|_| shape.len() == 2)?,
        };
        let bias = match node.inputs.get(2) {
            None => vec![0.0; outputs],
            Some(&bias) => {
                let bias = graph.constant(bias)?;
                match bias.as_f32()? {
                    [one] => vec![f64::from(*one) * beta; outputs],
                    // A column, or a matrix, is no bias of the output channels.
                    many if bias.shape().last() == Some(&outputs) => {
                        many.iter().map(|&b| f64::from(b) * beta).collect()
                    }
                    _ => return None,
                }
            }
        };
        let weight = weight
            .as_f32()?
            .iter()
            .map(|&w| f64::from(w) * alpha)
            .collect();
        (bias.len() == outputs).then_some(Self {
            weight,
            shape,
            bias,
            matrix,
            padded,
        })
    }

    /// Whether weight and bias can be rounded to f32.
    pub(super) fn is_finite(&self) -> bool {
        let mut values = self.weight.iter().chain(&self.bias);
        values.all(|&value| (value as f32).is_finite())
    }

    /// Output and input channel of the weight's element `i`.
    fn channels(&self, i: usize) -> (usize, usize) {
        match (self.matrix, self.shape.as_slice()) {
            (Matrix::Conv { groups }, &[outputs, per_group, kh, kw]) => {
                let taps = kh * kw;
                let output = i / (per_group * taps);
                let group = output / (outputs / groups);
                (output, group * per_group + i / taps % per_group)
            }
            (Matrix::Gemm { trans_b: true }, shape) => (i / shape[1], i % shape[1]),
            (_, shape) => (i % shape[1], i / shape[1]),
        }
    }

    /// The layer followed by `step`.
    pub(super) fn scale_rows(mut self, step: &Affine) -> Self {
        for i in 0..self.weight.len() {
            let (output, _) = self.channels(i);
            self.weight[i] *= step.scale[output];
        }
        for (o, bias) in self.bias.iter_mut().enumerate() {
            *bias = *bias * step.scale[o] + step.shift[o];
        }
        self
    }

    /// The layer after `step`.
    pub(super) fn scale_columns(mut self, step: &Affine) -> Self {
        for i in 0..self.weight.len() {
            let (output, input) = self.channels(i);
            self.bias[output] += self.weight[i] * step.shift[input];
            self.weight[i] *= step.scale[input];
        }
        self
    }
}
