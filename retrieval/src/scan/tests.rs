//! The scan against scoring every row, on every instruction set of the machine.

use std::time::{Duration, Instant};

use super::*;

/// Deterministic noise in -1..1: a 64-bit congruential generator, of which the upper half is used.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f32 / (1u64 << 30) as f32 - 1.0
    }

    fn unit(&mut self, dim: usize) -> Vec<f32> {
        let row: Vec<f32> = (0..dim).map(|_| self.next()).collect();
        unit(&row)
    }

    /// A unit vector at about `distance` from `row`.
    fn near(&mut self, row: &[f32], distance: f32) -> Vec<f32> {
        let step = self.unit(row.len());
        let moved: Vec<f32> = row
            .iter()
            .zip(step)
            .map(|(x, d)| x + distance * d)
            .collect();
        unit(&moved)
    }
}

fn unit(row: &[f32]) -> Vec<f32> {
    let length = dot(row, row).sqrt();
    row.iter()
        .map(|&x| (f64::from(x) / length) as f32)
        .collect()
}

fn one_hot(dim: usize, at: usize) -> Vec<f32> {
    let mut row = vec![0.0; dim];
    row[at] = 1.0;
    row
}

fn opposite(row: &[f32]) -> Vec<f32> {
    row.iter().map(|x| -x).collect()
}

fn index(dim: usize, rows: &[Vec<f32>]) -> Index {
    let mut index = Index::new(dim).unwrap();
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(index.push(row).unwrap(), number);
    }
    index
}

/// The slow twin of [`Index::top`]: scores every row and sorts.
fn plain_top(index: &Index, query: &[f32], k: usize) -> Vec<Hit> {
    let mut hits: Vec<Hit> = (0..index.len())
        .map(|row| Hit {
            row,
            similarity: similarity(query, index.row(row)),
        })
        .collect();
    hits.sort_by(|a, b| {
        b.similarity
            .total_cmp(&a.similarity)
            .then(a.row.cmp(&b.row))
    });
    hits.truncate(k);
    hits
}

struct Case {
    name: &'static str,
    rows: Vec<Vec<f32>>,
    query: Vec<f32>,
}

fn cases() -> Vec<Case> {
    let mut noise = Noise(1);
    let mut cases = Vec::new();
    let mut case = |name, rows, query| cases.push(Case { name, rows, query });
    for dim in [
        2, 3, 7, 63, 64, 65, 127, 128, 129, 191, 512, 1000, 2048, MAX_DIM,
    ] {
        let rows = (0..300).map(|_| noise.unit(dim)).collect();
        case("random", rows, noise.unit(dim));
    }
    let centre = noise.unit(512);
    let near =
        |noise: &mut Noise, distance| (0..500).map(|_| noise.near(&centre, distance)).collect();
    case("near ties", near(&mut noise, 1e-3), centre.clone());
    case(
        "ties but for rounding",
        near(&mut noise, 1e-6),
        centre.clone(),
    );
    let same = vec![centre.clone(); 300];
    case("exact ties", same, noise.near(&centre, 0.5));
    let mut ascending: Vec<_> = (0..400)
        .map(|i| noise.near(&centre, 2.0 - i as f32 / 200.0))
        .collect();
    case("ascending", ascending.clone(), centre.clone());
    ascending.reverse();
    case("descending", ascending, centre.clone());
    case("opposite", vec![opposite(&centre); 3], centre.clone());
    let pair = vec![opposite(&centre), centre.clone(), opposite(&centre)];
    case("opposite and same", pair, centre.clone());
    case("no row", vec![], centre);
    let hot: Vec<_> = (0..130).map(|at| one_hot(130, at)).collect();
    case("one-hot", hot.clone(), one_hot(130, 129));
    case("one-hot against random", hot, noise.unit(130));
    let spike = |noise: &mut Noise, dim| {
        let mut row = noise.unit(dim);
        row.iter_mut().for_each(|x| *x *= 0.03);
        row[dim / 2] = 1.0;
        unit(&row)
    };
    let spikes = (0..300).map(|_| spike(&mut noise, MAX_DIM)).collect();
    case(
        "one code takes the range",
        spikes,
        spike(&mut noise, MAX_DIM),
    );
    let signs = vec![vec![1.0], vec![-1.0], vec![1.0]];
    case("one dimension", signs, vec![-1.0]);
    let tiny = vec![unit(&[1.0, 1e-30, -1e-40]), unit(&[1e-45, 1.0, 0.0])];
    case("subnormal elements", tiny, unit(&[1e-38, 1.0, 1e-45]));
    let equal = vec![unit(&[1.0; 100]), unit(&[-1.0; 100]), unit(&[1.0; 100])];
    case(
        "all values at the end of the range",
        equal,
        unit(&[1.0; 100]),
    );
    let long: Vec<f32> = one_hot(9, 3).iter().map(|x| x * 1.0009).collect();
    let short: Vec<f32> = one_hot(9, 3).iter().map(|x| x * 0.9991).collect();
    case("lengths at the tolerance", vec![short, long.clone()], long);
    cases
}

