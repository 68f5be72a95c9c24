//! Merging parallel convolutions: what is merged computes the same, what does not fit stays.

use network::graph::fold::{fold, merge_branches};
use network::graph::{Binary, Conv, Graph, Op, Operand, Unary, ValueId};
use network::reference;
use network::tensor::Tensor;

/// A network of 4 channels, 7 x 6 pixels, that grows.
struct Net {
    graph: Graph,
    drawn: u32,
}

impl Net {
    fn new() -> Self {
        Self {
            graph: Graph::new("net", "images", [4, 7, 6]),
            drawn: 0,
        }
    }

    fn x(&self) -> ValueId {
        self.graph.input()
    }

    /// Numbers in -1..1 that differ from call to call.
    fn numbers(&mut self, shape: &[usize]) -> Tensor {
        self.drawn += 1;
        let start = f64::from(self.drawn);
        let count = shape.iter().product::<usize>();
        let numbers: Vec<f32> = (0..count)
            .map(|i| (start * 1.7 + i as f64 * 2.3).sin() as f32)
            .collect();
        Tensor::f32(shape, numbers).unwrap()
    }

    fn param(&mut self, shape: &[usize]) -> Operand {
        let tensor = self.numbers(shape);
        self.graph.param(format!("p{}", self.drawn), tensor).into()
    }

    fn push(&mut self, op: Op, inputs: &[Operand]) -> ValueId {
        let name = format!("n{}", self.graph.nodes().len());
        self.graph.push1(name, op, inputs).unwrap()
    }

    /// Four channels to four, centred.
    fn conv(&mut self, x: ValueId, kernel: usize, change: impl FnOnce(&mut Conv)) -> ValueId {
        let mut conv = Conv {
            pads: [kernel / 2; 4],
            ..Conv::pointwise()
        };
        change(&mut conv);
        let weight = self.param(&[4, 4 / conv.groups, kernel, kernel]);
        let bias = self.param(&[4]);
        self.push(Op::Conv(conv), &[x.into(), weight, bias])
    }

    fn norm(&mut self, x: ValueId) -> ValueId {
        let mut inputs = vec![x.into()];
        inputs.extend((0..3).map(|_| self.param(&[4])));
        let variance = Tensor::f32([4], [0.5, 1.0, 2.0, 4.0]).unwrap();
        let name = format!("v{}", self.graph.nodes().len());
        inputs.push(self.graph.param(name, variance).into());
        self.push(Op::BatchNorm { epsilon: 1e-5 }, &inputs)
    }

    fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.push(Op::Binary(Binary::Add), &[a.into(), b.into()])
    }

    /// Ends in a ReLU.
    fn finish(mut self, y: ValueId) -> Graph {
        let y = self.push(Op::Unary(Unary::Relu), &[y.into()]);
        self.graph.output("y", y);
        self.graph
    }

    fn norm_conv(&mut self, kernel: usize, change: impl FnOnce(&mut Conv)) -> ValueId {
        let y = self.conv(self.x(), kernel, change);
        self.norm(y)
    }
}

type Build = fn(&mut Net) -> ValueId;

fn plain(_: &mut Conv) {}

/// A training layer of RepVGG.
fn repvgg(net: &mut Net) -> ValueId {
    let (dense, one) = (net.norm_conv(3, plain), net.norm_conv(1, plain));
    let (sum, same) = (net.add(dense, one), net.norm(net.x()));
    net.add(sum, same)
}

fn images() -> Tensor {
    let numbers: Vec<f32> = (0..2 * 4 * 42).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::f32([2, 4, 7, 6], numbers).unwrap()
}

