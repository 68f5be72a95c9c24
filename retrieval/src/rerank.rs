//! k-reciprocal re-ranking: images whose nearest neighbours are mutual move closer.
//!
//! After Zhong, Zheng, Cao and Li, CVPR 2017, step by step as in their `re_ranking.py` (squared Euclidean
//! distances, divided by the largest of each row). That code keeps several matrices of all images by all
//! images; this one keeps the distances of at most 480 images a core and a few hundred elements an
//! image. Where that code leaves the order open, ties go to the earlier image, queries first.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Embeddings, Metric, distance};
use network::{Error, Result};

/// Parameters of [`k_reciprocal`]; the default is the paper's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RerankOptions {
    /// Size of the neighbourhoods that must contain each other, at least 1.
    pub k1: usize,
    /// Number of nearest images whose neighbourhoods are averaged, at least 1 (none but its own).
    pub k2: usize,
    /// Weight of the original distance in the result, 0 to 1.
    pub lambda: f32,
}

impl Default for RerankOptions {
    fn default() -> Self {
        Self {
            k1: 20,
            k2: 6,
            lambda: 0.3,
        }
    }
}

/// Non-zero elements of a row, by ascending column.
type Sparse = Vec<(u32, f32)>;

/// Re-ranked distances of every query to every gallery image, `[queries, gallery]` row-major,
/// 0 to 1. Normalise the embeddings before for cosine.
///
/// # Errors
/// [`Error::Argument`] if a side is empty, lengths differ, a row has numbers that are not finite
/// (it is named; the gallery's count on after the queries'), or an option is out of its range.
pub fn k_reciprocal(
    query: &Embeddings,
    gallery: &Embeddings,
    options: RerankOptions,
) -> Result<Vec<f32>> {
    let RerankOptions { k1, k2, lambda } = options;
    if k1 == 0 || k2 == 0 || !(0.0..=1.0).contains(&lambda) {
        return Err(Error::Argument(format!(
            "re-ranking with k1 {k1}, k2 {k2} and lambda {lambda}, wanted k1 and k2 of at least 1 \
             and lambda of 0 to 1"
        )));
    }
    let all = stacked(query, gallery)?;
    let kept = all.rows().min(k1.saturating_add(1).max(k2));

    // Row by row: the nearest images, the largest distance, and of queries all distances.
    let mut original = vec![0.0; query.rows() * gallery.rows()];
    let of_query: Vec<_> = original
        .chunks_exact_mut(gallery.rows())
        .map(Mutex::new)
        .collect();
    let rows: Vec<(Vec<u32>, f32)> =
        distance::for_each_query(&all, &all, Metric::SquaredEuclidean, |index, distances| {
            distances[index] = 0.0;
            let largest = distances.iter().copied().fold(0.0, f32::max);
            if let Some(original) = of_query.get(index) {
                // Never contended: one visit a row.
                let mut original = original.lock().unwrap_or_else(PoisonError::into_inner);
                for (to, from) in original.iter_mut().zip(&distances[query.rows()..]) {
                    *to = share(*from, largest);
                }
            }
            (nearest(distances, kept), largest)
        })?;
    drop(of_query);

    let neighbours: Vec<&[u32]> = rows.iter().map(|(nearest, _)| nearest.as_slice()).collect();
    let encoded = distance::map_on_all_cores(all.rows(), |index| {
        let members = expanded(&neighbours, index as u32, k1);
        let weights = members.into_iter().map(|member| {
            let apart = distance::squared_euclidean(all.row(index), all.row(member as usize));
            (member, (-share(apart, rows[index].1)).exp())
        });
        let mut weights: Sparse = weights.collect();
        let total: f32 = weights.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut weights {
            *weight /= total;
        }
        weights
    });
    let encoded = if k2 == 1 {
        encoded
    } else {
        distance::map_on_all_cores(all.rows(), |index| {
            let near = neighbours[index];
            mean(&encoded, &near[..k2.min(near.len())])
        })
    };

    Ok(blended(original, &encoded, query.rows(), lambda))
}

fn stacked(query: &Embeddings, gallery: &Embeddings) -> Result<Embeddings> {
    if query.dim() != gallery.dim() || query.rows() == 0 || gallery.rows() == 0 {
        return Err(Error::Argument(format!(
            "{} queries of {} numbers and {} gallery images of {}, wanted at least one of each and \
             equal lengths",
            query.rows(),
            query.dim(),
            gallery.rows(),
            gallery.dim()
        )));
    }
    Embeddings::new(query.dim(), [query.as_slice(), gallery.as_slice()].concat())
}

