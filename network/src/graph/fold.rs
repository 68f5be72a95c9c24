//! Folding of constant affine steps (`BatchNorm`, `Mul`, `Add`, `Sub`, `Div` by constants) into the layers
//! beside them, and extraction of a leading normalisation.
//!
//! Every such step is `y = scale * x + shift` for each channel. New weights are computed in f64 and rounded once.
//! Folding a folded graph changes nothing but the order of independent nodes.

mod affine;
mod branches;
mod linear;

use std::collections::HashSet;

use self::affine::{affine, keeps_channels};
use self::linear::{Linear, Matrix};
use super::rewrite::Rewrite;
use super::{Binary, Conv, Gemm, Graph, Node, Op, Operand, ParamId, ValueId};

pub use self::affine::Affine;
pub use self::branches::merge_branches;
use crate::Result;
use crate::tensor::Tensor;

/// Folds every constant affine step `y = scale * x + shift` into the first possible of
///
/// 1. the `Conv` or `Gemm` that computes x, if nothing else reads x: the rows of the weight are multiplied by
///    the scale, the bias becomes `scale * bias + shift`. Pooling means and flattening `[N, C, 1, 1]` may
///    be in between: they commute with the step;
/// 2. the `Conv` or `Gemm` that reads y, if nothing else does: the columns of the weight are multiplied, the
///    bias grows by `weight * shift`. A convolution with padding cannot take a shift, because its padding
///    is zero *after* the step;
/// 3. for a `BatchNorm`, a depthwise 1 x 1 convolution. The plain `BNNeck` of Luo et al. 2019 ends here: it
///    follows a ReLU, which a shift cannot pass. Other steps stay as they are.
///
/// # Errors
/// [`crate::Error::Unsupported`] with the node's name for a `BatchNorm` whose variance is negative or
/// whose parameters are not finite or not constant.
pub fn fold(graph: &Graph) -> Result<Graph> {
    // A reader that no output needs would prevent folding.
    let graph = &graph.pruned()?;
    let mut fold = Fold {
        uses: graph.uses(),
        pending: vec![None; graph.values.len()],
        layers: vec![None; graph.values.len()],
        shared: shared(graph),
        own: HashSet::new(),
        rewrite: Rewrite::new(graph),
    };
    for (index, node) in graph.nodes.iter().enumerate() {
        fold.node(index, node)?;
    }
    fold.rewrite.finish().pruned()
}

/// Removes sums and products with constants directly after the input. Returns the shorter network and the
/// normalisation that its input now needs, if there was any.
///
/// A `BatchNorm` there is kept: it was trained on images that were normalised before.
///
/// # Errors
/// As [`fold`].
pub fn take_normalisation(graph: &Graph) -> Result<(Graph, Option<Affine>)> {
    let uses = graph.uses();
    let mut rewrite = Rewrite::new(graph);
    let mut end = graph.input();
    let mut normalisation: Option<Affine> = None;
    for node in &graph.nodes {
        let arithmetic = matches!(node.op, Op::Binary(_));
        let step = match affine(graph, node)? {
            Some((x, step)) if arithmetic && x == end && uses[x.index()] == 1 => step,
            _ => {
                rewrite.copy(node)?;
                continue;
            }
        };
        normalisation = Some(normalisation.map_or(step.clone(), |before| before.then(&step)));
        end = node.outputs[0];
        rewrite.map(end, graph.input());
    }
    Ok((rewrite.finish(), normalisation))
}

/// A graph while its affine steps are folded.
struct Fold<'a> {
    rewrite: Rewrite<'a>,
    /// How often each old value is read.
    uses: Vec<usize>,
    /// For each old value the step that still has to be applied to the new value.
    pending: Vec<Option<Pending>>,
    /// For each old value that the loop has passed: the value from which only affine steps and nodes that
    /// keep channels lead to it, none of them read by others. None if others read it, and for the input.
    layers: Vec<Option<ValueId>>,
    /// Names of parameters that several operands share.
    shared: HashSet<String>,
    /// Parameters of the new graph that hold folded weights of one node.
    own: HashSet<ParamId>,
}

/// A step on its way to the layer that reads it.
#[derive(Debug, Clone)]
struct Pending {
    affine: Affine,
    /// The old nodes that it is made of.
    nodes: Vec<usize>,
    /// Whether it has passed a node, so that the shapes of its old constants no longer fit.
    moved: bool,
}

