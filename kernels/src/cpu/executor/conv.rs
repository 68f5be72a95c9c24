//! Convolutions and linear layers of codes.
//!
//! The image is copied once, with its border. In the rows of the copy the codes that a filter meets lie
//! in runs; a tile takes them from there word by word, [`LANES`] filters at a time.

use std::sync::Mutex;

use super::super::isa::{Isa, Loop};
use super::super::{Cpu, TILE};
use super::lanes::{Finish, Lanes, Rule, ToCodes, ToReal, codes, store};
use super::tile::{LANES, Tile, Words};
use super::{Scratch, lock, make_room};
use crate::plan::{Conv, ConvOutput};

/// Words of packed pixels that one thread works on at once: half of a second-level cache of 512 KB.
const BLOCK: usize = 1 << 16;

/// A convolution, its weights packed.
#[derive(Debug)]
pub(super) struct Convolution {
    /// Height, width and channels of the image and of the result.
    sizes: [[usize; 3]; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    /// Height and width of the image with its border.
    padded: [usize; 2],
    /// The code of 0 of the image and of the residual.
    zeros: [u8; 2],
    has_residual: bool,
    /// Whether there is a scale of its own below zero.
    leaky: bool,
    /// None for real numbers.
    rule: Option<Rule>,
    weights: Weights,
    /// For each [`LANES`] outputs of each group.
    lanes: Vec<Lanes>,
}

#[derive(Debug)]
enum Weights {
    Packed {
        words: Words,
        groups: usize,
        /// `[group][LANES outputs][word]`.
        panels: Vec<[i32; LANES]>,
        /// First code of each run of the first group, in the copy.
        runs: Vec<usize>,
        /// Codes of a run.
        run: usize,
    },
    Depthwise {
        /// `[LANES channels][tap]`.
        taps: Vec<[i16; LANES]>,
        /// First code under each tap, in the copy.
        offsets: Vec<usize>,
    },
}

impl Convolution {
    /// Packs the weights of `conv`, which reads images and writes results of these sizes.
    pub(super) fn new(conv: &Conv, isa: Isa, sizes: [[usize; 3]; 2], zeros: [u8; 2]) -> Self {
        let [[height, width, channels], [_, _, outputs]] = sizes;
        let windows = &conv.windows;
        let [top, left, bottom, right] = windows.pads;
        let padded = [height + top + bottom, width + left + right];
        let [kernel_height, kernel_width] = conv.kernel;
        let group_channels = channels / windows.groups;
        let depth = kernel_height * kernel_width * group_channels;
        let sum = |o: usize| -> i32 {
            let weights = &conv.weight[o * depth..][..depth];
            weights.iter().map(|&weight| i32::from(weight)).sum()
        };
        let zero = i32::from(zeros[0]);
        let tap = |ky: usize, kx: usize| {
            (ky * windows.dilations[0] * padded[1] + kx * windows.dilations[1]) * channels
        };
        let taps = (0..kernel_height).flat_map(|ky| (0..kernel_width).map(move |kx| [ky, kx]));

        let depthwise = group_channels == 1 && outputs == channels;
        let words = Words::of(isa);
        let group_outputs = outputs / windows.groups;
        let panels_of_group = group_outputs.div_ceil(LANES);
        let mut lanes = Vec::new();
        let weights = if depthwise {
            let mut packed = Vec::new();
            for first in (0..channels).step_by(LANES) {
                let count = LANES.min(channels - first);
                // The code of 0 is in the copy, whatever it is.
                lanes.push(Lanes::new(conv, first, count, |o| {
                    zero.wrapping_mul(sum(o))
                }));
                packed.extend((0..depth).map(|k| {
                    let weight = |lane| match lane < count {
                        true => i16::from(conv.weight[(first + lane) * depth + k]),
                        false => 0,
                    };
                    std::array::from_fn(weight)
                }));
            }
            Weights::Depthwise {
                taps: packed,
                offsets: taps.map(|[ky, kx]| tap(ky, kx)).collect(),
            }
        } else {
            // Codes of a row lie side by side, if the filter skips none.
            let whole_rows = windows.groups == 1 && windows.dilations[1] == 1;
            let (runs, run): (Vec<usize>, usize) = match whole_rows {
                true => (
                    (0..kernel_height).map(|ky| tap(ky, 0)).collect(),
                    kernel_width * channels,
                ),
                false => (taps.map(|[ky, kx]| tap(ky, kx)).collect(), group_channels),
            };
            let mut panels = Vec::new();
            for group in 0..windows.groups {
                for panel in 0..panels_of_group {
                    let first = group * group_outputs + panel * LANES;
                    let count = LANES.min((group + 1) * group_outputs - first);
                    lanes.push(Lanes::new(conv, first, count, |o| match words {
                        Words::Floats | Words::Pairs => 0,
                        Words::Quads => zero.wrapping_mul(sum(o)),
                    }));
                    for start in (0..depth).step_by(run) {
                        for k in (0..run).step_by(words.len()) {
                            let end = run.min(k + words.len());
                            let word = |lane| match lane < count {
                                true => {
                                    let filter = &conv.weight[(first + lane) * depth..][..depth];
                                    words.pack(&filter[start + k..start + end])
                                }
                                false => 0,
                            };
                            panels.push(std::array::from_fn(word));
                        }
                    }
                }
            }
            Weights::Packed {
                words,
                groups: windows.groups,
                panels,
                runs,
                run,
            }
        };
        Self {
            sizes,
            strides: windows.strides,
            pads: windows.pads,
            padded,
            zeros,
            has_residual: conv.residual.is_some(),
            leaky: matches!(&conv.output, ConvOutput::Quantised(codes) if codes.negative.is_some()),
            rule: match &conv.output {
                ConvOutput::Quantised(requantise) => Some(Rule::new(&requantise.clamp)),
                ConvOutput::Float { .. } => None,
            },
            weights,
            lanes,
        }
    }

