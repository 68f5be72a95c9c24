//! Which crops to embed, and what the embeddings make of the tracks.

use std::time::Duration;

use retrieval::scan::similarity;

use super::voting::{Outcome, Vote};
use super::{Best, CAPACITY, Decision, Ended, Track, Tracks};
use crate::people::MAX_PEOPLE;

/// How soon a crop is wanted: the smaller, the sooner.
type Urgency = (Class, Option<Duration>, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Matched by distance: is it the same person?
    Doubtful,
    /// Its identity is not decided.
    Open,
    /// Its identity is to be confirmed.
    Decided,
}

impl Tracks {
    /// Positions of the persons of the last frame whose track needs a crop, the most urgent first.
    /// A person whose crop is not embedded stays wanted.
    pub fn wanted(&mut self) -> heapless::Vec<usize, MAX_PEOPLE> {
        let mut wanted = heapless::Vec::<(Urgency, usize), MAX_PEOPLE>::new();
        for index in 0..self.here.len() {
            match self.track_of(index).map(|track| self.urgency(track)) {
                Some(Some(urgency)) => wanted
                    .push((urgency, index))
                    .expect("a frame's list of persons is as long"),
                Some(None) => self.counts.spared += 1,
                None => {}
            }
        }
        wanted.sort_unstable();
        wanted.iter().map(|&(_, index)| index).collect()
    }

    /// None if the track had a crop a moment ago.
    fn urgency(&self, track: &Track) -> Option<Urgency> {
        let class = match track.identity {
            _ if track.before.is_some() => Class::Doubtful,
            None => Class::Open,
            // A contradiction is to be settled.
            Some(_) if !track.voting.is_empty() => Class::Open,
            Some(_) => Class::Decided,
        };
        let interval = match class {
            Class::Doubtful => Duration::ZERO,
            // What could not be decided by now will not be by more of the same.
            Class::Open if track.voting.is_full(self.settings.crops) => self.settings.recheck,
            Class::Open => self.settings.interval,
            Class::Decided => self.settings.recheck,
        };
        let passed = |voted| track.position.seen.saturating_sub(voted) >= interval;
        track
            .voted
            .is_none_or(passed)
            .then_some((class, track.voted, track.number))
    }

    /// Lets the crop of a person of the last frame vote: its `embedding`, of unit length, and whom
    /// the gallery finds most similar to it.
    ///
    /// The track can become another one by this: it turns out to continue a lost track, or not to
    /// continue the one that it was matched with. Ask for
    /// [`number`](Self::number) after.
    ///
    /// # Panics
    /// If `embedding` has another dimension than [`Tracks::new`] was given.
    pub fn vote(&mut self, index: usize, embedding: &[f32], best: Option<Best>) -> Decision<'_> {
        assert_eq!(embedding.len(), self.dim, "numbers in an embedding");
        let Some(&Some(slot)) = self.here.get(index) else {
            return Decision::Pending;
        };
        let slot = self.settle(index, slot, embedding);
        self.last[slot * self.dim..][..self.dim].copy_from_slice(embedding);
        let vote = self.read(slot, best);
        self.counts.taken += u64::from(vote == Vote::Taken);

