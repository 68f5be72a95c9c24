//! Corrections by hand: another name, two identities that are one, one that is two, and undoing the latter.

use serde::Serialize;

use super::journal::{DEPTH, JournalEntry};
use super::names::{is_generated, new_name, normal};
use super::record::Record;
use super::store::StoreStep;
use super::{Gallery, GalleryLimits, IdentitySummary, Origin};
use crate::error::{Error, Result};

/// A change that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// [`Gallery::merge`].
    Merge,
    /// [`Gallery::split`].
    Split,
}

/// A change that was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// Which change.
    pub change: Change,
    /// The identity that was merged into, or split from.
    pub identity: String,
    /// The identity that is one of its own again, or no longer.
    pub other: String,
}

impl Gallery {
    /// Gives an identity, called by name or by number, another name, and returns it. A generated name goes on leading to it, so that what was logged
    /// is found; a name that a person gave is free again. A person with a generated name becomes a named one, who does not expire. Any other name of
    /// the identity can become its name, so that every renaming can be reversed by another.
    ///
    /// # Errors
    /// [`Error::UnknownIdentity`]; [`Error::Argument`] if the identity has the name already, if another one has it, or if it cannot be a name;
    /// [`Error::GalleryStorage`].
    pub fn rename(&mut self, who: &str, name: &str) -> Result<IdentitySummary> {
        self.reopen()?;
        let identity = self.find(who)?;
        let mut record = self.state.people[&identity].record.clone();
        let other = self.named(name)?;
        let name = match other {
            None => new_name(name)?,
            Some(other) if other == identity => normal(name),
            Some(other) => {
                return Err(Error::Argument(format!(
                    "'{name}' is the name of identity {other} already: if both are one person, merge '{}' into '{name}' with `reid gallery \
                     merge`; else choose another name",
                    record.name
                )));
            }
        };
        if name == record.name {
            return Err(Error::Argument(format!(
                "'{name}' is the name of identity {identity} already: nothing to rename"
            )));
        }
        let before = std::mem::replace(&mut record.name, name.clone());
        let mut steps = vec![
            StoreStep::Unalias(name),
            StoreStep::Record(identity, record),
        ];
        steps.extend(is_generated(&before).then_some(StoreStep::Alias(before, identity)));
        self.commit(steps)?;
        Ok(self.state.summary(identity))
    }

    /// Merges the identity `from` into `into`, each called by name or number, and returns the latter: it has the exemplars and visits of both, and the names of the
    /// other lead to it from now on. Exemplars beyond [`GalleryLimits::max_exemplars`] stay until another is added.
    ///
    /// # Errors
    /// [`Error::UnknownIdentity`]; [`Error::Argument`] if both are the same, if they have more than [`GalleryLimits::MOST_EXEMPLARS`] exemplars together, or if a named
    /// identity would be merged into one that expires; [`Error::GalleryStorage`].
    pub fn merge(&mut self, from: &str, into: &str) -> Result<IdentitySummary> {
        self.reopen()?;
        let (from, into) = (self.find(from)?, self.find(into)?);
        let lost = self.state.people[&from].record.clone();
        let before = self.state.people[&into].record.clone();
        if from == into {
            let name = &before.name;
            return Err(Error::Argument(format!(
                "both are '{name}': nothing to merge"
            )));
        }
        if is_generated(&before.name) && !is_generated(&lost.name) {
            return Err(Error::Argument(format!(
                "'{}' has a given name and would expire as '{}': merge them the other way round",
                lost.name, before.name
            )));
        }
        let exemplars = self.state.exemplars_of(from);
        let together = exemplars.len() + self.state.exemplars_of(into).len();
        if together > GalleryLimits::MOST_EXEMPLARS {
            return Err(Error::Argument(format!(
                "'{}' and '{}' have {together} exemplars together, the limit is {}",
                lost.name,
                before.name,
                GalleryLimits::MOST_EXEMPLARS
            )));
        }
        let mut merged = Record {
            name: before.name.clone(),
            enrolled: before.enrolled.min(lost.enrolled),
            last_seen: before.last_seen.max(lost.last_seen),
            visits: before.visits.saturating_add(lost.visits),
            next_exemplar: before.next_exemplar,
        };
        let moved = numbered(exemplars, &mut merged);
        let aliases: Vec<String> = self.state.aliases_of(from).map(str::to_owned).collect();
        let mut steps = vec![StoreStep::Record(into, merged)];
        steps.extend(moves(from, into, &moved));
        steps.push(StoreStep::Drop(from));
        let names = aliases.iter().chain([&lost.name]);
        steps.extend(names.map(|name| StoreStep::Alias(name.clone(), into)));
        self.note(
            JournalEntry::Merge {
                from,
                into,
                lost,
                before,
                aliases,
                moved,
            },
            &mut steps,
        );
        self.commit(steps)?;
        Ok(self.state.summary(into))
    }

