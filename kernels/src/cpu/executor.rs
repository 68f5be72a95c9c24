//! Executor of plans: what the plain executor of [`mod@network::reference`] computes, fast.
//!
//! In: a [`Plan`] and crops. Out: their embeddings, and for who wants to see it what each step has
//! written: the same codes, bit by bit, whatever the processor and the number of threads.
//! Convolutions multiply bytes, or pairs of 16 bits, in tiles ([`tile`]); float steps run on the
//! executor for float networks beside this one. A run after the first of its size allocates nothing,
//! but for real numbers.

mod conv;
mod lanes;
mod steps;
#[cfg(test)]
mod tests;
mod tile;

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Cpu, Weights};
use crate::plan::{Float, FloatOperand, Plan, StepKind, TensorId, TensorView};
use conv::Convolution;
use network::quant::QuantParams;
use network::tensor::Tensor;
use network::{Error, Result};

/// A plan made ready for this processor, and its memory.
#[derive(Debug)]
pub struct Executor {
    cpu: Cpu,
    image: [usize; 2],
    output: TensorId,
    dim: usize,
    tensors: Vec<TensorView>,
    constants: Vec<Tensor>,
    steps: Vec<Ready>,
    memory: Memory,
    scratch: Scratch,
}

/// What a step has written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StepOutput<'a> {
    /// Codes `[N, height, width, channels]`.
    Quantised(&'a [u8]),
    /// f32, shaped as the slot says.
    Float(&'a Tensor),
}

#[derive(Debug)]
struct Ready {
    name: String,
    outs: Vec<TensorId>,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Conv {
        conv: Convolution,
        input: TensorId,
        residual: Option<TensorId>,
    },
    Float {
        float: Float,
        weights: Weights,
    },
    /// Anything else.
    Other(StepKind),
}

/// What slots lie in: for each buffer of the plan, one of the two.
#[derive(Debug)]
struct Memory {
    codes: Vec<Vec<u8>>,
    reals: Vec<Option<Tensor>>,
}

/// Memory that no step needs for longer than itself.
#[derive(Debug)]
struct Scratch {
    /// An image with its border.
    padded: Vec<u8>,
    /// Of each thread.
    words: Vec<Mutex<Vec<i32>>>,
    /// A result before its channels become planes.
    pixels: Vec<f32>,
}

/// Images of codes.
struct Image<'a> {
    /// `[N, height, width, channels]`.
    codes: &'a [u8],
    /// Height, width, channels.
    size: [usize; 3],
    params: QuantParams,
}

/// Where images of codes lie.
struct Images<'a> {
    tensors: &'a [TensorView],
    codes: &'a [Vec<u8>],
    batch: usize,
}

impl<'a> Images<'a> {
    fn image(&self, id: TensorId) -> Image<'a> {
        let view = &self.tensors[id.index()];
        let (size, params) = codes_of(view);
        Image {
            codes: &self.codes[view.buffer][..view.kind.len(self.batch)],
            size,
            params,
        }
    }
}

/// Size and meaning of a slot that a step of codes names.
fn codes_of(view: &TensorView) -> ([usize; 3], QuantParams) {
    let codes = view.kind.codes();
    codes.expect("a step of codes reads and writes slots of codes")
}

