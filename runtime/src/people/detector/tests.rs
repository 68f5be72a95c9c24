use std::collections::BTreeMap;

use network::graph::{Dim, Gemm, Graph, Op, ValueId};
use network::tensor::Tensor as Weights;

use super::*;
use crate::people::MAX_PEOPLE;

/// Width and height of the input: 42 cells of strides 8, 16 and 32.
const SIZE: [usize; 2] = [64, 32];
const BOXES: usize = 42;
/// Boxes of COCO as YOLOX gives them.
const VALUES: usize = 85;

/// A network that returns `numbers` for any input, in an output of `shape`.
fn network(shape: &[usize], numbers: &[f32]) -> Graph {
    let (mut graph, mean) = mean_colour();
    let numbers = Weights::f32([numbers.len()], numbers).unwrap();
    let bias = graph.param("numbers", numbers.clone());
    let weight = graph.param("weight", Weights::zeros([3, numbers.len()]).unwrap());
    let gemm = Op::Gemm(Gemm {
        alpha: 1.0,
        beta: 1.0,
        trans_a: false,
        trans_b: false,
    });
    let flat = graph
        .push1("found", gemm, [mean.into(), weight.into(), bias.into()])
        .unwrap();
    let mut shape: Vec<Dim> = shape.iter().map(|&n| Dim::Fixed(n)).collect();
    shape[0] = Dim::Batch;
    let found = graph
        .push1("boxes", Op::Reshape { shape }, [flat.into()])
        .unwrap();
    graph.output("output", found);
    graph
}

/// `[N, 3]`: the mean of each plane.
fn mean_colour() -> (Graph, ValueId) {
    let mut graph = Graph::new("detector", "images", [3, SIZE[1], SIZE[0]]);
    let input = graph.input();
    let mean = graph
        .push1("mean", Op::GlobalAveragePool, [input.into()])
        .unwrap();
    let mean = graph
        .push1("flat", Op::Flatten { axis: 1 }, [mean.into()])
        .unwrap();
    (graph, mean)
}

