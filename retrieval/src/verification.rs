//! Error rates of pairs by threshold: FMR and FNMR (ISO/IEC 19795-1:2021).
//!
//! The pairs are each query with each gallery image by the rules of Market-1501. An *impostor* pair
//! shows a labelled person (number above 0) and another one, or a distractor; a *genuine* pair shows
//! one person by two cameras. FMR(t) is the share of impostor pairs whose cosine similarity reaches t,
//! FNMR(t) that of genuine pairs below t. Two networks are compared at the threshold of the first.

use std::sync::atomic::{AtomicU64, Ordering};

use super::metrics::{Answer, answer};
use super::{Labelled, Metric, distance};
use network::{Error, Result};

/// Pairs of one query, and the errors among them at a threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pairs of two persons.
    pub impostors: u64,
    /// Impostor pairs that reach the threshold.
    pub false_matches: u64,
    /// Pairs of one person.
    pub genuine: u64,
    /// Genuine pairs below the threshold.
    pub false_non_matches: u64,
}

/// The lowest threshold at which FMR is at most `rate`. Pairs of equal similarity pass together, so FMR
/// may be below `rate`.
///
/// Needs no memory for the pairs: similarities are counted by the upper half of their bits, then, in
/// the bin of the threshold, by the lower half.
///
/// # Errors
/// [`Error::Argument`] as [`super::metrics::evaluate`] with cosine; if `rate` is not between 0 and 1,
/// or is less than one of the impostor pairs and cannot be measured with them.
pub fn threshold_at(query: &Labelled<'_>, gallery: &Labelled<'_>, rate: f64) -> Result<f32> {
    if !(rate > 0.0 && rate < 1.0) {
        return Err(Error::Argument(format!(
            "a false match rate of {rate} was asked for, wanted one between 0 and 1"
        )));
    }
    let upper = counts(query, gallery, |key| Some(key >> 16))?;
    let pairs: u64 = upper.iter().sum();
    // In floating point 0.1 * 30 is a little less than 3.
    let allowed = (rate * pairs as f64 + 1e-9) as u64;
    if allowed == 0 {
        return Err(Error::Argument(format!(
            "a false match rate of {rate} is less than one of {pairs} impostor pairs, wanted at \
             least {:.0} of them",
            (1.0 / rate).ceil()
        )));
    }
    // The most similar pair that must not pass, the `allowed`-th counted from 0.
    let (high, rest) = place_from_above(&upper, allowed);
    let lower = counts(query, gallery, |key| {
        (key >> 16 == high).then_some(key & 0xffff)
    })?;
    let (low, _) = place_from_above(&lower, rest);
    Ok(of_key(high << 16 | low).next_up())
}

/// The tally of each query at a threshold, in their order.
///
/// # Errors
/// [`Error::Argument`] as [`super::metrics::evaluate`] with cosine, or if the threshold is NaN.
pub fn tallies(query: &Labelled<'_>, gallery: &Labelled<'_>, threshold: f32) -> Result<Vec<Tally>> {
    if threshold.is_nan() {
        return Err(Error::Argument("the threshold is NaN".to_owned()));
    }
    pairs(query, gallery, |tally: &mut Tally, kind, similarity| {
        let reached = similarity >= threshold;
        match kind {
            Pair::Impostor => {
                tally.impostors += 1;
                tally.false_matches += u64::from(reached);
            }
            Pair::Genuine => {
                tally.genuine += 1;
                tally.false_non_matches += u64::from(!reached);
            }
        }
    })
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Pair {
    Impostor,
    Genuine,
}

/// Folds the pairs of each query with `add`.
fn pairs<T: Default + Send>(
    query: &Labelled<'_>,
    gallery: &Labelled<'_>,
    add: impl Fn(&mut T, Pair, f32) + Sync,
) -> Result<Vec<T>> {
    distance::for_each_labelled(query, gallery, Metric::Cosine, |index, distances| {
        let mut made = T::default();
        let label = query.labels[index];
        if label.person > 0 {
            for (&distance, &other) in distances.iter().zip(gallery.labels) {
                let pair = match answer(label, other) {
                    Answer::Right => Pair::Genuine,
                    Answer::Wrong => Pair::Impostor,
                    Answer::Ignored => continue,
                };
                add(&mut made, pair, 1.0 - distance);
            }
        }
        made
    })
}

/// A histogram of the impostor pairs: `bin` maps the key of a similarity to its bin.
fn counts(
    query: &Labelled<'_>,
    gallery: &Labelled<'_>,
    bin: impl Fn(u32) -> Option<u32> + Sync,
) -> Result<Vec<u64>> {
    let counts: Vec<AtomicU64> = (0..1 << 16).map(|_| AtomicU64::new(0)).collect();
    pairs(query, gallery, |(): &mut (), pair, similarity| {
        if pair == Pair::Impostor
            && let Some(bin) = bin(key(similarity))
        {
            counts[bin as usize].fetch_add(1, Ordering::Relaxed);
        }
    })?;
    Ok(counts.into_iter().map(AtomicU64::into_inner).collect())
}

/// The bin of the `number`-th item (from 0) counted from the last bin, and its number in the bin.
fn place_from_above(counts: &[u64], mut number: u64) -> (u32, u64) {
    for (bin, &count) in counts.iter().enumerate().rev() {
        if number < count {
            return (bin as u32, number);
        }
        number -= count;
    }
    unreachable!("a rate below 1 leaves a pair that does not pass")
}

/// An integer in the order of the floats.
fn key(value: f32) -> u32 {
    let bits = value.to_bits();
    if bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    }
}

