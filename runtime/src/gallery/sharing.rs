//! How a run shares its gallery with other commands: between two frames it closes the file while they use it, and then reads what they changed.
//! See docs/adr/0014-lend-the-gallery.md.

use std::thread;
use std::time::{Duration, Instant};

use super::Gallery;
use super::locks::{Holder, POLL};
use super::state::GalleryState;
use crate::error::{Error, Result};

/// How long a run waits until it gets the gallery back, before it ends with an error.
const LONGEST_LOAN: Duration = Duration::from_secs(120);

/// How long a run leaves the file to programs that wait for it: a free file is taken within [`POLL`].
const HANDOVER: Duration = Duration::from_secs(1);

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
