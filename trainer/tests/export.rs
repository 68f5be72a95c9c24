//! `trainer export`, as a person calls it.

use std::path::Path;
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use network::graph::Op;
use network::model::{Model, ModelOptions};
use network::preprocess::Normaliser;
use network::self_test::{Level, TestOutputs};
use network::tensor::Tensor;
use npyz::WriterBuilder;
use serde_json::Value;
use synth::random::Draw;
use trainer::load;
use trainer::nets::{self, Backbone, Spec};
use trainer::weights::WeightFile;

fn export(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .current_dir(folder)
        .args(["export", "--json"])
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

fn refused(folder: &Path, arguments: &str) -> String {
    let output = export(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments}");
    String::from_utf8(output.stderr).unwrap()
}

fn done(folder: &Path, arguments: &str) -> Value {
    let output = export(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Three images of noise, and weights that are not fresh: every statistic has moved.
fn prepare(folder: &Path, backbone: Backbone) -> Spec {
    let images = folder.join("images");
    std::fs::create_dir_all(&images).unwrap();
    for i in 0..3 {
        let mut draw = Draw::new(i, "image", &[]);
        let image = RgbImage::from_fn(
            48,
            96,
            |_, _| Rgb([0; 3].map(|_: u8| draw.below(256) as u8)),
        );
        image.save(images.join(format!("{i}.png"))).unwrap();
    }
    let spec = Spec {
        backbone,
        size: [64, 32],
        ..Spec::default()
    };
    let net = nets::build(&spec, 4, 1).unwrap();
    let mut weights = trainer::checkpoint::weights(&net);
    for (name, tensor) in &mut weights.tensors {
        let mut draw = Draw::new(2, name, &[]);
        for value in tensor.as_f32_mut().unwrap() {
            if name.ends_with("running_var") {
                *value = draw.between(0.5, 2.0) as f32;
            } else if name.ends_with("running_mean")
                || name.ends_with("bias") && name != "bottleneck.bias"
            {
                *value = draw.between(-0.3, 0.3) as f32;
            }
        }
    }
    let info = trainer::checkpoint::NetInfo {
        spec: Some(spec.clone()),
        classes: 4,
        preprocessing: trainer::checkpoint::default_preprocessing(Some(&spec)),
        epoch: 3,
    };
    info.write_to(&mut weights);
    weights.write(&folder.join("net.safetensors")).unwrap();
    spec
}

#[test]
fn what_is_exported_is_the_network_that_was_kept() {
    let cases = [
        (Backbone::ResNet18, 512),
        (Backbone::OsNetX0_25, 128),
        (Backbone::RepVggA0, 1280),
    ];
    for (backbone, dim) in cases {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        prepare(folder, backbone);
        let report = done(
            folder,
            "--weights net.safetensors --out person.onnx --images images --datasets a,b --licence MIT",
        );
        assert_eq!(report["dim"], dim, "{backbone}");
        assert_eq!(report["folding"]["images"], 3);
        let relative = report["folding"]["relative_max"].as_f64().unwrap();
        assert!(relative < 1e-5, "{backbone}: {relative}");

        let model = Model::open(&folder.join("person.onnx"), &ModelOptions::default()).unwrap();
        assert_eq!(model.warnings, [""; 0], "{backbone}");
        assert_eq!(model.metadata.embedding.dim, dim);
        assert_eq!(model.metadata.weights.datasets, ["a", "b"]);
        assert_eq!(model.metadata.weights.licence.as_deref(), Some("MIT"));
        assert_eq!(model.metadata.net.as_deref(), Some(backbone.name()));
        assert!(model.digest.is_some());
        let self_test = model.metadata.self_test.as_ref().unwrap();
        let passed = self_test.replay([64, 32], |crops| {
            let normaliser = Normaliser::new(&model.metadata.preprocessing).unwrap();
            let mut planes = vec![0.0; crops.len()];
            let each = 3 * 64 * 32;
            for (crop, planes) in crops.chunks(each).zip(planes.chunks_mut(each)) {
                normaliser.fill(crop, planes)?;
            }
            let input = Tensor::f32([self_test.golden.count, 3, 64, 32], planes)?;
            let rows = network::reference::run(&model.graph, &input)?;
            let embeddings = rows[0].as_f32().unwrap().to_vec();
            Ok::<_, network::Error>(TestOutputs {
                embeddings,
                sums: None,
            })
        });
        let passed = passed.unwrap();
        assert_eq!(
            (passed.level, passed.crops),
            (Level::Close, 4),
            "{backbone}"
        );
        assert!(passed.cosine > 0.999_999, "{backbone}: {passed}");
        let left = |op: &Op| matches!(op, Op::BatchNorm { .. });
        assert!(!model.graph.nodes().iter().any(|node| left(&node.op)));

        // The file has the numbers of the checkpoint: the reader that knows nothing of it agrees.
        let input = Tensor::f32([1, 3, 64, 32], vec![0.4; 3 * 64 * 32]).unwrap();
        let run = |graph: &network::graph::Graph| {
            let output = network::reference::run(graph, &input)
                .unwrap()
                .swap_remove(0);
            output.as_f32().unwrap().to_vec()
        };
        let kept = load::open(&folder.join("net.safetensors"), &Default::default()).unwrap();
        let kept = run(&kept.net.graph().with_output("f_i").unwrap());
        let length = kept.iter().map(|v| v * v).sum::<f32>().sqrt();
        for (ours, kept) in run(&model.graph).iter().zip(&kept) {
            assert!(
                (ours - kept).abs() <= 1e-4 * length,
                "{backbone}: {ours} {kept}"
            );
        }
    }
}

/// Embeddings that "another framework" has dumped: the network's own, then those of other weights.
#[test]
fn embeddings_of_another_framework_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, Backbone::OsNetX0_25);
    let dump = |rows: usize, dim: usize, value: &dyn Fn(usize) -> f64| {
        let file = std::fs::File::create(folder.join("ref.npy")).unwrap();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&[rows as u64, dim as u64])
            .writer(file)
            .begin_nd()
            .unwrap();
        for i in 0..rows * dim {
            writer.push(&value(i)).unwrap();
        }
        writer.finish().unwrap();
    };
    let arguments =
        "--weights net.safetensors --out person.onnx --images images --verify-against ref.npy";
    dump(3, 128, &|i| (i as f64 * 0.37).sin());
    let report = done(folder, arguments);
    let cosine = report["verified"]["cosine_min"].as_f64().unwrap();
    assert!(cosine < 0.5, "{cosine}");

    dump(2, 128, &|_| 1.0);
    let said = refused(folder, arguments);
    assert!(
        said.contains("it is [2, 128]") && said.contains("wanted [3, 128]"),
        "{said}"
    );
    std::fs::write(folder.join("ref.npy"), b"no array").unwrap();
    assert!(refused(folder, arguments).contains("ref.npy"));
}

