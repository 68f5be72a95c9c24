//! From a [`Graph`] to the messages of an ONNX file of operator set 17.
//!
//! Names are those of the graph, made unique where ONNX demands it. Attributes that ONNX has as inputs become
//! initialisers, named after their node. The same graph always makes the same file.

use std::collections::{BTreeMap, HashSet};

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto, attribute_type,
};
use super::scope::unique;
use super::tensors::{encode, number};
use crate::graph::{Conv, Dim, Fact, Gemm, Graph, Node, Op, Operand, Pool, Unary};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// Version of the operators: the oldest that has all of them.
const OPSET: i64 = 17;
/// Version of the format that belongs to it.
const IR_VERSION: i64 = 8;

/// `graph` with `metadata` as an ONNX model.
///
/// # Errors
/// [`Error::Unsupported`] if a node has no form in ONNX, [`Error::Argument`] if two outputs have
/// one name.
pub(super) fn model(graph: &Graph, metadata: &BTreeMap<String, String>) -> Result<ModelProto> {
    let mut writer = Writer::new(graph)?;
    for (index, node) in graph.nodes().iter().enumerate() {
        writer.node(index, node)?;
    }
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("reid".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(writer.finish()),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
        metadata_props: metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: Some(key.clone()),
                value: Some(value.clone()),
            })
            .collect(),
        ..ModelProto::default()
    })
}

