//! Small random networks in QDQ form, built node by node: each value is quantised at the range it
//! has on one random batch.

#![allow(
    dead_code,
    reason = "each test that includes this file builds other networks"
)]

mod families;

use std::collections::HashMap;

use network::graph::{Binary, Conv, Dim, Gemm, Graph, Op, Operand, Pool, Unary, ValueId};
use network::metadata::Preprocessing;
use network::quant::QuantParams;
use network::reference;
use network::tensor::{Data, Tensor};

pub(crate) use families::FAMILIES;

/// Crops in the batch that ranges come from.
pub(crate) const BATCH: usize = 2;

/// A network that grows, and what its values are on one batch.
pub(crate) struct Net {
    pub(crate) graph: Graph,
    pub(crate) preprocessing: Preprocessing,
    tensors: HashMap<ValueId, Tensor>,
    params: HashMap<ValueId, QuantParams>,
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

    /// A network whose pixels are the quantised values of its input with these parameters.
    pub(crate) fn of_values(
        seed: u64,
        [height, width]: [usize; 2],
        params: QuantParams,
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

    /// Quantisation parameters of a dequantised value.
    pub(crate) fn params_of(&self, x: ValueId) -> QuantParams {
        self.params[&x]
    }

    /// Whether a value is dequantised.
    pub(crate) fn is_quantised(&self, x: ValueId) -> bool {
        self.params.contains_key(&x)
    }

    /// Whether an operator can read a value.
    pub(crate) fn fits(&self, op: &Op, x: ValueId) -> bool {
        self.graph
            .clone()
            .push("trial", op.clone(), [x.into()])
            .is_ok()
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
        self.quantise(x, QuantParams { scale, zero_point })
    }

    /// Quantises a value with the parameters of another, and dequantises it.
    pub(crate) fn q_like(&mut self, x: ValueId, like: ValueId) -> ValueId {
        self.quantise(x, self.params[&like])
    }

    pub(crate) fn quantise(&mut self, x: ValueId, params: QuantParams) -> ValueId {
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

    /// Convolution, ReLU, quantised.
    pub(crate) fn conv_relu(&mut self, x: ValueId, filter: Filter) -> ValueId {
        let y = self.conv(x, filter);
        let y = self.relu(y);
        self.q(y)
    }

    /// Convolution, quantised.
    pub(crate) fn conv_q(&mut self, x: ValueId, filter: Filter) -> ValueId {
        let y = self.conv(x, filter);
        self.q(y)
    }

    /// Mean of all pixels, squeezed to fewer channels and back, a sigmoid: quantised `[N, C, 1, 1]`.
    pub(crate) fn gate(&mut self, x: ValueId) -> ValueId {
        let channels = self.channels(x);
        let y = self.push1(Op::GlobalAveragePool, &[x.into()]);
        let y = self.q(y);
        let y = self.conv_relu(y, Filter::new((channels / 4).max(1), 1));
        let y = self.conv_q(y, Filter::new(channels, 1));
        let y = self.unary(Unary::Sigmoid, y);
        let unit = QuantParams {
            scale: 1.0 / 255.0,
            zero_point: 0,
        };
        self.quantise(y, unit)
    }

    /// The quantised input, a convolution, a pool.
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
    let normaliser = network::preprocess::Normaliser::new(preprocessing).unwrap();
    let mut planes = vec![0.0; pixels.len()];
    for (crop, planes) in pixels.chunks(size).zip(planes.chunks_mut(size)) {
        normaliser.fill(crop, planes).unwrap();
    }
    Tensor::f32([pixels.len() / size, 3, height, width], planes).unwrap()
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
