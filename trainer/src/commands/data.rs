//! `trainer data`: check, recolour and draw data sets, and the colour-stripe baseline.

mod sheet;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use retrieval::metrics::Scores;
use serde::Serialize;
use trainer::data::Dataset;
use trainer::data::augment::Jitter;
use trainer::data::check::{DatasetReport, MinMedianMax, PartReport, check};
use trainer::data::dataset::{DatasetLayout, DatasetOptions, TestSplit};
use trainer::data::recolour::recolour;
use trainer::stripes;

/// Check, recolour and draw data sets
#[derive(Debug, Args)]
pub(super) struct Data {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    Check(Check),
    Recolour(Recolour),
    Stripes(Stripes),
    Sheet(sheet::Sheet),
}

/// Check a data set: count persons, images and cameras, find persons in both training and test, and
/// decode every image
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
struct Check {
    /// Folder of the data set; several are joined
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Layout of the folder [default: recognised by its content]
    #[arg(long, value_enum)]
    layout: Option<DatasetLayout>,
    /// Share of the persons for the test, 0 to 1, for layouts without a split: pairs, folders
    #[arg(long, value_name = "SHARE", default_value_t = TestSplit::default().test)]
    test_share: f64,
    /// Seed of the draw of test persons
    #[arg(long, value_name = "N", default_value_t = TestSplit::default().seed)]
    split_seed: u64,
    /// Decoding threads, at most 256; 0 for one per core
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  trainer data check Market-1501
  trainer data check VIPeR --layout pairs --split-seed 3
  trainer data check Market-1501 MSMT17_V1 --json

Layouts:
  market           bounding_box_train/, query/, bounding_box_test/; 0001_c1s1_000007_00.jpg,
                   0001_c1_f0044158.jpg (DukeMTMC-reID) or 0001_c1_1.png (CUHK03-NP)
  msmt17           list_train.txt, list_query.txt, list_gallery.txt, train/, test/
  cuhk03-detected  splits_new_detected.json, images_detected/ (as torchreid extracts it)
  cuhk03-labeled   splits_new_labeled.json, images_labeled/
  pairs            cam_a/, cam_b/; 000_45.bmp or person_0001.png
  folders          one folder for each person, optionally below train/, query/, gallery/ or test/

The exit code is 1 if a file cannot be decoded.";

/// Write a copy of a data set in which each camera has its own hue, brightness, contrast and
/// saturation
///
/// On the copy colours alone no longer identify a person.
#[derive(Debug, Args)]
#[command(after_help = RECOLOUR_HELP)]
struct Recolour {
    /// Folder of the data set; its files are .jpg and their names state the camera
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Output folder, new or empty
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Greatest change of hue, as a share of the colour circle, 0 to 0.5
    #[arg(long, value_name = "PART", default_value_t = 0.1)]
    hue: f64,
    /// Greatest relative change of brightness
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    brightness: f64,
    /// Greatest relative change of contrast
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    contrast: f64,
    /// Greatest relative change of saturation
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    saturation: f64,
    /// Seed of the changes
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads, at most 256; 0 for one per core
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const RECOLOUR_HELP: &str = "\
Examples:
  trainer data recolour Market-1501 Market-recoloured
  trainer data recolour crops crops-3 --hue 0.05 --brightness 0.4 --seed 3
  trainer eval --weights person.safetensors --data crops-3";

/// Evaluate the colour-stripe baseline: histograms of hue, saturation and value of eight stripes
///
/// A network has to be better. A data set on which stripes score well says little about a network.
#[derive(Debug, Args)]
#[command(after_help = STRIPES_HELP)]
struct Stripes {
    /// Folder of the data set; several give a row each
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const STRIPES_HELP: &str = "\
Examples:
  trainer data stripes street
  trainer data stripes crops crops-recoloured --json";

impl Data {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            DataCommand::Check(check) => check.run(),
            DataCommand::Recolour(recolour) => recolour.run(),
            DataCommand::Stripes(stripes) => stripes.run(),
            DataCommand::Sheet(sheet) => sheet.run(),
        }
    }
}

impl Check {
    fn run(self) -> anyhow::Result<()> {
        let options = DatasetOptions {
            layout: self.layout,
            split: TestSplit {
                test: self.test_share,
                seed: self.split_seed,
            },
        };
        let dataset = Dataset::open_all(&self.dirs, &options)?;
        let images = dataset.images().count();
        let bar = cli::progress(Some(images as u64), "images");
        let report = check(&dataset, self.threads, || bar.inc(1))?;
        bar.finish_and_clear();
        if self.json {
            cli::json(&report)?;
        } else {
            cli::lines(text(&report))?;
        }
        match report.broken.len() {
            0 => Ok(()),
            broken => bail!(
                "{broken} of {} cannot be decoded",
                cli::count(images, "image")
            ),
        }
    }
}

/// What `trainer data recolour --json` prints.
#[derive(Serialize)]
struct Recoloured {
    schema: u32,
    images: usize,
    seed: u64,
}

impl Recolour {
    fn run(self) -> anyhow::Result<()> {
        let set = super::noted(Dataset::open(&self.dir, &DatasetOptions::default())?);
        let jitter = Jitter {
            probability: 1.0,
            brightness: self.brightness,
            contrast: self.contrast,
            saturation: self.saturation,
            hue: self.hue,
        };
        let bar = cli::progress(Some(set.images().count() as u64), "images");
        let (dir, out, seed) = (&self.dir, &self.out, self.seed);
        let images = recolour(dir, &set, out, jitter, seed, self.threads, || bar.inc(1))?;
        bar.finish_and_clear();
        if self.json {
            return cli::json(&Recoloured {
                schema: 1,
                images,
                seed,
            });
        }
        cli::lines([format!(
            "{}: {}",
            out.display(),
            cli::count(images, "image")
        )])
    }
}

/// What `trainer data stripes --json` prints.
#[derive(Serialize)]
struct StripesReport {
    schema: u32,
    rows: Vec<StripesRow>,
}

#[derive(Serialize)]
struct StripesRow {
    name: String,
    #[serde(flatten)]
    scores: Scores,
}

impl Stripes {
    fn run(self) -> anyhow::Result<()> {
        let bar = cli::progress(Some(self.dirs.len() as u64), "data sets");
        let mut rows = Vec::new();
        for dir in &self.dirs {
            let set = super::noted(Dataset::open(dir, &DatasetOptions::default())?);
            let scores = stripes::evaluate(&set)
                .with_context(|| format!("{}: query and gallery", dir.display()))?;
            rows.push(StripesRow {
                name: set.name,
                scores,
            });
            bar.inc(1);
        }
        bar.finish_and_clear();
        if self.json {
            return cli::json(&StripesReport { schema: 1, rows });
        }
        let header = ["stripes on", "rank-1", "mAP", "mINP", "queries"].map(str::to_owned);
        let mut table = vec![header.to_vec()];
        table.extend(rows.iter().map(|StripesRow { name, scores }| {
            let percent = |share: f64| format!("{:.1}", share * 100.0);
            vec![
                name.clone(),
                percent(scores.rank1),
                percent(scores.map),
                percent(scores.minp),
                scores.queries.to_string(),
            ]
        }));
        cli::lines(cli::table(&table))
    }
}

fn text(report: &DatasetReport) -> Vec<String> {
    let mut parts = vec![
        ("train", &report.train),
        ("query", &report.query),
        ("gallery", &report.gallery),
    ];
    parts.retain(|(_, part)| part.images > 0);
    let header = [
        report.name.as_str(),
        "identities",
        "images",
        "cameras",
        "images each",
        "by one camera",
        "distractors",
        "junk",
        "pixels",
        "MB",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let row = |&(name, part): &(&str, &PartReport)| row(name, part, report.cameras_named);
    rows.extend(parts.iter().map(row));
    let mut lines = cli::table(&rows);
    lines.push(String::new());
    lines.push("images each: min-median-max; pixels: median width x median height".to_owned());
    for (name, part) in parts {
        if !part.cameras.is_empty() {
            let camera = |(camera, images): (&u32, &usize)| format!("{camera}: {images}");
            let cameras: Vec<String> = part.cameras.iter().map(camera).collect();
            lines.push(format!("images by camera, {name}: {}", cameras.join(", ")));
        }
    }
    if !report.cameras_named {
        lines.push(
            "file names state no camera: each image of the person counts as a correct answer"
                .to_owned(),
        );
    }
    if !report.leaked.is_empty() {
        const SHOWN: usize = 10;
        let shown = report.leaked.iter().take(SHOWN).map(ToString::to_string);
        let more = if report.leaked.len() > SHOWN {
            ", ..."
        } else {
            ""
        };
        lines.push(format!(
            "LEAK: {} in both training and test: {}{more}",
            cli::count(report.leaked.len(), "person"),
            shown.collect::<Vec<_>>().join(", ")
        ));
    }
    if report.queries_without_answer > 0 {
        lines.push(format!(
            "queries without a correct answer by another camera: {}",
            report.queries_without_answer
        ));
    }
    lines.extend(
        report
            .left_out
            .iter()
            .map(|left| format!("left out: {left}")),
    );
    let broken = report.broken.iter();
    lines.extend(broken.map(|broken| format!("broken: {}", broken.reason)));
    lines
}

fn row(name: &str, part: &PartReport, cameras_named: bool) -> Vec<String> {
    let each = |MinMedianMax { min, median, max }| format!("{min}-{median}-{max}");
    let pixels = match (part.width, part.height) {
        (Some(width), Some(height)) => format!("{} x {}", width.median, height.median),
        _ => String::new(),
    };
    let of_cameras = |count: usize| match cameras_named {
        true => count.to_string(),
        false => "-".to_owned(),
    };
    vec![
        name.to_owned(),
        part.identities.to_string(),
        part.images.to_string(),
        of_cameras(part.cameras.len()),
        part.images_per_identity.map_or(String::new(), each),
        of_cameras(part.identities_of_one_camera),
        part.distractors.to_string(),
        part.junk.to_string(),
        pixels,
        format!("{:.1}", part.bytes as f64 / 1e6),
    ]
}
