//! Boxes as JSON lines: see [`super::given::Format::JsonLines`].

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::row::{Key, Row, excerpt, integer_of};

#[derive(Debug, Deserialize)]
struct Line {
    frame: Frame,
    r#box: [f32; 4],
    score: Option<f32>,
    track: Option<Whole>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "frame: wanted an index from 0 or a file name")]
enum Frame {
    Index(Whole),
    Name(String),
}

/// A whole number from 0; `7.0` is one.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Number")]
struct Whole(u64);

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "wanted a whole number from 0")]
enum Number {
    Integer(u64),
    Float(f64),
}

impl TryFrom<Number> for Whole {
    type Error = String;

    fn try_from(number: Number) -> Result<Self, String> {
        match number {
            Number::Integer(value) => Ok(Self(value)),
            Number::Float(value) => integer_of(value)
                .and_then(|value| u64::try_from(value).ok())
                .map(Self)
                .ok_or_else(|| format!("found {value}, wanted a whole number from 0")),
        }
    }
}

/// Whether a line is an event of `reid run`: those between its observations are no boxes.
pub(super) fn is_event(line: &str) -> bool {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "event")]
        _event: String,
        frame: Option<IgnoredAny>,
    }
    line.contains("\"event\"")
        && serde_json::from_str::<Event>(line).is_ok_and(|event| event.frame.is_none())
}

/// Reads a line.
pub(super) fn row(line: &str) -> Result<Row, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| {
        // serde ends with " at line 1 column 7"; the line is ours to count.
        let text = error.to_string();
        let text = text
            .split_once(" at line ")
            .map_or(&*text, |(text, _)| text);
        format!(
            "{text} (column {}), found `{}`",
            error.column(),
            excerpt(line)
        )
    })?;
    Ok(Row {
        frame: match line.frame {
            Frame::Index(Whole(index)) => Key::Index(index),
            Frame::Name(name) => Key::Name(name),
        },
        bbox: line.r#box,
        score: line.score,
        track: line.track.map(|Whole(track)| track),
        left_out: None,
    })
}
