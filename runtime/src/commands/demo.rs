//! `reid demo`: the bundled model on the bundled clip, compared with the truth of the clip.

mod bundle;
mod colours;
mod score;
mod truth;
mod watcher;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use cli::Replacement;
use media::camera;
use pages::Header;
use runtime::Error;
use runtime::config::Config;
use runtime::show::verdicts::{Page, Visit};
use serde::{Deserialize, Serialize};

use self::bundle::Card;
use self::score::{Owners, Scored, Tally, Verdict};
use self::truth::Truth;
use self::watcher::{Seen, Watcher};
use super::Outcome;
use super::interrupt::Interrupt;
use super::run::lines::EventLines;
use super::run::{DEFAULT_FPIR, Flags, Ready, Settings, Watch, counted};

/// Watch a bundled clip with a bundled model: which persons come back?
///
/// The clip, its boxes and the model are in the program. The persons are enrolled in
/// DIR/gallery.redb, so that a second run recognises all of them; delete DIR to begin anew. The
/// threshold is the one that the model states for a false positive identification rate of 1 %, as
/// `reid run` takes it: nothing was chosen for this clip. DIR/demo.html shows every visit, failures
/// first.
///
/// With --camera, it reports the persons who walk past a camera, and keeps none of them.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Demo {
    /// Folder for the clip, the model, the gallery and the page
    #[arg(long, value_name = "DIR", default_value = "reid-demo")]
    out: PathBuf,
    /// How persons are found in the clip: in a file of boxes, or by their motion
    #[arg(long, value_enum, default_value_t = Boxes::Given)]
    boxes: Boxes,
    /// Watch a camera, or another source of `reid run`, in place of the clip [default: the first
    /// camera]
    #[arg(long, value_name = "DEVICE", num_args = 0..=1, conflicts_with_all = ["json", "boxes"])]
    camera: Option<Option<String>>,
    /// Stop after at most this many frames; visits that are not over by then do not count
    #[arg(long, value_name = "N")]
    max_frames: Option<u64>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  reid demo
  reid demo --boxes motion --out motion
  reid demo --camera
  reid demo --camera /dev/video2";

/// How persons are found in the clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Boxes {
    /// In a file beside the clip, as a detector might have written it: imprecise, some missing.
    Given,
    /// By motion.
    Motion,
}

/// What `--json` prints, and what DIR/demo.json keeps.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    notice: String,
    model: String,
    threshold: f32,
    /// False positive identification rate of the threshold where it was measured.
    fpir: f64,
    boxes: Boxes,
    frames: u64,
    seconds: f64,
    persons: usize,
    /// Persons who were known before this run.
    known_before: usize,
    /// Those of them who were recognised at every visit.
    recognised: usize,
    /// What the run counted, as `reid run` does: without the truth.
    counted: Counted,
    methods: Vec<Method>,
    visits: Vec<Compared<'a>>,
    /// Boxes that cover no person of the truth.
    strays: usize,
    /// The person that each name of the gallery stands for.
    owners: Owners,
    gallery: PathBuf,
    page: PathBuf,
}

/// What the events of the run add up to.
#[derive(Debug, Serialize)]
struct Counted {
    visits: u64,
    new: u64,
    returns: u64,
    #[serde(skip)]
    text: String,
}

/// The result of a way of recognising persons.
#[derive(Debug, Serialize)]
struct Method {
    name: &'static str,
    #[serde(flatten)]
    tally: Tally,
    threshold: Option<f32>,
    /// Whether the threshold was chosen knowing the clip.
    hindsight: bool,
}

/// A visit of the truth: what was seen of it, what was decided, and the verdicts on that.
#[derive(Debug, Serialize)]
struct Compared<'a> {
    person: u32,
    /// Seconds of the clip; none if the person was not detected.
    from: Option<f64>,
    to: Option<f64>,
    names: Vec<String>,
    similarity: Option<f32>,
    verdict: Verdict,
    stripes: Verdict,
    #[serde(skip)]
    seen: &'a Seen,
    #[serde(skip)]
    scored: [Scored; 2],
}

/// What is read of an earlier run.
#[derive(Debug, Default, Deserialize)]
struct Before {
    owners: Owners,
}

