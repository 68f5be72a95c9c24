//! Folding: the folded network computes what the unfolded one does, and every step ends where the
//! documentation says.

use network::graph::fold::{fold, merge_branches, take_normalisation};
use network::graph::{Binary, Conv, Gemm, Graph, Op, Operand, Pool, Reduce, Unary, ValueId};
use network::reference;
use network::tensor::Tensor;

/// A graph under construction, with weights from a small deterministic generator.
struct Net {
    graph: Graph,
    random: u64,
    end: ValueId,
}

impl Net {
    fn new(channels: usize, size: usize) -> Self {
        let graph = Graph::new("net", "images", [channels, size, size]);
        let end = graph.input();
        Self {
            graph,
            random: 1,
            end,
        }
    }

    /// Values in -1..1 (xorshift64).
    fn values(&mut self, len: usize) -> Vec<f32> {
        let mut next = || {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            (self.random >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    fn param(&mut self, name: &str, shape: &[usize]) -> Operand {
        let values = self.values(shape.iter().product());
        self.graph
            .param(name, Tensor::f32(shape, values).unwrap())
            .into()
    }

    fn push(&mut self, name: &str, op: Op, others: &[Operand]) -> &mut Self {
        let mut inputs = vec![Operand::Value(self.end)];
        inputs.extend(others);
        self.end = self.graph.push1(name, op, inputs).unwrap();
        self
    }

    fn conv(&mut self, name: &str, shape: [usize; 4], pad: usize, groups: usize) -> &mut Self {
        let weight = self.param(&format!("{name}.weight"), &shape);
        let conv = Conv {
            pads: [pad; 4],
            groups,
            ..Conv::pointwise()
        };
        self.push(name, Op::Conv(conv), &[weight])
    }

    fn norm(&mut self, name: &str, channels: usize) -> &mut Self {
        let mut parameters: Vec<Operand> = ["gamma", "beta", "mean"]
            .iter()
            .map(|part| self.param(&format!("{name}.{part}"), &[channels]))
            .collect();
        let variance: Vec<f32> = self
            .values(channels)
            .iter()
            .map(|v| v.abs() + 0.3)
            .collect();
        let variance = Tensor::f32([channels], variance).unwrap();
        parameters.push(
            self.graph
                .param(format!("{name}.variance"), variance)
                .into(),
        );
        self.push(name, Op::BatchNorm { epsilon: 1e-5 }, &parameters)
    }

    fn relu(&mut self, name: &str) -> &mut Self {
        self.push(name, Op::Unary(Unary::Relu), &[])
    }

    fn binary(&mut self, name: &str, binary: Binary, shape: &[usize]) -> &mut Self {
        let constant = self.param(&format!("{name}.c"), shape);
        self.push(name, Op::Binary(binary), &[constant])
    }

    fn gemm(&mut self, name: &str, inputs: usize, outputs: usize, bias: bool) -> &mut Self {
        let mut others = vec![self.param(&format!("{name}.weight"), &[outputs, inputs])];
        if bias {
            others.push(self.param(&format!("{name}.bias"), &[outputs]));
        }
        let gemm = Gemm {
            alpha: 0.5,
            beta: 2.0,
            trans_a: false,
            trans_b: true,
        };
        self.push(name, Op::Gemm(gemm), &others)
    }

    fn pooled(&mut self) -> &mut Self {
        self.push("pool", Op::GlobalAveragePool, &[])
            .push("flat", Op::Flatten { axis: 1 }, &[])
    }

    fn done(&mut self) -> Graph {
        let mut graph = self.graph.clone();
        graph.output("embedding", self.end);
        graph
    }
}

fn image(graph: &Graph) -> Tensor {
    let [c, h, w] = graph.input_size();
    let values = Net::new(1, 1).values(2 * c * h * w);
    Tensor::f32([2, c, h, w], values).unwrap()
}

fn ops(graph: &Graph) -> Vec<&'static str> {
    graph
        .nodes()
        .iter()
        .map(|node| node.op.onnx_name())
        .collect()
}

/// Largest difference of two runs, relative to the largest value.
fn difference(a: &Graph, b: &Graph) -> f32 {
    let input = image(a);
    let (a, b) = (
        reference::run(a, &input).unwrap(),
        reference::run(b, &input).unwrap(),
    );
    assert_eq!(a.len(), b.len());
    let mut worst = 0f32;
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a.shape(), b.shape());
        let (a, b) = (a.as_f32().unwrap(), b.as_f32().unwrap());
        let scale = a.iter().fold(1e-6f32, |max, v| max.max(v.abs()));
        let apart = a
            .iter()
            .zip(b)
            .fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        worst = worst.max(apart / scale);
    }
    worst
}

