//! `reid run`: the loop over cameras and files, with the outputs that were asked for.

pub(super) mod lines;
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
use runtime::gallery::Gallery;
use runtime::people::People;
use runtime::pipeline::{
    self, Environment, Input, Pipeline, Progress, Session, Stream, SystemClock,
};
use runtime::sink::Sink;
use runtime::summary::Summary;
use runtime::track::Numbers;
use runtime::visits::Visits;

use self::outputs::Outputs;
pub(super) use self::settings::{DEFAULT_FPIR, Flags, Settings, check};
use self::settings::{Open, Watched};
use super::Outcome;
use super::interrupt::Interrupt;

/// Watch cameras, videos or image folders and report which persons were seen before.
///
/// Files are watched one after the other, every frame of them. Cameras, named pipes and standard
/// input are watched at the same time, the newest frame of each. An unknown person is enrolled in
/// the gallery, once a track has enough good crops. A visit ends when no stream has seen the person
/// for some seconds; a person who comes later is reported as returning. Ctrl-C, SIGTERM and SIGHUP
/// end a run as if its sources had ended.
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
        let Watch { elapsed, ended } = ready.watch(&mut outputs)?;
        let summary = &ready.session.summary;
        let passed_over = passed_over(summary);
        let written = outputs.finish(summary, &passed_over, elapsed, ended.as_ref().err());
        let lines = text(&ready.session, &passed_over, elapsed.as_secs_f64());
        let printed = match settings.writes_json() {
            true => {
                lines.iter().for_each(|line| cli::say!("{line}"));
                Ok(())
            }
            false => cli::lines(lines),
        };
        let mut outcome = Outcome::Done;
        let ended = ended.map(|ended| outcome = ended);
        let mut errors: Vec<_> = [ended, written, printed]
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

/// A run that is ready: what its sources are watched with is open.
pub(super) struct Ready<'a> {
    settings: &'a Settings,
    pub(super) model: Model,
    tracks: pipeline::Settings,
    embedder: Box<dyn Embedder>,
    pub(super) session: Session,
    interrupt: Interrupt,
}

/// How watching has ended.
pub(super) struct Watch {
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
        let gallery = gallery.with_limits(settings.limits)?;
        Ok(Self {
            settings,
            tracks,
            embedder,
            session: Session::new(gallery, Visits::new(settings.min_absence)?),
            model,
            interrupt,
        })
    }

    /// Watches all sources, those of files one after the other. What was seen is in the session.
    ///
    /// # Errors
    /// If the first source cannot be opened. What happens later is in [`Watch::ended`]: what was
    /// seen before counts.
    pub(super) fn watch(&mut self, sink: &mut dyn Sink) -> anyhow::Result<Watch> {
        let start = Instant::now();
        let mut ended = self.watch_all(sink)?;
        if let Err(error) = self.session.end_visits(sink) {
            ended = ended.and(Err(error.into()));
        }
        if let Err(error) = self.session.gallery.flush() {
            ended = ended.and(Err(error.into()));
        }
        Ok(Watch {
            elapsed: start.elapsed(),
            ended,
        })
    }

    fn watch_all(&mut self, sink: &mut dyn Sink) -> anyhow::Result<anyhow::Result<Outcome>> {
        let dim = self.model.metadata.embedding.dim;
        let (numbers, clock) = (Numbers::default(), SystemClock::default());
        let mut outcome = Outcome::Done;
        for sources in self.settings.batches() {
            if self.interrupt.requested() {
                break;
            }
            let stream = |watched: &Watched, source: &dyn Source| {
                let people = People::open(&watched.people)?;
                if let Some(note) = people.note() {
                    tracing::warn!("{}: {note}", watched.people.how);
                }
                Stream::new(watched.name(source), people, dim, &self.tracks, &numbers)
            };
            let Opened {
                input,
                streams,
                cameras,
            } = match open(sources, stream) {
                Ok(opened) => opened,
                // What was seen before counts.
                Err(error) if self.session.summary.frames > 0 => return Ok(Err(error)),
                Err(error) => return Err(error),
            };
            if sources.iter().any(Watched::is_live)
                && let Err(error) = self.session.end_visits(sink)
            {
                return Ok(Err(error.into()));
            }
            let environment = Environment {
                preprocessing: &self.model.metadata.preprocessing,
                embedder: self.embedder.as_mut(),
                session: &mut self.session,
                sink: &mut *sink,
                clock: &clock,
                settings: self.tracks,
            };
            let pipeline = Pipeline::new(input, streams, environment)?;
            let result = watch(pipeline, self.settings.max_frames, &self.interrupt);
            report_left_out(&cameras);
            match result {
                Ok(Outcome::Done) => {}
                Ok(Outcome::Partly) => outcome = Outcome::Partly,
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(outcome))
    }
}

/// Sources that are watched at the same time.
struct Opened {
    input: Input,
    streams: Vec<Stream>,
    /// Names of the cameras among them, and what each leaves out.
    cameras: Vec<(String, Arc<CameraCounts>)>,
}