/// Six persons, each seen by two cameras: noise around a colour of their own.
fn people(folder: &Path) {
    for (side, camera, count) in [("query", 1, 1), ("bounding_box_test", 2, 2)] {
        std::fs::create_dir_all(folder.join(side)).unwrap();
        for (person, frame) in (1..=6u64).flat_map(|p| (0..count).map(move |f| (p, f))) {
            let mut draw = Draw::new(1, side, &[person, frame]);
            let base = [person * 40, 255 - person * 40, person * 97 % 256];
            let image = RgbImage::from_fn(24, 48, |_, _| {
                Rgb(base.map(|b| (b as f64 * 0.8 + draw.between(0.0, 40.0)) as u8))
            });
            let name = format!("{person:04}_c{camera}s1_{frame:06}_00.png");
            image.save(folder.join(side).join(name)).unwrap();
        }
    }
}

#[test]
fn an_evaluation_goes_into_the_contract_and_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, Backbone::OsNetX0_25);
    people(&folder.join("people"));
    let arguments = "--weights net.safetensors --out person.onnx --eval people --report out/report";
    let said = done(folder, arguments);
    let accuracy = &said["accuracy"];
    let retrieval: Vec<f64> = serde_json::from_value(accuracy["retrieval"].clone()).unwrap();
    assert!(retrieval.iter().all(|share| (0.0..=1.0).contains(share)));
    assert_eq!(accuracy["open_set"]["mate_searches"], 6);
    assert_eq!(accuracy["before"], accuracy["after"]);
    assert_eq!(
        accuracy["before"]["layers"],
        accuracy["before"]["layers_float"]
    );

    let model = Model::open(&folder.join("person.onnx"), &ModelOptions::default()).unwrap();
    let thresholds = model.metadata.thresholds;
    assert!(thresholds.len() > 2, "{thresholds:?}");
    assert!(thresholds.is_sorted_by(|a, b| a.threshold < b.threshold));
    let read = |name: &str| std::fs::read_to_string(folder.join("out/report").join(name)).unwrap();
    let report: Value = serde_json::from_str(&read("report.json")).unwrap();
    assert_eq!(
        (&report["schema"], &report["file"]),
        (&2.into(), &"person.onnx".into())
    );
    assert_eq!(report["open_set"], accuracy["open_set"]);
    let html = read("report.html");
    assert!(html.contains("osnet_x0_25") && html.contains("--eval people"));

    let train = folder.join("half/bounding_box_train");
    std::fs::create_dir_all(&train).unwrap();
    std::fs::copy(
        folder.join("images/0.png"),
        train.join("0001_c1s1_000000_00.png"),
    )
    .unwrap();
    for (arguments, wanted) in [
        ("--eval half", "half: 0 queries and 0 gallery images"),
        ("--eval nowhere", "nowhere"),
        ("--eval people --sensitivity", "need --quantize"),
        ("--eval people --max-map-drop 0.1", "need --quantize"),
    ] {
        let said = refused(
            folder,
            &format!("--weights net.safetensors --out x.onnx {arguments}"),
        );
        assert!(said.contains(wanted), "{arguments}: {said}");
        assert!(!folder.join("x.onnx").exists(), "{arguments}");
    }
    for wrong in [
        "--sensitivity",
        "--eval people --max-map-drop 1.5",
        "--fmr no",
    ] {
        let output = export(
            folder,
            &format!("--weights net.safetensors --out x.onnx {wrong}"),
        );
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn a_network_in_bytes_is_written_and_compared_on_images_held_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder, Backbone::OsNetX0_25);
    let quick = "--weights net.safetensors --out int8.onnx --quantize --calib images --rounding nearest --calibration min-max";
    let report = done(folder, quick);
    let quantised = &report["quantised"];
    assert_eq!(quantised["images"], 2);
    assert_eq!(quantised["held_back"]["images"], 1);
    let cosine = quantised["held_back"]["cosine_min"].as_f64().unwrap();
    assert!(cosine > 0.9, "{cosine}");
    let layers = quantised["record"]["layers"].as_array().unwrap();
    assert!(layers.len() > 100, "{}", layers.len());
    let model = Model::open(&folder.join("int8.onnx"), &ModelOptions::default()).unwrap();
    let quantises = |op: &Op| matches!(op, Op::QuantizeLinear { .. });
    assert!(model.graph.nodes().iter().any(|node| quantises(&node.op)));

    // One person, by the names of the files.
    std::fs::create_dir(folder.join("one")).unwrap();
    for i in 0..3 {
        let name = format!("one/0007_c1s1_00000{i}_00.png");
        std::fs::copy(folder.join(format!("images/{i}.png")), folder.join(name)).unwrap();
    }
    let said = refused(folder, &quick.replace("images", "one"));
    assert!(said.contains("show person 7"), "{said}");
    let said = refused(folder, &format!("{quick} --keep-float layer7"));
    assert!(said.contains("no node is called `layer7`"), "{said}");
    let said = refused(folder, &format!("{quick} --calib-count 0"));
    assert!(said.contains("no image is left to calibrate on"), "{said}");
}

