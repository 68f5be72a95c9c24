//! The page of a [`Report`]: HTML with its style and its pictures inside, and no script.

use std::io::{self, Write};
use std::time::Duration;

use cli::page::{Escaped, HEAD, STYLE, Thousands};

use super::strip::Thumb;
use super::{Doubt, MAX_OTHERS, Person, Report, Totals, chart};
use crate::show::html::{Clock, base64};
use crate::show::{colour, utc};

/// Writes the page.
pub(super) fn write(report: &Report, totals: &Totals<'_>, out: &mut impl Write) -> io::Result<()> {
    let Report { run, people, .. } = report;
    // In the order in which they came.
    let mut rows: Vec<(&str, &Person)> = people.iter().map(|(name, p)| (&**name, p)).collect();
    rows.sort_by_key(|(_, person)| (person.first.time, person.first.stream));
    let whole = people.values().map(|person| person.timeline.end()).max();
    let whole = whole.unwrap_or_default();

    out.write_all(HEAD.as_bytes())?;
    write!(
        out,
        "<title>Who was seen: {}</title><style>{STYLE}{}</style></head><body><main>",
        Escaped(&sources(report)),
        include_str!("style.css")
    )?;
    header(report, totals, out)?;
    if let Some(error) = totals.error {
        write!(
            out,
            r#"<p class="alert"><strong>The run ended early.</strong> {}</p>"#,
            Escaped(error)
        )?;
    }

    write!(out, "<section><h2>People</h2>")?;
    if rows.is_empty() {
        write!(out, r#"<p class="quiet">Nobody was seen.</p>"#)?;
    } else {
        write!(
            out,
            r#"<p class="quiet">In the order in which they came. Below each crop: when, and how similar to what was known by then. The bar shows when each was there, from 0:00 to {} of its source; times of the clock are UTC.</p>"#,
            Clock(whole)
        )?;
    }
    for (name, person) in &rows {
        row(report, name, person, whole, out)?;
    }
    if !report.others.is_empty() {
        let more = if report.others.len() < MAX_OTHERS {
            ""
        } else {
            "more than "
        };
        write!(
            out,
            r#"<p class="quiet">{more}{} more with {} are not shown.</p>"#,
            Count(report.others.len() as u64, "person", "people"),
            Count(report.others_observations, "observation", "observations"),
        )?;
    }
    write!(out, "</section>")?;

    if !report.doubts.is_empty() {
        write!(
            out,
            r#"<section><h2>Close decisions</h2><p class="quiet">Where somebody else was almost as similar, or somebody new almost known. Look at the pairs: the same person twice means that the threshold is too high or that two rows belong together.</p><div class="doubts">"#
        )?;
        for doubt in &report.doubts {
            pair(report, doubt, out)?;
        }
        write!(out, "</div></section>")?;
    }

    if report.own.total() + report.rival.total() > 0 {
        write!(
            out,
            r#"<section><h2>Similarities</h2><p class="quiet"><span class="key own"></span> to the identity that was recognised <span class="key rival"></span> to the most similar other one, each to its own scale. The further the two are apart, the surer the decisions.</p><div class="card">"#
        )?;
        chart::large(out, &report.own, &report.rival, run.threshold)?;
        write!(out, "</div></section>")?;
    }
    writeln!(
        out,
        "<footer>Made by reid {}. This file contains pictures of people: keep and pass it on accordingly.</footer></main></body></html>",
        env!("CARGO_PKG_VERSION")
    )
}

/// What was watched, with what, and what came of it in numbers.
fn header(report: &Report, totals: &Totals<'_>, out: &mut impl Write) -> io::Result<()> {
    let Report { run, people, .. } = report;
    let new = people.values().filter(|person| person.new).count();
    write!(
        out,
        r#"<header><h1>Who was seen</h1><p class="source"><bdi>{}</bdi></p><div class="tiles">"#,
        Escaped(&sources(report))
    )?;
    let all = people.len() + report.others.len();
    let tiles = [
        (all as u64, "people", "person"),
        (new as u64, "of them new", "of them new"),
        (report.observations, "observations", "observation"),
        (totals.frames, "frames", "frame"),
    ];
    for (count, many, one) in tiles {
        let what = if count == 1 { one } else { many };
        write!(
            out,
            r#"<div class="tile"><b>{}</b><span>{what}</span></div>"#,
            Thousands(count)
        )?;
    }
    write!(
        out,
        r#"<div class="tile"><b>{}</b><span>duration</span></div></div><dl class="facts">"#,
        Clock(totals.elapsed)
    )?;
    let mut fact = |name: &str, value: &str| {
        write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(value))
    };
    fact("Begun", &format!("{} UTC", minute(run.started)))?;
    fact("Model", &run.model)?;
    let space: String = run.space.chars().take(16).collect();
    let dots = if space.len() < run.space.len() {
        "…"
    } else {
        ""
    };
    fact("Embedding space", &format!("{space}{dots}"))?;
    fact("Threshold", &format!("{:.3}", run.threshold))?;
    let undecided = (report.undecided, "observations were never decided");
    let passed: Vec<String> = totals
        .passed_over
        .iter()
        .chain([&undecided])
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", Thousands(*count)))
        .collect();
    let passed = match passed.is_empty() {
        true => "nothing".to_owned(),
        false => passed.join("; "),
    };
    fact("Passed over", &passed)?;
    write!(out, "</dl></header>")
}

