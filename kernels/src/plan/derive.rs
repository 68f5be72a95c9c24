//! The integers of each step, computed in f64 from the scales and weights of the file.
//!
//! A function here returns `None` where a step cannot be exact: an accumulator that might leave 31
//! bits, a scale out of the range of [`requantise`](network::quant::requantise). The node is then
//! computed in f32.

pub(super) mod conv;
pub(super) mod pixels;
pub(super) mod sum;
pub(super) mod table;
pub(super) mod windows;

use super::Requantise;
use network::quant::{self, Clamp, EXACT, MIN_SCALE, QuantParams};

/// Activation of a sum before it is requantised: `clip(x < 0 ? slope * x : x, lo, hi)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Activation {
    /// Factor of values below 0, one for each channel or one for all.
    pub(super) slope: Option<Vec<f32>>,
    pub(super) lo: f64,
    pub(super) hi: f64,
}

impl Activation {
    pub(super) const NONE: Self = Self {
        slope: None,
        lo: f64::NEG_INFINITY,
        hi: f64::INFINITY,
    };

    /// The quantised values that are possible.
    pub(super) fn clamp(&self, params: QuantParams) -> Clamp {
        params.clamp(self.lo, self.hi)
    }

    /// The requantisation of accumulators that never pass `bounds`, with these scales.
    pub(super) fn requantise(
        &self,
        params: QuantParams,
        scale: &[f64],
        bounds: &[i64],
    ) -> Option<Requantise> {
        let negative = |slope: &Vec<f32>| {
            let channels = scale.iter().zip(bounds).enumerate();
            let scales = channels.map(|(o, (scale, &bound))| {
                let slope = if slope.len() == 1 { slope[0] } else { slope[o] };
                let scale = (scale * f64::from(slope)) as f32;
                let portable = scale == 0.0 || scale.abs() >= MIN_SCALE || bound < EXACT;
                (portable && scale.is_finite()).then_some(scale)
            });
            scales.collect::<Option<Vec<f32>>>()
        };
        Some(Requantise {
            negative: match &self.slope {
                None => None,
                Some(slope) => Some(negative(slope)?),
            },
            scale: (scale.iter().map(|&scale| quant::conversion(scale))).collect::<Option<_>>()?,
            clamp: self.clamp(params),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_portable_scales_are_taken() {
        struct Case(&'static str, f64, Option<f32>, i64, bool);
        let floor = f64::from(MIN_SCALE);
        let cases = [
            Case("common", 0.01, None, 1 << 30, true),
            Case("the smallest", floor, None, 1 << 30, true),
            Case("below", floor * 0.999, None, 100, false),
            Case("the largest", 32768.0, None, 1 << 30, true),
            Case("above", 32769.0, None, 100, false),
            Case("not a number", f64::NAN, None, 100, false),
            Case("leaky", 0.01, Some(0.1), 1 << 30, true),
            Case("of the other sign", 0.01, Some(-0.1), 1 << 30, true),
            Case("flat", 0.01, Some(0.0), 1 << 30, true),
            Case("leaks next to nothing", 0.001, Some(0.01), EXACT, false),
            Case("of sums that f32 holds", 0.001, Some(0.01), EXACT - 1, true),
            Case("leaks everything", 0.001, Some(f32::INFINITY), 100, false),
        ];
        let params = QuantParams {
            scale: 0.1,
            zero_point: 7,
        };
        for Case(name, scale, slope, bound, taken) in cases {
            let activation = Activation {
                slope: slope.map(|slope| vec![slope]),
                ..Activation::NONE
            };
            let found = activation.requantise(params, &[scale; 2], &[bound; 2]);
            assert_eq!(found.is_some(), taken, "{name}");
        }
    }
}
