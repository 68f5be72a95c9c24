//! The program `trainer`: from labelled photos of persons to a model for the device.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<String> = arguments
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    if let Some(reason) = commands::renamed_flag(&arguments) {
        cli::say!("trainer: {reason}");
        return ExitCode::from(2);
    }
    let command = cli::parse::<commands::Cli>();
    command.log.start("trainer");
    cli::exit_code(command.run().map(|()| ExitCode::SUCCESS))
}
