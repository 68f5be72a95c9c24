//! A network as a list of steps that an executor follows.
//!
//! In: a [`Graph`], float or in QDQ form, and its pre-processing. Out: a [`Plan`]: steps in execution order,
//! the tensors between them and the buffers that hold these. All decisions about integers are made here, once, in
//! f64; executors round nothing but what [`requantise`](network::quant::requantise) rounds. Steps up to
//! [`Plan::exact_until`] give the same integers on every executor. Shapes are those of one image.

mod buffers;
mod derive;
mod lower;
mod reference;
mod step;

pub use reference::{TensorValue, run_plan};
pub use step::{
    AverageStep, ChannelRange, ConvOutput, ConvStep, FloatOperand, FloatStep, PixelTable,
    Requantise, Residual, Step, StepKind, SumStep, Window,
};

use network::graph::{Dim, Graph};
use network::metadata::Preprocessing;
use network::quant::QuantParams;
use network::tensor::Tensor;
use network::{Error, Result};

/// Index of a tensor in [`Plan::tensors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub(crate) usize);

/// A tensor between steps: written by one step, read by later ones.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorView {
    /// Name of the value in the network.
    pub name: String,
    /// Element type, shape and layout.
    pub kind: TensorKind,
    /// Index of the buffer that holds it, in [`Plan::buffers`]. Tensors that are never needed at the same
    /// time share a buffer; what a step reads and what it writes never do.
    pub buffer: usize,
}

/// Element type, shape and layout of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorKind {
    /// u8, `[N, height, width, channels]`. A vector `[N, C]` of the network is an image of one pixel.
    Quantised {
        /// Height, width and channels of one image.
        size: [usize; 3],
        /// Scale and zero point.
        params: QuantParams,
    },
    /// f32, row-major, shaped as in the network: `[N, C, H, W]`, `[N, C]`...
    Float {
        /// The shape, with at most one [`Dim::Batch`].
        shape: Vec<Dim>,
    },
}

/// Memory that holds tensors, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Whether its elements are f32, or else u8.
    pub float: bool,
    /// Elements for each image of a batch.
    pub len: usize,
}

/// A network as steps. See the [module](self).
///
/// # Example
/// ```
/// use std::path::Path;
///
/// use kernels::plan::Plan;
/// use network::model::{Model, ModelOptions};
///
/// # fn main() -> network::Result<()> {
/// let path = Path::new("../models/street-osnet_x0_25-int8.onnx");
/// let model = Model::open(path, &ModelOptions::default())?;
/// let plan = Plan::new(&model.graph, &model.metadata.preprocessing)?;
/// assert_eq!(plan.image(), [128, 64]);
/// // Most steps compute in integers, and the same ones on every executor.
/// assert!(plan.exact_until() > plan.steps().len() / 2);
/// # Ok(())
/// # }
/// ```
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

    /// Height, width and channels of an image or a vector, quantised or not; none for other shapes.
    #[must_use]
    pub fn size(&self) -> Option<[usize; 3]> {
        match self {
            Self::Quantised { size, .. } => Some(*size),
            Self::Float { shape } => match shape[..] {
                [_, Dim::Fixed(c), Dim::Fixed(h), Dim::Fixed(w)] => Some([h, w, c]),
                [_, Dim::Fixed(c)] => Some([1, 1, c]),
                _ => None,
            },
        }
    }

    /// Scale and zero point; none for f32.
    #[must_use]
    pub fn params(&self) -> Option<QuantParams> {
        match self {
            Self::Quantised { params, .. } => Some(*params),
            Self::Float { .. } => None,
        }
    }

    /// The shape for a batch if it is f32; none for quantised values.
    #[must_use]
    pub fn float_shape(&self, batch: usize) -> Option<Vec<usize>> {
        match self {
            Self::Quantised { .. } => None,
            Self::Float { shape } => Some(shape.iter().map(|dim| dim.for_batch(batch)).collect()),
        }
    }
}

impl Plan {
    /// Plans a network of one output, f32 `[N, ...]`, for crops with this pre-processing.
    ///
    /// What the QDQ form allows becomes exact steps, the rest float steps: a graph without a
    /// `QuantizeLinear`, a layer whose accumulator might leave 31 bits, or one whose scales are out of
    /// range.
    ///
    /// ```
    /// use kernels::plan::{Plan, run_plan};
    /// use network::graph::{Graph, Op};
    /// use network::metadata::Preprocessing;
    ///
    /// let mut graph = Graph::new("mean colour", "image", [3, 256, 128]);
    /// let mean = graph.push1("mean", Op::GlobalAveragePool, [graph.input().into()])?;
    /// let flat = graph.push1("flat", Op::Flatten { axis: 1 }, [mean.into()])?;
    /// graph.output("embedding", flat);
    ///
    /// let plan = Plan::new(&graph, &Preprocessing::default())?;
    /// assert_eq!(plan.steps().len(), 3); // normalise, mean, flatten
    /// let embedding = run_plan(&plan, &[128; 256 * 128 * 3], |_, _| ())?;
    /// assert_eq!(embedding.shape(), [1, 3]);
    /// # Ok::<(), network::Error>(())
    /// ```
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

    /// Every tensor between steps.
    #[must_use]
    pub fn tensors(&self) -> &[TensorView] {
        &self.tensors
    }

    /// One tensor.
    ///
    /// # Panics
    /// If `id` belongs to another plan.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &TensorView {
        &self.tensors[id.0]
    }

    /// The buffers that an executor has to allocate.
    #[must_use]
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// Parameters of float steps; see [`FloatOperand::Constant`].
    #[must_use]
    pub fn constants(&self) -> &[Tensor] {
        &self.constants
    }

    /// The embedding, f32 `[N, dim]`.
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

    /// Number of exact steps: what `steps()[..exact_until()]` write are integers, equal on every
    /// executor. The next step, if any, is the first that writes f32.
    #[must_use]
    pub fn exact_until(&self) -> usize {
        self.exact_until
    }
}
