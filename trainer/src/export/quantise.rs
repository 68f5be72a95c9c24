//! Post-training quantisation: a folded float [`Graph`] and calibration images in, a QDQ graph out.
//!
//! 1. `sites`: which values are quantised, and which of them share a scale;
//! 2. `equalise`: cross-layer equalisation of channels;
//! 3. `histogram`, `observe`: the distribution of each value, in one pass and bounded memory;
//! 4. `range`: the quantisation range of each value, by one method or the best of several;
//! 5. `layer`, `insert`: integer weights and biases, and the graph with its Q/DQ nodes;
//! 6. `tune`: adaptive rounding and bias correction, layer by layer.
//!
//! Steps 1 to 4 make a [`Calibrated`], which can be quantised several times with other float layers.

mod equalise;
mod histogram;
mod insert;
mod layer;
mod observe;
mod range;
mod rounding;
mod sites;
mod tune;

use std::collections::BTreeSet;

use kernels::cpu::Cpu;
use network::graph::{Graph, ValueId};
use network::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use network::metadata::{QdqLayout, Scheme};

pub use self::equalise::Equalised;
pub use self::histogram::Bins;
pub use self::range::QuantParams;
pub use self::rounding::Rounded;

use self::histogram::Histogram;
use self::insert::insert;
use self::layer::WeightLayer;
use self::sites::Sites;
use crate::Result;

/// Bins of a histogram in the record.
const RECORDED_BINS: usize = 64;

/// Calibration method. After a global pooling the range is 1.5 times the observed one, with any
/// method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// For each value the method with the least error in the layers that read it.
    #[default]
    Best,
    /// Minimum and maximum.
    MinMax,
    /// 99.99 % of the values.
    Percentile,
    /// Least mean square error.
    Mse,
    /// Least Kullback-Leibler divergence.
    Kl,
}

impl std::fmt::Display for Calibration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Best => "best",
            Self::MinMax => "min-max",
            Self::Percentile => "percentile",
            Self::Mse => "mse",
            Self::Kl => "kl",
        })
    }
}

/// How weights are rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// To the nearest integer.
    Nearest,
    /// Up or down, so that errors cancel on real input.
    #[default]
    Adaptive,
}

/// Options of quantisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuantiseOptions {
    /// Where residuals are added.
    pub layout: QdqLayout,
    /// Quantised type of activations.
    pub scheme: Scheme,
    /// How ranges are found.
    pub calibration: Calibration,
    /// Whether channels are equalised first.
    pub equalise: bool,
    /// Whether biases are corrected by the shift that rounding causes in channel means.
    pub bias_correction: bool,
    /// How weights are rounded.
    pub rounding: Rounding,
    /// Nodes that stay float, by name.
    pub keep_float: BTreeSet<String>,
    /// The only layer to quantise, by name, for the sensitivity of layers.
    pub only: Option<String>,
}

impl Default for QuantiseOptions {
    fn default() -> Self {
        Self {
            layout: QdqLayout::default(),
            scheme: Scheme::default(),
            calibration: Calibration::default(),
            equalise: true,
            bias_correction: true,
            rounding: Rounding::default(),
            keep_float: BTreeSet::new(),
            only: None,
        }
    }
}

/// Images to calibrate on.
pub struct Images<'a> {
    /// How many there are.
    pub count: usize,
    /// Reads an image as the network reads it, f32 `[1, 3, height, width]`; called several times for
    /// each.
    pub read: &'a mut dyn FnMut(usize) -> Result<Tensor>,
    /// The name of an image in errors.
    pub name: &'a dyn Fn(usize) -> String,
    /// Least and greatest number that the pre-processing makes of a pixel.
    pub range: [f32; 2],
}

/// Receives progress events.
pub struct Progress<'a>(pub Option<&'a mut dyn FnMut(Stage)>);

/// An event of [`Progress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A stage begins: its name and number of steps.
    Begin(&'static str, usize),
    /// So many steps are done.
    Step(usize),
}

impl Progress<'_> {
    fn begin(&mut self, what: &'static str, steps: usize) {
        if let Some(on_stage) = &mut self.0 {
            on_stage(Stage::Begin(what, steps));
        }
    }

    fn step(&mut self, steps: usize) {
        if let Some(on_stage) = &mut self.0 {
            on_stage(Stage::Step(steps));
        }
    }
}