/// YOLOX's output with `people`: cell, its four values, objectness and score of a person.
fn yolox(people: &[(usize, [f32; 4], f32, f32)]) -> Vec<f32> {
    let mut numbers = vec![0.0; BOXES * VALUES];
    for &(cell, bbox, objectness, score) in people {
        let values = &mut numbers[cell * VALUES..][..VALUES];
        values[..4].copy_from_slice(&bbox);
        values[4] = objectness;
        values[5] = score;
    }
    numbers
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn model(&self, graph: &Graph) -> PathBuf {
        let path = self.0.path().join("detector.onnx");
        fs::write(
            &path,
            network::onnx::write_bytes(graph, &BTreeMap::new()).unwrap(),
        )
        .unwrap();
        path
    }

    fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// A frame of twice the size of the input's width, and half as high as would fill it.
fn frame() -> Frame {
    let (width, height) = (128, 32);
    Frame {
        width,
        height,
        rgb: [200, 100, 50].repeat(width * height),
        ..Frame::default()
    }
}

/// The built-in preset with the size of the input that the network here has.
fn preset_text(text: &str) -> String {
    text.replace("width = 640", "width = 64")
        .replace("height = 640", "height = 32")
}

const YOLOX: &str = include_str!("../../../../configs/detectors/yolox.toml");
const YOLOV8: &str = include_str!("../../../../configs/detectors/yolov8.toml");

#[test]
fn people_are_found() {
    let people = [
        (41, [0.0, 0.5, 0.0, 0.0], 0.9, 0.5), // 32 x 32 around 32, 16
        (0, [0.5, 0.5, 0.0, 1.0], 0.9, 0.9),  // 8 x 21.7 around 4, 4
        (1, [-0.5, 0.5, 0.0, 1.0], 0.9, 0.8), // the same, less sure
        (9, [0.5, 0.5, 0.0, 1.0], 0.9, 0.4),  // too unsure
    ];
    let files = Files::new();
    let path = files.model(&network(&[1, BOXES, VALUES], &yolox(&people)));
    files.text("detector.toml", &preset_text(YOLOX));
    let mut detector = Detector::open(&path).unwrap();
    let mut found = Persons::new();
    // Twice: nothing stays from the frame before.
    for _ in 0..2 {
        assert_eq!(detector.find(&frame(), &mut found).unwrap(), 0);
        let boxes: Vec<[f32; 4]> = found.iter().map(|p| p.bbox.into()).collect();
        // Half of the frame's size, at the top left: everything is twice as far.
        let e = 1f32.exp();
        let wanted = [
            [0.0, 8.0 - 8.0 * e, 16.0, 16.0 * e],
            [32.0, 0.0, 64.0, 64.0],
        ];
        assert_eq!(boxes.len(), 2, "{boxes:?}");
        for (a, b) in boxes.as_flattened().iter().zip(wanted.as_flattened()) {
            assert!((a - b).abs() < 1e-3, "{boxes:?}");
        }
        let scores: Vec<f32> = found.iter().filter_map(|p| p.score).collect();
        assert!((scores[0] - 0.81).abs() < 1e-6 && (scores[1] - 0.45).abs() < 1e-6);
    }
}

#[test]
fn the_network_sees_the_frame() {
    // The score of the first box is the mean of the third plane: red, when planes are BGR.
    let (mut graph, mean) = mean_colour();
    let mut weight = vec![0.0; 3 * BOXES * VALUES];
    weight[2 * BOXES * VALUES + 5] = 1.0 / 255.0;
    let weight = graph.param("weight", Weights::f32([3, BOXES * VALUES], weight).unwrap());
    let bias = graph.param(
        "bias",
        Weights::f32([BOXES * VALUES], yolox(&[(0, [0.0; 4], 1.0, 0.0)])).unwrap(),
    );
    let gemm = Op::Gemm(Gemm {
        alpha: 1.0,
        beta: 1.0,
        trans_a: false,
        trans_b: false,
    });
    let flat = graph
        .push1("found", gemm, [mean.into(), weight.into(), bias.into()])
        .unwrap();
    let shape = vec![Dim::Batch, Dim::Fixed(BOXES), Dim::Fixed(VALUES)];
    let found = graph
        .push1("boxes", Op::Reshape { shape }, [flat.into()])
        .unwrap();
    graph.output("output", found);

    let files = Files::new();
    let path = files.model(&graph);
    files.text("detector.toml", &preset_text(YOLOX));
    let mut detector = Detector::open(&path).unwrap();
    let mut found = Persons::new();
    detector.find(&frame(), &mut found).unwrap();
    // Half of the input is the frame, the other half is the border.
    let wanted = (200.0 + 114.0) / 2.0 / 255.0;
    let score = found[0].score.unwrap();
    assert!((score - wanted).abs() < 1e-5, "{score} {wanted}");
}

#[test]
fn more_people_than_there_are_places_are_counted() {
    // 70 people side by side: a list of boxes in pixels, three values more than YOLOv8 has places.
    let count = MAX_PEOPLE + 6;
    let mut numbers = vec![0.0; 84 * count];
    for n in 0..count {
        let values = [10.0 * n as f32, 16.0, 8.0, 30.0, 0.9 - 0.001 * n as f32];
        for (value, number) in values.into_iter().enumerate() {
            numbers[value * count + n] = number;
        }
    }
    let files = Files::new();
    let path = files.model(&network(&[1, 84, count], &numbers));
    files.text("detector.toml", &preset_text(YOLOV8));
    let mut detector = Detector::open(&path).unwrap();
    let mut found = Persons::new();
    assert_eq!(detector.find(&frame(), &mut found).unwrap(), 6);
    assert_eq!(found.len(), MAX_PEOPLE);
    assert!(found.is_sorted_by(|a, b| a.score >= b.score));
}

#[test]
fn presets_are_found_and_named() {
    let files = Files::new();
    let open = |path: &Path| {
        Detector::open(path).map_or_else(|e| e.to_string(), |d| d.assumed().to_owned())
    };
    // Our files fix the height and the width of the input, but not the size of the batch.
    let path = files.model(&network(&[1, 84, 10], &[0.0; 840]));
    let by_shape = "preset yolov8, which its output [1, 84, 10] looks like; input 64 x 32";
    assert_eq!(open(&path), by_shape);
    files.text("detector.toml", YOLOV8);
    let found = open(&path);
    assert!(
        found.contains("detector.toml beside the model; input 64 x 32"),
        "{found}"
    );
    files.text("detector.toml", YOLOX);
    let found = open(&path);
    let wanted = "output 0 is [1, 84, 10], wanted [1, boxes, values] with 42 boxes of 85";
    assert!(found.contains(wanted), "{found}");
    files.text("detector.toml", "speed = 9");
    let found = open(&path);
    assert!(
        found.contains("detector.toml: ") && found.contains("unknown field `speed`"),
        "{found}"
    );

    let path = Files::new();
    let unknown = path.model(&network(&[1, 10, 10], &[0.0; 100]));
    let found = open(&unknown);
    assert!(
        found.contains(
            "its output [1, 10, 10] looks like none or several of the presets yolox, yolov8"
        ),
        "{found}"
    );
}

#[test]
fn broken_files_and_presets_are_named() {
    let files = Files::new();
    let good = files.model(&network(&[1, BOXES, VALUES], &yolox(&[])));
    let bytes = fs::read(&good).unwrap();
    let open = |path: &Path| Detector::open(path).unwrap_err().to_string();
    for (name, bytes) in [
        ("half.onnx", &bytes[..bytes.len() / 2]),
        ("text.onnx", b"no model"),
        ("empty.onnx", b""),
    ] {
        let path = files.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        let found = open(&path);
        assert!(found.contains(name), "{found}");
    }
    let huge = files.0.path().join("huge.onnx");
    fs::File::create(&huge)
        .unwrap()
        .set_len(MAX_BYTES + 1)
        .unwrap();
    let found = open(&huge);
    assert!(
        found.contains("it has 536870913 bytes, wanted at most 536870912"),
        "{found}"
    );
    let missing = Detector::open(&files.0.path().join("none.onnx")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }), "{missing}");

    let wrong = YOLOX.replace("overlap = 0.45", "overlap = 2.0");
    assert_ne!(wrong, YOLOX);
    files.text("detector.toml", &wrong);
    let found = open(&good);
    assert!(
        found.contains("select.overlap is 2, wanted 0 to 1"),
        "{found}"
    );
}

#[test]
fn a_network_that_gives_no_numbers_is_named() {
    let files = Files::new();
    let path = files.model(&network(
        &[1, BOXES, VALUES],
        &yolox(&[(7, [0.0; 4], f32::NAN, 0.9)]),
    ));
    let mut detector = Detector::open(&path).unwrap();
    let mut found = Persons::new();
    let error = detector.find(&frame(), &mut found).unwrap_err().to_string();
    assert!(
        error.contains("detector.onnx") && error.contains("no number for box 7 of 42"),
        "{error}"
    );
    assert!(found.is_empty());
    let empty = Frame::default();
    assert!(detector.find(&empty, &mut found).is_err());
}
