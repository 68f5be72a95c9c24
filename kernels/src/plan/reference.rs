//! Reference executor of plans: every step as documented, one element after the other.
//!
//! In: a [`Plan`] and a batch of crops. Out: their embeddings, and the value of every step for an observer.
//! Faster executors are compared with it: quantised values with `==`, f32 within a tolerance. Sums are i64
//! here; a sum beyond i32 would contradict what the plan has proved, and panics.

mod steps;

use crate::plan::{
    ConvOutput, FloatOperand, FloatStep, Plan, Step, StepKind, TensorId, TensorKind,
};
use network::reference::eval_for;
use network::tensor::Tensor;
use network::{Error, Result};
use steps::Image;

/// The elements of a tensor of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorValue {
    /// `[N, height, width, channels]`.
    Quantised(Vec<u8>),
    /// f32, in the shape of its [`TensorKind`].
    Float(Tensor),
}

/// What a buffer holds: a tensor and its elements.
type Held = Option<(TensorId, TensorValue)>;

/// The embeddings `[N, dim]`, not normalised, of `pixels`: RGB bytes `[N, height, width, 3]`, as
/// [`Cropper`](network::preprocess::Cropper) makes them. `observe` gets the index of each step and each
/// value that it writes.
///
/// # Errors
/// [`Error::Argument`] if `pixels` are not whole images; else the errors of
/// [`eval`](network::reference::eval) for a float step.
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
    let run = PlanRun {
        plan,
        batch: pixels.len() / image,
        pixels,
    };
    let mut buffers: Vec<Held> = vec![None; plan.buffers().len()];
    for (index, step) in plan.steps().iter().enumerate() {
        let values = run.step(step, &buffers)?;
        for (&id, value) in step.outputs.iter().zip(values) {
            observe(index, &value);
            buffers[plan.tensor(id).buffer] = Some((id, value));
        }
    }
    run.float(plan.output(), &buffers).cloned()
}

/// A plan and a batch.
struct PlanRun<'a> {
    plan: &'a Plan,
    batch: usize,
    pixels: &'a [u8],
}

impl PlanRun<'_> {
    fn step(&self, step: &Step, buffers: &[Held]) -> Result<Vec<TensorValue>> {
        if let StepKind::Float(float) = &step.kind {
            return self.float_step(&step.name, float, buffers);
        }
        let inputs: Vec<Image<'_>> = (step.inputs.iter())
            .filter_map(|&id| self.image(id, buffers))
            .collect();
        let out = &self.plan.tensor(step.outputs[0]).kind;
        let size = out.size().expect("all other steps write images");
        let float = |pixels: Vec<f32>| {
            let shape = out.float_shape(self.batch).expect("this step writes f32");
            let planes = Tensor::f32(shape, steps::planes(&pixels, size))?;
            Ok(vec![TensorValue::Float(planes)])
        };
        let values = match &step.kind {
            StepKind::Pixels(table) => steps::pixels(table, self.pixels),
            StepKind::Normalise(table) => return float(steps::pixels(table, self.pixels)),
            StepKind::Conv(conv) => {
                let sums = steps::conv(conv, &inputs[0], inputs.get(1), size);
                match &conv.output {
                    ConvOutput::Quantised(requantise) => steps::requantised(requantise, &sums),
                    ConvOutput::Float { scale } => return float(steps::scaled(scale, &sums)),
                }
            }
            StepKind::MaxPool { rows, columns } => steps::max_pool(rows, columns, &inputs[0]),
            StepKind::Average(average) => steps::average(average, &inputs[0]),
            StepKind::Table(table) => {
                let values = inputs[0].values.iter();
                values.map(|&value| table[usize::from(value)]).collect()
            }
            StepKind::Sum(sum) => steps::requantised(&sum.requantise, &steps::sum(sum, &inputs)),
            StepKind::Channels(ranges) => steps::channels(ranges, &inputs),
            StepKind::Crop { start, step } => steps::crop(*start, *step, &inputs[0], size),
            StepKind::Pad { before, value } => steps::pad(*before, *value, &inputs[0], size),
            StepKind::Quantise => {
                let params = out.params().expect("this step writes quantised values");
                let planes = self.float(step.inputs[0], buffers)?.as_f32();
                let planes = planes.expect("tensors of float steps are f32");
                let pixels = steps::transposed(planes, size[2], size[0] * size[1]);
                pixels.iter().map(|&x| params.quantise(x)).collect()
            }
            StepKind::Dequantise => {
                let Image { values, params, .. } = inputs[0];
                return float(values.iter().map(|&q| params.dequantise(q)).collect());
            }
            StepKind::Mean { scale } => return float(steps::mean(*scale, &inputs[0])),
            StepKind::Float(_) => unreachable!("handled above"),
        };
        Ok(vec![TensorValue::Quantised(values)])
    }

    fn float_step(
        &self,
        node: &str,
        float: &FloatStep,
        buffers: &[Held],
    ) -> Result<Vec<TensorValue>> {
        let operands: Vec<&Tensor> = (float.operands.iter())
            .map(|operand| match *operand {
                FloatOperand::Tensor(id) => self.float(id, buffers),
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

    /// A quantised tensor; none if it is f32.
    fn image<'a>(&self, id: TensorId, buffers: &'a [Held]) -> Option<Image<'a>> {
        match (&self.plan.tensor(id).kind, self.held(id, buffers)) {
            (&TensorKind::Quantised { size, params }, TensorValue::Quantised(values)) => {
                Some(Image {
                    values,
                    size,
                    params,
                })
            }
            _ => None,
        }
    }

    fn float<'a>(&self, id: TensorId, buffers: &'a [Held]) -> Result<&'a Tensor> {
        match self.held(id, buffers) {
            TensorValue::Float(tensor) => Ok(tensor),
            TensorValue::Quantised(_) => Err(Error::Argument(format!(
                "`{}` is read as f32 and is quantised",
                self.plan.tensor(id).name
            ))),
        }
    }
}
