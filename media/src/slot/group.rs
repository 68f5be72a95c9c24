//! Several slots, served in turn.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Slot;
use crate::{Frame, Result, Status};

/// Slots that share one loop. After each frame of one of them the search for the next begins
/// behind it, so that a slot that has a frame waits at most for one frame of each other slot,
/// however fast those are.
#[derive(Debug)]
pub struct Group {
    slots: Vec<Slot>,
    ended: Vec<bool>,
    turn: usize,
    bell: Arc<Bell>,
}

/// What [`Group::next`] came to.
#[derive(Debug)]
pub enum Next {
    /// The slot at the position gave a frame, an error, or its end. It is not asked again after
    /// its end.
    Read(usize, Result<Status>),
    /// Nothing came in time.
    Nothing,
    /// Every slot has ended.
    Ended,
}

/// Counts what arrives in any slot of a group, so that a ring before the waiting is not missed.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Group {
    /// The slots, whose positions are their names from now on.
    #[must_use]
    pub fn new(slots: Vec<Slot>) -> Self {
        let bell = Arc::new(Bell::default());
        for slot in &slots {
            slot.hang(bell.clone());
        }
        Self {
            ended: vec![false; slots.len()],
            slots,
            turn: 0,
            bell,
        }
    }

    /// The slots, for their names and what they dropped.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Fetches the next frame into `frame`; waits for it if there is none, at most for `timeout`.
    pub fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Next {
        let mut waited = false;
        loop {
            let rings = self.bell.rings();
            if self.ended.iter().all(|&ended| ended) {
                return Next::Ended;
            }
            let turn = self.turn;
            for at in (turn..self.slots.len()).chain(0..turn) {
                if self.ended[at] {
                    continue;
                }
                if let Some(fetched) = self.slots[at].fetch(frame) {
                    self.ended[at] = matches!(fetched, Ok(Status::End));
                    self.turn = at + 1;
                    return Next::Read(at, fetched);
                }
            }
            if waited {
                return Next::Nothing;
            }
            waited = !self.bell.wait(rings, timeout);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // All at once, or each would be waited for in turn.
        self.slots.iter().for_each(Slot::stop);
    }
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.lock() += 1;
        self.rung.notify_all();
    }

    fn rings(&self) -> u64 {
        *self.lock()
    }

    /// Waits until it rings more often than `seen`; whether it did in time.
    fn wait(&self, seen: u64, timeout: Duration) -> bool {
        let waited = self
            .rung
            .wait_timeout_while(self.lock(), timeout, |rings| *rings == seen);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
