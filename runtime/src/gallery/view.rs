//! A gallery that is only read: neither its file nor the folder of the file is written to, so both may be read-only.

use std::ops::Deref;
use std::path::Path;

use super::file::Access;
use super::store::Stamp;
use super::{Gallery, IdentitySummary, Origin};
use crate::error::Result;

/// A gallery that is open for reading. Several programs may read a gallery at a time, and none may change it meanwhile.
///
/// Its file keeps every byte and its times. What opening has to repair or to upgrade stays in memory.
#[derive(Debug)]
pub struct GalleryView(Gallery);

impl GalleryView {
    /// Reads the gallery at `path`, which holds embeddings of `dim` elements of the space `space`.
    ///
    /// # Errors
    /// As [`Gallery::create_or_open`] of a gallery that is there, without [`Error::GalleryLinked`](crate::Error::GalleryLinked).
    pub fn open(path: impl AsRef<Path>, space: &str, dim: usize) -> Result<Self> {
        let wanted = Stamp::checked(space, dim)?;
        Gallery::load_file(path.as_ref(), Some(wanted), Access::Read).map(Self)
    }

    /// Reads the gallery at `path`, whatever its space.
    ///
    /// # Errors
    /// As [`Gallery::inspect`], without [`Error::GalleryLinked`](crate::Error::GalleryLinked).
    pub fn inspect(path: impl AsRef<Path>) -> Result<Self> {
        Gallery::load_file(path.as_ref(), None, Access::Read).map(Self)
    }

    /// Closes the file, so that other programs can change it; what was read stays. For a program that goes on searching.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.0.store = None;
        self
    }

    /// See [`Gallery::show`].
    ///
    /// # Errors
    /// As [`Gallery::show`].
    pub fn show(&mut self, who: &str) -> Result<(IdentitySummary, Vec<Origin>)> {
        self.0.show(who)
    }

    /// See [`Gallery::backup`].
    ///
    /// # Errors
    /// As [`Gallery::backup`].
    pub fn backup(&mut self, to: &Path, force: bool) -> Result<()> {
        self.0.backup(to, force)
    }
}

/// All that can be asked of a gallery. What changes one cannot be called.
impl Deref for GalleryView {
    type Target = Gallery;

    fn deref(&self) -> &Gallery {
        &self.0
    }
}
