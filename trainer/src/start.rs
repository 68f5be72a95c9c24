//! Networks out of files: a checkpoint of ours, published weights, or a float ONNX file; to be
//! judged as they are ([`open`]), or to begin a training with ([`init`]).

use std::path::Path;

use network::graph::Graph;
use network::metadata::Quantisation;
use network::model::{Model, ModelOptions};
use network::onnx::{self, ReadOptions};

use crate::checkpoint::{About, default_preprocessing};
use crate::import::{self, Account, Dropped, Ignored, Overrides};
use crate::nets::{self, Net, Role};
use crate::weights::Weights;
use crate::{Error, Result};

/// Metadata of a kept network that says how it was quantised, JSON.
const QUANTISATION: &str = "reid.quantisation";

/// A network out of a file.
#[derive(Debug)]
pub struct Opened {
    /// With outputs `f_t` and `f_i`.
    pub net: Net,
    /// What is known of it.
    pub about: About,
    /// Whose names the file uses: `own`, `torchreid`, `onnx`...
    pub family: &'static str,
    /// What became of its tensors; empty for an ONNX file, which is a network by itself.
    pub account: Account,
    /// What a person should know before trusting it, one line each.
    pub notes: Vec<String>,
    /// How it was quantised, if it was.
    pub quantisation: Option<Quantisation>,
}

impl Opened {
    /// The network as a file of ours.
    #[must_use]
    pub fn weights(&self) -> Weights {
        let mut weights = crate::checkpoint::weights(&self.net);
        self.about.note(&mut weights);
        weights
    }
}

/// The network in a file, as it is.
///
/// # Errors
/// What is wrong with the file, and [`Error::File`] if it holds no network that is known here.
pub fn open(path: &Path, overrides: &Overrides) -> Result<Opened> {
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
    let mut account = import::assign(&mut net, &naming, &weights).map_err(named)?;
    add_skipped(&mut account, &source);
    if !overrides.drop_unused && !account.dropped.is_empty() {
        return Err(Error::file(path, without_a_place(&account.dropped)));
    }
    let mut about = About::of(&weights).map_err(named)?.unwrap_or(About {
        preprocessing: default_preprocessing(Some(&deduced.spec)),
        spec: None,
        classes: deduced.classes,
        epoch: 0,
    });
    if let Some([mean, std]) = import::pixels(&weights) {
        about.preprocessing.mean = mean;
        about.preprocessing.std = std;
        about.preprocessing.check()?;
    }
    let [height, width] = deduced.spec.size;
    (about.preprocessing.height, about.preprocessing.width) = (height, width);
    about.spec = Some(deduced.spec);
    Ok(Opened {
        net,
        about,
        family: naming.family.name(),
        account,
        notes: deduced.notes,
        quantisation: None,
    })
}

fn open_onnx(path: &Path) -> Result<Opened> {
    let model = Model::unfolded(path, &ModelOptions::default())?;
    let mut graph = model.graph;
    let feature = graph.take_outputs()[0].value;
    for name in ["f_t", "f_i"] {
        graph.output(name, feature);
    }
    Ok(Opened {
        net: Net::from_graph(graph),
        about: About {
            spec: None,
            classes: 0,
            preprocessing: model.metadata.preprocessing,
            epoch: 0,
        },
        family: "onnx",
        account: Account::default(),
        notes: model.warnings,
        quantisation: model.metadata.quantisation,
    })
}

