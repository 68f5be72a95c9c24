use retrieval::{Embeddings, Label};

use super::clusters::Clusters;
use super::clusters::clusters;
use super::projection::projection;
use super::*;

fn label(person: i32, camera: u32) -> Label {
    Label { person, camera }
}

/// Images `a.jpg`, `b.jpg` ... with two numbers, person and camera each.
fn features(images: &[([f32; 2], i32, u32)]) -> Features {
    let flat = images.iter().flat_map(|(row, _, _)| *row).collect();
    let names = ('a'..).take(images.len()).map(|name| format!("{name}.jpg"));
    Features::new(
        Embeddings::new(2, flat).unwrap(),
        None,
        images.iter().map(|&(_, p, c)| label(p, c)).collect(),
        names.collect(),
    )
    .unwrap()
}

fn set(query: &[([f32; 2], i32, u32)], gallery: &[([f32; 2], i32, u32)]) -> TestSet {
    TestSet {
        name: "street".to_owned(),
        query: features(query),
        gallery: features(gallery),
    }
}

const FT_EUCLID: EvalSettings = EvalSettings {
    feature: Feature::Ft,
    metric: Metric::Euclid,
    rerank: false,
};

const FT_COSINE: EvalSettings = EvalSettings {
    metric: Metric::Cosine,
    ..FT_EUCLID
};

/// Person 1 is near by angle and far by distance.
fn crossed() -> TestSet {
    set(
        &[([1.0, 0.0], 1, 1)],
        &[([9.0, 0.0], 1, 2), ([1.0, 1.0], 2, 2), ([1.0, 0.0], 1, 1)],
    )
}

#[test]
fn metrics_rank_differently() {
    let set = crossed();
    let euclid = evaluate(&set, FT_EUCLID).unwrap();
    let cosine = evaluate(&set, FT_COSINE).unwrap();
    let short = |row: &ScoreRow| (row.plain.rank1, row.plain.map, row.gallery);
    assert_eq!(short(&euclid), (0.0, 0.5, 3));
    assert_eq!(short(&cosine), (1.0, 1.0, 3));
}

#[test]
fn necks_have_a_row_for_each_feature_and_metric() {
    let plain = crossed();
    assert_eq!(necks(&plain, false).unwrap().rows.len(), 2);
    // After the neck, person 1 is near by both.
    let mut set = plain;
    for (side, f_i) in [
        (&mut set.query, vec![2.0, 0.0]),
        (&mut set.gallery, vec![3.0, 0.0, 0.0, 9.0, 2.0, 0.0]),
    ] {
        let f_i = Embeddings::new(2, f_i).unwrap();
        *side = Features::new(
            side.f_t.clone(),
            Some(f_i),
            side.labels.clone(),
            side.names.clone(),
        )
        .unwrap();
    }
    let table = necks(&set, true).unwrap();
    let found: Vec<_> = (table.rows.iter())
        .map(|row| (row.feature, row.metric, row.plain.rank1))
        .collect();
    let wanted = [
        (Feature::Ft, Metric::Euclid, 0.0),
        (Feature::Ft, Metric::Cosine, 1.0),
        (Feature::Fi, Metric::Euclid, 1.0),
        (Feature::Fi, Metric::Cosine, 1.0),
    ];
    assert_eq!(found, wanted);
    assert!(table.rows.iter().all(|row| row.reranked.is_some()));
}

#[test]
fn a_table_is_text_and_json() {
    let good = set(&[([1.0, 0.0], 1, 1)], &[([1.0, 0.0], 1, 2)]);
    let table = cross(&[crossed(), good], FT_EUCLID).unwrap();
    let wanted = [
        "set     feature  metric  rank-1  rank-5  rank-10     mAP    mINP  queries  skipped  gallery",
        "street  ft       euclid    0.00  100.00   100.00   50.00   50.00        1        0        3",
        "street  ft       euclid  100.00  100.00   100.00  100.00  100.00        1        0        1",
    ];
    assert_eq!(table.lines(), wanted);
    let json = serde_json::to_value(&table).unwrap();
    assert_eq!(json["rows"][0]["metric"], "euclid");
    assert_eq!(json["rows"][0]["plain"]["map"], 0.5);
    assert!(json["rows"][0].get("reranked").is_none());
}

#[test]
fn what_cannot_be_scored_is_named() {
    let good = ([1.0, 0.0], 1, 2);
    let zero = ([0.0, 0.0], 2, 2);
    let fi = EvalSettings {
        feature: Feature::Fi,
        ..FT_EUCLID
    };
    let cases = [
        (
            "no query",
            vec![],
            vec![good],
            FT_EUCLID,
            "street: no embed",
        ),
        (
            "no gallery",
            vec![good],
            vec![],
            FT_EUCLID,
            "street: no embed",
        ),
        (
            "no right answer",
            vec![good],
            vec![good, zero],
            FT_EUCLID,
            "street: none of the 1 queries has a right answer",
        ),
        (
            "no neck",
            vec![good],
            vec![good],
            fi,
            "street: the network has no neck",
        ),
        (
            "zero feature",
            vec![good],
            vec![good, zero],
            FT_COSINE,
            "street: b.jpg: its feature is zero",
        ),
    ];
    for (name, query, gallery, settings, wanted) in cases {
        let error = evaluate(&set(&query, &gallery), settings).unwrap_err();
        assert!(error.to_string().contains(wanted), "{name}: {error}");
    }
}

