//! Small random networks in QDQ form, built node by node: each value is quantised at the range it
//! has on one random batch.

#![allow(
    dead_code,
    reason = "each test that includes this file builds other networks"
)]

use std::collections::HashMap;

use kernels::contract::Preprocessing;
use kernels::graph::{Binary, Conv, Dim, Gemm, Graph, Op, Operand, Pool, Unary, ValueId};
use kernels::quant::QParams;
use kernels::reference;
use kernels::tensor::{Data, Tensor};

/// Crops in the batch that ranges come from.
pub(crate) const BATCH: usize = 2;

/// A network that grows, and what its values are on one batch.
pub(crate) struct Net {
    pub(crate) graph: Graph,
    pub(crate) preprocessing: Preprocessing,
    tensors: HashMap<ValueId, Tensor>,
    params: HashMap<ValueId, QParams>,
    random: u64,
    nodes: usize,
}

/// A convolution, padded so that the stride alone decides the size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    pub(crate) out: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) groups: usize,
    pub(crate) dilation: usize,
}

impl Filter {
    pub(crate) fn new(out: usize, kernel: usize) -> Self {
        Self {
            out,
            kernel,
            stride: 1,
            groups: 1,
            dilation: 1,
        }
    }

    pub(crate) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub(crate) fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub(crate) fn dilation(self, dilation: usize) -> Self {
        Self { dilation, ..self }
    }
}

impl Net {
    /// A network for crops of this height and width, which it reads as numbers of about -2 to 2.
    pub(crate) fn new(seed: u64, [height, width]: [usize; 2]) -> Self {
        let preprocessing = Preprocessing {
            height,
            width,
            ..Preprocessing::default()
        };
        Self::prepared(seed, preprocessing)
    }

    /// A network whose pixels are the codes of its input: `zero_point` is the code of 0, `scale`
    /// the distance of two codes.
    pub(crate) fn of_codes(
        seed: u64,
        [height, width]: [usize; 2],
        params: QParams,
    ) -> (Self, ValueId) {
        let preprocessing = Preprocessing {
            height,
            width,
            mean: [f32::from(params.zero_point) / 255.0; 3],
            std: [1.0 / 255.0 / params.scale; 3],
            ..Preprocessing::default()
        };
        let mut net = Self::prepared(seed, preprocessing);
        let input = net.graph.input();
        let x = net.quantise(input, params);
        (net, x)
    }

    fn prepared(seed: u64, preprocessing: Preprocessing) -> Self {
        let Preprocessing { height, width, .. } = preprocessing;
        let graph = Graph::new("net", "images", [3, height, width]);
        let mut net = Self {
            preprocessing,
            tensors: HashMap::new(),
            params: HashMap::new(),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            nodes: 0,
            graph,
        };
        let pixels = net.pixels(BATCH);
        let image = image(&net.preprocessing, &pixels);
        net.tensors.insert(net.graph.input(), image);
        net
    }

    /// A number below `limit` (xorshift64).
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as usize % limit
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number of -1 to 1.
    pub(crate) fn number(&mut self) -> f32 {
        self.below(20_001) as f32 / 10_000.0 - 1.0
    }

    /// Random crops.
    pub(crate) fn pixels(&mut self, batch: usize) -> Vec<u8> {
        let Preprocessing { height, width, .. } = self.preprocessing;
        (0..batch * height * width * 3)
            .map(|_| self.below(256) as u8)
            .collect()
    }

    /// Extents of a value, for a batch of one.
    pub(crate) fn shape(&self, x: ValueId) -> Vec<usize> {
        self.graph.value(x).fact.shape_for(1)
    }

    pub(crate) fn channels(&self, x: ValueId) -> usize {
        self.shape(x)[1]
    }

    /// What the codes of a dequantised value mean.
    pub(crate) fn meaning(&self, x: ValueId) -> QParams {
        self.params[&x]
    }

    pub(crate) fn param(&mut self, tensor: Tensor) -> Operand {
        let name = format!("p{}", self.graph.params().len());
        self.graph.param(name, tensor).into()
    }

