//! What only moves codes.

use super::{Image, positions};
use crate::plan::{Channels, Crop, Pad};

pub(in crate::plan::reference) fn channels(channels: &Channels, inputs: &[Image<'_>]) -> Vec<u8> {
    let [height, width, _] = inputs[0].size;
    let pixels = positions(inputs[0].batch(), [height, width, 1]);
    let codes = pixels.flat_map(|[n, i, j, _]| {
        channels.runs.iter().flat_map(move |run| {
            let channels = run.start..run.start + run.len;
            channels.map(move |c| inputs[run.input].code(n, i, j, c))
        })
    });
    codes.collect()
}

pub(in crate::plan::reference) fn crop(crop: &Crop, x: &Image<'_>, size: [usize; 3]) -> Vec<u8> {
    let [start, step] = [crop.start, crop.step];
    positions(x.batch(), size)
        .map(|[n, i, j, c]| x.code(n, start[0] + i * step[0], start[1] + j * step[1], c))
        .collect()
}

pub(in crate::plan::reference) fn pad(pad: &Pad, x: &Image<'_>, size: [usize; 3]) -> Vec<u8> {
    let code = |[n, i, j, c]: [usize; 4]| {
        let inside = |axis: usize, position: usize| {
            let source = position.checked_sub(pad.before[axis])?;
            (source < x.size[axis]).then_some(source)
        };
        match (inside(0, i), inside(1, j), inside(2, c)) {
            (Some(i), Some(j), Some(c)) => x.code(n, i, j, c),
            _ => pad.value,
        }
    };
    positions(x.batch(), size).map(code).collect()
}
