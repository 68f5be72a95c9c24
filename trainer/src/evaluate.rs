//! Retrieval scores of float networks: features of a test set in, score tables out.
//!
//! The protocol is that of Market-1501, also used by CUHK03's new protocol (Zhong et al., CVPR 2017)
//! and MSMT17: gallery images of the query's person by the query's camera are ignored.
//! [`cross`] evaluates one model on several test sets, [`necks`] the features before and after the
//! neck with both metrics; [`clusters`] and [`projection`] describe how features are distributed.

pub mod clusters;
pub mod projection;

use retrieval::metrics::{Scores, evaluate_distances};
use retrieval::rerank::{RerankOptions, k_reciprocal};
use retrieval::{self, Embeddings, Label, Labelled, metrics};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Which feature of the network is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Feature {
    /// Before the neck.
    Ft,
    /// After the neck.
    Fi,
}

/// How features are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Euclidean distance.
    Euclid,
    /// One less the cosine of the angle.
    Cosine,
}

/// Features of some images; all values are finite.
#[derive(Debug, Clone)]
pub struct Features {
    f_t: Embeddings,
    f_i: Option<Embeddings>,
    labels: Vec<Label>,
    names: Vec<String>,
}

/// Queries and the gallery that they are searched in.
#[derive(Debug, Clone)]
pub struct TestSet {
    /// Its name, for example `Market-1501`.
    pub name: String,
    /// The queries.
    pub query: Features,
    /// The gallery.
    pub gallery: Features,
}

/// What is compared, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvalSettings {
    /// Which feature; a network without a neck has only [`Feature::Ft`].
    pub feature: Feature,
    /// By which distance.
    pub metric: Metric,
    /// Whether also after k-reciprocal re-ranking with the paper's k1 20, k2 6, lambda 0.3.
    pub rerank: bool,
}

/// Score rows, for text or JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreTable {
    /// One test set under one setting each.
    pub rows: Vec<ScoreRow>,
}

/// Scores of one test set under one setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreRow {
    /// Name of the test set.
    pub set: String,
    /// Which feature.
    pub feature: Feature,
    /// By which distance.
    pub metric: Metric,
    /// As the distances rank the gallery.
    pub plain: Scores,
    /// After re-ranking, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reranked: Option<Scores>,
    /// Images of the gallery.
    pub gallery: usize,
}

impl Features {
    /// Features of the images `names`, one row for each.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are not as many rows, labels and names, or with the image whose
    /// feature has a number that is not finite.
    pub fn new(
        f_t: Embeddings,
        f_i: Option<Embeddings>,
        labels: Vec<Label>,
        names: Vec<String>,
    ) -> Result<Self> {
        for (what, embeddings) in [("f_t", Some(&f_t)), ("f_i", f_i.as_ref())] {
            let Some(embeddings) = embeddings else {
                continue;
            };
            if embeddings.rows() != labels.len() || names.len() != labels.len() {
                bail!(
                    "{} rows of {what}, {} labels and {} names, wanted as many of each",
                    embeddings.rows(),
                    labels.len(),
                    names.len()
                );
            }
            let numbers = embeddings.as_slice();
            if let Some(at) = numbers.iter().position(|value| !value.is_finite()) {
                bail!(
                    "{}: {what}[{}] is {}, wanted a finite number",
                    names[at / embeddings.dim()],
                    at % embeddings.dim(),
                    numbers[at]
                );
            }
        }
        Ok(Self {
            f_t,
            f_i,
            labels,
            names,
        })
    }

    /// One of the features; none after the neck if the network has no neck.
    #[must_use]
    pub fn feature(&self, feature: Feature) -> Option<&Embeddings> {
        match feature {
            Feature::Ft => Some(&self.f_t),
            Feature::Fi => self.f_i.as_ref(),
        }
    }

    /// The label of each image.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Names of the images.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A feature as it is compared: of length 1 for cosine.
    pub(crate) fn compared(&self, feature: Feature, metric: Metric) -> Result<Embeddings> {
        let found = self.feature(feature).ok_or_else(|| {
            Error::Argument("the network has no neck: f_t is its only feature".to_owned())
        })?;
        let mut found = found.clone();
        if metric == Metric::Cosine {
            let zero = |row: &[f32]| row.iter().all(|value| *value == 0.0);
            if let Some(row) = found.as_slice().chunks(found.dim()).position(zero) {
                bail!(
                    "{}: its feature is zero, which has no cosine",
                    self.names[row]
                );
            }
            found.normalise()?;
        }
        Ok(found)
    }
}

