//! How a network was quantised.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The longest name of a layer, and the most names, that are read.
const MAX_NAME: usize = 512;
const MAX_NODES: usize = 4096;

/// How a network was quantised. The scales and integers are in its graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quantisation {
    /// Element type of activations.
    pub scheme: Scheme,
    /// Where activations are quantised.
    pub layout: QdqLayout,
    /// Name of the last step whose integers are equal on every integer executor; float steps follow. `nothing`
    /// if the first step is a float one.
    pub exact_until: String,
    /// How the ranges of activations were found.
    pub calibration: Calibration,
    /// Layers kept in f32, where integers cost too much accuracy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub float_layers: Vec<String>,
}

/// Element type of activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// 0 to 255 with a zero point for each tensor.
    #[default]
    U8,
    /// -128 to 127 with zero point 0, for runtimes that support no other; loses a bit after a ReLU.
    S8Symmetric,
}

/// Where activations are quantised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QdqLayout {
    /// Not between a convolution and the addition after it: both are one step with one rounding.
    #[default]
    Fused,
    /// Also there, because ONNX Runtime would else run such convolutions in f32.
    Ort,
}

/// How the ranges of activations were found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// For example `min-max`, `percentile` or `chosen per tensor`.
    pub method: String,
    /// Number of crops.
    pub crops: usize,
}

impl Quantisation {
    /// Checks that texts have plausible lengths.
    ///
    /// # Errors
    /// [`Error::Malformed`] with what was found.
    pub(super) fn check(&self) -> Result<()> {
        let malformed = |reason| Err(Error::malformed("quantisation", reason));
        if self.float_layers.len() > MAX_NODES {
            let found = self.float_layers.len();
            return malformed(format!(
                "{found} layers are kept in f32, wanted at most {MAX_NODES}"
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

names!(Scheme, U8 "u8", S8Symmetric "s8-symmetric");
names!(QdqLayout, Fused "fused", Ort "ort");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_command_line_have_the_same_names() {
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
