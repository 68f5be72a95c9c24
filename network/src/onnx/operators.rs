//! Nodes of a file as [`Op`]s.
//!
//! One function for each form that ONNX gives an operator, with the defaults and changes of
//! <https://github.com/onnx/onnx/blob/main/docs/Changelog.md>. A function takes the attributes that it
//! supports; [`Attributes::finish`](super::attributes::Attributes) refuses the rest.

mod image;
mod layout;
mod shapes;

use super::proto::data_type;
use super::scope::{Binding, Conversion};
use super::site::Site;
use crate::Result;
use crate::graph::{Binary, Dim, Gemm, Op, Operand, Reduce, Unary};
use crate::tensor::{DType, Data, Tensor};

/// Converts the node at `site`.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) with the node, its operator, and the attribute
/// or input that is not supported.
pub(super) fn convert(site: &mut Site) -> Result<Conversion> {
    if let Some(conversion) = shapes::interpret(site)? {
        return Ok(conversion);
    }
    match site.op() {
        "Conv" => image::conv(site),
        "BatchNormalization" => image::batch_norm(site),
        "InstanceNormalization" => image::instance_norm(site),
        "MeanVarianceNormalization" => image::mean_variance(site),
        "MaxPool" => image::max_pool(site),
        "AveragePool" => image::average_pool(site),
        "GlobalAveragePool" => site.plain(Op::GlobalAveragePool, 1),

        "Relu" => unary(site, Unary::Relu),
        "Sigmoid" => unary(site, Unary::Sigmoid),
        "HardSwish" => unary(site, Unary::HardSwish),
        "Tanh" => unary(site, Unary::Tanh),
        "Sqrt" => unary(site, Unary::Sqrt),
        "Exp" => unary(site, Unary::Exp),
        "Reciprocal" => unary(site, Unary::Reciprocal),
        "LeakyRelu" => {
            let alpha = site.attributes.float("alpha", 0.01)?;
            unary(site, Unary::LeakyRelu { alpha })
        }
        "HardSigmoid" => {
            let alpha = site.attributes.float("alpha", 0.2)?;
            let beta = site.attributes.float("beta", 0.5)?;
            unary(site, Unary::HardSigmoid { alpha, beta })
        }
        "Clip" => clip(site),
        "PRelu" => site.plain(Op::PRelu, 2),
        "Add" => site.plain(Op::Binary(Binary::Add), 2),
        "Sub" => site.plain(Op::Binary(Binary::Sub), 2),
        "Mul" => site.plain(Op::Binary(Binary::Mul), 2),
        "Div" => site.plain(Op::Binary(Binary::Div), 2),
        "Pow" => pow(site),

        "ReduceMean" => reduce(site, Reduce::Mean),
        "ReduceL2" => reduce(site, Reduce::L2),
        "LpNormalization" => lp_normalization(site),
        "Softmax" => softmax(site),
        "Gemm" => gemm(site),
        "MatMul" => site.plain(Op::MatMul, 2),

        "Concat" => layout::concat(site),
        "Split" => layout::split(site),
        "Slice" => layout::slice(site),
        "Pad" => layout::pad(site),
        "Flatten" => layout::flatten(site),
        "Reshape" => layout::reshape(site),
        "Squeeze" => layout::squeeze(site),
        "Unsqueeze" => layout::unsqueeze(site),
        "Transpose" => layout::transpose(site),
        "Expand" => layout::expand(site),

        "QuantizeLinear" => quantize(site),
        "DequantizeLinear" => dequantize(site),

        "Identity" => site.same(),
        "Dropout" => dropout(site),
        "Constant" => shapes::constant(site),
        "Cast" => cast(site),
        "If" | "Loop" | "Scan" => Err(site.unsupported("subgraphs are not supported")),
        _ => Err(site.unsupported("the operator is not supported")),
    }
}

fn unary(site: &mut Site, unary: Unary) -> Result<Conversion> {
    site.plain(Op::Unary(unary), 1)
}

/// Bounds are attributes before version 11, inputs since.
fn clip(site: &mut Site) -> Result<Conversion> {
    let (min, max) = if site.opset() < 11 {
        let min = site.attributes.float("min", f32::MIN)?;
        (min, site.attributes.float("max", f32::MAX)?)
    } else {
        let min = site.number(1)?.unwrap_or(f32::MIN);
        (min, site.number(2)?.unwrap_or(f32::MAX))
    };
    // ONNX has these bounds for none.
    let min = if min == f32::MIN {
        f32::NEG_INFINITY
    } else {
        min
    };
    let max = if max == f32::MAX { f32::INFINITY } else { max };
    let x = site.operand(0)?;
    let op = Op::Unary(Unary::Clip { min, max });
    Ok(Conversion::Operators(vec![op], vec![x]))
}

