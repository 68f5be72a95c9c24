//! Adaptive rounding and bias correction of a quantised graph, layer by layer in execution order.
//!
//! Each layer reads what the quantised layers before it compute on a batch of images. Its weight is
//! rounded for that input ([`super::rounding`]), then its bias is corrected by the measured shift of
//! each channel's mean (bias correction, Nagel et al. 2019).

use kernels::cpu::Cpu;
use network::graph::{Conv, Dim, Graph, Op, Operand};
use network::tensor::{Data, Tensor};

use super::insert::{Inserted, Placed};
use super::layer::quantised_bias;
use super::rounding::{Rounded, Samples, improve, moments};
use super::{Progress, QuantiseOptions, Rounding};
use crate::Result;

/// Numbers of one value that are held for all images together.
const HELD: usize = 20 << 20;
/// Images are enough of them from here on.
const IMAGES: usize = 32;

/// Inputs of a layer that its weight is rounded for: so many for each weight of a row, and no more
/// than so many in all.
const SAMPLES_EACH: usize = 6;
const SAMPLES: usize = 16_384;
/// The longest row whose moments are worth their time.
const LONGEST_ROW: usize = 4_608;
/// Multiplications that rounding may take: a minute or so of them. A count and not a clock, so that
/// the same input gives the same file on every machine.
const ROUNDING_WORK: u64 = 3_000_000_000_000;

/// What was done to a layer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tuned {
    pub(super) rounded: Option<Rounded>,
    /// Greatest correction of a bias, relative to the deviation of the layer's result.
    pub(super) bias: Option<f64>,
}

/// How many of `images` [`tune`] takes for a graph.
pub(super) fn images_for(graph: &Graph, images: usize) -> usize {
    let count = |id: usize| {
        graph.values()[id]
            .fact
            .shape_for(1)
            .iter()
            .product::<usize>()
    };
    let largest = (0..graph.values().len()).map(count).max().unwrap_or(1);
    (HELD / largest.max(1)).clamp(2, IMAGES).min(images)
}

/// Changes weights and biases of `inserted`, whose float network is `float`; `batch` are images for
/// it. What comes back stands in the order of [`Inserted::layers`].
pub(super) fn tune(
    cpu: &Cpu,
    float: &Graph,
    inserted: &mut Inserted,
    batch: &Tensor,
    options: &QuantiseOptions,
    progress: &mut Progress<'_>,
) -> Result<Vec<Tuned>> {
    progress.begin("layers to tune", inserted.layers.len());
    let means = means(cpu, float, batch)?;
    let images = batch.shape()[0];
    let graph = &mut inserted.graph;
    let count = graph.nodes().len();
    let mut tuned = vec![Tuned::default(); inserted.layers.len()];
    let mut uses = graph.uses();
    let mut values: Vec<Option<Tensor>> = vec![None; graph.values().len()];
    values[graph.input().index()] = Some(batch.clone());
    let mut work = 0;
    for index in 0..count {
        let placed = (inserted.layers.iter()).position(|placed| placed.node == index);
        if let Some(at) = placed {
            let placed = &inserted.layers[at];
            let cost = rounding_work(placed);
            if options.rounding == Rounding::Adaptive
                && !placed.shared
                && work + cost <= ROUNDING_WORK
            {
                work += cost;
                tuned[at].rounded = round(cpu, float, graph, placed, &mut values, options)?;
            }
        }
        let node = &graph.nodes()[index];
        let outputs = {
            let inputs: Vec<&Tensor> = (node.inputs.iter())
                .map(|&operand| operand_of(graph, &values, operand))
                .collect();
            cpu.eval(&node.name, &for_batch(&node.op, images), &inputs)?
        };
        let (ids, inputs) = (node.outputs.clone(), node.inputs.clone());
        for (id, tensor) in ids.into_iter().zip(outputs) {
            values[id.index()] = Some(tensor).filter(|_| uses[id.index()] > 0);
        }
        if let Some(at) = placed {
            let placed = &inserted.layers[at];
            if options.bias_correction && !placed.shared {
                let wanted = &means[float.nodes()[placed.float].outputs[0].index()];
                tuned[at].bias = Some(correct(graph, placed, wanted, &mut values)?);
            }
            progress.step(1);
        }
        for operand in inputs {
            if let Operand::Value(id) = operand {
                uses[id.index()] -= 1;
                if uses[id.index()] == 0 {
                    values[id.index()] = None;
                }
            }
        }
    }
    Ok(tuned)
}