#[test]
fn the_folded_network_computes_the_same_and_every_step_has_its_place() {
    struct Case {
        name: &'static str,
        net: fn(&mut Net) -> &mut Net,
        wanted: &'static [&'static str],
    }
    #[rustfmt::skip]
    let cases = [
        Case { name: "conv, norm", net: |n| n.conv("c", [4, 3, 3, 3], 1, 1).norm("n", 4).relu("r"), wanted: &["Conv", "Relu"] },
        Case { name: "two steps behind one conv", net: |n| n.conv("c", [4, 3, 3, 3], 1, 1).norm("n", 4).binary("m", Binary::Mul, &[4, 1, 1]), wanted: &["Conv"] },
        Case { name: "grouped", net: |n| n.conv("c", [6, 3, 1, 1], 0, 1).norm("n", 6).conv("d", [6, 2, 3, 3], 1, 3).norm("o", 6), wanted: &["Conv", "Conv"] },
        Case { name: "depthwise", net: |n| n.conv("c", [3, 1, 3, 3], 1, 3).norm("n", 3), wanted: &["Conv"] },
        Case { name: "norm before an unpadded conv", net: |n| n.relu("r").norm("n", 3).conv("c", [4, 3, 3, 3], 0, 1), wanted: &["Relu", "Conv"] },
        Case { name: "norm before a padded conv", net: |n| n.relu("r").norm("n", 3).conv("c", [4, 3, 3, 3], 1, 1), wanted: &["Relu", "Conv", "Conv"] },
        Case { name: "factor before a padded conv", net: |n| n.relu("r").binary("m", Binary::Div, &[3, 1, 1]).conv("c", [4, 3, 3, 3], 1, 1), wanted: &["Relu", "Conv"] },
        Case { name: "plain BNNeck", net: |n| n.conv("c", [4, 3, 3, 3], 1, 1).relu("r").pooled().norm("neck", 4), wanted: &["Conv", "Relu", "GlobalAveragePool", "Conv", "Flatten"] },
        Case { name: "neck and classifier", net: |n| n.relu("r").pooled().norm("neck", 3).gemm("fc", 3, 5, true), wanted: &["Relu", "GlobalAveragePool", "Flatten", "Gemm"] },
        Case { name: "norm behind an embedding layer", net: |n| n.pooled().gemm("fc", 3, 5, true).norm("neck", 5), wanted: &["GlobalAveragePool", "Flatten", "Gemm"] },
        Case { name: "norm behind a layer without bias", net: |n| n.pooled().gemm("fc", 3, 5, false).norm("neck", 5), wanted: &["GlobalAveragePool", "Flatten", "Gemm"] },
        Case { name: "norm through the pooling", net: |n| n.conv("c", [4, 3, 3, 3], 1, 1).pooled().norm("neck", 4), wanted: &["Conv", "GlobalAveragePool", "Flatten"] },
        Case { name: "norm of features alone", net: |n| n.push("mean", Op::Reduce { kind: Reduce::Mean, axes: vec![2, 3], keep_dims: false }, &[]).norm("neck", 3), wanted: &["ReduceMean", "Mul", "Add"] },
        Case { name: "matrix product becomes a layer", net: |n| { n.pooled(); let w = n.param("w", &[3, 5]); n.push("mm", Op::MatMul, &[w]).binary("b", Binary::Add, &[5]) }, wanted: &["GlobalAveragePool", "Flatten", "Gemm"] },
        Case { name: "step behind a power stays", net: |n| n.push("e", Op::Unary(Unary::Exp), &[]).binary("m", Binary::Mul, &[]).relu("r"), wanted: &["Exp", "Mul", "Relu"] },
        Case { name: "padded mean keeps its place", net: |n| n.conv("c", [4, 3, 1, 1], 0, 1).push("p", Op::AveragePool { pool: Pool { kernel: [3, 3], strides: [1, 1], pads: [1; 4], ceil_mode: false }, count_include_pad: true }, &[]).norm("n", 4), wanted: &["Conv", "AveragePool", "Conv"] },
    ];
    for Case { name, net, wanted } in cases {
        let graph = net(&mut Net::new(3, 6)).done();
        let folded = fold(&graph).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(ops(&folded), wanted, "{name}");
        // f32 weights rounded once more: a few units in the last place, summed over a kernel.
        let apart = difference(&graph, &folded);
        assert!(apart < 2e-6, "{name}: {apart}");
        assert_eq!(
            fold(&folded).unwrap(),
            folded,
            "{name}: folding twice is folding once"
        );
        assert_eq!(folded.outputs()[0].name, "embedding", "{name}");
    }
}

