//! Normalisations: by given statistics, by those of an image's channel, and along one dimension.

use super::Call;

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias`, each a number per channel.
pub(super) fn batch(call: &Call<'_>, epsilon: f32) -> Vec<f32> {
    let (mean, variance) = (call.f32(3), call.f32(4));
    by_plane(call, epsilon, |channel, _| {
        (mean[channel].into(), variance[channel].into())
    })
}

/// As [`batch`] with the mean and the (biased) variance of each plane of each image.
pub(super) fn instance(call: &Call<'_>, epsilon: f32) -> Vec<f32> {
    by_plane(call, epsilon, |_, plane| {
        let count = plane.len() as f64;
        let mean = plane.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let squares = plane.iter().map(|&x| (f64::from(x) - mean).powi(2));
        (mean, squares.sum::<f64>() / count)
    })
}

/// Normalises each plane by the mean and the variance that `statistics` gives for its channel and its
/// elements; operands 1 and 2 are scale and bias.
fn by_plane(
    call: &Call<'_>,
    epsilon: f32,
    statistics: impl Fn(usize, &[f32]) -> (f64, f64),
) -> Vec<f32> {
    let (scale, bias) = (call.f32(1), call.f32(2));
    let pixels = call.shape[2..].iter().product();
    let mut y = Vec::with_capacity(call.len());
    for (i, plane) in call.f32(0).chunks_exact(pixels).enumerate() {
        let channel = i % call.shape[1];
        let (mean, variance) = statistics(channel, plane);
        let factor = f64::from(scale[channel]) / (variance + f64::from(epsilon)).sqrt();
        let bias = f64::from(bias[channel]);
        let normalised = |&x| ((f64::from(x) - mean) * factor + bias) as f32;
        y.extend(plane.iter().map(normalised));
    }
    y
}

/// Divides by the L1 norm (`p` is 1) or the L2 norm; a norm below the smallest normal f32 counts as
/// that, so zeros stay zeros.
pub(super) fn lp(call: &Call<'_>, axis: usize, p: u8) -> Vec<f32> {
    along(call, axis, |line| {
        let length: f64 = match p {
            1 => line.iter().map(|x| x.abs()).sum(),
            _ => line.iter().map(|x| x * x).sum::<f64>().sqrt(),
        };
        let tiny = f64::from(f32::MIN_POSITIVE);
        let divisor = if length < tiny { tiny } else { length };
        line.iter_mut().for_each(|x| *x /= divisor);
    })
}

pub(super) fn softmax(call: &Call<'_>, axis: usize) -> Vec<f32> {
    along(call, axis, |line| {
        // Subtracts the largest first: exp of anything above 709 is infinite even in f64.
        let largest = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        line.iter_mut().for_each(|x| *x = (*x - largest).exp());
        let sum: f64 = line.iter().sum();
        line.iter_mut().for_each(|x| *x /= sum);
    })
}

/// Rewrites every line of x along `axis`.
fn along(call: &Call<'_>, axis: usize, rewrite: impl Fn(&mut [f64])) -> Vec<f32> {
    let mut y = call.f32(0).to_vec();
    let extent = call.shape[axis];
    let step: usize = call.shape[axis + 1..].iter().product();
    let mut line = Vec::with_capacity(extent);
    let firsts = (0..y.len()).filter(|at| (at / step).is_multiple_of(extent));
    for first in firsts {
        let elements = y[first..].iter().step_by(step).take(extent);
        line.clear();
        line.extend(elements.map(|&x| f64::from(x)));
        rewrite(&mut line);
        for (y, &x) in y[first..].iter_mut().step_by(step).zip(&line) {
            *y = x as f32;
        }
    }
    y
}
