//! Boxes over time: the boxes of one frame come in, each gets a track; the tracks say which crops
//! are worth embedding, and their crops vote on who they are.
//!
//! A box alone knows little. Half a person at the edge of the picture resembles other halves more
//! than the whole, so nobody is born from one crop, and one lucky match names nobody: `crops` good
//! ones of one track decide by majority. Once a frame:
//!
//! ```text
//! tracks.associate(&persons, frame.stream_time);
//! for index in tracks.due(|index| good crop?) {          // by quality::Gates
//!     match tracks.vote(index, embedding, best match) {  // whom the gallery finds most similar
//!         Decision::Born { exemplars } => tracks.born(index, new identity of the gallery),
//!         ...
//! tracks.ended()                                         // who left, and whether they were known
//! ```
//!
//! Boxes are matched with tracks in three rounds, as `ByteTrack` does (Zhang et al., ECCV 2022):
//! those that the detector is sure of by overlap with where the person was or walks to, then the
//! unsure ones by overlap, then, for frames that are a second apart, the sure ones by distance.
//! What is left begins a track, and its first embedding may show that it continues a lost one (or
//! that a match by distance was somebody else).
//!
//! Everything is preallocated, nothing depends on a clock or on chance: the same input gives the
//! same tracks.

mod assignment;
mod ballot;
mod decide;
mod place;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use network::preprocess::BBox;
use retrieval::scan::MAX_DIM;
use serde::Serialize;

use crate::people::{MAX_PEOPLE, Person, Persons};
use crate::{Error, Result};
use assignment::Assignment;
use ballot::Ballot;
use place::{Place, is_box};

pub(crate) use place::intersection;

/// The most tracks at a time, those included whose person is out of sight.
pub const CAPACITY: usize = 128;

/// The most that [`Settings::crops`] may be.
pub const MAX_CROPS: usize = 8;

/// The least overlap with a sure box: two of three who stand in a queue overlap less.
const SURE_OVERLAP: f32 = 0.3;

/// The least overlap with an unsure box, as in `ByteTrack`: reflections and chairs have low scores
/// too.
const UNSURE_OVERLAP: f32 = 0.5;

/// How many intervals between frames a person may be out of sight, where frames are rare.
const GAP_FRAMES: f64 = 2.5;

/// What is a track, and when it is somebody.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Cosine similarities at or above it mean the same person, -1 to 1.
    pub threshold: f32,
    /// Good crops that decide, 1..=[`MAX_CROPS`].
    pub crops: usize,
    /// Crops in a row that contradict a decision until it is taken back, 1..=[`MAX_CROPS`].
    pub contradictions: usize,
    /// How long a person may be out of sight; where frames are rare, two and a half intervals of
    /// them if that is longer.
    pub max_gap: Duration,
    /// Time between two crops of a track that is not decided. Crops of one instant say the same
    /// thing.
    pub interval: Duration,
    /// Time between two crops of a track that is.
    pub recheck: Duration,
    /// The most crops to embed of one frame.
    pub per_frame: usize,
    /// A detector's score at or above it is sure. Boxes below continue tracks and begin none; a box
    /// without a score is sure.
    pub sure: f32,
}

impl Settings {
    /// 3 crops decide and 3 take it back; 3 s out of sight; a crop each 0.2 s, then each 2 s, at
    /// most 8 of a frame; scores from 0.5 are sure.
    #[must_use]
    pub fn new(threshold: f32) -> Self {
        Self {
            threshold,
            crops: 3,
            contradictions: 3,
            max_gap: Duration::from_secs(3),
            interval: Duration::from_millis(200),
            recheck: Duration::from_secs(2),
            per_frame: 8,
            sure: 0.5,
        }
    }

    fn check(&self) -> Result<()> {
        let count = |name: &str, found: usize, most: usize| match (1..=most).contains(&found) {
            true => Ok(()),
            false => Err(Error::Argument(format!(
                "{name} is {found}, wanted 1 to {most}"
            ))),
        };
        count("crops of a decision", self.crops, MAX_CROPS)?;
        count("contradictions", self.contradictions, MAX_CROPS)?;
        count("crops of a frame", self.per_frame, MAX_PEOPLE)?;
        if !(-1.0..=1.0).contains(&self.threshold) {
            let found = self.threshold;
            return Err(Error::Argument(format!(
                "threshold is {found}, wanted -1 to 1"
            )));
        }
        if !self.sure.is_finite() {
            let found = self.sure;
            return Err(Error::Argument(format!(
                "the sure score is {found}, wanted a finite number"
            )));
        }
        Ok(())
    }

    /// What one crop must reach to be believed without a second one: halfway between the threshold
    /// and the same picture.
    fn clear(&self) -> f32 {
        (self.threshold + 1.0) / 2.0
    }