/// The network that a training begins with.
#[derive(Debug)]
pub struct Beginning {
    /// For the persons to be learnt.
    pub net: Net,
    /// What is known of it.
    pub about: About,
    /// What became of the file's tensors.
    pub account: Account,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// The network that `about` asks for, with the weights of a file where it has them: a classifier of
/// other people is left. An ONNX file is its own network with its own pre-processing, and only the
/// number of persons is asked for.
///
/// # Errors
/// What is wrong with the file, and [`Error::File`] with both shapes if its weights belong to
/// another network.
pub fn init(path: &Path, about: &About, seed: u64) -> Result<Beginning> {
    let source = import::open(path)?;
    if source.is_network() {
        let model = Model::unfolded(path, &ModelOptions::default())?;
        let mut notes = model.warnings.clone();
        let about = About {
            spec: None,
            preprocessing: model.metadata.preprocessing,
            ..about.clone()
        };
        let net = nets::adopt(model, about.classes, seed)
            .map_err(|e| Error::file(path, e.to_string()))?;
        if !net.has_backbone_norm() {
            notes.push(format!(
                "{}: no BatchNorm is left in it (they are folded): it will train badly, start from the unfolded network if there is one",
                path.display()
            ));
        }
        return Ok(Beginning {
            net,
            about,
            account: Account::default(),
            notes,
        });
    }
    let weights = source.weights()?;
    let named = |error: Error| Error::file(path, error.to_string());
    let naming = import::recognise(&weights, None).map_err(named)?;
    let mut net = fresh(about, seed)?;
    let mut account = import::assign(&mut net, &naming, &weights).map_err(named)?;
    add_skipped(&mut account, &source);
    // A training may leave out heads, and begins with a backbone as a whole.
    if let Some(left) = account.dropped.iter().find(|left| left.of_backbone) {
        let reason = format!("`{}`: {}", left.name, left.reason);
        return Err(Error::file(path, reason));
    }
    Ok(Beginning {
        net,
        about: about.clone(),
        account,
        notes: Vec::new(),
    })
}

/// The network that `about` asks for, with fresh weights.
///
/// # Errors
/// [`Error::Argument`] if there is no such network.
pub fn fresh(about: &About, seed: u64) -> Result<Net> {
    let spec = about.spec.as_ref().ok_or_else(|| {
        Error::Argument("a network from an ONNX file has no fresh weights".to_owned())
    })?;
    nets::build(spec, about.classes, seed)
}

/// A network that no name stands for, as a run keeps it for when it goes on: one from an ONNX file,
/// or a quantised one.
#[derive(Debug)]
pub struct Kept {
    /// The network.
    pub graph: Graph,
    /// What is known of it.
    pub about: About,
    /// How it was quantised, if it was.
    pub quantisation: Option<Quantisation>,
}

impl Kept {
    /// As a file.
    ///
    /// # Errors
    /// [`Error::Kernels`] if it cannot be written.
    ///
    /// # Panics
    /// Never: plain data always has a JSON form.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut said = Weights::default();
        self.about.note(&mut said);
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
        let said = Weights {
            metadata: file.metadata,
            ..Weights::default()
        };
        let about = About::of(&said)?.ok_or_else(|| {
            Error::file(path, "it does not say how it is trained: no file of a run")
        })?;
        let quantisation = (said.metadata.get(QUANTISATION))
            .map(|json| serde_json::from_str(json))
            .transpose()
            .map_err(|e| Error::file(path, format!("metadata `{QUANTISATION}`: {e}")))?;
        Ok(Self {
            graph: file.graph,
            about,
            quantisation,
        })
    }
}

/// The network of a run that began with an ONNX file, as the run has kept it.
///
/// # Errors
/// What is wrong with the file.
pub fn adopted(path: &Path) -> Result<(Net, About)> {
    let Kept { graph, about, .. } = Kept::read(path)?;
    let bias = (graph.param_ids())
        .find(|(_, param)| param.name == "bottleneck.bias")
        .map(|(id, _)| id);
    let mut net = Net::from_graph(graph);
    if let Some(bias) = bias {
        net.set_role(bias, Role::Frozen);
    }
    Ok((net, about))
}

/// Why weights are refused of which `dropped` have no place in the network.
fn without_a_place(dropped: &[Dropped]) -> String {
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

fn add_skipped(account: &mut Account, source: &import::Source) {
    for skipped in source.skipped() {
        let (name, reason) = (skipped.name.clone(), skipped.reason.clone());
        if skipped.trained {
            account.dropped.push(Dropped {
                name,
                reason,
                of_backbone: false,
            });
        } else {
            account.ignored.push(Ignored { name, reason });
        }
    }
}
