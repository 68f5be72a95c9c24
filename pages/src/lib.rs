//! HTML pages and SVG pictures of both programs, made of `maud` markup.
//!
//! A [`Page`] is one file that can be sent by mail: style and pictures inside, nothing fetched, no
//! script, light or dark, readable on a phone and on paper. `maud` escapes text; a page also makes all
//! of it printable, whatever its author wrote. [`chart`] has axes and histograms.

pub mod chart;
mod number;

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

use base64ct::{Base64, Encoding};
use maud::{Markup, html};

pub use self::number::{Clock, Count, Thousands};

/// Makes text fit to be shown: no control characters, no passwords. The programs pass
/// `cli::printable`.
pub type Printable = fn(&str) -> Cow<'_, str>;

/// Rules of the charts, in a page and in an SVG of its own.
const CHART_STYLE: &str = include_str!("chart.css");
const PAGE_STYLE: &str = include_str!("page.css");

/// What a page begins with.
#[derive(Debug, Clone, Default)]
pub struct Header<'a> {
    /// The headline.
    pub title: &'a str,
    /// What the page is about, such as the name of a file.
    pub subject: String,
    /// Warnings.
    pub alerts: Vec<Markup>,
    /// The main numbers, each with what it counts.
    pub tiles: Vec<(String, &'a str)>,
    /// Names and values.
    pub facts: Vec<(&'a str, String)>,
}

/// A page that is written part by part, so that a long one is never in memory as a whole.
#[derive(Debug)]
pub struct Page<W> {
    out: W,
    printable: Printable,
}

impl<W: Write> Page<W> {
    /// Writes everything up to the first section.
    ///
    /// # Errors
    /// Those of `out`, as for all methods.
    pub fn new(out: W, printable: Printable, header: &Header<'_>) -> io::Result<Self> {
        let Header {
            title,
            subject,
            alerts,
            tiles,
            facts: known,
        } = header;
        let mut page = Self { out, printable };
        // A browser that is told not to fetch anything does not, whatever a name contains.
        page.out.write_all(
            br#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<style>"#,
        )?;
        page.out.write_all(CHART_STYLE.as_bytes())?;
        page.out.write_all(PAGE_STYLE.as_bytes())?;
        page.out.write_all(b"</style>")?;
        page.put(&html! {
            title { (title) @if !subject.is_empty() { ": " (subject) } }
        })?;
        page.out.write_all(b"</head><body>")?;
        page.put(&html! {
            header {
                h1 { (title) }
                @if !subject.is_empty() { p.subject { bdi { (subject) } } }
                @for alert in alerts { p.alert { (alert) } }
                div.tiles {
                    @for (number, what) in tiles { p.tile { b { (number) } " " span { (what) } } }
                }
                (facts(known.iter().map(|(name, value)| (*name, text(value)))))
            }
        })?;
        page.out.write_all(b"<main>")?;
        Ok(page)
    }

    /// Writes a section. `class` says how its parts are laid out: `cards` puts cards side by side,
    /// `crops` small pictures, nothing puts them one below the other.
    ///
    /// # Errors
    /// As [`Page::new`].
    pub fn section(
        &mut self,
        title: &str,
        note: &Markup,
        class: &str,
        parts: impl IntoIterator<Item = Markup>,
    ) -> io::Result<()> {
        self.out.write_all(b"<section>")?;
        self.put(&html! { h2 { (title) } p.quiet { (note) } })?;
        write!(self.out, r#"<div class="{class}">"#)?;
        for part in parts {
            self.put(&part)?;
        }
        self.out.write_all(b"</div></section>")
    }

    /// Writes the end, with `footer` as the last sentence.
    ///
    /// # Errors
    /// As [`Page::new`].
    pub fn end(mut self, footer: &str) -> io::Result<()> {
        self.out.write_all(b"</main>")?;
        self.put(&html! { footer { p { (footer) } } })?;
        self.out.write_all(b"</body></html>\n")?;
        self.out.flush()
    }

    fn put(&mut self, markup: &Markup) -> io::Result<()> {
        put(&mut self.out, self.printable, &markup.0)
    }
}

/// What stands at the borders of texts and attributes, and never in them: `maud` escapes it there.
const BORDERS: [char; 3] = ['<', '>', '"'];

/// Writes markup with its texts made printable.
fn put(out: &mut impl Write, printable: Printable, markup: &str) -> io::Result<()> {
    for part in markup.split_inclusive(BORDERS) {
        let text = part.trim_end_matches(BORDERS);
        out.write_all(printable(text).as_bytes())?;
        out.write_all(&part.as_bytes()[text.len()..])?;
    }
    Ok(())
}

/// An SVG file of `width` x `height` pixels, with the styles of [`chart`].
#[must_use]
pub fn svg(printable: Printable, title: &str, [width, height]: [f64; 2], body: &Markup) -> String {
    let [width, height] = [width.ceil(), height.ceil()];
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">"#
    )
    .into_bytes();
    let markup = html! { title { (title) } rect.paper width="100%" height="100%" {} (body) };
    let style = format!("<style>{CHART_STYLE}</style>");
    out.extend(style.bytes());
    put(&mut out, printable, &markup.0).expect("a Vec takes all");
    out.extend(b"</svg>\n");
    String::from_utf8(out).expect("made of strings")
}

/// A value as text.
pub fn text(value: impl Display) -> Markup {
    html! { (value.to_string()) }
}

/// A value with a remark in small letters below it.
pub fn noted(value: impl Display, remark: impl Display) -> Markup {
    html! { (value.to_string()) " " small { (remark.to_string()) } }
}

/// Names and values, side by side.
pub fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, Markup)>) -> Markup {
    html! {
        dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
    }
}

/// A table; the first cell of a row is the row's header. On a narrow screen each row becomes a list
/// with the columns' names. `name` is read out, not shown.
pub fn table<R: IntoIterator<Item = Markup>>(
    name: &str,
    columns: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> Markup {
    html! {
        div.card.scroll tabindex="0" role="region" aria-label=(name) {
            table {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (at, (cell, column)) in row.into_iter().zip(columns).enumerate() {
                                @if at == 0 {
                                    th scope="row" { (cell) }
                                } @else {
                                    td data-column=(column) { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A picture with a caption; without a picture, a box that says so.
pub fn figure(jpeg: Option<&[u8]>, alt: &str, title: &str, caption: &Markup) -> Markup {
    html! {
        figure {
            @match jpeg {
                Some(jpeg) => img alt=(alt) title=[(!title.is_empty()).then_some(title)] src=(data_uri(jpeg));,
                None => div.absent { "no picture" },
            }
            figcaption { (caption) }
        }
    }
}

/// A JPEG as an address that HTML and SVG can hold.
#[must_use]
pub fn data_uri(jpeg: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", Base64::encode_string(jpeg))
}

#[cfg(test)]
mod tests;
