//! Visits: which persons are here, since when, and when each of them has left.
//!
//! In: each person of a frame with its track and the identity decided for it, at a time on the axis
//! of the run ([`crate::pipeline`]). Out: a [`Change`] where the identity of a visit is decided or
//! corrected, and each [`Visit`] whose identity no stream has seen for `min_absence`. Reads no clock
//! and writes nothing: events, tables, pages and gallery all count by this.

use std::collections::HashMap;
use std::time::Duration;

use crate::{Error, Result};

/// The most tracks of one visit that a correction can take back one by one. When there are more,
/// the two that were seen longest ago are counted as one.
const MAX_TRACKS: usize = 8;

/// How long a person must not be seen until the visit is over, unless the settings name a time:
/// longer than the 3 s after which the tracker gives up a lost track, and shorter than a person
/// needs to leave and come back through a door.
pub const MIN_ABSENCE: Duration = Duration::from_secs(5);

/// A person of a frame who has a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sight {
    /// Number of the track, unique in the process.
    pub track: u64,
    /// Where and when the person was seen.
    pub seen: SeenAt,
    /// When the track began, on the axis of the run.
    pub first: Duration,
    /// A longer time without a sight is a gap: the track may be of another person behind it.
    pub gap: Duration,
    /// The identity of the track, if it is decided.
    pub decided: Option<Decided>,
}

/// Where and when a person was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeenAt {
    /// Number of the source, from [`Visits::add_source`].
    pub source: usize,
    /// Number of the track in the output.
    pub track: u64,
    /// Time of the frame in its source.
    pub stream_time: Duration,
    /// Time of the frame on the axis of the run.
    pub at: Duration,
    /// When the frame was worked on, in milliseconds since 1970.
    pub time: u64,
}

/// The identity that was decided for a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decided {
    /// Number of the identity.
    pub identity: u64,
    /// Whether it was enrolled for this track in this frame.
    pub new: bool,
    /// Whether the crop of this frame confirms it.
    pub agrees: bool,
    /// Similarity in this frame, if its crop was embedded.
    pub similarity: Option<f32>,
    /// What the gallery knows of earlier visits.
    pub before: Before,
}

/// What the gallery knows of an identity before a visit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Before {
    /// Visits so far; 0 for a person enrolled from pictures who was never seen.
    pub visits: u64,
    /// When it was last seen, in milliseconds since 1970.
    pub last_seen: u64,
}

/// A visit got an identity, or a track left the visit that it was counted in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The visit that the track was counted in by mistake.
    pub left: Option<Left>,
    /// The visit whose identity is decided by this.
    pub identified: Option<Identified>,
}

/// A track left the visit that it was counted in: its identity was a mistake.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Left {
    /// Number of the visit.
    pub visit: u64,
    /// The identity that the visit had.
    pub from: Option<u64>,
    /// Identity of the track from now on.
    pub to: Option<u64>,
    /// The visit that the track belongs to from now on: the same one if it has the track alone.
    pub moved_to: Option<u64>,
    /// Whether nothing is left of the visit: it is not counted, and does not end.
    pub withdrawn: bool,
    /// What is to be put right for `from`.
    pub correction: Option<Correction>,
}

/// What a mistake had counted for an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correction {
    /// Whether a visit was counted that was none.
    pub visit: bool,
    /// Whether that visit was counted as a return.
    pub returning: bool,
    /// Whether the identity was enrolled for that visit.
    pub new: bool,
    /// Whether that visit was counted as the first one of the identity in this run.
    pub first_of_run: bool,
    /// When the identity was last seen without the mistake, in milliseconds since 1970.
    pub last_seen: u64,
}

/// The identity of a visit is decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Identified {
    /// Number of the visit, from 1.
    pub visit: u64,
    /// Whether the visit starts by this; it had another identity, or none for a while, if not.
    pub starts: bool,
    /// Number of the identity.
    pub identity: u64,
    /// Whether it was enrolled for this visit.
    pub new: bool,
    /// Whether it had no earlier visit in this run.
    pub first_of_run: bool,
    /// Whether it had an earlier visit, in this run or before it.
    pub returning: bool,
    /// When its earlier visit ended, since 1970; none if there was none.
    pub last_seen: Option<Duration>,
    /// When the visit began, on the axis of the run.
    pub first: Duration,
}

