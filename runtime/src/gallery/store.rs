//! The gallery's file: records in, one durable transaction per change, everything out again on opening.
//!
//! One redb file with four tables: the stamp (format, space, dimension, the next identity's number), the identities, and per exemplar its origin and its embedding.
//! Records are JSON, so that a newer version can add a field; embeddings are little-endian f32. An exemplar of 512 dimensions takes 4 KiB, one redb page.
//!
//! redb never overwrites a page in use, so a kill or a power cut leaves the last committed state. Nor does it erase a page that it frees: measured, every removed
//! value was still in the file after the commit. (`compact` happened to leave none in three trials, by moving and cutting, but promises nothing and is a second step
//! that a kill can prevent.) So [`Store::rewrite_without`] copies what remains into a new file and renames it over the old one: one step, and no page of the file
//! has ever held what was forgotten. The blocks of the old file go back to the file system, whose business they are from then on.
//!
//! Every open verifies the checksums of the whole file. In 20 000 damaged files redb then never panicked; its documentation does not promise as much, so a panic
//! while reading is caught and reported as damage too.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, ReadOnlyTable, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::Origin;
use crate::error::{Error, Result};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// Memory that redb may use for pages. Everything is read once and then kept in the index, so a small cache does.
const CACHE_BYTES: usize = 16 << 20;

const STAMP: TableDefinition<&str, &str> = TableDefinition::new("stamp");
const IDENTITIES: TableDefinition<u64, &[u8]> = TableDefinition::new("identities");
/// Keys are the numbers of identity and exemplar.
const ORIGINS: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("origins");
/// Keys as in [`ORIGINS`].
const EMBEDDINGS: TableDefinition<(u64, u64), &[u8]> = TableDefinition::new("embeddings");

/// An open gallery file, locked against other processes.
#[derive(Debug)]
pub(super) struct Store {
    place: Place,
    db: Database,
}

/// Where a gallery lives.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Nowhere: it ends with the process.
    Memory,
    File(PathBuf),
    #[cfg(test)]
    Disk(tests::Disk),
}

/// What a gallery is a gallery of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) space: String,
    pub(super) dim: usize,
}

/// What is stored of an identity besides its exemplars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) name: String,
    /// Milliseconds since 1970.
    pub(super) enrolled: u64,
    /// Milliseconds since 1970.
    pub(super) last_seen: u64,
    pub(super) visits: u64,
    /// Number of the next exemplar.
    pub(super) next_exemplar: u64,
}

/// One transaction: an identity's new record, and the exemplars that come and go with it.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) identity: u64,
    pub(super) record: &'a Record,
    pub(super) removed: Option<u64>,
    pub(super) added: Option<(u64, &'a Origin, &'a [f32])>,
}

impl Store {
    /// Opens the gallery at `place` and reads its stamp. If there is no file or an empty one, `create` is the stamp that a new one gets.
    pub(super) fn open(place: Place, create: Option<&Stamp>) -> Result<(Self, Stamp)> {
        place.clone().guard(|| {
            let db = place.open(create.is_some())?;
            let store = Self { place, db };
            if let Some(stamp) = create {
                store.stamp_if_new(stamp)?;
            }
            let stamp = store.read_stamp()?;
            if let Place::File(path) = &store.place {
                // What a kill during a rewrite left behind. The lock on the gallery says that nobody is at it now.
                discard(&scratch(path))?;
            }
            Ok((store, stamp))
        })
    }

    /// Stores a change: durable when this returns, and not there at all if it fails.
    pub(super) fn apply(&self, change: &Change<'_>) -> Result<()> {
        let write = || -> Result<(), redb::Error> {
            let tx = self.db.begin_write()?;
            {
                let mut identities = tx.open_table(IDENTITIES)?;
                if identities
                    .insert(change.identity, json(change.record).as_slice())?
                    .is_none()
                {
                    let next = change.identity.saturating_add(1).to_string();
                    tx.open_table(STAMP)?.insert("next identity", &*next)?;
                }
                let mut origins = tx.open_table(ORIGINS)?;
                let mut embeddings = tx.open_table(EMBEDDINGS)?;
                if let Some(exemplar) = change.removed {
                    origins.remove((change.identity, exemplar))?;
                    embeddings.remove((change.identity, exemplar))?;
                }
                if let Some((exemplar, origin, embedding)) = change.added {
                    let key = (change.identity, exemplar);
                    origins.insert(key, json(origin).as_slice())?;
                    embeddings.insert(key, bytes(embedding).as_slice())?;
                }
            }
            tx.commit()?;
            Ok(())
        };
        write().map_err(|e| self.place.not_stored(e))
    }

