//! `trainer train` and `trainer eval`, as a person calls them, on people who are two stripes of
//! colour.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use serde_json::Value;
use synth::random::Draw;
use trainer::checkpoint::NetInfo;
use trainer::run_folder::{LAST, LogRecord, read_log};
use trainer::weights::WeightFile;

/// A small, quick recipe: what is not here is the paper's.
const RECIPE: &str = r#"
seed = 3

[model]
backbone = "osnet_x0_25"
size = [64, 32]
last_stride = 1

[augment]
pad = 2

[batch]
identities = 4
images = 2

[schedule]
epochs = 6
warmup_epochs = 2
milestones = [5]

[evaluate]
interval = 3
"#;

/// A folder with people and a recipe.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    /// Eight persons to train with, four others to test with, seen by two cameras each.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("people");
        for person in 1..=12 {
            for camera in 1..=2 {
                for shot in 0..3u64 {
                    let part = match (person, camera) {
                        (..=8, _) => "bounding_box_train",
                        (_, 1) => "query",
                        _ => "bounding_box_test",
                    };
                    let name = format!("{person:04}_c{camera}s1_{shot:06}_00.png");
                    let folder = data.join(part);
                    std::fs::create_dir_all(&folder).unwrap();
                    picture(person, [camera, shot])
                        .save(folder.join(name))
                        .unwrap();
                }
            }
        }
        std::fs::write(folder.path().join("small.toml"), RECIPE).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn trainer(&self, arguments: &str) -> Command {
        let mut trainer = Command::new(env!("CARGO_BIN_EXE_trainer"));
        trainer
            .current_dir(self.folder.path())
            .args(arguments.split_whitespace());
        trainer
    }

    /// Trains with one thread, so that two runs can be compared bit for bit.
    fn train(&self, arguments: &str) -> Command {
        self.trainer(&format!(
            "train small.toml --data people --threads 1 {arguments}"
        ))
    }
}

/// A person's two colours, a little brighter or darker, and noise.
fn picture(person: u64, place: [u64; 2]) -> RgbImage {
    let mut clothes = Draw::new(person, "clothes", &[]);
    let colours: [[f64; 3]; 2] =
        std::array::from_fn(|_| std::array::from_fn(|_| clothes.between(20.0, 235.0)));
    let mut light = Draw::new(person, "light", &place);
    let bright = light.between(0.9, 1.1);
    RgbImage::from_fn(32, 64, |_, y| {
        let colour = colours[usize::from(y >= 32)];
        Rgb(colour.map(|v| (v * bright + light.between(-8.0, 8.0)) as u8))
    })
}

fn done(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    output
}