/// `distance` in units of `largest`; 0 if everything is in one place.
fn share(distance: f32, largest: f32) -> f32 {
    if largest > 0.0 {
        distance / largest
    } else {
        0.0
    }
}

/// The `count` nearest images, nearest first, ties by number.
fn nearest(distances: &[f32], count: usize) -> Vec<u32> {
    let order = |a: &u32, b: &u32| {
        let (x, y) = (distances[*a as usize], distances[*b as usize]);
        x.total_cmp(&y).then(a.cmp(b))
    };
    let mut indices: Vec<u32> = (0..distances.len() as u32).collect();
    if count < indices.len() {
        indices.select_nth_unstable_by(count, order);
        indices.truncate(count);
    }
    indices.sort_unstable_by(order);
    indices.shrink_to_fit();
    indices
}

/// Those among the `k` + 1 nearest of `index` that have `index` among their `k` + 1 nearest.
fn reciprocal(neighbours: &[&[u32]], index: u32, k: usize) -> Vec<u32> {
    let near = |index: u32| neighbours[index as usize].iter().take(k.saturating_add(1));
    near(index)
        .copied()
        .filter(|&other| near(other).any(|&back| back == index))
        .collect()
}

/// The k-reciprocal neighbours of `index`, with those of each neighbour that shares more than two
/// thirds of its own (at half of k) with them; ascending.
fn expanded(neighbours: &[&[u32]], index: u32, k: usize) -> Vec<u32> {
    let own = reciprocal(neighbours, index, k);
    let mut members = own.clone();
    // As numpy's `around`: a half goes to the even number.
    let half = (k as f64 / 2.0).round_ties_even() as usize;
    for &candidate in &own {
        let theirs = reciprocal(neighbours, candidate, half);
        let shared = theirs.iter().filter(|member| own.contains(member)).count();
        if 3 * shared > 2 * theirs.len() {
            members.extend(theirs);
        }
    }
    members.sort_unstable();
    members.dedup();
    members
}

/// The mean of the rows of `encoded` that `of` names.
fn mean(encoded: &[Sparse], of: &[u32]) -> Sparse {
    let mut terms: Sparse = of
        .iter()
        .flat_map(|&row| &encoded[row as usize])
        .copied()
        .collect();
    terms.sort_by_key(|(column, _)| *column);
    terms
        .chunk_by(|a, b| a.0 == b.0)
        .map(|terms| {
            let sum: f32 = terms.iter().map(|(_, weight)| weight).sum();
            (terms[0].0, sum / of.len() as f32)
        })
        .collect()
}

/// The Jaccard distance of the encodings, and `lambda` parts of the `original` distance.
fn blended(original: Vec<f32>, encoded: &[Sparse], queries: usize, lambda: f32) -> Vec<f32> {
    // For each column the gallery images that have it.
    let gallery = encoded.len() - queries;
    let mut holders: Vec<Sparse> = vec![Vec::new(); encoded.len()];
    for (image, row) in encoded[queries..].iter().enumerate() {
        for &(column, weight) in row {
            holders[column as usize].push((image as u32, weight));
        }
    }
    let mut distances = original;
    let blend = |row: &Sparse, distances: &mut [f32], shared: &mut [f32]| {
        shared.fill(0.0);
        for &(column, weight) in row {
            for &(image, other) in &holders[column as usize] {
                shared[image as usize] += weight.min(other);
            }
        }
        for (distance, shared) in distances.iter_mut().zip(shared) {
            // Both encodings sum to one, so that their union is 2 less what they share.
            let jaccard = 1.0 - *shared / (2.0 - *shared);
            *distance = jaccard * (1.0 - lambda) + *distance * lambda;
        }
    };
    let part = queries.div_ceil(distance::threads());
    thread::scope(|scope| {
        let parts = distances.chunks_mut(part * gallery);
        for (distances, rows) in parts.zip(encoded[..queries].chunks(part)) {
            let blend = &blend;
            scope.spawn(move || {
                let mut shared = vec![0.0f32; gallery];
                for (row, distances) in rows.iter().zip(distances.chunks_exact_mut(gallery)) {
                    blend(row, distances, &mut shared);
                }
            });
        }
    });
    distances
}
