//! FNIR and FPIR of a search by threshold, as in NISTIR 8271 (Grother, Ngan and Hanaoka, 2019) with R = 1.
//!
//! In the *mate search* of a query the person is in the gallery, seen by other cameras; in the *non-mate
//! search* all images of the person are removed. Junk is never in the gallery. FNIR(t) is the share of mate
//! searches whose most similar image is of another person or below t; FPIR(t) is the share of non-mate
//! searches whose most similar image reaches t (cosine similarity).

use serde::Serialize;

use super::metrics::{Answer, answer};
use super::{Labelled, Metric, distance};
pub use network::metadata::OperatingPoint;
use network::{Error, Result};

/// Common targets of FPIR.
const TARGETS: [f64; 6] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.2];

/// Points of [`OpenSet::curve`] at most.
const CURVE_POINTS: usize = 101;

/// The operating point of a target: the lowest threshold within it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TargetPoint {
    /// The largest allowed [`OperatingPoint::fpir`].
    pub target: f64,
    /// The operating point; its `fpir` is a multiple of 1 / non-mate searches.
    pub point: OperatingPoint,
}

/// FNIR and FPIR over all thresholds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenSet {
    /// Searches for enrolled persons.
    pub mate_searches: usize,
    /// Searches for unknown persons.
    pub non_mate_searches: usize,
    /// Operating points at an FPIR of 0.1, 0.5, 1, 5, 10 and 20 %, without those below one non-mate
    /// search, which cannot be measured.
    pub operating: Vec<TargetPoint>,
    /// The EER operating point: FNIR and FPIR are closest to equal; the lowest such threshold.
    pub equal_error: OperatingPoint,
    /// By ascending threshold, from all accepted to none; at most 101 points.
    pub curve: Vec<OperatingPoint>,
}

/// Similarities of the searches of one query.
#[derive(Debug, Clone, Copy)]
struct Searches {
    /// If there is a mate: its similarity if it is first, else minus infinity.
    mate: Option<f32>,
    /// If another person is in the gallery: the highest similarity.
    non_mate: Option<f32>,
}

/// Measures the curve with every query of a labelled person (number above 0).
///
/// # Errors
/// [`Error::Argument`] as [`super::metrics::evaluate`] with cosine, or if there is no mate search
/// or no non-mate search.
pub fn curve(query: &Labelled<'_>, gallery: &Labelled<'_>) -> Result<OpenSet> {
    let searches =
        distance::for_each_labelled(query, gallery, Metric::Cosine, |index, distances| {
            let label = query.labels[index];
            // Nearest right and nearest wrong answer; of equals the earlier.
            let mut best: [Option<(f32, usize)>; 2] = [None; 2];
            for (image, (&distance, &other)) in distances.iter().zip(gallery.labels).enumerate() {
                let best = match answer(label, other) {
                    Answer::Right => &mut best[0],
                    Answer::Wrong => &mut best[1],
                    Answer::Ignored => continue,
                };
                if best.is_none_or(|(least, _)| distance < least) {
                    *best = Some((distance, image));
                }
            }
            let [right, wrong] = best;
            let known = label.person > 0;
            Searches {
                mate: right.map(|right| match wrong {
                    Some(wrong) if wrong < right => f32::NEG_INFINITY,
                    _ => 1.0 - right.0,
                }),
                non_mate: wrong.filter(|_| known).map(|(distance, _)| 1.0 - distance),
            }
        })?;
    let sorted = |scores: &dyn Fn(&Searches) -> Option<f32>| {
        let mut scores: Vec<f32> = searches.iter().filter_map(scores).collect();
        scores.sort_unstable_by(f32::total_cmp);
        scores
    };
    from_scores(&sorted(&|s| s.mate), &sorted(&|s| s.non_mate))
}