#[test]
fn every_instruction_set_answers_as_scoring_every_row_does() {
    fn compare<const K: usize>(index: &Index, case: &Case) {
        let found = index.top::<K>(&case.query).unwrap();
        let wanted = plain_top(index, &case.query, K);
        let (name, kernel, dim) = (case.name, index.kernel.name, index.dim);
        assert_eq!(found.as_slice(), wanted, "{name}, {dim}, top {K}, {kernel}");
    }
    for case in cases() {
        let mut index = index(case.query.len(), &case.rows);
        for kernel in kernels() {
            index.kernel = kernel;
            compare::<0>(&index, &case);
            compare::<1>(&index, &case);
            compare::<5>(&index, &case);
            compare::<512>(&index, &case);
        }
    }
}

#[test]
fn every_instruction_set_computes_the_same_integers() {
    let mut noise = Noise(2);
    for kernel in kernels() {
        for lines in [1, 2, 3, 8, 127, 128] {
            let mut values = |count| -> Vec<quantised::CacheLine> {
                let mut code = || (noise.next() * 127.4).clamp(-127.0, 127.0) as i8;
                let mut line = || quantised::CacheLine(std::array::from_fn(|_| code()));
                (0..count).map(|_| line()).collect()
            };
            let extreme = |code| vec![quantised::CacheLine([code; quantised::LINE]); lines];
            let query = values(lines);
            let rows = [values(lines), values(lines), extreme(127), extreme(-127)].concat();
            for query in [query, extreme(127), extreme(-127)] {
                let (mut found, mut wanted) = ([1; 4], [2; 4]);
                kernel.dots(&rows, &query, &mut found);
                PLAIN.dots(&rows, &query, &mut wanted);
                assert_eq!(found, wanted, "{lines} lines, {}", kernel.name);
            }
        }
    }
}

#[test]
fn no_similarity_exceeds_its_ceiling() {
    for case in cases() {
        let index = index(case.query.len(), &case.rows);
        let query = QuantisedQuery::new(&case.query);
        for (row, fit) in index.quantised.scales(0..index.len()).iter().enumerate() {
            let mut dot = [0];
            index
                .kernel
                .dots(index.quantised.lines(row..row + 1), query.lines(), &mut dot);
            let ceiling = query.ceiling(dot[0], fit);
            let similarity = similarity(&case.query, index.row(row));
            assert!(
                similarity <= ceiling,
                "{}: {similarity} {ceiling}",
                case.name
            );
            // A bound that says nothing would pass everything else here: it is a few hundredths at the usual dimensions.
            if case.name == "random" && index.dim <= 2048 {
                assert!(ceiling - similarity < 0.1, "{ceiling} for {similarity}");
            }
        }
    }
}

#[test]
fn most_rows_are_skipped() {
    let mut noise = Noise(3);
    let rows: Vec<_> = (0..5000).map(|_| noise.unit(256)).collect();
    let index = index(256, &rows);
    let mut visited = 0;
    let mut best = Best::<5>::new();
    index
        .scan(&noise.near(&rows[77], 0.8), |hit| {
            visited += 1;
            best.offer(hit)
        })
        .unwrap();
    assert_eq!(best.into_sorted()[0].row, 77);
    assert!((5..500).contains(&visited), "{visited} of 5000");
}

