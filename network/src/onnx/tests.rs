//! Files built in memory, as exporters write them and as they should not, read and written.

mod forms;
mod hostile;
mod refused;
mod round_trip;
mod shapes;

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type, data_type,
};
use super::tensors::encode;
use super::{OnnxModel, ReadOptions, read_bytes};
use crate::Result;
use crate::graph::{Dim, Graph, Op};
use crate::tensor::{Data, Tensor};
use prost::Message;

/// A file in the making: image `x` of `[N, 2, 4, 6]`, output `y`.
#[derive(Clone)]
struct Net(ModelProto);

impl Net {
    fn new(opset: i64, nodes: impl Into<Vec<NodeProto>>) -> Self {
        let graph = GraphProto {
            name: Some("net".into()),
            node: nodes.into(),
            output: vec![value("y", data_type::FLOAT, None)],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: Some(7),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto {
                domain: None,
                version: Some(opset),
            }],
            ..ModelProto::default()
        };
        Self(model).image(&[0, 2, 4, 6])
    }

    fn change(mut self, change: impl FnOnce(&mut GraphProto)) -> Self {
        change(self.0.graph.as_mut().expect("made by new"));
        self
    }

    /// The extents of the image, 0 for a symbolic one.
    fn image(self, dims: &[i64]) -> Self {
        self.change(|graph| graph.input = vec![value("x", data_type::FLOAT, Some(dims))])
    }

    fn tensor(self, name: &str, tensor: &Tensor) -> Self {
        self.change(|graph| graph.initializer.push(encode(name, tensor)))
    }

    /// An initialiser with the elements 1/8, 2/8, 3/8...
    fn weight(self, name: &str, shape: &[usize]) -> Self {
        self.tensor(name, &counting(shape))
    }

    fn scalar(self, name: &str, value: f32) -> Self {
        self.tensor(name, &Tensor::scalar(value))
    }

    fn i64s(self, name: &str, values: &[i64]) -> Self {
        self.tensor(name, &Tensor::i64s(values))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    fn read(&self) -> Result<OnnxModel> {
        read_bytes(&self.bytes(), &ReadOptions::default())
    }

    fn graph(&self) -> Graph {
        self.read().unwrap().graph
    }

    fn ops(&self) -> Vec<Op> {
        let graph = self.graph();
        graph.nodes().iter().map(|node| node.op.clone()).collect()
    }

    /// The shape of the first output.
    fn shape(&self) -> Vec<Dim> {
        let graph = self.graph();
        graph.value(graph.outputs()[0].value).fact.shape.clone()
    }

    fn error(&self) -> String {
        self.read().expect_err("it should be refused").to_string()
    }
}

fn counting(shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (1..=count).map(|i| i as f32 / 8.0).collect();
    Tensor::f32(shape, values).unwrap()
}

fn scalar_i64(value: i64) -> Tensor {
    Tensor::new([], Data::I64(vec![value])).unwrap()
}

fn value(name: &str, elem_type: i32, dims: Option<&[i64]>) -> ValueInfoProto {
    let dim = |&extent: &i64| DimensionProto {
        dim_value: (extent != 0).then_some(extent),
        dim_param: (extent == 0).then(|| "dynamic".into()),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: Some(elem_type),
                shape: dims.map(|dims| TensorShapeProto {
                    dim: dims.iter().map(dim).collect(),
                }),
            }),
        }),
    }
}

/// A node written as `Conv x w _ > y`, where `_` is a missing input; it is named after what it
/// writes.
fn node<const N: usize>(text: &str, attributes: [AttributeProto; N]) -> NodeProto {
    let (left, right) = text.split_once('>').unwrap();
    let words = |text: &str| -> Vec<String> {
        let words = text.split_whitespace();
        words
            .map(|word| word.trim_matches('_').to_owned())
            .collect()
    };
    let mut input = words(left);
    let op_type = input.remove(0);
    let output = words(right);
    NodeProto {
        name: Some(format!("node_{}", output[0])),
        op_type: Some(op_type),
        input,
        output,
        attribute: attributes.to_vec(),
        ..NodeProto::default()
    }
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(kind),
        ..AttributeProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        i: Some(value),
        ..attribute(name, attribute_type::INT)
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: values.to_vec(),
        ..attribute(name, attribute_type::INTS)
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        f: Some(value),
        ..attribute(name, attribute_type::FLOAT)
    }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        s: Some(value.into()),
        ..attribute(name, attribute_type::STRING)
    }
}

fn tensor(name: &str, value: &Tensor) -> AttributeProto {
    AttributeProto {
        t: Some(Box::new(encode("", value))),
        ..attribute(name, attribute_type::TENSOR)
    }
}

/// A shape with 0 for the batch.
fn dims(shape: &[usize]) -> Vec<Dim> {
    let dim = |&extent: &usize| match extent {
        0 => Dim::Batch,
        extent => Dim::Fixed(extent),
    };
    shape.iter().map(dim).collect()
}
