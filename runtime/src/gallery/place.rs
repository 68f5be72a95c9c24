//! Where a gallery lives: a path comes in, an open database or an error that says what to do comes out.
//!
//! Every open verifies the checksums of the whole file. redb would trust a file that was closed cleanly and open it in 2 to 12 ms, whatever its size; with the check
//! it takes 1.3 s for 100 000 exemplars of 512 dimensions (538 MB, busy two-core Xeon), and reading them takes 0.7 s either way. The check stays: memory cards
//! decay, and a wrong page of redb's own books would let it write over pages in use without anybody noticing. In 20 000 damaged files redb then never panicked; its documentation does not promise as much, so a panic
//! while reading is caught and reported as damage too.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, StorageError};
use serde::Deserialize;

#[cfg(test)]
use super::store::tests::Disk;
use crate::error::{Error, Result};

/// Memory that redb may use for pages. Everything is read once and then kept in the index, so a small cache does.
const CACHE_BYTES: usize = 16 << 20;

/// Where a gallery lives.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Nowhere: it ends with the process.
    Memory,
    File(PathBuf),
    #[cfg(test)]
    Disk(Disk),
}

impl Place {
    /// How messages call it.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Memory => "(in memory)".into(),
            #[cfg(test)]
            Self::Disk(_) => "(test disk)".into(),
        }
    }

    pub(super) fn open(&self, create: bool) -> Result<Database> {
        let mut builder = Database::builder();
        builder
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true);
        match self {
            Self::Memory => builder.create_with_backend(InMemoryBackend::new()),
            Self::File(path) if create => builder.create(path),
            Self::File(path) => builder.open(path),
            #[cfg(test)]
            Self::Disk(disk) => builder.create_with_backend(disk.opened()),
        }
        .map_err(|e| match self.cannot_open(e) {
            // What is to be made is not missed: its folder is.
            Error::GalleryMissing { path } if create => Error::Io {
                path,
                source: ErrorKind::NotFound.into(),
            },
            error => error,
        })
    }

    /// A new, empty database that is to take this one's place.
    pub(super) fn create_scratch(&self) -> Result<Database> {
        let place = match self {
            Self::Memory => Self::Memory,
            Self::File(path) => {
                let scratch = scratch(path);
                discard(&scratch)?;
                Self::File(scratch)
            }
            #[cfg(test)]
            Self::Disk(disk) => Self::Disk(disk.scratch()),
        };
        place.open(true).map_err(|e| match e {
            Error::Io { source, .. } => self.not_stored(source),
            other => other,
        })
    }

    /// Puts the scratch in this one's place, for good.
    pub(super) fn adopt_scratch(&self) -> Result<()> {
        match self {
            Self::Memory => Ok(()),
            Self::File(path) => {
                fs::rename(scratch(path), path).map_err(|e| self.not_stored(e))?;
                // The new name is durable once its directory is. Where a directory cannot be opened (Windows) the system sees to it.
                let directory = match path.parent() {
                    Some(parent) if parent != Path::new("") => parent,
                    _ => Path::new("."),
                };
                if let Ok(directory) = File::open(directory) {
                    directory.sync_all().map_err(|e| self.not_stored(e))?;
                }
                Ok(())
            }
            #[cfg(test)]
            Self::Disk(disk) => {
                disk.adopt_scratch();
                Ok(())
            }
        }
    }

    pub(super) fn parse<T: for<'a> Deserialize<'a>>(
        &self,
        json: &[u8],
        what: impl FnOnce() -> String,
    ) -> Result<T> {
        serde_json::from_slice(json).map_err(|e| self.damaged(format!("{}: {e}", what())))
    }

    fn cannot_open(&self, error: DatabaseError) -> Error {
        let path = self.path();
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Error::GalleryInUse { path }
            }
            DatabaseError::Storage(StorageError::Io(source)) => match source.kind() {
                ErrorKind::NotFound => Error::GalleryMissing { path },
                // What redb answers to another magic number, and to an empty file.
                ErrorKind::InvalidData => self.no_gallery(source.to_string()),
                ErrorKind::UnexpectedEof => self.damaged("it ends too early".into()),
                _ => Error::Io { path, source },
            },
            DatabaseError::UpgradeRequired(version) => {
                self.no_gallery(format!("it is a redb file of the old version {version}"))
            }
            other => self.damaged(other.to_string()),
        }
    }

    /// Runs what reads the file, and reports a panic as damage. What it was reading does not survive the unwinding.
    pub(super) fn guard<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message
                .or(panic.downcast_ref().copied())
                .unwrap_or_default();
            Err(self.damaged(format!("its pages contradict each other ({message})")))
        })
    }

    pub(super) fn torn(&self, error: impl Into<redb::Error>) -> Error {
        match error.into() {
            redb::Error::Io(source) => Error::Io {
                path: self.path(),
                source,
            },
            other => self.damaged(other.to_string()),
        }
    }

    pub(super) fn no_gallery(&self, reason: String) -> Error {
        let path = self.path();
        Error::NotAGallery { path, reason }
    }

    pub(super) fn damaged(&self, reason: String) -> Error {
        let path = self.path();
        Error::GalleryDamaged { path, reason }
    }

    pub(super) fn not_stored(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::GalleryStorage {
            path: self.path(),
            source: source.into(),
        }
    }
}

/// Where a gallery is rewritten before it takes the old one's place.
pub(super) fn scratch(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".rewrite");
    name.into()
}

pub(super) fn discard(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::Io {
            path: path.to_owned(),
            source: e,
        }),
        _ => Ok(()),
    }
}
