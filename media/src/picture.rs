//! JPEG, PNG and BMP bytes to upright RGB pixels, for both programs: what a network learned from is
//! then what it sees.
//!
//! Strict on purpose: decoders usually fill a picture that was cut off with grey, which would become
//! a person's embedding. Bounded on purpose: a header's size is not believed before it is known that
//! the file can fill it.

mod jpeg;

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

/// The largest width or height of a picture, in pixels.
pub const MAX_SIDE: usize = 16_384;

/// The most bytes that a picture may have, decoded or compressed: 2^28, for example 9459 x 9459
/// pixels.
pub const MAX_BYTES: u64 = 1 << 28;

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

/// Decodes an image file into `rgb`, upright where EXIF says how it was held: rows from the top, red
/// first, `[height, width, 3]`. Greyscale and CMYK become RGB, 16 bits per channel are scaled to 8,
/// and an alpha channel is dropped (not blended), as Pillow's `convert("RGB")` does. Returns width
/// and height.
///
/// # Errors
/// See [`Error`]; `rgb` is then unspecified.
pub fn decode(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<(usize, usize)> {
    let (width, height, orientation) = match image::guess_format(bytes) {
        // Three bytes are enough for `image`; the error then says what is wrong with the JPEG.
        _ if bytes.starts_with(&[0xff, 0xd8]) => {
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

/// As [`decode`] for a JPEG, such as a frame of Motion-JPEG, which stays as it is stored. It may leave
/// out its Huffman tables where they are the standard ones.
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

fn other(
    bytes: &[u8],
    format: ImageFormat,
    rgb: &mut Vec<u8>,
) -> Result<(usize, usize, Orientation)> {
    let broken = |error: image::ImageError| Error::Damaged(error.to_string());
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
