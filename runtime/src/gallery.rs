//! Identities with several exemplars each, in one crash-safe file: embeddings come in, who they most resemble comes out.
//!
//! A gallery belongs to one embedding space: it is stamped with the model's `space` and dimension, and a model of another space is refused, because similarities
//! between two spaces look like numbers and mean nothing. The file (`gallery/store.rs`) is the truth. Memory holds what matching needs, an exact
//! [`scan::Index`](retrieval::scan) and the identities' records, and changes after the file has, by the same steps.
//!
//! The best exemplar of an identity speaks for it. A person who is seen every day must not fill the disk, so [`Gallery::observe`] keeps what adds something, and
//! at most [`Limits::max_exemplars`]. Whom nobody has named goes when they have not been seen for [`Limits::retention`], or when there are more than
//! [`Limits::max_identities`] of them; `gallery/retention.rs` says what that promises. Whom somebody has named stays until they are forgotten.
//!
//! # What is durable when
//! Births, exemplars and everything that is done by hand are on disk when the method returns, and a kill or a power cut loses at most the change in flight. Being
//! seen again without a new exemplar changes two numbers, the time and the count of visits; they wait for the next durable change, at most
//! [`Limits::flush_after`] by the times that the caller gives, so that a crowd does not cost a disk write a frame. A kill loses those of the last second.
//!
//! Measured on a shared two-core Xeon with a virtual disk, 512 dimensions: a durable enrolment takes 4 ms, 8 births in one frame 7 ms; being seen 25 times a second
//! takes 0.2 ms a time, nearly all of it the one write a second, and finding that nobody is due to expire 0.4 µs. 100 000 exemplars (461 MB) open in 1.2 s, half of it
//! checksums, and forgetting one of their identities takes 2.7 s, because the file is written anew.

mod copies;
#[cfg(test)]
mod disk;
mod file;
mod journal;
mod known;
mod limits;
mod lookup;
mod names;
mod overlay;
mod place;
mod ranking;
mod record;
mod retention;
mod revision;
mod sighting;
mod store;
mod view;

use std::path::{Path, PathBuf};

use retrieval::scan::MAX_DIM;
use serde::{Deserialize, Serialize};

pub use copies::{ReEmbedded, Restored};
pub use limits::Limits;
pub use lookup::Resemblance;
pub use names::{Device, new_name};
pub use retention::Prune;
pub use revision::{Change, Undone};
pub use sighting::{Observed, Recorded, Sighting};
pub use view::GalleryView;

use crate::error::{Error, Result};
use file::Access;
use known::Known;
use place::Place;
use ranking::{Ranked, Ranking};
use record::Record;
use store::{Edit, Stamp, Step, Store};

/// The most bytes that a name may have.
pub const MAX_NAME: usize = 200;

/// The most bytes that the name of an embedding space may have.
pub const MAX_SPACE: usize = 1024;

/// The most bytes that the source of an exemplar, or the path of its crop, may have.
pub const MAX_SOURCE: usize = 4096;

/// Identities and their exemplars.
#[derive(Debug)]
pub struct Gallery {
    /// `None` after a change that could not be stored: the next one opens the file again.
    store: Option<Store>,
    place: Place,
    limits: Limits,
    known: Known,
    /// Whose records are newer than the file's.
    unsaved: Vec<u64>,
    /// Since when, in milliseconds since 1970.
    unsaved_since: u64,
    /// Crops of exemplars that have gone.
    stale_crops: Vec<String>,
    /// Crops that are stale once the change that is being planned has been stored.
    doomed_crops: Vec<String>,
    /// Who made room for others since the last [`Gallery::expire`].
    evicted: Vec<Summary>,
}

/// Where an exemplar comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Camera, file or address, at most [`MAX_SOURCE`] bytes.
    pub source: String,
    /// Number of the frame in the source, if it has frames.
    pub frame: Option<u64>,
    /// Milliseconds since 1970.
    pub time: u64,
    /// The image that the embedding was computed from, if it was kept: its path, relative to the folder of crops, at most [`MAX_SOURCE`] bytes.
    #[serde(default)]
    pub crop: Option<String>,
}

