//! The graph of a network, and the passes that rewrite it.
//!
//! A [`Graph`] of [`Node`]s over [`Param`]s is the only description of a network in this project: the trainer
//! interprets it, the exporter folds and quantises it, the device plans and runs it. It has one image input, nodes
//! in execution order and named outputs. Every value has a shape, with a symbolic batch ([`Dim::Batch`]).
//! Only computation is in it: identities, dropout and shape arithmetic are resolved by [`crate::onnx`].

mod cost;
pub mod fold;
mod op;
mod rewrite;
mod shape;

pub use cost::Cost;
pub use op::{Binary, Conv, Gemm, Op, Pool, Reduce, Unary};
pub use shape::infer;

use crate::tensor::{DType, Tensor};
use crate::{Error, Result};

/// Extent of one dimension of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Number of crops in the batch; known when the network runs.
    Batch,
    /// This extent.
    Fixed(usize),
}

/// Element type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Element type.
    pub dtype: DType,
    /// Extent of each dimension, outermost first.
    pub shape: Vec<Dim>,
}

/// Index of a value (the input, or the output of a node) within one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(u32);

/// Index of a parameter within one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(u32);

/// An operand of a node: a value or a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// The input of the graph or the output of an earlier node.
    Value(ValueId),
    /// A parameter; several nodes may use the same one.
    Param(ParamId),
}

/// A tensor of the network: a weight, a bias, a statistic, a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Unique name, as in the file or the checkpoint, for example `layer1.0.conv1.weight`.
    pub name: String,
    /// The elements.
    pub tensor: Tensor,
}

/// Name, element type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Name, as in the file.
    pub name: String,
    /// Element type and shape.
    pub fact: Fact,
}

/// One operation of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique name, used in every message about the node.
    pub name: String,
    /// The operator.
    pub op: Op,
    /// What it reads, in the order that [`Op`] documents. Optional operands stand last and may be
    /// missing.
    pub inputs: Vec<Operand>,
    /// What it writes.
    pub outputs: Vec<ValueId>,
}

/// An output of the network, for example `embedding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Name, as in the file.
    pub name: String,
    /// The value.
    pub value: ValueId,
}

/// A network. See the [module](self) for what holds of every graph.
///
/// ```
/// use network::graph::{Conv, Graph, Op, Unary};
/// use network::tensor::Tensor;
///
/// let mut graph = Graph::new("tiny", "image", [3, 8, 4]);
/// let weight = graph.param("conv.weight", Tensor::zeros([5, 3, 1, 1])?);
/// let conv = Op::Conv(Conv::pointwise());
/// let x = graph.push1("conv", conv, [graph.input().into(), weight.into()])?;
/// let x = graph.push1("relu", Op::Unary(Unary::Relu), [x.into()])?;
/// graph.output("features", x);
/// assert_eq!(graph.value(x).fact.shape_for(2), [2, 5, 8, 4]);
/// # Ok::<(), network::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    name: String,
    values: Vec<Value>,
    params: Vec<Param>,
    nodes: Vec<Node>,
    outputs: Vec<Output>,
    /// For each value the node that writes it; none for the input.
    producers: Vec<Option<u32>>,
}

impl From<ValueId> for Operand {
    fn from(id: ValueId) -> Self {
        Self::Value(id)
    }
}

impl From<ParamId> for Operand {
    fn from(id: ParamId) -> Self {
        Self::Param(id)
    }
}

impl ValueId {
    /// Position in [`Graph::values`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ParamId {
    /// Position in [`Graph::params`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Fact {
    /// An f32 value of `shape`.
    #[must_use]
    pub fn f32(shape: impl Into<Vec<Dim>>) -> Self {
        Self {
            dtype: DType::F32,
            shape: shape.into(),
        }
    }

    /// Type and shape of `tensor`.
    #[must_use]
    pub fn of(tensor: &Tensor) -> Self {
        Self {
            dtype: tensor.dtype(),
            shape: tensor.shape().iter().map(|&n| Dim::Fixed(n)).collect(),
        }
    }

