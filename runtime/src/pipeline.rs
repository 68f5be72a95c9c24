//! The loop: detect -> track -> select -> crop -> embed -> match -> emit, one call a line in
//! [`Pipeline::run_once`]. In: frames of an [`Input`]. Out: what a [`Sink`] takes.
//!
//! All frames of a run stand on one axis of time. A live stream begins on it at the time of day of
//! its first frame; a file begins where the one before it ended. From there its stream time counts,
//! so that a clip gives the same visits however fast it is processed.

mod batch;
mod input;
mod stream;

use std::time::{Duration, Instant, SystemTime};

use media::Note;
use network::metadata::Preprocessing;

use self::batch::CropBatch;
pub use self::input::Input;
pub use self::stream::Stream;
use self::stream::{Seen, by_urgency};
use crate::embed::{self, Embedder};
use crate::event::{Event, EventKind, Evidence, OBSERVATION_SCHEMA, Observation, State};
use crate::gallery::{Candidate, Gallery, Origin, Recorded, Sample};
use crate::people::MAX_PEOPLE;
use crate::quality::Gates;
use crate::sink::{EnrolledCrop, Sink};
use crate::summary::{Summary, Tally};
use crate::track::{Best, Decision, MAX_CROPS, TrackerSettings};
use crate::visits::{Change, Decided, SeenAt, Sight, Visit, Visits};
use crate::{Error, Result};

/// The thresholds of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// When a track has an identity.
    pub tracks: TrackerSettings,
    /// Which crops are worth embedding.
    pub gates: Gates,
}

/// Time, so that a test can bring its own.
pub trait Clock {
    /// The time of day. It may jump.
    fn now(&self) -> SystemTime;

    /// Time since a moment that stays the same. It does not jump.
    fn elapsed(&self) -> Duration;
}

/// The clock of the device.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What outlives a pipeline: the persons of later sources are matched against those of earlier ones.
#[derive(Debug)]
pub struct Session {
    /// The identities.
    pub gallery: Gallery,
    /// Their visits in this run.
    pub visits: Visits,
    /// What the run has come to.
    pub summary: Summary,
}

/// What a pipeline works with besides its streams.
pub struct Environment<'a> {
    /// How the model wants its crops.
    pub preprocessing: &'a Preprocessing,
    /// Computes embeddings.
    pub embedder: &'a mut dyn Embedder,
    /// What outlives the pipeline.
    pub session: &'a mut Session,
    /// Takes the output.
    pub sink: &'a mut dyn Sink,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The thresholds.
    pub settings: Settings,
}

/// Streams on their way through the loop.
pub struct Pipeline<'a> {
    input: Input,
    streams: Vec<Stream>,
    batch: CropBatch,
    embedder: &'a mut dyn Embedder,
    session: &'a mut Session,
    sink: &'a mut dyn Sink,
    clock: &'a dyn Clock,
    settings: Settings,
    recorded: Vec<Recorded>,
}

/// What one iteration of the loop came to.
#[derive(Debug)]
pub enum Progress {
    /// So many frames were worked on, at most one of each stream.
    Frames(usize),
    /// A frame was broken, for the reason in the error; its stream goes on.
    Broken(Error),
    /// A source is disconnected, for the reason in the error; it is tried again.
    Disconnected(Error),
    /// No frame came for a while.
    Idle,
    /// Every source has ended.
    Ended,
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Now {
    time: SystemTime,
    elapsed: Duration,
}

impl Now {
    fn millis(self) -> u64 {
        unix_millis(self.time)
    }
}

impl<'a> Pipeline<'a> {
    /// Sets out to work on `input`, with a stream for each of its sources.
    ///
    /// # Errors
    /// [`Error::Kernels`] if the pre-processing is impossible.
    pub fn new(
        input: Input,
        mut streams: Vec<Stream>,
        environment: Environment<'a>,
    ) -> Result<Self> {
        let Environment {
            preprocessing,
            embedder,
            session,
            sink,
            clock,
            settings,
        } = environment;
        for stream in &mut streams {
            stream.register(&mut session.visits);
        }
        Ok(Self {
            input,
            streams,
            batch: CropBatch::new(preprocessing, embedder.dim())?,
            embedder,
            session,
            sink,
            clock,
            settings,
            recorded: Vec::new(),
        })
    }

