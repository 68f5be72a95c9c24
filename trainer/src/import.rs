//! Reads published weights for our networks.
//!
//! [`open`] reads a PyTorch, safetensors or ONNX file without running any code in it. An ONNX file is
//! a network by itself. For the others [`recognise`] finds the naming scheme, [`spec_for`] the
//! network, and [`assign()`] copies the tensors and reports what happened to each of them.

mod assign;
mod deduce;
mod names;
mod pickle;
mod pth;

use std::path::{Path, PathBuf};

use network::onnx;

pub use crate::weights::ListedTensor;
use crate::weights::{WeightFile, read_all};
use crate::{Error, Result};
use pth::Pth;

pub use assign::{ImportReport, MissingParam, UnusedTensor, UsedTensor, assign};
pub use deduce::{Deduced, Overrides, spec_for};
pub use names::{Naming, NamingFamily, recognise};

/// A file of weights.
#[derive(Debug)]
pub struct WeightSource {
    path: PathBuf,
    kind: SourceKind,
}

#[derive(Debug)]
enum SourceKind {
    Pth(Pth),
    Safetensors(WeightFile, Vec<ListedTensor>),
    Onnx(Box<onnx::OnnxModel>),
}

/// An object of a checkpoint that is not a weight.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SkippedObject {
    /// Under which name.
    pub name: String,
    /// Why it is not used.
    pub reason: String,
    /// Whether it holds tensors that may belong to the network: floats that are neither an
    /// optimiser's nor a loss's.
    #[serde(skip)]
    pub trained: bool,
}

/// Opens a file of weights; what it is shows in its first bytes.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] if it is none of the formats, is broken, or needs more memory
/// than its size allows; [`Error::Kernels`] from an ONNX file.
pub fn open(path: &Path) -> Result<WeightSource> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 512), &mut head)
        .map_err(Error::io(path))?;
    let kind = if pth::looks_like(&head) {
        let pth = Pth::open(read_all(path)?);
        SourceKind::Pth(pth.map_err(|reason| Error::file(path, reason))?)
    } else if matches!(head.get(8), Some(b'{')) {
        let (weights, listed) = WeightFile::read_listed(path)?;
        SourceKind::Safetensors(weights, listed)
    } else if head.get(257..262) == Some(b"ustar") {
        return Err(Error::file(
            path,
            "a tar of torch before 0.2: load and save it with a later version",
        ));
    } else {
        let model = onnx::read_file(path, &onnx::ReadOptions::default());
        let model = model.map_err(|error| {
            let reason = format!("neither .pth nor .safetensors, and not ONNX: {error}");
            Error::file(path, reason)
        })?;
        SourceKind::Onnx(Box::new(model))
    };
    Ok(WeightSource {
        path: path.to_owned(),
        kind,
    })
}

/// Reads `bytes` as a file of `torch.save`, for fuzzing.
///
/// # Errors
/// The reason as text.
pub fn pth_from_bytes(bytes: Vec<u8>) -> Result<WeightFile, String> {
    let tensors = Pth::open(bytes)?.tensors()?;
    Ok(WeightFile {
        tensors,
        ..WeightFile::default()
    })
}

impl WeightSource {
    /// Every tensor, as it is in the file.
    #[must_use]
    pub fn list(&self) -> Vec<ListedTensor> {
        match &self.kind {
            SourceKind::Pth(pth) => pth.list(),
            SourceKind::Safetensors(_, listed) => listed.clone(),
            SourceKind::Onnx(model) => {
                let params = model.graph.params().iter();
                let listed = params.map(|param| ListedTensor {
                    name: param.name.clone(),
                    dtype: format!("{:?}", param.tensor.dtype()).to_lowercase(),
                    shape: param.tensor.shape().to_vec(),
                });
                listed.collect()
            }
        }
    }

    /// Objects of the checkpoint that are not weights.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedObject] {
        match &self.kind {
            SourceKind::Pth(pth) => pth.skipped(),
            _ => &[],
        }
    }

    /// Warnings for the user.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match &self.kind {
            SourceKind::Onnx(model) => &model.warnings,
            _ => &[],
        }
    }

    /// Its tensors: floats as f32, small integers as i32, truths as u8.
    ///
    /// # Errors
    /// [`Error::File`] if the elements are not there, or are beyond the range of f32.
    pub fn weights(&self) -> Result<WeightFile> {
        Ok(match &self.kind {
            SourceKind::Pth(pth) => WeightFile {
                tensors: pth.tensors().map_err(|r| Error::file(&self.path, r))?,
                ..WeightFile::default()
            },
            SourceKind::Safetensors(weights, _) => weights.clone(),
            SourceKind::Onnx(model) => {
                let params = model.graph.params().iter();
                let tensors = params.map(|param| (param.name.clone(), param.tensor.clone()));
                WeightFile {
                    tensors: tensors.collect(),
                    metadata: model.metadata.clone(),
                }
            }
        })
    }

    /// Whether the file is a network by itself: an ONNX file is.
    #[must_use]
    pub fn is_network(&self) -> bool {
        matches!(self.kind, SourceKind::Onnx(_))
    }
}

/// fast-reid's `pixel_mean` and `pixel_std`: mean and deviation of red, green and blue scaled to 0..1. None if the file has neither.
#[must_use]
pub fn pixels(weights: &WeightFile) -> Option<[[f32; 3]; 2]> {
    let of = |name: &str| {
        let mut tensors = weights.tensors.iter();
        let (_, tensor) = tensors.find(|(full, _)| {
            let before = full.strip_suffix(name);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })?;
        let values: [f32; 3] = tensor.as_f32()?.try_into().ok()?;
        Some(values.map(|value| value / 255.0))
    };
    Some([of("pixel_mean")?, of("pixel_std")?])
}