#[test]
fn what_cannot_be_exported_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let spec = prepare(folder, Backbone::OsNetX0_25);
    std::fs::create_dir(folder.join("empty")).unwrap();
    let mut weights = WeightFile::read(&folder.join("net.safetensors")).unwrap();
    let neck = weights.tensors.remove("bottleneck.weight").unwrap();
    weights.write(&folder.join("neckless.safetensors")).unwrap();
    weights.tensors.insert("bottleneck.weight".to_owned(), neck);
    let stem = weights.tensors.get_mut("conv1.conv.weight").unwrap();
    stem.as_f32_mut().unwrap()[0] = f32::NAN;
    weights.write(&folder.join("nan.safetensors")).unwrap();
    assert_eq!(spec.size, [64, 32]);

    let cases = [
        (
            "--weights random --out x.onnx",
            "--weights random needs --arch",
        ),
        ("--weights none.pth --out x.onnx", "none.pth"),
        (
            "--weights net.safetensors --out x.onnx --images empty",
            "empty",
        ),
        (
            "--weights neckless.safetensors --out x.onnx",
            "bottleneck.weight",
        ),
        (
            "--weights nan.safetensors --out x.onnx --images images",
            "conv1",
        ),
        ("--weights net.safetensors --out x.onnx --size 8x8", "size"),
    ];
    for (arguments, wanted) in cases {
        let said = refused(folder, arguments);
        assert!(said.contains(wanted), "{arguments}: {said}");
        assert!(!folder.join("x.onnx").exists(), "{arguments}");
    }
}