    /// Works on the next frame of each stream that has one.
    ///
    /// # Errors
    /// What the gallery or the sink cannot take; what was emitted before is in the gallery.
    pub fn run_once(&mut self) -> Result<Progress> {
        self.forget(self.now())?;
        let progress = self.input.read(&mut self.streams)?;
        // Reading may have waited for a frame.
        let now = self.now();
        let start = self.start(now);
        let Session {
            visits, summary, ..
        } = &mut *self.session;
        summary.count_progress(&progress);
        self.batch.clear();
        for stream in self.streams.iter_mut().filter(|stream| stream.ready) {
            visits.advance(stream.advance(start, now.elapsed));
            let persons = stream.detect(summary)?;
            let seen = stream.track(&persons);
            let seen = stream.select(seen, &persons, &self.settings.gates, summary)?;
            stream.seen = stream.crop(seen, &mut self.batch)?;
        }
        self.batch.embed(self.embedder)?;
        self.end_absent(now)?;
        for at in 0..self.streams.len() {
            if std::mem::take(&mut self.streams[at].ready) {
                let seen = self.match_gallery(at, now)?;
                let seen = self.count_visits(at, seen, now)?;
                self.record(at, &seen)?;
                self.emit(at, &seen, now)?;
            }
        }
        self.sink.progress(now.elapsed, &self.session.summary);
        Ok(progress)
    }

    fn now(&self) -> Now {
        Now {
            time: self.clock.now(),
            elapsed: self.clock.elapsed(),
        }
    }

    /// Where on the axis of the run a stream begins whose first frame comes now.
    fn start(&self, now: Now) -> Duration {
        let latest = self.session.visits.latest();
        match latest.filter(|_| !self.input.is_live()) {
            Some(latest) => latest,
            None => since_1970(now.time),
        }
    }

    /// Removes identities that are too old, follows what other commands have removed or merged, and
    /// deletes the crops of exemplars that have gone.
    fn forget(&mut self, now: Now) -> Result<()> {
        let Session {
            gallery,
            visits,
            summary,
        } = &mut *self.session;
        for gone in gallery.expire(now.millis())? {
            if let Some(into) = gallery.merged_into(&gone) {
                for stream in &mut self.streams {
                    stream.tracks.reassign(gone.identity, into);
                }
                summary.merge(gone.identity, into);
                if let Some((left, at)) = visits.merge(gone.identity, into) {
                    let kind = EventKind::IdentityChanged {
                        from: Some(&gone.name),
                        to: gallery.name(into),
                        moved_to: left.moved_to,
                        withdrawn: left.withdrawn,
                    };
                    self.sink.event(&event(visits, &at, left.visit, kind))?;
                }
                continue;
            }
            summary.forgotten += 1;
            for stream in &mut self.streams {
                stream.tracks.release(gone.identity);
            }
            if let Some(visit) = visits.forget(gone.identity) {
                end(visits, &visit, None, self.sink)?;
            }
            summary.identities.remove(&gone.identity);
            for name in gone.aliases.iter().chain([&gone.name]) {
                self.sink.forget(name);
            }
        }
        for crop in self.session.gallery.take_pending_deletions() {
            self.sink.delete_crop(&crop);
        }
        Ok(())
    }

    /// Ends the visits whose identity no stream has seen for long enough. The slowest stream
    /// decides: what it has not shown yet may be seen on it.
    fn end_absent(&mut self, now: Now) -> Result<()> {
        let elapsed = self.input.is_live().then_some(now.elapsed);
        let clocks = self.streams.iter().filter_map(|stream| stream.now(elapsed));
        let slowest = clocks.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let Some((now, patience)) = slowest else {
            return Ok(());
        };
        while let Some(visit) = self.session.visits.take_absent(now, patience) {
            self.session.end_visit(&visit, self.sink)?;
        }
        Ok(())
    }

