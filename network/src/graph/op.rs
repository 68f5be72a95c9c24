//! The operators with their operands and attributes.
//!
//! Names and definitions are those of ONNX; `x` is the main operand, `?` marks an operand that may be missing.
//! Images are NCHW.

use super::Dim;

/// An operator.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// 2-D convolution. Operands: x `[N, C, H, W]`, weight `[O, C / groups, kh, kw]`, bias? `[O]`.
    Conv(Conv),
    /// Inference batch normalisation along dimension 1. Operands: x, scale `[C]`, bias `[C]`, mean
    /// `[C]`, variance `[C]`.
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Normalisation of each channel of each image over its pixels. Operands: x `[N, C, ...]` of
    /// three or more dimensions, scale `[C]`, bias `[C]`.
    InstanceNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// A function of each element. Operands: x.
    Unary(Unary),
    /// `max(x, 0) + slope * min(x, 0)`. Operands: x, slope (broadcast to x from the right).
    PRelu,
    /// A function of each pair of elements, with NumPy broadcasting. Operands: a, b.
    Binary(Binary),
    /// Joins along a dimension. Operands: one or more.
    Concat {
        /// Dimension.
        axis: usize,
    },
    /// Cuts along a dimension; writes one value for each size. Operands: x.
    Split {
        /// Dimension.
        axis: usize,
        /// Extents along it, at least one; they add up to that of x.
        sizes: Vec<usize>,
    },
    /// Part of a dimension. Operands: x.
    Slice {
        /// Dimension, never that of the batch.
        axis: usize,
        /// First index taken.
        start: usize,
        /// First index not taken, for a positive step; the elements are `start`, `start + step`...
        /// while below `end`.
        end: usize,
        /// Distance between two taken indices, at least 1.
        step: usize,
    },
    /// A constant border. Operands: x.
    Pad {
        /// Elements before and after, for each dimension of x.
        pads: Vec<(usize, usize)>,
        /// What they are.
        value: f32,
    },
    /// Largest element of each window; padding never wins. Operands: x `[N, C, H, W]`.
    MaxPool(Pool),
    /// Mean of each window. Operands: x `[N, C, H, W]`.
    AveragePool {
        /// The windows.
        pool: Pool,
        /// Whether padding counts as zeros in the mean.
        count_include_pad: bool,
    },
    /// Mean over height and width, kept as 1 x 1. Operands: x `[N, C, H, W]`.
    GlobalAveragePool,
    /// Reduction over dimensions. Operands: x.
    Reduce {
        /// Which one.
        kind: Reduce,
        /// Dimensions, ascending; at least one.
        axes: Vec<usize>,
        /// Whether they stay, with extent 1.
        keep_dims: bool,
    },
    /// `x / max(|x|_p, f32::MIN_POSITIVE)` along a dimension, with the L1 or L2 norm. Operands: x.
    LpNormalization {
        /// Dimension.
        axis: usize,
        /// 1 or 2.
        p: u8,
    },
    /// `alpha * A * B + beta * C` of matrices. Operands: a `[N, K]`, b `[K, M]` (or transposed), c?
    /// (broadcast to `[N, M]`).
    Gemm(Gemm),
    /// NumPy matrix product. Operands: a `[..., N, K]`, b `[..., K, M]`.
    MatMul,
    /// Joins the dimensions before `axis` into one and those from it on into another. Operands: x.
    Flatten {
        /// First dimension of the second group.
        axis: usize,
    },
    /// The same elements under another shape. Operands: x.
    Reshape {
        /// The new shape.
        shape: Vec<Dim>,
    },
    /// Removes dimensions of extent 1. Operands: x.
    Squeeze {
        /// Dimensions of x, ascending.
        axes: Vec<usize>,
    },
    /// Inserts dimensions of extent 1. Operands: x.
    Unsqueeze {
        /// Dimensions of the result, ascending.
        axes: Vec<usize>,
    },
    /// Reorders dimensions. Operands: x.
    Transpose {
        /// Dimension of x that becomes each dimension of the result.
        perm: Vec<usize>,
    },
    /// Broadcasts to a shape, as NumPy does. Operands: x.
    Expand {
        /// The shape to broadcast with.
        shape: Vec<Dim>,
    },
    /// `exp(x) / sum(exp(x))` along a dimension. Operands: x.
    Softmax {
        /// Dimension.
        axis: usize,
    },
    /// `saturate(round_half_even(x / scale) + zero_point)`. Operands: x, scale (f32, `[]` or
    /// `[C]`), zero point (u8 or s8, shaped as scale; it decides the type).
    QuantizeLinear {
        /// Dimension that a `[C]` scale runs along; unused for a scale of one element.
        axis: usize,
    },
    /// `(x - zero_point) * scale`. Operands: x (u8, s8 or i32), scale (f32, `[]` or `[C]`), zero
    /// point? (typed as x, shaped as scale).
    DequantizeLinear {
        /// As for [`Op::QuantizeLinear`].
        axis: usize,
    },
}

