//! Learning rate schedule.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Learning rates over the epochs of a run; the `[schedule]` table of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Epochs of the whole run.
    pub epochs: u32,
    /// Epochs of warm-up; 0 for none.
    pub warmup_epochs: u32,
    /// How the rate rises during warm-up.
    pub warmup_formula: Warmup,
    /// Share of the rate that the official warm-up starts from.
    pub warmup_factor: f64,
    /// How the rate falls.
    pub decay: Decay,
    /// Epochs after which (paper) or from which on (official) the rate is multiplied by
    /// `milestone_factor`.
    pub milestones: Vec<u32>,
    /// What a milestone multiplies the rate by.
    pub milestone_factor: f64,
}

/// Formula of the warm-up and meaning of a milestone: code and paper differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warmup {
    /// The official code: `f (1 - t / T) + t / T` in epoch t of T, and a milestone counts from that
    /// epoch on (`WarmupMultiStepLR`, which is stepped at the start of every epoch).
    Official,
    /// Equation 1 of Luo et al.: a tenth of the rate times `t / T`, up to and including epoch T,
    /// then the whole rate; a milestone counts after that epoch.
    Paper,
}

/// How the rate falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// At milestones.
    Step,
    /// Along half a cosine from the end of warm-up to zero behind the last epoch (Loshchilov and
    /// Hutter, 2017).
    Cosine,
}

impl Default for Schedule {
    /// Those of the official code.
    fn default() -> Self {
        Self {
            epochs: 120,
            warmup_epochs: 10,
            warmup_formula: Warmup::Official,
            warmup_factor: 0.01,
            decay: Decay::Step,
            milestones: vec![40, 70],
            milestone_factor: 0.1,
        }
    }
}

impl Schedule {
    /// Checks all values.
    ///
    /// # Errors
    /// [`Error::Argument`] with the key, the value found and the range.
    pub fn check(&self) -> Result<()> {
        let wrong = |reason: String| Err(Error::Argument(format!("schedule.{reason}")));
        if self.epochs == 0 {
            return wrong("epochs is 0, wanted at least 1".to_owned());
        }
        for (key, share) in [
            ("warmup_factor", self.warmup_factor),
            ("milestone_factor", self.milestone_factor),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return wrong(format!("{key} is {share}, wanted 0 to 1"));
            }
        }
        if !self.milestones.is_sorted_by(|a, b| a < b) {
            return wrong(format!("milestones {:?} do not rise", self.milestones));
        }
        Ok(())
    }

    /// What the base rate is multiplied by in `epoch`, counted from 1.
    #[must_use]
    pub fn share(&self, epoch: u32) -> f64 {
        let (t, warmup) = (f64::from(epoch), f64::from(self.warmup_epochs));
        let rise = match self.warmup_formula {
            Warmup::Official if epoch < self.warmup_epochs => {
                self.warmup_factor * (1.0 - t / warmup) + t / warmup
            }
            Warmup::Paper if epoch <= self.warmup_epochs => 0.1 * t / warmup,
            Warmup::Official | Warmup::Paper => 1.0,
        };
        let fall = match self.decay {
            Decay::Step => {
                let passed = |&&at: &&u32| match self.warmup_formula {
                    Warmup::Official => epoch >= at,
                    Warmup::Paper => epoch > at,
                };
                let passed = self.milestones.iter().filter(passed).count();
                self.milestone_factor.powf(passed as f64)
            }
            Decay::Cosine if epoch <= self.warmup_epochs => 1.0,
            Decay::Cosine => {
                let left = f64::from(self.epochs.saturating_sub(self.warmup_epochs)).max(1.0);
                let done = ((t - warmup - 1.0) / left).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        };
        rise * fall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_code_and_of_the_paper() {
        let official = Schedule::default();
        let paper = Schedule {
            warmup_formula: Warmup::Paper,
            ..Schedule::default()
        };
        let cosine = Schedule {
            decay: Decay::Cosine,
            epochs: 30,
            ..Schedule::default()
        };
        // Official: lr_scheduler.py of michuanhaohao/reid-strong-baseline, f = .01, T = 10,
        // stepped once before the first epoch. Paper: equation 1.
        let cases = [
            ("official", &official, 1, 0.01 * 0.9 + 0.1),
            ("official", &official, 5, 0.505),
            ("official", &official, 9, 0.901),
            ("official", &official, 10, 1.0),
            ("official", &official, 39, 1.0),
            ("official", &official, 40, 0.1),
            ("official", &official, 69, 0.1),
            ("official", &official, 70, 0.01),
            ("official", &official, 120, 0.01),
            ("paper", &paper, 1, 0.01),
            ("paper", &paper, 10, 0.1),
            ("paper", &paper, 11, 1.0),
            ("paper", &paper, 40, 1.0),
            ("paper", &paper, 41, 0.1),
            ("paper", &paper, 70, 0.1),
            ("paper", &paper, 71, 0.01),
            ("cosine", &cosine, 5, 0.505),
            ("cosine", &cosine, 11, 1.0),
            ("cosine", &cosine, 21, 0.5),
        ];
        for (name, schedule, epoch, wanted) in cases {
            let found = schedule.share(epoch);
            assert!(
                (found - wanted).abs() < 1e-12,
                "{name} {epoch}: {found}, wanted {wanted}"
            );
        }
        let none = Schedule {
            warmup_epochs: 0,
            milestones: Vec::new(),
            ..Schedule::default()
        };
        assert!((1..=120).all(|epoch| none.share(epoch) == 1.0));
    }

    #[test]
    fn what_makes_no_run_is_refused_by_key() {
        let cases = [
            (
                Schedule {
                    epochs: 0,
                    ..Schedule::default()
                },
                "schedule.epochs is 0",
            ),
            (
                Schedule {
                    milestone_factor: 2.0,
                    ..Schedule::default()
                },
                "schedule.milestone_factor is 2",
            ),
            (
                Schedule {
                    milestones: vec![70, 40],
                    ..Schedule::default()
                },
                "do not rise",
            ),
        ];
        for (schedule, wanted) in cases {
            let error = schedule.check().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        Schedule::default().check().unwrap();
    }
}
