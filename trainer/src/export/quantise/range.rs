//! Calibration methods: from a histogram to scale and zero point.
//!
//! A range always contains zero, so that padding and ReLU zeros are exact, and is at least
//! [`NARROWEST`] wide, so that a scale is neither zero nor subnormal.

use serde::Serialize;

use super::histogram::Histogram;
use super::{Calibration, Scheme};

/// The narrowest range, of a value that is always zero.
const NARROWEST: f32 = 1e-15;

/// Shares kept by the percentile method.
const SHARES: [f64; 3] = [0.999, 0.9999, 0.99999];

/// The least share of the values that the KL method keeps.
const KL_KEEPS: f64 = 0.99;

/// Factor of the observed range after a global pooling.
const POOLED: f32 = 1.5;

/// Clipped ranges that the MSE method tries, as a share of the whole.
const STEPS: usize = 60;

/// Quantisation parameters of a value: `v = (q - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct QuantParams {
    /// Difference of two adjacent quantised values.
    pub scale: f32,
    /// The quantised value of zero: 0 to 255, or 0 for symmetric s8.
    pub zero_point: i32,
    /// Least and greatest quantised value.
    pub bytes: [i32; 2],
}

impl QuantParams {
    /// The parameters that cover `[low, high]`, widened to contain zero.
    pub(super) fn covering([low, high]: [f32; 2], scheme: Scheme) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        match scheme {
            Scheme::U8 => {
                let scale = (high - low).max(NARROWEST) / 255.0;
                let zero_point = (-low / scale).round_ties_even().clamp(0.0, 255.0) as i32;
                // Rounding the zero point moves both ends: one of them would be cut by half a step.
                let needed = |end: f32, bytes: i32| {
                    if bytes == 0 { 0.0 } else { end / bytes as f32 }
                };
                let scale = scale.max(needed(high, 255 - zero_point).max(needed(-low, zero_point)));
                Self {
                    scale,
                    zero_point,
                    bytes: [0, 255],
                }
            }
            Scheme::S8Symmetric => Self {
                scale: high.max(-low).max(NARROWEST) / 127.0,
                zero_point: 0,
                bytes: [-128, 127],
            },
        }
    }

    /// Least and greatest value that is not clipped.
    pub(super) fn range(self) -> [f32; 2] {
        self.bytes
            .map(|byte| (byte - self.zero_point) as f32 * self.scale)
    }

    /// `value` quantised and dequantised, as `QuantizeLinear` and `DequantizeLinear` compute it.
    pub(super) fn rounded(self, value: f32) -> f32 {
        let [low, high] = self.bytes.map(|byte| (byte - self.zero_point) as f32);
        (value / self.scale).round_ties_even().clamp(low, high) * self.scale
    }

    /// Mean square error of rounding and clipping the values of a histogram.
    pub(super) fn mean_square_error(self, histogram: &Histogram) -> f64 {
        let scale = f64::from(self.scale);
        let [low, high] = self.range().map(f64::from);
        let mut sum = 0.0;
        for (value, count) in histogram.bins() {
            let error = if value < low {
                low - value
            } else if value > high {
                value - high
            } else {
                // Inside a bin the numbers lie anywhere between two steps.
                scale / 12f64.sqrt()
            };
            sum += error * error * count as f64;
        }
        sum / (histogram.total().max(1)) as f64
    }
}