    /// Crops less similar are not of one person: as far below the threshold as the same picture is
    /// above it.
    fn apart(&self) -> f32 {
        2.0 * self.threshold - 1.0
    }
}

/// Gives each track a number of its own, from 1. Clones share the numbers: for several sources of
/// one process.
#[derive(Debug, Clone, Default)]
pub struct Numbers(Arc<AtomicU64>);

impl Numbers {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Whom the gallery finds most similar to a crop, however similar that is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Number of the identity.
    pub identity: u64,
    /// Cosine similarity, -1 to 1.
    pub similarity: f32,
}

/// What is known of a track after a vote.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision<'t> {
    /// Nothing yet.
    Pending,
    /// It is this identity.
    Seen {
        /// Number of the identity.
        identity: u64,
        /// Whether this crop says so too. One that does not may be of somebody else: it is no
        /// exemplar.
        agrees: bool,
    },
    /// It is somebody new. The answer is [`Tracks::born`]; without, the next crop asks again.
    Born {
        /// Embeddings of the crops that resemble nobody, one behind the other: more than half of
        /// [`Settings::crops`], and at most as many.
        exemplars: &'t [f32],
    },
}

/// A track that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// Its number.
    pub track: u64,
    /// Who it was.
    pub who: Who,
    /// Crops that voted.
    pub crops: u64,
    /// Stream time of its first box.
    pub first: Duration,
    /// Stream time of its last box.
    pub last: Duration,
}

/// Who a track was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// It was decided.
    Identity(u64),
    /// The visit was too short to decide, and all its crops resembled this identity: two of them,
    /// or one very much.
    Hint(u64),
    /// Nobody can say.
    Nobody,
}

/// What has happened so far. Nothing is passed over without being counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tracks that began.
    pub tracks: u64,
    /// Boxes that are none: empty, or with numbers that are not finite.
    pub invalid: u64,
    /// Boxes that the detector was not sure of and that continue no track.
    pub unsure: u64,
    /// Tracks that turned out to continue a lost one.
    pub reattached: u64,
    /// Matches by distance that turned out to be somebody else.
    pub split: u64,
    /// Lost tracks that ended early because there were [`CAPACITY`].
    pub evicted: u64,
    /// Crops that were due and passed over because the frame had too many.
    pub over_budget: u64,
    /// Crops that were not due: their track had one a moment ago.
    pub spared: u64,
    /// Crops that resembled somebody whom another track in the same frame is.
    pub taken: u64,
    /// Decisions that later crops took back.
    pub reopened: u64,
    /// Tracks that ended undecided with at least one vote, hints included: people who passed too
    /// quickly.
    pub undecided: u64,
    /// Tracks that ended without a good crop.
    pub unjudged: u64,
}

impl Counts {
    /// Adds those of another source.
    pub fn add(&mut self, other: Self) {
        let pairs = [
            (&mut self.tracks, other.tracks),
            (&mut self.invalid, other.invalid),
            (&mut self.unsure, other.unsure),
            (&mut self.reattached, other.reattached),
            (&mut self.split, other.split),
            (&mut self.evicted, other.evicted),
            (&mut self.over_budget, other.over_budget),
            (&mut self.spared, other.spared),
            (&mut self.taken, other.taken),
            (&mut self.reopened, other.reopened),
            (&mut self.undecided, other.undecided),
            (&mut self.unjudged, other.unjudged),
        ];
        for (own, other) in pairs {
            *own += other;
        }
    }
}

/// Tracks of one source.
#[derive(Debug)]
pub struct Tracks {
    settings: Settings,
    numbers: Numbers,
    dim: usize,
    /// `[CAPACITY]`; a track never moves.
    slots: Box<[Option<Track>]>,
    /// `[CAPACITY, crops, dim]`: what strangers are born from, the oldest first.
    kept: Vec<f32>,
    /// `[CAPACITY, dim]`: the last embedding of each track.
    last: Vec<f32>,
    /// Slot of each person of this frame.
    here: heapless::Vec<Option<usize>, MAX_PEOPLE>,
    ended: heapless::Vec<Ended, CAPACITY>,
    assignment: Assignment,
    rhythm: Rhythm,
    frame: u64,
    counts: Counts,
}

#[derive(Debug, Clone)]
struct Track {
    number: u64,
    /// Number that the boxes brought.
    given: Option<u64>,
    first: Duration,
    place: Place,
    /// Where it was before a match by distance that no embedding has confirmed yet.
    before: Option<Place>,
    /// Stream time of the last vote; the last embedding is there.
    voted: Option<Duration>,
    crops: u64,
    /// Embeddings in `kept`.
    kept: usize,
    /// Votes since the last that agreed with the decision.
    ballot: Ballot,
    identity: Option<u64>,
    /// Whether it was out of touch since a crop last agreed: only then can a crop that resembles
    /// nobody contradict. Who turns around resembles nobody either.
    interrupted: bool,
}

