//! `trainer export`: from weights to the ONNX file for the device.

mod accuracy;
mod layers;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use media::pictures::PassedOver;
use network::metadata::{self, Quantisation, WeightsOrigin};
use serde::Serialize;
use trainer::accuracy::evaluate::Quantiser;
use trainer::accuracy::report::Evaluation;
use trainer::checkpoint::{NetInfo, default_preprocessing};
use trainer::data::dataset::pictures_below;
use trainer::export::int8::{calibrate_on, split};
use trainer::export::quantise::{
    Calibration, Progress, QdqLayout, QuantisationRecord, QuantiseOptions, Quantised, Rounding,
    Scheme,
};
use trainer::export::{self, EmbeddingDifference, Exported};
use trainer::import::{ImportReport, Overrides};
use trainer::load::{self, OpenedNet};
use trainer::nets::{self, Neck, Spec};

use self::accuracy::AccuracyArgs;
use super::NetworkArgs;
use super::stages::Stages;

/// Write a network as the ONNX file that `reid` runs
///
/// The classifier is removed, branches are merged, BatchNorms folded, and pre-processing is stored in
/// the file. --images verifies the folding before the file is written. --quantize writes an int8
/// network: a quarter of the size, and several times as fast on most devices.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Export {
    /// A checkpoint, published weights (.pth, .safetensors), a float .onnx, or `random`
    #[arg(long, value_name = "W")]
    weights: PathBuf,
    /// Output file
    #[arg(long, value_name = "FILE.onnx")]
    out: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Seed of `--weights random`
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Folder of images to verify the folding on, and for --verify-against
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Most images of the folder to verify the folding on
    #[arg(long, value_name = "N", default_value_t = 8)]
    count: usize,
    /// Embeddings of all images of the folder by another framework, in the order of their paths
    #[arg(long, value_name = "REF.npy", requires = "images")]
    verify_against: Option<PathBuf>,
    #[command(flatten)]
    int8: Int8,
    /// Float network to compare a quantised one (from `trainer train --qat`) with on --eval
    #[arg(long, value_name = "W", requires = "eval")]
    against: Option<PathBuf>,
    /// Training data of the weights, for example Market-1501; stored in the file
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    datasets: Vec<String>,
    /// Licence of the weights; stored in the file
    #[arg(long, value_name = "NAME")]
    licence: Option<String>,
    #[command(flatten)]
    accuracy: AccuracyArgs,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Options of quantisation.
#[derive(Debug, Args)]
#[command(next_help_heading = "Quantising")]
struct Int8 {
    /// Write an int8 network, as QDQ ONNX
    #[arg(long, visible_alias = "quantise", requires = "calib")]
    quantize: bool,
    /// Folder of calibration crops. Every fifth person (or image, if file names state no person) is held
    /// back to compare int8 with float
    #[arg(long, value_name = "DIR", requires = "quantize")]
    calib: Option<PathBuf>,
    /// Most images to calibrate on
    #[arg(long, value_name = "N", default_value_t = 500, requires = "quantize")]
    calib_count: usize,
    /// Where residuals are added: fused (before rounding), or ort (after it, for ONNX Runtime)
    #[arg(long, value_name = "fused|ort", default_value_t, requires = "quantize")]
    int8_layout: QdqLayout,
    /// Activations: u8 with a zero point, or symmetric s8 for TensorRT
    #[arg(
        long,
        value_name = "u8|s8-symmetric",
        default_value_t,
        requires = "quantize"
    )]
    scheme: Scheme,
    /// Calibration method. After a global pooling the range is 1.5 times the observed one, with any
    /// method
    #[arg(long, value_enum, default_value_t, requires = "quantize")]
    calibration: Calibration,
    /// Disable cross-layer equalisation
    #[arg(long, requires = "quantize")]
    no_equalise: bool,
    /// Disable bias correction
    #[arg(long, requires = "quantize")]
    no_bias_correction: bool,
    /// Rounding of weights
    #[arg(long, value_enum, default_value_t, requires = "quantize")]
    rounding: Rounding,
    /// Nodes of the float network that stay float
    #[arg(
        long,
        value_name = "NODE",
        value_delimiter = ',',
        requires = "quantize"
    )]
    keep_float: Vec<String>,
}

