//! `reid demo`: the bundled model on the bundled clip, checked against the clip's truth.

mod bundle;
mod camera;
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
use pages::Header;
use runtime::Error;
use runtime::config::Config;
use runtime::show::verdicts::{Page, Visit};
use serde::{Deserialize, Serialize};

use self::bundle::Card;
use self::camera::Doorman;
use self::colours::Best;
use self::score::{Decided, Judged, Owners, Tally, Verdict};
use self::truth::Truth;
use self::watcher::{Watched, Watcher};
use super::Outcome;
use super::interrupt::Interrupt;
use super::run::{Flags, Ready, STRANGERS, Seen, Settings};

/// Watch a bundled clip with a bundled model: who comes back?
///
/// The clip, its boxes and the model are in the program. Whoever is met is kept in DIR/gallery.redb,
/// so that a second run knows everybody; delete DIR to begin anew. The threshold is the one that the
/// model's contract states for 1 % of strangers let in, as `reid run` takes it: nothing was chosen for
/// this clip. DIR/demo.html shows every visit, failures first.
///
/// With --camera, whoever walks past a camera is said to be new or back; nobody is kept.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Demo {
    /// Where the clip, the model, the gallery and the page are put
    #[arg(long, value_name = "DIR", default_value = "reid-demo")]
    out: PathBuf,
    /// Where people are in the clip: given as by a detector, or found by their motion
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

/// How people are found in the clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Boxes {
    /// From a file beside the clip, as a detector might have written it: a little off, some missing.
    Given,
    /// Where something moves.
    Motion,
}

/// What `--json` prints, and what DIR/demo.json keeps.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    notice: String,
    model: String,
    threshold: f32,
    /// Share of strangers that the threshold lets in where it was measured.
    strangers: f64,
    boxes: Boxes,
    frames: u64,
    seconds: f64,
    persons: usize,
    /// Persons who were known before this run.
    known_before: usize,
    /// Those of them whose every visit was recognised.
    seen: usize,
    methods: Vec<Method>,
    visits: Vec<VisitReport>,
    /// Boxes of nobody.
    strays: usize,
    /// Whom each name of the gallery stands for.
    owners: Owners,
    gallery: PathBuf,
    page: PathBuf,
}

/// What a way of recognising people came to.
#[derive(Debug, Serialize)]
struct Method {
    name: &'static str,
    #[serde(flatten)]
    tally: Tally,
    threshold: Option<f32>,
    /// Whether the threshold was chosen knowing the clip.
    hindsight: bool,
}

