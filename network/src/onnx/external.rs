//! Tensors whose elements are in files beside the model, as in models above 2 GiB.
//!
//! The names of these files come from the model: only regular files in its folder or below are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::proto::StringStringEntryProto;
use crate::{Error, Result};

/// The folder with the files beside a model.
pub(super) struct Folder(Option<PathBuf>);

impl Folder {
    /// For a model that was given as bytes: no folder.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// The folder that the model at `path` is in.
    pub(super) fn of(path: &Path) -> Self {
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        Self(Some(folder.unwrap_or(Path::new(".")).to_owned()))
    }

    /// The `wanted` bytes of the tensor `name`; `entries` state the file and the offset.
    ///
    /// # Errors
    /// [`Error::Malformed`] with the tensor's name if the file is outside of the folder, or too
    /// short; [`Error::Io`] if it cannot be read.
    pub(super) fn read(
        &self,
        name: &str,
        entries: &[StringStringEntryProto],
        wanted: u64,
    ) -> Result<Vec<u8>> {
        let malformed =
            |reason: String| Error::malformed("ONNX tensor", format!("`{name}`: {reason}"));
        let Some(folder) = &self.0 else {
            let reason = "its elements are in another file; read the model with `read_file`";
            return Err(malformed(reason.into()));
        };
        let entry = |key: &str| {
            let found = entries
                .iter()
                .find(|entry| entry.key.as_deref() == Some(key));
            found.map(|entry| entry.value.as_deref().unwrap_or_default())
        };
        let number = |key: &str| {
            entry(key)
                .map(|text| {
                    text.parse::<u64>()
                        .map_err(|_| malformed(format!("{key} is `{text}`, not a number of bytes")))
                })
                .transpose()
        };
        let location = entry("location").unwrap_or_default();
        let path = inside(folder, location)
            .map_err(Error::io(folder.join(location)))?
            .ok_or_else(|| malformed(format!("`{location}` is no file in the model's folder")))?;
        let offset = number("offset")?.unwrap_or(0);
        if let Some(length) = number("length")?.filter(|&length| length != wanted) {
            return Err(malformed(format!(
                "it wants {wanted} bytes, its length is {length}"
            )));
        }
        let mut file = File::open(&path).map_err(Error::io(&path))?;
        let size = file.metadata().map_err(Error::io(&path))?.len();
        if offset.checked_add(wanted).is_none_or(|end| end > size) {
            return Err(malformed(format!(
                "it wants {wanted} bytes from {offset} on, `{location}` has {size}"
            )));
        }
        file.seek(SeekFrom::Start(offset))
            .map_err(Error::io(&path))?;
        let mut bytes =
            vec![0; usize::try_from(wanted).map_err(|error| malformed(error.to_string()))?];
        file.read_exact(&mut bytes).map_err(Error::io(&path))?;
        Ok(bytes)
    }
}

/// The regular file `location` in `folder`, links followed; none unless it is a relative path that stays in
/// the folder.
fn inside(folder: &Path, location: &str) -> std::io::Result<Option<PathBuf>> {
    let plain = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || !Path::new(location).components().all(plain) {
        return Ok(None);
    }
    let path = folder.join(location).canonicalize()?;
    let within = path.starts_with(folder.canonicalize()?) && path.is_file();
    Ok(within.then_some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(location: &str, offset: &str, length: &str) -> Vec<StringStringEntryProto> {
        [
            ("location", location),
            ("offset", offset),
            ("length", length),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| StringStringEntryProto {
            key: Some(key.into()),
            value: Some(value.into()),
        })
        .collect()
    }

    #[test]
    fn only_files_in_the_folder_are_read() {
        let outside = tempfile::tempdir().unwrap();
        let model = outside.path().join("model");
        std::fs::create_dir_all(model.join("data")).unwrap();
        std::fs::write(outside.path().join("secret"), [9; 8]).unwrap();
        std::fs::write(model.join("data/weights"), [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path().join("secret"), model.join("link")).unwrap();
        #[cfg(not(unix))]
        std::fs::create_dir(model.join("link")).unwrap();
        let folder = Folder::of(&model.join("person.onnx"));
        let read = |entries: &[_]| folder.read("w", entries, 4);

        assert_eq!(
            read(&entries("data/weights", "", "")).unwrap(),
            [1, 2, 3, 4]
        );
        assert_eq!(
            read(&entries("./data/weights", "4", "4")).unwrap(),
            [5, 6, 7, 8]
        );
        let absolute = outside.path().join("secret");
        for (entries, want) in [
            (
                entries("../secret", "", ""),
                "no file in the model's folder",
            ),
            (
                entries("data/../../secret", "", ""),
                "no file in the model's folder",
            ),
            (
                entries(absolute.to_str().unwrap(), "", ""),
                "no file in the model's folder",
            ),
            (entries("link", "", ""), "no file in the model's folder"),
            (entries("data", "", ""), "no file in the model's folder"),
            (entries("", "", ""), "no file in the model's folder"),
            (entries("data/weights", "5", ""), "has 8"),
            (entries("data/weights", "18446744073709551615", ""), "has 8"),
            (entries("data/weights", "-1", ""), "not a number of bytes"),
            (
                entries("data/weights", "0", "5"),
                "wants 4 bytes, its length is 5",
            ),
            (entries("missing", "", ""), "missing"),
        ] {
            let error = read(&entries).unwrap_err().to_string();
            assert!(error.contains(want), "{want}: {error}");
        }
    }
}