/// Attributes of [`Op::Conv`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    /// Vertical and horizontal step, at least 1.
    pub strides: [usize; 2],
    /// Zeros above, left, below and right.
    pub pads: [usize; 4],
    /// Vertical and horizontal distance of two taps, at least 1.
    pub dilations: [usize; 2],
    /// Number of groups; the number of channels makes it depthwise.
    pub groups: usize,
}

/// Windows of [`Op::MaxPool`] and [`Op::AveragePool`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Height and width of a window.
    pub kernel: [usize; 2],
    /// Vertical and horizontal step, at least 1.
    pub strides: [usize; 2],
    /// Padding above, left, below and right, each smaller than the kernel.
    pub pads: [usize; 4],
    /// Whether a last window may reach beyond the padding.
    pub ceil_mode: bool,
}

/// Attributes of [`Op::Gemm`].
#[derive(Debug, Clone, PartialEq)]
pub struct Gemm {
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of the third operand.
    pub beta: f32,
    /// Whether the first operand is stored as `[K, N]`.
    pub trans_a: bool,
    /// Whether the second operand is stored as `[M, K]`.
    pub trans_b: bool,
}

/// Functions of one element; see [`Op::Unary`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, else `alpha * x`.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `clamp(alpha * x + beta, 0, 1)`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// `x * clamp(x / 6 + 1 / 2, 0, 1)`.
    HardSwish,
    /// Hyperbolic tangent.
    Tanh,
    /// `min(max(x, min), max)`.
    Clip {
        /// Lower bound, may be minus infinity.
        min: f32,
        /// Upper bound, may be infinity.
        max: f32,
    },
    /// Square root; NaN below zero.
    Sqrt,
    /// Exponential.
    Exp,
    /// `1 / x`.
    Reciprocal,
}

/// Functions of two elements; see [`Op::Binary`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`.
    Add,
    /// `a - b`.
    Sub,
    /// `a * b`.
    Mul,
    /// `a / b`.
    Div,
    /// `a` to the power of `b`.
    Pow,
}

/// Reductions; see [`Op::Reduce`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Arithmetic mean.
    Mean,
    /// Euclidean norm.
    L2,
}

