//! The ablation of the paper: the effect of each trick on the standard baseline, from runs of `trainer`.
//!
//! Each run has a folder. Complete runs are reused and interrupted ones resumed, so the command can be
//! stopped at any time. Tables are Markdown on stdout: mean and range over the seeds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{built_trainer, run};

/// Measure the effect of each trick of the paper on a data set
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Ablation {
    /// Data set to train and test with
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Data sets of other scenes, on which every row is evaluated as well
    #[arg(long, value_name = "DIR", num_args = 0..)]
    cross: Vec<PathBuf>,
    /// Folder of the runs
    #[arg(long, value_name = "DIR", default_value = "runs/ablation")]
    out: PathBuf,
    /// Tables to print
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "tricks,necks"
    )]
    tables: Vec<Table>,
    /// Number of seeds for each row: 1 to N
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Networks of the table `backbones`
    #[arg(long, value_delimiter = ',', default_values_t = BACKBONES.map(str::to_owned))]
    backbones: Vec<String>,
    /// Warm-up epochs; shorter runs than the paper's need fewer
    #[arg(long, value_name = "EPOCHS", default_value_t = 10)]
    warmup: u32,
    /// Runs to train at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
    /// Program `trainer` to run [default: built from source]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<PathBuf>,
    /// More settings for every run, for example schedule.epochs=40; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Arguments for `trainer train` and `trainer eval`, for example --precision=bf16
    #[arg(last = true)]
    rest: Vec<String>,
}

const AFTER_HELP: &str = "\
Example:
  cargo xtask ablation --data street --cross mall --set schedule.epochs=40 -- --precision bf16
  cargo xtask ablation --data street --tables tricks,necks,sizes --jobs 6 -- --device cuda";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// The standard baseline, and one trick after the other
    Tricks,
    /// Both features by both metrics, with and without the neck
    Necks,
    /// Persons and images of a batch
    Batches,
    /// Sizes of the input
    Sizes,
    /// Networks
    Backbones,
}

/// The tricks in order: name and settings. `{warmup}` stands for `--warmup`.
const TRICKS: [(&str, &[&str]); 7] = [
    ("standard baseline", &[]),
    ("+ warm-up", &["schedule.warmup_epochs={warmup}"]),
    ("+ random erasing", &["augment.erasing.probability=0.5"]),
    ("+ label smoothing", &["loss.id.label_smoothing=0.1"]),
    ("+ last stride 1", &["model.last_stride=1"]),
    ("+ BNNeck", &["model.neck=bnneck"]),
    ("+ centre loss", &["loss.centre.weight=5e-4"]),
];

/// P and K of a batch of 32 and 64 images.
const BATCHES: [(usize, usize); 5] = [(8, 4), (4, 8), (16, 4), (8, 8), (32, 2)];

/// No network reads less than 32 x 32.
const SIZES: [[usize; 2]; 3] = [[64, 32], [96, 48], [128, 64]];

const BACKBONES: [&str; 4] = ["resnet18", "resnet50", "osnet_x0_25", "mobilenet_v2"];

/// The settings of every row, at a size that a CPU can train.
const BEGINNING: [&str; 3] = [
    "model.backbone=resnet18",
    "model.size=[128, 64]",
    "augment.pad=5",
];

/// A line of a table.
#[derive(Debug, Clone)]
struct Line {
    name: String,
    settings: Vec<String>,
}

/// A kind of evaluation of a run, kept in a file of the run folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// One row for the data set and one for each of `--cross`.
    Cross,
    /// One row for each feature and metric.
    Necks,
}

impl Ablation {
    pub(crate) fn run(mut self) -> Result<()> {
        self.trainer = Some(built_trainer(self.trainer.as_deref())?);
        ensure!(self.seeds > 0, "--seeds is 0, wanted at least 1");
        ensure!(self.jobs > 0, "--jobs is 0, wanted at least 1");
        self.work()?;
        for &table in &self.tables {
            match table {
                Table::Necks => self.necks()?,
                table => self.table(table.title(), &self.lines(table))?,
            }
        }
        Ok(())
    }

