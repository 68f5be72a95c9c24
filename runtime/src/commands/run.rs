//! `reid run`: who is in these pictures, again?

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use kernels::model::Model;
use runtime::event::{JsonLines, Silent, Sink};
use runtime::gallery::Gallery;
use runtime::people::People;
use runtime::pipeline::{Parts, Pipeline, Settings, Summary, SystemClock, Turn};
use runtime::source;

use super::{DeviceArgs, ModelArgs, Outcome, output};

/// Watch sources one after the other, and say who is seen again.
///
/// Everybody who resembles nobody in the gallery becomes a new identity.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Run {
    /// What to watch: a Motion-JPEG file (clip.avi), a folder of images, or a pattern of images
    #[arg(required = true)]
    sources: Vec<String>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Where people are: `whole`, or a file of boxes (.csv with a header, MOT .txt, .jsonl)
    #[arg(long)]
    boxes: String,
    /// Who is known; made if it is not there [default: nobody, and forgotten at the end]
    #[arg(long, value_name = "FILE")]
    gallery: Option<PathBuf>,
    /// Cosine similarities at or above it mean the same person; `reid eval --open-set` shows what a
    /// threshold brings [default: the model's own at 1 % strangers let in, if it states one]
    #[arg(long, value_name = "T", value_parser = threshold)]
    threshold: Option<f32>,
    /// Pass over people lower than this
    #[arg(long, value_name = "PIXELS", default_value_t = 0.0)]
    min_height: f32,
    /// Frames a second, for images and for files that state a wrong rate
    #[arg(long)]
    fps: Option<f64>,
    /// Stop after this many frames of each source
    #[arg(long, value_name = "N")]
    max_frames: Option<u64>,
    /// One JSON line an observation on stdout; the table goes to stderr
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  reid run clip.avi --boxes boxes.csv --model person.onnx --gallery shop.redb --json
  reid run monday/ tuesday/ --boxes whole --model person.onnx";

/// Share of strangers that the default threshold lets in.
const DEFAULT_FPIR: f64 = 0.01;

impl Run {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let model = self.model.open()?;
        let threshold = self.threshold_for(&model)?;
        let mut embedder = self.device.embedder(&model)?;
        let dim = model.contract.embedding.dim;
        let mut gallery = match &self.gallery {
            Some(path) => Gallery::create_or_open(path, model.space(), dim)?,
            None => Gallery::in_memory(model.space(), dim)?,
        };
        let mut sink: Box<dyn Sink> = if self.json {
            Box::new(JsonLines(std::io::stdout()))
        } else {
            Box::new(Silent)
        };

