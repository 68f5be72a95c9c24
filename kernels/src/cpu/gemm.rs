//! The f32 GEMM of convolutions and linear layers: weights `[O, K]` times pixels `[K, P]`.
//!
//! Both sides are packed, [`MR`] rows of weights and panels of `NR` columns, and multiplied a micro-tile at a
//! time. A sum is made in chains of [`KC`] products that are then added, so results do not depend on the threads;
//! the error is at most (KC + ⌈K / KC⌉ + 1) · 2⁻²⁴ · Σ|aᵢ·bᵢ|.

use super::isa::{Loop, multiply_add};

/// Rows of a micro-tile: with two registers of columns 12 sums, of 16 registers that AVX2 has.
pub(super) const MR: usize = 6;

/// Block of K: a packed panel is then 16 or 32 KB, and stays in the first-level cache while it meets every row.
const KC: usize = 256;

/// Weights `[O, K]`, packed: for each [`MR`] rows the first element of each, then the second...
/// Missing rows of the last block are zeros.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    packed: Vec<f32>,
    depth: usize,
}

impl Rows {
    /// Packs `count` rows of `depth` elements; element `k` of row `row` is `at(row, k)`.
    pub(super) fn pack(count: usize, depth: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut packed = vec![0.0; count.next_multiple_of(MR) * depth];
        for (block, packed) in packed.chunks_exact_mut(MR * depth.max(1)).enumerate() {
            for row in 0..MR.min(count - block * MR) {
                let numbers = packed.iter_mut().skip(row).step_by(MR);
                for (k, packed) in numbers.enumerate() {
                    *packed = at(block * MR + row, k);
                }
            }
        }
        Self { packed, depth }
    }

    /// The packed blocks from number `first` on.
    pub(super) fn blocks(&self, first: usize) -> &[f32] {
        &self.packed[first * MR * self.depth..]
    }

    /// K.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }
}

/// `out = rows * panels + bias`.
pub(super) struct Multiply<'a, 'b> {
    /// Of [`Rows::blocks`].
    pub(super) blocks: &'a [f32],
    /// K, at least 1.
    pub(super) depth: usize,
    /// `[panel][K][NR]`: the columns; results beyond the last are dropped.
    pub(super) panels: &'a [f32],
    /// Added to each row.
    pub(super) bias: Option<&'a [f32]>,
    /// The columns of each row, all of one length.
    pub(super) out: &'a mut [&'b mut [f32]],
}

impl Loop for Multiply<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let depth = self.depth;
        for start in (0..depth).step_by(KC) {
            let end = depth.min(start + KC);
            for (tile, panel) in self.panels.chunks_exact(depth * NR).enumerate() {
                let (panel, _) = panel[start * NR..end * NR].as_chunks::<NR>();
                let blocks = self.blocks.chunks_exact(depth * MR);
                for (block, (rows, out)) in blocks.zip(self.out.chunks_mut(MR)).enumerate() {
                    let (rows, _) = rows[start * MR..end * MR].as_chunks::<MR>();
                    let sums = products::<FMA, NR>(rows, panel);
                    for (row, (out, sums)) in out.iter_mut().zip(&sums).enumerate() {
                        let end = out.len().min((tile + 1) * NR);
                        let out = &mut out[tile * NR..end];
                        if start == 0 {
                            let bias = self.bias.map_or(0.0, |bias| bias[block * MR + row]);
                            store(out, sums, |_, sum| bias + sum);
                        } else {
                            store(out, sums, |before, sum| before + sum);
                        }
                    }
                }
            }
        }
    }
}

/// `out[i] = with(out[i], sums[i])`, for a whole tile without a loop of unknown length.
#[inline(always)]
fn store<const NR: usize>(out: &mut [f32], sums: &[f32; NR], with: impl Fn(f32, f32) -> f32) {
    if let Ok(out) = <&mut [f32; NR]>::try_from(&mut *out) {
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = with(*out, sum);
        }
    } else {
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = with(*out, sum);
        }
    }
}

/// The micro-tile. Measured alone on a Zen 4 core: 57 GMAC/s with AVX2 (the peak), 55 with AVX-512, 17
/// with SSE2. The compiler keeps the sums in registers for 6 x 16 and 6 x 32, and in memory, at
/// 1 GMAC/s, for 8 x 32.
#[inline(always)]
fn products<const FMA: bool, const NR: usize>(
    rows: &[[f32; MR]],
    panel: &[[f32; NR]],
) -> [[f32; NR]; MR] {
    let mut sums = [[0.0; NR]; MR];
    for (row, column) in rows.iter().zip(panel) {
        for i in 0..MR {
            for j in 0..NR {
                sums[i][j] = multiply_add::<FMA>(row[i], column[j], sums[i][j]);
            }
        }
    }
    sums
}
