//! `trainer export --eval`: accuracy of the exported network on labelled images.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use network::graph::Graph;
use retrieval::{Embeddings, Labelled, Metric, metrics};
use trainer::accuracy::bootstrap::{Bootstrap, Interval};
use trainer::accuracy::budget::PrecisionCost;
use trainer::accuracy::collapse;
use trainer::accuracy::evaluate::{EvaluateOptions, Quantiser, evaluate_quantised};
use trainer::accuracy::report::{AccuracyReport, Evaluation, LayerReport, Settings};
use trainer::accuracy::{CompareSettings, Comparison, TestEmbeddings, embed, thresholds};
use trainer::data::dataset::{Dataset, DatasetOptions, Image};
use trainer::export::Exported;
use trainer::export::device::DeviceNetwork;

#[derive(Debug, Args)]
#[command(next_help_heading = "Accuracy")]
pub(super) struct AccuracyArgs {
    /// Data set to evaluate on (queries and gallery); FPIR and FNIR by threshold are stored in the file
    #[arg(long, value_name = "DIR")]
    eval: Option<PathBuf>,
    /// Allowed drop of mAP, 0 to 1: the most sensitive layers stay float until it is met
    #[arg(long, value_name = "X", requires = "eval", value_parser = share)]
    max_map_drop: Option<f64>,
    /// Measure the drop from quantising each layer alone
    #[arg(long, requires = "eval")]
    sensitivity: bool,
    /// Most images for the sensitivity
    #[arg(long, value_name = "N", default_value_t = 128)]
    sensitivity_images: usize,
    /// False match rate of the float network that sets the threshold of the comparison, 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, value_parser = share)]
    fmr: f64,
    /// Resamples for the confidence intervals, at least 100
    #[arg(long, value_name = "N", default_value_t = 2000)]
    resamples: usize,
    /// Seed of the resamples
    #[arg(long, value_name = "N", default_value_t = 1)]
    resample_seed: u64,
    /// Output folder for report.json and report.html
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// A share of 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "wanted a share of 0 to 1, for example 0.003".to_owned())
}

impl AccuracyArgs {
    /// Evaluates the network before it is written. With a quantiser, `exported` becomes the quantised
    /// network, which is compared with the float one on `--eval`, or else passes the collapse check on
    /// `images`. The threshold curve is stored in the metadata.
    pub(super) fn run(
        &self,
        exported: &mut Exported,
        quantiser: Option<Quantiser<'_>>,
        images: &[PathBuf],
    ) -> anyhow::Result<Evaluation> {
        if quantiser.is_none() && (self.sensitivity || self.max_map_drop.is_some()) {
            bail!("--sensitivity and --max-map-drop need --quantize");
        }
        let before = PrecisionCost::of(&exported.graph);
        let mut found = Evaluation {
            before,
            after: before,
            ..Evaluation::default()
        };
        let preprocessing = exported.metadata.preprocessing;
        let embed = |graph: &Graph, images: &[Image]| {
            let bar = cli::progress(Some(images.len() as u64), "images embedded");
            // One thread for each image.
            let network = DeviceNetwork::new(graph, &preprocessing, 1)?;
            let worker = || {
                let mut worker = network.worker()?;
                Ok(move |crop: &[u8]| worker.embed(crop))
            };
            let seen = || bar.inc(1);
            embed::embed_images(images, &preprocessing, embed::threads(), worker, seen)
        };
        let set = self.eval.as_deref().map(open).transpose()?;
        match (set, quantiser) {
            (None, None) => {}
            (Some(set), None) => {
                let embedded = TestEmbeddings::of(&set, |images| embed(&exported.graph, images))?;
                let (open_set, points) = thresholds(&set, &embedded)?;
                exported.metadata.thresholds = points;
                found.retrieval = Some(retrieval(&set, &embedded)?);
                found.open_set = Some(open_set);
            }
            (None, Some(quantiser)) => {
                let graph = (quantiser.all_but)(&[])?;
                let images = embed::unlabelled(images);
                let names: Vec<String> = images
                    .iter()
                    .map(|image| image.path.display().to_string())
                    .collect();
                let [float, int8] = [embed(&exported.graph, &images)?, embed(&graph, &images)?];
                found.collapse = Some(collapse::check(&float, &int8, &names, None)?);
                exported.graph = graph;
            }
            (Some(set), Some(quantiser)) => {
                let wanted = EvaluateOptions {
                    settings: self.settings(),
                    images: self.sensitivity_images,
                    sensitivity: self.sensitivity,
                    max_map_drop: self.max_map_drop,
                };
                let evaluated =
                    evaluate_quantised(&set, &exported.graph, quantiser, embed, wanted)?;
                exported.graph = evaluated.graph;
                exported.metadata.thresholds = evaluated.thresholds;
                found = Evaluation {
                    before,
                    ..evaluated.evaluation
                };
            }
        }
        found.after = PrecisionCost::of(&exported.graph);
        Ok(found)
    }

    fn settings(&self) -> CompareSettings {
        CompareSettings {
            bootstrap: Bootstrap {
                resamples: self.resamples,
                seed: self.resample_seed,
            },
            fmr: self.fmr,
        }
    }

    /// Writes the report on the file at `out`, if requested.
    pub(super) fn write(
        &self,
        exported: &Exported,
        out: &Path,
        evaluation: &Evaluation,
        quantiser: Option<(Settings, Vec<LayerReport>)>,
    ) -> anyhow::Result<()> {
        let Some(folder) = &self.report else {
            return Ok(());
        };
        let net = exported.metadata.net.as_deref().unwrap_or("network");
        let file = out.display().to_string();
        let mut report = AccuracyReport::new(net, &file, evaluation.clone());
        let words = std::env::args_os();
        report.command = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        if evaluation.comparison.is_some() {
            let seed = ("resamples".to_owned(), self.resample_seed);
            report.seeds.push(seed);
        }
        (report.settings, report.layers) = quantiser.unwrap_or_default();
        let preprocessing = exported.metadata.preprocessing.to_string();
        let preprocessing = ("Pre-processing".to_owned(), preprocessing);
        report.settings.push(preprocessing);
        report.file_bytes = std::fs::metadata(out).ok().map(|file| file.len());
        Ok(report.write(folder)?)
    }
}

