//! Who goes, and when: people whom nobody has named, after [`GalleryLimits::retention`](super::GalleryLimits::retention) or when there are too many of them.
//!
//! [`Gallery::expire`] is called every frame and costs a comparison when nobody is due. Whoever is due leaves memory and the file's tables in one transaction, at
//! once. Their bytes are then in pages that redb may use again but does not erase, so the file is written anew, without them, by the first call of `expire` that
//! comes [`DEAD_FOR`] after the first of them went: at most once an hour, and at the latest an hour after anybody went if the gallery is in use; the moment is
//! remembered in the file, so a restart does not put it off. A gallery that nobody opens expires nobody: `reid gallery prune FILE --older-than 24h` does, and
//! writes the file anew at once. Backups, the file that a restore sets aside, and a hard link that is made while the gallery is open keep whom they
//! hold.
//!
//! # Clocks
//! All times are the caller's wall time. When the clock is found to be set back, people who were last seen at a time that is yet to come count as seen at the moment
//! when that was found, and the moment is stored: they go one retention after it, neither at once nor never, unless the clock comes right before. Being seen again
//! sets their time right. A clock that is wrongly set forward by more than the retention lets everybody go, as it must: from inside it looks like a device that was
//! switched off. Steps of less than [`CLOCK_SLACK`] are ignored.

use std::collections::BTreeSet;

use super::limits::millis;
use super::names::is_generated;
use super::store::{StoreStep, StoredTime};
use super::{Gallery, IdentitySummary, journal};
use crate::error::Result;

/// How long, in milliseconds, the pages of people who have gone may stay in the file.
const DEAD_FOR: u64 = 3_600_000;

/// A time that is this many milliseconds ahead does not mean that the clock was set back.
const CLOCK_SLACK: u64 = 60_000;

/// Whom [`Gallery::prune`] removes: whomever one of these says, of those who have generated names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PruneRules {
    /// Who was last seen before this time, in milliseconds since 1970.
    pub seen_before: Option<u64>,
    /// All but this many, who were seen last.
    pub keep: Option<usize>,
    /// Who came less often.
    pub min_visits: Option<u64>,
}

/// When somebody was last seen, who was seen at `time`: never earlier than known, unless what is known is yet to come.
pub(super) fn seen_last(last_seen: u64, time: u64) -> u64 {
    if last_seen > time.saturating_add(CLOCK_SLACK) {
        time
    } else {
        last_seen.max(time)
    }
}

impl Gallery {
    /// Lets everybody go who has a generated name and was not seen for [`GalleryLimits::retention`](super::GalleryLimits::retention); `now` in milliseconds since 1970. Returns whoever
    /// has gone since the last call: those, and before them those who made room for others. Their numbers mean nobody from now on.
    ///
    /// Meant to be called every frame, before the frame is matched: it also stores times that have waited and writes the file anew when that is due.
    ///
    /// # Errors
    /// [`Error::GalleryStorage`](crate::Error::GalleryStorage), then nobody has gone.
    pub fn expire(&mut self, now: u64) -> Result<Vec<IdentitySummary>> {
        self.lend_if_asked()?;
        self.reopen()?;
        self.flush_if_due(now)?;
        // A moment that is yet to come was noted by a wrong clock.
        let dead = self.state.dead;
        if dead.is_some_and(|since| now < since || now - since >= DEAD_FOR) {
            self.erase(BTreeSet::new())?;
        }
        let gone = self.due(now)?;
        let summaries = gone.iter().map(|&id| self.state.summary(id));
        let mut summaries: Vec<IdentitySummary> = summaries.collect();
        if !gone.is_empty() {
            let steps = self.dismissal(&gone, now)?;
            self.commit(steps)?;
        }
        let mut all = std::mem::take(&mut self.departed);
        all.append(&mut summaries);
        Ok(all)
    }

    /// Whom [`Gallery::prune`] would remove, in the order of their numbers.
    pub fn prunable(&self, prune: &PruneRules) -> Vec<IdentitySummary> {
        let unnamed = self.state.people.iter();
        let unnamed = unnamed.filter(|(_, person)| is_generated(&person.record.name));
        let mut by_time: Vec<(u64, u64)> = unnamed
            .clone()
            .map(|(&id, person)| (person.record.last_seen, id))
            .collect();
        by_time.sort_unstable();
        let surplus = prune
            .keep
            .map_or(0, |keep| by_time.len().saturating_sub(keep));
        let surplus: BTreeSet<u64> = by_time[..surplus].iter().map(|&(_, id)| id).collect();
        unnamed
            .filter(|(id, person)| {
                let record = &person.record;
                prune.seen_before.is_some_and(|t| record.last_seen < t)
                    || prune.min_visits.is_some_and(|n| record.visits < n)
                    || surplus.contains(id)
            })
            .map(|(&id, _)| self.state.summary(id))
            .collect()
    }

