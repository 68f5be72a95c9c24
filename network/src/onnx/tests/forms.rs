//! Every operator in every form that ONNX has given it.

use super::*;
use crate::graph::{Binary, Conv, Gemm, Pool, Reduce, Unary};

fn conv(strides: [usize; 2], pads: [usize; 4], dilations: [usize; 2], groups: usize) -> Op {
    Op::Conv(Conv {
        strides,
        pads,
        dilations,
        groups,
    })
}

fn pool(kernel: usize, stride: usize, pads: [usize; 4], ceil_mode: bool) -> Pool {
    Pool {
        kernel: [kernel; 2],
        strides: [stride; 2],
        pads,
        ceil_mode,
    }
}

fn slice(axis: usize, start: usize, end: usize, step: usize) -> Op {
    Op::Slice {
        axis,
        start,
        end,
        step,
    }
}

#[test]
fn images() {
    let conv_net = |attributes: &[AttributeProto]| {
        let mut only = node("Conv x w > y", []);
        only.attribute = attributes.to_vec();
        Net::new(11, [only]).weight("w", &[2, 2, 3, 3])
    };
    let same = |mode, extra: &[AttributeProto]| {
        let mut attributes = vec![text("auto_pad", mode), ints("strides", &[2, 2])];
        attributes.extend_from_slice(extra);
        conv_net(&attributes)
    };
    let average = |opset, attributes: [AttributeProto; 3]| {
        Net::new(opset, [node("AveragePool x > y", attributes)])
    };
    for (name, net, want) in [
        ("plain", conv_net(&[]), conv([1, 1], [0; 4], [1, 1], 1)),
        (
            "asymmetric pads, dilation",
            conv_net(&[
                ints("pads", &[2, 1, 0, 3]),
                ints("dilations", &[2, 1]),
                ints("kernel_shape", &[3, 3]),
            ]),
            conv([1, 1], [2, 1, 0, 3], [2, 1], 1),
        ),
        (
            "depthwise with bias",
            Net::new(22, [node("Conv x w b > y", [int("group", 2)])])
                .weight("w", &[2, 1, 3, 3])
                .weight("b", &[2]),
            conv([1, 1], [0; 4], [1, 1], 2),
        ),
        // 4 x 6 by 2 needs windows over 5 x 7: one more row and column.
        (
            "upper",
            same("SAME_UPPER", &[]),
            conv([2, 2], [0, 0, 1, 1], [1, 1], 1),
        ),
        (
            "lower",
            same("SAME_LOWER", &[]),
            conv([2, 2], [1, 1, 0, 0], [1, 1], 1),
        ),
        (
            "upper, dilated",
            same("SAME_UPPER", &[ints("dilations", &[2, 2])]),
            conv([2, 2], [1, 1, 2, 2], [2, 2], 1),
        ),
        ("valid", same("VALID", &[]), conv([2, 2], [0; 4], [1, 1], 1)),
        (
            "max pool",
            Net::new(
                12,
                [node(
                    "MaxPool x > y",
                    [
                        ints("kernel_shape", &[3, 3]),
                        ints("strides", &[2, 2]),
                        ints("pads", &[1, 1, 1, 1]),
                        int("ceil_mode", 1),
                        int("storage_order", 0),
                        ints("dilations", &[1, 1]),
                    ],
                )],
            ),
            Op::MaxPool(pool(3, 2, [1; 4], true)),
        ),
        (
            "average pool",
            average(
                7,
                [
                    ints("kernel_shape", &[2, 2]),
                    ints("pads", &[1, 0, 0, 1]),
                    int("count_include_pad", 1),
                ],
            ),
            Op::AveragePool {
                pool: pool(2, 1, [1, 0, 0, 1], false),
                count_include_pad: true,
            },
        ),
        (
            "average pool, padded to the same size",
            average(
                19,
                [
                    ints("kernel_shape", &[2, 2]),
                    text("auto_pad", "SAME_UPPER"),
                    ints("strides", &[1, 1]),
                ],
            ),
            Op::AveragePool {
                pool: pool(2, 1, [0, 0, 1, 1], false),
                count_include_pad: false,
            },
        ),
        (
            "global average pool",
            Net::new(7, [node("GlobalAveragePool x > y", [])]),
            Op::GlobalAveragePool,
        ),
    ] {
        assert_eq!(net.ops(), [want], "{name}");
    }
}

