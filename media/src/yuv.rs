//! Converts YUV samples to RGB in integers, by the matrix of ITU-R BT.601: UVC cameras and y4m.
//!
//! Subsampled chroma is repeated, not interpolated. Rows may be padded to a stride. Blocks of sixteen
//! pixels are computed from arrays of fixed size, which the compiler vectorises.

/// Range of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Range {
    /// Luma 16 to 235, chroma 16 to 240: the default of video.
    Limited,
    /// All of 0 to 255, as in a JPEG.
    Full,
}

/// How many luma samples share a chroma sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subsampling {
    /// One: 4:4:4.
    None,
    /// Two side by side: 4:2:2.
    Columns,
    /// Two by two: 4:2:0.
    Both,
}

/// Samples in rows from the top, each row padded to `stride` bytes. The last one need not be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane<'a> {
    /// The samples.
    pub(crate) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(crate) stride: usize,
}

impl<'a> Plane<'a> {
    /// A row of `len` bytes.
    fn row(self, row: usize, len: usize) -> &'a [u8] {
        &self.bytes[row * self.stride..][..len]
    }

    /// Whether there are `rows` of `len` bytes.
    fn check(self, name: &str, rows: usize, len: usize) -> Result<(), String> {
        if self.stride < len {
            return Err(format!(
                "{name} rows of {} bytes, wanted at least {len}",
                self.stride
            ));
        }
        let wanted = rows
            .checked_sub(1)
            .and_then(|above| above.checked_mul(self.stride)?.checked_add(len));
        match wanted {
            Some(wanted) if wanted <= self.bytes.len() => Ok(()),
            _ => Err(format!(
                "{} bytes of {name}, wanted {rows} rows of {len}, {} apart",
                self.bytes.len(),
                self.stride
            )),
        }
    }
}

/// Packed 4:2:2, luma first: Y0 U Y1 V. `rgb` is `[height, width, 3]`.
///
/// # Errors
/// The plane is too short; nothing was written.
///
/// # Panics
/// If `rgb` is not `3 * width * height` long. The same holds for the functions below.
pub(crate) fn yuyv(
    pixels: Plane<'_>,
    (width, height): (usize, usize),
    range: Range,
    rgb: &mut [u8],
) -> Result<(), String> {
    let len = width.div_ceil(2) * 4;
    pixels.check("YUYV", height, len)?;
    convert((width, height), range, rgb, |row, block| {
        let pairs: [u8; 2 * LANES] = lanes(pixels.row(row, len), block);
        (
            std::array::from_fn(|i| pairs[2 * i]),
            std::array::from_fn(|i| pairs[i / 2 * 4 + 1]),
            std::array::from_fn(|i| pairs[i / 2 * 4 + 3]),
        )
    });
    Ok(())
}

/// 4:2:0 in two planes, the second with alternating U and V.
///
/// # Errors
/// A plane is too short; nothing was written.
pub(crate) fn nv12(
    luma: Plane<'_>,
    chroma: Plane<'_>,
    (width, height): (usize, usize),
    range: Range,
    rgb: &mut [u8],
) -> Result<(), String> {
    let len = width.div_ceil(2) * 2;
    luma.check("NV12 luma", height, width)?;
    chroma.check("NV12 chroma", height.div_ceil(2), len)?;
    convert((width, height), range, rgb, |row, block| {
        let pairs: [u8; LANES] = lanes(chroma.row(row / 2, len), block);
        (
            lanes(luma.row(row, width), block),
            std::array::from_fn(|i| pairs[i / 2 * 2]),
            std::array::from_fn(|i| pairs[i / 2 * 2 + 1]),
        )
    });
    Ok(())
}

/// Three planes: luma, U, V.
///
/// # Errors
/// A plane is too short; nothing was written.
pub(crate) fn planar(
    [luma, u, v]: [Plane<'_>; 3],
    subsampling: Subsampling,
    (width, height): (usize, usize),
    range: Range,
    rgb: &mut [u8],
) -> Result<(), String> {
    let (columns, rows) = chroma_size(subsampling, (width, height));
    luma.check("luma", height, width)?;
    u.check("U", rows, columns)?;
    v.check("V", rows, columns)?;
    match subsampling {
        Subsampling::None => convert((width, height), range, rgb, |row, block| {
            let chroma = [u, v].map(|plane| lanes(plane.row(row, columns), block));
            (lanes(luma.row(row, width), block), chroma[0], chroma[1])
        }),
        Subsampling::Columns | Subsampling::Both => {
            let shared_rows = match subsampling {
                Subsampling::Both => 2,
                _ => 1,
            };
            convert((width, height), range, rgb, |row, block| {
                let half = |plane: Plane<'_>| -> [u8; LANES] {
                    let few: [u8; LANES / 2] = lanes(plane.row(row / shared_rows, columns), block);
                    std::array::from_fn(|i| few[i / 2])
                };
                (lanes(luma.row(row, width), block), half(u), half(v))
            });
        }
    }
    Ok(())
}

