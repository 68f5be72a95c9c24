//! Colour histograms of horizontal stripes as an embedding: the baseline of a network.
//!
//! Each of eight stripes has histograms of hue, saturation and value (HSV). The embedding has colours by
//! height, and neither shape nor pattern. A data set on which it does well proves little.

use network::{Error, Result};

/// Stripes of a crop, from its top to its bottom.
pub const STRIPES: usize = 8;

/// Bins of hue, saturation and value.
const BINS: [usize; 3] = [12, 4, 8];

/// Length of an embedding.
pub const DIM: usize = STRIPES * (BINS[0] + BINS[1] + BINS[2]);

/// The embedding of a crop: `rgb` is `[height, width, 3]`, red first. Elements are square roots of
/// histograms, so that a scalar product is Bhattacharyya's coefficient. Columns towards the edges, which
/// show less of the person, have less weight. Length 1.
///
/// # Errors
/// [`Error::Argument`] for a crop that is empty or less than [`STRIPES`] high, or another number of
/// bytes than three a pixel.
pub fn embed(rgb: &[u8], width: usize, height: usize) -> Result<Vec<f32>> {
    if width == 0 || height < STRIPES || rgb.len() != width * height * 3 {
        return Err(Error::Argument(format!(
            "{} bytes for a crop of {width} x {height}, wanted three a pixel and a height of at \
             least {STRIPES}",
            rgb.len()
        )));
    }
    let [hues, saturations, values] = BINS;
    let each = hues + saturations + values;
    let mut all = vec![0.0_f32; DIM];
    for (row, line) in rgb.chunks_exact(width * 3).enumerate() {
        let stripe = &mut all[row * STRIPES / height * each..][..each];
        for (column, pixel) in line.as_chunks::<3>().0.iter().enumerate() {
            let aside = (column as f32 + 0.5) / width as f32 * 2.0 - 1.0;
            let weight = 1.0 - aside * aside;
            let [hue, saturation, value] = hsv(*pixel);
            let bin = |share: f32, bins: usize| ((share * bins as f32) as usize).min(bins - 1);
            // The hue of a grey is noise.
            stripe[bin(hue, hues)] += weight * saturation;
            stripe[hues + bin(saturation, saturations)] += weight;
            stripe[hues + saturations + bin(value, values)] += weight;
        }
    }
    let sum: f32 = all.iter().sum();
    for value in &mut all {
        *value = (*value / sum).sqrt();
    }
    Ok(all)
}

/// Hue, saturation and value, each `0.0..=1.0`.
fn hsv(rgb: [u8; 3]) -> [f32; 3] {
    let [r, g, b] = rgb.map(|value| f32::from(value) / 255.0);
    let high = r.max(g).max(b);
    let range = high - r.min(g).min(b);
    if range <= 0.0 {
        return [0.0, 0.0, high];
    }
    let sixth = if high == r {
        ((g - b) / range).rem_euclid(6.0)
    } else if high == g {
        (b - r) / range + 2.0
    } else {
        (r - g) / range + 4.0
    };
    [sixth / 6.0, range / high, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_found_where_they_are_worn() {
        let crop = |above: [u8; 3], below: [u8; 3]| {
            let half = |colour: [u8; 3]| colour.repeat(16 * 16);
            embed(&[half(above), half(below)].concat(), 16, 32).unwrap()
        };
        let likeness = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let (red, blue) = ([200, 20, 20], [20, 20, 200]);
        let one = crop(red, blue);
        assert_eq!(one.len(), DIM);
        let cases = [
            ("itself", crop(red, blue), 0.999..=1.001),
            // Half of the stripes agree; the others agree in saturation and value only.
            ("another top", crop(blue, blue), 0.7..=0.9),
            ("upside down", crop(blue, red), 0.5..=0.75),
            ("grey", crop([90; 3], [90; 3]), 0.0..=0.1),
        ];
        for (name, other, wanted) in cases {
            let found = likeness(&one, &other);
            assert!(wanted.contains(&found), "{name}: {found}");
        }
    }

    #[test]
    fn hues_go_around() {
        let cases = [
            ([255, 0, 0], [0.0, 1.0, 1.0]),
            ([0, 255, 0], [1.0 / 3.0, 1.0, 1.0]),
            ([0, 0, 255], [2.0 / 3.0, 1.0, 1.0]),
            ([255, 0, 255], [5.0 / 6.0, 1.0, 1.0]),
            ([0, 0, 0], [0.0, 0.0, 0.0]),
            ([51, 51, 51], [0.0, 0.0, 0.2]),
        ];
        for (rgb, wanted) in cases {
            let found = hsv(rgb);
            let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(near, "{rgb:?}: {found:?}, wanted {wanted:?}");
        }
    }

    #[test]
    fn crops_that_are_none_are_refused() {
        for (bytes, width, height) in [(0, 0, 0), (16 * 7 * 3, 16, 7), (10, 16, 32)] {
            assert!(
                embed(&vec![0; bytes], width, height).is_err(),
                "{width} x {height}"
            );
        }
    }
}
