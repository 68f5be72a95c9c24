//! `reid model verify`: whether this device computes what the model's exporter computed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use network::model::file_identity;
use network::self_test::Passed;
use runtime::embed::{self, Verdict};
use serde::Serialize;

use super::super::{DeviceArgs, ModelArgs};

/// Run a model's self-test: each backend embeds the golden crops, and its results are compared with
/// those that the exporter stored.
///
/// A file that has changed since its export is refused before that: it contains its own SHA-256. All
/// backends of this program are tested, or the one that --device names. Results of earlier runs are
/// not used.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Verify {
    /// The model, an ONNX file written by `trainer export`
    file: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  every tested backend passes the self-test
  1  a backend fails, or the file is damaged; stderr gives the reason
  4  the file has no self-test, so nothing was tested

Examples:
  reid model verify person.onnx
  reid model verify person.onnx --device tract --json";

/// Exit code for a file without a self-test.
const NO_SELF_TEST: u8 = 4;

#[derive(Serialize)]
struct Report {
    schema: u32,
    path: String,
    file: String,
    digest: Option<String>,
    /// Whether the file has one.
    self_test: bool,
    /// Whether every backend passed; none without a self-test.
    reproduced: Option<bool>,
    backends: Vec<BackendReport>,
}

/// A backend that was tested.
#[derive(Serialize)]
struct BackendReport {
    device: &'static str,
    backend: String,
    passed: Option<Passed>,
    error: Option<String>,
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let args = ModelArgs {
            model: self.file,
            sidecar: None,
            resize: None,
        };
        let model = args.open()?;
        let self_test = model.metadata.self_test.is_some();
        let verdicts = match self_test {
            true => embed::verify(&model, &self.device.options())?,
            false => Vec::new(),
        };
        let backends: Vec<_> = verdicts.into_iter().map(BackendReport::from).collect();
        let failed: Vec<&str> = backends
            .iter()
            .filter(|backend| backend.passed.is_none())
            .map(|backend| backend.backend.as_str())
            .collect();
        let failed = failed.join(", ");
        let report = Report {
            schema: 2,
            path: args.model.display().to_string(),
            file: file_identity(&args.model)?,
            digest: model.digest,
            self_test,
            reproduced: self_test.then_some(failed.is_empty()),
            backends,
        };
        cli::report(self.json, &report, Report::text)?;
        let path = report.path;
        match report.reproduced {
            Some(true) => Ok(ExitCode::SUCCESS),
            Some(false) => anyhow::bail!("{path}: the self-test fails on {failed}"),
            None => {
                tracing::warn!("{path}: no self-test in the file: `trainer export` writes one");
                Ok(ExitCode::from(NO_SELF_TEST))
            }
        }
    }
}

impl From<Verdict> for BackendReport {
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
        let digest = super::digest_text(self.digest.as_deref());
        let mut rows = vec![
            ["model".to_owned(), self.path.clone()],
            ["digest".to_owned(), digest],
        ];
        if !self.self_test {
            rows.push(["self-test".to_owned(), "none in the file".to_owned()]);
        }
        rows.extend(self.backends.iter().map(|tested| {
            let result = match (&tested.passed, &tested.error) {
                (Some(passed), _) => passed.to_string(),
                (None, error) => format!("failed: {}", error.as_deref().expect("it did not pass")),
            };
            [format!("{} ({})", tested.device, tested.backend), result]
        }));
        cli::table(&rows)
    }
}
