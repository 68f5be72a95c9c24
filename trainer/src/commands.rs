//! The command line: what a person types, checked once, and the command that does it.

mod data;
#[cfg(feature = "torch")]
mod eval;
mod export;
#[cfg(feature = "torch")]
mod hardware;
mod import;
mod nets;
mod stages;
mod synth;
#[cfg(feature = "torch")]
mod train;

use clap::{Parser, Subcommand};
use trainer::data::Dataset;

/// Photos of people to one model that tells them apart.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  everything was done
  1  it could not be done; one line on stderr says why
  2  the command line is wrong

Examples:
  trainer nets
  trainer synth street
  trainer data check Market-1501
  trainer train configs/bot-resnet50-official.toml --data Market-1501 --init resnet50.pth
  trainer eval --weights runs/bot-resnet50-official/final.safetensors --data Market-1501 --rerank
  trainer import osnet_x0_25_market1501.pth --out osnet.safetensors
  trainer export --weights osnet.safetensors --out person.onnx";

#[derive(Debug, Subcommand)]
enum Command {
    Nets(nets::Nets),
    Synth(synth::Synth),
    SynthClip(synth::SynthClip),
    Data(data::Data),
    #[cfg(feature = "torch")]
    Train(train::Train),
    #[cfg(feature = "torch")]
    Eval(eval::Eval),
    Import(import::Import),
    Export(Box<export::Export>),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Nets(nets) => nets.run(),
            Command::Synth(synth) => synth.run(),
            Command::SynthClip(clip) => clip.run(),
            Command::Data(data) => data.run(),
            #[cfg(feature = "torch")]
            Command::Train(train) => train.run(),
            #[cfg(feature = "torch")]
            Command::Eval(eval) => eval.run(),
            Command::Import(command) => command.run(),
            Command::Export(command) => command.run(),
        }
    }
}

/// A data set that was opened; stderr hears which files of its folder are in no part of it.
fn noted(set: Dataset) -> Dataset {
    for reason in &set.left_out {
        cli::say!("note: {}: left out: {reason}", set.name);
    }
    set
}

/// `256x128`: height and width.
fn size(text: &str) -> Result<[usize; 2], String> {
    let parsed = text.split_once('x').and_then(|(height, width)| {
        let extent = |text: &str| text.parse().ok();
        Some([extent(height)?, extent(width)?])
    });
    parsed.ok_or_else(|| "wanted HEIGHTxWIDTH, for example 256x128".to_owned())
}
