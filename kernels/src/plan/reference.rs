//! Plain executor of plans: every step as its documentation says it, one element after the other.
//!
//! In: a [`Plan`] and a batch of crops. Out: their embeddings, and the value of every step for who
//! wants to see it. This is the truth that fast executors are compared with: codes with `==`, real
//! numbers within a tolerance. Sums are i64 here, and a sum beyond i32 would be a plan that has
//! proved nothing: it panics.

mod steps;

use crate::plan::{ConvOutput, Float, FloatOperand, Plan, Step, StepKind, TensorId, TensorKind};
use network::quant::QuantParams;
use network::reference::eval_for;
use network::tensor::Tensor;
use network::{Error, Result};
use steps::Image;

/// What a slot holds while a plan runs.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorValue {
    /// `[N, height, width, channels]`.
    Quantised(Vec<u8>),
    /// f32, shaped as the slot says.
    Float(Tensor),
}

/// A value and the slot it belongs to, in a buffer.
type Held = Option<(TensorId, TensorValue)>;

/// The embeddings `[N, dim]`, not normalised, of `pixels`: RGB bytes `[N, height, width, 3]`, as
/// [`Cropper`](network::preprocess::Cropper) makes them. `observe` sees the index of each step and what it
/// has written; a step that writes several values is seen with each.
///
/// # Errors
/// [`Error::Argument`] if `pixels` are not whole images; else what
/// [`eval`](network::reference::eval) says of a float step.
pub fn run_plan(
    plan: &Plan,
    pixels: &[u8],
    mut observe: impl FnMut(usize, &TensorValue),
) -> Result<Tensor> {
    let [height, width] = plan.image();
    let image = 3 * height * width;
    if !pixels.len().is_multiple_of(image) {
        return Err(Error::Argument(format!(
            "images are {height} x {width} RGB bytes, {image} each; found {}",
            pixels.len()
        )));
    }
    let run = Run {
        plan,
        batch: pixels.len() / image,
        pixels,
    };
    let mut buffers: Vec<Held> = vec![None; plan.buffers().len()];
    for (index, step) in plan.steps().iter().enumerate() {
        let values = run.step(step, &buffers)?;
        for (&id, value) in step.kind.writes().iter().zip(values) {
            observe(index, &value);
            buffers[plan.tensor(id).buffer] = Some((id, value));
        }
    }
    run.real(plan.output(), &buffers).cloned()
}

/// A plan and a batch.
struct Run<'a> {
    plan: &'a Plan,
    batch: usize,
    pixels: &'a [u8],
}

