//! Training recipes: all settings of a run in one TOML file, as in `configs/`.
//!
//! Every key has a default, that of the official code of Luo et al. 2019; every trick of the paper is
//! one key. [`Recipe::read`] applies settings of the command line and checks everything once.
//! [`Recipe::to_toml`] gives the whole recipe back, for the run folder.

use std::path::Path;

use cli::settings;
use network::metadata::{Colour, Fit, Preprocessing, Resize};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::data::augment::Augment;
use crate::data::sampler::BatchOptions;
use crate::nets::Spec;
use crate::schedule::Schedule;
use crate::{Error, Result};

/// Keys of older recipes and the names that they have now.
const RENAMED: [(&str, &str); 13] = [
    ("augment.flip", "augment.flip_probability"),
    ("augment.erasing.p", "augment.erasing.probability"),
    ("augment.erasing.tries", "augment.erasing.max_attempts"),
    ("augment.jitter.p", "augment.jitter.probability"),
    ("loss.id.smoothing", "loss.id.label_smoothing"),
    ("loss.centre.rate", "loss.centre.learning_rate"),
    ("optimiser.rule", "optimiser.algorithm"),
    ("optimiser.rate", "optimiser.learning_rate"),
    ("optimiser.decay", "optimiser.weight_decay"),
    ("schedule.warmup", "schedule.warmup_epochs"),
    ("schedule.factor", "schedule.milestone_factor"),
    ("evaluate.every", "evaluate.interval"),
    ("evaluate.batch", "evaluate.batch_size"),
];

/// All settings of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// Seed of all random numbers: weights, order, augmentation.
    pub seed: u64,
    /// The network.
    pub model: Spec,
    /// How an image becomes its input.
    pub input: Input,
    /// Augmentation of images.
    pub augment: Augment,
    /// Which images make a batch.
    pub batch: BatchOptions,
    /// The losses.
    pub loss: Loss,
    /// The optimiser.
    pub optimiser: Optimiser,
    /// The learning rate over the epochs.
    pub schedule: Schedule,
    /// When and how it is evaluated.
    pub evaluate: Evaluate,
}

/// How an image becomes the network's input; with [`Spec::size`] the
/// [`Preprocessing`] of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// Resampling.
    pub resize: Resize,
    /// Aspect ratio.
    pub fit: Fit,
    /// Order of planes.
    pub colour: Colour,
    /// Subtracted from each plane of 0 to 1.
    pub mean: [f32; 3],
    /// Each plane is then divided by it.
    pub std: [f32; 3],
}

/// The losses: a weighted sum; weight 0 disables a loss.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Loss {
    /// Cross-entropy of the classifier.
    pub id: Id,
    /// Batch-hard triplet loss on `f_t`.
    pub triplet: Triplet,
    /// Centre loss on `f_t`.
    pub centre: Centre,
    /// Circle loss on `f_i`.
    pub circle: Circle,
    /// Distillation from another network.
    pub distil: Distil,
}

impl Loss {
    /// Whether a loss has a weight, or there is a teacher.
    #[must_use]
    pub fn teaches(&self) -> bool {
        let own = [
            self.id.weight,
            self.triplet.weight,
            self.centre.weight,
            self.circle.weight,
        ];
        let taught = [self.distil.logits, self.distil.features];
        let any = |weights: &[f64]| weights.iter().any(|&weight| weight > 0.0);
        any(&own) || !self.distil.teacher.is_empty() && any(&taught)
    }
}

/// Cross-entropy of the classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Id {
    /// Its weight in the sum.
    pub weight: f64,
    /// Share of each label that is spread over all persons, 0 to 1.
    pub label_smoothing: f64,
}

/// Batch-hard triplet loss on `f_t`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Triplet {
    /// Its weight in the sum.
    pub weight: f64,
    /// Wanted distance between the farthest of the same and the nearest other; below 0 the soft
    /// margin.
    pub margin: f64,
}

/// Centre loss on `f_t`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Centre {
    /// Its weight in the sum.
    pub weight: f64,
    /// Learning rate of the centres, whose gradient is divided by `weight`.
    pub learning_rate: f64,
}

/// Circle loss on `f_i`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Circle {
    /// Its weight in the sum.
    pub weight: f64,
    /// Relaxation.
    pub margin: f64,
    /// Scale.
    pub gamma: f64,
}

/// Distillation from another network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Distil {
    /// File of the teacher: weights or ONNX; empty for none.
    pub teacher: String,
    /// Weight of the divergence between the logits.
    pub logits: f64,
    /// Weight of the cosine distance between the features.
    pub features: f64,
    /// Temperature of the logits.
    pub temperature: f64,
}

