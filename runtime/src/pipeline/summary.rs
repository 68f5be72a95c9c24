//! What a run has come to: counted while it runs, told at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::Turn;
use crate::event::{Observation, State};
use crate::quality::Flaws;
use crate::track::Counts;

/// What a run has come to. Nothing is passed over without being counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Frames worked on.
    pub frames: u64,
    /// Frames that could not be decoded.
    pub broken_frames: u64,
    /// Times that a source was found to be away: once when it went, and at each attempt in vain.
    pub attempts: u64,
    /// Frames of live sources that newer ones overwrote before anybody looked at them.
    pub dropped_frames: u64,
    /// People in frames, whoever they are.
    pub observations: u64,
    /// Those of them of whom it was not known yet who they are.
    pub pending: u64,
    /// People beyond the [`MAX_PEOPLE`](crate::people::MAX_PEOPLE) of one frame.
    pub dropped: u64,
    /// People in whom the network saw nothing; see [`crate::embed::is_empty`].
    pub featureless: u64,
    /// Identities whose time had come.
    pub forgotten: u64,
    /// Crops that were not worth embedding.
    pub flaws: Flaws,
    /// What became of the tracks.
    pub tracks: Counts,
    /// Identities that were seen, by name.
    pub identities: BTreeMap<String, Tally>,
}

/// What a run has seen of one identity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    /// Whether the identity was made in this run.
    pub new: bool,
    /// How often it was seen.
    pub observations: u64,
    /// Stream time when it was first seen.
    pub first: Duration,
    /// Stream time when it was last seen.
    pub last: Duration,
    /// Lowest similarity at which it was recognised; none if it never was.
    pub least: Option<f32>,
}

impl Summary {
    pub(super) fn read(&mut self, turn: &Turn) {
        match turn {
            Turn::Worked(frames) => self.frames += *frames as u64,
            Turn::Broken(_) => self.broken_frames += 1,
            Turn::Away(_) => self.attempts += 1,
            Turn::Idle | Turn::Ended => {}
        }
    }

    pub(super) fn count(&mut self, observation: &Observation<'_>) {
        self.observations += 1;
        let Some(identity) = observation.identity else {
            self.pending += 1;
            return;
        };
        let tally = Tally {
            new: observation.state == State::New,
            observations: 1,
            first: observation.stream_time,
            last: observation.stream_time,
            least: observation.similarity,
        };
        match self.identities.get_mut(identity) {
            None => {
                self.identities.insert(identity.to_owned(), tally);
            }
            Some(known) => known.add(&tally),
        }
    }

    /// Adds what another source of the same run came to.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.frames, other.frames),
            (&mut self.broken_frames, other.broken_frames),
            (&mut self.attempts, other.attempts),
            (&mut self.dropped_frames, other.dropped_frames),
            (&mut self.observations, other.observations),
            (&mut self.pending, other.pending),
            (&mut self.dropped, other.dropped),
            (&mut self.featureless, other.featureless),
            (&mut self.forgotten, other.forgotten),
        ];
        for (own, other) in pairs {
            *own += other;
        }
        self.flaws.add(other.flaws);
        self.tracks.add(other.tracks);
        for (name, tally) in &other.identities {
            match self.identities.get_mut(name) {
                None => {
                    self.identities.insert(name.clone(), tally.clone());
                }
                Some(known) => known.add(tally),
            }
        }
    }
}

impl Tally {
    fn add(&mut self, later: &Self) {
        self.observations += later.observations;
        self.last = later.last;
        self.least = match (self.least, later.least) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}
