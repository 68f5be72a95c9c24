//! The settings of a run: flags over variables over the file, checked once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use media::camera::{CameraCounts, CameraRequest, FORMATS};
use media::clock::{CancelToken, Clock, SteadyClock};
use media::slot::Policy;
use media::{Rate, Source};
use network::metadata::Resize;
use network::model::Model;
use runtime::config::{self, Config};
use runtime::embed::Device;
use runtime::gallery::{Gallery, GalleryLimits};
use runtime::people::{People, Spec};
use runtime::pipeline;
use runtime::quality::Gates;
use runtime::track::{Numbers, TrackerSettings, Tracks};
use runtime::visits::{MIN_ABSENCE, Visits};

use crate::commands::{DeviceArgs, ModelArgs};

/// False positive identification rate of the default threshold.
pub(in crate::commands) const DEFAULT_FPIR: f64 = 0.01;

#[derive(Debug, Default, Args)]
pub(in crate::commands) struct Flags {
    /// Sources: a Motion-JPEG file (clip.avi, clip.mjpg) or a .y4m, a folder or a pattern of images, a
    /// camera (/dev/video0, or camera: and part of its name), a named pipe, or - for Motion-JPEG or
    /// y4m on standard input
    sources: Vec<String>,
    /// Config file with all settings of this command: see configs/reid.toml
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Model, an ONNX file
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Sidecar with pre-processing for models without metadata [default: FILE.toml beside the model,
    /// if there is one]
    #[arg(long, value_name = "FILE.toml")]
    sidecar: Option<PathBuf>,
    /// Resize kernel in place of the model's: pil-bilinear or cv-bilinear
    #[arg(long, value_name = "KERNEL", value_parser = crate::commands::resize)]
    resize: Option<Resize>,
    /// Device for the network: auto, gpu, cpu or tract [default: auto]
    #[arg(long)]
    device: Option<Device>,
    /// Threads, 0 for one a core, at most 256 [default: 0]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Crops computed at once, 1 to 256 [default: 1]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Detection of persons: motion, whole (each frame is one crop), a file of boxes (.csv with a
    /// header, MOT .txt, .jsonl), or a detector (.onnx). Frames count from 0 in .csv and .jsonl, from
    /// 1 in MOT .txt unless it has a frame 0 [default: motion]
    #[arg(long)]
    pub(in crate::commands) boxes: Option<String>,
    /// Zone in which persons are detected, by their feet: a polygon in shares of the picture, such as
    /// '0,0.5 1,0.5 1,1 0,1'; may be given several times
    #[arg(long, value_name = "POLYGON")]
    zone: Vec<String>,
    /// Gallery file; created if missing [default: in memory, discarded on exit]
    #[arg(long, value_name = "FILE")]
    pub(in crate::commands) gallery: Option<PathBuf>,
    /// Minimum cosine similarity of the same person; `reid eval --open-set` measures the error rates
    /// of thresholds [default: the one that the model states for an FPIR of 1 %]
    #[arg(long, value_name = "T", value_parser = threshold)]
    threshold: Option<f32>,
    /// Minimum box height in pixels; smaller boxes are not embedded [default: 96]
    #[arg(long, value_name = "PIXELS", value_parser = pixels)]
    min_height: Option<f32>,
    /// Frames per second: requested from a camera; assumed for images, and for files with a wrong rate
    #[arg(long)]
    fps: Option<f64>,
    /// Stop after at most this many frames of each source
    #[arg(long, value_name = "N")]
    pub(in crate::commands) max_frames: Option<u64>,
    /// Write one JSON line an event to stdout: visits, identities, corrections; the table goes to
    /// stderr
    #[arg(long)]
    json: bool,
    /// Write one JSON line for each person in each frame too; implies --json
    #[arg(long)]
    observations: bool,
    /// Minimum time without a sight on any stream until a visit has ended: 5s, 2min [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    min_absence: Option<Duration>,
    /// Write an annotated Motion-JPEG video, one for each source
    #[arg(long, value_name = "FILE.avi")]
    save_video: Option<PathBuf>,
    /// Write an HTML page of the persons and their visits, during the run and at its end
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Keep the crops of exemplars, so that a gallery can be moved to another model, and the best crop
    /// of each visit
    #[arg(long, value_name = "FOLDER")]
    save_crops: Option<PathBuf>,
    /// Overwrite an existing video
    #[arg(long)]
    overwrite: bool,
}

/// The settings of a run.
#[derive(Debug)]
pub(in crate::commands) struct Settings {
    pub(super) model: ModelArgs,
    pub(super) device: DeviceArgs,
    pub(super) sources: Vec<Watched>,
    pub(super) gallery: Option<PathBuf>,
    pub(super) limits: GalleryLimits,
    pub(super) min_absence: Duration,
    pub(super) json: bool,
    pub(super) observations: bool,
    pub(super) video: Option<PathBuf>,
    pub(super) report: Option<PathBuf>,
    pub(super) crops: Option<PathBuf>,
    pub(super) overwrite: bool,
    pub(super) max_frames: Option<u64>,
    /// Frame rate of a saved video.
    pub(super) rate: Rate,
    threshold: Option<f32>,
    quality: config::QualityConfig,
    tracks: config::TracksConfig,
}

/// A source and how its persons are detected.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) spec: String,
    pub(super) fps: Option<f64>,
    pub(super) people: Spec,
    /// Whether frames come at their own pace, as from a camera.
    live: bool,
    name: Option<String>,
    camera: config::CameraConfig,
}

