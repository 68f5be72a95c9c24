//! The file of a gallery: found once, locked, created and replaced in one step.
//!
//! A path comes in; a locked storage for redb comes out. Symbolic links are followed when the path is resolved, so that a rewrite replaces the file and not the
//! link to it. A new file is written under a scratch name beside the gallery, synchronised, renamed, and the folder is synchronised: a kill or a power cut
//! leaves the old file or the new one. A program that writes to the scratch file holds its lock.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::error::{Error, Result};

/// Linux follows as many links in one path.
const MOST_LINKS: usize = 40;

/// A file that is replaced between opening and locking is opened again so many times.
const TRIES: usize = 100;

/// Bytes of a file that a lock covers.
pub(super) type LockRange = (Bound<u64>, Bound<u64>);

const WHOLE: LockRange = (Bound::Unbounded, Bound::Unbounded);

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing is written to the file. Others may read it too.
    Read,
    /// No other program has the file open.
    Change,
    /// As [`Access::Change`]. A file that is missing is created.
    Create,
}

/// Where the file of a gallery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GalleryFile {
    /// The path as the caller gave it: messages name it.
    given: PathBuf,
    /// The path without symbolic links.
    real: PathBuf,
}

impl GalleryFile {
    /// Follows the symbolic links of a path. Its last part need not exist.
    pub(super) fn at(given: &Path) -> io::Result<Self> {
        let mut path = given.to_owned();
        for _ in 0..MOST_LINKS {
            if let Ok(target) = fs::read_link(&path) {
                path = folder(&path).join(target);
                continue;
            }
            let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
            let real = fs::canonicalize(folder(&path))?.join(name);
            let given = given.to_owned();
            return Ok(Self { given, real });
        }
        Err(io::Error::other("too many symbolic links"))
    }

    pub(super) fn given(&self) -> &Path {
        &self.given
    }

    pub(super) fn real(&self) -> &Path {
        &self.real
    }

    /// Where the file is written before it takes its place.
    pub(super) fn scratch(&self) -> PathBuf {
        with_end(&self.real, ".rewrite")
    }

    /// The lock file of a program that keeps the gallery open for long.
    pub(super) fn lock_file(&self) -> PathBuf {
        with_end(&self.real, ".lock")
    }

    /// Where a restore puts the file that was there.
    pub(super) fn set_aside(&self) -> PathBuf {
        with_end(&self.real, ".before-restore")
    }

