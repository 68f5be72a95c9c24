//! People in folders of images, and batches made of them.
//!
//! [`dataset`] lists the images of a folder and says who is on them; [`check`] looks at them before
//! a night is spent on them. For training, [`sampler`] says which images make up each batch,
//! [`augment`] changes every image by chance, and [`loader`] does the work in threads of its own.
//! [`mod@recolour`] gives the cameras of a test set colours of their own. Chance is named by seed,
//! epoch and place, so that one seed gives one run, bit for bit, with any number of threads.

pub mod augment;
pub mod check;
pub mod dataset;
pub mod loader;
pub mod picture;
pub mod recolour;
pub mod sampler;

pub use dataset::{Dataset, Image};
