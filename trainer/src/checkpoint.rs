//! Metadata of our weight files: everything that is needed to build the network from the file alone.
//!
//! | key | value |
//! |---|---|
//! | `reid.spec` | the [`Spec`] as JSON; missing if the network was read from an ONNX file |
//! | `reid.classes` | number of classes of the classifier |
//! | `reid.preprocessing` | pre-processing of images as JSON |
//! | `reid.epoch` | number of trained epochs |

use network::metadata::Preprocessing;

use crate::nets::{Net, Spec};
use crate::weights::WeightFile;
use crate::{Error, Result};

const SPEC: &str = "reid.spec";
const CLASSES: &str = "reid.classes";
const PREPROCESSING: &str = "reid.preprocessing";
const EPOCH: &str = "reid.epoch";

/// Whether a file was written by this project.
#[must_use]
pub fn is_ours(weights: &WeightFile) -> bool {
    weights.metadata.contains_key(CLASSES)
}

/// Metadata of a weight file.
#[derive(Debug, Clone, PartialEq)]
pub struct NetInfo {
    /// The network; none if it was read from an ONNX file.
    pub spec: Option<Spec>,
    /// Classes of the classifier.
    pub classes: usize,
    /// How images are prepared.
    pub preprocessing: Preprocessing,
    /// Trained epochs.
    pub epoch: u32,
}

impl NetInfo {
    /// Writes it into the metadata.
    ///
    /// # Panics
    /// Never: plain data always has a JSON form.
    pub fn write_to(&self, weights: &mut WeightFile) {
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

    /// Reads it from the metadata; none if the file has none.
    ///
    /// # Errors
    /// [`Error::Argument`] with the invalid key.
    pub fn of(weights: &WeightFile) -> Result<Option<Self>> {
        let text = |key: &str| weights.metadata.get(key);
        let wrong =
            |key: &str, reason: String| Error::Argument(format!("metadata `{key}`: {reason}"));
        let Some(classes) = text(CLASSES) else {
            return Ok(None);
        };
        let number = |key: &str, text: &str| -> Result<usize> {
            (text.parse()).map_err(|_| wrong(key, format!("`{text}` is not a number")))
        };
        let spec = (text(SPEC))
            .map(|json| serde_json::from_str(json).map_err(|e| wrong(SPEC, e.to_string())))
            .transpose()?;
        let preprocessing: Preprocessing = match text(PREPROCESSING) {
            Some(json) => {
                serde_json::from_str(json).map_err(|e| wrong(PREPROCESSING, e.to_string()))?
            }
            None => default_preprocessing(spec.as_ref()),
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
}

/// The default pre-processing for a network of this size.
#[must_use]
pub fn default_preprocessing(spec: Option<&Spec>) -> Preprocessing {
    let mut preprocessing = Preprocessing::default();
    if let Some(spec) = spec {
        [preprocessing.height, preprocessing.width] = spec.size;
    }
    preprocessing
}

/// Every parameter and statistic of `net` by its name.
#[must_use]
pub fn weights(net: &Net) -> WeightFile {
    let tensors = (net.graph().params().iter())
        .map(|param| (param.name.clone(), param.tensor.clone()))
        .collect();
    WeightFile {
        tensors,
        ..WeightFile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::{self, Backbone};

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
        let info = NetInfo {
            spec: Some(spec()),
            classes: 7,
            preprocessing: default_preprocessing(Some(&spec())),
            epoch: 12,
        };
        let mut kept = weights(&net);
        info.write_to(&mut kept);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.safetensors");
        kept.write(&path).unwrap();

        let read = WeightFile::read(&path).unwrap();
        assert_eq!(NetInfo::of(&read).unwrap(), Some(info));
        let opened = crate::load::open(&path, &crate::import::Overrides::default()).unwrap();
        assert_eq!(opened.net, net);
    }

    /// `models/` was written by an older version: keys inside files stay as they are.
    #[test]
    fn files_of_older_versions_open() {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let open = |name: &str| {
            crate::load::open(&models.join(name), &crate::import::Overrides::default()).unwrap()
        };
        let float = open("street-osnet_x0_25.safetensors");
        let (info, report) = (&float.info, &float.report);
        assert_eq!((info.classes, info.epoch), (2400, 12));
        let own = Spec {
            size: [128, 64],
            ..spec()
        };
        assert_eq!(info.spec, Some(own));
        assert_eq!((&report.dropped[..], &report.fresh[..]), (&[][..], &[][..]));
        let int8 = open("street-osnet_x0_25-int8.onnx");
        assert_eq!(int8.info.preprocessing, info.preprocessing);
        assert!(int8.quantisation.unwrap().calibration.crops > 0);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let mut kept = weights(&nets::build(&spec(), 7, 1).unwrap());
        assert_eq!(NetInfo::of(&kept).unwrap(), None);
        let cases = [
            (CLASSES, "many", "`many` is not a number"),
            (EPOCH, "-1", "`-1` is not a number"),
            (SPEC, "{\"backbone\":\"resnet51\"}", "resnet51"),
            (PREPROCESSING, "{}", "missing field"),
        ];
        kept.metadata.insert(CLASSES.to_owned(), "7".to_owned());
        for (key, text, wanted) in cases {
            let mut kept = kept.clone();
            kept.metadata.insert(key.to_owned(), text.to_owned());
            let error = NetInfo::of(&kept).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(wanted), "{error}");
        }
    }
}
