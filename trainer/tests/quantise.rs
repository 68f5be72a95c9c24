//! The quantiser on whole networks: what it computes, what the device makes of it, what it refuses.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use kernels::cpu::Cpu;
use kernels::plan::Plan;
use network::graph::fold::{fold, merge_branches};
use network::graph::{Binary, Conv, Graph, Op, Operand, Pool, Unary, ValueId};
use network::metadata::Preprocessing;
use network::onnx;
use network::tensor::{Data, Tensor};
use synth::random::Draw;
use trainer::export::quantise::{
    Calibrated, Calibration, Images, Progress, QdqLayout, QuantiseOptions, Quantised, Rounding,
    Scheme, calibrate, quantise,
};
use trainer::nets::{self, Backbone, Net, Spec};
use trainer::{Error, Result};

/// Height and width of all images here.
const SIZE: [usize; 2] = [64, 32];
const RANGE: [f32; 2] = [-2.2, 2.7];
/// Pictures to calibrate on.
const PICTURES: usize = 6;

/// Nothing is done that takes time.
fn plain() -> QuantiseOptions {
    QuantiseOptions {
        calibration: Calibration::MinMax,
        equalise: false,
        bias_correction: false,
        rounding: Rounding::Nearest,
        ..QuantiseOptions::default()
    }
}

/// The smallest network that has everything, and what is measured of it with all refinements.
static OSNET: LazyLock<(Graph, Calibrated)> = LazyLock::new(|| {
    let float = network(Backbone::OsNetX0_25);
    let calibrated = calibrated(&float, &QuantiseOptions::default());
    (float, calibrated)
});

/// A picture of two soft spots on a ground, all of chance.
fn picture(index: usize) -> Tensor {
    let [height, width] = SIZE;
    let mut draw = Draw::new(7, "picture", &[index as u64]);
    let mut values = Vec::new();
    for _ in 0..3 {
        let ground = draw.between(-1.5, 1.5);
        let spots = [(); 2].map(|()| {
            let at = [draw.unit() * height as f64, draw.unit() * width as f64];
            (at, draw.between(-2.0, 2.0), draw.between(4.0, 20.0))
        });
        for y in 0..height {
            for x in 0..width {
                let mut value = ground + draw.between(-0.2, 0.2);
                for (at, strength, size) in spots {
                    let far = (y as f64 - at[0]).powi(2) + (x as f64 - at[1]).powi(2);
                    value += strength * (-far / (size * size)).exp();
                }
                values.push(value.clamp(-2.1, 2.6) as f32);
            }
        }
    }
    Tensor::f32([1, 3, height, width], values).unwrap()
}

/// What a device reads, with statistics that are not fresh.
fn network(backbone: Backbone) -> Graph {
    let spec = Spec {
        backbone,
        size: SIZE,
        ..Spec::default()
    };
    let net = nets::build(&spec, 4, 1).unwrap();
    let net = moved(net);
    let mut graph = net.graph().with_output("f_i").unwrap();
    let feature = graph.take_outputs()[0].value;
    graph.output("embedding", feature);
    fold(&merge_branches(&graph).unwrap()).unwrap()
}

/// Scales and shifts of every channel are different, as training leaves them.
fn moved(mut net: Net) -> Net {
    let ids: Vec<_> = net
        .graph()
        .param_ids()
        .map(|(id, p)| (id, p.clone()))
        .collect();
    for (id, mut param) in ids {
        let mut draw = Draw::new(2, &param.name, &[]);
        let name = param.name.as_str();
        let range = if name.ends_with("running_var") {
            0.5..2.0
        } else if name.contains("bn") && name.ends_with("weight") {
            0.3..1.7
        } else if name.contains("bn") && (name.ends_with("bias") || name.ends_with("mean")) {
            -0.3..0.3
        } else {
            continue;
        };
        for value in param.tensor.as_f32_mut().unwrap() {
            *value = draw.between(range.start, range.end) as f32;
        }
        net.set_tensor(id, param.tensor).unwrap();
    }
    net
}

fn images(count: usize, read: &mut dyn FnMut(usize) -> Result<Tensor>) -> Images<'_> {
    Images {
        count,
        read,
        name: &|index| format!("image {index}"),
        range: RANGE,
    }
}

