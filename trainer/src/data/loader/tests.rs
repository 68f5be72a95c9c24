//! Batches of small images made in tests.

use image::RgbImage;
use retrieval::Label;
use tempfile::TempDir;

use super::*;
use crate::data::sampler::{BatchOptions, in_order};
use synth::random::Draw;

/// So many JPEGs of noise of that size, two a person.
fn street(count: usize, width: u32, height: u32) -> (TempDir, Vec<Image>) {
    let folder = tempfile::tempdir().unwrap();
    let image = |index: usize| {
        let path = folder.path().join(format!("{index}.jpg"));
        let mut draw = Draw::new(1, "noise", &[index as u64]);
        // Blocks of 8 x 8 pixels, so that files are as large as those of photos.
        let mut shades = vec![[0u8; 3]; (width * height / 64 + 1) as usize];
        for shade in shades.as_flattened_mut() {
            *shade = draw.below(256) as u8;
        }
        let pixels = RgbImage::from_fn(width, height, |x, y| {
            let mut pixel = shades[(x / 8 + y / 8 * (width / 8)) as usize];
            for sample in &mut pixel {
                *sample = sample.saturating_add(draw.below(32) as u8);
            }
            image::Rgb(pixel)
        });
        pixels.save(&path).unwrap();
        let label = Label {
            person: (index / 2 + 1) as i32,
            camera: (index % 2) as u32,
        };
        Image { path, label }
    };
    let images = (0..count).map(image).collect();
    (folder, images)
}

fn photos(images: &[Image], cache_mb: usize) -> Arc<TrainImages> {
    let preprocessing = Preprocessing {
        height: 32,
        width: 16,
        ..Preprocessing::default()
    };
    let labels = images.iter().map(|i| i64::from(i.label.person) - 1);
    Arc::new(TrainImages::new(images.to_vec(), labels.collect(), preprocessing, cache_mb).unwrap())
}

fn work(photos: &TrainImages, seed: u64) -> EpochPlan {
    let sampler = BatchOptions {
        identities: 2,
        images: 4,
    };
    EpochPlan {
        batches: sampler.batches(photos.labels(), seed, 3).unwrap(),
        augment: Augment::default(),
        seed,
        epoch: 3,
    }
}

fn load(photos: &Arc<TrainImages>, work: &EpochPlan, threads: usize) -> Vec<Batch> {
    let options = LoaderOptions { threads, queue: 1 };
    let loader = Loader::start(photos, work.clone(), options).unwrap();
    loader.collect::<Result<_>>().unwrap()
}

#[test]
fn batches_are_the_same_with_any_number_of_threads() {
    let (_folder, images) = street(20, 16, 32);
    let plain = photos(&images, 0);
    let work_1 = work(&plain, 1);
    let wanted = load(&plain, &work_1, 1);
    assert_eq!(wanted.len(), work_1.batches.len());
    for (batch, indices) in wanted.iter().zip(&work_1.batches) {
        assert_eq!(&batch.indices, indices);
        assert_eq!(batch.pixels.len(), 8 * 3 * 32 * 16);
        for ((&index, &label), &camera) in indices.iter().zip(&batch.labels).zip(&batch.cameras) {
            assert_eq!((label, camera), (index as i64 / 2, index as u32 % 2));
        }
        // Two images a person, four places: who is there twice is changed in two ways.
        let of = |place: usize| &batch.pixels[place * 1536..][..1536];
        let twins = (0..8).flat_map(|a| (0..a).map(move |b| (a, b)));
        for (a, b) in twins.filter(|&(a, b)| indices[a] == indices[b]) {
            assert_ne!(of(a), of(b));
        }
    }
    assert!(wanted == load(&plain, &work_1, 2));
    assert!(wanted == load(&plain, &work_1, 3));
    // More threads than batches, and none named.
    assert!(wanted == load(&plain, &work_1, 9));
    assert!(wanted == load(&plain, &work_1, 0));
    assert_eq!(plain.cached_bytes(), 0);
    assert!(wanted != load(&plain, &work(&plain, 2), 2));

    // Out of the memory as from the files.
    let cached = photos(&images, 1);
    for _ in 0..2 {
        assert!(wanted == load(&cached, &work_1, 2));
        let distinct: std::collections::BTreeSet<_> = work_1.batches.iter().flatten().collect();
        assert_eq!(cached.cached_bytes(), distinct.len() * 1536);
    }
    for image in &images {
        std::fs::remove_file(&image.path).unwrap();
    }
    assert!(wanted == load(&cached, &work_1, 2));
}

#[test]
fn the_cache_keeps_to_its_limit() {
    let cache = Cache::new(4, 10);
    cache.keep(0, &[1; 6]);
    cache.keep(1, &[2; 5]);
    cache.keep(0, &[3; 4]);
    cache.keep(2, &[4; 4]);
    let kept: Vec<_> = (0..4).map(|index| cache.get(index)).collect();
    assert_eq!(kept, [Some(&[1; 6][..]), None, Some(&[4; 4][..]), None]);
    assert_eq!(cache.used.load(Ordering::Relaxed), 10);
}

