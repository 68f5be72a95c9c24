//! Copies tensors of a file into a network, and reports what happened to each of them.

use std::collections::BTreeMap;

use network::graph::ParamId;
use network::tensor::{DType, Tensor};
use serde::Serialize;

use super::deduce::embeds;
use super::names::{COUNTS, NamePlace, Naming, harmless, is_head};
use crate::nets::{Net, ParamRole};
use crate::weights::WeightFile;
use crate::{Error, Result};

/// What happened to every tensor of a file and every parameter of the network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Tensors that were copied into the network.
    pub used: Vec<UsedTensor>,
    /// Tensors that the network does not need: classifiers of others, state of a training.
    pub ignored: Vec<UnusedTensor>,
    /// Trained tensors without a parameter in the network, so that its embeddings may differ from those
    /// of the trained network.
    pub dropped: Vec<UnusedTensor>,
    /// Parameters that the file does not contain, unchanged.
    pub fresh: Vec<MissingParam>,
}

/// A tensor that was copied into the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsedTensor {
    /// Its name in the file.
    pub theirs: String,
    /// The parameter.
    pub ours: String,
}

/// A tensor without a parameter in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnusedTensor {
    /// Its name in the file.
    pub name: String,
    /// Why.
    pub reason: String,
    /// Whether its name is one of the backbone.
    #[serde(skip)]
    pub of_backbone: bool,
}

/// A parameter that the file does not contain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingParam {
    /// Its name in the network.
    pub ours: String,
    /// Why.
    pub reason: String,
}

impl ImportReport {
    /// Unused tensors as text: names by reason.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        let ignored = self.ignored.iter().map(|i| (false, &i.reason, &i.name));
        let dropped = self.dropped.iter().map(|d| (true, &d.reason, &d.name));
        let mut reasons: BTreeMap<(bool, &str), Vec<&str>> = BTreeMap::new();
        for (dropped, reason, name) in ignored.chain(dropped) {
            reasons.entry((dropped, reason)).or_default().push(name);
        }
        let lines = reasons.into_iter().map(|((dropped, reason), names)| {
            let what = if dropped { "dropped" } else { "not needed" };
            let names = match names[..] {
                [one] => format!("`{one}`"),
                [first, ..] if first.ends_with(COUNTS) => {
                    format!("{} tensors `...{COUNTS}`", names.len())
                }
                _ => format!("`{}`", names.join("`, `")),
            };
            format!("{what}: {names} ({reason})")
        });
        lines.collect()
    }
}

/// Copies `weights` into `net` by `naming`. Classifiers for other persons and missing heads are
/// reported and left; the backbone has to fit as a whole. Tensors without a parameter are in
/// [`ImportReport::ignored`] and [`ImportReport::dropped`].
///
/// # Errors
/// [`Error::Parameter`] with the first tensor that does not fit, both names and both shapes, and
/// how many more there are. The network is then as it was.
pub fn assign(net: &mut Net, naming: &Naming, weights: &WeightFile) -> Result<ImportReport> {
    let params: BTreeMap<String, ParamId> = (net.graph().param_ids())
        .map(|(id, param)| (param.name.clone(), id))
        .collect();
    let embeds = embeds(naming, weights);
    let mut report = ImportReport::default();
    let mut problems: Vec<(String, String)> = Vec::new();
    let mut taken: BTreeMap<ParamId, (&str, Tensor)> = BTreeMap::new();
    // Parameters for which the file has something else.
    let mut unfit: BTreeMap<&str, String> = BTreeMap::new();

    for (theirs, tensor) in &weights.tensors {
        let mut ignore = |reason: String| {
            report.ignored.push(UnusedTensor {
                name: theirs.clone(),
                reason,
                of_backbone: false,
            });
        };
        let ours = match naming.place(theirs, embeds) {
            NamePlace::Ignored(reason) => {
                ignore(reason.to_owned());
                continue;
            }
            NamePlace::Ours(ours) => Some(ours),
            NamePlace::None => None,
        };
        let Some((ours, &id)) = ours.as_ref().and_then(|ours| params.get_key_value(ours)) else {
            match harmless(weights, theirs, tensor) {
                Some(reason) => ignore(reason.to_owned()),
                None => report.dropped.push(UnusedTensor {
                    name: theirs.clone(),
                    reason: format!("{}, the network has no such part", of(tensor)),
                    of_backbone: ours.is_some_and(|ours| !is_head(&ours)),
                }),
            }
            continue;
        };
        let wanted = net.graph().tensor(id);
        match fitted(tensor, wanted) {
            Some(fitted) => {
                if let Some((other, _)) = taken.insert(id, (theirs, fitted)) {
                    let reason = format!("both `{other}` and `{theirs}` of the file are for it");
                    problems.push((ours.clone(), reason));
                }
            }
            None if ours.split('.').any(|part| part == "classifier") => {
                let reason = format!("{}, the network's is {}", of(tensor), of(wanted));
                ignore(format!("for other persons: {reason}"));
                unfit.insert(
                    ours,
                    format!("that of the file is for other persons: {}", of(tensor)),
                );
            }
            None => {
                let reason = format!("{}, the file's `{theirs}` {}", of(wanted), of(tensor));
                problems.push((ours.clone(), reason));
            }
        }
    }

    for (ours, id) in &params {
        if taken.contains_key(id) {
            continue;
        }
        let reason = match unfit.get(ours.as_str()) {
            Some(reason) => reason.clone(),
            None if is_head(ours) => "the file has none".to_owned(),
            None if net.role(*id) == ParamRole::Frozen => "a constant of the network".to_owned(),
            None => {
                let wanted = of(net.graph().tensor(*id));
                problems.push((ours.clone(), format!("{wanted}, the file has none")));
                continue;
            }
        };
        report.fresh.push(MissingParam {
            ours: ours.clone(),
            reason,
        });
    }

    let more = problems.len().saturating_sub(1);
    if let Some((name, mut reason)) = problems.into_iter().next() {
        if more > 0 {
            reason = format!("{reason}; {more} more do not fit");
        }
        return Err(Error::Parameter { name, reason });
    }
    for (ours, id) in &params {
        if let Some((theirs, tensor)) = taken.remove(id) {
            net.set_tensor(*id, tensor)?;
            report.used.push(UsedTensor {
                theirs: theirs.to_owned(),
                ours: ours.clone(),
            });
        }
    }
    Ok(report)
}

/// `tensor` in the place of `wanted`: of the same type, and of the same shape but for extents of
/// 1, so that a 1 x 1 convolution can be a linear layer.
fn fitted(tensor: &Tensor, wanted: &Tensor) -> Option<Tensor> {
    let extents = |tensor: &Tensor| -> Vec<usize> {
        let shape = tensor.shape().iter().copied();
        shape.filter(|extent| *extent != 1).collect()
    };
    if tensor.dtype() != wanted.dtype() || extents(tensor) != extents(wanted) {
        return None;
    }
    tensor.clone().reshaped(wanted.shape()).ok()
}

/// The shape as text, with the type if it is not f32.
fn of(tensor: &Tensor) -> String {
    match tensor.dtype() {
        DType::F32 => format!("{:?}", tensor.shape()),
        other => format!("{other:?} {:?}", tensor.shape()),
    }
}
