//! V4L2 cameras: [`open`] finds one by path or name, negotiates a format, and reads its frames; a
//! camera that fails is opened again.
//!
//! Drivers give another format than the requested one without an error, pad rows, deliver short
//! buffers and disappear. So the negotiated format is obeyed, and every frame is checked against it.
//! Tests script a `Device`; the one that calls the kernel decides nothing.

mod device;
mod find;
mod problem;
mod reconnect;

#[cfg(not(all(feature = "camera", target_os = "linux")))]
#[path = "camera/absent.rs"]
mod kernel;
#[cfg(all(feature = "camera", target_os = "linux"))]
mod kernel;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use self::device::{Control, Device, Format};
pub use self::device::{FourCc, Offer};
pub use self::find::CameraInfo;
use self::find::VideoDevice;
pub use self::problem::Problem;
pub use self::reconnect::{CameraCounts, ReconnectingCamera};
use crate::clock::Clock;
use crate::picture::{START, check_size};
use crate::yuv::{self, Plane, Range};
use crate::{Frame, Result};

/// The longest time that a read waits before it checks for cancellation.
const POLL: Duration = Duration::from_millis(200);

/// Supported formats in the order of preference: Motion-JPEG first, because a USB 2 cable carries
/// 720p at full rate in no other.
pub const FORMATS: [FourCc; 4] = [
    FourCc(*b"MJPG"),
    FourCc(*b"YUYV"),
    FourCc(*b"NV12"),
    FourCc(*b"GREY"),
];

/// The format and settings requested of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraRequest {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Frames per second; the driver's default if absent.
    pub fps: Option<u32>,
    /// One of [`FORMATS`]; if absent, the first of them that the camera offers.
    pub format: Option<FourCc>,
    /// Settings such as `brightness` or `exposure_time_absolute`, by the names of `v4l2-ctl` or by
    /// number.
    pub controls: BTreeMap<String, i64>,
    /// How long a camera may deliver no frame before it is opened again.
    pub timeout: Duration,
}

impl Default for CameraRequest {
    fn default() -> Self {
        Self {
            size: (1280, 720),
            fps: None,
            format: None,
            controls: BTreeMap::new(),
            timeout: Duration::from_secs(5),
        }
    }
}

/// Opens the camera that `spec` names: a path such as `/dev/video0`, or a part of a name as `reid
/// doctor` lists them, whatever its case.
///
/// The source is live: read it through a [`Slot`](crate::slot::Slot) with
/// [`Policy::Newest`](crate::slot::Policy::Newest), whose token cancels `clock`.
///
/// # Errors
/// [`Error::Failed`](crate::Error::Failed) if there is no such camera, permission is missing, or it has
/// nothing of what is requested. That it is busy or silent is an error of reading, which tries again.
pub fn open(
    spec: &str,
    request: CameraRequest,
    clock: Box<dyn Clock>,
) -> Result<ReconnectingCamera> {
    let owned = spec.to_owned();
    let connect = move || {
        // Most cameras have a second device of the same name, which delivers no pictures.
        let mut last = kernel::NONE_FOUND;
        for device in find::devices_of(Path::new(find::CLASS), &owned) {
            match kernel::open(&device.path) {
                Ok(camera) => return Ok(camera),
                Err(problem) => last = problem,
            }
        }
        Err(last)
    };
    ReconnectingCamera::new(spec.to_owned(), Box::new(connect), request, clock)
}

