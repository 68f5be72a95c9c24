//! `trainer synth` and `trainer synth-clip`: synthetic data sets and clips.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use synth::{
    Clip, ClipOptions, ClipSummary, Domain, RenderOptions, RenderSummary, SyntheticDataset,
};

/// Render a synthetic data set with the layout of Market-1501
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Synth {
    /// Output folder, new or empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Persons: half of them for training, half for the test
    #[arg(long, value_name = "N", default_value_t = RenderOptions::default().identities)]
    identities: usize,
    /// Cameras; with three or more, the last has no training images
    #[arg(long, value_name = "N", default_value_t = RenderOptions::default().cameras)]
    cameras: usize,
    /// Images of a person by each camera that sees it, at least 2
    #[arg(long, value_name = "N", default_value_t = RenderOptions::default().per_camera)]
    per_camera: usize,
    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value_t = RenderOptions::default().seed)]
    seed: u64,
    /// Scene: street (outdoors, winter clothes) or mall (indoors, summer clothes)
    #[arg(long, value_name = "DOMAIN", default_value_t = RenderOptions::default().domain)]
    domain: Domain,
    /// Share of the persons with the same clothes as another person, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = RenderOptions::default().lookalikes)]
    lookalikes: f64,
    /// Use all persons for training, without a test set; several such sets can be joined
    #[arg(long)]
    train_only: bool,
    /// Height and width of the images
    #[arg(long, value_name = "HxW", default_value = "128x64", value_parser = super::size)]
    size: [usize; 2],
    /// Rendering threads, at most 256, 0 for one per core; the images do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  trainer synth street
  trainer synth mall --domain mall --seed 7
  trainer synth big --identities 1500 --per-camera 8 --size 256x128
  trainer synth more/1 --seed 1 --train-only && trainer synth more/2 --seed 2 --train-only
  trainer data check street";

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    domain: Domain,
    seed: u64,
    #[serde(flatten)]
    written: RenderSummary,
    seconds: f64,
    per_second: f64,
}

impl Synth {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let options = RenderOptions {
            identities: self.identities,
            cameras: self.cameras,
            per_camera: self.per_camera,
            size: self.size,
            seed: self.seed,
            domain: self.domain,
            lookalikes: self.lookalikes,
            train_only: self.train_only,
        };
        let dataset = SyntheticDataset::new(&options)?;
        let bar = cli::progress(Some(dataset.pictures() as u64), "pictures");
        let started = std::time::Instant::now();
        let written = dataset.write(&self.out, self.threads, || bar.inc(1))?;
        bar.finish_and_clear();
        let seconds = started.elapsed().as_secs_f64();
        let report = Report {
            schema: 1,
            domain: self.domain,
            seed: self.seed,
            written,
            seconds,
            per_second: dataset.pictures() as f64 / seconds.max(1e-9),
        };
        if self.json {
            return cli::json(&report);
        }
        let RenderSummary {
            train_identities,
            test_identities,
            train,
            query,
            gallery,
            distractors,
            junk,
        } = report.written;
        cli::lines([
            format!(
                "{}: {train} training images of {train_identities} persons",
                self.out.display()
            ),
            format!(
                "{query} queries and {gallery} gallery images of {test_identities} other persons, with \
                 {distractors} distractors and {junk} junk images"
            ),
            format!("{seconds:.1} s, {:.0} images per second", report.per_second),
        ])
    }
}

/// Render a synthetic clip of one camera with persons who leave and return, with boxes and ground truth
#[derive(Debug, Args)]
#[command(after_help = CLIP_HELP)]
pub(super) struct SynthClip {
    /// Output folder, new or empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Persons; every third has one visit, the others return
    #[arg(long, value_name = "N", default_value_t = ClipOptions::default().identities)]
    identities: usize,
    /// Visits in all
    #[arg(long, value_name = "N", default_value_t = ClipOptions::default().visits)]
    visits: usize,
    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value_t = ClipOptions::default().seed)]
    seed: u64,
    /// Scene: street (outdoors, winter clothes) or mall (indoors, summer clothes)
    #[arg(long, value_name = "DOMAIN", default_value_t = ClipOptions::default().domain)]
    domain: Domain,
    /// Share of the persons with the same clothes as another person, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = ClipOptions::default().lookalikes)]
    lookalikes: f64,
    /// Width and height of a frame, 16:9, at most 1280x720
    #[arg(long, value_name = "WxH", default_value = "640x360", value_parser = wide)]
    size: [usize; 2],
    /// Frames per second, 1 to 60
    #[arg(long, value_name = "N", default_value_t = ClipOptions::default().rate)]
    fps: u32,
    /// JPEG quality, 1 to 100 [default: random for the camera, 55 to 92]
    #[arg(long, value_name = "N")]
    quality: Option<u8>,
    /// Mean time between two visits in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = ClipOptions::default().every)]
    mean_interval: f64,
    /// Rendering threads, at most 256, 0 for one per core; the images do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const CLIP_HELP: &str = "\
Writes OUT/clip.avi (Motion-JPEG), OUT/boxes.csv (simulated detections: frame,x,y,w,h) and
OUT/truth.csv (ground truth: frame,person,visit,x,y,w,h).

Examples:
  trainer synth-clip door
  trainer synth-clip door --domain mall --identities 20 --visits 60 --seed 7
  trainer synth-clip small --fps 5 --quality 40 --mean-interval 3
  reid run door/clip.avi --boxes door/boxes.csv --model person.onnx --threshold 0.7";

/// What `--json` prints for a clip.
#[derive(Debug, Serialize)]
struct ClipReport {
    schema: u32,
    domain: Domain,
    seed: u64,
    #[serde(flatten)]
    written: ClipSummary,
    seconds: f64,
}

impl SynthClip {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let clip = Clip::new(&ClipOptions {
            identities: self.identities,
            visits: self.visits,
            seed: self.seed,
            domain: self.domain,
            lookalikes: self.lookalikes,
            size: self.size,
            rate: self.fps,
            quality: self.quality,
            every: self.mean_interval,
        })?;
        let bar = cli::progress(Some(clip.frames() as u64), "frames");
        let started = std::time::Instant::now();
        let written = clip.write(&self.out, self.threads, || bar.inc(1))?;
        bar.finish_and_clear();
        let seconds = started.elapsed().as_secs_f64();
        if self.json {
            return cli::json(&ClipReport {
                schema: 1,
                domain: self.domain,
                seed: self.seed,
                written,
                seconds,
            });
        }
        let ClipSummary {
            frames,
            identities,
            visits,
            sightings,
            boxes,
        } = written;
        cli::lines([
            format!(
                "{}: {frames} frames, {visits} visits of {}",
                self.out.join("clip.avi").display(),
                cli::count(identities, "person")
            ),
            format!("boxes.csv: {boxes} boxes; truth.csv: {sightings} sightings"),
            format!("{seconds:.1} s"),
        ])
    }
}

/// `640x360`: width and height.
fn wide(text: &str) -> Result<[usize; 2], String> {
    super::extents(text).ok_or_else(|| "wanted WIDTHxHEIGHT, for example 640x360".to_owned())
}
