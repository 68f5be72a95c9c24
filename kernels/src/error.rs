//! The crate's one error: what a caller can do about a failure decides the variant.

use std::path::PathBuf;

/// Everything that can go wrong in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read or written: check the path, the permissions, the disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The bytes are no valid model, contract or archive: get a fresh copy of the file.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// What the bytes were taken for, for example `ONNX model`.
        what: &'static str,
        /// What is wrong, with the value found and the value wanted.
        reason: String,
    },

    /// Well-formed, but outside of what this crate computes: export the model differently.
    #[error("node `{node}` ({op}): {reason}")]
    Unsupported {
        /// Name of the node in the file.
        node: String,
        /// Its operator.
        op: String,
        /// The attribute, input or form that is not supported.
        reason: String,
    },

    /// Two shapes that must agree do not.
    #[error("node `{node}` ({op}): {reason}")]
    Shape {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: &'static str,
        /// What was expected and what was found.
        reason: String,
    },

    /// A size beyond what this crate is willing to allocate or compute.
    #[error("{what} is {found}, the limit is {limit}")]
    Limit {
        /// The quantity, for example `elements of tensor 'w'`.
        what: String,
        /// What the input asks for.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },

    /// What was computed here is not what the model's [receipt](crate::receipt) says: compute on
    /// something else, or get a fresh copy of the file.
    #[error("the receipt is not reproduced: {what} is {found}, wanted {wanted}")]
    NotReproduced {
        /// What was compared, with the golden crop and the step.
        what: String,
        /// What came out.
        found: String,
        /// What had to come out.
        wanted: String,
    },

    /// An argument outside of its documented range.
    #[error("{0}")]
    Argument(String),
}

/// An error and its causes on one line, for people. Errors of these crates end with the text of
/// their cause, which is then not said again, and a cause may begin with the path that the error
/// ends with.
#[must_use]
pub fn one_line<'a>(
    causes: impl IntoIterator<Item = &'a (dyn std::error::Error + 'static)>,
) -> String {
    let mut line = String::new();
    for cause in causes {
        let cause = cause.to_string();
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            let said = said_twice(&line, &cause);
            line = format!("{line}: {}", &cause[said..]);
        }
    }
    line
}

/// Bytes at the beginning of `cause` that `line` ends with: whole parts between `: `.
fn said_twice(line: &str, cause: &str) -> usize {
    let begins = std::iter::once(0).chain(line.match_indices(": ").map(|(at, _)| at + 2));
    let said = begins.filter_map(|at| cause.strip_prefix(&line[at..])?.strip_prefix(": "));
    said.map(|rest| cause.len() - rest.len()).max().unwrap_or(0)
}

/// Whether the reader of our output has gone away, as `head` does: no failure of ours.
pub fn closed_pipe<'a>(
    causes: impl IntoIterator<Item = &'a (dyn std::error::Error + 'static)>,
) -> bool {
    causes.into_iter().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str);

    #[test]
    fn nothing_is_said_twice() {
        let cases: &[(&[&'static str], &str)] = &[
            (&["a.onnx", "a.onnx: no such file"], "a.onnx: no such file"),
            (
                &["a.onnx", "a.onnx: no such file", "no such file"],
                "a.onnx: no such file",
            ),
            (&["run: a: b", "a: b: gone"], "run: a: b: gone"),
            (&["a.onnx", "b.bin: gone"], "a.onnx: b.bin: gone"),
            (&["a", "a.onnx: gone"], "a: a.onnx: gone"),
            (&["a", "b", "c"], "a: b: c"),
            (&["ü: x", "x: y"], "ü: x: y"),
        ];
        for (causes, wanted) in cases {
            let causes: Vec<Said> = causes.iter().map(|&cause| Said(cause)).collect();
            let line = one_line(causes.iter().map(|cause| cause as &dyn std::error::Error));
            assert_eq!(line, *wanted);
        }
    }
}