    /// Makes the exemplars of an identity that `pick` accepts, by their position from 0 in [`Gallery::show`] and their origin, an identity of their own, called
    /// `name` or by a generated name. Returns the old identity and the new one. The new one has one visit; those of the other stay with it.
    ///
    /// # Errors
    /// [`Error::UnknownIdentity`]; [`Error::Argument`] if all or no exemplars are picked, or if the name is taken or cannot be one; [`Error::GalleryStorage`].
    pub fn split(
        &mut self,
        who: &str,
        name: Option<&str>,
        mut pick: impl FnMut(usize, &Origin) -> bool,
    ) -> Result<(IdentitySummary, IdentitySummary)> {
        self.reopen()?;
        let from = self.find(who)?;
        if let Some(name) = name
            && self.named(name)?.is_some()
        {
            return Err(Error::Argument(format!(
                "'{name}' is the name of a person already"
            )));
        }
        let name = name.map(new_name).transpose()?;
        let origins = self.store_mut()?.origins(from)?;
        let all = origins.len();
        let picked: Vec<(u64, Origin)> = origins
            .into_iter()
            .enumerate()
            .filter(|(position, (_, origin))| pick(*position, origin))
            .map(|(_, exemplar)| exemplar)
            .collect();
        if picked.is_empty() || picked.len() == all {
            let name = &self.state.people[&from].record.name;
            return Err(Error::Argument(format!(
                "{} of the {all} exemplars of '{name}' were picked, wanted some but not all",
                picked.len()
            )));
        }
        let to = self.state.next_identity;
        let times = || picked.iter().map(|(_, origin)| origin.time);
        let name = name.unwrap_or_else(|| self.state.stamp.tag.name(to));
        let mut record = Record::new(name, times().min().unwrap_or(0));
        record.last_seen = times().max().unwrap_or(0);
        let moved = numbered(picked.iter().map(|&(n, _)| n), &mut record);
        let mut steps = vec![StoreStep::Record(to, record)];
        steps.extend(moves(from, to, &moved));
        self.note(JournalEntry::Split { from, to, moved }, &mut steps);
        self.commit(steps)?;
        Ok((self.state.summary(from), self.state.summary(to)))
    }

