//! Self-test of a model: known answers that a device compares with its own results before it is used.
//!
//! The [metadata](crate::metadata) hold the embeddings of a few golden crops (drawn, not stored) as half floats,
//! and for a quantised network checksums of its integers. [`SelfTest::replay`] runs an executor on the crops.
//! [`Level::Exact`] demands equal checksums of integer executors, [`Level::Close`] a cosine of all others. An
//! integer executor with other integers fails however close its embeddings are: that is no rounding.

mod embeddings;
mod golden;
mod recorder;

pub use golden::Golden;
pub use recorder::{ChecksumRecorder, checksum_steps};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// The most golden crops.
pub const MAX_CROPS: usize = 16;

/// The most steps with checksums.
pub const MAX_STEPS: usize = 64;

/// The most numbers of all embeddings, so that the self-test stays below 30 KB in the file; one crop may
/// have more.
const NUMBERS: usize = 4 * 2048;

/// Known answers of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfTest {
    /// The crops.
    pub golden: Golden,
    /// The embedding of each golden crop, `[crops][dim]`, of length one, rounded to half floats.
    #[serde(with = "embeddings")]
    pub embeddings: Vec<Vec<f32>>,
    /// Least cosine to [`Self::embeddings`] for [`Level::Close`], above 0.
    pub close: f64,
    /// Known answers of integer executors; none for a float network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<Exact>,
}

/// Known answers of integer executors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exact {
    /// Least cosine of the embedding after equal integers, above 0.
    pub cosine: f64,
    /// Checksums, in the order of execution.
    pub steps: Vec<StepChecksums>,
}

/// Known answers of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepChecksums {
    /// Its name in the plan.
    pub name: String,
    /// [`Checksum`] of its output for each golden crop.
    pub sums: Vec<Checksum>,
}

/// The first 64 bits of the SHA-256 of quantised values, u8 `[height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Checksum(u64);

/// How well an executor reproduces the known answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Its embeddings are within the bound of the exporter.
    Close,
    /// Its integers are equal.
    Exact,
}

/// The results of an executor for the golden crops.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TestOutputs {
    /// Embeddings, `[crops, dim]`, of any length.
    pub embeddings: Vec<f32>,
    /// Checksums of the steps that [`SelfTest::steps`] names, `[crops, steps]`; none from a float
    /// executor.
    pub sums: Option<Vec<Checksum>>,
}

/// The result of a self-test that passed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// The level that passed.
    pub level: Level,
    /// Golden crops compared.
    pub crops: usize,
    /// Steps whose checksums were compared, of each crop.
    pub steps: usize,
    /// Least cosine of an embedding to the known answer.
    pub cosine: f64,
    /// The cosine demanded.
    pub wanted: f64,
}

