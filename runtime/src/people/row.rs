//! A line of a file of boxes, independent of its format.

use std::fmt;

/// The frame that a box belongs to, as a file names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Index(u64),
    Name(String),
}

/// A box as a line of a file has it, not checked yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) frame: Key,
    /// Left, top, width, height.
    pub(super) bbox: [f32; 4],
    pub(super) score: Option<f32>,
    pub(super) track: Option<u64>,
    pub(super) left_out: Option<LeftOut>,
}

/// Why a box is left out of those of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeftOut {
    /// Ground truth marks it as not to be considered.
    Flag,
    /// It is no person.
    Class(String),
    /// No box of a picture has these values.
    Box,
    /// One of many more reasons.
    Other,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag 0 of the ground truth"),
            Self::Class(class) => write!(f, "class {class}, which is no person"),
            Self::Box => f.write_str("impossible box"),
            Self::Other => f.write_str("other classes, which are no persons"),
        }
    }
}

/// A number with a fraction.
pub(super) fn number(name: &str, text: &str) -> Result<f32, String> {
    text.parse().map_err(|_| unexpected(name, text, "a number"))
}

/// Left, top, width and height.
pub(super) fn bbox([x, y, w, h]: [&str; 4]) -> Result<[f32; 4], String> {
    let [x, y] = [number("x", x)?, number("y", y)?];
    Ok([x, y, number("w", w)?, number("h", h)?])
}

/// A whole number from 0.
pub(super) fn whole(name: &str, text: &str) -> Result<u64, String> {
    const WANTED: &str = "a whole number from 0";
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    let value = integer(name, text, WANTED)?;
    u64::try_from(value).map_err(|_| unexpected(name, text, WANTED))
}

/// A whole number with a sign. Programs that keep tables as floats write it as `7.0` or
/// `7.00000000e+00`.
pub(super) fn integer(name: &str, text: &str, wanted: &str) -> Result<i64, String> {
    let value = text.parse::<f64>().ok().and_then(integer_of);
    value.ok_or_else(|| unexpected(name, text, wanted))
}

/// The whole number that a float stands for, if it stands for one.
pub(super) fn integer_of(value: f64) -> Option<i64> {
    // Beyond 2^53 an f64 skips whole numbers.
    const MAX: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() <= MAX).then_some(value as i64)
}

/// The beginning of a text that may be long, for error messages.
pub(super) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

fn unexpected(name: &str, text: &str, wanted: &str) -> String {
    format!("{name} is `{}`, wanted {wanted}", excerpt(text))
}
