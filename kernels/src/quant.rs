//! Numbers as bytes: what a code means, and the one rounding rule.
//!
//! A quantised value is a code `q`, 0 to 255, that stands for the real number `(q - zero_point) *
//! scale`. Sums of products of codes are integers, and only one operation leaves them:
//! [`requantise`], from an accumulator back to a code. Every executor, on every processor, uses
//! these integers and this rule, so their results are compared with `==`.

/// What the codes of one tensor mean: code `q` is the number `(q - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QParams {
    /// Distance of two neighbouring codes; positive and a normal number.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: u8,
}

/// Where an accumulator may end: the codes `lo..=hi`, counted from the code of 0.
///
/// A ReLU is `lo = zero_point`; `ReLU6` is `hi = code of 6` besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clamp {
    /// The code of 0.
    pub zero_point: u8,
    /// The lowest code.
    pub lo: u8,
    /// The highest code, at least `lo`.
    pub hi: u8,
}

/// The one rounding rule: `zero_point + i32(clamp(round_half_even(f32(acc) * scale), lo -
/// zero_point, hi - zero_point))`.
///
/// It is one f32 multiplication, which no compiler can contract with anything, and it is clamped in
/// f32, so no conversion overflows. From `|acc| = 2^24` on, `f32(acc)` rounds, in a direction that
/// a GPU may choose; with `scale >= 2^-15` the product is then at least 2^9 and the clamp hides it.
#[inline]
#[must_use]
pub fn requantise(acc: i32, scale: f32, out: &Clamp) -> u8 {
    let zero_point = f32::from(out.zero_point);
    let [lo, hi] = [out.lo, out.hi].map(|code| f32::from(code) - zero_point);
    let steps = (acc as f32 * scale).round_ties_even().clamp(lo, hi);
    (steps as i32 + i32::from(out.zero_point)) as u8
}
