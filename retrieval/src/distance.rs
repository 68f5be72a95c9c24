//! Distances of each query to each gallery image, a few queries at a time.
//!
//! The whole matrix of a benchmark takes hundreds of megabytes, so a caller gets one row of it at a
//! time, in memory that is reused.

mod product;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{iter, thread};

use network::{Error, Result};

use self::product::{PLAIN, ProductKernel};
use crate::embeddings::{Embeddings, LENGTHS, Labelled};

/// The distance of two embeddings; small is similar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// 1 - cosine similarity: 0 to 2.
    Cosine,
    /// The squared Euclidean distance. Ranks like the distance itself.
    SquaredEuclidean,
}

/// The most queries of which a thread computes the distances at once: they share each load of the
/// gallery from memory. At 15,913 gallery images the distances take 31 MB, and 256 elements of each
/// query half of a second-level cache of 1 MB.
const BLOCK: usize = 480;

/// As [`for_each_query`], of labelled sides.
///
/// # Errors
/// [`Error::Argument`] if a side has another number of labels than embeddings; as [`for_each_query`].
pub(super) fn for_each_labelled<T: Send>(
    query: &Labelled<'_>,
    gallery: &Labelled<'_>,
    metric: Metric,
    visit: impl Fn(usize, &mut [f32]) -> T + Sync,
) -> Result<Vec<T>> {
    query.check("queries")?;
    gallery.check("gallery")?;
    for_each_query(query.embeddings, gallery.embeddings, metric, visit)
}

/// Calls `visit` with the number of each query and its distances to the whole gallery, on all cores
/// in any order, and returns its results in the order of the queries.
///
/// # Errors
/// [`Error::Argument`] if a side is empty, the dimensions differ, or a row has no valid length (see
/// [`Embeddings::lengths`]).
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
    let least = match metric {
        Metric::Cosine => *LENGTHS.start(),
        Metric::SquaredEuclidean => 0.0,
    };
    let query_lengths = query.lengths("query", least)?;
    let gallery_lengths = gallery.lengths("gallery", least)?;
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
    let kernel = kernels().next().unwrap_or(PLAIN);
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

/// The matrix products that this processor runs, fastest first.
fn kernels() -> impl Iterator<Item = ProductKernel> {
    #[cfg(target_arch = "x86_64")]
    let found = [avx512::products(), avx2::products()];
    #[cfg(target_arch = "aarch64")]
    let found = [neon::products()];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found: [Option<ProductKernel>; 0] = [];
    found.into_iter().flatten().chain([PLAIN])
}

/// `each` of `0..count`, in that order, on all cores.
pub(super) fn map_on_all_cores<T: Send>(count: usize, each: impl Fn(usize) -> T + Sync) -> Vec<T> {
    const BLOCK: usize = 64;
    let work = |(): &mut (), range: Range<usize>, done: &mut Vec<T>| done.extend(range.map(&each));
    on_all_cores(count, BLOCK, || (), work)
}

/// Number of threads.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What `work` pushes for `0..count`, in that order. It is called with blocks of numbers, on all cores,
/// and with the state that `start` made for its thread.
fn on_all_cores<S, T: Send>(
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
