//! y4m (YUV4MPEG2): a line of text, then raw frames of a fixed size, each after a line of its own.
//!
//! Supported are 4:2:0 (`420jpeg`, `420mpeg2`, `420paldv`, whose different chroma positions are
//! ignored), 4:2:2, 4:4:4 and `mono`, 8 bits, progressive. Luma has limited range unless the header has
//! `XCOLORRANGE=FULL`: ffmpeg writes `420jpeg` for both.

use super::Input;
use crate::picture::check_size;
use crate::yuv::{self, Plane, Range, Subsampling};
use crate::{Error, Frame, Rate, Result, Source, Status};

const SIGNATURE: &[u8] = b"YUV4MPEG2";

/// The most bytes of a line of text; ffmpeg's have less than 100.
const MAX_LINE: usize = 1024;

/// What works, for error messages.
const WANTED: &str = "wanted 8-bit 420jpeg, 420mpeg2, 420paldv, 422, 444 or mono";

/// Whether a stream that starts with `head` is y4m.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(SIGNATURE)
}

/// A y4m stream.
#[derive(Debug)]
pub(super) struct Y4m {
    input: Input,
    rate: Rate,
    header: Header,
    /// The planes of a frame, one after the other.
    samples: Vec<u8>,
    next: u64,
    finished: bool,
}

/// The first line.
#[derive(Debug)]
struct Header {
    size: (usize, usize),
    /// `None` for luma alone.
    chroma: Option<Subsampling>,
    range: Range,
    /// Frames and seconds; one of them is 0 if the rate is unknown.
    rate: (u32, u32),
}

impl Y4m {
    /// Reads the first line. `rate` replaces the one in it.
    pub(super) fn new(mut input: Input, rate: Option<Rate>) -> Result<Self> {
        let mut words = TextLine::new();
        match read_line(&mut input, &mut words)? {
            LineEnd::Newline => {}
            LineEnd::Limit => {
                let reason = format!("its header is longer than {MAX_LINE} bytes, the limit");
                return Err(input.malformed(reason));
            }
            LineEnd::Stream => {
                let read = words.len();
                return Err(input.malformed(format!("truncated in its header, after {read} bytes")));
            }
        }
        let header = header(&words).map_err(|fault| match fault {
            Fault::Damaged(reason) => input.malformed(reason),
            Fault::Unsupported(reason) => Error::unsupported(&input.name, reason),
        })?;
        let missing = "states no frame rate (`F`); give one with --fps";
        let rate = Rate::given_or_stated(rate, header.rate, missing)
            .map_err(|reason| input.malformed(reason))?;
        let bytes = header
            .planes()
            .iter()
            .map(|(columns, rows)| columns * rows)
            .sum();
        let samples = vec![0; bytes];
        Ok(Self {
            input,
            rate,
            header,
            samples,
            next: 0,
            finished: false,
        })
    }

    fn read_frame(&mut self, frame: &mut Frame) -> Result<Status> {
        let next = self.next;
        let mut words = TextLine::new();
        match read_line(&mut self.input, &mut words)? {
            LineEnd::Stream if words.is_empty() => return Ok(Status::End),
            LineEnd::Newline if words == b"FRAME" || words.starts_with(b"FRAME ") => {}
            LineEnd::Stream => {
                return Err(self.input.malformed(format!(
                    "truncated in frame {next}, after {} bytes of its line",
                    words.len()
                )));
            }
            LineEnd::Newline | LineEnd::Limit => {
                return Err(self.input.malformed(format!(
                    "damaged before frame {next}: found `{}`, wanted `FRAME`",
                    words[..words.len().min(12)].escape_ascii()
                )));
            }
        }
        let read = self.input.read(&mut self.samples)?;
        if read < self.samples.len() {
            return Err(self.input.malformed(format!(
                "truncated in frame {next}, after {read} of its {} bytes",
                self.samples.len()
            )));
        }
        let (width, height) = self.header.size;
        frame.stamp(next, self.rate.time_of(next));
        self.next += 1;
        frame
            .resize(width, height)
            .and_then(|()| self.header.convert(&self.samples, &mut frame.rgb))
            .map_err(|reason| self.input.malformed(reason))?;
        Ok(Status::Frame)
    }
}

