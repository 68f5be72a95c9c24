//! A training's curves: the JSON lines of its log go in, one picture with a panel for each kind of
//! number comes out.
//!
//! A line is an object with `epoch` (a number, parts of an epoch too) and numbers, or objects of
//! numbers: `{"epoch": 3, "loss": {"id": 2.1, "triplet": 0.2}, "lr": 3.5e-4, "test": {"map": 0.6}}`
//! makes three panels with four curves. Learning rates (`lr`) have a logarithmic axis if they are above 0
//! and span a factor of 30 or more: a loss beside another that vanishes could not be read on one. Where a run was resumed, the later of two lines for an epoch counts.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::{Anchor, FAINT, GREY, INK, Svg, tick_label, ticks};
use crate::{Error, Result};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 66.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 42.0;
const LEGEND: f64 = 150.0;

/// Okabe and Ito's colours that everybody can tell apart, without the pale yellow.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222",
];

/// From which span on the axis of learning rates is logarithmic.
const SPAN: f64 = 30.0;

/// A kind of number: what stands before the dot in `loss.triplet`.
#[derive(Debug, Clone, PartialEq)]
struct Panel {
    name: String,
    series: Vec<Series>,
}

/// A curve: epoch and value, by ascending epoch. A null of the log, which is how JSON writes NaN, is
/// a gap.
#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    points: Vec<(f64, Option<f64>)>,
}

/// Draws the log at `path`.
///
/// # Errors
/// [`Error::Io`] if it cannot be read, [`Error::File`] with the line that is no record, or if there
/// is nothing to draw. A last line that was cut off by a kill is left out.
pub fn of_log(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let panels = panels(&text).map_err(|reason| Error::file(path, reason))?;
    Ok(drawn(&panels))
}

/// Panels and curves in the order in which the log first names them.
fn panels(text: &str) -> Result<Vec<Panel>, String> {
    // For each curve, in the order of the log, its values by the bits of the epoch: those of floats
    // from 0 on ascend as they do.
    let mut curves: Vec<(String, BTreeMap<u64, Option<f64>>)> = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if line.trim().is_empty() {
            continue;
        }
        let record: Map<String, Value> = match serde_json::from_str(line) {
            Ok(record) => record,
            // Only the last line can lack its end.
            Err(error) if !line.ends_with('\n') && error.is_eof() => break,
            Err(error) => return Err(format!("line {number} is no record: {error}")),
        };
        let epoch = record.get("epoch").and_then(Value::as_f64);
        let epoch = epoch.filter(|epoch| *epoch >= 0.0).ok_or_else(|| {
            format!("line {number} has no `epoch`, a number from 0 on, to draw its numbers at")
        })?;
        let mut add = |name: String, value: Option<f64>| {
            let at = curves.iter().position(|(known, _)| *known == name);
            let at = at.unwrap_or_else(|| {
                curves.push((name, BTreeMap::new()));
                curves.len() - 1
            });
            curves[at].1.insert((epoch + 0.0).to_bits(), value);
        };
        for (name, value) in record.iter().filter(|(name, _)| *name != "epoch") {
            match value {
                Value::Number(_) | Value::Null => add(name.clone(), value.as_f64()),
                Value::Object(parts) => {
                    for (part, value) in parts {
                        if matches!(value, Value::Number(_) | Value::Null) {
                            add(format!("{name}.{part}"), value.as_f64());
                        }
                    }
                }
                // Words, lists and flags have no curve.
                _ => {}
            }
        }
    }
    let mut panels: Vec<Panel> = Vec::new();
    for (name, values) in curves {
        let (kind, part) = name.split_once('.').unwrap_or((&name, &name));
        if values.values().all(Option::is_none) {
            continue;
        }
        let points = values.into_iter();
        let series = Series {
            name: part.to_owned(),
            points: points
                .map(|(at, value)| (f64::from_bits(at), value))
                .collect(),
        };
        match panels.iter_mut().find(|panel| panel.name == kind) {
            Some(panel) => panel.series.push(series),
            None => panels.push(Panel {
                name: kind.to_owned(),
                series: vec![series],
            }),
        }
    }
    if panels.is_empty() {
        return Err("no numbers to draw".to_owned());
    }
    Ok(panels)
}

/// An axis: from which value to which, and how.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    log: bool,
}

