//! Bindings of the names of a file while it is read.

use std::collections::{HashMap, HashSet};

use super::extents::Array;
use super::limits::MAX_RANK;
use crate::graph::{Graph, Op, Operand, ParamId, ValueId};
use crate::tensor::{Data, Tensor};
use crate::{Error, Result};

/// What a name of the file is bound to.
pub(super) enum Binding {
    /// Computed from the image.
    Value(ValueId),
    /// A parameter of the graph.
    Param(ParamId),
    /// A constant that no node of the graph has read yet.
    Constant { name: String, tensor: Tensor },
    /// A shape, or values computed from one, that depend on the batch.
    Shape(Array),
}

/// What a node is converted to.
pub(super) enum Conversion {
    /// A chain of operators: the first reads the operands, each other the output of the one before.
    Operators(Vec<Op>, Vec<Operand>),
    /// Its first input.
    Same,
    /// This constant.
    Constant(Tensor),
    /// This shape.
    Shape(Array),
}

/// The graph so far, and the bindings of the names of the file.
pub(super) struct Scope {
    pub(super) graph: Graph,
    pub(super) bindings: Vec<Binding>,
    pub(super) names: HashMap<String, usize>,
    /// Every name of a value in the file, and generated names.
    pub(super) taken: HashSet<String>,
    pub(super) opset: i64,
    pub(super) fixed_batch: Option<usize>,
    pub(super) budget: u64,
    pub(super) warnings: Vec<String>,
}

impl Scope {
    /// The binding `index` as an operand of a node.
    pub(super) fn operand(&mut self, index: usize) -> Result<Operand> {
        match &mut self.bindings[index] {
            Binding::Value(id) => Ok(Operand::Value(*id)),
            Binding::Param(id) => Ok(Operand::Param(*id)),
            Binding::Constant { name, tensor } => {
                let tensor = std::mem::replace(tensor, Tensor::scalar(0.0));
                let name = std::mem::take(name);
                let id = self.param(name, tensor)?;
                self.bindings[index] = Binding::Param(id);
                Ok(Operand::Param(id))
            }
            Binding::Shape(_) => {
                let reason = "a shape that depends on the batch is used as data";
                Err(Error::Argument(reason.into()))
            }
        }
    }

    pub(super) fn param(&mut self, name: String, tensor: Tensor) -> Result<ParamId> {
        let refused =
            |reason: String| Error::malformed("ONNX tensor", format!("`{name}` {reason}"));
        if tensor.is_empty() {
            return Err(refused("is empty".into()));
        }
        if tensor.shape().len() > MAX_RANK {
            let rank = tensor.shape().len();
            return Err(refused(format!(
                "has {rank} dimensions, at most {MAX_RANK} are supported"
            )));
        }
        if let Data::F32(values) = tensor.data()
            && let Some(at) = values.iter().position(|value| !value.is_finite())
        {
            return Err(refused(format!("holds {} as element {at}", values[at])));
        }
        Ok(self.graph.param(name, tensor))
    }
}

/// `base`, or `base` with the first number that makes it a new name.
pub(super) fn unique(base: String, taken: &mut HashSet<String>) -> String {
    let mut name = base.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        name = format!("{base}_{count}");
        count += 1;
    }
    name
}
