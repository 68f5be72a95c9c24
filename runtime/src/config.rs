//! What a device is told once: `reid.toml`, and `REID_...` variables over it.
//!
//! [`KEYS`] is the one list of what can be said: it documents every key, finds the nearest one to a
//! misspelt one, names the environment variables, and is compared with the commented example in
//! `configs/reid.toml` by a test. [`Config`] is what was said; its ranges are checked by whoever
//! uses a value, with the key's name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::settings;
use serde::{Deserialize, Deserializer};
use toml::Table;

/// A key of the file, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Where it stands, with dots: `gallery.retention`; keys of each camera begin with `camera.`.
    pub path: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it says, with unit and range.
    pub meaning: &'static str,
}

const fn key(path: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        default,
        meaning,
    }
}

/// Every key there is.
pub const KEYS: &[Key] = &[
    key("model", "none", "the model, an ONNX file"),
    key(
        "sidecar",
        "MODEL.toml beside the model",
        "what the model says nothing of",
    ),
    key("device", "auto", "what computes: auto, gpu, cpu or tract"),
    key(
        "threads",
        "0",
        "threads that compute, 0 to 256; 0 takes one a core",
    ),
    key("batch", "1", "crops computed at once, 1 to 256"),
    key(
        "threshold",
        "the model's own",
        "cosine similarities at or above it mean the same person, -1 to 1",
    ),
    key(
        "boxes",
        "motion",
        "where people are: motion, whole, a file of boxes, or a detector (.onnx)",
    ),
    key(
        "quality.height",
        "96",
        "least height of a crop worth embedding, in pixels",
    ),
    key(
        "quality.border",
        "0.03",
        "how near to the edge a box may end, as a share of its size; below 0 lets all through",
    ),
    key(
        "quality.squat",
        "0.65",
        "greatest width of a box for a height of 1",
    ),
    key(
        "quality.overlap",
        "0.4",
        "largest share of a box that another may cover, 0 to 1",
    ),
    key(
        "quality.sharpness",
        "20",
        "least variance of the Laplacian of a crop",
    ),
    key(
        "tracks.crops",
        "3",
        "good crops of a visit that decide who it is, 1 to 8",
    ),
    key(
        "tracks.contradictions",
        "3",
        "crops in a row that take a decision back, 1 to 8",
    ),
    key(
        "tracks.max_gap",
        "3s",
        "how long somebody may be out of sight within a visit",
    ),
    key(
        "tracks.interval",
        "200ms",
        "time between two crops of somebody not yet decided",
    ),
    key(
        "tracks.recheck",
        "2s",
        "time between two crops of somebody decided",
    ),
    key(
        "tracks.per_frame",
        "8",
        "most crops embedded of one frame, 1 to 64",
    ),
    key(
        "tracks.sure",
        "0.5",
        "detector scores from which on a box may begin a visit",
    ),
    key(
        "gallery.file",
        "none, all is forgotten at the end",
        "where identities are kept",
    ),
    key(
        "gallery.retention",
        "24h",
        "how long somebody generated is remembered after the last visit; 0s for ever",
    ),
    key(
        "gallery.max_identities",
        "10000",
        "most generated identities; the one not seen for longest goes first",
    ),
    key(
        "gallery.max_exemplars",
        "8",
        "most exemplars of one identity, 1 to 256",
    ),
    key(
        "gallery.novelty",
        "0.9",
        "an observation less similar than this to all exemplars becomes one, -1 to 1",
    ),
    key(
        "output.json",
        "false",
        "one JSON line an observation on stdout",
    ),
    key("output.video", "none", "an annotated Motion-JPEG file"),
    key("output.report", "none", "an HTML page about the run"),
    key(
        "output.crops",
        "none",
        "a folder that keeps the crops behind the exemplars",
    ),
    key(
        "camera.source",
        "needed",
        "what to watch: /dev/video0, camera:NAME, a file, a folder, a named pipe, or - for standard input",
    ),
    key(
        "camera.name",
        "the source",
        "what the source is called in the output",
    ),
    key(
        "camera.boxes",
        "as above",
        "where people are, for this camera",
    ),
    key(
        "camera.fps",
        "the source's",
        "frames a second: asked of a camera, assumed for files",
    ),
    key(
        "camera.width",
        "the camera's",
        "width to ask the camera for, in pixels",
    ),
    key(
        "camera.height",
        "the camera's",
        "height to ask the camera for, in pixels",
    ),
    key(
        "camera.format",
        "MJPG, else what there is",
        "pixels to ask the camera for: MJPG, YUYV, NV12 or GREY",
    ),
    key(
        "camera.controls",
        "as the camera is",
        "a table of the camera's controls and their values",
    ),
    key(
        "camera.zones",
        "everywhere",
        "polygons in which people count, each 'x,y x,y x,y' in shares of the picture",
    ),
    key(
        "camera.masks",
        "none",
        "polygons that are not looked at, in the same form",
    ),
];

/// Keys whose value is a table with keys of the user's own.
const OPEN: &[&str] = &["camera.controls"];

/// What was said. Everything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct Config {
    pub model: Option<PathBuf>,
    pub sidecar: Option<PathBuf>,
    pub device: Option<String>,
    pub threads: Option<usize>,
    pub batch: Option<usize>,
    pub threshold: Option<f32>,
    pub boxes: Option<String>,
    pub quality: Quality,
    pub tracks: Tracks,
    pub gallery: Gallery,
    pub output: Output,
    pub camera: Vec<Camera>,
}

