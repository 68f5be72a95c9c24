//! Optimisers as tensor operations, so that their state can be saved and a resumed run is exact.
//!
//! All parameters are views of one tensor, as are their states: a step is a dozen operations instead
//! of a dozen for each parameter (an `OSNet` has 500), which matters on a GPU. All operations are
//! elementwise, so the results are the same bits.

use std::collections::BTreeMap;

use tch::{Device, Tensor};

use super::tensor::{from_tch, to_tch};
use crate::recipe::Algorithm;
use crate::{Error, Result};

const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;
const MOMENTUM: f64 = 0.9;

/// Numbers that a CPU moves at once: six tensors of so many f32 fit the caches of a core.
const PIECE: i64 = 1 << 15;

/// Moves some parameters.
#[derive(Debug)]
pub struct Optimiser {
    algorithm: Algorithm,
    decay: f64,
    steps: i64,
    /// All parameters one behind the other; none without parameters.
    all: Option<ParamState>,
    slots: Vec<ParamSlot>,
}

/// One parameter.
#[derive(Debug)]
struct ParamSlot {
    name: String,
    /// Views of the stretch of memory that all parameters share.
    state: ParamState,
    /// Whether the channels of a pixel lie beside each other.
    channels_last: bool,
}

/// What is state, and what is remembered of its gradients.
#[derive(Debug)]
struct ParamState {
    parameter: Tensor,
    /// Mean of gradients (Adam), or what momentum has piled up.
    first: Tensor,
    /// Mean of squared gradients (Adam).
    second: Tensor,
}

impl Optimiser {
    /// A new optimiser. `decay` times the parameter is added to each
    /// gradient: an L2 penalty, not the decoupled decay of AdamW. The parameters are state to
    /// another place in memory; they have one type and lie on one device.
    ///
    /// # Errors
    /// If libtorch has no memory for what is remembered.
    pub fn new<'a>(
        algorithm: Algorithm,
        decay: f64,
        parameters: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    ) -> Result<Self> {
        let parameters: Vec<(&str, &Tensor)> = parameters.into_iter().collect();
        let lines = (parameters.iter())
            .map(|(_, parameter)| in_line(&parameter.f_detach()?, is_channels_last(parameter)))
            .collect::<Result<Vec<Tensor>>>()?;
        let all = match lines.as_slice() {
            [] => None,
            lines => {
                let parameter = Tensor::f_cat(lines, 0)?;
                Some(ParamState {
                    first: parameter.f_zeros_like()?,
                    second: parameter.f_zeros_like()?,
                    parameter,
                })
            }
        };
        let mut slots = Vec::with_capacity(parameters.len());
        let mut start = 0;
        for (name, parameter) in parameters {
            let channels_last = is_channels_last(parameter);
            let all = all.as_ref().expect("there is a parameter");
            let (size, count) = (parameter.size(), parameter.numel() as i64);
            let view = |all: &Tensor| -> Result<Tensor> {
                let line = all.f_narrow(0, start, count)?;
                match (channels_last, size.as_slice()) {
                    (true, &[o, i, h, w]) => Ok(line
                        .f_view([o, h, w, i].as_slice())?
                        .f_permute([0, 3, 1, 2])?),
                    (_, size) => Ok(line.f_view(size)?),
                }
            };
            let mut parameter = parameter.shallow_clone();
            // The network reads the same tensor at its new address.
            parameter.f_set_data(&view(&all.parameter)?)?;
            slots.push(ParamSlot {
                name: name.to_owned(),
                state: ParamState {
                    parameter,
                    first: view(&all.first)?,
                    second: view(&all.second)?,
                },
                channels_last,
            });
            start += count;
        }
        Ok(Self {
            algorithm,
            decay,
            steps: 0,
            all,
            slots,
        })
    }

    /// Forgets the gradients of the last step.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.state.parameter.zero_grad();
        }
    }

    /// Moves every parameter that has a gradient, which is multiplied by `scale` first.
    ///
    /// # Errors
    /// If libtorch cannot compute it.
    pub fn step(&mut self, rate: f64, scale: f64) -> Result<()> {
        self.steps += 1;
        let settings = StepSettings {
            algorithm: self.algorithm,
            decay: self.decay,
            rate,
            scale,
            step: self.steps,
        };
        tch::no_grad(|| {
            let gradients = (self.slots.iter())
                .map(|slot| Ok(slot.state.parameter.f_grad()?))
                .collect::<Result<Vec<Tensor>>>()?;
            if let (Some(all), true) = (&mut self.all, gradients.iter().all(Tensor::defined)) {
                let lines = (self.slots.iter().zip(&gradients))
                    .map(|(slot, gradient)| in_line(gradient, slot.channels_last))
                    .collect::<Result<Vec<Tensor>>>()?;
                return all.step_in_pieces(&Tensor::f_cat(&lines, 0)?, settings);
            }
            for (slot, gradient) in self.slots.iter_mut().zip(gradients) {
                if gradient.defined() {
                    slot.state.step(gradient, settings)?;
                }
            }
            Ok(())
        })
    }

    /// The state to save, by parameter: `first/NAME`, `second/NAME`.
    ///
    /// # Errors
    /// If libtorch cannot copy it.
    pub fn state(&self) -> Result<BTreeMap<String, network::tensor::Tensor>> {
        let mut state = BTreeMap::new();
        for slot in &self.slots {
            for (part, tensor) in slot.state.parts(self.algorithm) {
                state.insert(format!("{part}/{}", slot.name), from_tch(tensor)?);
            }
        }
        Ok(state)
    }

    /// How many steps it has made: to be saved beside [`Optimiser::state`].
    #[must_use]
    pub fn steps(&self) -> i64 {
        self.steps
    }

    /// Restores a saved state.
    ///
    /// # Errors
    /// [`Error::Parameter`] if something is missing or has another shape; the optimiser is then
    /// half restored.
    pub fn restore(
        &mut self,
        steps: i64,
        state: &BTreeMap<String, network::tensor::Tensor>,
    ) -> Result<()> {
        self.steps = steps;
        let algorithm = self.algorithm;
        for slot in &mut self.slots {
            let name = slot.name.clone();
            for (part, tensor) in slot.state.parts(algorithm) {
                let key = format!("{part}/{name}");
                let wrong = |reason: String| Error::Parameter {
                    name: key.clone(),
                    reason,
                };
                let saved = state
                    .get(&key)
                    .ok_or_else(|| wrong("the checkpoint has none".to_owned()))?;
                let saved = to_tch(saved)?;
                if saved.size() != tensor.size() {
                    return Err(wrong(format!(
                        "has shape {:?}, the checkpoint {:?}",
                        tensor.size(),
                        saved.size()
                    )));
                }
                tensor.shallow_clone().f_copy_(&saved)?;
            }
        }
        Ok(())
    }
}

