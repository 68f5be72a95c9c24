//! Evaluation and re-ranking against slow versions written straight from their definitions.

use retrieval::metrics::{Scores, evaluate, evaluate_distances};
use retrieval::rerank::{RerankOptions, k_reciprocal};
use retrieval::{Embeddings, Label, Labelled, Metric, open_set};

/// Marsaglia's xorshift64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn symmetric(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0
    }

    fn embeddings(&mut self, rows: usize, dim: usize) -> Embeddings {
        Embeddings::new(dim, (0..rows * dim).map(|_| self.symmetric()).collect()).unwrap()
    }

    /// Whole numbers of -1 to 1: their distances are exact, and full of ties.
    fn coarse(&mut self, rows: usize, dim: usize) -> Embeddings {
        let data = (0..rows * dim).map(|_| self.below(3) as f32 - 1.0);
        Embeddings::new(dim, data.collect()).unwrap()
    }

    fn labels(&mut self, rows: usize, persons: u64, cameras: u64) -> Vec<Label> {
        let label = |_| {
            label(
                self.below(persons + 2) as i32 - 1,
                self.below(cameras) as u32,
            )
        };
        (0..rows).map(label).collect()
    }
}

fn label(person: i32, camera: u32) -> Label {
    Label { person, camera }
}

fn labelled<'a>(embeddings: &'a Embeddings, labels: &'a [Label]) -> Labelled<'a> {
    Labelled { embeddings, labels }
}

fn squared_euclidean(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>() as f32
}

/// Market-1501's rules with full sorts: rank-1, mAP, mINP, valid queries; and the CMC.
///
/// - Who is left out, CMC: Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV
///   2015, whose code calls them junk images.
/// - AP: mean of the precision at each hit, `eval_market1501` of torchreid's `rank.py`.
/// - INP: hits / rank of the last hit, Ye et al., "Deep Learning for Person Re-identification: A
///   Survey and Outlook", 2021.
fn naive(distances: &[f32], query: &[Label], gallery: &[Label]) -> Option<([f64; 4], Vec<f64>)> {
    let mut sums = [0.0; 4];
    let mut found_within = vec![0.0; gallery.len().min(50)];
    for (q, row) in query.iter().zip(distances.chunks(gallery.len())) {
        let mut order: Vec<usize> = (0..gallery.len())
            .filter(|&g| gallery[g].person != -1)
            .filter(|&g| gallery[g].person != q.person || gallery[g].camera != q.camera)
            .collect();
        // A stable sort: ties keep the order of the gallery.
        order.sort_by(|&a, &b| row[a].partial_cmp(&row[b]).unwrap());
        let hits: Vec<bool> = order
            .iter()
            .map(|&g| q.person > 0 && gallery[g].person == q.person)
            .collect();
        let count = hits.iter().filter(|hit| **hit).count();
        if count == 0 {
            continue;
        }
        let mut precisions = 0.0;
        for rank in 0..hits.len() {
            if hits[rank] {
                let so_far = hits[..=rank].iter().filter(|hit| **hit).count();
                precisions += so_far as f64 / (rank + 1) as f64;
            }
        }
        let last = hits.iter().rposition(|hit| *hit).unwrap() + 1;
        sums[0] += f64::from(u8::from(hits[0]));
        sums[1] += precisions / count as f64;
        sums[2] += count as f64 / last as f64;
        sums[3] += 1.0;
        let first = hits.iter().position(|hit| *hit).unwrap();
        for found in found_within.iter_mut().skip(first) {
            *found += 1.0;
        }
    }
    let queries = sums[3];
    (queries > 0.0).then(|| {
        let means = [
            sums[0] / queries,
            sums[1] / queries,
            sums[2] / queries,
            queries,
        ];
        (means, found_within.iter().map(|n| n / queries).collect())
    })
}

fn summary(scores: &Scores) -> [f64; 4] {
    [scores.rank1, scores.map, scores.minp, scores.queries as f64]
}

fn assert_close(found: [f64; 4], wanted: [f64; 4], case: &str) {
    for (found, wanted) in found.iter().zip(wanted) {
        // Sums of at most 60 doubles in another order.
        assert!(
            (found - wanted).abs() < 1e-12,
            "{case}: {found} for {wanted}"
        );
    }
}

