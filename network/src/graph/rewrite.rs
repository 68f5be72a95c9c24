//! Copies a graph node by node: the base of every pass that changes one.

use super::{Graph, Node, Operand, Output, ParamId, ValueId};
use crate::{Error, Result};

/// A graph that is copied into a new one. Parameters are copied with the first node that reads them, so
/// unused ones are dropped.
pub(super) struct Rewrite<'a> {
    pub(super) old: &'a Graph,
    pub(super) new: Graph,
    values: Vec<Option<ValueId>>,
    params: Vec<Option<ParamId>>,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(old: &'a Graph) -> Self {
        let input = &old.values[0];
        let new = Graph::new(old.name.clone(), input.name.clone(), old.input_size());
        let mut values = vec![None; old.values.len()];
        values[0] = Some(new.input());
        Self {
            old,
            new,
            values,
            params: vec![None; old.params.len()],
        }
    }

    /// Where an old value is in the new graph.
    pub(super) fn value(&self, old: ValueId) -> ValueId {
        self.values[old.index()].expect("a node's inputs are rewritten before the node")
    }

    /// From now on `old` is read at `new`.
    pub(super) fn map(&mut self, old: ValueId, new: ValueId) {
        self.values[old.index()] = Some(new);
    }

    /// An operand of the old graph, in the new one.
    pub(super) fn operand(&mut self, old: Operand) -> Operand {
        match old {
            Operand::Value(id) => Operand::Value(self.value(id)),
            Operand::Param(id) => {
                if self.params[id.index()].is_none() {
                    let param = self.old.params[id.index()].clone();
                    self.params[id.index()] = Some(self.new.param(param.name, param.tensor));
                }
                Operand::Param(self.params[id.index()].expect("just set"))
            }
        }
    }

    /// Takes a node over as it is, names of its values included.
    pub(super) fn copy(&mut self, node: &Node) -> Result<()> {
        let inputs: Vec<Operand> = node
            .inputs
            .iter()
            .map(|&input| self.operand(input))
            .collect();
        let outputs = self.new.push(node.name.clone(), node.op.clone(), inputs)?;
        for (&old, &new) in node.outputs.iter().zip(&outputs) {
            self.new.rename(new, self.old.value(old).name.clone());
            self.map(old, new);
        }
        Ok(())
    }

    /// The new graph, with the outputs of the old one.
    pub(super) fn finish(mut self) -> Graph {
        for Output { name, value } in &self.old.outputs {
            let value = self.value(*value);
            self.new.output(name.clone(), value);
        }
        self.new
    }
}

impl Graph {
    /// The graph without the nodes and parameters that no output needs.
    ///
    /// # Errors
    /// Those of shape inference, which has accepted every node before.
    pub fn pruned(&self) -> Result<Self> {
        let mut needed = vec![false; self.values.len()];
        for output in &self.outputs {
            needed[output.value.index()] = true;
        }
        for node in self.nodes.iter().rev() {
            if node.outputs.iter().any(|id| needed[id.index()]) {
                for input in &node.inputs {
                    if let Operand::Value(id) = input {
                        needed[id.index()] = true;
                    }
                }
            }
        }
        let mut rewrite = Rewrite::new(self);
        for node in &self.nodes {
            if node.outputs.iter().any(|id| needed[id.index()]) {
                rewrite.copy(node)?;
            }
        }
        Ok(rewrite.finish())
    }

    /// The graph with `name` as its only output, pruned, for example without its classifier.
    ///
    /// # Errors
    /// [`Error::Argument`] with the names of all outputs if none is `name`.
    pub fn with_output(&self, name: &str) -> Result<Self> {
        let mut graph = self.clone();
        graph.outputs.retain(|output| output.name == name);
        if graph.outputs.is_empty() {
            let names: Vec<&str> = self
                .outputs
                .iter()
                .map(|output| output.name.as_str())
                .collect();
            let names = names.join("`, `");
            return Err(Error::Argument(format!(
                "the network has no output `{name}`; it has `{names}`"
            )));
        }
        graph.pruned()
    }
}
