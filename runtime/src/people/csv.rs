//! Boxes in CSV with a header line: see [`super::given::Format::Csv`].

use super::row::{Key, Row, bbox, excerpt, number, whole};

/// The most fields of a line.
const MAX_FIELDS: usize = 256;

/// What stands between the fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Byte(u8),
    /// Any number of blanks and tabs. No field can be empty.
    Blanks,
}

impl Separator {
    /// The separator of a file, from its first line.
    pub(super) fn of(line: &str) -> Self {
        let byte = b",;\t".iter().find(|byte| line.as_bytes().contains(byte));
        byte.map_or(Self::Blanks, |&byte| Self::Byte(byte))
    }

    /// The separator of a file in which no field is empty: tabs and blanks may be mixed.
    pub(super) fn of_full(line: &str) -> Self {
        match Self::of(line) {
            Self::Byte(b'\t') => Self::Blanks,
            separator => separator,
        }
    }

    /// The fields of one line, unquoted and trimmed.
    pub(super) fn fields(self, line: &str) -> Result<Vec<String>, String> {
        match self {
            Self::Byte(byte) => fields(line, byte),
            Self::Blanks => {
                let fields: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
                match fields.len() {
                    0..=MAX_FIELDS => Ok(fields),
                    _ => Err(format!("more than {MAX_FIELDS} fields")),
                }
            }
        }
    }
}

/// Where the columns that we read are, from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns {
    separator: Separator,
    count: usize,
    frame: usize,
    bbox: [usize; 4],
    score: Option<(usize, &'static str)>,
    track: Option<(usize, &'static str)>,
}

impl Columns {
    /// Reads the header line.
    pub(super) fn of(header: &str) -> Result<Self, String> {
        let separator = Separator::of(header);
        let names = separator.fields(header)?;
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
        // Other programs' names of a column that need not be there.
        let any = |wanted: &[&'static str]| {
            let mut found = None;
            for &name in wanted {
                match (find(name)?, found) {
                    (Some(_), Some((_, other))) => {
                        return Err(format!("there are both `{other}` and `{name}`"));
                    }
                    (Some(at), None) => found = Some((at, name)),
                    (None, _) => {}
                }
            }
            Ok(found)
        };
        Ok(Self {
            separator,
            count: names.len(),
            frame: need("frame")?,
            bbox: [need("x")?, need("y")?, need("w")?, need("h")?],
            score: any(&["score", "confidence", "conf"])?,
            track: any(&["track", "id"])?,
        })
    }

    /// Reads a box. Score and track may be empty.
    pub(super) fn row(&self, line: &str) -> Result<Row, String> {
        let fields = self.separator.fields(line)?;
        if fields.len() != self.count {
            return Err(format!(
                "{} fields, wanted {} as in the header",
                fields.len(),
                self.count
            ));
        }
        let optional = |column: Option<(usize, &'static str)>| {
            let (at, name) = column?;
            (!fields[at].is_empty()).then(|| (name, fields[at].as_str()))
        };
        Ok(Row {
            frame: key(&fields[self.frame])?,
            bbox: bbox(self.bbox.map(|at| fields[at].as_str()))?,
            score: optional(self.score)
                .map(|(name, text)| number(name, text))
                .transpose()?,
            track: optional(self.track)
                .map(|(name, text)| whole(name, text))
                .transpose()?,
            left_out: None,
        })
    }
}

fn fields(line: &str, separator: u8) -> Result<Vec<String>, String> {
    let mut reader = csv_core::ReaderBuilder::new().delimiter(separator).build();
    let mut text = vec![0; line.len()];
    let mut ends = [0; MAX_FIELDS];
    let (result, _, written, count) = reader.read_record(line.as_bytes(), &mut text, &mut ends);
    let (written, count) = match result {
        csv_core::ReadRecordResult::OutputEndsFull => {
            return Err(format!("more than {MAX_FIELDS} fields"));
        }
        // The line goes without its end: an empty input marks the end. What
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
