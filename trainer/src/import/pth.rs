//! Reads files of `torch.save`: zip since torch 1.6, a sequence of pickles before.
//!
//! The weights are located in [`state`]; no code of the file is run (see [`super::pickle`]). Each view
//! is checked against its storage before memory is allocated, and [`Budget`] limits all memory by the
//! size of the file.

mod state;
mod storage;

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;

use network::tensor::{self, Tensor};
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

use super::pickle::Pickle;
use super::{ListedTensor, SkippedObject};
use crate::weights::element::Element;
use storage::Storage;

/// `torch.serialization.MAGIC_NUMBER`, the first pickle of the form before torch 1.6.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// `torch.serialization.PROTOCOL_VERSION`, the second pickle.
const VERSION: i128 = 1001;

/// The largest pickle of a zip.
const MAX_PICKLE: u64 = 1 << 28;

/// Memory that a file may still ask for, in bytes.
#[derive(Debug)]
struct Budget(u64);

impl Budget {
    /// Weights of 16 bits double when they are widened, zeros of a fresh optimiser are compressed
    /// well: 32 times the file is more than any real file needs.
    fn of_file(size: usize) -> Self {
        Self((1 << 26) + 32 * size as u64)
    }

    fn take(&mut self, bytes: u64) -> Result<(), String> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| {
            format!(
                "{bytes} bytes more are needed, of {} that a file of this size may use",
                self.0
            )
        })?;
        Ok(())
    }
}

/// A tensor of a file: which elements of which storage.
#[derive(Debug)]
struct View {
    storage: String,
    element: Element,
    /// In elements.
    offset: usize,
    shape: Vec<usize>,
    /// In elements.
    strides: Vec<usize>,
}

/// A file of `torch.save`.
#[derive(Debug)]
pub(super) struct Pth {
    bytes: Vec<u8>,
    place: StorageLocation,
    storages: HashMap<String, Storage>,
    views: Vec<(String, View)>,
    skipped: Vec<SkippedObject>,
}

/// Where the elements of storages lie.
#[derive(Debug)]
enum StorageLocation {
    Zip {
        prefix: String,
        big_endian: bool,
    },
    /// Start in the file, by storage. Little-endian on every machine.
    Run(HashMap<String, usize>),
}

/// Whether `bytes` begin as a file of `torch.save` does.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..])
}

impl Pth {
    /// Finds the tensors of a file without reading their elements.
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, String> {
        if bytes.starts_with(b"PK") {
            Self::open_zip(bytes)
        } else {
            Self::open_run(bytes)
        }
    }

    fn open_zip(bytes: Vec<u8>) -> Result<Self, String> {
        let mut zip = archive(&bytes)?;
        let mut names = Vec::new();
        for name in zip.file_names() {
            let name = name.map_err(|e| format!("the zip cannot be read: {e}"))?;
            let folder = name.strip_suffix("data.pkl");
            if folder.is_some_and(|folder| folder.is_empty() || folder.ends_with('/')) {
                names.push(name.into_owned());
            }
        }
        let name = match &names[..] {
            [name] => name.clone(),
            [] => return Err("a zip without data.pkl, so not of torch.save".to_owned()),
            _ => return Err("a zip with several data.pkl".to_owned()),
        };
        let prefix = name.trim_end_matches("data.pkl").to_owned();
        if zip
            .index_for_name(&format!("{prefix}constants.pkl"))
            .is_some()
        {
            return Err(
                "a TorchScript program; save the `state_dict()` of its network instead".to_owned(),
            );
        }
        let mut budget = Budget::of_file(bytes.len());
        let order = format!("{prefix}byteorder");
        let big_endian = match zip.index_for_name(&order) {
            None => false,
            Some(_) => match &record(&mut zip, &order, 16, &mut budget)?[..] {
                b"little" => false,
                b"big" => true,
                other => {
                    let other = String::from_utf8_lossy(other).into_owned();
                    return Err(format!("byte order `{other}`, little or big are read"));
                }
            },
        };
        let pickled = record(&mut zip, &name, MAX_PICKLE, &mut budget)?;
        drop(zip);
        let pickle = Pickle::read(&mut &pickled[..])?;
        Self::of(bytes, &pickle, StorageLocation::Zip { prefix, big_endian })
    }

