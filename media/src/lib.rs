//! Where frames come from: a [`Source`] turns a Motion-JPEG file or a set of images into one
//! [`Frame`] after the other.
//!
//! [`open`] takes what a person typed (`clip.avi`, `folder/`, `'img/*.jpg'`) and says what is
//! supported when it is something else. Every source reads into a frame that the caller keeps, so a
//! running camera allocates nothing; a frame that cannot be decoded is an error that names it, and
//! does not end the source.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod avi;
pub mod avi_writer;
pub mod camera;
pub mod clock;
mod decode;
mod images;
pub mod picture;
pub mod slot;
pub mod stream;
mod url;
pub mod yuv;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cli::pictures::{Pictures, is_set_aside};
pub use picture::{MAX_BYTES, MAX_SIDE};

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frame {
    /// Position in its source, from 0. Frames that could not be decoded count.
    pub index: u64,
    /// Time since the first frame, as the source's frame rate has it.
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

/// What [`Source::read`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The frame is filled.
    Frame,
    /// There is none left; the frame is as it was.
    End,
}

/// Frames, one after the other. A source can be read in a thread of its own: see [`slot`].
pub trait Source: Send {
    /// What was opened, for people and for the output.
    fn name(&self) -> &str;

    /// Number of frames as far as the source claims to know it. A file's header can lie: good for a
    /// progress bar only.
    fn len(&self) -> Option<u64>;

    /// Whether the source claims to have no frame at all.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Reads the next frame into `frame`.
    ///
    /// # Errors
    /// After [`Error::Frame`] the pixels are unspecified and the next call reads the frame behind
    /// the broken one; see [`Error::is_recoverable`]. After any other error the source is at its
    /// end.
    fn read(&mut self, frame: &mut Frame) -> Result<Status>;

    /// What a person should know of what was passed over, if anything; complete once the source has
    /// ended.
    fn note(&self) -> Option<Note> {
        None
    }
}

/// What a source has passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// One line, which names the source.
    pub text: String,
    /// Whether something is among it that should have been read.
    pub incomplete: bool,
}

/// What can go wrong with a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file or folder cannot be read: check the path and the permissions.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// Nothing that this build can read: convert it, or open something else.
    #[error("cannot open `{spec}`: {reason}")]
    Unsupported {
        /// What was asked for.
        spec: String,
        /// What it is, and what would work.
        reason: String,
    },

    /// The container is damaged from here on: frames before this were delivered, none follows.
    #[error("{name}: {reason}")]
    Malformed {
        /// What was opened.
        name: String,
        /// What is wrong and where, with the value found and the value wanted.
        reason: String,
    },

    /// There is no frame for now; the next call to [`Source::read`] tries again.
    #[error("{name}: {reason}")]
    Away {
        /// What was opened.
        name: String,
        /// What is wrong, and when it will be tried again.
        reason: String,
    },

    /// Capturing has failed for good: the reason says what to do about it.
    #[error("{name}: {reason}")]
    Failed {
        /// What was opened.
        name: String,
        /// What went wrong.
        reason: String,
    },

    /// One frame is broken; the next call to [`Source::read`] goes on behind it.
    #[error("{name}: frame {index}: {reason}")]
    Frame {
        /// What was opened, or the image file.
        name: String,
        /// Position of the frame, from 0.
        index: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// [`std::result::Result`] with this module's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the source goes on with the next frame.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::Frame { .. } | Self::Away { .. })
    }
}

/// Frames per second as an exact fraction, so that the time of a frame does not drift over days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    frames: u32,
    seconds: u32,
}

impl Rate {
    /// What a folder of images gets when nobody says otherwise: 25 a second, as ffmpeg's `image2`
    /// reads them.
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

    /// The rate that a file states, `frames` every `seconds`; `None` if one of them is 0, which
    /// means that it states none.
    ///
    /// # Errors
    /// The reason, outside of [`Rate::FPS`].
    fn stated(frames: u32, seconds: u32) -> Result<Option<Self>, String> {
        let fps = f64::from(frames) / f64::from(seconds);
        match Self::new(frames, seconds) {
            Some(_) if !Self::FPS.contains(&fps) => Err(format!(
                "states {frames}/{seconds} frames per second, wanted {}; give a rate with --fps",
                Self::WANTED
            )),
            rate => Ok(rate),
        }
    }

