//! What comes inside of the program: a small network that has only seen rendered people, and a clip
//! of rendered people with boxes and the truth. `cargo xtask demo-files` makes all of it from seeds.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cli::Replacement;
use serde::Deserialize;

const MODEL: &[u8] = include_bytes!("../../../../models/street-osnet_x0_25-int8.onnx");
const CARD: &str = include_str!("../../../../models/street-osnet_x0_25-int8.json");
const CLIP: &[u8] = include_bytes!("../../../../models/demo/clip.avi");
const BOXES: &[u8] = include_bytes!("../../../../models/demo/boxes.csv");

/// Who is where in the clip.
pub(super) const TRUTH: &str = include_str!("../../../../models/demo/truth.csv");

/// What was measured of the model: the file beside it.
#[derive(Debug, Deserialize)]
pub(super) struct Card {
    /// Name of the model.
    pub(super) model: String,
    /// Whom it has learned from.
    learned: String,
    real: Real,
}

/// What it reaches on crops of real people.
#[derive(Debug, Deserialize)]
struct Real {
    /// Which crops.
    crops: String,
    /// Percent, one for each recolouring.
    map: Vec<f64>,
    /// Of colour stripes on the same.
    stripes_map: Vec<f64>,
}

impl Card {
    pub(super) fn of_the_model() -> anyhow::Result<Self> {
        serde_json::from_str(CARD).context("the model's card in this program")
    }

    /// What everybody has to know before they look at a result.
    pub(super) fn notice(&self) -> String {
        let list = |shares: &[f64]| {
            let all: Vec<String> = shares.iter().map(|share| format!("{share:.1}")).collect();
            all.join(", ")
        };
        let Self { learned, real, .. } = self;
        format!(
            "This model has only ever seen {learned}. On {} it reaches an mAP of {} %, colour stripes {} %.",
            real.crops,
            list(&real.map),
            list(&real.stripes_map)
        )
    }
}

/// The files of the bundle, where the loop can open them.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) model: PathBuf,
    pub(super) clip: PathBuf,
    pub(super) boxes: PathBuf,
}

/// Writes the model into `folder`, which is made if it is not there.
pub(super) fn unpack_model(folder: &Path) -> anyhow::Result<PathBuf> {
    cli::private::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    unpack(folder, "person.onnx", MODEL)
}

/// Writes everything into `folder`, which is made if it is not there.
pub(super) fn unpack_all(folder: &Path) -> anyhow::Result<Unpacked> {
    let model = unpack_model(folder)?;
    // For a reader; the program compares with its own copy.
    unpack(folder, "truth.csv", TRUTH.as_bytes())?;
    Ok(Unpacked {
        model,
        clip: unpack(folder, "clip.avi", CLIP)?,
        boxes: unpack(folder, "boxes.csv", BOXES)?,
    })
}

fn unpack(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    if std::fs::read(&path).is_ok_and(|found| found == bytes) {
        return Ok(path);
    }
    cli::replace_file(&path, Replacement::Private, |file| file.write_all(bytes))
        .with_context(|| path.display().to_string())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundle_is_small() {
        let (model, clip) = (MODEL.len(), CLIP.len());
        assert!(model <= 1_500_000, "the model has {model} bytes");
        assert!(clip <= 3_000_000, "the clip has {clip} bytes");
    }

    #[test]
    fn the_notice_is_one_line_that_says_what_was_measured() {
        let card = Card::of_the_model().unwrap();
        let notice = card.notice();
        assert!(notice.contains("rendered people") && notice.contains("mAP"));
        assert!(!notice.contains('\n'));
        let shares = card.real.map.iter().chain(&card.real.stripes_map);
        assert!(shares.clone().count() > 1 && shares.copied().all(|s| (0.0..=100.0).contains(&s)));
        assert_eq!(card.real.map.len(), card.real.stripes_map.len());
    }

    #[test]
    fn what_is_there_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = unpack(folder.path(), "file", b"bytes").unwrap();
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        unpack(folder.path(), "file", b"bytes").unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().modified().unwrap(),
            written
        );
        unpack(folder.path(), "file", b"other").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
    }
}
