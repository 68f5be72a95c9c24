//! Any bytes as a Motion-JPEG file: the container, then the pictures in it.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use media::avi::AviReader;
use media::{Frame, Source, Status};

/// Enough for every way on from one frame to the next; the rest would only cost time.
const FRAMES: u64 = 8;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut avi) = AviReader::new(Cursor::new(bytes), "fuzz", None) else {
        return;
    };
    let mut frame = Frame::default();
    for index in 0..FRAMES {
        match avi.read(&mut frame) {
            Ok(Status::Frame) => {
                assert_eq!(frame.index, index);
                assert_eq!(frame.rgb.len(), frame.width * frame.height * 3);
            }
            Ok(Status::End) => return,
            Err(error) if error.is_recoverable() => {}
            Err(_) => {
                assert!(matches!(avi.read(&mut frame), Ok(Status::End)));
                return;
            }
        }
    }
});
