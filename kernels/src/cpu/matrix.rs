//! Linear layers in f32.

use super::gemm::{Multiply, Rows};
use super::{Cpu, TILE, f32s};
use network::graph::Gemm;
use network::tensor::Tensor;

/// The right side of a product, packed for [`Multiply`]: `[panel][K][NR]`.
#[derive(Debug, Clone)]
pub(super) struct Panels {
    packed: Vec<f32>,
    depth: usize,
    columns: usize,
}

impl Panels {
    /// Packs `depth` rows of `columns` elements; element `column` of row `k` is `at(k, column)`.
    fn pack(cpu: &Cpu, [depth, columns]: [usize; 2], at: impl Fn(usize, usize) -> f32) -> Self {
        let nr = cpu.isa.nr();
        let mut packed = vec![0.0; columns.next_multiple_of(nr) * depth];
        for (tile, packed) in packed.chunks_exact_mut(nr * depth).enumerate() {
            for column in 0..nr.min(columns - tile * nr) {
                let numbers = packed.iter_mut().skip(column).step_by(nr);
                for (k, packed) in numbers.enumerate() {
                    *packed = at(k, tile * nr + column);
                }
            }
        }
        Self {
            packed,
            depth,
            columns,
        }
    }

    /// Packs the second operand of `gemm`; none if it has no element.
    pub(super) fn of(cpu: &Cpu, gemm: &Gemm, b: &Tensor) -> Option<Self> {
        let values = b.as_f32().filter(|values| !values.is_empty())?;
        let &[rows, columns] = b.shape() else {
            return None;
        };
        Some(match gemm.trans_b {
            false => Self::pack(cpu, [rows, columns], |k, j| values[k * columns + j]),
            true => Self::pack(cpu, [columns, rows], |k, j| values[j * columns + k]),
        })
    }

    /// `out = rows * self`, `[rows][columns]`.
    fn multiply(&self, cpu: &Cpu, rows: &Rows, out: &mut [f32]) {
        let nr = cpu.isa.nr();
        let tiles = self.columns.div_ceil(nr);
        let tiles_at_once = tiles.div_ceil(2 * cpu.threads());
        let mut parts: Vec<(&[f32], Vec<&mut [f32]>)> = self
            .packed
            .chunks(tiles_at_once * nr * self.depth)
            .map(|panels| (panels, Vec::new()))
            .collect();
        let work = out.len() * self.depth / TILE;
        for row in out.chunks_exact_mut(self.columns) {
            let pieces = row.chunks_mut(tiles_at_once * nr);
            for (part, piece) in parts.iter_mut().zip(pieces) {
                part.1.push(piece);
            }
        }
        cpu.each(work, parts.into_iter(), |_, (panels, mut out)| {
            cpu.isa.run(Multiply {
                blocks: rows.blocks(0),
                depth: self.depth,
                panels,
                bias: None,
                out: &mut out,
            });
        });
    }
}

/// `alpha * A * B + beta * C`, of the shape `[n, m]`; none if the weights have no element.
pub(super) fn gemm(
    cpu: &Cpu,
    gemm: &Gemm,
    inputs: &[&Tensor],
    panels: Option<&Panels>,
    shape: &[usize],
) -> Option<Vec<f32>> {
    let (&[rows, columns], &[n, m]) = (inputs[0].shape(), shape) else {
        return None;
    };
    let a = f32s(inputs[0]);
    let packed;
    let panels = match panels {
        Some(panels) => panels,
        None => {
            packed = Panels::of(cpu, gemm, inputs[1])?;
            &packed
        }
    };
    let k = if gemm.trans_a { rows } else { columns };
    let offsets = match inputs.get(2) {
        None => None,
        Some(c) => {
            let steps = match *c.shape() {
                [] | [1] | [1, 1] => [0, 0],
                [found] | [1, found] if found == m => [0, 1],
                [found, 1] if found == n => [1, 0],
                [rows, columns] if [rows, columns] == [n, m] => [m, 1],
                _ => return None,
            };
            Some((f32s(c), steps))
        }
    };
    let mut y = vec![0.0; n * m];
    let a = if gemm.trans_a {
        Rows::pack(n, k, |row, i| a[i * columns + row])
    } else {
        Rows::pack(n, k, |row, i| a[row * columns + i])
    };
    panels.multiply(cpu, &a, &mut y);
    if gemm.alpha != 1.0 {
        y.iter_mut().for_each(|y| *y *= gemm.alpha);
    }
    if let Some((c, [down, right])) = offsets {
        for (i, row) in y.chunks_exact_mut(m).enumerate() {
            for (j, y) in row.iter_mut().enumerate() {
                *y += gemm.beta * c[i * down + j * right];
            }
        }
    }
    Some(y)
}

/// A product of two matrices, or of many with one; none for any other.
pub(super) fn matmul(cpu: &Cpu, inputs: &[&Tensor], shape: &[usize]) -> Option<Vec<f32>> {
    let &[k, m] = inputs[1].shape() else {
        return None;
    };
    let (a, b) = (f32s(inputs[0]), f32s(inputs[1]));
    let mut y = vec![0.0; shape.iter().product()];
    let rows = Rows::pack(a.len() / k, k, |row, i| a[row * k + i]);
    Panels::pack(cpu, [k, m], |i, j| b[i * m + j]).multiply(cpu, &rows, &mut y);
    Some(y)
}
