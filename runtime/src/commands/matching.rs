//! `reid match` and `reid enroll`: images against a gallery, and into one.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context;
use clap::Args;
use runtime::gallery::{Gallery, Origin};
use runtime::pipeline::unix_millis;
use serde::Serialize;

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

/// Make people known: every image becomes an exemplar of NAME.
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
    unreadable: usize,
    exemplars: usize,
}

impl Match {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let model = self.model.open()?;
        let gallery = Gallery::open(&self.gallery, model.space(), model.contract.embedding.dim)?;
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
        let model = self.model.open()?;
        let dim = model.contract.embedding.dim;
        let mut embedder = self.device.embedder(&model)?;
        // Before the gallery is touched: what cannot be embedded must not leave an empty one.
        let embedded = images::embed(&self.images, &model, embedder.as_mut())?;
        let mut gallery = Gallery::create_or_open(&self.gallery, model.space(), dim)?;
        let time = unix_millis(SystemTime::now());
        for (index, path) in embedded.paths.iter().enumerate() {
            let origin = Origin {
                source: path.clone(),
                frame: None,
                time,
                crop: None,
            };
            let embedding = embedded.embeddings.row(index);
            gallery
                .enroll(&self.name, embedding, &origin)
                .with_context(|| path.clone())?;
        }
        let (summary, _) = gallery.show(&self.name)?;
        let report = Enrolled {
            schema: 1,
            identity: &self.name,
            images: embedded.paths.len(),
            unreadable: embedded.unreadable,
            exemplars: summary.exemplars,
        };
        if self.json {
            cli::json(&report)?;
        } else {
            let images = cli::count(report.images, "image");
            let exemplars = cli::count(report.exemplars, "exemplar");
            cli::lines([format!(
                "{}: {images} enrolled, {exemplars} in all",
                self.name
            )])?;
        }
        Ok(if embedded.unreadable == 0 {
            Outcome::Done
        } else {
            Outcome::Partly
        })
    }
}
