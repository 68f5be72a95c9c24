//! The program `reid`: reports which persons a camera has seen before.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    let command = cli::parse::<commands::Cli>();
    command.log.start("reid");
    cli::exit_code(command.run())
}