/// A person from the first time seen to the last, on any stream.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Its number, from 1.
    pub number: u64,
    /// Number of the identity; none if it was taken back and not decided again.
    pub identity: Option<u64>,
    /// Whether the identity was enrolled for this visit.
    pub new: bool,
    /// Whether the identity had an earlier visit.
    pub returning: bool,
    first_of_run: bool,
    before: Before,
    /// Never empty.
    spans: heapless::Vec<Span, MAX_TRACKS>,
}

/// What one track of a visit has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    track: u64,
    first: Duration,
    last: SeenAt,
    observations: u64,
    least: Option<f32>,
    /// The last sight, and the observations up to it, that hold whatever comes later: the identity was
    /// enrolled for this track, or confirmed after it was decided.
    proven: Option<(SeenAt, u64)>,
    /// The first sight behind that, or behind the gap that followed.
    resumed: Option<Duration>,
}

/// Stands for the track of a span whose track has left the visit.
const LEFT: u64 = u64::MAX;

/// The visits of a run.
#[derive(Debug)]
pub struct Visits {
    min_absence: Duration,
    open: Vec<Visit>,
    /// When the last visit of an identity in this run ended.
    past: HashMap<u64, Duration>,
    sources: Vec<String>,
    count: u64,
    /// The first and the last time so far.
    period: Option<[Duration; 2]>,
}

impl Visits {
    /// No visits yet.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `min_absence` is 1 ms to 24 h.
    pub fn new(min_absence: Duration) -> Result<Self> {
        let range = Duration::from_millis(1)..=Duration::from_secs(24 * 3600);
        if !range.contains(&min_absence) {
            let found = min_absence.as_secs_f64();
            return Err(Error::Argument(format!(
                "`visits.min_absence` is {found} s, wanted 0.001 s to 24 h"
            )));
        }
        Ok(Self {
            min_absence,
            open: Vec::new(),
            past: HashMap::new(),
            sources: Vec::new(),
            count: 0,
            period: None,
        })
    }

    /// Gives a source a number.
    pub fn add_source(&mut self, name: &str) -> usize {
        self.sources.push(name.to_owned());
        self.sources.len() - 1
    }

    /// Name of a source.
    #[must_use]
    pub fn source(&self, number: usize) -> &str {
        self.sources.get(number).map_or("", String::as_str)
    }

    /// The last time that any frame had, on the axis of the run.
    #[must_use]
    pub fn latest(&self) -> Option<Duration> {
        self.period.map(|[_, latest]| latest)
    }

    /// How long after the first frame of the run a time is.
    #[must_use]
    pub fn since_start(&self, at: Duration) -> Duration {
        self.period
            .map_or(Duration::ZERO, |[start, _]| at.saturating_sub(start))
    }

    /// Takes note of a frame at this time.
    pub fn advance(&mut self, at: Duration) {
        let [start, latest] = self.period.unwrap_or([at; 2]);
        self.period = Some([start, latest.max(at)]);
    }

    /// Number of the open visit that a track is counted in.
    #[must_use]
    pub fn visit_of(&self, track: u64) -> Option<u64> {
        self.position_of(track).map(|at| self.open[at].number)
    }

    /// Takes note of a person of a frame.
    pub fn see(&mut self, sight: &Sight) -> Option<Change> {
        let to = sight.decided.map(|decided| decided.identity);
        match self.position_of(sight.track) {
            Some(at) if self.open[at].identity == to => {
                self.open[at].extend(sight);
                None
            }
            Some(at) => Some(self.correct(at, sight)),
            None => {
                let identified = self.place(Span::new(sight), sight.decided?)?;
                Some(Change {
                    left: None,
                    identified: Some(identified),
                })
            }
        }
    }

    /// Takes out a visit whose identity was not seen for `min_absence`, or for `patience` if that
    /// is longer: the one that was seen longest ago. `now` is on the axis of the run.
    pub fn take_absent(&mut self, now: Duration, patience: Duration) -> Option<Visit> {
        let absence = self.min_absence.max(patience);
        let oldest = (0..self.open.len()).min_by_key(|&at| self.open[at].last().at)?;
        let absent = now.saturating_sub(self.open[oldest].last().at);
        (absent >= absence).then(|| self.close(oldest))
    }

    /// Takes out the open visit that began first, at the end of a run.
    pub fn take_open(&mut self) -> Option<Visit> {
        let first = (0..self.open.len()).min_by_key(|&at| self.open[at].number)?;
        Some(self.close(first))
    }

