//! Embeddings in two dimensions, a dot each, coloured by identity.

use std::collections::BTreeMap;

use retrieval::Label;

use super::{Anchor, GREY, INK, Svg, colour};
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
    let middle = [MARGIN + SIDE / 2.0, MARGIN + SIDE / 2.0];
    let mut colours: BTreeMap<i32, String> = BTreeMap::new();
    for label in labels.iter().filter(|label| label.person > 0) {
        let next = colours.len();
        colours.entry(label.person).or_insert_with(|| colour(next));
    }

    let mut svg = Svg::new(SIDE + 2.0 * MARGIN + LEGEND, SIDE + 2.0 * MARGIN + 10.0);
    svg.text([MARGIN, 25.0], Anchor::Start, 16.0, INK, title);
    svg.push(format_args!(
        r##"<rect x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>"##
    ));
    let [first, second] = projection.share.map(|share| share * 100.0);
    let below = [middle[0], MARGIN + SIDE + 22.0];
    svg.text(
        below,
        Anchor::Middle,
        12.0,
        GREY,
        &format!("first axis: {first:.0} % of the variance; second axis: {second:.0} %"),
    );
    for ([x, y], label) in points.iter().zip(labels) {
        let at = [middle[0] + x * scale, middle[1] - y * scale];
        let paint = colours.get(&label.person).map_or("#bbb", String::as_str);
        svg.circle(at, 4.0, paint);
    }
    let left = MARGIN + SIDE + 18.0;
    for (line, (person, paint)) in colours.iter().take(NAMED).enumerate() {
        let y = MARGIN + 10.0 + 18.0 * line as f64;
        svg.circle([left, y], 5.0, paint);
        svg.text(
            [left + 10.0, y + 4.0],
            Anchor::Start,
            12.0,
            INK,
            &format!("person {person}"),
        );
    }
    if colours.len() > NAMED {
        let y = MARGIN + 14.0 + 18.0 * NAMED as f64;
        let more = format!("and {} more", colours.len() - NAMED);
        svg.text([left, y], Anchor::Start, 12.0, GREY, &more);
    }
    Ok(svg.finish())
}
