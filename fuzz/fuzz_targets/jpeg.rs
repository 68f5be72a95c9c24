//! Any bytes as a JPEG.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// Bytes of RGB for each byte of a file, at most: a progressive block takes a bit at least, and
/// becomes 64 grey pixels.
const MOST: usize = 8 * 64 * 3;

fuzz_target!(|bytes: &[u8]| {
    let mut rgb = Vec::new();
    if let Ok((width, height)) = media::picture::decode_frame(bytes, &mut rgb) {
        assert_eq!(rgb.len(), width * height * 3);
    }
    assert!(rgb.capacity() <= bytes.len() * MOST);
});
