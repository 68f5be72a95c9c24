//! The steps of a plan other than convolutions.

use super::super::Cpu;
use super::super::isa::Loop;
use super::epilogue::Requantiser;
use super::{Image, Images, Scratch, lock, reserve};
use crate::plan::{AverageStep, ChannelRange, PixelTable, SumStep, Window};
use network::quant::QuantParams;

/// Values that one thread takes at once.
const PIECE: usize = 1 << 14;

pub(super) fn pixels(cpu: &Cpu, step: &PixelTable<u8>, pixels: &[u8], out: &mut [u8]) {
    let at_once = PIECE / 3 * 3;
    let pieces = pixels.chunks(at_once).zip(out.chunks_mut(at_once));
    cpu.each(pixels.len(), pieces, |_, (pixels, out)| {
        let pixels = pixels.as_chunks::<3>().0.iter();
        for (pixel, out) in pixels.zip(out.as_chunks_mut::<3>().0) {
            *out = [0, 1, 2].map(|plane| {
                let value = pixel[step.sample[plane]];
                step.table[plane][usize::from(value)]
            });
        }
    });
}

/// `out` is `[N, 3, height, width]`, `area` is `height * width`.
pub(super) fn normalise(step: &PixelTable<f32>, pixels: &[u8], area: usize, out: &mut [f32]) {
    let images = pixels.chunks_exact(3 * area);
    for (pixels, out) in images.zip(out.chunks_exact_mut(3 * area)) {
        for (plane, out) in out.chunks_exact_mut(area).enumerate() {
            let (table, sample) = (&step.table[plane], step.sample[plane]);
            for (pixel, out) in pixels.as_chunks::<3>().0.iter().zip(out) {
                *out = table[usize::from(pixel[sample])];
            }
        }
    }
}

/// Calls `reduce` for each window of `x` with the index of the thread, the rows and columns of the window, its
/// pixels row by row, and the channels of the result.
fn over_windows(
    cpu: &Cpu,
    [rows, columns]: [&[Window]; 2],
    x: &Image<'_>,
    out: &mut [u8],
    work: usize,
    reduce: impl Fn(usize, [Window; 2], &mut dyn Iterator<Item = &[u8]>, &mut [u8]) + Sync,
) {
    let [height, width, channels] = x.size;
    let out_rows = out.chunks_mut(columns.len() * channels).enumerate();
    cpu.each(work, out_rows, |thread, (number, out)| {
        let (image, row) = (number / rows.len(), rows[number % rows.len()]);
        let image = &x.values[image * height * width * channels..];
        for (&column, out) in columns.iter().zip(out.chunks_exact_mut(channels)) {
            let mut pixels = (row.start..row.end).map(|i| {
                let pixels = &image[(i * width + column.start) * channels..];
                &pixels[..(column.end - column.start) * channels]
            });
            reduce(thread, [row, column], &mut pixels, out);
        }
    });
}

pub(super) fn max_pool(
    cpu: &Cpu,
    rows: &[Window],
    columns: &[Window],
    x: &Image<'_>,
    out: &mut [u8],
) {
    let work = out.len() * 9;
    over_windows(cpu, [rows, columns], x, out, work, |_, _, pixels, out| {
        out.fill(0);
        pixels.for_each(|x| cpu.isa.run(Largest { x, out }));
    });
}

/// `out[i] = max(out[i], x[i])`, for as many `x` as there are.
struct Largest<'a> {
    x: &'a [u8],
    out: &'a mut [u8],
}

impl Loop for Largest<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        for x in self.x.chunks_exact(self.out.len()) {
            for (out, &x) in self.out.iter_mut().zip(x) {
                *out = x.max(*out);
            }
        }
    }
}

/// `sums[i] += x[i]`, for as many `x` as there are.
struct Add<'a> {
    x: &'a [u8],
    sums: &'a mut [i32],
}

impl Loop for Add<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        for x in self.x.chunks_exact(self.sums.len()) {
            for (sum, &x) in self.sums.iter_mut().zip(x) {
                *sum += i32::from(x);
            }
        }
    }
}

/// `out[i] = requantise(sums[i] - zero, scale)`.
struct Means<'a> {
    sums: &'a [i32],
    zero: i32,
    scale: f32,
    requantiser: Requantiser,
    out: &'a mut [u8],
}

impl Loop for Means<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        for (out, &sum) in self.out.iter_mut().zip(self.sums) {
            *out = (self.requantiser).quantised((sum - self.zero) as f32 * self.scale);
        }
    }
}

pub(super) fn average(
    cpu: &Cpu,
    scratch: &Scratch,
    step: &AverageStep,
    x: &Image<'_>,
    out: &mut [u8],
) {
    let [.., channels] = x.size;
    reserve(&scratch.threads, channels);
    let (windows, work) = ([&step.rows[..], &step.columns], x.values.len() + out.len());
    over_windows(
        cpu,
        windows,
        x,
        out,
        work,
        |thread, [row, column], pixels, out| {
            let sums = &mut lock(&scratch.threads[thread])[..channels];
            sums.fill(0);
            pixels.for_each(|x| cpu.isa.run(Add { x, sums }));
            let area = (row.end - row.start) * (column.end - column.start);
            cpu.isa.run(Means {
                sums,
                zero: area as i32 * i32::from(x.params.zero_point),
                scale: step.scale[row.class][column.class],
                requantiser: Requantiser::new(&step.clamp),
                out,
            });
        },
    );
}

