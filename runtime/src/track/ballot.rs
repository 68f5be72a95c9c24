//! How crops of one track vote on who it is: one crop can be lucky, most of them are not.

use heapless::Deque;

use super::MAX_CROPS;

/// What a crop says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Vote {
    /// It is this identity, with this similarity.
    For(u64, f32),
    /// It resembles nobody.
    Stranger,
    /// It resembles somebody whom another track of the same frame already is. That other track may
    /// be wrong, or both boxes hold one person: no reason to decide.
    Taken,
}

/// What the crops say together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There are too few of them, or they disagree.
    Open,
    /// Most say that it is this identity.
    Known(u64),
    /// Most resemble nobody, and so does the last one.
    Unknown,
}

/// The votes of the last crops, twice the quorum less one at most: what was lucky long ago is
/// forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct Ballot {
    votes: Deque<Vote, { 2 * MAX_CROPS }>,
}

impl Ballot {
    pub(super) fn clear(&mut self) {
        self.votes.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.votes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.votes.is_empty()
    }

    /// Whether the next vote pushes out the first.
    pub(super) fn is_full(&self, quorum: usize) -> bool {
        self.votes.len() >= 2 * quorum - 1
    }

    /// Adds a vote; `quorum` is 1..=[`MAX_CROPS`].
    pub(super) fn cast(&mut self, vote: Vote, quorum: usize) {
        while self.is_full(quorum) {
            self.votes.pop_front();
        }
        self.votes
            .push_back(vote)
            .expect("the window is smaller than the list");
    }

    /// What `quorum` crops or more say by majority.
    pub(super) fn outcome(&self, quorum: usize) -> Outcome {
        let majority = |count: usize| 2 * count > self.votes.len();
        if self.votes.len() < quorum {
            return Outcome::Open;
        }
        if let Some(identity) = self.identities().find(|&id| majority(self.votes_for(id))) {
            return Outcome::Known(identity);
        }
        // The last one too, because the others voted before somebody else may have been born:
        // another track of the same person, in the same second.
        let strangers = self.votes.iter().filter(|&&v| v == Vote::Stranger).count();
        match self.votes.back() {
            Some(Vote::Stranger) if majority(strangers) => Outcome::Unknown,
            _ => Outcome::Open,
        }
    }

    /// Whether the last vote is for this identity.
    pub(super) fn last_is_for(&self, identity: u64) -> bool {
        matches!(self.votes.back(), Some(Vote::For(other, _)) if *other == identity)
    }

    /// What too few crops say of somebody who is gone: whom all of them named, if there were two or
    /// one was `clear`ly similar.
    pub(super) fn hint(&self, clear: f32) -> Option<u64> {
        let identity = self.identities().next()?;
        let unanimous = self.votes_for(identity) == self.votes.len();
        let clearly =
            |vote: &Vote| matches!(vote, Vote::For(_, similarity) if *similarity >= clear);
        (unanimous && (self.votes.len() >= 2 || self.votes.iter().any(clearly))).then_some(identity)
    }

    fn identities(&self) -> impl Iterator<Item = u64> {
        self.votes.iter().filter_map(|vote| match vote {
            Vote::For(identity, _) => Some(*identity),
            _ => None,
        })
    }

    fn votes_for(&self, identity: u64) -> usize {
        self.identities().filter(|&other| other == identity).count()
    }
}

#[cfg(test)]
mod tests {
    use super::Vote::{For, Stranger, Taken};
    use super::*;

    fn ballot(votes: &[Vote], quorum: usize) -> Ballot {
        let mut ballot = Ballot::default();
        for &vote in votes {
            ballot.cast(vote, quorum);
        }
        ballot
    }

    #[test]
    fn most_crops_decide() {
        let (a, b) = (For(1, 0.9), For(2, 0.9));
        let cases: &[(&str, usize, &[Vote], Outcome)] = &[
            ("nobody voted", 3, &[], Outcome::Open),
            ("too few", 3, &[a, a], Outcome::Open),
            ("all", 3, &[a, a, a], Outcome::Known(1)),
            ("two of three", 3, &[Stranger, a, a], Outcome::Known(1)),
            ("disagreement", 3, &[a, b, Stranger], Outcome::Open),
            ("half is no majority", 3, &[a, a, b, b], Outcome::Open),
            ("three of five", 3, &[a, b, a, b, b], Outcome::Known(2)),
            ("strangers", 3, &[Stranger; 3], Outcome::Unknown),
            (
                "one lucky match",
                3,
                &[a, Stranger, Stranger],
                Outcome::Unknown,
            ),
            (
                "who was born meanwhile",
                3,
                &[Stranger, Stranger, a],
                Outcome::Open,
            ),
            ("taken", 3, &[Taken; 5], Outcome::Open),
            (
                "taken before",
                3,
                &[Taken, Stranger, Stranger],
                Outcome::Unknown,
            ),
            (
                "long ago",
                3,
                &[a, a, Stranger, Stranger, Stranger, Stranger],
                Outcome::Unknown,
            ),
            (
                "one is enough if that is asked for",
                1,
                &[a],
                Outcome::Known(1),
            ),
            ("and the last one then", 1, &[a, Stranger], Outcome::Unknown),
            (
                "the largest quorum",
                MAX_CROPS,
                &[a; MAX_CROPS],
                Outcome::Known(1),
            ),
        ];
        for (name, quorum, votes, wanted) in cases {
            assert_eq!(ballot(votes, *quorum).outcome(*quorum), *wanted, "{name}");
        }
    }

    #[test]
    fn too_few_crops_can_hint() {
        let cases: &[(&str, &[Vote], Option<u64>)] = &[
            ("nobody voted", &[], None),
            ("a lucky one", &[For(1, 0.9)], None),
            ("a clear one", &[For(1, 0.96)], Some(1)),
            ("two", &[For(1, 0.9), For(1, 0.9)], Some(1)),
            ("two that disagree", &[For(1, 0.96), For(2, 0.96)], None),
            ("a stranger too", &[For(1, 0.96), Stranger], None),
            ("taken", &[For(1, 0.96), Taken], None),
        ];
        for (name, votes, wanted) in cases {
            assert_eq!(ballot(votes, 3).hint(0.95), *wanted, "{name}");
        }
    }
}
