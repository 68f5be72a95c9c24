//! Photos of people in, one network out that tells them apart: the strong baseline of Luo et al.
//! ("A Strong Baseline and Batch Normalization Neck for Deep Person Re-identification", IEEE
//! Transactions on Multimedia, 2019), complete.
//!
//! A network is a [`network::graph::Graph`], built by a function of [`nets`] or read from a
//! published file by [`mod@import`]. [`data`] finds people in folders of images and makes batches of
//! them; `torch`, behind the feature of that name, trains the graph on libtorch; [`evaluate`] says
//! how well it finds people again. All else builds and runs without libtorch.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod accuracy;
pub mod checkpoint;
pub mod data;
mod error;
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