    /// The shape with [`Dim::Batch`] replaced by `batch`.
    #[must_use]
    pub fn shape_for(&self, batch: usize) -> Vec<usize> {
        self.shape.iter().map(|dim| dim.for_batch(batch)).collect()
    }
}

impl Dim {
    /// The extent when `batch` crops are computed at once.
    #[must_use]
    pub fn for_batch(self, batch: usize) -> usize {
        match self {
            Self::Batch => batch,
            Self::Fixed(extent) => extent,
        }
    }

    /// The extent if it does not depend on the batch.
    #[must_use]
    pub fn fixed(self) -> Option<usize> {
        match self {
            Self::Batch => None,
            Self::Fixed(extent) => Some(extent),
        }
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Batch => f.write_str("N"),
            Self::Fixed(extent) => write!(f, "{extent}"),
        }
    }
}

impl Graph {
    /// A graph with no node yet, whose input `input` is an f32 image `[Batch, channels, height,
    /// width]`.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        input: impl Into<String>,
        [channels, height, width]: [usize; 3],
    ) -> Self {
        let shape = [
            Dim::Batch,
            Dim::Fixed(channels),
            Dim::Fixed(height),
            Dim::Fixed(width),
        ];
        let input = Value {
            name: input.into(),
            fact: Fact::f32(shape),
        };
        Self {
            name: name.into(),
            values: vec![input],
            params: Vec::new(),
            nodes: Vec::new(),
            outputs: Vec::new(),
            producers: vec![None],
        }
    }

    /// Adds a parameter and returns its id.
    pub fn param(&mut self, name: impl Into<String>, tensor: Tensor) -> ParamId {
        self.params.push(Param {
            name: name.into(),
            tensor,
        });
        ParamId(index_u32(self.params.len() - 1))
    }

    /// Adds a node after all others and returns the values it writes, named after the node (`name`,
    /// or `name:0`, `name:1`... if there are several).
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Unsupported`] with the node's name if `op` cannot read
    /// `inputs`.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: impl Into<Vec<Operand>>,
    ) -> Result<Vec<ValueId>> {
        let (name, inputs) = (name.into(), inputs.into());
        let operands: Vec<Fact> = inputs.iter().map(|&operand| self.fact(operand)).collect();
        let quantises = matches!(op, Op::QuantizeLinear { .. } | Op::DequantizeLinear { .. });
        if let Some(i) = (operands.iter()).position(|fact| !quantises && fact.dtype != DType::F32) {
            let (op, found) = (op.onnx_name(), operands[i].dtype);
            return Err(Error::Shape {
                node: name,
                op,
                reason: format!("operand {i} is {found:?}, wanted F32"),
            });
        }
        let facts = infer(&name, &op, operands)?;
        let several = facts.len() > 1;
        let outputs: Vec<ValueId> = (index_u32(self.values.len())..)
            .take(facts.len())
            .map(ValueId)
            .collect();
        for (i, fact) in facts.into_iter().enumerate() {
            let name = if several {
                format!("{name}:{i}")
            } else {
                name.clone()
            };
            self.values.push(Value { name, fact });
            self.producers.push(Some(index_u32(self.nodes.len())));
        }
        self.nodes.push(Node {
            name,
            op,
            inputs,
            outputs: outputs.clone(),
        });
        Ok(outputs)
    }

    /// As [`Graph::push`], for the many operators that write one value.
    ///
    /// # Errors
    /// As [`Graph::push`]; also [`Error::Argument`] if `op` writes several values.
    pub fn push1(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: impl Into<Vec<Operand>>,
    ) -> Result<ValueId> {
        match self.push(name, op, inputs)?.as_slice() {
            [value] => Ok(*value),
            several => Err(Error::Argument(format!(
                "a node of one value was asked for, it writes {}",
                several.len()
            ))),
        }
    }

    /// Declares `value` as an output called `name`.
    pub fn output(&mut self, name: impl Into<String>, value: ValueId) {
        self.outputs.push(Output {
            name: name.into(),
            value,
        });
    }

    /// Removes and returns all outputs, so that a new head can declare its own.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Name of the network, for reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The one input, f32 `[Batch, channels, height, width]`.
    #[must_use]
    pub fn input(&self) -> ValueId {
        ValueId(0)
    }

    /// `[channels, height, width]` of the input.
    #[must_use]
    pub fn input_size(&self) -> [usize; 3] {
        let shape = self.values[0].fact.shape_for(1);
        [shape[1], shape[2], shape[3]]
    }

    /// Every value, the input first.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// One value.
    ///
    /// # Panics
    /// If `id` belongs to another graph.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// Renames `value`.
    pub fn rename(&mut self, value: ValueId, name: impl Into<String>) {
        self.values[value.index()].name = name.into();
    }

    /// Every parameter with its id.
    pub fn param_ids(&self) -> impl Iterator<Item = (ParamId, &Param)> {
        (0..).map(ParamId).zip(&self.params)
    }

    /// Every parameter.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The tensor of a parameter.
    ///
    /// # Panics
    /// If `id` belongs to another graph.
    #[must_use]
    pub fn tensor(&self, id: ParamId) -> &Tensor {
        &self.params[id.index()].tensor
    }

    /// Gives a parameter other elements.
    ///
    /// # Errors
    /// [`Error::Argument`] with the name of the parameter if type or shape are not those it has.
    ///
    /// # Panics
    /// If `id` belongs to another graph.
    pub fn set_tensor(&mut self, id: ParamId, tensor: Tensor) -> Result<()> {
        let param = &mut self.params[id.index()];
        let of = |tensor: &Tensor| format!("{:?} {:?}", tensor.dtype(), tensor.shape());
        let (wanted, found) = (of(&param.tensor), of(&tensor));
        if wanted != found {
            return Err(Error::Argument(format!(
                "parameter `{}` is {wanted}, found {found}",
                param.name
            )));
        }
        param.tensor = tensor;
        Ok(())
    }

    /// The nodes, in execution order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The outputs.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Element type and shape of an operand.
    #[must_use]
    pub fn fact(&self, operand: Operand) -> Fact {
        match operand {
            Operand::Value(id) => self.value(id).fact.clone(),
            Operand::Param(id) => Fact::of(self.tensor(id)),
        }
    }

    /// The tensor of an operand that is a parameter.
    #[must_use]
    pub fn constant(&self, operand: Operand) -> Option<&Tensor> {
        match operand {
            Operand::Param(id) => Some(self.tensor(id)),
            Operand::Value(_) => None,
        }
    }

    /// Node that writes `value`, as an index into [`Graph::nodes`]; none for the input.
    #[must_use]
    pub fn producer(&self, value: ValueId) -> Option<usize> {
        self.producers[value.index()].map(|node| node as usize)
    }

    /// Whether it is quantised, that is, has a `QuantizeLinear`.
    #[must_use]
    pub fn is_quantised(&self) -> bool {
        let quantises = |op: &Op| matches!(op, Op::QuantizeLinear { .. });
        self.nodes.iter().any(|node| quantises(&node.op))
    }

    /// How often each value is read: by nodes, and as an output. Indexed as [`Graph::values`].
    #[must_use]
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values.len()];
        let read = self
            .nodes
            .iter()
            .flat_map(|node| &node.inputs)
            .filter_map(|operand| match operand {
                Operand::Value(id) => Some(*id),
                Operand::Param(_) => None,
            });
        for id in read.chain(self.outputs.iter().map(|output| output.value)) {
            uses[id.index()] += 1;
        }
        uses
    }
}

/// Graphs are read from files of at most 2 GiB, so 32 bits suffice to count nodes, values and parameters.
fn index_u32(index: usize) -> u32 {
    u32::try_from(index).expect("a graph has fewer than 2^32 values and parameters")
}
