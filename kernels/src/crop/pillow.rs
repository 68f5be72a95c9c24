//! `BILINEAR` of Pillow: a triangle over the area that an output pixel covers, across first, then
//! down.
//!
//! After `src/libImaging/Resample.c` of Pillow (`precompute_coeffs`, `normalize_coeffs_8bpc`,
//! `ImagingResampleHorizontal_8bpc`): weights in double precision, normalised, then fixed point
//! with 22 bits; each pass rounds to bytes; a pass that would not change the size is left out. Same
//! order, same numbers: the result is that of Pillow up to 12, bit for bit. Pillow 13 goes down
//! first where the height shrinks much more than the width
//! (<https://github.com/python-pillow/Pillow/pull/9549>), which moves some samples by one level;
//! the published networks were trained before that.

use super::Window;

/// Fractional bits of a weight: 32 less 8 for the sample and 2 for the overshoot of sharper filters
/// than this one (Pillow's `PRECISION_BITS`).
const BITS: u32 = 22;
const HALF: i32 = 1 << (BITS - 1);

/// Pillow's `BILINEAR`, and the memory that it works in.
#[derive(Debug, Default)]
pub(super) struct Filter {
    across: Taps,
    down: Taps,
    /// All rows of the source after the pass across, `[source height, width, 3]`.
    narrowed: Vec<u8>,
    /// One row of sums of the pass down, `[width, 3]`.
    sums: Vec<i32>,
}

/// What each pixel of one output axis sums up.
#[derive(Debug, Default)]
struct Taps {
    /// First source pixel, and how many.
    spans: Vec<(usize, usize)>,
    /// The weights of all spans, end to end.
    weights: Vec<i32>,
    /// The weights of one span before they are rounded.
    exact: Vec<f64>,
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
        let stride = width * 3;
        self.narrowed.resize(source.height * stride, 0);
        if width == source.width {
            for (y, row) in self.narrowed.chunks_exact_mut(stride).enumerate() {
                row.copy_from_slice(source.row(y));
            }
        } else {
            self.across.fill(source.width, width);
            for (y, row) in self.narrowed.chunks_exact_mut(stride).enumerate() {
                self.across.sum_pixels(source.row(y), row);
            }
        }

        if height == source.height {
            for (out, row) in rows.zip(self.narrowed.chunks_exact(stride)) {
                out.copy_from_slice(row);
            }
        } else {
            self.down.fill(source.height, height);
            self.sums.resize(stride, 0);
            for (out, (first, weights)) in rows.zip(self.down.iter()) {
                self.sums.fill(HALF);
                let sources = self.narrowed[first * stride..].chunks_exact(stride);
                for (row, &weight) in sources.zip(weights) {
                    for (sum, &sample) in self.sums.iter_mut().zip(row) {
                        *sum += i32::from(sample) * weight;
                    }
                }
                for (sample, &sum) in out.iter_mut().zip(&self.sums) {
                    *sample = byte(sum);
                }
            }
        }
    }
}

impl Taps {
    /// Computes the weights from `from` source pixels to `to` output pixels.
    fn fill(&mut self, from: usize, to: usize) {
        let scale = from as f64 / to as f64;
        // Shrinking widens the triangle with the area of an output pixel; enlarging does not narrow
        // it.
        let support = scale.max(1.0);
        let slope = 1.0 / support;
        self.spans.clear();
        self.weights.clear();
        for index in 0..to {
            let centre = (index as f64 + 0.5) * scale;
            // A cast truncates and takes negative numbers to 0, as the C code does in two steps.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            self.exact.clear();
            self.exact.extend((first..end).map(|x| {
                let distance = (x as f64 - centre + 0.5) * slope;
                (1.0 - distance.abs()).max(0.0)
            }));
            let total: f64 = self.exact.iter().sum();
            self.spans.push((first, end - first));
            self.weights.extend(
                self.exact
                    .iter()
                    .map(|weight| (0.5 + weight / total * f64::from(1 << BITS)) as i32),
            );
        }
    }

    /// For each output pixel the first source pixel and the weights from there on.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let mut rest = self.weights.as_slice();
        self.spans.iter().map(move |&(first, len)| {
            let (weights, after) = rest.split_at(len);
            rest = after;
            (first, weights)
        })
    }

    /// The pass across of one row of pixels.
    fn sum_pixels(&self, row: &[u8], out: &mut [u8]) {
        let (row, out) = (row.as_chunks::<3>().0, out.as_chunks_mut::<3>().0);
        for (pixel, (first, weights)) in out.iter_mut().zip(self.iter()) {
            let mut sums = [HALF; 3];
            for (source, &weight) in row[first..].iter().zip(weights) {
                for (sum, &sample) in sums.iter_mut().zip(source) {
                    *sum += i32::from(sample) * weight;
                }
            }
            *pixel = sums.map(byte);
        }
    }
}

/// Back from fixed point. Weights are rounded one by one, so that their sum may be a little above
/// one.
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_a_pixel_sum_to_one() {
        let mut taps = Taps::default();
        for (from, to) in [(1, 1), (1, 7), (7, 1), (500, 256), (13, 128), (16_384, 3)] {
            taps.fill(from, to);
            assert_eq!(taps.iter().count(), to);
            for (first, weights) in taps.iter() {
                assert!(first + weights.len() <= from, "{from} -> {to}");
                let sum: i32 = weights.iter().sum();
                // Each weight is off by at most half a unit.
                let off = sum.abs_diff(1 << BITS) as usize;
                assert!(off <= weights.len().div_ceil(2), "{from} -> {to}: {off}");
            }
        }
    }
}
