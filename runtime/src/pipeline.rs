//! The loop: source -> people -> tracks -> crop -> embed -> match -> emit, one call a line.

mod input;
mod summary;

use std::time::SystemTime;

use network::metadata::Preprocessing;
use network::preprocess::{Cropper, View};

pub use self::input::Input;
pub use self::summary::{Summary, Tally};
use crate::embed::{self, Embedder};
use crate::event::{Evidence, Observation, SCHEMA, Sink, State};
use crate::gallery::{Candidate, Gallery, Origin, Recorded, Sample};
use crate::people::{MAX_PEOPLE, People, Persons};
use crate::quality::{Flaw, Gates};
use crate::show::crops::{self, Taken};
use crate::track::{self, Best, Decision, MAX_CROPS, Numbers, Tracks};
use crate::{Error, Result};
use media::{Frame, Note};

/// What decides, and what is passed over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// When a visit is somebody.
    pub tracks: track::Settings,
    /// Which crops are worth embedding.
    pub gates: Gates,
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

/// Sources on their way through the loop. The gallery outlives them: the people of later sources
/// are matched against those of earlier ones.
pub struct Pipeline<'a> {
    input: Input,
    lanes: Vec<Lane>,
    cropper: Cropper,
    size: [usize; 2],
    embedder: &'a mut dyn Embedder,
    gallery: &'a mut Gallery,
    sink: &'a mut dyn Sink,
    clock: &'a dyn Clock,
    settings: Settings,
    /// Keeps the crops behind the exemplars.
    keep: Option<&'a mut crops::Crops>,
    /// Crops of this turn, `[height, width, 3]` u8 each, and their embeddings.
    rgb: Vec<u8>,
    embeddings: Vec<f32>,
    /// Embeddings that somebody is born from.
    birth: Vec<f32>,
    recorded: Vec<Recorded>,
    summary: Summary,
}

/// What a pipeline works with besides its sources and their people.
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
    /// Keeps the crops behind the exemplars, if anybody does.
    pub keep: Option<&'a mut crops::Crops>,
}

/// What one turn of the loop came to.
#[derive(Debug)]
pub enum Turn {
    /// So many frames were worked on, at most one of each source.
    Worked(usize),
    /// A frame was broken, as the error says; its source goes on.
    Broken(Error),
    /// A source cannot be reached for now, as the error says; it is tried again.
    Away(Error),
    /// Nothing came for a while.
    Idle,
    /// Every source has ended.
    Ended,
}

/// One source and its people.
pub struct Lane {
    name: String,
    people: People,
    /// Each frame is a person of its own: nobody is followed from one to the next.
    alone: bool,
    tracks: Tracks,
    /// The frame that is worked on, if one came in this turn.
    frame: Frame,
    ready: bool,
    persons: Persons,
    /// What is known of each person of the frame.
    found: heapless::Vec<Found, MAX_PEOPLE>,
    /// The people whose crops are embedded in this turn.
    due: heapless::Vec<usize, MAX_PEOPLE>,
    origin: Origin,
}

/// What is known of a person of a frame.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    /// More is better.
    quality: f32,
    /// Position among the crops of this turn.
    crop: Option<usize>,
    similarity: Option<f32>,
    runner_up: Option<Best>,
    born: bool,
}

impl Lane {
    /// A source called `name`, whose people `people` finds.
    ///
    /// # Errors
    /// [`Error::Argument`] if a setting is out of its range.
    pub fn new(
        name: &str,
        people: People,
        dim: usize,
        settings: &Settings,
        numbers: &Numbers,
    ) -> Result<Self> {
        let alone = people.is_whole();
        // A picture of its own is all that there will ever be of a visit.
        let crops = if alone { 1 } else { settings.tracks.crops };
        let settings = track::Settings {
            crops,
            ..settings.tracks
        };
        Ok(Self {
            name: name.to_owned(),
            people,
            alone,
            tracks: Tracks::new(dim, settings, numbers.clone())?,
            frame: Frame::default(),
            ready: false,
            persons: Persons::new(),
            found: heapless::Vec::new(),
            due: heapless::Vec::new(),
            origin: Origin {
                source: name.to_owned(),
                frame: None,
                time: 0,
                crop: None,
            },
        })
    }

    /// Where the boxes come from, to be asked what was left of them.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }
}