/// The optimiser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optimiser {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Learning rate, which the schedule multiplies.
    pub learning_rate: f64,
    /// L2 penalty, in the gradient.
    pub weight_decay: f64,
    /// Decay of the exponential moving average of the weights, which is then evaluated and kept; 0
    /// disables it.
    pub ema: f64,
}

/// How parameters follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Adam (Kingma and Ba, 2015) with bias correction: betas 0.9 and 0.999, epsilon 1e-8 outside
    /// the square root, as in PyTorch.
    Adam,
    /// Stochastic gradient descent with momentum 0.9, as in PyTorch.
    Sgd,
    /// Gradient descent without momentum. It moves the centres of the centre loss and is no choice
    /// of a recipe.
    #[serde(skip)]
    GradientDescent,
}

/// When and how the network is evaluated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluate {
    /// Epochs between two evaluations; the last epoch always has one.
    pub interval: u32,
    /// Images in a batch.
    pub batch_size: usize,
}

impl Default for Input {
    fn default() -> Self {
        let Preprocessing {
            resize,
            fit,
            colour,
            mean,
            std,
            ..
        } = Preprocessing::default();
        Self {
            resize,
            fit,
            colour,
            mean,
            std,
        }
    }
}

impl Default for Id {
    fn default() -> Self {
        Self {
            weight: 1.0,
            label_smoothing: 0.1,
        }
    }
}

impl Default for Triplet {
    fn default() -> Self {
        Self {
            weight: 1.0,
            margin: 0.3,
        }
    }
}

impl Default for Centre {
    fn default() -> Self {
        Self {
            weight: 5e-4,
            learning_rate: 0.5,
        }
    }
}

impl Default for Circle {
    fn default() -> Self {
        Self {
            weight: 0.0,
            margin: 0.25,
            gamma: 64.0,
        }
    }
}

impl Default for Distil {
    fn default() -> Self {
        Self {
            teacher: String::new(),
            logits: 1.0,
            features: 1.0,
            temperature: 4.0,
        }
    }
}

impl Default for Optimiser {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Adam,
            learning_rate: 3.5e-4,
            weight_decay: 5e-4,
            ema: 0.0,
        }
    }
}

impl Default for Evaluate {
    fn default() -> Self {
        Self {
            interval: 10,
            batch_size: 64,
        }
    }
}

impl Recipe {
    /// The recipe in a file, with `settings` of the form `key=value` put over it.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::File`] with the key, what was found and what was wanted.
    pub fn read(path: &Path, settings: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        Self::parse(&text, settings).map_err(|reason| Error::file(path, reason))
    }

    /// As [`Recipe::read`], from text; the caller adds the file to an error.
    fn parse(text: &str, over: &[String]) -> Result<Self, String> {
        let mut table: Table = toml::from_str(text).map_err(|e| settings::one_line(&e))?;
        for setting in over {
            let (key, value) = setting
                .split_once('=')
                .ok_or_else(|| format!("`{setting}` is no setting: wanted key=value"))?;
            settings::put(&mut table, key.trim(), settings::value(value.trim()))?;
        }
        settings::refuse_renamed(&table, &RENAMED)?;
        // The default has every key: there is nothing optional.
        let whole = Table::try_from(Self::default()).expect("plain data always has a TOML form");
        let keys = settings::paths(&whole);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        settings::check(&table, &keys, &[])?;
        let recipe: Self = Value::Table(table)
            .try_into()
            .map_err(|e| settings::one_line(&e))?;
        recipe.check().map_err(|error| error.to_string())?;
        Ok(recipe)
    }