    /// Matches the crops of a stream's persons with the gallery, lets them vote on the identities of
    /// their tracks, and enrols the unknown persons.
    fn match_gallery(&mut self, at: usize, now: Now) -> Result<Seen> {
        let stream = &mut self.streams[at];
        stream.origin.frame = Some(stream.frame.index);
        stream.origin.time = now.millis();
        let gallery = &mut self.session.gallery;
        let mut seen = std::mem::take(&mut stream.seen);
        for person in by_urgency(&mut seen) {
            let Some(crop) = person.crop else { continue };
            let embedding = self.batch.embedding(crop);
            if embed::is_empty(embedding) {
                self.session.summary.featureless += 1;
                continue;
            }
            let found = gallery.search(embedding)?;
            let best = found.map(|found| similar(&found.best));
            let other = found.and_then(|found| found.runner_up.as_ref().map(similar));
            match stream.tracks.vote(person.index, embedding, best) {
                Decision::Pending => {}
                Decision::Known { identity, agrees } => {
                    let own = best.filter(|best| best.identity == identity);
                    person.similarity = own.map(|best| best.similarity);
                    person.runner_up = if own.is_some() { other } else { best };
                    person.agrees = agrees;
                }
                Decision::Enroll { track, exemplars } => {
                    let kept = self.sink.enroll(&EnrolledCrop {
                        identity: &gallery.next_name(),
                        source: &stream.origin.source,
                        frame: stream.frame.index,
                        time: stream.origin.time,
                        track,
                        rgb: self.batch.rgb(crop),
                        size: self.batch.size,
                    });
                    let dim = self.batch.dim;
                    let origin = &stream.origin;
                    let identity =
                        enroll(gallery, exemplars, dim, origin, kept, &mut self.recorded)?;
                    stream.tracks.enrolled(person.index, identity);
                    person.new = true;
                    person.runner_up = best;
                }
            }
        }
        for person in &mut seen {
            person.identity = stream.tracks.identity(person.index);
        }
        Ok(seen)
    }

    /// Counts a stream's persons in the visits of the run, and the visits in the gallery.
    fn count_visits(&mut self, at: usize, mut seen: Seen, now: Now) -> Result<Seen> {
        let Session {
            gallery,
            visits,
            summary,
        } = &mut *self.session;
        for person in &mut seen {
            let Some((place, track, first)) = self.streams[at].place(person.index, now.millis())
            else {
                continue;
            };
            let known = person
                .identity
                .and_then(|id| Some((id, gallery.visited(id)?)));
            let sight = Sight {
                track,
                seen: place,
                first,
                gap: self.streams[at].tracks.patience(),
                decided: known.map(|(identity, before)| Decided {
                    identity,
                    new: person.new,
                    agrees: person.agrees,
                    similarity: person.similarity,
                    before,
                }),
            };
            person.place = Some(place);
            person.change = visits.see(&sight);
            person.visit = visits.visit_of(track);
            let Some(change) = person.change else {
                continue;
            };
            summary.count(&change);
            if let Some(left) = change.left
                && let Some((from, wrong)) = left.from.zip(left.correction)
                && gallery.visited(from).is_some()
            {
                gallery.take_back_visit(from, wrong.visit, wrong.last_seen, now.millis())?;
            }
            if let Some(found) = change.identified.filter(|found| !found.new) {
                gallery.begin_visit(found.identity, now.millis())?;
            }
        }
        Ok(seen)
    }