    pub(crate) fn push(&mut self, op: Op, inputs: &[Operand]) -> Vec<ValueId> {
        let name = format!("{}{}", op.onnx_name(), self.nodes);
        self.nodes += 1;
        let outputs = self.graph.push(name.clone(), op.clone(), inputs).unwrap();
        // The batch is known here, and not to the operator.
        let op = match op {
            Op::Reshape { shape } => Op::Reshape {
                shape: (shape.iter())
                    .map(|dim| Dim::Fixed(dim.for_batch(BATCH)))
                    .collect(),
            },
            op => op,
        };
        let tensors: Vec<Tensor> = (inputs.iter())
            .map(|operand| match operand {
                Operand::Value(id) => self.tensors[id].clone(),
                Operand::Param(id) => self.graph.tensor(*id).clone(),
            })
            .collect();
        let computed = reference::eval(&name, &op, &tensors.iter().collect::<Vec<_>>()).unwrap();
        self.tensors.extend(outputs.iter().copied().zip(computed));
        outputs
    }

    pub(crate) fn push1(&mut self, op: Op, inputs: &[Operand]) -> ValueId {
        self.push(op, inputs)[0]
    }

    /// Quantises a value at the range that it has, and dequantises it.
    pub(crate) fn q(&mut self, x: ValueId) -> ValueId {
        let values = self.tensors[&x].as_f32().unwrap();
        let lowest = values.iter().copied().fold(0.0, f32::min);
        let highest = values.iter().copied().fold(0.01, f32::max);
        let scale = (highest - lowest) / 255.0;
        let zero_point = (-lowest / scale).round() as u8;
        self.quantise(x, QParams { scale, zero_point })
    }

    /// Quantises a value with the codes of another, and dequantises it.
    pub(crate) fn q_like(&mut self, x: ValueId, like: ValueId) -> ValueId {
        self.quantise(x, self.params[&like])
    }

    pub(crate) fn quantise(&mut self, x: ValueId, params: QParams) -> ValueId {
        let scale = self.param(Tensor::scalar(params.scale));
        let zero = Tensor::new([], Data::U8(vec![params.zero_point])).unwrap();
        let zero = self.param(zero);
        let axis = 1;
        let q = self.push1(Op::QuantizeLinear { axis }, &[x.into(), scale, zero]);
        let y = self.push1(Op::DequantizeLinear { axis }, &[q.into(), scale, zero]);
        self.params.insert(y, params);
        y
    }

    /// Integers of a parameter, dequantised with one scale for each index along `axis`.
    pub(crate) fn dequantised(
        &mut self,
        integers: Tensor,
        scale: Vec<f32>,
        axis: usize,
    ) -> Operand {
        let integers = self.param(integers);
        let scale = self.param(Tensor::f32([scale.len()], scale).unwrap());
        self.push1(Op::DequantizeLinear { axis }, &[integers, scale])
            .into()
    }

    /// A convolution with random weights, in s8, over a dequantised value.
    pub(crate) fn conv(&mut self, x: ValueId, filter: Filter) -> ValueId {
        let Filter {
            out,
            kernel,
            stride,
            groups,
            dilation,
        } = filter;
        let taps = self.channels(x) / groups * kernel * kernel;
        let weight: Vec<i8> = (0..out * taps)
            .map(|_| (self.below(255) as i16 - 127) as i8)
            .collect();
        // The deviation of such a sum is then that of x, more or less.
        let scale: Vec<f32> = (0..out)
            .map(|_| (0.7 + 0.6 * self.number().abs()) / 73.0 / (taps as f32).sqrt())
            .collect();
        let shape = [out, self.channels(x) / groups, kernel, kernel];
        let pad = dilation * (kernel / 2);
        let op = Op::Conv(Conv {
            strides: [stride; 2],
            pads: [pad; 4],
            dilations: [dilation; 2],
            groups,
        });
        let x_scale = self.params[&x].scale;
        let bias_scale: Vec<f32> = scale.iter().map(|scale| x_scale * scale).collect();
        let bias = (bias_scale.iter())
            .map(|scale| (0.3 * self.number() / scale) as i32)
            .collect();
        let weight = Tensor::new(shape, Data::I8(weight)).unwrap();
        let weight = self.dequantised(weight, scale, 0);
        let bias = Tensor::new([out], Data::I32(bias)).unwrap();
        let bias = self.dequantised(bias, bias_scale, 0);
        self.push1(op, &[x.into(), weight, bias])
    }

    pub(crate) fn unary(&mut self, unary: Unary, x: ValueId) -> ValueId {
        self.push1(Op::Unary(unary), &[x.into()])
    }

