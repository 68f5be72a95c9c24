//! Computes networks.
//!
//! In: a [`network::graph::Graph`]. Out: its results, from [`cpu`] (f32 operators on CPU threads) or from a
//! [`plan`]: a list of steps, of integers where the network is quantised, with a plain executor that
//! faster ones are compared with.

#![deny(clippy::print_stdout, clippy::print_stderr)]

// Networks that tests of the crate and tests beside it have in common say `kernels::`.
#[cfg(test)]
extern crate self as kernels;

pub mod cpu;
pub mod plan;
