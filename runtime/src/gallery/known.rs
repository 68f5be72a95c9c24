//! What a gallery keeps in memory: everything but the origins of exemplars, in the form that matching wants. Built from the file, changed only after the file.

use std::collections::BTreeMap;

use kernels::retrieval::scan::{Index, similarity};

use super::Summary;
use super::store::{Place, Record, Stamp, Store};
use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct Known {
    pub(super) stamp: Stamp,
    /// Number of the next identity.
    pub(super) next_identity: u64,
    pub(super) index: Index,
    /// Whose exemplar a row of the index is: the numbers of identity and exemplar.
    pub(super) owners: Vec<(u64, u64)>,
    pub(super) people: BTreeMap<u64, Person>,
    pub(super) names: BTreeMap<String, u64>,
}

#[derive(Debug)]
pub(super) struct Person {
    pub(super) record: Record,
    /// Rows of the index.
    pub(super) rows: Vec<usize>,
}

impl Known {
    /// Opens the gallery at `place` and reads it. With `create`, one is made there if there is none; `wanted` is what it must be a gallery of.
    pub(super) fn load(
        place: Place,
        wanted: Option<&Stamp>,
        create: bool,
    ) -> Result<(Store, Self)> {
        let (store, stamp) = Store::open(place, wanted.filter(|_| create))?;
        if let Some(wanted) = wanted {
            stamp.must_be(wanted, store.place())?;
        }
        let place = store.place();
        let mut known = Self {
            index: Index::new(stamp.dim).map_err(|e| place.damaged(e.to_string()))?,
            next_identity: 0,
            owners: Vec::new(),
            people: BTreeMap::new(),
            names: BTreeMap::new(),
            stamp,
        };
        known.next_identity = store.read_identities(|identity, record| {
            if known.names.contains_key(&record.name) {
                return Err(place.damaged(format!("two identities are called '{}'", record.name)));
            }
            known.set_record(identity, record);
            Ok(())
        })?;
        if let Some((&last, _)) = known.people.last_key_value()
            && last >= known.next_identity
        {
            return Err(place.damaged(format!(
                "identity {last} is not below the next number {}",
                known.next_identity
            )));
        }
        store.read_embeddings(known.stamp.dim, |identity, exemplar, embedding| {
            if !known.people.contains_key(&identity) {
                let reason = format!("exemplar {exemplar} belongs to no identity ({identity})");
                return Err(place.damaged(reason));
            }
            known
                .add_row(identity, exemplar, embedding)
                .map_err(|e| place.damaged(format!("exemplar {exemplar} of {identity}: {e}")))
        })?;
        Ok((store, known))
    }

    /// Sets what is known of an identity besides its exemplars, whether it is new or not.
    pub(super) fn set_record(&mut self, identity: u64, record: Record) {
        if let Some(person) = self.people.get_mut(&identity) {
            person.record = record;
            return;
        }
        self.next_identity = self.next_identity.max(identity.saturating_add(1));
        self.names.insert(record.name.clone(), identity);
        let rows = Vec::new();
        self.people.insert(identity, Person { record, rows });
    }

    pub(super) fn add_row(
        &mut self,
        identity: u64,
        exemplar: u64,
        embedding: &[f32],
    ) -> Result<()> {
        let row = self.index.push(embedding)?;
        self.owners.push((identity, exemplar));
        self.person_mut(identity).rows.push(row);
        Ok(())
    }

    /// Removes a row; the last row takes its number.
    pub(super) fn remove_row(&mut self, row: usize) {
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

    pub(super) fn forget(&mut self, identity: u64) {
        while let Some(&row) = self.people.get(&identity).and_then(|p| p.rows.last()) {
            self.remove_row(row);
        }
        if let Some(person) = self.people.remove(&identity) {
            self.names.remove(&person.record.name);
        }
    }

    /// The row of an identity that is most similar to another of its rows, of two the older exemplar; its only row if it has one.
    pub(super) fn most_redundant(&self, identity: u64) -> Option<usize> {
        let rows = &self.people.get(&identity)?.rows;
        let nearest_other = |row: usize| {
            let others = rows.iter().filter(|&&other| other != row);
            others
                .map(|&other| similarity(self.index.row(row), self.index.row(other)))
                .fold(f32::NEG_INFINITY, f32::max)
        };
        let redundancy = rows.iter().map(|&row| (row, nearest_other(row)));
        redundancy
            .max_by(|(a, x), (b, y)| {
                let older = self.owners[*b].1.cmp(&self.owners[*a].1);
                x.total_cmp(y).then(older)
            })
            .map(|(row, _)| row)
    }

    /// The summary of an identity that is there.
    pub(super) fn summary(&self, identity: u64) -> Summary {
        let Person { record, rows } = &self.people[&identity];
        Summary {
            identity,
            name: record.name.clone(),
            exemplars: rows.len(),
            visits: record.visits,
            enrolled: record.enrolled,
            last_seen: record.last_seen,
        }
    }

    fn person_mut(&mut self, identity: u64) -> &mut Person {
        let person = self.people.get_mut(&identity);
        person.expect("rows belong to known identities")
    }
}

impl Stamp {
    /// Refuses a gallery of another space or dimension.
    fn must_be(&self, wanted: &Self, place: &Place) -> Result<()> {
        if self.space != wanted.space {
            return Err(Error::GallerySpace {
                path: place.path(),
                found: self.space.clone(),
                wanted: wanted.space.clone(),
            });
        }
        if self.dim != wanted.dim {
            return Err(Error::GalleryDimension {
                path: place.path(),
                found: self.dim,
                wanted: wanted.dim,
            });
        }
        Ok(())
    }
}
