//! Every rule of shape inference, and what each refuses.

use super::*;
use crate::graph::{Binary, Conv, Gemm, Pool, Reduce, Unary};
use crate::graph::{Graph, Operand};
use crate::tensor::{Data, Tensor};

/// What a case's operands are, besides the first one.
type Others = Vec<Vec<usize>>;

fn dims(shape: &[usize]) -> Vec<Dim> {
    // 0 stands for the batch.
    shape
        .iter()
        .map(|&n| if n == 0 { Dim::Batch } else { Dim::Fixed(n) })
        .collect()
}

fn apply(op: Op, x: &[usize], others: &Others) -> Result<Vec<Vec<Dim>>> {
    let mut graph = Graph::new("case", "x", [1, 1, 1]);
    graph.values[0].fact = Fact::f32(dims(x));
    let mut inputs = vec![Operand::Value(graph.input())];
    for (i, shape) in others.iter().enumerate() {
        inputs.push(
            graph
                .param(format!("p{i}"), Tensor::zeros(shape.clone())?)
                .into(),
        );
    }
    let outputs = graph.push("node", op, inputs)?;
    Ok(outputs
        .iter()
        .map(|&id| graph.value(id).fact.shape.clone())
        .collect())
}

fn conv(strides: usize, pads: usize, dilation: usize, groups: usize) -> Op {
    Op::Conv(Conv {
        strides: [strides; 2],
        pads: [pads; 4],
        dilations: [dilation; 2],
        groups,
    })
}

fn pool(kernel: usize, stride: usize, pad: usize, ceil_mode: bool) -> Pool {
    Pool {
        kernel: [kernel; 2],
        strides: [stride; 2],
        pads: [pad; 4],
        ceil_mode,
    }
}

#[test]
fn every_rule_gives_the_documented_shape() {
    struct Case(
        &'static str,
        Op,
        &'static [usize],
        Others,
        Vec<&'static [usize]>,
    );
    let gemm = |trans_b| {
        Op::Gemm(Gemm {
            alpha: 1.0,
            beta: 1.0,
            trans_a: false,
            trans_b,
        })
    };
    #[rustfmt::skip]
    let cases = [
        Case("stem", conv(2, 3, 1, 1), &[0, 3, 256, 128], vec![vec![64, 3, 7, 7], vec![64]], vec![&[0, 64, 128, 64]]),
        Case("depthwise", conv(1, 1, 1, 8), &[0, 8, 5, 5], vec![vec![8, 1, 3, 3]], vec![&[0, 8, 5, 5]]),
        Case("dilated", conv(1, 2, 2, 1), &[0, 4, 9, 7], vec![vec![6, 4, 3, 3]], vec![&[0, 6, 9, 7]]),
        Case("batch norm of features", Op::BatchNorm { epsilon: 1e-5 }, &[0, 8], vec![vec![8]; 4], vec![&[0, 8]]),
        Case("scalar added", Op::Binary(Binary::Add), &[0, 8], vec![vec![]], vec![&[0, 8]]),
        Case("broadcast to the left", Op::Binary(Binary::Mul), &[0, 8, 1, 1], vec![vec![1, 8, 4, 4]], vec![&[0, 8, 4, 4]]),
        Case("split", Op::Split { axis: 1, sizes: vec![3, 5] }, &[0, 8, 2], vec![], vec![&[0, 3, 2], &[0, 5, 2]]),
        Case("slice by two", Op::Slice { axis: 1, start: 1, end: 8, step: 2 }, &[0, 8], vec![], vec![&[0, 4]]),
        Case("pool rounds down", Op::MaxPool(pool(3, 2, 0, false)), &[0, 1, 6, 6], vec![], vec![&[0, 1, 2, 2]]),
        Case("pool rounds up", Op::MaxPool(pool(3, 2, 0, true)), &[0, 1, 6, 6], vec![], vec![&[0, 1, 3, 3]]),
        Case("no pool starts in the padding", Op::MaxPool(pool(2, 2, 1, true)), &[0, 1, 5, 5], vec![], vec![&[0, 1, 3, 3]]),
        Case("mean of stripes", Op::Reduce { kind: Reduce::Mean, axes: vec![2, 3], keep_dims: false }, &[0, 8, 4, 4], vec![], vec![&[0, 8]]),
        Case("linear", gemm(true), &[0, 8], vec![vec![5, 8], vec![5]], vec![&[0, 5]]),
        Case("matrix product", Op::MatMul, &[0, 4, 8], vec![vec![8, 2]], vec![&[0, 4, 2]]),
        Case("flatten", Op::Flatten { axis: 1 }, &[0, 8, 2, 1], vec![], vec![&[0, 16]]),
        Case("channel shuffle", Op::Reshape { shape: dims(&[0, 2, 4, 3, 3]) }, &[0, 8, 3, 3], vec![], vec![&[0, 2, 4, 3, 3]]),
        Case("squeeze", Op::Squeeze { axes: vec![2, 3] }, &[0, 8, 1, 1], vec![], vec![&[0, 8]]),
        Case("unsqueeze", Op::Unsqueeze { axes: vec![2, 3] }, &[0, 8], vec![], vec![&[0, 8, 1, 1]]),
        Case("transpose", Op::Transpose { perm: vec![0, 2, 1] }, &[0, 8, 3], vec![], vec![&[0, 3, 8]]),
        Case("expand", Op::Expand { shape: dims(&[0, 512]) }, &[0, 1], vec![], vec![&[0, 512]]),
    ];
    for Case(name, op, x, others, wanted) in cases {
        let found = apply(op, x, &others).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            found,
            wanted.iter().map(|shape| dims(shape)).collect::<Vec<_>>(),
            "{name}"
        );
    }
}

