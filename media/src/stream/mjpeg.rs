//! Motion-JPEG on a pipe: one JPEG after the other.
//!
//! Walking the markers finds the end of a picture, so neither a thumbnail inside nor a wrong length of
//! a server misleads. For cameras that write no end, the next picture or the end of the stream is it,
//! and the decoder checks that the scan is complete. Gap pictures, padding and headers of
//! `multipart/x-mixed-replace` are skipped; anything else is an error that counts as one broken frame.

use super::Input;
use crate::clock::{Arrivals, Clock};
use crate::picture::{START, check_size};
use crate::source::is_final;
use crate::{Error, Frame, MAX_BYTES, Rate, Result, Source, Status};

/// The most bytes that are skipped in search of a picture.
const MAX_GARBAGE: u64 = 1 << 26;

/// The most bytes of the header of a part; cameras send about 100.
const MAX_PART: u64 = 4096;

/// The first byte of every marker, and the second byte of some markers.
const MARK: u8 = 0xff;
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// Motion-JPEG on a pipe.
#[derive(Debug)]
pub(super) struct Mjpeg {
    input: Input,
    rate: Option<Rate>,
    clock: Box<dyn Clock>,
    arrivals: Arrivals,
    /// The last picture.
    jpeg: Vec<u8>,
    /// The most bytes that it may have.
    limit: u64,
    garbage_limit: u64,
    next: u64,
    /// Bytes of `ff d8 ff` that are consumed already: 2 if they were found in the picture before, 3
    /// if garbage before them was reported first.
    begun: usize,
    /// The last picture was broken, and its rest may follow.
    broken: bool,
    finished: bool,
}

/// How a picture ends.
enum End {
    /// With an end marker.
    Marker,
    /// Without one, after a scan that may be the last: the error if it was not.
    Missing(Failure),
}

/// Why there is no picture.
enum Failure {
    /// It is broken; the next one may be complete.
    Picture(String),
    /// The stream is broken.
    Stream(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Stream(error)
    }
}

/// The bytes between two pictures.
#[derive(Debug, Default)]
struct Gap {
    bytes: u64,
    first: heapless::Vec<u8, 12>,
    /// Bytes from the first one that is no padding.
    part: u64,
    line: LineState,
    /// Whether a line was the boundary of a part, or a field of its header.
    header: bool,
    binary: bool,
}

/// What a line between two pictures can still be.
#[derive(Debug, Default, Clone, Copy)]
enum LineState {
    #[default]
    Start,
    /// It begins with `-`.
    Dash,
    /// It begins with what may be the name of a field.
    Name,
    /// It is known whether it belongs to a header.
    Decided,
}

impl Mjpeg {
    pub(super) fn new(input: Input, rate: Option<Rate>, clock: Box<dyn Clock>) -> Self {
        Self {
            input,
            rate,
            clock,
            arrivals: Arrivals::default(),
            jpeg: Vec::new(),
            limit: MAX_BYTES,
            garbage_limit: MAX_GARBAGE,
            next: 0,
            begun: 0,
            broken: false,
            finished: false,
        }
    }

    /// Skips to the first three bytes of a picture, `ff d8 ff`, and consumes them. `None` at the end
    /// of the stream.
    fn seek(&mut self) -> Result<Option<Gap>> {
        let mut gap = Gap::default();
        let mut matched = std::mem::take(&mut self.begun);
        if matched == 3 {
            return Ok(Some(gap));
        }
        while let Some(byte) = self.input.byte()? {
            matched = match (matched, byte) {
                (2, MARK) => return Ok(Some(gap)),
                (1, SOI) => 2,
                (_, MARK) => {
                    (0..matched).for_each(|i| gap.add([MARK, SOI][i]));
                    1
                }
                _ => {
                    (0..matched).for_each(|i| gap.add([MARK, SOI][i]));
                    gap.add(byte);
                    0
                }
            };
            if gap.bytes > self.garbage_limit {
                return Err(self.input.malformed(format!(
                    "no JPEG within {} bytes that begin with `{}`",
                    gap.bytes,
                    gap.first.escape_ascii()
                )));
            }
        }
        (0..matched).for_each(|i| gap.add([MARK, SOI][i]));
        let after = match self.next {
            0 => "found no JPEG before the end".to_owned(),
            next => format!("ends after frame {}", next - 1),
        };
        match (gap.is_quiet() || self.broken, self.next) {
            (true, 1..) => Ok(None),
            _ => Err(self.input.malformed(format!(
                "{after}, but {} bytes that begin with `{}`",
                gap.bytes,
                gap.first.escape_ascii()
            ))),
        }
    }

