//! A set of image files as a [`Source`].

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::pictures::{PassedOver, Pictures, WANTED};
use crate::{Error, Frame, MAX_BYTES, Note, Rate, Result, Source, Status};

/// Image files in path order.
#[derive(Debug)]
pub(super) struct Images {
    name: String,
    /// Frames are named by their path below this folder.
    root: PathBuf,
    paths: Vec<PathBuf>,
    passed_over: PassedOver,
    next: usize,
    rate: Rate,
    bytes: Vec<u8>,
}

impl Images {
    /// The source of `pictures`, which `name` stands for.
    pub(super) fn new(
        name: &str,
        root: &Path,
        pictures: Pictures,
        rate: Option<Rate>,
    ) -> Result<Self> {
        let Pictures { paths, passed_over } = pictures;
        if paths.is_empty() {
            let mut reason = format!("found no {WANTED} file there");
            if !passed_over.is_empty() {
                reason += &format!("; {passed_over}");
            }
            return Err(Error::unsupported(name, reason));
        }
        Ok(Self {
            name: name.to_owned(),
            root: root.to_owned(),
            paths,
            passed_over,
            next: 0,
            rate: rate.unwrap_or(Rate::IMAGES),
            bytes: Vec::new(),
        })
    }
}

impl Source for Images {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Option<u64> {
        Some(self.paths.len() as u64)
    }

    fn note(&self) -> Option<Note> {
        (!self.passed_over.is_empty()).then(|| Note {
            text: format!("{}: {}", self.name, self.passed_over),
            incomplete: self.passed_over.lost() > 0,
        })
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        let Some(path) = self.paths.get(self.next) else {
            return Ok(Status::End);
        };
        frame.index = self.next as u64;
        frame.stream_time = self.rate.time_of(frame.index);
        self.next += 1;
        let name = frame.name.get_or_insert_default();
        name.clear();
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        name.push_str(&below.to_string_lossy());
        read_whole(path, &mut self.bytes)
            .map_err(|e| e.to_string())
            .and_then(|()| frame.decode(&self.bytes))
            .map_err(|reason| Error::frame(&path.to_string_lossy(), frame.index, reason))?;
        Ok(Status::Frame)
    }
}

/// The bytes of a file, refused beyond [`MAX_BYTES`].
fn read_whole(path: &Path, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("larger than the limit of {MAX_BYTES} bytes"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::RgbImage;

    use super::*;

    fn open(spec: &str, root: &Path) -> Result<Images> {
        let pictures = Pictures::of_set(spec)?.expect("a folder or a pattern");
        Images::new(spec, root, pictures, None)
    }

    fn open_folder(folder: &Path) -> Result<Images> {
        open(folder.to_str().unwrap(), folder)
    }

    fn open_pattern(pattern: &str) -> Result<Images> {
        open(pattern, Path::new(""))
    }

    /// A folder with images in it, one of them broken, and what is none.
    fn image_folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("b/deep")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        for (path, side) in [
            ("c.JPEG", 3),
            ("a.png", 1),
            ("b/deep/x.jpg", 2),
            (".git/y.jpg", 9),
            ("._a.png", 9),
        ] {
            RgbImage::new(side, side).save(at(path)).unwrap();
        }
        fs::write(at("b/broken.jpg"), b"\xff\xd8 and no more").unwrap();
        fs::write(at("labels.txt"), b"no image").unwrap();
        folder
    }

    fn names(images: &mut Images) -> Vec<Result<(String, usize), String>> {
        let mut frame = Frame::default();
        let mut found = Vec::new();
        loop {
            match images.read(&mut frame) {
                Ok(Status::End) => return found,
                Ok(Status::Frame) => found.push(Ok((frame.name.clone().unwrap(), frame.width))),
                Err(error) => {
                    assert!(error.is_recoverable(), "{error}");
                    found.push(Err(error.to_string()));
                }
            }
            assert_eq!(frame.index + 1, found.len() as u64);
            assert_eq!(frame.stream_time.as_millis() as u64, frame.index * 40);
        }
    }

    #[test]
    fn a_folder_is_read_in_path_order_and_goes_on_behind_a_broken_file() {
        let folder = image_folder();
        let mut images = open_folder(folder.path()).unwrap();
        assert_eq!(images.len(), Some(4));
        let found = names(&mut images);
        assert_eq!(found[0], Ok(("a.png".to_owned(), 1)));
        let error = found[1].as_ref().unwrap_err();
        let broken = folder.path().join("b/broken.jpg");
        assert!(
            error.starts_with(&format!("{}: frame 1: ", broken.display())),
            "{error}"
        );
        assert_eq!(found[2], Ok(("b/deep/x.jpg".to_owned(), 2)));
        assert_eq!(found[3], Ok(("c.JPEG".to_owned(), 3)));
        assert_eq!(found.len(), 4);
        let note = images.note().unwrap();
        let name = folder.path().display();
        assert_eq!(note.text, format!("{name}: passed over: 1 x .txt"));
        assert!(!note.incomplete);
    }

    #[test]
    fn a_file_that_vanishes_is_one_broken_frame() {
        let folder = image_folder();
        let mut images = open_folder(folder.path()).unwrap();
        fs::remove_file(folder.path().join("a.png")).unwrap();
        let found = names(&mut images);
        assert!(found[0].is_err() && found[3].is_ok(), "{found:?}");
    }

    #[test]
    fn a_pattern_takes_the_images_that_match() {
        let folder = image_folder();
        fs::create_dir_all(folder.path().join("b/@eaDir/x.jpg")).unwrap();
        fs::write(folder.path().join("b/@eaDir/x.jpg/thumb.jpg"), "").unwrap();
        for (pattern, wanted) in [
            ("*.png", 1),
            ("b/*", 1),
            ("**/*", 4),
            ("?.*", 2),
            ("b/@eaDir/x.jpg/*", 1),
        ] {
            let pattern = folder.path().join(pattern);
            let images = open_pattern(pattern.to_str().unwrap());
            assert_eq!(images.unwrap().paths.len(), wanted, "{}", pattern.display());
        }
    }

    #[test]
    fn nothing_to_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = open_folder(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("found no .jpg, .jpeg, .jpe, .jfif, .png or .bmp file"),
            "{error}"
        );
        let error = open_pattern("nowhere/*.jpg").unwrap_err().to_string();
        assert!(
            error.contains("found no .jpg, .jpeg, .jpe, .jfif, .png or .bmp file"),
            "{error}"
        );
        let error = open_pattern("a***").unwrap_err().to_string();
        assert!(error.contains("not a pattern"), "{error}");
    }
}
