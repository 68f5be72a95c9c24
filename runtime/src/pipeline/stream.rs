//! One stream: a source, its detector and its tracker, and the stages that need nothing else.

use std::time::Duration;

use media::Frame;
use network::preprocess::{BBox, View};

use crate::Result;
use crate::gallery::Origin;
use crate::people::{MAX_PEOPLE, People, Persons};
use crate::quality::{Flaw, Gates};
use crate::summary::Summary;
use crate::track::{Best, Numbers, TrackerSettings, Tracks};
use crate::visits::{Change, SeenAt, Visits};

use super::Settings;
use super::batch::CropBatch;

/// One source, the detector of its persons and their tracks.
pub struct Stream {
    people: People,
    /// Whether each frame is a person of its own, and no track goes on in the next.
    whole: bool,
    pub(super) tracks: Tracks,
    /// The frame at hand, if one came in this iteration.
    pub(super) frame: Frame,
    pub(super) ready: bool,
    pub(super) seen: Seen,
    /// Where its exemplars come from; the source is its name.
    pub(super) origin: Origin,
    clock: StreamClock,
    /// Its number in [`Visits`].
    source: usize,
}

/// The persons of a frame, in the order of their boxes.
pub(super) type Seen = heapless::Vec<Appearance, MAX_PEOPLE>;

/// One person of a frame on the way through the stages, each of which adds what it finds out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appearance {
    /// Its position in the frame's list, by which the tracker knows it.
    pub(super) index: usize,
    pub(super) bbox: BBox,
    /// How soon its crop is to be embedded: 0 is the most urgent; none if it is not.
    pub(super) selected: Option<usize>,
    /// How sharp the crop is; more is better, 0 if it was not measured.
    pub(super) quality: f32,
    /// Its crop in the batch.
    pub(super) crop: Option<usize>,
    pub(super) identity: Option<u64>,
    /// Whether the identity was enrolled in this frame.
    pub(super) new: bool,
    /// Whether the embedding may become an exemplar of the identity.
    pub(super) agrees: bool,
    /// Similarity to the identity.
    pub(super) similarity: Option<f32>,
    /// The most similar other identity.
    pub(super) runner_up: Option<Best>,
    /// Where and when it is seen, if it has a track.
    pub(super) place: Option<SeenAt>,
    /// Number of its visit, if it has an identity.
    pub(super) visit: Option<u64>,
    /// What became of its visit in this frame.
    pub(super) change: Option<Change>,
}

impl Stream {
    /// A source called `name`, whose persons `people` finds.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if a setting is out of its range.
    pub fn new(
        name: &str,
        people: People,
        dim: usize,
        settings: &Settings,
        numbers: &Numbers,
    ) -> Result<Self> {
        let whole = people.is_whole();
        // A picture of its own is all that there will ever be of a track.
        let crops = if whole { 1 } else { settings.tracks.crops };
        let settings = TrackerSettings {
            crops,
            ..settings.tracks
        };
        Ok(Self {
            people,
            whole,
            tracks: Tracks::new(dim, settings, numbers.clone())?,
            frame: Frame::default(),
            ready: false,
            seen: Seen::new(),
            origin: Origin {
                source: name.to_owned(),
                frame: None,
                time: 0,
                crop: None,
            },
            clock: StreamClock::default(),
            source: 0,
        })
    }

