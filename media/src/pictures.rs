//! Which files are pictures: in a folder, by a pattern, by name. What is passed over is counted by
//! its kind, so that a partly read folder is not taken for a whole one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Endings of the files that are read, in upper or lower case.
pub const ENDINGS: [&str; 6] = ["jpg", "jpeg", "jpe", "jfif", "png", "bmp"];

/// [`ENDINGS`] in a sentence.
pub const WANTED: &str = ".jpg, .jpeg, .jpe, .jfif, .png or .bmp";

/// Folders that a file server or a system makes beside pictures, for thumbnails and for deleted
/// files: Synology, QNAP, Windows, macOS, ext4.
const SYSTEM_FOLDERS: [&str; 8] = [
    "@eaDir",
    "#recycle",
    "#snapshot",
    "@Recycle",
    "@Recently-Snapshot",
    "$RECYCLE.BIN",
    "__MACOSX",
    "lost+found",
];

/// The most files of one list, and the deepest folder below the one opened: beyond, it is the wrong
/// folder, or one that is linked into itself.
const MAX_FILES: usize = 1 << 22;
const MAX_DEPTH: usize = 32;

/// The most kinds that a note names; the rest of them is one number.
const SHOWN: usize = 8;

/// Picture files of a folder, a pattern or a file, and what was skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pictures {
    /// The files; in path order from [`Pictures::below`].
    pub paths: Vec<PathBuf>,
    /// The rest.
    pub passed_over: PassedOver,
}

/// Files and folders that are not read, by their kind. Hidden ones are not counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// Files of other kinds, by their ending in lower case; empty where there is none.
    endings: BTreeMap<String, u64>,
    folders: BTreeSet<PathBuf>,
    unnameable: Counted,
    no_files: Counted,
}

/// A number of files, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counted {
    number: u64,
    first: PathBuf,
}

impl Pictures {
    /// The pictures of a file, a folder or a pattern, in path order. A shell expands a pattern to
    /// everything that a folder holds, so system folders and pipes are passed over here too.
    ///
    /// # Errors
    /// As [`crate::open`]; a missing file is an [`Error::Io`] with its name.
    pub fn of(spec: &str) -> Result<Self> {
        let path = PathBuf::from(spec);
        if path.is_dir() && is_set_aside(&path) {
            let mut none = Self::default();
            none.passed_over.folder(&path);
            return Ok(none);
        }
        if let Some(pictures) = Self::of_set(spec)? {
            return Ok(pictures);
        }
        let metadata = fs::metadata(&path).map_err(Error::io(&path))?;
        Ok(Self::file(path, &metadata))
    }

    /// The pictures of a folder or a pattern; `None` if `spec` is neither.
    pub(crate) fn of_set(spec: &str) -> Result<Option<Self>> {
        let path = Path::new(spec);
        if path.is_dir() {
            return Self::below(path).map(Some);
        }
        // A file may be called `a[1].jpg`: only what is no file is a pattern.
        if !path.exists() && spec.contains(['*', '?', '[']) {
            return Self::matching(spec).map(Some);
        }
        Ok(None)
    }

    /// The pictures whose path matches a shell pattern (`*`, `?`, `[a-z]`, `**` for folders).
    fn matching(pattern: &str) -> Result<Self> {
        let options = glob::MatchOptions {
            require_literal_leading_dot: true,
            ..glob::MatchOptions::new()
        };
        let matches = glob::glob_with(pattern, options).map_err(|e| {
            let reason = format!("not a pattern: {} at character {}", e.msg, e.pos);
            Error::unsupported(pattern, reason)
        })?;
        // The folder that was named: the pattern begins after it.
        let named = pattern.split(['*', '?', '[']).next().unwrap_or_default();
        let root = Path::new(named.rsplit_once('/').map_or("", |(root, _)| root));
        let mut pictures = Self::default();
        for path in matches {
            let path = path.map_err(|e| Error::Io {
                path: e.path().to_owned(),
                source: e.into(),
            })?;
            pictures.offer(path, root)?;
        }
        pictures.paths.sort_unstable();
        Ok(pictures)
    }

    /// Every picture in `folder` and the folders below it, in path order. Passed over are: hidden
    /// files and folders (also the `._a.jpg` that macOS leaves beside a file), folders of file
    /// servers and systems such as `@eaDir`, folders that are named like a picture, other kinds of
    /// files, pipes and devices, and names that no list of lines can hold.
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be listed; [`Error::Unsupported`] for one that holds
    /// more than a folder of pictures does.
    pub fn below(folder: &Path) -> Result<Self> {
        let mut pictures = Self::default();
        pictures.collect(folder, 0)?;
        pictures.paths.sort_unstable();
        Ok(pictures)
    }

    /// The one file at `path`, whatever its ending: its content decides what it is.
    fn file(path: PathBuf, metadata: &Metadata) -> Self {
        let mut pictures = Self::default();
        if pictures.passed_over.takes(&path, Some(metadata)) {
            pictures.paths.push(path);
        }
        pictures
    }

