//! `reid match` and `reid enroll`: images against a gallery, and into one.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context;
use clap::Args;
use retrieval::scan::similarity;
use runtime::gallery::{Gallery, GalleryView, Origin, Resemblance, new_name};
use runtime::pipeline::unix_millis;
use serde::Serialize;

use super::gallery::look_alikes;
use super::images::Embedded;
use super::run::settings::{STRANGERS, threshold};
use super::{DeviceArgs, ModelArgs, Outcome, images};

/// Say whom images resemble.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  reid match unknown.jpg --gallery shop.redb --model person.onnx --top 3"
)]
pub(super) struct Match {
    /// Images, folders or patterns, one crop each
    #[arg(required = true)]
    queries: Vec<String>,
    /// Who is known
    #[arg(long, value_name = "FILE")]
    gallery: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// How many identities to name for each query, 1 to 20
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=MOST as i64))]
    top: u8,
    /// One JSON line a query
    #[arg(long)]
    json: bool,
}

/// The most identities that are named for a query.
const MOST: usize = 20;

/// Similarity from which on two embeddings are those of the same picture. The same file gives the
/// same numbers but for the order in which threads add them.
const SAME: f32 = 0.999_99;

/// Make people known: every image becomes an exemplar of NAME.
///
/// A picture that is an exemplar of NAME already is not stored again. A note tells of pictures that
/// resemble another person, and of known names that look like a new NAME.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  reid enroll Ada ada/*.jpg --gallery shop.redb --model person.onnx"
)]
pub(super) struct Enroll {
    /// Who is on the images; somebody known gets them as further exemplars
    name: String,
    /// Images, folders or patterns, one crop each
    #[arg(required = true)]
    images: Vec<String>,
    /// Where the person becomes known; made if it is not there
    #[arg(long, value_name = "FILE")]
    gallery: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Similarity from which on a note says that a picture resembles another person [default: the
    /// model's own, as in `reid run`; without one, the similarity to the other pictures of NAME]
    #[arg(long, value_name = "T", value_parser = threshold)]
    threshold: Option<f32>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    query: &'a str,
    matches: Vec<Named<'a>>,
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
        let gallery = GalleryView::open(&self.gallery, model.space(), dim)?;
        let mut embedder = self.device.embedder(&model)?;
        let embedded = images::embed(&self.queries, &model, embedder.as_mut())?;
        for (index, query) in embedded.paths.iter().enumerate() {
            let best = gallery.top::<MOST>(embedded.embeddings.row(index))?;
            let best = best.iter().take(usize::from(self.top));
            if self.json {
                let matches = best
                    .map(|found| Named {
                        identity: found.name,
                        similarity: found.similarity,
                    })
                    .collect();
                cli::json(&Answer {
                    schema: 1,
                    query,
                    matches,
                })?;
            } else {
                let found: Vec<String> = best
                    .map(|found| format!("{} {:.3}", found.name, found.similarity))
                    .collect();
                let found = if found.is_empty() {
                    "the gallery is empty".into()
                } else {
                    found.join(", ")
                };
                cli::lines([format!("{query}: {found}")])?;
            }
        }
        Ok(if embedded.unreadable == 0 {
            Outcome::Done
        } else {
            Outcome::Partly
        })
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
        let threshold = self
            .threshold
            .or_else(|| model.metadata.threshold_at(STRANGERS));
        let mut embedder = self.device.embedder(&model)?;
        // Before the gallery is touched: what cannot be embedded must not leave an empty one.
        let embedded = images::embed(&self.images, &model, embedder.as_mut())?;
        let mut gallery = Gallery::create_or_open(&self.gallery, model.space(), dim)?;
        let look_alikes = look_alikes(&gallery, &self.name)?;
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
        Ok(if embedded.unreadable == 0 {
            Outcome::Done
        } else {
            Outcome::Partly
        })
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