    /// Removes an identity by writing everything else into a new file, which then takes the place of this one: no page of the file has held the identity.
    pub(super) fn rewrite_without(&mut self, identity: u64) -> Result<()> {
        let place = self.place.clone();
        let copy = || -> Result<Database> {
            let fresh = place.create_scratch()?;
            self.copy_without(identity, &fresh)
                .map_err(|e| place.not_stored(e))?;
            place.adopt_scratch()?;
            Ok(fresh)
        };
        match copy() {
            Ok(fresh) => {
                self.db = fresh;
                Ok(())
            }
            Err(error) => {
                if let Place::File(path) = &place {
                    // The error that matters is the first one; a leftover is discarded on the next open.
                    let _ = discard(&scratch(path));
                }
                Err(error)
            }
        }
    }

    /// Where the exemplars of an identity come from, with their numbers.
    pub(super) fn origins(&self, identity: u64) -> Result<Vec<(u64, Origin)>> {
        let read = || -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
            let table = self.db.begin_read()?.open_table(ORIGINS)?;
            let mut found = Vec::new();
            for entry in table.range((identity, 0)..=(identity, u64::MAX))? {
                let (key, value) = entry?;
                found.push((key.value().1, value.value().to_vec()));
            }
            Ok(found)
        };
        self.place
            .guard(|| read().map_err(|e| self.place.torn(e)))?
            .into_iter()
            .map(|(exemplar, json)| {
                let what = || format!("origin of exemplar {exemplar} of identity {identity}");
                Ok((exemplar, self.place.parse(&json, what)?))
            })
            .collect()
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Stamps a file that redb has just created, or whose creation was interrupted before this.
    fn stamp_if_new(&self, stamp: &Stamp) -> Result<()> {
        let write = || -> Result<(), redb::Error> {
            let tx = self.db.begin_write()?;
            if tx.list_tables()?.next().is_some() {
                tx.abort()?;
                return Ok(());
            }
            create_tables(&tx)?;
            {
                let mut table = tx.open_table(STAMP)?;
                table.insert("format", &*FORMAT.to_string())?;
                table.insert("space", &*stamp.space)?;
                table.insert("dim", &*stamp.dim.to_string())?;
                table.insert("next identity", "1")?;
            }
            tx.commit()?;
            Ok(())
        };
        write().map_err(|e| self.place.not_stored(e))
    }

    fn read_stamp(&self) -> Result<Stamp> {
        let place = &self.place;
        let tx = self.db.begin_read().map_err(|e| place.torn(e))?;
        let table = tx.open_table(STAMP).map_err(|e| match e {
            TableError::Storage(e) => place.torn(e),
            e => place.no_gallery(format!("it is a database of another program ({e})")),
        })?;
        let format = u32::try_from(self.stamped_number(&table, "format")?).unwrap_or(u32::MAX);
        if format > FORMAT {
            return Err(Error::GalleryTooNew {
                path: place.path(),
                found: format,
                supported: FORMAT,
            });
        }
        let dim = self.stamped_number(&table, "dim")?;
        Ok(Stamp {
            space: self.stamped(&table, "space")?,
            dim: usize::try_from(dim).unwrap_or(usize::MAX),
        })
    }