    /// Reads the rest of a picture of which `ff d8 ff` is consumed.
    fn picture(&mut self) -> Result<End, Failure> {
        self.jpeg.clear();
        self.jpeg.extend(START);
        let mut marker = self.byte()?;
        // Colour components that no scan had yet; `None` if scans refine each other, because then
        // the last one is unknown.
        let mut components = None;
        loop {
            while marker == MARK {
                marker = self.byte()?;
            }
            self.push(&[MARK, marker])?;
            marker = match marker {
                EOI => return Ok(End::Marker),
                SOI => {
                    self.begun = 2;
                    let cut = self.broken("the next picture begins");
                    return self.ends_with(cut, components);
                }
                // Without a length.
                0x01 | 0xd0..=0xd7 => self.marker()?,
                0x00 | 0x02..=0xbf => {
                    return Err(self.broken(&format!("there is `ff {marker:02x}`")));
                }
                SOS => {
                    let body = self.segment()?;
                    let brought = self.jpeg.get(body).copied();
                    components = components
                        .zip(brought)
                        .map(|(c, b): (u8, u8)| c.saturating_sub(b));
                    match self.scan()? {
                        Some(marker) => marker,
                        None => return self.ends_with(self.truncated(), components),
                    }
                }
                _ => {
                    let body = self.segment()?;
                    // Start of a frame: precision, height, width. The other three are Huffman tables,
                    // arithmetic coding, and reserved.
                    let starts =
                        matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
                    let header = self.jpeg[body..].first_chunk();
                    if let Some(&[_, h1, h0, w1, w0, count]) = header.filter(|_| starts) {
                        let side = |high, low| usize::from(u16::from_be_bytes([high, low]));
                        check_size(side(w1, w0), side(h1, h0))
                            .map_err(|error| Failure::Picture(error.to_string()))?;
                        // Baseline and extended sequential.
                        components = matches!(marker, 0xc0 | 0xc1).then_some(count);
                    }
                    self.marker()?
                }
            };
        }
    }

    /// The end of a picture without an end marker, if no components are missing.
    fn ends_with(&mut self, cut: Failure, components: Option<u8>) -> Result<End, Failure> {
        if components != Some(0) {
            return Err(cut);
        }
        // The decoder needs an end marker; the marker found may be in its place already.
        if self.jpeg.ends_with(&[MARK, SOI]) {
            self.jpeg.truncate(self.jpeg.len() - 2);
        }
        let scan = self.jpeg.len() - boundary(&self.jpeg);
        self.jpeg.truncate(scan);
        self.jpeg.extend([MARK, EOI]);
        Ok(End::Missing(cut))
    }

    /// Reads a marker; its second byte.
    fn marker(&mut self) -> Result<u8, Failure> {
        match self.byte()? {
            MARK => self.byte(),
            byte => Err(self.broken(&format!("there is `{byte:02x}` in place of a marker"))),
        }
    }

    /// Reads a segment, which begins with its length; returns where its body begins in the picture.
    fn segment(&mut self) -> Result<usize, Failure> {
        let length = [self.byte()?, self.byte()?];
        let body = usize::from(u16::from_be_bytes(length))
            .checked_sub(2)
            .ok_or_else(|| self.broken("there is a segment shorter than its length"))?;
        self.push(&length)?;
        let start = self.jpeg.len();
        self.room(body)?;
        self.jpeg.resize(start + body, 0);
        let read = self.input.read(&mut self.jpeg[start..])?;
        if read < body {
            self.jpeg.truncate(start + read);
            return Err(self.truncated());
        }
        Ok(start)
    }

