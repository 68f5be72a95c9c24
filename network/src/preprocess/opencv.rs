//! `INTER_LINEAR` of `OpenCV` on bytes: the four neighbours of the centre, without anti-aliasing.
//!
//! After `modules/imgproc/src/resize.cpp` of `OpenCV` (`resizeGeneric_`, `HResizeLinear`, `VResizeLinear`):
//! positions in single precision, weights in fixed point with 11 bits, horizontally to 32-bit sums, vertically
//! with their low 4 bits cut off.

use super::Window;

/// Fractional bits of a weight (`OpenCV`'s `INTER_RESIZE_COEF_BITS`).
const BITS: u32 = 11;

/// `OpenCV`'s `INTER_LINEAR` with its buffers.
#[derive(Debug, Default)]
pub(super) struct Filter {
    across: Vec<Pair>,
    down: Vec<Pair>,
    /// Two rows of the source after the pass across, `[width, 3]` each, and which ones: consecutive
    /// output rows mostly share them.
    narrowed: [(Option<usize>, Vec<i32>); 2],
}

/// Two neighbours on one axis and their weights.
#[derive(Debug, Clone, Copy)]
struct Pair {
    at: [usize; 2],
    weights: [i32; 2],
}

impl Filter {
    /// Resizes `source` to `width` x `height`; `rows` are the rows of the result, `[width, 3]`
    /// each.
    pub(super) fn resize<'o>(
        &mut self,
        source: Window<'_>,
        width: usize,
        height: usize,
        rows: impl Iterator<Item = &'o mut [u8]>,
    ) {
        pairs(source.width, width, &mut self.across);
        pairs(source.height, height, &mut self.down);
        for (y, row) in &mut self.narrowed {
            *y = None;
            row.resize(width * 3, 0);
        }
        for (out, pair) in rows.zip(&self.down) {
            if self.narrowed[1].0 == Some(pair.at[0]) {
                self.narrowed.swap(0, 1);
            }
            for (&y, (held, row)) in pair.at.iter().zip(&mut self.narrowed) {
                if *held != Some(y) {
                    sum_pixels(&self.across, source.row(y), row);
                    *held = Some(y);
                }
            }
            let [upper, lower] = &self.narrowed;
            let sums = upper.1.iter().zip(&lower.1);
            for (sample, (upper, lower)) in out.iter_mut().zip(sums) {
                // At most 255 << 7 times 1 << 11: below 2^26, and the result at most 255.
                let upper = (pair.weights[0] * (upper >> 4)) >> 16;
                let lower = (pair.weights[1] * (lower >> 4)) >> 16;
                *sample = ((upper + lower + 2) >> 2) as u8;
            }
        }
    }
}

/// The neighbours of each of `to` output pixels among `from` source pixels.
fn pairs(from: usize, to: usize, pairs: &mut Vec<Pair>) {
    // Not from / to: `OpenCV` inverts twice.
    let scale = 1.0 / (to as f64 / from as f64);
    pairs.clear();
    pairs.extend((0..to).map(|index| {
        let position = ((index as f64 + 0.5) * scale - 0.5) as f32;
        let floor = position.floor();
        let fraction = position - floor;
        let fixed = |weight: f32| (weight * (1 << BITS) as f32).round_ties_even() as i32;
        // Beyond the edge both neighbours are the last pixel, and keep their weights: the pass down
        // cuts bits off each of the two.
        let clipped = |at: f32| (at.max(0.0) as usize).min(from - 1);
        Pair {
            at: [clipped(floor), clipped(floor + 1.0)],
            weights: [fixed(1.0 - fraction), fixed(fraction)],
        }
    }));
}

/// The pass across of one row of pixels, left in fixed point.
fn sum_pixels(across: &[Pair], row: &[u8], out: &mut [i32]) {
    let (row, out) = (row.as_chunks::<3>().0, out.as_chunks_mut::<3>().0);
    for (sums, pair) in out.iter_mut().zip(across) {
        let (left, right) = (row[pair.at[0]], row[pair.at[1]]);
        *sums = std::array::from_fn(|sample| {
            i32::from(left[sample]) * pair.weights[0] + i32::from(right[sample]) * pair.weights[1]
        });
    }
}
