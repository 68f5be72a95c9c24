//! Scalar products of each row of one matrix with each row of another, in tiles of rows.
//!
//! Each routine adds at most [`DEPTH`] products in a chain and then adds the chains. So it is within
//! (`DEPTH` + ⌈dim / `DEPTH`⌉ + 1) · 2⁻²⁴ · Σ|aᵢ·bᵢ| of the exact product (Higham, "Accuracy and Stability
//! of Numerical Algorithms", section 3.1), two routines within twice that of each other: at most 3.2e-5
//! for unit vectors of 2048 elements. Tests check the bound.

/// Elements of each row that are packed and multiplied at once: a tile's operands fit the first-level
/// cache.
pub(super) const DEPTH: usize = 256;

/// `out[i][j]` = the scalar product of row `i` of `left` and row `j` of `right`, rows of `dim`.
type Multiply = fn(left: &[f32], right: &[f32], dim: usize, out: &mut [f32]);

/// A matrix product and the name of its instruction set.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProductKernel {
    #[cfg_attr(not(test), expect(dead_code, reason = "tests name it in messages"))]
    name: &'static str,
    multiply: Multiply,
}

/// Plain Rust: the reference of the tests, and the fallback.
/// The sums of a tile fill 8 of the 16 registers that every x86-64 has.
pub(super) const PLAIN: ProductKernel = ProductKernel::new("plain", |left, right, dim, out| {
    blocked::<4, 8>(left, right, dim, out, plain);
});

impl ProductKernel {
    /// A product that runs on this processor.
    pub(super) const fn new(name: &'static str, multiply: Multiply) -> Self {
        Self { name, multiply }
    }

    /// See [`Multiply`].
    pub(super) fn multiply(self, left: &[f32], right: &[f32], dim: usize, out: &mut [f32]) {
        let wanted = (left.len() / dim) * (right.len() / dim);
        assert_eq!(out.len(), wanted, "one product for each pair of rows");
        (self.multiply)(left, right, dim, out);
    }
}

/// [`Multiply`] in tiles of `R` by `C` rows. Inlined, so that packing and adding are compiled for the
/// instruction set of the caller as well.
#[inline(always)]
pub(super) fn blocked<const R: usize, const C: usize>(
    left: &[f32],
    right: &[f32],
    dim: usize,
    out: &mut [f32],
    tile: impl Fn(&[[f32; R]], &[[f32; C]]) -> [[f32; C]; R],
) {
    let (rows, columns) = (left.len() / dim, right.len() / dim);
    let mut packed_left = vec![[0.0; R]; rows.div_ceil(R) * DEPTH.min(dim)];
    let mut packed_right = vec![[0.0; C]; DEPTH.min(dim)];
    out.fill(0.0);
    for start in (0..dim).step_by(DEPTH) {
        let depth = DEPTH.min(dim - start);
        let groups = packed_left.chunks_exact_mut(depth);
        for (group, row) in groups.zip((0..rows).step_by(R)) {
            pack(&left[row * dim..], dim, start, group);
        }
        for column in (0..columns).step_by(C) {
            let packed_right = &mut packed_right[..depth];
            pack(&right[column * dim..], dim, start, packed_right);
            let groups = packed_left.chunks_exact(depth);
            for (group, row) in groups.zip((0..rows).step_by(R)) {
                let sums = tile(group, packed_right);
                let out_rows = out[row * columns..].chunks_exact_mut(columns);
                for (sums, out) in sums.iter().zip(out_rows) {
                    for (sum, out) in sums.iter().zip(&mut out[column..]) {
                        *out += sum;
                    }
                }
            }
        }
    }
}

/// Packs elements `start..start + packed.len()` of the first `N` rows side by side. Missing rows are not
/// written: their products are not used.
#[inline(always)]
fn pack<const N: usize>(rows: &[f32], dim: usize, start: usize, packed: &mut [[f32; N]]) {
    for (lane, row) in rows.chunks_exact(dim).take(N).enumerate() {
        for (packed, &value) in packed.iter_mut().zip(&row[start..]) {
            packed[lane] = value;
        }
    }
}

