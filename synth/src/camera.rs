//! A camera's optics, sensor and encoder: light in, JPEG out.

use media::picture;

use super::space::{V3, gamma, v3};
use crate::random::Draw;
use crate::{Error, Result};

/// The colours, noise and blur of one camera.
#[derive(Debug, Clone)]
pub(super) struct CameraModel {
    /// Rows of a colour matrix: white balance, cross-talk, saturation.
    rows: [V3; 3],
    exposure: f32,
    /// 1025 entries: linear 0..1.6 to 0..255.
    curve: Vec<f32>,
    /// Deviation of the noise, of 255, in the dark and in the light.
    noise: [f32; 2],
    /// Deviation of its blur, pixels of the sensor.
    blur: f32,
    /// Chance of being shaken or out of focus.
    shake: f64,
    /// JPEG, 1..=100.
    pub(super) quality: u8,
    /// Pixels of the sensor for one of the crop.
    pub(super) sharpness: f32,
}

/// What differs between pictures of one camera.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShotVariation {
    /// Factor on the camera's own exposure.
    exposure: f32,
    /// Deviation of the blur out of focus, pixels of the sensor, added to its own.
    blur: f32,
    /// Length of the motion blur, pixels of the sensor.
    motion: f32,
}

impl ShotVariation {
    /// A fixed camera.
    pub(super) const STEADY: Self = Self {
        exposure: 1.0,
        blur: 0.0,
        motion: 0.0,
    };
}

const BRIGHTEST: f32 = 1.6;

impl CameraModel {
    /// A camera exposed for light of `bright`, roughly.
    pub(super) fn draw(draw: &mut Draw, bright: f32) -> Self {
        let mut range = |low: f64, high: f64| draw.between(low, high) as f32;
        // White balance from too cold to too warm, and from green to magenta.
        let (warm, green) = (range(-0.2, 0.2), range(-0.08, 0.08));
        let balance = v3(
            (warm + green * -0.3).exp(),
            (green * 0.7).exp(),
            (-warm - green * 0.3).exp(),
        );
        let saturation = range(0.55, 1.2);
        let mut rows = [v3(1.0, 0.0, 0.0), v3(0.0, 1.0, 0.0), v3(0.0, 0.0, 1.0)];
        let leak = range(0.0, 0.1);
        let turn = range(-0.07, 0.07);
        for (i, row) in rows.iter_mut().enumerate() {
            // Saturation and a turn of hues, both of which keep grey; then the balance.
            let weights = v3(0.2126, 0.7152, 0.0722);
            let mut own = weights * (1.0 - saturation) + *row * saturation;
            let (after, before) = ((i + 1) % 3, (i + 2) % 3);
            let unit = |i: usize| [v3(1.0, 0.0, 0.0), v3(0.0, 1.0, 0.0), v3(0.0, 0.0, 1.0)][i];
            own += (unit(after) - unit(before)) * turn;
            own = own.mix(V3::grey(1.0 / 3.0), leak);
            *row = own * [balance.x, balance.y, balance.z][i];
        }
        let exposure = range(0.85, 1.5) / bright;
        let (power, contrast, lift) = (range(0.8, 1.25), range(0.3, 1.3), range(0.0, 0.035));
        let curve = (0..=1024)
            .map(|i| {
                let linear = i as f32 / 1024.0 * BRIGHTEST;
                // Highlights are compressed, not clipped.
                let soft = linear * (1.0 + linear * 0.25) / (1.0 + linear * 0.65);
                let value = gamma(soft.min(1.0)).powf(power);
                let curved = value * value * (3.0 - 2.0 * value);
                let value = value + (curved - value) * contrast;
                (lift + value * (1.0 - lift)) * 255.0
            })
            .collect();
        Self {
            rows,
            exposure,
            curve,
            noise: [range(0.5, 5.0), range(0.5, 2.5)],
            blur: range(0.2, 0.5),
            shake: f64::from(range(0.05, 0.2)),
            quality: range(55.0, 93.0) as u8,
            sharpness: range(0.75, 1.3),
        }
    }

    /// Draws the variation of one picture.
    pub(super) fn variation(&self, draw: &mut Draw) -> ShotVariation {
        let mut variation = ShotVariation {
            exposure: (0.1 * draw.normal() as f32).exp(),
            ..ShotVariation::STEADY
        };
        if draw.chance(self.shake) {
            variation.motion = draw.between(1.0, 2.8) as f32;
        }
        if draw.chance(self.shake * 0.5) {
            variation.blur = draw.between(0.2, 0.6) as f32;
        }
        variation
    }

    /// The sRGB values of one pixel, 0 to 255.
    fn develop(&self, light: V3, exposure: f32) -> V3 {
        let light = light * exposure;
        let channel = |row: V3| {
            let at = (row.dot(light) / BRIGHTEST).clamp(0.0, 1.0) * 1024.0;
            let low = (at as usize).min(1023);
            self.curve[low] + (self.curve[low + 1] - self.curve[low]) * (at - low as f32)
        };
        let [r, g, b] = self.rows.map(channel);
        v3(r, g, b)
    }

