//! Convolutions and linear layers of quantised values, as an integer GEMM.
//!
//! The image is copied once, with its border. The values under a filter are contiguous segments of that
//! copy; packing gathers them for MR pixels (im2col), and a micro-tile multiplies them by [`NR`] filters.

use std::sync::Mutex;

use super::super::isa::{Isa, Loop};
use super::super::{Cpu, TILE};
use super::epilogue::{Epilogue, EpilogueParams, Requantiser, ToFloat, ToQuantised, load, store};
use super::tile::{MicroTile, NR, Packing};
use super::{Scratch, lock, reserve};
use crate::plan::{ConvOutput, ConvStep};

/// The most i32 of packed pixels that one thread works on at once: half of a second-level cache of 512 KB.
const BLOCK: usize = 1 << 16;

/// A convolution with its weights packed.
#[derive(Debug)]
pub(super) struct PackedConv {
    /// Height, width and channels of the image and of the result.
    sizes: [[usize; 3]; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    /// Height and width of the image with its border.
    padded: [usize; 2],
    /// The zero point of the image and of the residual.
    zeros: [u8; 2],
    has_residual: bool,
    /// Whether negative accumulators have another scale.
    leaky: bool,
    /// None if it writes f32.
    requantiser: Option<Requantiser>,
    weights: PackedWeights,
    /// For each [`NR`] output channels of each group.
    params: Vec<EpilogueParams>,
}

#[derive(Debug)]
enum PackedWeights {
    Panels {
        packing: Packing,
        groups: usize,
        /// `[group][NR outputs][depth]`.
        panels: Vec<[i32; NR]>,
        /// First value of each segment of the first group, in the copy.
        segments: Vec<usize>,
        /// Values in a segment.
        segment: usize,
    },
    Depthwise {
        /// `[NR channels][tap]`.
        taps: Vec<[i16; NR]>,
        /// First value under each tap, in the copy.
        offsets: Vec<usize>,
    },
}

impl PackedConv {
    /// Packs the weights of `conv`, which reads images and writes results of these sizes.
    pub(super) fn new(conv: &ConvStep, isa: Isa, sizes: [[usize; 3]; 2], zeros: [u8; 2]) -> Self {
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
        let packing = Packing::of(isa);
        let group_outputs = outputs / windows.groups;
        let panels_of_group = group_outputs.div_ceil(NR);
        let mut params = Vec::new();
        let weights = if depthwise {
            let mut packed = Vec::new();
            for first in (0..channels).step_by(NR) {
                let count = NR.min(channels - first);
                // The border of the copy is the zero point.
                params.push(EpilogueParams::new(conv, first, count, |o| {
                    zero.wrapping_mul(sum(o))
                }));
                packed.extend((0..depth).map(|k| {
                    let weight = |i| match i < count {
                        true => i16::from(conv.weight[(first + i) * depth + k]),
                        false => 0,
                    };
                    std::array::from_fn(weight)
                }));
            }
            PackedWeights::Depthwise {
                taps: packed,
                offsets: taps.map(|[ky, kx]| tap(ky, kx)).collect(),
            }
        } else {
            // The values of a row are contiguous if the filter skips none.
            let whole_rows = windows.groups == 1 && windows.dilations[1] == 1;
            let (segments, segment): (Vec<usize>, usize) = match whole_rows {
                true => (
                    (0..kernel_height).map(|ky| tap(ky, 0)).collect(),
                    kernel_width * channels,
                ),
                false => (taps.map(|[ky, kx]| tap(ky, kx)).collect(), group_channels),
            };
            let mut panels = Vec::new();
            for group in 0..windows.groups {
                for panel in 0..panels_of_group {
                    let first = group * group_outputs + panel * NR;
                    let count = NR.min((group + 1) * group_outputs - first);
                    params.push(EpilogueParams::new(conv, first, count, |o| match packing {
                        Packing::F32 | Packing::I16x2 => 0,
                        Packing::U8x4 => zero.wrapping_mul(sum(o)),
                    }));
                    for start in (0..depth).step_by(segment) {
                        for k in (0..segment).step_by(packing.len()) {
                            let end = segment.min(k + packing.len());
                            let packed = |i| match i < count {
                                true => {
                                    let filter = &conv.weight[(first + i) * depth..][..depth];
                                    packing.pack(&filter[start + k..start + end])
                                }
                                false => 0,
                            };
                            panels.push(std::array::from_fn(packed));
                        }
                    }
                }
            }
            PackedWeights::Panels {
                packing,
                groups: windows.groups,
                panels,
                segments,
                segment,
            }
        };
        Self {
            sizes,
            strides: windows.strides,
            pads: windows.pads,
            padded,
            zeros,
            has_residual: conv.residual.is_some(),
            leaky: matches!(&conv.output, ConvOutput::Quantised(scales) if scales.negative.is_some()),
            requantiser: match &conv.output {
                ConvOutput::Quantised(requantise) => Some(Requantiser::new(&requantise.clamp)),
                ConvOutput::Float { .. } => None,
            },
            weights,
            params,
        }
    }