#[test]
fn a_removed_row_is_never_found_again() {
    let mut noise = Noise(4);
    let mut rows: Vec<_> = (0..200).map(|_| noise.unit(70)).collect();
    let mut index = index(70, &rows);
    for remove in [199, 0, 17, 100, 100, 3] {
        index.swap_remove(remove).unwrap();
        let gone = rows.swap_remove(remove);
        assert_eq!(index.len(), rows.len());
        let found = index.top::<4>(&gone).unwrap();
        assert_eq!(found.as_slice(), plain_top(&index, &gone, 4));
        assert!(found[0].similarity < 0.9);
        for (row, wanted) in rows.iter().enumerate() {
            assert_eq!(index.row(row), wanted);
        }
    }
    let error = index.swap_remove(194).unwrap_err().to_string();
    assert_eq!(error, "row 194 cannot be removed from an index of 194 rows");
}

#[test]
fn what_is_no_embedding_is_refused_with_what_was_found() {
    let cases = [
        (vec![1.0, 0.0], "has 2 dimensions, wanted 3"),
        (vec![], "has 0 dimensions, wanted 3"),
        (vec![0.0; 3], "has length 0.000000, wanted 1 within 0.001"),
        (
            vec![1.0, 0.1, 0.0],
            "has length 1.004988, wanted 1 within 0.001",
        ),
        (vec![0.0, f32::NAN, 0.0], "is NaN, wanted a finite number"),
        (
            vec![f32::INFINITY, 0.0, 0.0],
            "is inf, wanted a finite number",
        ),
        (vec![f32::MAX, 0.0, 0.0], "wanted 1 within 0.001"),
    ];
    let mut index = Index::new(3).unwrap();
    for (row, wanted) in cases {
        let pushed = index.push(&row).unwrap_err().to_string();
        assert!(pushed.contains(wanted), "{pushed}");
        let searched = index.top::<1>(&row).unwrap_err().to_string();
        assert!(searched.contains(wanted), "{searched}");
        assert_eq!(index.len(), 0);
    }
    assert!(Index::new(0).is_err());
    let error = Index::new(MAX_DIM + 1).unwrap_err().to_string();
    assert_eq!(error, "embedding dimension is 8193, the limit is 8192");
}

/// `cargo test --release -p kernels bench_scan -- --ignored --nocapture`; rows from `SCAN_ROWS`, 100 000 if unset (2.6 KB each).
#[test]
#[ignore = "a measurement, not a check"]
fn bench_scan() {
    let count = std::env::var("SCAN_ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let dim = 512;
    let mut noise = Noise(5);
    let mut index = Index::new(dim).unwrap();
    for _ in 0..count {
        index.push(&noise.unit(dim)).unwrap();
    }
    let query = noise.near(index.row(count / 2), 0.9);
    let wanted = plain_top(&index, &query, 5);
    let plain = best_of(5, || assert_eq!(plain_top(&index, &query, 5), wanted));
    println!("{count} x {dim}: scoring every row {plain:.2?}");
    let f32s = best_of(5, || {
        let best = (0..count).map(|row| dot_f32(&query, index.row(row)));
        assert!(best.fold(-1.0, f32::max) > 0.5);
    });
    println!("{count} x {dim}: f32 products alone {f32s:.2?}");
    for kernel in kernels() {
        index.kernel = kernel;
        let took = best_of(20, || {
            assert_eq!(index.top::<5>(&query).unwrap().as_slice(), wanted);
        });
        println!("{count} x {dim}: {} {took:.2?}", kernel.name);
    }
    let mut visited = 0;
    let mut best = Best::<5>::new();
    index
        .scan(&query, |hit| {
            visited += 1;
            best.offer(hit)
        })
        .unwrap();
    println!("{visited} rows scored");
    let all = best_of(3, || {
        index.scan(&query, |_| f32::NEG_INFINITY).unwrap();
    });
    println!("{count} x {dim}: the worst order, where every row is scored {all:.2?}");
}

fn best_of(times: usize, mut run: impl FnMut()) -> Duration {
    let once = |()| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    std::iter::repeat_n((), times).map(once).min().unwrap()
}

/// A plain product in f32, eight chains, as a scan without quantised values would use.
fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}
