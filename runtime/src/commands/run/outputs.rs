//! The sinks of a run: JSON lines, lines on a terminal, a video for each source, a page, crops.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use cli::one_line;
use media::Frame;
use network::model::Model;
use runtime::event::{Event, EventKind, Evidence, Observation};
use runtime::pipeline::unix_millis;
use runtime::show;
use runtime::show::crops::{self, BestCrops, Crops, Taken};
use runtime::show::draw::{Canvas, Label};
use runtime::show::report::{self, Report, Sighting, Totals};
use runtime::show::video::{self, Video};
use runtime::sink::{EnrolledCrop, JsonLines, Sink};
use runtime::summary::Summary;

use super::lines;
use super::settings::Settings;

/// The most people that are painted into one frame: all that a frame can have.
const MAX_LABELS: usize = runtime::people::MAX_PEOPLE;

/// Everything that was asked for. None of it stops the run but lines that cannot be written; what
/// else could not be written is reported at the end.
pub(super) struct Outputs {
    lines: Option<JsonLines<std::io::Stdout>>,
    /// Whether events are lines above the status line.
    on_terminal: bool,
    videos: Vec<Option<Video>>,
    video: Option<Videos>,
    page: Option<Page>,
    crops: Option<KeptCrops>,
    /// What is to be painted into the frame at hand.
    labels: Vec<Painted>,
    /// Why the first video was cut short, if one was.
    cut_short: Option<show::Error>,
}

/// The page, and when it is written.
struct Page {
    report: Report,
    path: PathBuf,
    schedule: Schedule,
    /// Whether a page could not be written, which was said then.
    failed: bool,
}

/// When the page is written during a run: after an event, but not at once again, and each minute.
#[derive(Debug, Default)]
struct Schedule {
    /// Whether there was an event since the last time.
    changed: bool,
    last: Duration,
    /// How long writing took.
    took: Duration,
}

/// The folder of crops, and the best crop of each visit that is not over.
struct KeptCrops {
    crops: Crops,
    best: BestCrops,
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
        };
        let json = settings.writes_json();
        let keep = |folder| Crops::new(folder, crops::MAX_FILES);
        let crops = settings.crops.as_ref().map(keep).transpose()?;
        Ok(Self {
            lines: json.then(|| JsonLines {
                out: std::io::stdout(),
                observations: settings.observations,
            }),
            on_terminal: settings.is_live() && !json && std::io::stderr().is_terminal(),
            videos: Vec::new(),
            video,
            page: settings.report.clone().map(|path| Page {
                report: Report::new(run),
                path,
                schedule: Schedule::default(),
                failed: false,
            }),
            crops: crops.map(|crops| KeptCrops {
                crops,
                best: BestCrops::default(),
            }),
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

    /// Completes all files.
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
        if let Some(Page { report, path, .. }) = self.page.take() {
            let totals = Totals {
                error: error.as_deref(),
                ..totals(summary, elapsed, passed_over)
            };
            report.finish(&path, &totals)?;
        }
        self.cut_short
            .take()
            .map_or(Ok(()), |error| Err(error.into()))
    }
}

/// The figures of the page, as the table has them.
fn totals<'a>(
    summary: &Summary,
    elapsed: Duration,
    passed_over: &'a [(u64, &'a str)],
) -> Totals<'a> {
    Totals {
        persons: summary.persons,
        new: summary.new,
        visits: summary.visits,
        returns: summary.returns,
        observations: summary.observations,
        undecided: summary.pending,
        frames: summary.frames,
        elapsed,
        passed_over,
        error: None,
    }
}

impl Page {
    /// Writes the page if it is time to. A failure stops nothing: the last page reports it. What is
    /// no file, such as a pipe, gets the last page alone.
    fn write_if_due(&mut self, elapsed: Duration, summary: &Summary) {
        let is_file = || std::fs::metadata(&self.path).map_or(true, |found| found.is_file());
        if !self.schedule.is_due(elapsed) || !is_file() {
            return;
        }
        let start = Instant::now();
        let passed_over = super::passed_over(summary);
        let totals = totals(summary, elapsed, &passed_over);
        if let Err(error) = self.report.finish(&self.path, &totals)
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::warn!("no page for now: {error}");
        }
        self.schedule.written(elapsed, start.elapsed());
    }
}

impl Schedule {
    /// The least time between two pages.
    const LEAST: Duration = Duration::from_secs(10);
    /// The time between two pages without an event.
    const MOST: Duration = Duration::from_secs(60);

    /// Whether to write the page now: writing takes at most a twentieth of the time.
    fn is_due(&self, elapsed: Duration) -> bool {
        let passed = elapsed.saturating_sub(self.last);
        let least = Self::LEAST.max(self.took * 19);
        passed >= least && (self.changed || passed >= Self::MOST)
    }

    fn written(&mut self, elapsed: Duration, took: Duration) {
        *self = Self {
            changed: false,
            last: elapsed + took,
            took,
        };
    }
}