impl SelfTest {
    /// The self-test with the results of `run` for `golden`, with the bound `close`, and `exact` (the cosine
    /// and the names of the steps whose checksums `run` returns) for a quantised network.
    ///
    /// `run` gets the crops as [`Golden::crops`] draws them in `size`, height and width.
    ///
    /// # Errors
    /// Those of `run`; [`Error::Argument`] for an embedding of zeros (the network has collapsed) or a wrong
    /// number of embeddings or checksums.
    pub fn make<E: From<Error>>(
        golden: Golden,
        size: [usize; 2],
        close: f64,
        exact: Option<(f64, &[String])>,
        run: impl FnOnce(&[u8]) -> Result<TestOutputs, E>,
    ) -> Result<Self, E> {
        golden.check()?;
        let TestOutputs { embeddings, sums } = run(&golden.crops(size))?;
        let refuse = |reason: String| Err(Error::Argument(format!("self-test: {reason}")).into());
        let dim = embeddings.len() / golden.count;
        if dim == 0 || !embeddings.len().is_multiple_of(golden.count) {
            let (found, count) = (embeddings.len(), golden.count);
            return refuse(format!("{found} numbers are no {count} embeddings"));
        }
        let mut rows = Vec::with_capacity(golden.count);
        for (crop, row) in embeddings.chunks_exact(dim).enumerate() {
            let length = dot(row, row).sqrt();
            if length == 0.0 || !length.is_finite() {
                return refuse(format!(
                    "the embedding of golden crop {crop} has length {length}: the network has \
                     collapsed"
                ));
            }
            let half = |&v: &f32| embeddings::rounded((f64::from(v) / length) as f32);
            rows.push(row.iter().map(half).collect());
        }
        let exact = match (exact, sums) {
            (None, _) => None,
            (Some((cosine, names)), Some(sums)) if sums.len() == names.len() * golden.count => {
                let step = |(index, name): (usize, &String)| StepChecksums {
                    name: name.clone(),
                    sums: sums[index..].iter().copied().step_by(names.len()).collect(),
                };
                let steps = names.iter().enumerate().map(step).collect();
                Some(Exact { cosine, steps })
            }
            (Some((_, names)), sums) => {
                let found = sums.map_or(0, |sums| sums.len());
                let wanted = names.len() * golden.count;
                return refuse(format!("there are {found} checksums, wanted {wanted}"));
            }
        };
        let self_test = Self {
            golden,
            embeddings: rows,
            close,
            exact,
        };
        self_test.check(dim)?;
        Ok(self_test)
    }

    /// Names of the steps whose checksums an integer executor returns, in the order of execution.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = &str> {
        let steps = self.exact.as_ref().map_or(&[][..], |exact| &exact.steps);
        steps.iter().map(|step| step.name.as_str())
    }

    /// Runs the golden crops, `[crops, height, width, 3]` RGB, through `run` and compares the results.
    ///
    /// # Errors
    /// Those of `run`; [`Error::NotReproduced`] with the first crop and step that differ.
    pub fn replay<E: From<Error>>(
        &self,
        size: [usize; 2],
        run: impl FnOnce(&[u8]) -> Result<TestOutputs, E>,
    ) -> Result<Passed, E> {
        let produced = run(&self.golden.crops(size))?;
        Ok(self.compare(&produced)?)
    }

    fn compare(&self, produced: &TestOutputs) -> Result<Passed> {
        let (level, wanted, steps) = match (&self.exact, &produced.sums) {
            (Some(exact), Some(sums)) => {
                exact.compare(self.golden.count, sums)?;
                (Level::Exact, exact.cosine, exact.steps.len())
            }
            _ => (Level::Close, self.close, 0),
        };
        let dim = self.embeddings[0].len();
        let found = &produced.embeddings;
        if found.len() != dim * self.golden.count {
            return Err(Error::NotReproduced {
                what: "the number of numbers in all embeddings".to_owned(),
                found: found.len().to_string(),
                wanted: (dim * self.golden.count).to_string(),
            });
        }
        let mut least = f64::INFINITY;
        for (crop, (row, kept)) in found.chunks_exact(dim).zip(&self.embeddings).enumerate() {
            let cosine = dot(row, kept) / (dot(row, row) * dot(kept, kept)).sqrt();
            if cosine.is_nan() || cosine < wanted {
                return Err(Error::NotReproduced {
                    what: format!("the cosine to the embedding of golden crop {crop}"),
                    found: format!("{cosine:.8}"),
                    wanted: format!("at least {wanted}"),
                });
            }
            least = least.min(cosine);
        }
        Ok(Passed {
            level,
            crops: self.golden.count,
            steps,
            cosine: least.min(1.0),
            wanted,
        })
    }

    /// Refuses a self-test that no executor could pass, or every executor would.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the value found and the value wanted.
    pub fn check(&self, dim: usize) -> Result<()> {
        let malformed = |reason: String| Err(Error::malformed("self-test", reason));
        self.golden.check()?;
        let count = self.golden.count;
        if self.embeddings.len() != count {
            let found = self.embeddings.len();
            return malformed(format!(
                "it has {found} embeddings for {count} golden crops"
            ));
        }
        for (crop, row) in self.embeddings.iter().enumerate() {
            if row.len() != dim {
                let found = row.len();
                return malformed(format!(
                    "the embedding of golden crop {crop} has {found} numbers, wanted {dim}"
                ));
            }
            let length = dot(row, row).sqrt();
            if length.is_nan() || (length - 1.0).abs() > 0.01 {
                return malformed(format!(
                    "the embedding of golden crop {crop} has length {length}, wanted 1"
                ));
            }
        }
        let cosines = [Some(self.close), self.exact.as_ref().map(|e| e.cosine)];
        for cosine in cosines.into_iter().flatten() {
            if cosine.is_nan() || cosine <= 0.0 || cosine > 1.0 {
                return malformed(format!(
                    "it wants a cosine of at least {cosine}; that has to be above 0 and at most 1"
                ));
            }
        }
        if let Some(Exact { steps, .. }) = &self.exact {
            if !(1..=MAX_STEPS).contains(&steps.len()) {
                let found = steps.len();
                return malformed(format!(
                    "it has checksums of {found} steps, wanted 1 to {MAX_STEPS}"
                ));
            }
            for (index, step) in steps.iter().enumerate() {
                let (name, found) = (&step.name, step.sums.len());
                if found != count {
                    return malformed(format!(
                        "step `{name}` has {found} checksums for {count} golden crops"
                    ));
                }
                if steps[..index].iter().any(|other| other.name == *name) {
                    return malformed(format!("step `{name}` is there twice"));
                }
            }
        }
        Ok(())
    }
}

