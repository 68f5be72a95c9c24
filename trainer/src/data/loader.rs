//! Batches, prepared ahead of time in threads.
//!
//! In: the images ([`TrainImages`]) and the batches of an epoch ([`EpochPlan`]). Out: an iterator of
//! [`Batch`]es in that order, the same for any number of threads. Each thread takes the next batch that
//! is not started; a fixed share for each thread was slower under load (0.3 to 1.0 times one thread
//! with two threads on two cores at load 6). The number of waiting batches is bounded.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use network::metadata::Preprocessing;
use network::preprocess::Cropper;
use serde::{Deserialize, Serialize};

use super::augment::{Augment, Augmenter, ImagePosition};
use super::dataset::Image;
use super::picture::Picture;
use crate::{Error, Result};

/// The images that batches are made of, and those that are kept in memory.
#[derive(Debug)]
pub struct TrainImages {
    images: Vec<Image>,
    /// The class of each image.
    labels: Vec<i64>,
    preprocessing: Preprocessing,
    cache: Cache,
}

impl TrainImages {
    /// `images` and their `labels` (classes), for networks that want their input like `preprocessing`.
    /// Resized images are kept in memory until they take `cache_mb` MiB (128 x 256 pixels are 96
    /// KiB); the others are decoded anew each time.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are more images than labels or fewer; as
    /// [`Preprocessing::check`].
    pub fn new(
        images: Vec<Image>,
        labels: Vec<i64>,
        preprocessing: Preprocessing,
        cache_mb: usize,
    ) -> Result<Self> {
        ensure!(
            images.len() == labels.len(),
            "{} images have {} labels",
            images.len(),
            labels.len()
        );
        preprocessing.check()?;
        Ok(Self {
            cache: Cache::new(images.len(), cache_mb.saturating_mul(1 << 20)),
            images,
            labels,
            preprocessing,
        })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// The classes, in the order of the images.
    #[must_use]
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// The images.
    #[must_use]
    pub fn images(&self) -> &[Image] {
        &self.images
    }

    /// Bytes of images in memory.
    #[must_use]
    pub fn cached_bytes(&self) -> usize {
        self.cache.used.load(Ordering::Relaxed)
    }
}

/// Resized images by index. Images are never removed.
#[derive(Debug)]
struct Cache {
    images: Vec<OnceLock<Box<[u8]>>>,
    used: AtomicUsize,
    limit: usize,
}

impl Cache {
    fn new(images: usize, limit: usize) -> Self {
        Self {
            images: (0..images).map(|_| OnceLock::new()).collect(),
            used: AtomicUsize::new(0),
            limit,
        }
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        self.images[index].get().map(AsRef::as_ref)
    }

    fn keep(&self, index: usize, rgb: &[u8]) {
        let room = |used: usize| used.checked_add(rgb.len()).filter(|&all| all <= self.limit);
        let relaxed = Ordering::Relaxed;
        if self.used.fetch_update(relaxed, relaxed, room).is_ok()
            && self.images[index].set(rgb.into()).is_err()
        {
            // Another thread was faster.
            self.used.fetch_sub(rgb.len(), relaxed);
        }
    }
}

/// The batches of an epoch.
#[derive(Debug, Clone)]
pub struct EpochPlan {
    /// Indices of images, a list a batch.
    pub batches: Vec<Vec<usize>>,
    /// What happens to the images; [`Augment::none`] for an evaluation.
    pub augment: Augment,
    /// Seed of the random numbers.
    pub seed: u64,
    /// From 0 on.
    pub epoch: u64,
}

/// Threads and queue of the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderOptions {
    /// Threads, at most 256; 0 for one a core.
    pub threads: usize,
    /// Finished batches that may wait, for each thread, 1 to 64.
    pub queue: usize,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            threads: 0,
            queue: 2,
        }
    }
}

impl LoaderOptions {
    /// # Errors
    /// [`Error::Argument`] naming the first option out of its range.
    pub fn check(&self) -> Result<()> {
        for (what, found, least, most) in [
            ("threads", self.threads, 0, 256),
            ("queue", self.queue, 1, 64),
        ] {
            ensure!(
                (least..=most).contains(&found),
                "{what} of the loader is {found}, wanted {least} to {most}"
            );
        }
        Ok(())
    }
}