/// A source that was opened.
pub(super) struct Open {
    pub(super) source: Box<dyn Source>,
    /// Counts of missing frames, if it is a camera.
    pub(super) counts: Option<Arc<CameraCounts>>,
}

impl Flags {
    /// Flags that name a source and a model alone.
    pub(in crate::commands) fn of(source: String, model: PathBuf) -> Self {
        Self {
            sources: vec![source],
            model: Some(model),
            ..Self::default()
        }
    }
}

impl Settings {
    pub(super) fn of(flags: Flags) -> anyhow::Result<Self> {
        let config = match &flags.config {
            Some(path) => Config::read(path, config::environment()?)?,
            None => Config::parse("", "environment", config::environment()?)?,
        };
        Self::over(flags, config)
    }

    /// Flags over a config that was read.
    pub(in crate::commands) fn over(flags: Flags, config: Config) -> anyhow::Result<Self> {
        let model = flags.model.or(config.model).context(
            "which model? Name it with --model, with `model` in the config, or with REID_MODEL",
        )?;
        let device = match (flags.device, &config.device) {
            (Some(device), _) => device,
            (None, Some(name)) => parse_device(name)?,
            (None, None) => Device::Auto,
        };
        let boxes = flags
            .boxes
            .or(config.boxes)
            .unwrap_or_else(|| "motion".to_owned());
        let sources = sources(flags.sources, config.camera, &boxes, &flags.zone, flags.fps)?;
        let fps = sources[0].fps;
        let gates = config.quality;
        let settings = Self {
            model: ModelArgs {
                model,
                sidecar: flags.sidecar.or(config.sidecar),
                resize: flags.resize,
            },
            device: DeviceArgs {
                device,
                threads: flags.threads.or(config.threads).unwrap_or(0),
                batch: flags.batch.or(config.batch).unwrap_or(1),
            },
            sources,
            gallery: flags.gallery.or(config.gallery.file.clone()),
            limits: limits(&config.gallery),
            min_absence: flags
                .min_absence
                .or(config.visits.min_absence)
                .unwrap_or(MIN_ABSENCE),
            json: flags.json || config.output.json,
            observations: flags.observations || config.output.observations,
            video: flags.save_video.or(config.output.save_video),
            report: flags.report.or(config.output.report),
            crops: flags.save_crops.or(config.output.save_crops),
            overwrite: flags.overwrite,
            max_frames: flags.max_frames,
            rate: fps.map_or(Ok(Rate::IMAGES), Rate::from_fps)?,
            threshold: flags.threshold.or(config.threshold),
            quality: config::QualityConfig {
                min_height: flags.min_height.or(gates.min_height),
                ..gates
            },
            tracks: config.tracks,
        };
        settings.check_values()?;
        Ok(settings)
    }

