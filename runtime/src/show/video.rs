//! `--save-video`: frames come in, a Motion-JPEG file that any player opens goes out.
//!
//! The file can be played at any moment: pictures reach the system one by one, and the headers are
//! brought up to date every [`CHECKPOINT`] of them. After a kill it lacks the picture in flight and
//! the index; on a full disk the video ends with what was whole, and the run goes on.
//!
//! A video has one rate, cameras do not. A frame is put where its time belongs: where none came in
//! time the one before is repeated, which costs eight bytes, and where two came for one place the
//! second is left out. So an hour of camera is an hour of video.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Error, Result, check, file_name};
use media::Rate;
use media::avi::AviWriter;
use media::picture::encode;

/// Frames after which the headers of the file are brought up to date.
pub const CHECKPOINT: u32 = 32;

/// The longest time that repeats of a frame fill. After a longer one, as when a camera was
/// unplugged over night, or when a clock was set back, the video goes on without a gap.
pub const MAX_GAP: Duration = Duration::from_secs(10);

/// As [`MAX_GAP`], for rates that no camera has but a file may claim.
const MAX_REPEATS: i128 = 10_000;

/// How a video is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Frames a second, that of the source.
    pub rate: Rate,
    /// Quality of the pictures, 1 to 100.
    pub quality: u8,
    /// Whether a file that is there already may be lost.
    pub overwrite: bool,
}

impl Default for Settings {
    /// 25 frames a second, quality 80, nothing is overwritten.
    fn default() -> Self {
        Self {
            rate: Rate::IMAGES,
            quality: 80,
            overwrite: false,
        }
    }
}

/// What has become of the frames of a video.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames in the file, repeated ones included.
    pub written: u32,
    /// Frames in the file that repeat the one before.
    pub repeated: u32,
    /// Frames that were left out because another one had their place.
    pub skipped: u64,
    /// Frames that came after the video had ended with an error.
    pub lost: u64,
}

/// What a video is written to: a file, or in a test a disk that fills up.
pub trait Output: Write + Seek {
    /// Makes it `length` bytes long, which is shorter than it is.
    ///
    /// # Errors
    /// The error of the system.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Output for File {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// A video that is being written. Dropping it completes the file as far as possible.
#[derive(Debug)]
pub struct Video<W: Output = File> {
    path: PathBuf,
    settings: Settings,
    /// Where it is written: none before the first frame and after the end.
    writer: Option<AviWriter<W>>,
    /// The output until the first frame says how large the video is.
    output: Option<W>,
    size: [usize; 2],
    jpeg: Vec<u8>,
    /// A frame of another size than the first, fitted to it.
    fitted: Vec<u8>,
    /// Stream time of the frame at place 0, in nanoseconds; negative after a jump forward.
    start: i128,
    counts: Counts,
}

impl Video {
    /// Makes the file at `path`. Its size is that of the first frame.
    ///
    /// # Errors
    /// [`Error::Exists`] if it is there and may not be overwritten, [`Error::Io`],
    /// [`Error::Argument`] for a quality out of range.
    pub fn create(path: &Path, settings: Settings) -> Result<Self> {
        let file = if settings.overwrite {
            cli::private::create(path)
        } else {
            cli::private::create_new(path)
        };
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists {
                path: path.to_owned(),
            },
            _ => Error::Io {
                path: path.to_owned(),
                source,
            },
        })?;
        Self::new(file, path, settings)
    }
}