fn refused(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_run_learns_and_keeps_what_it_did() {
    let bench = Bench::new();
    done(bench.train("--out run --set model.backbone=resnet18"));
    let run = bench.path("run");
    let records = read_log(&run.join("log.jsonl")).unwrap();
    let mut losses = Vec::new();
    let mut tests = Vec::new();
    for record in &records {
        match record {
            LogRecord::Epoch(epoch) => losses.push(epoch.loss["total"]),
            LogRecord::Evaluation(evaluation) => tests.push((evaluation.epoch, evaluation.test)),
        }
    }
    assert_eq!(losses.len(), 6);
    assert!(losses[5] < losses[0] - 0.3, "{losses:?}");
    let (epochs, scores): (Vec<_>, Vec<_>) = tests.into_iter().unzip();
    assert_eq!(epochs, [3, 6]);
    for picture in ["batch.svg", "curves.svg", "queries.svg"] {
        let svg = String::from_utf8(read(&run.join(picture))).unwrap();
        assert!(
            svg.starts_with("<svg") && svg.ends_with("</svg>\n"),
            "{picture}"
        );
    }
    let info = NetInfo::of(&WeightFile::read(&run.join("final.safetensors")).unwrap());
    let info = info.unwrap().unwrap();
    assert_eq!((info.epoch, info.classes), (6, 8));

    // The network that was kept is the one that was evaluated.
    let output = done(bench.trainer("eval --weights run/final.safetensors --data people --json"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &report["rows"][0];
    assert_eq!(row["feature"], "fi");
    for (key, kept) in [("rank1", scores[1].rank1), ("map", scores[1].map)] {
        let found = row["plain"][key].as_f64().unwrap();
        assert!(
            (found - kept).abs() < 1e-6,
            "{key}: {found}, in the log {kept}"
        );
    }
    // Colours alone tell these people apart.
    assert!(scores[1].map > 0.7, "{scores:?}");

    let text = done(bench.trainer(
        "eval --weights run/final.safetensors --data people --cross people --necks --rerank --sheet s.svg --scatter p.svg",
    ));
    let text = String::from_utf8(text.stdout).unwrap();
    // Two features by two metrics with and without re-ranking on two sets, a header, and the clusters.
    let rows = text
        .lines()
        .filter(|line| line.starts_with("people"))
        .count();
    assert_eq!(rows, 16, "{text}");
    assert!(text.contains("4 identities of 12 images"), "{text}");
    assert!(read(&bench.path("s.svg")).len() > 1000 && read(&bench.path("p.svg")).len() > 1000);
    // They show crops of persons.
    for name in ["s.svg", "p.svg", "run/batch.svg", "run/queries.svg"] {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(bench.path(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn one_seed_is_one_run_and_another_is_another() {
    let bench = Bench::new();
    let epochs = "--set schedule.epochs=2";
    done(bench.train(&format!("--out a {epochs}")));
    done(bench.train(&format!("--out b --workers 2 --cache 0 {epochs}")));
    done(bench.train(&format!("--out c --set seed=4 {epochs}")));
    let [a, b, c] = ["a", "b", "c"].map(|run| read(&bench.path(run).join("final.safetensors")));
    assert!(a == b, "the same seed gave other weights");
    assert!(a != c, "another seed gave the same weights");
}

/// Killed as hard as a process can be, at three moments, and resumed: the same bits as a run that
/// nobody touched.
#[test]
fn a_killed_run_ends_with_the_same_weights() {
    let bench = Bench::new();
    let settings = "--set optimiser.ema=0.9";
    done(bench.train(&format!("--out whole {settings}")));
    let wanted = read(&bench.path("whole/final.safetensors"));
    for (round, lines) in [0, 2, 5].into_iter().enumerate() {
        let out = format!("--out killed{round} {settings}");
        let run = bench.path(&format!("killed{round}"));
        let mut child = bench.train(&out).stderr(Stdio::null()).spawn().unwrap();
        let log = run.join("log.jsonl");
        let started = Instant::now();
        let written = || std::fs::read_to_string(&log).map_or(0, |text| text.lines().count());
        while !run.join(LAST).exists() || written() < lines {
            assert!(started.elapsed() < Duration::from_secs(120), "no log");
            assert!(child.try_wait().unwrap().is_none(), "over before the kill");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        done(bench.train(&format!("{out} --resume")));
        let found = read(&run.join("final.safetensors"));
        assert!(found == wanted, "killed after {lines} lines of the log");
        let whole = read_log(&bench.path("whole/log.jsonl")).unwrap();
        assert_eq!(read_log(&log).unwrap().len(), whole.len());
    }
}

#[test]
fn every_form_of_network_and_loss_trains() {
    let bench = Bench::new();
    done(bench.train("--out teacher --set schedule.epochs=1"));
    let cases = [
        "model.backbone=resnet18 loss.triplet.margin=-1",
        "model.backbone=repvgg_a0 optimiser.algorithm=sgd optimiser.learning_rate=0.01",
        "model.neck=none loss.centre.weight=0 schedule.warmup_epochs=0 model.backbone=mobilenet_v2 model.last_stride=2",
        "model.pooling=gem model.dim=32 loss.circle.weight=0.1 loss.triplet.weight=0",
        "model.parts=2 model.dim=16 schedule.decay=cosine",
        "batch.identities=0 batch.images=8 loss.triplet.weight=0",
        "loss.distil.teacher=teacher/final.safetensors augment.jitter.probability=0.5",
    ];
    for (number, settings) in cases.iter().enumerate() {
        let settings: Vec<String> = (settings.split(' '))
            .map(|setting| format!("--set {setting}"))
            .collect();
        let out = format!("case{number}");
        done(bench.train(&format!(
            "--out {out} --set schedule.epochs=1 {}",
            settings.join(" ")
        )));
        let final_one = WeightFile::read(&bench.path(&out).join("final.safetensors")).unwrap();
        let finite = |weights: &WeightFile| {
            (weights.tensors.values())
                .filter_map(|tensor| tensor.as_f32())
                .all(|values| values.iter().all(|value| value.is_finite()))
        };
        assert!(finite(&final_one), "{settings:?}");
    }
    // Half the bits, the same people.
    done(bench.train("--out short --precision bf16 --set schedule.epochs=1"));
}

/// Any float ONNX file is a beginning; one without BatchNorms comes with a warning.
#[test]
fn a_network_from_an_onnx_file_trains_and_goes_on() {
    use network::graph::fold::fold;
    use network::onnx::write_bytes;
    let bench = Bench::new();
    let spec = trainer::nets::Spec {
        backbone: trainer::nets::Backbone::ResNet18,
        size: [64, 32],
        neck: trainer::nets::Neck::None,
        ..Default::default()
    };
    let net = trainer::nets::build(&spec, 5, 1).unwrap();
    let graph = net.graph().with_output("f_t").unwrap();
    let folded = fold(&graph).unwrap();
    for (name, graph) in [("float.onnx", &graph), ("folded.onnx", &folded)] {
        let bytes = write_bytes(graph, &Default::default()).unwrap();
        std::fs::write(bench.path(name), bytes).unwrap();
    }

    let said = done(bench.train("--out folded --init folded.onnx --set schedule.epochs=1"));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("BatchNorms are folded"), "{said}");
    let said = done(bench.train("--out float --init float.onnx --set schedule.epochs=2"));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(!said.contains("BatchNorms are folded"), "{said}");
    // Such a file can teach as well, as far as its features go.
    let taught = "--out taught --set schedule.epochs=1 --set model.backbone=resnet18 \
                  --set loss.distil.teacher=float.onnx";
    let said = refused(bench.train(taught));
    assert!(said.contains("loss.distil.logits=0"), "{said}");
    done(bench.train(&format!("{taught} --set loss.distil.logits=0")));
    // A resumed run reads such a network from its run folder.
    std::fs::remove_file(bench.path("float/final.safetensors")).unwrap();
    done(bench.train("--out float --resume --set schedule.epochs=2"));
    assert!(bench.path("float/final.safetensors").exists());
}

/// Quantisation-aware training, also after an interruption, gives the file for the device.
#[test]
fn a_network_trains_in_integers() {
    let bench = Bench::new();
    let net = "--set schedule.epochs=2";
    done(bench.train(&format!("--out float {net}")));
    let settings = format!("{net} --set optimiser.learning_rate=1e-4 --set loss.distil.logits=0");
    let teacher = "--set loss.distil.teacher=float/final.safetensors";
    let begin = "--qat --init float/final.safetensors";
    done(bench.train(&format!("--out int8 {begin} {settings} {teacher}")));
    let finished = bench.path("int8/final.onnx");
    assert!(!bench.path("int8/final.safetensors").exists());
    let model = network::model::Model::open(&finished, &Default::default()).unwrap();
    let quantisation = model.metadata.quantisation.unwrap();
    assert_eq!(quantisation.calibration.crops, 48);
    assert!(quantisation.calibration.method.contains("trained"));
    assert!(model.metadata.self_test.unwrap().exact.is_some());

    // The rest of a run that lost its end is the same run.
    let whole = read(&finished);
    std::fs::remove_file(&finished).unwrap();
    done(bench.train(&format!("--out int8 --resume {settings} {teacher}")));
    assert!(read(&finished) == whole, "it went on as another network");

    let output = done(bench.trainer(
        "export --weights int8/final.onnx --out compared.onnx --eval people --against float/final.safetensors --fmr 0.1 --json",
    ));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cosine = report["accuracy"]["comparison"]["cosine"]["mean"].as_f64();
    assert!(cosine.unwrap() > 0.95, "{report}");
    let compared = network::model::Model::open(&bench.path("compared.onnx"), &Default::default());
    let compared = compared.unwrap().metadata;
    assert_eq!(
        compared.quantisation.unwrap().calibration,
        quantisation.calibration
    );
    assert!(!compared.thresholds.is_empty());
    // What the log says of the network in training holds for the file.
    let log = read_log(&bench.path("int8/log.jsonl")).unwrap();
    let Some(LogRecord::Evaluation(said)) = log.last() else {
        panic!("a run ends with an evaluation");
    };
    let output = done(bench.trainer("eval --weights int8/final.onnx --data people --json"));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = report["rows"][0]["plain"]["map"].as_f64().unwrap();
    assert!((found - said.test.map).abs() < 0.02, "{found} {said:?}");

    for (arguments, wanted) in [
        ("train small.toml --data people --out q --qat", "--init"),
        (
            "train small.toml --data people --out q --qat --init float/final.safetensors --precision bf16",
            "use f32 with --qat",
        ),
        (
            "train small.toml --data people --out q --qat --init float/final.safetensors --set loss.id.weight=0 --set loss.triplet.weight=0 --set loss.centre.weight=0",
            "loss.distil.teacher is empty",
        ),
        (
            "train small.toml --data people --out q --init int8/final.onnx",
            "a quantised network cannot be trained",
        ),
    ] {
        let output = bench.trainer(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(wanted), "{said}");
    }
    let said = refused(bench.trainer(
        "export --weights float/final.safetensors --out x.onnx --eval people --against float/final.safetensors",
    ));
    assert!(said.contains("it is not quantised"), "{said}");
    let said =
        refused(bench.trainer(
            "export --weights int8/final.onnx --out x.onnx --quantize --calib people/query",
        ));
    assert!(said.contains("quantised already"), "{said}");
}

#[test]
fn what_cannot_be_trained_is_said_before_it_is_tried() {
    let bench = Bench::new();
    done(bench.train("--out run --set schedule.epochs=1"));
    let cases = [
        ("--out run", "it holds a run already"),
        (
            "--out run --resume --set seed=9",
            "a run continues with its own recipe",
        ),
        (
            "--out new --set loss.id.label_smothing=0.1",
            "the nearest is `loss.id.label_smoothing`",
        ),
        ("--out new --set batch.identities=9", "a batch wants 9"),
        ("--out new --init small.toml", "small.toml"),
        (
            "--out new --set model.backbone=resnet50 --init run/final.safetensors",
            "more do not fit",
        ),
        ("--out new --device cuda", "libtorch_cuda.so"),
    ];
    for (arguments, wanted) in cases {
        let mut command = bench.train(arguments);
        command.env_remove("LIBTORCH_CUDA");
        if arguments.contains("cuda")
            && Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../.libtorch/cuda")
                .exists()
        {
            eprintln!("skipped: what is said without libtorch for GPUs, because it is here");
            continue;
        }
        let said = refused(command);
        assert!(said.contains(wanted), "{arguments}: {said}");
        assert_eq!(
            said.lines()
                .filter(|line| line.starts_with("trainer: error: "))
                .count(),
            1,
            "{said}"
        );
    }
    let broken = bench.path("people/bounding_box_train/0001_c1s1_000000_00.png");
    std::fs::write(&broken, b"no image").unwrap();
    let said = refused(bench.train("--out broken"));
    assert!(said.contains("0001_c1s1_000000_00.png"), "{said}");
}
