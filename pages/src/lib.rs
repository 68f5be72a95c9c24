//! HTML pages and SVG pictures of both programs.
//!
//! In: `maud` markup and numbers for a [`chart`]. Out: a [`Page`], one file with style and pictures
//! inside: nothing is loaded from elsewhere, no script, light or dark, readable on a phone and on
//! paper. `maud` escapes text, and a page makes all of it printable.

pub mod chart;
mod number;

use std::borrow::Cow;
use std::io::{self, Write};

use base64ct::{Base64, Encoding};
use maud::{Markup, html};

pub use self::number::{Clock, Count, Thousands, fixed, percent};

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
    pub alerts: Vec<String>,
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

/// A browser that is told not to fetch anything does not, whatever a name contains.
const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
"#;

impl<W: Write> Page<W> {
    /// Writes everything up to the first section.
    ///
    /// # Errors
    /// Those of `out`, as for all methods.
    pub fn new(mut out: W, printable: Printable, header: &Header<'_>) -> io::Result<Self> {
        write!(out, "{HEAD}<style>{CHART_STYLE}{PAGE_STYLE}</style>")?;
        let mut page = Self { out, printable };
        let Header { title, subject, .. } = header;
        page.put(&html! { title { (title) @if !subject.is_empty() { ": " (subject) } } })?;
        page.out.write_all(b"</head><body>")?;
        page.put(&html! {
            header {
                h1 { (title) }
                @if !subject.is_empty() { p.subject { bdi { (subject) } } }
                @for alert in &header.alerts { p.alert { (alert) } }
                div.tiles {
                    @for (number, what) in &header.tiles { p.tile { b { (number) } " " span { (what) } } }
                }
                dl.facts {
                    @for (name, value) in &header.facts { div { dt { (name) } dd { (value) } } }
                }
            }
        })?;
        page.out.write_all(b"<main>")?;
        Ok(page)
    }

    /// Writes a section of many parts below a title and, if not empty, a note. `class` says how they are laid out: `cards` puts cards side by
    /// side, nothing puts them one below the other.
    ///
    /// # Errors
    /// As [`Page::new`].
    pub fn section(
        &mut self,
        title: &str,
        note: &str,
        class: &str,
        parts: impl IntoIterator<Item = Markup>,
    ) -> io::Result<()> {
        self.out.write_all(b"<section>")?;
        self.put(&html! { h2 { (title) } @if !note.is_empty() { p.quiet { (note) } } })?;
        write!(self.out, r#"<div class="{class}">"#)?;
        for part in parts {
            self.put(&part)?;
        }
        self.out.write_all(b"</div></section>")
    }

    /// Writes a part.
    ///
    /// # Errors
    /// As [`Page::new`].
    pub fn put(&mut self, part: &Markup) -> io::Result<()> {
        put(&mut self.out, self.printable, &part.0)
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
///
/// # Panics
/// Never: memory takes the file, and it is UTF-8.
#[must_use]
pub fn svg(printable: Printable, title: &str, [width, height]: [f64; 2], body: &Markup) -> String {
    let [width, height] = [width.ceil(), height.ceil()];
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"><style>{CHART_STYLE}</style>"#
    )
    .into_bytes();
    let body = html! { title { (title) } rect.paper width="100%" height="100%" {} (body) };
    put(&mut out, printable, &body.0).expect("a Vec takes all");
    out.extend(b"</svg>\n");
    String::from_utf8(out).expect("made of strings")
}

/// A table of `rows`, each a `tr` with a `th` and a `td` for each further column, 9 columns at most.
/// On a narrow screen a row becomes a list with the names of the columns. `name` is read out.
pub fn table(name: &str, columns: &[&str], rows: &Markup) -> Markup {
    // For the style to show in each cell; quotes would end a text of CSS.
    let names = (1..)
        .zip(columns)
        .map(|(at, column)| format!("--c{at}:'{column}';"));
    html! {
        div.card.scroll tabindex="0" role="region" aria-label=(name) {
            table style=(names.collect::<String>()) {
                thead { tr { @for column in columns { th { (column) } } } }
                tbody { (rows) }
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
