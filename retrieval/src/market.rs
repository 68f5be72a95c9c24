//! Parses person and camera from file names of public data sets.

use std::path::Path;

use network::{Error, Result};

/// Folder of the training images.
pub const TRAIN: &str = "bounding_box_train";
/// Folder of the query images.
pub const QUERY: &str = "query";
/// Folder of the gallery images.
pub const GALLERY: &str = "bounding_box_test";

/// Person and camera of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label {
    /// Number of the person; 0 is a distractor (a person of no query) and a negative number is junk (a
    /// bad box, which counts neither as right nor as wrong).
    pub person: i32,
    /// Number of the camera.
    pub camera: u32,
}

/// The label of the image at `path`, by its name.
///
/// # Errors
/// [`Error::Argument`] naming the path, if [`parse`] fails.
pub fn label(path: &Path) -> Result<Label> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(parse).ok_or_else(|| {
        Error::Argument(format!(
            "{}: no person and camera in its name; wanted such as 0001_c1s1_000007_00.jpg",
            path.display()
        ))
    })
}

/// Reads a file name (without folders) of one of these forms; `None` for any other.
///
/// | data set | name | read as |
/// |---|---|---|
/// | Market-1501 | `0001_c1s1_000007_00.jpg` | person 1, camera 1 |
/// | DukeMTMC-reID | `0001_c1_f0044158.jpg` | person 1, camera 1 |
/// | MSMT17 | `0000_000_01_0303morning_0008_0.jpg` | person **1**, camera 1 |
///
/// MSMT17 counts persons from 0 and has no distractors: they are moved up by one.
#[must_use]
pub fn parse(file_name: &str) -> Option<Label> {
    let stem = file_name.split('.').next()?;
    let fields: Vec<&str> = stem.split('_').collect();
    match fields.as_slice() {
        // As in torchreid: the third field is the camera. The others are undocumented, except for
        // the time of the day.
        [person, image, camera, time, group, part]
            if ["morning", "noon", "afternoon"]
                .iter()
                .any(|t| time.ends_with(t)) =>
        {
            let _: [u32; 3] = [number(image)?, number(group)?, number(part)?];
            Some(Label {
                person: i32::try_from(number(person)?).ok()?.checked_add(1)?,
                camera: number(camera)?,
            })
        }
        [person, place, frame, rest @ ..] if rest.len() <= 1 => {
            let person = match person.strip_prefix('-') {
                Some(digits) => -i32::try_from(number(digits)?).ok()?,
                None => i32::try_from(number(person)?).ok()?,
            };
            let place = place.strip_prefix('c')?;
            let (camera, sequence) = place.split_once('s').unwrap_or((place, "0"));
            let frame = frame.strip_prefix('f').unwrap_or(frame);
            for digits in [sequence, frame].iter().chain(rest) {
                number(digits)?;
            }
            Some(Label {
                person,
                camera: number(camera)?,
            })
        }
        _ => None,
    }
}

/// A number without sign or space.
fn number(digits: &str) -> Option<u32> {
    let valid = digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_without_a_label_are_named() {
        let label = label(Path::new("query/0002_c1s1_000007_00.jpg")).unwrap();
        assert_eq!((label.person, label.camera), (2, 1));
        let error = super::label(Path::new("query/ada.jpg")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "query/ada.jpg: no person and camera in its name; wanted such as 0001_c1s1_000007_00.jpg"
        );
    }

    #[test]
    fn names_of_public_data_sets() {
        let label = |person, camera| Some(Label { person, camera });
        let cases = [
            ("0001_c1s1_000007_00.jpg", label(1, 1)),
            ("1501_c6s4_013452_11.jpg", label(1501, 6)),
            ("0000_c3s2_107328_06.jpg", label(0, 3)),
            ("-1_c2s3_000001_01.jpg", label(-1, 2)),
            ("0001_c1s1_000007_00.jpg.jpg", label(1, 1)),
            ("0001_c1_f0044158.jpg", label(1, 1)),
            ("7140_c8_f0123456.png", label(7140, 8)),
            ("0000_000_01_0303morning_0008_0.jpg", label(1, 1)),
            ("1040_017_15_0113noon_0933_2.jpg", label(1041, 15)),
            ("Thumbs.db", None),
            ("", None),
            ("0001.jpg", None),
            ("0001_1_000007.jpg", None),
            ("0001_cxs1_000007_00.jpg", None),
            ("0001_c1s_000007_00.jpg", None),
            ("_c1s1_000007_00.jpg", None),
            ("+1_c1s1_000007_00.jpg", None),
            ("--1_c1s1_000007_00.jpg", None),
            ("99999999999_c1s1_000007_00.jpg", None),
            ("2147483647_000_01_0303morning_0008_0.jpg", None),
            ("0001_c1s1_000007_00_5.jpg", None),
        ];
        for (name, wanted) in cases {
            assert_eq!(parse(name), wanted, "{name}");
        }
    }
}
