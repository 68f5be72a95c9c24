//! From weights to the ONNX file for the device: classifier removed, branches merged, BatchNorms
//! folded, metadata added.
//!
//! [`Exported::proof`] compares the folded network with the unfolded one, [`Exported::verify`] with
//! embeddings of another framework. Both use the fast executor, whose result for the first image is
//! compared with the reference executor.

pub mod device;
pub mod int8;
pub mod quantise;
mod self_test;

use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use cli::Replacement;
use network::graph::fold::{fold, merge_branches};
use network::graph::{Dim, Graph};
use network::metadata::{self, Embedding, Metric, ModelMetadata, Preprocessing, WeightsOrigin};
use network::model::space;
use network::preprocess::{Cropper, Normaliser};
use network::tensor::Tensor;
use network::{onnx, reference};
use npyz::NpyFile;
use serde::Serialize;

use self::device::DeviceNetwork;
use crate::data::picture::Picture;
use crate::load::OpenedNet;
use crate::{Error, Result};

/// Name of the output.
const OUTPUT: &str = "embedding";

/// Greatest change of an embedding by folding, relative to its length.
pub const FOLDED: f64 = 1e-4;

/// A network in the form of the device file.
#[derive(Debug)]
pub struct Exported {
    /// Folded, with one output.
    pub graph: Graph,
    /// The same before anything was merged or folded.
    unfolded: Graph,
    /// Its metadata.
    pub metadata: ModelMetadata,
}

/// Difference between two computations of the same embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EmbeddingDifference {
    /// Images compared.
    pub images: usize,
    /// Least cosine between the two embeddings of an image.
    pub cosine_min: f64,
    /// Mean cosine.
    pub cosine_mean: f64,
    /// Greatest length of their difference, relative to the length of the embedding.
    pub relative_max: f64,
}

/// Folds a network and makes its metadata. `weights` states training data and licence. A network that is quantised already stays so.
///
/// # Errors
/// [`Error::Argument`] if it gives no embedding, [`Error::Parameter`] naming a weight that is no
/// number, [`Error::Kernels`] if it cannot be folded.
pub fn float(opened: &OpenedNet, weights: WeightsOrigin) -> Result<Exported> {
    let exported = Exported::new(opened.net.graph(), opened.info.preprocessing, weights)?;
    let metadata = ModelMetadata {
        quantisation: opened.quantisation.clone(),
        ..exported.metadata
    };
    Ok(Exported {
        metadata,
        ..exported
    })
}

impl Exported {
    /// The output `f_i` of a network, folded; see [`float`].
    ///
    /// # Errors
    /// As [`float`].
    pub fn new(
        graph: &Graph,
        preprocessing: Preprocessing,
        weights: WeightsOrigin,
    ) -> Result<Self> {
        let mut unfolded = graph.with_output("f_i")?;
        let feature = unfolded.take_outputs()[0].value;
        unfolded.output(OUTPUT, feature);
        let dim = match unfolded.value(feature).fact.shape.as_slice() {
            [Dim::Batch, Dim::Fixed(dim)] => *dim,
            shape => {
                let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
                bail!("the feature is [{}], wanted [N, dim]", shape.join(", "));
            }
        };
        check_finite(&unfolded)?;
        let metadata = ModelMetadata {
            version: metadata::VERSION,
            preprocessing,
            embedding: Embedding {
                output: OUTPUT.to_owned(),
                dim,
                metric: Metric::Cosine,
            },
            net: Some(unfolded.name().to_owned()),
            space: Some(space(&unfolded, &preprocessing)),
            weights,
            thresholds: Vec::new(),
            quantisation: None,
            self_test: None,
        };
        Ok(Self {
            graph: fold(&merge_branches(&unfolded)?)?,
            unfolded,
            metadata,
        })
    }

    /// Compares the folded network with the unfolded one on some images.
    ///
    /// # Errors
    /// [`Error::Argument`] with the figure if they are further apart than [`FOLDED`], or without
    /// images; [`Error::File`] for an image that cannot be read.
    pub fn proof(&self, images: &[PathBuf], seen: impl FnMut()) -> Result<EmbeddingDifference> {
        let unfolded = DeviceNetwork::in_floats(&self.unfolded, &self.metadata.preprocessing, 0);
        let mut unfolded = unfolded.worker()?;
        let gap = self.compare(images, seen, |crop, _| unfolded.embed(crop))?;
        if gap.relative_max.is_nan() || gap.relative_max > FOLDED {
            bail!(
                "folding changed an embedding by {:.1e} of its length, wanted at most {FOLDED:.0e}: the file was not written",
                gap.relative_max
            );
        }
        Ok(gap)
    }

    /// Compares with embeddings from elsewhere, `[images, dim]` in the order of `images`, as NumPy
    /// saves them.
    ///
    /// # Errors
    /// [`Error::File`] if the file is no such matrix or an image cannot be read.
    pub fn verify(
        &self,
        embeddings: &Path,
        images: &[PathBuf],
        seen: impl FnMut(),
    ) -> Result<EmbeddingDifference> {
        let wanted = [images.len(), self.metadata.embedding.dim];
        let rows = read_npy(embeddings, wanted)?;
        self.compare(images, seen, |_, image| {
            Ok(rows[image * wanted[1]..][..wanted[1]].to_vec())
        })
    }

