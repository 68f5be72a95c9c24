//! Opens a model: from a file to a folded network with complete metadata.
//!
//! Every program opens models here. The network has one f32 output `[N, dim]` and no BatchNorm, and reads
//! pixels normalised as its metadata state. The metadata are complete whether or not the file has any.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::graph::fold::{fold, take_normalisation};
use crate::graph::{Dim, Graph, Op, Operand, ValueId};
use crate::metadata::{
    self, Embedding, Metric, ModelMetadata, Preprocessing, PreprocessingPart, Sidecar,
};
use crate::onnx::{self, ReadOptions};
use crate::tensor::with_elements;
use crate::{Error, Result};

/// A model, ready to be planned.
///
/// # Example
/// ```
/// use std::path::Path;
///
/// use network::model::{Model, ModelOptions};
///
/// # fn main() -> network::Result<()> {
/// let path = Path::new("../models/street-osnet_x0_25-int8.onnx");
/// let model = Model::open(path, &ModelOptions::default())?;
/// assert_eq!(model.graph.input_size(), [3, 128, 64]);
/// assert_eq!(model.metadata.embedding.dim, 128);
/// assert!(model.graph.is_quantised());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    /// The network, folded by [`Model::open`].
    pub graph: Graph,
    /// Its metadata. `space` is always present: the stated one of a file whose digest is valid, else one
    /// that is computed from the network and its pre-processing.
    pub metadata: ModelMetadata,
    /// Assumptions and problems that the user should know of, one line each.
    pub warnings: Vec<String>,
    /// Nodes of the network in the file, before folding.
    pub nodes_in_file: usize,
    /// The digest in the file, 64 hexadecimal digits, which was checked; always present with a self-test.
    pub digest: Option<String>,
}

/// How to open a model.
#[derive(Debug, Clone, Default)]
pub struct ModelOptions {
    /// The sidecar to read; none looks for `MODEL.toml` beside `MODEL.onnx`.
    pub sidecar: Option<PathBuf>,
    /// Overrides all other pre-processing. The embedding space becomes another one.
    pub preprocessing: PreprocessingPart,
}

impl Model {
    /// Opens an ONNX file.
    ///
    /// # Errors
    /// Any problem of the file, its metadata or its sidecar, with names and values.
    pub fn open(path: &Path, options: &ModelOptions) -> Result<Self> {
        let mut model = Self::unfolded(path, options)?;
        model.graph = fold(&model.graph)?;
        Ok(model)
    }

    /// As [`Model::open`], with the BatchNorms of the file, for further training.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn unfolded(path: &Path, options: &ModelOptions) -> Result<Self> {
        let sidecar_path = match &options.sidecar {
            Some(path) => Some(path.clone()),
            None => Some(path.with_extension("toml")).filter(|beside| beside.is_file()),
        };
        let sidecar = match &sidecar_path {
            Some(path) => Sidecar::read(path)?,
            None => Sidecar::default(),
        };
        let size = size(&options.preprocessing).or(size(&sidecar.preprocessing));
        let file = onnx::read_file(path, &ReadOptions { input_size: size })?;
        let nodes_in_file = file.graph.nodes().len();
        let mut warnings = file.warnings;

        let (network, mut metadata) = match file.metadata.get(metadata::METADATA_KEY) {
            Some(json) => {
                let metadata = ModelMetadata::from_json(json)?;
                if let Some(sidecar) = sidecar_path {
                    let sidecar = sidecar.display();
                    let reason = format!(
                        "it has its own metadata, which {sidecar} would override: move that file away"
                    );
                    return Err(Error::malformed("model", reason));
                }
                (
                    file.graph.with_output(&metadata.embedding.output)?,
                    metadata,
                )
            }
            None => adopt(&file.graph, sidecar, path, &mut warnings)?,
        };
        let overridden = !options.preprocessing.is_empty();
        if overridden {
            metadata.preprocessing = options.preprocessing.over(metadata.preprocessing);
            metadata.preprocessing.check()?;
        }
        fits(&network, &metadata)?;
        if metadata.self_test.is_some() && file.digest.is_none() {
            let reason = format!(
                "it has a self-test, but no digest under `{}`: it was changed after \
                 its export; get a fresh copy",
                onnx::DIGEST_KEY
            );
            return Err(Error::malformed("model", reason));
        }
        // Golden crops have the size of the network, so the resize kernel does not affect them.
        let given = &options.preprocessing;
        if metadata.self_test.is_some()
            && (given.mean, given.std, given.colour) != (None, None, None)
        {
            metadata.self_test = None;
            warnings.push(
                "the pre-processing was overridden, so the results differ from the known answers: \
                 the self-test is left out"
                    .to_owned(),
            );
        }
        if file.digest.is_none() && file.metadata.contains_key(metadata::METADATA_KEY) {
            let stated = metadata.space.take();
            warnings.push(without_digest(path, stated.as_deref()));
        }
        if overridden || metadata.space.is_none() {
            metadata.space = Some(space(&network, &metadata.preprocessing));
        }
        Ok(Self {
            graph: network,
            metadata,
            warnings,
            nodes_in_file,
            digest: file.digest,
        })
    }

    /// Identity of the embedding space, `sha256:` and 64 hexadecimal digits if it was computed.
    ///
    /// # Panics
    /// If it was removed: [`Model::open`] always sets it.
    #[must_use]
    pub fn space(&self) -> &str {
        self.metadata
            .space
            .as_deref()
            .expect("`Model::open` sets it")
    }
}