/// A calibrated network; see the [module](self).
#[derive(Debug, Clone)]
pub struct Calibrated {
    /// The float network, equalised.
    graph: Graph,
    options: QuantiseOptions,
    histograms: Vec<Histogram>,
    /// For each group, by its first value: the chosen method and its parameters.
    chosen: Vec<(usize, &'static str, QuantParams)>,
    equalised: Vec<Equalised>,
    /// A few images for the tuning.
    batch: Tensor,
}

/// A quantised network and the record of its quantisation.
#[derive(Debug, Clone)]
pub struct Quantised {
    /// With `QuantizeLinear` and `DequantizeLinear`.
    pub graph: Graph,
    /// The record.
    pub record: QuantisationRecord,
}

/// Record of a quantisation, for the report.
#[derive(Debug, Clone, Serialize)]
pub struct QuantisationRecord {
    /// The options.
    pub options: QuantiseOptions,
    /// Each scale, in the order of the network.
    pub values: Vec<ValueRecord>,
    /// Each quantised layer, in the order of the network.
    pub layers: Vec<LayerRecord>,
    /// Groups of layers whose channels were equalised.
    pub equalised: Vec<Equalised>,
    /// Layers that stayed float.
    pub float: Vec<String>,
}

/// One scale, and the values that share it.
#[derive(Debug, Clone, Serialize)]
pub struct ValueRecord {
    /// Names of the values; the first is the scale's.
    pub names: Vec<String>,
    /// Calibration method of the range.
    pub method: &'static str,
    /// Scale and zero point.
    pub params: QuantParams,
    /// Observed minimum and maximum.
    pub seen: [f32; 2],
    /// Share of the values that are clipped, 0 to 1.
    pub cut: f64,
    /// Mean square error of rounding and clipping.
    pub mse: f64,
    /// The same relative to the mean square of the values.
    pub noise: f64,
    /// The distribution.
    pub histogram: Bins,
}

/// One quantised layer.
#[derive(Debug, Clone, Serialize)]
pub struct LayerRecord {
    /// Name of the node.
    pub name: String,
    /// Its operator.
    pub op: &'static str,
    /// Weights.
    pub weights: usize,
    /// The value it reads, and the one that its result is rounded as.
    pub between: [String; 2],
    /// Power of the rounding of its weight, relative to that of the weight.
    pub noise: f64,
    /// What adaptive rounding did.
    pub rounded: Option<Rounded>,
    /// Greatest correction of its bias, relative to the size of its results.
    pub bias_correction: Option<f64>,
}

/// Calibrates and quantises a network.
///
/// # Errors
/// As [`calibrate`] and [`Calibrated::quantise`].
pub fn quantise(
    graph: &Graph,
    images: &mut Images<'_>,
    options: &QuantiseOptions,
    progress: &mut Progress<'_>,
) -> Result<Quantised> {
    calibrate(graph, images, options, progress)?.quantise(options, progress)
}

/// Calibrates a network on images.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) without images, if all of them are of one colour, if a value is no number
/// (with its name and the image), or if [`QuantiseOptions::keep_float`] names a node that is not there; errors of
/// reading an image.
pub fn calibrate(
    graph: &Graph,
    images: &mut Images<'_>,
    options: &QuantiseOptions,
    progress: &mut Progress<'_>,
) -> Result<Calibrated> {
    ensure!(
        images.count != 0,
        "there are no images to calibrate on: use some hundred crops of persons as in production"
    );
    super::check_finite(graph)?;
    let cpu = &Cpu::new(0);
    let sites = Sites::of(graph, options.layout, &options.keep_float)?;
    let (graph, equalised) = if options.equalise {
        let channels = observe::channels(cpu, graph, images, progress)?;
        equalise::equalise(graph, &sites, &channels)?
    } else {
        (graph.clone(), Vec::new())
    };
    // Values of both layouts are measured, so that one calibration serves both.
    let mut measured: Vec<bool> = sites.group_of.iter().map(Option::is_some).collect();
    for layout in [QdqLayout::Fused, QdqLayout::Ort] {
        for (measured, group) in measured
            .iter_mut()
            .zip(Sites::of(&graph, layout, &BTreeSet::new())?.group_of)
        {
            *measured |= group.is_some();
        }
    }
    let mut histograms = observe::histograms(cpu, &graph, &measured, images, progress)?;
    // The range covers every pixel value, also those that no calibration image has.
    histograms[graph.input().index()].add(&images.range);

    let candidates: Vec<_> = (sites.groups.iter())
        .map(|values| {
            let histogram = merged(&histograms, values);
            candidates(
                &graph,
                values,
                &histogram,
                options.calibration,
                options.scheme,
            )
        })
        .collect();
    let errors = if options.calibration == Calibration::Best {
        observe::candidate_errors(cpu, &graph, &sites, &candidates, images, progress)?
    } else {
        candidates.iter().map(|of| vec![0.0; of.len()]).collect()
    };
    let chosen = (sites.groups.iter().zip(candidates).zip(errors))
        .map(|((values, candidates), errors)| {
            let best = (errors.iter().zip(candidates))
                .min_by(|a, b| a.0.total_cmp(b.0))
                .expect("each method has a candidate");
            (values[0].index(), best.1.0, best.1.1)
        })
        .collect();
    let batch = batch(&graph, images)?;
    Ok(Calibrated {
        graph,
        options: options.clone(),
        histograms,
        chosen,
        equalised,
        batch,
    })
}

impl Calibrated {
    /// The float network that is quantised, equalised if requested.
    #[must_use]
    pub fn float(&self) -> &Graph {
        &self.graph
    }

