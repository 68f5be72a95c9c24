//! BMP files to pixels, by the crate `image`: what VIPeR and many older data sets are kept in.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{DynamicImage, ImageDecoder, Limits};

use super::{Frame, MAX_BYTES, decode};

/// Decodes a BMP file into `frame`. Palettes and greys become RGB, and an alpha channel is dropped.
pub(super) fn decode(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let mut decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    decode::check_size(width as usize, height as usize)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BYTES);
    decoder.set_limits(limits).map_err(|e| e.to_string())?;
    let picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    (frame.width, frame.height) = (width as usize, height as usize);
    frame.rgb = picture.into_rgb8().into_raw();
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::codecs::bmp::BmpEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    fn bmp_of(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        BmpEncoder::new(&mut bytes)
            .write_image(pixels, width, height, colour)
            .unwrap();
        bytes
    }

    #[test]
    fn every_kind_of_bmp_becomes_rgb() {
        let mut frame = Frame::default();
        let colour = bmp_of(&[1, 2, 3, 4, 5, 6], 1, 2, ExtendedColorType::Rgb8);
        // The picture's alpha channel is read, and dropped.
        let alpha = bmp_of(&[1, 2, 3, 0, 4, 5, 6, 255], 2, 1, ExtendedColorType::Rgba8);
        let grey = bmp_of(&[7, 200], 2, 1, ExtendedColorType::L8);
        for (bytes, size, wanted) in [
            (colour, (1, 2), [1, 2, 3, 4, 5, 6]),
            (alpha, (2, 1), [1, 2, 3, 4, 5, 6]),
            (grey, (2, 1), [7, 7, 7, 200, 200, 200]),
        ] {
            decode::picture(&bytes, &mut frame).unwrap();
            assert_eq!(
                ((frame.width, frame.height), &*frame.rgb),
                (size, &wanted[..])
            );
        }
    }

    #[test]
    fn broken_files_are_errors() {
        let whole = bmp_of(&[9; 300], 10, 10, ExtendedColorType::Rgb8);
        let mut frame = Frame::default();
        for length in 0..whole.len() {
            assert!(
                decode::picture(&whole[..length], &mut frame).is_err(),
                "cut to {length}"
            );
        }
        let mut vast = whole;
        vast[18..26].copy_from_slice(&[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0]);
        let error = decode::picture(&vast, &mut frame).unwrap_err();
        assert!(
            error.starts_with("65535 x 65535 pixels: wanted 1 to 16384"),
            "{error}"
        );
    }
}
