//! Replaces a file in one step: a reader of the path finds the old content or the new content,
//! whole, also after a kill or on a full disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::private;

/// Who may read the new file, and when [`replace_file`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// The umask decides who may read it. It is on the disk on return.
    Shared,
    /// Its owner alone may read it. It is on the disk on return.
    Private,
    /// Its owner alone may read it. The system writes it to the disk later: a power cut may lose
    /// it, a kill does not. For many small files, whose callers cannot wait for the disk.
    PrivateUnsynced,
}

/// Puts a file that `write` fills in the place of `path`: writes it beside, under a hidden name
/// with the number of the process, syncs it, renames it, and syncs the folder.
///
/// A device or a pipe is written into: renaming over `/dev/null` would replace it for every program.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if `path` names no file; what `write` or the system returns.
/// `path` then has its old content, and the new file is removed.
pub fn replace_file(
    path: &Path,
    kind: Replacement,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let mut file = BufWriter::new(File::options().write(true).open(path)?);
        write(&mut file)?;
        return file.flush();
    }
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path names no file to write to",
        ));
    };
    let mut partial = OsString::from(".");
    partial.push(name);
    partial.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(partial);
    // A killed process of the same number may have left one. A new file follows no link.
    let _ = fs::remove_file(&partial);
    let file = match kind {
        Replacement::Shared => File::create_new(&partial)?,
        Replacement::Private | Replacement::PrivateUnsynced => private::create_new(&partial)?,
    };
    let replaced = fill(file, kind, write).and_then(|()| fs::rename(&partial, path));
    if replaced.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&partial);
        return replaced;
    }
    match kind {
        Replacement::PrivateUnsynced => Ok(()),
        Replacement::Shared | Replacement::Private => sync_folder(path),
    }
}

fn fill(
    file: File,
    kind: Replacement,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 16, file);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    match kind {
        Replacement::PrivateUnsynced => Ok(()),
        Replacement::Shared | Replacement::Private => file.sync_all(),
    }
}

/// Writes the names in the folder of `path` to the disk. Where a folder cannot be opened (Windows)
/// the system does that.
///
/// # Errors
/// What the system returns.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        for kind in [
            Replacement::Shared,
            Replacement::Private,
            Replacement::PrivateUnsynced,
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("model.onnx");
            let put = |text: &'static str| {
                replace_file(&path, kind, |file| file.write_all(text.as_bytes()))
            };
            put("first").unwrap();
            put("second").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"second");
            let error = replace_file(&path, kind, |file| {
                file.write_all(b"half of the thi")?;
                Err(io::ErrorKind::StorageFull.into())
            });
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read(&path).unwrap(), b"second");
            assert_eq!(
                fs::read_dir(folder.path()).unwrap().count(),
                1,
                "a leftover"
            );
        }
    }

    #[test]
    fn leftovers_are_replaced_and_other_obstacles_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gallery");
        let partial = format!(".gallery.{}.partial", std::process::id());
        let partial = folder.path().join(partial);
        fs::write(&partial, "left by a killed process").unwrap();
        let put = |path: &Path| replace_file(path, Replacement::Private, |f| f.write_all(b"new"));
        put(&path).unwrap();
        fs::create_dir(&partial).unwrap();
        put(&path).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        put(&folder.path().join("missing/file")).unwrap_err();
        let error = put(Path::new("..")).unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn modes_links_and_devices() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        replace_file(&path, Replacement::Private, |file| file.write_all(b"new")).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        // A planted link at the name of the new file leads nowhere.
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let partial = format!(".file.{}.partial", std::process::id());
        symlink(&victim, folder.path().join(partial)).unwrap();
        replace_file(&path, Replacement::Shared, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");

        let full = folder.path().join("full");
        symlink("/dev/full", &full).unwrap();
        replace_file(&full, Replacement::Private, |file| file.write_all(b"new")).unwrap_err();
        assert!(full.is_symlink());
    }
}
