//! Which values of a folded float graph are quantised, and which of them share a scale.
//!
//! 1. The *head*, everything after the last pooling that no feature map reads again, stays float.
//! 2. Convolutions and matrix products with constant weights are *layers*; sums and products of two
//!    values are *sums*. Their results pass unquantised into an activation that is the only reader.
//! 3. In the fused layout a layer's result passes unquantised into the sum that is its only reader;
//!    products do in both layouts. One accumulator takes one layer or several products.
//! 4. Operators that only move elements have one scale on both sides, as have the factors of a sum
//!    of products and the values around layers that share a weight.
//! 5. Nodes whose results only float nodes read stay float.

use std::collections::BTreeSet;

use network::graph::{Binary, Dim, Graph, Node, Op, Operand, Unary, ValueId};

use super::QdqLayout;
use crate::Result;

/// What the quantiser makes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeRole {
    /// A convolution or matrix product with weights of 8 bits.
    Layer,
    /// A sum or product of two values.
    Sum,
    /// A function that ends the layer or sum before it.
    Activation,
    /// Moves elements: one scale on both sides.
    Tied,
    /// A function of bytes to bytes, or a mean, with a scale of its own.
    Own,
    /// Stays float.
    Float,
    /// Stays float, behind the last feature map.
    Head,
}

impl NodeRole {
    /// Whether the node is computed in integers.
    pub(super) fn is_integer(self) -> bool {
        !matches!(self, Self::Float | Self::Head)
    }
}

/// See the [module](self).
#[derive(Debug, Clone)]
pub(super) struct Sites {
    /// For each node.
    pub(super) roles: Vec<NodeRole>,
    /// For each value: which scale it is quantised with; none if it stays float.
    pub(super) group_of: Vec<Option<usize>>,
    /// The values of each group, in the order of the graph.
    pub(super) groups: Vec<Vec<ValueId>>,
    /// For each node that is a layer: the value that its result is quantised as, behind what it is
    /// fused with.
    pub(super) result_of: Vec<Option<ValueId>>,
    /// For each value: the nodes that read it.
    pub(super) readers: Vec<Vec<usize>>,
}

impl Sites {
    /// `keep_float` names layers and other nodes that stay float.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) if `keep_float` names a node that is not there.
    pub(super) fn of(
        graph: &Graph,
        layout: QdqLayout,
        keep_float: &BTreeSet<String>,
    ) -> Result<Self> {
        if let Some(name) =
            (keep_float.iter()).find(|name| !graph.nodes().iter().any(|node| node.name == **name))
        {
            bail!(
                "no node is called `{name}`: what is kept float is named as in the exported float network"
            );
        }
        let readers = readers(graph);
        let head = head(graph, &readers);
        let mut roles: Vec<NodeRole> = (graph.nodes().iter().zip(&head))
            .map(|(node, &head)| match head {
                true => NodeRole::Head,
                false if keep_float.contains(&node.name) => NodeRole::Float,
                false => role(graph, node),
            })
            .collect();
        let mut analysis = Analysis {
            graph,
            layout,
            alone: alone(graph, &readers),
            fused: vec![None; graph.values().len()],
        };
        for index in 0..roles.len() {
            roles[index] = analysis.fuse(index, &roles);
        }
        for index in (0..roles.len()).rev() {
            let lazy = match roles[index] {
                NodeRole::Tied | NodeRole::Own => true,
                NodeRole::Activation => analysis.fused_input(index).is_none(),
                _ => false,
            };
            let wanted = |id: &ValueId| {
                (readers[id.index()].iter()).any(|&reader| roles[reader].is_integer())
            };
            if lazy && !graph.nodes()[index].outputs.iter().any(wanted) {
                roles[index] = NodeRole::Float;
            }
        }
        Ok(analysis.group(roles, readers))
    }

    /// Whether the node, or the one it ends, is a sum.
    pub(super) fn is_behind_sum(&self, graph: &Graph, at: usize) -> bool {
        match (self.roles[at], graph.nodes()[at].inputs.first()) {
            (NodeRole::Sum, _) => true,
            (NodeRole::Activation, Some(&Operand::Value(x)))
                if self.group_of[x.index()].is_none() =>
            {
                graph
                    .producer(x)
                    .is_some_and(|at| self.is_behind_sum(graph, at))
            }
            _ => false,
        }
    }

