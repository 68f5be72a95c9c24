//! Boxes in CSV with a header line: see [`super::given::Format::Csv`].

use super::row::{Key, Row, excerpt, number, whole};

/// The most fields of a line.
const MAX_FIELDS: usize = 256;

/// Where the columns that we read are, from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    count: usize,
    frame: usize,
    bbox: [usize; 4],
    score: Option<usize>,
    track: Option<(usize, &'static str)>,
}

impl Columns {
    /// Reads the header line.
    pub(super) fn of(header: &str) -> Result<Self, String> {
        let names = fields(header)?;
        let find = |wanted: &str| {
            let mut found = (0..names.len()).filter(|&at| names[at].eq_ignore_ascii_case(wanted));
            match (found.next(), found.next()) {
                (Some(_), Some(_)) => Err(format!("two columns are called `{wanted}`")),
                (at, _) => Ok(at),
            }
        };
        let need = |wanted: &str| {
            find(wanted)?.ok_or_else(|| {
                format!(
                    "the header is `{}`, wanted at least `frame,x,y,w,h`: no `{wanted}`",
                    excerpt(header)
                )
            })
        };
        let track = match (find("track")?, find("id")?) {
            (Some(_), Some(_)) => return Err("there are both `track` and `id`".to_owned()),
            (Some(at), None) => Some((at, "track")),
            (None, Some(at)) => Some((at, "id")),
            (None, None) => None,
        };
        Ok(Self {
            count: names.len(),
            frame: need("frame")?,
            bbox: [need("x")?, need("y")?, need("w")?, need("h")?],
            score: find("score")?,
            track,
        })
    }

    /// Reads a box. Score and track may be empty.
    pub(super) fn row(&self, line: &str) -> Result<Row, String> {
        let fields = fields(line)?;
        if fields.len() != self.count {
            return Err(format!(
                "{} fields, wanted {} as in the header",
                fields.len(),
                self.count
            ));
        }
        let [x, y, w, h] = self.bbox.map(|at| fields[at].as_str());
        let optional = |at: usize| Some(fields[at].as_str()).filter(|text| !text.is_empty());
        Ok(Row {
            frame: key(&fields[self.frame])?,
            bbox: [
                number("x", x)?,
                number("y", y)?,
                number("w", w)?,
                number("h", h)?,
            ],
            score: self
                .score
                .and_then(optional)
                .map(|text| number("score", text))
                .transpose()?,
            track: self
                .track
                .and_then(|(at, name)| optional(at).map(|text| whole(name, text)))
                .transpose()?,
        })
    }
}

/// The fields of one line, unquoted and trimmed.
pub(super) fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut reader = csv_core::Reader::new();
    let mut text = vec![0; line.len()];
    let mut ends = [0; MAX_FIELDS];
    let (result, _, written, count) = reader.read_record(line.as_bytes(), &mut text, &mut ends);
    let (written, count) = match result {
        csv_core::ReadRecordResult::OutputEndsFull => {
            return Err(format!("more than {MAX_FIELDS} fields"));
        }
        // The line goes without its end: an empty input says that there is no more to come. What
        // that adds, it adds behind.
        csv_core::ReadRecordResult::InputEmpty => {
            let (result, _, more, last) =
                reader.read_record(&[], &mut text[written..], &mut ends[count..]);
            if result == csv_core::ReadRecordResult::OutputEndsFull {
                return Err(format!("more than {MAX_FIELDS} fields"));
            }
            (written + more, count + last)
        }
        _ => (written, count),
    };
    let text = std::str::from_utf8(&text[..written]).map_err(|e| e.to_string())?;
    let mut start = 0;
    ends[..count]
        .iter()
        .map(|&end| {
            let field = text
                .get(start..end)
                .ok_or("quoted in a way that is not CSV")?;
            start = end;
            Ok(field.trim().to_owned())
        })
        .collect()
}

/// A frame's index, or the file name of an image.
fn key(text: &str) -> Result<Key, String> {
    if text.is_empty() {
        return Err("frame is empty, wanted an index from 0 or a file name".to_owned());
    }
    // What looks like a number is meant as one: -1 and 3.5 are mistakes, not names of images.
    if text.parse::<f64>().is_ok() {
        return whole("frame", text).map(Key::Index);
    }
    Ok(Key::Name(text.to_owned()))
}
