//! Mixed precision: as few float layers as a limit on the drop of mAP allows, and their cost.
//!
//! Layers stay float in order of [`super::sensitivity`]; bisection finds how many. Every tried
//! combination is quantised and evaluated on the whole data set, so the result has been measured
//! within the budget, and one float layer less has been measured outside of it.

use std::collections::BTreeSet;

use network::graph::{Graph, Op, Operand};
use network::tensor::DType;
use serde::{Deserialize, Serialize};

use super::Comparison;
use super::bootstrap::Interval;
use super::sensitivity::LayerSensitivity;
use crate::{Error, Result};

/// One combination that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BudgetTrial {
    /// How many of the most harmful layers stayed float.
    pub kept: usize,
    /// What mAP lost.
    pub map_drop: Interval,
}

/// The network with the fewest float layers within a budget.
#[derive(Debug, Clone, PartialEq)]
pub struct MixedPrecision {
    /// Layers that stay float, the most harmful first; none if quantising all of them is within the
    /// budget.
    pub kept: Vec<String>,
    /// Its comparison with the float network.
    pub comparison: Comparison,
    /// All that was tried, in that order.
    pub trials: Vec<BudgetTrial>,
}

/// Keeps as few of the layers float as `max_map_drop` allows. The drop itself decides, not its
/// interval: with few queries the interval is wide, and a budget below its width cannot be proven to
/// be kept. `evaluate` quantises all layers but those named, embeds the data set and compares.
///
/// # Errors
/// [`Error::Argument`] if the budget is no number from 0 to 1, if there are no layers, or if it takes
/// all of them to keep it; errors of `evaluate`.
pub fn fit_budget(
    ranked: &[LayerSensitivity],
    max_map_drop: f64,
    mut evaluate: impl FnMut(&[String]) -> Result<Comparison>,
) -> Result<MixedPrecision> {
    if !(0.0..=1.0).contains(&max_map_drop) || ranked.is_empty() {
        bail!(
            "a drop of mAP by {max_map_drop} at the most with {} layers, wanted 0 to 1 and at least \
             one layer",
            ranked.len()
        );
    }
    let layers: Vec<String> = ranked.iter().map(|harm| harm.layer.clone()).collect();
    let mut trials = Vec::new();
    let mut found = None;
    // Below `low` layers is known to be too few; `high` layers are known to do, or all of them.
    let (mut low, mut high) = (0, layers.len());
    let mut next = 0;
    while low < high {
        let comparison = evaluate(&layers[..next])?;
        let map_drop = comparison.map.drop;
        trials.push(BudgetTrial {
            kept: next,
            map_drop,
        });
        if map_drop.value <= max_map_drop {
            high = next;
            found = Some(comparison);
        } else {
            low = next + 1;
        }
        next = match found {
            Some(_) => low + (high - low) / 2,
            // Few layers do, if it helps at all: 1, 3, 7, 15... until it does.
            None => (2 * next + 1).min(layers.len() - 1),
        };
    }
    match found {
        Some(comparison) => Ok(MixedPrecision {
            kept: layers[..high].to_vec(),
            comparison,
            trials,
        }),
        None => {
            let [first, last] =
                [trials.first(), trials.last()].map(|trial| trial.expect("at least one was tried"));
            Err(Error::Argument(format!(
                "mAP may drop by {max_map_drop}, but drops by {:.4} (95 %: {:.4} to {:.4}) with {} of \
                 {} layers kept float, and by {:.4} with none: nothing would be left to quantise; \
                 allow more (--max-map-drop), or calibrate with more images",
                last.map_drop.value,
                last.map_drop.low,
                last.map_drop.high,
                last.kept,
                layers.len(),
                first.map_drop.value
            )))
        }
    }
}

/// Layers, operations and bytes of a network, and the float part of each. These are counts: times
/// depend on the device and are measured there (`reid bench`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrecisionCost {
    /// Convolutions and matrix products.
    pub layers: usize,
    /// Those of them whose weights are float.
    pub layers_float: usize,
    /// Multiply-accumulates of all of them for one crop.
    pub macs: u64,
    /// Multiply-accumulates of those whose weights are float.
    pub macs_float: u64,
    /// Bytes of all parameters: weights, biases, scales, tables.
    pub bytes: u64,
    /// Bytes of the float weights among them.
    pub bytes_float: u64,
}

impl PrecisionCost {
    /// Counts a float network or one with quantise and dequantise nodes.
    #[must_use]
    pub fn of(graph: &Graph) -> Self {
        let mut price = Self {
            bytes: graph.params().iter().map(|p| bytes(&p.tensor)).sum(),
            ..Self::default()
        };
        // A weight that several nodes use is carried once.
        let mut carried = BTreeSet::new();
        for node in graph.nodes() {
            if !matches!(node.op, Op::Conv(_) | Op::Gemm(_) | Op::MatMul) {
                continue;
            }
            let macs = graph.macs(node);
            price.layers += 1;
            price.macs = price.macs.saturating_add(macs);
            match node.inputs[1] {
                Operand::Value(weight) if dequantised(graph, weight) => {}
                weight => {
                    price.layers_float += 1;
                    price.macs_float = price.macs_float.saturating_add(macs);
                    if let Operand::Param(id) = weight
                        && carried.insert(id)
                    {
                        price.bytes_float += bytes(graph.tensor(id));
                    }
                }
            }
        }
        price
    }

