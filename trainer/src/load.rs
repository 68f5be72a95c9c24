//! Networks out of files: a checkpoint of ours, published weights, or a float ONNX file; to be
//! judged as they are ([`open`]), or to begin a training with ([`init`]).

use std::path::Path;

use network::graph::Graph;
use network::metadata::Quantisation;
use network::model::{Model, ModelOptions};
use network::onnx::{self, ReadOptions};

use crate::checkpoint::{NetInfo, default_preprocessing};
use crate::import::{self, DroppedTensor, IgnoredTensor, ImportReport, Overrides};
use crate::nets::{self, Net, ParamRole};
use crate::weights::WeightFile;
use crate::{Error, Result};

/// Metadata of a kept network that says how it was quantised, JSON.
const QUANTISATION: &str = "reid.quantisation";

/// A network out of a file.
#[derive(Debug)]
pub struct OpenedNet {
    /// With outputs `f_t` and `f_i`.
    pub net: Net,
    /// What is known of it.
    pub info: NetInfo,
    /// Whose names the file uses: `own`, `torchreid`, `onnx`...
    pub family: &'static str,
    /// What became of its tensors; empty for an ONNX file, which is a network by itself.
    pub report: ImportReport,
    /// What a person should know before trusting it, one line each.
    pub notes: Vec<String>,
    /// How it was quantised, if it was.
    pub quantisation: Option<Quantisation>,
}

impl OpenedNet {
    /// The network as a file of ours.
    #[must_use]
    pub fn weights(&self) -> WeightFile {
        let mut weights = crate::checkpoint::weights(&self.net);
        self.info.write_to(&mut weights);
        weights
    }
}

/// The network in a file, as it is.
///
/// # Errors
/// What is wrong with the file, and [`Error::File`] if it holds no network that is known here.
pub fn open(path: &Path, overrides: &Overrides) -> Result<OpenedNet> {
    let source = import::open(path)?;
    if source.is_network() {
        return open_onnx(path);
    }
    let weights = source.weights()?;
    let named = |error: Error| match error {
        Error::Argument(reason) => Error::file(path, reason),
        other => Error::file(path, other.to_string()),
    };
    let naming = import::recognise(&weights, overrides.prefix.as_deref()).map_err(named)?;
    let deduced = import::spec_for(&naming, &weights, overrides).map_err(named)?;
    // What the file lacks starts as a training with seed 0 would.
    let mut net = nets::build(&deduced.spec, deduced.classes, 0).map_err(named)?;
    let mut report = import::assign(&mut net, &naming, &weights).map_err(named)?;
    add_skipped(&mut report, &source);
    if !overrides.drop_unused && !report.dropped.is_empty() {
        return Err(Error::file(path, refused_tensors(&report.dropped)));
    }
    let mut info = NetInfo::of(&weights).map_err(named)?.unwrap_or(NetInfo {
        preprocessing: default_preprocessing(Some(&deduced.spec)),
        spec: None,
        classes: deduced.classes,
        epoch: 0,
    });
    if let Some([mean, std]) = import::pixels(&weights) {
        info.preprocessing.mean = mean;
        info.preprocessing.std = std;
        info.preprocessing.check()?;
    }
    let [height, width] = deduced.spec.size;
    (info.preprocessing.height, info.preprocessing.width) = (height, width);
    info.spec = Some(deduced.spec);
    Ok(OpenedNet {
        net,
        info,
        family: naming.family.name(),
        report,
        notes: deduced.notes,
        quantisation: None,
    })
}

fn open_onnx(path: &Path) -> Result<OpenedNet> {
    let model = Model::unfolded(path, &Options::default())?;
    let mut graph = model.graph;
    let feature = graph.take_outputs()[0].value;
    for name in ["f_t", "f_i"] {
        graph.output(name, feature);
    }
    Ok(OpenedNet {
        net: Net::from_graph(graph),
        info: NetInfo {
            spec: None,
            classes: 0,
            preprocessing: model.metadata.preprocessing,
            epoch: 0,
        },
        family: "onnx",
        report: ImportReport::default(),
        notes: model.warnings,
        quantisation: model.metadata.quantisation,
    })
}

