//! JPEG, PNG and BMP files to upright RGB pixels.
//!
//! Strict on purpose, as the device program is: of a JPEG cut off half-way, decoders fill the rest
//! with grey, which would be learned as a person's look. The same decoder as on the device, so that
//! the network sees there what it saw here.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};
use image::{ImageDecoder, ImageFormat, ImageReader, Limits};
use kernels::crop::{MAX_FRAME_SIDE, View};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::{Error, Result};

/// The largest file, and the most bytes of a decoded picture.
const MAX_BYTES: u64 = 1 << 28;

/// A decoded image. Reading the next one into it reuses its memory.
#[derive(Debug, Default)]
pub struct Picture {
    width: usize,
    height: usize,
    /// `[height, width, 3]`.
    rgb: Vec<u8>,
    /// The file.
    bytes: Vec<u8>,
}

impl Picture {
    /// Reads the image at `path`, upright where EXIF says how it was held. Greyscale and CMYK become
    /// RGB, 16 bits per channel are scaled to 8, and an alpha channel is dropped, as Pillow's
    /// `convert("RGB")` does.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::File`] if it is broken or beyond the limits
    /// (16,384 pixels a side, 256 MiB).
    pub fn read(&mut self, path: &Path) -> Result<()> {
        self.bytes.clear();
        let file = File::open(path).map_err(Error::io(path))?;
        let mut file = file.take(MAX_BYTES + 1);
        file.read_to_end(&mut self.bytes).map_err(Error::io(path))?;
        if self.bytes.len() as u64 > MAX_BYTES {
            let reason = format!("larger than the limit of {MAX_BYTES} bytes");
            return Err(Error::file(path, reason));
        }
        self.decode().map_err(|reason| Error::file(path, reason))
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The pixels, `[height, width, 3]`, red first.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels, for a [`kernels::crop::Cropper`].
    ///
    /// # Errors
    /// If nothing has been read.
    pub fn view(&self) -> Result<View<'_>> {
        Ok(View::new(&self.rgb, self.width, self.height)?)
    }

    fn decode(&mut self) -> Result<(), String> {
        let orientation = match image::guess_format(&self.bytes) {
            Ok(ImageFormat::Jpeg) => self.jpeg()?,
            Ok(format @ (ImageFormat::Png | ImageFormat::Bmp)) => self.other(format)?,
            _ => return Err("neither a JPEG, a PNG nor a BMP file by its first bytes".to_owned()),
        };
        if orientation != Orientation::NoTransforms {
            let pixels = std::mem::take(&mut self.rgb);
            let picture = RgbImage::from_raw(self.width as u32, self.height as u32, pixels)
                .ok_or("its size and its pixels do not fit")?;
            let mut picture = DynamicImage::ImageRgb8(picture);
            picture.apply_orientation(orientation);
            self.take(picture);
        }
        Ok(())
    }

    fn jpeg(&mut self) -> Result<Orientation, String> {
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(usize::from(u16::MAX))
            .set_max_height(usize::from(u16::MAX))
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&self.bytes), options);
        decoder.decode_headers().map_err(|e| e.to_string())?;
        let (width, height) = decoder.dimensions().ok_or("a JPEG without dimensions")?;
        let bytes = check_size(width, height)?;
        (self.width, self.height) = (width, height);
        self.rgb.resize(bytes, 0);
        decoder
            .decode_into(&mut self.rgb)
            .map_err(|e| e.to_string())?;
        Ok(decoder
            .exif()
            .and_then(|exif| Orientation::from_exif_chunk(exif))
            .unwrap_or(Orientation::NoTransforms))
    }

    fn other(&mut self, format: ImageFormat) -> Result<Orientation, String> {
        let mut reader = ImageReader::with_format(Cursor::new(&self.bytes), format);
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
        let orientation = decoder.orientation().map_err(|e| e.to_string())?;
        let (width, height) = decoder.dimensions();
        check_size(width as usize, height as usize)?;
        if decoder.total_bytes() > MAX_BYTES {
            return Err(format!("larger than the limit of {MAX_BYTES} bytes"));
        }
        let picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
        self.take(picture);
        Ok(orientation)
    }

    fn take(&mut self, picture: DynamicImage) {
        (self.width, self.height) = (picture.width() as usize, picture.height() as usize);
        self.rgb = picture.into_rgb8().into_raw();
    }
}