impl Run<'_> {
    fn step(&self, step: &Step, buffers: &[Held]) -> Result<Vec<TensorValue>> {
        let image = |id| self.image(id, buffers);
        let codes = match &step.kind {
            StepKind::Pixels(pixels) => steps::pixels(pixels, self.pixels),
            StepKind::Normalise(normalise) => {
                let values = steps::normalise(normalise, self.pixels, self.plan.image());
                return Ok(vec![self.tensor(normalise.out, values)?]);
            }
            StepKind::Conv(conv) => {
                let residual = conv.residual.as_ref().map(|residual| image(residual.input));
                let out = self.size(conv.out);
                let sums = steps::conv::sums(conv, &image(conv.input), residual.as_ref(), out);
                match &conv.output {
                    ConvOutput::Quantised(requantise) => steps::codes(requantise, &sums),
                    ConvOutput::Float { scale } => {
                        let values = steps::real(scale, &sums);
                        let values = steps::planes(&values, out);
                        return Ok(vec![self.tensor(conv.out, values)?]);
                    }
                }
            }
            StepKind::MaxPool(pool) => steps::pool::max(pool, &image(pool.input)),
            StepKind::Average(average) => steps::pool::average(average, &image(average.input)),
            StepKind::Table(table) => {
                let codes = image(table.input).codes.iter();
                codes.map(|&code| table.table[usize::from(code)]).collect()
            }
            StepKind::Sum(sum) => {
                let products: Vec<[Image<'_>; 2]> =
                    sum.products.iter().map(|pair| pair.map(image)).collect();
                let terms: Vec<Image<'_>> =
                    sum.terms.iter().map(|term| image(term.input)).collect();
                let sums = steps::sum::sums(sum, &products, &terms);
                steps::codes(&sum.requantise, &sums)
            }
            StepKind::Channels(channels) => {
                let inputs: Vec<Image<'_>> = channels.inputs.iter().map(|&id| image(id)).collect();
                steps::layout::channels(channels, &inputs)
            }
            StepKind::Crop(crop) => {
                steps::layout::crop(crop, &image(crop.input), self.size(crop.out))
            }
            StepKind::Pad(pad) => steps::layout::pad(pad, &image(pad.input), self.size(pad.out)),
            StepKind::Quantise(quantise) => {
                let (size, params) = self.kind(quantise.out);
                let values = self.real(quantise.input, buffers)?.as_f32().unwrap_or(&[]);
                let values = steps::pixels_of(values, size);
                values.iter().map(|&x| params.quantise(x)).collect()
            }
            StepKind::Dequantise(dequantise) => {
                let x = image(dequantise.input);
                let values: Vec<f32> = x.codes.iter().map(|&q| x.params.dequantise(q)).collect();
                let values = steps::planes(&values, x.size);
                return Ok(vec![self.tensor(dequantise.out, values)?]);
            }
            StepKind::Mean(mean) => {
                let values = steps::pool::mean(mean, &image(mean.input));
                return Ok(vec![self.tensor(mean.out, values)?]);
            }
            StepKind::Float(float) => return self.float(&step.name, float, buffers),
        };
        Ok(vec![TensorValue::Quantised(codes)])
    }

    fn float(&self, node: &str, float: &Float, buffers: &[Held]) -> Result<Vec<TensorValue>> {
        let operands: Vec<&Tensor> = (float.operands.iter())
            .map(|operand| match *operand {
                FloatOperand::Tensor(id) => self.real(id, buffers),
                FloatOperand::Constant(index) => Ok(&self.plan.constants()[index]),
            })
            .collect::<Result<_>>()?;
        let tensors = eval_for(Some(self.batch), node, &float.op, &operands)?;
        Ok(tensors.into_iter().map(TensorValue::Float).collect())
    }

    fn held<'a>(&self, id: TensorId, buffers: &'a [Held]) -> &'a TensorValue {
        match &buffers[self.plan.tensor(id).buffer] {
            Some((holder, value)) if *holder == id => value,
            _ => panic!(
                "a plan keeps `{}` until its last reader",
                self.plan.tensor(id).name
            ),
        }
    }

    fn image<'a>(&self, id: TensorId, buffers: &'a [Held]) -> Image<'a> {
        let (size, params) = self.kind(id);
        match self.held(id, buffers) {
            TensorValue::Quantised(codes) => Image {
                codes,
                size,
                params,
            },
            TensorValue::Float(_) => panic!("a slot of codes holds codes"),
        }
    }

    fn real<'a>(&self, id: TensorId, buffers: &'a [Held]) -> Result<&'a Tensor> {
        match self.held(id, buffers) {
            TensorValue::Float(tensor) => Ok(tensor),
            TensorValue::Quantised(_) => Err(Error::Argument(format!(
                "`{}` is read as real numbers and is codes",
                self.plan.tensor(id).name
            ))),
        }
    }

    /// Real numbers as the tensor of a slot.
    fn tensor(&self, id: TensorId, values: Vec<f32>) -> Result<TensorValue> {
        let shape = self.plan.tensor(id).kind.real(self.batch);
        let shape = shape.unwrap_or_default();
        Ok(TensorValue::Float(Tensor::f32(shape, values)?))
    }

    /// Height, width and channels of a slot, of real numbers too.
    fn size(&self, id: TensorId) -> [usize; 3] {
        match &self.plan.tensor(id).kind {
            TensorKind::Quantised { size, .. } => *size,
            TensorKind::Float { .. } => match self.plan.tensor(id).kind.real(1).as_deref() {
                Some(&[_, c, h, w]) => [h, w, c],
                Some(&[_, c]) => [1, 1, c],
                _ => [0; 3],
            },
        }
    }

    fn kind(&self, id: TensorId) -> ([usize; 3], QuantParams) {
        let codes = self.plan.tensor(id).kind.codes();
        codes.expect("a step of codes reads and writes slots of codes")
    }
}
