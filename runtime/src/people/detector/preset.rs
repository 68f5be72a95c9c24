//! How a detector's input is scaled and what its output means: an ONNX file does not state it.

use std::path::Path;

use serde::Deserialize;

/// The presets that are built in, by name.
const BUILT_IN: [(&str, &str); 2] = [
    (
        "yolox",
        include_str!("../../../../configs/detectors/yolox.toml"),
    ),
    (
        "yolov8",
        include_str!("../../../../configs/detectors/yolov8.toml"),
    ),
];

/// The longest preset file, in bytes.
const MAX_BYTES: u64 = 1 << 16;

/// The longest side of a network's input, in pixels.
pub(super) const MAX_SIDE: usize = 4096;

/// A preset, see `configs/detectors/yolox.toml` for what each key means.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// What the network reads.
    pub input: DetectorInput,
    /// What it returns.
    pub output: DetectorOutput,
    /// Which boxes are kept.
    pub select: BoxSelection,
}

/// How a frame becomes the input `[1, 3, height, width]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorInput {
    /// Width in pixels if the file leaves it open.
    pub width: usize,
    /// Height in pixels if the file leaves it open.
    pub height: usize,
    /// Order of the planes.
    pub colour: network::metadata::Colour,
    /// Multiplied with a byte...
    pub scale: f32,
    /// ...before this is subtracted...
    pub mean: [f32; 3],
    /// ...and it is divided by this.
    pub std: [f32; 3],
    /// What happens to the aspect ratio.
    pub fit: InputFit,
    /// The byte around the frame.
    pub pad: u8,
}

/// What happens to a frame's aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputFit {
    /// It stays; the frame lies in the upper left corner.
    TopLeft,
    /// It stays; the frame lies in the middle.
    Centre,
    /// It is lost.
    Stretch,
}

/// What the numbers of the output mean.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorOutput {
    /// Which output of the network.
    #[serde(default)]
    pub index: usize,
    /// Order of its dimensions.
    pub layout: OutputLayout,
    /// What the first four values of a box are.
    pub boxes: BoxEncoding,
    /// Pixels of the input in a cell of each grid, for [`BoxEncoding::Grid`].
    #[serde(default)]
    pub strides: Vec<usize>,
    /// Whether the fifth value is a factor of all scores.
    pub objectness: bool,
    /// Number of classes.
    pub classes: usize,
    /// Index of the class person.
    pub person: usize,
}

/// Order of the dimensions of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputLayout {
    /// `[1, boxes, values]`.
    BoxesValues,
    /// `[1, values, boxes]`.
    ValuesBoxes,
}

/// What the first four values of a box are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxEncoding {
    /// Centre within the cell, and logarithms of width and height, all in cells.
    Grid,
    /// Centre, width and height in pixels of the input.
    Pixels,
}

/// Which boxes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxSelection {
    /// Minimum score, 0 to 1.
    pub score: f32,
    /// Maximum intersection over union of two kept boxes, 0 to 1.
    pub overlap: f32,
}

impl Preset {
    /// The preset `MODEL.toml` beside the detector `model`, and a description of it; `None` if there is
    /// no such file.
    pub(super) fn beside(model: &Path) -> Result<Option<(Self, String)>, String> {
        let path = model.with_extension("toml");
        if !path.exists() {
            return Ok(None);
        }
        let description = format!("preset {} beside the model", path.display());
        Ok(Some((Self::read(&path)?, description)))
    }

    /// The built-in presets, by name.
    pub(super) fn built_in() -> impl Iterator<Item = (&'static str, Self)> {
        let parse = |text| Self::parse(text).expect("a test reads every built-in preset");
        BUILT_IN
            .iter()
            .map(move |(name, text)| (*name, parse(text)))
    }

    /// Names of the built-in presets.
    pub(super) fn names() -> String {
        BUILT_IN.map(|(name, _)| name).join(", ")
    }

