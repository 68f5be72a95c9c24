//! Convolution.

use super::{Image, positions};
use crate::plan::Conv;

/// The accumulators, of results of this size, channels innermost.
pub(in crate::plan::reference) fn sums(
    conv: &Conv,
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
                // Padding is the code of 0.
                let (Some(row), Some(column)) = (row, column) else {
                    continue;
                };
                let codes = &x.pixel(n, row, column)[first..];
                let weights = &filter[(ky * kernel_width + kx) * group_channels..];
                for (&code, &weight) in codes.iter().zip(&weights[..group_channels]) {
                    acc += (i64::from(code) - zero_point) * i64::from(weight);
                }
            }
        }
        if let (Some(mixing), Some(image)) = (&conv.residual, residual) {
            acc <<= mixing.shift[o];
            acc += i64::from(mixing.multiplier[o]) * image.steps(n, i, j, o);
        }
        acc
    };
    positions(x.batch(), size).map(sum).collect()
}

/// The row (axis 0) or column (axis 1) under a tap at a position, unless that is padding.
fn source(conv: &Conv, axis: usize, position: usize, tap: usize, extent: usize) -> Option<usize> {
    let windows = &conv.windows;
    (position * windows.strides[axis] + tap * windows.dilations[axis])
        .checked_sub(windows.pads[axis])
        .filter(|&source| source < extent)
}
