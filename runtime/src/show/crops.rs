//! `--save-crops`: the crop behind each exemplar and the best crop of each visit come in, a small
//! JPEG in a folder of its identity goes out, and its path: the gallery remembers that of an
//! exemplar, so that another model can embed it again.
//!
//! Names of identities become names of folders that cannot lead out of the folder they are in, and
//! two identities never share one. What is kept is bounded, and is deleted with its identity.

use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::{Error, Result, check, file_name, write_whole};
use media::picture::encode;

/// The most crops of exemplars of one identity, and the most of its visits: twice the exemplars of a
/// gallery with its own limits.
pub const MAX_FILES: usize = 16;

/// Quality of the JPEG files. High, because they are embedded again.
const QUALITY: u8 = 95;

/// Where a crop comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken<'a> {
    /// Name of the source, as it was given.
    pub source: &'a str,
    /// Position of the frame in its source.
    pub frame: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// Number of the track, if there is one.
    pub track: Option<u64>,
    /// Number of the visit, for the best crop of a visit.
    pub visit: Option<u64>,
}

/// A folder of crops, with a folder for each identity.
#[derive(Debug)]
pub struct Crops {
    folder: PathBuf,
    max_files: usize,
    failed: u64,
}

impl Crops {
    /// Keeps crops in `folder`, which is made if it is not there, at most `max_files` of each
    /// identity; when another comes, the oldest goes.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made, [`Error::Argument`] for no files at all.
    pub fn new(folder: impl Into<PathBuf>, max_files: usize) -> Result<Self> {
        let folder = folder.into();
        if max_files == 0 {
            return Err(Error::Argument(
                "0 crops an identity, wanted 1 or more".to_owned(),
            ));
        }
        cli::private::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(Self {
            folder,
            max_files,
            failed: 0,
        })
    }

    /// Writes a crop, `[height, width, 3]` u8, and returns where it is, below the folder and with
    /// slashes: `person-000001/20260102T030405678_video0_f7_t3.jpg`.
    ///
    /// # Errors
    /// The first [`Error::Io`], for example of a full disk. Later ones give `None` and are counted
    /// in [`Self::failed`]. [`Error::Argument`] if the sizes do not fit together.
    pub fn save(
        &mut self,
        identity: &str,
        taken: &Taken<'_>,
        rgb: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Option<String>> {
        check(rgb, [width, height])?;
        match self.write(identity, taken, rgb, [width, height]) {
            Ok(path) => Ok(Some(path)),
            Err(error) => {
                self.failed += 1;
                if self.failed == 1 {
                    Err(error)
                } else {
                    Ok(None)
                }
            }
        }
    }

    /// Crops that could not be written.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn write(
        &self,
        identity: &str,
        taken: &Taken<'_>,
        rgb: &[u8],
        size: [usize; 2],
    ) -> Result<String> {
        let name = file_name(identity);
        let folder = self.folder.join(&name);
        cli::private::create_dir_all(&folder).map_err(at(&folder))?;
        // Only what was made here, and it comes in order of time: the name begins with it.
        let mut there = files(&folder)?;
        there.retain(|file| file.starts_with(VISIT) == taken.visit.is_some());
        there.sort_unstable();
        let stem = stem(taken);
        let file = (0..=there.len())
            .map(|copy| match copy {
                0 => format!("{stem}.jpg"),
                copy => format!("{stem}_{copy}.jpg"),
            })
            .find(|file| there.binary_search(file).is_err())
            .expect("one name more than there are files");
        let mut bytes = Vec::new();
        encode(rgb, size, QUALITY, &mut bytes).map_err(at(&folder))?;
        write_whole(&folder.join(&file), |out| out.write_all(&bytes))?;
        let surplus = (there.len() + 1).saturating_sub(self.max_files);
        for oldest in &there[..surplus] {
            let path = folder.join(oldest);
            fs::remove_file(&path).map_err(at(&path))?;
        }
        Ok(format!("{name}/{file}"))
    }
}

/// Deletes all crops of an identity in `folder`, and returns how many there were. None is no error.
///
/// # Errors
/// [`Error::Io`] for the first that cannot be deleted; the others are.
pub fn forget(folder: &Path, identity: &str) -> Result<usize> {
    let folder = folder.join(file_name(identity));
    let mut removed = 0;
    let mut first = Ok(());
    for file in files(&folder)? {
        let path = folder.join(file);
        match fs::remove_file(&path) {
            Ok(()) => removed += 1,
            Err(error) if first.is_ok() => first = Err(at(&path)(error)),
            Err(_) => {}
        }
    }
    // Stays if other files are in it.
    let _ = fs::remove_dir(&folder);
    first.map(|()| removed)
}