#[test]
fn a_value_that_something_else_reads_keeps_its_meaning() {
    // The conv's own output is used twice: the step must not change what the addition reads.
    let mut net = Net::new(3, 6);
    net.conv("c", [4, 3, 3, 3], 1, 1);
    let raw = net.end;
    net.norm("n", 4)
        .push("sum", Op::Binary(Binary::Add), &[raw.into()])
        .norm("m", 4);
    let graph = net.done();
    let folded = fold(&graph).unwrap();
    assert!(difference(&graph, &folded) < 2e-6);
    assert!(!ops(&folded).contains(&"BatchNormalization"));

    // Features before and behind the neck both leave the network.
    let mut net = Net::new(3, 6);
    net.conv("c", [4, 3, 3, 3], 1, 1).pooled();
    let f_t = net.end;
    net.norm("neck", 4);
    let mut graph = net.done();
    graph.output("f_t", f_t);
    let folded = fold(&graph).unwrap();
    assert!(difference(&graph, &folded) < 2e-6);
    let dropped = fold(&folded.with_output("embedding").unwrap()).unwrap();
    assert!(difference(&graph.with_output("embedding").unwrap(), &dropped) < 2e-6);

    // One step read twice, behind a layer that must not be changed for a shared weight.
    let mut net = Net::new(3, 6);
    let weight = net.param("shared", &[3, 3, 1, 1]);
    let conv = Op::Conv(Conv::pointwise());
    net.push("a", conv.clone(), &[weight])
        .norm("n", 3)
        .push("b", conv, &[weight]);
    let graph = net.done();
    let folded = fold(&graph).unwrap();
    assert!(difference(&graph, &folded) < 2e-6);
    let mut names: Vec<&str> = folded
        .params()
        .iter()
        .map(|param| param.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["a.bias", "a.weight", "shared"]);
}

#[test]
fn a_leading_normalisation_leaves_the_network() {
    let mut net = Net::new(3, 6);
    let shape = [1, 3, 1, 1];
    let mean = Tensor::f32(shape, [0.485, 0.456, 0.406]).unwrap();
    let mean = net.graph.param("mean", mean).into();
    let std = net
        .graph
        .param("std", Tensor::f32(shape, [0.229, 0.224, 0.225]).unwrap())
        .into();
    net.push("sub", Op::Binary(Binary::Sub), &[mean]);
    net.push("div", Op::Binary(Binary::Div), &[std]);
    net.conv("c", [4, 3, 3, 3], 1, 1);
    let graph = net.done();
    let (shorter, normalisation) = take_normalisation(&graph).unwrap();
    assert_eq!(ops(&shorter), ["Conv"]);
    let affine = normalisation.expect("there was one");
    for (scale, std) in affine.scale.iter().zip([0.229, 0.224, 0.225]) {
        assert!((scale * std - 1.0).abs() < 1e-6);
    }
    for (c, (shift, mean)) in affine.shift.iter().zip([0.485, 0.456, 0.406]).enumerate() {
        assert!((shift + mean * affine.scale[c]).abs() < 1e-6);
    }
    let (same, none) = take_normalisation(&shorter).unwrap();
    assert_eq!((same, none), (shorter, None));
}

#[test]
fn a_norm_behind_the_input_is_no_normalisation() {
    let mut net = Net::new(3, 6);
    let graph = net.norm("bn0", 3).conv("c", [4, 3, 3, 3], 1, 1).done();
    let (same, none) = take_normalisation(&graph).unwrap();
    assert_eq!((same, none), (graph, None));
}

#[test]
fn a_constant_that_adds_channels_stays() {
    let mut net = Net::new(1, 6);
    let graph = net
        .conv("grey", [1, 1, 3, 3], 0, 1)
        .binary("colour", Binary::Mul, &[3, 1, 1])
        .conv("c", [4, 3, 3, 3], 0, 1)
        .done();
    let folded = fold(&graph).unwrap();
    assert_eq!(ops(&folded), ["Conv", "Mul", "Conv"]);
    assert_eq!(difference(&graph, &folded), 0.0);
}

