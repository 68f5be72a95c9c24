//! Windows of pools, and the scales of their means.

use super::Activation;
use crate::plan::Window;
use network::graph::Pool;
use network::quant::{Clamp, EXACT, QuantParams};
use network::reference;

/// Windows along one dimension, and the number of elements that those of each class count.
pub(in crate::plan) struct Windows {
    pub(in crate::plan) windows: Vec<Window>,
    counts: Vec<usize>,
}

impl Windows {
    /// One window over all of `extent`.
    pub(in crate::plan) fn whole(extent: usize) -> Self {
        Self {
            windows: vec![Window {
                start: 0,
                end: extent,
                class: 0,
            }],
            counts: vec![extent],
        }
    }

    /// The `count` windows of a pool over `extent` elements of the dimension `axis` (0 or 1). The part of a
    /// last window beyond the padding (`ceil_mode`) never counts.
    pub(in crate::plan) fn of(
        pool: &Pool,
        axis: usize,
        extent: usize,
        count: usize,
        pads_count: bool,
    ) -> Self {
        let all = reference::Windows::new(pool, axis, extent);
        let mut counts = Vec::new();
        let windows = (0..count).map(|i| {
            let (inside, padded) = all.window(i);
            let counted = if pads_count { padded } else { inside.len() };
            let class = counts
                .iter()
                .position(|&c| c == counted)
                .unwrap_or_else(|| {
                    counts.push(counted);
                    counts.len() - 1
                });
            Window {
                start: inside.start,
                end: inside.end,
                class,
            }
        });
        Self {
            windows: windows.collect(),
            counts,
        }
    }

    /// The windows without classes, for maxima.
    pub(in crate::plan) fn unclassed(self) -> Vec<Window> {
        let plain = |window| Window { class: 0, ..window };
        self.windows.into_iter().map(plain).collect()
    }

    fn longest(&self) -> usize {
        self.windows
            .iter()
            .map(|window| window.end - window.start)
            .max()
            .unwrap_or(0)
    }
}

/// The scale for each class of rows and of columns, and the quantised values allowed.
pub(in crate::plan) fn average(
    rows: &Windows,
    columns: &Windows,
    x: QuantParams,
    activation: &Activation,
    out: QuantParams,
) -> Option<(Vec<Vec<f32>>, Clamp)> {
    let area = rows.longest().checked_mul(columns.longest())?;
    if activation.slope.is_some() || !sums_exactly(area) {
        return None;
    }
    let ratio = f64::from(x.scale) / f64::from(out.scale);
    let scale = |row: &usize, column: &usize| {
        let scale = (ratio / (*row as f64 * *column as f64)) as f32;
        scale.is_normal().then_some(scale)
    };
    let scales = (rows.counts.iter())
        .map(|row| {
            columns
                .counts
                .iter()
                .map(|column| scale(row, column))
                .collect()
        })
        .collect::<Option<_>>()?;
    Some((scales, activation.clamp(out)))
}

/// Whether any sum of so many quantised values is exact in f32.
pub(in crate::plan) fn sums_exactly(area: usize) -> bool {
    area < EXACT as usize / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_at_the_border_are_cut_and_classed() {
        let pool = Pool {
            kernel: [3, 3],
            strides: [2, 2],
            pads: [1; 4],
            ceil_mode: true,
        };
        let of = |count_pads| {
            let windows = Windows::of(&pool, 0, 6, 4, count_pads);
            let ranges: Vec<_> = windows
                .windows
                .iter()
                .map(|w| (w.start, w.end, w.class))
                .collect();
            (ranges, windows.counts)
        };
        // The last begins at the padding behind and has one of it: PyTorch counts what is there.
        assert_eq!(
            of(true),
            (vec![(0, 2, 0), (1, 4, 0), (3, 6, 0), (5, 6, 1)], vec![3, 2])
        );
        assert_eq!(
            of(false),
            (
                vec![(0, 2, 0), (1, 4, 1), (3, 6, 1), (5, 6, 2)],
                vec![2, 3, 1]
            )
        );
    }
}