    /// Takes out the open visit of an identity that has left the gallery, and forgets the others.
    pub fn forget(&mut self, identity: u64) -> Option<Visit> {
        let at = self.position_with(identity);
        let visit = at.map(|at| self.open.swap_remove(at));
        self.past.remove(&identity);
        visit
    }

    /// Moves the open visit of an identity to the one that it was merged into: the visit changes its
    /// identity, or is withdrawn if that one has an open visit. Returns that, and the last sight.
    pub fn merge(&mut self, from: u64, into: u64) -> Option<(Left, SeenAt)> {
        if let Some(ended) = self.past.remove(&from) {
            let past = self.past.entry(into).or_insert(ended);
            *past = ended.max(*past);
        }
        let at = self.position_with(from)?;
        let taken = self.position_with(into);
        let last = self.open[at].last();
        let left = Left {
            visit: self.open[at].number,
            from: Some(from),
            to: Some(into),
            moved_to: Some(self.open[taken.unwrap_or(at)].number),
            withdrawn: taken.is_some(),
            correction: None,
        };
        match taken {
            None => self.open[at].identity = Some(into),
            Some(to) => {
                let spans = std::mem::take(&mut self.open[at].spans);
                spans.into_iter().for_each(|span| self.open[to].add(span));
                self.open.retain(|visit| !visit.spans.is_empty());
            }
        }
        Some((left, last))
    }

    /// Moves a track out of the visit at `at`, whose identity is not that of the track. What is proven
    /// of the visit stays: the track went over to another person.
    fn correct(&mut self, at: usize, sight: &Sight) -> Change {
        let visit = &mut self.open[at];
        let mut span = visit.remove(sight.track);
        if let Some((last, observations)) = span.proven {
            visit.add(Span {
                track: LEFT,
                last,
                observations,
                ..span
            });
            span.first = span.resumed.unwrap_or(sight.seen.at);
            span.observations = 0;
        }
        let withdrawn = visit.spans.is_empty();
        let seen = visit.spans.iter().map(|span| span.last.time).max();
        let mut left = Left {
            visit: visit.number,
            from: visit.identity,
            to: sight.decided.map(|decided| decided.identity),
            moved_to: None,
            withdrawn,
            correction: visit.identity.map(|_| Correction {
                visit: withdrawn,
                returning: withdrawn && visit.returning,
                new: withdrawn && visit.new,
                first_of_run: withdrawn && visit.first_of_run,
                last_seen: visit
                    .before
                    .last_seen
                    .max(seen.unwrap_or(visit.before.last_seen)),
            }),
        };
        // The similarity to a wrong identity is none to the right one.
        span.least = None;
        span.decide(sight);
        let taken = sight.decided.and_then(|to| self.position_with(to.identity));
        let identified = match (sight.decided, withdrawn) {
            // The visit is of this track alone: it stays, with the other identity or with none.
            (decided, true) if taken.is_none() => {
                left.withdrawn = false;
                left.moved_to = Some(left.visit);
                let visit = &mut self.open[at];
                visit.add(span);
                match decided {
                    Some(decided) => Some(self.identify(at, decided, false)),
                    None => {
                        visit.identity = None;
                        None
                    }
                }
            }
            (Some(decided), _) => {
                let identified = self.place(span, decided);
                left.moved_to = self.visit_of(sight.track);
                identified
            }
            (None, _) => None,
        };
        if left.withdrawn {
            self.open.retain(|visit| !visit.spans.is_empty());
        }
        Change {
            left: Some(left),
            identified,
        }
    }

    /// Puts a track into the open visit of its identity, or starts one.
    fn place(&mut self, span: Span, decided: Decided) -> Option<Identified> {
        if let Some(at) = self.position_with(decided.identity) {
            self.open[at].add(span);
            return None;
        }
        self.count += 1;
        let mut visit = Visit {
            number: self.count,
            identity: None,
            new: false,
            returning: false,
            first_of_run: false,
            before: Before::default(),
            spans: heapless::Vec::new(),
        };
        visit.add(span);
        self.open.push(visit);
        Some(self.identify(self.open.len() - 1, decided, true))
    }