/// `out` is `[N, C]`.
pub(super) fn mean(cpu: &Cpu, scratch: &Scratch, scale: f32, x: &Image<'_>, out: &mut [f32]) {
    let [height, width, channels] = x.size;
    reserve(&scratch.threads, channels);
    let sums = &mut lock(&scratch.threads[0])[..channels];
    let zero = (height * width) as i32 * i32::from(x.params.zero_point);
    let images = x.values.chunks_exact(height * width * channels);
    for (image, out) in images.zip(out.chunks_exact_mut(channels)) {
        sums.fill(0);
        cpu.isa.run(Add { x: image, sums });
        for (out, sum) in out.iter_mut().zip(&*sums) {
            *out = (sum - zero) as f32 * scale;
        }
    }
}

pub(super) fn table(cpu: &Cpu, table: &[u8; 256], x: &Image<'_>, out: &mut [u8]) {
    let pieces = x.values.chunks(PIECE).zip(out.chunks_mut(PIECE));
    cpu.each(x.values.len(), pieces, |_, (x, out)| {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = table[usize::from(x)];
        }
    });
}

pub(super) fn sum(
    cpu: &Cpu,
    scratch: &Scratch,
    step: &SumStep,
    images: &Images<'_>,
    [height, width, channels]: [usize; 3],
    out: &mut [u8],
) {
    let row = width * channels;
    reserve(&scratch.threads, row);
    let terms = 2 * step.products;
    let work = out.len() * (step.products + step.multipliers.len()) * 4;
    cpu.each(
        work,
        out.chunks_mut(row).enumerate(),
        |thread, (number, out)| {
            let sums = &mut lock(&scratch.threads[thread])[..row];
            sums.fill(0);
            let of = |image: &Image<'_>| image.params.zero_point.into();
            for product in 0..step.products {
                let (x, gate) = (images.get(2 * product), images.get(2 * product + 1));
                let at = match gate.size[..2] == [1, 1] {
                    true => number / height * channels..(number / height + 1) * channels,
                    false => number * row..(number + 1) * row,
                };
                cpu.isa.run(AddProducts {
                    x: &x.values[number * row..][..row],
                    gate: &gate.values[at],
                    zeros: [of(&x), of(&gate)],
                    sums,
                });
            }
            if step.shift > 0 {
                sums.iter_mut().for_each(|sum| *sum <<= step.shift);
            }
            for (term, &multiplier) in step.multipliers.iter().enumerate() {
                let x = images.get(terms + term);
                cpu.isa.run(AddMultiples {
                    x: &x.values[number * row..][..row],
                    zero: of(&x),
                    multiplier,
                    sums,
                });
            }
            cpu.isa.run(Requantise { sums, step, out });
        },
    );
}

/// `sums[i] += (x[i] - zeros[0]) * (gate[i] - zeros[1])`, the gate repeated over x.
struct AddProducts<'a> {
    x: &'a [u8],
    gate: &'a [u8],
    zeros: [i32; 2],
    sums: &'a mut [i32],
}

impl Loop for AddProducts<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let len = self.gate.len();
        let [zero, gate_zero] = self.zeros;
        for (sums, x) in self
            .sums
            .chunks_exact_mut(len)
            .zip(self.x.chunks_exact(len))
        {
            for ((sum, &x), &gate) in sums.iter_mut().zip(x).zip(self.gate) {
                *sum += (i32::from(x) - zero) * (i32::from(gate) - gate_zero);
            }
        }
    }
}

/// `sums[i] += multiplier * (x[i] - zero)`.
struct AddMultiples<'a> {
    x: &'a [u8],
    zero: i32,
    multiplier: i32,
    sums: &'a mut [i32],
}

impl Loop for AddMultiples<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        for (sum, &x) in self.sums.iter_mut().zip(self.x) {
            let steps = i32::from(x) - self.zero;
            *sum = sum.wrapping_add(self.multiplier.wrapping_mul(steps));
        }
    }
}

/// Accumulators to quantised values.
struct Requantise<'a> {
    sums: &'a [i32],
    step: &'a SumStep,
    out: &'a mut [u8],
}

impl Loop for Requantise<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let scales = &self.step.requantise;
        let requantiser = Requantiser::new(&scales.clamp);
        let channels = scales.scale.len();
        let pixels = self.sums.chunks_exact(channels);
        for (sums, out) in pixels.zip(self.out.chunks_exact_mut(channels)) {
            let scaled = sums.iter().zip(&scales.scale);
            match &scales.negative {
                None => {
                    for (out, (&sum, &scale)) in out.iter_mut().zip(scaled) {
                        *out = requantiser.quantised(sum as f32 * scale);
                    }
                }
                Some(negative) => {
                    for ((out, (&sum, &scale)), &negative) in
                        out.iter_mut().zip(scaled).zip(negative)
                    {
                        let scale = if sum < 0 { negative } else { scale };
                        *out = requantiser.quantised(sum as f32 * scale);
                    }
                }
            }
        }
    }
}

