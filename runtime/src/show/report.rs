//! `--report`: what a run saw, one person a row, as one HTML file that can be sent by mail.
//!
//! Observations and their crops come in while the run goes on; of each identity a few small crops
//! spread over time are kept, and numbers. [`Report::finish`] writes them as a page (`page.rs`) that
//! asks nothing of the network. A run may last for weeks: everything here has a limit, and what is
//! beyond is counted and said on the page.

mod page;
mod strip;
mod tally;

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use self::page::{PersonRow, RunPage};
pub(in crate::show) use self::strip::thumbnail;
use self::strip::{Strip, Thumb};
use self::tally::{Presence, Similarities};
use super::{Result, check, fnv, write_whole};
use crate::event::{Event, EventKind, State};

/// The most identities that get a row.
pub const MAX_PEOPLE: usize = 500;

/// The most crops in a row.
pub const MAX_CROPS: usize = 8;

/// Identities that may have [`MAX_CROPS`]; later ones get half of it, so that the page stays
/// below 30 MB.
const MANY: usize = 100;

/// The most bytes of one crop on the page.
pub const MAX_CROP_BYTES: usize = 8192;

/// The most doubtful decisions that are shown.
pub const MAX_DOUBTS: usize = 12;

/// The most sources that are told apart, and the most identities beyond [`MAX_PEOPLE`].
const MAX_SOURCES: usize = 64;
const MAX_OTHERS: usize = 65_536;

/// The most letters of a name or source that are kept; galleries have shorter names.
const MAX_NAME: usize = 256;

/// Decisions closer than this are doubtful.
const DOUBTFUL: f32 = 0.1;

/// What is known of a run when it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Sources, as they were given.
    pub sources: Vec<String>,
    /// Name of the model.
    pub model: String,
    /// Its embedding space.
    pub space: String,
    /// Similarities at or above it mean the same person.
    pub threshold: f32,
    /// When the run began, in milliseconds since 1970.
    pub started: u64,
    /// Whether a source is live: then times of the clock matter beside those of the stream.
    pub live: bool,
}

/// What a run came to, as the program prints it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals<'a> {
    /// Persons seen.
    pub persons: u64,
    /// Those who were not known before.
    pub new: u64,
    /// Visits, those that are not over included.
    pub visits: u64,
    /// Visits of persons who had been here before.
    pub returns: u64,
    /// Persons in frames.
    pub observations: u64,
    /// Observations without a decided identity.
    pub undecided: u64,
    /// Frames worked on.
    pub frames: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// What was passed over: how many, and what, as in "blurred person".
    pub passed_over: &'a [(u64, &'a str)],
    /// Why the run ended before its sources did.
    pub error: Option<&'a str>,
}

/// One person in one frame, as the report wants to know it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Position of the frame in its source.
    pub frame: u64,
    /// When the frame was taken, since the first one of its source.
    pub stream_time: Duration,
    /// When it was worked on, in milliseconds since 1970.
    pub time: u64,
    /// Name of the identity; none while it is not decided.
    pub identity: Option<&'a str>,
    /// Cosine similarity to it; none for an identity that is new.
    pub similarity: Option<f32>,
    /// The most similar other identity and its similarity, if there is one.
    pub runner_up: Option<(&'a str, f32)>,
    /// What the observation means for the gallery.
    pub state: State,
    /// How good the crop is, more is better; the same for all if nobody knows.
    pub quality: f32,
}

/// Collects what [`Report::finish`] shows.
#[derive(Debug)]
pub struct Report {
    run: Run,
    people: BTreeMap<String, Person>,
    /// Names of sources in the order of their appearance.
    sources: Vec<String>,
    /// Checksums of the names of those that got no row, and what was seen of them.
    others: HashSet<u64>,
    others_observations: u64,
    own: Similarities,
    rival: Similarities,
    doubts: Vec<Doubt>,
}

