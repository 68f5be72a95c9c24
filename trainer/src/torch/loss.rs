//! The losses of the strong baseline and their alternatives.
//!
//! Each function returns a differentiable scalar. Features are f32 `[N, C]` (or f64), labels i64 `[N]`.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Result;

/// Cross-entropy against labels of which `smoothing` is spread over all classes: `q = 1 - e + e / K`
/// for the right one of K, `e / K` for the others (Szegedy et al., 2016; equation 3 of Luo et al.
/// has `1 - (K - 1) / K * e`, which is the same). Mean over the batch.
///
/// # Errors
/// If a label is none of the classes, or libtorch has no memory.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<Tensor> {
    let log_p = logits.f_log_softmax(1, logits.kind())?;
    let right = log_p.f_gather(1, &labels.f_unsqueeze(1)?, false)?;
    let right = mean(&right)?.f_neg()?;
    if smoothing == 0.0 {
        return Ok(right);
    }
    let all = mean(&log_p)?.f_neg()?;
    Ok((right.f_mul_scalar(1.0 - smoothing)?).f_add(&all.f_mul_scalar(smoothing)?)?)
}

/// How the triplet loss asks for a distance between the farthest image of the same person and the
/// nearest of another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Margin {
    /// `max(0, d_p - d_n + margin)`.
    Hard(f64),
    /// `ln(1 + exp(d_p - d_n))` (Hermans et al., 2017).
    Soft,
}

/// Batch-hard triplet loss (Hermans et al., "In Defense of the Triplet Loss", 2017) on Euclidean
/// distances of features as they are. Mean over the batch.
///
/// # Errors
/// If libtorch has no memory.
pub fn triplet(features: &Tensor, labels: &Tensor, margin: Margin) -> Result<Tensor> {
    let distances = euclidean(features)?;
    let same = same_person(labels)?;
    let (positive, _) = distances
        .f_masked_fill(&same.f_logical_not()?, f64::NEG_INFINITY)?
        .f_max_dim(1, false)?;
    let (negative, _) = distances
        .f_masked_fill(&same, f64::INFINITY)?
        .f_min_dim(1, false)?;
    let gap = positive.f_sub(&negative)?;
    let loss = match margin {
        Margin::Hard(margin) => gap.f_add_scalar(margin)?.f_relu()?,
        Margin::Soft => gap.f_softplus()?,
    };
    mean(&loss)
}

/// Euclidean distances of all pairs, `[N, N]`, as the official code computes them: the square root
/// of `|a|^2 + |b|^2 - 2 a b`, of at least 1e-12, so that its gradient stays finite.
fn euclidean(features: &Tensor) -> Result<Tensor> {
    let squares = row_sums(&features.f_square()?)?.f_unsqueeze(1)?;
    let products = features.f_matmul(&features.f_tr()?)?;
    let squared = squares
        .f_add(&squares.f_tr()?)?
        .f_sub(&products.f_mul_scalar(2.0)?)?;
    Ok(squared.f_clamp_min(1e-12)?.f_sqrt()?)
}

/// Whether two images show the same person, `[N, N]`.
fn same_person(labels: &Tensor) -> Result<Tensor> {
    Ok(labels
        .f_unsqueeze(0)?
        .f_eq_tensor(&labels.f_unsqueeze(1)?)?)
}

/// Centre loss (Wen et al., 2016): squared distance of each feature from the centre of its person,
/// `centres` being `[classes, C]`. Mean over the batch, without the factor 1/2 of the paper, as the
/// official code has it.
///
/// # Errors
/// If a label has no centre, or libtorch has no memory.
pub fn centre(features: &Tensor, labels: &Tensor, centres: &Tensor) -> Result<Tensor> {
    let own = centres.f_index_select(0, labels)?;
    let squared = features.f_sub(&own)?.f_square()?;
    let distances = row_sums(&squared)?;
    mean(&distances.f_clamp(1e-12, 1e12)?)
}

/// Circle loss (Sun et al., 2020) on pairs within the batch: cosine similarities, relaxed by
/// `margin` (0.25 in the paper), scaled by `gamma` (64 or 128). Mean over the batch.
///
/// # Errors
/// If libtorch has no memory.
pub fn circle(features: &Tensor, labels: &Tensor, margin: f64, gamma: f64) -> Result<Tensor> {
    let unit = normalised(features)?;
    let similarity = unit.f_matmul(&unit.f_tr()?)?;
    let same = same_person(labels)?;
    let itself = Tensor::f_eye(features.size()[0], (Kind::Bool, features.device()))?;
    let positive = same.f_logical_and(&itself.f_logical_not()?)?;

    let fixed = similarity.f_detach()?;
    let alpha_p = (fixed.f_neg()?.f_add_scalar(1.0 + margin)?).f_relu()?;
    let alpha_n = fixed.f_add_scalar(margin)?.f_relu()?;
    let logit_p = similarity
        .f_sub_scalar(1.0 - margin)?
        .f_mul(&alpha_p)?
        .f_mul_scalar(-gamma)?;
    let logit_n = similarity
        .f_sub_scalar(margin)?
        .f_mul(&alpha_n)?
        .f_mul_scalar(gamma)?;
    let over = |logits: &Tensor, wanted: &Tensor| -> Result<Tensor> {
        let left_out = wanted.f_logical_not()?;
        // Far below every logit, yet finite: an image without a positive has no loss, not NaN.
        let logits = logits.f_masked_fill(&left_out, -1e8)?;
        Ok(logits.f_logsumexp([1i64].as_slice(), false)?)
    };
    let sum = over(&logit_p, &positive)?.f_add(&over(&logit_n, &same.f_logical_not()?)?)?;
    mean(&sum.f_softplus()?)
}

/// What a student's classifier has to learn from its teacher's: the Kullback-Leibler divergence of
/// their softened answers, times the square of the temperature (Hinton et al., 2015). Mean over the
/// batch.
///
/// # Errors
/// If the two have different classes, or libtorch has no memory.
pub fn distil_logits(student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
    let soften = |logits: &Tensor| -> Result<Tensor> {
        Ok(logits
            .f_div_scalar(temperature)?
            .f_log_softmax(1, logits.kind())?)
    };
    let (student, teacher) = (soften(student)?, soften(&teacher.f_detach()?)?);
    let divergence = teacher.f_exp()?.f_mul(&teacher.f_sub(&student)?)?;
    let sums = row_sums(&divergence)?;
    Ok(mean(&sums)?.f_mul_scalar(temperature * temperature)?)
}

/// One minus the cosine between the student's and the teacher's features. Mean over the batch.
///
/// # Errors
/// If the two have different lengths, or libtorch has no memory.
pub fn distil_features(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let cosine = row_sums(&normalised(student)?.f_mul(&normalised(&teacher.f_detach()?)?)?)?;
    Ok(mean(&cosine)?.f_neg()?.f_add_scalar(1.0)?)
}

fn mean(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_mean(x.kind())?)
}

/// The sum of each row.
fn row_sums(x: &Tensor) -> Result<Tensor> {
    Ok(x.f_sum_dim_intlist([1i64].as_slice(), false, x.kind())?)
}

/// Rows of length 1.
fn normalised(features: &Tensor) -> Result<Tensor> {
    let lengths = features.f_norm_scalaropt_dim(2.0, [1i64].as_slice(), true)?;
    Ok(features.f_div(&lengths.f_clamp_min(1e-12)?)?)
}

#[cfg(test)]
mod tests;