#[test]
fn scores_are_those_of_full_sorts() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut compared = 0;
    for case in 0..300 {
        let queries = 1 + random.below(60) as usize;
        let images = 1 + random.below(120) as usize;
        let (persons, cameras) = (1 + random.below(12), 1 + random.below(4));
        let query_labels = random.labels(queries, persons, cameras);
        let labels = random.labels(images, persons, cameras);
        let dim = 1 + random.below(9) as usize;
        let (query, gallery) = (random.coarse(queries, dim), random.coarse(images, dim));
        let distances: Vec<f32> = (0..queries * images)
            .map(|i| squared_euclidean(query.row(i / images), gallery.row(i % images)))
            .collect();

        let wanted = naive(&distances, &query_labels, &labels);
        let of_rows = evaluate(
            &labelled(&query, &query_labels),
            &labelled(&gallery, &labels),
            Metric::SquaredEuclidean,
        );
        let of_distances = evaluate_distances(&distances, &query_labels, &labels);
        let Some((wanted, cmc)) = wanted else {
            assert!(of_rows.unwrap_err().to_string().contains("none of the"));
            assert!(
                of_distances
                    .unwrap_err()
                    .to_string()
                    .contains("none of the")
            );
            continue;
        };
        compared += 1;
        let (of_rows, of_distances) = (of_rows.unwrap(), of_distances.unwrap());
        assert_eq!(of_rows, of_distances, "case {case}");
        assert_close(summary(&of_rows), wanted, &format!("case {case}"));
        assert_eq!(of_rows.cmc.len(), cmc.len(), "case {case}");
        for (found, wanted) in of_rows.cmc.iter().zip(cmc) {
            assert!((found - wanted).abs() < 1e-12, "case {case}");
        }
        assert_eq!(of_rows.queries + of_rows.skipped, queries, "case {case}");
    }
    assert!(
        compared > 200,
        "only {compared} of the cases have a right answer"
    );
}

#[test]
fn cosine_ranks_like_euclidean_on_unit_vectors() {
    let mut random = Random(7);
    let (mut query, mut gallery) = (random.embeddings(40, 33), random.embeddings(200, 33));
    let (query_labels, labels) = (random.labels(40, 9, 3), random.labels(200, 9, 3));
    let sides = (query.clone(), gallery.clone());
    let cosine = evaluate(
        &labelled(&sides.0, &query_labels),
        &labelled(&sides.1, &labels),
        Metric::Cosine,
    );
    query.normalise().unwrap();
    gallery.normalise().unwrap();
    let euclidean = evaluate(
        &labelled(&query, &query_labels),
        &labelled(&gallery, &labels),
        Metric::SquaredEuclidean,
    );
    assert_eq!(cosine.unwrap(), euclidean.unwrap());
}

