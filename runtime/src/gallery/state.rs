//! What a gallery keeps in memory: everything but the origins of exemplars, in the form that matching needs. Read from the file, and changed after it
//! by the same steps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use retrieval::scan::{Index, similarity};

use super::IdentitySummary;
use super::file::Access;
use super::journal::JournalEntry;
use super::limits::HIGHEST_NUMBER;
use super::names::is_generated;
use super::record::Record;
use super::storage::Storage;
use super::store::{Ledger, Owner, Stamp, Store, StoreStep, StoredTime};
use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct GalleryState {
    pub(super) stamp: Stamp,
    /// Number of the next identity.
    pub(super) next_identity: u64,
    pub(super) index: Index,
    /// Whose exemplar a row of the index is.
    pub(super) owners: Vec<Owner>,
    pub(super) people: BTreeMap<u64, Person>,
    pub(super) names: BTreeMap<String, u64>,
    pub(super) aliases: BTreeMap<String, u64>,
    pub(super) journal: BTreeMap<u64, JournalEntry>,
    /// Since when pages of the file hold a removed person.
    pub(super) dead: Option<u64>,
    /// When the clock was found to be behind the time at which a person was last seen.
    pub(super) set_back: Option<u64>,
    /// How many people have generated names.
    pub(super) generated: usize,
    /// At or after the last time at which a person with a generated name was seen.
    pub(super) latest: u64,
    /// People with generated names, by a time at or before their last. An entry counts if it is its person's [`Person::queued`]; being seen does not
    /// move it, so that it costs nothing.
    pub(super) queue: BinaryHeap<Reverse<(u64, u64)>>,
}

#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) record: Record,
    /// Rows of the index.
    pub(super) rows: Vec<usize>,
    /// Whether the record is newer than the file's.
    pub(super) unsaved: bool,
    /// The time of their entry in the queue, if their name is generated.
    pub(super) queued: Option<u64>,
}

impl GalleryState {
    /// Opens the gallery at `place` and reads it; `wanted` is what it must be a gallery of.
    pub(super) fn load(
        storage: Storage,
        wanted: Option<&Stamp>,
        access: Access,
    ) -> Result<(Store, Self)> {
        let (store, stamp) = Store::open(storage, access, wanted)?;
        if let Some(wanted) = wanted {
            stamp.must_be(wanted, store.storage())?;
        }
        let state = Self::read(&store, stamp)?;
        Ok((store, state))
    }

    /// Reads an open gallery.
    pub(super) fn read(store: &Store, stamp: Stamp) -> Result<Self> {
        let storage = store.storage();
        let Ledger {
            next_identity,
            dead,
            set_back,
            aliases,
            journal,
        } = store.read_ledger()?;
        if next_identity > HIGHEST_NUMBER {
            return Err(storage.damaged(format!(
                "'next identity' of its stamp is {next_identity}, wanted at most {HIGHEST_NUMBER}"
            )));
        }
        let mut state = Self {
            index: Index::new(stamp.dim).map_err(|e| storage.damaged(e.to_string()))?,
            next_identity,
            owners: Vec::new(),
            people: BTreeMap::new(),
            names: BTreeMap::new(),
            aliases,
            journal,
            dead,
            set_back,
            generated: 0,
            latest: 0,
            queue: BinaryHeap::new(),
            stamp,
        };
        store.read_identities(|identity, record| {
            if state.names.contains_key(&record.name) {
                return Err(storage.damaged(format!("two identities are called '{}'", record.name)));
            }
            if identity >= next_identity {
                return Err(storage.damaged(format!(
                    "identity {identity} is not below the next number {next_identity}"
                )));
            }
            if record.next_exemplar > HIGHEST_NUMBER {
                return Err(storage.damaged(format!(
                    "the next exemplar of identity {identity} is number {}, wanted at most {HIGHEST_NUMBER}",
                    record.next_exemplar
                )));
            }
            state.set_record(identity, record);
            Ok(())
        })?;
        for (alias, identity) in &state.aliases {
            if state.names.contains_key(alias) || !state.people.contains_key(identity) {
                return Err(storage.damaged(format!(
                    "the other name '{alias}' of identity {identity} leads nowhere"
                )));
            }
        }
        for (&number, entry) in &state.journal {
            state.check_note(number, entry).map_err(|reason| {
                storage.damaged(format!("note {number} of its journal: {reason}"))
            })?;
        }
        store.read_embeddings(state.stamp.dim, |owner, embedding| {
            let (identity, exemplar) = owner;
            let Some(person) = state.people.get(&identity) else {
                let reason = format!("exemplar {exemplar} belongs to no identity ({identity})");
                return Err(storage.damaged(reason));
            };
            let next = person.record.next_exemplar;
            if exemplar >= next {
                return Err(storage.damaged(format!(
                    "exemplar {exemplar} of identity {identity} is not below the next number {next}"
                )));
            }
            state
                .add_row(owner, embedding)
                .map_err(|e| storage.damaged(format!("exemplar {exemplar} of {identity}: {e}")))
        })?;
        Ok(state)
    }

