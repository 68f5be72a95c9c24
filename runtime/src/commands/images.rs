//! Image files in, embeddings out: shared by `embed`, `eval`, `match` and `enroll`.

use std::path::{Path, PathBuf};

use anyhow::bail;
use cli::one_line;
use media::{Frame, Status};
use network::model::Model;
use network::preprocess::{Cropper, View};
use retrieval::Embeddings;
use runtime::embed::{self, Embedder};

use super::Outcome;

/// Embeddings of image files.
pub(super) struct Embedded {
    /// The files, in the order of the rows.
    pub(super) paths: Vec<String>,
    /// One row a file.
    pub(super) embeddings: Embeddings,
    /// Number of files that could not be read or gave no features; warnings name them.
    pub(super) unreadable: usize,
}

impl Embedded {
    /// How a command ends that embedded these.
    pub(super) fn outcome(&self) -> Outcome {
        match self.unreadable {
            0 => Outcome::Done,
            _ => Outcome::Partly,
        }
    }
}

/// Embeds every image that `specs` name (files, folders, patterns), each of them one crop, in the
/// order of the sorted paths. A path that several of them name counts once.
pub(super) fn embed(
    specs: &[String],
    model: &Model,
    embedder: &mut dyn Embedder,
) -> anyhow::Result<Embedded> {
    let mut cropper = Cropper::new(&model.metadata.preprocessing)?;
    let preprocessing = &model.metadata.preprocessing;
    let crop_len = preprocessing.height * preprocessing.width * 3;
    // Enough crops for every thread to have whole batches, and no more memory than that.
    let window = embedder.chosen().batch * embedder.chosen().threads * 2;

    let (paths, mut unreadable) = image_paths(specs)?;
    let bar = cli::progress(Some(paths.len() as u64), "images");
    let (mut kept, mut rows, mut crops) = (Vec::new(), Vec::new(), Vec::new());
    let mut frame = Frame::default();
    for path in paths {
        let at = crops.len();
        crops.resize(at + crop_len, 0);
        let result = read(&path, &mut frame).and_then(|()| {
            let view = View::new(&frame.rgb, frame.width, frame.height)?;
            Ok(cropper.whole(view, &mut crops[at..])?)
        });
        match result {
            Ok(()) => kept.push(path),
            Err(error) => {
                tracing::warn!("skipped: {}", one_line(error.chain()));
                crops.truncate(at);
                unreadable += 1;
            }
        }
        if crops.len() >= window * crop_len {
            embedder.embed(&crops, &mut rows)?;
            crops.clear();
        }
        bar.inc(1);
    }
    embedder.embed(&crops, &mut rows)?;
    bar.finish_and_clear();
    let (kept, rows) = with_features(kept, &rows, &mut unreadable);
    if kept.is_empty() {
        bail!(
            "none of the {unreadable} images in {} can be used",
            specs.join(", ")
        );
    }
    let embeddings = Embeddings::new(embedder.dim(), rows)?;
    Ok(Embedded {
        paths: kept,
        embeddings,
        unreadable,
    })
}

/// The files with features and their rows; a warning names each of the others.
fn with_features(paths: Vec<String>, rows: &[f32], without: &mut usize) -> (Vec<String>, Vec<f32>) {
    let dim = rows.len() / paths.len().max(1);
    let mut kept = (Vec::new(), Vec::new());
    for (path, row) in paths.into_iter().zip(rows.chunks_exact(dim.max(1))) {
        if embed::is_empty(row) {
            tracing::warn!("skipped: {path}: the network finds no feature in it");
            *without += 1;
        } else {
            kept.0.push(path);
            kept.1.extend_from_slice(row);
        }
    }
    kept
}

/// Every picture file of `specs`, sorted, each once, and how many could not be read; warnings name what
/// was skipped.
fn image_paths(specs: &[String]) -> anyhow::Result<(Vec<String>, usize)> {
    let mut paths = Vec::new();
    let mut lost = 0;
    for spec in specs {
        let pictures = media::pictures::Pictures::of(spec)?;
        let passed_over = pictures.passed_over;
        if !passed_over.is_empty() {
            tracing::warn!("{spec}: {passed_over}");
        }
        lost += passed_over.lost() as usize;
        let text = |path: PathBuf| path.into_os_string().into_string().ok();
        // Other names were passed over.
        paths.extend(pictures.paths.into_iter().filter_map(text));
    }
    paths.sort_by(|a, b| Path::new(a).cmp(Path::new(b)));
    paths.dedup();
    Ok((paths, lost))
}

fn read(path: &str, frame: &mut Frame) -> anyhow::Result<()> {
    match media::open(path, None)?.read(frame)? {
        Status::Frame => Ok(()),
        Status::End => bail!("{path}: holds no image"),
    }
}
