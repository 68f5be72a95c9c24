//! `reid match` and `reid enroll`: compare images with a gallery, and add persons to one.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context;
use clap::Args;
use network::model::Model;
use retrieval::scan::similarity;
use runtime::gallery::{Candidate, Gallery, GalleryView, Origin, Resemblance, new_name};
use runtime::pipeline::unix_millis;
use serde::Serialize;

use super::gallery::look_alikes;
use super::images::Embedded;
use super::run::settings::{DEFAULT_FPIR, threshold};
use super::{DeviceArgs, ModelArgs, Outcome, images};

/// Decide for each image whether it shows an enrolled person, and list the most similar ones.
///
/// The verdict is `same person` if the similarity to the most similar person reaches the threshold,
/// else `unknown`. Without --threshold it is the one that the model states, as in `reid run`; if it
/// states none, there is no verdict. The exit code does not depend on the verdicts: 0 if all images
/// were compared, 3 if some could not be read, 1 if nothing could be compared.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  reid match unknown.jpg --gallery shop.redb --model person.onnx --top 3"
)]
pub(super) struct Match {
    /// Images, folders or patterns, one crop each
    #[arg(required = true)]
    queries: Vec<String>,
    /// Gallery file
    #[arg(long, value_name = "FILE")]
    gallery: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Similarity from which on a query is the same person as an enrolled one [default: the model's
    /// own, at an FPIR of 1 %, if it states one]
    #[arg(long, value_name = "T", value_parser = threshold)]
    threshold: Option<f32>,
    /// How many identities to list for each query, 1 to 20
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=MOST as i64))]
    top: u8,
    /// Print one JSON line a query
    #[arg(long)]
    json: bool,
}

/// The most identities that are listed for a query.
const MOST: usize = 20;

/// Similarity from which on two embeddings are those of the same picture. The same file gives the
/// same numbers but for the order in which threads add them.
const SAME: f32 = 0.999_99;

/// Enroll a person: every image becomes an exemplar of NAME.
///
/// A picture that is an exemplar of NAME already is not stored again. A note names pictures that
/// resemble another person, and enrolled names that look like a new NAME.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  reid enroll Ada ada/*.jpg --gallery shop.redb --model person.onnx"
)]
pub(super) struct Enroll {
    /// Name of the person; an enrolled one gets the images as further exemplars
    name: String,
    /// Images, folders or patterns, one crop each
    #[arg(required = true)]
    images: Vec<String>,
    /// Gallery file; created if missing
    #[arg(long, value_name = "FILE")]
    gallery: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Similarity from which on a note reports that a picture resembles another person [default: the
    /// model's own, as in `reid run`; without one, the similarity to the other pictures of NAME]
    #[arg(long, value_name = "T", value_parser = threshold)]
    threshold: Option<f32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    query: &'a str,
    /// None without a threshold.
    verdict: Option<Verdict>,
    /// Whom the query is the same person as.
    identity: Option<&'a str>,
    threshold: Option<f32>,
    matches: Vec<Named<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Verdict {
    #[serde(rename = "same person")]
    SamePerson,
    #[serde(rename = "unknown")]
    Unknown,
}

#[derive(Serialize)]
struct Named<'a> {
    identity: &'a str,
    similarity: f32,
}

#[derive(Serialize)]
struct Enrolled<'a> {
    schema: u32,
    identity: &'a str,
    images: usize,
    /// Pictures that were exemplars before.
    already: usize,
    unreadable: usize,
    exemplars: usize,
    resembles: Vec<Resembles<'a>>,
    look_alikes: Vec<String>,
}

/// A picture that resembles another person than the one it is enrolled for.
#[derive(Serialize)]
struct Resembles<'a> {
    image: &'a str,
    identity: String,
    similarity: f32,
}

impl Match {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let model = self.model.open()?;
        let dim = model.metadata.embedding.dim;
        // Before embedding: a wrong path should not take seconds to be found.
        let gallery = GalleryView::open(&self.gallery, model.space(), dim)?.closed();
        let threshold = stated(self.threshold, &model);
        if threshold.is_none() {
            let model = self.model.model.display();
            tracing::warn!(
                "no verdict, because {model} states no threshold: find one with `reid eval DATA --model \
                 {model} --open-set` on labelled crops of your site, and pass it as --threshold"
            );
        }
        let mut embedder = self.device.embedder(&model)?;
        let embedded = images::embed(&self.queries, &model, embedder.as_mut())?;
        for (index, query) in embedded.paths.iter().enumerate() {
            let best = gallery.top::<MOST>(embedded.embeddings.row(index))?;
            let best = &best[..best.len().min(usize::from(self.top))];
            let verdict = threshold.map(|threshold| match best.first() {
                Some(found) if found.similarity >= threshold => Verdict::SamePerson,
                _ => Verdict::Unknown,
            });
            if self.json {
                let same = best
                    .first()
                    .filter(|_| verdict == Some(Verdict::SamePerson));
                cli::json(&Answer {
                    schema: 1,
                    query,
                    verdict,
                    identity: same.map(|found| found.name),
                    threshold,
                    matches: best
                        .iter()
                        .map(|found| Named {
                            identity: found.name,
                            similarity: found.similarity,
                        })
                        .collect(),
                })?;
            } else {
                cli::lines([format!("{query}: {}", text(verdict, threshold, best))])?;
            }
        }
        Ok(embedded.outcome())
    }
}

