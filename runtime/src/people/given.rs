//! Boxes from a file: read once, then looked up by the frame's index or file name.
//!
//! `csv`, `mot` and `jsonl` parse lines; here rows are limited, checked and sorted by frame.

mod alignment;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use network::preprocess::BBox;

use self::alignment::Alignment;
pub use self::alignment::Misaligned;
use super::csv::{Columns, Separator};
use super::lines::Lines;
use super::row::{Key, LeftOut, Row};
use super::{Error, MAX_PEOPLE, Person, Persons, Result, jsonl, mot};
use media::Frame;

/// Maximum number of boxes in one file: 2^22, or 200 MB of memory. Ten persons at 25 frames per second
/// reach it in 4.6 hours.
pub const MAX_BOXES: usize = 1 << 22;

/// The largest coordinate or size: 2^24, up to which an f32 still counts whole pixels.
const MAX_COORDINATE: f32 = 16_777_216.0;

/// Format of a file of boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header that names the columns, then a box a line: `frame` (index from 0, or the file name
    /// of an image), `x`, `y`, `w`, `h`, and if present `score`, `confidence` or `conf`, and `track`
    /// or `id`. Any other column is ignored. Commas, semicolons, tabs or blanks stand between
    /// fields, as in the header.
    Csv,
    /// MOT Challenge without a header: `frame, id, x, y, w, h, confidence, ...`, with commas,
    /// semicolons or blanks between them. "All frame numbers, target IDs and bounding boxes are
    /// 1-based" (<https://motchallenge.net/instructions/>): frame 1 is index 0, and pixel 1 is
    /// pixel 0. A file with a frame 0 counts both from 0. In ground truth (a file called `gt.txt`,
    /// or nine columns with 0 or 1 in the seventh) the seventh column is a flag instead of a
    /// confidence, and rows with a 0 there are left out; so are rows whose eighth column of nine is
    /// a class other than 1 (MOT's pedestrian), 0 (COCO's person) or -1 (none).
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
    /// The format of a file by its extension.
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

/// Reads a line.
type Parse = dyn FnMut(&str) -> Result<Row, String>;

/// The boxes of a file, by frame.
#[derive(Debug)]
pub struct Given {
    people: Vec<Person>,
    /// Sorted by frame.
    groups: Vec<Group>,
    /// Numbers of frames that are named by files; `None` if frames are named by index.
    names: Option<HashMap<String, u64>>,
    notes: Vec<String>,
    alignment: Alignment,
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
    /// [`Error::Io`]; [`Error::Line`] at the first line that cannot be read, or at the first box if
    /// no box of the file is possible. Single impossible boxes are left out: see [`Given::notes`].
    pub fn open(path: &Path, format: Format) -> Result<Self> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        Self::read(BufReader::new(file), &path.display().to_string(), format)
    }

    /// Reads boxes from `input`; `name` is used in errors.
    ///
    /// # Errors
    /// As [`Given::open`].
    pub fn read(input: impl BufRead, name: &str, format: Format) -> Result<Self> {
        let mut lines = Lines::new(input, name);
        let mut parse: Box<Parse> = match format {
            Format::Csv => {
                let Some(header) = lines.next()? else {
                    return Err(lines.error("the file is empty, wanted a header line".to_owned()));
                };
                let columns = Columns::of(header).map_err(|reason| lines.error(reason))?;
                Box::new(move |line| columns.row(line))
            }
            Format::Mot { truth } => {
                let mut separator = None;
                Box::new(move |line| {
                    let separator = separator.get_or_insert_with(|| Separator::of_full(line));
                    mot::row(line, *separator, truth)
                })
            }
            Format::JsonLines => Box::new(jsonl::row),
        };
        let mut rows = Rows::default();
        while let Some(line) = lines.next()? {
            let is_event = matches!(format, Format::JsonLines) && jsonl::is_event(line);
            if is_event || line.trim().is_empty() {
                continue;
            }
            let row = parse(line);
            let number = lines.number();
            row.and_then(|row| rows.push(row, number))
                .map_err(|reason| lines.error(reason))?;
        }
        // One wrong box is left out; a file of wrong boxes alone has other columns than expected.
        if rows.people.is_empty()
            && let Some(Reason { line, detail, .. }) = rows.left_out.remove(&LeftOut::Box)
        {
            return Err(Error::Line {
                name: name.to_owned(),
                line,
                reason: detail.expect("an impossible box has a detail"),
            });
        }
        if matches!(format, Format::Mot { .. }) {
            rows.begin_at_zero();
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
            // A file written elsewhere may name the image without its folder.
            Some(names) => frame.name.as_deref().and_then(|name| {
                let bare = name.rsplit('/').next().unwrap_or(name);
                names.get(name).or_else(|| names.get(bare)).copied()
            }),
        };
        let group = key.and_then(|key| {
            let at = self.groups.binary_search_by_key(&key, |group| group.frame);
            at.ok().map(|at| &mut self.groups[at])
        });
        let dropped = group.map_or(0, |group| {
            group.seen = true;
            let range = group.start as usize..(group.start + group.kept) as usize;
            out.extend_from_slice(&self.people[range])
                .expect("no more than MAX_PEOPLE are kept of a frame");
            group.dropped as usize
        });
        // Frames found by name cannot be misaligned.
        if self.names.is_none() {
            self.alignment.see(frame, out);
        }
        dropped
    }

    /// Notes for the user: rows that were left out, frames that count from 0 against the format's
    /// rule.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether the boxes so far fit the previous or the next frame better than their own.
    #[must_use]
    pub fn misaligned(&self) -> Option<Misaligned> {
        self.alignment.verdict()
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
    /// The lowest index of a frame, boxes that are left out included.
    first: Option<u64>,
    left_out: BTreeMap<LeftOut, Reason>,
    notes: Vec<String>,
}

