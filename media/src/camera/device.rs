//! What a camera can be asked, so that tests can script one.

use std::fmt;
use std::time::Duration;

use super::Problem;
use crate::yuv::Range;

/// A camera, as a driver shows it.
pub trait Device: Send {
    /// Formats that it says it has.
    ///
    /// # Errors
    /// As for all of these calls: what the driver said.
    fn offers(&mut self) -> Result<Vec<Offer>, Problem>;

    /// Asks for a format; returns the one that it gives.
    ///
    /// # Errors
    /// What the driver said.
    fn set_format(&mut self, wished: Format) -> Result<Format, Problem>;

    /// Asks for a frame rate; the driver takes what comes closest.
    ///
    /// # Errors
    /// What the driver said.
    fn set_rate(&mut self, fps: u32) -> Result<(), Problem>;

    /// Settings that it has.
    ///
    /// # Errors
    /// What the driver said.
    fn controls(&mut self) -> Result<Vec<Control>, Problem>;

    /// Changes a setting.
    ///
    /// # Errors
    /// What the driver said.
    fn set_control(&mut self, control: &Control, value: i64) -> Result<(), Problem>;

    /// Begins to capture.
    ///
    /// # Errors
    /// What the driver said.
    fn start(&mut self) -> Result<(), Problem>;

    /// Waits for a frame, at most for `timeout`; whether there is one.
    ///
    /// # Errors
    /// What the driver said.
    fn wait(&mut self, timeout: Duration) -> Result<bool, Problem>;

    /// The frame that was waited for.
    ///
    /// # Errors
    /// What the driver said.
    fn next(&mut self) -> Result<Buffer<'_>, Problem>;
}

/// A frame as the driver delivers it.
#[derive(Debug, Clone, Copy)]
pub struct Buffer<'a> {
    /// What it filled, in the format that it gave.
    pub bytes: &'a [u8],
    /// Number of the frame. Gaps are frames that the driver dropped.
    pub sequence: u32,
    /// Whether the driver says that the frame is damaged.
    pub damaged: bool,
}

/// How pixels lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// What the pixels are.
    pub fourcc: FourCc,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from one row to the next, 0 if the driver does not say.
    pub stride: u32,
    /// The most bytes of a frame, 0 if the driver does not say.
    pub size: u32,
    /// Which numbers black and white are, if the driver says so.
    pub range: Option<Range>,
}

/// Four letters that name a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

/// A format that a camera has, and its sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The format.
    pub fourcc: FourCc,
    /// Width and height in pixels; for cameras that scale, the smallest and the largest.
    pub sizes: Vec<(u32, u32)>,
}

/// A setting of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Number of the setting.
    pub id: u32,
    /// The driver's name for it, for example `Exposure Time, Absolute`.
    pub name: String,
    /// The least value.
    pub minimum: i64,
    /// The largest value.
    pub maximum: i64,
}

impl Control {
    /// The name as a configuration has it, and as `v4l2-ctl` does: `exposure_time_absolute`.
    #[must_use]
    pub fn key(&self) -> String {
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
