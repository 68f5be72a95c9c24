//! Distances of every query to every gallery image, a few queries at a time.
//!
//! The whole matrix of a benchmark would be hundreds of megabytes and is of no use in one piece: a
//! caller gets one query's row of distances, takes from it what it needs, and the memory is reused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{iter, thread};

use super::Embeddings;
use crate::{Error, Result};

/// How the distance of two embeddings is measured; small is alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// One less the cosine of the angle between them: 0 to 2.
    Cosine,
    /// The square of their Euclidean distance. Ranks like the distance itself.
    SquaredEuclidean,
}

/// Queries of which one thread computes all distances at once: each load of the gallery from memory
/// serves so many. At 15,913 gallery images the distances take 6 MB.
const BLOCK: usize = 96;

/// Numbers of each row that are multiplied before the next row's turn: 2 KiB a row keeps a block of
/// queries in a second-level cache.
const DEPTH: usize = 512;

/// Rows of queries and of the gallery that are multiplied at once, and lanes of a vector: 4 x 3
/// accumulators and their operands fit into 16 registers of 128 bits, what every x86-64 has.
const QUERIES: usize = 4;
const GALLERY: usize = 3;
const LANES: usize = 4;

/// The Euclidean length of each row.
///
/// # Errors
/// [`Error::Argument`] naming the first row that no distance can be computed of: numbers that are
/// not finite, a zero row if `metric` divides by the length, or lengths whose square leaves f32.
pub(super) fn lengths(what: &str, embeddings: &Embeddings, metric: Metric) -> Result<Vec<f64>> {
    const RANGE: std::ops::RangeInclusive<f64> = 1e-15..=1e15;
    let least = match metric {
        Metric::Cosine => *RANGE.start(),
        Metric::SquaredEuclidean => 0.0,
    };
    let length = |(index, row): (usize, &[f32])| {
        let square: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
        let length = square.sqrt();
        if (least..=*RANGE.end()).contains(&length) {
            Ok(length)
        } else {
            Err(Error::Argument(format!(
                "{what} row {index} has length {length:?}, wanted {least:e} to {:e}",
                RANGE.end()
            )))
        }
    };
    embeddings
        .as_slice()
        .chunks_exact(embeddings.dim())
        .enumerate()
        .map(length)
        .collect()
}

/// Calls `visit` with the number of each query and its distances to the whole gallery, on all cores
/// in any order, and returns what it returned in the order of the queries.
///
/// # Errors
/// [`Error::Argument`] if a side is empty, the lengths of embeddings differ, or a row is bad (see
/// [`lengths`]).
pub(super) fn for_each_query<T: Send>(
    query: &Embeddings,
    gallery: &Embeddings,
    metric: Metric,
    visit: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> Result<Vec<T>> {
    if query.dim() != gallery.dim() {
        return Err(Error::Argument(format!(
            "embeddings of the queries have {} numbers, those of the gallery {}",
            query.dim(),
            gallery.dim()
        )));
    }
    for (what, side) in [("queries", query), ("gallery", gallery)] {
        if side.rows() == 0 {
            return Err(Error::Argument(format!("no embeddings of the {what}")));
        }
    }
    let query_lengths = lengths("query", query, metric)?;
    let gallery_lengths = lengths("gallery", gallery, metric)?;
    let distance = |query: f64, gallery: f64, product: f32| match metric {
        Metric::Cosine => (1.0 - f64::from(product) / (query * gallery)).max(0.0) as f32,
        Metric::SquaredEuclidean => {
            (query * query + gallery * gallery - 2.0 * f64::from(product)).max(0.0) as f32
        }
    };

    let threads = thread::available_parallelism().map_or(1, usize::from);
    let block = query.rows().div_ceil(threads).min(BLOCK);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut products = vec![0.0; block * gallery.rows()];
        let mut done = Vec::new();
        loop {
            let first = next.fetch_add(block, Ordering::Relaxed);
            if first >= query.rows() {
                return done;
            }
            let count = block.min(query.rows() - first);
            let products = &mut products[..count * gallery.rows()];
            let rows = &query.as_slice()[first * query.dim()..][..count * query.dim()];
            multiply(rows, gallery.as_slice(), query.dim(), products);
            for (offset, row) in products.chunks_exact_mut(gallery.rows()).enumerate() {
                let index = first + offset;
                for (value, &length) in row.iter_mut().zip(&gallery_lengths) {
                    *value = distance(query_lengths[index], length, *value);
                }
                done.push((index, visit(index, row)));
            }
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = iter::repeat_with(|| scope.spawn(work))
            .take(threads - 1)
            .collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, value)| value).collect())
}