struct Writer<'a> {
    graph: &'a Graph,
    /// Names in the file, indexed as the values, parameters and nodes of the graph.
    values: Vec<String>,
    params: Vec<String>,
    nodes: Vec<String>,
    /// Every name of a value or an initialiser.
    taken: HashSet<String>,
    written: Vec<NodeProto>,
    initialisers: Vec<TensorProto>,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph) -> Result<Self> {
        let mut taken = HashSet::new();
        for output in graph.outputs() {
            if output.name.is_empty() || !taken.insert(output.name.clone()) {
                let name = &output.name;
                return Err(Error::Argument(format!(
                    "two outputs, or none, are called `{name}`"
                )));
            }
        }
        // A value that is an output under its own name keeps it; other values are renamed if they clash with
        // an output.
        let own = |value: usize| {
            let name = &graph.values()[value].name;
            let outputs = graph.outputs().iter();
            outputs
                .clone()
                .any(|o| o.value.index() == value && o.name == *name)
        };
        let base = |name: &str| if name.is_empty() { "unnamed" } else { name }.to_owned();
        let mut values = Vec::with_capacity(graph.values().len());
        for (index, value) in graph.values().iter().enumerate() {
            values.push(if own(index) && !values.contains(&value.name) {
                value.name.clone()
            } else {
                unique(base(&value.name), &mut taken)
            });
        }
        let params = graph.params().iter();
        let params = params
            .map(|param| unique(base(&param.name), &mut taken))
            .collect();
        let mut node_names = HashSet::new();
        let nodes = graph.nodes().iter();
        let nodes = nodes
            .map(|node| unique(base(&node.name), &mut node_names))
            .collect();
        let mut writer = Self {
            graph,
            values,
            params,
            nodes,
            taken,
            written: Vec::new(),
            initialisers: Vec::new(),
        };
        for (param, name) in graph.params().iter().zip(&writer.params) {
            writer.initialisers.push(encode(name, &param.tensor));
        }
        Ok(writer)
    }

    fn finish(mut self) -> GraphProto {
        let graph = self.graph;
        let mut output = Vec::new();
        for declared in graph.outputs() {
            let value = &self.values[declared.value.index()];
            // ONNX has one name for a value: an Identity, which the reader drops, gives it another.
            if *value != declared.name {
                let (value, name) = (value.clone(), declared.name.clone());
                self.written.push(NodeProto {
                    name: Some(format!("{name}.output")),
                    op_type: Some("Identity".into()),
                    input: vec![value],
                    output: vec![name],
                    ..NodeProto::default()
                });
            }
            output.push(value_info(
                &declared.name,
                &graph.value(declared.value).fact,
            ));
        }
        let input = value_info(&self.values[0], &graph.value(graph.input()).fact);
        let name = if graph.name().is_empty() {
            "graph"
        } else {
            graph.name()
        };
        GraphProto {
            node: self.written,
            name: Some(name.into()),
            initializer: self.initialisers,
            input: vec![input],
            output,
            ..GraphProto::default()
        }
    }

    /// Adds an initialiser named after the node and `suffix`, and returns its name.
    fn constant(&mut self, node: &str, suffix: &str, tensor: &Tensor) -> String {
        let name = unique(format!("{node}.{suffix}"), &mut self.taken);
        self.initialisers.push(encode(&name, tensor));
        name
    }

    fn integers(&mut self, node: &str, suffix: &str, values: &[usize]) -> String {
        let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
        self.constant(node, suffix, &Tensor::i64s(values))
    }

    fn node(&mut self, index: usize, node: &Node) -> Result<()> {
        let name = self.nodes[index].clone();
        let mut input: Vec<String> = node
            .inputs
            .iter()
            .map(|operand| match operand {
                Operand::Value(id) => self.values[id.index()].clone(),
                Operand::Param(id) => self.params[id.index()].clone(),
            })
            .collect();
        let op_type = node.op.onnx_name();
        let mut attribute = Vec::new();
        match &node.op {
            Op::Conv(conv) => attribute = conv_attributes(conv, &self.graph.fact(node.inputs[1])),
            Op::BatchNorm { epsilon } | Op::InstanceNorm { epsilon } => {
                attribute.push(float("epsilon", *epsilon));
            }
            Op::Unary(Unary::LeakyRelu { alpha }) => attribute.push(float("alpha", *alpha)),
            Op::Unary(Unary::HardSigmoid { alpha, beta }) => {
                attribute.extend([float("alpha", *alpha), float("beta", *beta)]);
            }
            Op::Unary(Unary::Clip { min, max }) => {
                for (suffix, bound) in [("min", min), ("max", max)] {
                    input.push(if bound.is_finite() {
                        self.constant(&name, suffix, &Tensor::scalar(*bound))
                    } else {
                        String::new()
                    });
                }
                while input.last().is_some_and(String::is_empty) {
                    input.pop();
                }
            }
            Op::Concat { axis } | Op::Softmax { axis } | Op::Flatten { axis } => {
                attribute.push(int("axis", *axis));
            }
            Op::Split { axis, sizes } => {
                attribute.push(int("axis", *axis));
                input.push(self.integers(&name, "split", sizes));
            }
            Op::Slice {
                axis,
                start,
                end,
                step,
            } => {
                for (suffix, value) in [
                    ("starts", start),
                    ("ends", end),
                    ("axes", axis),
                    ("steps", step),
                ] {
                    input.push(self.integers(&name, suffix, &[*value]));
                }
            }
            Op::Pad { pads, value } => {
                let (before, after): (Vec<_>, Vec<_>) = pads.iter().copied().unzip();
                input.push(self.integers(&name, "pads", &[before, after].concat()));
                input.push(self.constant(&name, "value", &Tensor::scalar(*value)));
            }
            Op::MaxPool(pool) => attribute = pool_attributes(pool),
            Op::AveragePool {
                pool,
                count_include_pad,
            } => {
                attribute = pool_attributes(pool);
                attribute.push(int("count_include_pad", usize::from(*count_include_pad)));
            }
            Op::Reduce {
                axes, keep_dims, ..
            } => {
                attribute.push(ints("axes", axes));
                attribute.push(int("keepdims", usize::from(*keep_dims)));
            }
            Op::LpNormalization { axis, p } => {
                attribute.extend([int("axis", *axis), int("p", usize::from(*p))]);
            }
            Op::Gemm(Gemm {
                alpha,
                beta,
                trans_a,
                trans_b,
            }) => attribute.extend([
                float("alpha", *alpha),
                float("beta", *beta),
                int("transA", usize::from(*trans_a)),
                int("transB", usize::from(*trans_b)),
            ]),
            Op::Reshape { shape } => {
                let target = self.reshape_target(node, shape);
                input.push(self.constant(&name, "shape", &Tensor::i64s(target)));
            }
            Op::Expand { shape } => input.push(self.expand_target(&name, node, shape)),
            Op::Squeeze { axes } | Op::Unsqueeze { axes } => {
                input.push(self.integers(&name, "axes", axes));
            }
            Op::Transpose { perm } => attribute.push(ints("perm", perm)),
            Op::QuantizeLinear { axis } | Op::DequantizeLinear { axis } => {
                attribute.push(int("axis", *axis));
            }
            Op::Unary(
                Unary::Relu
                | Unary::Sigmoid
                | Unary::HardSwish
                | Unary::Tanh
                | Unary::Sqrt
                | Unary::Exp
                | Unary::Reciprocal,
            )
            | Op::PRelu
            | Op::Binary(_)
            | Op::GlobalAveragePool
            | Op::MatMul => {}
        }
        let output = node
            .outputs
            .iter()
            .map(|id| self.values[id.index()].clone());
        self.written.push(NodeProto {
            input,
            output: output.collect(),
            name: Some(name),
            op_type: Some(op_type.into()),
            attribute,
            ..NodeProto::default()
        });
        Ok(())
    }

    /// The batch is 0 where its position is unchanged, else -1.
    fn reshape_target(&self, node: &Node, shape: &[Dim]) -> Vec<i64> {
        let x = self.graph.fact(node.inputs[0]).shape;
        let extent = |(axis, dim): (usize, &Dim)| match dim {
            Dim::Batch if x.get(axis) == Some(&Dim::Batch) => 0,
            Dim::Batch => -1,
            Dim::Fixed(extent) => *extent as i64,
        };
        shape.iter().enumerate().map(extent).collect()
    }

    /// The batch is 1, which changes nothing, where its position is unchanged. Elsewhere nodes compute it from
    /// the input of the network.
    fn expand_target(&mut self, name: &str, node: &Node, shape: &[Dim]) -> String {
        let x = self.graph.fact(node.inputs[0]).shape;
        let in_place = |axis: usize| {
            let own = (axis + x.len()).checked_sub(shape.len());
            own.is_some_and(|axis| x[axis] == Dim::Batch)
        };
        let extents: Vec<Option<i64>> = shape
            .iter()
            .enumerate()
            .map(|(axis, dim)| match dim {
                Dim::Fixed(extent) => Some(*extent as i64),
                Dim::Batch => in_place(axis).then_some(1),
            })
            .collect();
        if let Some(target) = extents.iter().copied().collect::<Option<Vec<i64>>>() {
            return self.constant(name, "shape", &Tensor::i64s(target));
        }
        let zero = self.constant(name, "zero", &Tensor::i64s([0]));
        let image = self.values[0].clone();
        let whole = self.shape_node(name, "image", "Shape", vec![image], vec![]);
        let axis = vec![int("axis", 0)];
        let batch = self.shape_node(name, "batch", "Gather", vec![whole, zero], axis.clone());
        let parts = extents
            .iter()
            .enumerate()
            .map(|(axis, extent)| match extent {
                Some(extent) => {
                    self.constant(name, &format!("extent{axis}"), &Tensor::i64s([*extent]))
                }
                None => batch.clone(),
            })
            .collect();
        self.shape_node(name, "shape", "Concat", parts, axis)
    }

    /// Adds a node that computes a shape for the node `of`, and returns the name of what it writes.
    fn shape_node(
        &mut self,
        of: &str,
        suffix: &str,
        op_type: &str,
        input: Vec<String>,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = unique(format!("{of}.{suffix}"), &mut self.taken);
        self.written.push(NodeProto {
            input,
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(op_type.into()),
            attribute,
            ..NodeProto::default()
        });
        name
    }
}

