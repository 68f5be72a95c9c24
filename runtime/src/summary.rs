//! What a run has come to: counted while it runs, shown on its page and at its end. Visits and
//! persons are counted by the [`Change`]s and [`Visit`]s that the events are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::quality::Flaws;
use crate::track::Counts;
use crate::visits::{Change, Visit};

/// What a run has come to. Nothing is passed over without being counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Frames worked on.
    pub frames: u64,
    /// Frames that could not be decoded.
    pub broken_frames: u64,
    /// Times that a source was disconnected: once when it went, and at each attempt in vain.
    pub attempts: u64,
    /// Frames of live sources that newer ones replaced before they were worked on.
    pub dropped_frames: u64,
    /// Persons in frames.
    pub observations: u64,
    /// Observations without a decided identity.
    pub pending: u64,
    /// People beyond the [`MAX_PEOPLE`](crate::people::MAX_PEOPLE) of one frame.
    pub dropped: u64,
    /// Crops in which the network found nothing; see [`crate::embed::is_empty`].
    pub featureless: u64,
    /// Identities that left the gallery because of their age or of their number.
    pub forgotten: u64,
    /// Crops that were due and passed over because the frame had too many.
    pub over_budget: u64,
    /// Crops that were not worth embedding.
    pub flaws: Flaws,
    /// What became of the tracks.
    pub tracks: Counts,
    /// Identities that were seen, those whose visit is not over included.
    pub persons: u64,
    /// Their visits.
    pub visits: u64,
    /// Visits for which the person was enrolled.
    pub new: u64,
    /// Visits of persons who had been here before.
    pub returns: u64,
    /// Identities of visits that are over, by number; those that have left the gallery are not here.
    pub identities: BTreeMap<u64, Tally>,
}

/// What a run has seen of one identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// Whether the identity was enrolled in this run.
    pub new: bool,
    /// How many visits it had.
    pub visits: u64,
    /// Those of them before which it had been here.
    pub returns: u64,
    /// In how many frames it was seen.
    pub observations: u64,
    /// When it was first seen, after the start of the run.
    pub first: Duration,
    /// When it was last seen, after the start of the run.
    pub last: Duration,
    /// Lowest similarity at which it was recognised; none if it never was.
    pub least: Option<f32>,
}

impl Summary {
    /// Counts what a change does to visits.
    pub(crate) fn count(&mut self, change: &Change) {
        if let Some(found) = change.identified {
            self.visits += 1;
            self.persons += u64::from(found.first_of_run);
            self.new += u64::from(found.new);
            self.returns += u64::from(found.returning);
        }
        if let Some(wrong) = change.left.and_then(|left| left.correction) {
            self.visits -= u64::from(wrong.visit);
            self.persons -= u64::from(wrong.first_of_run);
            self.new -= u64::from(wrong.new);
            self.returns -= u64::from(wrong.returning);
        }
    }

    /// Adds a visit that is over; `first` and `last` are times after the start of the run.
    pub(crate) fn end(&mut self, visit: &Visit, [first, last]: [Duration; 2]) {
        let Some(identity) = visit.identity else {
            return;
        };
        let tally = Tally {
            new: visit.new,
            visits: 1,
            returns: u64::from(visit.returning),
            observations: visit.observations(),
            first,
            last,
            least: visit.least(),
        };
        self.add(identity, &tally);
    }

    /// Counts an identity that was merged as the one that it was merged into.
    pub(crate) fn merge(&mut self, from: u64, into: u64) {
        if let Some(tally) = self.identities.remove(&from) {
            self.add(into, &tally);
        }
    }

    fn add(&mut self, identity: u64, other: &Tally) {
        let Some(tally) = self.identities.get_mut(&identity) else {
            self.identities.insert(identity, other.clone());
            return;
        };
        tally.new |= other.new;
        tally.visits += other.visits;
        tally.returns += other.returns;
        tally.observations += other.observations;
        tally.first = tally.first.min(other.first);
        tally.last = tally.last.max(other.last);
        tally.least = tally.least.into_iter().chain(other.least).reduce(f32::min);
    }
}
