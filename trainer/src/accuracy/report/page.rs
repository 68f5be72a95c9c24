//! The page of a [`AccuracyReport`].

use std::io::{self, Write};

use maud::{Markup, html};
use pages::chart::{Axis, Histogram, Plot, drawing};
use pages::{Count, Header, Page, Thousands, figure, fixed, percent, table};
use retrieval::open_set::{OpenSet, OperatingPoint};

use super::{AccuracyReport, Bins, DropBudget, LayerReport, SensitivityReport};
use crate::Result;
use crate::accuracy::Comparison;
use crate::accuracy::bootstrap::Interval;
use crate::accuracy::budget::PrecisionCost;
use crate::accuracy::collapse::CollapseCheck;
use crate::picture::Crop;

/// The most pixels that a crop is high.
const HEIGHT: usize = 440;

/// Writes the page. `open` brings the crop of a path.
pub(super) fn write(
    report: &AccuracyReport,
    open: impl FnMut(&str) -> Result<Crop>,
    out: impl Write,
) -> io::Result<()> {
    let mut page = Page::new(out, cli::printable, &header(report))?;
    let (comparison, budget) = (
        report.evaluation.comparison.as_ref(),
        report.evaluation.budget.as_ref(),
    );
    let kept = budget.map_or(&[][..], |budget| &budget.kept);
    let sensitivity = report.evaluation.sensitivity.as_ref();
    let parts = [
        comparison.map(retrieval),
        comparison.map(rates),
        budget.map(mixture),
        sensitivity.map(|sensitivity| harm(sensitivity, kept)),
        Some(size(report)),
        report.evaluation.collapse.as_ref().map(collapse),
        report.evaluation.open_set.as_ref().map(thresholds),
        (!report.layers.is_empty()).then(|| layers(&report.layers)),
        comparison.map(|comparison| worst(comparison, open)),
        (!report.command.is_empty() || !report.seeds.is_empty()).then(|| repeat(report)),
    ];
    for part in parts.iter().flatten() {
        page.put(part)?;
    }
    page.end(&format!(
        "Made by {}. This file may contain pictures of people: keep and pass it on accordingly.",
        report.program
    ))
}

/// What was written, and what came of it in a few numbers.
fn header(report: &AccuracyReport) -> Header<'_> {
    let mut tiles = Vec::new();
    if let Some(comparison) = &report.evaluation.comparison {
        let map = comparison.map;
        tiles.push((percent(map.int8.value, 2), "mAP"));
        tiles.push((fixed(map.drop.value * 100.0, 2), "points of mAP lost"));
        tiles.push((fixed(comparison.cosine.mean, 4), "mean cosine to float"));
        if let Some(change) = comparison.errors.and_then(|errors| errors.fnmr_change) {
            let change = format!("{:+.1} %", change.value * 100.0);
            tiles.push((change, "relative change of FNMR"));
        }
    }
    let smaller =
        report.evaluation.before.bytes as f64 / report.evaluation.after.bytes.max(1) as f64;
    tiles.push((format!("{smaller:.2} ×"), "smaller"));
    let facts = report.settings.iter();
    Header {
        title: &report.net,
        subject: report.file.clone(),
        alerts: Vec::new(),
        tiles,
        facts: facts
            .map(|(name, value)| (&**name, value.clone()))
            .collect(),
    }
}

/// A share and its interval in percent.
fn share(Interval { value, low, high }: Interval, digits: usize) -> Markup {
    let interval = [low, high]
        .map(|end| fixed(end * 100.0, digits))
        .join(" to ");
    html! { (percent(value, digits)) " " small { (interval) } }
}

/// A difference of shares and its interval in points.
fn points(Interval { value, low, high }: Interval) -> Markup {
    let [value, low, high] = [value, low, high].map(|share| fixed(share * 100.0, 2));
    html! { (value) " " small { (low) " to " (high) } }
}

