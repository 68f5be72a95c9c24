//! Fast executor of plans.
//!
//! In: a [`Plan`] and crops. Out: their embeddings and, for an observer, what each step writes: bit by bit the
//! quantised values of [`run_plan`](crate::plan::run_plan), whatever the processor and the number of
//! threads. Convolutions run on integer micro-tiles ([`tile`]), float steps on the f32 operators of this module's
//! parent. After the first run of a batch size no step that writes quantised values allocates.

mod conv;
mod epilogue;
mod steps;
#[cfg(test)]
mod tests;
mod tile;

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Cpu, Weights, f32s};
use crate::plan::{FloatOperand, FloatStep, Plan, Step, StepKind, TensorId, TensorView};
use conv::PackedConv;
use network::quant::QuantParams;
use network::tensor::Tensor;
use network::{Error, Result};

/// A plan with its weights packed for this processor, and its memory.
#[derive(Debug)]
pub struct Executor {
    cpu: Cpu,
    image: [usize; 2],
    output: TensorId,
    dim: usize,
    tensors: Vec<TensorView>,
    constants: Vec<Tensor>,
    steps: Vec<(Step, Packed)>,
    memory: Memory,
    scratch: Scratch,
}

/// What a step has written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepOutput<'a> {
    /// u8, `[N, height, width, channels]`.
    Quantised(&'a [u8]),
    /// f32, in the shape of its [`TensorKind`](crate::plan::TensorKind).
    Float(&'a Tensor),
}

/// The weights of a step, packed.
#[derive(Debug)]
enum Packed {
    Conv(PackedConv),
    Float(Weights),
    Nothing,
}

/// For each buffer of the plan one of the two.
#[derive(Debug)]
struct Memory {
    quantised: Vec<Vec<u8>>,
    float: Vec<Option<Tensor>>,
}

/// Memory that no step needs for longer than itself.
#[derive(Debug)]
struct Scratch {
    /// An image with its border.
    padded: Vec<u8>,
    /// For each thread: packed pixels or sums.
    threads: Vec<Mutex<Vec<i32>>>,
    /// An f32 result before its channels become planes.
    pixels: Vec<f32>,
}

/// A quantised tensor.
#[derive(Clone, Copy)]
struct Image<'a> {
    /// `[N, height, width, channels]`.
    values: &'a [u8],
    /// Height, width, channels.
    size: [usize; 3],
    params: QuantParams,
}

/// The quantised tensors that a step reads.
#[derive(Clone, Copy)]
struct Images<'a> {
    tensors: &'a [TensorView],
    values: &'a [Vec<u8>],
    batch: usize,
    inputs: &'a [TensorId],
}

impl<'a> Images<'a> {
    fn of(tensors: &'a [TensorView], memory: &'a Memory, batch: usize, step: &'a Step) -> Self {
        Self {
            tensors,
            values: &memory.quantised,
            batch,
            inputs: &step.inputs,
        }
    }

    /// The input `index` of the step.
    fn get(&self, index: usize) -> Image<'a> {
        let view = &self.tensors[self.inputs[index].index()];
        Image {
            values: &self.values[view.buffer][..view.kind.len(self.batch)],
            size: size_of(view),
            params: params_of(view),
        }
    }
}

/// Height, width and channels of a tensor that a step other than a float one reads or writes.
fn size_of(view: &TensorView) -> [usize; 3] {
    view.kind.size().expect("such a tensor is an image")
}

fn params_of(view: &TensorView) -> QuantParams {
    view.kind
        .params()
        .expect("the step reads or writes quantised values")
}