fn calibrated(graph: &Graph, options: &QuantiseOptions) -> Calibrated {
    let mut read = |index| Ok(picture(index));
    calibrate(
        graph,
        &mut images(PICTURES, &mut read),
        options,
        &mut Progress(None),
    )
    .unwrap()
}

fn quantised(graph: &Graph, options: &QuantiseOptions) -> Quantised {
    calibrated(graph, options)
        .quantise(options, &mut Progress(None))
        .unwrap()
}

/// Least cosine of two networks on pictures that nothing was calibrated on.
fn cosine(float: &Graph, other: &Graph) -> f64 {
    let cpu = Cpu::new(0);
    (100..102)
        .map(|index| {
            let [a, b] = [float, other].map(|graph| {
                let output = cpu.run(graph, &picture(index)).unwrap().swap_remove(0);
                output.as_f32().unwrap().to_vec()
            });
            let dot = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum()
            };
            dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
        })
        .fold(1.0, f64::min)
}

/// Names of the steps that are not in integers, up to the head.
fn float_steps(graph: &Graph) -> Vec<String> {
    let prepared = Preprocessing {
        height: SIZE[0],
        width: SIZE[1],
        ..Preprocessing::default()
    };
    let plan = Plan::new(graph, &prepared).unwrap();
    let steps = plan.steps().iter();
    let before_head = steps.take_while(|step| step.kind.name() != "mean");
    before_head
        .filter(|step| ["float", "quantise", "dequantise", "normalise"].contains(&step.kind.name()))
        .map(|step| format!("{} {}", step.kind.name(), step.name))
        .collect()
}

#[test]
fn every_family_is_integers_up_to_the_head_and_computes_the_same() {
    // Untrained networks exaggerate what rounding does: the bounds are what they are, with a margin.
    let equalised = QuantiseOptions {
        calibration: Calibration::Mse,
        equalise: true,
        bias_correction: true,
        ..plain()
    };
    let cases = [
        (Backbone::ResNet18, plain(), 0.99),
        (Backbone::MobileNetV2, equalised, 0.97),
        (Backbone::RepVggA0, plain(), 0.99),
    ];
    for (backbone, options, wanted) in cases {
        let float = network(backbone);
        check(
            &float,
            &calibrated(&float, &options),
            &options,
            wanted,
            &backbone.to_string(),
        );
    }
    let (float, calibrated) = &*OSNET;
    check(
        float,
        calibrated,
        &QuantiseOptions::default(),
        0.995,
        "osnet",
    );
}

fn check(
    float: &Graph,
    calibrated: &Calibrated,
    options: &QuantiseOptions,
    wanted: f64,
    name: &str,
) {
    for layout in [QdqLayout::Fused, QdqLayout::Ort] {
        let options = QuantiseOptions {
            layout,
            ..options.clone()
        };
        let Quantised { graph, record } =
            calibrated.quantise(&options, &mut Progress(None)).unwrap();
        let case = format!("{name} {layout:?}");
        assert_eq!(float_steps(&graph), [""; 0], "{case}");
        let cosine = cosine(float, &graph);
        assert!(cosine > wanted, "{case}: {cosine}");
        assert_eq!(
            record.layers.len(),
            calibrated.layers().unwrap().len(),
            "{case}"
        );
        assert_eq!(record.float, ["bottleneck"], "{case}");
    }
}

#[test]
fn refinements_help_and_symmetric_bytes_cost() {
    let (float, calibrated) = &*OSNET;
    let before = cosine(float, &quantised(float, &plain()).graph);
    let full = calibrated.quantise(&QuantiseOptions::default(), &mut Progress(None));
    let full = cosine(float, &full.unwrap().graph);
    assert!(full > before, "{before} {full}");
    let symmetric = QuantiseOptions {
        scheme: Scheme::S8Symmetric,
        ..plain()
    };
    let symmetric = quantised(float, &symmetric).graph;
    let mut zeros = symmetric
        .params()
        .iter()
        .filter(|p| p.name.ends_with("/zero_point"));
    assert!(zeros.all(|zero| *zero.tensor.data() == Data::I8(vec![0])));
    assert_eq!(float_steps(&symmetric), [""; 0]);
    let symmetric = cosine(float, &symmetric);
    assert!(
        symmetric > 0.98 && symmetric < before,
        "{symmetric} {before}"
    );
}