impl Exact {
    /// Compares the checksums `[crops, steps]`, step by step: the first that differs has the error.
    fn compare(&self, crops: usize, found: &[Checksum]) -> Result<()> {
        let count = self.steps.len();
        if found.len() != count * crops {
            return Err(Error::NotReproduced {
                what: "the number of checksums".to_owned(),
                found: found.len().to_string(),
                wanted: (count * crops).to_string(),
            });
        }
        for (index, step) in self.steps.iter().enumerate() {
            for (crop, &wanted) in step.sums.iter().enumerate() {
                let found = found[crop * count + index];
                if found != wanted {
                    let name = &step.name;
                    return Err(Error::NotReproduced {
                        what: format!(
                            "the checksum of what step `{name}` writes for golden crop {crop}"
                        ),
                        found: found.to_string(),
                        wanted: wanted.to_string(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Golden {
    /// As many golden crops as fit into a self-test with embeddings of `dim` numbers: four up to 2048
    /// numbers.
    #[must_use]
    pub fn for_dim(dim: usize) -> Self {
        Self {
            seed: 1,
            count: (NUMBERS / dim.max(1)).clamp(1, 4),
        }
    }
}

impl Checksum {
    /// The checksum of the output of a step for one crop.
    #[must_use]
    pub fn of(integers: &[u8]) -> Self {
        let digest = Sha256::digest(integers);
        let (first, _) = digest.split_first_chunk::<8>().expect("it has 32 bytes");
        Self(u64::from_be_bytes(*first))
    }
}

impl std::fmt::Display for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

impl TryFrom<String> for Checksum {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        match u64::from_str_radix(&text, 16) {
            Ok(value) if digits => Ok(Self(value)),
            _ => Err("a checksum is not 16 hexadecimal digits".to_owned()),
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Close => "close",
            Self::Exact => "exact",
        })
    }
}

impl std::fmt::Display for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            level,
            crops,
            steps,
            cosine,
            wanted,
        } = self;
        write!(f, "{level}: {crops} golden crops, ")?;
        if *level == Level::Exact {
            write!(f, "checksums of {steps} steps equal, ")?;
        }
        // Rounded down, so that the printed cosine was reached.
        let cosine = (cosine * 1e8).floor() / 1e8;
        write!(f, "cosine at least {cosine:.8}, wanted {wanted}")
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
    products.sum()
}

#[cfg(test)]
mod tests;