    fn open_run(bytes: Vec<u8>) -> Result<Self, String> {
        let mut rest = &bytes[..];
        let magic = Pickle::read(&mut rest)?;
        if magic.int(magic.root()) != Some(MAGIC) {
            return Err("a pickle that torch.save has not written".to_owned());
        }
        let version = Pickle::read(&mut rest)?;
        if version.int(version.root()) != Some(VERSION) {
            return Err(format!("its version is not {VERSION}"));
        }
        // Sizes of types on the machine that wrote it; elements do not depend on them.
        Pickle::read(&mut rest)?;
        let pickle = Pickle::read(&mut rest)?;
        let order = Pickle::read(&mut rest)?;
        let keys = order.sequence(order.root());
        let keys = keys.ok_or("it does not list its storages")?;
        let storages = storage::all(&pickle)?;
        let mut starts = HashMap::new();
        for key in keys {
            let key = order.text(*key).ok_or("a storage is not named by text")?;
            let storage = storages.get(key);
            let storage = storage.ok_or_else(|| format!("storage `{key}` is of no known type"))?;
            let (len, after) = rest
                .split_first_chunk()
                .ok_or_else(|| format!("it ends before storage `{key}`"))?;
            let len = u64::from_le_bytes(*len);
            if len != storage.len as u64 {
                return Err(format!(
                    "storage `{key}` has {len} elements, its tensors need {}",
                    storage.len
                ));
            }
            starts.insert(key.to_owned(), bytes.len() - after.len());
            rest = after
                .get(storage.bytes()?..)
                .ok_or_else(|| format!("it ends within storage `{key}`"))?;
        }
        Self::of(bytes, &pickle, StorageLocation::Run(starts))
    }

    fn of(bytes: Vec<u8>, pickle: &Pickle, place: StorageLocation) -> Result<Self, String> {
        let storages = storage::all(pickle)?;
        let found = state::find(pickle)?;
        for (name, view) in &found.views {
            view.check(&storages)
                .map_err(|reason| format!("tensor `{name}`: {reason}"))?;
        }
        Ok(Self {
            bytes,
            place,
            storages,
            views: found.views,
            skipped: found.skipped,
        })
    }

    /// Names, types and shapes, in the order of the file.
    pub(super) fn list(&self) -> Vec<ListedTensor> {
        let listed = |(name, view): &(String, View)| ListedTensor {
            name: name.clone(),
            dtype: view.element.to_string(),
            shape: view.shape.clone(),
        };
        self.views.iter().map(listed).collect()
    }

    /// Objects that are not weights.
    pub(super) fn skipped(&self) -> &[SkippedObject] {
        &self.skipped
    }

    /// The tensors with their elements.
    pub(super) fn tensors(&self) -> Result<BTreeMap<String, Tensor>, String> {
        let mut zip = match self.place {
            StorageLocation::Zip { .. } => Some(archive(&self.bytes)?),
            StorageLocation::Run(_) => None,
        };
        let mut budget = Budget::of_file(self.bytes.len());
        // One storage after the other, so that each is unpacked once.
        let mut views: Vec<_> = self.views.iter().collect();
        views.sort_by_key(|(_, view)| &view.storage);
        let mut tensors = BTreeMap::new();
        for views in views.chunk_by(|a, b| a.1.storage == b.1.storage) {
            let key = &views[0].1.storage;
            let size = self.storages[key].bytes()?;
            let unpacked;
            let (bytes, big_endian) = match (&self.place, &mut zip) {
                (StorageLocation::Zip { prefix, big_endian }, Some(zip)) => {
                    let name = format!("{prefix}data/{key}");
                    unpacked = record(zip, &name, size as u64, &mut budget)?;
                    if unpacked.len() != size {
                        return Err(format!(
                            "storage `{key}` has {} bytes, its tensors need {size}",
                            unpacked.len()
                        ));
                    }
                    (&unpacked[..], *big_endian)
                }
                (StorageLocation::Run(starts), _) => {
                    let start = starts.get(key);
                    let start = start.ok_or_else(|| format!("storage `{key}` is missing"))?;
                    // Within the file: `open_run` has walked over it.
                    (&self.bytes[*start..][..size], false)
                }
                (StorageLocation::Zip { .. }, None) => unreachable!("opened above"),
            };
            for (name, view) in views {
                let tensor = view.read(bytes, big_endian, &mut budget);
                let tensor = tensor.map_err(|reason| format!("tensor `{name}`: {reason}"))?;
                tensors.insert(name.clone(), tensor);
            }
        }
        Ok(tensors)
    }
}

