//! What becomes of accumulators: [`LANES`] channels at a time.

use super::tile::LANES;
use crate::plan::{Conv, ConvOutput};
use network::quant::Clamp;

/// [`requantise`](network::quant::requantise) in operations that vectors have: 16 codes in 1.3 to 2 ns
/// against 25, since neither a conversion that saturates nor a rounding instruction is needed.
///
/// A product is clamped before it is rounded, which is the same, for the bounds are integers. It is
/// then within 255 of 0, so that the sum with 1.5 * 2^23 is rounded to an integer, half to even, and
/// the integer stands in its low bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    lo: f32,
    hi: f32,
    base: i32,
}

const MAGIC: f32 = 12_582_912.0;

impl Rule {
    pub(super) fn new(clamp: &Clamp) -> Self {
        let zero_point = f32::from(clamp.zero_point);
        Self {
            lo: f32::from(clamp.lo) - zero_point,
            hi: f32::from(clamp.hi) - zero_point,
            base: i32::from(clamp.zero_point).wrapping_sub(MAGIC.to_bits() as i32),
        }
    }

    /// The code of an accumulator times its scale.
    #[inline(always)]
    pub(super) fn code(self, product: f32) -> u8 {
        let steps = if product < self.lo { self.lo } else { product };
        let steps = if steps > self.hi { self.hi } else { steps };
        ((steps + MAGIC).to_bits() as i32).wrapping_add(self.base) as u8
    }
}

/// What is known of [`LANES`] outputs of a convolution; those beyond the last are zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct Lanes {
    bias: [i32; LANES],
    shift: [u32; LANES],
    multiplier: [i32; LANES],
    scale: [f32; LANES],
    /// In place of `scale` below zero.
    negative: [f32; LANES],
}

impl Lanes {
    /// Of the outputs from `first` on, `count` of them. `zero` is taken from each bias: what the codes
    /// of 0 add to its accumulator.
    pub(super) fn new(
        conv: &Conv,
        first: usize,
        count: usize,
        zero: impl Fn(usize) -> i32,
    ) -> Self {
        let mut lanes = Self::default();
        for lane in 0..count {
            let o = first + lane;
            lanes.bias[lane] = conv.bias[o].wrapping_sub(zero(o));
            if let Some(residual) = &conv.residual {
                lanes.shift[lane] = residual.shift[o].into();
                lanes.multiplier[lane] = residual.multiplier[o];
            }
            let (scale, negative) = match &conv.output {
                ConvOutput::Quantised(requantise) => {
                    (&requantise.scale, requantise.negative.as_ref())
                }
                ConvOutput::Float { scale } => (scale, None),
            };
            lanes.scale[lane] = scale[o];
            lanes.negative[lane] = negative.map_or(scale[o], |negative| negative[o]);
        }
        lanes
    }
}

/// The end of a convolution.
pub(super) trait Finish: Copy + Sync {
    /// What it writes.
    type Out: Copy + Default + Send;

    /// From sums and the codes of the residual at the same place.
    fn finish(
        self,
        sums: &[i32; LANES],
        lanes: &Lanes,
        residual: &[u8; LANES],
    ) -> [Self::Out; LANES];
}

/// Codes, behind a residual or not, with a scale of its own below zero or not. Where there is no
/// residual its multiplier is 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToCodes<const RESIDUAL: bool, const LEAKY: bool> {
    pub(super) rule: Rule,
    /// The code of 0 of the residual.
    pub(super) zero: u8,
}

/// Real numbers, behind a residual or not: without one its multiplier is 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToReal {
    /// As in [`ToCodes`].
    pub(super) zero: u8,
}

/// The final accumulator.
#[inline(always)]
fn accumulator<const RESIDUAL: bool>(
    sum: i32,
    lanes: &Lanes,
    lane: usize,
    residual: u8,
    zero: u8,
) -> i32 {
    let acc = sum.wrapping_add(lanes.bias[lane]);
    if RESIDUAL {
        let steps = i32::from(residual) - i32::from(zero);
        let added = lanes.multiplier[lane].wrapping_mul(steps);
        acc.wrapping_shl(lanes.shift[lane]).wrapping_add(added)
    } else {
        acc
    }
}

impl<const RESIDUAL: bool, const LEAKY: bool> Finish for ToCodes<RESIDUAL, LEAKY> {
    type Out = u8;

    #[inline(always)]
    fn finish(self, sums: &[i32; LANES], lanes: &Lanes, residual: &[u8; LANES]) -> [u8; LANES] {
        let mut out = [0; LANES];
        for i in 0..LANES {
            let acc = accumulator::<RESIDUAL>(sums[i], lanes, i, residual[i], self.zero);
            let mut product = acc as f32 * lanes.scale[i];
            if LEAKY {
                // Both are computed: to choose the scale, the compiler would gather it from memory.
                let negative = acc as f32 * lanes.negative[i];
                product = if acc < 0 { negative } else { product };
            }
            out[i] = self.rule.code(product);
        }
        out
    }
}

impl Finish for ToReal {
    type Out = f32;

    #[inline(always)]
    fn finish(self, sums: &[i32; LANES], lanes: &Lanes, residual: &[u8; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for i in 0..LANES {
            let acc = accumulator::<true>(sums[i], lanes, i, residual[i], self.zero);
            out[i] = acc as f32 * lanes.scale[i];
        }
        out
    }
}

/// Up to [`LANES`] codes; zeros behind them.
#[inline(always)]
pub(super) fn codes(codes: &[u8]) -> [u8; LANES] {
    match codes.first_chunk() {
        Some(codes) => *codes,
        None => {
            let mut all = [0; LANES];
            all[..codes.len()].copy_from_slice(codes);
            all
        }
    }
}

/// Writes as many of `values` as there is room for.
#[inline(always)]
pub(super) fn store<T: Copy>(values: &[T; LANES], out: &mut [T]) {
    match out.first_chunk_mut() {
        Some(out) => *out = *values,
        None => {
            let room = out.len();
            out.copy_from_slice(&values[..room]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::quant::requantise;

    #[test]
    fn codes_are_those_of_the_one_rule() {
        let clamps = [
            (0, 0, 255),
            (128, 0, 255),
            (7, 7, 200),
            (255, 0, 255),
            (9, 30, 30),
        ];
        let scales = [
            1.0 / 32768.0,
            0.5,
            0.017,
            1.0 - f32::EPSILON / 2.0,
            -0.25,
            3.5,
        ];
        for (zero_point, lo, hi) in clamps {
            let clamp = Clamp { zero_point, lo, hi };
            let rule = Rule::new(&clamp);
            for scale in scales {
                let ends = [
                    i32::MIN,
                    i32::MIN + 1,
                    -(1 << 24),
                    1 << 24,
                    i32::MAX - 1,
                    i32::MAX,
                ];
                for acc in (-3000..3000).chain(ends) {
                    let wanted = requantise(acc, scale, &clamp);
                    assert_eq!(
                        rule.code(acc as f32 * scale),
                        wanted,
                        "{acc} {scale} {clamp:?}"
                    );
                }
            }
        }
    }
}
