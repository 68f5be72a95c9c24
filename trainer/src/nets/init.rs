//! Initial values of parameters. Each parameter has its own random sequence, from the seed and the
//! parameter's name, so a change in one part of a network does not change the others.
//!
//! | layer | initial value | source |
//! |---|---|---|
//! | convolution | He et al. 2015, fan out, ReLU | torchvision's ResNet and `MobileNetV2`, IBN-Net, torchreid's OSNet; also where the source uses PyTorch's default (SE networks, RepVGG) |
//! | bias of a convolution | 0 | torchvision, torchreid |
//! | normalisation | scale 1, bias 0 | all |
//! | non-local block | PyTorch's default for its convolutions, scale 0 | fast-reid: the block starts as the identity |
//! | embedding | He et al., fan out, bias 0 | `weights_init_kaiming` of the paper's code |
//! | classifier after the BNNeck | N(0, 0.001) | `weights_init_classifier` of the paper's code |
//! | classifier without a neck | PyTorch's default | the paper's code |
//! | `fc` neck and its classifier | N(0, 0.01), bias 0 | torchreid's OSNet |
//!
//! PyTorch's default is uniform within `1 / sqrt(fan in)` of 0, for weights and biases.

use network::graph::ParamId;
use network::tensor::Tensor;

use super::Net;
use crate::Result;
use synth::random::Draw;

/// Initial values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Init {
    /// Every element is this.
    All(f32),
    /// Normal, with mean 0 and this deviation.
    Normal(f64),
    /// Normal, with deviation `sqrt(2 / fan out)`: the first extent times the kernel's.
    FanOut,
    /// Uniform within `1 / sqrt(fan in)` of 0; of the weight's own if `None`.
    Torch(Option<usize>),
}

impl Init {
    /// Initial values of the bias of a layer with this weight and `fan_in` inputs for each output.
    pub(super) fn of_bias(self, fan_in: usize) -> Self {
        match self {
            Self::Torch(_) => Self::Torch(Some(fan_in)),
            _ => Self::All(0.0),
        }
    }

    fn tensor(self, shape: &[usize], draw: &mut Draw) -> Result<Option<Tensor>> {
        let count = shape.iter().product();
        let mut next: Box<dyn FnMut() -> f64> = match self {
            // The builder has written them.
            Self::All(_) => return Ok(None),
            Self::Normal(deviation) => Box::new(move || deviation * draw.normal()),
            Self::FanOut => {
                let fan_out: usize =
                    shape[0] * shape[2.min(shape.len())..].iter().product::<usize>();
                let deviation = (2.0 / fan_out as f64).sqrt();
                Box::new(move || deviation * draw.normal())
            }
            Self::Torch(fan_in) => {
                let fan_in = fan_in.unwrap_or_else(|| shape[1..].iter().product());
                let bound = 1.0 / (fan_in as f64).sqrt();
                Box::new(move || draw.between(-bound, bound))
            }
        };
        let elements: Vec<f32> = (0..count).map(|_| next() as f32).collect();
        Ok(Some(Tensor::f32(shape, elements)?))
    }
}

/// Sets the initial values of all parameters of `net`.
pub(super) fn initialise(net: &mut Net, fresh: &[(ParamId, Init)], seed: u64) -> Result<()> {
    for &(id, fresh) in fresh {
        let param = &net.graph().params()[id.index()];
        let mut draw = Draw::new(seed, &param.name, &[]);
        if let Some(tensor) = fresh.tensor(param.tensor.shape(), &mut draw)? {
            net.set_tensor(id, tensor)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_those_of_the_sources() {
        let cases: [(&str, Init, &[usize], f64); 6] = [
            (
                "conv",
                Init::FanOut,
                &[64, 3, 7, 7],
                (2.0 / 3136.0_f64).sqrt(),
            ),
            // PyTorch counts all output channels, not those of a group.
            (
                "depthwise",
                Init::FanOut,
                &[960, 1, 3, 3],
                (2.0 / 8640.0_f64).sqrt(),
            ),
            (
                "embedding",
                Init::FanOut,
                &[512, 64],
                (2.0 / 512.0_f64).sqrt(),
            ),
            ("classifier", Init::Normal(0.001), &[50, 512], 0.001),
            // A uniform distribution of half width b has deviation b / sqrt(3).
            (
                "torch",
                Init::Torch(None),
                &[50, 512],
                (1.0 / 512.0 / 3.0_f64).sqrt(),
            ),
            (
                "torch bias",
                Init::Torch(Some(4)),
                &[5000],
                (1.0 / 4.0 / 3.0_f64).sqrt(),
            ),
        ];
        for (name, fresh, shape, wanted) in cases {
            let tensor = fresh.tensor(shape, &mut Draw::new(1, name, &[])).unwrap();
            let tensor = tensor.unwrap();
            let x = tensor.as_f32().unwrap();
            let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / x.len() as f64;
            let square = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / x.len() as f64;
            let found = square.sqrt();
            // Five deviations of either for the fewest elements above.
            assert!(mean.abs() < 0.08 * wanted, "{name}: mean {mean}");
            assert!(
                (found / wanted - 1.0).abs() < 0.06,
                "{name}: {found}, wanted {wanted}"
            );
        }
    }
}
