//! The steps that are no convolution.

use super::super::Cpu;
use super::super::isa::Loop;
use super::lanes::Rule;
use super::{Image, Images, Scratch, lock, make_room};
use crate::plan::{Average, Channels, Crop, MaxPool, Mean, Normalise, Pad, Pixels, Sum, Table};
use network::quant::QuantParams;

/// Codes that one thread takes at once.
const PIECE: usize = 1 << 14;

pub(super) fn pixels(cpu: &Cpu, step: &Pixels, pixels: &[u8], out: &mut [u8]) {
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
pub(super) fn normalise(step: &Normalise, pixels: &[u8], area: usize, out: &mut [f32]) {
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

pub(super) fn max_pool(cpu: &Cpu, step: &MaxPool, x: &Image<'_>, out: &mut [u8]) {
    let [height, width, channels] = x.size;
    let row = step.columns.len() * channels;
    cpu.each(
        out.len() * 9,
        out.chunks_mut(row).enumerate(),
        |_, (number, out)| {
            let (image, i) = (number / step.rows.len(), number % step.rows.len());
            let (rows, image) = (step.rows[i], &x.codes[image * height * width * channels..]);
            for (columns, out) in step.columns.iter().zip(out.chunks_exact_mut(channels)) {
                out.fill(0);
                for i in rows.start..rows.end {
                    let pixels = &image[(i * width + columns.start) * channels..];
                    let pixels = &pixels[..(columns.end - columns.start) * channels];
                    for x in pixels.chunks_exact(channels) {
                        cpu.isa.run(Largest { x, out });
                    }
                }
            }
        },
    );
}

/// `out[i] = max(out[i], x[i])`, for as many `x` as there are.
struct Largest<'a> {
    x: &'a [u8],
    out: &'a mut [u8],
}

impl Loop for Largest<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const LANES: usize>(self) {
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
    fn run<const FMA: bool, const LANES: usize>(self) {
        for x in self.x.chunks_exact(self.sums.len()) {
            for (sum, &x) in self.sums.iter_mut().zip(x) {
                *sum += i32::from(x);
            }
        }
    }
}

/// `out[i] = the code of (sums[i] - zero) * scale`.
struct Means<'a> {
    sums: &'a [i32],
    zero: i32,
    scale: f32,
    rule: Rule,
    out: &'a mut [u8],
}

impl Loop for Means<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const LANES: usize>(self) {
        for (out, &sum) in self.out.iter_mut().zip(self.sums) {
            *out = self.rule.code((sum - self.zero) as f32 * self.scale);
        }
    }
}

pub(super) fn average(cpu: &Cpu, scratch: &Scratch, step: &Average, x: &Image<'_>, out: &mut [u8]) {
    let [height, width, channels] = x.size;
    let row = step.columns.len() * channels;
    make_room(&scratch.words, channels);
    let work = x.codes.len() + out.len();
    cpu.each(
        work,
        out.chunks_mut(row).enumerate(),
        |thread, (number, out)| {
            let mut words = lock(&scratch.words[thread]);
            let sums = &mut words[..channels];
            let (image, i) = (number / step.rows.len(), number % step.rows.len());
            let (rows, image) = (step.rows[i], &x.codes[image * height * width * channels..]);
            for (columns, out) in step.columns.iter().zip(out.chunks_exact_mut(channels)) {
                sums.fill(0);
                for i in rows.start..rows.end {
                    let pixels = &image[(i * width + columns.start) * channels..];
                    let pixels = &pixels[..(columns.end - columns.start) * channels];
                    for x in pixels.chunks_exact(channels) {
                        cpu.isa.run(Add { x, sums });
                    }
                }
                let pixels = (rows.end - rows.start) * (columns.end - columns.start);
                let zero = pixels as i32 * i32::from(x.params.zero_point);
                let scale = step.scale[rows.class][columns.class];
                cpu.isa.run(Means {
                    sums,
                    zero,
                    scale,
                    rule: Rule::new(&step.clamp),
                    out,
                });
            }
        },
    );
}

