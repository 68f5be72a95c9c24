//! Everything that computes with libtorch: a [`Net`](crate::nets::Net) on tensors that know their
//! gradients, the losses on what it gives, the optimisers that move it, and the loop around them.

pub mod device;
pub mod extract;
mod learner;
pub mod loss;
mod module;
mod ops;
pub mod optimiser;
mod tensor;
pub mod train;

pub use learner::{Learner, Step};
pub use module::{Mode, Module, Outputs, Precision};
pub use tensor::{from_tch, to_tch};

use crate::Error;

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Self::torch("libtorch", error)
    }
}

impl Error {
    /// [`Error::Torch`] about `what`, with the first line that libtorch says: what follows it is a
    /// stack of C++.
    fn torch(what: impl Into<String>, error: tch::TchError) -> Self {
        let said = error.to_string();
        let reason = said
            .lines()
            .next()
            .unwrap_or("failed without a word")
            .to_owned();
        Self::Torch {
            what: what.into(),
            reason,
        }
    }
}
