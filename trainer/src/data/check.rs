//! Checks a data set before a training: counts persons and cameras, decodes every image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use super::dataset::{Dataset, Image};
use super::picture::Picture;
use crate::Result;
use synth::workers;

/// What is in a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetReport {
    /// Version of this object in JSON: 1.
    pub schema: u32,
    /// The data set's name.
    pub name: String,
    /// Images to train with.
    pub train: PartReport,
    /// Images that are searched for.
    pub query: PartReport,
    /// Images that are searched in.
    pub gallery: PartReport,
    /// Whether file names state the camera.
    pub cameras_named: bool,
    /// Persons in both training and test, which makes test scores too good.
    pub leaked: Vec<i32>,
    /// Queries without an image of the same person by another camera in the gallery; an evaluation
    /// leaves them out.
    pub queries_without_answer: usize,
    /// Files of the folder that are in no part, one line a reason.
    pub left_out: Vec<String>,
    /// Files that cannot be decoded.
    pub broken: Vec<BrokenFile>,
}

/// One part of a data set.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PartReport {
    /// All images, distractors and junk among them.
    pub images: usize,
    /// Persons, without distractors and junk.
    pub identities: usize,
    /// Images of person 0.
    pub distractors: usize,
    /// Images of negative persons.
    pub junk: usize,
    /// Images by camera.
    pub cameras: BTreeMap<u32, usize>,
    /// Images of a person.
    pub images_per_identity: Option<MinMedianMax>,
    /// Persons seen by one camera only: nothing is learned of them across cameras. 0 if files name
    /// no camera.
    pub identities_of_one_camera: usize,
    /// Widths of the images that could be decoded, in pixels.
    pub width: Option<MinMedianMax>,
    /// Heights of them.
    pub height: Option<MinMedianMax>,
    /// Bytes of the files that could be decoded.
    pub bytes: u64,
}

/// Minimum, median (the lower of two) and maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MinMedianMax {
    /// The minimum.
    pub min: usize,
    /// The median.
    pub median: usize,
    /// The maximum.
    pub max: usize,
}

/// A file that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenFile {
    /// The file.
    pub path: PathBuf,
    /// The error, with the name of the file.
    pub reason: String,
}

impl MinMedianMax {
    fn of(mut numbers: Vec<usize>) -> Option<Self> {
        numbers.sort_unstable();
        Some(Self {
            min: *numbers.first()?,
            median: numbers[(numbers.len() - 1) / 2],
            max: *numbers.last()?,
        })
    }
}

/// Width, height and bytes of an image, or why it has none.
type DecodedSize = Result<[usize; 3], String>;

/// Counts persons and cameras, and decodes every image in `threads` threads (0 for one a core);
/// `seen` is called for each image, in no order.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for more than 256 threads. Broken files are no error: they are in the report.
pub fn check(dataset: &Dataset, threads: usize, seen: impl Fn() + Sync) -> Result<DatasetReport> {
    let threads = workers::count(threads)?;
    let images: Vec<&Image> = dataset.images().collect();
    let decoded = decode_all(&images, threads, seen)?;
    let broken = images.iter().zip(&decoded).filter_map(|(image, decoded)| {
        Some(BrokenFile {
            path: image.path.clone(),
            reason: decoded.as_ref().err()?.clone(),
        })
    });
    let (of_train, others) = decoded.split_at(dataset.train.len());
    let (of_query, of_gallery) = others.split_at(dataset.query.len());
    let part = |images: &[Image], decoded: &[DecodedSize]| {
        PartReport::of(images, decoded, dataset.cameras)
    };
    Ok(DatasetReport {
        schema: 1,
        name: dataset.name.clone(),
        train: part(&dataset.train, of_train),
        query: part(&dataset.query, of_query),
        gallery: part(&dataset.gallery, of_gallery),
        cameras_named: dataset.cameras,
        leaked: leaked(dataset),
        queries_without_answer: without_answer(dataset),
        left_out: dataset.left_out.clone(),
        broken: broken.collect(),
    })
}

/// Decodes all images. Allocating a picture for each is cheap beside decoding it.
fn decode_all(
    images: &[&Image],
    threads: usize,
    seen: impl Fn() + Sync,
) -> Result<Vec<DecodedSize>> {
    workers::each(images, threads, |image| {
        let mut picture = Picture::default();
        let read = picture.read(&image.path);
        let size = |()| [picture.width(), picture.height(), picture.file_bytes()];
        seen();
        Ok(read.map(size).map_err(|error| error.to_string()))
    })
}

