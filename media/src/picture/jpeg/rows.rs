//! Planes of samples to rows of RGB: chroma is upsampled by libjpeg's "fancy upsampling" (`jdsample.c`),
//! and converted by the integers of `jdcolor.c`.

/// The colour space of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Grey,
    Rgb,
    YCbCr,
    /// Inverted, as Adobe's programs write it and Pillow reads it.
    Cmyk,
    /// CMYK whose first three are stored as YCbCr.
    Ycck,
}

/// How a component is upsampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upsample {
    /// Full size.
    Same,
    /// Half as many across: 3/4 of the nearer and 1/4 of the farther sample.
    Across,
    /// Half as many down.
    Down,
    /// Half as many across and down.
    Both,
    /// Each is repeated so many times across and down.
    Repeat(usize, usize),
}

impl Upsample {
    /// `size` is the component's sampling factors (across, down), `most` the largest of the picture.
    /// None if they are no whole multiples, which libjpeg refuses too.
    pub(super) fn of(size: (usize, usize), most: (usize, usize), width: usize) -> Option<Self> {
        let ((h, v), (most_h, most_v)) = (size, most);
        if !most_h.is_multiple_of(h) || !most_v.is_multiple_of(v) {
            return None;
        }
        // Up to two samples across are repeated: libjpeg's filter needs three.
        Some(match (most_h / h, most_v / v) {
            (1, 1) => Self::Same,
            (2, 1) if width > 2 => Self::Across,
            (1, 2) => Self::Down,
            (2, 2) if width > 2 => Self::Both,
            (across, down) => Self::Repeat(across, down),
        })
    }

    /// Whether rows above and below are needed.
    pub(super) fn needs_neighbours(self) -> bool {
        matches!(self, Self::Down | Self::Both)
    }
}

/// Rows of samples of one component, of which the last ones are kept.
pub(super) struct SamplePlane {
    pub(super) samples: Vec<u8>,
    pub(super) stride: usize,
    /// Rows that are kept; row `y` is where row `y + kept` will be.
    pub(super) kept: usize,
    /// Samples inside the picture.
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) upsample: Upsample,
}

impl SamplePlane {
    fn row(&self, y: usize) -> &[u8] {
        &self.samples[y % self.kept * self.stride..][..self.width]
    }

    /// The samples of row `y` of the picture, which is as wide as `out` or a little less. `sums` is
    /// a work buffer.
    #[inline(always)]
    fn upsampled(&self, y: usize, out: &mut [u8], sums: &mut [u16]) {
        let half = y / 2;
        let other = if y.is_multiple_of(2) {
            half.saturating_sub(1)
        } else {
            (half + 1).min(self.height - 1)
        };
        match self.upsample {
            Upsample::Same => out[..self.width].copy_from_slice(self.row(y)),
            Upsample::Across => across(self.row(y), out),
            Upsample::Down => {
                let bias = 1 + (y % 2) as u16;
                let rows = self.row(half).iter().zip(self.row(other));
                for (out, (&near, &far)) in out.iter_mut().zip(rows) {
                    *out = ((u16::from(near) * 3 + u16::from(far) + bias) >> 2) as u8;
                }
            }
            Upsample::Both => {
                let sums = &mut sums[..self.width];
                let rows = self.row(half).iter().zip(self.row(other));
                for (sum, (&near, &far)) in sums.iter_mut().zip(rows) {
                    *sum = u16::from(near) * 3 + u16::from(far);
                }
                both(sums, out);
            }
            Upsample::Repeat(times, down) => {
                let row = self.row(y / down);
                for (out, &sample) in out.chunks_mut(times).zip(row) {
                    out.fill(sample);
                }
            }
        }
    }
}

/// `h2v1_fancy_upsample`. `out` has room for twice the samples, of which there are at least 3.
#[inline(always)]
fn across(row: &[u8], out: &mut [u8]) {
    let last = row.len() - 1;
    let out = &mut out[..2 * row.len()];
    let near = |at: usize| u16::from(row[at]) * 3;
    out[0] = row[0];
    out[1] = ((near(0) + u16::from(row[1]) + 2) >> 2) as u8;
    let inner = out[2..2 * last].chunks_exact_mut(2);
    for (out, three) in inner.zip(row.windows(3)) {
        let near = u16::from(three[1]) * 3;
        out[0] = ((near + u16::from(three[0]) + 1) >> 2) as u8;
        out[1] = ((near + u16::from(three[2]) + 2) >> 2) as u8;
    }
    out[2 * last] = ((near(last) + u16::from(row[last - 1]) + 1) >> 2) as u8;
    out[2 * last + 1] = row[last];
}

/// `h2v2_fancy_upsample`, from the sums of two rows.
#[inline(always)]
fn both(sums: &[u16], out: &mut [u8]) {
    let last = sums.len() - 1;
    let out = &mut out[..2 * sums.len()];
    out[0] = ((sums[0] * 4 + 8) >> 4) as u8;
    out[1] = ((sums[0] * 3 + sums[1] + 7) >> 4) as u8;
    let inner = out[2..2 * last].chunks_exact_mut(2);
    for (out, three) in inner.zip(sums.windows(3)) {
        let near = three[1] * 3;
        out[0] = ((near + three[0] + 8) >> 4) as u8;
        out[1] = ((near + three[2] + 7) >> 4) as u8;
    }
    out[2 * last] = ((sums[last] * 3 + sums[last - 1] + 8) >> 4) as u8;
    out[2 * last + 1] = ((sums[last] * 4 + 7) >> 4) as u8;
}

