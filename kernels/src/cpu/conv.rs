//! 2-D convolution in f32: as a GEMM over panels of pixels; depthwise, directly.

use super::gemm::{MR, Multiply, Rows};
use super::isa::{Loop, multiply_add};
use super::{Cpu, TILE, f32s};
use network::graph::Conv;
use network::tensor::{self, Tensor};

/// Weights packed for the GEMM, one [`Rows`] for each group; none for depthwise convolution.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    groups: Vec<Rows>,
}

/// The most elements of padded images at once: 64 MB.
const PADDED: usize = 1 << 24;

/// The most elements of the image that are packed at once: with K of 576, as in the first block of a
/// ResNet, 7 or 14 tiles in 256 KB of the second-level cache.
const PACKED: usize = 1 << 16;

impl Filters {
    /// Packs `[O, C / groups, kh, kw]`; none if no group divides it, or if there is nothing to pack.
    pub(super) fn pack(conv: &Conv, weight: &Tensor) -> Option<Self> {
        let values = weight.as_f32()?;
        let &[out_channels, group_channels, kh, kw] = weight.shape() else {
            return None;
        };
        if values.is_empty() || conv.groups == 0 || out_channels % conv.groups != 0 {
            return None;
        }
        let depth = group_channels * kh * kw;
        let count = out_channels / conv.groups;
        let groups = if group_channels == 1 {
            Vec::new()
        } else {
            let groups = values.chunks_exact(count * depth);
            groups
                .map(|group| Rows::pack(count, depth, |row, k| group[row * depth + k]))
                .collect()
        };
        Some(Self { groups })
    }
}

/// As [`network::reference`] does, with f32 sums; none for images too large to be packed.
pub(super) fn conv(
    cpu: &Cpu,
    conv: &Conv,
    inputs: &[&Tensor],
    filters: Option<&Filters>,
    shape: &[usize],
) -> Option<Vec<f32>> {
    let (x, weight) = (inputs[0], inputs[1]);
    let (&[_, channels, height, width], &[.., kh, kw]) = (x.shape(), weight.shape()) else {
        return None;
    };
    let &[batch, out_channels, out_height, out_width] = shape else {
        return None;
    };
    let bias = inputs.get(2).map(|bias| f32s(bias));
    let (x, taps) = (f32s(x), f32s(weight));
    let len: usize = shape.iter().product();
    let window = Window::new(conv, [kh, kw], [height, width], [out_height, out_width])?;
    let packed;
    let filters = match filters {
        Some(filters) => filters,
        None => {
            packed = Filters::pack(conv, weight)?;
            &packed
        }
    };

    let (image, out_image) = (channels * height * width, len / batch);
    let at_once = (PADDED / (channels * window.plane())).clamp(1, batch);
    let mut y = vec![0.0; len];
    let mut padded = cpu.spare.take();
    for (x, y) in x
        .chunks(image * at_once)
        .zip(y.chunks_mut(out_image * at_once))
    {
        let x = if window.pads == [0; 4] {
            x
        } else {
            pad(cpu, &window, x, &mut padded);
            &padded
        };
        if filters.groups.is_empty() {
            depthwise(cpu, &window, x, taps, bias, y, [channels, out_channels]);
        } else {
            product(cpu, &window, x, &filters.groups, bias, y);
        }
    }
    cpu.spare.give(padded);
    Some(y)
}

/// How a kernel lies over a padded image.
struct Window {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    pads: [usize; 4],
    image: [usize; 2],
    /// Height and width with padding.
    padded: [usize; 2],
    out: [usize; 2],
}

impl Window {
    /// None if the padded image is too large.
    fn new(conv: &Conv, kernel: [usize; 2], image: [usize; 2], out: [usize; 2]) -> Option<Self> {
        let [top, left, bottom, right] = conv.pads;
        let padded = [image[0] + top + bottom, image[1] + left + right];
        tensor::elements(&padded).ok()?;
        let mut window = Self {
            kernel,
            strides: conv.strides,
            dilations: conv.dilations,
            pads: conv.pads,
            image,
            padded,
            out,
        };
        if kernel == [1, 1] && conv.strides == [1, 1] && conv.pads == [0; 4] {
            // One long row: tiles then never end in its middle.
            let pixels = out[0] * out[1];
            window.image = [1, pixels];
            window.padded = [1, pixels];
            window.out = [1, pixels];
        }
        Some(window)
    }

    /// Elements of a padded plane.
    fn plane(&self) -> usize {
        self.padded[0] * self.padded[1]
    }