#[test]
fn the_file_says_the_same() {
    let (_, calibrated) = &*OSNET;
    let Quantised { graph, .. } = calibrated.quantise(&plain(), &mut Progress(None)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("int8.onnx");
    let bytes = onnx::write_bytes(&graph, &Default::default()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    let read = onnx::read_file(&path, &onnx::ReadOptions::default())
        .unwrap()
        .graph;
    let input = picture(3);
    let cpu = Cpu::new(0);
    assert_eq!(
        cpu.run(&graph, &input).unwrap(),
        cpu.run(&read, &input).unwrap()
    );
}

#[test]
fn streams_and_gates_of_a_block_share_their_scales() {
    let (_, calibrated) = &*OSNET;
    let Quantised { record, .. } = calibrated.quantise(&plain(), &mut Progress(None)).unwrap();
    let shared = |names: [&str; 4]| {
        let of = |name: &str| {
            (record
                .values
                .iter()
                .position(|value| value.names.iter().any(|n| n == name)))
            .unwrap_or_else(|| panic!("{name} is not quantised"))
        };
        let all: BTreeSet<usize> = names.into_iter().map(of).collect();
        assert_eq!(all.len(), 1, "{names:?}");
    };
    shared([
        "conv3.0.conv2a.relu",
        "conv3.0.conv2b.1.relu",
        "conv3.0.conv2c.2.relu",
        "conv3.0.conv2d.3.relu",
    ]);
    for layer in ["avgpool", "relu", "fc2", "sigmoid"] {
        let names = ["a", "b", "c", "d"].map(|s| format!("conv3.0.gate.{s}.{layer}"));
        shared(names.each_ref().map(String::as_str));
    }
}

#[test]
fn gates_have_room_for_what_was_not_seen() {
    let (_, calibrated) = &*OSNET;
    let Quantised { record, .. } = calibrated.quantise(&plain(), &mut Progress(None)).unwrap();
    let mut gates = 0;
    for value in record.values {
        let seen = value.seen[1].max(0.0) - value.seen[0].min(0.0);
        let room = 255.0 * value.params.scale / seen;
        if value.names[0].contains(".gate.") {
            gates += 1;
            assert!(room > 1.49 && value.method == "pooled", "{value:?}");
        } else {
            assert!(room < 1.02 && value.method != "pooled", "{value:?}");
        }
    }
    assert!(gates > 0);
}

#[test]
fn layers_stay_float_or_are_quantised_alone() {
    let float = network(Backbone::ResNet18);
    let cheap = plain();
    let calibrated = calibrated(&float, &cheap);
    let quantise = |options: &QuantiseOptions| calibrated.quantise(options, &mut Progress(None));
    let keep_float = BTreeSet::from(["layer2.0.conv1".to_owned()]);
    let kept = quantise(&QuantiseOptions {
        keep_float,
        ..cheap.clone()
    })
    .unwrap();
    assert_eq!(kept.record.float, ["layer2.0.conv1", "bottleneck"]);
    let all = quantise(&cheap).unwrap();
    assert_eq!(kept.record.layers.len() + 1, all.record.layers.len());
    assert!(cosine(&float, &kept.graph) > 0.99);

    let of = |graph: &Graph, name: &str| {
        let op = |op: &Op| op.onnx_name() == name;
        graph.nodes().iter().filter(|node| op(&node.op)).count()
    };
    let alone = quantise(&QuantiseOptions {
        only: Some("layer2.0.conv1".to_owned()),
        ..cheap.clone()
    })
    .unwrap();
    assert_eq!(alone.record.layers.len(), 1);
    assert_eq!(
        of(&alone.graph, "QuantizeLinear"),
        2,
        "what it reads and what it computes"
    );
    // Its result is added to the shortcut before anything is rounded.
    let added = quantise(&QuantiseOptions {
        only: Some("layer2.0.conv2".to_owned()),
        ..cheap.clone()
    })
    .unwrap();
    assert_eq!(of(&added.graph, "QuantizeLinear"), 1);
    assert!(cosine(&float, &alone.graph) > cosine(&float, &all.graph));

    for (options, wanted) in [
        (
            QuantiseOptions {
                keep_float: BTreeSet::from(["layer9".to_owned()]),
                ..cheap.clone()
            },
            "`layer9`",
        ),
        (
            QuantiseOptions {
                only: Some("layer1.0.add".to_owned()),
                ..cheap.clone()
            },
            "`layer1.0.add` is no layer",
        ),
    ] {
        let error = quantise(&options).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn what_cannot_be_calibrated_on_is_refused() {
    let float = small(|_, x| x);
    let mut broken = float.clone();
    let (id, param) = broken
        .param_ids()
        .next()
        .map(|(id, p)| (id, p.clone()))
        .unwrap();
    let mut values = param.tensor.as_f32().unwrap().to_vec();
    values[1] = f32::NAN;
    broken
        .set_tensor(id, Tensor::f32(param.tensor.shape(), values).unwrap())
        .unwrap();
    let black = || Tensor::f32([1, 3, 64, 32], vec![-2.1; 3 * 64 * 32]).unwrap();
    let no_number = |index| {
        let mut image = picture(index);
        if index == 2 {
            image.as_f32_mut().unwrap()[5] = f32::NAN;
        }
        image
    };
    type Read<'a> = &'a dyn Fn(usize) -> Tensor;
    let cases: [(&str, &Graph, usize, Read<'_>, &str); 5] = [
        ("none", &float, 0, &picture, "no images to calibrate on"),
        ("black", &float, 4, &|_| black(), "has one colour"),
        ("copies", &float, 4, &|_| picture(1), "the same image"),
        (
            "NaN in an image",
            &float,
            4,
            &no_number,
            "image 2: `x` is NaN",
        ),
        (
            "NaN in a weight",
            &broken,
            4,
            &picture,
            "`w0`: element 1 is NaN",
        ),
    ];
    for (name, graph, count, read, wanted) in cases {
        let mut read = |index| Ok(read(index));
        let error = quantise(
            graph,
            &mut images(count, &mut read),
            &QuantiseOptions::default(),
            &mut Progress(None),
        )
        .map(|_| ())
        .unwrap_err();
        let kind = matches!(error, Error::Argument(_) | Error::Parameter { .. });
        let error = error.to_string();
        assert!(kind && error.contains(wanted), "{name}: {error}");
    }
}

/// A small network: convolution, ReLU, what `middle` adds, another convolution, pooling.
fn small(middle: impl FnOnce(&mut Graph, ValueId) -> ValueId) -> Graph {
    let mut graph = Graph::new("small", "x", [3, 64, 32]);
    let x = graph.input();
    let x = conv(&mut graph, "0", x, 8, 1);
    let x = unary(&mut graph, "relu0", Unary::Relu, x);
    let x = middle(&mut graph, x);
    let x = conv(&mut graph, "9", x, 6, 1);
    let x = graph
        .push1("gap", Op::GlobalAveragePool, [x.into()])
        .unwrap();
    let x = graph
        .push1("flat", Op::Flatten { axis: 1 }, [x.into()])
        .unwrap();
    graph.output("embedding", x);
    graph
}

/// A 3 x 3 convolution with weights of chance; one in four of its channels is a hundredth of the
/// others.
fn conv(graph: &mut Graph, name: &str, x: ValueId, out: usize, groups: usize) -> ValueId {
    let channels = graph.value(x).fact.shape_for(1)[1];
    let each = channels / groups * 9;
    let mut draw = Draw::new(3, name, &[]);
    let mut weight = Vec::new();
    for o in 0..out {
        let size = if o % 4 == 3 { 0.01 } else { 1.0 } / (each as f64).sqrt();
        weight.extend((0..each).map(|_| (draw.normal() * size) as f32));
    }
    let weight = Tensor::f32([out, channels / groups, 3, 3], weight).unwrap();
    let weight = graph.param(format!("w{name}"), weight);
    let bias: Vec<f32> = (0..out).map(|_| draw.between(-0.1, 0.1) as f32).collect();
    let bias = graph.param(format!("b{name}"), Tensor::f32([out], bias).unwrap());
    let op = Op::Conv(Conv {
        pads: [1; 4],
        groups,
        ..Conv::pointwise()
    });
    let inputs = [x.into(), weight.into(), bias.into()];
    graph.push1(format!("conv{name}"), op, inputs).unwrap()
}

fn unary(graph: &mut Graph, name: &str, op: Unary, x: ValueId) -> ValueId {
    graph.push1(name, Op::Unary(op), [x.into()]).unwrap()
}

fn binary(graph: &mut Graph, name: &str, op: Binary, a: ValueId, b: ValueId) -> ValueId {
    graph
        .push1(name, Op::Binary(op), [a.into(), b.into()])
        .unwrap()
}

/// What a gate weighs x by: its mean through a convolution of one pixel and a sigmoid.
fn gate(graph: &mut Graph, name: &str, x: ValueId) -> ValueId {
    let g = graph
        .push1(format!("{name}/gap"), Op::GlobalAveragePool, [x.into()])
        .unwrap();
    let g = conv(graph, name, g, 8, 1);
    unary(graph, &format!("{name}/sigmoid"), Unary::Sigmoid, g)
}

#[test]
fn all_that_stands_between_layers_stays_integer() {
    type Middle = fn(&mut Graph, ValueId) -> ValueId;
    let cases: [(&str, Middle); 9] = [
        ("squeeze and excitation with a residual", |g, x| {
            let y = conv(g, "1", x, 8, 1);
            let weight = gate(g, "2", y);
            let y = binary(g, "mul", Binary::Mul, y, weight);
            let y = binary(g, "add", Binary::Add, y, x);
            unary(g, "relu", Unary::Relu, y)
        }),
        ("two layers added", |g, x| {
            let (a, b) = (conv(g, "1", x, 8, 1), conv(g, "2", x, 8, 1));
            binary(g, "add", Binary::Add, a, b)
        }),
        ("depthwise, ReLU6", |g, x| {
            let y = conv(g, "1", x, 8, 8);
            unary(g, "clip", Unary::Clip { min: 0.0, max: 6.0 }, y)
        }),
        ("leaky", |g, x| {
            let y = conv(g, "1", x, 8, 1);
            unary(g, "leaky", Unary::LeakyRelu { alpha: 0.1 }, y)
        }),
        ("swish", |g, x| {
            let y = conv(g, "1", x, 8, 1);
            unary(g, "swish", Unary::HardSwish, y)
        }),
        ("a table and a product", |g, x| {
            let y = conv(g, "1", x, 8, 1);
            let s = unary(g, "sigmoid", Unary::Sigmoid, y);
            binary(g, "mul", Binary::Mul, y, s)
        }),
        ("pools", |g, x| {
            let max = Op::MaxPool(Pool {
                kernel: [3; 2],
                strides: [2; 2],
                pads: [1; 4],
                ceil_mode: false,
            });
            let average = Op::AveragePool {
                pool: Pool {
                    kernel: [2; 2],
                    strides: [2; 2],
                    pads: [0; 4],
                    ceil_mode: false,
                },
                count_include_pad: false,
            };
            let x = g.push1("max", max, [x.into()]).unwrap();
            g.push1("average", average, [x.into()]).unwrap()
        }),
        ("halves joined", |g, x| {
            let cut = |start, end| Op::Slice {
                axis: 1,
                start,
                end,
                step: 1,
            };
            let a = g.push1("first", cut(0, 4), [x.into()]).unwrap();
            let b = g.push1("second", cut(4, 8), [x.into()]).unwrap();
            let a = conv(g, "1", a, 4, 1);
            let join = Op::Concat { axis: 1 };
            g.push1("join", join, [b.into(), a.into()]).unwrap()
        }),
        ("sums of three", |g, x| {
            let y = conv(g, "1", x, 8, 1);
            let z = conv(g, "2", x, 8, 1);
            let y = binary(g, "add1", Binary::Add, y, x);
            binary(g, "add2", Binary::Add, y, z)
        }),
    ];
    for (name, middle) in cases {
        let float = small(middle);
        for (layout, scheme) in [
            (QdqLayout::Fused, Scheme::U8),
            (QdqLayout::Ort, Scheme::U8),
            (QdqLayout::Fused, Scheme::S8Symmetric),
        ] {
            let options = QuantiseOptions {
                layout,
                scheme,
                ..QuantiseOptions::default()
            };
            let graph = quantised(&float, &options).graph;
            let case = format!("{name}, {layout:?}, {scheme:?}");
            assert_eq!(float_steps(&graph), [""; 0], "{case}");
            let cosine = cosine(&float, &graph);
            assert!(cosine > 0.998, "{case}: {cosine}");
            for node in graph.nodes() {
                if let (Op::QuantizeLinear { .. }, [_, Operand::Param(scale), _]) =
                    (&node.op, node.inputs.as_slice())
                {
                    let scale = graph.tensor(*scale).as_f32_scalar().unwrap();
                    assert!(scale.is_normal(), "{case}: {scale}");
                }
            }
        }
    }
}
