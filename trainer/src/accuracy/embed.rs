//! Embeds image files on all threads: each thread decodes its images and computes their embeddings.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use network::metadata::Preprocessing;
use retrieval::Embeddings;

use crate::data::dataset::Image;
use crate::export::Reader;
use crate::{Error, Result};

/// The embeddings of images, one row for each. Each of `threads` threads calls `worker` once for a
/// function that embeds a crop, RGB bytes `[height, width, 3]`; `seen` is called after each image.
///
/// # Errors
/// [`Error::File`] for an image that cannot be read, errors of a worker, [`Error::Argument`] without
/// images or threads, or if embeddings differ in length.
pub fn embed_images<W: FnMut(&[u8]) -> Result<Vec<f32>>>(
    images: &[Image],
    preprocessing: &Preprocessing,
    threads: usize,
    worker: impl Fn() -> Result<W> + Sync,
    seen: impl Fn() + Sync,
) -> Result<Embeddings> {
    if images.is_empty() || threads == 0 {
        bail!(
            "{} images on {threads} threads, wanted at least one of each",
            images.len()
        );
    }
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let done: Mutex<Vec<(usize, Vec<f32>)>> = Mutex::new(Vec::with_capacity(images.len()));
    let work = || -> Result<()> {
        let mut reader = Reader::new(preprocessing)?;
        let mut embed = worker()?;
        while !stopped.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(image) = images.get(at) else { break };
            let row = reader.crop(&image.path).and_then(&mut embed);
            let row = row.inspect_err(|_| stopped.store(true, Ordering::Relaxed))?;
            done.lock()
                .expect("no thread panics while it is locked")
                .push((at, row));
            seen();
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(images.len()))
            .map(|_| scope.spawn(work))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            (worker.join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    let mut rows = done
        .into_inner()
        .expect("no thread panicked while it was locked");
    rows.sort_unstable_by_key(|(at, _)| *at);
    let dim = rows[0].1.len();
    if let Some((at, row)) = rows.iter().find(|(_, row)| row.len() != dim) {
        return Err(Error::file(
            &images[*at].path,
            format!(
                "its embedding has {} numbers, that of the first {dim}",
                row.len()
            ),
        ));
    }
    let rows: Vec<f32> = rows.into_iter().flat_map(|(_, row)| row).collect();
    Ok(Embeddings::new(dim, rows)?)
}

/// Threads to embed with: as many as the machine runs at once.
#[must_use]
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Unlabelled images for [`embed_images`]: person 0.
#[must_use]
pub fn unlabelled(paths: &[PathBuf]) -> Vec<Image> {
    let image = |path: &PathBuf| Image {
        path: path.clone(),
        label: retrieval::Label {
            person: 0,
            camera: 0,
        },
    };
    paths.iter().map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_images_on_any_number_of_threads() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..9u8)
            .map(|number| {
                let path = folder.path().join(format!("{number}.png"));
                let rgb = [number * 20; 12];
                image::save_buffer(&path, &rgb, 2, 2, image::ExtendedColorType::Rgb8).unwrap();
                path
            })
            .collect();
        let mut all = unlabelled(&paths);
        let preprocessing = Preprocessing {
            height: 2,
            width: 2,
            ..Preprocessing::default()
        };
        let run = || Ok(|crop: &[u8]| Ok(vec![f32::from(crop[0]), 1.0]));
        for threads in [1, 2, 30] {
            let count = AtomicUsize::new(0);
            let seen = || _ = count.fetch_add(1, Ordering::Relaxed);
            let found = embed_images(&all, &preprocessing, threads, run, seen).unwrap();
            let firsts: Vec<f32> = (0..9).map(|row| found.row(row)[0]).collect();
            assert_eq!(
                firsts,
                [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0]
            );
            assert_eq!(count.into_inner(), 9);
        }
        let uneven = || Ok(|crop: &[u8]| Ok(vec![1.0; if crop[0] > 150 { 2 } else { 1 }]));
        let error = embed_images(&all, &preprocessing, 2, uneven, || ()).unwrap_err();
        assert!(
            error.to_string().contains("8.png: its embedding has 2"),
            "{error}"
        );
        all[4].path = folder.path().join("none.png");
        let error = embed_images(&all, &preprocessing, 2, run, || ()).unwrap_err();
        assert!(error.to_string().contains("none.png"), "{error}");
        assert!(embed_images(&[], &preprocessing, 2, run, || ()).is_err());
    }
}
