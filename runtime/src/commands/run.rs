//! `reid run`: who is in these pictures, again?

mod outputs;
pub(super) mod settings;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use cli::{closed_pipe, one_line};
use media::Source;
use media::camera::CameraCounts;
use media::clock::{CancelToken, SteadyClock};
use media::slot::{Group, Slot};
use network::model::Model;
use runtime::embed::Embedder;
use runtime::event::Sink;
use runtime::gallery::Gallery;
use runtime::people::People;
use runtime::pipeline::{self, Input, Lane, Parts, Pipeline, Summary, SystemClock, Turn};
use runtime::show::crops::{self, Crops};
use runtime::track::Numbers;

use self::outputs::Outputs;
pub(super) use self::settings::{Flags, STRANGERS, Settings, check};
use self::settings::{Open, Watched};
use super::Outcome;
use super::interrupt::Interrupt;

/// Watch sources, and say who is seen again.
///
/// Files are watched one after the other, every frame of them. Cameras, named pipes and standard
/// input are watched at the same time, the newest frame of each. Somebody who resembles nobody in
/// the gallery becomes a new identity, once a visit has shown enough good crops. Ctrl-C, SIGTERM and
/// SIGHUP end a run as if its sources had ended.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Run {
    #[command(flatten)]
    flags: Flags,
}

const AFTER_HELP: &str = "\
Examples:
  reid run clip.avi --boxes boxes.csv --model person.onnx --gallery shop.redb --json
  reid run /dev/video0 --model person.onnx --gallery shop.redb --report today.html
  ffmpeg -nostdin -i rtsp://door/stream -an -f mjpeg -q:v 3 - | reid run - --model person.onnx
  reid run --config reid.toml";

impl Run {
    pub(super) fn run(self, interrupt: Interrupt) -> anyhow::Result<Outcome> {
        let settings = Settings::of(self.flags)?;
        settings.check_sources()?;
        let mut ready = Ready::of(&settings, interrupt)?;
        let mut outputs = Outputs::new(&settings, &ready.model)?;
        let Seen {
            summary,
            elapsed,
            ended,
        } = ready.watch(&mut outputs)?;
        let passed_over = passed_over(&summary);
        let shown = outputs.finish(&summary, &passed_over, elapsed, ended.as_ref().err());
        let lines = text(&summary, &passed_over, elapsed.as_secs_f64());
        let told = match settings.json {
            true => {
                lines.iter().for_each(|line| cli::say!("{line}"));
                Ok(())
            }
            false => cli::lines(lines),
        };
        let mut outcome = Outcome::Done;
        let ended = ended.map(|ended| outcome = ended);
        let mut errors: Vec<_> = [ended, shown, told]
            .into_iter()
            .filter_map(Result::err)
            .collect();
        // A reader that has gone away is the least of them: it is no failure by itself.
        errors.sort_by_key(|error| closed_pipe(error.chain()));
        let mut errors = errors.into_iter();
        let Some(first) = errors.next() else {
            return Ok(outcome);
        };
        for also in errors {
            tracing::warn!("{}", one_line(also.chain()));
        }
        Err(first)
    }
}

/// Everything that sources are watched with, opened.
pub(super) struct Ready<'a> {
    settings: &'a Settings,
    pub(super) model: Model,
    tracks: pipeline::Settings,
    embedder: Box<dyn Embedder>,
    pub(super) gallery: Gallery,
    keep: Option<Crops>,
    interrupt: Interrupt,
}

/// What has been watched, to the end or to an error.
pub(super) struct Seen {
    pub(super) summary: Summary,
    pub(super) elapsed: Duration,
    pub(super) ended: anyhow::Result<Outcome>,
}

impl<'a> Ready<'a> {
    pub(super) fn of(settings: &'a Settings, interrupt: Interrupt) -> anyhow::Result<Self> {
        let model = settings.model.open()?;
        let tracks = settings.tracks(&model)?;
        let embedder = settings.device.embedder(&model)?;
        let dim = model.metadata.embedding.dim;
        let gallery = match &settings.gallery {
            Some(path) => Gallery::create_or_open_shared(path, model.space(), dim)?,
            None => Gallery::in_memory(model.space(), dim)?,
        };
        let keep = |folder| Crops::new(folder, crops::MAX_FILES);
        Ok(Self {
            settings,
            tracks,
            embedder,
            gallery: gallery.with_limits(settings.limits)?,
            keep: settings.crops.as_ref().map(keep).transpose()?,
            model,
            interrupt,
        })
    }