impl Demo {
    pub(super) fn run(self, interrupt: Interrupt) -> anyhow::Result<Outcome> {
        let card = Card::of_the_model()?;
        if !self.json {
            cli::lines([card.notice()])?;
        }
        match &self.camera {
            Some(device) => {
                let device = device.clone().unwrap_or_else(first_camera);
                self.watch_camera(device, interrupt)
            }
            None => self.watch_clip(&card, interrupt),
        }
    }

    /// A gallery of another version of this program is not one that the user has chosen.
    fn of_another_model(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast_ref() {
            Some(Error::GallerySpace { .. } | Error::GalleryDimension { .. }) => {
                error.context(format!(
                    "{} holds a demo with another model: remove it, or name another folder with --out",
                    self.out.display()
                ))
            }
            _ => error,
        }
    }

    /// No gallery is written: these are real people.
    fn watch_camera(&self, device: String, interrupt: Interrupt) -> anyhow::Result<Outcome> {
        let mut flags = Flags::of(device.clone(), bundle::unpack_model(&self.out)?);
        flags.max_frames = self.max_frames;
        let settings = Settings::over(flags, Config::default())?;
        let mut ready = Ready::of(&settings, interrupt)?;
        tracing::info!("watching {device}: walk out of the picture, and come back; Ctrl-C ends it");
        let outcome = ready.watch(&mut EventLines(io::stdout()))?.ended?;
        cli::lines([format!(
            "{}; no person was kept",
            counted(&ready.session.summary)
        )])?;
        Ok(outcome)
    }

    fn watch_clip(&self, card: &Card, interrupt: Interrupt) -> anyhow::Result<Outcome> {
        let truth = Truth::parse(bundle::TRUTH).context("the truth in this program")?;
        let files = bundle::unpack_all(&self.out)?;
        let gallery = self.out.join("gallery.redb");
        let boxes = match self.boxes {
            Boxes::Given => text(&files.boxes)?,
            Boxes::Motion => "motion".to_owned(),
        };
        let mut flags = Flags::of(text(&files.clip)?, files.model);
        flags.boxes = Some(boxes);
        flags.gallery = Some(gallery.clone());
        flags.max_frames = self.max_frames;
        let settings = Settings::over(flags, Config::default())?;
        let mut ready =
            Ready::of(&settings, interrupt).map_err(|error| self.of_another_model(error))?;
        let list = ready.session.gallery.list();
        let known: BTreeSet<String> = list.map(|known| known.name).collect();
        let kept = self.out.join("demo.json");
        let before = before(&kept, &known);

        let mut watcher = Watcher::new(&truth);
        let Watch { elapsed, ended } = ready.watch(&mut watcher)?;
        let outcome = ended?;
        let summary = &ready.session.summary;
        let mut owners = before.clone();
        let (visits, stripes_threshold) = compare(&watcher, summary.frames, &mut owners);

        let threshold = settings.threshold(&ready.model)?;
        let method = |name, scored: &[Scored], threshold, hindsight| Method {
            name,
            tally: Tally::of(scored),
            threshold,
            hindsight,
        };
        let scored = |at: usize| visits.iter().map(|v| v.scored[at]).collect::<Vec<_>>();
        let mut methods = vec![method("model", &scored(0), Some(threshold), false)];
        let persons: Vec<u32> = visits.iter().map(|visit| visit.person).collect();
        // A second run over the same pixels recognises all of them: nothing to compare with.
        if before.is_empty() {
            let stripes = Some(stripes_threshold);
            methods.push(method("hsv-stripes", &scored(1), stripes, true));
            let always_new = score::always_new(&persons);
            methods.push(method("always-new", &always_new, None, false));
        }
        let here: BTreeSet<u32> = persons.iter().copied().collect();
        let before: BTreeSet<u32> = before.into_values().collect();
        let known_before = || here.intersection(&before);
        let always_found = |person: &&u32| {
            let mut theirs = visits.iter().filter(|visit| visit.person == **person);
            theirs.all(|visit| visit.verdict == Verdict::Found)
        };
        let report = Report {
            schema: 2,
            notice: card.notice(),
            model: card.model.clone(),
            threshold,
            fpir: DEFAULT_FPIR,
            boxes: self.boxes,
            frames: summary.frames,
            seconds: elapsed.as_secs_f64(),
            persons: here.len(),
            known_before: known_before().count(),
            recognised: known_before().filter(always_found).count(),
            counted: Counted {
                visits: summary.visits,
                new: summary.new,
                returns: summary.returns,
                text: counted(summary),
            },
            methods,
            visits,
            strays: watcher.strays,
            owners,
            gallery,
            page: self.out.join("demo.html"),
        };
        page(&report).write(&report.page)?;
        cli::replace_file(&kept, Replacement::Private, |file| {
            serde_json::to_writer_pretty(file, &report).map_err(io::Error::from)
        })
        .with_context(|| kept.display().to_string())?;
        if self.json {
            cli::json(&report)?;
        } else {
            cli::lines(lines(&report))?;
        }
        Ok(outcome)
    }
}

