//! Features of images for an evaluation, computed with libtorch.

use std::sync::Arc;

use network::metadata::Preprocessing;
use retrieval::Embeddings;
use tch::Tensor;

use super::Mode;
use super::module::Module;
use super::{from_tch, tensor};
use crate::Result;
use crate::data::augment::Augment;
use crate::data::dataset::{Dataset, Image};
use crate::data::loader::{Batch, EpochPlan, Loader, LoaderOptions, TrainImages};
use crate::data::sampler::in_order;
use crate::evaluate::{Features, TestSet};

/// How images are read for the network.
#[derive(Debug, Clone, Copy)]
pub struct ExtractOptions<'a> {
    /// How they are prepared.
    pub preprocessing: &'a Preprocessing,
    /// Images computed at once.
    pub batch: usize,
    /// Threads that decode.
    pub loader: LoaderOptions,
}

/// Features of the queries and the gallery of a data set. `seen` is called with the number of images done.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if the data set has nothing to search for or in, or naming the image whose
/// feature is no number; [`Error::File`](crate::Error::File) for an image that cannot be read.
pub fn test_set(
    module: &Module,
    set: &Dataset,
    reading: ExtractOptions<'_>,
    mut seen: impl FnMut(usize),
) -> Result<TestSet> {
    for (what, images) in [("queries", &set.query), ("gallery images", &set.gallery)] {
        ensure!(!images.is_empty(), "{} has no {what}", set.name);
    }
    Ok(TestSet {
        name: set.name.clone(),
        query: features(module, &set.query, reading, &mut seen)?,
        gallery: features(module, &set.gallery, reading, &mut seen)?,
    })
}

/// Features of some images.
///
/// # Errors
/// As [`test_set`].
pub fn features(
    module: &Module,
    images: &[Image],
    reading: ExtractOptions<'_>,
    mut seen: impl FnMut(usize),
) -> Result<Features> {
    // Nothing is kept in memory: each image is read once.
    let photos = TrainImages::new(
        images.to_vec(),
        vec![0; images.len()],
        *reading.preprocessing,
        0,
    )?;
    let work = EpochPlan {
        batches: in_order(images.len(), reading.batch),
        augment: Augment::none(),
        seed: 0,
        epoch: 0,
    };
    let graph = module.graph();
    let value = |name: &str| {
        let output = graph.outputs().iter().find(|output| output.name == name);
        output.map(|output| output.value)
    };
    let necked = value("f_t") != value("f_i");
    let (mut f_t, mut f_i) = (Rows::default(), Rows::default());
    for batch in Loader::start(&Arc::new(photos), work, reading.loader)? {
        let batch = batch?;
        let pixels = images_of(&batch, reading.preprocessing)?;
        let outputs = tch::no_grad(|| module.forward(&pixels, Mode::Eval))?;
        f_t.add(outputs.get("f_t")?)?;
        if necked {
            f_i.add(outputs.get("f_i")?)?;
        }
        seen(batch.labels.len());
    }
    Features::new(
        f_t.embeddings()?,
        necked.then(|| f_i.embeddings()).transpose()?,
        images.iter().map(|image| image.label).collect(),
        (images.iter())
            .map(|image| image.path.display().to_string())
            .collect(),
    )
}

/// The images of a batch as libtorch has them, `[N, 3, height, width]`.
pub(super) fn images_of(batch: &Batch, preprocessing: &Preprocessing) -> Result<Tensor> {
    let shape = [
        batch.labels.len(),
        3,
        preprocessing.height,
        preprocessing.width,
    ];
    Ok(Tensor::f_from_slice(&batch.pixels)?.f_reshape(tensor::sizes(&shape))?)
}

/// Features of several batches.
#[derive(Default)]
struct Rows {
    dim: usize,
    data: Vec<f32>,
}

impl Rows {
    fn add(&mut self, batch: &Tensor) -> Result<()> {
        let rows = from_tch(batch)?;
        self.dim = rows.shape()[1];
        self.data.extend(rows.as_f32().expect("features are f32"));
        Ok(())
    }

    fn embeddings(self) -> Result<Embeddings> {
        Ok(Embeddings::new(self.dim, self.data)?)
    }
}
