//! Networks: functions that build a [`Graph`] with initial weights, and the role of each parameter in
//! training.
//!
//! The input is an f32 image `[N, 3, height, width]`, normalised as the model metadata state. Outputs:
//!
//! | name | shape | value |
//! |---|---|---|
//! | `f_t` | `[N, C]` | pooled feature, for triplet and centre loss |
//! | `f_i` | `[N, D]` | feature after the neck, compared in use |
//! | `logits` | `[N, classes]` | classifier; with parts `logits.0`, `logits.1`... |
//!
//! With parts ([`Spec::parts`]) `f_t` and `f_i` are concatenated from top to bottom. Parameters are
//! named as in torchvision and torchreid; `tests/nets.rs` compares each network with PyTorch.

mod backbone;
mod builder;
mod check;
mod init;
mod mobilenet;
mod neck;
mod new_head;
mod osnet;
mod repvgg;
mod resnet;

use network::graph::{Graph, Op, Operand, ParamId, fold};
use network::tensor::Tensor;
use serde::{Deserialize, Serialize};

use self::backbone::Architecture;
use self::builder::Builder;
use self::init::Init;
pub use self::new_head::with_new_head;
use crate::Result;

/// A network and the roles of its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    graph: Graph,
    roles: Vec<ParamRole>,
}

/// The role of a parameter in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamRole {
    /// The optimiser moves it.
    Trained,
    /// It stays as it is: the neck's bias, a constant of the graph.
    Frozen,
    /// A running mean or variance, which a BatchNorm moves while it trains.
    Statistic,
}

/// Which network; the `[model]` table of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// What computes features from the image.
    pub backbone: Backbone,
    /// Height and width of the input in pixels.
    pub size: [usize; 2],
    /// Step of the last stage that has one, 1 or 2: the paper's "last stride". The published
    /// classifiers have 2. An OSNet's is 1 and nothing else.
    pub last_stride: usize,
    /// How features are pooled over the image.
    pub pooling: Pooling,
    /// What stands between pooling and classifier.
    pub neck: Neck,
    /// Length of the embedding: a linear layer before the neck; 0 leaves it away. `f_t` is still
    /// what is pooled, except without a neck, where both features are the embedding. For the neck
    /// `fc` the length of its layer.
    pub dim: usize,
    /// Horizontal stripes, each with its own embedding, neck and classifier (PCB); 1 is the whole
    /// image. They share the rows of the last stage equally.
    pub parts: usize,
    /// Whether a ReLU follows the first BatchNorm: the official code of the paper has none. A
    /// `ResNet` without SE only.
    pub stem_relu: bool,
    /// How the first pooling treats the border. A `ResNet` only; with SE it is always
    /// [`StemPool::Ceil`].
    pub stem_pool: StemPool,
    /// Non-local blocks in the second and third stage, as in AGW and SBS. ResNet-50, ResNet-101
    /// and their IBN-a forms.
    pub non_local: bool,
}

/// What computes features from the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names are those of the papers")]
pub enum Backbone {
    ResNet18,
    ResNet34,
    ResNet50,
    ResNet101,
    ResNet152,
    ResNet18IbnA,
    ResNet34IbnA,
    ResNet50IbnA,
    ResNet101IbnA,
    SeResNet50,
    SeResNeXt50,
    OsNetX1_0,
    OsNetX0_75,
    OsNetX0_5,
    OsNetX0_25,
    OsNetIbnX1_0,
    MobileNetV2,
    RepVggA0,
}

/// How features are pooled over the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean.
    Avg,
    /// Generalised mean with a trained exponent, 3 at first (Radenovic et al., 2018).
    Gem,
}

/// What stands between pooling and classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Neck {
    /// Nothing: `f_i` is `f_t`, and the classifier has a bias.
    None,
    /// BatchNorm whose bias stays 0 (BNNeck).
    Bnneck,
    /// Linear, BatchNorm, ReLU of [`Spec::dim`] numbers, as torchreid's OSNet has it: `f_t` and
    /// `f_i` are what comes out.
    Fc,
}

/// How the first pooling treats the border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StemPool {
    /// One pixel of padding all around, as in torchvision.
    Padded,
    /// No padding, and a last window that reaches beyond the image, as in fast-reid.
    Ceil,
}

impl Default for Spec {
    /// The paper's: ResNet-50, last stride 1, BNNeck.
    fn default() -> Self {
        Self {
            backbone: Backbone::ResNet50,
            size: [256, 128],
            last_stride: 1,
            pooling: Pooling::Avg,
            neck: Neck::Bnneck,
            dim: 0,
            parts: 1,
            stem_relu: true,
            stem_pool: StemPool::Padded,
            non_local: false,
        }
    }
}

