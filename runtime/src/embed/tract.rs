//! The network on the CPU through tract: the folded graph is handed over as ONNX in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use network::model::Model;
use network::preprocess::Normaliser;
use tract_linalg::multithread::{Executor, multithread_tract_scope};
use tract_onnx::prelude::{DatumExt, IntoTValue};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, Tensor, TractResult, TypedRunnableModel, tvec,
};

use super::trial::Trial;
use super::{Chosen, Embedder, append};
use crate::{Error, Result};

/// Embeds on the CPU with tract.
///
/// Several batches are shared out among the threads, each of which computes its own. A single one
/// is computed by one thread or by all together, whatever has proven faster.
pub struct TractEmbedder {
    frame: Frame,
    chosen: Chosen,
    /// For `batch` crops, and for one.
    plans: [Plan; 2],
    /// Of a single batch.
    trial: Trial<Executor>,
}

/// What comes in and what goes out.
#[derive(Debug, Clone)]
struct Frame {
    normaliser: Normaliser,
    /// Height and width of a crop.
    size: [usize; 2],
    dim: usize,
}

impl Frame {
    fn new(model: &Model) -> Result<Self> {
        let preprocessing = &model.metadata.preprocessing;
        Ok(Self {
            normaliser: Normaliser::new(preprocessing)?,
            size: [preprocessing.height, preprocessing.width],
            dim: model.metadata.embedding.dim,
        })
    }

    /// Bytes of a crop, and numbers of a network input.
    fn crop_len(&self) -> usize {
        self.size[0] * self.size[1] * 3
    }
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
        let onnx = network::onnx::write_bytes(&model.graph, &BTreeMap::new())?;
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
                ..Chosen::default()
            },
            plans: [many, one],
            trial: Trial::new(match threads {
                1 => vec![Executor::SingleThread],
                threads => vec![Executor::SingleThread, Executor::multithread(threads)],
            }),
        })
    }
}

impl Embedder for TractEmbedder {
    fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    fn chosen_mut(&mut self) -> &mut Chosen {
        &mut self.chosen
    }

    fn dim(&self) -> usize {
        self.frame.dim
    }

    fn embed(&mut self, crops: &[u8], out: &mut Vec<f32>) -> Result<()> {
        let (crop, dim) = (self.frame.crop_len(), self.frame.dim);
        append(crops, crop, dim, out, |rows| self.embed_into(crops, rows))
    }
}

impl TractEmbedder {
    fn embed_into(&mut self, crops: &[u8], out: &mut [f32]) -> Result<()> {
        let frame = &self.frame;
        let mut jobs = jobs(&self.plans, frame, crops, out);
        let work = |jobs: Vec<Job<'_>>| jobs.into_iter().try_for_each(|job| job.run(frame));
        if let [only] = jobs.as_slice() {
            let batch = only.plan.batch;
            let work = || work(jobs);
            return (self.trial).run(batch, |executor| multithread_tract_scope(executor, work));
        }
        let workers = self.chosen.threads.min(jobs.len());
        if workers <= 1 {
            return work(jobs);
        }
        let share = jobs.len().div_ceil(workers);
        std::thread::scope(|scope| {
            let mut running = Vec::new();
            while !jobs.is_empty() {
                let mine = jobs.split_off(jobs.len().saturating_sub(share));
                running.push(scope.spawn(|| work(mine)));
            }
            let died = |_| {
                let reason = "a worker thread died".to_owned();
                Err(Error::Embed { reason })
            };
            running
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(died))
        })
    }
}

/// What is computed at once, and where it goes.
struct Job<'a> {
    plan: &'a Plan,
    crops: &'a [u8],
    out: &'a mut [f32],
}

/// `crops` cut into whole batches, then single crops.
fn jobs<'a>(
    [many, one]: &'a [Plan; 2],
    frame: &Frame,
    mut crops: &'a [u8],
    mut out: &'a mut [f32],
) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    while !crops.is_empty() {
        let plan = if crops.len() >= many.batch * frame.crop_len() {
            many
        } else {
            one
        };
        let (own, rest) = crops.split_at(plan.batch * frame.crop_len());
        let (rows, behind) = out.split_at_mut(plan.batch * frame.dim);
        (crops, out) = (rest, behind);
        jobs.push(Job {
            plan,
            crops: own,
            out: rows,
        });
    }
    jobs
}

impl Job<'_> {
    fn run(self, frame: &Frame) -> Result<()> {
        let [height, width] = frame.size;
        let batch = self.plan.batch;
        let crop = frame.crop_len();
        let mut infer = || -> TractResult<usize> {
            let mut input = Tensor::zero::<f32>(&[batch, 3, height, width])?;
            let mut view = input.try_as_plain_ram_mut()?;
            let planes = view.as_slice_mut::<f32>()?;
            for (crop, planes) in self.crops.chunks(crop).zip(planes.chunks_mut(crop)) {
                frame.normaliser.fill(crop, planes)?;
            }
            let result = self.plan.network.run(tvec!(input.into_tvalue()));
            crate::vectors::clear_upper_halves();
            let result = result?;
            let rows = result[0].try_as_plain_ram()?.as_slice::<f32>()?;
            if rows.len() == self.out.len() {
                self.out.copy_from_slice(rows);
            }
            Ok(rows.len())
        };
        let found = infer().map_err(Error::tract)?;
        if found != self.out.len() {
            let wanted = self.out.len();
            let reason = format!("the network gave {found} numbers, wanted {wanted}");
            return Err(Error::Embed { reason });
        }
        Ok(())
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
}
