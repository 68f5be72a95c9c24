//! Motion-JPEG and y4m from standard input, a named pipe, or any reader; the first bytes decide.
//!
//! [`stdin`] and [`named`] open the pipe at the first read, so that only their own thread waits for
//! the writer. A pipe cannot seek, has no length, and may begin or be damaged anywhere.
//! docs/cameras.md has the commands that write into one.

mod http;
mod mjpeg;
mod y4m;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use crate::clock::Clock;
use crate::{Error, Frame, Kind, Rate, Result, Source, Status, kind};

/// Bytes read at a time: the capacity of a pipe of Linux.
const BUFFER: usize = 1 << 16;

/// First bytes that decide the kind of a stream: as many as for files.
const HEAD: usize = 12;

/// Opens a stream of pictures, after waiting for its first bytes. Motion-JPEG is one JPEG after the
/// other, bare or as the parts of a `multipart/x-mixed-replace`, as IP cameras send; the header of an
/// HTTP response before it, and its chunks, are removed.
///
/// `rate` is the frame rate; if absent, y4m states it, and frames of Motion-JPEG are stamped by
/// `clock` as they arrive. `name` is for errors and [`Source::name`].
///
/// # Errors
/// [`Error::Unsupported`] with the kind of the stream and what would work, [`Error::Malformed`] for a
/// broken header, [`Error::Io`].
pub fn open(
    reader: impl Read + Send + 'static,
    name: &str,
    rate: Option<Rate>,
    clock: Box<dyn Clock>,
) -> Result<Box<dyn Source>> {
    let (head, bytes) = http::body(reader, name)?;
    let input = Input::new(bytes, name);
    if y4m::begins(&head) {
        return Ok(Box::new(y4m::Y4m::new(input, rate)?));
    }
    match unsupported(&head) {
        None => Ok(Box::new(mjpeg::Mjpeg::new(input, rate, clock))),
        Some(what) => {
            let wanted = "supported are Motion-JPEG and y4m, see docs/cameras.md";
            Err(Error::unsupported(name, format!("it is {what}; {wanted}")))
        }
    }
}

/// A source at the path of a named pipe, opened at its first read: opening a pipe waits for a writer.
/// Errors of [`open`] are then errors of that read.
#[must_use]
pub fn named(path: &str, rate: Option<Rate>, clock: Box<dyn Clock>) -> Box<dyn Source> {
    let file = path.to_owned();
    let bytes = move || -> io::Result<Bytes> { Ok(Box::new(File::open(file)?)) };
    Box::new(LazyStream::new(path, rate, clock, Box::new(bytes)))
}

/// Standard input, `-`, whose first bytes are waited for at the first read. Errors of [`open`] are then
/// errors of that read.
#[must_use]
pub fn stdin(rate: Option<Rate>, clock: Box<dyn Clock>) -> Box<dyn Source> {
    let bytes = || -> io::Result<Bytes> { Ok(Box::new(io::stdin())) };
    Box::new(LazyStream::new("-", rate, clock, Box::new(bytes)))
}

type Bytes = Box<dyn Read + Send>;

/// Opens the bytes, which may wait.
type Opener = Box<dyn FnOnce() -> io::Result<Bytes> + Send>;

/// A stream that is opened at its first read.
struct LazyStream {
    name: String,
    rate: Option<Rate>,
    /// `None` after opening.
    closed: Option<(Opener, Box<dyn Clock>)>,
    source: Option<Box<dyn Source>>,
}

impl LazyStream {
    fn new(name: &str, rate: Option<Rate>, clock: Box<dyn Clock>, opener: Opener) -> Self {
        Self {
            name: name.to_owned(),
            rate,
            closed: Some((opener, clock)),
            source: None,
        }
    }
}

impl Source for LazyStream {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        if let Some((opener, clock)) = self.closed.take() {
            let bytes = opener().map_err(Error::io(&self.name))?;
            self.source = Some(open(bytes, &self.name, self.rate, clock)?);
        }
        // A source that could not be opened has ended.
        let source = self.source.as_mut();
        source.map_or(Ok(Status::End), |source| source.read(frame))
    }
}

/// What a stream with this beginning is if it is not supported; `None` if it may be Motion-JPEG, whose
/// beginning may be missing.
fn unsupported(head: &[u8]) -> Option<&'static str> {
    match kind(head) {
        _ if head.is_empty() => Some("empty"),
        Kind::Avi => Some("an AVI file, which is read from a path"),
        Kind::Png => Some("a PNG image, which is read from a path"),
        Kind::Bmp => Some("a BMP image, which is read from a path"),
        Kind::Mp4 => Some(
            "an MP4 or QuickTime file (make it y4m: `ffmpeg -nostdin -i FILE -f yuv4mpegpipe -pix_fmt yuv420p -`)",
        ),
        Kind::Matroska => Some(
            "a Matroska or WebM file (make it y4m: `ffmpeg -nostdin -i FILE -f yuv4mpegpipe -pix_fmt yuv420p -`)",
        ),
        Kind::Jpeg => None,
        Kind::Unknown if head.starts_with(&[0, 0, 0, 1]) || head.starts_with(&[0, 0, 1]) => {
            Some("H.264 or similar (use `--codec mjpeg` with `rpicam-vid`)")
        }
        Kind::Unknown if head.starts_with(b"G\x40\x11") || head.starts_with(b"G\x40\0") => {
            Some("an MPEG transport stream (use `-f mjpeg` with `ffmpeg`)")
        }
        Kind::Unknown if head.starts_with(b"FLV") => {
            Some("a Flash video (use `-f mjpeg` with `ffmpeg`)")
        }
        Kind::Unknown => None,
    }
}

/// A buffered reader with the name of the source and a position for errors.
struct Input {
    reader: BufReader<Box<dyn Read + Send>>,
    name: String,
    /// Bytes consumed.
    position: u64,
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Input {
    fn new(reader: impl Read + Send + 'static, name: &str) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER, Box::new(reader)),
            name: name.to_owned(),
            position: 0,
        }
    }

    /// Bytes that were read and not consumed, at least one; empty at the end of the stream.
    fn fill(&mut self) -> Result<&[u8]> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != ErrorKind::Interrupted {
                return Err(Error::io(&self.name)(error));
            }
        }
        Ok(self.reader.buffer())
    }

    fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
        self.position += bytes as u64;
    }

    /// The next byte; `None` at the end of the stream.
    fn byte(&mut self) -> Result<Option<u8>> {
        let byte = self.fill()?.first().copied();
        self.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::malformed(&self.name, reason)
    }

    /// Fills `bytes` as far as the stream goes; returns how far.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            let available = self.fill()?;
            let count = available.len().min(bytes.len() - filled);
            if count == 0 {
                break;
            }
            bytes[filled..][..count].copy_from_slice(&available[..count]);
            self.consume(count);
            filled += count;
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests;