/// `[quality]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct Quality {
    pub height: Option<f32>,
    pub border: Option<f32>,
    pub squat: Option<f32>,
    pub overlap: Option<f32>,
    pub sharpness: Option<f32>,
}

/// `[tracks]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct Tracks {
    pub crops: Option<usize>,
    pub contradictions: Option<usize>,
    #[serde(deserialize_with = "duration")]
    pub max_gap: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub interval: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub recheck: Option<Duration>,
    pub per_frame: Option<usize>,
    pub sure: Option<f32>,
}

/// `[gallery]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct Gallery {
    pub file: Option<PathBuf>,
    #[serde(deserialize_with = "duration")]
    pub retention: Option<Duration>,
    pub max_identities: Option<usize>,
    pub max_exemplars: Option<usize>,
    pub novelty: Option<f32>,
}

/// `[output]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct Output {
    pub json: bool,
    pub video: Option<PathBuf>,
    pub report: Option<PathBuf>,
    pub crops: Option<PathBuf>,
}

/// One `[[camera]]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct Camera {
    pub source: String,
    pub name: Option<String>,
    pub boxes: Option<String>,
    pub fps: Option<f64>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub format: Option<String>,
    #[serde(default)]
    pub controls: BTreeMap<String, i64>,
    #[serde(default)]
    pub zones: Vec<String>,
    #[serde(default)]
    pub masks: Vec<String>,
}

/// What is wrong with a config. Each message names the file or variable, the key, and what is
/// wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read: check the path and the permissions.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// No TOML, an unknown key, or a value of another type than wanted.
    #[error("{origin}: {reason}")]
    Malformed {
        /// The file, or the environment variable.
        origin: String,
        /// What is wrong.
        reason: String,
    },
}

impl Config {
    /// Reads a file, with the environment variables that `env` gives over it: pairs of names and
    /// values, of which those that stand for a key count ([`variable`]).
    ///
    /// # Errors
    /// [`Error`] with the file or the variable, and the key.
    pub fn read(
        path: &Path,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, &path.display().to_string(), env)
    }

    /// As [`Config::read`], of a file's text; `origin` is named in messages.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(
        text: &str,
        origin: &str,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let malformed = |reason| Error::Malformed {
            origin: origin.to_owned(),
            reason,
        };
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error
                .span()
                .map_or(1, |span| text[..span.start].lines().count().max(1));
            malformed(format!("line {line}: {}", error.message()))
        })?;
        let keys: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
        settings::check(&table, &keys, OPEN).map_err(malformed)?;
        // Each alone first, so that a wrong value is told with its own origin.
        from(table.clone(), origin)?;
        let env: BTreeMap<String, String> = env.into_iter().collect();
        for key in variable_keys() {
            let name = variable(key.path);
            if let Some(value) = env.get(&name) {
                settings::put(&mut table, key.path, settings::value(value)).map_err(malformed)?;
                from(table.clone(), &name)?;
            }
        }
        for name in env.keys() {
            check_variable(name)?;
        }
        from(table, origin)
    }
}

/// The environment variable that stands for a key: `gallery.retention` is
/// `REID_GALLERY_RETENTION`.
#[must_use]
pub fn variable(path: &str) -> String {
    format!("REID_{}", path.replace('.', "_").to_uppercase())
}

/// Variables that begin like those of keys and belong to the tests and measurements of this
/// repository; those that end with `_` begin the names of several.
const OTHER_VARIABLES: &[&str] = &[
    "REID_BENCH_",
    "REID_CPU",
    "REID_CROPS",
    "REID_DATA",
    "REID_ONNX",
    "REID_PTH",
    "REID_REQUIRE",
    "REID_STEPS",
    "REID_TEST_",
];

/// The variables of this process that begin with `REID_`.
///
/// # Errors
/// [`Error::Malformed`] with the name of one whose value is no text.
pub fn environment() -> Result<Vec<(String, String)>, Error> {
    // Not `vars`, which panics on any variable that is no UTF-8.
    let ours = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("REID_"));
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(Error::Malformed {
            origin: name,
            reason: "its value is not UTF-8".to_owned(),
        }),
    })
    .collect()
}

/// Keys that a variable can stand for: there may be several cameras.
fn variable_keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(|key| !key.path.starts_with("camera."))
}

/// Refuses a variable that begins like one of ours and is none: it would be passed over otherwise,
/// and the run would not be what was asked for.
fn check_variable(name: &str) -> Result<(), Error> {
    let known = || variable_keys().map(|key| variable(key.path));
    let other = |other: &str| name == other || other.ends_with('_') && name.starts_with(other);
    if !name.starts_with("REID_")
        || known().any(|known| known == name)
        || OTHER_VARIABLES.iter().copied().any(other)
    {
        return Ok(());
    }
    let nearest = settings::nearest(name, known()).unwrap_or_default();
    Err(Error::Malformed {
        origin: "environment".to_owned(),
        reason: format!("no key has the variable `{name}`; the nearest is `{nearest}`"),
    })
}

fn from(table: Table, origin: &str) -> Result<Config, Error> {
    table
        .try_into()
        .map_err(|error: toml::de::Error| Error::Malformed {
            origin: origin.to_owned(),
            reason: settings::one_line(&error),
        })
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map(Some).map_err(|error| {
        serde::de::Error::custom(format!(
            "`{text}`: {error}; wanted such as 24h, 3s or 200ms"
        ))
    })
}

#[cfg(test)]
mod tests;