    /// Codes from codes.
    pub(super) fn codes(
        &self,
        cpu: &Cpu,
        scratch: &mut Scratch,
        x: &[u8],
        residual: Option<&[u8]>,
        out: &mut [u8],
    ) {
        let zero = self.zeros[1];
        let rule = self.rule.expect("its output is codes");
        if self.leaky {
            let finish = ToCodes::<true, true> { rule, zero };
            self.finished(cpu, scratch, x, residual, out, finish);
        } else if self.has_residual {
            let finish = ToCodes::<true, false> { rule, zero };
            self.finished(cpu, scratch, x, residual, out, finish);
        } else {
            let finish = ToCodes::<false, false> { rule, zero };
            self.finished(cpu, scratch, x, residual, out, finish);
        }
    }

    /// Real numbers, channels innermost, from codes.
    pub(super) fn real(
        &self,
        cpu: &Cpu,
        scratch: &mut Scratch,
        x: &[u8],
        residual: Option<&[u8]>,
        out: &mut [f32],
    ) {
        let zero = self.zeros[1];
        self.finished(cpu, scratch, x, residual, out, ToReal { zero });
    }

    fn finished<F: Finish>(
        &self,
        cpu: &Cpu,
        scratch: &mut Scratch,
        x: &[u8],
        residual: Option<&[u8]>,
        out: &mut [F::Out],
        finish: F,
    ) {
        let Scratch {
            padded,
            words: rows,
            ..
        } = scratch;
        let (words, plain_run) = match &self.weights {
            Weights::Packed { words, run, .. } => (*words, run.is_multiple_of(words.len())),
            Weights::Depthwise { .. } => (Words::Quads, true),
        };
        let image: &[u8] = if words == Words::Quads && self.pads == [0; 4] && plain_run {
            x
        } else {
            self.pad(cpu, words, x, padded);
            padded
        };
        match (&self.weights, cpu.isa) {
            (Weights::Depthwise { taps, offsets }, _) => {
                self.depthwise(cpu, image, residual, out, finish, taps, offsets);
            }
            #[cfg(target_arch = "x86_64")]
            (_, Isa::Vnni) => {
                use super::tile::vnni::Vnni;
                let tile = Vnni::new().expect("this instruction set was found");
                self.product(cpu, rows, image, residual, out, finish, tile);
            }
            #[cfg(target_arch = "x86_64")]
            (_, Isa::Avx2 | Isa::Avx512) => {
                use super::tile::avx2::Avx2;
                let tile = Avx2::new().expect("this instruction set was found");
                self.product(cpu, rows, image, residual, out, finish, tile);
            }
            #[cfg(target_arch = "x86_64")]
            (_, Isa::Plain) => {
                use super::tile::sse2::Sse2;
                self.product(cpu, rows, image, residual, out, finish, Sse2);
            }
            #[cfg(not(target_arch = "x86_64"))]
            (_, Isa::Plain) => {
                use super::tile::Plain;
                self.product(cpu, rows, image, residual, out, finish, Plain);
            }
        }
    }