#[test]
fn numbers_that_are_none_name_the_image() {
    let rows = |data: Vec<f32>| Embeddings::new(2, data).unwrap();
    let labels = vec![label(1, 1), label(1, 2)];
    let names = vec!["a.jpg".to_owned(), "b.jpg".to_owned()];
    let good = rows(vec![0.0; 4]);
    let cases = [
        (
            rows(vec![0.0, 0.0, 0.0, f32::NAN]),
            None,
            "b.jpg: f_t[1] is NaN",
        ),
        (
            good.clone(),
            Some(rows(vec![f32::INFINITY, 0.0, 0.0, 0.0])),
            "a.jpg: f_i[0] is inf",
        ),
        (
            rows(vec![0.0; 6]),
            None,
            "3 rows of f_t, 2 labels and 2 names",
        ),
        (good, Some(rows(vec![0.0; 2])), "1 rows of f_i, 2 labels"),
    ];
    for (f_t, f_i, wanted) in cases {
        let error = Features::new(f_t, f_i, labels.clone(), names.clone()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
}

#[test]
fn clusters_by_hand() {
    let measure = |images: &[([f32; 2], i32, u32)]| {
        let features = features(images);
        clusters(&features.f_t, &features.labels)
    };
    // Two of person 1 a distance of 2 apart, so 1 from their centre (0, 0); two of person 2 at
    // (3, 4), 0 from theirs; one of person 3 at (0, 4). Centres are 5, 4 and 3 apart.
    let images = [
        ([-1.0, 0.0], 1, 1),
        ([1.0, 0.0], 1, 2),
        ([3.0, 4.0], 2, 1),
        ([3.0, 4.0], 2, 2),
        ([0.0, 4.0], 3, 1),
        ([99.0, 0.0], 0, 1),
        ([99.0, 9.0], -1, 1),
    ];
    let wanted = Clusters {
        identities: 3,
        images: 5,
        intra: Some(0.5),
        inter: Some(4.0),
        ratio: Some(0.125),
    };
    assert_eq!(measure(&images).unwrap(), wanted);

    let one = measure(&images[..2]).unwrap();
    assert_eq!((one.intra, one.inter, one.ratio), (Some(1.0), None, None));
    let singles = measure(&[images[0], images[2]]).unwrap();
    assert_eq!((singles.intra, singles.ratio), (None, None));
    let same = measure(&[images[2], images[3], ([3.0, 4.0], 1, 1)]).unwrap();
    assert_eq!((same.inter, same.ratio), (Some(0.0), None));
    for (bad, wanted) in [
        (vec![images[5], images[6]], "number above 0"),
        (vec![], "number above 0"),
    ] {
        let error = measure(&bad).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let nan = Embeddings::new(1, vec![0.0, f32::NAN]).unwrap();
    let error = clusters(&nan, &[label(1, 1); 2]).unwrap_err().to_string();
    assert!(error.contains("row 1 has NaN"), "{error}");
}

#[test]
fn a_projection_finds_the_axes() {
    // Spread along (3, 4) / 5 in a space of three, a little across, nothing else.
    let mut data = Vec::new();
    for (along, across) in [(-2.0, 0.1), (-1.0, -0.1), (1.0, -0.1), (2.0, 0.1)] {
        data.extend([
            0.6 * along - 0.8 * across + 7.0,
            0.8 * along + 0.6 * across,
            1.0,
        ]);
    }
    let found = projection(&Embeddings::new(3, data).unwrap()).unwrap();
    let wanted = [[-2.0, 0.1], [-1.0, -0.1], [1.0, -0.1], [2.0, 0.1]];
    for (found, wanted) in found.points.iter().zip(wanted) {
        assert!((found[0] - wanted[0]).abs() < 1e-5, "{found:?}");
        // The larger part of the second direction is the first number, which points up.
        assert!((found[1] + wanted[1]).abs() < 1e-5, "{found:?}");
    }
    let total = 10.0 + 0.04;
    assert!((found.share[0] - 10.0 / total).abs() < 1e-6);
    assert!((found.share[1] - 0.04 / total).abs() < 1e-6);
}

#[test]
fn a_projection_of_nothing_to_see() {
    let cases = [
        ("one row", 3, vec![1.0, 2.0, 3.0], [0.0, 0.0]),
        (
            "all the same",
            2,
            vec![0.1, 0.7, 0.1, 0.7, 0.1, 0.7],
            [0.0, 0.0],
        ),
        ("a line", 2, vec![0.0, 0.0, 1.0, 2.0, 3.0, 6.0], [1.0, 0.0]),
        ("one dimension", 1, vec![-1.0, 5.0], [1.0, 0.0]),
    ];
    for (name, dim, data, share) in cases {
        let found = projection(&Embeddings::new(dim, data).unwrap()).unwrap();
        for (found, wanted) in found.share.iter().zip(share) {
            assert!((found - wanted).abs() < 1e-9, "{name}: {found}");
        }
        assert!(found.points.iter().flatten().all(|value| value.is_finite()));
    }
    assert!(projection(&Embeddings::new(2, vec![]).unwrap()).is_err());
    assert!(projection(&Embeddings::new(1, vec![f32::NAN]).unwrap()).is_err());
}
