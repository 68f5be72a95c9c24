//! The product of matrices that convolutions and linear layers are made of: `[O, K]` weights with
//! `[K, P]` of an image.
//!
//! Both sides are packed side by side, [`ROWS`] rows of the weights and `LANES` columns of the image,
//! and multiplied a tile at a time with its sums in registers. [`DEPTH`] of K are one chain of sums,
//! the chains are added: a number is the same however the work is cut among threads.

use super::isa::{Loop, multiply_add};

/// Rows of a tile: with two registers of columns 12 sums, of 16 registers that AVX2 has.
pub(super) const ROWS: usize = 6;

/// Of K that a tile sums up before the next tile's turn: a packed panel of the image is then 16 or
/// 32 KB, in the first-level cache while it meets every row.
const DEPTH: usize = 256;

/// Weights `[O, K]`, packed: for each [`ROWS`] rows the first number of each, then the second...
/// Missing rows of the last block are zeros.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    packed: Vec<f32>,
    depth: usize,
}

impl Rows {
    /// Packs `count` rows of `depth` numbers; number `k` of row `row` is `at(row, k)`.
    pub(super) fn pack(count: usize, depth: usize, at: impl Fn(usize, usize) -> f32) -> Self {
        let mut packed = vec![0.0; count.next_multiple_of(ROWS) * depth];
        for (block, packed) in packed.chunks_exact_mut(ROWS * depth.max(1)).enumerate() {
            for lane in 0..ROWS.min(count - block * ROWS) {
                let numbers = packed.iter_mut().skip(lane).step_by(ROWS);
                for (k, packed) in numbers.enumerate() {
                    *packed = at(block * ROWS + lane, k);
                }
            }
        }
        Self { packed, depth }
    }

    /// The packed blocks from number `first` on.
    pub(super) fn blocks(&self, first: usize) -> &[f32] {
        &self.packed[first * ROWS * self.depth..]
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
    /// `[tile][K][LANES]`: the columns; what lies beyond the last is multiplied and forgotten.
    pub(super) panels: &'a [f32],
    /// Added to each row, or nothing.
    pub(super) bias: Option<&'a [f32]>,
    /// The columns of each row, as many in all.
    pub(super) out: &'a mut [&'b mut [f32]],
}

impl Loop for Multiply<'_, '_> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const LANES: usize>(self) {
        let depth = self.depth;
        for start in (0..depth).step_by(DEPTH) {
            let end = depth.min(start + DEPTH);
            for (tile, panel) in self.panels.chunks_exact(depth * LANES).enumerate() {
                let (panel, _) = panel[start * LANES..end * LANES].as_chunks::<LANES>();
                let blocks = self.blocks.chunks_exact(depth * ROWS);
                for (block, (rows, out)) in blocks.zip(self.out.chunks_mut(ROWS)).enumerate() {
                    let (rows, _) = rows[start * ROWS..end * ROWS].as_chunks::<ROWS>();
                    let sums = products::<FMA, LANES>(rows, panel);
                    for (lane, (out, sums)) in out.iter_mut().zip(&sums).enumerate() {
                        let end = out.len().min((tile + 1) * LANES);
                        let out = &mut out[tile * LANES..end];
                        if start == 0 {
                            let bias = self.bias.map_or(0.0, |bias| bias[block * ROWS + lane]);
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
fn store<const LANES: usize>(out: &mut [f32], sums: &[f32; LANES], with: impl Fn(f32, f32) -> f32) {
    if let Ok(out) = <&mut [f32; LANES]>::try_from(&mut *out) {
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = with(*out, sum);
        }
    } else {
        for (out, &sum) in out.iter_mut().zip(sums) {
            *out = with(*out, sum);
        }
    }
}

/// The tile. Measured as a loop of its own on a Zen 4 core: 57 GMAC/s with AVX2, 55 with AVX-512, 17
/// with SSE2, of 57 that its multipliers can do. Six rows are no accident: the compiler keeps the
/// sums in registers for 6 x 16 and 6 x 32, and in memory, at 1 GMAC/s, for 8 x 32.
#[inline(always)]
fn products<const FMA: bool, const LANES: usize>(
    rows: &[[f32; ROWS]],
    panel: &[[f32; LANES]],
) -> [[f32; LANES]; ROWS] {
    let mut sums = [[0.0; LANES]; ROWS];
    for (row, column) in rows.iter().zip(panel) {
        for i in 0..ROWS {
            for j in 0..LANES {
                sums[i][j] = multiply_add::<FMA>(row[i], column[j], sums[i][j]);
            }
        }
    }
    sums
}