/// Deletes the crop in `folder` that [`Crops::save`] called `path`. One that is not there is no
/// error.
///
/// # Errors
/// As [`inside`]; [`Error::Io`] if it cannot be deleted.
pub fn remove(folder: &Path, path: &str) -> Result<()> {
    let full = inside(folder, path)?;
    match fs::remove_file(&full) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&full)(error)),
        _ => Ok(()),
    }
}

/// Where the crop in `folder` is that [`Crops::save`] called `path`. A gallery may come from
/// anywhere: no path in it leads out of the folder, neither by its words nor through a link that lies
/// in the folder. `folder` itself may be a link.
///
/// The check and the use are two steps. Who could put a link there in between can write into the
/// folder, which is made for its owner alone.
///
/// # Errors
/// [`Error::Argument`] for a path that `save` does not make, or if there is a link on the way;
/// [`Error::Io`].
pub fn inside(folder: &Path, path: &str) -> Result<PathBuf> {
    let refused = |why: String| {
        let path = path.escape_debug();
        Err(Error::Argument(format!(
            "`{path}` is no path of a crop: {why}"
        )))
    };
    let mut parts = Path::new(path).components();
    let (Some(Component::Normal(identity)), Some(Component::Normal(file)), None) =
        (parts.next(), parts.next(), parts.next())
    else {
        return refused("wanted IDENTITY/FILE.jpg".to_owned());
    };
    if !path.ends_with(".jpg") || path.contains(['\\', '\0']) {
        return refused("wanted IDENTITY/FILE.jpg".to_owned());
    }
    let inner = folder.join(identity);
    let full = inner.join(file);
    for (part, wanted) in [(&inner, "folder"), (&full, "file")] {
        let found = match fs::symlink_metadata(part) {
            Ok(found) => found.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(at(part)(error)),
        };
        let fits = match wanted {
            "folder" => found.is_dir(),
            _ => found.is_file(),
        };
        if !fits {
            let kind = if found.is_symlink() {
                "a link"
            } else {
                "something else"
            };
            return refused(format!("{} is {kind}, wanted a {wanted}", part.display()));
        }
    }
    Ok(full)
}

/// The files of an identity; none if it has no folder.
fn files(folder: &Path) -> Result<Vec<String>> {
    match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => {}
        // A link was not made here, nor was what it leads to.
        Ok(_) => {
            return Err(at(folder)(io::ErrorKind::NotADirectory.into()));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(folder)(error)),
    }
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(at(folder))?.file_name();
        if let Ok(name) = name.into_string()
            && name.ends_with(".jpg")
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// A file's name without its ending: time, source, frame and track.
fn stem(taken: &Taken<'_>) -> String {
    let source = taken.source.trim_end_matches('/');
    let source = source.rsplit('/').next().unwrap_or_default();
    let time: String = super::utc(taken.time)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let time = time.trim_end_matches('Z');
    let stem = format!("{time}_{}_f{}", file_name(source), taken.frame);
    let stem = match taken.track {
        Some(track) => format!("{stem}_t{track}"),
        None => stem,
    };
    match taken.visit {
        Some(_) => format!("{VISIT}{stem}"),
        None => stem,
    }
}

/// How the names of the best crops of visits begin; the others begin with a year.
const VISIT: &str = "visit_";

/// The best crop of each open visit, by sharpness, in memory until the visit has ended.
#[derive(Debug, Default)]
pub struct BestCrops {
    open: Vec<BestCrop>,
}

#[derive(Debug)]
struct BestCrop {
    visit: u64,
    track: Option<u64>,
    quality: f32,
    source: String,
    frame: u64,
    time: u64,
    rgb: Vec<u8>,
    size: [usize; 2],
}

/// The most visits whose best crop waits in memory, at about 100 kB each.
const MAX_OPEN: usize = 256;

impl BestCrops {
    /// Takes a crop of a visit, `[height, width, 3]` u8; a copy is made if it is the best so far.
    pub fn offer(&mut self, taken: &Taken<'_>, quality: f32, rgb: &[u8], size: [usize; 2]) {
        let Some(visit) = taken.visit else { return };
        let at = self.open.iter().position(|best| best.visit == visit);
        let at = match at {
            Some(at) if self.open[at].quality >= quality => return,
            Some(at) => at,
            None if self.open.len() == MAX_OPEN => return,
            None => {
                self.open.push(BestCrop {
                    visit,
                    track: None,
                    quality,
                    source: String::new(),
                    frame: 0,
                    time: 0,
                    rgb: Vec::new(),
                    size,
                });
                self.open.len() - 1
            }
        };
        let best = &mut self.open[at];
        best.quality = quality;
        (best.track, best.frame, best.time) = (taken.track, taken.frame, taken.time);
        best.source.clear();
        best.source.push_str(taken.source);
        best.size = size;
        best.rgb.clear();
        best.rgb.extend_from_slice(rgb);
    }

