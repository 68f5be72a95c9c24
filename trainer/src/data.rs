//! Data sets of labelled images, and the batches that training reads.
//!
//! [`dataset`] reads a folder into labelled images; [`check`] verifies it. [`sampler`] chooses the
//! images of each batch, [`augment`] changes them at random, [`loader`] prepares batches in threads.
//! Random numbers depend on seed, epoch and position only, so a run is the same with any number of
//! threads. [`mod@recolour`] changes the colours of each camera of a data set.

pub mod augment;
pub mod check;
pub mod dataset;
pub mod loader;
pub mod picture;
pub mod recolour;
pub mod sampler;

pub use dataset::{Dataset, Image};
