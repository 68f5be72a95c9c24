//! Colour jitter: brightness, contrast, saturation and hue in random order, the same bytes as
//! torchvision's `ColorJitter` on a Pillow image (`torchvision/transforms/_functional_pil.py`;
//! `Blend.c` and `Convert.c` of Pillow).

use serde::{Deserialize, Serialize};

use super::check_range;
use crate::Result;
use synth::random::Draw;

/// Changes of colour; none by default. The ranges are those of fast-reid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Jitter {
    /// Probability that an image is changed, `0..=1`.
    pub probability: f64,
    /// The factor of the brightness is 1 plus or minus at most this, and never negative.
    pub brightness: f64,
    /// The same for the contrast.
    pub contrast: f64,
    /// The same for the saturation.
    pub saturation: f64,
    /// The hue is turned by at most this part of the circle, `0..=0.5`.
    pub hue: f64,
}

impl Default for Jitter {
    fn default() -> Self {
        Self {
            probability: 0.0,
            brightness: 0.15,
            contrast: 0.15,
            saturation: 0.1,
            hue: 0.1,
        }
    }
}

impl Jitter {
    pub(in crate::data) fn check(&self) -> Result<()> {
        check_range("jitter.probability", self.probability, 0.0, 1.0)?;
        check_range("jitter.brightness", self.brightness, 0.0, 10.0)?;
        check_range("jitter.contrast", self.contrast, 0.0, 10.0)?;
        check_range("jitter.saturation", self.saturation, 0.0, 10.0)?;
        check_range("jitter.hue", self.hue, 0.0, 0.5)
    }

    /// Changes `rgb`, pixels of three bytes.
    pub(in crate::data) fn apply(&self, rgb: &mut [u8], draw: &mut Draw) {
        if !draw.chance(self.probability) {
            return;
        }
        let (pixels, _) = rgb.as_chunks_mut::<3>();
        let mut factor = |range: f64| draw.between((1.0 - range).max(0.0), 1.0 + range) as f32;
        let brightness = factor(self.brightness);
        let contrast = factor(self.contrast);
        let saturation = factor(self.saturation);
        let hue = draw.between(-self.hue, self.hue);
        let mut order = [0, 1, 2, 3];
        draw.shuffle(&mut order);
        for step in order {
            match step {
                0 => brighten(pixels, brightness),
                1 => contrast_by(pixels, contrast),
                2 => saturate(pixels, saturation),
                _ => turn_hue(pixels, hue),
            }
        }
    }
}

fn brighten(pixels: &mut [[u8; 3]], factor: f32) {
    for sample in pixels.as_flattened_mut() {
        *sample = blend(0, *sample, factor);
    }
}

/// Away from the mean grey of the image.
fn contrast_by(pixels: &mut [[u8; 3]], factor: f32) {
    let total: u64 = pixels.iter().map(|&pixel| u64::from(luma(pixel))).sum();
    let mean = (total as f64 / pixels.len().max(1) as f64 + 0.5) as u8;
    for sample in pixels.as_flattened_mut() {
        *sample = blend(mean, *sample, factor);
    }
}

/// Away from the pixel's own grey.
fn saturate(pixels: &mut [[u8; 3]], factor: f32) {
    for pixel in pixels {
        let grey = luma(*pixel);
        *pixel = pixel.map(|sample| blend(grey, sample, factor));
    }
}

/// Turns hues by this part of the circle, which Pillow keeps in 256 steps.
fn turn_hue(pixels: &mut [[u8; 3]], by: f64) {
    let steps = (by * 255.0) as i32 as u8;
    for pixel in pixels {
        let [hue, saturation, value] = to_hsv(*pixel);
        *pixel = to_rgb([hue.wrapping_add(steps), saturation, value]);
    }
}

/// `ImagingBlend`.
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    // The cast takes off the fraction and what is beyond a byte.
    (from + factor * (to - from)) as u8
}

/// `L24` of Pillow: ITU-R 601-2, in 16 bits.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

/// `rgb2hsv_row`.
fn to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    if most == least {
        return [0, 0, most];
    }
    let range = f32::from(most - least);
    let saturation = range / f32::from(most);
    let [rc, gc, bc] = [r, g, b].map(|sample| f32::from(most - sample) / range);
    // A float in C, computed in double where a constant is one.
    let hue = if r == most {
        bc - gc
    } else if g == most {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let hue = (f64::from(hue) / 6.0 + 1.0) % 1.0;
    let byte = |share: f32| (f64::from(share) * 255.0) as u8;
    [byte(hue as f32), byte(saturation), most]
}

/// `hsv2rgb`.
fn to_rgb([hue, saturation, v]: [u8; 3]) -> [u8; 3] {
    if saturation == 0 {
        return [v; 3];
    }
    let place = f64::from(hue) * 6.0 / 255.0;
    let sector = place.floor();
    let rest = f64::from((place - sector) as f32);
    let saturation = f64::from((f64::from(saturation) / 255.0) as f32);
    let sample = |less: f64| (f64::from(v) * (1.0 - less)).round() as u8;
    let p = sample(saturation);
    let q = sample(saturation * rest);
    let t = sample(saturation * (1.0 - rest));
    match sector as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Reference {
        input: Vec<[u8; 3]>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        step: String,
        factor: f64,
        wanted: Vec<[u8; 3]>,
    }

    #[test]
    fn colours_are_those_of_pillow() {
        let text = include_str!("../../../tests/jitter_reference.json");
        let reference: Reference = serde_json::from_str(text).unwrap();
        assert!(reference.cases.len() >= 16);
        for case in reference.cases {
            let mut pixels = reference.input.clone();
            let factor = case.factor as f32;
            match case.step.as_str() {
                "brightness" => brighten(&mut pixels, factor),
                "contrast" => contrast_by(&mut pixels, factor),
                "saturation" => saturate(&mut pixels, factor),
                "hue" => turn_hue(&mut pixels, case.factor),
                other => panic!("{other}"),
            }
            assert_eq!(pixels, case.wanted, "{} {}", case.step, case.factor);
        }
    }

    #[test]
    fn the_probability_and_the_ranges_hold() {
        let jitter = Jitter {
            probability: 0.25,
            brightness: 0.5,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
        };
        let (mut changed, mut all) = (0, Vec::new());
        for index in 0..4000 {
            let mut rgb = [100, 100, 100];
            jitter.apply(&mut rgb, &mut Draw::new(7, "jitter", &[index]));
            assert!((50..=150).contains(&rgb[0]), "{rgb:?}");
            changed += u32::from(rgb != [100; 3]);
            all.push(rgb[0]);
        }
        // Five deviations; one change in a hundred is none after rounding.
        assert!((840..1140).contains(&changed), "{changed}");
        assert!(all.iter().any(|&v| v < 55) && all.iter().any(|&v| v > 145));
    }
}
