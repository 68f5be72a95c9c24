//! Identities with several exemplars each in one crash-safe file: embeddings come in, the most similar identities come out.
//!
//! A gallery belongs to one embedding space and refuses a model of another, because similarities between two spaces mean nothing. The file
//! (`gallery/store.rs`) is written first; memory holds what matching needs and changes afterwards, by the same steps. Named identities stay until
//! they are removed; the others leave by [`GalleryLimits::retention`] and [`GalleryLimits::max_identities`].

mod copies;
mod file;
mod journal;
mod limits;
mod locks;
mod lookup;
mod names;
mod overlay;
mod ranking;
mod record;
mod retention;
mod revision;
mod samples;
mod sharing;
mod state;
mod storage;
mod store;
mod view;
mod visits;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use retrieval::scan::MAX_DIM;
use serde::{Deserialize, Serialize};

pub use copies::{ReEmbedded, Restored};
pub use limits::GalleryLimits;
pub use lookup::Resemblance;
pub use names::{GalleryTag, new_name};
pub use retention::PruneRules;
pub use revision::{Change, Undone};
pub use samples::{Observed, Recorded, Sample};
pub use view::GalleryView;

use crate::error::{Error, Result};
use file::Access;
use locks::Holder;
use ranking::{Ranked, Ranking};
use record::Record;
use state::GalleryState;
use storage::Storage;
use store::{CopyEdit, Stamp, Store, StoreStep};

/// The most bytes that a name may have.
pub const MAX_NAME: usize = 200;

/// The most bytes that the name of an embedding space may have.
pub const MAX_SPACE: usize = 1024;

/// The most bytes that the source of an exemplar, or the path of its crop, may have.
pub const MAX_SOURCE: usize = 4096;