    /// Adds the file at `path` if [`Pictures::below`] would find it in the folder `root`, which
    /// may be empty.
    fn offer(&mut self, path: PathBuf, root: &Path) -> Result<()> {
        let folders = path.ancestors().skip(1);
        let below = folders.take_while(|folder| *folder != root && folder.starts_with(root));
        if let Some(folder) = below.filter(|folder| is_set_aside(folder)).last() {
            self.passed_over.folder(folder);
            return Ok(());
        }
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {
                if is_set_aside(&path) {
                    self.passed_over.folder(&path);
                }
                Ok(())
            }
            found => self.add(path, found.ok().as_ref()),
        }
    }

    fn collect(&mut self, folder: &Path, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            let reason = format!("more than {MAX_DEPTH} folders deep; is it linked into itself?");
            return Err(Error::unsupported(folder.to_string_lossy(), reason));
        }
        let io = Error::io(folder);
        for entry in fs::read_dir(folder).map_err(&io)? {
            let path = entry.map_err(&io)?.path();
            if is_hidden(&path) {
                continue;
            }
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => match is_set_aside(&path) {
                    true => self.passed_over.folder(&path),
                    false => self.collect(&path, depth + 1)?,
                },
                found => self.add(path, found.ok().as_ref())?,
            }
        }
        Ok(())
    }

    /// Adds what is no folder, if it is a picture. A file without metadata is added: reading it
    /// gives the error.
    fn add(&mut self, path: PathBuf, metadata: Option<&Metadata>) -> Result<()> {
        if !is_picture(&path) {
            self.passed_over.ending(&path);
        } else if self.passed_over.takes(&path, metadata) {
            if self.paths.len() == MAX_FILES {
                let reason = format!("one picture more than the limit of {MAX_FILES}");
                return Err(Error::unsupported(path.to_string_lossy(), reason));
            }
            self.paths.push(path);
        }
        Ok(())
    }
}

impl PassedOver {
    /// Whether everything was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many files should have been read, and could not: pipes, devices, and names that do not fit
    /// on one line of UTF-8. The other files are of kinds that are never read.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.unnameable.number + self.no_files.number
    }

    /// Adds the counts of `other`.
    pub fn join(&mut self, other: Self) {
        for (ending, number) in other.endings {
            *self.endings.entry(ending).or_default() += number;
        }
        self.folders.extend(other.folders);
        self.unnameable.join(other.unnameable);
        self.no_files.join(other.no_files);
    }

    /// Counts a folder, each once.
    pub fn folder(&mut self, path: &Path) {
        self.folders.insert(path.to_owned());
    }

    /// Whether a file can be read and named; else it is counted.
    fn takes(&mut self, path: &Path, metadata: Option<&Metadata>) -> bool {
        if !is_nameable(path) {
            self.unnameable.add(path);
        } else if metadata.is_some_and(|found| !found.is_file()) {
            self.no_files.add(path);
        } else {
            return true;
        }
        false
    }

    fn ending(&mut self, path: &Path) {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        *self.endings.entry(ending.to_lowercase()).or_default() += 1;
    }
}

impl Counted {
    fn add(&mut self, path: &Path) {
        self.join(Self {
            number: 1,
            first: path.to_owned(),
        });
    }

    fn join(&mut self, other: Self) {
        if self.number == 0 {
            self.first = other.first;
        }
        self.number += other.number;
    }
}

/// `passed over: 3 x .webp, 1 x folder @eaDir`.
impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endings = self.endings.iter().map(|(ending, &number)| {
            let text = match ending.as_str() {
                "" => "file without an ending".to_owned(),
                ending => format!(".{}", ending.escape_debug()),
            };
            (number, text)
        });
        let mut folders = BTreeMap::<_, u64>::new();
        for folder in &self.folders {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            *folders.entry(name).or_default() += 1;
        }
        let folders = folders.iter();
        let folders =
            folders.map(|(name, &number)| (number, format!("folder {}", name.escape_debug())));
        let mut kinds: Vec<(u64, String)> = endings.chain(folders).collect();
        // The most frequent first, equally frequent ones by name.
        kinds.sort_by_key(|&(number, _)| std::cmp::Reverse(number));
        let more: u64 = kinds.iter().skip(SHOWN).map(|(number, _)| number).sum();
        kinds.truncate(SHOWN);
        if more > 0 {
            kinds.push((more, "of other kinds".to_owned()));
        }
        for (counted, what) in [
            (&self.no_files, "pipe or device"),
            (
                &self.unnameable,
                "name that is not UTF-8 or has a control character",
            ),
        ] {
            let first = counted.first.to_string_lossy();
            let text = format!("{what} (the first is {})", first.escape_debug());
            kinds.extend((counted.number > 0).then_some((counted.number, text)));
        }
        let kinds: Vec<String> = (kinds.iter())
            .map(|(number, what)| format!("{number} x {what}"))
            .collect();
        write!(f, "passed over: {}", kinds.join(", "))
    }
}

/// Whether the ending is that of a picture.
#[must_use]
pub fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str);
    ending.is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Whether a file or folder is hidden from a list.
#[must_use]
pub fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether a folder of that name is passed over: those of file servers and systems, and those named
/// like a picture, in which Synology keeps its thumbnails.
#[must_use]
pub fn is_set_aside(folder: &Path) -> bool {
    let name = folder.file_name().and_then(OsStr::to_str);
    name.is_some_and(|name| SYSTEM_FOLDERS.contains(&name)) || is_picture(folder)
}

/// Whether a list with one path a line can hold it.
fn is_nameable(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests;
