//! Why a camera does not work, and the remedy.

use std::io;
use std::time::Duration;

use super::{FORMATS, FourCc};

/// Why a camera does not work.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no such camera.
    #[error("there is no such camera: is it plugged in? `reid doctor` lists those there are")]
    Missing,

    /// This build has no camera support.
    #[error("this build has no cameras: on Linux, build with `--features camera`")]
    Absent,

    /// It was disconnected.
    #[error("the camera is disconnected: is it unplugged?")]
    Gone,

    /// Another program has it.
    #[error("another program uses the camera: stop that one (`fuser -v /dev/video*` names it)")]
    Busy,

    /// The user has no permission.
    #[error("no permission to use the camera: `sudo usermod -aG video $USER`, then log in again")]
    Denied,

    /// It delivers no frames.
    #[error("the camera gave no frame in {0:?}: plug it in anew, or into another port")]
    Silent(Duration),

    /// The device is something else, for example the part of a camera that gives metadata.
    #[error(
        "the device gives no pictures: another one of the same camera does, `reid doctor` lists them"
    )]
    NoCamera,

    /// Its driver has the multi-planar interface, which is not supported.
    #[error(
        "the camera's driver has the multi-planar V4L2 interface only, which is not supported: pipe it in, \
         `gst-launch-1.0 -q v4l2src device=/dev/video... ! videoconvert ! jpegenc ! fdsink | reid run -`"
    )]
    Planes,

    /// It delivers an unsupported format.
    #[error(
        "the camera gives {found}, wanted {}{}",
        list(&FORMATS),
        if offered.is_empty() { String::new() } else { format!("; it offers {}", list(offered)) }
    )]
    Format {
        /// The negotiated or the requested format.
        found: FourCc,
        /// The formats that it offers.
        offered: Vec<FourCc>,
    },

    /// It has no such setting.
    #[error("the camera has no setting `{name}`; it has {}", known.join(", "))]
    Control {
        /// The requested setting.
        name: String,
        /// Its settings with their ranges.
        known: Vec<String>,
    },

    /// The value of a setting is outside of its range.
    #[error("the camera's setting {control} cannot be {value}")]
    Value {
        /// The setting and its range.
        control: String,
        /// The requested value.
        value: i64,
    },

    /// Any other error of the driver.
    #[error("{0}")]
    Other(String),
}

// Error numbers of Linux, the same for x86-64 and aarch64.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EIO: i32 = 5;
const ENXIO: i32 = 6;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
pub(super) const ENODEV: i32 = 19;
const ENOTTY: i32 = 25;

impl Problem {
    /// The problem that a system error means, while the camera was asked to do `what`.
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

    /// Whether the camera is disconnected.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }

    /// Whether waiting may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
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