/// The bytes of RGB of a picture of that size, refused beyond the limits before anything is
/// allocated.
fn check_size(width: usize, height: usize) -> Result<usize, String> {
    let sides = 1..=MAX_FRAME_SIDE;
    let bytes = (width as u64)
        .saturating_mul(height as u64)
        .saturating_mul(3);
    if !sides.contains(&width) || !sides.contains(&height) || bytes > MAX_BYTES {
        return Err(format!(
            "{width} x {height} pixels: wanted 1 to {MAX_FRAME_SIDE} a side and at most {MAX_BYTES} bytes of RGB"
        ));
    }
    Ok(bytes as usize)
}

#[cfg(test)]
mod tests {
    use image::ExtendedColorType::{L8, Rgb8, Rgba8};
    use image::ImageFormat::{Bmp, Jpeg, Png};

    use super::*;

    #[test]
    fn every_kind_of_picture_becomes_rgb() {
        let folder = tempfile::tempdir().unwrap();
        let mut picture = Picture::default();
        let cases = [
            (
                "rgb.png",
                Png,
                Rgb8,
                vec![1, 2, 3, 4, 5, 6],
                [1, 2, 3, 4, 5, 6],
            ),
            (
                "rgb.bmp",
                Bmp,
                Rgb8,
                vec![1, 2, 3, 4, 5, 6],
                [1, 2, 3, 4, 5, 6],
            ),
            ("grey.png", Png, L8, vec![7, 200], [7, 7, 7, 200, 200, 200]),
            ("grey.jpg", Jpeg, L8, vec![90, 90], [90; 6]),
            // What a file is says its content.
            (
                "alpha.jpg",
                Png,
                Rgba8,
                vec![1, 2, 3, 0, 4, 5, 6, 255],
                [1, 2, 3, 4, 5, 6],
            ),
        ];
        for (name, format, colour, pixels, wanted) in cases {
            let path = folder.path().join(name);
            image::save_buffer_with_format(&path, &pixels, 2, 1, colour, format).unwrap();
            picture.read(&path).unwrap();
            let view = picture.view().unwrap();
            assert_eq!((view.rgb(), view.width()), (wanted.as_slice(), 2), "{name}");
        }
    }

    #[test]
    fn broken_files_are_errors_that_name_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let pixels: Vec<u8> = (0..32 * 32 * 3u32).map(|i| ((i * i) >> 5) as u8).collect();
        let mut picture = Picture::default();
        for name in ["cut.jpg", "cut.png", "cut.bmp"] {
            image::save_buffer(at(name), &pixels, 32, 32, Rgb8).unwrap();
            picture.read(&at(name)).unwrap();
            let whole = std::fs::read(at(name)).unwrap();
            for part in [1, 2, 3] {
                std::fs::write(at(name), &whole[..whole.len() * part / 4]).unwrap();
                let error = picture.read(&at(name)).unwrap_err().to_string();
                assert!(error.contains(name), "{error}");
            }
        }
        std::fs::write(at("note.jpg"), "GIF89a").unwrap();
        for (name, wanted) in [
            ("note.jpg", "neither a JPEG, a PNG nor a BMP file"),
            ("none.jpg", "No such file"),
        ] {
            let error = picture.read(&at(name)).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(wanted), "{error}");
        }
        for (width, height) in [(0, 5), (MAX_FRAME_SIDE + 1, 1), (9460, 9460)] {
            assert!(check_size(width, height).is_err(), "{width} x {height}");
        }
    }
}
