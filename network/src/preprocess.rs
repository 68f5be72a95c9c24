//! From a decoded frame and a box to the network's input, as the model metadata state.
//!
//! In: an RGB frame ([`View`]) and a box in pixels ([`BBox`]). Out: RGB bytes of the network's size ([`Cropper`]),
//! and from these the normalised planes of a float network ([`Normaliser`]), in training and on the device
//! alike. A crop is cut before it is resized. Both resize filters are integer arithmetic, bit for bit that of
//! their library (see [`Resize`]) on every CPU.

mod normalise;
mod opencv;
mod pillow;

pub use normalise::Normaliser;

use serde::{Deserialize, Serialize};

use crate::metadata::{Colour, Fit, Preprocessing, Resize};
use crate::{Error, Result};

/// The widest and highest frame.
pub const MAX_FRAME_SIDE: usize = 16_384;

/// A box in the pixels of a frame, `[x, y, w, h]` in JSON. It may reach beyond the frame; only what
/// is inside counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f32; 4]", into = "[f32; 4]")]
pub struct BBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width; a box without is empty.
    pub w: f32,
    /// Height; a box without is empty.
    pub h: f32,
}

impl From<[f32; 4]> for BBox {
    fn from([x, y, w, h]: [f32; 4]) -> Self {
        Self { x, y, w, h }
    }
}

impl From<BBox> for [f32; 4] {
    fn from(BBox { x, y, w, h }: BBox) -> Self {
        [x, y, w, h]
    }
}

impl BBox {
    /// The whole pixels `[left, top, width, height]` of this box that lie in a frame of `width` x
    /// `height`; `None` if there are none, or if a number is not finite.
    ///
    /// The four edges `x`, `y`, `x + w`, `y + h` are rounded to the nearest whole pixel, halves to
    /// the even one, and then clipped. That is
    /// `frame[int(round(y)):int(round(y + h)), int(round(x)):int(round(x + w))]` in Python, and
    /// leaves boxes of whole numbers as they are.
    #[must_use]
    pub fn clipped(self, width: usize, height: usize) -> Option<[usize; 4]> {
        let span = |start: f32, extent: f32, limit: usize| {
            if !start.is_finite() || !extent.is_finite() {
                return None;
            }
            let (start, limit) = (f64::from(start), limit as f64);
            let end = (start + f64::from(extent)).round_ties_even().min(limit);
            let start = start.round_ties_even().max(0.0);
            (start < end).then_some((start as usize, (end - start) as usize))
        };
        let (left, width) = span(self.x, self.w, width)?;
        let (top, height) = span(self.y, self.h, height)?;
        Some([left, top, width, height])
    }
}

/// A decoded frame: RGB, `[height, width, 3]`, one byte a sample, rows without padding.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    rgb: &'a [u8],
    width: usize,
    height: usize,
}

impl<'a> View<'a> {
    /// A view of `rgb` as a frame of `width` x `height`, each in `1..=`[`MAX_FRAME_SIDE`].
    ///
    /// # Errors
    /// [`Error::Limit`] above that size, [`Error::Argument`] for an empty frame or another number
    /// of bytes than `width * height * 3`.
    pub fn new(rgb: &'a [u8], width: usize, height: usize) -> Result<Self> {
        check_side("width of a frame", width, MAX_FRAME_SIDE)?;
        check_side("height of a frame", height, MAX_FRAME_SIDE)?;
        check_length("frame", rgb.len(), [height, width, 3])?;
        Ok(Self { rgb, width, height })
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

    /// The bytes, RGB, `[height, width, 3]`.
    #[must_use]
    pub fn rgb(&self) -> &'a [u8] {
        self.rgb
    }

    fn window(self, [left, top, width, height]: [usize; 4]) -> Window<'a> {
        let stride = self.width * 3;
        Window {
            rgb: &self.rgb[top * stride + left * 3..],
            stride,
            width,
            height,
        }
    }
}

