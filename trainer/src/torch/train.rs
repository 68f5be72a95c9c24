//! The training loop.
//!
//! After each epoch the network is evaluated if it is due, and a checkpoint is written. Random numbers
//! depend on seed and epoch, so a resumed run ends with the same weights, bit for bit on a CPU.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use network::metadata::Preprocessing;

use super::extract::{self, ExtractOptions, images_of};
use super::{Learner, Module, Precision, TrainStep};
use crate::checkpoint::NetInfo;
use crate::data::dataset::Dataset;
use crate::data::loader::{Batch, EpochPlan, Loader, LoaderOptions, TrainImages};
use crate::evaluate::{self, EvalSettings, Metric, ScoreRow};
use crate::nets::Net;
use crate::recipe::Recipe;
use crate::run_folder::{EpochRecord, EvaluationRecord, LAST, LogRecord, RunFolder, TestScores};
use crate::weights::WeightFile;
use crate::{Error, Result};

/// The network at the start of a run.
#[derive(Debug)]
pub struct TrainInput {
    /// The network, with random or loaded weights.
    pub net: Net,
    /// Its metadata.
    pub info: NetInfo,
    /// The teacher of the distillation.
    pub teacher: Option<Net>,
    /// Whether BatchNorms keep the statistics that they have.
    pub frozen_norms: bool,
}

/// Device and threads of a run.
#[derive(Debug, Clone, Copy)]
pub struct MachineOptions {
    /// Where it computes.
    pub device: tch::Device,
    /// With what numbers.
    pub precision: Precision,
    /// Threads that decode.
    pub loader: LoaderOptions,
    /// MiB of images that are kept decoded.
    pub cache_mb: usize,
}

/// Receives the events of a run.
pub trait TrainObserver {
    /// An epoch of so many steps starts.
    fn epoch(&mut self, _epoch: u32, _steps: usize) {}
    /// A step is done, on so many images.
    fn step(&mut self, _step: &TrainStep, _images: usize) {}
    /// The first batch of a run, as the network sees it.
    ///
    /// # Errors
    /// What goes wrong in showing it.
    fn batch(&mut self, _batch: &Batch) -> Result<()> {
        Ok(())
    }
    /// Something was logged.
    fn record(&mut self, _record: &LogRecord) {}
    /// So many images of the test set have been computed.
    fn embedded(&mut self, _images: usize) {}
}

/// Ignores all events.
impl TrainObserver for () {}

/// Trains a network and returns it with its metadata. `resume` is the last checkpoint of the run.
///
/// # Errors
/// Whatever is wrong with the data or the recipe, before anything is computed; what goes wrong on
/// the way, with everything up to the last epoch kept.
pub fn train(
    recipe: &Recipe,
    set: &Dataset,
    start: TrainInput,
    resume: Option<&WeightFile>,
    run: &mut RunFolder,
    machine: MachineOptions,
    watch: &mut impl TrainObserver,
) -> Result<(Net, NetInfo)> {
    check(recipe, set)?;
    let (labels, classes) = set.classes();
    let mut info = start.info;
    let preprocessing = info.preprocessing;
    let mut learner = Learner::new(
        &start.net,
        classes,
        recipe,
        start.teacher.as_ref(),
        machine.device,
        machine.precision,
    )?;
    if start.frozen_norms {
        learner.freeze_norms();
    }
    match resume {
        Some(weights) => {
            learner.restore(weights)?;
            info.epoch = NetInfo::of(weights)?.map_or(0, |kept| kept.epoch);
        }
        // The initial weights are saved, so that `--resume` needs no `--init`.
        None => keep(&learner, &info, run)?,
    }
    let photos = TrainImages::new(set.train.clone(), labels, preprocessing, machine.cache_mb)?;
    let photos = Arc::new(photos);
    let evaluated = !set.query.is_empty() && !set.gallery.is_empty();

    for epoch in info.epoch + 1..=recipe.schedule.epochs {
        let work = EpochPlan {
            batches: recipe
                .batch
                .batches(photos.labels(), recipe.seed, u64::from(epoch))?,
            augment: recipe.augment,
            seed: recipe.seed,
            epoch: u64::from(epoch),
        };
        watch.epoch(epoch, work.batches.len());
        let mut sums = EpochSums::default();
        let share = recipe.schedule.share(epoch);
        let mut loader = Loader::start(&photos, work, machine.loader)?;
        while let Some(batch) = loader.next().transpose()? {
            if info.epoch == 0 && sums.steps == 0 {
                watch.batch(&batch)?;
            }
            let pixels = images_of(&batch, &preprocessing)?;
            let classes = tch::Tensor::f_from_slice(&batch.labels)?;
            let step = learner.step(&pixels, &classes, share)?;
            watch.step(&step, batch.labels.len());
            sums.add(&step, batch.labels.len());
        }
        let record = sums.record(
            epoch,
            recipe.optimiser.learning_rate * share,
            loader.share_waited(),
        );
        log(run, watch, LogRecord::Epoch(record))?;

        let last = epoch == recipe.schedule.epochs;
        if evaluated && (last || epoch.is_multiple_of(recipe.evaluate.interval)) {
            let row = evaluate(
                learner.evaluated(),
                recipe,
                &preprocessing,
                set,
                machine,
                watch,
            )?;
            let evaluation = EvaluationRecord {
                epoch,
                test: TestScores {
                    rank1: row.plain.rank1,
                    map: row.plain.map,
                },
            };
            log(run, watch, LogRecord::Evaluation(evaluation))?;
        }
        info.epoch = epoch;
        keep(&learner, &info, run)?;
    }

    Ok((learner.evaluated().net()?, info))
}

