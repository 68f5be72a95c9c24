//! In place of the kernel's cameras, in a build without them.

use std::path::Path;

use super::{Device, Problem};

/// Why there is no camera where none is listed.
pub(super) const NONE_FOUND: Problem = Problem::Absent;

/// Opens nothing.
pub(super) fn open(_: &Path) -> Result<Box<dyn Device>, Problem> {
    Err(Problem::Absent)
}
