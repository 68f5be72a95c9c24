//! Copies of a gallery: backup, restore, and re-embedding for another model.
//!
//! Every copy is written under a scratch name, synchronised and renamed, so that a kill leaves the old file or the new one. A copy has no dead pages. It
//! outlives the retention of the persons in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::{Access, discard};
use super::locks::{self, Holder};
use super::names::GalleryTag;
use super::state::GalleryState;
use super::storage::Storage;
use super::store::{CopyEdit, Stamp, Store};
use super::view::GalleryView;
use super::{Gallery, Origin, journal};
use crate::error::{Error, Result};

/// Result of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Number of identities.
    pub identities: usize,
    /// Number of exemplars.
    pub exemplars: usize,
    /// Where the old gallery is now, if there was one.
    pub replaced: Option<PathBuf>,
}

/// Result of [`Gallery::re_embed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReEmbedded {
    /// Number of identities that remain.
    pub identities: usize,
    /// Number of exemplars that remain.
    pub exemplars: usize,
    /// Number of exemplars that were removed because their crop was missing.
    pub missing: usize,
    /// Names of the identities that lost all exemplars.
    pub lost: Vec<String>,
}

impl Gallery {
    /// Writes a copy of the gallery to `to` and reads that to verify it. An existing file is replaced only with `force`.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is a file already or `to` is the gallery itself; [`Error::GalleryLinked`] or [`Error::GalleryInUse`] if the file may not be
    /// replaced; [`Error::GalleryStorage`]; errors of opening the copy.
    pub fn backup(&mut self, to: &Path, force: bool) -> Result<()> {
        self.backup_to(&Storage::at(to, Access::Create)?, force)
    }

    pub(super) fn backup_to(&mut self, to: &Storage, force: bool) -> Result<()> {
        self.reopen()?;
        self.flush()?;
        // What is replaced is locked: another program may have it open as a gallery.
        let mut _replaced = None;
        if let Storage::File(file) = to {
            if matches!(&self.storage, Storage::File(own) if own.real() == file.real()) {
                return Err(Error::Argument(format!(
                    "{} is the gallery itself: name another file",
                    file.given().display()
                )));
            }
            if force && file.size()?.is_some() {
                _replaced = Some(locks::open(file, Access::Read)?);
                file.refuse_links()?;
            }
        }
        let free = || refuse_existing(to, force);
        free()?;
        drop(self.store_mut()?.copy(to, &CopyEdit::default(), free)?);
        let copy = Self::load(to.clone(), None, Access::Read)?;
        let same = copy.state.stamp == self.state.stamp
            && copy.list().eq(self.list())
            && copy.state.journal == self.state.journal;
        if !same {
            let reason = "the copy differs from the gallery".to_owned();
            return Err(to.damaged(reason));
        }
        Ok(())
    }

    /// Puts a copy of the gallery `from` at `path`, after reading all of it. A gallery that was there is kept beside it, with `.before-restore` at the end of its name;
    /// if there is such a file already it is replaced only with `force`. The restored gallery gets a tag of its own, so that names that were generated after
    /// the backup, here or where it came from, are not generated again for others.
    ///
    /// # Errors
    /// [`Error::GalleryInUse`] and [`Error::NotAGallery`] for either file, [`Error::GalleryLinked`] for the one at `path`, other errors of opening `from`; a damaged
    /// gallery at `path` is no error.
    pub fn restore(path: &Path, from: &Path, force: bool) -> Result<Restored> {
        let source = GalleryView::inspect(from)?;
        let storage = Storage::at(path, Access::Create)?;
        let Storage::File(file) = &storage else {
            unreachable!("a path leads to a file")
        };
        // A run that has the gallery open would see other identities under the same numbers.
        let _holder = Holder::of(file)?;
        // Either holds the lock until the end.
        let (mut _old, mut _damaged) = (None, None);
        match Store::open(storage.clone(), Access::Change, None) {
            Ok((store, _)) => _old = Some(store),
            Err(Error::GalleryMissing { .. }) => (),
            Err(Error::GalleryDamaged { .. }) => {
                _damaged = Some(locks::open(file, Access::Change)?);
            }
            Err(error) => return Err(error),
        }
        let replaced = storage.size()?.map(|_| file.set_aside());
        if let Some(replaced) = &replaced {
            refuse_existing(&Storage::at(replaced, Access::Create)?, force)?;
        }
        let stamp = Stamp {
            tag: GalleryTag::random(),
            ..source.state.stamp.clone()
        };
        let edit = CopyEdit {
            stamp: Some(stamp),
            ..CopyEdit::default()
        };
        let Some(store) = &source.store else {
            return Err(storage.damaged("it was closed by an earlier failure".into()));
        };
        let mut is_set_aside = false;
        let copied = store.copy(&storage, &edit, || {
            let Some(replaced) = &replaced else {
                return refuse_existing(&storage, false);
            };
            discard(replaced)?;
            set_aside(file.real(), replaced)?;
            is_set_aside = true;
            // The second name has to outlast the first.
            file.sync_folder()
        });
        if copied.is_err()
            && is_set_aside
            && let Some(replaced) = &replaced
        {
            let undone = if storage.size()?.is_some() {
                discard(replaced)
            } else {
                fs::rename(replaced, file.real()).map_err(|e| storage.not_stored(e))
            };
            undone?;
        }
        copied?;
        Ok(Restored {
            identities: source.len(),
            exemplars: source.exemplars(),
            replaced,
        })
    }

