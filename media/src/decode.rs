//! JPEG, PNG and BMP bytes to the RGB pixels of a [`Frame`].

use super::Frame;

/// What every JPEG begins with.
pub(super) const START: [u8; 2] = *b"\xff\xd8";

/// Decodes an image file into `frame`, upright.
pub(super) fn picture(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let size = crate::picture::decode(bytes, &mut frame.rgb).map_err(|e| e.to_string())?;
    (frame.width, frame.height) = size;
    Ok(())
}

/// Decodes a JPEG as it is stored.
pub(super) fn jpeg(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let size = crate::picture::decode_frame(bytes, &mut frame.rgb).map_err(|e| e.to_string())?;
    (frame.width, frame.height) = size;
    Ok(())
}

/// Makes room for a picture of that size, within the limits.
pub(super) fn resize(frame: &mut Frame, width: usize, height: usize) -> Result<(), String> {
    let bytes = check_size(width, height)?;
    frame.width = width;
    frame.height = height;
    frame.rgb.resize(bytes, 0);
    Ok(())
}

/// The bytes of RGB of a picture of that size, refused beyond the limits.
pub(super) fn check_size(width: usize, height: usize) -> Result<usize, String> {
    crate::picture::check_size(width, height).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_SIDE;

    #[test]
    fn sizes_beyond_the_limits_are_refused_before_allocating() {
        let mut frame = Frame::default();
        for (width, height) in [
            (0, 5),
            (5, 0),
            (MAX_SIDE + 1, 1),
            (1, MAX_SIDE + 1),
            (9460, 9460),
        ] {
            let error = resize(&mut frame, width, height).unwrap_err();
            assert!(
                error.starts_with(&format!("{width} x {height} pixels: wanted")),
                "{error}"
            );
            assert_eq!(frame.rgb.capacity(), 0);
        }
    }
}