/// The usual time between frames, the median of the last five: one late frame says nothing.
#[derive(Debug, Clone, Default)]
struct Rhythm {
    now: Option<Duration>,
    intervals: heapless::HistoryBuf<Duration, 5>,
}

impl Tracks {
    /// No tracks yet, for embeddings of `dim` numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] if a setting or `dim` is out of its range.
    pub fn new(dim: usize, settings: Settings, numbers: Numbers) -> Result<Self> {
        settings.check()?;
        if !(1..=MAX_DIM).contains(&dim) {
            return Err(Error::Argument(format!(
                "embeddings have {dim} dimensions, wanted 1 to {MAX_DIM}"
            )));
        }
        Ok(Self {
            settings,
            numbers,
            dim,
            slots: (0..CAPACITY).map(|_| None).collect(),
            kept: vec![0.0; CAPACITY * settings.crops * dim],
            last: vec![0.0; CAPACITY * dim],
            here: heapless::Vec::new(),
            ended: heapless::Vec::new(),
            assignment: Assignment::new(),
            rhythm: Rhythm::default(),
            frame: 0,
            counts: Counts::default(),
        })
    }

    /// Gives the boxes of the next frame to their tracks. `at` is stream time; if it went back, a
    /// clip began again or a clock was set, and all tracks end.
    ///
    /// Call it for frames without boxes too: that is when people leave.
    pub fn associate(&mut self, persons: &Persons, at: Duration) {
        self.ended.clear();
        self.frame += 1;
        let usual = self.rhythm.advance(at);
        let gap = usual.map(|interval| self.settings.max_gap.max(interval.mul_f64(GAP_FRAMES)));
        // Without a usual interval, time went back.
        self.end_where(|track| gap.is_none_or(|gap| at.saturating_sub(track.place.seen) > gap));

        self.here.clear();
        self.here
            .resize(persons.len(), None)
            .expect("a frame's list of people is as long");
        self.match_numbers(persons, at);
        for round in [Round::Sure, Round::Unsure, Round::Distant] {
            self.match_boxes(round, persons, at);
        }
        for (index, person) in persons.iter().enumerate() {
            if self.here[index].is_some() {
                continue;
            }
            if !is_box(person.bbox) {
                self.counts.invalid += 1;
            } else if !self.is_sure(person) {
                self.counts.unsure += 1;
            } else {
                self.begin(index, person.bbox, None, at);
            }
        }
    }

    /// Number of the track of a person of the last frame: the one that the box brought, or our own.
    /// None for a box that has no track.
    #[must_use]
    pub fn number(&self, index: usize) -> Option<u64> {
        self.track_of(index).map(Track::label)
    }

    /// Identity of a person of the last frame, if their track is decided.
    #[must_use]
    pub fn identity(&self, index: usize) -> Option<u64> {
        self.track_of(index)?.identity
    }

    /// Tracks at the moment, those included whose person is out of sight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Whether there is no track at the moment.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tracks that ended since the last [`associate`](Self::associate), that call included.
    #[must_use]
    pub fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// Ends all tracks, at the end of the source, and returns them.
    pub fn finish(&mut self) -> &[Ended] {
        self.ended.clear();
        self.here.clear();
        self.end_where(|_| true);
        self.rhythm = Rhythm::default();
        &self.ended
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

/// Rounds in which boxes are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Sure,
    Unsure,
    Distant,
}

/// Boxes and tracks.
impl Tracks {
    /// Boxes that were tracked before keep their numbers. A number that comes twice in a frame
    /// counts once: the second box is matched as if it had none.
    fn match_numbers(&mut self, persons: &Persons, at: Duration) {
        for (index, person) in persons.iter().enumerate() {
            let Some(given) = person.track.filter(|_| is_box(person.bbox)) else {
                continue;
            };
            let known = (0..CAPACITY)
                .find(|&slot| matches!(&self.slots[slot], Some(t) if t.given == Some(given)));
            match known {
                None => {
                    self.begin(index, person.bbox, Some(given), at);
                }
                Some(slot) if self.here.contains(&Some(slot)) => {}
                Some(slot) => self.advance(index, slot, person.bbox, at),
            }
        }
    }

