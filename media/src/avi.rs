//! Motion-JPEG AVI files, read and written: what USB cameras and `ffmpeg -c:v mjpeg` make.
//!
//! An AVI file is a tree of chunks (four letters, a little-endian size, a body padded to an even
//! length). [`AviReader`] walks them in file order without the index, descending into `movi`, `rec `
//! and the `AVIX` segments of OpenDML. It does not rely on the sizes of those lists, so it also reads
//! what a killed recorder has left.

mod headers;
mod writer;

use std::io::{self, Read, Seek, SeekFrom};

use self::headers::{Video, video};
pub use self::writer::AviWriter;
use crate::picture::START;
use crate::source::is_final;
use crate::{Error, Frame, MAX_BYTES, MAX_SIDE, Note, Rate, Result, Source, Status, convert};

/// The most bytes of the list `hdrl`; ffmpeg writes about 10 KB, most of it room for indices.
const MAX_HEADER: u32 = 1 << 20;

/// A Motion-JPEG AVI file, or anything that reads and seeks like one.
#[derive(Debug)]
pub struct AviReader<R> {
    reader: R,
    name: String,
    /// Bytes read or skipped.
    position: u64,
    /// Length of the file.
    end: u64,
    /// Where the lists seen so far claim to end.
    claimed_end: u64,
    video: Video,
    rate: Rate,
    /// The last picture; kept because an empty chunk repeats it.
    jpeg: Vec<u8>,
    next: u64,
    /// Chunks of streams that the headers do not declare, and the name of the first.
    undeclared: Option<([u8; 4], u64)>,
    finished: bool,
}

impl<R: Read + Seek> AviReader<R> {
    /// Reads the headers. `name` is for errors and [`Source::name`]; `rate` replaces the one in the
    /// file.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a file that is no AVI or is cut off in its headers,
    /// [`Error::Unsupported`] for a video that is not Motion-JPEG, [`Error::Io`].
    pub fn new(mut reader: R, name: &str, rate: Option<Rate>) -> Result<Self> {
        let end = reader.seek(SeekFrom::End(0)).map_err(Error::io(name))?;
        reader.rewind().map_err(Error::io(name))?;
        let mut avi = Self {
            reader,
            name: name.to_owned(),
            position: 0,
            end,
            claimed_end: 0,
            video: Video::default(),
            rate: Rate::IMAGES,
            jpeg: Vec::new(),
            next: 0,
            undeclared: None,
            finished: false,
        };
        let [riff, _size, form] = avi.words().map_err(|e| avi.header_error(e))?;
        if (&riff, &form) != (b"RIFF", b"AVI ") {
            return Err(avi.malformed(format!(
                "starts with `{}` and `{}`, wanted `RIFF` and `AVI `",
                riff.escape_ascii(),
                form.escape_ascii()
            )));
        }
        let header = avi.header()?;
        avi.video = video(&header).map_err(|reason| avi.malformed(reason))?;
        let Video {
            fourcc,
            width,
            height,
            ..
        } = avi.video;
        if !fourcc.eq_ignore_ascii_case(b"MJPG") {
            let found = fourcc.escape_ascii();
            let convert = convert(name);
            let reason = format!("its video is `{found}`, wanted Motion-JPEG (`MJPG`); {convert}");
            return Err(Error::unsupported(name, reason));
        }
        if width as usize > MAX_SIDE || height as usize > MAX_SIDE {
            return Err(avi.malformed(format!(
                "frames of {width} x {height} pixels, the limit is {MAX_SIDE} a side"
            )));
        }
        let missing = "has no frame rate; give one with --fps";
        avi.rate = Rate::given_or_stated(rate, avi.video.rate, missing)
            .map_err(|reason| avi.malformed(reason))?;
        Ok(avi)
    }