fn difference(a: &Graph, b: &Graph) -> f32 {
    let run = |graph| reference::run(graph, &images()).unwrap().remove(0);
    let (a, b) = (run(a), run(b));
    assert_eq!(a.shape(), b.shape());
    let pairs = a.as_f32().unwrap().iter().zip(b.as_f32().unwrap());
    pairs.fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

#[test]
fn branches_become_one_convolution() {
    let cases: [(&str, Build); 8] = [
        ("RepVGG", repvgg),
        ("no identity, step 2", |net| {
            let step = |conv: &mut Conv| conv.strides = [2; 2];
            let (dense, one) = (net.norm_conv(3, step), net.norm_conv(1, step));
            net.add(one, dense)
        }),
        ("the identity first, added from the right", |net| {
            let (same, dense) = (net.norm(net.x()), net.norm_conv(3, plain));
            let one = net.norm_conv(1, plain);
            let sum = net.add(dense, one);
            net.add(same, sum)
        }),
        ("convolutions without norm", |net| {
            let (a, b) = (net.conv(net.x(), 3, plain), net.conv(net.x(), 5, plain));
            net.add(a, b)
        }),
        ("two groups", |net| {
            let two = |conv: &mut Conv| conv.groups = 2;
            let (dense, one) = (net.norm_conv(3, two), net.norm_conv(1, two));
            let (sum, same) = (net.add(dense, one), net.norm(net.x()));
            net.add(sum, same)
        }),
        ("depthwise into dense", |net| {
            let depthwise = net.norm_conv(5, |conv| conv.groups = 4);
            let dense = net.norm_conv(3, plain);
            net.add(depthwise, dense)
        }),
        ("depthwise and identity", |net| {
            let depthwise = net.norm_conv(3, |conv| conv.groups = 4);
            let same = net.norm(net.x());
            net.add(depthwise, same)
        }),
        ("behind another layer", |net| {
            let x = net.conv(net.x(), 3, plain);
            let (a, b) = (net.conv(x, 3, plain), net.conv(x, 1, plain));
            let y = net.add(a, b);
            net.conv(y, 1, plain)
        }),
    ];
    for (name, build) in cases {
        let mut net = Net::new();
        let y = build(&mut net);
        let graph = net.finish(y);
        let merged = merge_branches(&graph).unwrap();
        let left = merged
            .nodes()
            .iter()
            .any(|node| matches!(node.op, Op::Binary(_) | Op::BatchNorm { .. }));
        assert!(!left, "{name}");
        // Each node rounds to f32; the one convolution does so once.
        assert!(difference(&graph, &merged) < 1e-5, "{name}");
        assert_eq!(merge_branches(&merged).unwrap(), merged, "{name} once more");

        let folded = merge_branches(&fold(&graph).unwrap()).unwrap();
        let left = folded
            .nodes()
            .iter()
            .any(|node| matches!(node.op, Op::Binary(_)));
        assert!(!left, "{name}, folded first");
        assert!(difference(&graph, &folded) < 1e-5, "{name}, folded first");
    }
}

#[test]
fn the_one_convolution_is_called_as_the_sum_was() {
    let mut net = Net::new();
    let y = repvgg(&mut net);
    let sum = net.graph.value(y).name.clone();
    let merged = merge_branches(&net.finish(y)).unwrap();
    assert_eq!(merged.nodes()[0].name, sum);
    let names: Vec<&str> = merged.params().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, [format!("{sum}.weight"), format!("{sum}.bias")]);
}

#[test]
fn what_does_not_fit_stays() {
    let cases: [(&str, Build); 7] = [
        ("the value itself", |net| {
            let y = net.conv(net.x(), 3, plain);
            net.add(y, net.x())
        }),
        ("another value", |net| {
            let x = net.conv(net.x(), 1, plain);
            let (a, b) = (net.conv(x, 3, plain), net.conv(net.x(), 1, plain));
            net.add(a, b)
        }),
        ("dilated", |net| {
            let dilate = |conv: &mut Conv| (conv.dilations, conv.pads) = ([2; 2], [2; 4]);
            let (a, b) = (net.conv(net.x(), 3, dilate), net.conv(net.x(), 3, plain));
            net.add(a, b)
        }),
        ("off the centre", |net| {
            let shift = |conv: &mut Conv| conv.pads = [2, 1, 0, 1];
            let (a, b) = (net.conv(net.x(), 3, shift), net.conv(net.x(), 1, plain));
            net.add(a, b)
        }),
        ("read by another", |net| {
            let (a, b) = (net.conv(net.x(), 3, plain), net.conv(net.x(), 1, plain));
            let sum = net.add(a, b);
            let half = net.push(Op::Unary(Unary::Sigmoid), &[a.into()]);
            net.add(sum, half)
        }),
        ("seen from outside", |net| {
            let (a, b) = (net.conv(net.x(), 3, plain), net.conv(net.x(), 1, plain));
            net.graph.output("a", a);
            net.add(a, b)
        }),
        ("beyond f32", |net| {
            let huge = |net: &mut Net| {
                let tensor = Tensor::f32([4, 4, 1, 1], vec![3e38; 16]).unwrap();
                let name = format!("h{}", net.graph.nodes().len());
                let weight = net.graph.param(name, tensor).into();
                net.push(Op::Conv(Conv::pointwise()), &[net.x().into(), weight])
            };
            let (a, b) = (huge(net), huge(net));
            net.add(a, b)
        }),
    ];
    for (name, build) in cases {
        let mut net = Net::new();
        let y = build(&mut net);
        let graph = net.finish(y);
        assert_eq!(merge_branches(&graph).unwrap(), graph, "{name}");
    }
}
