//! The error type of the crate: one variant for each thing that a caller can do about it.

use std::path::{Path, PathBuf};

/// Returns [`Error::Argument`] with a formatted message.
macro_rules! bail {
    ($($message:tt)*) => {
        return Err($crate::Error::Argument(format!($($message)*)))
    };
}

/// Returns [`Error::Argument`] with a formatted message unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            bail!($($message)*);
        }
    };
}

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read or written: check the path, the permissions, the disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },

    /// A file does not hold what it should: get a fresh copy, or name another.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, with what was found and what was wanted.
        reason: String,
    },

    /// An argument or a setting outside of its documented range.
    #[error("{0}")]
    Argument(String),

    /// Weights that do not fit the network.
    #[error("parameter `{name}`: {reason}")]
    Parameter {
        /// The parameter of the network.
        name: String,
        /// What was found and what was wanted, for example both shapes.
        reason: String,
    },

    /// libtorch could not compute something, most often for lack of memory.
    #[error("{what}: {reason}")]
    Torch {
        /// What was computed.
        what: String,
        /// The message of libtorch.
        reason: String,
    },

    /// From rendering or worker threads.
    #[error(transparent)]
    Synth(#[from] synth::Error),

    /// From the crate `network`.
    #[error(transparent)]
    Kernels(#[from] network::Error),
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// [`Error::Io`] at `path`, for `map_err`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { path, source }
    }

    /// Refuses values of a parameter that are NaN or infinite.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first such element.
    pub(crate) fn check_finite(name: &str, values: &[f32]) -> Result<()> {
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(at) => Err(Self::Parameter {
                name: name.to_owned(),
                reason: format!("element {at} is {}, wanted a finite number", values[at]),
            }),
        }
    }

    /// [`Error::File`].
    pub fn file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::File {
            path: path.as_ref().to_owned(),
            reason: reason.into(),
        }
    }
}
