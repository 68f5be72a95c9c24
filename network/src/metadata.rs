//! Model metadata: pre-processing, embedding, origin of the weights, quantisation, self-test.
//!
//! It is JSON under the key [`METADATA_KEY`] of the ONNX file's `metadata_props`. For a model without it, what
//! its graph shows is used, and else a [`Sidecar`] (a TOML file beside the model) or
//! [`Preprocessing::default`]. Unknown keys are ignored at the top level, so that later programs can add
//! some under the same version, and refused in all parts, where every key changes what is computed.

/// Implements [`Display`](std::fmt::Display) and [`FromStr`](std::str::FromStr) with the names that JSON has.
macro_rules! names {
    ($type:ty, $($variant:ident $name:literal),+) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $name),+
                })
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> std::result::Result<Self, String> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(format!("wanted {}", [$($name),+].join(" or "))),
                }
            }
        }
    };
}

mod quantisation;
mod sidecar;

pub use quantisation::{Calibration, QdqLayout, Quantisation, Scheme};
pub use sidecar::{PreprocessingPart, Sidecar};

use serde::{Deserialize, Serialize};

use crate::graph::fold::Affine;
use crate::self_test::SelfTest;
use crate::{Error, Result};

/// Key of the model metadata in the model's `metadata_props`.
pub const METADATA_KEY: &str = "reid.contract";

/// The version of the model metadata that this crate writes and reads.
pub const VERSION: u32 = 1;

/// The most bytes of model metadata: four times those of a network whose embeddings have 8192 numbers.
pub const MAX_BYTES: usize = 1 << 20;

/// The widest and highest network input: four times the largest in use for re-ID.
pub const MAX_INPUT_SIDE: usize = 4096;

/// The metadata of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelMetadata {
    /// See [`VERSION`].
    pub version: u32,
    /// How a crop becomes the input.
    pub preprocessing: Preprocessing,
    /// The output that is the embedding.
    pub embedding: Embedding,
    /// The architecture, for reports, for example `osnet_x0_25`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    /// Identity of the embedding space: embeddings of two models can be compared if and only if
    /// this is the same. An exporter states it; it is computed for a file without a valid digest. A quantised
    /// model has that of its float model if the exporter has evaluated retrieval across the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
    /// Where the weights come from.
    #[serde(default)]
    pub weights: WeightsOrigin,
    /// Error rates at thresholds, from the evaluation that the exporter ran; by rising threshold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<OperatingPoint>,
    /// How the network was quantised; none for a float network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantisation: Option<Quantisation>,
    /// Known answers for every device.
    #[serde(default, rename = "receipt", skip_serializing_if = "Option::is_none")]
    pub self_test: Option<SelfTest>,
}

/// The error rates at a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// Cosine similarity, -1 to 1; a probe at or above it is identified.
    pub threshold: f32,
    /// False positive identification rate: share of unknown persons that are identified, 0 to 1.
    pub fpir: f64,
    /// False negative identification rate: share of enrolled persons that are not identified, 0 to 1.
    pub fnir: f64,
}

/// The output that is the embedding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedding {
    /// Name of the output.
    pub output: String,
    /// Length of an embedding.
    pub dim: usize,
    /// How two embeddings are compared.
    pub metric: Metric,
}

/// How two embeddings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Product of the vectors after scaling both to length one.
    Cosine,
}

/// Where the weights of a model come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightsOrigin {
    /// Datasets used in training.
    #[serde(default)]
    pub datasets: Vec<String>,
    /// Licence of the weights, often another than that of the code.
    #[serde(default)]
    pub licence: Option<String>,
}

/// How a crop becomes the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Height of the input in pixels.
    pub height: usize,
    /// Width of the input in pixels.
    pub width: usize,
    /// How a crop is resampled to that size.
    pub resize: Resize,
    /// Whether its aspect ratio is kept.
    pub fit: Fit,
    /// Order of the colour planes that the network reads.
    pub colour: Colour,
    /// Subtracted from a plane after scaling it to 0..1, in the network's order of planes.
    pub mean: [f32; 3],
    /// The plane is then divided by this, in the network's order of planes; never 0.
    pub std: [f32; 3],
}

/// Resampling kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Triangle filter over the area that a pixel covers (anti-aliased), as Pillow's `BILINEAR` and
    /// torchvision on PIL images.
    PilBilinear,
    /// Four neighbours with half-pixel centres (aliasing when shrinking), as OpenCV's
    /// `INTER_LINEAR`.
    CvBilinear,
}

