//! Histograms of values over all calibration images, in one pass and bounded memory.
//!
//! The bin width is a power of two: bin `i` holds `i * w <= v < (i + 1) * w`. A value beyond the last
//! bin doubles the width, which merges bins in pairs exactly. Zeros are counted separately, because
//! every scheme represents them exactly.

use serde::Serialize;

/// Bins on each side of zero.
const SIDE: usize = 2048;

/// A histogram; see the [module](self).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    /// Width of a bin is 2 to this power.
    exponent: i32,
    /// Bins below zero, the nearest to zero first; empty until a negative number comes.
    below: Vec<u64>,
    /// Bins above zero.
    above: Vec<u64>,
    zeros: u64,
    min: f32,
    max: f32,
}

/// A histogram for the report: few bins of one width.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bins {
    /// Lower edge of the first bin.
    pub from: f32,
    /// Width of each.
    pub width: f32,
    /// Values in each, without zeros.
    pub counts: Vec<u64>,
    /// Numbers that are exactly zero.
    pub zeros: u64,
}

/// Finer than any activation that matters: 2^-60.
const FINEST: i32 = -60;

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            exponent: FINEST,
            below: Vec::new(),
            above: Vec::new(),
            zeros: 0,
            min: 0.0,
            max: 0.0,
        }
    }

    /// Counts finite numbers.
    pub(super) fn add(&mut self, values: &[f32]) {
        let (mut min, mut max) = (self.min, self.max);
        for &value in values {
            min = min.min(value);
            max = max.max(value);
        }
        self.reserve(min, max);
        (self.min, self.max) = (min, max);
        // A power of two: the product is exact, its integer part the bin.
        let factor = 2f32.powi(-self.exponent);
        for &value in values {
            let at = (value.abs() * factor) as usize;
            if value > 0.0 {
                self.above[at] += 1;
            } else if value < 0.0 {
                self.below[at] += 1;
            } else {
                self.zeros += 1;
            }
        }
    }

    /// Counts what another has counted.
    pub(super) fn merge(&mut self, other: &Self) {
        self.reserve(other.min, other.max);
        let mut other = other.clone();
        self.widen(other.exponent);
        other.widen(self.exponent);
        for (own, other) in [
            (&mut self.above, &other.above),
            (&mut self.below, &other.below),
        ] {
            if own.len() < other.len() {
                own.resize(other.len(), 0);
            }
            for (own, other) in own.iter_mut().zip(other) {
                *own += other;
            }
        }
        self.zeros += other.zeros;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Makes room for numbers from `min` to `max`.
    fn reserve(&mut self, min: f32, max: f32) {
        let widest = max.max(-min);
        let mut exponent = self.exponent;
        while widest * 2f32.powi(-exponent) >= SIDE as f32 {
            exponent += 1;
        }
        self.widen(exponent);
        for (side, wanted) in [(&mut self.above, max > 0.0), (&mut self.below, min < 0.0)] {
            if wanted && side.is_empty() {
                side.resize(SIDE, 0);
            }
        }
    }

    fn widen(&mut self, exponent: i32) {
        // After this many doublings everything is in the first bin.
        for _ in self.exponent..exponent.min(self.exponent + 12) {
            for side in [&mut self.above, &mut self.below] {
                let half = side.len() / 2;
                for i in 0..half {
                    side[i] = side[2 * i] + side[2 * i + 1];
                }
                side.iter_mut().skip(half).for_each(|count| *count = 0);
            }
        }
        self.exponent = self.exponent.max(exponent);
    }

    /// Least and greatest number; zero is always between them.
    pub(super) fn range(&self) -> [f32; 2] {
        [self.min, self.max]
    }

    /// Numbers counted, zeros included.
    pub(super) fn total(&self) -> u64 {
        self.zeros + self.above.iter().sum::<u64>() + self.below.iter().sum::<u64>()
    }

    /// The centre of each bin that is not empty and what it holds, ascending, without zeros.
    pub(super) fn bins(&self) -> impl Iterator<Item = (f64, u64)> {
        let width = 2f64.powi(self.exponent);
        let below = (self.below.iter().enumerate().rev())
            .map(move |(i, &count)| (-(i as f64 + 0.5) * width, count));
        let above = (self.above.iter().enumerate())
            .map(move |(i, &count)| ((i as f64 + 0.5) * width, count));
        below.chain(above).filter(|&(_, count)| count > 0)
    }

    /// The range that keeps `share` of the values; both signs lose equal parts.
    pub(super) fn percentile(&self, share: f64) -> [f32; 2] {
        let both = self.min < 0.0 && self.max > 0.0;
        let cut = (1.0 - share) * self.total() as f64 / if both { 2.0 } else { 1.0 };
        let width = 2f64.powi(self.exponent);
        let edge = |side: &[u64], furthest: f32| {
            let mut left = cut;
            for (i, &count) in side.iter().enumerate().rev() {
                left -= count as f64;
                if left < 0.0 {
                    return (((i + 1) as f64 * width) as f32).min(furthest);
                }
            }
            0.0
        };
        [-edge(&self.below, -self.min), edge(&self.above, self.max)]
    }

    /// The histogram with `count` bins.
    pub(super) fn summary(&self, count: usize) -> Bins {
        let [from, to] = self.range();
        let width = (to - from) / count as f32;
        let mut counts = vec![0; count];
        for (centre, number) in self.bins() {
            let at = ((centre as f32 - from) / width).clamp(0.0, (count - 1) as f32);
            counts[at as usize] += number;
        }
        Bins {
            from,
            width,
            counts,
            zeros: self.zeros,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of three sizes, zeros and both signs.
    fn numbers(n: usize, size: f32) -> Vec<f32> {
        (0..n)
            .map(|i| ((i * 37 % 101) as f32 - 50.0) * size / 50.0)
            .collect()
    }

    #[test]
    fn the_order_of_numbers_and_of_sums_does_not_matter() {
        let parts = [
            numbers(300, 0.001),
            numbers(500, 3.0),
            vec![0.0; 7],
            numbers(200, 700.0),
        ];
        let mut forward = Histogram::new();
        parts.iter().for_each(|part| forward.add(part));
        let mut backward = Histogram::new();
        parts.iter().rev().for_each(|part| backward.add(part));
        let mut sum = Histogram::new();
        for part in &parts {
            let mut one = Histogram::new();
            one.add(part);
            sum.merge(&one);
        }
        assert_eq!(forward, backward);
        assert_eq!(forward, sum);
        assert_eq!(forward.total(), 1007);
        assert_eq!(forward.range(), [-700.0, 700.0]);
        let all: u64 = forward.summary(64).counts.iter().sum();
        assert_eq!(all + forward.zeros, 1007);
    }

    #[test]
    fn percentiles_cut_what_is_rare() {
        let mut histogram = Histogram::new();
        histogram.add(&vec![1.0; 9_990]);
        histogram.add(&[100.0; 10]);
        assert_eq!(histogram.percentile(1.0), [0.0, 100.0]);
        let [low, high] = histogram.percentile(0.99);
        assert!(low == 0.0 && (1.0..1.1).contains(&high), "{high}");
        assert_eq!(Histogram::new().percentile(0.999), [0.0, 0.0]);
    }
}