/// Gives each thread at least `count` numbers, whether it will need them this time or not: threads take
/// work in any order, and allocation should not depend on it.
fn reserve(threads: &[Mutex<Vec<i32>>], count: usize) {
    for numbers in threads {
        let mut numbers = lock(numbers);
        if numbers.len() < count {
            numbers.resize(count, 0);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// Packs `plan` to run on `threads` threads, the calling one included; 0 takes one for each
    /// core.
    ///
    /// # Errors
    /// [`Error::Argument`] if the output of the plan is not `[N, dim]`.
    pub fn new(plan: &Plan, threads: usize) -> Result<Self> {
        Self::with(plan, Cpu::new(threads))
    }

    fn with(plan: &Plan, cpu: Cpu) -> Result<Self> {
        let output = plan.tensor(plan.output());
        let shape = output.kind.float_shape(1);
        let Some(&[1, dim]) = shape.as_deref() else {
            return Err(Error::Argument(format!(
                "the output `{}` of the plan is no embedding: {:?}",
                output.name, output.kind
            )));
        };
        let steps = plan.steps().iter();
        let steps = steps.map(|step| (step.clone(), Packed::new(plan, &cpu, step)));
        Ok(Self {
            image: plan.image(),
            output: plan.output(),
            dim,
            tensors: plan.tensors().to_vec(),
            constants: plan.constants().to_vec(),
            steps: steps.collect(),
            memory: Memory {
                quantised: vec![Vec::new(); plan.buffers().len()],
                float: vec![None; plan.buffers().len()],
            },
            scratch: Scratch {
                padded: Vec::new(),
                threads: (0..cpu.threads()).map(|_| Mutex::default()).collect(),
                pixels: Vec::new(),
            },
            cpu,
        })
    }

    /// Length of an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Threads that compute.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.cpu.threads()
    }

    /// Lets the calling thread work alone from now on while the others sleep, or not: for small networks
    /// distributing work costs more than it saves. The results are the same.
    pub fn work_alone(&mut self, alone: bool) {
        self.cpu.alone = alone;
    }

    /// The instruction set in use; see [`Cpu::instructions`].
    #[must_use]
    pub fn instructions(&self) -> &'static str {
        self.cpu.instructions()
    }

    /// The embeddings `[N, dim]`, not normalised, of `pixels`: RGB bytes `[N, height, width, 3]`, as
    /// [`Cropper`](network::preprocess::Cropper) makes them.
    ///
    /// # Errors
    /// [`Error::Argument`] if `pixels` are not whole images or `out` is not exactly as long as their
    /// embeddings; else the errors of [`reference::eval`](network::reference::eval) for a float step.
    pub fn run(&mut self, pixels: &[u8], out: &mut [f32]) -> Result<()> {
        self.check(pixels, out)?;
        // More images at once than keep the threads busy would only leave the caches.
        let at_once = match self.threads() {
            1 => 1,
            _ if self.cpu.alone => 1,
            threads => 2 * threads,
        };
        let image = 3 * self.image[0] * self.image[1];
        let pieces = pixels.chunks(at_once * image);
        for (pixels, out) in pieces.zip(out.chunks_mut(at_once * self.dim)) {
            self.batch(pixels, out, &mut |_, _| ())?;
        }
        Ok(())
    }

    /// As [`Executor::run`], all images at once; `observe` gets the index of each step and each value that it
    /// writes.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_with(
        &mut self,
        pixels: &[u8],
        out: &mut [f32],
        mut observe: impl FnMut(usize, StepOutput<'_>),
    ) -> Result<()> {
        self.check(pixels, out)?;
        self.batch(pixels, out, &mut observe)
    }

    fn check(&self, pixels: &[u8], out: &[f32]) -> Result<()> {
        let [height, width] = self.image;
        let image = 3 * height * width;
        if !pixels.len().is_multiple_of(image) {
            return Err(Error::Argument(format!(
                "images are {height} x {width} RGB bytes, {image} each; found {}",
                pixels.len()
            )));
        }
        let wanted = pixels.len() / image * self.dim;
        if out.len() != wanted {
            return Err(Error::Argument(format!(
                "{} embeddings are {wanted} numbers, there is room for {}",
                pixels.len() / image,
                out.len()
            )));
        }
        Ok(())
    }

    fn batch(
        &mut self,
        pixels: &[u8],
        out: &mut [f32],
        observe: &mut dyn FnMut(usize, StepOutput<'_>),
    ) -> Result<()> {
        let batch = out.len() / self.dim;
        if batch == 0 {
            return Ok(());
        }
        let mut run = BatchRun {
            cpu: &self.cpu,
            tensors: &self.tensors,
            constants: &self.constants,
            memory: &mut self.memory,
            scratch: &mut self.scratch,
            batch,
            pixels,
        };
        for (index, (step, packed)) in self.steps.iter().enumerate() {
            run.step(step, packed)?;
            for &id in &step.outputs {
                observe(index, run.output(id));
            }
        }
        out.copy_from_slice(f32s(run.float(self.output)?));
        Ok(())
    }
}

impl Packed {
    fn new(plan: &Plan, cpu: &Cpu, step: &Step) -> Self {
        match &step.kind {
            StepKind::Conv(conv) => {
                let input = |index: usize| step.inputs.get(index).map(|&id| plan.tensor(id));
                let zero = |index: usize| input(index).map_or(0, |r| params_of(r).zero_point);
                let sizes = [step.inputs[0], step.outputs[0]].map(|id| size_of(plan.tensor(id)));
                Self::Conv(PackedConv::new(conv, cpu.isa, sizes, [zero(0), zero(1)]))
            }
            StepKind::Float(float) => Self::Float(match float.operands.get(1) {
                Some(FloatOperand::Constant(index)) => {
                    Weights::pack(cpu, &float.op, &plan.constants()[*index])
                }
                _ => Weights::Unpacked,
            }),
            _ => Self::Nothing,
        }
    }
}

/// A plan, a batch and its memory.
struct BatchRun<'a> {
    cpu: &'a Cpu,
    tensors: &'a [TensorView],
    constants: &'a [Tensor],
    memory: &'a mut Memory,
    scratch: &'a mut Scratch,
    batch: usize,
    pixels: &'a [u8],
}