    /// Quantised values from quantised values.
    pub(super) fn quantised(
        &self,
        cpu: &Cpu,
        scratch: &mut Scratch,
        x: &[u8],
        residual: Option<&[u8]>,
        out: &mut [u8],
    ) {
        let zero = self.zeros[1];
        let requantiser = self.requantiser.expect("it writes quantised values");
        if self.leaky {
            let epilogue = ToQuantised::<true, true> { requantiser, zero };
            self.with_epilogue(cpu, scratch, x, residual, out, epilogue);
        } else if self.has_residual {
            let epilogue = ToQuantised::<true, false> { requantiser, zero };
            self.with_epilogue(cpu, scratch, x, residual, out, epilogue);
        } else {
            let epilogue = ToQuantised::<false, false> { requantiser, zero };
            self.with_epilogue(cpu, scratch, x, residual, out, epilogue);
        }
    }

    /// f32, channels innermost, from quantised values.
    pub(super) fn float(
        &self,
        cpu: &Cpu,
        scratch: &mut Scratch,
        x: &[u8],
        residual: Option<&[u8]>,
        out: &mut [f32],
    ) {
        let zero = self.zeros[1];
        self.with_epilogue(cpu, scratch, x, residual, out, ToFloat { zero });
    }

    fn with_epilogue<F: Epilogue>(
        &self,
        cpu: &Cpu,
        scratch: &mut Scratch,
        x: &[u8],
        residual: Option<&[u8]>,
        out: &mut [F::Out],
        epilogue: F,
    ) {
        let Scratch {
            padded,
            threads: rows,
            ..
        } = scratch;
        let (packing, aligned) = match &self.weights {
            PackedWeights::Panels {
                packing, segment, ..
            } => (*packing, segment.is_multiple_of(packing.len())),
            PackedWeights::Depthwise { .. } => (Packing::U8x4, true),
        };
        let image: &[u8] = if packing == Packing::U8x4 && self.pads == [0; 4] && aligned {
            x
        } else {
            self.pad(cpu, packing, x, padded);
            padded
        };
        match (&self.weights, cpu.isa) {
            (PackedWeights::Depthwise { taps, offsets }, _) => {
                self.depthwise(cpu, image, residual, out, epilogue, taps, offsets);
            }
            #[cfg(target_arch = "x86_64")]
            (_, Isa::Vnni) => {
                use super::tile::vnni::Vnni;
                let tile = Vnni::new().expect("this instruction set was found");
                self.product(cpu, rows, image, residual, out, epilogue, tile);
            }
            #[cfg(target_arch = "x86_64")]
            (_, Isa::Avx2 | Isa::Avx512) => {
                use super::tile::avx2::Avx2;
                let tile = Avx2::new().expect("this instruction set was found");
                self.product(cpu, rows, image, residual, out, epilogue, tile);
            }
            #[cfg(target_arch = "x86_64")]
            (_, Isa::Plain) => {
                use super::tile::sse2::Sse2;
                self.product(cpu, rows, image, residual, out, epilogue, Sse2);
            }
            #[cfg(not(target_arch = "x86_64"))]
            (_, Isa::Plain) => {
                use super::tile::Plain;
                self.product(cpu, rows, image, residual, out, epilogue, Plain);
            }
        }
    }