/// Gives each thread room for `count` words, whether it will need it this time or not: which thread
/// works is left to chance, and what is allocated should not be.
fn make_room(words: &[Mutex<Vec<i32>>], count: usize) {
    for words in words {
        let mut words = lock(words);
        if words.len() < count {
            words.resize(count, 0);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// Makes `plan` ready to run on `threads` threads, the calling one included; 0 takes one for each
    /// core.
    ///
    /// # Errors
    /// [`Error::Argument`] if the output of the plan is no embedding.
    pub fn new(plan: &Plan, threads: usize) -> Result<Self> {
        Self::with(plan, Cpu::new(threads))
    }

    fn with(plan: &Plan, cpu: Cpu) -> Result<Self> {
        let output = plan.tensor(plan.output());
        let shape = output.kind.real(1);
        let Some(&[1, dim]) = shape.as_deref() else {
            return Err(Error::Argument(format!(
                "the output `{}` of the plan is no embedding: {:?}",
                output.name, output.kind
            )));
        };
        let steps = plan.steps().iter().map(|step| Ready {
            name: step.name.clone(),
            outs: step.kind.writes().to_vec(),
            work: Work::new(plan, &cpu, &step.kind),
        });
        Ok(Self {
            image: plan.image(),
            output: plan.output(),
            dim,
            tensors: plan.tensors().to_vec(),
            constants: plan.constants().to_vec(),
            steps: steps.collect(),
            memory: Memory {
                codes: vec![Vec::new(); plan.buffers().len()],
                reals: vec![None; plan.buffers().len()],
            },
            scratch: Scratch {
                padded: Vec::new(),
                words: (0..cpu.threads()).map(|_| Mutex::default()).collect(),
                pixels: Vec::new(),
            },
            cpu,
        })
    }

    /// Numbers of an embedding.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Threads that compute.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.cpu.threads()
    }

    /// Whether the calling thread works alone from now on, and the others sleep: small networks lose
    /// more by handing work around than they win. What comes out is the same.
    pub fn work_alone(&mut self, alone: bool) {
        self.cpu.alone = alone;
    }

    /// The instructions that it computes with; see [`Cpu::instructions`].
    #[must_use]
    pub fn instructions(&self) -> &'static str {
        self.cpu.instructions()
    }

    /// The embeddings `[N, dim]`, not normalised, of `pixels`: RGB bytes `[N, height, width, 3]`, as
    /// [`Cropper`](network::preprocess::Cropper) makes them.
    ///
    /// # Errors
    /// [`Error::Argument`] if `pixels` are not whole images or `out` has no room for exactly their
    /// embeddings; else what [`reference::eval`](network::reference::eval) says of a float step.
    pub fn run(&mut self, pixels: &[u8], out: &mut [f32]) -> Result<()> {
        self.check(pixels, out)?;
        // More images at once than threads find work in gain nothing and leave the caches.
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

    /// As [`Executor::run`], all images at once; `observe` sees the index of each step and what it
    /// has written, several times if the step writes several values.
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
        let mut run = Run {
            cpu: &self.cpu,
            tensors: &self.tensors,
            constants: &self.constants,
            memory: &mut self.memory,
            scratch: &mut self.scratch,
            batch,
            pixels,
        };
        for (index, step) in self.steps.iter().enumerate() {
            run.step(step)?;
            for &id in &step.outs {
                observe(index, run.written(id));
            }
        }
        out.copy_from_slice(run.real(self.output)?);
        Ok(())
    }
}

impl Work {
    fn new(plan: &Plan, cpu: &Cpu, kind: &StepKind) -> Self {
        match kind {
            StepKind::Conv(conv) => {
                let (size, params) = codes_of(plan.tensor(conv.input));
                let residual = conv.residual.as_ref().map(|residual| residual.input);
                let zero = residual.map_or(0, |id| codes_of(plan.tensor(id)).1.zero_point);
                let sizes = [size, size_of(plan.tensor(conv.out))];
                let zeros = [params.zero_point, zero];
                Self::Conv {
                    conv: Convolution::new(conv, cpu.isa, sizes, zeros),
                    input: conv.input,
                    residual,
                }
            }
            StepKind::Float(float) => Self::Float {
                weights: match float.operands.get(1) {
                    Some(FloatOperand::Constant(index)) => {
                        Weights::pack(cpu, &float.op, &plan.constants()[*index])
                    }
                    _ => Weights::Unpacked,
                },
                float: float.clone(),
            },
            other => Self::Other(other.clone()),
        }
    }
}

/// Height, width and channels of a slot, of real numbers too.
fn size_of(view: &TensorView) -> [usize; 3] {
    match (view.kind.codes(), view.kind.real(1).as_deref()) {
        (Some((size, _)), _) => size,
        (None, Some(&[_, c, h, w])) => [h, w, c],
        (None, Some(&[_, c])) => [1, 1, c],
        (None, _) => [0; 3],
    }
}

/// A plan, a batch and its memory.
struct Run<'a> {
    cpu: &'a Cpu,
    tensors: &'a [TensorView],
    constants: &'a [Tensor],
    memory: &'a mut Memory,
    scratch: &'a mut Scratch,
    batch: usize,
    pixels: &'a [u8],
}