/// Identity of a file: `sha256:` and 64 hexadecimal digits.
///
/// # Errors
/// [`Error::Io`].
pub fn file_identity(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(Error::io(path))?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut HashWriter(&mut hash)).map_err(Error::io(path))?;
    Ok(named(hash))
}

/// The network and the metadata of a file without metadata.
fn adopt(
    graph: &Graph,
    sidecar: Sidecar,
    path: &Path,
    warnings: &mut Vec<String>,
) -> Result<(Graph, ModelMetadata)> {
    let output = match (&sidecar.output, graph.outputs()) {
        (Some(name), _) => name.clone(),
        (None, [one]) => one.name.clone(),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|output| output.name.as_str()).collect();
            return Err(Error::Argument(format!(
                "{}: it has {} outputs, `{}`; state which is the embedding with `output = \"...\"` \
                 in {}",
                path.display(),
                names.len(),
                names.join("`, `"),
                path.with_extension("toml").display(),
            )));
        }
    };
    let network = flat_output(graph.with_output(&output)?)?;
    let (network, normalisation) = take_normalisation(&network)?;
    let [_, height, width] = network.input_size();
    let mut assumed = Preprocessing {
        height,
        width,
        ..Preprocessing::default()
    };
    if let Some(affine) = &normalisation {
        if sidecar.preprocessing.mean.is_some() || sidecar.preprocessing.std.is_some() {
            let reason = "the sidecar has mean or std, but the network normalises by itself";
            return Err(Error::malformed("sidecar", reason));
        }
        assumed = assumed.normalised_by(affine)?;
        let Preprocessing { mean, std, .. } = &assumed;
        warnings.push(format!(
            "the network normalises by itself: taken as mean {mean:?}, std {std:?} of pixels in 0..1"
        ));
    }
    let preprocessing = sidecar.preprocessing.over(assumed);
    preprocessing.check()?;
    if sidecar.preprocessing.is_empty() {
        warnings.push(format!(
            "{} does not state its pre-processing: assuming {preprocessing}; \
             {} can state another",
            path.display(),
            path.with_extension("toml").display(),
        ));
    }
    // 0 if the output is no embedding, which `fits` refuses.
    let dim = dim(&network).unwrap_or(0);
    let metadata = ModelMetadata {
        version: metadata::VERSION,
        preprocessing,
        embedding: Embedding {
            output,
            dim,
            metric: Metric::Cosine,
        },
        net: sidecar.net,
        space: None,
        weights: sidecar.weights,
        thresholds: Vec::new(),
        quantisation: None,
        self_test: None,
    };
    Ok((network, metadata))
}

/// Flattens the embedding of a network that ends in `[N, D, 1, 1]`.
fn flat_output(mut graph: Graph) -> Result<Graph> {
    let output = graph.outputs()[0].clone();
    let rank = graph.value(output.value).fact.shape.len();
    let ones = graph
        .value(output.value)
        .fact
        .shape
        .iter()
        .skip(2)
        .all(|&dim| dim == Dim::Fixed(1));
    if rank <= 2 || !ones {
        return Ok(graph);
    }
    let flat = graph.push1(
        "flat_embedding",
        Op::Flatten { axis: 1 },
        [output.value.into()],
    )?;
    graph.output("flat_embedding", flat);
    graph.with_output("flat_embedding")
}

/// Refuses a network without an embedding, or that contradicts its metadata.
fn fits(network: &Graph, metadata: &ModelMetadata) -> Result<()> {
    let malformed = |reason| Err(Error::malformed("model", reason));
    let [channels, height, width] = network.input_size();
    let Preprocessing {
        height: h,
        width: w,
        ..
    } = metadata.preprocessing;
    if (channels, height, width) != (3, h, w) {
        return malformed(format!(
            "the network reads [N, {channels}, {height}, {width}], its pre-processing gives \
             [N, 3, {h}, {w}]"
        ));
    }
    match dim(network) {
        Some(dim) if dim == metadata.embedding.dim => Ok(()),
        Some(dim) => {
            let stated = metadata.embedding.dim;
            malformed(format!(
                "its embeddings have {dim} numbers, its metadata state {stated}"
            ))
        }
        None => {
            let output = &network.outputs()[0];
            let shape = &network.value(output.value).fact.shape;
            let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
            malformed(format!(
                "output `{}` is [{}], wanted one embedding a crop: [N, dim]",
                output.name,
                shape.join(", ")
            ))
        }
    }
}

