//! The folder of a training run.
//!
//! | file | content |
//! |---|---|
//! | `recipe.toml` | the whole recipe, every key with its value |
//! | `log.jsonl` | one [`LogRecord`] a line |
//! | `last.safetensors` | checkpoint to resume from, written at the start and after every epoch |
//! | `final.safetensors` | the trained network |
//! | `final.onnx` | the trained network in its place, if it was trained with `--qat` |
//!
//! Every file except the log is replaced atomically, so a killed run leaves complete files.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use cli::Replacement;
use serde::{Deserialize, Serialize};

use crate::recipe::Recipe;
use crate::{Error, Result};

/// Checkpoint that a run resumes from.
pub const LAST: &str = "last.safetensors";

/// File of the trained network.
pub const FINAL: &str = "final.safetensors";

/// File of the trained network after quantisation-aware training.
pub const FINAL_INT8: &str = "final.onnx";

/// The folder of a run.
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
    log: File,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum LogRecord {
    /// An epoch is over.
    Epoch(EpochRecord),
    /// The network was evaluated.
    Evaluation(EvaluationRecord),
}

/// Means over the batches of an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1 on.
    pub epoch: u32,
    /// Learning rate.
    pub lr: f64,
    /// Each loss by name, times its weight, and under `total` their sum.
    pub loss: BTreeMap<String, f64>,
    /// Share of the images whose person the classifier names.
    pub accuracy: f64,
    /// Images a second.
    pub images_per_s: f64,
    /// Share of the time spent waiting for images, 0 to 1.
    pub waiting: f64,
}

/// Scores after an epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// After this epoch.
    pub epoch: u32,
    /// Scores on the test set.
    pub test: TestScores,
}

/// Scores of a network on a test set, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestScores {
    /// Share of the queries whose first answer is right.
    pub rank1: f64,
    /// Mean average precision.
    pub map: f64,
}

impl LogRecord {
    fn epoch(&self) -> u32 {
        match self {
            Self::Epoch(epoch) => epoch.epoch,
            Self::Evaluation(evaluation) => evaluation.epoch,
        }
    }
}

impl RunFolder {
    /// Makes the folder and keeps the recipe in it.
    ///
    /// # Errors
    /// [`Error::File`] if a run is in the folder already, [`Error::Io`] if it cannot be written.
    pub fn create(folder: &Path, recipe: &Recipe) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        if folder.join(LAST).exists() {
            return Err(Error::file(
                folder,
                "it holds a run already: use --resume to continue it, or --out for another folder",
            ));
        }
        write_whole(&folder.join("log.jsonl"), b"")?;
        write_whole(&folder.join("recipe.toml"), recipe.to_toml().as_bytes())?;
        Self::open(folder)
    }

    /// Opens the run in a folder after `epoch`, the last one with a checkpoint, and removes records of
    /// later epochs from the log. Returns the remaining records.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::File`] if the log is invalid.
    pub fn resume(folder: &Path, epoch: u32) -> Result<(Self, Vec<LogRecord>)> {
        let path = folder.join("log.jsonl");
        let records: Vec<LogRecord> = read_log(&path)?
            .into_iter()
            .filter(|record| record.epoch() <= epoch)
            .collect();
        let mut text = Vec::new();
        for record in &records {
            text.extend(line(record));
        }
        write_whole(&path, &text)?;
        Ok((Self::open(folder)?, records))
    }

    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("log.jsonl");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        Ok(Self {
            folder: folder.to_owned(),
            log,
        })
    }

    /// Where a file of the run is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Adds a line to the log.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn record(&mut self, record: &LogRecord) -> Result<()> {
        let path = self.path("log.jsonl");
        self.log.write_all(&line(record)).map_err(Error::io(path))
    }

    /// Writes a file of the run whole, or leaves what was there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_whole(&self.path(name), bytes)
    }
}

/// The records of a run. An incomplete last line, as a killed run leaves it, is ignored.
///
/// # Errors
/// [`Error::Io`], or [`Error::File`] with the line that is no record.
pub fn read_log(path: &Path) -> Result<Vec<LogRecord>> {
    let text = fs::read_to_string(path).map_err(Error::io(path))?;
    let mut records = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        match serde_json::from_str(line) {
            Ok(record) => records.push(record),
            Err(_) if !line.ends_with('\n') => {}
            Err(error) => return Err(Error::file(path, format!("line {number}: {error}"))),
        }
    }
    Ok(records)
}

fn line(record: &LogRecord) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).expect("plain data always has a JSON form");
    line.push(b'\n');
    line
}

/// Replaces a file of a run, whose pictures show persons.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    cli::replace_file(path, Replacement::Private, |file| file.write_all(bytes))
        .map_err(Error::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: u32) -> LogRecord {
        LogRecord::Epoch(EpochRecord {
            epoch,
            lr: 3.5e-4,
            loss: [("id".to_owned(), 2.0), ("total".to_owned(), 2.0)].into(),
            accuracy: 0.5,
            images_per_s: 10.0,
            waiting: 0.1,
        })
    }

    fn evaluation(epoch: u32) -> LogRecord {
        LogRecord::Evaluation(EvaluationRecord {
            epoch,
            test: TestScores {
                rank1: 0.9,
                map: 0.8,
            },
        })
    }

    #[test]
    fn a_run_that_was_cut_off_goes_on_after_its_last_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = RunFolder::create(folder.path(), &Recipe::default()).unwrap();
        for record in [epoch(1), evaluation(1), epoch(2), epoch(3)] {
            run.record(&record).unwrap();
        }
        // Killed in the middle of a line.
        let log = run.path("log.jsonl");
        let mut text = fs::read_to_string(&log).unwrap();
        text.push_str("{\"kind\":\"epo");
        fs::write(&log, text).unwrap();

        let (mut run, records) = RunFolder::resume(folder.path(), 2).unwrap();
        assert_eq!(records, [epoch(1), evaluation(1), epoch(2)]);
        run.record(&evaluation(2)).unwrap();
        let wanted = [epoch(1), evaluation(1), epoch(2), evaluation(2)];
        assert_eq!(read_log(&log).unwrap(), wanted);
        let kept = Recipe::read(&run.path("recipe.toml"), &[]).unwrap();
        assert_eq!(kept, Recipe::default());
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::create(folder.path(), &Recipe::default()).unwrap();
        // Nothing is lost yet.
        RunFolder::create(folder.path(), &Recipe::default()).unwrap();
        run.write(LAST, b"weights").unwrap();
        let error = RunFolder::create(folder.path(), &Recipe::default()).unwrap_err();
        assert!(error.to_string().contains("--resume"), "{error}");
    }

    #[test]
    fn a_log_that_is_none_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        fs::write(&path, "{\"kind\":\"epoch\"}\n").unwrap();
        let error = read_log(&path).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
