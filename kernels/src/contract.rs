//! What travels with a model besides the network: how its input is prepared, what its output means,
//! where it comes from.
//!
//! The contract is JSON under the key [`METADATA_KEY`] of the ONNX file's `metadata_props`. A model
//! of other origin has none: what can be recognised in its graph is taken from there, the rest is
//! [`Preprocessing::default`] or comes from a sidecar TOML beside the model.

use serde::{Deserialize, Serialize};

/// Key of the contract in the model's `metadata_props`.
pub const METADATA_KEY: &str = "reid.contract";

/// How a crop becomes the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Height of the input in pixels.
    pub height: usize,
    /// Width of the input in pixels.
    pub width: usize,
    /// How a crop is scaled to that size.
    pub resize: Resize,
    /// What happens to its aspect ratio.
    pub fit: Fit,
    /// Order of the colour planes that the network reads.
    pub colour: Colour,
    /// Subtracted from a plane after scaling it to 0..1, in the network's order of planes.
    pub mean: [f32; 3],
    /// The plane is then divided by this, in the network's order of planes; never 0.
    pub std: [f32; 3],
}

/// Resampling kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Triangle filter over the area that a pixel covers (anti-aliased), as Pillow's `BILINEAR` and
    /// torchvision on PIL images.
    PilBilinear,
    /// Four neighbours with half-pixel centres (aliasing when shrinking), as OpenCV's
    /// `INTER_LINEAR`.
    CvBilinear,
}

/// What happens to a crop's aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Width and height are scaled independently, as every re-ID baseline does.
    Stretch,
    /// The aspect ratio stays; the rest is filled with the mean colour.
    Letterbox,
}

/// Order of colour planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Default for Preprocessing {
    /// Luo et al. 2019: 256 x 128, RGB, ImageNet mean and deviation, PIL bilinear, stretched.
    fn default() -> Self {
        Self {
            height: 256,
            width: 128,
            resize: Resize::PilBilinear,
            fit: Fit::Stretch,
            colour: Colour::Rgb,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }
}
