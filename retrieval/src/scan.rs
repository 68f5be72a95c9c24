//! Exact top-k search over unit-length embeddings.
//!
//! Each row is kept as f32 and as `i8` values with a bound on their error. Integer products give an
//! upper bound of each similarity; only rows whose bound reaches the worst hit so far are computed from
//! f32, by one routine. So the result is the same, bit for bit, as that of computing every row, on every
//! instruction set. docs/adr/0002-exact-scan.md has the measurements.

mod kernel;
mod quantised;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

use std::cmp::{Ordering, Reverse};

use heapless::binary_heap::{BinaryHeap, Min};

use kernel::{DotKernel, PLAIN};
use network::{Error, Result};
use quantised::{QuantisedQuery, QuantisedRows};

/// The most dimensions of an embedding: four times the 2048 of ResNet-50. The i32 sums have room for
/// twice as many.
pub const MAX_DIM: usize = 8192;

/// Largest difference of the length of a row or a query from 1.
pub const UNIT_TOLERANCE: f64 = 1e-3;

/// Rows of one call of the kernel: few enough for the stack, enough to make the call cheap.
const BLOCK: usize = 128;

/// Embeddings of one dimension and unit length, searchable by cosine similarity. Rows are numbered from 0
/// in the order of insertion.
///
/// ```
/// use retrieval::scan::Index;
///
/// let mut index = Index::new(2)?;
/// for row in [[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]] {
///     index.push(&row)?;
/// }
/// let hits = index.top::<2>(&[0.8, 0.6])?;
/// assert_eq!((hits[0].row, hits[1].row), (1, 0));
/// assert!((hits[0].similarity - 0.96).abs() < 1e-6);
/// # Ok::<(), network::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Index {
    dim: usize,
    rows: Vec<f32>,
    quantised: QuantisedRows,
    kernel: DotKernel,
}

/// A row that a search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Number of the row in the index.
    pub row: usize,
    /// Cosine similarity with the query, -1..=1 up to the tolerance on lengths.
    pub similarity: f32,
}

impl Index {
    /// An empty index over embeddings of `dim` elements.
    ///
    /// # Errors
    /// [`Error::Limit`] if `dim` is above [`MAX_DIM`], [`Error::Argument`] if it is 0.
    pub fn new(dim: usize) -> Result<Self> {
        if dim == 0 {
            return Err(Error::Argument(
                "an embedding of 0 dimensions cannot be compared".into(),
            ));
        }
        if dim > MAX_DIM {
            return Err(Error::Limit {
                what: "embedding dimension".into(),
                found: dim as u64,
                limit: MAX_DIM as u64,
            });
        }
        Ok(Self {
            dim,
            rows: Vec::new(),
            quantised: QuantisedRows::new(dim),
            kernel: fastest(),
        })
    }

    /// Adds a row of `dim` elements and unit length, and returns its number.
    ///
    /// # Errors
    /// [`Error::Argument`] if the row has another dimension, an element that is not finite, or a length
    /// further than [`UNIT_TOLERANCE`] from 1.
    pub fn push(&mut self, row: &[f32]) -> Result<usize> {
        self.check(row)?;
        self.quantised.push(row);
        self.rows.extend_from_slice(row);
        Ok(self.len() - 1)
    }

    /// Whether `embedding` could be a row: of the index's dimension, finite and of unit length.
    ///
    /// # Errors
    /// As [`Index::push`].
    pub fn check(&self, embedding: &[f32]) -> Result<()> {
        check(embedding, self.dim, "embedding")
    }

    /// Removes a row and gives its number to the last one.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such row.
    pub fn swap_remove(&mut self, row: usize) -> Result<()> {
        let len = self.len();
        if row >= len {
            return Err(Error::Argument(format!(
                "row {row} cannot be removed from an index of {len} rows"
            )));
        }
        let last = (len - 1) * self.dim;
        self.rows.copy_within(last.., row * self.dim);
        self.rows.truncate(last);
        self.quantised.swap_remove(row);
        Ok(())
    }

