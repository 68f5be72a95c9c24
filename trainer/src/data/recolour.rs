//! A copy of a data set in which each camera has its own hue, brightness, contrast and saturation, so
//! that colours alone no longer identify a person.

use std::path::Path;

use super::augment::Jitter;
use super::dataset::{Dataset, Image};
use super::picture::Picture;
use crate::{Error, Result};
use synth::random::Draw;
use synth::workers;

/// JPEG quality.
const QUALITY: u8 = 95;

/// Writes the images of the data set in `root` into `out`, a folder that is empty or new, each below
/// its own name. `seed` names what each camera does to colours; `jitter.probability` does not count. `seen` is
/// called for each image.
///
/// # Errors
/// [`Error::File`] if `out` is not empty, a file cannot be decoded or is no JPEG by its name; and if
/// files of `set` do not say which camera took them. [`Error::Argument`] for a range beyond its
/// limits or more than 256 threads.
pub fn recolour(
    root: &Path,
    set: &Dataset,
    out: &Path,
    jitter: Jitter,
    seed: u64,
    threads: usize,
    seen: impl Fn() + Sync,
) -> Result<usize> {
    if !set.cameras {
        return Err(Error::file(
            root,
            "its files name no camera, wanted cameras to give colours to",
        ));
    }
    let jitter = Jitter {
        probability: 1.0,
        ..jitter
    };
    jitter.check()?;
    let threads = workers::count(threads)?;
    workers::empty_folder(out)?;
    let images: Vec<&Image> = set.images().collect();
    let written = workers::each(&images, threads, |image| {
        let mut picture = Picture::default();
        picture.read(&image.path)?;
        let (width, height) = (picture.width(), picture.height());
        let mut rgb = picture.rgb().to_vec();
        // One name for all images of a camera: the same draws.
        let camera = u64::from(image.label.camera);
        jitter.apply(
            &mut rgb,
            &mut Draw::new(seed, "colours of a camera", &[camera]),
        );
        let path = place(root, out, &image.path)?;
        let mut jpeg = Vec::new();
        media::picture::encode(&rgb, [width, height], QUALITY, &mut jpeg)
            .map_err(Error::io(&path))?;
        if let Some(folder) = path.parent() {
            cli::private::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        cli::private::write(&path, jpeg).map_err(Error::io(&path))?;
        seen();
        Ok::<(), Error>(())
    })?;
    Ok(written.len())
}

/// Where the image at `path` below `root` goes.
fn place(root: &Path, out: &Path, path: &Path) -> Result<std::path::PathBuf> {
    let jpeg = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("jpg") || e.eq_ignore_ascii_case("jpeg"));
    match path.strip_prefix(root) {
        Ok(below) if jpeg => Ok(out.join(below)),
        Ok(_) => Err(Error::file(path, "is no .jpg, which is what is written")),
        Err(_) => Err(Error::file(
            path,
            format!("is not below {}", root.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::dataset::DatasetOptions;

    /// Two cameras that look at the same grey-blue person.
    fn market(root: &Path) {
        for name in [
            "query/0001_c1s1_000001_00.jpg",
            "bounding_box_test/0001_c2s1_000001_00.jpg",
            "bounding_box_test/0001_c2s1_000002_00.jpg",
        ] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let image = image::RgbImage::from_pixel(8, 16, image::Rgb([60, 90, 160]));
            image.save(path).unwrap();
        }
    }

    fn pixel(path: &Path) -> [u8; 3] {
        let mut picture = Picture::default();
        picture.read(path).unwrap();
        *picture.rgb().first_chunk().unwrap()
    }

    #[test]
    fn a_camera_has_one_change_of_colours_and_another_camera_another() {
        let folder = tempfile::tempdir().unwrap();
        let (root, out) = (folder.path().join("in"), folder.path().join("out"));
        market(&root);
        let set = Dataset::open(&root, &DatasetOptions::default()).unwrap();
        let jitter = Jitter {
            hue: 0.3,
            brightness: 0.4,
            ..Jitter::default()
        };
        let written = recolour(&root, &set, &out, jitter, 1, 2, || ()).unwrap();
        assert_eq!(written, 3);
        let mode = |path: &str| {
            use std::os::unix::fs::PermissionsExt;
            let found = fs::metadata(out.join(path)).unwrap();
            found.permissions().mode() & 0o777
        };
        assert_eq!(mode("query"), 0o700);
        assert_eq!(mode("query/0001_c1s1_000001_00.jpg"), 0o600);
        let query = pixel(&out.join("query/0001_c1s1_000001_00.jpg"));
        let first = pixel(&out.join("bounding_box_test/0001_c2s1_000001_00.jpg"));
        let second = pixel(&out.join("bounding_box_test/0001_c2s1_000002_00.jpg"));
        assert_eq!(first, second);
        assert_ne!(query, first);
        assert_ne!(query, [60, 90, 160]);
        // The layout is kept: it can be evaluated like the one it comes from.
        let read = Dataset::open(&out, &DatasetOptions::default()).unwrap();
        assert_eq!((read.query.len(), read.gallery.len()), (1, 2));
        let again = recolour(&root, &set, &out, jitter, 1, 2, || ());
        assert!(again.unwrap_err().to_string().contains("not empty"));
    }

    #[test]
    fn what_has_no_cameras_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let set = Dataset {
            cameras: false,
            ..Dataset::join(vec![Dataset {
                name: "a".to_owned(),
                train: Vec::new(),
                query: Vec::new(),
                gallery: Vec::new(),
                cameras: true,
                left_out: Vec::new(),
            }])
            .unwrap()
        };
        let out = folder.path().join("out");
        let error = recolour(folder.path(), &set, &out, Jitter::default(), 1, 1, || ());
        assert!(error.unwrap_err().to_string().contains("name no camera"));
    }
}
