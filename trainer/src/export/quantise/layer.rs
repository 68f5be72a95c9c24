//! Quantised weights and biases of one layer.
//!
//! `y = x * w + b` becomes `acc = (x - z) * w_q + b_q`, `y = acc * s_x * s_w[o]`. The requantisation
//! factor `s_x * s_w[o] / s_y` has to be in `[2^-15, 1)`, so near-zero rows of a weight get a larger
//! scale ([`WeightLayer::scales`]), and so do results that are finer than one accumulator step
//! ([`WeightLayer::coarsest`]).

use network::graph::{Graph, Node, Op, Operand, ParamId};
use network::tensor::{Data, Tensor};

use crate::Result;

/// The least factor from accumulator to byte, with a margin for the rounding of scales to f32.
const LEAST_FACTOR: f64 = 1.001 / 32_768.0;

/// The most that a bias may fill of an accumulator of 31 bits.
const BIAS_LIMIT: f64 = (1u64 << 29) as f64;

/// The most that the multiplier of a residual may be: with 255 steps it stays in 29 bits.
const RESIDUAL_LIMIT: f64 = (1u64 << 21) as f64;

/// Shares of the whole range of a row that are tried: cutting its largest weights may round the
/// others better.
const CUTS: [f64; 6] = [1.0, 0.96, 0.92, 0.88, 0.84, 0.8];

/// The weight of a convolution or matrix product as rows: one for each output channel.
#[derive(Debug, Clone)]
pub(super) struct WeightLayer {
    pub(super) weight: ParamId,
    pub(super) bias: Option<ParamId>,
    pub(super) shape: Vec<usize>,
    /// Output channels.
    pub(super) outputs: usize,
    /// Weights of each.
    pub(super) each: usize,
    /// Groups of a convolution, else 1.
    pub(super) groups: usize,
    /// Dimension of the weight that runs over output channels.
    pub(super) axis: usize,
}

impl WeightLayer {
    /// The layer that a node is; none for others.
    pub(super) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let (&Operand::Value(_), &Operand::Param(weight)) =
            (node.inputs.first()?, node.inputs.get(1)?)
        else {
            return None;
        };
        let bias = match node.inputs.get(2) {
            None => None,
            Some(&Operand::Param(bias)) => Some(bias),
            Some(Operand::Value(_)) => return None,
        };
        let shape = graph.tensor(weight).shape().to_vec();
        let (axis, groups) = match &node.op {
            Op::Conv(conv) => (0, conv.groups),
            Op::Gemm(gemm) => (usize::from(!gemm.trans_b), 1),
            _ => return None,
        };
        graph.tensor(weight).as_f32()?;
        let outputs = shape[axis];
        Some(Self {
            weight,
            bias,
            outputs,
            each: shape.iter().product::<usize>() / outputs.max(1),
            groups,
            axis,
            shape,
        })
    }

    /// Where weight `k` of output `o` stands.
    pub(super) fn at(&self, o: usize, k: usize) -> usize {
        if self.axis == 0 {
            o * self.each + k
        } else {
            k * self.outputs + o
        }
    }

    /// Input channel that weight `k` of output `o` reads.
    pub(super) fn input(&self, o: usize, k: usize) -> usize {
        let taps: usize = self.shape.get(2..).unwrap_or(&[]).iter().product();
        let per_group = self.each / taps;
        let group = o / (self.outputs / self.groups);
        group * per_group + k / taps
    }

    /// A row of a weight.
    pub(super) fn row(&self, weight: &[f32], o: usize) -> Vec<f32> {
        (0..self.each).map(|k| weight[self.at(o, k)]).collect()
    }

    /// Scale of each row for an input scale and a result scale, and the scale of what is added in the
    /// accumulator.
    pub(super) fn scales(
        &self,
        weight: &[f32],
        bias: &[f32],
        [s_x, s_y]: [f32; 2],
        residual: Option<f32>,
    ) -> Vec<f32> {
        let (s_x, s_y) = (f64::from(s_x), f64::from(s_y));
        let least = LEAST_FACTOR * s_y / s_x;
        let least = least.max(residual.map_or(0.0, |s| f64::from(s) / (s_x * RESIDUAL_LIMIT)));
        (0..self.outputs)
            .map(|o| {
                let row = self.row(weight, o);
                let whole = row.iter().fold(0f32, |most, w| most.max(w.abs()));
                let whole = f64::from(whole) / 127.0;
                let of_bias = f64::from(bias[o].abs()) / (s_x * BIAS_LIMIT);
                let error = |scale: f64| -> f64 {
                    row.iter()
                        .map(|&w| (f64::from(w) - round(w, scale) * scale).powi(2))
                        .sum()
                };
                let best = CUTS
                    .map(|cut| cut * whole)
                    .into_iter()
                    .filter(|&scale| scale > 0.0)
                    .map(|scale| (error(scale), scale))
                    .min_by(|a, b| a.0.total_cmp(&b.0))
                    .map_or(0.0, |(_, scale)| scale);
                best.max(least).max(of_bias) as f32
            })
            .collect()
    }

    /// The finest scale of a result: one step of the coarsest accumulator.
    pub(super) fn coarsest(&self, weight: &[f32], s_x: f32) -> f32 {
        let most = weight.iter().fold(0f32, |most, w| most.max(w.abs()));
        // `CUTS` make it smaller yet.
        1.001 * s_x * most / 127.0
    }

    /// The weight in steps of `scales`, rounded to nearest.
    pub(super) fn quantised(&self, weight: &[f32], scales: &[f32]) -> Vec<i8> {
        let mut quantised = vec![0; weight.len()];
        for (o, &scale) in scales.iter().enumerate() {
            for k in 0..self.each {
                let at = self.at(o, k);
                quantised[at] = round(weight[at], f64::from(scale)) as i8;
            }
        }
        quantised
    }

    /// The tensor of a quantised weight.
    pub(super) fn tensor(&self, quantised: Vec<i8>) -> Result<Tensor> {
        Ok(Tensor::new(self.shape.clone(), Data::I8(quantised))?)
    }
}

