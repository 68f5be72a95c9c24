//! One node of a file as [`operators`](super::operators) see it: its attributes and its inputs.

use super::attributes::Attributes;
use super::extents::{Array, Extent};
use super::proto::NodeProto;
use super::scope::{Binding, Conversion, Scope, unique};
use crate::graph::{Fact, Op, Operand};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// One node of the file, with what is known of its inputs.
pub(super) struct Site<'r> {
    reader: &'r mut Scope,
    node: &'r NodeProto,
    name: &'r str,
    pub(super) attributes: Attributes<'r>,
}

impl<'r> Site<'r> {
    /// The node `node` of the file, which messages call `name`.
    pub(super) fn new(reader: &'r mut Scope, node: &'r NodeProto, name: &'r str) -> Self {
        Self {
            reader,
            node,
            name,
            attributes: Attributes::of(name, node),
        }
    }

    /// The operator as the file names it.
    pub(super) fn op(&self) -> &'r str {
        self.node.op_type.as_deref().unwrap_or_default()
    }

    /// Version of the operator set.
    pub(super) fn opset(&self) -> i64 {
        self.reader.opset
    }

    /// The batch size that the file was exported for, if it is fixed.
    pub(super) fn fixed_batch(&self) -> Option<usize> {
        self.reader.fixed_batch
    }

    /// An error about this node.
    pub(super) fn unsupported(&self, reason: impl Into<String>) -> Error {
        Error::Unsupported {
            node: self.name.to_owned(),
            op: self.op().to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn missing(&self, input: usize) -> Error {
        self.unsupported(format!("input {input} is missing"))
    }

    /// The name of the first output.
    pub(super) fn output(&self) -> &'r str {
        self.node
            .output
            .first()
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// Counts `elements` created by a node, so that many small nodes cannot take much memory.
    pub(super) fn charge(&mut self, elements: usize) -> Result<()> {
        // An extent takes 24 bytes, six times a float.
        let cost = 8 * elements as u64;
        match self.reader.budget.checked_sub(cost) {
            Some(left) => {
                self.reader.budget = left;
                Ok(())
            }
            None => Err(self.unsupported("constants and shapes are too large in sum")),
        }
    }

    /// Number of inputs and outputs that the node lists.
    pub(super) fn arity(&self) -> (usize, usize) {
        (self.node.input.len(), self.node.output.len())
    }

    /// Index of the binding of input `index`, if present.
    pub(super) fn index(&self, index: usize) -> Option<usize> {
        let name = self.node.input.get(index).filter(|name| !name.is_empty())?;
        self.reader.names.get(name).copied()
    }

    /// The binding of input `index`, if present.
    pub(super) fn binding(&self, index: usize) -> Option<&Binding> {
        self.index(index).map(|index| &self.reader.bindings[index])
    }

    /// Whether input `index` is present.
    pub(super) fn has(&self, index: usize) -> bool {
        self.index(index).is_some()
    }

    /// Input `index` as an operand.
    pub(super) fn operand(&mut self, index: usize) -> Result<Operand> {
        let index = self.index(index).ok_or_else(|| self.missing(index))?;
        if let Binding::Shape(_) = self.reader.bindings[index] {
            return Err(self.unsupported(format!(
                "input {index} is a shape that depends on the batch, used as data"
            )));
        }
        self.reader.operand(index)
    }

    /// The inputs: the first `required` must be present, further ones up to `most` may be missing at the
    /// end.
    pub(super) fn operands(&mut self, required: usize, most: usize) -> Result<Vec<Operand>> {
        let given = self.arity().0;
        let present = (0..given)
            .rev()
            .find(|&index| self.has(index))
            .map_or(0, |last| last + 1);
        if present > most {
            return Err(self.unsupported(format!("{present} inputs, at most {most} are supported")));
        }
        (0..present.max(required))
            .map(|index| self.operand(index))
            .collect()
    }

    /// Adds a constant that is not in the file, named after the node and `suffix`.
    pub(super) fn generated(&mut self, suffix: &str, tensor: Tensor) -> Result<Operand> {
        let name = unique(format!("{}.{suffix}", self.name), &mut self.reader.taken);
        Ok(Operand::Param(self.reader.param(name, tensor)?))
    }

    /// Element type and shape of input `index`.
    pub(super) fn fact(&mut self, index: usize) -> Result<Fact> {
        let operand = self.operand(index)?;
        Ok(self.reader.graph.fact(operand))
    }

    /// Input `index` if it is a constant.
    pub(super) fn constant(&self, index: usize) -> Option<&Tensor> {
        match self.binding(index)? {
            Binding::Param(id) => Some(self.reader.graph.tensor(*id)),
            Binding::Constant { tensor, .. } => Some(tensor),
            Binding::Value(_) | Binding::Shape(_) => None,
        }
    }

    /// Input `index` as a small array that does not depend on the image; none if it is missing.
    pub(super) fn array(&self, index: usize) -> Result<Option<Array>> {
        let Some(binding) = self.binding(index) else {
            return Ok(None);
        };
        let array = match binding {
            Binding::Shape(array) => Some(array.clone()),
            Binding::Value(_) => {
                let reason = format!("input {index} is computed, only constants are supported");
                return Err(self.unsupported(reason));
            }
            Binding::Param(_) | Binding::Constant { .. } => {
                self.constant(index).and_then(Array::from_tensor)
            }
        };
        let array = array.ok_or_else(|| {
            self.unsupported(format!("input {index} is no small list of numbers"))
        })?;
        Ok(Some(array))
    }

    /// Input `index` as the extents of a shape; none if it is missing.
    pub(super) fn extents(&self, index: usize) -> Result<Option<Vec<Extent>>> {
        Ok(self.array(index)?.map(|array| array.elements))
    }

    /// Input `index` as integers that do not depend on the batch; none if it is missing.
    pub(super) fn integers(&self, index: usize) -> Result<Option<Vec<i64>>> {
        let Some(extents) = self.extents(index)? else {
            return Ok(None);
        };
        let integer = |extent: &Extent| {
            extent
                .as_integer()
                .ok_or_else(|| self.unsupported(format!("input {index} holds {extent}")))
        };
        extents.iter().map(integer).collect::<Result<_>>().map(Some)
    }

    /// The list of integers that is the attribute `name` before version `since`, and input `index` from then
    /// on; none if it is missing.
    pub(super) fn list(
        &mut self,
        name: &str,
        index: usize,
        since: i64,
    ) -> Result<Option<Vec<i64>>> {
        if self.opset() < since {
            Ok(self.attributes.ints(name)?.map(<[i64]>::to_vec))
        } else {
            self.integers(index)
        }
    }

    /// Input `index` as one number; none if it is missing.
    pub(super) fn number(&self, index: usize) -> Result<Option<f32>> {
        if !self.has(index) {
            return Ok(None);
        }
        let number = self.constant(index).and_then(Tensor::as_f32_scalar);
        match number.filter(|number| !number.is_nan()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.unsupported(format!("input {index} is no constant number"))),
        }
    }

    /// `op` with all inputs of the node, which must be as many as `inputs`.
    pub(super) fn plain(&mut self, op: Op, inputs: usize) -> Result<Conversion> {
        Ok(Conversion::Operators(
            vec![op],
            self.operands(inputs, inputs)?,
        ))
    }

    /// The chain `ops` with the first input of the node.
    pub(super) fn first(&mut self, ops: Vec<Op>) -> Result<Conversion> {
        let x: Operand = self.operand(0)?;
        if ops.is_empty() {
            return self.same();
        }
        Ok(Conversion::Operators(ops, vec![x]))
    }

    /// The node's first input.
    pub(super) fn same(&mut self) -> Result<Conversion> {
        if self.has(0) {
            Ok(Conversion::Same)
        } else {
            Err(self.unsupported("input 0 is missing"))
        }
    }

    /// `axis` counted from the front, for `rank` dimensions.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let from_front = if axis < 0 {
            axis.checked_add(rank as i64)
        } else {
            Some(axis)
        };
        from_front
            .and_then(|axis| usize::try_from(axis).ok())
            .filter(|&axis| axis < rank)
            .ok_or_else(|| self.unsupported(format!("axis {axis} of {rank} dimensions")))
    }

    /// `list` of axes counted from the front, ascending.
    pub(super) fn axes(&self, list: &[i64], rank: usize) -> Result<Vec<usize>> {
        if list.len() > rank {
            let found = list.len();
            return Err(self.unsupported(format!("{found} axes of {rank} dimensions")));
        }
        let mut axes: Vec<usize> = list
            .iter()
            .map(|&axis| self.axis(axis, rank))
            .collect::<Result<_>>()?;
        axes.sort_unstable();
        if axes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.unsupported(format!("axes {list:?} name one dimension twice")));
        }
        Ok(axes)
    }
}
