//! `reid gallery forget` and `prune`: remove persons.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Args};
use runtime::gallery::{Gallery as Store, GalleryView, PruneRules};
use runtime::pipeline::unix_millis;
use serde_json::json;

use super::crops::Crops;
use super::{Outcome, Target, table};

/// Remove a person and every trace of them; the file is written anew
///
/// This cannot be undone. Backups keep the persons in them.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery forget shop.redb person-7f3a91c2-000007")]
pub(super) struct Forget {
    #[command(flatten)]
    target: Target,
    /// Name or number
    who: String,
    /// Also delete their crops, in the folder of --save-crops
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
}

/// Remove persons with generated names, and every trace of them; the file is written anew
///
/// A person is removed if one of the options applies. Persons whose name was given stay: `forget`
/// removes them. This cannot be undone. Backups keep the persons in them.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reid gallery prune shop.redb --older-than 24h\n  reid gallery prune shop.redb --keep 1000 --min-visits 2 --dry-run",
    group = ArgGroup::new("which").required(true).multiple(true)
)]
pub(super) struct Prune {
    #[command(flatten)]
    target: Target,
    /// Remove persons not seen for this long: 90min, 24h, 30d
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, group = "which")]
    older_than: Option<Duration>,
    /// Remove all but the N persons seen last
    #[arg(long, value_name = "N", group = "which")]
    keep: Option<usize>,
    /// Remove persons with fewer visits
    #[arg(long, value_name = "N", group = "which")]
    min_visits: Option<u64>,
    /// Only list the persons that would be removed
    #[arg(long)]
    dry_run: bool,
    /// Also delete their crops, in the folder of --save-crops
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
}

impl Forget {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut gallery = Store::inspect(&self.target.file)?;
        let forgotten = gallery.forget(&self.who)?;
        let crops = Crops::delete(&gallery.take_pending_deletions(), self.crops.as_deref())
            .forget(std::slice::from_ref(&forgotten), self.crops.as_deref());
        let fields = json!({"forgotten": forgotten, "crops": crops});
        self.target.report(&fields, || {
            let exemplars = cli::count(forgotten.exemplars, "exemplar");
            let line = format!("{}: forgotten, {exemplars} removed", forgotten.name);
            [line].into_iter().chain(crops.line()).collect()
        })
    }
}

impl Prune {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let now = unix_millis(SystemTime::now());
        let ago = |time: Duration| {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            now.saturating_sub(millis)
        };
        let rules = PruneRules {
            seen_before: self.older_than.map(ago),
            keep: self.keep,
            min_visits: self.min_visits,
        };
        let file = &self.target.file;
        let (pruned, remaining, crops) = if self.dry_run {
            let gallery = GalleryView::inspect(file)?;
            let pruned = gallery.prunable(&rules);
            let remaining = gallery.len() - pruned.len();
            (pruned, remaining, Crops::default())
        } else {
            let mut gallery = Store::inspect(file)?;
            let pruned = gallery.prune(&rules)?;
            let crops = Crops::delete(&gallery.take_pending_deletions(), self.crops.as_deref())
                .forget(&pruned, self.crops.as_deref());
            (pruned, gallery.len(), crops)
        };
        let fields = json!({
            "dry_run": self.dry_run,
            "pruned": pruned,
            "remaining": remaining,
            "crops": crops,
        });
        self.target.report(&fields, || {
            let mut lines = match pruned.is_empty() {
                true => Vec::new(),
                false => table(&pruned),
            };
            let verb = match self.dry_run {
                true => "would be removed",
                false => "removed",
            };
            lines.push(format!("{} {verb}, {remaining} remain", pruned.len()));
            lines.extend(crops.line());
            lines
        })
    }
}
