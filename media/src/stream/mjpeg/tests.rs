//! Motion-JPEG streams: whole, cut, and with garbage between their pictures.

use std::io::{Cursor, Read, repeat};
use std::time::Duration;

use super::*;
use crate::avi::tests::fixtures::jpeg;
use crate::clock::tests::ManualClock;

fn grey(shade: u8) -> Vec<u8> {
    jpeg(16, 16, shade)
}

fn open(reader: impl Read + Send + 'static) -> Mjpeg {
    Mjpeg::new(
        Input::new(reader, "-"),
        Rate::new(10, 1),
        Box::new(ManualClock::default()),
    )
}

/// The brightness of each frame or the text of its error, up to the end.
fn all(mjpeg: &mut Mjpeg) -> Vec<Result<u8, String>> {
    let mut frame = Frame::default();
    let mut found = Vec::new();
    loop {
        match mjpeg.read(&mut frame) {
            Ok(Status::End) => return found,
            Ok(Status::Frame) => {
                assert_eq!(frame.index, found.len() as u64);
                assert_eq!(frame.stream_time.as_millis() as usize, found.len() * 100);
                found.push(Ok(frame.rgb[0]));
            }
            Err(error) => found.push(Err(error.to_string())),
        }
    }
}

fn error(text: &str) -> Result<u8, String> {
    Err(format!("-: {text}"))
}

/// A picture whose segments hold what looks like the end and the beginning of one.
fn tricky(shade: u8) -> Vec<u8> {
    let mut bytes = grey(shade);
    let thumbnail = b"\xff\xd8\xff\xd9\xff\xd8\xff\xe0";
    let comment = [b"\xff\xff\xfe\0\x0a".as_slice(), thumbnail].concat();
    bytes.splice(2..2, comment);
    bytes
}

fn multipart(shades: &[u8], length: &str) -> Vec<u8> {
    let part = |&shade: &u8| {
        let header = format!("\r\n--frame\r\nContent-Type: image/jpeg\r\n{length}\r\n");
        [header.into_bytes(), grey(shade)].concat()
    };
    let parts: Vec<u8> = shades.iter().flat_map(part).collect();
    [&parts[2..], b"\r\n--frame--\r\n"].concat()
}

