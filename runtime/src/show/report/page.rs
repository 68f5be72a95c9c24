//! The page of a run: plain data goes in, HTML comes out.

use std::io::{self, Write};
use std::time::Duration;

use maud::{Markup, html};
use pages::chart::{Axis, Histogram, Plot, drawing};
use pages::{Clock, Count, Header, Page, Thousands, facts, figure, noted, text};

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
    /// The end of the time axis, which begins at 0.
    pub(super) whole: Duration,
    /// In the order of their appearance.
    pub(super) persons: Vec<PersonRow<'a>>,
    /// Persons without a row, and their observations.
    pub(super) left_out: [u64; 2],
    /// Close decisions, the closest first.
    pub(super) close: Vec<ClosePair<'a>>,
    /// Similarities to the identity that was recognised, of the whole run.
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
    pub(super) similarity: Option<[f32; 2]>,
    /// The other identity that it was closest to be taken for.
    pub(super) closest: Option<&'a Rival>,
    pub(super) crops: &'a [Thumb],
    pub(super) similarities: Histogram<'a>,
    /// From when to when it was there.
    pub(super) present: Vec<[Duration; 2]>,
}

/// A decision that was nearly another one.
#[derive(Debug)]
pub(super) struct ClosePair<'a> {
    pub(super) doubt: &'a Doubt,
    /// A crop of the other identity.
    pub(super) other: Option<&'a Thumb>,
}

