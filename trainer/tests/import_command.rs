//! `trainer import`, as a person calls it.

use std::path::Path;
use std::process::{Command, Output};

use network::metadata::Preprocessing;
use trainer::checkpoint::NetInfo;
use trainer::nets::{self, Backbone, Neck, Spec};
use trainer::weights::WeightFile;

fn import(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .current_dir(folder)
        .arg("import")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_file_is_imported_and_rebuilt_from_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec {
        backbone: Backbone::OsNetX0_25,
        neck: Neck::Fc,
        dim: 512,
        ..Spec::default()
    };
    let net = nets::build(&spec, 7, 1).unwrap();
    let params = net.graph().params().iter();
    let mut theirs = WeightFile {
        tensors: params
            .map(|param| (format!("module.{}", param.name), param.tensor.clone()))
            .collect(),
        ..WeightFile::default()
    };
    let published = folder.path().join("published.safetensors");
    theirs.write(&published).unwrap();
    let done = import(
        folder.path(),
        &["published.safetensors", "--out", "ours.safetensors"],
    );
    assert!(done.status.success(), "{}", text(&done.stderr));
    let said = text(&done.stdout);
    for line in [
        "osnet_x0_25 in the naming of torchreid, 7 classes",
        "used 487",
        "ignored 0",
        "not in the file 0",
        "written to ours.safetensors",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let ours = WeightFile::read(&folder.path().join("ours.safetensors")).unwrap();
    let info = NetInfo::of(&ours).unwrap().unwrap();
    assert_eq!((info.classes, info.epoch), (7, 0));
    assert_eq!(info.spec, Some(spec));
    assert_eq!(info.preprocessing, Preprocessing::default());
    for param in net.graph().params() {
        assert!(ours.tensors[&param.name] == param.tensor, "{}", param.name);
    }
    // What is ours is read again, to the same bytes.
    let again = import(
        folder.path(),
        &["ours.safetensors", "--out", "again.safetensors", "--json"],
    );
    let report: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(report["family"], "reid");
    assert_eq!(report["used"].as_array().unwrap().len(), 487);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(read("ours.safetensors") == read("again.safetensors"));

    // A file that does not fit leaves what is there.
    theirs.tensors.remove("module.conv1.conv.weight");
    theirs.write(&published).unwrap();
    let arguments = [
        "published.safetensors",
        "--arch",
        "osnet_x0_25",
        "--out",
        "ours.safetensors",
    ];
    let failed = import(folder.path(), &arguments);
    assert_eq!(failed.status.code(), Some(1));
    assert!(read("ours.safetensors") == read("again.safetensors"));
    let unknown = import(
        folder.path(),
        &["published.safetensors", "--arch", "resnet-50"],
    );
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("nearest is `resnet50`"));
}

/// Behind `base.`, torchreid's OSNet was taken for the paper's network: the embedding layer went as
/// "ImageNet's classifier", and 128 numbers came out in place of 512.
#[test]
fn an_osnet_behind_a_prefix_keeps_its_embedding_and_no_trained_tensor_goes_unsaid() {
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec {
        backbone: Backbone::OsNetX0_25,
        neck: Neck::Fc,
        dim: 512,
        ..Spec::default()
    };
    let net = nets::build(&spec, 7, 1).unwrap();
    let params = net.graph().params().iter();
    let mut theirs = WeightFile {
        tensors: params
            .map(|param| (format!("base.{}", param.name), param.tensor.clone()))
            .collect(),
        ..WeightFile::default()
    };
    let zeros = |shape: &[usize]| network::tensor::Tensor::zeros(shape).unwrap();
    let mut write = |name: &str, tensor| {
        theirs.tensors.insert(name.to_owned(), tensor);
        theirs
            .write(&folder.path().join("theirs.safetensors"))
            .unwrap();
    };
    let export = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_trainer"))
            .current_dir(folder.path())
            .args(["export", "--weights", "theirs.safetensors", "--out"])
            .args(["person.onnx", "--json"])
            .args(more)
            .output()
            .unwrap()
    };
    let exported = |done: &Output| {
        assert!(done.status.success(), "{}", text(&done.stderr));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        report["dim"].clone()
    };
    write("criterion.centers", zeros(&[7, 512]));
    let done = export(&[]);
    assert_eq!(exported(&done), 512);
    let said = text(&done.stderr);
    let note = "not needed: `criterion.centers` (part of a loss, which only the training needs)";
    assert!(said.contains(note), "{said}");

    write("projector.weight", zeros(&[64, 512]));
    let onnx = std::fs::read(folder.path().join("person.onnx")).unwrap();
    for refused in [
        export(&[]),
        import(
            folder.path(),
            &["theirs.safetensors", "--out", "o.safetensors"],
        ),
    ] {
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused.stderr);
        for part in [
            "theirs.safetensors: trained tensors have no place in the network",
            "`projector.weight` ([64, 512], the network has no such part)",
            "--drop-unused",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    assert!(!folder.path().join("o.safetensors").exists());
    assert!(onnx == std::fs::read(folder.path().join("person.onnx")).unwrap());

    let done = export(&["--drop-unused"]);
    assert_eq!(exported(&done), 512);
    let said = text(&done.stderr);
    assert!(said.contains("dropped: `projector.weight`"), "{said}");
    let done = import(folder.path(), &["theirs.safetensors", "--drop-unused"]);
    let said = text(&done.stdout);
    for line in ["used 487", "ignored 1", "dropped 1\n  projector.weight"] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn a_list_shows_what_is_inside() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pth");
    let listed = import(&fixtures, &["command_in_weights.pth", "--list"]);
    assert_eq!(
        text(&listed.stdout),
        "w  f32  [2]\n1 tensors, 2 elements\nbeside them: evil (no tensor, but an object of posix.system)\n"
    );
    let listed = import(&fixtures, &["types.pth", "--list", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(json["tensors"][0]["dtype"], "f16");
    let refused = import(&fixtures, &["types.pth"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("types.pth: no known network"));
}