/// The pixels of a frame that a filter may read: a cut-out, not copied.
#[derive(Clone, Copy)]
struct Window<'a> {
    /// From the first pixel of the window on.
    rgb: &'a [u8],
    /// Bytes from one row of the frame to the next.
    stride: usize,
    width: usize,
    height: usize,
}

impl<'a> Window<'a> {
    fn row(&self, y: usize) -> &'a [u8] {
        &self.rgb[y * self.stride..][..self.width * 3]
    }
}

/// Cuts boxes out of frames and scales them to the network's size. Its buffers grow to the largest
/// crop and are then reused.
///
/// ```
/// use network::metadata::Preprocessing;
/// use network::preprocess::{BBox, Cropper, Normaliser, View};
///
/// let preprocessing = Preprocessing::default(); // 256 x 128, RGB, ImageNet mean and deviation
/// let frame = vec![128; 640 * 480 * 3];
/// let frame = View::new(&frame, 640, 480)?;
/// let person = BBox::from([100.0, 50.0, 80.0, 200.0]);
///
/// let mut crop = vec![0; 256 * 128 * 3]; // RGB [256, 128, 3]
/// Cropper::new(&preprocessing)?.crop(frame, person, &mut crop)?;
/// let mut input = vec![0.0; 3 * 256 * 128]; // f32 [3, 256, 128]
/// Normaliser::new(&preprocessing)?.fill(&crop, &mut input)?;
/// assert_eq!(input[0], (128.0 / 255.0 - 0.485) / 0.229);
/// # Ok::<(), network::Error>(())
/// ```
#[derive(Debug)]
pub struct Cropper {
    width: usize,
    height: usize,
    fit: Fit,
    /// Mean colour, what a letterbox leaves uncovered.
    fill: [u8; 3],
    filter: Filter,
}

#[derive(Debug)]
enum Filter {
    Pillow(pillow::Filter),
    OpenCv(opencv::Filter),
}

impl Cropper {
    /// A cropper for this pre-processing.
    ///
    /// # Errors
    /// As [`Preprocessing::check`].
    pub fn new(preprocessing: &Preprocessing) -> Result<Self> {
        preprocessing.check()?;
        let mut fill = preprocessing
            .mean
            .map(|mean| (mean * 255.0).round().clamp(0.0, 255.0) as u8);
        if preprocessing.colour == Colour::Bgr {
            fill.reverse();
        }
        Ok(Self {
            width: preprocessing.width,
            height: preprocessing.height,
            fit: preprocessing.fit,
            fill,
            filter: match preprocessing.resize {
                Resize::PilBilinear => Filter::Pillow(pillow::Filter::default()),
                Resize::CvBilinear => Filter::OpenCv(opencv::Filter::default()),
            },
        })
    }

    /// Cuts `bbox` out of `frame` and scales it into `out`: RGB, `[height, width, 3]` of the pre-processing,
    /// whatever order of planes the network reads. Parts of the box outside of the frame are ignored.
    ///
    /// # Errors
    /// [`Error::Argument`] if no pixel of the box lies in the frame (see [`BBox::clipped`]), or
    /// `out` has another length.
    pub fn crop(&mut self, frame: View<'_>, bbox: BBox, out: &mut [u8]) -> Result<()> {
        let pixels = bbox.clipped(frame.width, frame.height).ok_or_else(|| {
            Error::Argument(format!(
                "box {:?} has no pixel in a frame of {} x {}",
                <[f32; 4]>::from(bbox),
                frame.width,
                frame.height
            ))
        })?;
        self.scale(frame.window(pixels), out)
    }

    /// Scales the whole frame into `out`; see [`Cropper::crop`].
    ///
    /// # Errors
    /// [`Error::Argument`] if `out` has another length than `height * width * 3`.
    pub fn whole(&mut self, frame: View<'_>, out: &mut [u8]) -> Result<()> {
        self.scale(frame.window([0, 0, frame.width, frame.height]), out)
    }

