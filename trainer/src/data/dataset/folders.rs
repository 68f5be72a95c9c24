//! One folder for each person.
//!
//! ```text
//! ada/1.jpg  bob/1.jpg ...                       test persons are drawn at random
//! train/ada/1.jpg ...  test/bob/1.jpg ...        queries are chosen, see below
//! train/ada/1.jpg ...  query/bob/1.jpg ...  gallery/bob/2.jpg ...
//! ```
//!
//! The camera may be in the file name: as in public data sets, or as a word `c2` or `cam2` between
//! `_`, `-`, `.` or spaces. Either all files have one or none. Of a test person, the first image of each
//! camera with several images is a query (if no camera has several: the first image), the others are
//! the gallery. A person with one camera only is in the gallery as an unknown person. Without cameras
//! the first image is the query.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use media::pictures::{PassedOver, Pictures};
use retrieval::market;

use super::{Dataset, Image, TestSplit, files, label};
use crate::{Error, Result};

/// The images of each person by name.
type Persons = BTreeMap<String, Vec<PathBuf>>;

pub(super) fn fits(root: &Path) -> bool {
    let folder = |name: &str| has_persons(&root.join(name), 1);
    folder("train") || (folder("query") && folder("gallery")) || has_persons(root, 2)
}

/// Whether `folder` holds at least so many folders with images in them.
fn has_persons(folder: &Path, at_least: usize) -> bool {
    files::folders_in(folder).is_ok_and(|folders| {
        let persons = folders
            .iter()
            .filter(|folder| files::holds_pictures(folder));
        persons.take(at_least).count() == at_least
    })
}

pub(super) fn read(root: &Path, split: TestSplit) -> Result<Dataset> {
    let mut passed_over = PassedOver::default();
    let mut part = |name: &str| match root.join(name) {
        folder if folder.is_dir() => persons(&folder, &mut passed_over),
        _ => Ok(Persons::new()),
    };
    let parts = ["train", "query", "gallery", "test"];
    let in_parts = parts.map(|name| has_persons(&root.join(name), 1));
    let [train, query, gallery, test] = match in_parts {
        [false, false, false, false] => [
            Persons::new(),
            Persons::new(),
            Persons::new(),
            Persons::new(),
        ],
        [_, true, false, _] | [_, false, true, _] => {
            let reason = format!(
                "wanted both query/ and gallery/; found {}",
                files::content(root)
            );
            return Err(Error::file(root, reason));
        }
        [_, true, true, true] => {
            let reason = "has query/ and gallery/, and test/ as well: which one counts?";
            return Err(Error::file(root, reason));
        }
        _ => [
            part("train")?,
            part("query")?,
            part("gallery")?,
            part("test")?,
        ],
    };
    let all = match in_parts.contains(&true) {
        true => Persons::new(),
        false => persons(root, &mut passed_over)?,
    };
    let everyone = [&train, &query, &gallery, &test, &all];
    let names: BTreeSet<&String> = everyone.into_iter().flat_map(Persons::keys).collect();
    let numbers: BTreeMap<&String, i32> = names.into_iter().zip(1..).collect();
    let cameras = name_cameras(everyone.into_iter().flat_map(Persons::values).flatten())?;

    let images = |persons: &Persons, unknown: u32| -> Vec<Image> {
        let person = |(name, paths): (&String, &Vec<PathBuf>)| {
            let number = numbers[name];
            let image = move |path: &PathBuf| Image {
                label: label(number, camera(path).unwrap_or(unknown)),
                path: path.clone(),
            };
            paths.iter().map(image).collect::<Vec<_>>()
        };
        persons.iter().flat_map(person).collect()
    };
    let mut dataset = Dataset {
        train: images(&train, 0),
        query: images(&query, 0),
        gallery: images(&gallery, 1),
        cameras,
        ..Dataset::empty()
    };
    let drawn = split.draw(&numbers.values().copied().collect())?;
    let mut to_test = images(&test, 0);
    for image in images(&all, 0) {
        match drawn.contains(&image.label.person) {
            true => to_test.push(image),
            false => dataset.train.push(image),
        }
    }
    choose_queries(to_test, cameras, &mut dataset);
    Ok(dataset.passed_over(&passed_over))
}

fn persons(folder: &Path, passed_over: &mut PassedOver) -> Result<Persons> {
    let mut persons = Persons::new();
    for folder in files::folders_in(folder)? {
        // A folder name that is not UTF-8 cannot name a person: its files are counted.
        let Some(name) = folder.file_name().and_then(OsStr::to_str) else {
            passed_over.join(Pictures::below(&folder)?.passed_over);
            continue;
        };
        let images = files::pictures_below(&folder, passed_over)?;
        persons.insert(name.to_owned(), images);
    }
    Ok(persons)
}

/// Whether the files name their cameras.
fn name_cameras<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Result<bool> {
    let (named, silent): (Vec<_>, Vec<_>) = paths.partition(|path| camera(path).is_some());
    match (named.first(), silent.first()) {
        (Some(named), Some(silent)) => Err(Error::file(
            silent,
            format!(
                "no camera in its name (such as cam2), but {} has one: name all or none",
                named.display()
            ),
        )),
        (named, _) => Ok(named.is_some()),
    }
}

fn camera(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    if let Some(label) = market::parse(name) {
        return Some(label.camera);
    }
    let stem = path.file_stem()?.to_str()?.to_ascii_lowercase();
    stem.split(['_', '-', '.', ' ']).find_map(|word| {
        let number = word
            .strip_prefix("cam")
            .or_else(|| word.strip_prefix('c'))?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        // Four digits are more cameras than a data set has, and leave room to join several.
        (digits && number.len() <= 4).then(|| number.parse().ok())?
    })
}

fn choose_queries(images: Vec<Image>, cameras: bool, dataset: &mut Dataset) {
    let mut persons: BTreeMap<i32, BTreeMap<u32, Vec<Image>>> = BTreeMap::new();
    for image in images {
        let by_camera = persons.entry(image.label.person).or_default();
        by_camera.entry(image.label.camera).or_default().push(image);
    }
    for by_camera in persons.into_values() {
        let searched_for = if cameras {
            by_camera.len() > 1
        } else {
            by_camera.values().flatten().count() > 1
        };
        let all_single = by_camera.values().all(|images| images.len() == 1);
        let mut first = true;
        for (number, mut images) in by_camera {
            if searched_for && (images.len() > 1 || (all_single && first)) {
                dataset.query.push(images.remove(0));
            }
            first = false;
            for image in &mut images {
                image.label.camera = if cameras { number } else { 1 };
            }
            dataset.gallery.append(&mut images);
        }
    }
}
