//! A re-identification network and what travels with it.
//!
//! In: an ONNX file. Out: a [`model::Model`], that is a [`graph::Graph`] whose BatchNorms are folded
//! into the layers before them and the model's [`metadata`]. [`onnx`] reads and writes graphs,
//! [`mod@reference`] computes them slowly and plainly, [`preprocess`] turns a frame and a box into the
//! network's input. The crate knows no deep-learning framework and no fast executor.

#![deny(clippy::print_stdout, clippy::print_stderr)]

// Networks that tests of the crate and tests beside it have in common say `network::`.
#[cfg(test)]
extern crate self as network;

mod error;
pub mod graph;
pub mod metadata;
pub mod model;
pub mod onnx;
pub mod preprocess;
pub mod quant;
pub mod reference;
pub mod self_test;
pub mod tensor;

pub use error::{Error, Result};
