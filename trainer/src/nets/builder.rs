//! Builds networks from layers whose parameters are named as in PyTorch.
//!
//! A layer `layer1.0.conv1` has the parameters `layer1.0.conv1.weight` and, with a bias,
//! `layer1.0.conv1.bias`; a normalisation has `.weight`, `.bias`, `.running_mean` and `.running_var`.
//! The node has the name of the layer.

use std::collections::HashMap;

use network::graph::{Binary, Conv, Gemm, Graph, Op, Operand, ParamId, Pool, Unary, ValueId};
use network::tensor::Tensor;

use super::init::Init;
use super::{Net, ParamRole};
use crate::Result;

/// Added to variances, as PyTorch's default and all the published networks have it.
const EPSILON: f32 = 1e-5;

/// A network that is being built, every parameter still blank.
pub(super) struct Builder {
    graph: Graph,
    named: HashMap<String, ParamId>,
    fresh: Vec<(ParamId, Init)>,
    roles: Vec<(ParamId, ParamRole)>,
}

/// A convolution without bias, one group, step 1, padded so that the step alone decides the size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter {
    out: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
    bias: bool,
    fresh: Init,
}

impl Filter {
    pub(super) fn new(out: usize, kernel: usize) -> Self {
        Self {
            out,
            kernel,
            stride: 1,
            groups: 1,
            bias: false,
            fresh: Init::FanOut,
        }
    }

    pub(super) fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub(super) fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub(super) fn biased(self) -> Self {
        Self { bias: true, ..self }
    }

    pub(super) fn init(self, fresh: Init) -> Self {
        Self { fresh, ..self }
    }
}

impl Builder {
    pub(super) fn new(name: &str, [height, width]: [usize; 2]) -> Self {
        Self {
            graph: Graph::new(name, "image", [3, height, width]),
            named: HashMap::new(),
            fresh: Vec::new(),
            roles: Vec::new(),
        }
    }

    /// Extends an existing network.
    pub(super) fn over(graph: Graph) -> Self {
        let named = (graph.param_ids())
            .map(|(id, param)| (param.name.clone(), id))
            .collect();
        Self {
            graph,
            named,
            fresh: Vec::new(),
            roles: Vec::new(),
        }
    }

    /// The network and the initial values of its parameters.
    pub(super) fn finish(self) -> (Net, Vec<(ParamId, Init)>) {
        let mut net = Net::from_graph(self.graph);
        for (id, role) in self.roles {
            net.set_role(id, role);
        }
        (net, self.fresh)
    }

    pub(super) fn input(&self) -> ValueId {
        self.graph.input()
    }

    pub(super) fn output(&mut self, name: impl Into<String>, value: ValueId) {
        self.graph.output(name, value);
    }

    /// Channels of an image, or length of a feature.
    pub(super) fn channels(&self, x: ValueId) -> usize {
        self.graph.value(x).fact.shape_for(1)[1]
    }

    /// Height and width of an image.
    pub(super) fn size(&self, x: ValueId) -> [usize; 2] {
        let shape = self.graph.value(x).fact.shape_for(1);
        [shape[2], shape[3]]
    }

    /// The parameter of this name: a new one, or the one that another layer shares.
    pub(super) fn param(&mut self, name: String, shape: &[usize], fresh: Init) -> Result<ParamId> {
        if let Some(&id) = self.named.get(&name) {
            debug_assert_eq!(self.graph.tensor(id).shape(), shape, "{name}");
            return Ok(id);
        }
        let mut tensor = Tensor::zeros(shape)?;
        if let (Init::All(value), Some(elements)) = (fresh, tensor.as_f32_mut()) {
            elements.fill(value);
        }
        let id = self.graph.param(name.clone(), tensor);
        self.named.insert(name, id);
        self.fresh.push((id, fresh));
        Ok(id)
    }

    pub(super) fn set_role(&mut self, id: ParamId, role: ParamRole) {
        self.roles.push((id, role));
    }

    pub(super) fn push(&mut self, name: &str, op: Op, inputs: &[Operand]) -> Result<ValueId> {
        Ok(self.graph.push1(name, op, inputs)?)
    }

    pub(super) fn conv(&mut self, name: &str, x: ValueId, filter: Filter) -> Result<ValueId> {
        self.conv_of(name, name, x, filter)
    }