    /// Matches boxes that have no track yet with tracks that have no box yet.
    fn match_boxes(&mut self, round: Round, persons: &Persons, at: Duration) {
        let takes = |index: &usize| {
            let person = &persons[*index];
            let sure = self.is_sure(person) == (round != Round::Unsure);
            self.here[*index].is_none() && sure && is_box(person.bbox)
        };
        let boxes: heapless::Vec<usize, MAX_PEOPLE> = (0..persons.len()).filter(takes).collect();
        // The unsure box of somebody who was just here is half hidden; that of somebody long gone
        // is a coat on a chair.
        let since = match round {
            Round::Unsure => self.frame - 1,
            Round::Sure | Round::Distant => 0,
        };
        let free = |slot: &usize| {
            self.slots[*slot].as_ref().is_some_and(|track| {
                track.given.is_none() && (since..self.frame).contains(&track.place.frame)
            })
        };
        let tracks: heapless::Vec<usize, CAPACITY> = (0..CAPACITY).filter(free).collect();
        let slots = &self.slots;
        self.assignment
            .fill(boxes.len(), tracks.len(), |row, column| {
                let bbox = persons[boxes[row]].bbox;
                slots[tracks[column]]
                    .as_ref()
                    .map_or(0.0, |track| round.gain(&track.place, bbox, at))
            });
        for (row, column) in self.assignment.solve() {
            let (index, slot) = (boxes[row], tracks[column]);
            let frame = self.frame;
            let track = self.track_mut(slot);
            track.interrupted |= round == Round::Distant || track.place.frame + 1 < frame;
            if round == Round::Distant {
                track.before.get_or_insert(track.place);
            }
            self.advance(index, slot, persons[index].bbox, at);
        }
    }

    fn is_sure(&self, person: &Person) -> bool {
        person.score.is_none_or(|score| score >= self.settings.sure)
    }

    /// Moves the track in `slot` to the box of a person.
    fn advance(&mut self, index: usize, slot: usize, bbox: BBox, at: Duration) {
        let frame = self.frame;
        self.track_mut(slot).place.advance(bbox, at, frame);
        self.here[index] = Some(slot);
    }

    /// Begins a track with the box of a person, and returns its slot.
    fn begin(&mut self, index: usize, bbox: BBox, given: Option<u64>, at: Duration) -> usize {
        let slot = self.free_slot();
        self.counts.tracks += 1;
        self.slots[slot] = Some(Track {
            number: self.numbers.next(),
            given,
            first: at,
            place: Place::new(bbox, at, self.frame),
            before: None,
            voted: None,
            crops: 0,
            kept: 0,
            ballot: Ballot::default(),
            identity: None,
            interrupted: false,
        });
        self.here[index] = Some(slot);
        slot
    }

    /// A slot without a track; if there is none, that of the lost track that was seen the longest
    /// time ago, and of several the oldest.
    fn free_slot(&mut self) -> usize {
        if let Some(free) = self.slots.iter().position(Option::is_none) {
            return free;
        }
        let age = |slot: &usize| {
            self.slots[*slot]
                .as_ref()
                .map(|track| (track.place.frame, track.number))
        };
        let oldest = (0..CAPACITY).min_by_key(age).expect("there are slots");
        self.counts.evicted += 1;
        self.end(oldest);
        oldest
    }

    fn track_of(&self, index: usize) -> Option<&Track> {
        self.slots[(*self.here.get(index)?)?].as_ref()
    }

    fn track_mut(&mut self, slot: usize) -> &mut Track {
        self.slots[slot]
            .as_mut()
            .expect("a slot that was matched has a track")
    }

    fn end_where(&mut self, over: impl Fn(&Track) -> bool) {
        for slot in 0..CAPACITY {
            if self.slots[slot].as_ref().is_some_and(&over) {
                self.end(slot);
            }
        }
    }
}

impl Round {
    /// What it is worth to give a box to a track, 0..=1; 0 for no match.
    fn gain(self, place: &Place, bbox: BBox, at: Duration) -> f32 {
        let overlap_from = |least: f32| Some(place.overlap(bbox, at)).filter(|&o| o >= least);
        match self {
            Self::Sure => overlap_from(SURE_OVERLAP).unwrap_or(0.0),
            Self::Unsure => overlap_from(UNSURE_OVERLAP).unwrap_or(0.0),
            Self::Distant => place.nearness(bbox, at),
        }
    }
}

impl Track {
    /// The number by which people know the track.
    fn label(&self) -> u64 {
        self.given.unwrap_or(self.number)
    }
}

impl Rhythm {
    /// Goes on to `at` and returns the usual interval; none if time went back.
    fn advance(&mut self, at: Duration) -> Option<Duration> {
        let Some(before) = self.now.replace(at) else {
            return Some(Duration::ZERO);
        };
        let Some(interval) = at.checked_sub(before) else {
            self.intervals.clear();
            return None;
        };
        self.intervals.write(interval);
        let mut sorted: heapless::Vec<Duration, 5> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        Some(sorted[sorted.len() / 2])
    }
}
