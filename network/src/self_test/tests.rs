use super::*;

const SIZE: [usize; 2] = [8, 4];
const DIM: usize = 3;

fn steps() -> Vec<String> {
    ["stem", "layer1"].map(str::to_owned).to_vec()
}

/// An executor: the mean of each colour, and the sums of pixels as two steps see them.
fn produce(crops: &[u8], integers: bool) -> TestOutputs {
    let mut produced = TestOutputs::default();
    let mut sums = Vec::new();
    for crop in crops.chunks(SIZE[0] * SIZE[1] * 3) {
        for plane in 0..DIM {
            let values = crop.iter().skip(plane).step_by(3).map(|&v| f32::from(v));
            produced.embeddings.push(values.sum());
        }
        sums.push(Checksum::of(crop));
        sums.push(Checksum::of(&crop[1..]));
    }
    produced.sums = integers.then_some(sums);
    produced
}

fn golden() -> Golden {
    Golden { seed: 1, count: 2 }
}

fn self_test() -> SelfTest {
    let exact = Some((0.999_999, &steps()[..]));
    let run = |crops: &[u8]| Ok::<_, Error>(produce(crops, true));
    SelfTest::make(golden(), SIZE, 0.99, exact, run).unwrap()
}

fn replay(self_test: &SelfTest, run: impl FnOnce(&[u8]) -> TestOutputs) -> Result<Passed> {
    self_test.replay(SIZE, |crops| Ok(run(crops)))
}

#[test]
fn golden_crops_are_the_same_pixels_everywhere() {
    let crops = golden().crops([256, 128]);
    assert_eq!(crops.len(), 2 * 256 * 128 * 3);
    // If this fails, no receipt out there is reproduced: is that meant?
    assert_eq!(Checksum::of(&crops).to_string(), "c634478ce584eb8a");
}

#[test]
fn golden_crops_have_all_values_and_structure_at_every_scale() {
    let [height, width] = [256, 128];
    let crops = golden().crops([height, width]);
    let (grey, hard) = crops.split_at(crops.len() / 2);
    let mut seen = [false; 256];
    grey.iter().for_each(|&v| seen[usize::from(v)] = true);
    assert!(seen.iter().all(|&seen| seen));
    assert!(hard.iter().all(|&v| v == 0 || v == 255));
    // Means of squares of 64 pixels still differ: the coarse layer is there.
    let mean = |top: usize, left: usize| {
        let rows = (top..top + 64).map(|y| &grey[(y * width + left) * 3..][..64 * 3]);
        rows.flatten().map(|&v| u64::from(v)).sum::<u64>() / (64 * 64 * 3)
    };
    let means: Vec<u64> = (0..4)
        .flat_map(|y| [mean(y * 64, 0), mean(y * 64, 64)])
        .collect();
    let spread = means.iter().max().unwrap() - means.iter().min().unwrap();
    assert!(spread > 20, "{means:?}");
    // Neighbours differ: the finest layer is there.
    let close: usize = grey.windows(4).filter(|w| w[0].abs_diff(w[3]) > 4).count();
    assert!(close > grey.len() / 2, "{close} of {}", grey.len());
}

#[test]
fn crops_of_any_size_can_be_drawn() {
    for size in [[1, 1], [3, 1], [64, 32], [384, 128]] {
        let crops = golden().crops(size);
        assert_eq!(crops.len(), 2 * size[0] * size[1] * 3, "{size:?}");
    }
}

#[test]
fn the_level_that_passes_is_named() {
    let self_test = self_test();
    let exact = replay(&self_test, |crops| produce(crops, true)).unwrap();
    assert_eq!(
        (exact.level, exact.steps, exact.crops),
        (Level::Exact, 2, 2)
    );
    assert!(exact.cosine > 0.999_999_9, "{exact}");
    assert_eq!(
        exact.to_string(),
        "exact: 2 golden crops, checksums of 2 steps equal, cosine at least 0.99999998, wanted 0.999999"
    );
    let close = replay(&self_test, |crops| produce(crops, false)).unwrap();
    assert_eq!(
        (close.level, close.steps, close.wanted),
        (Level::Close, 0, 0.99)
    );
}

