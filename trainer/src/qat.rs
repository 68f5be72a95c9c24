//! Quantisation-aware training (Jacob et al. 2018): the trainable form of a quantised network.
//!
//! In: a quantised graph. Out: a [`Net`] that computes the same, whose weights are f32 behind a
//! `QuantizeLinear`. Training rounds them in the forward pass and passes gradients straight through.
//! Scales, zero points and BatchNorm statistics stay. [`QatNetwork::to_quantised`] writes the trained
//! weights back as integers.

use network::graph::{Graph, Op, Operand, ParamId};
use network::tensor::{Data, Tensor};

use crate::nets::{Net, ParamRole};
use crate::{Error, Result};

/// Range of quantised weights, in steps.
pub(crate) const WEIGHT_RANGE: [f32; 2] = [-127.0, 127.0];

/// Greatest distance of an initial latent weight from its quantised value, in steps: below 0.5, so
/// that it rounds to the same value.
const WITHIN: f32 = 0.49;

/// Ending of a quantised parameter's name.
const QUANTISED: &str = "/quantised";

/// A quantised network and its trainable form.
#[derive(Debug, Clone)]
pub struct QatNetwork {
    quantised: Graph,
    net: Net,
    latents: Vec<LatentParam>,
}

/// An integer parameter, and the float one that is trained in its place.
#[derive(Debug, Clone)]
struct LatentParam {
    /// Of the quantised network.
    quantised: ParamId,
    /// Of the net.
    float: ParamId,
    /// Scales, one for each index along `axis`.
    scales: Vec<f32>,
    axis: usize,
    /// Whether it is a bias, which is rounded only in [`QatNetwork::to_quantised`].
    bias: bool,
}

impl QatNetwork {
    /// The trainable form of a network as the quantiser writes it: weights of 8 bits and biases of
    /// 32 bits, each behind its `DequantizeLinear`.
    ///
    /// # Errors
    /// [`Error::Argument`] if it has no such weight.
    pub fn new(quantised: Graph) -> Result<Self> {
        let input = &quantised.value(quantised.input()).name;
        let mut soft = QatBuilder {
            new: Graph::new(quantised.name(), input.clone(), quantised.input_size()),
            values: vec![None; quantised.values().len()],
            copied: vec![None; quantised.params().len()],
            latents: Vec::new(),
            old: &quantised,
        };
        soft.values[quantised.input().index()] = Some(Operand::Value(soft.new.input()));
        for at in 0..quantised.nodes().len() {
            soft.node(at)?;
        }
        let QatBuilder {
            mut new,
            values,
            latents,
            ..
        } = soft;
        ensure!(
            !latents.is_empty(),
            "the network has no 8-bit weight to train: quantise it first"
        );
        for output in quantised.outputs() {
            let Some(Operand::Value(value)) = values[output.value.index()] else {
                bail!("output `{}` does not depend on the image", output.name);
            };
            new.output(output.name.clone(), value);
        }
        let mut net = Net::from_graph(new);
        freeze_norms(&mut net);
        Ok(Self {
            net,
            latents,
            quantised,
        })
    }

    /// Moves each latent weight towards that of `float`, the network that was quantised, without
    /// changing its quantised value.
    ///
    /// # Errors
    /// [`Error::Kernels`] if it is another network.
    pub fn start_near_float(&mut self, float: &Graph) -> Result<()> {
        for latent in self.latents.iter().filter(|latent| !latent.bias) {
            let name = &self.quantised.params()[latent.quantised.index()].name;
            let name = name.strip_suffix(QUANTISED).unwrap_or(name);
            let wanted = (float.params().iter()).find(|param| param.name == name);
            let Some(wanted) = wanted.and_then(|param| param.tensor.as_f32()) else {
                continue;
            };
            let mut own = self.net.graph().tensor(latent.float).clone();
            let steps = latent.steps(own.shape());
            let values = own.as_f32_mut().expect("a latent parameter is f32");
            for (i, (own, &wanted)) in values.iter_mut().zip(wanted).enumerate() {
                let reach = WITHIN * steps(i);
                *own = wanted.clamp(*own - reach, *own + reach);
            }
            self.net.set_tensor(latent.float, own)?;
        }
        Ok(())
    }

