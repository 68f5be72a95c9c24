//! The language of networks: a [`Graph`] of [`Node`]s over [`Param`]s, and the passes that rewrite
//! it.
//!
//! A graph is the only description of a network in this project. The trainer interprets it, the
//! exporter folds and quantises it, the device plans and runs it. It has one image input `[Batch,
//! channels, height, width]`, a list of nodes in execution order (a node only reads what an earlier
//! one has written), and named outputs. Shapes are known for every value, up to the size of the
//! batch, which stays symbolic ([`Dim::Batch`]).
//!
//! Only what a network computes is in here. What a file format adds (identity nodes, inference-time
//! dropout, constants, arithmetic on shapes) is resolved by [`crate::onnx`] when it reads.

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
    /// As many as there are crops in the batch; known when the network runs.
    Batch,
    /// Always this many.
    Fixed(usize),
}

/// What is known of a value before it is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Element type.
    pub dtype: DType,
    /// Extent of each dimension, outermost first.
    pub shape: Vec<Dim>,
}

/// Names a value (the input, or what a node computes) within one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(u32);

/// Names a parameter within one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParamId(u32);

/// What a node reads: something computed, or a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    /// The input of the graph or the output of an earlier node.
    Value(ValueId),
    /// A parameter; several nodes may use the same one.
    Param(ParamId),
}

/// A tensor that the network carries: a weight, a bias, a statistic, a constant.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Unique name, as in the file or the checkpoint, for example `layer1.0.conv1.weight`.
    pub name: String,
    /// The elements.
    pub tensor: Tensor,
}

/// A value's name and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Name, as in the file.
    pub name: String,
    /// Element type and shape.
    pub fact: Fact,
}

/// One step of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique name, used in every message about the node.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// What it reads, in the order that [`Op`] documents. Optional operands stand last and may be
    /// missing.
    pub inputs: Vec<Operand>,
    /// What it writes.
    pub outputs: Vec<ValueId>,
}

/// A value that leaves the network, and the name it goes by, for example `embedding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Name, as in the file.
    pub name: String,
    /// The value.
    pub value: ValueId,
}

/// A network. See the [module](self) for what holds of every graph.
///
/// # Example
/// ```
/// use network::graph::{Graph, Op, Unary};
/// use network::reference;
/// use network::tensor::Tensor;
///
/// # fn main() -> network::Result<()> {
/// let mut graph = Graph::new("example", "image", [1, 1, 2]);
/// let input = graph.input();
/// let output = graph.push1("relu", Op::Unary(Unary::Relu), [input.into()])?;
/// graph.output("y", output);
///
/// let image = Tensor::f32([1, 1, 1, 2], [-1.0, 2.0])?;
/// let results = reference::run(&graph, &image)?;
/// assert_eq!(results[0].as_f32(), Some(&[0.0, 2.0][..]));
/// # Ok(())
/// # }
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

    /// Declares that `value` leaves the network as `name`.
    pub fn output(&mut self, name: impl Into<String>, value: ValueId) {
        self.outputs.push(Output {
            name: name.into(),
            value,
        });
    }

    /// Forgets what leaves the network, and gives it: who adds a head declares new outputs.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Name of the network, for people.
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

    /// Gives `value` the name it has in a file.
    pub fn rename(&mut self, value: ValueId, name: impl Into<String>) {
        self.values[value.index()].name = name.into();
    }

    /// Every parameter, with the id that nodes name it by.
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

    /// What leaves the network.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// What is known of an operand.
    #[must_use]
    pub fn fact(&self, operand: Operand) -> Fact {
        match operand {
            Operand::Value(id) => self.value(id).fact.clone(),
            Operand::Param(id) => Fact::of(self.tensor(id)),
        }
    }

    /// The tensor behind an operand that is a parameter.
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

    /// Whether it computes in integers: it has a `QuantizeLinear`.
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

/// Graphs are read from files of at most 2 GiB: their nodes and values can always be counted in 32
/// bits. So can nodes: each writes a value.
fn index_u32(index: usize) -> u32 {
    u32::try_from(index).expect("a graph has fewer than 2^32 values and parameters")
}
