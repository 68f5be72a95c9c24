//! CUHK03 as torchreid extracts it, new protocol (767 persons to train with, 700 to test).
//!
//! `splits_new_detected.json` lists `[path, person, camera]` for each part. Only the file name is used:
//! `1_001_2_07.png` is camera pair 1, person 1 of that pair, view 2 (the camera), image 7. The paths are
//! those of another machine, and persons are numbered differently in each part.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Dataset, Image, label};
use crate::{Error, Result};

#[derive(Deserialize)]
struct SplitFile {
    train: Vec<Entry>,
    query: Vec<Entry>,
    gallery: Vec<Entry>,
}

/// Path, person, camera.
type Entry = (String, IgnoredAny, IgnoredAny);

/// Persons of one pair of cameras have numbers below this (the first pair has 843).
const PAIR: i32 = 10_000;

pub(super) fn fits(root: &Path, boxes: &str) -> bool {
    root.join(format!("splits_new_{boxes}.json")).is_file()
        && root.join(format!("images_{boxes}")).is_dir()
}

/// `boxes` is `detected` or `labeled`.
pub(super) fn read(root: &Path, boxes: &str) -> Result<Dataset> {
    let file = root.join(format!("splits_new_{boxes}.json"));
    let folder = root.join(format!("images_{boxes}"));
    let text = std::fs::read_to_string(&file).map_err(Error::io(&file))?;
    let splits: Vec<SplitFile> = serde_json::from_str(&text).map_err(|e| {
        Error::file(
            &file,
            format!("wanted a list of splits with train, query and gallery, each a list of [path, person, camera]: {e}"),
        )
    })?;
    let [split] = splits.as_slice() else {
        let reason = format!(
            "{} splits, wanted the one of the new protocol",
            splits.len()
        );
        return Err(Error::file(&file, reason));
    };
    let part = |name: &str, entries: &[Entry]| {
        let image = |(path, ..): &Entry| {
            let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
            let label = parse(name).ok_or_else(|| {
                Error::file(
                    &file,
                    format!("image `{path}`: wanted a name such as 1_001_2_07.png"),
                )
            })?;
            Ok(Image {
                path: folder.join(name),
                label,
            })
        };
        if entries.is_empty() {
            return Err(Error::file(&file, format!("`{name}` names no image")));
        }
        entries.iter().map(image).collect::<Result<_>>()
    };
    Ok(Dataset {
        train: part("train", &split.train)?,
        query: part("query", &split.query)?,
        gallery: part("gallery", &split.gallery)?,
        ..Dataset::empty()
    })
}

fn parse(name: &str) -> Option<retrieval::Label> {
    let (stem, _) = name.split_once('.')?;
    let fields: Vec<&str> = stem.split('_').collect();
    let [pair, person, view, image] = fields.as_slice() else {
        return None;
    };
    let _: u8 = image.parse().ok()?;
    let (pair, person): (u8, i32) = (pair.parse().ok()?, person.parse().ok()?);
    if !(1..PAIR).contains(&person) {
        return None;
    }
    Some(label(
        i32::from(pair) * PAIR + person,
        view.parse::<u8>().ok()?.into(),
    ))
}
