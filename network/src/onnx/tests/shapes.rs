//! Shapes computed in the graph, batches frozen by exporters, folded constants, names.

use super::*;
use crate::graph::{Binary, Reduce, Unary};

/// A constant of one integer without dimensions, as indices are.
fn index(name: &str, value: i64) -> NodeProto {
    node(
        &format!("Constant > {name}"),
        [tensor("value", &scalar_i64(value))],
    )
}

fn list(name: &str, values: &[i64]) -> NodeProto {
    node(
        &format!("Constant > {name}"),
        [tensor("value", &Tensor::i64s(values))],
    )
}

#[test]
fn exporters_spell_shapes_out() {
    let axes = |values| ints("axes", values);
    for (name, net, want) in [
        (
            "x.view(x.size(0), -1)",
            Net::new(
                11,
                [
                    node("Shape x > s", []),
                    index("i", 0),
                    node("Gather s i > n", [int("axis", 0)]),
                    node("Unsqueeze n > n1", [axes(&[0])]),
                    list("rest", &[-1]),
                    node("Concat n1 rest > t", [int("axis", 0)]),
                    node("Reshape x t > y", []),
                ],
            ),
            vec![0, 48],
        ),
        (
            "x.view(n, 2, c // 2, h, w) by integers",
            Net::new(
                13,
                [
                    node("Shape x > s", [int("start", 0), int("end", 2)]),
                    node("Split x > x1 x2", [int("axis", 1)]),
                    node("Concat x1 x2 > x3", [int("axis", 1)]),
                    list("zero", &[0]),
                    list("one", &[1]),
                    list("two", &[2]),
                    node("Slice s zero one > n", []),
                    node("Slice s one two zero > c", []),
                    node("Div c two > half", []),
                    list("rest", &[4, 6]),
                    node("Concat n two half rest > t", [int("axis", 0)]),
                    node("Reshape x3 t > y", []),
                ],
            ),
            vec![0, 2, 1, 4, 6],
        ),
        (
            "x.view(n, c / 2, -1) by floats, as before PyTorch 1.5",
            Net::new(
                10,
                [
                    node("Shape x > s", []),
                    index("i1", 1),
                    node("Gather s i1 > c", []),
                    node("Cast c > cf", [int("to", 1)]),
                    node("Constant > two", [tensor("value", &Tensor::scalar(2.0))]),
                    node("Div cf two > hf", []),
                    node("Cast hf > hf2", [int("to", 1)]),
                    node("Floor hf2 > hff", []),
                    node("Cast hff > h", [int("to", 7)]),
                    index("i0", 0),
                    node("Gather s i0 > n", []),
                    node("Unsqueeze n > n1", [axes(&[0])]),
                    node("Unsqueeze h > h1", [axes(&[0])]),
                    list("rest", &[-1]),
                    node("Concat n1 h1 rest > t", [int("axis", 0)]),
                    node("Reshape x t > y", []),
                ],
            ),
            vec![0, 1, 48],
        ),
        (
            "n * c / n",
            Net::new(
                13,
                [
                    node("Shape x > s", []),
                    list("i0", &[0]),
                    list("i1", &[-3]),
                    node("Gather s i0 > n", []),
                    node("Gather s i1 > c", []),
                    node("Mul n c > nc", []),
                    node("Div nc n > c2", []),
                    node("Sub nc nc > zero", []),
                    node("Add c2 zero > c3", []),
                    list("rest", &[-1]),
                    node("Concat n c3 rest > t", [int("axis", 0)]),
                    node("Reshape x t > y", []),
                ],
            ),
            vec![0, 2, 24],
        ),
        (
            "x.expand(-1, 3, 4, 6)",
            Net::new(
                13,
                [
                    list("given", &[-1, 3, 4, 6]),
                    list("four", &[4]),
                    node(
                        "ConstantOfShape four > ones",
                        [tensor("value", &Tensor::i64s([1]))],
                    ),
                    index("minus", -1),
                    node("Mul ones minus > minuses", []),
                    node("Equal given minuses > open", []),
                    node("Where open ones given > t", []),
                    node("Expand x t > y", []),
                ],
            )
            .image(&[0, 1, 4, 6]),
            vec![0, 3, 4, 6],
        ),
        (
            "F.pad(x, (1, 2, 3, 4))",
            Net::new(
                13,
                [
                    list("given", &[1, 2, 3, 4]),
                    list("four", &[4]),
                    node(
                        "ConstantOfShape four > zeros",
                        [tensor("value", &Tensor::i64s([0]))],
                    ),
                    node("Concat given zeros > pairs", [int("axis", 0)]),
                    list("two", &[-1, 2]),
                    node("Reshape pairs two > table", []),
                    list("last", &[-1]),
                    list("first", &[i64::MIN + 1]),
                    list("zero", &[0]),
                    node("Slice table last first zero last > turned", []),
                    node("Transpose turned > t", [ints("perm", &[1, 0])]),
                    node("Reshape t last > pads", []),
                    node("Cast pads > pads2", [int("to", 7)]),
                    node("Pad x pads2 > y", [text("mode", "constant")]),
                ],
            ),
            vec![0, 2, 11, 9],
        ),
    ] {
        assert_eq!(net.shape(), dims(&want), "{name}");
        let ops = net.ops();
        assert!(
            ops.iter().all(|op| op.onnx_name() != "Cast"),
            "{name}: {ops:?}"
        );
    }
}

