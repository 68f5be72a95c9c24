//! Events as lines for a person: a visit that starts, who it is, a correction, its end.

use std::io::Write;
use std::time::Duration;

use runtime::event::{Event, EventKind};
use runtime::sink::Sink;

/// One line for an event, as `10:15:04 door: person-7f3a91c2-000001 is back after 12 s (visit 3)`.
pub(in crate::commands) fn line(event: &Event<'_>) -> String {
    let what = match event.kind {
        EventKind::VisitStarted { .. } => "a visit starts".to_owned(),
        EventKind::Identified {
            identity,
            new: true,
            ..
        } => format!("{identity} is new"),
        EventKind::Identified {
            identity,
            absence,
            similarity,
            ..
        } => {
            let absence = match absence {
                Some(absence) => format!("is back after {}", span(absence)),
                None => "is here for the first time".to_owned(),
            };
            let similarity =
                similarity.map_or_else(String::new, |s| format!(", similarity {s:.2}"));
            format!("{identity} {absence}{similarity}")
        }
        EventKind::IdentityChanged { from, to, .. } => {
            let name = |name: Option<&str>| name.unwrap_or("not decided").to_owned();
            format!("correction: {}, not {}", name(to), name(from))
        }
        EventKind::VisitEnded {
            identity, duration, ..
        } => {
            let who = identity.unwrap_or("a person whose identity was taken back");
            format!("{who} has left, was here for {}", span(duration))
        }
    };
    let time = humantime::format_rfc3339_seconds(event.time).to_string();
    let time = time.get(11..19).unwrap_or_default();
    format!("{time} {}: {what} (visit {})", event.source, event.visit)
}

/// Whole seconds, as `1h 2m 3s`.
fn span(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

/// Writes a line an event.
#[derive(Debug)]
pub(in crate::commands) struct EventLines<W>(pub(in crate::commands) W);

impl<W: Write> Sink for EventLines<W> {
    fn event(&mut self, event: &Event<'_>) -> runtime::Result<()> {
        let line = line(event);
        writeln!(self.0, "{}", cli::printable(&line))
            .and_then(|()| self.0.flush())
            .map_err(|source| runtime::Error::Sink { source })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn events_read_as_sentences() {
        let identified = |new, absence: Option<u64>, similarity| EventKind::Identified {
            identity: "Ada",
            new,
            returning: absence.is_some(),
            last_seen: None,
            absence: absence.map(Duration::from_secs),
            similarity,
            runner_up: None,
            threshold: 0.5,
        };
        let changed = |from, to| EventKind::IdentityChanged {
            from,
            to,
            moved_to: None,
            withdrawn: true,
        };
        let ended = |identity| EventKind::VisitEnded {
            identity,
            first: SystemTime::UNIX_EPOCH,
            last: SystemTime::UNIX_EPOCH,
            duration: Duration::from_millis(27_400),
            crop: None,
        };
        let first = SystemTime::UNIX_EPOCH;
        let cases = [
            (EventKind::VisitStarted { first }, "a visit starts"),
            (identified(true, None, None), "Ada is new"),
            (
                identified(false, Some(72), Some(0.75)),
                "Ada is back after 1m 12s, similarity 0.75",
            ),
            (
                identified(false, None, None),
                "Ada is here for the first time",
            ),
            (
                changed(Some("Ada"), Some("Bob")),
                "correction: Bob, not Ada",
            ),
            (
                changed(Some("Ada"), None),
                "correction: not decided, not Ada",
            ),
            (ended(Some("Ada")), "Ada has left, was here for 27s"),
            (
                ended(None),
                "a person whose identity was taken back has left, was here for 27s",
            ),
        ];
        for (kind, wanted) in cases {
            let event = Event {
                visit: 3,
                track: 4,
                source: "door",
                time: SystemTime::UNIX_EPOCH + Duration::from_secs(36_904),
                stream_time: Duration::ZERO,
                kind,
            };
            assert_eq!(line(&event), format!("10:15:04 door: {wanted} (visit 3)"));
        }
    }
}