impl<'a> Pipeline<'a> {
    /// Sets out to work on `input`, one lane for each of its sources.
    ///
    /// # Errors
    /// [`Error::Kernels`] if the pre-processing is impossible.
    pub fn new(input: Input, lanes: Vec<Lane>, parts: Parts<'a>) -> Result<Self> {
        let Preprocessing { height, width, .. } = *parts.preprocessing;
        Ok(Self {
            input,
            lanes,
            cropper: Cropper::new(parts.preprocessing)?,
            size: [height, width],
            embedder: parts.embedder,
            gallery: parts.gallery,
            sink: parts.sink,
            clock: parts.clock,
            settings: parts.settings,
            keep: parts.keep,
            rgb: Vec::new(),
            embeddings: Vec::new(),
            birth: Vec::new(),
            recorded: Vec::new(),
            summary: Summary::default(),
        })
    }

    /// Works on the next frame of each source that has one.
    ///
    /// # Errors
    /// What the gallery or the sink cannot take; everything that was emitted before is in the
    /// gallery.
    pub fn run_once(&mut self) -> Result<Turn> {
        let time = self.clock.now();
        self.forget(time)?;
        let turn = self.input.read(&mut self.lanes)?;
        self.summary.read(&turn);
        for lane in 0..self.lanes.len() {
            self.follow(lane)?;
        }
        self.embeddings.clear();
        self.embedder.embed(&self.rgb, &mut self.embeddings)?;
        for lane in 0..self.lanes.len() {
            self.recognise(lane, time)?;
            self.emit(lane, time)?;
        }
        self.rgb.clear();
        Ok(turn)
    }

    /// Lets go whom it is time to forget, and deletes the crops of exemplars that have gone.
    fn forget(&mut self, now: SystemTime) -> Result<()> {
        for gone in self.gallery.expire(unix_millis(now))? {
            let merged_into = self.gallery.merged_into(&gone);
            self.summary.forgotten += u64::from(merged_into.is_none());
            for lane in &mut self.lanes {
                match merged_into {
                    Some(identity) => lane.tracks.reassign(gone.identity, identity),
                    None => lane.tracks.release(gone.identity),
                }
            }
        }
        for crop in self.gallery.take_pending_deletions() {
            if let Some(keep) = self.keep.as_deref_mut()
                && let Err(error) = keep.remove_file(&crop)
            {
                self.sink.note(&error);
            }
        }
        Ok(())
    }

    /// Finds the people of a lane's frame, gives them to their tracks and cuts the crops out that
    /// are worth embedding.
    fn follow(&mut self, lane: usize) -> Result<()> {
        let Lane {
            people,
            alone,
            tracks,
            frame,
            ready,
            persons,
            found,
            due,
            ..
        } = &mut self.lanes[lane];
        due.clear();
        if !*ready {
            return Ok(());
        }
        self.summary.dropped += people.find(frame, persons)? as u64;
        let view = View::new(&frame.rgb, frame.width, frame.height)?;
        let all = persons.len();
        persons.retain(|person| person.bbox.clipped(view.width(), view.height()).is_some());
        let outside = (all - persons.len()) as u64;
        self.summary.flaws.count(Flaw::Outside, outside);
        if *alone {
            tracks.finish();
        }
        tracks.associate(persons, frame.stream_time);

        found.clear();
        found
            .resize(persons.len(), Found::default())
            .expect("a frame's list of people is as long");
        let flaws = &mut self.summary.flaws;
        *due = tracks.due(|index| {
            if *alone {
                return true;
            }
            let judged = self.settings.gates.evaluate(view, persons, index);
            match judged {
                Ok(quality) => found[index].quality = quality.sharpness,
                Err(flaw) => flaws.count(flaw, 1),
            }
            judged.is_ok()
        });

        let crop_len = self.size[0] * self.size[1] * 3;
        for &index in due.iter() {
            let start = self.rgb.len();
            found[index].crop = Some(start / crop_len);
            self.rgb.resize(start + crop_len, 0);
            let crop = &mut self.rgb[start..];
            self.cropper.crop(view, persons[index].bbox, crop)?;
        }
        Ok(())
    }

