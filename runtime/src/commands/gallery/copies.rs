//! `reid gallery backup` and `restore`.

use std::path::PathBuf;

use clap::Args;
use runtime::gallery::{Gallery as Store, GalleryView, Restored};
use serde::Serialize;

use super::Outcome;

/// Write a copy of a gallery, and read it back to be sure
///
/// The copy keeps everybody who is in it, whatever is forgotten later: delete copies in time.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery backup shop.redb monday.redb")]
pub(super) struct Backup {
    /// The gallery
    file: PathBuf,
    /// The copy
    to: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Put a copy in the place of a gallery, after reading all of it
///
/// The gallery that was there is kept as FILE.before-restore. Names that are generated from then on
/// differ from all that were generated before.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery restore shop.redb monday.redb")]
pub(super) struct Restore {
    /// The gallery
    file: PathBuf,
    /// The copy
    from: PathBuf,
    /// Replace a FILE.before-restore that is there
    #[arg(long)]
    force: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct BackedUp<'a> {
    schema: u32,
    to: &'a PathBuf,
    identities: usize,
    exemplars: usize,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    #[serde(flatten)]
    restored: &'a Restored,
}

impl Backup {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut gallery = GalleryView::inspect(&self.file)?;
        gallery.backup(&self.to, self.force)?;
        let (identities, exemplars) = (gallery.len(), gallery.exemplars());
        let to = &self.to;
        if self.json {
            cli::json(&BackedUp {
                schema: 1,
                to,
                identities,
                exemplars,
            })?;
        } else {
            let exemplars = cli::count(exemplars, "exemplar");
            let to = to.display();
            cli::lines([format!("{to}: {identities} people, {exemplars}, verified")])?;
        }
        Ok(Outcome::Done)
    }
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let restored = &Store::restore(&self.file, &self.from, self.force)?;
        if self.json {
            let schema = 1;
            cli::json(&Report { schema, restored })?;
            return Ok(Outcome::Done);
        }
        let exemplars = cli::count(restored.exemplars, "exemplar");
        let people = restored.identities;
        let mut lines = vec![format!(
            "{}: {people} people, {exemplars}",
            self.file.display()
        )];
        if let Some(replaced) = &restored.replaced {
            lines.push(format!("what was there is {} now", replaced.display()));
        }
        cli::lines(lines)?;
        Ok(Outcome::Done)
    }
}
