//! Quantises a float export on a folder of images, and compares int8 with float.
//!
//! [`split`] divides the images first: a part is held back from calibration, and only that part is
//! used for the comparison.

use std::collections::BTreeSet;
use std::path::PathBuf;

use network::graph::Graph;
use network::graph::fold::{fold, merge_branches};
use network::metadata::Preprocessing;
use network::preprocess::Normaliser;
use retrieval::market;

use super::device::DeviceNetwork;
use super::quantise::{Calibrated, Images, Progress, QuantiseOptions, calibrate};
use super::{EmbeddingDifference, Exported, Reader};
use crate::Result;
use crate::nets::Net;
use crate::qat::QatNetwork;

/// One in so many persons or images is held back.
const HELD_BACK: usize = 5;

/// The most images that are compared.
const COMPARED: usize = 64;

/// The images of a folder, divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalibrationSplit {
    /// To calibrate on.
    pub calibration: Vec<PathBuf>,
    /// To compare on.
    pub held_back: Vec<PathBuf>,
}

/// Divides images: every fifth person is held back with all its images, if all file names state the
/// person and there are five or more; else every fifth image. Of the others `count` images, spread over
/// the list, are for calibration.
#[must_use]
pub fn split(images: &[PathBuf], count: usize) -> CalibrationSplit {
    let persons = persons(images);
    let all: BTreeSet<i32> = persons.iter().flatten().copied().collect();
    let all: Vec<i32> = all.into_iter().collect();
    let is_held_back = |index: usize| {
        let place = match &persons {
            Some(persons) if all.len() >= HELD_BACK => (all.iter())
                .position(|person| *person == persons[index])
                .unwrap_or(index),
            _ => index,
        };
        place % HELD_BACK == HELD_BACK / 2
    };
    let (held_back, calibration): (Vec<usize>, Vec<usize>) =
        (0..images.len()).partition(|&index| is_held_back(index));
    let of = |indices: &[usize], count: usize| {
        let taken = spread(indices, count);
        taken
            .into_iter()
            .map(|index| images[index].clone())
            .collect()
    };
    CalibrationSplit {
        calibration: of(&calibration, count),
        held_back: of(&held_back, COMPARED),
    }
}

/// At most `count` items, spread over a list.
pub(crate) fn spread<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    let count = count.min(items.len());
    let at = |number: usize| items[number * items.len() / count].clone();
    (0..count).map(at).collect()
}

/// The person on each image, if all file names state it.
fn persons(images: &[PathBuf]) -> Option<Vec<i32>> {
    let person = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        Some(market::parse(name)?.person)
    };
    images.iter().map(person).collect()
}

/// Calibrates a folded float network on image files; see [`calibrate`].
///
/// # Errors
/// As [`calibrate`]; [`Error::File`](crate::Error::File) for an image that cannot be read, and [`Error::Argument`](crate::Error::Argument) if
/// all file names state the same person.
pub fn calibrate_on(
    images: &[PathBuf],
    graph: &Graph,
    preprocessing: &Preprocessing,
    options: &QuantiseOptions,
    progress: &mut Progress<'_>,
) -> Result<Calibrated> {
    if let Some([first, others @ ..]) = persons(images).as_deref()
        && !others.is_empty()
        && others.iter().all(|other| other == first)
    {
        bail!(
            "all {} calibration images show person {first}: use crops of many persons, as in production",
            images.len()
        );
    }
    let mut reader = Reader::new(preprocessing)?;
    let mut images_read = Images {
        count: images.len(),
        read: &mut |index| reader.read(&images[index]),
        name: &|index| images[index].display().to_string(),
        range: pixel_range(preprocessing)?,
    };
    calibrate(graph, &mut images_read, options, progress)
}

/// Quantises a float network on image files for quantisation-aware training. All outputs stay, also the
/// classifier.
///
/// # Errors
/// As [`calibrate_on`]; [`Error::Kernels`](crate::Error::Kernels) if the network cannot be folded.
pub fn trainable(
    images: &[PathBuf],
    net: &Net,
    preprocessing: &Preprocessing,
    options: &QuantiseOptions,
    progress: &mut Progress<'_>,
) -> Result<QatNetwork> {
    let folded = fold(&merge_branches(net.graph())?)?;
    let calibrated = calibrate_on(images, &folded, preprocessing, options, progress)?;
    let quantised = calibrated.quantise(options, progress)?;
    let mut trainable = QatNetwork::new(quantised.graph)?;
    trainable.start_near_float(calibrated.float())?;
    Ok(trainable)
}

impl Exported {
    /// Compares the network with its quantised form on the integer executor. Relative differences refer
    /// to the quantised embedding.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) without images, [`Error::File`](crate::Error::File) for an image that cannot be read or whose
    /// embedding is zero.
    pub fn compare_with(
        &self,
        quantised: &Graph,
        images: &[PathBuf],
        seen: impl FnMut(),
    ) -> Result<EmbeddingDifference> {
        let quantised = DeviceNetwork::new(quantised, &self.metadata.preprocessing, 0)?;
        let mut quantised = quantised.worker()?;
        self.compare(images, seen, |crop, _| quantised.embed(crop))
    }
}

/// Least and greatest number that the pre-processing makes of a pixel.
fn pixel_range(preprocessing: &Preprocessing) -> Result<[f32; 2]> {
    let single = Preprocessing {
        height: 1,
        width: 2,
        ..*preprocessing
    };
    let mut planes = [0.0; 6];
    Normaliser::new(&single)?.fill(&[0, 0, 0, 255, 255, 255], &mut planes)?;
    Ok([
        planes.iter().copied().fold(f32::INFINITY, f32::min),
        planes.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: impl Iterator<Item = String>) -> Vec<PathBuf> {
        names.map(PathBuf::from).collect()
    }

    #[test]
    fn nobody_is_on_both_sides() {
        let images = paths((0..60).map(|i| format!("{:04}_c1s1_{:06}_00.jpg", i / 6, i)));
        let CalibrationSplit {
            calibration,
            held_back,
        } = split(&images, 30);
        let who =
            |part: &[PathBuf]| -> BTreeSet<i32> { persons(part).unwrap().into_iter().collect() };
        assert_eq!(calibration.len(), 30);
        assert_eq!(who(&held_back), BTreeSet::from([2, 7]));
        assert_eq!(held_back.len(), 12);
        assert!(who(&calibration).is_disjoint(&who(&held_back)));
        assert_eq!(who(&calibration).len(), 8, "from all over the folder");
    }

    #[test]
    fn unnamed_images_are_divided_by_their_place() {
        let images = paths((0..12).map(|i| format!("{i:02}.png")));
        let CalibrationSplit {
            calibration,
            held_back,
        } = split(&images, 500);
        assert_eq!(
            held_back,
            paths(["02.png", "07.png"].map(String::from).into_iter())
        );
        assert_eq!(calibration.len(), 10);
        assert!(split(&[], 5).calibration.is_empty());
        assert_eq!(split(&images[..1], 5).held_back.len(), 0);
        assert!(split(&images, 0).calibration.is_empty());
    }

    #[test]
    fn pixels_reach_from_black_to_white() {
        let [low, high] = pixel_range(&Preprocessing::default()).unwrap();
        assert!((low + 2.1179).abs() < 1e-3 && (high - 2.64).abs() < 1e-3);
    }
}
