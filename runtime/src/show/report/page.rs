//! The page of a run: plain data goes in, HTML comes out.

use std::io::{self, Write};
use std::time::Duration;

use maud::{Markup, html};
use pages::chart::{Axis, Histogram, Plot, drawing};
use pages::{Clock, Count, Header, Page, Thousands, figure, fixed};

use super::strip::Thumb;
use super::{Doubt, MAX_OTHERS, Moment, Rival, Run, Totals};
use crate::show::{colour, utc};

/// What the page shows.
#[derive(Debug)]
pub(super) struct RunPage<'a> {
    pub(super) run: &'a Run,
    pub(super) totals: &'a Totals<'a>,
    /// Names of the sources that crops refer to.
    pub(super) sources: &'a [String],
    /// In the order of their appearance.
    pub(super) persons: Vec<PersonRow<'a>>,
    /// Persons without a row, and their observations.
    pub(super) left_out: [u64; 2],
    /// Close decisions, the closest first, each with a crop of the other identity.
    pub(super) close: Vec<(&'a Doubt, Option<&'a Thumb>)>,
    /// Similarities of the whole run to the identity that was recognised.
    pub(super) own: Histogram<'a>,
    /// Those to the most similar other one.
    pub(super) other: Histogram<'a>,
}

/// An identity.
#[derive(Debug)]
pub(super) struct PersonRow<'a> {
    pub(super) name: &'a str,
    /// Whether it was enrolled in this run.
    pub(super) new: bool,
    pub(super) observations: u64,
    pub(super) visits: u64,
    pub(super) first: Moment,
    pub(super) last: Moment,
    /// Mean and least similarity.
    pub(super) similarity: Option<[f64; 2]>,
    /// The other identity that it was closest to be taken for.
    pub(super) closest: Option<&'a Rival>,
    pub(super) crops: &'a [Thumb],
    pub(super) similarities: Histogram<'a>,
    /// From when to when it was there.
    pub(super) present: &'a [[Duration; 2]],
}

