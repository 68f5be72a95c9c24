//! The examples of the crate `runtime`, run on the bundled model and clip.

#[path = "../../runtime/examples/compare.rs"]
#[allow(dead_code, reason = "the tests call what main calls")]
mod compare;
#[path = "../../runtime/examples/search.rs"]
#[allow(dead_code, reason = "the tests call what main calls")]
mod search;
#[path = "../../runtime/examples/watch.rs"]
#[allow(dead_code, reason = "the tests call what main calls")]
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use media::Frame;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")
}

/// Saves crops of the bundled clip, of `(frame, [left, top, width, height])` in the order of frames.
fn crops<const N: usize>(folder: &Path, boxes: [(u64, [u32; 4]); N]) -> [PathBuf; N] {
    let clip = models().join("demo/clip.avi");
    let mut source = media::open(clip.to_str().unwrap(), None).unwrap();
    let mut frame = Frame::default();
    boxes.map(|(index, [left, top, width, height])| {
        loop {
            source.read(&mut frame).unwrap();
            if frame.index == index {
                break;
            }
        }
        let [w, h] = [frame.width, frame.height].map(|side| side as u32);
        let picture = image::RgbImage::from_raw(w, h, frame.rgb.clone()).unwrap();
        let crop = image::imageops::crop_imm(&picture, left, top, width, height).to_image();
        let path = folder.join(format!("{index}.png"));
        crop.save(&path).unwrap();
        path
    })
}

/// Two crops of one person and one of another.
fn three_crops(folder: &Path) -> [PathBuf; 3] {
    crops(folder, BOXES)
}

const BOXES: [(u64, [u32; 4]); 3] = [
    (16, [316, 52, 61, 138]),
    (24, [255, 53, 41, 147]),
    (115, [56, 100, 75, 140]),
];

#[test]
fn crops_of_one_person_are_more_similar() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, other] = three_crops(folder.path());
    let model = models().join("street-osnet_x0_25-int8.onnx");
    let same = compare::compare(&model, [&a, &b]).unwrap();
    let different = compare::compare(&model, [&a, &other]).unwrap();
    assert!(same > different && same > 0.6, "{same} {different}");
}

#[test]
fn an_enrolled_person_is_found_first() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, other] = three_crops(folder.path());
    let [a, b, other] = [&a, &b, &other].map(|path| path.to_str().unwrap());
    let model = models().join("street-osnet_x0_25-int8.onnx");
    let gallery = folder.path().join("shop.redb");
    let persons = [("Ada", a), ("Bob", other)];
    let found = search::search(&model, &gallery, b, &persons).unwrap();
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Ada", "Bob"]);
    // A gallery file keeps who was enrolled.
    assert_eq!(search::search(&model, &gallery, b, &[]).unwrap(), found);
}

#[test]
fn a_clip_shows_new_persons_and_returns() {
    let [clip, boxes] = ["demo/clip.avi", "demo/boxes.csv"].map(|name| models().join(name));
    let [clip, boxes] = [&clip, &boxes].map(|path| path.to_str().unwrap());
    let model = models().join("street-osnet_x0_25-int8.onnx");
    let identified = watch::watch(&model, clip, boxes, 0.78).unwrap();
    let names = |returning| -> BTreeSet<&str> {
        let of = identified.iter().filter(|(_, back)| *back == returning);
        of.map(|(name, _)| name.as_str()).collect()
    };
    assert_eq!(names(false).len(), 8, "{identified:?}");
    assert!(names(true).is_subset(&names(false)) && !names(true).is_empty());
}
