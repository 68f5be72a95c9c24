//! Nodes that are an affine step for each channel, and nodes that such a step can pass.

use crate::graph::{Binary, Dim, Graph, Node, Op, Operand, Reduce, ValueId};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// `y = scale * x + shift` for each channel, one number each.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    /// Factor of each channel.
    pub scale: Vec<f64>,
    /// Added to each channel after the factor.
    pub shift: Vec<f64>,
}

impl Affine {
    /// This step, then `next`.
    pub(super) fn then(&self, next: &Self) -> Self {
        let pairs = || {
            self.scale
                .iter()
                .zip(&self.shift)
                .zip(next.scale.iter().zip(&next.shift))
        };
        Self {
            scale: pairs().map(|((s, _), (s2, _))| s * s2).collect(),
            shift: pairs().map(|((_, t), (s2, t2))| t * s2 + t2).collect(),
        }
    }

    /// As the file holds it.
    pub(super) fn rounded(values: &[f64]) -> Vec<f32> {
        values.iter().map(|&value| value as f32).collect()
    }
}

/// The value that an affine node reads and what it does to each of its channels; none for others.
pub(super) fn affine(graph: &Graph, node: &Node) -> Result<Option<(ValueId, Affine)>> {
    match (&node.op, node.inputs.as_slice()) {
        (Op::BatchNorm { epsilon }, [Operand::Value(x), parameters @ ..]) => {
            let affine = batch_norm(graph, parameters, f64::from(*epsilon));
            affine
                .map(|affine| Some((*x, affine)))
                .map_err(|reason| Error::Unsupported {
                    node: node.name.clone(),
                    op: node.op.onnx_name().to_owned(),
                    reason,
                })
        }
        (Op::Binary(binary), [Operand::Value(x), Operand::Param(c)]) => {
            let Some(c) = per_channel(graph.tensor(*c), &graph.value(*x).fact.shape) else {
                return Ok(None);
            };
            let one = Affine {
                scale: vec![1.0; c.len()],
                shift: vec![0.0; c.len()],
            };
            let affine = match binary {
                Binary::Add => Affine { shift: c, ..one },
                Binary::Sub => Affine {
                    shift: c.iter().map(|c| -c).collect(),
                    ..one
                },
                Binary::Mul => Affine { scale: c, ..one },
                Binary::Div if !c.contains(&0.0) => Affine {
                    scale: c.iter().map(|c| 1.0 / c).collect(),
                    ..one
                },
                Binary::Div | Binary::Pow => return Ok(None),
            };
            Ok(Some((*x, affine)))
        }
        (Op::Binary(binary), [Operand::Param(c), Operand::Value(x)]) => {
            let Some(c) = per_channel(graph.tensor(*c), &graph.value(*x).fact.shape) else {
                return Ok(None);
            };
            let affine = match binary {
                Binary::Add => Affine {
                    scale: vec![1.0; c.len()],
                    shift: c,
                },
                Binary::Sub => Affine {
                    scale: vec![-1.0; c.len()],
                    shift: c,
                },
                Binary::Mul => Affine {
                    shift: vec![0.0; c.len()],
                    scale: c,
                },
                Binary::Div | Binary::Pow => return Ok(None),
            };
            Ok(Some((*x, affine)))
        }
        _ => Ok(None),
    }
}

/// `scale = gamma / sqrt(variance + epsilon)`, `shift = beta - mean * scale`.
fn batch_norm(graph: &Graph, parameters: &[Operand], epsilon: f64) -> Result<Affine, String> {
    let constants: Option<Vec<&[f32]>> = parameters
        .iter()
        .map(|&operand| graph.constant(operand)?.as_f32())
        .collect();
    let Some(&[gamma, beta, mean, variance]) = constants.as_deref() else {
        return Err("its four parameters must be constant".to_owned());
    };
    let mut affine = Affine {
        scale: Vec::new(),
        shift: Vec::new(),
    };
    for channel in 0..gamma.len() {
        let deviation = (f64::from(variance[channel]) + epsilon).sqrt();
        let scale = f64::from(gamma[channel]) / deviation;
        let shift = f64::from(beta[channel]) - f64::from(mean[channel]) * scale;
        if !((scale as f32).is_finite() && (shift as f32).is_finite()) {
            return Err(format!(
                "channel {channel} has variance {}, epsilon {epsilon}, gamma {}, beta {}, mean {}; \
                 wanted a positive variance and finite numbers",
                variance[channel], gamma[channel], beta[channel], mean[channel]
            ));
        }
        affine.scale.push(scale);
        affine.shift.push(shift);
    }
    Ok(affine)
}

/// A constant that is one number for each channel of a value of `shape`, or one for all. None for
/// others, and for one that would give the value more channels than it has.
fn per_channel(constant: &Tensor, shape: &[Dim]) -> Option<Vec<f64>> {
    let channels = shape.get(1)?.fixed()?;
    let offset = shape.len().checked_sub(constant.shape().len())?;
    let beside = constant
        .shape()
        .iter()
        .enumerate()
        .any(|(i, &n)| i + offset != 1 && n != 1);
    if beside {
        return None;
    }
    match constant.as_f32()? {
        [one] => Some(vec![f64::from(*one); channels]),
        many => (many.len() == channels).then(|| many.iter().map(|&c| f64::from(c)).collect()),
    }
}

/// Whether a node keeps channels apart, so that an affine step for each channel commutes with it.
pub(super) fn keeps_channels(graph: &Graph, node: &Node) -> bool {
    let &[Operand::Value(x)] = node.inputs.as_slice() else {
        return false;
    };
    let (from, to) = (
        &graph.value(x).fact.shape,
        &graph.value(node.outputs[0]).fact.shape,
    );
    match &node.op {
        Op::GlobalAveragePool => true,
        // Padding that counts as zeros would stay zero before the step, and not behind it.
        Op::AveragePool {
            pool,
            count_include_pad,
        } => !count_include_pad || (pool.pads == [0; 4] && !pool.ceil_mode),
        Op::Reduce {
            kind: Reduce::Mean,
            axes,
            ..
        } => axes.iter().all(|&axis| axis > 1),
        Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. } | Op::Unsqueeze { .. } => {
            from.len() >= 2 && to.len() >= 2 && from[..2] == to[..2]
        }
        _ => false,
    }
}
