//! The rules against their formulas in f64, and state that is saved and restored.

use super::*;
use tch::Kind;

/// `d/dx` of `sum(c x^2 / 2)` for two numbers of different curvature.
const CURVATURE: [f64; 2] = [1.0, 30.0];

fn parameter() -> Tensor {
    Tensor::from_slice(&[0.5f32, -2.0]).set_requires_grad(true)
}

/// Lets the loss have its gradients, then moves.
fn step(optimiser: &mut Optimiser, parameter: &Tensor, rate: f64, scale: f64) {
    optimiser.zero_grad();
    let curvature = Tensor::from_slice(&CURVATURE).to_kind(Kind::Float);
    let loss = (parameter.square() * curvature).sum(Kind::Float) / 2.0;
    loss.backward();
    optimiser.step(rate, scale).unwrap();
}

/// The same in plain f64. Adam: algorithm 1 of Kingma and Ba, with the penalty in the gradient.
/// SGD: `v = .9 v + g`, `x -= lr v`.
fn plain(algorithm: Algorithm, decay: f64, steps: i32, scale: f64) -> [f64; 2] {
    let (mut x, mut m, mut v) = ([0.5, -2.0], [0.0; 2], [0.0; 2]);
    for t in 1..=steps {
        let rate = 0.1 / f64::from(t);
        for i in 0..2 {
            let g = scale * CURVATURE[i] * x[i] + decay * x[i];
            match algorithm {
                Algorithm::Adam => {
                    m[i] = 0.9 * m[i] + 0.1 * g;
                    v[i] = 0.999 * v[i] + 0.001 * g * g;
                    let mean = m[i] / (1.0 - 0.9f64.powi(t));
                    let square = v[i] / (1.0 - 0.999f64.powi(t));
                    x[i] -= rate * mean / (square.sqrt() + 1e-8);
                }
                Algorithm::Sgd => {
                    m[i] = 0.9 * m[i] + g;
                    x[i] -= rate * m[i];
                }
                Algorithm::GradientDescent => x[i] -= rate * g,
            }
        }
    }
    x
}

#[test]
fn parameters_move_as_the_formulas_say() {
    for algorithm in [Algorithm::Adam, Algorithm::Sgd, Algorithm::GradientDescent] {
        for (decay, scale) in [(0.0, 1.0), (5e-4, 1.0), (0.1, 0.02)] {
            let x = parameter();
            let mut optimiser = Optimiser::new(algorithm, decay, [("x", &x)]).unwrap();
            for t in 1..=12 {
                step(&mut optimiser, &x, 0.1 / f64::from(t), scale);
                let wanted = plain(algorithm, decay, t, scale);
                for (i, wanted) in (0..).zip(wanted) {
                    let found = x.double_value(&[i]);
                    assert!(
                        (found - wanted).abs() <= 2e-6 * wanted.abs().max(1.0),
                        "{algorithm:?}, decay {decay}, step {t}: {found}, wanted {wanted}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_has_no_gradient_stays() {
    let (x, idle) = (parameter(), parameter());
    let mut optimiser = Optimiser::new(Algorithm::Adam, 0.1, [("x", &x), ("idle", &idle)]).unwrap();
    step(&mut optimiser, &x, 0.1, 1.0);
    assert_eq!(idle, parameter());
    assert_ne!(x, parameter());
}

#[test]
fn a_restored_optimiser_goes_on_bit_for_bit() {
    for algorithm in [Algorithm::Adam, Algorithm::Sgd, Algorithm::GradientDescent] {
        let x = parameter();
        let mut whole = Optimiser::new(algorithm, 5e-4, [("x", &x)]).unwrap();
        for _ in 0..5 {
            step(&mut whole, &x, 0.01, 1.0);
        }
        let copy = x.detach().copy().set_requires_grad(true);
        let mut resumed = Optimiser::new(algorithm, 5e-4, [("x", &copy)]).unwrap();
        resumed
            .restore(whole.steps(), &whole.state().unwrap())
            .unwrap();
        for _ in 0..5 {
            step(&mut whole, &x, 0.01, 1.0);
            step(&mut resumed, &copy, 0.01, 1.0);
        }
        assert_eq!(x, copy, "{algorithm:?}");
    }
    let x = parameter();
    let mut adam = Optimiser::new(Algorithm::Adam, 0.0, [("x", &x)]).unwrap();
    let error = adam.restore(1, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("first/x"), "{error}");
}

/// `cargo test --release -p trainer optimiser -- --ignored --nocapture`
#[test]
#[ignore = "measures speed"]
fn bench_a_step_of_eleven_million_parameters() {
    let x = Tensor::ones([11_000_000], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let mut optimiser = Optimiser::new(Algorithm::Adam, 5e-4, [("x", &x)]).unwrap();
    x.sum(Kind::Float).backward();
    let gradient = x.grad();
    let settings = |algorithm, step| StepSettings {
        algorithm,
        decay: 5e-4,
        rate: 1e-3,
        scale: 1.0,
        step,
    };
    let all = optimiser.all.as_mut().unwrap();
    let mut least = [f64::INFINITY; 2];
    for step in 1..=15 {
        for (whole, least) in [true, false].into_iter().zip(&mut least) {
            let start = std::time::Instant::now();
            let settings = settings(Algorithm::Adam, step);
            tch::no_grad(|| match whole {
                true => all.step(gradient.shallow_clone(), settings).unwrap(),
                false => all.step_in_pieces(&gradient, settings).unwrap(),
            });
            *least = least.min(start.elapsed().as_secs_f64());
        }
    }
    println!(
        "in one go {:.1} ms, in pieces {:.1} ms",
        least[0] * 1e3,
        least[1] * 1e3
    );
}
