//! `reid model`: what a model file contains, and whether this device computes it correctly.

mod verify;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use network::metadata::{Calibration, ModelMetadata, Quantisation};
use network::model::file_identity;
use serde::Serialize;

use super::ModelArgs;

/// Inspect or verify a model file.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  reid model inspect person.onnx\n  reid model verify person.onnx"
)]
pub(super) struct ModelCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(Inspect),
    Verify(verify::Verify),
}

/// Print a model's input, output, cost, origin and metadata.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid model inspect person.onnx --json")]
struct Inspect {
    /// The model, an ONNX file
    file: std::path::PathBuf,
    /// Sidecar with pre-processing for models without metadata [default: FILE.toml beside the model,
    /// if it exists]
    #[arg(long, value_name = "FILE.toml")]
    sidecar: Option<std::path::PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    path: String,
    file: String,
    digest: Option<&'a str>,
    bytes: u64,
    space: &'a str,
    parameters: u64,
    macs: u64,
    nodes_in_file: usize,
    nodes_folded: usize,
    operators: BTreeMap<&'static str, usize>,
    metadata: &'a ModelMetadata,
    notes: &'a [String],
}

impl ModelCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Inspect(inspect) => inspect.run(),
            Command::Verify(verify) => verify.run(),
        }
    }
}

impl Inspect {
    fn run(self) -> anyhow::Result<ExitCode> {
        let args = ModelArgs {
            model: self.file,
            sidecar: self.sidecar,
            resize: None,
        };
        let model = args.read()?;
        let mut operators = BTreeMap::new();
        for node in model.graph.nodes() {
            *operators.entry(node.op.onnx_name()).or_default() += 1;
        }
        let cost = model.graph.cost();
        let report = Report {
            schema: 2,
            path: args.model.display().to_string(),
            file: file_identity(&args.model)?,
            digest: model.digest.as_deref(),
            bytes: std::fs::metadata(&args.model)?.len(),
            space: model.space(),
            parameters: cost.parameters,
            macs: cost.macs,
            nodes_in_file: model.nodes_in_file,
            nodes_folded: model.graph.nodes().len(),
            operators,
            metadata: &model.metadata,
            notes: &model.warnings,
        };
        cli::report(self.json, &report, Report::text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Report<'_> {
    fn text(&self) -> Vec<String> {
        let metadata = self.metadata;
        let operators: Vec<String> = self
            .operators
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        let weights = &metadata.weights;
        let stated = |text: Option<&str>| text.unwrap_or("not stated").to_owned();
        let datasets = Some(weights.datasets.join(", ")).filter(|list| !list.is_empty());
        let mut rows = vec![
            ("model", format!("{} ({} bytes)", self.path, self.bytes)),
            ("file", self.file.clone()),
            ("space", self.space.to_owned()),
            ("net", stated(metadata.net.as_deref())),
            ("input", metadata.preprocessing.to_string()),
            (
                "embedding",
                format!(
                    "{} numbers, output `{}`, cosine",
                    metadata.embedding.dim, metadata.embedding.output
                ),
            ),
            (
                "nodes",
                format!("{}, folded to {}", self.nodes_in_file, self.nodes_folded),
            ),
            ("operators", operators.join(", ")),
            ("parameters", self.parameters.to_string()),
            (
                "MACs a crop",
                format!("{:.1} million", self.macs as f64 / 1e6),
            ),
            ("trained on", stated(datasets.as_deref())),
            ("licence", stated(weights.licence.as_deref())),
        ];
        rows.extend(self.integrity());
        let rows = rows.into_iter().map(|(key, value)| [key.to_owned(), value]);
        let mut lines = cli::table(&rows.collect::<Vec<_>>());
        lines.extend(metadata.thresholds.iter().map(|at| {
            format!(
                "threshold {:.3}: FPIR {:.4}, FNIR {:.4}",
                at.threshold, at.fpir, at.fnir
            )
        }));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }

    /// How it was quantised, its self-test and its digest.
    fn integrity(&self) -> Vec<(&'static str, String)> {
        let metadata = self.metadata;
        let mut rows = Vec::new();
        if let Some(quantisation) = &metadata.quantisation {
            let Quantisation {
                scheme,
                layout,
                exact_until,
                calibration: Calibration { method, crops },
                float_layers,
            } = quantisation;
            rows.push((
                "quantised",
                format!(
                    "{scheme}, layout {layout}, ranges by {method} on {}; the same integers \
                     everywhere up to `{exact_until}`",
                    cli::count(*crops, "crop")
                ),
            ));
            if !float_layers.is_empty() {
                rows.push(("float layers", float_layers.join(", ")));
            }
        }
        let self_test = metadata.self_test.as_ref().map(|test| {
            let exact = test.exact.as_ref().map(|exact| {
                format!(
                    "; integers: {} equal, cosine at least {}",
                    cli::count(exact.steps.len(), "step"),
                    exact.cosine
                )
            });
            format!(
                "{}; floats: cosine at least {}{}",
                cli::count(test.golden.count, "golden crop"),
                test.close,
                exact.unwrap_or_default()
            )
        });
        rows.push(("self-test", self_test.unwrap_or_else(|| "none".to_owned())));
        rows.push(("digest", digest_text(self.digest)));
        rows
    }
}

/// The digest that a file states, for people.
fn digest_text(digest: Option<&str>) -> String {
    digest.map_or_else(
        || "none".to_owned(),
        |digest| format!("sha256 {digest}, as stated in the file"),
    )
}
