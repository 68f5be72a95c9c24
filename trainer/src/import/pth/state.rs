//! Locates the weights in a checkpoint: a dictionary of tensors, one below a usual name, or a whole
//! module. Other objects are reported with name and kind.

use std::cell::Cell;
use std::collections::HashMap;

use super::super::SkippedObject;
use super::super::names::of_training;
use super::super::pickle::{Call, Id, Object, Pickle};
use super::View;
use super::storage;
use crate::weights::element::Element;

/// Keys of the weights in checkpoints, the most common first.
const WEIGHTS: [&str; 8] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "net_dict",
    "model_dict",
    "model",
    "net",
    "network",
];

/// How deep weights may lie.
const MAX_DEPTH: usize = 64;

/// The most tensors: above every network, below what exhausts memory by repeating one object.
const MAX_TENSORS: usize = 1 << 16;

/// The most objects that are looked at, each time one is met counted.
const MAX_VISITS: usize = 1 << 22;

/// The longest name of a tensor.
const MAX_NAME: usize = 1024;

/// What a checkpoint holds.
pub(super) struct Found {
    pub(super) views: Vec<(String, View)>,
    pub(super) skipped: Vec<SkippedObject>,
}

struct Search<'a> {
    pickle: &'a Pickle,
    found: Found,
    visits: Cell<usize>,
}

/// Finds the weights of a checkpoint.
pub(super) fn find(pickle: &Pickle) -> Result<Found, String> {
    let mut search = Search {
        pickle,
        found: Found {
            views: Vec::new(),
            skipped: Vec::new(),
        },
        visits: Cell::new(0),
    };
    let mut at = pickle.root();
    let mut path = String::new();
    for _ in 0..MAX_DEPTH {
        let Some((name, weights)) = search.inner(at)? else {
            break;
        };
        for (key, beside) in search.items(at).unwrap_or_default() {
            let key = search.key(key);
            if key != name {
                let of_training = of_training(&key);
                search.found.skipped.push(SkippedObject {
                    trained: of_training.is_none() && search.holds_floats(beside, 0)?,
                    name: format!("{path}{key}"),
                    reason: match of_training {
                        Some(reason) => reason.to_owned(),
                        None => format!("next to `{path}{name}`"),
                    },
                });
            }
        }
        path = format!("{path}{name}.");
        at = weights;
    }
    search.collect("", at, 0)?;
    if search.found.views.is_empty() {
        let items = search.items(at).unwrap_or_default();
        let keys: Vec<String> = items.iter().take(8).map(|(k, _)| search.key(*k)).collect();
        let found = if keys.is_empty() {
            search.kind(at)
        } else {
            keys.join(", ")
        };
        return Err(format!("no weights in it, but {found}"));
    }
    // Of a key that is there twice, Python keeps the last.
    let mut found = search.found;
    let last: HashMap<_, _> = (found.views.iter().enumerate())
        .map(|(at, (name, _))| (name.clone(), at))
        .collect();
    let mut at = 0..;
    found
        .views
        .retain(|(name, _)| Some(last[name]) == at.next());
    Ok(found)
}

