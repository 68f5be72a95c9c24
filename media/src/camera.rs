//! Cameras of V4L2: [`open`] finds one by path or name, asks it for a format, obeys the one
//! that it gives, and reads its frames; when it fails it is opened again and again.
//!
//! Drivers promise little. Asked for a format that they lack, they give another one without an
//! error; they pad rows; they deliver short buffers; they disappear. So what is asked for is a
//! wish, what comes back is obeyed, and every frame is checked against it. All of that is tested
//! with a scripted [`Device`]; the one that talks to the kernel decides nothing.

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

pub use self::device::{Buffer, Control, Device, Format, FourCc, Offer};
pub use self::find::{Info, Node};
pub use self::problem::Problem;
pub use self::reconnect::{Counts, Reconnecting};
use super::clock::Clock;
use super::decode::{self, START};
use super::yuv::{self, Plane, Range};
use super::{Frame, Result};

/// The longest time that a read waits without looking whether the work is to stop.
pub const POLL: Duration = Duration::from_millis(200);

/// Formats that are understood, the one that is asked for first in front: Motion-JPEG, because a
/// USB 2 cable carries 720p at full rate in no other.
pub const FORMATS: [FourCc; 4] = [
    FourCc(*b"MJPG"),
    FourCc(*b"YUYV"),
    FourCc(*b"NV12"),
    FourCc(*b"GREY"),
];

/// What is asked of a camera.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Frames per second; if absent, what the driver likes.
    pub fps: Option<u32>,
    /// One of [`FORMATS`]; if absent, the first of them that the camera offers.
    pub format: Option<FourCc>,
    /// Settings such as `brightness` or `exposure_time_absolute`, by the driver's name for them
    /// (see [`Control::key`]) or by number.
    pub controls: BTreeMap<String, i64>,
    /// How long a camera may give no frame before it is taken for dead.
    pub silence: Duration,
    /// Whether a camera that is not there when the program starts is waited for. One that is
    /// there later and then vanishes is always waited for.
    pub patient: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            size: (1280, 720),
            fps: None,
            format: None,
            controls: BTreeMap::new(),
            silence: Duration::from_secs(5),
            patient: false,
        }
    }
}

/// Opens the camera that `spec` names: a path such as `/dev/video0`, or a part of a name as `reid
/// doctor` lists them, whatever its case.
///
/// The source is live: read it through a [`super::slot::Slot`] that drops what is too old, with a
/// `clock` that the slot's stop wakes.
///
/// # Errors
/// [`super::Error::Failed`] if there is no such camera, it may not be used, or it has nothing of what was
/// wished. That it is busy or silent is found out by reading, and tried again.
pub fn open(spec: &str, wish: Wish, clock: Box<dyn Clock>) -> Result<Reconnecting> {
    let owned = spec.to_owned();
    let connect = move || {
        // Most cameras have a second device of the same name, which gives no pictures.
        let mut last = kernel::NONE_FOUND;
        for node in find::nodes_of(Path::new(find::CLASS), &owned) {
            match kernel::open(&node.path) {
                Ok(camera) => return Ok(camera),
                Err(problem) => last = problem,
            }
        }
        Err(last)
    };
    Reconnecting::new(spec.to_owned(), Box::new(connect), wish, clock)
}

