//! The best identities of a scan: rows come in, each identity keeps its best one.

/// The `K` best identities so far, best first, ties in the order of their numbers.
///
/// Exact for any number of rows per identity: an identity that is pushed out had no row better than those of `K` others, and comes back with a better one if it has one.
#[derive(Debug)]
pub(super) struct Ranking<const K: usize> {
    best: heapless::Vec<Ranked, K>,
}

/// An identity and the similarity of its best row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    pub(super) identity: u64,
    pub(super) similarity: f32,
}

impl<const K: usize> Ranking<K> {
    pub(super) fn new() -> Self {
        Self {
            best: heapless::Vec::new(),
        }
    }

    /// Takes a row of `identity`, and returns the similarity that the next row must reach to matter.
    pub(super) fn offer(&mut self, identity: u64, similarity: f32) -> f32 {
        let new = Ranked {
            identity,
            similarity,
        };
        let known = self.best.iter().position(|r| r.identity == identity);
        let start = match known {
            Some(at) if new.precedes(&self.best[at]) => at,
            Some(_) => return self.floor(),
            None if self.best.push(new).is_ok() => self.best.len() - 1,
            None => match self.best.last() {
                Some(last) if new.precedes(last) => K - 1,
                _ => return self.floor(),
            },
        };
        self.best[start] = new;
        for at in (1..=start).rev() {
            if self.best[at].precedes(&self.best[at - 1]) {
                self.best.swap(at, at - 1);
            }
        }
        self.floor()
    }

    pub(super) fn into_best(self) -> heapless::Vec<Ranked, K> {
        self.best
    }

    fn floor(&self) -> f32 {
        match self.best.last() {
            Some(last) if self.best.is_full() => last.similarity,
            Some(_) => f32::NEG_INFINITY,
            None => f32::INFINITY, // K is 0.
        }
    }
}

impl Ranked {
    fn precedes(&self, other: &Self) -> bool {
        let by_similarity = other.similarity.total_cmp(&self.similarity);
        by_similarity
            .then(self.identity.cmp(&other.identity))
            .is_lt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(rows: &[(u64, f32)]) -> Vec<(u64, f32)> {
        let mut ranking = Ranking::<3>::new();
        for &(identity, similarity) in rows {
            ranking.offer(identity, similarity);
        }
        let best = ranking.into_best();
        best.iter().map(|r| (r.identity, r.similarity)).collect()
    }

    #[test]
    fn ranks_identities_by_their_best_row() {
        type Rows<'a> = &'a [(u64, f32)];
        let cases: [(&str, Rows, Rows); 7] = [
            ("no row", &[], &[]),
            (
                "one identity fills the scan",
                &[(1, 0.9), (1, 0.8), (1, 0.95), (2, 0.1)],
                &[(1, 0.95), (2, 0.1)],
            ),
            (
                "ties by number",
                &[(3, 0.5), (1, 0.5), (2, 0.5)],
                &[(1, 0.5), (2, 0.5), (3, 0.5)],
            ),
            (
                "a tie with the last by number",
                &[(4, 0.5), (3, 0.5), (2, 0.5), (1, 0.5)],
                &[(1, 0.5), (2, 0.5), (3, 0.5)],
            ),
            (
                "a worse row changes nothing",
                &[(1, 0.5), (2, 0.4), (1, 0.3)],
                &[(1, 0.5), (2, 0.4)],
            ),
            (
                "pushed out and back",
                &[(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4), (1, 0.5)],
                &[(1, 0.5), (4, 0.4), (3, 0.3)],
            ),
            (
                "below the last",
                &[(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6)],
                &[(1, 0.9), (2, 0.8), (3, 0.7)],
            ),
        ];
        for (name, rows, wanted) in cases {
            assert_eq!(ranked(rows), wanted, "{name}");
        }
    }

    #[test]
    fn the_floor_is_the_last_once_full() {
        let mut ranking = Ranking::<2>::new();
        assert_eq!(ranking.offer(1, 0.5), f32::NEG_INFINITY);
        assert_eq!(ranking.offer(1, 0.6), f32::NEG_INFINITY);
        assert_eq!(ranking.offer(2, 0.4), 0.4);
        assert_eq!(ranking.offer(3, 0.5), 0.5);
        assert_eq!(Ranking::<0>::new().offer(1, 0.5), f32::INFINITY);
    }
}