impl RunPage<'_> {
    /// Writes the page, a person at a time.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut page = Page::new(out, cli::printable, &self.header())?;
        let whole = Clock(self.whole());
        let note = format!(
            "In the order of their appearance. Below each crop: the time of the stream, and the similarity to what was known by then. The bar shows when the person was there, from 0:00 to {whole}."
        );
        let (note, [persons, observations]) = match self.persons.is_empty() {
            true => ("No person was seen.", self.left_out),
            false => (&*note, self.left_out),
        };
        let left_out = (persons > 0).then(|| {
            html! {
                p.quiet {
                    @if persons >= MAX_OTHERS as u64 { "at least " }
                    (Count(persons, "more person", "more persons")) " with "
                    (Count(observations, "observation", "observations")) " not shown."
                }
            }
        });
        let rows = self.persons.iter().map(|row| self.person(row));
        page.section("Persons", note, "", rows.chain(left_out))?;
        if !self.close.is_empty() {
            let note = "Another identity was almost as similar, or a new person almost known. If a pair shows one person twice, the threshold is too high, or the two identities have to be merged.";
            let pairs = self
                .close
                .iter()
                .map(|(doubt, other)| self.pair(doubt, *other));
            page.section("Close decisions", note, "cards", pairs)?;
        }
        if let Some(range) = self.similarity_range(&[self.own, self.other]) {
            page.put(&self.similarities(range))?;
        }
        page.end(concat!(
            "Made by reid ",
            env!("CARGO_PKG_VERSION"),
            ". This file contains pictures of people: keep and pass it on accordingly."
        ))
    }

    fn header(&self) -> Header<'_> {
        let Self { run, totals, .. } = self;
        let undecided = (totals.undecided, "observation without a decided identity");
        let passed = totals.passed_over.iter().chain([&undecided]);
        let passed: Vec<String> = passed
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} × {what}", Thousands(count)))
            .collect();
        let passed = Some(passed.join("; ")).filter(|passed| !passed.is_empty());
        let mut space: String = run.space.chars().take(16).collect();
        if space.len() < run.space.len() {
            space.push('…');
        }
        let known = totals.persons.saturating_sub(totals.new);
        let tiles = [
            (totals.persons, "persons"),
            (totals.new, "new"),
            (known, "known before"),
            (totals.visits, "visits"),
            (totals.returns, "returns"),
            (totals.observations, "observations"),
            (totals.frames, "frames"),
        ];
        let error = totals
            .error
            .map(|error| format!("The run ended early. {error}"));
        Header {
            title: "Persons seen",
            subject: sources(&run.sources),
            alerts: error.into_iter().collect(),
            tiles: tiles
                .map(|(count, what)| (Thousands(count).to_string(), what))
                .into(),
            facts: vec![
                ("Model", run.model.clone()),
                ("Embedding space", space),
                ("Threshold", fixed(run.threshold.into(), 3)),
                ("Run started", format!("{} UTC", second(run.started))),
                ("Run took", Clock(totals.elapsed).to_string()),
                (
                    "Passed over",
                    passed.unwrap_or_else(|| "nothing".to_owned()),
                ),
            ],
        }
    }

    fn person(&self, row: &PersonRow<'_>) -> Markup {
        let [red, green, blue] = colour(row.name);
        // The same axis for all persons.
        let range = row
            .similarities
            .range()
            .and(self.similarity_range(&[self.own]));
        html! {
            article.card {
                h3 {
                    span.dot style=(format!("background:#{red:02x}{green:02x}{blue:02x}")) {}
                    bdi { (row.name) }
                    span.badge.good[!row.new] { (if row.new { "new" } else { "known" }) }
                }
                div.strip {
                    @for thumb in row.crops {
                        @let time = Clock(thumb.stream_time);
                        (self.picture(Some(thumb), &format!("{} at {time}", row.name), &html! { (time) b { (decided(thumb)) } }))
                    }
                }
                dl.facts {
                    div { dt { "Seen" } dd { (Count(row.observations, "time", "times")) " in " (Count(row.visits, "visit", "visits")) } }
                    div { dt { "First" } dd { (self.moment(row.first)) } }
                    div { dt { "Last" } dd { (self.moment(row.last)) } }
                    @if let Some([mean, least]) = row.similarity {
                        div { dt { "Similarity" } dd { (fixed(mean, 2)) " " small { "mean, least " (fixed(least, 2)) } } }
                    }
                    @if let Some(Rival { name, similarity, margin }) = row.closest {
                        div { dt { "Closest other" } dd { (format_args!("{similarity:.2}, {margin:.2} away ")) small { bdi { (name) } } } }
                    }
                    @if let Some(range @ [low, high]) = range {
                        @let name = format!("Similarities, {low:.1} to {high:.1}");
                        div { dt { (name) } dd { (row.similarities.small(&name, range, Some(self.run.threshold.into()), |_| false)) } }
                    }
                }
                (self.timeline(row.present))
            }
        }
    }

    fn picture(&self, thumb: Option<&Thumb>, alt: &str, caption: &Markup) -> Markup {
        let title = thumb.map_or(String::new(), |thumb| {
            let source = self.sources.get(thumb.source).map_or("", |name| name);
            format!("{source}, frame {}", thumb.frame)
        });
        figure(thumb.map(|thumb| &*thumb.jpeg), alt, &title, caption)
    }

    /// A time of the stream, and of the clock if that matters.
    fn moment(&self, moment: Moment) -> Markup {
        html! {
            (Clock(moment.stream))
            @if self.run.live { " " small { (second(moment.time)) " UTC" } }
        }
    }

    /// The end of the time axis, which begins at 0.
    fn whole(&self) -> Duration {
        let ends = self.persons.iter().filter_map(|row| row.present.last());
        ends.map(|[_, end]| *end).max().unwrap_or_default()
    }

    fn timeline(&self, present: &[[Duration; 2]]) -> Markup {
        const WIDTH: f64 = 1000.0;
        let axis = Axis::new([0.0, self.whole().as_secs_f64()], [0.0, WIDTH]);
        let bars = present.iter().map(|times| {
            let [from, to] = times.map(|time| axis.at(time.as_secs_f64()));
            let left = from.min(WIDTH - 3.0);
            format!("M{left} 0H{}V10H{left}z", to.max(left + 3.0))
        });
        html! {
            svg.time viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="When the person was there" {
                path.ground d="M0 0H1000V10H0z" {}
                path.own d=(bars.collect::<String>()) {}
            }
        }
    }

    /// A decision and what it nearly was, side by side.
    fn pair(&self, doubt: &Doubt, other: Option<&Thumb>) -> Markup {
        let Doubt {
            identity,
            rival,
            rival_similarity,
            margin,
            thumb,
            ..
        } = doubt;
        html! {
            article.card {
                div.strip.pair {
                    (self.picture(Some(thumb), &format!("crop that was taken for {identity}"), &html! { bdi { (identity) } b { (decided(thumb)) } }))
                    (self.picture(other, rival, &html! { bdi { (rival) } b { (fixed((*rival_similarity).into(), 2)) } }))
                }
                p {
                    b { (fixed((*margin).into(), 3)) }
                    (if thumb.similarity.is_some() { " between them " } else { " below the threshold " })
                    small { "at " (Clock(thumb.stream_time)) }
                }
            }
        }
    }

    /// Both histograms of the run on one axis, with the threshold.
    fn similarities(&self, range: [f64; 2]) -> Markup {
        let x = Axis::new(range, [20.0, 620.0]);
        let y = Axis::new([0.0, 1.0], [174.0, 24.0]);
        let bars = [174.0, 150.0];
        let threshold = f64::from(self.run.threshold);
        html! {
            section {
                h2 { "Similarities" }
                p.quiet {
                    span.key {} " to the identity that was recognised, " span.key.other {}
                    " to the most similar other one, each to its own scale; heights are square roots. The further the two are apart, the more certain the decisions."
                }
                div.card {
                    (drawing("large", [640.0, 214.0], "Histograms of the similarities of the run", &html! {
                        (self.other.bars("other", x, bars, |_| true))
                        (self.own.bars("own", x, bars, |_| true))
                        path.limit d=(format!("M{} 24V174", x.at(threshold))) {}
                        text.ink x=(x.at(threshold)) y="16" { "threshold " (fixed(threshold, 2)) }
                        (Plot { x, y }.axes([6.0, 0.0], "cosine similarity"))
                    }))
                }
            }
        }
    }

    /// The axis of histograms: all their similarities and the threshold, to a tenth; none without
    /// similarities.
    fn similarity_range(&self, of: &[Histogram<'_>]) -> Option<[f64; 2]> {
        let threshold = f64::from(self.run.threshold);
        let found = of.iter().filter_map(Histogram::range);
        let all = found.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]);
        // Sums of bins are a little off their tenths.
        all.map(|[low, high]| {
            [
                (low.min(threshold) * 10.0 + 1e-6).floor() / 10.0,
                (high.max(threshold) * 10.0 - 1e-6).ceil() / 10.0,
            ]
        })
    }
}

/// What was decided on a crop: the similarity, or that the person is new.
fn decided(thumb: &Thumb) -> String {
    let otherwise = if thumb.new { "new" } else { "" };
    thumb.similarity.map_or(otherwise.to_owned(), |similarity| {
        fixed(similarity.into(), 2)
    })
}

/// A few sources by name, many by number.
fn sources(sources: &[String]) -> String {
    match sources {
        [first, rest @ ..] if rest.len() > 2 => format!("{first} and {} more sources", rest.len()),
        few => few.join(", "),
    }
}

/// A time of the clock, UTC, to the second.
fn second(millis: u64) -> String {
    let time = utc(millis);
    format!("{} {}", &time[..10], &time[11..19])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_clock() {
        assert_eq!(second(0), "1970-01-01 00:00:00");
        assert_eq!(second(u64::MAX), "9999-12-31 23:59:59");
    }
}
