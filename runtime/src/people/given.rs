//! Boxes that somebody else found, from a file: read once, then looked up by the frame's index or
//! file name.
//!
//! Lines are parsed by `csv`, `mot` and `jsonl`; here they are bounded,
//! checked and sorted by frame.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use kernels::crop::BBox;

use super::lines::Lines;
use super::row::{Key, Row};
use super::{Error, MAX_PEOPLE, Person, Persons, Result, csv, jsonl, mot};
use crate::source::Frame;

/// The most boxes of one file: 2^22, or 200 MB of memory. Ten people at 25 frames a second fill it
/// in 4.6 hours.
pub const MAX_BOXES: usize = 1 << 22;

/// The largest coordinate or size: 2^24, up to which an f32 still counts whole pixels.
const MAX_COORDINATE: f32 = 16_777_216.0;

/// How a file of boxes is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header that names the columns, then a box a line: `frame` (index from 0, or the file name
    /// of an image), `x`, `y`, `w`, `h`, and if present `score` and `track` or `id`. Any other
    /// column is ignored.
    Csv,
    /// MOT Challenge without a header: `frame, id, x, y, w, h, confidence, ...`, frames and pixels
    /// counted from 1. In ground truth (nine columns, or a file called `gt.txt`) the seventh column
    /// is a flag instead of a confidence, and rows with a 0 there are passed over; so are rows
    /// whose eighth column of nine is not class 1, a pedestrian.
    Mot {
        /// Whether the file is known to be ground truth.
        truth: bool,
    },
    /// A JSON object a line with `frame` (index or file name) and `box` (`[x, y, w, h]`), and if
    /// present `score` and `track`. Other keys are ignored, so the observations that `reid run
    /// --json` prints can be read again.
    JsonLines,
}

impl Format {
    /// The format that the ending of a file's name stands for.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Some(Self::Csv),
            "txt" => Some(Self::Mot {
                truth: path.file_name().is_some_and(|name| name == "gt.txt"),
            }),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// Reads a line; `None` if its box is not to be considered.
type Parse = dyn Fn(&str) -> Result<Option<Row>, String>;

/// The boxes of a file, by frame.
#[derive(Debug)]
pub struct Given {
    people: Vec<Person>,
    /// Sorted by frame.
    groups: Vec<Group>,
    /// Numbers that stand for frames which are named by files; `None` if they are named by index.
    names: Option<HashMap<String, u64>>,
}

/// The people of one frame: a range of [`Given::people`].
#[derive(Debug)]
struct Group {
    frame: u64,
    start: u32,
    kept: u32,
    dropped: u32,
    seen: bool,
}

/// Boxes of frames that never came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// How many boxes.
    pub boxes: usize,
    /// How many frames they belong to.
    pub frames: usize,
    /// The first of these frames: its index, or its file name.
    pub first: String,
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            boxes,
            frames,
            first,
        } = self;
        write!(
            f,
            "boxes of frames that never came: {boxes}, in {frames} frames, the first of them `{first}`"
        )
    }
}

impl Given {
    /// Reads a file of boxes.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Line`] at the first line that is wrong.
    pub fn open(path: &Path, format: Format) -> Result<Self> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        Self::read(BufReader::new(file), &path.display().to_string(), format)
    }

    /// Reads boxes from anything; `name` is for errors.
    ///
    /// # Errors
    /// As [`Given::open`].
    pub fn read(input: impl BufRead, name: &str, format: Format) -> Result<Self> {
        let mut lines = Lines::new(input, name);
        let parse: Box<Parse> = match format {
            Format::Csv => {
                let Some(header) = lines.next()? else {
                    return Err(lines.error("the file is empty, wanted a header line".to_owned()));
                };
                let columns = csv::Columns::of(header).map_err(|reason| lines.error(reason))?;
                Box::new(move |line| columns.row(line).map(Some))
            }
            Format::Mot { truth } => Box::new(move |line| mot::row(line, truth)),
            Format::JsonLines => Box::new(|line| jsonl::row(line).map(Some)),
        };
        let mut rows = Rows::default();
        while let Some(line) = lines.next()? {
            if line.trim().is_empty() {
                continue;
            }
            let row = parse(line).and_then(|row| row.map_or(Ok(()), |row| rows.push(row)));
            row.map_err(|reason| lines.error(reason))?;
        }
        Ok(rows.into_given())
    }

    /// Number of boxes that [`super::People::find`] can return.
    #[must_use]
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there is no box.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    pub(super) fn find(&mut self, frame: &Frame, out: &mut Persons) -> usize {
        let key = match &self.names {
            None => Some(frame.index),
            // A file written elsewhere may know the image by its bare name.
            Some(names) => frame.name.as_deref().and_then(|name| {
                let bare = name.rsplit('/').next().unwrap_or(name);
                names.get(name).or_else(|| names.get(bare)).copied()
            }),
        };
        let group = key.and_then(|key| {
            let at = self.groups.binary_search_by_key(&key, |group| group.frame);
            at.ok().map(|at| &mut self.groups[at])
        });
        let Some(group) = group else { return 0 };
        group.seen = true;
        let range = group.start as usize..(group.start + group.kept) as usize;
        out.extend_from_slice(&self.people[range])
            .expect("no more than MAX_PEOPLE are kept of a frame");
        group.dropped as usize
    }

    pub(super) fn unused(&self) -> Option<Unused> {
        let mut unused = self.groups.iter().filter(|group| !group.seen).peekable();
        let first = unused.peek()?.frame;
        let first = self
            .names
            .as_ref()
            .and_then(|names| names.iter().find(|(_, number)| **number == first))
            .map_or_else(|| first.to_string(), |(name, _)| name.clone());
        let (frames, boxes) = unused.fold((0, 0), |(frames, boxes), group| {
            (frames + 1, boxes + (group.kept + group.dropped) as usize)
        });
        Some(Unused {
            boxes,
            frames,
            first,
        })
    }
}

