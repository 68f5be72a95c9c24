//! Enrols persons from pictures in a gallery and searches it with another picture.
//!
//! ```sh
//! cargo run --release --package runtime --example search -- person.onnx shop.redb unknown.jpg Ada=ada.jpg Bob=bob.jpg
//! ```

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use media::picture;
use network::model::{Model, ModelOptions};
use network::preprocess::{Cropper, View};
use runtime::embed::{self, EmbedOptions};
use runtime::gallery::{Gallery, Origin};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, gallery, query, persons @ ..] = arguments.as_slice() else {
        bail!("usage: search MODEL.onnx GALLERY.redb QUERY.jpg [NAME=PICTURE.jpg]...");
    };
    let persons: Option<Vec<_>> = persons.iter().map(|p| p.split_once('=')).collect();
    let persons = persons.context("persons are NAME=PICTURE.jpg")?;
    for (name, similarity) in search(Path::new(model), Path::new(gallery), query, &persons)? {
        println!("{name} {similarity:.3}");
    }
    Ok(())
}

/// The three identities that are most similar to the person on `query`, best first.
pub(crate) fn search(
    model: &Path,
    gallery: &Path,
    query: &str,
    persons: &[(&str, &str)],
) -> Result<Vec<(String, f32)>> {
    let model = Model::open(model, &ModelOptions::default())?;
    let mut embedder = embed::open(&model, &EmbedOptions::default())?;
    let preprocessing = &model.metadata.preprocessing;
    let mut cropper = Cropper::new(preprocessing)?;
    let mut embed = |path: &str| -> Result<Vec<f32>> {
        let bytes = std::fs::read(path).with_context(|| path.to_owned())?;
        let mut rgb = Vec::new();
        let (width, height) = picture::decode(&bytes, &mut rgb).context(path.to_owned())?;
        let mut crop = vec![0; preprocessing.height * preprocessing.width * 3];
        cropper.whole(View::new(&rgb, width, height)?, &mut crop)?;
        let mut embedding = Vec::new();
        embedder.embed(&crop, &mut embedding)?;
        Ok(embedding)
    };

    // A gallery belongs to one embedding space: that of another model is refused.
    let dim = model.metadata.embedding.dim;
    let mut gallery = Gallery::create_or_open(PathBuf::from(gallery), model.space(), dim)?;
    for &(name, path) in persons {
        let origin = Origin {
            source: path.to_owned(),
            frame: None,
            time: SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64,
            crop: None,
        };
        gallery.enroll(name, &embed(path)?, &origin)?;
    }
    let found = gallery.top::<3>(&embed(query)?)?;
    let found = found.iter().map(|c| (c.name.to_owned(), c.similarity));
    Ok(found.collect())
}
