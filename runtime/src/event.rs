//! What comes out of the loop: one [`Observation`] for each person in each frame, given to a
//! [`Sink`].

use std::io::Write;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::{Error, Result};
use media::Frame;

/// Version of the JSON form of an observation; it changes when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// One person in one frame. Its JSON form is one line, and stable: see `docs/json.md`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation<'a> {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the source: the file, folder or camera as it was given.
    pub source: &'a str,
    /// Position of the frame in its source, from 0.
    pub frame: u64,
    /// When the frame was worked on, by the clock of the device.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// When the frame was taken, in seconds since the first one of its source.
    #[serde(serialize_with = "seconds")]
    pub stream_time: Duration,
    /// Number of the visit that the box belongs to; none for a box too unsure to begin one.
    pub track: Option<u64>,
    /// Left, top, width and height in pixels; it may reach beyond the frame.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Name of the identity in the gallery; none while the visit has not decided it.
    pub identity: Option<&'a str>,
    /// Cosine similarity to its most similar exemplar; none for an identity that is new, and in
    /// frames whose crop was not embedded because the visit was embedded a moment ago.
    pub similarity: Option<f32>,
    /// Similarity of the most similar *other* identity, if there is one.
    pub runner_up: Option<f32>,
    /// Similarities at or above it mean the same person.
    pub threshold: f32,
    /// What the observation means for the gallery.
    pub state: State,
}

/// What an observation means for the gallery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody was similar enough: the identity was made for this person.
    New,
    /// The person is known.
    Seen,
    /// The visit has shown too little to say.
    Pending,
}

/// What an observation rests on, for those who show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence<'a> {
    /// The crop as the network saw it, RGB `[height, width, 3]` u8; none if it was not embedded.
    pub crop: Option<&'a [u8]>,
    /// Height and width of the crop.
    pub size: [usize; 2],
    /// How good the crop is; more is better.
    pub quality: f32,
    /// Name of the most similar other identity.
    pub runner_up: Option<&'a str>,
}

/// Takes observations, in the order in which they are made.
pub trait Sink {
    /// Takes one.
    ///
    /// # Errors
    /// [`Error::Sink`] if it cannot be written.
    fn emit(&mut self, observation: &Observation<'_>, evidence: &Evidence<'_>) -> Result<()>;

    /// Takes the frame of the source at position `lane` after everybody in it was emitted, to be
    /// painted on.
    ///
    /// # Errors
    /// [`Error::Sink`] if it cannot be written and that is a reason to stop.
    fn frame(&mut self, lane: usize, frame: &mut Frame) -> Result<()> {
        let _ = (lane, frame);
        Ok(())
    }

    /// The sources at hand, `lanes` of them, have ended; what comes next is of others.
    fn ended(&mut self, lanes: usize) {
        let _ = lanes;
    }

    /// Takes something that a person should know and that stops nothing.
    fn note(&mut self, note: &dyn std::fmt::Display) {
        tracing::warn!("{note}");
    }
}

/// Writes one JSON line an observation, each flushed at once, so that a reader at the other end of
/// a pipe sees it while the person is there.
#[derive(Debug)]
pub struct JsonLines<W>(pub W);

impl<W: Write> Sink for JsonLines<W> {
    fn emit(&mut self, observation: &Observation<'_>, _: &Evidence<'_>) -> Result<()> {
        cli::json_line(&mut self.0, observation)
            .and_then(|()| self.0.flush())
            .map_err(|source| Error::Sink { source })
    }
}

/// Takes observations and does nothing with them, for runs that only want the summary.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn emit(&mut self, _: &Observation<'_>, _: &Evidence<'_>) -> Result<()> {
        Ok(())
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are what containers and cameras know.
    serializer.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Evidence<'_> = Evidence {
        crop: None,
        size: [0, 0],
        quality: 0.0,
        runner_up: None,
    };

    #[test]
    fn the_line_is_the_documented_one() {
        let observation = Observation {
            schema: SCHEMA,
            source: "clip.avi",
            frame: 7,
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500),
            stream_time: Duration::from_secs_f64(0.28),
            track: None,
            bbox: [338.5, 93.5, 161.75, 329.0],
            identity: Some("person-7f3a-000001"),
            similarity: Some(0.75),
            runner_up: None,
            threshold: 0.5,
            state: State::Seen,
        };
        let mut lines = JsonLines(Vec::new());
        lines.emit(&observation, &NOTHING).unwrap();
        let wanted = concat!(
            r#"{"schema":1,"source":"clip.avi","frame":7,"time":"1970-01-01T00:00:01.500Z","#,
            r#""stream_time":0.28,"track":null,"box":[338.5,93.5,161.75,329.0],"#,
            r#""identity":"person-7f3a-000001","similarity":0.75,"runner_up":null,"threshold":0.5,"#,
            r#""state":"seen"}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(lines.0).unwrap(), wanted);
    }

    #[test]
    fn a_reader_that_went_away_is_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let observation = Observation {
            schema: SCHEMA,
            source: "",
            frame: 0,
            time: SystemTime::UNIX_EPOCH,
            stream_time: Duration::ZERO,
            track: None,
            bbox: [0.0; 4],
            identity: None,
            similarity: None,
            runner_up: None,
            threshold: 0.5,
            state: State::New,
        };
        let error = JsonLines(Closed).emit(&observation, &NOTHING).unwrap_err();
        assert!(
            matches!(error, Error::Sink { source } if source.kind() == std::io::ErrorKind::BrokenPipe)
        );
    }
}
