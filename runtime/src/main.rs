//! The program `reid`: who is in front of this camera, again?

mod commands;

use std::process::ExitCode;

use clap::Parser;
use kernels::{closed_pipe, one_line};

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    match cli.run() {
        Ok(outcome) => outcome.into(),
        Err(error) if closed_pipe(error.chain()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reid: {}", one_line(error.chain()));
            ExitCode::FAILURE
        }
    }
}
