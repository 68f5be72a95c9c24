//! Random operators on every instruction set and several numbers of threads, against the reference.

use super::*;
use network::graph::{Binary, Conv, Gemm, Pool, Unary};
use network::tensor::Data;

/// Random numbers (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Numbers of -1 to 1, a few of them larger.
    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let mut number = || {
            let number = self.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0;
            if self.below(50) == 0 {
                number * 40.0
            } else {
                number
            }
        };
        let numbers: Vec<f32> = (0..count).map(|_| number()).collect();
        Tensor::f32(shape, numbers).unwrap()
    }

    /// Positive numbers.
    fn scales(&mut self, shape: &[usize]) -> Tensor {
        let mut tensor = self.tensor(shape);
        for x in tensor.as_f32_mut().unwrap() {
            *x = x.abs() + 0.01;
        }
        tensor
    }

    fn bytes(&mut self, shape: &[usize]) -> Vec<u8> {
        let count = shape.iter().product();
        (0..count).map(|_| self.below(256) as u8).collect()
    }

    /// Height and width, often multiples of 4 and 8, which have ways of their own.
    fn extents(&mut self) -> [usize; 2] {
        [
            self.one_of(&[1, 2, 5, 8]),
            self.one_of(&[1, 3, 4, 7, 8, 16, 19, 32]),
        ]
    }

    fn conv(&mut self) -> (Op, Vec<Tensor>) {
        let groups = self.one_of(&[1, 1, 2, 3]);
        let [group_channels, filters] = match self.below(3) {
            0 => [1, self.one_of(&[1, 2])],
            1 => [self.one_of(&[3, 16]), self.one_of(&[1, 6, 13])],
            _ => [self.one_of(&[64, 300]), self.one_of(&[5, 24])],
        };
        let kernel = [self.one_of(&[1, 2, 3]), self.one_of(&[1, 1, 3, 5])];
        let conv = Conv {
            strides: [self.one_of(&[1, 1, 2, 3]), self.one_of(&[1, 1, 2])],
            pads: [0; 4].map(|_| self.one_of(&[0, 1, 2])),
            dilations: [1, 1].map(|_| self.one_of(&[1, 1, 2])),
            groups,
        };
        let [height, width] = self.extents();
        let batch = self.one_of(&[1, 1, 2, 7]);
        let mut inputs = vec![
            self.tensor(&[batch, groups * group_channels, height + 4, width + 4]),
            self.tensor(&[groups * filters, group_channels, kernel[0], kernel[1]]),
        ];
        if self.below(3) > 0 {
            inputs.push(self.tensor(&[groups * filters]));
        }
        (Op::Conv(conv), inputs)
    }

    fn matrix(&mut self) -> (Op, Vec<Tensor>) {
        let [n, k, m] = [
            self.one_of(&[1, 5, 13]),
            self.one_of(&[1, 7, 300]),
            self.one_of(&[1, 16, 33, 70]),
        ];
        if self.below(3) == 0 {
            let stack = self.one_of(&[&[2usize, 3][..], &[]]);
            let a = [stack, &[n, k]].concat();
            return (Op::MatMul, vec![self.tensor(&a), self.tensor(&[k, m])]);
        }
        let gemm = Gemm {
            alpha: self.one_of(&[1.0, 0.5]),
            beta: self.one_of(&[1.0, -2.0]),
            trans_a: self.below(2) == 0,
            trans_b: self.below(2) == 0,
        };
        let mut inputs = vec![
            self.tensor(&if gemm.trans_a { [k, n] } else { [n, k] }),
            self.tensor(&if gemm.trans_b { [m, k] } else { [k, m] }),
        ];
        let c = [vec![], vec![m], vec![n, 1], vec![1, m], vec![n, m]];
        let c = &c[self.below(5)];
        if self.below(3) > 0 {
            inputs.push(self.tensor(c));
        }
        (Op::Gemm(gemm), inputs)
    }

    fn image(&mut self) -> Vec<usize> {
        let [height, width] = self.extents();
        vec![
            self.one_of(&[1, 3]),
            self.one_of(&[1, 5, 40]),
            height,
            width,
        ]
    }

    /// Operators that are functions of each element or of windows: equal, or within an f32 or two.
    fn other(&mut self) -> (Op, Vec<Tensor>) {
        let shape = self.image();
        let x = self.tensor(&shape);
        let channels = shape[1];
        match self.below(9) {
            0 => {
                let unary = self.one_of(&[
                    Unary::Relu,
                    Unary::LeakyRelu { alpha: 0.1 },
                    Unary::HardSwish,
                    Unary::Sigmoid,
                    Unary::Clip {
                        min: -0.5,
                        max: 6.0,
                    },
                ]);
                (Op::Unary(unary), vec![x])
            }
            1 => {
                let other = self.one_of(&[0, 1, 2, 3, 4, 5]);
                let of = [
                    shape.clone(),
                    vec![shape[0], channels, 1, 1],
                    vec![1, channels, 1, 1],
                    vec![],
                    vec![shape[3]],
                    vec![shape[2], 1],
                ];
                let binary = self.one_of(&[
                    Binary::Add,
                    Binary::Sub,
                    Binary::Mul,
                    Binary::Div,
                    Binary::Pow,
                ]);
                let other = self.scales(&of[other]);
                let mut inputs = vec![x, other];
                if self.below(2) == 0 && binary != Binary::Div {
                    inputs.swap(0, 1);
                }
                (Op::Binary(binary), inputs)
            }
            2 => {
                let slope = self.tensor(&[channels, 1, 1]);
                (Op::PRelu, vec![x, slope])
            }
            3 => {
                let mut inputs = vec![x];
                inputs.extend((0..3).map(|_| self.tensor(&[channels])));
                inputs.push(self.scales(&[channels]));
                (Op::BatchNorm { epsilon: 1e-5 }, inputs)
            }
            4 => {
                let (scale, bias) = (self.tensor(&[channels]), self.tensor(&[channels]));
                (Op::InstanceNorm { epsilon: 1e-5 }, vec![x, scale, bias])
            }
            5 => (Op::GlobalAveragePool, vec![x]),
            6 => {
                let kernel = [0, 0].map(|_| self.one_of(&[1, 2, 3]));
                let pads = [0; 4].map(|_| self.one_of(&[0, 1]));
                let pool = Pool {
                    kernel,
                    strides: [1, 1].map(|_| self.one_of(&[1, 2])),
                    pads: [0, 1, 2, 3].map(|i| pads[i].min(kernel[i % 2] - 1)),
                    ceil_mode: self.below(2) == 0,
                };
                let average = Op::AveragePool {
                    pool: pool.clone(),
                    count_include_pad: self.below(2) == 0,
                };
                (
                    if self.below(2) == 0 {
                        average
                    } else {
                        Op::MaxPool(pool)
                    },
                    vec![x],
                )
            }
            choice => {
                let axis = 1;
                let of = if self.below(2) == 0 {
                    vec![]
                } else {
                    vec![channels]
                };
                let scale = self.scales(&of);
                let zero_points = self.bytes(&of);
                let signed = |bytes: Vec<u8>| bytes.iter().map(|&b| b as i8).collect();
                let typed: &dyn Fn(Vec<u8>) -> Data = match self.below(2) {
                    0 => &Data::U8,
                    _ => &|bytes| Data::I8(signed(bytes)),
                };
                let zero_point = Tensor::new(of, typed(zero_points)).unwrap();
                if choice == 7 {
                    return (Op::QuantizeLinear { axis }, vec![x, scale, zero_point]);
                }
                let codes = self.bytes(&shape);
                let x = Tensor::new(shape, typed(codes)).unwrap();
                (Op::DequantizeLinear { axis }, vec![x, scale, zero_point])
            }
        }
    }
}