    /// The network to be trained.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }

    /// The quantised network, as it was before training.
    #[must_use]
    pub fn quantised(&self) -> &Graph {
        &self.quantised
    }

    /// The quantised network with the parameters of `net`, the trained form of [`QatNetwork::net`].
    /// Weights are quantised as in training; biases are rounded to steps of the accumulator.
    ///
    /// # Errors
    /// [`Error::Kernels`] if `net` is another network, [`Error::Parameter`] if a parameter is not
    /// finite.
    pub fn to_quantised(&self, net: &Net) -> Result<Graph> {
        let mut graph = self.quantised.clone();
        for latent in &self.latents {
            let learnt = net.graph().tensor(latent.float);
            let steps = latent.steps(learnt.shape());
            let values = learnt.as_f32().expect("a latent parameter is f32");
            let name = &net.graph().params()[latent.float.index()].name;
            Error::check_finite(name, values)?;
            let quantised = values.iter().enumerate();
            let data = if latent.bias {
                let value = |(i, &v): (usize, &f32)| {
                    (f64::from(v) / f64::from(steps(i))).round_ties_even() as i32
                };
                Data::I32(quantised.map(value).collect())
            } else {
                let value = |(i, &v): (usize, &f32)| quantise_weight(v, steps(i));
                Data::I8(quantised.map(value).collect())
            };
            graph.set_tensor(latent.quantised, Tensor::new(learnt.shape(), data)?)?;
        }
        // The float parameters of the head were trained as well.
        for (id, param) in self.quantised.param_ids() {
            let integers = self.latents.iter().any(|latent| latent.quantised == id);
            let learnt = (net.graph().params().iter()).find(|own| own.name == param.name);
            if let (false, Some(learnt)) = (integers, learnt) {
                graph.set_tensor(id, learnt.tensor.clone())?;
            }
        }
        Ok(graph)
    }
}

/// A weight quantised as in training: libtorch multiplies by the reciprocal of the step.
fn quantise_weight(value: f32, step: f32) -> i8 {
    let [low, high] = WEIGHT_RANGE;
    (value * (1.0 / step)).round_ties_even().clamp(low, high) as i8
}

/// Freezes the BatchNorms that could not be folded.
fn freeze_norms(net: &mut Net) {
    let norm = |op: &Op| matches!(op, Op::BatchNorm { .. } | Op::InstanceNorm { .. });
    let params: Vec<ParamId> = (net.graph().nodes().iter())
        .filter(|node| norm(&node.op))
        .flat_map(|node| &node.inputs)
        .filter_map(|input| match input {
            Operand::Param(id) => Some(*id),
            Operand::Value(_) => None,
        })
        .collect();
    for id in params {
        net.set_role(id, ParamRole::Frozen);
    }
}

impl LatentParam {
    /// The step of each element of a tensor of this shape.
    fn steps<'a>(&'a self, shape: &[usize]) -> impl Fn(usize) -> f32 + use<'a> {
        let inner: usize = shape.iter().skip(self.axis + 1).product();
        move |i| self.scales[i / inner.max(1) % self.scales.len()]
    }
}

/// Copies a quantised graph into its trainable form.
struct QatBuilder<'a> {
    old: &'a Graph,
    new: Graph,
    values: Vec<Option<Operand>>,
    copied: Vec<Option<ParamId>>,
    latents: Vec<LatentParam>,
}