    /// The quantised value that is added to a layer in its accumulator.
    pub(super) fn added_to(&self, graph: &Graph, layer: usize) -> Option<ValueId> {
        let y = graph.nodes()[layer].outputs[0];
        let &[reader] = self.readers[y.index()].as_slice() else {
            return None;
        };
        if self.roles[reader] != NodeRole::Sum || self.group_of[y.index()].is_some() {
            return None;
        }
        (graph.nodes()[reader].inputs.iter()).find_map(|input| match *input {
            Operand::Value(id) if id != y && self.group_of[id.index()].is_some() => Some(id),
            _ => None,
        })
    }
}

/// For each value: the nodes that read it, each as often as it does.
pub(super) fn readers(graph: &Graph) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); graph.values().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        for input in &node.inputs {
            if let Operand::Value(id) = input {
                readers[id.index()].push(index);
            }
        }
    }
    readers
}

/// For each value: the one node that reads it, if it is one and the value does not leave the
/// network.
fn alone(graph: &Graph, readers: &[Vec<usize>]) -> Vec<Option<usize>> {
    let leaves = |index: usize| (graph.outputs().iter()).any(|out| out.value.index() == index);
    (readers.iter().enumerate())
        .map(|(index, readers)| match readers.as_slice() {
            &[one] if !leaves(index) => Some(one),
            _ => None,
        })
        .collect()
}

/// For each node: whether it is part of the head.
fn head(graph: &Graph, readers: &[Vec<usize>]) -> Vec<bool> {
    let mut pooled = vec![false; graph.values().len()];
    for node in graph.nodes() {
        let values = node.inputs.iter().filter_map(|input| match input {
            Operand::Value(id) => Some(pooled[id.index()]),
            Operand::Param(_) => None,
        });
        let done = pools(graph, node) || values.clone().all(|pooled| pooled) && values.count() > 0;
        for id in &node.outputs {
            pooled[id.index()] = done;
        }
    }
    let mut head = vec![false; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate().rev() {
        head[index] = (node.outputs.iter())
            .all(|id| pooled[id.index()] && readers[id.index()].iter().all(|&r| head[r]));
    }
    head
}

/// Whether a node makes one number a channel of an image.
fn pools(graph: &Graph, node: &Node) -> bool {
    let Some(&Operand::Value(x)) = node.inputs.first() else {
        return false;
    };
    let image = |shape: &[Dim]| match *shape {
        [_, _, height, width] => [height, width] != [Dim::Fixed(1); 2],
        _ => false,
    };
    let shape = |id: ValueId| graph.value(id).fact.shape.as_slice();
    matches!(node.op, Op::GlobalAveragePool | Op::Flatten { .. })
        || image(shape(x)) && !image(shape(node.outputs[0])) && !matches!(node.op, Op::Conv(_))
}

/// What a node could be, whatever stands around it.
fn role(graph: &Graph, node: &Node) -> NodeRole {
    let both_values = node
        .inputs
        .iter()
        .all(|input| matches!(input, Operand::Value(_)));
    let constant = |at: usize| {
        let tensor = node.inputs.get(at).map(|&input| graph.constant(input));
        tensor.is_none_or(|tensor| tensor.and_then(|t| t.as_f32()).is_some())
    };
    match &node.op {
        Op::Conv(_) if constant(1) && constant(2) => NodeRole::Layer,
        // A bias of another shape than [M], or factors, are no layer's.
        Op::Gemm(gemm)
            if constant(1)
                && constant(2)
                && !gemm.trans_a
                && gemm.alpha == 1.0
                && gemm.beta == 1.0
                && node.inputs.get(2).is_none_or(|&bias| {
                    graph.fact(bias).shape.len() == 1
                        && graph.fact(bias).shape.last()
                            == graph.value(node.outputs[0]).fact.shape.last()
                }) =>
        {
            NodeRole::Layer
        }
        Op::Binary(Binary::Add | Binary::Mul) if both_values => NodeRole::Sum,
        Op::Unary(Unary::Relu | Unary::Clip { .. } | Unary::LeakyRelu { .. }) => {
            NodeRole::Activation
        }
        Op::PRelu if constant(1) => NodeRole::Activation,
        Op::Concat { .. }
        | Op::Split { .. }
        | Op::Slice { .. }
        | Op::MaxPool(_)
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Transpose { .. }
            if both_values =>
        {
            NodeRole::Tied
        }
        Op::Pad { value, .. } if *value == 0.0 => NodeRole::Tied,
        Op::Unary(Unary::Sigmoid | Unary::HardSigmoid { .. } | Unary::HardSwish | Unary::Tanh)
        | Op::AveragePool { .. }
        | Op::GlobalAveragePool => NodeRole::Own,
        _ => NodeRole::Float,
    }
}

/// What an accumulator is made of that passes on unquantised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fused {
    /// One layer.
    Layer,
    /// A product of two values, or a sum of such.
    Products,
    /// A sum that an activation ends.
    Other,
}

