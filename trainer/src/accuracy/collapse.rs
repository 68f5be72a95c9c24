//! Collapse check: refuses a quantised network whose embeddings no longer separate persons.
//!
//! A collapsed network runs without an error and gives all crops nearly the same embedding. [`check`]
//! compares its embeddings with those of the float network before a file is written. No option turns
//! it off; its bounds are far from the values of a usable network. Labels are optional: with them,
//! pairs of one person are left out of the mean cosine of different persons.

use std::collections::BTreeMap;

use retrieval::{Embeddings, Label};
use serde::{Deserialize, Serialize};

use super::cosine;
use crate::{Error, Result};

/// Least ratio to the float network, of the distance between different persons and of the effective
/// rank. At half the distance, a threshold of the float network no longer separates persons.
const LEFT: f64 = 0.5;

/// Least mean cosine to the float network's embeddings (26 degrees). A usable network is far above it.
const MEAN: f64 = 0.9;

/// Least cosine of any crop to its float embedding (60 degrees).
const MIN: f64 = 0.5;

/// Relative difference below which embeddings are equal up to rounding.
const CONSTANT: f64 = 1e-6;

/// Most crops for the effective rank, which needs the products of all pairs.
const RANKED: usize = 256;

/// Advice for a collapsed network.
const ADVICE: &str = "calibrate with more and more varied images (--calib), keep the most \
    sensitive layers float (--sensitivity, --max-map-drop) or try another --scheme: the file was not written";

/// A figure of both networks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FloatAndInt8 {
    /// Of the float network.
    pub float: f64,
    /// Of the quantised network.
    pub int8: f64,
}

/// The figures of the collapse check.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CollapseCheck {
    /// Crops compared.
    pub crops: usize,
    /// Mean cosine between crops of different persons, -1 to 1.
    pub different_persons: FloatAndInt8,
    /// Effective rank: how many directions the embeddings spread in, 1 or more. The participation
    /// ratio `(sum of v)^2 / sum of v^2` over the eigenvalues v of the covariance of the embeddings
    /// of length 1, on at most 256 crops from all over.
    pub rank: FloatAndInt8,
    /// Mean cosine between the two embeddings of a crop.
    pub cosine_mean: f64,
    /// The least.
    pub cosine_min: f64,
}

/// Compares the embeddings of the same crops by the float and by the quantised network, one row for
/// each of `names`; `labels` are optional.
///
/// # Errors
/// [`Error::Argument`] with the figure, its value and its bound: an embedding is not finite or zero, or
/// all are equal; different persons are less than half as far apart, or the effective rank is less than
/// half; a cosine to the float network is too low. Also with fewer than two crops, or if the embeddings
/// of the float network are unusable.
pub fn check(
    float: &Embeddings,
    int8: &Embeddings,
    names: &[String],
    labels: Option<&[Label]>,
) -> Result<CollapseCheck> {
    let rows = [
        float.rows(),
        int8.rows(),
        labels.map_or(names.len(), <[_]>::len),
    ];
    if names.len() < 2 || rows != [names.len(); 3] || float.dim() != int8.dim() {
        bail!(
            "the collapse check got {} embeddings of length {} of the float network, {} of length {} \
             of the quantised one, {} names and {} labels; wanted the same number and length of \
             each, and at least two crops",
            rows[0],
            float.dim(),
            rows[1],
            int8.dim(),
            names.len(),
            rows[2]
        );
    }
    usable(float, names).map_err(|(figure, found, wanted)| {
        Error::Argument(format!(
            "the embeddings of the float network are unusable: {figure} is {found}, wanted {wanted}; \
             use other weights, or images of several persons"
        ))
    })?;
    usable(int8, names).map_err(|(figure, found, wanted)| dead(&figure, &found, &wanted))?;

    let cosines: Vec<f64> = (0..names.len())
        .map(|row| cosine(float.row(row), int8.row(row)))
        .collect();
    let (worst, min) = (cosines.iter().copied().enumerate())
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
        .expect("there are two crops");
    let of = |figure: &dyn Fn(&Embeddings) -> f64| FloatAndInt8 {
        float: figure(float),
        int8: figure(int8),
    };
    let collapse = CollapseCheck {
        crops: names.len(),
        different_persons: of(&|rows| different_persons(rows, labels)),
        rank: of(&effective_rank),
        cosine_mean: cosines.iter().sum::<f64>() / names.len() as f64,
        cosine_min: min,
    };

    let most = 1.0 - LEFT * (1.0 - collapse.different_persons.float);
    if collapse.different_persons.int8 > most {
        return Err(dead(
            "the mean cosine of different persons",
            &format!("{:.4}", collapse.different_persons.int8),
            &format!(
                "at most {most:.4} (the float network has {:.4})",
                collapse.different_persons.float
            ),
        ));
    }
    let least = LEFT * collapse.rank.float;
    if collapse.rank.int8 < least {
        return Err(dead(
            "the effective rank of the embeddings",
            &format!("{:.2}", collapse.rank.int8),
            &format!(
                "at least {least:.2} (the float network has {:.2})",
                collapse.rank.float
            ),
        ));
    }
    if collapse.cosine_mean < MEAN {
        return Err(dead(
            "the mean cosine to the float network's embeddings",
            &format!("{:.4}", collapse.cosine_mean),
            &format!("at least {MEAN}"),
        ));
    }
    if collapse.cosine_min < MIN {
        return Err(dead(
            &format!(
                "the cosine to the float network's embedding of {}",
                names[worst]
            ),
            &format!("{:.4}", collapse.cosine_min),
            &format!("at least {MIN}"),
        ));
    }
    Ok(collapse)
}

