//! How crops of one track vote on its identity: one crop can be lucky, most of them are not.

use heapless::Deque;

use super::MAX_CROPS;

/// The vote of a crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vote {
    /// It is this identity.
    For(u64),
    /// It resembles no identity.
    Unknown,
    /// It resembles an identity that another track of the same frame has. That other track may be
    /// wrong, or both boxes hold one person: no reason to decide.
    Taken,
}

/// The result of the votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There are too few of them, or they disagree.
    Open,
    /// Most are for this identity.
    Known(u64),
    /// Most resemble no identity, and neither does the last one.
    Unknown,
}

/// The votes of the last crops, twice the quorum less one at most: what was lucky long ago is
/// forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct Voting {
    votes: Deque<Vote, { 2 * MAX_CROPS }>,
}

impl Voting {
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

    /// What `quorum` crops or more decide by majority.
    pub(super) fn outcome(&self, quorum: usize) -> Outcome {
        let majority = |count: usize| 2 * count > self.votes.len();
        if self.votes.len() < quorum {
            return Outcome::Open;
        }
        if let Some(identity) = self.identities().find(|&id| majority(self.votes_for(id))) {
            return Outcome::Known(identity);
        }
        // The last one too: after the others had voted, the person may have been enrolled for
        // another track, in the same second.
        let unknown = self.votes.iter().filter(|&&v| v == Vote::Unknown).count();
        match self.votes.back() {
            Some(Vote::Unknown) if majority(unknown) => Outcome::Unknown,
            _ => Outcome::Open,
        }
    }

    /// Whether the last vote is for this identity.
    pub(super) fn last_is_for(&self, identity: u64) -> bool {
        matches!(self.votes.back(), Some(Vote::For(other)) if *other == identity)
    }

    fn identities(&self) -> impl Iterator<Item = u64> {
        self.votes.iter().filter_map(|vote| match vote {
            Vote::For(identity) => Some(*identity),
            _ => None,
        })
    }

    fn votes_for(&self, identity: u64) -> usize {
        self.identities().filter(|&other| other == identity).count()
    }
}

#[cfg(test)]
mod tests {
    use super::Vote::{For, Taken, Unknown};
    use super::*;

    fn votes_of(votes: &[Vote], quorum: usize) -> Voting {
        let mut voting = Voting::default();
        for &vote in votes {
            voting.cast(vote, quorum);
        }
        voting
    }

    #[test]
    fn most_crops_decide() {
        let (a, b) = (For(1), For(2));
        let cases: &[(&str, usize, &[Vote], Outcome)] = &[
            ("no vote", 3, &[], Outcome::Open),
            ("too few", 3, &[a, a], Outcome::Open),
            ("all", 3, &[a, a, a], Outcome::Known(1)),
            ("two of three", 3, &[Unknown, a, a], Outcome::Known(1)),
            ("disagreement", 3, &[a, b, Unknown], Outcome::Open),
            ("half is no majority", 3, &[a, a, b, b], Outcome::Open),
            ("three of five", 3, &[a, b, a, b, b], Outcome::Known(2)),
            ("unknown", 3, &[Unknown; 3], Outcome::Unknown),
            (
                "one lucky match",
                3,
                &[a, Unknown, Unknown],
                Outcome::Unknown,
            ),
            (
                "enrolled meanwhile",
                3,
                &[Unknown, Unknown, a],
                Outcome::Open,
            ),
            ("taken", 3, &[Taken; 5], Outcome::Open),
            (
                "taken before",
                3,
                &[Taken, Unknown, Unknown],
                Outcome::Unknown,
            ),
            (
                "long ago",
                3,
                &[a, a, Unknown, Unknown, Unknown, Unknown],
                Outcome::Unknown,
            ),
            (
                "one is enough if that is asked for",
                1,
                &[a],
                Outcome::Known(1),
            ),
            ("and the last one then", 1, &[a, Unknown], Outcome::Unknown),
            (
                "the largest quorum",
                MAX_CROPS,
                &[a; MAX_CROPS],
                Outcome::Known(1),
            ),
        ];
        for (name, quorum, votes, wanted) in cases {
            assert_eq!(votes_of(votes, *quorum).outcome(*quorum), *wanted, "{name}");
        }
    }
}
