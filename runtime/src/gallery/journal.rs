//! The journal: each merge and each split leaves a note from which it can be undone.
//!
//! A note holds names, numbers and times, no embeddings: exemplars move between identities and are never copied. All notes about a removed person are removed
//! too, so forgetting cannot be undone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::record::Record;

/// How many changes can be undone; older notes are removed.
pub(super) const DEPTH: usize = 32;

/// A change that can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub(super) enum JournalEntry {
    /// The identity `from` was merged into `into`.
    Merge {
        from: u64,
        into: u64,
        /// What `from` was.
        lost: Record,
        /// What `into` was before.
        before: Record,
        /// Names that led to `from`, its own not among them.
        aliases: Vec<String>,
        /// Numbers of the exemplars that moved: in `from`, in `into`.
        moved: Vec<(u64, u64)>,
    },
    /// Exemplars of the identity `from` became the identity `to`.
    Split {
        from: u64,
        to: u64,
        /// Numbers of the exemplars that moved: in `from`, in `to`.
        moved: Vec<(u64, u64)>,
    },
}

/// The notes about identities in `gone`, or about identities that were merged into them.
pub(super) fn about(journal: &BTreeMap<u64, JournalEntry>, gone: &BTreeSet<u64>) -> BTreeSet<u64> {
    let mut people = gone.clone();
    let mut notes = BTreeSet::new();
    for (&number, entry) in journal.iter().rev() {
        let speaks = match *entry {
            JournalEntry::Merge { from, into, .. } => {
                let speaks = people.contains(&into) || people.contains(&from);
                if speaks {
                    people.insert(from);
                }
                speaks
            }
            JournalEntry::Split { from, to, .. } => people.contains(&from) || people.contains(&to),
        };
        if speaks {
            notes.insert(number);
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merge(from: u64, into: u64) -> JournalEntry {
        let record = Record {
            name: "x".into(),
            enrolled: 0,
            last_seen: 0,
            visits: 0,
            next_exemplar: 0,
        };
        JournalEntry::Merge {
            from,
            into,
            lost: record.clone(),
            before: record,
            aliases: Vec::new(),
            moved: Vec::new(),
        }
    }

    fn split(from: u64, to: u64) -> JournalEntry {
        let moved = Vec::new();
        JournalEntry::Split { from, to, moved }
    }

    #[test]
    fn a_removed_identity_takes_every_note_about_it_along() {
        let cases: [(&str, &[JournalEntry], u64, &[u64]); 6] = [
            (
                "another identity",
                &[merge(1, 2), split(3, 4)],
                5,
                &[] as &[u64],
            ),
            ("merged into", &[merge(1, 2), merge(3, 4)], 2, &[0]),
            ("a chain of merges", &[merge(1, 2), merge(2, 3)], 3, &[0, 1]),
            ("the end of a split", &[split(1, 2), merge(3, 1)], 2, &[0]),
            (
                "the start of a split",
                &[split(1, 2), merge(3, 1)],
                1,
                &[0, 1],
            ),
            (
                "split, then merged",
                &[split(1, 2), merge(2, 3)],
                3,
                &[0, 1],
            ),
        ];
        for (name, entries, gone, wanted) in cases {
            let journal = (0..).zip(entries.iter().cloned()).collect();
            let notes: Vec<u64> = about(&journal, &BTreeSet::from([gone]))
                .into_iter()
                .collect();
            assert_eq!(notes, wanted, "{name}");
        }
    }
}
