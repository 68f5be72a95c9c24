//! `reid demo --camera`: walk out, come back.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use media::camera;
use runtime::event::{Evidence, Observation, Sink, State};

/// Whoever was away for less has only been hidden, or their track was lost.
const AWAY: Duration = Duration::from_secs(1);

/// The first camera that gives pictures, else the place where one is looked for.
pub(super) fn first() -> String {
    let usable = |info: &camera::CameraInfo| info.problem.is_none();
    let found = camera::list().into_iter().find(usable);
    found.map_or_else(
        || "/dev/video0".to_owned(),
        |info| info.path.display().to_string(),
    )
}

/// Says who comes and who is back.
#[derive(Debug)]
pub(super) struct Doorman<W> {
    out: W,
    /// Of each identity: its number for people, the last track, and when it was last seen.
    known: BTreeMap<String, (usize, Option<u64>, Duration)>,
}

impl<W: Write> Doorman<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            known: BTreeMap::new(),
        }
    }

    /// How many came.
    pub(super) fn persons(&self) -> usize {
        self.known.len()
    }

    /// The line for a person in a frame, if there is something to say.
    fn line(&mut self, seen: &Observation<'_>) -> Option<String> {
        let name = seen.identity?;
        let now = seen.stream_time;
        let next = self.known.len() + 1;
        let Some((number, track, last)) = self.known.get_mut(name) else {
            self.known.insert(name.to_owned(), (next, seen.track, now));
            return Some(format!("new: person {next}"));
        };
        let away = now.saturating_sub(*last);
        let back = *track != seen.track && away >= AWAY && seen.state == State::Seen;
        (*track, *last) = (seen.track, now);
        let similarity = seen.similarity.map_or_else(String::new, |similarity| {
            format!(", similarity {similarity:.2}")
        });
        back.then(|| {
            format!(
                "person {number} is back after {:.0} s{similarity}",
                away.as_secs_f64()
            )
        })
    }
}

impl<W: Write> Sink for Doorman<W> {
    fn emit(&mut self, seen: &Observation<'_>, _: &Evidence<'_>) -> runtime::Result<()> {
        let Some(line) = self.line(seen) else {
            return Ok(());
        };
        let written = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        written.map_err(|source: io::Error| runtime::Error::Sink { source })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn whoever_comes_is_new_and_then_back() {
        let mut doorman = Doorman::new(Vec::new());
        let nothing = Evidence {
            crop: None,
            size: [0, 0],
            quality: 0.0,
            runner_up: None,
        };
        let cases = [
            // Seconds, track, identity.
            (0, 1, None),
            (1, 1, Some("a")),
            (2, 1, Some("a")),
            (2, 2, Some("b")),
            (9, 1, Some("a")),
            (21, 3, Some("a")),
            (21, 4, Some("b")),
            (22, 4, Some("b")),
            // A track that was lost for a moment.
            (22, 5, Some("b")),
        ];
        for (at, track, identity) in cases {
            let seen = Observation {
                schema: 1,
                source: "",
                frame: 0,
                time: SystemTime::UNIX_EPOCH,
                stream_time: Duration::from_secs(at),
                track: Some(track),
                bbox: [0.0; 4],
                identity,
                similarity: (track > 3).then_some(0.75),
                runner_up: None,
                threshold: 0.5,
                state: State::Seen,
            };
            doorman.emit(&seen, &nothing).unwrap();
        }
        let wanted = "new: person 1\nnew: person 2\nperson 1 is back after 12 s\n\
                      person 2 is back after 19 s, similarity 0.75\n";
        assert_eq!(String::from_utf8(doorman.out.clone()).unwrap(), wanted);
        assert_eq!(doorman.persons(), 2);
    }
}
