//! The configuration of a device: `reid.toml`, and `REID_...` environment variables that override it.
//!
//! `configs/reid.toml`, the commented example, is the one list of keys: [`KEYS`] is read from it. [`Config`]
//! holds what a file states; ranges are checked where a value is used, with the key's name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use cli::settings;
use serde::{Deserialize, Deserializer};
use toml::Table;

/// The commented example.
const EXAMPLE: &str = include_str!("../../configs/reid.toml");

/// A key of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its path with dots: `gallery.retention`; keys of each camera begin with `camera.`.
    pub path: String,
    /// What is used without it.
    pub default: String,
    /// Meaning, with unit and range.
    pub meaning: String,
}

/// Every key, in the order of the example.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| keys(EXAMPLE));

/// Keys of older versions, and the names that they have now.
const RENAMED: [(&str, &str); 12] = [
    ("quality.height", "quality.min_height"),
    ("quality.border", "quality.min_edge_distance"),
    ("quality.squat", "quality.max_aspect"),
    ("quality.overlap", "quality.max_overlap"),
    ("quality.sharpness", "quality.min_sharpness"),
    ("tracks.interval", "tracks.crop_interval"),
    ("tracks.recheck", "tracks.recheck_interval"),
    ("tracks.per_frame", "tracks.max_crops_per_frame"),
    ("tracks.sure", "tracks.min_start_score"),
    ("gallery.novelty", "gallery.max_exemplar_similarity"),
    ("output.video", "output.save_video"),
    ("output.crops", "output.save_crops"),
];

/// Reads the keys of an example: the comment above a key is its meaning, a line `#:` shows a key whose
/// default is named at the end of the comment.
fn keys(example: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let (mut section, mut comment) = (String::new(), String::new());
    for line in example.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            text.clone_into(&mut comment);
            continue;
        }
        let uncommented = line.strip_prefix("#:");
        let (path, value) = match uncommented.unwrap_or(line).split_once(" = ") {
            _ if OPEN.contains(&section.as_str()) => continue,
            Some((name, value)) if section.is_empty() => (name.to_owned(), value),
            Some((name, value)) => (format!("{section}.{name}"), value),
            None if line.is_empty() => continue,
            None => {
                let header = uncommented.unwrap_or(line);
                header.trim_matches(['[', ']']).clone_into(&mut section);
                if !OPEN.contains(&section.as_str()) {
                    continue;
                }
                (section.clone(), "")
            }
        };
        let (meaning, default) = match comment.split_once(" Default: ") {
            Some((meaning, default)) => (meaning, default),
            None => (comment.as_str(), value.trim_matches('"')),
        };
        keys.push(Key {
            path,
            default: default.trim_end_matches('.').to_owned(),
            meaning: meaning.trim_end_matches('.').to_owned(),
        });
    }
    keys
}

/// Keys whose value is a table with keys of the user's own.
const OPEN: &[&str] = &["camera.controls"];

/// What a file and the environment state. Everything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct Config {
    pub model: Option<PathBuf>,
    pub sidecar: Option<PathBuf>,
    pub device: Option<String>,
    pub threads: Option<usize>,
    pub batch: Option<usize>,
    pub threshold: Option<f32>,
    pub boxes: Option<String>,
    pub quality: QualityConfig,
    pub tracks: TracksConfig,
    pub visits: VisitsConfig,
    pub gallery: GalleryConfig,
    pub output: OutputConfig,
    pub camera: Vec<CameraConfig>,
}

/// `[quality]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct QualityConfig {
    pub min_height: Option<f32>,
    pub min_edge_distance: Option<f32>,
    pub max_aspect: Option<f32>,
    pub max_overlap: Option<f32>,
    pub min_sharpness: Option<f32>,
}

/// `[tracks]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct TracksConfig {
    pub crops: Option<usize>,
    pub contradictions: Option<usize>,
    #[serde(deserialize_with = "duration")]
    pub max_gap: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub crop_interval: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub recheck_interval: Option<Duration>,
    pub max_crops_per_frame: Option<usize>,
    pub min_start_score: Option<f32>,
}

/// `[visits]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct VisitsConfig {
    #[serde(deserialize_with = "duration")]
    pub min_absence: Option<Duration>,
}

/// `[gallery]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct GalleryConfig {
    pub file: Option<PathBuf>,
    #[serde(deserialize_with = "duration")]
    pub retention: Option<Duration>,
    pub max_identities: Option<usize>,
    pub max_exemplars: Option<usize>,
    pub max_exemplar_similarity: Option<f32>,
}

/// `[output]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct OutputConfig {
    pub json: bool,
    pub observations: bool,
    pub save_video: Option<PathBuf>,
    pub report: Option<PathBuf>,
    pub save_crops: Option<PathBuf>,
}

/// One `[[camera]]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "KEYS documents every field under its path")]
pub struct CameraConfig {
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
        /// Error of the system.
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
    /// Reads a file; `env`, pairs of names and values, overrides its keys with the variables that stand
    /// for them ([`variable`]).
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
        settings::refuse_renamed(&table, &RENAMED).map_err(malformed)?;
        let keys: Vec<&str> = KEYS.iter().map(|key| key.path.as_str()).collect();
        settings::check(&table, &keys, OPEN).map_err(malformed)?;
        // Each alone first, so that the message names the origin of a wrong value.
        from(table.clone(), origin)?;
        let env: BTreeMap<String, String> = env.into_iter().collect();
        for key in variable_keys() {
            let name = variable(&key.path);
            if let Some(value) = env.get(&name) {
                settings::put(&mut table, &key.path, settings::value(value)).map_err(malformed)?;
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

/// Refuses a variable that begins like ours and stands for no key: a run that ignored it would not be
/// what was asked for.
fn check_variable(name: &str) -> Result<(), Error> {
    let refused = |reason| {
        Err(Error::Malformed {
            origin: "environment".to_owned(),
            reason,
        })
    };
    if let Some((_, new)) = RENAMED.iter().find(|(old, _)| variable(old) == name) {
        let new = variable(new);
        return refused(format!("the variable `{name}` is now called `{new}`"));
    }
    let known = || variable_keys().map(|key| variable(&key.path));
    let other = |other: &str| name == other || other.ends_with('_') && name.starts_with(other);
    if !name.starts_with("REID_")
        || known().any(|known| known == name)
        || OTHER_VARIABLES.iter().copied().any(other)
    {
        return Ok(());
    }
    let nearest = settings::nearest(name, known()).expect("there are keys");
    refused(format!(
        "no key has the variable `{name}`; the nearest is `{nearest}`"
    ))
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
