//! The command line: parsed and checked here, carried out by one module for each command.

mod data;
#[cfg(feature = "torch")]
mod eval;
mod export;
#[cfg(feature = "torch")]
mod hardware;
mod import;
mod nets;
#[cfg(not(feature = "torch"))]
mod not_built;
mod stages;
mod synth;
#[cfg(feature = "torch")]
mod train;

use std::path::Path;

use clap::{Args, CommandFactory, Parser, Subcommand};
use trainer::data::Dataset;
use trainer::import::Overrides;
use trainer::load::{self, OpenedNet};
use trainer::nets::Backbone;

/// Train, evaluate, import, quantise and export networks for person re-identification.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: cli::LogOptions,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the command succeeded
  1  the command failed, or is not built in; one line on stderr gives the reason
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
    /// Train a network (not built in: needs libtorch)
    #[cfg(not(feature = "torch"))]
    #[command(after_help = not_built::BUILD)]
    Train(not_built::NotBuilt),
    /// Evaluate a network on labelled images (not built in: needs libtorch)
    #[cfg(not(feature = "torch"))]
    #[command(after_help = not_built::BUILD)]
    Eval(not_built::NotBuilt),
    Import(import::Import),
    Export(Box<export::Export>),
    #[command(flatten)]
    Docs(cli::DocsCommand),
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
            #[cfg(not(feature = "torch"))]
            Command::Train(train) => train.refuse("train"),
            #[cfg(not(feature = "torch"))]
            Command::Eval(eval) => eval.refuse("eval"),
            Command::Import(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Docs(command) => command.run::<Self>(),
        }
    }
}

/// Flags of older versions: command, old name, new name.
const RENAMED_FLAGS: [(&str, &str, &str); 4] = [
    ("synth", "--learn-only", "--train-only"),
    ("synth-clip", "--every", "--mean-interval"),
    ("eval", "--batch", "--batch-size"),
    ("export", "--layout", "--int8-layout"),
];

/// The error for the first flag of an older version on the command line, if there is one.
pub(crate) fn renamed_flag(arguments: &[String]) -> Option<String> {
    // Options of all commands may precede the command.
    let cli = Cli::command();
    let command = (arguments.iter()).find(|word| cli.find_subcommand(word).is_some())?;
    let name = |argument: &String| argument.split('=').next().unwrap_or_default().to_owned();
    let names: Vec<String> = arguments.iter().map(name).collect();
    let found =
        |(of, old, _): &&(&str, &str, &str)| of == command && names.iter().any(|n| n == old);
    let (_, old, new) = RENAMED_FLAGS.iter().find(found)?;
    Some(format!("{command}: `{old}` is now called `{new}`"))
}

/// Flags that describe the network in a file of weights.
#[derive(Debug, Args)]
struct NetworkArgs {
    /// Architecture, if the file does not determine it, for example resnet50
    #[arg(long)]
    arch: Option<Backbone>,
    /// Height and width of the input in pixels, for example 384x128
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    /// Whether a ReLU follows the first BatchNorm: true or false
    #[arg(long)]
    stem_relu: Option<bool>,
    /// Prefix of the network's names, if the file holds several networks, for example
    /// `module.encoder_q`
    #[arg(long)]
    prefix: Option<String>,
    /// Leave out trained tensors without a parameter in the network, and list them; otherwise such a
    /// file is refused
    #[arg(long)]
    drop_unused: bool,
}

impl NetworkArgs {
    fn overrides(&self) -> Overrides {
        Overrides {
            backbone: self.arch,
            size: self.size,
            last_stride: None,
            stem_relu: self.stem_relu,
            prefix: self.prefix.clone(),
            drop_unused: self.drop_unused,
        }
    }

    /// Opens the network in a file, and prints the notes on it.
    fn open(&self, weights: &Path) -> anyhow::Result<OpenedNet> {
        let opened = load::open(weights, &self.overrides())?;
        for note in opened.notes.iter().chain(&opened.report.left_out()) {
            tracing::warn!("{note}");
        }
        Ok(opened)
    }
}

/// Prints which files of a data set's folder are in no part of it.
fn noted(set: Dataset) -> Dataset {
    for reason in &set.left_out {
        tracing::warn!("{}: left out: {reason}", set.name);
    }
    set
}

/// `256x128`: height and width.
fn size(text: &str) -> Result<[usize; 2], String> {
    extents(text).ok_or_else(|| "wanted HEIGHTxWIDTH, for example 256x128".to_owned())
}

/// Two numbers with an `x` between them.
fn extents(text: &str) -> Option<[usize; 2]> {
    let (first, second) = text.split_once('x')?;
    Some([first.parse().ok()?, second.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_older_versions_are_refused_with_the_new_name() {
        let cli = Cli::command();
        for (command, old, new) in RENAMED_FLAGS {
            let known = |flag: &str| {
                let command = cli.find_subcommand(command).unwrap();
                (command.get_arguments())
                    .any(|argument| argument.get_long() == flag.strip_prefix("--"))
            };
            let built = cfg!(feature = "torch") || command != "eval";
            assert_eq!(known(new), built, "{command} {new}");
            assert!(!known(old), "{command} {old}");
            for written in [old.to_owned(), format!("{old}=1")] {
                let arguments = ["--log-level=debug".to_owned(), command.to_owned(), written];
                let error = format!("{command}: `{old}` is now called `{new}`");
                assert_eq!(renamed_flag(&arguments), Some(error));
            }
        }
        // The flag of another command is none of the old ones.
        assert_eq!(
            renamed_flag(&["data".to_owned(), "--layout".to_owned()]),
            None
        );
    }
}
