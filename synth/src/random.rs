//! Reproducible random draws: one seed gives the same draws on every machine.
//!
//! The seed of the run and a purpose (the image of an epoch, the weights of a layer) name a [`Draw`],
//! so no state is kept between two of them, and a resumed run continues with the same draws. The bits
//! are those of `ChaCha` with 8 rounds; the distributions are written here, so that no release of a
//! crate changes a run.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A sequence of draws.
#[derive(Debug, Clone)]
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The sequence that `seed` and `purpose` name, for example `["erase", epoch, image]` as
    /// `Draw::new(seed, "erase", &[epoch, image])`.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, at: &[u64]) -> Self {
        // FNV-1a over everything that names the sequence, once for each quarter of the key.
        let mut key = [0; 32];
        for (quarter, bytes) in (0u8..).zip(key.chunks_exact_mut(8)) {
            let mut hash = 0xcbf2_9ce4_8422_2325_u64;
            let numbers = at.iter().flat_map(|n| n.to_le_bytes());
            let named = (seed.to_le_bytes().into_iter())
                .chain([quarter])
                .chain(purpose.bytes())
                .chain([0xff])
                .chain(numbers);
            for byte in named {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            bytes.copy_from_slice(&hash.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `0.0..1.0`, a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `low..high` (`low` if both are the same).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// Whether something of this probability happens.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// As [`Draw::between`] with this probability, else 0.
    pub fn sometimes(&mut self, probability: f64, low: f64, high: f64) -> f64 {
        if self.chance(probability) {
            self.between(low, high)
        } else {
            0.0
        }
    }

    /// 1 or -1.
    pub fn sign(&mut self) -> f64 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    /// Uniform in `0..n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "nothing to choose from");
        // The bias of this multiplication is below n / 2^64.
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// From the normal distribution of mean 0 and deviation 1, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Puts `items` into an order of equal chance (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First draws of the test below.
    const WRITTEN: [usize; 5] = [375_933, 581_589, 35_241, 440_819, 610_617];

    #[test]
    fn sequences_are_named_and_do_not_change() {
        let first = |mut draw: Draw| draw.below(1_000_000);
        let all = [
            first(Draw::new(1, "erase", &[0, 7])),
            first(Draw::new(1, "erase", &[7, 0])),
            first(Draw::new(1, "erase", &[0])),
            first(Draw::new(1, "crop", &[0, 7])),
            first(Draw::new(2, "erase", &[0, 7])),
        ];
        let distinct: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len(), "{all:?}");
        // Written down once: a change of any part would change every run.
        assert_eq!(all, WRITTEN);
    }

    #[test]
    fn draws_are_distributed_as_they_say() {
        let mut draw = Draw::new(3, "test", &[]);
        let n = 20_000;
        let units: Vec<f64> = (0..n).map(|_| draw.unit()).collect();
        let normals: Vec<f64> = (0..n).map(|_| draw.normal()).collect();
        let moments = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let square = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64;
            (mean, square)
        };
        // Five deviations of a mean of 20,000.
        let (mean, variance) = moments(&units);
        assert!((mean - 0.5).abs() < 0.0103 && (variance - 1.0 / 12.0).abs() < 0.003);
        let (mean, variance) = moments(&normals);
        assert!(mean.abs() < 0.036 && (variance - 1.0).abs() < 0.051);
        assert!(units.iter().all(|v| (0.0..1.0).contains(v)));

        let mut counts = [0; 3];
        for _ in 0..3000 {
            counts[draw.below(3)] += 1;
        }
        assert!(counts.iter().all(|c| (870..1130).contains(c)), "{counts:?}");
    }

    #[test]
    fn shuffling_keeps_everything() {
        let mut items: Vec<usize> = (0..100).collect();
        Draw::new(4, "order", &[]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
