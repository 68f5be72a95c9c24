//! `trainer import`: weights that others have published.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use trainer::import::{self, Account, CLASSES_KEY, Deduced, Ignored, Listed, Overrides, SPEC_KEY};
use trainer::nets::{self, Backbone};
use trainer::weights::Weights;

/// Take over published weights: .pth, .safetensors; list those of .onnx too
///
/// No code of the file is run. Every tensor is accounted for: used, or ignored and why.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  trainer import osnet_x0_25_market1501.pth --out osnet.safetensors
  trainer import market_sbs_R50.pth --size 384x128 --out sbs.safetensors
  trainer import unknown.pth --list")]
pub(super) struct Import {
    /// The file
    file: PathBuf,
    /// Print what is inside, and do nothing else
    #[arg(long, conflicts_with_all = ["arch", "size", "last_stride", "stem_relu", "out"])]
    list: bool,
    /// Where to write the network's weights; without, only the account is printed
    #[arg(long)]
    out: Option<PathBuf>,
    /// Which network, where the file leaves it open, for example resnet50
    #[arg(long)]
    arch: Option<Backbone>,
    /// Height and width of the input in pixels, for example 384x128
    #[arg(long, value_parser = size)]
    size: Option<[usize; 2]>,
    /// Step of the last stage, 1 or 2
    #[arg(long)]
    last_stride: Option<usize>,
    /// Whether a ReLU follows the first BatchNorm, true or false
    #[arg(long)]
    stem_relu: Option<bool>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listing {
    schema: u32,
    tensors: Vec<Listed>,
    beside: Vec<Ignored>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    family: &'a str,
    #[serde(flatten)]
    deduced: &'a Deduced,
    #[serde(flatten)]
    account: &'a Account,
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let parsed = text.split_once('x').and_then(|(height, width)| {
        let extent = |text: &str| text.parse().ok();
        Some([extent(height)?, extent(width)?])
    });
    parsed.ok_or_else(|| "wanted HEIGHTxWIDTH, for example 256x128".to_owned())
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let source = import::open(&self.file)?;
        let beside = source.skipped().iter();
        let beside: Vec<Ignored> = beside
            .map(|(name, reason)| Ignored {
                name: name.clone(),
                reason: reason.clone(),
            })
            .collect();
        if self.list {
            let tensors = source.list();
            return self.print_list(Listing {
                schema: 1,
                tensors,
                beside,
            });
        }
        let of_file = || self.file.display().to_string();
        anyhow::ensure!(
            source.net().is_none(),
            "{}: an ONNX file is a network by itself and needs no import",
            of_file()
        );
        let weights = source.weights()?;
        let family = import::recognise(&weights).with_context(|| {
            let name = weights.tensors.keys().next().map_or("", String::as_str);
            let file = of_file();
            format!("{file}: nobody's names that are known (the first is `{name}`); see --list")
        })?;
        let overrides = Overrides {
            backbone: self.arch,
            size: self.size,
            last_stride: self.last_stride,
            stem_relu: self.stem_relu,
        };
        let deduced = import::spec_for(family, &weights, &overrides).with_context(of_file)?;
        // What the file lacks starts as a training with seed 0 would.
        let mut net = nets::build(&deduced.spec, deduced.classes, 0)?;
        let mut account = import::assign(&mut net, family, &weights).with_context(of_file)?;
        account.ignored.extend(beside);
        if let Some(out) = &self.out {
            written(&net, &deduced, &weights)?.write(out)?;
        }
        let report = Report {
            schema: 1,
            family: family.name(),
            deduced: &deduced,
            account: &account,
        };
        self.print(&report)
    }

    fn print_list(&self, listing: Listing) -> anyhow::Result<()> {
        if self.json {
            return print([serde_json::to_string(&listing)?]);
        }
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let total: usize = listing.tensors.iter().map(|t| elements(&t.shape)).sum();
        let count = listing.tensors.len();
        let rows = listing.tensors.into_iter();
        let rows: Vec<_> = rows
            .map(|t| [t.name, t.dtype, format!("{:?}", t.shape)])
            .collect();
        let mut lines = table(&rows);
        lines.push(format!("{count} tensors, {total} elements"));
        let beside = listing.beside.into_iter();
        lines.extend(beside.map(|i| format!("beside them: {} ({})", i.name, i.reason)));
        print(lines)
    }

    fn print(&self, report: &Report<'_>) -> anyhow::Result<()> {
        if self.json {
            return print([serde_json::to_string(report)?]);
        }
        let Account {
            used,
            ignored,
            fresh,
        } = report.account;
        let spec = &report.deduced.spec;
        let mut lines = vec![format!(
            "{} as {} names it, {} classes",
            spec.backbone, report.family, report.deduced.classes
        )];
        lines.extend(
            report
                .deduced
                .notes
                .iter()
                .map(|note| format!("assumed: {note}")),
        );
        lines.push(format!("used {}", used.len()));
        let rows = used.iter().map(|u| {
            let ours = if u.theirs == u.ours {
                "the same"
            } else {
                &u.ours
            };
            [
                "  ".to_owned() + &u.theirs,
                "->".to_owned(),
                ours.to_owned(),
            ]
        });
        lines.extend(table(&rows.collect::<Vec<_>>()));
        lines.push(format!("ignored {}", ignored.len()));
        let rows = ignored.iter();
        let rows = rows.map(|i| ["  ".to_owned() + &i.name, i.reason.clone(), String::new()]);
        lines.extend(table(&rows.collect::<Vec<_>>()));
        lines.push(format!("not in the file {}", fresh.len()));
        let rows = fresh.iter();
        let rows = rows.map(|f| ["  ".to_owned() + &f.ours, f.reason.clone(), String::new()]);
        lines.extend(table(&rows.collect::<Vec<_>>()));
        if let Some(out) = &self.out {
            lines.push(format!("written to {}", out.display()));
        }
        print(lines)
    }
}

/// The network's parameters, and what rebuilds it.
fn written(net: &nets::Net, deduced: &Deduced, theirs: &Weights) -> anyhow::Result<Weights> {
    let params = net.graph().params().iter();
    let tensors = params.map(|param| (param.name.clone(), param.tensor.clone()));
    let mut metadata = vec![
        (SPEC_KEY, serde_json::to_string(&deduced.spec)?),
        (CLASSES_KEY, deduced.classes.to_string()),
    ];
    if let Some([mean, std]) = import::pixels(theirs) {
        let pixels = serde_json::json!({ "mean": mean, "std": std });
        metadata.push((import::PIXELS_KEY, pixels.to_string()));
    }
    let metadata = metadata.into_iter();
    Ok(Weights {
        tensors: tensors.collect(),
        metadata: metadata.map(|(k, v)| (k.to_owned(), v)).collect(),
    })
}

fn print(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Columns as wide as their widest cell.
fn table(rows: &[[String; 3]]) -> Vec<String> {
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max();
    let widths = [0, 1].map(|i| width(i).unwrap_or(0));
    let line = |[a, b, c]: &[String; 3]| format!("{a:0$}  {b:1$}  {c}", widths[0], widths[1]);
    rows.iter()
        .map(|row| line(row).trim_end().to_owned())
        .collect()
}
