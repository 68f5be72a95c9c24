//! One training step, and the state between steps.
//!
//! A [`Learner`] holds the network, the losses, the optimisers and the centres. A step follows the
//! official code: Adam on the weights, plain gradient descent on the centres, whose gradient is
//! divided by the weight of the centre loss.

use std::collections::BTreeMap;

use network::tensor::Tensor as Stored;
use serde::Serialize;
use tch::{Kind, Tensor};

use super::loss::{self, Margin};
use super::module::{Module, Outputs};
use super::optimiser::Optimiser;
use super::{Mode, Precision};
use super::{from_tch, to_tch};
use crate::nets::Net;
use crate::recipe::{self, Recipe};
use crate::weights::WeightFile;
use crate::{Error, Result};
use synth::random::Draw;

/// The network in training.
#[derive(Debug)]
pub struct Learner {
    module: Module,
    /// Moving average of the weights, if the recipe has one.
    mean: Option<Module>,
    teacher: Option<Module>,
    /// One row a person; none without centre loss.
    centres: Option<Centres>,
    optimiser: Optimiser,
    loss: recipe::Loss,
    ema: f64,
    rate: f64,
    /// Whether BatchNorms follow the batches.
    norms: Mode,
}

#[derive(Debug)]
struct Centres {
    rows: Tensor,
    optimiser: Optimiser,
}

/// Losses and accuracy of a step, before the update.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TrainStep {
    /// The sum of all losses, each times its weight.
    pub loss: f64,
    /// Each loss by name, without its weight.
    pub parts: BTreeMap<&'static str, f64>,
    /// Each loss times its weight: what `loss` is the sum of.
    pub shares: BTreeMap<&'static str, f64>,
    /// Share of the images whose person the classifier (the first, with parts) names.
    pub accuracy: f64,
}

/// Names of a checkpoint's tensors that are no parameters of the network.
const CENTRES: &str = "centres";
const MEAN: &str = "mean/";
const OPTIMISER: &str = "optimiser/";
const STEPS: &str = "reid.optimiser_steps";

impl Learner {
    /// A learner that has not seen a batch, for `classes` persons.
    ///
    /// # Errors
    /// [`Error::Torch`] if there is no memory for it.
    pub fn new(
        net: &Net,
        classes: usize,
        recipe: &Recipe,
        teacher: Option<&Net>,
        device: tch::Device,
        precision: Precision,
    ) -> Result<Self> {
        let module = Module::new(net, device, precision)?;
        let open = |net: &Net| Module::new(net, device, precision);
        let optimiser = Optimiser::new(
            recipe.optimiser.algorithm,
            recipe.optimiser.weight_decay,
            module.trained(),
        )?;
        let centres = (recipe.loss.centre.weight > 0.0)
            .then(|| Centres::new(&module, classes, recipe.seed))
            .transpose()?;
        Ok(Self {
            mean: (recipe.optimiser.ema > 0.0)
                .then(|| open(net))
                .transpose()?,
            teacher: teacher
                .map(|net| {
                    can_teach(net, &recipe.loss.distil)?;
                    open(net)
                })
                .transpose()?,
            module,
            centres,
            optimiser,
            loss: recipe.loss.clone(),
            ema: recipe.optimiser.ema,
            rate: recipe.optimiser.learning_rate,
            norms: Mode::Train,
        })
    }

    /// Freezes the statistics of BatchNorms.
    pub fn freeze_norms(&mut self) {
        self.norms = Mode::Eval;
    }

    /// The network that is evaluated and kept: the moving average if there is one.
    #[must_use]
    pub fn evaluated(&self) -> &Module {
        self.mean.as_ref().unwrap_or(&self.module)
    }

    /// The network that is trained.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The centres, `[persons, C]`; none without centre loss.
    #[must_use]
    pub fn centres(&self) -> Option<&Tensor> {
        self.centres.as_ref().map(|centres| &centres.rows)
    }

    /// Learns from a batch: `images` f32 `[N, 3, height, width]`, `labels` i64 `[N]` of 0 to the
    /// number of persons. `share` is what the schedule multiplies the learning rate by.
    ///
    /// # Errors
    /// [`Error::Torch`] if something cannot be computed or the loss is no number; nothing is moved
    /// then.
    pub fn step(&mut self, images: &Tensor, labels: &Tensor, share: f64) -> Result<TrainStep> {
        let device = self.module.device();
        let (images, labels) = (images.f_to_device(device)?, labels.f_to_device(device)?);
        let outputs = self.module.forward(&images, self.norms)?;
        let (total, step) = self.total_loss(&images, &outputs, &labels)?;
        self.optimiser.zero_grad();
        if let Some(centres) = &mut self.centres {
            centres.optimiser.zero_grad();
        }
        total.f_backward()?;
        self.optimiser.step(self.rate * share, 1.0)?;
        if let Some(centres) = &mut self.centres {
            let settings = &self.loss.centre;
            centres
                .optimiser
                .step(settings.learning_rate, 1.0 / settings.weight)?;
        }
        self.follow()?;
        Ok(step)
    }

