//! Axes, histograms and lines as SVG. Colours and fonts are those of the classes in `chart.css`;
//! coordinates are pixels of the drawing, with one decimal.

use maud::{Markup, html};

/// A stretch of numbers laid on a stretch of pixels.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    pixels: [f64; 2],
}

impl Axis {
    /// From `low` to `high`, which may be the other way round in pixels. An empty stretch is made 1 long.
    #[must_use]
    pub fn new([low, high]: [f64; 2], pixels: [f64; 2]) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self {
            low,
            high,
            logarithmic: false,
            pixels,
        }
    }

    /// The same with steps of equal factors; `low` is above 0.
    #[must_use]
    pub fn logarithmic([low, high]: [f64; 2], pixels: [f64; 2]) -> Self {
        Self {
            logarithmic: true,
            ..Self::new([low.log10(), high.log10()], pixels)
        }
    }

    /// Where a value lies, in pixels; values beyond the ends lie at them.
    #[must_use]
    pub fn at(self, value: f64) -> f64 {
        let value = if self.logarithmic {
            value.log10()
        } else {
            value
        };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        px(self.pixels[0] + share * (self.pixels[1] - self.pixels[0]))
    }

    /// About `count` round values, none for 0: where each lies, and its label.
    #[must_use]
    pub fn ticks(self, count: f64) -> Vec<(f64, String)> {
        if count < 1.0 {
            return Vec::new();
        }
        if !self.logarithmic {
            let (values, step) = ticks(self.low, self.high, count);
            let labelled = values.into_iter();
            return labelled
                .map(|value| (self.at(value), tick_label(value, step)))
                .collect();
        }
        let factors: &[f64] = match self.high - self.low {
            3.0.. => &[1.0],
            _ => &[1.0, 2.0, 5.0],
        };
        (self.low.floor() as i32..=self.high.ceil() as i32)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|value| (self.low..=self.high).contains(&value.log10()))
            .map(|value| (self.at(value), tick_label(value, value)))
            .collect()
    }
}

/// A field with an axis below it and one at its left.
#[derive(Debug, Clone, Copy)]
pub struct Plot {
    /// From left to right.
    pub x: Axis,
    /// From the bottom to the top.
    pub y: Axis,
}

impl Plot {
    /// Both axes with about so many ticks each, and the name of the lower one.
    #[must_use]
    pub fn axes(&self, [columns, rows]: [f64; 2], name: &str) -> Markup {
        let ([left, right], [bottom, top]) = (self.x.pixels, self.y.pixels);
        html! {
            @for (y, label) in self.y.ticks(rows) {
                path.grid d=(format!("M{left} {y}H{right}")) {}
                text.end x=(px(left - 6.0)) y=(px(y + 4.0)) { (label) }
            }
            @for (x, label) in self.x.ticks(columns) {
                path.axis d=(format!("M{x} {bottom}v4")) {}
                text x=(x) y=(px(bottom + 18.0)) { (label) }
            }
            text x=(px((left + right) / 2.0)) y=(px(bottom + 36.0)) { (name) }
            path.axis d=(format!("M{left} {top}V{bottom}H{right}")) {}
        }
    }

    /// A line through points, each a value of `x` and one of `y`; a dot for a single point.
    pub fn line(&self, class: &str, points: impl IntoIterator<Item = [f64; 2]>) -> Markup {
        let points: Vec<[f64; 2]> = points
            .into_iter()
            .map(|[x, y]| [self.x.at(x), self.y.at(y)])
            .collect();
        if let [[x, y]] = points.as_slice() {
            return html! { circle class=(class) cx=(x) cy=(y) r="2.5" {} };
        }
        let path: Vec<String> = points.iter().map(|[x, y]| format!("{x},{y}")).collect();
        html! { @if !path.is_empty() { polyline class=(class) points=(path.join(" ")) {} } }
    }
}

/// Counts in bins of one width, the first of which begins at `from`.
#[derive(Debug, Clone, Copy)]
pub struct Histogram<'a> {
    /// The lower edge of the first bin.
    pub from: f64,
    /// The width of each bin.
    pub width: f64,
    /// How often a value of each bin was found.
    pub counts: &'a [u64],
}

impl Histogram<'_> {
    /// From the first bin with a count to the last one; none if all are empty.
    #[must_use]
    pub fn range(&self) -> Option<[f64; 2]> {
        let first = self.counts.iter().position(|count| *count > 0)?;
        let last = self.counts.iter().rposition(|count| *count > 0)?;
        Some([self.edge(first), self.edge(last + 1)])
    }

    /// One path with a bar on `bottom` for each bin that `of` wants, by its edges. The highest bar of
    /// the histogram is `height` high. Heights are square roots, so that a single value among
    /// thousands can be seen.
    pub fn bars(
        &self,
        class: &str,
        x: Axis,
        [bottom, height]: [f64; 2],
        of: impl Fn([f64; 2]) -> bool,
    ) -> Markup {
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        let bars = self.counts.iter().enumerate().filter_map(|(at, &count)| {
            let edges = [self.edge(at), self.edge(at + 1)];
            let [left, right] = edges.map(|edge| x.at(edge));
            let tall = px(((count as f64 / most).sqrt() * height).max(1.0));
            let wide = px((right - left) * 0.9).max(0.4);
            (count > 0 && of(edges)).then(|| format!("M{left} {bottom}v-{tall}h{wide}v{tall}z"))
        });
        let path: String = bars.collect();
        html! { @if !path.is_empty() { path class=(class) d=(path) {} } }
    }

    /// A small drawing of the histogram on an axis from `low` to `high`, with a line at `limit`. Bars
    /// between edges that `cut` picks are marked.
    pub fn small(
        &self,
        label: &str,
        [low, high]: [f64; 2],
        limit: Option<f64>,
        cut: impl Fn([f64; 2]) -> bool,
    ) -> Markup {
        let x = Axis::new([low, high], [0.0, 150.0]);
        let bars = [36.0, 34.0];
        let body = html! {
            (self.bars("own", x, bars, |edges| !cut(edges)))
            (self.bars("cut", x, bars, &cut))
            @if let Some(limit) = limit { path.limit d=(format!("M{} 0V36", x.at(limit))) {} }
            path.axis d="M0 36H150" {}
        };
        drawing("small", [150.0, 36.0], label, &body)
    }

    fn edge(&self, bin: usize) -> f64 {
        self.from + self.width * bin as f64
    }
}

