//! Models that are cut, contradict themselves or ask for too much: an error that names the file,
//! what was found and what was wanted.

use std::path::Path;

use fixtures::street::Random;

use crate::example::{Folder, crops, example, metadata, write_with};
use crate::program::reid;
use crate::protobuf::{FLOAT, INT64, Message, floats, model, node, tensor};

/// Embeds with a model and checks that it is refused with its name, and for the reason given.
#[track_caller]
fn refused(model: &Path, why: &[&str]) {
    let folder = Folder::new();
    let name = model
        .file_name()
        .and_then(|name| name.to_str())
        .expect("UTF-8");
    let out = folder.at("emb.npy");
    for call in [
        reid!["model", "inspect", model],
        reid![
            "embed",
            crops("query", 1)[0],
            "--model",
            model,
            "--out",
            out
        ],
    ] {
        call.fails().says(&[name]).says(why);
    }
    assert!(!out.exists());
}

/// Weights of a layer from the 96 pixels of [`model`]'s input to four numbers.
fn weights() -> Message {
    tensor("w", &[96, 4], FLOAT, floats(96 * 4, 0.1))
}

/// A flat image times `w`: with [`weights`], a model that works.
fn layer() -> [Message; 2] {
    [node("Flatten", "x > flat"), node("Gemm", "flat w > y")]
}

#[test]
fn the_model_that_the_others_are_made_from_works() {
    let folder = Folder::new();
    let path = folder.file("m.onnx", model(3, &layer(), &[weights()], &["y"]));
    let out = folder.at("emb.npy");
    reid!["embed", crops("query", 1)[0], "--model", path, "--out", out].succeeds();
}

#[test]
fn a_model_cut_anywhere_is_refused() {
    let folder = Folder::new();
    let whole = std::fs::read(&example().model).expect("the model can be read");
    for length in [
        1,
        2,
        10,
        100,
        whole.len() / 2,
        whole.len() - 40,
        whole.len() - 1,
    ] {
        let path = folder.file("cut.onnx", &whole[..length]);
        refused(&path, &["malformed ONNX model"]);
    }
}

#[test]
fn what_is_no_model_is_refused() {
    let folder = Folder::new();
    let mut random = Random::new(11);
    let noise: Vec<u8> = (0..10_000)
        .map(|_| (random.number() * 127.0) as i8 as u8)
        .collect();
    refused(&folder.file("noise.onnx", noise), &["malformed ONNX model"]);
    refused(&folder.file("empty.onnx", b""), &["malformed ONNX model"]);
    refused(&example().crops, &["Is a directory"]);
    refused(&folder.at("nowhere.onnx"), &["No such file"]);
    let picture = &crops("query", 1)[0];
    refused(picture, &["malformed ONNX model"]);
}

#[test]
fn a_network_that_contradicts_itself_is_refused_with_the_node() {
    let folder = Folder::new();
    let flat = || node("Flatten", "x > flat");
    let huge = tensor("w", &[1 << 31, 1 << 31], FLOAT, b"");
    let negative = tensor("w", &[96, u64::MAX], FLOAT, b"");
    let short = tensor("w", &[96, 4], FLOAT, floats(95 * 4, 0.1));
    let whole = tensor("w", &[96, 4], INT64, [0; 96 * 4 * 8]);
    let strings = tensor("w", &[96, 4], 8, b"");
    let other = tensor("w", &[95, 4], FLOAT, floats(95 * 4, 0.1));
    let cycle = [
        flat(),
        node("Add", "flat b > a"),
        node("Relu", "a > b"),
        node("Relu", "b > y"),
    ];
    let unknown = [flat(), node("Teleport", "flat w > y")];
    let cases: &[(&str, &[Message], Message, &[&str])] = &[
        (
            "huge",
            &layer(),
            huge,
            &["`w`", "4611686018427387904", "the limit is"],
        ),
        ("negative", &layer(), negative, &["`w`", "-1"]),
        (
            "short",
            &layer(),
            short,
            &["`w`", "wants 384 elements, found 380"],
        ),
        (
            "whole numbers",
            &layer(),
            whole,
            &["node of y", "I64", "F32"],
        ),
        ("strings", &layer(), strings, &["`w`", "string"]),
        ("other size", &layer(), other, &["node of y", "95", "96"]),
        ("cycle", &cycle, weights(), &["node of a", "cycle"]),
        (
            "missing",
            &layer(),
            tensor("v", &[1], FLOAT, floats(1, 0.0)),
            &["node of y", "`w`"],
        ),
        ("unknown", &unknown, weights(), &["node of y", "Teleport"]),
    ];
    for (name, nodes, weights, why) in cases {
        let bytes = model(3, nodes, std::slice::from_ref(weights), &["y"]);
        let path = folder.file(&format!("{name}.onnx"), bytes);
        refused(&path, why);
    }
}