#[test]
fn normalisations() {
    let statistics = |net: Net| {
        ["scale", "bias", "mean", "variance"]
            .iter()
            .fold(net, |net, name| net.weight(name, &[2]))
    };
    let batch_norm = |opset, attributes: [AttributeProto; 3]| {
        statistics(Net::new(
            opset,
            [node(
                "BatchNormalization x scale bias mean variance > y",
                attributes,
            )],
        ))
    };
    let mean_variance = Net::new(
        13,
        [node(
            "MeanVarianceNormalization x > y",
            [ints("axes", &[2, 3])],
        )],
    );
    let graph = mean_variance.graph();
    assert_eq!(
        graph.params()[0].tensor.as_f32(),
        Some([1.0, 1.0].as_slice())
    );
    assert_eq!(
        graph.params()[1].tensor.as_f32(),
        Some([0.0, 0.0].as_slice())
    );
    for (name, net, want) in [
        (
            "old batch norm",
            batch_norm(
                7,
                [
                    float("epsilon", 0.5),
                    float("momentum", 0.9),
                    int("spatial", 1),
                ],
            ),
            Op::BatchNorm { epsilon: 0.5 },
        ),
        (
            "new batch norm",
            batch_norm(
                15,
                [
                    float("epsilon", 0.5),
                    float("momentum", 0.9),
                    int("training_mode", 0),
                ],
            ),
            Op::BatchNorm { epsilon: 0.5 },
        ),
        (
            "instance norm",
            statistics(Net::new(
                7,
                [node("InstanceNormalization x scale bias > y", [])],
            )),
            Op::InstanceNorm { epsilon: 1e-5 },
        ),
        (
            "mean and variance",
            mean_variance,
            Op::InstanceNorm { epsilon: 1e-9 },
        ),
        (
            "length",
            Net::new(
                7,
                [node("LpNormalization x > y", [int("axis", 1), int("p", 1)])],
            ),
            Op::LpNormalization { axis: 1, p: 1 },
        ),
        (
            "length, defaults",
            Net::new(7, [node("LpNormalization x > y", [])]),
            Op::LpNormalization { axis: 3, p: 2 },
        ),
    ] {
        assert_eq!(net.ops(), [want], "{name}");
    }
}

#[test]
fn functions_of_elements() {
    let unary = |opset, op: &str| Net::new(opset, [node(&format!("{op} x > y"), [])]);
    let clip = |min, max| Op::Unary(Unary::Clip { min, max });
    let infinite = f32::INFINITY;
    for (name, net, want) in [
        ("relu", unary(7, "Relu"), Op::Unary(Unary::Relu)),
        ("sigmoid", unary(7, "Sigmoid"), Op::Unary(Unary::Sigmoid)),
        (
            "hard swish",
            unary(14, "HardSwish"),
            Op::Unary(Unary::HardSwish),
        ),
        ("tanh", unary(7, "Tanh"), Op::Unary(Unary::Tanh)),
        ("sqrt", unary(7, "Sqrt"), Op::Unary(Unary::Sqrt)),
        ("exp", unary(7, "Exp"), Op::Unary(Unary::Exp)),
        (
            "reciprocal",
            unary(7, "Reciprocal"),
            Op::Unary(Unary::Reciprocal),
        ),
        (
            "leaky relu",
            unary(7, "LeakyRelu"),
            Op::Unary(Unary::LeakyRelu { alpha: 0.01 }),
        ),
        (
            "hard sigmoid",
            Net::new(7, [node("HardSigmoid x > y", [float("alpha", 0.25)])]),
            Op::Unary(Unary::HardSigmoid {
                alpha: 0.25,
                beta: 0.5,
            }),
        ),
        (
            "clip by attributes",
            Net::new(
                7,
                [node(
                    "Clip x > y",
                    [float("min", 0.0), float("max", f32::MAX)],
                )],
            ),
            clip(0.0, infinite),
        ),
        (
            "clip by inputs",
            Net::new(11, [node("Clip x low high > y", [])])
                .scalar("low", -1.0)
                .scalar("high", 6.0),
            clip(-1.0, 6.0),
        ),
        (
            "clip from above",
            Net::new(13, [node("Clip x _ high > y", [])]).scalar("high", 6.0),
            clip(-infinite, 6.0),
        ),
        (
            "clip by infinity",
            Net::new(13, [node("Clip x low high > y", [])])
                .scalar("low", 0.0)
                .scalar("high", infinite),
            clip(0.0, infinite),
        ),
        (
            "clip by nothing",
            unary(13, "Clip"),
            clip(-infinite, infinite),
        ),
        (
            "prelu",
            Net::new(7, [node("PRelu x w > y", [])]).weight("w", &[2, 1, 1]),
            Op::PRelu,
        ),
        (
            "pow by an integer",
            Net::new(12, [node("Pow x w > y", [])]).tensor("w", &scalar_i64(2)),
            Op::Binary(Binary::Pow),
        ),
    ] {
        assert_eq!(net.ops(), [want], "{name}");
    }
    for (op, binary) in [
        ("Add", Binary::Add),
        ("Sub", Binary::Sub),
        ("Mul", Binary::Mul),
        ("Div", Binary::Div),
        ("Pow", Binary::Pow),
    ] {
        let left = Net::new(7, [node(&format!("{op} x w > y"), [])]).weight("w", &[1, 2, 1, 1]);
        let right = Net::new(14, [node(&format!("{op} w x > y"), [])]).scalar("w", 2.0);
        assert_eq!(left.ops(), [Op::Binary(binary)], "{op}");
        assert_eq!(right.ops(), [Op::Binary(binary)], "{op}");
    }
}