/// Multiplications that rounding a layer takes at the most: moments, then a few changes a row.
fn rounding_work(placed: &Placed) -> u64 {
    let layer = &placed.layer;
    let each = layer.each as u64;
    let samples = (layer.groups * sampled(usize::MAX, layer.each)) as u64;
    each * each * (samples + layer.outputs as u64)
}

/// The operator when the size of the batch is known.
fn for_batch(op: &Op, images: usize) -> Op {
    let fixed =
        |shape: &[Dim]| (shape.iter().map(|dim| Dim::Fixed(dim.for_batch(images)))).collect();
    match op {
        Op::Reshape { shape } => Op::Reshape {
            shape: fixed(shape),
        },
        Op::Expand { shape } => Op::Expand {
            shape: fixed(shape),
        },
        other => other.clone(),
    }
}

fn operand_of<'a>(graph: &'a Graph, values: &'a [Option<Tensor>], operand: Operand) -> &'a Tensor {
    match operand {
        Operand::Param(id) => graph.tensor(id),
        Operand::Value(id) => values[id.index()]
            .as_ref()
            .expect("kept until its last reader"),
    }
}

/// Mean of each channel of each value of the float network over the batch.
fn means(cpu: &Cpu, float: &Graph, batch: &Tensor) -> Result<Vec<Vec<f64>>> {
    let mut means: Vec<Vec<f64>> = vec![Vec::new(); float.values().len()];
    let [images, channels, height, width] = *batch.shape() else {
        unreachable!("images have four dimensions");
    };
    let runner = cpu.prepare(float);
    let all = batch.as_f32().expect("images are f32");
    for image in all.chunks_exact(channels * height * width) {
        let image = Tensor::f32([1, channels, height, width], image)?;
        runner.run_with(&image, |id, tensor| {
            let own = &mut means[id.index()];
            for (i, mean) in channel_means(tensor).into_iter().enumerate() {
                own.resize(own.len().max(i + 1), 0.0);
                own[i] += mean / images as f64;
            }
        })?;
    }
    Ok(means)
}

/// Mean of each channel over images and pixels.
fn channel_means(tensor: &Tensor) -> Vec<f64> {
    let (Some(values), &[batch, channels, ..]) = (tensor.as_f32(), tensor.shape()) else {
        return Vec::new();
    };
    let pixels = (values.len() / (batch * channels).max(1)).max(1);
    let mut means = vec![0.0; channels];
    for (i, plane) in values.chunks_exact(pixels).enumerate() {
        let sum: f64 = plane.iter().map(|&v| f64::from(v)).sum();
        means[i % channels] += sum / (batch * pixels) as f64;
    }
    means
}

/// Moves the bias of a layer so that its result has the channel means `wanted`, in the graph and in
/// the result that was computed already.
fn correct(
    graph: &mut Graph,
    placed: &Placed,
    wanted: &[f64],
    values: &mut [Option<Tensor>],
) -> Result<f64> {
    let result = graph.nodes()[placed.node].outputs[0];
    let Some(tensor) = &mut values[result.index()] else {
        return Ok(0.0);
    };
    let found = channel_means(tensor);
    let Data::I32(old) = graph.tensor(placed.bias).data().clone() else {
        unreachable!("a quantised bias is i32");
    };
    let moved: Vec<f64> = (old.iter().zip(&placed.bias_scales))
        .zip(wanted.iter().zip(&found))
        .map(|((&b, &scale), (wanted, found))| f64::from(b) * f64::from(scale) + wanted - found)
        .collect();
    let new = quantised_bias(&moved, &placed.bias_scales);
    let channels = new.len();
    let change: Vec<f32> = (new.iter().zip(&old).zip(&placed.bias_scales))
        .map(|((&new, &old), &scale)| ((f64::from(new) - f64::from(old)) * f64::from(scale)) as f32)
        .collect();
    let batch = tensor.shape()[0];
    let values = tensor.as_f32_mut().expect("a layer computes f32");
    let deviation = {
        let square: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
        (square / values.len().max(1) as f64).sqrt()
    };
    let pixels = (values.len() / (batch * channels)).max(1);
    for (i, plane) in values.chunks_exact_mut(pixels).enumerate() {
        let change = change[i % channels];
        plane.iter_mut().for_each(|v| *v += change);
    }
    graph.set_tensor(placed.bias, Tensor::new([channels], Data::I32(new))?)?;
    let most = change.iter().fold(0f32, |most, c| most.max(c.abs()));
    Ok(f64::from(most) / deviation.max(f64::MIN_POSITIVE))
}