/// Compares what was decided with the truth, of the visits that were over before frame `frames`.
/// Returns the best threshold of the colour stripes too.
fn compare<'a>(
    watcher: &'a Watcher<'_>,
    frames: u64,
    owners: &mut Owners,
) -> (Vec<Compared<'a>>, f32) {
    let (seen, decided): (Vec<&Seen>, Vec<_>) = watcher.until(frames).into_iter().unzip();
    let looks: Vec<(u32, Option<Vec<f32>>)> = (decided.iter().zip(&seen))
        .map(|(decided, seen)| (decided.person, colours::look(&seen.stripes)))
        .collect();
    let colours = colours::best(&looks);
    let model = score::score(&decided, owners);
    let all = seen.into_iter().zip(decided);
    let verdicts = model.into_iter().zip(colours.scored);
    let compared = |((seen, decided), (model, stripes)): ((&'a Seen, score::Decided), _)| {
        let (model, stripes): (Scored, Scored) = (model, stripes);
        let seconds = |at: usize| seen.when.map(|when| when[at].as_secs_f64());
        Compared {
            person: decided.person,
            from: seconds(0),
            to: seconds(1),
            names: decided.names,
            similarity: seen.similarity,
            verdict: model.verdict,
            stripes: stripes.verdict,
            seen,
            scored: [model, stripes],
        }
    };
    (all.zip(verdicts).map(compared).collect(), colours.threshold)
}

/// The first camera that gives pictures, else where one is looked for.
fn first_camera() -> String {
    let usable = |info: &camera::CameraInfo| info.problem.is_none();
    let found = camera::list().into_iter().find(usable);
    found.map_or_else(
        || "/dev/video0".to_owned(),
        |info| info.path.display().to_string(),
    )
}

/// The names of an earlier run; those that have left the gallery since do not count.
fn before(kept: &Path, known: &BTreeSet<String>) -> Owners {
    let read = std::fs::read(kept).ok();
    let before: Option<Before> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut owners = before.unwrap_or_default().owners;
    owners.retain(|name, _| known.contains(name));
    owners
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("{}: no UTF-8 name", path.display()))
}

impl Compared<'_> {
    /// What was decided, in words.
    fn text(&self) -> String {
        let names = match self.names.as_slice() {
            [] => "no identity was decided".to_owned(),
            names => names.join(", then "),
        };
        let verdict = self.verdict.word();
        match self.similarity {
            Some(similarity) => format!("{verdict}: {names}, similarity {similarity:.3}"),
            None => format!("{verdict}: {names}"),
        }
    }
}

