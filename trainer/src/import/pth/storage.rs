//! Storages: contiguous elements of one type that tensors are views of.

use std::collections::HashMap;

use super::super::pickle::{Id, Object, Pickle};
use crate::weights::element::Element;

/// Elements of one type, somewhere in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) element: Element,
    /// In elements.
    pub(super) len: usize,
}

/// A reference of a tensor to its storage.
pub(super) struct Reference<'a> {
    pub(super) key: &'a str,
    pub(super) storage: Storage,
    /// Start of the part that the tensor refers to, in elements.
    pub(super) offset: usize,
}

impl Storage {
    pub(super) fn bytes(self) -> Result<usize, String> {
        let bytes = self.len.checked_mul(self.element.size());
        bytes.ok_or_else(|| format!("a storage of {} elements", self.len))
    }
}

/// The storage that a persistent object stands for: `('storage', type, key, device, len)`, and
/// before torch 1.6 also `(key, offset, len)` of a part, or none. None if it is something else.
pub(super) fn reference(pickle: &Pickle, id: Id) -> Option<Result<Reference<'_>, String>> {
    let Object::Persistent(described) = pickle.get(id) else {
        return None;
    };
    let (tag, rest) = pickle.sequence(*described)?.split_first()?;
    if pickle.text(*tag) != Some("storage") {
        return None;
    }
    let wrong = || Some(Err("a storage is not described as torch does".to_owned()));
    let (element, key, len, part) = match rest {
        [element, key, _, len] => (element, key, len, None),
        [element, key, _, len, part] => (element, key, len, Some(part)),
        _ => return wrong(),
    };
    let (Some((module, name)), Some(key)) = (pickle.global(*element), pickle.text(*key)) else {
        return wrong();
    };
    let Some(element) = Element::of_torch(name) else {
        return Some(Err(format!("storage `{key}` is a {module}.{name}")));
    };
    let number = |id: &Id| usize::try_from(pickle.int(*id)?).ok();
    let Some(len) = number(len) else {
        return wrong();
    };
    let offset = match part.map(|part| pickle.get(*part)) {
        None | Some(Object::None) => 0,
        Some(Object::Tuple(part)) => match part.get(1).and_then(number) {
            Some(offset) => offset,
            None => return wrong(),
        },
        Some(_) => return wrong(),
    };
    let storage = Storage { element, len };
    Some(Ok(Reference {
        key,
        storage,
        offset,
    }))
}

/// Every storage that a pickle refers to. One of a type that is not read is left out.
pub(super) fn all(pickle: &Pickle) -> Result<HashMap<String, Storage>, String> {
    let mut storages = HashMap::new();
    for id in pickle.ids() {
        let Some(Ok(found)) = reference(pickle, id) else {
            continue;
        };
        let known = *storages
            .entry(found.key.to_owned())
            .or_insert(found.storage);
        if known != found.storage {
            return Err(format!(
                "storage `{}` is {} x {} and {} x {}",
                found.key, known.len, known.element, found.storage.len, found.storage.element
            ));
        }
    }
    Ok(storages)
}
