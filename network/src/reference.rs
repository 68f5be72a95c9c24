//! Reference executor: every operator in plain, slow Rust, which faster executors are compared with.
//!
//! In: an operator and concrete tensors ([`eval`]), or a graph and a batch of images ([`run`]). Out: tensors.
//! A float result is computed in f64 and rounded to f32 once; the two quantisation operators follow
//! ONNX's f32 steps and are exact. A NaN passes through every float operator. Shapes are checked by
//! [`graph::infer`] before anything is allocated: tensors may come from files.

mod conv;
mod elementwise;
mod layout;
mod matrix;
mod norm;
mod pool;
mod quantize;
mod reduce;

use std::borrow::Cow;

use crate::graph::{self, Dim, Fact, Graph, Node, Op, Operand, ValueId};
use crate::tensor::{DType, Data, Tensor};
use crate::{Error, Result};
pub use elementwise::apply;
pub(crate) use layout::strides_of;
pub use layout::{Walk, broadcast};
pub use pool::Windows;

/// What `op` computes from `inputs`, which stand in the order that [`Op`] documents; optional ones may be
/// missing. `node` is the name used in errors. Time is not limited: it grows with the operator.
///
/// # Errors
/// [`Error::Shape`] if the number, the types, the shapes or the attributes do not fit
/// together, or if `op` has a [`Dim::Batch`]: [`run`] alone knows the batch. [`Error::Limit`] if a result is too large.
pub fn eval(node: &str, op: &Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    eval_for(None, node, op, inputs)
}

/// What `graph` computes from `input`, f32 `[N, C, H, W]`: one tensor for each of [`Graph::outputs`], in
/// their order.
///
/// # Errors
/// As [`run_with`].
pub fn run(graph: &Graph, input: &Tensor) -> Result<Vec<Tensor>> {
    run_with(graph, input, |_, _| ())
}

/// As [`run`]; `observe` gets every value: the input first, then what the nodes write, in execution
/// order. A value is freed after its last reader.
///
/// # Errors
/// [`Error::Shape`] if `input` is not what the graph reads, or a node does not compute the
/// shape that the graph declares; else as [`eval`].
pub fn run_with(
    graph: &Graph,
    input: &Tensor,
    observe: impl FnMut(ValueId, &Tensor),
) -> Result<Vec<Tensor>> {
    let eval = |_, node: &Node, batch, inputs: &[&Tensor]| {
        let outputs = eval_for(Some(batch), &node.name, &node.op, inputs)?;
        Ok(outputs.into_iter().map(Cow::Owned).collect())
    };
    walk(graph, input, eval, observe)
}

/// The loop of [`run_with`] for any executor: `eval` gets the index of a node, the node, the size of the
/// batch and the node's operands.
///
/// # Errors
/// As [`run_with`].
pub fn walk<'a>(
    graph: &'a Graph,
    input: &'a Tensor,
    mut eval: impl FnMut(usize, &Node, usize, &[&Tensor]) -> Result<Vec<Cow<'a, Tensor>>>,
    mut observe: impl FnMut(ValueId, &Tensor),
) -> Result<Vec<Tensor>> {
    let batch = batch_of(graph, input)?;
    let mut uses = graph.uses();
    let mut values: Vec<Option<Cow<'_, Tensor>>> = vec![None; graph.values().len()];
    observe(graph.input(), input);
    values[graph.input().index()] = Some(Cow::Borrowed(input));

    for (index, node) in graph.nodes().iter().enumerate() {
        let inputs = operands(graph, node, &values)?;
        let outputs = eval(index, node, batch, &inputs)?;
        check_declared(graph, node, batch, &outputs)?;
        for (&id, tensor) in node.outputs.iter().zip(outputs) {
            observe(id, &tensor);
            values[id.index()] = Some(tensor).filter(|_| uses[id.index()] > 0);
        }
        for operand in &node.inputs {
            if let Operand::Value(id) = operand {
                uses[id.index()] -= 1;
                if uses[id.index()] == 0 {
                    values[id.index()] = None;
                }
            }
        }
    }

    graph
        .outputs()
        .iter()
        .map(|output| {
            let value = values[output.value.index()].clone().ok_or_else(|| {
                Error::Argument(format!("nothing computes the output `{}`", output.name))
            })?;
            Ok(value.into_owned())
        })
        .collect()
}

