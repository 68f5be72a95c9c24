//! Float operators on libtorch.
//!
//! Convolutions and matrix products use the requested precision; sums, norms, powers and exponentials
//! are f32, as in automatic mixed precision. With f64 everything is f64.

use network::graph::{Binary, Conv, Gemm, Op, Pool, Reduce, Unary};
use tch::{Kind, Tensor};

use super::tensor::{size, sizes};
use super::{Mode, Precision};
use crate::{Error, Result, qat};

/// How far a batch moves running statistics: PyTorch's default, which every recipe keeps.
const MOMENTUM: f64 = 0.1;

/// The operands of an operator.
pub(super) struct Call<'a> {
    /// Its operands.
    pub(super) inputs: &'a [&'a Tensor],
    /// The shape of each value that it writes.
    pub(super) shapes: &'a [Vec<i64>],
    pub(super) mode: Mode,
    pub(super) precision: Precision,
}

impl Call<'_> {
    /// The operand in the precision of products.
    fn product(&self, at: usize) -> Result<Tensor> {
        self.inputs[at].f_to_kind_of(match self.precision {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
            Precision::F64 => Kind::Double,
        })
    }

    /// An optional operand in the precision of products.
    fn optional_product(&self, at: usize) -> Result<Option<Tensor>> {
        (at < self.inputs.len())
            .then(|| self.product(at))
            .transpose()
    }

    /// What all that is no product computes with.
    fn kind(&self) -> Kind {
        self.precision.kind()
    }

    /// The scales as f32, as in the file, with any precision.
    fn scale(&self) -> Result<Tensor> {
        self.inputs[1].f_to_kind_of(Kind::Float)
    }

    /// The first operand as that.
    fn float(&self) -> Result<Tensor> {
        self.inputs[0].f_to_kind_of(self.kind())
    }
}

/// Conversion that keeps a tensor which has the kind already.
trait ToKind {
    fn f_to_kind_of(&self, kind: Kind) -> Result<Tensor>;
}

impl ToKind for Tensor {
    fn f_to_kind_of(&self, kind: Kind) -> Result<Tensor> {
        if self.kind() == kind {
            return Ok(self.shallow_clone());
        }
        Ok(self.f_to_kind(kind)?)
    }
}

/// The results of `op`.
pub(super) fn compute(op: &Op, call: &Call<'_>) -> Result<Vec<Tensor>> {
    let x = call.inputs[0];
    let one = match op {
        Op::Conv(conv) => convolve(conv, call)?,
        Op::BatchNorm { epsilon } => x.f_batch_norm(
            Some(call.inputs[1]),
            Some(call.inputs[2]),
            Some(call.inputs[3]),
            Some(call.inputs[4]),
            call.mode == Mode::Train,
            MOMENTUM,
            f64::from(*epsilon),
            true,
        )?,
        Op::InstanceNorm { epsilon } => x.f_instance_norm(
            Some(call.inputs[1]),
            Some(call.inputs[2]),
            None::<&Tensor>,
            None::<&Tensor>,
            true,
            MOMENTUM,
            f64::from(*epsilon),
            true,
        )?,
        Op::Unary(unary) => elementwise(*unary, call)?,
        Op::PRelu => {
            let below = x.f_neg()?.f_relu()?.f_mul(call.inputs[1])?;
            x.f_relu()?.f_sub(&below)?
        }
        Op::Binary(binary) => pairs(*binary, call)?,
        Op::Concat { axis } => Tensor::f_cat(call.inputs, size(*axis))?,
        Op::Split { axis, sizes: parts } => {
            return Ok(x.f_split_with_sizes(sizes(parts), size(*axis))?);
        }
        Op::Slice {
            axis,
            start,
            end,
            step,
        } => x.f_slice(size(*axis), size(*start), size(*end), size(*step))?,
        Op::Pad { pads, value } => border(x, pads, f64::from(*value))?,
        Op::MaxPool(pool) => windows(&max_pool(x, pool)?, &call.shapes[0])?,
        Op::AveragePool {
            pool,
            count_include_pad,
        } => windows(&average_pool(x, pool, *count_include_pad)?, &call.shapes[0])?,
        Op::GlobalAveragePool => {
            call.float()?
                .f_mean_dim([2i64, 3].as_slice(), true, call.kind())?
        }
        Op::Reduce {
            kind,
            axes,
            keep_dims,
        } => {
            let axes = sizes(axes);
            match kind {
                Reduce::Mean => {
                    call.float()?
                        .f_mean_dim(axes.as_slice(), *keep_dims, call.kind())?
                }
                Reduce::L2 => norm(&call.float()?, 2, &axes, *keep_dims)?,
            }
        }
        Op::LpNormalization { axis, p } => {
            let x = call.float()?;
            let length = norm(&x, *p, &[size(*axis)], true)?;
            x.f_div(&length.f_clamp_min(f64::from(f32::MIN_POSITIVE))?)?
        }
        Op::Gemm(gemm) => product(gemm, call)?,
        Op::MatMul => call.product(0)?.f_matmul(&call.product(1)?)?,
        Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. } | Op::Unsqueeze { .. } => {
            x.f_reshape(&call.shapes[0])?
        }
        Op::Transpose { perm } => x.f_permute(sizes(perm))?,
        Op::Expand { .. } => x.f_expand(&call.shapes[0], false)?,
        Op::Softmax { axis } => x.f_softmax(size(*axis), call.kind())?,
        Op::QuantizeLinear { axis } => quantise(*axis, call)?,
        Op::DequantizeLinear { axis } => dequantise(*axis, call)?,
        other => {
            return Err(Error::Torch {
                what: other.onnx_name().to_owned(),
                reason: "this operator cannot be trained".to_owned(),
            });
        }
    };
    Ok(vec![one])
}

