//! The small example that every test starts from, and what tests derive from it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use fixtures::Example;
use network::graph::Graph;
use network::metadata::{Embedding, Metric, ModelMetadata, Preprocessing, VERSION, WeightsOrigin};
use network::onnx::ReadOptions;
use tempfile::TempDir;

use crate::program::{Reid, reid};

/// Similarity from which on two sightings are the same figure: in the example, the same figure
/// twice is never below it, and two figures never reach it.
pub(crate) const THRESHOLD: &str = "0.7";

/// Figures in the example.
pub(crate) const FIGURES: usize = 8;

/// Boxes in the example.
pub(crate) const SIGHTINGS: usize = 80;

/// Frames of the example's clip.
pub(crate) const FRAMES: usize = 220;

/// The example, rendered once in a process; tests read it and never write into it. A static is
/// never dropped, so the folder lies where cargo keeps what tests leave.
static EXAMPLE: LazyLock<(TempDir, Example)> = LazyLock::new(|| {
    let folder =
        tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the example");
    let example = Example::write(folder.path()).expect("the example can be written");
    (folder, example)
});

/// The example.
pub(crate) fn example() -> &'static Example {
    &EXAMPLE.1
}

/// A run of the example's model and threshold over `source`, whose people are where `boxes` say.
pub(crate) fn run_over(source: impl AsRef<OsStr>, boxes: impl AsRef<OsStr>) -> Reid {
    let model = &example().model;
    reid![
        "run",
        source,
        "--boxes",
        boxes,
        "--model",
        model,
        "--threshold",
        THRESHOLD
    ]
}

/// A folder of one test, gone at its end.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for the test"))
    }

    /// A place in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file into it, and says where that is.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        let folder = path.parent().expect("it is below the folder");
        std::fs::create_dir_all(folder).expect("folders can be made");
        std::fs::write(&path, bytes).expect("the file can be written");
        path
    }

    /// Files that a replacement has begun and not removed.
    pub(crate) fn partials(&self) -> usize {
        let entries = std::fs::read_dir(self.0.path()).expect("the folder can be listed");
        let names = entries.map(|entry| entry.expect("it can be read").file_name());
        names
            .filter(|name| name.to_string_lossy().ends_with(".partial"))
            .count()
    }
}

/// The example's network, not folded.
pub(crate) fn network() -> Graph {
    let model = network::onnx::read_file(&example().model, &ReadOptions::default());
    model.expect("the example's model can be read").graph
}

/// The contract that the example's network would have: what is assumed of it, said.
pub(crate) fn metadata() -> ModelMetadata {
    let [_, height, width] = network().input_size();
    ModelMetadata {
        version: VERSION,
        preprocessing: Preprocessing {
            height,
            width,
            ..Preprocessing::default()
        },
        embedding: Embedding {
            output: "embedding".to_owned(),
            dim: fixtures::net::DIM,
            metric: Metric::Cosine,
        },
        net: Some("figures".to_owned()),
        space: None,
        weights: WeightsOrigin::default(),
        thresholds: Vec::new(),
        quantisation: None,
        self_test: None,
    }
}

/// Writes the example's network with a contract, as an exporter does.
pub(crate) fn write_with(metadata: &ModelMetadata, path: &Path) {
    let key = network::metadata::METADATA_KEY.to_owned();
    let metadata = BTreeMap::from([(key, metadata.to_json())]);
    let bytes = network::onnx::write_bytes_with_digest(&network(), &metadata);
    std::fs::write(path, bytes.expect("it has a form")).expect("the model can be written");
}

/// The first crops of the example, in the order of their names.
pub(crate) fn crops(side: &str, person: usize) -> Vec<PathBuf> {
    let folder = example().crops.join(side);
    let entries = std::fs::read_dir(folder).expect("the crops can be listed");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&format!("{person:04}_")))
    });
    paths.sort();
    paths
}
