//! Boxes as the MOT Challenge writes them: see [`super::given::Format::Mot`].

use super::csv::Separator;
use super::row::{Key, LeftOut, Row, bbox, integer, number};

/// Classes that are persons: 1 is MOT's pedestrian; 0 is COCO's person, which detectors write; -1
/// stands for no class.
const PERSONS: [f32; 3] = [1.0, 0.0, -1.0];

/// Reads a line with its own frame number: only the whole file shows whether frames count from 0.
pub(super) fn row(line: &str, separator: Separator, truth: bool) -> Result<Row, String> {
    let fields = separator.fields(line)?;
    let text = |at: usize| fields.get(at).map(String::as_str);
    let (6..=10, [frame, id, x, y, w, h, ..]) = (fields.len(), fields.as_slice()) else {
        return Err(format!(
            "{} fields, wanted 6 to 10: frame, id, x, y, w, h, confidence, ...",
            fields.len()
        ));
    };
    let frame = integer("frame", frame, "a whole number")?;
    let frame =
        u64::try_from(frame).map_err(|_| format!("frame is {frame}, wanted a number from 1"))?;
    let track = match integer("id", id, "a whole number")? {
        // Detections without a track.
        -1 => None,
        id => Some(u64::try_from(id).map_err(|_| format!("id is {id}, wanted -1 or more"))?),
    };
    let confidence = text(6).map(|text| number("confidence", text)).transpose()?;
    let classified = fields.len() == 9;
    // A flag in ground truth. A tracker that writes classes keeps its confidence there.
    let flag = truth || (classified && [Some(0.0), Some(1.0)].contains(&confidence));
    let class = match text(7) {
        Some(text) if classified => number("class", text)?,
        _ => 1.0,
    };
    let left_out = if flag && confidence == Some(0.0) {
        Some(LeftOut::Flag)
    } else if !PERSONS.contains(&class) {
        Some(LeftOut::Class(class.to_string()))
    } else {
        None
    };
    Ok(Row {
        frame: Key::Index(frame),
        bbox: bbox([x, y, w, h])?,
        score: confidence.filter(|_| !flag),
        track,
        left_out,
    })
}