    /// Makes this a gallery of another embedding space: `embed` is called with the origin of every exemplar and returns its new embedding of `dim` elements, or
    /// none if its crop is missing; then the exemplar is removed. An identity that loses all exemplars is removed too, but only with `may_lose`. The file is written
    /// anew in one step, at the end.
    ///
    /// # Errors
    /// [`Error::Argument`] if an identity would be lost without `may_lose`, or all; errors of `embed`; [`Error::Kernels`] if an embedding does not fit;
    /// [`Error::GalleryStorage`]. Then nothing has changed.
    pub fn re_embed(
        &mut self,
        space: &str,
        dim: usize,
        may_lose: bool,
        mut embed: impl FnMut(&Origin) -> Result<Option<Vec<f32>>>,
    ) -> Result<ReEmbedded> {
        let stamp = Stamp {
            tag: self.state.stamp.tag,
            ..Stamp::checked(space, dim)?
        };
        self.reopen()?;
        self.flush()?;
        let index = retrieval::scan::Index::new(dim)?;
        let mut embeddings = BTreeMap::new();
        let mut gone = BTreeSet::new();
        let mut lost = Vec::new();
        let identities: Vec<u64> = self.state.people.keys().copied().collect();
        for identity in identities {
            let before = embeddings.len();
            for (exemplar, origin) in self.store_mut()?.origins(identity)? {
                if let Some(embedding) = embed(&origin)? {
                    index.check(&embedding)?;
                    embeddings.insert((identity, exemplar), embedding);
                }
            }
            if embeddings.len() == before {
                gone.insert(identity);
                lost.push(self.state.people[&identity].record.name.clone());
            }
        }
        if !lost.is_empty() && (!may_lose || embeddings.is_empty()) {
            return Err(Error::Argument(format!(
                "no crop was found of {} of {} people, they would be lost: {}",
                lost.len(),
                self.len(),
                lost.join(", ")
            )));
        }
        let report = ReEmbedded {
            identities: self.len() - lost.len(),
            exemplars: embeddings.len(),
            missing: self.exemplars() - embeddings.len(),
            lost,
        };
        let edit = CopyEdit {
            struck: journal::about(&self.state.journal, &gone),
            gone,
            stamp: Some(stamp.clone()),
            embeddings: Some(embeddings),
        };
        let stored = self.store_mut()?.rewrite(&edit);
        self.note_failure(stored)?;
        let known = GalleryState::read(self.store_mut()?, stamp)?;
        self.state = known;
        Ok(report)
    }
}

fn refuse_existing(storage: &Storage, force: bool) -> Result<()> {
    if !force && storage.size()?.is_some() {
        return Err(Error::Argument(format!(
            "{} is there already: remove it, name another file, or use --force",
            storage.path().display()
        )));
    }
    Ok(())
}

/// Gives the file at `path` a second name, so that a rename over the first replaces it in one step. A file system without links moves it instead: a kill
/// before the new file is there then leaves it under the second name only.
fn set_aside(path: &Path, to: &Path) -> Result<()> {
    let moved = fs::hard_link(path, to).or_else(|error| match error.kind() {
        ErrorKind::NotFound => Err(error),
        _ => fs::rename(path, to),
    });
    moved.map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}