impl RunPage<'_> {
    /// Writes the page, a person at a time.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut page = Page::new(out, cli::printable, &self.header())?;
        let note = match self.persons.is_empty() {
            true => text("No person was seen."),
            false => text(format_args!(
                "In the order of their appearance. Below each crop: the time of the stream, and the similarity to what was known by then. The bar shows when the person was there, from 0:00 to {}.{}",
                Clock(self.whole),
                if self.run.live {
                    " Times of the clock are UTC."
                } else {
                    ""
                }
            )),
        };
        let [persons, observations] = self.left_out;
        let at_least = if persons < MAX_OTHERS as u64 {
            ""
        } else {
            "at least "
        };
        let left_out = (persons > 0).then(|| {
            let [persons, observations] = [Count(persons, "more person"), Count(observations, "observation")];
            html! { p.quiet { (at_least) (text(persons)) " with " (text(observations)) " not shown." } }
        });
        let rows = self.persons.iter().map(|row| self.person(row));
        page.section("Persons", &note, "", rows.chain(left_out))?;
        if !self.close.is_empty() {
            let note = text(
                "Another identity was almost as similar, or a new person almost known. If a pair shows one person twice, the threshold is too high, or the two identities have to be merged.",
            );
            page.section(
                "Close decisions",
                &note,
                "cards",
                self.close.iter().map(|pair| self.pair(pair)),
            )?;
        }
        if let Some(axis) = self.similarity_axis([20.0, 620.0]) {
            let note = html! {
                span.key {} " to the identity that was recognised, " span.key.other {}
                " to the most similar other one, each to its own scale; heights are square roots. The further the two are apart, the more certain the decisions."
            };
            page.section("Similarities", &note, "card", [self.similarities(axis)])?;
        }
        page.end(concat!(
            "Made by reid ",
            env!("CARGO_PKG_VERSION"),
            ". This file contains pictures of people: keep and pass it on accordingly."
        ))
    }

    fn header(&self) -> Header<'_> {
        let Self { run, totals, .. } = self;
        let alert = |error| html! { strong { "The run ended early." } " " (error) };
        let undecided = (totals.undecided, "observation without a decided identity");
        let passed: Vec<String> = totals
            .passed_over
            .iter()
            .chain([&undecided])
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} × {what}", Thousands(*count)))
            .collect();
        let passed = if passed.is_empty() {
            "nothing".to_owned()
        } else {
            passed.join("; ")
        };
        let mut space: String = run.space.chars().take(16).collect();
        if space.len() < run.space.len() {
            space.push('…');
        }
        let tile = |count: u64, what: &'static str| (Thousands(count).to_string(), what);
        Header {
            title: "Persons seen",
            subject: sources(&run.sources),
            alerts: totals.error.map(alert).into_iter().collect(),
            tiles: vec![
                tile(totals.persons, "persons"),
                tile(totals.new, "new"),
                tile(totals.persons.saturating_sub(totals.new), "known before"),
                tile(totals.observations, "observations"),
                tile(totals.frames, "frames"),
            ],
            facts: vec![
                ("Model", run.model.clone()),
                ("Embedding space", space),
                ("Threshold", format!("{:.3}", run.threshold)),
                ("Run started", format!("{} UTC", second(run.started))),
                ("Run took", Clock(totals.elapsed).to_string()),
                ("Passed over", passed),
            ],
        }
    }

    fn person(&self, row: &PersonRow<'_>) -> Markup {
        let [red, green, blue] = colour(row.name);
        let state = if row.new { "new" } else { "known" };
        let seen = format!(
            "{} in {}",
            Count(row.observations, "time"),
            Count(row.visits, "visit")
        );
        let mut known = vec![
            ("Seen", text(seen)),
            ("First", self.moment(row.first)),
            ("Last", self.moment(row.last)),
        ];
        if let Some([mean, least]) = row.similarity {
            let least = format!("mean, least {least:.2}");
            known.push(("Similarity", noted(format_args!("{mean:.2}"), least)));
        }
        if let Some(Rival {
            name,
            similarity,
            margin,
        }) = row.closest
        {
            let value = html! { (format_args!("{similarity:.2}, {margin:.2} away ")) small { bdi { (name) } } };
            known.push(("Closest other", value));
        }
        let range = row
            .similarities
            .range()
            .and(self.similarity_axis([0.0, 150.0]));
        let axis_name = self
            .similarity_range()
            .map(|[low, high]| format!("Similarities, {low:.1} to {high:.1}"));
        let axis_name = axis_name.unwrap_or_default();
        if let Some(axis) = range {
            let limit = axis.at(self.run.threshold.into());
            let chart = html! {
                (row.similarities.bars("own", axis, [36.0, 34.0], |_| true))
                path.limit d=(format!("M{limit} 0V36")) {}
                path.axis d="M0 36H150" {}
            };
            known.push((
                &axis_name,
                drawing("small", [150.0, 36.0], &axis_name, &chart),
            ));
        }
        html! {
            article.card {
                h3 {
                    span.dot style=(format!("background:#{red:02x}{green:02x}{blue:02x}")) {}
                    bdi { (row.name) }
                    span.badge.good[!row.new] { (state) }
                }
                div.strip { @for thumb in row.crops { (self.crop(row.name, thumb)) } }
                (facts(known))
                (self.timeline(&row.present))
            }
        }
    }

    fn crop(&self, name: &str, thumb: &Thumb) -> Markup {
        let time = Clock(thumb.stream_time);
        let caption = html! {
            (text(time)) " "
            @if let Some(similarity) = thumb.similarity { b { (format_args!("{similarity:.2}")) } }
            @else if thumb.new { b { "new" } }
        };
        self.picture(Some(thumb), &format!("{name} at {time}"), &caption)
    }

    fn picture(&self, thumb: Option<&Thumb>, alt: &str, caption: &Markup) -> Markup {
        let title = thumb.map(|thumb| {
            let source = self.sources.get(thumb.source).map_or("", |name| name);
            format!("{source}, frame {}", thumb.frame)
        });
        let jpeg = thumb.map(|thumb| &*thumb.jpeg);
        figure(jpeg, alt, title.as_deref().unwrap_or_default(), caption)
    }

    /// A time of the stream, and of the clock if that matters.
    fn moment(&self, moment: Moment) -> Markup {
        match self.run.live {
            true => noted(Clock(moment.stream), second(moment.time)),
            false => text(Clock(moment.stream)),
        }
    }

    fn timeline(&self, present: &[[Duration; 2]]) -> Markup {
        const WIDTH: f64 = 1000.0;
        let axis = Axis::new([0.0, self.whole.as_secs_f64()], [0.0, WIDTH]);
        let boxes: String = present
            .iter()
            .map(|times| {
                let [from, to] = times.map(|time| axis.at(time.as_secs_f64()));
                let left = from.min(WIDTH - 3.0);
                format!("M{left} 0H{}V10H{left}z", to.max(left + 3.0))
            })
            .collect();
        let label = "When the person was there";
        html! {
            svg.time viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(label) {
                path.ground d="M0 0H1000V10H0z" {}
                path.own d=(boxes) {}
            }
        }
    }

    /// A decision and what it nearly was, side by side.
    fn pair(&self, ClosePair { doubt, other }: &ClosePair<'_>) -> Markup {
        let decided = doubt
            .similarity
            .map_or("new".to_owned(), |similarity| format!("{similarity:.2}"));
        let caption = |name: &str, similarity: &str| html! { bdi { (name) } b { (similarity) } };
        let other_similarity = format!("{:.2}", doubt.rival_similarity);
        let difference = match doubt.similarity {
            Some(_) => "between them",
            None => "below the threshold",
        };
        html! {
            article.card {
                div.strip.pair {
                    (self.picture(Some(&doubt.thumb), &format!("crop that was taken for {}", doubt.identity), &caption(&doubt.identity, &decided)))
                    (self.picture(*other, &doubt.rival, &caption(&doubt.rival, &other_similarity)))
                }
                p { b { (format_args!("{:.3}", doubt.margin)) } " " (difference) " " small { "at " (text(Clock(doubt.thumb.stream_time))) } }
            }
        }
    }

    /// Both histograms of the run on one axis, with the threshold.
    fn similarities(&self, x: Axis) -> Markup {
        const HEIGHT: f64 = 150.0;
        let plot = Plot {
            x,
            y: Axis::new([0.0, 1.0], [HEIGHT + 24.0, 24.0]),
        };
        let bars = [HEIGHT + 24.0, HEIGHT];
        let threshold = self.run.threshold;
        let at = x.at(threshold.into());
        let body = html! {
            (self.other.bars("other", x, bars, |_| true))
            (self.own.bars("own", x, bars, |_| true))
            path.limit d=(format!("M{at} 24v{HEIGHT}")) {}
            text.ink x=(at) y="16" { (format_args!("threshold {threshold:.2}")) }
            (plot.axes([6.0, 0.0], "cosine similarity"))
        };
        drawing(
            "large",
            [640.0, HEIGHT + 64.0],
            "Histograms of the similarities of the run",
            &body,
        )
    }

    fn similarity_axis(&self, pixels: [f64; 2]) -> Option<Axis> {
        Some(Axis::new(self.similarity_range()?, pixels))
    }

    /// All similarities of the run and the threshold, to a tenth; none without similarities.
    fn similarity_range(&self) -> Option<[f64; 2]> {
        let threshold = f64::from(self.run.threshold);
        let found = [&self.own, &self.other]
            .into_iter()
            .filter_map(|histogram| histogram.range());
        let [low, high] = found.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])?;
        let tenths = [
            low.min(threshold) * 10.0 + 1e-6,
            high.max(threshold) * 10.0 - 1e-6,
        ];
        Some([tenths[0].floor() / 10.0, tenths[1].ceil() / 10.0])
    }
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