fn dead(figure: &str, found: &str, wanted: &str) -> Error {
    Error::Argument(format!(
        "the quantised network has collapsed: {figure} is {found}, wanted {wanted}; {ADVICE}"
    ))
}

/// Checks that embeddings are finite, not zero and not all equal; else the figure, its value and what
/// is wanted.
fn usable(rows: &Embeddings, names: &[String]) -> Result<(), (String, String, String)> {
    let refuse =
        |figure: String, found: String, wanted: &str| Err((figure, found, wanted.to_owned()));
    for (row, name) in rows.as_slice().chunks_exact(rows.dim()).zip(names) {
        if let Some(at) = row.iter().position(|value| !value.is_finite()) {
            let figure = format!("number {at} of the embedding of {name}");
            return refuse(figure, row[at].to_string(), "a finite one");
        }
        if row.iter().all(|value| *value == 0.0) {
            let figure = format!("the embedding of {name}");
            return refuse(figure, "zero".to_owned(), "one with a direction");
        }
    }
    let mean = sum_of_units(rows, |_| true);
    let crops = rows.rows() as f64;
    let left = 1.0
        - mean
            .iter()
            .map(|value| (value / crops).powi(2))
            .sum::<f64>();
    if left < CONSTANT {
        return refuse(
            "the difference between the embeddings of different crops".to_owned(),
            format!("{left:.1e} of their square"),
            "more: they are all the same",
        );
    }
    Ok(())
}

/// The sum of some of the embeddings, each at length 1.
fn sum_of_units(rows: &Embeddings, of: impl Fn(usize) -> bool) -> Vec<f64> {
    let mut sum = vec![0.0; rows.dim()];
    for row in (0..rows.rows()).filter(|row| of(*row)) {
        for (sum, value) in sum.iter_mut().zip(unit(rows.row(row))) {
            *sum += value;
        }
    }
    sum
}

fn unit(row: &[f32]) -> impl Iterator<Item = f64> {
    let square: f64 = row.iter().map(|&value| f64::from(value).powi(2)).sum();
    let length = square.sqrt();
    row.iter().map(move |&value| f64::from(value) / length)
}

/// The mean cosine over all pairs of crops of different persons, or over all pairs if there is only one
/// person. The cosines of all pairs of a group add up to the squared length of the sum of its units.
fn different_persons(rows: &Embeddings, labels: Option<&[Label]>) -> f64 {
    let square = |sum: Vec<f64>| sum.iter().map(|value| value * value).sum::<f64>();
    let count = rows.rows() as f64;
    let mut persons: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.unwrap_or_default().iter().enumerate() {
        // Distractors and junk have no identity.
        if label.person > 0 {
            persons.entry(label.person).or_default().push(row);
        }
    }
    let known: usize = persons.values().map(Vec::len).sum();
    // A crop with itself is a pair of one.
    let alone = count - known as f64;
    let (mut same, mut pairs) = (alone, alone);
    for crops in persons.values() {
        same += square(sum_of_units(rows, |row| crops.binary_search(&row).is_ok()));
        pairs += (crops.len() as f64).powi(2);
    }
    let all = square(sum_of_units(rows, |_| true));
    if pairs == count * count {
        return (all - count) / (count * count - count);
    }
    (all - same) / (count * count - pairs)
}

