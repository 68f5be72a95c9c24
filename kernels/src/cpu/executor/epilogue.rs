//! The epilogue of the integer GEMM: bias, residual, activation and requantisation of [`NR`] channels at a
//! time.

use super::tile::NR;
use crate::plan::{ConvOutput, ConvStep};
use network::quant::Clamp;

/// [`requantise`](network::quant::requantise) in operations that vectorise: 16 values in 1.3 to 2 ns
/// instead of 25, because neither a saturating conversion nor a rounding instruction is needed.
///
/// A product is clamped before it is rounded; since the bounds are integers, the result is the same. It is
/// then within 255 of 0, so adding 1.5 * 2^23 rounds it to an integer, half to even, in the low bits of the
/// sum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requantiser {
    lo: f32,
    hi: f32,
    base: i32,
}

const MAGIC: f32 = 12_582_912.0;

impl Requantiser {
    pub(super) fn new(clamp: &Clamp) -> Self {
        let zero_point = f32::from(clamp.zero_point);
        Self {
            lo: f32::from(clamp.lo) - zero_point,
            hi: f32::from(clamp.hi) - zero_point,
            base: i32::from(clamp.zero_point).wrapping_sub(MAGIC.to_bits() as i32),
        }
    }

    /// The quantised value of an accumulator times its scale.
    #[inline(always)]
    pub(super) fn quantised(self, product: f32) -> u8 {
        let steps = if product < self.lo { self.lo } else { product };
        let steps = if steps > self.hi { self.hi } else { steps };
        ((steps + MAGIC).to_bits() as i32).wrapping_add(self.base) as u8
    }
}

/// Parameters of the epilogue for [`NR`] output channels; zeros beyond the last channel.
#[derive(Debug, Clone, Default)]
pub(super) struct EpilogueParams {
    bias: [i32; NR],
    shift: [u32; NR],
    multiplier: [i32; NR],
    scale: [f32; NR],
    /// In place of `scale` below zero.
    negative: [f32; NR],
}

impl EpilogueParams {
    /// Those of `count` channels from `first` on. `zero` is subtracted from each bias: what the zero points
    /// of x add to the accumulator.
    pub(super) fn new(
        conv: &ConvStep,
        first: usize,
        count: usize,
        zero: impl Fn(usize) -> i32,
    ) -> Self {
        let mut params = Self::default();
        for i in 0..count {
            let o = first + i;
            params.bias[i] = conv.bias[o].wrapping_sub(zero(o));
            if let Some(residual) = &conv.residual {
                params.shift[i] = residual.shift[o].into();
                params.multiplier[i] = residual.multiplier[o];
            }
            let (scale, negative) = match &conv.output {
                ConvOutput::Quantised(requantise) => {
                    (&requantise.scale, requantise.negative.as_ref())
                }
                ConvOutput::Float { scale } => (scale, None),
            };
            params.scale[i] = scale[o];
            params.negative[i] = negative.map_or(scale[o], |negative| negative[o]);
        }
        params
    }
}

/// From the sums of a micro-tile to the elements that a convolution writes.
pub(super) trait Epilogue: Copy + Sync {
    /// The element that it writes.
    type Out: Copy + Default + Send;

    /// `residual` are the values of the residual at the same place.
    fn apply(
        self,
        sums: &[i32; NR],
        params: &EpilogueParams,
        residual: &[u8; NR],
    ) -> [Self::Out; NR];
}

/// To quantised values, with a residual or not, with another scale below zero or not. Without a
/// residual its multiplier is 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToQuantised<const RESIDUAL: bool, const LEAKY: bool> {
    pub(super) requantiser: Requantiser,
    /// The zero point of the residual.
    pub(super) zero: u8,
}

/// To f32, with a residual or not: without one its multiplier is 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToFloat {
    /// As in [`ToQuantised`].
    pub(super) zero: u8,
}

/// The final accumulator.
#[inline(always)]
fn accumulator<const RESIDUAL: bool>(
    sum: i32,
    params: &EpilogueParams,
    channel: usize,
    residual: u8,
    zero: u8,
) -> i32 {
    let acc = sum.wrapping_add(params.bias[channel]);
    if RESIDUAL {
        let steps = i32::from(residual) - i32::from(zero);
        let added = params.multiplier[channel].wrapping_mul(steps);
        acc.wrapping_shl(params.shift[channel]).wrapping_add(added)
    } else {
        acc
    }
}

impl<const RESIDUAL: bool, const LEAKY: bool> Epilogue for ToQuantised<RESIDUAL, LEAKY> {
    type Out = u8;

    #[inline(always)]
    fn apply(self, sums: &[i32; NR], params: &EpilogueParams, residual: &[u8; NR]) -> [u8; NR] {
        let mut out = [0; NR];
        for i in 0..NR {
            let acc = accumulator::<RESIDUAL>(sums[i], params, i, residual[i], self.zero);
            let mut product = acc as f32 * params.scale[i];
            if LEAKY {
                // Both are computed: choosing the scale would make the compiler gather it from memory.
                let negative = acc as f32 * params.negative[i];
                product = if acc < 0 { negative } else { product };
            }
            out[i] = self.requantiser.quantised(product);
        }
        out
    }
}

impl Epilogue for ToFloat {
    type Out = f32;

    #[inline(always)]
    fn apply(self, sums: &[i32; NR], params: &EpilogueParams, residual: &[u8; NR]) -> [f32; NR] {
        let mut out = [0.0; NR];
        for i in 0..NR {
            let acc = accumulator::<true>(sums[i], params, i, residual[i], self.zero);
            out[i] = acc as f32 * params.scale[i];
        }
        out
    }
}

/// Up to [`NR`] values, followed by zeros.
#[inline(always)]
pub(super) fn load(values: &[u8]) -> [u8; NR] {
    match values.first_chunk() {
        Some(values) => *values,
        None => {
            let mut all = [0; NR];
            all[..values.len()].copy_from_slice(values);
            all
        }
    }
}

/// Writes as many of `values` as `out` is long.
#[inline(always)]
pub(super) fn store<T: Copy>(values: &[T; NR], out: &mut [T]) {
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
    fn it_requantises_as_the_reference() {
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
            let requantiser = Requantiser::new(&clamp);
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
                        requantiser.quantised(acc as f32 * scale),
                        wanted,
                        "{acc} {scale} {clamp:?}"
                    );
                }
            }
        }
    }
}
