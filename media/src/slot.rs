//! Reads a [`Source`] in a thread of its own and keeps its latest frame in a [`Slot`], where the loop
//! fetches it.
//!
//! Frames are handed over by swapping three buffers (captured, waiting, processed): nothing is
//! allocated or copied per frame. A live source overwrites a waiting frame, which is counted; a
//! file waits until each frame is fetched. A [`Group`] serves several slots in rotation.

mod group;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use self::group::{Group, Next};
use crate::clock::CancelToken;
use crate::{Error, Frame, Result, Source, Status};

/// What happens to a waiting frame when the next one has been captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is dropped and counted: live sources.
    Newest,
    /// The next one waits: files.
    Every,
}

/// How long dropping a slot waits for a capture thread that is in a read. A camera returns five
/// times a second; a pipe without a writer never does, and its thread ends with the
/// process.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A source that is read in a thread of its own, and its latest frame. Is a [`Source`] itself:
/// reading waits for the next frame.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    cancel: CancelToken,
    join_timeout: Duration,
    name: String,
    len: Option<u64>,
    thread: Option<JoinHandle<()>>,
}

/// Shared by the thread and the loop.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when the state changes, by either side.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The frame that waits, if `ready`.
    frame: Frame,
    ready: bool,
    /// An error that waits; it is older than the frame.
    error: Option<Error>,
    dropped: u64,
    cancelled: bool,
    ended: bool,
    /// Notified too, when there is something to fetch.
    arrivals: Option<Arc<group::ArrivalCounter>>,
}

impl Slot {
    /// Starts to read `source`. Dropping the slot cancels `cancel`, which wakes a source that waits
    /// by a [`SteadyClock`](crate::clock::SteadyClock).
    ///
    /// # Errors
    /// [`Error::Failed`] if the system gives no thread.
    pub fn new(source: Box<dyn Source>, policy: Policy, cancel: CancelToken) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (name, len) = (source.name().to_owned(), source.len());
        let thread = thread::Builder::new()
            .name(format!("capture {name}"))
            .spawn({
                let shared = shared.clone();
                move || capture(source, policy, &shared)
            })
            .map_err(|error| Error::failed(&name, format!("no thread to capture in: {error}")))?;
        Ok(Self {
            shared,
            cancel,
            join_timeout: JOIN_TIMEOUT,
            name,
            len,
            thread: Some(thread),
        })
    }

    /// Frames, and errors that end nothing, that were overwritten by newer ones.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Fetches the waiting frame or error, if there is one.
    fn fetch(&self, frame: &mut Frame) -> Option<Result<Status>> {
        let fetched = self.shared.lock().fetch(frame);
        if fetched.is_some() {
            self.shared.changed.notify_all();
        }
        fetched
    }

    /// Lets the thread end, without waiting for it.
    fn cancel(&self) {
        self.cancel.cancel();
        self.shared.lock().cancelled = true;
        self.shared.changed.notify_all();
    }

    /// Counts every further frame in `arrivals` as well.
    fn notify(&self, arrivals: Arc<group::ArrivalCounter>) {
        self.shared.lock().arrivals = Some(arrivals);
    }
}

impl Source for Slot {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Option<u64> {
        self.len
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        let mut state = self.shared.lock();
        loop {
            if let Some(fetched) = state.fetch(frame) {
                drop(state);
                self.shared.changed.notify_all();
                return fetched;
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.cancel();
        let waited = self.shared.changed.wait_timeout_while(
            self.shared.lock(),
            self.join_timeout,
            |state| !state.ended,
        );
        let ended = waited.unwrap_or_else(PoisonError::into_inner).0.ended;
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // A panic of the source was caught and became an error.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the outcome of a read and its frame into the slot; returns whether to read on. `frame`
    /// gets a buffer that may be reused.
    fn put(&self, outcome: Result<Status>, frame: &mut Frame, policy: Policy) -> bool {
        let mut state = self.lock();
        while policy == Policy::Every && !state.is_empty() && !state.cancelled {
            state = self.wait(state);
        }
        if state.cancelled {
            return false;
        }
        let continues = match outcome {
            Ok(Status::Frame) => {
                state.dropped += u64::from(state.ready);
                state.ready = true;
                std::mem::swap(&mut state.frame, frame);
                true
            }
            Ok(Status::End) => false,
            Err(error) => {
                let continues = error.is_recoverable();
                state.dropped += u64::from(state.error.is_some());
                state.error = Some(error);
                continues
            }
        };
        self.notify(state);
        continues
    }

    /// Marks the end: nothing follows.
    fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        self.notify(state);
    }

    /// Wakes the loop, and the group if there is one.
    fn notify(&self, state: MutexGuard<'_, State>) {
        let arrivals = state.arrivals.clone();
        drop(state);
        self.changed.notify_all();
        if let Some(arrivals) = arrivals {
            arrivals.notify();
        }
    }
}

impl State {
    fn is_empty(&self) -> bool {
        !self.ready && self.error.is_none()
    }

    fn fetch(&mut self, frame: &mut Frame) -> Option<Result<Status>> {
        if let Some(error) = self.error.take() {
            Some(Err(error))
        } else if self.ready {
            self.ready = false;
            std::mem::swap(&mut self.frame, frame);
            Some(Ok(Status::Frame))
        } else {
            self.ended.then_some(Ok(Status::End))
        }
    }
}

/// The capture thread.
fn capture(mut source: Box<dyn Source>, policy: Policy, shared: &Shared) {
    let mut frame = Frame::default();
    loop {
        // The source is not used again after a panic.
        let read = catch_unwind(AssertUnwindSafe(|| source.read(&mut frame)));
        let outcome = read.unwrap_or_else(|panic| {
            let reason = format!("reading it panicked: {}", message(&*panic));
            Err(Error::failed(source.name(), reason))
        });
        if !shared.put(outcome, &mut frame, policy) {
            break;
        }
    }
    // Before the end is marked, because the camera may then be opened again. Closing a
    // disconnected camera can panic in `v4l`; the end is marked all the same.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
    shared.end();
}

/// The message of a panic.
pub(super) fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests;
