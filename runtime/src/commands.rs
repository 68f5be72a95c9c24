//! The command line: what a person types, checked once, and the command that does it.

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

/// Person re-identification on the device: frames in, people matched against a gallery out.
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
  0  everything was done
  1  it could not be done; one line on stderr says why
  2  the command line is wrong
  3  done, but part of the input could not be read; stderr says which

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

/// How a command ended, if not with an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// Part of the input could not be read.
    Partly,
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
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        let interrupt = Interrupt::listen()?;
        match self.command {
            Command::Demo(command) => command.run(interrupt),
            Command::Run(command) => command.run(interrupt),
            Command::Embed(command) => command.run(),
            Command::Match(command) => command.run(),
            Command::Enroll(command) => command.run(),
            Command::Gallery(command) => command.run(),
            Command::Eval(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Model(command) => command.run(),
            Command::Doctor(command) => command.run(),
            Command::Config(command) => command.run(),
            Command::Docs(command) => command.run::<Self>().map(|()| Outcome::Done),
        }
    }
}

/// The model, and how it is read.
#[derive(Debug, Args)]
struct ModelArgs {
    /// The model, an ONNX file
    #[arg(long, value_name = "FILE")]
    model: PathBuf,

    /// What the model says nothing of: pre-processing, output, licence [default: FILE.toml beside
    /// the model, if there is one]
    #[arg(long, value_name = "FILE.toml")]
    sidecar: Option<PathBuf>,

    /// How crops are scaled, whatever the model says: pil-bilinear or cv-bilinear. Embeddings of
    /// different kernels do not belong into one gallery
    #[arg(long, value_name = "KERNEL", value_parser = resize)]
    resize: Option<Resize>,
}

/// What computes.
#[derive(Debug, Args)]
struct DeviceArgs {
    /// What computes: auto, gpu, cpu or tract
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: Device,

    /// Threads, 0 for one a core, at most 256
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,

    /// Crops computed at once, 1 to 256
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
}

impl ModelArgs {
    /// Opens the model and says on stderr what a person should know of it.
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
    /// Makes the model ready, and says on stderr on which device and why.
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
