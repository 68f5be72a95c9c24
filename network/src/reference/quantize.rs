//! Conversion between f32 and small integers. Each step is one f32 operation, as ONNX defines it, and the
//! result is exact.

use super::Call;
use crate::tensor::{Data, Tensor};

/// `zero_point + clamp(round_half_even(x / scale), lowest - zero_point, highest - zero_point)`;
/// clamped before the sum, so nothing overflows.
pub(super) fn quantize(call: &Call<'_>, axis: usize) -> Data {
    let x = call.f32(0);
    let parameters = Parameters::new(call, axis);
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
    match call.inputs[2].data() {
        Data::U8(_) => Data::U8(integers(0, 255).map(|y| y as u8).collect()),
        _ => Data::I8(integers(-128, 127).map(|y| y as i8).collect()),
    }
}

/// `(x - zero_point) * scale`; the difference becomes f32 (i32 is rounded to 24 bits there) before
/// it is scaled.
pub(super) fn dequantize(call: &Call<'_>, axis: usize) -> Vec<f32> {
    let parameters = Parameters::new(call, axis);
    let scaled = |(i, x): (usize, i32)| {
        let (scale, zero_point) = parameters.at(i);
        (i64::from(x) - i64::from(zero_point)) as f32 * scale
    };
    let x = integers(call.inputs[0]);
    x.into_iter().enumerate().map(scaled).collect()
}

/// The elements of a tensor of u8, i8 or i32.
fn integers(tensor: &Tensor) -> Vec<i32> {
    match tensor.data() {
        Data::U8(v) => v.iter().map(|&v| v.into()).collect(),
        Data::I8(v) => v.iter().map(|&v| v.into()).collect(),
        Data::I32(v) => v.clone(),
        Data::F32(_) | Data::I64(_) => unreachable!("shape inference has checked the element type"),
    }
}

/// Scales and zero points, one for all elements or one for each index along a dimension.
struct Parameters<'a> {
    scales: &'a [f32],
    zero_points: Vec<i32>,
    /// Elements of x between one index along the dimension and the next.
    step: usize,
}

impl<'a> Parameters<'a> {
    fn new(call: &Call<'a>, axis: usize) -> Self {
        let scales = call.f32(1);
        let zero_points = match call.inputs.get(2) {
            Some(zero_point) => integers(zero_point),
            None => vec![0; scales.len()],
        };
        Self {
            scales,
            zero_points,
            // The axis counts for no scale of one element, and may then be any number.
            step: call.shape.iter().skip(axis.saturating_add(1)).product(),
        }
    }

    /// Scale and zero point of the element `index` of x.
    fn at(&self, index: usize) -> (f32, i32) {
        let i = index / self.step % self.scales.len();
        (self.scales[i], self.zero_points[i])
    }
}
