//! Pooling over windows.

use std::ops::Range;

use super::call::Call;
use crate::Result;
use crate::graph::Pool;
use crate::tensor::Tensor;

pub(super) fn max(call: &Call<'_>, pool: &Pool) -> Result<Tensor> {
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

pub(super) fn average(call: &Call<'_>, pool: &Pool, count_include_pad: bool) -> Result<Tensor> {
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
) -> Result<Tensor> {
    let x = call.f32(0, "x")?;
    let [batch, channels, height, width] = call.extents(0, "x")?;
    let [out_height, out_width] = pool.output_size([height, width]).ok_or_else(|| {
        call.wrong(format!(
            "windows {pool:?} do not fit an image of {height} x {width}"
        ))
    })?;
    let [rows, columns] =
        [(0, height), (1, width)].map(|(axis, extent)| Windows::new(pool, axis, extent));
    let shape = vec![batch, channels, out_height, out_width];
    let len = call.len(&shape)?;
    if len == 0 {
        return Tensor::f32(shape, []);
    }
    let mut y = Vec::with_capacity(len);
    for plane in x.chunks_exact(height * width) {
        for i in 0..out_height {
            let (inside_rows, padded_rows) = rows.window(i);
            for j in 0..out_width {
                let (inside_columns, padded_columns) = columns.window(j);
                let mut pixels = inside_rows
                    .clone()
                    .flat_map(|row| &plane[row * width..][inside_columns.clone()])
                    .copied();
                y.push(reduce(
                    &mut pixels,
                    padded_rows as f64 * padded_columns as f64,
                ));
            }
        }
    }
    Tensor::f32(shape, y)
}

/// The windows along one dimension of the image. [`Pool::output_size`] has seen that each starts
/// within the padded image and covers a pixel.
pub struct Windows {
    kernel: usize,
    stride: usize,
    pads: (usize, usize),
    extent: usize,
}

impl Windows {
    /// Those of `pool` along one dimension, 0 or 1, of so many pixels.
    pub fn new(pool: &Pool, axis: usize, extent: usize) -> Self {
        Self {
            kernel: pool.kernel[axis],
            stride: pool.strides[axis],
            pads: (pool.pads[axis], pool.pads[axis + 2]),
            extent,
        }
    }

    /// The pixels of a window, and its size with padding; what a last window has beyond the padding
    /// (`ceil_mode`) is neither.
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
