//! A quantised network on the CPU by its plan: integers from the pixels to the last feature map.
//!
//! The plan is always whole, as what has no exact step becomes a float step: nothing of the network
//! goes through tract (`docs/adr/0008-planned-networks-alone.md`).

use kernels::cpu::{Executor, StepOutput};
use kernels::plan::Plan;
use network::graph::Graph;
use network::model::Model;
use network::self_test::{ChecksumRecorder, SelfTest, TestOutputs};

use super::trial::Trial;
use super::{Chosen, Embedder, append};
use crate::{Error, Result};

/// Embeds on the CPU with the executor of plans.
///
/// A single batch is computed by one thread or by all together, whatever has proven faster; several
/// are computed by all.
pub struct PlannedEmbedder {
    chosen: Chosen,
    executor: Executor,
    /// Names of the steps that write integers.
    exact: Vec<String>,
    /// Bytes of a crop.
    crop: usize,
    /// Of a single batch: whether one thread computes it alone.
    trial: Trial<bool>,
}

impl PlannedEmbedder {
    /// Whether a network is one of integers, which a plan computes in integers.
    #[must_use]
    pub fn suits(graph: &Graph) -> bool {
        graph.is_quantised()
    }

    /// Plans `model`.
    ///
    /// # Errors
    /// [`Error::Kernels`] with the node that contradicts the form of quantised networks.
    pub fn new(model: &Model, threads: usize, batch: usize, why: &str) -> Result<Self> {
        let preprocessing = &model.metadata.preprocessing;
        let plan = Plan::new(&model.graph, preprocessing)?;
        let executor = Executor::new(&plan, threads)?;
        Ok(Self {
            chosen: Chosen {
                device: "cpu",
                backend: format!("kernels int8, {}", executor.instructions()),
                threads: executor.threads(),
                batch,
                why: why.to_owned(),
                ..Chosen::default()
            },
            exact: plan.exact_steps(),
            crop: preprocessing.height * preprocessing.width * 3,
            trial: Trial::new(match executor.threads() {
                1 => vec![true],
                _ => vec![true, false],
            }),
            executor,
        })
    }
}

impl Embedder for PlannedEmbedder {
    fn chosen(&self) -> &Chosen {
        &self.chosen
    }

    fn chosen_mut(&mut self) -> &mut Chosen {
        &mut self.chosen
    }

    fn dim(&self) -> usize {
        self.executor.dim()
    }

    fn embed(&mut self, crops: &[u8], out: &mut Vec<f32>) -> Result<()> {
        let (count, dim) = (crops.len() / self.crop, self.dim());
        append(crops, self.crop, dim, out, |rows| {
            let executor = &mut self.executor;
            let mut compute = |alone| {
                executor.work_alone(alone);
                executor.run(crops, rows).map_err(Error::from)
            };
            match count <= self.chosen.batch {
                true => self.trial.run(count, compute),
                false => compute(false),
            }
        })
    }

    fn replay(&mut self, crops: &[u8], self_test: &SelfTest) -> Result<TestOutputs> {
        let count = self_test.golden.count;
        let mut embeddings = vec![0.0; count * self.dim()];
        if self_test.exact.is_none() {
            self.executor.run(crops, &mut embeddings)?;
            let sums = None;
            return Ok(TestOutputs { embeddings, sums });
        }
        let mut recorder = ChecksumRecorder::new(&self.exact, self_test.steps(), count)?;
        let see = |step, written: StepOutput<'_>| {
            if let StepOutput::Quantised(values) = written {
                recorder.record(step, values);
            }
        };
        self.executor.run_with(crops, &mut embeddings, see)?;
        Ok(recorder.finish(embeddings)?)
    }
}
