//! Picture files and folders of a data set.

use std::fs;
use std::path::{Path, PathBuf};

use media::pictures::{PassedOver, Pictures, WANTED, is_hidden, is_picture, is_set_aside};

use crate::{Error, Result};

/// Every picture in a folder and below it, in path order; what else lies there is added to
/// `passed_over`.
///
/// # Errors
/// [`Error::File`] for a folder without a picture, [`Error::Io`] for one that cannot be listed.
pub fn pictures_below(folder: &Path, passed_over: &mut PassedOver) -> Result<Vec<PathBuf>> {
    let found = Pictures::below(folder)?;
    if found.paths.is_empty() {
        let mut reason = format!("holds no {WANTED} file");
        if !found.passed_over.is_empty() {
            reason += &format!("; {}", found.passed_over);
        }
        return Err(Error::file(folder, reason));
    }
    passed_over.join(found.passed_over);
    Ok(found.paths)
}

/// The folders in `folder`, in order of their names, without those that are passed over everywhere.
pub(super) fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = visible(folder)?;
    folders.retain(|path| path.is_dir() && !is_set_aside(path));
    Ok(folders)
}

/// Whether a picture lies in `folder` itself.
pub(super) fn holds_pictures(folder: &Path) -> bool {
    let paths = visible(folder).unwrap_or_default();
    paths.iter().any(|path| is_picture(path) && path.is_file())
}

/// What `folder` holds, for people: the first few names, and how many more.
pub(super) fn content(folder: &Path) -> String {
    const SHOWN: usize = 5;
    let Ok(entries) = visible(folder) else {
        return "no such folder".to_owned();
    };
    let name = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}{}", if path.is_dir() { "/" } else { "" })
    };
    let mut shown: Vec<String> = entries.iter().take(SHOWN).map(name).collect();
    match entries.len() {
        0 => "nothing".to_owned(),
        n if n > SHOWN => {
            shown.push(format!("{} more", n - SHOWN));
            shown.join(", ")
        }
        _ => shown.join(", "),
    }
}

fn visible(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder))? {
        paths.push(entry.map_err(Error::io(folder))?.path());
    }
    paths.retain(|path| !is_hidden(path));
    paths.sort_unstable();
    Ok(paths)
}

impl From<media::Error> for Error {
    fn from(error: media::Error) -> Self {
        match error {
            media::Error::Io { path, source } => Self::io(&path)(source),
            media::Error::Unsupported { spec, reason } => Self::file(Path::new(&spec), reason),
            other => Self::Argument(other.to_string()),
        }
    }
}
