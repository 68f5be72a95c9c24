//! Every layout on folders of empty files: listing opens none of them.

use std::fs;

use tempfile::TempDir;

use super::*;

/// A folder with these files; `NAME: text` gives one a content.
fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let (path, text) = file.split_once(": ").unwrap_or((file, ""));
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// `person.camera` of each image.
fn labels(images: &[Image]) -> Vec<String> {
    let text = |i: &Image| format!("{}.{}", i.label.person, i.label.camera);
    images.iter().map(text).collect()
}

/// Labels of train | query | gallery, and how many reasons there are for images left out.
fn summary(set: &Dataset) -> String {
    let parts = [&set.train, &set.query, &set.gallery].map(|part| labels(part).join(" "));
    format!("{} / {}", parts.join(" | "), set.left_out.len())
}

const SPLITS: &str = r#"[{"train": [["/home/x/images_detected/1_001_1_01.png", 0, 0], ["C:\\x\\1_001_2_06.png", 0, 1]],
    "query": [["images_detected/2_001_1_01.png", 17, 0]],
    "gallery": [["images_detected/2_001_2_06.png", 17, 1]], "num_train_pids": 1}]"#;

#[test]
fn every_layout_is_recognised_and_read() {
    let splits = format!("splits_new_detected.json: {SPLITS}");
    let cases: [(&str, DatasetLayout, &[&str], &str); 12] = [
        (
            "Market-1501",
            DatasetLayout::Market,
            &[
                "bounding_box_train/0002_c1s1_000451_03.jpg",
                "bounding_box_train/0007_c3s1_000451_01.jpg",
                "bounding_box_train/Thumbs.db",
                "bounding_box_train/._0007_c3s1_000451_01.jpg",
                "query/0001_c1s1_001051_00.jpg",
                "bounding_box_test/-1_c2s3_000001_01.jpg",
                "bounding_box_test/0000_c3s2_107328_06.jpg",
                "bounding_box_test/0001_c2s1_000301_00.jpg",
                "gt_bbox/0001_c1s1_001051_00.jpg",
            ],
            "2.1 7.3 | 1.1 | -1.2 0.3 1.2 / 1",
        ),
        (
            "DukeMTMC-reID, persons 0 and -1 cannot be learned",
            DatasetLayout::Market,
            &[
                "bounding_box_train/0001_c2_f0046182.jpg",
                "bounding_box_train/0000_c2_f0046182.jpg",
                "bounding_box_train/-1_c2_f0046182.jpg",
            ],
            "1.2 |  |  / 1",
        ),
        (
            "CUHK03-NP, nothing to train with",
            DatasetLayout::Market,
            &["query/0003_c1_1.png", "bounding_box_test/0003_c2_6.png"],
            " | 3.1 | 3.2 / 0",
        ),
        (
            "MSMT17, persons of the test behind the others",
            DatasetLayout::Msmt17,
            &[
                "list_train.txt: 0000/0000_000_01_0303morning_0008_0.jpg 0\n",
                "list_val.txt: 0001/0001_000_02_0303noon_0008_0.jpg 1\n",
                "list_query.txt: 0000/0000_000_03_0303morning_0008_0.jpg 0\r\n\r\n",
                "list_gallery.txt: 0000/0000_000_15_0303morning_0008_0.jpg 0\n",
                "train/x",
                "test/x",
            ],
            "1.1 | 3.3 | 3.15 / 1",
        ),
        (
            "MSMT17 version 2",
            DatasetLayout::Msmt17,
            &[
                "list_train.txt: 0000/0000_000_01_0303morning_0008_0_ex.jpg 0",
                "list_query.txt: 0000/0000_000_03_0303morning_0008_0.jpg 0",
                "list_gallery.txt: 0000/0000_000_15_0303morning_0008_0.jpg 0",
                "mask_train_v2/x",
                "mask_test_v2/x",
            ],
            "1.1 | 2.3 | 2.15 / 0",
        ),
        (
            "CUHK03",
            DatasetLayout::Cuhk03Detected,
            &[&splits, "images_detected/1_001_1_01.png"],
            "10001.1 10001.2 | 20001.1 | 20001.2 / 0",
        ),
        (
            "VIPeR",
            DatasetLayout::Pairs,
            &[
                "cam_a/000_45.bmp",
                "cam_a/001_0.bmp",
                "cam_b/000_90.bmp",
                "cam_b/001_90.bmp",
            ],
            "2.1 2.2 | 1.1 | 1.2 / 0",
        ),
        (
            "PRID2011, several shots, people whom one camera saw",
            DatasetLayout::Pairs,
            &[
                "cam_a/person_0001/0009.png",
                "cam_a/person_0002/0001.png",
                "cam_a/person_0003/0001.png",
                "cam_b/person_0001/0001.png",
                "cam_b/person_0002/0001.png",
                "cam_b/person_0004/0001.png",
            ],
            "3.1 3.2 | 2.1 | 2.2 5.2 / 1",
        ),
        (
            "folders, no cameras",
            DatasetLayout::Folders,
            &[
                "ada/1.jpg",
                "ada/2.jpg",
                "bob/1.jpg",
                "bob/2.jpg",
                "bob/3.jpg",
            ],
            "2.0 2.0 2.0 | 1.0 | 1.1 / 0",
        ),
        (
            "folders, with cameras",
            DatasetLayout::Folders,
            &[
                "bob/x_c1.jpg",
                "ada/cam1_1.jpg",
                "ada/cam1_2.jpg",
                "ada/cam2_1.jpg",
            ],
            "2.1 | 1.1 | 1.1 1.2 / 0",
        ),
        (
            "train and test: one image for each camera; an unknown person",
            DatasetLayout::Folders,
            &[
                "train/ada/C12-1.jpg",
                "test/bob/1_c1.png",
                "test/bob/1_c2.png",
                "test/eve/1_c1.png",
                "test/eve/2_c1.png",
            ],
            "1.12 | 2.1 | 2.2 3.1 3.1 / 0",
        ),
        (
            "train, query, gallery; one person in all of them",
            DatasetLayout::Folders,
            &[
                "train/bob/1.jpg",
                "query/bob/2.jpg",
                "gallery/bob/3.jpg",
                "gallery/ada/1.jpg",
            ],
            "2.0 | 2.0 | 1.1 2.1 / 0",
        ),
    ];
    for (name, layout, files, wanted) in cases {
        let root = folder(files);
        assert_eq!(DatasetLayout::of(root.path()).unwrap(), layout, "{name}");
        let set = Dataset::open(root.path(), &DatasetOptions::default()).unwrap();
        assert_eq!(summary(&set), wanted, "{name}");
        for image in set.images() {
            assert!(image.path.starts_with(root.path()), "{name}");
        }
        assert_eq!(
            <DatasetLayout as clap::ValueEnum>::from_str(&layout.name(), false),
            Ok(layout)
        );
    }
}