/// 16 bits of fraction, as the tables of `jdcolor.c` have.
const HALF: i32 = 1 << 15;
const CR_RED: i32 = 91_881;
const CB_BLUE: i32 = 116_130;
const CR_GREEN: i32 = 46_802;
const CB_GREEN: i32 = 22_554;

/// Red in the lowest byte.
#[inline(always)]
fn rgb(y: u8, cb: u8, cr: u8) -> u32 {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((CR_RED * cr + HALF) >> 16);
    let green = y + ((-CB_GREEN * cb - CR_GREEN * cr + HALF) >> 16);
    let blue = y + ((CB_BLUE * cb + HALF) >> 16);
    let [red, green, blue] = [red, green, blue].map(|v| v.clamp(0, 255) as u32);
    red | green << 8 | blue << 16
}

/// Pillow's `MULDIV255`: the product of two shares of 255.
#[inline(always)]
fn share(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

/// Pillow's `cmyk2rgb` of the inverse of what is stored.
#[inline(always)]
fn inked(colour: u8, black: u8) -> u8 {
    black.saturating_sub(share(255 - colour, black))
}

/// The rows of a picture while it is decoded.
pub(super) struct Rows {
    pub(super) planes: Vec<SamplePlane>,
    colours: Colours,
    width: usize,
    /// A row of each component.
    full: [Vec<u8>; 4],
    sums: Vec<u16>,
    /// A row of pixels in four bytes each, of which the last is 0: these the compiler computes many
    /// at a time, which it does not with three.
    pixels: Vec<u32>,
}

impl Rows {
    pub(super) fn new(planes: Vec<SamplePlane>, colours: Colours, width: usize) -> Self {
        // Repeated or doubled samples may exceed the edge.
        let room = width + 8;
        let count = planes.len();
        Self {
            planes,
            colours,
            width,
            full: std::array::from_fn(|i| vec![0; if i < count { room } else { 0 }]),
            sums: vec![0; room],
            pixels: vec![0; width],
        }
    }

    /// Writes rows `from..to` of the picture; `rgb` is all of it.
    #[inline(always)]
    pub(super) fn write(&mut self, from: usize, to: usize, rgb: &mut [u8]) {
        for y in from..to {
            for (plane, full) in self.planes.iter().zip(&mut self.full) {
                plane.upsampled(y, full, &mut self.sums);
            }
            let out = &mut rgb[y * self.width * 3..][..self.width * 3];
            let [a, b, c, d] = &self.full;
            convert(self.colours, [a, b, c, d], &mut self.pixels, out);
        }
    }
}

/// A row of samples to a row of RGB. `pixels` is room to work in.
#[inline(always)]
fn convert(colours: Colours, [a, b, c, d]: [&[u8]; 4], pixels: &mut [u32], out: &mut [u8]) {
    let (triples, _) = out.as_chunks_mut::<3>();
    match colours {
        Colours::Grey => {
            for (out, &grey) in triples.iter_mut().zip(a) {
                *out = [grey; 3];
            }
        }
        Colours::Rgb => {
            for (((out, &a), &b), &c) in triples.iter_mut().zip(a).zip(b).zip(c) {
                *out = [a, b, c];
            }
        }
        Colours::YCbCr => {
            for (((pixel, &y), &cb), &cr) in pixels.iter_mut().zip(a).zip(b).zip(c) {
                *pixel = rgb(y, cb, cr);
            }
            pack(pixels, out);
        }
        Colours::Cmyk => {
            for ((((out, &a), &b), &c), &black) in triples.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *out = [a, b, c].map(|colour| inked(colour, black));
            }
        }
        Colours::Ycck => {
            for ((((out, &y), &cb), &cr), &black) in triples.iter_mut().zip(a).zip(b).zip(c).zip(d)
            {
                // What libjpeg makes CMYK of them is the inverse of their RGB.
                let [red, green, blue, _] = rgb(y, cb, cr).to_le_bytes();
                *out = [red, green, blue].map(|colour| inked(255 - colour, black));
            }
        }
    }
}

/// Pixels of four bytes to three. Four of them at a time become three words.
#[inline(always)]
fn pack(pixels: &[u32], out: &mut [u8]) {
    let (fours, rest) = pixels.as_chunks::<4>();
    let (twelves, out_rest) = out.as_chunks_mut::<12>();
    for (out, &[a, b, c, d]) in twelves.iter_mut().zip(fours) {
        let low = u64::from(a) | u64::from(b) << 24 | u64::from(c) << 48;
        let high = c >> 16 | d << 8;
        out[..8].copy_from_slice(&low.to_le_bytes());
        out[8..].copy_from_slice(&high.to_le_bytes());
    }
    for (out, pixel) in out_rest.as_chunks_mut::<3>().0.iter_mut().zip(rest) {
        out.copy_from_slice(&pixel.to_le_bytes()[..3]);
    }
}
