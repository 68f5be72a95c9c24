//! Boxes of persons: a [`Frame`] in, at most [`MAX_PEOPLE`] boxes in pixels out.
//!
//! They come from a [file](given::Given) (ground truth, another program's detections, an earlier
//! run), from [`motion`], from a [`detector`], or each frame is one person, as in re-identification
//! data sets. [`zones`] limit where persons count.

mod csv;
#[cfg(feature = "tract")]
pub mod detector;
pub mod given;
mod jsonl;
mod lines;
mod mot;
pub mod motion;
mod row;
pub mod zones;

use std::path::{Path, PathBuf};

use network::preprocess::BBox;

use given::{Format, Given};
use media::Frame;
use motion::{Motion, MotionOptions};
use zones::{Polygon, Zones};

/// Supported values of [`Spec::how`], for messages.
const SUPPORTED: &str = "supported are `motion`, `whole`, a detector (.onnx), and files of boxes: \
                         .csv with a header, MOT .txt, .jsonl";

/// Maximum number of persons in one frame.
pub const MAX_PEOPLE: usize = 64;

/// The persons of one frame.
pub type Persons = heapless::Vec<Person, MAX_PEOPLE>;

/// A person in a frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Person {
    /// Box in pixels; may extend beyond the frame.
    pub bbox: BBox,
    /// Score of the detector, on a scale of its own; higher is more certain. `None` if unknown.
    pub score: Option<f32>,
    /// Number of the box's track, if a file has tracks.
    pub track: Option<u64>,
}

impl Person {
    /// A box without score and track.
    #[must_use]
    pub fn at(bbox: BBox) -> Self {
        Self {
            bbox,
            score: None,
            track: None,
        }
    }
}

/// Errors of boxes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read: check the path and the permissions.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file in question.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },

    /// A line of the file breaks the rules of its format: correct it.
    #[error("{name}:{line}: {reason}")]
    Line {
        /// The file.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The value found and the value wanted.
        reason: String,
    },

    /// No way to find persons that this build supports.
    #[error("cannot find persons with `{spec}`: {reason}")]
    Unsupported {
        /// The requested way.
        spec: String,
        /// What is supported.
        reason: String,
    },
}

/// [`std::result::Result`] with this module's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How persons are found, as the user states it.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// `motion`, `whole`, a file of boxes, or a detector (.onnx).
    pub how: String,
    /// Where persons count.
    pub zones: Zones,
}

impl Spec {
    /// Checks the polygons of `zones`, in which persons count, and of `masks`, which are ignored.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the polygon and what is wrong with it.
    pub fn of(how: &str, zones: &[String], masks: &[String]) -> Result<Self> {
        let polygons = |texts: &[String]| {
            let polygon = |text: &String| {
                Polygon::parse(text).map_err(|reason| Error::Unsupported {
                    spec: text.clone(),
                    reason,
                })
            };
            texts.iter().map(polygon).collect::<Result<Vec<_>>>()
        };
        let zones = Zones {
            count: polygons(zones)?,
            ignore: polygons(masks)?,
        };
        Ok(Self {
            how: how.to_owned(),
            zones,
        })
    }
}

/// Finds the persons of frames.
#[derive(Debug)]
pub struct People {
    finder: Finder,
    zones: Zones,
}

#[derive(Debug)]
enum Finder {
    /// Boxes from a file.
    Given(Box<Given>),
    /// Each frame is one person.
    Whole,
    /// Whatever moves.
    Motion(Box<Motion>),
    /// A network.
    #[cfg(feature = "tract")]
    Detector(Box<detector::Detector>),
}

impl From<Given> for People {
    /// Boxes that count everywhere.
    fn from(given: Given) -> Self {
        Self {
            finder: Finder::Given(Box::new(given)),
            zones: Zones::default(),
        }
    }
}

impl People {
    /// Opens `motion`, `whole`, a detector, or a file of boxes; the extension decides its format
    /// ([`Format`]).
    ///
    /// # Errors
    /// [`Error::Unsupported`] with what is supported, [`Error::Io`] and [`Error::Line`] with what is
    /// wrong with the file.
    pub fn open(spec: &Spec) -> Result<Self> {
        let path = Path::new(&spec.how);
        let is_network = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
        let finder = match spec.how.as_str() {
            "whole" => Finder::Whole,
            "motion" => Finder::Motion(Box::new(Motion::new(MotionOptions {
                ignore: spec.zones.ignore.clone(),
                ..MotionOptions::default()
            })?)),
            #[cfg(feature = "tract")]
            _ if is_network => Finder::Detector(Box::new(detector::Detector::open(path)?)),
            _ => match Format::of(path).filter(|_| !is_network) {
                Some(format) => Finder::Given(Box::new(Given::open(path, format)?)),
                None => {
                    let reason = match is_network {
                        true => {
                            "this build has no tract, which detectors need: build reid with the feature `tract`"
                        }
                        false => SUPPORTED,
                    };
                    return Err(Error::Unsupported {
                        spec: spec.how.clone(),
                        reason: reason.to_owned(),
                    });
                }
            },
        };
        Ok(Self {
            finder,
            zones: spec.zones.clone(),
        })
    }