    /// Drops the crop of a visit, if it is of this track: the track was not of the visit's identity.
    pub fn correct(&mut self, visit: u64, track: u64) {
        self.open
            .retain(|best| best.visit != visit || best.track != Some(track));
    }

    /// Writes the crop of a visit that is over, and returns its path as [`Crops::save`] does; none
    /// if there is no crop, or no identity to keep it for.
    ///
    /// # Errors
    /// As [`Crops::save`].
    pub fn keep(
        &mut self,
        visit: u64,
        identity: Option<&str>,
        crops: &mut Crops,
    ) -> Result<Option<String>> {
        let Some(at) = self.open.iter().position(|best| best.visit == visit) else {
            return Ok(None);
        };
        let best = self.open.swap_remove(at);
        let taken = Taken {
            source: &best.source,
            frame: best.frame,
            time: best.time,
            track: best.track,
            visit: Some(visit),
        };
        let [height, width] = best.size;
        let kept = identity.map(|identity| crops.save(identity, &taken, &best.rgb, width, height));
        kept.unwrap_or(Ok(None))
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROP: [u8; 8 * 16 * 3] = [90; 8 * 16 * 3];

    fn taken(frame: u64) -> Taken<'static> {
        Taken {
            source: "/dev/video0",
            frame,
            time: 1_767_323_045_678 + frame,
            track: Some(3),
            visit: None,
        }
    }

    fn save(crops: &mut Crops, identity: &str, frame: u64) -> Result<Option<String>> {
        crops.save(identity, &taken(frame), &CROP, 8, 16)
    }

    #[test]
    fn names_tell_when_and_where_and_cannot_lead_out() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("crops");
        let mut crops = Crops::new(&inner, MAX_FILES).unwrap();
        let first = save(&mut crops, "person-000001", 7).unwrap().unwrap();
        assert_eq!(first, "person-000001/20260102T030405685_video0_f7_t3.jpg");
        let again = save(&mut crops, "person-000001", 7).unwrap().unwrap();
        assert_eq!(again, "person-000001/20260102T030405685_video0_f7_t3_1.jpg");

