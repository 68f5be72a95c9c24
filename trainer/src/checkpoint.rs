//! What our weight files say of themselves, so that a network can be made from the file alone.
//!
//! | key | what |
//! |---|---|
//! | `reid.spec` | the [`Spec`], JSON; missing where the network came from an ONNX file |
//! | `reid.classes` | persons that the classifier knows |
//! | `reid.preprocessing` | how images are prepared, JSON |
//! | `reid.epoch` | epochs that were trained |

use kernels::contract::Preprocessing;
use kernels::graph::ParamId;

use crate::nets::{self, Net, Role, Spec};
use crate::weights::Weights;
use crate::{Error, Result};

const SPEC: &str = "reid.spec";
const CLASSES: &str = "reid.classes";
const PREPROCESSING: &str = "reid.preprocessing";
const EPOCH: &str = "reid.epoch";

/// What a weight file of ours says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Which network; none where it came from an ONNX file.
    pub spec: Option<Spec>,
    /// Persons that the classifier knows.
    pub classes: usize,
    /// How images are prepared.
    pub preprocessing: Preprocessing,
    /// Epochs that were trained.
    pub epoch: u32,
}

impl About {
    /// Writes it into the metadata.
    ///
    /// # Panics
    /// Never: plain data always has a JSON form.
    pub fn note(&self, weights: &mut Weights) {
        let json = |value: serde_json::Result<String>| value.expect("plain data has a JSON form");
        let mut note = |key: &str, text: String| weights.metadata.insert(key.to_owned(), text);
        if let Some(spec) = &self.spec {
            note(SPEC, json(serde_json::to_string(spec)));
        }
        note(CLASSES, self.classes.to_string());
        note(
            PREPROCESSING,
            json(serde_json::to_string(&self.preprocessing)),
        );
        note(EPOCH, self.epoch.to_string());
    }

    /// Reads it from the metadata; none if this is no file of ours.
    ///
    /// # Errors
    /// [`Error::Argument`] with the key whose text makes no sense.
    pub fn of(weights: &Weights) -> Result<Option<Self>> {
        let text = |key: &str| weights.metadata.get(key);
        let wrong =
            |key: &str, reason: String| Error::Argument(format!("metadata `{key}`: {reason}"));
        let Some(classes) = text(CLASSES) else {
            return Ok(None);
        };
        let number = |key: &str, text: &str| -> Result<usize> {
            (text.parse()).map_err(|_| wrong(key, format!("`{text}` is no number")))
        };
        let spec = (text(SPEC))
            .map(|json| serde_json::from_str(json).map_err(|e| wrong(SPEC, e.to_string())))
            .transpose()?;
        let preprocessing: Preprocessing = match text(PREPROCESSING) {
            Some(json) => {
                serde_json::from_str(json).map_err(|e| wrong(PREPROCESSING, e.to_string()))?
            }
            None => of_size(spec.as_ref()),
        };
        preprocessing.check()?;
        let epoch = text(EPOCH).map_or(Ok(0), |text| number(EPOCH, text))?;
        Ok(Some(Self {
            spec,
            classes: number(CLASSES, classes)?,
            preprocessing,
            epoch: u32::try_from(epoch).map_err(|e| wrong(EPOCH, e.to_string()))?,
        }))
    }

    /// The network that it names, with the weights of the file.
    ///
    /// # Errors
    /// [`Error::Argument`] if it names none, [`Error::Parameter`] if weights are missing or have
    /// another shape.
    pub fn net(&self, weights: &Weights) -> Result<Net> {
        let spec = self.spec.as_ref().ok_or_else(|| {
            Error::Argument(format!(
                "the weights do not say which network they belong to: `{SPEC}` is missing"
            ))
        })?;
        let mut net = nets::blank(spec, self.classes)?;
        fill(&mut net, weights)?;
        Ok(net)
    }
}

/// The default for networks of this size.
fn of_size(spec: Option<&Spec>) -> Preprocessing {
    let mut preprocessing = Preprocessing::default();
    if let Some(spec) = spec {
        [preprocessing.height, preprocessing.width] = spec.size;
    }
    preprocessing
}

/// Gives every parameter and statistic of `net` what is kept under its name.
///
/// # Errors
/// [`Error::Parameter`] naming the first that is missing or has another shape.
pub fn fill(net: &mut Net, weights: &Weights) -> Result<()> {
    let wanted: Vec<(ParamId, String)> = (net.graph().param_ids())
        .filter(|(id, _)| net.role(*id) != Role::Frozen)
        .map(|(id, param)| (id, param.name.clone()))
        .collect();
    for (id, name) in wanted {
        let wrong = |reason: String| Error::Parameter {
            name: name.clone(),
            reason,
        };
        let kept = weights
            .tensors
            .get(&name)
            .ok_or_else(|| wrong("the file has none of this name".to_owned()))?;
        let (found, shape) = (kept.shape(), net.graph().tensor(id).shape());
        if found != shape {
            return Err(wrong(format!("wanted shape {shape:?}, found {found:?}")));
        }
        net.set_tensor(id, kept.clone())?;
    }
    Ok(())
}

/// Every parameter and statistic of `net` by its name.
#[must_use]
pub fn weights(net: &Net) -> Weights {
    let tensors = (net.graph().params().iter())
        .map(|param| (param.name.clone(), param.tensor.clone()))
        .collect();
    Weights {
        tensors,
        ..Weights::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::Backbone;
    use kernels::tensor::Tensor;

    fn spec() -> Spec {
        Spec {
            backbone: Backbone::OsNetX0_25,
            size: [64, 32],
            ..Spec::default()
        }
    }

    #[test]
    fn a_network_comes_back_from_its_file() {
        let net = nets::build(&spec(), 7, 1).unwrap();
        let about = About {
            spec: Some(spec()),
            classes: 7,
            preprocessing: of_size(Some(&spec())),
            epoch: 12,
        };
        let mut kept = weights(&net);
        about.note(&mut kept);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        kept.write(&path).unwrap();

        let read = Weights::read(&path).unwrap();
        let found = About::of(&read).unwrap().unwrap();
        assert_eq!(found, about);
        assert_eq!(found.net(&read).unwrap(), net);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let net = nets::build(&spec(), 7, 1).unwrap();
        let mut kept = weights(&net);
        assert_eq!(About::of(&kept).unwrap(), None);
        let name = "classifier.weight".to_owned();
        kept.tensors
            .insert(name.clone(), Tensor::zeros([8, 512]).unwrap());
        let error = fill(&mut net.clone(), &kept).unwrap_err().to_string();
        assert!(
            error.contains("[7, 512]") && error.contains("[8, 512]"),
            "{error}"
        );
        kept.tensors.remove(&name);
        let error = fill(&mut net.clone(), &kept).unwrap_err().to_string();
        assert!(error.contains("classifier.weight"), "{error}");

        kept.metadata.insert(CLASSES.to_owned(), "many".to_owned());
        let error = About::of(&kept).unwrap_err().to_string();
        assert!(error.contains("`many` is no number"), "{error}");
    }
}