    /// Copies the image with its border; a word may be read from the last code on.
    fn pad(&self, cpu: &Cpu, words: Words, x: &[u8], padded: &mut Vec<u8>) {
        let [height, width, channels] = self.sizes[0];
        let [top, left, ..] = self.pads;
        let row = width * channels;
        let pitch = self.padded[1] * channels * words.bytes();
        let rows = x.len() / row / height * self.padded[0];
        if padded.len() < rows * pitch + 4 {
            padded.resize(rows * pitch + 4, 0);
        }
        let left = left * channels * words.bytes();
        let border = match words {
            Words::Floats | Words::Pairs => 0,
            Words::Quads => self.zeros[0],
        };
        let at_once = ((1 << 14) / pitch).max(1);
        let pieces = padded[..rows * pitch].chunks_mut(at_once * pitch);
        cpu.each(rows * pitch, pieces.enumerate(), |_, (piece, padded)| {
            for (i, padded) in padded.chunks_exact_mut(pitch).enumerate() {
                let number = piece * at_once + i;
                let (image, i) = (number / self.padded[0], number % self.padded[0]);
                match i.checked_sub(top).filter(|&i| i < height) {
                    Some(i) => {
                        let end = left + row * words.bytes();
                        padded[..left].fill(border);
                        padded[end..].fill(border);
                        let (x, out) = (
                            &x[(image * height + i) * row..][..row],
                            &mut padded[left..end],
                        );
                        match words {
                            Words::Quads => out.copy_from_slice(x),
                            words => cpu.isa.run(Widen {
                                words,
                                x,
                                zero: self.zeros[0],
                                out,
                            }),
                        }
                    }
                    None => padded.fill(border),
                }
            }
        });
    }

    /// First code under the filter for a pixel of the result, counted over all images, in the copy.
    #[inline(always)]
    fn base(&self, pixel: usize) -> usize {
        let [height, width, _] = self.sizes[1];
        let (row, column) = (pixel / width, pixel % width);
        let (image, row) = (row / height, row % height);
        let row = image * self.padded[0] + row * self.strides[0];
        (row * self.padded[1] + column * self.strides[1]) * self.sizes[0][2]
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call, cut in two by the kind of tile"
    )]
    fn product<F: Finish, const R: usize>(
        &self,
        cpu: &Cpu,
        rows: &[Mutex<Vec<i32>>],
        image: &[u8],
        residual: Option<&[u8]>,
        out: &mut [F::Out],
        finish: F,
        tile: impl Tile<R>,
    ) {
        let Weights::Packed {
            words,
            groups,
            panels,
            runs,
            run,
        } = &self.weights
        else {
            return;
        };
        let outputs = self.sizes[1][2];
        let pixels = out.len() / outputs;
        let depth = runs.len() * run.div_ceil(words.len());
        let wanted = pixels.div_ceil(R).div_ceil(2 * cpu.threads());
        let at_once = R * (BLOCK / (depth * R)).clamp(1, 16).min(wanted.max(1));
        make_room(rows, at_once * depth);
        let work = out.len() * (1 + depth / TILE);
        let pieces = out.chunks_mut(at_once * outputs).enumerate();
        cpu.each(work, pieces, |thread, (piece, out)| {
            let mut rows = lock(&rows[thread]);
            let needed = out.len().div_ceil(outputs).next_multiple_of(R) * depth;
            tile.run(Block {
                conv: self,
                tile,
                words: *words,
                groups: *groups,
                panels,
                runs,
                run: *run,
                image,
                first: piece * at_once,
                residual: residual.map(|r| &r[piece * at_once * outputs..][..out.len()]),
                rows: &mut rows[..needed],
                out,
                finish,
            });
        });
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call, cut in two by the kind of weights"
    )]
    fn depthwise<F: Finish>(
        &self,
        cpu: &Cpu,
        image: &[u8],
        residual: Option<&[u8]>,
        out: &mut [F::Out],
        finish: F,
        taps: &[[i16; LANES]],
        offsets: &[usize],
    ) {
        let [_, width, channels] = self.sizes[1];
        let row = width * channels;
        let work = out.len() * offsets.len();
        cpu.each(work, out.chunks_mut(row).enumerate(), |_, (number, out)| {
            cpu.isa.run(Row {
                conv: self,
                taps,
                offsets,
                image,
                first: number * width,
                residual: residual.map(|r| &r[number * row..][..row]),
                out,
                finish,
            });
        });
    }
}

/// `out[i] = x[i] - zero`, as words have it.
struct Widen<'a> {
    words: Words,
    x: &'a [u8],
    zero: u8,
    out: &'a mut [u8],
}

impl Loop for Widen<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const LANES: usize>(self) {
        let zero = i16::from(self.zero);
        if self.words == Words::Pairs {
            let (out, _) = self.out.as_chunks_mut::<2>();
            for (out, &x) in out.iter_mut().zip(self.x) {
                *out = (i16::from(x) - zero).to_ne_bytes();
            }
        } else {
            let (out, _) = self.out.as_chunks_mut::<4>();
            for (out, &x) in out.iter_mut().zip(self.x) {
                *out = f32::from(i16::from(x) - zero).to_ne_bytes();
            }
        }
    }
}