/// Rows on their way into a [`Given`].
#[derive(Debug, Default)]
struct Rows {
    people: Vec<(u64, Person)>,
    names: Option<HashMap<String, u64>>,
}

impl Rows {
    fn push(&mut self, row: Row) -> Result<(), String> {
        if self.people.len() == MAX_BOXES {
            return Err(format!("one box more than the limit of {MAX_BOXES}"));
        }
        let [x, y, w, h] = row.bbox;
        for (name, value) in [("x", x), ("y", y), ("w", w), ("h", h)] {
            if value.is_nan() || value.abs() > MAX_COORDINATE {
                return Err(format!(
                    "{name} is {value}, wanted a number of pixels up to {MAX_COORDINATE}"
                ));
            }
        }
        for (name, value) in [("w", w), ("h", h)] {
            if value <= 0.0 {
                return Err(format!("{name} is {value}, wanted more than 0"));
            }
        }
        if let Some(score) = row.score.filter(|score| !score.is_finite()) {
            return Err(format!("score is {score}, wanted a finite number"));
        }
        if self.people.is_empty() && matches!(row.frame, Key::Name(_)) {
            self.names = Some(HashMap::new());
        }
        let frame = match (row.frame, &mut self.names) {
            (Key::Index(index), None) => index,
            (Key::Name(name), Some(names)) => {
                let number = names.len() as u64;
                *names.entry(name).or_insert(number)
            }
            (Key::Name(name), None) => {
                return Err(format!(
                    "frame is `{name}`, wanted an index as in the lines before"
                ));
            }
            (Key::Index(index), Some(_)) => {
                return Err(format!(
                    "frame is {index}, wanted a file name as in the lines before"
                ));
            }
        };
        let person = Person {
            bbox: BBox { x, y, w, h },
            score: row.score,
            track: row.track,
        };
        self.people.push((frame, person));
        Ok(())
    }

    /// Sorts by frame, keeping the order of the file within one, and leaves the best of a crowded
    /// frame.
    fn into_given(mut self) -> Given {
        self.people.sort_by_key(|(frame, _)| *frame);
        let mut people = Vec::with_capacity(self.people.len());
        let mut groups = Vec::new();
        for group in self.people.chunk_by(|(a, _), (b, _)| a == b) {
            let start = people.len();
            if group.len() <= MAX_PEOPLE {
                people.extend(group.iter().map(|(_, person)| *person));
            } else {
                let score = |at: &usize| group[*at].1.score.unwrap_or(f32::NEG_INFINITY);
                let mut best: Vec<usize> = (0..group.len()).collect();
                best.sort_by(|a, b| score(b).total_cmp(&score(a)));
                best.truncate(MAX_PEOPLE);
                best.sort_unstable();
                people.extend(best.iter().map(|&at| group[at].1));
            }
            let kept = people.len() - start;
            groups.push(Group {
                frame: group[0].0,
                start: start as u32,
                kept: kept as u32,
                dropped: (group.len() - kept) as u32,
                seen: false,
            });
        }
        Given {
            people,
            groups,
            names: self.names,
        }
    }
}

#[cfg(test)]
mod tests;