#[derive(Debug)]
struct Person {
    new: bool,
    observations: u64,
    visits: u64,
    first: Moment,
    last: Moment,
    /// Similarities at which it was recognised.
    own: Similarities,
    least: f32,
    sum: f64,
    /// The other one it was closest to be taken for.
    rival: Option<Rival>,
    strip: Strip,
    present: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Moment {
    stream: Duration,
    time: u64,
}

#[derive(Debug, Clone, PartialEq)]
struct Rival {
    name: String,
    similarity: f32,
    margin: f32,
}

/// A decision that was nearly another one.
#[derive(Debug)]
struct Doubt {
    identity: String,
    rival: String,
    rival_similarity: f32,
    margin: f32,
    thumb: Thumb,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(run: Run) -> Self {
        Self {
            run,
            people: BTreeMap::new(),
            sources: Vec::new(),
            others: HashSet::new(),
            others_observations: 0,
            own: Similarities::default(),
            rival: Similarities::default(),
            doubts: Vec::new(),
        }
    }

    /// Takes note of a person and of its crop, `[height, width, 3]` u8. Most crops are not kept, and
    /// cost nothing.
    ///
    /// # Errors
    /// [`super::Error::Argument`] if the sizes do not fit together.
    pub fn observe(
        &mut self,
        seen: &Sighting<'_>,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<()> {
        check(rgb, [width, height])?;
        let Some(name) = seen.identity.map(cut) else {
            return Ok(());
        };
        let source = self.source(seen.source);
        if let Some((_, similarity)) = seen.runner_up {
            self.rival.add(similarity);
        }
        if let Some(similarity) = seen.similarity {
            self.own.add(similarity);
        }
        if !self.people.contains_key(name) && self.people.len() >= MAX_PEOPLE {
            self.others_observations += 1;
            if self.others.len() < MAX_OTHERS {
                self.others.insert(fnv(name));
            }
            return Ok(());
        }
        let picture = || Thumb {
            jpeg: thumbnail(rgb, [width, height]),
            stream_time: seen.stream_time,
            similarity: seen.similarity,
            new: seen.state == State::New,
            source,
            frame: seen.frame,
            quality: seen.quality,
        };
        let crops = if self.people.len() < MANY {
            MAX_CROPS
        } else {
            MAX_CROPS / 2
        };
        let margin = self.run.margin(seen);
        if !self.people.contains_key(name) {
            self.people
                .insert(name.to_owned(), Person::new(seen, crops));
        }
        let person = self.people.get_mut(name).expect("inserted above");
        person.add(seen, margin);
        person.strip.add(seen.stream_time, seen.quality, picture);
        if let (Some((rival, similarity)), Some(margin)) = (seen.runner_up, margin)
            && margin < DOUBTFUL
        {
            self.doubt(name, (cut(rival), similarity), margin, picture);
        }
        Ok(())
    }

    /// Drops the row of a person who has left the gallery.
    pub fn forget(&mut self, name: &str) {
        self.people.remove(cut(name));
    }

    /// Counts the visits of each person. One who had none but a mistake loses the row.
    pub fn event(&mut self, event: &Event<'_>) {
        let (name, visits) = match event.kind {
            EventKind::Identified { identity, .. } => (identity, 1),
            EventKind::IdentityChanged {
                from: Some(from),
                moved_to,
                withdrawn,
                ..
            } if withdrawn || moved_to == Some(event.visit) => (from, -1),
            _ => return,
        };
        let name = cut(name);
        if let Some(person) = self.people.get_mut(name) {
            person.visits = person.visits.saturating_add_signed(visits);
            if person.visits == 0 {
                self.people.remove(name);
            }
        }
    }

    /// Writes the page to `path`, whole or not at all; what is there is replaced. May be called as
    /// often as one likes, for example every hour of a run that does not end.
    ///
    /// # Errors
    /// [`super::Error::Io`].
    pub fn finish(&self, path: &Path, totals: &Totals<'_>) -> Result<()> {
        write_whole(path, |file| self.write(file, totals))
    }

    /// Writes the page.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write(&self, out: &mut impl Write, totals: &Totals<'_>) -> io::Result<()> {
        let rows = self.people.iter().map(|(name, person)| person.row(name));
        let mut persons: Vec<_> = rows.collect();
        persons.sort_by_key(|row| (row.first.time, row.first.stream));
        let close = self.doubts.iter().map(|doubt| {
            let other = self.people.get(&doubt.rival);
            (doubt, other.and_then(|other| other.strip.best()))
        });
        let page = RunPage {
            run: &self.run,
            totals,
            sources: &self.sources,
            persons,
            left_out: [self.others.len() as u64, self.others_observations],
            close: close.collect(),
            own: self.own.histogram(),
            other: self.rival.histogram(),
        };
        page.write(out)
    }

