//! The device side of re-identification, and the program `reid`.
//!
//! In: frames of [`media`] sources, a model, a gallery. Out: events and observations to a [`sink`], and a
//! changed gallery. [`pipeline`] is the loop and the place to begin reading; it calls, in order, [`people`],
//! [`track`], [`quality`], [`network::preprocess`], [`embed`], [`gallery`], [`visits`] and [`sink`].
//! `examples/` has short programs.

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