    /// Trains and evaluates all runs that the tables need and that do not exist yet, `jobs` at once.
    fn work(&self) -> Result<()> {
        let mut folders = BTreeSet::new();
        let mut all: Vec<(Line, u64, Question)> = Vec::new();
        for &table in &self.tables {
            for line in self.lines(table) {
                for seed in 1..=self.seeds {
                    let folder = self.folder(&line, seed);
                    if folders.insert((folder, table == Table::Necks)) {
                        all.push((line.clone(), seed, table.question()));
                    }
                }
            }
        }
        let next = AtomicUsize::new(0);
        let training: Mutex<BTreeSet<PathBuf>> = Mutex::default();
        let worker = || -> Result<()> {
            while let Some((line, seed, question)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                let folder = self.folder(line, *seed);
                // Two tables may need the same run: the second evaluation is done with the tables.
                let first = (training.lock().expect("no thread panics here")).insert(folder);
                if first {
                    let run = self.trained(line, *seed)?;
                    self.evaluated(&run, *question)?;
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..self.jobs).map(|_| scope.spawn(worker)).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            running.into_iter().try_for_each(join)
        })
    }

    /// One row for each line: rank-1 and mAP on the data set and on each of `--cross`.
    fn table(&self, title: &str, lines: &[Line]) -> Result<()> {
        let others: Vec<String> = (self.cross.iter())
            .map(|folder| format!(" rank-1 on {0} | mAP on {0} |", name_of(folder)))
            .collect();
        println!("| {title} | rank-1 | mAP |{}", others.concat());
        println!("|---|---|---|{}", "---|---|".repeat(self.cross.len()));
        for line in lines {
            let mut columns: Vec<Vec<f64>> = vec![Vec::new(); 2 + 2 * self.cross.len()];
            for seed in 1..=self.seeds {
                let report = self.evaluated(&self.trained(line, seed)?, Question::Cross)?;
                let rows = report["rows"].as_array().context("no rows")?;
                for (row, columns) in rows.iter().zip(columns.chunks_exact_mut(2)) {
                    for (column, key) in columns.iter_mut().zip(["rank1", "map"]) {
                        column.push(row["plain"][key].as_f64().context("no score")?);
                    }
                }
            }
            let cells: Vec<String> = columns.iter().map(|scores| spread(scores)).collect();
            println!("| {} | {} |", line.name, cells.join(" | "));
        }
        println!();
        Ok(())
    }

    /// Both features by both metrics: all tricks, and the same without the neck.
    fn necks(&self) -> Result<()> {
        println!("| Network | feature | metric | rank-1 | mAP |\n|---|---|---|---|---|");
        for line in self.lines(Table::Necks) {
            let mut rows: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
            for seed in 1..=self.seeds {
                let report = self.evaluated(&self.trained(&line, seed)?, Question::Necks)?;
                let found = report["rows"].as_array().context("no rows")?;
                for (at, row) in found.iter().enumerate() {
                    let text = |key: &str| row[key].as_str().map(str::to_owned).context("no name");
                    if rows.len() <= at {
                        let name = format!("{} | {}", text("feature")?, text("metric")?);
                        rows.push((name, Vec::new(), Vec::new()));
                    }
                    let score = |key: &str| row["plain"][key].as_f64().context("no score");
                    rows[at].1.push(score("rank1")?);
                    rows[at].2.push(score("map")?);
                }
            }
            for (name, rank1, map) in rows {
                println!(
                    "| {} | {name} | {} | {} |",
                    line.name,
                    spread(&rank1),
                    spread(&map)
                );
            }
        }
        println!();
        Ok(())
    }

    /// Every setting of a run; those of [`BEGINNING`] first.
    fn settings(&self, line: &Line, seed: u64) -> Vec<String> {
        let mut settings: Vec<String> = BEGINNING.map(str::to_owned).into();
        settings.extend(line.settings.iter().chain(&self.settings).cloned());
        settings.push(format!("seed={seed}"));
        settings
    }