/// Identities and their exemplars.
///
/// New identities, exemplars and every change made by hand are on disk when the method returns; a kill or a power cut loses at most the change in
/// flight. Being seen again without a new exemplar changes only a time and a count of visits, which wait for the next change, at most
/// [`GalleryLimits::flush_after`].
///
/// Measured on a shared two-core Xeon with a virtual disk, 512 dimensions: an enrolment takes 4 ms, 8 new identities in one frame 7 ms; 100 000 exemplars
/// (461 MB) open in 1.2 s, and removing one of their identities takes 2.7 s, because the file is written anew.
///
/// # Example
/// ```
/// use runtime::gallery::{Gallery, Origin};
///
/// # fn main() -> runtime::Result<()> {
/// let mut gallery = Gallery::in_memory("example", 2)?;
/// let origin = Origin { source: "door".into(), frame: Some(7), time: 1_700_000_000_000, crop: None };
/// gallery.enroll("Ada", &[1.0, 0.0], &origin)?;
/// gallery.enroll("Bob", &[0.0, 1.0], &origin)?;
///
/// let found = gallery.search(&[0.6, 0.8])?.expect("the gallery is not empty");
/// assert_eq!((found.best.name, found.best.similarity), ("Bob", 0.8));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Gallery {
    /// `None` while the file is closed: after a change that could not be stored, or while it is lent. The next change opens it again.
    store: Option<Store>,
    storage: Storage,
    /// What a closed file is opened for again.
    access: Access,
    limits: GalleryLimits,
    state: GalleryState,
    /// Identities whose records are newer than the file's.
    unsaved: Vec<u64>,
    /// Since when, in milliseconds since 1970.
    unsaved_since: u64,
    /// Crops of exemplars that were removed.
    pending_deletions: Vec<String>,
    /// Crops that can be deleted once the change that is being planned has been stored.
    planned_deletions: Vec<String>,
    /// Identities that left since the last [`Gallery::expire`]: evicted, or removed by another program.
    departed: Vec<IdentitySummary>,
    /// The lock of a program that keeps the gallery open for long. The last field: it is released after the file.
    holder: Option<Holder>,
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
pub struct IdentitySummary {
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
        Self::load(Storage::Memory, Some(wanted), Access::Create)
    }

    /// Opens the gallery at `path` for embeddings of `dim` elements of the space `space`, or creates it if there is no file or an empty one, and locks it until it
    /// is dropped. [`GalleryView`] opens one to read it only.
    ///
    /// # Errors
    /// As [`Gallery::inspect`], without [`Error::GalleryMissing`]; [`Error::GallerySpace`] or [`Error::GalleryDimension`].
    pub fn create_or_open(path: impl Into<PathBuf>, space: &str, dim: usize) -> Result<Self> {
        let wanted = Stamp::checked(space, dim)?;
        Self::load_file(&path.into(), Some(wanted), Access::Create)
    }

    /// As [`Gallery::create_or_open`], for a program that keeps the gallery open for long: [`Gallery::expire`] lends the file to other programs that
    /// ask for it. A second such program is refused.
    ///
    /// # Errors
    /// As [`Gallery::create_or_open`].
    pub fn create_or_open_shared(path: impl AsRef<Path>, space: &str, dim: usize) -> Result<Self> {
        let wanted = Stamp::checked(space, dim)?;
        Self::load_held(path.as_ref(), Some(wanted), Access::Create)
    }

    /// Opens the gallery at `path`, whatever its space: for every change that needs no model.
    ///
    /// # Errors
    /// [`Error::GalleryMissing`], [`Error::GalleryInUse`], [`Error::GalleryLinked`], [`Error::NotAGallery`], [`Error::GalleryDamaged`], [`Error::GalleryTooNew`] or
    /// [`Error::Io`], each of which names the remedy.
    pub fn inspect(path: impl Into<PathBuf>) -> Result<Self> {
        Self::load_file(&path.into(), None, Access::Change)
    }

    /// As [`Gallery::inspect`], and refused while another program has the gallery open for long: for [`Gallery::re_embed`], after which the
    /// embeddings of that program mean nothing.
    ///
    /// # Errors
    /// As [`Gallery::inspect`].
    pub fn inspect_alone(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_held(path.as_ref(), None, Access::Change)
    }

    /// The same gallery with other limits. Identities that have more exemplars keep them until one is added.
    ///
    /// # Errors
    /// [`Error::Argument`] if a limit is out of its range.
    pub fn with_limits(mut self, limits: GalleryLimits) -> Result<Self> {
        limits.check()?;
        self.limits = limits;
        Ok(self)
    }

    /// The tag of the file, part of the names that it generates.
    #[must_use]
    pub fn tag(&self) -> GalleryTag {
        self.state.stamp.tag
    }

    /// The embedding space, as the model names it.
    #[must_use]
    pub fn space(&self) -> &str {
        &self.state.stamp.space
    }

    /// Dimension of the embeddings.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.state.stamp.dim
    }

    /// Number of identities.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.people.len()
    }

    /// Whether no person is enrolled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state.people.is_empty()
    }

    /// Number of exemplars of all identities.
    #[must_use]
    pub fn exemplars(&self) -> usize {
        self.state.index.len()
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
        let GalleryState { index, owners, .. } = &self.state;
        index.scan(embedding, |hit| {
            ranking.offer(owners[hit.row].0, hit.similarity)
        })?;
        let candidate = |ranked: &Ranked| Candidate {
            identity: ranked.identity,
            name: &self.state.people[&ranked.identity].record.name,
            similarity: ranked.similarity,
        };
        Ok(ranking.into_best().iter().map(candidate).collect())
    }

    /// Adds an exemplar to the identity called `name`, or enrols it if there is none, without a visit, and returns its number. Unlike an observation it is kept however similar it
    /// is to the others, in place of another if the identity is full.
    ///
    /// # Errors
    /// [`Error::Argument`] if no person has the name and it is empty, longer than [`MAX_NAME`] bytes, has characters that cannot be seen, begins or ends with a blank, or
    /// has the form of numbers or generated names; [`Error::Kernels`] if `embedding` does not fit; [`Error::GalleryStorage`].
    pub fn enroll(&mut self, name: &str, embedding: &[f32], origin: &Origin) -> Result<u64> {
        self.reopen()?;
        self.check_exemplar(embedding, origin)?;
        if let Some(identity) = self.named(name)? {
            let mut record = self.state.people[&identity].record.clone();
            record.last_seen = retention::seen_last(record.last_seen, origin.time);
            let steps = self.exemplar_steps(identity, record, embedding, origin)?;
            self.commit(steps)?;
            return Ok(identity);
        }
        let record = Record {
            visits: 0,
            ..Record::new(new_name(name)?, origin.time)
        };
        let identity = self.state.next_identity;
        self.commit(samples::enrolment(identity, record, embedding, origin))?;
        Ok(identity)
    }

    /// Removes an identity, called by name or by number, and every trace of it, in the journal too: the file is written anew without it, and nothing can
    /// undo that. The file system may keep the blocks of the old file until it uses them again; see `gallery/store.rs`. Crops are files of their own:
    /// [`Gallery::take_pending_deletions`] lists them.
    ///
    /// # Errors
    /// [`Error::UnknownIdentity`]; [`Error::GalleryStorage`], then nothing has changed.
    pub fn forget(&mut self, who: &str) -> Result<IdentitySummary> {
        self.reopen()?;
        let identity = self.find(who)?;
        let summary = self.state.summary(identity);
        self.erase([identity].into())?;
        Ok(summary)
    }

    /// All identities in the order of their numbers.
    pub fn list(&self) -> impl Iterator<Item = IdentitySummary> {
        self.state.people.keys().map(|&id| self.state.summary(id))
    }

    /// The name of an identity.
    #[must_use]
    pub fn name(&self, identity: u64) -> Option<&str> {
        let person = self.state.people.get(&identity)?;
        Some(&person.record.name)
    }

    /// The name that the next automatically enrolled identity gets.
    #[must_use]
    pub fn next_name(&self) -> String {
        self.tag().name(self.state.next_identity)
    }

    /// An identity, called by name or by number, and where its exemplars come from.
    ///
    /// # Errors
    /// [`Error::UnknownIdentity`]; [`Error::GalleryDamaged`].
    pub fn show(&mut self, who: &str) -> Result<(IdentitySummary, Vec<Origin>)> {
        self.reopen()?;
        let identity = self.find(who)?;
        let origins = self.store_mut()?.origins(identity)?;
        let origins = origins.into_iter().map(|(_, origin)| origin).collect();
        Ok((self.state.summary(identity), origins))
    }

    /// The crops, as their [`Origin`]s name them, of exemplars that were removed since the last call, for the program that keeps crops to delete. A kill in
    /// between loses the list.
    #[must_use]
    pub fn take_pending_deletions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.pending_deletions)
    }

    /// Writes the times and visits that wait for it to disk. Dropping the gallery does so too, but cannot report a failure.
    ///
    /// # Errors
    /// [`Error::GalleryStorage`], then they go on waiting.
    pub fn flush(&mut self) -> Result<()> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        self.reopen()?;
        self.commit(Vec::new())
    }
}

