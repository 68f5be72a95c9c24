//! Quality of a ranking: CMC, mAP and mINP by the rules of Market-1501.
//!
//! For each query the gallery is ranked by distance, ties by the order in the gallery. Images of the
//! same person by the same camera and junk (a negative number) are removed first; distractors (number
//! 0) stay as wrong answers. A query without a right answer, or which is a distractor or junk, is
//! skipped and counted.

use serde::Serialize;

use super::{Embeddings, Label, Labelled, Metric, distance};
use network::{Error, Result};

/// Ranks that [`Scores::cmc`] lists.
const CMC_RANKS: usize = 50;

/// Quality of a ranking; all values are shares, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// Share of the queries whose first answer is right.
    pub rank1: f64,
    /// Share of the queries with a right answer among the first five.
    pub rank5: f64,
    /// Share of the queries with a right answer among the first ten.
    pub rank10: f64,
    /// Mean average precision: the mean over queries of the mean of the precision at each right
    /// answer, as torchreid and fast-reid have it. (The Matlab code that came with Market-1501
    /// takes trapezoids between right answers.)
    pub map: f64,
    /// Mean inverse negative penalty: right answers divided by the rank of the last of them (Ye et
    /// al., "Deep Learning for Person Re-identification: A Survey and Outlook", 2021).
    pub minp: f64,
    /// Queries in the means.
    pub queries: usize,
    /// Queries without a right answer in the gallery, which are not in the means.
    pub skipped: usize,
    /// `cmc[r - 1]`: share of the queries with a right answer among the first `r`; for 50 ranks, or
    /// as many as the gallery has images.
    pub cmc: Vec<f64>,
}

/// The contribution of one query to [`Scores`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Rank of the first right answer, from 1 on.
    pub first: usize,
    /// Mean of the precision at each right answer, 0 to 1; [`Scores::map`] is its mean.
    pub average_precision: f64,
    /// Right answers divided by the rank of the last of them, 0 to 1; [`Scores::minp`] is its mean.
    pub inverse_penalty: f64,
}

/// Ranks the gallery for each query and scores it. Needs memory for the distances of at most 480
/// queries a core.
///
/// ```
/// use retrieval::metrics::evaluate;
/// use retrieval::{Embeddings, Labelled, Metric, market};
///
/// let query = Embeddings::new(2, vec![1.0, 0.0])?;
/// let gallery = Embeddings::new(2, vec![0.0, 1.0, 0.8, 0.6])?;
/// let labels = ["0007_c1s1_000001_00.jpg", "0003_c2s1_000002_00.jpg", "0007_c2s1_000003_00.jpg"]
///     .map(|name| market::parse(name).expect("a name of Market-1501"));
/// let [query, gallery] = [(&query, &labels[..1]), (&gallery, &labels[1..])]
///     .map(|(embeddings, labels)| Labelled { embeddings, labels });
/// let scores = evaluate(&query, &gallery, Metric::Cosine)?;
/// assert_eq!((scores.rank1, scores.map), (1.0, 1.0));
/// # Ok::<(), network::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] if a side is empty, the numbers of embeddings and labels differ, a row (which is
/// named) is not finite or, with cosine, zero, or if no query has a right answer.
pub fn evaluate(query: &Labelled<'_>, gallery: &Labelled<'_>, metric: Metric) -> Result<Scores> {
    scores(&outcomes(query, gallery, metric)?, gallery.labels.len())
}

/// As [`evaluate`], query by query, `None` for one without a right answer: for confidence intervals.
///
/// # Errors
/// As [`evaluate`], except that a right answer is not needed.
pub fn outcomes(
    query: &Labelled<'_>,
    gallery: &Labelled<'_>,
    metric: Metric,
) -> Result<Vec<Option<Outcome>>> {
    distance::for_each_labelled(query, gallery, metric, |index, distances| {
        outcome(distances, query.labels[index], gallery.labels)
    })
}

/// Scores given distances, `[queries, gallery]` row-major, such as those of
/// [`super::rerank::k_reciprocal`].
///
/// # Errors
/// [`Error::Argument`] if there are not as many distances as pairs of labels, one is not finite (it
/// is named), or no query has a right answer.
pub fn evaluate_distances(distances: &[f32], query: &[Label], gallery: &[Label]) -> Result<Scores> {
    if query.is_empty() || gallery.is_empty() {
        return Err(Error::Argument(format!(
            "{} queries and {} gallery images, wanted at least one of each",
            query.len(),
            gallery.len()
        )));
    }
    if query.len().checked_mul(gallery.len()) != Some(distances.len()) {
        return Err(Error::Argument(format!(
            "{} queries x {} gallery images have {} distances",
            query.len(),
            gallery.len(),
            distances.len()
        )));
    }
    if let Some(at) = distances.iter().position(|distance| !distance.is_finite()) {
        return Err(Error::Argument(format!(
            "the distance of query row {} to gallery row {} is {}",
            at / gallery.len(),
            at % gallery.len(),
            distances[at]
        )));
    }
    let outcomes = distance::map_on_all_cores(query.len(), |index| {
        let distances = &distances[index * gallery.len()..][..gallery.len()];
        outcome(distances, query[index], gallery)
    });
    scores(&outcomes, gallery.len())
}

