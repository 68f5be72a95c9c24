//! Distances of features to the centre of their identity, and between centres: the effect of the
//! centre loss. The ratio of both does not change when all features are scaled.

use std::collections::BTreeMap;

use retrieval::{Embeddings, Label};
use serde::Serialize;

use crate::Result;

/// How tight the identities are, and how far apart. Euclidean distances.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Clusters {
    /// Identities with a number above 0: distractors and junk have no centre.
    pub identities: usize,
    /// Their images.
    pub images: usize,
    /// Mean distance of an image to the centre of its identity, over the images of identities that
    /// have two or more; none if there are no such.
    pub intra: Option<f64>,
    /// Mean distance of two centres; none if there is one identity.
    pub inter: Option<f64>,
    /// `intra` / `inter`, the smaller the better; none if one of them is, or all centres coincide.
    pub ratio: Option<f64>,
}

impl std::fmt::Display for Clusters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |x: Option<f64>| x.map_or("-".to_owned(), |x| format!("{x:.3}"));
        write!(
            f,
            "{} identities of {} images: {} from their centres, which are {} apart (ratio {})",
            self.identities,
            self.images,
            number(self.intra),
            number(self.inter),
            number(self.ratio)
        )
    }
}

/// Measures the identities of some images.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if there is not a label for each row, a number is not finite (its row is
/// named), or no label is a person (a number above 0).
pub fn clusters(embeddings: &Embeddings, labels: &[Label]) -> Result<Clusters> {
    ensure!(
        embeddings.rows() == labels.len(),
        "{} embeddings have {} labels",
        embeddings.rows(),
        labels.len()
    );
    super::check_finite(embeddings)?;
    let mut members: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        if label.person > 0 {
            members.entry(label.person).or_default().push(row);
        }
    }
    ensure!(
        !members.is_empty(),
        "no image of a person with a number above 0"
    );

    let mut centres: Vec<Vec<f64>> = Vec::with_capacity(members.len());
    let mut within = Mean::default();
    for rows in members.values() {
        let mut centre = vec![0.0; embeddings.dim()];
        for &row in rows {
            for (sum, &value) in centre.iter_mut().zip(embeddings.row(row)) {
                *sum += f64::from(value);
            }
        }
        for sum in &mut centre {
            *sum /= rows.len() as f64;
        }
        if rows.len() > 1 {
            for &row in rows {
                let values = embeddings.row(row).iter().map(|&value| f64::from(value));
                within.add(distance(values, &centre));
            }
        }
        centres.push(centre);
    }
    let mut between = Mean::default();
    for (at, one) in centres.iter().enumerate() {
        for other in &centres[..at] {
            between.add(distance(one.iter().copied(), other));
        }
    }
    let (intra, inter) = (within.value(), between.value());
    Ok(Clusters {
        identities: members.len(),
        images: members.values().map(Vec::len).sum(),
        intra,
        inter,
        ratio: intra
            .zip(inter)
            .filter(|(_, inter)| *inter > 0.0)
            .map(|(intra, inter)| intra / inter),
    })
}

fn distance(a: impl Iterator<Item = f64>, b: &[f64]) -> f64 {
    let squares = a.zip(b).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

#[derive(Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}
