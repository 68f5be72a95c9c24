//! What becomes an exact step, what a float one, and what is refused.

use kernels::plan::run_plan;
use kernels::plan::{Plan, StepKind};
use network::graph::{Binary, Conv, Op, Unary, ValueId};
use network::reference;
use network::tensor::{Data, Tensor};

use super::net::{FAMILIES, Filter, Net, image};
use super::{ROUNDING, kinds, layer, params};

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
                net.quantise(y, params(0.05, 3))
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
            "joined tensors of two scales",
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
        let (mut net, x) = Net::of_values(5, [4, 3], params(0.02, 20));
        let y = build(&mut net, x);
        net = net.end(y);
        let (plan, worst) = layer(&mut net);
        assert_eq!(&kinds(&plan)[..wanted.len()], wanted, "{name}");
        // A reader may see numbers that f32 has rounded.
        assert!(worst <= ROUNDING + 1.0, "{name}: {worst}");
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
    let pixels = net.pixels(2);
    let wanted = reference::run(&net.graph, &image(&net.preprocessing, &pixels)).unwrap();
    assert_eq!(run_plan(&plan, &pixels, |_, _| ()).unwrap(), wanted[0]);
}

#[test]
fn s8_values_are_u8_values_moved_by_128() {
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
fn scales_may_be_dequantised_themselves_a_thousand_deep() {
    let (mut net, x) = Net::of_values(1, [4, 3], params(0.02, 20));
    let one = || Tensor::new([1], Data::I8(vec![1])).unwrap();
    let mut scale = net.param(Tensor::f32([1], vec![0.01]).unwrap());
    for _ in 0..1000 {
        let integer = net.param(one());
        let axis = 0;
        scale = net
            .push1(Op::DequantizeLinear { axis }, &[integer, scale])
            .into();
    }
    let weight = Tensor::new([3, 3, 1, 1], Data::I8(vec![77; 9])).unwrap();
    let weight = net.param(weight);
    let axis = 0;
    let weight = net.push1(Op::DequantizeLinear { axis }, &[weight, scale]);
    let y = net.push1(Op::Conv(Conv::pointwise()), &[x.into(), weight.into()]);
    let y = net.q(y);
    net = net.end(y);
    let (plan, worst) = layer(&mut net);
    assert_eq!(kinds(&plan)[..2], ["pixels", "conv"]);
    assert!(worst <= ROUNDING, "{worst}");
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
            "two scales",
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
    let mut net = (FAMILIES[0].build)(1);
    net.preprocessing.height += 1;
    let refused = |net: &Net| {
        let plan = Plan::new(&net.graph, &net.preprocessing);
        plan.unwrap_err().to_string()
    };
    assert!(refused(&net).contains("its pre-processing gives"));
    net.graph.take_outputs();
    assert!(refused(&net).contains("the network has 0"));
}
