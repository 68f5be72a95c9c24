//! Boxes that somebody else found, from a file: read once, then looked up by the frame's index or
//! file name.
//!
//! Lines are parsed by [`super::csv`], [`super::mot`] and [`super::jsonl`]; here they are bounded,
//! checked and sorted by frame.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use kernels::crop::BBox;

use super::lines::Lines;
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
            "{boxes} boxes belong to {frames} frames that never came, the first is `{first}`"
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
mod tests {
    use super::*;
    use crate::people::People;
    use crate::people::lines::MAX_LINE;

    const MOT: Format = Format::Mot { truth: false };
    const TRUTH: Format = Format::Mot { truth: true };

    fn read(text: impl AsRef<[u8]>, format: Format) -> Result<Given> {
        Given::read(text.as_ref(), "boxes", format)
    }

    fn index(index: u64) -> Frame {
        Frame {
            index,
            ..Frame::default()
        }
    }

    fn named(name: &str) -> Frame {
        Frame {
            name: Some(name.to_owned()),
            ..Frame::default()
        }
    }

    fn person(bbox: [f32; 4], score: Option<f32>, track: Option<u64>) -> Person {
        let [x, y, w, h] = bbox;
        Person {
            bbox: BBox { x, y, w, h },
            score,
            track,
        }
    }

