//! Cross-layer equalisation (Nagel et al. 2019, "Data-free quantization through weight equalization
//! and bias correction"), with measured channel sizes in place of weight ranges.
//!
//! Channels that share a scale are divided by a factor in the layers that write them and multiplied
//! by it in the layers that read them. A *component* holds all values that must be scaled alike, for
//! example a stage of a ResNet with its shortcuts. The strength with the least expected noise is
//! used. Below a `Clip`, channels only grow, at most to [`ROOM`] of its limit.

use std::collections::{BTreeMap, HashMap};

use network::graph::{Binary, Graph, Op, Operand, ParamId, Unary, ValueId};
use network::tensor::Tensor;
use serde::Serialize;

use super::layer::WeightLayer;
use super::observe::Channels;
use super::sites::Sites;
use crate::Result;

/// How far a channel may be raised below the limit of a `Clip`.
const ROOM: f64 = 0.8;

/// A channel is never raised by more than this.
const MOST: f64 = 256.0;

/// Exponents that are tried: 0 leaves the channels as they are, 1 makes them equal.
const STRENGTHS: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// What was done to a component.
#[derive(Debug, Clone, Serialize)]
pub struct Equalised {
    /// The layers that write its channels.
    pub layers: Vec<String>,
    /// From 0, left as it is, to 1, made equal.
    pub strength: f64,
    /// Expected noise, relative to that without equalisation.
    pub noise: f64,
}

/// The network with equalised channels: the same function, up to rounding.
pub(super) fn equalise(
    graph: &Graph,
    sites: &Sites,
    channels: &[Channels],
) -> Result<(Graph, Vec<Equalised>)> {
    let mut new = graph.clone();
    let mut report = Vec::new();
    let mut tensors: HashMap<ParamId, Vec<f64>> = HashMap::new();
    for component in components(graph) {
        let plan = EqualisePlan::new(graph, sites, channels, &component);
        let Some((strength, noise, factors)) = plan.best() else {
            continue;
        };
        plan.apply(&factors, &mut tensors);
        let writers = component.writers.iter();
        report.push(Equalised {
            layers: writers.map(|&at| graph.nodes()[at].name.clone()).collect(),
            strength,
            noise,
        });
    }
    for (id, values) in tensors {
        let shape = graph.tensor(id).shape();
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        // Beyond f32 the network is left as it is.
        if values.iter().any(|value| !value.is_finite()) {
            return Ok((graph.clone(), Vec::new()));
        }
        new.set_tensor(id, Tensor::f32(shape, values)?)?;
    }
    Ok((new, report))
}

/// Values whose channels are scaled alike.
#[derive(Default)]
struct Component {
    values: Vec<ValueId>,
    /// Layers that write one of them, as indices of nodes.
    writers: Vec<usize>,
    /// Layers that read one of them.
    readers: Vec<usize>,
    /// The least upper limit of a `Clip` between them, if there is one.
    limit: Option<f64>,
}

/// How a node constrains the scaling of channels.
enum Link {
    /// What it writes is scaled as what it reads.
    All(f64),
    /// The same, for one of two values that it reads; the other is not scaled.
    First([ValueId; 2]),
    /// A layer: what it writes and what it reads are scaled independently.
    Layer,
    /// Nothing around it may be scaled.
    Nothing,
}

