//! What comes out of a run, as data: an [`Event`] where a visit starts, is identified, corrected or
//! ended, and an [`Observation`] for each person in each frame. `docs/json.md` documents their JSON.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

/// Version of the JSON form of an event; it changes when a field changes its meaning.
pub const EVENT_SCHEMA: u32 = 2;

/// Version of the JSON form of an observation.
pub const OBSERVATION_SCHEMA: u32 = 1;

/// Something happened to a visit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event<'a> {
    /// Number of the visit, from 1 in each run.
    pub visit: u64,
    /// Number of the track in which it was seen, the last one for a visit that ended.
    pub track: u64,
    /// Name of the source in which it was seen.
    pub source: &'a str,
    /// When it happened, on the axis of the run: the time of day for live sources; for files, as if
    /// they had been played one after the other from the start of the run.
    pub time: SystemTime,
    /// The same time in seconds of its source.
    pub stream_time: Duration,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened to a visit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum EventKind<'a> {
    /// A person is there. Written when the identity is decided; `first` is earlier.
    VisitStarted {
        /// When the person was first seen.
        #[serde(serialize_with = "rfc3339")]
        first: SystemTime,
    },
    /// The identity of the visit is decided.
    Identified {
        /// Name in the gallery.
        identity: &'a str,
        /// Whether the person was unknown, and was enrolled for this visit.
        new: bool,
        /// Whether the person was seen before, in this run or an earlier one.
        returning: bool,
        /// When the person was last seen before this visit.
        #[serde(serialize_with = "maybe_rfc3339")]
        last_seen: Option<SystemTime>,
        /// From then to the first sight of this visit.
        #[serde(serialize_with = "maybe_seconds")]
        absence: Option<Duration>,
        /// Cosine similarity to the most similar exemplar; none for a new person.
        similarity: Option<f32>,
        /// Similarity of the most similar other identity, if there is one.
        runner_up: Option<f32>,
        /// Similarities at or above it mean the same person.
        threshold: f32,
    },
    /// A mistake: what was written of this track in this visit holds for another identity.
    IdentityChanged {
        /// The wrong identity; none if it was taken back before.
        from: Option<&'a str>,
        /// The right one; none while it is not decided.
        to: Option<&'a str>,
        /// The visit that the track belongs to from now on.
        moved_to: Option<u64>,
        /// Whether nothing is left of this visit: it does not count, and no end of it follows.
        withdrawn: bool,
    },
    /// No stream has seen the person for the least absence, or the run is over.
    VisitEnded {
        /// Name in the gallery; none if the identity was taken back, or has left the gallery.
        identity: Option<&'a str>,
        /// When the person was first seen.
        #[serde(serialize_with = "rfc3339")]
        first: SystemTime,
        /// When the person was last seen.
        #[serde(serialize_with = "rfc3339")]
        last: SystemTime,
        /// From the first to the last sight.
        #[serde(serialize_with = "seconds")]
        duration: Duration,
        /// Path of the best crop below the folder of crops, if crops are kept.
        crop: Option<&'a str>,
    },
}

impl EventKind<'_> {
    /// The name of the event in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::VisitStarted { .. } => "visit_started",
            Self::Identified { .. } => "identified",
            Self::IdentityChanged { .. } => "identity_changed",
            Self::VisitEnded { .. } => "visit_ended",
        }
    }
}

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            schema: u32,
            event: &'static str,
            visit: u64,
            track: u64,
            source: &'a str,
            #[serde(serialize_with = "rfc3339")]
            time: SystemTime,
            #[serde(serialize_with = "seconds")]
            stream_time: Duration,
            #[serde(flatten)]
            kind: &'a EventKind<'a>,
        }
        Line {
            schema: EVENT_SCHEMA,
            event: self.kind.name(),
            visit: self.visit,
            track: self.track,
            source: self.source,
            time: self.time,
            stream_time: self.stream_time,
            kind: &self.kind,
        }
        .serialize(serializer)
    }
}

/// One person in one frame. Its JSON form is one line, and stable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation<'a> {
    /// [`OBSERVATION_SCHEMA`].
    pub schema: u32,
    /// Name of the source: the file, folder or camera as it was given.
    pub source: &'a str,
    /// Position of the frame in its source, from 0.
    pub frame: u64,
    /// When the frame was worked on, by the clock of the device.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// When the frame was taken, in seconds since the first one of its source.
    #[serde(serialize_with = "seconds")]
    pub stream_time: Duration,
    /// Number of the track that the box belongs to; none for a box too unsure to begin one.
    pub track: Option<u64>,
    /// Left, top, width and height in pixels; it may reach beyond the frame.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Name of the identity in the gallery; none while the track is not decided.
    pub identity: Option<&'a str>,
    /// Cosine similarity to its most similar exemplar; none for an identity that is new, and in
    /// frames whose crop was not embedded because the track was embedded a moment ago.
    pub similarity: Option<f32>,
    /// Similarity of the most similar *other* identity, if there is one.
    pub runner_up: Option<f32>,
    /// Similarities at or above it mean the same person.
    pub threshold: f32,
    /// What the observation means for the gallery.
    pub state: State,
}

/// What an observation means for the gallery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No identity was similar enough: one was enrolled for this person.
    New,
    /// The person is in the gallery.
    Seen,
    /// There are too few good crops to decide.
    Pending,
}

/// What an observation rests on, for pages and pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence<'a> {
    /// The crop as the network saw it, RGB `[height, width, 3]` u8; none if it was not embedded.
    pub crop: Option<&'a [u8]>,
    /// Height and width of the crop.
    pub size: [usize; 2],
    /// How sharp the crop is; more is better.
    pub quality: f32,
    /// Name of the most similar other identity.
    pub runner_up: Option<&'a str>,
    /// Number of the open visit that the observation counts in.
    pub visit: Option<u64>,
}

fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(*time))
}

fn maybe_rfc3339<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are what containers and cameras know.
    serializer.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
}

fn maybe_seconds<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => seconds(time, serializer),
        None => serializer.serialize_none(),
    }
}
