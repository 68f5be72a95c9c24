//! Functions of each element, and of each pair of elements.

use super::{Call, Walk};
use crate::graph::{Binary, Unary};
use crate::tensor::Data;

pub(super) fn unary(call: &Call<'_>, unary: Unary) -> Vec<f32> {
    let x = call.f32(0).iter();
    x.map(|&x| apply(unary, f64::from(x)) as f32).collect()
}

/// The value of `unary` at `x`; a NaN stays one.
#[must_use]
pub fn apply(unary: Unary, x: f64) -> f64 {
    match unary {
        Unary::Relu => at_least(x, 0.0),
        Unary::LeakyRelu { alpha } if x < 0.0 => f64::from(alpha) * x,
        Unary::LeakyRelu { .. } => x,
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::HardSigmoid { alpha, beta } => {
            (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
        }
        Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::Tanh => x.tanh(),
        // In this order: where the bounds cross, the upper one wins.
        Unary::Clip { min, max } => at_most(at_least(x, min.into()), max.into()),
        Unary::Sqrt => x.sqrt(),
        Unary::Exp => x.exp(),
        Unary::Reciprocal => x.recip(),
    }
}

/// `f64::max` would return the bound for a NaN.
fn at_least(x: f64, bound: f64) -> f64 {
    if x < bound { bound } else { x }
}

/// `f64::min` would return the bound for a NaN.
fn at_most(x: f64, bound: f64) -> f64 {
    if x > bound { bound } else { x }
}

pub(super) fn prelu(call: &Call<'_>) -> Vec<f32> {
    let slope = call.f32(1);
    let slopes = Walk::broadcast(call.inputs[1].shape(), call.shape);
    (call.f32(0).iter().zip(slopes))
        .map(|(&x, at)| if x < 0.0 { slope[at] * x } else { x })
        .collect()
}

/// f32, and i64 for the arithmetic on shapes in files; integers divide towards zero.
///
/// # Errors
/// The two integers that have no i64 result.
pub(super) fn binary(call: &Call<'_>, binary: Binary) -> Result<Data, String> {
    let (a, b) = (call.inputs[0], call.inputs[1]);
    let walk = |shape: &[usize]| Walk::broadcast(shape, call.shape);
    let pairs = walk(a.shape()).zip(walk(b.shape()));
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        let result = |(i, j): (usize, usize)| {
            of_integers(binary, a[i], b[j])
                .ok_or_else(|| format!("{} and {} have no I64 result", a[i], b[j]))
        };
        return Ok(Data::I64(pairs.map(result).collect::<Result<_, _>>()?));
    }
    let same_shape = a.shape() == b.shape();
    let (a, b) = (call.f32(0), call.f32(1));
    Ok(Data::F32(if same_shape {
        // The common case, and the loop that runs over whole feature maps.
        let pairs = a.iter().zip(b);
        pairs.map(|(&a, &b)| of_floats(binary, a, b)).collect()
    } else {
        pairs.map(|(i, j)| of_floats(binary, a[i], b[j])).collect()
    }))
}

/// One f32 operation rounds once by itself; the power alone needs f64 for that.
fn of_floats(binary: Binary, a: f32, b: f32) -> f32 {
    match binary {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => f64::from(a).powf(f64::from(b)) as f32,
    }
}

fn of_integers(binary: Binary, a: i64, b: i64) -> Option<i64> {
    match binary {
        Binary::Add => a.checked_add(b),
        Binary::Sub => a.checked_sub(b),
        Binary::Mul => a.checked_mul(b),
        Binary::Div => a.checked_div(b),
        Binary::Pow => a.checked_pow(u32::try_from(b).ok()?),
    }
}
