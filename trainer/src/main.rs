//! The program `trainer`: from labelled photos of persons to a model for the device.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod commands;

use std::process::ExitCode;

use cli::{closed_pipe, one_line};

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<String> = arguments
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    if let Some(reason) = commands::renamed_flag(&arguments) {
        cli::say!("trainer: {reason}");
        return ExitCode::from(2);
    }
    match cli::parse::<commands::Cli>().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if closed_pipe(error.chain()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::say!("trainer: {}", one_line(error.chain()));
            ExitCode::FAILURE
        }
    }
}
