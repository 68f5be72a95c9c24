//! Rows of floats that a network computed, and their labels.

use std::ops::RangeInclusive;

use network::{Error, Result};

use crate::market::Label;

/// Lengths of which distances can be computed: their squares stay within f32.
pub(crate) const LENGTHS: RangeInclusive<f64> = 1e-15..=1e15;

/// Embeddings of many images, row-major: `[rows, dim]`, one row an image.
///
/// ```
/// use retrieval::Embeddings;
///
/// let mut embeddings = Embeddings::new(2, vec![3.0, 4.0, 0.0, -2.0])?;
/// embeddings.normalise()?;
/// assert_eq!(embeddings.rows(), 2);
/// assert_eq!(embeddings.row(0), [0.6, 0.8]);
/// # Ok::<(), network::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    dim: usize,
    data: Vec<f32>,
}

impl Embeddings {
    /// The rows of `data`, `dim` elements each.
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

    /// All elements, row-major.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    /// Scales each row to Euclidean length 1.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the first row that is zero or has an element that is not finite; the
    /// embeddings are then unchanged.
    pub fn normalise(&mut self) -> Result<()> {
        let lengths = self.lengths("embedding", *LENGTHS.start())?;
        for (row, length) in self.data.chunks_exact_mut(self.dim).zip(lengths) {
            for value in row {
                *value = (f64::from(*value) / length) as f32;
            }
        }
        Ok(())
    }

    /// The Euclidean length of each row, at least `least`.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the first row (of `what`) with another length or an element that is
    /// not finite.
    pub(crate) fn lengths(&self, what: &str, least: f64) -> Result<Vec<f64>> {
        let length = |(index, row): (usize, &[f32])| {
            let square: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
            let length = square.sqrt();
            if (least..=*LENGTHS.end()).contains(&length) {
                Ok(length)
            } else {
                Err(Error::Argument(format!(
                    "{what} row {index} has length {length:?}, wanted {least:e} to {:e}",
                    LENGTHS.end()
                )))
            }
        };
        let rows = self.data.chunks_exact(self.dim).enumerate();
        rows.map(length).collect()
    }
}

/// Embeddings with a label each.
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// One row an image.
    pub embeddings: &'a Embeddings,
    /// One label an image, in the same order.
    pub labels: &'a [Label],
}

impl Labelled<'_> {
    pub(crate) fn check(&self, what: &str) -> Result<()> {
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
