//! Folding hundreds of random networks: each computes what it did before, and folding twice is
//! folding once.
//!
//! The pieces are those that a fold could get wrong: steps of every form of constant, layers of
//! every form, values that are read twice or leave the network in its middle, shared weights.

use std::collections::BTreeMap;

use network::graph::fold::fold;
use network::graph::{
    Binary, Conv, Dim, Gemm, Graph, Node, Op, Operand, Pool, Reduce, Unary, ValueId,
};
use network::onnx;
use network::reference;
use network::tensor::{Data, Tensor};

const NETWORKS: u64 = 500;

/// A network that grows by random pieces.
struct Net {
    graph: Graph,
    random: u64,
    /// Where the next piece goes on.
    end: ValueId,
    /// Everything that a later piece may read again.
    values: Vec<ValueId>,
    /// Weights of convolutions, to be shared.
    weights: Vec<(Vec<usize>, Operand)>,
}

impl Net {
    fn new(seed: u64) -> Self {
        let mut net = Self {
            graph: Graph::new("net", "images", [1, 1, 1]),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            end: Graph::new("", "", [1, 1, 1]).input(),
            values: Vec::new(),
            weights: Vec::new(),
        };
        let channels = net.one_of(&[1, 2, 3, 4]);
        net.graph = Graph::new("net", "images", [channels, 5, 4]);
        net.end = net.graph.input();
        net.values.push(net.end);
        net
    }

