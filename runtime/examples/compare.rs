//! Embeds two crops of persons and prints the cosine similarity of the embeddings.
//!
//! ```sh
//! cargo run --release --package runtime --example compare -- person.onnx a.jpg b.jpg
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use media::picture;
use network::model::{Model, ModelOptions};
use network::preprocess::{Cropper, View};
use runtime::embed::{self, EmbedOptions};

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, a, b] = arguments.as_slice() else {
        bail!("usage: compare MODEL.onnx A.jpg B.jpg");
    };
    println!("{:.3}", compare(model, [a, b])?);
    Ok(())
}

/// Cosine similarity of the persons on two pictures, -1 to 1.
pub(crate) fn compare(model: &Path, pictures: [&Path; 2]) -> Result<f32> {
    let model = Model::open(model, &ModelOptions::default())?;
    let preprocessing = &model.metadata.preprocessing;
    // Checks the model's self-test before anything is embedded.
    let mut embedder = embed::open(&model, &EmbedOptions::default())?;
    let mut cropper = Cropper::new(preprocessing)?;

    // Each picture is decoded to RGB and resized to the network's input, one crop after the other.
    let crop_len = preprocessing.height * preprocessing.width * 3;
    let mut crops = vec![0; pictures.len() * crop_len];
    let mut rgb = Vec::new();
    for (path, crop) in pictures.iter().zip(crops.chunks_exact_mut(crop_len)) {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let (width, height) =
            picture::decode(&bytes, &mut rgb).with_context(|| path.display().to_string())?;
        cropper.whole(View::new(&rgb, width, height)?, crop)?;
    }

    let mut embeddings = Vec::new();
    embedder.embed(&crops, &mut embeddings)?;
    // Embeddings have length one, so their dot product is the cosine.
    let (a, b) = embeddings.split_at(embedder.dim());
    Ok(a.iter().zip(b).map(|(a, b)| a * b).sum())
}