    /// Refuses a note whose undoing would make impossible numbers, or would replace an identity.
    fn check_note(&self, number: u64, entry: &JournalEntry) -> Result<(), String> {
        if number >= HIGHEST_NUMBER {
            return Err(format!("its number is above {HIGHEST_NUMBER}"));
        }
        let (identities, moved) = match entry {
            JournalEntry::Merge {
                from,
                into,
                lost,
                moved,
                ..
            } => {
                if self.people.contains_key(from) {
                    return Err(format!("identity {from} was merged and is still there"));
                }
                let next = lost.next_exemplar;
                if next > HIGHEST_NUMBER || moved.iter().any(|&(then, _)| then >= next) {
                    return Err(format!(
                        "the next exemplar of identity {from} was number {next}"
                    ));
                }
                ([*from, *into], moved)
            }
            JournalEntry::Split { from, to, moved } => ([*from, *to], moved),
        };
        let next = self.next_identity;
        if let Some(identity) = identities.iter().find(|&&identity| identity >= next) {
            return Err(format!(
                "identity {identity} is not below the next number {next}"
            ));
        }
        let exemplars = moved.iter().flat_map(|&(a, b)| [a, b]);
        match exemplars
            .max()
            .filter(|&exemplar| exemplar >= HIGHEST_NUMBER)
        {
            Some(exemplar) => Err(format!("it is about exemplar {exemplar}")),
            None => Ok(()),
        }
    }

    /// Carries out a step that the file has carried out.
    pub(super) fn take(&mut self, step: StoreStep<'_>) -> Result<()> {
        match step {
            StoreStep::Record(identity, record) => self.set_record(identity, record),
            StoreStep::Drop(identity) => self.forget(identity),
            StoreStep::Add(owner, _, embedding) => self.add_row(owner, embedding)?,
            StoreStep::Remove(owner) => {
                if let Some(row) = self.row(owner) {
                    self.remove_row(row);
                }
            }
            StoreStep::Move(from, to) => {
                if let Some(row) = self.row(from) {
                    self.owners[row] = to;
                    self.person_mut(from.0).rows.retain(|&r| r != row);
                    self.person_mut(to.0).rows.push(row);
                }
            }
            StoreStep::Alias(name, identity) => {
                self.aliases.insert(name, identity);
            }
            StoreStep::Unalias(name) => {
                self.aliases.remove(&name);
            }
            StoreStep::Note(number, entry) => {
                self.journal.insert(number, entry);
            }
            StoreStep::Strike(number) => {
                self.journal.remove(&number);
            }
            StoreStep::Time(StoredTime::DeadPages, time) => self.dead = time,
            StoreStep::Time(StoredTime::ClockSetBack, time) => self.set_back = time,
        }
        Ok(())
    }

    /// The row of an exemplar.
    fn row(&self, owner: Owner) -> Option<usize> {
        let rows = &self.people.get(&owner.0)?.rows;
        rows.iter().copied().find(|&row| self.owners[row] == owner)
    }

    /// Sets the record of an identity, whether it is new or not.
    fn set_record(&mut self, identity: u64, record: Record) {
        let before = self.people.get(&identity).map(|p| &p.record.name);
        if before != Some(&record.name) {
            if let Some(before) = before {
                self.generated -= usize::from(is_generated(before));
                self.names.remove(before);
            }
            self.generated += usize::from(is_generated(&record.name));
            self.names.insert(record.name.clone(), identity);
        }
        self.next_identity = self.next_identity.max(identity.saturating_add(1));
        let person = self.people.entry(identity).or_default();
        person.record = record;
        person.unsaved = false;
        self.requeue(identity);
    }

    /// Sets the times of a person who was seen, before the file has them.
    pub(super) fn touch(&mut self, identity: u64, last_seen: u64, visits: u64) {
        let person = self.person_mut(identity);
        person.record.last_seen = last_seen;
        person.record.visits = visits;
        person.unsaved = true;
        self.requeue(identity);
    }

    /// Keeps the queue valid after a last time has changed: an entry may be too early, but not too late.
    fn requeue(&mut self, identity: u64) {
        let person = self.person_mut(identity);
        if !is_generated(&person.record.name) {
            person.queued = None;
            return;
        }
        let last_seen = person.record.last_seen;
        if person.queued.is_none_or(|queued| queued > last_seen) {
            person.queued = Some(last_seen);
            self.queue.push(Reverse((last_seen, identity)));
        }
        self.latest = self.latest.max(last_seen);
    }

    /// The time and the identity of the queue that was seen longest ago.
    pub(super) fn oldest(&mut self) -> Option<(u64, u64)> {
        loop {
            let mut top = self.queue.peek_mut()?;
            let Reverse((time, identity)) = *top;
            match self.people.get_mut(&identity) {
                Some(person) if person.queued == Some(time) => {
                    let last_seen = person.record.last_seen;
                    if last_seen == time {
                        return Some((time, identity));
                    }
                    person.queued = Some(last_seen);
                    *top = Reverse((last_seen, identity));
                }
                _ => {
                    std::collections::binary_heap::PeekMut::pop(top);
                }
            }
        }
    }

