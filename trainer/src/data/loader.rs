//! Batches, made ahead of time in threads of their own.
//!
//! In: the images ([`Photos`]), and which of them make up each batch ([`Work`]). Out: an iterator of
//! [`Batch`]es in that order. Every thread makes whole batches, thread t of n those with the numbers
//! t, t + n, t + 2n ..., and hands them over through a short queue of its own: the order is that of
//! the work, and as chance is named by an image's place, so is every bit, whatever the number of
//! threads. A full queue makes its thread wait, so that memory is bounded.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kernels::contract::Preprocessing;
use kernels::crop::Cropper;
use serde::{Deserialize, Serialize};

use super::augment::{Augment, Augmenter, Place};
use super::dataset::Image;
use super::picture::Picture;
use crate::{Error, Result};

/// The images that batches are made of, and those that are kept in memory.
#[derive(Debug)]
pub struct Photos {
    images: Vec<Image>,
    /// What a batch says of an image: its class.
    labels: Vec<i64>,
    contract: Preprocessing,
    cache: Cache,
}

impl Photos {
    /// `images` and their `labels` (classes), for networks that want their input like `contract`.
    /// Resized images are kept in memory until they take `cache_mb` MiB (128 x 256 pixels are 96
    /// KiB); the others are decoded anew each time.
    ///
    /// # Errors
    /// [`Error::Argument`] if there are more images than labels or fewer; as
    /// [`Preprocessing::check`].
    pub fn new(
        images: Vec<Image>,
        labels: Vec<i64>,
        contract: Preprocessing,
        cache_mb: usize,
    ) -> Result<Self> {
        if images.len() != labels.len() {
            return Err(Error::Argument(format!(
                "{} images have {} labels",
                images.len(),
                labels.len()
            )));
        }
        contract.check()?;
        Ok(Self {
            cache: Cache::new(images.len(), cache_mb.saturating_mul(1 << 20)),
            images,
            labels,
            contract,
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

/// Resized images by index, never dropped: who comes first stays.
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

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Work {
    /// Indices of images, a list a batch.
    pub batches: Vec<Vec<usize>>,
    /// What happens to the images; [`Augment::none`] for an evaluation.
    pub augment: Augment,
    /// Names the chance, with the epoch.
    pub seed: u64,
    /// From 0 on.
    pub epoch: u64,
}

/// How it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderOptions {
    /// Threads, at most 256; 0 for one a core.
    pub threads: usize,
    /// Finished batches that each thread may have waiting, 1 to 64.
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
            if !(least..=most).contains(&found) {
                return Err(Error::Argument(format!(
                    "{what} of the loader is {found}, wanted {least} to {most}"
                )));
            }
        }
        Ok(())
    }
}

/// What a network is trained with in one step.
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

/// An epoch's batches. Threads end with the last one, with an error, or when it is dropped.
#[derive(Debug)]
pub struct Loader {
    /// One a thread, the one with the next batch in front.
    queues: VecDeque<Receiver<Result<Batch>>>,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    left: usize,
    started: Instant,
    waited: Duration,
}

impl Loader {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Argument`] for an option out of its range or an image that there is not.
    pub fn start(photos: &Arc<Photos>, work: Work, options: LoaderOptions) -> Result<Self> {
        options.check()?;
        // So that an error of the settings does not wait for the first batch.
        Augmenter::new(work.augment, &photos.contract)?;
        let beyond = (work.batches.iter().flatten()).find(|&&index| index >= photos.len());
        if let Some(index) = beyond {
            return Err(Error::Argument(format!(
                "a batch wants image {index} of {}",
                photos.len()
            )));
        }
        let threads = match options.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let threads = threads.min(work.batches.len());
        let mut loader = Self {
            queues: VecDeque::new(),
            threads: Vec::new(),
            stop: Arc::new(AtomicBool::new(false)),
            left: work.batches.len(),
            started: Instant::now(),
            waited: Duration::ZERO,
        };
        let work = Arc::new(work);
        for number in 0..threads {
            let (sender, receiver) = sync_channel(options.queue);
            let (photos, work) = (photos.clone(), work.clone());
            let stop = loader.stop.clone();
            let make = move || {
                let mut maker = match Maker::new(&photos, &work, &stop) {
                    Ok(maker) => maker,
                    // A send fails when nobody waits any more.
                    Err(error) => return drop(sender.send(Err(error))),
                };
                for batch in (number..work.batches.len()).step_by(threads) {
                    let Some(made) = maker.batch(batch).transpose() else {
                        return;
                    };
                    let failed = made.is_err();
                    if sender.send(made).is_err() || failed {
                        return;
                    }
                }
            };
            let thread = thread::Builder::new()
                .name(format!("loader {number}"))
                .spawn(make)
                .map_err(|e| Error::Argument(format!("thread {number} of the loader: {e}")))?;
            loader.threads.push(thread);
            loader.queues.push_back(receiver);
        }
        Ok(loader)
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

    /// Ends the threads. One that panicked takes this one along, unless it panics already.
    fn finish(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.left = 0;
        // Threads that wait for room in a queue see that it is gone.
        self.queues.clear();
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join()
                && !thread::panicking()
            {
                resume_unwind(panic);
            }
        }
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    /// The next batch; the first error, which names the file, is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let asked = Instant::now();
        let received = self.queues.front().map(Receiver::recv);
        self.waited += asked.elapsed();
        self.queues.rotate_left(1);
        self.left -= 1;
        match received {
            Some(Ok(Ok(batch))) => Some(Ok(batch)),
            Some(Ok(Err(error))) => {
                self.finish();
                Some(Err(error))
            }
            // Only a panic ends a thread early.
            Some(Err(_)) | None => {
                self.finish();
                let reason = "a thread of the loader ended early".to_owned();
                Some(Err(Error::Argument(reason)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // An error ends it early.
        (usize::from(self.left > 0), Some(self.left))
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.finish();
    }
}

/// What one thread works with.
struct Maker<'a> {
    photos: &'a Photos,
    work: &'a Work,
    stop: &'a AtomicBool,
    /// How many images come before each batch.
    before: Vec<u64>,
    picture: Picture,
    cropper: Cropper,
    resized: Vec<u8>,
    augmenter: Augmenter,
}

impl<'a> Maker<'a> {
    fn new(photos: &'a Photos, work: &'a Work, stop: &'a AtomicBool) -> Result<Self> {
        let contract = &photos.contract;
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
            cropper: Cropper::new(contract)?,
            resized: vec![0; contract.height * contract.width * 3],
            augmenter: Augmenter::new(work.augment, contract)?,
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
            let Work { seed, epoch, .. } = *self.work;
            self.image(image, Place { seed, epoch, index }, out)?;
        }
        let of = |index: &usize| &self.photos.images[*index];
        Ok(Some(Batch {
            labels: indices.iter().map(|&i| self.photos.labels[i]).collect(),
            cameras: indices.iter().map(|i| of(i).label.camera).collect(),
            indices: indices.clone(),
            pixels,
        }))
    }

    fn image(&mut self, index: usize, place: Place, out: &mut [f32]) -> Result<()> {
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