struct Analysis<'a> {
    graph: &'a Graph,
    layout: QdqLayout,
    /// For each value, its only reader.
    alone: Vec<Option<usize>>,
    /// For each value: what it is if it passes unquantised into its reader.
    fused: Vec<Option<Fused>>,
}

impl Analysis<'_> {
    /// Decides which inputs of a node pass unquantised into it; what the node is then.
    fn fuse(&mut self, index: usize, roles: &[NodeRole]) -> NodeRole {
        let node = &self.graph.nodes()[index];
        let made = |id: ValueId| self.graph.producer(id).map(|at| roles[at]);
        match (roles[index], node.inputs.as_slice()) {
            (NodeRole::Activation, &[Operand::Value(x), ..]) => match made(x) {
                Some(NodeRole::Layer | NodeRole::Sum) if self.alone[x.index()].is_some() => {
                    self.fused[x.index()] = Some(Fused::Other);
                    NodeRole::Activation
                }
                Some(NodeRole::Float) => NodeRole::Float,
                _ => NodeRole::Activation,
            },
            (NodeRole::Own, &[Operand::Value(x)]) if made(x) == Some(NodeRole::Float) => {
                NodeRole::Float
            }
            (NodeRole::Tied, inputs) => {
                let float = |input: &Operand| matches!(input, Operand::Value(x) if made(*x) == Some(NodeRole::Float));
                if inputs.iter().all(float) {
                    NodeRole::Float
                } else {
                    NodeRole::Tied
                }
            }
            (NodeRole::Sum, &[Operand::Value(a), Operand::Value(b)])
                if node.op == Op::Binary(Binary::Add) && a != b =>
            {
                let kinds = [a, b].map(|id| self.passes(id, roles));
                let fused = match kinds {
                    [Some(Fused::Products), Some(Fused::Products)] => [true, true],
                    [Some(_), _] => [true, false],
                    [_, Some(_)] => [false, true],
                    _ => [false, false],
                };
                for ((id, kind), fused) in [a, b].into_iter().zip(kinds).zip(fused) {
                    if fused {
                        self.fused[id.index()] = kind;
                    }
                }
                NodeRole::Sum
            }
            (role, _) => role,
        }
    }

    /// What a value is that may pass unquantised into the sum that reads it.
    fn passes(&self, id: ValueId, roles: &[NodeRole]) -> Option<Fused> {
        self.alone[id.index()]?;
        let at = self.graph.producer(id)?;
        let node = &self.graph.nodes()[at];
        match (roles[at], &node.op) {
            (NodeRole::Layer, _) if self.layout == QdqLayout::Fused => Some(Fused::Layer),
            (NodeRole::Sum, Op::Binary(Binary::Mul)) => Some(Fused::Products),
            (NodeRole::Sum, _) => {
                let products = |input: &Operand| matches!(input, Operand::Value(x) if self.fused[x.index()] == Some(Fused::Products));
                (node.inputs.iter().all(products)).then_some(Fused::Products)
            }
            _ => None,
        }
    }

    fn fused_input(&self, index: usize) -> Option<ValueId> {
        match self.graph.nodes()[index].inputs.first() {
            Some(&Operand::Value(x)) if self.fused[x.index()].is_some() => Some(x),
            _ => None,
        }
    }

    fn group(self, roles: Vec<NodeRole>, readers: Vec<Vec<usize>>) -> Sites {
        let graph = self.graph;
        let mut ties = Ties((0..graph.values().len()).collect());
        // Whose result passes on is quantised as what becomes of it.
        let result = |id: ValueId| {
            let mut id = id;
            while self.fused[id.index()].is_some() {
                let reader = self.alone[id.index()].expect("only what one node reads is fused");
                id = graph.nodes()[reader].outputs[0];
            }
            id
        };
        let mut by_weight = std::collections::HashMap::new();
        let mut result_of = vec![None; roles.len()];
        for (index, node) in graph.nodes().iter().enumerate() {
            match (roles[index], node.inputs.as_slice()) {
                (NodeRole::Tied, inputs) => {
                    let inputs = inputs.iter().filter_map(|input| match input {
                        Operand::Value(id) => Some(*id),
                        Operand::Param(_) => None,
                    });
                    for id in inputs.chain(node.outputs[1..].iter().copied()) {
                        ties.join(node.outputs[0], id);
                    }
                }
                (NodeRole::Layer, &[Operand::Value(x), Operand::Param(weight), ..]) => {
                    let y = result(node.outputs[0]);
                    result_of[index] = Some(y);
                    let (x0, y0) = *by_weight.entry(weight).or_insert((x, y));
                    ties.join(x0, x);
                    ties.join(y0, y);
                }
                (NodeRole::Sum, &[Operand::Value(a), Operand::Value(b)])
                    if node.op == Op::Binary(Binary::Add) =>
                {
                    let products = [a, b].map(|id| self.fused[id.index()] == Some(Fused::Products));
                    if products == [true, true] {
                        let factors: Vec<_> = [a, b].map(|id| self.first_factors(id)).into();
                        for (&left, &right) in factors[0].iter().zip(&factors[1]) {
                            ties.join(left, right);
                        }
                    }
                }
                _ => {}
            }
        }
        let mut group_of = vec![None; graph.values().len()];
        let mut groups: Vec<Vec<ValueId>> = Vec::new();
        let mut of_root = std::collections::HashMap::new();
        let produced = (graph.nodes().iter().zip(&roles))
            .flat_map(|(node, role)| node.outputs.iter().map(move |&id| (id, Some(*role))));
        for (id, role) in [(graph.input(), None)].into_iter().chain(produced) {
            let read = readers[id.index()].iter().any(|&r| roles[r].is_integer());
            let quantised = match role {
                _ if self.fused[id.index()].is_some() => false,
                Some(NodeRole::Head) => false,
                Some(role) if role.is_integer() => {
                    !readers[id.index()].is_empty()
                        || graph.outputs().iter().any(|out| out.value == id)
                }
                _ => read,
            };
            if quantised {
                let group = *of_root.entry(ties.root(id.index())).or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() - 1
                });
                groups[group].push(id);
                group_of[id.index()] = Some(group);
            }
        }
        Sites {
            roles,
            group_of,
            groups,
            result_of,
            readers,
        }
    }

    /// The factors of one product of a sum: the image, then what weighs it. Those of the others are
    /// tied to them already.
    fn first_factors(&self, sum: ValueId) -> [ValueId; 2] {
        let mut id = sum;
        loop {
            let at = self.graph.producer(id).expect("a product is computed");
            let node = &self.graph.nodes()[at];
            let &[Operand::Value(a), Operand::Value(b)] = node.inputs.as_slice() else {
                unreachable!("a sum has two values");
            };
            if node.op == Op::Binary(Binary::Mul) {
                let pixels = |id: ValueId| -> usize {
                    self.graph.value(id).fact.shape_for(1).iter().product()
                };
                return if pixels(a) < pixels(b) {
                    [b, a]
                } else {
                    [a, b]
                };
            }
            id = a;
        }
    }
}

/// Which values share a scale: a forest, each with the first of its group as root.
struct Ties(Vec<usize>);

impl Ties {
    fn root(&self, mut at: usize) -> usize {
        while self.0[at] != at {
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a.index()), self.root(b.index()));
        self.0[a.max(b)] = a.min(b);
    }
}
