//! What is stored of an identity besides its exemplars: file, journal and memory use it.

use serde::{Deserialize, Serialize};

/// What is stored of an identity besides its exemplars.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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

impl Record {
    /// A person who is seen for the first time, in milliseconds since 1970.
    pub(super) fn new(name: String, time: u64) -> Self {
        Self {
            name,
            enrolled: time,
            last_seen: time,
            visits: 1,
            next_exemplar: 0,
        }
    }
}
