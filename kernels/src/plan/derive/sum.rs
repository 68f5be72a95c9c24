//! Sums of tensors and of gated tensors.

use super::Activation;
use crate::plan::SumStep;
use network::quant::{self, QuantParams, SPARE};

/// Fractional bits of a sum without products: its scale is then 2^-15.
const FINEST: u8 = 15;

/// Sum of `terms`, and of so many `products` of x and its gate.
///
/// Products have the unit `x.scale * gate.scale`. Terms beside them get a unit so fine that all
/// their rounded multipliers together are wrong by a quarter of a step of the result at most, or a
/// step where 31 bits do not suffice for that; terms alone get the finest unit that 31 bits allow.
pub(in crate::plan) fn sum(
    products: Option<(usize, QuantParams, QuantParams)>,
    terms: &[QuantParams],
    channels: usize,
    activation: &Activation,
    out: QuantParams,
) -> Option<SumStep> {
    let output = f64::from(out.scale);
    let (unit, bound) = match products {
        Some((count, x, gate)) => (
            f64::from(x.scale) * f64::from(gate.scale),
            (x.max_steps() * gate.max_steps()).saturating_mul(i64::try_from(count).ok()?),
        ),
        None => (output, 0),
    };
    let wanted = quant::shift_for(unit / output, terms.len())?;
    let finest = match products {
        Some(_) => wanted,
        None => wanted.max(FINEST),
    };
    (wanted.saturating_sub(SPARE)..=finest)
        .rev()
        .find_map(|shift| {
            let fine = unit / f64::from(1u32 << shift);
            let mut bound = bound.checked_mul(1 << shift)?;
            let mut multipliers = Vec::with_capacity(terms.len());
            for params in terms {
                let multiplier = (f64::from(params.scale) / fine).round_ties_even();
                if multiplier >= f64::from(i32::MAX) {
                    return None;
                }
                let multiplier = multiplier as i32;
                bound = bound.saturating_add(i64::from(multiplier) * params.max_steps());
                multipliers.push(multiplier);
            }
            if !quant::fits(bound) {
                return None;
            }
            let scale = vec![fine / output; channels];
            Some(SumStep {
                products: products.map_or(0, |(count, ..)| count),
                shift: if products.is_some() { shift } else { 0 },
                multipliers,
                requantise: activation.requantise(out, &scale, &vec![bound; channels])?,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn params(scale: f32, zero_point: u8) -> QuantParams {
        QuantParams { scale, zero_point }
    }

    /// Shift, multipliers and scale.
    fn derive(
        products: Option<(usize, QuantParams, QuantParams)>,
        scales: &[f32],
        out: f32,
    ) -> Option<(u8, Vec<i32>, f32)> {
        let terms: Vec<_> = scales.iter().map(|&scale| params(scale, 0)).collect();
        let sum = sum(products, &terms, 1, &Activation::NONE, params(out, 0))?;
        Some((sum.shift, sum.multipliers, sum.requantise.scale[0]))
    }

    #[test]
    fn terms_are_weighed_as_finely_as_there_is_room() {
        struct Case(
            &'static str,
            &'static [f32],
            f32,
            Option<(u8, Vec<i32>, f32)>,
        );
        let two = |bits: i32| 0.5f32.powi(bits);
        let cases = [
            Case(
                "two",
                &[0.5, 0.25],
                1.0,
                Some((0, vec![16384, 8192], two(15))),
            ),
            Case("a third", &[1.0], 3.0, Some((0, vec![10923], two(15)))),
            Case("large", &[512.0], 1.0, Some((0, vec![1 << 23], two(14)))),
            Case("too large", &[131_072.0], 1.0, None),
        ];
        for Case(name, scales, out, wanted) in cases {
            assert_eq!(derive(None, scales, out), wanted, "{name}");
        }
    }

    #[test]
    fn products_are_shifted_for_what_is_added() {
        let unit = |x: f32| Some((1, params(x, 0), params(1.0 / 256.0, 0)));
        struct Case(
            &'static str,
            f32,
            &'static [f32],
            Option<(u8, Vec<i32>, f32)>,
        );
        let cases = [
            Case("alone", 1.0, &[], Some((0, vec![], 1.0 / 256.0))),
            Case("a residual", 1.0, &[1.0], Some((1, vec![512], 1.0 / 512.0))),
            Case(
                "two",
                1.0,
                &[1.0, 0.5],
                Some((2, vec![1024, 512], 1.0 / 1024.0)),
            ),
            Case(
                "finer products",
                1.0 / 64.0,
                &[1.0],
                Some((0, vec![16384], 0.5f32.powi(14))),
            ),
            Case("too fine", 1.0 / 512.0, &[], None),
        ];
        for Case(name, x, scales, wanted) in cases {
            assert_eq!(derive(unit(x), scales, 1.0), wanted, "{name}");
        }
        // 65 * 255 * 255 << 9 is above 2^31: a bit less, with twice the error.
        let many = Some((65, params(1.0, 0), params(1.0, 0)));
        assert_eq!(derive(many, &[1.0], 1.0), Some((8, vec![256], 1.0 / 256.0)));
    }
}