/// An identity that resembles an embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate<'g> {
    /// Its number, never given to another.
    pub identity: u64,
    /// Its name.
    pub name: &'g str,
    /// Cosine similarity of its best exemplar, -1..=1.
    pub similarity: f32,
}

/// The answer to "who is this?". Whether it is similar enough is for the caller to decide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match<'g> {
    /// The most similar identity.
    pub best: Candidate<'g>,
    /// The most similar other identity; an answer that it nearly shares is doubtful.
    pub runner_up: Option<Candidate<'g>>,
}

/// An identity at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its number.
    pub identity: u64,
    /// Its name.
    pub name: String,
    /// Names that lead to it too, of identities that were merged into it.
    pub aliases: Vec<String>,
    /// Number of exemplars.
    pub exemplars: usize,
    /// Number of visits.
    pub visits: u64,
    /// When it was enrolled, in milliseconds since 1970.
    pub enrolled: u64,
    /// When it was last seen, in milliseconds since 1970.
    pub last_seen: u64,
}

impl Gallery {
    /// A gallery that ends with the process.
    ///
    /// # Errors
    /// [`Error::Argument`] or [`Error::Kernels`] if `space` is empty or `dim` out of range.
    pub fn in_memory(space: &str, dim: usize) -> Result<Self> {
        let wanted = Stamp::checked(space, dim)?;
        Self::load(Place::Memory, Some(wanted), Access::Create)
    }

    /// Opens the gallery at `path` for embeddings of `dim` elements of the space `space`, or creates it if there is no file or an empty one.
    ///
    /// # Errors
    /// As [`Gallery::open`], without [`Error::GalleryMissing`].
    pub fn create_or_open(path: impl Into<PathBuf>, space: &str, dim: usize) -> Result<Self> {
        let wanted = Stamp::checked(space, dim)?;
        Self::load_file(&path.into(), Some(wanted), Access::Create)
    }

    /// Opens the gallery at `path` for embeddings of `dim` elements of the space `space`, and locks it until it is dropped. [`GalleryView`] opens one to read it only.
    ///
    /// # Errors
    /// [`Error::GalleryMissing`], [`Error::GalleryInUse`], [`Error::GalleryLinked`], [`Error::NotAGallery`], [`Error::GalleryDamaged`], [`Error::GalleryTooNew`], [`Error::GallerySpace`],
    /// [`Error::GalleryDimension`] or [`Error::Io`], each of which says what to do.
    pub fn open(path: impl Into<PathBuf>, space: &str, dim: usize) -> Result<Self> {
        let wanted = Stamp::checked(space, dim)?;
        Self::load_file(&path.into(), Some(wanted), Access::Change)
    }

    /// Opens the gallery at `path`, whatever its space: for every change that needs no model.
    ///
    /// # Errors
    /// As [`Gallery::open`], without those about space and dimension.
    pub fn inspect(path: impl Into<PathBuf>) -> Result<Self> {
        Self::load_file(&path.into(), None, Access::Change)
    }

    /// The same gallery with other limits. Identities that have more exemplars keep them until one is added.
    ///
    /// # Errors
    /// [`Error::Argument`] if a limit is out of its range.
    pub fn with_limits(mut self, limits: Limits) -> Result<Self> {
        limits.check()?;
        self.limits = limits;
        Ok(self)
    }

    /// The same gallery with another tag, for tests that want to know the names that it generates.
    ///
    /// # Errors
    /// [`Error::GalleryStorage`].
    pub fn with_device(mut self, device: Device) -> Result<Self> {
        self.reopen()?;
        let stamp = Stamp {
            device,
            ..self.known.stamp.clone()
        };
        let stored = self.store_mut()?.restamp(&stamp);
        self.note_failure(stored)?;
        self.known.stamp = stamp;
        Ok(self)
    }

    /// The tag of the file, part of the names that it generates.
    #[must_use]
    pub fn device(&self) -> Device {
        self.known.stamp.device
    }

    /// The embedding space, as the model names it.
    #[must_use]
    pub fn space(&self) -> &str {
        &self.known.stamp.space
    }

