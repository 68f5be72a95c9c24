//! Crops in, embeddings out: which device computes the network, and the door to it.
//!
//! A crop is RGB `[height, width, 3]` u8 as [`kernels::crop`] cuts it; an embedding is `dim` f32 of
//! length one, or all zeros where the network sees nothing: behind a ReLU, a black crop may give
//! that. See [`is_empty`].

mod tract;

use std::str::FromStr;

use kernels::crop::Normaliser;
use kernels::model::Model;
use serde::Serialize;

pub use self::tract::TractEmbedder;
use crate::{Error, Result};

/// Computes embeddings.
pub trait Embedder {
    /// What computes, and why it was chosen.
    fn chosen(&self) -> &Chosen;

    /// Numbers in an embedding.
    fn dim(&self) -> usize;

    /// Embeds `crops`, any number of them one behind the other, and appends their embeddings to
    /// `out`, one behind the other. On an error `out` is as it was.
    ///
    /// # Errors
    /// [`Error::Embed`] if the network gives something that is no embedding.
    fn embed(&mut self, crops: &[u8], out: &mut Vec<f32>) -> Result<()>;
}

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The fastest that works here.
    Auto,
    /// Compute shaders.
    Gpu,
    /// The CPU.
    Cpu,
    /// The CPU, through tract alone.
    Tract,
}

/// What computes, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// `cpu` or `gpu`.
    pub device: &'static str,
    /// The executor and its version.
    pub backend: String,
    /// Threads that compute.
    pub threads: usize,
    /// Crops computed at once.
    pub batch: usize,
    /// One sentence for people.
    pub why: String,
}

/// How to embed.
#[derive(Debug, Clone, Copy)]
pub struct EmbedOptions {
    /// What to compute on.
    pub device: Device,
    /// Threads, at most [`MAX_THREADS`]; 0 takes one for each core.
    pub threads: usize,
    /// Crops computed at once, 1 to [`MAX_BATCH`].
    pub batch: usize,
}

/// The most crops that are computed at once.
pub const MAX_BATCH: usize = 256;

/// The most threads that compute: more than any edge device has cores.
pub const MAX_THREADS: usize = 256;

impl Default for EmbedOptions {
    fn default() -> Self {
        Self {
            device: Device::Auto,
            threads: 0,
            batch: 1,
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "gpu" => Ok(Self::Gpu),
            "cpu" => Ok(Self::Cpu),
            "tract" => Ok(Self::Tract),
            _ => Err("wanted auto, gpu, cpu or tract".to_owned()),
        }
    }
}

/// Makes `model` ready on the device that was asked for.
///
/// # Errors
/// [`Error::Device`] if that device is not there, [`Error::Embed`] if the network does not run on
/// it.
pub fn open(model: &Model, options: &EmbedOptions) -> Result<Box<dyn Embedder>> {
    let why = match options.device {
        Device::Gpu => {
            return Err(Error::Device {
                device: "gpu",
                reason: "this build computes on the CPU only; use --device cpu".to_owned(),
            });
        }
        Device::Auto => "no GPU backend is in this build",
        Device::Cpu => "the CPU was asked for, and tract is its one backend in this build",
        Device::Tract => "tract was asked for",
    };
    let refused = |reason| {
        Err(Error::Device {
            device: "cpu",
            reason,
        })
    };
    if !(1..=MAX_BATCH).contains(&options.batch) {
        return refused(format!(
            "batch is {}, wanted 1 to {MAX_BATCH}",
            options.batch
        ));
    }
    if options.threads > MAX_THREADS {
        return refused(format!(
            "threads are {}, wanted 0 to {MAX_THREADS}",
            options.threads
        ));
    }
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    Ok(Box::new(TractEmbedder::new(
        model,
        threads,
        options.batch,
        why,
    )?))
}

/// Whether an embedding says nothing, so that nobody can be recognised by it.
#[must_use]
pub fn is_empty(embedding: &[f32]) -> bool {
    embedding.iter().all(|&value| value == 0.0)
}

/// What every embedder does around its network: the size of a crop, the normalisation before, the
/// length after.
#[derive(Debug, Clone)]
struct Frame {
    normaliser: Normaliser,
    /// Height and width of a crop.
    size: [usize; 2],
    dim: usize,
}

impl Frame {
    fn new(model: &Model) -> Result<Self> {
        let preprocessing = &model.contract.preprocessing;
        Ok(Self {
            normaliser: Normaliser::new(preprocessing)?,
            size: [preprocessing.height, preprocessing.width],
            dim: model.contract.embedding.dim,
        })
    }

    /// Bytes of a crop, and numbers of a network input.
    fn crop_len(&self) -> usize {
        self.size[0] * self.size[1] * 3
    }

    /// Scales an embedding to length one, unless it is all zeros.
    fn unit(embedding: &mut [f32]) -> Result<()> {
        if is_empty(embedding) {
            return Ok(());
        }
        let square: f64 = embedding.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let length = square.sqrt();
        if !length.is_finite() {
            let reason = format!("the network gave an embedding of length {length}");
            return Err(Error::Embed { reason });
        }
        for value in embedding {
            *value = (f64::from(*value) / length) as f32;
        }
        Ok(())
    }
}
