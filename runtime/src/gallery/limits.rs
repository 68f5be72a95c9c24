//! How much a gallery keeps, and for how long.

use std::time::Duration;

use crate::error::{Error, Result};

/// The highest number of an identity, an exemplar or a note of the journal: a file with a higher one is damaged or forged, and could make a number wrap. A thousand
/// a second reach it after 285,000 years, and readers of JSON keep integers up to here exactly.
pub(super) const HIGHEST_NUMBER: u64 = 1 << 53;

/// What a gallery keeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GalleryLimits {
    /// The most exemplars of one identity, 1..=[`GalleryLimits::MOST_EXEMPLARS`]. When another comes, the one that is most similar to another of the same identity is
    /// removed.
    pub max_exemplars: usize,
    /// A sample becomes an exemplar if its similarity to the nearest exemplar of its identity is below this, -1..=1.
    pub novelty: f32,
    /// A person with a generated name who was not seen for this time is removed, at [`Gallery::expire`](super::Gallery::expire); `None` keeps them for ever.
    pub retention: Option<Duration>,
    /// The most persons with generated names, 1..=[`GalleryLimits::MOST_IDENTITIES`]. When another comes, the one that was seen longest ago is removed.
    pub max_identities: usize,
    /// How long a new time or count of visits may wait to be stored, by the times that the caller gives. Zero stores each at once.
    pub flush_after: Duration,
}

impl GalleryLimits {
    /// The most that [`GalleryLimits::max_exemplars`] may be.
    pub const MOST_EXEMPLARS: usize = 256;

    /// The most that [`GalleryLimits::max_identities`] may be.
    pub const MOST_IDENTITIES: usize = 1_000_000;

    pub(super) fn check(&self) -> Result<()> {
        let ranges = [
            ("max_exemplars", self.max_exemplars, Self::MOST_EXEMPLARS),
            ("max_identities", self.max_identities, Self::MOST_IDENTITIES),
        ];
        for (name, found, most) in ranges {
            if !(1..=most).contains(&found) {
                return Err(Error::Argument(format!(
                    "{name} is {found}, wanted 1 to {most}"
                )));
            }
        }
        if !(-1.0..=1.0).contains(&self.novelty) {
            return Err(Error::Argument(format!(
                "novelty is {}, wanted -1 to 1",
                self.novelty
            )));
        }
        if self.retention.is_some_and(|retention| retention.is_zero()) {
            return Err(Error::Argument(
                "retention is 0, wanted a time for which people are kept, or none for ever".into(),
            ));
        }
        Ok(())
    }
}

impl Default for GalleryLimits {
    /// 8 exemplars, novelty below 0.9; 10 000 unnamed people, each for 24 hours; times stored after 1 second.
    fn default() -> Self {
        Self {
            max_exemplars: 8,
            novelty: 0.9,
            retention: Some(Duration::from_secs(24 * 3600)),
            max_identities: 10_000,
            flush_after: Duration::from_secs(1),
        }
    }
}

/// A time span in milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
