use std::path::PathBuf;

use network::metadata::{self, ModelMetadata, Preprocessing, WeightsOrigin};

use super::*;

/// An image of a person by a camera, named as in Market-1501.
pub(super) fn image(person: i32, camera: u32, frame: u32) -> Image {
    Image {
        path: PathBuf::from(format!("{person:04}_c{camera}s1_{frame:06}_00.jpg")),
        label: Label { person, camera },
    }
}

/// A data set of queries and gallery, each `(person, camera)`.
pub(super) fn set(query: &[(i32, u32)], gallery: &[(i32, u32)]) -> Dataset {
    let side = |of: &[(i32, u32)]| {
        let images = (0..).zip(of);
        images.map(|(frame, &(p, c))| image(p, c, frame)).collect()
    };
    Dataset {
        name: "corner".to_owned(),
        train: Vec::new(),
        query: side(query),
        gallery: side(gallery),
        cameras: true,
        left_out: Vec::new(),
    }
}

/// Unit vectors at these angles in degrees.
pub(super) fn at(query: &[f32], gallery: &[f32]) -> TestEmbeddings {
    let side = |angles: &[f32]| {
        let point = |angle: &f32| <[f32; 2]>::from(angle.to_radians().sin_cos());
        Embeddings::new(2, angles.iter().flat_map(point).collect()).unwrap()
    };
    TestEmbeddings {
        query: side(query),
        gallery: side(gallery),
    }
}

/// A comparison of which only the drop of mAP matters.
pub(super) fn comparison_with_drop(drop: f64) -> Comparison {
    let exact = |value: f64| Interval {
        value,
        low: value - 0.01,
        high: value + 0.01,
    };
    let compared = |drop: f64| ComparedScore {
        float: exact(0.5),
        int8: exact(0.5 - drop),
        drop: exact(drop),
    };
    Comparison {
        set: "made".to_owned(),
        queries: 1,
        skipped: 0,
        gallery: 1,
        settings: CompareSettings::default(),
        rank1: compared(0.0),
        map: compared(drop),
        minp: compared(0.0),
        cosine: CosineAgreement {
            crops: 2,
            mean: 1.0,
            min: 1.0,
            worst: Vec::new(),
        },
        errors: None,
        no_errors: None,
    }
}

/// Persons 1, 2 and 1 at camera 1 at 0, 90 and 20 degrees. The gallery: person 1 at 10, person 2 at
/// 150, a distractor at 40. Quantising turns the first two to 75 and 120.
pub(super) fn corner() -> (Dataset, TestEmbeddings, TestEmbeddings) {
    let people = set(&[(1, 1), (2, 1), (1, 1)], &[(1, 2), (2, 2), (0, 2)]);
    let float = at(&[0.0, 90.0, 20.0], &[10.0, 150.0, 40.0]);
    let int8 = at(&[0.0, 90.0, 20.0], &[75.0, 120.0, 40.0]);
    (people, float, int8)
}

/// Settings for [`corner`]: two of its six impostor pairs may match.
pub(super) fn corner_settings() -> CompareSettings {
    CompareSettings {
        fmr: 0.34,
        ..CompareSettings::default()
    }
}

