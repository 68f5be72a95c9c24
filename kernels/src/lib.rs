//! The language of re-identification networks, and everything that computes them.
//!
//! A network is a [`graph::Graph`]. [`onnx`] reads and writes it, [`graph::fold`] moves its
//! BatchNorms into the layers before them, [`mod@reference`] computes it slowly and plainly, [`cpu`]
//! fast. [`plan`] makes it a list of steps, of the integers of [`quant`] where it is quantised.
//! [`contract`] is what travels with a model besides the network, [`receipt`] what has to come out of
//! it on every device. [`crop`] turns a frame and a box
//! into the network's input, [`retrieval`] compares what comes out.
//!
//! The crate knows no deep-learning framework: the trainer and the device program both stand on it,
//! and never on each other.

#![deny(clippy::print_stdout, clippy::print_stderr)]

// Networks that tests of the crate and tests beside it have in common say `kernels::`.
#[cfg(test)]
extern crate self as kernels;

pub mod contract;
pub mod cpu;
pub mod crop;
mod error;
pub mod graph;
pub mod model;
pub mod onnx;
pub mod plan;
pub mod quant;
pub mod receipt;
pub mod reference;
pub mod retrieval;
pub mod tensor;
pub mod vectors;

pub use error::{Error, Result, closed_pipe, one_line};
