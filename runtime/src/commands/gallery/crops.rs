//! Deletes the crops that `reid run --save-crops` saved of removed persons.

use std::path::Path;

use runtime::gallery::IdentitySummary;
use runtime::show::crops::{forget, remove};
use serde::Serialize;

/// What became of the crops of removed exemplars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Crops {
    /// How many were deleted.
    pub(super) deleted: usize,
    /// How many may still be in the folder.
    pub(super) left: usize,
}

impl Crops {
    /// Deletes `crops` in `folder`, if it is given. What was not there counts as deleted.
    pub(super) fn delete(crops: &[String], folder: Option<&Path>) -> Self {
        let Some(folder) = folder else {
            return Self {
                deleted: 0,
                left: crops.len(),
            };
        };
        let mut result = Self::default();
        for crop in crops {
            match remove(folder, crop) {
                Ok(()) => result.deleted += 1,
                Err(reason) => {
                    tracing::warn!("a crop was not deleted: {reason}");
                    result.left += 1;
                }
            }
        }
        result
    }

    /// Deletes what is left in `folder` of removed persons, under each of their names: the best crops of
    /// their visits.
    pub(super) fn forget(mut self, gone: &[IdentitySummary], folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return self };
        for summary in gone {
            for name in summary.aliases.iter().chain([&summary.name]) {
                match forget(folder, name) {
                    Ok(deleted) => self.deleted += deleted,
                    Err(reason) => {
                        tracing::warn!("a crop was not deleted: {reason}");
                        self.left += 1;
                    }
                }
            }
        }
        self
    }

    /// One line of text, if there were any.
    pub(super) fn line(self) -> Option<String> {
        match self {
            Self {
                deleted: 0,
                left: 0,
            } => None,
            Self { deleted, left: 0 } => Some(format!("{} deleted", cli::count(deleted, "crop"))),
            Self { left, .. } => Some(format!(
                "{} may be left in the folder of --save-crops: delete them, or pass --crops DIR",
                cli::count(left, "crop")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_of_the_folder_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("crops");
        std::fs::create_dir_all(folder.join("ada")).unwrap();
        let outside = dir.path().join("letter");
        std::fs::write(&outside, "").unwrap();
        std::fs::write(folder.join("ada/1.jpg"), "").unwrap();
        let crops = [
            "ada/1.jpg",
            "ada/gone.jpg",
            "../letter",
            "ada/../../letter",
            outside.to_str().unwrap(),
            "",
        ];
        let crops = crops.map(str::to_owned);
        let found = Crops::delete(&crops, Some(&folder));
        assert_eq!((found.deleted, found.left), (2, 4));
        assert!(outside.exists() && !folder.join("ada/1.jpg").exists());
        let kept = Crops::delete(&crops, None);
        assert_eq!((kept.deleted, kept.left), (0, 6));
    }
}