names!(Resize, PilBilinear "pil-bilinear", CvBilinear "cv-bilinear");

/// Whether the aspect ratio of a crop is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Width and height are scaled independently, as every re-ID baseline does.
    Stretch,
    /// The aspect ratio is kept; the rest is filled with the mean colour.
    Letterbox,
}

names!(Fit, Stretch "stretch", Letterbox "letterbox");

/// Order of colour planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colour {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Default for Preprocessing {
    /// Luo et al. 2019: 256 x 128, RGB, ImageNet mean and deviation, PIL bilinear, stretched.
    fn default() -> Self {
        Self {
            height: 256,
            width: 128,
            resize: Resize::PilBilinear,
            fit: Fit::Stretch,
            colour: Colour::Rgb,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }
}

impl ModelMetadata {
    /// Parses and checks the JSON under [`METADATA_KEY`].
    ///
    /// # Errors
    /// [`Error::Malformed`] for other JSON, another [`VERSION`] or values out of range,
    /// [`Error::Limit`] beyond [`MAX_BYTES`].
    pub fn from_json(json: &str) -> Result<Self> {
        let malformed = |reason: String| Error::malformed("model metadata", reason);
        if json.len() > MAX_BYTES {
            return Err(Error::Limit {
                what: "size of the model metadata in bytes".to_owned(),
                found: json.len() as u64,
                limit: MAX_BYTES as u64,
            });
        }
        let metadata: Self = serde_json::from_str(json).map_err(|e| malformed(e.to_string()))?;
        if metadata.version != VERSION {
            let found = metadata.version;
            return Err(malformed(format!(
                "its version is {found}, this program reads {VERSION}"
            )));
        }
        metadata.preprocessing.check()?;
        for point in &metadata.thresholds {
            let OperatingPoint {
                threshold,
                fpir,
                fnir,
            } = *point;
            let shares = [fpir, fnir].iter().all(|share| (0.0..=1.0).contains(share));
            if !shares || !(-1.0..=1.0).contains(&threshold) {
                return Err(malformed(format!(
                    "it states threshold {threshold}, FPIR {fpir}, FNIR {fnir}; wanted -1 to 1 \
                     and shares of 0 to 1"
                )));
            }
        }
        if let Some(quantisation) = &metadata.quantisation {
            quantisation.check()?;
        }
        if let Some(self_test) = &metadata.self_test {
            self_test.check(metadata.embedding.dim)?;
            if self_test.exact.is_some() && metadata.quantisation.is_none() {
                return Err(malformed(
                    "its self-test has checksums of integers, but it states no quantisation".into(),
                ));
            }
        }
        Ok(metadata)
    }

    /// The JSON under [`METADATA_KEY`].
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data always has a JSON form")
    }

    /// The lowest threshold with an FPIR of at most `fpir`, if there is one.
    #[must_use]
    pub fn threshold_at(&self, fpir: f64) -> Option<f32> {
        let within = self.thresholds.iter().filter(|point| point.fpir <= fpir);
        within.map(|point| point.threshold).reduce(f32::min)
    }
}

impl Preprocessing {
    /// The same, with mean and deviation of a normalisation found in the network itself.
    ///
    /// A network reads pixels in 0..1 or in 0..255, and its file does not state which. Means above 2
    /// or factors below 1/2 are only plausible for 0..255.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless it has three planes and factors other than 0.
    pub fn normalised_by(self, affine: &Affine) -> Result<Self> {
        let (&[a, b, c], &[t, u, v]) = (affine.scale.as_slice(), affine.shift.as_slice()) else {
            let planes = affine.scale.len();
            let reason = format!("it has {planes} planes, wanted 3");
            return Err(Error::malformed("normalisation in the network", reason));
        };
        let steps = [(a, t), (b, u), (c, v)];
        let bytes = steps
            .iter()
            .any(|(scale, shift)| (shift / scale).abs() > 2.0 || scale.abs() < 0.5);
        let full = if bytes { 255.0 } else { 1.0 };
        // (x / full - mean) / std is scale * x + shift.
        let of_unit = Self {
            mean: steps.map(|(scale, shift)| (-shift / scale / full) as f32),
            std: steps.map(|(scale, _)| (1.0 / (scale * full)) as f32),
            ..self
        };
        of_unit.check()?;
        Ok(of_unit)
    }