    /// Notes in the gallery which identities were seen, and offers their embeddings as exemplars.
    fn record(&mut self, at: usize, seen: &Seen) -> Result<()> {
        let origin = &self.streams[at].origin;
        let batch = &self.batch;
        let agreeing = seen.iter().filter(|person| person.agrees);
        let samples: heapless::Vec<Sample<'_>, MAX_PEOPLE> = agreeing
            .filter_map(|person| {
                Some(Sample {
                    identity: Some(person.identity?),
                    embedding: batch.embedding(person.crop?),
                    origin,
                })
            })
            .collect();
        let gallery = &mut self.session.gallery;
        gallery.record(&samples, &mut self.recorded)
    }

    /// Gives the persons of a stream's frame, and what became of their visits, to the sink.
    fn emit(&mut self, at: usize, seen: &Seen, now: Now) -> Result<()> {
        let stream = &mut self.streams[at];
        let Session {
            gallery,
            visits,
            summary,
        } = &mut *self.session;
        let threshold = self.settings.tracks.threshold;
        for person in seen {
            let identity = person.identity.and_then(|id| gallery.name(id));
            let state = match identity {
                None => State::Pending,
                Some(_) if person.new => State::New,
                Some(_) => State::Seen,
            };
            summary.observations += 1;
            summary.pending += u64::from(identity.is_none());
            let observation = Observation {
                schema: OBSERVATION_SCHEMA,
                source: stream.name(),
                frame: stream.frame.index,
                time: now.time,
                stream_time: stream.frame.stream_time,
                track: stream.tracks.number(person.index),
                bbox: person.bbox.into(),
                identity,
                similarity: person.similarity,
                runner_up: person.runner_up.map(|other| other.similarity),
                threshold,
                state,
            };
            let runner_up = person.runner_up;
            let evidence = Evidence {
                crop: person.crop.map(|crop| self.batch.rgb(crop)),
                size: self.batch.size,
                quality: person.quality,
                runner_up: runner_up.and_then(|other| gallery.name(other.identity)),
                visit: person.visit,
            };
            self.sink.observation(&observation, &evidence)?;
            let (Some(change), Some(place)) = (person.change, person.place) else {
                continue;
            };
            let event = |visit: u64, kind| event(visits, &place, visit, kind);
            for (visit, kind) in events_of(&change, gallery, &observation)
                .into_iter()
                .flatten()
            {
                self.sink.event(&event(visit, kind))?;
            }
        }
        self.sink.frame(at, &mut stream.frame)
    }

    /// Ends every track, and gives the streams back.
    pub fn finish(mut self) -> Vec<Stream> {
        let summary = &mut self.session.summary;
        for stream in &mut self.streams {
            stream.tracks.finish();
            summary.tracks.add(stream.tracks.counts());
        }
        summary.dropped_frames += self.input.dropped();
        self.sink.ended(self.streams.len());
        self.streams
    }

    /// The gallery by now.
    #[must_use]
    pub fn gallery(&self) -> &Gallery {
        &self.session.gallery
    }

    /// Frames that the one source claims to have.
    #[must_use]
    pub fn frames(&self) -> Option<u64> {
        self.input.frames()
    }

    /// How many streams there are.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// What the one source has passed over, to be asked at its end.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        self.input.note()
    }
}

impl Session {
    /// A session that begins.
    #[must_use]
    pub fn new(gallery: Gallery, visits: Visits) -> Self {
        Self {
            gallery,
            visits,
            summary: Summary::default(),
        }
    }

    /// Ends all visits: at the end of a run, and where time does not go on, between files and live
    /// streams.
    ///
    /// # Errors
    /// What the sink cannot take.
    pub fn end_visits(&mut self, sink: &mut dyn Sink) -> Result<()> {
        while let Some(visit) = self.visits.take_open() {
            self.end_visit(&visit, sink)?;
        }
        Ok(())
    }

    /// The identities of visits that are over, by their names as they are now.
    pub fn tallies(&self) -> impl Iterator<Item = (&str, &Tally)> {
        let all = self.summary.identities.iter();
        all.filter_map(|(identity, tally)| Some((self.gallery.name(*identity)?, tally)))
    }