/// Fewer calibration images give a note.
const FEW: usize = 32;

const AFTER_HELP: &str = "\
Examples:
  trainer export --weights runs/bot/final.safetensors --out person.onnx --images Market-1501/query
  trainer export --weights osnet_x0_25_market1501.pth --out person.onnx --images crops --verify-against torchreid.npy
  trainer export --weights osnet.safetensors --out person.onnx --eval Market-1501 --report report
  trainer export --weights runs/bot/final.safetensors --out int8.onnx --quantize --calib Market-1501/bounding_box_train
  trainer export --weights runs/qat/final.onnx --out int8.onnx --eval Market-1501 --against runs/bot/final.safetensors
  trainer export --weights random --arch resnet50 --out r50.onnx";

#[derive(Serialize)]
struct Report {
    schema: u32,
    file: PathBuf,
    net: String,
    dim: usize,
    nodes: usize,
    folding: Option<EmbeddingDifference>,
    verified: Option<EmbeddingDifference>,
    quantised: Option<Quantising>,
    accuracy: Evaluation,
}

/// The quantisation of an export.
#[derive(Serialize)]
struct Quantising {
    /// Calibration images.
    images: usize,
    /// Int8 against float on the images held back, if there are any.
    held_back: Option<EmbeddingDifference>,
    /// The record of the quantiser.
    record: QuantisationRecord,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let opened = self.open()?;
        let said = WeightsOrigin {
            datasets: self.datasets.clone(),
            licence: self.licence.clone(),
        };
        let mut exported = export::float(&opened, said)?;
        let images = self.images.as_deref().map(pictures).transpose()?;
        // A quantised network was folded before.
        let foldable = exported.metadata.quantisation.is_none();
        let folding = (images.as_ref().filter(|_| foldable))
            .map(|images| {
                let some = spread(images, self.count);
                let bar = cli::progress(Some(some.len() as u64), "images folded and unfolded");
                exported.proof(&some, || bar.inc(1))
            })
            .transpose()?;
        if folding.is_none() && foldable {
            tracing::warn!("the folding was not verified: use --images DIR");
        }
        let verified = match (&self.verify_against, &images) {
            (Some(reference), Some(images)) => {
                let bar = cli::progress(Some(images.len() as u64), "images compared");
                Some(exported.verify(reference, images, || bar.inc(1))?)
            }
            _ => None,
        };
        let (quantised, accuracy) = match &self.against {
            Some(float) => (None, self.compare_against(float, &mut exported)?),
            None => self.int8.run(&mut exported, &self.accuracy)?,
        };
        // The metadata are complete.
        exported.add_self_test()?;
        exported.write(&self.out)?;
        let quantiser = quantised.as_ref();
        let quantiser = quantiser.map(|quantised| {
            layers::report_of(&exported.graph, &quantised.record, quantised.images)
        });
        self.accuracy
            .write(&exported, &self.out, &accuracy, quantiser)?;
        let report = Report {
            schema: 2,
            file: self.out.clone(),
            net: exported
                .metadata
                .net
                .clone()
                .expect("an exported network has a name"),
            dim: exported.metadata.embedding.dim,
            nodes: exported.graph.nodes().len(),
            folding,
            verified,
            quantised,
            accuracy,
        };
        if self.json {
            return cli::json(&report);
        }
        let mut lines = vec![format!(
            "{}: {}, {}-dimensional embedding, {} nodes, {}",
            self.out.display(),
            report.net,
            report.dim,
            report.nodes,
            exported.metadata.preprocessing
        )];
        for (what, gap) in [
            ("folded compared with unfolded", folding),
            ("compared with the reference", verified),
        ] {
            if let Some(gap) = gap {
                lines.push(format!(
                    "{what}: {} images, cosine at least {:.7}, difference at most {:.1e} of the length",
                    gap.images, gap.cosine_min, gap.relative_max
                ));
            }
        }
        if let Some(quantised) = &report.quantised {
            lines.extend(quantised.lines());
        }
        lines.extend(accuracy::text(&report.accuracy));
        cli::lines(lines)
    }

    /// Compares a quantised network with the float one at `path`.
    fn compare_against(&self, path: &Path, exported: &mut Exported) -> anyhow::Result<Evaluation> {
        anyhow::ensure!(
            exported.metadata.quantisation.is_some(),
            "{}: it is not quantised: --against compares a quantised network with its float network",
            self.weights.display()
        );
        let opened = load::open(path, &Overrides::default())?;
        let mut float = export::float(&opened, WeightsOrigin::default())?;
        let [own, others] = [&exported.metadata, &float.metadata];
        anyhow::ensure!(
            others.quantisation.is_none()
                && own.embedding.dim == others.embedding.dim
                && own.preprocessing == others.preprocessing,
            "{}: its embedding has {} numbers and its input is {}, wanted a float network with {} numbers and {}",
            path.display(),
            others.embedding.dim,
            others.preprocessing,
            own.embedding.dim,
            own.preprocessing
        );
        let graph = exported.graph.clone();
        let trained = |_: &str| {
            Err(trainer::Error::Argument(
                "--sensitivity and --max-map-drop need the calibration: this network was quantised before".to_owned(),
            ))
        };
        let quantiser = Quantiser {
            layers: Vec::new(),
            all_but: &mut |kept| match kept {
                [] => Ok(graph.clone()),
                [first, ..] => trained(first),
            },
            only: &mut |layer| trained(layer),
        };
        let found = self.accuracy.run(&mut float, Some(quantiser), &[])?;
        exported.metadata.thresholds = float.metadata.thresholds;
        Ok(found)
    }

    fn open(&self) -> anyhow::Result<OpenedNet> {
        if self.weights != Path::new("random") {
            let opened = self.network.open(&self.weights)?;
            for fresh in &opened.report.fresh {
                anyhow::ensure!(
                    fresh.ours.starts_with("classifier."),
                    "{}: {} is not in the file ({}), so it is not trained",
                    self.weights.display(),
                    fresh.ours,
                    fresh.reason
                );
            }
            return Ok(opened);
        }
        let backbone = self.network.arch.context("--weights random needs --arch")?;
        let spec = Spec {
            backbone,
            size: self.network.size.unwrap_or(Spec::default().size),
            neck: Neck::Bnneck,
            ..Spec::default()
        };
        Ok(OpenedNet {
            net: nets::build(&spec, 1, self.seed)?,
            info: NetInfo {
                preprocessing: default_preprocessing(Some(&spec)),
                spec: Some(spec),
                classes: 1,
                epoch: 0,
            },
            family: "random",
            report: ImportReport::default(),
            notes: Vec::new(),
            quantisation: None,
        })
    }
}

