//! Quantised values, their parameters, and the one rounding rule.
//!
//! A quantised value `q`, 0 to 255, stands for `(q - zero_point) * scale`. Sums of products of quantised values are
//! integers; [`requantise`] alone converts an accumulator back. Every executor uses these integers and this rule,
//! so results are compared with `==`. The parameters are computed in f64 by the plans of crate `kernels`:
//! [`conversion`] for scales, [`residual`] for what is added to an accumulator, [`fits`] for bounds.

/// The smallest scale of a [`requantise`] whose accumulator may exceed 2^24: 2^-15.
pub const MIN_SCALE: f32 = 1.0 / 32768.0;

/// The largest scale of a [`requantise`]. It is below 1 unless the result of a layer is almost constant,
/// because accumulators have finer steps than quantised values.
pub const MAX_SCALE: f32 = 32768.0;

/// Integers below this are exact in f32.
pub const EXACT: i64 = 1 << 24;

/// Quantisation parameters of a tensor: `q` stands for `(q - zero_point) * scale`.
///
/// ```
/// use network::quant::QuantParams;
///
/// let params = QuantParams { scale: 0.02, zero_point: 128 };
/// assert_eq!(params.quantise(0.5), 153);
/// assert_eq!(params.dequantise(153), 0.5);
/// assert_eq!(params.quantise(9.0), 255); // saturates
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// Distance of two neighbouring values; positive and a normal number.
    pub scale: f32,
    /// The quantised value of 0.
    pub zero_point: u8,
}

/// The range `lo..=hi` of a requantised value.
///
/// A ReLU is `lo = zero_point`; for `ReLU6`, `hi` is the quantised value of 6 as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clamp {
    /// The quantised value of 0.
    pub zero_point: u8,
    /// The lowest value.
    pub lo: u8,
    /// The highest value, at least `lo`.
    pub hi: u8,
}

/// The one rounding rule: `zero_point + i32(clamp(round_half_even(f32(acc) * scale), lo -
/// zero_point, hi - zero_point))`.
///
/// It is one f32 multiplication, which no compiler can fuse with another operation, and it is clamped in
/// f32, so no conversion overflows. From `|acc| = 2^24` on, `f32(acc)` rounds, on GPUs in an unspecified
/// direction; with `scale >= 2^-15` the product is then at least 2^9, which the clamp cuts off.
#[inline]
#[must_use]
pub fn requantise(acc: i32, scale: f32, out: &Clamp) -> u8 {
    let zero_point = f32::from(out.zero_point);
    let [lo, hi] = [out.lo, out.hi].map(|bound| f32::from(bound) - zero_point);
    let steps = (acc as f32 * scale).round_ties_even().clamp(lo, hi);
    (steps as i32 + i32::from(out.zero_point)) as u8
}

impl QuantParams {
    /// `zero_point + clamp(round_half_even(x / scale))` in f32, as ONNX's `QuantizeLinear`. A NaN becomes the
    /// zero point.
    #[inline]
    #[must_use]
    pub fn quantise(self, x: f32) -> u8 {
        let [lo, hi] = [0.0, 255.0].map(|bound| bound - f32::from(self.zero_point));
        // Casting a NaN gives 0.
        let steps = (x / self.scale).round_ties_even().clamp(lo, hi) as i32;
        (steps + i32::from(self.zero_point)) as u8
    }

    /// `f32(q - zero_point) * scale`, as ONNX's `DequantizeLinear`.
    #[inline]
    #[must_use]
    pub fn dequantise(self, q: u8) -> f32 {
        (f32::from(q) - f32::from(self.zero_point)) * self.scale
    }

    /// [`QuantParams::quantise`] in f64, for tables and bounds.
    #[must_use]
    pub fn quantise_f64(self, x: f64) -> u8 {
        let [lo, hi] = [0.0, 255.0].map(|bound| bound - f64::from(self.zero_point));
        let steps = (x / f64::from(self.scale)).round_ties_even().clamp(lo, hi) as i32;
        (steps + i32::from(self.zero_point)) as u8
    }

    /// [`QuantParams::dequantise`] in f64, where it is exact.
    #[must_use]
    pub fn dequantise_f64(self, q: u8) -> f64 {
        (f64::from(q) - f64::from(self.zero_point)) * f64::from(self.scale)
    }