#[test]
fn lengths_and_generalised_means_are_read() {
    // F.normalize(x) as PyTorch writes it: the Expand is of no consequence to what Div broadcasts.
    let normalize = Net::new(
        11,
        [
            node("Flatten x > f", []),
            node("ReduceL2 f > n", [ints("axes", &[1]), int("keepdims", 1)]),
            node("Constant > tiny", [tensor("value", &Tensor::scalar(1e-12))]),
            node("Clip n tiny > c", []),
            node("Shape f > s", []),
            node("Expand c s > e", []),
            node("Div f e > y", []),
        ],
    );
    let want = [
        Op::Flatten { axis: 1 },
        Op::Reduce {
            kind: Reduce::L2,
            axes: vec![1],
            keep_dims: true,
        },
        Op::Unary(Unary::Clip {
            min: 1e-12,
            max: f32::INFINITY,
        }),
        Op::Expand {
            shape: dims(&[0, 48]),
        },
        Op::Binary(Binary::Div),
    ];
    assert_eq!(normalize.ops(), want);

    let gem = Net::new(
        11,
        [
            node("Constant > tiny", [tensor("value", &Tensor::scalar(1e-6))]),
            node("Clip x tiny > c", []),
            node("Pow c p > a", []),
            node("GlobalAveragePool a > m", []),
            node("Reciprocal p > r", []),
            node("Pow m r > y", []),
        ],
    )
    .tensor("p", &Tensor::f32([1], [4.0]).unwrap());
    let graph = gem.graph();
    assert_eq!(graph.nodes().len(), 4);
    let params: Vec<(&str, &Tensor)> = graph
        .params()
        .iter()
        .map(|param| (param.name.as_str(), &param.tensor))
        .collect();
    let folded = Tensor::f32([1], [0.25]).unwrap();
    let exponent = Tensor::f32([1], [4.0]).unwrap();
    assert_eq!(params, [("p", &exponent), ("r", &folded)]);
}

#[test]
fn a_frozen_batch_thaws() {
    let reshape = |batch: i64, target: &[i64]| {
        Net::new(13, [node("Reshape x s > y", [])])
            .image(&[batch, 2, 4, 6])
            .i64s("s", target)
    };
    for (batch, target, want) in [
        (1, [1, 48].as_slice(), [0, 48].as_slice()),
        (1, &[1, -1], &[0, 48]),
        (1, &[-1, 48], &[0, 48]),
        (1, &[1, 2, 24], &[0, 2, 24]),
        (3, &[3, -1], &[0, 48]),
        (3, &[3, 4, 12], &[0, 4, 12]),
        (-1, &[-1, 48], &[0, 48]),
    ] {
        assert_eq!(
            reshape(batch, target).shape(),
            dims(want),
            "{batch} {target:?}"
        );
    }
    let expand = Net::new(13, [node("Expand x s > y", [])]).image(&[3, 1, 4, 6]);
    assert_eq!(expand.i64s("s", &[3, 5, 4, 6]).shape(), dims(&[0, 5, 4, 6]));
}

#[test]
fn open_sizes_are_assumed_and_said() {
    let net = Net::new(13, [node("Relu x > y", [])]).image(&[0, 0, 0, 0]);
    let model = net.read().unwrap();
    assert_eq!(model.graph.input_size(), [3, 256, 128]);
    assert!(
        model.warnings.iter().any(|w| w.contains("256 x 128")),
        "{:?}",
        model.warnings
    );
    let options = ReadOptions {
        input_size: Some([64, 32]),
    };
    let model = read_bytes(&net.bytes(), &options).unwrap();
    assert_eq!(model.graph.input_size(), [3, 64, 32]);
    assert_eq!(model.warnings.len(), 1, "{:?}", model.warnings);
    let closed = net.image(&[0, 3, 16, 8]);
    let model = read_bytes(&closed.bytes(), &options).unwrap();
    assert_eq!(model.graph.input_size(), [3, 16, 8]);
    assert!(
        model.warnings[0].contains("64 x 32 was asked for"),
        "{:?}",
        model.warnings
    );
    let shapeless = closed.change(|g| g.input = vec![value("x", data_type::FLOAT, None)]);
    assert_eq!(shapeless.graph().input_size(), [3, 256, 128]);
}

#[test]
fn names_are_kept_or_made_unique() {
    let net = Net::new(
        7,
        [
            node("Relu x > a", []),
            node("Tanh a > b", []),
            node("Exp b > y", []),
        ],
    )
    .change(|graph| {
        graph.node[0].name = Some(String::new());
        graph.node[1].name = Some("same".into());
        graph.node[2].name = Some("same".into());
        graph.output.push(value("a", data_type::FLOAT, None));
    });
    let graph = net.graph();
    let names: Vec<&str> = graph
        .nodes()
        .iter()
        .map(|node| node.name.as_str())
        .collect();
    assert_eq!(names, ["Relu_0", "same", "same_2"]);
    let values: Vec<&str> = graph
        .values()
        .iter()
        .map(|value| value.name.as_str())
        .collect();
    assert_eq!(values, ["x", "a", "b", "y"]);
    let outputs: Vec<&str> = graph
        .outputs()
        .iter()
        .map(|output| output.name.as_str())
        .collect();
    assert_eq!(outputs, ["y", "a"]);
}

#[test]
fn initialisers_are_not_inputs_and_unused_ones_vanish() {
    let net = Net::new(7, [node("Mul x w > y", []), node("Relu x > unused", [])])
        .weight("w", &[6])
        .scalar("never", f32::NAN)
        .change(|graph| graph.input.push(value("w", data_type::FLOAT, Some(&[6]))));
    let graph = net.graph();
    assert_eq!((graph.nodes().len(), graph.params().len()), (1, 1));
}
