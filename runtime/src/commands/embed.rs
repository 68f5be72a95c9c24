//! `reid embed`: images to a matrix of embeddings.

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
    /// Where the matrix goes
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    /// Say what was done as JSON
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
        if self.json {
            cli::json(&Report {
                schema: 1,
                images: embeddings.rows(),
                unreadable: embedded.unreadable,
                dim: embeddings.dim(),
                space: model.space(),
                out: self.out,
                paths: list,
            })?;
        } else {
            let (rows, dim) = (embeddings.rows(), embeddings.dim());
            let (out, list) = (self.out.display(), list.display());
            cli::lines([format!("{rows} x {dim} in {out}, their paths in {list}")])?;
        }
        Ok(if embedded.unreadable == 0 {
            Outcome::Done
        } else {
            Outcome::Partly
        })
    }
}
