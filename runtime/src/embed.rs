//! Crops in, embeddings out, on the fastest backend of the device.
//!
//! A crop is RGB `[height, width, 3]` u8 as [`network::preprocess`] makes it. An embedding is `dim` f32 of
//! length one, or all zeros if no feature is active ([`is_empty`]): a black crop may give that behind
//! a ReLU. A backend that fails the model's self-test ([`Proof`]) is not used.

mod planned;
mod proof;
#[cfg(feature = "tract")]
mod tract;
mod trial;

use std::str::FromStr;

use network::model::Model;
use network::self_test::{Passed, SelfTest, TestOutputs};
use serde::Serialize;

pub use self::planned::PlannedEmbedder;
use self::proof::Passes;
pub use self::proof::Proof;
#[cfg(feature = "tract")]
pub use self::tract::TractEmbedder;
use crate::{Error, Result};

/// Computes embeddings.
///
/// # Example
/// ```
/// use std::path::Path;
///
/// use network::model::{Model, ModelOptions};
/// use runtime::embed::{self, EmbedOptions};
///
/// # fn main() -> runtime::Result<()> {
/// let path = Path::new("../models/street-osnet_x0_25-int8.onnx");
/// let model = Model::open(path, &ModelOptions::default())?;
/// let mut embedder = embed::open(&model, &EmbedOptions::default())?;
///
/// let grey = vec![128; 128 * 64 * 3];
/// let mut embedding = Vec::new();
/// embedder.embed(&grey, &mut embedding)?;
/// assert_eq!(embedding.len(), embedder.dim());
/// # Ok(())
/// # }
/// ```
pub trait Embedder {
    /// What computes, and why it was chosen.
    fn chosen(&self) -> &Chosen;

    /// As [`Embedder::chosen`], to add the result of the self-test.
    fn chosen_mut(&mut self) -> &mut Chosen;

    /// Numbers in an embedding.
    fn dim(&self) -> usize;

    /// Embeds `crops`, any number of them one after another, and appends their embeddings to `out`. On
    /// an error `out` is unchanged.
    ///
    /// # Errors
    /// [`Error::Embed`] if the output of the network is no embedding.
    fn embed(&mut self, crops: &[u8], out: &mut Vec<f32>) -> Result<()>;

    /// Results for the golden crops of a self-test; integer executors also return the checksums that
    /// it names.
    ///
    /// # Errors
    /// As [`Embedder::embed`].
    fn replay(&mut self, crops: &[u8], self_test: &SelfTest) -> Result<TestOutputs> {
        let _ = self_test;
        let mut embeddings = Vec::new();
        self.embed(crops, &mut embeddings)?;
        Ok(TestOutputs {
            embeddings,
            sums: None,
        })
    }
}

/// The requested device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The fastest backend that works on this device.
    Auto,
    /// Compute shaders.
    Gpu,
    /// The CPU.
    Cpu,
    /// The CPU, through tract alone.
    Tract,
}

/// The backend that computes, and why it was chosen.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Chosen {
    /// `cpu` or `gpu`.
    pub device: &'static str,
    /// The executor and its version.
    pub backend: String,
    /// Threads that compute.
    pub threads: usize,
    /// Crops computed at once.
    pub batch: usize,
    /// The reason, one sentence.
    pub why: String,
    /// Result of the self-test; `None` if the model has none.
    pub self_test: Option<Proof>,
    /// Faster backends that were refused, each with the reason.
    pub refused: Vec<String>,
}

/// How to embed.
#[derive(Debug, Clone, Copy)]
pub struct EmbedOptions {
    /// Requested device.
    pub device: Device,
    /// Threads, at most [`MAX_THREADS`]; 0 uses one per core.
    pub threads: usize,
    /// Crops computed at once, 1 to [`MAX_BATCH`].
    pub batch: usize,
}

/// Maximum number of crops in a batch.
pub const MAX_BATCH: usize = 256;

/// Whether this build has tract, which float networks and detectors need.
pub const HAS_TRACT: bool = cfg!(feature = "tract");

/// Maximum number of threads: more than any edge device has cores.
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

/// Opens `model` on the requested device, on its fastest backend that passes the model's self-test.
/// Faster ones that failed are in [`Chosen::refused`].
///
/// # Errors
/// [`Error::Device`] if there is no such device or none of its backends passes the self-test,
/// [`Error::Embed`] if the network does not run on it.
pub fn open(model: &Model, options: &EmbedOptions) -> Result<Box<dyn Embedder>> {
    let options = options.checked()?;
    let passes = Passes::of_user();
    let mut refused: Vec<(&str, Error)> = Vec::new();
    let reason = |(name, error): &(&str, Error)| format!("{name}: {error}");
    for (backend, why) in Backend::of(options.device, model)? {
        let opened = backend.open(model, &options, why).and_then(|mut embedder| {
            let self_test = proof::prove(embedder.as_mut(), model, &passes)?;
            Ok((embedder, self_test))
        });
        match opened {
            Ok((mut embedder, self_test)) => {
                let chosen = embedder.chosen_mut();
                if let Some((failed, _)) = refused.last() {
                    chosen.why = format!("{}, as {failed} was refused", chosen.why);
                }
                chosen.self_test = self_test;
                chosen.refused = refused.iter().map(reason).collect();
                return Ok(embedder);
            }
            Err(error) => refused.push((backend.name(), error)),
        }
    }
    let reasons: Vec<String> = refused.iter().map(reason).collect();
    match (refused.pop(), refused.is_empty()) {
        // Its message already names the problem of the network or the backend.
        (Some((_, error @ Error::Embed { .. })), true) => Err(error),
        _ => Err(Error::Device {
            device: "cpu",
            reason: reasons.join("; "),
        }),
    }
}