#[test]
fn every_figure_by_hand() {
    let (people, float, int8) = corner();
    let found = compare(&people, &float, &int8, corner_settings()).unwrap();
    assert_eq!((found.queries, found.skipped, found.gallery), (3, 0, 3));

    let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    // Float: the second query finds the distractor (50 off) before its own (60 off), then person 1
    // (80 off). Quantised: all three find another person first, and their own second.
    struct Case(&'static str, ComparedScore, [f64; 3]);
    let cases = [
        Case("rank-1", found.rank1, [2.0 / 3.0, 0.0, 2.0 / 3.0]),
        Case("mAP", found.map, [2.5 / 3.0, 0.5, 1.0 / 3.0]),
        Case("mINP", found.minp, [2.5 / 3.0, 0.5, 1.0 / 3.0]),
    ];
    for Case(name, compared, wanted) in cases {
        let ComparedScore { float, int8, drop } = compared;
        for (at, (interval, wanted)) in [float, int8, drop].into_iter().zip(wanted).enumerate() {
            assert!(near(interval.value, wanted), "{name} {at}: {interval:?}");
            assert!(interval.low <= interval.value && interval.value <= interval.high);
        }
    }
    // Of three queries drawn from three, all are the second in one of 27: more than 2.5 %.
    assert_eq!((found.rank1.drop.low, found.rank1.drop.high), (0.0, 1.0));

    // Impostors of the float network, by angle: 20, 40 pass; 50, 80, 130, 150 do not.
    let errors = found.errors.unwrap();
    assert_eq!((errors.impostors, errors.genuine), (6, 3));
    assert!((errors.threshold - 50f32.to_radians().cos()).abs() < 1e-6);
    // Quantised, 15, 20 and 40 pass. Genuine pairs: 10, 60, 10, and quantised 75, 30, 55.
    for (name, interval, wanted) in [
        ("FMR float", errors.fmr.float, 2.0 / 6.0),
        ("FMR int8", errors.fmr.int8, 3.0 / 6.0),
        ("FNMR float", errors.fnmr.float, 1.0 / 3.0),
        ("FNMR int8", errors.fnmr.int8, 2.0 / 3.0),
        ("change", errors.fnmr_change.unwrap(), 1.0),
    ] {
        assert!(near(interval.value, wanted), "{name}: {interval:?}");
    }
    assert_eq!(found.no_errors, None);

    let cos = |angle: f64| angle.to_radians().cos();
    let cosine = found.cosine;
    assert_eq!(cosine.crops, 6);
    assert!(near(cosine.mean, (4.0 + cos(65.0) + cos(30.0)) / 6.0));
    assert!(near(cosine.min, cos(65.0)));
    let worst: Vec<&str> = cosine.worst.iter().map(|moved| &*moved.path).collect();
    assert_eq!(
        worst[..2],
        ["0001_c2s1_000000_00.jpg", "0002_c2s1_000001_00.jpg"]
    );
    assert_eq!(worst.len(), 6);
}

#[test]
fn a_judgement_is_the_same_again_and_of_itself_nothing_drops() {
    let (people, float, int8) = corner();
    let compared =
        |int8: &TestEmbeddings| compare(&people, &float, int8, corner_settings()).unwrap();
    assert_eq!(compared(&int8), compared(&int8));
    let same = compared(&float);
    for ComparedScore { float, int8, drop } in [same.rank1, same.map, same.minp] {
        assert_eq!((float, drop.low, drop.high), (int8, 0.0, 0.0));
    }
    let change = same.errors.unwrap().fnmr_change.unwrap();
    assert_eq!((change.value, change.low, change.high), (0.0, 0.0, 0.0));
    assert!(same.cosine.min > 1.0 - 1e-9);
}

#[test]
fn what_cannot_be_measured_is_said() {
    let (people, float, int8) = corner();
    // One in a thousand of six pairs.
    let found = compare(&people, &float, &int8, CompareSettings::default()).unwrap();
    assert_eq!(found.errors, None);
    let why = found.no_errors.unwrap();
    assert!(why.contains("less than one of 6 impostor pairs"), "{why}");
    assert!((found.map.drop.value - 1.0 / 3.0).abs() < 1e-6);
    // Without false non-matches there is no relative change.
    let sure = at(&[0.0, 90.0, 20.0], &[10.0, 100.0, 250.0]);
    let found = compare(&people, &sure, &int8, corner_settings()).unwrap();
    let errors = found.errors.unwrap();
    assert_eq!((errors.fnmr.float.value, errors.fnmr_change), (0.0, None));
}

#[test]
fn junk_distractors_and_strangers_are_no_trials() {
    let (mut people, float, int8) = corner();
    let more = set(&[(0, 1), (-1, 1), (7, 1)], &[]);
    people.query.extend(more.query);
    let more = |network: &TestEmbeddings| {
        let rows = network.query.as_slice().iter().copied();
        let query = rows.chain([1.0, 0.0, 0.0, 1.0, 1.0, 1.0]).collect();
        TestEmbeddings {
            query: Embeddings::new(2, query).unwrap(),
            gallery: network.gallery.clone(),
        }
    };
    let found = compare(&people, &more(&float), &more(&int8), corner_settings()).unwrap();
    assert_eq!((found.queries, found.skipped), (3, 3));
    assert!((found.map.float.value - 2.5 / 3.0).abs() < 1e-6);
    // The unknown person 7 has no right answer and three impostor pairs.
    let errors = found.errors.unwrap();
    assert_eq!((errors.impostors, errors.genuine), (9, 3));
}

#[test]
fn what_does_not_fit_is_refused() {
    let (people, float, int8) = corner();
    let settings = corner_settings();
    let refused = |set: &Dataset, float: &TestEmbeddings, int8: &TestEmbeddings| {
        compare(set, float, int8, settings).unwrap_err().to_string()
    };
    let few = at(&[0.0], &[0.0, 1.0, 2.0]);
    let error = refused(&people, &float, &few);
    assert!(
        error.contains("the quantised network are 1 x 2") && error.starts_with("corner: "),
        "{error}"
    );
    let mut zero = int8.clone();
    zero.gallery = Embeddings::new(2, vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0]).unwrap();
    let error = refused(&people, &float, &zero);
    assert!(
        error.contains("0002_c2s1_000001_00.jpg: an embedding"),
        "{error}"
    );
    let unknown = set(&[(1, 1), (2, 1), (1, 1)], &[(1, 1), (3, 2), (0, 2)]);
    let error = refused(&unknown, &float, &int8);
    assert!(
        error.contains("none of the 3 queries has a right answer"),
        "{error}"
    );
}