fn conv_attributes(conv: &Conv, weight: &Fact) -> Vec<AttributeProto> {
    let kernel: Vec<usize> = weight.shape[2..]
        .iter()
        .map(|dim| dim.for_batch(1))
        .collect();
    vec![
        ints("dilations", &conv.dilations),
        int("group", conv.groups),
        ints("kernel_shape", &kernel),
        ints("pads", &conv.pads),
        ints("strides", &conv.strides),
    ]
}

fn pool_attributes(pool: &Pool) -> Vec<AttributeProto> {
    vec![
        int("ceil_mode", usize::from(pool.ceil_mode)),
        ints("kernel_shape", &pool.kernel),
        ints("pads", &pool.pads),
        ints("strides", &pool.strides),
    ]
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        r#type: Some(kind),
        ..AttributeProto::default()
    }
}

fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        i: Some(value as i64),
        ..attribute(name, attribute_type::INT)
    }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        f: Some(value),
        ..attribute(name, attribute_type::FLOAT)
    }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        ints: values.iter().map(|&value| value as i64).collect(),
        ..attribute(name, attribute_type::INTS)
    }
}

fn value_info(name: &str, fact: &Fact) -> ValueInfoProto {
    let dim = fact
        .shape
        .iter()
        .map(|dim| match dim {
            Dim::Batch => DimensionProto {
                dim_param: Some("N".into()),
                dim_value: None,
            },
            Dim::Fixed(extent) => DimensionProto {
                dim_value: Some(*extent as i64),
                dim_param: None,
            },
        })
        .collect();
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: Some(number(fact.dtype)),
                shape: Some(TensorShapeProto { dim }),
            }),
        }),
    }
}
