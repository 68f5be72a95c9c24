//! ONNX files become [`Graph`]s, and [`Graph`]s become ONNX files.
//!
//! Reading takes what exporters write, from operator set 7 on, down to what a network computes:
//! constants are folded, arithmetic on shapes is done with the batch kept symbolic, dropout and
//! identities vanish, nodes that no output needs are dropped. What is left are the operators of
//! [`crate::graph::Op`]. A file that uses more than that is refused with the node's name, its
//! operator and the attribute or input in question; nothing is approximated.
//!
//! Files come from anywhere, so they are bounded before memory is taken for them: 2 GiB of file and of
//! initialisers, 100 000 nodes, [`MAX_ELEMENTS`](crate::tensor::MAX_ELEMENTS) a tensor and, for one
//! image, a value. No content of theirs makes the reader panic.
//!
//! Writing makes a file of operator set 17 that the checker of ONNX accepts. The same graph always
//! makes the same bytes, and reading them back makes the same graph, up to the order of its
//! parameters ([`Graph::pruned`] has the order of a file).
//!
//! A file can be sealed ([`write_bytes_with_digest`]): it then states its own SHA-256 under [`DIGEST_KEY`],
//! and is refused if a single byte of it has changed.

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

/// What malformed bytes were taken for.
const WHAT: &str = "ONNX model";

/// What an ONNX file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxModel {
    /// The network.
    pub graph: Graph,
    /// `metadata_props` of the file, among them the [contract](crate::metadata::METADATA_KEY).
    pub metadata: BTreeMap<String, String>,
    /// Version of the operator set, 7 or more.
    pub opset: u32,
    /// Version of the format.
    pub ir_version: i64,
    /// Name and version of the program that wrote the file, may be empty.
    pub producer: String,
    /// What was assumed where the file leaves something open, for people.
    pub warnings: Vec<String>,
    /// The SHA-256 that the file states of itself, 64 hexadecimal digits, which was checked; none of
    /// a file that is not sealed.
    pub digest: Option<String>,
}

/// What to assume where a file leaves something open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Height and width of the input in pixels where the file leaves them symbolic; 256 x 128, with
    /// a warning, if none.
    pub input_size: Option<[usize; 2]>,
}

/// Reads the model at `path`. Its elements may lie in other files, in the same folder or below.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] if the file is no ONNX model or contradicts itself;
/// [`Error::Limit`] beyond a limit of the [module](self); [`Error::Unsupported`] and
/// [`Error::Shape`] with the node that cannot be read.
pub fn read_file(path: &Path, options: &ReadOptions) -> Result<OnnxModel> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one beyond it, whatever the system
    // says of its size.
    file.take(limits::MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::io(path))?;
    model(bytes, &Folder::of(path), options)
}

/// Reads the model that `bytes` are the whole file of.
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