/// The cameras of this machine, with the formats that they offer or the reason why they do not work.
#[must_use]
pub fn list() -> Vec<CameraInfo> {
    let info = |VideoDevice { path, name }| {
        let offers = kernel::open(&path).and_then(|mut camera| camera.offers());
        let (formats, problem) = match offers {
            // The metadata device of a camera, or a codec.
            Err(Problem::NoCamera) => return None,
            Ok(formats) => (formats, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        Some(CameraInfo {
            path,
            name,
            formats,
            problem,
        })
    };
    let devices = find::devices(Path::new(find::CLASS));
    devices.into_iter().filter_map(info).collect()
}

/// A device that has been set up and started.
struct Camera {
    device: Box<dyn Device>,
    format: Format,
    /// The driver's number of the last frame.
    sequence: Option<u32>,
    lost: u64,
}

impl Camera {
    /// Negotiates the requested format with `device` and starts it.
    fn start(mut device: Box<dyn Device>, request: &CameraRequest) -> Result<Self, Problem> {
        let fourcc = choose(&device.offers()?, request.format)?;
        let (width, height) = request.size;
        let format = device.set_format(Format {
            fourcc,
            width,
            height,
            // Otherwise the driver keeps its stride for another width.
            stride: 0,
            size: 0,
            range: None,
        })?;
        check(&format)?;
        if let Some(fps) = request.fps {
            device.set_rate(fps)?;
        }
        set_controls(device.as_mut(), &request.controls)?;
        device.start()?;
        Ok(Self {
            device,
            format,
            sequence: None,
            lost: 0,
        })
    }

    /// The difference between the requested and the negotiated format, if there is one.
    fn format_note(&self, request: &CameraRequest) -> Option<String> {
        let Format {
            fourcc,
            width,
            height,
            ..
        } = self.format;
        let other = request.format.is_some_and(|format| format != fourcc);
        (other || (width, height) != request.size).then(|| {
            let (w, h) = request.size;
            let requested = request.format.map_or_else(String::new, |f| format!("{f} "));
            format!("requested {requested}{w} x {h}, the camera gives {fourcc} {width} x {height}")
        })
    }

    /// Waits for the next frame and decodes it. The inner error is that of one frame.
    fn read(
        &mut self,
        timeout: Duration,
        clock: &dyn Clock,
        frame: &mut Frame,
    ) -> Result<Option<Result<(), String>>, Problem> {
        let mut waited = Duration::ZERO;
        let buffer = loop {
            if clock.is_cancelled() {
                return Ok(None);
            }
            // The sum of the waits, because the clock may jump.
            let wait = POLL.min(timeout.saturating_sub(waited));
            if wait.is_zero() {
                return Err(Problem::Silent(timeout));
            }
            if self.device.wait(wait)? {
                break self.device.next()?;
            }
            waited += wait;
        };
        if let Some(before) = self.sequence.replace(buffer.sequence) {
            // Some drivers never count, some restart at 0.
            let gap = buffer.sequence.wrapping_sub(before);
            if (2..1 << 16).contains(&gap) {
                self.lost += u64::from(gap - 1);
            }
        }
        if buffer.damaged {
            return Ok(Some(Err("the driver marks it as damaged".to_owned())));
        }
        Ok(Some(decode(&self.format, buffer.bytes, frame)))
    }
}

/// The format to request: `requested`, or the first supported one that the camera offers.
fn choose(offers: &[Offer], requested: Option<FourCc>) -> Result<FourCc, Problem> {
    let unsupported = |found| Problem::Format {
        found,
        offered: offers.iter().map(|offer| offer.fourcc).collect(),
    };
    if let Some(format) = requested {
        // Requested even if it is not offered: lists of drivers have gaps.
        let supported = FORMATS.contains(&format).then_some(format);
        return supported.ok_or_else(|| unsupported(format));
    }
    let Some(first) = offers.first() else {
        return Ok(FORMATS[0]);
    };
    let offered = |format: &FourCc| offers.iter().any(|offer| offer.fourcc == *format);
    let chosen = FORMATS.into_iter().find(offered);
    chosen.ok_or_else(|| unsupported(first.fourcc))
}

/// Whether frames of the negotiated format can be decoded.
fn check(format: &Format) -> Result<(), Problem> {
    if !FORMATS.contains(&format.fourcc) {
        return Err(Problem::Format {
            found: format.fourcc,
            offered: Vec::new(),
        });
    }
    check_size(format.width as usize, format.height as usize)
        .map(drop)
        .map_err(|error| Problem::Other(error.to_string()))
}

fn set_controls(device: &mut dyn Device, requested: &BTreeMap<String, i64>) -> Result<(), Problem> {
    if requested.is_empty() {
        return Ok(());
    }
    let known = device.controls()?;
    let mut refused = Vec::new();
    for (name, &value) in requested {
        let id = name.parse().ok();
        let Some(control) = known
            .iter()
            .find(|control| control.key() == *name || Some(control.id) == id)
        else {
            return Err(Problem::Control {
                name: name.clone(),
                known: known.iter().map(Control::to_string).collect(),
            });
        };
        if !(control.minimum..=control.maximum).contains(&value) {
            return Err(Problem::Value {
                control: control.to_string(),
                value,
            });
        }
        if device.set_control(control, value).is_err() {
            refused.push((control, value));
        }
    }
    // For example, an exposure can be set only after the automatic exposure is off.
    refused
        .into_iter()
        .try_for_each(|(control, value)| device.set_control(control, value))
}

/// Decodes the bytes of a frame.
fn decode(format: &Format, bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let (width, height) = (format.width as usize, format.height as usize);
    let range = format.range.unwrap_or(Range::Limited);
    if &format.fourcc.0 == b"MJPG" {
        if bytes.starts_with(&START) {
            return frame.decode_jpeg(bytes);
        }
        return Err(format!(
            "{} bytes that begin with `{}`, wanted a JPEG",
            bytes.len(),
            bytes[..bytes.len().min(4)].escape_ascii()
        ));
    }
    frame.resize(width, height)?;
    // Drivers without padding state a stride of 0.
    let plane = |bytes, least: usize| match format.stride as usize {
        0 => Plane {
            bytes,
            stride: least,
        },
        stride => Plane { bytes, stride },
    };
    match &format.fourcc.0 {
        b"YUYV" => {
            let plane = plane(bytes, width.div_ceil(2) * 4);
            yuv::yuyv(plane, (width, height), range, &mut frame.rgb)
        }
        b"NV12" => {
            let least = width.div_ceil(2) * 2;
            let luma_bytes = plane(bytes, least).stride.saturating_mul(height);
            let (luma, chroma) = bytes.split_at(luma_bytes.min(bytes.len()));
            let [luma, chroma] = [luma, chroma].map(|bytes| plane(bytes, least));
            yuv::nv12(luma, chroma, (width, height), range, &mut frame.rgb)
        }
        b"GREY" => {
            // Sensors without colour use the full range, unless the driver states another.
            let range = format.range.unwrap_or(Range::Full);
            yuv::grey(plane(bytes, width), (width, height), range, &mut frame.rgb)
        }
        _ => Err(format!("{} is not supported", format.fourcc)),
    }
}

#[cfg(test)]
mod tests;
