//! The gallery's file: steps in, one durable transaction per change, everything out again on opening.
//!
//! One redb file with six tables: the stamp, the identities, the origin and the embedding of each exemplar, other names, and the journal. Records are JSON,
//! so that a newer version can add a field; embeddings are little-endian f32. redb never overwrites a page in use, so a kill or a power cut leaves the last
//! committed state. Nor does it erase pages that it frees (measured: every removed value was still in the file), so removing a person copies what remains
//! into a new file ([`Store::rewrite`]).

use std::collections::{BTreeMap, BTreeSet};

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use serde::Serialize;

use super::Origin;
use super::file::Access;
use super::journal::JournalEntry;
use super::names::GalleryTag;
use super::record::Record;
use super::storage::Storage;
use crate::error::{Error, Result};

/// The format that this program writes, and the newest that it reads.
const FORMAT: u32 = 2;

const STAMP: TableDefinition<&str, &str> = TableDefinition::new("stamp");
const IDENTITIES: TableDefinition<u64, &[u8]> = TableDefinition::new("identities");
/// Keys are the numbers of identity and exemplar.
const ORIGINS: TableDefinition<Owner, &[u8]> = TableDefinition::new("origins");
/// Keys as in [`ORIGINS`].
const EMBEDDINGS: TableDefinition<Owner, &[u8]> = TableDefinition::new("embeddings");
/// Other names of identities. New in format 2.
const ALIASES: TableDefinition<&str, u64> = TableDefinition::new("aliases");
/// What can be undone, oldest first. New in format 2.
const JOURNAL: TableDefinition<u64, &[u8]> = TableDefinition::new("journal");

/// Whose exemplar: the numbers of identity and exemplar.
pub(super) type Owner = (u64, u64);

/// An open gallery file, locked against other processes.
#[derive(Debug)]
pub(super) struct Store {
    storage: Storage,
    db: Database,
}

/// What a gallery is a gallery of, and where it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) space: String,
    pub(super) dim: usize,
    pub(super) tag: GalleryTag,
}

/// One step of a change. A change is a list of them, carried out by the file in one transaction and then by memory ([`GalleryState::take`](super::state::GalleryState::take)).
#[derive(Debug)]
pub(super) enum StoreStep<'a> {
    /// An identity is made, or its record replaced.
    Record(u64, Record),
    /// An identity goes, with the exemplars that it still has.
    Drop(u64),
    /// An exemplar comes.
    Add(Owner, &'a Origin, &'a [f32]),
    /// An exemplar goes.
    Remove(Owner),
    /// An exemplar gets another owner.
    Move(Owner, Owner),
    /// A name leads to an identity that is called differently.
    Alias(String, u64),
    /// It no longer does.
    Unalias(String),
    /// A change that can be undone is noted under a number.
    Note(u64, JournalEntry),
    /// It can no longer be undone.
    Strike(u64),
    /// A time in milliseconds since 1970 is stored, or removed.
    Time(StoredTime, Option<u64>),
}

/// Times that outlast the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoredTime {
    /// Since when pages of the file hold a removed person.
    DeadPages,
    /// When the clock was found to be behind the time at which a person was last seen.
    ClockSetBack,
}

/// What is neither identity nor exemplar.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Number of the next identity.
    pub(super) next_identity: u64,
    pub(super) dead: Option<u64>,
    pub(super) set_back: Option<u64>,
    pub(super) aliases: BTreeMap<String, u64>,
    pub(super) journal: BTreeMap<u64, JournalEntry>,
}

/// How a copy differs from the gallery that it is made of.
#[derive(Debug, Default)]
pub(super) struct CopyEdit {
    /// Identities that are left out, with all that is theirs.
    pub(super) gone: BTreeSet<u64>,
    /// Notes of the journal that are left out.
    pub(super) struck: BTreeSet<u64>,
    pub(super) stamp: Option<Stamp>,
    /// Embeddings in place of all others; an exemplar without one is left out.
    pub(super) embeddings: Option<BTreeMap<Owner, Vec<f32>>>,
}