/// Candidate ranges of a method: one, or several for [`Calibration::Best`], each with its name.
pub(super) fn candidates(
    histogram: &Histogram,
    method: Calibration,
    scheme: Scheme,
) -> Vec<(&'static str, QuantParams)> {
    let covering = |range| QuantParams::covering(range, scheme);
    let whole = ("min-max", covering(histogram.range()));
    let mse = || ("mse", mse(histogram, scheme));
    let percentiles = || {
        SHARES
            .iter()
            .zip(["percentile 99.9", "percentile 99.99", "percentile 99.999"])
            .map(|(&share, name)| (name, covering(histogram.percentile(share))))
    };
    match method {
        Calibration::MinMax => vec![whole],
        Calibration::Percentile => percentiles().skip(1).take(1).collect(),
        Calibration::Mse => vec![mse()],
        Calibration::Kl => vec![("kl", kl(histogram, scheme))],
        Calibration::Best => {
            let mut all = vec![whole, mse(), ("kl", kl(histogram, scheme))];
            all.extend(percentiles());
            let mut different: Vec<(&'static str, QuantParams)> = Vec::new();
            for (name, params) in all {
                if !different.iter().any(|(_, other)| *other == params) {
                    different.push((name, params));
                }
            }
            different
        }
    }
}

/// For a value with one element a channel, such as a gate after a global pooling: few observations
/// say little about the maximum, and a clipped gate changes a whole channel. On the gates of an
/// `OSNet` one image in sixty caused nearly all of a gate's error (ADR 10).
pub(super) fn pooled(histogram: &Histogram, scheme: Scheme) -> (&'static str, QuantParams) {
    let seen = histogram.range();
    (
        "pooled",
        QuantParams::covering(seen.map(|end| end * POOLED), scheme),
    )
}

/// The range with the least mean square error.
fn mse(histogram: &Histogram, scheme: Scheme) -> QuantParams {
    least(histogram, scheme, |params| {
        params.mean_square_error(histogram)
    })
}

/// The range with the least Kullback-Leibler divergence of the quantised distribution from the
/// measured one, as TensorRT calibrates (Migacz, GTC 2017). Zeros, which are exact, are left out.
fn kl(histogram: &Histogram, scheme: Scheme) -> QuantParams {
    least(histogram, scheme, |params| divergence(histogram, params))
}

/// The clipped range with the least `error`.
fn least(histogram: &Histogram, scheme: Scheme, error: impl Fn(QuantParams) -> f64) -> QuantParams {
    let clipped = |step: usize| {
        let share = step as f32 / STEPS as f32;
        let params = QuantParams::covering(histogram.range().map(|end| end * share), scheme);
        (error(params), params)
    };
    (STEPS / 6..=STEPS)
        .map(clipped)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .expect("there is at least one step")
        .1
}

fn divergence(histogram: &Histogram, params: QuantParams) -> f64 {
    let [low, high] = params.range().map(f64::from);
    let scale = f64::from(params.scale);
    let step = |value: f64| ((value.clamp(low, high) - low) / scale).round() as usize;
    // The quantised distribution: values of each step, spread evenly over its occupied bins.
    let mut steps = vec![(0u64, 0u64); 256];
    let mut cut = [0u64; 2];
    let mut inner: Vec<(usize, u64)> = Vec::new();
    for (value, count) in histogram.bins() {
        if value < low {
            cut[0] += count;
        } else if value > high {
            cut[1] += count;
        } else {
            let at = step(value).min(255);
            steps[at].0 += count;
            steps[at].1 += 1;
            inner.push((at, count));
        }
    }
    // The measured distribution: clipped values are counted at the edges.
    let total = inner.iter().map(|(_, count)| count).sum::<u64>() as f64;
    let whole = total + (cut[0] + cut[1]) as f64;
    // A range of one bin has no divergence, and distributions far from zero, as after a sigmoid, would
    // get it (on the gates of an OSNet the cosine to float fell to 0.53).
    if total < KL_KEEPS * whole || inner.is_empty() {
        return f64::INFINITY;
    }
    let last = inner.len() - 1;
    let mut sum = 0.0;
    for (i, &(at, count)) in inner.iter().enumerate() {
        let mut p = count as f64;
        if i == 0 {
            p += cut[0] as f64;
        }
        if i == last {
            p += cut[1] as f64;
        }
        let (numbers, bins) = steps[at];
        let q = numbers as f64 / bins as f64 / total;
        let p = p / whole;
        sum += p * (p / q).ln();
    }
    // Few numbers in many bins differ by chance: that looks like information, and more so the wider
    // a step is. Its expectation is taken off (Miller 1955).
    let used = steps.iter().filter(|(_, bins)| *bins > 0).count();
    sum - (inner.len() - used) as f64 / (2.0 * whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_zero_and_are_never_empty() {
        let cases = [
            ("zero", [0.0, 0.0], Scheme::U8, 0),
            ("after a ReLU", [0.0, 4.0], Scheme::U8, 0),
            ("above zero", [1.0, 4.0], Scheme::U8, 0),
            ("below zero", [-4.0, -1.0], Scheme::U8, 255),
            ("both", [-1.0, 3.0], Scheme::U8, 64),
            ("symmetric", [-1.0, 3.0], Scheme::S8Symmetric, 0),
        ];
        for (name, range, scheme, zero) in cases {
            let params = QuantParams::covering(range, scheme);
            assert_eq!(params.zero_point, zero, "{name}");
            assert!(params.scale.is_normal(), "{name}");
            let [low, high] = params.range();
            let slack = params.scale * 1e-3;
            assert!(
                low <= range[0] + slack && range[1] <= high + slack,
                "{name}: {low} {high}"
            );
            assert_eq!(params.rounded(0.0), 0.0, "{name}");
        }
    }

    #[test]
    fn rare_large_numbers_are_cut_where_that_pays() {
        let mut histogram = Histogram::new();
        let bulk: Vec<f32> = (0..100_000).map(|i| i as f32 / 100_000.0).collect();
        histogram.add(&bulk);
        histogram.add(&[8.0]);
        let high = |method| candidates(&histogram, method, Scheme::U8)[0].1.range()[1];
        assert!(high(Calibration::MinMax) >= 8.0);
        for method in [Calibration::Percentile, Calibration::Mse, Calibration::Kl] {
            let found = high(method);
            assert!((0.9..7.9).contains(&found), "{method:?}: {found}");
        }
        let best = candidates(&histogram, Calibration::Best, Scheme::U8);
        assert!(best.len() >= 4, "{best:?}");
        // Far from zero, nothing is cut away as a whole.
        let mut gates = Histogram::new();
        let weights: Vec<f32> = bulk.iter().map(|value| 0.5 + 0.1 * value).collect();
        gates.add(&weights);
        for method in [Calibration::Percentile, Calibration::Mse, Calibration::Kl] {
            let found = candidates(&gates, method, Scheme::U8)[0].1.range()[1];
            assert!(found > 0.59, "{method:?}: {found}");
        }
        // An empty distribution has a scale as well.
        for (name, params) in candidates(&Histogram::new(), Calibration::Best, Scheme::U8) {
            assert!(params.scale.is_normal(), "{name}");
        }
    }
}
