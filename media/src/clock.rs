//! Time of live sources: a clock that tests can set, and cancellation.
//!
//! Frames of a camera have no reliable time: drivers stamp with different clocks, Motion-JPEG on a
//! pipe has none. Their stream time is the time of their arrival.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Time, for a live source.
pub trait Clock: Send + fmt::Debug {
    /// Time since a fixed moment. It may jump, in either direction.
    fn now(&self) -> Duration;

    /// Waits for `time`, or until the work is cancelled.
    fn wait(&self, time: Duration);

    /// Whether the work is cancelled.
    fn is_cancelled(&self) -> bool;
}

/// Cancels a capture thread. Its clones share one state, which never goes back.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<(Mutex<bool>, Condvar)>);

impl CancelToken {
    /// Cancels, and wakes all that wait.
    pub fn cancel(&self) {
        *self.lock() = true;
        self.0.1.notify_all();
    }

    /// Whether it is cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.lock()
    }

    /// Waits until it is cancelled, at most for `time`.
    pub fn wait(&self, time: Duration) {
        let waited = self
            .0
            .1
            .wait_timeout_while(self.lock(), time, |cancelled| !*cancelled);
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The monotonic clock of the system, from 0 when it is made.
#[derive(Debug, Clone)]
pub struct SteadyClock {
    start: Instant,
    cancel: CancelToken,
}

impl SteadyClock {
    /// A clock whose waiting ends when `cancel` is cancelled.
    #[must_use]
    pub fn new(cancel: CancelToken) -> Self {
        Self {
            start: Instant::now(),
            cancel,
        }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wait(&self, time: Duration) {
        self.cancel.wait(time);
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}

/// Stream time of frames that are stamped as they arrive: 0 at the first one, and never less than
/// before. Where the clock jumps back, stream time stands still for one frame and then goes on.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    before: Option<Duration>,
    stream_time: Duration,
}

impl Arrivals {
    /// Stream time of a frame that arrives at `now`.
    pub(super) fn stamp(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.before.unwrap_or(now));
        self.before = Some(now);
        self.stream_time = self.stream_time.saturating_add(passed);
        self.stream_time
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A clock that a test sets, and that waiting advances.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct ManualClock(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        now: Duration,
        waits: Vec<Duration>,
        cancel_after: Option<usize>,
    }

    impl ManualClock {
        pub(crate) fn set(&self, now: Duration) {
            self.0.lock().unwrap().now = now;
        }

        /// Is cancelled after that many waits.
        pub(crate) fn cancel_after(&self, waits: usize) {
            self.0.lock().unwrap().cancel_after = Some(waits);
        }

        pub(crate) fn waits(&self) -> Vec<Duration> {
            self.0.lock().unwrap().waits.clone()
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Duration {
            self.0.lock().unwrap().now
        }

        fn wait(&self, time: Duration) {
            let mut state = self.0.lock().unwrap();
            state.now += time;
            state.waits.push(time);
        }

        fn is_cancelled(&self) -> bool {
            let state = self.0.lock().unwrap();
            state.cancel_after.is_some_and(|n| state.waits.len() >= n)
        }
    }

    #[test]
    fn stream_time_starts_at_0_and_never_decreases() {
        let clock = [5000, 5040, 5080, 1000, 1040, 1040, 9040];
        let wanted = [0, 40, 80, 80, 120, 120, 8120];
        let mut arrivals = Arrivals::default();
        let stamps = clock.map(|ms| arrivals.stamp(Duration::from_millis(ms)).as_millis());
        assert_eq!(stamps, wanted);
    }

    #[test]
    fn cancelling_ends_a_wait() {
        let cancel = CancelToken::default();
        let clock = SteadyClock::new(cancel.clone());
        assert!(!clock.is_cancelled());
        let waiting = std::thread::spawn(move || {
            // A year, unless woken.
            clock.wait(Duration::from_secs(31_536_000));
            (
                clock.is_cancelled(),
                clock.now() < Duration::from_secs(3600),
            )
        });
        cancel.cancel();
        assert_eq!(waiting.join().unwrap(), (true, true));
    }
}
