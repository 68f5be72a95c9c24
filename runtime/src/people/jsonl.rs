//! Boxes as JSON lines: see [`super::given::Format::JsonLines`].

use serde::Deserialize;

use super::row::{Key, Row, excerpt};

#[derive(Debug, Deserialize)]
struct Line {
    frame: Frame,
    r#box: [f32; 4],
    score: Option<f32>,
    track: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "frame: wanted an index from 0 or a file name")]
enum Frame {
    Index(u64),
    Name(String),
}

/// Reads a line.
pub(super) fn row(line: &str) -> Result<Row, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| {
        // serde ends with " at line 1 column 7"; the line is ours to count.
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        format!(
            "{text} (column {}), found `{}`",
            error.column(),
            excerpt(line)
        )
    })?;
    Ok(Row {
        frame: match line.frame {
            Frame::Index(index) => Key::Index(index),
            Frame::Name(name) => Key::Name(name),
        },
        bbox: line.r#box,
        score: line.score,
        track: line.track,
    })
}
