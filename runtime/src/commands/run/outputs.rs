//! Where what is seen goes: lines, a video for each source, a page.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cli::one_line;
use media::Frame;
use network::model::Model;
use runtime::event::{Evidence, JsonLines, Observation, Sink};
use runtime::gallery::GalleryLimits;
use runtime::pipeline::{Summary, unix_millis};
use runtime::show;
use runtime::show::draw::{Canvas, Label};
use runtime::show::report::{self, Report, Sighting, Totals};
use runtime::show::video::{self, Video};

use super::settings::Settings;

/// The most people that are painted into one frame: all that a frame can have.
const MAX_LABELS: usize = runtime::people::MAX_PEOPLE;

/// Everything that was asked for. None of it stops the run but lines that nobody can read; what
/// could not be written is told at the end.
pub(super) struct Outputs {
    lines: Option<JsonLines<std::io::Stdout>>,
    videos: Vec<Option<Video>>,
    video: Option<Videos>,
    report: Option<(Report, PathBuf)>,
    /// What is to be painted into the frame at hand.
    labels: Vec<Painted>,
    /// Why the first video was cut short, if one was.
    cut_short: Option<show::Error>,
}

/// How videos are written.
struct Videos {
    path: PathBuf,
    settings: video::Settings,
    /// Sources of the whole run, to name each one's file.
    names: Vec<String>,
    /// Videos that earlier batches of sources have finished.
    before: usize,
}

/// An observation, as long as the frame takes.
struct Painted {
    bbox: [f32; 4],
    identity: Option<String>,
    similarity: Option<f32>,
    state: runtime::event::State,
}

impl Outputs {
    pub(super) fn new(settings: &Settings, model: &Model) -> anyhow::Result<Self> {
        let names = settings.names();
        let video = settings.video.clone().map(|path| Videos {
            path,
            settings: video::Settings {
                rate: settings.rate,
                overwrite: settings.overwrite,
                ..video::Settings::default()
            },
            names: names.clone(),
            before: 0,
        });
        let run = report::Run {
            sources: names,
            model: settings.model.model.display().to_string(),
            space: model.space().to_owned(),
            threshold: settings.threshold(model)?,
            started: unix_millis(SystemTime::now()),
            live: settings.is_live(),
            visit_gap: GalleryLimits::default().visit_gap,
        };
        Ok(Self {
            lines: settings.json.then(|| JsonLines(std::io::stdout())),
            videos: Vec::new(),
            video,
            report: settings.report.clone().map(|path| (Report::new(run), path)),
            labels: Vec::with_capacity(MAX_LABELS),
            cut_short: None,
        })
    }

    fn close(&mut self) {
        for video in self.videos.drain(..).flatten() {
            if let Err(error) = video.finish() {
                tracing::warn!("{error}");
                self.cut_short.get_or_insert(error);
            }
        }
    }

    /// Completes what is to be shown.
    ///
    /// # Errors
    /// What could not be written: the page, else the first video that was cut short.
    pub(super) fn finish(
        &mut self,
        summary: &Summary,
        passed_over: &[(u64, &str)],
        elapsed: Duration,
        error: Option<&anyhow::Error>,
    ) -> anyhow::Result<()> {
        self.close();
        let error = error.map(|error| one_line(error.chain()));
        if let Some((report, path)) = self.report.take() {
            let count = |identities: usize| identities as u64;
            let new = summary.identities.values().filter(|tally| tally.new);
            let totals = Totals {
                persons: count(summary.identities.len()),
                new: count(new.count()),
                observations: summary.observations,
                undecided: summary.pending,
                frames: summary.frames,
                elapsed,
                passed_over,
                error: error.as_deref(),
            };
            report.finish(&path, &totals)?;
        }
        self.cut_short
            .take()
            .map_or(Ok(()), |error| Err(error.into()))
    }
}

impl Sink for Outputs {
    fn emit(
        &mut self,
        observation: &Observation<'_>,
        evidence: &Evidence<'_>,
    ) -> runtime::Result<()> {
        if let (Some((report, _)), Some(crop)) = (&mut self.report, evidence.crop) {
            let runner_up = evidence.runner_up.zip(observation.runner_up);
            let sighting = Sighting {
                source: observation.source,
                frame: observation.frame,
                stream_time: observation.stream_time,
                time: unix_millis(observation.time),
                identity: observation.identity,
                similarity: observation.similarity,
                runner_up,
                state: observation.state,
                quality: evidence.quality,
            };
            let [height, width] = evidence.size;
            report.observe(&sighting, crop, width, height)?;
        }
        if self.video.is_some() {
            self.labels.push(Painted {
                bbox: observation.bbox,
                identity: observation.identity.map(str::to_owned),
                similarity: observation.similarity,
                state: observation.state,
            });
        }
        match &mut self.lines {
            Some(lines) => lines.emit(observation, evidence),
            None => Ok(()),
        }
    }

    /// The next sources get videos of their own.
    fn ended(&mut self, lanes: usize) {
        self.close();
        if let Some(video) = &mut self.video {
            video.before += lanes;
        }
    }

    fn frame(&mut self, lane: usize, frame: &mut Frame) -> runtime::Result<()> {
        let Some(videos) = &self.video else {
            return Ok(());
        };
        let mut canvas = Canvas::new(&mut frame.rgb, frame.width, frame.height)?;
        for label in self.labels.drain(..) {
            canvas.person(&Label {
                bbox: label.bbox,
                identity: label.identity.as_deref(),
                similarity: label.similarity,
                state: label.state,
            });
        }
        while self.videos.len() <= lane {
            self.videos.push(videos.open(self.videos.len()));
        }
        if let Some(video) = &mut self.videos[lane] {
            let pushed = video.push(&frame.rgb, frame.width, frame.height, frame.stream_time);
            if let Err(error) = pushed {
                tracing::warn!("{error}");
                self.cut_short.get_or_insert(error);
            }
        }
        Ok(())
    }
}

impl Videos {
    /// The video of the source at position `lane`; none if it cannot be made, which stderr hears.
    fn open(&self, lane: usize) -> Option<Video> {
        let index = self.before + lane;
        let name = self.names.get(index).map_or("", String::as_str);
        let path: PathBuf = video::path_for(&self.path, index, self.names.len(), name);
        let video = Video::create(Path::new(&path), self.settings);
        video
            .inspect_err(|error| tracing::warn!("no video: {error}"))
            .ok()
    }
}