impl KeptCrops {
    /// The path of a crop that was kept. What cannot be kept stops nothing.
    fn kept(result: show::Result<Option<String>>) -> Option<String> {
        result.unwrap_or_else(|error| {
            tracing::warn!("{error}");
            None
        })
    }

    /// Follows a visit, and keeps its best crop at its end.
    fn event(&mut self, event: &Event<'_>) -> Option<String> {
        match event.kind {
            EventKind::IdentityChanged {
                withdrawn,
                moved_to,
                ..
            } if withdrawn || moved_to != Some(event.visit) => {
                self.best.correct(event.visit, event.track);
                None
            }
            EventKind::VisitEnded { identity, .. } => {
                Self::kept(self.best.keep(event.visit, identity, &mut self.crops))
            }
            _ => None,
        }
    }
}

impl Sink for Outputs {
    fn observation(
        &mut self,
        observation: &Observation<'_>,
        evidence: &Evidence<'_>,
    ) -> runtime::Result<()> {
        if let (Some(kept), Some(rgb)) = (&mut self.crops, evidence.crop) {
            let taken = Taken {
                source: observation.source,
                frame: observation.frame,
                time: unix_millis(observation.time),
                track: observation.track,
                visit: evidence.visit,
            };
            kept.best
                .offer(&taken, evidence.quality, rgb, evidence.size);
        }
        if let (Some(page), Some(crop)) = (&mut self.page, evidence.crop) {
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
            page.report.observe(&sighting, crop, width, height)?;
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
            Some(lines) => lines.observation(observation, evidence),
            None => Ok(()),
        }
    }

    fn event(&mut self, event: &Event<'_>) -> runtime::Result<()> {
        let path = self.crops.as_mut().and_then(|kept| kept.event(event));
        let mut event = *event;
        if let EventKind::VisitEnded { crop, .. } = &mut event.kind {
            *crop = path.as_deref();
        }
        if let Some(page) = &mut self.page {
            page.report.event(&event);
            page.schedule.changed = true;
        }
        if self.on_terminal {
            cli::say_above_bar(&lines::line(&event));
        }
        match &mut self.lines {
            Some(lines) => lines.event(&event),
            None => Ok(()),
        }
    }

    fn enroll(&mut self, crop: &EnrolledCrop<'_>) -> Option<String> {
        let kept = self.crops.as_mut()?;
        let taken = Taken {
            source: crop.source,
            frame: crop.frame,
            time: crop.time,
            track: Some(crop.track),
            visit: None,
        };
        let [height, width] = crop.size;
        let saved = kept
            .crops
            .save(crop.identity, &taken, crop.rgb, width, height);
        KeptCrops::kept(saved)
    }

    fn delete_crop(&mut self, path: &str) {
        if let Some(kept) = &self.crops
            && let Err(error) = crops::remove(kept.crops.folder(), path)
        {
            tracing::warn!("{error}");
        }
    }

    fn forget(&mut self, identity: &str) {
        if let Some(page) = &mut self.page {
            page.report.forget(identity);
        }
        if let Some(kept) = &self.crops
            && let Err(error) = crops::forget(kept.crops.folder(), identity)
        {
            tracing::warn!("{error}");
        }
    }

    fn progress(&mut self, elapsed: Duration, summary: &Summary) {
        if let Some(page) = &mut self.page {
            page.write_if_due(elapsed, summary);
        }
    }

    /// The next sources get videos of their own.
    fn ended(&mut self, streams: usize) {
        self.close();
        if let Some(video) = &mut self.video {
            video.before += streams;
        }
    }

    fn frame(&mut self, stream: usize, frame: &mut Frame) -> runtime::Result<()> {
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
        while self.videos.len() <= stream {
            self.videos.push(videos.open(self.videos.len()));
        }
        if let Some(video) = &mut self.videos[stream] {
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
    /// The video of the stream at this position; none, and a note on stderr, if it cannot be
    /// made.
    fn open(&self, stream: usize) -> Option<Video> {
        let index = self.before + stream;
        let name = self.names.get(index).map_or("", String::as_str);
        let path: PathBuf = video::path_for(&self.path, index, self.names.len(), name);
        let video = Video::create(Path::new(&path), self.settings);
        video
            .inspect_err(|error| tracing::warn!("no video: {error}"))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_after_events_and_each_minute() {
        let seconds = Duration::from_secs;
        // Last page at 100 s.
        let cases = [
            ("an event, too soon", true, 0, 109, false),
            ("an event", true, 0, 110, true),
            ("no event", false, 0, 110, false),
            ("a minute", false, 0, 160, true),
            ("a large page, an event", true, 2, 137, false),
            ("a large page, an event, later", true, 2, 138, true),
            ("a huge page, a minute", false, 10, 160, false),
        ];
        for (name, changed, took, now, wanted) in cases {
            let schedule = Schedule {
                changed,
                last: seconds(100),
                took: seconds(took),
            };
            assert_eq!(schedule.is_due(seconds(now)), wanted, "{name}");
        }
        let mut schedule = Schedule {
            changed: true,
            ..Schedule::default()
        };
        schedule.written(seconds(10), seconds(1));
        assert!(!schedule.changed && schedule.last == seconds(11));
    }
}
