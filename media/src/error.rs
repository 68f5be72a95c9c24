//! The crate's error: the variant decides what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a source cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file or folder cannot be read: check the path and the permissions.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file in question.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// This build cannot read it: convert it, or open something else.
    #[error("cannot open `{spec}`: {reason}")]
    Unsupported {
        /// What was to be opened, without passwords.
        spec: String,
        /// What it is, and what would work.
        reason: String,
    },

    /// The container is damaged from here on: frames before this were delivered, none follows.
    #[error("{name}: {reason}")]
    Malformed {
        /// The source's name.
        name: String,
        /// What is wrong and where, with the value found and the value wanted.
        reason: String,
    },

    /// The camera is disconnected: there is no frame for now, and the next read tries again.
    #[error("{name}: {reason}")]
    Disconnected {
        /// The source's name.
        name: String,
        /// What is wrong, and when the next try is.
        reason: String,
    },

    /// Reading failed for good: the reason names the remedy.
    #[error("{name}: {reason}")]
    Failed {
        /// The source's name.
        name: String,
        /// What went wrong.
        reason: String,
    },

    /// One frame is broken; the next read continues after it.
    #[error("{name}: frame {index}: {reason}")]
    Frame {
        /// The source's name, or the image file.
        name: String,
        /// Position of the frame, from 0.
        index: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the source can deliver further frames.
    #[must_use]
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::Frame { .. } | Self::Disconnected { .. })
    }

    /// [`Error::Io`] at `path`, for `map_err`.
    pub(crate) fn io(path: impl AsRef<Path>) -> impl Fn(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io {
            path: path.clone(),
            source,
        }
    }

    pub(crate) fn unsupported(spec: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            spec: spec.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn malformed(name: &str, reason: impl Into<String>) -> Self {
        Self::Malformed {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn failed(name: &str, reason: impl Into<String>) -> Self {
        Self::Failed {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn frame(name: &str, index: u64, reason: String) -> Self {
        let name = name.to_owned();
        Self::Frame {
            name,
            index,
            reason,
        }
    }
}
