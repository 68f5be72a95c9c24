//! What adds up over a run in little space: how similar, and when.

use std::time::Duration;

use pages::chart::Histogram;

/// Bins from similarity 0 to 1.
const BINS: usize = 50;

/// How often each similarity was found; below 0 counts as 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Similarities {
    counts: [u64; BINS],
}

impl Default for Similarities {
    fn default() -> Self {
        Self { counts: [0; BINS] }
    }
}

impl Similarities {
    pub(super) fn add(&mut self, similarity: f32) {
        if similarity.is_finite() {
            let bin = (similarity.max(0.0) * BINS as f32) as usize;
            self.counts[bin.min(BINS - 1)] += 1;
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn histogram(&self) -> Histogram<'_> {
        Histogram {
            from: 0.0,
            width: 1.0 / BINS as f64,
            counts: &self.counts,
        }
    }
}

/// The most stretches of time of a person.
const STRETCHES: usize = 64;

/// When a person was there, by the time of the stream. Stretches that are less than `gap` apart are one;
/// it grows when there are too many.
#[derive(Debug)]
pub(super) struct Presence {
    gap: Duration,
    stretches: Vec<[Duration; 2]>,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            gap: Duration::from_secs(1),
            stretches: Vec::new(),
        }
    }
}

impl Presence {
    pub(super) fn add(&mut self, time: Duration) {
        let gap = self.gap;
        let ended = |[_, end]: &[Duration; 2]| end.saturating_add(gap) < time;
        let at = self.stretches.partition_point(ended);
        match self.stretches.get_mut(at) {
            Some([start, end]) if start.saturating_sub(gap) <= time => {
                (*start, *end) = ((*start).min(time), (*end).max(time));
            }
            _ => self.stretches.insert(at, [time, time]),
        }
        while self.stretches.len() > STRETCHES {
            self.gap = self.gap.saturating_mul(2);
            let gap = self.gap;
            self.stretches.dedup_by(|later, earlier| {
                let near = earlier[1].saturating_add(gap) >= later[0];
                if near {
                    earlier[1] = earlier[1].max(later[1]);
                }
                near
            });
        }
    }

    /// In the order of time.
    pub(super) fn stretches(&self) -> &[[Duration; 2]] {
        &self.stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_similarity_has_a_bin() {
        let mut found = Similarities::default();
        let cases = [
            (-1.0, 0),
            (0.0, 0),
            (0.019, 0),
            (0.5, 25),
            (0.999, 49),
            (1.0, 49),
            (7.0, 49),
        ];
        for (similarity, bin) in cases {
            let before = found.counts[bin];
            found.add(similarity);
            assert_eq!(found.counts[bin], before + 1, "{similarity}");
        }
        for no_similarity in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            found.add(no_similarity);
        }
        assert_eq!(found.total(), cases.len() as u64);
        assert_eq!(found.histogram().range(), Some([0.0, 1.0]));
    }

    #[test]
    fn stretches_of_presence_are_few() {
        type Case<'a> = (&'a str, &'a [u64], &'a [[u64; 2]]);
        let cases: [Case<'_>; 4] = [
            ("near ones are one", &[0, 900, 1900], &[[0, 1900]]),
            ("far ones are two", &[0, 1001], &[[0, 0], [1001, 1001]]),
            ("in any order", &[5000, 0, 4000], &[[0, 0], [4000, 5000]]),
            ("the end of time", &[0, u64::MAX], &[[0, 0], [u64::MAX; 2]]),
        ];
        for (name, times, wanted) in cases {
            let mut presence = Presence::default();
            times
                .iter()
                .for_each(|time| presence.add(Duration::from_millis(*time)));
            let wanted = wanted.iter().map(|ends| ends.map(Duration::from_millis));
            assert!(
                presence.stretches().iter().copied().eq(wanted),
                "{name}: {presence:?}"
            );
        }
        // Weeks of a visit every ten minutes.
        let mut presence = Presence::default();
        for visit in 0..5000 {
            presence.add(Duration::from_secs(600 * visit));
        }
        let stretches = presence.stretches();
        assert!(stretches.len() <= STRETCHES, "{}", stretches.len());
        assert_eq!(
            stretches[stretches.len() - 1][1],
            Duration::from_secs(600 * 4999)
        );
    }
}
