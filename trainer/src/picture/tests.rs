use retrieval::{Embeddings, Label};

use super::*;
use crate::evaluate::projection::Projection;
use crate::evaluate::{Feature, Features, Metric, TestSet};
use sheet::Tile;

fn label(person: i32, camera: u32) -> Label {
    Label { person, camera }
}

#[test]
fn a_normalised_image_turns_back() {
    let of_size = |height, width| Preprocessing {
        height,
        width,
        ..Preprocessing::default()
    };
    let Preprocessing { mean, std, .. } = Preprocessing::default();
    let rgb: Vec<u8> = (0..18).map(|i| i * 15).collect();
    for colour in [Colour::Rgb, Colour::Bgr] {
        let preprocessing = Preprocessing {
            colour,
            ..of_size(2, 3)
        };
        let mut values = vec![0.0; 18];
        for (pixel, colours) in rgb.chunks(3).enumerate() {
            for (place, value) in colours.iter().enumerate() {
                let plane = if colour == Colour::Rgb {
                    place
                } else {
                    2 - place
                };
                values[plane * 6 + pixel] = (f32::from(*value) / 255.0 - mean[plane]) / std[plane];
            }
        }
        let found = Crop::of_network(&values, &preprocessing).unwrap();
        assert_eq!(found, Crop::new(3, 2, rgb.clone()).unwrap());
    }
    // Beyond white and black.
    let found = Crop::of_network(&[9.0, -9.0, 0.0], &of_size(1, 1)).unwrap();
    assert_eq!(found.rgb, [255, 0, 104]);
    for (values, [height, width]) in [
        (vec![f32::NAN; 3], [1, 1]),
        (vec![0.0; 4], [1, 1]),
        (vec![], [0, 0]),
        (vec![0.0; 2], [1, 1]),
    ] {
        assert!(Crop::of_network(&values, &of_size(height, width)).is_err());
    }
}

#[test]
fn high_crops_are_made_smaller() {
    let crop = |[width, height]: [usize; 2]| Crop::new(width, height, vec![9; width * height * 3]);
    for (sides, wanted) in [([8, 20], [4, 10]), ([8, 10], [8, 10]), ([1, 900], [1, 10])] {
        let found = crop(sides).unwrap().within(10).unwrap();
        assert_eq!(found, crop(wanted).unwrap(), "{sides:?}");
    }
}

#[test]
fn a_sheet_has_every_crop_its_border_and_its_words() {
    let tile = |lines: &[&str], border: Option<&str>| Tile {
        crop: Crop::new(2, 4, vec![90; 24]).unwrap(),
        border: border.map(str::to_owned),
        lines: lines.iter().map(|&line| line.to_owned()).collect(),
    };
    let rows = [
        vec![tile(&["a < b & c\u{7}"], Some("#123456")), tile(&[], None)],
        vec![tile(&["last"], None)],
    ];
    let svg = sheet::contact_sheet("batch", &rows).unwrap();
    assert_eq!(svg.matches("<image").count(), 3);
    assert_eq!(svg.matches("#123456").count(), 1);
    assert!(svg.contains("a &lt; b &amp; c\\u{7}"), "{svg}");
    // The crop is inside, as it was.
    let (_, data) = svg.split_once("base64,").unwrap();
    let jpeg = rows[0][0].crop.jpeg().unwrap();
    let inside = pages::data_uri(&jpeg);
    assert!(inside.ends_with(data.split('"').next().unwrap()));
    let image = image::load_from_memory(&jpeg).unwrap().into_rgb8();
    assert_eq!(image.dimensions(), (2, 4));
    assert!(image.into_raw().iter().all(|value| value.abs_diff(90) < 4));

    assert!(sheet::contact_sheet("none", &[]).is_err());
    assert!(sheet::contact_sheet("none in rows", &[vec![]]).is_err());
    assert!(sheet::contact_sheet("many", &vec![rows[0].clone(); 513]).is_err());
}

