//! What is written is read back as it was.

use std::collections::BTreeMap;

use super::*;
use crate::graph::{Binary, Conv, Gemm, Operand, Pool, Reduce, Unary, ValueId};
use crate::onnx::proto::{EXTERNAL, StringStringEntryProto};
use crate::onnx::{read_file, write_bytes};

/// A graph under construction whose nodes are numbered and whose parameters count.
struct Build(Graph);

impl Build {
    fn push(&mut self, op: Op, inputs: Vec<Operand>) -> ValueId {
        let name = format!("{}{}", op.onnx_name(), self.0.nodes().len());
        self.0.push(name, op, inputs).unwrap()[0]
    }

    fn one(&mut self, op: Op, x: ValueId) -> ValueId {
        self.push(op, vec![x.into()])
    }

    fn param(&mut self, tensor: Tensor) -> Operand {
        let name = format!("param{}", self.0.params().len());
        self.0.param(name, tensor).into()
    }

    fn weight(&mut self, shape: &[usize]) -> Operand {
        self.param(counting(shape))
    }
}

/// A graph in which every operator occurs.
fn everything() -> Graph {
    let mut build = Build(Graph::new("everything", "images", [2, 4, 6]));
    let b = &mut build;
    let image = b.0.input();

    let (w, bias) = (b.weight(&[4, 1, 3, 3]), b.weight(&[4]));
    let conv = Conv {
        strides: [1, 2],
        pads: [1, 0, 2, 1],
        dilations: [1, 1],
        groups: 2,
    };
    let mut x = b.push(Op::Conv(conv), vec![image.into(), w, bias]);
    let statistics: Vec<Operand> = (0..4).map(|_| b.weight(&[4])).collect();
    x = b.push(
        Op::BatchNorm { epsilon: 1e-5 },
        [&[x.into()], statistics.as_slice()].concat(),
    );
    let (scale, bias) = (b.weight(&[4]), b.weight(&[4]));
    x = b.push(
        Op::InstanceNorm { epsilon: 1e-3 },
        vec![x.into(), scale, bias],
    );
    for unary in [
        Unary::Relu,
        Unary::LeakyRelu { alpha: 0.1 },
        Unary::Sigmoid,
        Unary::HardSigmoid {
            alpha: 0.25,
            beta: 0.5,
        },
        Unary::HardSwish,
        Unary::Tanh,
        Unary::Clip { min: 0.5, max: 6.0 },
        Unary::Clip {
            min: 0.5,
            max: f32::INFINITY,
        },
        Unary::Clip {
            min: f32::NEG_INFINITY,
            max: 6.0,
        },
        Unary::Clip {
            min: f32::NEG_INFINITY,
            max: f32::INFINITY,
        },
        Unary::Sqrt,
        Unary::Exp,
        Unary::Reciprocal,
    ] {
        x = b.one(Op::Unary(unary), x);
    }
    let slope = b.weight(&[4, 1, 1]);
    x = b.push(Op::PRelu, vec![x.into(), slope]);
    for binary in [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::Pow,
    ] {
        let other = b.weight(&[1, 4, 1, 1]);
        x = b.push(Op::Binary(binary), vec![x.into(), other]);
    }
    let sizes = vec![1, 3];
    let name = "halves".to_owned();
    let halves =
        b.0.push(name, Op::Split { axis: 1, sizes }, [x.into()])
            .unwrap();
    x = b.push(
        Op::Concat { axis: 1 },
        vec![halves[1].into(), halves[0].into()],
    );
    x = b.one(
        Op::Pad {
            pads: vec![(0, 0), (0, 0), (2, 1), (0, 3)],
            value: -1.0,
        },
        x,
    );
    x = b.one(
        Op::Slice {
            axis: 2,
            start: 1,
            end: 8,
            step: 2,
        },
        x,
    );
    let pool = Pool {
        kernel: [2, 2],
        strides: [1, 1],
        pads: [0, 1, 1, 0],
        ceil_mode: true,
    };
    x = b.one(Op::MaxPool(pool.clone()), x);
    for count_include_pad in [false, true] {
        let pool = pool.clone();
        x = b.one(
            Op::AveragePool {
                pool,
                count_include_pad,
            },
            x,
        );
    }
    let (scale, zero) = (
        b.param(Tensor::scalar(0.5)),
        b.param(Tensor::new([], Data::U8(vec![3])).unwrap()),
    );
    let q = b.push(Op::QuantizeLinear { axis: 1 }, vec![x.into(), scale, zero]);
    x = b.push(
        Op::DequantizeLinear { axis: 1 },
        vec![q.into(), scale, zero],
    );
    let quantised = b.param(Tensor::new([4, 4, 1, 1], Data::I8(vec![-3; 16])).unwrap());
    let scale = b.weight(&[4]);
    let w = b.push(Op::DequantizeLinear { axis: 0 }, vec![quantised, scale]);
    x = b.push(Op::Conv(Conv::pointwise()), vec![x.into(), w.into()]);
    let swapped = b.one(
        Op::Transpose {
            perm: vec![0, 1, 3, 2],
        },
        x,
    );
    let back = b.one(
        Op::Transpose {
            perm: vec![0, 1, 3, 2],
        },
        swapped,
    );
    x = b.push(Op::MatMul, vec![swapped.into(), back.into()]);
    let pooled = b.one(Op::GlobalAveragePool, x);
    let flat = b.one(Op::Flatten { axis: 1 }, pooled);
    let squeezed = b.one(Op::Squeeze { axes: vec![2, 3] }, pooled);
    let wide = b.one(Op::Unsqueeze { axes: vec![1, 3] }, squeezed);
    let first = b.one(
        Op::Reshape {
            shape: dims(&[4, 0]),
        },
        wide,
    );
    let again = b.one(
        Op::Reshape {
            shape: dims(&[0, 4]),
        },
        first,
    );
    let (weight, bias) = (b.weight(&[3, 4]), b.weight(&[3]));
    let gemm = Gemm {
        alpha: 0.5,
        beta: 2.0,
        trans_a: false,
        trans_b: true,
    };
    let gemm = b.push(Op::Gemm(gemm), vec![again.into(), weight, bias]);
    let soft = b.one(Op::Softmax { axis: 1 }, gemm);
    let unit = b.one(Op::LpNormalization { axis: 1, p: 2 }, flat);
    let length = b.one(
        Op::Reduce {
            kind: Reduce::L2,
            axes: vec![1],
            keep_dims: true,
        },
        unit,
    );
    let spread = b.one(
        Op::Expand {
            shape: dims(&[0, 4]),
        },
        length,
    );
    let mean = b.one(
        Op::Reduce {
            kind: Reduce::Mean,
            axes: vec![1],
            keep_dims: false,
        },
        spread,
    );
    let token = b.weight(&[1, 3]);
    let tokens = b.push(
        Op::Expand {
            shape: dims(&[0, 3]),
        },
        vec![token],
    );
    b.0.output("embedding", unit);
    b.0.output("same embedding", unit);
    b.0.output("image", image);
    b.0.output("mean", mean);
    b.0.output("tokens", tokens);
    b.0.rename(soft, "classes");
    b.0.output("classes", soft);
    build.0
}

