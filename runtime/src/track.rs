//! Boxes over time: the boxes of one frame come in, each gets a track; the tracks name the crops
//! that are worth embedding, and the embeddings vote on the identity of their track.
//!
//! `crops` good crops of one track decide by majority: half a person at the edge of the picture
//! resembles other halves more than the whole. Once a frame: [`Tracks::associate`], then
//! [`Tracks::wanted`], [`Tracks::vote`] for each crop, and [`Tracks::enrolled`] for a person who was
//! unknown.
//!
//! A track is lost while it has no box in the frame; its first embedding may show that a new track
//! continues a lost one. It has ended when it was lost for too long. Boxes are matched with tracks
//! in three rounds, as in `ByteTrack` (Zhang et al., ECCV 2022): boxes of a high score by overlap
//! with the position or the predicted one, boxes of a low score by overlap, then, for frames that
//! are a second apart, boxes of a high score by distance.
//!
//! Everything is preallocated, nothing depends on a clock or on chance: the same input gives the
//! same tracks.

mod assignment;
mod decide;
mod position;
#[cfg(test)]
mod tests;
mod voting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use network::preprocess::BBox;
use retrieval::scan::MAX_DIM;

use crate::people::{MAX_PEOPLE, Person, Persons};
use crate::{Error, Result};
use assignment::Assignment;
use position::{TrackPosition, is_box};
use voting::Voting;

pub(crate) use position::intersection;

/// The most tracks at a time, those included whose person is out of sight.
pub const CAPACITY: usize = 128;

/// The most that [`TrackerSettings::crops`] may be.
pub const MAX_CROPS: usize = 8;

/// The least overlap with a box of a high score: two of three persons in a queue overlap less.
const HIGH_OVERLAP: f32 = 0.3;

/// The least overlap with a box of a low score, as in `ByteTrack`: reflections and chairs have low
/// scores too.
const LOW_OVERLAP: f32 = 0.5;

/// How many intervals between frames a person may be out of sight, where frames are rare.
const GAP_FRAMES: f64 = 2.5;

/// When boxes are one track, and when a track has an identity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackerSettings {
    /// Cosine similarities at or above it mean the same person, -1 to 1.
    pub threshold: f32,
    /// Good crops that decide, 1..=[`MAX_CROPS`].
    pub crops: usize,
    /// Crops in a row that contradict a decision until it is taken back, 1..=[`MAX_CROPS`].
    pub contradictions: usize,
    /// How long a person may be out of sight; where frames are rare, two and a half intervals of
    /// them if that is longer.
    pub max_gap: Duration,
    /// Time between two crops of a track that is not decided. Crops of one instant are nearly equal,
    /// and add no information.
    pub interval: Duration,
    /// Time between two crops of a track that is decided.
    pub recheck: Duration,
    /// The most crops to embed of one frame.
    pub per_frame: usize,
    /// A detector's score at or above it is high. Boxes with a lower one continue tracks and begin
    /// none; a box without a score counts as high.
    pub min_start_score: f32,
}

impl TrackerSettings {
    /// 3 crops decide and 3 take it back; 3 s out of sight; a crop each 0.2 s, then each 2 s, at
    /// most 8 of a frame; scores from 0.5 are high.
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
            min_start_score: 0.5,
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
        if !self.min_start_score.is_finite() {
            let found = self.min_start_score;
            return Err(Error::Argument(format!(
                "the minimum start score is {found}, wanted a finite number"
            )));
        }
        Ok(())
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

/// The identity of the gallery that is most similar to a crop, however similar that is.
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
    Known {
        /// Number of the identity.
        identity: u64,
        /// Whether this crop votes for it too. A crop that does not may be of another person: it is
        /// no exemplar.
        agrees: bool,
    },
    /// It is an unknown person, to be enrolled. The answer is [`Tracks::enrolled`]; without it, the
    /// next crop asks again.
    Enroll {
        /// Number of the track.
        track: u64,
        /// Embeddings of the crops that resemble no identity, one behind the other: more than half
        /// of [`TrackerSettings::crops`], and at most as many.
        exemplars: &'t [f32],
    },
}

/// A track that is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ended {
    /// Its number.
    pub track: u64,
    /// Its identity, if it was decided.
    pub identity: Option<u64>,
    /// Crops that voted.
    pub crops: u64,
    /// Stream time of its first box.
    pub first: Duration,
    /// Stream time of its last box.
    pub last: Duration,
}

