//! Pictures of a training: crops, a log or points go in, an SVG with its images inside comes out.
//!
//! [`sheet`] shows crops, of a batch or of what a query found; [`curves`] shows a log; [`scatter`]
//! shows embeddings in two dimensions.

pub mod curves;
pub mod scatter;
pub mod sheet;

use std::path::Path;

use image::imageops::thumbnail;
use image::{ImageBuffer, RgbImage};
use network::metadata::{Colour, Preprocessing};

use crate::{Error, Result};

/// Quality of the JPEGs inside of a picture, 1 to 100: high, so that a noisy rectangle of random
/// erasing does not smear what is beside it.
const QUALITY: u8 = 90;

/// A small image, `[height, width, 3]` u8, red first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crop {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Crop {
    /// An image of `rgb`, `[height, width, 3]`.
    ///
    /// # Errors
    /// [`Error::Argument`] if a side is 0 or above 65,535 (JPEG's limit), or the length does not fit.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self> {
        let sides = 1..=usize::from(u16::MAX);
        if !sides.contains(&width) || !sides.contains(&height) || rgb.len() != width * height * 3 {
            return Err(Error::Argument(format!(
                "{} bytes for an image of {width} x {height}, wanted sides of 1 to 65535 and three \
                 bytes a pixel",
                rgb.len()
            )));
        }
        Ok(Self { width, height, rgb })
    }

    /// The image that a network sees, `[3, height, width]`, turned back into one for people by what
    /// `preprocessing` says of its colours. What is beyond black or white is cut there.
    ///
    /// # Errors
    /// As [`Crop::new`], or if a number is not finite.
    pub fn of_network(values: &[f32], preprocessing: &Preprocessing) -> Result<Self> {
        let Preprocessing {
            height,
            width,
            mean,
            std,
            colour,
            ..
        } = *preprocessing;
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let value = values[at];
            return Err(Error::Argument(format!(
                "number {at} of an image is {value}, wanted a finite one"
            )));
        }
        let plane = (values.len() / 3).max(1);
        let mut rgb = vec![0; values.len()];
        let places = match colour {
            Colour::Rgb => [0, 1, 2],
            Colour::Bgr => [2, 1, 0],
        };
        for ((values, mean), (place, std)) in values
            .chunks_exact(plane)
            .zip(mean)
            .zip(places.into_iter().zip(std))
        {
            for (&value, pixel) in values.iter().zip(rgb.chunks_exact_mut(3)) {
                // A cast saturates: beyond black and white is black and white.
                pixel[place] = ((value * std + mean) * 255.0).round() as u8;
            }
        }
        Self::new(width, height, rgb)
    }

    /// Reads an image file, upright.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::File`] if it is no image that this can read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let mut rgb = Vec::new();
        let (width, height) = media::picture::decode(&bytes, &mut rgb)
            .map_err(|error| Error::file(path, error.to_string()))?;
        Self::new(width, height, rgb)
    }

    /// The image, made smaller if it is higher than `height`, which is at least 1.
    pub(crate) fn within(&self, height: usize) -> Result<Self> {
        if self.height <= height {
            return Ok(self.clone());
        }
        let width = (self.width * height / self.height).max(1);
        let (from, to) = ([self.width, self.height], [width, height]);
        let [from, to] = [from, to].map(|sides| sides.map(|side| side as u32));
        let image: RgbImage = ImageBuffer::from_raw(from[0], from[1], self.rgb.clone())
            .expect("the sizes were checked when it was made");
        Self::new(width, height, thumbnail(&image, to[0], to[1]).into_raw())
    }

    pub(crate) fn jpeg(&self) -> Result<Vec<u8>> {
        let mut jpeg = Vec::new();
        media::picture::encode(&self.rgb, [self.width, self.height], QUALITY, &mut jpeg)
            .map_err(|error| Error::Argument(format!("a crop does not become a JPEG: {error}")))?;
        Ok(jpeg)
    }
}

/// A colour for each number, neighbours far apart: steps of the golden angle around the wheel.
fn colour(number: usize) -> String {
    let hue = (number as f64 * 137.508) % 360.0;
    // Every other turn is darker, so that near hues differ.
    let light = [45, 60, 32][number / 9 % 3];
    format!("hsl({hue:.0},70%,{light}%)")
}

#[cfg(test)]
mod tests;
