//! The crate's one error: what a caller can do about a failure decides the variant.

use std::path::{Path, PathBuf};

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read or written: check the path, the permissions, the disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },

    /// The folder to write to is not empty: name another.
    #[error("{}: the folder is not empty, wanted an empty or a new one", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },

    /// An option outside of its documented range.
    #[error("{0}")]
    Argument(String),
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Checks options, each with its name, value and range.
    pub(crate) fn check_ranges<const N: usize>(options: [(&str, f64, f64, f64); N]) -> Result<()> {
        match options
            .iter()
            .find(|(_, found, low, high)| !(low..=high).contains(&found))
        {
            None => Ok(()),
            Some((name, found, low, high)) => Err(Self::Argument(format!(
                "{name}: {found}, wanted {low} to {high}"
            ))),
        }
    }

    /// [`Error::Io`] at `path`, for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }
}
