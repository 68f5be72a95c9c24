use std::io::Cursor;

use super::*;
use crate::avi::tests::fixtures::jpeg;
use crate::clock::tests::ManualClock;
use crate::{Frame, Status};

fn open_bytes(bytes: &[u8]) -> Result<Box<dyn Source>> {
    let clock = Box::new(ManualClock::default());
    open(Cursor::new(bytes.to_vec()), "-", None, clock)
}

#[test]
fn the_first_bytes_tell_what_a_stream_is() {
    let picture = jpeg(2, 2, 9);
    let part = [b"--frame\r\n\r\n", picture.as_slice()].concat();
    for (bytes, width) in [
        (picture.as_slice(), 2),
        (part.as_slice(), 2),
        (b"YUV4MPEG2 W1 H1 F1:1 Cmono\nFRAME\n~", 1),
    ] {
        let mut source = open_bytes(bytes).unwrap();
        assert_eq!((source.name(), source.len()), ("-", None));
        let mut frame = Frame::default();
        assert_eq!(source.read(&mut frame).unwrap(), Status::Frame);
        assert_eq!(frame.width, width);
        assert_eq!(source.read(&mut frame).unwrap(), Status::End);
        assert_eq!(source.read(&mut frame).unwrap(), Status::End);
    }
}

#[test]
fn what_is_something_else_is_named() {
    let cases: [(&[u8], &str); 6] = [
        (b"", "it is empty;"),
        (b"\0\0\0\x01\x67\x64\0\x28", "it is H.264 or similar (use"),
        (
            b"\0\0\0\x20ftypisom",
            "it is an MP4 or QuickTime file (make",
        ),
        (b"\x1a\x45\xdf\xa3", "it is a Matroska or WebM file (make"),
        (
            b"RIFF\0\0\0\0AVI ",
            "it is an AVI file, which is read from a path;",
        ),
        (b"G\x40\x11\x10", "it is an MPEG transport stream (use"),
    ];
    for (bytes, wanted) in cases {
        let error = open_bytes(bytes).err().expect(wanted);
        assert!(matches!(error, Error::Unsupported { .. }));
        let error = error.to_string();
        assert!(
            error.starts_with(&format!("cannot open `-`: {wanted}")),
            "{error}"
        );
    }
}

/// Fails in every read.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the pipe is broken"))
    }
}

#[test]
fn a_pipe_that_fails_ends_the_stream() {
    let error = open(Broken, "-", None, Box::new(ManualClock::default()))
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "-: the pipe is broken");
    let picture = Cursor::new(jpeg(2, 2, 9));
    let mut source = open(
        picture.chain(Broken),
        "-",
        None,
        Box::new(ManualClock::default()),
    )
    .unwrap();
    let mut frame = Frame::default();
    assert_eq!(source.read(&mut frame).unwrap(), Status::Frame);
    let error = source.read(&mut frame).unwrap_err();
    assert_eq!(error.to_string(), "-: the pipe is broken");
    assert_eq!(source.read(&mut frame).unwrap(), Status::End);
}