    /// Copies the image with its border; 32 bits may be read from the last value on.
    fn pad(&self, cpu: &Cpu, packing: Packing, x: &[u8], padded: &mut Vec<u8>) {
        let [height, width, channels] = self.sizes[0];
        let [top, left, ..] = self.pads;
        let row = width * channels;
        let pitch = self.padded[1] * channels * packing.bytes();
        let rows = x.len() / row / height * self.padded[0];
        if padded.len() < rows * pitch + 4 {
            padded.resize(rows * pitch + 4, 0);
        }
        let left = left * channels * packing.bytes();
        let border = match packing {
            Packing::F32 | Packing::I16x2 => 0,
            Packing::U8x4 => self.zeros[0],
        };
        let at_once = ((1 << 14) / pitch).max(1);
        let pieces = padded[..rows * pitch].chunks_mut(at_once * pitch);
        cpu.each(rows * pitch, pieces.enumerate(), |_, (piece, padded)| {
            for (i, padded) in padded.chunks_exact_mut(pitch).enumerate() {
                let number = piece * at_once + i;
                let (image, i) = (number / self.padded[0], number % self.padded[0]);
                match i.checked_sub(top).filter(|&i| i < height) {
                    Some(i) => {
                        let end = left + row * packing.bytes();
                        padded[..left].fill(border);
                        padded[end..].fill(border);
                        let (x, out) = (
                            &x[(image * height + i) * row..][..row],
                            &mut padded[left..end],
                        );
                        match packing {
                            Packing::U8x4 => out.copy_from_slice(x),
                            packing => cpu.isa.run(Widen {
                                packing,
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

    /// Index in the copy of the first value under the filter, for a pixel of the result counted over all images.
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
        reason = "the second half of a call, generic over the micro-tile"
    )]
    fn product<F: Epilogue, const R: usize>(
        &self,
        cpu: &Cpu,
        rows: &[Mutex<Vec<i32>>],
        image: &[u8],
        residual: Option<&[u8]>,
        out: &mut [F::Out],
        epilogue: F,
        tile: impl MicroTile<R>,
    ) {
        let PackedWeights::Panels {
            packing,
            groups,
            panels,
            segments,
            segment,
        } = &self.weights
        else {
            return;
        };
        let outputs = self.sizes[1][2];
        let pixels = out.len() / outputs;
        let depth = segments.len() * segment.div_ceil(packing.len());
        let wanted = pixels.div_ceil(R).div_ceil(2 * cpu.threads());
        let at_once = R * (BLOCK / (depth * R)).clamp(1, 16).min(wanted.max(1));
        reserve(rows, at_once * depth);
        let work = out.len() * (1 + depth / TILE);
        let pieces = out.chunks_mut(at_once * outputs).enumerate();
        cpu.each(work, pieces, |thread, (piece, out)| {
            let mut rows = lock(&rows[thread]);
            let needed = out.len().div_ceil(outputs).next_multiple_of(R) * depth;
            tile.run(Block {
                conv: self,
                tile,
                packing: *packing,
                groups: *groups,
                panels,
                segments,
                segment: *segment,
                image,
                first: piece * at_once,
                residual: residual.map(|r| &r[piece * at_once * outputs..][..out.len()]),
                rows: &mut rows[..needed],
                out,
                epilogue,
            });
        });
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the second half of a call, for one kind of weights"
    )]
    fn depthwise<F: Epilogue>(
        &self,
        cpu: &Cpu,
        image: &[u8],
        residual: Option<&[u8]>,
        out: &mut [F::Out],
        epilogue: F,
        taps: &[[i16; NR]],
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
                epilogue,
            });
        });
    }
}

/// `out[i] = x[i] - zero`, in the elements of a packing.
struct Widen<'a> {
    packing: Packing,
    x: &'a [u8],
    zero: u8,
    out: &'a mut [u8],
}

impl Loop for Widen<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let zero = i16::from(self.zero);
        if self.packing == Packing::I16x2 {
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

/// One block of the GEMM: some output pixels by all output channels.
struct Block<'a, F: Epilogue, T, const R: usize> {
    conv: &'a PackedConv,
    tile: T,
    packing: Packing,
    groups: usize,
    panels: &'a [[i32; NR]],
    segments: &'a [usize],
    segment: usize,
    image: &'a [u8],
    /// Number of the first pixel.
    first: usize,
    residual: Option<&'a [u8]>,
    /// For the packed pixels.
    rows: &'a mut [i32],
    out: &'a mut [F::Out],
    epilogue: F,
}

impl<F: Epilogue, T: MicroTile<R>, const R: usize> Loop for Block<'_, F, T, R> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const UNUSED: usize>(self) {
        let outputs = self.conv.sizes[1][2];
        let group_outputs = outputs / self.groups;
        let bytes = self.packing.bytes();
        let in_segment = self.segment.div_ceil(self.packing.len());
        let depth = self.segments.len() * in_segment;
        let pixels = self.out.len() / outputs;
        let (rows, _) = self.rows.as_chunks_mut::<R>();
        let panels_of_group = group_outputs.div_ceil(NR);
        for group in 0..self.groups {
            // The last pixel stands in for those beyond it, which are not written.
            for (tile, rows) in rows.chunks_exact_mut(depth).enumerate() {
                let offset = group * self.segment;
                let bases: [usize; R] = std::array::from_fn(|r| {
                    let pixel = (tile * R + r).min(pixels - 1);
                    self.conv.base(self.first + pixel) + offset
                });
                for (rows, start) in rows.chunks_exact_mut(in_segment).zip(self.segments) {
                    let sources: [&[[u8; 4]]; R] = bases.map(|base| {
                        let source = &self.image[(base + start) * bytes..][..in_segment * 4];
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
                let params = &self.conv.params[number];
                let first = group * group_outputs + panel * NR;
                let last = outputs.min(first + NR).min((group + 1) * group_outputs);
                for (tile, rows) in rows.chunks_exact(depth).enumerate() {
                    let sums = self.tile.products(rows, filters);
                    let pixels = R.min(pixels - tile * R);
                    for (r, sums) in sums.iter().enumerate().take(pixels) {
                        let at = (tile * R + r) * outputs;
                        let residual = match self.residual {
                            Some(residual) => load(&residual[at + first..at + last]),
                            None => [0; NR],
                        };
                        let values = self.epilogue.apply(sums, params, &residual);
                        store(&values, &mut self.out[at + first..at + last]);
                    }
                }
            }
        }
    }
}

/// A row of a depthwise convolution.
struct Row<'a, F: Epilogue> {
    conv: &'a PackedConv,
    taps: &'a [[i16; NR]],
    offsets: &'a [usize],
    image: &'a [u8],
    /// Number of the first pixel.
    first: usize,
    residual: Option<&'a [u8]>,
    out: &'a mut [F::Out],
    epilogue: F,
}

impl<F: Epilogue> Loop for Row<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const UNUSED: usize>(self) {
        let channels = self.conv.sizes[1][2];
        let start = self.conv.base(self.first);
        let step = self.conv.strides[1] * channels;
        for (pixel, out) in self.out.chunks_exact_mut(channels).enumerate() {
            let base = start + pixel * step;
            let taps = self.taps.chunks_exact(self.offsets.len());
            for ((out, taps), (number, params)) in
                (out.chunks_mut(NR).zip(taps)).zip(self.conv.params.iter().enumerate())
            {
                let first = number * NR;
                let mut sums = [0i32; NR];
                for (weights, offset) in taps.iter().zip(self.offsets) {
                    let x = load(&self.image[base + offset + first..][..out.len()]);
                    for i in 0..NR {
                        // At most 255 * 127, which 16 bits hold.
                        sums[i] += i32::from(i16::from(x[i]).wrapping_mul(weights[i]));
                    }
                }
                let residual = match self.residual {
                    Some(residual) => load(&residual[pixel * channels + first..][..out.len()]),
                    None => [0; NR],
                };
                store(&self.epilogue.apply(&sums, params, &residual), out);
            }
        }
    }
}