impl Store {
    /// Opens the gallery at `place` and reads its stamp. [`Access::Create`] creates one, with the stamp `new`, if there is no file or an empty one.
    pub(super) fn open(
        storage: Storage,
        access: Access,
        new: Option<&Stamp>,
    ) -> Result<(Self, Stamp)> {
        storage.clone().guard(|| {
            let db = match new {
                Some(stamp) if access == Access::Create => Self::open_or_create(&storage, stamp)?,
                _ => storage.open(access)?,
            };
            let store = Self { storage, db };
            let stamp = store.read_stamp()?;
            if access != Access::Read {
                // What a kill during a rewrite left behind.
                store.storage.discard_scratch()?;
            }
            Ok((store, stamp))
        })
    }

    fn open_or_create(storage: &Storage, stamp: &Stamp) -> Result<Database> {
        let is_new = || storage.size().map(|size| matches!(size, None | Some(0)));
        if !is_new()? {
            return storage.open(Access::Create);
        }
        let mut overtaken = false;
        let created = fresh(storage, |db| {
            // From here on no other program creates one, but it may have done so before.
            overtaken = !is_new()?;
            if overtaken {
                let path = storage.path();
                return Err(Error::GalleryInUse { path });
            }
            write(db, storage, |tx| {
                create_tables(tx)?;
                stamp.write(tx)?;
                tx.open_table(STAMP)?.insert("next identity", "1")?;
                Ok(())
            })
        });
        if overtaken {
            return storage.open(Access::Create);
        }
        created
    }