#[test]
fn what_is_no_data_set_says_what_was_wanted() {
    let lists: [&str; 4] = [
        "list_query.txt: 0/0_0_1_x.jpg 0",
        "list_gallery.txt: 0/0_0_1_x.jpg 0",
        "train/x",
        "test/x",
    ];
    let with = |train: &'static str| [&[train], lists.as_slice()].concat();
    let bad_line = "line 1 is `0/0_0_1_x.jpg`, wanted such as `0000/";
    let cases: [(&str, Option<DatasetLayout>, &[&str], &str); 20] = [
        (
            "nothing",
            None,
            &[],
            "no known layout: found nothing; wanted bounding_box_train/, or query/",
        ),
        (
            "something",
            None,
            &["a/b/c.jpg", "d.txt", "e", "f", "g", "h"],
            "found a/, d.txt, e, f, g, 1 more; wanted",
        ),
        (
            "one folder too high",
            None,
            &["Market-1501-v15/bounding_box_train/0001_c1s1_1.jpg"],
            "Market-1501-v15",
        ),
        (
            "two data sets",
            None,
            &[
                "detected/query/x",
                "detected/bounding_box_test/x",
                "labeled/bounding_box_train/x",
            ],
            "labeled",
        ),
        (
            "a query without gallery",
            Some(DatasetLayout::Market),
            &["query/0001_c1s1_1.jpg"],
            "layout market wants bounding_box_train/, or query/ and bounding_box_test/, or all three; found query/",
        ),
        (
            "a gallery without query",
            None,
            &["bounding_box_train/x", "bounding_box_test/0001_c1s1_1.jpg"],
            "layout market wants",
        ),
        (
            "an empty part",
            None,
            &["bounding_box_train/x.txt"],
            "holds no .jpg, .jpeg, .jpe, .jfif, .png or .bmp file; passed over: 1 x .txt",
        ),
        (
            "a name without a person",
            None,
            &["bounding_box_train/ada.jpg"],
            "ada.jpg: no person and camera in its name",
        ),
        (
            "lists without images",
            None,
            &["list_train.txt"],
            "layout msmt17 wants list_train.txt, list_query.txt, list_gallery.txt, train/",
        ),
        (
            "no person in a list",
            None,
            &with("list_train.txt: 0/0_0_1_x.jpg"),
            bad_line,
        ),
        (
            "out of the folder",
            None,
            &with("list_train.txt: ../0_0_1_x.jpg 0"),
            "line 1 is `../0_0_1_x.jpg 0`",
        ),
        (
            "no camera in a list",
            None,
            &with("list_train.txt: 0/0.jpg 0"),
            "line 1 is",
        ),
        (
            "an empty list",
            None,
            &with("list_train.txt: \n"),
            "list_train.txt: names no image",
        ),
        (
            "no JSON",
            None,
            &["splits_new_labeled.json: [", "images_labeled/x"],
            "splits_new_labeled.json: wanted a list of splits",
        ),
        (
            "classic splits",
            None,
            &["splits_new_labeled.json: []", "images_labeled/x"],
            "0 splits, wanted the one of the new protocol",
        ),
        (
            "a name that CUHK03 has not",
            None,
            &[
                r#"splits_new_detected.json: [{"train": [["1_1.png", 0, 0]], "query": [], "gallery": []}]"#,
                "images_detected/x",
            ],
            "image `1_1.png`: wanted a name such as 1_001_2_07.png",
        ),
        (
            "no person in both",
            None,
            &["cam_a/1.png", "cam_b/2.png"],
            "no person's number is in both",
        ),
        (
            "a camera of some",
            None,
            &["ada/1_c1.png", "bob/1.png"],
            "no camera in its name (such as cam2), but",
        ),
        (
            "a query without gallery, folders",
            None,
            &["train/ada/1.png", "query/ada/1.png"],
            "wanted both query/ and gallery/; found query/, train/",
        ),
        (
            "a person without images",
            None,
            &["train/ada/1.png", "train/bob/1.txt"],
            "bob: holds no .jpg",
        ),
    ];
    for (name, layout, files, wanted) in cases {
        let root = folder(files);
        let options = DatasetOptions {
            layout,
            ..DatasetOptions::default()
        };
        let error = Dataset::open(root.path(), &options).unwrap_err();
        let (error, at) = (error.to_string(), root.path().display().to_string());
        assert!(
            error.contains(wanted) && error.contains(&at),
            "{name}: {error}"
        );
    }
    let error = Dataset::open(Path::new("/no/such"), &DatasetOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(<DatasetLayout as clap::ValueEnum>::from_str("markt", false).is_err());
}

#[test]
fn what_a_file_server_leaves_is_no_person_and_other_kinds_are_told() {
    let root = folder(&[
        "ada/1.JPE",
        "ada/2.jfif",
        "ada/clip.mp4",
        "ada/@eaDir/1.JPE/SYNOPHOTO_THUMB_M.jpg",
        "bob/1.bmp",
        "bob/2.jpg/thumb.jpg",
        "@eaDir/bob/SYNO.jpg",
        "#recycle/eve.jpg",
        "cover.jpg/SYNO.jpg",
    ]);
    let all_learned = TestSplit { test: 0.0, seed: 0 };
    let set = Dataset::open(
        root.path(),
        &DatasetOptions {
            layout: None,
            split: all_learned,
        },
    );
    let set = set.unwrap();
    assert_eq!(summary(&set), "1.0 1.0 2.0 |  |  / 1");
    assert_eq!(
        set.left_out,
        ["passed over: 1 x .mp4, 1 x folder 2.jpg, 1 x folder @eaDir"]
    );
}

#[cfg(unix)]
#[test]
fn pipes_and_names_without_utf8_are_passed_over() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    let root = folder(&["ada/1.jpg", "bob/1.jpg", "bob/2\n.jpg"]);
    // A socket stands for a pipe: opening either would wait, or fail.
    let _socket = UnixListener::bind(root.path().join("ada/2.jpg")).unwrap();
    let eve = root.path().join(std::ffi::OsStr::from_bytes(b"eve\xff"));
    fs::create_dir(&eve).unwrap();
    fs::write(eve.join("1.jpg"), "").unwrap();
    let set = Dataset::open(root.path(), &DatasetOptions::default()).unwrap();
    assert_eq!(set.images().count(), 2);
    let [left_out] = set.left_out.as_slice() else {
        panic!("{:?}", set.left_out);
    };
    assert!(left_out.contains("1 x pipe or device"), "{left_out}");
    assert!(
        left_out.contains("2 x name that is not UTF-8"),
        "{left_out}"
    );
}

