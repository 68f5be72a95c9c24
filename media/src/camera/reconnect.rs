//! A camera that is opened again whenever it fails.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Camera, Device, Problem, Wish};
use crate::clock::{Arrivals, Clock};
use crate::{Error, Frame, Result, Source, Status};

/// The first pause before a camera is opened again, and the longest: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Finds a device anew: after it was plugged in again its path may be another one.
type Connect = Box<dyn FnMut() -> Result<Box<dyn Device>, Problem> + Send>;

/// A camera as a [`Source`] that never ends by itself. While the camera is away, each read waits
/// longer than the one before, tries once, and says how that went as [`Error::Away`].
pub struct Reconnecting {
    name: String,
    connect: Connect,
    wish: Wish,
    clock: Box<dyn Clock>,
    camera: Option<Camera>,
    pause: Duration,
    arrivals: Arrivals,
    next: u64,
    counts: Arc<Counts>,
}

/// What a camera left out, to be asked for while another thread reads it.
#[derive(Debug, Default)]
pub struct Counts {
    gaps: AtomicU64,
    lost: AtomicU64,
}

impl Counts {
    /// How often the camera has failed after it had given frames.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// Frames that the driver dropped, as far as it counts them, because no buffer was free.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Reconnecting {
    /// Opens the camera for the first time.
    ///
    /// # Errors
    /// [`Error::Failed`] for what waiting does not change, and, unless the wish is patient, for a
    /// camera that is not there.
    pub(super) fn new(
        name: String,
        connect: Connect,
        wish: Wish,
        clock: Box<dyn Clock>,
    ) -> Result<Self> {
        let mut source = Self {
            name,
            connect,
            wish,
            clock,
            camera: None,
            pause: FIRST_PAUSE,
            arrivals: Arrivals::default(),
            next: 0,
            counts: Arc::default(),
        };
        match source.connect() {
            Err(Problem::Missing) if source.wish.patient => {}
            Err(problem) if !problem.may_pass() || matches!(problem, Problem::Missing) => {
                return Err(Error::Failed {
                    name: source.name,
                    reason: problem.to_string(),
                });
            }
            // If it failed, the first read says how.
            _ => {}
        }
        Ok(source)
    }

    /// What the camera gives in place of what was wished; none if it gives that, or is away.
    #[must_use]
    pub fn surprise(&self) -> Option<String> {
        self.camera.as_ref()?.surprise(&self.wish)
    }

    /// What the camera leaves out from now on.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    fn connect(&mut self) -> Result<(), Problem> {
        let device = (self.connect)()?;
        self.camera = Some(Camera::start(device, &self.wish)?);
        Ok(())
    }

    /// Lets go of the camera, and says why and for how long.
    fn away(&mut self, problem: &Problem) -> Error {
        self.camera = None;
        Error::Away {
            name: self.name.clone(),
            reason: format!(
                "{problem}; the next try is in {} s",
                self.pause.as_secs_f32()
            ),
        }
    }
}

impl Source for Reconnecting {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Option<u64> {
        None
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        if self.camera.is_none() {
            self.clock.wait(self.pause);
            if self.clock.stopped() {
                return Ok(Status::End);
            }
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            self.connect().map_err(|problem| self.away(&problem))?;
        }
        let camera = self.camera.as_mut().expect("`connect` has made one");
        let read = camera.read(self.wish.silence, self.clock.as_ref(), frame);
        let decoded = match read {
            Ok(Some(decoded)) => decoded,
            Ok(None) => return Ok(Status::End),
            Err(problem) => {
                // One that opens but gives nothing is no gap in anything.
                let gap = self.pause == FIRST_PAUSE && self.next > 0;
                self.counts
                    .gaps
                    .fetch_add(u64::from(gap), Ordering::Relaxed);
                return Err(self.away(&problem));
            }
        };
        self.pause = FIRST_PAUSE;
        let lost = std::mem::take(&mut camera.lost);
        self.counts.lost.fetch_add(lost, Ordering::Relaxed);
        frame.index = self.next;
        frame.stream_time = self.arrivals.stamp(self.clock.now());
        frame.name = None;
        self.next += 1;
        decoded.map_err(|reason| Error::Frame {
            name: self.name.clone(),
            index: frame.index,
            reason,
        })?;
        Ok(Status::Frame)
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting")
            .field("name", &self.name)
            .field("wish", &self.wish)
            .field("next", &self.next)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
