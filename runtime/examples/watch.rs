//! Watches a clip and prints who appears in it.
//!
//! ```sh
//! cargo run --release --package runtime --example watch -- person.onnx clip.avi motion 0.78
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use network::model::{Model, ModelOptions};
use runtime::embed::{self, EmbedOptions};
use runtime::event::{Evidence, Observation, Sink};
use runtime::gallery::Gallery;
use runtime::people::{People, Spec};
use runtime::pipeline::{Input, Lane, Parts, Pipeline, Settings, SystemClock, Turn};
use runtime::quality::Gates;
use runtime::track::{self, Numbers};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, clip, boxes, threshold] = arguments.as_slice() else {
        bail!("usage: watch MODEL.onnx CLIP.avi BOXES THRESHOLD");
    };
    for (name, frames) in watch(Path::new(model), clip, boxes, threshold.parse()?)? {
        println!("{name}: {frames} frames");
    }
    Ok(())
}

/// Receives an observation of each person in each frame, and counts the frames of each identity.
#[derive(Default)]
struct Count(BTreeMap<String, u64>);

impl Sink for Count {
    fn emit(&mut self, seen: &Observation<'_>, _: &Evidence<'_>) -> runtime::Result<()> {
        if let Some(name) = seen.identity {
            *self.0.entry(name.to_owned()).or_default() += 1;
        }
        Ok(())
    }
}

/// How many frames of `clip` show each identity. `boxes` is `motion`, `whole`, a file of boxes or a
/// detector, as for `reid run --boxes`.
pub fn watch(model: &Path, clip: &str, boxes: &str, threshold: f32) -> Result<BTreeMap<String, u64>> {
    let model = Model::open(model, &ModelOptions::default())?;
    let dim = model.metadata.embedding.dim;
    let settings = Settings {
        tracks: track::Settings::new(threshold),
        gates: Gates::default(),
    };
    let people = People::open(&Spec::of(boxes, &[], &[])?)?;
    let lane = Lane::new(clip, people, dim, &settings, &Numbers::default())?;
    let mut embedder = embed::open(&model, &EmbedOptions::default())?;
    let mut gallery = Gallery::in_memory(model.space(), dim)?;
    let mut sink = Count::default();
    let parts = Parts {
        preprocessing: &model.metadata.preprocessing,
        embedder: embedder.as_mut(),
        gallery: &mut gallery,
        sink: &mut sink,
        clock: &SystemClock,
        settings,
        keep: None,
    };
    let input = Input::One(media::open(clip, None)?);
    let mut pipeline = Pipeline::new(input, vec![lane], parts)?;
    while !matches!(pipeline.run_once()?, Turn::Ended) {}
    pipeline.finish();
    Ok(sink.0)
}