    /// Refuses numbers that are out of range for every model and source.
    fn check_values(&self) -> anyhow::Result<()> {
        self.device.options().checked()?;
        let decide = decide(&self.tracks, &self.quality, self.threshold.unwrap_or(0.0));
        Tracks::new(1, decide.tracks, Numbers::default())?;
        decide.gates.check()?;
        Visits::new(self.min_absence)?;
        Gallery::in_memory("none", 1)?.with_limits(self.limits)?;
        for watched in &self.sources {
            watched.fps.map(Rate::from_fps).transpose()?;
            watched.request()?;
        }
        Ok(())
    }

    /// The configured threshold, else the one that the model states. A number for all models would be
    /// wrong for most: see docs/adr/0004-no-default-threshold.md.
    pub(in crate::commands) fn threshold(&self, model: &Model) -> anyhow::Result<f32> {
        let stated = || model.metadata.threshold_at(DEFAULT_FPIR);
        self.threshold.or_else(stated).with_context(|| {
            format!(
                "{} states no threshold: find one with `reid eval DATA --model {0} --open-set` on \
                 labelled crops of your site, and pass it as --threshold",
                self.model.model.display()
            )
        })
    }

    /// The thresholds of the loop.
    pub(super) fn tracks(&self, model: &Model) -> anyhow::Result<pipeline::Settings> {
        Ok(decide(&self.tracks, &self.quality, self.threshold(model)?))
    }

    /// Sources that are watched at the same time: each file alone, all live sources together at the end.
    pub(super) fn batches(&self) -> impl Iterator<Item = &[Watched]> {
        let live = self.sources.partition_point(|watched| !watched.is_live());
        let (files, live) = self.sources.split_at(live);
        files.chunks(1).chain((!live.is_empty()).then_some(live))
    }

    /// Checks before the first source is watched that those behind it can be opened, and the detection
    /// of all.
    pub(super) fn check_sources(&self) -> anyhow::Result<()> {
        for watched in &self.sources {
            let boxes = &watched.people.how;
            if media::is_pipe(boxes) {
                bail!(
                    "cannot find persons with `{boxes}`: it is a pipe, wanted a file: it is read \
                     again for each source"
                );
            }
        }
        let mut known = vec![&self.sources[0].people];
        for (at, sources) in self.batches().enumerate() {
            for watched in sources {
                // Those of the first batch are opened anyway, and a camera starts slowly.
                if at > 0 || !watched.live {
                    watched.check()?;
                }
                if !known.contains(&&watched.people) {
                    People::open(&watched.people)?;
                    known.push(&watched.people);
                }
            }
        }
        Ok(())
    }

    /// Whether JSON lines are written.
    pub(super) fn writes_json(&self) -> bool {
        self.json || self.observations
    }

    /// Names of all sources, in the order in which they are watched.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |watched: &Watched| watched.name.clone().unwrap_or_else(|| watched.spec.clone());
        self.sources.iter().map(name).collect()
    }

    pub(super) fn is_live(&self) -> bool {
        self.sources.iter().any(Watched::is_live)
    }
}

impl Watched {
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// Whether it can be opened, as far as that can be known beforehand.
    fn check(&self) -> anyhow::Result<()> {
        if let Some(camera) = media::camera_of(&self.spec) {
            let clock = Box::new(SteadyClock::new(CancelToken::default()));
            media::camera::open(camera, self.request()?, clock)?;
        } else if !self.live {
            media::open(&self.spec, self.fps)?;
        }
        Ok(())
    }

