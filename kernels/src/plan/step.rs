//! The steps: what each reads, computes and writes, to the last bit.
//!
//! `x[n, i, j, c]` is a code of the slot that a step reads, `z` the zero point of a slot, `s` its
//! scale. Accumulators are i32, and the plan has proved that no final sum leaves `|acc| < 2^31`:
//! a sum may be taken in any order and may wrap on its way. `requantise` is
//! [`quant::requantise`](network::quant::requantise).

use super::TensorId;
use network::graph::{self, Op};
use network::quant::Clamp;

/// A step and the name of the node of the network that it stands for: the convolution, if it is one
/// with what follows it, or else the last of its nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// For messages and reports.
    pub name: String,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Pixels to codes.
    Pixels(Pixels),
    /// Pixels to real planes.
    Normalise(Normalise),
    /// Convolution or matrix product with all that follows it.
    Conv(Conv),
    /// Largest code of each window.
    MaxPool(MaxPool),
    /// Mean of each window.
    Average(Average),
    /// A function of one code.
    Table(Table),
    /// Sum of codes and of products of two codes.
    Sum(Sum),
    /// Channels of one or more images, in another order.
    Channels(Channels),
    /// Some rows and columns.
    Crop(Crop),
    /// A border.
    Pad(Pad),
    /// Real numbers to codes.
    Quantise(Quantise),
    /// Codes to real numbers.
    Dequantise(Dequantise),
    /// Mean of each channel as a real number: the head.
    Mean(Mean),
    /// An operator of the network on real numbers.
    Float(Float),
}

/// `y[n, i, j, p] = table[p][pixel[n, i, j, sample[p]]]`, where `pixel` is the plan's input, RGB
/// bytes `[N, height, width, 3]`: scaling, mean, deviation, order of planes and quantisation at
/// once.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// For each plane of the network: which sample of an RGB pixel it takes.
    pub sample: [usize; 3],
    /// For each plane: the code of each value.
    pub table: Box<[[u8; 256]; 3]>,
    /// Codes `[N, height, width, 3]`.
    pub out: TensorId,
}

/// As [`Pixels`], for a network that reads real numbers: `y[n, p, i, j] = table[p][pixel[n, i, j,
/// sample[p]]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalise {
    /// For each plane of the network: which sample of an RGB pixel it takes.
    pub sample: [usize; 3],
    /// For each plane: the number that each value becomes, as
    /// [`Normaliser`](network::preprocess::Normaliser) computes it.
    pub table: Box<[[f32; 256]; 3]>,
    /// Real `[N, 3, height, width]`.
    pub out: TensorId,
}

/// Convolution, depthwise convolution or matrix product (a 1 x 1 convolution of one pixel):
///
/// ```text
/// acc  = bias[o] + sum over ky, kx, c of (x[n, i', j', first + c] - z_x) * weight[o, ky, kx, c]
///        where i' = i * strides[0] + ky * dilations[0] - pads[0], j' alike, and a tap outside of
///        the image adds nothing (its code is z_x)
/// acc  = (acc << shift[o]) + multiplier[o] * (r[n, i, j, o] - z_r)       with a residual
/// y    = requantise(acc, scale[o], clamp)                                or f32(acc) * scale[o]
/// ```
///
/// `first` is the first channel of the group: `o / (outputs / groups) * channels / groups`.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// Strides, pads, dilations, groups; see [`graph::Conv`].
    pub windows: graph::Conv,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// `[O, kh, kw, C / groups]`, each -127 to 127.
    pub weight: Vec<i8>,
    /// `[O]`.
    pub bias: Vec<i32>,
    /// What is added before the accumulator is requantised.
    pub residual: Option<Residual>,
    /// What becomes of the accumulator.
    pub output: ConvOutput,
    /// `[N, H', W', O]` codes, or `[N, O, H', W']` or `[N, O]` real.
    pub out: TensorId,
}

/// A second image, of the size of the result, in the units of the accumulator.
#[derive(Debug, Clone, PartialEq)]
pub struct Residual {
    /// Codes `[N, H', W', O]`.
    pub input: TensorId,
    /// `[O]`, how far the accumulator is shifted left first: 0 to 30.
    pub shift: Vec<u8>,
    /// `[O]`, not negative.
    pub multiplier: Vec<i32>,
}

/// What becomes of an accumulator of [`Conv`].
#[derive(Debug, Clone, PartialEq)]
pub enum ConvOutput {
    /// A code.
    Quantised(Requantise),
    /// `f32(acc) * scale[o]`, for a reader of real numbers.
    Float {
        /// `[O]`.
        scale: Vec<f32>,
    },
}

