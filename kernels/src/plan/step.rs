//! The steps of a plan: what each reads, computes and writes, to the last bit.
//!
//! `x[n, i, j, c]` is a quantised value of the tensor that a step reads, `z` the zero point of a tensor and
//! `s` its scale. Accumulators are i32. The plan has proved that no final sum leaves `|acc| < 2^31`, so a sum
//! may be taken in any order and may wrap on its way. `requantise` is
//! [`quant::requantise`](network::quant::requantise).

use super::TensorId;
use network::graph::{self, Op};
use network::quant::Clamp;

/// One operation of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Name of the node of the network that it computes: the convolution, or else the last of its nodes.
    pub name: String,
    /// What it computes.
    pub kind: StepKind,
    /// What it reads, in the order that [`StepKind`] documents.
    pub inputs: Vec<TensorId>,
    /// What it writes: one tensor, unless it is an [`Op::Split`] in f32.
    pub outputs: Vec<TensorId>,
}

/// What a step computes. Unless stated otherwise, tensors are quantised, `[N, H, W, C]`, and a step reads
/// one tensor `x` and writes one tensor `y`.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Pixels to quantised values `[N, H, W, 3]`: `y[n, i, j, p] = table[p][pixel[n, i, j, sample[p]]]`.
    /// Reads no tensor but the plan's input, RGB bytes `[N, H, W, 3]`.
    Pixels(PixelTable<u8>),
    /// As [`StepKind::Pixels`], to f32 planes `[N, 3, H, W]`, with the values of
    /// [`Normaliser`](network::preprocess::Normaliser).
    Normalise(PixelTable<f32>),
    /// Convolution or matrix product with its epilogue. Reads x and, if it has one, the residual.
    Conv(ConvStep),
    /// Largest value of each window; a tap outside of the image never wins.
    MaxPool {
        /// The windows over the rows.
        rows: Vec<Window>,
        /// The windows over the columns.
        columns: Vec<Window>,
    },
    /// Mean of each window.
    Average(AverageStep),
    /// `y = table[x]` for each value.
    Table(Box<[u8; 256]>),
    /// Sum of tensors and of gated tensors.
    Sum(SumStep),
    /// Channels of one or more tensors, in another order: y has the channels of each range, one range
    /// after the other. Reads the tensors; all have the quantisation parameters, height and width of y.
    Channels(Vec<ChannelRange>),
    /// `y[n, i, j, c] = x[n, start[0] + i * step[0], start[1] + j * step[1], c]`.
    Crop {
        /// First row and column.
        start: [usize; 2],
        /// Distance of rows and of columns.
        step: [usize; 2],
    },
    /// A border of one value around each image, and possibly whole channels of it.
    Pad {
        /// Rows above, columns left and channels in front of the image.
        before: [usize; 3],
        /// The value of everything that is not the image.
        value: u8,
    },
    /// f32 `[N, C, H, W]` or `[N, C]` to quantised values, as ONNX's `QuantizeLinear`: `y = z +
    /// i32(clamp(round_half_even(x / s), 0 - z, 255 - z))` in f32; a NaN becomes `z`.
    Quantise,
    /// Quantised values to f32 `[N, C, H, W]` or `[N, C]`, as ONNX's `DequantizeLinear`: `y = f32(x - z) * s`.
    Dequantise,
    /// Mean of each channel, f32 `[N, C, 1, 1]`: `y[n, c] = f32(sum of (x[n, i, j, c] - z)) * scale`. The
    /// sum is exact and below 2^24.
    Mean {
        /// `s / (H * W)`.
        scale: f32,
    },
    /// An operator of the network on f32 tensors, as [`reference::eval`](network::reference::eval)
    /// computes it.
    Float(FloatStep),
}

/// What each value of a pixel becomes: scaling, mean, deviation, order of planes and quantisation at once.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelTable<T> {
    /// For each plane of the network: which sample of an RGB pixel it takes.
    pub sample: [usize; 3],
    /// For each plane: what each value becomes.
    pub table: Box<[[T; 256]; 3]>,
}

/// Convolution, depthwise convolution or matrix product (a 1 x 1 convolution of one pixel):
///
/// ```text
/// acc  = bias[o] + sum over ky, kx, c of (x[n, i', j', first + c] - z_x) * weight[o, ky, kx, c]
///        where i' = i * strides[0] + ky * dilations[0] - pads[0], j' alike, and a tap outside of
///        the image adds nothing (its value is z_x)
/// acc  = (acc << shift[o]) + multiplier[o] * (r[n, i, j, o] - z_r)       with a residual r
/// y    = requantise(acc, scale[o], clamp)                                or f32(acc) * scale[o]
/// ```
///
/// `first` is the first channel of the group: `o / (outputs / groups) * channels / groups`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvStep {
    /// Strides, pads, dilations, groups; see [`graph::Conv`].
    pub windows: graph::Conv,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// `[O, kh, kw, C / groups]`, each -127 to 127.
    pub weight: Vec<i8>,
    /// `[O]`.
    pub bias: Vec<i32>,
    /// How the residual, `[N, H', W', O]`, is added to the accumulator.
    pub residual: Option<Residual>,
    /// What the accumulator becomes.
    pub output: ConvOutput,
}