fn link(graph: &Graph, at: usize) -> Link {
    let node = &graph.nodes()[at];
    let shape = |id: ValueId| graph.value(id).fact.shape.as_slice();
    let values: Vec<ValueId> = (node.inputs.iter())
        .filter_map(|input| match input {
            Operand::Value(id) => Some(*id),
            Operand::Param(_) => None,
        })
        .collect();
    let y = node.outputs[0];
    let same_channels = values.iter().all(|&x| shape(x).get(1) == shape(y).get(1));
    match (&node.op, values.as_slice()) {
        (Op::Conv(_) | Op::Gemm(_), [_]) => match WeightLayer::of(graph, node) {
            Some(layer) if bias_is_a_row(graph, &layer) => Link::Layer,
            _ => Link::Nothing,
        },
        _ if !same_channels => Link::Nothing,
        (Op::Unary(Unary::Clip { min: 0.0, max }), [_]) => Link::All(f64::from(*max)),
        (
            Op::Unary(Unary::Relu | Unary::LeakyRelu { .. })
            | Op::PRelu
            | Op::MaxPool(_)
            | Op::AveragePool { .. }
            | Op::GlobalAveragePool,
            [_],
        ) => Link::All(f64::INFINITY),
        (Op::Binary(Binary::Add), [a, b]) if shape(*a) == shape(*b) => Link::All(f64::INFINITY),
        (Op::Slice { axis, .. }, [_]) if *axis > 1 => Link::All(f64::INFINITY),
        (Op::Binary(Binary::Mul), &[a, b]) => {
            if shape(a) == shape(y) && shape(b) != shape(y) {
                Link::First([a, b])
            } else if shape(b) == shape(y) && shape(a) != shape(y) {
                Link::First([b, a])
            } else {
                Link::Nothing
            }
        }
        // [N, C, 1, 1] to [N, C].
        (Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. }, [x])
            if shape(y).len() == 2 && shape(*x)[..2] == shape(y)[..2] =>
        {
            Link::All(f64::INFINITY)
        }
        _ => Link::Nothing,
    }
}

fn bias_is_a_row(graph: &Graph, layer: &WeightLayer) -> bool {
    (layer.bias).is_none_or(|bias| graph.tensor(bias).shape() == [layer.outputs])
}

/// The components that can be scaled and have a layer on both sides.
fn components(graph: &Graph) -> Vec<Component> {
    let count = graph.values().len();
    let mut parent: Vec<usize> = (0..count).collect();
    fn root(parent: &[usize], mut at: usize) -> usize {
        while parent[at] != at {
            at = parent[at];
        }
        at
    }
    let mut join = |a: ValueId, b: ValueId| {
        let (a, b) = (root(&parent, a.index()), root(&parent, b.index()));
        parent[a.max(b)] = a.min(b);
    };
    let mut fixed = vec![graph.input()];
    fixed.extend(graph.outputs().iter().map(|out| out.value));
    let mut limits: Vec<(ValueId, f64)> = Vec::new();
    let mut by_weight: HashMap<ParamId, [ValueId; 2]> = HashMap::new();
    for (at, node) in graph.nodes().iter().enumerate() {
        let values = node.inputs.iter().filter_map(|input| match input {
            Operand::Value(id) => Some(*id),
            Operand::Param(_) => None,
        });
        let y = node.outputs[0];
        match link(graph, at) {
            Link::All(limit) => {
                values.for_each(|x| join(x, y));
                limits.push((y, limit));
            }
            Link::First([x, gate]) => {
                join(x, y);
                fixed.push(gate);
            }
            Link::Layer => {
                let (Operand::Value(x), Operand::Param(weight)) = (node.inputs[0], node.inputs[1])
                else {
                    unreachable!("a layer reads a value and a weight");
                };
                let [x0, y0] = *by_weight.entry(weight).or_insert([x, y]);
                join(x0, x);
                join(y0, y);
            }
            Link::Nothing => fixed.extend(values.chain(node.outputs.iter().copied())),
        }
    }
    let fixed: Vec<usize> = fixed.iter().map(|id| root(&parent, id.index())).collect();
    let mut all: BTreeMap<usize, Component> = BTreeMap::new();
    let of = |id: ValueId| -> Option<usize> {
        let root = root(&parent, id.index());
        (!fixed.contains(&root)).then_some(root)
    };
    for (at, node) in graph.nodes().iter().enumerate() {
        for &id in &node.outputs {
            if let Some(root) = of(id) {
                all.entry(root).or_default().values.push(id);
            }
        }
        if let Link::Layer = link(graph, at) {
            if let Some(root) = of(node.outputs[0]) {
                all.entry(root).or_default().writers.push(at);
            }
            if let Operand::Value(x) = node.inputs[0]
                && let Some(root) = of(x)
            {
                all.entry(root).or_default().readers.push(at);
            }
        }
    }
    for (id, limit) in limits {
        if let Some(root) = of(id) {
            let component = all.entry(root).or_default();
            component.limit = Some(component.limit.unwrap_or(limit).min(limit));
        }
    }
    (all.into_values())
        .filter(|component| !component.writers.is_empty() && !component.readers.is_empty())
        .collect()
}

