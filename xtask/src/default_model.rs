//! The network that comes with this repository, made again from nothing but seeds: sixteen streets
//! and malls are rendered and joined, and an `OSNet` learns who walks on them; then fourteen others,
//! and sixteen more.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::{built_trainer, run};

/// Train the network that `models/` holds: renders 125,256 pictures of 6,900 persons, and learns
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DefaultModel {
    /// Where pictures and the run are kept; what is there is not made again
    #[arg(long, value_name = "DIR", default_value = "runs/default-model")]
    out: PathBuf,
    /// A built trainer to run [default: it is built here]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<PathBuf>,
    /// Passed on to `trainer train`, for example --device=cuda
    #[arg(last = true)]
    rest: Vec<String>,
}

const AFTER_HELP: &str = "\
Examples:
  cargo xtask default-model -- --device cuda
  cargo xtask default-model -- --precision bf16";

/// One training after the other, each from where the one before has ended.
struct Round {
    /// Its folder.
    name: &'static str,
    /// Of the streets, and of the malls: none of them is the seed 0 of `trainer synth`, which is tested
    /// on. Where the people change, their number does too: a classifier of other people is not taken
    /// over.
    seeds: RangeInclusive<u32>,
    /// Epochs, if they are not the recipe's.
    epochs: Option<u32>,
}

const ROUNDS: [Round; 4] = [
    Round {
        name: "run",
        seeds: 101..=108,
        epochs: None,
    },
    Round {
        name: "again",
        seeds: 101..=108,
        epochs: Some(24),
    },
    Round {
        name: "others",
        seeds: 109..=115,
        epochs: Some(16),
    },
    Round {
        name: "more",
        seeds: 116..=123,
        epochs: Some(12),
    },
];

/// Recipes: in floats, and in integers.
const FLOAT: &str = "configs/street-osnet_x0_25.toml";
const INT8: &str = "configs/street-osnet_x0_25-int8.toml";

/// File of a finished run.
const FINAL: &str = "final.safetensors";

/// What is different when it learns again, beside the epochs: half the rate, along another cosine.
const AGAIN: [&str; 4] = [
    "--set",
    "schedule.warmup_epochs=2",
    "--set",
    "optimiser.learning_rate=1e-3",
];

/// Persons of each.
const IDENTITIES: &str = "150";

impl DefaultModel {
    pub(crate) fn run(&self) -> Result<()> {
        let trainer = built_trainer(self.trainer.as_deref())?;
        let weights = |run: &str| self.out.join(run).join(FINAL).display().to_string();
        let mut before: Option<&Round> = None;
        for round in &ROUNDS {
            let folders = self.places(&trainer, &round.seeds)?;
            let mut more = Vec::new();
            if let Some(before) = before {
                more.extend(["--init".to_owned(), weights(before.name)]);
                more.extend(AGAIN.map(str::to_owned));
            }
            if let Some(epochs) = round.epochs {
                more.extend(["--set".to_owned(), format!("schedule.epochs={epochs}")]);
            }
            more.extend_from_slice(&self.rest);
            self.train(&trainer, round.name, FLOAT, &folders, &more)?;
            before = Some(round);
        }
        // And in integers, near to what it is in floats.
        let last = weights(ROUNDS[ROUNDS.len() - 1].name);
        let teacher = format!("loss.distil.teacher={last}");
        let begin = ["--qat", "--init", &last, "--set", &teacher].map(str::to_owned);
        let more = [&begin[..], &in_f32(&self.rest)].concat();
        let folders = self.places(&trainer, &ROUNDS[0].seeds)?;
        self.train(&trainer, "int8", INT8, &folders[..2], &more)
    }

    /// A street and a mall of each seed.
    fn places(&self, trainer: &Path, seeds: &RangeInclusive<u32>) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for seed in seeds.clone() {
            for domain in ["street", "mall"] {
                let folder = self.out.join(format!("{domain}-{seed}"));
                self.render(trainer, &folder, domain, seed)?;
                folders.push(folder);
            }
        }
        Ok(folders)
    }

    /// A run, gone on with if it was cut off; what is finished is not made again.
    fn train(
        &self,
        trainer: &Path,
        name: &str,
        recipe: &str,
        data: &[PathBuf],
        more: &[String],
    ) -> Result<()> {
        let out = &self.out.join(name);
        if out.join("curves.svg").exists() {
            return Ok(());
        }
        let mut train = std::process::Command::new(trainer);
        train.arg("train").arg(recipe).arg("--out").arg(out);
        train.arg("--data").args(data).args(more);
        if out.join("last.safetensors").exists() {
            train.arg("--resume");
        }
        run(&mut train)
    }

    /// Rendered into a folder beside it, which gets its name when it is whole.
    fn render(&self, trainer: &Path, folder: &Path, domain: &str, seed: u32) -> Result<()> {
        if folder.exists() {
            return Ok(());
        }
        let unfinished = folder.with_extension("unfinished");
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished)?;
        }
        let seed = seed.to_string();
        run(std::process::Command::new(trainer)
            .arg("synth")
            .arg(&unfinished)
            .args(["--domain", domain, "--seed", &seed])
            .args(["--identities", IDENTITIES, "--train-only"]))?;
        Ok(std::fs::rename(&unfinished, folder)?)
    }
}

/// What is passed on, but for the precision: integers are trained in f32.
fn in_f32(rest: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--precision" => _ = words.next(),
            word if word.starts_with("--precision=") => {}
            _ => kept.push(word.clone()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::ROUNDS;

    /// `--init` keeps a classifier with the same number of classes.
    #[test]
    fn other_people_have_another_classifier() {
        for pair in ROUNDS.windows(2) {
            let [before, after] = [&pair[0].seeds, &pair[1].seeds];
            let as_many = before.clone().count() == after.clone().count();
            assert_eq!(before == after, as_many, "{}", pair[1].name);
        }
    }

    #[test]
    fn nothing_is_learned_that_figures_are_measured_on() {
        for measured in [0, 201] {
            assert!(ROUNDS.iter().all(|round| !round.seeds.contains(&measured)));
        }
    }

    #[test]
    fn integers_are_trained_in_f32() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        for rest in [
            "--device cpu --precision bf16 --threads 1",
            "--device cpu --precision=bf16 --threads 1",
        ] {
            assert_eq!(
                super::in_f32(&words(rest)),
                words("--device cpu --threads 1")
            );
        }
    }
}
