//! Passes of self-tests, kept in the user's cache.
//!
//! A file that another user can write proves nothing. So the folder has mode 0700 and its files 0600,
//! and whatever other users own or can write is passed over and the test is made again. So it is
//! without a place to keep a pass, or with a broken one.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cli::Replacement;
use network::self_test::{Checksum, Passed};
use serde::{Deserialize, Serialize};

use super::Subject;

/// What is kept of a pass.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    /// [`Subject::computation`]. The name of the file is a digest of it.
    subject: String,
    /// [`Subject::by`].
    by: String,
    passed: Passed,
}

/// The version of [`Kept`].
const SCHEMA: u32 = 2;

/// The most bytes that a kept pass has.
const MAX_BYTES: u64 = 1 << 16;

/// Where passes are kept: a folder, and the folder around it, which is this program's as well.
#[derive(Debug, Clone)]
pub(in crate::embed) struct Passes(Option<[PathBuf; 2]>);

impl Passes {
    /// `reid/receipts` in `$XDG_CACHE_HOME`, else in `~/.cache`; nowhere if neither is known.
    pub(in crate::embed) fn of_user() -> Self {
        let folder = |name: &str| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
        Self(cache.map(|cache| Self::folders(&cache)))
    }

    fn folders(cache: &Path) -> [PathBuf; 2] {
        let around = cache.join("reid");
        [around.join("receipts"), around]
    }

    fn place(folder: &Path, tested: &Subject) -> PathBuf {
        folder.join(format!(
            "{}.json",
            Checksum::of(tested.computation.as_bytes())
        ))
    }

