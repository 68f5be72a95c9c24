//! Networks from files: a checkpoint, published weights or a float ONNX file, to be used as they are
//! ([`open`]) or as the start of a training ([`init`]).

use std::path::Path;

use network::graph::Graph;
use network::metadata::Quantisation;
use network::model::{Model, ModelOptions};
use network::onnx::{self, ReadOptions};

use crate::checkpoint::{NetInfo, default_preprocessing};
use crate::import::{self, ImportReport, Overrides, UnusedTensor};
use crate::nets::{self, Net, ParamRole};
use crate::weights::WeightFile;
use crate::{Error, Result};

/// Metadata key of the quantisation, JSON.
const QUANTISATION: &str = "reid.quantisation";

/// A network out of a file.
#[derive(Debug)]
pub struct OpenedNet {
    /// With outputs `f_t` and `f_i`.
    pub net: Net,
    /// Its metadata.
    pub info: NetInfo,
    /// Naming family of the file: `own`, `torchreid`, `onnx`...
    pub family: &'static str,
    /// How its tensors were used; empty for an ONNX file.
    pub report: ImportReport,
    /// Notes for the user, one line for each.
    pub notes: Vec<String>,
    /// How it was quantised, if it was.
    pub quantisation: Option<Quantisation>,
}

impl OpenedNet {
    /// The network as a weight file with metadata.
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
    // Parameters that the file lacks get the initial values of seed 0.
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
    let model = Model::unfolded(path, &ModelOptions::default())?;
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

/// The network at the start of a training.
#[derive(Debug)]
pub struct InitialNet {
    /// The network, with a classifier for the persons of the training.
    pub net: Net,
    /// Its metadata.
    pub info: NetInfo,
    /// How its tensors were used.
    pub report: ImportReport,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// The network described by `info`, initialised with the weights of a file. A classifier for other
/// persons is ignored. An ONNX file brings its own network and pre-processing.
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
            preprocessing: model.metadata.preprocessing,
            ..info.clone()
        };
        let net = nets::with_new_head(model, info.classes, seed)
            .map_err(|e| Error::file(path, e.to_string()))?;
        if !net.has_backbone_norm() {
            notes.push(format!(
                "{}: its BatchNorms are folded, so it will train badly: start from the unfolded network if possible",
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
    // A training may replace heads, but needs the whole backbone.
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

/// The network described by `info`, with random weights.
///
/// # Errors
/// [`Error::Argument`] if there is no such network.
pub fn fresh(info: &NetInfo, seed: u64) -> Result<Net> {
    let spec = info.spec.as_ref().ok_or_else(|| {
        Error::Argument("a network from an ONNX file cannot be initialised at random".to_owned())
    })?;
    nets::build(spec, info.classes, seed)
}

/// A network that a [`nets::Spec`] cannot describe, saved in the run folder for `--resume`: one from an
/// ONNX file, or a quantised one.
#[derive(Debug)]
pub struct SavedGraph {
    /// The network.
    pub graph: Graph,
    /// Its metadata.
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
        let info = NetInfo::of(&said)?
            .ok_or_else(|| Error::file(path, "its metadata do not belong to a training run"))?;
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

/// The network of a run that started from an ONNX file.
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

/// The error for trained tensors that the network has no parameter for.
fn refused_tensors(dropped: &[UnusedTensor]) -> String {
    const SHOWN: usize = 8;
    let shown = dropped.iter().take(SHOWN);
    let shown: Vec<String> = (shown.map(|i| format!("`{}` ({})", i.name, i.reason))).collect();
    let more = match dropped.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "trained tensors have no place in the network, so its embeddings would differ from those of the \
         trained network: {}{more}; --drop-unused (`trainer import`, `trainer export`) leaves them out",
        shown.join(", ")
    )
}

fn add_skipped(report: &mut ImportReport, source: &import::WeightSource) {
    for skipped in source.skipped() {
        let list = match skipped.trained {
            true => &mut report.dropped,
            false => &mut report.ignored,
        };
        list.push(UnusedTensor {
            name: skipped.name.clone(),
            reason: skipped.reason.clone(),
            of_backbone: false,
        });
    }
}