impl Drop for Gallery {
    fn drop(&mut self) {
        // A failure cannot be reported, and at most the times of the last second are lost.
        let _ = self.flush();
    }
}

/// How changes reach the file and then memory.
impl Gallery {
    fn load_file(path: &Path, wanted: Option<Stamp>, access: Access) -> Result<Self> {
        Self::load(Storage::at(path, access)?, wanted, access)
    }

    /// As [`Self::load_file`], with the lock of a program that keeps the gallery open for long.
    fn load_held(path: &Path, wanted: Option<Stamp>, access: Access) -> Result<Self> {
        let storage = Storage::at(path, access)?;
        let holder = storage.file().map(Holder::of).transpose()?;
        let mut gallery = Self::load(storage, wanted, access)?;
        gallery.holder = holder;
        Ok(gallery)
    }

    fn load(storage: Storage, wanted: Option<Stamp>, access: Access) -> Result<Self> {
        let (store, state) = GalleryState::load(storage.clone(), wanted.as_ref(), access)?;
        Ok(Self {
            store: Some(store),
            storage,
            access: match access {
                Access::Create => Access::Change,
                access => access,
            },
            limits: GalleryLimits::default(),
            state,
            unsaved: Vec::new(),
            unsaved_since: 0,
            pending_deletions: Vec::new(),
            planned_deletions: Vec::new(),
            departed: Vec::new(),
            holder: None,
        })
    }

