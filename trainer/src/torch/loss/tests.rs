//! Every loss against its formula, written down once more in plain f64, on random features; and
//! its gradient against differences of the loss.

use super::*;
use synth::random::Draw;

/// Features `[N, C]`, labels and centres of a batch.
struct Batch {
    features: Vec<Vec<f64>>,
    labels: Vec<usize>,
    centres: Vec<Vec<f64>>,
}

const CLASSES: usize = 5;

/// The i-th random batch: 3 persons of 4 images, 7 numbers each.
fn batch(i: u64) -> Batch {
    let mut draw = Draw::new(i, "loss", &[]);
    let mut rows = |n: usize| -> Vec<Vec<f64>> {
        let row = |draw: &mut Draw| (0..7).map(|_| f64::from(draw.normal() as f32)).collect();
        (0..n).map(|_| row(&mut draw)).collect()
    };
    Batch {
        features: rows(12),
        labels: [0, 0, 0, 0, 3, 3, 3, 3, 4, 4, 4, 4].to_vec(),
        centres: rows(CLASSES),
    }
}

fn tensor(rows: &[Vec<f64>]) -> Tensor {
    let flat: Vec<f32> = rows.iter().flatten().map(|&v| v as f32).collect();
    Tensor::from_slice(&flat).reshape([rows.len() as i64, -1])
}

fn labels(batch: &Batch) -> Tensor {
    let labels: Vec<i64> = batch.labels.iter().map(|&l| l as i64).collect();
    Tensor::from_slice(&labels)
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let squared: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
    squared.max(1e-12).sqrt()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|l| l.exp()).sum();
    logits.iter().map(|l| l.exp() / sum).collect()
}

/// Equation 3 of Luo et al.: `q_i = 1 - (K - 1) / K * e` for the right class, `e / K` for others.
fn smoothed(batch: &Batch, epsilon: f64) -> f64 {
    let k = batch.features[0].len() as f64;
    mean(
        batch
            .features
            .iter()
            .zip(&batch.labels)
            .map(|(row, &right)| {
                let p = softmax(row);
                let q = |i| {
                    if i == right {
                        1.0 - (k - 1.0) / k * epsilon
                    } else {
                        epsilon / k
                    }
                };
                -(0..p.len()).map(|i| q(i) * p[i].ln()).sum::<f64>()
            }),
    )
}

/// Hermans et al., equation 5: the farthest image of the same person, the nearest of another.
fn hardest(batch: &Batch, loss: impl Fn(f64) -> f64) -> f64 {
    let pairs = || batch.features.iter().zip(&batch.labels);
    mean(pairs().map(|(a, anchor)| {
        let positive = pairs()
            .filter(|(_, l)| *l == anchor)
            .map(|(b, _)| distance(a, b));
        let negative = pairs()
            .filter(|(_, l)| *l != anchor)
            .map(|(b, _)| distance(a, b));
        loss(positive.fold(0.0, f64::max) - negative.fold(f64::INFINITY, f64::min))
    }))
}

/// Sun et al., equation 6 with the relaxations `O_p = 1 + m`, `O_n = -m`, `D_p = 1 - m`, `D_n = m`.
fn circled(batch: &Batch, m: f64, gamma: f64, anchor_at: Option<&Batch>) -> f64 {
    let n = batch.features.len();
    // The weights alpha are constants for the gradient: taken from the batch they are fixed at.
    let fixed = anchor_at.unwrap_or(batch);
    mean((0..n).map(|a| {
        let (mut positive, mut negative) = (0.0, 0.0);
        for b in (0..n).filter(|&b| b != a) {
            let s = cosine(&batch.features[a], &batch.features[b]);
            let s_fixed = cosine(&fixed.features[a], &fixed.features[b]);
            if batch.labels[a] == batch.labels[b] {
                let alpha = (1.0 + m - s_fixed).max(0.0);
                positive += (-gamma * alpha * (s - (1.0 - m))).exp();
            } else {
                let alpha = (s_fixed + m).max(0.0);
                negative += (gamma * alpha * (s - m)).exp();
            }
        }
        (1.0 + positive * negative).ln()
    }))
}

fn divergence(student: &[Vec<f64>], teacher: &[Vec<f64>], t: f64) -> f64 {
    t * t
        * mean(student.iter().zip(teacher).map(|(s, q)| {
            let soft = |row: &[f64]| softmax(&row.iter().map(|v| v / t).collect::<Vec<_>>());
            let (p, q) = (soft(s), soft(q));
            p.iter().zip(&q).map(|(p, q)| q * (q / p).ln()).sum::<f64>()
        }))
}

type OnTorch = Box<dyn Fn(&Tensor, &Batch) -> Result<Tensor>>;
type Plain = Box<dyn Fn(&Batch, &Batch) -> f64>;