    /// Skips chunks up to `movi` and returns the body of `hdrl`.
    fn header(&mut self) -> Result<Vec<u8>> {
        let mut header = None;
        loop {
            let [id, size] = self.words().map_err(|e| self.header_error(e))?;
            let size = u32::from_le_bytes(size);
            if &id != b"LIST" {
                self.skip_chunk(size).map_err(|e| self.io(e))?;
                continue;
            }
            let [list] = self.words().map_err(|e| self.header_error(e))?;
            let body = size.saturating_sub(4);
            match &list {
                b"movi" => {
                    self.claim(body, size);
                    return header.ok_or_else(|| {
                        self.malformed("has pictures (`movi`) before its headers (`hdrl`)")
                    });
                }
                b"hdrl" if body > MAX_HEADER => {
                    return Err(self.malformed(format!(
                        "headers of {body} bytes, the limit is {MAX_HEADER}"
                    )));
                }
                b"hdrl" => {
                    let mut bytes = vec![0; body as usize];
                    self.fill(&mut bytes).map_err(|e| self.header_error(e))?;
                    self.skip(u64::from(body % 2)).map_err(|e| self.io(e))?;
                    header = Some(bytes);
                }
                _ => self.skip_chunk(body).map_err(|e| self.io(e))?,
            }
        }
    }

    /// Reads on to the next picture of the video stream and returns its size; `None` at the end of
    /// the file.
    fn next_picture(&mut self) -> Result<Option<u32>> {
        loop {
            // The last chunk may lack its padding byte.
            if self.position >= self.end {
                return if self.claimed_end > self.end + 1 || self.position > self.end + 1 {
                    Err(self.truncated())
                } else {
                    Ok(None)
                };
            }
            if self.end - self.position < 8 {
                return Err(self.truncated());
            }
            let start = self.position;
            let [id, size] = self.words().map_err(|e| self.io(e))?;
            let size = u32::from_le_bytes(size);
            match &id {
                b"LIST" | b"RIFF" => {
                    if self.end - self.position < 4 {
                        return Err(self.truncated());
                    }
                    let [list] = self.words().map_err(|e| self.io(e))?;
                    let body = size.saturating_sub(4);
                    match (&id, &list) {
                        (b"LIST", b"movi" | b"rec ") | (b"RIFF", b"AVIX") => self.claim(body, size),
                        (b"RIFF", _) => {
                            return Err(self.malformed(format!(
                                "at byte {start} another file begins (`{}`), wanted a segment `AVIX`",
                                list.escape_ascii()
                            )));
                        }
                        _ => self.skip_chunk(body).map_err(|e| self.io(e))?,
                    }
                }
                [a, b, b'd', b'c' | b'b'] if [*a, *b] == self.video.digits => {
                    return Ok(Some(size));
                }
                // Sound, text, indices, padding.
                _ if id.iter().all(|byte| (b' '..=b'~').contains(byte)) => {
                    self.note_undeclared(id);
                    self.skip_chunk(size).map_err(|e| self.io(e))?;
                }
                _ => {
                    return Err(self.malformed(format!(
                        "{} at byte {start}: found `{}`, wanted the name of a chunk",
                        self.after("damaged"),
                        id.escape_ascii()
                    )));
                }
            }
        }
    }

    /// Counts a chunk if it belongs to a stream, and to none that the headers declare.
    fn note_undeclared(&mut self, id: [u8; 4]) {
        if let [a @ b'0'..=b'9', b @ b'0'..=b'9', ..] = id
            && (a - b'0') * 10 + (b - b'0') >= self.video.streams
        {
            self.undeclared.get_or_insert((id, 0)).1 += 1;
        }
    }