/// Checks that a data set is large enough for the recipe, before anything is written.
///
/// # Errors
/// [`Error::Argument`] with what the data set has and what a batch wants, or if all losses are disabled.
pub fn check(recipe: &Recipe, set: &Dataset) -> Result<()> {
    if !recipe.loss.teaches() {
        let reason =
            "every loss has weight 0 and loss.distil.teacher is empty: there is nothing to train";
        return Err(Error::Argument(reason.to_owned()));
    }
    let (labels, classes) = set.classes();
    if recipe.batch.batches(&labels, recipe.seed, 1)?.is_empty() {
        bail!(
            "{} images of {classes} persons in {} make no batch",
            labels.len(),
            set.name
        );
    }
    Ok(())
}

/// Writes the checkpoint.
fn keep(learner: &Learner, info: &NetInfo, run: &RunFolder) -> Result<()> {
    let mut weights = learner.checkpoint()?;
    info.write_to(&mut weights);
    weights.write(&run.path(LAST))
}

fn log(run: &mut RunFolder, watch: &mut impl TrainObserver, record: LogRecord) -> Result<()> {
    run.record(&record)?;
    watch.record(&record);
    Ok(())
}

/// Evaluates the network as in the paper: the feature after the neck, by cosine.
fn evaluate(
    module: &Module,
    recipe: &Recipe,
    preprocessing: &Preprocessing,
    set: &Dataset,
    machine: MachineOptions,
    watch: &mut impl TrainObserver,
) -> Result<ScoreRow> {
    let reading = ExtractOptions {
        preprocessing,
        batch: recipe.evaluate.batch_size,
        loader: machine.loader,
    };
    let test = extract::test_set(module, set, reading, |images| watch.embedded(images))?;
    let settings = EvalSettings {
        feature: test.best_feature(),
        metric: Metric::Cosine,
        rerank: false,
    };
    evaluate::evaluate(&test, settings)
}

/// Sums over the steps of an epoch.
struct EpochSums {
    since: Instant,
    steps: usize,
    images: usize,
    loss: f64,
    accuracy: f64,
    shares: BTreeMap<&'static str, f64>,
}

impl Default for EpochSums {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            steps: 0,
            images: 0,
            loss: 0.0,
            accuracy: 0.0,
            shares: BTreeMap::new(),
        }
    }
}

impl EpochSums {
    fn add(&mut self, step: &TrainStep, images: usize) {
        self.steps += 1;
        self.images += images;
        self.loss += step.loss;
        self.accuracy += step.accuracy;
        for (name, share) in &step.shares {
            *self.shares.entry(name).or_default() += share;
        }
    }

    fn record(self, epoch: u32, rate: f64, waiting: f64) -> EpochRecord {
        let steps = self.steps as f64;
        EpochRecord {
            epoch,
            lr: rate,
            loss: (self.shares.into_iter().chain([("total", self.loss)]))
                .map(|(name, sum)| (name.to_owned(), sum / steps))
                .collect(),
            accuracy: self.accuracy / steps,
            images_per_s: self.images as f64 / self.since.elapsed().as_secs_f64(),
            waiting,
        }
    }
}