    /// Removes people with generated names, and every trace of them as [`Gallery::forget`] does. Nothing can undo it.
    ///
    /// # Errors
    /// [`Error::GalleryStorage`](crate::Error::GalleryStorage), then nobody has gone.
    pub fn prune(&mut self, prune: &PruneRules) -> Result<Vec<IdentitySummary>> {
        self.reopen()?;
        let gone = self.prunable(prune);
        if !gone.is_empty() || self.state.dead.is_some() {
            self.erase(gone.iter().map(|summary| summary.identity).collect())?;
        }
        Ok(gone)
    }

    /// Who is due to go.
    fn due(&mut self, now: u64) -> Result<Vec<u64>> {
        let Some(retention) = self.limits.retention.map(millis) else {
            return Ok(Vec::new());
        };
        let Some(horizon) = now.checked_sub(retention) else {
            return self.due_by_clock(now, retention);
        };
        let mut due = self
            .state
            .oldest_while(|time, _| (time <= horizon).then_some(true));
        due.extend(self.due_by_clock(now, retention)?);
        Ok(due)
    }

    /// Who is due to go although they were last seen at a time that is yet to come.
    fn due_by_clock(&mut self, now: u64, retention: u64) -> Result<Vec<u64>> {
        let ahead = now.saturating_add(CLOCK_SLACK);
        let set_back = self.state.set_back;
        if self.state.latest <= ahead {
            if set_back.is_some() {
                self.commit(vec![StoreStep::Time(StoredTime::ClockSetBack, None)])?;
            }
            return Ok(Vec::new());
        }
        match set_back {
            Some(since) if since <= now && now - since < retention => Ok(Vec::new()),
            Some(since) if since <= now => {
                let people = self.state.people.iter();
                let unnamed = people.filter(|(_, p)| is_generated(&p.record.name));
                let (due, rest): (Vec<_>, Vec<_>) = unnamed
                    .map(|(&id, person)| (id, person.record.last_seen))
                    .partition(|&(_, last_seen)| last_seen > ahead);
                self.state.latest = rest.iter().map(|&(_, time)| time).max().unwrap_or(0);
                Ok(due.into_iter().map(|(id, _)| id).collect())
            }
            _ => {
                self.commit(vec![StoreStep::Time(StoredTime::ClockSetBack, Some(now))])?;
                Ok(Vec::new())
            }
        }
    }

    /// Who has to go so that `newcomers` people have room: those seen longest ago, but nobody who is in sight.
    pub(super) fn evicted(&mut self, newcomers: usize, in_sight: impl Fn(u64) -> bool) -> Vec<u64> {
        let after = self.state.generated + newcomers;
        let mut surplus = after.saturating_sub(self.limits.max_identities);
        if surplus == 0 {
            return Vec::new();
        }
        self.state.oldest_while(|_, identity| {
            if surplus == 0 {
                return None;
            }
            let goes = !in_sight(identity);
            surplus -= usize::from(goes);
            Some(goes)
        })
    }

    /// What lets people go in one transaction, and notes that their pages are dead.
    pub(super) fn dismissal(&mut self, gone: &[u64], now: u64) -> Result<Vec<StoreStep<'static>>> {
        for &identity in gone {
            self.plan_deletions(identity, |_| true)?;
        }
        let mut steps = self.departure(&gone.iter().copied().collect());
        if self.state.dead.is_none() {
            steps.push(StoreStep::Time(StoredTime::DeadPages, Some(now)));
        }
        Ok(steps)
    }

    /// What removes people, the names that lead to them and the notes about them.
    pub(super) fn departure(&self, gone: &BTreeSet<u64>) -> Vec<StoreStep<'static>> {
        let notes = journal::about(&self.state.journal, gone);
        let aliases = self.state.aliases.iter();
        let aliases = aliases.filter(|(_, identity)| gone.contains(identity));
        notes
            .into_iter()
            .map(StoreStep::Strike)
            .chain(aliases.map(|(alias, _)| StoreStep::Unalias(alias.clone())))
            .chain(gone.iter().map(|&identity| StoreStep::Drop(identity)))
            .collect()
    }
}
