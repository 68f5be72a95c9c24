//! A street that never was: people of tubes and cloth in front of cameras, rendered in software into
//! a data set with Market-1501's layout, and into clips. Nothing is downloaded, no GPU is needed.
//!
//! [`Street::new`] draws the people and the cameras that a seed stands for; [`Street::write`] takes
//! pictures of them. `person` says who somebody is, `body` makes tubes of them at a moment of their
//! walk, `place` hangs cameras, `raster` and `scene` find the light of each pixel, `lens` makes a
//! JPEG of it.
//!
//! What makes it hard is what makes it hard outdoors: every camera has its own colours, half the
//! people wear black, grey or blue, and a share of them wears the clothes of somebody else. Those to
//! learn and those to be tested share nobody, no shade of any cloth and no seed of a pattern, and
//! the last of three or more cameras takes no picture to train with, so that its place, light and
//! lens are new to a network.
//!
//! Every picture is named by seed and place in the plan, so one seed gives one data set, byte for
//! byte, with any number of threads.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod avi;
mod body;
mod clip;
mod cloth;
mod error;
mod lens;
mod palette;
mod person;
mod place;
mod plan;
pub mod random;
mod raster;
mod scene;
mod shoot;
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
use palette::Side;
use person::Person;
use place::Place;

/// What is rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Persons, half of them (rounded down) to learn and the others to test, unless `learn_only`; 2
    /// to 9,000.
    pub identities: usize,
    /// 2 to 64.
    pub cameras: usize,
    /// Pictures of a person by a camera that sees them; 2 to 64: one to search for, the others to
    /// search in.
    pub per_camera: usize,
    /// Height and width of a picture, pixels: 32 to 1024 each.
    pub size: [usize; 2],
    /// Names everything that is drawn by chance.
    pub seed: u64,
    /// Which world.
    pub domain: Domain,
    /// Share of the persons in the clothes of another, `0.0..=1.0`.
    pub lookalikes: f64,
    /// All persons are to learn, and there is nothing to test: for who joins several streets.
    pub learn_only: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            identities: 300,
            cameras: 6,
            per_camera: 4,
            size: [128, 64],
            seed: 0,
            domain: Domain::Street,
            lookalikes: 0.4,
            learn_only: false,
        }
    }
}

impl Options {
    /// How many of the persons are to learn.
    fn learned(&self) -> usize {
        match self.learn_only {
            true => self.identities,
            false => self.identities / 2,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Persons to learn.
    pub train_identities: usize,
    /// Persons to test.
    pub test_identities: usize,
    /// Pictures to train with.
    pub train: usize,
    /// Pictures that are searched for.
    pub query: usize,
    /// Pictures that are searched in, distractors and junk included.
    pub gallery: usize,
    /// Of these, pictures of nobody who is searched for.
    pub distractors: usize,
    /// Of these, boxes too bad to count.
    pub junk: usize,
}

/// People and cameras, drawn and ready.
#[derive(Debug)]
pub struct Street {
    options: Options,
    learned: Vec<Person>,
    /// Those who are searched for, then those who only disturb.
    tested: Vec<Person>,
    places: Vec<Place>,
    takes: Vec<plan::Take>,
}

impl Street {
    /// The street of these options.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the option that is out of its range.
    pub fn new(options: &Options) -> Result<Self> {
        let ranges = [
            ("identities", options.identities, 2, 9000),
            ("cameras", options.cameras, 2, 64),
            ("pictures per camera", options.per_camera, 2, 64),
            ("height", options.size[0], 32, 1024),
            ("width", options.size[1], 32, 1024),
        ];
        for (name, found, low, high) in ranges {
            if !(low..=high).contains(&found) {
                return Err(Error::Argument(format!(
                    "{name}: {found}, wanted {low} to {high}"
                )));
            }
        }
        if !(0.0..=1.0).contains(&options.lookalikes) {
            return Err(Error::Argument(format!(
                "share of look-alikes: {}, wanted 0 to 1",
                options.lookalikes
            )));
        }
        let Options {
            seed,
            domain,
            lookalikes,
            ..
        } = *options;
        let learned = options.learned();
        let tested = options.identities - learned;
        let disturbing = tested.div_ceil(6);
        Ok(Self {
            learned: person::crowd(seed, domain, Side::Learned, learned, lookalikes),
            tested: person::crowd(seed, domain, Side::Tested, tested + disturbing, lookalikes),
            places: (0..options.cameras as u32)
                .map(|number| Place::draw(seed, domain, number))
                .collect(),
            takes: plan::takes(options, learned, tested),
            options: options.clone(),
        })
    }

    /// How many pictures [`Street::write`] takes.
    #[must_use]
    pub fn pictures(&self) -> usize {
        self.takes.len()
    }

    /// Takes all pictures, in `threads` threads (0 for one a core), and writes them into the folder
    /// `out`, which is made if it is missing. `tick` is called after each.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] if the folder is not empty; [`Error::Io`] if something cannot be written;
    /// [`Error::Argument`] for more than 256 threads.
    pub fn write(&self, out: &Path, threads: usize, tick: impl Fn() + Sync) -> Result<Summary> {
        let threads = workers::count(threads)?;
        workers::empty_folder(out)?;
        let folders: BTreeSet<&str> = self.takes.iter().map(|take| take.folder).collect();
        for folder in folders {
            let folder = out.join(folder);
            fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        }
        workers::each(&self.takes, threads, |take| {
            let jpeg = self.shoot(take)?;
            let path = out.join(take.folder).join(&take.name);
            fs::write(&path, jpeg).map_err(Error::io(&path))?;
            tick();
            Ok(())
        })?;
        Ok(self.summary())
    }

    fn summary(&self) -> Summary {
        let count = |folder: &str| {
            self.takes
                .iter()
                .filter(|take| take.folder == folder)
                .count()
        };
        let starting = |prefix: &str| {
            self.takes
                .iter()
                .filter(|take| take.name.starts_with(prefix))
                .count()
        };
        Summary {
            train_identities: self.options.learned(),
            test_identities: self.options.identities - self.options.learned(),
            train: count(market::TRAIN),
            query: count(market::QUERY),
            gallery: count(market::GALLERY),
            distractors: starting("0000_"),
            junk: starting("-1_"),
        }
    }
}

#[cfg(test)]
mod tests;