/// A component and what is known of its noise.
struct EqualisePlan<'a> {
    graph: &'a Graph,
    component: &'a Component,
    channels: usize,
    /// Mean and greatest size of each channel over all its quantised values.
    peak: Vec<f64>,
    most: Vec<f64>,
    /// For each quantised value: sizes of its channels, and how they weigh in the layers that read
    /// it, relative to what these compute.
    sites: Vec<(Vec<f64>, Vec<f64>)>,
    /// For each reading layer with a quantised weight: the greatest weight of each row and column,
    /// mean squares of the columns' input, and the power of what it computes.
    weights: Vec<Columns>,
}

/// What rounding the weight of a reader depends on.
struct Columns {
    /// For each row: its columns with their greatest weights and how many they are.
    rows: Vec<Vec<(usize, f64, f64)>>,
    square: Vec<f64>,
    power: f64,
}

impl<'a> EqualisePlan<'a> {
    fn new(graph: &'a Graph, sites: &Sites, all: &[Channels], component: &'a Component) -> Self {
        let channels = all[component.values[0].index()].peak.len();
        let mut plan = Self {
            graph,
            component,
            channels,
            peak: vec![0.0; channels],
            most: vec![0.0; channels],
            sites: Vec::new(),
            weights: Vec::new(),
        };
        for &id in &component.values {
            let own = &all[id.index()];
            for c in 0..channels {
                plan.most[c] = plan.most[c].max(own.most[c]);
            }
            if sites.group_of[id.index()].is_none() {
                continue;
            }
            for c in 0..channels {
                plan.peak[c] = plan.peak[c].max(own.peak[c]);
            }
            let mut weigh = vec![0.0; channels];
            for &at in &component.readers {
                let node = &graph.nodes()[at];
                if node.inputs[0] != Operand::Value(id) {
                    continue;
                }
                let layer = WeightLayer::of(graph, node).expect("a reader is a layer");
                let power = all[node.outputs[0].index()].square.iter().sum::<f64>();
                let power = power.max(f64::MIN_POSITIVE);
                let weight = graph.tensor(layer.weight).as_f32().expect("checked");
                let mut columns = Columns {
                    rows: Vec::new(),
                    square: own.square.clone(),
                    power,
                };
                for o in 0..layer.outputs {
                    let mut row: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
                    for k in 0..layer.each {
                        let w = f64::from(weight[layer.at(o, k)]);
                        let c = layer.input(o, k);
                        weigh[c] += w * w / power;
                        let column = row.entry(c).or_default();
                        *column = (column.0.max(w.abs()), column.1 + 1.0);
                    }
                    let row = row.into_iter().map(|(c, (most, taps))| (c, most, taps));
                    columns.rows.push(row.collect());
                }
                if sites.roles[at].is_integer() {
                    plan.weights.push(columns);
                }
            }
            plan.sites.push((own.peak.clone(), weigh));
        }
        plan
    }

    /// What each channel is divided by, for a strength.
    fn factors(&self, strength: f64) -> Vec<f64> {
        let whole = self.peak.iter().copied().fold(0.0, f64::max);
        (0..self.channels)
            .map(|c| {
                if whole <= 0.0 || self.peak[c] <= 0.0 {
                    return 1.0;
                }
                let limit = self.component.limit.unwrap_or(f64::INFINITY);
                let least = (self.most[c] / (ROOM * limit)).min(1.0);
                (self.peak[c] / whole)
                    .powf(strength)
                    .max(1.0 / MOST)
                    .max(least)
            })
            .collect()
    }

