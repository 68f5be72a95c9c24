//! The accuracy report: `report.json` for programs and `report.html` for people.
//!
//! [`AccuracyReport`] is plain data. Parts that were not requested are `None` and left out of the
//! page. The page holds its style, drawings and crops, and loads nothing from the network.

mod page;

use std::path::Path;

use retrieval::open_set::OpenSet;
use serde::Serialize;

use super::Comparison;
use super::budget::{BudgetTrial, PrecisionCost};
use super::collapse::CollapseCheck;
use super::sensitivity::LayerSensitivity;
use crate::export::quantise::Bins;
use crate::picture::Crop;
use crate::{Error, Result};

/// Version of `report.json`; a changed field raises it, a new one does not.
pub const SCHEMA: u32 = 2;

/// The report of one export.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AccuracyReport {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// Name and version of the program.
    pub program: String,
    /// The command line that repeats the export, a word each.
    pub command: Vec<String>,
    /// Every seed that a draw was named by, with what it is for.
    pub seeds: Vec<(String, u64)>,
    /// The architecture.
    pub net: String,
    /// The file that was written.
    pub file: String,
    /// Settings of the quantiser as text: scheme, layout, calibration, each with its value.
    pub settings: Settings,
    /// Bytes of the file that was written.
    pub file_bytes: Option<u64>,
    /// Results of the evaluation.
    #[serde(flatten)]
    pub evaluation: Evaluation,
    /// Every value that was quantised, in the order of the network.
    pub layers: Vec<LayerReport>,
}

/// Results of the evaluation of an export. What was not requested is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Evaluation {
    /// Comparison with the float network.
    pub comparison: Option<Comparison>,
    /// Result of the collapse check.
    pub collapse: Option<CollapseCheck>,
    /// Rank-1, mAP and mINP of the written network, 0 to 1.
    pub retrieval: Option<[f64; 3]>,
    /// FPIR and FNIR of the written network by threshold, as in its metadata.
    pub open_set: Option<OpenSet>,
    /// The trials and result of the budget.
    pub budget: Option<DropBudget>,
    /// Sensitivity of the layers.
    pub sensitivity: Option<SensitivityReport>,
    /// Cost of the float network.
    pub before: PrecisionCost,
    /// Cost of the written network.
    pub after: PrecisionCost,
}

/// Settings as text, each with its value.
pub type Settings = Vec<(String, String)>;

/// Mixed precision; see [`super::budget`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DropBudget {
    /// What mAP was allowed to drop by.
    pub max_map_drop: f64,
    /// Layers that stay float, the most harmful first.
    pub kept: Vec<String>,
    /// All that was tried, in that order.
    pub trials: Vec<BudgetTrial>,
}

/// See [`super::sensitivity`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SensitivityReport {
    /// Crops that it was measured on.
    pub crops: usize,
    /// The layers, the most harmful first.
    pub layers: Vec<LayerSensitivity>,
}

/// A layer, or another step whose result is quantised.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// What it computes, for example `Conv`.
    pub op: String,
    /// Whether it stays float; then only its cost is known.
    pub float: bool,
    /// How the range of its result was chosen, for example `mse`.
    pub method: String,
    /// Least and greatest result that is not clipped.
    pub range: Option<[f32; 2]>,
    /// Scale of its result.
    pub scale: Option<f32>,
    /// Zero point of its result.
    pub zero: Option<i32>,
    /// How its results are distributed over the calibration images.
    pub histogram: Option<Bins>,
    /// Mean square error of quantising its result.
    pub mse: Option<f64>,
    /// Signal to quantisation noise of its result, in dB.
    pub sqnr: Option<f64>,
    /// The same of its weight.
    pub weight_sqnr: Option<f64>,
    /// Multiply-accumulates for one crop.
    pub macs: u64,
    /// Elements of its weight.
    pub weights: u64,
}

impl AccuracyReport {
    /// A report with these results; the other fields are empty.
    #[must_use]
    pub fn new(net: &str, file: &str, evaluation: Evaluation) -> Self {
        Self {
            schema: SCHEMA,
            program: concat!("trainer ", env!("CARGO_PKG_VERSION")).to_owned(),
            net: net.to_owned(),
            file: file.to_owned(),
            evaluation,
            ..Self::default()
        }
    }

    /// The report as JSON. A number that is not finite becomes null.
    ///
    /// # Panics
    /// Never: every field has a JSON form.
    #[must_use]
    pub fn json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("plain data has a JSON form");
        json.push('\n');
        json
    }

    /// The HTML page. `open` reads the crop of a path; if it fails, the page has the path alone.
    #[must_use]
    pub fn html(&self, open: impl FnMut(&str) -> Result<Crop>) -> String {
        let mut out = Vec::new();
        page::write(self, open, &mut out).expect("a Vec takes all");
        String::from_utf8(out).expect("a page is made of strings")
    }

    /// Writes `report.json` and `report.html` into a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, folder: &Path) -> Result<()> {
        cli::private::create_dir_all(folder).map_err(Error::io(folder))?;
        let html = self.html(|path| Crop::open(path));
        for (name, text) in [("report.json", self.json()), ("report.html", html)] {
            let path = folder.join(name);
            cli::private::write(&path, text).map_err(Error::io(&path))?;
        }
        Ok(())
    }

    /// The command line, as a shell reads it.
    #[must_use]
    pub fn command_line(&self) -> String {
        let quoted = |word: &String| {
            let plain =
                |letter: char| letter.is_ascii_alphanumeric() || "-_./=,:+@%".contains(letter);
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        };
        self.command
            .iter()
            .map(quoted)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

#[cfg(test)]
mod tests;
