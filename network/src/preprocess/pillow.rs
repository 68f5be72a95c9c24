//! `BILINEAR` of Pillow: a triangle over the area that an output pixel covers, horizontally, then vertically.
//!
//! After `src/libImaging/Resample.c` of Pillow (`precompute_coeffs`, `normalize_coeffs_8bpc`,
//! `ImagingResampleHorizontal_8bpc`), bit for bit up to Pillow 12: weights in double precision, normalised, then in
//! fixed point with 22 bits; each pass rounds to bytes; a pass that keeps the size is skipped. Pillow 13 may swap
//! the passes (<https://github.com/python-pillow/Pillow/pull/9549>), which moves some samples by one level.

use super::Window;

/// Fractional bits of a weight: 32 less 8 for the sample and 2 for the overshoot of sharper filters
/// than this one (Pillow's `PRECISION_BITS`).
const BITS: u32 = 22;
const HALF: i32 = 1 << (BITS - 1);

/// Pillow's `BILINEAR` with its buffers.
#[derive(Debug, Default)]
pub(super) struct Filter {
    across: Taps,
    down: Taps,
    /// One row of the source, with room behind it for taps without weight.
    row: Vec<u8>,
    /// All rows of the source after the pass across, `[source height, width, 3]`.
    narrowed: Vec<u8>,
    /// One row of sums of the pass down, `[width, 3]`.
    sums: Vec<i32>,
}

/// Source pixels and weights of each output pixel along one axis.
#[derive(Debug, Default)]
struct Taps {
    /// The first source pixel of each.
    firsts: Vec<usize>,
    /// `most` weights for each, unused ones being 0: a loop of fixed length needs no branch prediction.
    weights: Vec<i32>,
    most: usize,
    /// The weights of one pixel before they are rounded.
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
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { self.resize_avx2(source, width, height, rows) };
        }
        self.resize_plain(source, width, height, rows);
    }

    fn resize_plain<'o>(
        &mut self,
        source: Window<'_>,
        width: usize,
        height: usize,
        rows: impl Iterator<Item = &'o mut [u8]>,
    ) {
        self.passes(source, width, height, rows, Taps::sum_pixels);
    }

    /// The same with AVX2, which multiplies eight 32-bit integers at once; plain x86-64 has no such
    /// instruction.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn resize_avx2<'o>(
        &mut self,
        source: Window<'_>,
        width: usize,
        height: usize,
        rows: impl Iterator<Item = &'o mut [u8]>,
    ) {
        self.passes(source, width, height, rows, |taps, row, out| {
            taps.sum_pixels_avx2(row, out);
        });
    }

    #[inline(always)]
    fn passes<'o>(
        &mut self,
        source: Window<'_>,
        width: usize,
        height: usize,
        rows: impl Iterator<Item = &'o mut [u8]>,
        sum_pixels: impl Fn(&Taps, &[u8], &mut [u8]),
    ) {
        let stride = width * 3;
        self.narrowed.resize(source.height * stride, 0);
        if width == source.width {
            for (y, row) in self.narrowed.chunks_exact_mut(stride).enumerate() {
                row.copy_from_slice(source.row(y));
            }
        } else {
            self.across.fill(source.width, width);
            // A pixel is read as four bytes.
            self.row
                .resize((source.width + self.across.most) * 3 + 1, 0);
            for (y, row) in self.narrowed.chunks_exact_mut(stride).enumerate() {
                self.row[..source.width * 3].copy_from_slice(source.row(y));
                sum_pixels(&self.across, &self.row, row);
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
        let span = |index: usize| {
            let centre = (index as f64 + 0.5) * scale;
            // A cast truncates and takes negative numbers to 0, as the C code does in two steps.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            (centre, first..end)
        };
        self.most = (0..to).map(|index| span(index).1.len()).max().unwrap_or(0);
        self.firsts.clear();
        self.weights.clear();
        for index in 0..to {
            let (centre, pixels) = span(index);
            self.firsts.push(pixels.start);
            self.exact.clear();
            self.exact.extend(pixels.map(|x| {
                let distance = (x as f64 - centre + 0.5) * slope;
                (1.0 - distance.abs()).max(0.0)
            }));
            let total: f64 = self.exact.iter().sum();
            self.weights.extend(
                self.exact
                    .iter()
                    .map(|weight| (0.5 + weight / total * f64::from(1 << BITS)) as i32),
            );
            self.weights.resize(self.firsts.len() * self.most, 0);
        }
    }

    /// For each output pixel the first source pixel and the weights from there on; behind the last
    /// source pixel they are 0.
    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self.weights.chunks_exact(self.most);
        self.firsts.iter().copied().zip(weights)
    }

    /// The pass across of one row of pixels, behind which there are as many again as a pixel has
    /// taps, and one byte.
    fn sum_pixels(&self, row: &[u8], out: &mut [u8]) {
        for (pixel, (first, weights)) in out.as_chunks_mut::<3>().0.iter_mut().zip(self.iter()) {
            let mut sums = [HALF; 3];
            for (source, &weight) in row[first * 3..].as_chunks::<3>().0.iter().zip(weights) {
                for (sum, &sample) in sums.iter_mut().zip(source) {
                    *sum += i32::from(sample) * weight;
                }
            }
            *pixel = sums.map(byte);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn sum_pixels_avx2(&self, row: &[u8], out: &mut [u8]) {
        match self.most {
            2 => self.sum_taps_avx2::<2>(row, out),
            3 => self.sum_taps_avx2::<3>(row, out),
            4 => self.sum_taps_avx2::<4>(row, out),
            5 => self.sum_taps_avx2::<5>(row, out),
            6 => self.sum_taps_avx2::<6>(row, out),
            7 => self.sum_taps_avx2::<7>(row, out),
            8 => self.sum_taps_avx2::<8>(row, out),
            _ => self.sum_pixels(row, out),
        }
    }

    /// As [`Taps::sum_pixels`] for `N` taps. The fourth of four sums is of a sample of the next
    /// pixel, and is dropped.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn sum_taps_avx2<const N: usize>(&self, row: &[u8], out: &mut [u8]) {
        use std::arch::x86_64::{
            _mm_add_epi32, _mm_cvtepu8_epi32, _mm_cvtsi32_si128, _mm_cvtsi128_si32,
            _mm_mullo_epi32, _mm_packs_epi32, _mm_packus_epi16, _mm_set1_epi32, _mm_srai_epi32,
        };
        let pixels = out.as_chunks_mut::<3>().0.iter_mut();
        let weights = self.weights.as_chunks::<N>().0;
        for ((pixel, &first), weights) in pixels.zip(&self.firsts).zip(weights) {
            let samples = &row[first * 3..][..N * 3 + 1];
            let mut sums = _mm_set1_epi32(HALF);
            for (at, &weight) in weights.iter().enumerate() {
                let four = [0, 1, 2, 3].map(|sample| samples[at * 3 + sample]);
                let four = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(i32::from_le_bytes(four)));
                sums = _mm_add_epi32(sums, _mm_mullo_epi32(four, _mm_set1_epi32(weight)));
            }
            // What `byte` does: both packings keep numbers in their range.
            let words = _mm_packs_epi32(_mm_srai_epi32::<{ BITS as i32 }>(sums), sums);
            let [r, g, b, _] = _mm_cvtsi128_si32(_mm_packus_epi16(words, words)).to_le_bytes();
            *pixel = [r, g, b];
        }
    }
}

