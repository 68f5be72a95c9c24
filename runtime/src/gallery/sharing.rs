//! How a run shares its gallery with other commands: between two frames it closes the file while they use it, and then reads what they changed.
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

use super::Gallery;
use super::file::{GalleryFile, LockRange, discard};
use super::state::GalleryState;
use crate::error::{Error, Result};

/// Held by the program that keeps the gallery open.
const HOLDER: LockRange = (Bound::Included(0), Bound::Excluded(1));

/// Held, shared, by programs that wait for the gallery.
const REQUESTS: LockRange = (Bound::Included(1), Bound::Excluded(2));

/// How long a program waits for the gallery: a run lends it at its next frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a run waits until it gets the gallery back, before it ends with an error.
const LONGEST_LOAN: Duration = Duration::from_secs(120);

/// How long a run leaves the file to programs that wait for it: a free file is taken within [`POLL`].
const HANDOVER: Duration = Duration::from_secs(1);

/// Time between two looks at a lock.
const POLL: Duration = Duration::from_millis(5);

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
    fn is_asked(&self) -> bool {
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

/// Calls `open` until the gallery is not in use or [`PATIENCE`] is over, and asks the program that holds the gallery to lend it. Without such a
/// program the first answer counts.
pub(super) fn wait_for_loan<T>(
    file: &GalleryFile,
    mut open: impl FnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    let mut request = None;
    loop {
        match open() {
            Err(Error::GalleryInUse { .. }) if start.elapsed() < PATIENCE => (),
            opened => return opened,
        }
        let had_holder = request.is_some();
        // Anew each time: the lock file may be that of another run by now.
        request = ask(file);
        if request.is_none() && !had_holder {
            return open();
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

impl Gallery {
    /// Lends the gallery to programs that ask for it, waits until they have finished, and reads what they changed.
    pub(super) fn lend_if_asked(&mut self) -> Result<()> {
        if !self.holder.as_ref().is_some_and(Holder::is_asked) {
            return Ok(());
        }
        self.reopen()?;
        self.flush()?;
        let crops = self.store_mut()?.crops()?;
        self.store = None;
        let Some(before) = self.reclaim()? else {
            return Ok(());
        };
        let people = &self.state.people;
        let departed = before.people.keys().filter(|id| !people.contains_key(id));
        self.departed.extend(departed.map(|&id| before.summary(id)));
        let left = self.store_mut()?.crops()?;
        self.pending_deletions
            .extend(crops.difference(&left).cloned());
        Ok(())
    }

    /// Opens the gallery again when no other program waits for it or uses it.
    fn reclaim(&mut self) -> Result<Option<GalleryState>> {
        let start = Instant::now();
        loop {
            let asked = self.holder.as_ref().is_some_and(Holder::is_asked);
            if !asked || start.elapsed() > HANDOVER {
                match self.reopen() {
                    Err(Error::GalleryInUse { .. }) if start.elapsed() < LONGEST_LOAN => (),
                    reopened => return reopened,
                }
            }
            thread::sleep(POLL);
        }
    }
}
