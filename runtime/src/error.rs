//! The error of the library: one variant for each thing that a caller can do about a failure.

use std::path::PathBuf;

/// Everything that can go wrong in this library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read or written: check the path, the permissions, the disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file in question.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },

    /// An embedding, a model or a dimension was refused further down.
    #[error(transparent)]
    Kernels(#[from] network::Error),

    /// A source cannot be opened or read on.
    #[error(transparent)]
    Source(#[from] media::Error),

    /// Boxes cannot be opened or read.
    #[error(transparent)]
    People(#[from] crate::people::Error),

    /// A page, a video or a crop cannot be written.
    #[error(transparent)]
    Show(#[from] crate::show::Error),

    /// The requested device cannot compute: request another one.
    #[error("cannot compute on {device}: {reason}")]
    Device {
        /// The requested device.
        device: &'static str,
        /// Why not, and what would work.
        reason: String,
    },

    /// The network does not run, or its output is no embedding.
    #[error("embedding: {reason}")]
    Embed {
        /// What was wrong.
        reason: String,
    },

    /// Output lines cannot be written: the disk is full, or the reader is closed.
    #[error("writing observations: {source}")]
    Sink {
        /// Error of the system.
        source: std::io::Error,
    },

    /// An argument outside of its documented range.
    #[error("{0}")]
    Argument(String),

    /// There is no gallery at the path: check it, or enroll a person to create one.
    #[error("no gallery at {}: check the path, or create one by enrolling a person", path.display())]
    GalleryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },

    /// Another program, or another part of this one, has the gallery open and does not lend it: stop it first.
    #[error("gallery {} is in use by another process: stop that one first", path.display())]
    GalleryInUse {
        /// The gallery.
        path: PathBuf,
    },

    /// The file has several names: a rewrite would replace one of them, and removed persons would stay in the others.
    #[error(
        "gallery {} has {links} names (hard links): a removed person would stay in the file under the other names; delete these, or copy the gallery with 'reid gallery backup' and use the copy",
        path.display()
    )]
    GalleryLinked {
        /// The gallery.
        path: PathBuf,
        /// How many names the file has.
        links: u64,
    },

    /// The file is no gallery: check the path.
    #[error("{} is no gallery: {reason}", path.display())]
    NotAGallery {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },

    /// The file was a gallery once: restore a copy.
    #[error("gallery {} is damaged: {reason}; restore a copy of it", path.display())]
    GalleryDamaged {
        /// The gallery.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The gallery was written by a newer version of this program: update.
    #[error("gallery {} has format {found}, this program reads up to {supported}: update it", path.display())]
    GalleryTooNew {
        /// The gallery.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is understood.
        supported: u32,
    },

    /// The gallery's embeddings come from another model, and cannot be compared with this model's.
    #[error(
        "gallery {} holds embeddings of space '{found}', the model makes '{wanted}': use the model that the gallery was made with, or enrol into a new gallery",
        path.display()
    )]
    GallerySpace {
        /// The gallery.
        path: PathBuf,
        /// The space that the gallery is stamped with.
        found: String,
        /// The space of the model.
        wanted: String,
    },

    /// The gallery's embeddings have another dimension than the model's.
    #[error(
        "gallery {} holds embeddings of {found} dimensions, the model makes {wanted}: use the model that the gallery was made with, or enrol into a new gallery",
        path.display()
    )]
    GalleryDimension {
        /// The gallery.
        path: PathBuf,
        /// Dimension in the gallery.
        found: usize,
        /// Dimension that the model makes.
        wanted: usize,
    },

    /// A change could not be stored, because the disk is full or failing. What was stored before is untouched, and the same call may be tried again.
    #[error("gallery {}: the change was not stored: {source}", path.display())]
    GalleryStorage {
        /// The gallery.
        path: PathBuf,
        /// Error of the storage.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// No person of that name or number is in the gallery.
    #[error("no person called '{who}' is in gallery {}", path.display())]
    UnknownIdentity {
        /// The gallery.
        path: PathBuf,
        /// The name or number that was asked for.
        who: String,
    },
}

/// [`std::result::Result`] with this library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(feature = "tract")]
impl Error {
    /// An error of tract: it has no types that a caller could act on.
    pub(crate) fn tract(error: tract_onnx::prelude::TractError) -> Self {
        Self::Embed {
            reason: format!("tract: {error:#}"),
        }
    }
}