/// Accumulator to code, for each channel: `requantise(acc, scale[o], clamp)`, with
/// `negative[o]` in place of `scale[o]` where `acc < 0`, if there is one (`LeakyReLU`, `PReLU`).
#[derive(Debug, Clone, PartialEq)]
pub struct Requantise {
    /// `[O]`, each 2^-15 to 2^15.
    pub scale: Vec<f32>,
    /// `[O]`, of any sign, of magnitude at least 2^-15 unless it is 0 or `|acc| < 2^24` is proved.
    pub negative: Option<Vec<f32>>,
    /// The codes allowed.
    pub clamp: Clamp,
}

/// Largest code of each window; a tap outside of the image never wins.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxPool {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// The windows over the rows.
    pub rows: Vec<Window>,
    /// The windows over the columns.
    pub columns: Vec<Window>,
    /// Codes `[N, rows, columns, C]`, of the same meaning.
    pub out: TensorId,
}

/// Mean of each window: `y[n, i, j, c] = requantise(sum of (x[n, i', j', c] - z_x) over rows[i] and
/// columns[j], scale[rows[i].class][columns[j].class], clamp)`.
///
/// Sums stay below 2^24, so here a scale may be any positive number.
#[derive(Debug, Clone, PartialEq)]
pub struct Average {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// The windows over the rows.
    pub rows: Vec<Window>,
    /// The windows over the columns.
    pub columns: Vec<Window>,
    /// One scale for each class of rows and of columns: windows at a border may divide by less.
    pub scale: Vec<Vec<f32>>,
    /// The codes allowed.
    pub clamp: Clamp,
    /// Codes `[N, rows, columns, C]`.
    pub out: TensorId,
}

/// Part of a dimension of an image: `start..end`, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First index inside.
    pub start: usize,
    /// First index behind.
    pub end: usize,
    /// Windows of one class count the same number of elements, padding included if it counts; 0 in
    /// [`MaxPool`].
    pub class: usize,
}

/// `y = table[x]` for each code.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// The code of each code.
    pub table: Box<[u8; 256]>,
    /// Codes `[N, H, W, C]`.
    pub out: TensorId,
}

/// Sum of images and of gated images:
///
/// ```text
/// acc = (sum over products of (x - z_x) * (g - z_g)) << shift
///     + sum over terms of multiplier * (r - z_r)
/// y   = requantise(acc, scale[c], clamp)
/// ```
///
/// `x` and `r` are of the size of the result; a gate `g` is too, or one pixel, `[N, 1, 1, C]`,
/// that stands for all. All `x` share their meaning, and all `g` do.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// Pairs of an image and its gate; may be empty.
    pub products: Vec<[TensorId; 2]>,
    /// How far the sum of products is shifted left: 0 to 30.
    pub shift: u8,
    /// Images added; may be empty if `products` is not.
    pub terms: Vec<Term>,
    /// Accumulator to code.
    pub requantise: Requantise,
    /// Codes `[N, H, W, C]`.
    pub out: TensorId,
}

/// An image in a [`Sum`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// Units of the accumulator for each code, not negative.
    pub multiplier: i32,
}

/// Channels in another order: the channels of the result are those of `runs`, one run after the
/// other. Joins images (one run an input), cuts them (one run), shuffles their channels (runs of
/// one). Inputs and result have one meaning and one height and width.
#[derive(Debug, Clone, PartialEq)]
pub struct Channels {
    /// Codes `[N, H, W, C_i]`.
    pub inputs: Vec<TensorId>,
    /// Where the channels come from; their lengths add up to `C`.
    pub runs: Vec<Run>,
    /// Codes `[N, H, W, C]`.
    pub out: TensorId,
}

/// Channels `start..start + len` of one of the inputs of [`Channels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Index into [`Channels::inputs`].
    pub input: usize,
    /// First channel.
    pub start: usize,
    /// Number of channels.
    pub len: usize,
}

/// `y[n, i, j, c] = x[n, start[0] + i * step[0], start[1] + j * step[1], c]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Crop {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// First row and column.
    pub start: [usize; 2],
    /// Distance of rows and of columns.
    pub step: [usize; 2],
    /// Codes `[N, H', W', C]`, of the same meaning.
    pub out: TensorId,
}

/// A border of one code around each image, and possibly whole channels of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// Rows above, columns left and channels in front of the image.
    pub before: [usize; 3],
    /// The code of everything that is not the image.
    pub value: u8,
    /// Codes `[N, H', W', C']`, of the same meaning.
    pub out: TensorId,
}