    /// Names of the layers that can be quantised, in the order of the network.
    ///
    /// # Errors
    /// As [`Calibrated::quantise`].
    pub fn layers(&self) -> Result<Vec<String>> {
        let sites = Sites::of(&self.graph, self.options.layout, &BTreeSet::new())?;
        let nodes = self.graph.nodes().iter().zip(&sites.roles);
        Ok(nodes
            .filter(|(_, role)| **role == sites::NodeRole::Layer)
            .map(|(node, _)| node.name.clone())
            .collect())
    }

    /// Quantises the network. `options` may differ from those of the calibration in what is tuned and
    /// what is kept float; ranges that were chosen for other groups of values are then chosen by least
    /// mean square error.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if [`QuantiseOptions::keep_float`] or [`QuantiseOptions::only`] names a node that is not
    /// there or no layer.
    pub fn quantise(
        &self,
        options: &QuantiseOptions,
        progress: &mut Progress<'_>,
    ) -> Result<Quantised> {
        let graph = &self.graph;
        let cpu = &Cpu::new(0);
        let sites = Sites::of(graph, options.layout, &options.keep_float)?;
        if let Some(only) = &options.only
            && !self.layers()?.contains(only)
        {
            bail!("`{only}` is no layer that can be quantised alone");
        }
        let mut methods = Vec::new();
        let mut params = Vec::new();
        let mut seen = Vec::new();
        for values in &sites.groups {
            let histogram = merged(&self.histograms, values);
            ensure!(
                histogram.total() != 0,
                "`{}` was not measured: calibrate with the same layers kept float",
                graph.value(values[0]).name
            );
            let first = values[0].index();
            let (method, own) = (self.chosen.iter())
                .find(|(value, _, _)| *value == first)
                .map(|&(_, method, params)| (method, params))
                .filter(|_| options.scheme == self.options.scheme)
                .unwrap_or_else(|| {
                    candidates(graph, values, &histogram, Calibration::Mse, options.scheme)[0]
                });
            methods.push(method);
            params.push(own);
            seen.push(histogram);
        }
        self.raise(&sites, &mut params, options.scheme);
        let mut inserted = insert(graph, &sites, &params, options)?;
        let tuned = if options.bias_correction || options.rounding == Rounding::Adaptive {
            tune::tune(cpu, graph, &mut inserted, &self.batch, options, progress)?
        } else {
            vec![tune::Tuned::default(); inserted.layers.len()]
        };

        let name = |id: ValueId| graph.value(id).name.clone();
        let values = (sites.groups.iter().enumerate())
            .map(|(group, values)| {
                let (params, histogram) = (params[group], &seen[group]);
                let [low, high] = params.range().map(f64::from);
                let (mut cut, mut power) = (0, 0.0);
                for (value, count) in histogram.bins() {
                    power += value * value * count as f64;
                    if value < low || value > high {
                        cut += count;
                    }
                }
                let total = histogram.total().max(1) as f64;
                let mse = params.mean_square_error(histogram);
                ValueRecord {
                    names: values.iter().map(|&id| name(id)).collect(),
                    method: methods[group],
                    params,
                    seen: histogram.range(),
                    cut: cut as f64 / total,
                    mse,
                    noise: mse / (power / total).max(f64::MIN_POSITIVE),
                    histogram: histogram.summary(RECORDED_BINS),
                }
            })
            .collect();
        let layers = (inserted.layers.iter().zip(tuned))
            .map(|(placed, tuned)| {
                let node = &graph.nodes()[placed.float];
                let network::graph::Operand::Value(x) = node.inputs[0] else {
                    unreachable!("a layer reads a value");
                };
                let result = sites.result_of[placed.float].expect("a layer has a result");
                LayerRecord {
                    name: node.name.clone(),
                    op: node.op.onnx_name(),
                    weights: placed.layer.outputs * placed.layer.each,
                    between: [name(x), name(result)],
                    noise: weight_noise(graph, &inserted.graph, placed),
                    rounded: tuned.rounded,
                    bias_correction: tuned.bias,
                }
            })
            .collect();
        let float = (graph.nodes().iter().zip(&sites.roles))
            .filter(|(node, role)| !role.is_integer() && WeightLayer::of(graph, node).is_some())
            .map(|(node, _)| node.name.clone())
            .collect();
        Ok(Quantised {
            graph: inserted.graph,
            record: QuantisationRecord {
                options: options.clone(),
                values,
                layers,
                equalised: self.equalised.clone(),
                float,
            },
        })
    }