/// Luma alone: grey pixels.
///
/// # Errors
/// The plane is too short; nothing was written.
pub(crate) fn grey(
    luma: Plane<'_>,
    (width, height): (usize, usize),
    range: Range,
    rgb: &mut [u8],
) -> Result<(), String> {
    luma.check("luma", height, width)?;
    convert((width, height), range, rgb, |row, block| {
        (
            lanes(luma.row(row, width), block),
            [128; LANES],
            [128; LANES],
        )
    });
    Ok(())
}

/// Columns and rows of a chroma plane; odd sizes are rounded up.
pub(crate) fn chroma_size(
    subsampling: Subsampling,
    (width, height): (usize, usize),
) -> (usize, usize) {
    match subsampling {
        Subsampling::None => (width, height),
        Subsampling::Columns => (width.div_ceil(2), height),
        Subsampling::Both => (width.div_ceil(2), height.div_ceil(2)),
    }
}

/// Pixels that are computed together.
const LANES: usize = 16;

/// The `N` bytes of the block at position `block` of a row, padded with zeros at its end.
fn lanes<const N: usize>(row: &[u8], block: usize) -> [u8; N] {
    let rest = row.get(block * N..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; N];
        padded[..rest.len()].copy_from_slice(rest);
        padded
    })
}

/// Fills `rgb` from the blocks of luma, U and V that `block` returns for a row and a position in it.
fn convert(
    (width, height): (usize, usize),
    range: Range,
    rgb: &mut [u8],
    block: impl Fn(usize, usize) -> ([u8; LANES], [u8; LANES], [u8; LANES]),
) {
    assert_eq!(
        rgb.len(),
        width * height * 3,
        "a frame of {width} x {height}"
    );
    let matrix = Matrix::of(range);
    for (y, row) in rgb.chunks_exact_mut(3 * width.max(1)).enumerate() {
        for (x, pixels) in row.chunks_mut(3 * LANES).enumerate() {
            let (luma, u, v) = block(y, x);
            let converted = matrix.convert(&luma, &u, &v);
            match pixels.as_chunks_mut() {
                ([whole], []) => *whole = converted,
                _ => pixels.copy_from_slice(&converted[..pixels.len()]),
            }
        }
    }
}

/// The factors of BT.601 in 1 / [`Matrix::ONE`], and the luma of black.
///
/// With Kr = 0.299, Kb = 0.114 and Kg = 1 - Kr - Kb: R = y + 2 (1 - Kr) v, B = y + 2 (1 - Kb) u and
/// G = (y - Kr R - Kb B) / Kg, for y of 0 to 1 and u, v of -0.5 to 0.5.
struct Matrix {
    black: i32,
    luma: i32,
    red_v: i32,
    green_u: i32,
    green_v: i32,
    blue_u: i32,
}

impl Matrix {
    /// A factor of 1. With 13 bits behind the point, rounding a factor moves no sum by more than
    /// 0.04, and the sums stay within 23 bits.
    const ONE: f64 = (1 << Self::SHIFT) as f64;
    const SHIFT: u32 = 13;

    const LIMITED: Self = Self::new(16, 255.0 / 219.0, 255.0 / 224.0);
    const FULL: Self = Self::new(0, 1.0, 1.0);

    const fn new(black: i32, luma: f64, chroma: f64) -> Self {
        const KR: f64 = 0.299;
        const KB: f64 = 0.114;
        const KG: f64 = 1.0 - KR - KB;
        let red_v = 2.0 * (1.0 - KR) * chroma;
        let blue_u = 2.0 * (1.0 - KB) * chroma;
        Self {
            black,
            luma: fixed(luma),
            red_v: fixed(red_v),
            green_u: fixed(blue_u * KB / KG),
            green_v: fixed(red_v * KR / KG),
            blue_u: fixed(blue_u),
        }
    }