/// The warning for a file with metadata and no digest: it was edited, or written again by another tool. Its
/// stated space is left out, because the network in the file may be another one.
fn without_digest(path: &Path, stated: Option<&str>) -> String {
    let space = match stated {
        Some(stated) => format!(
            "the embedding space `{stated}` that it states does not count, the space is computed \
             from its content instead"
        ),
        None => "the embedding space is computed from its content".to_owned(),
    };
    format!(
        "{} has model metadata, but no digest (`{}`) and no self-test: nothing proves that it is \
         what the exporter wrote; {space}. Export it again for a file that proves both",
        path.display(),
        onnx::DIGEST_KEY,
    )
}

/// Length of the embedding, if the output is one.
fn dim(network: &Graph) -> Option<usize> {
    match network.value(network.outputs()[0].value).fact.shape[..] {
        [Dim::Batch, Dim::Fixed(dim)] if dim > 0 => Some(dim),
        _ => None,
    }
}

fn size(part: &PreprocessingPart) -> Option<[usize; 2]> {
    Some([part.height?, part.width?])
}

/// Identity of an embedding space: the operators in order with their attributes, what each of them
/// reads, the parameters, which value is the embedding, and the pre-processing. Names do not count.
///
/// Galleries store it. Operators are hashed in their [`Debug`](std::fmt::Debug) form, so renaming a variant or
/// a field would separate every model from its galleries: a test pins that form.
#[must_use]
pub fn space(network: &Graph, preprocessing: &Preprocessing) -> String {
    let mut hash = Sha256::new();
    let read = |hash: &mut Sha256, value: ValueId| hash.update(format!("value {} ", value.index()));
    for node in network.nodes() {
        hash.update(format!("{:?} of ", node.op));
        for operand in &node.inputs {
            match operand {
                Operand::Value(id) => read(&mut hash, *id),
                Operand::Param(id) => {
                    let tensor = network.tensor(*id);
                    hash.update(format!("{:?} {:?} ", tensor.dtype(), tensor.shape()));
                    with_elements!(tensor.data(), |elements| {
                        elements.iter().for_each(|v| hash.update(v.to_le_bytes()));
                    });
                }
            }
        }
    }
    for output in network.outputs() {
        read(&mut hash, output.value);
    }
    let Preprocessing {
        height,
        width,
        resize,
        fit,
        colour,
        mean,
        std,
    } = preprocessing;
    hash.update(format!(
        "{height} {width} {resize:?} {fit:?} {colour:?} {mean:?} {std:?}"
    ));
    named(hash)
}

fn named(hash: Sha256) -> String {
    let digits: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digits}")
}

/// Lets [`std::io::copy`] feed a hash.
struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Unary;
    use crate::tensor::Tensor;

    /// Two halves of the pixels, each through a leaky ReLU, one of them the embedding.
    fn network(alpha: f32, factor: f32, embedding: usize) -> Graph {
        let mut graph = Graph::new("net", "images", [2, 1, 1]);
        let flat = Op::Flatten { axis: 1 };
        let x = graph.push1("flat", flat, [graph.input().into()]).unwrap();
        let leaky = Op::Unary(Unary::LeakyRelu { alpha });
        let x = graph.push1("leaky", leaky, [x.into()]).unwrap();
        let factor = graph.param("factor", Tensor::scalar(factor));
        let product = Op::Binary(crate::graph::Binary::Mul);
        let x = graph
            .push1("product", product, [x.into(), factor.into()])
            .unwrap();
        let halves = Op::Split {
            axis: 1,
            sizes: vec![1, 1],
        };
        let halves = graph.push("halves", halves, [x.into()]).unwrap();
        graph.output("embedding", halves[embedding]);
        graph
    }

    #[test]
    fn a_space_is_one_network_and_one_pre_processing() {
        let plain = Preprocessing::default();
        let blue_first = Preprocessing {
            colour: metadata::Colour::Bgr,
            ..plain
        };
        let spaces = [
            space(&network(0.1, 2.0, 0), &plain),
            space(&network(0.2, 2.0, 0), &plain),
            space(&network(0.1, 3.0, 0), &plain),
            space(&network(0.1, 2.0, 1), &plain),
            space(&network(0.1, 2.0, 0), &blue_first),
        ];
        for (i, space) in spaces.iter().enumerate() {
            assert!(!spaces[..i].contains(space), "space {i} is an earlier one");
        }
        // If this fails, every gallery out there is refused: is that meant?
        let pinned = "sha256:1b98b6926904e2dfe6b04073f07bedaecac50f098cb3c5ccb76e6eee921001c2";
        assert_eq!(spaces[0], pinned);
    }

    #[test]
    fn a_network_that_hands_its_input_on_is_no_embedder() {
        let mut graph = Graph::new("net", "images", [3, 256, 128]);
        graph.output("same", graph.input());
        let (network, metadata) = adopt(
            &graph,
            Sidecar::default(),
            Path::new("same.onnx"),
            &mut Vec::new(),
        )
        .unwrap();
        let error = fits(&network, &metadata).unwrap_err().to_string();
        assert!(
            error.contains("`same` is [N, 3, 256, 128], wanted one embedding"),
            "{error}"
        );
    }
}