impl PartReport {
    fn of(images: &[Image], decoded: &[DecodedSize], cameras_named: bool) -> Self {
        let mut part = Self {
            images: images.len(),
            ..Self::default()
        };
        let mut persons: BTreeMap<i32, (usize, BTreeSet<u32>)> = BTreeMap::new();
        for image in images {
            let label = image.label;
            if cameras_named {
                *part.cameras.entry(label.camera).or_default() += 1;
            }
            match label.person {
                0 => part.distractors += 1,
                ..0 => part.junk += 1,
                person => {
                    let (count, cameras) = persons.entry(person).or_default();
                    *count += 1;
                    cameras.insert(label.camera);
                }
            }
        }
        part.identities = persons.len();
        if cameras_named {
            let one = |(_, cameras): &&(usize, BTreeSet<u32>)| cameras.len() == 1;
            part.identities_of_one_camera = persons.values().filter(one).count();
        }
        part.images_per_identity =
            MinMedianMax::of(persons.values().map(|(count, _)| *count).collect());
        let sizes: Vec<&[usize; 3]> = decoded.iter().filter_map(|l| l.as_ref().ok()).collect();
        part.width = MinMedianMax::of(sizes.iter().map(|size| size[0]).collect());
        part.height = MinMedianMax::of(sizes.iter().map(|size| size[1]).collect());
        part.bytes = sizes.iter().map(|size| size[2] as u64).sum();
        part
    }
}

fn leaked(dataset: &Dataset) -> Vec<i32> {
    let persons = |images: &[Image]| -> BTreeSet<i32> {
        let persons = images.iter().map(|image| image.label.person);
        persons.filter(|&person| person > 0).collect()
    };
    let test = &persons(&dataset.query) | &persons(&dataset.gallery);
    (&persons(&dataset.train) & &test).into_iter().collect()
}

fn without_answer(dataset: &Dataset) -> usize {
    let mut cameras: BTreeMap<i32, BTreeSet<u32>> = BTreeMap::new();
    for image in &dataset.gallery {
        let seen_by = cameras.entry(image.label.person).or_default();
        seen_by.insert(image.label.camera);
    }
    let answered = |image: &&Image| {
        (cameras.get(&image.label.person))
            .is_some_and(|seen_by| seen_by.iter().any(|&camera| camera != image.label.camera))
    };
    dataset.query.len() - dataset.query.iter().filter(answered).count()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::data::dataset::DatasetOptions;

    /// Writes an image of that size.
    fn image(root: &std::path::Path, path: &str, width: u32, height: u32) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::new(width, height).save(path).unwrap();
    }

    #[test]
    fn a_data_set_is_counted_and_decoded() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for (path, width, height) in [
            ("bounding_box_train/0002_c1s1_000001_01.png", 4, 8),
            ("bounding_box_train/0002_c2s1_000001_01.png", 5, 9),
            ("bounding_box_train/0002_c2s1_000002_01.jpg", 6, 10),
            ("bounding_box_train/0003_c1s1_000001_01.png", 7, 7),
            ("query/0001_c1s1_000001_01.png", 1, 1),
            ("query/0002_c1s1_000009_01.png", 1, 1),
            ("bounding_box_test/0001_c2s1_000001_01.png", 1, 1),
            ("bounding_box_test/0002_c1s1_000001_01.png", 1, 1),
            ("bounding_box_test/0000_c2s1_000001_01.png", 1, 1),
            ("bounding_box_test/-1_c2s1_000001_01.png", 1, 1),
        ] {
            image(root, path, width, height);
        }
        let cut = root.join("bounding_box_train/0003_c1s1_000001_01.png");
        let bytes = std::fs::read(&cut).unwrap();
        std::fs::write(&cut, &bytes[..40]).unwrap();
        let dataset = Dataset::open(root, &DatasetOptions::default()).unwrap();
        let count = AtomicUsize::new(0);
        let look = |threads| {
            check(&dataset, threads, || {
                count.fetch_add(1, Ordering::Relaxed);
            })
        };
        let report = look(2).unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 10);
        for threads in [0, 1, 3] {
            assert_eq!(look(threads).unwrap(), report);
        }

        let spread = |min, median, max| Some(MinMedianMax { min, median, max });
        let train = &report.train;
        assert_eq!((train.images, train.identities), (4, 2));
        assert_eq!(train.cameras, BTreeMap::from([(1, 2), (2, 2)]));
        assert_eq!(train.images_per_identity, spread(1, 1, 3));
        assert_eq!(train.identities_of_one_camera, 1);
        assert_eq!(train.width, spread(4, 5, 6));
        assert_eq!(train.height, spread(8, 9, 10));
        assert!(train.bytes > 100);
        let gallery = &report.gallery;
        let counts = (gallery.images, gallery.identities);
        assert_eq!((counts, gallery.distractors, gallery.junk), ((4, 2), 1, 1));
        assert_eq!(report.leaked, [2]);
        assert_eq!(report.queries_without_answer, 1);
        let [broken] = report.broken.as_slice() else {
            panic!("{:?}", report.broken);
        };
        assert_eq!(broken.path, cut);
        assert!(broken.reason.contains("0003_c1s1_000001_01.png: "));
        assert!(look(257).is_err());
    }

    #[test]
    fn files_that_name_no_camera_have_none() {
        let root = tempfile::tempdir().unwrap();
        for person in ["ada", "bob"] {
            for shot in 0..2 {
                image(root.path(), &format!("{person}/{shot}.png"), 2, 2);
            }
        }
        let dataset = Dataset::open(root.path(), &DatasetOptions::default()).unwrap();
        let report = check(&dataset, 1, || ()).unwrap();
        assert!(!report.cameras_named && report.train.cameras.is_empty());
        assert_eq!(report.train.identities_of_one_camera, 0);
        assert_eq!((report.queries_without_answer, report.query.images), (0, 1));
    }
}