    /// A rate that a person gave, kept to a millionth.
    ///
    /// # Errors
    /// [`Error::Unsupported`] outside of [`Rate::FPS`].
    pub fn from_fps(fps: f64) -> Result<Self> {
        if !Self::FPS.contains(&fps) {
            return Err(Error::Unsupported {
                spec: format!("--fps {fps}"),
                reason: format!("wanted {} frames per second", Self::WANTED),
            });
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

/// Whether frames of what a person typed come when they come: a camera, a named pipe, or standard
/// input.
#[must_use]
pub fn is_live(spec: &str) -> bool {
    spec == "-" || camera_of(spec).is_some() || is_pipe(spec)
}

/// Whether a person typed the path of a named pipe, such as `mkfifo` makes and `<(...)` of a shell
/// stands for.
#[must_use]
pub fn is_pipe(spec: &str) -> bool {
    #[cfg(unix)]
    let is_pipe = std::fs::metadata(spec)
        .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type()));
    #[cfg(not(unix))]
    let is_pipe = false;
    is_pipe
}

/// The camera that a person typed: `/dev/video0`, or `camera:` and a part of its name.
#[must_use]
pub fn camera_of(spec: &str) -> Option<&str> {
    if is_pipe(spec) {
        return None;
    }
    match spec.strip_prefix("camera:") {
        Some(name) => Some(name),
        None => spec.starts_with("/dev/").then_some(spec),
    }
}

/// Opens what a person typed: a Motion-JPEG AVI file, a stream in a file (`.mjpg`, `.mjpeg`, `.y4m`),
/// a JPEG, PNG or BMP image, a folder of them (with its subfolders, in path order), or a pattern such
/// as `img/*.jpg`.
///
/// `fps` replaces the frame rate of a video file, and says how far images, and pictures of
/// Motion-JPEG, are apart ([`Rate::IMAGES`] if absent). Other files are told apart by their content,
/// not their name. Images are turned upright as their EXIF orientation says; frames of a video have none.
///
/// # Errors
/// [`Error::Unsupported`] says what `spec` is and what would work, [`Error::Io`] and
/// [`Error::Malformed`] name the file.
pub fn open(spec: &str, fps: Option<f64>) -> Result<Box<dyn Source>> {
    let rate = fps.map(Rate::from_fps).transpose()?;
    let unsupported = |reason: String| {
        Err(Error::Unsupported {
            spec: spec.to_owned(),
            reason,
        })
    };
    if spec == "-" {
        return unsupported(format!("standard input is no file; {SUPPORTED}"));
    }
    if let Some((scheme, _)) = spec.split_once("://") {
        return Err(url::refuse(spec, scheme));
    }
    if spec.starts_with("/dev/") {
        return unsupported(format!("a device is no file; {SUPPORTED}"));
    }
    if let Some(images) = image_set(spec, rate)? {
        return Ok(Box::new(images));
    }
    let path = Path::new(spec);
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    // Opening a pipe waits for its writer.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return unsupported(format!("it is a pipe or a device; {SUPPORTED}"));
    }
    let mut head = Vec::with_capacity(12);
    let file = File::open(path).map_err(io)?;
    (&file).take(12).read_to_end(&mut head).map_err(io)?;
    // One picture behind the other begins like a picture alone.
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let is_stream = STREAMS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known));
    if is_stream && matches!(kind(&head), Kind::Jpeg | Kind::Unknown) {
        let file = File::open(path).map_err(io)?;
        let y4m = ending.eq_ignore_ascii_case("y4m");
        let rate = rate.or((!y4m).then_some(Rate::IMAGES));
        let clock = Box::new(clock::SteadyClock::new(clock::Stop::default()));
        return stream::open(file, spec, rate, clock);
    }
    match kind(&head) {
        Kind::Avi => {
            let file = File::open(path).map_err(io)?;
            Ok(Box::new(avi::Avi::new(BufReader::new(file), spec, rate)?))
        }
        Kind::Jpeg | Kind::Png | Kind::Bmp => Ok(Box::new(images::Images::file(path, rate))),
        Kind::Mp4 => unsupported(format!("it is an MP4 or QuickTime file; {}", convert(spec))),
        Kind::Matroska => unsupported(format!("it is a Matroska or WebM file; {}", convert(spec))),
        Kind::Unknown => unsupported(format!(
            "its first bytes are those of no AVI, JPEG, PNG or BMP file; {SUPPORTED}. If it is a video, {}",
            convert(spec)
        )),
    }
}

/// The picture files that a person named by a file, a folder or a pattern, in path order. A shell
/// names all that a folder holds: a folder of a file server, and a pipe, are passed over here too.
///
/// # Errors
/// As [`open`]; a file that is not there is an [`Error::Io`] with its name.
pub fn pictures(spec: &str) -> Result<Pictures> {
    let path = PathBuf::from(spec);
    if path.is_dir() && is_set_aside(&path) {
        let mut none = Pictures::default();
        none.passed_over.folder(&path);
        return Ok(none);
    }
    if let Some(images) = image_set(spec, None)? {
        return Ok(images.into_pictures());
    }
    match std::fs::metadata(&path) {
        Ok(found) => Ok(Pictures::file(path, &found)),
        Err(source) => Err(Error::Io { path, source }),
    }
}

/// A folder or a pattern; none if `spec` is neither.
fn image_set(spec: &str, rate: Option<Rate>) -> Result<Option<images::Images>> {
    let path = Path::new(spec);
    if path.is_dir() {
        return images::Images::folder(path, rate).map(Some);
    }
    // A file may be called `a[1].jpg`: only what is no file is taken for a pattern.
    if !path.exists() && spec.contains(['*', '?', '[']) {
        return images::Images::pattern(spec, rate).map(Some);
    }
    Ok(None)
}

/// Endings of files that hold what otherwise comes from a pipe.
const STREAMS: [&str; 3] = ["mjpg", "mjpeg", "y4m"];

