//! The device side of re-identification: frames in, people matched against a gallery out.
//!
//! [`pipeline`] is the loop and the place to begin reading. What it calls, in order: [`media`],
//! [`people`], [`track`], [`quality`], [`network::preprocess`], [`embed`], [`gallery`], [`visits`],
//! [`sink`].

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
pub mod sink;
pub mod summary;
pub mod track;
#[cfg(feature = "tract")]
mod vectors;
pub mod visits;

pub use error::{Error, Result};