    /// Passes every identity to `visit`, in the order of their numbers, and returns the number of the next one.
    pub(super) fn read_identities(
        &self,
        mut visit: impl FnMut(u64, Record) -> Result<()>,
    ) -> Result<u64> {
        let place = &self.place;
        place.guard(|| {
            let tx = self.db.begin_read().map_err(|e| place.torn(e))?;
            let table = tx.open_table(IDENTITIES).map_err(|e| place.torn(e))?;
            for entry in table.iter().map_err(|e| place.torn(e))? {
                let (key, value) = entry.map_err(|e| place.torn(e))?;
                let identity = key.value();
                let record = place.parse(value.value(), || format!("identity {identity}"))?;
                visit(identity, record)?;
            }
            let table = tx.open_table(STAMP).map_err(|e| place.torn(e))?;
            self.stamped_number(&table, "next identity")
        })
    }

    /// Passes every embedding to `visit` with the numbers of its identity and exemplar, in their order.
    pub(super) fn read_embeddings(
        &self,
        dim: usize,
        mut visit: impl FnMut(u64, u64, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let place = &self.place;
        place.guard(|| {
            let tx = self.db.begin_read().map_err(|e| place.torn(e))?;
            let table = tx.open_table(EMBEDDINGS).map_err(|e| place.torn(e))?;
            let mut embedding = Vec::with_capacity(dim);
            for entry in table.iter().map_err(|e| place.torn(e))? {
                let (key, value) = entry.map_err(|e| place.torn(e))?;
                let (identity, exemplar) = key.value();
                let (elements, rest) = value.value().as_chunks::<4>();
                if elements.len() != dim || !rest.is_empty() {
                    return Err(place.damaged(format!(
                        "exemplar {exemplar} of identity {identity} has {} bytes, wanted {}",
                        value.value().len(),
                        4 * dim
                    )));
                }
                embedding.clear();
                embedding.extend(elements.iter().map(|&bytes| f32::from_le_bytes(bytes)));
                visit(identity, exemplar, &embedding)?;
            }
            Ok(())
        })
    }

    fn stamped(&self, table: &ReadOnlyTable<&str, &str>, key: &str) -> Result<String> {
        match table.get(key) {
            Ok(Some(value)) => Ok(value.value().to_owned()),
            Ok(None) => Err(self.place.damaged(format!("its stamp has no '{key}'"))),
            Err(e) => Err(self.place.torn(e)),
        }
    }

    fn stamped_number(&self, table: &ReadOnlyTable<&str, &str>, key: &str) -> Result<u64> {
        let text = self.stamped(table, key)?;
        text.parse().map_err(|_| {
            let reason = format!("'{key}' of its stamp is '{text}', wanted a number");
            self.place.damaged(reason)
        })
    }

    /// Copies all tables but for one identity, in one transaction.
    fn copy_without(&self, gone: u64, fresh: &Database) -> Result<(), redb::Error> {
        let from = self.db.begin_read()?;
        let to = fresh.begin_write()?;
        create_tables(&to)?;
        {
            let mut table = to.open_table(STAMP)?;
            for entry in from.open_table(STAMP)?.iter()? {
                let (key, value) = entry?;
                table.insert(key.value(), value.value())?;
            }
            let mut table = to.open_table(IDENTITIES)?;
            for entry in from.open_table(IDENTITIES)?.iter()? {
                let (key, value) = entry?;
                if key.value() != gone {
                    table.insert(key.value(), value.value())?;
                }
            }
            for definition in [ORIGINS, EMBEDDINGS] {
                let mut table = to.open_table(definition)?;
                for entry in from.open_table(definition)?.iter()? {
                    let (key, value) = entry?;
                    if key.value().0 != gone {
                        table.insert(key.value(), value.value())?;
                    }
                }
            }
        }
        to.commit()?;
        Ok(())
    }
}

impl Place {
    /// How messages call it.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Memory => "(in memory)".into(),
            #[cfg(test)]
            Self::Disk(_) => "(test disk)".into(),
        }
    }

    fn open(&self, create: bool) -> Result<Database> {
        let mut builder = Database::builder();
        builder
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true);
        match self {
            Self::Memory => builder.create_with_backend(InMemoryBackend::new()),
            Self::File(path) if create => builder.create(path),
            Self::File(path) => builder.open(path),
            #[cfg(test)]
            Self::Disk(disk) => builder.create_with_backend(disk.opened()),
        }
        .map_err(|e| match self.cannot_open(e) {
            // What is to be made is not missed: its folder is.
            Error::GalleryMissing { path } if create => Error::Io {
                path,
                source: ErrorKind::NotFound.into(),
            },
            error => error,
        })
    }

    /// A new, empty database that is to take this one's place.
    fn create_scratch(&self) -> Result<Database> {
        let place = match self {
            Self::Memory => Self::Memory,
            Self::File(path) => {
                let scratch = scratch(path);
                discard(&scratch)?;
                Self::File(scratch)
            }
            #[cfg(test)]
            Self::Disk(disk) => Self::Disk(disk.scratch()),
        };
        place.open(true).map_err(|e| match e {
            Error::Io { source, .. } => self.not_stored(source),
            other => other,
        })
    }

    /// Puts the scratch in this one's place, for good.
    fn adopt_scratch(&self) -> Result<()> {
        match self {
            Self::Memory => Ok(()),
            Self::File(path) => {
                fs::rename(scratch(path), path).map_err(|e| self.not_stored(e))?;
                // The new name is durable once its directory is. Where a directory cannot be opened (Windows) the system sees to it.
                let directory = match path.parent() {
                    Some(parent) if parent != Path::new("") => parent,
                    _ => Path::new("."),
                };
                if let Ok(directory) = File::open(directory) {
                    directory.sync_all().map_err(|e| self.not_stored(e))?;
                }
                Ok(())
            }
            #[cfg(test)]
            Self::Disk(disk) => {
                disk.adopt_scratch();
                Ok(())
            }
        }
    }

    fn parse<T: for<'a> Deserialize<'a>>(
        &self,
        json: &[u8],
        what: impl FnOnce() -> String,
    ) -> Result<T> {
        serde_json::from_slice(json).map_err(|e| self.damaged(format!("{}: {e}", what())))
    }

    fn cannot_open(&self, error: DatabaseError) -> Error {
        let path = self.path();
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Error::GalleryInUse { path }
            }
            DatabaseError::Storage(StorageError::Io(source)) => match source.kind() {
                ErrorKind::NotFound => Error::GalleryMissing { path },
                // What redb answers to another magic number, and to an empty file.
                ErrorKind::InvalidData => self.no_gallery(source.to_string()),
                ErrorKind::UnexpectedEof => self.damaged("it ends too early".into()),
                _ => Error::Io { path, source },
            },
            DatabaseError::UpgradeRequired(version) => {
                self.no_gallery(format!("it is a redb file of the old version {version}"))
            }
            other => self.damaged(other.to_string()),
        }
    }

    /// Runs what reads the file, and reports a panic as damage. What it was reading does not survive the unwinding.
    fn guard<T>(&self, read: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message
                .or(panic.downcast_ref().copied())
                .unwrap_or_default();
            Err(self.damaged(format!("its pages contradict each other ({message})")))
        })
    }

    fn torn(&self, error: impl Into<redb::Error>) -> Error {
        match error.into() {
            redb::Error::Io(source) => Error::Io {
                path: self.path(),
                source,
            },
            other => self.damaged(other.to_string()),
        }
    }

    fn no_gallery(&self, reason: String) -> Error {
        let path = self.path();
        Error::NotAGallery { path, reason }
    }

    pub(super) fn damaged(&self, reason: String) -> Error {
        let path = self.path();
        Error::GalleryDamaged { path, reason }
    }

    fn not_stored(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::GalleryStorage {
            path: self.path(),
            source: source.into(),
        }
    }
}

/// Creates all tables, so that none is missing in a gallery without exemplars.
fn create_tables(tx: &WriteTransaction) -> Result<(), redb::Error> {
    tx.open_table(STAMP)?;
    tx.open_table(IDENTITIES)?;
    tx.open_table(ORIGINS)?;
    tx.open_table(EMBEDDINGS)?;
    Ok(())
}

/// Where a gallery is rewritten before it takes the old one's place.
fn scratch(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".rewrite");
    name.into()
}

fn discard(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::Io {
            path: path.to_owned(),
            source: e,
        }),
        _ => Ok(()),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records of strings and numbers have a JSON form")
}

fn bytes(embedding: &[f32]) -> Vec<u8> {
    embedding.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[cfg(test)]
pub(super) mod tests;