    #[test]
    fn every_format_gives_the_boxes_of_a_frame() {
        struct Case {
            name: &'static str,
            format: Format,
            text: &'static str,
            frame: Frame,
            wanted: Vec<Person>,
        }
        let two = || {
            vec![
                person([1.5, -2.0, 3.0, 4.0], Some(0.5), Some(9)),
                person([5.0, 6.0, 7.0, 8.0], None, None),
            ]
        };
        let cases = [
            Case {
                name: "csv, columns in any order and more of them, quotes, spaces, a byte order mark, CRLF, an empty line",
                format: Format::Csv,
                text: "\u{feff}h,w,y,x,Frame,visitor,score,note,track\r\n4,3,-2,1.5,7,1,0.5,\"a, \"\"b\"\"\",9\r\n\r\n 8, 7, 6, 5, 7,2,,,\r\n4,3,2,1,8,,,,",
                frame: index(7),
                wanted: two(),
            },
            Case {
                name: "csv, `id` is the track",
                format: Format::Csv,
                text: "frame,x,y,w,h,id,score\n7,1.5,-2,3,4,9,.5\n7,5,6,7,8,,\n",
                frame: index(7),
                wanted: two(),
            },
            Case {
                name: "csv, frames that are not in order",
                format: Format::Csv,
                text: "frame,x,y,w,h\n9,1,1,1,1\n7,1,2,3,4\n9,1,1,1,1\n7,5,6,7,8",
                frame: index(7),
                wanted: vec![
                    person([1.0, 2.0, 3.0, 4.0], None, None),
                    person([5.0, 6.0, 7.0, 8.0], None, None),
                ],
            },
            Case {
                name: "csv, image files",
                format: Format::Csv,
                text: "frame,x,y,w,h\nb/1.jpg,1,2,3,4\na.jpg,5,6,7,8\n",
                frame: named("b/1.jpg"),
                wanted: vec![person([1.0, 2.0, 3.0, 4.0], None, None)],
            },
            Case {
                name: "csv, an image known by its bare name",
                format: Format::Csv,
                text: "frame,x,y,w,h\na.jpg,5,6,7,8\n",
                frame: named("some/folder/a.jpg"),
                wanted: vec![person([5.0, 6.0, 7.0, 8.0], None, None)],
            },
            Case {
                name: "det.txt: frames and pixels from 1, -1 is no track",
                format: MOT,
                text: "1,-1,1,1,9,9,1,-1,-1,-1\n8,-1,2.5,-1,3,4,-0.5,-1,-1,-1\n8.0,3,6,7,7,8,1\n",
                frame: index(7),
                wanted: vec![
                    person([1.5, -2.0, 3.0, 4.0], Some(-0.5), None),
                    person([5.0, 6.0, 7.0, 8.0], Some(1.0), Some(3)),
                ],
            },
            Case {
                name: "gt.txt of nine columns: ignored rows and other classes passed over, the flag is no score",
                format: MOT,
                text: "8,1,2,3,4,5,0,1,1\n8,2,2,3,4,5,1,3,1\n8,3,2,3,4,5,1,1,0.25\n",
                frame: index(7),
                wanted: vec![person([1.0, 2.0, 4.0, 5.0], None, Some(3))],
            },
            Case {
                name: "gt.txt of ten columns, by its name",
                format: TRUTH,
                text: "8,1,2,3,4,5,0,-1,-1,-1\n8,3,2,3,4,5,1,-1,-1,-1\n",
                frame: index(7),
                wanted: vec![person([1.0, 2.0, 4.0, 5.0], None, Some(3))],
            },
            Case {
                name: "JSON lines",
                format: Format::JsonLines,
                text: "{\"frame\":7,\"box\":[1.5,-2,3,4],\"score\":0.5,\"track\":9}\n\n{\"frame\":7,\"box\":[5,6,7,8],\"score\":null}",
                frame: index(7),
                wanted: two(),
            },
            Case {
                name: "JSON lines of `reid run`",
                format: Format::JsonLines,
                text: "{\"schema\":1,\"source\":\"a.avi\",\"frame\":7,\"time\":\"x\",\"stream_time\":0.28,\"track\":9,\"box\":[1,2,3,4],\"identity\":\"P1\",\"similarity\":0.9,\"runner_up\":null,\"threshold\":0.5,\"state\":\"seen\"}",
                frame: index(7),
                wanted: vec![person([1.0, 2.0, 3.0, 4.0], None, Some(9))],
            },
            Case {
                name: "JSON lines, image files",
                format: Format::JsonLines,
                text: "{\"frame\":\"a.png\",\"box\":[1,2,3,4]}",
                frame: named("a.png"),
                wanted: vec![person([1.0, 2.0, 3.0, 4.0], None, None)],
            },
            Case {
                name: "a frame without boxes",
                format: Format::Csv,
                text: "frame,x,y,w,h\n6,1,2,3,4\n",
                frame: index(7),
                wanted: vec![],
            },
            Case {
                name: "a header alone",
                format: Format::Csv,
                text: "frame,x,y,w,h",
                frame: index(0),
                wanted: vec![],
            },
        ];
        for case in cases {
            let mut people = People::Given(read(case.text, case.format).expect(case.name));
            let mut found = Persons::new();
            assert_eq!(people.find(&case.frame, &mut found), 0, "{}", case.name);
            assert_eq!(found.as_slice(), case.wanted, "{}", case.name);
        }
    }

