//! A decoded frame and the time it was taken at.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::picture;

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    /// Position in its source, from 0. Frames that could not be decoded count.
    pub index: u64,
    /// Time since the first frame, by the source's frame rate or by the time of arrival.
    pub stream_time: Duration,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// The pixels: rows from the top, each of `width` pixels of red, green, blue; `[height, width,
    /// 3]`, u8. The buffer is reused from frame to frame.
    pub rgb: Vec<u8>,
    /// File of this picture when it comes from a set of images: the path below the folder that was
    /// opened, else the path itself.
    pub name: Option<String>,
}

impl Frame {
    /// Numbers and times a frame that has no file of its own.
    pub(crate) fn stamp(&mut self, index: u64, stream_time: Duration) {
        self.index = index;
        self.stream_time = stream_time;
        self.name = None;
    }

    /// Decodes an image file, upright.
    pub(crate) fn decode(&mut self, bytes: &[u8]) -> Result<(), String> {
        let size = picture::decode(bytes, &mut self.rgb).map_err(|e| e.to_string())?;
        (self.width, self.height) = size;
        Ok(())
    }

    /// Decodes a JPEG as it is stored.
    pub(crate) fn decode_jpeg(&mut self, bytes: &[u8]) -> Result<(), String> {
        let size = picture::decode_frame(bytes, &mut self.rgb).map_err(|e| e.to_string())?;
        (self.width, self.height) = size;
        Ok(())
    }

    /// Makes room for a picture of that size, within the limits.
    pub(crate) fn resize(&mut self, width: usize, height: usize) -> Result<(), String> {
        let bytes = picture::check_size(width, height).map_err(|e| e.to_string())?;
        self.width = width;
        self.height = height;
        self.rgb.resize(bytes, 0);
        Ok(())
    }
}

/// Frames per second as an exact fraction, so that the time of a frame does not drift over days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    frames: u32,
    seconds: u32,
}

impl Rate {
    /// Default of a folder of images: 25 a second, as ffmpeg's `image2` reads them.
    pub const IMAGES: Self = Self {
        frames: 25,
        seconds: 1,
    };

    /// Frames per second that a source may have: from one in 17 minutes, to those of slow motion.
    pub const FPS: RangeInclusive<f64> = 0.001..=1000.0;
    const WANTED: &str = "0.001 to 1000";

    /// `frames` every `seconds`; `None` if one of them is 0.
    #[must_use]
    pub fn new(frames: u32, seconds: u32) -> Option<Self> {
        (frames > 0 && seconds > 0).then_some(Self { frames, seconds })
    }

    /// The rate `given` by the user, else the one in a file, `frames` every `seconds`. If one of
    /// them is 0 the file states no rate, and the error is `missing`.
    ///
    /// # Errors
    /// The reason, also outside of [`Rate::FPS`].
    pub(crate) fn given_or_stated(
        given: Option<Self>,
        (frames, seconds): (u32, u32),
        missing: &str,
    ) -> Result<Self, String> {
        if let Some(rate) = given {
            return Ok(rate);
        }
        let rate = Self::new(frames, seconds).ok_or(missing)?;
        if !Self::FPS.contains(&(f64::from(frames) / f64::from(seconds))) {
            return Err(format!(
                "states {frames}/{seconds} frames per second, wanted {}; give a rate with --fps",
                Self::WANTED
            ));
        }
        Ok(rate)
    }

    /// A rate given by the user, kept to a millionth.
    ///
    /// # Errors
    /// [`Error::Unsupported`] outside of [`Rate::FPS`].
    pub fn from_fps(fps: f64) -> Result<Self> {
        if !Self::FPS.contains(&fps) {
            let reason = format!("wanted {} frames per second", Self::WANTED);
            return Err(Error::unsupported(format!("--fps {fps}"), reason));
        }
        Ok(Self {
            frames: (fps * 1e6).round() as u32,
            seconds: 1_000_000,
        })
    }

    /// Frames in the numerator of the fraction.
    #[must_use]
    pub fn frames(self) -> u32 {
        self.frames
    }

    /// Seconds in its denominator.
    #[must_use]
    pub fn seconds(self) -> u32 {
        self.seconds
    }

    /// When the frame at position `index` is shown, the first one being at 0; rounded down to a
    /// nanosecond.
    #[must_use]
    pub fn time_of(self, index: u64) -> Duration {
        // At most 2^64 * 2^32 * 10^9, which is below 2^126.
        let nanos =
            u128::from(index) * u128::from(self.seconds) * 1_000_000_000 / u128::from(self.frames);
        let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        Duration::new(seconds, (nanos % 1_000_000_000) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_SIDE;

    #[test]
    fn sizes_beyond_the_limits_are_refused_before_allocating() {
        let mut frame = Frame::default();
        for (width, height) in [
            (0, 5),
            (5, 0),
            (MAX_SIDE + 1, 1),
            (1, MAX_SIDE + 1),
            (9460, 9460),
        ] {
            let error = frame.resize(width, height).unwrap_err();
            assert!(
                error.starts_with(&format!("{width} x {height} pixels: wanted")),
                "{error}"
            );
            assert_eq!(frame.rgb.capacity(), 0);
        }
    }

    #[test]
    fn time_does_not_drift_or_overflow() {
        let cases = [
            (
                Rate::new(30_000, 1001),
                30_000 * 86_400,
                Duration::from_secs(1001 * 86_400),
            ),
            (Rate::new(1, u32::MAX), u64::MAX, Duration::new(u64::MAX, 0)),
            (Rate::from_fps(29.97).ok(), 2997, Duration::from_secs(100)),
            (Rate::from_fps(0.001).ok(), 1, Duration::from_secs(1000)),
        ];
        for (rate, index, wanted) in cases {
            assert_eq!(rate.unwrap().time_of(index), wanted, "{rate:?}");
        }
        assert_eq!((Rate::new(0, 1), Rate::new(1, 0)), (None, None));
    }
}
