//! The baseline of colour stripes: the crops of each visit come in, the verdicts of the best
//! threshold go out.
//!
//! Stripes have no threshold of their own, and there is no other clip to find one on. So they get
//! the one that is best on this very clip, with hindsight: an advantage that the network has not.

use retrieval::scan::similarity;
use retrieval::stripes;

use super::score::{Decided, Owners, Scored, Tally, score};

/// The result of the stripes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Best {
    /// The threshold that is right most often; of equals the one with the fewest false matches, then
    /// the highest.
    pub(super) threshold: f32,
    /// Its verdicts, a visit each.
    pub(super) scored: Vec<Scored>,
}

/// The mean of the stripes of a visit's crops, of length 1; none without a crop.
pub(super) fn look(crops: &[Vec<f32>]) -> Option<Vec<f32>> {
    let mut sum = vec![0.0; stripes::DIM];
    for crop in crops {
        for (sum, value) in sum.iter_mut().zip(crop) {
            *sum += value;
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    (length > 0.0).then(|| sum.iter().map(|value| value / length).collect())
}

/// Recognises the persons of `visits` (who, and what they look like), in the order in which they
/// begin, at every threshold that makes a difference.
pub(super) fn best(visits: &[(u32, Option<Vec<f32>>)]) -> Best {
    let looks: Vec<&[f32]> = visits
        .iter()
        .filter_map(|(_, look)| look.as_deref())
        .collect();
    let mut thresholds: Vec<f32> = (0..looks.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .map(|(i, j)| similarity(looks[i], looks[j]))
        .collect();
    // Above everything: no person is recognised.
    thresholds.push(1.1);
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let at = |threshold: f32| Best {
        threshold,
        scored: score(&recognise(visits, threshold), &mut Owners::new()),
    };
    let worth = |best: &Best| {
        let tally = Tally::of(&best.scored);
        (tally.right(), usize::MAX - tally.false_matches)
    };
    // From the highest down; a lower one has to be better.
    let all = thresholds.into_iter().map(at);
    all.reduce(|best, other| match worth(&other) > worth(&best) {
        true => other,
        false => best,
    })
    .expect("there is a threshold above everything")
}

/// Gives each visit the name of the most similar one before it, or a new name.
fn recognise(visits: &[(u32, Option<Vec<f32>>)], threshold: f32) -> Vec<Decided> {
    let mut known: Vec<(&[f32], String)> = Vec::new();
    let mut decided = Vec::with_capacity(visits.len());
    for (person, look) in visits {
        let (mut names, mut made) = (Vec::new(), Vec::new());
        if let Some(look) = look {
            let nearest = (known.iter())
                .map(|(other, name)| (similarity(look, other), name))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            match nearest {
                Some((similarity, name)) if similarity >= threshold => names.push(name.clone()),
                _ => {
                    made.push(format!("colours {}", known.len() + 1));
                    names.clone_from(&made);
                }
            }
            known.push((look, names[0].clone()));
        }
        decided.push(Decided {
            person: *person,
            names,
            made,
        });
    }
    decided
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look in a plane, at so many degrees.
    fn at(degrees: f32) -> Option<Vec<f32>> {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        Some(vec![cosine, sine])
    }

    #[test]
    fn the_best_threshold_is_found_with_hindsight() {
        // 1 and 2 are 10 degrees apart from themselves and far from each other.
        let apart = [(1, at(0.0)), (2, at(60.0)), (1, at(10.0)), (2, at(70.0))];
        let found = best(&apart);
        assert_eq!(Tally::of(&found.scored).right(), 4);
        assert!((found.threshold - 10.0_f32.to_radians().cos()).abs() < 1e-5);

        // Two in the same clothes: to find one's return is to take the other for them.
        let alike = [(1, at(0.0)), (2, at(5.0)), (1, at(10.0)), (2, at(20.0))];
        let found = best(&alike);
        let tally = Tally::of(&found.scored);
        assert_eq!((tally.right(), tally.false_matches), (2, 0), "{found:?}");
        assert_eq!(found.threshold, 1.1);
    }

    #[test]
    fn a_visit_without_a_crop_is_not_decided() {
        let visits = [(1, at(0.0)), (2, None), (1, at(1.0)), (2, None)];
        let tally = Tally::of(&best(&visits).scored);
        assert_eq!((tally.returns, tally.found, tally.enrolled), (2, 1, 1));
        assert_eq!(Tally::of(&best(&[]).scored), Tally::default());
    }

    #[test]
    fn a_look_is_the_mean_of_its_crops() {
        let crop = |at: usize| {
            let mut crop = vec![0.0; stripes::DIM];
            crop[at] = 1.0;
            crop
        };
        let look = look(&[crop(0), crop(1)]).unwrap();
        assert!((look[0] - 0.5_f32.sqrt()).abs() < 1e-6 && look[0] == look[1]);
        assert_eq!(super::look(&[]), None);
    }
}
