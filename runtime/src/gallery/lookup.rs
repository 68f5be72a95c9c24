//! Finds identities by name, by number, or by an embedding to be enrolled.

use std::collections::BTreeSet;

use super::names::{looks, normal, number};
use super::state::GalleryState;
use super::{Candidate, Gallery, IdentitySummary};
use crate::error::{Error, Result};

/// What an embedding resembles before it is enrolled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resemblance<'g> {
    /// The person that it is enrolled for; `None` if that person is new.
    pub own: Option<Candidate<'g>>,
    /// The most similar other person.
    pub other: Option<Candidate<'g>>,
}

impl Gallery {
    /// What `embedding` resembles: the person called `name`, and the most similar other person.
    ///
    /// # Errors
    /// [`Error::Kernels`] if `embedding` does not fit; [`Error::Argument`] if two identities have that name, in two Unicode forms.
    pub fn resemblance(&self, name: &str, embedding: &[f32]) -> Result<Resemblance<'_>> {
        let identity = self.named(name)?;
        let nearest = self.top::<2>(embedding)?;
        Ok(Resemblance {
            own: identity.map(|identity| Candidate {
                identity,
                name: &self.state.people[&identity].record.name,
                similarity: self.nearest_exemplar(identity, embedding),
            }),
            other: nearest
                .into_iter()
                .find(|found| Some(found.identity) != identity),
        })
    }

    /// The names, and the other names, of identities besides `own` that a reader could take for `name`: they differ from it in case, in blanks or in characters
    /// that look alike. None if a person has that very name.
    ///
    /// # Errors
    /// [`Error::Argument`] if two identities have that name, in two Unicode forms.
    pub fn look_alikes(&self, name: &str, own: Option<u64>) -> Result<Vec<&str>> {
        if self.named(name)?.is_some() {
            return Ok(Vec::new());
        }
        let wanted = looks(name);
        let GalleryState { names, aliases, .. } = &self.state;
        let alike = |stored: &str| looks(stored).iter().zip(&wanted).any(|(a, b)| a == b);
        let stored = names.iter().chain(aliases);
        let found = stored.filter(|(stored, id)| Some(**id) != own && alike(stored));
        Ok(found.map(|(stored, _)| stored.as_str()).collect())
    }

    /// The identity that one which is no longer there was merged into: its name leads there now.
    #[must_use]
    pub fn merged_into(&self, gone: &IdentitySummary) -> Option<u64> {
        self.state.aliases.get(&gone.name).copied()
    }

    /// An identity by its name or another that leads to it, as it is stored or in another normalisation form.
    pub(super) fn named(&self, name: &str) -> Result<Option<u64>> {
        let GalleryState { names, aliases, .. } = &self.state;
        if let Some(&identity) = names.get(name).or_else(|| aliases.get(name)) {
            return Ok(Some(identity));
        }
        let wanted = normal(name);
        let stored = names.iter().chain(aliases);
        let found: BTreeSet<u64> = stored
            .filter(|(stored, _)| normal(stored) == wanted)
            .map(|(_, &identity)| identity)
            .collect();
        if found.len() > 1 {
            let numbers: Vec<String> = found.iter().map(|id| format!("'#{id}'")).collect();
            return Err(Error::Argument(format!(
                "'{name}' is the name of {} identities in different Unicode forms: write {}",
                found.len(),
                numbers.join(" or ")
            )));
        }
        Ok(found.first().copied())
    }

    /// An identity by name or number. `#7` is always a number; `7` may be the name of a person in a gallery of an older version, and is refused if it is the number
    /// of another person.
    pub(super) fn find(&self, who: &str) -> Result<u64> {
        let numbered = number(who).filter(|id| self.state.people.contains_key(id));
        if let Some(identity) = numbered.filter(|_| who.starts_with('#')) {
            return Ok(identity);
        }
        match (self.named(who)?, numbered) {
            (Some(named), Some(numbered)) if named != numbered => Err(Error::Argument(format!(
                "'{who}' is the name of identity {named} and the number of '{}': write '#{named}' or '#{numbered}'",
                self.state.people[&numbered].record.name
            ))),
            (Some(identity), _) | (None, Some(identity)) => Ok(identity),
            (None, None) => Err(self.unknown(who)),
        }
    }

    pub(super) fn unknown(&self, who: &str) -> Error {
        Error::UnknownIdentity {
            path: self.storage.path(),
            who: who.to_owned(),
        }
    }
}
