//! Boxes as the MOT Challenge writes them: see [`super::given::Format::Mot`].

use super::csv::fields;
use super::row::{Key, Row, number};

/// Reads a line; `None` for an entry of ground truth that is not to be considered.
///
/// "All frame numbers, target IDs and bounding boxes are 1-based"
/// (<https://motchallenge.net/instructions/>): frame 1 is index 0, and pixel 1 is pixel 0.
pub(super) fn row(line: &str, truth: bool) -> Result<Option<Row>, String> {
    let fields = fields(line)?;
    let text = |at: usize| fields.get(at).map(String::as_str);
    let (6..=10, [frame, id, x, y, w, h, ..]) = (fields.len(), fields.as_slice()) else {
        return Err(format!(
            "{} fields, wanted 6 to 10: frame, id, x, y, w, h, confidence, ...",
            fields.len()
        ));
    };
    let frame = whole("frame", frame)?;
    if frame < 1 {
        return Err(format!("frame is {frame}, wanted a number from 1"));
    }
    let track = match whole("id", id)? {
        // Detections that nobody tracked.
        -1 => None,
        id => Some(u64::try_from(id).map_err(|_| format!("id is {id}, wanted -1 or more"))?),
    };
    let confidence = text(6).map(|text| number("confidence", text)).transpose()?;
    let classified = fields.len() == 9;
    if classified || truth {
        let class = match text(7) {
            Some(class) if classified => number("class", class)?,
            _ => 1.0,
        };
        if confidence == Some(0.0) || class != 1.0 {
            return Ok(None);
        }
    }
    Ok(Some(Row {
        frame: Key::Index((frame - 1) as u64),
        bbox: [
            number("x", x)? - 1.0,
            number("y", y)? - 1.0,
            number("w", w)?,
            number("h", h)?,
        ],
        score: confidence.filter(|_| !classified && !truth),
        track,
    }))
}

/// A whole number; some tools write it as `7.0` or `7.00000000e+00`.
fn whole(name: &str, text: &str) -> Result<i64, String> {
    // Beyond 2^53 an f64 does not count whole numbers any more.
    const MAX: f64 = 9_007_199_254_740_992.0;
    match text.parse::<f64>() {
        Ok(value) if value.fract() == 0.0 && value.abs() <= MAX => Ok(value as i64),
        _ => Err(format!(
            "{name} is `{}`, wanted a whole number",
            super::row::excerpt(text)
        )),
    }
}