    /// Makes scales of results no finer than a step of the accumulator that they come from.
    fn raise(&self, sites: &Sites, params: &mut [QuantParams], scheme: Scheme) {
        for (index, node) in self.graph.nodes().iter().enumerate() {
            let (Some(result), Some(layer)) =
                (sites.result_of[index], WeightLayer::of(&self.graph, node))
            else {
                continue;
            };
            let network::graph::Operand::Value(x) = node.inputs[0] else {
                continue;
            };
            let group = |id: ValueId| {
                sites.group_of[id.index()].expect("what a layer reads and writes is quantised")
            };
            let weight = self.graph.tensor(layer.weight).as_f32().expect("checked");
            let least = layer.coarsest(weight, params[group(x)].scale);
            let own = &mut params[group(result)];
            if own.scale < least {
                let [low, high] = own.range();
                let wider = least / own.scale;
                *own = QuantParams::covering([low * wider, high * wider], scheme);
            }
        }
    }
}

fn weight_noise(float: &Graph, quantised: &Graph, placed: &insert::Placed) -> f64 {
    let layer = &placed.layer;
    let weight = float.tensor(layer.weight).as_f32().expect("checked");
    let network::tensor::Data::I8(bytes) = quantised.tensor(placed.weight).data() else {
        unreachable!("a quantised weight is i8");
    };
    let (mut noise, mut power) = (0.0, 0.0);
    for o in 0..layer.outputs {
        for k in 0..layer.each {
            let at = layer.at(o, k);
            let w = f64::from(weight[at]);
            let rounded = f64::from(bytes[at]) * f64::from(placed.scales[o]);
            noise += (w - rounded).powi(2);
            power += w * w;
        }
    }
    noise / f64::max(power, f64::MIN_POSITIVE)
}

/// Candidate ranges for values that share a scale: by `method`, except for the input, whose range is
/// known, and for values after a global pooling.
fn candidates(
    graph: &Graph,
    values: &[ValueId],
    histogram: &Histogram,
    method: Calibration,
    scheme: Scheme,
) -> Vec<(&'static str, QuantParams)> {
    let pooled = |id: &ValueId| {
        (graph.value(*id).fact.shape_for(1).iter())
            .skip(2)
            .all(|&side| side == 1)
    };
    if values.contains(&graph.input()) {
        range::candidates(histogram, Calibration::MinMax, scheme)
    } else if values.iter().all(pooled) {
        vec![range::pooled(histogram, scheme)]
    } else {
        range::candidates(histogram, method, scheme)
    }
}

/// The distribution of values that share a scale.
fn merged(histograms: &[Histogram], values: &[ValueId]) -> Histogram {
    let mut all = Histogram::new();
    for id in values {
        all.merge(&histograms[id.index()]);
    }
    all
}

/// Images spread over the calibration set, as one batch.
fn batch(graph: &Graph, images: &mut Images<'_>) -> Result<Tensor> {
    let count = tune::images_for(graph, images.count);
    let mut values = Vec::new();
    for i in 0..count {
        let image = (images.read)(i * images.count / count)?;
        values.extend_from_slice(image.as_f32().expect("images are f32"));
    }
    let [channels, height, width] = graph.input_size();
    Ok(Tensor::f32([count, channels, height, width], values)?)
}
