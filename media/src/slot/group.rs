//! Several slots, served in rotation.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Slot;
use crate::{Frame, Result, Status};

/// Slots that share one loop. The search for the next frame begins after the slot that was served
/// last, so a slot with a frame waits at most for one frame of each other slot.
#[derive(Debug)]
pub struct Group {
    slots: Vec<Slot>,
    ended: Vec<bool>,
    /// Where the search begins.
    first: usize,
    arrivals: Arc<ArrivalCounter>,
}

/// Outcome of [`Group::next`].
#[derive(Debug)]
pub enum Next {
    /// The slot at this position delivered a frame, an error, or its end, after which it is not
    /// asked again.
    Read(usize, Result<Status>),
    /// Nothing arrived in time.
    Nothing,
    /// Every slot has ended.
    Ended,
}

/// Counts arrivals in all slots of a group, so that one before the wait is not missed.
#[derive(Debug, Default)]
pub(super) struct ArrivalCounter {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Group {
    /// A group of slots, which are identified by their positions.
    #[must_use]
    pub fn new(slots: Vec<Slot>) -> Self {
        let arrivals = Arc::new(ArrivalCounter::default());
        for slot in &slots {
            slot.notify(arrivals.clone());
        }
        Self {
            ended: vec![false; slots.len()],
            slots,
            first: 0,
            arrivals,
        }
    }

    /// The slots, for their names and their dropped frames.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Fetches the next frame into `frame`; waits for it if there is none, at most for `timeout`.
    pub fn next(&mut self, frame: &mut Frame, timeout: Duration) -> Next {
        let mut waited = false;
        loop {
            let seen = *self.arrivals.lock();
            if self.ended.iter().all(|&ended| ended) {
                return Next::Ended;
            }
            let first = self.first;
            for at in (first..self.slots.len()).chain(0..first) {
                if self.ended[at] {
                    continue;
                }
                if let Some(fetched) = self.slots[at].fetch(frame) {
                    self.ended[at] = matches!(fetched, Ok(Status::End));
                    self.first = at + 1;
                    return Next::Read(at, fetched);
                }
            }
            if waited {
                return Next::Nothing;
            }
            waited = !self.arrivals.wait(seen, timeout);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // All at once: dropping a slot waits for its thread.
        self.slots.iter().for_each(Slot::cancel);
    }
}

impl ArrivalCounter {
    pub(super) fn notify(&self) {
        *self.lock() += 1;
        self.changed.notify_all();
    }

    /// Waits until there are more than `seen`; whether that was in time.
    fn wait(&self, seen: u64, timeout: Duration) -> bool {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), timeout, |count| *count == seen);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
