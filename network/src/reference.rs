//! Plain executor of every operator: slow, obvious, the truth that fast code is compared with.
//!
//! In: an operator and concrete tensors ([`eval`]), or a whole graph and a batch of images
//! ([`run`], [`run_with`]). Out: tensors. No operator is fused, reordered or approximated, and
//! every file below has the operators of one kind.
//!
//! Numbers. A float result is computed in f64 and rounded to f32 once: products and sums
//! (convolutions, matrices, means, normalisations) and functions (`exp`, `tanh`, `pow`) alike. What
//! is compared with it in f32 therefore carries its own rounding alone. The two quantisation
//! operators are the exception: their result is defined step by step in f32, so they are computed
//! like that, and compared with `==`.
//!
//! NaN. ONNX leaves it open; here a NaN goes through every float operator, `Relu`, `Clip` and
//! `MaxPool` included, so that a broken network does not look healthy. `QuantizeLinear` has no NaN
//! to write and writes the zero point.
//!
//! Trust. [`eval`] is also what the ONNX reader folds constants with, so its tensors and attributes
//! come from files: whatever does not fit is an error that names the node, and the size of a result
//! is checked before it is allocated. Time is not bounded: it grows with what the operator asks
//! for.

mod call;
mod conv;
mod elementwise;
mod layout;
mod matrix;
mod norm;
mod pool;
mod quantize;
mod reduce;

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::graph::{Graph, Node, Op, Operand, ValueId};
use crate::tensor::{DType, Tensor};
use crate::{Error, Result};
use call::Call;
pub use elementwise::apply;
pub use layout::{Walk, broadcast};
pub use pool::Windows;

/// What `op` makes of `inputs`, which stand in the order that [`Op`] documents; optional ones are
/// left away. `node` is the name used in errors.
///
/// # Errors [`Error::Shape`] if the number, the types, the shapes or the attributes do not fit
/// together, or if `op` has a [`Dim::Batch`](crate::graph::Dim::Batch): the batch is known to
/// [`run`] only. [`Error::Limit`] if a result is too large.
pub fn eval(node: &str, op: &Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    eval_for(None, node, op, inputs)
}

/// What `graph` makes of `input`, f32 `[N, C, H, W]`: one tensor for each of [`Graph::outputs`], in
/// their order.
///
/// # Errors
/// As [`run_with`].
pub fn run(graph: &Graph, input: &Tensor) -> Result<Vec<Tensor>> {
    run_with(graph, input, |_, _| ())
}

/// As [`run`], and shows every value: the input first, then what the nodes write, in execution
/// order. A value is freed after its last reader.
///
/// # Errors [`Error::Shape`] if `input` is not what the graph reads, or a node does not compute the
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

/// The loop of [`run_with`], whoever computes: `eval` gets the number of a node, the node, the extent
/// of the batch and the node's operands.
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

/// Extent of the batch of `input`, which is exactly as the graph declares.
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

/// Shape inference and execution must tell the same story: plans are made from the first.
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

/// [`eval`] where a [`Dim::Batch`](crate::graph::Dim::Batch) stands for `batch`, if that is known.
pub fn eval_for(
    batch: Option<usize>,
    node: &str,
    op: &Op,
    inputs: &[&Tensor],
) -> Result<Vec<Tensor>> {
    let call = &Call::new(node, op, inputs, arity(op))?;
    let result = match op {
        Op::Conv(conv) => conv::conv(call, conv),
        Op::BatchNorm { epsilon } => norm::batch(call, *epsilon),
        Op::InstanceNorm { epsilon } => norm::instance(call, *epsilon),
        Op::Unary(unary) => elementwise::unary(call, *unary),
        Op::PRelu => elementwise::prelu(call),
        Op::Binary(binary) => elementwise::binary(call, *binary),
        Op::Concat { axis } => layout::concat(call, *axis),
        Op::Split { axis, sizes } => return layout::split(call, *axis, sizes),
        Op::Slice {
            axis,
            start,
            end,
            step,
        } => layout::slice(call, *axis, *start..*end, *step),
        Op::Pad { pads, value } => layout::pad(call, pads, *value),
        Op::MaxPool(windows) => pool::max(call, windows),
        Op::AveragePool {
            pool: windows,
            count_include_pad,
        } => pool::average(call, windows, *count_include_pad),
        Op::GlobalAveragePool => reduce::global_average(call),
        Op::Reduce {
            kind,
            axes,
            keep_dims,
        } => reduce::reduce(call, *kind, axes, *keep_dims),
        Op::LpNormalization { axis, p } => norm::lp(call, *axis, *p),
        Op::Gemm(gemm) => matrix::gemm(call, gemm),
        Op::MatMul => matrix::matmul(call),
        Op::Flatten { axis } => layout::flatten(call, *axis),
        Op::Reshape { shape } => layout::reshape(call, shape, batch),
        Op::Squeeze { axes } => layout::squeeze(call, axes),
        Op::Unsqueeze { axes } => layout::unsqueeze(call, axes),
        Op::Transpose { perm } => layout::transpose(call, perm),
        Op::Expand { shape } => layout::expand(call, shape, batch),
        Op::Softmax { axis } => norm::softmax(call, *axis),
        Op::QuantizeLinear { axis } => quantize::quantize(call, *axis),
        Op::DequantizeLinear { axis } => quantize::dequantize(call, *axis),
    };
    result.map(|tensor| vec![tensor])
}

/// Refuses any number of `inputs` that `op` does not read.
pub fn check_arity(node: &str, op: &Op, inputs: &[&Tensor]) -> Result<()> {
    Call::new(node, op, inputs, arity(op)).map(|_| ())
}

/// How many operands `op` reads.
fn arity(op: &Op) -> RangeInclusive<usize> {
    match op {
        Op::Conv(_) | Op::Gemm(_) | Op::DequantizeLinear { .. } => 2..=3,
        Op::BatchNorm { .. } => 5..=5,
        Op::InstanceNorm { .. } | Op::QuantizeLinear { .. } => 3..=3,
        Op::PRelu | Op::Binary(_) | Op::MatMul => 2..=2,
        Op::Concat { .. } => 1..=usize::MAX,
        Op::Unary(_)
        | Op::Split { .. }
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::MaxPool(_)
        | Op::AveragePool { .. }
        | Op::GlobalAveragePool
        | Op::Reduce { .. }
        | Op::LpNormalization { .. }
        | Op::Flatten { .. }
        | Op::Reshape { .. }
        | Op::Squeeze { .. }
        | Op::Unsqueeze { .. }
        | Op::Transpose { .. }
        | Op::Expand { .. }
        | Op::Softmax { .. } => 1..=1,
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
