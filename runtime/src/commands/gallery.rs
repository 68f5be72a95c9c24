//! `reid gallery`: list the enrolled persons, correct mistakes, remove persons, keep copies.

mod copies;
mod crops;
mod reembed;
mod removal;
mod revision;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use runtime::gallery::{GalleryView, IdentitySummary, Origin};
use serde::Serialize;
use serde_json::json;

use super::Outcome;

/// List, show, rename, merge, split and remove enrolled persons, and keep copies of a gallery.
///
/// All commands but `restore` and `re-embed` also work while `reid run` has the gallery open: the
/// run lends it between two frames, and follows the change from its next frame on. `list`, `show`,
/// `backup` and `prune --dry-run` write nothing to it, nor does `restore` to the copy. Only
/// `re-embed` needs a model.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reid gallery list shop.redb\n  reid gallery rename shop.redb person-7f3a91c2-000007 Ada\n  reid gallery merge shop.redb person-7f3a91c2-000009 Ada\n  reid gallery prune shop.redb --older-than 24h\n  reid gallery backup shop.redb monday.redb"
)]
pub(super) struct Gallery {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Show(Show),
    Rename(revision::Rename),
    Forget(removal::Forget),
    Prune(removal::Prune),
    Merge(revision::Merge),
    Split(revision::Split),
    Undo(revision::Undo),
    Backup(copies::Backup),
    Restore(copies::Restore),
    ReEmbed(reembed::ReEmbed),
}

/// The gallery that a command works on, and the form of its report.
#[derive(Debug, Args)]
struct Target {
    /// Gallery file
    file: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// List the enrolled persons
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery list shop.redb --json")]
struct List {
    #[command(flatten)]
    target: Target,
}

/// Show a person and the sources of their exemplars
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery show shop.redb Ada")]
struct Show {
    #[command(flatten)]
    target: Target,
    /// Name or number
    who: String,
}

impl Gallery {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self.command {
            Command::List(command) => command.run(),
            Command::Show(command) => command.run(),
            Command::Rename(command) => command.run(),
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

impl Target {
    /// Prints a report: its fields as one JSON object with a `schema`, or lines of text.
    fn report(
        &self,
        fields: &impl Serialize,
        lines: impl FnOnce() -> Vec<String>,
    ) -> anyhow::Result<Outcome> {
        #[derive(Serialize)]
        struct Report<'a, T> {
            schema: u32,
            #[serde(flatten)]
            fields: &'a T,
        }
        if self.json {
            cli::json(&Report { schema: 1, fields })?;
        } else {
            cli::lines(lines())?;
        }
        Ok(Outcome::Done)
    }
}

impl List {
    fn run(self) -> anyhow::Result<Outcome> {
        let gallery = GalleryView::inspect(&self.target.file)?;
        let identities: Vec<IdentitySummary> = gallery.list().collect();
        let fields = json!({
            "space": gallery.space(),
            "dim": gallery.dim(),
            "device": gallery.tag().to_string(),
            "identities": identities,
        });
        self.target.report(&fields, || table(&identities))
    }
}

impl Show {
    fn run(self) -> anyhow::Result<Outcome> {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            identity: &'a IdentitySummary,
            origins: &'a [Origin],
        }
        let (identity, origins) = &GalleryView::inspect(&self.target.file)?.show(&self.who)?;
        self.target.report(&Shown { identity, origins }, || {
            let mut lines = table(std::slice::from_ref(identity));
            if !identity.aliases.is_empty() {
                lines.push(format!("  also called {}", identity.aliases.join(", ")));
            }
            lines.extend((1..).zip(origins).map(|(position, origin)| {
                let frame = origin
                    .frame
                    .map_or(String::new(), |n| format!(", frame {n}"));
                let time = time(origin.time);
                format!("  {position:3}  {time} {}{frame}", origin.source)
            }));
            lines
        })
    }
}

/// The names of persons besides `own` that a reader could take for the new name `name`; a note on stderr tells where each differs.
pub(super) fn look_alikes(
    gallery: &runtime::gallery::Gallery,
    name: &str,
    own: Option<u64>,
) -> runtime::Result<Vec<String>> {
    let alike = gallery.look_alikes(name, own)?;
    for other in &alike {
        tracing::warn!(
            "'{name}' is a new name that looks like '{other}': {}",
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

fn table(identities: &[IdentitySummary]) -> Vec<String> {
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