    /// Where a run is kept: the same settings are the same run, whichever table asks for it.
    fn folder(&self, line: &Line, seed: u64) -> PathBuf {
        self.out
            .join(slug(&self.settings(line, seed)[BEGINNING.len()..]))
    }

    /// The folder of a finished run.
    fn trained(&self, line: &Line, seed: u64) -> Result<PathBuf> {
        let folder = self.folder(line, seed);
        if folder.join("final.safetensors").exists() {
            return Ok(folder);
        }
        eprintln!("{} (seed {seed})", line.name);
        let mut trainer = self.trainer();
        trainer.arg("train").arg("configs/standard-baseline.toml");
        trainer
            .arg("--data")
            .arg(&self.data)
            .arg("--out")
            .arg(&folder);
        if folder.join("last.safetensors").exists() {
            trainer.arg("--resume");
        }
        for setting in self.settings(line, seed) {
            trainer.args(["--set", &setting]);
        }
        run(trainer.args(&self.rest))?;
        Ok(folder)
    }

    /// The report of `trainer eval` on a run, kept in its folder.
    fn evaluated(&self, folder: &Path, question: Question) -> Result<Value> {
        let kept = folder.join(match question {
            Question::Cross => "cross.json",
            Question::Necks => "necks.json",
        });
        if !kept.exists() {
            let mut trainer = self.trainer();
            trainer
                .arg("eval")
                .arg("--json")
                .arg("--data")
                .arg(&self.data);
            trainer
                .arg("--weights")
                .arg(folder.join("final.safetensors"));
            match question {
                Question::Cross if self.cross.is_empty() => {}
                Question::Cross => _ = trainer.arg("--cross").args(&self.cross),
                Question::Necks => _ = trainer.arg("--necks"),
            }
            // The evaluation uses the same device options.
            trainer.args(&self.rest);
            let output = trainer.output()?;
            if !output.status.success() {
                bail!("{trainer:?}: {}", String::from_utf8_lossy(&output.stderr));
            }
            std::fs::write(&kept, output.stdout)?;
        }
        let text = std::fs::read_to_string(&kept)?;
        serde_json::from_str(&text).with_context(|| kept.display().to_string())
    }
}

impl Ablation {
    fn lines(&self, table: Table) -> Vec<Line> {
        let warmup = self.warmup;
        match table {
            Table::Tricks => tricks(warmup),
            Table::Necks => {
                let all = tricks(warmup).pop().expect("there are tricks");
                let without = Line {
                    name: "without BNNeck".to_owned(),
                    settings: [all.settings.clone(), vec!["model.neck=none".to_owned()]].concat(),
                };
                let whole = Line {
                    name: "with BNNeck".to_owned(),
                    ..all
                };
                vec![without, whole]
            }
            Table::Batches => varied(warmup, BATCHES, |(p, k)| {
                let name = format!("{p} x {k}");
                let settings = [format!("batch.identities={p}"), format!("batch.images={k}")];
                (name, settings.into())
            }),
            Table::Sizes => varied(warmup, SIZES, |[h, w]| {
                (format!("{h} x {w}"), vec![format!("model.size=[{h}, {w}]")])
            }),
            Table::Backbones => varied(warmup, &self.backbones, |name| {
                (name.clone(), vec![format!("model.backbone={name}")])
            }),
        }
    }

    fn trainer(&self) -> Command {
        let built = self.trainer.as_ref();
        Command::new(built.expect("it is built before the first run"))
    }
}

impl Table {
    fn title(self) -> &'static str {
        match self {
            Self::Tricks => "Trick",
            Self::Necks => "Network",
            Self::Batches => "P x K",
            Self::Sizes => "Height x width",
            Self::Backbones => "Network",
        }
    }

    fn question(self) -> Question {
        match self {
            Self::Necks => Question::Necks,
            Self::Tricks | Self::Batches | Self::Sizes | Self::Backbones => Question::Cross,
        }
    }
}