#[test]
fn results_show_hits_and_misses_in_their_order() {
    let side = |rows: &[f32], labels: Vec<Label>, prefix: &str| {
        let names = (0..rows.len()).map(|i| format!("{prefix}{i}.jpg"));
        let embeddings = Embeddings::new(1, rows.to_vec()).unwrap();
        Features::new(embeddings, None, labels, names.collect()).unwrap()
    };
    let set = TestSet {
        name: "street".to_owned(),
        query: side(&[0.0, 5.0], vec![label(1, 1), label(9, 1)], "q"),
        gallery: side(
            &[3.0, 2.0, 0.0],
            vec![label(1, 2), label(2, 2), label(1, 1)],
            "g",
        ),
    };
    let mut asked = Vec::new();
    let svg = sheet::results(&set, Feature::Ft, Metric::Euclid, &[0], 10, |name| {
        asked.push(name.to_owned());
        Crop::new(1, 2, vec![0; 6])
    })
    .unwrap();
    assert_eq!(asked, ["q0.jpg", "g1.jpg", "g0.jpg"]);
    let (miss, hit) = (svg.find("#d73027").unwrap(), svg.find("#1a9850").unwrap());
    assert!(miss < hit, "the nearer one is wrong");
    assert!(svg.contains("2: 2.000") && svg.contains("1: 3.000"));

    let open = |_: &str| Crop::new(1, 2, vec![0; 6]);
    let show = |queries: &[usize], count| {
        sheet::results(&set, Feature::Ft, Metric::Euclid, queries, count, open)
    };
    assert!(show(&[1], 2).is_ok(), "a query without a right answer");
    for (queries, count) in [(&[2][..], 2), (&[], 2), (&[0], usize::MAX)] {
        assert!(show(queries, count).is_err());
    }
    let broken = |name: &str| Err(Error::file(name, "broken"));
    let error = sheet::results(&set, Feature::Ft, Metric::Euclid, &[0], 2, broken).unwrap_err();
    assert_eq!(error.to_string(), "q0.jpg: broken");
}

#[test]
fn dots_have_the_colour_of_their_identity() {
    let projection = Projection {
        points: vec![[1.0, 0.0], [-1.0, 0.0], [0.0, 0.5], [0.0, 0.0]],
        share: [0.8, 0.2],
    };
    let labels = [label(1, 1), label(1, 2), label(2, 1), label(-1, 1)];
    let svg = scatter::scatter("people", &projection, &labels).unwrap();
    // Two dots and one in the legend; one and one; junk has no legend.
    for (paint, count) in [(colour(0), 3), (colour(1), 2), ("#bbb".to_owned(), 1)] {
        let found = svg.matches(&format!("fill=\"{paint}\"")).count();
        assert_eq!(found, count, "{paint}");
    }
    assert!(svg.contains("first axis: 80 % of the variance"));
    assert!(scatter::scatter("", &projection, &labels[1..]).is_err());
    let nowhere = Projection {
        points: vec![[0.0; 2]; 2],
        share: [0.0; 2],
    };
    let svg = scatter::scatter("one place", &nowhere, &labels[..2]).unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn an_image_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    assert!(matches!(Crop::open(&path), Err(Error::Io { .. })));
    std::fs::write(&path, "no image").unwrap();
    let error = Crop::open(&path).unwrap_err().to_string();
    assert!(error.contains("a.jpg: "), "{error}");
}

#[test]
fn a_sheet_of_persons_has_a_row_each_and_no_distractors() {
    use crate::data::{Dataset, Image};
    let image = |person, camera| Image {
        path: format!("{person}_{camera}.jpg").into(),
        label: label(person, camera),
    };
    let set = Dataset {
        name: "set".to_owned(),
        train: vec![image(9, 1)],
        query: vec![image(1, 1), image(2, 2)],
        gallery: vec![
            image(2, 3),
            image(1, 2),
            image(0, 1),
            image(2, 1),
            image(-1, 1),
        ],
        cameras: true,
        left_out: Vec::new(),
    };
    let mut opened = Vec::new();
    let crop = |path: &Path| {
        opened.push(path.display().to_string());
        Crop::new(2, 4, vec![128; 24])
    };
    let svg = sheet::persons(&set, 12, 3, crop).unwrap();
    assert_eq!(
        opened,
        ["1_1.jpg", "1_2.jpg", "2_1.jpg", "2_2.jpg", "2_3.jpg"]
    );
    assert_eq!(svg.matches("<image").count(), 5);
    let refused = sheet::persons(&set, 1000, 3, |_| Crop::new(2, 4, vec![0; 24]));
    assert!(refused.unwrap_err().to_string().contains("1000 persons"));
}
