use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::palette::Split;
use super::palette::split_of;
use super::person::{Bag, MIN_DIFFERING_TRAITS, Top, crowd};
use super::space::{V3, encode};
use super::*;
use crate::random::Draw;

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

/// Bytes of each file below `root`, by its path.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                all.insert(name, fs::read(path).unwrap());
            }
        }
    }
    all
}

fn written(options: &RenderOptions, threads: usize) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = SyntheticDataset::new(options).unwrap();
    dataset.write(folder.path(), threads, || ()).unwrap();
    let files = files(folder.path());
    assert_eq!(files.len(), dataset.pictures());
    files
}

#[test]
fn one_seed_gives_one_data_set_with_any_number_of_threads() {
    let once = written(&small(1), 1);
    assert!(once == written(&small(1), 3), "threads show");
    let other = written(&small(2), 2);
    let mall = RenderOptions {
        domain: Domain::Mall,
        ..small(1)
    };
    let mall = written(&mall, 2);
    for (name, others) in [("seed", other), ("domain", mall)] {
        let same = once
            .iter()
            .filter(|(file, bytes)| others.get(*file) == Some(bytes));
        assert_eq!(same.count(), 0, "another {name}, the same pictures");
    }
}

#[test]
fn options_out_of_range_are_named() {
    let base = small(0);
    let cases = [
        (
            RenderOptions {
                identities: 1,
                ..base.clone()
            },
            "identities: 1, wanted 2 to 9000",
        ),
        (
            RenderOptions {
                cameras: 1,
                ..base.clone()
            },
            "cameras: 1, wanted 2 to 64",
        ),
        (
            RenderOptions {
                per_camera: 1,
                ..base.clone()
            },
            "pictures per camera: 1, wanted 2 to 64",
        ),
        (
            RenderOptions {
                size: [16, 64],
                ..base.clone()
            },
            "height: 16, wanted 32 to 1024",
        ),
        (
            RenderOptions {
                lookalikes: f64::NAN,
                ..base
            },
            "share of look-alikes: NaN, wanted 0 to 1",
        ),
    ];
    for (options, wanted) in cases {
        assert_eq!(
            SyntheticDataset::new(&options).unwrap_err().to_string(),
            wanted
        );
    }
    let base = ClipOptions::default;
    let cases = [
        (
            ClipOptions {
                identities: 9,
                visits: 8,
                ..base()
            },
            "visits: 8, wanted 9 to 2000",
        ),
        (
            ClipOptions {
                size: [640, 480],
                ..base()
            },
            "frames of 640 x 480, wanted 16 to 9",
        ),
        (
            ClipOptions {
                size: [0, 0],
                ..base()
            },
            "frames of 0 x 0",
        ),
        (
            ClipOptions { rate: 0, ..base() },
            "frames a second: 0, wanted 1 to 60",
        ),
        (
            ClipOptions {
                quality: Some(101),
                ..base()
            },
            "JPEG quality: 101, wanted 1 to 100",
        ),
        (
            ClipOptions {
                every: f64::NAN,
                ..base()
            },
            "seconds between arrivals: NaN, wanted 0.5 to 60",
        ),
    ];
    for (options, wanted) in cases {
        let error = Clip::new(&options).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
    // The plan is one of seconds: a clip of half the frames is as long.
    let half = ClipOptions { rate: 5, ..base() };
    let [whole, half] = [base(), half].map(|options| Clip::new(&options).unwrap().frames());
    assert_eq!(half, whole.div_ceil(2));
}

/// Every colour and every seed of what a person wears.
fn wardrobe(person: &Person) -> (Vec<V3>, Vec<u32>) {
    let tops: Vec<&Top> = [Some(&person.top), person.over.as_ref()]
        .into_iter()
        .flatten()
        .collect();
    let mut cloths: Vec<_> = tops.iter().map(|top| &top.cloth).collect();
    cloths.push(&person.bottom.cloth);
    cloths.extend(person.bag.as_ref().map(|Bag { cloth, .. }| cloth));
    let seeds = cloths.iter().map(|cloth| cloth.seed).collect();
    let mut colours: Vec<V3> = cloths
        .iter()
        .flat_map(|cloth| [cloth.main, cloth.second, cloth.third])
        .collect();
    colours.extend(
        cloths
            .iter()
            .filter_map(|cloth| cloth.print.map(|print| print.colour)),
    );
    colours.extend(tops.iter().filter_map(|top| top.sleeves));
    colours.extend([person.shoes, person.soles, person.skin, person.hair]);
    colours.extend(person.scarf.into_iter().chain(person.bottom.tights));
    colours.extend(person.hat.map(|(_, colour)| colour));
    (colours, seeds)
}

#[test]
fn the_splits_share_no_cloth_and_no_person() {
    for domain in [Domain::Street, Domain::Mall] {
        for side in [Split::Train, Split::Test] {
            let people = crowd(5, domain, side, 120, 0.5);
            for person in &people {
                let (colours, seeds) = wardrobe(person);
                for colour in colours {
                    assert_eq!(split_of(encode(colour)), side, "{domain}, {colour:?}");
                }
                for seed in seeds {
                    assert_eq!(seed % 2, side as u32, "{domain}");
                }
            }
            for (i, one) in people.iter().enumerate() {
                for other in &people[..i] {
                    assert!(
                        one.differing_traits(other) >= MIN_DIFFERING_TRAITS,
                        "{domain}: {one:?} and {other:?}"
                    );
                }
            }
            // Clothes of the same kind and colour on two persons in a row.
            let alike = people
                .windows(2)
                .filter(|pair| pair[0].traits[..2] == pair[1].traits[..2]);
            assert!(alike.count() > 40, "{domain}: look-alikes are missing");
        }
    }
}

#[test]
fn boxes_are_a_little_off_and_hold_the_person() {
    let bounds = [100.0, 50.0, 160.0, 250.0];
    let mut off = 0.0;
    for i in 0..2000 {
        let [left, top, right, bottom] = picture::framed(bounds, &mut Draw::new(6, "test", &[i]));
        let wide = (right.min(160.0) - left.max(100.0)).max(0.0);
        let tall = (bottom.min(250.0) - top.max(50.0)).max(0.0);
        let held = wide * tall / (60.0 * 200.0);
        assert!(held > 0.5, "box {i} holds {held} of the person");
        assert!(
            (bottom - top) < 1.25 * 200.0 && (right - left) < 0.5 * 200.0,
            "box {i} is too large"
        );
        off += 1.0 - held;
    }
    let mean = off / 2000.0;
    assert!((0.01..0.15).contains(&mean), "boxes miss {mean}");
}

#[test]
fn a_clip_has_its_boxes_and_its_truth() {
    let options = ClipOptions {
        identities: 3,
        visits: 4,
        seed: 4,
        ..ClipOptions::default()
    };
    let clip = Clip::new(&options).unwrap();
    let render = |threads: usize| {
        let folder = tempfile::tempdir().unwrap();
        let summary = clip.write(folder.path(), threads, || ()).unwrap();
        (summary, files(folder.path()))
    };
    let (summary, files) = render(2);
    assert_eq!(
        (summary.identities, summary.visits, summary.frames),
        (3, 4, clip.frames())
    );
    let rows = |name: &str, header: &str| -> Vec<Vec<usize>> {
        let text = String::from_utf8(files[name].clone()).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, header);
        let number = |cell: &str| cell.parse().unwrap();
        rest.lines()
            .map(|line| line.split(',').map(number).collect())
            .collect()
    };
    let truth = rows("truth.csv", "frame,person,visit,x,y,w,h");
    let boxes = rows("boxes.csv", "frame,x,y,w,h");
    assert_eq!(
        (truth.len(), boxes.len()),
        (summary.sightings, summary.boxes)
    );
    let inside = |place: &[usize]| {
        place[2] > 0 && place[3] > 0 && place[0] + place[2] <= 640 && place[1] + place[3] <= 360
    };
    assert!(
        truth
            .iter()
            .all(|row| row[0] < summary.frames && inside(&row[3..]))
    );
    assert!(
        boxes
            .iter()
            .all(|row| row[0] < summary.frames && inside(&row[1..]))
    );
    // Every box is that of a person, and nearly all persons are found.
    let union = |a: &[usize], b: &[usize]| {
        let side = |i: usize| {
            let end = (a[i] + a[i + 2]).min(b[i] + b[i + 2]);
            end.saturating_sub(a[i].max(b[i]))
        };
        let both = side(0) * side(1);
        both as f64 / (a[2] * a[3] + b[2] * b[3] - both) as f64
    };
    for found in &boxes {
        let best = truth
            .iter()
            .filter(|row| row[0] == found[0])
            .map(|row| union(&row[3..], &found[1..]));
        let best = best.fold(0.0, f64::max);
        assert!(best > 0.3, "{found:?} shows no person, nearest {best}");
    }
    assert!(
        boxes.len() * 10 > truth.len() * 7,
        "{} of {} found",
        boxes.len(),
        truth.len()
    );
    // A person left and returned: two visits, frames without the person in between.
    let mut visits: BTreeMap<usize, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
    for row in &truth {
        visits
            .entry(row[1])
            .or_default()
            .entry(row[2])
            .or_default()
            .push(row[0]);
    }
    assert_eq!(visits.len(), 3);
    let returned = visits.values().filter(|visits| visits.len() == 2).count();
    assert_eq!(returned, 1, "{visits:?}");
    for visits in visits.values() {
        let spans: Vec<(usize, usize)> = visits
            .values()
            .map(|frames| (frames[0], frames[frames.len() - 1]))
            .collect();
        assert!(
            spans.windows(2).all(|pair| pair[0].1 + 10 < pair[1].0),
            "{spans:?}"
        );
    }
}

/// `cargo test --release -p synth -- --ignored --nocapture`
#[test]
#[ignore = "measures speed"]
fn bench_pictures_a_second() {
    for threads in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let options = RenderOptions {
            identities: 60,
            ..RenderOptions::default()
        };
        let dataset = SyntheticDataset::new(&options).unwrap();
        let started = std::time::Instant::now();
        dataset.write(folder.path(), threads, || ()).unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let rate = dataset.pictures() as f64 / seconds;
        println!("{threads} threads: {rate:.0} pictures of 128 x 64 a second");
    }
}