/// A data set with queries and a gallery.
fn open(folder: &Path) -> anyhow::Result<Dataset> {
    let set = super::super::noted(Dataset::open(folder, &DatasetOptions::default())?);
    if set.query.is_empty() || set.gallery.is_empty() {
        bail!(
            "{}: {} and {} to evaluate on, wanted at least one of each",
            folder.display(),
            cli::count(set.query.len(), "query").replace("querys", "queries"),
            cli::count(set.gallery.len(), "gallery image")
        );
    }
    Ok(set)
}

fn retrieval(set: &Dataset, embedded: &TestEmbeddings) -> anyhow::Result<[f64; 3]> {
    let side = |images: &[Image], embeddings: &Embeddings| {
        let labels: Vec<_> = images.iter().map(|image| image.label).collect();
        (embeddings.clone(), labels)
    };
    let sides = [
        side(&set.query, &embedded.query),
        side(&set.gallery, &embedded.gallery),
    ];
    let [query, gallery] =
        [&sides[0], &sides[1]].map(|(embeddings, labels)| Labelled { embeddings, labels });
    let scores =
        metrics::evaluate(&query, &gallery, Metric::Cosine).with_context(|| set.name.clone())?;
    Ok([scores.rank1, scores.map, scores.minp])
}

/// The results as text; empty if nothing was measured.
pub(super) fn text(found: &Evaluation) -> Vec<String> {
    let mut lines = Vec::new();
    match (&found.comparison, found.retrieval) {
        (Some(comparison), _) => lines.extend(comparison_text(comparison)),
        (None, Some([rank1, map, minp])) => lines.push(format!(
            "rank-1 {:.2} %, mAP {:.2} %, mINP {:.2} %",
            rank1 * 100.0,
            map * 100.0,
            minp * 100.0
        )),
        (None, None) => {}
    }
    if let (None, Some(collapse)) = (&found.comparison, &found.collapse) {
        lines.push(format!(
            "cosine to float: mean {:.5}, least {:.5}, on {}",
            collapse.cosine_mean,
            collapse.cosine_min,
            cli::count(collapse.crops, "image")
        ));
    }
    if let Some(open_set) = &found.open_set {
        let lowest = open_set.operating.iter().find(|at| at.target == 0.01);
        lines.push(match lowest {
                Some(at) => format!(
                    "threshold {:.3}: FPIR {:.1} % (unknown persons identified), FNIR {:.1} % (enrolled persons missed)",
                    at.point.threshold,
                    at.point.fpir * 100.0,
                    at.point.fnir * 100.0
                ),
                None => format!(
                    "no threshold for an FPIR of 1 %: {} of unknown persons are too few",
                    cli::count(open_set.non_mate_searches, "search").replace("searchs", "searches")
                ),
            });
    }
    if let Some(budget) = &found.budget {
        lines.push(format!(
            "kept float to meet the budget: {}",
            match budget.kept.as_slice() {
                [] => "nothing".to_owned(),
                kept => kept.join(", "),
            }
        ));
    }
    if found.after != found.before {
        lines.push(format!(
                "parameters {} -> {} bytes; {:.1} % of the multiply-accumulates in {} of {} layers stay float",
                found.before.bytes,
                found.after.bytes,
                found.after.share_float() * 100.0,
                found.after.layers_float,
                found.after.layers
            ));
    }
    lines
}

/// Float, quantised and drop, each with its interval.
fn comparison_text(comparison: &Comparison) -> Vec<String> {
    let cell = |Interval { value, low, high }: Interval| {
        let [value, low, high] = [value, low, high].map(|share| share * 100.0);
        format!("{value:.2} ({low:.2} to {high:.2})")
    };
    let mut rows = vec![
        ["%", "float", "quantised", "drop"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (name, compared) in [
        ("rank-1", comparison.rank1),
        ("mAP", comparison.map),
        ("mINP", comparison.minp),
    ] {
        let cells = [compared.float, compared.int8, compared.drop].map(cell);
        rows.push([vec![name.to_owned()], cells.to_vec()].concat());
    }
    if let Some(errors) = &comparison.errors {
        for (name, pair) in [("FMR", errors.fmr), ("FNMR", errors.fnmr)] {
            rows.push(vec![name.to_owned(), cell(pair.float), cell(pair.int8)]);
        }
    }
    let mut lines = cli::table(&rows);
    lines.push(match (&comparison.errors, &comparison.no_errors) {
        (Some(errors), _) => format!(
            "FMR and FNMR at cosine {:.4}{}",
            errors.threshold,
            errors
                .fnmr_change
                .map_or_else(String::new, |change| format!(
                    "; relative change of FNMR {:+.1} % ({:+.1} to {:+.1})",
                    change.value * 100.0,
                    change.low * 100.0,
                    change.high * 100.0
                ))
        ),
        (None, why) => format!("no FMR and FNMR: {}", why.as_deref().unwrap_or("unknown")),
    });
    lines.push(format!(
        "cosine to float: mean {:.5}, least {:.5}; in brackets 95 % of {} resamples of {} queries",
        comparison.cosine.mean,
        comparison.cosine.min,
        comparison.settings.bootstrap.resamples,
        comparison.queries
    ));
    lines
}
