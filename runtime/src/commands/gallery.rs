//! `reid gallery`: who is known, and what a person does about it.

mod copies;
mod crops;
mod leaving;
mod reembed;
mod revision;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use runtime::gallery::{GalleryView, Origin, Summary};
use serde::Serialize;

use super::Outcome;

/// Look into a gallery, put it right, keep copies of it. Only re-embed needs a model.
///
/// While `reid run` has the gallery open, no other program can open it. `list`, `show`, `backup` and
/// `prune --dry-run` write nothing to it, nor does `restore` to the copy.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reid gallery list shop.redb\n  reid gallery merge shop.redb person-7f3a91c2-000007 Ada\n  reid gallery prune shop.redb --older-than 24h\n  reid gallery backup shop.redb monday.redb"
)]
pub(super) struct Gallery {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Show(Show),
    Forget(leaving::Forget),
    Prune(leaving::Prune),
    Merge(revision::Merge),
    Split(revision::Split),
    Undo(revision::Undo),
    Backup(copies::Backup),
    Restore(copies::Restore),
    ReEmbed(reembed::ReEmbed),
}

/// Who is known
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery list shop.redb --json")]
struct List {
    /// The gallery
    file: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// What is known of somebody
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery show shop.redb Ada")]
struct Show {
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
    device: String,
    identities: Vec<Summary>,
}

#[derive(Serialize)]
struct Shown<'a> {
    schema: u32,
    #[serde(flatten)]
    identity: &'a Summary,
    origins: &'a [Origin],
}

impl Gallery {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self.command {
            Command::List(command) => command.run(),
            Command::Show(command) => command.run(),
            Command::Forget(command) => command.run(),
            Command::Prune(command) => command.run(),
            Command::Merge(command) => command.run(),
            Command::Split(command) => command.run(),
            Command::Undo(command) => command.run(),
            Command::Backup(command) => command.run(),
            Command::Restore(command) => command.run(),
            Command::ReEmbed(command) => command.run(),
        }
    }
}

impl List {
    fn run(self) -> anyhow::Result<Outcome> {
        let gallery = GalleryView::inspect(self.file)?;
        let identities: Vec<Summary> = gallery.list().collect();
        if self.json {
            cli::json(&Listing {
                schema: 1,
                space: gallery.space(),
                dim: gallery.dim(),
                device: gallery.device().to_string(),
                identities,
            })?;
        } else {
            cli::lines(table(&identities))?;
        }
        Ok(Outcome::Done)
    }
}

impl Show {
    fn run(self) -> anyhow::Result<Outcome> {
        let (identity, origins) = GalleryView::inspect(self.file)?.show(&self.who)?;
        if self.json {
            cli::json(&Shown {
                schema: 1,
                identity: &identity,
                origins: &origins,
            })?;
            return Ok(Outcome::Done);
        }
        let mut lines = table(std::slice::from_ref(&identity));
        if !identity.aliases.is_empty() {
            lines.push(format!("  also called {}", identity.aliases.join(", ")));
        }
        lines.extend((1..).zip(&origins).map(|(position, origin)| {
            let frame = origin
                .frame
                .map_or(String::new(), |n| format!(", frame {n}"));
            format!(
                "  {position:3}  {} {}{frame}",
                time(origin.time),
                origin.source
            )
        }));
        cli::lines(lines)?;
        Ok(Outcome::Done)
    }
}

/// The names that a reader could take for `name`, which is new; a note says for each where it differs.
pub(super) fn look_alikes(
    gallery: &runtime::gallery::Gallery,
    name: &str,
) -> runtime::Result<Vec<String>> {
    let alike = gallery.look_alikes(name)?;
    for other in &alike {
        tracing::warn!(
            "'{name}' is a new person whose name looks like '{other}': {}",
            difference(name, other)
        );
    }
    Ok(alike.into_iter().map(str::to_owned).collect())
}

/// Where two names that look alike begin to differ.
fn difference(name: &str, other: &str) -> String {
    let (mut a, mut b) = (name.chars(), other.chars());
    let mut position = 1;
    loop {
        match (a.next(), b.next()) {
            (Some(a), Some(b)) if a == b => position += 1,
            (Some(a), Some(b)) => {
                let (a, b) = (u32::from(a), u32::from(b));
                return format!("character {position} is U+{a:04X}, not U+{b:04X}");
            }
            _ => return format!("one of them ends before character {position}"),
        }
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
    cli::table(&rows)
}

fn time(unix_millis: u64) -> String {
    // RFC 3339 ends with the year 9999.
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(unix_millis));
    let time = time.filter(|_| unix_millis < 253_402_300_800_000);
    time.map_or("unknown".to_owned(), |time| {
        humantime::format_rfc3339_seconds(time).to_string()
    })
}
