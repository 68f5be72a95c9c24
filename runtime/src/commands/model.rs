//! `reid model`: what a model file is.

mod verify;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use network::metadata::{Calibration, ModelMetadata, Quantisation};
use network::model::file_identity;
use serde::Serialize;

use super::{ModelArgs, Outcome};

/// Look at a model file.
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

/// Say what a model reads and gives, what it costs, and what travels with it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid model inspect person.onnx --json")]
struct Inspect {
    /// The model, an ONNX file
    file: std::path::PathBuf,
    /// What the model says nothing of [default: FILE.toml beside it, if there is one]
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
    seal: Option<&'a str>,
    bytes: u64,
    space: &'a str,
    parameters: u64,
    macs: u64,
    nodes_in_file: usize,
    nodes_folded: usize,
    operators: BTreeMap<&'static str, usize>,
    contract: &'a ModelMetadata,
    notes: &'a [String],
}

impl ModelCommand {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self.command {
            Command::Inspect(inspect) => inspect.run(),
            Command::Verify(verify) => verify.run(),
        }
    }
}

impl Inspect {
    fn run(self) -> anyhow::Result<Outcome> {
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
            schema: 1,
            path: args.model.display().to_string(),
            file: file_identity(&args.model)?,
            seal: model.digest.as_deref(),
            bytes: std::fs::metadata(&args.model)?.len(),
            space: model.space(),
            parameters: cost.parameters,
            macs: cost.macs,
            nodes_in_file: model.nodes_in_file,
            nodes_folded: model.graph.nodes().len(),
            operators,
            contract: &model.metadata,
            notes: &model.warnings,
        };
        if self.json {
            cli::json(&report)?;
        } else {
            cli::lines(report.text())?;
        }
        Ok(Outcome::Done)
    }
}

impl Report<'_> {
    fn text(&self) -> Vec<String> {
        let contract = self.contract;
        let operators: Vec<String> = self
            .operators
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        let weights = &contract.weights;
        let said = |text: Option<&str>| text.unwrap_or("not stated").to_owned();
        let datasets = Some(weights.datasets.join(", ")).filter(|list| !list.is_empty());
        let mut rows = vec![
            ("model", format!("{} ({} bytes)", self.path, self.bytes)),
            ("file", self.file.clone()),
            ("space", self.space.to_owned()),
            ("net", said(contract.net.as_deref())),
            ("input", contract.preprocessing.to_string()),
            (
                "embedding",
                format!(
                    "{} numbers, output `{}`, cosine",
                    contract.embedding.dim, contract.embedding.output
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
            ("trained on", said(datasets.as_deref())),
            ("licence", said(weights.licence.as_deref())),
        ];
        rows.extend(self.proof());
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(key, value)| vec![key.to_owned(), value])
            .collect();
        let mut lines = cli::table(&rows);
        lines.extend(contract.thresholds.iter().map(|at| {
            format!(
                "threshold {:.3}: FPIR {:.4}, FNIR {:.4}",
                at.threshold, at.fpir, at.fnir
            )
        }));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines
    }

    /// How it was quantised, and what proves that a device computes it rightly.
    fn proof(&self) -> Vec<(&'static str, String)> {
        let contract = self.contract;
        let mut rows = Vec::new();
        if let Some(quantisation) = &contract.quantisation {
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
                rows.push(("layers in floats", float_layers.join(", ")));
            }
        }
        let receipt = contract.self_test.as_ref().map(|receipt| {
            let exact = receipt.exact.as_ref().map(|exact| {
                format!(
                    "; integers: {} equal, cosine at least {}",
                    cli::count(exact.steps.len(), "step"),
                    exact.cosine
                )
            });
            format!(
                "{}; floats: cosine at least {}{}",
                cli::count(receipt.golden.count, "golden crop"),
                receipt.close,
                exact.unwrap_or_default()
            )
        });
        rows.push(("receipt", receipt.unwrap_or_else(|| "none".to_owned())));
        let seal = self
            .seal
            .map(|seal| format!("sha256 {seal}, as the file states"));
        rows.push(("seal", seal.unwrap_or_else(|| "none".to_owned())));
        rows
    }
}