#[test]
fn splits_are_drawn_by_their_seed() {
    let files: Vec<String> = (0..20).map(|i| format!("p{i:02}/1.jpg")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let root = folder(&files);
    let read = |test, seed| {
        let split = TestSplit { test, seed };
        let layout = None;
        Dataset::open(root.path(), &DatasetOptions { layout, split })
    };
    for (test, wanted) in [(0.0, 20), (0.25, 15), (0.5, 10), (1.0, 0)] {
        let set = read(test, 1).unwrap();
        assert_eq!(set.train.len(), wanted, "{test}");
        // One image each: there are no queries.
        assert_eq!((set.query.len(), set.gallery.len()), (0, 20 - wanted));
        assert_eq!(read(test, 1).unwrap(), set);
    }
    assert_ne!(read(0.5, 1).unwrap().train, read(0.5, 2).unwrap().train);
    for test in [-0.1, 1.1, f64::NAN] {
        let error = read(test, 1).unwrap_err().to_string();
        assert!(error.contains("wanted 0 to 1"), "{error}");
    }
}

#[test]
fn joined_sets_keep_persons_and_cameras_apart() {
    let market = folder(&[
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "query/0005_c1s1_001051_00.jpg",
        "bounding_box_test/-1_c6s3_000001_01.jpg",
        "bounding_box_test/0005_c2s1_000301_00.jpg",
    ]);
    let duke = folder(&[
        "bounding_box_train/0001_c2_f0046182.jpg",
        "query/0002_c1_f0046182.jpg",
        "bounding_box_test/-1_c1_f0046182.jpg",
        "bounding_box_test/0000_c3_f0046182.jpg",
    ]);
    let roots = [market.path(), duke.path()];
    let joined = Dataset::open_all(&roots, &DatasetOptions::default()).unwrap();
    let wanted = "2.1 6.9 | 5.1 7.8 | -1.6 5.2 -1.8 0.10 / 0";
    assert_eq!(summary(&joined), wanted);
    assert!(joined.name.contains('+'), "{}", joined.name);
    assert_eq!(joined.classes(), (vec![0, 1], 2));
    assert!(Dataset::join(Vec::new()).is_err());
    let most = |person, camera| Dataset {
        train: vec![Image {
            path: PathBuf::new(),
            label: label(person, camera),
        }],
        ..Dataset::empty()
    };
    for [one, two] in [[(i32::MAX, 1), (1, 1)], [(1, u32::MAX - 2), (1, 1)]] {
        assert!(Dataset::join(vec![most(one.0, one.1), most(two.0, two.1)]).is_err());
    }
}