    pub(super) fn name<'a>(&'a self, source: &'a dyn Source) -> &'a str {
        self.name.as_deref().unwrap_or_else(|| source.name())
    }

    /// What becomes of frames that come faster than they are processed. Boxes in a file are of every
    /// frame.
    pub(super) fn policy(&self) -> Policy {
        let numbered = !matches!(self.people.how.as_str(), "motion" | "whole")
            && !self.people.how.ends_with(".onnx");
        if self.is_live() && !numbered {
            Policy::Newest
        } else {
            Policy::Every
        }
    }

    /// Opens the source, and notes where the format of a camera is not the requested one.
    pub(super) fn open(&self, clock: Box<dyn Clock>) -> anyhow::Result<Open> {
        if self.spec == "-" {
            let rate = self.fps.map(Rate::from_fps).transpose()?;
            return Ok(Open {
                source: media::stream::stdin(rate, clock),
                counts: None,
            });
        }
        if media::is_pipe(&self.spec) {
            let rate = self.fps.map(Rate::from_fps).transpose()?;
            return Ok(Open {
                source: media::stream::named(&self.spec, rate, clock),
                counts: None,
            });
        }
        let Some(camera) = media::camera_of(&self.spec) else {
            let source = media::open(&self.spec, self.fps)?;
            return Ok(Open {
                source,
                counts: None,
            });
        };
        let camera = media::camera::open(camera, self.request()?, clock)?;
        if let Some(note) = camera.format_note() {
            tracing::warn!("{}: {note}", self.spec);
        }
        let counts = Some(camera.counts());
        Ok(Open {
            source: Box::new(camera),
            counts,
        })
    }

    fn request(&self) -> anyhow::Result<CameraRequest> {
        let base = CameraRequest::default();
        let configured = &self.camera;
        let format = |name: &String| {
            let wanted = FORMATS
                .iter()
                .find(|format| format.0.eq_ignore_ascii_case(name.as_bytes()));
            wanted.copied().with_context(|| {
                format!("`camera.format` is `{name}`, wanted MJPG, YUYV, NV12 or GREY")
            })
        };
        Ok(CameraRequest {
            size: (
                configured.width.unwrap_or(base.size.0),
                configured.height.unwrap_or(base.size.1),
            ),
            fps: self.fps.map(|fps| fps.round() as u32),
            format: configured.format.as_ref().map(format).transpose()?,
            controls: configured.controls.clone(),
            ..base
        })
    }
}

/// Sources of the command line, else the cameras of the config; files first.
fn sources(
    specs: Vec<String>,
    cameras: Vec<config::CameraConfig>,
    boxes: &str,
    zones: &[String],
    fps: Option<f64>,
) -> anyhow::Result<Vec<Watched>> {
    let cameras = match specs.is_empty() {
        true => cameras,
        false => {
            let camera = |source| config::CameraConfig {
                source,
                ..config::CameraConfig::default()
            };
            specs.into_iter().map(camera).collect()
        }
    };
    if cameras.is_empty() {
        bail!("what to watch? Name a source, or a [[camera]] in the config");
    }
    let watched = |camera: config::CameraConfig| {
        let mut all = camera.zones.clone();
        all.extend(zones.iter().cloned());
        let people = Spec::of(
            camera.boxes.as_deref().unwrap_or(boxes),
            &all,
            &camera.masks,
        )?;
        anyhow::Ok(Watched {
            spec: camera.source.clone(),
            fps: fps.or(camera.fps),
            people,
            live: media::is_live(&camera.source),
            name: camera.name.clone(),
            camera,
        })
    };
    let mut sources: Vec<Watched> = cameras
        .into_iter()
        .map(watched)
        .collect::<anyhow::Result<_>>()?;
    sources.sort_by_key(Watched::is_live);
    for (at, watched) in sources.iter().enumerate() {
        if watched.live && sources[..at].iter().any(|other| other.spec == watched.spec) {
            bail!(
                "`{}` is named twice, and what comes from it can be read once",
                watched.spec
            );
        }
    }
    for (at, watched) in sources.iter().enumerate() {
        let name = watched.name.as_ref();
        if name.is_some()
            && sources[..at]
                .iter()
                .any(|other| other.name.as_ref() == name)
        {
            bail!(
                "two cameras have the `camera.name` {:?}: what is seen by them could not be told apart",
                watched.name.as_deref().unwrap_or_default()
            );
        }
    }
    Ok(sources)
}

