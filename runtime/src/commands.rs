//! The command line: parsed and checked here, carried out by one module for each command.

mod bench;
mod config;
mod demo;
mod doctor;
mod embed;
mod eval;
mod gallery;
mod images;
mod interrupt;
mod matching;
mod model;
mod npy;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use network::metadata::{PreprocessingPart, Resize};
use network::model::Model;
use runtime::embed::{Device, EmbedOptions, Embedder, Proof};

use self::interrupt::Interrupt;

/// Watch cameras or videos, and report which persons were seen before.
#[derive(Debug, Parser)]
#[command(name = "reid", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: cli::LogOptions,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the command succeeded
  1  the command failed; one line on stderr gives the reason
  2  the command line is wrong
  3  the command succeeded, but part of the input could not be read; stderr names it
  4  `model verify`: the model has no self-test

Examples:
  reid demo
  reid run clip.avi --boxes boxes.csv --model person.onnx --gallery shop.redb --json
  reid eval Market-1501 --model person.onnx --open-set
  reid enroll Ada ada/*.jpg --gallery shop.redb --model person.onnx
  reid match unknown.jpg --gallery shop.redb --model person.onnx";

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    Embed(embed::Embed),
    Match(matching::Match),
    Enroll(matching::Enroll),
    Gallery(gallery::Gallery),
    Eval(eval::Eval),
    Bench(bench::Bench),
    Model(model::ModelCommand),
    Doctor(doctor::Doctor),
    Config(config::ConfigCommand),
    #[command(flatten)]
    Docs(cli::DocsCommand),
}

/// How a command ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did all of its work.
    Done,
    /// Part of the input could not be read.
    Partly,
}

impl Outcome {
    fn of_unreadable(files: usize) -> Self {
        match files {
            0 => Self::Done,
            _ => Self::Partly,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Partly => Self::from(3),
        }
    }
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let interrupt = Interrupt::listen()?;
        let outcome = match self.command {
            Command::Demo(command) => command.run(interrupt),
            Command::Run(command) => command.run(interrupt),
            Command::Embed(command) => command.run(),
            Command::Match(command) => command.run(),
            Command::Enroll(command) => command.run(),
            Command::Gallery(command) => command.run(),
            Command::Eval(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Model(command) => return command.run(),
            Command::Doctor(command) => command.run(),
            Command::Config(command) => command.run(),
            Command::Docs(command) => command.run::<Self>().map(|()| Outcome::Done),
        };
        outcome.map(ExitCode::from)
    }
}

/// Flags of a model.
#[derive(Debug, Args)]
struct ModelArgs {
    /// The model, an ONNX file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// Sidecar with pre-processing, output and licence for models without metadata [default: FILE.toml
    /// beside the model, if it exists]
    #[arg(long, value_name = "FILE.toml")]
    sidecar: Option<PathBuf>,

    /// Resize kernel instead of the model's own: pil-bilinear or cv-bilinear. Embeddings made with
    /// different kernels must not be mixed in one gallery
    #[arg(long, value_name = "KERNEL", value_parser = resize)]
    resize: Option<Resize>,
}

/// Flags of the device that embeds.
#[derive(Debug, Args)]
struct DeviceArgs {
    /// What computes: auto, gpu, cpu or tract
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: Device,

    /// Threads, 1 to 256; 0 uses one per core
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,

    /// Crops embedded at once, 1 to 256
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
}

impl ModelArgs {
    /// Opens the model; its warnings go to the log.
    fn open(&self) -> anyhow::Result<Model> {
        let model = self.read()?;
        for warning in &model.warnings {
            tracing::warn!("{warning}");
        }
        Ok(model)
    }

    fn read(&self) -> anyhow::Result<Model> {
        let options = network::model::ModelOptions {
            sidecar: self.sidecar.clone(),
            preprocessing: PreprocessingPart {
                resize: self.resize,
                ..Default::default()
            },
        };
        Model::open(&self.model, &options).with_context(|| self.model.display().to_string())
    }
}

impl DeviceArgs {
    /// Makes the model ready; the log names the device and the reason.
    fn embedder(&self, model: &Model) -> anyhow::Result<Box<dyn Embedder>> {
        let embedder = runtime::embed::open(model, &self.options())?;
        let chosen = embedder.chosen();
        for reason in &chosen.refused {
            tracing::warn!("refused {reason}");
        }
        tracing::info!(
            "embedding on {} ({}, {}): {}",
            chosen.device,
            chosen.backend,
            cli::count(chosen.threads, "thread"),
            chosen.why
        );
        if let Some(Proof { passed, cached }) = &chosen.self_test {
            let when = if *cached { ", by an earlier run" } else { "" };
            tracing::info!("self-test passed{when}: {passed}");
        }
        Ok(embedder)
    }

    fn options(&self) -> EmbedOptions {
        EmbedOptions {
            device: self.device,
            threads: self.threads,
            batch: self.batch,
        }
    }
}

fn resize(text: &str) -> Result<Resize, String> {
    match text {
        "pil-bilinear" => Ok(Resize::PilBilinear),
        "cv-bilinear" => Ok(Resize::CvBilinear),
        _ => Err("wanted pil-bilinear or cv-bilinear".to_owned()),
    }
}
