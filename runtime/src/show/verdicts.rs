//! What was decided of each visit beside what is true, as one HTML file: failures first, and marked.
//!
//! Whoever calls knows the truth and judges; here it is shown, with the crops that the decisions rest
//! on, so that a person can see for themselves whether a failure could be forgiven.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use cli::page::{Escaped, HEAD, STYLE};

use super::html::{Clock, base64};
use super::report::thumbnail;
use super::{Result, check, write_whole};

/// A page.
#[derive(Debug, Clone, Default)]
pub struct Page<'a> {
    /// Its headline.
    pub title: &'a str,
    /// What everybody has to know before they read on.
    pub notice: &'a str,
    /// The figures in short: a number, and what it counts.
    pub tiles: Vec<(String, &'a str)>,
    /// Names and values.
    pub facts: Vec<(&'a str, String)>,
    /// The first row is the header.
    pub table: Vec<Vec<String>>,
    /// What is to be said below the table.
    pub below: String,
    /// In the order in which they began.
    pub visits: Vec<Visit>,
}

/// A visit, judged.
#[derive(Debug, Clone, Default)]
pub struct Visit {
    /// What is true: who it is, and for which time.
    pub truth: String,
    /// From when to when it lasted, by the clip.
    pub when: [Duration; 2],
    /// What was said of it.
    pub said: String,
    /// Whether that is right.
    pub right: bool,
    /// What is to be said of it in a word, such as `missed`.
    pub verdict: String,
    /// What others would have said, and whether that is right.
    pub others: Vec<(String, bool)>,
    /// The crops that were embedded, by time.
    pub crops: Vec<Crop>,
    /// Of a mistake: somebody whom they were taken for, and a crop of theirs.
    pub mistaken_for: Option<(String, Crop)>,
}

/// A crop as a small picture.
#[derive(Debug, Clone)]
pub struct Crop {
    jpeg: Vec<u8>,
    at: Duration,
}

impl Crop {
    /// A picture of `rgb`, `[height, width, 3]` u8, taken `at` a time of the clip.
    ///
    /// # Errors
    /// [`super::Error::Argument`] if the sizes do not fit together.
    pub fn new(rgb: &[u8], width: usize, height: usize, at: Duration) -> Result<Self> {
        check(rgb, [width, height])?;
        let jpeg = thumbnail(rgb, [width, height]);
        Ok(Self { jpeg, at })
    }
}

impl Page<'_> {
    /// Writes the page to `path`, whole or not at all; what is there is replaced.
    ///
    /// # Errors
    /// [`super::Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        write_whole(path, |file| {
            let mut out = io::BufWriter::new(file);
            self.write_to(&mut out)?;
            out.flush()
        })
    }

    fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let title = Escaped(self.title);
        out.write_all(HEAD.as_bytes())?;
        write!(
            out,
            r#"<title>{title}</title><style>{STYLE}{}</style></head><body><main><header><h1>{title}</h1><p class="alert">{}</p><div class="tiles">"#,
            include_str!("verdicts.css"),
            Escaped(self.notice)
        )?;
        for (number, what) in &self.tiles {
            write!(
                out,
                r#"<div class="tile"><b>{}</b><span>{}</span></div>"#,
                Escaped(number),
                Escaped(what)
            )?;
        }
        write!(out, r#"</div><dl class="facts">"#)?;
        for (name, value) in &self.facts {
            write!(
                out,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                Escaped(name),
                Escaped(value)
            )?;
        }
        write!(out, "</dl></header><section><h2>Beside others</h2>")?;
        write!(out, r#"<div class="card scroll"><table>"#)?;
        for (at, row) in self.table.iter().enumerate() {
            let cell = if at == 0 { "th" } else { "td" };
            write!(out, "<tr>")?;
            for text in row {
                write!(out, "<{cell}>{}</{cell}>", Escaped(text))?;
            }
            write!(out, "</tr>")?;
        }
        write!(
            out,
            r#"</table></div><p class="quiet">{}</p></section>"#,
            Escaped(&self.below)
        )?;
        let (right, wrong): (Vec<&Visit>, Vec<&Visit>) =
            self.visits.iter().partition(|visit| visit.right);
        write!(out, "<section><h2>What went wrong</h2>")?;
        match wrong.is_empty() {
            true => write!(out, r#"<p class="quiet">Nothing, this time.</p>"#)?,
            false => grid(&wrong, out)?,
        }
        write!(out, "</section><section><h2>What went right</h2>")?;
        grid(&right, out)?;
        writeln!(
            out,
            "</section><footer>Made by reid {}. Nobody here is a real person.</footer></main></body></html>",
            env!("CARGO_PKG_VERSION")
        )
    }
}

fn grid(visits: &[&Visit], out: &mut impl Write) -> io::Result<()> {
    write!(out, r#"<div class="visits">"#)?;
    for visit in visits {
        card(visit, out)?;
    }
    write!(out, "</div>")
}

fn card(visit: &Visit, out: &mut impl Write) -> io::Result<()> {
    let class = |right: bool| if right { "right" } else { "wrong" };
    write!(
        out,
        r#"<article class="card visit {}"><h3>{}<span class="badge {0}">{}</span></h3><small>{} to {}</small><div class="strip">"#,
        class(visit.right),
        Escaped(&visit.truth),
        Escaped(&visit.verdict),
        Clock(visit.when[0]),
        Clock(visit.when[1]),
    )?;
    for crop in &visit.crops {
        picture(crop, &visit.truth, "", &Clock(crop.at).to_string(), out)?;
    }
    if let Some((name, crop)) = &visit.mistaken_for {
        picture(crop, name, "other", name, out)?;
    }
    write!(out, "</div><p>{}</p>", Escaped(&visit.said))?;
    for (said, right) in &visit.others {
        write!(
            out,
            r#"<p><small>{} <span class="badge {}">{}</span></small></p>"#,
            Escaped(said),
            class(*right),
            class(*right)
        )?;
    }
    write!(out, "</article>")
}

fn picture(
    crop: &Crop,
    alt: &str,
    class: &str,
    caption: &str,
    out: &mut impl Write,
) -> io::Result<()> {
    write!(
        out,
        r#"<figure class="{class}"><img alt="{}" src="data:image/jpeg;base64,"#,
        Escaped(alt)
    )?;
    base64(&crop.jpeg, out)?;
    write!(
        out,
        r#""><figcaption>{}</figcaption></figure>"#,
        Escaped(caption)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_first_and_nothing_is_markup() {
        let crop = Crop::new(&[90; 8 * 16 * 3], 8, 16, Duration::from_secs(2)).unwrap();
        let visit = |truth: &str, right: bool| Visit {
            truth: truth.to_owned(),
            right,
            verdict: if right { "found" } else { "missed" }.to_owned(),
            said: "<b>said</b>".to_owned(),
            others: vec![("colours: nothing".to_owned(), !right)],
            crops: vec![crop.clone(), crop.clone()],
            mistaken_for: (!right).then(|| ("somebody else".to_owned(), crop.clone())),
            ..Visit::default()
        };
        let page = Page {
            title: "Who & who",
            notice: "only rendered people",
            tiles: vec![("1 of 2".to_owned(), "returns found")],
            facts: vec![("Threshold", "0.5".to_owned())],
            table: vec![vec!["what".to_owned()], vec!["network".to_owned()]],
            below: "below".to_owned(),
            visits: vec![visit("first", true), visit("second", false)],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.html");
        page.write(&path).unwrap();
        let html = std::fs::read_to_string(&path).unwrap();
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text}"));
        assert!(at("only rendered people") < at("What went wrong"));
        assert!(at("What went wrong") < at(">second<"));
        assert!(at(">second<") < at("What went right"));
        assert!(at("What went right") < at(">first<"));
        assert!(at("somebody else") < at("What went right"));
        assert!(html.contains("Who &amp; who") && !html.contains("<b>said"));
        assert!(!html.contains("http:") && !html.contains("<script"));
        assert_eq!(html.matches("data:image/jpeg").count(), 5);

        let none = Page::default();
        none.write(&path).unwrap();
        let html = std::fs::read_to_string(&path).unwrap();
        assert!(html.contains("Nothing, this time."));
        assert!(Crop::new(&[0; 3], 2, 2, Duration::ZERO).is_err());
    }
}
