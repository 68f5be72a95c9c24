//! MSMT17: lists of files with a person for each.
//!
//! A line is `0000/0000_000_01_0303morning_0008_0.jpg 0`: a path below the folder of the part and the
//! person, counted from 0 in each half. The third field of the name is the camera. `list_val.txt` is
//! left out, as in torchreid, fast-reid and the baseline's code.

use std::path::{Component, Path, PathBuf};

use super::{Dataset, Image, label};
use crate::{Error, Result};

/// Folders of the training half and of the test half, version 1 and version 2.
const FOLDERS: [[&str; 2]; 2] = [["train", "test"], ["mask_train_v2", "mask_test_v2"]];

pub(super) fn fits(root: &Path) -> bool {
    ["list_train.txt", "list_query.txt", "list_gallery.txt"]
        .iter()
        .all(|list| root.join(list).is_file())
        && halves(root).is_some()
}

fn halves(root: &Path) -> Option<[PathBuf; 2]> {
    FOLDERS
        .map(|names| names.map(|name| root.join(name)))
        .into_iter()
        .find(|halves| halves.iter().all(|folder| folder.is_dir()))
}

pub(super) fn read(root: &Path) -> Result<Dataset> {
    let [train, test] = halves(root).ok_or_else(|| Error::file(root, "has no images"))?;
    let list = |name: &str, folder: &Path, before: i32| {
        read_list(&root.join(name), folder, before).and_then(|images| match images.is_empty() {
            true => Err(Error::file(root.join(name), "names no image")),
            false => Ok(images),
        })
    };
    let mut dataset = Dataset {
        train: list("list_train.txt", &train, 0)?,
        ..Dataset::empty()
    };
    let validation = root.join("list_val.txt");
    let held_back = match validation.is_file() {
        true => read_list(&validation, &train, 0)?,
        false => Vec::new(),
    };
    if !held_back.is_empty() {
        dataset.left_out.push(format!(
            "{} images of list_val.txt, as torchreid and the baseline's code do",
            held_back.len()
        ));
    }
    let persons = (dataset.train.iter().chain(&held_back)).map(|image| image.label.person);
    let before = persons.max().unwrap_or(0);
    dataset.query = list("list_query.txt", &test, before)?;
    dataset.gallery = list("list_gallery.txt", &test, before)?;
    Ok(dataset)
}

/// The images of a list; persons are numbered from `before + 1` on.
fn read_list(list: &Path, folder: &Path, before: i32) -> Result<Vec<Image>> {
    let text = std::fs::read_to_string(list).map_err(Error::io(list))?;
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(line, number): (&str, usize)| {
            let (path, label) = read_line(line, before).ok_or_else(|| {
                Error::file(
                    list,
                    format!(
                        "line {number} is `{line}`, wanted such as `0000/0000_000_01_0303morning_0008_0.jpg 0`"
                    ),
                )
            })?;
            Ok(Image {
                path: folder.join(path),
                label,
            })
        })
        .collect()
}

fn read_line(line: &str, before: i32) -> Option<(&Path, retrieval::Label)> {
    let (path, person) = line.trim().rsplit_once(' ')?;
    let path = Path::new(path.trim());
    let below = |part: Component| matches!(part, Component::Normal(_));
    if !path.components().all(below) {
        return None;
    }
    let person: u16 = person.parse().ok()?;
    let camera = path.file_stem()?.to_str()?.split('_').nth(2)?;
    let person = (i32::from(person) + 1).checked_add(before)?;
    Some((path, label(person, camera.parse::<u16>().ok()?.into())))
}