/// Name, the loss of features, the same from its formula (given the batch that constants of the
/// gradient are taken from).
fn losses() -> Vec<(&'static str, OnTorch, Plain)> {
    vec![
        (
            "cross-entropy",
            Box::new(|x, b| cross_entropy(x, &labels(b), 0.0)),
            Box::new(|b, _| smoothed(b, 0.0)),
        ),
        (
            "smoothed cross-entropy",
            Box::new(|x, b| cross_entropy(x, &labels(b), 0.1)),
            Box::new(|b, _| smoothed(b, 0.1)),
        ),
        (
            "triplet, margin .3",
            Box::new(|x, b| triplet(x, &labels(b), Margin::Hard(0.3))),
            Box::new(|b, _| hardest(b, |gap| (gap + 0.3).max(0.0))),
        ),
        (
            "triplet, soft margin",
            Box::new(|x, b| triplet(x, &labels(b), Margin::Soft)),
            Box::new(|b, _| hardest(b, |gap| (1.0 + gap.exp()).ln())),
        ),
        (
            "centre",
            Box::new(|x, b| centre(x, &labels(b), &tensor(&b.centres))),
            Box::new(|b, _| {
                let own = |l: usize| &b.centres[l];
                mean(
                    b.features
                        .iter()
                        .zip(&b.labels)
                        .map(|(x, &l)| distance(x, own(l)).powi(2)),
                )
            }),
        ),
        (
            "circle",
            Box::new(|x, b| circle(x, &labels(b), 0.25, 8.0)),
            Box::new(|b, fixed| circled(b, 0.25, 8.0, Some(fixed))),
        ),
        (
            "distilled logits",
            Box::new(|x, _| distil_logits(x, &tensor(&batch(99).features), 3.0)),
            Box::new(|b, _| divergence(&b.features, &batch(99).features, 3.0)),
        ),
        (
            "distilled features",
            Box::new(|x, _| distil_features(x, &tensor(&batch(99).features))),
            Box::new(|b, _| {
                let teacher = batch(99).features;
                mean(
                    b.features
                        .iter()
                        .zip(&teacher)
                        .map(|(a, b)| 1.0 - cosine(a, b)),
                )
            }),
        ),
    ]
}

#[test]
fn losses_and_gradients_follow_their_formulas() {
    for (name, on_torch, plain) in losses() {
        for i in 0..8 {
            let mut batch = batch(i);
            let at = self::batch(i);
            let x = tensor(&batch.features).set_requires_grad(true);
            let loss = on_torch(&x, &batch).unwrap();
            let (found, wanted) = (loss.double_value(&[]), plain(&batch, &at));
            assert!(
                (found - wanted).abs() <= 2e-6 * wanted.abs().max(1.0),
                "{name}, batch {i}: {found}, wanted {wanted}"
            );
            loss.backward();
            let gradient = x.grad();
            for (row, column) in [(0, 0), (3, 6), (5, 2), (11, 4)] {
                // Small enough not to change which pair is the hardest.
                let step = 1e-5;
                let mut moved = |by: f64| {
                    batch.features[row][column] = at.features[row][column] + by;
                    let value = plain(&batch, &at);
                    batch.features[row][column] = at.features[row][column];
                    value
                };
                let wanted = (moved(step) - moved(-step)) / (2.0 * step);
                let found = gradient.double_value(&[row as i64, column as i64]);
                assert!(
                    (found - wanted).abs() <= 1e-5 * wanted.abs().max(1.0),
                    "{name}, batch {i}, d/dx[{row}][{column}]: {found}, wanted {wanted}"
                );
            }
        }
    }
}

/// Numbers that can be worked out by hand.
#[test]
fn known_values() {
    let one = |v: &[f32], shape: [i64; 2]| Tensor::from_slice(v).reshape(shape);
    // Two classes, equal logits: ln 2, whatever the smoothing.
    let flat = one(&[0.0, 0.0], [1, 2]);
    let first = Tensor::from_slice(&[0i64]);
    for smoothing in [0.0, 0.1, 1.0] {
        let loss = cross_entropy(&flat, &first, smoothing).unwrap();
        assert!((loss.double_value(&[]) - 2f64.ln()).abs() < 1e-7);
    }
    // On a line at 0 and 1 (one person), 3 and 7 (another): gaps 1-3, 1-2, 4-2, 4-6.
    let line = one(&[0.0, 1.0, 3.0, 7.0], [4, 1]);
    let people = Tensor::from_slice(&[0i64, 0, 1, 1]);
    let loss = triplet(&line, &people, Margin::Hard(0.5)).unwrap();
    assert!((loss.double_value(&[]) - 2.5 / 4.0).abs() < 1e-6);
    // Centres at 1 and 5: 1 + 0 + 4 + 4 over four images.
    let centres = one(&[1.0, 5.0], [2, 1]);
    let loss = centre(&line, &people, &centres).unwrap();
    assert!((loss.double_value(&[]) - 9.0 / 4.0).abs() < 1e-6);
}

#[test]
fn labels_outside_are_errors() {
    let x = Tensor::zeros([2, 3], (Kind::Float, tch::Device::Cpu));
    let wrong = Tensor::from_slice(&[0i64, 3]);
    assert!(cross_entropy(&x, &wrong, 0.1).is_err());
    assert!(centre(&x, &wrong, &x).is_err());
    assert!(distil_logits(&x, &x.slice(1, 0, 2, 1), 1.0).is_err());
}
