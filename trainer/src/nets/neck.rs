//! From the feature map to `f_t`, `f_i` and `logits`: pooling, embedding, neck and classifier, for the
//! whole image or for each part.
//!
//! ```text
//! map - pooling -+- f_t
//!                +- [embedding] - neck -+- f_i
//!                                       +- classifier - logits
//! ```
//!
//! Without a neck, and after the neck `fc`, `f_t` is `f_i`. Parameters: `pool.p`, `embedding`,
//! `bottleneck`, `fc.0`, `fc.1`, `classifier`; with parts `parts.0.bottleneck` and so on.
//!
//! Sources: `modeling/baseline.py` of the paper's code; `fastreid/layers/pooling.py` for GeM; Sun et
//! al. 2018 (PCB) for parts, whose 1 x 1 convolution is the embedding here, after the pooling.

use network::graph::{Binary, Op, Unary, ValueId};

use super::builder::Builder;
use super::init::Init;
use super::{Neck, ParamRole, Pooling, Spec};
use crate::Result;

/// Lower limit of the input of GeM, as in fast-reid.
const GEM_FLOOR: f32 = 1e-6;

/// The outputs for the image or for one part.
struct Branch {
    f_t: ValueId,
    f_i: ValueId,
    logits: ValueId,
}

/// Adds everything behind the feature map `x`, outputs included.
pub(super) fn build(b: &mut Builder, spec: &Spec, classes: usize, x: ValueId) -> Result<()> {
    if spec.parts == 1 {
        let pooled = pool(b, spec, &[x])?[0];
        return head(b, spec, classes, pooled);
    }
    let height = b.size(x)[0] / spec.parts;
    let mut stripes = Vec::new();
    for i in 0..spec.parts {
        let stripe = Op::Slice {
            axis: 2,
            start: i * height,
            end: (i + 1) * height,
            step: 1,
        };
        stripes.push(b.push(&format!("parts.{i}.stripe"), stripe, &[x.into()])?);
    }
    let mut branches = Vec::new();
    for (i, pooled) in pool(b, spec, &stripes)?.into_iter().enumerate() {
        branches.push(branch(b, spec, classes, &format!("parts.{i}."), pooled)?);
    }
    let f_t: Vec<_> = branches.iter().map(|branch| branch.f_t.into()).collect();
    let f_i: Vec<_> = branches.iter().map(|branch| branch.f_i.into()).collect();
    for (name, all) in [("f_t", f_t), ("f_i", f_i)] {
        let joined = b.push(name, Op::Concat { axis: 1 }, &all)?;
        b.output(name, joined);
    }
    for (i, branch) in branches.iter().enumerate() {
        b.output(format!("logits.{i}"), branch.logits);
    }
    Ok(())
}

/// Adds embedding, neck, classifier and the outputs behind a pooled feature.
pub(super) fn head(b: &mut Builder, spec: &Spec, classes: usize, pooled: ValueId) -> Result<()> {
    let Branch { f_t, f_i, logits } = branch(b, spec, classes, "", pooled)?;
    for (name, value) in [("f_t", f_t), ("f_i", f_i), ("logits", logits)] {
        b.output(name, value);
    }
    Ok(())
}

/// Each feature map as one number a channel, `[N, C]`.
fn pool(b: &mut Builder, spec: &Spec, maps: &[ValueId]) -> Result<Vec<ValueId>> {
    // Generalised mean: mean(x^p)^(1/p), with one p for all.
    let exponent = match spec.pooling {
        Pooling::Avg => None,
        Pooling::Gem => {
            let p = b.param("pool.p".to_owned(), &[1], Init::All(3.0))?;
            b.set_role(p, ParamRole::Trained);
            let reciprocal = Op::Unary(Unary::Reciprocal);
            Some((p, b.push("pool.reciprocal", reciprocal, &[p.into()])?))
        }
    };
    let mut pooled = Vec::new();
    for (i, &map) in maps.iter().enumerate() {
        let prefix = match maps {
            [_] => "pool".to_owned(),
            _ => format!("parts.{i}.pool"),
        };
        let power = Op::Binary(Binary::Pow);
        let x = match exponent {
            None => b.global_average(&prefix, map)?,
            Some((p, reciprocal)) => {
                let floor = Unary::Clip {
                    min: GEM_FLOOR,
                    max: f32::INFINITY,
                };
                let x = b.unary(&format!("{prefix}.clamp"), floor, map)?;
                let x = b.push(
                    &format!("{prefix}.pow"),
                    power.clone(),
                    &[x.into(), p.into()],
                )?;
                let x = b.global_average(&format!("{prefix}.mean"), x)?;
                b.push(
                    &format!("{prefix}.root"),
                    power,
                    &[x.into(), reciprocal.into()],
                )?
            }
        };
        pooled.push(b.push(
            &format!("{prefix}.flat"),
            Op::Flatten { axis: 1 },
            &[x.into()],
        )?);
    }
    Ok(pooled)
}

/// Embedding, neck and classifier of one pooled feature.
fn branch(
    b: &mut Builder,
    spec: &Spec,
    classes: usize,
    prefix: &str,
    pooled: ValueId,
) -> Result<Branch> {
    let named = |layer: &str| format!("{prefix}{layer}");
    let zero = Some(Init::All(0.0));
    let mut x = pooled;
    if spec.dim > 0 && spec.neck != Neck::Fc {
        x = b.linear(&named("embedding"), x, spec.dim, Init::FanOut, zero)?;
    }
    let (f_t, f_i, weight, bias) = match spec.neck {
        Neck::None => (
            x,
            x,
            Init::Torch(None),
            Some(Init::Torch(Some(b.channels(x)))),
        ),
        Neck::Bnneck => {
            let channels = b.channels(x);
            let y = b.batch_norm(&named("bottleneck"), x)?;
            let bias = b.param(named("bottleneck.bias"), &[channels], Init::All(0.0))?;
            b.set_role(bias, ParamRole::Frozen);
            (pooled, y, Init::Normal(0.001), None)
        }
        Neck::Fc => {
            let y = b.linear(&named("fc.0"), x, spec.dim, Init::Normal(0.01), zero)?;
            let y = b.batch_norm(&named("fc.1"), y)?;
            let y = b.relu(&named("fc.2"), y)?;
            (y, y, Init::Normal(0.01), zero)
        }
    };
    let logits = b.linear(&named("classifier"), f_i, classes, weight, bias)?;
    Ok(Branch { f_t, f_i, logits })
}