    pub(crate) fn relu(&mut self, x: ValueId) -> ValueId {
        self.unary(Unary::Relu, x)
    }

    pub(crate) fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.push1(Op::Binary(Binary::Add), &[a.into(), b.into()])
    }

    pub(crate) fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.push1(Op::Binary(Binary::Mul), &[a.into(), b.into()])
    }

    /// Convolution, ReLU, codes.
    pub(crate) fn conv_relu(&mut self, x: ValueId, filter: Filter) -> ValueId {
        let y = self.conv(x, filter);
        let y = self.relu(y);
        self.q(y)
    }

    /// Convolution, codes.
    pub(crate) fn conv_q(&mut self, x: ValueId, filter: Filter) -> ValueId {
        let y = self.conv(x, filter);
        self.q(y)
    }

    /// Mean of all pixels, squeezed to fewer channels and back, a sigmoid: codes of `[N, C, 1, 1]`.
    pub(crate) fn gate(&mut self, x: ValueId) -> ValueId {
        let channels = self.channels(x);
        let y = self.push1(Op::GlobalAveragePool, &[x.into()]);
        let y = self.q(y);
        let y = self.conv_relu(y, Filter::new((channels / 4).max(1), 1));
        let y = self.conv_q(y, Filter::new(channels, 1));
        let y = self.unary(Unary::Sigmoid, y);
        let unit = QParams {
            scale: 1.0 / 255.0,
            zero_point: 0,
        };
        self.quantise(y, unit)
    }

    /// The input in codes, a convolution, a pool.
    pub(crate) fn stem(&mut self, out: usize) -> ValueId {
        let x = self.q(self.graph.input());
        let x = self.conv_relu(x, Filter::new(out, 3).stride(2));
        let pool = Op::MaxPool(Pool {
            kernel: [3; 2],
            strides: [2; 2],
            pads: [1; 4],
            ceil_mode: false,
        });
        let y = self.push1(pool, &[x.into()]);
        self.q_like(y, x)
    }

    /// Mean, neck (an affine step as a depthwise convolution in float), flat.
    pub(crate) fn head(mut self, x: ValueId) -> Self {
        let channels = self.channels(x);
        let x = self.push1(Op::GlobalAveragePool, &[x.into()]);
        let numbers: Vec<f32> = (0..channels).map(|_| 1.0 + 0.5 * self.number()).collect();
        let weight = self.param(Tensor::f32([channels, 1, 1, 1], numbers.clone()).unwrap());
        let bias = self.param(Tensor::f32([channels], numbers).unwrap());
        let neck = Op::Conv(Conv {
            groups: channels,
            ..Conv::pointwise()
        });
        let x = self.push1(neck, &[x.into(), weight, bias]);
        let x = self.push1(Op::Flatten { axis: 1 }, &[x.into()]);
        self.graph.output("embedding", x);
        self
    }

    /// Ends with the mean of a value: for networks of one layer.
    pub(crate) fn end(mut self, x: ValueId) -> Self {
        let x = self.push1(Op::Flatten { axis: 1 }, &[x.into()]);
        self.graph.output("embedding", x);
        self
    }
}

/// What float networks read for these crops.
pub(crate) fn image(preprocessing: &Preprocessing, pixels: &[u8]) -> Tensor {
    let Preprocessing { height, width, .. } = *preprocessing;
    let size = 3 * height * width;
    let normaliser = kernels::crop::Normaliser::new(preprocessing).unwrap();
    let mut planes = vec![0.0; pixels.len()];
    for (crop, planes) in pixels.chunks(size).zip(planes.chunks_mut(size)) {
        normaliser.fill(crop, planes).unwrap();
    }
    Tensor::f32([pixels.len() / size, 3, height, width], planes).unwrap()
}

/// A family of networks, by name.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) build: fn(u64) -> Net,
    /// Whether everything before the head is exact.
    pub(crate) exact: bool,
}

/// One network of each family, of sizes that the seed decides.
pub(crate) const FAMILIES: [Family; 8] = [
    Family {
        name: "resnet basic",
        build: basic,
        exact: true,
    },
    Family {
        name: "resnet bottleneck",
        build: bottleneck,
        exact: true,
    },
    Family {
        name: "resnet bottleneck, layout ort",
        build: bottleneck_ort,
        exact: true,
    },
    Family {
        name: "se",
        build: squeeze_excitation,
        exact: true,
    },
    Family {
        name: "ibn",
        build: ibn,
        exact: false,
    },
    Family {
        name: "osnet",
        build: osnet,
        exact: true,
    },
    Family {
        name: "mobilenet v2",
        build: mobilenet,
        exact: true,
    },
    Family {
        name: "shuffle",
        build: shuffle,
        exact: true,
    },
];