impl Op {
    /// Name of the operator in ONNX, used in messages and files.
    #[must_use]
    pub fn onnx_name(&self) -> &'static str {
        match self {
            Self::Conv(_) => "Conv",
            Self::BatchNorm { .. } => "BatchNormalization",
            Self::InstanceNorm { .. } => "InstanceNormalization",
            Self::Unary(unary) => unary.onnx_name(),
            Self::PRelu => "PRelu",
            Self::Binary(binary) => binary.onnx_name(),
            Self::Concat { .. } => "Concat",
            Self::Split { .. } => "Split",
            Self::Slice { .. } => "Slice",
            Self::Pad { .. } => "Pad",
            Self::MaxPool(_) => "MaxPool",
            Self::AveragePool { .. } => "AveragePool",
            Self::GlobalAveragePool => "GlobalAveragePool",
            Self::Reduce {
                kind: Reduce::Mean, ..
            } => "ReduceMean",
            Self::Reduce {
                kind: Reduce::L2, ..
            } => "ReduceL2",
            Self::LpNormalization { .. } => "LpNormalization",
            Self::Gemm(_) => "Gemm",
            Self::MatMul => "MatMul",
            Self::Flatten { .. } => "Flatten",
            Self::Reshape { .. } => "Reshape",
            Self::Squeeze { .. } => "Squeeze",
            Self::Unsqueeze { .. } => "Unsqueeze",
            Self::Transpose { .. } => "Transpose",
            Self::Expand { .. } => "Expand",
            Self::Softmax { .. } => "Softmax",
            Self::QuantizeLinear { .. } => "QuantizeLinear",
            Self::DequantizeLinear { .. } => "DequantizeLinear",
        }
    }
}

impl Unary {
    fn onnx_name(self) -> &'static str {
        match self {
            Self::Relu => "Relu",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Sigmoid => "Sigmoid",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::HardSwish => "HardSwish",
            Self::Tanh => "Tanh",
            Self::Clip { .. } => "Clip",
            Self::Sqrt => "Sqrt",
            Self::Exp => "Exp",
            Self::Reciprocal => "Reciprocal",
        }
    }
}

impl Binary {
    fn onnx_name(self) -> &'static str {
        match self {
            Self::Add => "Add",
            Self::Sub => "Sub",
            Self::Mul => "Mul",
            Self::Div => "Div",
            Self::Pow => "Pow",
        }
    }
}

impl Conv {
    /// A convolution without padding, step 1, one group.
    #[must_use]
    pub fn pointwise() -> Self {
        Self {
            strides: [1, 1],
            pads: [0; 4],
            dilations: [1, 1],
            groups: 1,
        }
    }

    /// Height and width of the result for a kernel and an image of these heights and widths; none
    /// if the kernel does not fit.
    #[must_use]
    pub fn output_size(&self, kernel: [usize; 2], image: [usize; 2]) -> Option<[usize; 2]> {
        let [top, left, bottom, right] = self.pads;
        let along = |axis: usize, before, after| {
            let reach = kernel[axis]
                .checked_sub(1)?
                .checked_mul(self.dilations[axis])?;
            windows(
                image[axis],
                reach.checked_add(1)?,
                self.strides[axis],
                before,
                after,
                false,
            )
        };
        Some([along(0, top, bottom)?, along(1, left, right)?])
    }
}

impl Pool {
    /// Height and width of the result for an image of this height and width; none if no window
    /// fits.
    #[must_use]
    pub fn output_size(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let [top, left, bottom, right] = self.pads;
        let along = |axis: usize, before: usize, after: usize| {
            let kernel = self.kernel[axis];
            // A window of padding alone would have no maximum.
            let inside = before < kernel && after < kernel;
            inside.then(|| {
                windows(
                    image[axis],
                    kernel,
                    self.strides[axis],
                    before,
                    after,
                    self.ceil_mode,
                )
            })?
        };
        Some([along(0, top, bottom)?, along(1, left, right)?])
    }
}

/// How many windows of `reach` fit `extent` elements with padding. With `ceil` a last one may reach
/// beyond the padding, as long as it starts before the padding behind the image does (the rule of
/// PyTorch, which ONNX follows since opset 22).
fn windows(
    extent: usize,
    reach: usize,
    step: usize,
    before: usize,
    after: usize,
    ceil: bool,
) -> Option<usize> {
    let padded = extent.checked_add(before)?.checked_add(after)?;
    let room = padded.checked_sub(reach)?;
    if step == 0 || reach == 0 || extent == 0 {
        return None;
    }
    let count = if ceil {
        room.div_ceil(step)
    } else {
        room / step
    } + 1;
    let last_starts_outside = ceil && (count - 1).saturating_mul(step) >= extent + before;
    Some(if last_starts_outside {
        count - 1
    } else {
        count
    })
}
