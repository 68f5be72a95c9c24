//! JPEG and PNG bytes to the RGB pixels of a [`Frame`].
//!
//! Strict on purpose: a picture cut off half-way is an error. Decoders usually fill the rest with
//! grey, which would become a person's embedding.

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, Limits, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Frame, Kind, MAX_BYTES, MAX_SIDE, bmp, kind};

/// Start of every picture of Motion-JPEG that goes to the decoder, in place of its own first two
/// bytes. `AVI1` tells it to take the standard Huffman tables where the picture brings none, which
/// Motion-JPEG allows and many cameras do.
pub(super) const START: [u8; 20] = *b"\xff\xd8\xff\xe0\x00\x10AVI1\0\0\0\0\0\0\0\0\0\0";

/// What the two bytes of a JPEG's beginning are moved to: the end of [`START`].
pub(super) const SOI: usize = START.len() - 2;

/// Decodes an image file into `frame`, upright. Greyscale and CMYK become RGB, 16 bits per channel
/// are scaled to 8, and an alpha channel is dropped (not blended), as Pillow's `convert("RGB")`
/// does.
pub(super) fn picture(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let orientation = match kind(bytes) {
        Kind::Jpeg => jpeg(bytes, frame)?,
        Kind::Png => png(bytes, frame)?,
        Kind::Bmp => {
            bmp::decode(bytes, frame)?;
            Orientation::NoTransforms
        }
        _ => return Err("neither a JPEG, a PNG nor a BMP file by its first bytes".to_owned()),
    };
    if orientation != Orientation::NoTransforms {
        turn(frame, orientation);
    }
    Ok(())
}

/// Decodes a JPEG as it is stored and says how it wants to be turned.
pub(super) fn jpeg(bytes: &[u8], frame: &mut Frame) -> Result<Orientation, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        // All that a JPEG can say: `resize` has our limits, and names them.
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let (width, height) = decoder
        .dimensions()
        .ok_or_else(|| "JPEG without dimensions".to_owned())?;
    resize(frame, width, height)?;
    decoder
        .decode_into(&mut frame.rgb)
        .map_err(|e| e.to_string())?;
    Ok(decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms))
}

fn png(bytes: &[u8], frame: &mut Frame) -> Result<Orientation, String> {
    let mut limits = Limits::no_limits();
    // Besides the picture, which is checked below: the compressed text and colour profile that a
    // PNG may carry.
    limits.max_alloc = Some(MAX_BYTES);
    let mut decoder =
        PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(|e| e.to_string())?;
    let orientation = decoder.orientation().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    resize(frame, width as usize, height as usize)?;
    if decoder.color_type() == ColorType::Rgb8 {
        decoder
            .read_image(&mut frame.rgb)
            .map_err(|e| e.to_string())?;
    } else {
        if decoder.total_bytes() > MAX_BYTES {
            return Err(format!(
                "{width} x {height} pixels take {} bytes, the limit is {MAX_BYTES}",
                decoder.total_bytes()
            ));
        }
        let picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
        frame.rgb = picture.into_rgb8().into_raw();
    }
    Ok(orientation)
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
    let sides = 1..=MAX_SIDE;
    let bytes = (width as u64)
        .saturating_mul(height as u64)
        .saturating_mul(3);
    if !sides.contains(&width) || !sides.contains(&height) || bytes > MAX_BYTES {
        return Err(format!(
            "{width} x {height} pixels: wanted 1 to {MAX_SIDE} a side and at most {MAX_BYTES} bytes of RGB"
        ));
    }
    Ok(bytes as usize)
}

/// Turns and mirrors the picture.
fn turn(frame: &mut Frame, orientation: Orientation) {
    let pixels = std::mem::take(&mut frame.rgb);
    let image = RgbImage::from_raw(frame.width as u32, frame.height as u32, pixels)
        .expect("`resize` made the buffer as long as the picture needs");
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    frame.width = image.width() as usize;
    frame.height = image.height() as usize;
    frame.rgb = image.into_rgb8().into_raw();
}

#[cfg(test)]
mod tests {
    use image::codecs::jpeg::JpegEncoder;
    use image::codecs::png::PngEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;

