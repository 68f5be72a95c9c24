//! Networks of one layer: its quantised values are the exact ones, rounded.

use kernels::plan::Plan;
use kernels::plan::{TensorValue, run_plan};
use network::graph::{Conv, Op, Pool, Unary, ValueId};
use network::quant::QuantParams;
use network::tensor::{Data, Tensor};

use super::net::{Filter, Net, gemm};
use super::{MIXING, ROUNDING, kinds, layer, params};

#[test]
fn a_convolution_of_every_form_is_the_rounded_exact_value() {
    struct Case(&'static str, [usize; 2], QuantParams, Filter);
    let plain = Filter::new(5, 3);
    let cases = [
        Case("3 x 3", [6, 5], params(0.02, 7), plain),
        Case("1 x 1", [4, 3], params(0.02, 0), Filter::new(7, 1)),
        Case("stride", [9, 6], params(0.03, 255), plain.stride(2)),
        Case("dilation", [9, 8], params(0.01, 128), plain.dilation(2)),
        Case(
            "depthwise",
            [5, 5],
            params(0.02, 200),
            Filter::new(3, 3).groups(3),
        ),
        Case(
            "two a group",
            [5, 4],
            params(0.02, 13),
            Filter::new(6, 3).groups(3),
        ),
        Case(
            "7 x 7",
            [8, 9],
            params(0.02, 100),
            Filter::new(4, 7).stride(2),
        ),
        Case("one pixel", [1, 1], params(0.02, 1), plain),
        Case(
            "larger than the image",
            [2, 2],
            params(0.02, 99),
            Filter::new(3, 5),
        ),
    ];
    for Case(name, size, codes, filter) in cases {
        let (mut net, x) = Net::of_values(3, size, codes);
        let y = net.conv(x, filter);
        let y = net.q(y);
        net = net.end(y);
        let (plan, worst) = layer(&mut net);
        assert_eq!(kinds(&plan)[..2], ["pixels", "conv"], "{name}");
        assert_eq!(plan.exact_until(), 2, "{name}");
        assert!(worst <= ROUNDING, "{name}: {worst}");
    }
}

#[test]
fn activations_and_sums_behind_a_convolution_are_part_of_it() {
    type Build = fn(&mut Net, ValueId, ValueId) -> ValueId;
    struct Case(&'static str, Build, f64);
    let cases = [
        Case("relu", |net, _, y| net.relu(y), 0.0),
        Case(
            "clip",
            |net, _, y| {
                net.unary(
                    Unary::Clip {
                        min: -0.5,
                        max: 1.0,
                    },
                    y,
                )
            },
            0.0,
        ),
        Case(
            "leaky",
            |net, _, y| net.unary(Unary::LeakyRelu { alpha: 0.3 }, y),
            0.0,
        ),
        Case(
            "prelu of both signs",
            |net, _, y| {
                let slope = Tensor::f32([3, 1, 1], vec![0.5, -0.25, 0.0]).unwrap();
                let slope = net.param(slope);
                net.push1(Op::PRelu, &[y.into(), slope])
            },
            0.0,
        ),
        Case("residual", |net, x, y| net.add(y, x), MIXING),
        Case(
            "residual first, relu",
            |net, x, y| {
                let y = net.add(x, y);
                net.relu(y)
            },
            MIXING,
        ),
        Case(
            "residual, leaky, clip",
            |net, x, y| {
                let y = net.add(x, y);
                let y = net.unary(Unary::LeakyRelu { alpha: 0.2 }, y);
                net.unary(
                    Unary::Clip {
                        min: -0.2,
                        max: 1.5,
                    },
                    y,
                )
            },
            MIXING,
        ),
    ];
    for Case(name, build, mixing) in cases {
        for seed in 1..4 {
            let (mut net, x) = Net::of_values(seed, [6, 5], params(0.015, 90));
            let y = net.conv(x, Filter::new(3, 3));
            let y = build(&mut net, x, y);
            let y = net.q(y);
            net = net.end(y);
            let (plan, worst) = layer(&mut net);
            assert_eq!(kinds(&plan)[..2], ["pixels", "conv"], "{name}");
            assert_eq!(plan.exact_until(), 2, "{name}");
            assert!(worst <= ROUNDING + mixing, "{name}: {worst}");
        }
    }
}

#[test]
fn dead_channels_are_their_bias() {
    for residual in [false, true] {
        let (mut net, x) = Net::of_values(9, [4, 3], params(0.02, 50));
        let mut weight = vec![0; 9];
        weight[3..6].copy_from_slice(&[100, -127, 30]);
        let weight = Tensor::new([3, 3, 1, 1], Data::I8(weight)).unwrap();
        let weight = net.dequantised(weight, vec![1e-12, 0.01, 1e4], 0);
        let bias = net.param(Tensor::f32([3], vec![1.31, -0.4, -0.77]).unwrap());
        let mut y = net.push1(Op::Conv(Conv::pointwise()), &[x.into(), weight, bias]);
        if residual {
            y = net.add(y, x);
        }
        let y = net.q(y);
        net = net.end(y);
        let (plan, worst) = layer(&mut net);
        assert_eq!(plan.exact_until(), 2, "{residual}");
        assert!(
            worst <= ROUNDING + if residual { MIXING } else { 0.0 },
            "{residual}: {worst}"
        );
    }
}

#[test]
fn other_steps_are_the_rounded_exact_value() {
    type Build = fn(&mut Net, ValueId) -> ValueId;
    struct Case(&'static str, Build, &'static str, f64);
    let cases = [
        Case(
            "max pool",
            |net, x| {
                let pool = Pool {
                    kernel: [3; 2],
                    strides: [2; 2],
                    pads: [1; 4],
                    ceil_mode: true,
                };
                let y = net.push1(Op::MaxPool(pool), &[x.into()]);
                net.q_like(y, x)
            },
            "max-pool",
            0.0,
        ),
        Case(
            "average, padding counts",
            |net, x| {
                let pool = Pool {
                    kernel: [3, 2],
                    strides: [2, 1],
                    pads: [1, 0, 1, 1],
                    ceil_mode: true,
                };
                let y = net.push1(
                    Op::AveragePool {
                        pool,
                        count_include_pad: true,
                    },
                    &[x.into()],
                );
                net.q(y)
            },
            "average",
            0.0,
        ),
        Case(
            "average of pixels",
            |net, x| {
                let pool = Pool {
                    kernel: [3, 2],
                    strides: [2, 1],
                    pads: [1, 0, 1, 1],
                    ceil_mode: true,
                };
                let y = net.push1(
                    Op::AveragePool {
                        pool,
                        count_include_pad: false,
                    },
                    &[x.into()],
                );
                let y = net.relu(y);
                net.q(y)
            },
            "average",
            0.0,
        ),
        Case(
            "mean",
            |net, x| {
                let y = net.push1(Op::GlobalAveragePool, &[x.into()]);
                net.q(y)
            },
            "average",
            0.0,
        ),
        Case(
            "sigmoid",
            |net, x| {
                let y = net.unary(Unary::Sigmoid, x);
                net.q(y)
            },
            "table",
            0.0,
        ),
        Case(
            "hard swish, clip",
            |net, x| {
                let y = net.unary(Unary::HardSwish, x);
                let y = net.unary(Unary::Clip { min: 0.0, max: 1.0 }, y);
                net.q(y)
            },
            "table",
            0.0,
        ),
        Case(
            "other codes",
            |net, x| net.quantise(x, params(0.0173, 90)),
            "table",
            0.0,
        ),
        Case(
            "sum of two",
            |net, x| {
                let a = net.quantise(x, params(0.031, 77));
                let y = net.add(a, x);
                let y = net.relu(y);
                net.q(y)
            },
            "sum",
            0.02,
        ),
        Case(
            "twice itself",
            |net, x| {
                let y = net.add(x, x);
                net.q(y)
            },
            "sum",
            0.02,
        ),
        Case(
            "prelu of codes",
            |net, x| {
                let slope = Tensor::f32([3, 1, 1], vec![0.5, -0.25, 1.5]).unwrap();
                let slope = net.param(slope);
                let y = net.push1(Op::PRelu, &[x.into(), slope]);
                net.q(y)
            },
            "sum",
            0.02,
        ),
        Case(
            "square",
            |net, x| {
                let y = net.mul(x, x);
                net.q(y)
            },
            "sum",
            0.0,
        ),
        Case(
            "gated",
            |net, x| {
                let gate = net.gate(x);
                let y = net.mul(gate, x);
                net.q(y)
            },
            "sum",
            0.0,
        ),
        Case(
            "gated, residual, relu",
            |net, x| {
                let gate = net.gate(x);
                let y = net.mul(x, gate);
                let y = net.add(x, y);
                let y = net.relu(y);
                net.q(y)
            },
            "sum",
            MIXING,
        ),
        Case(
            "pad",
            |net, x| {
                let pads = vec![(0, 0), (1, 0), (2, 1), (0, 3)];
                let y = net.push1(Op::Pad { pads, value: 0.0 }, &[x.into()]);
                net.q_like(y, x)
            },
            "pad",
            0.0,
        ),
        Case(
            "rows",
            |net, x| {
                let slice = Op::Slice {
                    axis: 2,
                    start: 1,
                    end: 6,
                    step: 2,
                };
                let y = net.push1(slice, &[x.into()]);
                net.q_like(y, x)
            },
            "crop",
            0.0,
        ),
        Case(
            "columns",
            |net, x| {
                let split = Op::Split {
                    axis: 3,
                    sizes: vec![2, 3],
                };
                let y = net.push(split, &[x.into()]);
                let y = net.push1(Op::Concat { axis: 1 }, &[y[0].into(), y[0].into()]);
                net.q_like(y, x)
            },
            "channels",
            0.0,
        ),
        Case(
            "channels backwards",
            |net, x| {
                let one = |start| Op::Slice {
                    axis: 1,
                    start,
                    end: start + 1,
                    step: 1,
                };
                let parts = [2, 1, 0].map(|start| net.push1(one(start), &[x.into()]).into());
                let y = net.push1(Op::Concat { axis: 1 }, &parts);
                net.q_like(y, x)
            },
            "channels",
            0.0,
        ),
    ];
    for Case(name, build, kind, slack) in cases {
        for (seed, codes) in [
            (1, params(0.02, 7)),
            (2, params(0.03, 128)),
            (3, params(0.01, 0)),
        ] {
            let (mut net, x) = Net::of_values(seed, [7, 5], codes);
            let y = build(&mut net, x);
            net = net.end(y);
            let (plan, worst) = layer(&mut net);
            assert!(kinds(&plan).contains(&kind), "{name}: {:?}", kinds(&plan));
            // The codes are exact up to the flattening at the end.
            assert!(
                plan.exact_until() + 2 >= plan.steps().len(),
                "{name}: {:?}",
                kinds(&plan)
            );
            // Where codes feed a gate the emulation rounds its own way now and then.
            let slack = slack + if name.starts_with("gated") { 1.0 } else { 0.0 };
            assert!(worst <= ROUNDING + slack, "{name}: {worst}");
        }
    }
}

#[test]
fn halves_go_to_even_and_ends_saturate() {
    // Codes 0 to 255 through a weight of 1 and a bias, two units to a step.
    struct Case(&'static str, i32, QuantParams, [(u8, u8); 4]);
    let cases = [
        Case(
            "halves",
            0,
            params(2.0, 0),
            [(1, 0), (3, 2), (5, 2), (7, 4)],
        ),
        Case(
            "zero point",
            0,
            params(2.0, 1),
            [(1, 1), (3, 3), (5, 3), (7, 5)],
        ),
        Case(
            "below zero",
            -8,
            params(2.0, 4),
            [(1, 0), (3, 2), (5, 2), (7, 4)],
        ),
        Case(
            "top",
            500,
            params(2.0, 0),
            [(0, 250), (9, 254), (10, 255), (255, 255)],
        ),
        Case(
            "bottom",
            -500,
            params(2.0, 9),
            [(0, 0), (255, 0), (1, 0), (7, 0)],
        ),
        Case(
            "near 2^31",
            i32::MAX - 255,
            params(2.0, 0),
            [(0, 255), (255, 255), (1, 255), (7, 255)],
        ),
        Case(
            "near -2^31",
            -i32::MAX,
            params(2.0, 0),
            [(0, 0), (255, 0), (1, 0), (7, 0)],
        ),
    ];
    for Case(name, bias, out, wanted) in cases {
        let (mut net, x) = Net::of_values(1, [2, 2], params(1.0, 0));
        let weight = Tensor::new([1, 3, 1, 1], Data::I8(vec![1, 0, 0])).unwrap();
        let weight = net.dequantised(weight, vec![1.0], 0);
        let bias = net.dequantised(
            Tensor::new([1], Data::I32(vec![bias])).unwrap(),
            vec![1.0],
            0,
        );
        let y = net.push1(Op::Conv(Conv::pointwise()), &[x.into(), weight, bias]);
        let y = net.quantise(y, out);
        net = net.end(y);
        let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
        assert_eq!(plan.exact_until(), 2, "{name}");
        let pixels: Vec<u8> = wanted
            .iter()
            .flat_map(|&(code, _)| [code, 3, 200])
            .collect();
        let mut found = Vec::new();
        run_plan(&plan, &pixels, |index, value| {
            if let (1, TensorValue::Quantised(codes)) = (index, value) {
                found.clone_from(codes);
            }
        })
        .unwrap();
        assert_eq!(found, wanted.map(|(_, code)| code), "{name}");
    }
}

#[test]
fn a_matrix_product_is_a_convolution_of_one_pixel() {
    for trans_b in [false, true] {
        let (mut net, x) = Net::of_values(7, [5, 4], params(0.02, 30));
        let y = net.push1(Op::GlobalAveragePool, &[x.into()]);
        let y = net.push1(Op::Flatten { axis: 1 }, &[y.into()]);
        let y = net.q(y);
        let (shape, axis) = if trans_b { ([5, 3], 0) } else { ([3, 5], 1) };
        let weight: Vec<i8> = (0..15).map(|i| (i * 37 % 255 - 127) as i8).collect();
        let weight = Tensor::new(shape, Data::I8(weight)).unwrap();
        let scale = vec![0.01, 0.02, 0.005, 0.01, 0.03];
        let weight = net.dequantised(weight, scale, axis);
        let bias = net.param(Tensor::f32([5], vec![0.1, -0.2, 0.0, 0.3, 1.0]).unwrap());
        let y = net.push1(gemm(trans_b), &[y.into(), weight, bias]);
        let y = net.q(y);
        net.graph.output("embedding", y);
        let (plan, worst) = layer(&mut net);
        let wanted = ["pixels", "mean", "float", "quantise", "conv", "dequantise"];
        assert_eq!(kinds(&plan), wanted);
        assert!(worst <= ROUNDING, "{worst}");
    }
}