    /// Dimension of the embeddings.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.known.stamp.dim
    }

    /// Number of identities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.people.len()
    }

    /// Whether nobody is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.people.is_empty()
    }

    /// Number of exemplars of all identities.
    #[must_use]
    pub fn exemplars(&self) -> usize {
        self.known.index.len()
    }

    /// Who resembles `embedding` most, and who comes next; `None` if the gallery is empty.
    ///
    /// # Errors
    /// [`Error::Kernels`] if `embedding` has another dimension or is not of unit length.
    pub fn search(&self, embedding: &[f32]) -> Result<Option<Match<'_>>> {
        let [best, runner_up] = {
            let mut top = self.top::<2>(embedding)?.into_iter();
            [top.next(), top.next()]
        };
        Ok(best.map(|best| Match { best, runner_up }))
    }

    /// The `K` identities that resemble `embedding` most, best first, ties in the order of their numbers.
    ///
    /// # Errors
    /// As [`Gallery::search`].
    pub fn top<const K: usize>(
        &self,
        embedding: &[f32],
    ) -> Result<heapless::Vec<Candidate<'_>, K>> {
        let mut ranking = Ranking::<K>::new();
        let Known { index, owners, .. } = &self.known;
        index.scan(embedding, |hit| {
            ranking.offer(owners[hit.row].0, hit.similarity)
        })?;
        let candidate = |ranked: &Ranked| Candidate {
            identity: ranked.identity,
            name: &self.known.people[&ranked.identity].record.name,
            similarity: ranked.similarity,
        };
        Ok(ranking.into_best().iter().map(candidate).collect())
    }

    /// Adds an exemplar to the identity called `name`, or enrols it if there is none, and returns its number. Unlike an observation it is kept however similar it
    /// is to the others, in place of another if the identity is full.
    ///
    /// # Errors
    /// [`Error::Argument`] if no person has the name and it is empty, longer than [`MAX_NAME`] bytes, has characters that cannot be seen, begins or ends with a blank, or
    /// has the form of numbers or generated names; [`Error::Kernels`] if `embedding` does not fit; [`Error::GalleryStorage`].
    pub fn enroll(&mut self, name: &str, embedding: &[f32], origin: &Origin) -> Result<u64> {
        self.reopen()?;
        self.check_exemplar(embedding, origin)?;
        if let Some(identity) = self.named(name)? {
            let mut record = self.known.people[&identity].record.clone();
            record.last_seen = retention::seen_last(record.last_seen, origin.time);
            let steps = self.exemplar_steps(identity, record, embedding, origin)?;
            self.commit(steps)?;
            return Ok(identity);
        }
        let record = Record::new(new_name(name)?, origin.time);
        let identity = self.known.next_identity;
        self.commit(sighting::birth(identity, record, embedding, origin))?;
        Ok(identity)
    }

    /// Enrols somebody unknown, and returns the number and the generated name, as `person-7f3a91c2-000001`. Numbers and generated names are never used twice. If there
    /// are [`Limits::max_identities`] already, whoever of them was seen longest ago goes.
    ///
    /// # Errors
    /// As [`Gallery::record`].
    pub fn new_identity(&mut self, embedding: &[f32], origin: &Origin) -> Result<(u64, &str)> {
        let Recorded { identity, .. } = self.record_one(&Sighting {
            identity: None,
            embedding,
            origin,
        })?;
        Ok((identity, &self.known.people[&identity].record.name))
    }

    /// Notes that an identity was seen, and keeps the embedding as an exemplar if it differs from those that it has by [`Limits::novelty`].
    ///
    /// # Errors
    /// As [`Gallery::record`].
    pub fn observe(
        &mut self,
        identity: u64,
        embedding: &[f32],
        origin: &Origin,
    ) -> Result<Observed> {
        let recorded = self.record_one(&Sighting {
            identity: Some(identity),
            embedding,
            origin,
        })?;
        Ok(recorded.observed)
    }

    /// Removes an identity, called by name or by number, and every trace of it, in the journal too: the file is written anew without it, and nothing can undo that.
    /// The file system may keep the blocks of the old file until it uses them again; see `gallery/store.rs`. Crops are files of their own:
    /// [`Gallery::take_stale_crops`] says which.
    ///
    /// # Errors
    /// [`Error::UnknownIdentity`]; [`Error::GalleryStorage`], then nothing has changed.
    pub fn forget(&mut self, who: &str) -> Result<Summary> {
        self.reopen()?;
        let identity = self.find(who)?;
        let summary = self.known.summary(identity);
        self.erase([identity].into())?;
        Ok(summary)
    }

    /// All identities in the order of their numbers.
    pub fn list(&self) -> impl Iterator<Item = Summary> {
        self.known.people.keys().map(|&id| self.known.summary(id))
    }

    /// The name of an identity.
    #[must_use]
    pub fn name(&self, identity: u64) -> Option<&str> {
        let person = self.known.people.get(&identity)?;
        Some(&person.record.name)
    }

    /// The name that the next identity gets if nobody names it.
    #[must_use]
    pub fn next_name(&self) -> String {
        let Known {
            stamp,
            next_identity,
            ..
        } = &self.known;
        stamp.device.name(*next_identity)
    }

    /// An identity, called by name or by number, and where its exemplars come from.
    ///
    /// # Errors
    /// [`Error::UnknownIdentity`]; [`Error::GalleryDamaged`].
    pub fn show(&mut self, who: &str) -> Result<(Summary, Vec<Origin>)> {
        self.reopen()?;
        let identity = self.find(who)?;
        let origins = self.store_mut()?.origins(identity)?;
        let origins = origins.into_iter().map(|(_, origin)| origin).collect();
        Ok((self.known.summary(identity), origins))
    }

    /// The crops, as their [`Origin`]s name them, of exemplars that have gone since the last call: whoever keeps crops deletes them. A kill in between loses the list.
    #[must_use]
    pub fn take_stale_crops(&mut self) -> Vec<String> {
        std::mem::take(&mut self.stale_crops)
    }

    /// Makes the times and visits durable that wait for it. Dropping the gallery does so too, but cannot say that it failed.
    ///
    /// # Errors
    /// [`Error::GalleryStorage`], then they wait on.
    pub fn flush(&mut self) -> Result<()> {
        self.reopen()?;
        if self.unsaved.is_empty() {
            return Ok(());
        }
        self.commit(Vec::new())
    }
}

