//! Sums of images and of gated images.

use super::Activation;
use crate::plan::SlotId;
use crate::plan::{Requantise, Term};
use crate::quant::{self, Mixing, QParams};

/// The integers of a sum.
pub(in crate::plan) struct Integers {
    pub(in crate::plan) shift: u8,
    pub(in crate::plan) terms: Vec<Term>,
    pub(in crate::plan) requantise: Requantise,
}

/// Sum of `terms`, and of `products` many products of a code of x and one of a gate.
///
/// Products alone have the unit `x.scale * gate.scale`. Terms beside them, or alone, get a unit so
/// fine that all their rounded multipliers together are wrong by a quarter of a step of the result
/// at most; with terms alone by less: the scale is then 2^-15 unless a multiplier is too large for
/// it.
pub(in crate::plan) fn sum(
    products: Option<(usize, QParams, QParams)>,
    terms: &[(SlotId, QParams)],
    channels: usize,
    activation: &Activation,
    out: QParams,
) -> Option<Integers> {
    let output = f64::from(out.scale);
    let (unit, bound, finest) = match products {
        Some((count, x, gate)) => {
            let unit = f64::from(x.scale) * f64::from(gate.scale);
            let bound = (x.reach() * gate.reach()).saturating_mul(i64::try_from(count).ok()?);
            // The smallest shift with a scale of at most 1 / 510 for each term, or below 1.
            let wanted = if terms.is_empty() {
                f64::from(quant::MAX_SCALE)
            } else {
                1.0 / (510.0 * terms.len() as f64)
            };
            let finest = (0..=30).find(|&k| unit / output <= wanted * f64::from(1u32 << k))?;
            (unit, bound, finest)
        }
        None => (output, 0, 15),
    };
    // Each bit less than the finest doubles the error, but leaves room for the sum.
    (0..=finest).rev().find_map(|shift| {
        let fine = unit / f64::from(1u32 << shift);
        let multipliers = terms.iter().map(|&(input, params)| {
            let Mixing { multiplier, .. } = Mixing {
                shift,
                multiplier: whole(f64::from(params.scale) / fine)?,
            };
            Some((
                Term { input, multiplier },
                i64::from(multiplier) * params.reach(),
            ))
        });
        let terms: Vec<(Term, i64)> = multipliers.collect::<Option<_>>()?;
        let bound = terms.iter().fold(bound << shift, |bound, (_, reach)| {
            bound.saturating_add(*reach)
        });
        if !quant::fits(bound) {
            return None;
        }
        let scale = fine / output;
        Some(Integers {
            shift: if products.is_some() { shift } else { 0 },
            terms: terms.into_iter().map(|(term, _)| term).collect(),
            requantise: activation.requantise(
                out,
                &vec![scale; channels],
                &vec![bound; channels],
            )?,
        })
    })
}

/// The nearest integer, if it is one of 31 bits.
fn whole(x: f64) -> Option<i32> {
    let x = x.round_ties_even();
    (x < f64::from(i32::MAX)).then_some(x as i32)
}
