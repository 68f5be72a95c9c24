//! Pooling over windows.

use std::ops::Range;

use super::Call;
use crate::graph::Pool;

pub(super) fn max(call: &Call<'_>, pool: &Pool) -> Vec<f32> {
    over_windows(call, pool, |pixels, _| {
        // Not `f32::max`, which forgets a NaN.
        pixels.fold(f32::NEG_INFINITY, |largest, x| {
            if x > largest || x.is_nan() {
                x
            } else {
                largest
            }
        })
    })
}

pub(super) fn average(call: &Call<'_>, pool: &Pool, count_include_pad: bool) -> Vec<f32> {
    over_windows(call, pool, |pixels, padded_area| {
        let (count, sum) = pixels.fold((0.0, 0.0), |(count, sum), x| {
            (count + 1.0, sum + f64::from(x))
        });
        let area = if count_include_pad {
            padded_area
        } else {
            count
        };
        (sum / area) as f32
    })
}

/// Calls `reduce` for each window with its pixels and with its area, padding included.
fn over_windows(
    call: &Call<'_>,
    pool: &Pool,
    reduce: impl Fn(&mut dyn Iterator<Item = f32>, f64) -> f32,
) -> Vec<f32> {
    let [_, _, height, width] = call.extents(0);
    let &[.., out_height, out_width] = call.shape else {
        unreachable!("pooling writes an image")
    };
    let [rows, columns] =
        [(0, height), (1, width)].map(|(axis, extent)| Windows::new(pool, axis, extent));
    let mut y = Vec::with_capacity(call.len());
    for plane in call.f32(0).chunks_exact(height * width) {
        for i in 0..out_height {
            let (inside_rows, padded_rows) = rows.window(i);
            for j in 0..out_width {
                let (inside_columns, padded_columns) = columns.window(j);
                let mut pixels = inside_rows
                    .clone()
                    .flat_map(|row| &plane[row * width..][inside_columns.clone()])
                    .copied();
                let area = padded_rows as f64 * padded_columns as f64;
                y.push(reduce(&mut pixels, area));
            }
        }
    }
    y
}

/// The windows along one dimension of the image. [`Pool::output_size`] has checked that each starts
/// within the padded image and covers a pixel.
pub struct Windows {
    kernel: usize,
    stride: usize,
    pads: (usize, usize),
    extent: usize,
}

impl Windows {
    /// The windows of `pool` along `axis`, 0 or 1, of an image that has `extent` pixels there.
    #[must_use]
    pub fn new(pool: &Pool, axis: usize, extent: usize) -> Self {
        Self {
            kernel: pool.kernel[axis],
            stride: pool.strides[axis],
            pads: (pool.pads[axis], pool.pads[axis + 2]),
            extent,
        }
    }

    /// The pixels of a window, and its size with padding. Neither counts the part of a last window
    /// beyond the padding (`ceil_mode`).
    #[must_use]
    pub fn window(&self, index: usize) -> (Range<usize>, usize) {
        let start = index * self.stride;
        let end = start
            .saturating_add(self.kernel)
            .min(self.pads.0 + self.extent + self.pads.1);
        let first = start.saturating_sub(self.pads.0);
        let last = (end - self.pads.0).min(self.extent);
        (first..last, end - start)
    }
}
