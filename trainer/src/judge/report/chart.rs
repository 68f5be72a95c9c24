//! Drawings of a report: SVG that takes its colours from the page.

use std::fmt::Write;

use cli::page::Escaped;
use retrieval::open_set::OperatingPoint;

use super::Bars;
use crate::judge::bootstrap::Interval;
use crate::judge::sensitivity::Harm;
use crate::picture::{tick_label, ticks};

/// Writes into a page, which cannot fail.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {{
        let _ = write!($out, $($text)*);
    }};
}
pub(super) use put;

const WIDTH: f64 = 960.0;

/// Drops with their intervals on one axis, zero marked.
pub(super) fn drops(out: &mut String, drops: &[(&str, Interval)]) {
    const LEFT: f64 = 90.0;
    const ROW: f64 = 30.0;
    let ends = drops.iter().flat_map(|(_, drop)| [drop.low, drop.high]);
    let low = ends.clone().fold(0.0, f64::min);
    let high = ends.fold(0.0, f64::max);
    let room = ((high - low) * 0.05).max(1e-4);
    let (low, high) = (low - room, high + room);
    let x = |value: f64| LEFT + (value - low) / (high - low) * (WIDTH - LEFT - 30.0);
    let bottom = drops.len() as f64 * ROW + 6.0;
    put!(
        out,
        r#"<svg class="large" viewBox="0 0 {WIDTH} {}" role="img" aria-label="Drops with 95 % intervals">"#,
        bottom + 24.0
    );
    let (values, step) = ticks(low * 100.0, high * 100.0, 8.0);
    for value in values {
        let at = x(value / 100.0);
        let label = tick_label(value, step);
        put!(
            out,
            r#"<path class="grid" d="M{at:.1} 0V{bottom}"/><text x="{at:.1}" y="{}">{label}</text>"#,
            bottom + 16.0
        );
    }
    put!(
        out,
        r#"<path class="limit" d="M{:.1} 0V{bottom}"/>"#,
        x(0.0)
    );
    for (row, (name, drop)) in drops.iter().enumerate() {
        let y = row as f64 * ROW + ROW / 2.0 + 3.0;
        put!(
            out,
            r#"<text class="end ink" x="{}" y="{:.1}">{}</text><path class="whisker" d="M{:.1} {y:.1}H{:.1}"/><circle class="mark" cx="{:.1}" cy="{y:.1}" r="5"/>"#,
            LEFT - 12.0,
            y + 4.0,
            Escaped(name),
            x(drop.low),
            x(drop.high),
            x(drop.value)
        );
    }
    put!(out, "</svg>");
}

/// A bar for each layer, those that stay float in another colour.
pub(super) fn sensitivity(out: &mut String, layers: &[Harm], kept: &[String]) {
    const LEFT: f64 = 300.0;
    const ROW: f64 = 18.0;
    let most = layers.iter().map(|harm| harm.loss).fold(1e-12, f64::max);
    put!(
        out,
        r#"<svg class="large" viewBox="0 0 {WIDTH} {:.0}" role="img" aria-label="Loss of cosine by layer">"#,
        layers.len() as f64 * ROW + 4.0
    );
    for (row, harm) in layers.iter().enumerate() {
        let y = row as f64 * ROW;
        let wide = (harm.loss / most).clamp(0.0, 1.0) * (WIDTH - LEFT - 90.0);
        let class = if kept.contains(&harm.layer) {
            "kept"
        } else {
            "own"
        };
        put!(
            out,
            r#"<text class="end" x="{}" y="{:.1}">{}</text><rect class="{class}" x="{LEFT}" y="{:.1}" width="{:.1}" height="{}"/><text class="start" x="{:.1}" y="{:.1}">{:.2e}</text>"#,
            LEFT - 8.0,
            y + 13.0,
            Escaped(&last_letters(&harm.layer, 42)),
            y + 2.0,
            wide.max(0.5),
            ROW - 4.0,
            LEFT + wide + 8.0,
            y + 13.0,
            harm.loss
        );
    }
    put!(out, "</svg>");
}

