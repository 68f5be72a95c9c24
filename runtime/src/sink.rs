//! Where the output of a run goes: a [`Sink`] takes events, observations and frames in the order in
//! which they are made, and keeps crops.

use std::io::Write;
use std::time::Duration;

use media::Frame;

use crate::event::{Event, Evidence, Observation};
use crate::summary::Summary;
use crate::{Error, Result};

/// Takes the output of a run. All methods but those that a sink needs do nothing.
pub trait Sink {
    /// Takes one person in one frame.
    ///
    /// # Errors
    /// [`Error::Sink`] if it cannot be written.
    fn observation(&mut self, seen: &Observation<'_>, evidence: &Evidence<'_>) -> Result<()> {
        let _ = (seen, evidence);
        Ok(())
    }

    /// Takes an event. The identity in it is on disk before.
    ///
    /// # Errors
    /// [`Error::Sink`] if it cannot be written.
    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        let _ = event;
        Ok(())
    }

    /// Takes the frame of the stream at this position after all persons in it, to be painted on.
    ///
    /// # Errors
    /// [`Error::Sink`] if it cannot be written and that is a reason to stop.
    fn frame(&mut self, stream: usize, frame: &mut Frame) -> Result<()> {
        let _ = (stream, frame);
        Ok(())
    }

    /// Keeps the crop of a person who is about to be enrolled, and returns its path below the
    /// folder of crops, which the gallery remembers; none if crops are not kept.
    fn enroll(&mut self, crop: &EnrolledCrop<'_>) -> Option<String> {
        let _ = crop;
        None
    }

    /// Deletes a crop that [`Sink::enroll`] has kept: its exemplar has left the gallery.
    fn delete_crop(&mut self, path: &str) {
        let _ = path;
    }

    /// Deletes what is kept of an identity that has left the gallery.
    fn forget(&mut self, identity: &str) {
        let _ = identity;
    }

    /// Called once an iteration, `elapsed` after the start of the run by a clock that does not jump.
    fn progress(&mut self, elapsed: Duration, summary: &Summary) {
        let _ = (elapsed, summary);
    }

    /// The streams at hand, so many, have ended; what comes next is of others.
    fn ended(&mut self, streams: usize) {
        let _ = streams;
    }
}

/// The crop for which a person is enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnrolledCrop<'a> {
    /// Name that the identity gets.
    pub identity: &'a str,
    /// Name of the source.
    pub source: &'a str,
    /// Position of the frame in its source.
    pub frame: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Number of the track.
    pub track: u64,
    /// RGB `[height, width, 3]` u8.
    pub rgb: &'a [u8],
    /// Height and width.
    pub size: [usize; 2],
}

/// Writes one JSON line an event, and one an observation if asked for, each flushed at once, so
/// that a reader at the other end of a pipe sees it while the person is there.
#[derive(Debug)]
pub struct JsonLines<W> {
    /// Where lines go.
    pub out: W,
    /// Whether observations are written too.
    pub observations: bool,
}

impl<W: Write> JsonLines<W> {
    fn line(&mut self, value: &impl serde::Serialize) -> Result<()> {
        cli::json_line(&mut self.out, value)
            .and_then(|()| self.out.flush())
            .map_err(|source| Error::Sink { source })
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn observation(&mut self, seen: &Observation<'_>, _: &Evidence<'_>) -> Result<()> {
        match self.observations {
            true => self.line(seen),
            false => Ok(()),
        }
    }

    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        self.line(event)
    }
}

/// Takes everything and does nothing with it, for runs that only want the summary.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::event::{EventKind, OBSERVATION_SCHEMA, State};

    const NOTHING: Evidence<'_> = Evidence {
        crop: None,
        size: [0, 0],
        quality: 0.0,
        runner_up: None,
        visit: None,
    };

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn observation() -> Observation<'static> {
        Observation {
            schema: OBSERVATION_SCHEMA,
            source: "clip.avi",
            frame: 7,
            time: at(1_500),
            stream_time: Duration::from_secs_f64(0.28),
            track: None,
            bbox: [338.5, 93.5, 161.75, 329.0],
            identity: Some("person-7f3a-000001"),
            similarity: Some(0.75),
            runner_up: None,
            threshold: 0.5,
            state: State::Seen,
        }
    }

    #[test]
    fn the_lines_are_the_documented_ones() {
        let event = |kind| Event {
            visit: 2,
            track: 9,
            source: "door",
            time: at(61_500),
            stream_time: Duration::from_millis(61_500),
            kind,
        };
        let events = [
            EventKind::VisitStarted { first: at(60_000) },
            EventKind::Identified {
                identity: "Ada",
                new: false,
                returning: true,
                last_seen: Some(at(40_000)),
                absence: Some(Duration::from_secs(20)),
                similarity: Some(0.75),
                runner_up: Some(0.25),
                threshold: 0.5,
            },
            EventKind::IdentityChanged {
                from: Some("Ada"),
                to: None,
                moved_to: Some(2),
                withdrawn: false,
            },
            EventKind::VisitEnded {
                identity: None,
                first: at(60_000),
                last: at(61_500),
                duration: Duration::from_millis(1500),
                crop: Some("ada/1.jpg"),
            },
        ];
        let mut lines = JsonLines {
            out: Vec::new(),
            observations: true,
        };
        lines.observation(&observation(), &NOTHING).unwrap();
        for kind in events {
            lines.event(&event(kind)).unwrap();
        }
        lines.observations = false;
        lines.observation(&observation(), &NOTHING).unwrap();
        let common = concat!(
            r#""visit":2,"track":9,"source":"door","time":"1970-01-01T00:01:01.500Z","#,
            r#""stream_time":61.5,"#
        );
        let first = r#""first":"1970-01-01T00:01:00.000Z""#;
        let wanted = [
            concat!(
                r#"{"schema":1,"source":"clip.avi","frame":7,"time":"1970-01-01T00:00:01.500Z","#,
                r#""stream_time":0.28,"track":null,"box":[338.5,93.5,161.75,329.0],"#,
                r#""identity":"person-7f3a-000001","similarity":0.75,"runner_up":null,"#,
                r#""threshold":0.5,"state":"seen"}"#
            )
            .to_owned(),
            format!(r#"{{"schema":2,"event":"visit_started",{common}{first}}}"#),
            format!(
                r#"{{"schema":2,"event":"identified",{common}"identity":"Ada","new":false,"returning":true,"last_seen":"1970-01-01T00:00:40.000Z","absence":20.0,"similarity":0.75,"runner_up":0.25,"threshold":0.5}}"#
            ),
            format!(
                r#"{{"schema":2,"event":"identity_changed",{common}"from":"Ada","to":null,"moved_to":2,"withdrawn":false}}"#
            ),
            format!(
                r#"{{"schema":2,"event":"visit_ended",{common}"identity":null,{first},"last":"1970-01-01T00:01:01.500Z","duration":1.5,"crop":"ada/1.jpg"}}"#
            ),
        ];
        let found = String::from_utf8(lines.out).unwrap();
        assert_eq!(found.lines().collect::<Vec<_>>(), wanted);
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
        let mut lines = JsonLines {
            out: Closed,
            observations: true,
        };
        let error = lines.observation(&observation(), &NOTHING).unwrap_err();
        assert!(
            matches!(error, Error::Sink { source } if source.kind() == std::io::ErrorKind::BrokenPipe)
        );
    }
}