impl Drop for Gallery {
    fn drop(&mut self) {
        // Nobody can be told, and at most the times of the last second are lost.
        let _ = self.flush();
    }
}

/// How changes reach the file and then memory.
impl Gallery {
    fn load_file(path: &Path, wanted: Option<Stamp>, access: Access) -> Result<Self> {
        Self::load(Place::at(path, access)?, wanted, access)
    }

    fn load(place: Place, wanted: Option<Stamp>, access: Access) -> Result<Self> {
        let (store, known) = Known::load(place.clone(), wanted.as_ref(), access)?;
        Ok(Self {
            store: Some(store),
            place,
            limits: Limits::default(),
            known,
            unsaved: Vec::new(),
            unsaved_since: 0,
            stale_crops: Vec::new(),
            doomed_crops: Vec::new(),
            evicted: Vec::new(),
        })
    }

    /// Every change begins here. After one that could not be stored, opens the file again and believes what it says: a failing disk does not always know whether it has written. Only the
    /// times and visits that the file was never told are kept.
    fn reopen(&mut self) -> Result<()> {
        self.doomed_crops.clear();
        if self.store.is_none() {
            let wanted = Some(&self.known.stamp);
            let (store, known) = Known::load(self.place.clone(), wanted, Access::Change)?;
            self.store = Some(store);
            let before = std::mem::replace(&mut self.known, known);
            self.unsaved.retain(|id| self.known.people.contains_key(id));
            for id in &self.unsaved {
                let Record {
                    last_seen, visits, ..
                } = before.people[id].record;
                self.known.touch(*id, last_seen, visits);
            }
        }
        Ok(())
    }

    fn store_mut(&mut self) -> Result<&mut Store> {
        self.store.as_mut().ok_or_else(|| {
            self.place
                .damaged("it was closed by an earlier failure".into())
        })
    }

