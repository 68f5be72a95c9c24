//! The command line: what a person types, checked once, and the command that does it.

mod data;
mod import;
mod nets;
mod output;

use clap::{Parser, Subcommand};

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
  trainer data check Market-1501
  trainer import osnet_x0_25_market1501.pth --out osnet.safetensors";

#[derive(Debug, Subcommand)]
enum Command {
    Data(data::Data),
    Nets(nets::Nets),
    Import(import::Import),
}

impl Cli {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Data(data) => data.run(),
            Command::Nets(nets) => nets.run(),
            Command::Import(command) => command.run(),
        }
    }
}
