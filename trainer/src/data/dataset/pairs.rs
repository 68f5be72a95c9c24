//! Two cameras, as VIPeR and PRID2011: `cam_a/000_45.bmp` and `cam_b/000_90.bmp`, or
//! `cam_a/person_0001.png`, or `cam_a/person_0001/0001.png`.
//!
//! The first number in the name of the file, or of its folder, is the person. A share of the persons
//! seen by both cameras is drawn for the test: camera a searches in camera b. Persons seen by camera b
//! alone are in the gallery (PRID2011's protocol); persons seen by camera a alone are left out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use media::pictures::PassedOver;

use super::{Dataset, Image, TestSplit, files, label};
use crate::{Error, Result};

pub(super) const CAMERAS: [&str; 2] = ["cam_a", "cam_b"];

pub(super) fn read(root: &Path, split: TestSplit) -> Result<Dataset> {
    let mut passed_over = PassedOver::default();
    let mut side = |name: &str, camera: u32| -> Result<Vec<Image>> {
        let folder = root.join(name);
        let paths = files::pictures_below(&folder, &mut passed_over)?.into_iter();
        let image = |path: PathBuf| {
            let person = person(&folder, &path)?;
            Ok(Image {
                label: label(person, camera),
                path,
            })
        };
        paths.map(image).collect()
    };
    let (a, b) = (side(CAMERAS[0], 1)?, side(CAMERAS[1], 2)?);
    let persons = |images: &[Image]| -> BTreeSet<i32> {
        images.iter().map(|image| image.label.person).collect()
    };
    let by_both: BTreeSet<i32> = &persons(&a) & &persons(&b);
    if by_both.is_empty() {
        return Err(Error::file(
            root,
            "no person's number is in both cam_a/ and cam_b/",
        ));
    }
    let test = split.draw(&by_both)?;
    let mut dataset = Dataset::empty();
    let mut by_a_alone = 0;
    for image in a {
        let person = image.label.person;
        if test.contains(&person) {
            dataset.query.push(image);
        } else if by_both.contains(&person) {
            dataset.train.push(image);
        } else {
            by_a_alone += 1;
        }
    }
    for image in b {
        let person = image.label.person;
        if by_both.contains(&person) && !test.contains(&person) {
            dataset.train.push(image);
        } else {
            dataset.gallery.push(image);
        }
    }
    if by_a_alone > 0 {
        (dataset.left_out).push(format!(
            "{by_a_alone} images of persons whom cam_a saw alone"
        ));
    }
    Ok(dataset.passed_over(&passed_over))
}

/// The first number in the first part of the path below `folder`, and one more: person 0 would be a
/// distractor.
fn person(folder: &Path, path: &Path) -> Result<i32> {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let part = below.components().next();
    let part = part
        .and_then(|part| part.as_os_str().to_str())
        .unwrap_or("");
    let digits = part.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit());
    digits[..end.unwrap_or(digits.len())]
        .parse::<i32>()
        .ok()
        .and_then(|number| number.checked_add(1))
        .ok_or_else(|| {
            Error::file(
                path,
                "no person's number in its name; wanted such as 000_45.bmp or person_0001.png",
            )
        })
}