/// A file by itself, or live sources together, and a stream for each.
fn open(
    sources: &[Watched],
    stream: impl Fn(&Watched, &dyn Source) -> runtime::Result<Stream>,
) -> anyhow::Result<Opened> {
    let mut cameras = Vec::new();
    if let [watched] = sources
        && !watched.is_live()
    {
        let source = media::open(&watched.spec, watched.fps)?;
        let streams = vec![stream(watched, source.as_ref())?];
        return Ok(Opened {
            input: Input::One(source),
            streams,
            cameras,
        });
    }
    let (mut slots, mut streams) = (Vec::new(), Vec::new());
    for watched in sources {
        let cancel = CancelToken::default();
        let Open { source, counts } = watched.open(Box::new(SteadyClock::new(cancel.clone())))?;
        streams.push(stream(watched, source.as_ref())?);
        cameras.extend(counts.map(|counts| (watched.name(source.as_ref()).to_owned(), counts)));
        slots.push(Slot::new(source, watched.policy(), cancel)?);
    }
    Ok(Opened {
        input: Input::several(Group::new(slots)),
        streams,
        cameras,
    })
}

/// Reports what cameras have left out.
fn report_left_out(cameras: &[(String, Arc<CameraCounts>)]) {
    for (name, counts) in cameras {
        let (gaps, lost) = (counts.gaps(), counts.lost());
        if gaps + lost > 0 {
            tracing::warn!("{name}: disconnected {gaps} x, {lost} x frame without a buffer");
        }
    }
}

/// Works until the sources end, or a signal comes. What was seen before an error counts.
fn watch(
    mut pipeline: Pipeline<'_>,
    max_frames: Option<u64>,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let frames = match (pipeline.frames(), max_frames) {
        (Some(all), Some(most)) => Some(all.min(most)),
        (all, most) => all.or(most),
    };
    let bar = cli::progress(frames, "frames");
    let mut outcome = Outcome::Done;
    let mut iterations = 0;
    interrupt.hold();
    let ended = loop {
        if interrupt.requested() || max_frames.is_some_and(|most| iterations >= most) {
            break Ok(outcome);
        }
        match pipeline.run_once() {
            Ok(Progress::Frames(frames)) => {
                iterations += 1;
                bar.inc(frames as u64);
            }
            // The only source gave no frame at all.
            Ok(Progress::Broken(runtime::Error::Source(error)))
                if pipeline.streams() == 1 && iterations == 0 && !error.is_recoverable() =>
            {
                break Err(error.into());
            }
            Ok(Progress::Broken(error)) => {
                iterations += 1;
                tracing::warn!("skipped: {error}");
                outcome = Outcome::Partly;
            }
            Ok(Progress::Disconnected(error)) => {
                tracing::warn!("waiting: {error}");
                outcome = Outcome::Partly;
            }
            Ok(Progress::Idle) => {}
            Ok(Progress::Ended) => break Ok(outcome),
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
    let streams = pipeline.finish();
    let whole = ended.is_ok() && max_frames.is_none() && !interrupt.requested();
    for unused in streams
        .iter()
        .filter_map(|stream| stream.people().unused())
        .filter(|_| whole)
    {
        tracing::warn!("{unused}");
    }
    for misaligned in streams
        .iter()
        .filter_map(|stream| stream.people().misaligned())
    {
        tracing::warn!("{misaligned}");
    }
    ended
}

/// What was passed over, and why.
fn passed_over(summary: &Summary) -> Vec<(u64, &'static str)> {
    let tracks = summary.tracks;
    let frames = [
        (summary.broken_frames, "broken frame"),
        (summary.attempts, "camera disconnected"),
        (summary.dropped_frames, "frame that a newer one replaced"),
        (summary.dropped, "person too many for a frame"),
    ];
    let rest = [
        (
            summary.featureless,
            "crop in which the network found nothing",
        ),
        (tracks.low_score, "box of too low a score to begin a track"),
        (summary.over_budget, "crop beyond the budget of its frame"),
        (tracks.undecided, "track too short to decide"),
        (tracks.without_crop, "track without a good crop"),
        (tracks.evicted, "lost track that made room for another"),
    ];
    let flaws = summary.flaws.iter().map(|(flaw, n)| (n, flaw.reason()));
    let all = frames.into_iter().chain(flaws).chain(rest);
    all.filter(|(n, _)| *n > 0).collect()
}

/// The table at the end.
fn text(session: &Session, passed_over: &[(u64, &str)], seconds: f64) -> Vec<String> {
    let summary = &session.summary;
    let header = [
        "identity",
        "state",
        "visits",
        "returns",
        "seen",
        "first",
        "last",
        "least similar",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (name, tally) in session.tallies() {
        rows.push(vec![
            name.to_owned(),
            if tally.new { "new" } else { "known" }.to_owned(),
            tally.visits.to_string(),
            tally.returns.to_string(),
            tally.observations.to_string(),
            format!("{:.1} s", tally.first.as_secs_f64()),
            format!("{:.1} s", tally.last.as_secs_f64()),
            tally
                .least
                .map_or("-".to_owned(), |similarity| format!("{similarity:.3}")),
        ]);
    }
    let mut lines = cli::table(&rows);
    lines.push(counted(summary));
    lines.push(format!(
        "{} in {} ({} undecided), {:.1} frames/s",
        count(summary.observations, "observation"),
        count(summary.frames, "frame"),
        summary.pending,
        summary.frames as f64 / seconds,
    ));
    lines.extend(
        passed_over
            .iter()
            .map(|(n, what)| format!("passed over: {n} x {what}")),
    );
    lines
}

/// Persons and visits in one line; `reid demo` prints the same.
pub(super) fn counted(summary: &Summary) -> String {
    format!(
        "{} in {}: {} new, {} known before, {}",
        count(summary.persons, "person"),
        count(summary.visits, "visit"),
        summary.new,
        summary.persons.saturating_sub(summary.new),
        count(summary.returns, "return"),
    )
}

fn count(n: u64, what: &str) -> String {
    cli::count(usize::try_from(n).unwrap_or(usize::MAX), what)
}
