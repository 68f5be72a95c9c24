//! Time of live sources: a clock that a test can turn by hand, and the word to stop.
//!
//! Pictures of a camera carry no time that can be relied on (drivers stamp with different clocks,
//! Motion-JPEG on a pipe has none at all), so their stream time is the time of their arrival.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a live source needs of time.
pub trait Clock: Send + fmt::Debug {
    /// Time since a moment that stays the same. It may jump, in either direction.
    fn now(&self) -> Duration;

    /// Lets `time` pass, or less if the work is to stop.
    fn wait(&self, time: Duration);

    /// Whether the work is to stop.
    fn stopped(&self) -> bool;
}

/// The word to stop, shared by a capture thread and whoever started it. Once said it stays said.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Says it, and wakes whoever waits.
    pub fn stop(&self) {
        *self.lock() = true;
        self.0.1.notify_all();
    }

    /// Whether it was said.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.lock()
    }

    /// Waits until it is said, at most for `time`.
    pub fn wait(&self, time: Duration) {
        let said = self
            .0
            .1
            .wait_timeout_while(self.lock(), time, |said| !*said);
        drop(said);
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The steady clock of the device, from the moment of its making.
#[derive(Debug, Clone)]
pub struct SteadyClock {
    start: Instant,
    stop: Stop,
}

impl SteadyClock {
    /// A clock whose waiting ends when `stop` is said.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        Self {
            start: Instant::now(),
            stop,
        }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wait(&self, time: Duration) {
        self.stop.wait(time);
    }

    fn stopped(&self) -> bool {
        self.stop.is_stopped()
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
    /// Stream time of a frame that arrives when the clock shows `now`.
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

    /// A clock that a test turns, and that waiting turns on.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Hands(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        now: Duration,
        waits: Vec<Duration>,
        stop_after: Option<usize>,
    }

    impl Hands {
        pub(crate) fn set(&self, now: Duration) {
            self.0.lock().unwrap().now = now;
        }

        /// Stops once waited so often.
        pub(crate) fn stop_after(&self, waits: usize) {
            self.0.lock().unwrap().stop_after = Some(waits);
        }

        pub(crate) fn waits(&self) -> Vec<Duration> {
            self.0.lock().unwrap().waits.clone()
        }
    }

    impl Clock for Hands {
        fn now(&self) -> Duration {
            self.0.lock().unwrap().now
        }

        fn wait(&self, time: Duration) {
            let mut state = self.0.lock().unwrap();
            state.now += time;
            state.waits.push(time);
        }

        fn stopped(&self) -> bool {
            let state = self.0.lock().unwrap();
            state.stop_after.is_some_and(|n| state.waits.len() >= n)
        }
    }

    #[test]
    fn stream_time_begins_at_nothing_and_never_goes_back() {
        let clock = [5000, 5040, 5080, 1000, 1040, 1040, 9040];
        let wanted = [0, 40, 80, 80, 120, 120, 8120];
        let mut arrivals = Arrivals::default();
        let stamps = clock.map(|ms| arrivals.stamp(Duration::from_millis(ms)).as_millis());
        assert_eq!(stamps, wanted);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_word_to_stop() {
        let stop = Stop::default();
        let clock = SteadyClock::new(stop.clone());
        assert!(!clock.stopped());
        let waiting = std::thread::spawn(move || {
            // A year, unless woken.
            clock.wait(Duration::from_secs(31_536_000));
            (clock.stopped(), clock.now() < Duration::from_secs(3600))
        });
        stop.stop();
        assert_eq!(waiting.join().unwrap(), (true, true));
    }
}
