//! Trains networks for person re-identification and exports them to the device: the strong baseline
//! of Luo et al. ("A Strong Baseline and Batch Normalization Neck for Deep Person Re-identification",
//! IEEE Transactions on Multimedia, 2019).
//!
//! In: folders of labelled images ([`data`]), published weights ([`mod@import`]), a [`recipe`]. Out: a
//! run folder, and the ONNX file for the device ([`export`]). A network is a
//! [`network::graph::Graph`] built in [`nets`]; `torch` (feature `torch`) trains it on libtorch,
//! [`evaluate`] scores it, [`accuracy`] compares int8 with float. All else builds without libtorch.

#![deny(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
mod error;

pub mod accuracy;
pub mod checkpoint;
pub mod data;
pub mod evaluate;
pub mod export;
pub mod import;
pub mod load;
pub mod nets;
pub mod picture;
pub mod qat;
pub mod recipe;
pub mod run_folder;
pub mod schedule;
pub mod stripes;
#[cfg(feature = "torch")]
pub mod torch;
pub mod weights;

pub use error::{Error, Result};