    /// The pass that was kept of `tested`, if there is one that no other user can have written.
    pub(super) fn find(&self, tested: &Subject) -> Option<Passed> {
        let folders = self.0.as_ref()?;
        for folder in folders {
            let found = std::fs::metadata(folder).ok()?;
            if !found.is_dir() || !is_ours_alone(&found) {
                return None;
            }
        }
        let path = Self::place(&folders[0], tested);
        // Asked before opening as well: opening a named pipe would wait for a writer.
        if !std::fs::metadata(&path).ok()?.is_file() {
            return None;
        }
        let file = File::open(&path).ok()?;
        let found = file.metadata().ok()?;
        if !is_ours_alone(&found) || found.len() > MAX_BYTES {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
        let kept: Kept = serde_json::from_slice(&bytes).ok()?;
        let of_it = kept.subject == tested.computation && kept.by == tested.by;
        (kept.schema == SCHEMA && of_it).then_some(kept.passed)
    }

    /// Keeps a pass, if that can be done: the next start is slower otherwise, and nothing else.
    pub(super) fn keep(&self, tested: &Subject, passed: Passed) {
        let Some(folders) = &self.0 else {
            return;
        };
        let path = Self::place(&folders[0], tested);
        let kept = Kept {
            schema: SCHEMA,
            subject: tested.computation.clone(),
            by: tested.by.clone(),
            passed,
        };
        let _ = prepare(folders).and_then(|()| {
            let bytes = serde_json::to_vec(&kept)?;
            cli::replace_file(&path, Replacement::PrivateUnsynced, |file| {
                file.write_all(&bytes)
            })
        });
    }
}

/// Makes the folders, for this user alone.
fn prepare(folders: &[PathBuf; 2]) -> io::Result<()> {
    cli::private::create_dir_all(&folders[0])?;
    #[cfg(unix)]
    for folder in folders {
        use std::os::unix::fs::PermissionsExt;
        // An earlier version made them as wide as the umask allowed. Those of others stay as they are:
        // changing them fails, except for root.
        if !is_owned(&std::fs::metadata(folder)?) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

/// Whether only this user can write it.
#[cfg(unix)]
fn is_ours_alone(found: &Metadata) -> bool {
    is_owned(found) && std::os::unix::fs::MetadataExt::mode(found) & 0o022 == 0
}

/// Whether it belongs to the user that this program runs as.
#[cfg(unix)]
fn is_owned(found: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(found) == rustix::process::geteuid().as_raw()
}

/// Other systems keep a user's cache from others by themselves.
#[cfg(not(unix))]
fn is_ours_alone(_: &Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::self_test::Level;

    const PASSED: Passed = Passed {
        level: Level::Exact,
        crops: 4,
        steps: 16,
        cosine: 0.999_999_9,
        wanted: 0.999_999,
    };

    fn tested(subject: &str) -> Subject {
        Subject {
            computation: subject.to_owned(),
            by: "reid 1 on a machine".to_owned(),
        }
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_pass_is_found_again_by_what_it_is_of_alone() {
        let cache = tempfile::tempdir().unwrap();
        let folders = Passes::folders(&cache.path().join("deep/below"));
        let passes = Passes(Some(folders.clone()));
        let (a, b) = (tested("a"), tested("b"));
        assert_eq!(passes.find(&a), None);
        passes.keep(&a, PASSED);
        assert_eq!(passes.find(&a), Some(PASSED));
        assert_eq!(passes.find(&b), None);
        // Another that has come under this name, by whatever accident.
        let path = |of: &Subject| Passes::place(&folders[0], of);
        std::fs::copy(path(&a), path(&b)).unwrap();
        assert_eq!(passes.find(&b), None);
        assert_eq!(files(&folders[0]), 2);

        // Another program or machine has to pass by itself, and takes the place.
        let elsewhere = Subject {
            by: "reid 2 on a machine".to_owned(),
            ..a.clone()
        };
        assert_eq!(passes.find(&elsewhere), None);
        passes.keep(&elsewhere, PASSED);
        assert_eq!(passes.find(&elsewhere), Some(PASSED));
        assert_eq!(passes.find(&a), None);
        assert_eq!(files(&folders[0]), 2);
    }

    #[test]
    fn a_broken_or_missing_cache_is_none() {
        let cache = tempfile::tempdir().unwrap();
        let folders = Passes::folders(cache.path());
        let passes = Passes(Some(folders.clone()));
        let a = tested("a");
        passes.keep(&a, PASSED);
        let path = Passes::place(&folders[0], &a);
        for bytes in [&b"{"[..], b"", &[0xff; 100_000], br#"{"schema":2}"#] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(passes.find(&a), None);
        }
        passes.keep(&a, PASSED);
        assert_eq!(passes.find(&a), Some(PASSED));

        // A file where the folder should be.
        let nowhere = Passes(Some(Passes::folders(&path)));
        nowhere.keep(&a, PASSED);
        assert_eq!(nowhere.find(&a), None);
        Passes(None).keep(&a, PASSED);
        assert_eq!(Passes(None).find(&a), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_write_is_no_pass_and_ours_is_for_us_alone() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        };
        let cache = tempfile::tempdir().unwrap();
        let folders = Passes::folders(cache.path());
        let [folder, around] = &folders;
        let passes = Passes(Some(folders.clone()));
        let a = tested("a");
        // As wide as a umask of 002 has left them.
        std::fs::create_dir_all(folder).unwrap();
        for folder in &folders {
            set(folder, 0o775);
        }
        passes.keep(&a, PASSED);
        let path = Passes::place(folder, &a);
        let modes = [&path, folder, around].map(|path| mode(path));
        assert_eq!(modes, [0o600, 0o700, 0o700]);
        assert_eq!(passes.find(&a), Some(PASSED));

        for (path, right) in [(&path, 0o600), (folder, 0o700), (around, 0o700)] {
            for bit in [0o020, 0o002] {
                set(path, right | bit);
                assert_eq!(passes.find(&a), None, "{} {bit:o}", path.display());
            }
            set(path, right);
            assert_eq!(passes.find(&a), Some(PASSED));
        }
        // A file of another user, who can change it whatever its mode is. Only root can give one away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert_eq!(passes.find(&a), None);
        }
        // A file that is there before is replaced, never written into.
        set(&path, 0o666);
        passes.keep(&a, PASSED);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(passes.find(&a), Some(PASSED));
    }
}