#[test]
fn reductions_and_products() {
    let reduce = |kind, axes: &[usize], keep_dims| Op::Reduce {
        kind,
        axes: axes.to_vec(),
        keep_dims,
    };
    let gemm = |alpha, beta, trans_b| {
        Op::Gemm(Gemm {
            alpha,
            beta,
            trans_a: false,
            trans_b,
        })
    };
    let flat = || node("Flatten x > flat", []);
    for (name, net, want) in [
        (
            "axes as an attribute",
            Net::new(13, [node("ReduceMean x > y", [ints("axes", &[-1, 2])])]),
            vec![reduce(Reduce::Mean, &[2, 3], true)],
        ),
        (
            "axes as an input",
            Net::new(18, [node("ReduceL2 x a > y", [int("keepdims", 0)])]).i64s("a", &[1]),
            vec![reduce(Reduce::L2, &[1], false)],
        ),
        (
            "no axes, nothing to do",
            Net::new(
                18,
                [
                    node("ReduceMean x > a", [int("noop_with_empty_axes", 1)]),
                    node("Relu a > y", []),
                ],
            ),
            vec![Op::Unary(Unary::Relu)],
        ),
        (
            "softmax",
            Net::new(13, [node("Softmax x > y", [])]),
            vec![Op::Softmax { axis: 3 }],
        ),
        (
            "old softmax of a matrix",
            Net::new(7, [flat(), node("Softmax flat > y", [])]),
            vec![Op::Flatten { axis: 1 }, Op::Softmax { axis: 1 }],
        ),
        (
            "old softmax where the rest is 1",
            Net::new(
                11,
                [
                    node("GlobalAveragePool x > a", []),
                    node("Softmax a > y", []),
                ],
            ),
            vec![Op::GlobalAveragePool, Op::Softmax { axis: 1 }],
        ),
        (
            "gemm",
            Net::new(
                7,
                [
                    flat(),
                    node("Gemm flat w b > y", [float("alpha", 0.5), int("transB", 1)]),
                ],
            )
            .weight("w", &[3, 48])
            .weight("b", &[3]),
            vec![Op::Flatten { axis: 1 }, gemm(0.5, 1.0, true)],
        ),
        (
            "gemm without bias",
            Net::new(11, [flat(), node("Gemm flat w > y", [float("beta", 0.0)])])
                .weight("w", &[48, 3]),
            vec![Op::Flatten { axis: 1 }, gemm(1.0, 0.0, false)],
        ),
        (
            "matmul",
            Net::new(13, [node("MatMul x w > y", [])]).weight("w", &[6, 5]),
            vec![Op::MatMul],
        ),
    ] {
        assert_eq!(net.ops(), want, "{name}");
    }
}