    /// Watches all sources, those of files one after the other.
    ///
    /// # Errors
    /// If the first source cannot be opened. What happens later is in [`Seen::ended`]: what was
    /// seen before counts.
    pub(super) fn watch(&mut self, sink: &mut dyn Sink) -> anyhow::Result<Seen> {
        let dim = self.model.metadata.embedding.dim;
        let numbers = Numbers::default();
        let start = Instant::now();
        let mut summary = Summary::default();
        let mut ended = Ok(Outcome::Done);
        for sources in self.settings.batches() {
            if self.interrupt.requested() {
                break;
            }
            let parts = Parts {
                preprocessing: &self.model.metadata.preprocessing,
                embedder: self.embedder.as_mut(),
                gallery: &mut self.gallery,
                sink,
                clock: &SystemClock,
                settings: self.tracks,
                keep: self.keep.as_mut(),
            };
            let lane = |watched: &Watched, source: &dyn Source| {
                let people = People::open(&watched.people)?;
                if let Some(note) = people.note() {
                    tracing::warn!("{}: {note}", watched.people.how);
                }
                Lane::new(watched.name(source), people, dim, &self.tracks, &numbers)
            };
            let Opened {
                input,
                lanes,
                cameras,
            } = match open(sources, lane) {
                Ok(opened) => opened,
                // What was seen before counts.
                Err(error) if summary.frames > 0 => {
                    ended = Err(error);
                    break;
                }
                Err(error) => return Err(error),
            };
            let pipeline = Pipeline::new(input, lanes, parts)?;
            let (part, result) = watch(pipeline, self.settings.max_frames, &self.interrupt);
            summary.add(&part);
            tell(&cameras);
            match result {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Partly) => ended = Ok(Outcome::Partly),
                Err(error) => {
                    ended = Err(error);
                    break;
                }
            }
        }
        if let Err(error) = self.gallery.flush() {
            ended = ended.and(Err(error.into()));
        }
        Ok(Seen {
            summary,
            elapsed: start.elapsed(),
            ended,
        })
    }
}

/// Sources that are watched at the same time.
struct Opened {
    input: Input,
    lanes: Vec<Lane>,
    /// Names of the cameras among them, and what each leaves out.
    cameras: Vec<(String, Arc<CameraCounts>)>,
}

/// A file by itself, or live sources together, and a lane for each.
fn open(
    sources: &[Watched],
    lane: impl Fn(&Watched, &dyn Source) -> runtime::Result<Lane>,
) -> anyhow::Result<Opened> {
    let mut cameras = Vec::new();
    if let [watched] = sources
        && !watched.is_live()
    {
        let source = media::open(&watched.spec, watched.fps)?;
        let lanes = vec![lane(watched, source.as_ref())?];
        return Ok(Opened {
            input: Input::One(source),
            lanes,
            cameras,
        });
    }
    let (mut slots, mut lanes) = (Vec::new(), Vec::new());
    for watched in sources {
        let cancel = CancelToken::default();
        let Open { source, counts } = watched.open(Box::new(SteadyClock::new(cancel.clone())))?;
        lanes.push(lane(watched, source.as_ref())?);
        cameras.extend(counts.map(|counts| (watched.name(source.as_ref()).to_owned(), counts)));
        slots.push(Slot::new(source, watched.policy(), cancel)?);
    }
    Ok(Opened {
        input: Input::several(Group::new(slots)),
        lanes,
        cameras,
    })
}

/// Says what cameras have left out.
fn tell(cameras: &[(String, Arc<CameraCounts>)]) {
    for (name, counts) in cameras {
        let (gaps, lost) = (counts.gaps(), counts.lost());
        if gaps + lost > 0 {
            tracing::warn!("{name}: disconnected {gaps} x, {lost} x frame without a buffer");
        }
    }
}

