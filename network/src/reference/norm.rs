//! Normalisations: by given statistics, by those of an image's channel, and along one dimension.

use super::call::Call;
use crate::Result;
use crate::tensor::Tensor;

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias`, each a number per channel.
pub(super) fn batch(call: &Call<'_>, epsilon: f32) -> Result<Tensor> {
    let x = call.f32(0, "x")?;
    let shape = call.x().shape();
    let channels = call.extent_along(1)?;
    let scale = call.vector(1, "scale", channels)?;
    let bias = call.vector(2, "bias", channels)?;
    let mean = call.vector(3, "mean", channels)?;
    let variance = call.vector(4, "variance", channels)?;
    let mut y = Vec::with_capacity(x.len());
    if !x.is_empty() {
        let pixels = shape[2..].iter().product();
        for (i, plane) in x.chunks_exact(pixels).enumerate() {
            let c = i % channels;
            let deviation = (f64::from(variance[c]) + f64::from(epsilon)).sqrt();
            let affine = Affine::new(mean[c].into(), deviation, scale[c], bias[c]);
            y.extend(plane.iter().map(|&x| affine.apply(x)));
        }
    }
    Tensor::f32(shape, y)
}

/// As [`batch`] with the mean and the (biased) variance of each plane of each image.
pub(super) fn instance(call: &Call<'_>, epsilon: f32) -> Result<Tensor> {
    let x = call.f32(0, "x")?;
    let shape = call.x().shape();
    let channels = call.extent_along(1)?;
    let scale = call.vector(1, "scale", channels)?;
    let bias = call.vector(2, "bias", channels)?;
    let mut y = Vec::with_capacity(x.len());
    if !x.is_empty() {
        let pixels: usize = shape[2..].iter().product();
        let mean_of = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / pixels as f64;
        for (i, plane) in x.chunks_exact(pixels).enumerate() {
            let mean = mean_of(&mut plane.iter().map(|&x| f64::from(x)));
            let variance = mean_of(&mut plane.iter().map(|&x| (f64::from(x) - mean).powi(2)));
            let deviation = (variance + f64::from(epsilon)).sqrt();
            let c = i % channels;
            let affine = Affine::new(mean, deviation, scale[c], bias[c]);
            y.extend(plane.iter().map(|&x| affine.apply(x)));
        }
    }
    Tensor::f32(shape, y)
}

/// `(x - mean) * factor + bias`.
struct Affine {
    mean: f64,
    factor: f64,
    bias: f64,
}

impl Affine {
    fn new(mean: f64, deviation: f64, scale: f32, bias: f32) -> Self {
        Self {
            mean,
            factor: f64::from(scale) / deviation,
            bias: bias.into(),
        }
    }

    fn apply(&self, x: f32) -> f32 {
        ((f64::from(x) - self.mean) * self.factor + self.bias) as f32
    }
}

/// Divides by the norm; a norm below the smallest normal f32 counts as that, so zeros stay zeros.
pub(super) fn lp(call: &Call<'_>, axis: usize, p: u8) -> Result<Tensor> {
    let length: fn(&[f64]) -> f64 = match p {
        1 => |line| line.iter().map(|x| x.abs()).sum(),
        2 => |line| line.iter().map(|x| x * x).sum::<f64>().sqrt(),
        _ => return Err(call.wrong(format!("p must be 1 or 2, found {p}"))),
    };
    along(call, axis, |line| {
        let length = length(line);
        let tiny = f64::from(f32::MIN_POSITIVE);
        let divisor = if length < tiny { tiny } else { length };
        line.iter_mut().for_each(|x| *x /= divisor);
    })
}

pub(super) fn softmax(call: &Call<'_>, axis: usize) -> Result<Tensor> {
    along(call, axis, |line| {
        // Takes the largest away first: exp of anything above 709 is infinite even in f64.
        let largest = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        line.iter_mut().for_each(|x| *x = (*x - largest).exp());
        let sum: f64 = line.iter().sum();
        line.iter_mut().for_each(|x| *x /= sum);
    })
}

/// Rewrites every line of x along `axis`.
fn along(call: &Call<'_>, axis: usize, rewrite: impl Fn(&mut [f64])) -> Result<Tensor> {
    let x = call.f32(0, "x")?;
    let extent = call.extent_along(axis)?;
    let mut y = x.to_vec();
    if !x.is_empty() {
        let step: usize = call.x().shape()[axis + 1..].iter().product();
        let mut line = Vec::with_capacity(extent);
        let firsts = (0..x.len()).filter(|at| (at / step).is_multiple_of(extent));
        for first in firsts {
            line.clear();
            line.extend(
                x[first..]
                    .iter()
                    .step_by(step)
                    .take(extent)
                    .map(|&x| f64::from(x)),
            );
            rewrite(&mut line);
            for (y, &x) in y[first..].iter_mut().step_by(step).zip(&line) {
                *y = x as f32;
            }
        }
    }
    Tensor::f32(call.x().shape(), y)
}
