//! Rows as `i8` values with a scale, and the bound on the error of that.
//!
//! A row x is x = x̂ + eₓ with x̂ = s·c, s = max|x| / 127 and c = round(x / s) in -127..=127; a query
//! likewise, q = q̂ + e. By Cauchy-Schwarz ⟨q, x⟩ = ⟨q̂, x̂⟩ + ⟨q̂, eₓ⟩ + ⟨e, x⟩ ≤ ⟨q̂, x̂⟩ + |q̂|·|eₓ| + |e|·|x|.
//! The first term is an exact integer times two scales; |eₓ|, |q̂| and |e| are measured, and |x| ≤ 1 +
//! [`UNIT_TOLERANCE`] was checked. [`SLACK`] covers rounding in floating point.

use std::ops::Range;

use super::{MAX_DIM, UNIT_TOLERANCE};

/// One cache line of quantised values. A row is padded with zeros to whole lines, so kernels load
/// aligned and need no tail.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct CacheLine(pub(super) [i8; LINE]);

/// Values in a [`CacheLine`].
pub(super) const LINE: usize = 64;

/// Bound of all rounding. The terms of the bound are at most 1.4² (|e| ≤ s/2·√dim = 0.36 at 8192
/// dimensions, and |q̂| ≤ |q| + |e|); six f32 operations on values below 4 err by at most 6 · 4 · 2⁻²⁴ =
/// 1.5e-6, rounding the similarity adds 6e-8, the f64 sums less than 1e-11.
const SLACK: f64 = 4e-6;

/// Factor that rounds a measured length up: more than the 2⁻²⁴ lost by storing it as f32.
const UP: f64 = 1.0 + 1e-6;

/// All rows, quantised.
#[derive(Debug, Clone)]
pub(super) struct QuantisedRows {
    /// Lines of one row.
    stride: usize,
    lines: Vec<CacheLine>,
    scales: Vec<RowScale>,
}

/// Scale and error of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowScale {
    /// Value of one step.
    scale: f32,
    /// At least the length of the error, |eₓ|.
    residual: f32,
}

/// A query, quantised, and the parts of its bounds that all rows share.
#[derive(Debug)]
pub(super) struct QuantisedQuery {
    lines: [CacheLine; MAX_DIM / LINE],
    used: usize,
    scale: f32,
    /// At least |q̂|.
    length: f32,
    /// At least |e|·|x|, and [`SLACK`].
    margin: f32,
}

impl QuantisedRows {
    pub(super) fn new(dim: usize) -> Self {
        Self {
            stride: dim.div_ceil(LINE),
            lines: Vec::new(),
            scales: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, row: &[f32]) {
        let first = self.lines.len();
        self.lines.resize(first + self.stride, CacheLine([0; LINE]));
        let (scale, _) = quantise(row, &mut self.lines[first..]);
        self.scales.push(scale);
    }

    /// Removes a row and puts the last one in its place.
    pub(super) fn swap_remove(&mut self, row: usize) {
        self.scales.swap_remove(row);
        let last = self.scales.len() * self.stride;
        self.lines.copy_within(last.., row * self.stride);
        self.lines.truncate(last);
    }

    /// The values of `rows`, one row after the other.
    pub(super) fn lines(&self, rows: Range<usize>) -> &[CacheLine] {
        &self.lines[rows.start * self.stride..rows.end * self.stride]
    }

    pub(super) fn scales(&self, rows: Range<usize>) -> &[RowScale] {
        &self.scales[rows]
    }
}

impl QuantisedQuery {
    /// Quantises a checked query.
    pub(super) fn new(query: &[f32]) -> Self {
        let mut lines = [CacheLine([0; LINE]); MAX_DIM / LINE];
        let used = query.len().div_ceil(LINE);
        let (scale, length) = quantise(query, &mut lines[..used]);
        let margin = f64::from(scale.residual) * (1.0 + UNIT_TOLERANCE) + SLACK;
        Self {
            lines,
            used,
            scale: scale.scale,
            length,
            margin: (margin * UP) as f32,
        }
    }

    pub(super) fn lines(&self) -> &[CacheLine] {
        &self.lines[..self.used]
    }

    /// Upper bound of the similarity of the query with a row, from their integer product.
    #[inline]
    pub(super) fn ceiling(&self, dot: i32, row: &RowScale) -> f32 {
        dot as f32 * (self.scale * row.scale) + (self.length * row.residual + self.margin)
    }
}

/// Quantises `row` (finite, of unit length, no longer than `lines`); returns its scale, and at least the
/// length of x̂.
fn quantise(row: &[f32], lines: &mut [CacheLine]) -> (RowScale, f32) {
    // Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, in the low bits: unlike `round` it
    // vectorises on every x86-64.
    const ROUND: f32 = 12_582_912.0;
    let largest = row.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    // A unit vector of up to 8192 dimensions has an element of at least 0.011, so the scale is a normal
    // number and |x / scale| rounds to at most 127.
    let scale = largest / 127.0;
    let mut lost = [0.0f64; 8];
    let mut squares = 0;
    for (line, elements) in lines.iter_mut().zip(row.chunks(LINE)) {
        for (value, x) in line.0.iter_mut().zip(elements) {
            *value = (x / scale + ROUND).to_bits() as i8;
        }
        for (values, elements) in line.0.chunks_exact(8).zip(elements.chunks(8)) {
            for ((lost, &value), &x) in lost.iter_mut().zip(values).zip(elements) {
                let residual = f64::from(x) - f64::from(scale) * f64::from(value);
                *lost += residual * residual;
            }
        }
        squares += line
            .0
            .iter()
            .map(|&c| i32::from(c) * i32::from(c))
            .sum::<i32>();
    }
    let residual = lost.iter().sum::<f64>().sqrt();
    let approximated = f64::from(scale) * f64::from(squares).sqrt();
    let scale = RowScale {
        scale,
        residual: (residual * UP) as f32,
    };
    (scale, (approximated * UP) as f32)
}
