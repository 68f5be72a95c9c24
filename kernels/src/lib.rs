//! Executors of networks.
//!
//! In: a [`network::graph::Graph`] and images. Out: its results. [`plan`] turns a graph into a list of steps,
//! integer ones where the network is quantised, and has a plain reference executor; [`cpu`] runs plans and f32
//! graphs fast, on all cores.

#![deny(clippy::print_stdout, clippy::print_stderr)]

// Networks shared by unit tests and integration tests are written with `kernels::`.
#[cfg(test)]
extern crate self as kernels;

pub mod cpu;
pub mod plan;