/// `y = z + i32(clamp(round_half_even(x / s), 0 - z, 255 - z))` in f32, as ONNX's `QuantizeLinear`;
/// a NaN becomes `z`.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantise {
    /// Real `[N, C, H, W]` or `[N, C]`.
    pub input: TensorId,
    /// Codes `[N, H, W, C]`.
    pub out: TensorId,
}

/// `y = f32(x - z) * s`, as ONNX's `DequantizeLinear`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dequantise {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// Real `[N, C, H, W]` or `[N, C]`.
    pub out: TensorId,
}

/// Mean of each channel over all pixels: `y[n, c] = f32(sum of (x[n, i, j, c] - z)) * scale`. The
/// sum is exact and below 2^24; `scale` is `s / (H * W)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mean {
    /// Codes `[N, H, W, C]`.
    pub input: TensorId,
    /// See above.
    pub scale: f32,
    /// Real `[N, C, 1, 1]`.
    pub out: TensorId,
}

/// An operator of the network on real numbers, as
/// [`reference::eval`](network::reference::eval) computes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Float {
    /// The operator.
    pub op: Op,
    /// What it reads, in the order that [`Op`] documents.
    pub operands: Vec<FloatOperand>,
    /// What it writes, real.
    pub outs: Vec<TensorId>,
}

/// What a [`Float`] step reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatOperand {
    /// A real slot.
    Tensor(TensorId),
    /// An index into [`Plan::constants`](super::Plan::constants).
    Constant(usize),
}

impl StepKind {
    /// The slots that it reads, each once for each time it is read.
    #[must_use]
    pub fn reads(&self) -> Vec<TensorId> {
        match self {
            Self::Pixels(_) | Self::Normalise(_) => Vec::new(),
            Self::Conv(conv) => {
                let residual = conv.residual.as_ref().map(|residual| residual.input);
                std::iter::once(conv.input).chain(residual).collect()
            }
            Self::MaxPool(pool) => vec![pool.input],
            Self::Average(average) => vec![average.input],
            Self::Table(table) => vec![table.input],
            Self::Sum(sum) => {
                let terms = sum.terms.iter().map(|term| term.input);
                sum.products
                    .iter()
                    .flatten()
                    .copied()
                    .chain(terms)
                    .collect()
            }
            Self::Channels(channels) => channels.inputs.clone(),
            Self::Crop(crop) => vec![crop.input],
            Self::Pad(pad) => vec![pad.input],
            Self::Quantise(quantise) => vec![quantise.input],
            Self::Dequantise(dequantise) => vec![dequantise.input],
            Self::Mean(mean) => vec![mean.input],
            Self::Float(float) => {
                let tensors = float.operands.iter().filter_map(|operand| match operand {
                    FloatOperand::Tensor(id) => Some(*id),
                    FloatOperand::Constant(_) => None,
                });
                tensors.collect()
            }
        }
    }

    /// The slots that it writes: one, unless it is a [`Float`] that cuts.
    #[must_use]
    pub fn writes(&self) -> &[TensorId] {
        let out = match self {
            Self::Pixels(pixels) => &pixels.out,
            Self::Normalise(normalise) => &normalise.out,
            Self::Conv(conv) => &conv.out,
            Self::MaxPool(pool) => &pool.out,
            Self::Average(average) => &average.out,
            Self::Table(table) => &table.out,
            Self::Sum(sum) => &sum.out,
            Self::Channels(channels) => &channels.out,
            Self::Crop(crop) => &crop.out,
            Self::Pad(pad) => &pad.out,
            Self::Quantise(quantise) => &quantise.out,
            Self::Dequantise(dequantise) => &dequantise.out,
            Self::Mean(mean) => &mean.out,
            Self::Float(float) => return &float.outs,
        };
        std::slice::from_ref(out)
    }

    /// What it is called in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pixels(_) => "pixels",
            Self::Normalise(_) => "normalise",
            Self::Conv(_) => "conv",
            Self::MaxPool(_) => "max-pool",
            Self::Average(_) => "average",
            Self::Table(_) => "table",
            Self::Sum(_) => "sum",
            Self::Channels(_) => "channels",
            Self::Crop(_) => "crop",
            Self::Pad(_) => "pad",
            Self::Quantise(_) => "quantise",
            Self::Dequantise(_) => "dequantise",
            Self::Mean(_) => "mean",
            Self::Float(_) => "float",
        }
    }
}
