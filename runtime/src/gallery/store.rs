//! The gallery's file: records in, one durable transaction per change, everything out again on opening.
//!
//! One redb file with six tables: the stamp (format, space, dimension, device, the next identity's number), the identities, per exemplar its origin and its
//! embedding, other names of identities, and the journal of what can be undone. Records are JSON, so that a newer version can add a field; embeddings are
//! little-endian f32. An exemplar of 512 dimensions takes 4 KiB, one redb page. A file of format 1, which knew neither devices nor other names nor a journal,
//! becomes one of format 2 when it is opened for a change.
//!
//! redb never overwrites a page in use, so a kill or a power cut leaves the last committed state. Nor does it erase a page that it frees: measured, every removed
//! value was still in the file after the commit. (`compact` happened to leave none in three trials, by moving and cutting, but promises nothing and is a second step
//! that a kill can prevent.) So [`Store::rewrite`] copies what remains into a new file and renames it over the old one: one step, and no page of the file
//! has ever held what was left out. The blocks of the old file go back to the file system, whose business they are from then on.

use std::collections::{BTreeMap, BTreeSet};

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, WriteTransaction,
};
use serde::Serialize;

use super::Origin;
use super::file::Access;
use super::journal::Entry;
use super::names::Device;
use super::place::Place;
use super::record::Record;
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
    place: Place,
    db: Database,
}

/// What a gallery is a gallery of, and where it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) space: String,
    pub(super) dim: usize,
    pub(super) device: Device,
}

/// One step of a change. A change is a list of them, carried out by the file in one transaction and then by memory ([`Known::take`](super::known::Known::take)).
#[derive(Debug)]
pub(super) enum Step<'a> {
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
    Note(u64, Entry),
    /// It can no longer be undone.
    Strike(u64),
    /// A moment in milliseconds since 1970 is remembered, or no longer.
    Moment(Moment, Option<u64>),
}

/// Moments that outlast the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Since when pages of the file hold somebody who has gone.
    Dead,
    /// When the clock was found to be behind the time at which somebody was last seen.
    SetBack,
}

/// What is neither identity nor exemplar.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Number of the next identity.
    pub(super) next_identity: u64,
    pub(super) dead: Option<u64>,
    pub(super) set_back: Option<u64>,
    pub(super) aliases: BTreeMap<String, u64>,
    pub(super) journal: BTreeMap<u64, Entry>,
}

/// How a copy differs from the gallery that it is made of.
#[derive(Debug, Default)]
pub(super) struct Edit {
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
    pub(super) fn open(place: Place, access: Access, new: Option<&Stamp>) -> Result<(Self, Stamp)> {
        place.clone().guard(|| {
            let db = match new {
                Some(stamp) if access == Access::Create => Self::open_or_create(&place, stamp)?,
                _ => place.open(access)?,
            };
            let store = Self { place, db };
            let stamp = store.read_stamp()?;
            if access != Access::Read {
                // What a kill during a rewrite left behind.
                store.place.discard_scratch()?;
            }
            Ok((store, stamp))
        })
    }

    fn open_or_create(place: &Place, stamp: &Stamp) -> Result<Database> {
        let is_new = || place.size().map(|size| matches!(size, None | Some(0)));
        if !is_new()? {
            return place.open(Access::Create);
        }
        let mut overtaken = false;
        let created = fresh(place, |db| {
            // From here on no other program creates one, but it may have done so before.
            overtaken = !is_new()?;
            if overtaken {
                let path = place.path();
                return Err(Error::GalleryInUse { path });
            }
            let write = || -> Result<(), redb::Error> {
                let tx = db.begin_write()?;
                create_tables(&tx)?;
                stamp.write(&tx)?;
                tx.open_table(STAMP)?.insert("next identity", "1")?;
                tx.commit()?;
                Ok(())
            };
            write().map_err(|e| place.not_stored(e))
        });
        if overtaken {
            return place.open(Access::Create);
        }
        created
    }