    fn scale(&mut self, source: Window<'_>, out: &mut [u8]) -> Result<()> {
        check_length("network input", out.len(), [self.height, self.width, 3])?;
        let [left, top, width, height] = match self.fit {
            Fit::Stretch => [0, 0, self.width, self.height],
            Fit::Letterbox => {
                let inner = letterbox(source.width, source.height, self.width, self.height);
                if inner[2..] != [self.width, self.height] {
                    out.as_chunks_mut::<3>().0.fill(self.fill);
                }
                inner
            }
        };
        let rows = out
            .chunks_exact_mut(self.width * 3)
            .skip(top)
            .take(height)
            .map(|row| &mut row[left * 3..][..width * 3]);
        match &mut self.filter {
            Filter::Pillow(filter) => filter.resize(source, width, height, rows),
            Filter::OpenCv(filter) => filter.resize(source, width, height, rows),
        }
        Ok(())
    }
}

/// Where an image of `width` x `height` lies in an input of `into_width` x `into_height` when its
/// aspect ratio is kept: `[left, top, width, height]`, centred. The shorter side is rounded to the
/// nearest pixel, halves up, and is at least one; an odd pixel of margin goes to the right and the
/// bottom.
fn letterbox(width: usize, height: usize, into_width: usize, into_height: usize) -> [usize; 4] {
    let scaled =
        |side: usize, into: usize, full: usize| ((2 * side * into + full) / (2 * full)).max(1);
    let (inner_width, inner_height) = if into_width * height <= into_height * width {
        (
            into_width,
            scaled(height, into_width, width).min(into_height),
        )
    } else {
        (
            scaled(width, into_height, height).min(into_width),
            into_height,
        )
    };
    [
        (into_width - inner_width) / 2,
        (into_height - inner_height) / 2,
        inner_width,
        inner_height,
    ]
}

fn check_side(what: &str, found: usize, limit: usize) -> Result<()> {
    if found == 0 {
        return Err(Error::Argument(format!("{what} is 0, wanted 1 to {limit}")));
    }
    if found > limit {
        return Err(Error::Limit {
            what: what.to_owned(),
            found: found as u64,
            limit: limit as u64,
        });
    }
    Ok(())
}