/// Each trick with all tricks before it.
fn tricks(warmup: u32) -> Vec<Line> {
    let mut settings: Vec<String> = Vec::new();
    let mut tricks = Vec::new();
    for (name, more) in TRICKS {
        let filled = |setting: &&str| setting.replace("{warmup}", &warmup.to_string());
        settings.extend(more.iter().map(filled));
        tricks.push(Line {
            name: name.to_owned(),
            settings: settings.clone(),
        });
    }
    tricks
}

/// The whole recipe with one thing varied.
fn varied<T>(
    warmup: u32,
    values: impl IntoIterator<Item = T>,
    line: impl Fn(T) -> (String, Vec<String>),
) -> Vec<Line> {
    let whole = tricks(warmup).pop().expect("there are tricks").settings;
    let line = |value| {
        let (name, more) = line(value);
        Line {
            name,
            settings: [whole.clone(), more].concat(),
        }
    };
    values.into_iter().map(line).collect()
}

/// Mean and range in percent.
fn spread(scores: &[f64]) -> String {
    let percent = |score: f64| score * 100.0;
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match scores.len() {
        1 => format!("{:.1}", percent(mean)),
        _ => format!(
            "{:.1} ({:.1} to {:.1})",
            percent(mean),
            percent(least),
            percent(most)
        ),
    }
}

/// A folder's name out of settings: the last part of each key and its value. File systems take 255
/// bytes: where there are more, the settings' hash stands for the rest.
fn slug(settings: &[String]) -> String {
    const LONGEST: usize = 200;
    let clean = |c: char| {
        if c.is_ascii_alphanumeric() || c == '.' {
            c
        } else {
            '-'
        }
    };
    let short = |setting: &String| {
        let (key, value) = setting.split_once('=').unwrap_or(("", setting));
        let last = key.rsplit('.').next().unwrap_or(key);
        format!("{last}-{value}")
            .chars()
            .map(clean)
            .collect::<String>()
    };
    let mut text = settings.iter().map(short).collect::<Vec<_>>().join("_");
    if text.len() > LONGEST {
        // FNV-1a.
        let hash = (text.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        text.truncate(LONGEST);
        text = format!("{text}_{hash:016x}");
    }
    text
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_all_tricks_before_it() {
        let tricks = tricks(4);
        assert_eq!(tricks[1].settings, ["schedule.warmup_epochs=4"]);
        assert_eq!(tricks.len(), 7);
        for (at, pair) in tricks.windows(2).enumerate() {
            assert!(pair[1].settings.starts_with(&pair[0].settings), "{at}");
            assert_eq!(pair[1].settings.len(), pair[0].settings.len() + 1);
        }
        let folders: BTreeSet<String> = tricks.iter().map(|line| slug(&line.settings)).collect();
        assert_eq!(folders.len(), 7);
    }

    #[test]
    fn many_settings_still_make_a_name_of_their_own() {
        let settings = |last: &str| -> Vec<String> {
            let many = (0..40).map(|i| format!("loss.some.key{i}=[{i}, {i}]"));
            many.chain([last.to_owned()]).collect()
        };
        let [one, other] = ["seed=1", "seed=2"].map(|last| slug(&settings(last)));
        assert!(one.len() < 255 && one != other, "{one} {other}");
        assert_eq!(
            slug(&["schedule.warmup_epochs=3".to_owned()]),
            "warmup-epochs-3"
        );
    }

    #[test]
    fn every_size_is_one_that_networks_read() {
        assert!(SIZES.as_flattened().iter().all(|&side| side >= 32));
    }

    #[test]
    fn scores_are_shown_with_their_range() {
        assert_eq!(spread(&[0.5]), "50.0");
        assert_eq!(spread(&[0.5, 0.7, 0.6]), "60.0 (50.0 to 70.0)");
    }
}