/// The curve of ascending similarities; a mate that is not first has minus infinity.
fn from_scores(mates: &[f32], non_mates: &[f32]) -> Result<OpenSet> {
    let (Some(&highest_mate), Some(&highest)) = (mates.last(), non_mates.last()) else {
        return Err(Error::Argument(format!(
            "{} searches for persons in the gallery and {} for persons who are not, wanted at \
             least one of each",
            mates.len(),
            non_mates.len()
        )));
    };
    let below = |scores: &[f32], threshold: f32| scores.partition_point(|s| *s < threshold);
    let point = |threshold: f32| OperatingPoint {
        threshold,
        fpir: (non_mates.len() - below(non_mates, threshold)) as f64 / non_mates.len() as f64,
        fnir: below(mates, threshold) as f64 / mates.len() as f64,
    };

    let operating = TARGETS
        .iter()
        .filter_map(|&target| {
            // In floating point 0.1 * 30 is a little less than 3.
            let allowed = (target * non_mates.len() as f64 + 1e-9) as usize;
            let first_refused = non_mates.len().checked_sub(allowed + 1)?;
            (allowed > 0).then(|| TargetPoint {
                target,
                point: point(non_mates[first_refused].next_up()),
            })
        })
        .collect();

    // All thresholds that differ: between two similarities nothing changes.
    let mut thresholds: Vec<f32> = mates.iter().chain(non_mates).copied().collect();
    thresholds.retain(|score| score.is_finite());
    thresholds.push(highest.max(highest_mate).next_up());
    thresholds.sort_unstable_by(f32::total_cmp);
    thresholds.dedup();

    let gap = |point: &OperatingPoint| (point.fpir - point.fnir).abs();
    let equal_error = thresholds
        .iter()
        .map(|&threshold| point(threshold))
        .min_by(|a, b| gap(a).total_cmp(&gap(b)))
        .expect("one threshold was pushed");
    let last = thresholds.len() - 1;
    let points = thresholds.len().min(CURVE_POINTS);
    let curve = (0..points)
        .map(|index| point(thresholds[index * last / (points - 1).max(1)]))
        .collect();
    Ok(OpenSet {
        mate_searches: mates.len(),
        non_mate_searches: non_mates.len(),
        operating,
        equal_error,
        curve,
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

    /// By hand. The gallery: person 1 at 0 degrees, person 2 at 60, a distractor at 100, junk at
    /// 10.
    #[test]
    fn searches_by_hand() {
        let gallery = (
            at(&[0.0, 60.0, 100.0, 10.0]),
            labels(&[(1, 2), (2, 2), (0, 2), (-1, 2)]),
        );
        // Person 1 at 10 (mate 10 off, other 50 off), person 2 at 90 (distractor 10 off, mate 30
        // off: a miss), person 3 at 50 (no mate, 10 off), person 2 by the gallery's camera (no
        // mate, 40 off), a distractor (no search).
        let query = (
            at(&[10.0, 90.0, 50.0, 60.0, 0.0]),
            labels(&[(1, 1), (2, 1), (3, 1), (2, 2), (0, 1)]),
        );
        let found = curve(
            &Labelled {
                embeddings: &query.0,
                labels: &query.1,
            },
            &Labelled {
                embeddings: &gallery.0,
                labels: &gallery.1,
            },
        )
        .unwrap();
        assert_eq!((found.mate_searches, found.non_mate_searches), (2, 4));
        // Mates: cos 10, miss. Non-mates: cos 50, cos 10, cos 10, cos 40.
        // 20 % of four is less than one.
        let cos = |angle: f32| angle.to_radians().cos();
        let near = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert_eq!(found.operating, []);
        let (first, last) = (found.curve[0], found.curve[found.curve.len() - 1]);
        assert!(near(first.threshold, cos(50.0)), "{first:?}");
        assert_eq!((first.fpir, first.fnir), (1.0, 0.5));
        assert_eq!((last.fpir, last.fnir), (0.0, 1.0));
        let second = found.curve[1];
        assert!(near(second.threshold, cos(40.0)), "{second:?}");
        assert_eq!((second.fpir, second.fnir), (0.75, 0.5));
    }

    #[test]
    fn thresholds_by_hand() {
        // Non-mates at .01 .. 1.00: 1 % is one false alarm, above .99; 20 % twenty, above .80.
        let non_mates: Vec<f32> = (1..=100).map(|i| i as f32 / 100.0).collect();
        let mates = [f32::NEG_INFINITY, 0.5, 0.805, 0.995];
        let found = from_scores(&mates, &non_mates).unwrap();
        let at = |target: f64| {
            let operating = found.operating.iter().find(|o| o.target == target);
            operating.map(|o| (o.point.threshold, o.point.fpir, o.point.fnir))
        };
        assert_eq!(at(0.005), None, "half a search");
        assert_eq!(at(0.01), Some((0.99f32.next_up(), 0.01, 0.75)));
        assert_eq!(at(0.05), Some((0.95f32.next_up(), 0.05, 0.75)));
        assert_eq!(at(0.2), Some((0.8f32.next_up(), 0.2, 0.5)));
        // Misses are a half above .5, false alarms too at .51.
        let equal = found.equal_error;
        assert_eq!((equal.threshold, equal.fpir, equal.fnir), (0.51, 0.5, 0.5));
        assert_eq!(found.curve.len(), CURVE_POINTS);
        for pair in found.curve.windows(2) {
            assert!(pair[0].threshold < pair[1].threshold);
            assert!(pair[0].fpir >= pair[1].fpir && pair[0].fnir <= pair[1].fnir);
        }
    }

    #[test]
    fn ties_of_impostors_are_all_refused() {
        let found = from_scores(&[0.9], &[0.1, 0.7, 0.7, 0.7, 0.7]).unwrap();
        let [only] = found.operating.as_slice() else {
            panic!("{:?}", found.operating)
        };
        let wanted = OperatingPoint {
            threshold: 0.7f32.next_up(),
            fpir: 0.0,
            fnir: 0.0,
        };
        assert_eq!((only.target, only.point), (0.2, wanted));
        assert!(from_scores(&[0.5], &[]).is_err());
        assert!(from_scores(&[], &[0.5]).is_err());
    }
}