/// The archive, at offset 0. The offset detection of the crate expects the central directory right
/// before its end record, but PyTorch writes 76 bytes of zip64 records between the two, so that a first
/// entry of 76 bytes was taken for junk.
fn archive(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>, String> {
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    ZipArchive::with_config(config, Cursor::new(bytes))
        .map_err(|e| format!("the zip cannot be read: {e}"))
}

/// One file of a zip, of at most `most` bytes.
fn record(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    most: u64,
    budget: &mut Budget,
) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let refuse = |reason: String| format!("`{name}` in the zip: {reason}");
    let file = zip.by_name(name).map_err(|e| refuse(e.to_string()))?;
    let size = file.size();
    if size > most {
        return Err(refuse(format!("{size} bytes, at most {most} are read")));
    }
    budget.take(size).map_err(refuse)?;
    let mut bytes = Vec::with_capacity(size as usize);
    let read = file.take(size + 1).read_to_end(&mut bytes);
    read.map_err(|e| refuse(e.to_string()))?;
    if bytes.len() as u64 != size {
        return Err(refuse(format!("{size} bytes are announced, not found")));
    }
    Ok(bytes)
}

impl View {
    /// Refuses a view that its storage does not hold.
    fn check(&self, storages: &HashMap<String, Storage>) -> Result<(), String> {
        let storage = &storages[&self.storage];
        tensor::elements(&self.shape).map_err(|e| e.to_string())?;
        let held = storage.bytes()? / self.element.size();
        let mut end = Some(self.offset);
        for (dim, stride) in self.shape.iter().zip(&self.strides) {
            let reach = dim.saturating_sub(1).checked_mul(*stride);
            end = end
                .zip(reach)
                .and_then(|(end, reach)| end.checked_add(reach));
        }
        let empty = self.shape.contains(&0);
        if empty || end.is_some_and(|end| end < held) {
            return Ok(());
        }
        Err(format!(
            "shape {:?} with strides {:?} from element {} reaches beyond the {held} elements of storage `{}`",
            self.shape, self.strides, self.offset, self.storage
        ))
    }

    /// The elements of this view of `storage`, row-major. The view has been checked.
    fn read(
        &self,
        storage: &[u8],
        big_endian: bool,
        budget: &mut Budget,
    ) -> Result<Tensor, String> {
        let size = self.element.size();
        let len = tensor::elements(&self.shape).map_err(|e| e.to_string())?;
        budget.take(8 * len as u64)?;
        let decode = |bytes: &[u8]| self.element.decode(bytes, big_endian);
        let data = if len == 0 {
            decode(&[])?
        } else if self.is_row_major() {
            decode(&storage[self.offset * size..][..len * size])?
        } else {
            let mut bytes = Vec::with_capacity(len * size);
            let mut at = vec![0; self.shape.len()];
            for _ in 0..len {
                let element: usize = at.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
                bytes.extend_from_slice(&storage[(self.offset + element) * size..][..size]);
                for (i, dim) in at.iter_mut().zip(&self.shape).rev() {
                    *i += 1;
                    if *i < *dim {
                        break;
                    }
                    *i = 0;
                }
            }
            decode(&bytes)?
        };
        Tensor::new(self.shape.as_slice(), data).map_err(|e| e.to_string())
    }

    fn is_row_major(&self) -> bool {
        let mut wanted = 1;
        let mut dims = self.shape.iter().zip(&self.strides).rev();
        dims.all(|(dim, stride)| {
            let right = *dim == 1 || *stride == wanted;
            wanted *= dim;
            right
        })
    }
}
