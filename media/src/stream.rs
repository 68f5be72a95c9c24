//! Pictures from a pipe: [`open`] reads Motion-JPEG or y4m from standard input, or from anything
//! else that gives bytes, and tells them apart by their first bytes.
//!
//! Standard input and a named pipe are opened when they are read first ([`stdin`], [`named`]), so
//! that nobody waits for their writer but their own thread.
//!
//! A pipe cannot be rewound, says nothing of its length, and may begin or be damaged anywhere.
//! docs/cameras.md has the lines that fill one.

mod http;
mod mjpeg;
mod y4m;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use super::clock::Clock;
use super::{Error, Frame, Kind, Rate, Result, Source, Status, kind};

/// Bytes that are asked of the system at a time: what a pipe of Linux holds.
const BUFFER: usize = 1 << 16;

/// First bytes that tell streams apart: as many as those of files.
const HEAD: usize = 12;

/// Opens a stream of pictures, after waiting for its first bytes. Motion-JPEG is one JPEG behind
/// the other, bare or as the parts of a `multipart/x-mixed-replace`, as IP cameras send; the header
/// of an HTTP response before it, and its chunks, are taken off.
///
/// `rate` says how far frames are apart; if absent, y4m states it, and frames of Motion-JPEG are
/// stamped by `clock` as they arrive. `name` is for errors and [`Source::name`].
///
/// # Errors
/// [`Error::Unsupported`] says what the stream is and what would work, [`Error::Malformed`] what is
/// wrong with its header, [`Error::Io`] that it cannot be read.
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
    match foreign(&head) {
        None => Ok(Box::new(mjpeg::Mjpeg::new(input, rate, clock))),
        Some(what) => Err(Error::Unsupported {
            spec: name.to_owned(),
            reason: format!("it is {what}; supported are Motion-JPEG and y4m, see docs/cameras.md"),
        }),
    }
}

/// A source at the path of a named pipe, opened at its first read: until somebody writes into it,
/// opening a pipe does not return. What is wrong with the stream, see [`open`], is then an error of
/// that read.
#[must_use]
pub fn named(path: &str, rate: Option<Rate>, clock: Box<dyn Clock>) -> Box<dyn Source> {
    let file = path.to_owned();
    let bytes = move || -> io::Result<Bytes> { Ok(Box::new(File::open(file)?)) };
    Box::new(Late::new(path, rate, clock, Box::new(bytes)))
}

/// Standard input, `-`, whose first bytes are waited for at the first read. What is wrong with the
/// stream is an error of that read.
#[must_use]
pub fn stdin(rate: Option<Rate>, clock: Box<dyn Clock>) -> Box<dyn Source> {
    let bytes = || -> io::Result<Bytes> { Ok(Box::new(io::stdin())) };
    Box::new(Late::new("-", rate, clock, Box::new(bytes)))
}

type Bytes = Box<dyn Read + Send>;

/// Opens what may let one wait.
type Opener = Box<dyn FnOnce() -> io::Result<Bytes> + Send>;

/// A stream that is opened at its first read.
struct Late {
    name: String,
    rate: Option<Rate>,
    /// None once it was opened.
    closed: Option<(Opener, Box<dyn Clock>)>,
    source: Option<Box<dyn Source>>,
}

impl Late {
    fn new(name: &str, rate: Option<Rate>, clock: Box<dyn Clock>, opener: Opener) -> Self {
        Self {
            name: name.to_owned(),
            rate,
            closed: Some((opener, clock)),
            source: None,
        }
    }
}

impl Source for Late {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Option<u64> {
        None
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        if let Some((opener, clock)) = self.closed.take() {
            let bytes = opener().map_err(io(&self.name))?;
            self.source = Some(open(bytes, &self.name, self.rate, clock)?);
        }
        // What could not be opened is at its end.
        let source = self.source.as_mut();
        source.map_or(Ok(Status::End), |source| source.read(frame))
    }
}

/// What a stream is that begins with `head` and is of no use; none if it may be Motion-JPEG, whose
/// beginning may be missing.
fn foreign(head: &[u8]) -> Option<&'static str> {
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
            Some("H.264 or its like (ask `rpicam-vid` for `--codec mjpeg`)")
        }
        Kind::Unknown if head.starts_with(b"G\x40\x11") || head.starts_with(b"G\x40\0") => {
            Some("an MPEG transport stream (ask `ffmpeg` for `-f mjpeg`)")
        }
        Kind::Unknown if head.starts_with(b"FLV") => {
            Some("a Flash video (ask `ffmpeg` for `-f mjpeg`)")
        }
        Kind::Unknown => None,
    }
}

/// Bytes as they come in, with a name and a position for errors.
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

    /// What has come in and is not consumed, at least one byte; empty at the end of the stream.
    fn fill(&mut self) -> Result<&[u8]> {
        while let Err(error) = self.reader.fill_buf() {
            if error.kind() != ErrorKind::Interrupted {
                return Err(io(&self.name)(error));
            }
        }
        Ok(self.reader.buffer())
    }

    fn consume(&mut self, bytes: usize) {
        self.reader.consume(bytes);
        self.position += bytes as u64;
    }

    /// The next byte; none at the end of the stream.
    fn byte(&mut self) -> Result<Option<u8>> {
        let byte = self.fill()?.first().copied();
        self.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    fn malformed(&self, reason: String) -> Error {
        Error::Malformed {
            name: self.name.clone(),
            reason,
        }
    }

    /// Fills `bytes` as far as the stream goes; returns how far.
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            let come = self.fill()?;
            let count = come.len().min(bytes.len() - filled);
            if count == 0 {
                break;
            }
            bytes[filled..][..count].copy_from_slice(&come[..count]);
            self.consume(count);
            filled += count;
        }
        Ok(filled)
    }
}

fn io(name: &str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Io {
        path: name.into(),
        source,
    }
}

#[cfg(test)]
mod tests;