    /// Every change begins here. Opens the file again if it is closed, and returns the state that memory had before: the file decides, because a failing disk
    /// does not always report what it has written, and another program may have changed a file that was lent. Times and visits that were not stored yet are kept.
    fn reopen(&mut self) -> Result<Option<GalleryState>> {
        self.planned_deletions.clear();
        if self.store.is_some() {
            return Ok(None);
        }
        let wanted = Some(&self.state.stamp);
        let (store, state) = GalleryState::load(self.storage.clone(), wanted, self.access)?;
        self.store = Some(store);
        let before = std::mem::replace(&mut self.state, state);
        self.unsaved.retain(|id| self.state.people.contains_key(id));
        for id in &self.unsaved {
            let Record {
                last_seen, visits, ..
            } = before.people[id].record;
            self.state.touch(*id, last_seen, visits);
        }
        Ok(Some(before))
    }

    fn store_mut(&mut self) -> Result<&mut Store> {
        self.store.as_mut().ok_or_else(|| {
            self.storage
                .damaged("it was closed by an earlier failure".into())
        })
    }

    /// Carries out a change, together with the records that waited for one: in the file, then in memory.
    fn commit(&mut self, steps: Vec<StoreStep<'_>>) -> Result<()> {
        let waited = self
            .unsaved
            .iter()
            .map(|&id| StoreStep::Record(id, self.state.people[&id].record.clone()));
        let steps: Vec<StoreStep<'_>> = waited.chain(steps).collect();
        let stored = self.store_mut()?.apply(&steps);
        self.note_failure(stored)?;
        self.unsaved.clear();
        self.follow(steps)
    }

    /// Removes identities, and every trace of them, by writing the file anew.
    fn erase(&mut self, gone: BTreeSet<u64>) -> Result<()> {
        self.flush()?;
        for &identity in &gone {
            self.plan_deletions(identity, |_| true)?;
        }
        let steps = self.departure(&gone);
        let edit = CopyEdit {
            struck: journal::about(&self.state.journal, &gone),
            gone,
            ..CopyEdit::default()
        };
        let stored = self.store_mut()?.rewrite(&edit);
        self.note_failure(stored)?;
        self.state.dead = None;
        self.follow(steps)
    }

    /// Carries out in memory what the file has carried out.
    fn follow(&mut self, steps: Vec<StoreStep<'_>>) -> Result<()> {
        self.pending_deletions.append(&mut self.planned_deletions);
        steps.into_iter().try_for_each(|step| self.state.take(step))
    }

    /// redb refuses further work after a failed write, so the file has to be opened again.
    fn note_failure(&mut self, stored: Result<()>) -> Result<()> {
        if stored.is_err() && !matches!(self.storage, Storage::Memory) {
            self.store = None;
        }
        stored
    }

    /// Refuses an exemplar that does not fit.
    fn check_exemplar(&self, embedding: &[f32], origin: &Origin) -> Result<()> {
        self.state.index.check(embedding)?;
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
    ) -> Result<Vec<StoreStep<'a>>> {
        let room = self.limits.max_exemplars - 1;
        let has = self.state.people[&identity].rows.len();
        let replaced = self
            .state
            .most_redundant(identity, has.saturating_sub(room));
        if !replaced.is_empty() {
            self.plan_deletions(identity, |exemplar| {
                replaced.contains(&(identity, exemplar))
            })?;
        }
        let exemplar = record.next_exemplar;
        record.next_exemplar = exemplar.saturating_add(1);
        let mut steps: Vec<StoreStep<'_>> = replaced.into_iter().map(StoreStep::Remove).collect();
        steps.push(StoreStep::Record(identity, record));
        steps.push(StoreStep::Add((identity, exemplar), origin, embedding));
        Ok(steps)
    }

    /// Notes the crops of those exemplars of an identity whose numbers are `wanted`.
    fn plan_deletions(&mut self, identity: u64, wanted: impl Fn(u64) -> bool) -> Result<()> {
        let origins = self.store_mut()?.origins(identity)?.into_iter();
        let wanted = origins.filter(|(exemplar, _)| wanted(*exemplar));
        self.planned_deletions
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
            tag: GalleryTag::random(),
        })
    }
}

#[cfg(test)]
mod tests;
