//! Runs a graph on libtorch, node by node, with gradients.

use std::collections::BTreeMap;

use network::graph::{Graph, Operand, ParamId, ValueId};
use tch::{Device, Tensor};

use super::{Mode, Precision, ops, tensor};
use crate::nets::{Net, ParamRole};
use crate::{Error, Result};

/// A network whose parameters are tensors of libtorch.
#[derive(Debug)]
pub struct Module {
    net: Net,
    /// As [`Graph::params`].
    params: Vec<Tensor>,
    precision: Precision,
    device: Device,
}

/// The outputs of a network for a batch by name, f32 (or f64).
#[derive(Debug)]
pub struct Outputs(BTreeMap<String, Tensor>);

impl Outputs {
    /// The output of that name.
    ///
    /// # Errors
    /// [`Error::Argument`] if the network has no such output, with those it has.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
            Error::Argument(format!(
                "the network has no output `{name}`, only {}",
                names.join(", ")
            ))
        })
    }

    /// The classifiers' answers: one, or one for each part.
    pub fn logits(&self) -> impl Iterator<Item = &Tensor> {
        let is = |name: &str| name == "logits" || name.starts_with("logits.");
        self.0
            .iter()
            .filter(move |(name, _)| is(name))
            .map(|(_, t)| t)
    }
}

impl Module {
    /// Copies the parameters of `net` to `device`.
    ///
    /// # Errors
    /// [`Error::Torch`] if there is no memory for them.
    pub fn new(net: &Net, device: Device, precision: Precision) -> Result<Self> {
        let mut params = Vec::with_capacity(net.graph().params().len());
        for (id, param) in net.graph().param_ids() {
            let mut copy = tensor::to_tch(&param.tensor)?.f_to_device(device)?;
            if copy.is_floating_point() {
                copy = copy.f_to_kind(precision.kind())?;
            }
            let copy = laid_out(&copy, device, precision)?;
            params.push(copy.f_set_requires_grad(net.role(id) == ParamRole::Trained)?);
        }
        Ok(Self {
            net: net.clone(),
            params,
            precision,
            device,
        })
    }

