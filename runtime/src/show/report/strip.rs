//! The few crops of an identity that are shown: the best of each stretch of time, with stretches
//! that grow as the identity stays.

use std::time::Duration;

use image::imageops;
use image::{ImageBuffer, Rgb};

use super::MAX_CROP_BYTES;
use media::picture::encode;

/// The widest and highest crop on the page, in pixels.
const SIZE: [usize; 2] = [96, 192];

/// The first stretches of time, in milliseconds.
const STRETCH: u64 = 250;

/// A crop on the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thumb {
    /// A small JPEG.
    pub(super) jpeg: Vec<u8>,
    pub(super) stream_time: Duration,
    pub(super) similarity: Option<f32>,
    /// Whether the identity was made for it.
    pub(super) new: bool,
    /// Number of the source.
    pub(super) source: usize,
    pub(super) frame: u64,
    pub(super) quality: f32,
}

/// At most so many crops, in the order of time, no two of one stretch.
#[derive(Debug)]
pub(super) struct Strip {
    most: usize,
    /// Length of a stretch in milliseconds.
    stretch: u64,
    thumbs: Vec<Thumb>,
}

impl Strip {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            stretch: STRETCH,
            thumbs: Vec::new(),
        }
    }

    pub(super) fn thumbs(&self) -> &[Thumb] {
        &self.thumbs
    }

    /// The one to recognise the identity by.
    pub(super) fn best(&self) -> Option<&Thumb> {
        self.thumbs.iter().reduce(|best, thumb| {
            if thumb.quality > best.quality {
                thumb
            } else {
                best
            }
        })
    }

    /// Offers a crop; `picture` is asked for it only if it is kept.
    pub(super) fn add(&mut self, time: Duration, quality: f32, picture: impl FnOnce() -> Thumb) {
        let stretch = self.stretch_of(time);
        let at = self
            .thumbs
            .partition_point(|thumb| self.stretch_of(thumb.stream_time) < stretch);
        match self.thumbs.get_mut(at) {
            Some(thumb) if millis(thumb.stream_time) / self.stretch == stretch => {
                // A little better is not worth the work: a person comes closer frame by frame.
                if quality > thumb.quality + 0.1 * thumb.quality.abs() {
                    *thumb = picture();
                }
            }
            _ => self.thumbs.insert(at, picture()),
        }
        while self.thumbs.len() > self.most {
            self.stretch *= 2;
            let stretch = self.stretch;
            self.thumbs.dedup_by(|later, earlier| {
                let of = |thumb: &Thumb| millis(thumb.stream_time) / stretch;
                let same = of(later) == of(earlier);
                if same && later.quality > earlier.quality {
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
    }

    fn stretch_of(&self, time: Duration) -> u64 {
        millis(time) / self.stretch
    }
}

/// A stream of more than 2^62 milliseconds does not end in our time; below, stretches can double.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(u64::MAX)
        .min(1 << 62)
}

/// A small JPEG of a picture, `[height, width, 3]` u8, of at most [`MAX_CROP_BYTES`].
pub(in crate::show) fn thumbnail(rgb: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
    let picture = ImageBuffer::<Rgb<u8>, _>::from_raw(width as u32, height as u32, rgb)
        .expect("the report checks sizes before");
    let mut shrink = (width as f64 / SIZE[0] as f64)
        .max(height as f64 / SIZE[1] as f64)
        .max(1.0);
    let mut bytes = Vec::new();
    for quality in [82, 60, 40, 20, 5] {
        let side = |side: usize| ((side as f64 / shrink).round() as u32).max(1);
        let small = imageops::thumbnail(&picture, side(width), side(height));
        let size = [small.width() as usize, small.height() as usize];
        bytes.clear();
        encode(&small, size, quality, &mut bytes).expect("a Vec takes what a small picture needs");
        if bytes.len() <= MAX_CROP_BYTES {
            break;
        }
        // Noise, or a test picture: smaller and coarser until it fits.
        shrink *= 1.2;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thumb(millis: u64, quality: f32) -> Thumb {
        Thumb {
            jpeg: Vec::new(),
            stream_time: Duration::from_millis(millis),
            similarity: None,
            new: false,
            source: 0,
            frame: millis,
            quality,
        }
    }

    fn strip(crops: &[(u64, f32)]) -> (Vec<u64>, usize) {
        let mut strip = Strip::new(4);
        let mut pictures = 0;
        for &(millis, quality) in crops {
            strip.add(Duration::from_millis(millis), quality, || {
                pictures += 1;
                thumb(millis, quality)
            });
        }
        let times = strip.thumbs().iter().map(|thumb| thumb.frame).collect();
        (times, pictures)
    }

    #[test]
    fn crops_are_spread_over_time_and_good() {
        let second = |s: u64| (s * 1000, 0.5);
        let day: Vec<_> = (0..86_400).map(second).collect();
        type Case<'a> = (&'a str, &'a [(u64, f32)], &'a [u64]);
        let cases: [Case<'_>; 7] = [
            ("none", &[], &[]),
            ("one", &[(5, 0.1)], &[5]),
            (
                "the better one of a moment",
                &[(5, 0.1), (9, 0.5), (12, 0.4)],
                &[9],
            ),
            ("hardly better", &[(5, 0.50), (9, 0.54)], &[5]),
            (
                "in any order",
                &[(2000, 0.1), (0, 0.1), (1000, 0.1)],
                &[0, 1000, 2000],
            ),
            (
                "the better half of five",
                &[(0, 0.1), (300, 0.9), (600, 0.1), (900, 0.1), (1200, 0.1)],
                &[300, 600, 1200],
            ),
            (
                "the end of time",
                &[(0, 0.1), (u64::MAX, 0.1)],
                &[0, u64::MAX],
            ),
        ];
        for (name, crops, wanted) in cases {
            assert_eq!(strip(crops).0, wanted, "{name}");
        }
        let (times, pictures) = strip(&day);
        assert!((3..=4).contains(&times.len()), "{times:?}");
        assert!(*times.last().unwrap() > 40_000_000, "{times:?}");
        // A day of seconds is 19 doublings, with at most two new stretches in each.
        assert!(pictures < 50, "{pictures} pictures for {}", day.len());
        let same = strip(&[(0, f32::NAN), (1, f32::NAN), (400, 0.1), (u64::MAX, 0.0)]).0;
        assert_eq!(same.len(), 3);
    }

    #[test]
    fn a_thumbnail_is_small_whatever_it_shows() {
        let mut seed = 1_u32;
        let mut noise = |bytes: usize| -> Vec<u8> {
            let next = |_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            };
            (0..bytes).map(next).collect()
        };
        for ([width, height], wanted) in [
            ([128, 256], None),
            ([1, 1], Some([1, 1])),
            ([40, 80], None),
            ([3000, 2], Some([96, 1])),
            ([2, 3000], Some([1, 192])),
        ] {
            let bytes = thumbnail(&noise(width * height * 3), [width, height]);
            assert!(
                bytes.len() <= MAX_CROP_BYTES,
                "{width} x {height}: {}",
                bytes.len()
            );
            let picture = image::load_from_memory(&bytes).unwrap();
            let size = [picture.width(), picture.height()];
            assert!(size[0] <= 96 && size[1] <= 192, "{size:?}");
            if let Some(wanted) = wanted {
                assert_eq!(size, wanted);
            }
        }
        let plain = thumbnail(&vec![90; 128 * 256 * 3], [128, 256]);
        let picture = image::load_from_memory(&plain).unwrap();
        assert_eq!((picture.width(), picture.height()), (96, 192));
    }
}