/// The reference, or what differs. `bound` is the same operator on magnitudes: how large the numbers
/// are that were summed up.
fn compare(op: &Op, inputs: &[Tensor], steps: f32, cpus: &[Cpu]) {
    let refs: Vec<&Tensor> = inputs.iter().collect();
    let wanted = reference::eval("node", op, &refs);
    let mut first: Option<(Isa, Vec<Tensor>)> = None;
    for cpu in cpus {
        let found = cpu.eval("node", op, &refs);
        let case = || {
            let shapes: Vec<_> = inputs.iter().map(Tensor::shape).collect();
            format!(
                "{op:?} of {shapes:?}, {:?}, {} threads",
                cpu.isa,
                cpu.threads()
            )
        };
        let (found, wanted) = match (found, &wanted) {
            (Ok(found), Ok(wanted)) => (found, wanted),
            (Err(found), Err(wanted)) => {
                assert_eq!(found.to_string(), wanted.to_string(), "{}", case());
                continue;
            }
            (found, wanted) => panic!("{}: {found:?}, wanted {wanted:?}", case()),
        };
        let size = match op {
            Op::Conv(_) | Op::Gemm(_) | Op::MatMul => {
                let magnitudes: Vec<Tensor> = inputs.iter().map(magnitude).collect();
                let magnitudes: Vec<&Tensor> = magnitudes.iter().collect();
                let op = match op {
                    Op::Gemm(gemm) => Op::Gemm(Gemm {
                        beta: gemm.beta.abs(),
                        ..gemm.clone()
                    }),
                    op => op.clone(),
                };
                reference::eval("size", &op, &magnitudes).unwrap()
            }
            _ => wanted.iter().map(magnitude).collect(),
        };
        for ((found, wanted), size) in found.iter().zip(wanted).zip(&size) {
            assert_eq!(found.shape(), wanted.shape(), "{}", case());
            match (found.as_f32(), wanted.as_f32(), size.as_f32()) {
                (Some(found), Some(wanted), Some(size)) => {
                    for ((found, wanted), size) in found.iter().zip(wanted).zip(size) {
                        let off = (found - wanted).abs();
                        assert!(
                            off <= steps * 2f32.powi(-24) * size.max(1.0)
                                || found.is_nan() && wanted.is_nan(),
                            "{}: {found}, wanted {wanted} of {size}",
                            case()
                        );
                    }
                }
                _ => assert_eq!(found, wanted, "{}", case()),
            }
        }
        // Threads change no bit; instruction sets may.
        match &first {
            Some((isa, first)) if *isa == cpu.isa => assert!(same(&found, first), "{}", case()),
            _ => first = Some((cpu.isa, found)),
        }
    }
}