/// The threshold of a command line, else the one that the model states.
fn stated(threshold: Option<f32>, model: &Model) -> Option<f32> {
    threshold.or_else(|| model.metadata.threshold_at(DEFAULT_FPIR))
}

/// A verdict and the most similar persons, best first.
fn text(verdict: Option<Verdict>, threshold: Option<f32>, best: &[Candidate<'_>]) -> String {
    let found = best
        .iter()
        .map(|found| format!("{} {:.3}", found.name, found.similarity));
    let found = found.collect::<Vec<_>>().join(", ");
    let found = match best.is_empty() {
        true => "the gallery is empty".to_owned(),
        false => found,
    };
    match (verdict, threshold) {
        (Some(Verdict::SamePerson), Some(t)) => format!("same person (threshold {t:.3}): {found}"),
        (Some(Verdict::Unknown), Some(t)) => format!("unknown (threshold {t:.3}): {found}"),
        _ => found,
    }
}

impl Enroll {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        // A name that cannot be one must not cost the time of embedding, nor leave an empty gallery.
        if !self.gallery.exists() {
            new_name(&self.name)?;
        }
        let model = self.model.open()?;
        let dim = model.metadata.embedding.dim;
        let threshold = stated(self.threshold, &model);
        let mut embedder = self.device.embedder(&model)?;
        // Before the gallery is touched: what cannot be embedded must not leave an empty one.
        let embedded = images::embed(&self.images, &model, embedder.as_mut())?;
        let mut gallery = Gallery::create_or_open(&self.gallery, model.space(), dim)?;
        let look_alikes = look_alikes(&gallery, &self.name, None)?;
        let time = unix_millis(SystemTime::now());
        let mut resembles = Vec::new();
        let mut already = 0;
        let mut person = None;
        for (index, path) in embedded.paths.iter().enumerate() {
            let embedding = embedded.embeddings.row(index);
            let Resemblance { own, other } = gallery.resemblance(&self.name, embedding)?;
            if let Some(own) = own.filter(|own| own.similarity >= SAME) {
                tracing::warn!(
                    "{path} is an exemplar of '{}' already: not stored again",
                    own.name
                );
                person = Some(own.identity);
                already += 1;
                continue;
            }
            // Without a threshold another person is too similar if nearer than the person's own
            // pictures; where there is none of these, only the very same picture is.
            let enough = threshold.unwrap_or_else(|| {
                let own = own.map(|own| own.similarity);
                let nearest = nearest_other(&embedded, index).into_iter().chain(own);
                nearest.reduce(f32::max).unwrap_or(SAME)
            });
            if let Some(other) = other.filter(|other| other.similarity >= enough.min(SAME)) {
                resembles.push(Resembles {
                    image: path,
                    identity: other.name.to_owned(),
                    similarity: other.similarity,
                });
            }
            let origin = Origin {
                source: path.clone(),
                frame: None,
                time,
                crop: None,
            };
            let identity = gallery.enroll(&self.name, embedding, &origin);
            person = Some(identity.with_context(|| path.clone())?);
        }
        let person = person.context("no image was enrolled")?;
        let (summary, _) = gallery.show(&format!("#{person}"))?;
        for Resembles {
            image,
            identity,
            similarity,
        } in &resembles
        {
            tracing::warn!(
                "{image} is enrolled as '{}' and resembles '{identity}' ({similarity:.3}): if they \
                 are one person, `reid gallery merge` makes one of them",
                summary.name
            );
        }
        let report = Enrolled {
            schema: 1,
            identity: &summary.name,
            images: embedded.paths.len() - already,
            already,
            unreadable: embedded.unreadable,
            exemplars: summary.exemplars,
            resembles,
            look_alikes,
        };
        if self.json {
            cli::json(&report)?;
        } else {
            let images = cli::count(report.images, "image");
            let exemplars = cli::count(report.exemplars, "exemplar");
            cli::lines([format!(
                "{}: {images} enrolled, {exemplars} in all",
                summary.name
            )])?;
        }
        Ok(embedded.outcome())
    }
}

/// Similarity of a picture to the nearest of those that are enrolled with it.
fn nearest_other(embedded: &Embedded, index: usize) -> Option<f32> {
    let row = embedded.embeddings.row(index);
    (0..embedded.paths.len())
        .filter(|&other| other != index)
        .map(|other| similarity(row, embedded.embeddings.row(other)))
        .reduce(f32::max)
}