/// See [`CollapseCheck::rank`]. Up to a factor, the eigenvalues are those of the Gram matrix of the
/// centred embeddings: their sum is its trace, the sum of their squares that of its elements.
fn effective_rank(rows: &Embeddings) -> f64 {
    let count = rows.rows().min(RANKED);
    let mut centred: Vec<Vec<f64>> = (0..count)
        .map(|number| unit(rows.row(number * rows.rows() / count)).collect())
        .collect();
    for at in 0..rows.dim() {
        let mean = centred.iter().map(|row| row[at]).sum::<f64>() / count as f64;
        for row in &mut centred {
            row[at] -= mean;
        }
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut trace, mut squares) = (0.0, 0.0);
    for (at, row) in centred.iter().enumerate() {
        let own = dot(row, row);
        trace += own;
        squares += own * own;
        for other in &centred[..at] {
            squares += 2.0 * dot(row, other).powi(2);
        }
    }
    // The chosen crops may be alike although all are not.
    if squares > 0.0 {
        trace * trace / squares
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use synth::random::Draw;

    const DIM: usize = 16;
    const CROPS: usize = 40;

    fn names() -> Vec<String> {
        (0..CROPS).map(|crop| format!("{crop:02}.jpg")).collect()
    }

    /// Four crops of each person.
    fn labels() -> Vec<Label> {
        let label = |crop: usize| Label {
            person: (crop / 4) as i32 + 1,
            camera: 1,
        };
        (0..CROPS).map(label).collect()
    }

    /// Persons all around, their crops near them.
    fn float() -> Vec<f32> {
        let mut draw = Draw::new(8, "alarm", &[]);
        let persons: Vec<f64> = (0..CROPS / 4 * DIM).map(|_| draw.normal()).collect();
        (0..CROPS * DIM)
            .map(|at| {
                let person = at / DIM / 4;
                (persons[person * DIM + at % DIM] + 0.2 * draw.normal()) as f32
            })
            .collect()
    }

    fn checked(float: Vec<f32>, int8: Vec<f32>) -> Result<CollapseCheck> {
        let [float, int8] = [float, int8].map(|rows| Embeddings::new(DIM, rows).unwrap());
        let found = check(&float, &int8, &names(), Some(&labels()));
        let blind = check(&float, &int8, &names(), None);
        assert_eq!(found.is_ok(), blind.is_ok(), "{found:?} {blind:?}");
        found
    }

    #[test]
    fn a_healthy_network_passes() {
        let mut draw = Draw::new(9, "noise", &[]);
        let mut noisy = float();
        for value in &mut noisy {
            *value += 0.15 * draw.normal() as f32;
        }
        // Lengths count for nothing.
        for value in &mut noisy[..DIM] {
            *value *= 100.0;
        }
        let collapse = checked(float(), noisy).unwrap();
        assert!(
            collapse.cosine_mean > 0.97 && collapse.cosine_min > 0.9,
            "{collapse:?}"
        );
        assert!(
            collapse.different_persons.float.abs() < 0.15,
            "{collapse:?}"
        );
        assert!((collapse.different_persons.float - collapse.different_persons.int8).abs() < 0.02);
        // Ten persons span nine directions around their mean.
        assert!((4.0..10.0).contains(&collapse.rank.float), "{collapse:?}");
        let same = checked(float(), float()).unwrap();
        assert!(same.cosine_min > 1.0 - 1e-12 && same.rank.float == same.rank.int8);
    }

    /// As of a network behind a ReLU that was never trained: crops hardly differ, in float as well.
    #[test]
    fn what_float_is_like_is_no_fault_of_the_quantiser() {
        let near = |noise: f64| -> Vec<f32> {
            let mut draw = Draw::new(3, "noise", &[]);
            let float = float().into_iter();
            float
                .map(|value| 1.0 + 0.01 * value + (noise * draw.normal()) as f32)
                .collect()
        };
        let collapse = checked(near(0.0), near(0.002)).unwrap();
        assert!(collapse.different_persons.float > 0.999, "{collapse:?}");
    }

    #[test]
    fn each_kind_of_death_is_named() {
        type Change = Box<dyn Fn(&mut [f32])>;
        struct Case(&'static str, Change, &'static str);
        let kill = |change: fn(&mut [f32], usize)| -> Change {
            Box::new(move |rows| {
                for (number, row) in rows.chunks_exact_mut(DIM).enumerate() {
                    change(row, number);
                }
            })
        };
        let cases = [
            Case(
                "no number",
                Box::new(|rows| rows[3 * DIM + 5] = f32::NAN),
                "number 5 of the embedding of 03.jpg is NaN, wanted a finite one",
            ),
            Case(
                "overflow",
                Box::new(|rows| rows[0] = f32::INFINITY),
                "number 0 of the embedding of 00.jpg is inf",
            ),
            Case(
                "zero",
                Box::new(|rows| rows[7 * DIM..8 * DIM].fill(0.0)),
                "the embedding of 07.jpg is zero",
            ),
            Case(
                "constant",
                kill(|row, number| row.fill(1.0 + number as f32)),
                "wanted more: they are all the same",
            ),
            Case(
                "all persons are alike",
                kill(|row, _| row.iter_mut().for_each(|value| *value += 3.0)),
                "the mean cosine of different persons is 0.9",
            ),
            Case(
                "few directions",
                kill(|row, _| row[2..].fill(0.0)),
                "the effective rank of the embeddings is ",
            ),
            Case(
                "all numbers are mixed up",
                kill(|row, _| row.rotate_left(1)),
                "the mean cosine to the float network's embeddings is ",
            ),
            Case(
                "one crop turned around",
                Box::new(|rows| {
                    for value in &mut rows[6 * DIM..7 * DIM] {
                        *value = -*value;
                    }
                }),
                "the cosine to the float network's embedding of 06.jpg is -1.0000, wanted at least 0.5",
            ),
        ];
        for Case(name, change, wanted) in cases {
            let mut int8 = float();
            change(&mut int8);
            let error = checked(float(), int8).expect_err(name).to_string();
            assert!(error.contains(wanted), "{name}: {error}");
            assert!(
                error.starts_with("the quantised network has collapsed: "),
                "{error}"
            );
            assert!(
                error.contains("--calib") && error.ends_with("the file was not written"),
                "{error}"
            );
        }
        // Equal images cannot be compared.
        let alike = vec![1.0; CROPS * DIM];
        let error = checked(alike, float()).unwrap_err().to_string();
        assert!(
            error.starts_with("the embeddings of the float network are unusable")
                && error.contains("images of several persons"),
            "{error}"
        );
    }

    #[test]
    fn figures_by_hand() {
        let rows = |of: &[f32]| Embeddings::new(2, of.to_vec()).unwrap();
        // Persons 1, 1, 2 at 0, 60 and 90 degrees: pairs of different_persons have 0 and sin 60.
        let half = 0.75f32.sqrt();
        let three = rows(&[1.0, 0.0, 0.5, half, 0.0, 2.0]);
        let labels: Vec<Label> = (labels().into_iter().take(3))
            .zip([1, 1, 2])
            .map(|(label, person)| Label { person, ..label })
            .collect();
        let found = different_persons(&three, Some(&labels));
        assert!((found - f64::from(half) / 2.0).abs() < 1e-7, "{found}");
        let all = different_persons(&three, None);
        assert!((all - (0.5 + f64::from(half)) / 3.0).abs() < 1e-7, "{all}");
        let alone = different_persons(
            &three,
            Some(&labels.iter().map(|_| labels[0]).collect::<Vec<_>>()),
        );
        assert_eq!(alone, all, "one person only");
        // Both axes alike: two directions; one axis: one; one three times as far: (9 + 1)^2 / (81 + 1).
        let cross = rows(&[1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
        assert!((effective_rank(&cross) - 2.0).abs() < 1e-12);
        let line = rows(&[1.0, 0.0, -1.0, 0.0]);
        assert!((effective_rank(&line) - 1.0).abs() < 1e-12);
        // cos 53.13 = .6: points (.6, .8) and its mirror images, deviations .36 and .64.
        let corners = rows(&[0.6, 0.8, -0.6, 0.8, 0.6, -0.8, -0.6, -0.8]);
        let wanted = 1.0 / (0.36f64.powi(2) + 0.64f64.powi(2));
        assert!((effective_rank(&corners) - wanted).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let rows = |of: usize| Embeddings::new(2, vec![1.0; 2 * of]).unwrap();
        let names = names();
        for (float, int8, crops) in [(1, 1, 1), (3, 2, 3), (3, 3, 2), (0, 0, 0)] {
            let error = check(&rows(float), &rows(int8), &names[..crops], None).unwrap_err();
            assert!(error.to_string().contains("at least two crops"), "{error}");
        }
    }
}