/// The end of a long name, which says more than its beginning.
fn last_letters(name: &str, most: usize) -> String {
    let letters = name.chars().count();
    if letters <= most {
        return name.to_owned();
    }
    let kept = name.chars().skip(letters - most + 1);
    std::iter::once('…').chain(kept).collect()
}

/// Shares of strangers let in and of known people missed, by threshold.
pub(super) fn curve(out: &mut String, points: &[OperatingPoint]) {
    const HEIGHT: f64 = 240.0;
    const LEFT: f64 = 50.0;
    let thresholds = points.iter().map(|point| f64::from(point.threshold));
    let low = thresholds.clone().fold(f64::INFINITY, f64::min);
    let high = thresholds.fold(low + 1e-6, f64::max);
    let x = |value: f64| LEFT + (value - low) / (high - low) * (WIDTH - LEFT - 20.0);
    let y = |share: f64| 10.0 + (1.0 - share) * HEIGHT;
    put!(
        out,
        r#"<svg class="large" viewBox="0 0 {WIDTH} {}" role="img" aria-label="FPIR and FNIR by threshold">"#,
        HEIGHT + 40.0
    );
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        put!(
            out,
            r#"<path class="grid" d="M{LEFT} {:.1}H{:.0}"/><text class="end" x="{}" y="{:.1}">{:.0} %</text>"#,
            y(share),
            WIDTH - 20.0,
            LEFT - 6.0,
            y(share) + 4.0,
            share * 100.0
        );
    }
    let (values, step) = ticks(low, high, 8.0);
    for value in values {
        let label = tick_label(value, step);
        put!(
            out,
            r#"<text x="{:.1}" y="{}">{label}</text>"#,
            x(value),
            HEIGHT + 30.0
        );
    }
    let mut line = |class: &str, of: &dyn Fn(&OperatingPoint) -> f64| {
        let at = |point: &OperatingPoint| {
            format!("{:.1},{:.1}", x(point.threshold.into()), y(of(point)))
        };
        let path: Vec<String> = points.iter().map(at).collect();
        put!(
            out,
            r#"<polyline class="{class}" fill="none" points="{}"/>"#,
            path.join(" ")
        );
    };
    line("line", &|point| point.fpir);
    line("line other", &|point| point.fnir);
    put!(out, "</svg>");
}

/// How results are distributed; bars outside of what is not cut are marked. Heights are square roots:
/// the tails, which the range is about, stay visible.
pub(super) fn histogram(out: &mut String, bars: &Bars, range: Option<[f32; 2]>) {
    const SIZE: [f64; 2] = [132.0, 30.0];
    let [width, height] = SIZE;
    put!(
        out,
        r#"<svg class="small" viewBox="0 0 {width} {height}" role="img" aria-label="Histogram"><title>{} to {}, {} numbers and {} zeros</title>"#,
        bars.from,
        bars.from + bars.width * bars.counts.len() as f32,
        bars.counts.iter().sum::<u64>(),
        bars.zeros
    );
    let most = bars.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let step = width / bars.counts.len().max(1) as f64;
    for (at, &count) in bars.counts.iter().enumerate() {
        if count == 0 {
            continue;
        }
        let tall = ((count as f64 / most).sqrt() * height).max(0.7);
        let left = bars.from + bars.width * at as f32;
        let cut = range.is_some_and(|[low, high]| left + bars.width < low || left > high);
        put!(
            out,
            r#"<rect class="{}" x="{:.1}" y="{:.1}" width="{:.1}" height="{tall:.1}"/>"#,
            if cut { "cut" } else { "own" },
            at as f64 * step,
            height - tall,
            (step * 0.9).max(0.4)
        );
    }
    put!(out, r#"<path class="axis" d="M0 {height}H{width}"/></svg>"#);
}