fn retrieval(comparison: &Comparison) -> Markup {
    let j = comparison;
    let rows = [("rank-1", j.rank1), ("mAP", j.map), ("mINP", j.minp)];
    let ends = rows.iter().flat_map(|(_, c)| [c.drop.low, c.drop.high]);
    let low = ends.clone().fold(-1e-4, f64::min);
    let axis = Axis::new([low, ends.fold(1e-4, f64::max)], [8.0, 232.0]);
    html! {
        section {
            h2 { "Retrieval" }
            p.quiet {
                (j.set) ": " (Count(j.queries, "query with a right answer", "queries with a right answer"))
                " (" (Thousands(j.skipped)) " without), " (Thousands(j.gallery)) " images in the gallery. Small numbers: 95 % of "
                (Thousands(j.settings.bootstrap.resamples)) " resamples of the queries (paired bootstrap, seed " (j.settings.bootstrap.seed)
                "). A drop is float less quantised, in points: an interval that contains 0 cannot tell the two apart."
            }
            (table("Retrieval", &["measure", "float", "quantised", "drop, points", "the drop on an axis with 0"], &html! {
                @for (name, compared) in rows {
                    tr {
                        th { (name) }
                        td { (share(compared.float, 2)) }
                        td { (share(compared.int8, 2)) }
                        td { (points(compared.drop)) }
                        td { (whisker(axis, compared.drop)) }
                    }
                }
            }))
            p.quiet {
                "Cosine between the two embeddings of a crop, over " (Count(j.cosine.crops, "crop", "crops"))
                ": mean " (fixed(j.cosine.mean, 6)) ", least " (fixed(j.cosine.min, 6)) "."
            }
        }
    }
}

/// An interval and the value in it.
fn whisker(axis: Axis, Interval { value, low, high }: Interval) -> Markup {
    let [value, low, high, zero] = [value, low, high, 0.0].map(|at| axis.at(at));
    html! {
        (drawing("whiskers", [240.0, 24.0], "Interval", &html! {
            path.limit d=(format!("M{zero} 0V24")) {}
            path.whisker d=(format!("M{low} 12H{high}")) {}
            circle.mark cx=(value) cy="12" r="5" {}
        }))
    }
}

fn rates(comparison: &Comparison) -> Markup {
    let title = "Error rates at the float network's threshold";
    let Some(errors) = &comparison.errors else {
        let why = comparison.no_errors.as_deref().unwrap_or("not asked for");
        return html! { section { h2 { (title) } p.quiet { "Not measured: " (why) "." } } };
    };
    let signed = |share: f64| format!("{:+.2}", share * 100.0);
    html! {
        section {
            h2 { (title) }
            p.quiet {
                "At cosine " (fixed(errors.threshold.into(), 6)) ", the lowest at which at most " (errors.asked) " of the float network's impostor pairs match: "
                (Thousands(errors.impostors)) " pairs of two persons, " (Thousands(errors.genuine)) " pairs of one person by two cameras."
            }
            // A rate of one in ten thousand needs more digits than a share of the queries.
            (table(title, &["error rate", "float", "quantised", "relative change"], &html! {
                tr { th { "false matches (FMR)" } td { (share(errors.fmr.float, 4)) } td { (share(errors.fmr.int8, 4)) } td {} }
                tr {
                    th { "false non-matches (FNMR)" }
                    td { (share(errors.fnmr.float, 4)) }
                    td { (share(errors.fnmr.int8, 4)) }
                    td {
                        @match errors.fnmr_change {
                            None => "float has no false non-match",
                            Some(Interval { value, low, high }) => { (signed(value)) " % " small { (signed(low)) " to " (signed(high)) } }
                        }
                    }
                }
            }))
        }
    }
}

fn mixture(budget: &DropBudget) -> Markup {
    html! {
        section {
            h2 { "Budget" }
            p.quiet {
                "mAP may drop by " (fixed(budget.max_map_drop * 100.0, 2)) " points. "
                (Count(budget.kept.len(), "layer stays float", "layers stay float"))
                ": the fewest of the most harmful for which the measured drop is within the budget. The interval may exceed it: this is no proof that other queries lose as little."
            }
            (table("Budget", &["layers kept float", "drop of mAP, points", "within the budget"], &html! {
                @for trial in &budget.trials {
                    @let within = trial.map_drop.value <= budget.max_map_drop;
                    tr { th { (trial.kept) } td { (points(trial.map_drop)) } td { (if within { "yes" } else { "no" }) } }
                }
            }))
        }
    }
}

