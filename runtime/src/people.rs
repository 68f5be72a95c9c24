//! Boxes of the people in a frame: a [`Frame`] comes in, at most [`MAX_PEOPLE`] boxes in pixels go
//! out.
//!
//! They are either [given](given::Given) in a file beside the source (ground truth, another
//! program's detections, an earlier run of this one), or the frame as a whole is a person, as in
//! re-identification data sets.

mod csv;
pub mod given;
mod jsonl;
mod lines;
mod mot;
mod row;

use std::path::{Path, PathBuf};

use kernels::crop::BBox;

use crate::source::Frame;
use given::{Format, Given};

/// The most people of one frame.
pub const MAX_PEOPLE: usize = 64;

/// The people of one frame.
pub type Persons = heapless::Vec<Person, MAX_PEOPLE>;

/// A person's place in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    /// Where, in pixels; may reach beyond the frame.
    pub bbox: BBox,
    /// How sure the detector is; its own scale, larger is surer. `None` if nobody said.
    pub score: Option<f32>,
    /// Number of the track that the box belongs to, if it was tracked before.
    pub track: Option<u64>,
}

/// What can go wrong with boxes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read: check the path and the permissions.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A line of the file is not what its format wants: correct it.
    #[error("{name}:{line}: {reason}")]
    Line {
        /// The file.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The value found and the value wanted.
        reason: String,
    },

    /// Not a way to find people that this build knows.
    #[error("cannot find people with `{spec}`: {reason}")]
    Unsupported {
        /// What was asked for.
        spec: String,
        /// What would work.
        reason: String,
    },
}

/// [`std::result::Result`] with this module's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A way to find people in frames.
#[derive(Debug)]
pub enum People {
    /// Boxes from a file.
    Given(Given),
    /// Each frame is one person.
    Whole,
}

impl People {
    /// Opens what a person typed: `whole`, or a file of boxes whose format its ending tells (see
    /// [`Format`]).
    ///
    /// # Errors
    /// [`Error::Unsupported`] says what would work, [`Error::Io`] and [`Error::Line`] what is wrong
    /// with the file.
    pub fn open(spec: &str) -> Result<Self> {
        const SUPPORTED: &str =
            "supported are `whole` and files of boxes: .csv with a header, MOT .txt, .jsonl";
        let unsupported = |reason: String| {
            Err(Error::Unsupported {
                spec: spec.to_owned(),
                reason,
            })
        };
        let path = Path::new(spec);
        match spec {
            "whole" => Ok(Self::Whole),
            "motion" => unsupported(format!("motion is not in this build yet; {SUPPORTED}")),
            _ if path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("onnx")) =>
            {
                unsupported(format!("detectors are not in this build yet; {SUPPORTED}"))
            }
            _ => match Format::of(path) {
                Some(format) => Ok(Self::Given(Given::open(path, format)?)),
                None => unsupported(SUPPORTED.to_owned()),
            },
        }
    }

    /// Puts the people of `frame` into `out`, in the order of the file, and returns how many more
    /// there were. Those with the lowest scores are left out first; a box without a score counts as
    /// lower than any.
    pub fn find(&mut self, frame: &Frame, out: &mut Persons) -> usize {
        out.clear();
        match self {
            Self::Given(given) => given.find(frame, out),
            Self::Whole => {
                let bbox = BBox {
                    x: 0.0,
                    y: 0.0,
                    w: frame.width as f32,
                    h: frame.height as f32,
                };
                let whole = Person {
                    bbox,
                    score: None,
                    track: None,
                };
                out.push(whole).expect("an empty list has room for one");
                0
            }
        }
    }

    /// Boxes of frames that never came, to be asked at the end of a source: usually the sign of a
    /// file that belongs to another one.
    #[must_use]
    pub fn unused(&self) -> Option<given::Unused> {
        match self {
            Self::Given(given) => given.unused(),
            Self::Whole => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whole_is_the_frame() {
        let mut people = People::open("whole").unwrap();
        let frame = Frame {
            width: 64,
            height: 128,
            ..Frame::default()
        };
        let mut found = Persons::new();
        // Twice: what is in the list before does not stay.
        for _ in 0..2 {
            assert_eq!(people.find(&frame, &mut found), 0);
        }
        let bbox = BBox {
            x: 0.0,
            y: 0.0,
            w: 64.0,
            h: 128.0,
        };
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].bbox, bbox);
        assert!(people.unused().is_none());
    }

    #[test]
    fn the_ending_tells_the_format() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [
            ("boxes.CSV", "frame,x,y,w,h\n0,1,2,3,4\n", 1),
            ("det.txt", "1,-1,1,1,1,1,0,-1,-1,-1\n", 1),
            ("gt.txt", "1,1,1,1,1,1,0,-1,-1,-1\n", 0),
            ("boxes.jsonl", "{\"frame\":0,\"box\":[1,2,3,4]}\n", 1),
        ];
        for (name, text, wanted) in rows {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let mut people = People::open(path.to_str().unwrap()).expect(name);
            let mut found = Persons::new();
            people.find(&Frame::default(), &mut found);
            assert_eq!(found.len(), wanted, "{name}");
        }
    }

    #[test]
    fn what_is_not_supported_says_what_is() {
        let cases = [
            ("motion", "motion is not in this build yet; supported are"),
            (
                "yolox.onnx",
                "detectors are not in this build yet; supported are",
            ),
            ("boxes.xml", "supported are `whole` and files of boxes"),
            ("hole", "supported are `whole` and files of boxes"),
        ];
        for (spec, wanted) in cases {
            let error = People::open(spec).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains(spec), "{error}");
        }
        let error = People::open("nowhere/boxes.csv").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
}
