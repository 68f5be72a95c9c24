//! Comparing embeddings: distances, top-k, CMC/mAP/mINP, re-ranking, Market-style names.
//!
//! In: rows of numbers that a network computed ([`Embeddings`]) and, for an evaluation, who is on
//! each image and which camera took it ([`Label`], from file names by [`market::parse`]). Out: how
//! well the first few answers fit ([`metrics`]), which threshold to set ([`open_set`]), how often a
//! pair of images is taken for one person or two at a threshold ([`verification`]), a better order
//! ([`rerank`]), on the device the nearest identities ([`scan`]), and what colours alone would have found
//! ([`stripes`]).

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod distance;
pub mod market;
pub mod metrics;
pub mod open_set;
pub mod rerank;
pub mod scan;
pub mod stripes;
pub mod verification;

pub use distance::Metric;
pub use market::Label;

use network::{Error, Result};

/// Embeddings of many images, row-major: `[rows, dim]`, one row an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    dim: usize,
    data: Vec<f32>,
}

impl Embeddings {
    /// The rows of `data`, each `dim` numbers long.
    ///
    /// # Errors
    /// [`Error::Argument`] if `dim` is zero or does not divide the length of `data`.
    pub fn new(dim: usize, data: Vec<f32>) -> Result<Self> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(Error::Argument(format!(
                "{} numbers are no whole rows of {dim}",
                data.len()
            )));
        }
        Ok(Self { dim, data })
    }

    /// Number of images.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.data.len() / self.dim
    }

    /// Length of an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The embedding of one image.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        &self.data[index * self.dim..][..self.dim]
    }

    /// All numbers, row-major.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    /// Scales each row to Euclidean length 1.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the first row that is zero or has a number that is not finite;
    /// the embeddings are then unchanged.
    pub fn normalise(&mut self) -> Result<()> {
        let lengths = distance::lengths("embedding", self, Metric::Cosine)?;
        for (row, length) in self.data.chunks_exact_mut(self.dim).zip(lengths) {
            for value in row {
                *value = (f64::from(*value) / length) as f32;
            }
        }
        Ok(())
    }
}

/// Embeddings, and what is on each image.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// One row an image.
    pub embeddings: &'a Embeddings,
    /// One label an image, in the same order.
    pub labels: &'a [Label],
}

impl Labelled<'_> {
    fn check(&self, what: &str) -> Result<()> {
        if self.embeddings.rows() != self.labels.len() {
            return Err(Error::Argument(format!(
                "{what}: {} embeddings have {} labels",
                self.embeddings.rows(),
                self.labels.len()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_unit_vectors() {
        let mut embeddings = Embeddings::new(2, vec![3.0, 4.0, 0.0, -5e-10]).unwrap();
        embeddings.normalise().unwrap();
        assert_eq!(embeddings.as_slice(), [0.6, 0.8, 0.0, -1.0]);
        assert_eq!(embeddings.row(1), [0.0, -1.0]);
    }

    #[test]
    fn bad_rows_are_named() {
        let cases = [
            (vec![1.0, 0.0, 0.0, 0.0], "embedding row 1 has length 0"),
            (
                vec![f32::NAN, 1.0, 0.0, 0.0],
                "embedding row 0 has length NaN",
            ),
            (
                vec![1.0, 1.0, f32::NEG_INFINITY, 0.0],
                "embedding row 1 has length inf",
            ),
        ];
        for (data, wanted) in cases {
            let error = Embeddings::new(2, data).unwrap().normalise().unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        }
        for (dim, len) in [(0, 0), (3, 4)] {
            assert!(Embeddings::new(dim, vec![0.0; len]).is_err());
        }
    }
}