/// Size of the batch of `input`, whose other extents are those that the graph declares.
fn batch_of(graph: &Graph, input: &Tensor) -> Result<usize> {
    let [channels, height, width] = graph.input_size();
    match *input.shape() {
        [n, c, h, w] if [c, h, w] == [channels, height, width] && input.dtype() == DType::F32 => {
            Ok(n)
        }
        ref found => Err(Error::Shape {
            node: graph.value(graph.input()).name.clone(),
            op: "input",
            reason: format!(
                "wants F32 [N, {channels}, {height}, {width}], found {:?} {found:?}",
                input.dtype()
            ),
        }),
    }
}

fn operands<'a>(
    graph: &'a Graph,
    node: &Node,
    values: &'a [Option<Cow<'_, Tensor>>],
) -> Result<Vec<&'a Tensor>> {
    let operand = |operand: &Operand| match *operand {
        Operand::Param(id) => Ok(graph.tensor(id)),
        Operand::Value(id) => values[id.index()].as_deref().ok_or_else(|| Error::Shape {
            node: node.name.clone(),
            op: node.op.onnx_name(),
            reason: format!(
                "reads `{}`, which no earlier node writes",
                graph.value(id).name
            ),
        }),
    };
    node.inputs.iter().map(operand).collect()
}

/// Compares what was computed with what shape inference declared: plans are made from the latter.
fn check_declared(
    graph: &Graph,
    node: &Node,
    batch: usize,
    outputs: &[Cow<'_, Tensor>],
) -> Result<()> {
    let found: Vec<_> = outputs
        .iter()
        .map(|tensor| (tensor.dtype(), tensor.shape().to_vec()))
        .collect();
    let declared: Vec<_> = (node.outputs.iter())
        .map(|&id| &graph.value(id).fact)
        .map(|fact| (fact.dtype, fact.shape_for(batch)))
        .collect();
    if found == declared {
        return Ok(());
    }
    Err(Error::Shape {
        node: node.name.clone(),
        op: node.op.onnx_name(),
        reason: format!("the graph declares {declared:?}, computed {found:?}"),
    })
}

/// Element types and shapes of what `op` writes for these tensors, where a [`Dim::Batch`] of its attributes
/// stands for `batch`.
///
/// # Errors
/// As [`eval`].
pub fn infer(batch: Option<usize>, node: &str, op: &Op, inputs: &[&Tensor]) -> Result<Vec<Fact>> {
    let facts = inputs.iter().map(|tensor| Fact::of(tensor)).collect();
    let concrete = |shape: &[Dim]| {
        let extent = |dim: &Dim| dim.fixed().or(batch).map(Dim::Fixed);
        let shape = shape.iter().map(extent).collect::<Option<Vec<Dim>>>();
        shape.ok_or_else(|| Error::Shape {
            node: node.to_owned(),
            op: op.onnx_name(),
            reason: "its shape depends on the batch, which is not known here".to_owned(),
        })
    };
    match op {
        Op::Reshape { shape } => {
            let shape = concrete(shape)?;
            graph::infer(node, &Op::Reshape { shape }, facts)
        }
        Op::Expand { shape } => {
            let shape = concrete(shape)?;
            graph::infer(node, &Op::Expand { shape }, facts)
        }
        op => graph::infer(node, op, facts),
    }
}

/// [`eval`] where a [`Dim::Batch`] stands for `batch`, if that is known.
///
/// # Errors
/// As [`eval`].
pub fn eval_for(
    batch: Option<usize>,
    node: &str,
    op: &Op,
    inputs: &[&Tensor],
) -> Result<Vec<Tensor>> {
    let facts = infer(batch, node, op, inputs)?;
    let shapes: Vec<Vec<usize>> = facts.iter().map(|fact| fact.shape_for(0)).collect();
    if shapes.iter().all(|shape| shape.contains(&0)) {
        let empty = |(fact, shape): (&Fact, Vec<usize>)| Tensor::new(shape, empty(fact.dtype));
        return facts.iter().zip(shapes).map(empty).collect();
    }
    if let Op::Split { axis, sizes } = op {
        let parts = layout::split(inputs[0], *axis, sizes);
        let tensors = parts.zip(shapes);
        return tensors
            .map(|(data, shape)| Tensor::new(shape, data))
            .collect();
    }
    let shape = shapes
        .into_iter()
        .next()
        .expect("all others write one value");
    let call = &Call {
        inputs,
        shape: &shape,
    };
    let data = match op {
        Op::Conv(conv) => Data::F32(conv::conv(call, conv)),
        Op::BatchNorm { epsilon } => Data::F32(norm::batch(call, *epsilon)),
        Op::InstanceNorm { epsilon } => Data::F32(norm::instance(call, *epsilon)),
        Op::Unary(unary) => Data::F32(elementwise::unary(call, *unary)),
        Op::PRelu => Data::F32(elementwise::prelu(call)),
        Op::Binary(binary) => {
            elementwise::binary(call, *binary).map_err(|reason| Error::Shape {
                node: node.to_owned(),
                op: op.onnx_name(),
                reason,
            })?
        }
        Op::Concat { axis } => layout::concat(call, *axis),
        Op::Split { .. } => unreachable!("handled above"),
        Op::Slice {
            axis, start, step, ..
        } => layout::slice(inputs[0], &shape, *axis, *start, *step),
        Op::Pad { pads, value } => Data::F32(layout::pad(call, pads, *value)),
        Op::MaxPool(windows) => Data::F32(pool::max(call, windows)),
        Op::AveragePool {
            pool,
            count_include_pad,
        } => Data::F32(pool::average(call, pool, *count_include_pad)),
        Op::GlobalAveragePool => Data::F32(reduce::reduce(call, graph::Reduce::Mean, &[2, 3])),
        Op::Reduce { kind, axes, .. } => Data::F32(reduce::reduce(call, *kind, axes)),
        Op::LpNormalization { axis, p } => Data::F32(norm::lp(call, *axis, *p)),
        Op::Gemm(gemm) => Data::F32(matrix::gemm(call, gemm)),
        Op::MatMul => Data::F32(matrix::matmul(call)),
        Op::Flatten { .. } | Op::Reshape { .. } | Op::Squeeze { .. } | Op::Unsqueeze { .. } => {
            inputs[0].data().clone()
        }
        Op::Transpose { perm } => layout::transpose(call, perm),
        Op::Expand { .. } => layout::expand(call),
        Op::Softmax { axis } => Data::F32(norm::softmax(call, *axis)),
        Op::QuantizeLinear { axis } => quantize::quantize(call, *axis),
        Op::DequantizeLinear { axis } => Data::F32(quantize::dequantize(call, *axis)),
    };
    Ok(vec![Tensor::new(shape, data)?])
}

/// No elements.
fn empty(dtype: DType) -> Data {
    match dtype {
        DType::F32 => Data::F32(Vec::new()),
        DType::I64 => Data::I64(Vec::new()),
        DType::I32 => Data::I32(Vec::new()),
        DType::I8 => Data::I8(Vec::new()),
        DType::U8 => Data::U8(Vec::new()),
    }
}

/// The operands of an operator that shape inference has accepted, and the shape of its result, which has
/// at least one element.
struct Call<'a> {
    inputs: &'a [&'a Tensor],
    shape: &'a [usize],
}