    /// The persons that `wanted` accepts, seen longest ago first; it returns `None` to end.
    pub(super) fn oldest_while(
        &mut self,
        mut wanted: impl FnMut(u64, u64) -> Option<bool>,
    ) -> Vec<u64> {
        let mut found = Vec::new();
        let mut looked_at = Vec::new();
        while let Some((time, identity)) = self.oldest() {
            // A time that was set back and came again may stand in the queue twice.
            if looked_at.last() == Some(&Reverse((time, identity))) {
                self.queue.pop();
                continue;
            }
            let Some(is_wanted) = wanted(time, identity) else {
                break;
            };
            looked_at.extend(self.queue.pop());
            if is_wanted {
                found.push(identity);
            }
        }
        // They stay until the file has removed them.
        self.queue.extend(looked_at);
        found
    }

    fn add_row(&mut self, owner: Owner, embedding: &[f32]) -> Result<()> {
        let row = self.index.push(embedding)?;
        self.owners.push(owner);
        self.person_mut(owner.0).rows.push(row);
        Ok(())
    }

    /// Removes a row; the last row takes its number.
    fn remove_row(&mut self, row: usize) {
        let last = self.owners.len() - 1;
        self.index
            .swap_remove(row)
            .expect("owners and index have the same rows");
        let (identity, _) = self.owners.swap_remove(row);
        self.person_mut(identity).rows.retain(|&r| r != row);
        if row != last {
            let (moved, _) = self.owners[row];
            for r in &mut self.person_mut(moved).rows {
                if *r == last {
                    *r = row;
                }
            }
        }
    }

    fn forget(&mut self, identity: u64) {
        while let Some(&row) = self.people.get(&identity).and_then(|p| p.rows.last()) {
            self.remove_row(row);
        }
        if let Some(person) = self.people.remove(&identity) {
            self.generated -= usize::from(is_generated(&person.record.name));
            self.names.remove(&person.record.name);
        }
    }

    /// The `count` most redundant exemplars of an identity: one after the other the one that is most similar to another that stays, of two the older.
    pub(super) fn most_redundant(&self, identity: u64, count: usize) -> Vec<Owner> {
        let Some(person) = self.people.get(&identity) else {
            return Vec::new();
        };
        let mut rows = person.rows.clone();
        let mut found = Vec::new();
        for _ in 0..count {
            let nearest_other = |row: usize| {
                let others = rows.iter().filter(|&&other| other != row);
                others
                    .map(|&other| similarity(self.index.row(row), self.index.row(other)))
                    .fold(f32::NEG_INFINITY, f32::max)
            };
            let redundancy = rows.iter().map(|&row| (row, nearest_other(row)));
            let most = redundancy.max_by(|(a, x), (b, y)| {
                let older = self.owners[*b].1.cmp(&self.owners[*a].1);
                x.total_cmp(y).then(older)
            });
            let Some((row, _)) = most else { break };
            found.push(self.owners[row]);
            rows.retain(|&r| r != row);
        }
        found
    }

    /// The summary of an identity that is there.
    pub(super) fn summary(&self, identity: u64) -> IdentitySummary {
        let Person { record, rows, .. } = &self.people[&identity];
        IdentitySummary {
            identity,
            name: record.name.clone(),
            aliases: self.aliases_of(identity).map(str::to_owned).collect(),
            exemplars: rows.len(),
            visits: record.visits,
            enrolled: record.enrolled,
            last_seen: record.last_seen,
        }
    }

    /// The other names of an identity.
    pub(super) fn aliases_of(&self, identity: u64) -> impl Iterator<Item = &str> {
        let all = self.aliases.iter();
        all.filter(move |(_, leads_to)| **leads_to == identity)
            .map(|(alias, _)| alias.as_str())
    }

    /// The numbers of an identity's exemplars, in their order.
    pub(super) fn exemplars_of(&self, identity: u64) -> Vec<u64> {
        let rows = self.people.get(&identity).map_or(&[][..], |p| &p.rows);
        let mut numbers: Vec<u64> = rows.iter().map(|&row| self.owners[row].1).collect();
        numbers.sort_unstable();
        numbers
    }

    fn person_mut(&mut self, identity: u64) -> &mut Person {
        let person = self.people.get_mut(&identity);
        person.expect("rows belong to known identities")
    }
}

impl Stamp {
    /// Refuses a gallery of another space or dimension.
    fn must_be(&self, wanted: &Self, storage: &Storage) -> Result<()> {
        if self.space != wanted.space {
            return Err(Error::GallerySpace {
                path: storage.path(),
                found: self.space.clone(),
                wanted: wanted.space.clone(),
            });
        }
        if self.dim != wanted.dim {
            return Err(Error::GalleryDimension {
                path: storage.path(),
                found: self.dim,
                wanted: wanted.dim,
            });
        }
        Ok(())
    }
}
