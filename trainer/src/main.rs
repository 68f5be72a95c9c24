//! The program `trainer`: photos of people to one model.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod commands;

use std::process::ExitCode;

use cli::{closed_pipe, one_line};

fn main() -> ExitCode {
    match cli::parse::<commands::Cli>().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if closed_pipe(error.chain()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::say!("trainer: {}", one_line(error.chain()));
            ExitCode::FAILURE
        }
    }
}
