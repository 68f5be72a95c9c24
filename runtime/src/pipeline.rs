//! The loop: source -> people -> crop -> embed -> match -> emit, one call a line.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kernels::contract::Preprocessing;
use kernels::crop::{Cropper, View};
use serde::Serialize;

use crate::embed::{self, Embedder};
use crate::event::{Observation, SCHEMA, Sink, State};
use crate::gallery::{Gallery, Origin};
use crate::people::{MAX_PEOPLE, People, Person, Persons};
use crate::source::{Frame, Source, Status};
use crate::{Error, Result};

/// What decides, and what is passed over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Cosine similarities at or above it mean the same person, -1 to 1.
    pub threshold: f32,
    /// People lower than this many pixels are passed over.
    pub min_height: f32,
}

/// Time, so that a test can bring its own.
pub trait Clock {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// The clock of the device.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// One source on its way through the loop. The gallery outlives it: the next source's people are
/// matched against those of this one.
pub struct Pipeline<'a> {
    source: Box<dyn Source>,
    people: People,
    crops: Crops,
    embedder: &'a mut dyn Embedder,
    gallery: &'a mut Gallery,
    sink: &'a mut dyn Sink,
    clock: &'a dyn Clock,
    settings: Settings,
    frame: Frame,
    persons: Persons,
    embeddings: Vec<f32>,
    summary: Summary,
}

/// What a pipeline works with besides its source and its people.
pub struct Parts<'a> {
    /// How the model wants its crops.
    pub preprocessing: &'a Preprocessing,
    /// Computes embeddings.
    pub embedder: &'a mut dyn Embedder,
    /// Who is known.
    pub gallery: &'a mut Gallery,
    /// Takes what is found.
    pub sink: &'a mut dyn Sink,
    /// Time.
    pub clock: &'a dyn Clock,
    /// What decides.
    pub settings: Settings,
}

/// What a run has come to so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Frames worked on.
    pub frames: u64,
    /// Frames that could not be decoded.
    pub broken_frames: u64,
    /// People embedded and matched.
    pub observations: u64,
    /// People passed over because they were lower than the settings want.
    pub too_small: u64,
    /// Boxes that lie outside of their frame.
    pub outside: u64,
    /// People in whom the network saw nothing; see [`embed::is_empty`].
    pub featureless: u64,
    /// People beyond the [`MAX_PEOPLE`] of one frame.
    pub dropped: u64,
    /// Identities that were seen, by name.
    pub identities: BTreeMap<String, Tally>,
}

/// What a run has seen of one identity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tally {
    /// Whether the identity was made in this run.
    pub new: bool,
    /// How often it was seen.
    pub observations: u64,
    /// Stream time when it was first seen.
    pub first: Duration,
    /// Stream time when it was last seen.
    pub last: Duration,
    /// Lowest similarity at which it was recognised; none if it never was.
    pub least: Option<f32>,
}

/// What one turn of the loop came to.
#[derive(Debug)]
pub enum Turn {
    /// A frame was worked on.
    Worked,
    /// A frame was broken, as the error says; the next one may be whole.
    Broken(Error),
    /// The source has ended.
    Ended,
}

impl<'a> Pipeline<'a> {
    /// Sets out to work on `source`.
    ///
    /// # Errors
    /// [`Error::Kernels`] if the pre-processing is impossible.
    pub fn new(source: Box<dyn Source>, people: People, parts: Parts<'a>) -> Result<Self> {
        Ok(Self {
            source,
            people,
            crops: Crops::new(parts.preprocessing)?,
            embedder: parts.embedder,
            gallery: parts.gallery,
            sink: parts.sink,
            clock: parts.clock,
            settings: parts.settings,
            frame: Frame::default(),
            persons: Persons::new(),
            embeddings: Vec::new(),
            summary: Summary::default(),
        })
    }

    /// Works on the next frame.
    ///
    /// # Errors
    /// What ends the source for good, or what the gallery or the sink cannot take; everything
    /// that was emitted before is in the gallery.
    pub fn run_once(&mut self) -> Result<Turn> {
        match self.source.read(&mut self.frame) {
            Ok(Status::Frame) => {}
            Ok(Status::End) => return Ok(Turn::Ended),
            Err(error) if error.is_recoverable() => {
                self.summary.broken_frames += 1;
                return Ok(Turn::Broken(error.into()));
            }
            Err(error) => return Err(error.into()),
        }
        self.summary.frames += 1;
        self.summary.dropped += self.people.find(&self.frame, &mut self.persons) as u64;
        self.crops.cut(
            &self.frame,
            &mut self.persons,
            self.settings,
            &mut self.summary,
        )?;
        self.embeddings.clear();
        self.embedder.embed(&self.crops.rgb, &mut self.embeddings)?;
        for index in 0..self.persons.len() {
            self.recognise(index)?;
        }
        Ok(Turn::Worked)
    }

