//! Checksums of the outputs of the steps of a plan, taken while an executor runs.

use super::{Checksum, TestOutputs};
use crate::{Error, Result};

/// The most steps of a plan with checksums.
const STEPS: usize = 16;

/// The steps of `exact` to take checksums of: up to 16, spread evenly, with the last one. An error in a step
/// between two of them shows in the next.
#[must_use]
pub fn checksum_steps(exact: &[String]) -> Vec<String> {
    let once = |name: &&String| exact.iter().filter(|other| other == name).count() == 1;
    let names: Vec<&String> = exact.iter().filter(once).collect();
    let count = names.len().min(STEPS);
    let chosen = (1..=count).map(|i| names[i * names.len() / count - 1].clone());
    chosen.collect()
}

/// Takes the checksums of some steps; an executor reports the output of every step to it.
#[derive(Debug)]
pub struct ChecksumRecorder {
    crops: usize,
    /// For each step of the plan the column of its checksums, if they are taken.
    columns: Vec<Option<usize>>,
    /// `[crops, steps]`.
    sums: Vec<Option<Checksum>>,
    steps: usize,
}

impl ChecksumRecorder {
    /// Takes the checksums of the steps in `exact` that are named in `wanted`, for `crops` crops at once.
    ///
    /// # Errors
    /// [`Error::NotReproduced`] if there is no such step: the exporter planned the network differently.
    pub fn new<'a>(
        exact: &[String],
        wanted: impl IntoIterator<Item = &'a str>,
        crops: usize,
    ) -> Result<Self> {
        let mut columns = vec![None; exact.len()];
        let mut steps = 0;
        for name in wanted {
            let Some(index) = exact.iter().position(|step| step == name) else {
                return Err(Error::NotReproduced {
                    what: format!("step `{name}`"),
                    found: "none of the exact steps of this plan".to_owned(),
                    wanted: "one of them".to_owned(),
                });
            };
            columns[index] = Some(steps);
            steps += 1;
        }
        Ok(Self {
            crops,
            columns,
            sums: vec![None; crops * steps],
            steps,
        })
    }

    /// Takes the checksum of the output of step number `step`, quantised `[crops, height, width, channels]`.
    pub fn record(&mut self, step: usize, values: &[u8]) {
        let Some(Some(column)) = self.columns.get(step) else {
            return;
        };
        let each = (values.len() / self.crops.max(1)).max(1);
        for (crop, values) in values.chunks_exact(each).enumerate().take(self.crops) {
            self.sums[crop * self.steps + column] = Some(Checksum::of(values));
        }
    }

    /// The results, with the embeddings `[crops, dim]`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the executor has not reported a step.
    pub fn finish(self, embeddings: Vec<f32>) -> Result<TestOutputs> {
        let sums: Option<Vec<Checksum>> = self.sums.into_iter().collect();
        if sums.is_none() {
            let reason = "the executor has not reported all steps of the self-test";
            return Err(Error::Argument(reason.to_owned()));
        }
        Ok(TestOutputs { embeddings, sums })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn steps_are_spread_to_the_last_and_have_names_of_their_own() {
        let few = names(&["a", "b", "c"]);
        assert_eq!(checksum_steps(&few), few);
        assert_eq!(checksum_steps(&names(&["a", "b", "a"])), ["b"]);
        assert_eq!(checksum_steps(&[]), [""; 0]);
        let many: Vec<String> = (0..70).map(|i| i.to_string()).collect();
        let chosen = checksum_steps(&many);
        assert_eq!((chosen.len(), chosen.last()), (16, Some(&"69".to_owned())));
        let distance = |pair: &[String]| {
            let [a, b] = [&pair[0], &pair[1]].map(|name| name.parse::<usize>().unwrap());
            (4..=5).contains(&(b - a))
        };
        assert!(chosen.windows(2).all(distance), "{chosen:?}");
    }

    #[test]
    fn checksums_are_those_of_each_crop() {
        let exact = names(&["pixels", "conv", "pool"]);
        let mut recorder = ChecksumRecorder::new(&exact, ["conv", "pool"], 2).unwrap();
        recorder.record(0, &[9; 8]);
        recorder.record(1, &[1, 2, 3, 4]);
        assert!(recorder.sums[1].is_none());
        recorder.record(2, &[5, 6]);
        recorder.record(7, &[0; 2]);
        let produced = recorder.finish(vec![0.5; 6]).unwrap();
        let sums = [&[1, 2][..], &[5], &[3, 4], &[6]].map(Checksum::of);
        assert_eq!(produced.sums.as_deref(), Some(&sums[..]));

        let unseen = ChecksumRecorder::new(&exact, ["conv"], 2).unwrap();
        assert!(unseen.finish(Vec::new()).is_err());
        let error = ChecksumRecorder::new(&exact, ["norm"], 2)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("step `norm` is none of the exact steps"),
            "{error}"
        );
    }
}
