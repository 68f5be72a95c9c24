//! The program `trainer`: photos of people to one model.
//!
//! Training, import and export are being built; see the changelog for what is there.

use clap::Parser;

/// Trains re-identification models and exports them for devices. Nothing can be trained with this
/// version yet.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, arg_required_else_help = true)]
struct Cli {}

fn main() {
    Cli::parse();
}
