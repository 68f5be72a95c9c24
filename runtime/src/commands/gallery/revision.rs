//! `reid gallery merge`, `split` and `undo`: putting right what the threshold got wrong.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context, bail};
use clap::{ArgGroup, Args};
use runtime::gallery::{Change, Gallery as Store, Origin, Summary, Undone};
use runtime::pipeline::unix_millis;
use serde::Serialize;

use super::{Outcome, look_alikes, table};

/// Make one of two identities that are the same person
///
/// The names of the first lead to the second from then on, so that what was logged under them is
/// found. `undo` takes it back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery merge shop.redb person-7f3a91c2-000007 Ada")]
pub(super) struct Merge {
    /// The gallery
    file: PathBuf,
    /// Who is not somebody else: name or number
    from: String,
    /// Who it is: name or number
    into: String,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Make two of one identity that is two people
///
/// The exemplars that are chosen become an identity of their own; `show` numbers them. `undo` takes
/// it back.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reid gallery split shop.redb Ada --exemplars 2,5-7 --name Bob\n  reid gallery split shop.redb 12 --since 2026-11-22T10:00:00Z",
    group = ArgGroup::new("which").required(true).multiple(true)
)]
pub(super) struct Split {
    /// The gallery
    file: PathBuf,
    /// Name or number
    who: String,
    /// Which exemplars, by their position in `show`: 2,5-7
    #[arg(long, value_name = "LIST", value_parser = positions, group = "which")]
    exemplars: Option<Positions>,
    /// Only exemplars of this time or later, in UTC
    #[arg(long, value_name = "TIME", value_parser = time, group = "which")]
    since: Option<u64>,
    /// Only exemplars before this time, in UTC
    #[arg(long, value_name = "TIME", value_parser = time, group = "which")]
    until: Option<u64>,
    /// What to call them [default: a generated name]
    #[arg(long)]
    name: Option<String>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Take back the last merge or split
///
/// Again for the one before; the last 32 are remembered. Who was forgotten, pruned or expired does
/// not come back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid gallery undo shop.redb")]
pub(super) struct Undo {
    /// The gallery
    file: PathBuf,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Positions of exemplars, from 1.
type Positions = Vec<RangeInclusive<usize>>;

#[derive(Serialize)]
struct Merged<'a> {
    schema: u32,
    merged: &'a str,
    into: &'a Summary,
}

#[derive(Serialize)]
struct Parts<'a> {
    schema: u32,
    remaining: &'a Summary,
    split: &'a Summary,
}

#[derive(Serialize)]
struct Undid<'a> {
    schema: u32,
    #[serde(flatten)]
    undone: &'a Undone,
}

impl Merge {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let into = &Store::inspect(self.file)?.merge(&self.from, &self.into)?;
        let merged = &self.from;
        if self.json {
            cli::json(&Merged {
                schema: 1,
                merged,
                into,
            })?;
        } else {
            let line = format!("{merged} is {} now:", into.name);
            let table = table(std::slice::from_ref(into));
            cli::lines([line].into_iter().chain(table))?;
        }
        Ok(Outcome::Done)
    }
}

impl Split {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let mut gallery = Store::inspect(&self.file)?;
        if let Some(name) = &self.name {
            look_alikes(&gallery, name)?;
        }
        let (remaining, split) = &gallery.split(&self.who, self.name.as_deref(), |n, origin| {
            self.picks(n, origin)
        })?;
        if self.json {
            cli::json(&Parts {
                schema: 1,
                remaining,
                split,
            })?;
        } else {
            cli::lines(table(&[remaining.clone(), split.clone()]))?;
        }
        Ok(Outcome::Done)
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
        let undone = &Store::inspect(self.file)?.undo()?;
        if self.json {
            cli::json(&Undid { schema: 1, undone })?;
            return Ok(Outcome::Done);
        }
        let Undone {
            change,
            identity,
            other,
        } = undone;
        cli::lines([match change {
            Change::Merge => format!("{other} and {identity} are two again"),
            Change::Split => format!("{other} and {identity} are one again"),
        }])?;
        Ok(Outcome::Done)
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
