//! A frame, shrunk to at most [`SIDE`] pixels and turned into brightness and two colour
//! differences.
//!
//! Every pixel is the mean of a square of the frame's, which is the best a smaller picture can do
//! against sensor noise: 3 x 3 pixels have a third of its deviation.

use media::{Frame, MAX_SIDE};

/// The longest side of the reduced picture: persons that can be recognised are a few dozen pixels
/// high in it.
pub(super) const SIDE: usize = 320;

/// `[(R + 2 G + B) / 4, (R - G) / 2, (B - G) / 2]`: twice as bright a light doubles all three.
pub(super) type Pixel = [f32; 3];

/// The reduced picture and the buffers it is made in.
#[derive(Debug, Default)]
pub(super) struct Reduced {
    /// Side of the square that becomes a pixel.
    pub(super) factor: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// The values of [`Pixel`], each a plane of its own, so that a SIMD register holds pixels.
    pub(super) planes: [Vec<f32>; 3],
    /// Columns of `factor` rows, added up.
    columns: Vec<u16>,
    /// Squares added up, one of them beginning at each column.
    squares: Vec<u16>,
}

/// Added up, a column fits a u16 and a square a u32.
const _: () = assert!(MAX_SIDE.div_ceil(SIDE) * 255 <= u16::MAX as usize);

impl Reduced {
    /// A picture for frames of `width` x `height`, each at least 1. What is left over at the right
    /// and the lower border, less than a pixel, is not looked at.
    pub(super) fn new([width, height]: [usize; 2]) -> Self {
        let factor = width.max(height).div_ceil(SIDE).min(width.min(height));
        let (reduced_width, reduced_height) = (width / factor, height / factor);
        let columns = vec![0; reduced_width * factor * 3];
        Self {
            factor,
            width: reduced_width,
            height: reduced_height,
            planes: [(); 3].map(|()| vec![0.0; reduced_width * reduced_height]),
            squares: columns.clone(),
            columns,
        }
    }

    /// Shrinks `frame`, which has the size that this picture was made for.
    pub(super) fn fill(&mut self, frame: &Frame) {
        match self.factor {
            1 => self.fill_squares::<1>(frame),
            2 => self.fill_squares::<2>(frame),
            3 => self.fill_squares::<3>(frame),
            4 => self.fill_squares::<4>(frame),
            5 => self.fill_squares::<5>(frame),
            6 => self.fill_squares::<6>(frame),
            _ => self.fill_any(frame),
        }
    }

    /// As [`Reduced::fill_any`] with the same result, three times as fast: the compiler knows the
    /// side `F`, and adds squares up eight columns at a time, whether one begins there or not.
    fn fill_squares<const F: usize>(&mut self, frame: &Frame) {
        const { assert!(F * F * 255 <= u16::MAX as usize, "a square fits a u16") };
        let strips = frame.rgb.chunks_exact(F * frame.width * 3);
        let len = self.columns.len();
        for (y, strip) in strips.take(self.height).enumerate() {
            let rows: [&[u8]; F] = std::array::from_fn(|y| &strip[y * frame.width * 3..][..len]);
            for (x, sum) in self.columns.iter_mut().enumerate() {
                *sum = rows.iter().map(|row| u16::from(row[x])).sum();
            }
            let begins = len - (F - 1) * 3;
            let columns: [&[u16]; F] = std::array::from_fn(|x| &self.columns[x * 3..][..begins]);
            for (x, sum) in self.squares[..begins].iter_mut().enumerate() {
                *sum = columns.iter().map(|column| column[x]).sum();
            }
            let (squares, _) = self.squares.as_chunks::<3>();
            let from = y * self.width;
            let [a, b, c] = self
                .planes
                .each_mut()
                .map(|plane| &mut plane[from..][..self.width]);
            let scale = 1.0 / (F * F) as f32;
            for (((square, a), b), c) in squares.iter().step_by(F).zip(a).zip(b).zip(c) {
                [*a, *b, *c] = pixel(square.map(|sum| f32::from(sum) * scale));
            }
        }
    }

