//! The slot between capture and work: a thread reads a [`Source`] and leaves its frames in a
//! [`Slot`], where the loop fetches them.
//!
//! A slot holds one frame. Frames change hands by swapping buffers (one is being captured, one
//! waits, one is worked on), so that nothing is allocated or copied per frame. Of a live source
//! the newest frame wins, and those that were overwritten are counted; of a file the thread waits
//! until each frame is fetched. A [`Group`] serves several slots in turn.

mod group;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use self::group::{Group, Next};
use super::clock::Stop;
use super::{Error, Frame, Result, Source, Status};

/// What becomes of a frame that waits when the next one has been captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is dropped and counted: live sources.
    Newest,
    /// The next one waits: files.
    Every,
}

/// How long dropping a slot waits for a capture thread that sits in a read. A camera looks up
/// every [`POLL`](super::camera::POLL); a pipe that nobody writes to never does, and its thread is
/// left behind to end with the process.
pub const GRACE: Duration = Duration::from_secs(2);

/// A source that is read in a thread of its own, and the last frame that it gave. Is a [`Source`]
/// itself: reading waits for the next frame.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<Shared>,
    stop: Stop,
    grace: Duration,
    name: String,
    len: Option<u64>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and the loop share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung when the state changes, by either side.
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
    stopped: bool,
    ended: bool,
    /// Rung too, when there is something to fetch.
    bell: Option<Arc<group::Bell>>,
}

impl Slot {
    /// Starts to read `source`. `stop` is said when the slot is dropped, so that a source that
    /// waits (see [`super::clock::SteadyClock`]) wakes up.
    ///
    /// # Errors
    /// [`Error::Failed`] if the system gives no thread.
    pub fn new(source: Box<dyn Source>, policy: Policy, stop: Stop) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (name, len) = (source.name().to_owned(), source.len());
        let thread = thread::Builder::new()
            .name(format!("capture {name}"))
            .spawn({
                let shared = shared.clone();
                move || capture(source, policy, &shared)
            })
            .map_err(|error| Error::Failed {
                name: name.clone(),
                reason: format!("no thread to capture in: {error}"),
            })?;
        Ok(Self {
            shared,
            stop,
            grace: GRACE,
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

    /// Fetches what waits, without waiting: none if there is nothing.
    fn fetch(&self, frame: &mut Frame) -> Option<Result<Status>> {
        let fetched = self.shared.lock().fetch(frame);
        if fetched.is_some() {
            self.shared.changed.notify_all();
        }
        fetched
    }

    /// Tells the thread to end, without waiting for it.
    fn stop(&self) {
        self.stop.stop();
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }

    /// Has `bell` rung for every frame from now on.
    fn hang(&self, bell: Arc<group::Bell>) {
        self.shared.lock().bell = Some(bell);
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
        self.stop();
        let waited =
            self.shared
                .changed
                .wait_timeout_while(self.shared.lock(), self.grace, |state| !state.ended);
        let ended = waited.unwrap_or_else(PoisonError::into_inner).0.ended;
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            // A panic of the source was caught, and came out as an error.
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

    /// Puts the outcome of a read, and the frame that it filled, into the slot; returns whether to
    /// go on. A frame comes back in `frame` whose buffer may be used again.
    fn put(&self, outcome: Result<Status>, frame: &mut Frame, policy: Policy) -> bool {
        let mut state = self.lock();
        while policy == Policy::Every && !state.is_empty() && !state.stopped {
            state = self.wait(state);
        }
        if state.stopped {
            return false;
        }
        let goes_on = match outcome {
            Ok(Status::Frame) => {
                state.dropped += u64::from(state.ready);
                state.ready = true;
                std::mem::swap(&mut state.frame, frame);
                true
            }
            Ok(Status::End) => false,
            Err(error) => {
                let goes_on = error.is_recoverable();
                state.dropped += u64::from(state.error.is_some());
                state.error = Some(error);
                goes_on
            }
        };
        let bell = state.bell.clone();
        drop(state);
        self.changed.notify_all();
        if let Some(bell) = bell {
            bell.ring();
        }
        goes_on
    }

    /// Says that nothing follows.
    fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let bell = state.bell.clone();
        drop(state);
        self.changed.notify_all();
        if let Some(bell) = bell {
            bell.ring();
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

/// What the thread does.
fn capture(mut source: Box<dyn Source>, policy: Policy, shared: &Shared) {
    let mut frame = Frame::default();
    loop {
        // The source is not used again after a panic.
        let read = catch_unwind(AssertUnwindSafe(|| source.read(&mut frame)));
        let outcome = read.unwrap_or_else(|panic| {
            Err(Error::Failed {
                name: source.name().to_owned(),
                reason: format!("reading it panicked: {}", message(&*panic)),
            })
        });
        if !shared.put(outcome, &mut frame, policy) {
            break;
        }
    }
    // Before the word that it has ended: the camera may be opened again right behind it. Closing a
    // camera that is gone can panic in `v4l`; the loop must hear of the end all the same.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(source)));
    shared.end();
}

/// What a panic said.
pub(super) fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests;
