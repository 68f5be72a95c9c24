//! The program `reid`: who is in front of this camera, again?

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod commands;

use std::process::ExitCode;

use cli::{closed_pipe, one_line};

fn main() -> ExitCode {
    let command = cli::parse::<commands::Cli>();
    match command.run() {
        Ok(outcome) => outcome.into(),
        Err(error) if closed_pipe(error.chain()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::say!("reid: {}", one_line(error.chain()));
            ExitCode::FAILURE
        }
    }
}