impl Fold<'_> {
    fn node(&mut self, index: usize, node: &Node) -> Result<()> {
        let graph = self.rewrite.old;
        let affine = affine(graph, node)?;
        let first = match node.inputs.first() {
            Some(&Operand::Value(x)) => Some(x),
            _ => None,
        };
        let passed = first.filter(|_| affine.is_none() && keeps_channels(graph, node));
        let behind = affine.as_ref().map(|(x, _)| *x).or(passed);
        for &y in &node.outputs {
            self.layers[y.index()] = match behind {
                _ if self.uses[y.index()] != 1 => None,
                Some(x) => self.layers[x.index()],
                None => Some(y),
            };
        }
        if let Some((x, affine)) = affine {
            return self.step(index, node, x, affine);
        }
        if let Some(x) = passed
            && let Some(pending) = self.pending[x.index()].take()
        {
            self.rewrite.copy(node)?;
            return self.leave(
                node.outputs[0],
                Pending {
                    moved: true,
                    ..pending
                },
            );
        }
        if let Some(x) = first
            && let Some(pending) = self.pending[x.index()].take()
        {
            if self.fold_on(node, &pending.affine)? {
                return Ok(());
            }
            self.pending[x.index()] = Some(pending);
        }
        for input in &node.inputs {
            if let Operand::Value(id) = input {
                self.settle(*id)?;
            }
        }
        self.rewrite.copy(node)
    }

    /// An affine node that reads `x`: into the layer before it, else on to the one that reads it.
    fn step(&mut self, index: usize, node: &Node, x: ValueId, affine: Affine) -> Result<()> {
        let y = node.outputs[0];
        if self.pending[x.index()].is_none() && self.fold_back(x, &affine)? {
            self.rewrite.map(y, self.rewrite.value(x));
            return Ok(());
        }
        let mut pending = Pending {
            affine,
            nodes: vec![index],
            moved: false,
        };
        // A step still pending for x has no other reader, else it would have been settled.
        if let Some(mut before) = self.pending[x.index()].take() {
            before.nodes.push(index);
            pending = Pending {
                affine: before.affine.then(&pending.affine),
                ..before
            };
        }
        self.rewrite.map(y, self.rewrite.value(x));
        self.leave(y, pending)
    }

    /// Leaves `pending` to the node that reads `y`, or settles it if there are several, or if `y` is an
    /// output.
    fn leave(&mut self, y: ValueId, pending: Pending) -> Result<()> {
        self.pending[y.index()] = Some(pending);
        let leaves = self.rewrite.old.outputs.iter().any(|o| o.value == y);
        if self.uses[y.index()] == 1 && !leaves {
            Ok(())
        } else {
            self.settle(y)
        }
    }

    /// Multiplies a step into the weights of the layer that computes the old value `x`. False if
    /// there is no such layer, something else reads what it computes, or the weights would leave
    /// the range of f32.
    fn fold_back(&mut self, x: ValueId, step: &Affine) -> Result<bool> {
        let Some(x) = self.layers[x.index()] else {
            return Ok(false);
        };
        let new = &self.rewrite.new;
        let Some(at) = new.producer(self.rewrite.value(x)) else {
            return Ok(false);
        };
        let Some(layer) = Linear::of(new, &new.nodes[at]) else {
            return Ok(false);
        };
        let layer = layer.scale_rows(step);
        if !layer.is_finite() {
            return Ok(false);
        }
        self.replace(at, layer)?;
        Ok(true)
    }

    /// Multiplies a step into the weights of `node`, which reads what it computes. False if the
    /// node is no layer, one with padding where there is a shift, or its weights would leave the
    /// range of f32.
    fn fold_on(&mut self, node: &Node, step: &Affine) -> Result<bool> {
        let Some(layer) = Linear::of(self.rewrite.old, node) else {
            return Ok(false);
        };
        if layer.padded && step.shift.iter().any(|&shift| shift != 0.0) {
            return Ok(false);
        }
        let layer = layer.scale_columns(step);
        if !layer.is_finite() {
            return Ok(false);
        }
        self.rewrite.copy(node)?;
        let at = self.rewrite.new.nodes.len() - 1;
        self.replace(at, layer)?;
        Ok(true)
    }

    /// Gives the node at `at` of the new graph the weight and bias of `layer`.
    fn replace(&mut self, at: usize, layer: Linear) -> Result<()> {
        let new = &mut self.rewrite.new;
        let bias = Tensor::f32([layer.bias.len()], Affine::rounded(&layer.bias))?;
        let weight = Tensor::f32(layer.shape, Affine::rounded(&layer.weight))?;
        let [weight, bias] =
            [(1, "weight", weight), (2, "bias", bias)].map(|(operand, suffix, tensor)| {
                match new.nodes[at].inputs.get(operand) {
                    // Folded before: nothing else reads the parameters of this node.
                    Some(&Operand::Param(id)) if self.own.contains(&id) => {
                        new.params[id.index()].tensor = tensor;
                        id
                    }
                    // A parameter that other nodes use as well keeps its name and its values.
                    Some(&Operand::Param(id))
                        if !self.shared.contains(&new.params[id.index()].name) =>
                    {
                        new.param(new.params[id.index()].name.clone(), tensor)
                    }
                    _ => new.param(format!("{}.{suffix}", new.nodes[at].name), tensor),
                }
            });
        self.own.extend([weight, bias]);
        let node = &mut new.nodes[at];
        node.inputs.truncate(1);
        node.inputs
            .extend([Operand::Param(weight), Operand::Param(bias)]);
        if let Matrix::Gemm { trans_b, .. } = layer.matrix {
            // The factors are in the weights now, and a product is a layer with a bias.
            node.op = Op::Gemm(Gemm {
                alpha: 1.0,
                beta: 1.0,
                trans_a: false,
                trans_b,
            });
        }
        Ok(())
    }

    /// Adds the pending step of an old value, if there is one, after the value.
    fn settle(&mut self, y: ValueId) -> Result<()> {
        let Some(pending) = self.pending[y.index()].take() else {
            return Ok(());
        };
        let old = self.rewrite.old;
        let first = &old.nodes[pending.nodes[0]];
        let last = &old.nodes[*pending
            .nodes
            .last()
            .expect("a step is made of at least one node")];
        let normalises = pending
            .nodes
            .iter()
            .any(|&i| matches!(old.nodes[i].op, Op::BatchNorm { .. }));
        if !normalises && pending.nodes.len() == 1 && !pending.moved {
            return self.rewrite.copy(first);
        }
        let x = self.rewrite.value(y);
        let done = if normalises && self.is_image(x) {
            self.depthwise(&first.name, x, &pending.affine)?
        } else if normalises && let Some((image, flatten)) = self.flattened_image(x) {
            // The step goes before the node that flattens, where it can be a convolution.
            let image = self.depthwise(&first.name, image, &pending.affine)?;
            let name = format!("{}/flat", first.name);
            self.rewrite.new.push1(name, flatten, [image.into()])?
        } else {
            let last = if pending.nodes.len() == 1 {
                format!("{}/shift", first.name)
            } else {
                last.name.clone()
            };
            self.multiply_add([first.name.clone(), last], x, &pending.affine)?
        };
        if done != x {
            self.rewrite.new.rename(done, old.value(y).name.clone());
        }
        self.rewrite.map(y, done);
        Ok(())
    }

    fn is_image(&self, x: ValueId) -> bool {
        self.rewrite.new.value(x).fact.shape.len() == 4
    }

    /// The image before a value that holds just its channels, and the node between them.
    fn flattened_image(&self, x: ValueId) -> Option<(ValueId, Op)> {
        let new = &self.rewrite.new;
        let node = &new.nodes[new.producer(x)?];
        match (&node.op, node.inputs.as_slice()) {
            (
                Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. },
                &[Operand::Value(image)],
            ) if keeps_channels(new, node) && self.is_image(image) => {
                Some((image, node.op.clone()))
            }
            _ => None,
        }
    }

    /// The step as a depthwise 1 x 1 convolution.
    fn depthwise(&mut self, name: &str, x: ValueId, step: &Affine) -> Result<ValueId> {
        let new = &mut self.rewrite.new;
        let channels = step.scale.len();
        let weight = Tensor::f32([channels, 1, 1, 1], Affine::rounded(&step.scale))?;
        let weight = new.param(format!("{name}.weight"), weight);
        let bias = Tensor::f32([channels], Affine::rounded(&step.shift))?;
        let bias = new.param(format!("{name}.bias"), bias);
        let conv = Conv {
            groups: channels,
            ..Conv::pointwise()
        };
        new.push1(name, Op::Conv(conv), [x.into(), weight.into(), bias.into()])
    }

    /// The step as a product and a sum with constants, without those that change nothing.
    fn multiply_add(&mut self, names: [String; 2], x: ValueId, step: &Affine) -> Result<ValueId> {
        let rank = self.rewrite.new.value(x).fact.shape.len();
        let halves = [
            (Binary::Mul, Affine::rounded(&step.scale), 1.0),
            (Binary::Add, Affine::rounded(&step.shift), 0.0),
        ];
        let mut y = x;
        for ((binary, values, neutral), name) in halves.into_iter().zip(names) {
            if values.iter().all(|&value| value == neutral) {
                continue;
            }
            let mut shape = vec![1; rank - 1];
            shape[0] = values.len();
            let constant = Tensor::f32(shape, values)?;
            let constant = self.rewrite.new.param(format!("{name}.constant"), constant);
            y = self
                .rewrite
                .new
                .push1(name, Op::Binary(binary), [y.into(), constant.into()])?;
        }
        Ok(y)
    }
}

/// Names of parameters that several operands share.
fn shared(graph: &Graph) -> HashSet<String> {
    let mut seen = HashSet::new();
    let operands = graph.nodes.iter().flat_map(|node| &node.inputs);
    let names = operands.filter_map(|operand| match operand {
        Operand::Param(id) => Some(graph.params[id.index()].name.as_str()),
        Operand::Value(_) => None,
    });
    let again = names.filter(|name| !seen.insert(*name));
    again.map(str::to_owned).collect()
}