    /// A JPEG of `size` (width, height) of the light in `image`, by a sensor of `sensor` pixels.
    pub(super) fn expose(
        &self,
        image: &[V3],
        [from, sensor, size]: [[usize; 2]; 3],
        variation: ShotVariation,
        draw: &mut Draw,
    ) -> Result<Vec<u8>> {
        let mut image = resample(image, from, sensor);
        let exposure = self.exposure * variation.exposure;
        soften(
            &mut image,
            sensor,
            self.blur + variation.blur,
            variation.motion,
        );
        let mut grain = NoiseGenerator(draw.below(1 << 30) as u64);
        for pixel in &mut image {
            let value = self.develop(*pixel, exposure);
            let share = value.y / 255.0;
            let deviation = self.noise[0] + (self.noise[1] - self.noise[0]) * share;
            *pixel = value + v3(grain.next(), grain.next(), grain.next()) * deviation;
        }
        let image = if sensor == size {
            image
        } else {
            resample(&image, sensor, size)
        };
        let mut bytes = Vec::with_capacity(image.len() * 3);
        for pixel in image {
            bytes.extend(
                [pixel.x, pixel.y, pixel.z].map(|value| (value + 0.5).clamp(0.0, 255.0) as u8),
            );
        }
        let mut jpeg = Vec::new();
        picture::encode(&bytes, size, self.quality, &mut jpeg).map_err(|error| {
            Error::Argument(format!("an image of {} x {}: {error}", size[0], size[1]))
        })?;
        Ok(jpeg)
    }
}

/// Noise of mean 0 and deviation 1: the sum of four uniform numbers.
struct NoiseGenerator(u64);

impl NoiseGenerator {
    fn next(&mut self) -> f32 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        let sum: u64 = (0..4).map(|i| (z >> (16 * i)) & 0xffff).sum();
        // Mean 2 and variance 1/3.
        (sum as f32 / 65536.0 - 2.0) * 1.732
    }
}

/// Resizes with a triangle filter as wide as a pixel of the coarser image.
fn resample(
    image: &[V3],
    [width, height]: [usize; 2],
    [to_width, to_height]: [usize; 2],
) -> Vec<V3> {
    let across = weights(width, to_width);
    let mut rows = Vec::with_capacity(to_width * height);
    for row in image.chunks_exact(width) {
        for (first, weights) in &across {
            let mut sum = V3::default();
            for (pixel, &weight) in row[*first..].iter().zip(weights) {
                sum += *pixel * weight;
            }
            rows.push(sum);
        }
    }
    let mut all = vec![V3::default(); to_width * to_height];
    let lines = all.chunks_exact_mut(to_width);
    for (line, (first, weights)) in lines.zip(weights(height, to_height)) {
        for (row, weight) in rows[first * to_width..].chunks_exact(to_width).zip(weights) {
            for (sum, pixel) in line.iter_mut().zip(row) {
                *sum += *pixel * weight;
            }
        }
    }
    all
}

/// For each pixel of `to`: the first of `from` that counts, and the weights from there on.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f32 / to as f32;
    let reach = scale.max(1.0);
    (0..to)
        .map(|i| {
            let centre = (i as f32 + 0.5) * scale;
            let first = (centre - reach).max(0.0) as usize;
            let end = ((centre + reach).ceil() as usize).min(from);
            let mut weights: Vec<f32> = (first..end)
                .map(|j| (1.0 - (j as f32 + 0.5 - centre).abs() / reach).max(0.0))
                .collect();
            let sum: f32 = weights.iter().sum();
            for weight in &mut weights {
                *weight /= sum;
            }
            (first, weights)
        })
        .collect()
}

/// Blurs by a Gaussian of deviation `blur`, and along rows by `motion` pixels.
fn soften(image: &mut [V3], [width, height]: [usize; 2], blur: f32, motion: f32) {
    let kernel = |motion: f32| {
        let reach = (2.5 * blur + 0.5 * motion).ceil() as isize;
        let mut kernel: Vec<f32> = (-reach..=reach)
            .map(|i| {
                // The Gaussian, spread along the motion.
                let parts = (motion.ceil() as usize).max(1);
                let at = |k: usize| ((k as f32 + 0.5) / parts as f32 - 0.5) * motion;
                (0..parts)
                    .map(|k| (-0.5 * ((i as f32 - at(k)) / blur).powi(2)).exp())
                    .sum()
            })
            .collect();
        let sum: f32 = kernel.iter().sum();
        for weight in &mut kernel {
            *weight /= sum;
        }
        kernel
    };
    let mut line = Vec::new();
    let mut pass = |image: &mut [V3], start: usize, stride: usize, count: usize, kernel: &[f32]| {
        line.clear();
        line.extend((0..count).map(|i| image[start + i * stride]));
        let reach = kernel.len() / 2;
        for i in 0..count {
            let mut sum = V3::default();
            for (k, &weight) in kernel.iter().enumerate() {
                let at = (i + k).saturating_sub(reach).min(count - 1);
                sum += line[at] * weight;
            }
            image[start + i * stride] = sum;
        }
    };
    let across = kernel(motion);
    for row in 0..height {
        pass(image, row * width, 1, width, &across);
    }
    let down = kernel(0.0);
    for column in 0..width {
        pass(image, column, width, height, &down);
    }
}
