//! A [`Device`] of the kernel, through the crate `v4l`.
//!
//! It turns panics of `v4l` (names that are not UTF-8, numbers newer than itself) into errors, and
//! waits on the file, because a stream of `v4l` cannot be used after a time-out.

use std::io::{self, ErrorKind};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use v4l::buffer::{Flags as BufferFlags, Type};
use v4l::capability::Flags as Capability;
use v4l::control::{Control as Setting, Flags as ControlFlags, Type as Kind, Value};
use v4l::format::{Colorspace, FieldOrder, FourCC, Quantization};
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;

use super::device::Buffer;
use super::problem::ENODEV;
use super::{Control, Device, Format, FourCc, Offer, POLL, Problem};
use crate::slot::message;
use crate::yuv::Range;

/// Requested buffers: one being processed, one waiting, two to capture into.
const BUFFERS: u32 = 4;

/// `POLLIN` of Linux.
const READABLE: i16 = 1;

/// A camera of the kernel.
struct Camera {
    device: v4l::Device,
    stream: Option<Stream<'static>>,
}

/// The problem if no camera is listed.
pub(super) const NONE_FOUND: Problem = Problem::Missing;

/// Opens the camera at `path`.
pub(super) fn open(path: &Path) -> Result<Box<dyn Device>, Problem> {
    Ok(Box::new(Camera::open(path)?))
}

impl Camera {
    fn open(path: &Path) -> Result<Self, Problem> {
        // `v4l` panics on it.
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(Problem::Missing);
        }
        let device = call("be opened", || v4l::Device::with_path(path))?;
        let can = call("state its capabilities", || device.query_caps())?.capabilities;
        usable(can)?;
        Ok(Self {
            device,
            stream: None,
        })
    }

    fn stream(&mut self) -> Result<&mut Stream<'static>, Problem> {
        self.stream
            .as_mut()
            .ok_or_else(|| Problem::Other("the camera was not started".to_owned()))
    }
}

/// Whether a device with these capabilities is a camera that can be read.
fn usable(can: Capability) -> Result<(), Problem> {
    if can.contains(Capability::VIDEO_CAPTURE | Capability::STREAMING) {
        Ok(())
    } else if can.contains(Capability::VIDEO_CAPTURE_MPLANE) {
        Err(Problem::Planes)
    } else {
        Err(Problem::NoCamera)
    }
}

/// Calls the driver to do `what`.
fn call<T>(what: &str, request: impl FnOnce() -> io::Result<T>) -> Result<T, Problem> {
    match catch_unwind(AssertUnwindSafe(request)) {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Problem::of(what, &error)),
        Err(panic) => Err(Problem::Other(format!(
            "the camera was asked to {what}, and its answer is not supported: {}",
            message(&*panic)
        ))),
    }
}

impl Device for Camera {
    fn offers(&mut self) -> Result<Vec<Offer>, Problem> {
        let formats = call("list its formats", || self.device.enum_formats())?;
        let offer = |fourcc: FourCC| {
            let sizes = self.device.enum_framesizes(fourcc).unwrap_or_default();
            let sizes = sizes.into_iter().flat_map(|size| match size.size {
                FrameSizeEnum::Discrete(one) => vec![(one.width, one.height)],
                FrameSizeEnum::Stepwise(range) => vec![
                    (range.min_width, range.min_height),
                    (range.max_width, range.max_height),
                ],
            });
            Offer {
                fourcc: FourCc(fourcc.repr),
                sizes: sizes.collect(),
            }
        };
        Ok(formats.iter().map(|format| offer(format.fourcc)).collect())
    }

    fn set_format(&mut self, requested: Format) -> Result<Format, Problem> {
        let fourcc = FourCC::new(&requested.fourcc.0);
        let mut format = v4l::Format::new(requested.width, requested.height, fourcc);
        format.field_order = FieldOrder::Progressive;
        format.stride = requested.stride;
        format.size = requested.size;
        let given = call("take a format", || self.device.set_format(&format))?;
        Ok(Format {
            fourcc: FourCc(given.fourcc.repr),
            width: given.width,
            height: given.height,
            stride: given.stride,
            size: given.size,
            range: match (given.quantization, given.colorspace) {
                (Quantization::LimitedRange, _) => Some(Range::Limited),
                (Quantization::FullRange, _) | (_, Colorspace::JPEG) => Some(Range::Full),
                (Quantization::Default, _) => None,
            },
        })
    }