pub(super) fn channels(
    ranges: &[ChannelRange],
    images: &Images<'_>,
    channels: usize,
    out: &mut [u8],
) {
    let mut first = 0;
    for range in ranges {
        let x = images.get(range.input);
        let pixels = x.values.chunks_exact(x.size[2]);
        for (x, out) in pixels.zip(out.chunks_exact_mut(channels)) {
            let (x, out) = (
                &x[range.start..][..range.len],
                &mut out[first..][..range.len],
            );
            match (x, &mut *out) {
                // A call of `memcpy` takes longer than copying one byte.
                ([x], [out]) => *out = *x,
                (x, out) => out.copy_from_slice(x),
            }
        }
        first += range.len;
    }
}

pub(super) fn crop(
    start: [usize; 2],
    step: [usize; 2],
    x: &Image<'_>,
    [height, width, channels]: [usize; 3],
    out: &mut [u8],
) {
    let [x_height, x_width, _] = x.size;
    for (number, out) in out.chunks_exact_mut(channels).enumerate() {
        let (row, j) = (number / width, number % width);
        let (image, i) = (row / height, row % height);
        let i = image * x_height + start[0] + i * step[0];
        let j = start[1] + j * step[1];
        out.copy_from_slice(&x.values[(i * x_width + j) * channels..][..channels]);
    }
}

pub(super) fn pad(
    before: [usize; 3],
    border: u8,
    x: &Image<'_>,
    [height, width, channels]: [usize; 3],
    out: &mut [u8],
) {
    let [x_height, x_width, x_channels] = x.size;
    out.fill(border);
    let images = x.values.chunks_exact(x_height * x_width * x_channels);
    for (x, out) in images.zip(out.chunks_exact_mut(height * width * channels)) {
        for (number, x) in x.chunks_exact(x_channels).enumerate() {
            let (i, j) = (number / x_width, number % x_width);
            let pixel = (before[0] + i) * width + before[1] + j;
            let out = &mut out[pixel * channels + before[2]..][..x_channels];
            out.copy_from_slice(x);
        }
    }
}

/// f32 `[N, C, pixels]` to quantised values `[N, pixels, C]`.
pub(super) fn quantise(
    cpu: &Cpu,
    params: QuantParams,
    [height, width, channels]: [usize; 3],
    x: &[f32],
    out: &mut [u8],
) {
    let area = height * width;
    let pieces = x
        .chunks_exact(channels * area)
        .zip(out.chunks_exact_mut(channels * area));
    cpu.each(x.len() * 4, pieces, |_, (x, out)| {
        cpu.isa.run(QuantisePlanes {
            params,
            x,
            channels,
            out,
        });
    });
}

struct QuantisePlanes<'a> {
    params: QuantParams,
    x: &'a [f32],
    channels: usize,
    out: &'a mut [u8],
}

impl Loop for QuantisePlanes<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let area = self.x.len() / self.channels;
        for (c, plane) in self.x.chunks_exact(area).enumerate() {
            for (i, x) in plane.chunks(64).enumerate() {
                let mut values = [0; 64];
                for (value, &x) in values.iter_mut().zip(x) {
                    *value = self.params.quantise(x);
                }
                let out = self.out[i * 64 * self.channels + c..].iter_mut();
                for (out, &value) in out.step_by(self.channels).zip(&values[..x.len()]) {
                    *out = value;
                }
            }
        }
    }
}

/// Quantised values `[N, pixels, C]` to f32 `[N, C, pixels]`.
pub(super) fn dequantise(cpu: &Cpu, x: &Image<'_>, out: &mut [f32]) {
    let [height, width, channels] = x.size;
    let area = height * width;
    let images = x.values.chunks_exact(area * channels);
    for (image, out) in images.zip(out.chunks_exact_mut(area * channels)) {
        let planes = out.chunks_exact_mut(area).enumerate();
        cpu.each(image.len() * 2, planes, |_, (c, out)| {
            for (out, &value) in out.iter_mut().zip(image[c..].iter().step_by(channels)) {
                *out = x.params.dequantise(value);
            }
        });
    }
}

/// `[N, pixels, C]` as `[N, C, pixels]`.
pub(super) fn planes(x: &[f32], [height, width, channels]: [usize; 3], out: &mut [f32]) {
    let area = height * width;
    let images = x.chunks_exact(area * channels);
    for (x, out) in images.zip(out.chunks_exact_mut(area * channels)) {
        for (c, out) in out.chunks_exact_mut(area).enumerate() {
            for (out, &x) in out.iter_mut().zip(x[c..].iter().step_by(channels)) {
                *out = x;
            }
        }
    }
}
