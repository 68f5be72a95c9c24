//! The error of this crate. Its variants differ in what a caller can do about the failure.

use std::path::PathBuf;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written: check the path, the permissions, the disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },

    /// The bytes are no valid model or metadata: get a fresh copy of the file.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// What the bytes should be, for example `ONNX model`.
        what: &'static str,
        /// What is wrong, with the value found and the value wanted.
        reason: String,
    },

    /// Valid, but not supported by this crate: export the model differently.
    #[error("node `{node}` ({op}): {reason}")]
    Unsupported {
        /// Name of the node in the file.
        node: String,
        /// Its operator.
        op: String,
        /// The attribute, input or form that is not supported.
        reason: String,
    },

    /// Shapes, element types or attributes that do not fit together.
    #[error("node `{node}` ({op}): {reason}")]
    Shape {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What was expected and what was found.
        reason: String,
    },

    /// A size beyond what this crate allocates or computes.
    #[error("{what} is {found}, the limit is {limit}")]
    Limit {
        /// The quantity, for example `elements of tensor 'w'`.
        what: String,
        /// The size that the input has or needs.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },

    /// A result differs from the known answer of the model's [self-test](crate::self_test): use another
    /// backend, or get a fresh copy of the file.
    #[error("the self-test fails: {what} is {found}, wanted {wanted}")]
    NotReproduced {
        /// What was compared, with the golden crop and the step.
        what: String,
        /// The result.
        found: String,
        /// The known answer.
        wanted: String,
    },

    /// An argument outside of its documented range.
    #[error("{0}")]
    Argument(String),
}

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Malformed`] with a formatted reason.
    pub fn malformed(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Malformed {
            what,
            reason: reason.into(),
        }
    }

    /// An [`Error::Io`] for `path`, to be used with `map_err`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
