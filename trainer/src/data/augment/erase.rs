//! Random erasing (Zhong et al., "Random Erasing Data Augmentation", AAAI 2020), as in
//! `data/transforms/transforms.py` of <https://github.com/michuanhaohao/reid-strong-baseline>.

use serde::{Deserialize, Serialize};

use super::check_range;
use crate::Result;
use synth::random::Draw;

/// Random erasing of a rectangle. The default is that of the official code.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Erasing {
    /// Probability that a rectangle is drawn, `0..=1`.
    pub probability: f64,
    /// Share of the image that it covers, from and to, `0..=1`.
    pub area: [f64; 2],
    /// Height over width is uniform from this to its reciprocal; above 0, at most 1.
    pub aspect: f64,
    /// Attempts to draw a rectangle within the image; after so many nothing is erased.
    pub max_attempts: u32,
    /// The fill.
    pub fill: Fill,
}

/// Fill of the erased rectangle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// The mean pixel value, written into the normalised planes: a brighter colour than the mean, as in
    /// the official code.
    Official,
    /// 0 in the normalised planes: the mean colour.
    Mean,
}

impl Default for Erasing {
    fn default() -> Self {
        Self {
            probability: 0.5,
            area: [0.02, 0.4],
            aspect: 0.3,
            max_attempts: 100,
            fill: Fill::Official,
        }
    }
}

impl Erasing {
    pub(super) fn check(&self) -> Result<()> {
        const MAX_ATTEMPTS: u32 = 10_000;
        check_range("erasing.probability", self.probability, 0.0, 1.0)?;
        let [least, most] = self.area;
        if !(0.0 <= least && least <= most && most <= 1.0) {
            bail!(
                "erasing.area is {least} to {most}, wanted two shares of the image in ascending order"
            );
        }
        check_range("erasing.aspect", self.aspect, 0.01, 1.0)?;
        ensure!(
            (1..=MAX_ATTEMPTS).contains(&self.max_attempts),
            "erasing.max_attempts is {}, wanted 1 to {MAX_ATTEMPTS}",
            self.max_attempts
        );
        Ok(())
    }

    /// The rectangle `[top, left, rows, columns]` to erase in an image of `[height, width]`, if one
    /// is to be.
    pub(super) fn rectangle(
        &self,
        [height, width]: [usize; 2],
        draw: &mut Draw,
    ) -> Option<[usize; 4]> {
        if !draw.chance(self.probability) {
            return None;
        }
        let whole = (height * width) as f64;
        for _ in 0..self.max_attempts {
            let area = draw.between(self.area[0], self.area[1]) * whole;
            let aspect = draw.between(self.aspect, 1.0 / self.aspect);
            // Python's `round` takes halves to the even neighbour.
            let rows = (area * aspect).sqrt().round_ties_even() as usize;
            let columns = (area / aspect).sqrt().round_ties_even() as usize;
            if columns < width && rows < height {
                // `randint` includes its end.
                let top = draw.below(height - rows + 1);
                let left = draw.below(width - columns + 1);
                return Some([top, left, rows, columns]);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_as_often_and_as_large_as_they_should() {
        let erasing = Erasing::default();
        let [height, width] = [256, 128];
        let draws = 20_000;
        let (mut count, mut areas, mut edges) = (0, 0.0, [0; 4]);
        for index in 0..draws {
            let mut draw = Draw::new(1, "erase", &[index]);
            let Some([top, left, rows, columns]) = erasing.rectangle([height, width], &mut draw)
            else {
                continue;
            };
            count += 1;
            assert!(rows < height && columns < width);
            assert!(top + rows <= height && left + columns <= width);
            let area = (rows * columns) as f64 / (height * width) as f64;
            areas += area;
            // Rounding a side moves it by half a pixel at most; the least has sides of 14 and 47.
            assert!((0.019..0.403).contains(&area), "{rows} x {columns}");
            let (h, w) = (rows as f64, columns as f64);
            let widest = (h + 0.5) / (w - 0.5);
            let narrowest = (h - 0.5) / (w + 0.5);
            assert!(
                widest >= 0.3 && narrowest <= 1.0 / 0.3,
                "{rows} x {columns}"
            );
            edges[0] += usize::from(top == 0);
            edges[1] += usize::from(left == 0);
            edges[2] += usize::from(top + rows == height);
            edges[3] += usize::from(left + columns == width);
        }
        // Five deviations of a binomial of 20,000.
        assert!((9646..=10_354).contains(&count), "{count}");
        // Were no draw rejected, the mean would be 0.21. Large flat ones do not fit into 128 columns.
        let mean = areas / f64::from(count);
        assert!((0.19..0.212).contains(&mean), "{mean}");
        assert!(edges.iter().all(|&n| n > 20), "{edges:?}");
    }

    #[test]
    fn what_fits_never_is_not_erased() {
        let erasing = Erasing {
            probability: 1.0,
            area: [1.0, 1.0],
            ..Erasing::default()
        };
        let draw = |max_attempts| {
            let mut draw = Draw::new(1, "erase", &[0]);
            Erasing {
                max_attempts,
                ..erasing
            }
            .rectangle([4, 4], &mut draw)
        };
        assert_eq!((draw(1), draw(100)), (None, None));
        let never = Erasing {
            probability: 0.0,
            ..erasing
        };
        assert_eq!(never.rectangle([4, 4], &mut Draw::new(1, "", &[])), None);
    }
}