    #[test]
    fn errors_name_the_line_the_value_and_what_was_wanted() {
        let head = "frame,x,y,w,h,score,track\n";
        let csv = |row: &str| format!("{head}0,1,2,3,4,,\n{row}\n");
        let long = format!("{head}{}", "9".repeat(MAX_LINE + 1));
        let many = ",".repeat(300);
        let cases: Vec<(Format, String, &str)> = vec![
            (
                Format::Csv,
                String::new(),
                "boxes:1: the file is empty, wanted a header line",
            ),
            (
                Format::Csv,
                "0,1,2,3,4\n".into(),
                "boxes:1: the header is `0,1,2,3,4`, wanted at least `frame,x,y,w,h`: no `frame`",
            ),
            (
                Format::Csv,
                "frame,x,y,w\n".into(),
                "boxes:1: the header is `frame,x,y,w`, wanted at least `frame,x,y,w,h`: no `h`",
            ),
            (
                Format::Csv,
                "frame,x,y,w,h,X\n".into(),
                "boxes:1: two columns are called `x`",
            ),
            (
                Format::Csv,
                "frame,x,y,w,h,id,track\n".into(),
                "boxes:1: there are both `track` and `id`",
            ),
            (Format::Csv, many.clone(), "boxes:1: more than 256 fields"),
            (
                Format::Csv,
                csv("1,2"),
                "boxes:3: 2 fields, wanted 7 as in the header",
            ),
            (
                Format::Csv,
                csv("1,\"2,3,4,5,,"),
                "boxes:3: 2 fields, wanted 7 as in the header",
            ),
            (
                Format::Csv,
                csv("-1,1,2,3,4,,"),
                "boxes:3: frame is `-1`, wanted a whole number from 0",
            ),
            (
                Format::Csv,
                csv("1.5,1,2,3,4,,"),
                "boxes:3: frame is `1.5`, wanted a whole number from 0",
            ),
            (
                Format::Csv,
                csv(",1,2,3,4,,"),
                "boxes:3: frame is empty, wanted an index from 0 or a file name",
            ),
            (
                Format::Csv,
                csv("a.jpg,1,2,3,4,,"),
                "boxes:3: frame is `a.jpg`, wanted an index as in the lines before",
            ),
            (
                Format::Csv,
                format!("{head}a.jpg,1,2,3,4,,\n1,1,2,3,4,,"),
                "boxes:3: frame is 1, wanted a file name as in the lines before",
            ),
            (
                Format::Csv,
                csv("1,left,2,3,4,,"),
                "boxes:3: x is `left`, wanted a number",
            ),
            (
                Format::Csv,
                csv("1,1,,3,4,,"),
                "boxes:3: y is ``, wanted a number",
            ),
            (
                Format::Csv,
                csv("1,NaN,2,3,4,,"),
                "boxes:3: x is NaN, wanted a number of pixels up to 16777216",
            ),
            (
                Format::Csv,
                csv("1,1,-inf,3,4,,"),
                "boxes:3: y is -inf, wanted a number of pixels up to 16777216",
            ),
            (
                Format::Csv,
                csv("1,1,2,1e9,4,,"),
                "boxes:3: w is 1000000000, wanted a number of pixels up to 16777216",
            ),
            (
                Format::Csv,
                csv("1,1,2,3,-4,,"),
                "boxes:3: h is -4, wanted more than 0",
            ),
            (
                Format::Csv,
                csv("1,1,2,0,4,,"),
                "boxes:3: w is 0, wanted more than 0",
            ),
            (
                Format::Csv,
                csv("1,1,2,3,4,inf,"),
                "boxes:3: score is inf, wanted a finite number",
            ),
            (
                Format::Csv,
                csv("1,1,2,3,4,good,"),
                "boxes:3: score is `good`, wanted a number",
            ),
            (
                Format::Csv,
                csv("1,1,2,3,4,,1.5"),
                "boxes:3: track is `1.5`, wanted a whole number from 0",
            ),
            (
                Format::Csv,
                long,
                "boxes:2: longer than the limit of 65536 bytes",
            ),
            (
                MOT,
                "1,2,3".into(),
                "boxes:1: 3 fields, wanted 6 to 10: frame, id, x, y, w, h, confidence, ...",
            ),
            (
                MOT,
                "1,1,1,1,1,1,1,1,1,1,1".into(),
                "boxes:1: 11 fields, wanted 6 to 10: frame, id, x, y, w, h, confidence, ...",
            ),
            (
                MOT,
                "0,1,1,1,1,1".into(),
                "boxes:1: frame is 0, wanted a number from 1",
            ),
            (
                MOT,
                "frame,id,x,y,w,h".into(),
                "boxes:1: frame is `frame`, wanted a whole number",
            ),
            (
                MOT,
                "1e30,1,1,1,1,1".into(),
                "boxes:1: frame is `1e30`, wanted a whole number",
            ),
            (
                MOT,
                "1,-2,1,1,1,1".into(),
                "boxes:1: id is -2, wanted -1 or more",
            ),
            (
                MOT,
                "1,1,1,1,1,nan".into(),
                "boxes:1: h is NaN, wanted a number of pixels up to 16777216",
            ),
            (
                MOT,
                "1,1,1,1,1,1,1,car,1".into(),
                "boxes:1: class is `car`, wanted a number",
            ),
            (
                Format::JsonLines,
                "{}".into(),
                "boxes:1: missing field `frame` (column 2), found `{}`",
            ),
            (
                Format::JsonLines,
                "\n[1".into(),
                "boxes:2: EOF while parsing a list (column 2), found `[1`",
            ),
            (
                Format::JsonLines,
                "{\"frame\":-1,\"box\":[1,2,3,4]}".into(),
                "boxes:1: frame: wanted an index from 0 or a file name",
            ),
            (
                Format::JsonLines,
                "{\"frame\":1,\"box\":[1,2,3]}".into(),
                "boxes:1: invalid length 3",
            ),
            (
                Format::JsonLines,
                "{\"frame\":1,\"box\":[1,2,3,1e99]}".into(),
                "boxes:1: h is inf, wanted",
            ),
            (
                Format::JsonLines,
                "{\"frame\":1,\"box\":[1,2,3,1e999]}".into(),
                "boxes:1: number out of range",
            ),
            (
                Format::JsonLines,
                format!("{{\"frame\":{}1", "[".repeat(200)),
                "boxes:1: recursion limit exceeded",
            ),
        ];
        for (format, text, wanted) in cases {
            let error = read(&text, format).expect_err(wanted).to_string();
            assert!(
                error.starts_with(wanted),
                "found `{error}`\nwanted `{wanted}`"
            );
        }
        let error = read(b"frame,x,y,w,h\n1,1,\xff".as_slice(), Format::Csv);
        let error = error.unwrap_err().to_string();
        assert_eq!(error, "boxes:2: byte 5 is no UTF-8 text");
    }