/// A drawing inside of a page, `width` x `height` pixels; `label` is read out.
pub fn drawing(class: &str, [width, height]: [f64; 2], label: &str, body: &Markup) -> Markup {
    html! {
        svg class=(class) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(label) { (body) }
    }
}

/// A coordinate with one decimal.
#[must_use]
pub fn px(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// About `count` round numbers from `low` to `high`, and the step between them.
fn ticks(low: f64, high: f64, count: f64) -> (Vec<f64>, f64) {
    let rough = (high - low) / count;
    if !rough.is_normal() || rough < 0.0 {
        return (vec![low], 1.0);
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(power);
    let (first, last) = ((low / step).ceil(), (high / step + 1e-9).floor());
    let at = (0..=(last - first) as usize).map(|i| (first + i as f64) * step);
    (at.collect(), step)
}

/// A number on an axis whose ticks are `step` apart.
fn tick_label(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e5).contains(&value.abs()) {
        // Digits beyond the step are rounding of it.
        let digits = (value.abs().log10().floor() - step.log10().floor()).clamp(0.0, 6.0);
        return format!("{value:.*e}", digits as usize);
    }
    let digits = (-step.log10().floor()).clamp(0.0, 6.0);
    format!("{value:.*}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_lie_on_the_axis_of_their_data() {
        let histogram = Histogram {
            from: 0.0,
            width: 0.1,
            counts: &[0, 0, 100, 1, 0],
        };
        assert_eq!(
            histogram.range().map(|range| range.map(px)),
            Some([0.2, 0.4])
        );
        let x = Axis::new([0.2, 0.4], [0.0, 100.0]);
        let all = histogram.bars("own", x, [50.0, 50.0], |_| true).0;
        let wanted = r#"<path class="own" d="M0 50v-50h45v50zM50 50v-5h45v5z"></path>"#;
        assert_eq!(all, wanted);
        let none = histogram.bars("own", x, [50.0, 50.0], |[left, _]| left > 0.5);
        assert_eq!(none.0, "");
        let empty = Histogram {
            counts: &[0; 4],
            ..histogram
        };
        assert_eq!(empty.range(), None);
    }

    #[test]
    fn axes_have_round_ticks() {
        let cases: [(&str, Axis, &[&str]); 5] = [
            (
                "linear",
                Axis::new([0.0, 1.0], [0.0, 10.0]),
                &["0", "0.2", "0.4", "0.6", "0.8", "1.0"],
            ),
            (
                "small",
                Axis::new([0.0, 3e-4], [0.0, 10.0]),
                &["0", "1e-4", "2e-4", "3e-4"],
            ),
            (
                "decades",
                Axis::logarithmic([1e-6, 1.0], [0.0, 10.0]),
                &["1e-6", "1e-5", "1e-4", "0.001", "0.01", "0.1", "1"],
            ),
            (
                "one decade",
                Axis::logarithmic([1.0, 10.0], [0.0, 10.0]),
                &["1", "2", "5", "10"],
            ),
            (
                "empty",
                Axis::new([2.0, 2.0], [0.0, 10.0]),
                &["2.0", "2.2", "2.4"],
            ),
        ];
        for (name, axis, wanted) in cases {
            let labels: Vec<String> = axis.ticks(5.0).into_iter().map(|tick| tick.1).collect();
            assert!(
                labels.iter().take(wanted.len()).eq(wanted),
                "{name}: {labels:?}"
            );
        }
        let down = Axis::new([0.0, 4.0], [100.0, 0.0]);
        assert_eq!(
            [-1.0, 1.0, 9.0].map(|value| down.at(value)),
            [100.0, 75.0, 0.0]
        );
    }

    #[test]
    fn a_line_of_one_point_is_a_dot() {
        let plot = Plot {
            x: Axis::new([0.0, 10.0], [0.0, 100.0]),
            y: Axis::new([0.0, 1.0], [50.0, 0.0]),
        };
        assert_eq!(plot.line("a", []).0, "");
        assert!(plot.line("a", [[5.0, 0.5]]).0.starts_with("<circle"));
        let line = plot.line("a", [[0.0, 0.0], [10.0, 1.0]]).0;
        assert_eq!(
            line,
            r#"<polyline class="a" points="0,50 100,0"></polyline>"#
        );
    }
}