/// One identity.
fn row(
    report: &Report,
    name: &str,
    person: &Person,
    whole: Duration,
    out: &mut impl Write,
) -> io::Result<()> {
    let state = if person.new { "new" } else { "known" };
    write!(
        out,
        r#"<article class="card person" style="--own:{}"><h3><i class="dot"></i><bdi>{}</bdi><span class="badge {state}">{state}</span></h3><div class="strip">"#,
        Hex(colour(name)),
        Escaped(name)
    )?;
    for thumb in person.strip.thumbs() {
        let alt = format!("{name} at {}", Clock(thumb.stream_time));
        write!(out, "<figure>")?;
        image(report, thumb, &alt, out)?;
        write!(out, "<figcaption>{}", Clock(thumb.stream_time))?;
        match thumb.similarity {
            Some(similarity) => write!(out, "<b>{similarity:.2}</b>")?,
            None if thumb.new => write!(out, "<b>new</b>")?,
            None => {}
        }
        write!(out, "</figcaption></figure>")?;
    }
    write!(
        out,
        r#"</div><dl class="facts"><div><dt>Seen</dt><dd>{} in {}</dd></div><div><dt>First</dt><dd>{} <small>{}</small></dd></div><div><dt>Last</dt><dd>{} <small>{}</small></dd></div>"#,
        Count(person.observations, "time", "times"),
        Count(person.visits, "visit", "visits"),
        Clock(person.first.stream),
        minute(person.first.time),
        Clock(person.last.stream),
        minute(person.last.time),
    )?;
    if let Some(mean) = person.mean() {
        write!(
            out,
            r#"<div><dt>Similarity</dt><dd>{mean:.2} <small>mean, least {:.2}</small></dd></div>"#,
            person.least
        )?;
    }
    if let Some(rival) = &person.rival {
        write!(
            out,
            r#"<div><dt>Closest other</dt><dd>{:.2}, {:.2} away <small><bdi>{}</bdi></small></dd></div>"#,
            rival.similarity,
            rival.margin,
            Escaped(&rival.name)
        )?;
    }
    if person.own.total() > 0 {
        write!(
            out,
            r#"<div class="chart"><dt>Similarities, 0 to 1</dt><dd>"#
        )?;
        chart::small(out, &person.own, report.run.threshold)?;
        write!(out, "</dd></div>")?;
    }
    write!(out, "</dl>")?;
    person.timeline.draw(out, whole)?;
    write!(out, "</article>")
}

/// A decision and what it nearly was, side by side.
fn pair(report: &Report, doubt: &Doubt, out: &mut impl Write) -> io::Result<()> {
    let other = report.people.get(&doubt.rival);
    write!(
        out,
        r#"<article class="card doubt"><div class="strip"><figure>"#
    )?;
    let alt = format!("the crop that was taken for {}", doubt.identity);
    image(report, &doubt.thumb, &alt, out)?;
    let verdict = match doubt.similarity {
        Some(similarity) => format!("{similarity:.2}"),
        None => "new".to_owned(),
    };
    write!(
        out,
        r#"<figcaption><bdi>{}</bdi><b>{verdict}</b></figcaption></figure><figure>"#,
        Escaped(&doubt.identity)
    )?;
    match other.and_then(|person| person.strip.best()) {
        Some(thumb) => image(report, thumb, &doubt.rival, out)?,
        None => write!(out, r#"<div class="absent">not seen in this run</div>"#)?,
    }
    write!(
        out,
        r#"<figcaption><bdi>{}</bdi><b>{:.2}</b></figcaption></figure></div><p><b>{:.3}</b> {} <small>at {}</small></p></article>"#,
        Escaped(&doubt.rival),
        doubt.rival_similarity,
        doubt.margin,
        match doubt.similarity {
            Some(_) => "between them",
            None => "below the threshold",
        },
        Clock(doubt.thumb.stream_time)
    )
}

fn image(report: &Report, thumb: &Thumb, alt: &str, out: &mut impl Write) -> io::Result<()> {
    let source = report.sources.get(thumb.source).map_or("", |name| name);
    write!(
        out,
        r#"<img alt="{}" title="{}, frame {}" src="data:image/jpeg;base64,"#,
        Escaped(alt),
        Escaped(source),
        thumb.frame
    )?;
    base64(&thumb.jpeg, out)?;
    write!(out, r#"">"#)
}

/// A few sources by name, many by number.
fn sources(report: &Report) -> String {
    match report.run.sources.as_slice() {
        few @ ([] | [_] | [_, _] | [_, _, _]) => few.join(", "),
        [first, rest @ ..] => format!("{first} and {} more sources", rest.len()),
    }
}

/// A time of the clock, UTC, to the second.
fn minute(millis: u64) -> String {
    let time = utc(millis);
    format!("{} {}", &time[..10], &time[11..19])
}

/// `1 time`, `2 times`.
struct Count<'a>(u64, &'a str, &'a str);

impl std::fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.0 == 1 { self.1 } else { self.2 };
        write!(f, "{} {what}", Thousands(self.0))
    }
}

/// `#rrggbb`.
struct Hex([u8; 3]);

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        let clock = |millis: u64| Clock(Duration::from_millis(millis)).to_string();
        let cases = [
            (clock(0), "0:00.0"),
            (clock(7_590), "0:07.5"),
            (clock(59_999), "0:59.9"),
            (clock(754_000), "12:34"),
            (clock(3_723_000), "1:02:03"),
            (Clock(Duration::MAX).to_string(), "5124095576030431:00:15"),
            (Count(1, "visit", "visits").to_string(), "1 visit"),
            (Count(0, "visit", "visits").to_string(), "0 visits"),
            (Hex([1, 128, 255]).to_string(), "#0180ff"),
            (minute(0), "1970-01-01 00:00:00"),
            (minute(u64::MAX), "9999-12-31 23:59:59"),
        ];
        for (found, wanted) in cases {
            assert_eq!(found, wanted);
        }
    }
}