    /// Writes the persons of `frame` to `out` and returns how many did not fit. Those with the lowest
    /// scores are left out first, a box without a score before all others. Boxes of a file keep its
    /// order.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if a detector fails.
    pub fn find(&mut self, frame: &Frame, out: &mut Persons) -> Result<usize> {
        out.clear();
        let dropped = match &mut self.finder {
            Finder::Given(given) => given.find(frame, out),
            Finder::Motion(motion) => motion.find(frame, out),
            #[cfg(feature = "tract")]
            Finder::Detector(detector) => detector.find(frame, out)?,
            Finder::Whole => {
                let bbox = [0.0, 0.0, frame.width as f32, frame.height as f32];
                let whole = Person::at(bbox.into());
                out.push(whole).expect("an empty list has room for one");
                0
            }
        };
        self.zones.retain([frame.width, frame.height], out);
        Ok(dropped)
    }

    /// Whether each frame is one person.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.finder, Finder::Whole)
    }

    /// A note for the user about how persons are found, if there is one.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        match &self.finder {
            #[cfg(feature = "tract")]
            Finder::Detector(detector) => Some(detector.assumed().to_owned()),
            Finder::Given(given) => {
                let empty = "the file has no boxes of persons: no person will be found";
                let empty = given.is_empty().then(|| empty.to_owned());
                let notes: Vec<_> = given.notes().iter().cloned().chain(empty).collect();
                (!notes.is_empty()).then(|| notes.join("; "))
            }
            _ => None,
        }
    }

    /// Boxes of a file that fit the previous or the next frame better than their own; complete at the
    /// end of a source.
    #[must_use]
    pub fn misaligned(&self) -> Option<given::Misaligned> {
        self.given()?.misaligned()
    }

    /// Boxes of frames that never came; complete at the end of a source. Usually the file belongs to
    /// another source.
    #[must_use]
    pub fn unused(&self) -> Option<given::Unused> {
        self.given()?.unused()
    }

    fn given(&self) -> Option<&Given> {
        match &self.finder {
            Finder::Given(given) => Some(given),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn open(how: &str) -> Result<People> {
        People::open(&Spec::of(how, &[], &[])?)
    }

    #[test]
    fn whole_is_the_frame() {
        let mut people = open("whole").unwrap();
        let frame = Frame {
            width: 64,
            height: 128,
            ..Frame::default()
        };
        let mut found = Persons::new();
        // Twice: what is in the list before does not stay.
        for _ in 0..2 {
            assert_eq!(people.find(&frame, &mut found).unwrap(), 0);
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
        let frame = Frame {
            width: 64,
            height: 128,
            ..Frame::default()
        };
        let rows = [
            ("boxes.CSV", "frame,x,y,w,h\n0,1,2,3,4\n", 1),
            ("det.txt", "1,-1,1,1,1,1,0,-1,-1,-1\n", 1),
            ("gt.txt", "1,1,1,1,1,1,0,-1,-1,-1\n", 0),
            ("boxes.jsonl", "{\"frame\":0,\"box\":[1,2,3,4]}\n", 1),
        ];
        for (name, text, wanted) in rows {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            let mut people = open(path.to_str().unwrap()).expect(name);
            let mut found = Persons::new();
            people.find(&frame, &mut found).unwrap();
            assert_eq!(found.len(), wanted, "{name}");
        }
    }

    #[test]
    fn what_is_not_supported_says_what_is() {
        let cases = [
            ("boxes.xml", "supported are `motion`, `whole`, a detector"),
            ("hole", "supported are `motion`, `whole`, a detector"),
            ("none.onnx", "none.onnx"),
        ];
        for (spec, wanted) in cases {
            let error = open(spec).unwrap_err().to_string();
            assert!(error.contains(wanted) && error.contains(spec), "{error}");
        }
        let error = open("nowhere/boxes.csv").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }

    #[test]
    fn people_count_where_their_feet_are() {
        let zones = ["0,0 0.5,0 0.5,1 0,1".to_owned()];
        let boxes = "frame,x,y,w,h\n0,1,2,8,30\n0,50,2,8,30\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("boxes.csv");
        fs::write(&path, boxes).unwrap();
        let spec = Spec::of(path.to_str().unwrap(), &zones, &[]).unwrap();
        let mut people = People::open(&spec).unwrap();
        let frame = Frame {
            width: 64,
            height: 128,
            ..Frame::default()
        };
        let mut found = Persons::new();
        people.find(&frame, &mut found).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].bbox.x, 1.0);
        let error = Spec::of("whole", &["0,0 1,1".to_owned()], &[]).unwrap_err();
        assert!(error.to_string().contains("2 corners"), "{error}");
    }
}