    /// Expected noise behind the layers that read the component.
    fn noise(&self, factors: &[f64]) -> f64 {
        let mut noise = 0.0;
        for (peak, weigh) in &self.sites {
            let step = (peak.iter().zip(factors))
                .map(|(peak, factor)| peak / factor)
                .fold(0.0, f64::max)
                / 255.0;
            let weighed: f64 = (weigh.iter().zip(factors))
                .map(|(weigh, factor)| weigh * factor * factor)
                .sum();
            noise += step * step * weighed;
        }
        for columns in &self.weights {
            for row in &columns.rows {
                let step = (row.iter())
                    .map(|&(c, most, _)| most * factors[c])
                    .fold(0.0, f64::max)
                    / 127.0;
                let power: f64 = (row.iter())
                    .map(|&(c, _, taps)| taps * columns.square[c] / (factors[c] * factors[c]))
                    .sum();
                noise += step * step * power / columns.power;
            }
        }
        noise
    }

    /// Strength, noise relative to none, and factors, if equalising pays.
    fn best(&self) -> Option<(f64, f64, Vec<f64>)> {
        let before = self.noise(&vec![1.0; self.channels]);
        let (noise, strength) = STRENGTHS
            .map(|strength| (self.noise(&self.factors(strength)), strength))
            .into_iter()
            .min_by(|a, b| a.0.total_cmp(&b.0))?;
        // Gains below 2 % are not worth the change.
        (strength > 0.0 && noise < 0.98 * before).then(|| {
            let relative = noise / before;
            (strength, relative, self.factors(strength))
        })
    }

