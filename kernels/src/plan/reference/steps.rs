//! The steps of a plan on codes, one function each.

pub(super) mod conv;
pub(super) mod layout;
pub(super) mod pool;
pub(super) mod sum;

use crate::plan::{Normalise, Pixels, Requantise};
use network::quant::{QuantParams, requantise};

/// Images of codes.
pub(super) struct Image<'a> {
    /// `[N, height, width, channels]`.
    pub(super) codes: &'a [u8],
    /// Height, width, channels.
    pub(super) size: [usize; 3],
    pub(super) params: QuantParams,
}

impl Image<'_> {
    pub(super) fn batch(&self) -> usize {
        self.codes.len() / self.size.iter().product::<usize>()
    }

    /// Every channel of a pixel.
    pub(super) fn pixel(&self, n: usize, row: usize, column: usize) -> &[u8] {
        let [height, width, channels] = self.size;
        &self.codes[((n * height + row) * width + column) * channels..][..channels]
    }

    pub(super) fn code(&self, n: usize, row: usize, column: usize, channel: usize) -> u8 {
        self.pixel(n, row, column)[channel]
    }

    /// `x - z`.
    pub(super) fn steps(&self, n: usize, row: usize, column: usize, channel: usize) -> i64 {
        i64::from(self.code(n, row, column, channel)) - i64::from(self.params.zero_point)
    }
}

/// Every position of a batch of images of a size, in the order of their codes.
pub(super) fn positions(
    batch: usize,
    [height, width, channels]: [usize; 3],
) -> impl Iterator<Item = [usize; 4]> {
    (0..batch * height * width * channels).map(move |i| {
        let (pixel, channel) = (i / channels, i % channels);
        let (row, column) = (pixel / width, pixel % width);
        [row / height, row % height, column, channel]
    })
}

pub(super) fn pixels(step: &Pixels, pixels: &[u8]) -> Vec<u8> {
    let planes = |pixel: &[u8; 3]| {
        let sample = step.sample.map(|sample| usize::from(pixel[sample]));
        [0, 1, 2].map(|plane| step.table[plane][sample[plane]])
    };
    pixels.as_chunks().0.iter().flat_map(planes).collect()
}

pub(super) fn normalise(step: &Normalise, pixels: &[u8], [height, width]: [usize; 2]) -> Vec<f32> {
    let numbers = |pixel: &[u8; 3]| {
        let sample = step.sample.map(|sample| usize::from(pixel[sample]));
        [0, 1, 2].map(|plane| step.table[plane][sample[plane]])
    };
    let numbers: Vec<f32> = pixels.as_chunks().0.iter().flat_map(numbers).collect();
    planes(&numbers, [height, width, 3])
}

/// Accumulators, channels innermost, as codes.
pub(super) fn codes(conversion: &Requantise, sums: &[i64]) -> Vec<u8> {
    let Requantise {
        scale,
        negative,
        clamp,
    } = conversion;
    let code = |(i, &sum)| {
        let channel = i % scale.len();
        let scale = match negative {
            Some(negative) if sum < 0 => negative[channel],
            _ => scale[channel],
        };
        requantise(word(sum), scale, clamp)
    };
    sums.iter().enumerate().map(code).collect()
}

/// Accumulators, channels innermost, as real numbers.
pub(super) fn real(scale: &[f32], sums: &[i64]) -> Vec<f32> {
    let number = |(i, &sum)| word(sum) as f32 * scale[i % scale.len()];
    sums.iter().enumerate().map(number).collect()
}

fn word(sum: i64) -> i32 {
    i32::try_from(sum).expect("a plan has proved that its sums fit")
}

/// `[N, H, W, C]` as `[N, C, H, W]`.
pub(super) fn planes(values: &[f32], [height, width, channels]: [usize; 3]) -> Vec<f32> {
    transposed(values, height * width, channels)
}

/// `[N, C, H, W]` as `[N, H, W, C]`.
pub(super) fn pixels_of(values: &[f32], [height, width, channels]: [usize; 3]) -> Vec<f32> {
    transposed(values, channels, height * width)
}

/// Each matrix `[rows, columns]` as `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let column = |matrix: &[f32], column| {
        let column = matrix.iter().skip(column).step_by(columns);
        column.copied().collect::<Vec<f32>>()
    };
    (values.chunks_exact(rows * columns))
        .flat_map(|matrix| (0..columns).flat_map(move |i| column(matrix, i)))
        .collect()
}