/// `re_ranking.py` of Zhong et al. (CVPR 2017) with its full matrices: `V`, its
/// local query expansion, the Jaccard distance and the blend with the original one.
fn naive_rerank(query: &Embeddings, gallery: &Embeddings, options: RerankOptions) -> Vec<f32> {
    let queries = query.rows();
    let all = queries + gallery.rows();
    let row = |i: usize| {
        if i < queries {
            query.row(i)
        } else {
            gallery.row(i - queries)
        }
    };
    let mut original = vec![vec![0.0f32; all]; all];
    for (i, distances) in original.iter_mut().enumerate() {
        for (j, distance) in distances.iter_mut().enumerate() {
            *distance = squared_euclidean(row(i), row(j));
        }
        let largest = distances.iter().copied().fold(0.0, f32::max);
        for distance in distances {
            *distance /= largest;
        }
    }
    let rank: Vec<Vec<usize>> = original
        .iter()
        .map(|distances| {
            let mut order: Vec<usize> = (0..all).collect();
            order.sort_by(|&a, &b| distances[a].partial_cmp(&distances[b]).unwrap());
            order
        })
        .collect();
    let near = |i: usize, k: usize| &rank[i][..(k + 1).min(all)];
    let reciprocal = |i: usize, k: usize| -> Vec<usize> {
        let forward = near(i, k).iter().copied();
        forward.filter(|&j| near(j, k).contains(&i)).collect()
    };
    let half = (options.k1 as f64 / 2.0).round_ties_even() as usize;
    let mut v = vec![vec![0.0f32; all]; all];
    for i in 0..all {
        let own = reciprocal(i, options.k1);
        let mut members = own.clone();
        for &candidate in &own {
            let theirs = reciprocal(candidate, half);
            let shared = theirs.iter().filter(|j| own.contains(j)).count();
            if shared as f64 > 2.0 / 3.0 * theirs.len() as f64 {
                members.extend(theirs);
            }
        }
        members.sort_unstable();
        members.dedup();
        let total: f32 = members.iter().map(|&j| (-original[i][j]).exp()).sum();
        for j in members {
            v[i][j] = (-original[i][j]).exp() / total;
        }
    }
    if options.k2 != 1 {
        let averaged = |i: usize| -> Vec<f32> {
            let of = &rank[i][..options.k2.min(all)];
            let mean = |j: usize| of.iter().map(|&r| v[r][j]).sum::<f32>() / of.len() as f32;
            (0..all).map(mean).collect()
        };
        v = (0..all).map(averaged).collect();
    }
    let mut result = Vec::new();
    for i in 0..queries {
        for j in queries..all {
            let shared: f32 = v[i].iter().zip(&v[j]).map(|(a, b)| a.min(*b)).sum();
            let jaccard = 1.0 - shared / (2.0 - shared);
            result.push(jaccard * (1.0 - options.lambda) + original[i][j] * options.lambda);
        }
    }
    result
}

#[test]
fn re_ranking_is_that_of_the_full_matrices() {
    let mut random = Random(0xdead_beef);
    let paper = RerankOptions::default();
    let cases = [
        ("the paper's options", 30, 90, paper),
        (
            "odd half of k1",
            20,
            60,
            RerankOptions {
                k1: 5,
                k2: 3,
                lambda: 0.5,
            },
        ),
        (
            "no averaging",
            10,
            50,
            RerankOptions {
                k1: 7,
                k2: 1,
                lambda: 0.0,
            },
        ),
        (
            "k2 above k1",
            10,
            40,
            RerankOptions {
                k1: 2,
                k2: 9,
                lambda: 0.3,
            },
        ),
        ("fewer images than k1", 2, 5, paper),
        ("one image", 1, 1, paper),
        (
            "original distance only",
            9,
            40,
            RerankOptions {
                lambda: 1.0,
                ..paper
            },
        ),
        (
            "k beyond all bounds",
            3,
            9,
            RerankOptions {
                k1: usize::MAX,
                k2: usize::MAX,
                lambda: 0.3,
            },
        ),
    ];
    for (name, queries, images, options) in cases {
        // Clusters, so that neighbourhoods differ in size; coarse, so that some images coincide.
        let (query, gallery) = (random.coarse(queries, 7), random.coarse(images, 7));
        let found = k_reciprocal(&query, &gallery, options).unwrap();
        let bounded = RerankOptions {
            k1: options.k1.min(1000),
            k2: options.k2.min(1000),
            ..options
        };
        let wanted = naive_rerank(&query, &gallery, bounded);
        assert_eq!(found.len(), wanted.len(), "{name}");
        for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            // Both sum up to a hundred f32 below one, in another order.
            assert!(
                (found - wanted).abs() < 1e-5,
                "{name} {index}: {found} for {wanted}"
            );
        }
    }
}