    fn pixels(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// First element under the kernel at pixel `pixel`, in a padded plane.
    fn base(&self, pixel: usize) -> usize {
        let (row, column) = (pixel / self.out[1], pixel % self.out[1]);
        row * self.strides[0] * self.padded[1] + column * self.strides[1]
    }

    /// Distance of every tap from the first, over `channels` padded planes.
    fn taps(&self, channels: usize) -> Vec<usize> {
        let mut taps = Vec::with_capacity(channels * self.kernel[0] * self.kernel[1]);
        for c in 0..channels {
            for ky in 0..self.kernel[0] {
                let row = c * self.plane() + ky * self.dilations[0] * self.padded[1];
                taps.extend((0..self.kernel[1]).map(|kx| row + kx * self.dilations[1]));
            }
        }
        taps
    }
}

/// Every plane of `x` with its border of zeros.
fn pad(cpu: &Cpu, window: &Window, x: &[f32], padded: &mut Vec<f32>) {
    let [height, width] = window.image;
    let (pitch, [top, left, ..]) = (window.padded[1], window.pads);
    let planes = x.len() / (height * width);
    padded.resize(planes * window.plane(), 0.0);
    let at_once = planes.div_ceil(4 * cpu.threads());
    let pieces = x
        .chunks(at_once * height * width)
        .zip(padded.chunks_mut(at_once * window.plane()));
    cpu.each(x.len(), pieces, |_, (x, padded)| {
        let planes = x.chunks_exact(height * width);
        for (x, padded) in planes.zip(padded.chunks_exact_mut(window.plane())) {
            let mut end = top * pitch;
            padded[..end].fill(0.0);
            for x in x.chunks_exact(width) {
                padded[end..end + left].fill(0.0);
                padded[end + left..][..width].copy_from_slice(x);
                padded[end + left + width..end + pitch].fill(0.0);
                end += pitch;
            }
            padded[end..].fill(0.0);
        }
    });
}

/// A part of the GEMM: some pixels of an image by some filters.
struct Part<'a> {
    /// Padded planes of the group.
    x: &'a [f32],
    /// Packed filters from the first on.
    blocks: &'a [f32],
    bias: Option<&'a [f32]>,
    /// First tile of pixels.
    tile: usize,
    /// The pixels, for each of the filters.
    out: Vec<&'a mut [f32]>,
}

fn product(
    cpu: &Cpu,
    window: &Window,
    x: &[f32],
    groups: &[Rows],
    bias: Option<&[f32]>,
    y: &mut [f32],
) {
    let depth = groups[0].depth();
    let channels = depth / (window.kernel[0] * window.kernel[1]);
    let (taps, in_group) = (window.taps(channels), channels * window.plane());
    let images = x.len() / (in_group * groups.len());
    let (pixels, nr) = (window.pixels(), cpu.isa.nr());
    let filters = y.len() / (pixels * groups.len() * images);
    let (tiles, blocks) = (pixels.div_ceil(nr), filters.div_ceil(MR));

    // Enough parts for all threads; pixels are divided first, because dividing the filters packs pixels twice.
    let wanted = (2 * cpu.threads()).div_ceil(images * groups.len());
    let tiles_at_once = (PACKED / (depth * nr)).max(4).min(tiles.div_ceil(wanted));
    let parts = wanted.div_ceil(tiles.div_ceil(tiles_at_once));
    let blocks_at_once = blocks.div_ceil(parts).max(blocks.min(4));

    let work = y.len() * depth / TILE;
    let mut parts = Vec::new();
    for (number, out) in y.chunks_exact_mut(filters * pixels).enumerate() {
        let group = number % groups.len();
        for (i, out) in out.chunks_mut(blocks_at_once * MR * pixels).enumerate() {
            let block = i * blocks_at_once;
            let others = parts.len();
            parts.extend((0..tiles).step_by(tiles_at_once).map(|tile| Part {
                x: &x[number * in_group..][..in_group],
                blocks: groups[group].blocks(block),
                bias: bias.map(|bias| &bias[group * filters + block * MR..]),
                tile,
                out: Vec::with_capacity(out.len() / pixels),
            }));
            for row in out.chunks_exact_mut(pixels) {
                let pieces = row.chunks_mut(tiles_at_once * nr);
                for (part, piece) in parts[others..].iter_mut().zip(pieces) {
                    part.out.push(piece);
                }
            }
        }
    }
    cpu.each(work, parts.into_iter(), |_, mut part| {
        let mut panels = cpu.spare.take();
        let count = part.out[0].len().div_ceil(nr);
        panels.resize(panels.len().max(count * depth * nr), 0.0);
        cpu.isa.run(Pack {
            window,
            taps: &taps,
            x: part.x,
            tile: part.tile,
            panels: &mut panels[..count * depth * nr],
        });
        cpu.isa.run(Multiply {
            blocks: part.blocks,
            depth,
            panels: &panels[..count * depth * nr],
            bias: part.bias,
            out: &mut part.out,
        });
        cpu.spare.give(panels);
    });
}