        let hostile = [
            "..",
            "../..",
            "/etc/passwd",
            "a/b",
            "a\\..\\b",
            "",
            ".",
            "nul\0",
            "\n",
            "con",
            "Anna",
            "anna",
            &"x".repeat(5000),
        ];
        let mut paths = std::collections::BTreeSet::new();
        for identity in hostile {
            let source = Taken {
                source: identity,
                time: u64::MAX,
                frame: u64::MAX,
                track: None,
                visit: None,
            };
            let path = crops.save(identity, &source, &CROP, 8, 16);
            let path = path.unwrap().unwrap();
            assert!(path.len() < 255, "{path}");
            assert_eq!(path.matches('/').count(), 1, "{path}");
            let full = inside(&inner, &path).unwrap();
            assert_eq!(full.canonicalize().unwrap(), {
                let inner = inner.canonicalize().unwrap();
                inner.join(&path)
            });
            let folder = path.split_once('/').unwrap().0.to_lowercase();
            assert!(paths.insert(folder), "{identity:?} shares a folder");
            let picture = image::open(full).unwrap();
            assert_eq!((picture.width(), picture.height()), (8, 16));
        }
        // Nothing beside the folder.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let mut crops = Crops::new(folder.path(), 3).unwrap();
        let paths: Vec<_> = (0..10)
            .map(|frame| save(&mut crops, "p", frame).unwrap().unwrap())
            .collect();
        for (at, path) in paths.iter().enumerate() {
            assert_eq!(
                inside(folder.path(), path).unwrap().exists(),
                at >= 7,
                "{path}"
            );
        }
        assert!(Crops::new(folder.path(), 0).is_err());
    }

    #[test]
    fn who_is_forgotten_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut crops = Crops::new(folder.path(), 9).unwrap();
        for frame in 0..4 {
            save(&mut crops, "Anna", frame).unwrap();
        }
        let other = save(&mut crops, "anna", 1).unwrap().unwrap();
        assert_eq!(forget(folder.path(), "Anna").unwrap(), 4);
        assert_eq!(forget(folder.path(), "Anna").unwrap(), 0);
        assert_eq!(forget(folder.path(), "..").unwrap(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(folder.path(), &other).unwrap();
        remove(folder.path(), &other).unwrap();

        // What others keep beside the crops is not ours.
        save(&mut crops, "anna", 2).unwrap();
        fs::write(folder.path().join("anna/notes.txt"), b"hers").unwrap();
        assert_eq!(forget(folder.path(), "anna").unwrap(), 1);
        assert!(folder.path().join("anna/notes.txt").exists());

        for path in [
            "../a.jpg",
            "/a/b.jpg",
            "a.jpg",
            "a/b/c.jpg",
            "a/..",
            "a/b.txt",
            "a/../b.jpg",
        ] {
            let error = remove(folder.path(), path).unwrap_err();
            assert!(matches!(error, Error::Argument(_)), "{path}");
        }
    }

    #[test]
    fn the_best_crop_of_a_visit_is_kept_beside_those_of_exemplars() {
        let folder = tempfile::tempdir().unwrap();
        let mut crops = Crops::new(folder.path(), 2).unwrap();
        let exemplars: Vec<_> = (0..2).map(|n| save(&mut crops, "p", n).unwrap()).collect();
        let mut best = BestCrops::default();
        let of = |visit, frame| Taken {
            visit: Some(visit),
            ..taken(frame)
        };
        for (visit, frame, quality) in [(1, 3, 5.0), (1, 4, 9.0), (1, 5, 7.0), (2, 6, 1.0)] {
            best.offer(&of(visit, frame), quality, &CROP, [16, 8]);
        }
        best.correct(2, 99);
        best.correct(2, 3);
        let kept = best.keep(1, Some("p"), &mut crops).unwrap().unwrap();
        assert_eq!(kept, "p/visit_20260102T030405682_video0_f4_t3.jpg");
        for (visit, identity) in [(1, Some("p")), (2, Some("p")), (3, Some("p"))] {
            assert_eq!(best.keep(visit, identity, &mut crops).unwrap(), None);
        }
        best.offer(&of(4, 9), 1.0, &CROP, [16, 8]);
        assert_eq!(best.keep(4, None, &mut crops).unwrap(), None);
        for visit in 5..9 {
            best.offer(&of(visit, 9), 1.0, &CROP, [16, 8]);
            best.keep(visit, Some("p"), &mut crops).unwrap().unwrap();
        }
        // Two of each kind.
        assert_eq!(files(&folder.path().join("p")).unwrap().len(), 4);
        for path in exemplars.into_iter().flatten() {
            assert!(inside(folder.path(), &path).unwrap().exists());
        }
        assert_eq!(forget(folder.path(), "p").unwrap(), 4);
    }

    #[test]
    fn no_link_leads_out_of_the_folder() {
        use std::os::unix::fs::symlink;

        let dir = tempfile::tempdir().unwrap();
        let (folder, outside) = (dir.path().join("crops"), dir.path().join("letters"));
        for path in [&folder.join("anna"), &outside] {
            fs::create_dir_all(path).unwrap();
        }
        let letter = outside.join("1.jpg");
        fs::write(&letter, b"hers").unwrap();
        symlink(&outside, folder.join("bob")).unwrap();
        symlink("anna", folder.join("carl")).unwrap();
        symlink(&letter, folder.join("anna/2.jpg")).unwrap();
        fs::create_dir(folder.join("anna/3.jpg")).unwrap();
        fs::write(folder.join("anna/1.jpg"), b"crop").unwrap();
        for (path, why) in [
            ("bob/1.jpg", "bob is a link, wanted a folder"),
            ("carl/1.jpg", "carl is a link, wanted a folder"),
            ("anna/2.jpg", "2.jpg is a link, wanted a file"),
            ("anna/3.jpg", "3.jpg is something else, wanted a file"),
        ] {
            let error = remove(&folder, path).unwrap_err().to_string();
            assert!(error.contains(why), "{path}: {error}");
        }
        assert!(letter.exists() && folder.join("anna/1.jpg").exists());
        assert!(folder.join("anna/2.jpg").is_symlink());

        // The folder that was named may be a link.
        let link = dir.path().join("link");
        symlink(&folder, &link).unwrap();
        remove(&link, "anna/1.jpg").unwrap();
        remove(&link, "anna/1.jpg").unwrap();
        remove(&link, "nobody/1.jpg").unwrap();
        assert!(!folder.join("anna/1.jpg").exists());
    }

    #[test]
    fn a_failing_disk_is_told_once_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut crops = Crops::new(folder.path(), 9).unwrap();
        // Where the folder should be there is a file.
        fs::write(folder.path().join("p"), b"").unwrap();
        let error = save(&mut crops, "p", 0).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path, .. } if path.ends_with("p")),
            "{error}"
        );
        assert_eq!(save(&mut crops, "p", 1).unwrap(), None);
        assert!(save(&mut crops, "q", 1).unwrap().is_some());
        assert_eq!(crops.failed(), 2);
        let error = crops.save("q", &taken(0), &CROP, 9, 16).unwrap_err();
        assert!(matches!(error, Error::Argument(_)), "{error}");
    }
}