/// A batch of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[images, 3, height, width]`, normalised, in the network's order of planes.
    pub pixels: Vec<f32>,
    /// The class of each image.
    pub labels: Vec<i64>,
    /// Which images these are.
    pub indices: Vec<usize>,
    /// The camera of each image.
    pub cameras: Vec<u32>,
}

/// A finished batch; a panic is passed on.
type BatchResult = thread::Result<Result<Batch>>;

/// An epoch's batches. Threads end with the last one, with an error, or when it is dropped.
#[derive(Debug)]
pub struct Loader {
    /// Numbers of batches to be made; gone when no more are wanted.
    tasks: Option<Sender<usize>>,
    finished: Receiver<(usize, BatchResult)>,
    /// Batches that finished early.
    early: BTreeMap<usize, BatchResult>,
    /// Batches that have not been given to a thread.
    not_begun: Range<usize>,
    /// The batches that have not been handed out.
    left: Range<usize>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    started: Instant,
    waited: Duration,
}

impl Loader {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Argument`] for an option out of its range or an image that there is not.
    pub fn start(
        photos: &Arc<TrainImages>,
        work: EpochPlan,
        options: LoaderOptions,
    ) -> Result<Self> {
        options.check()?;
        // So that an error of the settings does not wait for the first batch.
        Augmenter::new(work.augment, &photos.preprocessing)?;
        let beyond = (work.batches.iter().flatten()).find(|&&index| index >= photos.len());
        if let Some(index) = beyond {
            bail!("a batch wants image {index} of {}", photos.len());
        }
        let threads = match options.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let threads = threads.min(work.batches.len());
        let (tasks, wanted) = channel();
        let (done, finished) = channel();
        let all = 0..work.batches.len();
        let mut loader = Self {
            tasks: Some(tasks),
            finished,
            early: BTreeMap::new(),
            not_begun: all.clone(),
            left: all,
            threads: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
            started: Instant::now(),
            waited: Duration::ZERO,
        };
        for _ in 0..threads * (1 + options.queue) {
            loader.begin_one();
        }
        let (work, wanted) = (Arc::new(work), Arc::new(Mutex::new(wanted)));
        for number in 0..threads {
            let (photos, work, wanted) = (photos.clone(), work.clone(), wanted.clone());
            let (stop, done) = (loader.stop.clone(), done.clone());
            let thread = thread::Builder::new()
                .name(format!("loader {number}"))
                .spawn(move || make(&photos, &work, &stop, &wanted, &done))
                .map_err(|e| Error::Argument(format!("thread {number} of the loader: {e}")))?;
            loader.threads.push(thread);
        }
        Ok(loader)
    }

    /// Hands the next batch that is not started to a thread.
    fn begin_one(&mut self) {
        if let (Some(tasks), Some(batch)) = (&self.tasks, self.not_begun.next()) {
            // Fails when every thread has ended, which `receive` reports.
            let _ = tasks.send(batch);
        }
    }

    /// Batch `number`, waiting for it; none if no thread is left to make it.
    fn receive(&mut self, number: usize) -> Option<BatchResult> {
        loop {
            if let Some(made) = self.early.remove(&number) {
                return Some(made);
            }
            let (number, made) = self.finished.recv().ok()?;
            self.early.insert(number, made);
        }
    }

    /// How long [`Loader::next`] has waited for batches that were not ready.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The share of the time since the start that was spent waiting, `0.0..=1.0`: near 0, the network
    /// is what takes time; near 1, more threads or smaller files would help.
    #[must_use]
    pub fn share_waited(&self) -> f64 {
        let all = self.started.elapsed().as_secs_f64();
        if all > 0.0 {
            (self.waited.as_secs_f64() / all).min(1.0)
        } else {
            0.0
        }
    }

    /// Ends the threads: the one at work with its image, the others at once.
    fn finish(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.left = 0..0;
        self.tasks = None;
        self.early.clear();
        for thread in self.threads.drain(..) {
            // What panicked in it has been sent.
            let _ = thread.join();
        }
    }
}

/// What a thread does: batches, until no more are wanted or one fails.
fn make(
    photos: &TrainImages,
    work: &EpochPlan,
    stop: &AtomicBool,
    wanted: &Mutex<Receiver<usize>>,
    done: &Sender<(usize, BatchResult)>,
) {
    let mut maker = None;
    loop {
        // Nothing panics while it is locked.
        let next = wanted.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(number) = next else {
            return;
        };
        let made = catch_unwind(AssertUnwindSafe(|| {
            let maker = match &mut maker {
                Some(maker) => maker,
                none => none.insert(BatchMaker::new(photos, work, stop)?),
            };
            maker.batch(number)
        }));
        let failed = !matches!(made, Ok(Ok(_)));
        let made = match made {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(batch))) => Ok(Ok(batch)),
            Ok(Err(error)) => Ok(Err(error)),
            Err(panic) => Err(panic),
        };
        // Fails when the loader was dropped.
        if done.send((number, made)).is_err() || failed {
            return;
        }
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    /// The next batch; the first error, which names the file, is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        let number = self.left.next()?;
        let asked = Instant::now();
        let made = self.receive(number);
        self.waited += asked.elapsed();
        match made {
            Some(Ok(Ok(batch))) => {
                self.begin_one();
                Some(Ok(batch))
            }
            Some(Ok(Err(error))) => {
                self.finish();
                Some(Err(error))
            }
            Some(Err(panic)) => {
                self.finish();
                resume_unwind(panic)
            }
            None => {
                self.finish();
                let reason = format!("no thread of the loader is left to make batch {number}");
                Some(Err(Error::Argument(reason)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends it early.
        (usize::from(!self.left.is_empty()), Some(self.left.len()))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.finish();
    }
}

/// State of one loader thread.
struct BatchMaker<'a> {
    photos: &'a TrainImages,
    work: &'a EpochPlan,
    stop: &'a AtomicBool,
    /// How many images come before each batch.
    before: Vec<u64>,
    picture: Picture,
    cropper: Cropper,
    resized: Vec<u8>,
    augmenter: Augmenter,
}

impl<'a> BatchMaker<'a> {
    fn new(photos: &'a TrainImages, work: &'a EpochPlan, stop: &'a AtomicBool) -> Result<Self> {
        let preprocessing = &photos.preprocessing;
        let mut images = 0;
        let before = |batch: &Vec<usize>| {
            let before = images;
            images += batch.len() as u64;
            before
        };
        Ok(Self {
            photos,
            work,
            stop,
            before: work.batches.iter().map(before).collect(),
            picture: Picture::default(),
            cropper: Cropper::new(preprocessing)?,
            resized: vec![0; preprocessing.height * preprocessing.width * 3],
            augmenter: Augmenter::new(work.augment, preprocessing)?,
        })
    }

    /// Batch `number`; none if it is not wanted any more.
    fn batch(&mut self, number: usize) -> Result<Option<Batch>> {
        let indices = &self.work.batches[number];
        let mut pixels = vec![0.0; indices.len() * self.resized.len()];
        let places = self.before[number]..;
        let slots = pixels.chunks_exact_mut(self.resized.len());
        for ((&image, out), index) in indices.iter().zip(slots).zip(places) {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let EpochPlan { seed, epoch, .. } = *self.work;
            self.image(image, ImagePosition { seed, epoch, index }, out)?;
        }
        let of = |index: &usize| &self.photos.images[*index];
        Ok(Some(Batch {
            labels: indices.iter().map(|&i| self.photos.labels[i]).collect(),
            cameras: indices.iter().map(|i| of(i).label.camera).collect(),
            indices: indices.clone(),
            pixels,
        }))
    }

    fn image(&mut self, index: usize, place: ImagePosition, out: &mut [f32]) -> Result<()> {
        if let Some(rgb) = self.photos.cache.get(index) {
            return self.augmenter.fill(rgb, place, out);
        }
        self.picture.read(&self.photos.images[index].path)?;
        self.cropper
            .whole(self.picture.view()?, &mut self.resized)?;
        self.photos.cache.keep(index, &self.resized);
        self.augmenter.fill(&self.resized, place, out)
    }
}

#[cfg(test)]
mod tests;
