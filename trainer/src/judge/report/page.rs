//! The page of a [`Report`].

use std::fmt::Write;

use cli::page::{Escaped, HEAD, STYLE, Thousands};

use super::chart::{self, put};
use super::{Budget, Layer, Report, Sensitivity};
use crate::Result;
use crate::judge::alarm::Both;
use crate::judge::bootstrap::Interval;
use crate::judge::{Compared, Errors, Judgement};
use crate::picture::Crop;

/// The most pixels that a crop is high.
const HEIGHT: usize = 440;

/// The page.
pub(super) fn of(report: &Report, mut open: impl FnMut(&str) -> Result<Crop>) -> String {
    let mut out = HEAD.to_owned();
    put!(
        out,
        "<title>Quantised: {0}</title><style>{STYLE}{1}</style></head><body><main>",
        Escaped(&report.net),
        include_str!("report.css")
    );
    header(&mut out, report);
    if let Some(judgement) = &report.judgement {
        retrieval(&mut out, judgement);
        rates(&mut out, judgement);
    }
    if let Some(budget) = &report.budget {
        mixture(&mut out, budget);
    }
    if let Some(sensitivity) = &report.sensitivity {
        let kept = report.budget.as_ref().map_or(&[][..], |b| &b.kept);
        harm(&mut out, sensitivity, kept);
    }
    size(&mut out, report);
    if let Some(open_set) = &report.open_set {
        put!(
            out,
            r#"<section><h2>Thresholds</h2><p class="quiet">Of the file that was written, as in its contract. <span class="key own"></span> strangers who are taken for somebody (FPIR) <span class="key other"></span> known people who are missed (FNIR), by the cosine from which on somebody counts as recognised. Closest to equal at {:.4}: {:.2} % and {:.2} %. From {} searches for people in the gallery and {} for people taken out of it.</p><div class="card">"#,
            open_set.equal_error.threshold,
            open_set.equal_error.fpir * 100.0,
            open_set.equal_error.fnir * 100.0,
            Thousands(open_set.mate_searches as u64),
            Thousands(open_set.non_mate_searches as u64)
        );
        chart::curve(&mut out, &open_set.curve);
        put!(out, "</div>");
        if !open_set.operating.is_empty() {
            put!(
                out,
                r#"<div class="card scroll"><table><tr><th>Strangers let in</th><th>threshold</th><th>FPIR</th><th>FNIR</th></tr>"#
            );
            for at in &open_set.operating {
                put!(
                    out,
                    "<tr><td>at most {} %</td><td>{:.4}</td><td>{:.2} %</td><td>{:.2} %</td></tr>",
                    at.target * 100.0,
                    at.point.threshold,
                    at.point.fpir * 100.0,
                    at.point.fnir * 100.0
                );
            }
            put!(out, "</table></div>");
        }
        put!(out, "</section>");
    }
    if !report.layers.is_empty() {
        layers(&mut out, &report.layers);
    }
    if let Some(judgement) = &report.judgement {
        worst(&mut out, judgement, &mut open);
    }
    repeat(&mut out, report);
    put!(
        out,
        "<footer>Made by {}. This file may contain pictures of people: keep and pass it on accordingly.</footer></main></body></html>\n",
        Escaped(&report.program)
    );
    out
}

/// A share in percent, and where it would lie with other queries.
fn percent(interval: Interval) -> String {
    let Interval { value, low, high } = interval;
    format!(
        "{:.2} %<small>{:.2} to {:.2}</small>",
        value * 100.0,
        low * 100.0,
        high * 100.0
    )
}

/// A difference of shares in points.
fn points(interval: Interval) -> String {
    percent(interval).replacen(" %", "", 1)
}