    fn end_visit(&mut self, visit: &Visit, sink: &mut dyn Sink) -> Result<()> {
        let period = [visit.first(), visit.last().at];
        let since_start = period.map(|at| self.visits.since_start(at));
        self.summary.end(visit, since_start);
        let name = visit.identity.and_then(|id| self.gallery.name(id));
        end(&self.visits, visit, name, sink)
    }
}

/// The events of a change, in their order, and the visit of each.
fn events_of<'e>(
    change: &Change,
    gallery: &'e Gallery,
    seen: &Observation<'e>,
) -> [Option<(u64, EventKind<'e>)>; 3] {
    let name = |identity: Option<u64>| identity.and_then(|id| gallery.name(id));
    let left = change.left.map(|left| {
        let kind = EventKind::IdentityChanged {
            from: name(left.from),
            to: name(left.to),
            moved_to: left.moved_to,
            withdrawn: left.withdrawn,
        };
        (left.visit, kind)
    });
    let found = change.identified;
    let started = found.filter(|found| found.starts).map(|found| {
        let first = time_of_day(found.first);
        (found.visit, EventKind::VisitStarted { first })
    });
    let identified = found.zip(seen.identity).map(|(found, identity)| {
        let kind = EventKind::Identified {
            identity,
            new: found.new,
            returning: found.returning,
            last_seen: found.last_seen.map(time_of_day),
            absence: found.last_seen.map(|last| found.first.saturating_sub(last)),
            similarity: seen.similarity,
            runner_up: seen.runner_up,
            threshold: seen.threshold,
        };
        (found.visit, kind)
    });
    [left, started, identified]
}

fn event<'e>(visits: &'e Visits, at: &SeenAt, visit: u64, kind: EventKind<'e>) -> Event<'e> {
    Event {
        visit,
        track: at.track,
        source: visits.source(at.source),
        time: time_of_day(at.at),
        stream_time: at.stream_time,
        kind,
    }
}

/// Gives the end of a visit to the sink.
fn end(visits: &Visits, visit: &Visit, identity: Option<&str>, sink: &mut dyn Sink) -> Result<()> {
    let (first, last) = (visit.first(), visit.last());
    let kind = EventKind::VisitEnded {
        identity,
        first: time_of_day(first),
        last: time_of_day(last.at),
        duration: last.at.saturating_sub(first),
        crop: None,
    };
    sink.event(&event(visits, &last, visit.number, kind))
}

fn similar(candidate: &Candidate<'_>) -> Best {
    Best {
        identity: candidate.identity,
        similarity: candidate.similarity,
    }
}

/// Makes an identity of the last of `exemplars`, whose crop was kept, and gives it the others.
fn enroll(
    gallery: &mut Gallery,
    exemplars: &[f32],
    dim: usize,
    origin: &Origin,
    crop: Option<String>,
    recorded: &mut Vec<Recorded>,
) -> Result<u64> {
    let (others, last) = exemplars.split_at(exemplars.len() - dim);
    let with_crop = Origin {
        crop,
        ..origin.clone()
    };
    let unknown = Sample {
        identity: None,
        embedding: last,
        origin: &with_crop,
    };
    gallery.record(&[unknown], recorded)?;
    let identity = recorded[0].identity;
    let others: heapless::Vec<Sample<'_>, MAX_CROPS> = others
        .chunks_exact(dim)
        .map(|embedding| Sample {
            identity: Some(identity),
            embedding,
            origin,
        })
        .collect();
    gallery.record(&others, recorded)?;
    Ok(identity)
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn time_of_day(since_1970: Duration) -> SystemTime {
    // The last second that the text form can have.
    const END: Duration = Duration::from_secs(253_402_300_799);
    SystemTime::UNIX_EPOCH + since_1970.min(END)
}

/// Milliseconds since 1970; a clock that was never set may be before it, and gives 0.
#[must_use]
pub fn unix_millis(time: SystemTime) -> u64 {
    u64::try_from(since_1970(time).as_millis()).unwrap_or(u64::MAX)
}