    /// The total loss, and its parts for the log.
    fn total_loss(
        &self,
        images: &Tensor,
        outputs: &Outputs,
        labels: &Tensor,
    ) -> Result<(Tensor, TrainStep)> {
        let mut sum = LossSum::new();
        let asked = &self.loss;
        if asked.id.weight > 0.0 {
            // With parts, the sum over their classifiers, as PCB has it.
            for logits in outputs.logits() {
                let loss = loss::cross_entropy(logits, labels, asked.id.label_smoothing)?;
                sum.add("id", asked.id.weight, &loss)?;
            }
        }
        if asked.triplet.weight > 0.0 {
            let margin = match asked.triplet.margin {
                soft if soft < 0.0 => Margin::Soft,
                margin => Margin::Hard(margin),
            };
            let loss = loss::triplet(outputs.get("f_t")?, labels, margin)?;
            sum.add("triplet", asked.triplet.weight, &loss)?;
        }
        if let Some(centres) = &self.centres {
            let loss = loss::centre(outputs.get("f_t")?, labels, &centres.rows)?;
            sum.add("centre", asked.centre.weight, &loss)?;
        }
        if asked.circle.weight > 0.0 {
            let recipe::Circle { margin, gamma, .. } = asked.circle;
            let loss = loss::circle(outputs.get("f_i")?, labels, margin, gamma)?;
            sum.add("circle", asked.circle.weight, &loss)?;
        }
        if let Some(teacher) = &self.teacher {
            let theirs = tch::no_grad(|| teacher.forward(images, Mode::Eval))?;
            self.learn_from(&theirs, outputs, &mut sum)?;
        }
        let accuracy = match outputs.logits().next() {
            Some(logits) => {
                let right = logits.f_argmax(1, false)?.f_eq_tensor(labels)?;
                f64::try_from(right.f_to_kind(Kind::Float)?.f_mean(Kind::Float)?)?
            }
            None => 0.0,
        };
        sum.finish(accuracy)
    }

    fn learn_from(&self, theirs: &Outputs, ours: &Outputs, sum: &mut LossSum) -> Result<()> {
        let asked = &self.loss.distil;
        if asked.features > 0.0 {
            let loss = loss::distil_features(ours.get("f_i")?, theirs.get("f_i")?)?;
            sum.add("distilled features", asked.features, &loss)?;
        }
        if asked.logits > 0.0 {
            let (ours, theirs) = (ours.get("logits")?, theirs.get("logits")?);
            let loss = loss::distil_logits(ours, theirs, asked.temperature)?;
            sum.add("distilled logits", asked.logits, &loss)?;
        }
        Ok(())
    }

    /// Updates the moving average. BatchNorm statistics are copied.
    fn follow(&self) -> Result<()> {
        let Some(mean) = &self.mean else {
            return Ok(());
        };
        tch::no_grad(|| {
            for ((_, mean), (_, now)) in mean.state().zip(self.module.state()) {
                let mut mean = mean.shallow_clone();
                if now.requires_grad() {
                    mean = mean.f_mul_scalar_(self.ema)?;
                    let _ = mean.f_add_(&now.f_mul_scalar(1.0 - self.ema)?)?;
                } else {
                    mean.f_copy_(now)?;
                }
            }
            Ok(())
        })
    }

    /// The checkpoint: parameters by name, centres, moving average and optimiser state.
    ///
    /// # Errors
    /// [`Error::Torch`] if it cannot be copied.
    pub fn checkpoint(&self) -> Result<WeightFile> {
        let mut weights = WeightFile::default();
        let mut keep = |prefix: &str, module: &Module| -> Result<()> {
            for (name, tensor) in module.state() {
                weights
                    .tensors
                    .insert(format!("{prefix}{name}"), from_tch(tensor)?);
            }
            Ok(())
        };
        keep("", &self.module)?;
        if let Some(mean) = &self.mean {
            keep(MEAN, mean)?;
        }
        for (name, tensor) in self.optimiser.state()? {
            weights.tensors.insert(format!("{OPTIMISER}{name}"), tensor);
        }
        if let Some(centres) = &self.centres {
            let rows = from_tch(&centres.rows)?;
            weights.tensors.insert(CENTRES.to_owned(), rows);
        }
        let steps = self.optimiser.steps().to_string();
        weights.metadata.insert(STEPS.to_owned(), steps);
        Ok(weights)
    }