impl Run<'_> {
    fn step(&mut self, step: &Ready) -> Result<()> {
        let Some(&out) = step.outs.first() else {
            return Ok(());
        };
        if let Work::Float { float, weights } = &step.work {
            return self.float(&step.name, float, weights);
        }
        let view = &self.tensors[out.index()];
        // What a step reads and what it writes are never in one buffer, so it can be taken away.
        if view.kind.codes().is_some() {
            let mut codes = std::mem::take(&mut self.memory.codes[view.buffer]);
            let len = view.kind.len(self.batch);
            if codes.len() < len {
                codes.resize(len, 0);
            }
            let result = self.write_codes(&step.work, size_of(view), &mut codes[..len]);
            self.memory.codes[view.buffer] = codes;
            return result;
        }
        let shape = view.kind.real(self.batch).unwrap_or_default();
        let mut tensor = match self.memory.reals[view.buffer].take() {
            Some(tensor) if tensor.shape() == shape => tensor,
            _ => Tensor::zeros(shape)?,
        };
        let result = self.write_real(&step.work, size_of(view), &mut tensor);
        self.memory.reals[view.buffer] = Some(tensor);
        result
    }

    fn write_codes(&mut self, work: &Work, size: [usize; 3], out: &mut [u8]) -> Result<()> {
        let images = Images {
            tensors: self.tensors,
            codes: &self.memory.codes,
            batch: self.batch,
        };
        let (cpu, image) = (self.cpu, |id| images.image(id));
        match work {
            Work::Conv {
                conv,
                input,
                residual,
            } => {
                let residual = residual.map(|id| image(id).codes);
                conv.codes(cpu, self.scratch, image(*input).codes, residual, out);
            }
            Work::Other(StepKind::Pixels(step)) => steps::pixels(cpu, step, self.pixels, out),
            Work::Other(StepKind::MaxPool(step)) => {
                steps::max_pool(cpu, step, &image(step.input), out);
            }
            Work::Other(StepKind::Average(step)) => {
                steps::average(cpu, self.scratch, step, &image(step.input), out);
            }
            Work::Other(StepKind::Table(step)) => steps::table(cpu, step, &image(step.input), out),
            Work::Other(StepKind::Sum(step)) => {
                steps::sum(cpu, self.scratch, step, &images, size, out);
            }
            Work::Other(StepKind::Channels(step)) => steps::channels(step, &images, size[2], out),
            Work::Other(StepKind::Crop(step)) => steps::crop(step, &image(step.input), size, out),
            Work::Other(StepKind::Pad(step)) => steps::pad(step, &image(step.input), size, out),
            Work::Other(StepKind::Quantise(step)) => {
                let (_, params) = codes_of(&self.tensors[step.out.index()]);
                steps::quantise(cpu, params, size, self.real(step.input)?, out);
            }
            Work::Other(other) => return Err(misplaced(other.name(), "codes")),
            Work::Float { .. } => return Err(misplaced("float", "codes")),
        }
        Ok(())
    }

    fn write_real(&mut self, work: &Work, size: [usize; 3], out: &mut Tensor) -> Result<()> {
        let images = Images {
            tensors: self.tensors,
            codes: &self.memory.codes,
            batch: self.batch,
        };
        let (cpu, image) = (self.cpu, |id| images.image(id));
        let out = out.as_f32_mut().unwrap_or_default();
        match work {
            Work::Conv {
                conv,
                input,
                residual,
            } => {
                let residual = residual.map(|id| image(id).codes);
                let mut pixels = std::mem::take(&mut self.scratch.pixels);
                pixels.resize(out.len(), 0.0);
                conv.real(
                    cpu,
                    self.scratch,
                    image(*input).codes,
                    residual,
                    &mut pixels,
                );
                steps::planes(&pixels, size, out);
                self.scratch.pixels = pixels;
            }
            Work::Other(StepKind::Normalise(step)) => {
                steps::normalise(step, self.pixels, size[0] * size[1], out);
            }
            Work::Other(StepKind::Dequantise(step)) => {
                steps::dequantise(cpu, &image(step.input), out);
            }
            Work::Other(StepKind::Mean(step)) => {
                steps::mean(cpu, self.scratch, step, &image(step.input), out);
            }
            Work::Other(other) => return Err(misplaced(other.name(), "real numbers")),
            Work::Float { .. } => return Err(misplaced("float", "real numbers")),
        }
        Ok(())
    }

    fn float(&mut self, node: &str, float: &Float, weights: &Weights) -> Result<()> {
        let operands: Vec<&Tensor> = (float.operands.iter())
            .map(|operand| match *operand {
                FloatOperand::Tensor(id) => self.tensor(id),
                FloatOperand::Constant(index) => Ok(&self.constants[index]),
            })
            .collect::<Result<_>>()?;
        let batch = Some(self.batch);
        let tensors = (self.cpu).compute(batch, node, &float.op, &operands, weights)?;
        for (&id, tensor) in float.outs.iter().zip(tensors) {
            self.memory.reals[self.tensors[id.index()].buffer] = Some(tensor);
        }
        Ok(())
    }

    fn tensor(&self, id: TensorId) -> Result<&Tensor> {
        let view = &self.tensors[id.index()];
        let tensor = self.memory.reals[view.buffer].as_ref();
        tensor.ok_or_else(|| misplaced(&view.name, "real numbers"))
    }

    fn real(&self, id: TensorId) -> Result<&[f32]> {
        Ok(self.tensor(id)?.as_f32().unwrap_or_default())
    }

    fn written(&self, id: TensorId) -> StepOutput<'_> {
        let view = &self.tensors[id.index()];
        match &self.memory.reals[view.buffer] {
            Some(tensor) => StepOutput::Float(tensor),
            None => {
                StepOutput::Quantised(&self.memory.codes[view.buffer][..view.kind.len(self.batch)])
            }
        }
    }
}

fn misplaced(what: &str, wanted: &str) -> Error {
    Error::Argument(format!("the plan has `{what}` where it needs {wanted}"))
}