    /// Share of the multiply-accumulates that stay float, 0 to 1.
    #[must_use]
    pub fn share_float(&self) -> f64 {
        self.macs_float as f64 / self.macs.max(1) as f64
    }
}

/// Whether a value comes from a dequantise node that reads a parameter.
fn dequantised(graph: &Graph, value: network::graph::ValueId) -> bool {
    graph.producer(value).is_some_and(|at| {
        let node = &graph.nodes()[at];
        matches!(node.op, Op::DequantizeLinear { .. })
            && matches!(node.inputs[0], Operand::Param(_))
    })
}

fn bytes(tensor: &network::tensor::Tensor) -> u64 {
    let each = match tensor.dtype() {
        DType::F32 | DType::I32 => 4,
        DType::I64 => 8,
        DType::I8 | DType::U8 => 1,
    };
    tensor.len() as u64 * each
}

#[cfg(test)]
mod tests {
    use network::graph::Conv;
    use network::tensor::{Data, Tensor};

    use super::*;
    use crate::accuracy::tests::comparison_with_drop;

    fn ranked(count: usize) -> Vec<LayerSensitivity> {
        (0..count)
            .map(|at| LayerSensitivity {
                layer: format!("layer{at}"),
                loss: 1.0 / (at + 1) as f64,
                cosine_min: 0.0,
                map_drop: 0.0,
            })
            .collect()
    }

    #[test]
    fn exactly_the_layers_that_are_needed_stay_float() {
        struct Case(&'static str, usize, f64, usize);
        let cases = [
            Case("all quantised is within", 20, 0.2, 0),
            Case("one", 20, 0.19, 1),
            Case("seven", 20, 0.13, 7),
            Case("all but one", 20, 0.01, 19),
            Case("of one layer none", 1, 0.01, 0),
            Case("of hundreds", 200, 1.0, 100),
        ];
        for Case(name, layers, budget, wanted) in cases {
            // Each of the layers that are quantised costs 0.01 of mAP.
            let mut tried = Vec::new();
            let found = fit_budget(&ranked(layers), budget, |kept| {
                tried.push(kept.len());
                let drop = (layers - kept.len()) as f64 * 0.01;
                Ok(comparison_with_drop(drop - 1e-9))
            })
            .expect(name);
            let names: Vec<String> = (0..wanted).map(|at| format!("layer{at}")).collect();
            assert_eq!(found.kept, names, "{name}");
            assert!(found.comparison.map.drop.value <= budget, "{name}");
            assert!(
                wanted == 0 || tried.contains(&(wanted - 1)),
                "{name}: {tried:?}"
            );
            let trials: Vec<usize> = found.trials.iter().map(|trial| trial.kept).collect();
            assert_eq!(trials, tried, "{name}");
            let distinct: BTreeSet<_> = tried.iter().collect();
            assert_eq!(distinct.len(), tried.len(), "{name}: {tried:?}");
        }
    }

    #[test]
    fn a_budget_out_of_reach_is_refused_with_what_was_found() {
        let error = fit_budget(&ranked(8), 0.001, |_| Ok(comparison_with_drop(0.25))).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("drops by 0.2500") && error.contains("7 of 8 layers"),
            "{error}"
        );
        for (layers, budget) in [(0, 0.1), (3, -0.1), (3, f64::NAN), (3, 1.1)] {
            let evaluate = |_: &[String]| panic!("nothing is tried");
            assert!(fit_budget(&ranked(layers), budget, evaluate).is_err());
        }
        let broken = |_: &[String]| Err(Error::Argument("broken".to_owned()));
        assert!(fit_budget(&ranked(3), 0.1, broken).is_err());
    }

    #[test]
    fn the_price_of_a_mixture_by_hand() {
        let mut graph = Graph::new("net", "x", [3, 8, 4]);
        let pointwise = || Op::Conv(Conv::pointwise());
        // Float: 5 x 3 weights over 8 x 4.
        let weight = graph.param("w", Tensor::zeros([5, 3, 1, 1]).unwrap());
        let x = graph
            .push1("float", pointwise(), [graph.input().into(), weight.into()])
            .unwrap();
        // Quantised: 2 x 5 weights, their two scales.
        let weight = Tensor::new([2, 5, 1, 1], Data::I8(vec![1; 10])).unwrap();
        let weight = graph.param("q", weight);
        let scale = graph.param("s", Tensor::f32([2], vec![0.5; 2]).unwrap());
        let dequantise = Op::DequantizeLinear { axis: 0 };
        let weight = graph
            .push1("dq", dequantise, [weight.into(), scale.into()])
            .unwrap();
        graph
            .push1("int8", pointwise(), [x.into(), weight.into()])
            .unwrap();
        let wanted = PrecisionCost {
            layers: 2,
            layers_float: 1,
            macs: 5 * 32 * 3 + 2 * 32 * 5,
            macs_float: 5 * 32 * 3,
            bytes: 60 + 10 + 8,
            bytes_float: 60,
        };
        let found = PrecisionCost::of(&graph);
        assert_eq!(found, wanted);
        assert_eq!(found.share_float(), 0.6);
    }
}
