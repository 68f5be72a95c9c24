//! `reid config`: checks a configuration, lists its keys.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use runtime::config::{Config, KEYS, environment, variable};
use serde::Serialize;

use super::{Outcome, run};

/// Check a configuration, or list its keys.
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

/// Read a configuration as `reid run --config` does, environment variables included, and check it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
struct Check {
    /// The configuration, a TOML file
    file: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// List every key with its default, its meaning and, with --json, its environment variable.
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
                    cli::lines([format!("{}: valid, {cameras}", file.display())])?;
                }
            }
            Command::Keys(Keys { json }) => {
                let keys: Vec<Entry> = KEYS.iter().map(Entry::of).collect();
                if json {
                    cli::json(&Known { schema: 1, keys })?;
                } else {
                    let header = ["key", "default", "meaning"].map(str::to_owned).to_vec();
                    let row = |key: &Entry| [key.path, key.default, key.meaning].map(str::to_owned);
                    let rows = keys.iter().map(|key| row(key).to_vec());
                    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
                    cli::lines(cli::table(&rows))?;
                }
            }
        }
        Ok(Outcome::Done)
    }
}

impl Entry {
    fn of(key: &'static runtime::config::Key) -> Self {
        let variable = (!key.path.starts_with("camera.")).then(|| variable(&key.path));
        Self {
            path: &key.path,
            default: &key.default,
            meaning: &key.meaning,
            variable,
        }
    }
}