/// Compares a buffer's length with its shape; the sides are checked, so that the product cannot
/// overflow.
fn check_length(what: &str, found: usize, shape: [usize; 3]) -> Result<()> {
    let wanted = shape.iter().product::<usize>();
    if found != wanted {
        return Err(Error::Argument(format!(
            "{what} of shape {shape:?} wants {wanted} values, found {found}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_rounded_then_clipped() {
        let cases = [
            ("inside", [2.0, 3.0, 4.0, 5.0], Some([2, 3, 4, 5])),
            (
                "edges to the nearest",
                [1.4, 1.6, 2.0, 2.0],
                Some([1, 2, 2, 2]),
            ),
            (
                "halves to even, as Python",
                [0.5, 1.5, 2.0, 2.0],
                Some([0, 2, 2, 2]),
            ),
            (
                "beyond every side",
                [-5.0, -6.0, 100.0, 100.0],
                Some([0, 0, 10, 20]),
            ),
            ("left of the frame", [-5.0, 0.0, 4.0, 4.0], None),
            ("touching the left", [-4.0, 0.0, 4.0, 4.0], None),
            ("right of the frame", [10.0, 0.0, 4.0, 4.0], None),
            ("below the frame", [0.0, 20.0, 4.0, 4.0], None),
            ("no width", [1.0, 1.0, 0.0, 4.0], None),
            ("negative height", [1.0, 9.0, 4.0, -4.0], None),
            ("thinner than half a pixel", [1.1, 1.0, 0.3, 4.0], None),
            ("NaN", [f32::NAN, 1.0, 4.0, 4.0], None),
            ("infinite", [0.0, 0.0, f32::INFINITY, 4.0], None),
            ("huge", [-f32::MAX, -f32::MAX, f32::MAX, f32::MAX], None),
            (
                "huge extent",
                [3.0, 4.0, f32::MAX, f32::MAX],
                Some([3, 4, 7, 16]),
            ),
        ];
        for (name, bbox, wanted) in cases {
            assert_eq!(BBox::from(bbox).clipped(10, 20), wanted, "{name}");
        }
    }

    #[test]
    fn boxes_are_arrays_in_json() {
        let bbox: BBox = serde_json::from_str("[1, 2.5, 3, 4]").unwrap();
        assert_eq!((bbox.x, bbox.y, bbox.w, bbox.h), (1.0, 2.5, 3.0, 4.0));
        assert_eq!(serde_json::to_string(&bbox).unwrap(), "[1.0,2.5,3.0,4.0]");
    }

    #[test]
    fn letterboxes_are_centred_and_never_empty() {
        let cases = [
            ("same aspect", [64, 128, 128, 256], [0, 0, 128, 256]),
            ("wide", [200, 100, 128, 256], [0, 96, 128, 64]),
            ("tall", [50, 200, 128, 256], [32, 0, 64, 256]),
            (
                "half rounds up, odd margin below",
                [4, 1, 6, 5],
                [0, 1, 6, 2],
            ),
            ("a line across", [16_384, 1, 128, 256], [0, 127, 128, 1]),
            ("a line down", [1, 16_384, 128, 256], [63, 0, 1, 256]),
        ];
        for (name, [width, height, into_width, into_height], wanted) in cases {
            let found = letterbox(width, height, into_width, into_height);
            assert_eq!(found, wanted, "{name}");
        }
    }

    #[test]
    fn a_letterbox_fills_with_the_mean_in_rgb() {
        let preprocessing = Preprocessing {
            height: 4,
            width: 2,
            fit: Fit::Letterbox,
            colour: Colour::Bgr,
            mean: [0.0, 0.5, 1.0],
            ..Preprocessing::default()
        };
        let mut cropper = Cropper::new(&preprocessing).unwrap();
        let mut out = [7; 4 * 2 * 3];
        let frame = View::new(&[9; 4 * 4 * 3], 4, 4).unwrap();
        cropper.whole(frame, &mut out).unwrap();
        let (fill, pixel) = ([255, 128, 0], [9; 3]);
        let wanted = [fill, fill, pixel, pixel, pixel, pixel, fill, fill];
        assert_eq!(out.as_chunks::<3>().0, wanted);
    }

    #[test]
    fn bad_input_is_named() {
        let preprocessing = Preprocessing::default();
        let with = |change: &dyn Fn(&mut Preprocessing)| {
            let mut changed = preprocessing;
            change(&mut changed);
            Cropper::new(&changed).unwrap_err().to_string()
        };
        let cases = [
            (with(&|c| c.width = 0), "width is 0, wanted 1 to 4096"),
            (
                with(&|c| c.height = 4097),
                "height is 4097, wanted 1 to 4096",
            ),
            (with(&|c| c.std[1] = 0.0), "std of plane 1 is 0"),
            (with(&|c| c.std[2] = f32::NAN), "std of plane 2 is NaN"),
            (
                with(&|c| c.mean[0] = f32::INFINITY),
                "mean of plane 0 is inf",
            ),
            (
                View::new(&[0; 12], 2, 3).unwrap_err().to_string(),
                "frame of shape [3, 2, 3] wants 18 values, found 12",
            ),
            (
                View::new(&[], usize::MAX, 2).unwrap_err().to_string(),
                "the limit is 16384",
            ),
            (
                View::new(&[], 0, 2).unwrap_err().to_string(),
                "width of a frame is 0",
            ),
        ];
        for (found, wanted) in cases {
            assert!(found.contains(wanted), "{found}");
        }

        let mut cropper = Cropper::new(&preprocessing).unwrap();
        let frame = View::new(&[0; 12], 2, 2).unwrap();
        let mut out = vec![0; 256 * 128 * 3];
        let outside = BBox::from([2.0, 0.0, 1.0, 1.0]);
        let error = cropper.crop(frame, outside, &mut out).unwrap_err();
        assert!(
            error.to_string().contains("no pixel in a frame of 2 x 2"),
            "{error}"
        );
        let error = cropper.whole(frame, &mut out[1..]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("wants 98304 values, found 98303"),
            "{error}"
        );
    }
}