    /// Number of bytes; `None` if there is no file.
    pub(super) fn size(&self) -> Result<Option<u64>> {
        match self.metadata() {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.error(e)),
        }
    }

    /// Refuses what is not a regular file: a named pipe would be waited for, a device would be replaced.
    fn metadata(&self) -> io::Result<Metadata> {
        let metadata = fs::symlink_metadata(&self.real)?;
        if metadata.is_file() {
            Ok(metadata)
        } else {
            Err(io::Error::other("it is not a regular file"))
        }
    }

    /// Opens and locks the file at once, or not at all.
    pub(super) fn open(&self, access: Access) -> Result<FileBackend> {
        for _ in 0..TRIES {
            let file = self.opened(access).map_err(|e| match e.kind() {
                ErrorKind::NotFound => Error::GalleryMissing {
                    path: self.given.clone(),
                },
                _ => self.error(e),
            })?;
            if let Some(locked) = self.locked(file, access)? {
                return Ok(locked);
            }
        }
        Err(self.in_use())
    }

    /// Opens the file without locking it.
    fn opened(&self, access: Access) -> io::Result<File> {
        self.metadata()?;
        let mut options = OpenOptions::new();
        options.read(true).write(access != Access::Read);
        options.open(&self.real)
    }

    /// Locks an open file. `None` if another file has its name now: a rewrite replaced it before it was locked, and what is written to it would be lost.
    fn locked(&self, file: File, access: Access) -> Result<Option<FileBackend>> {
        let metadata = file.metadata().map_err(|e| self.error(e))?;
        let locked = self.lock(file, WHOLE, access == Access::Read)?;
        if !is_at(&metadata, &self.real) {
            return Ok(None);
        }
        if access != Access::Read {
            self.refuse_links()?;
        }
        Ok(Some(locked))
    }

    /// Locks an open file as redb does, so that programs that leave this to redb are locked out too.
    fn lock(&self, file: File, range: LockRange, shared: bool) -> Result<FileBackend> {
        let backend = FileBackend::new(file).map_err(|e| self.error(io::Error::other(e)))?;
        let locked = match shared {
            true => backend.try_lock_shared_range(range.0, range.1),
            false => backend.try_lock_range(range.0, range.1),
        };
        match locked {
            Ok(true) => Ok(backend),
            Ok(false) => Err(self.in_use()),
            Err(error) => match io_error(error) {
                // redb goes on too where the file system has no locks.
                error if error.kind() == ErrorKind::Unsupported => Ok(backend),
                error => Err(self.error(error)),
            },
        }
    }

    /// Refuses a file that has further names: a rewrite would replace one of them, and the others would keep all that was removed.
    pub(super) fn refuse_links(&self) -> Result<()> {
        let metadata = fs::symlink_metadata(&self.real).map_err(|e| self.error(e))?;
        let links = links(&metadata);
        // A restore that was killed before its last step leaves the gallery under both names.
        if links == 2 && is_at(&metadata, &self.set_aside()) {
            return discard(&self.set_aside());
        }
        if links > 1 {
            return Err(Error::GalleryLinked {
                path: self.given.clone(),
                links,
            });
        }
        Ok(())
    }

    /// Opens, locks and empties the file at the scratch name; it is created if there is none.
    pub(super) fn open_scratch(&self) -> Result<FileBackend> {
        let locked = self.create_locked(&self.scratch(), WHOLE)?;
        locked.set_len(0).map_err(|e| self.not_stored(e))?;
        Ok(locked)
    }

    /// Opens the file at `path` beside the gallery and locks a range of it; it is created if there is none.
    pub(super) fn create_locked(&self, path: &Path, range: LockRange) -> Result<FileBackend> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        for _ in 0..TRIES {
            let opened = cli::private::open(&mut options, path).and_then(|file| {
                let metadata = file.metadata()?;
                Ok((file, metadata))
            });
            let (file, metadata) = opened.map_err(|e| self.not_stored(e))?;
            let locked = self.lock(file, range, false)?;
            if is_at(&metadata, path) {
                return Ok(locked);
            }
        }
        Err(self.in_use())
    }

    /// Gives the file at the scratch name the name of the gallery, for good.
    pub(super) fn adopt_scratch(&self) -> Result<()> {
        fs::rename(self.scratch(), &self.real).map_err(|e| self.not_stored(e))?;
        self.sync_folder()
    }

    /// Makes the names in the file's folder durable. Where a folder cannot be opened (Windows) the system sees to it.
    pub(super) fn sync_folder(&self) -> Result<()> {
        cli::sync_folder(&self.real).map_err(|e| self.not_stored(e))
    }

    /// Removes the file at the scratch name, unless another program writes to it.
    pub(super) fn discard_scratch(&self) -> Result<()> {
        let scratch = self.scratch();
        let file = match OpenOptions::new().write(true).open(&scratch) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened.and_then(|file| Ok((file.metadata()?, file))),
        };
        let (metadata, file) = file.map_err(|source| Error::Io {
            path: scratch.clone(),
            source,
        })?;
        match self.lock(file, WHOLE, false) {
            Ok(_lock) if is_at(&metadata, &scratch) => discard(&scratch),
            Ok(_) | Err(Error::GalleryInUse { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn in_use(&self) -> Error {
        Error::GalleryInUse {
            path: self.given.clone(),
        }
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Io {
            path: self.given.clone(),
            source,
        }
    }

    fn not_stored(&self, source: io::Error) -> Error {
        Error::GalleryStorage {
            path: self.given.clone(),
            source: source.into(),
        }
    }
}

/// Removes a file, if it is there.
pub(super) fn discard(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Io {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// The folder that a path lies in.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

fn io_error(error: BackendError) -> io::Error {
    match error {
        BackendError::Io(error) => error,
        BackendError::Unsupported => ErrorKind::Unsupported.into(),
        error => io::Error::other(error),
    }
}

/// Whether the file that has this metadata is the one at `path`.
#[cfg(unix)]
fn is_at(metadata: &Metadata, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    fs::symlink_metadata(path)
        .is_ok_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()))
}

/// How many names a file has.
#[cfg(unix)]
fn links(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;

    metadata.nlink()
}

#[cfg(not(unix))]
fn is_at(_: &Metadata, path: &Path) -> bool {
    path.exists()
}

#[cfg(not(unix))]
fn links(_: &Metadata) -> u64 {
    1
}

#[cfg(test)]
mod tests;