/// Back from fixed point. Weights are rounded one by one, so that their sum may be a little above
/// one.
#[inline(always)]
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
                let needed = weights.iter().rposition(|&weight| weight != 0);
                let end = first + needed.map_or(0, |last| last + 1);
                assert!(end <= from, "{from} -> {to}");
                let sum: i32 = weights.iter().sum();
                // Each weight is off by at most half a unit.
                let off = sum.abs_diff(1 << BITS) as usize;
                assert!(off <= weights.len().div_ceil(2), "{from} -> {to}: {off}");
            }
        }
    }

    #[test]
    fn every_processor_cuts_the_same() {
        let (width, height) = (301, 207);
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let rgb: Vec<u8> = (0..width * height * 3).map(|_| random()).collect();
        let mut filter = Filter::default();
        for [w, h] in [[1, 1], [7, 5], [128, 64], [128, 9], [200, 64], [300, 206]] {
            let source = Window {
                rgb: &rgb[(width + 1) * 3..],
                stride: width * 3,
                width: w,
                height: h,
            };
            let (mut plain, mut fast) = ([0; 128 * 64 * 3], [1; 128 * 64 * 3]);
            filter.resize_plain(source, 128, 64, plain.chunks_exact_mut(128 * 3));
            filter.resize(source, 128, 64, fast.chunks_exact_mut(128 * 3));
            assert_eq!(plain, fast, "{w} x {h}");
        }
    }

    #[test]
    #[ignore = "a measurement, not a check: run it in release"]
    fn bench_cuts() {
        let rgb: Vec<u8> = (0..1280 * 720 * 3usize)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let (mut filter, mut out) = (Filter::default(), vec![0; 128 * 256 * 3]);
        for [width, height] in [[60, 160], [150, 420], [300, 700]] {
            let source = Window {
                rgb: &rgb,
                stride: 1280 * 3,
                width,
                height,
            };
            let mut best = |plain: bool| {
                let once = |_| {
                    let start = std::time::Instant::now();
                    let rows = out.chunks_exact_mut(128 * 3);
                    match plain {
                        true => filter.resize_plain(source, 128, 256, rows),
                        false => filter.resize(source, 128, 256, rows),
                    }
                    start.elapsed()
                };
                (0..50).map(once).min().unwrap_or_default()
            };
            let (plain, fast) = (best(true), best(false));
            println!("{width} x {height}: {plain:.2?} plain, {fast:.2?} here");
        }
    }
}