fn sized(seed: u64) -> Net {
    let mut net = Net::new(seed, [16, 8]);
    let size = [net.one_of(&[16, 19, 24]), net.one_of(&[8, 10, 13])];
    Net::new(seed, size)
}

pub(crate) fn basic(seed: u64) -> Net {
    let mut net = sized(seed);
    let width = 4 + net.below(5);
    let mut x = net.stem(width);
    for stride in [1, 2] {
        let y = net.conv_relu(x, Filter::new(width * stride, 3).stride(stride));
        let y = net.conv(y, Filter::new(width * stride, 3));
        let same = if stride == 1 {
            x
        } else {
            net.conv_q(x, Filter::new(width * stride, 1).stride(stride))
        };
        let y = net.add(y, same);
        let y = net.relu(y);
        x = net.q(y);
    }
    net.head(x)
}

fn bottleneck_of(seed: u64, quantised_before_sum: bool) -> Net {
    let mut net = sized(seed);
    let width = 3 + net.below(4);
    let mut x = net.stem(width);
    for stride in [1, 2, 1] {
        let y = net.conv_relu(x, Filter::new(width, 1));
        let y = net.conv_relu(y, Filter::new(width, 3).stride(stride));
        let mut y = net.conv(y, Filter::new(4 * width, 1));
        if quantised_before_sum {
            y = net.q(y);
        }
        let same = if stride == 1 && net.channels(x) == 4 * width {
            x
        } else {
            net.conv_q(x, Filter::new(4 * width, 1).stride(stride))
        };
        let y = net.add(same, y);
        let y = net.relu(y);
        x = net.q(y);
    }
    net.head(x)
}

pub(crate) fn bottleneck(seed: u64) -> Net {
    bottleneck_of(seed, false)
}

pub(crate) fn bottleneck_ort(seed: u64) -> Net {
    bottleneck_of(seed, true)
}

pub(crate) fn squeeze_excitation(seed: u64) -> Net {
    let mut net = sized(seed);
    let width = 4 * (1 + net.below(2));
    let mut x = net.stem(width);
    for _ in 0..2 {
        let y = net.conv_relu(x, Filter::new(width, 3).groups(2));
        let y = net.conv_q(y, Filter::new(width, 1));
        let gate = net.gate(y);
        let y = net.mul(y, gate);
        let y = net.add(y, x);
        let y = net.relu(y);
        x = net.q(y);
    }
    net.head(x)
}

pub(crate) fn ibn(seed: u64) -> Net {
    let mut net = sized(seed);
    let half = 3 + net.below(3);
    let x = net.stem(2 * half);
    let y = net.conv_q(x, Filter::new(2 * half, 1));
    let slice = |start| Op::Slice {
        axis: 1,
        start,
        end: start + half,
        step: 1,
    };
    let first = net.push1(slice(0), &[y.into()]);
    let second = net.push1(slice(half), &[y.into()]);
    let ones = net.param(Tensor::f32([half], vec![0.6; half]).unwrap());
    let zeros = net.param(Tensor::f32([half], vec![0.1; half]).unwrap());
    let norm = Op::InstanceNorm { epsilon: 1e-5 };
    let first = net.push1(norm, &[first.into(), ones, zeros]);
    let y = net.push1(Op::Concat { axis: 1 }, &[first.into(), second.into()]);
    let y = net.relu(y);
    let y = net.q(y);
    let y = net.conv(y, Filter::new(2 * half, 3));
    let y = net.add(y, x);
    let y = net.relu(y);
    let x = net.q(y);
    net.head(x)
}