#[test]
fn the_curve_fits_into_a_contract() {
    let mut metadata = ModelMetadata {
        version: metadata::VERSION,
        preprocessing: Preprocessing::default(),
        embedding: metadata::Embedding {
            output: "embedding".to_owned(),
            dim: 2,
            metric: metadata::Metric::Cosine,
        },
        net: None,
        space: None,
        weights: WeightsOrigin::default(),
        thresholds: Vec::new(),
        quantisation: None,
        self_test: None,
    };
    // Thirty persons, every second query exactly at its answer: the highest score is 1 and rounding
    // goes beyond.
    let people: Vec<(i32, u32)> = (1..=30).map(|person| (person, 1)).collect();
    let answers: Vec<(i32, u32)> = people.iter().map(|&(person, _)| (person, 2)).collect();
    let people = set(&people, &answers);
    let angles: Vec<f32> = (0..30).map(|i| i as f32 * 11.0).collect();
    let off: Vec<f32> = (0..30u8)
        .map(|i| f32::from(i) * 11.0 + f32::from(i % 2) * f32::from(i) * 0.3)
        .collect();
    let (open_set, points) = thresholds(&people, &at(&angles, &off)).unwrap();
    assert!(points.len() > 10 && points.len() <= 110, "{}", points.len());
    for pair in points.windows(2) {
        assert!(pair[0].threshold < pair[1].threshold);
        assert!(pair[0].fpir >= pair[1].fpir && pair[0].fnir <= pair[1].fnir);
    }
    for operating in &open_set.operating {
        assert!(points.contains(&operating.point), "{operating:?}");
    }
    metadata.thresholds = points;
    let read = ModelMetadata::from_json(&metadata.to_json()).unwrap();
    let least = open_set.operating[0];
    assert_eq!(read.threshold_at(least.target), Some(least.point.threshold));
}
