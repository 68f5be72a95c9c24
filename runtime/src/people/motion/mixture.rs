//! Model of the empty scene: a mixture of Gaussians for every pixel, updated with each frame.
//!
//! The equations are those of Z. Zivkovic, "Improved adaptive Gaussian mixture model for background
//! subtraction", ICPR 2004, and Z. Zivkovic and F. van der Heijden, "Efficient adaptive density
//! estimation per image pixel for the task of background subtraction", Pattern Recognition Letters
//! 27, 2006 (MOG2): a pixel has as many modes as it needs, weights are learnt with a prior against
//! modes that nothing supports. Three things differ:
//! - Weights and colours are learnt at different rates. A weight decides when a person who stands still
//!   becomes background, in about a minute; a colour follows the daylight, and is at first the mean of
//!   the observed values, so that five frames are enough to start.
//! - Both rates are of time, not of frames ([`Rates`]).
//! - Pixels come in units of the scene's light ([`super::light`]).
//!
//! Shadows are detected by the test of A. Prati et al., "Detecting moving shadows", PAMI 2003, as
//! MOG2's authors have it: a background colour that has only become darker.

use super::reduce::Pixel;

/// Modes of a pixel: the scene, a second one for what sways or blinks, and a new object.
const MODES: usize = 3;

/// Share of the time that the background is expected to be seen, `1 - c_f` in the paper.
pub(super) const BACKGROUND: f32 = 0.9;

/// Prior against modes without support, as a share of the rate (`c_T`).
const PRIOR: f32 = 0.01;

/// Squared distance, in variances, within which a pixel belongs to a mode (`T_g` of MOG2).
const OWN: f32 = 9.0;

/// Sums over the three planes. A new mode gets a deviation of 4.5 levels; below 2.4 differences are
/// rounding and JPEG, and beyond 12 a pixel would hide every person.
const NEW_VARIANCE: f32 = 20.0;
const VARIANCES: std::ops::RangeInclusive<f32> = 6.0..=150.0;

/// What a pixel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Background,
    /// Darker background.
    Shadow,
    Foreground,
}

/// How fast to learn from one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    /// Weight that what is seen now gains over everything before, 0 to 1.
    pub(super) weight: f32,
    /// The least that colour and variance of a mode move towards what is seen, 0 to 1.
    pub(super) colour: f32,
}

/// What is taken for background.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Squared distance in variances (`T_b`).
    pub(super) contrast: f32,
    /// The darkest that a shadow may be, as a share of the light; 1 for no shadows.
    pub(super) shadow: f32,
}

/// A Gaussian with the same variance in all planes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Mode {
    /// Share of the time that it was seen; 0 if there is no such mode.
    weight: f32,
    /// Sum over the planes.
    variance: f32,
    mean: Pixel,
    /// Frames that mean and variance come from.
    frames: f32,
}

/// Pixels that are compared at once.
const LANES: usize = 8;

/// Modes of [`LANES`] pixels, as many values of one kind beside each other, those with the largest
/// weight first.
#[derive(Debug, Clone, Copy, Default)]
struct Block([Lanes; MODES]);

/// A [`Mode`] of each pixel of a block.
#[derive(Debug, Clone, Copy, Default)]
struct Lanes {
    weight: [f32; LANES],
    variance: [f32; LANES],
    mean: [[f32; LANES]; 3],
    frames: [f32; LANES],
}

/// Modes of every pixel. The last block may have pixels too many.
#[derive(Debug, Default)]
pub(super) struct Mixture {
    blocks: Vec<Block>,
}

impl Mixture {
    /// A mixture for so many pixels, none of which was ever seen.
    pub(super) fn new(pixels: usize) -> Self {
        Self {
            blocks: vec![Block::default(); pixels.div_ceil(LANES)],
        }
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.blocks.fill(Block::default());
    }

    /// Brightness of the likeliest mode of the pixel at a position; 0 if nothing was seen yet.
    pub(super) fn brightness(&self, at: usize) -> f32 {
        self.blocks[at / LANES].0[0].mean[0][at % LANES]
    }

    /// Changes the unit of light: everything is `gain` times as bright.
    pub(super) fn scale(&mut self, gain: f32) {
        for mode in self.blocks.iter_mut().flat_map(|block| &mut block.0) {
            for value in mode.mean.as_flattened_mut() {
                *value *= gain;
            }
            for variance in &mut mode.variance {
                *variance = clamped(*variance * gain * gain);
            }
        }
    }