fn harm(sensitivity: &SensitivityReport, kept: &[String]) -> Markup {
    let most = sensitivity
        .layers
        .iter()
        .map(|harm| harm.loss)
        .fold(1e-12, f64::max);
    html! {
        section {
            h2 { "Sensitivity" }
            p.quiet {
                "One layer quantised, all others float, on " (Count(sensitivity.crops, "crop", "crops"))
                ": how far the embeddings turn (1 less the mean cosine). "
                span.key {} " quantised, " span.key.kept {} " stays float in this file."
            }
            (table("Sensitivity", &["layer", "1 - mean cosine", "least cosine", "drop of mAP, points"], &html! {
                @for harm in &sensitivity.layers {
                    @let width = (harm.loss / most).clamp(0.0, 1.0) * 160.0 + 1.0;
                    tr {
                        th { (harm.layer) }
                        td { span.bar.kept[kept.contains(&harm.layer)] style=(format!("width:{width:.0}px")) {} (format_args!(" {:.2e}", harm.loss)) }
                        td { (fixed(harm.cosine_min, 6)) }
                        td { (fixed(harm.map_drop * 100.0, 2)) }
                    }
                }
            }))
        }
    }
}

fn size(report: &AccuracyReport) -> Markup {
    let prices = [report.evaluation.before, report.evaluation.after];
    let row = |what: &str, of: fn(&PrecisionCost) -> u64| {
        html! { tr { th { (what) } @for price in &prices { td { (Thousands(of(price))) } } } }
    };
    html! {
        section {
            h2 { "Size and operations" }
            p.quiet { "Counted, not timed: the time depends on the device and is measured there, with reid bench." }
            (table("Size and operations", &["quantity", "float", "written"], &html! {
                (row("Bytes of all parameters", |price| price.bytes))
                (row("of them float weights", |price| price.bytes_float))
                (row("Convolutions and products", |price| price.layers as u64))
                (row("of them float", |price| price.layers_float as u64))
                (row("Multiply-accumulates a crop", |price| price.macs))
                (row("of them float", |price| price.macs_float))
                tr {
                    th { "Share of the multiply-accumulates that is float" }
                    @for price in prices { td { (percent(price.share_float(), 2)) } }
                }
                @if let Some(bytes) = report.file_bytes {
                    tr { th { "Bytes of the file" } td {} td { (Thousands(bytes)) } }
                }
            }))
        }
    }
}

fn collapse(of: &CollapseCheck) -> Markup {
    html! {
        section {
            h2 { "Collapse check" }
            p.quiet { "On " (Count(of.crops, "crop", "crops")) ": a network that does not tell persons apart is not written." }
            (table("Collapse check", &["measure", "float", "quantised"], &html! {
                tr { th { "Mean cosine of different persons" } td { (fixed(of.different_persons.float, 4)) } td { (fixed(of.different_persons.int8, 4)) } }
                tr { th { "Effective rank of the embeddings" } td { (fixed(of.rank.float, 4)) } td { (fixed(of.rank.int8, 4)) } }
                tr { th { "Cosine to float: mean, least" } td { (fixed(of.cosine_mean, 6)) } td { (fixed(of.cosine_min, 6)) } }
            }))
        }
    }
}

fn thresholds(open_set: &OpenSet) -> Markup {
    let (equal, curve) = (&open_set.equal_error, &open_set.curve);
    let shares = |share: fn(&OperatingPoint) -> f64| {
        curve
            .iter()
            .map(move |point| [point.threshold.into(), share(point) * 100.0])
    };
    let ends = [curve.first(), curve.last()];
    let ends = ends.map(|point| point.map_or(0.0, |point| point.threshold.into()));
    let plot = Plot {
        x: Axis::new(ends, [60.0, 620.0]),
        y: Axis::new([0.0, 100.0], [220.0, 10.0]),
    };
    html! {
        section {
            h2 { "Thresholds" }
            p.quiet {
                "Of the file that was written, as in its metadata. " span.key {} " unknown persons who are identified (FPIR), "
                span.key.kept {} " enrolled persons who are missed (FNIR), in percent, by the cosine from which on a person counts as identified. Closest to equal at "
                (fixed(equal.threshold.into(), 4)) ": " (percent(equal.fpir, 2)) " and " (percent(equal.fnir, 2)) ". From "
                (Thousands(open_set.mate_searches)) " searches for enrolled persons and " (Thousands(open_set.non_mate_searches))
                " for persons taken out of the gallery."
            }
            div.card {
                (drawing("large", [640.0, 264.0], "FPIR and FNIR in percent by threshold", &html! {
                    (plot.axes([6.0, 5.0], "threshold"))
                    (plot.line("own", shares(|point| point.fpir)))
                    (plot.line("other", shares(|point| point.fnir)))
                }))
            }
            @if !open_set.operating.is_empty() {
                (table("Operating points", &["FPIR wanted", "threshold", "FPIR", "FNIR"], &html! {
                    @for at in &open_set.operating {
                        tr {
                            th { "at most " (at.target * 100.0) " %" }
                            td { (fixed(at.point.threshold.into(), 4)) }
                            td { (percent(at.point.fpir, 2)) }
                            td { (percent(at.point.fnir, 2)) }
                        }
                    }
                }))
            }
        }
    }
}