    /// Keeps the closest decisions, one for each pair of identities.
    fn doubt(
        &mut self,
        identity: &str,
        (rival, rival_similarity): (&str, f32),
        margin: f32,
        picture: impl FnOnce() -> Thumb,
    ) {
        let pair = |doubt: &Doubt| doubt.identity == identity && doubt.rival == rival;
        match self.doubts.iter().position(pair) {
            // A little closer is the same doubt, and not worth another picture.
            Some(at) if margin >= self.doubts[at].margin - 0.005 => return,
            Some(at) => {
                self.doubts.remove(at);
            }
            None if self.doubts.len() < MAX_DOUBTS => {}
            None if self.doubts.last().is_some_and(|last| margin < last.margin) => {
                self.doubts.pop();
            }
            None => return,
        }
        let at = self.doubts.partition_point(|doubt| doubt.margin <= margin);
        let doubt = Doubt {
            identity: identity.to_owned(),
            rival: rival.to_owned(),
            rival_similarity,
            margin,
            thumb: picture(),
        };
        self.doubts.insert(at, doubt);
    }

    /// The number of a source; beyond [`MAX_SOURCES`] they share the last one.
    fn source(&mut self, name: &str) -> usize {
        let name = cut(name);
        if let Some(at) = self.sources.iter().position(|known| known == name) {
            return at;
        }
        if self.sources.len() < MAX_SOURCES {
            self.sources.push(name.to_owned());
        }
        self.sources.len() - 1
    }
}

impl Run {
    /// How far a decision was from being another one; none if nobody else was there to decide for.
    fn margin(&self, seen: &Sighting<'_>) -> Option<f32> {
        let (_, rival) = seen.runner_up?;
        let margin = match seen.similarity {
            // It would have been the other one.
            Some(own) => own - rival,
            // It would not have been new.
            None if seen.state == State::New => self.threshold - rival,
            None => return None,
        };
        margin.is_finite().then_some(margin)
    }
}

impl Person {
    fn new(seen: &Sighting<'_>, crops: usize) -> Self {
        let moment = Moment {
            stream: seen.stream_time,
            time: seen.time,
        };
        Self {
            new: seen.state == State::New,
            observations: 0,
            visits: 0,
            first: moment,
            last: moment,
            own: Similarities::default(),
            least: f32::INFINITY,
            sum: 0.0,
            rival: None,
            strip: Strip::new(crops),
            present: Presence::default(),
        }
    }

    fn add(&mut self, seen: &Sighting<'_>, margin: Option<f32>) {
        self.observations += 1;
        self.last = Moment {
            stream: seen.stream_time,
            time: seen.time,
        };
        self.present.add(seen.stream_time);
        if let Some(similarity) = seen.similarity
            && similarity.is_finite()
        {
            self.own.add(similarity);
            self.least = self.least.min(similarity);
            self.sum += f64::from(similarity);
        }
        if let (Some((name, similarity)), Some(margin)) = (seen.runner_up, margin)
            && self
                .rival
                .as_ref()
                .is_none_or(|rival| margin < rival.margin)
        {
            let rival = self.rival.get_or_insert_with(|| Rival {
                name: String::new(),
                similarity,
                margin,
            });
            rival.similarity = similarity;
            rival.margin = margin;
            rival.name.clear();
            rival.name.push_str(cut(name));
        }
    }

    fn row<'a>(&'a self, name: &'a str) -> PersonRow<'a> {
        let recognised = self.own.total();
        let mean = self.sum / recognised as f64;
        PersonRow {
            name,
            new: self.new,
            observations: self.observations,
            visits: self.visits,
            first: self.first,
            last: self.last,
            similarity: (recognised > 0).then_some([mean, self.least.into()]),
            closest: self.rival.as_ref(),
            crops: self.strip.thumbs(),
            similarities: self.own.histogram(),
            present: self.present.stretches(),
        }
    }
}

/// At most [`MAX_NAME`] letters.
fn cut(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_NAME);
    &name[..end.map_or(name.len(), |(end, _)| end)]
}

#[cfg(test)]
mod tests;
