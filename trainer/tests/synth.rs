//! Rendered data sets, read as any other.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use synth::{RenderOptions, SyntheticDataset};
use trainer::data::picture::Picture;
use trainer::data::{Dataset, Image, dataset};

fn small(seed: u64) -> RenderOptions {
    RenderOptions {
        identities: 8,
        cameras: 3,
        per_camera: 3,
        size: [64, 32],
        seed,
        ..RenderOptions::default()
    }
}

#[test]
fn the_layout_is_read_as_it_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let options = small(3);
    let rendered = SyntheticDataset::new(&options).unwrap();
    let ticks = AtomicUsize::new(0);
    let summary = rendered
        .write(folder.path(), 2, || {
            ticks.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    assert_eq!(ticks.into_inner(), rendered.pictures());
    let dataset = Dataset::open(folder.path(), &dataset::DatasetOptions::default()).unwrap();
    let found = [
        dataset.train.len(),
        dataset.query.len(),
        dataset.gallery.len(),
    ];
    assert_eq!(found, [summary.train, summary.query, summary.gallery]);
    let persons = |images: &[Image]| -> BTreeSet<i32> {
        images.iter().map(|image| image.label.person).collect()
    };
    assert_eq!(persons(&dataset.train), (1..=4).collect());
    assert_eq!(persons(&dataset.query), (5..=8).collect());
    assert_eq!(persons(&dataset.gallery), [-1, 0, 5, 6, 7, 8].into());
    let cameras = |images: &[Image]| -> BTreeSet<u32> {
        images.iter().map(|image| image.label.camera).collect()
    };
    assert_eq!(
        cameras(&dataset.train),
        [1, 2].into(),
        "the last camera is for the test"
    );
    assert!(cameras(&dataset.query).contains(&3));
    // Whoever is searched for is there, by another camera.
    for query in &dataset.query {
        let answers = dataset.gallery.iter().filter(|image| {
            image.label.person == query.label.person && image.label.camera != query.label.camera
        });
        assert!(answers.count() > 0, "{}", query.path.display());
    }
    let mut picture = Picture::default();
    for image in dataset.images() {
        picture.read(&image.path).unwrap();
        assert_eq!([picture.height(), picture.width()], options.size);
    }
    let again = rendered.write(folder.path(), 1, || ()).unwrap_err();
    assert!(again.to_string().contains("not empty"), "{again}");
}

#[test]
fn a_data_set_to_train_with_alone_has_no_test_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let options = RenderOptions {
        train_only: true,
        ..small(3)
    };
    let rendered = SyntheticDataset::new(&options).unwrap();
    let written = rendered
        .write(&folder.path().join("more"), 2, || ())
        .unwrap();
    assert_eq!((written.train_identities, written.test_identities), (8, 0));
    assert_eq!(written.train, rendered.pictures());
    let read = Dataset::open(&folder.path().join("more"), &Default::default()).unwrap();
    assert_eq!(read.classes().1, 8);
    assert!(read.query.is_empty() && read.gallery.is_empty());
}
