//! The program `trainer`: photos of people to one model.

mod commands;

use std::process::ExitCode;

use clap::Parser;
use kernels::{closed_pipe, one_line};

fn main() -> ExitCode {
    match commands::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if closed_pipe(error.chain()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("trainer: {}", one_line(error.chain()));
            ExitCode::FAILURE
        }
    }
}
