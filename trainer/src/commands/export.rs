//! `trainer export`: weights to the file that a device reads.

mod judge;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use kernels::contract::Weights;
use serde::Serialize;
use trainer::checkpoint::{About, default_preprocessing};
use trainer::data::dataset::some_images_below;
use trainer::export::{self, Gap};
use trainer::import::{Account, Overrides};
use trainer::nets::{self, Backbone, Neck, Spec};
use trainer::start::{self, Opened};

use self::judge::{Found, Judge, Told};

/// Write a network as the ONNX file that `reid` runs
///
/// The classifier is dropped, branches are merged and BatchNorms folded, and the pre-processing is
/// written into the file. Folding is proven on images before anything is written.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Export {
    /// A checkpoint, published weights (.pth, .safetensors), a float .onnx, or `random`
    #[arg(long, value_name = "W")]
    weights: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
    /// Which network, where the file leaves it open, for example resnet50
    #[arg(long)]
    arch: Option<Backbone>,
    /// Height and width of the input in pixels, for example 384x128
    #[arg(long, value_parser = super::size)]
    size: Option<[usize; 2]>,
    /// Whether a ReLU follows the first BatchNorm, true or false
    #[arg(long)]
    stem_relu: Option<bool>,
    /// Names the weights of `--weights random`
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Folder of images to prove the folding on, and to compare with --verify-against
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Images of the folder to use at the most
    #[arg(long, value_name = "N", default_value_t = 8)]
    count: usize,
    /// Embeddings of all images of the folder from another framework, in the order of their paths
    #[arg(long, value_name = "REF.npy", requires = "images")]
    verify_against: Option<PathBuf>,
    /// What the weights have learnt, for example Market-1501
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    datasets: Vec<String>,
    /// Licence of the weights
    #[arg(long, value_name = "NAME")]
    licence: Option<String>,
    #[command(flatten)]
    judge: Judge,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  trainer export --weights runs/bot/final.safetensors --out person.onnx --images Market-1501/query
  trainer export --weights osnet_x0_25_market1501.pth --out person.onnx --images crops --verify-against torchreid.npy
  trainer export --weights osnet.safetensors --out person.onnx --eval Market-1501 --report report
  trainer export --weights random --arch resnet50 --out r50.onnx";

#[derive(Serialize)]
struct Report {
    schema: u32,
    file: PathBuf,
    net: String,
    dim: usize,
    nodes: usize,
    folding: Option<Gap>,
    verified: Option<Gap>,
    judged: Found,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let opened = self.open()?;
        let said = Weights {
            datasets: self.datasets.clone(),
            licence: self.licence.clone(),
        };
        let mut exported = export::float(&opened, said)?;
        let images = self.images.as_deref().map(some_images_below).transpose()?;
        let folding = images
            .as_ref()
            .map(|images| {
                let some = spread(images, self.count);
                let bar = cli::progress(Some(some.len() as u64), "images folded and unfolded");
                exported.proof(&some, || bar.inc(1))
            })
            .transpose()?;
        if folding.is_none() {
            eprintln!("note: folding was not proven: --images DIR does it");
        }
        let verified = match (&self.verify_against, &images) {
            (Some(reference), Some(images)) => {
                let bar = cli::progress(Some(images.len() as u64), "images compared");
                Some(exported.verify(reference, images, || bar.inc(1))?)
            }
            _ => None,
        };
        let judged = self
            .judge
            .run(&mut exported, None, images.as_deref().unwrap_or_default())?;
        exported.add_receipt()?;
        exported.write(&self.out)?;
        let told = Told::default();
        self.judge.write(&exported, &self.out, &judged, told)?;
        let report = Report {
            schema: 1,
            file: self.out.clone(),
            net: exported.contract.net.clone().unwrap_or_default(),
            dim: exported.contract.embedding.dim,
            nodes: exported.graph.nodes().len(),
            folding,
            verified,
            judged,
        };
        if self.json {
            return cli::json(&report);
        }
        let mut lines = vec![format!(
            "{}: {}, {} numbers an image, {} nodes, {}",
            self.out.display(),
            report.net,
            report.dim,
            report.nodes,
            exported.contract.preprocessing
        )];
        for (what, gap) in [
            ("folded against unfolded", folding),
            ("against the reference", verified),
        ] {
            if let Some(gap) = gap {
                lines.push(format!(
                    "{what}: {} images, cosine at least {:.7}, {:.1e} of the length at the most",
                    gap.images, gap.cosine_min, gap.relative_max
                ));
            }
        }
        lines.extend(report.judged.text());
        cli::lines(lines)
    }

    fn open(&self) -> anyhow::Result<Opened> {
        if self.weights != Path::new("random") {
            let overrides = Overrides {
                backbone: self.arch,
                size: self.size,
                stem_relu: self.stem_relu,
                ..Overrides::default()
            };
            let opened = start::open(&self.weights, &overrides)?;
            for note in &opened.notes {
                eprintln!("note: {note}");
            }
            for fresh in &opened.account.fresh {
                anyhow::ensure!(
                    fresh.ours.starts_with("classifier."),
                    "{}: {} is not in the file ({}): what would be exported has not learnt it",
                    self.weights.display(),
                    fresh.ours,
                    fresh.reason
                );
            }
            return Ok(opened);
        }
        let backbone = self.arch.context("--weights random wants --arch")?;
        let spec = Spec {
            backbone,
            size: self.size.unwrap_or(Spec::default().size),
            neck: Neck::Bnneck,
            ..Spec::default()
        };
        Ok(Opened {
            net: nets::build(&spec, 1, self.seed)?,
            about: About {
                preprocessing: default_preprocessing(Some(&spec)),
                spec: Some(spec),
                classes: 1,
                epoch: 0,
            },
            family: "random",
            account: Account::default(),
            notes: Vec::new(),
        })
    }
}

/// `count` images from all over a list.
fn spread(images: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let step = images.len().div_ceil(count.max(1)).max(1);
    images.iter().step_by(step).cloned().collect()
}