/// The table, as rows of cells.
fn table(report: &Report<'_>) -> Vec<Vec<String>> {
    let header = [
        "method",
        "threshold",
        "returns found",
        "missed",
        "false matches",
        "corrected",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for method in &report.methods {
        let Tally {
            returns,
            found,
            missed,
            false_matches,
            corrected,
            ..
        } = method.tally;
        let name = match method.name {
            "model" => "this model",
            "hsv-stripes" => "HSV stripes *",
            _ => "always new",
        };
        rows.push(vec![
            name.to_owned(),
            method
                .threshold
                .map_or("-".to_owned(), |at| format!("{at:.3}")),
            format!("{found} of {returns}"),
            missed.to_string(),
            false_matches.to_string(),
            corrected.to_string(),
        ]);
    }
    rows
}

/// What a reader of the table has to know.
fn notes(report: &Report<'_>) -> Vec<&'static str> {
    let corrected =
        "corrected: for a moment under the name of another person, then under the right name";
    match report.known_before {
        0 => vec![
            corrected,
            "* the best threshold for this clip, chosen with hindsight, which is not possible in use",
        ],
        _ => vec![
            corrected,
            "the same pixels as before: that all persons are recognised shows that the gallery lasts, \
             not that the model is good",
        ],
    }
}

/// How the threshold of the model was found.
fn stated(report: &Report<'_>) -> String {
    format!(
        "threshold {:.3}: a false positive identification rate of {:.0} % in the evaluation that the \
         model states, of other persons",
        report.threshold,
        report.fpir * 100.0
    )
}

fn lines(report: &Report<'_>) -> Vec<String> {
    let mut lines = vec![
        report.counted.text.clone(),
        format!(
            "truth: {} of {} in {}, {:.1} s; {}",
            cli::count(report.visits.len(), "visit"),
            cli::count(report.persons, "person"),
            cli::count(report.frames as usize, "frame"),
            report.seconds,
            stated(report),
        ),
        String::new(),
    ];
    lines.extend(cli::table(&table(report)));
    lines.extend(notes(report).into_iter().map(str::to_owned));
    lines.push(String::new());
    for (at, visit) in report.visits.iter().enumerate() {
        if !visit.verdict.is_right() {
            let (at, person) = (at + 1, visit.person);
            lines.push(format!("visit {at} of person {person}: {}", visit.text()));
        }
    }
    lines.push(match report.known_before {
        0 => "run it again: a second process recognises all of them".to_owned(),
        known => format!(
            "{} of {} known from an earlier run were recognised",
            report.recognised,
            cli::count(known, "person")
        ),
    });
    lines.push(format!(
        "{}: every visit, failures first",
        report.page.display()
    ));
    lines
}

fn page<'a>(report: &'a Report<'_>) -> Page<'a> {
    let Tally {
        returns,
        found,
        missed,
        false_matches,
        ..
    } = report.methods[0].tally;
    let mut times = BTreeMap::<u32, usize>::new();
    let crop_of = |other: u32| {
        let mut theirs = report.visits.iter().filter(|visit| visit.person == other);
        let crop = theirs.find_map(|visit| visit.seen.crops.first().cloned());
        crop.map(|crop| (format!("taken for person {other}"), crop))
    };
    let visit = |visit: &Compared<'_>| {
        let time = times.entry(visit.person).or_default();
        *time += 1;
        let stripes = ("HSV stripes:".to_owned(), visit.stripes.is_right());
        Visit {
            truth: format!("Person {}, time {time}", visit.person),
            when: visit.seen.when.unwrap_or_default(),
            decided: visit.text(),
            right: visit.verdict.is_right(),
            verdict: visit.verdict.word().to_owned(),
            others: vec![stripes],
            crops: visit.seen.crops.clone(),
            mistaken_for: visit.scored[0].mistaken_for.and_then(crop_of),
        }
    };
    let visits = report.visits.iter().map(visit).collect();
    Page {
        header: Header {
            title: "Who came back?",
            subject: "decisions on the bundled clip, beside the truth".to_owned(),
            alerts: vec![report.notice.clone()],
            tiles: vec![
                (format!("{found} of {returns}"), "returns found"),
                (missed.to_string(), "missed"),
                (false_matches.to_string(), "false matches"),
                (report.persons.to_string(), "persons"),
            ],
            facts: vec![
                ("Counted by the run", report.counted.text.clone()),
                ("Model", report.model.clone()),
                ("Threshold", stated(report)),
                (
                    "Boxes",
                    match report.boxes {
                        Boxes::Given => "given, as by a detector".to_owned(),
                        Boxes::Motion => "by motion".to_owned(),
                    },
                ),
                (
                    "Known from an earlier run",
                    format!("{} of {} persons", report.known_before, report.persons),
                ),
            ],
        },
        table: table(report),
        below: notes(report).join("; "),
        visits,
    }
}
