//! The SHA-256 of a file, stored in the file.
//!
//! It is computed over all bytes with 64 zeros in its own place: the value of the last entry [`DIGEST_KEY`] of
//! `metadata_props`. A file with a digest has no elements in other files. The digest detects damage and
//! careless edits, and identifies the file in caches. It is no signature: an edited file can get a new one.

use std::collections::BTreeMap;

use prost::Message;
use sha2::{Digest, Sha256};

use super::WHAT;
use super::proto::{ModelProto, StringStringEntryProto};
use crate::{Error, Result};

/// Key of the digest in the file's `metadata_props`.
pub const DIGEST_KEY: &str = "reid.sha256";

/// The bytes in the place of the digest while it is computed.
const BLANK: [u8; 64] = [b'0'; 64];

/// `metadata` with a place for the digest.
pub(super) fn with_place(metadata: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let blank = String::from_utf8(BLANK.to_vec()).expect("zeros are text");
    let mut metadata = metadata.clone();
    metadata.insert(DIGEST_KEY.to_owned(), blank);
    metadata
}

/// Writes the digest into its place.
///
/// # Panics
/// If the metadata are not from [`with_place`].
pub(super) fn write(bytes: &mut [u8]) {
    let at = place(bytes).expect("a place was made for it");
    let digest = compute(bytes, at);
    bytes[at..][..BLANK.len()].copy_from_slice(digest.as_bytes());
}

/// The digest stored in the file `bytes`, decoded as `proto`, if there is one.
///
/// # Errors
/// [`Error::Malformed`] with both digests if it does not match the content.
pub(super) fn check(bytes: &[u8], proto: &ModelProto) -> Result<Option<String>> {
    let mut entries = proto.metadata_props.iter().rev();
    let Some(entry) = entries.find(|entry| entry.key.as_deref() == Some(DIGEST_KEY)) else {
        return Ok(None);
    };
    let stated = entry.value.as_deref().unwrap_or_default();
    let found = match place(bytes) {
        Some(at) => compute(bytes, at),
        None => "none, as the entry is written in another form".to_owned(),
    };
    if found == stated {
        return Ok(Some(found));
    }
    let stated: String = stated.chars().take(64).collect();
    Err(Error::malformed(
        WHAT,
        format!(
            "the sha256 of its content is {found}, it states {stated}: it was changed or damaged \
             after its export; get a fresh copy"
        ),
    ))
}

/// Index of the 64 digits of the last entry, in the usual protobuf form: key, then value.
fn place(bytes: &[u8]) -> Option<usize> {
    let entry = StringStringEntryProto {
        key: Some(DIGEST_KEY.to_owned()),
        value: Some(String::new()),
    };
    let mut head = entry.encode_to_vec();
    // The last byte is the length of the value.
    *head.last_mut()? = BLANK.len() as u8;
    let last = bytes.len().checked_sub(head.len() + BLANK.len())?;
    let begin = (0..=last)
        .rev()
        .find(|&at| bytes[at..].starts_with(&head))?;
    Some(begin + head.len())
}

/// SHA-256 with zeros in place of the 64 bytes from `at` on, as 64 hexadecimal digits.
fn compute(bytes: &[u8], at: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(&bytes[..at]);
    hash.update(BLANK);
    hash.update(&bytes[at + BLANK.len()..]);
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::graph::{Graph, Op, Unary};
    use crate::onnx::{ReadOptions, read_bytes, write_bytes, write_bytes_with_digest};

    fn graph() -> Graph {
        let mut graph = Graph::new("net", "images", [3, 2, 2]);
        let relu = Op::Unary(Unary::Relu);
        let relu = graph.push1("relu", relu, [graph.input().into()]).unwrap();
        graph.output("y", relu);
        graph
    }

    fn metadata() -> BTreeMap<String, String> {
        BTreeMap::from([("zebra".to_owned(), "striped".to_owned())])
    }

    #[test]
    fn a_sealed_file_reads_as_any_other_and_says_its_digest() {
        let options = ReadOptions::default();
        let plain = read_bytes(&write_bytes(&graph(), &metadata()).unwrap(), &options).unwrap();
        let bytes = write_bytes_with_digest(&graph(), &metadata()).unwrap();
        let with_digest = read_bytes(&bytes, &options).unwrap();
        assert_eq!(plain.digest, None);
        assert_eq!(plain.graph, with_digest.graph);
        assert_eq!(with_digest.metadata["zebra"], "striped");
        assert_eq!(
            with_digest.digest.as_ref(),
            with_digest.metadata.get(super::DIGEST_KEY)
        );
        assert_eq!(with_digest.digest.unwrap().len(), 64);
        // The same graph always makes the same bytes.
        assert_eq!(
            write_bytes_with_digest(&graph(), &metadata()).unwrap(),
            bytes
        );
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = write_bytes_with_digest(&graph(), &metadata()).unwrap();
        let mut silent = Vec::new();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let read = read_bytes(&changed, &ReadOptions::default());
            if read.is_ok_and(|model| model.digest.is_some()) {
                silent.push(at);
            }
        }
        assert_eq!(silent, [0; 0]);
        // Not all of these changes make the file unreadable: the digest is what finds them.
        let at = bytes.windows(7).position(|w| w == b"striped").unwrap();
        let mut changed = bytes;
        changed[at] ^= 1;
        let error = read_bytes(&changed, &ReadOptions::default()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("the sha256 of its content is"), "{error}");
        assert!(error.contains("get a fresh copy"), "{error}");
    }

    #[test]
    fn a_file_of_before_may_have_an_entry_of_that_name_that_is_no_digest() {
        let entry = BTreeMap::from([(super::DIGEST_KEY.to_owned(), "none".to_owned())]);
        let bytes = write_bytes(&graph(), &entry).unwrap();
        let error = read_bytes(&bytes, &ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("it states none"), "{error}");
    }
}
