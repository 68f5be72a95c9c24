//! Convolutions and matrix products.

use super::Activation;
use crate::plan::{Requantise, Residual};
use network::quant::{self, MAX_SCALE, MIN_SCALE, Mixing, QuantParams};

/// The filters of a layer as the file has them, with the weights in the order of the step.
#[derive(Debug, Clone)]
pub(in crate::plan) struct Filters {
    /// `[O, taps]`, each -127 to 127; the taps of a channel are kh, kw, C / groups.
    pub(in crate::plan) weight: Vec<i8>,
    /// `[O]`, positive.
    pub(in crate::plan) scale: Vec<f32>,
    /// `[O]`.
    pub(in crate::plan) bias: Bias,
}

/// A bias as the file has it.
#[derive(Debug, Clone)]
pub(in crate::plan) enum Bias {
    /// Integers and their scales, one for each channel.
    Steps(Vec<i32>, Vec<f32>),
    /// f32, one for each channel.
    Float(Vec<f32>),
}

/// The integers of a convolution.
pub(in crate::plan) struct Integers {
    pub(in crate::plan) weight: Vec<i8>,
    pub(in crate::plan) bias: Vec<i32>,
    pub(in crate::plan) residual: Option<Residual>,
    pub(in crate::plan) requantise: Requantise,
}

/// A filter in the units of its accumulator.
struct Filter {
    weight: Vec<i8>,
    bias: i64,
    /// No sum of the filter over quantised values, some of them padding, passes this.
    bound: i64,
}

impl Filters {
    fn taps(&self) -> usize {
        self.weight.len() / self.scale.len()
    }

    fn is_zero(&self, channel: usize) -> bool {
        let taps = self.taps();
        self.weight[channel * taps..][..taps]
            .iter()
            .all(|&w| w == 0)
    }

    /// One filter in units of `unit`; exactly as in the file for `unit = x.scale * scale`.
    fn filter(&self, channel: usize, x: QuantParams, unit: f64) -> Option<Filter> {
        let own = f64::from(x.scale) * f64::from(self.scale[channel]);
        let weight = &self.weight[channel * self.taps()..][..self.taps()];
        let weight = if unit == own {
            weight.to_vec()
        } else {
            let scaled = weight.iter().map(|&w| {
                let w = (f64::from(w) * own / unit).round_ties_even();
                (w.abs() <= 127.0).then_some(w as i8)
            });
            scaled.collect::<Option<_>>()?
        };
        let bias = match &self.bias {
            // The scale is the product of the two others, rounded to f32: the integer is exact.
            Bias::Steps(steps, scale) if unit == own && scale[channel] == own as f32 => {
                i64::from(steps[channel])
            }
            Bias::Steps(steps, scale) => {
                let bias = f64::from(steps[channel]) * f64::from(scale[channel]);
                (bias / unit).round_ties_even() as i64
            }
            Bias::Float(bias) => {
                let bias = f64::from(bias[channel]) / unit;
                bias.is_finite().then_some(bias.round_ties_even() as i64)?
            }
        };
        let z = i64::from(x.zero_point);
        let (mut lowest, mut highest) = (bias, bias);
        for &w in &weight {
            let ends = [-z * i64::from(w), (255 - z) * i64::from(w)];
            lowest = lowest.saturating_add(ends[0].min(ends[1]));
            highest = highest.saturating_add(ends[0].max(ends[1]));
        }
        let bound = lowest.saturating_abs().max(highest.saturating_abs());
        quant::fits(bound).then_some(Filter {
            weight,
            bias,
            bound,
        })
    }

    /// The integers of a step that writes quantised values.
    ///
    /// A channel whose scale is out of the range of a requantisation gets the nearest scale within,
    /// and its filter is rounded to that unit. A channel whose weights are all 0 may
    /// have any scale; it is its bias, to 2^-10 of a step. Else each weight is wrong by at
    /// most 2^-16 steps of the result for each step of x. None if a weight would pass 127.
    pub(in crate::plan) fn quantised(
        &self,
        x: QuantParams,
        residual: Option<QuantParams>,
        activation: &Activation,
        out: QuantParams,
    ) -> Option<Integers> {
        let channels = self.scale.len();
        let mut weight = Vec::with_capacity(self.weight.len());
        let mut bias = Vec::with_capacity(channels);
        let mut mixings = Vec::new();
        let (mut scales, mut bounds) = (Vec::new(), Vec::new());
        let output = f64::from(out.scale);
        for channel in 0..channels {
            let own = f64::from(x.scale) * f64::from(self.scale[channel]);
            let lowest = f64::from(MIN_SCALE) * output;
            let highest = if self.is_zero(channel) {
                // Its bias alone counts.
                output / 512.0
            } else {
                f64::from(MAX_SCALE) * output
            };
            let mut unit = own.clamp(lowest, highest);
            let filter = self.filter(channel, x, unit)?;
            let mut bound = filter.bound;
            if let Some(params) = residual {
                let mixing = quant::residual(unit, params, output, bound)?;
                let Mixing { shift, multiplier } = mixing;
                bound = (bound << shift) + i64::from(multiplier) * params.max_steps();
                unit /= f64::from(1u32 << shift);
                mixings.push(mixing);
            }
            weight.extend(filter.weight);
            bias.push(i32::try_from(filter.bias).ok()?);
            scales.push(unit / output);
            bounds.push(bound);
        }
        Some(Integers {
            weight,
            bias,
            residual: residual.map(|_| Residual {
                shift: mixings.iter().map(|mixing| mixing.shift).collect(),
                multiplier: mixings.iter().map(|mixing| mixing.multiplier).collect(),
            }),
            requantise: activation.requantise(out, &scales, &bounds)?,
        })
    }

