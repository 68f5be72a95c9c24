//! The fast executor against the reference: on the cases of the reference, on operands that make no
//! sense, on random convolutions and products, and on whole graphs.

use std::collections::BTreeMap;
use std::time::Instant;

use kernels::cpu::{Cpu, Executor, StepOutput};
use kernels::plan::Plan;
use network::graph::{Graph, Node, Op};
use network::metadata::Preprocessing;
use network::onnx::ReadOptions;
use network::reference;
use network::tensor::{Data, Tensor};

use case::{Elements, cases};

#[path = "../../network/tests/reference/case.rs"]
mod case;

/// Operators that sum up in f32; what they are compared with is f32 as well. Everything else is held
/// to what the reference is held to.
const TOLERANCE: f32 = 3e-6;

#[test]
fn every_case_agrees_with_onnx_runtime() {
    let cpu = Cpu::new(2);
    let mut wrong = Vec::new();
    for case in cases() {
        match case.difference(|op, inputs, _| {
            (cpu.eval(&case.name, op, inputs)).map_err(|error| error.to_string())
        }) {
            Ok(difference) if difference <= TOLERANCE => {}
            Ok(difference) => wrong.push(format!("{}: off by {difference:e}", case.title())),
            Err(reason) => wrong.push(format!("{}: {reason}", case.title())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whatever the reference refuses is refused in its words, and computed where it computes.
#[test]
fn operands_that_make_no_sense_are_treated_as_by_the_reference() {
    let cpu = Cpu::new(1);
    let shapes: [&[usize]; 8] = [
        &[],
        &[0],
        &[3],
        &[2, 0],
        &[usize::MAX, 0],
        &[1, 0, 1 << 62, 4],
        &[0, 1, usize::MAX, usize::MAX],
        &[1; 9],
    ];
    let mut refused = 0;
    for case in cases() {
        let op = case.operator();
        let inputs: Vec<Tensor> = case.inputs.iter().map(Elements::tensor).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let mut check = |inputs: &[&Tensor]| {
            let found = cpu
                .eval("n", &op, inputs)
                .map_err(|error| error.to_string());
            let wanted = reference::eval("n", &op, inputs).map_err(|error| error.to_string());
            refused += usize::from(wanted.is_err());
            match (found, wanted) {
                (Err(found), Err(wanted)) => assert_eq!(found, wanted, "{}", case.title()),
                (found, wanted) => assert_eq!(
                    found.map(|outputs| outputs[0].shape().to_vec()),
                    wanted.map(|outputs| outputs[0].shape().to_vec()),
                    "{}",
                    case.title()
                ),
            }
        };
        for i in 0..inputs.len() {
            let mut others = inputs.clone();
            others.truncate(i);
            check(&others);
            for shape in shapes {
                let len = if shape.contains(&0) {
                    0
                } else {
                    shape.iter().product()
                };
                for data in [
                    Data::F32(vec![f32::NAN; len]),
                    Data::I32(vec![i32::MIN; len]),
                    Data::U8(vec![255; len]),
                ] {
                    let nonsense = Tensor::new(shape, data).unwrap();
                    let mut others = inputs.clone();
                    others[i] = &nonsense;
                    check(&others);
                    others.fill(&nonsense);
                    check(&others);
                }
            }
        }
    }
    assert!(refused > 10_000, "{refused}");
}

/// Time of whole networks: float, and as a plan where they are quantised, each step of it too.
/// `REID_ONNX=a.onnx:b.onnx cargo test --release -p kernels --test cpu bench_networks -- --ignored
/// --nocapture`
#[test]
#[ignore = "a measurement"]
fn bench_networks() {
    let files = std::env::var("REID_ONNX").expect("REID_ONNX names ONNX files, colons between");
    for file in files.split(':') {
        let options = ReadOptions::default();
        let graph = network::onnx::read_file(file.as_ref(), &options)
            .unwrap()
            .graph;
        let quantised = |node: &Node| matches!(node.op, Op::QuantizeLinear { .. });
        for threads in [1, 2] {
            if graph.nodes().iter().any(quantised) {
                bench_plan(file, &graph, threads);
            } else {
                bench_float(file, &graph, threads);
            }
        }
    }
}

/// The best of some runs, in ms.
fn best(mut run: impl FnMut()) -> f64 {
    let mut took = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..15).map(|_| took()).fold(f64::INFINITY, f64::min)
}

fn bench_float(file: &str, graph: &Graph, threads: usize) {
    let [channels, height, width] = graph.input_size();
    let macs = graph.cost().macs as f64 / 1e6;
    let cpu = Cpu::new(threads);
    let ready = cpu.prepare(graph);
    let numbers: Vec<f32> = (0..channels * height * width)
        .map(|i| (i % 97) as f32 / 48.0 - 1.0)
        .collect();
    let input = Tensor::f32([1, channels, height, width], numbers).unwrap();
    let ms = best(|| {
        ready.run(&input).unwrap();
    });
    let speed = macs / ms;
    println!("{file}: float, {threads} threads: {ms:.2} ms, {speed:.1} GMAC/s");
}

fn bench_plan(file: &str, graph: &Graph, threads: usize) {
    let [_, height, width] = graph.input_size();
    let preprocessing = Preprocessing {
        height,
        width,
        ..Preprocessing::default()
    };
    let macs = graph.cost().macs as f64 / 1e6;
    let plan = Plan::new(graph, &preprocessing).unwrap();
    let mut executor = Executor::new(&plan, threads).unwrap();
    let pixels: Vec<u8> = (0..height * width * 3)
        .map(|i| (i * 31 % 251) as u8)
        .collect();
    let mut out = vec![0.0; executor.dim()];
    let ms = best(|| executor.run(&pixels, &mut out).unwrap());
    let speed = macs / ms;
    println!("{file}: plan, {threads} threads: {ms:.2} ms, {speed:.1} GMAC/s");
    let mut kinds: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    let mut steps = vec![f64::INFINITY; plan.steps().len()];
    for _ in 0..15 {
        let mut start = Instant::now();
        let observe = |index: usize, _: StepOutput<'_>| {
            steps[index] = steps[index].min(start.elapsed().as_secs_f64() * 1e3);
            start = Instant::now();
        };
        executor.run_with(&pixels, &mut out, observe).unwrap();
    }
    for (step, ms) in plan.steps().iter().zip(&steps) {
        let kind = kinds.entry(step.kind.name()).or_default();
        *kind = (kind.0 + 1, kind.1 + ms);
    }
    for (kind, (count, ms)) in kinds {
        println!("  {count:3} {kind}: {ms:.3} ms");
    }
    if std::env::var_os("REID_STEPS").is_some() {
        for (step, ms) in plan.steps().iter().zip(&steps) {
            println!("  {ms:.3} ms {} {}", step.kind.name(), step.name);
        }
    }
}
