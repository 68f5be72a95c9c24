//! Files and folders that show or describe persons: galleries, crops, embeddings, reports, videos. On
//! Unix only their owner may read them, whatever the umask is: a file gets mode 0600, a folder that
//! is made 0700. A folder that was there keeps its mode. Elsewhere, and on file systems without modes
//! (FAT), the system decides.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// Opens a file by `options`, and gives it mode 0600, whether it was there or is made. A device or a
/// pipe stays as it is.
///
/// # Errors
/// The error of the system on opening it. A mode that cannot be set is no error.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::fs::Permissions;
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

        // A file that is made has the mode from the first moment on.
        let file = options.mode(0o600).open(path)?;
        let found = file.metadata()?;
        if found.is_file() && found.permissions().mode() & 0o777 != 0o600 {
            // The file may belong to another user, or the file system may have no modes.
            let _ = file.set_permissions(Permissions::from_mode(0o600));
        }
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// Gives a file that is there mode 0600, without opening it: closing it again would end locks that
/// this process holds on it. A mode that cannot be set stays as it is.
pub fn narrow(path: &Path) {
    #[cfg(unix)]
    {
        use std::fs::{Permissions, set_permissions, symlink_metadata};
        use std::os::unix::fs::PermissionsExt;

        let wide = symlink_metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o777 != 0o600);
        if wide {
            let _ = set_permissions(path, Permissions::from_mode(0o600));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

/// Makes a file, or empties the one that is there.
///
/// # Errors
/// As [`open`].
pub fn create(path: &Path) -> io::Result<File> {
    open(
        File::options().write(true).create(true).truncate(true),
        path,
    )
}

/// Makes a file that is not there.
///
/// # Errors
/// As [`open`]; [`io::ErrorKind::AlreadyExists`].
pub fn create_new(path: &Path) -> io::Result<File> {
    open(File::options().write(true).create_new(true), path)
}

/// Makes a file of these bytes, or replaces the content of the one that is there.
///
/// # Errors
/// As [`open`], and the error of the system on writing.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    create(path)?.write_all(bytes.as_ref())
}

/// Makes a folder, and those above it that are missing.
///
/// # Errors
/// The error of the system.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_and_new_folders_are_their_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        fs::create_dir(&there).unwrap();
        chmod(&there, 0o755);
        create_dir_all(&there.join("a/b")).unwrap();
        create_dir_all(&there).unwrap();
        assert_eq!(mode(&there), 0o755);
        assert_eq!(mode(&there.join("a")), 0o700);
        assert_eq!(mode(&there.join("a/b")), 0o700);

        let file = there.join("new");
        drop(create_new(&file).unwrap());
        assert_eq!(mode(&file), 0o600);
        let error = create_new(&file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);

        // What an older version left is narrowed, through a link too.
        let link = there.join("link");
        std::os::unix::fs::symlink("new", &link).unwrap();
        for wide in [0o644, 0o666, 0o640] {
            fs::write(&file, "old").unwrap();
            chmod(&file, wide);
            write(&link, "new").unwrap();
            assert_eq!(mode(&file), 0o600);
            assert_eq!(fs::read(&file).unwrap(), b"new");
        }
    }

    #[test]
    fn a_device_keeps_its_mode() {
        let null = Path::new("/dev/null");
        let before = mode(null);
        write(null, "nothing").unwrap();
        let found = fs::metadata(null).unwrap();
        assert!(found.file_type().is_char_device());
        assert_eq!(mode(null), before);
    }
}
