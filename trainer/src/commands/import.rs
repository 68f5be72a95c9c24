//! `trainer import`: convert published weights.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use trainer::import::{self, IgnoredTensor, ImportReport, ListedTensor, Overrides};
use trainer::load;
use trainer::nets::{Backbone, Spec};

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
    /// Architecture, if the file does not determine it, for example resnet50
    #[arg(long)]
    arch: Option<Backbone>,
    /// Height and width of the input in pixels, for example 384x128
    #[arg(long, value_parser = super::size)]
    size: Option<[usize; 2]>,
    /// Stride of the last stage, 1 or 2
    #[arg(long)]
    last_stride: Option<usize>,
    /// Whether a ReLU follows the first BatchNorm: true or false
    #[arg(long)]
    stem_relu: Option<bool>,
    /// Prefix of the network's names, if the file holds several networks, for example
    /// `module.encoder_q`
    #[arg(long)]
    prefix: Option<String>,
    /// Leave out trained tensors without a parameter in the network, and list them; otherwise such a
    /// file is refused
    #[arg(long)]
    drop_unused: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    schema: u32,
    tensors: Vec<ListedTensor>,
    beside: Vec<IgnoredTensor>,
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
            let beside = source.skipped().iter();
            let beside = beside.map(|skipped| IgnoredTensor {
                name: skipped.name.clone(),
                reason: skipped.reason.clone(),
            });
            return self.print_list(Listing {
                schema: 1,
                tensors: source.list(),
                beside: beside.collect(),
            });
        }
        let overrides = Overrides {
            backbone: self.arch,
            size: self.size,
            last_stride: self.last_stride,
            stem_relu: self.stem_relu,
            prefix: self.prefix.clone(),
            drop_unused: self.drop_unused,
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
        lines.push(format!("used {}", used.len()));
        let rows = used.iter().map(|u| {
            let ours = if u.theirs == u.ours {
                "the same"
            } else {
                &u.ours
            };
            vec![
                "  ".to_owned() + &u.theirs,
                "->".to_owned(),
                ours.to_owned(),
            ]
        });
        lines.extend(cli::table(&rows.collect::<Vec<_>>()));
        lines.push(format!("ignored {}", ignored.len()));
        let rows = ignored.iter();
        let rows = rows.map(|i| vec!["  ".to_owned() + &i.name, i.reason.clone()]);
        lines.extend(cli::table(&rows.collect::<Vec<_>>()));
        lines.push(format!("dropped {}", dropped.len()));
        let rows = dropped.iter();
        let rows = rows.map(|d| vec!["  ".to_owned() + &d.name, d.reason.clone()]);
        lines.extend(cli::table(&rows.collect::<Vec<_>>()));
        lines.push(format!("not in the file {}", fresh.len()));
        let rows = fresh.iter();
        let rows = rows.map(|f| vec!["  ".to_owned() + &f.ours, f.reason.clone()]);
        lines.extend(cli::table(&rows.collect::<Vec<_>>()));
        if let Some(out) = &self.out {
            lines.push(format!("written to {}", out.display()));
        }
        cli::lines(lines)
    }
}
