//! Parallel convolutions of one value, added up, as one convolution (Ding et al. 2021, "RepVGG").
//!
//! A branch is a `Conv`, a `Conv` and a `BatchNorm`, or a `BatchNorm` alone (a 1 x 1 depthwise convolution). All
//! branches of a sum read the same value, have the same strides and the same centre (1 x 1 without padding and
//! 3 x 3 with padding 1 have), and have no other reader. Smaller kernels are padded with zeros; weights and biases
//! are added in f64 and rounded once.

use super::affine::affine;
use super::linear::{Linear, Matrix};
use super::{Affine, Rewrite};
use crate::Result;
use crate::graph::{Binary, Conv, Graph, Node, Op, Operand, ValueId};
use crate::tensor::Tensor;

/// Merges every sum of parallel convolutions into one, named after the last node of the sum; its parameters
/// end in `.weight` and `.bias`. It is no part of [`fold`](super::fold()), because the merged network trains
/// differently.
///
/// # Errors
/// As [`fold`](super::fold()).
pub fn merge_branches(graph: &Graph) -> Result<Graph> {
    let graph = &graph.pruned()?;
    let sums = Sums {
        graph,
        uses: graph.uses(),
    };
    let mut rewrite = Rewrite::new(graph);
    for node in &graph.nodes {
        match sums.merged(node)? {
            None => rewrite.copy(node)?,
            Some((x, conv, layer)) => {
                let weight = Tensor::f32(layer.shape, Affine::rounded(&layer.weight))?;
                let bias = Tensor::f32([layer.bias.len()], Affine::rounded(&layer.bias))?;
                let x = rewrite.value(x);
                let new = &mut rewrite.new;
                let weight = new.param(format!("{}.weight", node.name), weight);
                let bias = new.param(format!("{}.bias", node.name), bias);
                let inputs = [x.into(), weight.into(), bias.into()];
                let y = new.push1(&node.name, Op::Conv(conv), inputs)?;
                new.rename(y, graph.value(node.outputs[0]).name.clone());
                rewrite.map(node.outputs[0], y);
            }
        }
    }
    // The branches have been copied before their sum was seen.
    rewrite.finish().pruned()
}

/// The most nested sums that are merged. RepVGG has two; a chain of sums would be walked from each of them.
const MAX_DEPTH: usize = 16;

/// A graph whose sums are examined.
struct Sums<'a> {
    graph: &'a Graph,
    /// How often each value is read.
    uses: Vec<usize>,
}

/// A linear function of one value.
struct Branch {
    x: ValueId,
    kind: Kind,
}

enum Kind {
    Conv(Conv, Linear),
    /// A `BatchNorm` alone.
    Channels(Affine),
}

