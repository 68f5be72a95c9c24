//! Pooling in f32.

use super::{Cpu, f32s};
use network::graph::Pool;
use network::reference::Windows;
use network::tensor::Tensor;

/// Wider windows are left to the reference, which is as fast: it visits pixels alone, not padding.
const WIDEST: usize = 64;

/// The largest pixel of each window; a NaN goes through, as in the reference.
pub(super) fn max(cpu: &Cpu, pool: &Pool, x: &Tensor, shape: &[usize]) -> Option<Vec<f32>> {
    let add = |largest: f32, x: f32| {
        if x > largest || x.is_nan() {
            x
        } else {
            largest
        }
    };
    let start = f32::NEG_INFINITY;
    over_windows(cpu, pool, x, shape, start, add, |largest, _, _| largest)
}

/// The mean of each window, summed in the order of the reference.
pub(super) fn average(
    cpu: &Cpu,
    pool: &Pool,
    count_include_pad: bool,
    x: &Tensor,
    shape: &[usize],
) -> Option<Vec<f32>> {
    let add = |sum: f64, x: f32| sum + f64::from(x);
    over_windows(cpu, pool, x, shape, 0.0, add, |sum, inside, padded| {
        let area = if count_include_pad { padded } else { inside };
        (sum / area) as f32
    })
}

/// Adds up the pixels of each window from `start` on; `end` gets the sum, the number of pixels and
/// the area with padding. None for windows wider than [`WIDEST`].
fn over_windows<S: Copy + Send + Sync>(
    cpu: &Cpu,
    pool: &Pool,
    x: &Tensor,
    shape: &[usize],
    start: S,
    add: impl Fn(S, f32) -> S + Sync,
    end: impl Fn(S, f64, f64) -> f32 + Sync,
) -> Option<Vec<f32>> {
    let (&[.., height, width], &[.., out_height, out_width]) = (x.shape(), shape) else {
        return None;
    };
    if pool.kernel[1] > WIDEST {
        return None;
    }
    let x = f32s(x);
    let mut y = vec![0.0; shape.iter().product()];
    let [rows, columns] = [0, 1].map(|axis| Windows::new(pool, axis, [height, width][axis]));
    let rows: Vec<_> = (0..out_height).map(|i| rows.window(i)).collect();
    let columns: Vec<_> = (0..out_width).map(|j| columns.window(j)).collect();
    let (stride, left) = (pool.strides[1], pool.pads[1]);
    // Of each column of a window: the first output that has it within the image, and the pixel.
    let inside: Vec<_> = (0..pool.kernel[1])
        .map(|kx| {
            let first = left.saturating_sub(kx).div_ceil(stride);
            let last = (left + width).saturating_sub(kx).div_ceil(stride);
            (
                first,
                last.min(out_width),
                (first * stride + kx).saturating_sub(left),
            )
        })
        .filter(|(first, last, _)| first < last)
        .collect();

    let work = y.len() * pool.kernel[1] * pool.kernel[0].min(height);
    let planes = x
        .chunks_exact(height * width)
        .zip(y.chunks_exact_mut(out_height * out_width));
    cpu.each(work, planes, |_, (x, y)| {
        let mut sums = vec![start; out_width];
        for ((inside_rows, padded_rows), y) in rows.iter().zip(y.chunks_exact_mut(out_width)) {
            sums.fill(start);
            for row in x[inside_rows.start * width..inside_rows.end * width].chunks_exact(width) {
                for &(first, last, pixel) in &inside {
                    let pixels = row[pixel..].iter().step_by(stride);
                    for (sum, &x) in sums[first..last].iter_mut().zip(pixels) {
                        *sum = add(*sum, x);
                    }
                }
            }
            for ((y, &sum), (inside, padded)) in y.iter_mut().zip(&sums).zip(&columns) {
                let pixels = (inside_rows.len() * inside.len()) as f64;
                *y = end(sum, pixels, *padded_rows as f64 * *padded as f64);
            }
        }
    });
    Some(y)
}