    fn fill_any(&mut self, frame: &Frame) {
        let strip = self.factor * frame.width * 3;
        let strips = frame.rgb.chunks_exact(strip);
        let scale = 1.0 / (self.factor * self.factor) as f32;
        for (y, rows) in strips.take(self.height).enumerate() {
            self.columns.fill(0);
            for row in rows.chunks_exact(frame.width * 3) {
                for (sum, &value) in self.columns.iter_mut().zip(row) {
                    *sum += u16::from(value);
                }
            }
            let (columns, _) = self.columns.as_chunks::<3>();
            for (x, square) in columns.chunks_exact(self.factor).enumerate() {
                let mut sums = [0u32; 3];
                for column in square {
                    for (sum, &value) in sums.iter_mut().zip(column) {
                        *sum += u32::from(value);
                    }
                }
                let values = pixel(sums.map(|sum| sum as f32 * scale));
                for (plane, value) in self.planes.iter_mut().zip(values) {
                    plane[y * self.width + x] = value;
                }
            }
        }
    }
}

fn pixel([r, g, b]: [f32; 3]) -> Pixel {
    [(r + 2.0 * g + b) / 4.0, (r - g) / 2.0, (b - g) / 2.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fit_the_side() {
        let cases = [
            ([768, 432], 3, [256, 144]),
            ([640, 480], 2, [320, 240]),
            ([160, 120], 1, [160, 120]),
            ([1080, 1920], 6, [180, 320]),
            ([16_384, 16_384], 52, [315, 315]),
            ([1, 1], 1, [1, 1]),
            // Narrower than a square would be: the square gives way.
            ([3000, 2], 2, [1500, 1]),
        ];
        for (size, factor, wanted) in cases {
            let reduced = Reduced::new(size);
            assert_eq!(reduced.factor, factor, "{size:?}");
            assert_eq!([reduced.width, reduced.height], wanted, "{size:?}");
        }
    }

    #[test]
    fn pixels_are_means_of_squares() {
        // Squares of one colour each, noise of +-8 in a chequerboard, and a border left over.
        let colours = [[200, 100, 50], [10, 20, 30], [255, 255, 255], [0, 0, 0]];
        let (width, height) = (642, 483);
        let mut frame = Frame {
            width,
            height,
            ..Frame::default()
        };
        for y in 0..height {
            for x in 0..width {
                let colour: [u8; 3] = colours[(x / 3 + y / 3) % 4];
                let noise = if (x + y) % 2 == 0 { 8 } else { 0 };
                frame.rgb.extend(colour.map(|v| v.saturating_sub(noise)));
            }
        }
        let mut reduced = Reduced::new([width, height]);
        reduced.fill(&frame);
        assert_eq!([reduced.width, reduced.height], [214, 161]);
        for at in 0..214 * 161 {
            let [y, u, v] = reduced.planes.each_ref().map(|plane| plane[at]);
            let (column, row) = (at % 214, at / 214);
            // Five or four of nine pixels are darker.
            let darker = if (column + row) % 2 == 0 { 5.0 } else { 4.0 } * 8.0 / 9.0;
            let colour = colours[(column + row) % 4].map(f32::from);
            let [r, g, b] = colour.map(|v| if v == 0.0 { 0.0 } else { v - darker });
            let wanted = [(r + 2.0 * g + b) / 4.0, (r - g) / 2.0, (b - g) / 2.0];
            for (found, wanted) in [y, u, v].into_iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-3, "{at}: {found} {wanted}");
            }
        }
    }

    #[test]
    fn every_factor_gives_the_same_as_the_plain_way() {
        for (factor, [width, height]) in [
            (1, [320, 7]),
            (2, [640, 9]),
            (3, [641, 480]),
            (4, [1280, 721]),
            (5, [1281, 31]),
            (6, [1920, 1080]),
            (7, [2240, 1400]),
        ] {
            let rgb =
                (0..width * height * 3).map(|i: usize| (i.wrapping_mul(2_654_435_761) >> 13) as u8);
            let frame = Frame {
                width,
                height,
                rgb: rgb.collect(),
                ..Frame::default()
            };
            let mut reduced = Reduced::new([width, height]);
            assert_eq!(reduced.factor, factor);
            reduced.fill(&frame);
            let fast = reduced.planes.clone();
            reduced.fill_any(&frame);
            assert_eq!(fast, reduced.planes, "{width} x {height}");
        }
    }
}
