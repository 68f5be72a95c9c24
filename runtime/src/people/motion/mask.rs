//! A mask of moving pixels, cleaned of specks and holes.

use super::mixture::Kind;

/// A binary picture, rows of `width` bytes that are 0 or 1, and a second one to work in.
#[derive(Debug, Default)]
pub(super) struct Mask {
    pub(super) width: usize,
    pub(super) pixels: Vec<u8>,
    other: Vec<u8>,
}

impl Mask {
    /// An empty mask of `width` x `height`, each at least 1.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            pixels: vec![0; width * height],
            other: vec![0; width * height],
        }
    }

    /// Takes the foreground of `kinds`.
    pub(super) fn set(&mut self, kinds: &[Kind]) {
        for (pixel, &kind) in self.pixels.iter_mut().zip(kinds) {
            *pixel = u8::from(kind == Kind::Foreground);
        }
    }

    /// Majority filter of 3 x 3: removes specks and, unlike an erosion, keeps arms and legs.
    pub(super) fn smooth(&mut self) {
        self.columns(|above, here, below| above + here + below);
        self.rows(|left, here, right| left + here + right);
        for pixel in &mut self.pixels {
            *pixel = u8::from(*pixel >= 5);
        }
    }

    /// Fills holes and gaps up to `2 * x` pixels wide or `2 * y` high: a dilation by a rectangle,
    /// then an erosion by the same.
    pub(super) fn close(&mut self, [x, y]: [usize; 2]) {
        self.grow([x, y]);
        self.invert();
        self.grow([x, y]);
        self.invert();
    }

    /// Sets every pixel that is at most `x` columns and `y` rows from one that is set.
    fn grow(&mut self, [x, y]: [usize; 2]) {
        for _ in 0..x {
            self.rows(|left, here, right| left | here | right);
        }
        for _ in 0..y {
            self.columns(|above, here, below| above | here | below);
        }
    }

    fn invert(&mut self) {
        for pixel in &mut self.pixels {
            *pixel ^= 1;
        }
    }

    /// Replaces each pixel by `f` of its left neighbour, itself and its right one; outside is 0.
    fn rows(&mut self, f: impl Fn(u8, u8, u8) -> u8) {
        let width = self.width;
        let rows = self.pixels.chunks_exact(width);
        for (row, out) in rows.zip(self.other.chunks_exact_mut(width)) {
            let at = |x: usize| row.get(x).copied().unwrap_or(0);
            out[0] = f(0, row[0], at(1));
            out[width - 1] = f(at(width.wrapping_sub(2)), row[width - 1], 0);
            let middle = out.iter_mut().skip(1);
            for ((out, here), (left, right)) in middle
                .zip(row.iter().skip(1))
                .zip(row.iter().zip(row.iter().skip(2)))
            {
                *out = f(*left, *here, *right);
            }
        }
        std::mem::swap(&mut self.pixels, &mut self.other);
    }

    /// As [`Mask::rows`], with the neighbours above and below.
    fn columns(&mut self, f: impl Fn(u8, u8, u8) -> u8) {
        let width = self.width;
        let height = self.pixels.len() / width;
        for (y, out) in self.other.chunks_exact_mut(width).enumerate() {
            let here = &self.pixels[y * width..][..width];
            // The rows outside are not there to be read; `first` and `last` cancel what is read
            // instead of them.
            let (first, last) = (u8::from(y > 0), u8::from(y + 1 < height));
            let above = &self.pixels[y.saturating_sub(1) * width..][..width];
            let below = &self.pixels[(y + 1).min(height - 1) * width..][..width];
            for (((out, here), above), below) in out.iter_mut().zip(here).zip(above).zip(below) {
                *out = f(above * first, *here, below * last);
            }
        }
        std::mem::swap(&mut self.pixels, &mut self.other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> Mask {
        let mut mask = Mask::new(rows[0].len(), rows.len());
        let pixels = rows.iter().flat_map(|row| row.bytes());
        mask.pixels = pixels.map(|c| u8::from(c == b'#')).collect();
        mask
    }

    fn text(mask: &Mask) -> Vec<String> {
        let rows = mask.pixels.chunks(mask.width);
        let show = |row: &[u8]| {
            row.iter()
                .map(|&p| if p == 1 { '#' } else { '.' })
                .collect()
        };
        rows.map(show).collect()
    }

    #[test]
    fn specks_go_and_limbs_stay() {
        let mut found = mask(&[
            "#......", "....###", "....###", ".#..#.#", "....###", ".......",
        ]);
        found.smooth();
        assert_eq!(
            text(&found),
            [
                ".......", ".....#.", "....###", "....###", ".....#.", "......."
            ]
        );
    }

    #[test]
    fn gaps_are_filled_and_outlines_stay() {
        type Rows<'a> = &'a [&'a str];
        let cases: [(&str, Rows<'_>, [usize; 2], Rows<'_>); 4] = [
            (
                "a row is missing",
                &["..##..", "......", "..##.."],
                [0, 1],
                &["..##..", "..##..", "..##.."],
            ),
            ("too far apart", &["#....#"], [2, 0], &["######"]),
            ("further apart", &["#.....#"], [2, 0], &["#.....#"]),
            (
                "a corner alone",
                &["#...", "....", "...."],
                [1, 1],
                &["#...", "....", "...."],
            ),
        ];
        for (name, rows, radius, wanted) in cases {
            let mut found = mask(rows);
            found.close(radius);
            assert_eq!(text(&found), wanted, "{name}");
        }
    }

    #[test]
    fn the_smallest_masks_have_no_neighbours() {
        for rows in [&["#"][..], &["##"], &["#", "#"], &["#.#"]] {
            let mut found = mask(rows);
            found.close([3, 3]);
            assert!(found.pixels.contains(&1), "{rows:?}");
            found.smooth();
            assert!(found.pixels.iter().all(|&pixel| pixel == 0), "{rows:?}");
        }
    }
}