/// The network of `spec` for `classes` identities, with initial weights from `seed` (see the module
/// `init`).
///
/// # Errors
/// As [`blank`].
pub fn build(spec: &Spec, classes: usize, seed: u64) -> Result<Net> {
    let (mut net, fresh) = assemble(spec, classes)?;
    init::initialise(&mut net, &fresh, seed)?;
    Ok(net)
}

/// As [`build`], with zeros in place of random values: to read weights into, or to know the shapes.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if there is no such network, with what is possible, or if `classes` is 0.
pub fn blank(spec: &Spec, classes: usize) -> Result<Net> {
    Ok(assemble(spec, classes)?.0)
}

/// The network with every sum of parallel convolutions of one value as one convolution: the form
/// that a [`Backbone::RepVggA0`] is used in. See [`fold::merge_branches`]. It computes the same
/// outputs; training it further is training another network.
///
/// # Errors
/// As [`fold::merge_branches`].
pub fn reparam(net: &Net) -> Result<Net> {
    let merged = fold::merge_branches(&net.graph)?;
    let roles: std::collections::HashMap<&str, ParamRole> = (net.graph.params().iter())
        .map(|param| param.name.as_str())
        .zip(net.roles.iter().copied())
        .collect();
    let mut merged = Net::from_graph(merged);
    for (param, role) in merged.graph.params().iter().zip(&mut merged.roles) {
        if let Some(&own) = roles.get(param.name.as_str()) {
            *role = own;
        }
    }
    Ok(merged)
}

/// The network and the initial values of its parameters.
fn assemble(spec: &Spec, classes: usize) -> Result<(Net, Vec<(ParamId, Init)>)> {
    spec.check()?;
    ensure!(
        classes != 0,
        "the number of identities is 0, wanted at least 1"
    );
    let mut b = Builder::new(spec.backbone.name(), spec.size);
    let map = match spec.backbone.family() {
        Architecture::ResNet(resnet) => resnet.build(&mut b, spec)?,
        Architecture::OsNet(osnet) => osnet.build(&mut b)?,
        Architecture::MobileNetV2 => mobilenet::build(&mut b, spec.last_stride)?,
        Architecture::RepVggA0 => repvgg::build(&mut b, spec.last_stride)?,
    };
    spec.check_parts(b.size(map)[0])?;
    neck::build(&mut b, spec, classes, map)?;
    Ok(b.finish())
}

impl Net {
    /// `graph`, each parameter with the role that its use implies: weights, biases, scales and
    /// slopes are trained, running statistics follow, and constants stay. Exact for every network
    /// read from a file; the builders of this module set roles themselves.
    #[must_use]
    pub fn from_graph(graph: Graph) -> Self {
        let mut roles = vec![ParamRole::Frozen; graph.params().len()];
        for node in graph.nodes() {
            for (at, operand) in node.inputs.iter().enumerate() {
                if let Operand::Param(id) = operand {
                    roles[id.index()] = implied(&node.op, at);
                }
            }
        }
        Self { graph, roles }
    }

    /// What it computes.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The role of a parameter in training.
    ///
    /// # Panics
    /// If `id` belongs to another network.
    #[must_use]
    pub fn role(&self, id: ParamId) -> ParamRole {
        self.roles[id.index()]
    }

    /// Whether a BatchNorm of images is left: a network whose BatchNorms were folded trains badly.
    #[must_use]
    pub fn has_backbone_norm(&self) -> bool {
        let images = |operand: &Operand| self.graph.fact(*operand).shape.len() == 4;
        let norm = |op: &Op| matches!(op, Op::BatchNorm { .. });
        (self.graph.nodes().iter()).any(|node| norm(&node.op) && images(&node.inputs[0]))
    }

    /// Gives a parameter a role.
    ///
    /// # Panics
    /// If `id` belongs to another network.
    pub fn set_role(&mut self, id: ParamId, role: ParamRole) {
        self.roles[id.index()] = role;
    }

    /// Gives a parameter other numbers.
    ///
    /// # Errors
    /// If type or shape are not those it has.
    ///
    /// # Panics
    /// If `id` belongs to another network.
    pub fn set_tensor(&mut self, id: ParamId, tensor: Tensor) -> Result<()> {
        Ok(self.graph.set_tensor(id, tensor)?)
    }
}

/// The role of a parameter that is operand `at` of an operator.
fn implied(op: &Op, at: usize) -> ParamRole {
    match (op, at) {
        (Op::BatchNorm { .. }, 3 | 4) => ParamRole::Statistic,
        (Op::Conv(_) | Op::Gemm(_) | Op::MatMul | Op::PRelu, _)
        | (Op::BatchNorm { .. } | Op::InstanceNorm { .. }, 1 | 2)
        // A weight that is rounded on its way.
        | (Op::QuantizeLinear { .. }, 0) => ParamRole::Trained,
        _ => ParamRole::Frozen,
    }
}
