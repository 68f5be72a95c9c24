//! Every step of random networks, on every instruction set and several numbers of threads, against
//! the reference executor: quantised values are equal.

use std::time::Instant;

use super::super::isa::Isa;
use super::*;
use crate::plan::Plan;
use crate::plan::{TensorValue, run_plan};
use net::{FAMILIES, Filter, Net};
use network::graph::{Conv, Op, Unary, ValueId};
use network::quant::QuantParams;
use network::tensor::{Data, Tensor};

#[path = "../../../tests/qdq/net.rs"]
mod net;

/// Relative to the largest number: float steps are summed up in another order.
const TOLERANCE: f32 = 1e-5;

fn plan(net: &Net) -> Plan {
    Plan::new(&net.graph, &net.preprocessing).unwrap()
}

/// Runs a plan on everything that there is, and compares every step.
fn compare(name: &str, plan: &Plan, pixels: &[u8]) {
    let mut wanted = Vec::new();
    let embeddings = run_plan(plan, pixels, |index, value| {
        wanted.push((index, value.clone()));
    });
    let embeddings = embeddings.unwrap();
    let embeddings = embeddings.as_f32().unwrap();
    for isa in Isa::all() {
        for threads in [1, 3] {
            let case = format!("{name}, {isa:?}, {threads} threads");
            let mut executor = Executor::with(plan, Cpu::with(threads, isa)).unwrap();
            let mut out = vec![f32::NAN; embeddings.len()];
            let mut steps = wanted.iter();
            let observe = |index: usize, written: StepOutput<'_>| {
                let (wanted_index, wanted) = steps.next().unwrap();
                assert_eq!(index, *wanted_index, "{case}");
                let step = &plan.steps()[index];
                let case = format!(
                    "{case}, step {index} `{}` ({})",
                    step.name,
                    step.kind.name()
                );
                match (written, wanted) {
                    (StepOutput::Quantised(found), TensorValue::Quantised(wanted)) => {
                        let differs = found.iter().zip(wanted).position(|(a, b)| a != b);
                        if let Some(at) = differs {
                            panic!("{case}: value {at} is {}, wanted {}", found[at], wanted[at]);
                        }
                        assert_eq!(found.len(), wanted.len(), "{case}");
                    }
                    (StepOutput::Float(found), TensorValue::Float(wanted)) => {
                        assert_eq!(found.shape(), wanted.shape(), "{case}");
                        close(&case, found.as_f32().unwrap(), wanted.as_f32().unwrap());
                    }
                    (found, wanted) => panic!("{case}: {found:?}, wanted {wanted:?}"),
                }
            };
            executor.run_with(pixels, &mut out, observe).unwrap();
            assert!(steps.next().is_none(), "{case}");
            close(&case, &out, embeddings);
            // Some at a time, in memory that has been used.
            let at_once = out.clone();
            out.fill(f32::NAN);
            executor.run(pixels, &mut out).unwrap();
            assert_eq!(out, at_once, "{case}");
            executor.work_alone(true);
            out.fill(f32::NAN);
            executor.run(pixels, &mut out).unwrap();
            assert_eq!(out, at_once, "{case}, alone");
        }
    }
}

fn close(case: &str, found: &[f32], wanted: &[f32]) {
    let largest = wanted
        .iter()
        .fold(1e-30f32, |largest, x| largest.max(x.abs()));
    for (found, wanted) in found.iter().zip(wanted) {
        let off = (found - wanted).abs() / largest;
        assert!(off <= TOLERANCE, "{case}: {found}, wanted {wanted}");
    }
}

#[test]
fn networks_of_every_family_have_the_values_of_the_reference() {
    for family in FAMILIES {
        for seed in 1..=3 {
            let mut net = (family.build)(seed);
            let pixels = net.pixels(3);
            compare(
                &format!("{}, seed {seed}", family.name),
                &plan(&net),
                &pixels,
            );
        }
    }
}

/// A convolution with random extents, behind one that makes its channels.
fn layer(net: &mut Net) -> ValueId {
    let channels = net.one_of(&[1, 2, 3, 4, 5, 8, 15, 16, 17, 24, 33, 48]);
    let input = net.graph.input();
    let x = net.q(input);
    let start = Filter::new(channels, 1).stride(net.one_of(&[1, 1, 2]));
    let x = net.conv_q(x, start);
    let kernel = net.one_of(&[1, 1, 2, 3, 3, 5, 7]);
    let out = net.one_of(&[1, 3, 8, 16, 17, 31, 32, 40]);
    let mut filter = Filter::new(out, kernel)
        .stride(net.one_of(&[1, 1, 2, 3]))
        .dilation(net.one_of(&[1, 1, 1, 2]));
    match net.below(4) {
        0 => {
            filter.out = channels;
            filter.groups = channels;
        }
        1 => {
            let groups = net.one_of(&[2, 3]);
            if channels.is_multiple_of(groups) {
                filter.out = out * groups;
                filter.groups = groups;
            }
        }
        _ => {}
    }
    let mut y = net.conv(x, filter);
    if net.below(3) == 0 {
        let other = Filter {
            kernel: 1,
            dilation: 1,
            groups: 1,
            ..filter
        };
        let other = net.conv_q(x, other);
        if net.shape(other) == net.shape(y) {
            y = net.add(y, other);
        }
    }
    match net.below(4) {
        0 => y = net.relu(y),
        1 => y = net.unary(Unary::LeakyRelu { alpha: 0.3 }, y),
        2 => {
            let (min, max) = (-0.2, 0.7);
            y = net.unary(Unary::Clip { min, max }, y);
        }
        _ => {}
    }
    net.q(y)
}