    /// Carries out a change, together with the records that waited for one: in the file, then in memory.
    fn commit(&mut self, steps: Vec<Step<'_>>) -> Result<()> {
        let waited = self
            .unsaved
            .iter()
            .map(|&id| Step::Record(id, self.known.people[&id].record.clone()));
        let steps: Vec<Step<'_>> = waited.chain(steps).collect();
        let stored = self.store_mut()?.apply(&steps);
        self.note_failure(stored)?;
        self.unsaved.clear();
        self.stale_crops.append(&mut self.doomed_crops);
        for step in steps {
            self.known.take(step)?;
        }
        Ok(())
    }

    /// Removes identities, and every trace of them, by writing the file anew.
    fn erase(&mut self, gone: std::collections::BTreeSet<u64>) -> Result<()> {
        self.flush()?;
        for &identity in &gone {
            self.doom_crops(identity, |_| true)?;
        }
        let steps = self.departure(&gone);
        let edit = Edit {
            struck: journal::about(&self.known.journal, &gone),
            gone,
            ..Edit::default()
        };
        let stored = self.store_mut()?.rewrite(&edit);
        self.note_failure(stored)?;
        self.known.dead = None;
        self.stale_crops.append(&mut self.doomed_crops);
        for step in steps {
            self.known.take(step)?;
        }
        Ok(())
    }

    /// redb refuses further work after a failed write, so the file has to be opened again.
    fn note_failure(&mut self, stored: Result<()>) -> Result<()> {
        if stored.is_err() && !matches!(self.place, Place::Memory) {
            self.store = None;
        }
        stored
    }

    /// Refuses an exemplar that does not fit.
    fn check_exemplar(&self, embedding: &[f32], origin: &Origin) -> Result<()> {
        self.known.index.check(embedding)?;
        let crop = origin.crop.as_deref().unwrap_or_default();
        for (what, text) in [("source", &*origin.source), ("crop", crop)] {
            if text.len() > MAX_SOURCE {
                return Err(Error::Argument(format!(
                    "the {what} of an exemplar has {} bytes, the limit is {MAX_SOURCE}",
                    text.len()
                )));
            }
        }
        Ok(())
    }

    /// What adds an exemplar to an identity that is there, in place of the most redundant ones if there is no room.
    fn exemplar_steps<'a>(
        &mut self,
        identity: u64,
        mut record: Record,
        embedding: &'a [f32],
        origin: &'a Origin,
    ) -> Result<Vec<Step<'a>>> {
        let room = self.limits.max_exemplars - 1;
        let has = self.known.people[&identity].rows.len();
        let replaced = self
            .known
            .most_redundant(identity, has.saturating_sub(room));
        if !replaced.is_empty() {
            self.doom_crops(identity, |exemplar| {
                replaced.contains(&(identity, exemplar))
            })?;
        }
        let exemplar = record.next_exemplar;
        record.next_exemplar = exemplar.saturating_add(1);
        let mut steps: Vec<Step<'_>> = replaced.into_iter().map(Step::Remove).collect();
        steps.push(Step::Record(identity, record));
        steps.push(Step::Add((identity, exemplar), origin, embedding));
        Ok(steps)
    }

    /// Notes the crops of those exemplars of an identity whose numbers are `wanted`.
    fn doom_crops(&mut self, identity: u64, wanted: impl Fn(u64) -> bool) -> Result<()> {
        let origins = self.store_mut()?.origins(identity)?.into_iter();
        let wanted = origins.filter(|(exemplar, _)| wanted(*exemplar));
        self.doomed_crops
            .extend(wanted.filter_map(|(_, origin)| origin.crop));
        Ok(())
    }
}

impl Stamp {
    fn checked(space: &str, dim: usize) -> Result<Self> {
        if space.is_empty() || space.len() > MAX_SPACE {
            return Err(Error::Argument(format!(
                "the name of an embedding space has {} bytes, wanted 1 to {MAX_SPACE}",
                space.len()
            )));
        }
        if !(1..=MAX_DIM).contains(&dim) {
            return Err(Error::Argument(format!(
                "embeddings have {dim} dimensions, wanted 1 to {MAX_DIM}"
            )));
        }
        Ok(Self {
            space: space.to_owned(),
            dim,
            device: Device::random(),
        })
    }
}

#[cfg(test)]
mod tests;
