//! Watches a clip and prints when a person is identified: for the first time, or again.
//!
//! ```sh
//! cargo run --release --package runtime --example watch -- person.onnx clip.avi motion 0.78
//! ```

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use network::model::{Model, ModelOptions};
use runtime::embed::{self, EmbedOptions};
use runtime::event::{Event, EventKind};
use runtime::gallery::Gallery;
use runtime::people::{People, Spec};
use runtime::pipeline::{
    Environment, Input, Pipeline, Progress, Session, Settings, Stream, SystemClock,
};
use runtime::quality::Gates;
use runtime::sink::Sink;
use runtime::summary::Summary;
use runtime::track::{Numbers, TrackerSettings};
use runtime::visits::Visits;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, clip, boxes, threshold] = arguments.as_slice() else {
        bail!("usage: watch MODEL.onnx CLIP.avi BOXES THRESHOLD");
    };
    for (name, returning) in watch(Path::new(model), clip, boxes, threshold.parse()?)? {
        println!("{name} {}", if returning { "is back" } else { "is new" });
    }
    Ok(())
}

/// Collects identified persons, and whether each was seen before.
#[derive(Default)]
struct Identified(Vec<(String, bool)>);

impl Sink for Identified {
    fn event(&mut self, event: &Event<'_>) -> runtime::Result<()> {
        if let EventKind::Identified {
            identity,
            returning,
            ..
        } = event.kind
        {
            self.0.push((identity.to_owned(), returning));
        }
        Ok(())
    }
}

/// The identifications of a clip in their order, corrections included. `boxes` is `motion`, `whole`, a
/// file of boxes or a detector, as for `reid run --boxes`.
pub(crate) fn watch(
    model: &Path,
    clip: &str,
    boxes: &str,
    threshold: f32,
) -> Result<Vec<(String, bool)>> {
    let model = Model::open(model, &ModelOptions::default())?;
    let dim = model.metadata.embedding.dim;
    let settings = Settings {
        tracks: TrackerSettings::new(threshold),
        gates: Gates::default(),
    };
    let people = People::open(&Spec::of(boxes, &[], &[])?)?;
    let stream = Stream::new(clip, people, dim, &settings, &Numbers::default())?;
    let mut embedder = embed::open(&model, &EmbedOptions::default())?;
    let mut session = Session {
        gallery: Gallery::in_memory(model.space(), dim)?,
        visits: Visits::new(Duration::from_secs(5))?,
        summary: Summary::default(),
    };
    let mut sink = Identified::default();
    let environment = Environment {
        preprocessing: &model.metadata.preprocessing,
        embedder: embedder.as_mut(),
        session: &mut session,
        sink: &mut sink,
        clock: &SystemClock::default(),
        settings,
    };
    let input = Input::One(media::open(clip, None)?);
    let mut pipeline = Pipeline::new(input, vec![stream], environment)?;
    while !matches!(pipeline.run_once()?, Progress::Ended) {}
    pipeline.finish();
    Ok(sink.0)
}