    fn of(range: Range) -> &'static Self {
        match range {
            Range::Limited => &Self::LIMITED,
            Range::Full => &Self::FULL,
        }
    }

    /// Sixteen pixels of red, green, blue.
    fn convert(&self, luma: &[u8; LANES], u: &[u8; LANES], v: &[u8; LANES]) -> [u8; 3 * LANES] {
        let mut planes = [[0; LANES]; 3];
        for i in 0..LANES {
            let luma = (i32::from(luma[i]) - self.black) * self.luma + (1 << (Self::SHIFT - 1));
            let (u, v) = (i32::from(u[i]) - 128, i32::from(v[i]) - 128);
            let byte = |sum: i32| (sum >> Self::SHIFT).clamp(0, 255) as u8;
            planes[0][i] = byte(luma + self.red_v * v);
            planes[1][i] = byte(luma - self.green_u * u - self.green_v * v);
            planes[2][i] = byte(luma + self.blue_u * u);
        }
        let [red, green, blue] = planes;
        let mut pixels = [0; 3 * LANES];
        for i in 0..LANES {
            pixels[3 * i] = red[i];
            pixels[3 * i + 1] = green[i];
            pixels[3 * i + 2] = blue[i];
        }
        pixels
    }
}

/// `factor`, which is positive, in 1 / [`Matrix::ONE`], rounded.
const fn fixed(factor: f64) -> i32 {
    (factor * Matrix::ONE + 0.5) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BT.601 as the standard writes it, in floating point.
    fn float(range: Range, luma: u8, u: u8, v: u8) -> [u8; 3] {
        let (luma, chroma) = match range {
            Range::Limited => ((f64::from(luma) - 16.0) / 219.0, 224.0),
            Range::Full => (f64::from(luma) / 255.0, 255.0),
        };
        let (u, v) = (
            (f64::from(u) - 128.0) / chroma,
            (f64::from(v) - 128.0) / chroma,
        );
        let red = luma + 1.402 * v;
        let blue = luma + 1.772 * u;
        let green = (luma - 0.299 * red - 0.114 * blue) / 0.587;
        [red, green, blue].map(|c| (c * 255.0).round().clamp(0.0, 255.0) as u8)
    }

    #[test]
    fn all_numbers_are_within_one_of_the_float_formula() {
        for range in [Range::Limited, Range::Full] {
            let mut off = 0u32;
            for (luma, u) in
                (0..=255u8).flat_map(|luma| (0..=255u8).step_by(5).map(move |u| (luma, u)))
            {
                for v in (0..=255u8).step_by(LANES) {
                    let vs = std::array::from_fn(|i| v + i as u8);
                    let pixels = Matrix::of(range).convert(&[luma; LANES], &[u; LANES], &vs);
                    for (pixel, v) in pixels.as_chunks::<3>().0.iter().zip(vs) {
                        let wanted = float(range, luma, u, v);
                        let error = pixel.iter().zip(wanted).map(|(a, b)| a.abs_diff(b)).max();
                        assert!(
                            error <= Some(1),
                            "{range:?} {luma} {u} {v}: {pixel:?} {wanted:?}"
                        );
                        off += u32::from(error == Some(1));
                    }
                }
            }
            // Of 3.4 million: what rounds the other way lies close to a half.
            assert!(off < 1 << 17, "{range:?}: {off} pixels are off by one");
        }
    }

    #[test]
    fn known_colours() {
        let cases = [
            ("black", Range::Limited, [16, 128, 128], [0, 0, 0]),
            ("white", Range::Limited, [235, 128, 128], [255, 255, 255]),
            ("red", Range::Limited, [81, 90, 240], [254, 0, 0]),
            ("below black", Range::Limited, [0, 128, 128], [0, 0, 0]),
            ("black", Range::Full, [0, 128, 128], [0, 0, 0]),
            ("white", Range::Full, [255, 128, 128], [255, 255, 255]),
            ("blue", Range::Full, [29, 255, 107], [0, 0, 254]),
        ];
        for (name, range, samples, wanted) in cases {
            let mut rgb = [7; 3];
            let planes = samples.each_ref().map(|sample| Plane {
                bytes: std::slice::from_ref(sample),
                stride: 1,
            });
            planar(planes, Subsampling::None, (1, 1), range, &mut rgb).unwrap();
            assert_eq!(rgb, wanted, "{name}, {range:?}");
        }
    }

    /// Samples that differ in every place.
    fn samples(len: usize, salt: usize) -> Vec<u8> {
        (0..len).map(|i| ((i + salt) * 97 % 251) as u8).collect()
    }

    fn view((bytes, stride): &(Vec<u8>, usize)) -> Plane<'_> {
        Plane {
            bytes,
            stride: *stride,
        }
    }

    /// Every layout against the pixel-by-pixel formula, with sizes that leave a rest and rows that
    /// are padded.
    #[test]
    fn layouts_sizes_and_strides() {
        for (width, height) in [(1usize, 1usize), (2, 2), (7, 3), (16, 2), (17, 5), (50, 4)] {
            for padding in [0, 13] {
                let half = (width.div_ceil(2), height.div_ceil(2));
                let size = (width, height);
                let plane = |columns: usize, rows: usize, salt| {
                    let stride = columns + padding;
                    // The last row has no padding.
                    (samples(stride * (rows - 1) + columns, salt), stride)
                };
                let at = |plane: &(Vec<u8>, usize), x: usize, y: usize| plane.0[y * plane.1 + x];
                let luma = plane(width, height, 0);
                let mut rgb = vec![0; 3 * width * height];
                let check = |name: &str,
                             result: Result<(), String>,
                             rgb: &[u8],
                             sample: &dyn Fn(usize, usize) -> [u8; 3]| {
                    result.unwrap();
                    for (i, pixel) in rgb.as_chunks::<3>().0.iter().enumerate() {
                        let [luma, u, v] = sample(i % width, i / width);
                        let wanted = Matrix::FULL.convert(&[luma; LANES], &[u; LANES], &[v; LANES]);
                        assert_eq!(pixel[..], wanted[..3], "{name}, {size:?}, {padding}, {i}");
                    }
                };

                let result = grey(view(&luma), size, Range::Full, &mut rgb);
                check("grey", result, &rgb, &|x, y| [at(&luma, x, y), 128, 128]);

                let pairs = plane(half.0 * 4, height, 1);
                let result = yuyv(view(&pairs), size, Range::Full, &mut rgb);
                check("yuyv", result, &rgb, &|x, y| {
                    let pair = x / 2 * 4;
                    [x % 2 * 2, 1, 3].map(|i| at(&pairs, pair + i, y))
                });

                let chroma = plane(half.0 * 2, half.1, 2);
                let result = nv12(view(&luma), view(&chroma), size, Range::Full, &mut rgb);
                check("nv12", result, &rgb, &|x, y| {
                    let uv = [0, 1].map(|i| at(&chroma, x / 2 * 2 + i, y / 2));
                    [at(&luma, x, y), uv[0], uv[1]]
                });

                for (subsampling, columns, rows) in [
                    (Subsampling::None, 1, 1),
                    (Subsampling::Columns, 2, 1),
                    (Subsampling::Both, 2, 2),
                ] {
                    let (w, h) = chroma_size(subsampling, size);
                    let (u, v) = (plane(w, h, 3), plane(w, h, 4));
                    let planes = [view(&luma), view(&u), view(&v)];
                    let result = planar(planes, subsampling, size, Range::Full, &mut rgb);
                    check("planar", result, &rgb, &|x, y| {
                        let [u, v] = [&u, &v].map(|plane| at(plane, x / columns, y / rows));
                        [at(&luma, x, y), u, v]
                    });
                }
            }
        }
    }

    #[test]
    fn planes_that_are_too_short_are_refused() {
        let bytes = [0; 100];
        let plane = |len: usize, stride| Plane {
            bytes: &bytes[..len],
            stride,
        };
        let mut rgb = [0; 3 * 48];
        let size = (8, 6);
        let cases = [
            (
                grey(plane(47, 8), size, Range::Full, &mut rgb),
                "47 bytes of luma, wanted 6 rows of 8, 8 apart",
            ),
            (
                grey(plane(48, 7), size, Range::Full, &mut rgb),
                "luma rows of 7 bytes, wanted at least 8",
            ),
            (
                grey(plane(48, usize::MAX), size, Range::Full, &mut rgb),
                "48 bytes of luma, wanted 6 rows of 8, 18446744073709551615 apart",
            ),
            (
                yuyv(plane(95, 16), size, Range::Full, &mut rgb),
                "95 bytes of YUYV, wanted 6 rows of 16, 16 apart",
            ),
            (
                nv12(plane(48, 8), plane(23, 8), size, Range::Full, &mut rgb),
                "23 bytes of NV12 chroma, wanted 3 rows of 8, 8 apart",
            ),
        ];
        for (result, wanted) in cases {
            assert_eq!(result.unwrap_err(), wanted);
        }
    }
}