fn metadata() -> BTreeMap<String, String> {
    [("a key", "a value"), ("reid.contract", "{}")]
        .map(|(key, value)| (key.into(), value.into()))
        .into()
}

#[test]
fn every_operator_survives() {
    let graph = everything();
    let bytes = write_bytes(&graph, &metadata()).unwrap();
    let model = read_bytes(&bytes, &ReadOptions::default()).unwrap();
    assert_eq!(model.graph, graph);
    assert_eq!(model.metadata, metadata());
    assert_eq!((model.opset, model.ir_version), (17, 8));
    assert!(model.warnings.is_empty(), "{:?}", model.warnings);
    assert_eq!(write_bytes(&model.graph, &model.metadata).unwrap(), bytes);
}

#[test]
fn names_that_onnx_does_not_allow_are_changed_on_the_way() {
    let mut graph = Graph::new("", "x", [1, 2, 2]);
    let weight = graph.param("x", Tensor::scalar(2.0));
    let a = graph.push1(
        "x",
        Op::Binary(Binary::Mul),
        [graph.input().into(), weight.into()],
    );
    let b = graph.push1("", Op::Unary(Unary::Relu), [a.unwrap().into()]);
    graph.output("x", b.unwrap());
    let bytes = write_bytes(&graph, &BTreeMap::new()).unwrap();
    let read = read_bytes(&bytes, &ReadOptions::default()).unwrap().graph;
    assert_eq!(read.outputs()[0].name, "x");
    assert_eq!(read.nodes().len(), 2);
    assert_eq!(write_bytes(&read, &BTreeMap::new()).unwrap(), bytes);
    graph.output("x", a_value(&graph));
    let error = write_bytes(&graph, &BTreeMap::new())
        .unwrap_err()
        .to_string();
    assert!(error.contains("called `x`"), "{error}");
}

fn a_value(graph: &Graph) -> ValueId {
    graph.nodes()[0].outputs[0]
}

#[test]
fn weights_beside_the_model_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("person.onnx");
    let mut net = Net::new(13, [node("Mul x w > y", [])]).weight("w", &[6]);
    let inside = net.graph();
    net = net.change(|graph| {
        let tensor = &mut graph.initializer[0];
        let bytes = tensor.raw_data.take().unwrap();
        std::fs::write(
            folder.path().join("weights.bin"),
            [&[0; 5], bytes.as_slice()].concat(),
        )
        .unwrap();
        let entry = |key: &str, value: &str| StringStringEntryProto {
            key: Some(key.into()),
            value: Some(value.into()),
        };
        tensor.data_location = Some(EXTERNAL);
        tensor.external_data = vec![
            entry("location", "weights.bin"),
            entry("offset", "5"),
            entry("length", "24"),
        ];
    });
    std::fs::write(&path, net.bytes()).unwrap();
    assert_eq!(
        read_file(&path, &ReadOptions::default()).unwrap().graph,
        inside
    );
    assert!(net.error().contains("read_file"));
}
