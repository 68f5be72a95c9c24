//! Records the persons of a frame in one transaction: unknown ones are enrolled, the others get a new time and perhaps an exemplar.

use retrieval::scan::similarity;

use super::limits::millis;
use super::record::Record;
use super::store::StoreStep;
use super::{Gallery, Origin, retention};
use crate::error::Result;

/// A person in a frame.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Their identity; a new one is made if there is none.
    pub identity: Option<u64>,
    /// `[dim]`, of unit length.
    pub embedding: &'a [f32],
    /// Where the embedding comes from.
    pub origin: &'a Origin,
}

/// The effect of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The identity. [`Gallery::name`] has its name.
    pub identity: u64,
    /// Whether it is new.
    pub enrolled: bool,
    /// The effect on it.
    pub observed: Observed,
}

/// The effect on an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// Visits of the identity; [`Gallery::begin_visit`] counts them.
    pub visits: u64,
    /// Whether the embedding became an exemplar.
    pub kept: bool,
}

/// The new times of a person who was seen without a new exemplar.
pub(super) struct Touch {
    pub(super) identity: u64,
    pub(super) last_seen: u64,
    pub(super) visits: u64,
}

impl Gallery {
    /// Records the persons of a frame, and puts the effects into `recorded`, in the order of the samples. New identities and exemplars are on disk when this
    /// returns, in one transaction; a time or a visit may wait, see [`super::GalleryLimits::flush_after`]. Two new identities of one call are not compared with each
    /// other. A second sample of an identity costs a second transaction. Evicted persons are returned by the next [`Gallery::expire`].
    ///
    /// After warm-up a frame without newcomers and exemplars allocates nothing, but for the one a second that stores the times of those before.
    ///
    /// # Errors
    /// [`Error::UnknownIdentity`](crate::Error::UnknownIdentity), [`Error::Kernels`](crate::Error::Kernels) if an embedding does not fit, [`Error::Argument`](crate::Error::Argument) if an origin is too long,
    /// [`Error::GalleryStorage`](crate::Error::GalleryStorage). What `recorded` then holds has happened, the rest has not.
    pub fn record(&mut self, samples: &[Sample<'_>], recorded: &mut Vec<Recorded>) -> Result<()> {
        recorded.clear();
        self.reopen()?;
        let mut rest = samples;
        while !rest.is_empty() {
            let (group, later) = rest.split_at(distinct(rest));
            let done = recorded.len();
            let result = self.record_group(group, recorded);
            if result.is_err() {
                recorded.truncate(done);
                return result;
            }
            rest = later;
        }
        Ok(())
    }

    /// Records samples of different identities: plans all changes, stores them, then changes memory.
    fn record_group(&mut self, group: &[Sample<'_>], recorded: &mut Vec<Recorded>) -> Result<()> {
        let first = recorded.len();
        let mut steps = Vec::new();
        let mut newcomers = 0;
        for sample in group {
            let Sample {
                identity,
                embedding,
                origin,
            } = *sample;
            self.check_exemplar(embedding, origin)?;
            let Some(identity) = identity else {
                let identity = self.state.next_identity.saturating_add(newcomers);
                let record = Record::new(self.state.stamp.tag.name(identity), origin.time);
                steps.extend(enrolment(identity, record, embedding, origin));
                newcomers += 1;
                recorded.push(Recorded {
                    identity,
                    enrolled: true,
                    observed: Observed {
                        visits: 1,
                        kept: true,
                    },
                });
                continue;
            };
            let Touch {
                last_seen, visits, ..
            } = self.touch(identity, origin.time)?;
            let kept = self.nearest_exemplar(identity, embedding) < self.limits.novelty;
            if kept {
                let record = Record {
                    last_seen,
                    visits,
                    ..self.state.people[&identity].record.clone()
                };
                steps.extend(self.exemplar_steps(identity, record, embedding, origin)?);
            }
            recorded.push(Recorded {
                identity,
                enrolled: false,
                observed: Observed { visits, kept },
            });
        }
        let recorded = &recorded[first..];
        let mut gone = Vec::new();
        if newcomers > 0 {
            let in_sight = |id: u64| recorded.iter().any(|r| r.identity == id);
            let evicted = self.evicted(newcomers as usize, in_sight);
            if !evicted.is_empty() {
                let now = group.iter().map(|s| s.origin.time).max();
                steps.splice(0..0, self.dismissal(&evicted, now.unwrap_or(0))?);
                gone.extend(evicted.iter().map(|&id| self.state.summary(id)));
            }
        }
        let at_once = !steps.is_empty() || self.limits.flush_after.is_zero();
        for (sample, recorded) in group.iter().zip(recorded) {
            if recorded.observed.kept {
                continue;
            }
            let time = sample.origin.time;
            let touch = self.touch(recorded.identity, time)?;
            if at_once {
                let record = Record {
                    last_seen: touch.last_seen,
                    visits: touch.visits,
                    ..self.state.people[&touch.identity].record.clone()
                };
                steps.push(StoreStep::Record(touch.identity, record));
            } else {
                self.defer(&touch, time);
            }
        }
        if !steps.is_empty() {
            self.commit(steps)?;
            self.departed.append(&mut gone);
            return Ok(());
        }
        match group.iter().map(|s| s.origin.time).max() {
            Some(now) => self.flush_if_due(now),
            None => Ok(()),
        }
    }

    /// Stores what has waited long enough. A clock that was set back does not make it wait longer.
    pub(super) fn flush_if_due(&mut self, now: u64) -> Result<()> {
        let waited = now.checked_sub(self.unsaved_since);
        let due = waited.is_none_or(|waited| waited >= millis(self.limits.flush_after));
        if due { self.flush() } else { Ok(()) }
    }

    /// The times of a person who is seen at `time`.
    fn touch(&self, identity: u64, time: u64) -> Result<Touch> {
        let person = self.state.people.get(&identity);
        let record = &person
            .ok_or_else(|| self.unknown(&identity.to_string()))?
            .record;
        Ok(Touch {
            identity,
            last_seen: retention::seen_last(record.last_seen, time),
            visits: record.visits,
        })
    }

    pub(super) fn defer(&mut self, touch: &Touch, time: u64) {
        let identity = touch.identity;
        if !self.state.people[&identity].unsaved {
            if self.unsaved.is_empty() {
                self.unsaved_since = time;
            }
            self.unsaved.push(identity);
        }
        self.state.touch(identity, touch.last_seen, touch.visits);
    }

    /// Similarity of the nearest exemplar of an identity that is there.
    pub(super) fn nearest_exemplar(&self, identity: u64, embedding: &[f32]) -> f32 {
        let rows = self.state.people[&identity].rows.iter();
        rows.map(|&row| similarity(embedding, self.state.index.row(row)))
            .fold(f32::NEG_INFINITY, f32::max)
    }
}

/// The steps that make an identity.
pub(super) fn enrolment<'a>(
    identity: u64,
    mut record: Record,
    embedding: &'a [f32],
    origin: &'a Origin,
) -> Vec<StoreStep<'a>> {
    record.next_exemplar = 1;
    vec![
        StoreStep::Record(identity, record),
        StoreStep::Add((identity, 0), origin, embedding),
    ]
}

/// How many samples there are before an identity comes for the second time.
fn distinct(samples: &[Sample<'_>]) -> usize {
    let repeats = |at: usize| {
        let known = samples[at].identity;
        known.is_some() && samples[..at].iter().any(|s| s.identity == known)
    };
    (0..samples.len())
        .find(|&at| repeats(at))
        .unwrap_or(samples.len())
}