    /// Stores a change: durable when this returns, and not there at all if it fails.
    pub(super) fn apply(&self, steps: &[StoreStep<'_>]) -> Result<()> {
        write(&self.db, &self.storage, |tx| {
            steps.iter().try_for_each(|step| step.write(tx))
        })
    }

    /// Writes the gallery anew, with an edit: no page of the new file has held what is left out.
    pub(super) fn rewrite(&mut self, edit: &CopyEdit) -> Result<()> {
        self.db = self.copy(&self.storage, edit, || Ok(()))?;
        Ok(())
    }

    /// Writes a copy of the gallery, with an edit, and puts it at `place` in one step. `check` is called before that, when no other program
    /// can put one there, and may object.
    pub(super) fn copy(
        &self,
        storage: &Storage,
        edit: &CopyEdit,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<Database> {
        fresh(storage, |db| {
            self.fill(db, edit).map_err(|e| storage.not_stored(e))?;
            check()
        })
    }

    /// Where the exemplars of an identity come from, with their numbers.
    pub(super) fn origins(&self, identity: u64) -> Result<Vec<(u64, Origin)>> {
        let storage = &self.storage;
        let read = || {
            let table = self.begin_read()?.open_table(ORIGINS);
            let table = table.map_err(|e| storage.torn(e))?;
            let entries = table.range((identity, 0)..=(identity, u64::MAX));
            entries
                .map_err(|e| storage.torn(e))?
                .map(|entry| {
                    let (key, value) = entry.map_err(|e| storage.torn(e))?;
                    let owner = key.value();
                    Ok((owner.1, self.origin(owner, value.value())?))
                })
                .collect()
        };
        storage.guard(read)
    }

    /// The crops of all exemplars.
    pub(super) fn crops(&self) -> Result<BTreeSet<String>> {
        let mut crops = BTreeSet::new();
        self.each(ORIGINS, |owner, json| {
            crops.extend(self.origin(owner, json)?.crop);
            Ok(())
        })?;
        Ok(crops)
    }

    fn origin(&self, (identity, exemplar): Owner, json: &[u8]) -> Result<Origin> {
        let what = || format!("origin of exemplar {exemplar} of identity {identity}");
        self.storage.parse(json, what)
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Writes the stamp over the one that is there.
    pub(super) fn restamp(&self, stamp: &Stamp) -> Result<()> {
        write(&self.db, &self.storage, |tx| {
            create_tables(tx)?;
            stamp.write(tx)
        })
    }

    fn read_stamp(&self) -> Result<Stamp> {
        let storage = &self.storage;
        let entries = self.stamp_entries()?;
        let format = u32::try_from(entries.number("format")?).unwrap_or(u32::MAX);
        if format > FORMAT {
            return Err(Error::GalleryTooNew {
                path: storage.path(),
                found: format,
                supported: FORMAT,
            });
        }
        let mut stamp = Stamp {
            space: entries.text("space")?.to_owned(),
            dim: usize::try_from(entries.number("dim")?).unwrap_or(usize::MAX),
            tag: GalleryTag::random(),
        };
        if format < 2 {
            self.restamp(&stamp)?;
        } else {
            let tag = entries.text("device")?;
            stamp.tag = GalleryTag::parse(tag).ok_or_else(|| {
                storage.damaged(format!(
                    "'device' of its stamp is '{tag}', wanted 16 hexadecimal digits"
                ))
            })?;
        }
        Ok(stamp)
    }

    /// Passes every identity to `visit`, in the order of their numbers.
    pub(super) fn read_identities(
        &self,
        mut visit: impl FnMut(u64, Record) -> Result<()>,
    ) -> Result<()> {
        self.each(IDENTITIES, |identity, json| {
            let record = self
                .storage
                .parse(json, || format!("identity {identity}"))?;
            visit(identity, record)
        })
    }

    /// Reads what is neither identity nor exemplar.
    pub(super) fn read_ledger(&self) -> Result<Ledger> {
        let entries = self.stamp_entries()?;
        let mut ledger = Ledger {
            next_identity: entries.number("next identity")?,
            dead: entries.time(StoredTime::DeadPages)?,
            set_back: entries.time(StoredTime::ClockSetBack)?,
            ..Ledger::default()
        };
        self.each(ALIASES, |alias, identity| {
            ledger.aliases.insert(alias.to_owned(), identity);
            Ok(())
        })?;
        self.each(JOURNAL, |number, json| {
            let entry = self.storage.parse(json, || format!("note {number}"))?;
            ledger.journal.insert(number, entry);
            Ok(())
        })?;
        Ok(ledger)
    }

    /// Passes every embedding to `visit` with the numbers of its identity and exemplar, in their order.
    pub(super) fn read_embeddings(
        &self,
        dim: usize,
        mut visit: impl FnMut(Owner, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let mut embedding = Vec::with_capacity(dim);
        self.each(EMBEDDINGS, |owner, bytes| {
            let (elements, rest) = bytes.as_chunks::<4>();
            if elements.len() != dim || !rest.is_empty() {
                let (identity, exemplar) = owner;
                return Err(self.storage.damaged(format!(
                    "exemplar {exemplar} of identity {identity} has {} bytes, wanted {}",
                    bytes.len(),
                    4 * dim
                )));
            }
            embedding.clear();
            embedding.extend(elements.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            visit(owner, &embedding)
        })
    }

    /// Passes every entry of a table to `visit`, in the order of the keys.
    fn each<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'static, K, V>,
        mut visit: impl FnMut(K::SelfType<'_>, V::SelfType<'_>) -> Result<()>,
    ) -> Result<()> {
        let storage = &self.storage;
        storage.guard(|| {
            let table = self.begin_read()?.open_table(table);
            let table = table.map_err(|e| storage.torn(e))?;
            for entry in table.iter().map_err(|e| storage.torn(e))? {
                let (key, value) = entry.map_err(|e| storage.torn(e))?;
                visit(key.value(), value.value())?;
            }
            Ok(())
        })
    }

    fn begin_read(&self) -> Result<ReadTransaction> {
        self.db.begin_read().map_err(|e| self.storage.torn(e))
    }

    fn stamp_entries(&self) -> Result<StampEntries<'_>> {
        let storage = &self.storage;
        let table = storage.guard(|| Ok(self.begin_read()?.open_table(STAMP)))?;
        if let Err(error) = table
            && !matches!(error, TableError::Storage(_))
        {
            let reason = format!("it is a database of another program ({error})");
            return Err(storage.no_gallery(reason));
        }
        let mut entries = BTreeMap::new();
        self.each(STAMP, |key, value| {
            entries.insert(key.to_owned(), value.to_owned());
            Ok(())
        })?;
        Ok(StampEntries { storage, entries })
    }

    /// Copies all tables, with an edit, in one transaction.
    fn fill(&self, fresh: &Database, edit: &CopyEdit) -> Result<(), redb::Error> {
        let from = self.db.begin_read()?;
        let to = fresh.begin_write()?;
        create_tables(&to)?;
        let stays = |identity: u64| !edit.gone.contains(&identity);
        // A copy has no dead pages.
        copy_table(&from, &to, STAMP, |key, _| {
            *key != StoredTime::DeadPages.key()
        })?;
        copy_table(&from, &to, IDENTITIES, |&identity, _| stays(identity))?;
        copy_table(&from, &to, ALIASES, |_, &identity| stays(identity))?;
        copy_table(&from, &to, JOURNAL, |note, _| !edit.struck.contains(note))?;
        {
            let mut origins = to.open_table(ORIGINS)?;
            let mut embeddings = to.open_table(EMBEDDINGS)?;
            let old = from.open_table(EMBEDDINGS)?;
            let mut old = old.iter()?;
            for entry in from.open_table(ORIGINS)?.iter()? {
                let (key, origin) = entry?;
                let owner = key.value();
                // Both tables have the same keys in the same order.
                let embedding = old.next().transpose()?;
                if !stays(owner.0) {
                    continue;
                }
                match (&edit.embeddings, embedding) {
                    (Some(new), _) => match new.get(&owner) {
                        Some(embedding) => embeddings.insert(owner, bytes(embedding).as_slice())?,
                        None => continue,
                    },
                    (None, Some((key, embedding))) if key.value() == owner => {
                        embeddings.insert(owner, embedding.value())?
                    }
                    (None, _) => {
                        let reason = format!("exemplar {owner:?} has no embedding");
                        return Err(redb::Error::Corrupted(reason));
                    }
                };
                origins.insert(owner, origin.value())?;
            }
        }
        if let Some(stamp) = &edit.stamp {
            stamp.write(&to)?;
        }
        to.commit()?;
        Ok(())
    }
}

/// The entries of a stamp, as they are stored.
struct StampEntries<'s> {
    storage: &'s Storage,
    entries: BTreeMap<String, String>,
}

impl StampEntries<'_> {
    fn text(&self, key: &str) -> Result<&str> {
        let text = self.entries.get(key).map(String::as_str);
        text.ok_or_else(|| self.storage.damaged(format!("its stamp has no '{key}'")))
    }

    fn number(&self, key: &str) -> Result<u64> {
        let text = self.text(key)?;
        text.parse().map_err(|_| {
            let reason = format!("'{key}' of its stamp is '{text}', wanted a number");
            self.storage.damaged(reason)
        })
    }

    fn time(&self, which: StoredTime) -> Result<Option<u64>> {
        let is_there = self.entries.contains_key(which.key());
        is_there.then(|| self.number(which.key())).transpose()
    }
}

impl StoreStep<'_> {
    fn write(&self, tx: &WriteTransaction) -> Result<(), redb::Error> {
        match self {
            StoreStep::Record(identity, record) => {
                let mut identities = tx.open_table(IDENTITIES)?;
                let before = identities.insert(identity, json(record).as_slice())?;
                if before.is_none() {
                    raise_next_identity(tx, identity.saturating_add(1))?;
                }
            }
            StoreStep::Drop(identity) => {
                tx.open_table(IDENTITIES)?.remove(identity)?;
                let all = (*identity, 0)..=(*identity, u64::MAX);
                for definition in [ORIGINS, EMBEDDINGS] {
                    tx.open_table(definition)?
                        .retain_in(all.clone(), |_, _| false)?;
                }
            }
            StoreStep::Add(owner, origin, embedding) => {
                tx.open_table(ORIGINS)?
                    .insert(owner, json(origin).as_slice())?;
                tx.open_table(EMBEDDINGS)?
                    .insert(owner, bytes(embedding).as_slice())?;
            }
            StoreStep::Remove(owner) => {
                tx.open_table(ORIGINS)?.remove(owner)?;
                tx.open_table(EMBEDDINGS)?.remove(owner)?;
            }
            StoreStep::Move(from, to) => {
                for definition in [ORIGINS, EMBEDDINGS] {
                    let mut table = tx.open_table(definition)?;
                    let value = table.remove(from)?.map(|value| value.value().to_vec());
                    if let Some(value) = value {
                        table.insert(to, value.as_slice())?;
                    }
                }
            }
            StoreStep::Alias(name, identity) => {
                tx.open_table(ALIASES)?.insert(name.as_str(), identity)?;
            }
            StoreStep::Unalias(name) => {
                tx.open_table(ALIASES)?.remove(name.as_str())?;
            }
            StoreStep::Note(number, entry) => {
                tx.open_table(JOURNAL)?
                    .insert(number, json(entry).as_slice())?;
            }
            StoreStep::Strike(number) => {
                tx.open_table(JOURNAL)?.remove(number)?;
            }
            StoreStep::Time(which, Some(time)) => {
                tx.open_table(STAMP)?
                    .insert(which.key(), &*time.to_string())?;
            }
            StoreStep::Time(which, None) => {
                tx.open_table(STAMP)?.remove(which.key())?;
            }
        }
        Ok(())
    }
}

