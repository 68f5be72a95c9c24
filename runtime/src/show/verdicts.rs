//! The page of decisions about visits beside the truth: plain data goes in, one HTML file comes out,
//! with mistakes first, and with the crops that each decision rests on.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use maud::{Markup, html};
use pages::{Clock, Header, figure, table};

use super::report::thumbnail;
use super::{Result, check, write_whole};

/// A page.
#[derive(Debug, Clone, Default)]
pub struct Page<'a> {
    /// Headline, warnings, main numbers and facts.
    pub header: Header<'a>,
    /// Methods compared; the first row has the names of the columns.
    pub table: Vec<Vec<String>>,
    /// Notes on the table.
    pub below: String,
    /// In the order in which they began.
    pub visits: Vec<Visit>,
}

/// A visit, and whether its decision was right.
#[derive(Debug, Clone, Default)]
pub struct Visit {
    /// What is true: who it is, and for which time.
    pub truth: String,
    /// From when to when it lasted, by the clip.
    pub when: [Duration; 2],
    /// What was decided.
    pub decided: String,
    /// Whether that is right.
    pub right: bool,
    /// The result in a word, such as `missed`.
    pub verdict: String,
    /// Other methods, and whether each was right.
    pub others: Vec<(String, bool)>,
    /// The crops that were embedded, by time.
    pub crops: Vec<Crop>,
    /// Of a mistake: the person they were taken for, and a crop of that person.
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
        write_whole(path, |file| self.write_to(file))
    }

    fn write_to(&self, out: impl Write) -> io::Result<()> {
        let mut page = pages::Page::new(out, cli::printable, &self.header)?;
        if let [columns, rows @ ..] = self.table.as_slice() {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            let rows = html! {
                @for row in rows {
                    tr { th { (row[0]) } @for cell in &row[1..] { td { (cell) } } }
                }
            };
            let name = "Methods compared";
            page.section(name, &self.below, "", [table(name, &columns, &rows)])?;
        }
        let (right, wrong): (Vec<&Visit>, Vec<&Visit>) =
            self.visits.iter().partition(|visit| visit.right);
        for (title, visits) in [("Wrong decisions", wrong), ("Right decisions", right)] {
            let note = if visits.is_empty() { "None." } else { "" };
            page.section(title, note, "cards", visits.into_iter().map(card))?;
        }
        page.end(concat!(
            "Made by reid ",
            env!("CARGO_PKG_VERSION"),
            ". All persons here are rendered."
        ))
    }
}

fn card(visit: &Visit) -> Markup {
    let [from, to] = visit.when.map(Clock);
    html! {
        article.card.bad[!visit.right] {
            h3 { (visit.truth) (badge(visit.right, &visit.verdict)) }
            small { (from) " to " (to) }
            div.strip {
                @for crop in &visit.crops {
                    @let time = Clock(crop.at);
                    (figure(Some(&crop.jpeg), &format!("{} at {time}", visit.truth), "", &html! { (time) }))
                }
                @if let Some((name, crop)) = &visit.mistaken_for {
                    div.bad { (figure(Some(&crop.jpeg), name, "", &html! { (name) })) }
                }
            }
            p { (visit.decided) }
            @for (method, right) in &visit.others {
                p { small { (method) " " (badge(*right, if *right { "right" } else { "wrong" })) } }
            }
        }
    }
}

fn badge(right: bool, word: &str) -> Markup {
    html! { span.badge.good[right].bad[!right] { (word) } }
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
            decided: "<b>said</b>".to_owned(),
            others: vec![("colours: nothing".to_owned(), !right)],
            crops: vec![crop.clone(), crop.clone()],
            mistaken_for: (!right).then(|| ("person 3".to_owned(), crop.clone())),
            ..Visit::default()
        };
        let page = Page {
            header: Header {
                title: "Who & who",
                alerts: vec!["only rendered people".to_owned()],
                ..Header::default()
            },
            table: vec![vec!["what".to_owned()], vec!["network".to_owned()]],
            below: "below".to_owned(),
            visits: vec![visit("first", true), visit("second", false)],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.html");
        page.write(&path).unwrap();
        let html = std::fs::read_to_string(&path).unwrap();
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text}"));
        assert!(at("only rendered people") < at("Wrong decisions"));
        assert!(at("Wrong decisions") < at(">second"));
        assert!(at(">second") < at("Right decisions"));
        assert!(at("Right decisions") < at(">first"));
        assert!(at("person 3") < at("Right decisions"));
        assert!(html.contains("Who &amp; who") && !html.contains("<b>said"));
        assert!(!html.contains("http:") && !html.contains("<script"));
        assert_eq!(html.matches("data:image/jpeg").count(), 5);

        let none = Page::default();
        none.write(&path).unwrap();
        let html = std::fs::read_to_string(&path).unwrap();
        assert!(html.contains("Right decisions</h2><p class=\"quiet\">None."));
        assert!(Crop::new(&[0; 3], 2, 2, Duration::ZERO).is_err());
    }
}
