//! What a line of a file of boxes says, whatever its format.

use std::str::FromStr;

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
}

/// A number with a fraction.
pub(super) fn number(name: &str, text: &str) -> Result<f32, String> {
    parse(name, text, "a number")
}

/// A number from 0 without a fraction.
pub(super) fn whole(name: &str, text: &str) -> Result<u64, String> {
    parse(name, text, "a whole number from 0")
}

/// The beginning of a text that may be long, for error messages.
pub(super) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

fn parse<T: FromStr>(name: &str, text: &str, wanted: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{name} is `{}`, wanted {wanted}", excerpt(text)))
}
