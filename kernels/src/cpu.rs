//! Fast executors on CPU threads: [`Executor`] for plans, [`FloatExecutor`] for f32 graphs.
//!
//! In: a [`Plan`](crate::plan::Plan) and crops, or a graph and a batch of images. Out: the quantised values of
//! [`run_plan`](crate::plan::run_plan), bit by bit, or the results of [`reference::run`], within the rounding of f32
//! sums. Loops are plain Rust, compiled for several instruction sets (`isa`); integer micro-tiles alone use intrinsics.
//! What has no fast path is computed by [`reference::eval`]. The number of threads changes no bit.

mod conv;
mod elementwise;
mod executor;
mod gemm;
mod isa;
mod matrix;
mod pool;
mod quantize;
#[cfg(test)]
mod tests;
mod window;

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::thread;

use conv::Filters;
use isa::Isa;
use matrix::Panels;
use network::graph::{Graph, Node, Op, Operand, ValueId};
use network::tensor::{Data, Tensor};
use network::{Result, reference};
use pool::Pool;

pub use executor::{Executor, StepOutput};

/// Fewer elementary operations than this are not worth waking a thread: some 10 us of work.
const ALONE: usize = 1 << 16;

/// Multiply-accumulates of a micro-tile in the time of one such operation.
const TILE: usize = 8;

/// Threads and the instruction set that they compute with.
///
/// # Example
/// ```
/// use kernels::cpu::Cpu;
/// use network::graph::{Graph, Op, Unary};
/// use network::tensor::Tensor;
///
/// # fn main() -> network::Result<()> {
/// let mut graph = Graph::new("example", "image", [1, 1, 2]);
/// let input = graph.input();
/// let output = graph.push1("relu", Op::Unary(Unary::Relu), [input.into()])?;
/// graph.output("y", output);
///
/// let image = Tensor::f32([1, 1, 1, 2], [-1.0, 2.0])?;
/// let results = Cpu::new(1).run(&graph, &image)?;
/// assert_eq!(results[0].as_f32(), Some(&[0.0, 2.0][..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cpu {
    pool: Pool,
    /// Whether only the calling thread works.
    alone: bool,
    isa: Isa,
    spare: Spare,
}

/// A graph with its weights packed, and with all values computed that depend on weights alone.
#[derive(Debug)]
pub struct FloatExecutor<'a> {
    cpu: &'a Cpu,
    graph: &'a Graph,
    /// For each node.
    ready: Vec<ReadyNode>,
}

/// The part of a node that does not depend on the image.
#[derive(Debug, Default)]
struct ReadyNode {
    /// Its outputs, if they do not depend on the image.
    outputs: Option<Vec<Tensor>>,
    weights: Weights,
}

/// The second operand of a node, packed for its fast path.
#[derive(Debug, Default)]
enum Weights {
    #[default]
    Unpacked,
    Filters(Filters),
    Panels(Panels),
}

impl Cpu {
    /// Computes on `threads` threads, the calling one included; 0 takes one for each core. Fewer,
    /// if the system gives no more.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self::with(threads, Isa::best())
    }

    fn with(threads: usize, isa: Isa) -> Self {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        Self {
            pool: Pool::new(threads),
            alone: false,
            isa,
            spare: Spare::default(),
        }
    }

    /// Threads that compute.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The instruction set in use, for example `avx2`.
    #[must_use]
    pub fn instructions(&self) -> &'static str {
        self.isa.name()
    }

    /// As [`reference::eval`].
    ///
    /// # Errors
    /// As [`reference::eval`].
    pub fn eval(&self, node: &str, op: &Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        self.compute(None, node, op, inputs, &Weights::Unpacked)
    }

    /// Packs `graph` to be run several times.
    #[must_use]
    pub fn prepare<'a>(&'a self, graph: &'a Graph) -> FloatExecutor<'a> {
        FloatExecutor::new(self, graph)
    }

    /// As [`reference::run`]. To run a graph several times, [prepare](Cpu::prepare) it once.
    ///
    /// # Errors
    /// As [`reference::run`].
    pub fn run(&self, graph: &Graph, input: &Tensor) -> Result<Vec<Tensor>> {
        self.prepare(graph).run(input)
    }

    fn compute(
        &self,
        batch: Option<usize>,
        node: &str,
        op: &Op,
        inputs: &[&Tensor],
        weights: &Weights,
    ) -> Result<Vec<Tensor>> {
        let facts = reference::infer(batch, node, op, inputs)?;
        let shape = facts[0].shape_for(0);
        let empty = shape.contains(&0) || inputs.iter().any(|input| input.is_empty());
        if !empty && let Some(data) = self.fast(op, inputs, weights, &shape) {
            return Ok(vec![Tensor::new(shape, data)?]);
        }
        reference::eval_for(batch, node, op, inputs)
    }

    /// The result of the fast path, if there is one. Shape inference has accepted `op` with `inputs`, none
    /// of which is empty, and has found `shape`.
    fn fast(
        &self,
        op: &Op,
        inputs: &[&Tensor],
        weights: &Weights,
        shape: &[usize],
    ) -> Option<Data> {
        let y = match op {
            Op::Conv(attributes) => {
                let filters = match weights {
                    Weights::Filters(filters) => Some(filters),
                    _ => None,
                };
                conv::conv(self, attributes, inputs, filters, shape)?
            }
            Op::Gemm(attributes) => {
                let panels = match weights {
                    Weights::Panels(panels) => Some(panels),
                    _ => None,
                };
                matrix::gemm(self, attributes, inputs, panels, shape)?
            }
            Op::MatMul => matrix::matmul(self, inputs, shape)?,
            Op::BatchNorm { epsilon } => elementwise::batch_norm(self, *epsilon, inputs),
            Op::InstanceNorm { epsilon } => elementwise::instance_norm(self, *epsilon, inputs),
            Op::Unary(unary) => elementwise::unary(self, *unary, inputs[0]),
            Op::PRelu => elementwise::prelu(self, inputs, shape),
            Op::Binary(binary) => elementwise::binary(self, *binary, inputs, shape)?,
            Op::MaxPool(pool) => window::max(self, pool, inputs[0], shape)?,
            Op::AveragePool {
                pool,
                count_include_pad,
            } => window::average(self, pool, *count_include_pad, inputs[0], shape)?,
            Op::GlobalAveragePool => elementwise::global_average(self, inputs[0]),
            Op::QuantizeLinear { axis } => return quantize::quantize(self, *axis, inputs),
            Op::DequantizeLinear { axis } => quantize::dequantize(self, *axis, inputs)?,
            _ => return None,
        };
        Some(Data::F32(y))
    }

    /// Calls `work` with each of `items`: on all threads, if `operations` of them are worth it.
    fn each<I>(&self, operations: usize, items: I, work: impl Fn(usize, I::Item) + Sync)
    where
        I: Iterator + Send,
    {
        if self.alone || operations < ALONE {
            items.for_each(|item| work(0, item));
        } else {
            self.pool.each(items, work);
        }
    }
}

