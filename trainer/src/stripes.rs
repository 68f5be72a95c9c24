//! The colour-stripe baseline on a data set: how well colours alone identify persons.

use retrieval::metrics::{self, Scores};
use retrieval::stripes::{DIM, embed};
use retrieval::{Embeddings, Label, Labelled, Metric};

use crate::Result;
use crate::data::picture::Picture;
use crate::data::{Dataset, Image};

/// Scores of the colour-stripe baseline on the test part of a data set: cosine, by the rules of
/// Market-1501.
///
/// # Errors
/// If an image cannot be read, and as [`metrics::evaluate`].
pub fn evaluate(dataset: &Dataset) -> Result<Scores> {
    let mut picture = Picture::default();
    let mut part = |images: &[Image]| -> Result<(Embeddings, Vec<Label>)> {
        let mut rows = Vec::with_capacity(images.len() * DIM);
        for image in images {
            picture.read(&image.path)?;
            let view = picture.view()?;
            rows.extend(embed(view.rgb(), view.width(), view.height())?);
        }
        let labels = images.iter().map(|image| image.label).collect();
        Ok((Embeddings::new(DIM, rows)?, labels))
    };
    let (query, query_labels) = part(&dataset.query)?;
    let (gallery, gallery_labels) = part(&dataset.gallery)?;
    let query = Labelled {
        embeddings: &query,
        labels: &query_labels,
    };
    let gallery = Labelled {
        embeddings: &gallery,
        labels: &gallery_labels,
    };
    Ok(metrics::evaluate(&query, &gallery, Metric::Cosine)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `REID_DATA=Market-1501 cargo test --release -p trainer --no-default-features stripes --
    /// --ignored --nocapture`
    #[test]
    #[ignore = "wants a data set: REID_DATA"]
    fn stripes_on_a_data_set() {
        let root = std::env::var_os("REID_DATA").expect("REID_DATA names a data set's folder");
        let dataset = Dataset::open(root.as_ref(), &Default::default()).unwrap();
        let Scores {
            map,
            rank1,
            rank5,
            minp,
            queries,
            ..
        } = evaluate(&dataset).unwrap();
        println!(
            "mAP {map:.3}, rank-1 {rank1:.3}, rank-5 {rank5:.3}, mINP {minp:.3}, {queries} queries"
        );
    }
}