/// What was written, and what came of it in a few numbers.
fn header(out: &mut String, report: &Report) {
    put!(
        out,
        r#"<header><h1>{}</h1><p class="source"><bdi>{}</bdi></p><div class="tiles">"#,
        Escaped(&report.net),
        Escaped(&report.file)
    );
    let mut tile = |number: String, what: &str| {
        put!(
            out,
            r#"<div class="tile"><b>{number}</b><span>{what}</span></div>"#
        );
    };
    if let Some(judgement) = &report.judgement {
        let map = judgement.map;
        tile(format!("{:.2} %", map.int8.value * 100.0), "mAP");
        tile(
            format!("{:.2}", map.drop.value * 100.0),
            "points of mAP lost",
        );
        tile(
            format!("{:.4}", judgement.cosine.mean),
            "mean cosine to float",
        );
        if let Some(change) = judgement.errors.and_then(|errors| errors.fnmr_change) {
            tile(
                format!("{:+.1} %", change.value * 100.0),
                "relative, of FNMR",
            );
        }
    }
    let (before, after) = (report.before.bytes, report.after.bytes);
    tile(
        format!("{:.2} ×", before as f64 / after.max(1) as f64),
        "smaller",
    );
    put!(out, r#"</div><dl class="facts">"#);
    for (name, value) in &report.settings {
        put!(
            out,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            Escaped(name),
            Escaped(value)
        );
    }
    put!(out, "</dl>");
    for note in &report.notes {
        put!(out, r#"<p class="alert">{}</p>"#, Escaped(note));
    }
    put!(out, "</header>");
}

fn retrieval(out: &mut String, judgement: &Judgement) {
    put!(
        out,
        r#"<section><h2>Retrieval</h2><p class="quiet">{}: {} with a right answer ({} without), {} images in the gallery. Small numbers: 95 % of {} resamples of the queries (paired bootstrap, seed {}). A drop is float less quantised, in points: an interval that holds 0 cannot tell the two apart.</p><div class="card scroll"><table><tr><th>measure</th><th>float</th><th>quantised</th><th>drop, points</th></tr>"#,
        Escaped(&judgement.set),
        Thousands(judgement.queries as u64),
        Thousands(judgement.skipped as u64),
        Thousands(judgement.gallery as u64),
        Thousands(judgement.settings.bootstrap.resamples as u64),
        judgement.settings.bootstrap.seed
    );
    let rows: [(&str, Compared); 3] = [
        ("rank-1", judgement.rank1),
        ("mAP", judgement.map),
        ("mINP", judgement.minp),
    ];
    for (name, compared) in rows {
        put!(
            out,
            "<tr><td>{name}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            percent(compared.float),
            percent(compared.int8),
            points(compared.drop)
        );
    }
    put!(out, r#"</table></div><div class="card">"#);
    chart::drops(out, &rows.map(|(name, compared)| (name, compared.drop)));
    put!(
        out,
        r#"</div><p class="quiet">Cosine between the two embeddings of a crop, over {}: mean {:.6}, least {:.6}.</p></section>"#,
        cli::count(judgement.cosine.crops, "crop"),
        judgement.cosine.mean,
        judgement.cosine.min
    );
}

fn rates(out: &mut String, judgement: &Judgement) {
    put!(
        out,
        "<section><h2>Error rates at the float network's threshold</h2>"
    );
    let Some(errors) = &judgement.errors else {
        let why = judgement.no_errors.as_deref().unwrap_or("not asked for");
        put!(
            out,
            r#"<p class="quiet">Not measured: {}.</p></section>"#,
            Escaped(why)
        );
        return;
    };
    let Errors {
        asked,
        threshold,
        impostors,
        genuine,
        fmr,
        fnmr,
        fnmr_change,
    } = *errors;
    put!(
        out,
        r#"<p class="quiet">At cosine {threshold:.6}, the lowest at which at most {asked} of the float network's impostor pairs match: {} pairs of two persons, {} pairs of one person by two cameras.</p><div class="card scroll"><table><tr><th>error rate</th><th>float</th><th>quantised</th><th>relative change</th></tr>"#,
        Thousands(impostors),
        Thousands(genuine)
    );
    // A rate of one in ten thousand needs more digits than a share of the queries.
    let rate = |interval: Interval| {
        let Interval { value, low, high } = interval;
        format!(
            "{:.4} %<small>{:.4} to {:.4}</small>",
            value * 100.0,
            low * 100.0,
            high * 100.0
        )
    };
    put!(
        out,
        "<tr><td>false matches (FMR)</td><td>{}</td><td>{}</td><td></td></tr>",
        rate(fmr.float),
        rate(fmr.int8)
    );
    let change = fnmr_change.map_or_else(
        || "float misses nobody".to_owned(),
        |Interval { value, low, high }| {
            format!(
                "{:+.2} %<small>{:+.2} to {:+.2}</small>",
                value * 100.0,
                low * 100.0,
                high * 100.0
            )
        },
    );
    put!(
        out,
        "<tr><td>false non-matches (FNMR)</td><td>{}</td><td>{}</td><td>{change}</td></tr></table></div></section>",
        rate(fnmr.float),
        rate(fnmr.int8)
    );
}

fn mixture(out: &mut String, budget: &Budget) {
    let kept = match budget.kept.as_slice() {
        [] => "No layer had to stay float".to_owned(),
        kept => format!(
            "{} float",
            match kept.len() {
                1 => "1 layer stays".to_owned(),
                n => format!("{n} layers stay"),
            }
        ),
    };
    put!(
        out,
        r#"<section><h2>Budget</h2><p class="quiet">mAP may drop by {:.2} points. {kept}: the fewest of the most harmful for which the measured drop is within. Not its interval: this is no proof that other queries would lose as little.</p><div class="card scroll"><table><tr><th>kept float</th><th>drop of mAP, points</th><th>within</th></tr>"#,
        budget.max_map_drop * 100.0
    );
    for trial in &budget.trials {
        put!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            trial.kept,
            points(trial.map_drop),
            if trial.map_drop.value <= budget.max_map_drop {
                "yes"
            } else {
                "no"
            }
        );
    }
    put!(out, "</table></div></section>");
}

fn harm(out: &mut String, sensitivity: &Sensitivity, kept: &[String]) {
    put!(
        out,
        r#"<section><h2>Sensitivity</h2><p class="quiet">One layer quantised, all others float, on {}: how far the embeddings turn (1 less the mean cosine). <span class="key own"></span> quantised <span class="key other"></span> stays float in this file.</p><div class="card">"#,
        cli::count(sensitivity.crops, "crop")
    );
    chart::sensitivity(out, &sensitivity.layers, kept);
    put!(
        out,
        r#"</div><details class="card scroll"><summary>The same as a table</summary><table><tr><th>layer</th><th>1 - mean cosine</th><th>least cosine</th><th>drop of mAP, points</th></tr>"#
    );
    for layer in &sensitivity.layers {
        put!(
            out,
            "<tr><td>{}</td><td>{:.2e}</td><td>{:.6}</td><td>{:.2}</td></tr>",
            Escaped(&layer.layer),
            layer.loss,
            layer.cosine_min,
            layer.map_drop * 100.0
        );
    }
    put!(out, "</table></details></section>");
}

fn size(out: &mut String, report: &Report) {
    let (before, after) = (report.before, report.after);
    put!(
        out,
        r#"<section><h2>Size and operations</h2><p class="quiet">Counted, not timed: what a layer in float costs depends on the device and is measured there, with reid bench.</p><div class="card scroll"><table><tr><th>quantity</th><th>float</th><th>written</th></tr>"#
    );
    let rows = [
        ("Bytes of all parameters", before.bytes, after.bytes),
        (
            "of them float weights",
            before.bytes_float,
            after.bytes_float,
        ),
        (
            "Convolutions and products",
            before.layers as u64,
            after.layers as u64,
        ),
        (
            "of them float",
            before.layers_float as u64,
            after.layers_float as u64,
        ),
        ("Multiply-accumulates a crop", before.macs, after.macs),
        ("of them float", before.macs_float, after.macs_float),
    ];
    for (what, before, after) in rows {
        put!(
            out,
            "<tr><td>{what}</td><td>{}</td><td>{}</td></tr>",
            Thousands(before),
            Thousands(after)
        );
    }
    put!(
        out,
        "<tr><td>Share of the multiply-accumulates that is float</td><td>{:.2} %</td><td>{:.2} %</td></tr>",
        before.share_float() * 100.0,
        after.share_float() * 100.0
    );
    if let Some(bytes) = report.file_bytes {
        put!(
            out,
            "<tr><td>Bytes of the file</td><td></td><td>{}</td></tr>",
            Thousands(bytes)
        );
    }
    put!(out, "</table></div>");
    if let Some(health) = report.health {
        let both = |Both { float, int8 }: Both| format!("<td>{float:.4}</td><td>{int8:.4}</td>");
        put!(
            out,
            r#"<p class="quiet">Signs of life, on {}: a network that tells nobody apart is not written.</p><div class="card scroll"><table><tr><th>measure</th><th>float</th><th>quantised</th></tr><tr><td>Mean cosine of different persons</td>{}</tr><tr><td>Effective rank of the embeddings</td>{}</tr><tr><td>Cosine to float: mean, least</td><td>{:.6}</td><td>{:.6}</td></tr></table></div>"#,
            cli::count(health.crops, "crop"),
            both(health.strangers),
            both(health.rank),
            health.cosine_mean,
            health.cosine_min
        );
    }
    put!(out, "</section>");
}

fn layers(out: &mut String, layers: &[Layer]) {
    put!(
        out,
        r#"<section><h2>Layers</h2><p class="quiet">What the calibration images gave at each result. SQNR: what is left over what rounding adds, in dB; 6 more are a bit more. Heights are square roots; <span class="key cut"></span> is cut off by the range.</p><div class="card scroll"><table><tr><th>layer</th><th class="word">kind</th><th>range</th><th class="word">method</th><th>scale, zero</th><th>results</th><th>MSE</th><th>SQNR</th><th>of the weight</th><th>MACs</th><th>weights</th></tr>"#
    );
    for layer in layers {
        put!(
            out,
            r#"<tr><td>{}</td><td class="word">{}{}</td>"#,
            Escaped(&layer.name),
            Escaped(&layer.op),
            if layer.float {
                "<small>float</small>"
            } else {
                ""
            }
        );
        match layer.range {
            Some([low, high]) => put!(out, "<td>{low:.4} to {high:.4}</td>"),
            None => put!(out, "<td></td>"),
        }
        put!(
            out,
            r#"<td class="word">{}</td><td>"#,
            Escaped(&layer.method)
        );
        if let Some(scale) = layer.scale {
            put!(out, "{scale:.6e}");
        }
        if let Some(zero) = layer.zero {
            put!(out, "<small>{zero}</small>");
        }
        put!(out, "</td><td>");
        if let Some(bars) = &layer.histogram {
            chart::histogram(out, bars, layer.range);
        }
        put!(out, "</td><td>");
        if let Some(mse) = layer.mse {
            put!(out, "{mse:.3e}");
        }
        put!(out, "</td><td>");
        if let Some(sqnr) = layer.sqnr {
            put!(out, "{sqnr:.1}");
        }
        put!(out, "</td><td>");
        if let Some(sqnr) = layer.weight_sqnr {
            put!(out, "{sqnr:.1}");
        }
        put!(
            out,
            "</td><td>{}</td><td>{}</td></tr>",
            Thousands(layer.macs),
            Thousands(layer.weights)
        );
    }
    put!(out, "</table></div></section>");
}

fn worst(out: &mut String, judgement: &Judgement, open: &mut dyn FnMut(&str) -> Result<Crop>) {
    put!(
        out,
        r#"<section><h2>Crops that moved most</h2><p class="quiet">Cosine between the two embeddings. Look for what they share: all dark, all cut off, all of one camera means that the calibration images lack it.</p><div class="crops">"#
    );
    for moved in &judgement.cosine.worst {
        put!(out, "<figure>");
        if let Ok(data) = open(&moved.path).and_then(|crop| crop.within(HEIGHT)?.data()) {
            put!(out, r#"<img alt="" src="{data}">"#);
        }
        put!(
            out,
            "<figcaption><b>{:.6}</b><bdi>{}</bdi></figcaption></figure>",
            moved.cosine,
            Escaped(&moved.path)
        );
    }
    put!(out, "</div></section>");
}

/// What has to be typed to get the same again.
fn repeat(out: &mut String, report: &Report) {
    if report.command.is_empty() && report.seeds.is_empty() {
        return;
    }
    put!(
        out,
        r#"<section><h2>Once more</h2><div class="card"><pre>{}</pre>"#,
        Escaped(&report.command_line())
    );
    if !report.seeds.is_empty() {
        let seeds: Vec<String> = (report.seeds.iter())
            .map(|(what, seed)| format!("{what} {seed}"))
            .collect();
        put!(
            out,
            r#"<p class="quiet">Seeds: {}</p>"#,
            Escaped(&seeds.join(", "))
        );
    }
    put!(out, "</div></section>");
}
