//! `trainer import`: convert published weights.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use trainer::import::{self, ImportReport, ListedTensor, Overrides, SkippedObject, UnusedTensor};
use trainer::load;

use super::NetworkArgs;
use trainer::nets::Spec;

/// Convert published weights (.pth, .safetensors), or list the tensors of a file (also .onnx)
///
/// No code in the file is run. Every tensor is reported as used, ignored or dropped, with the reason.
/// The network may have any prefix.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  trainer import osnet_x0_25_market1501.pth --out osnet.safetensors
  trainer import market_sbs_R50.pth --size 384x128 --out sbs.safetensors
  trainer import unknown.pth --list")]
pub(super) struct Import {
    /// Input file
    file: PathBuf,
    /// Print the tensors of the file and do nothing else
    #[arg(long, conflicts_with_all = ["arch", "size", "last_stride", "stem_relu", "prefix", "drop_unused", "out"])]
    list: bool,
    /// Output file for the weights [default: print the report only]
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Stride of the last stage, 1 or 2
    #[arg(long)]
    last_stride: Option<usize>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    schema: u32,
    tensors: Vec<ListedTensor>,
    beside: Vec<SkippedObject>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    family: &'a str,
    spec: &'a Spec,
    classes: usize,
    notes: &'a [String],
    #[serde(flatten)]
    account: &'a ImportReport,
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.list {
            let source = import::open(&self.file)?;
            return self.print_list(Listing {
                schema: 1,
                tensors: source.list(),
                beside: source.skipped().to_vec(),
            });
        }
        let overrides = Overrides {
            last_stride: self.last_stride,
            ..self.network.overrides()
        };
        let opened = load::open(&self.file, &overrides)?;
        let Some(spec) = &opened.info.spec else {
            anyhow::bail!(
                "{}: an ONNX file is a network by itself and needs no import",
                self.file.display()
            );
        };
        if let Some(out) = &self.out {
            opened.weights().write(out)?;
        }
        self.print(&Report {
            schema: 1,
            family: opened.family,
            spec,
            classes: opened.info.classes,
            notes: &opened.notes,
            account: &opened.report,
        })
    }

    fn print_list(&self, listing: Listing) -> anyhow::Result<()> {
        if self.json {
            return cli::json(&listing);
        }
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let total: usize = listing.tensors.iter().map(|t| elements(&t.shape)).sum();
        let count = listing.tensors.len();
        let rows = listing.tensors.into_iter();
        let rows: Vec<_> = rows
            .map(|t| vec![t.name, t.dtype, format!("{:?}", t.shape)])
            .collect();
        let mut lines = cli::table(&rows);
        lines.push(format!("{count} tensors, {total} elements"));
        let beside = listing.beside.into_iter();
        lines.extend(beside.map(|i| format!("beside them: {} ({})", i.name, i.reason)));
        cli::lines(lines)
    }

    fn print(&self, report: &Report<'_>) -> anyhow::Result<()> {
        if self.json {
            return cli::json(&report);
        }
        let ImportReport {
            used,
            ignored,
            dropped,
            fresh,
        } = report.account;
        let spec = report.spec;
        let mut lines = vec![format!(
            "{} in the naming of {}, {} classes",
            spec.backbone, report.family, report.classes
        )];
        lines.extend(report.notes.iter().map(|note| format!("assumed: {note}")));
        let mut section = |title: &str, rows: Vec<Vec<String>>| {
            lines.push(format!("{title} {}", rows.len()));
            lines.extend(cli::table(&rows));
        };
        let indented = |name: &String| "  ".to_owned() + name;
        let used = used.iter().map(|used| {
            let same = used.theirs == used.ours;
            let ours = if same { "the same" } else { &used.ours };
            vec![indented(&used.theirs), "->".to_owned(), ours.to_owned()]
        });
        section("used", used.collect());
        let unused = |tensors: &[UnusedTensor]| -> Vec<Vec<String>> {
            let row = |unused: &UnusedTensor| vec![indented(&unused.name), unused.reason.clone()];
            tensors.iter().map(row).collect()
        };
        section("ignored", unused(ignored));
        section("dropped", unused(dropped));
        let fresh = fresh.iter();
        let fresh = fresh.map(|missing| vec![indented(&missing.ours), missing.reason.clone()]);
        section("not in the file", fresh.collect());
        if let Some(out) = &self.out {
            lines.push(format!("written to {}", out.display()));
        }
        cli::lines(lines)
    }
}
