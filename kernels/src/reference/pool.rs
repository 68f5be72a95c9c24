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
    let [top, left, bottom, right] = pool.pads;
    let rows = windows(call, pool, 0, (top, bottom), height)?;
    let columns = windows(call, pool, 1, (left, right), width)?;
    let shape = vec![batch, channels, rows.count, columns.count];
    let len = call.len(&shape)?;
    if len == 0 {
        return Tensor::f32(shape, []);
    }
    let mut y = Vec::with_capacity(len);
    for plane in x.chunks_exact(height * width) {
        for i in 0..rows.count {
            let (inside_rows, padded_rows) = rows.window(i);
            for j in 0..columns.count {
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

/// The windows along one dimension of the image.
struct Windows {
    count: usize,
    kernel: usize,
    stride: usize,
    pads: (usize, usize),
    extent: usize,
}

fn windows(
    call: &Call<'_>,
    pool: &Pool,
    dimension: usize,
    pads: (usize, usize),
    extent: usize,
) -> Result<Windows> {
    let (kernel, stride) = (pool.kernel[dimension], pool.strides[dimension]);
    // Both pads are below the kernel, so each window has a pixel: there is no largest of none.
    let padded = (extent.checked_add(pads.0))
        .and_then(|n| n.checked_add(pads.1))
        .filter(|&padded| padded >= kernel && pads.0 < kernel && pads.1 < kernel);
    let Some(padded) = padded.filter(|_| stride > 0 && extent > 0) else {
        return Err(call.wrong(format!(
            "a window of {kernel} with step {stride} does not fit {extent} pixels with padding {pads:?}"
        )));
    };
    let steps = if pool.ceil_mode {
        let steps = (padded - kernel).div_ceil(stride);
        // ONNX: a window that would start in the padding behind the image is left out.
        let starts_inside = (steps.checked_mul(stride)).is_some_and(|at| at < extent + pads.0);
        if starts_inside { steps } else { steps - 1 }
    } else {
        (padded - kernel) / stride
    };
    Ok(Windows {
        count: steps + 1,
        kernel,
        stride,
        pads,
        extent,
    })
}

impl Windows {
    /// The pixels of a window, and its size with padding; what a last window has beyond the padding (`ceil_mode`) is neither.
    fn window(&self, index: usize) -> (Range<usize>, usize) {
        let start = index * self.stride;
        let end = start
            .saturating_add(self.kernel)
            .min(self.pads.0 + self.extent + self.pads.1);
        let first = start.saturating_sub(self.pads.0);
        let last = (end - self.pads.0).min(self.extent);
        (first..last, end - start)
    }
}
