//! The fast executor against the reference: on the cases of the reference, on operands that make no
//! sense, on random convolutions and products, and on whole graphs.

use std::time::Instant;

use kernels::cpu::Cpu;
use kernels::onnx::ReadOptions;
use kernels::reference;
use kernels::tensor::{Data, Tensor};

use case::{Elements, cases};

#[path = "reference/case.rs"]
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

/// Time of whole networks. `REID_ONNX=a.onnx:b.onnx cargo test --release -p kernels --test cpu
/// bench_networks -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn bench_networks() {
    let files =
        std::env::var("REID_ONNX").expect("REID_ONNX names ONNX files, with a colon between");
    for file in files.split(':') {
        let graph = kernels::onnx::read_file(file.as_ref(), &ReadOptions::default())
            .unwrap()
            .graph;
        let [channels, height, width] = graph.input_size();
        let macs = graph.cost().macs as f64 / 1e9;
        for threads in [1, 2] {
            let cpu = Cpu::new(threads);
            let ready = cpu.prepare(&graph);
            for batch in [1, 8] {
                let input = Tensor::zeros([batch, channels, height, width]).unwrap();
                let took = |_| {
                    let start = Instant::now();
                    ready.run(&input).unwrap();
                    start.elapsed().as_secs_f64() / batch as f64
                };
                let best = (0..9).map(took).fold(f64::INFINITY, f64::min);
                println!(
                    "{file}: {macs:.2} GMAC, {threads} threads, batch {batch}: {:.2} ms an image, {:.1} GMAC/s",
                    best * 1e3,
                    macs / best
                );
            }
        }
    }
}