    /// Restores a [`Learner::checkpoint`] of the same recipe.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming what is missing or has another shape, [`Error::Argument`] if it
    /// is no checkpoint; the learner is then of no use.
    pub fn restore(&mut self, checkpoint: &WeightFile) -> Result<()> {
        let steps = (checkpoint.metadata.get(STEPS))
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                Error::Argument(format!(
                    "these are weights, but no checkpoint of a run: `{STEPS}` is missing"
                ))
            })?;
        let load = |prefix: &str, module: &mut Module| -> Result<()> {
            let names: Vec<String> = module.state().map(|(name, _)| name.to_owned()).collect();
            for name in names {
                module.set(&name, kept(checkpoint, &format!("{prefix}{name}"))?)?;
            }
            Ok(())
        };
        load("", &mut self.module)?;
        if let Some(mean) = &mut self.mean {
            load(MEAN, mean)?;
        }
        if let Some(centres) = &mut self.centres {
            let rows = to_tch(kept(checkpoint, CENTRES)?)?;
            if rows.size() != centres.rows.size() {
                return Err(Error::Parameter {
                    name: CENTRES.to_owned(),
                    reason: format!("wanted {:?}, found {:?}", centres.rows.size(), rows.size()),
                });
            }
            tch::no_grad(|| centres.rows.f_copy_(&rows))?;
        }
        let state = (checkpoint.tensors.iter())
            .filter_map(|(name, tensor)| {
                Some((name.strip_prefix(OPTIMISER)?.to_owned(), tensor.clone()))
            })
            .collect();
        self.optimiser.restore(steps, &state)
    }
}

/// Checks that the teacher has the outputs of the distillation.
fn can_teach(net: &Net, asked: &recipe::Distil) -> Result<()> {
    let has = |name: &str| {
        net.graph()
            .outputs()
            .iter()
            .any(|output| output.name == name)
    };
    if asked.logits > 0.0 && !has("logits") {
        bail!("the teacher has no classifier: set loss.distil.logits=0 to use its features alone");
    }
    Ok(())
}

fn kept<'a>(checkpoint: &'a WeightFile, name: &str) -> Result<&'a Stored> {
    checkpoint
        .tensors
        .get(name)
        .ok_or_else(|| Error::Parameter {
            name: name.to_owned(),
            reason: "the checkpoint has none".to_owned(),
        })
}

impl Centres {
    /// Centres drawn from N(0, 1), as the official code does.
    fn new(module: &Module, classes: usize, seed: u64) -> Result<Self> {
        let graph = module.graph();
        let feature = (graph.outputs().iter())
            .find(|output| output.name == "f_t")
            .and_then(|output| graph.value(output.value).fact.shape.last()?.fixed())
            .ok_or_else(|| Error::Argument("the network has no feature f_t".to_owned()))?;
        let mut draw = Draw::new(seed, CENTRES, &[]);
        let drawn: Vec<f32> = (0..classes * feature)
            .map(|_| draw.normal() as f32)
            .collect();
        let rows = to_tch(&Stored::f32([classes, feature], drawn)?)?
            .f_to_device(module.device())?
            .f_to_kind(module.precision().kind())?
            .f_set_requires_grad(true)?;
        let optimiser =
            Optimiser::new(recipe::Algorithm::GradientDescent, 0.0, [(CENTRES, &rows)])?;
        Ok(Self { rows, optimiser })
    }
}

/// Losses, added up.
struct LossSum {
    total: Option<Tensor>,
    parts: BTreeMap<&'static str, f64>,
    shares: BTreeMap<&'static str, f64>,
}

impl LossSum {
    fn new() -> Self {
        Self {
            total: None,
            parts: BTreeMap::new(),
            shares: BTreeMap::new(),
        }
    }

    fn add(&mut self, name: &'static str, weight: f64, loss: &Tensor) -> Result<()> {
        let value = f64::try_from(loss)?;
        if !value.is_finite() {
            return Err(Error::Torch {
                what: format!("the {name} loss"),
                reason: format!("is {value}: lower the learning rate, or look at the data"),
            });
        }
        *self.parts.entry(name).or_default() += value;
        *self.shares.entry(name).or_default() += weight * value;
        let weighted = loss.f_mul_scalar(weight)?;
        self.total = Some(match self.total.take() {
            Some(total) => total.f_add(&weighted)?,
            None => weighted,
        });
        Ok(())
    }

    fn finish(self, accuracy: f64) -> Result<(Tensor, TrainStep)> {
        let total = self
            .total
            .ok_or_else(|| Error::Argument("every loss of the recipe has weight 0".to_owned()))?;
        let step = TrainStep {
            loss: f64::try_from(&total)?,
            parts: self.parts,
            shares: self.shares,
            accuracy,
        };
        Ok((total, step))
    }
}
