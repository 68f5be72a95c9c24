//! What a pixel becomes.

use network::metadata::{Colour, Preprocessing};
use network::quant::QuantParams;

/// Which sample of an RGB pixel each plane of the network takes.
pub(in crate::plan) fn samples(preprocessing: &Preprocessing) -> [usize; 3] {
    match preprocessing.colour {
        Colour::Rgb => [0, 1, 2],
        Colour::Bgr => [2, 1, 0],
    }
}

/// The code of each value of each plane.
pub(in crate::plan) fn codes(
    preprocessing: &Preprocessing,
    params: QuantParams,
) -> Box<[[u8; 256]; 3]> {
    let Preprocessing { mean, std, .. } = preprocessing;
    Box::new(std::array::from_fn(|plane| {
        std::array::from_fn(|value| {
            let unit = value as f64 / 255.0;
            params.code((unit - f64::from(mean[plane])) / f64::from(std[plane]))
        })
    }))
}

/// The number of each value of each plane, by the f32 operations of
/// [`Normaliser`](network::preprocess::Normaliser).
pub(in crate::plan) fn numbers(preprocessing: &Preprocessing) -> Box<[[f32; 256]; 3]> {
    let Preprocessing { mean, std, .. } = preprocessing;
    Box::new(std::array::from_fn(|plane| {
        std::array::from_fn(|value| (value as f32 / 255.0 - mean[plane]) / std[plane])
    }))
}