/// The square of the Euclidean distance of two rows.
pub(super) fn squared_euclidean(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() as f32
}

/// `out[i][j]` = the scalar product of row `i` of `left` and row `j` of `right`, rows of `dim`.
fn multiply(left: &[f32], right: &[f32], dim: usize, out: &mut [f32]) {
    let (rows, columns) = (left.len() / dim, right.len() / dim);
    out.fill(0.0);
    for start in (0..dim).step_by(DEPTH) {
        let depth = DEPTH.min(dim - start);
        // The last tile repeats row 0 where rows are missing.
        let part = |rows: usize, row: usize| {
            let row = if row < rows { row } else { 0 };
            row * dim + start..row * dim + start + depth
        };
        for column in (0..columns).step_by(GALLERY) {
            let b: [&[f32]; GALLERY] =
                std::array::from_fn(|index| &right[part(columns, column + index)]);
            for row in (0..rows).step_by(QUERIES) {
                let a: [&[f32]; QUERIES] =
                    std::array::from_fn(|index| &left[part(rows, row + index)]);
                let sums = tile(a, b);
                let rows_out = out[row * columns..].chunks_mut(columns);
                for (sums, out) in sums.iter().zip(rows_out) {
                    for (sum, out) in sums.iter().zip(&mut out[column..]) {
                        *out += sum;
                    }
                }
            }
        }
    }
}

/// The scalar products of each of `a` with each of `b`.
fn tile(a: [&[f32]; QUERIES], b: [&[f32]; GALLERY]) -> [[f32; GALLERY]; QUERIES] {
    let a = a.map(|row| row.as_chunks::<LANES>());
    let b = b.map(|row| row.as_chunks::<LANES>());
    let mut sums = [[[0.0f32; LANES]; GALLERY]; QUERIES];
    let chunks = a[0].0.len();
    let (heads_a, heads_b) = (a.map(|row| &row.0[..chunks]), b.map(|row| &row.0[..chunks]));
    for chunk in 0..chunks {
        for (sums, a) in sums.iter_mut().zip(heads_a) {
            for (sums, b) in sums.iter_mut().zip(heads_b) {
                for lane in 0..LANES {
                    sums[lane] += a[chunk][lane] * b[chunk][lane];
                }
            }
        }
    }
    let mut totals = sums.map(|sums| sums.map(|lanes| lanes.iter().sum()));
    for (totals, a) in totals.iter_mut().zip(a) {
        for (total, b) in totals.iter_mut().zip(b) {
            *total += a.1.iter().zip(b.1).map(|(a, b)| a * b).sum::<f32>();
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, whose products and sums are exact in any order.
    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|i| (i * step % 17) as f32 - 8.0).collect()
    }

    #[test]
    fn products_are_exact_at_every_edge_of_the_tiles() {
        for dim in [1, 3, 4, 7, DEPTH, DEPTH + 5] {
            for (rows, columns) in [(1, 1), (4, 3), (5, 4), (3, 7), (9, 2)] {
                let (left, right) = (numbers(rows * dim, 7), numbers(columns * dim, 5));
                let mut out = vec![f32::NAN; rows * columns];
                multiply(&left, &right, dim, &mut out);
                for (index, found) in out.iter().enumerate() {
                    let a = &left[index / columns * dim..][..dim];
                    let b = &right[index % columns * dim..][..dim];
                    let wanted: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    assert_eq!(*found, wanted, "{rows} x {columns} x {dim} at {index}");
                }
            }
        }
    }

    #[test]
    fn every_query_is_visited_once_and_in_order() {
        let query = Embeddings::new(2, numbers(2 * 301, 3)).unwrap();
        let gallery = Embeddings::new(2, vec![1.0, 0.0, 0.0, 2.0]).unwrap();
        let metric = Metric::SquaredEuclidean;
        let found = for_each_query(&query, &gallery, metric, |index, row| (index, row.to_vec()));
        for (index, (visited, row)) in found.unwrap().into_iter().enumerate() {
            let [x, y] = query.row(index) else {
                unreachable!("rows of two")
            };
            assert_eq!(visited, index);
            let wanted = [(x - 1.0).powi(2) + y * y, x * x + (y - 2.0).powi(2)];
            assert_eq!(row, wanted, "{index}");
        }
    }
}