    /// The whole recipe, every key with its value.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain data always has a TOML form")
    }

    /// How crops are prepared for the network.
    #[must_use]
    pub fn preprocessing(&self) -> Preprocessing {
        let [height, width] = self.model.size;
        Preprocessing {
            height,
            width,
            resize: self.input.resize,
            fit: self.input.fit,
            colour: self.input.colour,
            mean: self.input.mean,
            std: self.input.std,
        }
    }

    fn check(&self) -> Result<()> {
        self.augment.check()?;
        self.batch.check()?;
        self.schedule.check()?;
        self.preprocessing().check()?;
        let wrong = |reason: String| Err(Error::Argument(reason));
        let Self {
            batch,
            loss,
            optimiser,
            evaluate,
            ..
        } = self;
        if batch.images == 0 || (batch.identities > 0 && batch.images < 2) {
            return wrong(format!(
                "batch.images is {}, wanted at least 2 of each person",
                batch.images
            ));
        }
        let pairs = loss.triplet.weight > 0.0 || loss.circle.weight > 0.0;
        if pairs && batch.identities < 2 {
            return wrong(format!(
                "batch.identities is {}, wanted at least 2 for the triplet and the circle loss",
                batch.identities
            ));
        }
        let shares = [
            ("loss.id.label_smoothing", loss.id.label_smoothing, 1.0),
            ("loss.id.weight", loss.id.weight, 1e6),
            ("loss.triplet.weight", loss.triplet.weight, 1e6),
            ("loss.centre.weight", loss.centre.weight, 1e6),
            ("loss.centre.learning_rate", loss.centre.learning_rate, 1e6),
            ("loss.circle.weight", loss.circle.weight, 1e6),
            ("loss.distil.logits", loss.distil.logits, 1e6),
            ("loss.distil.features", loss.distil.features, 1e6),
            ("optimiser.learning_rate", optimiser.learning_rate, 1e3),
            ("optimiser.weight_decay", optimiser.weight_decay, 1.0),
            ("optimiser.ema", optimiser.ema, 0.999_999),
        ];
        for (key, found, most) in shares {
            if !(0.0..=most).contains(&found) {
                return wrong(format!("{key} is {found}, wanted 0 to {most}"));
            }
        }
        if loss.distil.temperature <= 0.0 {
            return wrong(format!(
                "loss.distil.temperature is {}, wanted above 0",
                loss.distil.temperature
            ));
        }
        if evaluate.interval == 0 || evaluate.batch_size == 0 {
            return wrong("evaluate.interval and evaluate.batch_size are at least 1".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_keys_are_refused_with_the_new_name() {
        let whole = Table::try_from(Recipe::default()).unwrap();
        let keys = settings::paths(&whole);
        for (old, new) in RENAMED {
            assert!(keys.contains(&new.to_owned()), "{new}");
            assert!(!keys.contains(&old.to_owned()), "{old}");
            let error = Recipe::parse("", &[format!("{old}=1")]).unwrap_err();
            assert_eq!(error, format!("key `{old}` is now called `{new}`"));
        }
    }

    #[test]
    fn a_whole_recipe_goes_round() {
        let recipe = Recipe::default();
        let text = recipe.to_toml();
        assert_eq!(Recipe::parse(&text, &[]).unwrap(), recipe);
        assert_eq!(Recipe::parse("", &[]).unwrap(), recipe);
    }

    #[test]
    fn settings_go_over_the_file() {
        let settings = [
            "optimiser.learning_rate=1e-3",
            "model.neck=none",
            "schedule.milestones=[5, 9]",
        ];
        let recipe = Recipe::parse(
            "[optimiser]\nlearning_rate = 0.1\nweight_decay = 0.0",
            &settings.map(str::to_owned),
        )
        .unwrap();
        assert_eq!(recipe.optimiser.learning_rate, 1e-3);
        assert_eq!(recipe.optimiser.weight_decay, 0.0);
        assert_eq!(recipe.model.neck, crate::nets::Neck::None);
        assert_eq!(recipe.schedule.milestones, [5, 9]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key() {
        let cases = [
            (
                "[los.id]\nweight = 1.0",
                "",
                "unknown key `los`; the nearest is `loss.id",
            ),
            (
                "[loss.id]\nlabel_smothing = 0.1",
                "",
                "the nearest is `loss.id.label_smoothing`",
            ),
            (
                "",
                "model.last_strid=1",
                "the nearest is `model.last_stride`",
            ),
            ("", "seed", "`seed` is no setting: wanted key=value"),
            ("", "seed.x=1", "expected u64 in `seed`"),
            (
                "seed = 1",
                "seed.x=1",
                "`seed` is 1, wanted a table with `x`",
            ),
            ("[loss]\nid = 1", "", "id"),
            ("[schedule]\nepochs = \"many\"", "", "epochs"),
            ("[schedule]\nepochs = 0", "", "schedule.epochs is 0"),
            (
                "[loss.id]\nlabel_smoothing = 1.5",
                "",
                "loss.id.label_smoothing is 1.5, wanted 0 to 1",
            ),
            ("[batch]\nidentities = 0", "", "batch.identities is 0"),
            (
                "[optimiser]\nlearning_rate = nan",
                "",
                "optimiser.learning_rate is NaN",
            ),
            ("[model]\nbackbone = \"resnet51\"", "", "resnet51"),
        ];
        for (text, setting, wanted) in cases {
            let settings: Vec<String> = (!setting.is_empty())
                .then(|| setting.to_owned())
                .into_iter()
                .collect();
            let error = Recipe::parse(text, &settings).unwrap_err();
            assert!(error.contains(wanted), "{text} {setting}: {error}");
        }
    }
}
