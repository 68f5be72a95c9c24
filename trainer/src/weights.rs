//! Named tensors in a file: weights, and all else that a checkpoint holds.
//!
//! A file of ours is safetensors. Its metadata say which network the weights belong to.

use std::collections::BTreeMap;

use kernels::tensor::Tensor;

/// Named tensors and what is said about them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    /// By name, as in the network (`layer1.0.conv1.weight`).
    pub tensors: BTreeMap<String, Tensor>,
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
}