const SUPPORTED: &str = "supported are a Motion-JPEG .avi or .mjpg, a .y4m, a .jpg, .png or .bmp, a folder of them, or a pattern like 'img/*.jpg'";

/// How to get a file that works, for error messages.
fn convert(spec: &str) -> String {
    format!(
        "convert it with `ffmpeg -nostdin -i {} -c:v mjpeg -pix_fmt yuvj420p -q:v 3 -an out.avi`",
        quoted(spec)
    )
}

/// One word of a shell's line.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Avi,
    Jpeg,
    Png,
    Bmp,
    Mp4,
    Matroska,
    Unknown,
}

/// What a file is, by its first twelve bytes.
fn kind(head: &[u8]) -> Kind {
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ") {
        Kind::Avi
    } else if head.starts_with(&[0xff, 0xd8]) {
        Kind::Jpeg
    } else if head.starts_with(b"\x89PNG") {
        Kind::Png
    } else if head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        // Two letters are little; the four bytes behind the size are reserved.
        Kind::Bmp
    } else if head.get(4..8) == Some(b"ftyp") {
        Kind::Mp4
    } else if head.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        Kind::Matroska
    } else {
        Kind::Unknown
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::avi::fixtures::jpeg;
    use super::avi_writer::Writer;
    use super::*;

    #[test]
    fn what_a_file_is_tells_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        // Endings that mislead, and a name that could be a pattern.
        let video = File::create(at("clip.dat")).unwrap();
        let mut writer = Writer::new(video, 8, 8, Rate::IMAGES).unwrap();
        writer.push(&jpeg(8, 8, 3)).unwrap();
        writer.finish().unwrap();
        fs::write(at("a[1].png"), jpeg(16, 8, 3)).unwrap();
        for (spec, wanted) in [
            (at("clip.dat"), (8, None)),
            (at("a[1].png"), (16, Some(at("a[1].png")))),
            (at("a[[]1].*"), (16, Some(at("a[1].png")))),
            (at(""), (16, Some("a[1].png".to_owned()))),
        ] {
            let mut source = open(&spec, None).unwrap();
            assert_eq!(source.name(), spec);
            assert_eq!(source.len(), Some(1));
            let mut frame = Frame::default();
            assert_eq!(source.read(&mut frame).unwrap(), Status::Frame);
            assert_eq!((frame.width, frame.name.clone()), wanted);
            assert_eq!(source.read(&mut frame).unwrap(), Status::End);
        }
    }

    #[test]
    fn a_stream_in_a_file_has_all_its_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let two = [jpeg(8, 8, 3), jpeg(8, 8, 9)].concat();
        let y4m = b"YUV4MPEG2 W1 H1 F5:1 Cmono\nFRAME\n~FRAME\n~".to_vec();
        for (name, bytes, wanted) in [
            ("a.mjpg", two.clone(), 40),
            ("b.MJPEG", two, 40),
            ("c.y4m", y4m, 200),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let mut source = open(path.to_str().unwrap(), None).unwrap();
            let mut frame = Frame::default();
            for at in [0, wanted] {
                assert_eq!(source.read(&mut frame).unwrap(), Status::Frame, "{name}");
                assert_eq!(frame.stream_time, Duration::from_millis(at), "{name}");
            }
            assert_eq!(source.read(&mut frame).unwrap(), Status::End, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_opened_says_what_it_is_and_what_can() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let cases = [
            ("-".to_owned(), "standard input is no file; supported are"),
            (
                "rtsp://camera/1".to_owned(),
                "rtsp streams are read by ffmpeg: `ffmpeg -nostdin ",
            ),
            (
                "/dev/video0".to_owned(),
                "a device is no file; supported are",
            ),
            (
                file("a.mp4", b"\0\0\0\x20ftypisom\0\0"),
                "it is an MP4 or QuickTime file; convert it with `ffmpeg -nostdin -i ",
            ),
            (
                file("a.mkv", b"\x1a\x45\xdf\xa3aaaaaaaaaa"),
                "it is a Matroska or WebM file; convert it with `ffmpeg -nostdin -i ",
            ),
            (
                file("a.avi", b"RIFF"),
                "its first bytes are those of no AVI, JPEG, PNG or BMP file",
            ),
            (
                file("empty.jpg", b""),
                "its first bytes are those of no AVI, JPEG, PNG or BMP file",
            ),
        ];
        for (spec, wanted) in cases {
            let error = open(&spec, None).err().expect(wanted);
            assert!(matches!(error, Error::Unsupported { .. }));
            let error = error.to_string();
            assert!(
                error.starts_with(&format!("cannot open `{spec}`: {wanted}")),
                "{error}"
            );
        }
        let error = open("nowhere.avi", None).err().unwrap();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert!(error.to_string().starts_with("nowhere.avi: "), "{error}");
        for fps in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9] {
            let error = open("nowhere.avi", Some(fps)).err().unwrap().to_string();
            let wanted =
                format!("cannot open `--fps {fps}`: wanted 0.001 to 1000 frames per second");
            assert_eq!(error, wanted);
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
