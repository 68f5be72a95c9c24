//! Ctrl-C, and the end that a service manager asks for: cameras never end by themselves, so this is
//! how a run comes to its table, its page and the index of its video.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants the run to end.
#[derive(Debug, Clone)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on. The first SIGINT or SIGTERM is for [`said`](Self::said); the second ends
    /// the program at once, should the first have come while a read of a pipe waits.
    pub(super) fn listen() -> io::Result<Self> {
        let said = Arc::new(AtomicBool::new(false));
        #[cfg(unix)]
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            use signal_hook::flag;
            // In this order, or the first signal would be taken for the second.
            flag::register_conditional_shutdown(signal, 128 + signal, said.clone())?;
            flag::register(signal, said.clone())?;
        }
        Ok(Self(said))
    }

    pub(super) fn said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