/// An answer of [`first_answers`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Row of the gallery.
    pub image: usize,
    /// Its distance to the query.
    pub distance: f32,
    /// Whether it shows the query's person.
    pub right: bool,
}

/// The first `count` answers to some queries, named by row, nearest first by the rules of
/// [`evaluate`]: for viewing.
///
/// # Errors
/// As [`evaluate`], except that a right answer is not needed; [`Error::Argument`] if a query does not
/// exist.
pub fn first_answers(
    query: &Labelled<'_>,
    gallery: &Labelled<'_>,
    metric: Metric,
    queries: &[usize],
    count: usize,
) -> Result<Vec<Vec<Ranked>>> {
    query.check("queries")?;
    gallery.check("gallery")?;
    if let Some(row) = queries.iter().find(|row| **row >= query.labels.len()) {
        let rows = query.labels.len();
        return Err(Error::Argument(format!("query row {row} of {rows} rows")));
    }
    let rows = queries.iter().map(|&row| query.embeddings.row(row));
    let chosen = Embeddings::new(query.embeddings.dim(), rows.flatten().copied().collect())?;
    distance::for_each_query(&chosen, gallery.embeddings, metric, |index, distances| {
        let label = query.labels[queries[index]];
        let mut ranked: Vec<Ranked> = (gallery.labels.iter().zip(distances).enumerate())
            .map(|(image, (&other, distance))| (image, answer(label, other), *distance))
            .filter(|(_, answer, _)| *answer != Answer::Ignored)
            .map(|(image, answer, distance)| Ranked {
                image,
                distance,
                right: answer == Answer::Right,
            })
            .collect();
        ranked.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        ranked.truncate(count);
        ranked
    })
}

/// How a gallery image counts for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The same person, seen by another camera.
    Right,
    /// Another person.
    Wrong,
    /// Removed before ranking: junk, or the same person by the same camera.
    Ignored,
}

pub(super) fn answer(query: Label, gallery: Label) -> Answer {
    if gallery.person < 0 {
        Answer::Ignored
    } else if query.person <= 0 || gallery.person != query.person {
        Answer::Wrong
    } else if gallery.camera == query.camera {
        Answer::Ignored
    } else {
        Answer::Right
    }
}