#[test]
fn an_evaluation_reads_what_the_device_reads() {
    let (_folder, images) = street(3, 24, 40);
    let photos = photos(&images, 0);
    let work = EpochPlan {
        batches: in_order(photos.len(), 2),
        augment: Augment::none(),
        seed: 0,
        epoch: 0,
    };
    let batches = load(&photos, &work, 2);
    assert_eq!(batches[0].indices, [0, 1]);
    assert_eq!(batches[1].indices, [2]);
    let mut picture = Picture::default();
    picture.read(&images[2].path).unwrap();
    let mut resized = vec![0; 32 * 16 * 3];
    let mut cropper = Cropper::new(&photos.preprocessing).unwrap();
    cropper
        .whole(picture.view().unwrap(), &mut resized)
        .unwrap();
    let mut wanted = vec![0.0; 32 * 16 * 3];
    let normaliser = network::preprocess::Normaliser::new(&photos.preprocessing).unwrap();
    normaliser.fill(&resized, &mut wanted).unwrap();
    assert_eq!(batches[1].pixels, wanted);
}

#[test]
fn a_broken_file_ends_the_epoch_and_is_named() {
    let (_folder, images) = street(20, 16, 32);
    let whole = std::fs::read(&images[9].path).unwrap();
    std::fs::write(&images[9].path, &whole[..whole.len() / 2]).unwrap();
    let photos = photos(&images, 0);
    for threads in [1, 2, 3] {
        let work = EpochPlan {
            batches: in_order(photos.len(), 4),
            augment: Augment::default(),
            seed: 0,
            epoch: 0,
        };
        let options = LoaderOptions { threads, queue: 2 };
        let mut loader = Loader::start(&photos, work, options).unwrap();
        assert!(loader.next().unwrap().is_ok() && loader.next().unwrap().is_ok());
        let error = loader.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("9.jpg: "), "{error}");
        assert!(loader.next().is_none());
        assert!(loader.threads.is_empty());
    }
}

#[test]
fn dropping_it_ends_its_threads() {
    let (_folder, images) = street(8, 16, 32);
    let photos = photos(&images, 0);
    // Far more than fits into the queues.
    let work = EpochPlan {
        batches: vec![vec![0, 1, 2, 3]; 10_000],
        ..work(&photos, 0)
    };
    let options = LoaderOptions {
        threads: 2,
        queue: 1,
    };
    let mut loader = Loader::start(&photos, work, options).unwrap();
    assert!(loader.next().unwrap().is_ok());
    assert!(loader.waited() > Duration::ZERO);
    assert!((0.0..=1.0).contains(&loader.share_waited()));
    drop(loader);
    // The threads had the only other references.
    assert_eq!(Arc::strong_count(&photos), 1);
}

#[test]
fn bad_input_is_named() {
    let (_folder, images) = street(2, 16, 32);
    let set = photos(&images, 0);
    let start = |threads, queue, change: fn(&mut EpochPlan)| {
        let mut work = EpochPlan {
            batches: vec![vec![0]],
            augment: Augment::none(),
            seed: 0,
            epoch: 0,
        };
        change(&mut work);
        let options = LoaderOptions { threads, queue };
        Loader::start(&set, work, options).map(Iterator::count)
    };
    assert_eq!(start(1, 1, |_| ()).unwrap(), 1);
    assert_eq!(start(2, 1, |work| work.batches.clear()).unwrap(), 0);
    let cases = [
        (start(257, 1, |_| ()), "threads of the loader is 257"),
        (
            start(1, 0, |_| ()),
            "queue of the loader is 0, wanted 1 to 64",
        ),
        (
            start(1, 1, |work| work.batches[0].push(2)),
            "a batch wants image 2 of 2",
        ),
        (
            start(1, 1, |work| work.augment.flip_probability = 2.0),
            "flip_probability is 2",
        ),
    ];
    for (result, wanted) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let preprocessing = Preprocessing::default();
    let error = TrainImages::new(images, vec![0], preprocessing, 0).unwrap_err();
    assert!(
        error.to_string().contains("2 images have 1 labels"),
        "{error}"
    );
}

/// On two shared cores of an x86-64 AMD EPYC with a load of about 4, two runs: from files 5508 and 4337
/// images/s with one thread, 9469 and 8680 with two; from memory 14715 and 12292, 13229 and 13412.
///
/// `cargo test --release -p trainer --no-default-features images_a_second -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn images_a_second() {
    let (_folder, images) = street(512, 64, 128);
    let bytes: u64 = (images.iter())
        .map(|image| image.path.metadata().unwrap().len())
        .sum();
    println!(
        "JPEGs of 64 x 128 to 128 x 256, {} bytes on average",
        bytes / 512
    );
    let labels = vec![0; images.len()];
    for (what, cache_mb) in [("from the files", 0), ("from memory", 64)] {
        for threads in [1, 2] {
            let preprocessing = Preprocessing::default();
            let photos = TrainImages::new(images.clone(), labels.clone(), preprocessing, cache_mb);
            let photos = Arc::new(photos.unwrap());
            let mut rates = Vec::new();
            for epoch in 0..6 {
                let work = EpochPlan {
                    batches: in_order(photos.len(), 64),
                    augment: Augment::default(),
                    seed: 1,
                    epoch,
                };
                let options = LoaderOptions { threads, queue: 2 };
                let started = Instant::now();
                let loader = Loader::start(&photos, work, options).unwrap();
                let count = loader
                    .map(|batch| batch.unwrap().labels.len())
                    .sum::<usize>();
                rates.push(count as f64 / started.elapsed().as_secs_f64());
            }
            // The first epoch fills the memory.
            let rates = &mut rates[1..];
            rates.sort_by(f64::total_cmp);
            println!(
                "{what}, {threads} threads: {:.0} images/s (median of 5)",
                rates[2]
            );
        }
    }
}
