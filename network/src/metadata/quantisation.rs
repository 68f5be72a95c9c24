//! What was done to make a network's integers: for people, and for whoever has to know how far the
//! integers reach.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The longest name of a step, and the most names, that are read: those of a network of
/// [`MAX_NODES`] layers.
const MAX_NAME: usize = 512;
const MAX_NODES: usize = 4096;

/// How a network was quantised. The numbers themselves are in its graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantisation {
    /// Which integers stand for activations.
    pub scheme: Scheme,
    /// Where activations become integers again.
    pub layout: QdqLayout,
    /// The last step whose integers are the same on every integer executor. After it come float
    /// steps, of which only closeness is claimed. `nothing` if the first step is a float one.
    pub exact_until: String,
    /// How ranges of activations were found.
    pub calibration: Calibration,
    /// Layers that compute in floats, because integers cost too much there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub float_layers: Vec<String>,
}

/// Integers that stand for activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// 0 to 255 with a zero point for each tensor.
    #[default]
    U8,
    /// -128 to 127 with zero point 0, for runtimes that refuse others; costs a bit after a ReLU.
    S8Symmetric,
}

/// Where activations become integers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QdqLayout {
    /// Not between a convolution and the addition after it: both are one step with one rounding.
    #[default]
    Fused,
    /// There as well, because ONNX Runtime would run such convolutions in floats.
    Ort,
}

/// How ranges of activations were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// For example `min-max`, `percentile` or `chosen per tensor`.
    pub method: String,
    /// Crops that the network saw.
    pub crops: usize,
}

impl Quantisation {
    /// Refuses texts that no exporter writes.
    ///
    /// # Errors
    /// [`Error::Malformed`] with what was found.
    pub(super) fn check(&self) -> Result<()> {
        let malformed = |reason| Err(Error::malformed("quantisation", reason));
        if self.float_layers.len() > MAX_NODES {
            let found = self.float_layers.len();
            return malformed(format!(
                "{found} layers compute in floats, wanted at most {MAX_NODES}"
            ));
        }
        let named = [&self.exact_until, &self.calibration.method];
        for name in named.into_iter().chain(&self.float_layers) {
            if name.is_empty() || name.len() > MAX_NAME {
                let found = name.len();
                return malformed(format!("a name has {found} bytes, wanted 1 to {MAX_NAME}"));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::U8 => "u8",
            Self::S8Symmetric => "s8-symmetric",
        })
    }
}

impl FromStr for Scheme {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "u8" => Ok(Self::U8),
            "s8-symmetric" => Ok(Self::S8Symmetric),
            _ => Err("wanted u8 or s8-symmetric".to_owned()),
        }
    }
}

impl std::fmt::Display for QdqLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fused => "fused",
            Self::Ort => "ort",
        })
    }
}

impl FromStr for QdqLayout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fused" => Ok(Self::Fused),
            "ort" => Ok(Self::Ort),
            _ => Err("wanted fused or ort".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_and_what_a_person_types_is_the_same_word() {
        for scheme in [Scheme::U8, Scheme::S8Symmetric] {
            let json = serde_json::to_string(&scheme).unwrap();
            assert_eq!(json, format!("\"{scheme}\""));
            assert_eq!(scheme.to_string().parse(), Ok(scheme));
        }
        for layout in [QdqLayout::Fused, QdqLayout::Ort] {
            let json = serde_json::to_string(&layout).unwrap();
            assert_eq!(json, format!("\"{layout}\""));
            assert_eq!(layout.to_string().parse(), Ok(layout));
        }
    }
}
