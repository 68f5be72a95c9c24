//! The device side of re-identification: frames in, people matched against a gallery out.
//!
//! [`pipeline`] is the loop and the place to begin reading. What it calls, in order: [`media`],
//! [`people`], [`network::preprocess`], [`embed`], [`gallery`], [`event`].

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod config;
pub mod embed;
mod error;
pub mod event;
pub mod gallery;
pub mod people;
pub mod pipeline;
pub mod quality;
pub mod show;
pub mod track;
#[cfg(feature = "tract")]
mod vectors;

pub use error::{Error, Result};
