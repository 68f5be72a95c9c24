//! Reads ONNX files into [`Graph`]s and writes [`Graph`]s as ONNX files.
//!
//! Reading accepts operator sets from 7 on and reduces them to [`graph::Op`](crate::graph::Op): constants are
//! folded, shape arithmetic is evaluated with a symbolic batch, dropout and unused nodes are dropped. Anything
//! else is refused with the node, its operator and the attribute or input. Sizes are limited before memory is
//! allocated. Written files have operator set 17; the same graph makes the same bytes.

mod attributes;
mod digest;
mod extents;
mod external;
mod image;
mod limits;
mod operators;
mod order;
mod proto;
mod read;
mod scope;
mod site;
mod targets;
mod tensors;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use prost::Message;

use crate::graph::Graph;
use crate::{Error, Result};
pub use digest::DIGEST_KEY;
use external::Folder;
use proto::{GraphProto, ModelProto, ValueInfoProto};

/// What malformed bytes should have been.
const WHAT: &str = "ONNX model";

/// The content of an ONNX file.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxModel {
    /// The network.
    pub graph: Graph,
    /// `metadata_props` of the file, among them the [model metadata](crate::metadata::METADATA_KEY).
    pub metadata: BTreeMap<String, String>,
    /// Version of the operator set, 7 or more.
    pub opset: u32,
    /// Version of the format.
    pub ir_version: i64,
    /// Name and version of the program that wrote the file, may be empty.
    pub producer: String,
    /// Assumptions where the file leaves something open, one line each.
    pub warnings: Vec<String>,
    /// The digest stored in the file, 64 hexadecimal digits, which was checked; none without one.
    pub digest: Option<String>,
}

/// Assumptions where a file leaves something open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Height and width of the input in pixels where the file leaves them symbolic; 256 x 128, with
    /// a warning, if none.
    pub input_size: Option<[usize; 2]>,
}

/// Reads the model at `path`.
///
/// ```
/// use std::path::Path;
/// use network::onnx::{ReadOptions, read_file};
///
/// let file = read_file(
///     Path::new("../models/street-osnet_x0_25-int8.onnx"),
///     &ReadOptions::default(),
/// )?;
/// assert_eq!(file.graph.input_size()[0], 3);
/// assert!(file.graph.is_quantised() && file.metadata.contains_key("reid.contract"));
/// # Ok::<(), network::Error>(())
/// ```
///
/// Its elements may be in other files, in the same folder or below.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] if the file is no ONNX model or contradicts itself;
/// [`Error::Limit`] beyond 2 GiB, 100 000 nodes or
/// [`MAX_ELEMENTS`](crate::tensor::MAX_ELEMENTS) of a tensor; [`Error::Unsupported`] and
/// [`Error::Shape`] with the node that cannot be read.
pub fn read_file(path: &Path, options: &ReadOptions) -> Result<OnnxModel> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    // One byte more than allowed shows a file beyond the limit, whatever size the system reports.
    file.take(limits::MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    model(bytes, &Folder::of(path), options)
}

/// Reads a model from the bytes of a whole file.
///
/// # Errors
/// As [`read_file`]; a model with elements in other files is refused.
pub fn read_bytes(bytes: &[u8], options: &ReadOptions) -> Result<OnnxModel> {
    model(bytes, &Folder::none(), options)
}

fn model(bytes: impl AsRef<[u8]>, folder: &Folder, options: &ReadOptions) -> Result<OnnxModel> {
    let proto = decode(bytes.as_ref())?;
    let digest = digest::check(bytes.as_ref(), &proto)?;
    drop(bytes);
    let beside = if digest.is_some() {
        &Folder::none()
    } else {
        folder
    };
    Ok(OnnxModel {
        digest,
        ..read::model(proto, beside, options)?
    })
}

fn decode(bytes: &[u8]) -> Result<ModelProto> {
    limits::check(bytes)?;
    ModelProto::decode(bytes).map_err(|error| Error::malformed(WHAT, error.to_string()))
}

/// `graph` as an ONNX file with `metadata` as its `metadata_props`.
///
/// # Errors
/// [`Error::Limit`] if the parameters have more bytes than an ONNX file can hold,
/// [`Error::Unsupported`] if a node has no form in operator set 17.
pub fn write_bytes(graph: &Graph, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    encode(&write::model(graph, metadata)?)
}

/// As [`write_bytes`], with the file's own SHA-256 under [`DIGEST_KEY`].
///
/// # Errors
/// As [`write_bytes`].
pub fn write_bytes_with_digest(
    graph: &Graph,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut bytes = write_bytes(graph, &digest::with_place(metadata))?;
    digest::write(&mut bytes);
    Ok(bytes)
}

fn encode(model: &ModelProto) -> Result<Vec<u8>> {
    let size = model.encoded_len() as u64;
    limits::limit(
        "size of the ONNX file in bytes",
        size,
        limits::MAX_BYTES - 1,
    )?;
    Ok(model.encode_to_vec())
}

/// The inputs of `graph` without the initialisers, which files up to version 3 of the format list
/// too.
fn inputs(graph: &GraphProto) -> impl Iterator<Item = &ValueInfoProto> {
    let tensors = graph.initializer.iter();
    let initialisers: HashSet<Option<&str>> =
        tensors.map(|tensor| tensor.name.as_deref()).collect();
    let inputs = graph.input.iter();
    inputs.filter(move |input| !initialisers.contains(&input.name.as_deref()))
}
