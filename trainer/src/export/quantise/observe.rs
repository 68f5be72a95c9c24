//! Passes of the float network over the calibration images, and the statistics that they collect.

use kernels::cpu::Cpu;
use network::graph::{Graph, Op, ValueId};
use network::tensor::Tensor;

use super::histogram::Histogram;
use super::layer::WeightLayer;
use super::range::QuantParams;
use super::sites::{NodeRole, Sites};
use super::{Images, Progress};
use crate::{Error, Result};

/// Images for channel statistics and for the choice among candidates.
const CHANNEL_IMAGES: usize = 48;
const CANDIDATE_IMAGES: usize = 32;

/// Limit of multiply-accumulates for the choice among candidates (about ten seconds), and the least
/// number of images.
const CANDIDATE_MACS: u64 = 300_000_000_000;
const LEAST_CANDIDATE_IMAGES: usize = 8;

/// Statistics of the channels of a value.
#[derive(Debug, Clone, Default)]
pub(super) struct Channels {
    /// Greatest absolute number of each channel in an image, the mean over images.
    pub(super) peak: Vec<f64>,
    /// The same, the greatest of all images.
    pub(super) most: Vec<f64>,
    /// Mean square of each channel.
    pub(super) square: Vec<f64>,
}

/// Runs `graph` on images spread over the calibration set and calls `see` with every value.
fn pass(
    cpu: &Cpu,
    graph: &Graph,
    images: &mut Images<'_>,
    count: usize,
    progress: &mut Progress<'_>,
    mut see: impl FnMut(ValueId, &Tensor) -> Result<()>,
) -> Result<()> {
    let count = count.min(images.count);
    let runner = cpu.prepare(graph);
    for i in 0..count {
        let at = i * images.count / count;
        let input = (images.read)(at)?;
        let mut seen = Ok(());
        runner.run_with(&input, |id, tensor| {
            if seen.is_ok() {
                seen = check(graph, id, tensor)
                    .map_err(|reason| Error::Argument(format!("calibration image {at}: {reason}")))
                    .and_then(|()| see(id, tensor));
            }
        })?;
        seen?;
        progress.step(1);
    }
    Ok(())
}

/// Refuses values that are not finite f32.
fn check(graph: &Graph, id: ValueId, tensor: &Tensor) -> Result<(), String> {
    let name = &graph.value(id).name;
    let values = tensor.as_f32().ok_or_else(|| {
        let found = tensor.dtype();
        format!("`{name}` is of type {found:?}, wanted a network whose values are all f32")
    })?;
    // The sum is NaN if one of the values is not finite.
    let sum: f32 = values.iter().map(|value| value * 0.0).sum();
    if sum == 0.0 {
        return Ok(());
    }
    let at = values.iter().position(|value| !value.is_finite());
    let at = at.expect("the sum is finite otherwise");
    Err(format!(
        "`{name}` is {} at element {at}, wanted a finite number: check the float network",
        values[at]
    ))
}

/// Measures the channels of every value.
pub(super) fn channels(
    cpu: &Cpu,
    graph: &Graph,
    images: &mut Images<'_>,
    progress: &mut Progress<'_>,
) -> Result<Vec<Channels>> {
    let mut all = vec![Channels::default(); graph.values().len()];
    let count = CHANNEL_IMAGES.min(images.count);
    progress.begin("images to measure channels", count);
    pass(cpu, graph, images, count, progress, |id, tensor| {
        let own = &mut all[id.index()];
        let (Some(values), &[batch, channels, ..]) = (tensor.as_f32(), tensor.shape()) else {
            return Ok(());
        };
        let pixels = tensor.len() / (batch * channels).max(1);
        own.peak.resize(channels, 0.0);
        own.most.resize(channels, 0.0);
        own.square.resize(channels, 0.0);
        for (i, plane) in values.chunks_exact(pixels.max(1)).enumerate() {
            let (mut most, mut square) = (0f32, 0f32);
            for &value in plane {
                most = most.max(value.abs());
                square += value * value;
            }
            let c = i % channels;
            own.peak[c] += f64::from(most) / (count * batch) as f64;
            own.most[c] = own.most[c].max(f64::from(most));
            own.square[c] += f64::from(square) / (count * batch * pixels) as f64;
        }
        Ok(())
    })?;
    Ok(all)
}

