//! `reid embed`: a NumPy matrix and the list of its rows.

use std::path::Path;

use network::graph::fold::fold;

use crate::example::{Folder, crops, example, metadata, network, write_with};
use crate::program::reid;

/// A matrix as NumPy stores it.
#[derive(Debug, PartialEq)]
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// Reads a file, which has to be what `numpy.save` writes of a float32 matrix.
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the matrix can be read");
        let (head, values) = bytes.split_at(128);
        assert_eq!(head[..10], *b"\x93NUMPY\x01\x00\x76\x00");
        let header = std::str::from_utf8(&head[10..]).expect("ASCII");
        let shape = header
            .strip_prefix("{'descr': '<f4', 'fortran_order': False, 'shape': (")
            .and_then(|rest| rest.trim_end().strip_suffix("), }"))
            .unwrap_or_else(|| panic!("{header}"));
        let (rows, columns) = shape.split_once(", ").expect("two numbers");
        let number = |text: &str| text.parse().expect("a number");
        let values: Vec<f32> = values
            .chunks(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("whole numbers")))
            .collect();
        let matrix = Self {
            rows: number(rows),
            columns: number(columns),
            values,
        };
        assert_eq!(matrix.values.len(), matrix.rows * matrix.columns);
        matrix
    }

    fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.columns..][..self.columns]
    }

    /// The largest difference of two numbers at the same place. Rows have length one, so it is also
    /// relative to their norm.
    fn difference(&self, other: &Self) -> f32 {
        assert_eq!((self.rows, self.columns), (other.rows, other.columns));
        let pairs = self.values.iter().zip(&other.values);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }
}

/// Embeddings of the example's queries by `model`, with more `options`.
fn embedded(model: &Path, options: &[&str]) -> Matrix {
    let folder = Folder::new();
    let out = folder.at("emb.npy");
    let mut call = reid![
        "embed",
        example().crops.join("query"),
        "--model",
        model,
        "--out",
        out
    ];
    for option in options {
        call = call.with(*option);
    }
    call.succeeds();
    Matrix::read(&out)
}

#[test]
fn rows_have_length_one_and_the_order_of_the_listed_paths() {
    let folder = Folder::new();
    let out = folder.at("emb.npy");
    // The folder named twice, and one of its files once more: each image counts once.
    let query = example().crops.join("query");
    let report = reid![
        "embed",
        crops("query", 5)[0],
        query,
        query,
        "--model",
        example().model,
        "--out",
        out,
        "--json"
    ]
    .succeeds()
    .json();
    assert_eq!(
        (&report["images"], &report["dim"]),
        (&20.into(), &64.into())
    );

    let matrix = Matrix::read(&out);
    assert_eq!((matrix.rows, matrix.columns), (20, fixtures::net::DIM));
    for row in 0..matrix.rows {
        let square: f32 = matrix.row(row).iter().map(|v| v * v).sum();
        assert!((square.sqrt() - 1.0).abs() < 1e-5, "row {row}: {square}");
    }
    let list = std::fs::read_to_string(folder.at("emb.txt")).expect("the list is beside it");
    let paths: Vec<&str> = list.lines().collect();
    assert_eq!(paths.len(), 20);
    assert!(paths.is_sorted());

    // Each row is that of its path.
    for (row, path) in [(0, paths[0]), (19, paths[19])] {
        let alone = folder.at("alone.npy");
        reid!["embed", path, "--model", example().model, "--out", alone].succeeds();
        let alone = Matrix::read(&alone);
        let pairs = alone.values.iter().zip(matrix.row(row));
        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-5, "{path}: {difference}");
    }
}

#[test]
fn batches_and_threads_change_nothing_but_the_resize_kernel_does() {
    let model = &example().model;
    let plain = embedded(model, &["--batch", "1", "--threads", "1"]);
    for options in [
        ["--batch", "1", "--threads", "2"],
        ["--batch", "4", "--threads", "1"],
        ["--batch", "3", "--threads", "2"],
    ] {
        let difference = embedded(model, &options).difference(&plain);
        // Kernels for several crops may add in another order; 1e-5 is a hundred steps of an f32
        // near one.
        assert!(difference <= 1e-5, "{options:?}: {difference}");
    }
    let same = embedded(model, &["--resize", "pil-bilinear"]);
    assert_eq!(same.difference(&plain), 0.0, "it is the kernel by default");
    let other = embedded(model, &["--resize", "cv-bilinear"]).difference(&plain);
    assert!(other > 1e-3, "{other}");
}