        let start = Instant::now();
        let mut summary = Summary::default();
        let mut outcome = Outcome::Done;
        for spec in &self.sources {
            let parts = Parts {
                preprocessing: &model.contract.preprocessing,
                embedder: embedder.as_mut(),
                gallery: &mut gallery,
                sink: sink.as_mut(),
                clock: &SystemClock,
                settings: Settings {
                    threshold,
                    min_height: self.min_height,
                },
            };
            let people = People::open(&self.boxes)?;
            if let People::Given(given) = &people
                && given.is_empty()
            {
                eprintln!(
                    "reid: note: {} holds no boxes: nobody will be seen",
                    self.boxes
                );
            }
            let pipeline = Pipeline::new(source::open(spec, self.fps)?, people, parts)?;
            let (part, ended) = self.watch(pipeline);
            summary.add(&part);
            match ended {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Partly) => outcome = Outcome::Partly,
                Err(error) => {
                    self.report(&summary, start)?;
                    return Err(error);
                }
            }
        }
        self.report(&summary, start)?;
        Ok(outcome)
    }

    /// What was asked for, else what the model states. A number for all models would be wrong for
    /// most: unlike people have a similarity of 0.3 under one and of 0.9 under another.
    fn threshold_for(&self, model: &Model) -> anyhow::Result<f32> {
        let stated = || model.contract.threshold_at(DEFAULT_FPIR);
        self.threshold.or_else(stated).with_context(|| {
            format!(
                "{} states no threshold: find one with `reid eval DATA --model {0} --open-set` on \
                 labelled crops of your site, and pass it as --threshold",
                self.model.model.display()
            )
        })
    }

    /// Works through one source. What was seen before an error counts.
    fn watch(&self, mut pipeline: Pipeline<'_>) -> (Summary, anyhow::Result<Outcome>) {
        let frames = match (pipeline.frames(), self.max_frames) {
            (Some(all), Some(most)) => Some(all.min(most)),
            (all, most) => all.or(most),
        };
        let bar = output::progress(frames, "frames");
        let mut outcome = Outcome::Done;
        let mut turns = 0;
        let ended = loop {
            if self.max_frames.is_some_and(|most| turns >= most) {
                break Ok(outcome);
            }
            turns += 1;
            match pipeline.run_once() {
                Ok(Turn::Worked) => bar.inc(1),
                Ok(Turn::Broken(error)) => {
                    bar.suspend(|| eprintln!("reid: skipped: {error}"));
                    outcome = Outcome::Partly;
                }
                Ok(Turn::Ended) => {
                    if let Some(unused) = pipeline.people().unused() {
                        eprintln!("reid: note: {unused}");
                    }
                    break Ok(outcome);
                }
                // The rest of this source is lost, the sources behind it are not.
                Err(runtime::Error::Source(error)) => {
                    bar.suspend(|| eprintln!("reid: skipped the rest: {error}"));
                    break Ok(Outcome::Partly);
                }
                Err(error) => break Err(error.into()),
            }
        };
        bar.finish_and_clear();
        (pipeline.summary().clone(), ended)
    }

    fn report(&self, summary: &Summary, start: Instant) -> anyhow::Result<()> {
        let lines = text(summary, start.elapsed().as_secs_f64());
        if self.json {
            for line in lines {
                eprintln!("{line}");
            }
            return Ok(());
        }
        output::lines(lines)
    }
}

/// The table at the end.
fn text(summary: &Summary, seconds: f64) -> Vec<String> {
    let header = ["identity", "", "seen", "first", "last", "least similar"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (name, tally) in &summary.identities {
        rows.push(vec![
            name.clone(),
            if tally.new { "new" } else { "known" }.to_owned(),
            tally.observations.to_string(),
            format!("{:.1} s", tally.first.as_secs_f64()),
            format!("{:.1} s", tally.last.as_secs_f64()),
            tally
                .least
                .map_or("-".to_owned(), |similarity| format!("{similarity:.3}")),
        ]);
    }
    let mut lines = output::table(&rows);
    let new = summary
        .identities
        .values()
        .filter(|tally| tally.new)
        .count();
    lines.push(format!(
        "{} in {} of {} ({new} new, {} known before), {:.1} frames/s",
        output::count(summary.identities.len(), "person"),
        output::count(summary.observations as usize, "observation"),
        output::count(summary.frames as usize, "frame"),
        summary.identities.len() - new,
        summary.frames as f64 / seconds,
    ));
    let passed_over = [
        (summary.broken_frames, "broken frame"),
        (summary.too_small, "too small person"),
        (summary.outside, "box outside of its frame"),
        (summary.dropped, "person too many for a frame"),
        (
            summary.featureless,
            "person in whom the network saw nothing",
        ),
    ];
    lines.extend(
        passed_over
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("passed over: {n} x {what}")),
    );
    lines
}

/// A cosine similarity.
pub(super) fn threshold(text: &str) -> anyhow::Result<f32> {
    let threshold: f32 = text.parse().context("wanted a number from -1 to 1")?;
    if !(-1.0..=1.0).contains(&threshold) {
        bail!("wanted -1 to 1");
    }
    Ok(threshold)
}
