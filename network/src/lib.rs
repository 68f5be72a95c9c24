//! A re-identification network and the data stored with it.
//!
//! In: an ONNX file. Out: a [`model::Model`]: a [`graph::Graph`] whose BatchNorms are folded into the layers
//! before them, and its [`metadata`]. [`onnx`] reads and writes graphs, [`mod@reference`] computes them in
//! slow, plain f32, [`preprocess`] turns a frame and a box into the network's input, and [`self_test`]
//! compares the results of an executor with known answers.

#![deny(clippy::print_stdout, clippy::print_stderr)]

// Networks shared by unit tests and integration tests are written with `network::`.
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