    /// The quantised values of `lo..=hi`; both may be infinite.
    #[must_use]
    pub fn clamp(self, lo: f64, hi: f64) -> Clamp {
        let hi = self.quantise_f64(hi);
        Clamp {
            zero_point: self.zero_point,
            // Where bounds cross, the upper one wins, as in ONNX's `Clip`.
            lo: self.quantise_f64(lo).min(hi),
            hi,
        }
    }

    /// The largest `|q - zero_point|`.
    #[must_use]
    pub fn max_steps(self) -> i64 {
        i64::from(self.zero_point.max(255 - self.zero_point))
    }
}

/// `scale` for a [`requantise`], if it is in the portable range: 2^-15 to 2^15.
#[must_use]
pub fn conversion(scale: f64) -> Option<f32> {
    let scale = scale as f32;
    (MIN_SCALE..=MAX_SCALE).contains(&scale).then_some(scale)
}

/// Whether an accumulator of magnitude up to `bound` fits an i32.
#[must_use]
pub fn fits(bound: i64) -> bool {
    bound < 1 << 31
}

/// How quantised values are added to an accumulator of another unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixing {
    /// How far the accumulator is shifted left first.
    pub shift: u8,
    /// Units of the shifted accumulator for one step of the value.
    pub multiplier: i32,
}

/// The most bits by which a shift may be reduced where 31 bits do not suffice.
pub const SPARE: u8 = 2;

/// How far an accumulator whose unit is `unit` steps of the result is shifted left, so that `terms`
/// rounded multipliers together are wrong by a quarter of a step at most.
#[must_use]
pub fn shift_for(unit: f64, terms: usize) -> Option<u8> {
    let error = 510.0 * terms as f64 * unit;
    (0..=30).find(|&k| error <= f64::from(1u32 << k))
}

