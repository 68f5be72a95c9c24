//! `trainer train --qat`: a network that is trained in the integers of a device.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use network::contract::{Calibration, Preprocessing, Quantisation, Weights};
use trainer::checkpoint::NetInfo;
use trainer::data::dataset::Dataset;
use trainer::export::Exported;
use trainer::export::int8::trainable;
use trainer::export::quantise::{Layout, Progress, QuantiseOptions, Scheme};
use trainer::load::SavedGraph;
use trainer::nets::Net;
use trainer::qat::QatNetwork;
use trainer::run_folder::{FINAL_INT8, RunFolder};

use crate::commands::stages::Stages;

/// The quantised network as it was before it was trained, in the folder of its run.
const KEPT: &str = "qat.onnx";

#[derive(Debug, Args)]
#[command(next_help_heading = "Quantisation-aware training")]
pub(super) struct Qat {
    /// Train the network of --init on in the integers that devices will compute it in: what was
    /// learnt is written as final.onnx, codes and scales unchanged
    #[arg(long, requires = "init")]
    qat: bool,
    /// Images to train with that ranges of activations are found on, at the most
    #[arg(long, value_name = "N", default_value_t = 500, requires = "qat")]
    calib_count: usize,
    /// Where residuals are added: before rounding, or behind it as ONNX Runtime wants it
    #[arg(long, value_name = "fused|ort", default_value_t, requires = "qat")]
    int8_layout: QdqLayout,
    /// Bytes of activations: with a zero point, or around zero as TensorRT wants them
    #[arg(
        long,
        value_name = "u8|s8-symmetric",
        default_value_t,
        requires = "qat"
    )]
    scheme: Scheme,
}

/// A network in training, and what its file will say of it.
pub(super) struct QatRun {
    trainable: QatNetwork,
    quantisation: Quantisation,
}

impl Qat {
    /// Whether it is asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.qat
    }

    /// Quantises `net`, if that is asked for.
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
                // The receipt says it.
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

    /// Keeps it for when the run goes on.
    pub(super) fn keep(&self, info: &NetInfo, run: &RunFolder) -> anyhow::Result<()> {
        let kept = SavedGraph {
            graph: self.trainable.quantised().clone(),
            info: info.clone(),
            quantisation: Some(self.quantisation.clone()),
        };
        Ok(run.write(KEPT, &kept.to_bytes()?)?)
    }

    /// Whether the run in a folder trains in integers.
    pub(super) fn are_kept(folder: &Path) -> bool {
        folder.join(KEPT).is_file()
    }

    /// What a run that goes on has kept; none if it does not train in integers.
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
                .context("it does not say how it was quantised")
                .with_context(named)?,
        };
        Ok(Some((kept, info)))
    }

    /// Writes the finished network as devices read it.
    pub(super) fn write(
        &self,
        net: &Net,
        preprocessing: Preprocessing,
        run: &RunFolder,
    ) -> anyhow::Result<()> {
        let to_quantised = self.trainable.to_quantised(net)?;
        let mut exported = Exported::new(&to_quantised, preprocessing, Weights::default())?;
        exported.contract.quantisation = Some(self.quantisation.clone());
        exported.add_receipt()?;
        Ok(exported.write(&run.path(FINAL_INT8))?)
    }
}
