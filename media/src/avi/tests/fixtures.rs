//! Small AVI files for tests, put together by hand, also invalid ones.

use std::io::Cursor;

use crate::avi::AviReader;
use crate::{Frame, Result, Source, Status, picture};

/// A JPEG of one grey.
pub(crate) fn jpeg(width: u32, height: u32, shade: u8) -> Vec<u8> {
    let pixels = vec![shade; (width * height * 3) as usize];
    let mut bytes = Vec::new();
    picture::encode(&pixels, [width as usize, height as usize], 90, &mut bytes).unwrap();
    bytes
}

pub(in crate::avi) fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = id.to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.extend(&[0][..body.len() % 2]);
    bytes
}

pub(in crate::avi) fn list(id: &[u8; 4], name: &[u8; 4], bodies: &[Vec<u8>]) -> Vec<u8> {
    chunk(id, &[name.to_vec(), bodies.concat()].concat())
}

pub(in crate::avi) fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub(in crate::avi) fn stream(kind: &[u8; 4], fourcc: &[u8; 4], side: u32, rate: u32) -> Vec<u8> {
    let header = [
        kind.to_vec(),
        words(&[0, 0, 0, 0, 1, rate, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let format = [words(&[40, side, side, 0]), fourcc.to_vec(), words(&[0; 5])];
    list(
        b"LIST",
        b"strl",
        &[
            chunk(b"strh", &header.concat()),
            chunk(b"strf", &format.concat()),
        ],
    )
}

/// A file with one video stream of 16 x 16 pixels, ten frames a second.
pub(in crate::avi) fn file(movi: &[Vec<u8>]) -> Vec<u8> {
    let headers = list(b"LIST", b"hdrl", &[stream(b"vids", b"MJPG", 16, 10)]);
    list(b"RIFF", b"AVI ", &[headers, list(b"LIST", b"movi", movi)])
}

pub(in crate::avi) fn open(bytes: &[u8]) -> Result<AviReader<Cursor<&[u8]>>> {
    AviReader::new(Cursor::new(bytes), "test.avi", None)
}

/// What reading gives: the brightness of each frame or the text of its error, up to the end or
/// the first error that ends the source.
pub(in crate::avi) fn read_all(bytes: &[u8]) -> Vec<Result<u8, String>> {
    let mut avi = match open(bytes) {
        Ok(avi) => avi,
        Err(error) => return vec![Err(error.to_string())],
    };
    let mut frame = Frame::default();
    let mut found = Vec::new();
    loop {
        match avi.read(&mut frame) {
            Ok(Status::Frame) => {
                assert_eq!(frame.index, found.len() as u64);
                found.push(Ok(frame.rgb[0]));
            }
            Ok(Status::End) => return found,
            Err(error) => {
                let goes_on = error.is_recoverable();
                found.push(Err(error.to_string()));
                if !goes_on {
                    assert_eq!(avi.read(&mut frame).unwrap(), Status::End);
                    return found;
                }
            }
        }
    }
}

pub(in crate::avi) fn grey(shade: u8) -> Vec<u8> {
    chunk(b"00dc", &jpeg(16, 16, shade))
}

pub(in crate::avi) fn error(text: &str) -> Result<u8, String> {
    Err(format!("test.avi: {text}"))
}
