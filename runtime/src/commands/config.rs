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
                let checked = Checked {
                    schema: 1,
                    file,
                    cameras,
                };
                cli::report(json, &checked, Checked::text)?;
            }
            Command::Keys(Keys { json }) => {
                let keys = KEYS.iter().map(Entry::of).collect();
                cli::report(json, &Known { schema: 1, keys }, Known::text)?;
            }
        }
        Ok(Outcome::Done)
    }
}

impl Checked {
    fn text(&self) -> Vec<String> {
        let cameras = cli::count(self.cameras, "camera");
        vec![format!("{}: valid, {cameras}", self.file.display())]
    }
}

impl Known {
    fn text(&self) -> Vec<String> {
        let keys = self.keys.iter();
        let rows = keys.map(|key| [key.path, key.default, key.meaning]);
        let rows = std::iter::once(["key", "default", "meaning"]).chain(rows);
        cli::table(&rows.map(|row| row.map(str::to_owned)).collect::<Vec<_>>())
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
