//! Compares embeddings. In: rows of floats that a network computed ([`Embeddings`]) and, for an evaluation,
//! the person and camera of each image ([`Label`], parsed from file names by [`market`]). Out: rank-1, mAP
//! and mINP ([`metrics`]), error rates of searches ([`open_set`]) and of pairs ([`verification`]) by
//! threshold, re-ranked distances ([`rerank`]), the nearest rows of a gallery ([`scan`]), and a colour
//! histogram as the baseline of a network ([`stripes`]).

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod distance;
mod embeddings;
pub mod market;
pub mod metrics;
pub mod open_set;
pub mod rerank;
pub mod scan;
pub mod stripes;
pub mod verification;

pub use distance::Metric;
pub use embeddings::{Embeddings, Labelled};
pub use market::Label;