/// Bit by bit, so that a NaN is itself.
fn same(a: &[Tensor], b: &[Tensor]) -> bool {
    a.iter()
        .zip(b)
        .all(|(a, b)| match (a.as_f32(), b.as_f32()) {
            (Some(a), Some(b)) => a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits()),
            _ => a == b,
        })
}

fn magnitude(tensor: &Tensor) -> Tensor {
    let mut tensor = tensor.clone();
    if let Some(values) = tensor.as_f32_mut() {
        values.iter_mut().for_each(|x| *x = x.abs());
    }
    tensor
}

fn cpus() -> Vec<Cpu> {
    Isa::all()
        .flat_map(|isa| [1, 3].map(|threads| Cpu::with(threads, isa)))
        .collect()
}

#[test]
fn random_convolutions_agree_with_the_reference() {
    let (cpus, mut random) = (cpus(), Random(0x9e37_79b9_7f4a_7c15));
    for _ in 0..150 {
        let (op, inputs) = random.conv();
        compare(&op, &inputs, 300.0, &cpus);
    }
}

#[test]
fn random_products_agree_with_the_reference() {
    let (cpus, mut random) = (cpus(), Random(0x1234_5678_9abc_def1));
    for _ in 0..150 {
        let (op, inputs) = random.matrix();
        compare(&op, &inputs, 300.0, &cpus);
    }
}

#[test]
fn other_random_operators_agree_with_the_reference() {
    let (cpus, mut random) = (cpus(), Random(0x0fed_cba9_8765_4321));
    for _ in 0..600 {
        let (op, inputs) = random.other();
        // A mean or a factor rounded to f32 before it is used.
        let steps = match op {
            Op::InstanceNorm { .. } | Op::BatchNorm { .. } => 40.0,
            _ => 3.0,
        };
        compare(&op, &inputs, steps, &cpus);
    }
}

/// Weights as a quantised file has them are computed once; every value is shown as the reference
/// shows it.
#[test]
fn every_value_of_a_graph_is_shown() {
    let mut random = Random(77);
    let mut graph = Graph::new("net", "images", [3, 9, 8]);
    let weight = Tensor::new([4, 3, 3, 3], Data::I8(vec![3; 108])).unwrap();
    let weight = graph.param("w", weight);
    let scale = graph.param("s", random.scales(&[4]));
    let quantised = Op::DequantizeLinear { axis: 0 };
    let weight = graph
        .push1("dq", quantised, [weight.into(), scale.into()])
        .unwrap();
    let input = graph.input();
    let conv = Op::Conv(Conv::pointwise());
    let x = graph
        .push1("conv", conv, [input.into(), weight.into()])
        .unwrap();
    let halves = Op::Split {
        axis: 1,
        sizes: vec![1, 3],
    };
    let halves = graph.push("split", halves, [x.into()]).unwrap();
    let x = graph
        .push1("relu", Op::Unary(Unary::Relu), [halves[1].into()])
        .unwrap();
    graph.output("x", x);
    graph.output("w", weight);
    let images = random.tensor(&[2, 3, 9, 8]);

    let cpu = Cpu::new(2);
    let (mut found, mut wanted) = (Vec::new(), Vec::new());
    let seen = |list: &mut Vec<_>, id, tensor: &Tensor| list.push((id, tensor.shape().to_vec()));
    let ours = (cpu.prepare(&graph)).run_with(&images, |id, tensor| seen(&mut found, id, tensor));
    let theirs = reference::run_with(&graph, &images, |id, tensor| seen(&mut wanted, id, tensor));
    assert_eq!(found, wanted);
    assert_eq!(found.len(), graph.values().len());
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(ours[1], theirs[1]);
    for (a, b) in ours[0]
        .as_f32()
        .unwrap()
        .iter()
        .zip(theirs[0].as_f32().unwrap())
    {
        assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{a} {b}");
    }

    let wrong = Tensor::zeros([2, 3, 9, 9]).unwrap();
    let ours = cpu.run(&graph, &wrong).unwrap_err().to_string();
    assert_eq!(
        ours,
        reference::run(&graph, &wrong).unwrap_err().to_string()
    );
}