    fn jpeg_of(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 95)
            .write_image(pixels, width, height, colour)
            .unwrap();
        bytes
    }

    fn png_of(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(pixels, width, height, colour)
            .unwrap();
        bytes
    }

    /// Puts an EXIF segment with nothing but the orientation behind a JPEG's first two bytes.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let exif = [
            b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"
                .as_slice(),
            &[orientation, 0, 0, 0, 0, 0, 0],
        ];
        [&jpeg[..2], &exif.concat(), &jpeg[2..]].concat()
    }

    #[test]
    fn every_kind_of_picture_becomes_rgb() {
        let wide =
            |values: &[u16]| -> Vec<u8> { values.iter().flat_map(|v| v.to_ne_bytes()).collect() };
        let cases = [
            (
                "8-bit RGB",
                png_of(&[1, 2, 3, 4, 5, 6], 2, 1, ExtendedColorType::Rgb8),
                vec![1, 2, 3, 4, 5, 6],
            ),
            (
                "grey",
                png_of(&[7, 200], 2, 1, ExtendedColorType::L8),
                vec![7, 7, 7, 200, 200, 200],
            ),
            (
                "alpha is dropped, also where nothing shows",
                png_of(&[1, 2, 3, 0, 4, 5, 6, 255], 2, 1, ExtendedColorType::Rgba8),
                vec![1, 2, 3, 4, 5, 6],
            ),
            (
                "16 bits are scaled",
                png_of(
                    &wide(&[0, 257 * 100, 65_535]),
                    1,
                    1,
                    ExtendedColorType::Rgb16,
                ),
                vec![0, 100, 255],
            ),
            (
                "grey JPEG",
                jpeg_of(&[90; 64], 8, 8, ExtendedColorType::L8),
                vec![90; 192],
            ),
        ];
        // One frame for all: what was there before must not matter.
        let mut frame = Frame::default();
        for (name, bytes, wanted) in cases {
            assert_eq!(picture(&bytes, &mut frame), Ok(()), "{name}");
            assert_eq!(frame.rgb, wanted, "{name}");
            assert_eq!(frame.rgb.len(), frame.width * frame.height * 3, "{name}");
        }
    }

    #[test]
    fn images_are_turned_upright_and_video_is_not() {
        // Left half black, right half white.
        let pixels: Vec<u8> = (0..16 * 8)
            .map(|at| if at % 16 < 8 { 0 } else { 255 })
            .collect();
        let stored = jpeg_of(&pixels, 16, 8, ExtendedColorType::L8);
        // EXIF 2.32, tag 0x0112: 1 as stored, 3 upside down, 6 to be turned right, 8 to be turned
        // left. Then: size, is the upper left corner white?
        for (orientation, size, white) in [
            (1, (16, 8), false),
            (3, (16, 8), true),
            (6, (8, 16), false),
            (8, (8, 16), true),
        ] {
            let bytes = with_orientation(&stored, orientation);
            let mut frame = Frame::default();
            picture(&bytes, &mut frame).unwrap();
            assert_eq!(
                (frame.width, frame.height),
                size,
                "orientation {orientation}"
            );
            assert_eq!(frame.rgb[0] > 127, white, "orientation {orientation}");
            jpeg(&bytes, &mut frame).unwrap();
            assert_eq!((frame.width, frame.height), (16, 8));
            assert!(frame.rgb[0] < 127);
        }
    }

    #[test]
    fn damaged_pictures_are_errors() {
        let pixels: Vec<u8> = (0..32 * 32 * 3u32)
            .map(|at| ((at * at) >> 5) as u8)
            .collect();
        let mut frame = Frame::default();
        for whole in [
            jpeg_of(&pixels, 32, 32, ExtendedColorType::Rgb8),
            png_of(&pixels, 32, 32, ExtendedColorType::Rgb8),
        ] {
            assert_eq!(picture(&whole, &mut frame), Ok(()));
            for length in 0..whole.len() / 4 * 3 {
                assert!(
                    picture(&whole[..length], &mut frame).is_err(),
                    "cut to {length}"
                );
            }
        }
        let error = picture(b"GIF89a", &mut frame).unwrap_err();
        assert_eq!(
            error,
            "neither a JPEG, a PNG nor a BMP file by its first bytes"
        );
    }

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
        // A PNG whose header claims 16384 x 16384.
        let mut bytes = png_of(&[0; 3], 1, 1, ExtendedColorType::Rgb8);
        let side = (MAX_SIDE as u32).to_be_bytes();
        bytes[16..24].copy_from_slice(&[side, side].concat());
        let checksum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        assert!(picture(&bytes, &mut frame).is_err());
        assert_eq!(frame.rgb.capacity(), 0);
    }

    /// The checksum of a PNG chunk.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
            })
        })
    }
}