impl Stamp {
    fn write(&self, tx: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = tx.open_table(STAMP)?;
        table.insert("format", &*FORMAT.to_string())?;
        table.insert("space", &*self.space)?;
        table.insert("dim", &*self.dim.to_string())?;
        table.insert("device", &*self.tag.to_string())?;
        Ok(())
    }
}

impl StoredTime {
    fn key(self) -> &'static str {
        match self {
            Self::DeadPages => "dead pages since",
            Self::ClockSetBack => "clock set back at",
        }
    }
}

/// Carries out a transaction: durable when this returns, and not there at all if it fails.
fn write(
    db: &Database,
    storage: &Storage,
    work: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
) -> Result<()> {
    let write = || {
        let tx = db.begin_write()?;
        work(&tx)?;
        Ok(tx.commit()?)
    };
    write().map_err(|e: redb::Error| storage.not_stored(e))
}

/// Copies the entries of a table that stay.
fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    table: TableDefinition<'static, K, V>,
    stays: impl Fn(&K::SelfType<'_>, &V::SelfType<'_>) -> bool,
) -> Result<(), redb::Error> {
    let mut copy = to.open_table(table)?;
    for entry in from.open_table(table)?.iter()? {
        let (key, value) = entry?;
        let (key, value) = (key.value(), value.value());
        if stays(&key, &value) {
            copy.insert(key, value)?;
        }
    }
    Ok(())
}