#[test]
fn layout() {
    let split = |axis, sizes: &[usize]| {
        vec![Op::Split {
            axis,
            sizes: sizes.to_vec(),
        }]
    };
    let pad = |value| {
        vec![Op::Pad {
            pads: vec![(0, 0), (0, 0), (1, 3), (2, 4)],
            value,
        }]
    };
    let pads = [0, 0, 1, 2, 0, 0, 3, 4];
    let inputs = |net: Net, lists: [(&str, &[i64]); 4]| {
        lists
            .into_iter()
            .fold(net, |net, (name, list)| net.i64s(name, list))
    };
    for (name, net, want) in [
        (
            "concat",
            Net::new(7, [node("Concat x x > y", [int("axis", -3)])]),
            vec![Op::Concat { axis: 1 }],
        ),
        (
            "split by attribute",
            Net::new(
                11,
                [node(
                    "Split x > y z",
                    [int("axis", 3), ints("split", &[2, 4])],
                )],
            ),
            split(3, &[2, 4]),
        ),
        (
            "split by input",
            Net::new(13, [node("Split x s > y z", [int("axis", -1)])]).i64s("s", &[5, 1]),
            split(3, &[5, 1]),
        ),
        (
            "split in half",
            Net::new(13, [node("Split x > z y", [int("axis", 1)])]),
            split(1, &[1, 1]),
        ),
        (
            "split unevenly",
            Net::new(
                18,
                [node(
                    "Split x > y _ z",
                    [int("axis", 2), int("num_outputs", 3)],
                )],
            )
            .image(&[0, 2, 5, 6]),
            split(2, &[2, 2, 1]),
        ),
        (
            "slice by attributes",
            Net::new(
                9,
                [node(
                    "Slice x > y",
                    [
                        ints("starts", &[1]),
                        ints("ends", &[-1]),
                        ints("axes", &[3]),
                    ],
                )],
            ),
            vec![slice(3, 1, 5, 1)],
        ),
        (
            "slice by inputs",
            inputs(
                Net::new(13, [node("Slice x s e a t > y", [])]),
                [
                    ("s", &[0, -3, 0, 1]),
                    ("e", &[i64::MAX, i64::MAX, 4, 6]),
                    ("a", &[0, 2, 1, -1]),
                    ("t", &[1, 1, 1, 2]),
                ],
            ),
            vec![slice(2, 1, 4, 1), slice(3, 1, 6, 2)],
        ),
        (
            "pad by attributes",
            Net::new(
                10,
                [node(
                    "Pad x > y",
                    [ints("pads", &pads), float("value", 0.5)],
                )],
            ),
            pad(0.5),
        ),
        (
            "pad by inputs",
            Net::new(11, [node("Pad x p v > y", [text("mode", "constant")])])
                .i64s("p", &pads)
                .scalar("v", -1.0),
            pad(-1.0),
        ),
        (
            "pad along axes",
            Net::new(18, [node("Pad x p _ a > y", [])])
                .i64s("p", &[2, 1, 4, 3])
                .i64s("a", &[-1, 2]),
            pad(0.0),
        ),
        (
            "pad by nothing",
            Net::new(
                10,
                [
                    node("Pad x > a", [ints("pads", &[0; 8])]),
                    node("Relu a > y", []),
                ],
            ),
            vec![Op::Unary(Unary::Relu)],
        ),
        (
            "flatten",
            Net::new(11, [node("Flatten x > y", [int("axis", -3)])]),
            vec![Op::Flatten { axis: 1 }],
        ),
        (
            "reshape",
            Net::new(7, [node("Reshape x s > y", [])]).i64s("s", &[0, 2, -1]),
            vec![Op::Reshape {
                shape: dims(&[0, 2, 24]),
            }],
        ),
        (
            "squeeze by attribute",
            Net::new(11, [node("Squeeze x > y", [ints("axes", &[-1])])]).image(&[0, 2, 4, 1]),
            vec![Op::Squeeze { axes: vec![3] }],
        ),
        (
            "squeeze by input",
            Net::new(13, [node("Squeeze x a > y", [])])
                .image(&[0, 2, 1, 1])
                .i64s("a", &[3, 2]),
            vec![Op::Squeeze { axes: vec![2, 3] }],
        ),
        (
            "squeeze all",
            Net::new(13, [node("Squeeze x > y", [])]).image(&[0, 2, 1, 4]),
            vec![Op::Squeeze { axes: vec![2] }],
        ),
        (
            "unsqueeze by attribute",
            Net::new(11, [node("Unsqueeze x > y", [ints("axes", &[-1, 1])])]),
            vec![Op::Unsqueeze { axes: vec![1, 5] }],
        ),
        (
            "unsqueeze by input",
            Net::new(13, [node("Unsqueeze x a > y", [])]).i64s("a", &[2]),
            vec![Op::Unsqueeze { axes: vec![2] }],
        ),
        (
            "transpose",
            Net::new(7, [node("Transpose x > y", [ints("perm", &[0, 2, 3, 1])])]),
            vec![Op::Transpose {
                perm: vec![0, 2, 3, 1],
            }],
        ),
        (
            "expand",
            Net::new(8, [node("Expand x s > y", [])])
                .image(&[0, 2, 1, 6])
                .i64s("s", &[2, 4, 6]),
            vec![Op::Expand {
                shape: dims(&[0, 2, 4, 6]),
            }],
        ),
    ] {
        assert_eq!(net.ops(), want, "{name}");
    }
}