#[test]
fn a_network_that_is_no_embedder_of_images_is_refused() {
    let folder = Folder::new();
    let grey = tensor("w", &[32, 4], FLOAT, floats(32 * 4, 0.1));
    let path = folder.file("grey.onnx", model(1, &layer(), &[grey], &["y"]));
    refused(&path, &["[N, 1, 8, 4]", "[N, 3, 8, 4]"]);

    let map = [node("Relu", "x > y")];
    let path = folder.file("map.onnx", model(3, &map, &[], &["y"]));
    refused(&path, &["[N, 3, 8, 4]", "[N, dim]"]);

    let path = folder.file("none.onnx", model(3, &layer(), &[weights()], &[]));
    refused(&path, &["output"]);
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let folder = Folder::new();
    for (value, found) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let weights = tensor("w", &[96, 4], FLOAT, floats(96 * 4, value));
        let path = folder.file("m.onnx", model(3, &layer(), &[weights], &["y"]));
        refused(&path, &["`w`", found]);
    }
}

#[test]
fn an_embedding_without_a_length_is_not_kept() {
    let folder = Folder::new();
    let weights = tensor("w", &[96, 4], FLOAT, floats(96 * 4, 0.0));
    let path = folder.file("zero.onnx", model(3, &layer(), &[weights], &["y"]));
    let (gallery, out) = (folder.at("shop.redb"), folder.at("emb.npy"));
    let crop = &crops("query", 1)[0];
    let why = ["the network finds no feature in it", "none of the 1 images"];
    reid!["embed", crop, "--model", path, "--out", out]
        .fails()
        .says(&why);
    reid!["enroll", "Ada", crop, "--model", path, "--gallery", gallery]
        .fails()
        .says(&why);
    assert!(!out.exists() && !gallery.exists());
    let run = reid![
        "run",
        crop,
        "--boxes",
        "whole",
        "--model",
        path,
        "--gallery",
        gallery,
        "--threshold",
        "0.5",
        "--observations"
    ];
    // One blank crop must not stop a camera.
    let ended = run.succeeds();
    let ended = ended.says(&["passed over: 1 x crop in which the network found nothing"]);
    assert_eq!(ended.json()["state"], "pending");
    let known = reid!["gallery", "list", gallery, "--json"]
        .succeeds()
        .json();
    assert_eq!(known["identities"], serde_json::json!([]));
}

#[test]
fn of_two_outputs_the_sidecar_says_which() {
    let folder = Folder::new();
    let [flat, gemm] = layer();
    let nodes = [flat, gemm, node("Relu", "y > logits")];
    let path = folder.file("two.onnx", model(3, &nodes, &[weights()], &["y", "logits"]));
    refused(&path, &["2 outputs", "`y`, `logits`", "two.toml"]);

    folder.file("two.toml", "output = \"y\"\n");
    let report = reid!["model", "inspect", path, "--json"].succeeds().json();
    assert_eq!(report["metadata"]["embedding"]["output"], "y");
    folder.file("two.toml", "output = \"z\"\n");
    refused(&path, &["`z`", "`y`"]);
}

#[test]
fn a_sidecar_that_is_wrong_is_refused_with_the_key() {
    let folder = Folder::new();
    let path = folder.file("m.onnx", model(3, &layer(), &[weights()], &["y"]));
    for (text, why) in [
        ("hieght = 8\n", &["m.toml:1:", "`hieght`", "expected"][..]),
        ("[preprocessing]\nheigth = 8\n", &["m.toml:2:", "`heigth`"]),
        (
            "[preprocessing]\nheight = 256\nwidth = 128\n",
            &["[N, 3, 8, 4]", "[N, 3, 256, 128]"],
        ),
        (
            "[preprocessing]\nheight = 0\nwidth = 4\n",
            &["height is 0", "wanted 1 to 4096"],
        ),
        (
            "[preprocessing]\nstd = [1.0, 0.0, 1.0]\n",
            &["std of plane 1 is 0", "wanted"],
        ),
        (
            "[preprocessing]\nresize = \"nearest\"\n",
            &["m.toml", "nearest", "pil-bilinear"],
        ),
        ("output = [\n", &["m.toml"]),
    ] {
        folder.file("m.toml", text);
        refused(&path, why);
    }
    reid![
        "model",
        "inspect",
        path,
        "--sidecar",
        folder.at("none.toml")
    ]
    .fails()
    .says(&["none.toml", "No such file"]);
}

#[test]
fn a_contract_that_does_not_fit_is_refused() {
    let folder = Folder::new();
    let path = folder.at("figures.onnx");
    let mut newer = metadata();
    newer.version += 1;
    let mut larger = metadata();
    larger.embedding.dim = 512;
    let mut higher = metadata();
    higher.preprocessing.height = 256;
    let mut elsewhere = metadata();
    elsewhere.embedding.output = "f_i".to_owned();
    for (metadata, why) in [
        (newer, &["version is 2", "reads 1"][..]),
        (larger, &["64 numbers", "512"]),
        (higher, &["[N, 3, 64, 32]", "[N, 3, 256, 32]"]),
        (elsewhere, &["`f_i`", "`embedding`"]),
    ] {
        write_with(&metadata, &path);
        refused(&path, why);
    }

    // Two that say how, and may not agree.
    write_with(&metadata(), &path);
    folder.file("figures.toml", "net = \"other\"\n");
    refused(&path, &["figures.toml", "has its own metadata"]);
}