impl BatchRun<'_> {
    fn step(&mut self, step: &Step, packed: &Packed) -> Result<()> {
        if let (StepKind::Float(float), Packed::Float(weights)) = (&step.kind, packed) {
            return self.float_step(step, float, weights);
        }
        // A step never reads the buffer that it writes, so the buffer can be taken out.
        let view = &self.tensors[step.outputs[0].index()];
        let Some(shape) = view.kind.float_shape(self.batch) else {
            let mut values = std::mem::take(&mut self.memory.quantised[view.buffer]);
            let len = view.kind.len(self.batch);
            if values.len() < len {
                values.resize(len, 0);
            }
            let result = self.write_quantised(step, packed, view, &mut values[..len]);
            self.memory.quantised[view.buffer] = values;
            return result;
        };
        let mut tensor = match self.memory.float[view.buffer].take() {
            Some(tensor) if tensor.shape() == shape => tensor,
            _ => Tensor::zeros(shape)?,
        };
        let out = tensor.as_f32_mut().expect("tensors of float steps are f32");
        let result = self.write_float(step, packed, view, out);
        self.memory.float[view.buffer] = Some(tensor);
        result
    }

    fn write_quantised(
        &mut self,
        step: &Step,
        packed: &Packed,
        view: &TensorView,
        out: &mut [u8],
    ) -> Result<()> {
        let size = size_of(view);
        let images = Images::of(self.tensors, self.memory, self.batch, step);
        if let Packed::Conv(conv) = packed {
            let residual = (step.inputs.len() > 1).then(|| images.get(1).values);
            conv.quantised(self.cpu, self.scratch, images.get(0).values, residual, out);
            return Ok(());
        }
        let (cpu, scratch) = (self.cpu, &*self.scratch);
        match &step.kind {
            StepKind::Pixels(table) => steps::pixels(cpu, table, self.pixels, out),
            StepKind::MaxPool { rows, columns } => {
                steps::max_pool(cpu, rows, columns, &images.get(0), out);
            }
            StepKind::Average(average) => {
                steps::average(cpu, scratch, average, &images.get(0), out);
            }
            StepKind::Table(table) => steps::table(cpu, table, &images.get(0), out),
            StepKind::Sum(sum) => steps::sum(cpu, scratch, sum, &images, size, out),
            StepKind::Channels(ranges) => steps::channels(ranges, &images, size[2], out),
            StepKind::Crop { start, step } => {
                steps::crop(*start, *step, &images.get(0), size, out);
            }
            StepKind::Pad { before, value } => {
                steps::pad(*before, *value, &images.get(0), size, out);
            }
            StepKind::Quantise => {
                let x = f32s(self.float(step.inputs[0])?);
                steps::quantise(cpu, params_of(view), size, x, out);
            }
            other => return Err(misplaced(other.name(), "quantised values")),
        }
        Ok(())
    }

    fn write_float(
        &mut self,
        step: &Step,
        packed: &Packed,
        view: &TensorView,
        out: &mut [f32],
    ) -> Result<()> {
        let size = size_of(view);
        let images = Images::of(self.tensors, self.memory, self.batch, step);
        let (cpu, image) = (self.cpu, || images.get(0));
        match (&step.kind, packed) {
            (_, Packed::Conv(conv)) => {
                let residual = (step.inputs.len() > 1).then(|| images.get(1).values);
                let mut pixels = std::mem::take(&mut self.scratch.pixels);
                pixels.resize(out.len(), 0.0);
                conv.float(cpu, self.scratch, image().values, residual, &mut pixels);
                steps::planes(&pixels, size, out);
                self.scratch.pixels = pixels;
            }
            (StepKind::Normalise(table), _) => {
                steps::normalise(table, self.pixels, size[0] * size[1], out);
            }
            (StepKind::Dequantise, _) => steps::dequantise(cpu, &image(), out),
            (StepKind::Mean { scale }, _) => {
                steps::mean(cpu, self.scratch, *scale, &image(), out);
            }
            (other, _) => return Err(misplaced(other.name(), "f32")),
        }
        Ok(())
    }

    fn float_step(&mut self, step: &Step, float: &FloatStep, weights: &Weights) -> Result<()> {
        let operands: Vec<&Tensor> = (float.operands.iter())
            .map(|operand| match *operand {
                FloatOperand::Tensor(id) => self.float(id),
                FloatOperand::Constant(index) => Ok(&self.constants[index]),
            })
            .collect::<Result<_>>()?;
        let batch = Some(self.batch);
        let tensors = (self.cpu).compute(batch, &step.name, &float.op, &operands, weights)?;
        for (&id, tensor) in step.outputs.iter().zip(tensors) {
            self.memory.float[self.tensors[id.index()].buffer] = Some(tensor);
        }
        Ok(())
    }

    fn float(&self, id: TensorId) -> Result<&Tensor> {
        let view = &self.tensors[id.index()];
        let tensor = self.memory.float[view.buffer].as_ref();
        tensor.ok_or_else(|| misplaced(&view.name, "f32"))
    }

    fn output(&self, id: TensorId) -> StepOutput<'_> {
        let view = &self.tensors[id.index()];
        match &self.memory.float[view.buffer] {
            Some(tensor) => StepOutput::Float(tensor),
            None => {
                let len = view.kind.len(self.batch);
                StepOutput::Quantised(&self.memory.quantised[view.buffer][..len])
            }
        }
    }
}

fn misplaced(what: &str, wanted: &str) -> Error {
    Error::Argument(format!("the plan has `{what}` where it needs {wanted}"))
}
