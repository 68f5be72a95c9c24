//! `reid gallery re-embed`: the same persons for another model.

use std::path::{Path, PathBuf};

use clap::Args;
use media::{Frame, Status};
use network::preprocess::{Cropper, View};
use runtime::embed::{self, Embedder};
use runtime::gallery::{Gallery as Store, Origin, ReEmbedded};
use runtime::show::{self, crops::inside};
use serde::Serialize;

use super::super::{DeviceArgs, ModelArgs};
use super::{Outcome, Target};

/// Compute all embeddings anew with another model, from the saved images
///
/// These are the crops of `reid run --save-crops` and the images of `reid enroll`, at their old
/// paths. An exemplar without image is removed. The file is written anew at the end, in one step.
/// Refused while `reid run` has the gallery open.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  reid gallery re-embed shop.redb --model new.onnx --crops crops/"
)]
pub(super) struct ReEmbed {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Folder of --save-crops
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
    /// Continue if persons are lost because they have no image
    #[arg(long)]
    drop_lost: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    space: &'a str,
    dim: usize,
    #[serde(flatten)]
    counts: &'a ReEmbedded,
}

impl ReEmbed {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        // Before the model: a wrong path should not take seconds to be found.
        let mut gallery = Store::inspect_alone(&self.target.file)?;
        let model = self.model.open()?;
        let mut embedder = self.device.embedder(&model)?;
        let mut cropper = Cropper::new(&model.metadata.preprocessing)?;
        let (space, dim) = (model.space(), model.metadata.embedding.dim);
        let preprocessing = &model.metadata.preprocessing;
        let mut crop = vec![0; preprocessing.height * preprocessing.width * 3];
        let mut frame = Frame::default();

        let bar = cli::progress(Some(gallery.exemplars() as u64), "exemplars");
        let result = gallery.re_embed(space, dim, self.drop_lost, |origin| {
            bar.inc(1);
            let Some(path) = image(origin, self.crops.as_deref()) else {
                return Ok(None);
            };
            let found = path.map_err(|error| error.to_string()).and_then(|path| {
                let result = read(&path, &mut frame);
                result.map_err(|reason| format!("{}: {reason}", path.display()))
            });
            if let Err(reason) = found {
                tracing::warn!("skipped: {reason}");
                return Ok(None);
            }
            let view = View::new(&frame.rgb, frame.width, frame.height)?;
            cropper.whole(view, &mut crop)?;
            embedding(embedder.as_mut(), &crop)
        });
        bar.finish_and_clear();
        let counts = &result?;
        self.target.report(&Report { space, dim, counts }, || {
            let exemplars = cli::count(counts.exemplars, "exemplar");
            let mut lines = vec![format!(
                "{}: {} people, {exemplars} of space {space}",
                self.target.file.display(),
                counts.identities
            )];
            if counts.missing > 0 {
                let missing = cli::count(counts.missing, "exemplar");
                lines.push(format!("{missing} removed: no image of them was found"));
            }
            if !counts.lost.is_empty() {
                lines.push(format!("lost: {}", counts.lost.join(", ")));
            }
            lines
        })?;
        Ok(if counts.missing == 0 {
            Outcome::Done
        } else {
            Outcome::Partly
        })
    }
}

/// Where the image of an exemplar should be: its crop, never outside of the folder of crops, or the
/// image that it was enrolled from.
fn image(origin: &Origin, folder: Option<&Path>) -> Option<show::Result<PathBuf>> {
    match (&origin.crop, origin.frame) {
        (Some(crop), _) => Some(inside(folder.unwrap_or(Path::new(".")), crop)),
        (None, None) => Some(Ok((&origin.source).into())),
        (None, Some(_)) => None,
    }
}

fn read(path: &Path, frame: &mut Frame) -> Result<(), String> {
    // One image: a folder holds many.
    let text = path.to_str().filter(|_| path.is_file());
    let text = text.ok_or_else(|| "it is not there".to_owned())?;
    let mut source = media::open(text, None).map_err(|e| e.to_string())?;
    match source.read(frame) {
        Ok(Status::Frame) => Ok(()),
        Ok(_) => Err("it holds no image".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// The embedding of a crop; none if it is all zeros.
fn embedding(embedder: &mut dyn Embedder, crop: &[u8]) -> runtime::Result<Option<Vec<f32>>> {
    let mut row = Vec::with_capacity(embedder.dim());
    embedder.embed(crop, &mut row)?;
    Ok(Some(row).filter(|row| !embed::is_empty(row)))
}