#[test]
fn streams_of_all_kinds() {
    let cut = |bytes: &[u8], len: usize| bytes[..len].to_vec();
    let half = grey(7).len() / 2;
    let scan = grey(7)
        .windows(2)
        .position(|two| two == [MARK, SOS])
        .unwrap();
    let cases = [
        (
            "bare",
            [grey(10), grey(250)].concat(),
            vec![Ok(10), Ok(250)],
        ),
        (
            "padded with zeros",
            [grey(10), vec![0; 5000], grey(250), vec![0; 3]].concat(),
            vec![Ok(10), Ok(250)],
        ),
        (
            "pictures in pictures",
            [tricky(10), tricky(250)].concat(),
            vec![Ok(10), Ok(250)],
        ),
        (
            "parts",
            multipart(&[10, 250], "Content-Length: 700\r\n"),
            vec![Ok(10), Ok(250)],
        ),
        (
            "parts without a length",
            multipart(&[10, 250], ""),
            vec![Ok(10), Ok(250)],
        ),
        (
            "garbage in front, between and behind",
            [
                b"noise".to_vec(),
                grey(10),
                b"\xff\xd8\x01more\xff".to_vec(),
                grey(250),
                b"\xff\xd8".to_vec(),
            ]
            .concat(),
            vec![
                error("frame 0: 5 bytes that are no JPEG and begin with `noise`"),
                Ok(10),
                error(
                    "frame 2: 8 bytes that are no JPEG and begin with `\\xff\\xd8\\x01more\\xff`",
                ),
                Ok(250),
                error("ends after frame 3, but 2 bytes that begin with `\\xff\\xd8`"),
            ],
        ),
        (
            "joined in the midst of a picture",
            [grey(7)[half..].to_vec(), grey(10)].concat(),
            vec![
                error(&format!(
                    "frame 0: {} bytes that are no JPEG and begin with `{}`",
                    grey(7).len() - half,
                    grey(7)[half..][..12].escape_ascii()
                )),
                Ok(10),
            ],
        ),
        (
            "a picture cut short by the next one",
            [cut(&grey(7), scan + 14), grey(10)].concat(),
            vec![
                error(&format!(
                    "frame 0: the next picture begins after {} bytes of a JPEG",
                    scan + 16
                )),
                Ok(10),
            ],
        ),
        (
            "a picture damaged in its markers",
            [cut(&grey(7), 20), vec![1, 2, 3], grey(10)].concat(),
            vec![
                error("frame 0: there is `01` in place of a marker after 20 bytes of a JPEG"),
                Ok(10),
            ],
        ),
        (
            "a segment shorter than its length",
            [b"\xff\xd8\xff\xe0\0\x01".to_vec(), grey(10)].concat(),
            vec![
                error(
                    "frame 0: there is a segment shorter than its length after 4 bytes of a JPEG",
                ),
                Ok(10),
            ],
        ),
        (
            "hostile size",
            [
                b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x11\0\x02\x11\0\x03\x11\0"
                    .to_vec(),
                grey(10),
            ]
            .concat(),
            vec![
                error(
                    "frame 0: 65535 x 65535 pixels: wanted 1 to 16384 a side and at most 268435456 bytes of RGB",
                ),
                Ok(10),
            ],
        ),
        (
            "truncated",
            [grey(10), cut(&grey(250), half)].concat(),
            vec![
                Ok(10),
                error(&format!("truncated in frame 1, after {half} bytes of it")),
            ],
        ),
        (
            "no picture at all",
            b"--frame\r\n".to_vec(),
            vec![error(
                "found no JPEG before the end, but 9 bytes that begin with `--frame\\r\\n`",
            )],
        ),
    ];
    for (name, bytes, wanted) in cases {
        // All at once, and byte by byte as a slow pipe would.
        assert_eq!(all(&mut open(Cursor::new(bytes.clone()))), wanted, "{name}");
        assert_eq!(
            all(&mut open(Drip(Cursor::new(bytes)))),
            wanted,
            "{name}, slow"
        );
    }
}

/// Gives one byte a call.
struct Drip(Cursor<Vec<u8>>);

impl Read for Drip {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.by_ref().take(1).read(bytes)
    }
}

#[test]
fn a_picture_beyond_the_limit_is_refused_before_it_is_kept() {
    let scan = grey(7)
        .windows(2)
        .position(|two| two == [MARK, SOS])
        .unwrap();
    let endless = Cursor::new(grey(7)[..scan + 14].to_vec())
        .chain(repeat(1).take(1 << 20))
        .chain(Cursor::new(grey(10)));
    let mut mjpeg = open(endless);
    mjpeg.limit = 10_000;
    let wanted = [
        error("frame 0: more than 10000 compressed bytes, the limit"),
        Ok(10),
    ];
    assert_eq!(all(&mut mjpeg), wanted);
    assert!(mjpeg.jpeg.capacity() < 20_000, "{}", mjpeg.jpeg.capacity());
}

#[test]
fn endless_garbage_ends() {
    let mut mjpeg = open(repeat(b'x'));
    mjpeg.garbage_limit = 100_000;
    let wanted = error("no JPEG within 100001 bytes that begin with `xxxxxxxxxxxx`");
    assert_eq!(all(&mut mjpeg), [wanted]);
}

#[test]
fn without_a_rate_frames_are_stamped_as_they_arrive() {
    let clock = ManualClock::default();
    let bytes = [grey(1), grey(2), grey(3), grey(4)].concat();
    let input = Input::new(Cursor::new(bytes), "-");
    let mut mjpeg = Mjpeg::new(input, None, Box::new(clock.clone()));
    let mut frame = Frame::default();
    // The clock jumps back by an hour before the third frame.
    for (now, wanted) in [(3_600_000, 0), (3_600_033, 33), (33, 33), (66, 66)] {
        clock.set(Duration::from_millis(now));
        assert_eq!(mjpeg.read(&mut frame).unwrap(), Status::Frame);
        assert_eq!(frame.stream_time.as_millis(), wanted);
    }
}

