//! What lies in a folder.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The deepest folder below the one opened: beyond, it is a ring of links.
const MAX_DEPTH: usize = 32;

/// Every image in `folder` and below it, in path order. Hidden files are passed over (macOS leaves a
/// `._a.jpg` beside every file of a foreign disk), and so is every other kind of file.
pub(super) fn images_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    collect(folder, 0, &mut paths)?;
    paths.sort_unstable();
    Ok(paths)
}

/// Every image in a folder and below it, in path order.
///
/// # Errors
/// [`Error::File`] for a folder without an image, [`Error::Io`] for one that cannot be listed.
pub fn some_images_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let paths = images_below(folder)?;
    if paths.is_empty() {
        return Err(Error::file(
            folder,
            "holds no .jpg, .jpeg, .png or .bmp file",
        ));
    }
    Ok(paths)
}

/// The folders in `folder`, in order of their names.
pub(super) fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = visible(folder)?;
    folders.retain(|path| path.is_dir());
    Ok(folders)
}

/// Whether an image lies in `folder` itself.
pub(super) fn holds_images(folder: &Path) -> bool {
    let Ok(mut entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.any(|entry| entry.is_ok_and(|e| !is_hidden(&e.path()) && is_image(&e.path())))
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

/// The last part of a path as text.
pub(super) fn name(path: &Path) -> Result<&str> {
    path.file_name()
        .and_then(OsStr::to_str)
        .ok_or_else(|| Error::file(path, "its name is no UTF-8"))
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

fn collect(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::file(
            folder,
            format!("more than {MAX_DEPTH} folders deep; is it linked into itself?"),
        ));
    }
    for path in visible(folder)? {
        if is_image(&path) {
            paths.push(path);
        } else if path.is_dir() {
            collect(&path, depth + 1, paths)?;
        }
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_image(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|e| {
        ["jpg", "jpeg", "png", "bmp"]
            .iter()
            .any(|known| e.eq_ignore_ascii_case(known))
    })
}
