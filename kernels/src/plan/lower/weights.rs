//! Filters in integers, as the file has them.

use std::borrow::Cow;

use super::Lowering;
use crate::plan::derive::conv::{Bias, Filters};
use network::graph::{Node, Op, Operand};
use network::tensor::{Data, Tensor};

impl Lowering<'_> {
    /// The filters of a convolution or matrix product, with the height and width of its kernel.
    /// None unless its weights are s8 of -127 to 127, dequantised with one scale each output channel
    /// (or one for all) and no zero point.
    pub(super) fn filters(&self, node: &Node) -> Option<(Filters, [usize; 2])> {
        let (raw, scale) =
            self.dequantised_constant(*node.inputs.get(1)?, output_axis(&node.op))?;
        let Data::I8(values) = raw.data() else {
            return None;
        };
        if values.contains(&i8::MIN) {
            return None;
        }
        let (channels, taps, kernel) = match (&node.op, raw.shape()) {
            (Op::Conv(_), &[o, c, kh, kw]) => (o, [kh * kw, c], [kh, kw]),
            (Op::Gemm(gemm), &[m, k]) if gemm.trans_b => (m, [1, k], [1, 1]),
            (Op::Gemm(_), &[k, m]) => (m, [1, k], [1, 1]),
            _ => return None,
        };
        let [pixels, inputs] = taps;
        let transposed = matches!(&node.op, Op::Gemm(gemm) if !gemm.trans_b);
        let at = |o: usize, pixel: usize, c: usize| match transposed {
            true => values[c * channels + o],
            false => values[(o * inputs + c) * pixels + pixel],
        };
        let weight = (0..channels)
            .flat_map(|o| {
                (0..pixels).flat_map(move |pixel| (0..inputs).map(move |c| (o, pixel, c)))
            })
            .map(|(o, pixel, c)| at(o, pixel, c))
            .collect();
        let scale = spread(scale, channels)?;
        let usable = scale.iter().all(|scale| scale.is_normal() && *scale > 0.0);
        let bias = match node.inputs.get(2) {
            None => Bias::Float(vec![0.0; channels]),
            Some(&operand) => self.bias(operand, channels)?,
        };
        (usable && channels > 0 && pixels * inputs > 0).then_some((
            Filters {
                weight,
                scale,
                bias,
            },
            kernel,
        ))
    }

    fn bias(&self, operand: Operand, channels: usize) -> Option<Bias> {
        if let Some((raw, scale)) = self.dequantised_constant(operand, 0)
            && let Data::I32(steps) = raw.data()
        {
            let whole = steps.len() == channels;
            return Some(Bias::Steps(steps.clone(), spread(scale, channels)?)).filter(|_| whole);
        }
        if !self.is_constant(operand) {
            return None;
        }
        let bias = self.constant(operand).ok()?;
        let bias = bias.as_f32()?;
        (bias.len() == channels).then(|| Bias::Float(bias.to_vec()))
    }

    /// The integers and scales that a constant is dequantised from, several scales along `axis`, with zero
    /// points of 0.
    fn dequantised_constant(
        &self,
        operand: Operand,
        axis: usize,
    ) -> Option<(Cow<'_, Tensor>, Vec<f32>)> {
        let Operand::Value(value) = operand else {
            return None;
        };
        let node = &self.graph.nodes()[self.known[value.index()].weights?];
        let Op::DequantizeLinear { axis: along } = node.op else {
            return None;
        };
        let scale = self.constant(node.inputs[1]).ok()?;
        let scale = scale.as_f32()?.to_vec();
        if scale.len() > 1 && along != axis {
            return None;
        }
        let zero = match node.inputs.get(2) {
            None => true,
            Some(&zero_point) => match self.constant(zero_point).ok()?.data() {
                Data::I8(z) => z.iter().all(|&z| z == 0),
                Data::I32(z) => z.iter().all(|&z| z == 0),
                _ => false,
            },
        };
        zero.then_some((self.constant(node.inputs[0]).ok()?, scale))
    }
}

/// Dimension of a weight that its output channels run along.
fn output_axis(op: &Op) -> usize {
    match op {
        Op::Gemm(gemm) if !gemm.trans_b => 1,
        _ => 0,
    }
}

/// One scale for each channel.
fn spread(scale: Vec<f32>, channels: usize) -> Option<Vec<f32>> {
    match scale.len() {
        1 => Some(vec![scale[0]; channels]),
        len => (len == channels).then_some(scale),
    }
}
