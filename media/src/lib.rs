//! Reads frames from cameras, videos, pipes and image files, and writes Motion-JPEG AVI files. In: what a user typed (`clip.avi`, `folder/`, `'img/*.jpg'`, `camera:`, `-`). Out: one [`Frame`]
//! of upright RGB pixels after the other from a [`Source`], opened by [`open`], [`camera::open`] or
//! [`stream`]. A source fills a frame that the caller owns, so a running camera allocates nothing. A
//! frame that cannot be decoded is an error with its number, and the source continues.
//!
//! ```
//! use media::avi::AviWriter;
//! use media::{Frame, Rate, Status};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("media-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("clip.avi");
//! let mut jpeg = Vec::new();
//! media::picture::encode(&[90; 16 * 8 * 3], [16, 8], 90, &mut jpeg)?;
//! let mut writer = AviWriter::new(std::fs::File::create(&path)?, 16, 8, Rate::IMAGES)?;
//! writer.push(&jpeg)?;
//! writer.finish()?;
//!
//! let mut source = media::open(path.to_str().ok_or("UTF-8")?, None)?;
//! let mut frame = Frame::default();
//! while source.read(&mut frame)? == Status::Frame {
//!     assert_eq!((frame.width, frame.height), (16, 8));
//!     assert_eq!(frame.rgb.len(), 16 * 8 * 3);
//! }
//! assert_eq!(frame.index, 0);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod avi;
pub mod camera;
pub mod clock;
mod error;
mod frame;
mod images;
pub mod picture;
pub mod pictures;
pub mod slot;
mod source;
pub mod stream;
mod url;
mod yuv;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub use error::{Error, Result};
pub use frame::{Frame, Rate};
pub use picture::{MAX_BYTES, MAX_SIDE};
use pictures::Pictures;
pub use source::{Note, Source, Status};

/// Whether frames of `spec` arrive in real time: a camera, a named pipe, or standard input.
#[must_use]
pub fn is_live(spec: &str) -> bool {
    spec == "-" || camera_of(spec).is_some() || is_pipe(spec)
}

/// Whether `spec` is the path of a named pipe, such as `mkfifo` makes and `<(...)` of a shell stands
/// for.
#[must_use]
pub fn is_pipe(spec: &str) -> bool {
    #[cfg(unix)]
    let is_pipe = std::fs::metadata(spec)
        .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_fifo(&found.file_type()));
    #[cfg(not(unix))]
    let is_pipe = false;
    is_pipe
}

/// The camera that `spec` names: `/dev/video0`, or `camera:` and a part of its name.
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

/// Opens a Motion-JPEG AVI file, a stream in a file (`.mjpg`, `.mjpeg`, `.y4m`), a JPEG, PNG or BMP
/// image, a folder of images (with its subfolders, in path order), or a pattern such as `img/*.jpg`.
///
/// `fps` replaces the frame rate of a video file, and is the rate of images and of Motion-JPEG
/// streams ([`Rate::IMAGES`] if absent). The kind of other files is found by their content, not their
/// name. Images are turned upright by their EXIF orientation; frames of a video have none.
///
/// # Errors
/// [`Error::Unsupported`] with what `spec` is and what would work; [`Error::Io`] and
/// [`Error::Malformed`] name the file.
pub fn open(spec: &str, fps: Option<f64>) -> Result<Box<dyn Source>> {
    let rate = fps.map(Rate::from_fps).transpose()?;
    let unsupported = |reason: String| Err(Error::unsupported(spec, reason));
    if spec == "-" {
        return unsupported(format!("standard input is no file; {SUPPORTED}"));
    }
    if let Some((scheme, _)) = spec.split_once("://") {
        return Err(url::refuse(spec, scheme));
    }
    if spec.starts_with("/dev/") {
        return unsupported(format!("a device is no file; {SUPPORTED}"));
    }
    let path = Path::new(spec);
    if let Some(pictures) = Pictures::of_set(spec)? {
        let root = if path.is_dir() { path } else { Path::new("") };
        return Ok(Box::new(images::Images::new(spec, root, pictures, rate)?));
    }
    let io = Error::io(path);
    // Opening a pipe waits for its writer.
    if !std::fs::metadata(path).map_err(&io)?.is_file() {
        return unsupported(format!("it is a pipe or a device; {SUPPORTED}"));
    }
    let mut head = Vec::with_capacity(12);
    let file = File::open(path).map_err(&io)?;
    (&file).take(12).read_to_end(&mut head).map_err(&io)?;
    // A stream of pictures begins as a single picture does: the ending decides.
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let is_stream = STREAMS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known));
    if is_stream && matches!(kind(&head), Kind::Jpeg | Kind::Unknown) {
        let file = File::open(path).map_err(&io)?;
        let y4m = ending.eq_ignore_ascii_case("y4m");
        let rate = rate.or((!y4m).then_some(Rate::IMAGES));
        let clock = Box::new(clock::SteadyClock::new(clock::CancelToken::default()));
        return stream::open(file, spec, rate, clock);
    }
    match kind(&head) {
        Kind::Avi => {
            let file = BufReader::new(File::open(path).map_err(&io)?);
            Ok(Box::new(avi::AviReader::new(file, spec, rate)?))
        }
        Kind::Jpeg | Kind::Png | Kind::Bmp => {
            let pictures = Pictures {
                paths: vec![path.to_owned()],
                ..Pictures::default()
            };
            let images = images::Images::new(spec, Path::new(""), pictures, rate)?;
            Ok(Box::new(images))
        }
        Kind::Mp4 => unsupported(format!("it is an MP4 or QuickTime file; {}", convert(spec))),
        Kind::Matroska => unsupported(format!("it is a Matroska or WebM file; {}", convert(spec))),
        Kind::Unknown => unsupported(format!(
            "its first bytes are those of no AVI, JPEG, PNG or BMP file; {SUPPORTED}. If it is a video, {}",
            convert(spec)
        )),
    }
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

/// The kind of a file, by its first twelve bytes.
fn kind(head: &[u8]) -> Kind {
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ") {
        Kind::Avi
    } else if head.starts_with(&[0xff, 0xd8]) {
        Kind::Jpeg
    } else if head.starts_with(b"\x89PNG") {
        Kind::Png
    } else if head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4]) {
        // Two letters prove little; the four bytes after the size are reserved.
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
    use std::time::Duration;

    use super::avi::AviWriter;
    use super::avi::tests::fixtures::jpeg;
    use super::*;

    #[test]
    fn the_kind_of_a_file_is_found_by_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        // Endings that mislead, and a name that could be a pattern.
        let video = File::create(at("clip.dat")).unwrap();
        let mut writer = AviWriter::new(video, 8, 8, Rate::IMAGES).unwrap();
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
    fn errors_name_the_kind_and_what_would_work() {
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
}
