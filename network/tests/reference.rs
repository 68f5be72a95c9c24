//! The reference executor against ONNX Runtime, on the cases that `reference/generate.py` writes;
//! on operands that make no sense; and on whole graphs.

use network::graph::{Binary, Conv, Dim, Graph, Op, Pool, Reduce, Unary};
use network::reference::{eval, run, run_with};
use network::tensor::{Data, Tensor};

use case::{Elements, cases};

#[path = "reference/case.rs"]
mod case;

/// As many as `generate.py` says that it wrote; none is skipped.
const CASES: usize = 335;

/// Operators whose result rounds more than once in ONNX Runtime, which works in f32. Everything
/// else (moved, compared, one f32 operation, quantised) is equal.
const ROUNDED: [&str; 17] = [
    "AveragePool",
    "BatchNormalization",
    "Conv",
    "Exp",
    "Gemm",
    "GlobalAveragePool",
    "HardSigmoid",
    "HardSwish",
    "InstanceNormalization",
    "LpNormalization",
    "MatMul",
    "Pow",
    "ReduceL2",
    "ReduceMean",
    "Sigmoid",
    "Softmax",
    "Tanh",
];

/// Relative to the number or to 1, whichever is larger. The largest differences are 8.9e-7 (an
/// instance whose mean is 8 deviations from zero: f32 cancels), 6.3e-7 (the dilated convolution)
/// and, of anything but these two operators, 1.8e-7.
const TOLERANCE: f32 = 2e-6;