    /// Reads compressed pixels up to a marker; its second byte, or `None` at the end of the stream.
    fn scan(&mut self) -> Result<Option<u8>, Failure> {
        loop {
            let available = self.input.fill()?;
            let pixels = available.iter().position(|&byte| byte == MARK);
            let count = pixels.unwrap_or(available.len());
            if available.is_empty() {
                return Ok(None);
            }
            // As `room`, which cannot be called while the input is borrowed.
            if (self.jpeg.len() + count) as u64 > self.limit {
                return Err(self.too_large());
            }
            self.jpeg.extend_from_slice(&available[..count]);
            self.input.consume(count);
            if pixels.is_none() {
                continue;
            }
            self.input.consume(1);
            let mut after = self.input.byte()?;
            while after == Some(MARK) {
                after = self.input.byte()?;
            }
            match after {
                // A stuffed byte, or a restart marker.
                Some(after @ (0x00 | 0xd0..=0xd7)) => self.push(&[MARK, after])?,
                marker => return Ok(marker),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Failure> {
        match self.input.byte()? {
            Some(byte) => Ok(byte),
            None => Err(self.truncated()),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.room(bytes.len())?;
        self.jpeg.extend(bytes);
        Ok(())
    }

    fn room(&self, bytes: usize) -> Result<(), Failure> {
        if (self.jpeg.len() + bytes) as u64 > self.limit {
            return Err(self.too_large());
        }
        Ok(())
    }

    fn too_large(&self) -> Failure {
        Failure::Picture(format!(
            "more than {} compressed bytes, the limit",
            self.limit
        ))
    }

    /// `what` was found inside a picture.
    fn broken(&self, what: &str) -> Failure {
        let bytes = self.jpeg.len();
        Failure::Picture(format!("{what} after {bytes} bytes of a JPEG"))
    }

    fn truncated(&self) -> Failure {
        let bytes = self.jpeg.len();
        Failure::Stream(self.input.malformed(format!(
            "truncated in frame {}, after {bytes} bytes of it",
            self.next
        )))
    }

    fn read_frame(&mut self, frame: &mut Frame) -> Result<Status> {
        let Some(gap) = self.seek()? else {
            return Ok(Status::End);
        };
        // The rest of a broken picture is not reported a second time.
        let picture = if gap.is_quiet() || self.broken {
            self.broken = false;
            self.picture()
        } else {
            // The next call reads the picture after it.
            self.begun = 3;
            Err(Failure::Picture(format!(
                "{} bytes that are no JPEG and begin with `{}`",
                gap.bytes,
                gap.first.escape_ascii()
            )))
        };
        let stream_time = match self.rate {
            Some(rate) => rate.time_of(self.next),
            None => self.arrivals.stamp(self.clock.now()),
        };
        frame.stamp(self.next, stream_time);
        let decoded = match picture {
            Ok(end) => match (frame.decode_jpeg(&self.jpeg), end) {
                (Ok(_), _) => Ok(()),
                (Err(reason), End::Marker) => Err(Failure::Picture(reason)),
                (Err(_), End::Missing(cut)) => Err(cut),
            },
            Err(failure) => {
                self.broken = self.begun == 0;
                Err(failure)
            }
        };
        if let Err(Failure::Stream(error)) = decoded {
            return Err(error);
        }
        self.next += 1;
        match decoded {
            Err(Failure::Picture(reason)) => {
                Err(Error::frame(&self.input.name, frame.index, reason))
            }
            _ => Ok(Status::Frame),
        }
    }
}

/// How many bytes at the end of a scan are the boundary of a part and its header: text to the end,
/// from a line that begins with `--`.
fn boundary(scan: &[u8]) -> usize {
    let text = scan.iter().rev().take(MAX_PART as usize);
    let text = text.take_while(|&&byte| is_text(byte)).count();
    let text = &scan[scan.len() - text..];
    let Some(at) = text.windows(3).position(|three| three == b"\n--") else {
        return 0;
    };
    let lines = text[..at].ends_with(b"\r");
    text.len() - at + usize::from(lines)
}

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')
}

impl Gap {
    fn add(&mut self, byte: u8) {
        self.bytes += 1;
        // The first ones are enough to show.
        let _ = self.first.push(byte);
        let padding = matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n');
        if self.part == 0 && padding {
            return;
        }
        self.part += 1;
        self.binary |= !is_text(byte);
        // Of a name as in RFC 9110, section 5.6.2.
        let names = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        self.line = match (self.line, byte) {
            (_, b'\n') => LineState::Start,
            (LineState::Dash, b'-') | (LineState::Name, b':') => {
                self.header = true;
                LineState::Decided
            }
            (LineState::Start, b'-') => LineState::Dash,
            (LineState::Start | LineState::Dash | LineState::Name, _) if names => LineState::Name,
            _ => LineState::Decided,
        };
    }

    /// Whether it is only padding, or the header of a part or a response.
    fn is_quiet(&self) -> bool {
        self.part == 0 || (self.part <= MAX_PART && !self.binary && self.header)
    }
}

impl Source for Mjpeg {
    fn name(&self) -> &str {
        &self.input.name
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
mod tests;