/// Result of a model's self-test on one backend.
#[derive(Debug)]
pub struct Verdict {
    /// `cpu` or `gpu`.
    pub device: &'static str,
    /// The executor, with its version if it could be opened.
    pub backend: String,
    /// How it passed, or why it failed.
    pub result: Result<Passed>,
}

/// Runs the model's self-test without results of earlier runs: on all backends of this build with
/// [`Device::Auto`], else on the one that would be tried first.
///
/// # Errors
/// [`Error::Device`] if there is no such device, [`Error::Argument`] if the model has no self-test.
pub fn verify(model: &Model, options: &EmbedOptions) -> Result<Vec<Verdict>> {
    let options = options.checked()?;
    if model.metadata.self_test.is_none() {
        let reason = "the model has no self-test: `trainer export` writes one";
        return Err(Error::Argument(reason.to_owned()));
    }
    let mut backends = Backend::of(options.device, model)?;
    if options.device != Device::Auto {
        backends.truncate(1);
    }
    let verdict = |(backend, why): (Backend, &'static str)| {
        let mut name = backend.name().to_owned();
        let result = backend.open(model, &options, why).and_then(|mut embedder| {
            name.clone_from(&embedder.chosen().backend);
            proof::replay(embedder.as_mut(), model)
        });
        Verdict {
            device: "cpu",
            backend: name,
            result,
        }
    };
    Ok(backends.into_iter().map(verdict).collect())
}

impl EmbedOptions {
    /// The same with the number of threads resolved.
    ///
    /// # Errors
    /// [`Error::Device`] with a number outside of its range.
    pub fn checked(self) -> Result<Self> {
        let refused = |reason| {
            Err(Error::Device {
                device: "cpu",
                reason,
            })
        };
        if !(1..=MAX_BATCH).contains(&self.batch) {
            let batch = self.batch;
            return refused(format!("batch is {batch}, wanted 1 to {MAX_BATCH}"));
        }
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads if threads <= MAX_THREADS => threads,
            threads => {
                return refused(format!("threads is {threads}, wanted 0 to {MAX_THREADS}"));
            }
        };
        Ok(Self { threads, ..self })
    }
}

/// An executor of networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    /// The plan of a quantised network.
    Planned,
    /// tract, which computes any network in float.
    Tract,
}

impl Backend {
    /// Those to try for a device, best first, each with the reason.
    fn of(device: Device, model: &Model) -> Result<Vec<(Self, &'static str)>> {
        let planned = PlannedEmbedder::suits(&model.graph);
        Ok(match (device, planned) {
            (Device::Gpu, _) => {
                return Err(Error::Device {
                    device: "gpu",
                    reason: "this build computes on the CPU only; use --device cpu".to_owned(),
                });
            }
            (Device::Auto | Device::Cpu, true) => {
                let why = "the network is quantised and computed in integers";
                let mut backends = vec![(Self::Planned, why)];
                if HAS_TRACT {
                    backends.push((Self::Tract, "tract computes it in float"));
                }
                backends
            }
            (Device::Auto, false) => vec![(Self::Tract, "no GPU backend is in this build")],
            (Device::Cpu, false) => {
                let why = "the CPU was requested, and tract is its backend for float networks";
                vec![(Self::Tract, why)]
            }
            (Device::Tract, _) => vec![(Self::Tract, "tract was requested")],
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Planned => "kernels int8",
            Self::Tract => "tract",
        }
    }

    fn open(self, model: &Model, options: &EmbedOptions, why: &str) -> Result<Box<dyn Embedder>> {
        let (threads, batch) = (options.threads, options.batch);
        Ok(match self {
            Self::Planned => Box::new(PlannedEmbedder::new(model, threads, batch, why)?),
            #[cfg(feature = "tract")]
            Self::Tract => Box::new(TractEmbedder::new(model, threads, batch, why)?),
            #[cfg(not(feature = "tract"))]
            Self::Tract => {
                let reason = "this build has no tract and computes only quantised networks: \
                              quantise it (`trainer export --quantize`), or build reid with the \
                              feature `tract`";
                return Err(Error::Embed {
                    reason: reason.to_owned(),
                });
            }
        })
    }
}

/// Whether an embedding is all zeros, so that it cannot be compared.
#[must_use]
pub fn is_empty(embedding: &[f32]) -> bool {
    embedding.iter().all(|&value| value == 0.0)
}

/// Appends the embeddings of `crops`, of `crop` bytes each, to `out`: `compute` writes them, then each is
/// scaled to length one. On an error `out` is unchanged.
fn append(
    crops: &[u8],
    crop: usize,
    dim: usize,
    out: &mut Vec<f32>,
    compute: impl FnOnce(&mut [f32]) -> Result<()>,
) -> Result<()> {
    if !crops.len().is_multiple_of(crop) {
        let found = crops.len();
        let reason = format!("{found} bytes are no whole number of crops of {crop}");
        return Err(Error::Embed { reason });
    }
    let start = out.len();
    out.resize(start + crops.len() / crop * dim, 0.0);
    let rows = &mut out[start..];
    let result = compute(rows).and_then(|()| rows.chunks_mut(dim).try_for_each(unit));
    if result.is_err() {
        out.truncate(start);
    }
    result
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