/// How a tensor with the parameters `residual` is added to an accumulator of magnitude up to `bound`, whose
/// unit is `unit` and which is requantised with the scale `output`.
///
/// The multiplier `residual / unit` is rounded to an integer, which is wrong by up to half a unit
/// for each of up to 255 steps of the image. The shift makes the unit so fine that this is at most
/// a quarter of a step of the result: the smallest `k` with `unit / (output * 2^k) <= 1 / 510`
/// ([`shift_for`]). Where that would leave 31 bits it is up to [`SPARE`] bits less, and the error a
/// step at most.
///
/// None if that leaves 31 bits too.
#[must_use]
pub fn residual(unit: f64, residual: QuantParams, output: f64, bound: i64) -> Option<Mixing> {
    let wanted = shift_for(unit / output, 1)?;
    (wanted.saturating_sub(SPARE)..=wanted)
        .rev()
        .find_map(|shift| {
            let factor = f64::from(1u32 << shift);
            let multiplier = (factor * f64::from(residual.scale) / unit).round_ties_even();
            // Saturates, and is then far outside of the bounds.
            let sum = (bound << shift)
                .saturating_add((multiplier as i64).saturating_mul(residual.max_steps()));
            let good = fits(bound) && fits(sum);
            good.then_some(Mixing {
                shift,
                multiplier: multiplier as i32,
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Clamp = Clamp {
        zero_point: 0,
        lo: 0,
        hi: 255,
    };

    /// The rule in exact arithmetic: `acc * numerator / 2^shift` for a scale of 24 bits.
    fn exact(acc: i64, scale: f32, out: &Clamp) -> u8 {
        let bits = scale.to_bits();
        let (mantissa, exponent) = (i128::from(bits & 0x7f_ffff | 0x80_0000), bits >> 23);
        let shift = 150 - exponent;
        let product = i128::from(acc) * mantissa;
        let (down, rest) = (product >> shift, product & ((1 << shift) - 1));
        let half = 1i128 << (shift - 1);
        let up = rest > half || (rest == half && down & 1 == 1);
        let steps = down + i128::from(up) + i128::from(out.zero_point);
        steps.clamp(out.lo.into(), out.hi.into()) as u8
    }

    #[test]
    fn half_goes_to_even_and_ends_are_kept() {
        struct Case(&'static str, i32, f32, Clamp, u8);
        let z = |zero_point, lo, hi| Clamp { zero_point, lo, hi };
        let cases = [
            Case("half down to even", 1, 0.5, WIDE, 0),
            Case("half up to even", 3, 0.5, WIDE, 2),
            Case("below zero, half", -1, 0.5, z(10, 0, 255), 10),
            Case("below zero, half up", -3, 0.5, z(10, 0, 255), 8),
            Case("zero point is added last", 3, 0.5, z(1, 0, 255), 3),
            Case("relu", -7, 0.5, z(10, 10, 255), 10),
            Case("relu6", 90, 0.5, z(10, 10, 40), 40),
            Case("top", i32::MAX, MAX_SCALE, WIDE, 255),
            Case("bottom", i32::MIN, MAX_SCALE, z(128, 0, 255), 0),
            Case("top, smallest scale", i32::MAX, MIN_SCALE, WIDE, 255),
            Case(
                "bottom, smallest scale",
                i32::MIN,
                MIN_SCALE,
                z(255, 0, 255),
                0,
            ),
            Case("2^24, smallest scale", 1 << 24, MIN_SCALE, WIDE, 255),
            Case("255.5 steps", 511, 0.5, WIDE, 255),
            Case("254.5 steps", 509, 0.5, WIDE, 254),
        ];
        for Case(name, acc, scale, out, wanted) in cases {
            assert_eq!(requantise(acc, scale, &out), wanted, "{name}");
        }
    }

    #[test]
    fn it_is_the_rounded_product_but_for_products_that_f32_rounds_onto_a_half() {
        let mut random = 1u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random >> 20
        };
        let mut differences = 0;
        for _ in 0..200_000 {
            let scale =
                MIN_SCALE * (1.0 + (next() % 32767) as f32) * (1.0 - (next() % 9) as f32 / 97.0);
            let acc = (next() % (1 << 20)) as i32 - (1 << 19);
            let (lo, hi) = ((next() % 200) as u8, 200 + (next() % 56) as u8);
            let out = Clamp {
                zero_point: (next() % 256) as u8,
                lo,
                hi,
            };
            let (found, wanted) = (requantise(acc, scale, &out), exact(acc.into(), scale, &out));
            assert!(found.abs_diff(wanted) <= 1);
            differences += u32::from(found != wanted);
        }
        // One f32 rounding, 2^-24 of at most 2^8 steps, onto a half.
        assert!(differences < 20, "{differences}");
    }

    #[test]
    fn quantising_a_dequantised_value_changes_nothing() {
        for params in [(0.02, 0), (1.5, 128), (0.003, 255)]
            .map(|(scale, zero_point)| QuantParams { scale, zero_point })
        {
            for q in 0..=255 {
                assert_eq!(params.quantise(params.dequantise(q)), q);
                assert_eq!(params.quantise_f64(params.dequantise_f64(q)), q);
            }
            assert_eq!(params.quantise(f32::NAN), params.zero_point);
            assert_eq!(params.quantise_f64(f64::NAN), params.zero_point);
            assert_eq!(params.quantise(f32::INFINITY), 255);
            assert_eq!(params.quantise_f64(f64::NEG_INFINITY), 0);
        }
    }

    #[test]
    fn a_residual_is_wrong_by_a_quarter_of_a_step_at_most() {
        let mut shifts = [0; 16];
        for i in 0..2000 {
            let unit = 1e-6 * 1.013f64.powi(i % 700);
            let (scale, output) = (0.02 + (i % 13) as f32 * 0.004, 0.03);
            let params = QuantParams {
                scale,
                zero_point: (i % 256) as u8,
            };
            let mixing = residual(unit, params, output, 1 << 16).unwrap();
            shifts[usize::from(mixing.shift)] += 1;
            let fine = unit / f64::from(1u32 << mixing.shift);
            let error = (f64::from(mixing.multiplier) * fine - f64::from(scale)).abs() * 255.0;
            assert!(error / output <= 0.25 + 1e-12, "{unit} {scale}");
            // And not finer than it must be.
            assert!(mixing.shift == 0 || fine * 2.0 / output > 1.0 / 510.0);
        }
        assert!(
            shifts.iter().filter(|&&count| count > 0).count() > 5,
            "{shifts:?}"
        );
    }

    #[test]
    fn a_shift_leaves_room_for_the_sum() {
        let params = QuantParams {
            scale: 0.02,
            zero_point: 0,
        };
        // Would be 6 with room for it; 5 fits but for the image.
        let tight = residual(0.002, params, 0.02, (1 << 26) - 1000).unwrap();
        assert_eq!(tight.shift, 4, "{tight:?}");
        assert_eq!(residual(0.002, params, 0.02, 1 << 20).unwrap().shift, 6);
        assert_eq!(residual(0.04, params, 0.02, (1 << 31) - 1), None, "no room");
        assert_eq!(
            residual(1e-12, params, 0.02, 10),
            None,
            "multiplier beyond 31 bits"
        );
    }
}