    fn compare(
        &self,
        images: &[PathBuf],
        mut seen: impl FnMut(),
        mut other: impl FnMut(&[u8], usize) -> Result<Vec<f32>>,
    ) -> Result<EmbeddingDifference> {
        ensure!(!images.is_empty(), "there are no images to compare on");
        let folded = DeviceNetwork::new(&self.graph, &self.metadata.preprocessing, 0)?;
        let mut folded = folded.worker()?;
        let mut reader = Reader::new(&self.metadata.preprocessing)?;
        let mut gap = EmbeddingDifference {
            images: images.len(),
            cosine_min: 1.0,
            cosine_mean: 0.0,
            relative_max: 0.0,
        };
        for (index, path) in images.iter().enumerate() {
            let crop = reader.crop(path)?;
            let (ours, theirs) = (folded.embed(crop)?, other(crop, index)?);
            if index == 0 {
                self.check_executor(&reader.read(path)?, &ours)?;
            }
            let cosine = dot(&ours, &theirs) / (dot(&ours, &ours) * dot(&theirs, &theirs)).sqrt();
            if cosine.is_nan() {
                return Err(Error::file(path, "its embedding is zero or not finite"));
            }
            let relative = relative(&ours, &theirs);
            gap.cosine_min = gap.cosine_min.min(cosine);
            gap.cosine_mean += cosine / images.len() as f64;
            gap.relative_max = gap.relative_max.max(relative);
            seen();
        }
        Ok(gap)
    }

    /// Compares the fast executor with the reference executor.
    fn check_executor(&self, input: &Tensor, ours: &[f32]) -> Result<()> {
        let slow = reference::run(&self.graph, input)?.swap_remove(0);
        let off = relative(ours, slow.as_f32().expect("embeddings are f32"));
        // NaN if the embedding is zero.
        if off > FOLDED {
            bail!(
                "the fast executor differs by {off:.1e} of the length of an embedding, wanted at most {FOLDED:.0e}: please report this processor and this network"
            );
        }
        Ok(())
    }

    /// Writes the ONNX file, sealed with its own SHA-256; what was there stays until it is whole.
    ///
    /// # Errors
    /// [`Error::Kernels`], [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let json = [(metadata::METADATA_KEY.to_owned(), self.metadata.to_json())];
        let bytes = onnx::write_bytes_with_digest(&self.graph, &json.into())?;
        cli::replace_file(path, Replacement::Shared, |file| file.write_all(&bytes))
            .map_err(Error::io(path))
    }
}

/// Refuses float parameters that are NaN or infinite.
fn check_finite(graph: &Graph) -> Result<()> {
    let floats = graph.params().iter();
    let mut floats = floats.filter_map(|param| Some((&param.name, param.tensor.as_f32()?)));
    floats.try_for_each(|(name, values)| Error::check_finite(name, values))
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
    products.sum()
}

/// Length of the difference, relative to that of `theirs`.
fn relative(ours: &[f32], theirs: &[f32]) -> f64 {
    let apart: Vec<f32> = ours.iter().zip(theirs).map(|(a, b)| a - b).collect();
    (dot(&apart, &apart) / dot(theirs, theirs)).sqrt()
}

/// Image files as a network reads them.
pub(crate) struct Reader {
    picture: Picture,
    cropper: Cropper,
    normaliser: Normaliser,
    size: [usize; 2],
    bytes: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(preprocessing: &Preprocessing) -> Result<Self> {
        let size = [preprocessing.height, preprocessing.width];
        Ok(Self {
            picture: Picture::default(),
            cropper: Cropper::new(preprocessing)?,
            normaliser: Normaliser::new(preprocessing)?,
            size,
            bytes: vec![0; size[0] * size[1] * 3],
        })
    }

    /// RGB bytes of the network's size, `[height, width, 3]`.
    pub(crate) fn crop(&mut self, path: &Path) -> Result<&[u8]> {
        self.picture.read(path)?;
        self.cropper.whole(self.picture.view()?, &mut self.bytes)?;
        Ok(&self.bytes)
    }

    /// What a float network reads, `[1, 3, height, width]`.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Tensor> {
        self.crop(path)?;
        device::input(&self.normaliser, self.size, &self.bytes)
    }
}

/// A matrix of f32 or f64 as NumPy saves it.
fn read_npy(path: &Path, wanted: [usize; 2]) -> Result<Vec<f32>> {
    let refuse = |reason: String| Error::file(path, reason);
    let file = std::fs::File::open(path).map_err(Error::io(path))?;
    let npy = NpyFile::new(BufReader::new(file)).map_err(|e| refuse(e.to_string()))?;
    let found = npy.shape().to_vec();
    if found != wanted.map(|n| n as u64) || npy.order() != npyz::Order::C {
        return Err(refuse(format!(
            "it is {found:?} in {:?} order, wanted {wanted:?} in C order: one row for each image, in the order of their paths",
            npy.order()
        )));
    }
    match npy.try_data::<f32>() {
        Ok(rows) => rows
            .collect::<std::io::Result<_>>()
            .map_err(|e| refuse(e.to_string())),
        Err(npy) => npy
            .try_data::<f64>()
            .map_err(|npy| refuse(format!("elements are {:?}, wanted f32 or f64", npy.dtype())))?
            .map(|value| Ok(value? as f32))
            .collect::<std::io::Result<_>>()
            .map_err(|e| refuse(e.to_string())),
    }
}