/// A residual in the units of the accumulator.
#[derive(Debug, Clone, PartialEq)]
pub struct Residual {
    /// `[O]`, how far the accumulator is shifted left first: 0 to 30.
    pub shift: Vec<u8>,
    /// `[O]`, not negative.
    pub multiplier: Vec<i32>,
}

/// What an accumulator of [`ConvStep`] becomes.
#[derive(Debug, Clone, PartialEq)]
pub enum ConvOutput {
    /// A quantised value; y is `[N, H', W', O]`.
    Quantised(Requantise),
    /// `f32(acc) * scale[o]`; y is f32, `[N, O, H', W']` or `[N, O]`.
    Float {
        /// `[O]`.
        scale: Vec<f32>,
    },
}

/// Accumulator to quantised value, for each channel: `requantise(acc, scale[o], clamp)`, with
/// `negative[o]` in place of `scale[o]` where `acc < 0`, if there is one (`LeakyReLU`, `PReLU`).
#[derive(Debug, Clone, PartialEq)]
pub struct Requantise {
    /// `[O]`, each 2^-15 to 2^15.
    pub scale: Vec<f32>,
    /// `[O]`, of any sign, of magnitude at least 2^-15 unless it is 0 or `|acc| < 2^24` is proved.
    pub negative: Option<Vec<f32>>,
    /// The values allowed.
    pub clamp: Clamp,
}

/// Mean of each window: `y[n, i, j, c] = requantise(sum of (x[n, i', j', c] - z_x) over rows[i] and
/// columns[j], scale[rows[i].class][columns[j].class], clamp)`.
///
/// Sums stay below 2^24, so here a scale may be any positive number.
#[derive(Debug, Clone, PartialEq)]
pub struct AverageStep {
    /// The windows over the rows.
    pub rows: Vec<Window>,
    /// The windows over the columns.
    pub columns: Vec<Window>,
    /// One scale for each class of rows and of columns: windows at a border may divide by less.
    pub scale: Vec<Vec<f32>>,
    /// The values allowed.
    pub clamp: Clamp,
}

/// Part of a dimension of an image: `start..end`, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First index inside.
    pub start: usize,
    /// First index behind.
    pub end: usize,
    /// Windows of one class count the same number of elements, padding included if it counts; 0 in
    /// [`StepKind::MaxPool`].
    pub class: usize,
}

/// Sum of tensors and of gated tensors:
///
/// ```text
/// acc = (sum over products of (x - z_x) * (g - z_g)) << shift
///     + sum over terms of multiplier * (r - z_r)
/// y   = requantise(acc, scale[c], clamp)
/// ```
///
/// Reads x and its gate g of each product, then the terms r. `x` and `r` have the size of y; a gate has too,
/// or is one pixel, `[N, 1, 1, C]`, for the whole image. All `x` share their quantisation parameters, and
/// all `g` do.
#[derive(Debug, Clone, PartialEq)]
pub struct SumStep {
    /// Number of products.
    pub products: usize,
    /// How far the sum of products is shifted left: 0 to 30.
    pub shift: u8,
    /// For each term the units of the accumulator for one step of it, not negative.
    pub multipliers: Vec<i32>,
    /// Accumulator to quantised value.
    pub requantise: Requantise,
}

/// Channels `start..start + len` of one of the tensors that [`StepKind::Channels`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelRange {
    /// Index into [`Step::inputs`].
    pub input: usize,
    /// First channel.
    pub start: usize,
    /// Number of channels.
    pub len: usize,
}

/// An operator of the network on f32 tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatStep {
    /// The operator.
    pub op: Op,
    /// Its operands, in the order that [`Op`] documents.
    pub operands: Vec<FloatOperand>,
}

/// An operand of a [`FloatStep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatOperand {
    /// An f32 tensor that the step reads.
    Tensor(TensorId),
    /// An index into [`Plan::constants`](super::Plan::constants).
    Constant(usize),
}

impl FloatStep {
    /// The tensors among the operands.
    pub(super) fn tensors(&self) -> Vec<TensorId> {
        let tensors = self.operands.iter().filter_map(|operand| match operand {
            FloatOperand::Tensor(id) => Some(*id),
            FloatOperand::Constant(_) => None,
        });
        tensors.collect()
    }
}

impl StepKind {
    /// Name of the operation, as in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pixels(_) => "pixels",
            Self::Normalise(_) => "normalise",
            Self::Conv(_) => "conv",
            Self::MaxPool { .. } => "max-pool",
            Self::Average(_) => "average",
            Self::Table(_) => "table",
            Self::Sum(_) => "sum",
            Self::Channels(_) => "channels",
            Self::Crop { .. } => "crop",
            Self::Pad { .. } => "pad",
            Self::Quantise => "quantise",
            Self::Dequantise => "dequantise",
            Self::Mean { .. } => "mean",
            Self::Float(_) => "float",
        }
    }
}