impl Axis {
    /// Room for all `values`, of a kind that may be logarithmic.
    fn of(values: impl Iterator<Item = f64> + Clone, rates: bool) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.fold(f64::NEG_INFINITY, f64::max);
        if rates && low > 0.0 && high / low >= SPAN {
            return Self {
                low: low.log10() - 0.05,
                high: high.log10() + 0.05,
                log: true,
            };
        }
        let room = match high - low {
            0.0 if high == 0.0 => 1.0,
            0.0 => high.abs() * 0.1,
            span => span * 0.05,
        };
        // 0 is part of the axis if it is near: a curve's height then means something.
        let low = match low {
            low if low >= 0.0 && low - room < high * 0.5 => 0.0,
            low => low - room,
        };
        Self {
            low,
            high: high + room,
            log: false,
        }
    }

    /// Where a value lies, 0 at the low end to 1.
    fn place(self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }

    /// Values with a label each.
    fn ticks(self) -> Vec<(f64, String)> {
        if !self.log {
            let (values, step) = ticks(self.low, self.high, 5.0);
            return (values.into_iter())
                .map(|value| (value, tick_label(value, step)))
                .collect();
        }
        let powers = self.low.floor() as i32..=self.high.ceil() as i32;
        let factors: &[f64] = if self.high - self.low > 3.0 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        powers
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|value| (0.0..=1.0).contains(&self.place(*value)))
            .map(|value| (value, tick_label(value, value)))
            .collect()
    }
}

fn drawn(panels: &[Panel]) -> String {
    let step = TOP + HEIGHT + BOTTOM;
    let mut svg = Svg::new(LEFT + WIDTH + LEGEND, step * panels.len() as f64);
    // One axis of epochs for all panels, so that they can be read from top to bottom.
    let all = panels.iter().flat_map(|panel| &panel.series);
    let epochs = all.flat_map(|series| series.points.iter().map(|(epoch, _)| *epoch));
    let first = epochs.clone().fold(f64::INFINITY, f64::min).min(1.0);
    let last = epochs.fold(first + 1.0, f64::max);
    let x = |epoch: f64| LEFT + (epoch - first) / (last - first) * WIDTH;

    for (number, panel) in panels.iter().enumerate() {
        let top = step * number as f64 + TOP;
        let bottom = top + HEIGHT;
        let values = panel.series.iter().flat_map(|series| &series.points);
        let axis = Axis::of(values.filter_map(|(_, value)| *value), panel.name == "lr");
        let y = |value: f64| bottom - axis.place(value) * HEIGHT;
        let note = if axis.log { " (logarithmic)" } else { "" };
        let title = format!("{}{note}", panel.name);
        svg.text([LEFT, top - 10.0], Anchor::Start, 15.0, INK, &title);
        for (value, label) in axis.ticks() {
            let at = y(value);
            svg.line([LEFT, at], [LEFT + WIDTH, at], FAINT, 1.0);
            svg.text([LEFT - 6.0, at + 4.0], Anchor::End, 11.0, GREY, &label);
        }
        let (values, step) = ticks(first, last, 8.0);
        for epoch in values {
            let at = x(epoch);
            svg.line([at, bottom], [at, bottom + 4.0], GREY, 1.0);
            let label = tick_label(epoch, step);
            svg.text([at, bottom + 17.0], Anchor::Middle, 11.0, GREY, &label);
        }
        let middle = [LEFT + WIDTH / 2.0, bottom + 33.0];
        svg.text(middle, Anchor::Middle, 12.0, GREY, "epoch");
        svg.line([LEFT, top], [LEFT, bottom], GREY, 1.0);
        svg.line([LEFT, bottom], [LEFT + WIDTH, bottom], GREY, 1.0);
        for (number, series) in panel.series.iter().enumerate() {
            let paint = COLOURS[number % COLOURS.len()];
            for run in series.points.split(|(_, value)| value.is_none()) {
                let at =
                    |(epoch, value): &(f64, Option<f64>)| value.map(|value| [x(*epoch), y(value)]);
                let points: Vec<[f64; 2]> = run.iter().filter_map(at).collect();
                if let [alone] = points.as_slice() {
                    svg.circle(*alone, 2.5, paint);
                    continue;
                }
                let path: Vec<String> = (points.iter())
                    .map(|[x, y]| format!("{x:.1},{y:.1}"))
                    .collect();
                if !path.is_empty() {
                    svg.push(format_args!(
                        r#"<polyline fill="none" stroke="{paint}" stroke-width="1.8" stroke-linejoin="round" points="{}"/>"#,
                        path.join(" ")
                    ));
                }
            }
            let (left, at) = (LEFT + WIDTH + 14.0, top + 12.0 + 18.0 * number as f64);
            svg.line([left, at], [left + 18.0, at], paint, 3.0);
            svg.text(
                [left + 24.0, at + 4.0],
                Anchor::Start,
                12.0,
                INK,
                &series.name,
            );
        }
    }
    svg.finish()
}

#[cfg(test)]
mod tests;
