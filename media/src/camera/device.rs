//! The interface of a camera driver, so that tests can script one.

use std::fmt;
use std::time::Duration;

use super::Problem;
use crate::yuv::Range;

/// A camera driver. Every method returns the error of the driver.
pub(crate) trait Device: Send {
    /// The formats that it offers.
    fn offers(&mut self) -> Result<Vec<Offer>, Problem>;

    /// Requests a format; returns the negotiated one.
    fn set_format(&mut self, requested: Format) -> Result<Format, Problem>;

    /// Requests a frame rate; the driver takes the closest one.
    fn set_rate(&mut self, fps: u32) -> Result<(), Problem>;

    /// Its settings.
    fn controls(&mut self) -> Result<Vec<Control>, Problem>;

    /// Changes a setting.
    fn set_control(&mut self, control: &Control, value: i64) -> Result<(), Problem>;

    /// Starts to capture.
    fn start(&mut self) -> Result<(), Problem>;

    /// Waits for a frame, at most for `timeout`; returns whether there is one.
    fn wait(&mut self, timeout: Duration) -> Result<bool, Problem>;

    /// The frame after [`Device::wait`].
    fn next(&mut self) -> Result<Buffer<'_>, Problem>;
}

/// A frame of the driver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffer<'a> {
    /// The bytes, in the negotiated format.
    pub(crate) bytes: &'a [u8],
    /// Number of the frame. Gaps are frames that the driver dropped.
    pub(crate) sequence: u32,
    /// Whether the driver marks the frame as damaged.
    pub(crate) damaged: bool,
}

/// Layout of pixels in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// Pixel format.
    pub(crate) fourcc: FourCc,
    /// Width in pixels.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
    /// Bytes from one row to the next, 0 if the driver does not state it.
    pub(crate) stride: u32,
    /// The most bytes of a frame, 0 if the driver does not state it.
    pub(crate) size: u32,
    /// Range of the samples, if the driver states it.
    pub(crate) range: Option<Range>,
}

/// Four letters that name a pixel format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// A format that a camera offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The format.
    pub fourcc: FourCc,
    /// Width and height in pixels; for cameras that scale, the smallest and the largest.
    pub sizes: Vec<(u32, u32)>,
}

/// A setting of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    /// Number of the setting.
    pub(crate) id: u32,
    /// The driver's name for it, for example `Exposure Time, Absolute`.
    pub(crate) name: String,
    /// The least value.
    pub(crate) minimum: i64,
    /// The largest value.
    pub(crate) maximum: i64,
}

impl Control {
    /// The name in a configuration, the same as in `v4l2-ctl`: `exposure_time_absolute`.
    pub(crate) fn key(&self) -> String {
        let mut key = String::new();
        for letter in self.name.chars() {
            if letter.is_ascii_alphanumeric() {
                key.push(letter.to_ascii_lowercase());
            } else if !key.is_empty() && !key.ends_with('_') {
                key.push('_');
            }
        }
        key.truncate(key.trim_end_matches('_').len());
        key
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            minimum, maximum, ..
        } = self;
        write!(f, "{} ({minimum} to {maximum})", self.key())
    }
}