/// Scores one query, `None` if the gallery has no right answer. Instead of a full sort, each wrong
/// answer is placed among the few right ones.
fn outcome(distances: &[f32], query: Label, gallery: &[Label]) -> Option<Outcome> {
    let order = |a: &(f32, usize), b: &(f32, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    let mut right: Vec<(f32, usize)> = gallery
        .iter()
        .enumerate()
        .filter(|(_, label)| answer(query, **label) == Answer::Right)
        .map(|(index, _)| (distances[index], index))
        .collect();
    right.sort_unstable_by(order);
    let farthest = right.last()?.0;

    // wrong[i]: how many wrong answers lie between the right ones i - 1 and i.
    let mut wrong = vec![0usize; right.len() + 1];
    for (index, (&distance, &label)) in distances.iter().zip(gallery).enumerate() {
        if distance <= farthest && answer(query, label) == Answer::Wrong {
            let place = right.partition_point(|hit| order(hit, &(distance, index)).is_lt());
            wrong[place] += 1;
        }
    }

    let mut rank = 0;
    let mut first = None;
    let mut precisions = 0.0;
    for (index, wrong) in wrong[..right.len()].iter().enumerate() {
        rank += wrong + 1;
        first.get_or_insert(rank);
        precisions += (index + 1) as f64 / rank as f64;
    }
    Some(Outcome {
        first: first?,
        average_precision: precisions / right.len() as f64,
        inverse_penalty: right.len() as f64 / rank as f64,
    })
}

fn scores(outcomes: &[Option<Outcome>], gallery: usize) -> Result<Scores> {
    let valid: Vec<Outcome> = outcomes.iter().copied().flatten().collect();
    if valid.is_empty() {
        return Err(Error::Argument(format!(
            "none of the {} queries has a right answer in the gallery: no image of the same person \
             by another camera",
            outcomes.len()
        )));
    }
    let mean =
        |value: &dyn Fn(&Outcome) -> f64| valid.iter().map(value).sum::<f64>() / valid.len() as f64;
    let within = |rank: usize| mean(&|outcome| f64::from(u8::from(outcome.first <= rank)));
    Ok(Scores {
        rank1: within(1),
        rank5: within(5),
        rank10: within(10),
        map: mean(&|outcome| outcome.average_precision),
        minp: mean(&|outcome| outcome.inverse_penalty),
        queries: valid.len(),
        skipped: outcomes.len() - valid.len(),
        cmc: (1..=gallery.min(CMC_RANKS)).map(within).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(person: i32, camera: u32) -> Label {
        Label { person, camera }
    }

    /// By hand: the query is person 1 at camera 1.
    #[test]
    fn one_query_by_hand() {
        let (right, same_camera) = (label(1, 2), label(1, 1));
        let (other, distractor, junk) = (label(2, 1), label(0, 3), label(-1, 2));
        struct Case {
            name: &'static str,
            gallery: Vec<(f32, Label)>,
            /// First rank, average precision, inverse penalty.
            wanted: Option<(usize, f64, f64)>,
        }
        let cases = [
            Case {
                name: "right first and third",
                gallery: vec![(0.1, right), (0.2, other), (0.3, right), (0.4, other)],
                wanted: Some((1, (1.0 + 2.0 / 3.0) / 2.0, 2.0 / 3.0)),
            },
            Case {
                name: "order in the gallery does not matter",
                gallery: vec![(0.3, right), (0.4, other), (0.1, right), (0.2, other)],
                wanted: Some((1, (1.0 + 2.0 / 3.0) / 2.0, 2.0 / 3.0)),
            },
            Case {
                name: "same camera and junk are taken out",
                gallery: vec![(0.0, same_camera), (0.1, junk), (0.2, right)],
                wanted: Some((1, 1.0, 1.0)),
            },
            Case {
                name: "distractors are wrong",
                gallery: vec![(0.0, distractor), (0.1, distractor), (0.2, right)],
                wanted: Some((3, 1.0 / 3.0, 1.0 / 3.0)),
            },
            Case {
                name: "a tie goes to the earlier, here the wrong one",
                gallery: vec![(0.5, other), (0.5, right)],
                wanted: Some((2, 0.5, 0.5)),
            },
            Case {
                name: "a tie goes to the earlier, here the right one",
                gallery: vec![(0.5, right), (0.5, other)],
                wanted: Some((1, 1.0, 1.0)),
            },
            Case {
                name: "one image",
                gallery: vec![(2.0, right)],
                wanted: Some((1, 1.0, 1.0)),
            },
            Case {
                name: "no right answer",
                gallery: vec![(0.1, same_camera), (0.2, other), (0.3, junk)],
                wanted: None,
            },
        ];
        for case in cases {
            let (distances, labels): (Vec<_>, Vec<_>) = case.gallery.into_iter().unzip();
            let found = outcome(&distances, label(1, 1), &labels);
            let found = found.map(|o| (o.first, o.average_precision, o.inverse_penalty));
            assert_eq!(found, case.wanted, "{}", case.name);
        }
    }

    #[test]
    fn first_answers_by_hand() {
        let labels = [
            label(2, 2),
            label(1, 1),
            label(1, 2),
            label(-1, 3),
            label(0, 3),
        ];
        let gallery = Embeddings::new(1, vec![3.0, 0.0, 1.0, 0.0, -1.0]).unwrap();
        let query = Embeddings::new(1, vec![7.0, 0.0]).unwrap();
        let query_labels = [label(2, 1), label(1, 1)];
        let sides = [(&query, &query_labels[..]), (&gallery, &labels[..])]
            .map(|(embeddings, labels)| Labelled { embeddings, labels });
        let [query, gallery] = sides;
        let metric = Metric::SquaredEuclidean;
        let found = first_answers(&query, &gallery, metric, &[1, 0], 2).unwrap();
        let found: Vec<Vec<_>> = (found.iter())
            .map(|row| (row.iter().map(|r| (r.image, r.distance, r.right))).collect())
            .collect();
        // Junk and the same person by the same camera are taken out; a tie goes to the earlier.
        let wanted = [
            [(2, 1.0, true), (4, 1.0, false)],
            [(0, 16.0, true), (2, 36.0, false)],
        ];
        assert_eq!(found, wanted);
        assert!(first_answers(&query, &gallery, metric, &[2], 2).is_err());
    }

    #[test]
    fn means_over_valid_queries_only() {
        // Ranks of the right answer: 1, 2, 6; the last two have none.
        let query = [1, 2, 3, 4, 0].map(|person| label(person, 1));
        let gallery = [1, 2, 3, 0, 0, 0, 0].map(|person| label(person, 2));
        let distances = [
            [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
            [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
            [0.1, 0.2, 0.6, 0.3, 0.4, 0.5, 0.7],
            [0.1; 7],
            [0.1; 7],
        ];
        let scores = evaluate_distances(distances.as_flattened(), &query, &gallery).unwrap();
        assert_eq!((scores.queries, scores.skipped), (3, 2));
        assert_eq!(
            [scores.rank1, scores.rank5, scores.rank10],
            [1.0 / 3.0, 2.0 / 3.0, 1.0]
        );
        let map = (1.0 + 1.0 / 2.0 + 1.0 / 6.0) / 3.0;
        assert!((scores.map - map).abs() < 1e-15 && (scores.minp - map).abs() < 1e-15);
        let third = 1.0 / 3.0;
        let two = 2.0 / 3.0;
        assert_eq!(scores.cmc, [third, two, two, two, two, 1.0, 1.0]);
    }
}
