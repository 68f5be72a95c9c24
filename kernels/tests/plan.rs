//! Plans against the networks they were made of: single layers within their rounding of the exact
//! value, whole networks of each family within theirs of the float emulation, and no step that
//! reads what another has overwritten.

#[path = "qdq/net.rs"]
mod net;

use std::collections::HashMap;

use kernels::graph::{Binary, Conv, Op, Pool, Unary, ValueId};
use kernels::plan::{Plan, StepKind};
use kernels::quant::QParams;
use kernels::reference::{self, SlotValue, run_plan};
use kernels::tensor::{Data, Tensor};
use net::{FAMILIES, Filter, Net, gemm, image};

/// What each value of the network is, in float, by name.
fn emulated(net: &Net, pixels: &[u8]) -> HashMap<String, Tensor> {
    let mut values = HashMap::new();
    let image = image(&net.preprocessing, pixels);
    reference::run_with(&net.graph, &image, |id, tensor| {
        values.insert(net.graph.value(id).name.clone(), tensor.clone());
    })
    .unwrap();
    values
}

/// Distance of codes, in steps, from the numbers that they stand for, kept within what codes can
/// say: at most 1/2 if the codes are exactly those of the numbers.
fn distance(codes: &[u8], [h, w, c]: [usize; 3], params: QParams, numbers: &[f32]) -> f64 {
    let mut worst = 0.0f64;
    for (i, &code) in codes.iter().enumerate() {
        let (n, pixel, channel) = (i / (h * w * c), i / c % (h * w), i % c);
        let number = f64::from(numbers[(n * c + channel) * h * w + pixel]);
        let steps = number / f64::from(params.scale) + f64::from(params.zero_point);
        worst = worst.max((f64::from(code) - steps.clamp(0.0, 255.0)).abs());
    }
    worst
}

/// Plans a network of one layer and gives the kinds of its steps and how far codes are from the
/// numbers they were made of.
fn layer(net: &mut Net) -> (Plan, f64) {
    let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
    let pixels = net.pixels(3);
    let numbers = emulated(net, &pixels);
    let mut worst = 0.0f64;
    run_plan(&plan, &pixels, |index, value| {
        let slot = plan.slot(plan.steps()[index].kind.writes()[0]);
        if let (SlotValue::Codes(codes), Some((size, params))) = (value, slot.content.codes()) {
            let numbers = numbers[&slot.name].as_f32().unwrap();
            worst = worst.max(distance(codes, size, params, numbers));
        }
    })
    .unwrap();
    (plan, worst)
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.steps().iter().map(|step| step.kind.name()).collect()
}

fn params(scale: f32, zero_point: u8) -> QParams {
    QParams { scale, zero_point }
}

/// Rounding of the codes, and the f32 rounding of the emulation.
const ROUNDING: f64 = 0.5 + 1e-3;
/// And the integer multipliers of what is added.
const MIXING: f64 = 0.25;

#[test]
fn a_convolution_of_every_form_is_the_rounded_exact_value() {
    struct Case(&'static str, [usize; 2], QParams, Filter);
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
        let (mut net, x) = Net::of_codes(3, size, codes);
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
            let (mut net, x) = Net::of_codes(seed, [6, 5], params(0.015, 90));
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
            let (mut net, x) = Net::of_codes(seed, [7, 5], codes);
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
    struct Case(&'static str, i32, QParams, [(u8, u8); 4]);
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
        let (mut net, x) = Net::of_codes(1, [2, 2], params(1.0, 0));
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
            if let (1, SlotValue::Codes(codes)) = (index, value) {
                found.clone_from(codes);
            }
        })
        .unwrap();
        assert_eq!(found, wanted.map(|(_, code)| code), "{name}");
    }
}

