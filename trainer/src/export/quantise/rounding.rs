//! Adaptive rounding of weights: the objective of `AdaRound` (Nagel et al. 2020), solved by coordinate
//! descent from nearest rounding.
//!
//! A row of a weight is rounded so that `(w_q - w)^T G (w_q - w)` is small, where `G` holds the second
//! moments of the layer's inputs. A weight moves only to its other neighbour, so few images suffice.

use std::thread;

use kernels::cpu::Cpu;
use network::graph::{Gemm, Op};
use network::tensor::Tensor;

use super::layer::WeightLayer;
use crate::Result;

/// Passes over a row.
const PASSES: usize = 6;

/// Added to the diagonal of the moments, relative to its mean: what few samples do not know.
const RIDGE: f32 = 0.02;

/// Inputs of a layer, one row each: `[each, samples]` for one group.
pub(super) struct Samples {
    pub(super) each: usize,
    pub(super) count: usize,
    pub(super) values: Vec<f32>,
}

/// What rounding did to a layer.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Rounded {
    /// Mean square that rounding to nearest adds to the layer's result.
    pub nearest: f64,
    /// The same for what was chosen.
    pub chosen: f64,
    /// Weights that are not the nearest.
    pub moved: usize,
}

/// Second moments of samples, `[each, each]`; central ones if the mean is corrected elsewhere.
pub(super) fn moments(cpu: &Cpu, mut samples: Samples, central: bool) -> Result<Vec<f32>> {
    let Samples { each, count, .. } = samples;
    for row in samples.values.chunks_exact_mut(count) {
        let mean = if central {
            row.iter().sum::<f32>() / count as f32
        } else {
            0.0
        };
        let norm = (count as f32).sqrt();
        row.iter_mut().for_each(|v| *v = (*v - mean) / norm);
    }
    let x = Tensor::f32([each, count], samples.values)?;
    let product = Op::Gemm(Gemm {
        alpha: 1.0,
        beta: 1.0,
        trans_a: false,
        trans_b: true,
    });
    let moments = cpu.eval("moments", &product, &[&x, &x])?;
    let mut moments = (moments[0].as_f32().expect("a product of f32 is f32")).to_vec();
    let diagonal: f32 = (0..each).map(|k| moments[k * each + k]).sum();
    for k in 0..each {
        moments[k * each + k] += RIDGE * diagonal / each as f32;
    }
    Ok(moments)
}

/// Rounds the rows of a weight that belong to one group, better than `quantised`, which is rounded to
/// nearest.
pub(super) fn improve(
    layer: &WeightLayer,
    weight: &[f32],
    scales: &[f32],
    rows: std::ops::Range<usize>,
    moments: &[f32],
    quantised: &mut [i8],
) -> Rounded {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let outputs: Vec<usize> = rows.collect();
    let share = outputs.len().div_ceil(threads).max(1);
    let found: Vec<(usize, Vec<i8>, Rounded)> = thread::scope(|scope| {
        let quantised = &*quantised;
        let workers: Vec<_> = (outputs.chunks(share))
            .map(|part| {
                scope.spawn(move || -> Vec<_> {
                    (part.iter())
                        .map(|&o| {
                            let mut row: Vec<i8> =
                                (0..layer.each).map(|k| quantised[layer.at(o, k)]).collect();
                            let rounded =
                                descend(&layer.row(weight, o), scales[o], moments, &mut row);
                            (o, row, rounded)
                        })
                        .collect()
                })
            })
            .collect();
        (workers.into_iter())
            .flat_map(|worker| worker.join().expect("rounding does not panic"))
            .collect()
    });
    let mut sum = Rounded {
        nearest: 0.0,
        chosen: 0.0,
        moved: 0,
    };
    for (o, row, rounded) in found {
        for (k, value) in row.into_iter().enumerate() {
            quantised[layer.at(o, k)] = value;
        }
        sum.nearest += rounded.nearest;
        sum.chosen += rounded.chosen;
        sum.moved += rounded.moved;
    }
    sum
}

/// One row.
fn descend(weight: &[f32], scale: f32, moments: &[f32], row: &mut [i8]) -> Rounded {
    let each = weight.len();
    let nearest = row.to_vec();
    let error: Vec<f32> = (weight.iter().zip(&*row))
        .map(|(w, &q)| f32::from(q) * scale - w)
        .collect();
    // Half the gradient.
    let mut slope = vec![0f32; each];
    for (k, &e) in error.iter().enumerate() {
        for (slope, g) in slope.iter_mut().zip(&moments[k * each..][..each]) {
            *slope += e * g;
        }
    }
    let cost = |error: &[f32], slope: &[f32]| -> f64 {
        (error.iter().zip(slope))
            .map(|(&e, &s)| f64::from(e) * f64::from(s))
            .sum()
    };
    let before = cost(&error, &slope);
    let mut error = error;
    for _ in 0..PASSES {
        let mut moved = false;
        for k in 0..each {
            // Towards the other neighbour.
            let step = if error[k] > 0.0 { -1i8 } else { 1 };
            let wanted = i16::from(row[k]) + i16::from(step);
            let change = f32::from(step) * scale;
            if wanted.abs() > 127 || (error[k] + change).abs() > scale {
                continue;
            }
            let gain = 2.0 * change * slope[k] + change * change * moments[k * each + k];
            if gain < 0.0 {
                row[k] = wanted as i8;
                error[k] += change;
                for (slope, g) in slope.iter_mut().zip(&moments[k * each..][..each]) {
                    *slope += change * g;
                }
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    Rounded {
        nearest: before,
        chosen: cost(&error, &slope),
        moved: nearest.iter().zip(&*row).filter(|(a, b)| a != b).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_cancel_where_inputs_go_together() {
        // Both inputs are always the same: only the sum of the weights matters.
        let moments = [1.0, 1.0, 1.0, 1.0];
        let weight = [0.4, 0.4];
        let mut row = [0, 0];
        let rounded = descend(&weight, 1.0, &moments, &mut row);
        assert_eq!(row.iter().sum::<i8>(), 1, "{row:?}");
        assert!((rounded.nearest - 0.64).abs() < 1e-6);
        assert!((rounded.chosen - 0.04).abs() < 1e-6);
        assert_eq!(rounded.moved, 1);
    }

    #[test]
    fn independent_inputs_keep_the_nearest() {
        let moments = [1.0, 0.0, 0.0, 1.0];
        let mut row = [0, 1];
        let rounded = descend(&[0.4, 0.6], 1.0, &moments, &mut row);
        assert_eq!((row, rounded.moved), ([0, 1], 0));
    }
}