        let quorum = self.settings.crops;
        let track = self.track_mut(slot);
        track.voted = Some(track.position.seen);
        track.crops += 1;
        let Some(identity) = track.identity else {
            track.voting.cast(vote, quorum);
            self.keep(slot, vote, embedding);
            return self.decide(slot);
        };
        let agrees = matches!(vote, Vote::For(other) if other == identity);
        if agrees {
            track.voting.clear();
            track.kept = 0;
            track.interrupted = false;
        } else if vote != Vote::Unknown || track.interrupted {
            let contradictions = self.settings.contradictions;
            self.keep(slot, vote, embedding);
            let track = self.track_mut(slot);
            track.voting.cast(vote, quorum.max(contradictions));
            if track.voting.len() >= contradictions {
                track.identity = None;
                self.counts.reopened += 1;
                return self.decide(slot);
            }
        }
        Decision::Known { identity, agrees }
    }

    /// Gives the track of a person its identity, after [`Decision::Enroll`].
    pub fn enrolled(&mut self, index: usize, identity: u64) {
        if let Some(&Some(slot)) = self.here.get(index) {
            self.name(slot, identity);
        }
    }

    /// Takes an identity that has left the gallery from the tracks that have it: they are to be
    /// decided again.
    pub fn release(&mut self, identity: u64) {
        for track in self.slots.iter_mut().flatten() {
            if track.identity == Some(identity) {
                track.identity = None;
            }
            track.voting.clear();
            track.kept = 0;
        }
    }

    /// Gives the tracks of an identity to the one that it was merged into. If a track of the last
    /// frame has that one already, the others are decided again.
    pub fn reassign(&mut self, from: u64, into: u64) {
        if self.holding(into).is_none() {
            for track in self.slots.iter_mut().flatten() {
                if track.identity == Some(from) {
                    track.identity = Some(into);
                }
            }
        }
        self.release(from);
    }

    /// Compares a crop with what its track looked like, and returns the slot where it belongs.
    fn settle(&mut self, index: usize, slot: usize, embedding: &[f32]) -> usize {
        let track = self.track_mut(slot);
        let before = track.before.take();
        let (bbox, at) = (track.position.bbox, track.position.seen);
        if track.voted.is_none() {
            let Some(lost) = self.lost_like(slot, embedding) else {
                return slot;
            };
            let found = self.slots[slot].take().expect("its position was just read");
            self.track_mut(lost).position = found.position;
            self.here[index] = Some(lost);
            self.counts.reattached += 1;
            return lost;
        }
        let Some(before) = before else {
            return slot;
        };
        let (apart, threshold) = (self.settings.apart(), self.settings.threshold);
        let similarity = self.looks_like(slot, embedding);
        let track = self.track_mut(slot);
        if similarity >= apart {
            track.interrupted &= similarity < threshold;
            return slot;
        }
        track.position = before;
        self.counts.split += 1;
        self.begin(index, bbox, None, at)
    }

    /// The lost track that a new one continues: it looks the same, and a person can have walked
    /// from there to here.
    fn lost_like(&self, slot: usize, embedding: &[f32]) -> Option<usize> {
        let new = self.slots[slot]
            .as_ref()
            .filter(|new| new.given.is_none())?;
        let lost = |other: &Track| {
            // A track that was seen when the new one had begun already is of another person.
            other.position.seen < new.first
                && other.given.is_none()
                && other.voted.is_some()
                && other
                    .position
                    .nearness(new.position.bbox, new.position.seen)
                    > 0.0
        };
        (0..CAPACITY)
            .filter(|&other| self.slots[other].as_ref().is_some_and(lost))
            .map(|other| (self.looks_like(other, embedding), other))
            .filter(|(similarity, _)| *similarity >= self.settings.threshold)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
            .map(|(_, other)| other)
    }

    /// Similarity of an embedding to the last one of the track in `slot`.
    fn looks_like(&self, slot: usize, embedding: &[f32]) -> f32 {
        similarity(embedding, &self.last[slot * self.dim..][..self.dim])
    }

    /// What a crop votes for the track in `slot`.
    fn read(&self, slot: usize, best: Option<Best>) -> Vote {
        match best {
            Some(best) if best.similarity >= self.settings.threshold => {
                match self.holding(best.identity) {
                    Some(holder) if holder != slot => Vote::Taken,
                    _ => Vote::For(best.identity),
                }
            }
            _ => Vote::Unknown,
        }
    }

    /// Slot of the track in this frame that has the identity; a second one in the same frame cannot be
    /// the same person.
    fn holding(&self, identity: u64) -> Option<usize> {
        let holds =
            |track: &Track| track.position.frame == self.frame && track.identity == Some(identity);
        (0..CAPACITY).find(|&slot| self.slots[slot].as_ref().is_some_and(holds))
    }

    /// Keeps the embedding of a crop that resembles no identity; the oldest goes.
    fn keep(&mut self, slot: usize, vote: Vote, embedding: &[f32]) {
        if vote != Vote::Unknown {
            return;
        }
        let (dim, crops) = (self.dim, self.settings.crops);
        let track = self.slots[slot]
            .as_mut()
            .expect("a crop that votes has a track");
        let kept = &mut self.kept[slot * crops * dim..][..crops * dim];
        if track.kept == crops {
            kept.copy_within(dim.., 0);
            track.kept -= 1;
        }
        kept[track.kept * dim..][..dim].copy_from_slice(embedding);
        track.kept += 1;
    }

    /// Counts the votes of a track that is not decided.
    fn decide(&mut self, slot: usize) -> Decision<'_> {
        let (dim, crops) = (self.dim, self.settings.crops);
        let track = self.slots[slot]
            .as_ref()
            .expect("a crop that votes has a track");
        match track.voting.outcome(crops) {
            Outcome::Open => Decision::Pending,
            // Another track has become this identity since the votes were cast.
            Outcome::Known(identity) if self.holding(identity).is_some() => Decision::Pending,
            Outcome::Known(identity) => {
                let agrees = track.voting.last_is_for(identity);
                self.name(slot, identity);
                Decision::Known { identity, agrees }
            }
            Outcome::Unknown => Decision::Enroll {
                track: track.label(),
                exemplars: &self.kept[slot * crops * dim..][..track.kept * dim],
            },
        }
    }

    /// Decides the identity of a track. Lost tracks of the same identity are over: this one goes on
    /// for them.
    fn name(&mut self, slot: usize, identity: u64) {
        let frame = self.frame;
        self.end_where(|other| other.identity == Some(identity) && other.position.frame < frame);
        let track = self.track_mut(slot);
        track.identity = Some(identity);
        track.voting.clear();
        track.kept = 0;
        track.interrupted = false;
    }

    /// Ends the track in `slot`, which is there.
    pub(super) fn end(&mut self, slot: usize) {
        let Some(track) = self.slots[slot].take() else {
            return;
        };
        if track.identity.is_none() {
            match track.crops {
                0 => self.counts.without_crop += 1,
                _ => self.counts.undecided += 1,
            }
        }
        self.ended
            .push(Ended {
                track: track.label(),
                identity: track.identity,
                crops: track.crops,
                first: track.first,
                last: track.position.seen,
            })
            .expect("in a frame, only tracks end that were there before it");
    }
}
