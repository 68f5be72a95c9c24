//! Decodes JPEG, PNG and BMP files to upright RGB pixels with the decoder of the device program.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use media::picture::MAX_BYTES;
use network::preprocess::View;

use crate::{Error, Result};

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
    /// Reads the image at `path`, rotated as its EXIF data state. Greyscale and CMYK become
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
        (self.width, self.height) = media::picture::decode(&self.bytes, &mut self.rgb)
            .map_err(|error| Error::file(path, error.to_string()))?;
        Ok(())
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

    /// The pixels, for a [`network::preprocess::Cropper`].
    ///
    /// # Errors
    /// If nothing has been read.
    pub fn view(&self) -> Result<View<'_>> {
        Ok(View::new(&self.rgb, self.width, self.height)?)
    }
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
            // The content decides, not the name.
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
    }
}