/// What has happened so far. Nothing is passed over without being counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tracks that began.
    pub tracks: u64,
    /// Boxes that are none: empty, or with numbers that are not finite.
    pub invalid: u64,
    /// Boxes of a low score that continue no track.
    pub low_score: u64,
    /// Tracks that turned out to continue a lost one.
    pub reattached: u64,
    /// Matches by distance that turned out to be another person.
    pub split: u64,
    /// Lost tracks that ended early because there were [`CAPACITY`].
    pub evicted: u64,
    /// Boxes whose crop was not wanted: their track had one a moment ago.
    pub spared: u64,
    /// Crops that resembled an identity that another track in the same frame has.
    pub taken: u64,
    /// Decisions that later crops took back.
    pub reopened: u64,
    /// Tracks that ended undecided with at least one vote.
    pub undecided: u64,
    /// Tracks that ended without a good crop.
    pub without_crop: u64,
}

impl Counts {
    /// Adds those of another source.
    pub fn add(&mut self, other: Self) {
        let pairs = [
            (&mut self.tracks, other.tracks),
            (&mut self.invalid, other.invalid),
            (&mut self.low_score, other.low_score),
            (&mut self.reattached, other.reattached),
            (&mut self.split, other.split),
            (&mut self.evicted, other.evicted),
            (&mut self.spared, other.spared),
            (&mut self.taken, other.taken),
            (&mut self.reopened, other.reopened),
            (&mut self.undecided, other.undecided),
            (&mut self.without_crop, other.without_crop),
        ];
        for (own, other) in pairs {
            *own += other;
        }
    }
}

/// Tracks of one source.
///
/// # Example
/// ```
/// use std::time::Duration;
///
/// use network::preprocess::BBox;
/// use runtime::people::{Person, Persons};
/// use runtime::track::{Numbers, TrackerSettings, Tracks};
///
/// # fn main() -> runtime::Result<()> {
/// let mut tracks = Tracks::new(128, TrackerSettings::new(0.7), Numbers::default())?;
/// for frame in 0..3 {
///     let bbox = BBox { x: 10.0 * frame as f32, y: 0.0, w: 40.0, h: 100.0 };
///     let persons = Persons::from_iter([Person { bbox, score: None, track: None }]);
///     tracks.associate(&persons, Duration::from_millis(100 * frame));
/// }
/// assert_eq!(tracks.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Tracks {
    settings: TrackerSettings,
    numbers: Numbers,
    dim: usize,
    /// `[CAPACITY]`; a track never moves.
    slots: Box<[Option<Track>]>,
    /// `[CAPACITY, crops, dim]`: what unknown persons are enrolled with, the oldest first.
    kept: Vec<f32>,
    /// `[CAPACITY, dim]`: the last embedding of each track.
    last: Vec<f32>,
    /// Slot of each person of this frame.
    here: heapless::Vec<Option<usize>, MAX_PEOPLE>,
    ended: heapless::Vec<Ended, CAPACITY>,
    assignment: Assignment,
    frame_interval: FrameInterval,
    frame: u64,
    counts: Counts,
}

#[derive(Debug, Clone)]
struct Track {
    number: u64,
    /// Number that the boxes brought.
    given: Option<u64>,
    first: Duration,
    position: TrackPosition,
    /// Where it was before a match by distance that no embedding has confirmed yet.
    before: Option<TrackPosition>,
    /// Stream time of the last vote; the last embedding is there.
    voted: Option<Duration>,
    crops: u64,
    /// Embeddings in `kept`.
    kept: usize,
    /// Votes since the last that agreed with the decision.
    voting: Voting,
    identity: Option<u64>,
    /// Whether it was lost, or matched by distance, since a crop last agreed: only then can a crop
    /// that resembles no identity contradict. A person who turns around resembles none either.
    interrupted: bool,
}

/// The usual time between frames, the median of the last five: one late frame is no change.
#[derive(Debug, Clone, Default)]
struct FrameInterval {
    now: Option<Duration>,
    intervals: heapless::HistoryBuf<Duration, 5>,
}

