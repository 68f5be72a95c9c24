//! Optimisers as operations on tensors, so that all they remember can be saved and a run that is
//! resumed goes on exactly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::tensor::{from_tch, to_tch};
use crate::{Error, Result};

/// How parameters follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Adam (Kingma and Ba, 2015), biases corrected: `betas` .9 and .999, epsilon 1e-8 outside of
    /// the root, as PyTorch has it.
    Adam,
    /// Stochastic gradient descent with momentum .9, as PyTorch has it.
    Sgd,
    /// Plain gradient descent: what moves the centres.
    Plain,
}

const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;
const MOMENTUM: f64 = 0.9;

/// Moves some parameters.
#[derive(Debug)]
pub struct Optimiser {
    rule: Rule,
    decay: f64,
    steps: i64,
    slots: Vec<Slot>,
}

/// One parameter and what is remembered of its gradients.
#[derive(Debug)]
struct Slot {
    name: String,
    parameter: Tensor,
    /// Mean of gradients (Adam), or what momentum has piled up.
    first: Tensor,
    /// Mean of squared gradients (Adam).
    second: Tensor,
}

impl Optimiser {
    /// An optimiser that has not seen a gradient. `decay` times the parameter is added to each
    /// gradient: an L2 penalty, not the decoupled decay of AdamW.
    ///
    /// # Errors
    /// If libtorch has no memory for what is remembered.
    pub fn new<'a>(
        rule: Rule,
        decay: f64,
        parameters: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    ) -> Result<Self> {
        let slots = parameters
            .into_iter()
            .map(|(name, parameter)| {
                Ok(Slot {
                    name: name.to_owned(),
                    parameter: parameter.shallow_clone(),
                    first: parameter.f_detach()?.f_zeros_like()?,
                    second: parameter.f_detach()?.f_zeros_like()?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            rule,
            decay,
            steps: 0,
            slots,
        })
    }

    /// Forgets the gradients of the last step.
    pub fn zero_grad(&mut self) {
        for slot in &mut self.slots {
            slot.parameter.zero_grad();
        }
    }

    /// Moves every parameter that has a gradient, which is multiplied by `scale` first.
    ///
    /// # Errors
    /// If libtorch cannot compute it.
    pub fn step(&mut self, rate: f64, scale: f64) -> Result<()> {
        self.steps += 1;
        tch::no_grad(|| {
            for slot in &mut self.slots {
                let mut gradient = slot.parameter.f_grad()?;
                if !gradient.defined() {
                    continue;
                }
                if scale != 1.0 {
                    gradient = gradient.f_mul_scalar(scale)?;
                }
                if self.decay != 0.0 {
                    gradient = gradient.f_add(&slot.parameter.f_mul_scalar(self.decay)?)?;
                }
                match self.rule {
                    Rule::Adam => slot.adam(&gradient, rate, self.steps)?,
                    Rule::Sgd => slot.sgd(&gradient, rate)?,
                    Rule::Plain => slot.go(&gradient, rate)?,
                }
            }
            Ok(())
        })
    }

    /// What has to be saved, named after the parameters: `first/NAME`, `second/NAME`.
    ///
    /// # Errors
    /// If libtorch cannot copy it.
    pub fn state(&self) -> Result<BTreeMap<String, kernels::tensor::Tensor>> {
        let mut state = BTreeMap::new();
        for slot in &self.slots {
            for (part, tensor) in slot.parts(self.rule) {
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

    /// Goes on from what was saved.
    ///
    /// # Errors
    /// [`Error::Parameter`] if something is missing or has another shape; the optimiser is then
    /// half restored.
    pub fn restore(
        &mut self,
        steps: i64,
        state: &BTreeMap<String, kernels::tensor::Tensor>,
    ) -> Result<()> {
        self.steps = steps;
        let rule = self.rule;
        for slot in &mut self.slots {
            let name = slot.name.clone();
            for (part, tensor) in slot.parts(rule) {
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

impl Slot {
    fn parts(&self, rule: Rule) -> Vec<(&'static str, &Tensor)> {
        match rule {
            Rule::Adam => vec![("first", &self.first), ("second", &self.second)],
            Rule::Sgd => vec![("first", &self.first)],
            Rule::Plain => Vec::new(),
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
        self.first = self.first.f_mul_scalar(MOMENTUM)?.f_add(gradient)?;
        self.go(&self.first.shallow_clone(), rate)
    }

    fn go(&self, direction: &Tensor, rate: f64) -> Result<()> {
        let step = direction.f_mul_scalar(-rate)?;
        // In place: the parameter stays the tensor that the network reads.
        let _ = self.parameter.shallow_clone().f_add_(&step)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