/// The products of each packed row of `a` with each of `b`.
fn plain<const R: usize, const C: usize>(a: &[[f32; R]], b: &[[f32; C]]) -> [[f32; C]; R] {
    let mut sums = [[0.0f32; C]; R];
    for (a, b) in a.iter().zip(b) {
        for row in 0..R {
            for lane in 0..C {
                sums[row][lane] += a[row] * b[lane];
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::kernels;
    use super::*;

    /// Small whole numbers, whose products and sums are exact in any order.
    fn whole(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|i| (i * step % 17) as f32 - 8.0).collect()
    }

    /// Numbers of -1 to 1, some of them of another size.
    fn rough(count: usize, mut state: u64) -> Vec<f32> {
        let mut next = |at: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let value = (state >> 40) as f32 / (1 << 23) as f32 - 1.0;
            if at % 97 == 5 { value * 1e4 } else { value }
        };
        (0..count).map(&mut next).collect()
    }

    const SIZES: [(usize, usize); 9] = [
        (1, 1),
        (4, 8),
        (5, 9),
        (6, 16),
        (7, 17),
        (8, 12),
        (12, 32),
        (3, 33),
        (25, 65),
    ];

    #[test]
    fn products_are_exact_at_every_edge_of_the_tiles() {
        for dim in [1, 3, 4, 7, DEPTH, DEPTH + 5] {
            for (rows, columns) in SIZES {
                for kernel in kernels() {
                    let (left, right) = (whole(rows * dim, 7), whole(columns * dim, 5));
                    let mut out = vec![f32::NAN; rows * columns];
                    kernel.multiply(&left, &right, dim, &mut out);
                    for (index, found) in out.iter().enumerate() {
                        let a = &left[index / columns * dim..][..dim];
                        let b = &right[index % columns * dim..][..dim];
                        let wanted: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                        let case = format!("{} {rows} x {columns} x {dim}", kernel.name);
                        assert_eq!(*found, wanted, "{case} at {index}");
                    }
                }
            }
        }
    }

    #[test]
    fn products_of_any_numbers_are_within_the_bound() {
        for dim in [2, 255, DEPTH + 1, 2048] {
            for (rows, columns) in SIZES {
                for kernel in kernels() {
                    let (left, right) = (rough(rows * dim, 3), rough(columns * dim, 8));
                    let mut out = vec![f32::NAN; rows * columns];
                    kernel.multiply(&left, &right, dim, &mut out);
                    for (index, found) in out.iter().enumerate() {
                        let a = &left[index / columns * dim..][..dim];
                        let b = &right[index % columns * dim..][..dim];
                        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
                        let wanted: f64 = products.clone().sum();
                        let size: f64 = products.map(f64::abs).sum();
                        let steps = (DEPTH + dim.div_ceil(DEPTH) + 1) as f64;
                        let off = (f64::from(*found) - wanted).abs();
                        let case = format!("{} {rows} x {columns} x {dim}", kernel.name);
                        assert!(
                            off <= steps * 2f64.powi(-24) * size,
                            "{case}: {off:e} of {size}"
                        );
                    }
                }
            }
        }
    }

    /// Alternates the kernels nine times, so that other load on the machine affects all of them.
    /// `cargo test --release -p retrieval bench_products -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn bench_products() {
        let (rows, columns, dim) = (240, 4_096, 2_048);
        let (left, right) = (rough(rows * dim, 1), rough(columns * dim, 2));
        let mut out = vec![0.0; rows * columns];
        let all: Vec<ProductKernel> = kernels().collect();
        let mut took = vec![Vec::<Duration>::new(); all.len()];
        for _ in 0..9 {
            for (kernel, took) in all.iter().zip(&mut took) {
                let start = Instant::now();
                kernel.multiply(&left, &right, dim, &mut out);
                took.push(start.elapsed());
            }
        }
        let plain = took.last().unwrap().clone();
        for (kernel, took) in all.iter().zip(took) {
            let ratio = |(plain, took): (&Duration, &Duration)| plain.div_duration_f64(*took);
            let mut ratios: Vec<f64> = plain.iter().zip(&took).map(ratio).collect();
            ratios.sort_by(f64::total_cmp);
            let best = took.iter().min().unwrap().as_secs_f64();
            let speed = 2.0 * (rows * columns * dim) as f64 / best / 1e9;
            println!(
                "{:8} {:6.1} ms at best, {speed:5.0} GFLOP/s, {:.2} times plain (median of 9 pairs)",
                kernel.name,
                best * 1e3,
                ratios[4]
            );
        }
    }
}