/// `out` is `[N, C]`.
pub(super) fn mean(cpu: &Cpu, scratch: &Scratch, step: &Mean, x: &Image<'_>, out: &mut [f32]) {
    let [height, width, channels] = x.size;
    make_room(&scratch.words, channels);
    let mut words = lock(&scratch.words[0]);
    let sums = &mut words[..channels];
    let zero = (height * width) as i32 * i32::from(x.params.zero_point);
    let images = x.codes.chunks_exact(height * width * channels);
    for (image, out) in images.zip(out.chunks_exact_mut(channels)) {
        sums.fill(0);
        cpu.isa.run(Add { x: image, sums });
        for (out, sum) in out.iter_mut().zip(&*sums) {
            *out = (sum - zero) as f32 * step.scale;
        }
    }
}

pub(super) fn table(cpu: &Cpu, step: &Table, x: &Image<'_>, out: &mut [u8]) {
    let pieces = x.codes.chunks(PIECE).zip(out.chunks_mut(PIECE));
    cpu.each(x.codes.len(), pieces, |_, (x, out)| {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = step.table[usize::from(x)];
        }
    });
}

pub(super) fn sum(
    cpu: &Cpu,
    scratch: &Scratch,
    step: &Sum,
    images: &Images<'_>,
    [height, width, channels]: [usize; 3],
    out: &mut [u8],
) {
    let row = width * channels;
    make_room(&scratch.words, row);
    let work = out.len() * (step.products.len() + step.terms.len()) * 4;
    cpu.each(
        work,
        out.chunks_mut(row).enumerate(),
        |thread, (number, out)| {
            let mut words = lock(&scratch.words[thread]);
            let sums = &mut words[..row];
            sums.fill(0);
            let of = |image: &Image<'_>| image.params.zero_point.into();
            for &[x, gate] in &step.products {
                let (x, gate) = (images.image(x), images.image(gate));
                let at = match gate.size[..2] == [1, 1] {
                    true => number / height * channels..(number / height + 1) * channels,
                    false => number * row..(number + 1) * row,
                };
                cpu.isa.run(AddProducts {
                    x: &x.codes[number * row..][..row],
                    gate: &gate.codes[at],
                    zeros: [of(&x), of(&gate)],
                    sums,
                });
            }
            if step.shift > 0 {
                sums.iter_mut().for_each(|sum| *sum <<= step.shift);
            }
            for term in &step.terms {
                let x = images.image(term.input);
                cpu.isa.run(AddMultiples {
                    x: &x.codes[number * row..][..row],
                    zero: of(&x),
                    multiplier: term.multiplier,
                    sums,
                });
            }
            cpu.isa.run(Requantise { sums, step, out });
        },
    );
}

/// `sums[i] += (x[i] - zeros[0]) * (gate[i] - zeros[1])`, the gate again and again.
struct AddProducts<'a> {
    x: &'a [u8],
    gate: &'a [u8],
    zeros: [i32; 2],
    sums: &'a mut [i32],
}

impl Loop for AddProducts<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const LANES: usize>(self) {
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
    fn run<const FMA: bool, const LANES: usize>(self) {
        for (sum, &x) in self.sums.iter_mut().zip(self.x) {
            let steps = i32::from(x) - self.zero;
            *sum = sum.wrapping_add(self.multiplier.wrapping_mul(steps));
        }
    }
}

/// Accumulators to codes.
struct Requantise<'a> {
    sums: &'a [i32],
    step: &'a Sum,
    out: &'a mut [u8],
}

impl Loop for Requantise<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const LANES: usize>(self) {
        let conversion = &self.step.requantise;
        let rule = Rule::new(&conversion.clamp);
        let channels = conversion.scale.len();
        let pixels = self.sums.chunks_exact(channels);
        for (sums, out) in pixels.zip(self.out.chunks_exact_mut(channels)) {
            let scales = sums.iter().zip(&conversion.scale);
            match &conversion.negative {
                None => {
                    for (out, (&sum, &scale)) in out.iter_mut().zip(scales) {
                        *out = rule.code(sum as f32 * scale);
                    }
                }
                Some(negative) => {
                    for ((out, (&sum, &scale)), &negative) in
                        out.iter_mut().zip(scales).zip(negative)
                    {
                        let scale = if sum < 0 { negative } else { scale };
                        *out = rule.code(sum as f32 * scale);
                    }
                }
            }
        }
    }
}