    /// A convolution whose parameters are those of the layer `layer`, which other nodes may share.
    pub(super) fn conv_of(
        &mut self,
        node: &str,
        layer: &str,
        x: ValueId,
        filter: Filter,
    ) -> Result<ValueId> {
        let Filter {
            out,
            kernel,
            stride,
            groups,
            bias,
            fresh,
        } = filter;
        let per_group = self.channels(x) / groups;
        let shape = [out, per_group, kernel, kernel];
        let mut inputs = vec![
            Operand::Value(x),
            self.param(format!("{layer}.weight"), &shape, fresh)?.into(),
        ];
        if bias {
            let fresh = fresh.of_bias(shape[1..].iter().product());
            inputs.push(self.param(format!("{layer}.bias"), &[out], fresh)?.into());
        }
        let conv = Conv {
            strides: [stride; 2],
            pads: [kernel / 2; 4],
            dilations: [1; 2],
            groups,
        };
        self.push(node, Op::Conv(conv), &inputs)
    }

    /// A linear layer, with a bias if `bias_init` is given.
    pub(super) fn linear(
        &mut self,
        name: &str,
        x: ValueId,
        out: usize,
        fresh: Init,
        bias_init: Option<Init>,
    ) -> Result<ValueId> {
        let shape = [out, self.channels(x)];
        let weight = self.param(format!("{name}.weight"), &shape, fresh)?;
        let mut inputs = vec![Operand::Value(x), weight.into()];
        if let Some(fresh) = bias_init {
            inputs.push(self.param(format!("{name}.bias"), &[out], fresh)?.into());
        }
        let gemm = Gemm {
            alpha: 1.0,
            beta: 1.0,
            trans_a: false,
            trans_b: true,
        };
        self.push(name, Op::Gemm(gemm), &inputs)
    }

    pub(super) fn batch_norm(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        self.batch_norm_from(name, x, 1.0)
    }

    /// A `BatchNorm` whose scale starts from `scale`.
    pub(super) fn batch_norm_from(
        &mut self,
        name: &str,
        x: ValueId,
        scale: f32,
    ) -> Result<ValueId> {
        let channels = self.channels(x);
        let mut inputs = vec![Operand::Value(x)];
        for (suffix, value) in [
            ("weight", scale),
            ("bias", 0.0),
            ("running_mean", 0.0),
            ("running_var", 1.0),
        ] {
            let id = self.param(format!("{name}.{suffix}"), &[channels], Init::All(value))?;
            inputs.push(id.into());
        }
        self.push(name, Op::BatchNorm { epsilon: EPSILON }, &inputs)
    }

    pub(super) fn instance_norm(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        let channels = self.channels(x);
        let scale = self.param(format!("{name}.weight"), &[channels], Init::All(1.0))?;
        let bias = self.param(format!("{name}.bias"), &[channels], Init::All(0.0))?;
        let inputs = [x.into(), scale.into(), bias.into()];
        self.push(name, Op::InstanceNorm { epsilon: EPSILON }, &inputs)
    }

    pub(super) fn unary(&mut self, name: &str, unary: Unary, x: ValueId) -> Result<ValueId> {
        self.push(name, Op::Unary(unary), &[x.into()])
    }

    pub(super) fn relu(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        self.unary(name, Unary::Relu, x)
    }

    pub(super) fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.push(name, Op::Binary(Binary::Add), &[a.into(), b.into()])
    }

    pub(super) fn mul(&mut self, name: &str, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.push(name, Op::Binary(Binary::Mul), &[a.into(), b.into()])
    }

    pub(super) fn max_pool(&mut self, name: &str, x: ValueId, pool: Pool) -> Result<ValueId> {
        self.push(name, Op::MaxPool(pool), &[x.into()])
    }

    pub(super) fn global_average(&mut self, name: &str, x: ValueId) -> Result<ValueId> {
        self.push(name, Op::GlobalAveragePool, &[x.into()])
    }

    /// Squeeze and excitation: the mean of each channel through two 1 x 1 convolutions of the layer
    /// `layer` (`fc1` to a number of channels, `fc2` back), as a factor of the channel.
    pub(super) fn gate(
        &mut self,
        node: &str,
        layer: &str,
        x: ValueId,
        squeezed: usize,
    ) -> Result<ValueId> {
        let mean = self.global_average(&format!("{node}.avgpool"), x)?;
        let (fc1, fc2) = (format!("{layer}.fc1"), format!("{layer}.fc2"));
        let narrow = Filter::new(squeezed, 1).biased();
        let wide = Filter::new(self.channels(x), 1).biased();
        let y = self.conv_of(&format!("{node}.fc1"), &fc1, mean, narrow)?;
        let y = self.relu(&format!("{node}.relu"), y)?;
        let y = self.conv_of(&format!("{node}.fc2"), &fc2, y, wide)?;
        let y = self.unary(&format!("{node}.sigmoid"), Unary::Sigmoid, y)?;
        self.mul(node, x, y)
    }
}
