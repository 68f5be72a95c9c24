//! Named tensors in a safetensors file, with metadata.

pub(crate) mod element;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use cli::Replacement;
use network::tensor::{Data, Tensor};
use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensors};

use crate::{Error, Result};
use element::Element;

/// The largest file that is read. The largest network of this project, a ResNet-152, has 60 million
/// parameters; with two moments of an optimiser and an average of each that is below 1 GiB.
pub(crate) const MAX_BYTES: u64 = 1 << 32;

/// The largest header in bytes: that of an OSNet x0.25, of 487 tensors, has 46 080 (the file's first
/// eight bytes say so).
const MAX_HEADER: u64 = 1 << 24;

/// Named tensors and metadata.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WeightFile {
    /// By name, as in the network (`layer1.0.conv1.weight`).
    pub tensors: BTreeMap<String, Tensor>,
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
}

/// A tensor as it is in a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListedTensor {
    /// Its name.
    pub name: String,
    /// Type of its elements, for example `f16`.
    pub dtype: String,
    /// Extent of each dimension, outermost first.
    pub shape: Vec<usize>,
}

impl WeightFile {
    /// Reads a safetensors file. Floats become f32, small integers i32, truths u8.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] if it is no safetensors file, is larger than 4 GiB, its header
    /// contradicts itself or the file's length, or a tensor has a type that no [`Tensor`] can hold.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self::read_listed(path)?.0)
    }

    /// As [`WeightFile::read`], and what the tensors are in the file.
    pub(crate) fn read_listed(path: &Path) -> Result<(Self, Vec<ListedTensor>)> {
        let bytes = read_all(path)?;
        let refuse = |reason: String| Error::file(path, format!("no safetensors file: {reason}"));
        let header = bytes.first_chunk().map(|n| u64::from_le_bytes(*n));
        if let Some(header) = header.filter(|header| *header > MAX_HEADER) {
            let reason = format!("a header of {header} bytes, at most {MAX_HEADER} are read");
            return Err(refuse(reason));
        }
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| refuse(e.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| refuse(e.to_string()))?;
        let mut tensors = BTreeMap::new();
        let mut listed = Vec::new();
        for (name, view) in file.iter() {
            let refuse = |reason: String| Error::file(path, format!("tensor `{name}`: {reason}"));
            let element = Element::of_safetensors(view.dtype()).ok_or_else(|| {
                refuse(format!("elements of type {:?} are not read", view.dtype()))
            })?;
            let data = element.decode(view.data(), false).map_err(refuse)?;
            let tensor = Tensor::new(view.shape(), data).map_err(|e| refuse(e.to_string()))?;
            tensors.insert(name.to_owned(), tensor);
            listed.push(ListedTensor {
                name: name.to_owned(),
                dtype: element.to_string(),
                shape: view.shape().to_vec(),
            });
        }
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let metadata = header.metadata().clone().unwrap_or_default();
        let weights = Self {
            tensors,
            metadata: metadata.into_iter().collect(),
        };
        Ok((weights, listed))
    }

    /// Writes a safetensors file; the same weights always make the same bytes. What was at `path`
    /// is there until the new file is complete and on the disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: &Path) -> Result<()> {
        let header = self.header(path)?;
        cli::replace_file(path, Replacement::Shared, |file| {
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(&header)?;
            for (_, tensor) in self.in_order() {
                match tensor.data() {
                    Data::F32(v) => v.iter().try_for_each(|x| file.write_all(&x.to_le_bytes())),
                    Data::I64(v) => v.iter().try_for_each(|x| file.write_all(&x.to_le_bytes())),
                    Data::I32(v) => v.iter().try_for_each(|x| file.write_all(&x.to_le_bytes())),
                    Data::I8(v) => v.iter().try_for_each(|x| file.write_all(&x.to_le_bytes())),
                    Data::U8(v) => file.write_all(v),
                }?;
            }
            Ok(())
        })
        .map_err(Error::io(path))
    }

    /// The tensors as they lie in a file: large elements first, so that each is aligned.
    fn in_order(&self) -> Vec<(&String, &Tensor)> {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|(_, tensor)| std::cmp::Reverse(dtype(tensor).bitsize()));
        tensors
    }

    /// The header, padded to 8 bytes. The crate's own writer would do but for its hash map, which
    /// puts the metadata in an order of its own every time.
    fn header(&self, path: &Path) -> Result<Vec<u8>> {
        let mut start = 0;
        let infos = self.in_order().into_iter().map(|(name, tensor)| {
            let end = start + tensor.len() * dtype(tensor).bitsize() / 8;
            let info = TensorInfo {
                dtype: dtype(tensor),
                shape: tensor.shape().to_vec(),
                data_offsets: (start, end),
            };
            start = end;
            (name.clone(), info)
        });
        let infos = infos.collect();
        let metadata: HashMap<_, _> = self.metadata.clone().into_iter().collect();
        let refuse = |reason: String| Error::file(path, format!("cannot be written: {reason}"));
        let header = Metadata::new((!metadata.is_empty()).then_some(metadata), infos)
            .map_err(|e| refuse(e.to_string()))?;
        // Through a value, whose maps are sorted.
        let header = serde_json::to_value(&header).map_err(|e| refuse(e.to_string()))?;
        let mut header = header.to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        Ok(header)
    }
}

