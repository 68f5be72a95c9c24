//! Embeddings projected to their first two principal components, for plots.
//!
//! Components are found one by one with power iteration on the centred rows (Golub and Van Loan,
//! "Matrix Computations", section 8.2), which needs no dim x dim matrix and is deterministic.

use retrieval::Embeddings;

use crate::Result;
use synth::random::Draw;

/// Steps at the most for one direction. Where two directions spread nearly the same, any mixture of
/// them is as good a picture, so that stopping there does no harm.
const STEPS: usize = 300;

/// Where each row lies in the plane, and how much of the spread the plane shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// A point for each row, around (0, 0).
    pub points: Vec<[f64; 2]>,
    /// Share of the variance along each axis, 0 to 1, the larger first.
    pub share: [f64; 2],
}

/// Lays out some embeddings.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if there are no rows or a number is not finite (its row is named).
pub fn projection(embeddings: &Embeddings) -> Result<Projection> {
    let (rows, dim) = (embeddings.rows(), embeddings.dim());
    ensure!(rows != 0, "no embeddings to lay out");
    super::check_finite(embeddings)?;
    let mut mean = vec![0.0f64; dim];
    for row in embeddings.as_slice().chunks_exact(dim) {
        for (sum, &value) in mean.iter_mut().zip(row) {
            *sum += f64::from(value) / rows as f64;
        }
    }
    let centred: Vec<f32> = (embeddings.as_slice().iter().enumerate())
        .map(|(at, &value)| (f64::from(value) - mean[at % dim]) as f32)
        .collect();
    let total: f64 = centred.iter().map(|&value| f64::from(value).powi(2)).sum();

    let mut points = vec![[0.0; 2]; rows];
    let mut share = [0.0; 2];
    let mut found: Vec<Vec<f64>> = Vec::new();
    for axis in 0..2.min(dim) {
        let Some(direction) = direction(&centred, dim, &found, axis as u64) else {
            break;
        };
        let mut spread = 0.0;
        for (point, row) in points.iter_mut().zip(centred.chunks_exact(dim)) {
            point[axis] = product(row, &direction);
            spread += point[axis].powi(2);
        }
        share[axis] = spread / total;
        found.push(direction);
    }
    Ok(Projection { points, share })
}

/// The direction of the largest spread at a right angle to those `found`; none if there is no spread.
fn direction(centred: &[f32], dim: usize, found: &[Vec<f64>], axis: u64) -> Option<Vec<f64>> {
    let mut draw = Draw::new(0, "projection", &[axis]);
    let mut direction: Vec<f64> = (0..dim).map(|_| draw.between(-1.0, 1.0)).collect();
    let mut size = centred.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    // What rounding leaves of rows that are all the same, or all on one line.
    let nothing = size * 1e-12;
    for _ in 0..STEPS {
        unit(&mut direction, found);
        let mut next = vec![0.0; dim];
        for row in centred.chunks_exact(dim) {
            let along = product(row, &direction);
            for (next, &value) in next.iter_mut().zip(row) {
                *next += along * f64::from(value);
            }
        }
        let before = size;
        direction = next;
        size = unit(&mut direction, found);
        if size <= nothing {
            return None;
        }
        if (size - before).abs() <= 1e-10 * size {
            break;
        }
    }
    // A direction and its opposite are the same axis: the larger part points up.
    let largest = direction
        .iter()
        .copied()
        .max_by(|a, b| a.abs().total_cmp(&b.abs()))?;
    if largest < 0.0 {
        direction.iter_mut().for_each(|value| *value = -*value);
    }
    Some(direction)
}

/// Takes what lies along `found` out of `direction`, scales it to length 1 and returns its length.
fn unit(direction: &mut [f64], found: &[Vec<f64>]) -> f64 {
    for other in found {
        let along: f64 = direction.iter().zip(other).map(|(a, b)| a * b).sum();
        for (value, other) in direction.iter_mut().zip(other) {
            *value -= along * other;
        }
    }
    let length = direction.iter().map(|v| v * v).sum::<f64>().sqrt();
    if length > 0.0 {
        direction.iter_mut().for_each(|value| *value /= length);
    }
    length
}

fn product(row: &[f32], direction: &[f64]) -> f64 {
    let products = row.iter().zip(direction).map(|(a, b)| f64::from(*a) * b);
    products.sum()
}