    /// Gives the visit at `at` its identity.
    fn identify(&mut self, at: usize, decided: Decided, starts: bool) -> Identified {
        let Decided {
            identity,
            new,
            before,
            ..
        } = decided;
        let earlier = self.past.get(&identity).copied();
        let visit = &mut self.open[at];
        visit.identity = Some(identity);
        visit.new = new;
        visit.returning = !new && before.visits > 0;
        visit.first_of_run = earlier.is_none();
        visit.before = before;
        let earlier = earlier.unwrap_or(Duration::from_millis(before.last_seen));
        Identified {
            visit: visit.number,
            starts,
            identity,
            new,
            first_of_run: visit.first_of_run,
            returning: visit.returning,
            last_seen: visit.returning.then_some(earlier),
            first: visit.first(),
        }
    }

    fn close(&mut self, at: usize) -> Visit {
        let visit = self.open.swap_remove(at);
        if let Some(identity) = visit.identity {
            self.past.insert(identity, visit.last().at);
        }
        visit
    }

    fn position_of(&self, track: u64) -> Option<usize> {
        let has = |visit: &Visit| visit.spans.iter().any(|span| span.track == track);
        self.open.iter().position(has)
    }

    fn position_with(&self, identity: u64) -> Option<usize> {
        let mut open = self.open.iter();
        open.position(|visit| visit.identity == Some(identity))
    }
}

impl Visit {
    /// When the person was first seen, on the axis of the run.
    #[must_use]
    pub fn first(&self) -> Duration {
        let first = self.spans.iter().map(|span| span.first).min();
        first.unwrap_or_default()
    }

    /// Where and when the person was last seen.
    #[must_use]
    pub fn last(&self) -> SeenAt {
        let last = self.spans.iter().map(|span| span.last);
        let last = last.max_by_key(|place| place.at);
        last.expect("a visit has a track")
    }

    /// In how many frames the person was seen with this identity.
    #[must_use]
    pub fn observations(&self) -> u64 {
        self.spans.iter().map(|span| span.observations).sum()
    }

    /// The lowest similarity at which the identity was recognised; none if it never was.
    #[must_use]
    pub fn least(&self) -> Option<f32> {
        let least = self.spans.iter().filter_map(|span| span.least);
        least.reduce(f32::min)
    }

    fn extend(&mut self, sight: &Sight) {
        let mut spans = self.spans.iter_mut();
        if let Some(span) = spans.find(|span| span.track == sight.track) {
            span.extend(sight);
        }
    }

    fn remove(&mut self, track: u64) -> Span {
        let at = self.spans.iter().position(|span| span.track == track);
        self.spans
            .swap_remove(at.expect("the visit has this track"))
    }

    fn add(&mut self, span: Span) {
        if self.spans.is_full() {
            self.spans
                .sort_unstable_by_key(|span| std::cmp::Reverse(span.last.at));
            if let (Some(oldest), Some(other)) = (self.spans.pop(), self.spans.last_mut()) {
                other.first = other.first.min(oldest.first);
                other.observations += oldest.observations;
                other.least = other.least.into_iter().chain(oldest.least).reduce(f32::min);
            }
        }
        self.spans.push(span).expect("there is room by now");
    }
}

impl Span {
    fn new(sight: &Sight) -> Self {
        let mut span = Self {
            track: sight.track,
            first: sight.first,
            last: sight.seen,
            observations: 0,
            least: None,
            proven: None,
            resumed: None,
        };
        span.decide(sight);
        span
    }

    /// Takes the sight in which the identity is decided. An enrolled person is proven by it.
    fn decide(&mut self, sight: &Sight) {
        self.extend(sight);
        let new = sight.decided.is_some_and(|decided| decided.new);
        self.proven = new.then_some((sight.seen, self.observations));
        self.resumed = None;
    }

    fn extend(&mut self, sight: &Sight) {
        if self.resumed.is_none() && self.proven.is_some() {
            let is_gap = sight.seen.at.saturating_sub(self.last.at) > sight.gap;
            if is_gap {
                self.proven = Some((self.last, self.observations));
            }
            self.resumed = is_gap.then_some(sight.seen.at);
        }
        self.last = sight.seen;
        if let Some(decided) = sight.decided {
            self.observations += 1;
            self.least = self
                .least
                .into_iter()
                .chain(decided.similarity)
                .reduce(f32::min);
            if decided.agrees {
                self.proven = Some((sight.seen, self.observations));
                self.resumed = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