    /// Dimension of the embeddings.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row of number `row`, as it was given.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.rows[row * self.dim..][..self.dim]
    }

    /// The `K` rows most similar to `query`, best first, ties in the order of their numbers; fewer if the
    /// index has fewer.
    ///
    /// # Errors
    /// [`Error::Argument`] if `query` is no unit-length embedding of the index's dimension.
    pub fn top<const K: usize>(&self, query: &[f32]) -> Result<heapless::Vec<Hit, K>> {
        let mut best = Best::<K>::new();
        self.scan(query, |hit| best.offer(hit))?;
        Ok(best.into_sorted())
    }

    /// Calls `visit` with the rows, in order, that may reach the similarity that `visit` returned last.
    /// All rows at or above it are visited, and some below it; [`f32::NEG_INFINITY`] visits every row.
    /// [`Index::top`] is built on it, and rankings of groups of rows.
    ///
    /// # Errors
    /// [`Error::Argument`] if `query` is no unit-length embedding of the index's dimension.
    pub fn scan(&self, query: &[f32], mut visit: impl FnMut(Hit) -> f32) -> Result<()> {
        check(query, self.dim, "query")?;
        let quantised = QuantisedQuery::new(query);
        let mut dots = [0; BLOCK];
        let mut floor = f32::NEG_INFINITY;
        for first in (0..self.len()).step_by(BLOCK) {
            let rows = first..self.len().min(first + BLOCK);
            let dots = &mut dots[..rows.len()];
            let lines = self.quantised.lines(rows.clone());
            self.kernel.dots(lines, quantised.lines(), dots);
            let scales = self.quantised.scales(rows.clone());
            for (row, (&dot, scale)) in rows.zip(dots.iter().zip(scales)) {
                if quantised.ceiling(dot, scale) >= floor {
                    let similarity = similarity(query, self.row(row));
                    floor = visit(Hit { row, similarity });
                }
            }
        }
        Ok(())
    }
}

/// The cosine similarity of two embeddings of unit length and equal dimension, as in every search:
/// products (which are exact) and sums in f64, in eight interleaved chains that vectorise, in the same
/// order on every machine.
///
/// # Panics
/// If the dimensions differ.
#[must_use]
pub fn similarity(a: &[f32], b: &[f32]) -> f32 {
    // Adding zero turns -0 into +0, so that the two tie.
    dot(a, b) as f32 + 0.0
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "embeddings of one dimension");
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += f64::from(a) * f64::from(b);
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
}

/// The fastest kernel of this processor.
fn fastest() -> DotKernel {
    kernels().next().unwrap_or(PLAIN)
}

/// All kernels of this processor, fastest first.
fn kernels() -> impl Iterator<Item = DotKernel> {
    #[cfg(target_arch = "x86_64")]
    let found = [avx512::vnni(), avx2::vnni(), avx2::plain()];
    #[cfg(target_arch = "aarch64")]
    let found = [neon::dotprod(), neon::plain()];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found: [Option<DotKernel>; 0] = [];
    found.into_iter().flatten().chain([PLAIN])
}

/// The instruction set that scans use on this machine, for example `avx512-vnni`.
#[must_use]
pub fn instruction_set() -> &'static str {
    fastest().name
}

/// Checks that `what` has dimension `dim`, finite elements and unit length.
fn check(embedding: &[f32], dim: usize, what: &str) -> Result<()> {
    if embedding.len() != dim {
        return Err(Error::Argument(format!(
            "{what} has {} dimensions, wanted {dim}",
            embedding.len()
        )));
    }
    if let Some(at) = embedding.iter().position(|x| !x.is_finite()) {
        return Err(Error::Argument(format!(
            "element {at} of the {what} is {}, wanted a finite number",
            embedding[at]
        )));
    }
    let length = dot(embedding, embedding).sqrt();
    if (length - 1.0).abs() > UNIT_TOLERANCE {
        return Err(Error::Argument(format!(
            "{what} has length {length:.6}, wanted 1 within {UNIT_TOLERANCE}"
        )));
    }
    Ok(())
}

/// The best `K` hits so far, the worst of them on top.
struct Best<const K: usize> {
    heap: BinaryHeap<Ranked, Min, K>,
}

/// A hit ordered by rank: the greater is the better; of equally similar rows, the one with the lower
/// number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ranked(Hit);

impl<const K: usize> Best<K> {
    fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
        }
    }

    /// Takes `hit` if it is among the best, and returns the similarity that the next one must reach.
    fn offer(&mut self, hit: Hit) -> f32 {
        if let Err(Ranked(hit)) = self.heap.push(Ranked(hit))
            && let Some(mut worst) = self.heap.peek_mut()
            && Ranked(hit) > *worst
        {
            *worst = Ranked(hit);
        }
        match self.heap.peek() {
            Some(worst) if self.heap.is_full() => worst.0.similarity,
            Some(_) => f32::NEG_INFINITY,
            None => f32::INFINITY, // K is 0.
        }
    }

    fn into_sorted(self) -> heapless::Vec<Hit, K> {
        let mut hits: heapless::Vec<Hit, K> = self.heap.into_vec().iter().map(|r| r.0).collect();
        hits.sort_unstable_by_key(|&hit| Reverse(Ranked(hit)));
        hits
    }
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_similarity = self.0.similarity.total_cmp(&other.0.similarity);
        by_similarity.then(other.0.row.cmp(&self.0.row))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests;