/// The distribution of every value that is `measured`, over all images.
pub(super) fn histograms(
    cpu: &Cpu,
    graph: &Graph,
    measured: &[bool],
    images: &mut Images<'_>,
    progress: &mut Progress<'_>,
) -> Result<Vec<Histogram>> {
    let mut all = vec![Histogram::new(); graph.values().len()];
    let count = images.count;
    let mut plain = 0;
    let mut first: Option<Vec<f32>> = None;
    let mut copies = 0;
    progress.begin("images to calibrate on", count);
    pass(cpu, graph, images, count, progress, |id, tensor| {
        let values = tensor.as_f32().expect("`check` has seen f32");
        if id == graph.input() {
            let planes = values.chunks(values.len().div_ceil(3).max(1));
            let one = |plane: &[f32]| plane.iter().all(|value| *value == plane[0]);
            plain += usize::from(planes.into_iter().all(one));
            let first = first.get_or_insert_with(|| values.to_vec());
            copies += usize::from(first == values);
        }
        if measured[id.index()] {
            all[id.index()].add(values);
        }
        Ok(())
    })?;
    ensure!(
        plain != count,
        "each of the {count} calibration images has one colour: use crops of persons as in production"
    );
    if copies == count && count > 1 {
        bail!("all {count} calibration images are the same image: use crops of many persons");
    }
    Ok(all)
}

/// For each group and candidate: the relative error of the results of its readers, as a sum of squares
/// over values, readers and images, so that one image with clipped maxima counts more than many with
/// small rounding errors.
pub(super) fn candidate_errors(
    cpu: &Cpu,
    graph: &Graph,
    sites: &Sites,
    candidates: &[Vec<(&'static str, QuantParams)>],
    images: &mut Images<'_>,
    progress: &mut Progress<'_>,
) -> Result<Vec<Vec<f64>>> {
    let mut errors: Vec<Vec<f64>> = candidates.iter().map(|of| vec![0.0; of.len()]).collect();
    let most = candidates.iter().map(Vec::len).max().unwrap_or(0) as u64 + 1;
    let affordable = CANDIDATE_MACS / (graph.cost().macs * most).max(1);
    let count = (affordable as usize)
        .clamp(LEAST_CANDIDATE_IMAGES, CANDIDATE_IMAGES)
        .min(images.count);
    progress.begin("images to choose ranges on", count);
    pass(cpu, graph, images, count, progress, |id, tensor| {
        let Some(group) = sites.group_of[id.index()] else {
            return Ok(());
        };
        let own = &candidates[group];
        let values = tensor.as_f32().expect("`check` has seen f32");
        if own.len() < 2 {
            return Ok(());
        }
        // The value itself, then the change by each candidate, as one batch.
        let mut batch = values.to_vec();
        for (_, params) in own {
            batch.extend(values.iter().map(|&value| params.rounded(value) - value));
        }
        let mut shape = tensor.shape().to_vec();
        shape[0] = own.len() + 1;
        let batch = Tensor::f32(shape, batch)?;
        for &reader in &sites.readers[id.index()] {
            let relative = effect(cpu, graph, sites, reader, &batch)?;
            for (error, relative) in errors[group].iter_mut().zip(relative) {
                *error += relative * relative;
            }
        }
        Ok(())
    })?;
    Ok(errors)
}

/// The power of a reader's response to each change in a batch, relative to its response to the first
/// element. Layers and means are linear, so they are applied to the change itself.
fn effect(
    cpu: &Cpu,
    graph: &Graph,
    sites: &Sites,
    reader: usize,
    batch: &Tensor,
) -> Result<Vec<f64>> {
    let node = &graph.nodes()[reader];
    let computed: Option<Vec<Tensor>> = match (sites.roles[reader], &node.op) {
        (NodeRole::Layer, op) => {
            let weight = graph.tensor(WeightLayer::of(graph, node).expect("a layer").weight);
            Some(cpu.eval(&node.name, op, &[batch, weight])?)
        }
        (_, op @ (Op::GlobalAveragePool | Op::AveragePool { .. })) => {
            Some(cpu.eval(&node.name, op, &[batch])?)
        }
        _ => None,
    };
    let result = computed.as_ref().map_or(batch, |computed| &computed[0]);
    let powers: Vec<f64> = (result.as_f32().expect("the operators of f32 compute f32"))
        .chunks_exact(result.len() / batch.shape()[0])
        .map(|values| values.iter().map(|&v| f64::from(v) * f64::from(v)).sum())
        .collect();
    let whole = powers[0].max(f64::MIN_POSITIVE);
    Ok(powers[1..].iter().map(|power| power / whole).collect())
}