/// The one binary operator that may read an integer beside a float.
fn pow(site: &mut Site) -> Result<Conversion> {
    let exponent = site.constant(1).and_then(|tensor| match tensor.data() {
        Data::I64(v) => Some((
            tensor.shape().to_vec(),
            v.iter().map(|&v| v as f32).collect(),
        )),
        Data::I32(v) => Some((
            tensor.shape().to_vec(),
            v.iter().map(|&v| v as f32).collect(),
        )),
        _ => None,
    });
    let Some((shape, values)) = exponent else {
        return site.plain(Op::Binary(Binary::Pow), 2);
    };
    let x = site.operand(0)?;
    let exponent = site.generated("exponent", Tensor::new(shape, Data::F32(values))?)?;
    Ok(Conversion::Operators(
        vec![Op::Binary(Binary::Pow)],
        vec![x, exponent],
    ))
}

/// Axes are an attribute before version 18, an input since.
fn reduce(site: &mut Site, kind: Reduce) -> Result<Conversion> {
    let keep_dims = site.attributes.flag("keepdims", true)?;
    let rank = site.fact(0)?.shape.len();
    let noop = site.opset() >= 18 && site.attributes.flag("noop_with_empty_axes", false)?;
    let list = site.list("axes", 1, 18)?.filter(|list| !list.is_empty());
    if noop && list.is_none() {
        return match kind {
            Reduce::Mean => site.same(),
            // Runtimes do not agree whether it is x or |x|.
            Reduce::L2 => Err(site.unsupported(
                "attribute `noop_with_empty_axes` without axes, which is not defined for a norm",
            )),
        };
    }
    let axes = match list {
        Some(list) => site.axes(&list, rank)?,
        None => (0..rank).collect(),
    };
    let op = Op::Reduce {
        kind,
        axes,
        keep_dims,
    };
    Ok(Conversion::Operators(vec![op], vec![site.operand(0)?]))
}

fn lp_normalization(site: &mut Site) -> Result<Conversion> {
    let rank = site.fact(0)?.shape.len();
    let p = site.attributes.int("p")?.unwrap_or(2);
    let along = site.attributes.int("axis")?.unwrap_or(-1);
    let axis = site.axis(along, rank)?;
    let p = u8::try_from(p)
        .ok()
        .filter(|p| matches!(p, 1 | 2))
        .ok_or_else(|| site.unsupported(format!("attribute `p` is {p}, 1 and 2 are supported")))?;
    site.plain(Op::LpNormalization { axis, p }, 1)
}

/// Before version 13, all dimensions from the axis on were normalised together: that is the same
/// where all but one have extent 1.
fn softmax(site: &mut Site) -> Result<Conversion> {
    let shape = site.fact(0)?.shape;
    let joint = site.opset() < 13;
    let default = if joint { 1 } else { -1 };
    let along = site.attributes.int("axis")?.unwrap_or(default);
    let mut axis = site.axis(along, shape.len())?;
    if joint {
        let mut long = (axis..shape.len()).filter(|&axis| shape[axis] != Dim::Fixed(1));
        axis = long.next().unwrap_or(axis);
        if long.next().is_some() {
            return Err(site.unsupported(format!(
                "attribute `axis` = {along} joins several dimensions before operator set 13"
            )));
        }
    }
    site.plain(Op::Softmax { axis }, 1)
}

fn gemm(site: &mut Site) -> Result<Conversion> {
    let op = Op::Gemm(Gemm {
        alpha: site.attributes.float("alpha", 1.0)?,
        beta: site.attributes.float("beta", 1.0)?,
        trans_a: site.attributes.flag("transA", false)?,
        trans_b: site.attributes.flag("transB", false)?,
    });
    Ok(Conversion::Operators(vec![op], site.operands(2, 3)?))
}