impl Tracks {
    /// No tracks yet, for embeddings of `dim` numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] if a setting or `dim` is out of its range.
    pub fn new(dim: usize, settings: TrackerSettings, numbers: Numbers) -> Result<Self> {
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
            frame_interval: FrameInterval::default(),
            frame: 0,
            counts: Counts::default(),
        })
    }

    /// Gives the boxes of the next frame to their tracks. `at` is stream time; if it went back, a
    /// clip began again or a clock was set, and all tracks end.
    ///
    /// Call it for frames without boxes too: that is when persons leave.
    pub fn associate(&mut self, persons: &Persons, at: Duration) {
        self.ended.clear();
        self.frame += 1;
        let went_back = self.frame_interval.advance(at).is_none();
        let gap = self.settings.max_gap.max(self.patience());
        self.end_where(|track| went_back || at.saturating_sub(track.position.seen) > gap);

        self.here.clear();
        self.here
            .resize(persons.len(), None)
            .expect("a frame's list of people is as long");
        self.match_numbers(persons, at);
        for round in [Round::High, Round::Low, Round::Distant] {
            self.match_boxes(round, persons, at);
        }
        for (index, person) in persons.iter().enumerate() {
            if self.here[index].is_some() {
                continue;
            }
            if !is_box(person.bbox) {
                self.counts.invalid += 1;
            } else if !self.is_high(person) {
                self.counts.low_score += 1;
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

    /// Number of the track of a person of the last frame, unique among all [`Numbers`], and the
    /// stream time of its first box.
    #[must_use]
    pub fn unique(&self, index: usize) -> Option<(u64, Duration)> {
        self.track_of(index)
            .map(|track| (track.number, track.first))
    }

    /// How long a person may be out of sight because frames are rare: two and a half of the usual
    /// intervals between them.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.frame_interval.usual().mul_f64(GAP_FRAMES)
    }

    /// The most crops to embed of one frame.
    #[must_use]
    pub fn per_frame(&self) -> usize {
        self.settings.per_frame
    }

    /// Tracks at the moment, the lost ones included.
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
        self.frame_interval = FrameInterval::default();
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
    High,
    Low,
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
            let high = self.is_high(person) == (round != Round::Low);
            self.here[*index].is_none() && high && is_box(person.bbox)
        };
        let boxes: heapless::Vec<usize, MAX_PEOPLE> = (0..persons.len()).filter(takes).collect();
        // A box of a low score is of a half hidden person who was here in the last frame; where
        // no person was, it is a coat on a chair.
        let since = match round {
            Round::Low => self.frame - 1,
            Round::High | Round::Distant => 0,
        };
        let free = |slot: &usize| {
            self.slots[*slot].as_ref().is_some_and(|track| {
                track.given.is_none() && (since..self.frame).contains(&track.position.frame)
            })
        };
        let tracks: heapless::Vec<usize, CAPACITY> = (0..CAPACITY).filter(free).collect();
        let slots = &self.slots;
        self.assignment
            .fill(boxes.len(), tracks.len(), |row, column| {
                let bbox = persons[boxes[row]].bbox;
                slots[tracks[column]]
                    .as_ref()
                    .map_or(0.0, |track| round.gain(&track.position, bbox, at))
            });
        for (row, column) in self.assignment.solve() {
            let (index, slot) = (boxes[row], tracks[column]);
            let frame = self.frame;
            let track = self.track_mut(slot);
            track.interrupted |= round == Round::Distant || track.position.frame + 1 < frame;
            if round == Round::Distant {
                track.before.get_or_insert(track.position);
            }
            self.advance(index, slot, persons[index].bbox, at);
        }
    }

    fn is_high(&self, person: &Person) -> bool {
        person
            .score
            .is_none_or(|score| score >= self.settings.min_start_score)
    }

    /// Moves the track in `slot` to the box of a person.
    fn advance(&mut self, index: usize, slot: usize, bbox: BBox, at: Duration) {
        let frame = self.frame;
        self.track_mut(slot).position.advance(bbox, at, frame);
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
            position: TrackPosition::new(bbox, at, self.frame),
            before: None,
            voted: None,
            crops: 0,
            kept: 0,
            voting: Voting::default(),
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
                .map(|track| (track.position.frame, track.number))
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
    fn gain(self, position: &TrackPosition, bbox: BBox, at: Duration) -> f32 {
        let overlap_from = |least: f32| Some(position.overlap(bbox, at)).filter(|&o| o >= least);
        match self {
            Self::High => overlap_from(HIGH_OVERLAP).unwrap_or(0.0),
            Self::Low => overlap_from(LOW_OVERLAP).unwrap_or(0.0),
            Self::Distant => position.nearness(bbox, at),
        }
    }
}

impl Track {
    /// The number of the track in the output.
    fn label(&self) -> u64 {
        self.given.unwrap_or(self.number)
    }
}

impl FrameInterval {
    /// Goes on to `at`; none if time went back.
    fn advance(&mut self, at: Duration) -> Option<()> {
        let Some(before) = self.now.replace(at) else {
            return Some(());
        };
        let interval = at.checked_sub(before);
        match interval {
            Some(interval) => self.intervals.write(interval),
            None => self.intervals.clear(),
        }
        interval.map(|_| ())
    }

    /// The usual interval, 0 before the second frame.
    fn usual(&self) -> Duration {
        let mut sorted: heapless::Vec<Duration, 5> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    }
}