/// The boxes that are left out for one reason.
#[derive(Debug)]
struct Reason {
    count: u64,
    /// The first of them, from 1.
    line: u64,
    detail: Option<String>,
}

/// Maximum number of reasons in the notes: a file of random classes must not fill the terminal.
const MAX_REASONS: usize = 8;

impl Rows {
    /// Takes a row from line `line`, or counts it among those that are left out.
    fn push(&mut self, row: Row, line: u64) -> Result<(), String> {
        if let Key::Index(index) = row.frame {
            self.first = Some(self.first.map_or(index, |first| first.min(index)));
        }
        if let Some(reason) = row.left_out {
            self.leave_out(reason, line, None);
            return Ok(());
        }
        if let Err(detail) = check(&row) {
            self.leave_out(LeftOut::Box, line, Some(detail));
            return Ok(());
        }
        if self.people.len() == MAX_BOXES {
            return Err(format!("one box more than the limit of {MAX_BOXES}"));
        }
        let [x, y, w, h] = row.bbox;
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

    fn leave_out(&mut self, reason: LeftOut, line: u64, detail: Option<String>) {
        let reason = match self.left_out.len() {
            MAX_REASONS.. if !self.left_out.contains_key(&reason) => LeftOut::Other,
            _ => reason,
        };
        let found = self.left_out.entry(reason).or_insert(Reason {
            count: 0,
            line,
            detail,
        });
        found.count += 1;
    }

    /// Turns numbers of MOT into indices: its frames and pixels count from 1, except in a file that
    /// has a frame 0.
    fn begin_at_zero(&mut self) {
        if self.first == Some(0) {
            let note = "there is a frame 0: frames and pixels are taken to count from 0";
            self.notes.push(note.to_owned());
            return;
        }
        for (frame, person) in &mut self.people {
            *frame -= 1;
            person.bbox.x -= 1.0;
            person.bbox.y -= 1.0;
        }
    }

    /// Sorts by frame, in the order of the file within a frame, and keeps the highest scores of a
    /// crowded frame.
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
        for (
            why,
            Reason {
                count,
                line,
                detail,
            },
        ) in &self.left_out
        {
            let rows = if *count == 1 { "row" } else { "rows" };
            let detail = detail.iter().map(|detail| format!(": {detail}"));
            let detail: String = detail.collect();
            self.notes.push(format!(
                "{count} {rows} left out: {why} (first on line {line}{detail})"
            ));
        }
        Given {
            people,
            groups,
            names: self.names,
            notes: self.notes,
            alignment: Alignment::default(),
        }
    }
}

/// Whether the numbers of a row can be those of a box.
fn check(row: &Row) -> Result<(), String> {
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
    match row.score {
        Some(score) if !score.is_finite() => {
            Err(format!("score is {score}, wanted a finite number"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