impl Int8 {
    /// Quantises `exported`, if requested, and evaluates it.
    fn run(
        &self,
        exported: &mut Exported,
        accuracy: &AccuracyArgs,
    ) -> anyhow::Result<(Option<Quantising>, Evaluation)> {
        let Some(folder) = self.calib.as_ref().filter(|_| self.quantize) else {
            return Ok((None, accuracy.run(exported, None, &[])?));
        };
        anyhow::ensure!(
            exported.metadata.quantisation.is_none(),
            "it is quantised already: export it without --quantize, or quantise the float network"
        );
        let images = split(&pictures(folder)?, self.calib_count);
        anyhow::ensure!(
            !images.calibration.is_empty(),
            "{}: no image is left to calibrate on: provide some hundred crops of persons, and a --calib-count above {}",
            folder.display(),
            self.calib_count
        );
        if images.calibration.len() < FEW {
            tracing::warn!(
                "{} are few to calibrate on: use some hundred of many persons",
                cli::count(images.calibration.len(), "image")
            );
        }
        let options = QuantiseOptions {
            layout: self.int8_layout,
            scheme: self.scheme,
            calibration: self.calibration,
            equalise: !self.no_equalise,
            bias_correction: !self.no_bias_correction,
            rounding: self.rounding,
            keep_float: self.keep_float.iter().cloned().collect(),
            only: None,
        };
        let mut stages = Stages::default();
        let mut on_stage = |stage| stages.on_stage(stage);
        let progress = &mut Progress(Some(&mut on_stage));
        let calibrated = calibrate_on(
            &images.calibration,
            &exported.graph,
            &exported.metadata.preprocessing,
            &options,
            progress,
        )
        .with_context(|| folder.display().to_string())?;
        let float = exported.graph.clone();
        let layers = calibrated.layers()?;
        let progress = RefCell::new(progress);
        let made = |change: &dyn Fn(&mut QuantiseOptions)| -> trainer::Result<Quantised> {
            let mut options = options.clone();
            change(&mut options);
            calibrated.quantise(&options, &mut progress.borrow_mut())
        };
        let mut records = BTreeMap::new();
        let quantiser = Quantiser {
            layers,
            all_but: &mut |kept| {
                let quantised = made(&|options| options.keep_float.extend(kept.iter().cloned()))?;
                records.insert(kept.to_vec(), quantised.record);
                Ok(quantised.graph)
            },
            // Without tuning, which would dominate the time for each layer.
            only: &mut |layer| {
                let alone = made(&|options| {
                    options.only = Some(layer.to_owned());
                    options.bias_correction = false;
                    options.rounding = Rounding::Nearest;
                })?;
                Ok(alone.graph)
            },
        };
        let shown = match images.held_back.len() {
            0 | 1 => &images.calibration,
            _ => &images.held_back,
        };
        let found = accuracy.run(exported, Some(quantiser), shown)?;
        drop(stages);
        let held_back = if images.held_back.is_empty() {
            tracing::warn!("too few images to hold some back, so int8 was not compared with float");
            None
        } else {
            let count = images.held_back.len() as u64;
            let bar = cli::progress(Some(count), "images int8 and float");
            let int8 = std::mem::replace(&mut exported.graph, float);
            let gap = exported.compare_with(&int8, &images.held_back, || bar.inc(1))?;
            exported.graph = int8;
            Some(gap)
        };
        let record = records
            .remove(found.budget.as_ref().map_or(&[][..], |budget| &budget.kept))
            .expect("the written network was quantised");
        exported.metadata.quantisation = Some(Quantisation {
            scheme: self.scheme,
            layout: self.int8_layout,
            // Set with the self-test.
            exact_until: String::new(),
            calibration: metadata::Calibration {
                method: self.calibration.to_string(),
                crops: images.calibration.len(),
            },
            float_layers: record.float.clone(),
        });
        let quantising = Quantising {
            images: images.calibration.len(),
            held_back,
            record,
        };
        Ok((Some(quantising), found))
    }
}

impl Quantising {
    fn lines(&self) -> Vec<String> {
        let record = &self.record;
        let mut lines = vec![format!(
            "int8: {}, {}, calibrated on {}",
            cli::count(record.layers.len(), "layer"),
            cli::count(record.values.len(), "scale"),
            cli::count(self.images, "image"),
        )];
        if !record.float.is_empty() {
            lines.push(format!("left float: {}", record.float.join(", ")));
        }
        if let Some(gap) = &self.held_back {
            lines.push(format!(
                "int8 compared with float: {} held back, mean cosine {:.5}, least {:.5}",
                cli::count(gap.images, "image"),
                gap.cosine_mean,
                gap.cosine_min
            ));
        }
        lines
    }
}

/// The pictures of a folder, with a note on other files.
fn pictures(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut passed_over = PassedOver::default();
    let pictures = pictures_below(folder, &mut passed_over)?;
    if !passed_over.is_empty() {
        tracing::warn!("{}: {passed_over}", folder.display());
    }
    Ok(pictures)
}

/// `count` images spread over a list.
fn spread(images: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let step = images.len().div_ceil(count.max(1)).max(1);
    images.iter().step_by(step).cloned().collect()
}
