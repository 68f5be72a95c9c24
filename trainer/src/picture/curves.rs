//! A training's curves: the JSON lines of its log go in, one picture with a panel for each kind of
//! number comes out.
//!
//! A line is an object with `epoch` (a number, parts of an epoch too) and numbers, or objects of
//! numbers: `{"epoch": 3, "loss": {"id": 2.1, "triplet": 0.2}, "lr": 3.5e-4, "test": {"map": 0.6}}`
//! makes three panels with four curves. Learning rates (`lr`) have a logarithmic axis if they are above 0
//! and span a factor of 30 or more: a loss beside another that vanishes could not be read on one. Where a run was resumed, the later of two lines for an epoch counts.

use std::collections::BTreeMap;
use std::path::Path;

use maud::{Markup, html};
use pages::chart::{Axis, Plot};
use serde_json::{Map, Value};

use crate::{Error, Result};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 66.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 42.0;
const LEGEND: f64 = 150.0;

/// Okabe and Ito's colours for all kinds of colour vision, without the pale yellow, and with grey for
/// black.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#808080",
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
                // Texts, lists and flags have no curve.
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

/// Room for all `values`: from which number to which, and whether the axis is logarithmic, as one of
/// `rates` may be.
fn room(values: impl Iterator<Item = f64> + Clone, rates: bool) -> ([f64; 2], bool) {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    if rates && low > 0.0 && high / low >= SPAN {
        return ([low / 1.1, high * 1.1], true);
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
    ([low, high + room], false)
}

fn drawn(panels: &[Panel]) -> String {
    let step = TOP + HEIGHT + BOTTOM;
    // One axis of epochs for all panels, so that they can be read from top to bottom.
    let all = panels.iter().flat_map(|panel| &panel.series);
    let epochs = all.flat_map(|series| series.points.iter().map(|(epoch, _)| *epoch));
    let first = epochs.clone().fold(f64::INFINITY, f64::min).min(1.0);
    let last = epochs.fold(first + 1.0, f64::max);
    let x = Axis::new([first, last], [LEFT, LEFT + WIDTH]);
    let tops = (0..panels.len()).map(|number| step * number as f64 + TOP);
    let body = html! {
        @for (panel, top) in panels.iter().zip(tops) { (drawn_panel(panel, x, top)) }
    };
    let size = [LEFT + WIDTH + LEGEND, step * panels.len() as f64];
    pages::svg(cli::printable, "curves of a training", size, &body)
}

fn drawn_panel(panel: &Panel, x: Axis, top: f64) -> Markup {
    let values = panel.series.iter().flat_map(|series| &series.points);
    let (range, logarithmic) = room(values.filter_map(|(_, value)| *value), panel.name == "lr");
    let axis = if logarithmic {
        Axis::logarithmic
    } else {
        Axis::new
    };
    let plot = Plot {
        x,
        y: axis(range, [top + HEIGHT, top]),
    };
    let point = |(epoch, value): &(f64, Option<f64>)| value.map(|value| [*epoch, value]);
    let left = LEFT + WIDTH + 14.0;
    html! {
        text.title.ink.start x=(LEFT) y=(top - 10.0) {
            (panel.name) @if logarithmic { " (logarithmic)" }
        }
        (plot.axes([8.0, 5.0], "epoch"))
        @for (number, series) in panel.series.iter().enumerate() {
            @let paint = COLOURS[number % COLOURS.len()];
            @let at = top + 12.0 + 18.0 * number as f64;
            g fill=(paint) stroke=(paint) {
                @for run in series.points.split(|(_, value)| value.is_none()) {
                    (plot.line("", run.iter().filter_map(point)))
                }
                path d=(format!("M{left} {at}h18")) stroke-width="3" {}
            }
            text.ink.start x=(left + 24.0) y=(at + 4.0) { (series.name) }
        }
    }
}

#[cfg(test)]
mod tests;
