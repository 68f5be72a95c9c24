//! The network that comes with this repository, made again from nothing but seeds: sixteen streets
//! and malls are rendered and joined, and an `OSNet` learns who walks on them; then fourteen others.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::{built_trainer, run};

/// Train the network that `models/` holds: renders 81,472 pictures of 4,500 persons, and learns
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

/// Of the streets, and of the malls: none of them is the seed 0 of `trainer synth`, which is tested
/// on.
const SEEDS: RangeInclusive<u32> = 101..=108;

/// Of the others. One less, so that the classifier is another one: it begins with fresh weights.
const OTHER_SEEDS: RangeInclusive<u32> = 109..=115;

/// Recipes: in floats, and in integers.
const FLOAT: &str = "configs/street-osnet_x0_25.toml";
const INT8: &str = "configs/street-osnet_x0_25-int8.toml";

/// File of a finished run.
const FINAL: &str = "final.safetensors";

/// What is different when it learns again, but for the epochs: 24 with the same people, 16 with others.
const AGAIN: [&str; 4] = ["--set", "schedule.warmup=2", "--set", "optimiser.rate=1e-3"];

/// Persons of each.
const IDENTITIES: &str = "150";

impl DefaultModel {
    pub(crate) fn run(&self) -> Result<()> {
        let trainer = built_trainer(self.trainer.as_deref())?;
        let folders = self.places(&trainer, SEEDS)?;
        let [first, again, others, int8] =
            ["run", "again", "others", "int8"].map(|name| self.out.join(name));
        let weights = |run: &Path| run.join(FINAL).display().to_string();
        self.train(&trainer, &first, FLOAT, &folders, &self.rest)?;
        // A second, longer cosine from where the first has ended, and a third with other people.
        let other = self.places(&trainer, OTHER_SEEDS)?;
        let mut before = &first;
        for (run, folders, epochs) in [(&again, &folders, 24), (&others, &other, 16)] {
            let begin = ["--init".to_owned(), weights(before), "--set".to_owned()];
            let epochs = [format!("schedule.epochs={epochs}")];
            let again = AGAIN.map(str::to_owned);
            let more = [&begin[..], &epochs, &again, &self.rest].concat();
            self.train(&trainer, run, FLOAT, folders, &more)?;
            before = run;
        }
        // And in integers, near to what it is in floats.
        let teacher = format!("loss.distil.teacher={}", weights(before));
        let begin = ["--qat", "--init", &weights(before), "--set", &teacher].map(str::to_owned);
        let more = [&begin[..], &in_f32(&self.rest)].concat();
        self.train(&trainer, &int8, INT8, &folders[..2], &more)
    }

    /// A street and a mall of each seed.
    fn places(&self, trainer: &Path, seeds: RangeInclusive<u32>) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for seed in seeds {
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
        out: &Path,
        recipe: &str,
        data: &[PathBuf],
        more: &[String],
    ) -> Result<()> {
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
            .args(["--identities", IDENTITIES, "--learn-only"]))?;
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