    /// A number below `limit` (xorshift64).
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as usize % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number of either sign that is neither small nor large.
    fn number(&mut self) -> f32 {
        let size = 0.4 + self.below(1000) as f32 / 1000.0;
        if self.below(2) == 0 { size } else { -size }
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.number()).collect();
        Tensor::f32(shape, values).unwrap()
    }

    fn param(&mut self, shape: &[usize]) -> Operand {
        let tensor = self.tensor(shape);
        let name = format!("p{}", self.graph.params().len());
        self.graph.param(name, tensor).into()
    }

    /// Extents of `end`, with 0 for the batch.
    fn shape(&self) -> Vec<usize> {
        self.graph.value(self.end).fact.shape_for(0)
    }

    /// Adds a node if it fits there; the end is then its first value.
    fn push(&mut self, op: Op, inputs: Vec<Operand>) {
        let name = format!("n{}", self.graph.nodes().len());
        if let Ok(values) = self.graph.push(name, op, inputs) {
            self.end = values[0];
            self.values.extend(values);
        }
    }

    /// Any value that there is already.
    fn earlier(&mut self) -> ValueId {
        let index = self.below(self.values.len());
        self.values[index]
    }

    fn unary(&mut self, op: Op) {
        self.push(op, vec![self.end.into()]);
    }

    fn piece(&mut self) {
        if !matches!(self.shape()[..], [0, channels, ..] if channels > 0) {
            // A mean over the channels leaves none, and a larger constant moves the batch.
            self.end = self.graph.input();
        }
        match self.below(16) {
            0..=3 => self.step(),
            4..=5 => self.norm(),
            6..=8 => self.layer(),
            9 => self.pool(),
            10 => self.layout(),
            11 => self.unary(Op::Unary(Unary::Relu)),
            12 => self.split(),
            13 => self.join(),
            14 => self.end = self.earlier(),
            _ => self.quantised_layer(),
        }
    }

    /// A product or a sum with a constant, on either side of it.
    fn step(&mut self) {
        let shape = self.shape();
        let (rank, channels) = (shape.len(), shape[1]);
        let mut per_channel = vec![1; rank - 1];
        per_channel[0] = channels;
        let mut with_batch = vec![1; rank];
        with_batch[1] = channels;
        let mut larger_rank = vec![1; rank + 1];
        larger_rank[2] = channels;
        let mut more_channels = vec![1; rank - 1];
        more_channels[0] = 3;
        let mut last = vec![1; rank - 1];
        last[rank - 2] = shape[rank - 1];
        let constant = match self.below(10) {
            0..=2 => per_channel,
            3..=4 => with_batch,
            5 => vec![],
            6 => vec![1; 1 + self.below(rank)],
            7 => last,
            // These change the shape of what they are added to.
            8 => more_channels,
            _ if self.below(4) == 0 => larger_rank,
            _ => vec![1],
        };
        let constant = self.param(&constant);
        let binary = self.one_of(&[Binary::Add, Binary::Sub, Binary::Mul, Binary::Div]);
        let mut inputs = vec![self.end.into(), constant];
        // A constant by a value could divide by zero.
        if binary != Binary::Div && self.below(3) == 0 {
            inputs.reverse();
        }
        self.push(Op::Binary(binary), inputs);
    }

    fn norm(&mut self) {
        let channels = self.shape()[1];
        let mut inputs: Vec<Operand> = vec![self.end.into()];
        inputs.extend((0..3).map(|_| self.param(&[channels])));
        let variance: Vec<f32> = (0..channels).map(|_| self.number().abs()).collect();
        let name = format!("p{}", self.graph.params().len());
        let variance = Tensor::f32([channels], variance).unwrap();
        inputs.push(self.graph.param(name, variance).into());
        self.push(Op::BatchNorm { epsilon: 1e-5 }, inputs);
    }

    fn layer(&mut self) {
        match *self.shape().as_slice() {
            [_, channels, ..] if self.shape().len() == 4 => {
                let groups = self.one_of(&[1, 1, 2, channels]);
                let kernel = self.one_of(&[[1, 1], [1, 1], [3, 3], [1, 3]]);
                let shape = vec![
                    groups * self.one_of(&[1, 2]),
                    channels / groups,
                    kernel[0],
                    kernel[1],
                ];
                let known = self.weights.iter().find(|(known, _)| *known == shape);
                let weight = match known.cloned() {
                    Some((_, weight)) if self.below(2) == 0 => weight,
                    _ => self.param(&shape),
                };
                self.weights.push((shape.clone(), weight));
                let mut inputs = vec![self.end.into(), weight];
                if self.below(2) == 0 {
                    inputs.push(self.param(&shape[..1]));
                }
                let conv = Conv {
                    strides: self.one_of(&[[1, 1], [1, 1], [2, 1]]),
                    pads: self.one_of(&[[0; 4], [0; 4], [1; 4], [1, 0, 0, 0]]),
                    dilations: [1, self.one_of(&[1, 1, 2])],
                    groups,
                };
                self.push(Op::Conv(conv), inputs);
            }
            [_, inputs] => {
                let outputs = self.one_of(&[1, 2, inputs]);
                let trans_b = self.below(2) == 0;
                let shape = if trans_b {
                    [outputs, inputs]
                } else {
                    [inputs, outputs]
                };
                let mut operands = vec![self.end.into(), self.param(&shape)];
                if self.below(3) == 0 && !trans_b {
                    return self.push(Op::MatMul, operands);
                }
                let bias = match self.below(5) {
                    0 => Some(vec![outputs]),
                    1 => Some(vec![1, outputs]),
                    2 => Some(vec![1]),
                    3 => Some(vec![]),
                    _ => None,
                };
                operands.extend(bias.map(|shape| self.param(&shape)));
                let gemm = Gemm {
                    alpha: self.one_of(&[1.0, 0.5]),
                    beta: self.one_of(&[1.0, -2.0]),
                    trans_a: false,
                    trans_b,
                };
                self.push(Op::Gemm(gemm), operands);
            }
            // A matrix for each image: no layer that a step can go into.
            ref shape => {
                let last = shape[shape.len() - 1];
                let weight = self.param(&[last, 3]);
                self.push(Op::MatMul, vec![self.end.into(), weight]);
            }
        }
    }

    /// A convolution whose weight is computed.
    fn quantised_layer(&mut self) {
        let channels = self.shape()[1];
        let weight: Vec<i8> = (0..2 * channels).map(|_| self.below(200) as i8).collect();
        let weight = Tensor::new([2, channels, 1, 1], Data::I8(weight)).unwrap();
        let name = format!("p{}", self.graph.params().len());
        let weight = self.graph.param(name, weight).into();
        let scale = self.graph.param(
            format!("p{}", self.graph.params().len()),
            Tensor::f32([2], [0.01, 0.02]).unwrap(),
        );
        let name = format!("n{}", self.graph.nodes().len());
        let dequantise = Op::DequantizeLinear { axis: 0 };
        let weight = self
            .graph
            .push1(name, dequantise, [weight, scale.into()])
            .unwrap();
        let conv = Op::Conv(Conv::pointwise());
        self.push(conv, vec![self.end.into(), weight.into()]);
    }

    fn pool(&mut self) {
        let shape = self.shape();
        let pool = Pool {
            kernel: [2, 2],
            strides: self.one_of(&[[1, 1], [2, 2]]),
            pads: self.one_of(&[[0; 4], [1; 4]]),
            ceil_mode: self.below(2) == 0,
        };
        let count_include_pad = self.below(2) == 0;
        let op = match self.below(5) {
            0..=1 => Op::GlobalAveragePool,
            2 => Op::AveragePool {
                pool,
                count_include_pad,
            },
            3 => Op::MaxPool(pool),
            _ => Op::Reduce {
                kind: self.one_of(&[Reduce::Mean, Reduce::Mean, Reduce::L2]),
                axes: (1 + self.below(2)..shape.len()).collect(),
                keep_dims: self.below(2) == 0,
            },
        };
        self.unary(op);
    }

    fn layout(&mut self) {
        let shape = self.graph.value(self.end).fact.shape.clone();
        let fixed = self.shape();
        let rest: usize = fixed[2..].iter().product();
        let op = match (self.below(4), fixed.len()) {
            (0, 2) => Op::Unsqueeze { axes: vec![2, 3] },
            (0, 4) => Op::Squeeze { axes: vec![2, 3] },
            (1, _) => Op::Reshape {
                shape: vec![shape[0], shape[1], Dim::Fixed(rest)],
            },
            (2, 4) => Op::Transpose {
                perm: vec![0, 2, 1, 3],
            },
            _ => Op::Flatten { axis: 1 },
        };
        self.unary(op);
    }

    fn split(&mut self) {
        let channels = self.shape()[1];
        if channels > 1 {
            let sizes = vec![1, channels - 1];
            self.unary(Op::Split { axis: 1, sizes });
        }
    }

    /// Two values of the network together.
    fn join(&mut self) {
        let other = self.earlier();
        let op = match self.below(3) {
            0 => Op::Concat { axis: 1 },
            1 => Op::Binary(Binary::Mul),
            _ => Op::Binary(Binary::Add),
        };
        self.push(op, vec![self.end.into(), other.into()]);
    }

    fn done(mut self) -> Graph {
        self.graph.output("end", self.end);
        for n in 0..self.below(3) {
            let value = self.earlier();
            self.graph.output(format!("other{n}"), value);
        }
        self.graph
    }
}

