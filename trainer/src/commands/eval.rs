//! `trainer eval`: retrieval scores of a float network.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;
use trainer::data::dataset::{Dataset, DatasetLayout, DatasetOptions};
use trainer::evaluate::clusters::{Clusters, clusters};
use trainer::evaluate::projection::projection;
use trainer::evaluate::{self, EvalSettings, Feature, Metric, ScoreTable, TestSet};
use trainer::picture::{Crop, scatter, sheet};
use trainer::torch::Module;
use trainer::torch::extract::{self, ExtractOptions};

use super::NetworkArgs;
use super::hardware::Hardware;

/// Evaluate a network on labelled images: rank-1, rank-5, rank-10, mAP, mINP
///
/// The protocol is that of Market-1501: gallery images of the query's person by the query's camera are
/// ignored.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Eval {
    /// A checkpoint, published weights (.pth, .safetensors), or a float .onnx
    #[arg(long, value_name = "W")]
    weights: PathBuf,
    /// Folder of the data set; several are joined
    #[arg(long, required = true, value_name = "DIR", num_args = 1..)]
    data: Vec<PathBuf>,
    /// More data sets, evaluated on their own, one row for each
    #[arg(long, value_name = "DIR", num_args = 1..)]
    cross: Vec<PathBuf>,
    /// Layout of the folders [default: recognised by their content]
    #[arg(long, value_enum)]
    layout: Option<DatasetLayout>,
    /// Feature before (ft) or after the neck (fi) [default: fi if there is a neck]
    #[arg(long, value_enum)]
    feature: Option<Feature>,
    /// Distance of features
    #[arg(long, value_enum, default_value = "cosine")]
    metric: Metric,
    /// Evaluate both features by both metrics, one row for each
    #[arg(long, conflicts_with_all = ["feature", "metric"])]
    necks: bool,
    /// Add scores after k-reciprocal re-ranking (k1 20, k2 6, lambda 0.3)
    #[arg(long)]
    rerank: bool,
    #[command(flatten)]
    network: NetworkArgs,
    /// Images in a batch
    #[arg(long, value_name = "N", default_value_t = 64)]
    batch_size: usize,
    /// Output: SVG of queries and their first answers
    #[arg(long, value_name = "FILE")]
    sheet: Option<PathBuf>,
    /// Output: SVG of the gallery features in two dimensions
    #[arg(long, value_name = "FILE")]
    scatter: Option<PathBuf>,
    #[command(flatten)]
    hardware: Hardware,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  trainer eval --weights runs/bot/final.safetensors --data Market-1501 --rerank
  trainer eval --weights osnet_x0_25_market1501.pth --data Market-1501 --cross MSMT17_V1 CUHK03-NP
  trainer eval --weights final.safetensors --data shop --necks --sheet answers.svg";

/// Queries on a sheet, and answers to each.
const QUERIES: usize = 24;
const ANSWERS: usize = 10;

#[derive(Serialize)]
struct Report {
    schema: u32,
    #[serde(flatten)]
    table: ScoreTable,
    /// Distances within and between the identities of the gallery.
    clusters: Clusters,
}

impl Eval {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let device = self.hardware.open()?;
        let opened = self.network.open(&self.weights)?;
        for fresh in &opened.report.fresh {
            tracing::warn!("{} is not in the file: {}", fresh.ours, fresh.reason);
        }
        let options = DatasetOptions {
            layout: self.layout,
            ..DatasetOptions::default()
        };
        let mut sets = vec![super::noted(Dataset::open_all(&self.data, &options)?)];
        for folder in &self.cross {
            sets.push(super::noted(Dataset::open(folder, &options)?));
        }
        let module = Module::new(&opened.net, device, self.hardware.precision())?;
        let reading = ExtractOptions {
            preprocessing: &opened.info.preprocessing,
            batch: self.batch_size,
            loader: self.hardware.loader(),
        };
        let images: usize = sets
            .iter()
            .map(|set| set.query.len() + set.gallery.len())
            .sum();
        let bar = cli::progress(Some(images as u64), "images");
        let tests = sets
            .iter()
            .map(|set| test(&module, set, reading, &bar))
            .collect::<anyhow::Result<Vec<TestSet>>>()?;
        bar.finish_and_clear();

        let settings = EvalSettings {
            feature: self.feature.unwrap_or(tests[0].best_feature()),
            metric: self.metric,
            rerank: self.rerank,
        };
        let table = if self.necks {
            let rows = tests.iter().map(|set| evaluate::necks(set, self.rerank));
            let tables = rows.collect::<trainer::Result<Vec<ScoreTable>>>()?;
            ScoreTable {
                rows: tables.into_iter().flat_map(|table| table.rows).collect(),
            }
        } else {
            evaluate::cross(&tests, settings)?
        };
        let gallery = &tests[0].gallery;
        let feature = gallery
            .feature(settings.feature)
            .context("the network has no neck: ft is its only feature")?;
        let clusters = clusters(feature, gallery.labels())?;
        self.draw(&tests[0], settings)?;
        if self.json {
            return cli::json(&Report {
                schema: 1,
                table,
                clusters,
            });
        }
        let mut lines = table.lines();
        lines.push(clusters.to_string());
        cli::lines(lines)
    }

    fn draw(&self, test: &TestSet, settings: EvalSettings) -> anyhow::Result<()> {
        let write = |path: &PathBuf, picture: String| {
            cli::private::write(path, picture).with_context(|| path.display().to_string())
        };
        if let Some(path) = &self.sheet {
            let count = test.query.labels().len();
            let queries: Vec<usize> = (0..count).step_by(count.div_ceil(QUERIES)).collect();
            let EvalSettings {
                feature, metric, ..
            } = settings;
            let open = |name: &str| Crop::open(name);
            write(
                path,
                sheet::results(test, feature, metric, &queries, ANSWERS, open)?,
            )?;
        }
        if let Some(path) = &self.scatter {
            let gallery = &test.gallery;
            let points = gallery
                .feature(settings.feature)
                .context("the network has no such feature")?;
            let title = format!("{}, gallery", test.name);
            let picture = scatter::scatter(&title, &projection(points)?, gallery.labels())?;
            write(path, picture)?;
        }
        Ok(())
    }
}

fn test(
    module: &Module,
    set: &Dataset,
    reading: ExtractOptions<'_>,
    bar: &ProgressBar,
) -> anyhow::Result<TestSet> {
    Ok(extract::test_set(module, set, reading, |images| {
        bar.inc(images as u64);
    })?)
}