fn layers(layers: &[LayerReport]) -> Markup {
    html! {
        section {
            h2 { "Layers" }
            p.quiet {
                "What the calibration images gave at each result. SQNR: power of the signal over that of the rounding error, in dB; 6 dB more are one bit more. Heights are square roots; "
                span.key.cut {} " is cut off by the range."
            }
            (table("Layers", &["layer", "results", "range, method", "scale, zero point", "SQNR, MSE", "SQNR of the weight", "MACs", "weights"], &html! {
                @for layer in layers {
                    tr {
                        th { (layer.name) " " small { (layer.op) @if layer.float { ", float" } } }
                        td { @if let Some(bars) = &layer.histogram { (histogram(bars, layer.range)) } }
                        td { @if let Some([low, high]) = layer.range { (format_args!("{low:.4} to {high:.4} ")) small { (layer.method) } } }
                        td { @if let Some(scale) = layer.scale { (format_args!("{scale:.6e} ")) @if let Some(zero) = layer.zero { small { (zero) } } } }
                        td { @if let Some(sqnr) = layer.sqnr { (fixed(sqnr, 1)) " dB " } @if let Some(mse) = layer.mse { small { (format_args!("{mse:.3e}")) } } }
                        td { @if let Some(sqnr) = layer.weight_sqnr { (fixed(sqnr, 1)) " dB" } }
                        td { (Thousands(layer.macs)) }
                        td { (Thousands(layer.weights)) }
                    }
                }
            }))
        }
    }
}

/// How results are distributed, from the least to the greatest; what the range cuts off is marked.
fn histogram(bars: &Bins, range: Option<[f32; 2]>) -> Markup {
    let end = bars.from + bars.width * bars.counts.len() as f32;
    let numbers: u64 = bars.counts.iter().sum();
    let label = format!(
        "{} to {end}, {numbers} numbers and {} zeros",
        bars.from, bars.zeros
    );
    let histogram = Histogram {
        from: bars.from.into(),
        width: bars.width.into(),
        counts: &bars.counts,
    };
    let range = range.map(|range| range.map(f64::from));
    let cut = |[left, right]: [f64; 2]| range.is_some_and(|[low, high]| right < low || left > high);
    let axis = histogram.range().unwrap_or([0.0, 1.0]);
    histogram.small(&label, axis, None, cut)
}

fn worst(comparison: &Comparison, mut open: impl FnMut(&str) -> Result<Crop>) -> Markup {
    html! {
        section {
            h2 { "Crops that moved most" }
            p.quiet { "Cosine between the two embeddings of a crop. Look for what these crops share: if all are dark, cut off or of one camera, the calibration images lack it." }
            div.crops {
                @for moved in &comparison.cosine.worst {
                    @let jpeg = open(&moved.path).and_then(|crop| crop.within(HEIGHT)?.jpeg()).ok();
                    (figure(jpeg.as_deref(), &moved.path, "", &html! { b { (fixed(moved.cosine, 6)) } bdi { (moved.path) } }))
                }
            }
        }
    }
}

/// What has to be typed to get the same again.
fn repeat(report: &AccuracyReport) -> Markup {
    let seeds = report
        .seeds
        .iter()
        .map(|(what, seed)| format!("{what} {seed}"));
    let seeds: Vec<String> = seeds.collect();
    html! {
        section {
            h2 { "Repeat this export" }
            div.card {
                pre { (report.command_line()) }
                @if !seeds.is_empty() { p.quiet { "Seeds: " (seeds.join(", ")) } }
            }
        }
    }
}