/// The axis of a scale of several elements, and the attributes that only other element types and
/// block-wise scales need.
fn quantisation(site: &mut Site) -> Result<usize> {
    site.attributes.only("block_size", 0)?;
    site.attributes.ignore("saturate");
    let rank = site.fact(0)?.shape.len();
    let along = site.attributes.int("axis")?.unwrap_or(1);
    let scale = site
        .constant(1)
        .and_then(Tensor::as_f32)
        .ok_or_else(|| site.unsupported("the scale is no constant f32"))?;
    if let Some(bad) = scale
        .iter()
        .find(|scale| !(scale.is_finite() && **scale > 0.0))
    {
        return Err(site.unsupported(format!("a scale is {bad}, wanted a positive number")));
    }
    if scale.len() > 1 {
        site.axis(along, rank)
    } else {
        // Unused, and the default is beyond the dimensions of a bias.
        Ok(usize::try_from(along).unwrap_or(0))
    }
}

/// The operands x, scale and zero point, if there is one. Where scale and zero point are one element
/// each, ONNX Runtime's quantiser writes one as `[1]` and the other as `[]`: the shape of the scale is used.
fn quantisation_operands(site: &mut Site) -> Result<Vec<Operand>> {
    let mut operands = site.operands(2, 3)?;
    if let (Some(scale), Some(zero)) = (site.constant(1), site.constant(2))
        && (scale.len(), zero.len()) == (1, 1)
        && scale.shape() != zero.shape()
    {
        let zero = zero.clone().reshaped(scale.shape())?;
        operands[2] = site.generated("zero_point", zero)?;
    }
    Ok(operands)
}

fn quantize(site: &mut Site) -> Result<Conversion> {
    site.attributes.only("precision", 0)?;
    let axis = quantisation(site)?;
    let dtype = site.attributes.int("output_dtype")?.unwrap_or(0);
    let mut operands = quantisation_operands(site)?;
    let wanted = match i32::try_from(dtype) {
        Ok(0) => None,
        Ok(data_type::UINT8) => Some(DType::U8),
        Ok(data_type::INT8) => Some(DType::I8),
        _ => return Err(site.unsupported(format!("attribute `output_dtype` is {dtype}"))),
    };
    if operands.len() == 3 {
        let found = site.fact(2)?.dtype;
        if wanted.is_some_and(|wanted| wanted != found) {
            return Err(site.unsupported(format!(
                "attribute `output_dtype` is {dtype}, the zero point is {found:?}"
            )));
        }
    } else {
        let shape: Vec<usize> = site
            .fact(1)?
            .shape
            .iter()
            .map(|dim| dim.for_batch(1))
            .collect();
        let count = shape.iter().product();
        let zeros = match wanted {
            Some(DType::I8) => Data::I8(vec![0; count]),
            _ => Data::U8(vec![0; count]),
        };
        operands.push(site.generated("zero_point", Tensor::new(shape, zeros)?)?);
    }
    Ok(Conversion::Operators(
        vec![Op::QuantizeLinear { axis }],
        operands,
    ))
}

fn dequantize(site: &mut Site) -> Result<Conversion> {
    let axis = quantisation(site)?;
    match site.attributes.int("output_dtype")? {
        None | Some(0 | 1) => {}
        Some(other) => {
            return Err(site.unsupported(format!(
                "attribute `output_dtype` is {other}, only float (1) is supported"
            )));
        }
    }
    let operands = quantisation_operands(site)?;
    Ok(Conversion::Operators(
        vec![Op::DequantizeLinear { axis }],
        operands,
    ))
}

/// At inference its first input. Its second output, the mask, is not supported.
fn dropout(site: &mut Site) -> Result<Conversion> {
    site.attributes.ignore("ratio");
    site.attributes.ignore("seed");
    if let Some(training) = site.array(2)?
        && training
            .elements
            .iter()
            .any(|flag| flag.as_integer() != Some(0))
    {
        return Err(site.unsupported("input `training_mode` is not false"));
    }
    site.same()
}

/// For values computed from the image only from float to float, which changes nothing here.
fn cast(site: &mut Site) -> Result<Conversion> {
    site.attributes.ignore("saturate");
    site.attributes.ignore("round_mode");
    let to = site.attributes.int("to")?.unwrap_or_default();
    let to = i32::try_from(to).unwrap_or_default();
    let is_float = matches!(
        to,
        data_type::FLOAT | data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE
    );
    let computed = matches!(site.binding(0), Some(Binding::Value(_)));
    if is_float && (computed || site.constant(0).is_some_and(|x| x.as_f32().is_some())) {
        return if site.fact(0)?.dtype == DType::F32 {
            site.same()
        } else {
            Err(site.unsupported("quantised values cannot be cast"))
        };
    }
    if computed {
        let name = data_type::name(to);
        return Err(site.unsupported(format!("attribute `to` is {name}, only float is supported")));
    }
    shapes::cast(site, to)
}
