//! `reid gallery forget` and `prune`: who has to go.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{ArgGroup, Args};
use runtime::gallery::{self, Gallery as Store, GalleryView, Summary};
use runtime::pipeline::unix_millis;
use serde::Serialize;

use super::crops::Crops;
use super::{Outcome, table};

/// Remove somebody and every trace of them; the file is written anew
///
/// Nothing can undo it. Backups keep whom they hold.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery forget shop.redb person-7f3a91c2-000007")]
pub(super) struct Forget {
    /// The gallery
    file: PathBuf,
    /// Name or number
    who: String,
    /// Delete their crops too, in the folder that --save-crops kept them in
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Remove people whom nobody has named, and every trace of them; the file is written anew
///
/// Whomever one of the options says goes. People with a name of their own stay: `forget` removes
/// them. Nothing can undo it. Backups keep whom they hold.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reid gallery prune shop.redb --older-than 24h\n  reid gallery prune shop.redb --keep 1000 --min-visits 2 --dry-run",
    group = ArgGroup::new("whom").required(true).multiple(true)
)]
pub(super) struct Prune {
    /// The gallery
    file: PathBuf,
    /// Who was not seen for this long: 90min, 24h, 30d
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, group = "whom")]
    older_than: Option<Duration>,
    /// All but this many, who were seen last
    #[arg(long, value_name = "N", group = "whom")]
    keep: Option<usize>,
    /// Who came less often than this
    #[arg(long, value_name = "N", group = "whom")]
    min_visits: Option<u64>,
    /// Only say who would go
    #[arg(long)]
    dry_run: bool,
    /// Delete their crops too, in the folder that --save-crops kept them in
    #[arg(long, value_name = "DIR")]
    crops: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Forgotten<'a> {
    schema: u32,
    forgotten: &'a Summary,
    crops: Crops,
}

#[derive(Serialize)]
struct Pruned<'a> {
    schema: u32,
    dry_run: bool,
    pruned: &'a [Summary],
    remaining: usize,
    crops: Crops,
}

impl Forget {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut gallery = Store::inspect(self.file)?;
        let forgotten = &gallery.forget(&self.who)?;
        let crops = Crops::delete(&gallery.take_stale_crops(), self.crops.as_deref());
        if self.json {
            cli::json(&Forgotten {
                schema: 1,
                forgotten,
                crops,
            })?;
        } else {
            let exemplars = cli::count(forgotten.exemplars, "exemplar");
            let line = format!("{}: forgotten, {exemplars} removed", forgotten.name);
            cli::lines([line].into_iter().chain(crops.line()))?;
        }
        Ok(Outcome::Done)
    }
}

impl Prune {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let now = unix_millis(SystemTime::now());
        let ago = |time: Duration| {
            let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            now.saturating_sub(millis)
        };
        let whom = gallery::Prune {
            seen_before: self.older_than.map(ago),
            keep: self.keep,
            min_visits: self.min_visits,
        };
        let (pruned, remaining, crops) = if self.dry_run {
            let gallery = GalleryView::inspect(self.file)?;
            let pruned = gallery.prunable(&whom);
            let remaining = gallery.len() - pruned.len();
            (pruned, remaining, Crops::default())
        } else {
            let mut gallery = Store::inspect(self.file)?;
            let pruned = gallery.prune(&whom)?;
            let crops = Crops::delete(&gallery.take_stale_crops(), self.crops.as_deref());
            (pruned, gallery.len(), crops)
        };
        if self.json {
            cli::json(&Pruned {
                schema: 1,
                dry_run: self.dry_run,
                pruned: &pruned,
                remaining,
                crops,
            })?;
            return Ok(Outcome::Done);
        }
        let mut lines = Vec::new();
        if !pruned.is_empty() {
            lines = table(&pruned);
        }
        let verb = if self.dry_run {
            "would be removed"
        } else {
            "removed"
        };
        lines.push(format!("{} {verb}, {remaining} remain", pruned.len()));
        lines.extend(crops.line());
        cli::lines(lines)?;
        Ok(Outcome::Done)
    }
}