    fn set_rate(&mut self, fps: u32) -> Result<(), Problem> {
        // Drivers with a single rate refuse the call.
        match self.device.set_params(&Parameters::with_fps(fps)) {
            Err(error) if Problem::of("", &error).is_gone() => Err(Problem::Gone),
            _ => Ok(()),
        }
    }

    fn controls(&mut self) -> Result<Vec<Control>, Problem> {
        let listed = call("list its settings", || match self.device.query_controls() {
            Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(Vec::new()),
            listed => listed,
        })?;
        let kinds = [
            Kind::Integer,
            Kind::Boolean,
            Kind::Menu,
            Kind::Integer64,
            Kind::Bitmask,
            Kind::IntegerMenu,
        ];
        let usable = listed.into_iter().filter(|control| {
            kinds.contains(&control.typ)
                && !control
                    .flags
                    .intersects(ControlFlags::DISABLED | ControlFlags::READ_ONLY)
        });
        let control = usable.map(|control| Control {
            id: control.id,
            name: control.name,
            minimum: control.minimum,
            maximum: control.maximum,
        });
        Ok(control.collect())
    }

    fn set_control(&mut self, control: &Control, value: i64) -> Result<(), Problem> {
        let setting = Setting {
            id: control.id,
            value: Value::Integer(value),
        };
        let set = self.device.set_control(setting);
        set.map_err(|error| match Problem::of("", &error) {
            Problem::Gone => Problem::Gone,
            // Busy and forbidden refer to the setting here, not to the camera.
            _ => Problem::Other(format!(
                "the camera refuses to set {control} to {value}: {error}"
            )),
        })
    }

    fn start(&mut self) -> Result<(), Problem> {
        self.stream = None;
        let stream = call("start", || {
            let mut stream = Stream::with_buffers(&self.device, Type::VideoCapture, BUFFERS)?;
            // `next` returns the buffer before (at first number 0) to the driver and then waits for a
            // frame. Starting here lets `wait` come before it. A time-out inside of `next`, after
            // which it cannot be called again, remains for drivers that announce a missing frame.
            for index in 1..BUFFERS as usize {
                match CaptureStream::queue(&mut stream, index) {
                    // The driver gave fewer buffers.
                    Err(error) if index > 1 && error.kind() == ErrorKind::InvalidInput => break,
                    queued => queued?,
                }
            }
            stream.start()?;
            stream.set_timeout(POLL);
            Ok(stream)
        })?;
        self.stream = Some(stream);
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Problem> {
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        match self.stream()?.handle().poll(READABLE, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            polled => polled
                .map(|ready| ready > 0)
                .map_err(|error| Problem::of("wait for a frame", &error)),
        }
    }

    fn next(&mut self) -> Result<Buffer<'_>, Problem> {
        let (bytes, meta) = CaptureStream::next(self.stream()?)
            .map_err(|error| Problem::of("give a frame", &error))?;
        Ok(Buffer {
            bytes: &bytes[..bytes.len().min(meta.bytesused as usize)],
            sequence: meta.sequence,
            damaged: meta.flags.contains(BufferFlags::ERROR),
        })
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        // `v4l` panics when a stream cannot be stopped, and again when its buffers cannot be
        // released, which would abort the program. ENODEV is the only error that it handles.
        match stream.stop() {
            Err(error) if error.raw_os_error() != Some(ENODEV) => mem::forget(stream),
            _ => drop(stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As far as the kernel can be asked without a camera.
    #[test]
    fn devices_that_are_no_cameras_are_refused() {
        let problem = |path: &str| Camera::open(Path::new(path)).err().unwrap();
        assert!(matches!(problem("/dev/video4095"), Problem::Missing));
        assert!(matches!(problem("/dev/\0"), Problem::Missing));
        assert!(matches!(problem("/dev/null"), Problem::NoCamera));
    }

    #[test]
    fn capabilities_decide_what_a_device_is() {
        const STREAMING: Capability = Capability::STREAMING;
        let name = |can| match usable(can) {
            Ok(()) => "camera",
            Err(Problem::Planes) => "planes",
            Err(_) => "no camera",
        };
        for (can, wanted) in [
            (Capability::VIDEO_CAPTURE | STREAMING, "camera"),
            (
                Capability::VIDEO_CAPTURE | Capability::VIDEO_CAPTURE_MPLANE | STREAMING,
                "camera",
            ),
            (Capability::VIDEO_CAPTURE_MPLANE | STREAMING, "planes"),
            (Capability::VIDEO_M2M_MPLANE | STREAMING, "no camera"),
            (Capability::VIDEO_CAPTURE, "no camera"),
            (STREAMING, "no camera"),
        ] {
            assert_eq!(name(can), wanted, "{can}");
        }
    }
}
