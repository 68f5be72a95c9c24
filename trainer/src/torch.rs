//! Training on libtorch: a [`Net`](crate::nets::Net) with gradients, losses, optimisers and the training
//! loop.

pub mod device;
pub mod extract;
mod learner;
pub mod loss;
mod module;
mod ops;
pub mod optimiser;
mod tensor;
pub mod train;

pub use learner::{Learner, TrainStep};
pub use module::{Module, Outputs};
pub use tensor::{from_tch, to_tch};

use crate::Error;

/// Whether BatchNorms use the batch's own statistics, and move the running ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They do.
    Train,
    /// They use the running ones.
    Eval,
}

/// Precision of convolutions and matrix products. All else, parameters included, is f32, except with
/// [`Precision::F64`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Precision {
    /// 32-bit float.
    #[default]
    F32,
    /// bfloat16: twice as fast on CPUs and GPUs that have it, with 8 bits of mantissa.
    Bf16,
    /// 64-bit float for everything, parameters included: what a formula is compared with. In f32 an
    /// activation that rounds to the other side of a ReLU's corner moves a gradient by 0.4 %, and
    /// Adam's first step by all of it.
    #[value(skip)]
    F64,
}

impl Precision {
    /// Of parameters, and of all that is no product.
    fn kind(self) -> tch::Kind {
        match self {
            Self::F32 | Self::Bf16 => tch::Kind::Float,
            Self::F64 => tch::Kind::Double,
        }
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Self::torch("libtorch", error)
    }
}

impl Error {
    /// [`Error::Torch`] about `what`, with the first line of the message: the others are a C++ stack.
    fn torch(what: impl Into<String>, error: tch::TchError) -> Self {
        let message = error.to_string();
        let reason = message
            .lines()
            .next()
            .unwrap_or("failed without a message")
            .to_owned();
        Self::Torch {
            what: what.into(),
            reason,
        }
    }
}
