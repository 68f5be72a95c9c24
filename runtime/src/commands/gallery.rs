//! `reid gallery`: who is known.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use runtime::gallery::{Gallery as Store, Origin, Summary};
use serde::Serialize;

use super::{Outcome, output};

/// Look into a gallery, or remove somebody from it. No model is needed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reid gallery list shop.redb\n  reid gallery show shop.redb Ada --json\n  reid gallery forget shop.redb person-000007"
)]
pub(super) struct Gallery {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Who is known
    #[command(after_help = "Example:\n  reid gallery list shop.redb --json")]
    List(List),
    /// What is known of somebody
    #[command(after_help = "Example:\n  reid gallery show shop.redb Ada")]
    Show(Who),
    /// Remove somebody and every trace of them; the file is written anew
    #[command(after_help = "Example:\n  reid gallery forget shop.redb person-000007")]
    Forget(Who),
}

#[derive(Debug, Args)]
struct List {
    /// The gallery
    file: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Who {
    /// The gallery
    file: PathBuf,
    /// Name or number
    who: String,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing<'a> {
    schema: u32,
    space: &'a str,
    dim: usize,
    identities: Vec<Summary>,
}

#[derive(Serialize)]
struct Shown<'a> {
    schema: u32,
    #[serde(flatten)]
    identity: &'a Summary,
    origins: &'a [Origin],
}

#[derive(Serialize)]
struct Forgotten<'a> {
    schema: u32,
    forgotten: &'a Summary,
}

impl Gallery {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self.command {
            Command::List(List { file, json }) => {
                let gallery = Store::inspect(file)?;
                let identities: Vec<Summary> = gallery.list().collect();
                if json {
                    let (space, dim) = (gallery.space(), gallery.dim());
                    output::json(&Listing {
                        schema: 1,
                        space,
                        dim,
                        identities,
                    })?;
                } else {
                    output::lines(table(&identities))?;
                }
            }
            Command::Show(Who { file, who, json }) => {
                let (identity, origins) = Store::inspect(file)?.show(&who)?;
                if json {
                    output::json(&Shown {
                        schema: 1,
                        identity: &identity,
                        origins: &origins,
                    })?;
                } else {
                    let origins = origins.iter().map(|origin| {
                        let frame = origin
                            .frame
                            .map_or(String::new(), |n| format!(", frame {n}"));
                        format!("  {} {}{frame}", time(origin.time), origin.source)
                    });
                    output::lines(
                        table(std::slice::from_ref(&identity))
                            .into_iter()
                            .chain(origins),
                    )?;
                }
            }
            Command::Forget(Who { file, who, json }) => {
                let forgotten = &Store::inspect(file)?.forget(&who)?;
                if json {
                    output::json(&Forgotten {
                        schema: 1,
                        forgotten,
                    })?;
                } else {
                    let exemplars = output::count(forgotten.exemplars, "exemplar");
                    output::lines([format!(
                        "{}: forgotten, {exemplars} removed",
                        forgotten.name
                    )])?;
                }
            }
        }
        Ok(Outcome::Done)
    }
}

fn table(identities: &[Summary]) -> Vec<String> {
    let header = [
        "number",
        "identity",
        "exemplars",
        "visits",
        "enrolled",
        "last seen",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(identities.iter().map(|identity| {
        vec![
            identity.identity.to_string(),
            identity.name.clone(),
            identity.exemplars.to_string(),
            identity.visits.to_string(),
            time(identity.enrolled),
            time(identity.last_seen),
        ]
    }));
    output::table(&rows)
}

fn time(unix_millis: u64) -> String {
    // RFC 3339 ends with the year 9999.
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_millis));
    let time = time.filter(|_| unix_millis < 253_402_300_800_000);
    time.map_or("unknown".to_owned(), |time| {
        humantime::format_rfc3339_seconds(time).to_string()
    })
}