impl QatBuilder<'_> {
    fn node(&mut self, at: usize) -> Result<()> {
        let node = &self.old.nodes()[at];
        if let (
            &Op::DequantizeLinear { axis },
            [Operand::Param(quantised), Operand::Param(scale), ..],
        ) = (&node.op, node.inputs.as_slice())
            && let Some(read) = self.latent_param(*quantised, *scale, axis)?
        {
            self.values[node.outputs[0].index()] = Some(read);
            return Ok(());
        }
        let inputs: Vec<Operand> = (node.inputs.iter())
            .map(|&input| match input {
                Operand::Value(id) => self.values[id.index()].expect("written before it is read"),
                Operand::Param(id) => Operand::Param(self.copy(id)),
            })
            .collect();
        let outputs = self.new.push(node.name.clone(), node.op.clone(), inputs)?;
        for (&old, new) in node.outputs.iter().zip(outputs) {
            self.new.rename(new, self.old.value(old).name.clone());
            self.values[old.index()] = Some(Operand::Value(new));
        }
        Ok(())
    }

    fn copy(&mut self, id: ParamId) -> ParamId {
        let param = &self.old.params()[id.index()];
        let new = &mut self.new;
        *self.copied[id.index()]
            .get_or_insert_with(|| new.param(param.name.clone(), param.tensor.clone()))
    }

    /// Replaces an integer parameter by a float one; none for other types.
    fn latent_param(
        &mut self,
        quantised: ParamId,
        scale: ParamId,
        axis: usize,
    ) -> Result<Option<Operand>> {
        let param = &self.old.params()[quantised.index()];
        let shape = param.tensor.shape().to_vec();
        let integers: Vec<f64> = match param.tensor.data() {
            Data::I8(quantised) => quantised.iter().map(|&value| f64::from(value)).collect(),
            Data::I32(quantised) => quantised.iter().map(|&value| f64::from(value)).collect(),
            _ => return Ok(None),
        };
        let bias = matches!(param.tensor.data(), Data::I32(_));
        let scales = self.old.tensor(scale);
        let scales = scales.as_f32().ok_or_else(|| Error::Parameter {
            name: self.old.params()[scale.index()].name.clone(),
            reason: format!("is of type {:?}, wanted f32 scales", scales.dtype()),
        })?;
        let name = param.name.strip_suffix(QUANTISED).unwrap_or(&param.name);
        let mut latent = LatentParam {
            quantised,
            float: quantised,
            scales: scales.to_vec(),
            axis,
            bias,
        };
        let steps = latent.steps(&shape);
        let values: Vec<f32> = (integers.iter().enumerate())
            .map(|(i, value)| (value * f64::from(steps(i))) as f32)
            .collect();
        drop(steps);
        latent.float = self.new.param(name, Tensor::f32(shape, values)?);
        let float = Operand::Param(latent.float);
        let count = latent.scales.len();
        self.latents.push(latent);
        if bias {
            return Ok(Some(float));
        }
        let scale = Operand::Param(self.copy(scale));
        let zeros = Tensor::new([count], Data::I8(vec![0; count]))?;
        let zeros = Operand::Param(self.new.param(format!("{name}/zero_point"), zeros));
        let bytes = self.new.push1(
            format!("{name}/quantise"),
            Op::QuantizeLinear { axis },
            [float, scale, zeros],
        )?;
        let read = self.new.push1(
            format!("{name}/dequantise"),
            Op::DequantizeLinear { axis },
            [Operand::Value(bytes), scale, zeros],
        )?;
        Ok(Some(Operand::Value(read)))
    }
}

#[cfg(test)]
mod tests {
    use network::reference;

    use super::*;
    use crate::export::quantise::{Calibration, Images, Progress, QuantiseOptions, calibrate};
    use crate::nets::{self, Backbone, Spec};
    use synth::random::Draw;

    fn image(at: usize) -> Tensor {
        let mut draw = Draw::new(7, "image", &[at as u64]);
        let values: Vec<f32> = (0..3 * 64 * 32).map(|_| draw.normal() as f32).collect();
        Tensor::f32([1, 3, 64, 32], values).unwrap()
    }

