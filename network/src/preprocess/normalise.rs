//! From RGB bytes of the network's size to the normalised planes of a float network.

use super::check_length;
use crate::Result;
use crate::metadata::{Colour, Preprocessing};

/// Turns RGB bytes into normalised planes: `(value / 255 - mean) / std` in f32, in this order, as
/// torchvision's `ToTensor` and `Normalize` compute it.
#[derive(Debug, Clone)]
pub struct Normaliser {
    height: usize,
    width: usize,
    /// For each plane of the network: which sample of an RGB pixel it takes, and what each value
    /// becomes.
    planes: [(usize, [f32; 256]); 3],
}

impl Normaliser {
    /// A normaliser for this pre-processing.
    ///
    /// # Errors
    /// As [`Preprocessing::check`].
    pub fn new(preprocessing: &Preprocessing) -> Result<Self> {
        preprocessing.check()?;
        let planes = std::array::from_fn(|plane| {
            let (mean, std) = (preprocessing.mean[plane], preprocessing.std[plane]);
            let sample = match preprocessing.colour {
                Colour::Rgb => plane,
                Colour::Bgr => 2 - plane,
            };
            let table = std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std);
            (sample, table)
        });
        Ok(Self {
            height: preprocessing.height,
            width: preprocessing.width,
            planes,
        })
    }

    /// Fills `out`, `[3, height, width]` in the network's order of planes, from `rgb`, `[height,
    /// width, 3]`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] if one of the two has another length.
    pub fn fill(&self, rgb: &[u8], out: &mut [f32]) -> Result<()> {
        check_length("RGB crop", rgb.len(), [self.height, self.width, 3])?;
        check_length("network input", out.len(), [3, self.height, self.width])?;
        let pixels = rgb.as_chunks::<3>().0;
        let planes = out.chunks_exact_mut(self.height * self.width);
        for (plane, (sample, table)) in planes.zip(&self.planes) {
            for (value, pixel) in plane.iter_mut().zip(pixels) {
                *value = table[usize::from(pixel[*sample])];
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_come_in_the_networks_order() {
        let cases = [
            (Colour::Rgb, [0.0, 2.0, 5.0, 5.0, 0.0, 0.8]),
            (Colour::Bgr, [0.0, 0.4, 5.0, 5.0, 0.0, 4.0]),
        ];
        for (colour, wanted) in cases {
            let preprocessing = Preprocessing {
                height: 1,
                width: 2,
                colour,
                mean: [0.0, 1.0, 0.0],
                std: [0.5, -0.2, 0.25],
                ..Preprocessing::default()
            };
            let normaliser = Normaliser::new(&preprocessing).unwrap();
            let mut out = [f32::NAN; 6];
            normaliser.fill(&[0, 0, 0, 255, 0, 51], &mut out).unwrap();
            assert_eq!(out, wanted, "{colour:?}");
        }
    }

    #[test]
    fn lengths_are_checked() {
        let normaliser = Normaliser::new(&Preprocessing::default()).unwrap();
        let mut out = vec![0.0; 256 * 128 * 3];
        assert!(normaliser.fill(&[0; 5], &mut out).is_err());
        let rgb = vec![0; 256 * 128 * 3];
        assert!(normaliser.fill(&rgb, &mut out[1..]).is_err());
        assert!(normaliser.fill(&rgb, &mut out).is_ok());
    }
}
