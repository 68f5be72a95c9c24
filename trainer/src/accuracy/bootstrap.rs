//! Confidence intervals by the paired bootstrap (Efron and Tibshirani, "An Introduction to the
//! Bootstrap", 1993, chapter 13, percentile method).
//!
//! Queries are resampled with replacement; every figure of both networks and their difference come
//! from the same resample, so the interval of the difference is narrow. The gallery is not resampled:
//! the interval covers other queries in this gallery, not other galleries.

use serde::{Deserialize, Serialize};

use crate::Result;
use synth::random::Draw;

/// Share of the resamples that an interval holds.
const LEVEL: f64 = 0.95;

/// How often is drawn, and by which chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// How often the queries are drawn anew, at least 100.
    pub resamples: usize,
    /// Names the draws; the same seed gives the same intervals on every machine.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 2000,
            seed: 1,
        }
    }
}

/// A figure and where it would lie in 95 % of all such draws of queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// What all queries give, each of them once.
    pub value: f64,
    /// 2.5 % of the resamples are below.
    pub low: f64,
    /// 2.5 % of the resamples are above.
    pub high: f64,
}

impl Bootstrap {
    /// The figures that `figures` computes from sums over the rows (one row a query, a column for
    /// what each of them contributes), with intervals. Figures that all rows together do not define
    /// (a share of nothing) are none; resamples that do not define a figure are left out of its
    /// interval.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) without rows or with fewer than 100 resamples.
    pub fn intervals<const C: usize, const F: usize>(
        &self,
        rows: &[[f64; C]],
        figures: impl Fn(&[f64; C]) -> [f64; F],
    ) -> Result<[Option<Interval>; F]> {
        if rows.is_empty() || self.resamples < 100 {
            bail!(
                "{} resamples of {} queries, wanted at least 100 of at least one",
                self.resamples,
                rows.len()
            );
        }
        let add = |mut sums: [f64; C], row: &[f64; C]| {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
            sums
        };
        let values = figures(&rows.iter().fold([0.0; C], add));
        let mut drawn: [Vec<f64>; F] = std::array::from_fn(|_| Vec::new());
        let mut draw = Draw::new(self.seed, "bootstrap", &[]);
        for _ in 0..self.resamples {
            let sums =
                (0..rows.len()).fold([0.0; C], |sums, _| add(sums, &rows[draw.below(rows.len())]));
            for (drawn, figure) in drawn.iter_mut().zip(figures(&sums)) {
                if figure.is_finite() {
                    drawn.push(figure);
                }
            }
        }
        let mut drawn = drawn.into_iter();
        Ok(values.map(|value| {
            let mut drawn = drawn.next().expect("as many figures");
            drawn.sort_unstable_by(f64::total_cmp);
            let tail = (1.0 - LEVEL) / 2.0;
            (value.is_finite() && !drawn.is_empty()).then(|| Interval {
                value,
                low: quantile(&drawn, tail),
                high: quantile(&drawn, 1.0 - tail),
            })
        }))
    }
}

/// The quantile of ascending numbers, between two of them by their distance (type 7 of Hyndman and
/// Fan, 1996, the default of R and NumPy).
fn quantile(ascending: &[f64], share: f64) -> f64 {
    let at = share * (ascending.len() - 1) as f64;
    let (below, above) = (
        ascending[at.floor() as usize],
        ascending[at.ceil() as usize],
    );
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        let numbers = [1.0, 2.0, 4.0, 8.0, 16.0];
        for (share, wanted) in [(0.0, 1.0), (0.25, 2.0), (0.6, 5.6), (1.0, 16.0)] {
            assert!(
                (quantile(&numbers, share) - wanted).abs() < 1e-12,
                "{share}"
            );
        }
        assert_eq!(quantile(&[3.0], 0.975), 3.0);
    }

    /// A share of 0.3 of 150 queries, two hundred times over: the true share must lie within about
    /// 95 of 100 intervals. Of 200 intervals with 95 %, fewer than 180 or more than 199 happen less
    /// than once in two hundred times; the percentile method is a little narrow besides.
    #[test]
    fn intervals_cover_a_known_binomial() {
        let mut draw = Draw::new(5, "binomial", &[]);
        let (truth, mut covered, mut width) = (0.3, 0, 0.0);
        for seed in 0..200 {
            let rows: Vec<[f64; 1]> = (0..150)
                .map(|_| [f64::from(u8::from(draw.chance(truth)))])
                .collect();
            let bootstrap = Bootstrap {
                resamples: 400,
                seed,
            };
            let [found] = bootstrap
                .intervals(&rows, |[sum]| [sum / rows.len() as f64])
                .unwrap();
            let found = found.unwrap();
            assert!(found.low <= found.value && found.value <= found.high);
            covered += usize::from((found.low..=found.high).contains(&truth));
            width += (found.high - found.low) / 200.0;
        }
        assert!((180..=199).contains(&covered), "{covered} of 200");
        // 2 * 1.96 * sqrt(.3 * .7 / 150)
        assert!((width - 0.1467).abs() < 0.006, "{width}");
    }

    #[test]
    fn pairs_stay_together() {
        // The second network loses one query of forty, whatever else is hard.
        let rows: Vec<[f64; 2]> = (0..40)
            .map(|i| [f64::from(i % 2), f64::from(if i == 1 { 0 } else { i % 2 })])
            .collect();
        let bootstrap = Bootstrap::default();
        let figures = |[a, b]: &[f64; 2]| [a / 40.0, b / 40.0, (a - b) / 40.0, b / 0.0 * 0.0];
        let [first, second, drop, nothing] = bootstrap.intervals(&rows, figures).unwrap();
        let (first, second, drop) = (first.unwrap(), second.unwrap(), drop.unwrap());
        assert_eq!((first.value, second.value, drop.value), (0.5, 0.475, 0.025));
        assert!(drop.low == 0.0 && drop.high - drop.low < 0.5 * (first.high - first.low));
        assert_eq!(nothing, None);
    }

    #[test]
    fn the_seed_names_the_draws() {
        let rows: Vec<[f64; 1]> = (0..40).map(|i| [f64::from(i).sqrt()]).collect();
        let drawn = |seed| {
            let bootstrap = Bootstrap {
                seed,
                ..Bootstrap::default()
            };
            bootstrap.intervals(&rows, |sums| *sums).unwrap()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn nothing_to_draw_is_refused() {
        let figures = |[sum]: &[f64; 1]| [*sum];
        let few = Bootstrap {
            resamples: 99,
            seed: 1,
        };
        assert!(few.intervals(&[[1.0]], figures).is_err());
        assert!(Bootstrap::default().intervals(&[], figures).is_err());
    }
}