impl Sums<'_> {
    /// The value, attributes and weights of the merged convolution, if the node is a sum of branches.
    fn merged(&self, node: &Node) -> Result<Option<(ValueId, Conv, Linear)>> {
        let mut branches = Vec::new();
        if !is_sum(node) || !self.collect(node, 1, &mut branches)? {
            return Ok(None);
        }
        Ok(merge(branches))
    }

    /// Gathers the branches of a sum; false if a term is none.
    fn collect(&self, sum: &Node, depth: usize, branches: &mut Vec<Branch>) -> Result<bool> {
        if depth > MAX_DEPTH {
            return Ok(false);
        }
        for operand in &sum.inputs {
            let Some(node) = self.only_reader(operand) else {
                return Ok(false);
            };
            if is_sum(node) {
                if !self.collect(node, depth + 1, branches)? {
                    return Ok(false);
                }
            } else if let Some(branch) = self.branch(node)? {
                branches.push(branch);
            } else {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The node that writes an operand which is read once.
    fn only_reader(&self, operand: &Operand) -> Option<&Node> {
        let &Operand::Value(id) = operand else {
            return None;
        };
        let at = self.graph.producer(id)?;
        (self.uses[id.index()] == 1).then(|| &self.graph.nodes[at])
    }

    fn branch(&self, node: &Node) -> Result<Option<Branch>> {
        if let Some((x, conv, linear)) = self.conv(node) {
            let kind = Kind::Conv(conv, linear);
            return Ok(Some(Branch { x, kind }));
        }
        let Op::BatchNorm { .. } = node.op else {
            return Ok(None);
        };
        let Some((x, step)) = affine(self.graph, node)? else {
            return Ok(None);
        };
        let before = self.only_reader(&Operand::Value(x));
        if let Some((x, conv, linear)) = before.and_then(|node| self.conv(node)) {
            let kind = Kind::Conv(conv, linear.scale_rows(&step));
            return Ok(Some(Branch { x, kind }));
        }
        let image = self.graph.value(x).fact.shape.len() == 4;
        let kind = Kind::Channels(step);
        Ok(image.then_some(Branch { x, kind }))
    }

    fn conv(&self, node: &Node) -> Option<(ValueId, Conv, Linear)> {
        match (&node.op, node.inputs.first()) {
            (Op::Conv(conv), Some(&Operand::Value(x))) => {
                Some((x, conv.clone(), Linear::of(self.graph, node)?))
            }
            _ => None,
        }
    }
}

fn is_sum(node: &Node) -> bool {
    matches!(node.op, Op::Binary(Binary::Add))
}

/// One convolution for all branches; none if they are no convolutions of the same value, or do not
/// fit each other.
fn merge(branches: Vec<Branch>) -> Option<(ValueId, Conv, Linear)> {
    let x = branches.first()?.x;
    let same = branches.iter().all(|branch| branch.x == x);
    // Layers of one channel a group are the others' diagonals: the largest kernel in the fewest
    // groups holds all.
    let (conv, shape) = (branches.iter())
        .filter_map(|branch| match &branch.kind {
            Kind::Conv(conv, linear) => Some((conv.clone(), linear.shape.clone())),
            Kind::Channels(_) => None,
        })
        .min_by_key(|(conv, shape)| (conv.groups, std::cmp::Reverse(shape[2])))?;
    let taps = branches.iter().filter_map(|branch| match &branch.kind {
        Kind::Conv(_, linear) => Some(linear.shape[2]),
        Kind::Channels(_) => None,
    });
    let kernel = taps.max()?;
    let conv = Conv {
        pads: [kernel / 2; 4],
        ..conv
    };
    let shape = vec![shape[0], shape[1], kernel, kernel];
    if !same {
        return None;
    }
    let mut merged = Linear {
        weight: vec![0.0; shape.iter().product()],
        bias: vec![0.0; shape[0]],
        matrix: Matrix::Conv {
            groups: conv.groups,
        },
        padded: kernel > 1,
        shape,
    };
    for branch in branches {
        match branch.kind {
            Kind::Conv(own, linear) => merged.add(&conv, &own, &linear)?,
            Kind::Channels(step) => {
                let channels = step.scale.len();
                let own = Conv {
                    groups: channels,
                    ..Conv::pointwise()
                };
                let linear = Linear {
                    weight: step.scale,
                    shape: vec![channels, 1, 1, 1],
                    bias: step.shift,
                    matrix: Matrix::Conv { groups: channels },
                    padded: false,
                };
                merged.add(&conv, &own, &linear)?;
            }
        }
    }
    merged.is_finite().then_some((x, conv, merged))
}

impl Linear {
    /// Adds the convolution `other`, whose attributes are `own`, to this one, whose attributes are
    /// `conv`. None if it does not fit.
    fn add(&mut self, conv: &Conv, own: &Conv, other: &Self) -> Option<()> {
        let (&[outputs, per_group, kernel, _], &[rows, columns, small, width]) =
            (self.shape.as_slice(), other.shape.as_slice())
        else {
            return None;
        };
        let centred = small == width && small % 2 == 1 && own.pads == [small / 2; 4];
        let alike = own.strides == conv.strides && own.dilations == [1; 2];
        let diagonal = columns == 1 && own.groups == rows && outputs == per_group * conv.groups;
        let fits = rows == outputs && (own.groups == conv.groups || diagonal);
        if !(centred && alike && fits && conv.dilations == [1; 2]) {
            return None;
        }
        let edge = (kernel - small) / 2;
        for (i, weight) in other.weight.iter().enumerate() {
            let (tap, at) = (i % (small * small), i / (small * small));
            let (row, column) = (at / columns, at % columns);
            let column = if own.groups == conv.groups {
                column
            } else {
                // The channel itself, counted within its group.
                row % per_group
            };
            let (y, x) = (tap / small + edge, tap % small + edge);
            self.weight[((row * per_group + column) * kernel + y) * kernel + x] += weight;
        }
        for (sum, bias) in self.bias.iter_mut().zip(&other.bias) {
            *sum += bias;
        }
        Some(())
    }
}
