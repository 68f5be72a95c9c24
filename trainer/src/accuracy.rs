//! Accuracy of a quantised network against its float network, on labelled crops.
//!
//! [`compare`] gives rank-1, mAP and mINP, error rates and cosines with confidence intervals;
//! [`sensitivity`] measures each layer alone; [`budget`] keeps layers float until the loss of mAP is
//! within a budget; [`collapse`] refuses a collapsed network before its file is written; [`evaluate`]
//! runs these in order; [`report`] writes the result.
//!
//! Definitions (queries and gallery by the rules of Market-1501, [`retrieval::metrics`]):
//! - *drop*: score of the float network minus score of the quantised one; positive is a loss.
//! - *threshold*: the lowest cosine at which the float network's FMR is at most
//!   [`CompareSettings::fmr`]. Both networks use it, and resamples keep it.
//! - *relative change* of FNMR: FNMR of the quantised network over that of the float one, minus 1.
//! - Intervals come from [`bootstrap`], over all queries of known persons.

pub mod bootstrap;
pub mod budget;
pub mod collapse;
pub mod embed;
pub mod evaluate;
pub mod report;
pub mod sensitivity;

use retrieval::metrics::{Outcome, outcomes};
use retrieval::open_set::{OpenSet, OperatingPoint};
use retrieval::verification::{Tally, tallies, threshold_at};
use retrieval::{Embeddings, Label, Labelled, Metric};
use serde::{Deserialize, Serialize};

use self::bootstrap::{Bootstrap, Interval};
use crate::data::dataset::{Dataset, Image};
use crate::export::dot;
use crate::{Error, Result};

/// Crops that [`CosineAgreement::worst`] names.
const WORST: usize = 12;

/// Embeddings of the queries and the gallery of a data set, one row for each image in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct TestEmbeddings {
    /// Of [`Dataset::query`].
    pub query: Embeddings,
    /// Of [`Dataset::gallery`].
    pub gallery: Embeddings,
}

/// How two networks are compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CompareSettings {
    /// How confidence intervals are computed.
    pub bootstrap: Bootstrap,
    /// The float network's false match rate at the threshold of the error rates, between 0 and 1.
    pub fmr: f64,
}

impl Default for CompareSettings {
    fn default() -> Self {
        Self {
            bootstrap: Bootstrap::default(),
            fmr: 1e-3,
        }
    }
}

/// A figure of both networks, and how much the quantised one loses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ComparedScore {
    /// Of the float network.
    pub float: Interval,
    /// Of the quantised network.
    pub int8: Interval,
    /// Float less quantised, in the same resamples: above 0 is a loss.
    pub drop: Interval,
}

/// Cosines between the two embeddings of each crop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CosineAgreement {
    /// Crops compared: all queries and all of the gallery.
    pub crops: usize,
    /// Mean cosine between the two embeddings of a crop.
    pub mean: f64,
    /// The least.
    pub min: f64,
    /// The crops with the least cosine, the least first, at most twelve.
    pub worst: Vec<ChangedCrop>,
}

/// A crop and how far its embedding moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangedCrop {
    /// The file.
    pub path: String,
    /// Cosine between its two embeddings.
    pub cosine: f64,
}

/// Error rates of both networks at the float network's threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ErrorRates {
    /// The requested false match rate of the float network.
    pub asked: f64,
    /// The lowest cosine at which it is kept.
    pub threshold: f32,
    /// Pairs of two persons.
    pub impostors: u64,
    /// Pairs of one person by two cameras.
    pub genuine: u64,
    /// False match rate.
    pub fmr: RatePair,
    /// False non-match rate.
    pub fnmr: RatePair,
    /// Relative change of the false non-match rate; none if that of the float network is 0.
    pub fnmr_change: Option<Interval>,
}

/// A rate of both networks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RatePair {
    /// Of the float network.
    pub float: Interval,
    /// Of the quantised network.
    pub int8: Interval,
}

/// The comparison of two networks on one data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the data set.
    pub set: String,
    /// Queries that have a right answer.
    pub queries: usize,
    /// Queries that have none, and count for impostor pairs only.
    pub skipped: usize,
    /// Images of the gallery.
    pub gallery: usize,
    /// How it was compared.
    pub settings: CompareSettings,
    /// Share of the queries whose first answer is right.
    pub rank1: ComparedScore,
    /// Mean average precision.
    pub map: ComparedScore,
    /// Mean inverse negative penalty.
    pub minp: ComparedScore,
    /// Cosines between the embeddings.
    pub cosine: CosineAgreement,
    /// Error rates, if there are pairs enough for them.
    pub errors: Option<ErrorRates>,
    /// Why there are no error rates.
    pub no_errors: Option<String>,
}

impl Comparison {
    /// Rank-1, mAP and mINP of the quantised network.
    #[must_use]
    pub fn int8_scores(&self) -> [f64; 3] {
        [self.rank1, self.map, self.minp].map(|score| score.int8.value)
    }
}

