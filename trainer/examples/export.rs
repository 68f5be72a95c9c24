//! Exports weights as a model file, checks the folding on pictures, and opens the file again.
//!
//! ```sh
//! cargo run --release --package trainer --no-default-features --example export -- weights.safetensors person.onnx crops/*.jpg
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use network::metadata::WeightsOrigin;
use network::model::{Model, ModelOptions};
use trainer::export::{self, EmbeddingDifference};
use trainer::import::Overrides;
use trainer::load;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [weights, out, pictures @ ..] = arguments.as_slice() else {
        bail!("usage: export WEIGHTS MODEL.onnx PICTURE.jpg...");
    };
    let change = export_and_check(weights, out, pictures)?;
    println!(
        "{} pictures: folding changed an embedding by {:.1e} of its length at most",
        change.images, change.relative_max
    );
    Ok(())
}

/// Writes the network of `weights` to `out`, and returns how far folding moved the embeddings of
/// `pictures`.
pub(crate) fn export_and_check(
    weights: &Path,
    out: &Path,
    pictures: &[PathBuf],
) -> Result<EmbeddingDifference> {
    // Published weights of torchreid, fast-reid and others, or a checkpoint of `trainer train`.
    let opened = load::open(weights, &Overrides::default())?;
    // Drops the classifier and folds BatchNorms.
    let mut exported = export::float(&opened, WeightsOrigin::default())?;
    let change = exported.proof(pictures, || {})?;
    // The self-test is the last thing to be added: it depends on all else.
    exported.add_self_test()?;
    exported.write(out)?;

    // Reading checks the digest; the embedding space is the one that was exported.
    let model = Model::open(out, &ModelOptions::default())?;
    ensure!(model.metadata.space == exported.metadata.space);
    ensure!(model.metadata.self_test.is_some());
    Ok(change)
}