impl<'a> Call<'a> {
    /// The elements of an f32 operand.
    fn f32(&self, index: usize) -> &'a [f32] {
        let elements = self.inputs[index].as_f32();
        elements.expect("shape inference has checked the element type")
    }

    /// The extents of an operand of `RANK` dimensions.
    fn extents<const RANK: usize>(&self, index: usize) -> [usize; RANK] {
        let extents = self.inputs[index].shape().try_into();
        extents.expect("shape inference has checked the number of dimensions")
    }

    /// Number of elements of the result.
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Binary, Reduce, Unary};
    use std::collections::BTreeSet;

    /// Pairs of an operator's name and its pattern: the compiler sees that no operator is missing,
    /// the test that each has cases.
    macro_rules! operators {
        ($($name:literal => $pattern:pat,)+) => {
            const OPERATORS: &[&str] = &[$($name),+];

            fn name(op: &Op) -> &'static str {
                match op {
                    $($pattern => $name,)+
                }
            }
        };
    }

    operators! {
        "Conv" => Op::Conv(_),
        "BatchNormalization" => Op::BatchNorm { .. },
        "InstanceNormalization" => Op::InstanceNorm { .. },
        "Relu" => Op::Unary(Unary::Relu),
        "LeakyRelu" => Op::Unary(Unary::LeakyRelu { .. }),
        "Sigmoid" => Op::Unary(Unary::Sigmoid),
        "HardSigmoid" => Op::Unary(Unary::HardSigmoid { .. }),
        "HardSwish" => Op::Unary(Unary::HardSwish),
        "Tanh" => Op::Unary(Unary::Tanh),
        "Clip" => Op::Unary(Unary::Clip { .. }),
        "Sqrt" => Op::Unary(Unary::Sqrt),
        "Exp" => Op::Unary(Unary::Exp),
        "Reciprocal" => Op::Unary(Unary::Reciprocal),
        "PRelu" => Op::PRelu,
        "Add" => Op::Binary(Binary::Add),
        "Sub" => Op::Binary(Binary::Sub),
        "Mul" => Op::Binary(Binary::Mul),
        "Div" => Op::Binary(Binary::Div),
        "Pow" => Op::Binary(Binary::Pow),
        "Concat" => Op::Concat { .. },
        "Split" => Op::Split { .. },
        "Slice" => Op::Slice { .. },
        "Pad" => Op::Pad { .. },
        "MaxPool" => Op::MaxPool(_),
        "AveragePool" => Op::AveragePool { .. },
        "GlobalAveragePool" => Op::GlobalAveragePool,
        "ReduceMean" => Op::Reduce { kind: Reduce::Mean, .. },
        "ReduceL2" => Op::Reduce { kind: Reduce::L2, .. },
        "LpNormalization" => Op::LpNormalization { .. },
        "Gemm" => Op::Gemm(_),
        "MatMul" => Op::MatMul,
        "Flatten" => Op::Flatten { .. },
        "Reshape" => Op::Reshape { .. },
        "Squeeze" => Op::Squeeze { .. },
        "Unsqueeze" => Op::Unsqueeze { .. },
        "Transpose" => Op::Transpose { .. },
        "Expand" => Op::Expand { .. },
        "Softmax" => Op::Softmax { .. },
        "QuantizeLinear" => Op::QuantizeLinear { .. },
        "DequantizeLinear" => Op::DequantizeLinear { .. },
    }

    #[test]
    fn every_operator_has_cases() {
        #[derive(serde::Deserialize)]
        struct Case {
            op: String,
        }
        let cases = include_str!("../tests/reference/cases.json");
        let cases: Vec<Case> = serde_json::from_str(cases).unwrap();
        let found: BTreeSet<&str> = cases.iter().map(|case| case.op.as_str()).collect();
        assert_eq!(found, OPERATORS.iter().copied().collect());
        assert_eq!(name(&Op::MatMul), Op::MatMul.onnx_name());
    }
}