/// Some pixels by all filters.
struct Block<'a, F: Finish, T, const R: usize> {
    conv: &'a Convolution,
    tile: T,
    words: Words,
    groups: usize,
    panels: &'a [[i32; LANES]],
    runs: &'a [usize],
    run: usize,
    image: &'a [u8],
    /// Number of the first pixel.
    first: usize,
    residual: Option<&'a [u8]>,
    /// Room for the packed pixels.
    rows: &'a mut [i32],
    out: &'a mut [F::Out],
    finish: F,
}

impl<F: Finish, T: Tile<R>, const R: usize> Loop for Block<'_, F, T, R> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const UNUSED: usize>(self) {
        let outputs = self.conv.sizes[1][2];
        let group_outputs = outputs / self.groups;
        let bytes = self.words.bytes();
        let in_run = self.run.div_ceil(self.words.len());
        let depth = self.runs.len() * in_run;
        let pixels = self.out.len() / outputs;
        let (rows, _) = self.rows.as_chunks_mut::<R>();
        let panels_of_group = group_outputs.div_ceil(LANES);
        for group in 0..self.groups {
            // Pixels beyond the last are the last again, and not written.
            for (tile, rows) in rows.chunks_exact_mut(depth).enumerate() {
                let offset = group * self.run;
                let bases: [usize; R] = std::array::from_fn(|r| {
                    let pixel = (tile * R + r).min(pixels - 1);
                    self.conv.base(self.first + pixel) + offset
                });
                for (rows, start) in rows.chunks_exact_mut(in_run).zip(self.runs) {
                    let sources: [&[[u8; 4]]; R] = bases.map(|base| {
                        let source = &self.image[(base + start) * bytes..][..in_run * 4];
                        source.as_chunks().0
                    });
                    for (k, rows) in rows.iter_mut().enumerate() {
                        for r in 0..R {
                            rows[r] = i32::from_ne_bytes(sources[r][k]);
                        }
                    }
                }
            }
            for panel in 0..panels_of_group {
                let number = group * panels_of_group + panel;
                let filters = &self.panels[number * depth..][..depth];
                let lanes = &self.conv.lanes[number];
                let first = group * group_outputs + panel * LANES;
                let last = outputs.min(first + LANES).min((group + 1) * group_outputs);
                for (tile, rows) in rows.chunks_exact(depth).enumerate() {
                    let sums = self.tile.products(rows, filters);
                    let pixels = R.min(pixels - tile * R);
                    for (r, sums) in sums.iter().enumerate().take(pixels) {
                        let at = (tile * R + r) * outputs;
                        let residual = match self.residual {
                            Some(residual) => codes(&residual[at + first..at + last]),
                            None => [0; LANES],
                        };
                        let values = self.finish.finish(sums, lanes, &residual);
                        store(&values, &mut self.out[at + first..at + last]);
                    }
                }
            }
        }
    }
}

/// A row of a depthwise convolution.
struct Row<'a, F: Finish> {
    conv: &'a Convolution,
    taps: &'a [[i16; LANES]],
    offsets: &'a [usize],
    image: &'a [u8],
    /// Number of the first pixel.
    first: usize,
    residual: Option<&'a [u8]>,
    out: &'a mut [F::Out],
    finish: F,
}

impl<F: Finish> Loop for Row<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const UNUSED: usize>(self) {
        let channels = self.conv.sizes[1][2];
        let start = self.conv.base(self.first);
        let step = self.conv.strides[1] * channels;
        for (pixel, out) in self.out.chunks_exact_mut(channels).enumerate() {
            let base = start + pixel * step;
            let taps = self.taps.chunks_exact(self.offsets.len());
            for ((out, taps), (number, lanes)) in
                (out.chunks_mut(LANES).zip(taps)).zip(self.conv.lanes.iter().enumerate())
            {
                let first = number * LANES;
                let mut sums = [0i32; LANES];
                for (weights, offset) in taps.iter().zip(self.offsets) {
                    let x = codes(&self.image[base + offset + first..][..out.len()]);
                    for i in 0..LANES {
                        // At most 255 * 127, which 16 bits hold.
                        sums[i] += i32::from(i16::from(x[i]).wrapping_mul(weights[i]));
                    }
                }
                let residual = match self.residual {
                    Some(residual) => codes(&residual[pixel * channels + first..][..out.len()]),
                    None => [0; LANES],
                };
                store(&self.finish.finish(&sums, lanes, &residual), out);
            }
        }
    }
}
