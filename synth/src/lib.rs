//! Renders synthetic persons in front of cameras, in software, from a seed. In: [`RenderOptions`] or
//! [`ClipOptions`]. Out: a data set in the layout of Market-1501 ([`SyntheticDataset`]), or a clip with boxes
//! and ground truth ([`Clip`]); the same bytes with any number of threads.
//!
//! Scene `street` is outdoors in winter, scene `mall` indoors in summer. Cameras differ in colours, and a
//! share of the persons wears the clothes of another. The training and test persons share no colour of cloth.
//!
//! ```
//! use synth::{RenderOptions, SyntheticDataset};
//!
//! let options = RenderOptions {
//!     identities: 4,
//!     cameras: 2,
//!     per_camera: 2,
//!     size: [32, 32],
//!     ..RenderOptions::default()
//! };
//! let dataset = SyntheticDataset::new(&options)?;
//! # let out = std::env::temp_dir().join(format!("synth-doc-{}", std::process::id()));
//! let written = dataset.write(&out, 1, || ())?;
//! assert_eq!(written.train + written.query + written.gallery, dataset.pictures());
//! # std::fs::remove_dir_all(&out).ok();
//! # Ok::<(), synth::Error>(())
//! ```

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod body;
mod camera;
mod clip;
mod cloth;
mod error;
mod palette;
mod person;
mod picture;
mod plan;
pub mod random;
mod raster;
mod scene;
mod site;
mod space;
pub mod workers;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use retrieval::market;
use serde::Serialize;

pub use clip::{Clip, ClipOptions, ClipSummary};
pub use person::Domain;

pub use error::{Error, Result};
use palette::Split;
use person::Person;
use site::CameraSite;

/// A data set to render.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderOptions {
    /// Persons, 2 to 9,000. Half of them (rounded down) are to train with, the others to test with,
    /// unless `train_only`.
    pub identities: usize,
    /// Cameras, 2 to 64.
    pub cameras: usize,
    /// Pictures of a person by a camera that sees them, 2 to 64: one query, the others in the gallery.
    pub per_camera: usize,
    /// Height and width of a picture, pixels: 32 to 1024 each.
    pub size: [usize; 2],
    /// Seed of all random draws.
    pub seed: u64,
    /// The scene.
    pub domain: Domain,
    /// Share of the persons in the clothes of another, `0.0..=1.0`.
    pub lookalikes: f64,
    /// Whether all persons are to train with: for joining several data sets.
    pub train_only: bool,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            identities: 300,
            cameras: 6,
            per_camera: 4,
            size: [128, 64],
            seed: 0,
            domain: Domain::Street,
            lookalikes: 0.4,
            train_only: false,
        }
    }
}

impl RenderOptions {
    /// How many of the persons are to train with.
    fn train_identities(&self) -> usize {
        match self.train_only {
            true => self.identities,
            false => self.identities / 2,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RenderSummary {
    /// Persons to train with.
    pub train_identities: usize,
    /// Persons to test with.
    pub test_identities: usize,
    /// Pictures to train with.
    pub train: usize,
    /// Pictures of queries.
    pub query: usize,
    /// Pictures of the gallery, distractors and junk included.
    pub gallery: usize,
    /// Of these, pictures of no query person.
    pub distractors: usize,
    /// Of these, boxes too inaccurate to count.
    pub junk: usize,
}

/// A planned data set: its persons, cameras and pictures.
#[derive(Debug)]
pub struct SyntheticDataset {
    options: RenderOptions,
    train: Vec<Person>,
    /// The persons of the queries, then the distractors.
    test: Vec<Person>,
    sites: Vec<CameraSite>,
    pictures: Vec<plan::PlannedPicture>,
}

impl SyntheticDataset {
    /// Plans the data set of these options.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the option that is out of its range.
    pub fn new(options: &RenderOptions) -> Result<Self> {
        Error::check_ranges([
            ("identities", options.identities as f64, 2.0, 9000.0),
            ("cameras", options.cameras as f64, 2.0, 64.0),
            ("pictures per camera", options.per_camera as f64, 2.0, 64.0),
            ("height", options.size[0] as f64, 32.0, 1024.0),
            ("width", options.size[1] as f64, 32.0, 1024.0),
            ("share of look-alikes", options.lookalikes, 0.0, 1.0),
        ])?;
        let (seed, domain) = (options.seed, options.domain);
        let train = options.train_identities();
        let test = options.identities - train;
        let persons = |split, count| person::crowd(seed, domain, split, count, options.lookalikes);
        Ok(Self {
            train: persons(Split::Train, train),
            test: persons(Split::Test, test + test.div_ceil(6)),
            sites: (0..options.cameras as u32)
                .map(|number| CameraSite::draw(seed, domain, number))
                .collect(),
            pictures: plan::pictures(options, train, test),
            options: options.clone(),
        })
    }

    /// The number of pictures.
    #[must_use]
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Renders all pictures in `threads` threads (0 for one a core) into the folder `out`, which is
    /// created if it is missing. `tick` is called after each.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] if the folder is not empty; [`Error::Io`] if something cannot be written;
    /// [`Error::Argument`] for more than 256 threads.
    pub fn write(
        &self,
        out: &Path,
        threads: usize,
        tick: impl Fn() + Sync,
    ) -> Result<RenderSummary> {
        let threads = workers::count(threads)?;
        workers::empty_folder(out)?;
        let folders: BTreeSet<&str> = self.pictures.iter().map(|picture| picture.folder).collect();
        for folder in folders {
            let folder = out.join(folder);
            fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        }
        workers::each(&self.pictures, threads, |picture| {
            let jpeg = self.render(picture)?;
            let path = out.join(picture.folder).join(&picture.name);
            fs::write(&path, jpeg).map_err(Error::io(&path))?;
            tick();
            Ok(())
        })?;
        Ok(self.summary())
    }

    fn summary(&self) -> RenderSummary {
        let count = |wanted: &dyn Fn(&plan::PlannedPicture) -> bool| {
            self.pictures
                .iter()
                .filter(|&picture| wanted(picture))
                .count()
        };
        let folder = |folder: &str| count(&|picture| picture.folder == folder);
        let label = |label: &str| count(&|picture| picture.name.starts_with(label));
        RenderSummary {
            train_identities: self.options.train_identities(),
            test_identities: self.options.identities - self.options.train_identities(),
            train: folder(market::TRAIN),
            query: folder(market::QUERY),
            gallery: folder(market::GALLERY),
            distractors: label("0000_"),
            junk: label("-1_"),
        }
    }
}

#[cfg(test)]
mod tests;
