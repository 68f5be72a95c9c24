//! A thread pool. One call distributes a list of items, and returns when all are done.
//!
//! Starting a thread costs more than a small layer, so threads live between calls: they spin for the next
//! call for a moment, then sleep. Threads take items in any order; results do not depend on it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// The work of one call; its argument is the number of the thread.
type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// Iterations of spinning before a thread sleeps: some 20 us, the pause between two layers of a small
/// network. Waking a sleeping thread costs 50 us.
const SPINS: u32 = 1000;

/// The calling thread and others.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
    others: Vec<JoinHandle<()>>,
    /// One call at a time.
    calls: Mutex<()>,
}

#[derive(Default)]
struct Shared {
    /// Number of calls so far, as in the state: read without the lock.
    round: AtomicU64,
    /// Number of calls that the other threads have finished.
    ended: AtomicU64,
    state: Mutex<State>,
    begin: Condvar,
    end: Condvar,
}

#[derive(Default)]
struct State {
    round: u64,
    job: Option<&'static Job<'static>>,
    /// Threads that have not finished the job.
    busy: usize,
    panic: Option<Box<dyn Any + Send>>,
    quit: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Pool {
    /// The calling thread and `threads - 1` others, fewer where the system gives no more.
    pub(super) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let others = (1..threads).map_while(|number| {
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("kernels-{number}"));
            thread.spawn(move || shared.serve(number)).ok()
        });
        Self {
            others: others.collect(),
            shared,
            calls: Mutex::new(()),
        }
    }

    /// Threads that work, the calling one included.
    pub(super) fn threads(&self) -> usize {
        self.others.len() + 1
    }

    /// Calls `work` with each of `items` once, on all threads in any order, and with the number of
    /// its thread, below [`Pool::threads`]. `work` must not call the pool. A panic of `work` is
    /// passed on.
    pub(super) fn each<I>(&self, items: I, work: impl Fn(usize, I::Item) + Sync)
    where
        I: Iterator + Send,
    {
        if self.others.is_empty() {
            items.for_each(|item| work(0, item));
            return;
        }
        let items = Mutex::new(items);
        self.run(&|thread| {
            loop {
                // Not in the head of a `while let`, which would hold the lock through the work.
                let item = lock(&items).next();
                match item {
                    Some(item) => work(thread, item),
                    None => return,
                }
            }
        });
    }

    /// Calls `job` on every thread.
    fn run(&self, job: &Job<'_>) {
        let _one_call = lock(&self.calls);
        // SAFETY: the lifetime is the only difference. The reference is dropped from the state
        // below, after every thread has left `job`, and nothing between here and there can panic:
        // `job` itself runs in `catch_unwind`.
        let job: &'static Job<'static> = unsafe { std::mem::transmute(job) };
        let round = {
            let mut state = lock(&self.shared.state);
            state.round += 1;
            state.job = Some(job);
            state.busy = self.others.len();
            self.shared.round.store(state.round, Ordering::Release);
            self.shared.begin.notify_all();
            state.round
        };
        let ours = catch_unwind(AssertUnwindSafe(|| job(0)));
        spin(|| self.shared.ended.load(Ordering::Acquire) == round);
        let theirs = {
            let mut state = lock(&self.shared.state);
            while state.busy > 0 {
                state = wait(&self.shared.end, state);
            }
            state.job = None;
            state.panic.take()
        };
        if let Some(panic) = ours.err().or(theirs) {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.shared.state);
            state.quit = true;
            self.shared.round.store(u64::MAX, Ordering::Release);
            self.shared.begin.notify_all();
        }
        for thread in self.others.drain(..) {
            // `serve` catches panics of jobs.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The loop of a thread other than the calling one.
    fn serve(&self, number: usize) {
        let mut seen = 0;
        loop {
            spin(|| self.round.load(Ordering::Acquire) != seen);
            let mut state = lock(&self.state);
            while state.round == seen && !state.quit {
                state = wait(&self.begin, state);
            }
            if state.quit {
                return;
            }
            seen = state.round;
            let job = state.job;
            drop(state);
            let result = catch_unwind(AssertUnwindSafe(|| job.map(|job| job(number))));
            let mut state = lock(&self.state);
            if let Err(panic) = result {
                state.panic.get_or_insert(panic);
            }
            state.busy -= 1;
            if state.busy == 0 {
                self.ended.store(seen, Ordering::Release);
                self.end.notify_one();
            }
        }
    }
}

/// Spins for a moment until `done`.
fn spin(done: impl Fn() -> bool) {
    for _ in 0..SPINS {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
}

/// Ignores poisoning: panics are passed on in other ways here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_worked_on_once_whatever_the_threads() {
        for threads in [1, 2, 3, 8] {
            let pool = Pool::new(threads);
            assert_eq!(pool.threads(), threads);
            for pieces in [0, 1, 5, 1000] {
                let mut out = vec![0; pieces];
                for round in 1..=20 {
                    pool.each(out.iter_mut().enumerate(), |thread, (i, out)| {
                        assert!(thread < threads);
                        *out += i;
                    });
                    let wanted: Vec<usize> = (0..pieces).map(|i| i * round).collect();
                    assert_eq!(out, wanted, "{threads} threads, {pieces} pieces");
                }
            }
        }
    }

    #[test]
    fn a_panic_is_passed_on_and_the_threads_go_on() {
        let pool = Pool::new(3);
        for bad in [0, 7, 99] {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.each(0..100, |_, i| assert_ne!(i, bad, "piece {bad}"));
            }));
            let message = *result.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains("piece"), "{message}");
            let sum = AtomicU64::new(0);
            pool.each(0..100, |_, i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 4950);
        }
    }
}
