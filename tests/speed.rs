//! Measurements, never run by `cargo test` alone:
//! `REID_BENCH_MODEL=person.onnx cargo test --release --package runtime --test speed -- --ignored --nocapture`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fixtures::Example;
use network::model::{Model, ModelOptions};
use runtime::embed::{Device, EmbedOptions};
use tract_onnx::prelude::*;

/// Runs of each side; odd, so that the median is one of them.
const RUNS: usize = 31;

/// The model that `REID_BENCH_MODEL` names, else the example's.
fn model(folder: &Path) -> PathBuf {
    match std::env::var_os("REID_BENCH_MODEL") {
        Some(path) => path.into(),
        None => Example::write(folder).unwrap().model,
    }
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// What we do around tract, and what folding does for it: one thread, one crop, both in turn.
#[test]
#[ignore = "a measurement"]
fn bench_embedding_against_tract_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(folder.path());
    let ours = Model::open(&path, &ModelOptions::default()).unwrap();
    let [channels, height, width] = ours.graph.input_size();
    let options = EmbedOptions {
        device: Device::Tract,
        threads: 1,
        batch: 1,
    };
    let mut embedder = runtime::embed::open(&ours, &options).unwrap();

    let fact = f32::fact([1, channels, height, width]);
    let alone = onnx().model_for_path(&path).unwrap();
    let alone = alone.with_input_fact(0, fact.into()).unwrap();
    let alone = alone.into_optimized().unwrap().into_runnable().unwrap();
    let input = Tensor::zero::<f32>(&[1, channels, height, width])
        .unwrap()
        .into_tvalue();

    let crop: Vec<u8> = (0..channels * height * width)
        .map(|i| (i * 31 % 251) as u8)
        .collect();
    let mut out = Vec::new();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for run in 0..RUNS + 3 {
        out.clear();
        let ours = time(|| embedder.embed(&crop, &mut out).unwrap());
        let theirs = time(|| drop(alone.run(tvec!(input.clone())).unwrap()));
        // The first ones warm caches up.
        if run >= 3 {
            with.push(ours);
            without.push(theirs);
        }
    }
    let mut ratios: Vec<f64> = with
        .iter()
        .zip(&without)
        .map(|(a, b)| a.as_secs_f64() / b.as_secs_f64())
        .collect();
    ratios.sort_by(f64::total_cmp);
    let (with, without) = (median(with), median(without));
    println!(
        "{}: {with:.2} ms an embedding, tract alone {without:.2} ms, median ratio {:.3} of {RUNS} pairs",
        path.display(),
        ratios[RUNS / 2]
    );
}
