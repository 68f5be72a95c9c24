//! Rows as s8 codes, and the bound on what the codes lose: f32 rows come in, codes in whole cache lines and one [`Fit`] per row go out.
//!
//! # The bound
//! A row x is written as x = x̂ + eₓ with x̂ = s·c, where s = max|x| / 127 and c = round(x / s) are the codes in -127..=127; a query likewise, q = q̂ + e. Then
//!
//! > ⟨q, x⟩ = ⟨q̂, x̂⟩ + ⟨q̂, eₓ⟩ + ⟨e, x⟩ ≤ ⟨q̂, x̂⟩ + |q̂|·|eₓ| + |e|·|x|
//!
//! by Cauchy-Schwarz. The first term is an exact integer times two scales. |eₓ| is measured when the row is inserted, |q̂| and |e| when the query arrives, and
//! |x| ≤ 1 + [`UNIT_TOLERANCE`] was checked. So a row costs its codes and two f32.
//!
//! [`SLACK`] covers that lengths and bound are computed in floating point, and that the similarity compared with it is rounded to f32.

use std::ops::Range;

use super::{MAX_DIM, UNIT_TOLERANCE};

/// One cache line of codes. A row is padded with zeros to whole lines, so kernels load aligned and need no tail.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [i8; LINE]);

/// Codes in a [`Line`].
pub(super) const LINE: usize = 64;

/// What all rounding together can amount to. The terms of the bound are at most 1.4² (|e| ≤ s/2·√dim = 0.36 at 8192 dimensions, and |q̂| ≤ |q| + |e|); six f32
/// operations on numbers below 4 err by at most 6 · 4 · 2⁻²⁴ = 1.5e-6, and rounding the similarity itself adds 6e-8. The f64 sums err by less than 1e-11.
const SLACK: f64 = 4e-6;

/// The factor by which a measured length is rounded up: more than the 2⁻²⁴ that storing it as f32 can take away.
const UP: f64 = 1.0 + 1e-6;

/// The codes of all rows.
#[derive(Debug, Clone)]
pub(super) struct Codes {
    /// Lines of one row.
    stride: usize,
    lines: Vec<Line>,
    fits: Vec<Fit>,
}

/// How the codes of a row relate to the row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// What one step of a code is worth.
    scale: f32,
    /// At least the length of row minus codes times scale.
    residual: f32,
}

/// The codes of a query, and what its bounds have in common.
#[derive(Debug)]
pub(super) struct QueryCodes {
    lines: [Line; MAX_DIM / LINE],
    used: usize,
    scale: f32,
    /// At least the length of codes times scale.
    length: f32,
    /// At least what the query's own rounding can do to a product with a row, and [`SLACK`].
    margin: f32,
}

impl Codes {
    pub(super) fn new(dim: usize) -> Self {
        Self {
            stride: dim.div_ceil(LINE),
            lines: Vec::new(),
            fits: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, row: &[f32]) {
        let first = self.lines.len();
        self.lines.resize(first + self.stride, Line([0; LINE]));
        let (fit, _) = encode(row, &mut self.lines[first..]);
        self.fits.push(fit);
    }

    /// Removes a row and puts the last one in its place.
    pub(super) fn swap_remove(&mut self, row: usize) {
        self.fits.swap_remove(row);
        let last = self.fits.len() * self.stride;
        self.lines.copy_within(last.., row * self.stride);
        self.lines.truncate(last);
    }

    /// The codes of `rows`, one row after the other.
    pub(super) fn lines(&self, rows: Range<usize>) -> &[Line] {
        &self.lines[rows.start * self.stride..rows.end * self.stride]
    }

    pub(super) fn fits(&self, rows: Range<usize>) -> &[Fit] {
        &self.fits[rows]
    }
}

impl QueryCodes {
    /// The codes of a checked query.
    pub(super) fn new(query: &[f32]) -> Self {
        let mut lines = [Line([0; LINE]); MAX_DIM / LINE];
        let used = query.len().div_ceil(LINE);
        let (fit, length) = encode(query, &mut lines[..used]);
        let margin = f64::from(fit.residual) * (1.0 + UNIT_TOLERANCE) + SLACK;
        Self {
            lines,
            used,
            scale: fit.scale,
            length,
            margin: (margin * UP) as f32,
        }
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines[..self.used]
    }

    /// A number that the similarity of the query with a row cannot exceed, from the integer product of their codes.
    #[inline]
    pub(super) fn ceiling(&self, dot: i32, fit: &Fit) -> f32 {
        dot as f32 * (self.scale * fit.scale) + (self.length * fit.residual + self.margin)
    }
}

/// Writes the codes of `row` (finite, of unit length, no longer than `lines`) and returns their fit, and at least the length of codes times scale.
fn encode(row: &[f32], lines: &mut [Line]) -> (Fit, f32) {
    // Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, and leaves it in the low bits: unlike `round` it vectorises on every x86-64.
    const ROUND: f32 = 12_582_912.0;
    let largest = row.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    // A unit vector of up to 8192 dimensions has an element of at least 0.011, so the scale is a normal number and |x / scale| rounds to at most 127.
    let scale = largest / 127.0;
    let mut lost = [0.0f64; 8];
    let mut squares = 0;
    for (line, elements) in lines.iter_mut().zip(row.chunks(LINE)) {
        for (code, x) in line.0.iter_mut().zip(elements) {
            *code = (x / scale + ROUND).to_bits() as i8;
        }
        for (codes, elements) in line.0.chunks_exact(8).zip(elements.chunks(8)) {
            for ((lost, &code), &x) in lost.iter_mut().zip(codes).zip(elements) {
                let residual = f64::from(x) - f64::from(scale) * f64::from(code);
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
    let fit = Fit {
        scale,
        residual: (residual * UP) as f32,
    };
    (fit, (approximated * UP) as f32)
}
