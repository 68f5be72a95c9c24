//! Nodes that may become one exact step, once a `QuantizeLinear` gives the quantisation parameters.

use std::rc::Rc;

use super::{Lowering, size_of};
use crate::plan::derive::conv::Filters;
use crate::plan::derive::windows::Windows;
use crate::plan::derive::{Activation, sum, table, windows};
use crate::plan::{AverageStep, ConvOutput, ConvStep, FloatOperand, StepKind, TensorId};
use network::Result;
use network::graph::{Binary, Conv, Dim, Node, Op, Operand, Pool, Reduce, Unary, ValueId};
use network::quant::QuantParams;
use network::tensor::Tensor;

/// The most tensors that one sum adds, and functions that one table holds.
const MOST: usize = 16;

/// How a value is computed from quantised tensors: one sum over them and one activation.
#[derive(Debug, Clone)]
pub(super) struct Formula {
    /// The nodes that compute it, in execution order: the float steps if no exact step is possible.
    nodes: Vec<usize>,
    body: Body,
    activation: Activation,
}

#[derive(Debug, Clone)]
enum Body {
    Conv {
        layer: Rc<Layer>,
        residual: Option<TensorId>,
    },
    Sum {
        products: Vec<[TensorId; 2]>,
        terms: Vec<TensorId>,
    },
    /// Mean of windows, or of all pixels.
    Average {
        input: TensorId,
        windows: Option<(Pool, bool)>,
    },
    Function {
        input: TensorId,
        functions: Vec<Unary>,
    },
}

/// A convolution, or a matrix product as one of one pixel.
#[derive(Debug)]
struct Layer {
    /// Index of its node.
    node: usize,
    input: TensorId,
    windows: Conv,
    kernel: [usize; 2],
    filters: Filters,
}

impl Formula {
    fn new(body: Body) -> Self {
        Self {
            nodes: Vec::new(),
            body,
            activation: Activation::NONE,
        }
    }

    /// The tensor itself: a sum of one.
    fn tensor(tensor: TensorId) -> Self {
        Self::new(Body::Sum {
            products: Vec::new(),
            terms: vec![tensor],
        })
    }

    /// The sum of this and `other`; none if it is not one step.
    fn plus(mut self, other: Self) -> Option<Self> {
        if self.activation != Activation::NONE || other.activation != Activation::NONE {
            return None;
        }
        self.nodes.extend(other.nodes);
        self.nodes.sort_unstable();
        self.body = match (self.body, other.body) {
            (
                Body::Sum {
                    mut products,
                    mut terms,
                },
                Body::Sum {
                    products: more_products,
                    terms: more_terms,
                },
            ) => {
                products.extend(more_products);
                terms.extend(more_terms);
                if products.len() + terms.len() > MOST {
                    return None;
                }
                Body::Sum { products, terms }
            }
            (
                Body::Conv {
                    layer,
                    residual: None,
                },
                Body::Sum { products, terms },
            )
            | (
                Body::Sum { products, terms },
                Body::Conv {
                    layer,
                    residual: None,
                },
            ) => match (products.as_slice(), terms.as_slice()) {
                ([], &[residual]) => Body::Conv {
                    layer,
                    residual: Some(residual),
                },
                _ => return None,
            },
            _ => return None,
        };
        Some(self)
    }

    /// The formula followed by one more function; none if it is not one step.
    fn then(mut self, function: Unary) -> Option<Self> {
        if let Body::Function { functions, .. } = &mut self.body {
            functions.push(function);
            return (functions.len() <= MOST).then_some(self);
        }
        let activation = &mut self.activation;
        let (low, high) = match function {
            Unary::Relu => (0.0, f64::INFINITY),
            Unary::Clip { min, max } => (f64::from(min), f64::from(max)),
            Unary::LeakyRelu { alpha } if *activation == Activation::NONE => {
                activation.slope = Some(vec![alpha]);
                return Some(self);
            }
            _ => return None,
        };
        activation.lo = activation.lo.max(low).min(high);
        activation.hi = activation.hi.max(low).min(high);
        Some(self)
    }
}

