use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::*;

pub(crate) fn jpeg_of(
    pixels: &[u8],
    width: u32,
    height: u32,
    colour: ExtendedColorType,
) -> Vec<u8> {
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
        b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
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
    // One buffer for all: what was there before must not matter.
    let mut rgb = Vec::new();
    for (name, bytes, wanted) in cases {
        let (width, height) = decode(&bytes, &mut rgb).unwrap();
        assert_eq!(rgb, wanted, "{name}");
        assert_eq!(rgb.len(), width * height * 3, "{name}");
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
        let mut rgb = Vec::new();
        assert_eq!(decode(&bytes, &mut rgb), Ok(size), "{orientation}");
        assert_eq!(rgb[0] > 127, white, "orientation {orientation}");
        assert_eq!(decode_frame(&bytes, &mut rgb), Ok((16, 8)));
        assert!(rgb[0] < 127);
    }
}

#[test]
fn damaged_pictures_are_errors() {
    let pixels: Vec<u8> = (0..32 * 32 * 3u32)
        .map(|at| ((at * at) >> 5) as u8)
        .collect();
    let mut rgb = Vec::new();
    let png = png_of(&pixels, 32, 32, ExtendedColorType::Rgb8);
    let jpeg = jpeg_of(&pixels, 32, 32, ExtendedColorType::Rgb8);
    // What matters of a PNG ends before its last chunks, and of a JPEG before its end marker.
    for (whole, needed) in [(&png, png.len() / 4 * 3), (&jpeg, jpeg.len() - 2)] {
        assert_eq!(decode(whole, &mut rgb), Ok((32, 32)));
        for length in 0..needed {
            assert!(
                decode(&whole[..length], &mut rgb).is_err(),
                "cut to {length}"
            );
        }
    }
    let error = decode(b"GIF89a", &mut rgb).unwrap_err().to_string();
    assert_eq!(
        error,
        "neither a JPEG, a PNG nor a BMP file by its first bytes"
    );
}

#[test]
fn sizes_beyond_the_limits_are_refused_before_allocating() {
    for (width, height) in [
        (0, 5),
        (5, 0),
        (MAX_SIDE + 1, 1),
        (1, MAX_SIDE + 1),
        (9460, 9460),
    ] {
        let error = check_size(width, height).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{width} x {height} pixels: wanted")),
            "{error}"
        );
    }
    // PNGs whose headers claim more than the limits, and more than they can hold.
    for (side, wanted) in [
        (MAX_SIDE as u32, "16384 x 16384 pixels: wanted"),
        (9459, "9459 x 9459 pixels take at least"),
    ] {
        let mut bytes = png_of(&[0; 3], 1, 1, ExtendedColorType::Rgb8);
        bytes[16..24].copy_from_slice(&[side.to_be_bytes(), side.to_be_bytes()].concat());
        let checksum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        let mut rgb = Vec::new();
        let error = decode(&bytes, &mut rgb).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
        assert_eq!(rgb.capacity(), 0);
    }
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}
