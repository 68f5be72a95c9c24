//! `reid model verify`: whether this device computes what the model's exporter did.

use std::path::PathBuf;

use clap::Args;
use network::model::file_identity;
use network::self_test::Passed;
use runtime::embed::{self, Verdict};
use serde::Serialize;

use super::super::{DeviceArgs, ModelArgs, Outcome};

/// Replay a model's receipt: its golden crops go through each backend, and what comes out is
/// compared with what the exporter wrote down.
///
/// A file that has changed since its export is refused before that: it states its own SHA-256. Every
/// backend of this program is tried, or the one that --device names. Passes that earlier runs have
/// kept do not count here.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Verify {
    /// The model, an ONNX file that `trainer export` has written
    file: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  every backend that was tried reproduces the receipt
  1  one does not, or the file is damaged or carries no receipt; stderr says why

Examples:
  reid model verify person.onnx
  reid model verify person.onnx --device tract --json";

#[derive(Serialize)]
struct Report {
    schema: u32,
    path: String,
    file: String,
    seal: Option<String>,
    reproduced: bool,
    backends: Vec<Backend>,
}

/// A backend that was tried.
#[derive(Serialize)]
struct Backend {
    device: &'static str,
    backend: String,
    passed: Option<Passed>,
    error: Option<String>,
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let args = ModelArgs {
            model: self.file,
            sidecar: None,
            resize: None,
        };
        let model = args.open()?;
        let verdicts = embed::verify(&model, &self.device.options())?;
        let backends: Vec<Backend> = verdicts.into_iter().map(Backend::from).collect();
        let failed: Vec<&str> = backends
            .iter()
            .filter(|backend| backend.passed.is_none())
            .map(|backend| backend.backend.as_str())
            .collect();
        let failed = failed.join(", ");
        let report = Report {
            schema: 1,
            path: args.model.display().to_string(),
            file: file_identity(&args.model)?,
            seal: model.digest,
            reproduced: failed.is_empty(),
            backends,
        };
        if self.json {
            cli::json(&report)?;
        } else {
            cli::lines(report.text())?;
        }
        anyhow::ensure!(
            report.reproduced,
            "{}: its receipt is not reproduced by {failed}",
            report.path
        );
        Ok(Outcome::Done)
    }
}

impl From<Verdict> for Backend {
    fn from(verdict: Verdict) -> Self {
        let (passed, error) = match verdict.result {
            Ok(passed) => (Some(passed), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            device: verdict.device,
            backend: verdict.backend,
            passed,
            error,
        }
    }
}

impl Report {
    fn text(&self) -> Vec<String> {
        let seal = self.seal.as_deref().unwrap_or("none");
        let mut rows = vec![
            vec!["model".to_owned(), self.path.clone()],
            vec!["sha256".to_owned(), format!("{seal}, as the file states")],
        ];
        for backend in &self.backends {
            let verdict = match (&backend.passed, &backend.error) {
                (Some(passed), _) => passed.to_string(),
                (None, error) => format!("refused: {}", error.as_deref().unwrap_or_default()),
            };
            rows.push(vec![
                format!("{} ({})", backend.device, backend.backend),
                verdict,
            ]);
        }
        cli::table(&rows)
    }
}