/// Fake quantisation: values are quantised and dequantised; gradients pass straight through within the
/// range.
fn quantise(axis: usize, call: &Call<'_>) -> Result<Tensor> {
    let [x, scale, zero] = [call.float()?, call.scale()?, call.inputs[2].shallow_clone()];
    if scale.numel() == 1 {
        let [low, high] = match zero.kind() {
            Kind::Uint8 => [0, 255],
            _ => [-128, 127],
        };
        let zero = i64::try_from(zero.f_reshape([-1])?.f_get(0)?)?;
        let scale = f64::try_from(scale.f_reshape([-1])?.f_get(0)?)?;
        return Ok(x.f_fake_quantize_per_tensor_affine(scale, zero, low, high)?);
    }
    // Only weights have a scale for each row.
    let [low, high] = qat::WEIGHT_RANGE.map(|code| code as i64);
    let zero = zero.f_to_kind(Kind::Int)?;
    Ok(x.f_fake_quantize_per_channel_affine(&scale, &zero, size(axis), low, high)?)
}

/// Dequantises integers. Results of [`quantise`] are dequantised already.
fn dequantise(axis: usize, call: &Call<'_>) -> Result<Tensor> {
    let quantised = call.inputs[0];
    if quantised.is_floating_point() {
        return Ok(quantised.shallow_clone());
    }
    let along = |tensor: Tensor| -> Result<Tensor> {
        let mut shape = vec![1; quantised.dim()];
        if tensor.numel() > 1 {
            shape[axis] = -1;
        }
        Ok(tensor.f_reshape(&shape)?)
    };
    let mut quantised = quantised.f_to_kind(call.kind())?;
    if let Some(zero) = call.inputs.get(2) {
        quantised = quantised.f_sub(&along(zero.f_to_kind(call.kind())?)?)?;
    }
    Ok(quantised.f_mul(&along(call.scale()?)?)?)
}

fn elementwise(unary: Unary, call: &Call<'_>) -> Result<Tensor> {
    let x = call.inputs[0];
    Ok(match unary {
        Unary::Relu => x.f_relu()?,
        Unary::LeakyRelu { alpha } => {
            let below = x.f_neg()?.f_relu()?.f_mul_scalar(f64::from(alpha))?;
            x.f_relu()?.f_sub(&below)?
        }
        Unary::Sigmoid => x.f_sigmoid()?,
        Unary::HardSigmoid { alpha, beta } => x
            .f_mul_scalar(f64::from(alpha))?
            .f_add_scalar(f64::from(beta))?
            .f_clamp(0.0, 1.0)?,
        Unary::HardSwish => x.f_hardswish()?,
        Unary::Tanh => x.f_tanh()?,
        Unary::Clip { min, max } => x.f_clamp(f64::from(min), f64::from(max))?,
        Unary::Sqrt => call.float()?.f_sqrt()?,
        Unary::Exp => call.float()?.f_exp()?,
        Unary::Reciprocal => call.float()?.f_reciprocal()?,
    })
}

fn pairs(binary: Binary, call: &Call<'_>) -> Result<Tensor> {
    let [a, b] = [call.inputs[0], call.inputs[1]];
    Ok(match binary {
        Binary::Add => a.f_add(b)?,
        Binary::Sub => a.f_sub(b)?,
        Binary::Mul => a.f_mul(b)?,
        Binary::Div => a.f_div(b)?,
        Binary::Pow => call.float()?.f_pow(&b.f_to_kind_of(call.kind())?)?,
    })
}

/// Below so many channels, the pixels that a 1 x 1 convolution passes over are taken out before it:
/// oneDNN of torch 2.11 writes beyond its memory when it computes the gradient of such a weight with
/// a step, channels last, 3 or 4 channels in (`RepVGG`'s first layer; 16 and more are sound).
const FEW: i64 = 16;

