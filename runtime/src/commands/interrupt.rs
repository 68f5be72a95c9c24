//! Ctrl-C, the signal of a service manager, and a closed terminal. Cameras never end by themselves, so
//! a run ends by these signals, and still writes its table, its page and the index of its video.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the end of the run was requested.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    requested: Arc<AtomicBool>,
    /// Whether the next signal ends the program on the spot.
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens to SIGINT, SIGTERM and SIGHUP from now on. Up to [`hold`](Self::hold) there is
    /// nothing to finish, and each of them ends the program on the spot: a model may come from a
    /// pipe without a writer. A SIGHUP that is ignored, as `nohup` asks for, stays ignored.
    pub(super) fn listen() -> io::Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        let at_once = Arc::new(AtomicBool::new(true));
        #[cfg(unix)]
        {
            use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
            use signal_hook::flag;
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                if signal == SIGHUP && is_ignored(signal) {
                    continue;
                }
                // In this order, or the first signal would be taken for the second.
                match std::process::id() {
                    // The system ignores what it would do by default to the first process of a
                    // container.
                    1 => flag::register_conditional_shutdown(signal, 128 + signal, at_once.clone()),
                    // A shell ends its loop if the signal ended the program, not its exit code.
                    _ => flag::register_conditional_default(signal, at_once.clone()),
                }?;
                flag::register(signal, requested.clone())?;
                flag::register(signal, at_once.clone())?;
            }
        }
        Ok(Self { requested, at_once })
    }

    /// From now on the first signal is for [`requested`](Self::requested), and the second one ends the program
    /// on the spot.
    pub(super) fn hold(&self) {
        if !self.requested() {
            self.at_once.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }
}

/// Whether the parent of this process had a signal ignored; not known where there is no `/proc`.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // A mask in hexadecimal digits: see proc_pid_status(5).
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
