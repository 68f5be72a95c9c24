//! The integers of each step, from the scales and weights of the file: in f64, once.
//!
//! A function here answers None where a step cannot be exact: an accumulator that might leave 31
//! bits, a scale that [`requantise`](crate::quant::requantise) cannot take. The node is then
//! computed in float.

pub(super) mod conv;
pub(super) mod pixels;
pub(super) mod sum;
pub(super) mod table;
pub(super) mod windows;

use super::Requantise;
use crate::quant::{self, Clamp, EXACT, MIN_SCALE, QParams};

/// What happens to a sum before it becomes a code: `clip(x < 0 ? slope * x : x, lo, hi)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Activation {
    /// Factor of numbers below 0, one for each channel or one for all.
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

    /// The codes of `params` that can come out.
    pub(super) fn clamp(&self, params: QParams) -> Clamp {
        params.clamp(self.lo, self.hi)
    }

    /// The conversion of accumulators that never pass `bounds`, with these scales.
    pub(super) fn requantise(
        &self,
        params: QParams,
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