impl Lowering<'_> {
    /// The formula of a node over quantised tensors and formulas; none if it has none. Formulas that it
    /// reads become part of it.
    pub(super) fn formula(&mut self, index: usize) -> Option<Formula> {
        let graph = self.graph;
        let node = &graph.nodes()[index];
        let mut formula = match &node.op {
            Op::Conv(_) => self.conv(index),
            Op::Gemm(gemm) if gemm.alpha == 1.0 && gemm.beta == 1.0 && !gemm.trans_a => {
                self.conv(index)
            }
            Op::Binary(Binary::Add) => self.add(node),
            Op::Binary(Binary::Mul) => self.product(node),
            Op::Unary(function) => self.unary(node, *function),
            Op::PRelu => self.prelu(node),
            Op::AveragePool {
                pool,
                count_include_pad,
            } => self.average(node, Some((pool.clone(), *count_include_pad))),
            Op::GlobalAveragePool => self.average(node, None),
            Op::Reduce {
                kind: Reduce::Mean,
                axes,
                ..
            } if axes == &[2, 3] => self.average(node, None),
            _ => None,
        }?;
        formula.nodes.push(index);
        for operand in &node.inputs {
            if let Operand::Value(value) = operand {
                self.known[value.index()].pending = None;
            }
        }
        Some(formula)
    }

    /// What a node reads, as a formula.
    fn operand(&mut self, node: &Node, index: usize) -> Option<Formula> {
        let Operand::Value(value) = node.inputs[index] else {
            return None;
        };
        match &self.known[value.index()].pending {
            Some(formula) => Some(formula.clone()),
            None => Some(Formula::tensor(self.image(value)?.0)),
        }
    }

    /// What a node reads, if that is a quantised tensor.
    fn quantised_operand(&mut self, node: &Node, index: usize) -> Option<TensorId> {
        match node.inputs[index] {
            Operand::Value(value) => self.image(value).map(|(tensor, _)| tensor),
            Operand::Param(_) => None,
        }
    }

    fn conv(&mut self, index: usize) -> Option<Formula> {
        let node = &self.graph.nodes()[index];
        let input = self.quantised_operand(node, 0)?;
        let (filters, kernel) = self.filters(node)?;
        let windows = match &node.op {
            Op::Conv(conv) => conv.clone(),
            _ => Conv::pointwise(),
        };
        let layer = Rc::new(Layer {
            node: index,
            input,
            windows,
            kernel,
            filters,
        });
        Some(Formula::new(Body::Conv {
            layer,
            residual: None,
        }))
    }

    fn add(&mut self, node: &Node) -> Option<Formula> {
        let size = size_of(&self.graph.value(node.outputs[0]).fact)?;
        let whole = |&operand: &Operand| size_of(&self.graph.fact(operand)) == Some(size);
        if !node.inputs.iter().all(whole) {
            return None;
        }
        let (a, b) = (self.operand(node, 0)?, self.operand(node, 1)?);
        a.plus(b)
    }

    /// A tensor and its gate, which is of one pixel or of the size of the tensor.
    fn product(&mut self, node: &Node) -> Option<Formula> {
        let size = size_of(&self.graph.value(node.outputs[0]).fact)?;
        let (a, b) = (
            self.quantised_operand(node, 0)?,
            self.quantised_operand(node, 1)?,
        );
        let [a_size, b_size] = [a, b].map(|tensor| self.size(tensor));
        let gates = |gate: [usize; 3]| gate == size || gate == [1, 1, size[2]];
        let product = if a_size == size && gates(b_size) {
            [a, b]
        } else if b_size == size && gates(a_size) {
            [b, a]
        } else {
            return None;
        };
        Some(Formula::new(Body::Sum {
            products: vec![product],
            terms: Vec::new(),
        }))
    }

    fn unary(&mut self, node: &Node, function: Unary) -> Option<Formula> {
        if let Some(input) = self.quantised_operand(node, 0) {
            return Some(Formula::new(Body::Function {
                input,
                functions: vec![function],
            }));
        }
        self.operand(node, 0)?.then(function)
    }

    fn prelu(&mut self, node: &Node) -> Option<Formula> {
        if !self.is_constant(node.inputs[1]) {
            return None;
        }
        let slope = self.constant(node.inputs[1]).ok()?;
        let slope = per_channel(&slope, &self.graph.fact(node.inputs[0]).shape)?;
        let mut formula = self.operand(node, 0)?;
        let sums = matches!(formula.body, Body::Conv { .. } | Body::Sum { .. });
        if !sums || formula.activation != Activation::NONE {
            return None;
        }
        formula.activation.slope = Some(slope);
        Some(formula)
    }

    fn average(&mut self, node: &Node, windows: Option<(Pool, bool)>) -> Option<Formula> {
        let input = self.quantised_operand(node, 0)?;
        Some(Formula::new(Body::Average { input, windows }))
    }

    /// Adds the step that computes a formula with the quantisation parameters `params`, and returns its
    /// tensor; none if there is no such step.
    pub(super) fn exact(
        &mut self,
        formula: &Formula,
        value: ValueId,
        params: QuantParams,
    ) -> Option<TensorId> {
        let activation = &formula.activation;
        let (kind, inputs) = match &formula.body {
            Body::Conv { layer, residual } => {
                let x = self.params_of(layer.input);
                let r = residual.map(|residual| self.params_of(residual));
                let integers = layer.filters.quantised(x, r, activation, params)?;
                let conv = ConvStep {
                    windows: layer.windows.clone(),
                    kernel: layer.kernel,
                    weight: integers.weight,
                    bias: integers.bias,
                    residual: integers.residual,
                    output: ConvOutput::Quantised(integers.requantise),
                };
                let inputs = std::iter::once(layer.input).chain(*residual);
                (StepKind::Conv(conv), inputs.collect())
            }
            Body::Sum { products, terms } => self.exact_sum(products, terms, activation, params)?,
            Body::Average { input, windows } => {
                let ([height, width, _], x) = (self.size(*input), self.params_of(*input));
                let size = size_of(&self.graph.value(value).fact)?;
                let [rows, columns] =
                    [(0, height), (1, width)].map(|(axis, extent)| match windows {
                        Some((pool, pads_count)) => {
                            Windows::of(pool, axis, extent, size[axis], *pads_count)
                        }
                        None => Windows::whole(extent),
                    });
                let (scale, clamp) = windows::average(&rows, &columns, x, activation, params)?;
                let average = AverageStep {
                    rows: rows.windows,
                    columns: columns.windows,
                    scale,
                    clamp,
                };
                (StepKind::Average(average), vec![*input])
            }
            Body::Function { input, functions } => {
                let table = table::table(self.params_of(*input), functions, params);
                (StepKind::Table(table), vec![*input])
            }
        };
        let out = self.quantised_tensor(value, params);
        let name = match &formula.body {
            Body::Conv { layer, .. } => layer.node,
            _ => *formula.nodes.last()?,
        };
        let name = &self.graph.nodes()[name].name;
        self.step(name, kind, inputs, [out]);
        Some(out)
    }

    fn exact_sum(
        &self,
        products: &[[TensorId; 2]],
        terms: &[TensorId],
        activation: &Activation,
        params: QuantParams,
    ) -> Option<(StepKind, Vec<TensorId>)> {
        let mut pairs = (products.iter()).map(|pair| pair.map(|id| self.params_of(id)));
        let first = pairs.next();
        if pairs.any(|pair| Some(pair) != first) {
            return None;
        }
        let gated = first.map(|[x, gate]| (products.len(), x, gate));
        let inputs: Vec<TensorId> = products.iter().flatten().chain(terms).copied().collect();
        let [_, _, channels] = self.size(*inputs.first()?);
        let terms: Vec<QuantParams> = terms.iter().map(|&id| self.params_of(id)).collect();
        let sum = sum::sum(gated, &terms, channels, activation, params)?;
        Some((StepKind::Sum(sum), inputs))
    }

    /// Computes a formula in f32: node by node, except that a convolution and a mean of all pixels read
    /// integers where they can.
    pub(super) fn compute(&mut self, formula: &Formula) -> Result<()> {
        let graph = self.graph;
        for &index in &formula.nodes {
            let node = &graph.nodes()[index];
            let done = match &formula.body {
                Body::Conv { layer, .. } if layer.node == index => self.float_conv(layer)?,
                Body::Average {
                    input,
                    windows: None,
                } if formula.nodes[0] == index => self.mean(node, *input)?,
                _ => false,
            };
            if !done {
                self.float_step(index)?;
            }
        }
        Ok(())
    }

    fn float_conv(&mut self, layer: &Layer) -> Result<bool> {
        let x = self.params_of(layer.input);
        let Some((weight, bias, scale)) = layer.filters.float(x) else {
            return Ok(false);
        };
        let node = &self.graph.nodes()[layer.node];
        let value = node.outputs[0];
        let out = self.float_tensor(value)?;
        let conv = ConvStep {
            windows: layer.windows.clone(),
            kernel: layer.kernel,
            weight,
            bias,
            residual: None,
            output: ConvOutput::Float { scale },
        };
        self.step(&node.name, StepKind::Conv(conv), [layer.input], [out]);
        self.known[value.index()].float = Some(FloatOperand::Tensor(out));
        Ok(true)
    }
}

/// A slope that is one number for each channel of a value of `shape`, or one for all.
fn per_channel(slope: &Tensor, shape: &[Dim]) -> Option<Vec<f32>> {
    let channels = shape.get(1)?.fixed()?;
    let offset = shape.len().checked_sub(slope.shape().len())?;
    let mut extents = slope.shape().iter().enumerate();
    if extents.any(|(i, &extent)| extent != 1 && i + offset != 1) {
        return None;
    }
    let slope = slope.as_f32()?;
    matches!(slope.len(), len if len == 1 || len == channels).then(|| slope.to_vec())
}