#[test]
fn what_does_not_fit_is_refused_with_the_values() {
    struct Case(&'static str, Op, &'static [usize], Others, &'static str);
    #[rustfmt::skip]
    let cases = [
        Case("channels", conv(1, 0, 1, 1), &[0, 3, 8, 8], vec![vec![4, 5, 3, 3]], "3 channels"),
        Case("groups of zero", conv(1, 0, 1, 0), &[0, 3, 8, 8], vec![vec![4, 3, 3, 3]], "in 0 groups"),
        Case("kernel larger than the image", conv(1, 0, 1, 1), &[0, 3, 2, 2], vec![vec![4, 3, 3, 3]], "does not fit"),
        Case("no stride", conv(0, 0, 1, 1), &[0, 3, 8, 8], vec![vec![4, 3, 3, 3]], "does not fit"),
        Case("no bias of two", conv(1, 0, 1, 1), &[0, 3, 8, 8], vec![vec![4, 3, 3, 3], vec![2]], "bias [2], wanted [4]"),
        Case("too few operands", Op::BatchNorm { epsilon: 0.0 }, &[0, 3], vec![vec![3]], "2 operands, wanted 5"),
        Case("broadcast", Op::Binary(Binary::Add), &[0, 3], vec![vec![4]], "[N, 3] and [4] do not broadcast"),
        Case("batch against number", Op::Binary(Binary::Add), &[0, 3], vec![vec![7, 3]], "do not broadcast"),
        Case("concat of the batch", Op::Concat { axis: 0 }, &[0, 3], vec![], "is the batch"),
        Case("axis too large", Op::Concat { axis: 2 }, &[0, 3], vec![], "axis 2 of [N, 3]"),
        Case("split", Op::Split { axis: 1, sizes: vec![usize::MAX, 4] }, &[0, 3], vec![], "do not add up"),
        Case("norm over no axis", Op::Reduce { kind: Reduce::L2, axes: vec![], keep_dims: true }, &[0, 3], vec![], "no axis"),
        Case("slice beyond", Op::Slice { axis: 1, start: 0, end: 4, step: 1 }, &[0, 3], vec![], "no part"),
        Case("reshape", Op::Reshape { shape: dims(&[0, 7]) }, &[0, 3], vec![], "cannot become"),
        Case("batch reshaped away", Op::Reshape { shape: dims(&[3]) }, &[0, 3], vec![], "cannot become"),
        Case("perm", Op::Transpose { perm: vec![0, 0] }, &[0, 3], vec![], "perm"),
        Case("flatten joins the batch", Op::Flatten { axis: 2 }, &[0, 3, 4], vec![], "cannot be joined"),
        Case("huge pad", Op::Pad { pads: vec![(0, 0), (usize::MAX, 9)], value: 0.0 }, &[0, 3], vec![], "limit"),
        Case("padding wider than the window", Op::MaxPool(pool(2, 2, 2, false)), &[0, 3, 8, 8], vec![], "do not fit"),
        Case("matrices", Op::MatMul, &[0, 3], vec![vec![4, 2]], "inner extents 3 and 4"),
        Case("quantised without scale", Op::QuantizeLinear { axis: 1 }, &[0, 3], vec![], "1 operands, wanted 3"),
    ];
    for Case(name, op, x, others, wanted) in cases {
        let error = apply(op, x, &others).expect_err(name).to_string();
        assert!(error.contains(wanted), "{name}: {error}");
    }
}

#[test]
fn integers_are_no_activations() {
    let mut graph = Graph::new("case", "x", [3, 4, 4]);
    let weight = Tensor::new([4, 3, 1, 1], Data::I8(vec![1; 12])).unwrap();
    let weight = graph.param("w", weight);
    let input = graph.input();
    let inputs = [input.into(), weight.into()];
    let error = graph
        .push("c", Op::Conv(Conv::pointwise()), inputs)
        .unwrap_err();
    assert!(
        error.to_string().contains("operand 1 is I8, wanted F32"),
        "{error}"
    );
    let scale = graph.param("s", Tensor::f32([4], vec![0.5; 4]).unwrap());
    let zero = graph.param("z", Tensor::new([4], Data::I8(vec![0; 4])).unwrap());
    let weight = graph
        .push1(
            "dq",
            Op::DequantizeLinear { axis: 0 },
            [weight.into(), scale.into(), zero.into()],
        )
        .unwrap();
    let out = graph
        .push1(
            "c",
            Op::Conv(Conv::pointwise()),
            [input.into(), weight.into()],
        )
        .unwrap();
    assert_eq!(graph.value(out).fact, Fact::f32(dims(&[0, 4, 4, 4])));
    let relu = graph
        .push1("r", Op::Unary(Unary::Relu), [out.into()])
        .unwrap();
    assert_eq!(graph.uses()[out.index()], 1);
    assert_eq!(graph.producer(relu), Some(graph.nodes().len() - 1));
}

#[test]
fn nothing_is_split_into_nothing() {
    let mut graph = Graph::new("case", "x", [0, 1, 1]);
    let split = Op::Split {
        axis: 1,
        sizes: Vec::new(),
    };
    let error = graph.push("node", split, [graph.input().into()]);
    assert!(error.unwrap_err().to_string().contains("writes nothing"));
}

#[test]
fn images_are_not_mixed_with_others_of_their_batch() {
    let mut graph = Graph::new("case", "x", [3, 1, 3]);
    let x = graph.input();
    let pooled = Op::Reduce {
        kind: Reduce::Mean,
        axes: vec![2, 3],
        keep_dims: false,
    };
    let pooled = graph.push1("pool", pooled, [x.into()]).unwrap();
    // [N, 3] is read as [1, 1, N, 3].
    let error = graph.push("add", Op::Binary(Binary::Add), [x.into(), pooled.into()]);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("[N, 3, N, 3]") && error.contains("twice"),
        "{error}"
    );
}