    fn apply(&self, factors: &[f64], tensors: &mut HashMap<ParamId, Vec<f64>>) {
        let mut values = |id: ParamId, change: &mut dyn FnMut(&mut [f64])| {
            let values = tensors.entry(id).or_insert_with(|| {
                let values = self.graph.tensor(id).as_f32().expect("checked");
                values.iter().map(|&v| f64::from(v)).collect()
            });
            change(values);
        };
        let mut done = Vec::new();
        for &at in &self.component.writers {
            let layer = WeightLayer::of(self.graph, &self.graph.nodes()[at]).expect("a layer");
            if !done.contains(&layer.weight) {
                done.push(layer.weight);
                values(layer.weight, &mut |weight| {
                    for o in 0..layer.outputs {
                        for k in 0..layer.each {
                            weight[layer.at(o, k)] /= factors[o];
                        }
                    }
                });
            }
            if let Some(bias) = layer.bias.filter(|bias| !done.contains(bias)) {
                done.push(bias);
                values(bias, &mut |bias| {
                    for (b, factor) in bias.iter_mut().zip(factors) {
                        *b /= factor;
                    }
                });
            }
        }
        done.clear();
        for &at in &self.component.readers {
            let layer = WeightLayer::of(self.graph, &self.graph.nodes()[at]).expect("a layer");
            if done.contains(&layer.weight) {
                continue;
            }
            done.push(layer.weight);
            values(layer.weight, &mut |weight| {
                for o in 0..layer.outputs {
                    for k in 0..layer.each {
                        weight[layer.at(o, k)] *= factors[layer.input(o, k)];
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::quantise::{Images, Progress, QdqLayout, observe};
    use kernels::cpu::Cpu;
    use network::graph::Conv;
    use synth::random::Draw;

    /// Two layers that write `sizes` of numbers into their channels, a gate, a sum, a `Clip` and two
    /// layers that read them.
    fn network(limit: f32) -> Graph {
        let mut graph = Graph::new("g", "x", [3, 8, 8]);
        let sizes = [0.02, 1.0, 0.3, 0.0];
        let layer = |graph: &mut Graph, name: &str, x: ValueId, out: usize, groups: usize| {
            let each = graph.value(x).fact.shape_for(1)[1] / groups;
            let mut draw = Draw::new(5, name, &[]);
            let weight: Vec<f32> = (0..out * each)
                .map(|i| {
                    let size = if each == 3 { sizes[i / each] } else { 1.0 };
                    (draw.normal() * size) as f32
                })
                .collect();
            let weight = Tensor::f32([out, each, 1, 1], weight).unwrap();
            let weight = graph.param(format!("{name}.weight"), weight);
            let bias = graph.param(
                format!("{name}.bias"),
                Tensor::f32([out], vec![0.01; out]).unwrap(),
            );
            let op = Op::Conv(Conv {
                groups,
                ..Conv::pointwise()
            });
            graph
                .push1(name, op, [x.into(), weight.into(), bias.into()])
                .unwrap()
        };
        let x = graph.input();
        let a = layer(&mut graph, "a", x, 4, 1);
        let b = layer(&mut graph, "b", x, 4, 1);
        let mean = graph
            .push1("mean", Op::GlobalAveragePool, [b.into()])
            .unwrap();
        let gate = layer(&mut graph, "gate", mean, 4, 1);
        let gate = graph
            .push1("sigmoid", Op::Unary(Unary::Sigmoid), [gate.into()])
            .unwrap();
        let b = graph
            .push1("weighed", Op::Binary(Binary::Mul), [b.into(), gate.into()])
            .unwrap();
        let sum = graph
            .push1("sum", Op::Binary(Binary::Add), [a.into(), b.into()])
            .unwrap();
        let clip = Op::Unary(Unary::Clip {
            min: 0.0,
            max: limit,
        });
        let y = graph.push1("clip", clip, [sum.into()]).unwrap();
        let first = layer(&mut graph, "c", y, 4, 4);
        let second = layer(&mut graph, "d", y, 4, 1);
        let y = graph
            .push1(
                "join",
                Op::Concat { axis: 1 },
                [first.into(), second.into()],
            )
            .unwrap();
        graph.output("y", y);
        graph
    }

    fn image(index: usize) -> Tensor {
        let mut draw = Draw::new(6, "image", &[index as u64]);
        let values: Vec<f32> = (0..3 * 64).map(|_| draw.normal() as f32).collect();
        Tensor::f32([1, 3, 8, 8], values).unwrap()
    }

    #[test]
    fn the_function_stays_and_channels_become_alike() {
        for limit in [6.0, f32::INFINITY] {
            let graph = network(limit);
            let cpu = Cpu::new(1);
            let sites = Sites::of(&graph, QdqLayout::Fused, &Default::default()).unwrap();
            let mut read = |index| Ok(image(index));
            let mut images = Images {
                count: 8,
                read: &mut read,
                name: &|index| index.to_string(),
                range: [-4.0, 4.0],
            };
            let channels =
                observe::channels(&cpu, &graph, &mut images, &mut Progress(None)).unwrap();
            let (equal, report) = equalise(&graph, &sites, &channels).unwrap();
            let stream = report.iter().find(|e| e.layers == ["a", "b"]).unwrap();
            assert!(stream.strength > 0.0 && stream.noise < 0.98, "{stream:?}");
            let after = observe::channels(&cpu, &equal, &mut images, &mut Progress(None)).unwrap();
            let clip = graph
                .nodes()
                .iter()
                .position(|node| node.name == "clip")
                .unwrap();
            let clip = graph.nodes()[clip].outputs[0].index();
            let spread = |channels: &Channels| channels.peak[1] / channels.peak[0];
            assert!(spread(&after[clip]) < spread(&channels[clip]), "{limit}");
            for index in 0..8 {
                let [before, after] = [&graph, &equal]
                    .map(|graph| cpu.run(graph, &image(index)).unwrap().swap_remove(0));
                let pairs = before.as_f32().unwrap().iter().zip(after.as_f32().unwrap());
                for (a, b) in pairs {
                    assert!((a - b).abs() < 1e-4 * (1.0 + a.abs()), "{limit}: {a} {b}");
                }
            }
        }
    }
}