    /// Where it computes.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// What it computes with.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The graph that it computes.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.net.graph()
    }

    /// What the optimiser moves: names and tensors, in the order of the graph.
    pub fn trained(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named(|role| role == ParamRole::Trained)
    }

    /// Every parameter and statistic, in the order of the graph.
    pub fn state(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named(|_| true)
    }

    fn named(&self, wanted: impl Fn(ParamRole) -> bool) -> impl Iterator<Item = (&str, &Tensor)> {
        (self.net.graph().param_ids())
            .zip(&self.params)
            .filter(move |((id, _), _)| wanted(self.net.role(*id)))
            .map(|((_, param), tensor)| (param.name.as_str(), tensor))
    }

    /// The network with the parameters as they are now.
    ///
    /// # Errors
    /// [`Error::Torch`] if they cannot be copied.
    pub fn net(&self) -> Result<Net> {
        let mut net = self.net.clone();
        let ids: Vec<ParamId> = net.graph().param_ids().map(|(id, _)| id).collect();
        for (id, now) in ids.into_iter().zip(&self.params) {
            if net.role(id) != ParamRole::Frozen {
                net.set_tensor(id, tensor::from_tch(now)?)?;
            }
        }
        Ok(net)
    }

    /// Gives a parameter other numbers.
    ///
    /// # Errors
    /// [`Error::Parameter`] if there is no such parameter, or its shape is another.
    pub fn set(&mut self, name: &str, value: &network::tensor::Tensor) -> Result<()> {
        let wrong = |reason: String| Error::Parameter {
            name: name.to_owned(),
            reason,
        };
        let at = (self.graph().params().iter())
            .position(|param| param.name == name)
            .ok_or_else(|| wrong("the network has none of this name".to_owned()))?;
        let value = tensor::to_tch(value)?;
        if value.size() != self.params[at].size() {
            return Err(wrong(format!(
                "has shape {:?}, found {:?}",
                self.params[at].size(),
                value.size()
            )));
        }
        tch::no_grad(|| self.params[at].f_copy_(&value))?;
        Ok(())
    }

    /// What the network makes of `images`, f32 `[N, 3, height, width]`. Follows gradients, unless
    /// called within [`tch::no_grad`].
    ///
    /// # Errors
    /// [`Error::Torch`] naming the node that could not be computed.
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Result<Outputs> {
        self.forward_with(images, mode, |_, value| Ok(value))
    }

    /// As [`Module::forward`]; `see` gets each value that a node has written, and gives what its
    /// readers read.
    ///
    /// # Errors
    /// As [`Module::forward`], and errors of `see`.
    pub fn forward_with(
        &self,
        images: &Tensor,
        mode: Mode,
        mut see: impl FnMut(ValueId, Tensor) -> Result<Tensor>,
    ) -> Result<Outputs> {
        let graph = self.net.graph();
        let batch = usize::try_from(images.size().first().copied().unwrap_or(0))
            .expect("extents are not negative");
        let wanted = graph.value(graph.input()).fact.shape_for(batch);
        ensure!(
            images.size() == tensor::sizes(&wanted),
            "the network reads {wanted:?}, found {:?}",
            images.size()
        );
        let mut uses = graph.uses();
        let mut values: Vec<Option<Tensor>> = graph.values().iter().map(|_| None).collect();
        values[graph.input().index()] = Some(laid_out(
            &images.f_to_device(self.device)?,
            self.device,
            self.precision,
        )?);
        for node in graph.nodes() {
            let inputs: Vec<&Tensor> = (node.inputs.iter())
                .map(|operand| match *operand {
                    Operand::Param(id) => &self.params[id.index()],
                    Operand::Value(id) => values[id.index()]
                        .as_ref()
                        .expect("nodes stand after those that they read"),
                })
                .collect();
            let shapes: Vec<Vec<i64>> = (node.outputs.iter())
                .map(|&id| tensor::sizes(&graph.value(id).fact.shape_for(batch)))
                .collect();
            let call = ops::Call {
                inputs: &inputs,
                shapes: &shapes,
                mode,
                precision: self.precision,
            };
            let computed = ops::compute(&node.op, &call).map_err(|error| match error {
                Error::Torch { reason, .. } => Error::Torch {
                    what: format!("node `{}` ({})", node.name, node.op.onnx_name()),
                    reason,
                },
                other => other,
            })?;
            for (&id, value) in node.outputs.iter().zip(computed) {
                values[id.index()] = Some(see(id, value)?).filter(|_| uses[id.index()] > 0);
            }
            for operand in &node.inputs {
                if let Operand::Value(id) = operand {
                    uses[id.index()] -= 1;
                    if uses[id.index()] == 0 {
                        values[id.index()] = None;
                    }
                }
            }
        }
        let mut outputs = BTreeMap::new();
        for output in graph.outputs() {
            let value = values[output.value.index()]
                .as_ref()
                .expect("outputs are computed");
            outputs.insert(output.name.clone(), value.f_to_kind(self.precision.kind())?);
        }
        Ok(Outputs(outputs))
    }
}

/// The same tensor as convolutions are fastest on it. On CPUs, and on the matrix units of a GPU, that
/// is the channels of a pixel beside each other in memory. A GPU's depthwise convolutions in f32
/// know planes only. Only images and kernels of several pixels have such a layout.
fn laid_out(tensor: &Tensor, device: Device, precision: Precision) -> Result<Tensor> {
    let planes = device.is_cuda() && precision != Precision::Bf16;
    if tensor.dim() != 4 || planes {
        return Ok(tensor.shallow_clone());
    }
    let pixels = tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?;
    Ok(pixels.f_permute([0, 3, 1, 2])?)
}
