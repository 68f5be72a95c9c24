//! Weights that others have published, for our networks.
//!
//! [`open`] reads a file of PyTorch, safetensors or ONNX and runs no code of it. An ONNX file is a
//! network by itself; the others are tensors by name: [`recognise`] says whose names,
//! [`spec_for`] which network, and [`assign()`] puts them into it and accounts for each.

mod assign;
mod deduce;
mod names;
mod pickle;
mod pth;

use std::path::{Path, PathBuf};

use network::onnx;

pub use crate::weights::Listed;
use crate::weights::{Weights, read_all};
use crate::{Error, Result};
use pth::Pth;

pub use assign::{Account, Dropped, Fresh, Ignored, Used, assign};
pub use deduce::{Deduced, Overrides, spec_for};
pub use names::{Family, Naming, recognise};

/// A file of weights.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Pth(Pth),
    Safetensors(Weights, Vec<Listed>),
    Onnx(Box<onnx::OnnxModel>),
}

/// What stands beside the weights of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Under which name.
    pub name: String,
    /// Why it is left there.
    pub reason: String,
    /// Whether it holds tensors that may belong to the network: floats that are neither an
    /// optimiser's nor a loss's.
    pub trained: bool,
}

/// Opens a file of weights; what it is shows in its first bytes.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] if it is none of the formats, is broken, or asks for more memory
/// than a file of its size may; [`Error::Kernels`] from an ONNX file.
pub fn open(path: &Path) -> Result<Source> {
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 512), &mut head)
        .map_err(Error::io(path))?;
    let kind = if pth::looks_like(&head) {
        let pth = Pth::open(read_all(path)?);
        Kind::Pth(pth.map_err(|reason| Error::file(path, reason))?)
    } else if matches!(head.get(8), Some(b'{')) {
        let (weights, listed) = Weights::read_listed(path)?;
        Kind::Safetensors(weights, listed)
    } else if head.get(257..262) == Some(b"ustar") {
        return Err(Error::file(
            path,
            "a tar, the form of torch before 0.2; load and save it with a later one",
        ));
    } else {
        let model = onnx::read_file(path, &onnx::ReadOptions::default());
        let model = model.map_err(|error| {
            let reason = format!("no .pth, no .safetensors, and no ONNX: {error}");
            Error::file(path, reason)
        })?;
        Kind::Onnx(Box::new(model))
    };
    Ok(Source {
        path: path.to_owned(),
        kind,
    })
}

/// Reads `bytes` as a file of `torch.save`, for whoever wants to see that no bytes do harm.
///
/// # Errors
/// What is wrong with them, for people.
pub fn pth_from_bytes(bytes: Vec<u8>) -> Result<Weights, String> {
    let tensors = Pth::open(bytes)?.tensors()?;
    Ok(Weights {
        tensors,
        ..Weights::default()
    })
}

impl Source {
    /// Every tensor, as it is in the file.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        match &self.kind {
            Kind::Pth(pth) => pth.list(),
            Kind::Safetensors(_, listed) => listed.clone(),
            Kind::Onnx(model) => {
                let params = model.graph.params().iter();
                let listed = params.map(|param| Listed {
                    name: param.name.clone(),
                    dtype: format!("{:?}", param.tensor.dtype()).to_lowercase(),
                    shape: param.tensor.shape().to_vec(),
                });
                listed.collect()
            }
        }
    }

    /// What stands beside the tensors, and why it is left there.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        match &self.kind {
            Kind::Pth(pth) => pth.skipped(),
            _ => &[],
        }
    }

    /// What to know about the file, for people.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match &self.kind {
            Kind::Onnx(model) => &model.warnings,
            _ => &[],
        }
    }

    /// Its tensors: floats as f32, small integers as i32, truths as u8.
    ///
    /// # Errors
    /// [`Error::File`] if the elements are not there, or are beyond the range of f32.
    pub fn weights(&self) -> Result<Weights> {
        Ok(match &self.kind {
            Kind::Pth(pth) => Weights {
                tensors: pth.tensors().map_err(|r| Error::file(&self.path, r))?,
                ..Weights::default()
            },
            Kind::Safetensors(weights, _) => weights.clone(),
            Kind::Onnx(model) => {
                let params = model.graph.params().iter();
                let tensors = params.map(|param| (param.name.clone(), param.tensor.clone()));
                Weights {
                    tensors: tensors.collect(),
                    metadata: model.metadata.clone(),
                }
            }
        })
    }

    /// Whether the file is a network by itself: an ONNX file is.
    #[must_use]
    pub fn is_network(&self) -> bool {
        matches!(self.kind, Kind::Onnx(_))
    }
}

/// What fast-reid's `pixel_mean` and `pixel_std` say of the input: mean and deviation of red,
/// green and blue scaled to 0..1. None if the file has neither.
#[must_use]
pub fn pixels(weights: &Weights) -> Option<[[f32; 3]; 2]> {
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