fn dtype(tensor: &Tensor) -> Dtype {
    match tensor.data() {
        Data::F32(_) => Dtype::F32,
        Data::I64(_) => Dtype::I64,
        Data::I32(_) => Dtype::I32,
        Data::I8(_) => Dtype::I8,
        Data::U8(_) => Dtype::U8,
    }
}

/// The whole file, of at most [`MAX_BYTES`].
pub(crate) fn read_all(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    if read.map_err(Error::io(path))? as u64 > MAX_BYTES {
        return Err(Error::file(
            path,
            format!("it is larger than {MAX_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn weights() -> WeightFile {
        let tensors = [
            ("b.bytes", Tensor::new([3], Data::U8(vec![1, 2, 255]))),
            ("a.count", Tensor::new([], Data::I64(vec![-7]))),
            (
                "c.weight",
                Tensor::f32([2, 2], vec![1.5, f32::MIN, -0.0, 3.0]),
            ),
            ("d.small", Tensor::new([1, 2], Data::I8(vec![-128, 127]))),
            ("e.bias", Tensor::new([2], Data::I32(vec![i32::MIN, 4]))),
            ("f.none", Tensor::zeros([0, 5])),
        ];
        let metadata = [("reid.spec", "{\"a\":1}"), ("format", "pt"), ("z", "ü")];
        WeightFile {
            tensors: tensors
                .into_iter()
                .map(|(name, tensor)| (name.to_owned(), tensor.unwrap()))
                .collect(),
            metadata: metadata.map(|(k, v)| (k.into(), v.into())).into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        weights().write(&path).unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(WeightFile::read(&path).unwrap(), weights());
        // Over an older file; the same bytes, nothing beside it.
        weights().write(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn floats_of_every_width_become_f32() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        for (dtype, bytes, wanted) in [
            (
                "F16",
                vec![0x00, 0x3c, 0x00, 0xfc],
                Ok([1.0, f32::NEG_INFINITY]),
            ),
            ("BF16", vec![0x80, 0x3f, 0x49, 0x40], Ok([1.0, 3.140_625])),
            (
                "F64",
                [0.1_f64, 2.0].map(f64::to_le_bytes).concat(),
                Ok([0.1, 2.0]),
            ),
            (
                "F64",
                [0.1_f64, 1e39].map(f64::to_le_bytes).concat(),
                Err("element 1 is 1e39"),
            ),
            ("C64", vec![0; 16], Err("type C64")),
        ] {
            let header = format!(
                "{{\"x\":{{\"dtype\":\"{dtype}\",\"shape\":[2],\"data_offsets\":[0,{}]}}}}",
                bytes.len()
            );
            let length = (header.len() as u64).to_le_bytes();
            fs::write(&path, [&length[..], header.as_bytes(), &bytes].concat()).unwrap();
            let read = WeightFile::read(&path);
            match wanted {
                Ok(wanted) => assert_eq!(read.unwrap().tensors["x"].as_f32().unwrap(), wanted),
                Err(wanted) => {
                    let error = read.unwrap_err().to_string();
                    assert!(error.contains(wanted) && error.contains("`x`"), "{error}");
                }
            }
        }
    }

    #[test]
    fn hostile_headers_are_refused_with_the_name_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evil.safetensors");
        let file = |header: &str, data: usize| {
            let length = (header.len() as u64).to_le_bytes();
            [&length[..], header.as_bytes(), &vec![0; data]].concat()
        };
        let x = |shape: &str, range: &str| {
            format!("{{\"x\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{range}}}}}")
        };
        for (name, bytes) in [
            ("empty", vec![]),
            ("cut length", vec![1, 2, 3]),
            ("huge header", u64::MAX.to_le_bytes().to_vec()),
            (
                "header over the limit",
                [&(1_u64 << 25).to_le_bytes()[..], &[b' '; 64]].concat(),
            ),
            ("no JSON", file("{{{{", 0)),
            ("deep JSON", file(&"[".repeat(100_000), 0)),
            ("data missing", file(&x("[2]", "[0,8]"), 4)),
            ("data left over", file(&x("[2]", "[0,8]"), 12)),
            ("range backwards", file(&x("[2]", "[8,0]"), 8)),
            (
                "shape too large",
                file(&x("[18446744073709551615,2]", "[0,8]"), 8),
            ),
            ("shape of others", file(&x("[3]", "[0,8]"), 8)),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = WeightFile::read(&path).expect_err(name).to_string();
            assert!(error.contains("evil.safetensors"), "{name}: {error}");
        }
    }

    #[test]
    fn a_folder_is_no_file_to_write_to() {
        let written = weights().write(Path::new("/"));
        assert!(matches!(written, Err(Error::Io { .. })));
    }
}