/// Refuses a config that no run can work with. The model and the sources may be named on the command
/// line, and a file that is missing here may be on the device.
pub(in crate::commands) fn check(mut config: Config) -> anyhow::Result<()> {
    let mut flags = Flags::default();
    config.model.get_or_insert_default();
    if config.camera.is_empty() {
        flags.sources.push("-".to_owned());
    }
    for watched in Settings::over(flags, config)?.sources {
        let Watched { spec, people, .. } = &watched;
        if !watched.live && (spec.contains("://") || Path::new(spec).exists()) {
            watched.check()?;
        }
        if Path::new(&people.how).is_file() {
            People::open(people)?;
        }
    }
    Ok(())
}

fn parse_device(name: &str) -> anyhow::Result<Device> {
    name.parse()
        .map_err(|wanted| anyhow::anyhow!("`device` is `{name}`: {wanted}"))
}

fn decide(
    tracks: &config::TracksConfig,
    quality: &config::QualityConfig,
    threshold: f32,
) -> pipeline::Settings {
    let base = TrackerSettings::new(threshold);
    let tracks = TrackerSettings {
        crops: tracks.crops.unwrap_or(base.crops),
        contradictions: tracks.contradictions.unwrap_or(base.contradictions),
        max_gap: tracks.max_gap.unwrap_or(base.max_gap),
        interval: tracks.crop_interval.unwrap_or(base.interval),
        recheck: tracks.recheck_interval.unwrap_or(base.recheck),
        per_frame: tracks.max_crops_per_frame.unwrap_or(base.per_frame),
        min_start_score: tracks.min_start_score.unwrap_or(base.min_start_score),
        ..base
    };
    let base = Gates::default();
    let gates = Gates {
        min_height: quality.min_height.unwrap_or(base.min_height),
        min_edge_distance: quality.min_edge_distance.unwrap_or(base.min_edge_distance),
        max_aspect: quality.max_aspect.unwrap_or(base.max_aspect),
        max_overlap: quality.max_overlap.unwrap_or(base.max_overlap),
        min_sharpness: quality.min_sharpness.unwrap_or(base.min_sharpness),
    };
    pipeline::Settings { tracks, gates }
}

fn limits(configured: &config::GalleryConfig) -> GalleryLimits {
    let base = GalleryLimits::default();
    let retention = match configured.retention {
        None => Some(Duration::from_secs(24 * 3600)),
        Some(Duration::ZERO) => None,
        some => some,
    };
    GalleryLimits {
        retention,
        max_identities: configured.max_identities.unwrap_or(base.max_identities),
        max_exemplars: configured.max_exemplars.unwrap_or(base.max_exemplars),
        novelty: configured.max_exemplar_similarity.unwrap_or(base.novelty),
        ..base
    }
}

/// A height in pixels.
fn pixels(text: &str) -> anyhow::Result<f32> {
    let pixels: f32 = text.parse().context("wanted a number of pixels")?;
    if !(0.0..=16_384.0).contains(&pixels) {
        bail!("wanted 0 to 16384");
    }
    Ok(pixels)
}

/// A cosine similarity.
pub(in crate::commands) fn threshold(text: &str) -> anyhow::Result<f32> {
    let threshold: f32 = text.parse().context("wanted a number from -1 to 1")?;
    if !(-1.0..=1.0).contains(&threshold) {
        bail!("wanted -1 to 1");
    }
    Ok(threshold)
}
