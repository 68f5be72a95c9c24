//! Brightness of the scene relative to the learnt one: flickering lamps, automatic exposure and clouds
//! change every pixel by the same factor.

/// Steps of an octave in the histogram: half a percent each.
const STEPS: f32 = 128.0;
/// Two octaves darker to two brighter; larger factors are not caused by light.
const BINS: usize = 512;
/// Approximate number of sampled pixels, and the minimum for a result.
const SAMPLES: usize = 4096;
const FEWEST: u32 = 64;
/// Darker pixels are noise, brighter ones are clipped.
const USABLE: std::ops::Range<f32> = 16.0..250.0;
/// Ratios this many steps beside the middle belong to it: 6 %, twice the noise of a dark pixel.
const NEAR: usize = 11;

/// Ratio of observed to expected brightness: the mean of the ratios around their median. `look` returns
/// the observed and the expected brightness of each of `pixels`. `None` if too few pixels are usable.
///
/// The median alone moves when a dark person covers a part of the picture; the mean around it does not,
/// as long as less than half of the picture is covered.
pub(super) fn gain(pixels: usize, look: impl Fn(usize) -> [f32; 2]) -> Option<f32> {
    let step = pixels.div_ceil(SAMPLES).max(1);
    // A step that divides the width would look at a few columns only.
    let step = step | 1;
    let mut histogram = [0u32; BINS];
    let mut count = 0;
    for at in (0..pixels).step_by(step) {
        let [seen, model] = look(at);
        if !USABLE.contains(&model) || !USABLE.contains(&seen) {
            continue;
        }
        let bin = (seen / model).log2() * STEPS + (BINS / 2) as f32;
        if (0.0..BINS as f32).contains(&bin) {
            histogram[bin as usize] += 1;
            count += 1;
        }
    }
    if count < FEWEST {
        return None;
    }
    let mut below = 0;
    let median = histogram.iter().position(|&n| {
        below += n;
        below * 2 >= count
    })?;
    let mut middle = median as f32;
    for _ in 0..3 {
        let first = (middle as usize).saturating_sub(NEAR);
        let last = (middle as usize + NEAR).min(BINS - 1);
        let near = || (first..).zip(&histogram[first..=last]);
        let weight: u32 = near().map(|(_, &n)| n).sum();
        let moment: f32 = near().map(|(bin, &n)| bin as f32 * n as f32).sum();
        middle = moment / weight as f32;
    }
    Some(((middle + 0.5 - (BINS / 2) as f32) / STEPS).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(at: usize) -> f32 {
        60.0 + (at * 37 % 101) as f32
    }

    fn noise(at: usize) -> f32 {
        (at.wrapping_mul(0x9E37_79B9) >> 16 & 0xff) as f32 / 64.0 - 2.0
    }

    #[test]
    fn the_factor_is_found() {
        let (covered, all) = (14_000, 36_864);
        let cases = [
            ("as learnt", 1.0, 0, 20.0),
            ("5 % brighter", 1.05, 0, 20.0),
            ("exposure step", 0.6, 0, 20.0),
            ("a dark person before 38 %", 1.0, covered, 25.0),
            ("a bright person, brighter light", 1.3, covered, 230.0),
            ("twice as bright, half of it clipped", 2.0, 0, 20.0),
        ];
        for (name, wanted, covered, colour) in cases {
            let seen = |at| match at < covered {
                true => colour,
                false => (scene(at) * wanted + noise(at)).min(255.0),
            };
            let found = gain(all, |at| [seen(at), scene(at)]).expect(name);
            assert!((found / wanted - 1.0).abs() < 0.006, "{name}: {found}");
        }
    }

    #[test]
    fn nothing_usable_says_nothing() {
        type Pixels = fn(usize) -> f32;
        let cases: [(&str, Pixels, Pixels); 4] = [
            ("lens cap", |_| 2.0, scene),
            ("nothing learnt", scene, |_| 0.0),
            ("dazzled", |_| 255.0, scene),
            ("not a number", |_| f32::NAN, scene),
        ];
        for (name, seen, model) in cases {
            assert_eq!(gain(9999, |at| [seen(at), model(at)]), None, "{name}");
        }
        assert_eq!(gain(63, |at| [scene(at); 2]), None, "too few");
    }
}