/// The float of a [`key`].
fn of_key(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 {
        key & !(1 << 31)
    } else {
        !key
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Embeddings, Label};

    fn labels(of: &[(i32, u32)]) -> Vec<Label> {
        of.iter()
            .map(|&(person, camera)| Label { person, camera })
            .collect()
    }

    /// Unit vectors at these angles in degrees.
    fn at(angles: &[f32]) -> Embeddings {
        let point = |angle: &f32| <[f32; 2]>::from(angle.to_radians().sin_cos());
        Embeddings::new(2, angles.iter().flat_map(point).collect()).unwrap()
    }

    fn with<T>(
        query: &(Embeddings, Vec<Label>),
        gallery: &(Embeddings, Vec<Label>),
        ask: impl Fn(&Labelled<'_>, &Labelled<'_>) -> T,
    ) -> T {
        let [query, gallery] =
            [query, gallery].map(|(embeddings, labels)| Labelled { embeddings, labels });
        ask(&query, &gallery)
    }

    /// By hand. The gallery: person 1 at 0 degrees, person 2 at 60, a distractor at 100, junk at 10,
    /// person 1 again by the queries' camera.
    #[test]
    fn pairs_by_hand() {
        let gallery = (
            at(&[0.0, 60.0, 100.0, 10.0, 5.0]),
            labels(&[(1, 2), (2, 2), (0, 2), (-1, 2), (1, 1)]),
        );
        // Person 1 at 20: genuine 20; impostors 40, 80. Person 2 at 90: genuine 30; impostors 90, 10,
        // 85. Two that are no persons.
        let query = (
            at(&[20.0, 90.0, 50.0, 60.0]),
            labels(&[(1, 1), (2, 1), (0, 1), (-1, 1)]),
        );
        let tally = |impostors, false_matches, genuine, false_non_matches| Tally {
            impostors,
            false_matches,
            genuine,
            false_non_matches,
        };
        struct Case(f32, [Tally; 2]);
        let cases = [
            Case(5.0, [tally(2, 0, 1, 1), tally(3, 0, 1, 1)]),
            Case(15.0, [tally(2, 0, 1, 1), tally(3, 1, 1, 1)]),
            Case(25.0, [tally(2, 0, 1, 0), tally(3, 1, 1, 1)]),
            Case(35.0, [tally(2, 0, 1, 0), tally(3, 1, 1, 0)]),
            Case(82.0, [tally(2, 2, 1, 0), tally(3, 1, 1, 0)]),
            Case(179.0, [tally(2, 2, 1, 0), tally(3, 3, 1, 0)]),
        ];
        for Case(angle, [first, second]) in cases {
            let threshold = angle.to_radians().cos();
            let found = with(&query, &gallery, |q, g| tallies(q, g, threshold)).unwrap();
            let none = Tally::default();
            assert_eq!(found, [first, second, none, none], "{angle}");
        }
        // Impostors from the most similar on: 10, 40, 80, 85, 90. Two of five may pass: between 40
        // and 80.
        for (rate, passed, refused) in [
            (0.2, 10.0f32, 40.0f32),
            (0.4, 40.0, 80.0),
            (0.8, 85.0, 90.0),
        ] {
            let found = with(&query, &gallery, |q, g| threshold_at(q, g, rate)).unwrap();
            let (passed, refused) = (passed.to_radians().cos(), refused.to_radians().cos());
            assert!(
                found <= passed + 1e-6 && found > refused - 1e-6 && (found - refused).abs() < 1e-6,
                "{rate}: {found}, wanted just above {refused}"
            );
        }
        let refused = |rate: f64| with(&query, &gallery, |q, g| threshold_at(q, g, rate));
        let error = refused(0.1).unwrap_err().to_string();
        assert!(
            error.contains("less than one of 5 impostor pairs, wanted at least 10"),
            "{error}"
        );
        for rate in [0.0, 1.0, f64::NAN] {
            assert!(refused(rate).is_err(), "{rate}");
        }
    }

    #[test]
    fn the_threshold_is_that_of_a_sort() {
        // Angles all around, so that similarities are negative too, some of them equal.
        let angles: Vec<f32> = (0..60).map(|i| (i * i % 360) as f32).collect();
        let persons: Vec<(i32, u32)> = (0..60).map(|i| (i % 7 + 1, i as u32 % 2)).collect();
        let side = (at(&angles), labels(&persons));
        let mut similarities: Vec<f32> = with(&side, &side, |q, g| {
            pairs(q, g, |all: &mut Vec<f32>, pair, similarity| {
                if pair == Pair::Impostor {
                    all.push(similarity);
                }
            })
        })
        .unwrap()
        .concat();
        similarities.sort_unstable_by(|a, b| b.total_cmp(a));
        for rate in [0.001, 0.01, 0.3, 0.5, 0.999] {
            let allowed = (rate * similarities.len() as f64 + 1e-9) as usize;
            let found = with(&side, &side, |q, g| threshold_at(q, g, rate)).unwrap();
            assert_eq!(found, similarities[allowed].next_up(), "{rate}");
            let tallies = with(&side, &side, |q, g| tallies(q, g, found)).unwrap();
            let passed: u64 = tallies.iter().map(|tally| tally.false_matches).sum();
            assert!(passed as usize <= allowed, "{rate}: {passed} of {allowed}");
        }
    }

    #[test]
    fn keys_ascend_as_floats_do() {
        let ascending = [f32::NEG_INFINITY, -1.0, -1e-30, -0.0, 0.0, 1e-30, 0.5, 1.0];
        for pair in ascending.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
        for value in ascending {
            assert_eq!(of_key(key(value)).to_bits(), value.to_bits());
        }
    }
}
