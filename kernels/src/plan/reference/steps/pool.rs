//! Largest codes and means.

use super::{Image, positions};
use crate::plan::{Average, MaxPool, Mean, Window};
use network::quant::requantise;

pub(in crate::plan::reference) fn max(pool: &MaxPool, x: &Image<'_>) -> Vec<u8> {
    let size = [pool.rows.len(), pool.columns.len(), x.size[2]];
    let largest = |[n, i, j, c]: [usize; 4]| {
        let pixels = inside(pool.rows[i], pool.columns[j]);
        let codes = pixels.map(|(row, column)| x.code(n, row, column, c));
        codes.max().unwrap_or(0)
    };
    positions(x.batch(), size).map(largest).collect()
}

pub(in crate::plan::reference) fn average(average: &Average, x: &Image<'_>) -> Vec<u8> {
    let size = [average.rows.len(), average.columns.len(), x.size[2]];
    let mean = |[n, i, j, c]: [usize; 4]| {
        let (rows, columns) = (average.rows[i], average.columns[j]);
        let steps = inside(rows, columns).map(|(row, column)| x.steps(n, row, column, c));
        let scale = average.scale[rows.class][columns.class];
        requantise(super::word(steps.sum()), scale, &average.clamp)
    };
    positions(x.batch(), size).map(mean).collect()
}

pub(in crate::plan::reference) fn mean(mean: &Mean, x: &Image<'_>) -> Vec<f32> {
    let [height, width, channels] = x.size;
    let mean_of = |[n, _, _, c]: [usize; 4]| {
        let pixels = positions(1, [height, width, 1]);
        let sum: i64 = pixels.map(|[_, i, j, _]| x.steps(n, i, j, c)).sum();
        super::word(sum) as f32 * mean.scale
    };
    positions(x.batch(), [1, 1, channels])
        .map(mean_of)
        .collect()
}

/// The rows and columns of a window.
fn inside(rows: Window, columns: Window) -> impl Iterator<Item = (usize, usize)> {
    let columns = columns.start..columns.end;
    (rows.start..rows.end).flat_map(move |row| columns.clone().map(move |column| (row, column)))
}