    fn read(path: &Path) -> Result<Self, String> {
        let named = |reason: String| format!("{}: {reason}", path.display());
        let io = |error: std::io::Error| named(error.to_string());
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_BYTES {
            return Err(named(format!("{size} bytes, wanted at most {MAX_BYTES}")));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(io)?).map_err(named)
    }

    /// Reads a preset and checks it.
    ///
    /// # Errors
    /// The key, the value found and the value wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let preset: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        preset.check()?;
        Ok(preset)
    }

    fn check(&self) -> Result<(), String> {
        let Self {
            input,
            output,
            select,
        } = self;
        let within =
            |key: &str, found: f64, low: f64, high: f64| match (low..=high).contains(&found) {
                true => Ok(()),
                false => Err(format!("{key} is {found}, wanted {low} to {high}")),
            };
        within("input.width", input.width as f64, 1.0, MAX_SIDE as f64)?;
        within("input.height", input.height as f64, 1.0, MAX_SIDE as f64)?;
        within("input.scale", input.scale.into(), 1e-6, 1e6)?;
        for (&mean, &std) in input.mean.iter().zip(&input.std) {
            within("input.mean", mean.into(), -1e6, 1e6)?;
            within("input.std", std.into(), 1e-6, 1e6)?;
        }
        within("output.index", output.index as f64, 0.0, 63.0)?;
        within("output.classes", output.classes as f64, 1.0, 100_000.0)?;
        within(
            "output.person",
            output.person as f64,
            0.0,
            (output.classes - 1) as f64,
        )?;
        within("select.score", select.score.into(), 0.0, 1.0)?;
        within("select.overlap", select.overlap.into(), 0.0, 1.0)?;
        match (output.boxes, output.strides.len()) {
            (BoxEncoding::Grid, 1..=8) => {}
            (BoxEncoding::Grid, found) => {
                return Err(format!(
                    "output.strides has {found} strides, wanted 1 to 8 for a grid"
                ));
            }
            (BoxEncoding::Pixels, 0) => {}
            (BoxEncoding::Pixels, _) => {
                return Err("output.strides belongs to boxes = \"grid\"".to_owned());
            }
        }
        for &stride in &output.strides {
            within("output.strides", stride as f64, 1.0, 1024.0)?;
        }
        Ok(())
    }
}

impl DetectorOutput {
    /// Numbers of a box.
    pub(super) fn values(&self) -> usize {
        4 + usize::from(self.objectness) + self.classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_presets_are_read() {
        let names: Vec<_> = Preset::built_in()
            .map(|(name, preset)| (name, preset.output.values()))
            .collect();
        assert_eq!(names, [("yolox", 85), ("yolov8", 84)]);
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            (
                "width = 640",
                "width = 0",
                "input.width is 0, wanted 1 to 4096",
            ),
            (
                "width = 640",
                "width = 640\ndepth = 3",
                "unknown field `depth`",
            ),
            ("\"bgr\"", "\"bgra\"", "unknown variant `bgra`"),
            ("scale = 1.0", "scale = nan", "input.scale is NaN"),
            (
                "std = [1.0, 1.0, 1.0]",
                "std = [1.0, 0.0, 1.0]",
                "input.std is 0",
            ),
            (
                "person = 0",
                "person = 80",
                "output.person is 80, wanted 0 to 79",
            ),
            ("classes = 80", "classes = 0", "output.classes is 0"),
            ("strides = [8, 16, 32]", "", "output.strides has 0 strides"),
            (
                "strides = [8, 16, 32]",
                "strides = [8, 0]",
                "output.strides is 0",
            ),
            (
                "boxes = \"grid\"",
                "boxes = \"pixels\"",
                "output.strides belongs to",
            ),
            (
                "score = 0.4",
                "score = 1.5",
                "select.score is 1.5, wanted 0 to 1",
            ),
            ("objectness = true", "", "missing field `objectness`"),
        ];
        let (_, good) = BUILT_IN[0];
        for (from, to, wanted) in cases {
            assert!(good.contains(from), "{from}");
            let error = Preset::parse(&good.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(wanted), "{to}: {error}");
        }
    }
}