#[test]
fn bad_input_is_named() {
    let good = Embeddings::new(2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0]).unwrap();
    let nan = Embeddings::new(2, vec![1.0, 0.0, 0.0, 1.0, f32::NAN, 1.0]).unwrap();
    let zero = Embeddings::new(2, vec![1.0, 0.0, 0.0, 0.0, 1.0, 1.0]).unwrap();
    let huge = Embeddings::new(2, vec![1.0, 0.0, 0.0, 1.0, f32::MAX, f32::MAX]).unwrap();
    let empty = Embeddings::new(2, vec![]).unwrap();
    let longer = Embeddings::new(3, vec![1.0; 9]).unwrap();
    let labels = [label(1, 1), label(1, 2), label(2, 1)];
    let cases = [
        ("NaN query", &nan, &good, "query row 2 has length NaN"),
        (
            "NaN in the gallery",
            &good,
            &nan,
            "gallery row 2 has length NaN",
        ),
        ("zero row", &good, &zero, "gallery row 1 has length 0"),
        ("overflow", &huge, &good, "query row 2 has length 4.8"),
        ("no queries", &empty, &good, "no embeddings of the queries"),
        ("no gallery", &good, &empty, "no embeddings of the gallery"),
        (
            "lengths",
            &good,
            &longer,
            "queries have 2 numbers, those of the gallery 3",
        ),
    ];
    for (name, query, gallery, wanted) in cases {
        let query = labelled(query, &labels[..query.rows()]);
        let gallery = labelled(gallery, &labels[..gallery.rows()]);
        let errors = [
            evaluate(&query, &gallery, Metric::Cosine).unwrap_err(),
            open_set::curve(&query, &gallery).unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().contains(wanted), "{name}: {error}");
        }
    }

    let short = labelled(&good, &labels[..2]);
    let error = evaluate(&short, &labelled(&good, &labels), Metric::Cosine).unwrap_err();
    assert!(
        error.to_string().contains("3 embeddings have 2 labels"),
        "{error}"
    );
    let error = evaluate_distances(&[0.0; 5], &labels, &labels).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("3 gallery images have 5 distances"),
        "{error}"
    );
    let error = evaluate_distances(&[], &[], &labels).unwrap_err();
    assert!(error.to_string().contains("0 queries"), "{error}");
    let mut distances = [0.0; 9];
    distances[5] = f32::NAN;
    let error = evaluate_distances(&distances, &labels, &labels).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("query row 1 to gallery row 2 is NaN"),
        "{error}"
    );
    for (query, wanted) in [
        (&nan, "query row 2"),
        (&empty, "0 queries"),
        (&longer, "3 numbers"),
    ] {
        let error = k_reciprocal(query, &good, RerankOptions::default()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let wrong = RerankOptions {
        lambda: f32::NAN,
        ..RerankOptions::default()
    };
    assert!(k_reciprocal(&good, &good, wrong).is_err());
}

/// Random embeddings and labels of Market-1501's size with 2048 numbers each, handed to `run`, whose
/// time is printed. `cargo test --release -p kernels --test retrieval -- --ignored --nocapture bench`
fn bench(run: impl Fn(Labelled<'_>, Labelled<'_>) -> String) {
    let (queries, images, dim) = (3_368, 15_913, 2_048);
    let mut random = Random(1);
    let (query, gallery) = (
        random.embeddings(queries, dim),
        random.embeddings(images, dim),
    );
    let (query_labels, labels) = (
        random.labels(queries, 750, 6),
        random.labels(images, 750, 6),
    );
    let start = std::time::Instant::now();
    let result = run(labelled(&query, &query_labels), labelled(&gallery, &labels));
    println!("{:.2} s: {result}", start.elapsed().as_secs_f64());
}

#[test]
#[ignore = "a measurement"]
fn bench_evaluate() {
    bench(|query, gallery| {
        let scores = evaluate(&query, &gallery, Metric::Cosine).unwrap();
        format!("evaluate, mAP {:.4}", scores.map)
    });
}

#[test]
#[ignore = "a measurement"]
fn bench_open_set() {
    bench(|query, gallery| {
        let found = open_set::curve(&query, &gallery).unwrap();
        format!("open set, equal error {:?}", found.equal_error)
    });
}

#[test]
#[ignore = "a measurement"]
fn bench_rerank() {
    bench(|query, gallery| {
        let options = RerankOptions::default();
        let distances = k_reciprocal(query.embeddings, gallery.embeddings, options).unwrap();
        let scores = evaluate_distances(&distances, query.labels, gallery.labels).unwrap();
        format!("re-rank and evaluate, mAP {:.4}", scores.map)
    });
}
