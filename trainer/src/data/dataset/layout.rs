//! Layouts of data sets, and how they are recognised.

use std::path::Path;

use clap::ValueEnum;
use retrieval::market;

use super::{cuhk03, files, folders, msmt17, pairs};
use crate::{Error, Result};

/// Layout of a data set's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DatasetLayout {
    /// Market-1501 and what looks like it (DukeMTMC-reID, CUHK03-NP): `bounding_box_train`, `query`,
    /// `bounding_box_test`, person and camera in the names of the files. The first may be missing,
    /// or the two others.
    Market,
    /// MSMT17, version 1 or 2: `list_train.txt`, `list_query.txt`, `list_gallery.txt` and the
    /// folders of their images.
    Msmt17,
    /// CUHK03 as torchreid extracts it, new protocol, boxes of a detector:
    /// `splits_new_detected.json` and `images_detected`.
    Cuhk03Detected,
    /// The same with boxes drawn by people: `splits_new_labeled.json` and `images_labeled`.
    Cuhk03Labeled,
    /// Two cameras, as VIPeR and PRID2011: `cam_a` and `cam_b`, a person's number in the name of
    /// the file or of its folder.
    Pairs,
    /// One folder a person, perhaps below `train`, `query`, `gallery` or `test`.
    Folders,
}

impl DatasetLayout {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        let value = self.to_possible_value().expect("no layout is skipped");
        value.get_name().to_owned()
    }

    /// The content of a folder with this layout, as text.
    fn wants(self) -> &'static str {
        match self {
            Self::Market => "bounding_box_train/, or query/ and bounding_box_test/, or all three",
            Self::Msmt17 => {
                "list_train.txt, list_query.txt, list_gallery.txt, train/ and test/ (or mask_train_v2/ and mask_test_v2/)"
            }
            Self::Cuhk03Detected => "splits_new_detected.json and images_detected/",
            Self::Cuhk03Labeled => "splits_new_labeled.json and images_labeled/",
            Self::Pairs => "cam_a/ and cam_b/",
            Self::Folders => {
                "a folder of images for each of two persons or more, or such folders below train/ or below query/ and gallery/"
            }
        }
    }

    /// The layout of `root`, by its content.
    ///
    /// # Errors
    /// [`Error::File`] with all that would have been understood, if it is none, or none alone.
    pub fn of(root: &Path) -> Result<Self> {
        if let Some(layout) = all().find(|layout| layout.hints(root)) {
            return Ok(layout);
        }
        let inside: Vec<String> = files::folders_in(root)?
            .into_iter()
            .filter(|folder| all().any(|layout| layout.hints(folder)))
            .map(|folder| folder.display().to_string())
            .collect();
        if !inside.is_empty() {
            return Err(Error::file(
                root,
                format!(
                    "is no data set, but holds some: name {}",
                    inside.join(" or ")
                ),
            ));
        }
        let known: Vec<String> = all()
            .map(|layout| format!("{} ({})", layout.wants(), layout.name()))
            .collect();
        Err(Error::file(
            root,
            format!(
                "no known layout: found {}; wanted {}",
                files::content(root),
                known.join("; or ")
            ),
        ))
    }

    /// Whether `root` looks like this layout.
    fn hints(self, root: &Path) -> bool {
        match self {
            Self::Market => [market::TRAIN, market::GALLERY]
                .iter()
                .any(|name| root.join(name).is_dir()),
            Self::Msmt17 => root.join("list_train.txt").is_file(),
            _ => self.fits(root),
        }
    }

    /// Whether all that the layout needs is there.
    fn fits(self, root: &Path) -> bool {
        let folder = |name: &str| root.join(name).is_dir();
        match self {
            Self::Market => {
                let sides = [folder(market::QUERY), folder(market::GALLERY)];
                sides == [true, true] || (folder(market::TRAIN) && sides == [false, false])
            }
            Self::Msmt17 => msmt17::fits(root),
            Self::Cuhk03Detected => cuhk03::fits(root, "detected"),
            Self::Cuhk03Labeled => cuhk03::fits(root, "labeled"),
            Self::Pairs => pairs::CAMERAS.into_iter().all(folder),
            Self::Folders => folders::fits(root),
        }
    }

    /// # Errors
    /// [`Error::File`] with what was found, if `root` has not this layout.
    pub(super) fn check(self, root: &Path) -> Result<()> {
        if self.fits(root) {
            return Ok(());
        }
        Err(Error::file(
            root,
            format!(
                "layout {} wants {}; found {}",
                self.name(),
                self.wants(),
                files::content(root)
            ),
        ))
    }
}

/// All layouts, in the order in which they are tried.
fn all() -> impl Iterator<Item = DatasetLayout> {
    DatasetLayout::value_variants().iter().copied()
}
