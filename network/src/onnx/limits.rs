//! Limits on the memory that a file may need, checked before any of it is allocated.
//!
//! Two bytes of a protobuf file can stand for a node that takes hundreds of bytes once decoded. So the bytes are
//! walked once to count what decoding would create, and a file above the limits is refused.

use super::WHAT;
use super::proto::{AttributeProto, TensorProto};
use crate::tensor::MAX_ELEMENTS;
use crate::{Error, Result};

/// Extents of images, strides, kernels and pads stay below this: their products fit 64 bits.
pub(super) const MAX_EXTENT: usize = 1 << 20;

/// The most dimensions of a value. Networks have four, shuffles and attention five or six.
pub(super) const MAX_RANK: usize = 8;

/// The largest file, and the most bytes of initialisers, external ones included: protobuf itself
/// ends at 2 GiB.
pub(super) const MAX_BYTES: u64 = 1 << 31;

/// The most nodes of a graph. An OSNet x0.25 with its BatchNorms unfused has 480.
pub(super) const MAX_NODES: u64 = 100_000;

/// The most messages and strings of a file: about twenty for each of [`MAX_NODES`] nodes. The
/// largest message takes below 300 bytes.
const MAX_ITEMS: u64 = 1 << 21;
const _: () = assert!(size_of::<TensorProto>() < 300 && size_of::<AttributeProto>() < 300);

/// The messages that are decoded. Fields of others are skipped by the decoder and cost nothing.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Value,
    Type,
    TensorType,
    Shape,
    /// A message without repeated fields.
    Leaf,
}

/// Content of a field, as far as memory is concerned.
enum Field {
    Message(Kind),
    /// A list of numbers of at least so many bytes each, and of up to eight once decoded.
    Numbers(u64),
    /// Text, bytes, one number, or a field that is skipped.
    Plain,
}

fn field(kind: Kind, tag: u64) -> Field {
    use Field::{Message, Numbers, Plain};
    match (kind, tag) {
        (Kind::Model, 7) => Message(Kind::Graph),
        (Kind::Model, 8 | 14 | 25) => Message(Kind::Leaf),
        (Kind::Graph, 1) => Message(Kind::Node),
        (Kind::Graph, 5) => Message(Kind::Tensor),
        (Kind::Graph, 11 | 12) => Message(Kind::Value),
        (Kind::Graph, 15) => Message(Kind::Leaf),
        (Kind::Node, 5) => Message(Kind::Attribute),
        (Kind::Attribute, 5) => Message(Kind::Tensor),
        (Kind::Attribute, 7) | (Kind::Tensor, 4) => Numbers(4),
        (Kind::Attribute, 8) | (Kind::Tensor, 1 | 5 | 7) => Numbers(1),
        (Kind::Tensor, 10) => Numbers(8),
        (Kind::Tensor, 13) => Message(Kind::Leaf),
        (Kind::Value, 2) => Message(Kind::Type),
        (Kind::Type, 1) => Message(Kind::TensorType),
        (Kind::TensorType, 2) => Message(Kind::Shape),
        (Kind::Shape, 1) => Message(Kind::Leaf),
        _ => Plain,
    }
}

/// Refuses `bytes` of a model if decoding them would allocate more than the limits.
///
/// # Errors
/// [`Error::Limit`] with the quantity, [`Error::Malformed`] if the bytes are no protobuf.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    limit(
        "size of the ONNX file in bytes",
        bytes.len() as u64,
        MAX_BYTES,
    )?;
    let (mut nodes, mut items, mut numbers) = (0, 0, 0);
    let mut pending = vec![(Kind::Model, bytes)];
    while let Some((kind, mut rest)) = pending.pop() {
        while !rest.is_empty() {
            let key = varint(&mut rest)?;
            let content = match key & 7 {
                0 => {
                    varint(&mut rest)?;
                    numbers += 1;
                    continue;
                }
                1 => {
                    split(&mut rest, 8)?;
                    numbers += 1;
                    continue;
                }
                2 => {
                    let length = varint(&mut rest)?;
                    split(&mut rest, length)?
                }
                5 => {
                    split(&mut rest, 4)?;
                    numbers += 1;
                    continue;
                }
                wire => {
                    return Err(Error::malformed(
                        WHAT,
                        format!("a field has wire type {wire}"),
                    ));
                }
            };
            items += 1;
            match field(kind, key >> 3) {
                Field::Message(inner) => {
                    nodes += u64::from(inner == Kind::Node);
                    pending.push((inner, content));
                }
                Field::Numbers(width) => numbers += content.len() as u64 / width,
                Field::Plain => {}
            }
            limit("number of nodes of the ONNX graph", nodes, MAX_NODES)?;
            limit(
                "number of messages and texts of the ONNX file",
                items,
                MAX_ITEMS,
            )?;
        }
        limit(
            "number of listed numbers of the ONNX file",
            numbers,
            MAX_ELEMENTS as u64,
        )?;
    }
    Ok(())
}

/// Refuses a `found` above `most`.
pub(super) fn limit(what: &str, found: u64, most: u64) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    Err(Error::Limit {
        what: what.to_owned(),
        found,
        limit: most,
    })
}

fn truncated() -> Error {
    Error::malformed(WHAT, "it ends in the middle of a field")
}

/// Takes a base-128 number off the front.
fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(truncated)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Error::malformed(WHAT, "a number is longer than 64 bits"))
}

/// Takes `length` bytes off the front.
fn split<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let (head, tail) = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.split_at_checked(length))
        .ok_or_else(truncated)?;
    *bytes = tail;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited field.
    fn delimited(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn a_small_file_that_becomes_large_is_refused() {
        let nodes = |n: usize| delimited(7, &[0x0a, 0x00].repeat(n));
        let names = |n: usize| delimited(7, &delimited(1, &[0x0a, 0x00].repeat(n)));
        assert!(check(&nodes(100_000)).is_ok());
        for (name, bytes, what) in [
            ("nodes", nodes(100_001), "number of nodes"),
            ("inputs", names(1 << 21), "messages and texts"),
        ] {
            let error = check(&bytes).unwrap_err().to_string();
            assert!(error.contains(what), "{name}: {error}");
        }
    }

    #[test]
    fn bytes_that_are_no_protobuf_are_refused() {
        for (name, bytes, what) in [
            ("cut key", vec![0x80], "ends in the middle"),
            ("cut content", vec![0x3a, 0x05, 0x00], "ends in the middle"),
            ("group", vec![0x0b], "wire type 3"),
            ("endless number", vec![0xff; 12], "longer than 64 bits"),
        ] {
            let error = check(&bytes).unwrap_err().to_string();
            assert!(error.contains(what), "{name}: {error}");
        }
    }
}
