//! The kernel's structures of `linux/videodev2.h` for the crate `v4l`. README.md says how they were made, and why they lie here.

#![allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    reason = "the names are those of the C header"
)]

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "these are the structures of 64-bit Linux; build `reid` without the feature `camera`, or make them anew as README.md says"
);

#[rustfmt::skip]
mod videodev2;
pub use videodev2::*;
