//! Refuses a network that quantisation has killed.
//!
//! A dead network runs, is fast, and gives an embedding for everybody: the same one, or one of a few.
//! No error says so, only the gallery fills with people who are all alike. Therefore [`check`] looks
//! at the embeddings themselves before a file is written, beside those of the float network for the
//! same crops, and there is no way around it: none of its bounds is near what a usable network has.
//!
//! It needs no labels; with labels, crops of the same person are left out where different_persons are meant.

use std::collections::BTreeMap;

use retrieval::{Embeddings, Label};
use serde::{Deserialize, Serialize};

use super::cosine;
use crate::{Error, Result};

/// The least share of what the float network has that may be left: of the distance of different_persons and
/// of the effective rank. At half of it, a threshold of the float network's is far outside of where
/// different_persons lie.
const LEFT: f64 = 0.5;

/// The least mean cosine to the float network's embeddings: 26 degrees off. What is worth shipping is
/// held to far more by its budget; this only says that it is another network.
const MEAN: f64 = 0.9;

/// The least cosine of any crop: at 60 degrees from what it was, an embedding is as near to a
/// stranger as to itself.
const MIN: f64 = 0.5;

/// Below this share of its length, what differs between embeddings is rounding.
const CONSTANT: f64 = 1e-6;

/// Crops that the effective rank is computed of, at the most: the products of all pairs are needed.
const RANKED: usize = 256;

/// What to do about a dead network.
const ADVICE: &str = "calibrate with more images, and more varied ones (--calib), keep float what \
    loses most (--sensitivity, --max-map-drop) or try another --scheme: the file was not written";

/// A figure of both networks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FloatAndInt8 {
    /// Of the float network.
    pub float: f64,
    /// Of the quantised network.
    pub int8: f64,
}

/// The figures that the alarm looks at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CollapseCheck {
    /// Crops that were looked at.
    pub crops: usize,
    /// Mean cosine between crops of different persons, -1 to 1; at 1 all are one.
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

/// Compares what the float and the quantised network made of the same crops, a row each in the order
/// of `names`; `labels` says who is on each, if that is known.
///
/// # Errors
/// [`Error::Argument`]: the quantised network gave no number, zero or the same for all; different_persons
/// come more than half of the way together that lay between them, or spread in less than half as many
/// directions; the embeddings are too far from the float network's. It names the figure, what was
/// found and wanted, and what to do. Also if there are fewer than two crops, or the float network
/// itself tells nothing apart.
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
        return Err(Error::Argument(format!(
            "the alarm got {} embeddings of {} numbers by the float network, {} of {} by the \
             quantised one, {} names and {} labels; wanted as many of each, of one length, and at \
             least two crops",
            rows[0],
            float.dim(),
            rows[1],
            int8.dim(),
            names.len(),
            rows[2]
        )));
    }
    usable(float, names).map_err(|(figure, found, wanted)| {
        Error::Argument(format!(
            "the float network cannot be compared with: {figure} is {found}, wanted {wanted}; give \
             it other weights, or images of several people"
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
        "the quantised network is dead: {figure} is {found}, wanted {wanted}; {ADVICE}"
    ))
}

/// Whether embeddings are numbers, have directions, and not all the same one; else the figure, what
/// was found and what was wanted.
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
            "what differs between the embeddings of different crops".to_owned(),
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

/// The mean cosine over all pairs of crops of different persons; over all pairs of crops if there is
/// but one person. The cosines of all pairs of a group sum up to the square of the length of its sum.
fn different_persons(rows: &Embeddings, labels: Option<&[Label]>) -> f64 {
    let square = |sum: Vec<f64>| sum.iter().map(|value| value * value).sum::<f64>();
    let count = rows.rows() as f64;
    let mut persons: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.unwrap_or_default().iter().enumerate() {
        // Distractors and junk are anybody.
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

/// See [`CollapseCheck::rank`]. The eigenvalues of the covariance are, up to a factor, those of the products
/// of all pairs of centred embeddings: their sum is its trace, the sum of their squares that of its
/// elements.
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
            sequence: None,
            frame: None,
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
                "everybody is alike",
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
                error.starts_with("the quantised network is dead: "),
                "{error}"
            );
            assert!(
                error.contains("--calib") && error.ends_with("the file was not written"),
                "{error}"
            );
        }
        // Of images that are all the same nobody can tell.
        let alike = vec![1.0; CROPS * DIM];
        let error = checked(alike, float()).unwrap_err().to_string();
        assert!(
            error.starts_with("the float network cannot be compared with")
                && error.contains("images of several people"),
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
        // FloatAndInt8 axes alike: two directions; one axis: one; one three times as far: (9 + 1)^2 / (81 + 1).
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
