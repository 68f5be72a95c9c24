//! The steps of a plan on quantised tensors, one function each.

use crate::plan::{AverageStep, ChannelRange, ConvStep, PixelTable, Requantise, SumStep, Window};
use network::quant::{QuantParams, requantise};

/// A quantised tensor.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    /// `[N, height, width, channels]`.
    pub(super) values: &'a [u8],
    /// Height, width, channels.
    pub(super) size: [usize; 3],
    pub(super) params: QuantParams,
}

impl Image<'_> {
    fn batch(&self) -> usize {
        self.values.len() / self.size.iter().product::<usize>()
    }

    /// Every channel of a pixel.
    fn pixel(&self, n: usize, row: usize, column: usize) -> &[u8] {
        let [height, width, channels] = self.size;
        &self.values[((n * height + row) * width + column) * channels..][..channels]
    }

    fn value(&self, n: usize, row: usize, column: usize, channel: usize) -> u8 {
        self.pixel(n, row, column)[channel]
    }

    /// `x - z`.
    fn steps(&self, n: usize, row: usize, column: usize, channel: usize) -> i64 {
        i64::from(self.value(n, row, column, channel)) - i64::from(self.params.zero_point)
    }
}

/// Every position of a batch of images of a size, in the order of their values.
fn positions(
    batch: usize,
    [height, width, channels]: [usize; 3],
) -> impl Iterator<Item = [usize; 4]> {
    (0..batch * height * width * channels).map(move |i| {
        let (pixel, channel) = (i / channels, i % channels);
        let (row, column) = (pixel / width, pixel % width);
        [row / height, row % height, column, channel]
    })
}

pub(super) fn pixels<T: Copy>(table: &PixelTable<T>, pixels: &[u8]) -> Vec<T> {
    let planes = |pixel: &[u8; 3]| {
        let sample = table.sample.map(|sample| usize::from(pixel[sample]));
        [0, 1, 2].map(|plane| table.table[plane][sample[plane]])
    };
    pixels.as_chunks().0.iter().flat_map(planes).collect()
}

/// The accumulators of a convolution, of results of this size, channels innermost.
pub(super) fn conv(
    conv: &ConvStep,
    x: &Image<'_>,
    residual: Option<&Image<'_>>,
    size: [usize; 3],
) -> Vec<i64> {
    let [kernel_height, kernel_width] = conv.kernel;
    let [_, _, channels] = x.size;
    let outputs = conv.bias.len();
    let group_channels = channels / conv.windows.groups;
    let group_outputs = outputs / conv.windows.groups;
    let taps = kernel_height * kernel_width * group_channels;
    let zero_point = i64::from(x.params.zero_point);
    let sum = |[n, i, j, o]: [usize; 4]| {
        let first = o / group_outputs * group_channels;
        let filter = &conv.weight[o * taps..][..taps];
        let mut acc = i64::from(conv.bias[o]);
        for ky in 0..kernel_height {
            for kx in 0..kernel_width {
                let row = source(conv, 0, i, ky, x.size[0]);
                let column = source(conv, 1, j, kx, x.size[1]);
                // Padding is the zero point, and adds nothing.
                let (Some(row), Some(column)) = (row, column) else {
                    continue;
                };
                let values = &x.pixel(n, row, column)[first..];
                let weights = &filter[(ky * kernel_width + kx) * group_channels..];
                for (&value, &weight) in values.iter().zip(&weights[..group_channels]) {
                    acc += (i64::from(value) - zero_point) * i64::from(weight);
                }
            }
        }
        if let (Some(scales), Some(image)) = (&conv.residual, residual) {
            acc <<= scales.shift[o];
            acc += i64::from(scales.multiplier[o]) * image.steps(n, i, j, o);
        }
        acc
    };
    positions(x.batch(), size).map(sum).collect()
}

/// The row (axis 0) or column (axis 1) under a tap at a position, unless that is padding.
fn source(
    conv: &ConvStep,
    axis: usize,
    position: usize,
    tap: usize,
    extent: usize,
) -> Option<usize> {
    let windows = &conv.windows;
    (position * windows.strides[axis] + tap * windows.dilations[axis])
        .checked_sub(windows.pads[axis])
        .filter(|&source| source < extent)
}

/// Accumulators, channels innermost, as quantised values.
pub(super) fn requantised(scales: &Requantise, sums: &[i64]) -> Vec<u8> {
    let Requantise {
        scale,
        negative,
        clamp,
    } = scales;
    let value = |(i, &sum)| {
        let channel = i % scale.len();
        let scale = match negative {
            Some(negative) if sum < 0 => negative[channel],
            _ => scale[channel],
        };
        requantise(accumulator(sum), scale, clamp)
    };
    sums.iter().enumerate().map(value).collect()
}

/// Accumulators, channels innermost, times their scales.
pub(super) fn scaled(scale: &[f32], sums: &[i64]) -> Vec<f32> {
    let value = |(i, &sum)| accumulator(sum) as f32 * scale[i % scale.len()];
    sums.iter().enumerate().map(value).collect()
}

