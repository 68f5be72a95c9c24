//! `reid config`: is what a device was told possible?

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use runtime::config::{Config, KEYS, environment, variable};
use serde::Serialize;

use super::{Outcome, run};

/// Look at what a device is told once.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = "Example:\n  reid config check reid.toml";

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
    Keys(Keys),
}

/// Read a config as `reid run --config` would, variables included, and say whether it is possible.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
struct Check {
    /// The config
    file: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Every key that a config can have, its default, and the variable that stands over it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid config keys")]
struct Keys {
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Checked {
    schema: u32,
    file: PathBuf,
    cameras: usize,
}

#[derive(Serialize)]
struct Known {
    schema: u32,
    keys: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    path: &'static str,
    default: &'static str,
    meaning: &'static str,
    variable: Option<String>,
}

impl ConfigCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self.command {
            Command::Check(Check { file, json }) => {
                let config = Config::read(&file, environment()?)?;
                let cameras = config.camera.len();
                run::check(config).with_context(|| file.display().to_string())?;
                if json {
                    cli::json(&Checked {
                        schema: 1,
                        file,
                        cameras,
                    })?;
                } else {
                    let cameras = cli::count(cameras, "camera");
                    cli::lines([format!("{}: possible, {cameras}", file.display())])?;
                }
            }
            Command::Keys(Keys { json }) => {
                let keys: Vec<Entry> = KEYS.iter().map(Entry::of).collect();
                if json {
                    cli::json(&Known { schema: 1, keys })?;
                } else {
                    let header = ["key", "default", "meaning"].map(str::to_owned).to_vec();
                    let row = |key: &Entry| {
                        vec![
                            key.path.to_owned(),
                            key.default.to_owned(),
                            key.meaning.to_owned(),
                        ]
                    };
                    let rows: Vec<_> = std::iter::once(header)
                        .chain(keys.iter().map(row))
                        .collect();
                    cli::lines(cli::table(&rows))?;
                }
            }
        }
        Ok(Outcome::Done)
    }
}

impl Entry {
    fn of(key: &runtime::config::Key) -> Self {
        let variable = (!key.path.starts_with("camera.")).then(|| variable(key.path));
        Self {
            path: key.path,
            default: key.default,
            meaning: key.meaning,
            variable,
        }
    }
}