/// Has a new database filled and puts it at `place` in one step. Nothing is left of one that cannot be filled.
fn fresh(storage: &Storage, fill: impl FnOnce(&Database) -> Result<()>) -> Result<Database> {
    let created = storage.create_scratch().and_then(|db| {
        fill(&db)?;
        storage.adopt_scratch()?;
        Ok(db)
    });
    if created.is_err() {
        // The error that matters is the first one; a leftover is discarded on the next open.
        let _ = storage.discard_scratch();
    }
    created
}

/// An identity that comes back under an old number must not make numbers start again from there.
fn raise_next_identity(tx: &WriteTransaction, at_least: u64) -> Result<(), redb::Error> {
    let mut table = tx.open_table(STAMP)?;
    let next = table.get("next identity")?;
    let next = next.and_then(|value| value.value().parse::<u64>().ok());
    if next.is_none_or(|next| next < at_least) {
        table.insert("next identity", &*at_least.to_string())?;
    }
    Ok(())
}

/// Creates all tables, so that none is missing in a gallery without exemplars.
fn create_tables(tx: &WriteTransaction) -> Result<(), redb::Error> {
    tx.open_table(STAMP)?;
    tx.open_table(IDENTITIES)?;
    tx.open_table(ORIGINS)?;
    tx.open_table(EMBEDDINGS)?;
    tx.open_table(ALIASES)?;
    tx.open_table(JOURNAL)?;
    Ok(())
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("records of strings and numbers have a JSON form")
}

fn bytes(embedding: &[f32]) -> Vec<u8> {
    embedding.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[cfg(test)]
pub(super) mod tests;