    /// Checks that every value is in range.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the value found and the value wanted.
    pub fn check(&self) -> Result<()> {
        let malformed = |reason| Err(Error::malformed("pre-processing", reason));
        for (what, size) in [("height", self.height), ("width", self.width)] {
            if !(1..=MAX_INPUT_SIDE).contains(&size) {
                return malformed(format!("{what} is {size}, wanted 1 to {MAX_INPUT_SIDE}"));
            }
        }
        for (plane, (mean, std)) in self.mean.iter().zip(self.std).enumerate() {
            if !mean.is_finite() {
                let reason = format!("mean of plane {plane} is {mean}, wanted a finite number");
                return malformed(reason);
            }
            // Below the normal numbers, 1 / std is infinite.
            if !std.is_normal() {
                return malformed(format!(
                    "std of plane {plane} is {std}, wanted a finite number other than 0"
                ));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Preprocessing {
    /// One line to compare with the training code.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            height,
            width,
            resize,
            fit,
            colour,
            mean,
            std,
        } = self;
        let colour = match colour {
            Colour::Rgb => "RGB",
            Colour::Bgr => "BGR",
        };
        write!(
            f,
            "{height}x{width}, {resize}, {fit}, {colour}, mean {mean:?}, std {std:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::self_test::{Checksum, Exact, Golden, StepChecksums};

    fn metadata() -> ModelMetadata {
        ModelMetadata {
            version: VERSION,
            preprocessing: Preprocessing::default(),
            embedding: Embedding {
                output: "f_i".into(),
                dim: 512,
                metric: Metric::Cosine,
            },
            net: Some("osnet_x0_25".into()),
            space: None,
            weights: WeightsOrigin {
                datasets: vec!["street".into()],
                licence: Some("MIT".into()),
            },
            thresholds: vec![OperatingPoint {
                threshold: 0.6,
                fpir: 0.01,
                fnir: 0.1,
            }],
            quantisation: None,
            self_test: None,
        }
    }

    #[test]
    fn json_goes_round() {
        let metadata = metadata();
        assert_eq!(
            ModelMetadata::from_json(&metadata.to_json()).unwrap(),
            metadata
        );
    }

    fn quantised() -> ModelMetadata {
        let embedding = |value: f32| {
            let mut row = vec![0.0; 512];
            row[0] = value;
            row
        };
        ModelMetadata {
            quantisation: Some(Quantisation {
                scheme: Scheme::U8,
                layout: QdqLayout::Fused,
                exact_until: "layer4.2.relu".into(),
                calibration: Calibration {
                    method: "min-max".into(),
                    crops: 500,
                },
                float_layers: vec!["conv1".into()],
            }),
            self_test: Some(SelfTest {
                golden: Golden { seed: 1, count: 2 },
                embeddings: vec![embedding(1.0), embedding(-1.0)],
                close: 0.99,
                exact: Some(Exact {
                    cosine: 0.999_999,
                    steps: vec![StepChecksums {
                        name: "conv1".into(),
                        sums: vec![Checksum::of(b"a"), Checksum::of(b"b")],
                    }],
                }),
            }),
            ..metadata()
        }
    }

    #[test]
    fn quantised_metadata_goes_round() {
        let metadata = quantised();
        assert_eq!(
            ModelMetadata::from_json(&metadata.to_json()).unwrap(),
            metadata
        );
    }

    /// Files from before the self-test, and files with a key of a later program.
    #[test]
    fn older_and_newer_metadata_of_this_version_are_read() {
        let older = r#"{"version":1,"preprocessing":{"height":256,"width":128,"resize":"pil-bilinear","fit":"stretch","colour":"rgb","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]},"embedding":{"output":"f_i","dim":512,"metric":"cosine"}}"#;
        let read = ModelMetadata::from_json(older).unwrap();
        assert_eq!((read.quantisation, read.self_test), (None, None));
        let newer = older.replacen('{', r#"{"later":"key","#, 1);
        assert!(ModelMetadata::from_json(&newer).is_ok());
    }

    #[test]
    fn quantised_metadata_that_contradict_themselves_are_refused() {
        let long = "x".repeat(600);
        let cases = [
            ("scheme", r#""scheme":"u8""#, r#""scheme":"u4""#, "u4"),
            ("key", r#""layout""#, r#""lay":1,"layout""#, "lay"),
            ("nameless", "layer4.2.relu", "", "a name has 0 bytes"),
            ("long", "layer4.2.relu", &long, "a name has 600 bytes"),
            (
                "dim",
                r#""dim":512"#,
                r#""dim":511"#,
                "has 512 numbers, wanted 511",
            ),
            (
                "floats",
                r#""quantisation":{"#,
                r#""before":{"#,
                "states no quantisation",
            ),
        ];
        for (name, from, to, wanted) in cases {
            let json = quantised().to_json();
            assert!(json.contains(from), "{name}: {json}");
            let error = ModelMetadata::from_json(&json.replacen(from, to, 1)).expect_err(name);
            assert!(error.to_string().contains(wanted), "{name}: {error}");
        }
        let mut huge = metadata().to_json();
        huge.push_str(&" ".repeat(MAX_BYTES));
        let error = ModelMetadata::from_json(&huge).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }

    #[test]
    fn the_lowest_threshold_within_an_fpir_is_taken() {
        let point = |threshold, fpir| OperatingPoint {
            threshold,
            fpir,
            fnir: 0.0,
        };
        let thresholds = vec![point(0.4, 0.2), point(0.5, 0.01), point(0.6, 0.0)];
        let metadata = ModelMetadata {
            thresholds,
            ..metadata()
        };
        for (fpir, wanted) in [(0.5, Some(0.4)), (0.01, Some(0.5)), (0.005, Some(0.6))] {
            assert_eq!(metadata.threshold_at(fpir), wanted, "{fpir}");
        }
        assert_eq!(
            ModelMetadata {
                thresholds: Vec::new(),
                ..metadata
            }
            .threshold_at(1.0),
            None
        );
    }

    #[test]
    fn invalid_metadata_are_refused_with_the_reason() {
        struct Case(&'static str, &'static str, &'static str, &'static str);
        let cases = [
            Case("newer", r#""version":1"#, r#""version":2"#, "version is 2"),
            Case("no mean", r#""mean":[0.485,0.456,0.406],"#, "", "mean"),
            Case(
                "unknown key",
                r#""height":256"#,
                r#""height":256,"hight":3"#,
                "hight",
            ),
            Case(
                "no size",
                r#""height":256"#,
                r#""height":0"#,
                "height is 0, wanted 1 to 4096",
            ),
            Case("std of zero", "0.229", "0.0", "std of plane 0 is 0"),
            Case("huge mean", "0.485", "1e300", "mean of plane 0 is inf"),
            Case(
                "threshold beyond",
                r#""threshold":0.6"#,
                r#""threshold":1e300"#,
                "threshold inf",
            ),
            Case(
                "share beyond",
                r#""fpir":0.01"#,
                r#""fpir":1.01"#,
                "FPIR 1.01",
            ),
            Case("unknown kernel", "pil-bilinear", "lanczos", "lanczos"),
        ];
        for Case(name, from, to, wanted) in cases {
            let json = metadata().to_json();
            assert!(json.contains(from), "{name}: {json}");
            let error = ModelMetadata::from_json(&json.replacen(from, to, 1)).expect_err(name);
            assert!(error.to_string().contains(wanted), "{name}: {error}");
        }
        assert!(ModelMetadata::from_json("{").is_err());
    }

    #[test]
    fn a_normalisation_in_the_network_is_read_for_both_ranges_of_pixels() {
        struct Case(&'static str, [f64; 2], f32, f32);
        let cases = [
            Case(
                "pixels in 0..1",
                [1.0 / 0.229, -0.485 / 0.229],
                0.485,
                0.229,
            ),
            Case(
                "0..255",
                [1.0 / (255.0 * 0.229), -0.485 / 0.229],
                0.485,
                0.229,
            ),
            Case("only divided by 255", [1.0 / 255.0, 0.0], 0.0, 1.0),
            Case("-1..1 from 0..1", [2.0, -1.0], 0.5, 0.5),
            Case("the negative of 0..1", [-1.0, 1.0], 1.0, -1.0),
            Case("mean of bytes alone", [1.0, -103.53], 0.406, 1.0 / 255.0),
        ];
        for Case(name, [scale, shift], mean, std) in cases {
            let affine = Affine {
                scale: vec![scale; 3],
                shift: vec![shift; 3],
            };
            let found = Preprocessing::default().normalised_by(&affine).expect(name);
            assert!(
                (found.mean[0] - mean).abs() < 1e-5,
                "{name}: mean {:?}",
                found.mean
            );
            assert!(
                (found.std[0] - std).abs() < 1e-6,
                "{name}: std {:?}",
                found.std
            );
        }
        let grey = Affine {
            scale: vec![1.0],
            shift: vec![0.0],
        };
        assert!(Preprocessing::default().normalised_by(&grey).is_err());
    }
}
