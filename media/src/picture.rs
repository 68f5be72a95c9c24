//! Decodes JPEG, PNG and BMP files to upright RGB pixels, and encodes JPEG.
//!
//! Both programs decode here, so a network sees what it learned from. Strict: other decoders fill a
//! picture that was cut off with grey, which would become part of an embedding. Bounded: memory is
//! allocated for a size only if the file is long enough to fill it.

mod jpeg;

use std::io::{self, Cursor, Write};

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader,
    Limits, RgbImage,
};

/// The largest width or height of a picture, in pixels.
pub const MAX_SIDE: usize = 16_384;

/// The most bytes that a picture may have, decoded or compressed: 2^28, for example 9459 x 9459
/// pixels.
pub const MAX_BYTES: u64 = 1 << 28;

/// First bytes of every JPEG.
pub(crate) const START: [u8; 2] = [0xff, 0xd8];

/// The most bytes that deflate, which PNG uses, makes of one: 1032. BMP's run lengths make at
/// most 128 of one.
const MAX_RATIO: u64 = 1032;

/// Why there are no pixels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another kind of file, or a kind of coding that is not read: convert it.
    #[error("{0}")]
    Unsupported(String),
    /// Broken, or not all there: get it again.
    #[error("{0}")]
    Damaged(String),
    /// Beyond [`MAX_SIDE`] or [`MAX_BYTES`]: scale it down.
    #[error("{0}")]
    TooLarge(String),
}

/// Pixels or an [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Decodes an image file into `rgb`, turned upright by its EXIF orientation: rows from the top, red
/// first, `[height, width, 3]`. Greyscale and CMYK become RGB, 16 bits per channel are scaled to 8,
/// and an alpha channel is dropped (not blended), as Pillow's `convert("RGB")` does. Returns width
/// and height.
///
/// # Errors
/// See [`Error`]; `rgb` is then unspecified.
pub fn decode(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<(usize, usize)> {
    let (width, height, orientation) = match image::guess_format(bytes) {
        // `image` wants three bytes; two give the better error.
        _ if bytes.starts_with(&START) => {
            let jpeg = jpeg::decode(bytes, rgb)?;
            (jpeg.width, jpeg.height, jpeg.orientation)
        }
        Ok(format @ (ImageFormat::Png | ImageFormat::Bmp)) => other(bytes, format, rgb)?,
        _ => {
            return Err(Error::Unsupported(
                "neither a JPEG, a PNG nor a BMP file by its first bytes".to_owned(),
            ));
        }
    };
    if orientation == Orientation::NoTransforms {
        return Ok((width, height));
    }
    let pixels = std::mem::take(rgb);
    let picture = RgbImage::from_raw(width as u32, height as u32, pixels)
        .expect("the decoder made the buffer as long as the picture needs");
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    let size = (picture.width() as usize, picture.height() as usize);
    *rgb = picture.into_rgb8().into_raw();
    Ok(size)
}

/// As [`decode`] for a JPEG, without turning it: a frame of Motion-JPEG. It may lack its Huffman
/// tables if they are the standard ones.
///
/// # Errors
/// See [`Error`]; `rgb` is then unspecified.
pub fn decode_frame(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<(usize, usize)> {
    let jpeg = jpeg::decode(bytes, rgb)?;
    Ok((jpeg.width, jpeg.height))
}

/// The bytes of RGB of a picture of that size.
///
/// # Errors
/// [`Error::TooLarge`] beyond the limits, [`Error::Damaged`] without a pixel.
pub fn check_size(width: usize, height: usize) -> Result<usize> {
    let sides = 1..=MAX_SIDE;
    let bytes = (width as u64)
        .saturating_mul(height as u64)
        .saturating_mul(3);
    if sides.contains(&width) && sides.contains(&height) && bytes <= MAX_BYTES {
        return Ok(bytes as usize);
    }
    let reason = format!(
        "{width} x {height} pixels: wanted 1 to {MAX_SIDE} a side and at most {MAX_BYTES} bytes of RGB"
    );
    Err(match bytes {
        0 => Error::Damaged(reason),
        _ => Error::TooLarge(reason),
    })
}

/// Writes `rgb`, `[height, width, 3]` u8, as a JPEG of `quality` 1 to 100.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for a side beyond 65,535; the error of `out`.
///
/// # Panics
/// If `rgb` is not `3 * width * height` long.
pub fn encode(
    rgb: &[u8],
    [width, height]: [usize; 2],
    quality: u8,
    out: &mut impl Write,
) -> io::Result<()> {
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    JpegEncoder::new_with_quality(out, quality)
        .encode(rgb, side(width), side(height), ExtendedColorType::Rgb8)
        .map_err(|error| match error {
            ImageError::IoError(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidInput, other),
        })
}

/// Decodes a PNG or BMP file.
fn other(
    bytes: &[u8],
    format: ImageFormat,
    rgb: &mut Vec<u8>,
) -> Result<(usize, usize, Orientation)> {
    let broken = |error: ImageError| Error::Damaged(error.to_string());
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    // Besides the picture, which is checked below: the compressed text and colour profile that a
    // PNG may carry.
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    let size = check_size(width, height)?;
    if decoder.total_bytes() > MAX_BYTES {
        return Err(Error::TooLarge(format!(
            "{width} x {height} pixels take {} bytes, the limit is {MAX_BYTES}",
            decoder.total_bytes()
        )));
    }
    let bits = u64::from(decoder.original_color_type().bits_per_pixel());
    let least = (width as u64 * height as u64 * bits / 8).div_ceil(MAX_RATIO);
    if least > bytes.len() as u64 {
        return Err(Error::Damaged(format!(
            "{width} x {height} pixels take at least {least} bytes, and the file has {}",
            bytes.len()
        )));
    }
    if decoder.color_type() == ColorType::Rgb8 {
        rgb.resize(size, 0);
        decoder.read_image(rgb).map_err(broken)?;
    } else {
        let picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
        *rgb = picture.into_rgb8().into_raw();
    }
    Ok((width, height, orientation))
}

#[cfg(test)]
mod tests;