fn convolve(conv: &Conv, call: &Call<'_>) -> Result<Tensor> {
    let mut x = call.product(0)?;
    let [top, left, bottom, right] = conv.pads;
    let mut pads = [top, left];
    if [bottom, right] != pads {
        x = border(&x, &image_border(conv.pads), 0.0)?;
        pads = [0, 0];
    }
    let weight = call.product(1)?;
    let mut strides = conv.strides;
    if weight.size()[1..] == [x.size()[1], 1, 1] && x.size()[1] < FEW && pads == [0, 0] {
        for (axis, stride) in [2, 3].into_iter().zip(&mut strides) {
            x = x.f_slice(axis, 0, None, size(*stride))?;
            *stride = 1;
        }
    }
    Ok(x.f_conv2d(
        &weight,
        call.optional_product(2)?,
        sizes(&strides),
        sizes(&pads),
        sizes(&conv.dilations),
        size(conv.groups),
    )?)
}

fn product(gemm: &Gemm, call: &Call<'_>) -> Result<Tensor> {
    let flip = |matrix: Tensor, flip: bool| -> Result<Tensor> {
        Ok(if flip { matrix.f_tr()? } else { matrix })
    };
    let a = flip(call.product(0)?, gemm.trans_a)?;
    let b = flip(call.product(1)?, gemm.trans_b)?;
    let mut result = a.f_matmul(&b)?;
    if gemm.alpha != 1.0 {
        result = result.f_mul_scalar(f64::from(gemm.alpha))?;
    }
    match call.optional_product(2)? {
        Some(c) if gemm.beta == 1.0 => Ok(result.f_add(&c)?),
        Some(c) => Ok(result.f_add(&c.f_mul_scalar(f64::from(gemm.beta))?)?),
        None => Ok(result),
    }
}

fn max_pool(x: &Tensor, pool: &Pool) -> Result<Tensor> {
    let (x, pads) = evenly(x, pool, f64::NEG_INFINITY)?;
    Ok(x.f_max_pool2d(
        sizes(&pool.kernel),
        sizes(&pool.strides),
        sizes(&pads),
        [1, 1],
        pool.ceil_mode,
    )?)
}

fn average_pool(x: &Tensor, pool: &Pool, count_include_pad: bool) -> Result<Tensor> {
    let mean = |x: &Tensor| -> Result<Tensor> {
        let (x, pads) = evenly(x, pool, 0.0)?;
        Ok(x.f_avg_pool2d(
            sizes(&pool.kernel),
            sizes(&pool.strides),
            sizes(&pads),
            pool.ceil_mode,
            true,
            None,
        )?)
    };
    let all = mean(x)?;
    if count_include_pad {
        return Ok(all);
    }
    // The share of each window that lies on the image.
    let inside = tch::no_grad(|| mean(&x.f_slice(0, 0, 1, 1)?.f_ones_like()?))?;
    Ok(all.f_div(&inside)?)
}

/// The image and the padding that libtorch then adds: it knows the same padding on both sides only.
fn evenly(x: &Tensor, pool: &Pool, value: f64) -> Result<(Tensor, [usize; 2])> {
    let [top, left, bottom, right] = pool.pads;
    let [height, width] = pool.kernel;
    // libtorch wants padding of at most half a window.
    if [top, left] == [bottom, right] && top <= height / 2 && left <= width / 2 {
        return Ok((x.shallow_clone(), [top, left]));
    }
    Ok((border(x, &image_border(pool.pads), value)?, [0, 0]))
}

/// The windows that the graph declares: where libtorch was given an image with a border, it knows
/// nothing of the rule that a last window starts on the image.
fn windows(x: &Tensor, shape: &[i64]) -> Result<Tensor> {
    Ok(x.f_narrow(2, 0, shape[2])?.f_narrow(3, 0, shape[3])?)
}

fn image_border([top, left, bottom, right]: [usize; 4]) -> [(usize, usize); 4] {
    [(0, 0), (0, 0), (top, bottom), (left, right)]
}

/// `x` with a constant border. libtorch counts dimensions from the last one.
fn border(x: &Tensor, pads: &[(usize, usize)], value: f64) -> Result<Tensor> {
    let pads: Vec<i64> = (pads.iter().rev())
        .flat_map(|&(before, after)| [size(before), size(after)])
        .collect();
    Ok(x.f_pad(pads, "constant", value)?)
}

fn norm(x: &Tensor, p: u8, axes: &[i64], keep: bool) -> Result<Tensor> {
    Ok(x.f_norm_scalaropt_dim(f64::from(p), axes, keep)?)
}

#[cfg(test)]
mod tests;