impl Search<'_> {
    /// Ends a search that has met too many objects.
    fn check_visits(&self) -> Result<(), String> {
        if self.visits.get() > MAX_VISITS {
            return Err(format!(
                "more than {MAX_VISITS} objects in its dictionaries"
            ));
        }
        Ok(())
    }

    /// What lies under a usual name, if `id` is a dictionary that has one.
    fn inner(&self, id: Id) -> Result<Option<(&'static str, Id)>, String> {
        let items = self.items(id).unwrap_or_default();
        for name in WEIGHTS {
            for (key, value) in &items {
                self.check_visits()?;
                if self.pickle.text(*key) == Some(name) && self.holds_items(*value) {
                    return Ok(Some((name, *value)));
                }
            }
        }
        Ok(None)
    }

    /// Whether `id` is a tensor of several floats or holds one, at whatever depth. One number alone is
    /// a figure, such as the best score.
    fn holds_floats(&self, id: Id, depth: usize) -> Result<bool, String> {
        self.visits.set(self.visits.get() + 1);
        self.check_visits()?;
        if depth > MAX_DEPTH {
            return Err(format!("a dictionary lies more than {MAX_DEPTH} deep"));
        }
        if let Some(view) = self.tensor(id) {
            let floats =
                |view: &View| view.element.is_float() && !matches!(view.shape[..], [] | [1]);
            // An unsupported tensor may hold floats.
            return Ok(view.as_ref().map_or(true, floats));
        }
        let below: Vec<Id> = match self.attributes(id).or_else(|| self.items(id)) {
            Some(items) => items.into_iter().map(|(_, value)| value).collect(),
            None => self.pickle.sequence(id).unwrap_or_default().to_vec(),
        };
        for id in below {
            if self.holds_floats(id, depth + 1)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether tensors may lie below `id`.
    fn holds_items(&self, id: Id) -> bool {
        self.items(id).is_some() || self.attributes(id).is_some()
    }

    /// The items of a dictionary of whatever class.
    fn items(&self, id: Id) -> Option<Vec<(Id, Id)>> {
        let items = self.all_items(id);
        let met = 1 + items.as_ref().map_or(0, Vec::len);
        self.visits.set(self.visits.get() + met);
        items
    }

    fn all_items(&self, id: Id) -> Option<Vec<(Id, Id)>> {
        match self.pickle.get(id) {
            Object::Dict(items) => Some(items.clone()),
            Object::Call(made) => {
                let class = self.pickle.global(made.by)?;
                let ordered = class.1 == "OrderedDict" || class.1 == "defaultdict";
                if !ordered {
                    return (!made.items.is_empty()).then(|| made.items.clone());
                }
                // Python 2 gave the items to the constructor, as one list of pairs.
                let given = self.pickle.sequence(made.args)?.first();
                let given = given.and_then(|list| self.pickle.sequence(*list));
                let pairs = given.unwrap_or_default().iter().filter_map(|pair| {
                    match self.pickle.sequence(*pair)? {
                        [key, value] => Some((*key, *value)),
                        _ => None,
                    }
                });
                Some(pairs.chain(made.items.iter().copied()).collect())
            }
            _ => None,
        }
    }

    /// The attributes of a whole module.
    fn attributes(&self, id: Id) -> Option<Vec<(Id, Id)>> {
        let Object::Call(made) = self.pickle.get(id) else {
            return None;
        };
        let items = self.items(made.state?)?;
        let module = |(key, _): &(Id, Id)| self.pickle.text(*key) == Some("_modules");
        items.iter().any(module).then_some(items)
    }

    /// Tensors of the dictionary or module `id`, each name after `prefix`.
    fn collect(&mut self, prefix: &str, id: Id, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("`{prefix}` lies more than {MAX_DEPTH} deep"));
        }
        if let Some(attributes) = self.attributes(id) {
            for (key, value) in attributes {
                let of_module = ["_parameters", "_buffers", "_modules"];
                if of_module.contains(&self.key(key).as_str()) {
                    self.collect(prefix, value, depth + 1)?;
                }
            }
            return Ok(());
        }
        for (key, value) in self.items(id).unwrap_or_default() {
            self.check_visits()?;
            let name = format!("{prefix}{}", self.key(key));
            if name.len() > MAX_NAME {
                return Err(format!("a name of more than {MAX_NAME} bytes"));
            }
            if let Some(view) = self.tensor(value) {
                let view = view.map_err(|reason| format!("tensor `{name}`: {reason}"))?;
                self.found.views.push((name, view));
                if self.found.views.len() > MAX_TENSORS {
                    return Err(format!("more than {MAX_TENSORS} tensors"));
                }
            } else if self.holds_items(value) {
                self.collect(&format!("{name}."), value, depth + 1)?;
            } else if !matches!(self.pickle.get(value), Object::None) {
                let kind = self.kind(value);
                self.found.skipped.push(SkippedObject {
                    name,
                    reason: format!("no tensor, but {kind}"),
                    trained: false,
                });
            }
        }
        Ok(())
    }

    /// The tensor that `id` stands for; none if it stands for something else.
    fn tensor(&self, id: Id) -> Option<Result<View, String>> {
        let Object::Call(made) = self.pickle.get(id) else {
            return None;
        };
        let mut call = (self.pickle.global(made.by)?, made.args);
        // A parameter is a tensor in one wrapping, a tensor with attributes in another.
        for _ in 0..MAX_DEPTH {
            let args = self.pickle.sequence(call.1)?;
            let wrapped: &Call = match call.0 {
                ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
                | ("torch.nn.parameter", "Parameter" | "Buffer") => {
                    match self.pickle.get(*args.first()?) {
                        Object::Call(made) => made,
                        _ => return None,
                    }
                }
                ("torch._tensor", "_rebuild_from_type_v2") => {
                    let [function, _, args, ..] = args else {
                        return None;
                    };
                    call = (self.pickle.global(*function)?, *args);
                    continue;
                }
                ("torch._utils", name) if name.starts_with("_rebuild_") => {
                    return Some(self.view(name, args));
                }
                _ => return None,
            };
            call = (self.pickle.global(wrapped.by)?, wrapped.args);
        }
        None
    }

    fn view(&self, function: &str, args: &[Id]) -> Result<View, String> {
        let plain = [
            "_rebuild_tensor",
            "_rebuild_tensor_v2",
            "_rebuild_tensor_v3",
        ];
        let (true, [storage, offset, shape, strides, rest @ ..]) =
            (plain.contains(&function), args)
        else {
            return Err(format!("made by {function}, which is not read"));
        };
        let found = storage::reference(self.pickle, *storage);
        let found = found.ok_or("it has no storage")??;
        let mut element = found.storage.element;
        let flags = match (function, rest) {
            ("_rebuild_tensor_v3", [_, _, dtype, rest @ ..]) => {
                let (_, name) = self.pickle.global(*dtype).ok_or("its type has no name")?;
                let named = Element::of_torch(name);
                element = named.ok_or_else(|| format!("elements of type {name} are not read"))?;
                rest.first()
            }
            (_, [_, _, rest @ ..]) => rest.first(),
            _ => None,
        };
        if let Some(Object::Dict(flags)) = flags.map(|flags| self.pickle.get(*flags))
            && !flags.is_empty()
        {
            return Err("a view that negates or conjugates is not read".to_owned());
        }
        let numbers = |id: Id| -> Option<Vec<usize>> {
            let ids = match self.pickle.get(id) {
                // torch.Size((2, 3))
                Object::Call(made) => self
                    .pickle
                    .sequence(*self.pickle.sequence(made.args)?.first()?)?,
                _ => self.pickle.sequence(id)?,
            };
            let number = |id: &Id| usize::try_from(self.pickle.int(*id)?).ok();
            ids.iter().map(number).collect()
        };
        let shape = numbers(*shape).ok_or("its shape is no list of numbers")?;
        let strides = numbers(*strides).ok_or("its strides are no list of numbers")?;
        if shape.len() != strides.len() || shape.len() > 8 {
            return Err(format!("shape {shape:?}, strides {strides:?}"));
        }
        let offset = self
            .pickle
            .int(*offset)
            .and_then(|n| usize::try_from(n).ok());
        let offset = offset.and_then(|offset| offset.checked_add(found.offset));
        Ok(View {
            storage: found.key.to_owned(),
            element,
            offset: offset.ok_or("its offset is no number")?,
            shape,
            strides,
        })
    }

    fn key(&self, id: Id) -> String {
        match self.pickle.get(id) {
            // One byte more than is allowed, in characters of up to four.
            Object::Text(text) => text.chars().take(MAX_NAME + 1).collect(),
            Object::Int(value) => value.to_string(),
            _ => "?".to_owned(),
        }
    }

    /// The kind of an object as text.
    fn kind(&self, id: Id) -> String {
        let kind = match self.pickle.get(id) {
            Object::None => "nothing",
            Object::Bool(_) => "a truth value",
            Object::Int(_) | Object::Float(_) => "a number",
            Object::Text(_) => "a text",
            Object::Bytes(_) => "bytes",
            Object::List(_) | Object::Tuple(_) => "a list",
            Object::Dict(_) => "a dictionary",
            Object::Persistent(_) => "something outside of it",
            Object::Global(module, name) => return format!("{module}.{name}"),
            Object::Call(made) => {
                return match self.pickle.global(made.by) {
                    Some((module, name)) => format!("an object of {module}.{name}"),
                    None => "an object".to_owned(),
                };
            }
        };
        kind.to_owned()
    }
}