#[test]
fn a_model_that_was_folded_before_gives_the_same_embeddings() {
    let folder = Folder::new();
    let folded = folder.at("folded.onnx");
    let graph = fold(&network()).expect("the example folds");
    let left = graph
        .nodes()
        .iter()
        .any(|node| node.op.onnx_name() == "BatchNormalization");
    assert!(!left, "a BatchNorm is left");
    let bytes = network::onnx::write_bytes(&graph, &Default::default());
    std::fs::write(&folded, bytes.expect("it has a form")).expect("it can be written");
    let difference = embedded(&folded, &[]).difference(&embedded(&example().model, &[]));
    assert!(difference <= 1e-4, "{difference}");
}

#[test]
fn metadata_that_states_what_is_assumed_changes_nothing_but_the_warning() {
    let folder = Folder::new();
    let (model, out) = (folder.at("figures.onnx"), folder.at("emb.npy"));
    write_with(&metadata(), &model);
    reid![
        "embed",
        example().crops.join("query"),
        "--model",
        model,
        "--out",
        out
    ]
    .succeeds()
    .omits("warning");
    assert_eq!(Matrix::read(&out), embedded(&example().model, &[]));

    // Another order of colours is another input.
    let mut bgr = metadata();
    bgr.preprocessing.colour = network::metadata::Colour::Bgr;
    write_with(&bgr, &model);
    let other = embedded(&model, &[]).difference(&Matrix::read(&out));
    assert!(other > 1e-3, "{other}");
}

#[test]
fn a_sidecar_says_what_the_model_does_not() {
    let folder = Folder::new();
    let bytes = std::fs::read(&example().model).expect("the model can be read");
    let model = folder.file("figures.onnx", bytes);
    folder.file(
        "figures.toml",
        "[preprocessing]\nresize = \"cv-bilinear\"\n",
    );
    let wanted = embedded(&example().model, &["--resize", "cv-bilinear"]);
    assert_eq!(embedded(&model, &[]), wanted);
}

#[test]
fn an_unreadable_image_among_good_ones_is_named_and_has_no_row() {
    let folder = Folder::new();
    let whole = std::fs::read(&crops("query", 1)[0]).expect("the crop can be read");
    folder.file("img/a.jpg", &whole);
    folder.file("img/b.jpg", &whole[..whole.len() / 2]);
    folder.file("img/c.jpg", b"");
    folder.file("img/d.jpg", &whole);
    let out = folder.at("emb.npy");
    let ended = reid![
        "embed",
        folder.at("img"),
        "--model",
        example().model,
        "--out",
        out,
        "--json"
    ]
    .succeeds_partly()
    .says(&["reid: warning: skipped:", "b.jpg", "c.jpg"]);
    let report = ended.json();
    assert_eq!(
        (&report["images"], &report["unreadable"]),
        (&2.into(), &2.into())
    );

    let matrix = Matrix::read(&out);
    assert_eq!(matrix.rows, 2);
    assert_eq!(matrix.row(0), matrix.row(1));
    let list = std::fs::read_to_string(folder.at("emb.txt")).expect("the list is beside it");
    let names: Vec<&str> = list
        .lines()
        .filter_map(|path| path.rsplit('/').next())
        .collect();
    assert_eq!(names, ["a.jpg", "d.jpg"]);
}

#[test]
fn nothing_readable_leaves_no_matrix() {
    let folder = Folder::new();
    folder.file("img/a.jpg", b"no picture");
    let out = folder.at("emb.npy");
    reid![
        "embed",
        folder.at("img"),
        "--model",
        example().model,
        "--out",
        out
    ]
    .fails()
    .says(&["a.jpg", "none of the 1 images", "can be used"]);
    assert!(!out.exists());
}
