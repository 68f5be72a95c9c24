//! Locks by which a run and other commands take turns with the file of a gallery.
//!
//! The run holds one byte of the file FILE.lock, so that a second run is refused; a command that waits for the gallery holds another one. The system
//! releases both when a process dies. See docs/adr/0014-lend-the-gallery.md.

use std::fs::File;
use std::ops::Bound;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::file::{Access, GalleryFile, LockRange, discard};
use crate::error::{Error, Result};

/// Held by the program that keeps the gallery open.
const HOLDER: LockRange = (Bound::Included(0), Bound::Excluded(1));

/// Held, shared, by programs that wait for the gallery.
const REQUESTS: LockRange = (Bound::Included(1), Bound::Excluded(2));

/// How long a program waits for the gallery: a run lends it at its next frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time between two looks at a lock.
pub(super) const POLL: Duration = Duration::from_millis(5);

/// The lock of a program that keeps a gallery open for long.
#[derive(Debug)]
pub(super) struct Holder {
    lock: FileBackend,
    path: PathBuf,
}

impl Holder {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`Error::GalleryInUse`] if another program has it; [`Error::GalleryStorage`] if the lock file cannot be created.
    pub(super) fn of(file: &GalleryFile) -> Result<Self> {
        let path = file.lock_file();
        let lock = file.create_locked(&path, HOLDER)?;
        Ok(Self { lock, path })
    }

    /// Whether another program waits for the gallery: one system call. Without locks nothing can be asked.
    pub(super) fn is_asked(&self) -> bool {
        let query = self.lock.query_lock_range(REQUESTS.0, REQUESTS.1);
        query.unwrap_or(false)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // A lock file that stays is in no program's way.
        let _ = discard(&self.path);
    }
}

/// Opens and locks the file of a gallery. If a program holds the gallery, asks it to lend the file and waits for that, for [`PATIENCE`] at most.
/// Without such a program the first answer counts.
///
/// # Errors
/// As [`GalleryFile::open`].
pub(super) fn open(file: &GalleryFile, access: Access) -> Result<FileBackend> {
    let start = Instant::now();
    let mut request = None;
    loop {
        match file.open(access) {
            Err(Error::GalleryInUse { .. }) if start.elapsed() < PATIENCE => (),
            opened => return opened,
        }
        let had_holder = request.is_some();
        // Anew each time: the lock file may be that of another run by now.
        request = ask(file);
        if request.is_none() && !had_holder {
            return file.open(access);
        }
        thread::sleep(POLL);
    }
}

/// Asks the program that holds the gallery, if there is one, to lend it, until the answer is dropped.
fn ask(file: &GalleryFile) -> Option<FileBackend> {
    let lock = FileBackend::new(File::open(file.lock_file()).ok()?).ok()?;
    let locked = lock.try_lock_shared_range(REQUESTS.0, REQUESTS.1);
    locked.is_ok_and(|locked| locked).then_some(lock)
}
