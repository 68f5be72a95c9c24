//! Between f32 and small integers. Each step is one f32 operation, as ONNX defines it, and the
//! result is exact.

use super::call::Call;
use crate::Result;
use crate::tensor::{DType, Data, Tensor};

/// `zero_point + clamp(round_half_even(x / scale), lowest - zero_point, highest - zero_point)`;
/// clamped before the sum, so nothing overflows.
pub(super) fn quantize(call: &Call<'_>, axis: usize) -> Result<Tensor> {
    let x = call.f32(0, "x")?;
    let parameters = Parameters::new(call, axis)?;
    let integers = |lowest: i16, highest: i16| {
        let parameters = &parameters;
        x.iter().enumerate().map(move |(i, &x)| {
            let (scale, zero_point) = parameters.at(i);
            let [low, high] = [lowest, highest].map(|bound| f32::from(bound) - zero_point as f32);
            // Casting a NaN gives 0, the zero point.
            let steps = (x / scale).round_ties_even().clamp(low, high) as i32;
            steps + zero_point
        })
    };
    let data = match call.input(2).dtype() {
        DType::U8 => Data::U8(integers(0, 255).map(|y| y as u8).collect()),
        DType::I8 => Data::I8(integers(-128, 127).map(|y| y as i8).collect()),
        other => {
            return Err(call.wrong(format!("the zero point must be U8 or I8, found {other:?}")));
        }
    };
    Tensor::new(call.x().shape(), data)
}

/// `(x - zero_point) * scale`; the difference becomes f32 (i32 is rounded to 24 bits there) before
/// it is scaled.
pub(super) fn dequantize(call: &Call<'_>, axis: usize) -> Result<Tensor> {
    let parameters = Parameters::new(call, axis)?;
    if let Some(zero_point) = call.inputs().get(2)
        && zero_point.dtype() != call.x().dtype()
    {
        return Err(call.wrong(format!(
            "x and zero point must be of one type, found {:?} and {:?}",
            call.x().dtype(),
            zero_point.dtype()
        )));
    }
    let real = |(i, x): (usize, i64)| {
        let (scale, zero_point) = parameters.at(i);
        (x - i64::from(zero_point)) as f32 * scale
    };
    let y: Vec<f32> = match call.x().data() {
        Data::U8(x) => x.iter().map(|&x| x.into()).enumerate().map(real).collect(),
        Data::I8(x) => x.iter().map(|&x| x.into()).enumerate().map(real).collect(),
        Data::I32(x) => x.iter().map(|&x| x.into()).enumerate().map(real).collect(),
        Data::F32(_) | Data::I64(_) => {
            return Err(call.wrong(format!(
                "x must be U8, I8 or I32, found {:?}",
                call.x().dtype()
            )));
        }
    };
    Tensor::f32(call.x().shape(), y)
}

/// Scales and zero points, one for all elements or one for each index along a dimension.
struct Parameters<'a> {
    scales: &'a [f32],
    zero_points: Vec<i32>,
    /// Elements of x between one index along the dimension and the next.
    step: usize,
}

impl<'a> Parameters<'a> {
    fn new(call: &Call<'a>, axis: usize) -> Result<Self> {
        let scales = call.f32(1, "scale")?;
        let shape = call.input(1).shape();
        let step = match shape {
            [] | [1] => 1,
            [count] if call.extent_along(axis)? == *count => {
                // At most the number of elements of x, unless that is 0: then nobody asks.
                let following = &call.x().shape()[axis + 1..];
                following.iter().fold(1usize, |n, &d| n.saturating_mul(d))
            }
            _ => {
                return Err(call.wrong(format!(
                    "a scale {shape:?} does not run along dimension {axis} of {:?}",
                    call.x().shape()
                )));
            }
        };
        let zero_points = match call.inputs().get(2) {
            None => vec![0; scales.len()],
            Some(zero_point) if zero_point.shape() != shape => {
                return Err(call.wrong(format!(
                    "zero point {:?} must be shaped as scale {shape:?}",
                    zero_point.shape()
                )));
            }
            Some(zero_point) => match zero_point.data() {
                Data::U8(v) => v.iter().map(|&z| z.into()).collect(),
                Data::I8(v) => v.iter().map(|&z| z.into()).collect(),
                Data::I32(v) => v.clone(),
                Data::F32(_) | Data::I64(_) => {
                    return Err(call.wrong(format!(
                        "the zero point must be an integer of 8 or 32 bits, found {:?}",
                        zero_point.dtype()
                    )));
                }
            },
        };
        Ok(Self {
            scales,
            zero_points,
            step,
        })
    }

    /// Scale and zero point of the element `index` of x.
    fn at(&self, index: usize) -> (f32, i32) {
        let i = index / self.step % self.scales.len();
        (self.scales[i], self.zero_points[i])
    }
}
