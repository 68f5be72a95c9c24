//! Market-1501 and data sets with its layout: three folders, labels in the file names.

use std::path::{Path, PathBuf};

use media::pictures::PassedOver;
use retrieval::market;

use super::{Dataset, Image, files};
use crate::Result;

/// Reads the folders that are there; the layout has been checked.
pub(super) fn read(root: &Path) -> Result<Dataset> {
    let mut passed_over = PassedOver::default();
    let mut part = |name: &str| {
        let folder = root.join(name);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let image = |path: PathBuf| {
            let label = market::label(&path)?;
            Ok(Image { path, label })
        };
        let paths = files::pictures_below(&folder, &mut passed_over)?;
        paths.into_iter().map(image).collect::<Result<_>>()
    };
    let dataset = Dataset {
        train: part(market::TRAIN)?,
        query: part(market::QUERY)?,
        gallery: part(market::GALLERY)?,
        ..Dataset::empty()
    };
    Ok(dataset.passed_over(&passed_over))
}
