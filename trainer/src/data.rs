//! People in folders of images, and batches made of them.
//!
//! [`dataset`] lists the images of a folder and says who is on them; [`picture`] decodes them and
//! [`augment`] changes them by chance.

pub mod augment;
pub mod dataset;
pub mod picture;

pub use dataset::{Dataset, Image};