    /// Reads a picture of `size` bytes into `self.jpeg`. The inner error is that of one frame, the
    /// outer one that of the file.
    fn load(&mut self, size: u32) -> Result<Result<(), String>> {
        if u64::from(size) > self.end - self.position {
            return Err(self.truncated());
        }
        if u64::from(size) > MAX_BYTES {
            self.jpeg.clear();
            self.skip_chunk(size).map_err(|e| self.io(e))?;
            return Ok(Err(format!(
                "{size} compressed bytes, the limit is {MAX_BYTES}"
            )));
        }
        let mut jpeg = std::mem::take(&mut self.jpeg);
        jpeg.resize(size as usize, 0);
        self.fill(&mut jpeg).map_err(|e| self.io(e))?;
        self.skip(u64::from(size % 2)).map_err(|e| self.io(e))?;
        if !jpeg.starts_with(&START) {
            let found = jpeg.iter().take(2).copied().collect::<Vec<_>>();
            return Ok(Err(format!(
                "starts with `{}`, wanted a JPEG",
                found.escape_ascii()
            )));
        }
        self.jpeg = jpeg;
        Ok(Ok(()))
    }

    /// Reads `N` times four bytes.
    fn words<const N: usize>(&mut self) -> io::Result<[[u8; 4]; N]> {
        let mut words = [[0; 4]; N];
        self.fill(words.as_flattened_mut())?;
        Ok(words)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Skips a body of `size` bytes and its padding.
    fn skip_chunk(&mut self, size: u32) -> io::Result<()> {
        self.skip(u64::from(size) + u64::from(size % 2))
    }

    /// Skips `bytes`, at most 2^32, possibly beyond the end of the file.
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.position += bytes;
        self.reader.seek_relative(bytes as i64)
    }

    /// Notes where a list of `body` bytes from here on claims to end. Recorders write 0 or the
    /// largest number first and correct it when they stop.
    fn claim(&mut self, body: u32, size: u32) {
        if size != u32::MAX {
            self.claimed_end = self.claimed_end.max(self.position + u64::from(body));
        }
    }

    fn io(&self, source: io::Error) -> Error {
        Error::io(&self.name)(source)
    }

    fn malformed(&self, reason: impl Into<String>) -> Error {
        Error::malformed(&self.name, reason)
    }

    fn header_error(&self, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.malformed("truncated before its pictures (`movi`) begin")
        } else {
            self.io(error)
        }
    }

    fn truncated(&self) -> Error {
        self.malformed(self.after("truncated"))
    }

    fn after(&self, what: &str) -> String {
        match self.next.checked_sub(1) {
            Some(last) => format!("{what} after frame {last}"),
            None => format!("{what} before the first frame"),
        }
    }

    fn read_frame(&mut self, frame: &mut Frame) -> Result<Status> {
        let Some(size) = self.next_picture()? else {
            return Ok(Status::End);
        };
        let loaded = match size {
            // By convention a frame dropped while recording: the one before is repeated.
            0 if self.jpeg.is_empty() => {
                Err("repeats the frame before it, and there is none".to_owned())
            }
            0 => Ok(()),
            size => self.load(size)?,
        };
        frame.stamp(self.next, self.rate.time_of(self.next));
        self.next += 1;
        // Frames of cameras have no EXIF orientation, and players ignore one.
        loaded
            .and_then(|()| frame.decode_jpeg(&self.jpeg))
            .map_err(|reason| Error::frame(&self.name, frame.index, reason))?;
        if self.video.height as usize == 2 * frame.height {
            let reason = format!(
                "it is interlaced: the file states {} rows, a picture has {}; {}",
                self.video.height,
                frame.height,
                convert(&self.name)
            );
            return Err(Error::unsupported(self.name.as_str(), reason));
        }
        Ok(Status::Frame)
    }
}

impl<R: Read + Seek + Send> Source for AviReader<R> {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Option<u64> {
        self.video.frames
    }

    fn note(&self) -> Option<Note> {
        let (first, chunks) = self.undeclared?;
        Some(Note {
            text: format!(
                "{}: passed over: {chunks} x chunk of a stream that its headers do not declare (the first is `{}`)",
                self.name,
                first.escape_ascii()
            ),
            incomplete: true,
        })
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        if self.finished {
            return Ok(Status::End);
        }
        let status = self.read_frame(frame);
        self.finished = is_final(&status);
        status
    }
}

#[cfg(test)]
pub(crate) mod tests;
