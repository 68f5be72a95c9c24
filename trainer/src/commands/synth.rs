//! `trainer synth` and `trainer synth-clip`: a street of people who never were.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use synth::{Clip, ClipOptions, ClipSummary, Domain, Options, Street, Summary};

/// Render people in front of cameras: a data set with Market-1501's layout, from nothing but a seed
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Synth {
    /// The folder to write, new or empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Persons; half of them are to learn and half to test
    #[arg(long, value_name = "N", default_value_t = Options::default().identities)]
    identities: usize,
    /// Cameras; of three or more, the last takes no pictures to train with
    #[arg(long, value_name = "N", default_value_t = Options::default().cameras)]
    cameras: usize,
    /// Pictures of a person by each camera that sees them, at least 2
    #[arg(long, value_name = "N", default_value_t = Options::default().per_camera)]
    per_camera: usize,
    /// Names everything that is drawn by chance
    #[arg(long, value_name = "N", default_value_t = Options::default().seed)]
    seed: u64,
    /// street (outdoors, winter clothes) or mall (indoors, summer clothes)
    #[arg(long, value_name = "DOMAIN", default_value_t = Options::default().domain)]
    domain: Domain,
    /// Share of the persons who wear the clothes of somebody else
    #[arg(long, value_name = "SHARE", default_value_t = Options::default().lookalikes)]
    lookalikes: f64,
    /// All persons are to learn, and nothing is there to test with: several such streets, joined,
    /// have more cameras and more persons than one
    #[arg(long)]
    train_only: bool,
    /// Height and width of the pictures
    #[arg(long, value_name = "HxW", default_value = "128x64", value_parser = super::size)]
    size: [usize; 2],
    /// Threads that render, 0 for one a core, at most 256; the pictures do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// One JSON object instead of text
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
    written: Summary,
    seconds: f64,
    per_second: f64,
}

impl Synth {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let options = Options {
            identities: self.identities,
            cameras: self.cameras,
            per_camera: self.per_camera,
            size: self.size,
            seed: self.seed,
            domain: self.domain,
            lookalikes: self.lookalikes,
            learn_only: self.train_only,
        };
        let street = Street::new(&options)?;
        let bar = cli::progress(Some(street.pictures() as u64), "pictures");
        let started = std::time::Instant::now();
        let written = street.write(&self.out, self.threads, || bar.inc(1))?;
        bar.finish_and_clear();
        let seconds = started.elapsed().as_secs_f64();
        let report = Report {
            schema: 1,
            domain: self.domain,
            seed: self.seed,
            written,
            seconds,
            per_second: street.pictures() as f64 / seconds.max(1e-9),
        };
        if self.json {
            return cli::json(&report);
        }
        let Summary {
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
                "{}: {train} pictures of {train_identities} persons to learn",
                self.out.display()
            ),
            format!(
                "{query} to search for, {gallery} to search in, of {test_identities} other persons; \
                 {distractors} distractors and {junk} junk among them"
            ),
            format!("{seconds:.1} s, {:.0} pictures a second", report.per_second),
        ])
    }
}

/// Render a clip of one camera: people walk in, leave and return; boxes and the truth beside it
#[derive(Debug, Args)]
#[command(after_help = CLIP_HELP)]
pub(super) struct SynthClip {
    /// The folder to write, new or empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Persons; every third comes once, the others return
    #[arg(long, value_name = "N", default_value_t = ClipOptions::default().identities)]
    identities: usize,
    /// How often anybody comes
    #[arg(long, value_name = "N", default_value_t = ClipOptions::default().visits)]
    visits: usize,
    /// Names everything that is drawn by chance
    #[arg(long, value_name = "N", default_value_t = ClipOptions::default().seed)]
    seed: u64,
    /// street (outdoors, winter clothes) or mall (indoors, summer clothes)
    #[arg(long, value_name = "DOMAIN", default_value_t = ClipOptions::default().domain)]
    domain: Domain,
    /// Share of the persons who wear the clothes of somebody else
    #[arg(long, value_name = "SHARE", default_value_t = ClipOptions::default().lookalikes)]
    lookalikes: f64,
    /// Width and height of a frame: 16 to 9, at most 1280x720
    #[arg(long, value_name = "WxH", default_value = "640x360", value_parser = wide)]
    size: [usize; 2],
    /// Frames a second, 1 to 60
    #[arg(long, value_name = "N", default_value_t = ClipOptions::default().rate)]
    fps: u32,
    /// Quality of the pictures, 1 to 100: the lower, the smaller the file [default: what the camera
    /// happens to have, 55 to 92]
    #[arg(long, value_name = "N")]
    quality: Option<u8>,
    /// Mean of the seconds between two who come
    #[arg(long, value_name = "SECONDS", default_value_t = ClipOptions::default().every)]
    mean_interval: f64,
    /// Threads that render, 0 for one a core, at most 256; the pictures do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const CLIP_HELP: &str = "\
Writes OUT/clip.avi (Motion-JPEG), OUT/boxes.csv (what a detector finds: frame,x,y,w,h) and
OUT/truth.csv (who is where: frame,person,visit,x,y,w,h).

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

/// `640x360`: width and height, as screens have them.
fn wide(text: &str) -> Result<[usize; 2], String> {
    super::extents(text).ok_or_else(|| "wanted WIDTHxHEIGHT, for example 640x360".to_owned())
}