/// The network that a training begins with.
#[derive(Debug)]
pub struct InitialNet {
    /// For the persons to be learnt.
    pub net: Net,
    /// What is known of it.
    pub info: NetInfo,
    /// What became of the file's tensors.
    pub report: ImportReport,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// The network that `info` asks for, with the weights of a file where it has them: a classifier of
/// other people is left. An ONNX file is its own network with its own pre-processing, and only the
/// number of persons is asked for.
///
/// # Errors
/// What is wrong with the file, and [`Error::File`] with both shapes if its weights belong to
/// another network.
pub fn init(path: &Path, info: &NetInfo, seed: u64) -> Result<InitialNet> {
    let source = import::open(path)?;
    if source.is_network() {
        let model = Model::unfolded(path, &ModelOptions::default())?;
        let mut notes = model.warnings.clone();
        let info = NetInfo {
            spec: None,
            preprocessing: model.contract.preprocessing,
            ..info.clone()
        };
        let net = nets::with_new_head(model, info.classes, seed)
            .map_err(|e| Error::file(path, e.to_string()))?;
        if !net.has_backbone_norm() {
            notes.push(format!(
                "{}: no BatchNorm is left in it (they are folded): it will train badly, start from the unfolded network if there is one",
                path.display()
            ));
        }
        return Ok(InitialNet {
            net,
            info,
            report: ImportReport::default(),
            notes,
        });
    }
    let weights = source.weights()?;
    let named = |error: Error| Error::file(path, error.to_string());
    let naming = import::recognise(&weights, None).map_err(named)?;
    let mut net = fresh(info, seed)?;
    let mut report = import::assign(&mut net, &naming, &weights).map_err(named)?;
    add_skipped(&mut report, &source);
    // A training may leave out heads, and begins with a backbone as a whole.
    if let Some(left) = report.dropped.iter().find(|left| left.of_backbone) {
        let reason = format!("`{}`: {}", left.name, left.reason);
        return Err(Error::file(path, reason));
    }
    Ok(InitialNet {
        net,
        info: info.clone(),
        report,
        notes: Vec::new(),
    })
}

/// The network that `info` asks for, with fresh weights.
///
/// # Errors
/// [`Error::Argument`] if there is no such network.
pub fn fresh(info: &NetInfo, seed: u64) -> Result<Net> {
    let spec = info.spec.as_ref().ok_or_else(|| {
        Error::Argument("a network from an ONNX file has no fresh weights".to_owned())
    })?;
    nets::build(spec, info.classes, seed)
}

/// A network that no name stands for, as a run keeps it for when it goes on: one from an ONNX file,
/// or a quantised one.
#[derive(Debug)]
pub struct SavedGraph {
    /// The network.
    pub graph: Graph,
    /// What is known of it.
    pub info: NetInfo,
    /// How it was quantised, if it was.
    pub quantisation: Option<Quantisation>,
}

impl SavedGraph {
    /// As a file.
    ///
    /// # Errors
    /// [`Error::Kernels`] if it cannot be written.
    ///
    /// # Panics
    /// Never: plain data always has a JSON form.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut said = WeightFile::default();
        self.info.write_to(&mut said);
        if let Some(quantisation) = &self.quantisation {
            let json = serde_json::to_string(quantisation).expect("plain data has a JSON form");
            said.metadata.insert(QUANTISATION.to_owned(), json);
        }
        Ok(onnx::write_bytes(&self.graph, &said.metadata)?)
    }

    /// From a file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self> {
        let file = onnx::read_file(path, &ReadOptions::default())?;
        let said = WeightFile {
            metadata: file.metadata,
            ..WeightFile::default()
        };
        let info = NetInfo::of(&said)?.ok_or_else(|| {
            Error::file(path, "it does not say how it is trained: no file of a run")
        })?;
        let quantisation = (said.metadata.get(QUANTISATION))
            .map(|json| serde_json::from_str(json))
            .transpose()
            .map_err(|e| Error::file(path, format!("metadata `{QUANTISATION}`: {e}")))?;
        Ok(Self {
            graph: file.graph,
            info,
            quantisation,
        })
    }
}

/// The network of a run that began with an ONNX file, as the run has kept it.
///
/// # Errors
/// What is wrong with the file.
pub fn resume_onnx(path: &Path) -> Result<(Net, NetInfo)> {
    let SavedGraph { graph, info, .. } = SavedGraph::read(path)?;
    let bias = (graph.param_ids())
        .find(|(_, param)| param.name == "bottleneck.bias")
        .map(|(id, _)| id);
    let mut net = Net::from_graph(graph);
    if let Some(bias) = bias {
        net.set_role(bias, ParamRole::Frozen);
    }
    Ok((net, info))
}

/// Why weights are refused of which `dropped` have no place in the network.
fn refused_tensors(dropped: &[DroppedTensor]) -> String {
    const SHOWN: usize = 8;
    let shown = dropped.iter().take(SHOWN);
    let shown: Vec<String> = (shown.map(|i| format!("`{}` ({})", i.name, i.reason))).collect();
    let more = match dropped.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "trained tensors would be left out, so that other embeddings come out than those of the network \
         that was trained: {}{more}; --drop-unused (`trainer import`, `trainer export`) leaves them out",
        shown.join(", ")
    )
}

fn add_skipped(report: &mut ImportReport, source: &import::WeightSource) {
    for skipped in source.skipped() {
        let (name, reason) = (skipped.name.clone(), skipped.reason.clone());
        if skipped.trained {
            report.dropped.push(DroppedTensor {
                name,
                reason,
                of_backbone: false,
            });
        } else {
            report.ignored.push(IgnoredTensor { name, reason });
        }
    }
}