    /// The weights, the biases and the scales of the accumulators of a step that writes f32.
    pub(in crate::plan) fn float(&self, x: QuantParams) -> Option<(Vec<i8>, Vec<i32>, Vec<f32>)> {
        let mut bias = Vec::new();
        let mut scale = Vec::new();
        for (channel, &s) in self.scale.iter().enumerate() {
            let unit = f64::from(x.scale) * f64::from(s);
            bias.push(i32::try_from(self.filter(channel, x, unit)?.bias).ok()?);
            scale.push(unit as f32);
        }
        Some((self.weight.clone(), bias, scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::quant::requantise;

    const X: QuantParams = QuantParams {
        scale: 0.02,
        zero_point: 3,
    };
    const Y: QuantParams = QuantParams {
        scale: 0.05,
        zero_point: 9,
    };

    fn filters(weight: Vec<i8>, scale: f32, bias: Bias) -> Filters {
        Filters {
            weight,
            scale: vec![scale],
            bias,
        }
    }

    #[test]
    fn a_channel_of_zeros_is_its_bias_at_any_scale() {
        for scale in [1e-12, 1e-9, 1e-3, 1.0, 1e6] {
            for bias in [0.0, 1.26, -0.2] {
                let filters = filters(vec![0; 8], scale, Bias::Float(vec![bias]));
                let integers = filters.quantised(X, None, &Activation::NONE, Y).unwrap();
                let Requantise {
                    scale: found,
                    clamp,
                    ..
                } = &integers.requantise;
                assert!((MIN_SCALE..=MAX_SCALE).contains(&found[0]), "{scale}");
                let value = requantise(integers.bias[0], found[0], clamp);
                assert_eq!(value, Y.quantise_f64(bias.into()), "{scale} {bias}");
            }
        }
    }

    #[test]
    fn the_file_s_integers_stay() {
        let scale = 0.003;
        let unit = X.scale * scale;
        let filters = filters(
            vec![-127, 5, 127],
            scale,
            Bias::Steps(vec![1 << 30], vec![unit]),
        );
        let integers = filters.quantised(X, None, &Activation::NONE, Y).unwrap();
        assert_eq!(integers.weight, [-127, 5, 127]);
        assert_eq!(integers.bias, [1 << 30]);
        let wanted = f64::from(X.scale) * f64::from(scale) / f64::from(Y.scale);
        assert_eq!(integers.requantise.scale, [wanted as f32]);
    }

    #[test]
    fn a_filter_that_might_leave_31_bits_is_none() {
        let sum = (255 - 3) * 127;
        let room = i32::MAX - sum;
        let bias = |bias| Bias::Steps(vec![bias], vec![X.scale * 0.01]);
        let derive = |filters: Filters| filters.quantised(X, None, &Activation::NONE, Y).is_some();
        assert!(derive(filters(vec![127], 0.01, bias(room))));
        assert!(!derive(filters(vec![127], 0.01, bias(room + 1))));
        assert!(derive(filters(vec![127], 0.01, bias(3 * 127 - i32::MAX))));
        assert!(!derive(filters(
            vec![127],
            0.01,
            bias(3 * 127 - i32::MAX - 1)
        )));
        assert!(!derive(filters(
            vec![1],
            0.01,
            Bias::Float(vec![f32::INFINITY])
        )));
        assert!(!derive(filters(vec![1], 0.01, Bias::Float(vec![f32::NAN]))));
    }

    #[test]
    fn a_weak_filter_is_rounded_to_the_smallest_scale_and_a_strong_one_refused() {
        let weak = filters(vec![127, -64, 1], 1e-6, Bias::Float(vec![0.0]));
        let integers = weak.quantised(X, None, &Activation::NONE, Y).unwrap();
        assert_eq!(integers.requantise.scale, [MIN_SCALE]);
        let ratio = f64::from(X.scale) * 1e-6 / (f64::from(MIN_SCALE) * f64::from(Y.scale));
        let wanted = [127.0, -64.0, 1.0].map(|w: f64| (w * ratio).round_ties_even() as i8);
        assert_eq!(integers.weight, wanted);
        let strong = filters(vec![127, -64, 1], 1e6, Bias::Float(vec![0.0]));
        assert!(strong.quantised(X, None, &Activation::NONE, Y).is_none());
    }
}
