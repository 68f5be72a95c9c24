//! The device side of re-identification: frames in, people matched against a gallery out.

pub mod gallery;
pub mod people;
pub mod source;
