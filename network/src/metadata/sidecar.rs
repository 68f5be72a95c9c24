//! Metadata for models without: `MODEL.toml` beside `MODEL.onnx`.

use std::path::Path;

use serde::Deserialize;

use super::{Colour, Fit, Preprocessing, Resize, WeightsOrigin};
use crate::{Error, Result};

/// A sidecar. Every key may be missing; an unknown one is an error.
///
/// ```toml
/// output = "embedding"        # which output of the network holds the embedding
/// net = "osnet_x0_25"
///
/// [preprocessing]
/// height = 256
/// width = 128
/// resize = "cv-bilinear"      # or "pil-bilinear"
/// fit = "stretch"             # or "letterbox"
/// colour = "rgb"              # or "bgr"
/// mean = [0.485, 0.456, 0.406]
/// std = [0.229, 0.224, 0.225]
///
/// [weights]
/// datasets = ["Market-1501"]
/// licence = "research only"
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sidecar {
    /// Name of the output that holds the embedding.
    #[serde(default)]
    pub output: Option<String>,
    /// The architecture, for reports.
    #[serde(default)]
    pub net: Option<String>,
    /// Pre-processing that differs from the defaults.
    #[serde(default)]
    pub preprocessing: PreprocessingPart,
    /// Where the weights come from.
    #[serde(default)]
    pub weights: WeightsOrigin,
}

/// Parts of a [`Preprocessing`]; each overrides the value assumed otherwise.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of Preprocessing, documented there"
)]
pub struct PreprocessingPart {
    pub height: Option<usize>,
    pub width: Option<usize>,
    pub resize: Option<Resize>,
    pub fit: Option<Fit>,
    pub colour: Option<Colour>,
    pub mean: Option<[f32; 3]>,
    pub std: Option<[f32; 3]>,
}

impl Sidecar {
    /// Reads a sidecar.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Malformed`] with the file's name, line and key.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        toml::from_str(&text).map_err(|error| {
            // The error displays several lines with an arrow; messages here have one line.
            let start = error.span().map_or(0, |span| span.start);
            let line = 1 + text
                .bytes()
                .take(start)
                .filter(|&byte| byte == b'\n')
                .count();
            let (path, reason) = (path.display(), error.message().trim());
            Error::malformed("sidecar", format!("{path}:{line}: {reason}"))
        })
    }
}

impl PreprocessingPart {
    /// `base` with these parts replaced.
    #[must_use]
    pub fn over(&self, base: Preprocessing) -> Preprocessing {
        Preprocessing {
            height: self.height.unwrap_or(base.height),
            width: self.width.unwrap_or(base.width),
            resize: self.resize.unwrap_or(base.resize),
            fit: self.fit.unwrap_or(base.fit),
            colour: self.colour.unwrap_or(base.colour),
            mean: self.mean.unwrap_or(base.mean),
            std: self.std.unwrap_or(base.std),
        }
    }

    /// Whether no part is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_in_the_documentation_is_read_and_unknown_keys_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.toml");
        let example: String = include_str!("sidecar.rs")
            .lines()
            .skip_while(|line| !line.contains("```toml"))
            .skip(1)
            .take_while(|line| !line.contains("```"))
            .map(|line| format!("{}\n", line.trim_start_matches("///")))
            .collect();
        std::fs::write(&path, &example).unwrap();
        let sidecar = Sidecar::read(&path).unwrap();
        assert_eq!(sidecar.output.as_deref(), Some("embedding"));
        let merged = sidecar.preprocessing.over(Preprocessing::default());
        assert_eq!(merged.resize, Resize::CvBilinear);
        assert_eq!(merged.std, Preprocessing::default().std);

        std::fs::write(&path, example.replace("colour", "color")).unwrap();
        let error = Sidecar::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("model.toml") && error.contains("color"),
            "{error}"
        );
        assert!(matches!(
            Sidecar::read(&folder.path().join("none.toml")),
            Err(Error::Io { .. })
        ));
    }
}