#[test]
fn weights_that_would_leave_the_range_of_f32_are_not_folded() {
    let mut net = Net::new(3, 6);
    net.relu("r");
    let tiny = Tensor::f32([3, 1, 1], [1e-39, 1.0, 1.0]).unwrap();
    let tiny = net.graph.param("tiny", tiny).into();
    let graph = net
        .push("div", Op::Binary(Binary::Div), &[tiny])
        .conv("c", [4, 3, 1, 1], 0, 1)
        .done();
    // A black first plane is 0 / 1e-39 = 0 in this network, and 0 * infinity in a folded one.
    assert_eq!(fold(&graph).unwrap(), graph);
}

#[test]
fn an_impossible_norm_is_refused_with_its_name() {
    let mut net = Net::new(3, 6);
    let good = net.param("p", &[3]);
    let bad = Tensor::f32([3], [1.0, -1.0, 1.0]).unwrap();
    let bad = net.graph.param("variance", bad).into();
    net.push(
        "layer1.bn1",
        Op::BatchNorm { epsilon: 1e-5 },
        &[good, good, good, bad],
    );
    let error = fold(&net.done()).unwrap_err().to_string();
    assert!(
        error.contains("layer1.bn1") && error.contains("variance -1"),
        "{error}"
    );
}

/// Each of many operators in a row used to look for its layer through all those before it, and each
/// of these through all nodes: 5,000 products behind a convolution took 30 s and more to fold in a
/// development build, which takes below a tenth of a second. The bound is for slow machines.
#[test]
fn a_long_chain_of_operators_is_folded_in_no_time() {
    const LENGTH: usize = 5000;
    let mul = Op::Binary(Binary::Mul);
    let add = Op::Binary(Binary::Add);
    let norm = Op::BatchNorm { epsilon: 1e-5 };
    let relu = Op::Unary(Unary::Relu);
    for (name, ops) in [
        ("products", &[mul.clone()][..]),
        ("sums", std::slice::from_ref(&add)),
        ("BatchNorms", std::slice::from_ref(&norm)),
        ("products and means", &[mul.clone(), Op::GlobalAveragePool]),
        (
            "products, sums and ReLUs",
            &[mul.clone(), relu, add.clone()],
        ),
    ] {
        let mut net = Net::new(3, 4);
        net.conv("stem", [4, 3, 1, 1], 0, 1);
        let constant = |net: &mut Net, shape: &[usize]| -> Operand {
            let ones = Tensor::f32(shape, vec![0.999; 4]).unwrap();
            net.graph.param("constant", ones).into()
        };
        let (row, image) = (constant(&mut net, &[4]), constant(&mut net, &[4, 1, 1]));
        for index in 0..LENGTH {
            let op = ops[index % ops.len()].clone();
            let others = match op {
                Op::BatchNorm { .. } => vec![row; 4],
                Op::Binary(_) => vec![image],
                _ => Vec::new(),
            };
            net.push(&format!("node{index}"), op, &others);
        }
        net.graph.output("y", net.end);
        let start = std::time::Instant::now();
        let (graph, _) = take_normalisation(&net.graph).unwrap();
        let folded = fold(&merge_branches(&graph).unwrap()).unwrap();
        let took = start.elapsed();
        assert!(took.as_secs() < 20, "{name}: {took:?}");
        let left = folded.nodes().len();
        match name {
            "products, sums and ReLUs" => assert!(left > LENGTH / 3, "{left}"),
            "products and means" => assert!(left <= 1 + LENGTH / 2, "{left}"),
            _ => assert_eq!(left, 1, "{name}"),
        }
    }
}

/// A sum of sums is looked into from each of them.
#[test]
fn a_long_chain_of_sums_is_merged_in_no_time() {
    let mut net = Net::new(3, 4);
    let image = net.end;
    net.conv("first", [3, 3, 1, 1], 0, 1);
    for index in 0..2000 {
        let sum = net.end;
        net.end = image;
        net.conv(&format!("branch{index}"), [3, 3, 1, 1], 0, 1);
        let branch = net.end;
        net.end = sum;
        net.push(
            &format!("sum{index}"),
            Op::Binary(Binary::Add),
            &[branch.into()],
        );
    }
    net.graph.output("y", net.end);
    let start = std::time::Instant::now();
    let merged = merge_branches(&net.graph).unwrap();
    let took = start.elapsed();
    assert!(took.as_secs() < 20, "{took:?}");
    // Sixteen sums are one layer; each further one keeps its own branch.
    let convolutions = merged
        .nodes()
        .iter()
        .filter(|node| matches!(node.op, Op::Conv(_)));
    assert_eq!(convolutions.count(), 1 + 2000 - 16);
}