impl Header {
    /// Columns and rows of each plane.
    fn planes(&self) -> heapless::Vec<(usize, usize), 3> {
        let luma = self.size;
        match self.chroma {
            None => [luma].into_iter().collect(),
            Some(subsampling) => {
                let chroma = yuv::chroma_size(subsampling, luma);
                [luma, chroma, chroma].into_iter().collect()
            }
        }
    }

    fn convert(&self, mut samples: &[u8], rgb: &mut [u8]) -> Result<(), String> {
        let mut planes = [Plane {
            bytes: &[],
            stride: 0,
        }; 3];
        for (plane, (stride, rows)) in planes.iter_mut().zip(self.planes()) {
            let (bytes, rest) = samples.split_at(stride * rows);
            *plane = Plane { bytes, stride };
            samples = rest;
        }
        match self.chroma {
            None => yuv::grey(planes[0], self.size, self.range, rgb),
            Some(subsampling) => yuv::planar(planes, subsampling, self.size, self.range, rgb),
        }
    }
}

/// A line of text, without its end.
type TextLine = heapless::Vec<u8, MAX_LINE>;

/// How a line ends.
enum LineEnd {
    Newline,
    /// It is longer than [`MAX_LINE`].
    Limit,
    Stream,
}

fn read_line(input: &mut Input, line: &mut TextLine) -> Result<LineEnd> {
    loop {
        match input.byte()? {
            Some(b'\n') => return Ok(LineEnd::Newline),
            Some(byte) if line.push(byte).is_ok() => {}
            Some(_) => return Ok(LineEnd::Limit),
            None => return Ok(LineEnd::Stream),
        }
    }
}

/// What is wrong with a header.
enum Fault {
    Damaged(String),
    Unsupported(String),
}

/// Reads the first line: the signature, then words of a letter and its value.
fn header(line: &[u8]) -> Result<Header, Fault> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split(' ');
    let signature = words.next().unwrap_or_default();
    if signature.as_bytes() != SIGNATURE {
        return Err(Fault::Damaged(format!(
            "starts with `{}`, wanted `YUV4MPEG2 `",
            signature.escape_debug()
        )));
    }
    let (mut width, mut height, mut rate) = (None, None, (0, 0));
    let mut chroma = Some(Subsampling::Both);
    let mut range = Range::Limited;
    for word in words.filter(|word| !word.is_empty()) {
        let mut letters = word.chars();
        let letter = letters.next().unwrap_or_default();
        let value = letters.as_str();
        let damaged = || Fault::Damaged(format!("its header has `{}`", word.escape_debug()));
        match letter {
            'W' => width = Some(value.parse().map_err(|_| damaged())?),
            'H' => height = Some(value.parse().map_err(|_| damaged())?),
            // 0:0 if it is unknown.
            'F' => {
                let (frames, seconds) = value.split_once(':').ok_or_else(damaged)?;
                let number = |text: &str| text.parse().map_err(|_| damaged());
                rate = (number(frames)?, number(seconds)?);
            }
            'I' if !matches!(value, "p" | "?" | "") => {
                return Err(Fault::Unsupported(format!(
                    "it is interlaced (`{}`), wanted progressive (`Ip`): use `-vf yadif` with ffmpeg",
                    word.escape_debug()
                )));
            }
            'C' => {
                chroma = match value {
                    "420" | "420jpeg" | "420mpeg2" | "420paldv" => Some(Subsampling::Both),
                    "422" => Some(Subsampling::Columns),
                    "444" => Some(Subsampling::None),
                    "mono" => None,
                    other => {
                        return Err(Fault::Unsupported(format!(
                            "its colours are `{}`, {WANTED}: use `-pix_fmt yuv420p` with ffmpeg",
                            other.escape_debug()
                        )));
                    }
                };
            }
            'X' if value == "COLORRANGE=FULL" => range = Range::Full,
            // Pixel aspect, comments, extensions.
            _ => {}
        }
    }
    let (Some(width), Some(height)) = (width, height) else {
        return Err(Fault::Damaged(
            "its header lacks width or height (`W`, `H`)".to_owned(),
        ));
    };
    check_size(width, height).map_err(|error| Fault::Damaged(error.to_string()))?;
    Ok(Header {
        size: (width, height),
        chroma,
        range,
        rate,
    })
}