#[test]
fn every_case_agrees_with_onnx_runtime() {
    let cases = cases();
    assert_eq!(cases.len(), CASES);
    let mut wrong = Vec::new();
    for case in &cases {
        let tolerance = if ROUNDED.contains(&case.op.as_str()) {
            TOLERANCE
        } else {
            0.0
        };
        assert_eq!(case.operator().onnx_name(), case.op);
        match case
            .difference(|op, inputs, _| eval(&case.name, op, inputs).map_err(|e| e.to_string()))
        {
            Ok(difference) if difference <= tolerance => {}
            Ok(difference) => wrong.push(format!("{}: off by {difference:e}", case.title())),
            Err(reason) => wrong.push(format!("{}: {reason}", case.title())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Operands as a hostile file would have them: every one of these in the place of every operand of
/// every case is an answer or an error, and neither a panic nor a gigabyte.
#[test]
fn operands_that_make_no_sense_never_panic() {
    let shapes: [&[usize]; 12] = [
        &[],
        &[0],
        &[1],
        &[3],
        &[2, 0],
        &[usize::MAX, 0],
        &[0, usize::MAX, usize::MAX],
        &[1, 0, 1 << 62, 4],
        &[0, 3, 2, 2],
        &[usize::MAX, 3, 0, usize::MAX],
        &[0, 1, usize::MAX, usize::MAX],
        &[1; 9],
    ];
    let mut refused = 0;
    for case in cases() {
        let op = case.operator();
        let inputs: Vec<Tensor> = case.inputs.iter().map(Elements::tensor).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        for i in 0..inputs.len() {
            let mut others = inputs.clone();
            others.truncate(i);
            refused += usize::from(eval("n", &op, &others).is_err());
            for shape in shapes {
                let len = if shape.contains(&0) {
                    0
                } else {
                    shape.iter().product()
                };
                let data = [
                    Data::F32(vec![f32::NAN; len]),
                    Data::I64(vec![i64::MIN; len]),
                    Data::I32(vec![i32::MIN; len]),
                    Data::U8(vec![255; len]),
                ];
                for data in data {
                    let nonsense = Tensor::new(shape, data).unwrap();
                    let mut others = inputs.clone();
                    others[i] = &nonsense;
                    refused += usize::from(eval("n", &op, &others).is_err());
                    // The attributes are then the only thing that fits.
                    others.fill(&nonsense);
                    refused += usize::from(eval("n", &op, &others).is_err());
                }
            }
        }
    }
    assert!(refused > 10_000, "{refused}");
}

/// Attributes as a hostile file would have them, on an image of 2 x 3 x 4 x 4.
#[test]
fn attributes_that_make_no_sense_are_refused_by_name() {
    const MAX: usize = usize::MAX;
    let conv = |strides, pads, dilations, groups| {
        Op::Conv(Conv {
            strides,
            pads,
            dilations,
            groups,
        })
    };
    let pool = |kernel, strides, pads| {
        Op::MaxPool(Pool {
            kernel,
            strides,
            pads,
            ceil_mode: true,
        })
    };
    let cases = [
        ("no step", conv([1, 0], [0; 4], [1; 2], 1), "does not fit"),
        ("no group", conv([1; 2], [0; 4], [1; 2], 0), "0 groups"),
        (
            "too many groups",
            conv([1; 2], [0; 4], [1; 2], MAX),
            "groups",
        ),
        (
            "huge pads",
            conv([1; 2], [MAX; 4], [1; 2], 1),
            "does not fit",
        ),
        (
            "a huge result",
            conv([1; 2], [1 << 40, 0, 0, 0], [1; 2], 1),
            "the limit is",
        ),
        (
            "huge dilation",
            conv([1; 2], [0; 4], [MAX; 2], 1),
            "does not fit",
        ),
        (
            "pool without step",
            pool([2; 2], [0; 2], [0; 4]),
            "do not fit",
        ),
        (
            "pool without kernel",
            pool([0; 2], [1; 2], [0; 4]),
            "do not fit",
        ),
        (
            "pool of padding",
            pool([2; 2], [1; 2], [2; 4]),
            "do not fit",
        ),
        (
            "huge pool",
            pool([MAX; 2], [1; 2], [MAX - 1; 4]),
            "do not fit",
        ),
        ("axis", Op::Softmax { axis: 4 }, "axis 4"),
        ("axis", Op::LpNormalization { axis: MAX, p: 2 }, "axis"),
        ("p", Op::LpNormalization { axis: 1, p: 3 }, "p is 3"),
        ("axis", Op::Concat { axis: 4 }, "axis 4"),
        ("axis", Op::Flatten { axis: 5 }, "axis 5"),
        (
            "sizes",
            Op::Split {
                axis: 1,
                sizes: vec![MAX, 4],
            },
            "add up",
        ),
        (
            "step",
            Op::Slice {
                axis: 2,
                start: 0,
                end: 4,
                step: 0,
            },
            "0..4 by 0",
        ),
        (
            "end",
            Op::Slice {
                axis: 2,
                start: 0,
                end: 5,
                step: 1,
            },
            "0..5",
        ),
        (
            "backwards",
            Op::Slice {
                axis: 2,
                start: 3,
                end: 2,
                step: 1,
            },
            "3..2",
        ),
        (
            "pads",
            Op::Pad {
                pads: vec![(0, 0); 3],
                value: 0.0,
            },
            "3 pairs of pads",
        ),
        (
            "pads",
            Op::Pad {
                pads: vec![(MAX, 1); 4],
                value: 0.0,
            },
            "the limit is",
        ),
        (
            "pads",
            Op::Pad {
                pads: vec![(1 << 30, 0); 4],
                value: 0.0,
            },
            "the limit is",
        ),
        ("axes", Op::Squeeze { axes: vec![1] }, "has extent 3"),
        ("axes", Op::Squeeze { axes: vec![7] }, "axis 7"),
        ("axes", Op::Unsqueeze { axes: vec![0, 6] }, "axis 6"),
        ("axes", Op::Unsqueeze { axes: vec![2, 1] }, "ascend"),
        (
            "axes",
            Op::Reduce {
                kind: Reduce::Mean,
                axes: vec![1, 1],
                keep_dims: true,
            },
            "ascend",
        ),
        (
            "perm",
            Op::Transpose {
                perm: vec![0, 1, 2, 2],
            },
            "perm [0, 1, 2, 2]",
        ),
        (
            "shape",
            Op::Reshape {
                shape: vec![Dim::Fixed(95)],
            },
            "cannot become [95]",
        ),
        (
            "shape",
            Op::Reshape {
                shape: vec![Dim::Fixed(MAX); 2],
            },
            "cannot become",
        ),
        (
            "shape",
            Op::Expand {
                shape: vec![Dim::Fixed(5)],
            },
            "broadcast",
        ),
        (
            "shape",
            Op::Expand {
                shape: [1 << 40, 1, 1, 1, 1].map(Dim::Fixed).into(),
            },
            "the limit is",
        ),
        (
            "batch",
            Op::Reshape {
                shape: vec![Dim::Batch, Dim::Fixed(48)],
            },
            "batch",
        ),
        (
            "batch",
            Op::Expand {
                shape: vec![Dim::Batch],
            },
            "batch",
        ),
    ];
    let x = Tensor::zeros([2, 3, 4, 4]).unwrap();
    let weight = Tensor::zeros([3, 3, 2, 2]).unwrap();
    for (name, op, wanted) in cases {
        let inputs = if matches!(op, Op::Conv(_)) {
            vec![&x, &weight]
        } else {
            vec![&x]
        };
        let error = eval("the node", &op, &inputs).unwrap_err().to_string();
        assert!(error.contains("the node"), "{name}: {error}");
        assert!(error.contains(wanted), "{name}: {error}");
    }
}

/// A tensor without an element may claim any extent, also that of a kernel.
#[test]
fn a_kernel_larger_than_memory_is_refused() {
    const HALF: usize = usize::MAX / 2;
    let x = Tensor::zeros([1, 0, 1, 1]).unwrap();
    let weight = Tensor::zeros([1, 0, 1, HALF]).unwrap();
    let conv = Op::Conv(Conv {
        pads: [0, HALF, 0, 0],
        ..Conv::pointwise()
    });
    let error = eval("n", &conv, &[&x, &weight]).unwrap_err().to_string();
    assert!(error.contains("1 output channels in 1 groups"), "{error}");
}

#[test]
fn nan_goes_through() {
    let nan = Tensor::f32([1, 1, 2, 2], [f32::NAN, 1.0, 2.0, -3.0]).unwrap();
    let pool = Pool {
        kernel: [2, 2],
        strides: [1, 1],
        pads: [0; 4],
        ceil_mode: false,
    };
    let unary = [
        Unary::Relu,
        Unary::LeakyRelu { alpha: 0.1 },
        Unary::Sigmoid,
        Unary::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        },
        Unary::HardSwish,
        Unary::Tanh,
        Unary::Clip {
            min: -1.0,
            max: 1.0,
        },
        Unary::Sqrt,
        Unary::Exp,
        Unary::Reciprocal,
    ];
    let ops = unary.map(Op::Unary).into_iter().chain([
        Op::MaxPool(pool),
        Op::GlobalAveragePool,
        Op::Softmax { axis: 3 },
        Op::LpNormalization { axis: 3, p: 2 },
    ]);
    for op in ops {
        let y = eval("n", &op, &[&nan]).unwrap();
        assert!(y[0].as_f32().unwrap()[0].is_nan(), "{op:?}: {y:?}");
    }
    let zero_point = Tensor::new([], Data::U8(vec![7])).unwrap();
    let quantised = eval(
        "n",
        &Op::QuantizeLinear { axis: 0 },
        &[&nan, &Tensor::scalar(1.0), &zero_point],
    );
    assert_eq!(quantised.unwrap()[0].data(), &Data::U8(vec![7, 8, 9, 4]));
}

/// conv -> gate by its own mean -> two halves -> joined in the other order -> `[Batch, 64]`. The
/// weight is used twice, one half is never read, and an inner value is an output.
fn network() -> Graph {
    let mut graph = Graph::new("gated", "image", [2, 4, 4]);
    let weight: Vec<f32> = (0..8).map(|i| i as f32 * 0.3 - 1.0).collect();
    let weight = graph.param("weight", Tensor::f32([4, 2, 1, 1], weight).unwrap());
    let conv = || Op::Conv(Conv::pointwise());
    let image = graph.input();
    let first = graph
        .push1("first", conv(), [image.into(), weight.into()])
        .unwrap();
    let again = graph
        .push1("again", conv(), [image.into(), weight.into()])
        .unwrap();
    let mean = graph
        .push1("mean", Op::GlobalAveragePool, [first.into()])
        .unwrap();
    let gated = graph
        .push1(
            "gated",
            Op::Binary(Binary::Mul),
            [again.into(), mean.into()],
        )
        .unwrap();
    let split = Op::Split {
        axis: 1,
        sizes: vec![1, 1, 2],
    };
    let parts = graph.push("split", split, [gated.into()]).unwrap();
    let join = Op::Concat { axis: 1 };
    let swapped = graph
        .push1(
            "swap",
            join,
            [parts[2].into(), parts[0].into(), parts[0].into()],
        )
        .unwrap();
    let shape = vec![Dim::Batch, Dim::Fixed(64)];
    let flat = graph
        .push1("flat", Op::Reshape { shape }, [swapped.into()])
        .unwrap();
    graph.output("flat", flat);
    graph.output("mean", mean);
    graph.output("flat again", flat);
    graph.output("image", image);
    graph
}

fn image(batch: usize) -> Tensor {
    let pixels: Vec<f32> = (0..batch * 32)
        .map(|i| (i * 7 % 29) as f32 / 8.0 - 1.5)
        .collect();
    Tensor::f32([batch, 2, 4, 4], pixels).unwrap()
}

#[test]
fn a_graph_computes_what_its_operators_compute_one_by_one() {
    let (graph, x) = (network(), image(3));
    let weight = graph.params()[0].tensor.clone();
    let conv = &eval("", &Op::Conv(Conv::pointwise()), &[&x, &weight]).unwrap()[0];
    let mean = &eval("", &Op::GlobalAveragePool, &[conv]).unwrap()[0];
    let gated = eval("", &Op::Binary(Binary::Mul), &[conv, mean]).unwrap();
    let gated = gated[0].as_f32().unwrap();
    let flat: Vec<f32> = (gated.chunks_exact(64))
        .flat_map(|crop| [&crop[32..], &crop[..16], &crop[..16]].concat())
        .collect();
    let flat = Tensor::f32([3, 64], flat).unwrap();

    let outputs = run(&graph, &x).unwrap();
    assert_eq!(outputs, [flat.clone(), mean.clone(), flat, x]);
}

#[test]
fn every_value_is_shown_once_and_in_order() {
    let graph = network();
    let mut seen = Vec::new();
    run_with(&graph, &image(2), |id, tensor| {
        let fact = &graph.value(id).fact;
        assert_eq!(
            tensor.shape(),
            fact.shape_for(2),
            "{}",
            graph.value(id).name
        );
        seen.push(graph.value(id).name.as_str());
    })
    .unwrap();
    let wanted = [
        "image", "first", "again", "mean", "gated", "split:0", "split:1", "split:2", "swap", "flat",
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn a_crop_does_not_depend_on_the_others_of_its_batch() {
    let graph = network();
    let both = &run(&graph, &image(2)).unwrap()[0];
    let second = Op::Slice {
        axis: 0,
        start: 1,
        end: 2,
        step: 1,
    };
    let alone = eval("", &second, &[&image(2)]).unwrap();
    let alone = &run(&graph, &alone[0]).unwrap()[0];
    assert_eq!(alone.as_f32().unwrap(), &both.as_f32().unwrap()[64..]);
    assert_eq!(run(&graph, &image(0)).unwrap()[0].shape(), [0, 64]);
}

#[test]
fn an_input_of_another_size_or_type_is_refused() {
    let graph = network();
    for x in [
        Tensor::zeros([1, 3, 4, 4]).unwrap(),
        Tensor::zeros([2, 4, 4]).unwrap(),
        Tensor::new([1, 2, 4, 4], Data::U8(vec![0; 32])).unwrap(),
    ] {
        let error = run(&graph, &x).unwrap_err().to_string();
        assert!(error.contains("`image`"), "{error}");
        assert!(error.contains("wants F32 [N, 2, 4, 4]"), "{error}");
    }
}