fn accumulator(sum: i64) -> i32 {
    i32::try_from(sum).expect("a plan has proved that its sums fit")
}

pub(super) fn max_pool(rows: &[Window], columns: &[Window], x: &Image<'_>) -> Vec<u8> {
    let largest = |[n, i, j, c]: [usize; 4]| {
        let pixels = inside(rows[i], columns[j]);
        let values = pixels.map(|(row, column)| x.value(n, row, column, c));
        values.max().expect("a window is never empty")
    };
    let size = [rows.len(), columns.len(), x.size[2]];
    positions(x.batch(), size).map(largest).collect()
}

pub(super) fn average(average: &AverageStep, x: &Image<'_>) -> Vec<u8> {
    let size = [average.rows.len(), average.columns.len(), x.size[2]];
    let mean = |[n, i, j, c]: [usize; 4]| {
        let (rows, columns) = (average.rows[i], average.columns[j]);
        let steps = inside(rows, columns).map(|(row, column)| x.steps(n, row, column, c));
        let scale = average.scale[rows.class][columns.class];
        requantise(accumulator(steps.sum()), scale, &average.clamp)
    };
    positions(x.batch(), size).map(mean).collect()
}

pub(super) fn mean(scale: f32, x: &Image<'_>) -> Vec<f32> {
    let [height, width, channels] = x.size;
    let mean_of = |[n, _, _, c]: [usize; 4]| {
        let pixels = positions(1, [height, width, 1]);
        let sum: i64 = pixels.map(|[_, i, j, _]| x.steps(n, i, j, c)).sum();
        accumulator(sum) as f32 * scale
    };
    positions(x.batch(), [1, 1, channels])
        .map(mean_of)
        .collect()
}

/// The rows and columns of a window.
fn inside(rows: Window, columns: Window) -> impl Iterator<Item = (usize, usize)> {
    let columns = columns.start..columns.end;
    (rows.start..rows.end).flat_map(move |row| columns.clone().map(move |column| (row, column)))
}

/// The accumulators of a sum, channels innermost.
pub(super) fn sum(sum: &SumStep, inputs: &[Image<'_>]) -> Vec<i64> {
    let (products, terms) = inputs.split_at(2 * sum.products);
    let acc = |[n, i, j, c]: [usize; 4]| {
        let gated = products.as_chunks().0.iter().map(|[x, gate]| {
            // A gate of one pixel is that of every pixel.
            let (row, column) = if gate.size[..2] == [1, 1] {
                (0, 0)
            } else {
                (i, j)
            };
            x.steps(n, i, j, c) * gate.steps(n, row, column, c)
        });
        let added = (sum.multipliers.iter().zip(terms))
            .map(|(&multiplier, image)| i64::from(multiplier) * image.steps(n, i, j, c));
        (gated.sum::<i64>() << sum.shift) + added.sum::<i64>()
    };
    let first = &inputs[0];
    positions(first.batch(), first.size).map(acc).collect()
}

pub(super) fn channels(ranges: &[ChannelRange], inputs: &[Image<'_>]) -> Vec<u8> {
    let [height, width, _] = inputs[0].size;
    let pixels = positions(inputs[0].batch(), [height, width, 1]);
    let values = pixels.flat_map(|[n, i, j, _]| {
        ranges.iter().flat_map(move |range| {
            let pixel = inputs[range.input].pixel(n, i, j);
            pixel[range.start..][..range.len].iter().copied()
        })
    });
    values.collect()
}

pub(super) fn crop(
    start: [usize; 2],
    step: [usize; 2],
    x: &Image<'_>,
    size: [usize; 3],
) -> Vec<u8> {
    positions(x.batch(), size)
        .map(|[n, i, j, c]| x.value(n, start[0] + i * step[0], start[1] + j * step[1], c))
        .collect()
}

pub(super) fn pad(before: [usize; 3], border: u8, x: &Image<'_>, size: [usize; 3]) -> Vec<u8> {
    let value = |[n, i, j, c]: [usize; 4]| {
        let inside = |axis: usize, position: usize| {
            let source = position.checked_sub(before[axis])?;
            (source < x.size[axis]).then_some(source)
        };
        match (inside(0, i), inside(1, j), inside(2, c)) {
            (Some(i), Some(j), Some(c)) => x.value(n, i, j, c),
            _ => border,
        }
    };
    positions(x.batch(), size).map(value).collect()
}

/// `[N, H, W, C]` as `[N, C, H, W]`.
pub(super) fn planes(values: &[f32], [height, width, channels]: [usize; 3]) -> Vec<f32> {
    transposed(values, height * width, channels)
}

/// Each matrix `[rows, columns]` as `[columns, rows]`.
pub(super) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let column = |matrix: &[f32], column| {
        let column = matrix.iter().skip(column).step_by(columns);
        column.copied().collect::<Vec<f32>>()
    };
    (values.chunks_exact(rows * columns))
        .flat_map(|matrix| (0..columns).flat_map(move |i| column(matrix, i)))
        .collect()
}
