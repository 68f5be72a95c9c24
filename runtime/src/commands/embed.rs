//! `reid embed`: images in, a matrix of embeddings out.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use cli::Replacement;
use serde::Serialize;

use super::{DeviceArgs, ModelArgs, Outcome, images};

/// Embed images, one crop each, into a NumPy matrix.
///
/// Writes N x D float32 rows of length one, in the order of the sorted paths, and beside them a
/// list of those paths (OUT with the ending .txt).
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid embed crops/ --model person.onnx --out emb.npy")]
pub(super) struct Embed {
    /// Images, folders of images, or patterns such as 'crops/*.jpg'
    #[arg(required = true)]
    paths: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Output file of the matrix
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    images: usize,
    unreadable: usize,
    dim: usize,
    space: &'a str,
    out: PathBuf,
    paths: PathBuf,
}

impl Report<'_> {
    fn text(&self) -> Vec<String> {
        let (out, paths) = (self.out.display(), self.paths.display());
        vec![format!(
            "{} x {} in {out}, paths in {paths}",
            self.images, self.dim
        )]
    }
}

impl Embed {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let model = self.model.open()?;
        let mut embedder = self.device.embedder(&model)?;
        let embedded = images::embed(&self.paths, &model, embedder.as_mut())?;
        let embeddings = &embedded.embeddings;
        super::npy::write(&self.out, embeddings.dim(), embeddings.as_slice())
            .with_context(|| self.out.display().to_string())?;
        let list = self.out.with_extension("txt");
        cli::replace_file(&list, Replacement::Private, |file| {
            embedded
                .paths
                .iter()
                .try_for_each(|path| writeln!(file, "{path}"))
        })
        .with_context(|| list.display().to_string())?;
        let report = Report {
            schema: 1,
            images: embeddings.rows(),
            unreadable: embedded.unreadable,
            dim: embeddings.dim(),
            space: model.space(),
            out: self.out,
            paths: list,
        };
        cli::report(self.json, &report, Report::text)?;
        Ok(Outcome::of_unreadable(embedded.unreadable))
    }
}