    /// Tells what each pixel of `planes` is, divided by `gain`, and learns from it.
    pub(super) fn observe(
        &mut self,
        planes: [&[f32]; 3],
        gain: f32,
        rates: Rates,
        limits: Limits,
        kinds: &mut [Kind],
    ) {
        let scale = 1.0 / gain;
        for (at, (block, kinds)) in self
            .blocks
            .iter_mut()
            .zip(kinds.chunks_mut(LANES))
            .enumerate()
        {
            let mut pixels = [[0.0; LANES]; 3];
            for (pixels, plane) in pixels.iter_mut().zip(planes) {
                let seen = &plane[at * LANES..][..kinds.len()];
                for (pixel, value) in pixels.iter_mut().zip(seen) {
                    *pixel = value * scale;
                }
            }
            if kinds.len() == LANES && block.expects(&pixels, rates, limits) {
                kinds.fill(Kind::Background);
                continue;
            }
            for (lane, kind) in kinds.iter_mut().enumerate() {
                let pixel = pixels.map(|plane| plane[lane]);
                let mut modes = block.pixel(lane);
                *kind = classify(&modes, pixel, limits);
                learn(&mut modes, pixel, rates);
                block.set(lane, modes);
            }
        }
    }
}

impl Block {
    fn pixel(&self, lane: usize) -> [Mode; MODES] {
        self.0.each_ref().map(|mode| Mode {
            weight: mode.weight[lane],
            variance: mode.variance[lane],
            mean: mode.mean.map(|plane| plane[lane]),
            frames: mode.frames[lane],
        })
    }

    fn set(&mut self, lane: usize, modes: [Mode; MODES]) {
        for (lanes, mode) in self.0.iter_mut().zip(modes) {
            lanes.weight[lane] = mode.weight;
            lanes.variance[lane] = mode.variance;
            lanes.frames[lane] = mode.frames;
            for (plane, value) in lanes.mean.iter_mut().zip(mode.mean) {
                plane[lane] = value;
            }
        }
    }

    /// If every pixel belongs to its first mode and is background, as nearly all do nearly always:
    /// learns what [`learn`] would, in the same order and so with the same result, but for the
    /// whole block at once. Nothing can overtake the first mode, and the others shrink alike.
    ///
    /// Never inlined: within [`Mixture::observe`] the compiler has been seen to take the lanes apart.
    #[inline(never)]
    #[expect(
        clippy::needless_range_loop,
        reason = "a lane of a SIMD register is a pixel: the same position in several arrays"
    )]
    fn expects(&mut self, pixels: &[[f32; LANES]; 3], rates: Rates, limits: Limits) -> bool {
        let [first, others @ ..] = &mut self.0;
        let mut square = [0.0; LANES];
        let mut unexpected = 0;
        for lane in 0..LANES {
            let pixel = [pixels[0][lane], pixels[1][lane], pixels[2][lane]];
            let mean = [
                first.mean[0][lane],
                first.mean[1][lane],
                first.mean[2][lane],
            ];
            square[lane] = distance(pixel, mean).1;
            let variance = first.variance[lane];
            let own = square[lane] < OWN * variance;
            let background = square[lane] < limits.contrast * variance;
            unexpected |= u32::from(!(own & background));
        }
        if unexpected != 0 {
            return false;
        }

        let mut rate = [0.0; LANES];
        for lane in 0..LANES {
            first.frames[lane] += 1.0;
            rate[lane] = larger(1.0 / first.frames[lane], rates.colour);
        }
        for (mean, pixels) in first.mean.iter_mut().zip(pixels) {
            for lane in 0..LANES {
                mean[lane] += rate[lane] * (pixels[lane] - mean[lane]);
            }
        }
        for lane in 0..LANES {
            let variance = first.variance[lane];
            first.variance[lane] = clamped(variance + rate[lane] * (square[lane] - variance));
        }
        let keep = 1.0 - rates.weight;
        let mut total = [0.0; LANES];
        for lane in 0..LANES {
            let weight = first.weight[lane] * keep - rates.weight * PRIOR + rates.weight;
            first.weight[lane] = larger(weight, 0.0);
            total[lane] = first.weight[lane];
        }
        for mode in others {
            for lane in 0..LANES {
                // A mode that is not there stays at 0.
                let weight = mode.weight[lane] * keep - rates.weight * PRIOR;
                mode.weight[lane] = larger(weight, 0.0);
                total[lane] += mode.weight[lane];
            }
        }
        for mode in &mut self.0 {
            for lane in 0..LANES {
                mode.weight[lane] /= total[lane];
            }
        }
        true
    }
}

/// `f32::max` of numbers: one instruction, as NaN does not matter.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

fn clamped(variance: f32) -> f32 {
    variance.clamp(*VARIANCES.start(), *VARIANCES.end())
}