/// Works until the sources end, or somebody wants it. What was seen before an error counts.
fn watch(
    mut pipeline: Pipeline<'_>,
    max_frames: Option<u64>,
    interrupt: &Interrupt,
) -> (Summary, anyhow::Result<Outcome>) {
    let frames = match (pipeline.frames(), max_frames) {
        (Some(all), Some(most)) => Some(all.min(most)),
        (all, most) => all.or(most),
    };
    let bar = cli::progress(frames, "frames");
    let mut outcome = Outcome::Done;
    let mut turns = 0;
    interrupt.hold();
    let ended = loop {
        if interrupt.requested() || max_frames.is_some_and(|most| turns >= most) {
            break Ok(outcome);
        }
        match pipeline.run_once() {
            Ok(Turn::Worked(frames)) => {
                turns += 1;
                bar.inc(frames as u64);
            }
            // Nothing came of all that was to be watched.
            Ok(Turn::Broken(runtime::Error::Source(error)))
                if pipeline.lanes() == 1 && turns == 0 && !error.is_recoverable() =>
            {
                break Err(error.into());
            }
            Ok(Turn::Broken(error)) => {
                turns += 1;
                tracing::warn!("skipped: {error}");
                outcome = Outcome::Partly;
            }
            // No frame of those that were asked for.
            Ok(Turn::Away(error)) => {
                tracing::warn!("waiting: {error}");
                outcome = Outcome::Partly;
            }
            Ok(Turn::Idle) => {}
            Ok(Turn::Ended) => break Ok(outcome),
            // The rest of this source is lost, the sources behind it are not.
            Err(runtime::Error::Source(error)) => {
                tracing::warn!("skipped the rest: {error}");
                break Ok(Outcome::Partly);
            }
            Err(error) => break Err(error.into()),
        }
    };
    bar.finish_and_clear();
    let note = pipeline.note();
    if let Some(note) = &note {
        tracing::warn!("{}", note.text);
    }
    let ended = ended.map(|outcome| match note {
        Some(note) if note.incomplete => Outcome::Partly,
        _ => outcome,
    });
    let (summary, lanes) = pipeline.finish();
    let whole = ended.is_ok() && max_frames.is_none() && !interrupt.requested();
    for unused in lanes
        .iter()
        .filter_map(|lane| lane.people().unused())
        .filter(|_| whole)
    {
        tracing::warn!("{unused}");
    }
    for misaligned in lanes.iter().filter_map(|lane| lane.people().misaligned()) {
        tracing::warn!("{misaligned}");
    }
    (summary, ended)
}

/// What was passed over, and why.
fn passed_over(summary: &Summary) -> Vec<(u64, &'static str)> {
    let tracks = summary.tracks;
    let frames = [
        (summary.broken_frames, "broken frame"),
        (summary.attempts, "camera away"),
        (summary.dropped_frames, "frame that a newer one replaced"),
        (summary.dropped, "person too many for a frame"),
    ];
    let rest = [
        (
            summary.featureless,
            "person in whom the network saw nothing",
        ),
        (tracks.unsure, "box too unsure to begin a visit"),
        (tracks.over_budget, "crop beyond the budget of its frame"),
        (tracks.undecided, "visit too short to decide"),
        (tracks.unjudged, "visit without a good crop"),
        (tracks.evicted, "visit that had to make room"),
    ];
    let flaws = summary.flaws.iter().map(|(flaw, n)| (n, flaw.reason()));
    let all = frames.into_iter().chain(flaws).chain(rest);
    all.filter(|(n, _)| *n > 0).collect()
}

/// The table at the end.
fn text(summary: &Summary, passed_over: &[(u64, &str)], seconds: f64) -> Vec<String> {
    let header = [
        "identity",
        "state",
        "seen",
        "first",
        "last",
        "least similar",
    ];
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
    let mut lines = cli::table(&rows);
    let new = summary
        .identities
        .values()
        .filter(|tally| tally.new)
        .count();
    lines.push(format!(
        "{} in {} of {} ({new} new, {} known before, {} undecided), {:.1} frames/s",
        cli::count(summary.identities.len(), "person"),
        cli::count(summary.observations as usize, "observation"),
        cli::count(summary.frames as usize, "frame"),
        summary.identities.len() - new,
        cli::count(summary.pending as usize, "observation"),
        summary.frames as f64 / seconds,
    ));
    lines.extend(
        passed_over
            .iter()
            .map(|(n, what)| format!("passed over: {n} x {what}")),
    );
    lines
}
