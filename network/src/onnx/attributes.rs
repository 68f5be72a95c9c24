//! The attributes of one node. An operator takes those that it supports; any other is refused by name.

use super::proto::{AttributeProto, NodeProto, TensorProto, attribute_type};
use crate::{Error, Result};

/// The attributes of one node that have not been taken yet.
pub(super) struct Attributes<'a> {
    node: &'a str,
    op: &'a str,
    left: Vec<&'a AttributeProto>,
}

impl<'a> Attributes<'a> {
    /// The attributes of `proto`; `node` is its name in messages.
    pub(super) fn of(node: &'a str, proto: &'a NodeProto) -> Self {
        Self {
            node,
            op: proto.op_type.as_deref().unwrap_or_default(),
            left: proto.attribute.iter().collect(),
        }
    }

    fn unsupported(&self, reason: String) -> Error {
        Error::Unsupported {
            node: self.node.to_owned(),
            op: self.op.to_owned(),
            reason,
        }
    }

    /// The value of `name`, as `get` finds it in an attribute of type `kind`.
    fn take<T>(
        &mut self,
        name: &str,
        kind: i32,
        get: impl FnOnce(&'a AttributeProto) -> Option<T>,
    ) -> Result<Option<T>> {
        let named = |attribute: &&AttributeProto| attribute.name.as_deref() == Some(name);
        let Some(position) = self.left.iter().position(named) else {
            return Ok(None);
        };
        let attribute = self.left.remove(position);
        // Files older than version 2 of the format do not state the type.
        let typed = matches!(attribute.r#type, None | Some(0)) || attribute.r#type == Some(kind);
        match get(attribute).filter(|_| typed && attribute.ref_attr_name.is_none()) {
            Some(value) => Ok(Some(value)),
            None => {
                Err(self.unsupported(format!("attribute {} has the wrong type", show(attribute))))
            }
        }
    }

    /// An integer.
    pub(super) fn int(&mut self, name: &str) -> Result<Option<i64>> {
        self.take(name, attribute_type::INT, |attribute| attribute.i)
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<f32>> {
        match self.take(name, attribute_type::FLOAT, |attribute| attribute.f)? {
            Some(value) if value.is_nan() => {
                Err(self.unsupported(format!("attribute `{name}` is not a number")))
            }
            value => Ok(value),
        }
    }

    /// A number, or `default`.
    pub(super) fn float(&mut self, name: &str, default: f32) -> Result<f32> {
        Ok(self.number(name)?.unwrap_or(default))
    }

    /// A list of integers.
    pub(super) fn ints(&mut self, name: &str) -> Result<Option<&'a [i64]>> {
        self.take(name, attribute_type::INTS, |a| Some(a.ints.as_slice()))
    }

    /// A list of numbers.
    pub(super) fn floats(&mut self, name: &str) -> Result<Option<&'a [f32]>> {
        self.take(name, attribute_type::FLOATS, |a| Some(a.floats.as_slice()))
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<&'a str>> {
        self.take(name, attribute_type::STRING, |attribute| {
            std::str::from_utf8(attribute.s.as_deref()?).ok()
        })
    }

    /// A tensor.
    pub(super) fn tensor(&mut self, name: &str) -> Result<Option<&'a TensorProto>> {
        self.take(name, attribute_type::TENSOR, |attribute| {
            attribute.t.as_deref()
        })
    }

    /// A flag, 0 or 1.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool> {
        match self.int(name)? {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => {
                Err(self.unsupported(format!("attribute `{name}` is {other}, not 0 or 1")))
            }
        }
    }

    /// Refuses any integer but `supported`, which is also the default.
    pub(super) fn only(&mut self, name: &str, supported: i64) -> Result<()> {
        match self.int(name)? {
            Some(found) if found != supported => Err(self.unsupported(format!(
                "attribute `{name}` is {found}, only {supported} is supported"
            ))),
            _ => Ok(()),
        }
    }

    /// Drops an attribute that changes nothing at inference.
    pub(super) fn ignore(&mut self, name: &str) {
        self.left
            .retain(|attribute| attribute.name.as_deref() != Some(name));
    }

    /// Refuses attributes that were not taken.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the attribute's name and value.
    pub(super) fn finish(&self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some(attribute) => {
                Err(self.unsupported(format!("attribute {} is not supported", show(attribute))))
            }
        }
    }
}

/// Name and value of an attribute, for messages.
fn show(attribute: &AttributeProto) -> String {
    let name = attribute.name.as_deref().unwrap_or_default();
    let value = if let Some(value) = attribute.i {
        value.to_string()
    } else if let Some(value) = attribute.f {
        value.to_string()
    } else if let Some(value) = &attribute.s {
        let text = String::from_utf8_lossy(value);
        format!("{:?}", text.chars().take(60).collect::<String>())
    } else if !attribute.ints.is_empty() {
        format!("{:?}", &attribute.ints[..attribute.ints.len().min(8)])
    } else if !attribute.floats.is_empty() {
        format!("{:?}", &attribute.floats[..attribute.floats.len().min(8)])
    } else if attribute.t.is_some() {
        "a tensor".to_owned()
    } else {
        return format!("`{name}`");
    };
    format!("`{name}` = {value}")
}