/// The differences to a mode, and the sum of their squares.
fn distance(pixel: Pixel, mean: Pixel) -> (Pixel, f32) {
    let d = [pixel[0] - mean[0], pixel[1] - mean[1], pixel[2] - mean[2]];
    (d, d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
}

fn classify(modes: &[Mode; MODES], pixel: Pixel, limits: Limits) -> Kind {
    let mut shadow = false;
    let mut before = 0.0;
    for mode in modes {
        // The background is the modes with the largest weights, as many as it takes.
        if mode.weight == 0.0 || before >= BACKGROUND {
            break;
        }
        before += mode.weight;
        let allowed = limits.contrast * mode.variance;
        if distance(pixel, mode.mean).1 < allowed {
            return Kind::Background;
        }
        let light = pixel[0] / mode.mean[0].max(1.0);
        if (limits.shadow..1.0).contains(&light) {
            let darker = mode.mean.map(|value| value * light);
            shadow |= distance(pixel, darker).1 < allowed * light * light;
        }
    }
    if shadow {
        Kind::Shadow
    } else {
        Kind::Foreground
    }
}

/// Equations 4 to 6 and 14 of the paper of 2004, with the differences of the [module](self).
fn learn(modes: &mut [Mode; MODES], pixel: Pixel, rates: Rates) {
    let keep = 1.0 - rates.weight;
    let mut owner = None;
    let mut total = 0.0;
    for (at, mode) in modes.iter_mut().enumerate() {
        if mode.weight == 0.0 {
            break;
        }
        mode.weight = mode.weight * keep - rates.weight * PRIOR;
        let (difference, square) = distance(pixel, mode.mean);
        if owner.is_none() && square < OWN * mode.variance {
            owner = Some(at);
            mode.weight += rates.weight;
            mode.frames += 1.0;
            let rate = (1.0 / mode.frames).max(rates.colour);
            for (mean, d) in mode.mean.iter_mut().zip(difference) {
                *mean += rate * d;
            }
            mode.variance = clamped(mode.variance + rate * (square - mode.variance));
        }
        mode.weight = mode.weight.max(0.0);
        total += mode.weight;
    }
    let changed = owner.unwrap_or_else(|| {
        // A free place, or that of the weakest mode.
        let at = modes.iter().position(|mode| mode.weight == 0.0);
        let at = at.unwrap_or(MODES - 1);
        total += rates.weight - modes[at].weight;
        modes[at] = Mode {
            weight: rates.weight,
            variance: NEW_VARIANCE,
            mean: pixel,
            frames: 1.0,
        };
        at
    });
    for mode in modes.iter_mut() {
        mode.weight /= total;
    }
    // Only this one can have become heavier than those before it; one that lost its support moves
    // to the end of those that are left.
    let mut at = changed;
    while at > 0 && modes[at].weight > modes[at - 1].weight {
        modes.swap(at, at - 1);
        at -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        contrast: 16.0,
        shadow: 0.6,
    };
    const GREY: Pixel = [128.0, 0.0, 0.0];
    const RED: Pixel = [128.0, 60.0, -20.0];

    fn rates(weight: f32) -> Rates {
        Rates {
            weight,
            colour: 0.01,
        }
    }

    /// One pixel as a picture.
    fn planes(pixel: &Pixel) -> [&[f32]; 3] {
        pixel.each_ref().map(std::slice::from_ref)
    }

    /// Shows `pixel` to a mixture of one pixel.
    fn show(mixture: &mut Mixture, pixel: Pixel, weight: f32) -> Kind {
        let mut kind = [Kind::Background];
        mixture.observe(planes(&pixel), 1.0, rates(weight), LIMITS, &mut kind);
        kind[0]
    }

    /// A pixel that has seen `GREY` in four frames.
    fn grey() -> Mixture {
        let mut mixture = Mixture::new(1);
        for n in 1..=4 {
            show(&mut mixture, GREY, 1.0 / n as f32);
        }
        mixture
    }

    #[test]
    fn kinds_of_pixels() {
        let cases = [
            ("the same", GREY, Kind::Background),
            ("noise", [135.0, 2.0, -2.0], Kind::Background),
            ("another colour", RED, Kind::Foreground),
            ("brighter", [180.0, 0.0, 0.0], Kind::Foreground),
            ("shadow", [95.0, 0.0, 0.0], Kind::Shadow),
            ("too dark for a shadow", [60.0, 0.0, 0.0], Kind::Foreground),
            (
                "darker, another colour",
                [95.0, 25.0, 0.0],
                Kind::Foreground,
            ),
        ];
        for (name, pixel, wanted) in cases {
            assert_eq!(show(&mut grey(), pixel, 0.001), wanted, "{name}");
        }
    }

    #[test]
    fn light_is_divided_out() {
        let mut kind = [Kind::Foreground];
        let bright = RED.map(|v| v * 1.4);
        let mut mixture = Mixture::new(1);
        show(&mut mixture, RED, 1.0);
        mixture.observe(planes(&bright), 1.4, rates(0.001), LIMITS, &mut kind);
        assert_eq!(kind, [Kind::Background]);
        mixture.scale(1.4);
        assert_eq!(show(&mut mixture, bright, 0.001), Kind::Background);
        assert_eq!(
            show(&mut mixture, RED.map(|v| v * 0.5), 0.001),
            Kind::Foreground
        );
    }

    #[test]
    fn what_stays_becomes_background_when_its_weight_says_so() {
        // ln 0.9 / ln 0.99 = 10.5 frames; the prior takes a little of it.
        let mut mixture = grey();
        let frames = (0..100).position(|_| show(&mut mixture, RED, 0.01) == Kind::Background);
        assert!((10..=13).contains(&frames.unwrap()), "{frames:?}");
        // What was there before is still known.
        assert_eq!(show(&mut mixture, GREY, 0.01), Kind::Background);
    }

    #[test]
    fn what_passes_is_forgotten() {
        let mut mixture = grey();
        for _ in 0..5 {
            show(&mut mixture, RED, 0.01);
        }
        for _ in 0..2000 {
            show(&mut mixture, GREY, 0.01);
        }
        assert_eq!(mixture.blocks[0].pixel(0)[1].weight, 0.0);
        assert_eq!(show(&mut mixture, RED, 0.01), Kind::Foreground);
    }

    #[test]
    fn weights_are_shares_in_falling_order() {
        let colours = [
            GREY,
            RED,
            [20.0, 0.0, 0.0],
            [220.0, -30.0, 30.0],
            [90.0, 40.0, 40.0],
        ];
        let mut mixture = Mixture::new(1);
        let mut state = 1u32;
        for n in 1..3000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pixel = colours[(state >> 24) as usize % colours.len()];
            show(&mut mixture, pixel, (1.0 / n as f32).max(0.02));
            let modes = mixture.blocks[0].pixel(0);
            let sum: f32 = modes.iter().map(|mode| mode.weight).sum();
            assert!((sum - 1.0).abs() < 1e-4, "{n}: {modes:?}");
            assert!(
                modes.is_sorted_by(|a, b| a.weight >= b.weight),
                "{n}: {modes:?}"
            );
        }
    }

    #[test]
    fn pixels_side_by_side_learn_as_each_alone() {
        // A scene with noise, something that sways, and now and then a person: blocks that are all
        // background, mixed and all foreground. Odd in number, so that the last block is not full.
        const PIXELS: usize = 61;
        let mut mixture = Mixture::new(PIXELS);
        let mut alone = [[Mode::default(); MODES]; PIXELS];
        let mut kinds = [Kind::Foreground; PIXELS];
        let (mut state, mut together) = (1u32, 0);
        let mut random = move |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for n in 1..2000u32 {
            let mut planes = [[0.0; PIXELS]; 3];
            let visitor = (n % 50 > 40).then(|| random(PIXELS as u32) as usize);
            for at in 0..PIXELS {
                let colour = match visitor {
                    Some(from) if (from..from + 20).contains(&at) => RED,
                    _ if at % 16 == 3 && random(3) == 0 => [60.0, 10.0, 5.0],
                    _ => GREY,
                };
                for (plane, value) in planes.iter_mut().zip(colour) {
                    plane[at] = value + random(64) as f32 / 16.0 - 2.0;
                }
            }
            let rates = rates((1.0 / n as f32).max(0.004));
            // Contrast below and above what a mode owns.
            let limits = Limits {
                contrast: if n % 2 == 0 { 4.0 } else { 16.0 },
                ..LIMITS
            };
            mixture.observe(
                planes.each_ref().map(|plane| &plane[..]),
                1.25,
                rates,
                limits,
                &mut kinds,
            );
            for at in 0..PIXELS {
                let pixel = planes.map(|plane| plane[at] * (1.0 / 1.25));
                assert_eq!(
                    kinds[at],
                    classify(&alone[at], pixel, limits),
                    "frame {n}, pixel {at}"
                );
                learn(&mut alone[at], pixel, rates);
                let found = mixture.blocks[at / LANES].pixel(at % LANES);
                assert_eq!(found, alone[at], "frame {n}, pixel {at}");
            }
            together += kinds
                .chunks_exact(LANES)
                .filter(|k| k.iter().all(|&k| k == Kind::Background))
                .count();
        }
        assert!(together > 2000, "{together} blocks were all background");
    }
}