/// Rounds the weight of a layer for what it reads.
fn round(
    cpu: &Cpu,
    float: &Graph,
    graph: &mut Graph,
    placed: &Placed,
    values: &mut [Option<Tensor>],
    options: &QuantiseOptions,
) -> Result<Option<Rounded>> {
    let layer = &placed.layer;
    if layer.each > LONGEST_ROW {
        return Ok(None);
    }
    let node = &graph.nodes()[placed.node];
    let &[Operand::Value(x), Operand::Value(read), ..] = node.inputs.as_slice() else {
        unreachable!("a quantised layer reads dequantised weights");
    };
    let op = node.op.clone();
    let Data::I8(mut quantised) = graph.tensor(placed.weight).data().clone() else {
        unreachable!("a quantised weight is i8");
    };
    let weight = float
        .tensor(layer.weight)
        .as_f32()
        .expect("checked by its role");
    let mut sum = Rounded {
        nearest: 0.0,
        chosen: 0.0,
        moved: 0,
    };
    let per_group = layer.outputs / layer.groups;
    for group in 0..layer.groups {
        let input = values[x.index()]
            .as_ref()
            .expect("kept until its last reader");
        let samples = match &op {
            Op::Conv(conv) => patches(
                input,
                conv,
                layer.shape[2..].try_into().ok(),
                layer.each,
                group,
            ),
            _ => rows(input, layer.each),
        };
        let Some(samples) = samples else {
            return Ok(None);
        };
        let moments = moments(cpu, samples, options.bias_correction)?;
        let outputs = group * per_group..(group + 1) * per_group;
        let rounded = improve(
            layer,
            weight,
            &placed.scales,
            outputs,
            &moments,
            &mut quantised,
        );
        sum.nearest += rounded.nearest;
        sum.chosen += rounded.chosen;
        sum.moved += rounded.moved;
    }
    graph.set_tensor(placed.weight, layer.tensor(quantised)?)?;
    // What was dequantised before the layer was reached is out of date.
    let dequantise = graph.producer(read).expect("it is computed");
    let node = &graph.nodes()[dequantise];
    let inputs: Vec<&Tensor> = (node.inputs.iter())
        .map(|&operand| operand_of(graph, values, operand))
        .collect();
    let fresh = cpu.eval(&node.name, &node.op, &inputs)?.swap_remove(0);
    values[read.index()] = Some(fresh);
    Ok(Some(sum))
}

/// How many of `available` inputs are taken.
fn sampled(available: usize, each: usize) -> usize {
    (SAMPLES_EACH * each)
        .clamp(512, SAMPLES.max(2 * each))
        .min(available)
}

/// Inputs of a matrix product.
fn rows(input: &Tensor, each: usize) -> Option<Samples> {
    let values = input.as_f32()?;
    let count = values.len() / each;
    let mut transposed = vec![0.0; values.len()];
    for (i, row) in values.chunks_exact(each).enumerate() {
        for (k, &v) in row.iter().enumerate() {
            transposed[k * count + i] = v;
        }
    }
    Some(Samples {
        each,
        count,
        values: transposed,
    })
}

/// What a convolution sees of one group at pixels from all over the batch.
fn patches(
    input: &Tensor,
    conv: &Conv,
    kernel: Option<[usize; 2]>,
    each: usize,
    group: usize,
) -> Option<Samples> {
    let (kernel, values) = (kernel?, input.as_f32()?);
    let &[batch, channels, height, width] = input.shape() else {
        return None;
    };
    let [rows, columns] = conv.output_size(kernel, [height, width])?;
    let available = batch * rows * columns;
    let count = sampled(available, each);
    let taps = kernel[0] * kernel[1];
    let first = group * (each / taps);
    debug_assert!(first + each / taps <= channels);
    // An odd step visits all columns of an image.
    let mut patches = vec![0.0; each * count];
    for i in 0..count {
        let at = i * available / count + i % columns.min(available / count).max(1);
        let at = at.min(available - 1);
        let (image, pixel) = (at / (rows * columns), at % (rows * columns));
        let (row, column) = (pixel / columns, pixel % columns);
        for k in 0..each {
            let (c, tap) = (first + k / taps, k % taps);
            let y = row * conv.strides[0] + tap / kernel[1] * conv.dilations[0];
            let x = column * conv.strides[1] + tap % kernel[1] * conv.dilations[1];
            let (y, x) = (y.wrapping_sub(conv.pads[0]), x.wrapping_sub(conv.pads[1]));
            if y < height && x < width {
                patches[k * count + i] = values[((image * channels + c) * height + y) * width + x];
            }
        }
    }
    Some(Samples {
        each,
        count,
        values: patches,
    })
}