#[test]
fn what_only_training_needs_vanishes() {
    let constant = |attribute| [node("Constant > c", [attribute]), node("Add x c > y", [])];
    let scalar = |net: &Net| net.graph().params()[0].tensor.clone();
    for (name, net) in [
        (
            "identity",
            Net::new(7, [node("Identity x > a", []), node("Relu a > y", [])]),
        ),
        (
            "old dropout",
            Net::new(
                7,
                [
                    node("Dropout x > a m", [float("ratio", 0.5)]),
                    node("Relu a > y", []),
                ],
            ),
        ),
        (
            "new dropout",
            Net::new(
                13,
                [
                    node("Dropout x r t > a", [int("seed", 1)]),
                    node("Relu a > y", []),
                ],
            )
            .scalar("r", 0.5)
            .tensor("t", &Tensor::new([], Data::U8(vec![0])).unwrap()),
        ),
        (
            "cast",
            Net::new(
                13,
                [node("Cast x > a", [int("to", 10)]), node("Relu a > y", [])],
            ),
        ),
    ] {
        assert_eq!(net.ops(), [Op::Unary(Unary::Relu)], "{name}");
    }
    let number = Net::new(12, constant(float("value_float", 2.5)));
    assert_eq!(scalar(&number), Tensor::scalar(2.5));
    let given = Net::new(9, constant(tensor("value", &counting(&[6]))));
    assert_eq!(scalar(&given), counting(&[6]));
    let floats = AttributeProto {
        floats: vec![1.5],
        ..attribute("value_floats", attribute_type::FLOATS)
    };
    assert_eq!(
        scalar(&Net::new(12, constant(floats))),
        Tensor::f32([1], [1.5]).unwrap()
    );
    // Files older than version 2 of the format do not say what an attribute is.
    let mut untyped = float("alpha", 0.5);
    untyped.r#type = None;
    let leaky = Net::new(7, [node("LeakyRelu x > y", [untyped])]);
    assert_eq!(leaky.ops(), [Op::Unary(Unary::LeakyRelu { alpha: 0.5 })]);
}

#[test]
fn quantised_layers_keep_their_form() {
    let bytes =
        |shape: &[usize], values: &[i8]| Tensor::new(shape, Data::I8(values.to_vec())).unwrap();
    let net = Net::new(
        13,
        [
            node("QuantizeLinear x s z > q", []),
            node("DequantizeLinear q s z > d", []),
            node("DequantizeLinear w ws > wd", [int("axis", 0)]),
            node("DequantizeLinear b ws > bd", [int("axis", 0)]),
            node("Conv d wd bd > y", []),
        ],
    )
    .scalar("s", 0.5)
    .tensor("z", &Tensor::new([], Data::U8(vec![128])).unwrap())
    .tensor("w", &bytes(&[2, 2, 1, 1], &[1, -2, 3, -4]))
    .weight("ws", &[2])
    .tensor("b", &Tensor::new([2], Data::I32(vec![7, -7])).unwrap());
    let want = [
        Op::QuantizeLinear { axis: 1 },
        Op::DequantizeLinear { axis: 1 },
        Op::DequantizeLinear { axis: 0 },
        Op::DequantizeLinear { axis: 0 },
        conv([1, 1], [0; 4], [1, 1], 1),
    ];
    assert_eq!(net.ops(), want);
    // ONNX Runtime's quantiser: a bias with a scale of `[1]` and a zero point of `[]`.
    let mixed = Net::new(
        13,
        [
            node("DequantizeLinear b s z > d", []),
            node("Add x d > y", []),
        ],
    )
    .tensor("b", &Tensor::new([6], Data::I32(vec![1; 6])).unwrap())
    .weight("s", &[1])
    .tensor("z", &Tensor::new([], Data::I32(vec![0])).unwrap());
    assert_eq!(mixed.graph().params()[2].tensor.shape(), [1]);
    let signed = [
        node("QuantizeLinear x s > q", [int("output_dtype", 3)]),
        node("DequantizeLinear q s > y", []),
    ];
    let graph = Net::new(21, signed).scalar("s", 0.5).graph();
    assert_eq!(graph.params()[1].tensor, bytes(&[], &[0]));
}