#[test]
fn random_convolutions_have_the_values_of_the_reference() {
    let mut random = Net::new(5, [1, 1]);
    for seed in 0..150 {
        let size = [random.one_of(&[1, 2, 5, 9]), random.one_of(&[1, 3, 8, 14])];
        let mut net = Net::new(seed, size);
        let y = layer(&mut net);
        let mut net = if net.below(2) == 0 {
            net.head(y)
        } else {
            net.end(y)
        };
        let pixels = net.pixels(1 + seed as usize % 3);
        compare(&format!("layer {seed}"), &plan(&net), &pixels);
    }
}

/// Accumulators up to 31 bits, where f32 rounds, where a result saturates, and halves between codes.
#[test]
fn every_accumulator_has_the_value_of_the_reference() {
    const FILTERS: usize = 35;
    let most = i32::MAX - 3 * 255 * 127;
    let cases = [
        (most, 2.0),
        (-most, 2.0),
        (most, 32_000.0),
        (1 << 24, 32_000.0),
        ((1 << 24) - 1, 32_000.0),
        (3 << 20, 16_384.0),
        (0, 2.0),
        (-300, 4.0),
    ];
    for (case, (bias, out)) in cases.into_iter().enumerate() {
        let code = QuantParams {
            scale: 1.0,
            zero_point: 0,
        };
        let (mut net, x) = Net::of_values(case as u64, [3, 5], code);
        let weights = (0..FILTERS * 3).map(|i| [127, -127, 1, 0, -1, 77][i * 5 % 6]);
        let weights = Tensor::new([FILTERS, 3, 1, 1], Data::I8(weights.collect())).unwrap();
        let biases = (0..FILTERS as i32).map(|i| bias - i * bias.signum());
        let biases = Tensor::new([FILTERS], Data::I32(biases.collect())).unwrap();
        let weights = net.dequantised(weights, vec![1.0; FILTERS], 0);
        let biases = net.dequantised(biases, vec![1.0; FILTERS], 0);
        let y = net.push1(Op::Conv(Conv::pointwise()), &[x.into(), weights, biases]);
        let y = net.quantise(
            y,
            QuantParams {
                scale: out,
                zero_point: 7,
            },
        );
        let mut net = net.end(y);
        let plan = plan(&net);
        assert_eq!(plan.exact_until(), 2, "{bias} in steps of {out}");
        let mut pixels = net.pixels(2);
        for (pixel, end) in pixels.iter_mut().zip([0, 255].iter().cycle()).take(12) {
            *pixel = *end;
        }
        compare(&format!("{bias} in steps of {out}"), &plan, &pixels);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let net = (FAMILIES[0].build)(1);
    let plan = plan(&net);
    let mut executor = Executor::new(&plan, 1).unwrap();
    let [height, width] = plan.image();
    let image = 3 * height * width;
    let mut out = vec![0.0; 2 * executor.dim()];
    let mut refused = |pixels: usize, room: usize| {
        let result = executor.run(&vec![0; pixels], &mut out[..room]);
        result.unwrap_err().to_string()
    };
    let found = refused(image + 1, 0);
    assert!(found.contains(&format!("found {}", image + 1)), "{found}");
    let found = refused(image, 0);
    assert!(found.contains("there is room for 0"), "{found}");
    executor.run(&[], &mut []).unwrap();
}

/// The least time that a step takes in some runs.
struct Lap {
    step: usize,
    least: f64,
    start: Instant,
}

impl Lap {
    fn new(step: usize) -> Self {
        Self {
            step,
            least: f64::INFINITY,
            start: Instant::now(),
        }
    }

    fn seen(&mut self, index: usize) {
        if index == self.step {
            self.least = self.least.min(self.start.elapsed().as_secs_f64());
        }
        self.start = Instant::now();
    }

    fn report(&self, name: &str, macs: f64) {
        let (ms, speed) = (self.least * 1e3, macs / self.least / 1e9);
        println!("{name:8} {ms:8.3} ms, {speed:6.1} GMAC/s");
    }
}

/// A 3 x 3 as a ResNet has it, on every instruction set and on the plain executor.
/// `cargo test --release -p kernels bench_instruction_sets -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn bench_instruction_sets() {
    let mut net = Net::new(1, [32, 16]);
    let input = net.graph.input();
    let x = net.q(input);
    let x = net.conv_q(x, Filter::new(64, 1));
    let x = net.conv_relu(x, Filter::new(128, 3));
    let net = net.head(x);
    let (plan, pixels) = (plan(&net), vec![77; 32 * 16 * 3]);
    let (step, macs) = (2, 32.0 * 16.0 * 64.0 * 9.0 * 128.0);
    for isa in Isa::all() {
        let mut executor = Executor::with(&plan, Cpu::with(1, isa)).unwrap();
        let mut out = vec![0.0; executor.dim()];
        let mut lap = Lap::new(step);
        for _ in 0..20 {
            let observe = |index: usize, _: StepOutput<'_>| lap.seen(index);
            executor.run_with(&pixels, &mut out, observe).unwrap();
        }
        lap.report(&format!("{isa:?}"), macs);
    }
    let mut lap = Lap::new(step);
    for _ in 0..5 {
        run_plan(&plan, &pixels, |index, _| lap.seen(index)).unwrap();
    }
    lap.report("slow", macs);
}
