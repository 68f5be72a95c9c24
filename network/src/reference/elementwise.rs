//! Functions of each element, and of each pair of elements.

use super::call::Call;
use super::layout::{Walk, broadcast};
use crate::Result;
use crate::graph::{Binary, Unary};
use crate::tensor::{Data, Tensor};

pub(super) fn unary(call: &Call<'_>, unary: Unary) -> Result<Tensor> {
    let y: Vec<f32> = (call.f32(0, "x")?.iter())
        .map(|&x| apply(unary, f64::from(x)) as f32)
        .collect();
    Tensor::f32(call.x().shape(), y)
}

/// The function itself.
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

pub(super) fn prelu(call: &Call<'_>) -> Result<Tensor> {
    let (x, slope) = (call.f32(0, "x")?, call.f32(1, "slope")?);
    let (shape, slope_shape) = (call.x().shape(), call.input(1).shape());
    if broadcast(shape, slope_shape).as_deref() != Some(shape) {
        return Err(call.wrong(format!(
            "a slope {slope_shape:?} does not broadcast to x {shape:?}"
        )));
    }
    let y: Vec<f32> = (x.iter().zip(Walk::broadcast(slope_shape, shape)))
        .map(|(&x, at)| if x < 0.0 { slope[at] * x } else { x })
        .collect();
    Tensor::f32(shape, y)
}

/// f32, and i64 for the arithmetic on shapes that files carry; integers divide towards zero.
pub(super) fn binary(call: &Call<'_>, binary: Binary) -> Result<Tensor> {
    let (a, b) = (call.x(), call.input(1));
    let shape = broadcast(a.shape(), b.shape()).ok_or_else(|| {
        call.wrong(format!(
            "{:?} and {:?} do not broadcast",
            a.shape(),
            b.shape()
        ))
    })?;
    call.len(&shape)?;
    let pairs = Walk::broadcast(a.shape(), &shape).zip(Walk::broadcast(b.shape(), &shape));
    let data = match (a.data(), b.data()) {
        // The common case, and the loop that runs over whole feature maps.
        (Data::F32(a_data), Data::F32(b_data)) if a.shape() == b.shape() => Data::F32(
            (a_data.iter().zip(b_data))
                .map(|(&a, &b)| of_floats(binary, a, b))
                .collect(),
        ),
        (Data::F32(a), Data::F32(b)) => {
            Data::F32(pairs.map(|(i, j)| of_floats(binary, a[i], b[j])).collect())
        }
        (Data::I64(a), Data::I64(b)) => Data::I64(
            pairs
                .map(|(i, j)| {
                    of_integers(binary, a[i], b[j]).ok_or_else(|| {
                        call.wrong(format!("{} and {} have no I64 result", a[i], b[j]))
                    })
                })
                .collect::<Result<_>>()?,
        ),
        _ => {
            return Err(call.wrong(format!(
                "operands must both be F32 or both I64, found {:?} and {:?}",
                a.dtype(),
                b.dtype()
            )));
        }
    };
    Tensor::new(shape, data)
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