#[derive(Debug, Serialize)]
struct VisitReport {
    person: u32,
    /// Seconds of the clip; none if nobody was seen.
    from: Option<f64>,
    to: Option<f64>,
    names: Vec<String>,
    similarity: Option<f32>,
    verdict: Verdict,
    stripes: Verdict,
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
                let device = device.clone().unwrap_or_else(camera::first);
                self.watch_camera(device, interrupt)
            }
            None => self.watch_clip(&card, interrupt),
        }
    }

    /// A gallery that another version of this program has left is nothing that the user has chosen.
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

    /// Nobody is kept: these are real people.
    fn watch_camera(&self, device: String, interrupt: Interrupt) -> anyhow::Result<Outcome> {
        let mut flags = Flags::of(device.clone(), bundle::unpack_model(&self.out)?);
        flags.max_frames = self.max_frames;
        let settings = Settings::over(flags, Config::default())?;
        let mut ready = Ready::of(&settings, interrupt)?;
        tracing::info!("watching {device}: walk out of the picture, and come back; Ctrl-C ends it");
        let mut doorman = Doorman::new(io::stdout());
        let seen = ready.watch(&mut doorman)?;
        let outcome = seen.ended?;
        cli::lines([format!(
            "{} in {}; nobody was kept",
            cli::count(doorman.persons(), "person"),
            cli::count(seen.summary.frames as usize, "frame"),
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
        let known: BTreeSet<String> = ready.gallery.list().map(|known| known.name).collect();
        let kept = self.out.join("demo.json");
        let before = before(&kept, &known);

        let mut watcher = Watcher::new(&truth);
        let Seen {
            summary,
            elapsed,
            ended,
        } = ready.watch(&mut watcher)?;
        let outcome = ended?;
        let (watched, decided): (Vec<&Watched>, Vec<Decided>) =
            watcher.until(summary.frames).into_iter().unzip();

        let mut owners = before.clone();
        let judged = score::judge(&decided, &mut owners);
        let persons: Vec<u32> = decided.iter().map(|decided| decided.person).collect();
        let looks: Vec<(u32, Option<Vec<f32>>)> = (persons.iter().zip(&watched))
            .map(|(person, watched)| (*person, colours::look(&watched.stripes)))
            .collect();
        let colours = colours::best(&looks);

        let threshold = settings.threshold(&ready.model)?;
        let method = |name, judged: &[Judged], threshold, hindsight| Method {
            name,
            tally: Tally::of(judged),
            threshold,
            hindsight,
        };
        let mut methods = vec![method("model", &judged, Some(threshold), false)];
        // Who has seen the very same pixels before knows everybody: nothing to compare with.
        if before.is_empty() {
            let stripes = (&colours.judged, Some(colours.threshold));
            methods.push(method("hsv-stripes", stripes.0, stripes.1, true));
            methods.push(method(
                "always-new",
                &score::always_new(&persons),
                None,
                false,
            ));
        }
        let everybody: BTreeSet<u32> = persons.iter().copied().collect();
        let before_them: BTreeSet<u32> = (before.values().copied())
            .filter(|person| everybody.contains(person))
            .collect();
        let always_found = |person: &&u32| {
            let mut theirs = persons
                .iter()
                .zip(&judged)
                .filter(|(other, _)| other == person);
            theirs.all(|(_, judged)| judged.verdict == Verdict::Found)
        };
        let report = Report {
            schema: 1,
            notice: card.notice(),
            model: card.model.clone(),
            threshold,
            strangers: STRANGERS,
            boxes: self.boxes,
            frames: summary.frames,
            seconds: elapsed.as_secs_f64(),
            persons: everybody.len(),
            known_before: before_them.len(),
            seen: before_them.iter().filter(always_found).count(),
            methods,
            visits: visits(&watched, &decided, &judged, &colours),
            strays: watcher.strays,
            owners,
            gallery,
            page: self.out.join("demo.html"),
        };
        page(&report, &watched, &judged, &colours).write(&report.page)?;
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

/// Whose names are known from an earlier run; what the gallery has forgotten since does not count.
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

fn visits(
    watched: &[&Watched],
    decided: &[Decided],
    judged: &[Judged],
    colours: &Best,
) -> Vec<VisitReport> {
    let all = watched
        .iter()
        .zip(decided)
        .zip(judged.iter().zip(&colours.judged));
    all.map(|((watched, decided), (judged, stripes))| {
        let seconds = |at: usize| watched.when.map(|when| when[at].as_secs_f64());
        VisitReport {
            person: decided.person,
            from: seconds(0),
            to: seconds(1),
            names: decided.names.clone(),
            similarity: watched.similarity,
            verdict: judged.verdict,
            stripes: stripes.verdict,
        }
    })
    .collect()
}

/// The table, as rows of cells.
fn table(report: &Report) -> Vec<Vec<String>> {
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

/// What the table is to be read with.
fn notes(report: &Report) -> Vec<&'static str> {
    let corrected =
        "corrected: taken for somebody else for a moment, then called by the right name";
    match report.known_before {
        0 => vec![
            corrected,
            "* the best threshold for this clip, with hindsight, which nobody has in use",
        ],
        _ => vec![
            corrected,
            "the same pixels as before: that everybody is known shows that the gallery lasts, not that \
             the model is good",
        ],
    }
}

/// How the threshold of the model was found.
fn stated(report: &Report) -> String {
    format!(
        "threshold {:.3}: {:.0} % of strangers let in, says the model's contract, by an evaluation on \
         other people",
        report.threshold,
        report.strangers * 100.0
    )
}

fn lines(report: &Report) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} of {} in {}, {:.1} s; {}",
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
            lines.push(format!(
                "visit {} of person {}: {}",
                at + 1,
                visit.person,
                said(visit)
            ));
        }
    }
    lines.push(match report.known_before {
        0 => "run it again: a second process knows everybody".to_owned(),
        known => format!(
            "{} of {} known from an earlier run: seen",
            report.seen,
            cli::count(known, "person")
        ),
    });
    lines.push(format!(
        "{}: every visit, failures first",
        report.page.display()
    ));
    lines
}

fn said(visit: &VisitReport) -> String {
    let names = match visit.names.as_slice() {
        [] => "nobody was decided".to_owned(),
        names => names.join(", then "),
    };
    let verdict = visit.verdict.word();
    match visit.similarity {
        Some(similarity) => format!("{verdict}: {names}, similarity {similarity:.3}"),
        None => format!("{verdict}: {names}"),
    }
}

fn page<'a>(
    report: &'a Report,
    watched: &[&Watched],
    judged: &[Judged],
    colours: &Best,
) -> Page<'a> {
    let Tally {
        returns,
        found,
        missed,
        false_matches,
        ..
    } = Tally::of(judged);
    let mut times = BTreeMap::<u32, usize>::new();
    let visits = watched.iter().zip(judged).zip(&report.visits).enumerate();
    let visits = visits.map(|(at, ((seen, judged), visit))| {
        let person = visit.person;
        let time = times.entry(person).or_default();
        *time += 1;
        let best = |other: u32| {
            let mut all = watched.iter().zip(&report.visits);
            let theirs = all.find(|(seen, visit)| visit.person == other && !seen.crops.is_empty());
            let crop = theirs.and_then(|(seen, _)| seen.crops.first().cloned());
            crop.map(|crop| (format!("taken for person {other}"), crop))
        };
        let stripes = colours.judged[at].verdict;
        Visit {
            truth: format!("Person {person}, time {time}"),
            when: seen.when.unwrap_or_default(),
            decided: said(visit),
            right: visit.verdict.is_right(),
            verdict: visit.verdict.word().to_owned(),
            others: vec![("HSV stripes:".to_owned(), stripes.is_right())],
            crops: seen.crops.clone(),
            mistaken_for: judged.mistaken_for.and_then(best),
        }
    });
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
        visits: visits.collect(),
    }
}