#[test]
fn what_has_no_exact_step_is_float() {
    type Build = fn(&mut Net, ValueId) -> ValueId;
    struct Case(&'static str, Build, &'static [&'static str]);
    let cases = [
        Case(
            "an accumulator beyond 31 bits",
            |net, x| {
                let weight = Tensor::new([1, 3, 1, 1], Data::I8(vec![127; 3])).unwrap();
                let weight = net.dequantised(weight, vec![1.0], 0);
                let bias = Tensor::new([1], Data::I32(vec![i32::MAX])).unwrap();
                let bias = net.dequantised(bias, vec![0.02], 0);
                let y = net.push1(Op::Conv(Conv::pointwise()), &[x.into(), weight, bias]);
                net.q(y)
            },
            &["pixels", "dequantise", "float", "quantise"],
        ),
        Case(
            "weights of -128",
            |net, x| {
                let weight = Tensor::new([1, 3, 1, 1], Data::I8(vec![-128; 3])).unwrap();
                let weight = net.dequantised(weight, vec![0.01], 0);
                let y = net.push1(Op::Conv(Conv::pointwise()), &[x.into(), weight]);
                net.q(y)
            },
            &["pixels", "dequantise", "float", "quantise"],
        ),
        Case(
            "float weights",
            |net, x| {
                let weight = net.param(Tensor::f32([1, 3, 1, 1], vec![0.3, 0.2, 0.1]).unwrap());
                let y = net.push1(Op::Conv(Conv::pointwise()), &[x.into(), weight]);
                net.q(y)
            },
            &["pixels", "dequantise", "float", "quantise"],
        ),
        Case(
            "a float reader of a convolution",
            |net, x| {
                let y = net.conv(x, Filter::new(3, 3));
                let y = net.unary(Unary::Exp, y);
                net.q(y)
            },
            &["pixels", "conv", "float", "quantise"],
        ),
        Case(
            "two readers of a convolution",
            |net, x| {
                let y = net.conv(x, Filter::new(3, 3));
                let a = net.relu(y);
                let a = net.q(a);
                let b = net.q(y);
                let y = net.add(a, b);
                net.q(y)
            },
            &["pixels", "conv", "float", "quantise", "quantise", "sum"],
        ),
        Case(
            "a sum of two convolutions",
            |net, x| {
                let a = net.conv(x, Filter::new(3, 3));
                let b = net.conv(x, Filter::new(3, 1));
                let y = net.add(a, b);
                net.q(y)
            },
            &["pixels", "conv", "conv", "float", "quantise"],
        ),
        Case(
            "a product with a parameter",
            |net, x| {
                let two = net.param(Tensor::scalar(2.0));
                let y = net.push1(Op::Binary(Binary::Mul), &[x.into(), two]);
                net.q(y)
            },
            &["pixels", "dequantise", "float", "quantise"],
        ),
        Case(
            "joined codes of two meanings",
            |net, x| {
                let a = net.quantise(x, params(0.5, 3));
                let y = net.push1(Op::Concat { axis: 1 }, &[x.into(), a.into()]);
                net.q(y)
            },
            &[
                "pixels",
                "table",
                "dequantise",
                "dequantise",
                "float",
                "quantise",
            ],
        ),
        Case(
            "pixels that leave their place",
            |net, x| {
                let perm = vec![0, 1, 3, 2];
                let y = net.push1(Op::Transpose { perm }, &[x.into()]);
                net.q_like(y, x)
            },
            &["pixels", "dequantise", "float", "quantise"],
        ),
    ];
    for Case(name, build, wanted) in cases {
        let (mut net, x) = Net::of_codes(5, [4, 3], params(0.02, 20));
        let y = build(&mut net, x);
        net = net.end(y);
        let (plan, worst) = layer(&mut net);
        assert_eq!(&kinds(&plan)[..wanted.len()], wanted, "{name}");
        // A reader may see numbers that f32 has rounded.
        assert!(worst <= ROUNDING + 1.0, "{name}: {worst}");
    }
}

#[test]
fn a_matrix_product_is_a_convolution_of_one_pixel() {
    for trans_b in [false, true] {
        let (mut net, x) = Net::of_codes(7, [5, 4], params(0.02, 30));
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

#[test]
fn networks_of_every_family_keep_their_embeddings() {
    for family in &FAMILIES {
        for seed in 0..4 {
            let mut net = (family.build)(seed);
            let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
            let pixels = net.pixels(3);
            let input = image(&net.preprocessing, &pixels);
            let wanted = reference::run(&net.graph, &input).unwrap().remove(0);
            let found = run_plan(&plan, &pixels, |_, _| ()).unwrap();
            assert_eq!(found.shape(), wanted.shape());
            let dim = found.shape()[1];
            let rows = |tensor: &Tensor| tensor.as_f32().unwrap().to_vec();
            let (found, wanted) = (rows(&found), rows(&wanted));
            for (found, wanted) in found.chunks(dim).zip(wanted.chunks(dim)) {
                let cosine = cosine(found, wanted);
                assert!(cosine > 0.9995, "{} {seed}: {cosine}", family.name);
            }
            let head = ["mean", "float", "float"];
            let kinds = kinds(&plan);
            let body = &kinds[..kinds.len() - head.len()];
            assert!(kinds.ends_with(&head), "{}: {kinds:?}", family.name);
            if family.exact {
                assert_eq!(plan.exact_until(), body.len(), "{}: {kinds:?}", family.name);
            } else {
                let inside = ["dequantise", "float", "float", "float", "quantise"];
                assert!(inside.iter().all(|kind| body.contains(kind)), "{kinds:?}");
            }
            let batch_of_one: Vec<Vec<f32>> = (pixels.chunks(pixels.len() / 3))
                .map(|crop| rows(&run_plan(&plan, crop, |_, _| ()).unwrap()))
                .collect();
            assert_eq!(
                batch_of_one.concat(),
                found,
                "{}: a batch is its crops",
                family.name
            );
        }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum()
    };
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

#[test]
fn no_step_reads_what_another_has_overwritten() {
    for family in &FAMILIES {
        for seed in 0..8 {
            let net = (family.build)(seed);
            let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
            let mut holders = vec![None; plan.buffers().len()];
            for step in plan.steps() {
                let reads = step.kind.reads();
                for id in &reads {
                    let holder = holders[plan.slot(*id).buffer];
                    assert_eq!(holder, Some(*id), "{} of {}", step.name, family.name);
                }
                for &id in step.kind.writes() {
                    let slot = plan.slot(id);
                    let buffer = plan.buffers()[slot.buffer];
                    assert_eq!(buffer.real, slot.content.codes().is_none());
                    assert!(slot.content.len(1) <= buffer.len);
                    let in_place = reads
                        .iter()
                        .any(|read| plan.slot(*read).buffer == slot.buffer);
                    assert!(!in_place, "{} of {}", step.name, family.name);
                    holders[slot.buffer] = Some(id);
                }
            }
            assert_eq!(
                holders[plan.slot(plan.output()).buffer],
                Some(plan.output())
            );
            // They are reused at all.
            assert!(
                plan.buffers().len() < plan.slots().len() / 2 + 2,
                "{}",
                family.name
            );
        }
    }
}

#[test]
fn a_float_network_is_float_steps() {
    let mut net = Net::new(1, [8, 6]);
    let weight = net.param(Tensor::f32([4, 3, 1, 1], vec![0.25; 12]).unwrap());
    let input = net.graph.input();
    let x = net.push1(Op::Conv(Conv::pointwise()), &[input.into(), weight]);
    let x = net.relu(x);
    let x = net.push1(Op::GlobalAveragePool, &[x.into()]);
    net = net.end(x);
    let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
    assert_eq!(
        kinds(&plan),
        ["normalise", "float", "float", "float", "float"]
    );
    assert_eq!(plan.exact_until(), 0);
    assert_eq!(plan.costs()[1].macs, 4 * 3 * 48);
    let pixels = net.pixels(2);
    let wanted = reference::run(&net.graph, &image(&net.preprocessing, &pixels)).unwrap();
    assert_eq!(run_plan(&plan, &pixels, |_, _| ()).unwrap(), wanted[0]);
}

#[test]
fn costs_are_those_of_the_network() {
    for family in &FAMILIES {
        let net = (family.build)(1);
        let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
        let macs: u64 = plan.costs().iter().map(|cost| cost.macs).sum();
        assert_eq!(macs, net.graph.cost().macs, "{}", family.name);
        let written: Vec<u64> = plan.costs().iter().map(|cost| cost.written).collect();
        assert!(written.iter().all(|&bytes| bytes > 0));
    }
}

#[test]
fn s8_codes_are_u8_codes_moved_by_128() {
    let build = |signed: bool| {
        let mut net = Net::new(1, [6, 4]);
        let input = net.graph.input();
        let scale = net.param(Tensor::scalar(0.02));
        let zero = if signed {
            Data::I8(vec![0])
        } else {
            Data::U8(vec![128])
        };
        let zero = net.param(Tensor::new([], zero).unwrap());
        let axis = 0;
        let q = net.push1(Op::QuantizeLinear { axis }, &[input.into(), scale, zero]);
        let y = net.push1(Op::DequantizeLinear { axis }, &[q.into(), scale, zero]);
        let y = net.relu(y);
        let q = net.push1(Op::QuantizeLinear { axis }, &[y.into(), scale, zero]);
        let y = net.push1(Op::DequantizeLinear { axis }, &[q.into(), scale, zero]);
        let net = net.end(y);
        Plan::new(&net.graph, &net.preprocessing).unwrap()
    };
    let (signed, unsigned) = (build(true), build(false));
    let kinds = |plan: &Plan| {
        plan.steps()
            .iter()
            .map(|step| step.kind.clone())
            .collect::<Vec<_>>()
    };
    assert!(matches!(kinds(&signed)[0], StepKind::Pixels(_)));
    assert_eq!(kinds(&signed), kinds(&unsigned));
}

#[test]
fn what_cannot_be_planned_is_refused_by_name() {
    type Build = fn(&mut Net) -> ValueId;
    struct Case(&'static str, Build, &'static str);
    let cases = [
        Case(
            "a scale a channel",
            |net| {
                let scale = net.param(Tensor::f32([3], vec![0.1; 3]).unwrap());
                let zero = net.param(Tensor::new([3], Data::U8(vec![0; 3])).unwrap());
                let input = net.graph.input();
                let axis = 1;
                net.push1(Op::QuantizeLinear { axis }, &[input.into(), scale, zero])
            },
            "`QuantizeLinear0` (QuantizeLinear): activations have one scale, found [3]",
        ),
        Case(
            "scale of 0",
            |net| {
                let input = net.graph.input();
                net.quantise(input, params(0.0, 0))
            },
            "`QuantizeLinear0` (QuantizeLinear): its scale is 0",
        ),
        Case(
            "two meanings",
            |net| {
                let input = net.graph.input();
                let zero = net.param(Tensor::new([], Data::U8(vec![4])).unwrap());
                let scales = [0.1, 0.2].map(|scale| net.param(Tensor::scalar(scale)));
                let axis = 1;
                let q = net.push1(
                    Op::QuantizeLinear { axis },
                    &[input.into(), scales[0], zero],
                );
                net.push1(Op::DequantizeLinear { axis }, &[q.into(), scales[1], zero])
            },
            "`DequantizeLinear1` (DequantizeLinear): its scale or zero point is not that",
        ),
    ];
    for Case(name, build, wanted) in cases {
        let mut net = Net::new(1, [4, 4]);
        let y = build(&mut net);
        net.graph.output("embedding", y);
        let error = Plan::new(&net.graph, &net.preprocessing)
            .expect_err(name)
            .to_string();
        assert!(error.contains(wanted), "{name}: {error}");
    }
    let net = basic_without_output();
    let error = Plan::new(&net.graph, &net.preprocessing)
        .unwrap_err()
        .to_string();
    assert!(error.contains("the network has 0"), "{error}");
    let mut net = net::basic(1);
    net.preprocessing.height += 1;
    assert!(Plan::new(&net.graph, &net.preprocessing).is_err());
}

fn basic_without_output() -> Net {
    let mut net = net::basic(1);
    net.graph.take_outputs();
    net
}