impl<'a> FloatExecutor<'a> {
    fn new(cpu: &'a Cpu, graph: &'a Graph) -> Self {
        let mut known: Vec<Option<Tensor>> = vec![None; graph.values().len()];
        let mut ready = Vec::with_capacity(graph.nodes().len());
        for node in graph.nodes() {
            let weights = match (&node.op, node.inputs.get(1)) {
                (op, Some(&operand)) => constant(graph, &known, operand)
                    .map_or(Weights::Unpacked, |weight| Weights::pack(cpu, op, weight)),
                _ => Weights::Unpacked,
            };
            let inputs: Option<Vec<&Tensor>> = (node.inputs.iter())
                .map(|&operand| constant(graph, &known, operand))
                .collect();
            // A node that fails here fails again in every run, which then reports the error.
            let outputs = inputs.and_then(|inputs| {
                let outputs = cpu.compute(None, &node.name, &node.op, &inputs, &weights);
                outputs
                    .ok()
                    .filter(|outputs| outputs.len() == node.outputs.len())
            });
            for (&id, tensor) in node.outputs.iter().zip(outputs.iter().flatten()) {
                known[id.index()] = Some(tensor.clone());
            }
            ready.push(ReadyNode { outputs, weights });
        }
        Self { cpu, graph, ready }
    }

    /// As [`reference::run`].
    ///
    /// # Errors
    /// As [`reference::run`].
    pub fn run(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        self.run_with(input, |_, _| ())
    }

    /// As [`reference::run_with`].
    ///
    /// # Errors
    /// As [`reference::run_with`].
    pub fn run_with(
        &self,
        input: &Tensor,
        observe: impl FnMut(ValueId, &Tensor),
    ) -> Result<Vec<Tensor>> {
        let eval = |index: usize, node: &Node, batch, inputs: &[&Tensor]| {
            let ready = &self.ready[index];
            Ok(match &ready.outputs {
                Some(outputs) => outputs.iter().map(Cow::Borrowed).collect(),
                None => self
                    .cpu
                    .compute(Some(batch), &node.name, &node.op, inputs, &ready.weights)?
                    .into_iter()
                    .map(Cow::Owned)
                    .collect(),
            })
        };
        reference::walk(self.graph, input, eval, observe)
    }
}

/// The elements of an operand that shape inference has found to be f32.
fn f32s(tensor: &Tensor) -> &[f32] {
    let elements = tensor.as_f32();
    elements.expect("shape inference has checked the element type")
}

/// The tensor of an operand that does not depend on the image.
fn constant<'a>(
    graph: &'a Graph,
    known: &'a [Option<Tensor>],
    operand: Operand,
) -> Option<&'a Tensor> {
    match operand {
        Operand::Param(id) => Some(graph.tensor(id)),
        Operand::Value(id) => known[id.index()].as_ref(),
    }
}

impl Weights {
    fn pack(cpu: &Cpu, op: &Op, weight: &Tensor) -> Self {
        let packed = match op {
            Op::Conv(conv) => Filters::pack(conv, weight).map(Self::Filters),
            Op::Gemm(gemm) => Panels::of(cpu, gemm, weight).map(Self::Panels),
            _ => None,
        };
        packed.unwrap_or_default()
    }
}

/// Unused buffers; their elements are arbitrary.
#[derive(Debug, Default)]
struct Spare(Mutex<Vec<Vec<f32>>>);

impl Spare {
    fn take(&self) -> Vec<f32> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop().unwrap_or_default()
    }

    fn give(&self, buffer: Vec<f32>) {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.push(buffer);
    }
}