/// `w` in steps of `scale`, from -127 to 127.
fn round(w: f32, scale: f64) -> f64 {
    (f64::from(w) / scale)
        .round_ties_even()
        .clamp(-127.0, 127.0)
}

/// A bias in steps of `scales`.
pub(super) fn quantised_bias(bias: &[f64], scales: &[f32]) -> Vec<i32> {
    (bias.iter().zip(scales))
        .map(|(&b, &scale)| {
            let steps = (b / f64::from(scale)).round_ties_even();
            // Twice the limit: a correction may follow what the scales were made for.
            steps.clamp(-2.0 * BIAS_LIMIT, 2.0 * BIAS_LIMIT) as i32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::graph::Conv;

    fn layer(weight: &[f32], outputs: usize) -> WeightLayer {
        let each = weight.len() / outputs;
        let mut graph = Graph::new("g", "x", [each, 2, 2]);
        let weight = Tensor::f32([outputs, each, 1, 1], weight).unwrap();
        let weight = graph.param("w", weight);
        let inputs = [graph.input().into(), weight.into()];
        graph
            .push1("conv", Op::Conv(Conv::pointwise()), inputs)
            .unwrap();
        WeightLayer::of(&graph, &graph.nodes()[0]).unwrap()
    }

    #[test]
    fn every_factor_is_one_that_executors_take() {
        // A row as usual, one that is all but zero, a dead one, and a dead one with a bias.
        let weight = [0.5, -0.25, 1e-12, -1e-13, 0.0, 0.0, 0.0, 0.0];
        let bias = [0.1, 0.0, 0.0, 3.0];
        let layer = layer(&weight, 4);
        for [s_x, s_y] in [[0.02, 0.05], [1.0, 1e-4], [1e-4, 10.0]] {
            let s_y = f32::max(s_y, layer.coarsest(&weight, s_x));
            let scales = layer.scales(&weight, &bias, [s_x, s_y], Some(0.1));
            for &s_w in &scales {
                let factor = f64::from(s_x) * f64::from(s_w) / f64::from(s_y);
                assert!(s_w.is_normal() && factor > 1.0 / 32_768.0, "{factor}");
                assert!(factor < 1.0 || s_y < 1e-3, "{factor}");
            }
            let steps: Vec<f32> = scales.iter().map(|s_w| s_x * s_w).collect();
            let wide: Vec<f64> = bias.iter().map(|&b| f64::from(b)).collect();
            for (steps, (&q, b)) in steps
                .iter()
                .zip(quantised_bias(&wide, &steps).iter().zip(wide))
            {
                let off = (f64::from(q) * f64::from(*steps) - b).abs();
                assert!(off <= 0.51 * f64::from(*steps), "{off} of {steps}");
                assert!(q.abs() < 1 << 30);
            }
        }
    }

    #[test]
    fn rows_are_rounded_within_their_scale() {
        let weight = [0.5, -0.25, 0.125, 3.0, -2.0, 0.1];
        let layer = layer(&weight, 2);
        let scales = layer.scales(&weight, &[0.0; 2], [0.01, 0.1], None);
        let quantised = layer.quantised(&weight, &scales);
        for (i, (&w, &q)) in weight.iter().zip(&quantised).enumerate() {
            let scale = scales[i / 3];
            assert!(
                (f32::from(q) * scale - w).abs() <= 0.5 * scale + 0.2 * w.abs(),
                "{i}"
            );
        }
        assert!(quantised.iter().all(|q| *q >= -127));
    }
}