/// The cameras of this machine, with what they offer or what is wrong with them.
#[must_use]
pub fn list() -> Vec<Info> {
    let info = |Node { path, name }| {
        let offers = kernel::open(&path).and_then(|mut camera| camera.offers());
        let (formats, problem) = match offers {
            // The other half of a camera, or a codec.
            Err(Problem::NoCamera) => return None,
            Ok(formats) => (formats, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        Some(Info {
            path,
            name,
            formats,
            problem,
        })
    };
    let nodes = find::nodes(Path::new(find::CLASS));
    nodes.into_iter().filter_map(info).collect()
}

/// A device that has been set up and started.
struct Camera {
    device: Box<dyn Device>,
    format: Format,
    /// Number that the driver gave to the last frame.
    sequence: Option<u32>,
    lost: u64,
}

impl Camera {
    /// Asks `device` for what is wished, obeys what it gives, and starts it.
    fn start(mut device: Box<dyn Device>, wish: &Wish) -> Result<Self, Problem> {
        let fourcc = choose(&device.offers()?, wish.format)?;
        let (width, height) = wish.size;
        let format = device.set_format(Format {
            fourcc,
            width,
            height,
            // Or the driver keeps the stride that it had for another width.
            stride: 0,
            size: 0,
            range: None,
        })?;
        check(&format)?;
        if let Some(fps) = wish.fps {
            device.set_rate(fps)?;
        }
        set_controls(device.as_mut(), &wish.controls)?;
        device.start()?;
        Ok(Self {
            device,
            format,
            sequence: None,
            lost: 0,
        })
    }

    /// What was granted, if that is not what was wished.
    fn surprise(&self, wish: &Wish) -> Option<String> {
        let Format {
            fourcc,
            width,
            height,
            ..
        } = self.format;
        let other = wish.format.is_some_and(|wished| wished != fourcc);
        (other || (width, height) != wish.size).then(|| {
            let (w, h) = wish.size;
            let wished = wish.format.map_or_else(String::new, |f| format!("{f} "));
            format!("asked for {wished}{w} x {h}, it gives {fourcc} {width} x {height}")
        })
    }

    /// Waits for the next frame and decodes it. The inner error is that of one frame.
    fn read(
        &mut self,
        silence: Duration,
        clock: &dyn Clock,
        frame: &mut Frame,
    ) -> Result<Option<Result<(), String>>, Problem> {
        let mut waited = Duration::ZERO;
        let buffer = loop {
            if clock.stopped() {
                return Ok(None);
            }
            // By the time asked for, not by the clock: that one may jump.
            let patience = POLL.min(silence.saturating_sub(waited));
            if patience.is_zero() {
                return Err(Problem::Silent(silence));
            }
            if self.device.wait(patience)? {
                break self.device.next()?;
            }
            waited += patience;
        };
        if let Some(before) = self.sequence.replace(buffer.sequence) {
            // Some drivers never count, some begin again at 0.
            let gap = buffer.sequence.wrapping_sub(before);
            if (2..1 << 16).contains(&gap) {
                self.lost += u64::from(gap - 1);
            }
        }
        if buffer.damaged {
            return Ok(Some(Err("the driver says that it is damaged".to_owned())));
        }
        Ok(Some(decode(&self.format, buffer.bytes, frame)))
    }
}

/// The format to ask for: what is wished, or the first that the camera offers and that is
/// understood.
fn choose(offers: &[Offer], wished: Option<FourCc>) -> Result<FourCc, Problem> {
    let offered = || offers.iter().map(|offer| offer.fourcc).collect();
    match wished {
        Some(wished) if !FORMATS.contains(&wished) => Err(Problem::Format {
            found: wished,
            offered: offered(),
        }),
        // Asked for even if it is not offered: lists of drivers have gaps.
        Some(wished) => Ok(wished),
        None => FORMATS
            .into_iter()
            .find(|known| offers.iter().any(|offer| offer.fourcc == *known))
            .or_else(|| offers.is_empty().then_some(FORMATS[0]))
            .ok_or_else(|| Problem::Format {
                found: offers[0].fourcc,
                offered: offered(),
            }),
    }
}

/// Whether frames of what the driver granted can be decoded.
fn check(format: &Format) -> Result<(), Problem> {
    if !FORMATS.contains(&format.fourcc) {
        return Err(Problem::Format {
            found: format.fourcc,
            offered: Vec::new(),
        });
    }
    decode::check_size(format.width as usize, format.height as usize)
        .map(drop)
        .map_err(Problem::Other)
}

fn set_controls(device: &mut dyn Device, wished: &BTreeMap<String, i64>) -> Result<(), Problem> {
    if wished.is_empty() {
        return Ok(());
    }
    let known = device.controls()?;
    let mut refused = Vec::new();
    for (name, &value) in wished {
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
    // An exposure, for example, can be set only once the automatic one is off.
    refused
        .into_iter()
        .try_for_each(|(control, value)| device.set_control(control, value))
}

/// Decodes the bytes of a frame.
fn decode(format: &Format, bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let (width, height) = (format.width as usize, format.height as usize);
    let range = format.range.unwrap_or(Range::Limited);
    // Drivers that know no padding say 0.
    let stride = |least: usize| match format.stride as usize {
        0 => least,
        stride => stride,
    };
    match &format.fourcc.0 {
        b"MJPG" => {
            if !bytes.starts_with(&START) {
                let found = &bytes[..bytes.len().min(4)];
                return Err(format!(
                    "{} bytes that begin with `{}`, wanted a JPEG",
                    bytes.len(),
                    found.escape_ascii()
                ));
            }
            decode::jpeg(bytes, frame)
        }
        b"YUYV" => {
            let plane = Plane {
                bytes,
                stride: stride(width.div_ceil(2) * 4),
            };
            decode::resize(frame, width, height)?;
            yuv::yuyv(plane, (width, height), range, &mut frame.rgb)
        }
        b"NV12" => {
            let stride = stride(width.div_ceil(2) * 2);
            let luma_bytes = stride.saturating_mul(height).min(bytes.len());
            let (luma, chroma) = bytes.split_at(luma_bytes);
            let [luma, chroma] = [luma, chroma].map(|bytes| Plane { bytes, stride });
            decode::resize(frame, width, height)?;
            yuv::nv12(luma, chroma, (width, height), range, &mut frame.rgb)
        }
        b"GREY" => {
            let plane = Plane {
                bytes,
                stride: stride(width),
            };
            decode::resize(frame, width, height)?;
            // Sensors without colour use all numbers, unless the driver says otherwise.
            let range = format.range.unwrap_or(Range::Full);
            yuv::grey(plane, (width, height), range, &mut frame.rgb)
        }
        _ => Err(format!("{} is not understood", format.fourcc)),
    }
}

#[cfg(test)]
mod tests;
