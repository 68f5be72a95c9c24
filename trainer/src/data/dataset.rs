//! Reads folders of images into labelled images: [`Dataset::open`].
//!
//! Each [`DatasetLayout`] has a reader. Persons are numbered from 1 over all parts of a data set, so
//! that a person in both training and test can be found; 0 is a distractor and negative numbers are
//! junk, as in Market-1501. [`Dataset::join`] joins data sets and keeps their persons and cameras apart.

mod cuhk03;
mod files;
mod folders;
mod layout;
mod market;
mod msmt17;
mod pairs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use media::pictures::PassedOver;
use retrieval::Label;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
use synth::random::Draw;

pub use files::pictures_below;
pub use layout::DatasetLayout;

/// One image of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// Its person and camera.
    pub label: Label,
}

/// Images to train with, to search for and to search in; each list in an order that depends on the
/// names of the files only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    /// The name of the folder.
    pub name: String,
    /// Images to train with; persons from 1 on, neither distractors nor junk. May be empty.
    pub train: Vec<Image>,
    /// Images that are searched for. May be empty.
    pub query: Vec<Image>,
    /// Images that are searched in. May be empty.
    pub gallery: Vec<Image>,
    /// Whether file names state the camera. Without, `train` and `query` have camera 0 and
    /// `gallery` has camera 1, so that an evaluation leaves no right answer out for its camera.
    pub cameras: bool,
    /// Files of the folder that are in none of the three, one line a reason.
    pub left_out: Vec<String>,
}

/// How a folder is read.
#[derive(Debug, Clone, Default)]
pub struct DatasetOptions {
    /// Its layout; recognised by its content if this is not given.
    pub layout: Option<DatasetLayout>,
    /// Test persons, for layouts without a split.
    pub split: TestSplit,
}

/// How test persons are drawn, for layouts without a split: pairs and folders.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestSplit {
    /// Share of the persons, `0.0..=1.0`, rounded to the nearest number of them.
    pub test: f64,
    /// Seed of the draw.
    pub seed: u64,
}

impl Default for TestSplit {
    /// Half of them, as VIPeR's protocol has it.
    fn default() -> Self {
        Self { test: 0.5, seed: 0 }
    }
}

impl TestSplit {
    /// The persons of `all` for the test.
    fn draw(self, all: &BTreeSet<i32>) -> Result<BTreeSet<i32>> {
        ensure!(
            (0.0..=1.0).contains(&self.test),
            "share of persons for the test is {}, wanted 0 to 1",
            self.test
        );
        let mut persons: Vec<i32> = all.iter().copied().collect();
        Draw::new(self.seed, "split", &[]).shuffle(&mut persons);
        persons.truncate((persons.len() as f64 * self.test).round() as usize);
        Ok(persons.into_iter().collect())
    }
}

impl Dataset {
    /// Reads the data set in the folder `root`. Files are listed, not opened: whether they can be
    /// decoded is checked by [`super::check`].
    ///
    /// # Errors
    /// [`Error::File`] if the folder has not the layout, with what was found and what was wanted;
    /// [`Error::Io`] if something cannot be listed or read.
    pub fn open(root: &Path, options: &DatasetOptions) -> Result<Self> {
        let layout = match options.layout {
            Some(layout) => layout,
            None => DatasetLayout::of(root)?,
        };
        layout.check(root)?;
        let mut dataset = match layout {
            DatasetLayout::Market => market::read(root)?,
            DatasetLayout::Msmt17 => msmt17::read(root)?,
            DatasetLayout::Cuhk03Detected => cuhk03::read(root, "detected")?,
            DatasetLayout::Cuhk03Labeled => cuhk03::read(root, "labeled")?,
            DatasetLayout::Pairs => pairs::read(root, options.split)?,
            DatasetLayout::Folders => folders::read(root, options.split)?,
        };
        let canonical = root.canonicalize().map_err(Error::io(root))?;
        dataset.name = match canonical.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => canonical.display().to_string(),
        };
        dataset.train = dataset.only_persons_to_train();
        Ok(dataset)
    }

    /// Reads several folders and joins them, as [`Dataset::join`].
    ///
    /// # Errors
    /// As [`Dataset::open`] and [`Dataset::join`].
    pub fn open_all<P: AsRef<Path>>(roots: &[P], options: &DatasetOptions) -> Result<Self> {
        let open = |root: &P| Self::open(root.as_ref(), options);
        Self::join(roots.iter().map(open).collect::<Result<_>>()?)
    }

    /// Several data sets as one. Persons and cameras of each are numbered behind those of the data
    /// sets before it; distractors and junk stay what they are.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no data set, or too many persons to number.
    pub fn join(sets: Vec<Self>) -> Result<Self> {
        let mut sets = sets.into_iter();
        let Some(mut all) = sets.next() else {
            bail!("no data set is named");
        };
        for mut set in sets {
            let persons = all.images().map(|image| image.label.person).max();
            let persons = persons.unwrap_or(0).max(0);
            let cameras = all.images().map(|image| image.label.camera + 1).max();
            let cameras = cameras.unwrap_or(0);
            for image in [&mut set.train, &mut set.query, &mut set.gallery]
                .into_iter()
                .flatten()
            {
                let Label { person, camera, .. } = &mut image.label;
                let too_many =
                    || Error::Argument(format!("{}: numbers too large to join", set.name));
                if *person > 0 {
                    *person = person.checked_add(persons).ok_or_else(too_many)?;
                }
                *camera = (camera.checked_add(cameras))
                    .filter(|&camera| camera < u32::MAX)
                    .ok_or_else(too_many)?;
            }
            all.train.append(&mut set.train);
            all.query.append(&mut set.query);
            all.gallery.append(&mut set.gallery);
            all.cameras &= set.cameras;
            let reasons = set.left_out.iter();
            all.left_out
                .extend(reasons.map(|reason| format!("{}: {reason}", set.name)));
            all.name = format!("{}+{}", all.name, set.name);
        }
        Ok(all)
    }

    /// The class of each image of `train`, and how many there are: persons in ascending order,
    /// numbered from 0.
    #[must_use]
    pub fn classes(&self) -> (Vec<i64>, usize) {
        let persons: BTreeSet<i32> = self.train.iter().map(|image| image.label.person).collect();
        let classes: BTreeMap<i32, i64> = persons.into_iter().zip(0..).collect();
        let labels = self.train.iter().map(|image| classes[&image.label.person]);
        (labels.collect(), classes.len())
    }

    /// All images, those to train with first.
    pub fn images(&self) -> impl Iterator<Item = &Image> {
        self.train.iter().chain(&self.query).chain(&self.gallery)
    }

    fn empty() -> Self {
        Self {
            cameras: true,
            ..Self::default()
        }
    }

    /// Adds a note on files that are no pictures.
    fn passed_over(mut self, passed_over: &PassedOver) -> Self {
        if !passed_over.is_empty() {
            self.left_out.push(passed_over.to_string());
        }
        self
    }

    /// Removes distractors and junk from the training images.
    fn only_persons_to_train(&mut self) -> Vec<Image> {
        let (kept, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.train)
            .into_iter()
            .partition(|image| image.label.person > 0);
        if let Some(first) = others.first() {
            self.left_out.push(format!(
                "{} images to train with show person 0 (a distractor) or junk, the first is {}",
                others.len(),
                first.path.display()
            ));
        }
        kept
    }
}

/// A label of a person and a camera, nothing else known.
fn label(person: i32, camera: u32) -> Label {
    Label { person, camera }
}

#[cfg(test)]
mod tests;