/// Packs pixels into panels (im2col).
struct Pack<'a> {
    window: &'a Window,
    taps: &'a [usize],
    x: &'a [f32],
    /// First tile.
    tile: usize,
    panels: &'a mut [f32],
}

impl Loop for Pack<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let width = self.window.out[1];
        let neighbours = |run: usize| {
            self.window.strides[1] == 1 && width.is_multiple_of(run) && NR.is_multiple_of(run)
        };
        if neighbours(32) {
            self.pack::<NR, 32>();
        } else if neighbours(16) {
            self.pack::<NR, 16>();
        } else if neighbours(8) {
            self.pack::<NR, 8>();
        } else if neighbours(4) {
            self.pack::<NR, 4>();
        } else {
            self.pack::<NR, 1>();
        }
    }
}

impl Pack<'_> {
    /// With `RUN` contiguous pixels at a time; the last pixel is repeated.
    #[inline(always)]
    fn pack<const NR: usize, const RUN: usize>(self) {
        let last = self.window.pixels() - RUN;
        let tiles = self.panels.chunks_exact_mut(self.taps.len() * NR);
        for (tile, panel) in (self.tile..).zip(tiles) {
            let mut bases = [0; NR];
            for (i, base) in bases.iter_mut().step_by(RUN).enumerate() {
                *base = self.window.base((tile * NR + i * RUN).min(last));
            }
            let (columns, _) = panel.as_chunks_mut::<NR>();
            for (column, tap) in columns.iter_mut().zip(self.taps) {
                for i in (0..NR).step_by(RUN) {
                    column[i..i + RUN].copy_from_slice(&self.x[tap + bases[i]..][..RUN]);
                }
            }
        }
    }
}

/// Depthwise convolution, `filters / channels` filters for each channel.
fn depthwise(
    cpu: &Cpu,
    window: &Window,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
    [channels, filters]: [usize; 2],
) {
    let taps = window.taps(1);
    let work = y.len() * taps.len();
    let planes = y.chunks_exact_mut(window.pixels()).enumerate();
    cpu.each(work, planes, |_, (number, out)| {
        let (image, filter) = (number / filters, number % filters);
        let plane = image * channels + filter / (filters / channels);
        cpu.isa.run(Plane {
            window,
            taps: &taps,
            x: &x[plane * window.plane()..][..window.plane()],
            weight: &weight[filter * taps.len()..][..taps.len()],
            bias: bias.map_or(0.0, |bias| bias[filter]),
            out,
        });
    });
}

/// A plane of a depthwise convolution.
struct Plane<'a> {
    window: &'a Window,
    taps: &'a [usize],
    x: &'a [f32],
    weight: &'a [f32],
    bias: f32,
    out: &'a mut [f32],
}

impl Loop for Plane<'_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let width = self.window.out[1];
        if self.window.strides[1] != 1 || width < 4 {
            self.rows::<FMA, 1>();
        } else if width < 8 {
            self.rows::<FMA, 4>();
        } else if width < NR {
            self.rows::<FMA, 8>();
        } else {
            self.rows::<FMA, NR>();
        }
    }
}

impl Plane<'_> {
    /// `RUN` pixels of a row at a time, at most its width; the last ones may be computed twice.
    #[inline(always)]
    fn rows<const FMA: bool, const RUN: usize>(self) {
        let width = self.window.out[1];
        for (row, out) in self.out.chunks_exact_mut(width).enumerate() {
            for first in (0..width).step_by(RUN) {
                let first = first.min(width - RUN);
                let base = self.window.base(row * width + first);
                let mut sums = [self.bias; RUN];
                for (tap, &weight) in self.taps.iter().zip(self.weight) {
                    let x = &self.x[base + tap..][..RUN];
                    for (sum, &x) in sums.iter_mut().zip(x) {
                        *sum = multiply_add::<FMA>(x, weight, *sum);
                    }
                }
                out[first..first + RUN].copy_from_slice(&sums);
            }
        }
    }
}
