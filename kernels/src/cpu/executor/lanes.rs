//! What becomes of accumulators: [`LANES`] channels at a time.

use super::tile::LANES;
use crate::plan::{Conv, ConvOutput};
use crate::quant::{Clamp, requantise};

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
                ConvOutput::Codes(requantise) => (&requantise.scale, requantise.negative.as_ref()),
                ConvOutput::Real { scale } => (scale, None),
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

/// Codes, behind a residual or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToCodes<const RESIDUAL: bool> {
    pub(super) clamp: Clamp,
    /// The code of 0 of the residual.
    pub(super) zero: u8,
}

/// Real numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToReal<const RESIDUAL: bool> {
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

impl<const RESIDUAL: bool> Finish for ToCodes<RESIDUAL> {
    type Out = u8;

    #[inline(always)]
    fn finish(self, sums: &[i32; LANES], lanes: &Lanes, residual: &[u8; LANES]) -> [u8; LANES] {
        let mut out = [0; LANES];
        for i in 0..LANES {
            let acc = accumulator::<RESIDUAL>(sums[i], lanes, i, residual[i], self.zero);
            let scale = if acc < 0 {
                lanes.negative[i]
            } else {
                lanes.scale[i]
            };
            out[i] = requantise(acc, scale, &self.clamp);
        }
        out
    }
}

impl<const RESIDUAL: bool> Finish for ToReal<RESIDUAL> {
    type Out = f32;

    #[inline(always)]
    fn finish(self, sums: &[i32; LANES], lanes: &Lanes, residual: &[u8; LANES]) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        for i in 0..LANES {
            let acc = accumulator::<RESIDUAL>(sums[i], lanes, i, residual[i], self.zero);
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