impl<W: Output> Video<W> {
    /// A video into `output`, which is called `path` in errors.
    ///
    /// # Errors
    /// [`Error::Argument`] for a quality out of range.
    pub fn new(output: W, path: &Path, settings: Settings) -> Result<Self> {
        if !(1..=100).contains(&settings.quality) {
            return Err(Error::Argument(format!(
                "the quality of {} is {}, wanted 1 to 100",
                path.display(),
                settings.quality
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            settings,
            writer: None,
            output: Some(output),
            size: [0; 2],
            jpeg: Vec::new(),
            fitted: Vec::new(),
            start: 0,
            counts: Counts::default(),
        })
    }

    /// Appends a frame, `[height, width, 3]` u8, taken `stream_time` after its source began. A frame
    /// of another size than the first is scaled to fit into it.
    ///
    /// # Errors
    /// [`Error::VideoEnded`] once, when the disk is full or failing: the file is complete up to
    /// there, and later frames are only counted. [`Error::Argument`] for sizes that do not fit
    /// together, which leaves the video as it was.
    pub fn push(
        &mut self,
        rgb: &[u8],
        width: usize,
        height: usize,
        stream_time: Duration,
    ) -> Result<()> {
        check(rgb, [width, height])?;
        if let Some(output) = self.output.take() {
            self.size = [width, height];
            self.start = nanos(stream_time);
            // `check` has seen to it that they fit.
            let writer = AviWriter::new(output, width as u16, height as u16, self.settings.rate);
            self.writer = Some(writer.map_err(|source| self.ended(source))?);
        }
        let Some(mut writer) = self.writer.take() else {
            self.counts.lost += 1;
            return Ok(());
        };
        let Some(repeats) = self.place(stream_time) else {
            self.counts.skipped += 1;
            self.writer = Some(writer);
            return Ok(());
        };
        let rgb = if [width, height] == self.size {
            rgb
        } else {
            fit(rgb, [width, height], &mut self.fitted, self.size);
            &self.fitted
        };
        self.jpeg.clear();
        let written = encode(rgb, self.size, self.settings.quality, &mut self.jpeg)
            .and_then(|()| append(&mut writer, repeats, &self.jpeg));
        self.counts.repeated += (writer.frames() - self.counts.written).min(repeats);
        self.counts.written = writer.frames();
        match written {
            Ok(()) => {
                self.writer = Some(writer);
                Ok(())
            }
            Err(source) => {
                // An error was reported before.
                let _ = rescue(writer);
                self.counts.lost += 1;
                Err(self.ended(source))
            }
        }
    }

    /// Completes the file.
    ///
    /// # Errors
    /// [`Error::VideoEnded`] if that is not possible; the pictures can be played all the same.
    pub fn finish(mut self) -> Result<Counts> {
        self.close()?;
        Ok(self.counts)
    }

    /// What has become of the frames so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Where it is written.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How often the frame before has to be repeated so that the next one comes at `stream_time`;
    /// `None` if its place is taken.
    fn place(&mut self, stream_time: Duration) -> Option<u32> {
        let next = i128::from(self.counts.written);
        let (frames, seconds) = (self.settings.rate.frames(), self.settings.rate.seconds());
        // At most 2^95 * 2^32: fits.
        let slot = |nanos: i128| {
            let second = i128::from(seconds) * 1_000_000_000;
            (nanos * i128::from(frames) + second / 2).div_euclid(second)
        };
        let time = nanos(stream_time);
        let due = slot(time - self.start);
        let most = slot(nanos(MAX_GAP)).clamp(1, MAX_REPEATS);
        if !(-most..=most).contains(&(due - next)) {
            let before = self.settings.rate.time_of(u64::from(self.counts.written));
            self.start = time - nanos(before);
            return Some(0);
        }
        // One place early is fine: a camera's frames do not come like clockwork.
        (due + 1 >= next).then(|| u32::try_from(due - next).unwrap_or(0))
    }

    fn close(&mut self) -> Result<()> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        writer.complete().map_err(|source| {
            let _ = rescue(writer);
            self.ended(source)
        })
    }

    fn ended(&self, source: io::Error) -> Error {
        Error::VideoEnded {
            path: self.path.clone(),
            frames: self.counts.written,
            source,
        }
    }
}

impl<W: Output> Drop for Video<W> {
    fn drop(&mut self) {
        // Errors are reported by `finish`.
        let _ = self.close();
    }
}

fn nanos(time: Duration) -> i128 {
    // Below 2^94.
    time.as_nanos() as i128
}

fn append<W: Output>(writer: &mut AviWriter<W>, repeats: u32, jpeg: &[u8]) -> io::Result<()> {
    for _ in 0..repeats {
        writer.push(&[])?;
    }
    writer.push(jpeg)?;
    if writer.frames() % CHECKPOINT < repeats + 1 {
        writer.checkpoint()?;
    }
    Ok(())
}

/// Makes the best of a file that cannot take more.
fn rescue<W: Output>(mut writer: AviWriter<W>) -> io::Result<()> {
    let whole = writer.whole();
    writer.output().cut(whole)?;
    // Without the torn picture there may be room for the index.
    if writer.complete().is_ok() {
        return Ok(());
    }
    let whole = writer.whole();
    writer.output().cut(whole)?;
    writer.checkpoint()
}

/// Scales a picture to fit into another size, with black beside it.
fn fit(rgb: &[u8], [width, height]: [usize; 2], out: &mut Vec<u8>, [wide, high]: [usize; 2]) {
    let shrink = (width as f64 / wide as f64).max(height as f64 / high as f64);
    let inner = [width, height].map(|side| (side as f64 / shrink).round() as usize);
    let [inner_width, inner_height] = [inner[0].clamp(1, wide), inner[1].clamp(1, high)];
    let (left, top) = ((wide - inner_width) / 2, (high - inner_height) / 2);
    out.clear();
    out.resize(wide * high * 3, 0);
    for y in 0..inner_height {
        let row = &rgb[y * height / inner_height * width * 3..][..width * 3];
        let to = &mut out[((top + y) * wide + left) * 3..][..inner_width * 3];
        for (x, pixel) in to.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&row[x * width / inner_width * 3..][..3]);
        }
    }
}

/// Where the video of the source at position `index` of `count` goes: to `path` if there is one
/// source, else to a file of its own beside it, `out.avi` becoming `out-2-door.avi`.
#[must_use]
pub fn path_for(path: &Path, index: usize, count: usize, source: &str) -> PathBuf {
    if count < 2 {
        return path.to_owned();
    }
    let last = source.trim_end_matches('/').rsplit('/').next();
    let last = last.unwrap_or_default();
    let stem = last.rsplit_once('.').map_or(last, |(stem, _)| stem);
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{}-{}", index + 1, file_name(stem)));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