    /// A quantised OSNet with three outputs, and the float one.
    fn quantised() -> (Graph, Graph) {
        let spec = Spec {
            backbone: Backbone::OsNetX0_25,
            size: [64, 32],
            ..Spec::default()
        };
        let net = nets::build(&spec, 5, 1).unwrap();
        let graph = network::graph::fold::fold(net.graph()).unwrap();
        let mut images = Images {
            count: 8,
            read: &mut |at| Ok(image(at)),
            name: &|at| at.to_string(),
            range: [-4.0, 4.0],
        };
        let options = QuantiseOptions {
            calibration: Calibration::MinMax,
            ..QuantiseOptions::default()
        };
        let calibrated = calibrate(&graph, &mut images, &options, &mut Progress(None)).unwrap();
        let quantised = calibrated.quantise(&options, &mut Progress(None)).unwrap();
        (quantised.graph, calibrated.float().clone())
    }

    #[test]
    fn the_trainable_form_computes_the_same_and_comes_back_unchanged() {
        let (quantised, float) = quantised();
        assert_eq!(quantised.outputs().len(), 3);
        let mut trainable = QatNetwork::new(quantised.clone()).unwrap();
        let before = reference::run(&quantised, &image(1)).unwrap();
        let same = |trainable: &QatNetwork| {
            let now = reference::run(trainable.net().graph(), &image(1)).unwrap();
            for (before, now) in before.iter().zip(&now) {
                let values = before.as_f32().unwrap().iter().zip(now.as_f32().unwrap());
                for (a, b) in values {
                    assert!((a - b).abs() <= 2e-3 * a.abs().max(1.0), "{a} {b}");
                }
            }
            assert_eq!(trainable.to_quantised(trainable.net()).unwrap(), quantised);
        };
        same(&trainable);
        let centres = trainable.net().clone();
        trainable.start_near_float(&float).unwrap();
        assert_ne!(
            *trainable.net(),
            centres,
            "it has moved towards the float one"
        );
        same(&trainable);
    }

    #[test]
    fn weights_and_biases_are_trained_and_nothing_else() {
        let (quantised, _) = quantised();
        let net = QatNetwork::new(quantised).unwrap().net;
        for (id, param) in net.graph().param_ids() {
            let name = &param.name;
            let frozen = ["/scale", "/zero_point"]
                .iter()
                .any(|part| name.ends_with(part));
            assert_eq!(net.role(id) == ParamRole::Trained, !frozen, "{name}");
        }
    }

    #[test]
    fn a_weight_that_crosses_is_another_code() {
        let (quantised, _) = quantised();
        let trainable = QatNetwork::new(quantised).unwrap();
        let latent = trainable
            .latents
            .iter()
            .find(|latent| !latent.bias)
            .unwrap();
        let mut net = trainable.net().clone();
        let mut weight = net.graph().tensor(latent.float).clone();
        let step = latent.scales[0];
        weight.as_f32_mut().unwrap()[0] = 3.4 * step;
        weight.as_f32_mut().unwrap()[1] = 1e9;
        net.set_tensor(latent.float, weight.clone()).unwrap();
        let to_quantised = trainable.to_quantised(&net).unwrap();
        let Data::I8(quantised) = to_quantised.tensor(latent.quantised).data() else {
            panic!("weights are bytes");
        };
        assert_eq!(quantised[..2], [3, 127]);
        weight.as_f32_mut().unwrap()[0] = f32::NAN;
        net.set_tensor(latent.float, weight).unwrap();
        let error = trainable.to_quantised(&net).unwrap_err().to_string();
        assert!(error.contains("element 0 is NaN"), "{error}");
    }

    #[test]
    fn a_float_network_has_nothing_to_train_in_bytes() {
        let net = nets::build(&Spec::default(), 2, 1).unwrap();
        let error = QatNetwork::new(net.graph().clone())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no 8-bit weight"), "{error}");
    }
}