impl Source for Y4m {
    fn name(&self) -> &str {
        &self.input.name
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        if self.finished {
            return Ok(Status::End);
        }
        let status = self.read_frame(frame);
        self.finished = !matches!(status, Ok(Status::Frame));
        status
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// The first pixel of each frame, or the error that ends the stream.
    fn all(bytes: &[u8], rate: Option<Rate>) -> Vec<Result<[u8; 3], String>> {
        let input = Input::new(Cursor::new(bytes.to_vec()), "-");
        let mut y4m = match Y4m::new(input, rate) {
            Ok(y4m) => y4m,
            Err(error) => return vec![Err(error.to_string())],
        };
        let mut frame = Frame::default();
        let mut found = Vec::new();
        loop {
            match y4m.read(&mut frame) {
                Ok(Status::End) => return found,
                Ok(Status::Frame) => {
                    assert_eq!(frame.index, found.len() as u64);
                    assert_eq!(frame.stream_time.as_millis() as usize, found.len() * 40);
                    found.push(Ok([frame.rgb[0], frame.rgb[1], frame.rgb[2]]));
                }
                Err(error) => {
                    assert!(!error.is_recoverable());
                    found.push(Err(error.to_string()));
                }
            }
        }
    }

    /// A frame of 3 x 3 pixels, `chroma` samples a plane.
    fn frame(line: &str, luma: u8, chroma: usize, [u, v]: [u8; 2]) -> Vec<u8> {
        let planes = [vec![luma; 9], vec![u; chroma], vec![v; chroma]];
        [format!("{line}\n").into_bytes(), planes.concat()].concat()
    }

    #[test]
    fn layouts_and_ranges() {
        // Red of BT.601 in either range.
        let (limited, full) = ((81, [90, 240]), (76, [85, 255]));
        let cases = [
            (
                "F25:1 Ip A1:1 C420jpeg XYSCSS=420JPEG",
                4,
                limited,
                [254, 0, 0],
            ),
            (
                "F25:1 C420mpeg2 XCOLORRANGE=LIMITED",
                4,
                limited,
                [254, 0, 0],
            ),
            ("F25:1 C420paldv", 4, limited, [254, 0, 0]),
            ("F25:1 I? ", 4, limited, [254, 0, 0]),
            ("F50:2 C422 XCOLORRANGE=FULL", 6, full, [254, 0, 0]),
            ("F25:1 C444", 9, limited, [254, 0, 0]),
            ("F25:1 Cmono", 0, limited, [76, 76, 76]),
            ("F25:1 Cmono XCOLORRANGE=FULL", 0, full, [76, 76, 76]),
        ];
        for (words, chroma, (luma, uv), wanted) in cases {
            let header = format!("YUV4MPEG2 W3 H3 {words}\n").into_bytes();
            let white = [
                vec![b'F', b'R', b'A', b'M', b'E', b'\n'],
                vec![255; 9],
                vec![128; 2 * chroma],
            ];
            let first = frame("FRAME Ip", luma, chroma, uv);
            let bytes = [header, first, white.concat()].concat();
            assert_eq!(all(&bytes, None), [Ok(wanted), Ok([255; 3])], "{words}");
        }
    }

    #[test]
    fn headers_and_frames_that_are_refused() {
        let long = format!("YUV4MPEG2 W3 H3 X{}\n", "x".repeat(MAX_LINE));
        let good = "YUV4MPEG2 W3 H3 F25:1 Cmono\n";
        let cases = [
            (
                "YUV4MPEG2".to_owned(),
                "-: truncated in its header, after 9 bytes",
            ),
            (
                "YUV4MPEG2 W3 H3 F25:1".to_owned(),
                "-: truncated in its header, after 21 bytes",
            ),
            (long, "-: its header is longer than 1024 bytes, the limit"),
            (
                "YUV4MPEG23 W3\n".to_owned(),
                "-: starts with `YUV4MPEG23`, wanted `YUV4MPEG2 `",
            ),
            (
                "YUV4MPEG2 W3 F25:1\n".to_owned(),
                "-: its header lacks width or height (`W`, `H`)",
            ),
            ("YUV4MPEG2 W-3 H3\n".to_owned(), "-: its header has `W-3`"),
            (
                "YUV4MPEG2 W3 H3 F25\n".to_owned(),
                "-: its header has `F25`",
            ),
            (
                "YUV4MPEG2 W3 H3 F0:0\n".to_owned(),
                "-: states no frame rate (`F`); give one with --fps",
            ),
            (
                "YUV4MPEG2 W3 H3 F90000:1\n".to_owned(),
                "-: states 90000/1 frames per second, wanted 0.001 to 1000; give a rate with --fps",
            ),
            (
                "YUV4MPEG2 W0 H3 F25:1\n".to_owned(),
                "-: 0 x 3 pixels: wanted 1 to 16384 a side and at most 268435456 bytes of RGB",
            ),
            (
                format!("YUV4MPEG2 W{0} H{0} F25:1\n", usize::MAX),
                "-: 18446744073709551615 x 18446744073709551615 pixels: wanted 1 to 16384 a side and at most 268435456 bytes of RGB",
            ),
            (
                "YUV4MPEG2 W3 H3 F25:1 It\n".to_owned(),
                "cannot open `-`: it is interlaced (`It`), wanted progressive (`Ip`): use `-vf yadif` with ffmpeg",
            ),
            (
                "YUV4MPEG2 W3 H3 F25:1 C420p10\n".to_owned(),
                "cannot open `-`: its colours are `420p10`, wanted 8-bit 420jpeg, 420mpeg2, 420paldv, 422, 444 or mono: use `-pix_fmt yuv420p` with ffmpeg",
            ),
            (
                format!("{good}FRA"),
                "-: truncated in frame 0, after 3 bytes of its line",
            ),
            (
                format!("{good}FRAME\n12345678"),
                "-: truncated in frame 0, after 8 of its 9 bytes",
            ),
            (
                format!("{good}FRAMES\n123456789"),
                "-: damaged before frame 0: found `FRAMES`, wanted `FRAME`",
            ),
            (
                format!("{good}{}", "~".repeat(2000)),
                "-: damaged before frame 0: found `~~~~~~~~~~~~`, wanted `FRAME`",
            ),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(
                all(bytes.as_bytes(), None),
                [Err(wanted.to_owned())],
                "{bytes}"
            );
        }
        // What came before is delivered.
        let bytes = format!("{good}FRAME\n~~~~~~~~~FRAME\n~~~");
        let wanted = Err("-: truncated in frame 1, after 3 of its 9 bytes".to_owned());
        assert_eq!(all(bytes.as_bytes(), None), [Ok([128; 3]), wanted]);
        // A rate that a person gives replaces one that is missing.
        let bytes = "YUV4MPEG2 W1 H1 F0:0 Cmono\nFRAME\n~FRAME\n~";
        assert_eq!(
            all(bytes.as_bytes(), Rate::new(25, 1)),
            [Ok([128; 3]), Ok([128; 3])]
        );
    }
}
