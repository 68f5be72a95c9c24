//! `reid gallery rename`, `merge`, `split` and `undo`: correct what the threshold or a person got wrong.

use std::ops::RangeInclusive;
use std::time::SystemTime;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use runtime::gallery::{Change, Gallery as Store, Origin, Undone};
use runtime::pipeline::unix_millis;
use serde_json::json;

use super::{Outcome, Target, look_alikes, table};

/// Give a person another name
///
/// A generated name goes on leading to the person; a name that was given is free again. A person
/// with a given name does not expire. To reverse it, rename the person back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery rename shop.redb person-7f3a91c2-000007 Ada")]
pub(super) struct Rename {
    #[command(flatten)]
    target: Target,
    /// The person: name or number
    old: String,
    /// The new name
    new: String,
}

/// Make one of two identities that are the same person
///
/// The names of the first lead to the second from then on, so that log entries with them are
/// found. `undo` reverses it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery merge shop.redb person-7f3a91c2-000007 Ada")]
pub(super) struct Merge {
    #[command(flatten)]
    target: Target,
    /// The identity that disappears: name or number
    from: String,
    /// The identity that remains: name or number
    into: String,
}

/// Make two of one identity that is two persons
///
/// The chosen exemplars become an identity of their own; `show` numbers them. `undo` reverses it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reid gallery split shop.redb Ada --exemplars 2,5-7 --name Bob\n  reid gallery split shop.redb 12 --since 2026-11-22T10:00:00Z",
    group = ArgGroup::new("which").required(true).multiple(true)
)]
pub(super) struct Split {
    #[command(flatten)]
    target: Target,
    /// Name or number
    who: String,
    /// Exemplars by their position in `show`: 2,5-7
    #[arg(long, value_name = "LIST", value_parser = positions, group = "which")]
    exemplars: Option<Positions>,
    /// Only exemplars of this time or later, in UTC
    #[arg(long, value_name = "TIME", value_parser = time, group = "which")]
    since: Option<u64>,
    /// Only exemplars before this time, in UTC
    #[arg(long, value_name = "TIME", value_parser = time, group = "which")]
    until: Option<u64>,
    /// Name of the new identity [default: a generated name]
    #[arg(long)]
    name: Option<String>,
}

/// Reverse the last merge or split
///
/// Call it again for the one before; the last 32 are stored. Persons who were forgotten, pruned or
/// expired do not come back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery undo shop.redb")]
pub(super) struct Undo {
    #[command(flatten)]
    target: Target,
}

/// Positions of exemplars, from 1.
type Positions = Vec<RangeInclusive<usize>>;

impl Rename {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut gallery = Store::inspect(&self.target.file)?;
        let (before, _) = gallery.show(&self.old)?;
        let look_alikes = look_alikes(&gallery, &self.new, Some(before.identity))?;
        let renamed = gallery.rename(&self.old, &self.new)?;
        let fields = json!({"renamed": before.name, "to": renamed, "look_alikes": look_alikes});
        self.target.report(&fields, || {
            let line = format!("{} is called {} now:", before.name, renamed.name);
            let table = table(std::slice::from_ref(&renamed));
            [line].into_iter().chain(table).collect()
        })
    }
}

impl Merge {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let into = Store::inspect(&self.target.file)?.merge(&self.from, &self.into)?;
        let fields = json!({"merged": self.from, "into": into});
        self.target.report(&fields, || {
            let line = format!("{} is {} now:", self.from, into.name);
            let table = table(std::slice::from_ref(&into));
            [line].into_iter().chain(table).collect()
        })
    }
}

impl Split {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut gallery = Store::inspect(&self.target.file)?;
        if let Some(name) = &self.name {
            look_alikes(&gallery, name, None)?;
        }
        let (remaining, split) =
            gallery.split(&self.who, self.name.as_deref(), |position, origin| {
                self.picks(position, origin)
            })?;
        let fields = json!({"remaining": remaining, "split": split});
        self.target.report(&fields, || table(&[remaining, split]))
    }

    /// Whether an exemplar, at a position from 0, is chosen.
    fn picks(&self, position: usize, origin: &Origin) -> bool {
        let listed = |list: &Positions| list.iter().any(|part| part.contains(&(position + 1)));
        self.exemplars.as_ref().is_none_or(listed)
            && self.since.is_none_or(|since| origin.time >= since)
            && self.until.is_none_or(|until| origin.time < until)
    }
}

impl Undo {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let undone = Store::inspect(&self.target.file)?.undo()?;
        self.target.report(&undone, || {
            let Undone {
                change,
                identity,
                other,
            } = &undone;
            vec![match change {
                Change::Merge => format!("{other} and {identity} are two again"),
                Change::Split => format!("{other} and {identity} are one again"),
            }]
        })
    }
}

/// `2,5-7`
fn positions(text: &str) -> anyhow::Result<Positions> {
    let part = |part: &str| -> anyhow::Result<RangeInclusive<usize>> {
        let number = |text: &str| -> anyhow::Result<usize> {
            let number = text.trim().parse().ok().filter(|&n: &usize| n > 0);
            number.with_context(|| format!("'{text}' is no position, wanted 1, 2, ..."))
        };
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = number(first)?..=number(last)?;
        if range.is_empty() {
            bail!("'{part}' ends before it begins");
        }
        Ok(range)
    };
    text.split(',').map(part).collect()
}

/// A moment, in milliseconds since 1970.
fn time(text: &str) -> anyhow::Result<u64> {
    let time: SystemTime = humantime::parse_rfc3339_weak(text)
        .context("wanted a time in UTC as 2026-11-22T10:00:00Z")?;
    Ok(unix_millis(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_numbers_and_ranges_from_one() {
        assert_eq!(positions("2").unwrap(), [2..=2]);
        assert_eq!(positions("2, 5-7,9").unwrap(), [2..=2, 5..=7, 9..=9]);
        for (text, wanted) in [
            ("", "'' is no position"),
            ("0", "'0' is no position"),
            ("1,,2", "'' is no position"),
            ("a-2", "'a' is no position"),
            ("-1", "'' is no position"),
            ("7-5", "'7-5' ends before it begins"),
        ] {
            let error = positions(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time("1970-01-01T00:00:02Z").unwrap(), 2_000);
        assert_eq!(time("1970-01-01 00:00:02.5").unwrap(), 2_500);
        for wrong in ["yesterday", "1970-13-01T00:00:00Z", ""] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