pub(super) fn channels(step: &Channels, images: &Images<'_>, channels: usize, out: &mut [u8]) {
    let mut first = 0;
    for run in &step.runs {
        let x = images.image(step.inputs[run.input]);
        let pixels = x.codes.chunks_exact(x.size[2]);
        for (x, out) in pixels.zip(out.chunks_exact_mut(channels)) {
            let (x, out) = (&x[run.start..][..run.len], &mut out[first..][..run.len]);
            match (x, &mut *out) {
                // A call of `memcpy` for one byte takes longer than the byte.
                ([x], [out]) => *out = *x,
                (x, out) => out.copy_from_slice(x),
            }
        }
        first += run.len;
    }
}

pub(super) fn crop(
    step: &Crop,
    x: &Image<'_>,
    [height, width, channels]: [usize; 3],
    out: &mut [u8],
) {
    let [x_height, x_width, _] = x.size;
    for (number, out) in out.chunks_exact_mut(channels).enumerate() {
        let (row, j) = (number / width, number % width);
        let (image, i) = (row / height, row % height);
        let i = image * x_height + step.start[0] + i * step.step[0];
        let j = step.start[1] + j * step.step[1];
        out.copy_from_slice(&x.codes[(i * x_width + j) * channels..][..channels]);
    }
}

pub(super) fn pad(
    step: &Pad,
    x: &Image<'_>,
    [height, width, channels]: [usize; 3],
    out: &mut [u8],
) {
    let [x_height, x_width, x_channels] = x.size;
    out.fill(step.value);
    let images = x.codes.chunks_exact(x_height * x_width * x_channels);
    for (x, out) in images.zip(out.chunks_exact_mut(height * width * channels)) {
        for (number, x) in x.chunks_exact(x_channels).enumerate() {
            let (i, j) = (number / x_width, number % x_width);
            let pixel = (step.before[0] + i) * width + step.before[1] + j;
            let out = &mut out[pixel * channels + step.before[2]..][..x_channels];
            out.copy_from_slice(x);
        }
    }
}

/// Real `[N, C, pixels]` to codes `[N, pixels, C]`.
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
        cpu.isa.run(ToCodes {
            params,
            x,
            channels,
            out,
        });
    });
}

struct ToCodes<'a> {
    params: QuantParams,
    x: &'a [f32],
    channels: usize,
    out: &'a mut [u8],
}

impl Loop for ToCodes<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const LANES: usize>(self) {
        let area = self.x.len() / self.channels;
        for (c, plane) in self.x.chunks_exact(area).enumerate() {
            for (i, x) in plane.chunks(64).enumerate() {
                let mut codes = [0; 64];
                for (code, &x) in codes.iter_mut().zip(x) {
                    *code = self.params.quantise(x);
                }
                let out = self.out[i * 64 * self.channels + c..].iter_mut();
                for (out, &code) in out.step_by(self.channels).zip(&codes[..x.len()]) {
                    *out = code;
                }
            }
        }
    }
}

/// Codes `[N, pixels, C]` to real `[N, C, pixels]`.
pub(super) fn dequantise(cpu: &Cpu, x: &Image<'_>, out: &mut [f32]) {
    let [height, width, channels] = x.size;
    let area = height * width;
    let codes = x.codes.chunks_exact(area * channels);
    for (codes, out) in codes.zip(out.chunks_exact_mut(area * channels)) {
        let planes = out.chunks_exact_mut(area).enumerate();
        cpu.each(codes.len() * 2, planes, |_, (c, out)| {
            for (out, &code) in out.iter_mut().zip(codes[c..].iter().step_by(channels)) {
                *out = x.params.dequantise(code);
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