impl TestSet {
    /// The feature that is compared in use: behind the neck, if there is one.
    #[must_use]
    pub fn best_feature(&self) -> Feature {
        match self.query.f_i {
            Some(_) => Feature::Fi,
            None => Feature::Ft,
        }
    }
}

impl From<Metric> for retrieval::Metric {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Euclid => Self::SquaredEuclidean,
            Metric::Cosine => Self::Cosine,
        }
    }
}

/// Scores one test set.
///
/// # Errors
/// [`Error::Argument`] with the name of the set: a side is empty, no query has a right answer, the
/// sides' features differ in length, there is no feature of that name, or one is zero where the
/// metric is cosine (its image is named).
pub fn evaluate(set: &TestSet, settings: EvalSettings) -> Result<ScoreRow> {
    let named = |error: Error| Error::Argument(format!("{}: {error}", set.name));
    scored(set, settings).map_err(named)
}

fn scored(set: &TestSet, settings: EvalSettings) -> Result<ScoreRow> {
    let EvalSettings {
        feature,
        metric,
        rerank,
    } = settings;
    let query = set.query.compared(feature, metric)?;
    let gallery = set.gallery.compared(feature, metric)?;
    let [query_side, gallery_side] =
        [(&query, &set.query), (&gallery, &set.gallery)].map(|(embeddings, features)| Labelled {
            embeddings,
            labels: &features.labels,
        });
    let plain = metrics::evaluate(&query_side, &gallery_side, metric.into())?;
    let reranked = if rerank {
        let distances = k_reciprocal(&query, &gallery, RerankOptions::default())?;
        let (query, gallery) = (&set.query.labels, &set.gallery.labels);
        Some(evaluate_distances(&distances, query, gallery)?)
    } else {
        None
    };
    Ok(ScoreRow {
        set: set.name.clone(),
        feature,
        metric,
        plain,
        reranked,
        gallery: gallery.rows(),
    })
}

/// Scores of one model on several test sets, one row for each.
///
/// # Errors
/// As [`evaluate`].
pub fn cross(sets: &[TestSet], settings: EvalSettings) -> Result<ScoreTable> {
    let rows = sets.iter().map(|set| evaluate(set, settings));
    Ok(ScoreTable {
        rows: rows.collect::<Result<_>>()?,
    })
}

/// Scores of the features before and after the neck by both metrics, one row for each. A network
/// without a neck has two rows.
///
/// # Errors
/// As [`evaluate`].
pub fn necks(set: &TestSet, rerank: bool) -> Result<ScoreTable> {
    let mut rows = Vec::new();
    for feature in [Feature::Ft, Feature::Fi] {
        if set.query.feature(feature).is_none() {
            continue;
        }
        for metric in [Metric::Euclid, Metric::Cosine] {
            let settings = EvalSettings {
                feature,
                metric,
                rerank,
            };
            rows.push(evaluate(set, settings)?);
        }
    }
    Ok(ScoreTable { rows })
}

impl ScoreTable {
    /// The table in aligned columns, shares in percent, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let header = [
            "set", "feature", "metric", "rank-1", "rank-5", "rank-10", "mAP", "mINP", "queries",
            "skipped", "gallery",
        ];
        let mut cells = vec![header.map(str::to_owned).to_vec()];
        for row in &self.rows {
            let feature = match row.feature {
                Feature::Ft => "ft",
                Feature::Fi => "fi",
            };
            let metric = match row.metric {
                Metric::Euclid => "euclid",
                Metric::Cosine => "cosine",
            };
            let reranked = row.reranked.as_ref().map(|scores| (scores, " re-ranked"));
            for (scores, note) in [(&row.plain, "")].into_iter().chain(reranked) {
                let Scores {
                    rank1,
                    rank5,
                    rank10,
                    map,
                    minp,
                    ..
                } = *scores;
                let shares = [rank1, rank5, rank10, map, minp];
                let counts = [scores.queries, scores.skipped, row.gallery];
                let mut line = vec![row.set.clone(), feature.into(), format!("{metric}{note}")];
                line.extend(shares.map(|share| format!("{:.2}", share * 100.0)));
                line.extend(counts.map(|count| count.to_string()));
                cells.push(line);
            }
        }
        // Names to the left, numbers to the right.
        cli::table_with_numbers(&cells, 3)
    }
}

/// Refuses embeddings with a NaN or an infinite element, by the row.
fn check_finite(embeddings: &Embeddings) -> Result<()> {
    let values = embeddings.as_slice();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(Error::Argument(format!(
            "embedding row {} has {}, wanted finite numbers",
            at / embeddings.dim(),
            values[at]
        ))),
    }
}

#[cfg(test)]
mod tests;