/// Pictures without their last two bytes, `ff d9`.
fn endless(shade: u8) -> Vec<u8> {
    let mut bytes = grey(shade);
    bytes.truncate(bytes.len() - 2);
    bytes
}

#[test]
fn text_of_a_server_is_no_frame() {
    let part = |header: &str, shade| [header.as_bytes(), &grey(shade)].concat();
    let both = vec![Ok(10), Ok(250)];
    let cases = [
        (
            "no first boundary",
            [
                part(
                    "Content-Type: image/jpeg\r\nContent-Length: 700\r\n\r\n",
                    10,
                ),
                part("\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n", 250),
                b"\r\n--frame\r\nContent-Type: ima".to_vec(),
            ],
        ),
        (
            "a response again, as of one request a picture",
            [
                part("HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", 10),
                part("HTTP/1.0 200 OK\r\nServer: a camera\r\n\r\n", 250),
                Vec::new(),
            ],
        ),
        (
            "a boundary without dashes, lines that end with \\n",
            [
                part("--\n\n", 10),
                part("\nboundary\nX-Time: 1\n\n", 250),
                b"\n\n".to_vec(),
            ],
        ),
    ];
    for (name, bytes) in cases {
        let bytes = bytes.concat();
        assert_eq!(all(&mut open(Cursor::new(bytes.clone()))), both, "{name}");
        assert_eq!(
            all(&mut open(Drip(Cursor::new(bytes)))),
            both,
            "{name}, slow"
        );
    }
    // Text that no server writes is one broken frame, and so is a header with bytes in it.
    for text in ["a line of a log\n", "Content-Type: \u{7f}\n"] {
        let found = all(&mut open(Cursor::new(part(text, 10))));
        assert!(found[0].is_err() && found[1] == Ok(10), "{text}: {found:?}");
    }
}

#[test]
fn a_picture_without_an_end_ends_where_the_next_begins() {
    let cases = [
        ("bare", [endless(10), endless(250)].concat()),
        (
            "as parts",
            [
                b"--x\r\nContent-Type: image/jpeg\r\n\r\n".to_vec(),
                endless(10),
                b"\r\n--x\r\nContent-Type: image/jpeg\r\n\r\n".to_vec(),
                grey(250),
            ]
            .concat(),
        ),
        (
            "a mark at the end",
            [
                endless(10),
                b"\xff".to_vec(),
                endless(250),
                b"\xff".to_vec(),
            ]
            .concat(),
        ),
    ];
    for (name, bytes) in cases {
        let found = all(&mut open(Cursor::new(bytes.clone())));
        assert_eq!(found, [Ok(10), Ok(250)], "{name}");
        assert_eq!(
            all(&mut open(Drip(Cursor::new(bytes)))),
            found,
            "{name}, slow"
        );
    }
}

#[test]
fn a_boundary_at_the_end_of_a_scan_is_no_part_of_it() {
    for (scan, wanted) in [
        (b"".as_slice(), 0),
        (b"\x80abc", 0),
        (b"\x80a\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n", 35),
        (b"\x80a\n--b--\r\n", 8),
        // What is behind it is none of a server's.
        (b"\x80a\r\n--b\r\n\x80", 0),
        (b"\x80\r\n-b\r\n", 0),
    ] {
        assert_eq!(boundary(scan), wanted, "{}", scan.escape_ascii());
    }
}

#[test]
fn a_progressive_picture_without_an_end_is_broken() {
    // What refines it may be missing, and nobody would see that.
    let mut progressive = endless(10);
    let frame = progressive.windows(2).position(|two| two == [MARK, 0xc0]);
    progressive[frame.unwrap() + 1] = 0xc2;
    let bytes = [progressive, grey(250)].concat();
    let found = all(&mut open(Cursor::new(bytes)));
    assert!(
        found[0]
            .as_ref()
            .unwrap_err()
            .contains("the next picture begins after")
    );
    assert_eq!(found[1..], [Ok(250)]);
}