    /// Undoes the last merge or split that has not been undone and whose people are all still there; the last 32 are remembered. What has happened since
    /// stays: after a merge, the exemplars that came later stay with the merged identity; after a split, those of the new identity return with the others. Removing a
    /// person cannot be undone.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is nothing to undo, or if every exemplar of a merged identity has been replaced since, and the next call passes over that merge;
    /// [`Error::GalleryStorage`].
    pub fn undo(&mut self) -> Result<Undone> {
        self.reopen()?;
        let nothing = || Error::Argument("there is no merge and no split to undo".into());
        let last = self.state.journal.last_key_value();
        let (number, entry) = last
            .map(|(&number, entry)| (number, entry.clone()))
            .ok_or_else(nothing)?;
        let mut steps = vec![StoreStep::Strike(number)];
        let undone = match entry {
            JournalEntry::Merge {
                from,
                into,
                lost,
                before,
                aliases,
                moved,
            } => {
                let mut record = self.record_of(into)?;
                let given = |name: &&String| self.state.names.contains_key(*name);
                if let Some(name) = aliases.iter().chain([&lost.name]).find(given) {
                    return Err(Error::Argument(format!(
                        "undoing the merge would bring back the name '{name}', which identity {} has now: rename that one first",
                        self.state.names[name]
                    )));
                }
                let undone = Undone {
                    change: Change::Merge,
                    identity: record.name.clone(),
                    other: lost.name.clone(),
                };
                record.enrolled = before.enrolled;
                record.visits = record.visits.saturating_sub(lost.visits);
                if record.last_seen == lost.last_seen.max(before.last_seen) {
                    record.last_seen = before.last_seen;
                }
                let left = self.state.exemplars_of(into);
                let back = moved.iter().filter(|(_, now)| left.contains(now));
                let back: Vec<(u64, u64)> = back.map(|&(then, now)| (now, then)).collect();
                if back.is_empty() {
                    self.commit(steps)?;
                    return Err(Error::Argument(format!(
                        "nothing is left of '{}' that could come back: the merge stays",
                        lost.name
                    )));
                }
                steps.push(StoreStep::Unalias(lost.name.clone()));
                steps.extend([
                    StoreStep::Record(into, record),
                    StoreStep::Record(from, lost),
                ]);
                steps.extend(moves(into, from, &back));
                steps.extend(aliases.into_iter().map(|name| StoreStep::Alias(name, from)));
                undone
            }
            JournalEntry::Split { from, to, moved } => {
                let split = self.record_of(to)?;
                let mut record = self.record_of(from)?;
                let undone = Undone {
                    change: Change::Split,
                    identity: record.name.clone(),
                    other: split.name.clone(),
                };
                record.last_seen = record.last_seen.max(split.last_seen);
                // The split gave a visit to the new identity without taking one from the other.
                record.visits = record.visits.saturating_add(split.visits.saturating_sub(1));
                let left = self.state.exemplars_of(to);
                let (back, later): (Vec<u64>, Vec<u64>) = left
                    .into_iter()
                    .partition(|now| moved.iter().any(|(_, n)| n == now));
                let back: Vec<(u64, u64)> = moved
                    .iter()
                    .filter(|(_, now)| back.contains(now))
                    .map(|&(then, now)| (now, then))
                    .collect();
                let later = numbered(later, &mut record);
                steps.push(StoreStep::Record(from, record));
                steps.extend(moves(to, from, &back));
                steps.extend(moves(to, from, &later));
                steps.push(StoreStep::Drop(to));
                let aliases = self.state.aliases_of(to).map(str::to_owned);
                // A generated name may be in a log; a name that was given to a mistake is free.
                let own = Some(split.name).filter(|name| is_generated(name));
                steps.extend(aliases.chain(own).map(|name| StoreStep::Alias(name, from)));
                undone
            }
        };
        self.commit(steps)?;
        Ok(undone)
    }

    /// The record of an identity of a note.
    fn record_of(&self, identity: u64) -> Result<Record> {
        let person = self.state.people.get(&identity);
        let person = person.ok_or_else(|| {
            self.storage.damaged(format!(
                "its journal is about identity {identity}, which is not there"
            ))
        })?;
        Ok(person.record.clone())
    }

    /// Notes a change, and removes the oldest notes if there are too many.
    fn note(&self, entry: JournalEntry, steps: &mut Vec<StoreStep<'_>>) {
        let journal = &self.state.journal;
        let surplus = (journal.len() + 1).saturating_sub(DEPTH);
        steps.extend(journal.keys().take(surplus).copied().map(StoreStep::Strike));
        let last = journal.last_key_value().map_or(0, |(&number, _)| number);
        steps.push(StoreStep::Note(last.saturating_add(1), entry));
    }
}

/// Gives exemplars the next numbers of an identity: pairs of their old and new numbers.
fn numbered(exemplars: impl IntoIterator<Item = u64>, record: &mut Record) -> Vec<(u64, u64)> {
    exemplars
        .into_iter()
        .map(|exemplar| {
            let number = record.next_exemplar;
            record.next_exemplar = number.saturating_add(1);
            (exemplar, number)
        })
        .collect()
}

/// What moves exemplars, pairs of their old and new numbers, from one identity to another.
fn moves(from: u64, to: u64, exemplars: &[(u64, u64)]) -> impl Iterator<Item = StoreStep<'static>> {
    exemplars
        .iter()
        .map(move |&(old, new)| StoreStep::Move((from, old), (to, new)))
        .collect::<Vec<_>>()
        .into_iter()
}
