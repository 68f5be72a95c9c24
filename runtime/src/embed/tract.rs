//! The network on the CPU through tract: the folded graph is handed over as ONNX in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use kernels::model::Model;
use tract_linalg::multithread::{Executor, multithread_tract_scope};
use tract_onnx::prelude::{DatumExt, IntoTValue};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, Tensor, TractResult, TypedRunnableModel, tvec,
};

use super::{Chosen, Embedder, Frame};
use crate::{Error, Result};

/// Embeds on the CPU with tract.
///
/// Several crops are shared out among the threads, each of which computes its own; a single batch
/// is computed by all threads together.
pub struct TractEmbedder {
    frame: Frame,
    chosen: Chosen,
    /// For `batch` crops, and for one.
    plans: [Plan; 2],
    /// Computes one batch with all threads.
    together: Executor,
}

type Runnable = Arc<TypedRunnableModel>;

/// The network, optimised for one size of batch.
#[derive(Clone)]
struct Plan {
    batch: usize,
    network: Runnable,
}

impl TractEmbedder {
    /// Plans `model` for batches of one and of `batch`, 1 to [`super::MAX_BATCH`].
    ///
    /// # Errors
    /// [`Error::Embed`] if tract cannot run the network.
    pub fn new(model: &Model, threads: usize, batch: usize, why: &str) -> Result<Self> {
        let onnx = kernels::onnx::write_bytes(&model.graph, &BTreeMap::new())?;
        let plan = |batch| Plan::new(&onnx, model.graph.input_size(), batch);
        let one = plan(1)?;
        let many = if batch == 1 {
            one.clone()
        } else {
            plan(batch)?
        };
        Ok(Self {
            frame: Frame::new(model)?,
            chosen: Chosen {
                device: "cpu",
                backend: "tract 0.23.9".to_owned(),
                threads,
                batch,
                why: why.to_owned(),
            },
            plans: [many, one],
            together: match threads {
                1 => Executor::SingleThread,
                several => Executor::multithread(several),
            },
        })
    }

    /// `crops` cut into what is computed at once: whole batches, then single crops.
    fn jobs<'a>(&'a self, crops: &'a [u8]) -> impl Iterator<Item = (&'a Plan, &'a [u8])> {
        let crop = self.frame.crop_len();
        let [many, one] = &self.plans;
        let whole = crops.len() / (crop * many.batch) * (crop * many.batch);
        let (batches, singles) = crops.split_at(whole);
        let batches = batches
            .chunks(crop * many.batch)
            .map(move |crops| (many, crops));
        batches.chain(singles.chunks(crop).map(move |crop| (one, crop)))
    }
}

impl Embedder for TractEmbedder {
    fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    fn dim(&self) -> usize {
        self.frame.dim
    }

    fn embed(&mut self, crops: &[u8], out: &mut Vec<f32>) -> Result<()> {
        let (crop, dim) = (self.frame.crop_len(), self.frame.dim);
        if !crops.len().is_multiple_of(crop) {
            let reason = format!(
                "{} bytes are no whole number of crops of {crop}",
                crops.len()
            );
            return Err(Error::Embed { reason });
        }
        let start = out.len();
        out.resize(start + crops.len() / crop * dim, 0.0);
        let result = self.embed_into(crops, &mut out[start..]);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }
}

impl TractEmbedder {
    fn embed_into(&self, crops: &[u8], mut out: &mut [f32]) -> Result<()> {
        let mut jobs = Vec::new();
        for (plan, crops) in self.jobs(crops) {
            let (own, rest) = out.split_at_mut(plan.batch * self.frame.dim);
            out = rest;
            jobs.push((plan, crops, own));
        }
        let workers = self.chosen.threads.min(jobs.len());
        if workers <= 1 {
            return multithread_tract_scope(self.together.clone(), || {
                jobs.into_iter()
                    .try_for_each(|(plan, crops, out)| plan.run(&self.frame, crops, out))
            });
        }
        let share = jobs.len().div_ceil(workers);
        std::thread::scope(|scope| {
            let mut running = Vec::new();
            while !jobs.is_empty() {
                let mine = jobs.split_off(jobs.len().saturating_sub(share));
                running.push(scope.spawn(|| {
                    mine.into_iter()
                        .try_for_each(|(plan, crops, out)| plan.run(&self.frame, crops, out))
                }));
            }
            running.into_iter().try_for_each(|worker| {
                let died = |_| {
                    Err(Error::Embed {
                        reason: "a worker thread died".to_owned(),
                    })
                };
                worker.join().unwrap_or_else(died)
            })
        })
    }
}

impl Plan {
    fn new(onnx: &[u8], [channels, height, width]: [usize; 3], batch: usize) -> Result<Self> {
        let fact = f32::fact([batch, channels, height, width]);
        let optimised = || -> TractResult<Runnable> {
            let model = tract_onnx::onnx().model_for_read(&mut &*onnx)?;
            model
                .with_input_fact(0, fact.into())?
                .into_optimized()?
                .into_runnable()
        };
        let network = optimised().map_err(Error::tract)?;
        Ok(Self { batch, network })
    }

    /// Embeds exactly `batch` crops.
    fn run(&self, frame: &Frame, crops: &[u8], out: &mut [f32]) -> Result<()> {
        let [height, width] = frame.size;
        let mut infer = || -> TractResult<()> {
            let mut input = Tensor::zero::<f32>(&[self.batch, 3, height, width])?;
            let mut view = input.try_as_plain_ram_mut()?;
            let planes = view.as_slice_mut::<f32>()?;
            let crop = frame.crop_len();
            for (crop, planes) in crops.chunks(crop).zip(planes.chunks_mut(crop)) {
                frame.normaliser.fill(crop, planes)?;
            }
            let result = self.network.run(tvec!(input.into_tvalue()))?;
            out.copy_from_slice(result[0].try_as_plain_ram()?.as_slice::<f32>()?);
            Ok(())
        };
        infer().map_err(Error::tract)?;
        out.chunks_mut(frame.dim).try_for_each(Frame::unit)
    }
}