/// How a step goes.
#[derive(Debug, Clone, Copy)]
struct StepSettings {
    algorithm: Algorithm,
    decay: f64,
    rate: f64,
    scale: f64,
    step: i64,
}

impl ParamState {
    fn parts(&self, algorithm: Algorithm) -> Vec<(&'static str, &Tensor)> {
        match algorithm {
            Algorithm::Adam => vec![("first", &self.first), ("second", &self.second)],
            Algorithm::Sgd => vec![("first", &self.first)],
            Algorithm::GradientDescent => Vec::new(),
        }
    }

    /// One piece after the other on a CPU, where a step in one go would fetch everything from memory
    /// a dozen times; in one go on a GPU.
    fn step_in_pieces(&mut self, gradient: &Tensor, settings: StepSettings) -> Result<()> {
        let len = gradient.size1()?;
        let piece = match gradient.device() {
            Device::Cpu => PIECE,
            _ => len,
        };
        for start in (0..len).step_by(usize::try_from(piece.max(1)).expect("it is positive")) {
            let part = |all: &Tensor| all.f_narrow(0, start, piece.min(len - start));
            let mut state = Self {
                parameter: part(&self.parameter)?,
                first: part(&self.first)?,
                second: part(&self.second)?,
            };
            state.step(part(gradient)?, settings)?;
        }
        Ok(())
    }

    fn step(&mut self, mut gradient: Tensor, settings: StepSettings) -> Result<()> {
        if settings.scale != 1.0 {
            gradient = gradient.f_mul_scalar(settings.scale)?;
        }
        if settings.decay != 0.0 {
            gradient = gradient.f_add(&self.parameter.f_mul_scalar(settings.decay)?)?;
        }
        match settings.algorithm {
            Algorithm::Adam => self.adam(&gradient, settings.rate, settings.step),
            Algorithm::Sgd => self.sgd(&gradient, settings.rate),
            Algorithm::GradientDescent => self.go(&gradient, settings.rate),
        }
    }

    fn adam(&mut self, gradient: &Tensor, rate: f64, step: i64) -> Result<()> {
        let [beta_1, beta_2] = BETAS;
        let corrected = |beta: f64| 1.0 - beta.powf(step as f64);
        self.first = self.first.f_mul_scalar_(beta_1)?;
        self.first = self.first.f_add_(&gradient.f_mul_scalar(1.0 - beta_1)?)?;
        self.second = self.second.f_mul_scalar_(beta_2)?;
        let square = gradient.f_square()?.f_mul_scalar(1.0 - beta_2)?;
        self.second = self.second.f_add_(&square)?;
        let deviation = (self.second.f_sqrt()?)
            .f_div_scalar(corrected(beta_2).sqrt())?
            .f_add_scalar(EPSILON)?;
        self.go(&self.first.f_div(&deviation)?, rate / corrected(beta_1))
    }

    fn sgd(&mut self, gradient: &Tensor, rate: f64) -> Result<()> {
        self.first = self.first.f_mul_scalar_(MOMENTUM)?;
        self.first = self.first.f_add_(gradient)?;
        self.go(&self.first.shallow_clone(), rate)
    }

    fn go(&self, direction: &Tensor, rate: f64) -> Result<()> {
        let step = direction.f_mul_scalar(-rate)?;
        // In place: the parameter stays the tensor that the network reads.
        let _ = self.parameter.shallow_clone().f_add_(&step)?;
        Ok(())
    }
}

/// Whether the channels of a pixel lie beside each other.
fn is_channels_last(tensor: &Tensor) -> bool {
    tensor.dim() == 4 && !tensor.is_contiguous()
}

/// The elements one behind the other, in the order of memory.
fn in_line(tensor: &Tensor, channels_last: bool) -> Result<Tensor> {
    if channels_last {
        return Ok(tensor.f_permute([0, 2, 3, 1])?.f_reshape([-1])?);
    }
    Ok(tensor.f_reshape([-1])?)
}

#[cfg(test)]
mod tests;