#[test]
fn what_differs_is_named_with_what_was_found_and_wanted() {
    struct Case(&'static str, fn(&mut TestOutputs), &'static [&'static str]);
    let cases = [
        Case(
            "an integer",
            |produced| produced.sums.as_mut().unwrap()[3] = Checksum(0xab),
            &[
                "step `layer1`",
                "golden crop 1",
                "is 00000000000000ab, wanted ",
            ],
        ),
        Case(
            "the earlier step counts",
            |produced| produced.sums.as_mut().unwrap()[1..3].fill(Checksum(0)),
            &["step `stem`", "golden crop 1"],
        ),
        Case(
            "no checksums",
            |produced| produced.sums = Some(Vec::new()),
            &["the number of checksums is 0, wanted 4"],
        ),
        Case(
            "a colour",
            |produced| produced.embeddings[3] = 0.0,
            &[
                "the cosine to the embedding of golden crop 1 is 0.8",
                "wanted at least 0.999999",
            ],
        ),
        Case(
            "no number",
            |produced| produced.embeddings[0] = f32::NAN,
            &["golden crop 0 is NaN"],
        ),
        Case(
            "nothing",
            |produced| produced.embeddings.fill(0.0),
            &["golden crop 0 is NaN"],
        ),
        Case(
            "another dimension",
            |produced| produced.embeddings.truncate(4),
            &["numbers in all embeddings is 4, wanted 6"],
        ),
    ];
    let self_test = self_test();
    for Case(name, change, wanted) in cases {
        let result = replay(&self_test, |crops| {
            let mut produced = produce(crops, true);
            change(&mut produced);
            produced
        });
        let error = result.expect_err(name);
        assert!(matches!(error, Error::NotReproduced { .. }), "{name}");
        for part in wanted {
            assert!(error.to_string().contains(part), "{name}: {error}");
        }
    }
}

#[test]
fn json_goes_round_and_is_small() {
    let self_test = self_test();
    let json = serde_json::to_string(&self_test).unwrap();
    let back: SelfTest = serde_json::from_str(&json).unwrap();
    assert_eq!(back, self_test);

    let golden = Golden::for_dim(2048);
    assert_eq!(golden.count, 4);
    let names: Vec<String> = (0..16).map(|i| format!("layer{i}.0.conv1")).collect();
    let run = |_: &[u8]| {
        Ok::<_, Error>(TestOutputs {
            embeddings: (0..4 * 2048).map(|i| (i % 97) as f32 - 30.5).collect(),
            sums: Some(vec![Checksum(u64::MAX); 16 * 4]),
        })
    };
    let large = SelfTest::make(golden, SIZE, 0.99, Some((1.0, &names)), run).unwrap();
    let json = serde_json::to_string(&large).unwrap();
    assert!(json.len() < 30_000, "{}", json.len());
    for (dim, count) in [(0, 4), (1, 4), (4096, 2), (12_288, 1)] {
        assert_eq!(Golden::for_dim(dim).count, count, "{dim}");
    }
}

#[test]
fn a_receipt_that_says_nothing_is_refused() {
    let json = serde_json::to_string(&self_test()).unwrap();
    let row = &json[json.find("\"embeddings\":[\"").unwrap() + 15..][..8];
    let cases = [
        ("no crops", "\"count\":2", "\"count\":0", "0 golden crops"),
        (
            "a crowd",
            "\"count\":2",
            "\"count\":4000000000",
            "4000000000 golden crops",
        ),
        (
            "more crops",
            "\"count\":2",
            "\"count\":3",
            "2 embeddings for 3",
        ),
        ("no bound", "\"close\":0.99", "\"close\":0.0", "at least 0;"),
        (
            "beyond 1",
            "\"close\":0.99",
            "\"close\":1.5",
            "at least 1.5;",
        ),
        (
            "negative",
            "\"cosine\":0.999999",
            "\"cosine\":-1.0",
            "at least -1;",
        ),
        (
            "twice",
            "\"layer1\"",
            "\"stem\"",
            "step `stem` is there twice",
        ),
        ("no base64", row, "????????", "no base64"),
        ("NaN", row, "/38AAAAA", "has length NaN"),
        ("short", row, "AAAAAAAA", "has length"),
        ("one number less", row, "AAAA", "which are no half floats"),
        (
            "a key too many",
            "{\"golden\"",
            "{\"gold\":1,\"golden\"",
            "gold",
        ),
    ];
    for (name, from, to, wanted) in cases {
        assert!(json.contains(from), "{name}: {json}");
        let changed = json.replacen(from, to, 1);
        let read = serde_json::from_str::<SelfTest>(&changed)
            .map_err(|e| e.to_string())
            .and_then(|self_test| self_test.check(DIM).map_err(|e| e.to_string()));
        let error = read.expect_err(name);
        assert!(error.contains(wanted), "{name}: {error}");
    }
    let error = self_test().check(4).unwrap_err().to_string();
    assert!(error.contains("has 3 numbers, wanted 4"), "{error}");
    let sums = json.find("\"sums\":[\"").unwrap() + 9;
    for sum in ["xyz", "00000000000000000000ff", "+123456789abcdef"] {
        let changed = json.replacen(&json[sums..sums + 16], sum, 1);
        let error = serde_json::from_str::<SelfTest>(&changed).unwrap_err();
        assert!(error.to_string().contains("16 hexadecimal"), "{error}");
    }
}

#[test]
fn a_collapsed_network_gets_no_receipt() {
    let nothing = |_: &[u8]| {
        Ok::<_, Error>(TestOutputs {
            embeddings: vec![0.0; 2 * DIM],
            sums: None,
        })
    };
    let error = SelfTest::make(golden(), SIZE, 0.99, None, nothing).unwrap_err();
    assert!(
        error.to_string().contains("golden crop 0 has length 0"),
        "{error}"
    );
}