    /// Matches one person of the frame, keeps what is to be remembered, and emits.
    fn recognise(&mut self, index: usize) -> Result<()> {
        let Person { bbox, track, .. } = self.persons[index];
        let dim = self.embedder.dim();
        let embedding = &self.embeddings[index * dim..][..dim];
        if embed::is_empty(embedding) {
            self.summary.featureless += 1;
            return Ok(());
        }
        let time = self.clock.now();
        let origin = Origin {
            source: self.source.name().to_owned(),
            frame: Some(self.frame.index),
            time: unix_millis(time),
        };
        let known = self.gallery.search(embedding)?.map(|found| {
            let runner_up = found.runner_up.map(|other| other.similarity);
            (
                found.best.identity,
                found.best.name.to_owned(),
                found.best.similarity,
                runner_up,
            )
        });
        let (identity, similarity, runner_up, state) = match known {
            Some((id, name, similarity, runner_up)) if similarity >= self.settings.threshold => {
                self.gallery.observe(id, embedding, &origin)?;
                (name, Some(similarity), runner_up, State::Seen)
            }
            // Whoever came closest was not close enough: it is the runner-up of somebody new.
            other => {
                let (_, name) = self.gallery.new_identity(embedding, &origin)?;
                let closest = other.map(|(_, _, similarity, _)| similarity);
                (name.to_owned(), None, closest, State::New)
            }
        };
        self.summary
            .count(&identity, self.frame.stream_time, similarity);
        self.sink.emit(&Observation {
            schema: SCHEMA,
            source: self.source.name(),
            frame: self.frame.index,
            time,
            stream_time: self.frame.stream_time,
            track,
            bbox: [bbox.x, bbox.y, bbox.w, bbox.h],
            identity: &identity,
            similarity,
            runner_up,
            threshold: self.settings.threshold,
            state,
        })
    }

    /// What the run has come to so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Where the boxes come from, to be asked what was left of them.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    /// Frames that the source claims to have.
    #[must_use]
    pub fn frames(&self) -> Option<u64> {
        self.source.len()
    }
}

/// Crops of the people of one frame, `[height, width, 3]` u8 each, one behind the other.
struct Crops {
    cropper: Cropper,
    crop_len: usize,
    rgb: Vec<u8>,
}

impl Crops {
    fn new(preprocessing: &Preprocessing) -> Result<Self> {
        let crop_len = preprocessing.height * preprocessing.width * 3;
        Ok(Self {
            cropper: Cropper::new(preprocessing)?,
            crop_len,
            rgb: Vec::with_capacity(crop_len * MAX_PEOPLE),
        })
    }

    /// Cuts everybody out of `frame`, and those that cannot be cut out of `persons`.
    fn cut(
        &mut self,
        frame: &Frame,
        persons: &mut Persons,
        settings: Settings,
        summary: &mut Summary,
    ) -> Result<()> {
        let all = persons.len();
        persons.retain(|person| person.bbox.h >= settings.min_height);
        let tall = persons.len();
        persons.retain(|person| person.bbox.clipped(frame.width, frame.height).is_some());
        summary.too_small += (all - tall) as u64;
        summary.outside += (tall - persons.len()) as u64;

        let view = View::new(&frame.rgb, frame.width, frame.height)?;
        self.rgb.resize(persons.len() * self.crop_len, 0);
        for (person, crop) in persons.iter().zip(self.rgb.chunks_exact_mut(self.crop_len)) {
            self.cropper.crop(view, person.bbox, crop)?;
        }
        Ok(())
    }
}

impl Summary {
    fn count(&mut self, identity: &str, at: Duration, similarity: Option<f32>) {
        self.observations += 1;
        let tally = Tally {
            new: similarity.is_none(),
            observations: 1,
            first: at,
            last: at,
            least: similarity,
        };
        match self.identities.get_mut(identity) {
            None => {
                self.identities.insert(identity.to_owned(), tally);
            }
            Some(known) => known.add(&tally),
        }
    }

    /// Adds what another source of the same run came to.
    pub fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.broken_frames += other.broken_frames;
        self.observations += other.observations;
        self.too_small += other.too_small;
        self.outside += other.outside;
        self.featureless += other.featureless;
        self.dropped += other.dropped;
        for (name, tally) in &other.identities {
            match self.identities.get_mut(name) {
                None => {
                    self.identities.insert(name.clone(), tally.clone());
                }
                Some(known) => known.add(tally),
            }
        }
    }
}

impl Tally {
    fn add(&mut self, later: &Self) {
        self.observations += later.observations;
        self.last = later.last;
        self.least = match (self.least, later.least) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// Milliseconds since 1970; a clock that was never set may say less, and gets 0.
#[must_use]
pub fn unix_millis(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