    /// Stores a change: durable when this returns, and not there at all if it fails.
    pub(super) fn apply(&self, steps: &[Step<'_>]) -> Result<()> {
        let write = || -> Result<(), redb::Error> {
            let tx = self.db.begin_write()?;
            for step in steps {
                step.write(&tx)?;
            }
            tx.commit()?;
            Ok(())
        };
        write().map_err(|e| self.place.not_stored(e))
    }

    /// Writes the gallery anew, with an edit: no page of the new file has held what is left out.
    pub(super) fn rewrite(&mut self, edit: &Edit) -> Result<()> {
        self.db = self.copy(&self.place, edit, || Ok(()))?;
        Ok(())
    }

    /// Writes a copy of the gallery, with an edit, and puts it at `place` in one step. `check` is called before that, when no other program
    /// can put one there, and may object.
    pub(super) fn copy(
        &self,
        place: &Place,
        edit: &Edit,
        check: impl FnOnce() -> Result<()>,
    ) -> Result<Database> {
        fresh(place, |db| {
            self.fill(db, edit).map_err(|e| place.not_stored(e))?;
            check()
        })
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

    /// Writes the stamp over the one that is there.
    pub(super) fn restamp(&self, stamp: &Stamp) -> Result<()> {
        let write = || -> Result<(), redb::Error> {
            let tx = self.db.begin_write()?;
            create_tables(&tx)?;
            stamp.write(&tx)?;
            tx.commit()?;
            Ok(())
        };
        write().map_err(|e| self.place.not_stored(e))
    }

    fn read_stamp(&self) -> Result<Stamp> {
        let place = &self.place;
        let table = self.stamp_table()?;
        let format = self.stamped_number(&table, "format")?;
        let format = u32::try_from(format).unwrap_or(u32::MAX);
        if format > FORMAT {
            return Err(Error::GalleryTooNew {
                path: place.path(),
                found: format,
                supported: FORMAT,
            });
        }
        let dim = self.stamped_number(&table, "dim")?;
        let mut stamp = Stamp {
            space: self.stamped(&table, "space")?,
            dim: usize::try_from(dim).unwrap_or(usize::MAX),
            device: Device::random(),
        };
        if format < 2 {
            self.restamp(&stamp)?;
        } else {
            let device = self.stamped(&table, "device")?;
            stamp.device = Device::parse(&device).ok_or_else(|| {
                place.damaged(format!(
                    "'device' of its stamp is '{device}', wanted 16 hexadecimal digits"
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
        let place = &self.place;
        place.guard(|| {
            let table = self.begin_read()?.open_table(IDENTITIES);
            let table = table.map_err(|e| place.torn(e))?;
            for entry in table.iter().map_err(|e| place.torn(e))? {
                let (key, value) = entry.map_err(|e| place.torn(e))?;
                let identity = key.value();
                let record = place.parse(value.value(), || format!("identity {identity}"))?;
                visit(identity, record)?;
            }
            Ok(())
        })
    }

    /// Reads what is neither identity nor exemplar.
    pub(super) fn read_ledger(&self) -> Result<Ledger> {
        let place = &self.place;
        place.guard(|| {
            let table = self.stamp_table()?;
            let mut ledger = Ledger {
                next_identity: self.stamped_number(&table, "next identity")?,
                dead: self.moment(&table, Moment::Dead)?,
                set_back: self.moment(&table, Moment::SetBack)?,
                ..Ledger::default()
            };
            let tx = self.begin_read()?;
            let aliases = tx.open_table(ALIASES).map_err(|e| place.torn(e))?;
            for entry in aliases.iter().map_err(|e| place.torn(e))? {
                let (alias, identity) = entry.map_err(|e| place.torn(e))?;
                let alias = alias.value().to_owned();
                ledger.aliases.insert(alias, identity.value());
            }
            let journal = tx.open_table(JOURNAL).map_err(|e| place.torn(e))?;
            for entry in journal.iter().map_err(|e| place.torn(e))? {
                let (number, entry) = entry.map_err(|e| place.torn(e))?;
                let number = number.value();
                let entry = place.parse(entry.value(), || format!("note {number}"))?;
                ledger.journal.insert(number, entry);
            }
            Ok(ledger)
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
            let table = self.begin_read()?.open_table(EMBEDDINGS);
            let table = table.map_err(|e| place.torn(e))?;
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

    fn begin_read(&self) -> Result<ReadTransaction> {
        self.db.begin_read().map_err(|e| self.place.torn(e))
    }

    fn stamp_table(&self) -> Result<ReadOnlyTable<&'static str, &'static str>> {
        let place = &self.place;
        self.begin_read()?.open_table(STAMP).map_err(|e| match e {
            TableError::Storage(e) => place.torn(e),
            e => place.no_gallery(format!("it is a database of another program ({e})")),
        })
    }

    fn stamped(&self, table: &ReadOnlyTable<&str, &str>, key: &str) -> Result<String> {
        self.stamped_if_any(table, key)?
            .ok_or_else(|| self.place.damaged(format!("its stamp has no '{key}'")))
    }

    fn stamped_if_any(
        &self,
        table: &ReadOnlyTable<&str, &str>,
        key: &str,
    ) -> Result<Option<String>> {
        let value = table.get(key).map_err(|e| self.place.torn(e))?;
        Ok(value.map(|value| value.value().to_owned()))
    }

    fn stamped_number(&self, table: &ReadOnlyTable<&str, &str>, key: &str) -> Result<u64> {
        self.number(key, &self.stamped(table, key)?)
    }

    fn moment(&self, table: &ReadOnlyTable<&str, &str>, moment: Moment) -> Result<Option<u64>> {
        let text = self.stamped_if_any(table, moment.key())?;
        text.map(|text| self.number(moment.key(), &text))
            .transpose()
    }

    fn number(&self, key: &str, text: &str) -> Result<u64> {
        text.parse().map_err(|_| {
            let reason = format!("'{key}' of its stamp is '{text}', wanted a number");
            self.place.damaged(reason)
        })
    }

    /// Copies all tables, with an edit, in one transaction.
    fn fill(&self, fresh: &Database, edit: &Edit) -> Result<(), redb::Error> {
        let from = self.db.begin_read()?;
        let to = fresh.begin_write()?;
        create_tables(&to)?;
        let stays = |identity: u64| !edit.gone.contains(&identity);
        {
            let mut table = to.open_table(STAMP)?;
            for entry in from.open_table(STAMP)?.iter()? {
                let (key, value) = entry?;
                // A copy has no dead pages.
                if key.value() != Moment::Dead.key() {
                    table.insert(key.value(), value.value())?;
                }
            }
            let mut table = to.open_table(IDENTITIES)?;
            for entry in from.open_table(IDENTITIES)?.iter()? {
                let (key, value) = entry?;
                if stays(key.value()) {
                    table.insert(key.value(), value.value())?;
                }
            }
            let mut table = to.open_table(ALIASES)?;
            for entry in from.open_table(ALIASES)?.iter()? {
                let (key, value) = entry?;
                if stays(value.value()) {
                    table.insert(key.value(), value.value())?;
                }
            }
            let mut table = to.open_table(JOURNAL)?;
            for entry in from.open_table(JOURNAL)?.iter()? {
                let (key, value) = entry?;
                if !edit.struck.contains(&key.value()) {
                    table.insert(key.value(), value.value())?;
                }
            }
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

impl Step<'_> {
    fn write(&self, tx: &WriteTransaction) -> Result<(), redb::Error> {
        match self {
            Step::Record(identity, record) => {
                let mut identities = tx.open_table(IDENTITIES)?;
                let before = identities.insert(identity, json(record).as_slice())?;
                if before.is_none() {
                    raise_next_identity(tx, identity.saturating_add(1))?;
                }
            }
            Step::Drop(identity) => {
                tx.open_table(IDENTITIES)?.remove(identity)?;
                let all = (*identity, 0)..=(*identity, u64::MAX);
                for definition in [ORIGINS, EMBEDDINGS] {
                    tx.open_table(definition)?
                        .retain_in(all.clone(), |_, _| false)?;
                }
            }
            Step::Add(owner, origin, embedding) => {
                tx.open_table(ORIGINS)?
                    .insert(owner, json(origin).as_slice())?;
                tx.open_table(EMBEDDINGS)?
                    .insert(owner, bytes(embedding).as_slice())?;
            }
            Step::Remove(owner) => {
                tx.open_table(ORIGINS)?.remove(owner)?;
                tx.open_table(EMBEDDINGS)?.remove(owner)?;
            }
            Step::Move(from, to) => {
                for definition in [ORIGINS, EMBEDDINGS] {
                    let mut table = tx.open_table(definition)?;
                    let value = table.remove(from)?.map(|value| value.value().to_vec());
                    if let Some(value) = value {
                        table.insert(to, value.as_slice())?;
                    }
                }
            }
            Step::Alias(name, identity) => {
                tx.open_table(ALIASES)?.insert(name.as_str(), identity)?;
            }
            Step::Unalias(name) => {
                tx.open_table(ALIASES)?.remove(name.as_str())?;
            }
            Step::Note(number, entry) => {
                tx.open_table(JOURNAL)?
                    .insert(number, json(entry).as_slice())?;
            }
            Step::Strike(number) => {
                tx.open_table(JOURNAL)?.remove(number)?;
            }
            Step::Moment(moment, Some(time)) => {
                tx.open_table(STAMP)?
                    .insert(moment.key(), &*time.to_string())?;
            }
            Step::Moment(moment, None) => {
                tx.open_table(STAMP)?.remove(moment.key())?;
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
        table.insert("device", &*self.device.to_string())?;
        Ok(())
    }
}

impl Moment {
    fn key(self) -> &'static str {
        match self {
            Self::Dead => "dead pages since",
            Self::SetBack => "clock set back at",
        }
    }
}

/// Has a new database filled and puts it at `place` in one step. Nothing is left of one that cannot be filled.
fn fresh(place: &Place, fill: impl FnOnce(&Database) -> Result<()>) -> Result<Database> {
    let created = place.create_scratch().and_then(|db| {
        fill(&db)?;
        place.adopt_scratch()?;
        Ok(db)
    });
    if created.is_err() {
        // The error that matters is the first one; a leftover is discarded on the next open.
        let _ = place.discard_scratch();
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
