//! One case of `cases.json`: an operator, its operands and what ONNX Runtime made of them.

use network::graph::{Binary, Conv, Dim, Gemm, Op, Pool, Reduce, Unary};
use network::tensor::{Data, Tensor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One operator on concrete tensors, and what ONNX Runtime makes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) op: String,
    attributes: Value,
    pub(crate) inputs: Vec<Elements>,
    outputs: Vec<Elements>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Elements {
    r#type: String,
    shape: Vec<usize>,
    data: Value,
}

/// Every case of the file.
pub(crate) fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("cases.json")).unwrap()
}

impl Elements {
    pub(crate) fn tensor(&self) -> Tensor {
        let data = match self.r#type.as_str() {
            "f32" => Data::F32(parse(&self.data)),
            "i64" => Data::I64(parse(&self.data)),
            "i32" => Data::I32(parse(&self.data)),
            "i8" => Data::I8(parse(&self.data)),
            "u8" => Data::U8(parse(&self.data)),
            other => panic!("element type {other}"),
        };
        Tensor::new(self.shape.clone(), data).unwrap()
    }
}

fn parse<T: DeserializeOwned>(value: &Value) -> T {
    T::deserialize(value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

impl Case {
    pub(crate) fn title(&self) -> String {
        format!("{} ({})", self.op, self.name)
    }

    fn attribute<T: DeserializeOwned>(&self, name: &str) -> T {
        let value = self.attributes.get(name);
        parse(value.unwrap_or_else(|| panic!("{} has no {name}", self.title())))
    }

    fn dims(&self) -> Vec<Dim> {
        let shape: Vec<usize> = self.attribute("shape");
        shape.into_iter().map(Dim::Fixed).collect()
    }

    fn pool(&self) -> Pool {
        Pool {
            kernel: self.attribute("kernel"),
            strides: self.attribute("strides"),
            pads: self.attribute("pads"),
            ceil_mode: self.attribute("ceil_mode"),
        }
    }

    fn reduce(&self, kind: Reduce) -> Op {
        Op::Reduce {
            kind,
            axes: self.attribute("axes"),
            keep_dims: self.attribute("keep_dims"),
        }
    }

    pub(crate) fn operator(&self) -> Op {
        let axis = || self.attribute("axis");
        match self.op.as_str() {
            "Conv" => Op::Conv(Conv {
                strides: self.attribute("strides"),
                pads: self.attribute("pads"),
                dilations: self.attribute("dilations"),
                groups: self.attribute("groups"),
            }),
            "BatchNormalization" => Op::BatchNorm {
                epsilon: self.attribute("epsilon"),
            },
            "InstanceNormalization" => Op::InstanceNorm {
                epsilon: self.attribute("epsilon"),
            },
            "Relu" => Op::Unary(Unary::Relu),
            "LeakyRelu" => Op::Unary(Unary::LeakyRelu {
                alpha: self.attribute("alpha"),
            }),
            "Sigmoid" => Op::Unary(Unary::Sigmoid),
            "HardSigmoid" => Op::Unary(Unary::HardSigmoid {
                alpha: self.attribute("alpha"),
                beta: self.attribute("beta"),
            }),
            "HardSwish" => Op::Unary(Unary::HardSwish),
            "Tanh" => Op::Unary(Unary::Tanh),
            "Clip" => Op::Unary(Unary::Clip {
                min: self
                    .attribute::<Option<f32>>("min")
                    .unwrap_or(f32::NEG_INFINITY),
                max: self
                    .attribute::<Option<f32>>("max")
                    .unwrap_or(f32::INFINITY),
            }),
            "Sqrt" => Op::Unary(Unary::Sqrt),
            "Exp" => Op::Unary(Unary::Exp),
            "Reciprocal" => Op::Unary(Unary::Reciprocal),
            "PRelu" => Op::PRelu,
            "Add" => Op::Binary(Binary::Add),
            "Sub" => Op::Binary(Binary::Sub),
            "Mul" => Op::Binary(Binary::Mul),
            "Div" => Op::Binary(Binary::Div),
            "Pow" => Op::Binary(Binary::Pow),
            "Concat" => Op::Concat { axis: axis() },
            "Split" => Op::Split {
                axis: axis(),
                sizes: self.attribute("sizes"),
            },
            "Slice" => Op::Slice {
                axis: axis(),
                start: self.attribute("start"),
                end: self.attribute("end"),
                step: self.attribute("step"),
            },
            "Pad" => Op::Pad {
                pads: self.attribute("pads"),
                value: self.attribute("value"),
            },
            "MaxPool" => Op::MaxPool(self.pool()),
            "AveragePool" => Op::AveragePool {
                pool: self.pool(),
                count_include_pad: self.attribute("count_include_pad"),
            },
            "GlobalAveragePool" => Op::GlobalAveragePool,
            "ReduceMean" => self.reduce(Reduce::Mean),
            "ReduceL2" => self.reduce(Reduce::L2),
            "LpNormalization" => Op::LpNormalization {
                axis: axis(),
                p: self.attribute("p"),
            },
            "Gemm" => Op::Gemm(Gemm {
                alpha: self.attribute("alpha"),
                beta: self.attribute("beta"),
                trans_a: self.attribute("trans_a"),
                trans_b: self.attribute("trans_b"),
            }),
            "MatMul" => Op::MatMul,
            "Flatten" => Op::Flatten { axis: axis() },
            "Reshape" => Op::Reshape { shape: self.dims() },
            "Squeeze" => Op::Squeeze {
                axes: self.attribute("axes"),
            },
            "Unsqueeze" => Op::Unsqueeze {
                axes: self.attribute("axes"),
            },
            "Transpose" => Op::Transpose {
                perm: self.attribute("perm"),
            },
            "Expand" => Op::Expand { shape: self.dims() },
            "Softmax" => Op::Softmax { axis: axis() },
            "QuantizeLinear" => Op::QuantizeLinear { axis: axis() },
            "DequantizeLinear" => Op::DequantizeLinear { axis: axis() },
            other => panic!("cases.json has the operator {other}"),
        }
    }

    /// Largest difference to what is expected of what `compute` makes of the operator, its operands
    /// and the shape of each output, relative to the number or to 1, whichever is larger; or what differs besides
    /// numbers.
    pub(crate) fn difference(
        &self,
        compute: impl Fn(&Op, &[&Tensor], &[Vec<usize>]) -> Result<Vec<Tensor>, String>,
    ) -> Result<f32, String> {
        let inputs: Vec<Tensor> = self.inputs.iter().map(Elements::tensor).collect();
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let declared: Vec<Vec<usize>> = self.outputs.iter().map(|o| o.shape.clone()).collect();
        let found = compute(&self.operator(), &inputs, &declared)?;
        let wanted: Vec<Tensor> = self.outputs.iter().map(Elements::tensor).collect();
        let shapes = |tensors: &[Tensor]| -> Vec<_> {
            let kind = |t: &Tensor| (t.dtype(), t.shape().to_vec());
            tensors.iter().map(kind).collect()
        };
        if shapes(&found) != shapes(&wanted) {
            return Err(format!(
                "computed {:?}, wanted {:?}",
                shapes(&found),
                shapes(&wanted)
            ));
        }
        let mut largest = 0f32;
        for (found, wanted) in found.iter().zip(&wanted) {
            match (found.as_f32(), wanted.as_f32()) {
                (Some(found), Some(wanted)) => {
                    for (found, wanted) in found.iter().zip(wanted) {
                        if found != wanted {
                            let difference = (found - wanted).abs() / wanted.abs().max(1.0);
                            if difference.is_nan() {
                                return Err(format!("computed {found}, wanted {wanted}"));
                            }
                            largest = largest.max(difference);
                        }
                    }
                }
                _ if found == wanted => {}
                _ => return Err(format!("computed {found:?}, wanted {wanted:?}")),
            }
        }
        Ok(largest)
    }
}