/// Compares the embeddings of the same crops by two networks.
///
/// # Errors
/// [`Error::Argument`] if embeddings and images do not fit together, an embedding is zero or has a
/// number that is not finite, or no query has a right answer.
pub fn compare(
    set: &Dataset,
    float: &TestEmbeddings,
    int8: &TestEmbeddings,
    settings: CompareSettings,
) -> Result<Comparison> {
    let named = |error: Error| Error::Argument(format!("{}: {error}", set.name));
    compare_embeddings(set, float, int8, settings).map_err(named)
}

fn compare_embeddings(
    set: &Dataset,
    float: &TestEmbeddings,
    int8: &TestEmbeddings,
    settings: CompareSettings,
) -> Result<Comparison> {
    let labels = [&set.query, &set.gallery].map(|images| labels(images));
    let cosine = agreement(set, float, int8)?;
    let both = [float, int8].map(|network| network.labelled(&labels));
    let ranked = |[query, gallery]: &[Labelled<'_>; 2]| outcomes(query, gallery, Metric::Cosine);
    let ranked = [ranked(&both[0])?, ranked(&both[1])?];
    let queries = ranked[0].iter().flatten().count();
    ensure!(
        queries != 0,
        "none of the {} queries has a right answer in the gallery: no image of the same person \
             by another camera",
        ranked[0].len()
    );
    let [query, gallery] = &both[0];
    let at_threshold = threshold_at(query, gallery, settings.fmr).and_then(|threshold| {
        let of = |[query, gallery]: &[Labelled<'_>; 2]| tallies(query, gallery, threshold);
        Ok((threshold, [of(&both[0])?, of(&both[1])?]))
    });
    let (threshold, counted, no_errors) = match at_threshold {
        Ok((threshold, counted)) => (Some(threshold), counted, None),
        Err(why) => {
            let none = vec![Tally::default(); labels[0].len()];
            (None, [none.clone(), none], Some(why.to_string()))
        }
    };

    let rows: Vec<[f64; COLUMNS]> = (0..labels[0].len())
        .filter(|&row| labels[0][row].person > 0)
        .map(|row| {
            let of = |network: usize| (ranked[network][row], counted[network][row]);
            columns([of(0), of(1)])
        })
        .collect();
    let found = settings.bootstrap.intervals(&rows, figures)?;
    let compared = |at: usize| -> ComparedScore {
        let at = |figure: usize| found[3 * at + figure].expect("one query has a right answer");
        ComparedScore {
            float: at(0),
            int8: at(1),
            drop: at(2),
        }
    };
    let sum = |count: &dyn Fn(&Tally) -> u64| counted[0].iter().map(count).sum::<u64>();
    let pair = |at: usize| RatePair {
        float: found[at].expect("there are pairs of both kinds"),
        int8: found[at + 1].expect("there are pairs of both kinds"),
    };
    Ok(Comparison {
        set: set.name.clone(),
        queries,
        skipped: ranked[0].len() - queries,
        gallery: set.gallery.len(),
        settings,
        rank1: compared(0),
        map: compared(1),
        minp: compared(2),
        cosine,
        errors: threshold.map(|threshold| ErrorRates {
            asked: settings.fmr,
            threshold,
            impostors: sum(&|tally| tally.impostors),
            genuine: sum(&|tally| tally.genuine),
            fmr: pair(9),
            fnmr: pair(11),
            fnmr_change: found[13],
        }),
        no_errors,
    })
}

/// What a query contributes: one if it has a right answer; then of each network whether the first is
/// right, average precision, inverse penalty, impostor pairs, false matches, genuine pairs, false
/// non-matches.
const COLUMNS: usize = 15;

/// Rank-1, mAP and mINP of the float network, of the other, and their drop; both networks' FMR; both
/// networks' FNMR; its relative change.
const FIGURES: usize = 14;

fn columns(networks: [(Option<Outcome>, Tally); 2]) -> [f64; COLUMNS] {
    let mut columns = [0.0; COLUMNS];
    for (at, (outcome, tally)) in networks.into_iter().enumerate() {
        let retrieval = outcome.map_or([0.0; 3], |outcome| {
            // Right answers depend on labels only: both networks have one or neither.
            columns[0] = 1.0;
            [
                f64::from(u8::from(outcome.first == 1)),
                outcome.average_precision,
                outcome.inverse_penalty,
            ]
        });
        let pairs = [
            tally.impostors,
            tally.false_matches,
            tally.genuine,
            tally.false_non_matches,
        ];
        let own = &mut columns[1 + 7 * at..][..7];
        own[..3].copy_from_slice(&retrieval);
        own[3..].copy_from_slice(&pairs.map(|count| count as f64));
    }
    columns
}

fn figures(sums: &[f64; COLUMNS]) -> [f64; FIGURES] {
    let (float, int8) = (&sums[1..8], &sums[8..15]);
    let mut figures = [0.0; FIGURES];
    for (at, three) in figures[..9].chunks_exact_mut(3).enumerate() {
        let means = [float[at] / sums[0], int8[at] / sums[0]];
        three.copy_from_slice(&[means[0], means[1], means[0] - means[1]]);
    }
    let rate = |of: &[f64], at: usize| of[at + 1] / of[at];
    figures[9..].copy_from_slice(&[
        rate(float, 3),
        rate(int8, 3),
        rate(float, 5),
        rate(int8, 5),
        rate(int8, 5) / rate(float, 5) - 1.0,
    ]);
    figures
}

/// Cosines between the two embeddings of each crop.
///
/// # Errors
/// [`Error::Argument`] if embeddings and images do not fit together, or naming the crop of which one
/// is zero or has a number that is not finite.
pub fn agreement(
    set: &Dataset,
    float: &TestEmbeddings,
    int8: &TestEmbeddings,
) -> Result<CosineAgreement> {
    float.check("float", set)?;
    int8.check("quantised", set)?;
    let mut moved = Vec::with_capacity(set.query.len() + set.gallery.len());
    for (images, float, int8) in [
        (&set.query, &float.query, &int8.query),
        (&set.gallery, &float.gallery, &int8.gallery),
    ] {
        for (row, image) in images.iter().enumerate() {
            let cosine = cosine(float.row(row), int8.row(row));
            if !cosine.is_finite() {
                return Err(Error::file(
                    &image.path,
                    "an embedding of it is zero or has a number that is not finite",
                ));
            }
            moved.push((cosine, image));
        }
    }
    ensure!(!moved.is_empty(), "there are no images to compare");
    let mean = moved.iter().map(|(cosine, _)| cosine).sum::<f64>() / moved.len() as f64;
    // A stable sort: of equals the earlier.
    moved.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let worst = moved.iter().take(WORST).map(|(cosine, image)| ChangedCrop {
        path: image.path.display().to_string(),
        cosine: *cosine,
    });
    Ok(CosineAgreement {
        crops: moved.len(),
        mean,
        min: moved[0].0,
        worst: worst.collect(),
    })
}

/// The threshold curve for the model metadata: FPIR and FNIR of the written network by rising
/// threshold, with the operating points of [`OpenSet`] among them.
///
/// # Errors
/// As [`retrieval::open_set::curve`].
pub fn thresholds(
    set: &Dataset,
    network: &TestEmbeddings,
) -> Result<(OpenSet, Vec<OperatingPoint>)> {
    let labels = [&set.query, &set.gallery].map(|images| labels(images));
    let [query, gallery] = network.labelled(&labels);
    let named = |error| Error::Argument(format!("{}: {error}", set.name));
    let found = retrieval::open_set::curve(&query, &gallery).map_err(named)?;
    let operating = found.operating.iter().map(|at| at.point);
    let mut points: Vec<OperatingPoint> = (found.curve.iter().copied())
        .chain(operating)
        .chain([found.equal_error])
        // Rounding can raise the highest score above 1, where no search passes.
        .filter(|point| (-1.0..=1.0).contains(&point.threshold))
        .collect();
    points.sort_by(|a, b| a.threshold.total_cmp(&b.threshold));
    points.dedup_by(|a, b| a.threshold == b.threshold);
    Ok((found, points))
}

impl TestEmbeddings {
    /// The embeddings of a data set by `embed`.
    ///
    /// # Errors
    /// Errors of `embed`.
    pub fn of(
        set: &Dataset,
        mut embed: impl FnMut(&[Image]) -> Result<Embeddings>,
    ) -> Result<Self> {
        Ok(Self {
            query: embed(&set.query)?,
            gallery: embed(&set.gallery)?,
        })
    }

    fn labelled<'a>(&'a self, [query, gallery]: &'a [Vec<Label>; 2]) -> [Labelled<'a>; 2] {
        [(&self.query, query), (&self.gallery, gallery)]
            .map(|(embeddings, labels)| Labelled { embeddings, labels })
    }

    fn check(&self, what: &str, set: &Dataset) -> Result<()> {
        let found = [self.query.rows(), self.gallery.rows()];
        let wanted = [set.query.len(), set.gallery.len()];
        if found != wanted || self.query.dim() != self.gallery.dim() {
            bail!(
                "embeddings of the {what} network are {} x {} and {} x {}, wanted rows for {} queries \
                 and {} gallery images, of one length",
                found[0],
                self.query.dim(),
                found[1],
                self.gallery.dim(),
                wanted[0],
                wanted[1]
            );
        }
        Ok(())
    }
}

fn labels(images: &[Image]) -> Vec<Label> {
    images.iter().map(|image| image.label).collect()
}

/// The cosine of the angle between two embeddings; not finite if one is zero, has a number that is
/// not finite, or is of another length.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    if a.len() != b.len() {
        return f64::NAN;
    }
    // Rounding must not make two equal ones nearer than equal.
    (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests;
