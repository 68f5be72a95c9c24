//! What can be wrong with a camera, and what to do about it.

use std::io;
use std::time::Duration;

use super::{FORMATS, FourCc};

/// What is wrong with a camera.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is none.
    #[error("there is no such camera: is it plugged in? `reid doctor` lists those there are")]
    Missing,

    /// This build has no cameras.
    #[error("this build has no cameras: on Linux, build with `--features camera`")]
    Absent,

    /// There was one.
    #[error("the camera has gone: is it unplugged?")]
    Gone,

    /// Another program has it.
    #[error("another program uses the camera: stop that one (`fuser -v /dev/video*` names it)")]
    Busy,

    /// The user may not use it.
    #[error("no permission to use the camera: `sudo usermod -aG video $USER`, then log in again")]
    Denied,

    /// It gives no frames.
    #[error("the camera gave no frame in {0:?}: plug it in anew, or into another port")]
    Silent(Duration),

    /// The device is something else, for example the part of a camera that gives metadata.
    #[error(
        "the device gives no pictures: another one of the same camera does, `reid doctor` lists them"
    )]
    NoCamera,

    /// It hands its pictures over in a way that this build does not speak.
    #[error(
        "the camera's driver speaks the multi-planar V4L2 only, which is not supported: pipe it in, \
         `gst-launch-1.0 -q v4l2src device=/dev/video... ! videoconvert ! jpegenc ! fdsink | reid run -`"
    )]
    Planes,

    /// It gives pictures that are not understood.
    #[error(
        "the camera gives {found}, wanted {}{}",
        list(&FORMATS),
        if offered.is_empty() { String::new() } else { format!("; it offers {}", list(offered)) }
    )]
    Format {
        /// What it gives, or what it was to give.
        found: FourCc,
        /// What it says that it has.
        offered: Vec<FourCc>,
    },

    /// It has no such setting.
    #[error("the camera has no setting `{name}`; it has {}", known.join(", "))]
    Control {
        /// What was asked for.
        name: String,
        /// Those that it has, with their ranges.
        known: Vec<String>,
    },

    /// The value of a setting is outside of its range.
    #[error("the camera's setting {control} cannot be {value}")]
    Value {
        /// The setting and its range.
        control: String,
        /// What was asked for.
        value: i64,
    },

    /// Anything else, in the driver's words.
    #[error("{0}")]
    Other(String),
}

// The numbers of Linux, the same for x86-64 and aarch64.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENXIO: i32 = 6;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
pub(super) const ENODEV: i32 = 19;
const ENOTTY: i32 = 25;

impl Problem {
    /// What an error of the system means, while the camera was asked to do `what`.
    #[must_use]
    pub fn of(what: &str, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(EPERM | EACCES) => Self::Denied,
            Some(ENOENT) => Self::Missing,
            Some(EIO | ENXIO | ENODEV) => Self::Gone,
            Some(EBUSY) => Self::Busy,
            Some(ENOTTY) => Self::NoCamera,
            _ => Self::Other(format!("the camera refuses to {what}: {error}")),
        }
    }

    /// Whether the device has vanished.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    /// Whether it may pass without anybody changing what was asked for.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Missing | Self::Gone | Self::Busy | Self::Silent(_) | Self::Other(_)
        )
    }
}

fn list(formats: &[FourCc]) -> String {
    let names: Vec<_> = formats.iter().map(FourCc::to_string).collect();
    names.join(", ")
}
