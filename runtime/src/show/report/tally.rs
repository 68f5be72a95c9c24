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

/// Stretches of a timeline.
const STRETCHES: usize = 160;

/// When a person was there, in stretches that double when they do not reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    /// Length of one stretch.
    stretch: Duration,
    there: [bool; STRETCHES],
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            stretch: Duration::from_millis(100),
            there: [false; STRETCHES],
        }
    }
}

impl Timeline {
    pub(super) fn add(&mut self, time: Duration) {
        loop {
            let at = time.as_nanos() / self.stretch.as_nanos();
            if let Some(there) = usize::try_from(at)
                .ok()
                .and_then(|at| self.there.get_mut(at))
            {
                *there = true;
                return;
            }
            self.coarsen();
        }
    }

    /// Makes each stretch twice as long.
    fn coarsen(&mut self) {
        for at in 0..STRETCHES {
            let pair = self.there.get(2 * at..2 * at + 2);
            self.there[at] = pair.is_some_and(|pair| pair[0] || pair[1]);
        }
        self.stretch = self.stretch.saturating_mul(2);
    }

    /// When the last stretch with the person in it ends.
    pub(super) fn end(&self) -> Duration {
        let last = self.there.iter().rposition(|there| *there);
        let stretches = last.map_or(0, |last| last as u32 + 1);
        self.stretch.saturating_mul(stretches)
    }

    /// From when to when a person was there, as far as it can be told on an axis `whole` long: seen
    /// once a second is one line, not dots.
    pub(super) fn stretches(mut self, whole: Duration) -> Vec<[Duration; 2]> {
        while self.stretch.saturating_mul(STRETCHES as u32) < whole {
            self.coarsen();
        }
        let mut found = Vec::new();
        let mut at = 0;
        while at < STRETCHES {
            let run = self.there[at..].iter().take_while(|there| **there).count();
            if run > 0 {
                found.push([at, at + run].map(|at| self.stretch.saturating_mul(at as u32)));
            }
            at += run + 1;
        }
        found
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
    fn a_timeline_reaches_as_far_as_it_must() {
        let mut timeline = Timeline::default();
        let cases = [
            // Time in milliseconds, end of the line behind it.
            (0, 100),
            (15_999, 16_000),
            (16_000, 16_200),
            (31_000, 31_200),
            // Weeks: 160 stretches of 2^16 * 0.1 s.
            (1_000_000_000, 1_002_700_800),
        ];
        for (time, end) in cases {
            timeline.add(Duration::from_millis(time));
            assert_eq!(timeline.end(), Duration::from_millis(end), "{time}");
        }
        assert!(timeline.there[0] && timeline.there.iter().filter(|there| **there).count() == 2);
        let stretches = timeline.stretches(timeline.end());
        assert_eq!(stretches.len(), 2, "{stretches:?}");
        assert_eq!(stretches[1][1], timeline.end());
        timeline.add(Duration::MAX);
        assert!(timeline.end() > Duration::MAX / 2);
    }
}
