//! From a network to a list of steps that an executor only has to follow.
//!
//! In: a [`Graph`], float or in QDQ form, and how its input is prepared. Out:
//! a [`Plan`]: steps in execution order, the slots they read and write, and the buffers that the
//! slots lie in. Whatever is decided about integers is decided here, once, in f64: weights in the
//! order of the steps, biases, multipliers, shifts, tables, and the proof that no accumulator
//! leaves 31 bits. An executor (the plain one in [`run_plan`], the fast ones) rounds
//! nothing but what [`requantise`](network::quant::requantise) rounds.
//!
//! A step is either exact, from codes to codes, or float: it reads or writes real numbers. All
//! steps before [`Plan::exact_until`] are exact, and there every executor has the same integers.
//!
//! Batches. A plan is made for one image; all shapes are those of one image, and an executor may
//! compute any number of them at once.

mod buffers;
mod cost;
mod derive;
mod lower;
mod reference;
mod step;

pub use cost::StepCost;
pub use reference::{TensorValue, run_plan};
pub use step::{
    Average, Channels, Conv, ConvOutput, Crop, Dequantise, Float, FloatOperand, MaxPool, Mean,
    Normalise, Pad, Pixels, Quantise, Requantise, Residual, Run, Step, StepKind, Sum, Table, Term,
    Window,
};

use network::graph::{Dim, Graph};
use network::metadata::Preprocessing;
use network::quant::QuantParams;
use network::tensor::Tensor;
use network::{Error, Result};

/// Names a slot within one plan: an index into [`Plan::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub(crate) usize);

/// A value between steps: written by one step, read by later ones.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorView {
    /// Name of the value in the network.
    pub name: String,
    /// What it holds.
    pub kind: TensorKind,
    /// Where it lies: an index into [`Plan::buffers`]. Slots that are never alive at the same time
    /// share a buffer; what a step reads and what it writes never do.
    pub buffer: usize,
}

/// What a slot holds.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorKind {
    /// Bytes, `[N, height, width, channels]`. A vector of a network, `[N, C]`, is an image of one
    /// pixel.
    Quantised {
        /// Height, width and channels of one image.
        size: [usize; 3],
        /// What a code means.
        params: QuantParams,
    },
    /// f32, row-major, shaped as in the network: `[N, C, H, W]`, `[N, C]`...
    Float {
        /// The shape, with at most one [`Dim::Batch`].
        shape: Vec<Dim>,
    },
}

/// Memory that slots lie in, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Whether it is for f32 or for bytes.
    pub real: bool,
    /// Elements for each image of a batch.
    pub len: usize,
}

/// A network as steps. See the [module](self).
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    steps: Vec<Step>,
    tensors: Vec<TensorView>,
    buffers: Vec<Buffer>,
    constants: Vec<Tensor>,
    output: TensorId,
    image: [usize; 2],
    exact_until: usize,
}

impl TensorId {
    /// Position in [`Plan::tensors`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

impl TensorKind {
    /// Elements for a batch of `batch` images.
    #[must_use]
    pub fn len(&self, batch: usize) -> usize {
        match self {
            Self::Quantised { size, .. } => batch * size.iter().product::<usize>(),
            Self::Float { shape } => shape.iter().map(|dim| dim.for_batch(batch)).product(),
        }
    }

    /// Size and meaning, if it holds codes.
    #[must_use]
    pub fn codes(&self) -> Option<([usize; 3], QuantParams)> {
        match self {
            Self::Quantised { size, params } => Some((*size, *params)),
            Self::Float { .. } => None,
        }
    }

    /// The shape for a batch, if it holds real numbers.
    #[must_use]
    pub fn real(&self, batch: usize) -> Option<Vec<usize>> {
        match self {
            Self::Quantised { .. } => None,
            Self::Float { shape } => Some(shape.iter().map(|dim| dim.for_batch(batch)).collect()),
        }
    }
}

impl Plan {
    /// Plans a network of one output, f32 `[N, ...]`, for crops that are prepared like this.
    ///
    /// What the QDQ form allows becomes exact steps. The rest is float steps: a graph without a
    /// `QuantizeLinear` consists of them. So is a layer whose accumulator might leave 31 bits, or
    /// whose scales no conversion takes.
    ///
    /// # Errors
    /// [`Error::Argument`] if the network has another number of outputs, an output that does not
    /// depend on the image, or an input of another size than the pre-processing gives;
    /// [`Error::Unsupported`] with the node's name if activations have several scales, a scale that
    /// is not a positive normal number, or a `DequantizeLinear` that does not fit what it reads;
    /// [`Error::Malformed`] as [`Preprocessing::check`].
    pub fn new(graph: &Graph, preprocessing: &Preprocessing) -> Result<Self> {
        preprocessing.check()?;
        if graph.outputs().len() != 1 {
            return Err(Error::Argument(format!(
                "a plan has one output, the network has {}",
                graph.outputs().len()
            )));
        }
        let Preprocessing { height, width, .. } = *preprocessing;
        if graph.input_size() != [3, height, width] {
            return Err(Error::Argument(format!(
                "the network reads {:?}, its pre-processing gives {:?}",
                graph.input_size(),
                [3, height, width]
            )));
        }
        lower::lower(&graph.pruned()?, preprocessing)
    }

    /// What to do, in this order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Every value between steps.
    #[must_use]
    pub fn tensors(&self) -> &[TensorView] {
        &self.tensors
    }

    /// One slot.
    ///
    /// # Panics
    /// If `id` belongs to another plan.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &TensorView {
        &self.tensors[id.0]
    }

    /// The memory that is needed.
    #[must_use]
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// Parameters of [`Float`] steps; see [`FloatOperand::Constant`].
    #[must_use]
    pub fn constants(&self) -> &[Tensor] {
        &self.constants
    }

    /// The slot of the embedding, real `[N, dim]`.
    #[must_use]
    pub fn output(&self) -> TensorId {
        self.output
    }

    /// Height and width of an input image.
    #[must_use]
    pub fn image(&self) -> [usize; 2] {
        self.image
    }

    /// The names of the exact steps, in the order of execution.
    #[must_use]
    pub fn exact_steps(&self) -> Vec<String> {
        let exact = &self.steps[..self.exact_until];
        exact.iter().map(|step| step.name.clone()).collect()
    }

    /// How many of the first steps are exact: what `steps()[..exact_until()]` write are codes, and
    /// equal on every executor. The next one, if any, is the first that writes real numbers.
    #[must_use]
    pub fn exact_until(&self) -> usize {
        self.exact_until
    }
}
