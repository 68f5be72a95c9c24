//! Embeddings in two dimensions, a dot each, coloured by identity.

use std::collections::BTreeMap;

use maud::html;
use pages::chart::px;
use retrieval::Label;

use super::colour;
use crate::evaluate::projection::Projection;
use crate::{Error, Result};

const SIDE: f64 = 640.0;
const MARGIN: f64 = 40.0;
const LEGEND: f64 = 110.0;

/// Identities that the legend names.
const NAMED: usize = 30;

/// A picture of a projection. Both axes have one scale; distractors and junk are grey.
///
/// # Errors
/// [`Error::Argument`] if there is not a label for each point.
pub fn scatter(title: &str, projection: &Projection, labels: &[Label]) -> Result<String> {
    let points = &projection.points;
    if points.len() != labels.len() {
        return Err(Error::Argument(format!(
            "{} points have {} labels",
            points.len(),
            labels.len()
        )));
    }
    let reach = points.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
    let scale = (SIDE / 2.0 - 10.0) / if reach > 0.0 { reach } else { 1.0 };
    let middle = MARGIN + SIDE / 2.0;
    let mut colours: BTreeMap<i32, String> = BTreeMap::new();
    for label in labels.iter().filter(|label| label.person > 0) {
        let next = colours.len();
        colours.entry(label.person).or_insert_with(|| colour(next));
    }

    let [first, second] = projection.share.map(|share| share * 100.0);
    let left = MARGIN + SIDE + 18.0;
    let legend = (0..).map(|line| MARGIN + 10.0 + 18.0 * f64::from(line));
    let body = html! {
        text.title.ink.start x=(MARGIN) y="25" { (title) }
        path.axis d=(format!("M{MARGIN} {MARGIN}h{SIDE}v{SIDE}h-{SIDE}z")) {}
        text x=(middle) y=(MARGIN + SIDE + 22.0) {
            (format_args!("first axis: {first:.0} % of the variance; second axis: {second:.0} %"))
        }
        @for ([x, y], label) in points.iter().zip(labels) {
            @let paint = colours.get(&label.person).map_or("#bbb", String::as_str);
            circle cx=(px(middle + x * scale)) cy=(px(middle - y * scale)) r="4" fill=(paint) fill-opacity="0.75" {}
        }
        @for ((person, paint), y) in colours.iter().take(NAMED).zip(legend) {
            circle cx=(left) cy=(y) r="5" fill=(paint) {}
            text.ink.start x=(left + 10.0) y=(y + 4.0) { "person " (person) }
        }
        @if colours.len() > NAMED {
            text.start x=(left) y=(MARGIN + 14.0 + 18.0 * NAMED as f64) { "and " (colours.len() - NAMED) " more" }
        }
    };
    let size = [SIDE + 2.0 * MARGIN + LEGEND, SIDE + 2.0 * MARGIN + 10.0];
    Ok(pages::svg(cli::printable, title, size, &body))
}