/// A block whose four streams share one gate, an average pool, another convolution.
pub(crate) fn osnet(seed: u64) -> Net {
    let mut net = sized(seed);
    let width = 4 * (1 + net.below(2));
    let x = net.stem(width);
    let narrow = net.conv_relu(x, Filter::new(width, 1));
    let mut streams = Vec::new();
    for depth in 1..=4 {
        let mut y = narrow;
        for _ in 0..depth {
            y = net.conv_q(y, Filter::new(width, 1));
            y = net.conv_relu(y, Filter::new(width, 3).groups(width));
        }
        // Streams share their codes.
        let shared = *streams.first().unwrap_or(&y);
        streams.push(net.q_like(y, shared));
    }
    let mut sum = None;
    for &y in &streams {
        let gate = net.gate(y);
        let gated = net.mul(y, gate);
        sum = Some(match sum {
            None => gated,
            Some(sum) => net.add(sum, gated),
        });
    }
    let y = net.q(sum.unwrap());
    let y = net.conv(y, Filter::new(width, 1));
    let y = net.add(y, x);
    let y = net.relu(y);
    let y = net.q(y);
    let halve = Op::AveragePool {
        pool: Pool {
            kernel: [2; 2],
            strides: [2; 2],
            pads: [0; 4],
            ceil_mode: false,
        },
        count_include_pad: true,
    };
    let y = net.push1(halve, &[y.into()]);
    let y = net.q(y);
    let x = net.conv_relu(y, Filter::new(2 * width, 1));
    net.head(x)
}

pub(crate) fn mobilenet(seed: u64) -> Net {
    let mut net = sized(seed);
    let width = 3 + net.below(4);
    let relu6 = Unary::Clip { min: 0.0, max: 6.0 };
    let mut x = net.stem(width);
    for (stride, out) in [(1, width), (2, width + 2), (1, width + 2)] {
        let inner = 3 * net.channels(x);
        let y = net.conv(x, Filter::new(inner, 1));
        let y = net.unary(relu6, y);
        let y = net.q(y);
        let y = net.conv(y, Filter::new(inner, 3).stride(stride).groups(inner));
        let y = net.unary(relu6, y);
        let y = net.q(y);
        let mut y = net.conv(y, Filter::new(out, 1));
        if stride == 1 && net.channels(x) == out {
            y = net.add(x, y);
        }
        x = net.q(y);
    }
    let y = net.conv_q(x, Filter::new(2 * width, 1));
    let y = net.unary(Unary::HardSwish, y);
    let x = net.q(y);
    net.head(x)
}

/// A unit of ShuffleNet: split, a branch, join, shuffle, with codes behind every node.
pub(crate) fn shuffle(seed: u64) -> Net {
    let mut net = sized(seed);
    let half = 3 + net.below(3);
    let x = net.stem(2 * half);
    let split = Op::Split {
        axis: 1,
        sizes: vec![half, half],
    };
    let halves = net.push(split, &[x.into()]);
    let left = net.q_like(halves[0], x);
    let right = net.q_like(halves[1], x);
    let y = net.conv_q(right, Filter::new(half, 3).groups(half));
    let y = net.conv(y, Filter::new(half, 1));
    let y = net.relu(y);
    let right = net.q_like(y, x);
    let y = net.push1(Op::Concat { axis: 1 }, &[left.into(), right.into()]);
    let y = net.q_like(y, x);
    let [_, c, h, w] = net.shape(y)[..] else {
        panic!("an image has four dimensions")
    };
    let dims = |dims: &[usize]| {
        let dims = dims.iter().map(|&dim| Dim::Fixed(dim));
        std::iter::once(Dim::Batch).chain(dims).collect::<Vec<_>>()
    };
    let shape = dims(&[2, c / 2, h, w]);
    let y = net.push1(Op::Reshape { shape }, &[y.into()]);
    let y = if seed.is_multiple_of(2) {
        net.q_like(y, x)
    } else {
        y
    };
    let perm = vec![0, 2, 1, 3, 4];
    let y = net.push1(Op::Transpose { perm }, &[y.into()]);
    let y = if seed.is_multiple_of(2) {
        net.q_like(y, x)
    } else {
        y
    };
    let shape = dims(&[c, h, w]);
    let y = net.push1(Op::Reshape { shape }, &[y.into()]);
    let y = net.q_like(y, x);
    let y = net.conv_relu(y, Filter::new(c, 1));
    net.head(y)
}

/// `alpha = beta = 1`, no operand stored the other way round unless said.
pub(crate) fn gemm(trans_b: bool) -> Op {
    Op::Gemm(Gemm {
        alpha: 1.0,
        beta: 1.0,
        trans_a: false,
        trans_b,
    })
}
