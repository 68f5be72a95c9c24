//! Finds the fastest of several ways to compute a batch, while batches are computed.

use std::time::{Duration, Instant};

/// Ways, and how long each has taken. Small nets lose more by handing work around than they win: an
/// `OSNet` x0.25 crop takes 12.2 ms on one thread of two x86-64 cores and 15.1 ms on both, so the
/// first calls try each of them.
pub(super) struct Trial<T> {
    ways: Vec<T>,
    /// Fastest time of each for one crop so far.
    fastest: Vec<Duration>,
    calls: usize,
}

impl<T: Clone> Trial<T> {
    /// How often each way is tried. The first time is slow for either: its memory is cold.
    const EACH: usize = 3;

    /// One way or several.
    pub(super) fn new(ways: Vec<T>) -> Self {
        Self {
            fastest: vec![Duration::MAX; ways.len()],
            ways,
            calls: 0,
        }
    }

    /// Computes a batch in the next way to try, or in the fastest one.
    pub(super) fn run<O>(&mut self, batch: usize, work: impl FnOnce(T) -> O) -> O {
        let trying = self.calls < Self::EACH * self.ways.len();
        let way = match trying {
            true => self.calls % self.ways.len(),
            false => (0..self.fastest.len())
                .min_by_key(|&i| self.fastest[i])
                .unwrap_or(0),
        };
        let start = Instant::now();
        let result = work(self.ways[way].clone());
        if trying {
            let each = start.elapsed() / u32::try_from(batch.max(1)).unwrap_or(u32::MAX);
            self.fastest[way] = self.fastest[way].min(each);
            self.calls += 1;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_tried_and_the_fastest_stays() {
        let mut trial = Trial::new(vec![20, 0, 10]);
        let mut ways = Vec::new();
        for _ in 0..14 {
            trial.run(1, |way| {
                ways.push(way);
                std::thread::sleep(Duration::from_millis(way));
            });
        }
        assert_eq!(ways[..9], [20, 0, 10, 20, 0, 10, 20, 0, 10]);
        assert_eq!(ways[9..], [0; 5]);
    }
}