/// Where two runs are furthest apart, relative to the largest value of the output or, where sums of
/// numbers near one have all but cancelled, to a tenth.
fn difference(a: &[Tensor], b: &[Tensor]) -> f32 {
    assert_eq!(a.len(), b.len());
    let mut worst = 0f32;
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.shape(), b.shape());
        let (a, b) = (a.as_f32().unwrap(), b.as_f32().unwrap());
        let largest = a.iter().fold(0.1f32, |max, v| max.max(v.abs()));
        for (a, b) in a.iter().zip(b) {
            worst = worst.max((a - b).abs() / largest);
        }
    }
    worst
}

/// Every node with what it reads and writes, in no order of execution.
fn sorted(graph: &Graph) -> Vec<String> {
    let name = |id: ValueId| graph.value(id).name.clone();
    let line = |node: &Node| {
        let read = |operand: &Operand| match *operand {
            Operand::Value(id) => name(id),
            Operand::Param(id) => format!("{:?}", graph.params()[id.index()]),
        };
        let reads: Vec<String> = node.inputs.iter().map(read).collect();
        let writes: Vec<String> = node.outputs.iter().map(|&id| name(id)).collect();
        format!("{} {:?} {reads:?} {writes:?}", node.name, node.op)
    };
    let mut lines: Vec<String> = graph.nodes().iter().map(line).collect();
    lines.sort_unstable();
    let outputs = graph.outputs().iter();
    lines.extend(outputs.map(|output| format!("{} {}", output.name, name(output.value))));
    lines
}

#[test]
fn random_networks_compute_the_same_when_folded() {
    let mut folded_away = 0;
    for seed in 1..=NETWORKS {
        let mut net = Net::new(seed);
        for _ in 0..2 + net.below(20) {
            net.piece();
        }
        let [c, h, w] = net.graph.input_size();
        let input = net.tensor(&[2, c, h, w]);
        let graph = net.done();
        let folded = fold(&graph).unwrap_or_else(|error| panic!("network {seed}: {error}"));
        let wanted = reference::run(&graph, &input).unwrap();
        let found = reference::run(&folded, &input)
            .unwrap_or_else(|error| panic!("network {seed}: {error}"));
        // Weights are rounded once more, and a sum of numbers of either sign may cancel.
        let apart = difference(&wanted, &found);
        assert!(
            apart < 1e-4,
            "network {seed}: {apart}\n{:#?}",
            graph.nodes()
        );
        let twice = fold(&folded).unwrap();
        assert_eq!(sorted(&twice), sorted(&folded), "network {seed}");
        let norm = |graph: &Graph| {
            let norms = graph.nodes().iter().map(|node| node.op.onnx_name());
            norms.filter(|name| *name == "BatchNormalization").count()
        };
        assert_eq!(norm(&folded), 0, "network {seed}");
        folded_away += norm(&graph);

        let bytes = onnx::write_bytes(&folded, &BTreeMap::new()).unwrap();
        let read = onnx::read_bytes(&bytes, &onnx::ReadOptions::default())
            .unwrap_or_else(|error| panic!("network {seed}, written and read: {error}"));
        let found = reference::run(&read.graph, &input).unwrap();
        let apart = difference(&wanted, &found);
        assert!(apart < 1e-4, "network {seed}, written and read: {apart}");
    }
    assert!(folded_away as u64 > NETWORKS / 2, "{folded_away}");
}
