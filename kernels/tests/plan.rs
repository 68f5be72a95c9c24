//! Plans against the networks they were made of: single layers within their rounding of the exact
//! value, whole networks of each family within theirs of the float emulation, and no step that
//! reads what another has overwritten.

#[path = "plan/form.rs"]
mod form;
#[path = "plan/layers.rs"]
mod layers;
#[path = "qdq/net.rs"]
mod net;
#[path = "plan/random.rs"]
mod random;

use std::collections::HashMap;

use kernels::plan::Plan;
use kernels::plan::{TensorKind, TensorValue, run_plan};
use net::{FAMILIES, Net, image};
use network::graph::{Op, Operand};
use network::quant::QuantParams;
use network::reference;
use network::tensor::{Data, Tensor};

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
fn distance(codes: &[u8], [h, w, c]: [usize; 3], params: QuantParams, numbers: &[f32]) -> f64 {
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
        let view = plan.tensor(plan.steps()[index].outputs[0]);
        if let (TensorValue::Quantised(codes), &TensorKind::Quantised { size, params }) =
            (value, &view.kind)
        {
            let numbers = numbers[&view.name].as_f32().unwrap();
            worst = worst.max(distance(codes, size, params, numbers));
        }
    })
    .unwrap();
    (plan, worst)
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.steps().iter().map(|step| step.kind.name()).collect()
}

fn params(scale: f32, zero_point: u8) -> QuantParams {
    QuantParams { scale, zero_point }
}

/// Rounding of the codes, and the f32 rounding of the emulation.
const ROUNDING: f64 = 0.5 + 1e-3;
/// And the integer multipliers of what is added.
const MIXING: f64 = 0.25;

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

/// Largest distance of the quantised values of each step from the exact result of the values before it, and
/// the exact output.
fn step_by_step(net: &Net, plan: &Plan, pixels: &[u8]) -> (f64, Tensor) {
    let batch = pixels.len() / (3 * plan.image()[0] * plan.image()[1]);
    let mut written = HashMap::new();
    run_plan(plan, pixels, |index, value| {
        let view = plan.tensor(plan.steps()[index].outputs[0]);
        if let (TensorValue::Quantised(codes), &TensorKind::Quantised { size, params }) =
            (value, &view.kind)
        {
            // A value may be quantised with two sets of parameters.
            let key = (view.name.clone(), params.scale.to_bits(), params.zero_point);
            written.insert(key, (codes.clone(), size, params));
        }
    })
    .unwrap();
    let graph = &net.graph;
    let mut worst = 0.0f64;
    let mut values = HashMap::from([(graph.input(), image(&net.preprocessing, pixels))]);
    for node in graph.nodes() {
        let inputs: Vec<&Tensor> = (node.inputs.iter())
            .map(|operand| match operand {
                Operand::Value(id) => &values[id],
                Operand::Param(id) => graph.tensor(*id),
            })
            .collect();
        let mut outputs = match &node.op {
            Op::Reshape { shape } => {
                let shape: Vec<usize> = shape.iter().map(|dim| dim.for_batch(batch)).collect();
                vec![inputs[0].clone().reshaped(shape).unwrap()]
            }
            op => reference::eval(&node.name, op, &inputs).unwrap(),
        };
        if let (Op::QuantizeLinear { .. }, Operand::Value(x)) = (&node.op, node.inputs[0])
            && let (scale, Data::U8(zero)) = (inputs[1].as_f32_scalar(), inputs[2].data())
            && let key = (
                graph.value(x).name.clone(),
                scale.unwrap().to_bits(),
                zero[0],
            )
            && let Some((codes, size, params)) = written.get(&key)
        {
            let numbers = inputs[0].as_f32().unwrap();
            worst = worst.max(distance(codes, *size, *params, numbers));
            let [h, w, c] = *size;
            let planes = (0..codes.len())
                .map(|i| (i / (c * h * w), i / (h * w) % c, i % (h * w)))
                .map(|(n, channel, pixel)| codes[(n * h * w + pixel) * c + channel]);
            let planes = Data::U8(planes.collect());
            outputs = vec![Tensor::new(outputs[0].shape(), planes).unwrap()];
        }
        values.extend(node.outputs.iter().copied().zip(outputs));
    }
    (worst, values[&graph.outputs()[0].value].clone())
}

#[test]
fn every_step_of_a_network_is_the_rounded_exact_value_of_those_before_it() {
    for family in &FAMILIES {
        for seed in 0..12 {
            let mut net = (family.build)(seed);
            let plan = Plan::new(&net.graph, &net.preprocessing).unwrap();
            let pixels = net.pixels(2);
            let (worst, wanted) = step_by_step(&net, &plan, &pixels);
            assert!(
                worst <= ROUNDING + MIXING,
                "{} {seed}: {worst}",
                family.name
            );
            let found = run_plan(&plan, &pixels, |_, _| ()).unwrap();
            let cosine = cosine(found.as_f32().unwrap(), wanted.as_f32().unwrap());
            assert!(cosine > 0.999_999, "{} {seed}: {cosine}", family.name);
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
                let reads = &step.inputs;
                for id in reads {
                    let holder = holders[plan.tensor(*id).buffer];
                    assert_eq!(holder, Some(*id), "{} of {}", step.name, family.name);
                }
                for &id in &step.outputs {
                    let view = plan.tensor(id);
                    let buffer = plan.buffers()[view.buffer];
                    assert_eq!(buffer.float, view.kind.params().is_none());
                    assert!(view.kind.len(1) <= buffer.len);
                    let in_place = reads
                        .iter()
                        .any(|read| plan.tensor(*read).buffer == view.buffer);
                    assert!(!in_place, "{} of {}", step.name, family.name);
                    holders[view.buffer] = Some(id);
                }
            }
            assert_eq!(
                holders[plan.tensor(plan.output()).buffer],
                Some(plan.output())
            );
            // They are reused at all.
            assert!(
                plan.buffers().len() < plan.tensors().len() / 2 + 2,
                "{}",
                family.name
            );
        }
    }
}
