//! Visits of identities: when one begins and whether it is a mistake is decided by the caller, see
//! [`crate::visits`]; the gallery keeps their number, and when each identity was last seen.

use super::Gallery;
use super::samples::Touch;
use crate::error::Result;
use crate::visits::Before;

impl Gallery {
    /// What is known of an identity so far; `None` if it is not there.
    #[must_use]
    pub fn visited(&self, identity: u64) -> Option<Before> {
        let record = &self.state.people.get(&identity)?.record;
        Some(Before {
            visits: record.visits,
            last_seen: record.last_seen,
        })
    }

    /// Counts a visit of an identity that is there. Enrolling an unknown person counts its first
    /// one. Written to disk as late as the time of a sighting; `now` in milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Gallery::record`].
    pub fn begin_visit(&mut self, identity: u64, now: u64) -> Result<()> {
        let change = |before: Before| Before {
            visits: before.visits.saturating_add(1),
            ..before
        };
        self.change_visits(identity, now, change)
    }

    /// Takes back what a mistake has counted: a visit, if there was none, and the time at which
    /// the identity was last seen, in milliseconds since 1970.
    ///
    /// # Errors
    /// As [`Gallery::record`].
    pub fn take_back_visit(
        &mut self,
        identity: u64,
        visit: bool,
        last_seen: u64,
        now: u64,
    ) -> Result<()> {
        let change = |before: Before| Before {
            visits: before.visits.saturating_sub(u64::from(visit)),
            last_seen,
        };
        self.change_visits(identity, now, change)
    }

    fn change_visits(
        &mut self,
        identity: u64,
        now: u64,
        change: impl FnOnce(Before) -> Before,
    ) -> Result<()> {
        self.reopen()?;
        let Before { visits, last_seen } = match self.visited(identity) {
            Some(before) => change(before),
            None => return Err(self.unknown(&identity.to_string())),
        };
        let touch = Touch {
            identity,
            last_seen,
            visits,
        };
        self.defer(&touch, now);
        self.flush_if_due(now)
    }
}
