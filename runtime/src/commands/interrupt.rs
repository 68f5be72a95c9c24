//! Ctrl-C, the end that a service manager asks for, and a terminal that is closed: cameras never end
//! by themselves, so this is how a run comes to its table, its page and the index of its video.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the run is asked to end.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    said: Arc<AtomicBool>,
    /// Whether the next signal ends the program on the spot.
    at_once: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens to SIGINT, SIGTERM and SIGHUP from now on. Up to [`hold`](Self::hold) there is
    /// nothing to finish, and each of them ends the program on the spot: a model may come from a
    /// pipe without a writer. A SIGHUP that is ignored, as `nohup` asks for, stays ignored.
    pub(super) fn listen() -> io::Result<Self> {
        let said = Arc::new(AtomicBool::new(false));
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
                flag::register(signal, said.clone())?;
                flag::register(signal, at_once.clone())?;
            }
        }
        Ok(Self { said, at_once })
    }

    /// From now on the first signal is for [`said`](Self::said), and the second one ends the program
    /// on the spot.
    pub(super) fn hold(&self) {
        if !self.said() {
            self.at_once.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn said(&self) -> bool {
        self.said.load(Ordering::Relaxed)
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
