//! Tables from pixels to the values of the input planes.

use network::metadata::{Colour, Preprocessing};
use network::quant::QuantParams;

use crate::plan::PixelTable;

/// Pixels to quantised values, in f64.
pub(in crate::plan) fn quantised(
    preprocessing: &Preprocessing,
    params: QuantParams,
) -> PixelTable<u8> {
    let Preprocessing { mean, std, .. } = preprocessing;
    table(preprocessing, |plane, value| {
        let unit = value as f64 / 255.0;
        params.quantise_f64((unit - f64::from(mean[plane])) / f64::from(std[plane]))
    })
}

/// Pixels to f32, by the operations of [`Normaliser`](network::preprocess::Normaliser).
pub(in crate::plan) fn float(preprocessing: &Preprocessing) -> PixelTable<f32> {
    let Preprocessing { mean, std, .. } = preprocessing;
    table(preprocessing, |plane, value| {
        (value as f32 / 255.0 - mean[plane]) / std[plane]
    })
}

fn table<T>(preprocessing: &Preprocessing, entry: impl Fn(usize, usize) -> T) -> PixelTable<T> {
    let entry = &entry;
    PixelTable {
        sample: match preprocessing.colour {
            Colour::Rgb => [0, 1, 2],
            Colour::Bgr => [2, 1, 0],
        },
        table: Box::new(std::array::from_fn(|plane| {
            std::array::from_fn(|value| entry(plane, value))
        })),
    }
}
