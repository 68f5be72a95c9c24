//! A camera that is opened again whenever it fails.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Camera, CameraRequest, Device, Problem};
use crate::clock::{Arrivals, Clock};
use crate::{Error, Frame, Result, Source, Status};

/// The first pause before a camera is opened again, and the longest; each doubles the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Finds the device: after it was plugged in again its path may differ.
type Connect = Box<dyn FnMut() -> Result<Box<dyn Device>, Problem> + Send>;

/// A camera as a [`Source`] that ends only when it is cancelled. While the camera is disconnected,
/// each read waits longer than the one before, tries once, and fails with [`Error::Disconnected`].
pub struct ReconnectingCamera {
    name: String,
    connect: Connect,
    request: CameraRequest,
    clock: Box<dyn Clock>,
    camera: Option<Camera>,
    pause: Duration,
    arrivals: Arrivals,
    next: u64,
    counts: Arc<CameraCounts>,
}

/// Frames and times without a frame, readable while another thread reads the camera.
#[derive(Debug, Default)]
pub struct CameraCounts {
    gaps: AtomicU64,
    lost: AtomicU64,
}

impl CameraCounts {
    /// How often the camera failed after it had delivered frames.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// Frames that the driver dropped because no buffer was free, if it counts them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl ReconnectingCamera {
    /// Opens the camera for the first time.
    ///
    /// # Errors
    /// [`Error::Failed`] for a missing camera, and for problems that waiting does not change.
    pub(super) fn new(
        name: String,
        connect: Connect,
        request: CameraRequest,
        clock: Box<dyn Clock>,
    ) -> Result<Self> {
        let mut source = Self {
            name,
            connect,
            request,
            clock,
            camera: None,
            pause: FIRST_PAUSE,
            arrivals: Arrivals::default(),
            next: 0,
            counts: Arc::default(),
        };
        match source.connect() {
            Err(problem) if !problem.is_transient() || matches!(problem, Problem::Missing) => {
                return Err(Error::failed(&source.name, problem.to_string()));
            }
            // The first read reports any other failure.
            _ => {}
        }
        Ok(source)
    }

    /// The difference between the requested and the negotiated format, if there is one and the camera
    /// is connected.
    #[must_use]
    pub fn format_note(&self) -> Option<String> {
        self.camera.as_ref()?.format_note(&self.request)
    }

    /// Counts of missing frames, which stay up to date.
    #[must_use]
    pub fn counts(&self) -> Arc<CameraCounts> {
        self.counts.clone()
    }

    fn connect(&mut self) -> Result<(), Problem> {
        let device = (self.connect)()?;
        self.camera = Some(Camera::start(device, &self.request)?);
        Ok(())
    }

    /// Closes the camera; the error names the problem and the time of the next try.
    fn disconnect(&mut self, problem: &Problem) -> Error {
        self.camera = None;
        let pause = self.pause.as_secs_f32();
        Error::Disconnected {
            name: self.name.clone(),
            reason: format!("{problem}; the next try is in {pause} s"),
        }
    }
}

impl Source for ReconnectingCamera {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        if self.camera.is_none() {
            self.clock.wait(self.pause);
            if self.clock.is_cancelled() {
                return Ok(Status::End);
            }
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            self.connect()
                .map_err(|problem| self.disconnect(&problem))?;
        }
        let camera = self.camera.as_mut().expect("`connect` has made one");
        let read = camera.read(self.request.timeout, self.clock.as_ref(), frame);
        let decoded = match read {
            Ok(Some(decoded)) => decoded,
            Ok(None) => return Ok(Status::End),
            Err(problem) => {
                // A camera that opens but delivers nothing ends no sequence of frames.
                let gap = self.pause == FIRST_PAUSE && self.next > 0;
                self.counts
                    .gaps
                    .fetch_add(u64::from(gap), Ordering::Relaxed);
                return Err(self.disconnect(&problem));
            }
        };
        self.pause = FIRST_PAUSE;
        let lost = std::mem::take(&mut camera.lost);
        self.counts.lost.fetch_add(lost, Ordering::Relaxed);
        frame.stamp(self.next, self.arrivals.stamp(self.clock.now()));
        self.next += 1;
        decoded.map_err(|reason| Error::frame(&self.name, frame.index, reason))?;
        Ok(Status::Frame)
    }
}

impl fmt::Debug for ReconnectingCamera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectingCamera")
            .field("name", &self.name)
            .field("request", &self.request)
            .field("next", &self.next)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
