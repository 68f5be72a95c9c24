//! `reid gallery backup` and `restore`.

use std::path::PathBuf;

use clap::Args;
use runtime::gallery::{Gallery as Store, GalleryView};
use serde_json::json;

use super::{Outcome, Target};

/// Write a copy of a gallery, and read it back to verify it
///
/// The copy keeps all persons in it, even if they are removed later: delete copies in time.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery backup shop.redb monday.redb")]
pub(super) struct Backup {
    #[command(flatten)]
    target: Target,
    /// File of the copy
    to: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

/// Put a copy in the place of a gallery, after reading all of it
///
/// The old gallery is kept as FILE.before-restore. Names that are generated from then on differ
/// from all that were generated before. Refused while `reid run` has the gallery open.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery restore shop.redb monday.redb")]
pub(super) struct Restore {
    #[command(flatten)]
    target: Target,
    /// File of the copy
    from: PathBuf,
    /// Replace an existing FILE.before-restore
    #[arg(long)]
    force: bool,
}

impl Backup {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut gallery = GalleryView::inspect(&self.target.file)?;
        gallery.backup(&self.to, self.force)?;
        let (identities, exemplars) = (gallery.len(), gallery.exemplars());
        let fields = json!({"to": self.to, "identities": identities, "exemplars": exemplars});
        self.target.report(&fields, || {
            let exemplars = cli::count(exemplars, "exemplar");
            let to = self.to.display();
            vec![format!("{to}: {identities} people, {exemplars}, verified")]
        })
    }
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let restored = Store::restore(&self.target.file, &self.from, self.force)?;
        self.target.report(&restored, || {
            let file = self.target.file.display();
            let exemplars = cli::count(restored.exemplars, "exemplar");
            let mut lines = vec![format!(
                "{file}: {} people, {exemplars}",
                restored.identities
            )];
            if let Some(replaced) = &restored.replaced {
                lines.push(format!("the old gallery is {} now", replaced.display()));
            }
            lines
        })
    }
}