    /// Lets the embeddings of a lane's people vote, and tells the gallery whom they are.
    fn recognise(&mut self, lane: usize, time: SystemTime) -> Result<()> {
        let dim = self.embedder.dim();
        let [height, width] = self.size;
        let crop_len = height * width * 3;
        let Lane {
            tracks,
            found,
            due,
            origin,
            frame,
            ..
        } = &mut self.lanes[lane];
        origin.frame = Some(frame.index);
        origin.time = unix_millis(time);

        let mut sightings = heapless::Vec::<(u64, usize), MAX_PEOPLE>::new();
        for &index in due.iter() {
            let at = found[index].crop.expect("what is due was cut");
            let embedding = &self.embeddings[at * dim..][..dim];
            if embed::is_empty(embedding) {
                self.summary.featureless += 1;
                continue;
            }
            let known = self.gallery.search(embedding)?;
            let best = known.map(|known| similar(&known.best));
            let other = known.and_then(|known| known.runner_up.as_ref().map(similar));
            match tracks.vote(index, embedding, best) {
                Decision::Pending => {}
                Decision::Seen { identity, agrees } => {
                    let own = best.filter(|best| best.identity == identity);
                    found[index].similarity = own.map(|best| best.similarity);
                    found[index].runner_up = if own.is_some() { other } else { best };
                    if agrees {
                        let room = "a frame's list of people is as long";
                        sightings.push((identity, at)).expect(room);
                    }
                }
                Decision::Born { exemplars } => {
                    self.birth.clear();
                    self.birth.extend_from_slice(exemplars);
                    let taken = Taken {
                        source: &origin.source,
                        frame: frame.index,
                        time: origin.time,
                        track: tracks.number(index),
                    };
                    let rgb = &self.rgb[at * crop_len..][..crop_len];
                    let kept = self.keep.as_deref_mut().map_or(Ok(None), |keep| {
                        keep.save(&self.gallery.next_name(), &taken, rgb, width, height)
                    });
                    let crop = kept.unwrap_or_else(|error| {
                        self.sink.note(&error);
                        None
                    });
                    let identity = give_birth(
                        self.gallery,
                        &self.birth,
                        dim,
                        origin,
                        crop,
                        &mut self.recorded,
                    )?;
                    tracks.born(index, identity);
                    found[index].born = true;
                    found[index].runner_up = best;
                }
            }
        }
        let sightings: heapless::Vec<Sample<'_>, MAX_PEOPLE> = sightings
            .iter()
            .map(|&(identity, at)| Sample {
                identity: Some(identity),
                embedding: &self.embeddings[at * dim..][..dim],
                origin,
            })
            .collect();
        self.gallery.record(&sightings, &mut self.recorded)
    }

    /// Says who is in a lane's frame.
    fn emit(&mut self, lane: usize, time: SystemTime) -> Result<()> {
        let crop_len = self.size[0] * self.size[1] * 3;
        let Lane {
            name,
            tracks,
            frame,
            persons,
            found,
            ready,
            ..
        } = &mut self.lanes[lane];
        if !std::mem::take(ready) {
            return Ok(());
        }
        for (index, (person, found)) in persons.iter().zip(found.iter()).enumerate() {
            let identity = tracks.identity(index).and_then(|id| self.gallery.name(id));
            let state = match identity {
                None => State::Pending,
                Some(_) if found.born => State::New,
                Some(_) => State::Seen,
            };
            let bbox = person.bbox;
            let observation = Observation {
                schema: SCHEMA,
                source: name,
                frame: frame.index,
                time,
                stream_time: frame.stream_time,
                track: tracks.number(index),
                bbox: [bbox.x, bbox.y, bbox.w, bbox.h],
                identity,
                similarity: found.similarity,
                runner_up: found.runner_up.map(|other| other.similarity),
                threshold: self.settings.tracks.threshold,
                state,
            };
            let runner_up = found
                .runner_up
                .and_then(|other| self.gallery.name(other.identity));
            self.summary.count(&observation);
            let evidence = Evidence {
                crop: found.crop.map(|at| &self.rgb[at * crop_len..][..crop_len]),
                size: self.size,
                quality: found.quality,
                runner_up,
            };
            self.sink.emit(&observation, &evidence)?;
        }
        self.sink.frame(lane, frame)
    }

    /// Ends every visit, and what a run has come to.
    pub fn finish(mut self) -> (Summary, Vec<Lane>) {
        for lane in &mut self.lanes {
            lane.tracks.finish();
            self.summary.tracks.add(lane.tracks.counts());
        }
        self.summary.dropped_frames = self.input.dropped();
        self.sink.ended(self.lanes.len());
        (self.summary, self.lanes)
    }

    /// Who is known by now.
    #[must_use]
    pub fn gallery(&self) -> &Gallery {
        self.gallery
    }

    /// Frames that the one source claims to have.
    #[must_use]
    pub fn frames(&self) -> Option<u64> {
        self.input.frames()
    }

    /// How many sources there are.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// What the one source has passed over, to be asked at its end.
    #[must_use]
    pub fn note(&self) -> Option<Note> {
        self.input.note()
    }
}

fn similar(candidate: &Candidate<'_>) -> Best {
    Best {
        identity: candidate.identity,
        similarity: candidate.similarity,
    }
}

/// Makes an identity of the last of `exemplars`, whose crop was kept, and gives it the others.
fn give_birth(
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
    let birth = Sample {
        identity: None,
        embedding: last,
        origin: &with_crop,
    };
    gallery.record(&[birth], recorded)?;
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

/// Milliseconds since 1970; a clock that was never set may say less, and gets 0.
#[must_use]
pub fn unix_millis(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