    #[test]
    fn a_crowd_keeps_its_best_scores_in_the_order_of_the_file() {
        let mut text = "frame,x,y,w,h,score\n".to_owned();
        for n in 0..100 {
            // 37 is prime to 100: the scores come in no order. Every tenth box has none.
            let score = if n % 10 == 0 {
                String::new()
            } else {
                (n * 37 % 100).to_string()
            };
            text += &format!("0,{n},0,1,1,{score}\n");
        }
        let mut given = read(text, Format::Csv).unwrap();
        let mut found = Persons::new();
        assert_eq!(given.find(&index(0), &mut found), 100 - MAX_PEOPLE);
        assert_eq!(found.len(), MAX_PEOPLE);
        assert!(found.windows(2).all(|pair| pair[0].bbox.x < pair[1].bbox.x));
        // The scores present are 1..=99 without the multiples of ten; the 64 largest of these 90
        // begin at 29.
        let lowest = found
            .iter()
            .filter_map(|person| person.score)
            .min_by(f32::total_cmp);
        assert_eq!(lowest, Some(29.0));
    }

    #[test]
    fn boxes_of_frames_that_never_came_are_counted() {
        let text = "frame,x,y,w,h\n2,1,1,1,1\n5,1,1,1,1\n5,1,1,1,1\n6,1,1,1,1\n";
        let mut given = read(text, Format::Csv).unwrap();
        let mut found = Persons::new();
        for at in [0, 2, 2, 3] {
            found.clear();
            given.find(&index(at), &mut found);
        }
        let unused = given.unused().unwrap();
        assert_eq!(
            unused.to_string(),
            "3 boxes belong to 2 frames that never came, the first is `5`"
        );
        for at in [5, 6] {
            found.clear();
            given.find(&index(at), &mut found);
        }
        assert_eq!(given.unused(), None);
        let given = read("frame,x,y,w,h\na.jpg,1,1,1,1\n", Format::Csv).unwrap();
        assert_eq!(given.unused().unwrap().first, "a.jpg");
    }
}
