//! Distances of every query to every gallery image, a few queries at a time.
//!
//! The whole matrix of a benchmark would be hundreds of megabytes and is of no use in one piece: a
//! caller gets one query's row of distances, takes from it what it needs, and the memory is reused.

mod product;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{iter, thread};

use super::Embeddings;
use network::{Error, Result};

/// How the distance of two embeddings is measured; small is alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// One less the cosine of the angle between them: 0 to 2.
    Cosine,
    /// The square of their Euclidean distance. Ranks like the distance itself.
    SquaredEuclidean,
}

/// Queries of which one thread computes all distances at once, at the most: each load of the gallery
/// from memory serves so many. At 15,913 gallery images the distances take 31 MB, and 256 numbers of
/// each query half of a second-level cache of 1 MB.
const BLOCK: usize = 480;

/// The Euclidean length of each row.
///
/// # Errors
/// [`Error::Argument`] naming the first row that no distance can be computed of: numbers that are
/// not finite, a zero row if `metric` divides by the length, or lengths whose square leaves f32.
pub(super) fn lengths(what: &str, embeddings: &Embeddings, metric: Metric) -> Result<Vec<f64>> {
    const RANGE: RangeInclusive<f64> = 1e-15..=1e15;
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

    let threads = threads();
    // Blocks of one size, as many for each thread.
    let rounds = query.rows().div_ceil(threads * BLOCK);
    let block = query.rows().div_ceil(threads * rounds);
    let kernel = product::fastest();
    let buffer = || vec![0.0; block * gallery.rows()];
    let found = on_all_cores(query.rows(), block, buffer, |products, queries, done| {
        let products = &mut products[..queries.len() * gallery.rows()];
        let rows = &query.as_slice()[queries.start * query.dim()..][..queries.len() * query.dim()];
        kernel.multiply(rows, gallery.as_slice(), query.dim(), products);
        for (index, row) in queries.zip(products.chunks_exact_mut(gallery.rows())) {
            for (value, &length) in row.iter_mut().zip(&gallery_lengths) {
                *value = distance(query_lengths[index], length, *value);
            }
            done.push(visit(index, row));
        }
    });
    Ok(found)
}

/// Threads that work at once.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What `work` pushes for `0..count`, in that order. It is called with one `block` of numbers after
/// the other, on all cores, and with what `start` made for its thread.
pub(super) fn on_all_cores<S, T: Send>(
    count: usize,
    block: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, Range<usize>, &mut Vec<T>) + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut state = start();
        let mut done = Vec::new();
        loop {
            let first = next.fetch_add(block, Ordering::Relaxed);
            if first >= count {
                return done;
            }
            let mut found = Vec::new();
            work(&mut state, first..count.min(first + block), &mut found);
            done.push((first, found));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = iter::repeat_with(|| scope.spawn(work))
            .take(threads() - 1)
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
    done.sort_unstable_by_key(|(first, _)| *first);
    done.into_iter().flat_map(|(_, found)| found).collect()
}

/// The square of the Euclidean distance of two rows.
pub(super) fn squared_euclidean(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers, whose products and sums are exact in any order.
    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count).map(|i| (i * step % 17) as f32 - 8.0).collect()
    }

    #[test]
    fn every_query_is_visited_once_and_in_order() {
        let query = Embeddings::new(2, numbers(2 * 1001, 3)).unwrap();
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
