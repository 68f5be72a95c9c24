//! `trainer train --qat`: quantisation-aware training.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use network::metadata::{Calibration, Preprocessing, Quantisation, WeightsOrigin};
use trainer::checkpoint::NetInfo;
use trainer::data::dataset::Dataset;
use trainer::export::Exported;
use trainer::export::int8::trainable;
use trainer::export::quantise::{Progress, QdqLayout, QuantiseOptions, Scheme};
use trainer::load::SavedGraph;
use trainer::nets::Net;
use trainer::qat::QatNetwork;
use trainer::run_folder::{FINAL_INT8, RunFolder};

use crate::commands::stages::Stages;

/// File of the run folder with the quantised network before training.
const KEPT: &str = "qat.onnx";

#[derive(Debug, Args)]
#[command(next_help_heading = "Quantisation-aware training")]
pub(super) struct Qat {
    /// Quantisation-aware training of the network of --init; final.onnx has the quantised values and
    /// scales of the training
    #[arg(long, requires = "init")]
    qat: bool,
    /// Most training images to calibrate on
    #[arg(long, value_name = "N", default_value_t = 500, requires = "qat")]
    calib_count: usize,
    /// Where residuals are added: fused (before rounding), or ort (after it, for ONNX Runtime)
    #[arg(long, value_name = "fused|ort", default_value_t, requires = "qat")]
    int8_layout: QdqLayout,
    /// Activations: u8 with a zero point, or symmetric s8 for TensorRT
    #[arg(
        long,
        value_name = "u8|s8-symmetric",
        default_value_t,
        requires = "qat"
    )]
    scheme: Scheme,
}

/// A network in quantisation-aware training, and its metadata.
pub(super) struct QatRun {
    trainable: QatNetwork,
    quantisation: Quantisation,
}

impl Qat {
    /// Whether `--qat` is given.
    pub(super) fn is_wanted(&self) -> bool {
        self.qat
    }

    /// Quantises `net`, if requested.
    pub(super) fn begin(
        &self,
        net: &Net,
        info: &NetInfo,
        set: &Dataset,
    ) -> anyhow::Result<Option<QatRun>> {
        if !self.qat {
            return Ok(None);
        }
        let options = QuantiseOptions {
            layout: self.int8_layout,
            scheme: self.scheme,
            ..QuantiseOptions::default()
        };
        let every = set.train.len().div_ceil(self.calib_count.max(1)).max(1);
        let images: Vec<PathBuf> = (set.train.iter().step_by(every))
            .map(|image| image.path.clone())
            .collect();
        let mut stages = Stages::default();
        let mut on_stage = |stage| stages.on_stage(stage);
        let progress = &mut Progress(Some(&mut on_stage));
        let trainable = trainable(&images, net, &info.preprocessing, &options, progress)
            .with_context(|| set.name.clone())?;
        Ok(Some(QatRun {
            trainable,
            quantisation: Quantisation {
                scheme: options.scheme,
                layout: options.layout,
                // Set with the self-test.
                exact_until: String::new(),
                calibration: Calibration {
                    method: format!("{}, then trained", options.calibration),
                    crops: images.len(),
                },
                float_layers: Vec::new(),
            },
        }))
    }
}

impl QatRun {
    /// The network to be trained.
    pub(super) fn net(&self) -> &Net {
        self.trainable.net()
    }

    /// Saves it for `--resume`.
    pub(super) fn keep(&self, info: &NetInfo, run: &RunFolder) -> anyhow::Result<()> {
        let kept = SavedGraph {
            graph: self.trainable.quantised().clone(),
            info: info.clone(),
            quantisation: Some(self.quantisation.clone()),
        };
        Ok(run.write(KEPT, &kept.to_bytes()?)?)
    }

    /// Whether the run in a folder is quantisation-aware.
    pub(super) fn are_kept(folder: &Path) -> bool {
        folder.join(KEPT).is_file()
    }

    /// What `keep` has saved; none for a float run.
    pub(super) fn kept(folder: &Path) -> anyhow::Result<Option<(Self, NetInfo)>> {
        if !Self::are_kept(folder) {
            return Ok(None);
        }
        let path = folder.join(KEPT);
        let SavedGraph {
            graph,
            info,
            quantisation,
        } = SavedGraph::read(&path)?;
        let named = || path.display().to_string();
        let kept = Self {
            trainable: QatNetwork::new(graph).with_context(named)?,
            quantisation: quantisation
                .context("its metadata have no quantisation")
                .with_context(named)?,
        };
        Ok(Some((kept, info)))
    }

    /// Writes the trained network for the device.
    pub(super) fn write(
        &self,
        net: &Net,
        preprocessing: Preprocessing,
        run: &RunFolder,
    ) -> anyhow::Result<()> {
        let to_quantised = self.trainable.to_quantised(net)?;
        let mut exported = Exported::new(&to_quantised, preprocessing, WeightsOrigin::default())?;
        exported.metadata.quantisation = Some(self.quantisation.clone());
        exported.add_self_test()?;
        Ok(exported.write(&run.path(FINAL_INT8))?)
    }
}
