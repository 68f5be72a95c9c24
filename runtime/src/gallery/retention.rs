//! Removes persons with generated names: after [`GalleryLimits::retention`](super::GalleryLimits::retention), or when there are too many of them.
//!
//! [`Gallery::expire`] is called every frame and costs a comparison when no person is due. A person who is due leaves memory and the tables at once, in one
//! transaction. redb does not erase freed pages, so the file is written anew by the first call that comes [`DEAD_FOR`] later; that time is stored, so that a
//! restart does not delay it. A gallery that no program opens expires no person: `reid gallery prune FILE --older-than 24h` does. All times are the caller's
//! wall time; [`Gallery::due_by_clock`] handles a clock that was set back.

use std::collections::BTreeSet;

use super::limits::millis;
use super::names::is_generated;
use super::store::{StoreStep, StoredTime};
use super::{Gallery, IdentitySummary, journal};
use crate::error::Result;

/// How long, in milliseconds, the pages of removed persons may stay in the file.
const DEAD_FOR: u64 = 3_600_000;

/// A time that is this many milliseconds ahead does not mean that the clock was set back.
const CLOCK_SLACK: u64 = 60_000;

/// Which persons [`Gallery::prune`] removes, of those with generated names: those to whom one of these applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PruneRules {
    /// Last seen before this time, in milliseconds since 1970.
    pub seen_before: Option<u64>,
    /// Not among this many who were seen last.
    pub keep: Option<usize>,
    /// Fewer visits than this.
    pub min_visits: Option<u64>,
}

/// The new time at which a person was last seen, who is seen at `time`: never earlier than the stored one, unless that is in the future.
pub(super) fn seen_last(last_seen: u64, time: u64) -> u64 {
    if last_seen > time.saturating_add(CLOCK_SLACK) {
        time
    } else {
        last_seen.max(time)
    }
}

impl Gallery {
    /// Removes persons with generated names who were not seen for [`GalleryLimits::retention`](super::GalleryLimits::retention); `now` in milliseconds since 1970.
    /// Returns all who left since the last call, those included who were evicted or removed by another program. Their numbers are never given again.
    ///
    /// To be called every frame, before the frame is matched: it also stores times that have waited, writes the file anew when that is due, and lends the file
    /// of [`Gallery::create_or_open_shared`] to programs that ask for it.
    ///
    /// # Errors
    /// [`Error::GalleryStorage`](crate::Error::GalleryStorage), then no person was removed.
    pub fn expire(&mut self, now: u64) -> Result<Vec<IdentitySummary>> {
        self.lend_if_asked()?;
        self.reopen()?;
        self.flush_if_due(now)?;
        // A time in the future was stored by a wrong clock.
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

    /// The persons that [`Gallery::prune`] would remove, in the order of their numbers.
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

    /// Removes persons with generated names, and every trace of them as [`Gallery::forget`] does. This cannot be undone.
    ///
    /// # Errors
    /// [`Error::GalleryStorage`](crate::Error::GalleryStorage), then no person was removed.
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

    /// Persons who are due although they were last seen at a time in the future. When the clock is found to be set back, that time is stored, and they count as
    /// seen then: they leave one retention later, unless they are seen again or the clock is corrected before. A clock that was wrongly set forward by more than
    /// the retention lets all persons leave: it looks like a device that was switched off.
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

    /// Persons who have to leave so that `newcomers` have room: those seen longest ago, but none who is in sight.
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

    /// The steps that remove people in one transaction, and store that the file has dead pages.
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

    /// The steps that remove people, the names that lead to them and the notes about them.
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