    /// Name of the source.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.origin.source
    }

    /// Where the boxes come from, to be asked what was left of them.
    #[must_use]
    pub fn people(&self) -> &People {
        &self.people
    }

    pub(super) fn register(&mut self, visits: &mut Visits) {
        self.source = visits.add_source(&self.origin.source);
    }

    /// Places the frame at hand on the axis of the run; `start` is where the stream begins if it is
    /// its first one.
    pub(super) fn advance(&mut self, start: Duration, elapsed: Duration) -> Duration {
        self.clock.advance(self.frame.stream_time, start, elapsed)
    }

    /// The time of this stream on the axis of the run, and how long a person may be out of sight of
    /// it because its frames are rare; none before its first frame.
    pub(super) fn now(&self, elapsed: Option<Duration>) -> Option<(Duration, Duration)> {
        Some((self.clock.now(elapsed)?, self.tracks.patience()))
    }

    /// Where and when a person of the frame at hand is seen, the number of the track, and when the
    /// track began; none for a box without a track.
    pub(super) fn place(&self, index: usize, time: u64) -> Option<(SeenAt, u64, Duration)> {
        let track = self.tracks.number(index)?;
        let (unique, first) = self.tracks.unique(index)?;
        let place = SeenAt {
            source: self.source,
            track,
            stream_time: self.frame.stream_time,
            at: self.clock.at(self.frame.stream_time),
            time,
        };
        Some((place, unique, self.clock.at(first)))
    }

    /// Finds the persons of the frame at hand.
    pub(super) fn detect(&mut self, summary: &mut Summary) -> Result<Persons> {
        let mut persons = Persons::new();
        summary.dropped += self.people.find(&self.frame, &mut persons)? as u64;
        let (width, height) = (self.frame.width, self.frame.height);
        let all = persons.len();
        persons.retain(|person| person.bbox.clipped(width, height).is_some());
        let outside = (all - persons.len()) as u64;
        summary.flaws.count(Flaw::Outside, outside);
        Ok(persons)
    }

    /// Gives each person a track.
    pub(super) fn track(&mut self, persons: &Persons) -> Seen {
        if self.whole {
            self.tracks.finish();
        }
        self.tracks.associate(persons, self.frame.stream_time);
        let appearance = |(index, person): (usize, &crate::people::Person)| Appearance {
            index,
            bbox: person.bbox,
            selected: None,
            quality: 0.0,
            crop: None,
            identity: None,
            new: false,
            agrees: false,
            similarity: None,
            runner_up: None,
            place: None,
            visit: None,
            change: None,
        };
        persons.iter().enumerate().map(appearance).collect()
    }

    /// Selects the persons whose track needs a crop and whose crop is good, the most urgent first,
    /// as many as the budget of a frame allows.
    pub(super) fn select(
        &mut self,
        mut seen: Seen,
        persons: &Persons,
        gates: &Gates,
        summary: &mut Summary,
    ) -> Result<Seen> {
        let view = View::new(&self.frame.rgb, self.frame.width, self.frame.height)?;
        let mut selected = 0;
        for index in self.tracks.wanted() {
            if selected == self.tracks.per_frame() {
                summary.over_budget += 1;
                continue;
            }
            if !self.whole {
                match gates.evaluate(view, persons, index) {
                    Ok(quality) => seen[index].quality = quality.sharpness,
                    Err(flaw) => {
                        summary.flaws.count(flaw, 1);
                        continue;
                    }
                }
            }
            seen[index].selected = Some(selected);
            selected += 1;
        }
        Ok(seen)
    }

    /// Cuts the crops of the selected persons out of the frame, into the batch.
    pub(super) fn crop(&self, mut seen: Seen, batch: &mut CropBatch) -> Result<Seen> {
        let view = View::new(&self.frame.rgb, self.frame.width, self.frame.height)?;
        for person in by_urgency(&mut seen) {
            person.crop = Some(batch.cut(view, person.bbox)?);
        }
        Ok(seen)
    }
}

/// The selected persons of a frame, the most urgent first.
pub(super) fn by_urgency(seen: &mut Seen) -> heapless::Vec<&mut Appearance, MAX_PEOPLE> {
    let mut selected: heapless::Vec<&mut Appearance, MAX_PEOPLE> = seen
        .iter_mut()
        .filter(|person| person.selected.is_some())
        .collect();
    selected.sort_unstable_by_key(|person| person.selected);
    selected
}

/// Places the frames of one stream on the axis of the run.
#[derive(Debug, Default)]
struct StreamClock {
    /// A time on the axis, and the stream time that stands there.
    anchor: Option<[Duration; 2]>,
    /// The last frame: on the axis, in stream time, and by the steady clock.
    last: [Duration; 3],
}

impl StreamClock {
    /// Time of the next frame. Where stream time goes back, the axis goes on from the last frame.
    fn advance(&mut self, stream_time: Duration, start: Duration, elapsed: Duration) -> Duration {
        let [last, before, _] = self.last;
        let anchor = match self.anchor {
            None => [start, stream_time],
            Some(_) if stream_time < before => [last, stream_time],
            Some(anchor) => anchor,
        };
        self.anchor = Some(anchor);
        let at = self.at(stream_time);
        self.last = [at, stream_time, elapsed];
        at
    }

    fn at(&self, stream_time: Duration) -> Duration {
        let [start, base] = self.anchor.unwrap_or_default();
        // A track may have begun before stream time went back.
        (start + stream_time).saturating_sub(base)
    }

    /// The time by now: that of the last frame, and for a live stream what has passed since.
    fn now(&self, elapsed: Option<Duration>) -> Option<Duration> {
        self.anchor?;
        let [last, _, received] = self.last;
        Some(last + elapsed.map_or(Duration::ZERO, |now| now.saturating_sub(received)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_stand_on_the_axis_of_the_run() {
        let seconds = Duration::from_secs;
        let mut clock = StreamClock::default();
        assert_eq!(clock.now(Some(seconds(9))), None);
        // Stream time, the steady clock, and the wanted time on the axis.
        let cases = [
            ("the first frame is where the stream begins", 3, 50, 1000),
            ("faster than real time", 13, 51, 1010),
            ("a clip that begins again goes on", 0, 52, 1010),
            ("and on", 4, 53, 1014),
        ];
        for (name, stream, elapsed, wanted) in cases {
            let at = clock.advance(seconds(stream), seconds(1000), seconds(elapsed));
            assert_eq!(at, seconds(wanted), "{name}");
        }
        assert_eq!(clock.now(None), Some(seconds(1014)), "a file waits");
        assert_eq!(
            clock.now(Some(seconds(59))),
            Some(seconds(1020)),
            "a camera does not"
        );
    }
}
